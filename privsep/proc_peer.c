/*
 * A child's channels to other children.
 *
 * Runs in children.  The parent introduces them, one PEER message for each end,
 * and again when one is replaced; who is at the other end, is known from that
 * message alone.  What a peer sends is checked by the table, and its fault
 * costs its channel.
 */
#include <sys/types.h>

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../common/log.h"
#include "proc.h"
#include "proc_private.h"

struct peer {
	struct chan	 chan;		/* stays in place: the loop knows it */
	enum proc_role	 role;
	uint32_t	 instance;
	uint32_t	 generation;
};

static struct peer			*peers[PROC_CHILDREN_MAX];
static size_t				 npeers;
static const struct proc_peer_ops	*ops;

void
proc_child_set_peers(const struct proc_peer_ops *o)
{
	ops = o;
}

static struct peer *
peer_find(enum proc_role role, uint32_t instance)
{
	size_t	i;

	for (i = 0; i < npeers; i++)
		if (peers[i]->role == role && peers[i]->instance == instance)
			return peers[i];
	return NULL;
}

struct chan *
proc_child_peer(enum proc_role role, uint32_t instance)
{
	struct peer	*p;

	if ((p = peer_find(role, instance)) == NULL || !chan_is_open(&p->chan))
		return NULL;
	return &p->chan;
}

static struct peer *
peer_new(enum proc_role role, uint32_t instance)
{
	struct peer	*p;

	if (npeers == PROC_CHILDREN_MAX || (p = calloc(1, sizeof(*p))) == NULL)
		return NULL;
	chan_init(&p->chan);
	p->role = role;
	p->instance = instance;
	peers[npeers++] = p;
	return p;
}

/* The logger sends nothing to its clients: the table has no such row. */
static void
logger_on_msg(struct chan *ch, struct msg *m, void *arg)
{
	(void)arg;
	chan_violation(ch, m->type, "from the logger");
}

static void
logger_on_end(struct chan *ch, const char *reason, void *arg)
{
	(void)ch;
	(void)reason;
	(void)arg;
	proc_log_set_chan(NULL);
}

static int
peer_is_logger(enum proc_role self, const struct peer *p)
{
	return p->role == PROC_LOGGER && self != PROC_LOGGER;
}

/* The old process is gone: what was asked of it gets no answer. */
static void
peer_close(enum proc_role self, struct peer *p)
{
	if (!chan_is_open(&p->chan))
		return;
	chan_close(&p->chan);
	if (peer_is_logger(self, p))
		proc_log_set_chan(NULL);
	else if (ops != NULL && ops->on_end != NULL)
		ops->on_end(&p->chan, "replaced", ops->arg);
}

static void
peer_open(struct loop *loop, enum proc_role self, struct peer *p, int fd,
    pid_t pid)
{
	int	is_logger = peer_is_logger(self, p);

	if (!is_logger && ops == NULL) {
		log_warnx("peer %s: nobody here talks to it",
		    proc_role_name(p->role));
		(void)close(fd);	/* unused still */
		return;
	}
	if (chan_open(&p->chan, loop, fd, self, p->role, p->instance,
	    is_logger ? logger_on_msg : ops->on_msg,
	    is_logger ? logger_on_end : ops->on_end,
	    is_logger ? NULL : ops->arg) == -1) {
		log_warn("peer %s", proc_role_name(p->role));
		return;
	}
	chan_set_state(&p->chan, CHAN_RUN);
	if (is_logger)
		proc_log_set_chan(&p->chan);
	else if (ops->on_peer != NULL)
		ops->on_peer(&p->chan, pid, ops->arg);
}

void
proc_peer_take(struct loop *loop, enum proc_role self, struct msg *m)
{
	struct msg_reader	 r;
	struct peer		*p;
	enum proc_role		 role;
	uint32_t		 instance, generation, pid;

	msg_reader_init(&r, m);
	role = (enum proc_role)msg_u8(&r);
	instance = msg_u32(&r);
	generation = msg_u32(&r);
	pid = msg_u32(&r);
	if (msg_done(&r) == -1 || role >= PROC_ROLES)
		fatalx("PEER: malformed");
	p = peer_find(role, instance);
	if (p != NULL && generation < p->generation)
		fatalx("PEER: %s of an earlier generation",
		    proc_role_name(role));
	if (p == NULL)
		p = peer_new(role, instance);
	if (p == NULL || m->is_cut) {
		log_warnx("peer %s: no room for it", proc_role_name(role));
		return;
	}
	peer_close(self, p);
	p->generation = generation;
	peer_open(loop, self, p, msg_take_fd(m, 0), (pid_t)pid);
}
