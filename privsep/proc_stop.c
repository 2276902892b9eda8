/*
 * The end of all children: STOP, a bounded time, SIGKILL; the keyholder, of use
 * to the others, behind them, and the logger last.  Parent only.
 */
#include <sys/types.h>

#include <stdlib.h>

#include "../common/log.h"
#include "proc.h"
#include "proc_private.h"

static enum proc_stopping
stop_stage(enum proc_role role)
{
	if (role == PROC_LOGGER)
		return STOPPING_LOGGER;
	return role == PROC_KEYHOLDER ? STOPPING_KEYHOLDER :
	    STOPPING_CHILDREN;
}

static int
stop_concerns(const struct proc_child *c)
{
	return c != NULL && c->pid != 0 &&
	    stop_stage(c->row->role) == pp.stopping;
}

static void
stop_send(struct proc_child *c, unsigned int seconds)
{
	struct msg_writer	w;

	if (!c->is_ready || c->chan.state != CHAN_RUN) {
		/* Not in service yet: it has nothing to finish. */
		proc_child_kill(c, PROC_REASON_STOP);
		return;
	}
	msg_start(&w, MSG_STOP, 0);
	msg_put_u32(&w, seconds);
	if (chan_send(&c->chan, &w, NULL, 0, CHAN_FDS_KEEP) == -1)
		proc_child_kill(c, "takes no messages");
	else
		chan_set_state(&c->chan, CHAN_STOP);
}

static void
stop_all(unsigned int seconds)
{
	size_t	i;

	for (i = 0; i < PROC_CHILDREN_MAX; i++)
		if (stop_concerns(pp.child[i]))
			stop_send(pp.child[i], seconds);
	if (timer_set(&pp.loop->timers, &pp.stop, pp.loop->now_ms +
	    (int64_t)seconds * 1000) == -1)
		log_warn("stop");
}

void
proc_stop(unsigned int seconds)
{
	size_t	i;

	if (pp.stopping != STOPPING_NO)
		return;
	pp.stopping = STOPPING_CHILDREN;
	for (i = 0; i < PROC_CHILDREN_MAX; i++)
		if (pp.child[i] != NULL)
			timer_end(&pp.loop->timers, &pp.child[i]->restart);
	stop_all(seconds);
	proc_stop_next();
}

static void
stop_done(void)
{
	size_t	i;

	pp.stopping = STOPPING_DONE;
	timer_end(&pp.loop->timers, &pp.stop);
	timer_end(&pp.loop->timers, &pp.tick);
	for (i = 0; i < PROC_CHILDREN_MAX; i++) {
		free(pp.child[i]);
		pp.child[i] = NULL;
	}
	pp.ops->on_stopped(pp.arg);
}

static size_t
stop_left(void)
{
	size_t	i, n = 0;

	for (i = 0; i < PROC_CHILDREN_MAX; i++)
		if (stop_concerns(pp.child[i]))
			n++;
	return n;
}

void
proc_stop_next(void)
{
	if (pp.stopping == STOPPING_DONE)
		return;
	while (stop_left() == 0 && pp.stopping != STOPPING_LOGGER) {
		pp.stopping = pp.stopping == STOPPING_CHILDREN ?
		    STOPPING_KEYHOLDER : STOPPING_LOGGER;
		proc_log_flush();
		stop_all(PROC_LAST_STOP_S);
	}
	if (stop_left() > 0)
		return;
	/* Not from within the reaping of the child that is freed. */
	if (timer_set(&pp.loop->timers, &pp.stop, pp.loop->now_ms) == -1)
		stop_done();
}

void
proc_stop_on_timer(struct timer *t, void *arg, int64_t now_ms)
{
	size_t	i;

	(void)t;
	(void)arg;
	(void)now_ms;
	if (stop_left() == 0) {
		stop_done();
		return;
	}
	for (i = 0; i < PROC_CHILDREN_MAX; i++)
		if (stop_concerns(pp.child[i]))
			proc_child_kill(pp.child[i], "did not stop in time");
}
