/*
 * What a destination is told before the client sees its greeting: our own
 * EHLO, STARTTLS, and who the client is (DECISIONS, octets that we add).  Part
 * of the engine.  Nothing was said to the client yet, so a destination that
 * does not go along is no use, and the next one is tried.
 */
#include "smtp_machine.h"

#include <stdio.h>
#include <string.h>

void
smtp_prelude_fail(struct smtp_engine *e, const char *reason)
{
	struct smtp_input	i;

	memset(&i, 0, sizeof(i));
	e->choice_reason = reason;
	smtp_reply_clear(&e->reply);
	smtp_dest_next(e, &i);
}

static void
prelude_say(struct smtp_engine *e, const void *line, size_t len,
    enum smtp_prelude awaited)
{
	smtp_reply_clear(&e->reply);
	if (smtp_give(e, line, len) == -1)
		return;
	e->prelude = (uint8_t)awaited;
	e->turn_ms = e->now_ms;
}

static void
prelude_ehlo(struct smtp_engine *e)
{
	char	line[SMTP_SAY_MAX];
	int	n;

	n = snprintf(line, sizeof(line), "EHLO %s\r\n", e->set->hostname);
	prelude_say(e, line, (size_t)n, PRELUDE_EHLO);
}

static int
prelude_is_known(const struct smtp_engine *e)
{
	return e->who != NULL && (e->set->identity == IDENTITY_XCLIENT ||
	    e->set->identity == IDENTITY_XFORWARD);
}

/* All is said: the greeting that was kept is the client's. */
static void
prelude_done(struct smtp_engine *e)
{
	smtp_tell(e, buf_head(&e->said), e->said.used);
	buf_clear(&e->said);
	smtp_reply_clear(&e->reply);
	e->prelude = PRELUDE_GREETING;
	smtp_queue_pop(e);
	e->dest = DEST_READY;
	e->state = SMTP_COMMAND;
}

void
smtp_prelude_start(struct smtp_engine *e)
{
	if (e->set->dest_tls == SMTP_DEST_CLEAR && !prelude_is_known(e)) {
		smtp_tell(e, e->reply.text, e->reply.used);
		prelude_done(e);
	} else if (buf_add(&e->said, e->reply.text, e->reply.used) == -1)
		smtp_over_nomem(e);
	else
		prelude_ehlo(e);
}

/* The EHLO that counts has been answered: tell who the client is. */
static void
prelude_identify(struct smtp_engine *e)
{
	char	line[SMTP_IDENTITY_LINE];
	size_t	n;

	if (!prelude_is_known(e)) {
		prelude_done(e);
		return;
	}
	if (e->set->identity == IDENTITY_XFORWARD) {
		if (e->attrs & ATTR_ADDR)
			prelude_done(e);
		else
			smtp_prelude_fail(e, "destination offers no XFORWARD");
		return;
	}
	if ((n = smtp_identity_xclient(line, e->who, e->attrs)) == 0)
		smtp_prelude_fail(e, "destination offers no XCLIENT");
	else
		prelude_say(e, line, n, PRELUDE_XCLIENT);
}

static void
prelude_attrs(struct smtp_engine *e)
{
	const uint8_t	*words;
	size_t		 len;

	words = smtp_ehlo_words(e->reply.text, e->reply.used,
	    e->set->identity == IDENTITY_XCLIENT ? "XCLIENT" : "XFORWARD",
	    &len);
	e->attrs = words == NULL ? 0 : smtp_identity_attrs(words, len);
}

static void
prelude_on_ehlo(struct smtp_engine *e)
{
	uint32_t	offered = 0;

	e->attrs = 0;
	if (e->reply.code == 250) {
		offered = smtp_ehlo_offered(e->reply.text, e->reply.used);
		prelude_attrs(e);
		smtp_dest_keep(e);
	}
	if (e->set->dest_tls == SMTP_DEST_CLEAR || e->is_tls[SMTP_DEST])
		prelude_identify(e);
	else if (offered & EHLO_STARTTLS)
		prelude_say(e, "STARTTLS\r\n", 10, PRELUDE_STARTTLS);
	else if (e->set->dest_tls == SMTP_DEST_MUST)
		smtp_prelude_fail(e, "destination offers no STARTTLS");
	else
		prelude_identify(e);
}

static void
prelude_on_starttls(struct smtp_engine *e)
{
	if (e->reply.code == 220) {
		smtp_reply_clear(&e->reply);
		e->dest = DEST_TLS;
		e->turn_ms = e->now_ms;
		e->events |= EVENT_TLS_DEST;
	} else if (e->set->dest_tls == SMTP_DEST_MUST)
		smtp_prelude_fail(e, "destination refused STARTTLS");
	else
		prelude_identify(e);
}

/* Its 220 takes the greeting's place (XCLIENT_README). */
static void
prelude_on_xclient(struct smtp_engine *e)
{
	/* Its judgement of the client, as a greeting is (XCLIENT_README). */
	if (e->reply.code >= 400 && e->reply.code != 501 &&
	    e->reply.code != 503 && e->reply.code != 550) {
		smtp_tell(e, e->reply.text, e->reply.used);
		smtp_set_reason(e, "destination refused", e->reply.text,
		    e->reply.used);
		smtp_over(e, "destination refused");
		return;
	}
	if (e->reply.code != 220) {
		smtp_prelude_fail(e, "destination refused XCLIENT");
		return;
	}
	buf_clear(&e->said);
	smtp_reply_clear(&e->known);
	if (buf_add(&e->said, e->reply.text, e->reply.used) == -1)
		smtp_over_nomem(e);
	else
		prelude_done(e);
}

void
smtp_prelude_reply(struct smtp_engine *e, struct smtp_input *i)
{
	(void)i;
	if (e->out[SMTP_DEST].used > 0) {
		smtp_prelude_fail(e, "reply of destination before its "
		    "command");
		return;
	}
	switch ((enum smtp_prelude)e->prelude) {
	case PRELUDE_EHLO:
		prelude_on_ehlo(e);
		break;
	case PRELUDE_STARTTLS:
		prelude_on_starttls(e);
		break;
	case PRELUDE_XCLIENT:
		prelude_on_xclient(e);
		break;
	case PRELUDE_GREETING:
		break;
	}
}

/* What was offered in clear is forgotten. */
void
smtp_prelude_tls_up(struct smtp_engine *e)
{
	e->dest = DEST_GREETING;
	e->attrs = 0;
	if (prelude_is_known(e))
		prelude_ehlo(e);
	else
		prelude_done(e);
}
