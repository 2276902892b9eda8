#ifndef SOAK_PLAN_H
#define SOAK_PLAN_H

#include <sys/types.h>

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "soak.h"

/*
 * What a session of the soak is going to do, all of it known before: it comes
 * from the seed and the session's number alone, whatever happens meanwhile.
 */

enum soak_kind {
	SOAK_NORMAL,
	SOAK_ABORT,		/* leaves at one point of the dialogue */
	SOAK_BANNER,		/* greeting and QUIT */
	SOAK_IDLE,		/* says nothing for long */
	SOAK_GARBAGE,		/* is no client, or a hostile one */
	SOAK_SLOW_WRITE,	/* sends few octets at a time */
	SOAK_SLOW_READ,		/* asks for much, and reads slowly */
	SOAK_KINDS
};

enum soak_tls {
	SOAK_CLEAR,
	SOAK_STARTTLS,
	SOAK_IMPLICIT
};

/* Where an abort comes: behind what is said there, or within it. */
enum soak_point {
	POINT_CONNECT,
	POINT_EHLO,
	POINT_STARTTLS,
	POINT_HELLO,		/* the client's first message of TLS */
	POINT_NO_TLS,		/* octets in its place that are none */
	POINT_MAIL,
	POINT_RCPT,
	POINT_DATA,
	POINT_BODY,
	POINT_END,		/* the whole message is out */
	POINTS
};

enum soak_way {
	WAY_CLOSE,
	WAY_RESET,
	WAY_HALF,		/* our end, and reading goes on */
	WAYS
};

enum soak_garbage {
	GARBAGE_EARLY,		/* noise before the greeting */
	GARBAGE_HELLO,		/* TLS where there is none */
	GARBAGE_HTTP,
	GARBAGE_LINE,		/* one that does not end */
	GARBAGE_VERBS,		/* commands that are none */
	GARBAGE_SYNTAX,
	GARBAGE_INJECT,		/* a command behind STARTTLS */
	GARBAGE_HALF,		/* half a command */
	GARBAGE_CHUNK,		/* more announced than is sent */
	GARBAGES
};

struct soak_plan {
	enum soak_kind	 kind;
	enum soak_tls	 tls;
	uint32_t	 target;	/* random; the ports are the caller's */
	int		 is_tls12;
	int		 is_resumed;
	int		 is_pipelined;
	uint32_t	 messages;
	uint32_t	 abort_message;
	enum soak_point	 point;
	enum soak_way	 way;
	enum soak_garbage garbage;
	uint32_t	 idle_ms;
	uint32_t	 noise;		/* octets, or commands */
};

#define SOAK_FAULT_NONE	'n'

/* A message; the fault is one that the destination is asked for. */
struct soak_message {
	uint32_t	 target;	/* octets, about */
	int		 is_bdat;
	int		 is_dirty;	/* holds what no message may hold */
	uint32_t	 chunk;		/* octets of each, about */
	uint32_t	 recipients;
	char		 what;
	char		 stage;
	uint32_t	 ms;
	int		 has_noop;
	int		 has_rset;	/* MAIL and RSET in front of it */
	int		 has_size;	/* SIZE= */
	uint32_t	 abort_permille;	/* of the octets */
};

static inline struct soak_rng
soak_rng_for(uint32_t seed, uint32_t session, uint32_t message)
{
	struct soak_rng	r;

	r.state = (uint64_t)seed << 32 ^ (uint64_t)session << 8 ^ message;
	/* Seeds that are near each other shall not look alike. */
	r.state = soak_random(&r);
	return r;
}

static inline enum soak_kind
soak_kind_of(uint32_t percent)
{
	static const uint32_t	share[SOAK_KINDS] = {
		[SOAK_NORMAL] = 62, [SOAK_ABORT] = 16, [SOAK_BANNER] = 6,
		[SOAK_IDLE] = 2, [SOAK_GARBAGE] = 8, [SOAK_SLOW_WRITE] = 3,
		[SOAK_SLOW_READ] = 3
	};
	uint32_t		kind;

	for (kind = 0; kind < SOAK_KINDS - 1; kind++) {
		if (percent <= share[kind])
			break;
		percent -= share[kind];
	}
	return (enum soak_kind)kind;
}

static inline uint32_t
soak_count_of(struct soak_rng *r)
{
	uint32_t	percent = soak_between(r, 1, 100);

	if (percent <= 60)
		return 1;
	return percent <= 90 ? soak_between(r, 2, 5) : soak_between(r, 6, 20);
}

static inline void
soak_plan_session(struct soak_plan *p, uint32_t seed, uint32_t session)
{
	struct soak_rng	r = soak_rng_for(seed, session, 0);
	uint32_t	percent;

	memset(p, 0, sizeof(*p));
	p->kind = soak_kind_of(soak_between(&r, 1, 100));
	percent = soak_between(&r, 1, 100);
	p->tls = percent <= 50 ? SOAK_CLEAR : percent <= 85 ? SOAK_STARTTLS :
	    SOAK_IMPLICIT;
	p->target = (uint32_t)soak_random(&r);
	p->is_tls12 = soak_percent(&r, 30);
	p->is_resumed = soak_percent(&r, 50);
	p->is_pipelined = soak_percent(&r, 40);
	p->messages = soak_count_of(&r);
	p->abort_message = soak_between(&r, 0, p->messages - 1);
	p->point = (enum soak_point)soak_between(&r, 0, POINTS - 1);
	p->way = (enum soak_way)soak_between(&r, 0, WAYS - 1);
	p->garbage = (enum soak_garbage)soak_between(&r, 0, GARBAGES - 1);
	p->idle_ms = soak_between(&r, 1000, 30000);
	p->noise = soak_between(&r, 1, 200);
	/* Half of those that leave do so within a message. */
	if (soak_percent(&r, 50))
		p->point = POINT_BODY;
	if (p->kind == SOAK_ABORT && p->point >= POINT_STARTTLS &&
	    p->point <= POINT_NO_TLS)
		p->tls = SOAK_STARTTLS;
	if (p->kind == SOAK_GARBAGE && p->garbage != GARBAGE_SYNTAX)
		p->tls = SOAK_CLEAR;
}

static inline uint32_t
soak_size_of(struct soak_rng *r)
{
	uint32_t	percent = soak_between(r, 1, 100);

	if (percent <= 80)
		return soak_between(r, 100, 20000);
	return percent <= 97 ? soak_between(r, 20000, 500000) :
	    soak_between(r, 500000, 10 * 1024 * 1024);
}

static inline void
soak_plan_fault(struct soak_message *m, struct soak_rng *r)
{
	static const char	stages[] = { 'm', 'r', 'd', 'f' };
	uint32_t		permille = soak_between(r, 1, 1000);

	m->what = SOAK_FAULT_NONE;
	m->stage = stages[soak_between(r, 0, 3)];
	m->ms = soak_between(r, 1, 300);
	if (permille <= 40)
		m->what = 'w';
	else if (permille <= 90)
		m->what = permille % 2 == 0 ? '4' : '5';
	else if (permille <= 105)
		m->what = 'x';
	else if (permille <= 112) {
		m->what = 'a';
		m->stage = 'f';
	} else if (permille <= 120 && !m->is_bdat && m->target > 2000) {
		m->what = 'e';
		m->stage = 'b';
	} else if (permille <= 130 && m->target <= 200000) {
		m->what = 's';
		m->stage = 'b';
		m->ms = m->ms % 15 + 1;
	}
}

static inline void
soak_plan_message(struct soak_message *m, const struct soak_plan *p,
    uint32_t seed, uint32_t session, uint32_t number)
{
	struct soak_rng	r = soak_rng_for(seed, session, number + 1);

	memset(m, 0, sizeof(*m));
	m->target = soak_size_of(&r);
	if (p->kind == SOAK_SLOW_WRITE)
		m->target %= 8192;
	m->is_bdat = soak_percent(&r, 35);
	m->chunk = m->target / soak_between(&r, 1, 8) +
	    soak_between(&r, 1, 100);
	m->recipients = soak_percent(&r, 70) ? 1 : soak_between(&r, 2, 5);
	m->has_noop = soak_percent(&r, 5);
	m->has_rset = soak_percent(&r, 5);
	m->has_size = soak_percent(&r, 30);
	m->abort_permille = soak_between(&r, 0, 999);
	soak_plan_fault(m, &r);
	m->is_dirty = !m->is_bdat && m->what == SOAK_FAULT_NONE &&
	    soak_percent(&r, 3);
}

/* Whether the destination's connection ends in the course of the message. */
static inline int
soak_message_is_fatal(const struct soak_message *m)
{
	return m->what == 'x' || m->what == 'a' || m->what == 'e' ||
	    m->is_dirty;
}

/* No other one follows; behind slow reading the window stays small. */
static inline int
soak_message_is_last(const struct soak_message *m)
{
	return m->what == 's' || soak_message_is_fatal(m);
}

/* Does the destination refuse the envelope as a whole? */
static inline int
soak_message_is_refused(const struct soak_message *m)
{
	if (m->what != '4' && m->what != '5')
		return 0;
	return m->stage == 'm' || (m->stage == 'r' && m->recipients == 1);
}

/*
 * Content: headers of its own, then lines of a store that is the same for all
 * messages, from a place on that differs.
 */
#define SOAK_LINES	4096
#define SOAK_LINE_MAX	1000
#define SOAK_HEAD_MAX	128

struct soak_store {
	char		*octets;
	uint32_t	 start[SOAK_LINES + 1];
};

struct soak_content {
	const struct soak_store *store;
	char		 head[SOAK_HEAD_MAX];
	uint32_t	 head_used;
	uint32_t	 head_at;
	uint32_t	 line;		/* the one that comes next, or is
					 * under way */
	uint32_t	 at;		/* in it */
	uint32_t	 nlines;	/* left, with that one */
	uint64_t	 size;		/* in all, not stuffed */
	uint64_t	 left;
	uint64_t	 sum;		/* of what is out */
};

static inline uint32_t
soak_line_of(struct soak_rng *r, char *to)
{
	uint32_t	percent = soak_between(r, 1, 100), len, i;

	len = percent <= 10 ? 0 : percent <= 98 ? soak_between(r, 1, 100) :
	    soak_between(r, 100, SOAK_LINE_MAX - 2);
	for (i = 0; i < len; i++)
		to[i] = (char)soak_between(r, ' ', 0xfe);
	if (len > 0 && soak_percent(r, 8))
		to[0] = '.';
	memcpy(to + len, "\r\n", 2);
	return len + 2;
}

static inline void
soak_store_make(struct soak_store *store)
{
	struct soak_rng	r = { 1 };
	uint32_t	n;

	store->octets = malloc((size_t)SOAK_LINES * SOAK_LINE_MAX);
	if (store->octets == NULL)
		err(1, NULL);
	store->start[0] = 0;
	for (n = 0; n < SOAK_LINES; n++)
		store->start[n + 1] = store->start[n] + soak_line_of(&r,
		    store->octets + store->start[n]);
}

static inline uint32_t
soak_line_len(const struct soak_store *store, uint32_t line)
{
	return store->start[line + 1] - store->start[line];
}

static inline void
soak_content_begin(struct soak_content *c, const struct soak_store *store,
    const char *id, uint32_t first, uint32_t target)
{
	int		len;
	uint32_t	line;

	memset(c, 0, sizeof(*c));
	c->store = store;
	len = snprintf(c->head, sizeof(c->head),
	    "X-Soak-Id: %s\r\nSubject: soak\r\n\r\n", id);
	c->head_used = (uint32_t)len;
	c->size = c->head_used;
	c->line = line = first % SOAK_LINES;
	while (c->size < target) {
		c->size += soak_line_len(store, line);
		c->nlines++;
		line = (line + 1) % SOAK_LINES;
	}
	c->left = c->size;
	c->sum = SOAK_SUM_START;
}

/* The octets that come next in a row; NULL at the end. */
static inline const char *
soak_content_next(const struct soak_content *c, size_t *len)
{
	if (c->head_at < c->head_used) {
		*len = c->head_used - c->head_at;
		return c->head + c->head_at;
	}
	if (c->nlines == 0)
		return NULL;
	*len = soak_line_len(c->store, c->line) - c->at;
	return c->store->octets + c->store->start[c->line] + c->at;
}

static inline void
soak_content_took(struct soak_content *c, const char *octets, size_t len)
{
	c->sum = soak_sum(c->sum, octets, len);
	c->left -= len;
	if (c->head_at < c->head_used) {
		c->head_at += (uint32_t)len;
		return;
	}
	c->at += (uint32_t)len;
	if (c->at == soak_line_len(c->store, c->line)) {
		c->at = 0;
		c->line = (c->line + 1) % SOAK_LINES;
		c->nlines--;
	}
}

/*
 * As much as there is room for, but no more than `most` octets of content.
 *   is_stuffed  with the dots of DATA
 *   returns     octets at `to`, dots included
 */
static inline size_t
soak_content_fill(struct soak_content *c, char *to, size_t room,
    uint64_t most, int is_stuffed)
{
	const char	*octets;
	size_t		 len, n = 0;

	/* Room for a dot more. */
	while (n + 1 < room && most > 0 &&
	    (octets = soak_content_next(c, &len)) != NULL) {
		if (is_stuffed && c->head_at == c->head_used && c->at == 0 &&
		    *octets == '.')
			to[n++] = '.';
		if (len > room - n)
			len = room - n;
		if (len > most)
			len = (size_t)most;
		memcpy(to + n, octets, len);
		soak_content_took(c, octets, len);
		n += len;
		most -= len;
	}
	return n;
}

#endif
