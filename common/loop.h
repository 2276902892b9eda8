#ifndef LOOP_H
#define LOOP_H

#include <sys/types.h>
#include <sys/queue.h>

#include <poll.h>
#include <stddef.h>
#include <stdint.h>

#include "timer.h"

/*
 * The poll(2) loop of every process.  The first slots have names (SLOT_PARENT,
 * SLOT_LOGGER and so on in each process), the rest are taken as they come.
 * A descriptor that waits for input only and was quiet for LOOP_QUIET_MS, or
 * is one of many, is parked in one kernel queue (epoll, kqueue), which is
 * itself one descriptor of the poll set: ten thousand idle sessions then cost a
 * pass nothing.
 *
 * One pass: wait; call the function of every descriptor that is ready; run
 * the timers; call the process's own `after` function (its parse and send
 * phases, PERFORMANCE of the design); run the tasks that were put off.
 */
#define LOOP_QUIET_MS	100

struct loop_fd;
typedef void loop_fn(struct loop_fd *, short revents, void *arg);

struct loop_fd {
	int		 fd;		/* -1: not in the loop */
	int32_t		 slot;		/* in the poll set, or for one pass;
					 * -1: none */
	uint32_t	 quiet_since;	/* low 32 bits of ms */
	short		 events;	/* POLLIN, POLLOUT, PORT_POLLRDHUP */
	uint8_t		 is_parked;	/* in the kernel queue */
	loop_fn		*fn;
	void		*arg;		/* borrowed */
};

/* Something that is put off to the end of the pass. */
struct loop_task {
	TAILQ_ENTRY(loop_task)	 entry;
	void			(*fn)(void *);
	void			*arg;		/* borrowed */
	uint8_t			 is_put_off;
};

struct loop {
	struct pollfd	 *set;
	struct loop_fd	**owner;	/* of each slot; NULL: free */
	size_t		  used;
	size_t		  size;
	int		  park_fd;	/* -1: no parking on this system */
	size_t		  nparked;
	size_t		  nwoken;	/* of these, in a slot for this pass */
	size_t		  nresting;	/* events 0, in no slot */
	size_t		  nfree;	/* slots left, until the next pass */
	int64_t		  now_ms;	/* monotonic, read once a pass */
	int64_t		  next_park_ms;
	int64_t		  next_crowd_ms;	/* a failure costs a while */
	struct timer_heap timers;
	int		  is_stopping;
	void		(*after)(void *, int64_t now_ms);
	void		 *after_arg;
	TAILQ_HEAD(, loop_task) tasks;
};

/*
 * Make the loop.  With `park` the kernel queue is opened at once, before the
 * sandbox closes that door; without it every descriptor is polled.
 *   returns   0, or -1 with errno
 */
int	loop_init(struct loop *, int park);
void	loop_clear(struct loop *);

/* Prepare the storage of a descriptor that is in no loop. */
void	loop_fd_init(struct loop_fd *);

/*
 * Take a descriptor into the loop.  The struct is borrowed and must stay in
 * place until loop_del(); the descriptor stays the caller's.  One that is in
 * the kernel queue is reported with POLLIN alone, whatever happened.
 *   returns   0, or -1 with errno: ENOMEM, EBADF (fd is negative), EBUSY (in
 *             a loop already, or without loop_fd_init())
 */
int	loop_add(struct loop *, struct loop_fd *, int fd, short events,
	    loop_fn *, void *arg);

/*
 * Change what is waited for.  POLLHUP and POLLERR are always reported, save
 * where events is 0: then the descriptor is not polled at all (a peer that
 * hung up while we may not read would otherwise spin the loop).
 */
void	loop_set(struct loop *, struct loop_fd *, short events);

/*
 * Take it out; always before close(2): a kernel queue knows the open file,
 * not the number, and another process may hold a copy of it.  A descriptor
 * that was closed before is a broken invariant (fatal).  Any descriptor may be
 * taken out, added or changed inside any function that the loop calls, and its
 * owner freed; a function that takes it out twice does no harm.
 */
void	loop_del(struct loop *, struct loop_fd *);

/*
 * Prepare the storage of a task; put it off to the end of the pass, or, outside
 * of one, to before the next wait; take that back.  The struct is borrowed
 * until then.  Putting off or taking back twice does no harm.
 */
void	loop_task_init(struct loop_task *, void (*fn)(void *), void *arg);
void	loop_put_off(struct loop *, struct loop_task *);
void	loop_take_back(struct loop *, struct loop_task *);

/*
 * One pass, or passes until loop_stop().
 *   returns   0, or -1 with errno when poll(2) failed for good
 */
int	loop_once(struct loop *);
int	loop_run(struct loop *);
void	loop_stop(struct loop *);

#endif
