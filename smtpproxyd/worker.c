/*
 * The worker process: a poll loop over its sessions and its channels.  It
 * trusts the parent, whose messages are checked by the table; it trusts no
 * peer of a session.  It can open nothing: every descriptor that it has was
 * passed to it.
 */
#include "worker.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../common/log.h"
#include "../common/loop.h"
#include "../common/port/port.h"
#include "../privsep/chan.h"
#include "../privsep/key_client.h"
#include "../privsep/proc.h"
#include "conf.h"
#include "conf_wire.h"
#include "messages.h"
#include "relay.h"
#include "session.h"
#include "session_tls.h"

#define WORKER_BUCKETS		4096	/* of the session table, power of 2 */
#define ENDS_MANY		16	/* told at once, */
#define ENDS_MS			10	/* or after this time */
#define WORKER_BATCH		64	/* messages to the parent at once */
#define WORKER_SETUP_MS		30000
#define WORKER_ENDS_SPARE	64	/* ids of sessions that never began */
#define WORKER_ENDS_FIRST	(1024 * 1024)

struct worker {
	struct loop		 loop;
	struct chan		 parent;
	struct conf		*conf;
	struct relay		*relays;
	struct session_set	 sessions;
	struct tls_set		*tls;		/* NULL: no relay has TLS */
	struct port_tls_tickets	 tickets;
	struct session		*bucket[WORKER_BUCKETS];
	uint64_t		*ended;		/* to be told to the parent */
	size_t			 nended;
	struct timer		 ends;
	int			 ends_are_due;	/* they have waited enough */
	int			 has_counts;	/* the parent counts by them */
	size_t			 ended_size;
	int			 is_stopping;
};

static int	worker_connect(void *, uint64_t, uint32_t);
static void	worker_ended(void *, struct session *);

static const struct session_ops	worker_session_ops = {
	.connect = worker_connect,
	.ended = worker_ended
};

static struct session **
worker_bucket(struct worker *w, uint64_t id)
{
	return &w->bucket[id & (WORKER_BUCKETS - 1)];
}

static struct session *
worker_session(struct worker *w, uint64_t id)
{
	struct session	*s;

	for (s = *worker_bucket(w, id); s != NULL; s = s->next_in_bucket)
		if (s->id == id)
			return s;
	return NULL;
}

/*
 * Room for the end of one session more, before it begins: when it ends there
 * may be no memory.
 */
static int
worker_reserve_end(struct worker *w)
{
	uint64_t	*p;
	size_t		 need, size;

	need = w->nended + w->sessions.used + 1 + WORKER_ENDS_SPARE;
	if (need <= w->ended_size)
		return 0;
	size = need * 2;
	if ((p = reallocarray(w->ended, size, sizeof(*p))) == NULL)
		return -1;
	w->ended = p;
	w->ended_size = size;
	return 0;
}

/*
 * Keep an id until the channel takes it: the parent counts descriptors by
 * these, so none may be lost.
 */
static void
worker_queue_end(struct worker *w, uint64_t id)
{
	if (w->nended == w->ended_size)
		fatalx("no room for the end of a session");
	w->ended[w->nended++] = id;
}

/*
 * Ends may wait for each other, so that the parent need not wake up for each:
 * unless it refuses sessions by how many there are.
 */
static int
worker_can_hold_ends(const struct worker *w)
{
	return !w->has_counts && !w->is_stopping && !w->ends_are_due &&
	    w->nended < ENDS_MANY;
}

static void
worker_on_ends(struct timer *t, void *arg, int64_t now_ms)
{
	struct worker	*w = arg;

	(void)t;
	(void)now_ms;
	w->ends_are_due = 1;		/* `after` sees to them */
}

static void
worker_send_ends(struct worker *w)
{
	struct msg_writer	m;
	size_t			i;

	if (w->nended == 0)
		return;
	if (worker_can_hold_ends(w) && (timer_is_set(&w->ends) ||
	    timer_set(&w->loop.timers, &w->ends,
	    w->loop.now_ms + ENDS_MS) == 0))
		return;
	timer_end(&w->loop.timers, &w->ends);
	w->ends_are_due = 0;
	for (i = 0; i < w->nended; i++) {
		msg_start(&m, MSG_SESSION_END, w->ended[i]);
		if (msg_finish(&m) == -1 ||
		    chan_send(&w->parent, &m, NULL, 0, CHAN_FDS_KEEP) == -1)
			break;
	}
	if (i == 0)
		return;
	memmove(w->ended, w->ended + i, (w->nended - i) * sizeof(*w->ended));
	w->nended -= i;
}

static int
worker_connect(void *arg, uint64_t id, uint32_t choice)
{
	struct worker		*w = arg;
	struct msg_writer	 m;

	msg_start(&m, MSG_CONNECT, id);
	msg_put_u32(&m, choice);
	if (msg_finish(&m) == -1)
		return -1;
	return chan_send(&w->parent, &m, NULL, 0, CHAN_FDS_KEEP);
}

static void
worker_ended(void *arg, struct session *s)
{
	struct worker	 *w = arg;
	struct session	**p;

	for (p = worker_bucket(w, s->id); *p != NULL;
	    p = &(*p)->next_in_bucket) {
		if (*p != s)
			continue;
		*p = s->next_in_bucket;
		break;
	}
	worker_queue_end(w, s->id);
}

/* The parent's word about a session, as it stands in the message. */
static int
worker_read_new(struct worker *w, struct msg *m, struct session_new *n)
{
	struct msg_reader	r;
	uint32_t		generation, relay, listener, kind, error;

	memset(n, 0, sizeof(*n));
	n->client_fd = n->dest_fd = -1;
	msg_reader_init(&r, m);
	n->id = m->id;
	generation = msg_u32(&r);
	relay = msg_u32(&r);
	listener = msg_u32(&r);
	kind = msg_u32(&r);
	n->choice = msg_u32(&r);
	error = msg_u32(&r);
	n->error = (int)error;
	msg_addr(&r, &n->client);
	msg_addr(&r, &n->listener);
	msg_addr(&r, &n->dest);
	if (msg_done(&r) == -1 || generation != w->conf->generation ||
	    relay >= w->conf->nrelays || kind > SESSION_PROXIED)
		return -1;
	n->is_bypass = kind == SESSION_BYPASS;
	n->is_proxied = kind == SESSION_PROXIED;
	n->is_deferred = m->type == MSG_SESSION_NEW_ALONE && error == 0;
	n->relay = &w->relays[relay];
	n->on = conf_listener_by_number(n->relay->conf, listener);
	return n->on == NULL ? -1 : 0;
}

static void
worker_on_session_new(struct worker *w, struct msg *m)
{
	struct session_new	 n;
	struct session		*s, **bucket;
	int			 has_room;

	if (worker_read_new(w, m, &n) == -1 ||
	    worker_session(w, m->id) != NULL) {
		chan_violation(&w->parent, m->type, "content");
		return;
	}
	has_room = worker_reserve_end(w) == 0;
	if (m->is_cut) {
		/* No room for its descriptors: lost, and no one's fault. */
		log_warnx("session sess=%016" PRIx64 " lost, no descriptors",
		    m->id);
		worker_queue_end(w, m->id);
		return;
	}
	n.client_fd = msg_take_fd(m, 0);
	if (m->type == MSG_SESSION_NEW)
		n.dest_fd = msg_take_fd(m, 1);
	s = NULL;
	if (!has_room)
		session_refuse(&n);
	else
		s = session_new(&w->sessions, &n);
	if (s == NULL) {
		log_warn("session sess=%016" PRIx64 " lost", m->id);
		worker_queue_end(w, m->id);
		return;
	}
	bucket = worker_bucket(w, s->id);
	s->next_in_bucket = *bucket;
	*bucket = s;
}

static void
worker_on_connected(struct worker *w, struct msg *m)
{
	struct msg_reader	 r;
	struct session		*s;
	struct addr		 dest;
	uint32_t		 choice, error = 0;
	int			 fd = -1;

	msg_reader_init(&r, m);
	choice = msg_u32(&r);
	if (m->type == MSG_CONNECT_FAILED)
		error = msg_u32(&r);
	msg_addr(&r, &dest);
	if (msg_done(&r) == -1) {
		chan_violation(&w->parent, m->type, "content");
		return;
	}
	if ((s = worker_session(w, m->id)) == NULL)
		return;			/* it ended while we asked */
	if (m->is_cut)
		error = EMFILE;
	else if (m->type == MSG_CONNECTED)
		fd = msg_take_fd(m, 0);
	session_connected(s, choice, fd, (int)error, &dest);
}

/* Newest first; what they replace is no use to anybody any more. */
static void
worker_on_tickets(struct worker *w, struct msg *m)
{
	struct port_tls_tickets	t;
	struct msg_reader	r;
	const uint8_t		*octets;
	size_t			len;
	unsigned int		i;

	memset(&t, 0, sizeof(t));
	msg_reader_init(&r, m);
	t.n = msg_u8(&r);
	for (i = 0; i < t.n && i < 2; i++) {
		octets = msg_octets(&r, &len);
		if (octets != NULL && len == TLS_TICKET_KEY)
			memcpy(t.key[i], octets, len);
		else
			t.n = 0;
	}
	if (msg_done(&r) == -1 || t.n < 1 || t.n > 2)
		chan_violation(&w->parent, m->type, "content");
	else
		w->tickets = t;
	explicit_bzero(&t, sizeof(t));
}

static void
worker_on_stop(struct worker *w)
{
	w->is_stopping = 1;
	session_set_stop(&w->sessions);
}

static void
worker_on_msg(struct chan *c, struct msg *m, void *arg)
{
	struct worker	*w = arg;

	if (proc_child_msg(c, m))
		return;
	switch (m->type) {
	case MSG_SESSION_NEW:
	case MSG_SESSION_NEW_ALONE:
		worker_on_session_new(w, m);
		break;
	case MSG_CONNECTED:
	case MSG_CONNECT_FAILED:
		worker_on_connected(w, m);
		break;
	case MSG_TICKET_KEYS:
		worker_on_tickets(w, m);
		break;
	case MSG_STOP:
		worker_on_stop(w);
		break;
	default:
		chan_violation(c, m->type, "not for a worker");
		break;
	}
}

static void
worker_on_end(struct chan *c, const char *reason, void *arg)
{
	(void)c;
	(void)arg;
	/* Without the parent there is nothing left to serve. */
	fatalx("parent: %s", reason);
}

/* The third phase of each pass, and what the pass left to be said. */
static void
worker_after(void *arg, int64_t now_ms)
{
	struct worker	*w = arg;

	session_set_run(&w->sessions, now_ms);
	worker_send_ends(w);
	chan_flush(&w->parent);
	proc_log_flush();
	if (w->is_stopping && w->sessions.used == 0 && w->nended == 0 &&
	    chan_is_idle(&w->parent))
		loop_stop(&w->loop);
}

/* A record, or a piece of a file; 0: neither, *m is what comes behind. */
static int
worker_receive_part(struct worker *w, struct msg *m)
{
	struct msg_reader	 r;
	const uint8_t		*octets;
	uint32_t		 blob = 0;
	size_t			 len;
	int			 rc;

	if (m->type != MSG_CONF_RECORD && m->type != MSG_CONF_PIECE)
		return 0;
	msg_reader_init(&r, m);
	if (m->type == MSG_CONF_PIECE)
		blob = msg_u32(&r);
	octets = msg_octets(&r, &len);
	if (msg_done(&r) == -1)
		rc = -1;
	else if (m->type == MSG_CONF_PIECE)
		rc = conf_wire_piece(w->conf, blob, octets, len);
	else
		rc = conf_wire_read(w->conf, octets, len);
	if (rc == -1)
		fatalx("configuration: bad %s behind record %u", m->type ==
		    MSG_CONF_PIECE ? "piece" : "record", w->conf->wire_next);
	return 1;
}

/* The snapshot, whole or not at all (DECISIONS, configuration snapshot). */
static void
worker_receive_conf(struct worker *w)
{
	uint8_t			 room[MSG_MAX];
	struct msg		 m;
	struct msg_reader	 r;

	if ((w->conf = conf_new()) == NULL)
		fatal("configuration");
	chan_wait(&w->parent, &m, room, WORKER_SETUP_MS);
	msg_reader_init(&r, &m);
	w->conf->generation = msg_u32(&r);
	if (m.type != MSG_CONF_BEGIN || msg_done(&r) == -1)
		fatalx("configuration: no beginning");
	do
		chan_wait(&w->parent, &m, room, WORKER_SETUP_MS);
	while (worker_receive_part(w, &m));
	msg_reader_init(&r, &m);
	if (m.type != MSG_CONF_END || msg_u32(&r) != w->conf->generation ||
	    msg_u32(&r) != w->conf->wire_next || msg_done(&r) == -1 ||
	    conf_wire_check(w->conf) == -1)
		fatalx("configuration: incomplete");
	if ((w->relays = relays_new(w->conf)) == NULL)
		fatal("configuration");
	w->has_counts = conf_counts_sessions(w->conf);
}

/* Another child than the logger: the keyholder. */
static void
worker_on_peer(struct chan *c, pid_t pid, void *arg)
{
	(void)pid;
	(void)arg;
	key_client_on_peer(c);
}

/*
 * Certificates were looked at before; what the library needs of the system it
 * has to take now.
 */
static void
worker_prepare_tls(struct worker *w)
{
	const struct conf_relay	*r;
	const char		*what;
	int			 has_tls = w->conf->npkis > 0;

	for (r = w->conf->relays; r != NULL; r = r->next)
		if (r->tls.mode != DEST_TLS_OFF)
			has_tls = 1;
	if (!has_tls)
		return;
	session_tls_init();
	w->tls = tls_set_new(w->conf, &w->tickets, &what);
	if (w->tls == NULL)
		fatalx("TLS: %s", what);
	w->sessions.tls = w->tls;
}

_Noreturn void
worker_main(int fd)
{
	static const struct proc_peer_ops	peer_ops = {
		.on_peer = worker_on_peer,
		.on_msg = key_client_on_msg,
		.on_end = key_client_on_end
	};
	static struct worker			w;

	port_settle_memory();
	proc_child_set_peers(&peer_ops);
	proc_child_start(&w.parent, &w.loop, 1, fd, PROC_WORKER);
	key_client_init(&w.loop);
	worker_receive_conf(&w);
	session_set_init(&w.sessions, &w.loop, &worker_session_ops, &w);
	worker_prepare_tls(&w);
	timer_init(&w.ends, worker_on_ends, &w);
	w.loop.after = worker_after;
	w.loop.after_arg = &w;
	chan_set_handlers(&w.parent, worker_on_msg, worker_on_end, &w);
	proc_child_ready(&w.parent);
	/* Without it each goes by itself. */
	(void)chan_set_batch(&w.parent, WORKER_BATCH);
	/* All that the parent may have with us at once; pages come on use. */
	w.ended_size = (size_t)proc_drop_max_files() / 2 + 1;
	if (w.ended_size > WORKER_ENDS_FIRST)
		w.ended_size = WORKER_ENDS_FIRST;
	if ((w.ended = calloc(w.ended_size, sizeof(*w.ended))) == NULL)
		fatal("sessions");
	if (loop_run(&w.loop) == -1)
		fatal("poll");
	session_set_clear(&w.sessions);
	key_client_clear();
	tls_set_free(w.tls);
	explicit_bzero(&w.tickets, sizeof(w.tickets));
	proc_log_flush();
	relays_free(w.relays, w.conf->nrelays);
	conf_free(w.conf);
	free(w.ended);
	chan_close(&w.parent);
	loop_clear(&w.loop);
	exit(0);
}
