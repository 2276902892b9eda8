/*
 * The destination's replies: each answers the oldest command that is due, and
 * only such codes pass as that command allows.  Part of the engine.  What a
 * reply means for the session is one function a verb.
 */
#include "smtp_machine.h"

#include <string.h>

#define KNOWN_MAX	4096	/* octets of a reply that are kept */

/*
 * Malformed: 451 in the place of the oldest, then 421 and close (DECISIONS).
 * At the greeting nothing was said yet, so another destination may do.
 */
void
smtp_dest_bad(struct smtp_engine *e, const char *fault)
{
	static const char	text[] = "451 4.3.0 malformed reply from "
				    "destination";

	if (e->state == SMTP_GREETING) {
		struct smtp_input	i;

		memset(&i, 0, sizeof(i));
		i.reason = "malformed greeting";
		smtp_dest_next(e, &i);
		return;
	}
	smtp_set_reason(e, "malformed reply", fault, strlen(fault));
	if (smtp_content_is_owed(e)) {
		smtp_content_refuse(e, text, sizeof(text) - 1,
		    "malformed reply");
		return;
	}
	smtp_over_451(e, "4.3.0", "malformed reply from destination",
	    "malformed reply");
}

/* One line of a reply; has_reply when it completes one. */
void
smtp_dest_feed(struct smtp_engine *e, struct smtp_input *i)
{
	const struct smtp_queue_entry	*q = smtp_queue_first(e);
	const uint8_t			*line;
	size_t				 len;
	int				 is_long, is_utf8;

	switch (smtp_line_feed(&e->line[SMTP_DEST], i->in, i->len, &i->taken,
	    &line, &len)) {
	case SMTP_LINE_MORE:
		/* A fault will not heal; its line need not ever end. */
		if (e->line[SMTP_DEST].fault != 0)
			smtp_dest_bad(e, "bad line");
		return;
	case SMTP_LINE_OK:
		break;
	case SMTP_LINE_LONG:
		smtp_dest_bad(e, "line too long");
		return;
	case SMTP_LINE_NOMEM:
		smtp_over_nomem(e);
		return;
	default:
		smtp_dest_bad(e, "bare CR or NUL");
		return;
	}
	is_long = q != NULL && (q->verb == VERB_EHLO || q->verb == VERB_HELP ||
	    e->prelude == PRELUDE_EHLO);
	is_utf8 = (e->ehlo.passed & EHLO_SMTPUTF8) != 0;
	switch (smtp_reply_line(&e->reply, line, len, is_long, is_utf8)) {
	case SMTP_REPLY_MORE:
		return;
	case SMTP_REPLY_OK:
		i->has_reply = 1;
		return;
	case SMTP_REPLY_NOMEM:
		smtp_over_nomem(e);
		return;
	case SMTP_REPLY_BAD:
		smtp_dest_bad(e, e->reply.fault);
		return;
	}
}

void
smtp_dest_ignore(struct smtp_engine *e, struct smtp_input *i)
{
	(void)i;
	smtp_reply_clear(&e->reply);
}

static void
reply_tell(struct smtp_engine *e)
{
	smtp_tell(e, e->reply.text, e->reply.used);
}

void
smtp_dest_greeting(struct smtp_engine *e, struct smtp_input *i)
{
	unsigned int	code = e->reply.code;

	if (e->prelude != PRELUDE_GREETING) {
		smtp_prelude_reply(e, i);
		return;
	}
	if (!smtp_verb_may_reply(VERB_GREETING, code)) {
		smtp_dest_bad(e, "greeting");
		return;
	}
	if (code < 400) {
		smtp_prelude_start(e);
		return;
	}
	reply_tell(e);
	smtp_set_reason(e, "destination refused", e->reply.text, e->reply.used);
	smtp_over(e, "destination refused");
}

/* What was to end the transaction was refused: it stands. */
static void
txn_stands(struct smtp_engine *e, int txn)
{
	struct smtp_txn	*t = smtp_txn_at(e, txn);

	if (t == NULL)
		return;
	t->state = TXN_OPEN;
	e->txn_now = (int8_t)txn;
	e->is_chunked = t->has_bdat;
	e->has_gap = 0;
}

void
smtp_dest_keep(struct smtp_engine *e)
{
	smtp_reply_clear(&e->known);
	if (e->reply.used > KNOWN_MAX)
		return;
	e->known = e->reply;
	smtp_reply_init(&e->reply);
}

/*
 * Some destinations (OpenSMTPD) take one EHLO in a session, and have had it:
 * from us, or from the client before its TLS.  What they said then holds.  A
 * transaction that this EHLO was to end would stand, so then it does not.
 *   returns   1: it is the reply now
 */
static int
reply_is_known(struct smtp_engine *e, const struct smtp_queue_entry *q)
{
	if (e->reply.code != 503 || e->known.code == 0 || q->txn != -1)
		return 0;
	smtp_reply_clear(&e->reply);
	e->reply = e->known;
	smtp_reply_init(&e->known);
	return 1;
}

/* To HELO: what it was that a reply to EHLO began with. */
static void
reply_tell_first(struct smtp_engine *e)
{
	const uint8_t	*text;
	size_t		 len;

	text = smtp_reply_text(&e->reply, &len);
	smtp_tell(e, "250 ", 4);
	smtp_tell(e, text, len);
	smtp_tell(e, "\r\n", 2);
}

static void
reply_to_ehlo(struct smtp_engine *e, const struct smtp_queue_entry *q)
{
	struct smtp_ehlo_rules	rules;
	int			adds_starttls, is_known;

	is_known = reply_is_known(e, q);
	if (e->reply.code >= 300) {
		txn_stands(e, q->txn);
		reply_tell(e);
		return;
	}
	smtp_txn_end(e, q->txn, "abandoned");
	memset(&e->ehlo, 0, sizeof(e->ehlo));
	e->has_pipelining = 0;
	e->must_ehlo = 0;
	smtp_reply_clear(&e->known);
	if (q->verb == VERB_HELO || e->is_client_lost) {
		if (is_known)
			reply_tell_first(e);
		else
			reply_tell(e);
		return;
	}
	adds_starttls = smtp_tls_rules(e, &rules,
	    smtp_ehlo_offered(e->reply.text, e->reply.used));
	if (smtp_ehlo_filter(&e->ehlo, &rules, adds_starttls, e->reply.text,
	    e->reply.used, &e->out[SMTP_CLIENT]) == -1) {
		smtp_over(e, "out of memory");
		return;
	}
	e->has_pipelining = (e->ehlo.offered & EHLO_PIPELINING) != 0;
	if (e->client_tls != SMTP_CLIENT_CLEAR && !e->is_tls[SMTP_CLIENT])
		smtp_dest_keep(e);
}

/*
 * The transaction within which this one was begun, or -1: only then are two
 * open, else the older one is closing.
 */
static int
txn_other_open(const struct smtp_engine *e, int txn)
{
	int	i;

	if (e->txn[txn].state != TXN_OPEN)
		return -1;
	for (i = 0; i < SMTP_TXNS; i++)
		if (i != txn && e->txn[i].state == TXN_OPEN)
			return i;
	return -1;
}

static void
reply_to_mail(struct smtp_engine *e, const struct smtp_queue_entry *q)
{
	struct smtp_txn	*t = smtp_txn_at(e, q->txn);
	int		 other;

	reply_tell(e);
	if (t == NULL)
		return;
	other = txn_other_open(e, q->txn);
	if (e->reply.code < 300) {
		t->is_accepted = 1;
		if (other == -1)
			return;
		smtp_txn_end(e, other, "abandoned");
		e->is_chunked = 0;
		return;
	}
	t->nrcpt = 0;
	smtp_txn_reply(e, q->txn, e->reply.text, e->reply.used);
	smtp_txn_end(e, q->txn, "refused");
	if (other != -1)
		e->txn_now = (int8_t)other;
}

static void
reply_to_rcpt(struct smtp_engine *e, const struct smtp_queue_entry *q)
{
	struct smtp_txn	*t = smtp_txn_at(e, q->txn);

	reply_tell(e);
	if (t == NULL || e->reply.code < 300)
		return;
	t->nrcpt--;
	t->nrcpt_refused++;
	smtp_txn_reply(e, q->txn, e->reply.text, e->reply.used);
}

static void
reply_to_data(struct smtp_engine *e, const struct smtp_queue_entry *q)
{
	if (e->reply.code != 354) {
		reply_tell(e);
		smtp_txn_reply(e, q->txn, e->reply.text, e->reply.used);
		return;
	}
	if (e->has_ended[SMTP_CLIENT] || e->is_client_lost) {
		/* No content will come, so none must be waited for. */
		smtp_over(e, "client closed inside a message");
		return;
	}
	reply_tell(e);
	smtp_content_start(e, q->txn);
}

static void
reply_to_message(struct smtp_engine *e, const struct smtp_queue_entry *q)
{
	struct smtp_txn	*t = smtp_txn_at(e, q->txn);
	int		 is_final;

	reply_tell(e);
	if (t == NULL)
		return;
	is_final = q->verb == VERB_DOT || (q->flags & QUEUE_LAST);
	if (!is_final && e->reply.code < 300)
		return;
	smtp_txn_reply(e, q->txn, e->reply.text, e->reply.used);
	if (!is_final) {
		t->is_dead = 1;
		return;
	}
	/* A destination may have refused only this chunk of its message. */
	if (q->verb == VERB_BDAT && e->reply.code >= 400 && e->txn_now == -1)
		e->has_gap = 1;
	t->is_delivered = e->reply.code < 300;
	smtp_txn_end(e, q->txn, t->is_delivered ? NULL : "refused");
}

static void
reply_to_auth(struct smtp_engine *e)
{
	reply_tell(e);
	if (e->reply.code != 334) {
		e->is_secret = 0;
		return;
	}
	if (e->has_ended[SMTP_CLIENT] || e->is_client_lost)
		smtp_over(e, "client closed inside AUTH");
	else
		e->state = SMTP_AUTH;
}

static void
reply_to_rset(struct smtp_engine *e, const struct smtp_queue_entry *q)
{
	reply_tell(e);
	if (e->reply.code < 300)
		smtp_txn_end(e, q->txn, "reset");
	else if (e->txn_now == -1 && !e->is_chunked &&
	    !smtp_queue_has_message(e))
		txn_stands(e, q->txn);
	else
		/* Whose is what was sent behind it?  Nobody can know. */
		smtp_over_421(e, "4.3.0", "protocol error of destination",
		    "RSET refused");
}

/* Behind a 220 nobody speaks SMTP in clear any more; else all stands. */
static void
reply_to_starttls(struct smtp_engine *e)
{
	reply_tell(e);
	if (e->reply.code == 220)
		smtp_opaque_expect(e);
}

/* The reply's own effect; the entry is out of the queue already. */
static void
reply_effect(struct smtp_engine *e, const struct smtp_queue_entry *q)
{
	switch (q->verb) {
	case VERB_HELO:
	case VERB_EHLO:
		reply_to_ehlo(e, q);
		break;
	case VERB_MAIL:
		reply_to_mail(e, q);
		break;
	case VERB_RCPT:
		reply_to_rcpt(e, q);
		break;
	case VERB_DATA:
		reply_to_data(e, q);
		break;
	case VERB_DOT:
	case VERB_BDAT:
		reply_to_message(e, q);
		break;
	case VERB_AUTH:
	case VERB_AUTH_LINE:
		reply_to_auth(e);
		break;
	case VERB_RSET:
		reply_to_rset(e, q);
		break;
	case VERB_STARTTLS:
		reply_to_starttls(e);
		break;
	case VERB_QUIT:
		reply_tell(e);
		smtp_over(e, "quit");
		break;
	default:
		reply_tell(e);
		break;
	}
}

/* What we have asked by ourselves: the client hears nothing of it. */
static void
reply_to_ours(struct smtp_engine *e, const struct smtp_queue_entry *q)
{
	if (q->verb == VERB_STARTTLS)
		smtp_tls_reply(e);
	else if (q->verb == VERB_XFORWARD && e->state == SMTP_WAIT &&
	    e->held.used > 0) {
		/* It is for the destination's log: no reason to refuse. */
		e->is_xforwarded = 1;
		smtp_command_go(e);
	}
}

/* 421 at any time is the destination's farewell: passed on, then the end. */
static void
reply_421(struct smtp_engine *e)
{
	const struct smtp_queue_entry	*q = smtp_queue_first(e);

	smtp_set_reason(e, "destination closed", e->reply.text,
	    e->reply.used);
	if (q != NULL)
		smtp_txn_reply(e, q->txn, e->reply.text, e->reply.used);
	reply_tell(e);
	smtp_over(e, "destination closed");
}

/* Commands that only probe count as the client's errors (max-errors). */
static void
reply_count(struct smtp_engine *e)
{
	char	line[SMTP_SAY_MAX];

	if (e->reply.code < 500 || e->reply.code > 504 ||
	    e->set->max_errors == 0 || ++e->nerrors < e->set->max_errors ||
	    e->is_done || e->state == SMTP_OVER)
		return;
	smtp_set_reason(e, "too many errors", NULL, 0);
	smtp_stop_reading(e);
	smtp_format(e, line, "421", "4.7.0", "too many errors");
	smtp_queue_say(e, line, QUEUE_CLOSE);
}

static void
reply_unasked(struct smtp_engine *e)
{
	smtp_set_reason(e, "unasked reply", e->reply.text, e->reply.used);
	smtp_over_421(e, "4.3.0", "protocol error of destination",
	    "unasked reply");
}

/*
 * A reply to what the destination can't have read, since not all of it was
 * sent yet.  To a message it may be a refusal, as inside of one; else nobody
 * asked for it.
 */
static void
reply_too_early(struct smtp_engine *e, const struct smtp_queue_entry *q)
{
	if (q->verb != VERB_DOT && q->verb != VERB_BDAT)
		reply_unasked(e);
	else if (e->reply.code < 400)
		smtp_dest_bad(e, "reply before the end of content");
	else if (e->queue_used == 1) {
		smtp_set_reason(e, "refused inside a message", e->reply.text,
		    e->reply.used);
		smtp_content_refuse(e, e->reply.text, e->reply.used,
		    "refused");
	} else {
		smtp_txn_reply(e, q->txn, e->reply.text, e->reply.used);
		smtp_txn_end(e, q->txn, "refused");
		reply_tell(e);
		smtp_queue_pop(e);
		smtp_over_421(e, "4.3.0", "closing connection", "refused");
	}
	smtp_reply_clear(&e->reply);
}

void
smtp_dest_reply(struct smtp_engine *e, struct smtp_input *i)
{
	struct smtp_queue_entry	*first = smtp_queue_first(e);
	struct smtp_queue_entry	 q;

	if (smtp_content_is_owed(e)) {
		smtp_dest_early(e, i);
		return;
	}
	if (e->reply.code == 421) {
		reply_421(e);
		return;
	}
	if (first == NULL) {
		reply_unasked(e);
		return;
	}
	if (smtp_queue_is_unsent(e, first)) {
		reply_too_early(e, first);
		return;
	}
	if (!smtp_verb_may_reply((enum smtp_verb)first->verb,
	    e->reply.code)) {
		smtp_dest_bad(e, smtp_verb_name((enum smtp_verb)first->verb));
		return;
	}
	q = *first;
	smtp_queue_pop(e);
	if (q.origin == ORIGIN_PROXY)
		reply_to_ours(e, &q);
	else {
		reply_effect(e, &q);
		if (!e->is_done)
			reply_count(e);
	}
	smtp_reply_clear(&e->reply);
}

/*
 * A reply while octets are still owed: no acceptance can be meant (2xx, 3xx
 * are malformed); a refusal is the final reply, once the client has sent all.
 */
void
smtp_dest_early(struct smtp_engine *e, struct smtp_input *i)
{
	if (!smtp_content_is_owed(e)) {
		smtp_dest_reply(e, i);
		return;
	}
	if (e->reply.code < 400) {
		smtp_dest_bad(e, "reply before the end of content");
		return;
	}
	smtp_set_reason(e, "refused inside a message", e->reply.text,
	    e->reply.used);
	smtp_content_refuse(e, e->reply.text, e->reply.used, "refused");
	smtp_reply_clear(&e->reply);
}

/* Nothing was said to the client yet: the next choice, silently. */
void
smtp_dest_next(struct smtp_engine *e, struct smtp_input *i)
{
	(void)i;
	e->dest = DEST_NONE;
	e->turn_ms = e->now_ms;
	e->events |= EVENT_NEXT_CHOICE;
	e->prelude = PRELUDE_GREETING;
	e->is_tls[SMTP_DEST] = e->is_dest_verified = 0;
	e->attrs = 0;
	smtp_reply_clear(&e->known);
	buf_clear(&e->said);
	buf_clear(&e->out[SMTP_DEST]);
	smtp_line_clear(&e->line[SMTP_DEST]);
	smtp_reply_clear(&e->reply);
}

void
smtp_dest_gone(struct smtp_engine *e, struct smtp_input *i)
{
	if (smtp_content_is_owed(e)) {
		smtp_dest_gone_content(e, i);
		return;
	}
	smtp_over_421(e, "4.4.2", "lost connection with destination",
	    i->reason);
}

void
smtp_dest_gone_content(struct smtp_engine *e, struct smtp_input *i)
{
	char	line[SMTP_SAY_MAX];

	if (!smtp_content_is_owed(e)) {
		/* Replies before this chunk's are due: the oldest hears. */
		smtp_over_421(e, "4.4.2", "lost connection with destination",
		    i->reason);
		return;
	}
	smtp_format(e, line, "421", "4.4.2",
	    "lost connection with destination");
	smtp_content_refuse(e, line, strlen(line), i->reason);
}
