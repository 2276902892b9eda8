/*
 * Tests of common/timer.c: order, moving, ending, what a timer's function may
 * do to other timers, and memory that ends.
 */
#include <check.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>

#include "../../common/timer.h"

#define NTIMERS	500

/* A request for too much memory must return here too under a sanitizer. */
const char	*__asan_default_options(void);

const char *
__asan_default_options(void)
{
	return "allocator_may_return_null=1";
}

static struct timer_heap	heap;
static int64_t			fired[NTIMERS * 2];
static size_t			nfired;

static void
on_fire(struct timer *t, void *arg, int64_t now_ms)
{
	(void)arg;
	ck_assert(!timer_is_set(t));
	ck_assert(t->due_ms <= now_ms);
	fired[nfired++] = t->due_ms;
}

static void
set_up(void)
{
	timer_heap_init(&heap);
	nfired = 0;
}

static void
tear_down(void)
{
	timer_heap_clear(&heap);
}

static void
check_heap(void)
{
	size_t	i;

	for (i = 0; i < heap.used; i++) {
		ck_assert_uint_eq(heap.at[i]->place, i + 1);
		if (i > 0)
			ck_assert(heap.at[(i + 1) / 2 - 1]->due_ms <=
			    heap.at[i]->due_ms);
	}
}

START_TEST(wait)
{
	static const struct {
		int64_t	due_ms;
		int64_t	now_ms;
		int	want;
	} rows[] = {
		{ 1000, 1000, 0 },
		{ 1000, 1001, 0 },
		{ 1000, 999, 1 },
		{ 1000, 0, 1000 },
		{ INT64_C(1000) + INT_MAX, 1000, INT_MAX },
		{ INT64_C(1001) + INT_MAX, 1000, INT_MAX },
		{ INT64_MAX, 0, INT_MAX },
		{ 0, INT64_MAX, 0 },
	};
	struct timer	t;
	size_t		i;

	ck_assert_int_eq(timer_wait(&heap, 5), -1);
	timer_init(&t, on_fire, NULL);
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		ck_assert_int_eq(timer_set(&heap, &t, rows[i].due_ms), 0);
		ck_assert_int_eq(timer_wait(&heap, rows[i].now_ms),
		    rows[i].want);
	}
	timer_end(&heap, &t);
	ck_assert_int_eq(timer_wait(&heap, 5), -1);
	timer_end(&heap, &t);		/* twice does no harm */
}
END_TEST

START_TEST(order)
{
	static struct timer	t[NTIMERS];
	int64_t			now;
	size_t			i, ended = 0;

	srandom(1);
	for (i = 0; i < NTIMERS; i++) {
		timer_init(&t[i], on_fire, NULL);
		ck_assert(!timer_is_set(&t[i]));
		ck_assert_int_eq(timer_set(&heap, &t[i], random() % 300), 0);
		ck_assert(timer_is_set(&t[i]));
	}
	check_heap();
	for (i = 0; i < NTIMERS; i += 3)
		ck_assert_int_eq(timer_set(&heap, &t[i], random() % 300), 0);
	check_heap();
	for (i = 0; i < NTIMERS; i += 5) {
		timer_end(&heap, &t[i]);
		ck_assert(!timer_is_set(&t[i]));
		check_heap();
		ended++;
	}
	for (now = 0; now < 300; now += 7) {
		timer_run(&heap, now);
		check_heap();
		ck_assert(heap.used == 0 || heap.at[0]->due_ms > now);
	}
	timer_run(&heap, 300);
	ck_assert_uint_eq(heap.used, 0);
	ck_assert_uint_eq(nfired, NTIMERS - ended);
	for (i = 1; i < nfired; i++)
		ck_assert(fired[i - 1] <= fired[i]);
}
END_TEST

static void
on_fire_again(struct timer *t, void *arg, int64_t now_ms)
{
	on_fire(t, arg, now_ms);
	ck_assert_int_eq(timer_set(&heap, t, now_ms - 50), 0);
}

/* A timer that always sets itself to the past runs once a call. */
START_TEST(again)
{
	struct timer	t, later;

	timer_init(&t, on_fire_again, NULL);
	timer_init(&later, on_fire, NULL);
	ck_assert_int_eq(timer_set(&heap, &t, 10), 0);
	ck_assert_int_eq(timer_set(&heap, &later, 15), 0);
	timer_run(&heap, 20);
	ck_assert_uint_eq(nfired, 2);
	ck_assert(timer_is_set(&t));
	timer_run(&heap, 20);
	ck_assert_uint_eq(nfired, 2);
	ck_assert_int_eq(timer_wait(&heap, 20), 1);
	timer_run(&heap, 21);
	ck_assert_uint_eq(nfired, 3);
	timer_end(&heap, &t);
	/* Outside of a run any time may be set. */
	ck_assert_int_eq(timer_set(&heap, &later, 3), 0);
	ck_assert_int_eq(later.due_ms, 3);
	timer_end(&heap, &later);
}
END_TEST

struct owner {
	struct timer	 t;
	struct timer	*other;
};

/* Ends another timer, sets one more, and frees its own owner. */
static void
on_fire_free(struct timer *t, void *arg, int64_t now_ms)
{
	struct owner	*o = arg;

	on_fire(t, NULL, now_ms);
	timer_end(&heap, o->other);
	free(o);
}

START_TEST(owner_freed)
{
	struct owner	*o = calloc(1, sizeof(*o));
	struct timer	 other;

	ck_assert_ptr_nonnull(o);
	timer_init(&o->t, on_fire_free, o);
	timer_init(&other, on_fire, NULL);
	o->other = &other;
	ck_assert_int_eq(timer_set(&heap, &other, 2), 0);
	ck_assert_int_eq(timer_set(&heap, &o->t, 1), 0);
	timer_run(&heap, 5);
	ck_assert_uint_eq(nfired, 1);
	ck_assert(!timer_is_set(&other));
	ck_assert_int_eq(timer_wait(&heap, 5), -1);
}
END_TEST

START_TEST(no_memory)
{
	struct timer	t;

	timer_init(&t, on_fire, NULL);
	heap.used = heap.size = SIZE_MAX / 4;
	ck_assert_int_eq(timer_set(&heap, &t, 1), -1);
	ck_assert_int_eq(errno, ENOMEM);
	ck_assert(!timer_is_set(&t));
	heap.used = heap.size = 0;
	ck_assert_int_eq(timer_set(&heap, &t, 1), 0);
	timer_end(&heap, &t);
}
END_TEST

START_TEST(clear)
{
	struct timer	t;

	timer_init(&t, on_fire, NULL);
	ck_assert_int_eq(timer_set(&heap, &t, 1), 0);
	timer_heap_clear(&heap);
	ck_assert(!timer_is_set(&t));
	timer_heap_clear(&heap);
	ck_assert_int_eq(timer_set(&heap, &t, 1), 0);
	timer_end(&heap, &t);
}
END_TEST

int
main(void)
{
	Suite	*s = suite_create("timer");
	TCase	*tc = tcase_create("timer");
	SRunner	*sr;
	int	 nfailed;

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_test(tc, wait);
	tcase_add_test(tc, order);
	tcase_add_test(tc, again);
	tcase_add_test(tc, owner_freed);
	tcase_add_test(tc, no_memory);
	tcase_add_test(tc, clear);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	nfailed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return nfailed == 0 ? 0 : 1;
}
