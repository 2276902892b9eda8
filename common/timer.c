/*
 * Timers of one process in a binary heap.  Used by the loop of every process;
 * trusts its callers, sees no data of a peer.  The heap only points to timers:
 * each lives inside the struct that it belongs to, so ending a session means
 * ending its timers first.
 */
#include "timer.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#define TIMER_FIRST_SIZE	64

void
timer_heap_init(struct timer_heap *h)
{
	memset(h, 0, sizeof(*h));
}

void
timer_heap_clear(struct timer_heap *h)
{
	size_t	i;

	for (i = 0; i < h->used; i++)
		h->at[i]->place = 0;
	free(h->at);
	timer_heap_init(h);
}

void
timer_init(struct timer *t, timer_fn *fn, void *arg)
{
	memset(t, 0, sizeof(*t));
	t->fn = fn;
	t->arg = arg;
}

/* Places count from 1, so that a timer of zeroes is one that is not set. */
static void
timer_put(struct timer_heap *h, struct timer *t, size_t place)
{
	h->at[place - 1] = t;
	t->place = place;
}

static void
timer_sift_up(struct timer_heap *h, struct timer *t, size_t place)
{
	struct timer	*parent;

	while (place > 1) {
		parent = h->at[place / 2 - 1];
		if (parent->due_ms <= t->due_ms)
			break;
		timer_put(h, parent, place);
		place /= 2;
	}
	timer_put(h, t, place);
}

static void
timer_sift_down(struct timer_heap *h, struct timer *t, size_t place)
{
	struct timer	*child;
	size_t		 next;

	while ((next = place * 2) <= h->used) {
		if (next < h->used &&
		    h->at[next]->due_ms < h->at[next - 1]->due_ms)
			next++;
		child = h->at[next - 1];
		if (t->due_ms <= child->due_ms)
			break;
		timer_put(h, child, place);
		place = next;
	}
	timer_put(h, t, place);
}

static void
timer_sift(struct timer_heap *h, struct timer *t, size_t place)
{
	if (place > 1 && h->at[place / 2 - 1]->due_ms > t->due_ms)
		timer_sift_up(h, t, place);
	else
		timer_sift_down(h, t, place);
}

static int
timer_heap_grow(struct timer_heap *h)
{
	struct timer	**at;
	size_t		  size;

	if (h->used < h->size)
		return 0;
	size = h->size == 0 ? TIMER_FIRST_SIZE : h->size * 2;
	if ((at = reallocarray(h->at, size, sizeof(struct timer *))) == NULL)
		return -1;
	h->at = at;
	h->size = size;
	return 0;
}

int
timer_set(struct timer_heap *h, struct timer *t, int64_t due_ms)
{
	/* Else a timer that sets itself to "now" would hold timer_run(). */
	if (h->is_running && due_ms <= h->run_ms)
		due_ms = h->run_ms + 1;

	if (t->place == 0) {
		if (timer_heap_grow(h) == -1) {
			errno = ENOMEM;
			return -1;
		}
		h->used++;
		t->due_ms = due_ms;
		timer_sift_up(h, t, h->used);
		return 0;
	}
	t->due_ms = due_ms;
	timer_sift(h, t, t->place);
	return 0;
}

void
timer_end(struct timer_heap *h, struct timer *t)
{
	struct timer	*last;
	size_t		 place = t->place;

	if (place == 0)
		return;
	t->place = 0;
	last = h->at[--h->used];
	if (last != t)
		timer_sift(h, last, place);
}

int
timer_is_set(const struct timer *t)
{
	return t->place != 0;
}

int
timer_wait(const struct timer_heap *h, int64_t now_ms)
{
	int64_t	due_ms;

	if (h->used == 0)
		return -1;
	due_ms = h->at[0]->due_ms;
	if (due_ms <= now_ms)
		return 0;
	if (due_ms - now_ms > INT_MAX)
		return INT_MAX;
	return (int)(due_ms - now_ms);
}

void
timer_run(struct timer_heap *h, int64_t now_ms)
{
	struct timer	*t;

	h->is_running = 1;
	h->run_ms = now_ms;
	while (h->used > 0 && h->at[0]->due_ms <= now_ms) {
		t = h->at[0];
		timer_end(h, t);
		t->fn(t, t->arg, now_ms);	/* may free its owner */
	}
	h->is_running = 0;
}
