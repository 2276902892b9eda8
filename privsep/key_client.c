/*
 * A worker's questions to the keyholder, asked in the middle of a handshake.
 *
 * Runs in workers.  A handshake that can be paused waits on a stack of the
 * library's own while the loop goes on; one that can't is waited for here, a
 * second at most.  The keyholder is believed in nothing but the length of its
 * answer: what it signs wrong fails with the client.  An answer that nobody
 * waits for any more is dropped without a word.
 */
#include "key_client.h"

#include <errno.h>
#include <poll.h>
#include <string.h>

#include "../common/log.h"
#include "../common/port/port.h"
#include "../common/port/tls.h"

enum key_state {
	KEY_NONE = 0,
	KEY_QUEUED,			/* not sent yet */
	KEY_SENT,
	KEY_DONE,			/* siglen 0: refused, or no answer */
	KEY_WOKEN,			/* the same, and its owner knows */
	KEY_CANCELLED			/* for good */
};
TAILQ_HEAD(key_waits, key_wait);

static struct {
	struct loop		*loop;
	struct chan		*chan;		/* NULL: no keyholder now */
	struct timer		 timer;		/* always set: never lacks
						 * memory */
	struct key_wait		*current;	/* whose handshake is called */
	struct key_waits	 sent;		/* in the order of questions, */
	struct key_waits	 queued;	/* so the first is due first */
	struct key_waits	 done;		/* to be woken */
	size_t			 nsent;
	uint64_t		 last_id;
	int			 is_stuck;	/* it was waited for in vain */
	int64_t			 away_ms;	/* without keyholder since */
	struct msg_writer	 writer;	/* too large for the stack */
} kc;

/* When something is to be done next. */
static void
key_client_arm(void)
{
	const struct key_wait	*sent = TAILQ_FIRST(&kc.sent);
	const struct key_wait	*queued = TAILQ_FIRST(&kc.queued);
	int64_t			 due_ms = INT64_MAX;

	if (sent != NULL)
		due_ms = sent->due_ms;
	if (queued != NULL && queued->due_ms < due_ms)
		due_ms = queued->due_ms;
	if (!TAILQ_EMPTY(&kc.done))
		due_ms = kc.loop->now_ms;
	(void)timer_set(&kc.loop->timers, &kc.timer, due_ms); /* moves it */
}

/* Out of the list that it is in, if any. */
static void
key_client_remove(struct key_wait *w)
{
	switch (w->state) {
	case KEY_QUEUED:
		TAILQ_REMOVE(&kc.queued, w, entry);
		break;
	case KEY_SENT:
		TAILQ_REMOVE(&kc.sent, w, entry);
		kc.nsent--;
		break;
	case KEY_DONE:
		TAILQ_REMOVE(&kc.done, w, entry);
		break;
	default:
		break;
	}
	w->state = KEY_NONE;
}

/*
 * It has its answer, or gets none.  Its owner hears of it from the timer, so
 * never inside key_client_sign() or a message handler.
 */
static void
key_client_finish(struct key_wait *w, size_t siglen)
{
	key_client_remove(w);
	w->siglen = siglen;
	w->state = KEY_DONE;
	TAILQ_INSERT_TAIL(&kc.done, w, entry);
}

static int
key_client_send(const struct key_wait *w)
{
	msg_start(&kc.writer, MSG_SIGN, w->id);
	msg_put_u32(&kc.writer, w->key);
	msg_put_u16(&kc.writer, w->scheme);
	msg_put_octets(&kc.writer, w->octets, w->len);
	return chan_send(kc.chan, &kc.writer, NULL, 0, CHAN_FDS_KEEP);
}

/* Send what waits, in order, as far as the bound allows. */
static void
key_client_pump(void)
{
	struct key_wait	*w;

	while (kc.chan != NULL && kc.nsent < KEY_CLIENT_OUT_MAX &&
	    (w = TAILQ_FIRST(&kc.queued)) != NULL) {
		if (key_client_send(w) == -1) {
			/* No memory, or its end: there is room for all. */
			key_client_finish(w, 0);
			continue;
		}
		key_client_remove(w);
		w->state = KEY_SENT;
		TAILQ_INSERT_TAIL(&kc.sent, w, entry);
		kc.nsent++;
	}
	key_client_arm();
}

/* Those of a list whose time is over; their number. */
static size_t
key_client_expire(struct key_waits *list, int64_t now_ms)
{
	struct key_wait	*w;
	size_t		 n = 0;

	while ((w = TAILQ_FIRST(list)) != NULL && w->due_ms <= now_ms) {
		key_client_finish(w, 0);
		n++;
	}
	return n;
}

static void
key_client_on_timer(struct timer *t, void *arg, int64_t now_ms)
{
	struct key_wait	*w;
	size_t		 n;

	(void)arg;
	/* Its own place again, before a handler takes it. */
	(void)timer_set(&kc.loop->timers, t, INT64_MAX);
	n = key_client_expire(&kc.sent, now_ms);
	n += key_client_expire(&kc.queued, now_ms);
	if (n > 0)
		log_warnx("keyholder: %zu signatures not had in time", n);
	while ((w = TAILQ_FIRST(&kc.done)) != NULL) {
		TAILQ_REMOVE(&kc.done, w, entry);
		w->state = KEY_WOKEN;
		w->wake(w);
	}
	key_client_pump();
}

void
key_client_init(struct loop *loop)
{
	memset(&kc, 0, sizeof(kc));
	TAILQ_INIT(&kc.sent);
	TAILQ_INIT(&kc.queued);
	TAILQ_INIT(&kc.done);
	kc.loop = loop;
	kc.away_ms = loop->now_ms;
	timer_init(&kc.timer, key_client_on_timer, NULL);
	if (timer_set(&loop->timers, &kc.timer, INT64_MAX) == -1)
		fatal("key client");
}

void
key_client_clear(void)
{
	timer_end(&kc.loop->timers, &kc.timer);
	memset(&kc, 0, sizeof(kc));
}

/* --- The keyholder's channel --- */

void
key_client_on_peer(struct chan *ch)
{
	kc.chan = ch;
	kc.is_stuck = 0;
	/* Without it each goes by itself. */
	(void)chan_set_batch(ch, KEY_CLIENT_BATCH);
	key_client_pump();
}

void
key_client_on_msg(struct chan *ch, struct msg *m, void *arg)
{
	struct msg_reader	 r;
	struct key_wait		*w;
	const uint8_t		*octets;
	size_t			 len;

	(void)arg;
	msg_reader_init(&r, m);
	octets = msg_octets(&r, &len);
	kc.is_stuck = 0;
	if (m->type != MSG_SIGNED || msg_done(&r) == -1 ||
	    len > TLS_SIGNATURE_MAX) {
		chan_violation(ch, m->type, "content");
		return;
	}
	TAILQ_FOREACH(w, &kc.sent, entry)
		if (w->id == m->id)
			break;
	if (w == NULL)
		return;			/* late: given up meanwhile */
	memcpy(w->sig, octets, len);
	key_client_finish(w, len);
	key_client_pump();
}

void
key_client_on_end(struct chan *ch, const char *reason, void *arg)
{
	struct key_wait	*w;
	size_t		 n = 0;

	(void)ch;
	(void)arg;
	kc.chan = NULL;
	kc.away_ms = kc.loop->now_ms;
	while ((w = TAILQ_FIRST(&kc.sent)) != NULL ||
	    (w = TAILQ_FIRST(&kc.queued)) != NULL) {
		key_client_finish(w, 0);
		n++;
	}
	if (n > 0)
		log_warnx("keyholder: %s, %zu handshakes lost", reason, n);
	key_client_arm();
}

/* --- A handshake --- */

void
key_client_enter(struct key_wait *w)
{
	kc.current = w;
}

int
key_client_is_waiting(const struct key_wait *w)
{
	return w->state == KEY_QUEUED || w->state == KEY_SENT;
}

void
key_client_cancel(struct key_wait *w)
{
	key_client_remove(w);
	w->state = KEY_CANCELLED;
	key_client_pump();
}

/*
 * This handshake can't be paused.  Answers for others are kept for the timer.
 * Without a keyholder there is nothing to wait for: who introduces the next
 * one is the loop.
 */
static void
key_client_block(struct key_wait *w)
{
	struct pollfd	pfd;
	int64_t		end_ms, left_ms;

	if (kc.chan != NULL)
		chan_flush(kc.chan);	/* no pass comes in between */
	end_ms = port_now_ms() + KEY_CLIENT_BLOCK_MS;
	/* Once is enough: the worker has others to serve, and must answer. */
	while (w->state == KEY_SENT && !kc.is_stuck) {
		if ((left_ms = end_ms - port_now_ms()) <= 0) {
			kc.is_stuck = 1;
			log_warnx("keyholder: no signature in %d ms",
			    KEY_CLIENT_BLOCK_MS);
			break;
		}
		memset(&pfd, 0, sizeof(pfd));
		pfd.fd = kc.chan->fd;
		pfd.events = POLLIN;
		if (poll(&pfd, 1, (int)left_ms) == -1 && errno != EINTR)
			break;
		if (pfd.revents != 0)
			chan_drain(kc.chan);
	}
	if (key_client_is_waiting(w)) {
		key_client_finish(w, 0);
		key_client_pump();
	}
}

/* 0, or -1: nobody there to be asked, for longer than a replacement takes. */
static int
key_client_ask(struct key_wait *w)
{
	int64_t	now_ms = kc.loop->now_ms;

	if (kc.chan == NULL && now_ms - kc.away_ms >= KEY_CLIENT_MS)
		return -1;
	w->id = ++kc.last_id;
	w->due_ms = now_ms + KEY_CLIENT_MS;
	w->state = KEY_QUEUED;
	TAILQ_INSERT_TAIL(&kc.queued, w, entry);
	key_client_pump();
	return 0;
}

size_t
key_client_sign(uint32_t key, uint16_t scheme, const uint8_t *octets,
    size_t len, uint8_t *sig)
{
	/* Our own: another handshake is current when this one goes on. */
	struct key_wait	*w = kc.current;
	size_t		 siglen;

	if (w == NULL || w->state != KEY_NONE)
		return 0;
	w->key = key;
	w->scheme = scheme;
	w->octets = octets;
	w->len = len;
	w->sig = sig;
	if (key_client_ask(w) == -1)
		return 0;
	while (key_client_is_waiting(w))
		if (port_tls_pause() == -1)
			key_client_block(w);
	siglen = w->state == KEY_CANCELLED ? 0 : w->siglen;
	if (w->state != KEY_CANCELLED)
		key_client_remove(w);
	w->id = 0;
	return siglen;
}
