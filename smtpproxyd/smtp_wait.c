/*
 * Time and questions: what the session waits for now, until when, and what
 * happens then (RFC 5321 4.5.3.2; DECISIONS, timeouts).  Part of the engine,
 * which has no clock: its caller asks for the deadline and comes back.
 */
#include "smtp_machine.h"

#include <string.h>

/* Whom the present wait is for. */
enum wait_kind {
	WAIT_NOBODY = 0,
	WAIT_CONNECT,		/* connection or greeting: the next choice */
	WAIT_CLIENT,
	WAIT_CLIENT_READ,	/* it does not take what we send */
	WAIT_DEST,
	WAIT_DEST_READ,		/* likewise, inside content */
	WAIT_OPAQUE,		/* for either side */
	WAIT_TLS,		/* a handshake */
	WAIT_LAST
};

struct wait {
	enum wait_kind	kind;
	enum smtp_timeout stage;
	int64_t		since_ms;
};

static int64_t
later(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

static enum smtp_timeout
wait_stage_of(enum smtp_verb verb)
{
	switch (verb) {
	case VERB_HELO:
	case VERB_EHLO:
		return SMTP_TIMEOUT_HELO;
	case VERB_RCPT:
		return SMTP_TIMEOUT_RCPT;
	case VERB_DATA:
		return SMTP_TIMEOUT_DATA;
	case VERB_BDAT:
	case VERB_DOT:
		return SMTP_TIMEOUT_DOT;
	default:
		return SMTP_TIMEOUT_MAIL;
	}
}

static void
wait_set(struct wait *w, enum wait_kind kind, enum smtp_timeout stage,
    int64_t since_ms)
{
	w->kind = kind;
	w->stage = stage;
	w->since_ms = since_ms;
}

static void
wait_for_content(const struct smtp_engine *e, struct wait *w)
{
	if (e->is_dest_blocked)
		wait_set(w, WAIT_DEST_READ, SMTP_TIMEOUT_BLOCK,
		    later(e->sent_ms[SMTP_DEST], e->turn_ms));
	else
		wait_set(w, WAIT_CLIENT, SMTP_TIMEOUT_BLOCK,
		    later(e->progress_ms[SMTP_CLIENT], e->turn_ms));
}

static void
wait_for_reply(const struct smtp_engine *e, struct wait *w)
{
	const struct smtp_queue_entry	*q = smtp_queue_look(e, 0);
	int64_t				 since;

	since = later(e->turn_ms, e->progress_ms[SMTP_DEST]);
	since = later(since, e->sent_ms[SMTP_DEST]);
	wait_set(w, WAIT_DEST, wait_stage_of((enum smtp_verb)q->verb), since);
}

static void
wait_for_connection(const struct smtp_engine *e, struct wait *w)
{
	if (e->dest == DEST_TLS ||
	    (e->dest == DEST_CONNECTING && e->is_shaking))
		wait_set(w, WAIT_CONNECT, SMTP_TIMEOUT_TLS, e->turn_ms);
	/* None: the parent was asked for the next one. */
	else if (e->dest == DEST_CONNECTING || e->dest == DEST_NONE)
		wait_set(w, WAIT_CONNECT, SMTP_TIMEOUT_CONNECT, e->turn_ms);
	else if (e->dest == DEST_GREETING)
		wait_set(w, WAIT_CONNECT, SMTP_TIMEOUT_GREETING,
		    later(e->turn_ms, e->progress_ms[SMTP_DEST]));
}

/*
 * Nobody knows whose turn it is: the destination may be thinking about a
 * message, so that is how long it takes.
 */
static void
wait_for_octets(const struct smtp_engine *e, struct wait *w)
{
	int64_t	since = e->turn_ms;
	int	i;

	for (i = 0; i < SMTP_SIDES; i++) {
		since = later(since, e->progress_ms[i]);
		since = later(since, e->sent_ms[i]);
	}
	wait_set(w, WAIT_OPAQUE, SMTP_TIMEOUT_DOT, since);
}

static void
wait_now(const struct smtp_engine *e, struct wait *w)
{
	wait_set(w, WAIT_NOBODY, SMTP_TIMEOUT_COMMAND, 0);
	if (e->is_done || e->has_question)
		return;
	if (e->state == SMTP_GREETING ||
	    (e->state == SMTP_OPAQUE && e->dest != DEST_READY))
		wait_for_connection(e, w);
	else if (e->state == SMTP_OPAQUE)
		wait_for_octets(e, w);
	else if (e->state == SMTP_TLS || e->dest == DEST_TLS)
		wait_set(w, WAIT_TLS, SMTP_TIMEOUT_TLS, e->turn_ms);
	else if (e->is_client_blocked)
		wait_set(w, WAIT_CLIENT_READ, SMTP_TIMEOUT_BLOCK,
		    e->sent_ms[SMTP_CLIENT]);
	else if (e->state == SMTP_CONTENT || e->state == SMTP_CHUNK ||
	    e->state == SMTP_SKIP_CONTENT || e->state == SMTP_SKIP_CHUNK)
		wait_for_content(e, w);
	else if (e->state == SMTP_LAST)
		wait_set(w, WAIT_LAST, SMTP_TIMEOUT_COMMAND, e->turn_ms);
	else if (e->queue_used > 0)
		wait_for_reply(e, w);
	else
		wait_set(w, WAIT_CLIENT, SMTP_TIMEOUT_COMMAND,
		    later(e->progress_ms[SMTP_CLIENT], e->turn_ms));
}

static int64_t
wait_deadline(const struct smtp_engine *e, const struct wait *w)
{
	int64_t	limit = e->set->timeout_ms[w->stage];

	if (w->kind == WAIT_NOBODY)
		return INT64_MAX;
	if (w->kind == WAIT_LAST)
		return w->since_ms + SMTP_LAST_MS;
	return limit == 0 ? INT64_MAX : w->since_ms + limit;
}

/*
 * Total times, of the session and of its open transactions.  They don't count
 * while the reply to a whole message is due: giving that up could make the
 * client send it twice, and the wait has its own limit (dot).
 */
static int64_t
total_deadline(const struct smtp_engine *e, int *is_message)
{
	int64_t	limit, when = INT64_MAX;
	int	i;

	*is_message = 0;
	if (e->is_done || smtp_queue_has_message(e))
		return when;
	if ((limit = e->set->timeout_ms[SMTP_TIMEOUT_SESSION]) != 0)
		when = e->start_ms + limit;
	if ((limit = e->set->timeout_ms[SMTP_TIMEOUT_MESSAGE]) == 0)
		return when;
	for (i = 0; i < SMTP_TXNS; i++) {
		const struct smtp_txn	*t = &e->txn[i];

		if (t->state != TXN_OPEN || t->start_ms + limit >= when)
			continue;
		when = t->start_ms + limit;
		*is_message = 1;
	}
	return when;
}

int64_t
smtp_engine_deadline(const struct smtp_engine *e)
{
	struct wait	w;
	int64_t		one, total;
	int		is_message;

	wait_now(e, &w);
	one = wait_deadline(e, &w);
	total = total_deadline(e, &is_message);
	return one < total ? one : total;
}

static void
timeout_dest(struct smtp_engine *e, const struct wait *w)
{
	static const char	text[] = "451 4.4.2 timeout: destination "
				    "takes no data";

	if (w->kind == WAIT_DEST_READ && smtp_content_is_owed(e))
		smtp_content_refuse(e, text, sizeof(text) - 1,
		    "timeout of destination");
	else
		smtp_over_451(e, "4.4.2", "timeout of destination",
		    "timeout of destination");
}

void
smtp_engine_timeout(struct smtp_engine *e, int64_t now_ms)
{
	struct smtp_input	i;
	struct wait		w;
	int			is_message;

	e->now_ms = now_ms;
	if (total_deadline(e, &is_message) <= now_ms) {
		smtp_over_421(e, "4.4.2", is_message ?
		    "message took too long" : "session took too long",
		    is_message ? "timeout message" : "timeout session");
		return;
	}
	wait_now(e, &w);
	if (wait_deadline(e, &w) > now_ms)
		return;
	switch (w.kind) {
	case WAIT_NOBODY:
		break;
	case WAIT_CONNECT:
		memset(&i, 0, sizeof(i));
		smtp_dest_next(e, &i);
		break;
	case WAIT_CLIENT:
		smtp_over_421(e, "4.4.2", "timeout", "timeout of client");
		break;
	case WAIT_CLIENT_READ:
		smtp_over(e, "timeout: client takes no replies");
		break;
	case WAIT_DEST:
	case WAIT_DEST_READ:
		timeout_dest(e, &w);
		break;
	case WAIT_OPAQUE:
		smtp_over(e, "timeout: no octets");
		break;
	case WAIT_TLS:
		smtp_over_421(e, "4.7.0", "timeout of TLS handshake",
		    "timeout of TLS handshake");
		break;
	case WAIT_LAST:
		smtp_over_421(e, "4.3.0", "closing connection", "refused");
		break;
	}
}

int
smtp_engine_question(const struct smtp_engine *e, struct smtp_question *q)
{
	struct smtp_cmd		 c;
	struct smtp_path	 p;
	struct smtp_mail_facts	 f;
	int			 is_mail;

	if (!e->has_question)
		return 0;
	memset(q, 0, sizeof(*q));
	q->number = e->question;
	q->stage = (enum smtp_stage)e->stage;
	if (e->txn_now != -1)
		q->nrcpt = e->txn[e->txn_now].nrcpt;
	if (q->stage == SMTP_STAGE_MESSAGE)
		q->size = e->data.size;
	if (e->held.used == 0)
		return 1;
	smtp_cmd_parse(&c, buf_head(&e->held), e->held.used);
	q->verb = c.verb;
	is_mail = c.verb == VERB_MAIL;
	if ((is_mail || c.verb == VERB_RCPT) && smtp_path_parse(&p,
	    is_mail ? PATH_FROM : PATH_TO, c.arg, c.arglen) == 0) {
		q->addr = p.addr;
		q->addrlen = p.addrlen;
		if (is_mail && smtp_mail_facts(&f, &p) == 0)
			q->size = f.size;
	}
	return 1;
}

/* Refused by policy: our reply in its turn, nothing goes out. */
static void
answer_refuse(struct smtp_engine *e, enum smtp_answer a, const char *reply)
{
	char	line[SMTP_SAY_MAX];

	if (e->stage == SMTP_STAGE_MESSAGE) {
		smtp_content_refuse(e, reply, strlen(reply), "policy");
		return;
	}
	if (e->stage == SMTP_STAGE_CONNECT) {
		smtp_tell_line(e, reply);
		smtp_over(e, "policy");
		return;
	}
	smtp_command_refuse(e, reply);
	if (a != ANSWER_CLOSE || e->is_done)
		return;
	smtp_set_reason(e, "policy", NULL, 0);
	if (e->state == SMTP_SKIP_CHUNK)
		smtp_queue_say(e, reply, 0);	/* its octets don't matter */
	smtp_stop_reading(e);
	smtp_format(e, line, "421", "4.7.0", "closing connection");
	smtp_queue_say(e, line, QUEUE_CLOSE);
}

void
smtp_engine_answer(struct smtp_engine *e, uint32_t number,
    enum smtp_answer a, const char *reply, int64_t now_ms)
{
	e->now_ms = now_ms;
	if (!e->has_question || number != e->question || e->is_done)
		return;
	e->has_question = 0;
	if (a != ANSWER_PASS)
		answer_refuse(e, a, reply);
	else if (e->stage == SMTP_STAGE_MESSAGE)
		smtp_content_finish(e);
	else if (e->stage != SMTP_STAGE_CONNECT)
		smtp_command_go(e);
	smtp_settle(e);
}
