/*
 * The poll loop of every process, with the queue of parked descriptors.  It
 * trusts its callers and sees no data of a peer, but peers decide how many
 * descriptors are ready: a pass costs what is polled, ready and expired, and
 * never what is parked.
 *
 * A descriptor in the loop is in one of three places: in a slot of the poll
 * set; parked in the kernel queue; or at rest (events 0 for a while), where
 * nobody looks at it.  A parked one that is ready has a slot for the length of
 * the pass, which poll(2) does not see.  loop_add() keeps a slot's memory for
 * each of them, so that coming back from a place never fails.
 */
#include "loop.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "log.h"
#include "port/port.h"

#define LOOP_FIRST_SIZE	64
#define LOOP_WAKE_MAX	256	/* parked descriptors woken in one pass */
#define LOOP_CROWD	16	/* more in the poll set are parked at once */
#define LOOP_SHORT_MS	20	/* until there may be memory again */
#define LOOP_ALWAYS	(POLLERR | POLLHUP | POLLNVAL)

/* The kernel queue has slot 0 when there is one. */
static size_t
loop_first(const struct loop *l)
{
	return l->park_fd == -1 ? 0 : 1;
}

/* Memory for one more slot, whatever is parked or at rest coming back too. */
static int
loop_reserve(struct loop *l)
{
	struct pollfd	 *set;
	struct loop_fd	**owner;
	size_t		  size = l->size;

	if (l->used + l->nparked + l->nresting < size)
		return 0;
	size = size == 0 ? LOOP_FIRST_SIZE : size * 2;
	if ((set = reallocarray(l->set, size, sizeof(*set))) == NULL)
		return -1;
	l->set = set;
	owner = reallocarray(l->owner, size, sizeof(struct loop_fd *));
	if (owner == NULL)
		return -1;
	l->owner = owner;
	l->size = size;
	return 0;
}

static void
loop_take_slot(struct loop *l, struct loop_fd *lf, int fd)
{
	struct pollfd	*p = &l->set[l->used];

	p->fd = fd;
	p->events = POLLIN;
	p->revents = 0;
	l->owner[l->used] = lf;
	if (lf != NULL) {
		p->events = lf->events;
		if (lf->events == 0)
			p->fd = -1;
		lf->slot = (int32_t)l->used;
	}
	l->used++;
}

/*
 * The slot is only marked: the ready scan may be running, and places move
 * in loop_compact() alone.  Without revents the scan passes it by.
 */
static void
loop_leave_slot(struct loop *l, struct loop_fd *lf)
{
	struct pollfd	*p = &l->set[lf->slot];

	p->fd = -1;
	p->events = 0;
	p->revents = 0;
	l->owner[lf->slot] = NULL;
	l->nfree++;
	lf->slot = -1;
}

/* poll(2) refuses more entries than the process may have descriptors. */
static void
loop_compact(struct loop *l)
{
	struct loop_fd	*lf;
	size_t		 from, to;

	if (l->nfree == 0 && l->nwoken == 0)
		return;
	for (from = to = loop_first(l); from < l->used; from++) {
		if ((lf = l->owner[from]) == NULL)
			continue;
		if (lf->is_parked) {
			lf->slot = -1;
			continue;
		}
		l->set[to] = l->set[from];
		l->owner[to] = l->owner[from];
		l->owner[to]->slot = (int32_t)to;
		to++;
	}
	l->used = to;
	l->nfree = 0;
	l->nwoken = 0;
}

int
loop_init(struct loop *l, int park)
{
	memset(l, 0, sizeof(*l));
	timer_heap_init(&l->timers);
	TAILQ_INIT(&l->tasks);
	l->park_fd = -1;
	l->now_ms = port_now_ms();
	if (park && (l->park_fd = port_park_open()) == -1 && errno != ENOSYS)
		return -1;	/* ENOSYS: no such queue here, poll it all */
	if (loop_reserve(l) == -1) {
		loop_clear(l);
		errno = ENOMEM;
		return -1;
	}
	if (l->park_fd != -1)
		loop_take_slot(l, NULL, l->park_fd);
	return 0;
}

void
loop_clear(struct loop *l)
{
	if (l->park_fd != -1)
		(void)close(l->park_fd);	/* nothing to lose in it */
	timer_heap_clear(&l->timers);
	free(l->set);
	free(l->owner);
	memset(l, 0, sizeof(*l));
	l->park_fd = -1;
}

void
loop_fd_init(struct loop_fd *lf)
{
	memset(lf, 0, sizeof(*lf));
	lf->fd = -1;
	lf->slot = -1;
}

int
loop_add(struct loop *l, struct loop_fd *lf, int fd, short events,
    loop_fn *fn, void *arg)
{
	if (fd < 0 || lf->fd != -1) {
		errno = fd < 0 ? EBADF : EBUSY;
		return -1;
	}
	if (loop_reserve(l) == -1)
		return -1;
	lf->fd = fd;
	lf->events = events;
	lf->is_parked = 0;
	lf->quiet_since = (uint32_t)l->now_ms;
	lf->fn = fn;
	lf->arg = arg;
	loop_take_slot(l, lf, fd);
	return 0;
}

/*
 * Out of the kernel queue.  Failure means that the owner closed the descriptor
 * first.  The registration may then live on with the file (another process
 * may hold it) and point to memory that is about to be freed: stop here.
 */
static void
loop_unregister(struct loop *l, struct loop_fd *lf)
{
	if (port_park_del(l->park_fd, lf->fd) == -1)
		fatal("loop: descriptor %d closed while parked", lf->fd);
	lf->is_parked = 0;
	l->nparked--;
	if (lf->slot != -1)
		l->nwoken--;
}

/* Back into the poll set from wherever it is. */
static void
loop_return(struct loop *l, struct loop_fd *lf)
{
	if (lf->is_parked)
		loop_unregister(l, lf);
	else if (lf->slot == -1)
		l->nresting--;
	if (lf->slot == -1)
		loop_take_slot(l, lf, lf->fd);
}

static int
loop_is_parkable(short events)
{
	return (events & ~PORT_POLLRDHUP) == POLLIN;
}

void
loop_set(struct loop *l, struct loop_fd *lf, short events)
{
	struct pollfd	*p;

	if (lf->fd == -1 || lf->events == events)
		return;
	lf->events = events;
	if (lf->is_parked && loop_is_parkable(events))
		return;		/* the queue watches for either */
	loop_return(l, lf);
	lf->quiet_since = (uint32_t)l->now_ms;
	p = &l->set[lf->slot];
	p->fd = events == 0 ? -1 : lf->fd;
	p->events = events;
}

void
loop_del(struct loop *l, struct loop_fd *lf)
{
	if (lf->fd == -1)
		return;
	if (lf->is_parked)
		loop_unregister(l, lf);
	else if (lf->slot == -1)
		l->nresting--;
	if (lf->slot != -1)
		loop_leave_slot(l, lf);
	lf->fd = -1;
	lf->events = 0;
}

/* One descriptor that was quiet: out of the poll set, if it may leave. */
static void
loop_retire(struct loop *l, struct loop_fd *lf)
{
	if (lf->events == 0) {
		loop_leave_slot(l, lf);
		l->nresting++;
		return;
	}
	if (l->park_fd == -1 || !loop_is_parkable(lf->events))
		return;
	if (port_park_add(l->park_fd, lf->fd, lf) == -1) {
		/* Plain files, or no memory: polled on, tried again later. */
		lf->quiet_since = (uint32_t)l->now_ms;
		l->next_crowd_ms = l->now_ms + LOOP_QUIET_MS;
		return;
	}
	loop_leave_slot(l, lf);
	lf->is_parked = 1;
	l->nparked++;
}

/*
 * Out of the poll set: those that were quiet, or, where it is crowded, all
 * that may leave.  poll(2) looks at each of its entries up to twice a call,
 * the queue at none.
 */
static void
loop_retire_quiet(struct loop *l)
{
	struct loop_fd	*lf;
	uint32_t	 now = (uint32_t)l->now_ms;
	size_t		 i;
	int		 is_crowded;

	is_crowded = l->park_fd != -1 && l->used > LOOP_CROWD &&
	    l->now_ms >= l->next_crowd_ms;
	if (l->now_ms < l->next_park_ms && !is_crowded)
		return;
	l->next_park_ms = l->now_ms + LOOP_QUIET_MS;
	for (i = loop_first(l); i < l->used; i++) {
		if ((lf = l->owner[i]) == NULL || lf->is_parked)
			continue;
		if (now - lf->quiet_since >= LOOP_QUIET_MS ||
		    (is_crowded && lf->events != 0))
			loop_retire(l, lf);
	}
}

/*
 * Parked descriptors that are ready get a slot for this pass.  All of a batch
 * do so before any function runs: from then on they are known by their slots,
 * and a function that frees the owner of another one leaves no stale pointer.
 *   returns   how many
 */
static size_t
loop_wake(struct loop *l)
{
	void		*tags[LOOP_WAKE_MAX];
	struct loop_fd	*lf;
	int		 i, n;

	n = port_park_wait(l->park_fd, tags, LOOP_WAKE_MAX);
	for (i = 0; i < n; i++) {
		lf = tags[i];
		loop_take_slot(l, lf, -1);
		l->set[lf->slot].revents = POLLIN;
		l->nwoken++;
	}
	return n > 0 ? (size_t)n : 0;
}

/*
 * Call what is ready.  A function may take any descriptor out, close it and
 * add another with the same number: slots taken now have no revents and are
 * not called before the next poll(2).  The arrays may move under us.
 */
static void
loop_dispatch(struct loop *l, size_t nready)
{
	struct loop_fd	*lf;
	size_t		 i, end;
	short		 revents;

	if (l->park_fd != -1 && l->set[0].revents != 0)
		nready += loop_wake(l) - 1;
	end = l->used;
	for (i = loop_first(l); i < end && nready > 0; i++) {
		if (l->set[i].revents == 0)
			continue;
		nready--;
		lf = l->owner[i];
		/* What it waits for may have changed since the poll(2). */
		revents = (short)(l->set[i].revents &
		    (lf->events | LOOP_ALWAYS));
		lf->quiet_since = (uint32_t)l->now_ms;
		if (revents != 0 && lf->events != 0)
			lf->fn(lf, revents, lf->arg);
	}
}

/*
 * Where the kernel has no memory to look at the set, nothing is ready this
 * time: a wait that needs none, and the timers.
 */
static int
loop_poll(struct loop *l)
{
	int	n;

	n = poll(l->set, (nfds_t)l->used, timer_wait(&l->timers, l->now_ms));
	if (n == -1 && (errno == ENOMEM || errno == EAGAIN)) {
		(void)poll(NULL, 0, LOOP_SHORT_MS);	/* a shorter one */
		return 0;
	}
	return n == -1 && errno == EINTR ? 0 : n;
}

void
loop_task_init(struct loop_task *t, void (*fn)(void *), void *arg)
{
	memset(t, 0, sizeof(*t));
	t->fn = fn;
	t->arg = arg;
}

void
loop_put_off(struct loop *l, struct loop_task *t)
{
	if (t->is_put_off)
		return;
	t->is_put_off = 1;
	TAILQ_INSERT_TAIL(&l->tasks, t, entry);
}

void
loop_take_back(struct loop *l, struct loop_task *t)
{
	if (!t->is_put_off)
		return;
	t->is_put_off = 0;
	TAILQ_REMOVE(&l->tasks, t, entry);
}

static void
loop_run_tasks(struct loop *l)
{
	struct loop_task	*t;

	while ((t = TAILQ_FIRST(&l->tasks)) != NULL) {
		loop_take_back(l, t);
		t->fn(t->arg);
	}
}

int
loop_once(struct loop *l)
{
	int	n;

	loop_run_tasks(l);		/* of the set-up */
	loop_compact(l);
	loop_retire_quiet(l);
	loop_compact(l);
	if ((n = loop_poll(l)) == -1)
		return -1;
	l->now_ms = port_now_ms();
	if (n > 0)
		loop_dispatch(l, (size_t)n);
	timer_run(&l->timers, l->now_ms);
	if (l->after != NULL)
		l->after(l->after_arg, l->now_ms);
	loop_run_tasks(l);
	return 0;
}

int
loop_run(struct loop *l)
{
	l->now_ms = port_now_ms();	/* set-up may have taken long */
	while (!l->is_stopping)
		if (loop_once(l) == -1)
			return -1;
	l->is_stopping = 0;
	return 0;
}

void
loop_stop(struct loop *l)
{
	l->is_stopping = 1;
}
