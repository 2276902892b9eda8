/*
 * Tests of common/loop.c: what functions may do to other descriptors while
 * the ready ones are being called.  Parking is in test_loop_park.c.
 */
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <check.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../common/loop.h"
#include "../../common/port/port.h"
#include "loop_pair.h"

/* A request for too much memory must return here too under a sanitizer. */
const char	*__asan_default_options(void);

const char *
__asan_default_options(void)
{
	return "allocator_may_return_null=1";
}

static int	nafter;

static void
set_up(void)
{
	pair_set_up(1);
	nafter = 0;
}

static void
set_up_polled(void)
{
	pair_set_up(0);
	nafter = 0;
}

START_TEST(once)
{
	pair_add(&pairs[0], POLLIN);
	pair_pass();
	ck_assert_int_eq(pairs[0].ncalls, 0);
	ck_assert_int_eq(pair_ntimers, 1);
	pair_poke(&pairs[0]);
	pair_pass();
	ck_assert_int_eq(pairs[0].ncalls, 1);
	ck_assert_int_eq(pairs[0].revents, POLLIN);
	pair_pass();
	ck_assert_int_eq(pairs[0].ncalls, 1);
	loop_set(&tl, &pairs[0].lfd, POLLIN | POLLOUT);
	pair_pass();
	ck_assert_int_eq(pairs[0].revents, POLLOUT);
	loop_set(&tl, &pairs[0].lfd, POLLIN);
	loop_set(&tl, &pairs[0].lfd, POLLIN);
	pair_pass();
	ck_assert_int_eq(pairs[0].ncalls, 2);
	(void)close(pairs[0].mine);
	pair_pass();
	ck_assert_int_eq(pairs[0].ncalls, 3);
	ck_assert(pairs[0].revents & POLLHUP);
	loop_del(&tl, &pairs[0].lfd);
	loop_del(&tl, &pairs[0].lfd);
	loop_set(&tl, &pairs[0].lfd, POLLIN);	/* in no loop: nothing */
	ck_assert_int_eq(pairs[0].lfd.fd, -1);
	pair_pass();
	ck_assert_int_eq(pairs[0].ncalls, 3);
	(void)close(pairs[0].theirs);
}
END_TEST

START_TEST(refused)
{
	size_t	size = tl.size;

	pair_add(&pairs[0], POLLIN);
	ck_assert_int_eq(loop_add(&tl, &pairs[0].lfd, pairs[0].theirs, POLLIN,
	    pair_on_ready, &pairs[0]), -1);
	ck_assert_int_eq(errno, EBUSY);
	pair_open(&pairs[1]);
	ck_assert_int_eq(loop_add(&tl, &pairs[1].lfd, -1, POLLIN, pair_on_ready,
	    &pairs[1]), -1);
	ck_assert_int_eq(errno, EBADF);
	tl.size = tl.nresting = SIZE_MAX / 4;
	ck_assert_int_eq(loop_add(&tl, &pairs[1].lfd, pairs[1].theirs, POLLIN,
	    pair_on_ready, &pairs[1]), -1);
	ck_assert_int_eq(errno, ENOMEM);
	tl.size = size;
	tl.nresting = 0;
	ck_assert_int_eq(pairs[1].lfd.fd, -1);
	pair_pass();
	pair_close(&pairs[0]);
	pair_close(&pairs[1]);
}
END_TEST

/* A peer that hung up while we may not read must not spin the tl. */
START_TEST(no_events)
{
	pair_add(&pairs[0], POLLIN);
	loop_set(&tl, &pairs[0].lfd, 0);
	pair_poke(&pairs[0]);
	(void)close(pairs[0].mine);
	pair_check_sleeps();
	pair_quiet();
	ck_assert_uint_eq(tl.nresting, 1);
	pair_check_sleeps();
	ck_assert_int_eq(pairs[0].ncalls, 0);
	loop_set(&tl, &pairs[0].lfd, POLLIN);
	ck_assert_uint_eq(tl.nresting, 0);
	pair_pass();
	ck_assert_int_eq(pairs[0].ncalls, 1);
	ck_assert(pairs[0].revents & POLLIN);
	loop_set(&tl, &pairs[0].lfd, 0);
	pair_quiet();
	ck_assert_uint_eq(tl.nresting, 1);
	loop_del(&tl, &pairs[0].lfd);
	ck_assert_uint_eq(tl.nresting, 0);
	(void)close(pairs[0].theirs);
	pair_add(&pairs[1], 0);
	(void)close(pairs[1].mine);
	pair_pass();
	ck_assert_int_eq(pairs[1].ncalls, 0);
	loop_del(&tl, &pairs[1].lfd);
	(void)close(pairs[1].theirs);
}
END_TEST

static void
act_close_other(struct pair *x)
{
	struct pair	*other = x->other;

	x->act = NULL;
	if (other == NULL)
		return;
	other->other = NULL;
	pair_close(other);
	free(other);
	x->other = NULL;
}

/* Two heap-owned ones are ready; the first called frees the second. */
static void
check_owner_freed(int parked)
{
	struct pair	*a = calloc(1, sizeof(*a));
	struct pair	*b = calloc(1, sizeof(*b));
	struct pair	*left;

	ck_assert(a != NULL && b != NULL);
	pair_add(a, POLLIN);
	pair_add(b, POLLIN);
	if (parked) {
		pair_quiet();
		ck_assert_uint_eq(tl.nparked, 2);
	}
	a->act = act_close_other;
	b->act = act_close_other;
	a->other = b;
	b->other = a;
	pair_poke(a);
	pair_poke(b);
	pair_pass();
	ck_assert_uint_eq(tl.nparked, parked != 0);
	pair_pass();
	left = tl.owner[tl.used - 1]->arg;
	ck_assert(left == a || left == b);
	ck_assert_int_eq(left->ncalls, 2);	/* it did not read at first */
	pair_close(left);
	free(left);
}

START_TEST(owner_freed)
{
	check_owner_freed(0);
	check_owner_freed(1);
}
END_TEST

static void
act_close_self(struct pair *x)
{
	pair_close(x);
	free(x);
}

START_TEST(self_freed)
{
	struct pair	*x;
	int		 i;

	for (i = 0; i < 4; i++) {
		ck_assert_ptr_nonnull(x = calloc(1, sizeof(*x)));
		pair_add(x, POLLIN);
		if (i % 2 == 1)
			pair_quiet();
		x->act = act_close_self;
		pair_poke(x);
		pair_pass();
		pair_pass();
	}
	ck_assert_uint_eq(tl.nparked, 0);
}
END_TEST

/* pairs[1] is ready too: out, closed, and its number taken by another file. */
static void
act_reuse(struct pair *x)
{
	struct pair	*fresh = x->other;
	int		 old = pairs[1].theirs;

	x->act = NULL;
	loop_del(&tl, &pairs[1].lfd);
	pair_open(fresh);
	ck_assert_int_eq(dup2(fresh->theirs, old), old);
	(void)close(fresh->theirs);
	fresh->theirs = old;
	ck_assert_int_eq(loop_add(&tl, &fresh->lfd, old, POLLIN, pair_on_ready,
	    fresh), 0);
}

START_TEST(number_reused)
{
	int	parked;

	for (parked = 0; parked < 2; parked++) {
		pair_add(&pairs[0], POLLIN);
		pair_add(&pairs[1], POLLIN);
		if (parked)
			pair_quiet();
		pairs[0].act = act_reuse;
		pairs[0].other = &pairs[2];
		pair_poke(&pairs[0]);
		pair_poke(&pairs[1]);
		pair_pass();
		ck_assert_int_eq(pairs[0].ncalls, 1);
		/* Woken descriptors may come in any order. */
		ck_assert_int_le(pairs[1].ncalls, parked);
		ck_assert_int_eq(pairs[2].ncalls, 0);
		pair_pass();
		ck_assert_int_eq(pairs[2].ncalls, 0);
		pair_poke(&pairs[2]);
		pair_pass();
		ck_assert_int_eq(pairs[2].ncalls, 1);
		(void)close(pairs[1].mine);
		pair_close(&pairs[0]);
		pair_close(&pairs[2]);
	}
}
END_TEST

static void
act_mute_other(struct pair *x)
{
	loop_set(&tl, &x->other->lfd, 0);
}

static void
act_output_only(struct pair *x)
{
	loop_set(&tl, &x->other->lfd, POLLOUT);
}

/* What was ready counts no more when it is no longer waited for. */
START_TEST(set_while_ready)
{
	pair_add(&pairs[0], POLLIN);
	pair_add(&pairs[1], POLLIN);
	pairs[0].other = &pairs[1];
	pairs[0].act = act_mute_other;
	pair_poke(&pairs[0]);
	pair_poke(&pairs[1]);
	pair_pass();
	ck_assert_int_eq(pairs[1].ncalls, 0);
	loop_set(&tl, &pairs[1].lfd, POLLIN);
	pairs[0].act = act_output_only;
	pair_pass();
	ck_assert_int_eq(pairs[1].ncalls, 0);
	pair_pass();
	ck_assert_int_eq(pairs[1].ncalls, 1);
	ck_assert_int_eq(pairs[1].revents, POLLOUT);
	pair_close(&pairs[0]);
	pair_close(&pairs[1]);
}
END_TEST

static void
act_add_many(struct pair *x)
{
	size_t	i;

	x->act = NULL;
	for (i = 2; i < NPAIRS; i++) {
		pair_add(&pairs[i], POLLIN);
		pair_poke(&pairs[i]);
	}
}

/* The arrays move while they are being scanned. */
START_TEST(grow_while_ready)
{
	size_t	i;

	pair_add(&pairs[0], POLLIN);
	pair_add(&pairs[1], POLLIN);
	pairs[0].act = act_add_many;
	pair_poke(&pairs[0]);
	pair_poke(&pairs[1]);
	pair_pass();
	ck_assert_int_eq(pairs[1].ncalls, 1);
	ck_assert_int_eq(pairs[2].ncalls, 0);
	pair_pass();
	for (i = 2; i < NPAIRS; i++)
		ck_assert_int_eq(pairs[i].ncalls, 1);
	for (i = 0; i < NPAIRS; i++)
		pair_close(&pairs[i]);
	pair_pass();
	ck_assert_uint_eq(tl.used, 1);
}
END_TEST

/* With and without parking: random steps, each function among them. */
static void
act_random(struct pair *x)
{
	static const short	events[] = { 0, POLLIN, POLLIN, POLLOUT,
	    POLLIN | POLLOUT, POLLIN | PORT_POLLRDHUP };
	struct pair		*y = &pairs[random() % NPAIRS];
	char			 octets[64];

	switch (random() % 5) {
	case 0:
		if (y->lfd.fd != -1)
			pair_close(y);
		pair_add(y, events[random() % 6]);
		y->act = act_random;
		break;
	case 1:
		if (y->lfd.fd != -1)
			loop_set(&tl, &y->lfd, events[random() % 6]);
		break;
	case 2:
		if (y->lfd.fd != -1)
			pair_close(y);
		break;
	default:
		(void)recv(x->theirs, octets, sizeof(octets), MSG_DONTWAIT);
		break;
	}
}

START_TEST(random_steps)
{
	struct pollfd	queue;
	size_t		i, n, round;

	srandom(3);
	for (i = 0; i < NPAIRS; i++) {
		pair_add(&pairs[i], POLLIN);
		pairs[i].act = act_random;
	}
	for (round = 0; round < 2000; round++) {
		for (n = 0; n < 10; n++) {
			i = (size_t)random() % NPAIRS;
			if (pairs[i].lfd.fd == -1) {
				pair_add(&pairs[i], POLLIN);
				pairs[i].act = act_random;
			}
			(void)send(pairs[i].mine, "x", 1,
			    MSG_DONTWAIT | MSG_NOSIGNAL);
		}
		if (round % 5 == 0)
			pair_quiet();
		else
			pair_pass();
		for (n = 0, i = 0; i < NPAIRS; i++)
			n += pairs[i].lfd.fd != -1;
		ck_assert_uint_eq(n, tl.used - tl.nfree -
		    (tl.park_fd != -1) + tl.nparked - tl.nwoken +
		    tl.nresting);
	}
	for (i = 0; i < NPAIRS; i++)
		if (pairs[i].lfd.fd != -1)
			pair_close(&pairs[i]);
	pair_pass();
	ck_assert_uint_eq(tl.used, tl.park_fd == -1 ? 0 : 1);
	ck_assert_uint_eq(tl.nparked, 0);
	ck_assert_uint_eq(tl.nresting, 0);
	queue.fd = tl.park_fd;
	queue.events = POLLIN;
	ck_assert_int_eq(poll(&queue, 1, 0), 0);
}
END_TEST

static void
on_stop(struct timer *t, void *arg, int64_t now_ms)
{
	(void)t;
	(void)arg;
	(void)now_ms;
	loop_stop(&tl);
}

static void
on_after(void *arg, int64_t now_ms)
{
	ck_assert_ptr_eq(arg, &nafter);
	ck_assert(now_ms == tl.now_ms);
	nafter++;
}

START_TEST(run_and_stop)
{
	struct timer	stop;
	int64_t		start = tl.now_ms;

	tl.after = on_after;
	tl.after_arg = &nafter;
	timer_init(&stop, on_stop, NULL);
	ck_assert_int_eq(timer_set(&tl.timers, &stop, start + 30), 0);
	ck_assert_int_eq(loop_run(&tl), 0);
	ck_assert(tl.now_ms >= start + 30);
	ck_assert_int_ge(nafter, 1);
	ck_assert_int_lt(nafter, 50);
	/* It may run again, or be stopped before it begins. */
	ck_assert_int_eq(timer_set(&tl.timers, &stop, 0), 0);
	ck_assert_int_eq(loop_run(&tl), 0);
	nafter = 0;
	loop_stop(&tl);
	ck_assert_int_eq(loop_run(&tl), 0);
	ck_assert_int_eq(nafter, 0);
}
END_TEST

static void
on_signal(int sig)
{
	(void)sig;
}

START_TEST(interrupted)
{
	struct itimerval	 it;
	struct sigaction	 sa;

	memset(&sa, 0, sizeof(sa));
	sa.sa_handler = on_signal;
	ck_assert_int_eq(sigaction(SIGALRM, &sa, NULL), 0);
	memset(&it, 0, sizeof(it));
	it.it_value.tv_usec = 20000;
	pair_add(&pairs[0], POLLIN);
	tl.after = on_after;
	tl.after_arg = &nafter;
	ck_assert_int_eq(setitimer(ITIMER_REAL, &it, NULL), 0);
	ck_assert_int_eq(loop_once(&tl), 0);	/* nothing else ends it */
	ck_assert_int_eq(pairs[0].ncalls, 0);
	ck_assert_int_eq(nafter, 1);
	pair_close(&pairs[0]);
}
END_TEST

/* More slots than the process may have descriptors: EINVAL. */
START_TEST(poll_fails)
{
	struct rlimit	old, none;

	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &old), 0);
	none = old;
	none.rlim_cur = 0;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
	/* valgrind keeps the limit to itself. */
	if (poll(tl.set, 1, 0) == -1) {
		ck_assert_int_eq(loop_once(&tl), -1);
		ck_assert_int_eq(errno, EINVAL);
		ck_assert_int_eq(loop_run(&tl), -1);
	}
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &old), 0);
}
END_TEST

/* No descriptor left for the queue. */
START_TEST(init_fails)
{
	struct rlimit	old, none;
	struct loop	l;

	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &old), 0);
	none = old;
	none.rlim_cur = 0;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
	ck_assert_int_eq(loop_init(&l, 1), -1);
	ck_assert_int_eq(errno, EMFILE);
	ck_assert_int_eq(loop_init(&l, 0), 0);
	loop_clear(&l);
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &old), 0);
}
END_TEST

/* Closed behind the loop's back while polled: the owner is told. */
START_TEST(closed_while_polled)
{
	pair_add(&pairs[0], POLLIN);
	(void)close(pairs[0].theirs);
	pairs[0].act = act_mute_other;
	pairs[0].other = &pairs[0];
	pair_pass();
	ck_assert_int_eq(pairs[0].revents, POLLNVAL);
	loop_del(&tl, &pairs[0].lfd);
	(void)close(pairs[0].mine);
}
END_TEST

static void
add_common(TCase *tc)
{
	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, once);
	tcase_add_test(tc, refused);
	tcase_add_test(tc, no_events);
	tcase_add_test(tc, set_while_ready);
	tcase_add_test(tc, random_steps);
	tcase_add_test(tc, run_and_stop);
	tcase_add_test(tc, interrupted);
	tcase_add_test(tc, closed_while_polled);
	tcase_add_test(tc, self_freed);
}

int
main(void)
{
	Suite	*s = suite_create("loop");
	TCase	*tc = tcase_create("parked");
	TCase	*polled = tcase_create("polled");
	SRunner	*sr;
	int	 nfailed;

	tcase_add_checked_fixture(tc, set_up, pair_tear_down);
	add_common(tc);
	tcase_add_test(tc, owner_freed);
	tcase_add_test(tc, number_reused);
	tcase_add_test(tc, grow_while_ready);
	tcase_add_test(tc, poll_fails);
	tcase_add_test(tc, init_fails);
	suite_add_tcase(s, tc);
	tcase_add_checked_fixture(polled, set_up_polled, pair_tear_down);
	add_common(polled);
	suite_add_tcase(s, polled);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	nfailed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return nfailed == 0 ? 0 : 1;
}
