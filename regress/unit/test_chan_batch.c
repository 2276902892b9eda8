/*
 * Tests of a channel's batches: what is sent in one pass of the loop goes at
 * its end, all of it and in order, and what can't go comes back.  The peer is
 * the test, with a bare socket.
 */
#include <sys/types.h>
#include <sys/socket.h>

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "../../common/log.h"
#include "../../privsep/chan.h"

#define NROWS(a)	(sizeof(a) / sizeof((a)[0]))
#define PLAIN		MSG_USER	/* no descriptor */
#define FD_ONE		(MSG_USER + 1)
#define FD_TWO		(MSG_USER + 2)
#define FROM_PEER	(MSG_USER + 3)
#define BATCH		8

#define US	ROLE(PROC_PARENT)
#define THEM	ROLE(PROC_WORKER)
#define SERVE	(STATE(CHAN_RUN) | STATE(CHAN_STOP))

static const struct msg_row	rows[] = {
	{ PLAIN, "PLAIN", US, THEM, SERVE, 0, 0, MSG_MAX - MSG_HEADER, 0 },
	{ FD_ONE, "FD_ONE", US, THEM, SERVE, 1, 0, 64, 0 },
	{ FD_TWO, "FD_TWO", US, THEM, SERVE, 2, 0, 64, 0 },
	{ FROM_PEER, "FROM_PEER", THEM, US, SERVE, 0, 0, 64, 0 }
};

static struct loop	loop;
static struct chan	ch;		/* ours */
static int		peer;		/* the other end, bare */
static size_t		nmsgs;
static size_t		nends;
static uint64_t		unsent[CHAN_QUEUE_MAX];	/* ids */
static size_t		nunsent;
static int		kept;		/* a descriptor that was taken back */
static int		could_send;	/* on the channel, as it came back */

static void
on_line(void *arg, int priority, const char *line, size_t len)
{
	(void)arg;
	(void)priority;
	(void)line;
	(void)len;
}

static void
on_msg(struct chan *c, struct msg *m, void *arg)
{
	(void)c;
	(void)m;
	(void)arg;
	nmsgs++;
}

static void
on_end(struct chan *c, const char *why, void *arg)
{
	(void)why;
	(void)arg;
	ck_assert(!chan_is_open(c));
	nends++;
}

/* The first descriptor of each is taken, and the last one kept open. */
static void
on_unsent(struct chan *c, const struct msg *m, int *fds, size_t nfds,
    void *arg)
{
	ck_assert_ptr_eq(c, &ch);
	ck_assert_ptr_eq(arg, &loop);
	ck_assert_uint_ge(nfds, 1);
	ck_assert_uint_lt(nunsent, NROWS(unsent));
	could_send |= chan_can_send(c);
	unsent[nunsent++] = m->id;
	if (kept != -1)
		(void)close(kept);
	kept = fds[0];
	fds[0] = -1;
}

static void
on_timer(struct timer *t, void *arg, int64_t now_ms)
{
	(void)t;
	(void)arg;
	(void)now_ms;
}

static void
set_up(void)
{
	int	fd[2];

	ck_assert_int_eq(msg_table_init(rows, NROWS(rows)), 0);
	ck_assert_int_eq(loop_init(&loop, 0), 0);
	log_init("test", 0);
	log_set_sink(on_line, NULL);
	ck_assert_int_eq(chan_pair(fd), 0);
	ck_assert_int_eq(chan_open(&ch, &loop, fd[0], PROC_PARENT,
	    PROC_WORKER, 0, on_msg, on_end, &loop), 0);
	chan_set_state(&ch, CHAN_RUN);
	ck_assert_int_eq(chan_set_batch(&ch, BATCH), 0);
	peer = fd[1];
	kept = -1;
}

static void
tear_down(void)
{
	chan_close(&ch);
	loop_clear(&loop);
	if (peer != -1)
		(void)close(peer);
	if (kept != -1)
		(void)close(kept);
}

/* One pass that does not sleep: some timer is always due. */
static void
pass(void)
{
	struct timer	t;

	timer_init(&t, on_timer, NULL);
	ck_assert_int_eq(timer_set(&loop.timers, &t, loop.now_ms), 0);
	ck_assert_int_eq(loop_once(&loop), 0);
	timer_end(&loop.timers, &t);
}

static int
send_one(uint64_t id, size_t len, const int *fds, size_t nfds,
    enum chan_fds whose)
{
	struct msg_writer	w;

	msg_start(&w, nfds == 0 ? PLAIN : nfds == 1 ? FD_ONE : FD_TWO, id);
	memset(w.data + w.used, 'x', len);
	w.used += len;
	return chan_send(&ch, &w, fds, nfds, whose);
}

/* With descriptors of its own. */
static void
send_pipe(uint64_t id)
{
	int	p[2];

	ck_assert_int_eq(pipe(p), 0);
	ck_assert_int_eq(send_one(id, 1, p, 2, CHAN_FDS_GIVE), 0);
}

/* The next packet on the peer's end: its id, or -1; descriptors are closed. */
static int64_t
get(size_t *nfds)
{
	union {
		struct cmsghdr	hdr;
		uint8_t		room[CMSG_SPACE(2 * sizeof(int))];
	} control;
	struct cmsghdr	*c;
	struct msghdr	 mh;
	struct iovec	 iov;
	struct msg	 m;
	uint8_t		 data[MSG_MAX];
	ssize_t		 n;
	size_t		 i;
	int		 fds[2];

	memset(&mh, 0, sizeof(mh));
	iov.iov_base = data;
	iov.iov_len = sizeof(data);
	mh.msg_iov = &iov;
	mh.msg_iovlen = 1;
	mh.msg_control = control.room;
	mh.msg_controllen = sizeof(control.room);
	*nfds = 0;
	if ((n = recvmsg(peer, &mh, MSG_DONTWAIT)) <= 0)
		return -1;
	ck_assert_int_eq(msg_parse_header(&m, data, (size_t)n), 0);
	if ((c = CMSG_FIRSTHDR(&mh)) != NULL) {
		*nfds = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		memcpy(fds, CMSG_DATA(c), *nfds * sizeof(int));
	}
	for (i = 0; i < *nfds; i++)
		(void)close(fds[i]);
	return (int64_t)m.id;
}

static size_t
count_fds(void)
{
	size_t	n = 0;
	int	fd;

	for (fd = 0; fd < 1024; fd++)
		if (fcntl(fd, F_GETFD) != -1)
			n++;
	return n;
}

/* Until it is blocked, with one more message waiting. */
static uint64_t
fill(void)
{
	uint64_t	n = 0;

	while (chan_can_send(&ch)) {
		ck_assert_int_eq(send_one(n++, 8000, NULL, 0, CHAN_FDS_KEEP),
		    0);
		chan_flush(&ch);
	}
	ck_assert(!chan_is_idle(&ch));
	return n;
}

/* --- Tests --- */

START_TEST(waits_for_the_end)
{
	size_t		nfds, before = count_fds();
	uint64_t	i;

	for (i = 0; i < BATCH - 1; i++)
		if (i % 2 == 0)
			send_pipe(i);
		else
			ck_assert_int_eq(send_one(i, 1, NULL, 0,
			    CHAN_FDS_KEEP), 0);
	ck_assert_int_eq(get(&nfds), -1);
	ck_assert(!chan_is_idle(&ch));
	ck_assert(chan_can_send(&ch));
	ck_assert_uint_eq(count_fds(), before + BATCH);
	pass();
	ck_assert(chan_is_idle(&ch));
	/* Ours are closed; those that are read here are the peer's. */
	ck_assert_uint_eq(count_fds(), before);
	for (i = 0; i < BATCH - 1; i++) {
		ck_assert_int_eq(get(&nfds), (int64_t)i);
		ck_assert_uint_eq(nfds, i % 2 == 0 ? 2 : 0);
	}
	ck_assert_int_eq(get(&nfds), -1);
	ck_assert_uint_eq(count_fds(), before);
}
END_TEST

START_TEST(most_goes_early)
{
	size_t		nfds;
	uint64_t	i;

	for (i = 0; i < BATCH + 2; i++)
		ck_assert_int_eq(send_one(i, 1, NULL, 0, CHAN_FDS_KEEP), 0);
	for (i = 0; i < BATCH; i++)
		ck_assert_int_eq(get(&nfds), (int64_t)i);
	ck_assert_int_eq(get(&nfds), -1);
	chan_flush(&ch);
	ck_assert_int_eq(get(&nfds), BATCH);
	ck_assert_int_eq(get(&nfds), BATCH + 1);
	pass();				/* the task finds nothing */
	ck_assert_int_eq(get(&nfds), -1);
}
END_TEST

/* More than one system call takes, and a peer that reads in between. */
START_TEST(blocked)
{
	size_t		nfds, before = count_fds();
	uint64_t	n, i;

	n = fill();
	ck_assert(!chan_can_send(&ch));
	for (i = 0; i < 3 * BATCH; i++)
		send_pipe(n++);
	ck_assert_uint_eq(count_fds(), before + 6 * BATCH);
	pass();
	ck_assert(!chan_is_idle(&ch));
	for (i = 0; i < n; ) {
		switch (get(&nfds)) {
		case -1:
			pass();
			break;
		default:
			i++;
		}
	}
	ck_assert(chan_is_idle(&ch));
	ck_assert(chan_can_send(&ch));
	ck_assert_uint_eq(count_fds(), before);
}
END_TEST

START_TEST(order_behind_a_block)
{
	size_t		nfds;
	uint64_t	n, i;
	int64_t		id;

	n = fill();
	while (send_one(n, 1, NULL, 0, CHAN_FDS_KEEP) == 0)
		n++;
	ck_assert_int_eq(errno, ENOBUFS);
	for (i = 0; i < n; ) {
		if ((id = get(&nfds)) == -1) {
			pass();
			continue;
		}
		ck_assert_int_eq(id, (int64_t)i);
		i++;
	}
	ck_assert_int_eq(ch.full_since_ms, 0);
}
END_TEST

/* What is refused stays the caller's, or not, as was said. */
START_TEST(descriptors_on_failure)
{
	size_t	before = count_fds();
	int	p[2];

	(void)fill();
	while (send_one(1, 1, NULL, 0, CHAN_FDS_KEEP) == 0)
		;
	ck_assert_int_eq(pipe(p), 0);
	ck_assert_int_eq(send_one(1, 1, p, 2, CHAN_FDS_GIVE), -1);
	ck_assert_int_eq(errno, ENOBUFS);
	ck_assert_uint_eq(count_fds(), before + 2);
	ck_assert_int_eq(send_one(1, 1, p, 2, CHAN_FDS_KEEP), -1);
	ck_assert_uint_eq(count_fds(), before + 2);
	ck_assert_int_eq(send_one(1, 1, p, 2, CHAN_FDS_CLOSE), -1);
	ck_assert_uint_eq(count_fds(), before);
	chan_close(&ch);
	ck_assert_int_eq(pipe(p), 0);
	ck_assert_int_eq(send_one(1, 1, p, 2, CHAN_FDS_GIVE), -1);
	ck_assert_int_eq(errno, EPIPE);
	ck_assert_int_eq(close(p[0]), 0);
	ck_assert_int_eq(close(p[1]), 0);
}
END_TEST

START_TEST(peer_is_dead)
{
	size_t	before = count_fds();

	chan_set_unsent(&ch, on_unsent, &loop);
	send_pipe(5);
	ck_assert_int_eq(send_one(6, 1, NULL, 0, CHAN_FDS_KEEP), 0);
	send_pipe(7);
	(void)close(peer);
	peer = -1;
	chan_flush(&ch);
	/* Those with descriptors come back, before the end is seen. */
	ck_assert_uint_eq(nunsent, 2);
	ck_assert_int_eq((int)unsent[0], 5);
	ck_assert_int_eq((int)unsent[1], 7);
	ck_assert(!could_send);
	ck_assert(!chan_can_send(&ch));
	ck_assert(chan_is_idle(&ch));
	ck_assert_uint_eq(nends, 0);
	/* The one that was taken is open, the peer's end is not. */
	ck_assert_uint_eq(count_fds(), before);
	ck_assert_int_ne(fcntl(kept, F_GETFD), -1);
	pass();
	ck_assert_uint_eq(nends, 1);
	ck_assert_uint_eq(nunsent, 2);
}
END_TEST

START_TEST(closed_by_us)
{
	size_t	before = count_fds();

	chan_set_unsent(&ch, on_unsent, &loop);
	send_pipe(5);
	send_pipe(6);
	chan_close(&ch);
	ck_assert_uint_eq(nunsent, 2);
	ck_assert(!could_send);
	ck_assert_uint_eq(nends, 0);
	ck_assert_uint_eq(count_fds(), before);	/* one taken, ours closed */
	pass();				/* the task has gone with it */
	chan_close(&ch);
	ck_assert_uint_eq(nunsent, 2);
}
END_TEST

/*
 * Outside of a handler it ends with the next pass: what waited for the end of
 * this one comes back, nothing is sent, and nothing that is said is heard.
 */
START_TEST(violation_with_a_batch)
{
	struct msg_writer	w;
	size_t			nfds;

	chan_set_unsent(&ch, on_unsent, &loop);
	send_pipe(5);
	msg_start(&w, FROM_PEER, 1);
	ck_assert_int_eq(msg_finish(&w), 0);
	ck_assert_int_eq((int)send(peer, w.data, w.used, MSG_NOSIGNAL),
	    (int)w.used);
	chan_violation(&ch, FROM_PEER, "late");
	ck_assert(!chan_can_send(&ch));
	ck_assert_int_eq(send_one(6, 1, NULL, 0, CHAN_FDS_KEEP), -1);
	ck_assert_int_eq(errno, EPIPE);
	pass();
	pass();
	ck_assert_uint_eq(nends, 1);
	ck_assert_uint_eq(nmsgs, 0);
	ck_assert_uint_eq(nunsent, 1);
	ck_assert_int_eq(get(&nfds), -1);
}
END_TEST

int
main(void)
{
	Suite	*s = suite_create("chan_batch");
	TCase	*tc = tcase_create("batch");
	SRunner	*sr;
	int	 failed;

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_test(tc, waits_for_the_end);
	tcase_add_test(tc, most_goes_early);
	tcase_add_test(tc, blocked);
	tcase_add_test(tc, order_behind_a_block);
	tcase_add_test(tc, descriptors_on_failure);
	tcase_add_test(tc, peer_is_dead);
	tcase_add_test(tc, closed_by_us);
	tcase_add_test(tc, violation_with_a_batch);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed == 0 ? 0 : 1;
}
