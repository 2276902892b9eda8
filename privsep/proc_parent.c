/*
 * The parent's side of its children: settings, readiness, questions whether
 * they live, and the end of those that break the rules.  Parent only.  It
 * believes no child: what the table does not allow, or comes in a state that
 * it does not fit, ends that child and nothing else.
 */
#include <sys/types.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../common/log.h"
#include "proc.h"
#include "proc_private.h"

#define TICK_MS		1000
#define TICK_LATE	4		/* ticks missed: we did not run */

struct proc_parent	 pp;

const char *
proc_child_text(const struct proc_child *c, char *text)
{
	char	name[PROC_NAME_MAX];

	(void)snprintf(text, PROC_TEXT_MAX, "%s pid %ld",
	    proc_name(name, c->row->role, c->instance), (long)c->pid);
	return text;
}

struct chan *
proc_child_chan(struct proc_child *c)
{
	return &c->chan;
}

enum proc_role
proc_child_role(const struct proc_child *c)
{
	return c->row->role;
}

uint32_t
proc_child_instance_of(const struct proc_child *c)
{
	return c->instance;
}

int
proc_child_is_ready(const struct proc_child *c)
{
	return c->is_ready && !c->is_killed;
}

pid_t
proc_child_pid(const struct proc_child *c)
{
	return c->pid;
}

uint32_t
proc_child_max_files(const struct proc_child *c)
{
	return c->max_files;
}

void
proc_child_kill(struct proc_child *c, const char *reason)
{
	if (c->pid == 0 || c->is_killed)
		return;
	c->is_killed = 1;
	c->is_ready = 0;
	(void)strlcpy(c->reason, reason, sizeof(c->reason)); /* cut is fine */
	/* Our own child, not yet waited for: the number is still its. */
	if (!c->is_reaped && kill(c->pid, SIGKILL) == -1)
		log_warn("kill %ld", (long)c->pid);
}

/*
 * The user of a row, which is not NULL; there is an identity.  A name that the
 * program did not hand in is its own mistake.
 */
static struct proc_user
parent_user(const struct proc_row *row)
{
	struct proc_user	conf;
	size_t			i;

	conf.name = row->user;
	conf.uid = pp.identity->uid;
	conf.gid = pp.identity->gid;
	if (strcmp(row->user, USER_CONF) == 0)
		return conf;
	for (i = 0; i < pp.identity->nusers; i++)
		if (strcmp(row->user, pp.identity->users[i].name) == 0)
			return pp.identity->users[i];
	fatalx("%s: user %s was not looked up", row->name, row->user);
}

static int
parent_send_drop(struct proc_child *c)
{
	struct msg_writer	w;
	struct proc_user	user;
	int			has_user;

	memset(&user, 0, sizeof(user));
	has_user = pp.identity != NULL && c->row->user != NULL;
	if (has_user)
		user = parent_user(c->row);
	msg_start(&w, MSG_DROP, 0);
	msg_put_u8(&w, has_user ? 1 : 0);
	msg_put_u32(&w, (uint32_t)user.uid);
	msg_put_u32(&w, (uint32_t)user.gid);
	msg_put_str(&w, has_user && c->row->root != NULL ?
	    pp.identity->chroot : "");
	return chan_send(&c->chan, &w, NULL, 0, CHAN_FDS_KEEP);
}

static void
parent_on_hello(struct proc_child *c, struct msg *m)
{
	struct msg_reader	r;
	char			id[128], text[PROC_TEXT_MAX];
	uint8_t			role;
	uint32_t		instance;

	msg_reader_init(&r, m);
	msg_str(&r, id, sizeof(id));
	role = msg_u8(&r);
	instance = msg_u32(&r);
	if (msg_done(&r) == -1 || role != c->row->role ||
	    instance != c->instance) {
		chan_violation(&c->chan, m->type, "content");
		return;
	}
	if (strcmp(id, proc_build_id()) != 0) {
		c->is_stale = 1;
		log_warnx("%s: binary changed on disk, restart needed",
		    proc_child_text(c, text));
		proc_child_kill(c, "another build");
		return;
	}
	chan_set_state(&c->chan, CHAN_SETUP);
	if (parent_send_drop(c) == -1) {
		proc_child_kill(c, "settings could not be sent");
		return;
	}
	proc_link_child(c);
	if (c->row->role == PROC_LOGGER)
		proc_sink_setup(c);
	if (pp.ops->on_setup != NULL)
		pp.ops->on_setup(c, pp.arg);
}

static void
parent_on_ready(struct proc_child *c, struct msg *m)
{
	struct msg_reader	r;

	msg_reader_init(&r, m);
	c->max_files = msg_u32(&r);
	if (msg_done(&r) == -1) {
		chan_violation(&c->chan, m->type, "content");
		return;
	}
	chan_set_state(&c->chan, CHAN_RUN);
	c->is_ready = 1;
	if (c->row->role == PROC_LOGGER)
		proc_sink_ready(c);
	if (pp.ops->on_ready != NULL)
		pp.ops->on_ready(c, pp.arg);
}

/* It could not do what its row says: its own words, cut and escaped. */
static void
parent_on_failed(struct proc_child *c, struct msg *m)
{
	struct msg_reader	r;
	char			why[1024], text[PROC_TEXT_MAX];

	msg_reader_init(&r, m);
	msg_str(&r, why, sizeof(why));
	if (msg_done(&r) == -1) {
		chan_violation(&c->chan, m->type, "content");
		return;
	}
	log_warnx("%s: %s", proc_child_text(c, text), why);
	if (pp.ops->on_failed != NULL)
		pp.ops->on_failed(c, why, pp.arg);
}

static void
parent_on_pong(struct proc_child *c, const struct msg *m)
{
	if (m->id != c->ping_id || c->pinged_ms == 0) {
		chan_violation(&c->chan, m->type, "nobody asked");
		return;
	}
	c->pinged_ms = 0;
}

void
proc_parent_on_msg(struct chan *ch, struct msg *m, void *arg)
{
	struct proc_child	*c = arg;

	if (c->is_killed)
		return;
	switch (m->type) {
	case MSG_HELLO:
		parent_on_hello(c, m);
		break;
	case MSG_READY:
		parent_on_ready(c, m);
		break;
	case MSG_FAILED:
		parent_on_failed(c, m);
		break;
	case MSG_PONG:
		parent_on_pong(c, m);
		break;
	case MSG_SINK_LOST:
		proc_sink_lost(c);
		break;
	default:
		if (pp.ops->on_msg != NULL)
			pp.ops->on_msg(c, m, pp.arg);
		else
			chan_violation(ch, m->type, "nobody handles it");
		break;
	}
}

/* A channel never outlives its child, nor the child its channel. */
void
proc_parent_on_end(struct chan *ch, const char *reason, void *arg)
{
	struct proc_child	*c = arg;

	(void)ch;
	c->is_ready = 0;
	/*
	 * Else it is exiting, and its status says more; a child that closed
	 * its channel and lives on is killed by the tick.
	 */
	if (strncmp(reason, CHAN_VIOLATION, strlen(CHAN_VIOLATION)) == 0)
		proc_child_kill(c, reason);
}

static void
tick_ask(struct proc_child *c, int64_t now_ms)
{
	struct msg_writer	w;

	msg_start(&w, MSG_PING, ++c->ping_id);
	if (chan_send(&c->chan, &w, NULL, 0, CHAN_FDS_KEEP) == 0)
		c->pinged_ms = now_ms;
}

static void
tick_child(struct proc_child *c, int64_t now_ms)
{
	if (c == NULL)
		return;
	/* There was no memory for its timer when it died. */
	if (c->pid == 0 && c->row->on_death == DEATH_RESTART &&
	    pp.stopping == STOPPING_NO && !timer_is_set(&c->restart))
		proc_restart_later(c);
	if (c->pid == 0 || c->is_killed)
		return;
	if (!chan_is_open(&c->chan)) {
		if (now_ms - c->chan.heard_ms >= pp.ping_ms)
			proc_child_kill(c, "closed its channel");
		return;
	}
	if (!c->is_ready) {
		if (now_ms - c->started_ms >= PROC_SETUP_MS)
			proc_child_kill(c, "set-up took too long");
		return;
	}
	if (c->chan.full_since_ms != 0 &&
	    now_ms - c->chan.full_since_ms >= pp.hang_ms)
		proc_child_kill(c, "takes no messages");
	else if (c->pinged_ms != 0 && now_ms - c->pinged_ms >= pp.hang_ms)
		proc_child_kill(c, "does not answer");
	else if (c->pinged_ms == 0 && now_ms - c->chan.heard_ms >= pp.ping_ms)
		tick_ask(c, now_ms);
}

/*
 * We ourselves did not run for a while (stopped from a terminal, a machine
 * that was frozen): no child can be blamed for that time.
 */
static void
tick_forgive(struct proc_child *c, int64_t now_ms)
{
	if (c == NULL)
		return;
	if (c->pinged_ms != 0)
		c->pinged_ms = now_ms;
	if (c->chan.full_since_ms != 0)
		c->chan.full_since_ms = now_ms;
}

static void
parent_on_tick(struct timer *t, void *arg, int64_t now_ms)
{
	int64_t	next_ms = pp.ping_ms < TICK_MS ? pp.ping_ms : TICK_MS;
	size_t	i;

	(void)arg;
	if (pp.ticked_ms != 0 && now_ms - pp.ticked_ms > TICK_LATE * TICK_MS)
		for (i = 0; i < PROC_CHILDREN_MAX; i++)
			tick_forgive(pp.child[i], now_ms);
	pp.ticked_ms = now_ms;
	for (i = 0; i < PROC_CHILDREN_MAX; i++)
		tick_child(pp.child[i], now_ms);
	if (pp.has_link_failed)
		proc_link_all();
	if (timer_set(&pp.loop->timers, t, now_ms + next_ms) == -1)
		log_warn("tick");
}

void
proc_set_limits(int64_t ping_ms, int64_t hang_ms)
{
	pp.ping_ms = ping_ms;
	pp.hang_ms = hang_ms;
}

void
proc_parent_init(struct loop *loop, const char *self_path,
    const struct proc_identity *identity, const struct proc_ops *ops,
    void *arg, int verbose, const char *const *extra_argv)
{
	pp.loop = loop;
	pp.self_path = self_path;
	pp.identity = identity;
	pp.ops = ops;
	pp.arg = arg;
	pp.verbose = verbose;
	pp.extra_argv = extra_argv;
	pp.stopping = STOPPING_NO;
	pp.ticked_ms = 0;
	if (pp.ping_ms == 0)
		proc_set_limits(PROC_PING_MS, PROC_HANG_MS);
	timer_init(&pp.tick, parent_on_tick, NULL);
	timer_init(&pp.stop, proc_stop_on_timer, NULL);
	if (proc_reap_init() == -1)
		fatal("SIGCHLD");
	if (timer_set(&loop->timers, &pp.tick, loop->now_ms + TICK_MS) == -1)
		fatal("tick");
}

void
proc_parent_clear(void)
{
	timer_end(&pp.loop->timers, &pp.tick);
	timer_end(&pp.loop->timers, &pp.stop);
	proc_reap_clear();
	proc_set_limits(0, 0);
	pp.loop = NULL;
	pp.ops = NULL;
	pp.arg = NULL;
}

static void
child_on_restart(struct timer *t, void *arg, int64_t now_ms)
{
	(void)t;
	(void)now_ms;
	if (pp.stopping == STOPPING_NO)
		(void)proc_spawn(arg);	/* logged, and tried again */
}

struct proc_child *
proc_start(enum proc_role role, uint32_t instance)
{
	const struct proc_row	*row = proc_row(role);
	struct proc_child	*c;
	size_t			 i;

	for (i = 0; i < PROC_CHILDREN_MAX && pp.child[i] != NULL; i++)
		;
	if (row == NULL || i == PROC_CHILDREN_MAX) {
		errno = row == NULL ? ENOENT : EAGAIN;
		return NULL;
	}
	if ((c = calloc(1, sizeof(*c))) == NULL)
		return NULL;
	c->row = row;
	c->instance = instance;
	chan_init(&c->chan);
	timer_init(&c->restart, child_on_restart, c);
	pp.child[i] = c;
	if (proc_spawn(c) == -1 && row->on_death == DEATH_ONCE) {
		pp.child[i] = NULL;
		free(c);
		return NULL;
	}
	return c;
}
