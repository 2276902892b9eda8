/*
 * Message content on its way to the destination: DATA up to CRLF.CRLF, chunks
 * of BDAT counted, and what happens when it must be refused half-way.  Part
 * of the engine.  The end of a message leaves here only when all of it has
 * come and was found good (invariants 1 and 2 of the design).
 */
#include "smtp_machine.h"

#include <stdio.h>
#include <string.h>

static void
content_pass(struct smtp_engine *e, const uint8_t *in,
    const struct smtp_data_span *s)
{
	if (smtp_give(e, s->front, s->nfront) == -1 || s->pass == 0)
		return;
	e->pass[SMTP_DEST] = in;
	e->passlen[SMTP_DEST] = s->pass;
	e->given += s->pass;
}

int
smtp_content_is_open(const struct smtp_engine *e)
{
	return e->state == SMTP_CONTENT || e->state == SMTP_CHUNK ||
	    (e->state == SMTP_ASKED && e->stage == SMTP_STAGE_MESSAGE);
}

int
smtp_content_is_owed(const struct smtp_engine *e)
{
	return e->queue_used == 1 && smtp_content_is_open(e);
}

/* 354 has come. */
void
smtp_content_start(struct smtp_engine *e, int txn)
{
	smtp_queue_push(e, VERB_DOT, ORIGIN_CLIENT, 0, txn);
	smtp_data_start(&e->data, e->set->normalize_newlines);
	e->state = SMTP_CONTENT;
	e->progress_ms[SMTP_CLIENT] = e->now_ms;
	smtp_trace_data(e);
}

static int
content_is_too_big(const struct smtp_engine *e)
{
	return e->set->max_message_size != 0 &&
	    e->data.size > e->set->max_message_size;
}

static void
content_refuse_fault(struct smtp_engine *e, enum smtp_data_result r)
{
	char	line[SMTP_SAY_MAX];

	(void)snprintf(line, sizeof(line), "554 5.6.0 %s in message",
	    smtp_data_result_text(r));
	smtp_content_refuse(e, line, strlen(line), smtp_data_result_text(r));
}

/* Dropping has its bound too (DECISIONS, a refusal inside a message). */
static int
skip_is_too_much(struct smtp_engine *e)
{
	if (e->set->max_message_size == 0 ||
	    e->nskipped <= e->set->max_message_size)
		return 0;
	buf_clear(&e->said);
	smtp_over_421(e, "4.7.0", "too much data", "too much data");
	return 1;
}

static void
content_refuse_size(struct smtp_engine *e, enum smtp_data_result r)
{
	static const char	text[] = "552 5.3.4 message too big";

	smtp_content_refuse(e, text, sizeof(text) - 1, "message too big");
	e->nskipped = e->data.size - e->set->max_message_size;
	if (!e->is_done && !skip_is_too_much(e) && r == SMTP_DATA_END)
		smtp_content_skipped(e);
}

/* The end has come, and waits for the answer to the last question. */
static void
content_ask(struct smtp_engine *e)
{
	struct smtp_txn	*t;

	if ((t = smtp_txn_at(e, e->txn_now)) != NULL)
		t->content_ms = e->now_ms;
	smtp_ask(e, SMTP_STAGE_MESSAGE);
}

/* All octets of it are on their way; its reply is due. */
static void
content_complete(struct smtp_engine *e)
{
	struct smtp_queue_entry	*q = smtp_queue_last(e);
	struct smtp_txn		*t;

	q->end = e->given;
	if ((t = smtp_txn_at(e, q->txn)) != NULL)
		t->size = e->data.size;
	e->turn_ms = e->now_ms;
	e->state = e->has_pipelining ? SMTP_COMMAND : SMTP_WAIT;
}

/*
 * Content that is normalised comes in pieces, a line each at worst; as many
 * as there is room for go as copies, so that they are sent together.
 */
static int
content_copy(struct smtp_engine *e, const uint8_t *in,
    const struct smtp_data_span *s)
{
	if (buf_room(&e->out[SMTP_DEST]) <
	    s->nfront + s->pass + SMTP_DATA_FRONT)
		return 0;
	return smtp_give(e, s->front, s->nfront) == 0 &&
	    smtp_give(e, in, s->pass) == 0;
}

void
smtp_content_feed(struct smtp_engine *e, struct smtp_input *i)
{
	struct smtp_data_span	 s;
	enum smtp_data_result	 r;
	const uint8_t		*in;

	do {
		in = i->in + i->taken;
		r = smtp_data_feed(&e->data, in, i->len - i->taken, &s);
		i->taken += s.taken;
		if (content_is_too_big(e)) {
			content_refuse_size(e, r);
			return;
		}
		if (r != SMTP_DATA_MORE && r != SMTP_DATA_END) {
			content_refuse_fault(e, r);
			return;
		}
	} while (r == SMTP_DATA_MORE && i->taken < i->len &&
	    content_copy(e, in, &s));
	if (e->is_done)
		return;
	content_pass(e, in, &s);
	if (r == SMTP_DATA_END && !e->is_done)
		content_ask(e);
}

void
smtp_content_feed_chunk(struct smtp_engine *e, struct smtp_input *i)
{
	struct smtp_data_span	s;
	enum smtp_data_result	r;

	r = smtp_data_feed_chunk(&e->data, i->in, i->len, &s);
	i->taken = s.taken;
	if (r != SMTP_DATA_MORE && r != SMTP_DATA_END) {
		content_refuse_fault(e, r);
		return;
	}
	content_pass(e, i->in, &s);
	if (r != SMTP_DATA_END || e->is_done)
		return;
	if (e->data.is_last) {
		e->final_octet = i->in[s.taken - 1];
		e->has_final_octet = 1;
		content_ask(e);
	} else
		content_complete(e);
}

/*
 * From here on the destination may accept the message.  Where content in
 * front of the end is still to be sent, the end stands right behind it in the
 * input and goes with it; else it goes as a copy.
 */
void
smtp_content_finish(struct smtp_engine *e)
{
	size_t	n = e->has_final_octet ? 1 : 3;

	if (e->passlen[SMTP_DEST] > 0) {
		e->passlen[SMTP_DEST] += n;
		e->given += n;
	} else if (e->held.used > 0)		/* BDAT 0 LAST */
		(void)smtp_give(e, buf_head(&e->held), e->held.used);
	else if (e->has_final_octet)
		(void)smtp_give(e, &e->final_octet, 1);
	else
		(void)smtp_give(e, ".\r\n", 3);
	if (e->is_done)
		return;
	if (e->txn_now != -1)
		e->txn[e->txn_now].state = TXN_CLOSING;
	e->txn_now = -1;
	e->is_chunked = 0;
	e->has_final_octet = 0;
	buf_clear(&e->held);
	content_complete(e);
}

/*
 * Refuse a chunk by ourselves: its octets are still to come (RFC 3030 2), and
 * no later chunk may complete a message that lacks this one.
 */
void
smtp_bdat_refuse(struct smtp_engine *e, const char *reply)
{
	struct smtp_txn	*t = smtp_txn_at(e, e->txn_now);

	if (t != NULL)
		t->is_dead = 1;
	else
		e->has_gap = 1;
	buf_clear(&e->held);
	if (e->bdat.size == 0) {
		e->state = SMTP_COMMAND;
		smtp_queue_say(e, reply, 0);
		return;
	}
	if (buf_add(&e->held, reply, strlen(reply) + 1) == -1) {
		smtp_over_nomem(e);
		return;
	}
	e->data.left = e->bdat.size;
	e->state = SMTP_SKIP_CHUNK;
}

static const char *
bdat_refusal(struct smtp_engine *e, const struct smtp_cmd *c)
{
	struct smtp_txn	*t = smtp_txn_at(e, e->txn_now);
	const char	*refusal;
	uint64_t	 size = 0;

	if ((refusal = smtp_tls_refusal(e, c)) != NULL)
		return refusal;
	if (!(e->ehlo.passed & EHLO_CHUNKING))
		return "502 5.5.1 BDAT not offered";
	if (t != NULL ? t->is_dead : e->has_gap)
		return CHUNK_REFUSED;
	if (e->is_chunked)
		size = e->data.size;
	if (e->set->max_message_size != 0 &&
	    (size > e->set->max_message_size ||
	    e->bdat.size > e->set->max_message_size - size))
		return "552 5.3.4 message too big";
	return NULL;
}

void
smtp_bdat_bad(struct smtp_engine *e, const char *reply)
{
	smtp_say_last(e, reply, "4.7.0", "bad BDAT");
}

void
smtp_bdat_take(struct smtp_engine *e, const struct smtp_cmd *c, size_t len)
{
	char		 text[SMTP_SAY_MAX];
	const char	*refusal;
	struct smtp_txn	*t = smtp_txn_at(e, e->txn_now);

	if (len + 2 > smtp_verb_line_max(VERB_BDAT) ||
	    smtp_bdat_parse(&e->bdat, c->arg, c->arglen) == -1) {
		smtp_bdat_bad(e, "501 5.5.4 syntax: BDAT size [LAST]");
		return;
	}
	if ((refusal = bdat_refusal(e, c)) != NULL) {
		smtp_bdat_refuse(e, refusal);
		return;
	}
	/* What was parsed goes out, not what came. */
	(void)snprintf(text, sizeof(text), "BDAT %llu%s\r\n",
	    (unsigned long long)e->bdat.size, e->bdat.is_last ? " LAST" : "");
	buf_clear(&e->held);
	if (buf_add_str(&e->held, text) == -1) {
		smtp_over_nomem(e);
		return;
	}
	if (t == NULL || !t->has_bdat)
		smtp_ask(e, SMTP_STAGE_DATA);
	else
		smtp_bdat_forward(e);
}

void
smtp_bdat_forward(struct smtp_engine *e)
{
	struct smtp_txn	*t = smtp_txn_at(e, e->txn_now);

	if (t != NULL) {
		if (!t->has_bdat)
			smtp_trace_bdat(e);
		t->has_bdat = 1;
	}
	if (e->is_done)
		return;
	smtp_data_start_chunk(&e->data, e->bdat.size, !e->is_chunked,
	    e->bdat.is_last, t != NULL && t->is_binary);
	e->is_chunked = 1;
	if (e->bdat.is_last && e->bdat.size == 0) {
		if (e->data.has_cr && !e->data.is_binary) {
			smtp_bdat_refuse(e, "554 5.6.0 bare CR in message");
			return;
		}
		smtp_queue_push(e, VERB_BDAT, ORIGIN_CLIENT, QUEUE_LAST,
		    e->txn_now);
		content_ask(e);
		return;
	}
	if (smtp_give(e, buf_head(&e->held), e->held.used) == -1)
		return;
	buf_clear(&e->held);
	smtp_queue_push(e, VERB_BDAT, ORIGIN_CLIENT,
	    e->bdat.is_last ? QUEUE_LAST : 0, e->txn_now);
	e->progress_ms[SMTP_CLIENT] = e->now_ms;
	e->state = SMTP_CHUNK;
	if (e->bdat.size == 0)
		content_complete(e);
}

static void
refuse_txn(struct smtp_engine *e, const void *reply, size_t len,
    const char *reason)
{
	const struct smtp_queue_entry	*q = smtp_queue_last(e);
	int				 txn = q == NULL ? -1 : q->txn;

	if (txn == -1)
		return;
	e->txn[txn].size = e->data.size;
	smtp_txn_reply(e, txn, reply, len);
	smtp_txn_end(e, txn, reason);
}

void
smtp_content_refuse(struct smtp_engine *e, const void *reply, size_t len,
    const char *reason)
{
	int	is_chunk = e->state == SMTP_CHUNK;
	int	is_complete = !is_chunk && e->state != SMTP_CONTENT;

	smtp_set_reason(e, reason, NULL, 0);
	refuse_txn(e, reply, len, reason);
	if (e->queue_used > 1) {
		/* Chunks and commands before this one are still unanswered, a
		 * whole message perhaps: what became of it must be heard
		 * first.  Nothing more is sent, and the destination goes when
		 * its turn comes. */
		smtp_say_last(e, reply, "4.3.0", reason);
		return;
	}
	/* Copied first: it may be the destination's own, which goes with it. */
	smtp_queue_clear(e);
	if (buf_add(&e->said, reply, len) == -1 ||
	    (memchr(reply, '\n', len) == NULL &&
	    buf_add(&e->said, "\r\n", 2) == -1)) {
		smtp_over(e, "out of memory");
		return;
	}
	smtp_close_dest(e);
	buf_clear(&e->held);
	e->has_question = 0;
	e->has_final_octet = 0;
	e->nskipped = 0;
	e->turn_ms = e->now_ms;
	e->state = is_chunk ? SMTP_SKIP_CHUNK : SMTP_SKIP_CONTENT;
	if (is_complete)
		smtp_content_skipped(e);
}

/* The last dropped octet was taken: now the client hears why. */
void
smtp_content_skipped(struct smtp_engine *e)
{
	int	is_421;

	if (e->dest != DEST_GONE) {
		e->state = SMTP_COMMAND;
		smtp_queue_say(e, (const char *)buf_head(&e->held), 0);
		if (e->state == SMTP_COMMAND)
			buf_clear(&e->held);
		return;
	}
	is_421 = e->said.used >= 3 &&
	    memcmp(buf_head(&e->said), "421", 3) == 0;
	smtp_tell(e, buf_head(&e->said), e->said.used);
	buf_clear(&e->said);
	e->state = SMTP_LAST;
	e->turn_ms = e->now_ms;
	if (is_421)
		smtp_over(e, e->reason);
}

/* Octets of which it is not known yet whether they belong to the end. */
static size_t
content_held(const struct smtp_engine *e)
{
	switch (e->data.state) {
	case DATA_DOT:
	case DATA_CR:
		return 1;
	case DATA_DOT_CR:
		return 2;
	default:
		return 0;
	}
}

void
smtp_content_skip(struct smtp_engine *e, struct smtp_input *i)
{
	enum smtp_data_result	r;
	size_t			held = content_held(e);

	r = smtp_data_skip(&e->data, i->in, i->len, &i->taken);
	/* Counted as content is, so that the cuts make no difference. */
	held += i->taken;
	e->nskipped += held - (r == SMTP_DATA_END ? 3 : content_held(e));
	if (!skip_is_too_much(e) && r == SMTP_DATA_END)
		smtp_content_skipped(e);
}

/* This one has its bound in what was announced. */
void
smtp_content_skip_chunk(struct smtp_engine *e, struct smtp_input *i)
{
	if (smtp_data_skip_chunk(&e->data, i->len, &i->taken) == SMTP_DATA_END)
		smtp_content_skipped(e);
}
