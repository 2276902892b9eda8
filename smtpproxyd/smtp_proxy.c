/*
 * The PROXY header of a load balancer, in the worker.  It decides whose
 * address a session has, so it comes from listed peers only; still each octet
 * of it is a stranger's until all of it was read.  What stands behind the
 * header is never looked at.
 */

#include "smtp_proxy.h"

#include <string.h>

#include "../common/strutil.h"

#define V1_MAX		107	/* with CRLF; worst case of section 2.1 */
#define V1_ADDR4_MAX	15	/* "255.255.255.255" */
#define V1_ADDR6_MAX	45	/* six groups and a dotted quad */
#define V1_PORT_MAX	5

#define V2_FIXED	16	/* signature, command, family, length */
#define V2_LOCAL	0x20
#define V2_PROXY	0x21
#define V2_TCP4		0x11
#define V2_TCP6		0x21
#define V2_FAMILY_MAX	3	/* UNIX */
#define V2_TRANSPORT_MAX 2	/* DGRAM */
#define V2_TLV		3	/* type and length */
#define V2_CRC32C	0x03
#define V2_CRC32C_LEN	4

static const uint8_t	v2_signature[12] = {
	0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a
};

/* Octets of the two addresses and their ports, by the family's number. */
static const size_t	v2_block[V2_FAMILY_MAX + 1] = { 0, 12, 36, 216 };

/* What has come of a line of version 1, and the octet to read next. */
struct proxy_line {
	const uint8_t	*p;
	size_t		 at;
	size_t		 len;		/* at most V1_MAX */
};

static enum smtp_proxy_result
proxy_bad(struct smtp_proxy *proxy, const char *why)
{
	memset(proxy, 0, sizeof(*proxy));
	proxy->why = why;
	return PROXY_BAD;
}

/* All that came is read: the rest may still come, or it is too late. */
static enum smtp_proxy_result
proxy_line_end(struct smtp_proxy *proxy, const struct proxy_line *line)
{
	if (line->len < V1_MAX)
		return PROXY_MORE;
	return proxy_bad(proxy, "PROXY line too long");
}

/* Exactly these octets, as far as they have come. */
static enum smtp_proxy_result
proxy_word(struct smtp_proxy *proxy, struct proxy_line *line,
    const char *word, const char *why)
{
	for (; *word != '\0'; word++) {
		if (line->at == line->len)
			return proxy_line_end(proxy, line);
		if (line->p[line->at++] != (uint8_t)*word)
			return proxy_bad(proxy, why);
	}
	return PROXY_OK;
}

/*
 * At most `max` of the octets of `set`, and the octet `end`, which is read
 * too.  `field` has room for max + 1.
 */
static enum smtp_proxy_result
proxy_field(struct smtp_proxy *proxy, struct proxy_line *line, char *field,
    size_t max, const char *set, char end, const char *why)
{
	size_t	n = 0;
	uint8_t	c;

	while (line->at < line->len) {
		c = line->p[line->at++];
		if (c == (uint8_t)end) {
			field[n] = '\0';
			return PROXY_OK;
		}
		/* strchr() finds NUL in every set. */
		if (n == max || c == '\0' || strchr(set, c) == NULL)
			return proxy_bad(proxy, why);
		field[n++] = (char)c;
	}
	return proxy_line_end(proxy, line);
}

/*
 * The octets allowed leave no scope to addr_parse(), which would ask the
 * system for an interface's name.
 */
static enum smtp_proxy_result
proxy_address(struct smtp_proxy *proxy, struct proxy_line *line, uint8_t family,
    struct addr *addr)
{
	static const char	why[] = "bad address in a PROXY line";
	char			text[V1_ADDR6_MAX + 1];
	enum smtp_proxy_result	r;

	if (family == AF_INET)
		r = proxy_field(proxy, line, text, V1_ADDR4_MAX,
		    "0123456789.", ' ', why);
	else
		r = proxy_field(proxy, line, text, V1_ADDR6_MAX,
		    "0123456789abcdefABCDEF:.", ' ', why);
	if (r != PROXY_OK)
		return r;
	if (addr_parse(addr, text) == -1 || addr->family != family)
		return proxy_bad(proxy, why);
	return PROXY_OK;
}

/* No zeros in front: section 2.1, some reader takes them for octal. */
static enum smtp_proxy_result
proxy_port(struct smtp_proxy *proxy, struct proxy_line *line, char end,
    uint16_t *port)
{
	static const char	why[] = "bad port in a PROXY line";
	char			text[V1_PORT_MAX + 1];
	uint64_t		value;
	enum smtp_proxy_result	r;

	r = proxy_field(proxy, line, text, V1_PORT_MAX, "0123456789", end, why);
	if (r != PROXY_OK)
		return r;
	if (text[0] == '0' && text[1] != '\0')
		return proxy_bad(proxy, why);
	if (str_to_u64(text, strlen(text), UINT16_MAX, &value) == -1)
		return proxy_bad(proxy, why);
	*port = (uint16_t)value;
	return PROXY_OK;
}

/* Section 2.1: what follows UNKNOWN counts for nothing, up to CRLF. */
static enum smtp_proxy_result
proxy_unknown(struct smtp_proxy *proxy, struct proxy_line *line)
{
	uint8_t	c;
	size_t	n = 0;

	for (; line->at < line->len; n++) {
		c = line->p[line->at++];
		if (c == '\r') {
			proxy->is_local = 1;
			return PROXY_OK;
		}
		if (c < 0x20 || c > 0x7e || (n == 0 && c != ' '))
			return proxy_bad(proxy, "bad octet in a PROXY line");
	}
	return proxy_line_end(proxy, line);
}

static enum smtp_proxy_result
proxy_endpoints(struct smtp_proxy *proxy, struct proxy_line *line,
    uint8_t family)
{
	enum smtp_proxy_result	r;

	r = proxy_address(proxy, line, family, &proxy->client);
	if (r == PROXY_OK)
		r = proxy_address(proxy, line, family, &proxy->local);
	if (r == PROXY_OK)
		r = proxy_port(proxy, line, ' ', &proxy->client.port);
	if (r == PROXY_OK)
		r = proxy_port(proxy, line, '\r', &proxy->local.port);
	return r;
}

/* "TCP4 ", "TCP6 " or "UNKNOWN" and what follows it, CR included. */
static enum smtp_proxy_result
proxy_protocol(struct smtp_proxy *proxy, struct proxy_line *line)
{
	static const char	why[] = "bad protocol in a PROXY line";
	enum smtp_proxy_result	r;
	uint8_t			family = AF_INET6;

	if (line->at == line->len)
		return PROXY_MORE;
	if (line->p[line->at] == 'U') {
		r = proxy_word(proxy, line, "UNKNOWN", why);
		return r == PROXY_OK ? proxy_unknown(proxy, line) : r;
	}
	if ((r = proxy_word(proxy, line, "TCP", why)) != PROXY_OK)
		return r;
	if (line->at < line->len && line->p[line->at] == '4')
		family = AF_INET;
	r = proxy_word(proxy, line, family == AF_INET ? "4 " : "6 ", why);
	return r == PROXY_OK ? proxy_endpoints(proxy, line, family) : r;
}

static enum smtp_proxy_result
proxy_parse_v1(struct smtp_proxy *proxy, const uint8_t *in, size_t len)
{
	struct proxy_line	line = { in, 0, len < V1_MAX ? len : V1_MAX };
	enum smtp_proxy_result	r;

	r = proxy_word(proxy, &line, "PROXY ", "no PROXY header");
	if (r == PROXY_OK)
		r = proxy_protocol(proxy, &line);
	if (r == PROXY_OK)
		r = proxy_word(proxy, &line, "\n", "CR without LF in a "
		    "PROXY line");
	if (r == PROXY_OK)
		proxy->len = line.at;
	return r;
}

static uint16_t
proxy_u16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static uint32_t
proxy_u32(const uint8_t *p)
{
	return (uint32_t)proxy_u16(p) << 16 | proxy_u16(p + 2);
}

/* CRC32C (RFC 9260 appendix A), begun with and ended by all bits inverted. */
static uint32_t
proxy_crc32c(uint32_t crc, const uint8_t *p, size_t len)
{
	size_t	i;
	int	bit;

	for (i = 0; i < len; i++) {
		crc ^= p[i];
		for (bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78U : 0);
	}
	return crc;
}

/* Section 2.2.3: over the whole header, its own four octets taken as zero. */
static int
proxy_crc_is_good(const uint8_t *in, size_t len, size_t at)
{
	static const uint8_t	zero[V2_CRC32C_LEN];
	size_t			behind = at + V2_CRC32C_LEN;
	uint32_t		crc;

	crc = proxy_crc32c(UINT32_MAX, in, at);
	crc = proxy_crc32c(crc, zero, sizeof(zero));
	crc = proxy_crc32c(crc, in + behind, len - behind);
	return ~crc == proxy_u32(in + at);
}

/*
 * The TLVs from `at` to the end at `len`.  A second checksum is refused: no
 * two could be right at once.
 */
static enum smtp_proxy_result
proxy_tlvs(struct smtp_proxy *proxy, const uint8_t *in, size_t at, size_t len)
{
	size_t	size;
	int	has_crc = 0;
	uint8_t	type;

	for (; at < len; at += size) {
		if (len - at < V2_TLV)
			return proxy_bad(proxy, "cut TLV in a PROXY header");
		type = in[at];
		size = proxy_u16(in + at + 1);
		at += V2_TLV;
		if (size > len - at)
			return proxy_bad(proxy,
			    "TLV longer than its PROXY header");
		if (type != V2_CRC32C)
			continue;
		if (has_crc || size != V2_CRC32C_LEN ||
		    !proxy_crc_is_good(in, len, at))
			return proxy_bad(proxy,
			    "bad checksum in a PROXY header");
		has_crc = 1;
	}
	return PROXY_OK;
}

static void
proxy_block(struct smtp_proxy *proxy, const uint8_t *p, uint8_t family,
    size_t size)
{
	proxy->client.family = family;
	proxy->local.family = family;
	memcpy(proxy->client.ip, p, size);
	memcpy(proxy->local.ip, p + size, size);
	proxy->client.port = proxy_u16(p + 2 * size);
	proxy->local.port = proxy_u16(p + 2 * size + 2);
}

/*
 * Octets that the address block of a PROXY command must have; 0 where nothing
 * is read of what follows: LOCAL, and either half unspecified.  For other
 * numbers section 2.2 leaves nothing but to refuse: -1.
 */
static int
proxy_block_len(uint8_t command, uint8_t kind, size_t *len)
{
	uint8_t	family = kind >> 4, transport = kind & 0x0f;

	*len = 0;
	if (command == V2_LOCAL)
		return 0;
	if (family > V2_FAMILY_MAX || transport > V2_TRANSPORT_MAX)
		return -1;
	if (transport != 0)
		*len = v2_block[family];
	return 0;
}

/* The fixed part, each octet as soon as it is there. */
static enum smtp_proxy_result
proxy_fixed(struct smtp_proxy *proxy, const uint8_t *in, size_t len,
    size_t *block)
{
	size_t	n = len < sizeof(v2_signature) ? len : sizeof(v2_signature);

	if (memcmp(in, v2_signature, n) != 0)
		return proxy_bad(proxy, "no PROXY header");
	if (len > 12 && in[12] != V2_LOCAL && in[12] != V2_PROXY)
		return proxy_bad(proxy, "unknown command in a PROXY header");
	if (len > 13 && proxy_block_len(in[12], in[13], block) == -1)
		return proxy_bad(proxy, "unknown family in a PROXY header");
	if (len > 14 && in[14] > (SMTP_PROXY_HEADER_MAX - V2_FIXED) >> 8)
		return proxy_bad(proxy, "PROXY header too long");
	if (len < V2_FIXED)
		return PROXY_MORE;
	if (proxy_u16(in + 14) > SMTP_PROXY_HEADER_MAX - V2_FIXED)
		return proxy_bad(proxy, "PROXY header too long");
	if (proxy_u16(in + 14) < *block)
		return proxy_bad(proxy,
		    "PROXY header shorter than its addresses");
	return PROXY_OK;
}

static enum smtp_proxy_result
proxy_parse_v2(struct smtp_proxy *proxy, const uint8_t *in, size_t len)
{
	enum smtp_proxy_result	r;
	size_t			size, block = 0;

	if ((r = proxy_fixed(proxy, in, len, &block)) != PROXY_OK)
		return r;
	size = (size_t)V2_FIXED + proxy_u16(in + 14);
	if (len < size)
		return PROXY_MORE;
	if (block > 0) {
		r = proxy_tlvs(proxy, in, V2_FIXED + block, size);
		if (r != PROXY_OK)
			return r;
	}
	if (block > 0 && in[13] == V2_TCP4)
		proxy_block(proxy, in + V2_FIXED, AF_INET, 4);
	else if (block > 0 && in[13] == V2_TCP6)
		proxy_block(proxy, in + V2_FIXED, AF_INET6, 16);
	else
		proxy->is_local = 1;
	proxy->len = size;
	return PROXY_OK;
}

enum smtp_proxy_result
smtp_proxy_parse(struct smtp_proxy *proxy, const uint8_t *in, size_t len)
{
	enum smtp_proxy_result	r;

	memset(proxy, 0, sizeof(*proxy));
	if (len == 0)
		return PROXY_MORE;
	if (in[0] == v2_signature[0])
		r = proxy_parse_v2(proxy, in, len);
	else
		r = proxy_parse_v1(proxy, in, len);
	/* Half of an address is none. */
	if (r == PROXY_MORE)
		memset(proxy, 0, sizeof(*proxy));
	return r;
}
