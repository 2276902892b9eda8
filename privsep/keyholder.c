/*
 * The keyholder process: private keys, and signatures made with them for TLS
 * handshakes of workers.  It trusts the parent, who gives it the keys before
 * it is confined and says who may use which.  It trusts no worker: one that
 * was taken over gets signatures of handshakes with its own listeners' keys
 * while it lives, and nothing else (DECISIONS, keyholder).
 */
#include "keyholder.h"

#include <sys/types.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../common/log.h"
#include "../common/port/tls.h"
#include "proc.h"

#define SETUP_MS	30000
#define SECOND_MS	1000
#define RATE_MAX	5000		/* signatures a second and worker */
#define ANSWERS_BATCH	4		/* at once: RSA takes its time */

struct holder_key {
	struct port_tls_key	*key;	/* NULL: none of this number */
	int			 has_tls13;
};

/* What is kept of each worker; it stays when the process is replaced. */
struct holder_worker {
	uint32_t	 instance;
	uint32_t	 first;		/* keys that it may use */
	uint32_t	 count;
	uint32_t	 nasked;	/* in this second */
	int64_t		 since_ms;
	uint64_t	 nrefused;	/* not logged yet */
	char		 why[128];	/* of the last one */
	int64_t		 logged_ms;
};

static struct {
	struct loop		 loop;
	struct chan		 parent;
	struct timer		 report;
	struct holder_key	 keys[KEYS_MAX];
	struct holder_worker	 workers[PROC_CHILDREN_MAX];
	size_t			 nworkers;
} kh;

static struct holder_worker *
worker_of(uint32_t instance)
{
	size_t	i;

	for (i = 0; i < kh.nworkers; i++)
		if (kh.workers[i].instance == instance)
			return &kh.workers[i];
	return NULL;
}

/* --- Refusals: counted, and at most one line a second and worker. --- */

static void
worker_report(struct holder_worker *w, int64_t now_ms)
{
	if (w->nrefused == 0)
		return;
	log_warnx("worker[%u]: %llu signatures refused: %s", w->instance,
	    (unsigned long long)w->nrefused, w->why);
	w->nrefused = 0;
	w->logged_ms = now_ms;
}

static void
keyholder_on_report(struct timer *t, void *arg, int64_t now_ms)
{
	size_t	i;

	(void)t;
	(void)arg;
	for (i = 0; i < kh.nworkers; i++)
		worker_report(&kh.workers[i], now_ms);
}

static void
worker_refused(struct holder_worker *w, const char *why)
{
	int64_t	now_ms = kh.loop.now_ms;

	w->nrefused++;
	(void)strlcpy(w->why, why, sizeof(w->why));	/* cut is fine */
	if (w->logged_ms == 0 || now_ms - w->logged_ms >= SECOND_MS)
		worker_report(w, now_ms);
	else if (!timer_is_set(&kh.report))
		/* Where it can't be set, the next refusal tells. */
		(void)timer_set(&kh.loop.timers, &kh.report,
		    now_ms + SECOND_MS);
}

/* --- Signing --- */

/* A worker that is flooded can't use more; one that was taken over may try. */
static int
worker_take(struct holder_worker *w)
{
	int64_t	now_ms = kh.loop.now_ms;

	if (now_ms - w->since_ms >= SECOND_MS) {
		w->since_ms = now_ms;
		w->nasked = 0;
	}
	if (w->nasked >= RATE_MAX)
		return 0;
	w->nasked++;
	return 1;
}

/* Octets of the signature, 0 with *why. */
static size_t
worker_sign(struct holder_worker *w, uint32_t number, uint16_t scheme,
    const uint8_t *octets, size_t len, uint8_t *sig, const char **why)
{
	const struct holder_key	*k;

	*why = "too many a second";
	if (!worker_take(w))
		return 0;
	*why = "not its key";
	if (number < w->first || number - w->first >= w->count)
		return 0;
	*why = "no such key";
	if (number >= KEYS_MAX || kh.keys[number].key == NULL)
		return 0;
	k = &kh.keys[number];
	return port_tls_key_sign(k->key, scheme, octets, len, k->has_tls13,
	    sig, why);
}

/* One answer for each question, whatever came of it. */
static void
answer(struct chan *ch, uint64_t id, const uint8_t *sig, size_t len)
{
	struct msg_writer	m;

	msg_start(&m, MSG_SIGNED, id);
	msg_put_octets(&m, sig, len);
	/* A worker that reads no answers has no use for this one. */
	(void)chan_send(ch, &m, NULL, 0, CHAN_FDS_KEEP);
}

static void
keyholder_on_sign(struct chan *ch, struct msg *m)
{
	struct holder_worker	*w;
	struct msg_reader	 r;
	const uint8_t		*octets;
	const char		*why = NULL;
	uint8_t			 sig[TLS_SIGNATURE_MAX];
	size_t			 len, siglen = 0;
	uint32_t		 number;
	uint16_t		 scheme;

	msg_reader_init(&r, m);
	number = msg_u32(&r);
	scheme = msg_u16(&r);
	octets = msg_octets(&r, &len);
	if (msg_done(&r) == -1 || len > TLS_REQUEST_MAX) {
		chan_violation(ch, m->type, "content");
		return;
	}
	/* The parent introduces no worker before it says KEY_ALLOW. */
	if ((w = worker_of(ch->instance)) != NULL) {
		siglen = worker_sign(w, number, scheme, octets, len, sig,
		    &why);
		if (siglen == 0)
			worker_refused(w, why);
	}
	answer(ch, m->id, sig, siglen);
}

/* --- The parent's word --- */

static void
keyholder_take_allow(struct msg *m)
{
	struct holder_worker	*w;
	struct msg_reader	 r;
	uint32_t		 instance;

	msg_reader_init(&r, m);
	instance = msg_u32(&r);
	if ((w = worker_of(instance)) == NULL) {
		if (kh.nworkers == PROC_CHILDREN_MAX)
			fatalx("KEY_ALLOW: too many workers");
		w = &kh.workers[kh.nworkers++];
		w->instance = instance;
	}
	w->first = msg_u32(&r);
	w->count = msg_u32(&r);
	if (msg_done(&r) == -1)
		fatalx("KEY_ALLOW: malformed");
}

/*
 * A key that can't be read costs its own handshakes: it was good when the
 * configuration was checked, and the others are still.
 */
static void
keyholder_take_key(struct msg *m)
{
	struct msg_reader	 r;
	struct holder_key	*k;
	const uint8_t		*octets;
	const char		*why = "unknown";
	size_t			 len;
	uint32_t		 number;
	int			 has_tls13;

	msg_reader_init(&r, m);
	number = msg_u32(&r);
	has_tls13 = msg_u8(&r) != 0;
	octets = msg_octets(&r, &len);
	if (msg_done(&r) == -1 || number >= KEYS_MAX ||
	    kh.keys[number].key != NULL)
		fatalx("KEY: malformed");
	k = &kh.keys[number];
	k->has_tls13 = has_tls13;
	if ((k->key = port_tls_key_load(octets, len, &why)) == NULL)
		log_warnx("key %u can't be used: %s", number, why);
}

/* Keys, and behind the last of them who may use them. */
static void
keyholder_receive_keys(void)
{
	uint8_t		room[MSG_MAX];
	struct msg	m;

	for (;;) {
		chan_wait(&kh.parent, &m, room, SETUP_MS);
		if (m.type != MSG_KEY)
			break;
		keyholder_take_key(&m);
		explicit_bzero(room, sizeof(room));
	}
	if (m.type != MSG_KEY_ALLOW)
		fatalx("keys: message %u in their place", m.type);
	keyholder_take_allow(&m);
}

/* --- The process --- */

static void
keyholder_on_msg(struct chan *ch, struct msg *m, void *arg)
{
	(void)arg;
	if (ch == &kh.parent && proc_child_msg(ch, m))
		return;
	switch (m->type) {
	case MSG_SIGN:
		keyholder_on_sign(ch, m);
		break;
	case MSG_KEY_ALLOW:
		keyholder_take_allow(m);
		break;
	case MSG_STOP:
		loop_stop(&kh.loop);
		break;
	default:
		chan_violation(ch, m->type, "not for the keyholder");
		break;
	}
}

/* Without batches each answer goes by itself. */
static void
keyholder_on_peer(struct chan *ch, pid_t pid, void *arg)
{
	(void)pid;
	(void)arg;
	(void)chan_set_batch(ch, ANSWERS_BATCH);
}

static void
keyholder_on_end(struct chan *ch, const char *reason, void *arg)
{
	(void)reason;
	(void)arg;
	if (ch == &kh.parent)
		loop_stop(&kh.loop);
}

static void
keyholder_clear(void)
{
	size_t	i;

	for (i = 0; i < KEYS_MAX; i++) {
		port_tls_key_free(kh.keys[i].key);
		kh.keys[i].key = NULL;
	}
	keyholder_on_report(&kh.report, NULL, kh.loop.now_ms);
	proc_log_flush();
}

_Noreturn void
keyholder_main(int fd)
{
	static const struct proc_peer_ops	ops = {
		.on_peer = keyholder_on_peer,
		.on_msg = keyholder_on_msg,
		.on_end = keyholder_on_end
	};
	const char				*what = "";

	proc_child_set_peers(&ops);
	proc_child_start(&kh.parent, &kh.loop, 0, fd, PROC_KEYHOLDER);
	if (port_tls_init(&what) == -1)
		fatalx("TLS library: %s", what);
	timer_init(&kh.report, keyholder_on_report, NULL);
	keyholder_receive_keys();
	chan_set_handlers(&kh.parent, keyholder_on_msg, keyholder_on_end,
	    NULL);
	proc_child_ready(&kh.parent);
	if (loop_run(&kh.loop) == -1)
		fatal("poll");
	keyholder_clear();
	exit(0);
}
