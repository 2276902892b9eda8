/*
 * Tests of common/loop.c: what functions may do to other descriptors while
 * the ready ones are being called, parking, and the file that lives on in
 * another process after its descriptor was closed.
 */
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../common/loop.h"
#include "../../common/port/port.h"

#define NPAIRS	200

/* A request for too much memory must return here too under a sanitizer. */
const char	*__asan_default_options(void);

const char *
__asan_default_options(void)
{
	return "allocator_may_return_null=1";
}

/* One end in the loop, the other in the test's hand. */
struct pair {
	struct loop_fd	 lfd;
	int		 mine;
	int		 theirs;
	int		 ncalls;
	short		 revents;
	void		(*act)(struct pair *);
	struct pair	*other;
};

static struct loop	loop;
static struct pair	p[NPAIRS];
static struct timer	now_timer;
static int		ntimers, nafter;

static void
on_timer(struct timer *t, void *arg, int64_t now_ms)
{
	(void)t;
	(void)arg;
	(void)now_ms;
	ntimers++;
}

/* One pass that does not wait. */
static void
pass(void)
{
	ck_assert_int_eq(timer_set(&loop.timers, &now_timer, loop.now_ms), 0);
	ck_assert_int_eq(loop_once(&loop), 0);
	/* Each descriptor in the loop has memory kept for its slot. */
	ck_assert_uint_le(loop.used + loop.nparked + loop.nresting,
	    loop.size);
}

static void
on_ready(struct loop_fd *lf, short revents, void *arg)
{
	struct pair	*x = arg;
	char		 octets[64];

	ck_assert_ptr_eq(lf, &x->lfd);
	ck_assert_int_ne(revents, 0);
	x->ncalls++;
	x->revents = revents;
	if (x->act != NULL)
		x->act(x);
	else if ((revents & POLLIN) != 0)
		ck_assert(read(lf->fd, octets, sizeof(octets)) >= 0);
}

static void
pair_open(struct pair *x)
{
	int	fd[2];

	memset(x, 0, sizeof(*x));
	loop_fd_init(&x->lfd);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
	x->mine = fd[0];
	x->theirs = fd[1];
}

static void
pair_add(struct pair *x, short events)
{
	pair_open(x);
	ck_assert_int_eq(loop_add(&loop, &x->lfd, x->theirs, events, on_ready,
	    x), 0);
}

static void
pair_close(struct pair *x)
{
	loop_del(&loop, &x->lfd);
	(void)close(x->theirs);
	(void)close(x->mine);
}

static void
poke(struct pair *x)
{
	ck_assert_int_eq(write(x->mine, "x", 1), 1);
}

/* As if nothing had happened for long: what can leave the poll set does. */
static void
quiet(void)
{
	size_t	i;

	loop.next_park_ms = loop.now_ms;
	for (i = 0; i < loop.used; i++)
		if (loop.owner[i] != NULL)
			loop.owner[i]->quiet_since -= LOOP_QUIET_MS;
	pass();
}

static void
set_up_loop(int park)
{
	ck_assert_int_eq(loop_init(&loop, park), 0);
	timer_init(&now_timer, on_timer, NULL);
	ntimers = 0;
	nafter = 0;
	memset(p, 0, sizeof(p));
}

static void
set_up(void)
{
	set_up_loop(1);
}

static void
set_up_polled(void)
{
	set_up_loop(0);
}

static void
tear_down(void)
{
	timer_end(&loop.timers, &now_timer);
	loop_clear(&loop);
}

START_TEST(once)
{
	pair_add(&p[0], POLLIN);
	pass();
	ck_assert_int_eq(p[0].ncalls, 0);
	ck_assert_int_eq(ntimers, 1);
	poke(&p[0]);
	pass();
	ck_assert_int_eq(p[0].ncalls, 1);
	ck_assert_int_eq(p[0].revents, POLLIN);
	pass();
	ck_assert_int_eq(p[0].ncalls, 1);
	loop_set(&loop, &p[0].lfd, POLLIN | POLLOUT);
	pass();
	ck_assert_int_eq(p[0].revents, POLLOUT);
	loop_set(&loop, &p[0].lfd, POLLIN);
	loop_set(&loop, &p[0].lfd, POLLIN);
	pass();
	ck_assert_int_eq(p[0].ncalls, 2);
	(void)close(p[0].mine);
	pass();
	ck_assert_int_eq(p[0].ncalls, 3);
	ck_assert(p[0].revents & POLLHUP);
	loop_del(&loop, &p[0].lfd);
	loop_del(&loop, &p[0].lfd);
	loop_set(&loop, &p[0].lfd, POLLIN);	/* in no loop: nothing */
	ck_assert_int_eq(p[0].lfd.fd, -1);
	pass();
	ck_assert_int_eq(p[0].ncalls, 3);
	(void)close(p[0].theirs);
}
END_TEST

START_TEST(refused)
{
	size_t	size = loop.size;

	pair_add(&p[0], POLLIN);
	ck_assert_int_eq(loop_add(&loop, &p[0].lfd, p[0].theirs, POLLIN,
	    on_ready, &p[0]), -1);
	ck_assert_int_eq(errno, EBUSY);
	pair_open(&p[1]);
	ck_assert_int_eq(loop_add(&loop, &p[1].lfd, -1, POLLIN, on_ready,
	    &p[1]), -1);
	ck_assert_int_eq(errno, EBADF);
	loop.size = loop.nresting = SIZE_MAX / 4;
	ck_assert_int_eq(loop_add(&loop, &p[1].lfd, p[1].theirs, POLLIN,
	    on_ready, &p[1]), -1);
	ck_assert_int_eq(errno, ENOMEM);
	loop.size = size;
	loop.nresting = 0;
	ck_assert_int_eq(p[1].lfd.fd, -1);
	pass();
	pair_close(&p[0]);
	pair_close(&p[1]);
}
END_TEST

/* A peer that hung up while we may not read must not spin the loop. */
START_TEST(no_events)
{
	pair_add(&p[0], POLLIN);
	loop_set(&loop, &p[0].lfd, 0);
	poke(&p[0]);
	(void)close(p[0].mine);
	pass();
	quiet();
	ck_assert_uint_eq(loop.nresting, 1);
	pass();
	ck_assert_int_eq(p[0].ncalls, 0);
	loop_set(&loop, &p[0].lfd, POLLIN);
	ck_assert_uint_eq(loop.nresting, 0);
	pass();
	ck_assert_int_eq(p[0].ncalls, 1);
	ck_assert(p[0].revents & POLLIN);
	loop_set(&loop, &p[0].lfd, 0);
	quiet();
	ck_assert_uint_eq(loop.nresting, 1);
	loop_del(&loop, &p[0].lfd);
	ck_assert_uint_eq(loop.nresting, 0);
	(void)close(p[0].theirs);
	pair_add(&p[1], 0);
	(void)close(p[1].mine);
	pass();
	ck_assert_int_eq(p[1].ncalls, 0);
	loop_del(&loop, &p[1].lfd);
	(void)close(p[1].theirs);
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
		quiet();
		ck_assert_uint_eq(loop.nparked, 2);
	}
	a->act = act_close_other;
	b->act = act_close_other;
	a->other = b;
	b->other = a;
	poke(a);
	poke(b);
	pass();
	ck_assert_uint_eq(loop.nparked, 0);
	pass();
	left = loop.owner[loop.used - 1]->arg;
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
			quiet();
		x->act = act_close_self;
		poke(x);
		pass();
		pass();
	}
	ck_assert_uint_eq(loop.nparked, 0);
}
END_TEST

/* p[1] is ready too: out, closed, and its number taken by another file. */
static void
act_reuse(struct pair *x)
{
	struct pair	*fresh = x->other;
	int		 old = p[1].theirs;

	x->act = NULL;
	loop_del(&loop, &p[1].lfd);
	pair_open(fresh);
	ck_assert_int_eq(dup2(fresh->theirs, old), old);
	(void)close(fresh->theirs);
	fresh->theirs = old;
	ck_assert_int_eq(loop_add(&loop, &fresh->lfd, old, POLLIN, on_ready,
	    fresh), 0);
}

START_TEST(number_reused)
{
	int	parked;

	for (parked = 0; parked < 2; parked++) {
		pair_add(&p[0], POLLIN);
		pair_add(&p[1], POLLIN);
		if (parked)
			quiet();
		p[0].act = act_reuse;
		p[0].other = &p[2];
		poke(&p[0]);
		poke(&p[1]);
		pass();
		ck_assert_int_eq(p[0].ncalls, 1);
		/* Woken descriptors may come in any order. */
		ck_assert_int_le(p[1].ncalls, parked);
		ck_assert_int_eq(p[2].ncalls, 0);
		pass();
		ck_assert_int_eq(p[2].ncalls, 0);
		poke(&p[2]);
		pass();
		ck_assert_int_eq(p[2].ncalls, 1);
		(void)close(p[1].mine);
		pair_close(&p[0]);
		pair_close(&p[2]);
	}
}
END_TEST

static void
act_mute_other(struct pair *x)
{
	loop_set(&loop, &x->other->lfd, 0);
}

static void
act_output_only(struct pair *x)
{
	loop_set(&loop, &x->other->lfd, POLLOUT);
}

/* What was ready counts no more when it is no longer waited for. */
START_TEST(set_while_ready)
{
	pair_add(&p[0], POLLIN);
	pair_add(&p[1], POLLIN);
	p[0].other = &p[1];
	p[0].act = act_mute_other;
	poke(&p[0]);
	poke(&p[1]);
	pass();
	ck_assert_int_eq(p[1].ncalls, 0);
	loop_set(&loop, &p[1].lfd, POLLIN);
	p[0].act = act_output_only;
	pass();
	ck_assert_int_eq(p[1].ncalls, 0);
	pass();
	ck_assert_int_eq(p[1].ncalls, 1);
	ck_assert_int_eq(p[1].revents, POLLOUT);
	pair_close(&p[0]);
	pair_close(&p[1]);
}
END_TEST

static void
act_add_many(struct pair *x)
{
	size_t	i;

	x->act = NULL;
	for (i = 2; i < NPAIRS; i++) {
		pair_add(&p[i], POLLIN);
		poke(&p[i]);
	}
}

/* The arrays move while they are being scanned. */
START_TEST(grow_while_ready)
{
	size_t	i;

	pair_add(&p[0], POLLIN);
	pair_add(&p[1], POLLIN);
	p[0].act = act_add_many;
	poke(&p[0]);
	poke(&p[1]);
	pass();
	ck_assert_int_eq(p[1].ncalls, 1);
	ck_assert_int_eq(p[2].ncalls, 0);
	pass();
	for (i = 2; i < NPAIRS; i++)
		ck_assert_int_eq(p[i].ncalls, 1);
	for (i = 0; i < NPAIRS; i++)
		pair_close(&p[i]);
	pass();
	ck_assert_uint_eq(loop.used, 1);
}
END_TEST

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
		pair_add(&p[0], rows[i].events);
		pass();
		ck_assert_int_eq(p[0].lfd.is_parked, 0);
		quiet();
		if ((rows[i].events & POLLOUT) != 0)
			ck_assert_int_eq(p[0].ncalls, 2);
		ck_assert_int_eq(p[0].lfd.is_parked, rows[i].is_parked);
		ck_assert_uint_eq(loop.nparked, (size_t)rows[i].is_parked);
		pair_close(&p[0]);
		ck_assert_uint_eq(loop.nparked, 0);
	}
}
END_TEST

START_TEST(wake)
{
	pair_add(&p[0], POLLIN);
	quiet();
	ck_assert_int_eq(p[0].lfd.is_parked, 1);
	ck_assert_int_eq(p[0].lfd.slot, -1);
	pass();
	ck_assert_int_eq(p[0].ncalls, 0);
	poke(&p[0]);
	pass();
	ck_assert_int_eq(p[0].ncalls, 1);
	ck_assert_int_eq(p[0].revents, POLLIN);
	ck_assert_int_eq(p[0].lfd.is_parked, 0);
	pass();
	ck_assert_int_eq(p[0].ncalls, 1);
	/* Changed while parked: within what the queue watches, and not. */
	quiet();
	loop_set(&loop, &p[0].lfd, POLLIN | PORT_POLLRDHUP);
	ck_assert_int_eq(p[0].lfd.is_parked, 1);
	loop_set(&loop, &p[0].lfd, POLLIN | POLLOUT);
	ck_assert_int_eq(p[0].lfd.is_parked, 0);
	pass();
	ck_assert_int_eq(p[0].ncalls, 2);
	ck_assert_int_eq(p[0].revents, POLLOUT);
	loop_set(&loop, &p[0].lfd, POLLIN);
	quiet();
	loop_set(&loop, &p[0].lfd, 0);
	poke(&p[0]);
	pass();
	ck_assert_int_eq(p[0].ncalls, 2);
	loop_set(&loop, &p[0].lfd, POLLIN);
	pass();
	ck_assert_int_eq(p[0].ncalls, 3);
	/* The peer's end wakes too. */
	quiet();
	ck_assert_int_eq(p[0].lfd.is_parked, 1);
	(void)close(p[0].mine);
	pass();
	ck_assert_int_eq(p[0].ncalls, 4);
	ck_assert(p[0].revents & POLLIN);
	loop_del(&loop, &p[0].lfd);
	(void)close(p[0].theirs);
}
END_TEST

/* By the clock, with nothing but passes. */
START_TEST(park_by_time)
{
	int64_t	end;

	pair_add(&p[0], POLLIN);
	pair_add(&p[1], POLLIN);
	end = loop.now_ms + 5 * LOOP_QUIET_MS;
	while (loop.now_ms < end) {
		poke(&p[1]);
		ck_assert_int_eq(timer_set(&loop.timers, &now_timer,
		    loop.now_ms + 10), 0);
		ck_assert_int_eq(loop_once(&loop), 0);
		ck_assert_int_eq(p[1].lfd.is_parked, 0);
		(void)usleep(1000);
	}
	ck_assert_int_eq(p[0].lfd.is_parked, 1);
	pair_close(&p[0]);
	pair_close(&p[1]);
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
	quiet();
	ck_assert_int_eq(x->lfd.is_parked, 1);
	copy = dup(x->theirs);
	poke(x);
	loop_del(&loop, &x->lfd);
	(void)close(x->theirs);
	poke(x);
	queue.fd = loop.park_fd;
	queue.events = POLLIN;
	ck_assert_int_eq(poll(&queue, 1, 0), 0);
	(void)close(x->mine);
	free(x);
	ck_assert_int_eq(poll(&queue, 1, 0), 0);
	pass();
	(void)close(copy);
}
END_TEST

/* The owner forgot: no stale event may ever come of it. */
START_TEST(closed_first)
{
	int	status;
	pid_t	pid;

	pair_add(&p[0], POLLIN);
	quiet();
	ck_assert_int_eq(p[0].lfd.is_parked, 1);
	ck_assert_int_ne(pid = fork(), -1);
	if (pid == 0) {
		(void)close(STDERR_FILENO);
		(void)close(p[0].theirs);
		loop_del(&loop, &p[0].lfd);
		_exit(0);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFEXITED(status));
	ck_assert_int_eq(WEXITSTATUS(status), 1);
	pair_close(&p[0]);
}
END_TEST

START_TEST(many_parked)
{
	size_t	i, ncalled = 0, npasses = 0;

	for (i = 0; i < NPAIRS; i++)
		pair_add(&p[i], POLLIN);
	quiet();
	pass();
	ck_assert_uint_eq(loop.nparked, NPAIRS);
	ck_assert_uint_eq(loop.used, 1);	/* the queue, nothing else */
	for (i = 0; i < NPAIRS; i++)
		poke(&p[i]);
	while (ncalled < NPAIRS && npasses < 10) {
		pass();
		npasses++;
		for (ncalled = 0, i = 0; i < NPAIRS; i++)
			ncalled += (size_t)p[i].ncalls;
	}
	ck_assert_uint_eq(ncalled, NPAIRS);
	for (i = 0; i < NPAIRS; i++) {
		ck_assert_int_eq(p[i].ncalls, 1);
		pair_close(&p[i]);
	}
}
END_TEST

/* epoll refuses plain files; they are polled on. */
START_TEST(not_parkable)
{
	char	name[] = "/tmp/test_loop.XXXXXX";
	int	fd;

	pair_open(&p[0]);
	ck_assert_int_ne(fd = mkstemp(name), -1);
	(void)unlink(name);
	ck_assert_int_eq(write(fd, "0123456789", 10), 10);
	ck_assert_int_eq(loop_add(&loop, &p[0].lfd, fd, POLLIN, on_ready,
	    &p[0]), 0);
	quiet();
	ck_assert_int_eq(p[0].lfd.is_parked, 0);
	ck_assert_int_eq(p[0].ncalls, 1);
	pass();
	ck_assert_int_eq(p[0].ncalls, 2);
	loop_del(&loop, &p[0].lfd);
	(void)close(fd);
	(void)close(p[0].mine);
	(void)close(p[0].theirs);
}
END_TEST

/* With and without parking: random steps, each function among them. */
static void
act_random(struct pair *x)
{
	static const short	events[] = { 0, POLLIN, POLLIN, POLLOUT,
	    POLLIN | POLLOUT, POLLIN | PORT_POLLRDHUP };
	struct pair		*y = &p[random() % NPAIRS];
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
			loop_set(&loop, &y->lfd, events[random() % 6]);
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
		pair_add(&p[i], POLLIN);
		p[i].act = act_random;
	}
	for (round = 0; round < 2000; round++) {
		for (n = 0; n < 10; n++) {
			i = (size_t)random() % NPAIRS;
			if (p[i].lfd.fd == -1) {
				pair_add(&p[i], POLLIN);
				p[i].act = act_random;
			}
			(void)send(p[i].mine, "x", 1,
			    MSG_DONTWAIT | MSG_NOSIGNAL);
		}
		if (round % 5 == 0)
			quiet();
		else
			pass();
		for (n = 0, i = 0; i < NPAIRS; i++)
			n += p[i].lfd.fd != -1;
		ck_assert_uint_eq(n, loop.used - loop.nfree -
		    (loop.park_fd != -1) + loop.nparked + loop.nresting);
	}
	for (i = 0; i < NPAIRS; i++)
		if (p[i].lfd.fd != -1)
			pair_close(&p[i]);
	pass();
	ck_assert_uint_eq(loop.used, loop.park_fd == -1 ? 0 : 1);
	ck_assert_uint_eq(loop.nparked, 0);
	ck_assert_uint_eq(loop.nresting, 0);
	queue.fd = loop.park_fd;
	queue.events = POLLIN;
	ck_assert_int_eq(poll(&queue, 1, 0), 0);
}
END_TEST

START_TEST(never_parked)
{
	pair_add(&p[0], POLLIN);
	pair_add(&p[1], 0);
	quiet();
	ck_assert_int_eq(p[0].lfd.is_parked, 0);
	ck_assert_uint_eq(loop.nresting, 1);
	poke(&p[0]);
	pass();
	ck_assert_int_eq(p[0].ncalls, 1);
	pair_close(&p[0]);
	pair_close(&p[1]);
}
END_TEST

static void
on_stop(struct timer *t, void *arg, int64_t now_ms)
{
	(void)t;
	(void)arg;
	(void)now_ms;
	loop_stop(&loop);
}

static void
on_after(void *arg, int64_t now_ms)
{
	ck_assert_ptr_eq(arg, &nafter);
	ck_assert(now_ms == loop.now_ms);
	nafter++;
}

START_TEST(run_and_stop)
{
	struct timer	stop;
	int64_t		start = loop.now_ms;

	loop.after = on_after;
	loop.after_arg = &nafter;
	timer_init(&stop, on_stop, NULL);
	ck_assert_int_eq(timer_set(&loop.timers, &stop, start + 30), 0);
	ck_assert_int_eq(loop_run(&loop), 0);
	ck_assert(loop.now_ms >= start + 30);
	ck_assert_int_ge(nafter, 1);
	ck_assert_int_lt(nafter, 50);
	/* It may run again, or be stopped before it begins. */
	ck_assert_int_eq(timer_set(&loop.timers, &stop, 0), 0);
	ck_assert_int_eq(loop_run(&loop), 0);
	nafter = 0;
	loop_stop(&loop);
	ck_assert_int_eq(loop_run(&loop), 0);
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
	pair_add(&p[0], POLLIN);
	loop.after = on_after;
	loop.after_arg = &nafter;
	ck_assert_int_eq(setitimer(ITIMER_REAL, &it, NULL), 0);
	ck_assert_int_eq(loop_once(&loop), 0);	/* nothing else ends it */
	ck_assert_int_eq(p[0].ncalls, 0);
	ck_assert_int_eq(nafter, 1);
	pair_close(&p[0]);
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
	if (poll(loop.set, 1, 0) == -1) {
		ck_assert_int_eq(loop_once(&loop), -1);
		ck_assert_int_eq(errno, EINVAL);
		ck_assert_int_eq(loop_run(&loop), -1);
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
	pair_add(&p[0], POLLIN);
	(void)close(p[0].theirs);
	p[0].act = act_mute_other;
	p[0].other = &p[0];
	pass();
	ck_assert_int_eq(p[0].revents, POLLNVAL);
	loop_del(&loop, &p[0].lfd);
	(void)close(p[0].mine);
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
}

int
main(void)
{
	Suite	*s = suite_create("loop");
	TCase	*tc = tcase_create("parked");
	TCase	*polled = tcase_create("polled");
	SRunner	*sr;
	int	 nfailed;

	tcase_add_checked_fixture(tc, set_up, tear_down);
	add_common(tc);
	tcase_add_test(tc, owner_freed);
	tcase_add_test(tc, self_freed);
	tcase_add_test(tc, number_reused);
	tcase_add_test(tc, grow_while_ready);
	tcase_add_test(tc, park);
	tcase_add_test(tc, wake);
	tcase_add_test(tc, park_by_time);
	tcase_add_test(tc, file_lives_on);
	tcase_add_test(tc, closed_first);
	tcase_add_test(tc, many_parked);
	tcase_add_test(tc, not_parkable);
	tcase_add_test(tc, poll_fails);
	tcase_add_test(tc, init_fails);
	suite_add_tcase(s, tc);
	tcase_add_checked_fixture(polled, set_up_polled, tear_down);
	add_common(polled);
	tcase_add_test(polled, never_parked);
	suite_add_tcase(s, polled);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	nfailed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return nfailed == 0 ? 0 : 1;
}
