/*
 * The parent process: root, and therefore little.  It starts and stops the
 * children; what a worker asks is answered from the parent's own record of
 * the session (sessions.c), never from the worker's words.  It trusts the
 * configuration and nothing else.  Listeners: parent_accept.c.
 */
#include "parent.h"

#include <sys/types.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "../common/log.h"
#include "../common/port/port.h"
#include "../privsep/chan.h"
#include "conf_wire.h"
#include "intercept.h"
#include "messages.h"
#include "parent_int.h"
#include "parent_keys.h"
#include "version.h"
#include "waiting.h"

#define STOP_SECONDS		30
#define STOP_FAILED_SECONDS	2	/* nothing has begun */
#define WORKER_RESERVE		64	/* descriptors not for sessions */
#define WORKER_BATCH		32	/* messages to it at once */
#define CONNECT_RATE		1000	/* further choices a second, worker */
#define CONNECT_BURST		2000

struct parent	parent;

static struct parent_worker *
parent_worker_of(struct proc_child *child)
{
	return &parent.workers[proc_child_instance_of(child)];
}

/* --- Configuration to a worker. --- */

static int
parent_put_record(void *arg, const uint8_t *octets, size_t len)
{
	struct chan		*c = arg;
	struct msg_writer	 m;

	msg_start(&m, MSG_CONF_RECORD, 0);
	msg_put_octets(&m, octets, len);
	if (msg_finish(&m) == -1)
		return -1;
	return chan_send(c, &m, NULL, 0, CHAN_FDS_KEEP);
}

static int
parent_put_piece(void *arg, uint32_t blob, const uint8_t *octets, size_t len)
{
	struct chan		*c = arg;
	struct msg_writer	 m;

	msg_start(&m, MSG_CONF_PIECE, 0);
	msg_put_u32(&m, blob);
	msg_put_octets(&m, octets, len);
	if (msg_finish(&m) == -1)
		return -1;
	return chan_send(c, &m, NULL, 0, CHAN_FDS_KEEP);
}

static int
parent_send_conf(struct chan *c)
{
	struct msg_writer	m;
	int64_t			n;

	_Static_assert(CONF_WIRE_PIECE <= CONF_PIECE_MAX, "pieces");
	msg_start(&m, MSG_CONF_BEGIN, 0);
	msg_put_u32(&m, parent.conf->generation);
	if (msg_finish(&m) == -1 || chan_send(c, &m,
	    NULL, 0, CHAN_FDS_KEEP) == -1 ||
	    (n = conf_wire_write(parent.conf, parent_put_record, c)) == -1 ||
	    conf_wire_pieces(parent.conf, parent_put_piece, c) == -1)
		return -1;
	msg_start(&m, MSG_CONF_END, 0);
	msg_put_u32(&m, parent.conf->generation);
	msg_put_u32(&m, (uint32_t)n);
	if (msg_finish(&m) == -1)
		return -1;
	return chan_send(c, &m, NULL, 0, CHAN_FDS_KEEP);
}

static void
parent_on_setup(struct proc_child *child, void *arg)
{
	(void)arg;
	if (proc_child_role(child) == PROC_WORKER &&
	    parent_send_conf(proc_child_chan(child)) == -1) {
		proc_child_kill(child, "configuration could not be sent");
		return;
	}
	parent_keys_on_setup(child);
}

static void
parent_on_ready(struct proc_child *child, void *arg)
{
	struct parent_worker	*w;
	uint32_t		 max = proc_child_max_files(child);

	(void)arg;
	parent.has_been_ready |= ROLE(proc_child_role(child));
	if (proc_child_role(child) != PROC_WORKER)
		return;
	w = parent_worker_of(child);
	w->child = child;
	/* Without it each session goes by itself. */
	(void)chan_set_batch(proc_child_chan(child), WORKER_BATCH);
	chan_set_unsent(proc_child_chan(child), parent_on_unsent, NULL);
	w->max_sessions = max > WORKER_RESERVE + 2 ?
	    (max - WORKER_RESERVE) / 2 : 1;
	w->tokens = CONNECT_BURST;
	w->bucket_ms = parent.loop.now_ms;
}

/* Whatever is needed to serve was there once. */
static int
parent_has_started(void)
{
	unsigned int	needed = ROLE(PROC_WORKER);

	if (parent.conf->npkis > 0)
		needed |= ROLE(PROC_KEYHOLDER);
	return (parent.has_been_ready & needed) == needed;
}

/* What fails before anything served is an error of the start. */
static void
parent_on_failed(struct proc_child *child, const char *why, void *arg)
{
	(void)child;
	(void)why;			/* was logged */
	(void)arg;
	if (parent_has_started() || parent.is_stopping)
		return;
	parent.status = 1;
	parent.is_stopping = 1;
	parent_close_listeners();
	proc_stop(STOP_FAILED_SECONDS);
}

static void
parent_on_gone(struct proc_child *child, void *arg)
{
	struct parent_worker	*w;

	(void)arg;
	parent_keys_on_gone(child);
	if (proc_child_role(child) != PROC_WORKER)
		return;
	w = parent_worker_of(child);
	if (w->owner.used > 0)
		log_warnx("worker[%u]: %zu sessions lost",
		    proc_child_instance_of(child), w->owner.used);
	sessions_remove_all(&w->owner);
	w->child = NULL;
}


static void
parent_after(void *arg, int64_t now_ms)
{
	(void)arg;
	(void)now_ms;
	parent_watch_listeners();
	proc_log_flush();
}

/* --- What workers ask. --- */

static int
parent_take_token(struct parent_worker *w)
{
	int64_t	now_ms = parent.loop.now_ms;

	w->tokens += (now_ms - w->bucket_ms) * CONNECT_RATE / 1000;
	w->bucket_ms = now_ms;
	if (w->tokens > CONNECT_BURST)
		w->tokens = CONNECT_BURST;
	if (w->tokens <= 0)
		return -1;
	w->tokens--;
	return 0;
}

/* The descriptor is done with here. */
static int
parent_send_answer(struct proc_child *child, const struct session_record *s,
    int fd, int error)
{
	struct msg_writer	m;

	msg_start(&m, fd == -1 ? MSG_CONNECT_FAILED : MSG_CONNECTED, s->id);
	msg_put_u32(&m, s->choice);
	if (fd == -1)
		msg_put_u32(&m, (uint32_t)error);
	msg_put_addr(&m, sessions_dest(s));
	(void)msg_finish(&m);		/* chan_send() asks it again */
	return chan_send(proc_child_chan(child), &m, &fd, fd == -1 ? 0 : 1,
	    CHAN_FDS_CLOSE);
}

/*
 * An answer that can neither be sent nor kept costs the session that choice:
 * its worker tries the next one when the time to connect is over.  A worker
 * that takes nothing at all is the tick's to find.
 */
static void
parent_answer_connect(struct proc_child *child, struct session_record *s)
{
	int	fd = -1, error = EAGAIN;

	if (parent_take_token(parent_worker_of(child)) == 0 &&
	    (fd = parent_connect_or_note(s)) == -1)
		error = errno;
	if (parent_send_answer(child, s, fd, error) == -1 && (fd == -1 ||
	    parent_send_answer(child, s, -1, EMFILE) == -1))
		log_warn("worker[%u]: a connection could not be passed on",
		    proc_child_instance_of(child));
}

/* Its own session, the next choices in order, each once. */
static void
parent_on_connect(struct proc_child *child, struct session_record *s,
    struct msg *m)
{
	struct msg_reader	r;
	uint32_t		choice;

	msg_reader_init(&r, m);
	choice = msg_u32(&r);
	if (msg_done(&r) == -1 || choice < s->next ||
	    choice >= s->relay->nchoices) {
		chan_violation(proc_child_chan(child), m->type, "choice");
		return;
	}
	s->choice = choice;
	s->next = choice + 1;
	parent_answer_connect(child, s);
}

static void
parent_on_msg(struct proc_child *child, struct msg *m, void *arg)
{
	struct session_record	*s;

	(void)arg;
	s = sessions_find(m->id);
	if (s == NULL || proc_child_role(child) != PROC_WORKER ||
	    s->owner != &parent_worker_of(child)->owner) {
		chan_violation(proc_child_chan(child), m->type, "session");
		return;
	}
	if (m->type == MSG_SESSION_END)
		sessions_remove(s);
	else
		parent_on_connect(child, s, m);
}

/* --- Start and stop. --- */

static void
parent_on_stopped(void *arg)
{
	(void)arg;
	loop_stop(&parent.loop);
}

static const struct proc_ops	parent_ops = {
	.on_msg = parent_on_msg,
	.on_setup = parent_on_setup,
	.on_ready = parent_on_ready,
	.on_failed = parent_on_failed,
	.on_gone = parent_on_gone,
	.on_stopped = parent_on_stopped
};

static void
parent_stop(int signal)
{
	if (parent.is_stopping)
		return;
	parent.is_stopping = 1;
	log_info("stopping on signal %d, %zu sessions open", signal,
	    sessions_used());
	parent_close_listeners();
	waiting_stop();
	sessions_flush_refusals(parent.loop.now_ms, 1);
	proc_stop(STOP_SECONDS);
}

static void
parent_catch(int signal)
{
	uint8_t	octet = (uint8_t)signal;
	int	saved = errno;

	/* A full pipe holds a signal already. */
	(void)!write(parent.signal_pipe[1], &octet, 1);
	errno = saved;
}

static void
parent_on_signal(struct loop_fd *lf, short revents, void *arg)
{
	uint8_t	octet;

	(void)lf;
	(void)revents;
	(void)arg;
	while (read(parent.signal_pipe[0], &octet, 1) == 1) {
		if (octet == SIGHUP)
			log_info("reload is not supported by this version");
		else
			parent_stop(octet);
	}
}

static void
parent_set_signals(void)
{
	struct sigaction	sa;

	memset(&sa, 0, sizeof(sa));
	sigemptyset(&sa.sa_mask);
	sa.sa_flags = SA_RESTART;
	sa.sa_handler = parent_catch;
	if (pipe2(parent.signal_pipe, O_NONBLOCK | O_CLOEXEC) == -1)
		fatal("pipe");
	loop_fd_init(&parent.signal_lfd);
	if (loop_add(&parent.loop, &parent.signal_lfd,
	    parent.signal_pipe[0], POLLIN, parent_on_signal, NULL) == -1 ||
	    sigaction(SIGTERM, &sa, NULL) == -1 ||
	    sigaction(SIGINT, &sa, NULL) == -1 ||
	    sigaction(SIGHUP, &sa, NULL) == -1)
		fatal("signals");
	sa.sa_handler = SIG_IGN;
	if (sigaction(SIGPIPE, &sa, NULL) == -1)
		fatal("signals");
}

static void
parent_on_second(struct timer *t, void *arg, int64_t now_ms)
{
	(void)arg;
	sessions_flush_refusals(now_ms, 0);
	parent_look_for_room();
	/* Moving a timer that was set before never fails for want of room. */
	if (timer_set(&parent.loop.timers, t, now_ms + 1000) == -1)
		log_warn("timer");
}

static void
parent_identity(struct proc_identity *id)
{
	const struct passwd	*pw;
	const char		*why;

	memset(id, 0, sizeof(*id));
	if (geteuid() != 0)
		fatalx("need root privileges");
	if ((pw = getpwnam(parent.conf->user)) == NULL)
		fatalx("unknown user %s", parent.conf->user);
	if (pw->pw_uid == 0)
		fatalx("user %s is root: another one is needed",
		    parent.conf->user);
	id->uid = pw->pw_uid;
	id->gid = pw->pw_gid;
	if (strlcpy(id->chroot, parent.conf->chroot, sizeof(id->chroot)) >=
	    sizeof(id->chroot))
		fatalx("chroot: path too long");
	if (proc_check_root(id->chroot, &why) == -1)
		fatalx("chroot %s: %s", id->chroot, why);
	parent_keys_identity(parent.conf, id);
}

static void
parent_raise_limits(void)
{
	struct rlimit	r;

	if (getrlimit(RLIMIT_NOFILE, &r) == -1)
		fatal("getrlimit");
	r.rlim_cur = r.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &r) == -1)
		log_warn("setrlimit: descriptors");
}

static void
parent_start_children(void)
{
	uint32_t	i;

	if (proc_start(PROC_LOGGER, 0) == NULL)
		fatal("logger");
	parent_keys_start(&parent.loop, parent.conf);
	for (i = 0; i < parent.conf->nworkers; i++) {
		LIST_INIT(&parent.workers[i].owner.records);
		if (proc_start(PROC_WORKER, i) == NULL)
			fatal("worker");
	}
}

static void
parent_say_finding(void *arg, const struct conf_place *place,
    const char *why)
{
	(void)arg;
	log_warnx("%s:%d: %s", place->file, place->line, why);
}

/* What interception needs of the system; what is missing is said. */
static void
parent_prepare_intercept(void)
{
	static const struct waiting_ops	ops = {
		.connect = parent_connect,
		.connected = parent_on_waited
	};
	const struct conf_relay		*r;

	(void)intercept_check(parent.conf, parent_say_finding, NULL);
	for (r = parent.conf->relays; r != NULL; r = r->next)
		if (r->forward == FORWARD_NAT && port_nat_open() == -1)
			fatal("%s:%d: nat lookup", r->place.file,
			    r->place.line);
	LIST_INIT(&parent.waiting.records);
	waiting_init(&parent.loop, &ops);
}

static int
open_stderr(void)
{
	return dup(STDERR_FILENO);
}

static char *
unveil_path(const char *rights, const char *path)
{
	char	*text;

	if (asprintf(&text, "%s %s", rights, path) == -1)
		fatal("unveil");
	return text;
}

/*
 * What it still opens: itself, to start children, their /dev/null, and keys
 * for another keyholder.
 */
static void
parent_unveil(const char *self_path)
{
	const struct conf_pki	*pki;
	char			**paths;
	size_t			 i, n = 0;

	if ((paths = calloc((size_t)parent.conf->npkis + 3,
	    sizeof(*paths))) == NULL)
		fatal("unveil");
	paths[n++] = unveil_path("x", self_path);
	paths[n++] = unveil_path("rw", "/dev/null");
	for (pki = parent.conf->pkis; pki != NULL; pki = pki->next)
		paths[n++] = unveil_path("r", pki->key_path);
	if (port_unveil((const char *const *)paths) == -1)
		fatal("unveil");
	for (i = 0; i < n; i++)
		free(paths[i]);
	free(paths);
}

int
parent_run(struct conf *conf, const struct parent_options *o)
{
	struct proc_identity	id;
	static const char	tag[] = "smtpproxyd";

	parent.conf = conf;
	conf->generation = 1;
	parent_identity(&id);
	if (loop_init(&parent.loop, 0) == -1)
		fatal("loop");
	parent_raise_limits();
	sessions_init(time(NULL));
	parent_open_listeners();
	parent_prepare_intercept();
	if (!o->is_foreground && daemon(0, 0) == -1)
		fatal("daemon");
	parent_unveil(o->self_path);
	parent_set_signals();
	proc_parent_init(&parent.loop, o->self_path, &id, &parent_ops, NULL,
	    o->verbose, NULL);
	if (o->is_foreground)
		proc_set_log_sink(LOG_SINK_STDERR, open_stderr, tag);
	else
		proc_set_log_sink(LOG_SINK_SYSLOG, port_syslog_open, tag);
	parent_start_children();
	log_info("smtpproxyd %s started, %u workers, sandbox %s", VERSION,
	    conf->nworkers, port_sandbox_name());
	port_title("parent");
	timer_init(&parent.second, parent_on_second, NULL);
	if (timer_set(&parent.loop.timers, &parent.second,
	    parent.loop.now_ms + 1000) == -1)
		fatal("timer");
	parent.loop.after = parent_after;
	if (loop_run(&parent.loop) == -1)
		fatal("poll");
	sessions_flush_refusals(parent.loop.now_ms, 1);
	parent_keys_clear();
	conf_free(conf);
	free(parent.listeners);
	return parent.status;
}
