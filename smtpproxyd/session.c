/*
 * One session in the worker: the life of a connection pair from the message
 * that brings it to its end.  Runs in the worker; trusts neither peer.  The
 * octets' way through the sockets is in session_io.c, the dialogue in the
 * engine.  Whatever fails here ends one session.
 */
#include "session.h"

#include <sys/types.h>
#include <sys/socket.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "session_int.h"
#include "session_tls.h"

#define SESSION_FLUSH_MS	10000	/* last words to a slow client */
#define SESSION_LINGER_MS	5000
#define SESSION_HURRY_MS	500	/* the same while stopping */
#define SESSION_POOL_SMALL	256	/* chunks kept for the next wake-up */
#define SESSION_POOL_LARGE	16
#define SESSION_NO_MEMORY	"out of memory"
#define NO_MEMORY_TEXT		"421 4.3.0 out of memory\r\n"

static timer_fn	session_on_timer;
static void	session_ask(struct session *, uint32_t);

void
session_set_init(struct session_set *set, struct loop *l,
    const struct session_ops *ops, void *arg)
{
	memset(set, 0, sizeof(*set));
	TAILQ_INIT(&set->all);
	TAILQ_INIT(&set->active);
	set->loop = l;
	set->ops = ops;
	set->arg = arg;
	buf_pool_init(&set->pool, SESSION_POOL_SMALL, SESSION_POOL_LARGE);
}

void
session_activate(struct session *s)
{
	if (s->is_active)
		return;
	s->is_active = 1;
	TAILQ_INSERT_TAIL(&s->set->active, s, active_entry);
}

static void
session_init_sides(struct session *s)
{
	int	i;

	for (i = 0; i < SMTP_SIDES; i++) {
		s->side[i].fd = -1;
		loop_fd_init(&s->side[i].lfd);
	}
	buf_init(&s->side[SMTP_CLIENT].in, &s->set->pool, BUF_LARGE);
	buf_init(&s->side[SMTP_DEST].in, &s->set->pool, BUF_LARGE);
}

static void
close_fd(int fd)
{
	if (fd != -1)
		(void)close(fd);	/* nothing to be done about it */
}

/* Last words that need no memory. */
static void
say_no_memory(int fd)
{
	/* A peer that does not take these few octets has no use for them. */
	(void)send(fd, NO_MEMORY_TEXT, sizeof(NO_MEMORY_TEXT) - 1,
	    MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* May the client be told something in clear, before all else? */
static int
session_new_is_clear(const struct session_new *n)
{
	return !n->is_bypass && (n->on == NULL ||
	    n->on->tls.mode != TLS_IMPLICIT);
}

void
session_refuse(const struct session_new *n)
{
	if (session_new_is_clear(n))
		say_no_memory(n->client_fd);
	close_fd(n->client_fd);
	close_fd(n->dest_fd);
}

struct session *
session_new(struct session_set *set, const struct session_new *n)
{
	struct session	*s;

	if ((s = calloc(1, sizeof(*s))) == NULL) {
		session_refuse(n);
		return NULL;
	}
	s->set = set;
	s->id = n->id;
	s->relay = n->relay;
	s->choice = n->choice;
	s->client = n->client;
	s->listener = n->listener;
	s->dest = n->dest;
	s->on = n->on;
	s->held_fd = -1;
	s->is_deferred = n->is_deferred != 0;
	s->start_ms = set->loop->now_ms;
	timer_init(&s->timer, session_on_timer, s);
	session_init_sides(s);
	smtp_engine_init(&s->engine, &s->relay->smtp, &set->pool,
	    s->start_ms);
	if (n->is_bypass)
		smtp_engine_bypass(&s->engine, s->start_ms);
	TAILQ_INSERT_TAIL(&set->all, s, entry);
	set->used++;
	session_activate(s);
	if (session_io_open(s, SMTP_CLIENT, n->client_fd) == -1) {
		session_refuse(n);
		session_fail(s, SESSION_NO_MEMORY);
		return s;
	}
	s->held_fd = n->dest_fd;
	s->held_error = n->error;
	if (session_open_new(s, n) == 0) {
		if (s->opening == SESSION_OPEN)
			session_begin(s);
	} else if (session_new_is_clear(n))
		session_fail(s, SESSION_NO_MEMORY);
	else
		/* It can't be told in TLS, and must not be in clear. */
		smtp_engine_tls_failed(&s->engine, SMTP_CLIENT,
		    SESSION_NO_MEMORY, s->start_ms);
	return s;
}

void
session_begin(struct session *s)
{
	int	fd = s->held_fd;

	s->held_fd = -1;
	/* The opening had a limit of its own. */
	smtp_engine_connecting(&s->engine, s->set->loop->now_ms);
	if (!s->is_deferred) {
		session_try(s, s->choice, fd, s->held_error);
		return;
	}
	s->is_deferred = 0;
	session_ask(s, 0);
}

/*
 * We had no room for another connection, no address to start it from, or were
 * not allowed to: no fault of the destination.
 */
static int
session_is_ours(int error)
{
	switch (error) {
	case EMFILE:
	case ENFILE:
	case ENOBUFS:
	case ENOMEM:
	case EAGAIN:
	case EADDRINUSE:
	case EADDRNOTAVAIL:
	case EAFNOSUPPORT:
	case EPERM:
	case EACCES:
		return 1;
	default:
		return 0;
	}
}

/* This destination is the session's now, unless it can't be or should not. */
void
session_try(struct session *s, uint32_t choice, int fd, int error)
{
	s->choice = choice;
	if (fd == -1) {
		s->last_failure = strerror(error);
		if (!session_is_ours(error))
			relay_set_failed(s->relay, choice,
			    s->set->loop->now_ms);
		session_next(s);
		return;
	}
	if (relay_choose(s->relay, choice, s->set->loop->now_ms) != choice) {
		close_fd(fd);
		session_next(s);
		return;
	}
	smtp_engine_connecting(&s->engine, s->set->loop->now_ms);
	s->is_connecting = 1;
	if (s->more != NULL) {
		/* What is known of the one before. */
		memset(&s->more->dest_tls, 0, sizeof(s->more->dest_tls));
		s->more->tls_error[SMTP_DEST][0] = '\0';
	}
	if (session_io_open(s, SMTP_DEST, fd) == -1) {
		close_fd(fd);
		session_fail(s, SESSION_NO_MEMORY);
	}
}

/* Ask the parent for this choice or a later one, or tell that none is left. */
static void
session_ask(struct session *s, uint32_t next)
{
	if (next < s->relay->conf->nchoices) {
		next = relay_choose(s->relay, next, s->set->loop->now_ms);
		if (s->set->ops->connect(s->set->arg, s->id, next) == 0) {
			s->is_asking = 1;
			s->choice = next;
			return;
		}
	}
	smtp_engine_no_choice(&s->engine, s->last_failure == NULL ?
	    "no destination" : s->last_failure, s->set->loop->now_ms);
}

/* The choice is no use. */
void
session_next(struct session *s)
{
	session_io_close(s, SMTP_DEST);
	s->is_connecting = 0;
	session_activate(s);
	session_ask(s, s->choice + 1);
}

void
session_connected(struct session *s, uint32_t choice, int fd, int error,
    const struct addr *dest)
{
	if (!s->is_asking || choice != s->choice || s->engine.is_done) {
		close_fd(fd);
		return;
	}
	s->is_asking = 0;
	s->dest = *dest;
	session_try(s, choice, fd, error);
	session_activate(s);
}

void
session_fail(struct session *s, const char *reason)
{
	smtp_engine_fail(&s->engine, reason, s->set->loop->now_ms);
	session_activate(s);
}

/* The connection to the destination stands, or not. */
void
session_on_connect(struct session *s, int error)
{
	int64_t	now_ms = s->set->loop->now_ms;

	s->is_connecting = 0;
	if (error != 0) {
		s->last_failure = strerror(error);
		relay_set_failed(s->relay, s->choice, now_ms);
		session_next(s);
		return;
	}
	s->connected_ms = now_ms;
	relay_set_works(s->relay, s->choice);
	smtp_engine_preamble(&s->engine, now_ms);
	if (s->relay->conf->tls.is_implicit && !s->engine.opaque) {
		s->side[SMTP_DEST].wants_tls =
		    s->side[SMTP_DEST].is_implicit = 1;
		smtp_engine_shaking(&s->engine, now_ms);
	} else
		smtp_engine_connected(&s->engine, now_ms);
}

static void
session_answer(struct session *s)
{
	struct smtp_question	 q;
	struct policy_facts	 f;
	const char		*reply;

	/* A session that is over answers nothing, nor will it ask again. */
	while (!s->engine.is_done && smtp_engine_question(&s->engine, &q)) {
		memset(&f, 0, sizeof(f));
		f.stage = (enum policy_stage)q.stage;
		f.size = q.size;
		f.nrcpt = q.nrcpt;
		reply = policy_refusal(&s->relay->policy, &f);
		smtp_engine_answer(&s->engine, q.number,
		    reply == NULL ? ANSWER_PASS : ANSWER_REPLY, reply,
		    s->set->loop->now_ms);
	}
}

/* Why the destination that is given up was no use. */
static const char *
session_failure(struct session *s)
{
	const char	*reason = s->engine.choice_reason;

	s->engine.choice_reason = NULL;
	if (reason != NULL)
		return reason;
	if (s->side[SMTP_DEST].is_shaking)
		return "timeout of TLS handshake with destination";
	if (s->side[SMTP_DEST].has_eof)
		return "destination closed before its greeting";
	if (!s->is_connecting)
		return "no greeting from destination";
	if (s->relay->conf->is_transparent)
		return "timeout connect: do answers come back? see "
		    "transparent forward in smtpproxyd.conf(5)";
	return "timeout connect";
}

/* The engine's own last words may have found no memory. */
static int
session_is_speechless(const struct session *s)
{
	const struct smtp_engine	*e = &s->engine;

	return e->reason != NULL && strcmp(e->reason, SESSION_NO_MEMORY) == 0 &&
	    e->out[SMTP_CLIENT].used == 0 && !e->is_mute && !s->opening &&
	    s->side[SMTP_CLIENT].tls == NULL && (s->on == NULL ||
	    s->on->tls.mode != TLS_IMPLICIT) &&
	    e->opaque == OPAQUE_NONE &&
	    !e->is_client_lost && s->side[SMTP_CLIENT].fd != -1;
}

static void
session_begin_end(struct session *s)
{
	if (session_is_speechless(s))
		say_no_memory(s->side[SMTP_CLIENT].fd);
	session_io_close(s, SMTP_DEST);
	close_fd(s->held_fd);
	s->held_fd = -1;
	s->phase = SESSION_FLUSHING;
	s->end_by_ms = s->set->loop->now_ms + SESSION_FLUSH_MS;
}

static void
session_obey(struct session *s)
{
	unsigned int	events = smtp_engine_events(&s->engine);

	if (events & EVENT_WIPE)
		s->has_secret = 1;
	if (events & EVENT_CLOSE_DEST)
		session_io_close(s, SMTP_DEST);
	if (events & EVENT_NEXT_CHOICE) {
		relay_set_failed(s->relay, s->choice, s->set->loop->now_ms);
		s->last_failure = session_failure(s);
		session_next(s);
	}
	if (events & EVENT_TLS_CLIENT)
		s->side[SMTP_CLIENT].wants_tls = 1;
	if ((events & EVENT_TLS_DEST) && s->side[SMTP_DEST].fd != -1)
		s->side[SMTP_DEST].wants_tls = 1;
	if (events & EVENT_SHUT_DEST)
		s->side[SMTP_DEST].wants_shut = 1;
	if (events & EVENT_SHUT_CLIENT)
		s->side[SMTP_CLIENT].wants_shut = 1;
	if (events & EVENT_OVER)
		session_begin_end(s);
}

/*
 * Parse phase.
 *   returns   1 when something moved
 */
static int
session_parse(struct session *s)
{
	int	moved = 0;

	if (s->phase != SESSION_RUNNING)
		return 0;
	if (s->opening) {
		moved = session_open_run(s);
		session_obey(s);
		return moved;
	}
	session_answer(s);
	moved |= session_io_feed(s, SMTP_CLIENT);
	session_answer(s);
	moved |= session_io_feed(s, SMTP_DEST);
	session_answer(s);
	session_obey(s);
	return moved;
}

int
session_ends_at_once(const struct session *s)
{
	return s->phase == SESSION_FLUSHING &&
	    s->side[SMTP_CLIENT].in.used == 0 && s->engine.reason != NULL &&
	    (strcmp(s->engine.reason, "quit") == 0 ||
	    strcmp(s->engine.reason, "shutdown") == 0);
}

/* Last words are out: close, or wait for the client to hear them. */
static void
session_flushed(struct session *s)
{
	struct session_side	*c = &s->side[SMTP_CLIENT];

	if (c->fd == -1 || c->has_eof || s->engine.is_client_lost ||
	    s->phase == SESSION_LINGERING || session_ends_at_once(s)) {
		s->phase = SESSION_ENDED;
		return;
	}
	/* All is said; when the client closes is its own business. */
	session_log_end(s);
	s->is_logged = 1;
	session_io_linger(s);
	s->phase = SESSION_LINGERING;
	s->end_by_ms = s->set->loop->now_ms + (s->set->is_stopping ?
	    SESSION_HURRY_MS : SESSION_LINGER_MS);
}

static void
session_free(struct session *s)
{
	int	i;

	for (i = 0; i < SMTP_SIDES; i++) {
		session_io_close(s, (enum smtp_side)i);
		buf_clear(&s->side[i].in);
	}
	timer_end(&s->set->loop->timers, &s->timer);
	close_fd(s->held_fd);
	session_open_free(s);
	smtp_engine_clear(&s->engine);
	/* What ended it may have put it back for another look. */
	if (s->is_active)
		TAILQ_REMOVE(&s->set->active, s, active_entry);
	TAILQ_REMOVE(&s->set->all, s, entry);
	s->set->used--;
	free(s);
}

static int64_t
session_deadline(const struct session *s)
{
	if (s->phase != SESSION_RUNNING)
		return s->end_by_ms;
	if (s->opening)
		return session_open_limit(s);
	return smtp_engine_deadline(&s->engine);
}

/*
 * The timer is moved only where it would come too late.  Nothing may wait
 * without one: last words that are not out by then are lost.
 */
static void
session_set_timer(struct session *s)
{
	int64_t	due_ms = session_deadline(s);

	if (due_ms == INT64_MAX ||
	    (timer_is_set(&s->timer) && s->timer.due_ms <= due_ms))
		return;
	if (timer_set(&s->set->loop->timers, &s->timer, due_ms) == 0)
		return;
	if (s->phase == SESSION_RUNNING)
		session_fail(s, SESSION_NO_MEMORY);
	else {
		s->phase = SESSION_ENDED;
		session_activate(s);
	}
}

static void
session_on_timer(struct timer *t, void *arg, int64_t now_ms)
{
	struct session	*s = arg;

	(void)t;
	session_activate(s);
	if (session_deadline(s) > now_ms)
		return;			/* it moved meanwhile; set again */
	if (s->phase == SESSION_RUNNING && s->opening)
		session_open_timeout(s);
	else if (s->phase == SESSION_RUNNING)
		smtp_engine_timeout(&s->engine, now_ms);
	else
		s->phase = SESSION_ENDED;
}

/*
 * Parse and send, until nothing moves.  A pipelined group is parsed as a whole
 * before it is sent, and so are its replies: one segment each.
 */
static void
session_run(struct session *s)
{
	int	moved;

	do {
		while (session_parse(s))
			session_log_ended(s);
		moved = session_io_send(s);
		session_obey(s);
		moved |= session_open_tls(s);
		session_log_ended(s);
	} while (moved && (s->phase == SESSION_RUNNING ||
	    s->phase == SESSION_FLUSHING));
	if (s->phase == SESSION_FLUSHING && session_io_is_flushed(s))
		session_flushed(s);
	if (s->phase == SESSION_LINGERING && s->side[SMTP_CLIENT].has_eof)
		s->phase = SESSION_ENDED;
	if (s->phase == SESSION_ENDED) {
		session_log_ended(s);
		if (!s->is_logged)
			session_log_end(s);
		session_io_close(s, SMTP_CLIENT);
		session_io_close(s, SMTP_DEST);
		s->set->ops->ended(s->set->arg, s);
		session_free(s);
		return;
	}
	session_io_watch(s);
	session_set_timer(s);
}

void
session_set_run(void *arg, int64_t now_ms)
{
	struct session_set	*set = arg;
	struct session		*s;

	(void)now_ms;
	while ((s = TAILQ_FIRST(&set->active)) != NULL) {
		TAILQ_REMOVE(&set->active, s, active_entry);
		s->is_active = 0;
		session_run(s);
	}
}

void
session_set_stop(struct session_set *set)
{
	struct session	*s;

	set->is_stopping = 1;
	TAILQ_FOREACH(s, &set->all, entry) {
		if (s->phase == SESSION_LINGERING)
			s->end_by_ms = set->loop->now_ms + SESSION_HURRY_MS;
		/* Before TLS stands the client can't be told. */
		if (s->opening)
			smtp_engine_tls_failed(&s->engine, SMTP_CLIENT,
			    "shutdown", set->loop->now_ms);
		else
			smtp_engine_stop(&s->engine, set->loop->now_ms);
		session_activate(s);
	}
}

void
session_set_clear(struct session_set *set)
{
	struct session	*s;

	while ((s = TAILQ_FIRST(&set->all)) != NULL)
		session_free(s);
	buf_pool_clear(&set->pool);
}
