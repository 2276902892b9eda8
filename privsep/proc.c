/*
 * The table of processes, and what every child does first and last in its
 * set-up.
 *
 * Runs in every process; below the table, in children only.  A child trusts
 * its parent, who gave it the descriptor; from its peers it takes what the
 * message table allows.
 */
#include "proc.h"

#include <sys/types.h>
#include <sys/stat.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "../common/log.h"
#include "../common/port/port.h"
#include "proc_private.h"

#define HELLO_WAIT_MS	30000

static const struct proc_row	*rows;
static size_t			 nrows;
static const char		*build_id;

/* The one child that this process is. */
static struct {
	struct chan		*parent;
	struct loop		*loop;
	const struct proc_row	*row;
	struct proc_identity	 identity;
	int			 has_identity;
	uint32_t		 instance;
	int			 is_ready;
} me;

void
proc_init(const struct proc_row *r, size_t n, const struct msg_row *msgs,
    size_t nmsgs, const char *id)
{
	size_t	i;

	/* Another root than the configuration's: no row has one yet. */
	for (i = 0; i < n; i++)
		if (r[i].root != NULL && strcmp(r[i].root, ROOT_CONF) != 0)
			fatalx("proc_init: root of %s", r[i].name);
	rows = r;
	nrows = n;
	build_id = id;
	if (msg_table_init(msgs, nmsgs) == -1)
		fatalx("proc_init: message table");
}

const struct proc_row *
proc_row(enum proc_role role)
{
	size_t	i;

	for (i = 0; i < nrows; i++)
		if (rows[i].role == role)
			return &rows[i];
	return NULL;
}

const struct proc_row *
proc_row_by_name(const char *name)
{
	size_t	i;

	for (i = 0; i < nrows; i++)
		if (strcmp(rows[i].name, name) == 0)
			return &rows[i];
	return NULL;
}

const char *
proc_build_id(void)
{
	return build_id;
}

/* --- In a child --- */

uint32_t
proc_child_instance(void)
{
	return me.instance;
}

/*
 * Signals of the terminal and of a service manager that tells the whole group
 * are the parent's business, who says STOP.  The parent has set them so before
 * the exec; this is for a child that was started in another way.
 */
static void
child_reset_signals(void)
{
	static const int	ignored[] = {
		SIGPIPE, SIGHUP, SIGINT, SIGTERM
	};
	size_t			i;
	sigset_t		none;

	for (i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++)
		if (signal(ignored[i], SIG_IGN) == SIG_ERR)
			fatal("signal %d", ignored[i]);
	(void)sigemptyset(&none);	/* can't fail */
	if (sigprocmask(SIG_SETMASK, &none, NULL) == -1)
		fatal("sigprocmask");
}

/* The last words of a set-up that failed, and of everything else. */
static void
child_at_exit(void)
{
	struct msg_writer	w;
	const char		*line = proc_log_fatal_line();

	proc_log_flush();
	if (me.is_ready || *line == '\0' || me.parent == NULL)
		return;
	msg_start(&w, MSG_FAILED, 0);
	msg_put_str(&w, line);
	/* Where this fails too, the parent still sees the exit status. */
	(void)chan_send(me.parent, &w, NULL, 0, CHAN_FDS_KEEP);
}

/* Before anyone else has set handlers of its own. */
static void
child_on_msg(struct chan *ch, struct msg *m, void *arg)
{
	(void)arg;
	if (proc_child_msg(ch, m))
		return;
	if (m->type == MSG_STOP)
		exit(0);
	chan_violation(ch, m->type, "nobody handles it");
}

static void
child_on_end(struct chan *ch, const char *reason, void *arg)
{
	(void)ch;
	(void)reason;
	(void)arg;
	exit(0);
}

/*
 * The parent speaks first, so that the instance is known; the answer goes out
 * in any case, for the parent logs when they differ.
 */
static void
child_hello(struct chan *ch, enum proc_role role)
{
	struct msg_writer	w;
	struct msg_reader	r;
	struct msg		m;
	uint8_t			room[MSG_MAX];
	char			id[128];
	uint8_t			as;

	chan_wait(ch, &m, room, HELLO_WAIT_MS);
	msg_reader_init(&r, &m);
	msg_str(&r, id, sizeof(id));
	as = msg_u8(&r);
	me.instance = msg_u32(&r);
	if (msg_done(&r) == -1 || as != role)
		fatalx("HELLO: not for this process");
	msg_start(&w, MSG_HELLO, 0);
	msg_put_str(&w, build_id);
	msg_put_u8(&w, (uint8_t)role);
	msg_put_u32(&w, me.instance);
	if (chan_send(ch, &w, NULL, 0, CHAN_FDS_KEEP) == -1)
		fatal("HELLO");
	if (strcmp(id, build_id) != 0)
		exit(0);
	chan_set_state(ch, CHAN_SETUP);
}

static void
child_take_drop(struct chan *ch)
{
	struct msg_reader	r;
	struct msg		m;
	uint8_t			room[MSG_MAX];

	chan_wait(ch, &m, room, HELLO_WAIT_MS);
	if (m.type != MSG_DROP)
		fatalx("DROP: message %u in its place", m.type);
	msg_reader_init(&r, &m);
	me.has_identity = msg_u8(&r) != 0;
	me.identity.uid = msg_u32(&r);
	me.identity.gid = msg_u32(&r);
	msg_str(&r, me.identity.chroot, sizeof(me.identity.chroot));
	if (msg_done(&r) == -1)
		fatalx("DROP: malformed");
}

void
proc_child_start(struct chan *ch, struct loop *loop, int park, int fd,
    enum proc_role role)
{
	char	name[PROC_NAME_MAX];

	child_reset_signals();
	/* First of all: what is opened from now on is meant to be. */
	port_closefrom(fd + 1);
	if (loop_init(loop, park) == -1)
		fatal("loop");
	if ((me.row = proc_row(role)) == NULL)
		fatalx("no such process");
	proc_log_start(loop);
	proc_log_keep_fatal(1);
	if (atexit(child_at_exit) != 0)
		fatalx("atexit");
	if (chdir("/") == -1)
		fatal("chdir /");
	(void)umask(077);
	tzset();			/* opens a file: not later */
	if (chan_open(ch, loop, fd, role, PROC_PARENT, 0, child_on_msg,
	    child_on_end, NULL) == -1)
		fatal("channel to the parent");
	me.parent = ch;
	me.loop = loop;
	child_hello(ch, role);
	child_take_drop(ch);
	ch->filter = proc_child_msg;
	port_title(proc_name(name, role, me.instance));
}

void
proc_child_ready(struct chan *ch)
{
	struct msg_writer	w;

	proc_log_flush();
	proc_drop(me.row, me.has_identity ? &me.identity : NULL);
	msg_start(&w, MSG_READY, 0);
	msg_put_u32(&w, proc_drop_max_files());
	if (chan_send(ch, &w, NULL, 0, CHAN_FDS_KEEP) == -1)
		fatal("READY");
	chan_set_state(ch, CHAN_RUN);
	ch->filter = NULL;
	me.is_ready = 1;
	proc_log_keep_fatal(0);
}

int
proc_child_msg(struct chan *ch, struct msg *m)
{
	struct msg_writer	w;

	switch (m->type) {
	case MSG_PING:
		msg_start(&w, MSG_PONG, m->id);
		/* Where no room is left we are hung: the parent will see. */
		(void)chan_send(ch, &w, NULL, 0, CHAN_FDS_KEEP);
		return 1;
	case MSG_PEER:
		proc_peer_take(me.loop, me.row->role, m);
		return 1;
	case MSG_STOP:
		chan_set_state(ch, CHAN_STOP);
		return 0;
	default:
		return 0;
	}
}
