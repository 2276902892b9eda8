/*
 * STARTTLS that ends here, with the client, the destination or both (RFC
 * 3207).  Part of the engine, which never sees TLS itself: it says when a
 * handshake is due, and hears what became of it.  Nothing that was said in
 * clear counts behind it, on either side.
 */
#include "smtp_machine.h"

#include <stdlib.h>
#include <string.h>

void
smtp_engine_set_client(struct smtp_engine *e, enum smtp_client_tls tls,
    const struct smtp_identity_facts *who)
{
	e->client_tls = (uint8_t)tls;
	e->who = who;
}

void
smtp_engine_preamble(struct smtp_engine *e, int64_t now_ms)
{
	uint8_t	header[SMTP_PROXY_MAX];
	size_t	n = 0;

	e->now_ms = now_ms;
	if (e->is_done || e->who == NULL)
		return;
	if (e->set->identity == IDENTITY_PROXY_V1)
		n = smtp_identity_proxy_v1((char *)header, e->who);
	else if (e->set->identity == IDENTITY_PROXY_V2)
		n = smtp_identity_proxy_v2(header, e->who);
	if (n > 0)
		(void)smtp_give(e, header, n);
}

int
smtp_tls_ends_here(const struct smtp_engine *e)
{
	return e->client_tls != SMTP_CLIENT_CLEAR || e->set->terminates;
}

static const char *
starttls_refusal(const struct smtp_engine *e, const struct smtp_cmd *c)
{
	if (e->is_tls[SMTP_CLIENT])
		return "503 5.5.1 TLS is active already";
	if (c->arglen > 0)
		return "501 5.5.4 syntax: STARTTLS";
	if (e->txn_now != -1 && (e->ehlo.passed & EHLO_STARTTLS))
		return "503 5.5.1 STARTTLS inside a transaction";
	return NULL;
}

/* Is it about mail, and not about how to speak? */
static int
tls_is_mail(enum smtp_verb verb)
{
	switch (verb) {
	case VERB_MAIL:
	case VERB_RCPT:
	case VERB_DATA:
	case VERB_BDAT:
	case VERB_VRFY:
	case VERB_EXPN:
	case VERB_ETRN:
	case VERB_AUTH:
	case VERB_PASS:
		return 1;
	default:
		return 0;
	}
}

const char *
smtp_tls_refusal(const struct smtp_engine *e, const struct smtp_cmd *c)
{
	if (c->verb == VERB_STARTTLS)
		return smtp_tls_ends_here(e) ? starttls_refusal(e, c) : NULL;
	if (!tls_is_mail(c->verb))
		return NULL;
	if (e->client_tls == SMTP_CLIENT_MUST && !e->is_tls[SMTP_CLIENT])
		return "530 5.7.0 must issue a STARTTLS command first";
	if (e->must_ehlo)
		return "503 5.5.1 EHLO first: what was said before TLS does "
		    "not count";
	return NULL;
}

/*
 * AUTH in clear beside a TLS that the client could have is not offered: the
 * destination, on its side of TLS perhaps, can't know (RFC 4954 4).
 */
int
smtp_tls_rules(const struct smtp_engine *e, struct smtp_ehlo_rules *rules,
    uint32_t offered)
{
	*rules = e->set->ehlo;
	if (e->is_tls[SMTP_CLIENT] && e->is_dest_verified)
		rules->remove &= ~EHLO_REQUIRETLS;
	if (!smtp_tls_ends_here(e))
		return 0;
	rules->remove |= EHLO_STARTTLS;
	if (e->is_tls[SMTP_CLIENT])
		return 0;
	if (e->client_tls == SMTP_CLIENT_CLEAR)
		return (offered & EHLO_STARTTLS) != 0;
	rules->remove |= EHLO_AUTH;
	return 1;
}

/* Behind this 220 the client hears nothing in clear, whatever happens. */
void
smtp_tls_go(struct smtp_engine *e)
{
	smtp_clear_held(e);
	smtp_tell_line(e, "220 2.0.0 ready to start TLS");
	e->is_mute = 1;
	e->state = SMTP_TLS;
	e->turn_ms = e->now_ms;
	e->events |= EVENT_TLS_CLIENT;
}

static void
tls_forget(struct smtp_engine *e)
{
	free(e->helo);
	e->helo = NULL;
	memset(&e->ehlo, 0, sizeof(e->ehlo));
	e->has_pipelining = 0;
	e->is_esmtp = 0;
	e->must_ehlo = 1;
	e->is_chunked = e->has_gap = 0;
}

static void
tls_client_up(struct smtp_engine *e)
{
	e->is_tls[SMTP_CLIENT] = 1;
	if (e->state != SMTP_TLS)
		return;			/* it began so: nothing was said */
	e->is_mute = 0;
	tls_forget(e);
	e->turn_ms = e->now_ms;
	e->state = SMTP_COMMAND;
	if (!e->set->terminates)
		return;
	if (smtp_give(e, "STARTTLS\r\n", 10) == -1)
		return;
	smtp_queue_push(e, VERB_STARTTLS, ORIGIN_PROXY, 0, -1);
	e->state = SMTP_WAIT;
}

void
smtp_engine_tls_up(struct smtp_engine *e, enum smtp_side side,
    int is_verified, int64_t now_ms)
{
	e->now_ms = now_ms;
	if (e->is_done)
		return;
	if (side == SMTP_CLIENT)
		tls_client_up(e);
	else {
		e->is_tls[SMTP_DEST] = 1;
		e->is_dest_verified = is_verified != 0;
		smtp_reply_clear(&e->known);
		if (e->dest == DEST_TLS && e->state == SMTP_GREETING)
			smtp_prelude_tls_up(e);
		else if (e->dest == DEST_TLS)
			e->dest = DEST_READY;
	}
	smtp_settle(e);
}

void
smtp_engine_tls_failed(struct smtp_engine *e, enum smtp_side side,
    const char *reason, int64_t now_ms)
{
	e->now_ms = now_ms;
	if (e->is_done)
		return;
	if (side == SMTP_CLIENT) {
		e->is_mute = 1;
		smtp_over(e, reason);
	} else if (e->state == SMTP_GREETING)
		smtp_prelude_fail(e, reason);
	else
		/* It was promised TLS all the way, and can't have it. */
		smtp_over_421(e, "4.7.0", "no TLS with destination", reason);
}

void
smtp_tls_reply(struct smtp_engine *e)
{
	if (e->reply.code == 220) {
		e->dest = DEST_TLS;
		e->turn_ms = e->now_ms;
		e->events |= EVENT_TLS_DEST;
		return;
	}
	smtp_set_reason(e, "destination refused STARTTLS", e->reply.text,
	    e->reply.used);
	smtp_over_421(e, "4.7.0", "no TLS with destination",
	    "destination refused STARTTLS");
}

void
smtp_tls_injected(struct smtp_engine *e)
{
	smtp_engine_tls_failed(e, SMTP_DEST, "starttls injection", e->now_ms);
}

/* RFC 3207 6: the library reads what is TLS; this is not. */
void
smtp_tls_octets(struct smtp_engine *e, struct smtp_input *i)
{
	i->taken = i->len;
	smtp_over(e, "starttls injection");
}
