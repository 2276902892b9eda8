/*
 * Addresses of either family in one small struct: parsing, printing, blocks.
 * Used by every process.  The texts come from the configuration or from our
 * own messages, the addresses from the kernel; no name is ever looked up.
 */
#include "addr.h"

#include <sys/socket.h>
#include <netinet/in.h>
#include <arpa/inet.h>
#include <net/if.h>

#include <stdio.h>
#include <string.h>

#include "strutil.h"

/* "::ffff:a.b.c.d": such a socket really talks to the IPv4 address. */
static const uint8_t	addr_mapped[12] = {
	0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff
};

static int
addr_parse_scope(uint32_t *scope, const char *s)
{
	uint64_t	n;

	if (str_to_u64(s, strlen(s), UINT32_MAX, &n) == -1)
		n = if_nametoindex(s);
	if (n == 0)
		return -1;
	*scope = (uint32_t)n;
	return 0;
}

int
addr_parse(struct addr *a, const char *s)
{
	char	 host[INET6_ADDRSTRLEN];
	size_t	 len = strcspn(s, "%");

	memset(a, 0, sizeof(*a));
	if (inet_pton(AF_INET, s, a->ip) == 1) {
		a->family = AF_INET;
		return 0;
	}
	if (len >= sizeof(host))
		return -1;
	memcpy(host, s, len);
	host[len] = '\0';
	if (inet_pton(AF_INET6, host, a->ip) != 1)
		goto bad;
	if (s[len] == '%' && addr_parse_scope(&a->scope, s + len + 1) == -1)
		goto bad;
	a->family = AF_INET6;
	return 0;
bad:
	memset(a, 0, sizeof(*a));
	return -1;
}

/* Do the first `bits` of both agree? */
static int
addr_is_same_prefix(const uint8_t *a, const uint8_t *b, uint8_t bits)
{
	size_t	octets = bits / 8;
	uint8_t	mask;

	if (memcmp(a, b, octets) != 0)
		return 0;
	if (bits % 8 == 0)
		return 1;
	mask = (uint8_t)(0xff << (8 - bits % 8));
	return ((a[octets] ^ b[octets]) & mask) == 0;
}

static void
addr_mask(uint8_t *ip, uint8_t bits)
{
	size_t	i;

	for (i = 0; i < 16; i++) {
		if (bits >= 8)
			bits = (uint8_t)(bits - 8);
		else {
			ip[i] &= (uint8_t)(0xff << (8 - bits));
			bits = 0;
		}
	}
}

int
addr_block_parse(struct addr_block *b, const char *s)
{
	struct addr	 masked;
	char		 host[ADDR_TEXT_MAX];
	size_t		 len = strcspn(s, "/");
	uint64_t	 bits, max;

	memset(b, 0, sizeof(*b));
	if (len >= sizeof(host))
		return -1;
	memcpy(host, s, len);
	host[len] = '\0';
	if (addr_parse(&b->net, host) == -1)
		return -1;
	max = b->net.family == AF_INET ? 32 : 128;
	bits = max;
	if (s[len] == '/' &&
	    str_to_u64(s + len + 1, strlen(s + len + 1), max, &bits) == -1)
		goto bad;
	masked = b->net;
	addr_mask(masked.ip, (uint8_t)bits);
	if (!addr_is_equal(&masked, &b->net))
		goto bad;
	b->length = (uint8_t)bits;
	return 0;
bad:
	memset(b, 0, sizeof(*b));
	return -1;
}

int
addr_block_has(const struct addr_block *b, const struct addr *a)
{
	if (a->family == 0 || a->family != b->net.family)
		return 0;
	if (b->net.scope != 0 && b->net.scope != a->scope)
		return 0;
	return addr_is_same_prefix(b->net.ip, a->ip, b->length);
}

int
addr_from_sockaddr(struct addr *a, const struct sockaddr *sa)
{
	struct sockaddr_in	sin;
	struct sockaddr_in6	sin6;

	memset(a, 0, sizeof(*a));
	switch (sa->sa_family) {
	case AF_INET:
		memcpy(&sin, sa, sizeof(sin));	/* sa may be unaligned */
		memcpy(a->ip, &sin.sin_addr, 4);
		a->port = ntohs(sin.sin_port);
		break;
	case AF_INET6:
		memcpy(&sin6, sa, sizeof(sin6));
		memcpy(a->ip, &sin6.sin6_addr, 16);
		a->port = ntohs(sin6.sin6_port);
		a->scope = sin6.sin6_scope_id;
		break;
	default:
		return -1;
	}
	a->family = (uint8_t)sa->sa_family;
	return 0;
}

socklen_t
addr_to_sockaddr(const struct addr *a, struct sockaddr_storage *ss)
{
	struct sockaddr_in	sin;
	struct sockaddr_in6	sin6;

	memset(ss, 0, sizeof(*ss));
	if (a->family == AF_INET) {
		memset(&sin, 0, sizeof(sin));
		sin.sin_family = AF_INET;
		sin.sin_port = htons(a->port);
		memcpy(&sin.sin_addr, a->ip, 4);
		memcpy(ss, &sin, sizeof(sin));
		return sizeof(sin);
	}
	if (a->family == AF_INET6) {
		memset(&sin6, 0, sizeof(sin6));
		sin6.sin6_family = AF_INET6;
		sin6.sin6_port = htons(a->port);
		sin6.sin6_scope_id = a->scope;
		memcpy(&sin6.sin6_addr, a->ip, 16);
		memcpy(ss, &sin6, sizeof(sin6));
		return sizeof(sin6);
	}
	return 0;
}

/*
 * The scope stays a number: a worker can't ask for an interface's name, and
 * the text is the same in every process.
 */
const char *
addr_text_host(const struct addr *a, char *text)
{
	char	host[INET6_ADDRSTRLEN];

	(void)strlcpy(text, "none", ADDR_TEXT_MAX);
	if (a->family != AF_INET && a->family != AF_INET6)
		return text;
	if (inet_ntop(a->family, a->ip, host, sizeof(host)) == NULL)
		return text;
	if (a->family == AF_INET6 && a->scope != 0)
		(void)snprintf(text, ADDR_TEXT_MAX, "%s%%%u", host,
		    (unsigned int)a->scope);
	else
		(void)strlcpy(text, host, ADDR_TEXT_MAX);
	return text;
}

const char *
addr_text(const struct addr *a, char *text)
{
	char	host[ADDR_TEXT_MAX];
	int	len;

	(void)addr_text_host(a, text);
	if (a->port == 0 || (a->family != AF_INET && a->family != AF_INET6))
		return text;
	(void)strlcpy(host, text, sizeof(host));
	len = snprintf(text, ADDR_TEXT_MAX,
	    a->family == AF_INET6 ? "[%s]:%u" : "%s:%u", host,
	    (unsigned int)a->port);
	if (len < 0 || len >= ADDR_TEXT_MAX)	/* ADDR_TEXT_MAX says never */
		(void)strlcpy(text, "none", ADDR_TEXT_MAX);
	return text;
}

int
addr_is_same_host(const struct addr *a, const struct addr *b)
{
	return a->family == b->family && a->scope == b->scope &&
	    memcmp(a->ip, b->ip, sizeof(a->ip)) == 0;
}

int
addr_is_equal(const struct addr *a, const struct addr *b)
{
	return a->port == b->port && addr_is_same_host(a, b);
}

/* The four octets of an IPv4 or v4-mapped address, else NULL. */
static const uint8_t *
addr_ip4(const struct addr *a)
{
	if (a->family == AF_INET)
		return a->ip;
	if (a->family == AF_INET6 &&
	    memcmp(a->ip, addr_mapped, sizeof(addr_mapped)) == 0)
		return a->ip + sizeof(addr_mapped);
	return NULL;
}

int
addr_is_unspecified(const struct addr *a)
{
	static const uint8_t	 zero[16];
	const uint8_t		*ip4 = addr_ip4(a);

	if (ip4 != NULL)
		return memcmp(ip4, zero, 4) == 0;
	return memcmp(a->ip, zero, sizeof(zero)) == 0;
}

int
addr_is_loopback(const struct addr *a)
{
	const uint8_t	*ip4 = addr_ip4(a);

	if (ip4 != NULL)
		return ip4[0] == 127;
	return a->family == AF_INET6 &&
	    memcmp(a->ip, &in6addr_loopback, 16) == 0;
}

int
addr_is_multicast(const struct addr *a)
{
	static const uint8_t	 all[4] = { 255, 255, 255, 255 };
	const uint8_t		*ip4 = addr_ip4(a);

	if (ip4 != NULL)
		return (ip4[0] & 0xf0) == 0xe0 || memcmp(ip4, all, 4) == 0;
	return a->family == AF_INET6 && a->ip[0] == 0xff;
}
