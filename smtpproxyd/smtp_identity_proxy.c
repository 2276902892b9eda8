/*
 * The PROXY header that we write, in the worker: the first octets of a
 * connection to a destination that expects them.  Every text in it has its
 * length in front or is made of numbers, so nothing in it can be misread.
 */

#include "smtp_identity.h"

#include <stdio.h>
#include <string.h>

#define PROXY_TEXT_MAX		255	/* names that a peer chose */
#define PROXY_NAME_MAX		64	/* names of the TLS library */

#define TLV_AUTHORITY		0x02
#define TLV_SSL			0x20
#define TLV_SSL_VERSION		0x21
#define TLV_SSL_CN		0x22
#define TLV_SSL_CIPHER		0x23

#define CLIENT_SSL		0x01
#define CLIENT_CERT_CONN	0x02
#define CLIENT_CERT_SESS	0x04

static const uint8_t	proxy_signature[12] = {
	0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a
};

struct proxy_out {
	uint8_t	*p;			/* SMTP_PROXY_MAX octets */
	size_t	 used;
};

/* An IPv4 address as IPv6 writes it. */
static void
proxy_map(struct addr *addr)
{
	if (addr->family != AF_INET)
		return;
	addr->family = AF_INET6;
	memmove(addr->ip + 12, addr->ip, 4);
	memset(addr->ip, 0, 10);
	memset(addr->ip + 10, 0xff, 2);
}

/*
 * Both ends in one family, which is all that a header can say: where they
 * differ, the IPv4 one is mapped.  Returns that family, 0: an end is unknown.
 */
static uint8_t
proxy_ends(const struct smtp_identity_facts *facts, struct addr *client,
    struct addr *local)
{
	*client = *facts->client;
	*local = *facts->local;
	if (client->family == 0 || local->family == 0)
		return 0;
	if (client->family != local->family) {
		proxy_map(client);
		proxy_map(local);
	}
	return client->family;
}

size_t
smtp_identity_proxy_v1(char *to, const struct smtp_identity_facts *facts)
{
	struct addr	client, local;
	char		from[ADDR_TEXT_MAX], at[ADDR_TEXT_MAX];
	uint8_t		family;
	int		n;

	if ((family = proxy_ends(facts, &client, &local)) == 0)
		n = snprintf(to, SMTP_PROXY_MAX, "PROXY UNKNOWN\r\n");
	else
		n = snprintf(to, SMTP_PROXY_MAX, "PROXY %s %s %s %u %u\r\n",
		    family == AF_INET ? "TCP4" : "TCP6",
		    smtp_identity_host(&client, from),
		    smtp_identity_host(&local, at),
		    (unsigned int)client.port, (unsigned int)local.port);
	return n < 0 || n >= SMTP_PROXY_MAX ? 0 : (size_t)n;
}

static void
proxy_put(struct proxy_out *out, const void *octets, size_t len)
{
	memcpy(out->p + out->used, octets, len);
	out->used += len;
}

static void
proxy_put_u8(struct proxy_out *out, uint8_t value)
{
	out->p[out->used++] = value;
}

static void
proxy_put_u16(struct proxy_out *out, uint16_t value)
{
	proxy_put_u8(out, (uint8_t)(value >> 8));
	proxy_put_u8(out, (uint8_t)(value & 0xff));
}

/* A length is written last, when what it counts is there. */
static void
proxy_set_len(struct proxy_out *out, size_t at)
{
	size_t	len = out->used - at - 2;	/* <= SMTP_PROXY_MAX */

	out->p[at] = (uint8_t)(len >> 8 & 0xff);
	out->p[at + 1] = (uint8_t)(len & 0xff);
}

static void
proxy_put_tlv(struct proxy_out *out, uint8_t type, const char *text,
    uint8_t max)
{
	size_t	at;

	if (text == NULL)
		return;
	proxy_put_u8(out, type);
	at = out->used;
	proxy_put_u16(out, 0);
	proxy_put(out, text, strnlen(text, max));
	proxy_set_len(out, at);
}

/*
 * Section 2.2.6.  The name of a certificate that nobody vouched for is left
 * out: some reader would believe it.
 */
static void
proxy_put_tls(struct proxy_out *out, const struct smtp_tls_facts *tls)
{
	static const uint8_t	is_good[4], is_not[4] = { 0, 0, 0, 1 };
	size_t			at;

	if (tls->protocol == NULL)
		return;
	proxy_put_tlv(out, TLV_AUTHORITY, tls->sni, PROXY_TEXT_MAX);
	proxy_put_u8(out, TLV_SSL);
	at = out->used;
	proxy_put_u16(out, 0);
	proxy_put_u8(out, tls->is_verified ?
	    CLIENT_SSL | CLIENT_CERT_CONN | CLIENT_CERT_SESS : CLIENT_SSL);
	proxy_put(out, tls->is_verified ? is_good : is_not, 4);
	proxy_put_tlv(out, TLV_SSL_VERSION, tls->protocol, PROXY_NAME_MAX);
	proxy_put_tlv(out, TLV_SSL_CIPHER, tls->cipher, PROXY_NAME_MAX);
	if (tls->is_verified)
		proxy_put_tlv(out, TLV_SSL_CN, tls->subject, PROXY_TEXT_MAX);
	proxy_set_len(out, at);
}

size_t
smtp_identity_proxy_v2(uint8_t *to, const struct smtp_identity_facts *facts)
{
	struct proxy_out	out = { to, 0 };
	struct addr		client, local;
	uint8_t			family = proxy_ends(facts, &client, &local);
	size_t			at, size = family == AF_INET ? 4 : 16;

	proxy_put(&out, proxy_signature, sizeof(proxy_signature));
	proxy_put_u8(&out, 0x21);		/* version 2, PROXY */
	if (family == 0)
		proxy_put_u8(&out, 0x00);	/* UNSPEC */
	else
		proxy_put_u8(&out, family == AF_INET ? 0x11 : 0x21);
	at = out.used;
	proxy_put_u16(&out, 0);
	if (family != 0) {
		proxy_put(&out, client.ip, size);
		proxy_put(&out, local.ip, size);
		proxy_put_u16(&out, client.port);
		proxy_put_u16(&out, local.port);
	}
	proxy_put_tls(&out, &facts->tls);
	proxy_set_len(&out, at);
	return out.used;
}
