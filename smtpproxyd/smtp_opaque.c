/*
 * Octets that pass unread, both ways: TLS between client and destination
 * behind a STARTTLS that goes through, and sessions that are passed through
 * from their first octet (bypass).  Part of the engine.  Behind the 220 both
 * sides are held to one thing: the client's handshake comes first, and nothing
 * in clear counts any more, ours included (DECISIONS, STARTTLS; RFC 3207 6).
 */
#include "smtp_machine.h"

/* How a TLS record of a handshake begins (RFC 8446 5.1). */
static const uint8_t	handshake[2] = { 0x16, 0x03 };

int
smtp_opaque_is_raw(const struct smtp_engine *e)
{
	return e->state == SMTP_TLS_FIRST || e->state == SMTP_OPAQUE;
}

/* 220 to STARTTLS was told. */
void
smtp_opaque_expect(struct smtp_engine *e)
{
	int	i;

	e->is_mute = 1;
	for (i = 0; i < SMTP_TXNS; i++)
		smtp_txn_end(e, i, "abandoned");
	if (e->state == SMTP_OVER || e->is_client_lost ||
	    e->has_ended[SMTP_CLIENT]) {
		/* No handshake will come. */
		smtp_over(e, "client closed");
		return;
	}
	smtp_clear_held(e);
	e->state = SMTP_TLS_FIRST;
}

/*
 * An octet of the first two.  They go as a copy, once both are here: no octet
 * reaches the destination before it is known to be of a handshake.
 */
void
smtp_opaque_first(struct smtp_engine *e, struct smtp_input *i)
{
	if (i->in[0] != handshake[e->held.used]) {
		i->taken = i->len;
		smtp_over(e, "no TLS handshake behind STARTTLS");
		return;
	}
	i->taken = 1;
	if (buf_add(&e->held, i->in, 1) == -1) {
		smtp_over_nomem(e);
		return;
	}
	if (e->held.used < sizeof(handshake))
		return;
	if (smtp_give(e, handshake, sizeof(handshake)) == -1)
		return;
	smtp_clear_held(e);
	e->opaque = OPAQUE_STARTTLS;
	e->state = SMTP_OPAQUE;
}

/* What the client would take for an answer inside TLS. */
void
smtp_opaque_injected(struct smtp_engine *e, struct smtp_input *i)
{
	i->taken = i->len;
	smtp_over(e, "starttls injection");
}

static void
opaque_pass(struct smtp_engine *e, enum smtp_side to, struct smtp_input *i)
{
	if (e->dest != DEST_READY || e->passlen[to] > 0)
		return;
	e->pass[to] = i->in;
	e->passlen[to] = i->len;
	i->taken = i->len;
}

void
smtp_opaque_client(struct smtp_engine *e, struct smtp_input *i)
{
	opaque_pass(e, SMTP_DEST, i);
}

void
smtp_opaque_dest(struct smtp_engine *e, struct smtp_input *i)
{
	opaque_pass(e, SMTP_CLIENT, i);
}

/* Both ends have come: it is over when all is sent. */
void
smtp_opaque_settle(struct smtp_engine *e)
{
	int	i;

	if (e->state != SMTP_OPAQUE || e->dest != DEST_READY)
		return;
	for (i = 0; i < SMTP_SIDES; i++)
		if (!e->has_ended[i] || e->out[i].used > 0 ||
		    e->passlen[i] > 0)
			return;
	smtp_over(e, "closed");
}

/* The two directions of a connection end separately. */
void
smtp_opaque_client_end(struct smtp_engine *e, struct smtp_input *i)
{
	(void)i;
	if (e->dest != DEST_READY)
		return;			/* told when there is someone */
	e->events |= EVENT_SHUT_DEST;
	smtp_opaque_settle(e);
}

void
smtp_opaque_dest_end(struct smtp_engine *e, struct smtp_input *i)
{
	if (e->dest != DEST_READY) {
		smtp_dest_next(e, i);
		return;
	}
	e->events |= EVENT_SHUT_CLIENT;
	smtp_opaque_settle(e);
}

void
smtp_engine_bypass(struct smtp_engine *e, int64_t now_ms)
{
	e->now_ms = now_ms;
	if (e->is_done)
		return;			/* no memory at init */
	smtp_queue_clear(e);
	e->has_question = 0;
	e->opaque = OPAQUE_BYPASS;
	e->state = SMTP_OPAQUE;
	e->turn_ms = now_ms;
}

/* A bypass has its destination. */
void
smtp_opaque_connected(struct smtp_engine *e)
{
	e->dest = DEST_READY;
	e->is_mute = 1;
	e->turn_ms = e->now_ms;
	if (e->has_ended[SMTP_CLIENT])
		e->events |= EVENT_SHUT_DEST;
}
