#ifndef TIMER_H
#define TIMER_H

#include <stddef.h>
#include <stdint.h>

/*
 * Timers in one binary heap: setting, moving and ending one costs O(log n),
 * asking for the next O(1).  Times are monotonic milliseconds.
 */
struct timer;
typedef void timer_fn(struct timer *, void *, int64_t now_ms);

struct timer {
	int64_t		 due_ms;
	size_t		 place;		/* in the heap, from 1; 0: not set */
	timer_fn	*fn;
	void		*arg;		/* borrowed */
};

struct timer_heap {
	struct timer	**at;		/* borrowed timers */
	size_t		  used;
	size_t		  size;
	int		  is_running;	/* inside timer_run() */
	int64_t		  run_ms;	/* its time */
};

void	timer_heap_init(struct timer_heap *);
void	timer_heap_clear(struct timer_heap *);

/* Prepare a timer that is not set. */
void	timer_init(struct timer *, timer_fn *, void *arg);

/*
 * Set or move a timer.  Moving one never fails.
 *   returns   0, or -1 without memory
 */
int	timer_set(struct timer_heap *, struct timer *, int64_t due_ms);
/* End a timer; nothing happens when it is not set. */
void	timer_end(struct timer_heap *, struct timer *);
int	timer_is_set(const struct timer *);

/*
 * Milliseconds until the next is due, for poll(2): 0 when one is overdue, -1
 * when none is set; never more than INT_MAX.
 */
int	timer_wait(const struct timer_heap *, int64_t now_ms);

/*
 * Call what is due.  A timer is unset before its function runs, which may set
 * it again, end others or free its own owner.  A time not after now_ms that a
 * function sets becomes now_ms + 1, so this always ends.
 */
void	timer_run(struct timer_heap *, int64_t now_ms);

#endif
