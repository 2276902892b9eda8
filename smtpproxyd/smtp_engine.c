/*
 * The two-sided SMTP dialogue as a machine: one table of the client's states
 * against what can happen.  Runs in the worker; trusts neither side.  Pure:
 * octets and the time go in, octets and events come out, so that a session
 * can be replayed from a file.
 */
#include "smtp_machine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static smtp_step_fn	engine_end_now, engine_end_later, engine_end_auth,
			engine_end_content, engine_end_skip;

/*
 * The machine.  Every pair has an outcome.  Timeouts and questions have their
 * own tables of waits (smtp_wait.c), since they depend on more than the
 * client's state.  regress/MACHINE.md is printed from this.
 */
#define DO(step)	{ step, #step }
const struct smtp_cell smtp_machine[SMTP_STATES][SMTP_EVENTS] = {
	[SMTP_GREETING] = { DO(smtp_client_early), DO(engine_end_now),
	    DO(smtp_dest_greeting), DO(smtp_dest_next) },
	[SMTP_COMMAND] = { DO(smtp_client_command), DO(engine_end_later),
	    DO(smtp_dest_reply), DO(smtp_dest_gone) },
	[SMTP_HELD] = { DO(smtp_client_held), DO(engine_end_later),
	    DO(smtp_dest_reply), DO(smtp_dest_gone) },
	[SMTP_ASKED] = { DO(smtp_client_asked), DO(engine_end_later),
	    DO(smtp_dest_reply), DO(smtp_dest_gone) },
	[SMTP_WAIT] = { DO(smtp_client_hold), DO(engine_end_later),
	    DO(smtp_dest_reply), DO(smtp_dest_gone) },
	[SMTP_WAIT_STRICT] = { DO(smtp_client_strict), DO(engine_end_later),
	    DO(smtp_dest_reply), DO(smtp_dest_gone) },
	[SMTP_AUTH] = { DO(smtp_client_auth), DO(engine_end_auth),
	    DO(smtp_dest_reply), DO(smtp_dest_gone) },
	[SMTP_CONTENT] = { DO(smtp_content_feed), DO(engine_end_content),
	    DO(smtp_dest_early), DO(smtp_dest_gone_content) },
	[SMTP_CHUNK] = { DO(smtp_content_feed_chunk), DO(engine_end_content),
	    DO(smtp_dest_early), DO(smtp_dest_gone_content) },
	[SMTP_SKIP_CONTENT] = { DO(smtp_content_skip), DO(engine_end_skip),
	    DO(smtp_dest_ignore), DO(smtp_dest_ignore) },
	[SMTP_SKIP_CHUNK] = { DO(smtp_content_skip_chunk), DO(engine_end_skip),
	    DO(smtp_dest_reply), DO(smtp_dest_gone) },
	[SMTP_TLS_FIRST] = { DO(smtp_opaque_first), DO(engine_end_now),
	    DO(smtp_opaque_injected), DO(smtp_dest_gone) },
	[SMTP_TLS] = { DO(smtp_tls_octets), DO(engine_end_now),
	    DO(smtp_dest_reply), DO(smtp_dest_gone) },
	[SMTP_OPAQUE] = { DO(smtp_opaque_client), DO(smtp_opaque_client_end),
	    DO(smtp_opaque_dest), DO(smtp_opaque_dest_end) },
	[SMTP_LAST] = { DO(smtp_client_last), DO(engine_end_now),
	    DO(smtp_dest_ignore), DO(smtp_dest_ignore) },
	[SMTP_OVER] = { DO(smtp_client_drop), DO(engine_end_later),
	    DO(smtp_dest_reply), DO(smtp_dest_gone) }
};
#undef DO

const char *
smtp_event_name(enum smtp_event event)
{
	static const char *const names[SMTP_EVENTS] = {
		[ON_OCTETS] = "octets",
		[ON_CLIENT_END] = "client's end",
		[ON_REPLY] = "reply",
		[ON_DEST_END] = "destination's end"
	};

	return names[event];
}

void
smtp_engine_init(struct smtp_engine *e, const struct smtp_settings *set,
    struct buf_pool *pool, int64_t now_ms)
{
	memset(e, 0, sizeof(*e));
	e->set = set;
	e->now_ms = e->start_ms = e->turn_ms = now_ms;
	e->progress_ms[SMTP_CLIENT] = e->progress_ms[SMTP_DEST] = now_ms;
	e->sent_ms[SMTP_CLIENT] = e->sent_ms[SMTP_DEST] = now_ms;
	e->txn_now = -1;
	buf_init(&e->out[SMTP_CLIENT], pool, SMTP_OUT_CLIENT_MAX);
	buf_init(&e->out[SMTP_DEST], pool, SMTP_OUT_DEST_MAX);
	buf_init(&e->held, pool, SMTP_CMD_AUTH_MAX);
	buf_init(&e->said, pool, SMTP_REPLY_MAX + SMTP_SAY_MAX);
	smtp_line_init(&e->line[SMTP_CLIENT], SMTP_CMD_AUTH_MAX, 0);
	smtp_line_init(&e->line[SMTP_DEST], SMTP_REPLY_LINE_MAX, 1);
	smtp_reply_init(&e->reply);
	smtp_reply_init(&e->known);
	smtp_queue_push(e, VERB_GREETING, ORIGIN_CLIENT, 0, -1);
	e->dest = DEST_CONNECTING;
	smtp_ask(e, SMTP_STAGE_CONNECT);
}

void
smtp_engine_clear(struct smtp_engine *e)
{
	int	i;

	if (e->is_secret)
		buf_wipe(&e->out[SMTP_DEST]);
	for (i = 0; i < SMTP_SIDES; i++) {
		buf_clear(&e->out[i]);
		smtp_line_clear(&e->line[i]);
	}
	for (i = 0; i < SMTP_TXNS; i++)
		smtp_engine_free_txn(e, &e->txn[i]);
	smtp_clear_held(e);
	smtp_queue_clear(e);
	smtp_reply_clear(&e->reply);
	smtp_reply_clear(&e->known);
	free(e->helo);
	free(e->reason_text);
	e->helo = e->reason_text = NULL;
}

void
smtp_tell(struct smtp_engine *e, const void *text, size_t len)
{
	if (e->is_client_lost || e->is_mute || len == 0)
		return;
	/* Whoever tells has more to do: the end comes when it is done. */
	if (e->has_failed || buf_add(&e->out[SMTP_CLIENT], text, len) == -1)
		e->has_failed = 1;
}

void
smtp_tell_line(struct smtp_engine *e, const char *text)
{
	smtp_tell(e, text, strlen(text));
	smtp_tell(e, "\r\n", 2);
}

int
smtp_give(struct smtp_engine *e, const void *octets, size_t len)
{
	if (buf_add(&e->out[SMTP_DEST], octets, len) == -1) {
		smtp_over_nomem(e);
		return -1;
	}
	e->given += len;
	return 0;
}

void
smtp_clear_held(struct smtp_engine *e)
{
	if (e->is_secret)
		buf_wipe(&e->held);
	else
		buf_clear(&e->held);
}

void
smtp_format(struct smtp_engine *e, char *line, const char *code,
    const char *enhanced, const char *text)
{
	(void)snprintf(line, SMTP_SAY_MAX, "%s %s %s %s", code, enhanced,
	    e->set->hostname, text);
}

void
smtp_set_reason(struct smtp_engine *e, const char *reason, const void *text,
    size_t len)
{
	const uint8_t	*end;

	if (e->reason != NULL)
		return;
	e->reason = reason;
	if (text == NULL || e->is_secret)
		return;			/* it may quote a credential */
	if ((end = memchr(text, '\r', len)) != NULL)
		len = (size_t)(end - (const uint8_t *)text);
	if (len > SMTP_TEXT_MAX)
		len = SMTP_TEXT_MAX;
	if ((e->reason_text = malloc(len + 1)) == NULL)
		return;			/* the log does without */
	memcpy(e->reason_text, text, len);
	e->reason_text[len] = '\0';
}

void
smtp_close_dest(struct smtp_engine *e)
{
	int	i;

	if (e->dest == DEST_GONE)
		return;
	e->dest = DEST_GONE;
	e->events |= EVENT_CLOSE_DEST;
	e->is_dest_blocked = 0;
	/* What was to go there in place, and what came from there. */
	for (i = 0; i < SMTP_SIDES; i++) {
		e->pass[i] = NULL;
		e->passlen[i] = 0;
	}
	if (e->is_secret)
		buf_wipe(&e->out[SMTP_DEST]);
	buf_clear(&e->out[SMTP_DEST]);
	smtp_line_clear(&e->line[SMTP_DEST]);
	smtp_reply_clear(&e->reply);
}

void
smtp_over(struct smtp_engine *e, const char *reason)
{
	int	i;

	if (e->is_done)
		return;
	smtp_set_reason(e, reason, NULL, 0);
	smtp_close_dest(e);
	for (i = 0; i < SMTP_TXNS; i++)
		smtp_txn_end(e, i, e->reason);
	smtp_queue_clear(e);
	smtp_line_clear(&e->line[SMTP_CLIENT]);
	smtp_clear_held(e);
	e->has_question = 0;
	e->state = SMTP_OVER;
	e->is_done = 1;
	e->events |= EVENT_OVER;
}

void
smtp_over_421(struct smtp_engine *e, const char *enhanced, const char *text,
    const char *reason)
{
	char			 line[SMTP_SAY_MAX];
	struct smtp_queue_entry	*q;

	if (e->is_done)
		return;
	smtp_format(e, line, "421", enhanced, text);
	if ((q = smtp_queue_first(e)) != NULL)
		smtp_txn_reply(e, q->txn, line, strlen(line));
	smtp_tell_line(e, line);
	smtp_over(e, reason);
}

void
smtp_over_451(struct smtp_engine *e, const char *enhanced, const char *text,
    const char *reason)
{
	char			 line[SMTP_SAY_MAX];
	struct smtp_queue_entry	*q;

	if (e->is_done)
		return;
	if ((q = smtp_queue_first(e)) != NULL) {
		smtp_format(e, line, "451", enhanced, text);
		smtp_txn_reply(e, q->txn, line, strlen(line));
		smtp_tell_line(e, line);
		smtp_queue_pop(e);
	}
	smtp_over_421(e, enhanced, "closing connection", reason);
}

void
smtp_over_nomem(struct smtp_engine *e)
{
	smtp_over_421(e, "4.3.0", "out of memory", "out of memory");
}

void
smtp_stop_reading(struct smtp_engine *e)
{
	if (smtp_content_is_open(e)) {
		smtp_queue_last(e)->flags |= QUEUE_VOID;
		e->pass[SMTP_DEST] = NULL;
		e->passlen[SMTP_DEST] = 0;
	}
	e->has_question = 0;
	e->state = SMTP_OVER;
	smtp_line_clear(&e->line[SMTP_CLIENT]);
	smtp_clear_held(e);
}

void
smtp_say_last(struct smtp_engine *e, const char *reply, const char *enhanced,
    const char *reason)
{
	char	line[SMTP_SAY_MAX];

	smtp_set_reason(e, reason, NULL, 0);
	smtp_stop_reading(e);
	smtp_queue_say(e, reply, 0);
	smtp_format(e, line, "421", enhanced, "closing connection");
	smtp_queue_say(e, line, QUEUE_CLOSE);
}

/* The client's end with nothing under way that it leaves unfinished. */
static void
engine_end_now(struct smtp_engine *e, struct smtp_input *i)
{
	(void)i;
	smtp_over(e, "client closed");
}

/* What was read is served first (DECISIONS, half-closed peers). */
static void
engine_end_later(struct smtp_engine *e, struct smtp_input *i)
{
	(void)i;
	smtp_line_clear(&e->line[SMTP_CLIENT]);
}

static void
engine_end_auth(struct smtp_engine *e, struct smtp_input *i)
{
	(void)i;
	smtp_over(e, "client closed inside AUTH");
}

/*
 * No end of content will be made up.  Replies that are due to what came
 * before, to a whole message perhaps, are still delivered.
 */
static void
engine_end_content(struct smtp_engine *e, struct smtp_input *i)
{
	static const char	reason[] = "client closed inside a message";

	(void)i;
	if (smtp_queue_first(e) == smtp_queue_last(e)) {
		smtp_over(e, reason);
		return;
	}
	smtp_set_reason(e, reason, NULL, 0);
	smtp_stop_reading(e);
}

static void
engine_end_skip(struct smtp_engine *e, struct smtp_input *i)
{
	(void)i;
	if (e->dest == DEST_GONE) {
		smtp_tell(e, buf_head(&e->said), e->said.used);
		smtp_over(e, "client closed inside a message");
		return;
	}
	smtp_set_reason(e, "client closed inside a message", NULL, 0);
	smtp_stop_reading(e);
}

/* Is the client between two messages, and nothing of an AUTH under way? */
static int
engine_is_between(const struct smtp_engine *e)
{
	return e->txn_now == -1 && (e->state == SMTP_COMMAND ||
	    e->state == SMTP_HELD || e->state == SMTP_WAIT ||
	    e->state == SMTP_WAIT_STRICT || e->state == SMTP_TLS_FIRST ||
	    e->state == SMTP_TLS);
}

void
smtp_settle(struct smtp_engine *e)
{
	smtp_queue_flush(e);
	if (e->has_failed)
		smtp_over(e, "out of memory");
	if (e->is_done || e->queue_used > 0 || e->dest == DEST_TLS)
		return;
	if (e->is_client_lost) {
		smtp_over(e, "client lost");
		return;
	}
	if (e->state == SMTP_OVER)
		smtp_over(e, "client closed");
	else if (e->is_stopping && engine_is_between(e))
		smtp_over_421(e, "4.3.2", "service shutting down",
		    "shutdown");
	else if (e->state == SMTP_HELD) {
		e->state = SMTP_COMMAND;
		smtp_command_take(e, buf_head(&e->held), e->held.used);
	} else if (e->state == SMTP_WAIT || e->state == SMTP_WAIT_STRICT)
		e->state = SMTP_COMMAND;
	if (e->state == SMTP_COMMAND && e->has_ended[SMTP_CLIENT] &&
	    e->queue_used == 0)
		smtp_over(e, "client closed");
}

/* May the client be read on?  At a stop nothing new is begun. */
static int
engine_is_ready(const struct smtp_engine *e)
{
	return e->passlen[SMTP_DEST] == 0 &&
	    (!e->has_question || e->state == SMTP_ASKED) &&
	    !(e->is_stopping && engine_is_between(e)) &&
	    e->queue_used < SMTP_QUEUE_MAX - SMTP_QUEUE_STEP &&
	    e->out[SMTP_DEST].used < SMTP_OUT_HIGH &&
	    e->out[SMTP_CLIENT].used < SMTP_OUT_HIGH;
}

static size_t
engine_feed_client(struct smtp_engine *e, const uint8_t *in, size_t len)
{
	struct smtp_input	i;
	size_t			taken = 0;
	unsigned int		was;

	while (taken < len && (engine_is_ready(e) || e->is_done)) {
		/* In the middle of a command there is no way out. */
		if (!e->is_done && smtp_queue_reserve(e) == -1)
			smtp_over_nomem(e);
		was = e->state;
		memset(&i, 0, sizeof(i));
		i.in = in + taken;
		i.len = len - taken;
		smtp_step(e, ON_OCTETS, &i);
		taken += i.taken;
		/* A fault is not taken, but read on from in another state. */
		if (i.taken == 0 && e->state == was)
			break;
	}
	return taken;
}

static size_t
engine_feed_dest(struct smtp_engine *e, const uint8_t *in, size_t len)
{
	struct smtp_input	i;
	size_t			taken = 0;

	while (taken < len && e->out[SMTP_CLIENT].used < SMTP_OUT_HIGH &&
	    e->passlen[SMTP_CLIENT] == 0 && smtp_engine_ended(e) == NULL &&
	    (e->dest == DEST_GREETING || e->dest == DEST_READY) &&
	    !(e->has_question && e->stage == SMTP_STAGE_CONNECT)) {
		memset(&i, 0, sizeof(i));
		i.in = in + taken;
		i.len = len - taken;
		if (smtp_opaque_is_raw(e))
			i.has_reply = 1;
		else
			smtp_dest_feed(e, &i);
		if (i.has_reply)
			smtp_step(e, ON_REPLY, &i);
		else
			smtp_settle(e);
		taken += i.taken;
		if (i.taken == 0)
			break;
	}
	if (e->dest == DEST_TLS && taken < len)
		smtp_tls_injected(e);
	/* What a destination said that is given up counts for nothing. */
	return e->dest == DEST_GONE || e->dest == DEST_NONE ? len : taken;
}

size_t
smtp_engine_feed(struct smtp_engine *e, enum smtp_side side,
    const uint8_t *in, size_t len, int64_t now_ms)
{
	struct smtp_input	i;
	size_t			taken;

	e->now_ms = now_ms;
	memset(&i, 0, sizeof(i));
	i.reason = "destination closed";
	if (len == 0 && !e->has_ended[side]) {
		e->has_ended[side] = 1;
		if (side == SMTP_CLIENT)
			smtp_step(e, ON_CLIENT_END, &i);
		else if (e->dest != DEST_GONE && e->dest != DEST_NONE)
			smtp_step(e, ON_DEST_END, &i);
		return 0;
	}
	if (side == SMTP_CLIENT)
		taken = engine_feed_client(e, in, len);
	else
		taken = engine_feed_dest(e, in, len);
	if (taken > 0)
		e->progress_ms[side] = now_ms;
	e->octets[side] += taken;
	return taken;
}

void
smtp_engine_lost(struct smtp_engine *e, enum smtp_side side,
    const char *reason, int64_t now_ms)
{
	struct smtp_input	i;

	e->now_ms = now_ms;
	if (e->is_done)
		return;
	if (side == SMTP_DEST) {
		memset(&i, 0, sizeof(i));
		i.reason = reason;
		/* Half of what passes unread is no use to the client. */
		if (e->state == SMTP_OPAQUE && e->dest == DEST_READY)
			smtp_over(e, reason);
		else if (e->dest != DEST_GONE && e->dest != DEST_NONE)
			smtp_step(e, ON_DEST_END, &i);
		return;
	}
	e->is_client_lost = 1;
	e->is_client_blocked = 0;	/* nobody waits for it any more */
	buf_clear(&e->out[SMTP_CLIENT]);
	smtp_set_reason(e, reason, NULL, 0);
	/* A message whose end is out: what became of it is worth a line. */
	if (smtp_queue_has_message(e)) {
		smtp_stop_reading(e);
		smtp_settle(e);
	} else
		smtp_over(e, reason);
}

void
smtp_engine_connected(struct smtp_engine *e, int64_t now_ms)
{
	e->now_ms = now_ms;
	if (e->is_done || e->dest != DEST_CONNECTING)
		return;
	if (e->opaque == OPAQUE_BYPASS) {
		smtp_opaque_connected(e);
		return;
	}
	e->dest = DEST_GREETING;
	e->turn_ms = now_ms;
}

void
smtp_engine_connecting(struct smtp_engine *e, int64_t now_ms)
{
	e->now_ms = now_ms;
	if (e->is_done)
		return;
	e->dest = DEST_CONNECTING;
	e->is_shaking = 0;
	e->has_ended[SMTP_DEST] = 0;
	e->turn_ms = now_ms;
}

void
smtp_engine_shaking(struct smtp_engine *e, int64_t now_ms)
{
	e->now_ms = now_ms;
	if (e->is_done || e->dest != DEST_CONNECTING)
		return;
	e->is_shaking = 1;
	e->turn_ms = now_ms;
}

void
smtp_engine_no_choice(struct smtp_engine *e, const char *reason,
    int64_t now_ms)
{
	e->now_ms = now_ms;
	smtp_over_421(e, "4.4.1", "destination not available", reason);
}

void
smtp_engine_stop(struct smtp_engine *e, int64_t now_ms)
{
	e->now_ms = now_ms;
	e->is_stopping = 1;
	if (e->state == SMTP_GREETING || e->state == SMTP_LAST ||
	    (e->state == SMTP_OPAQUE && e->dest != DEST_READY))
		smtp_over_421(e, "4.3.2", "service shutting down",
		    "shutdown");
	else
		smtp_settle(e);
}

void
smtp_engine_fail(struct smtp_engine *e, const char *reason, int64_t now_ms)
{
	e->now_ms = now_ms;
	smtp_over_421(e, "4.3.0", "service not available", reason);
}

void
smtp_engine_sent(struct smtp_engine *e, enum smtp_side side, size_t sent,
    int is_blocked, int64_t now_ms)
{
	uint8_t	*blocked = side == SMTP_DEST ? &e->is_dest_blocked :
		    &e->is_client_blocked;

	/* That it takes no more is news too: the wait begins here. */
	if (sent > 0 || (is_blocked && !*blocked))
		e->sent_ms[side] = now_ms;
	*blocked = is_blocked != 0;
	smtp_opaque_settle(e);
}

unsigned int
smtp_engine_events(struct smtp_engine *e)
{
	unsigned int	events = e->events;

	e->events = 0;
	return events;
}

void
smtp_ask(struct smtp_engine *e, enum smtp_stage stage)
{
	e->stage = (uint8_t)stage;
	e->question++;
	e->has_question = 1;
	if (stage != SMTP_STAGE_CONNECT)
		e->state = SMTP_ASKED;
}

const char *
smtp_state_name(enum smtp_state s)
{
	static const char *const names[SMTP_STATES] = {
		[SMTP_GREETING] = "greeting",
		[SMTP_COMMAND] = "command",
		[SMTP_HELD] = "held",
		[SMTP_ASKED] = "asked",
		[SMTP_WAIT] = "wait",
		[SMTP_WAIT_STRICT] = "wait-strict",
		[SMTP_AUTH] = "auth",
		[SMTP_CONTENT] = "content",
		[SMTP_CHUNK] = "chunk",
		[SMTP_SKIP_CONTENT] = "skip-content",
		[SMTP_SKIP_CHUNK] = "skip-chunk",
		[SMTP_TLS_FIRST] = "tls-first",
		[SMTP_TLS] = "tls",
		[SMTP_OPAQUE] = "opaque",
		[SMTP_LAST] = "last",
		[SMTP_OVER] = "over"
	};

	return names[s];
}
