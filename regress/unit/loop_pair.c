/*
 * Socket pairs with one end in a loop: what the tests of the loop share.
 */
#include "loop_pair.h"

#include <sys/socket.h>

#include <check.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "../../common/port/port.h"

struct loop	tl;
struct pair	pairs[NPAIRS];
struct timer	pair_timer;
int		pair_ntimers;

static void
on_timer(struct timer *t, void *arg, int64_t now_ms)
{
	(void)t;
	(void)arg;
	(void)now_ms;
	pair_ntimers++;
}

void
pair_pass(void)
{
	ck_assert_int_eq(timer_set(&tl.timers, &pair_timer, tl.now_ms), 0);
	ck_assert_int_eq(loop_once(&tl), 0);
	/* Each descriptor in the loop has memory kept for its slot. */
	ck_assert_uint_le(tl.used + tl.nparked - tl.nwoken + tl.nresting,
	    tl.size);
}

void
pair_on_ready(struct loop_fd *lf, short revents, void *arg)
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

void
pair_open(struct pair *x)
{
	int	fd[2];

	memset(x, 0, sizeof(*x));
	loop_fd_init(&x->lfd);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
	x->mine = fd[0];
	x->theirs = fd[1];
}

void
pair_add(struct pair *x, short events)
{
	pair_open(x);
	ck_assert_int_eq(loop_add(&tl, &x->lfd, x->theirs, events,
	    pair_on_ready, x), 0);
}

void
pair_close(struct pair *x)
{
	loop_del(&tl, &x->lfd);
	(void)close(x->theirs);
	(void)close(x->mine);
}

void
pair_poke(struct pair *x)
{
	ck_assert_int_eq(write(x->mine, "x", 1), 1);
}

void
pair_check_sleeps(void)
{
	int64_t	start = port_now_ms();

	tl.now_ms = start;
	ck_assert_int_eq(timer_set(&tl.timers, &pair_timer, start + 40), 0);
	ck_assert_int_eq(loop_once(&tl), 0);
	ck_assert(tl.now_ms - start >= 30);
}

void
pair_quiet(void)
{
	size_t	i;

	tl.next_park_ms = tl.now_ms;
	for (i = 0; i < tl.used; i++)
		if (tl.owner[i] != NULL)
			tl.owner[i]->quiet_since -= LOOP_QUIET_MS;
	pair_pass();
}

void
pair_set_up(int park)
{
	ck_assert_int_eq(loop_init(&tl, park), 0);
	timer_init(&pair_timer, on_timer, NULL);
	pair_ntimers = 0;
	memset(pairs, 0, sizeof(pairs));
}

void
pair_tear_down(void)
{
	timer_end(&tl.timers, &pair_timer);
	loop_clear(&tl);
}
