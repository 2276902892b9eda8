/*
 * What is outstanding between client and destination: commands that wait for
 * their replies, our own replies that wait for their turn among them, and the
 * transactions they belong to.  Part of the engine: no I/O, no clock.  Replies
 * leave strictly in the order of the commands (RFC 2920 3.2).
 */
#include "smtp_machine.h"

#include <stdlib.h>
#include <string.h>

/* A power of two, whichever it is. */
static size_t
queue_size(const struct smtp_engine *e)
{
	return e->many != NULL ? SMTP_QUEUE_MAX : SMTP_QUEUE_FEW;
}

const struct smtp_queue_entry *
smtp_queue_look(const struct smtp_engine *e, size_t i)
{
	return &(e->many != NULL ? e->many : e->few)[(e->queue_head + i) &
	    (queue_size(e) - 1)];
}

static struct smtp_queue_entry *
queue_at(struct smtp_engine *e, size_t i)
{
	return &(e->many != NULL ? e->many : e->few)[(e->queue_head + i) &
	    (queue_size(e) - 1)];
}

/* A pipelined group: room for all that there may be. */
static int
queue_grow(struct smtp_engine *e)
{
	struct smtp_queue_entry	*many;
	size_t			 i;

	if ((many = calloc(SMTP_QUEUE_MAX, sizeof(*many))) == NULL)
		return -1;
	for (i = 0; i < e->queue_used; i++)
		many[i] = *smtp_queue_look(e, i);
	e->many = many;
	e->queue_head = 0;
	return 0;
}

static void
queue_shrink(struct smtp_engine *e)
{
	free(e->many);
	e->many = NULL;
	e->queue_head = 0;
}

int
smtp_queue_reserve(struct smtp_engine *e)
{
	if (e->many != NULL || e->queue_used + SMTP_QUEUE_STEP <=
	    SMTP_QUEUE_FEW)
		return 0;
	return queue_grow(e);
}

void
smtp_queue_push(struct smtp_engine *e, enum smtp_verb verb,
    enum smtp_origin origin, unsigned int flags, int txn)
{
	struct smtp_queue_entry	*q;

	if (e->queue_used == SMTP_QUEUE_MAX) {
		smtp_over(e, "queue full");
		return;
	}
	if (e->queue_used == queue_size(e) && queue_grow(e) == -1) {
		smtp_over_nomem(e);
		return;
	}
	if (e->queue_used == 0)
		e->turn_ms = e->now_ms;
	q = queue_at(e, e->queue_used++);
	memset(q, 0, sizeof(*q));
	q->verb = (uint8_t)verb;
	q->origin = (uint8_t)origin;
	q->flags = (uint8_t)flags;
	q->txn = (int8_t)txn;
	q->end = e->given;
}

void
smtp_queue_pop(struct smtp_engine *e)
{
	e->queue_head = (uint8_t)((e->queue_head + 1u) &
	    (queue_size(e) - 1));
	if (--e->queue_used == 0)
		queue_shrink(e);
	e->turn_ms = e->now_ms;
}

struct smtp_queue_entry *
smtp_queue_first(struct smtp_engine *e)
{
	if (e->queue_used == 0)
		return NULL;
	return queue_at(e, 0);
}

struct smtp_queue_entry *
smtp_queue_last(struct smtp_engine *e)
{
	struct smtp_queue_entry	*q;
	size_t			 n;

	for (n = e->queue_used; n > 0; n--) {
		q = queue_at(e, n - 1);
		if (q->origin != ORIGIN_LOCAL)
			return q;
	}
	return NULL;
}

int
smtp_queue_has_message(const struct smtp_engine *e)
{
	const struct smtp_queue_entry	*q;
	size_t				 n;
	int				 is_due = 0, is_last = 0;

	for (n = 0; n < e->queue_used; n++) {
		q = smtp_queue_look(e, n);
		is_due |= is_last;
		is_last = q->verb == VERB_DOT || (q->flags & QUEUE_LAST) != 0;
	}
	/* The last one may be a message that is still coming. */
	return is_due || (is_last && !smtp_content_is_open(e));
}

int
smtp_queue_is_unsent(const struct smtp_engine *e,
    const struct smtp_queue_entry *q)
{
	size_t	left = e->out[SMTP_DEST].used + e->passlen[SMTP_DEST];

	return e->given - left < q->end;
}

void
smtp_queue_forget_txn(struct smtp_engine *e, int txn)
{
	size_t	i;

	for (i = 0; i < e->queue_used; i++) {
		struct smtp_queue_entry	*q = queue_at(e, i);

		if (q->txn == txn)
			q->txn = -1;
	}
}

void
smtp_queue_clear(struct smtp_engine *e)
{
	queue_shrink(e);
	e->queue_used = 0;
	buf_clear(&e->said);
}

static void
queue_say_one(struct smtp_engine *e, const char *text, unsigned int flags)
{
	size_t	len = strlen(text);

	if (e->queue_used == 0) {
		smtp_tell_line(e, text);
		if (flags & QUEUE_CLOSE)
			smtp_over(e, "refused");
		return;
	}
	if (len > SMTP_SAY_MAX || buf_add(&e->said, text, len) == -1 ||
	    buf_add(&e->said, "\r\n", 2) == -1) {
		smtp_over(e, "out of memory");
		return;
	}
	smtp_queue_push(e, VERB_NONE, ORIGIN_LOCAL, flags, -1);
	if (!e->is_done)
		queue_at(e, e->queue_used - 1u)->len = (uint16_t)(len + 2);
}

void
smtp_queue_say(struct smtp_engine *e, const char *text, unsigned int flags)
{
	char	line[SMTP_SAY_MAX];
	int	is_error = text[0] == '5' && (flags & QUEUE_CLOSE) == 0;

	if (e->is_done)
		return;
	queue_say_one(e, text, flags);
	if (!is_error || e->is_done)
		return;
	e->nerrors++;
	if (e->set->max_errors == 0 || e->nerrors < e->set->max_errors)
		return;
	smtp_set_reason(e, "too many errors", NULL, 0);
	smtp_stop_reading(e);
	smtp_format(e, line, "421", "4.7.0", "too many errors");
	queue_say_one(e, line, QUEUE_CLOSE);
}

void
smtp_queue_flush(struct smtp_engine *e)
{
	struct smtp_queue_entry	*q;
	unsigned int		 flags;

	while (!e->is_done && (q = smtp_queue_first(e)) != NULL) {
		if (q->flags & QUEUE_VOID) {
			/* All before it is answered: now it goes. */
			smtp_close_dest(e);
			smtp_queue_pop(e);
			continue;
		}
		if (q->origin != ORIGIN_LOCAL)
			return;
		flags = q->flags;
		smtp_tell(e, buf_head(&e->said), q->len);
		buf_drop(&e->said, q->len);
		smtp_queue_pop(e);
		if (flags & QUEUE_CLOSE)
			smtp_over(e, "refused");
	}
}

int
smtp_txn_new(struct smtp_engine *e)
{
	int	i;

	for (i = 0; i < SMTP_TXNS; i++) {
		struct smtp_txn	*t = &e->txn[i];

		if (t->state != TXN_FREE)
			continue;
		memset(t, 0, sizeof(*t));
		t->state = TXN_OPEN;
		t->number = ++e->nmessages;
		t->start_ms = e->now_ms;
		return i;
	}
	return -1;
}

struct smtp_txn *
smtp_txn_at(struct smtp_engine *e, int txn)
{
	if (txn < 0 || txn >= SMTP_TXNS)
		return NULL;
	return &e->txn[txn];
}

void
smtp_txn_end(struct smtp_engine *e, int txn, const char *reason)
{
	struct smtp_txn	*t = smtp_txn_at(e, txn);

	if (t == NULL || t->state == TXN_FREE || t->state == TXN_ENDED)
		return;
	t->state = TXN_ENDED;
	t->end_ms = e->now_ms;
	t->reason = reason;
	if (t->is_delivered)
		e->ndelivered++;
	if (e->txn_now == txn)
		e->txn_now = -1;
	smtp_queue_forget_txn(e, txn);
}

void
smtp_txn_reply(struct smtp_engine *e, int txn, const void *text, size_t len)
{
	struct smtp_txn	*t = smtp_txn_at(e, txn);
	const uint8_t	*end;

	if (t == NULL || t->state == TXN_FREE)
		return;
	if ((end = memchr(text, '\r', len)) != NULL)
		len = (size_t)(end - (const uint8_t *)text);
	if (len > SMTP_TEXT_MAX)
		len = SMTP_TEXT_MAX;
	free(t->reply);
	if ((t->reply = malloc(len + 1)) == NULL)
		return;			/* the log does without */
	memcpy(t->reply, text, len);
	t->reply[len] = '\0';
}

struct smtp_txn *
smtp_engine_ended(struct smtp_engine *e)
{
	int	i;

	for (i = 0; i < SMTP_TXNS; i++)
		if (e->txn[i].state == TXN_ENDED)
			return &e->txn[i];
	return NULL;
}

void
smtp_engine_free_txn(struct smtp_engine *e, struct smtp_txn *t)
{
	(void)e;
	free(t->from);
	free(t->reply);
	memset(t, 0, sizeof(*t));
}
