/*
 * PROXY headers of outside.  A header is judged at one octet and by what
 * stands before it: with less it is not complete, with more the result is the
 * same.  What was read is written again and must be read the same.
 *
 * Input: the first octets of a connection.
 */

#include "../../smtpproxyd/smtp_proxy.h"

#include "../../smtpproxyd/smtp_identity.h"
#include "fuzz.h"

static enum smtp_proxy_result
parse(struct smtp_proxy *proxy, const uint8_t *in, size_t len)
{
	enum smtp_proxy_result	 r;
	uint8_t			*copy;

	if ((copy = malloc(len > 0 ? len : 1)) == NULL)
		abort();
	if (len > 0)
		memcpy(copy, in, len);
	memset(proxy, 0x5a, sizeof(*proxy));
	r = smtp_proxy_parse(proxy, copy, len);
	free(copy);
	return r;
}

static int
is_equal(const struct smtp_proxy *a, const struct smtp_proxy *b)
{
	return a->len == b->len && a->is_local == b->is_local &&
	    a->why == b->why && addr_is_equal(&a->client, &b->client) &&
	    addr_is_equal(&a->local, &b->local);
}

static void
check_kept(const struct smtp_proxy *proxy, const uint8_t *in, size_t len)
{
	size_t	i;

	HOLDS(proxy->why == NULL);
	HOLDS(proxy->len <= len && proxy->len <= SMTP_PROXY_HEADER_MAX);
	HOLDS((proxy->client.family == 0) == (proxy->is_local != 0));
	HOLDS(proxy->client.family == proxy->local.family);
	HOLDS(proxy->client.scope == 0 && proxy->local.scope == 0);
	if (in[0] == 'P') {
		HOLDS(proxy->len >= 15 && proxy->len <= 107);
		HOLDS(memcmp(in + proxy->len - 2, "\r\n", 2) == 0);
		for (i = 0; i < proxy->len - 2; i++)
			HOLDS(in[i] >= 0x20 && in[i] <= 0x7e);
	} else
		HOLDS(proxy->len == 16 + (size_t)in[14] * 256 + in[15]);
}

/* Another header with the same addresses says the same. */
static void
check_again(const struct smtp_proxy *proxy)
{
	struct smtp_identity_facts	facts = { 0 };
	struct smtp_proxy		again;
	uint8_t				out[SMTP_PROXY_MAX];
	size_t				len;
	int				way;

	facts.client = &proxy->client;
	facts.local = &proxy->local;
	for (way = 0; way < 2; way++) {
		len = way == 0 ? smtp_identity_proxy_v2(out, &facts) :
		    smtp_identity_proxy_v1((char *)out, &facts);
		HOLDS(len > 0 && len <= sizeof(out));
		HOLDS(parse(&again, out, len) == PROXY_OK);
		HOLDS(again.len == len && again.is_local == proxy->is_local);
		HOLDS(addr_is_equal(&again.client, &proxy->client));
		HOLDS(addr_is_equal(&again.local, &proxy->local));
	}
}

/*
 * Shorter and shorter: the header as long as it is there, and then no
 * judgement, never another one.
 */
static void
check_shorter(const struct smtp_proxy *proxy, enum smtp_proxy_result result,
    const uint8_t *in, size_t len)
{
	struct smtp_proxy	shorter;
	enum smtp_proxy_result	r;
	int			is_more = result == PROXY_MORE;

	while (len > 0) {
		len--;
		r = parse(&shorter, in, len);
		if (r == PROXY_MORE)
			is_more = 1;
		else
			HOLDS(!is_more && r == result &&
			    is_equal(&shorter, proxy));
		HOLDS(result != PROXY_OK || is_more == (len < proxy->len));
		if (len > 200)
			len -= len / 16;
	}
	HOLDS(is_more);
}

int
LLVMFuzzerTestOneInput(const uint8_t *in, size_t len)
{
	struct smtp_proxy	proxy;
	enum smtp_proxy_result	r;

	r = parse(&proxy, in, len);
	if (r == PROXY_OK) {
		check_kept(&proxy, in, len);
		check_again(&proxy);
	} else {
		HOLDS(proxy.len == 0 && proxy.client.family == 0 &&
		    proxy.local.family == 0 && !proxy.is_local);
		HOLDS((r == PROXY_BAD) == (proxy.why != NULL));
		HOLDS(r == PROXY_BAD || len < SMTP_PROXY_HEADER_MAX);
	}
	check_shorter(&proxy, r, in, len);
	return 0;
}
