/*
 * Introduce children to each other: for each pair of roles that both rows
 * name, a channel of their own, one end to each (MSG_PEER).  Parent only; it
 * relays nothing.  A process that was replaced is introduced anew, and its
 * partners close the old end.
 */
#include <sys/types.h>

#include <errno.h>
#include <unistd.h>

#include "../common/log.h"
#include "proc.h"
#include "proc_private.h"

/* Is it past HELLO, so that PEER may be sent? */
static int
link_can(const struct proc_child *c)
{
	return c != NULL && c->pid != 0 && !c->is_killed &&
	    chan_is_open(&c->chan) && (c->chan.state == CHAN_SETUP ||
	    c->chan.state == CHAN_RUN);
}

static int
link_wants(const struct proc_child *a, const struct proc_child *b)
{
	return (a->row->peers & ROLE(b->row->role)) != 0 &&
	    (b->row->peers & ROLE(a->row->role)) != 0;
}

static int
link_send(struct proc_child *to, const struct proc_child *about, int fd)
{
	struct msg_writer	w;

	msg_start(&w, MSG_PEER, 0);
	msg_put_u8(&w, (uint8_t)about->row->role);
	msg_put_u32(&w, about->instance);
	msg_put_u32(&w, about->generation);
	msg_put_u32(&w, (uint32_t)about->pid);
	return chan_send(&to->chan, &w, &fd, 1, CHAN_FDS_CLOSE);
}

static void
link_pair(size_t i, size_t j)
{
	struct proc_child	*a = pp.child[i], *b = pp.child[j];
	int			 fd[2];

	if (!link_can(a) || !link_can(b) || !link_wants(a, b) ||
	    (a->linked[j] == b->generation && b->linked[i] == a->generation))
		return;
	if (chan_pair(fd) == -1) {
		if (!pp.has_link_failed)
			log_warn("channel between children");
		pp.has_link_failed = 1;	/* the tick tries again */
		return;
	}
	if (link_send(a, b, fd[0]) == -1) {
		(void)close(fd[1]);	/* the other end went with the send */
		pp.has_link_failed = 1;
		return;
	}
	if (link_send(b, a, fd[1]) == -1) {
		pp.has_link_failed = 1;
		return;
	}
	a->linked[j] = b->generation;
	b->linked[i] = a->generation;
}

void
proc_link_child(struct proc_child *c)
{
	size_t	i, j;

	for (i = 0; i < PROC_CHILDREN_MAX && pp.child[i] != c; i++)
		;
	if (i == PROC_CHILDREN_MAX)
		return;
	for (j = 0; j < PROC_CHILDREN_MAX; j++)
		if (j != i)
			link_pair(i, j);
}

void
proc_link_all(void)
{
	size_t	i, j;

	pp.has_link_failed = 0;
	for (i = 0; i < PROC_CHILDREN_MAX; i++)
		for (j = i + 1; j < PROC_CHILDREN_MAX; j++)
			link_pair(i, j);
}
