#ifndef ENGINE_PLAY_H
#define ENGINE_PLAY_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine_seen.h"

/*
 * The session's part for tests of the engine: the steps that smtp_engine.h
 * asks for, with a client and a destination made of memory.  Input is handed
 * over in blocks of exactly its size, so that the sanitizers see an octet too
 * many, and a block stays for as long as pass[] points into it and no longer.
 */
#define PLAY_CLOSED	'c'		/* events seen, as letters */
#define PLAY_NEXT	'n'
#define PLAY_OVER	'o'
#define PLAY_WIPE	'w'
#define PLAY_SHUT_DEST	's'
#define PLAY_SHUT_CLIENT 'S'
#define PLAY_TLS_CLIENT	't'
#define PLAY_TLS_DEST	'T'

struct play_text {
	uint8_t	*data;
	size_t	 used;
	size_t	 size;
};

struct play_side {
	struct play_text in;		/* not taken yet */
	struct play_text got;		/* what was sent to that side */
	uint8_t		*block;		/* of the last feed, while in use */
	size_t		 blocklen;
	int		 has_end;	/* its FIN comes behind `in` */
	int		 is_end_told;
	int		 is_blocked;	/* takes nothing */
	int		 wants_shut;	/* our end goes there behind all */
	int		 is_shut;
};

struct play {
	struct smtp_engine	 e;
	struct smtp_settings	 set;
	struct buf_pool		 pool;
	struct play_side	 side[SMTP_SIDES];
	int64_t			 now_ms;
	int			 is_bypass;
	enum smtp_client_tls	 client_tls;
	struct smtp_identity_facts who;
	size_t			 send_max;	/* octets a send, 0: all */
	unsigned int		 async;		/* bit: stage not answered */
	enum smtp_answer	 answer[SMTP_STAGES];
	const char		*reply[SMTP_STAGES];
	unsigned int		 asked[SMTP_STAGES];	/* counts */
	struct smtp_question	 question;	/* the last one */
	unsigned int		 events;	/* since the last look */
	int			 is_dest_closed;
	int			 is_over;
	struct play_text	 ended;		/* transactions, as text */
	/* Called for each transaction that has ended; may be NULL. */
	void			(*on_ended)(struct play *,
				    const struct smtp_txn *);
};

static inline void
play_die(const char *what)
{
	(void)fprintf(stderr, "engine_play: %s\n", what);
	abort();
}

static inline void
play_add(struct play_text *t, const void *octets, size_t len)
{
	if (t->size - t->used < len) {
		t->size = (t->used + len) * 2;
		if ((t->data = realloc(t->data, t->size)) == NULL)
			play_die("out of memory");
	}
	if (len > 0)
		memcpy(t->data + t->used, octets, len);
	t->used += len;
}

static inline void
play_drop(struct play_text *t, size_t n)
{
	t->used -= n;
	if (t->used > 0)
		memmove(t->data, t->data + n, t->used);
}

static inline void
play_settings(struct smtp_settings *set)
{
	static const int64_t	timeouts[SMTP_TIMEOUTS] = {
		30000, 300000, 300000, 300000, 300000, 120000, 180000,
		900000, 300000, 0, 0, 30000
	};

	memset(set, 0, sizeof(*set));
	set->hostname = "gw.example.org";
	set->ehlo.remove = EHLO_STARTTLS | EHLO_REQUIRETLS;
	memcpy(set->timeout_ms, timeouts, sizeof(timeouts));
}

/* What must hold after every call, whatever the peers said. */
static inline void
play_check(const struct play *p)
{
	const struct smtp_engine	*e = &p->e;
	const struct play_side		*x;
	int				 i;

	if (e->state >= SMTP_STATES || e->queue_used > SMTP_QUEUE_MAX)
		play_die("bad state");
	if (e->out[SMTP_DEST].used > SMTP_OUT_DEST_MAX ||
	    e->out[SMTP_CLIENT].used > SMTP_OUT_CLIENT_MAX ||
	    e->held.used > SMTP_CMD_AUTH_MAX ||
	    e->said.used > SMTP_REPLY_MAX + SMTP_SAY_MAX ||
	    e->line[SMTP_CLIENT].size > SMTP_CMD_AUTH_MAX + 64 ||
	    e->line[SMTP_DEST].size > SMTP_REPLY_LINE_MAX + 64 ||
	    e->reply.used > SMTP_REPLY_MAX)
		play_die("memory above its bound");
	if (e->passlen[SMTP_CLIENT] != 0 && e->state != SMTP_OPAQUE)
		play_die("pass to the client");
	for (i = 0; i < SMTP_SIDES; i++) {
		x = &p->side[1 - i];
		if (e->passlen[i] > 0 && (x->block == NULL ||
		    e->pass[i] < x->block || e->passlen[i] >
		    (size_t)(x->block + x->blocklen - e->pass[i])))
			play_die("pass outside of the input");
		if (e->dest == DEST_GONE && e->passlen[i] > 0)
			play_die("pass, and the destination is gone");
	}
	if (e->dest == DEST_GONE && e->out[SMTP_DEST].used > 0)
		play_die("octets to a destination that is gone");
	if (e->is_done && (e->queue_used > 0 || e->has_question))
		play_die("over with something left");
}

static inline void
play_answer(struct play *p, enum smtp_answer a, const char *reply)
{
	smtp_engine_answer(&p->e, p->question.number, a, reply, p->now_ms);
	play_check(p);
}

static inline int
play_questions(struct play *p)
{
	int	moved = 0;

	while (smtp_engine_question(&p->e, &p->question)) {
		enum smtp_stage	stage = p->question.stage;

		if (p->async & (1U << stage))
			break;
		p->asked[stage]++;
		play_answer(p, p->answer[stage], p->reply[stage]);
		moved = 1;
	}
	return moved;
}

static inline void
play_block_free(struct play_side *x)
{
	free(x->block);
	x->block = NULL;
	x->blocklen = 0;
}

static inline void
play_obey(struct play *p)
{
	unsigned int	events = smtp_engine_events(&p->e);

	p->events |= events;
	if (events & (EVENT_CLOSE_DEST | EVENT_NEXT_CHOICE)) {
		p->side[SMTP_DEST].in.used = 0;
		p->side[SMTP_DEST].has_end = 0;
		play_block_free(&p->side[SMTP_DEST]);
		p->is_dest_closed = 1;
	}
	p->side[SMTP_DEST].wants_shut |= (events & EVENT_SHUT_DEST) != 0;
	p->side[SMTP_CLIENT].wants_shut |= (events & EVENT_SHUT_CLIENT) != 0;
	if (events & EVENT_OVER)
		p->is_over = 1;
}

static inline int
play_send(struct play *p, enum smtp_side to)
{
	struct smtp_engine	*e = &p->e;
	struct play_side	*x = &p->side[to];
	size_t			 max = p->send_max, n, sent;

	if (e->out[to].used + e->passlen[to] == 0) {
		x->is_shut |= x->wants_shut;
		return 0;
	}
	if (x->is_shut)
		play_die("octets behind our end");
	if (to == SMTP_DEST && p->is_dest_closed)
		play_die("octets to a destination that was closed");
	if (x->is_blocked) {
		smtp_engine_sent(e, to, 0, 1, p->now_ms);
		return 0;
	}
	if (max == 0)
		max = SIZE_MAX;
	n = e->out[to].used < max ? e->out[to].used : max;
	sent = n;
	play_add(&x->got, buf_head(&e->out[to]), n);
	buf_drop(&e->out[to], n);
	max -= n;
	n = e->passlen[to] < max ? e->passlen[to] : max;
	if (n > 0) {
		play_add(&x->got, e->pass[to], n);
		e->pass[to] += n;
		e->passlen[to] -= n;
	}
	sent += n;
	smtp_engine_sent(e, to, sent,
	    e->out[to].used + e->passlen[to] > 0, p->now_ms);
	return sent > 0;
}

static inline void
play_ended(struct play *p)
{
	struct smtp_txn	*t;
	char		 text[512];

	while ((t = smtp_engine_ended(&p->e)) != NULL) {
		if (t->is_delivered != (t->reason == NULL))
			play_die("delivered and a reason, or neither");
		if (p->on_ended != NULL)
			p->on_ended(p, t);
		(void)snprintf(text, sizeof(text), "%u %s %u/%u %llu %s: %s;",
		    t->number, t->from == NULL ? "?" : t->from, t->nrcpt,
		    t->nrcpt_refused, (unsigned long long)t->size,
		    t->is_delivered ? "ok" : t->reason,
		    t->reply == NULL ? "-" : t->reply);
		play_add(&p->ended, text, strlen(text));
		smtp_engine_free_txn(&p->e, t);
	}
}

static inline int
play_feed(struct play *p, enum smtp_side from)
{
	struct play_side	*x = &p->side[from];
	size_t			 n;

	if (x->block != NULL) {
		if (p->e.passlen[1 - from] > 0)
			return 0;
		play_block_free(x);
	}
	if (x->in.used == 0) {
		if (!x->has_end || x->is_end_told)
			return 0;
		x->is_end_told = 1;
		(void)smtp_engine_feed(&p->e, from, NULL, 0, p->now_ms);
		play_check(p);
		return 1;
	}
	if ((x->block = malloc(x->in.used)) == NULL)
		play_die("out of memory");
	memcpy(x->block, x->in.data, x->in.used);
	x->blocklen = x->in.used;
	n = smtp_engine_feed(&p->e, from, x->block, x->blocklen, p->now_ms);
	if (n > x->blocklen)
		play_die("more taken than given");
	play_check(p);
	play_drop(&x->in, n);
	if (p->e.passlen[1 - from] == 0)
		play_block_free(x);
	return n > 0;
}

/* All the steps, until nothing moves. */
static inline void
play_run(struct play *p)
{
	int	moved, i;

	do {
		moved = play_questions(p);
		play_obey(p);
		for (i = 0; i < SMTP_SIDES; i++) {
			moved |= play_send(p, (enum smtp_side)i);
			play_ended(p);
			moved |= play_feed(p, (enum smtp_side)i);
			moved |= play_questions(p);
			play_obey(p);
		}
		/* A timer that comes too early does nothing. */
		if (smtp_engine_deadline(&p->e) > p->now_ms)
			smtp_engine_timeout(&p->e, p->now_ms);
		play_check(p);
	} while (moved);
	play_ended(p);
}

static inline void
play_give(struct play *p, enum smtp_side from, const void *octets, size_t len)
{
	if (from == SMTP_DEST && p->is_dest_closed)
		return;
	play_add(&p->side[from].in, octets, len);
	play_run(p);
}

static inline void
play_end(struct play *p, enum smtp_side from)
{
	if (from == SMTP_DEST && p->is_dest_closed)
		return;
	p->side[from].has_end = 1;
	play_run(p);
}

static inline void
play_lost(struct play *p, enum smtp_side from)
{
	if (from == SMTP_DEST && p->is_dest_closed)
		return;
	smtp_engine_lost(&p->e, from, "connection lost", p->now_ms);
	play_check(p);
	play_run(p);
}

static inline void
play_connected(struct play *p)
{
	smtp_engine_preamble(&p->e, p->now_ms);
	play_check(p);
	smtp_engine_connected(&p->e, p->now_ms);
	play_run(p);
}

/* A handshake is done, or has failed; nothing may be left in clear. */
static inline void
play_tls(struct play *p, enum smtp_side side, int is_up, int is_verified)
{
	if (p->e.out[side].used > 0)
		play_die("TLS with something left in clear");
	if (is_up)
		smtp_engine_tls_up(&p->e, side, is_verified, p->now_ms);
	else
		smtp_engine_tls_failed(&p->e, side, "TLS failed", p->now_ms);
	play_check(p);
	play_run(p);
}

/* A destination is there (again). */
static inline void
play_connect(struct play *p)
{
	smtp_engine_connecting(&p->e, p->now_ms);
	p->is_dest_closed = 0;
	p->side[SMTP_DEST].is_end_told = 0;
	play_check(p);
	play_connected(p);
}

static inline void
play_wait(struct play *p, int64_t ms)
{
	p->now_ms += ms;
	if (smtp_engine_deadline(&p->e) <= p->now_ms)
		smtp_engine_timeout(&p->e, p->now_ms);
	play_check(p);
	play_run(p);
}

/* p->set may be changed between the two. */
static inline void
play_init(struct play *p)
{
	memset(p, 0, sizeof(*p));
	play_settings(&p->set);
	buf_pool_init(&p->pool, 4, 2);
	p->now_ms = 1000000;
}

static inline void
play_start(struct play *p)
{
	smtp_engine_init(&p->e, &p->set, &p->pool, p->now_ms);
	smtp_engine_set_client(&p->e, p->client_tls,
	    p->who.client == NULL ? NULL : &p->who);
	if (p->is_bypass)
		smtp_engine_bypass(&p->e, p->now_ms);
	play_check(p);
	play_run(p);
}

static inline void
play_clear(struct play *p)
{
	int	i;

	smtp_engine_clear(&p->e);
	for (i = 0; i < SMTP_SIDES; i++) {
		play_block_free(&p->side[i]);
		free(p->side[i].in.data);
		free(p->side[i].got.data);
	}
	free(p->ended.data);
	if (p->pool.nused != 0)
		play_die("memory of the pool is still lent out");
	buf_pool_clear(&p->pool);
}

#endif
