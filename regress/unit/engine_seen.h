#ifndef ENGINE_SEEN_H
#define ENGINE_SEEN_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../smtpproxyd/smtp_machine.h"
#include "engine_moves.h"

/*
 * An observer of the machine's states.  smtp_step() stands here in place of
 * the engine's own, and the calls that change the state without an event go
 * through functions of this file.  Every move that is made must be declared
 * (engine_moves.h), in each test and in each input of the fuzzer; which ones
 * were made is kept.  One file of a program includes this.
 */
static uint32_t		seen_made[SMTP_STATES][MOVE_TABLE];
static unsigned int	seen_ends;	/* causes that ended one in any state */
static unsigned int	seen_at;	/* state, as far as it was followed */

static inline void
seen_die(unsigned int from, unsigned int cause, unsigned int to)
{
	(void)fprintf(stderr, "%s, %s: to %s is not declared\n",
	    smtp_state_name((enum smtp_state)from), move_cause_name(cause),
	    smtp_state_name((enum smtp_state)to));
	abort();
}

/* These end a session in any state, and do nothing else. */
static inline int
seen_is_end(const struct smtp_engine *e, unsigned int cause)
{
	static const char *const	reasons[] = {
		"out of memory", "timeout session", "timeout message"
	};
	size_t	i;

	if (cause >= MOVE_FROM_ANY)
		return 1;
	if (e->state != SMTP_OVER || e->reason == NULL)
		return 0;
	for (i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
		if (strcmp(e->reason, reasons[i]) == 0)
			return 1;
	return 0;
}

static inline void
seen_note(const struct smtp_engine *e, unsigned int cause)
{
	unsigned int	from = seen_at;

	seen_at = e->state;
	if (seen_is_end(e, cause)) {
		seen_ends |= 1U << cause;
		if (e->state != SMTP_OVER)
			seen_die(from, cause, e->state);
		return;
	}
	seen_made[from][cause] |= TO(e->state);
	if ((moves[from][cause] & TO(e->state)) == 0)
		seen_die(from, cause, e->state);
}

/* Only what changes: most of these calls do nothing to the state. */
static inline void
seen_change(const struct smtp_engine *e, unsigned int cause)
{
	if (e->state != seen_at)
		seen_note(e, cause);
}

void
smtp_step(struct smtp_engine *e, enum smtp_event event, struct smtp_input *i)
{
	seen_change(e, MOVE_BAD_REPLY);
	smtp_machine[e->state][event].fn(e, i);
	smtp_settle(e);
	seen_note(e, (unsigned int)event);
}

static inline size_t
seen_feed(struct smtp_engine *e, enum smtp_side side, const uint8_t *in,
    size_t len, int64_t now_ms)
{
	size_t	taken;

	seen_at = e->state;
	taken = smtp_engine_feed(e, side, in, len, now_ms);
	seen_change(e, MOVE_BAD_REPLY);
	return taken;
}

static inline void
seen_lost(struct smtp_engine *e, enum smtp_side side, const char *reason,
    int64_t now_ms)
{
	seen_at = e->state;
	smtp_engine_lost(e, side, reason, now_ms);
	seen_change(e, side == SMTP_CLIENT ? MOVE_LOST :
	    (unsigned int)ON_DEST_END);
}

static inline void
seen_answer(struct smtp_engine *e, uint32_t number, enum smtp_answer a,
    const char *reply, int64_t now_ms)
{
	seen_at = e->state;
	smtp_engine_answer(e, number, a, reply, now_ms);
	seen_change(e, MOVE_ANSWER);
}

static inline void
seen_timeout(struct smtp_engine *e, int64_t now_ms)
{
	seen_at = e->state;
	smtp_engine_timeout(e, now_ms);
	seen_change(e, MOVE_TIMEOUT);
}

static inline void
seen_stop(struct smtp_engine *e, int64_t now_ms)
{
	seen_at = e->state;
	smtp_engine_stop(e, now_ms);
	seen_change(e, MOVE_STOP);
}

static inline void
seen_fail(struct smtp_engine *e, const char *reason, int64_t now_ms)
{
	seen_at = e->state;
	smtp_engine_fail(e, reason, now_ms);
	seen_change(e, MOVE_FAIL);
}

static inline void
seen_no_choice(struct smtp_engine *e, const char *reason, int64_t now_ms)
{
	seen_at = e->state;
	smtp_engine_no_choice(e, reason, now_ms);
	seen_change(e, MOVE_NO_CHOICE);
}

static inline void
seen_sent(struct smtp_engine *e, enum smtp_side side, size_t sent,
    int is_blocked, int64_t now_ms)
{
	seen_at = e->state;
	smtp_engine_sent(e, side, sent, is_blocked, now_ms);
	seen_change(e, MOVE_SENT);
}

static inline void
seen_bypass(struct smtp_engine *e, int64_t now_ms)
{
	seen_at = e->state;
	smtp_engine_bypass(e, now_ms);
	seen_change(e, MOVE_BYPASS);
}

static inline void
seen_tls_up(struct smtp_engine *e, enum smtp_side side, int is_verified,
    int64_t now_ms)
{
	seen_at = e->state;
	smtp_engine_tls_up(e, side, is_verified, now_ms);
	seen_note(e, MOVE_TLS_UP);
}

static inline void
seen_tls_failed(struct smtp_engine *e, enum smtp_side side,
    const char *reason, int64_t now_ms)
{
	seen_at = e->state;
	smtp_engine_tls_failed(e, side, reason, now_ms);
	seen_note(e, MOVE_TLS_FAILED);
}

/* This never changes it. */
static inline void
seen_connected(struct smtp_engine *e, int64_t now_ms)
{
	unsigned int	was = e->state;

	smtp_engine_connected(e, now_ms);
	if (e->state != was)
		abort();
}

#define smtp_engine_feed	seen_feed
#define smtp_engine_lost	seen_lost
#define smtp_engine_answer	seen_answer
#define smtp_engine_timeout	seen_timeout
#define smtp_engine_stop	seen_stop
#define smtp_engine_fail	seen_fail
#define smtp_engine_no_choice	seen_no_choice
#define smtp_engine_sent	seen_sent
#define smtp_engine_bypass	seen_bypass
#define smtp_engine_connected	seen_connected
#define smtp_engine_tls_up	seen_tls_up
#define smtp_engine_tls_failed	seen_tls_failed

#endif
