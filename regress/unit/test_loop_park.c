/*
 * Tests of common/loop.c: descriptors that are parked in the kernel's queue,
 * and the file that lives on in another process after its descriptor was
 * closed.
 */
#include <sys/wait.h>

#include <check.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#include "../../common/loop.h"
#include "../../common/port/port.h"
#include "loop_pair.h"

static void
set_up(void)
{
	pair_set_up(1);
}

static void
set_up_polled(void)
{
	pair_set_up(0);
}

START_TEST(park)
{
	static const struct {
		short	events;
		int	is_parked;
	} rows[] = {
		{ POLLIN,			1 },
		{ POLLIN | PORT_POLLRDHUP,	1 },
		{ PORT_POLLRDHUP,		0 },
		{ POLLOUT,			0 },
		{ POLLIN | POLLOUT,		0 },
		{ POLLIN | POLLPRI,		0 },
		{ 0,				0 },
	};
	size_t	i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		pair_add(&pairs[0], rows[i].events);
		pair_pass();
		ck_assert_int_eq(pairs[0].lfd.is_parked, 0);
		pair_quiet();
		if ((rows[i].events & POLLOUT) != 0)
			ck_assert_int_eq(pairs[0].ncalls, 2);
		ck_assert_int_eq(pairs[0].lfd.is_parked, rows[i].is_parked);
		ck_assert_uint_eq(tl.nparked, (size_t)rows[i].is_parked);
		pair_close(&pairs[0]);
		ck_assert_uint_eq(tl.nparked, 0);
	}
}
END_TEST

/* The poll set is looked through once in LOOP_QUIET_MS, not every pass. */
START_TEST(park_seldom)
{
	pair_add(&pairs[0], POLLIN);
	pair_pass();
	ck_assert(tl.next_park_ms > tl.now_ms);
	pairs[0].lfd.quiet_since -= 2 * LOOP_QUIET_MS;
	tl.next_park_ms = tl.now_ms + 10000;
	pair_pass();
	ck_assert_int_eq(pairs[0].lfd.is_parked, 0);
	tl.next_park_ms = tl.now_ms;
	pair_pass();
	ck_assert_int_eq(pairs[0].lfd.is_parked, 1);
	pair_check_sleeps();
	pair_close(&pairs[0]);
}
END_TEST

static void
act_wait_for_room(struct pair *x)
{
	loop_set(&tl, &x->lfd, POLLIN | POLLOUT);
}

START_TEST(wake)
{
	pair_add(&pairs[0], POLLIN);
	pair_quiet();
	ck_assert_int_eq(pairs[0].lfd.is_parked, 1);
	ck_assert_int_eq(pairs[0].lfd.slot, -1);
	pair_pass();
	ck_assert_int_eq(pairs[0].ncalls, 0);
	pair_poke(&pairs[0]);
	pair_pass();
	ck_assert_int_eq(pairs[0].ncalls, 1);
	ck_assert_int_eq(pairs[0].revents, POLLIN);
	/* It stays there, and poll(2) does not see it. */
	ck_assert_int_eq(pairs[0].lfd.is_parked, 1);
	ck_assert_int_eq(tl.set[pairs[0].lfd.slot].fd, -1);
	pair_pass();
	ck_assert_int_eq(pairs[0].ncalls, 1);
	ck_assert_int_eq(pairs[0].lfd.slot, -1);
	/* What it does while it is called counts: out of the queue. */
	pairs[0].act = act_wait_for_room;
	pair_poke(&pairs[0]);
	pair_pass();
	ck_assert_int_eq(pairs[0].ncalls, 2);
	ck_assert_int_eq(pairs[0].lfd.is_parked, 0);
	pair_pass();
	ck_assert_int_eq(pairs[0].ncalls, 3);
	ck_assert(pairs[0].revents & POLLOUT);
	pairs[0].act = NULL;
	loop_set(&tl, &pairs[0].lfd, POLLIN);
	pair_pass();
	pairs[0].ncalls = 1;
	/* Changed while parked: within what the queue watches, and not. */
	pair_quiet();
	loop_set(&tl, &pairs[0].lfd, POLLIN | PORT_POLLRDHUP);
	ck_assert_int_eq(pairs[0].lfd.is_parked, 1);
	loop_set(&tl, &pairs[0].lfd, POLLIN | POLLOUT);
	ck_assert_int_eq(pairs[0].lfd.is_parked, 0);
	pair_pass();
	ck_assert_int_eq(pairs[0].ncalls, 2);
	ck_assert_int_eq(pairs[0].revents, POLLOUT);
	loop_set(&tl, &pairs[0].lfd, POLLIN);
	pair_quiet();
	loop_set(&tl, &pairs[0].lfd, 0);
	pair_poke(&pairs[0]);
	pair_pass();
	ck_assert_int_eq(pairs[0].ncalls, 2);
	loop_set(&tl, &pairs[0].lfd, POLLIN);
	pair_pass();
	ck_assert_int_eq(pairs[0].ncalls, 3);
	/* The peer's end wakes too. */
	pair_quiet();
	ck_assert_int_eq(pairs[0].lfd.is_parked, 1);
	(void)close(pairs[0].mine);
	pair_pass();
	ck_assert_int_eq(pairs[0].ncalls, 4);
	ck_assert(pairs[0].revents & POLLIN);
	loop_del(&tl, &pairs[0].lfd);
	(void)close(pairs[0].theirs);
}
END_TEST

/* By the clock, with nothing but passes. */
START_TEST(park_by_time)
{
	int64_t	end;

	pair_add(&pairs[0], POLLIN);
	pair_add(&pairs[1], POLLIN);
	end = tl.now_ms + 5 * LOOP_QUIET_MS;
	while (tl.now_ms < end) {
		pair_poke(&pairs[1]);
		ck_assert_int_eq(timer_set(&tl.timers, &pair_timer,
		    tl.now_ms + 10), 0);
		ck_assert_int_eq(loop_once(&tl), 0);
		ck_assert_int_eq(pairs[1].lfd.is_parked, 0);
		(void)usleep(1000);
	}
	ck_assert_int_eq(pairs[0].lfd.is_parked, 1);
	pair_close(&pairs[0]);
	pair_close(&pairs[1]);
}
END_TEST

/*
 * Another process (here: another descriptor) still holds the open file: what
 * comes for it after loop_del() and close(2) must wake nobody.
 */
START_TEST(file_lives_on)
{
	struct pollfd	queue;
	struct pair	*x;
	int		 copy;

	ck_assert_ptr_nonnull(x = calloc(1, sizeof(*x)));
	pair_add(x, POLLIN);
	pair_quiet();
	ck_assert_int_eq(x->lfd.is_parked, 1);
	copy = dup(x->theirs);
	pair_poke(x);
	loop_del(&tl, &x->lfd);
	(void)close(x->theirs);
	pair_poke(x);
	queue.fd = tl.park_fd;
	queue.events = POLLIN;
	ck_assert_int_eq(poll(&queue, 1, 0), 0);
	(void)close(x->mine);
	free(x);
	ck_assert_int_eq(poll(&queue, 1, 0), 0);
	pair_pass();
	(void)close(copy);
}
END_TEST

/* The owner forgot: no stale event may ever come of it. */
START_TEST(closed_first)
{
	int	status;
	pid_t	pid;

	pair_add(&pairs[0], POLLIN);
	pair_quiet();
	ck_assert_int_eq(pairs[0].lfd.is_parked, 1);
	ck_assert_int_ne(pid = fork(), -1);
	if (pid == 0) {
		(void)close(STDERR_FILENO);
		(void)close(pairs[0].theirs);
		loop_del(&tl, &pairs[0].lfd);
		_exit(0);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFEXITED(status));
	ck_assert_int_eq(WEXITSTATUS(status), 1);
	pair_close(&pairs[0]);
}
END_TEST

START_TEST(many_parked)
{
	size_t	i, ncalled = 0, npasses = 0;

	for (i = 0; i < NPAIRS; i++)
		pair_add(&pairs[i], POLLIN);
	pair_quiet();
	pair_pass();
	ck_assert_uint_eq(tl.nparked, NPAIRS);
	ck_assert_uint_eq(tl.used, 1);	/* the queue, nothing else */
	for (i = 0; i < NPAIRS; i++)
		pair_poke(&pairs[i]);
	while (ncalled < NPAIRS && npasses < 10) {
		pair_pass();
		npasses++;
		for (ncalled = 0, i = 0; i < NPAIRS; i++)
			ncalled += (size_t)pairs[i].ncalls;
	}
	ck_assert_uint_eq(ncalled, NPAIRS);
	for (i = 0; i < NPAIRS; i++) {
		ck_assert_int_eq(pairs[i].ncalls, 1);
		pair_close(&pairs[i]);
	}
}
END_TEST

/* Where many are polled, all that may go are parked, busy or not. */
START_TEST(crowd)
{
	size_t	i;

	for (i = 0; i < 15; i++)
		pair_add(&pairs[i], POLLIN);
	pair_pass();
	ck_assert_uint_eq(tl.nparked, 0);	/* with the queue 16 */
	pair_add(&pairs[15], POLLOUT);
	pair_pass();
	ck_assert_uint_eq(tl.nparked, 15);
	ck_assert_int_eq(pairs[15].lfd.is_parked, 0);
	for (i = 0; i < 16; i++) {
		pair_poke(&pairs[i]);
		pairs[i].ncalls = 0;
	}
	pair_pass();
	for (i = 0; i < 16; i++) {
		ck_assert_int_eq(pairs[i].ncalls, 1);
		pair_close(&pairs[i]);
	}
	ck_assert_uint_eq(tl.nparked, 0);
	ck_assert_uint_eq(tl.nwoken, 0);
}
END_TEST

/* epoll refuses plain files; they are polled on. */
START_TEST(not_parkable)
{
	char	name[] = "/tmp/test_loop.XXXXXX";
	int	fd;

	pair_open(&pairs[0]);
	ck_assert_int_ne(fd = mkstemp(name), -1);
	(void)unlink(name);
	ck_assert_int_eq(write(fd, "0123456789", 10), 10);
	ck_assert_int_eq(loop_add(&tl, &pairs[0].lfd, fd, POLLIN, pair_on_ready,
	    &pairs[0]), 0);
	pair_quiet();
	ck_assert_int_eq(pairs[0].lfd.is_parked, 0);
	ck_assert_int_eq(pairs[0].ncalls, 1);
	pair_pass();
	ck_assert_int_eq(pairs[0].ncalls, 2);
	loop_del(&tl, &pairs[0].lfd);
	(void)close(fd);
	(void)close(pairs[0].mine);
	(void)close(pairs[0].theirs);
}
END_TEST

START_TEST(never_parked)
{
	pair_add(&pairs[0], POLLIN);
	pair_add(&pairs[1], 0);
	pair_quiet();
	ck_assert_int_eq(pairs[0].lfd.is_parked, 0);
	ck_assert_uint_eq(tl.nresting, 1);
	pair_poke(&pairs[0]);
	pair_pass();
	ck_assert_int_eq(pairs[0].ncalls, 1);
	pair_close(&pairs[0]);
	pair_close(&pairs[1]);
}
END_TEST

int
main(void)
{
	Suite	*s = suite_create("loop_park");
	TCase	*tc = tcase_create("parked");
	TCase	*polled = tcase_create("polled");
	SRunner	*sr;
	int	 nfailed;

	tcase_add_checked_fixture(tc, set_up, pair_tear_down);
	tcase_add_test(tc, park);
	tcase_add_test(tc, park_seldom);
	tcase_add_test(tc, wake);
	tcase_add_test(tc, park_by_time);
	tcase_add_test(tc, file_lives_on);
	tcase_add_test(tc, closed_first);
	tcase_add_test(tc, many_parked);
	tcase_add_test(tc, crowd);
	tcase_add_test(tc, not_parkable);
	suite_add_tcase(s, tc);
	tcase_add_checked_fixture(polled, set_up_polled, pair_tear_down);
	tcase_add_test(polled, never_parked);
	suite_add_tcase(s, polled);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	nfailed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return nfailed == 0 ? 0 : 1;
}
