/*
 * Tests of a channel: order, limits and descriptors on the way out, and on
 * the way in a peer that breaks each rule.  The peer is the test, with a bare
 * socket, so that it can say what chan_send() would refuse.
 */
#include <sys/types.h>
#include <sys/socket.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "../../common/log.h"
#include "../../privsep/chan.h"

#define NROWS(a)	(sizeof(a) / sizeof((a)[0]))
#define FROM_PARENT	MSG_USER	/* to the worker, 0 descriptors */
#define FROM_WORKER	(MSG_USER + 1)	/* to the parent, 0 */
#define FD_ONE		(MSG_USER + 2)	/* both ways, 1 */
#define FD_TWO		(MSG_USER + 3)	/* both ways, 2 */
#define SECRET		(MSG_USER + 4)	/* to the worker, wiped */
#define NOFILES		64

#define BOTH	(ROLE(PROC_PARENT) | ROLE(PROC_WORKER))
#define SERVE	(STATE(CHAN_RUN) | STATE(CHAN_STOP))

static const struct msg_row	rows[] = {
	{ FROM_PARENT, "FROM_PARENT", ROLE(PROC_PARENT), ROLE(PROC_WORKER),
	    SERVE, 0, 0, MSG_MAX - MSG_HEADER, 0 },
	{ FROM_WORKER, "FROM_WORKER", ROLE(PROC_WORKER), ROLE(PROC_PARENT),
	    SERVE, 0, 0, MSG_MAX - MSG_HEADER, 0 },
	{ FD_ONE, "FD_ONE", BOTH, BOTH, SERVE, 1, 0, 64, 0 },
	{ FD_TWO, "FD_TWO", BOTH, BOTH, SERVE, 2, 0, 64, 0 },
	{ SECRET, "SECRET", ROLE(PROC_PARENT), ROLE(PROC_WORKER),
	    SERVE, 0, 0, 64, 1 }
};

static struct loop	loop;
static struct chan	ch;		/* ours */
static int		peer;		/* the other end, bare */
static size_t		nmsgs;
static size_t		nends;
static uint64_t		ids[4096];
static struct msg	last;
static int		taken;		/* a descriptor kept by the handler */
static char		reason[128];
static char		logged[256];
static void		(*act)(struct msg *);	/* what the handler does */

static void
on_line(void *arg, int priority, const char *line, size_t len)
{
	(void)arg;
	(void)priority;
	(void)snprintf(logged, sizeof(logged), "%.*s", (int)len, line);
}

static void
on_msg(struct chan *c, struct msg *m, void *arg)
{
	ck_assert_ptr_eq(c, &ch);
	ck_assert_ptr_eq(arg, &loop);
	if (nmsgs < NROWS(ids))
		ids[nmsgs] = m->id;
	nmsgs++;
	last = *m;
	if (act != NULL)
		act(m);
}

static void
on_end(struct chan *c, const char *why, void *arg)
{
	ck_assert_ptr_eq(c, &ch);
	ck_assert_ptr_eq(arg, &loop);
	ck_assert(!chan_is_open(c));
	nends++;
	(void)snprintf(reason, sizeof(reason), "%s", why);
}

static void
on_timer(struct timer *t, void *arg, int64_t now_ms)
{
	(void)t;
	(void)arg;
	(void)now_ms;
}

static void
open_as(enum proc_role self, enum proc_role other)
{
	int	fd[2];

	ck_assert_int_eq(chan_pair(fd), 0);
	ck_assert_int_eq(chan_open(&ch, &loop, fd[0], self, other, 3, on_msg,
	    on_end, &loop), 0);
	chan_set_state(&ch, CHAN_RUN);
	peer = fd[1];
}

static void
set_up(void)
{
	ck_assert_int_eq(msg_table_init(rows, NROWS(rows)), 0);
	ck_assert_int_eq(loop_init(&loop, 0), 0);
	chan_init(&ch);
	log_init("test", 0);
	log_set_sink(on_line, NULL);
	taken = peer = -1;
}

static void
tear_down(void)
{
	chan_close(&ch);
	loop_clear(&loop);
	if (peer != -1)
		(void)close(peer);
}

/* One that does not sleep: some timer is always due. */
static void
pass(void)
{
	struct timer	t;

	timer_init(&t, on_timer, NULL);
	ck_assert_int_eq(timer_set(&loop.timers, &t, loop.now_ms), 0);
	ck_assert_int_eq(loop_once(&loop), 0);
	timer_end(&loop.timers, &t);
}

/* --- The bare peer --- */

static size_t
packet(uint8_t *to, uint16_t type, uint64_t id, size_t len)
{
	struct msg_writer	w;

	msg_start(&w, type, id);
	memset(w.data + w.used, 'x', len);
	w.used += len;
	ck_assert_int_eq(msg_finish(&w), 0);
	memcpy(to, w.data, w.used);
	return w.used;
}

static int
put_raw(const void *data, size_t len, const int *fds, size_t nfds)
{
	union {
		struct cmsghdr	hdr;
		uint8_t		room[CMSG_SPACE(8 * sizeof(int))];
	} control;
	struct cmsghdr	*c;
	struct msghdr	 mh;
	struct iovec	 iov;

	memset(&mh, 0, sizeof(mh));
	memcpy(&iov.iov_base, &data, sizeof(void *));
	iov.iov_len = len;
	mh.msg_iov = &iov;
	mh.msg_iovlen = 1;
	if (nfds > 0) {
		memset(&control, 0, sizeof(control));
		mh.msg_control = control.room;
		mh.msg_controllen = CMSG_SPACE(nfds * sizeof(int));
		c = CMSG_FIRSTHDR(&mh);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(nfds * sizeof(int));
		memcpy(CMSG_DATA(c), fds, nfds * sizeof(int));
	}
	return sendmsg(peer, &mh, MSG_NOSIGNAL) == -1 ? -1 : 0;
}

static void
put(uint16_t type, uint64_t id, size_t len, const int *fds, size_t nfds)
{
	uint8_t	data[MSG_MAX];
	size_t	n;

	n = packet(data, type, id, len);
	ck_assert_int_eq(put_raw(data, n, fds, nfds), 0);
}

/* The next packet on the peer's end: its id, or -1. */
static int64_t
get(int *fds, size_t *nfds)
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

	memset(&mh, 0, sizeof(mh));
	iov.iov_base = data;
	iov.iov_len = sizeof(data);
	mh.msg_iov = &iov;
	mh.msg_iovlen = 1;
	mh.msg_control = control.room;
	mh.msg_controllen = sizeof(control.room);
	if ((n = recvmsg(peer, &mh, MSG_DONTWAIT)) <= 0)
		return -1;
	ck_assert_int_eq(msg_parse_header(&m, data, (size_t)n), 0);
	*nfds = 0;
	if ((c = CMSG_FIRSTHDR(&mh)) != NULL) {
		*nfds = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		memcpy(fds, CMSG_DATA(c), *nfds * sizeof(int));
	}
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

/* Descriptors below n only. */
static struct rlimit	files;

static void
limit_files(rlim_t n)
{
	struct rlimit	rl;

	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &files), 0);
	rl = files;
	rl.rlim_cur = n;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &rl), 0);
}

/* A sanitizer wants to open something at exit. */
static void
unlimit_files(void)
{
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &files), 0);
}

static int
send_one(uint64_t id, size_t len, const int *fds, size_t nfds,
    enum chan_fds whose)
{
	struct msg_writer	w;

	msg_start(&w, nfds == 0 ? FROM_PARENT : nfds == 1 ? FD_ONE : FD_TWO,
	    id);
	memset(w.data + w.used, 'x', len);
	w.used += len;
	return chan_send(&ch, &w, fds, nfds, whose);
}

/* --- The pair --- */

START_TEST(pair)
{
	socklen_t	len;
	int		fd[2], i, size;

	ck_assert_int_eq(chan_pair(fd), 0);
	for (i = 0; i < 2; i++) {
		ck_assert(fcntl(fd[i], F_GETFD) & FD_CLOEXEC);
		ck_assert(fcntl(fd[i], F_GETFL) & O_NONBLOCK);
		len = sizeof(size);
		ck_assert_int_eq(getsockopt(fd[i], SOL_SOCKET, SO_SNDBUF,
		    &size, &len), 0);
		ck_assert_int_ge(size, CHAN_SOCKBUF);
		ck_assert_int_eq(getsockopt(fd[i], SOL_SOCKET, SO_TYPE, &size,
		    &len), 0);
		ck_assert_int_eq(size, SOCK_SEQPACKET);
		(void)close(fd[i]);
	}
}
END_TEST

START_TEST(pair_without_descriptors)
{
	int	fd[2] = { 7, 7 };

	limit_files((rlim_t)dup(0) + 1);
	ck_assert_int_eq(chan_pair(fd), -1);
	ck_assert_int_eq(errno, EMFILE);
	unlimit_files();
	ck_assert_int_eq(fd[0], -1);
	ck_assert_int_eq(fd[1], -1);
}
END_TEST

/* --- Sending --- */

START_TEST(order_when_full)
{
	int64_t	id;
	size_t	nfds, nsent = 0, nread = 0;
	int	fds[2];

	open_as(PROC_PARENT, PROC_WORKER);
	while (send_one(nsent, 8000, NULL, 0, CHAN_FDS_KEEP) == 0)
		nsent++;
	ck_assert_int_eq(errno, ENOBUFS);
	ck_assert_uint_gt(nsent, CHAN_QUEUE_MAX);
	ck_assert(!chan_is_idle(&ch));
	ck_assert_int_ne(ch.full_since_ms, 0);
	/* Nothing of it is lost, nothing comes out of turn. */
	while (nread < nsent) {
		if ((id = get(fds, &nfds)) == -1) {
			pass();
			continue;
		}
		ck_assert_int_eq(id, (int64_t)nread);
		nread++;
	}
	ck_assert(chan_is_idle(&ch));
	ck_assert_int_eq(ch.full_since_ms, 0);
	ck_assert_int_eq(get(fds, &nfds), -1);
	ck_assert_int_eq(send_one(1, 1, NULL, 0, CHAN_FDS_KEEP), 0);
	ck_assert_int_eq(get(fds, &nfds), 1);
}
END_TEST

START_TEST(not_full_while_it_drains)
{
	size_t	nfds;
	int	fds[2], i;

	open_as(PROC_PARENT, PROC_WORKER);
	while (send_one(1, 8000, NULL, 0, CHAN_FDS_KEEP) == 0)
		;
	ch.full_since_ms = 1;		/* long ago */
	for (i = 0; i < 40; i++)
		(void)get(fds, &nfds);
	pass();
	ck_assert(!chan_is_idle(&ch));
	ck_assert_int_eq(ch.full_since_ms, loop.now_ms);
}
END_TEST

/* Descriptors that wait are the queue's, whoever owned them before. */
START_TEST(descriptors_in_the_queue)
{
	size_t	before, nfds = 0, n = 0;
	int	fds[2], p[2];

	open_as(PROC_PARENT, PROC_WORKER);
	while (chan_is_idle(&ch))
		ck_assert_int_eq(send_one(n++, 8000,
		    NULL, 0, CHAN_FDS_KEEP), 0);
	ck_assert_int_eq(pipe(p), 0);
	before = count_fds();
	ck_assert_int_eq(send_one(n++, 1, p, 2, CHAN_FDS_KEEP), 0);
	ck_assert_uint_eq(count_fds(), before + 2);	/* ours stay ours */
	ck_assert_int_eq(send_one(n++, 1, p, 2, CHAN_FDS_CLOSE), 0);
	ck_assert_uint_eq(count_fds(), before + 2);	/* taken over */
	while (!chan_is_idle(&ch) || nfds == 0) {
		if (get(fds, &nfds) == -1)
			pass();
		else if (nfds == 2) {
			(void)close(fds[0]);
			(void)close(fds[1]);
			nfds = chan_is_idle(&ch) ? 2 : 0;
		}
	}
	(void)get(fds, &nfds);
	(void)close(fds[0]);
	(void)close(fds[1]);
}
END_TEST

START_TEST(closed_with_a_queue)
{
	size_t	before, n = 0;
	int	p[2];

	before = count_fds();
	open_as(PROC_PARENT, PROC_WORKER);
	while (chan_is_idle(&ch))
		ck_assert_int_eq(send_one(n++, 8000,
		    NULL, 0, CHAN_FDS_KEEP), 0);
	ck_assert_int_eq(pipe(p), 0);
	ck_assert_int_eq(send_one(n, 1, p, 2, CHAN_FDS_CLOSE), 0);
	chan_close(&ch);
	chan_close(&ch);
	(void)close(peer);
	peer = -1;
	ck_assert_uint_eq(count_fds(), before);
	ck_assert_uint_eq(nends, 0);		/* our own doing */
	ck_assert_int_eq(send_one(1, 1, NULL, 0, CHAN_FDS_KEEP), -1);
	ck_assert_int_eq(errno, EPIPE);
}
END_TEST

/* close_fds holds on every way out. */
START_TEST(descriptors_on_failure)
{
	struct msg_writer	w;
	size_t			before;
	int			p[2];

	open_as(PROC_PARENT, PROC_WORKER);
	before = count_fds();
	ck_assert_int_eq(pipe(p), 0);
	msg_start(&w, FD_ONE, 0);		/* 1 is its number */
	ck_assert_int_eq(chan_send(&ch, &w, p, 2, CHAN_FDS_CLOSE), -1);
	ck_assert_int_eq(errno, EINVAL);
	ck_assert_uint_eq(count_fds(), before);

	(void)close(peer);
	peer = -1;
	before = count_fds();
	ck_assert_int_eq(pipe(p), 0);
	ck_assert_int_eq(send_one(1, 1, p, 2, CHAN_FDS_CLOSE), -1);
	ck_assert_int_eq(errno, EPIPE);
	ck_assert_uint_eq(count_fds(), before);
	ck_assert(chan_is_open(&ch));		/* the loop tells */
	pass();
	ck_assert_str_eq(reason, "closed");
}
END_TEST

START_TEST(our_own_mistakes)
{
	static uint8_t		zeros[MSG_MAX];
	struct msg_writer	w;
	size_t			nfds;
	int			fds[2];

	open_as(PROC_PARENT, PROC_WORKER);
	msg_start(&w, FROM_WORKER, 0);
	ck_assert_int_eq(chan_send(&ch, &w, NULL, 0, CHAN_FDS_KEEP), -1);
	ck_assert_int_eq(errno, EINVAL);
	msg_start(&w, MSG_USER + 99, 0);
	ck_assert_int_eq(chan_send(&ch, &w, NULL, 0, CHAN_FDS_KEEP), -1);
	msg_start(&w, FROM_PARENT, 0);
	msg_put_octets(&w, zeros, sizeof(zeros));
	ck_assert_int_eq(chan_send(&ch, &w, NULL, 0, CHAN_FDS_KEEP), -1);
	ck_assert_int_eq(errno, EINVAL);
	ck_assert_int_eq(get(fds, &nfds), -1);
	ck_assert(chan_is_open(&ch));
}
END_TEST

START_TEST(lossy)
{
	struct msg_writer	w;
	size_t			nfds;
	int			fds[2], n = 0;

	open_as(PROC_PARENT, PROC_WORKER);
	for (;;) {
		msg_start(&w, FROM_PARENT, (uint64_t)n);
		memset(w.data + w.used, 'x', 8000);
		w.used += 8000;
		if (chan_send_lossy(&ch, &w) == -1)
			break;
		n++;
	}
	ck_assert_uint_eq(ch.ndropped, 1);
	ck_assert(chan_is_idle(&ch));		/* never queued */
	while (get(fds, &nfds) != -1)
		n--;
	ck_assert_int_eq(n, 0);
	/* Not past others that wait. */
	while (chan_is_idle(&ch))
		ck_assert_int_eq(send_one(1, 8000, NULL, 0, CHAN_FDS_KEEP), 0);
	msg_start(&w, FROM_PARENT, 2);
	ck_assert_int_eq(chan_send_lossy(&ch, &w), -1);
	ck_assert_uint_eq(ch.ndropped, 2);
}
END_TEST

/* EMFILE for a copy, not a wait: the caller hears of it. */
START_TEST(no_descriptor_for_a_copy)
{
	int	p[2];

	open_as(PROC_PARENT, PROC_WORKER);
	while (chan_is_idle(&ch))
		ck_assert_int_eq(send_one(1, 8000, NULL, 0, CHAN_FDS_KEEP), 0);
	ck_assert_int_eq(pipe(p), 0);
	limit_files((rlim_t)dup(0) + 1);
	ck_assert_int_eq(send_one(2, 1, p, 2, CHAN_FDS_KEEP), -1);
	ck_assert_int_eq(errno, ENOBUFS);
	unlimit_files();
	ck_assert_int_ne(fcntl(p[0], F_GETFD), -1);
}
END_TEST

/* --- Receiving --- */

START_TEST(batches)
{
	size_t	i;

	open_as(PROC_PARENT, PROC_WORKER);
	for (i = 0; i < 3 * CHAN_BATCH; i++)
		put(FROM_WORKER, i, 0, NULL, 0);
	pass();
	ck_assert_uint_eq(nmsgs, CHAN_BATCH);	/* then the others */
	pass();
	pass();
	ck_assert_uint_eq(nmsgs, 3 * CHAN_BATCH);
	for (i = 0; i < nmsgs; i++)
		ck_assert_uint_eq(ids[i], i);
	ck_assert_int_eq(ch.heard_ms, loop.now_ms);
	for (i = 0; i < 100; i++)
		put(FROM_WORKER, i, 0, NULL, 0);
	(void)close(peer);
	peer = -1;
	chan_drain(&ch);
	ck_assert_uint_eq(nmsgs, 3 * CHAN_BATCH + 100);
	ck_assert_str_eq(reason, "closed");
}
END_TEST

START_TEST(largest)
{
	open_as(PROC_PARENT, PROC_WORKER);
	put(FROM_WORKER, 1, MSG_MAX - MSG_HEADER, NULL, 0);
	pass();
	ck_assert_uint_eq(nmsgs, 1);
	ck_assert_uint_eq(last.len, MSG_MAX - MSG_HEADER);
}
END_TEST

static void
act_take(struct msg *m)
{
	taken = msg_take_fd(m, 0);
}

START_TEST(descriptors_taken_or_closed)
{
	size_t	before;
	int	p[2];

	open_as(PROC_PARENT, PROC_WORKER);
	ck_assert_int_eq(pipe(p), 0);
	before = count_fds();
	put(FD_TWO, 1, 0, p, 2);
	pass();
	ck_assert_uint_eq(nmsgs, 1);
	ck_assert_uint_eq(last.nfds, 2);
	ck_assert_uint_eq(count_fds(), before);
	act = act_take;
	put(FD_TWO, 1, 0, p, 2);
	pass();
	ck_assert_uint_eq(count_fds(), before + 1);
	ck_assert(fcntl(taken, F_GETFD) & FD_CLOEXEC);
	ck_assert_int_eq(write(p[1], "x", 1), 1);
	ck_assert_int_eq(read(taken, reason, 1), 1);	/* the very pipe */
}
END_TEST

/* --- A peer that breaks the rules; 'f': descriptors, behind it how many --- */

static const struct {
	const char	*name;
	uint16_t	 type;
	size_t		 len;
	size_t		 nfds;
	int		 length_field;	/* added to what is right */
	enum chan_state	 state;
} lies[] = {
	{ "unknown",	MSG_USER + 50,	0,	0, 0, CHAN_RUN },
	{ "zero",	MSG_NONE,	0,	0, 0, CHAN_RUN },
	{ "highest",	0xffff,		0,	0, 0, CHAN_RUN },
	{ "sender",	FROM_PARENT,	0,	0, 0, CHAN_RUN },
	{ "state",	FROM_WORKER,	0,	0, 0, CHAN_SETUP },
	{ "drop",	MSG_DROP,	20,	0, 0, CHAN_SETUP },
	{ "peer",	MSG_PEER,	13,	1, 0, CHAN_RUN },
	{ "hello",	MSG_HELLO,	10,	0, 0, CHAN_RUN },
	{ "ready",	MSG_READY,	4,	0, 0, CHAN_STOP },
	{ "log",	MSG_LOG,	10,	0, 0, CHAN_RUN },
	{ "long",	FD_ONE,		65,	1, 0, CHAN_RUN },
	{ "too long",	FROM_WORKER,	8181,	0, 0, CHAN_RUN },
	{ "giant",	FROM_WORKER,	60000,	0, 0, CHAN_RUN },
	{ "no fd",	FD_ONE,		0,	0, 0, CHAN_RUN },
	{ "one more",	FD_ONE,		0,	2, 0, CHAN_RUN },
	{ "one less",	FD_TWO,		0,	1, 0, CHAN_RUN },
	{ "unasked fd",	FROM_WORKER,	0,	1, 0, CHAN_RUN },
	{ "three",	FD_TWO,		0,	3, 0, CHAN_RUN },
	{ "eight",	FD_TWO,		0,	8, 0, CHAN_RUN },
	{ "length +",	FROM_WORKER,	4,	0, 1, CHAN_RUN },
	{ "length -",	FROM_WORKER,	4,	0, -1, CHAN_RUN },
	{ "length and fd", FD_TWO,	4,	2, 1, CHAN_RUN }
};

static void
tell_lie(size_t i)
{
	static uint8_t	data[MSG_HEADER + 60000];
	size_t		len = MSG_HEADER + lies[i].len;
	size_t		field = len + (size_t)lies[i].length_field;
	int		fds[8], p[2], n;

	ck_assert_int_eq(pipe(p), 0);
	for (n = 0; n < 8; n++)
		fds[n] = p[n % 2];
	data[0] = (uint8_t)(lies[i].type >> 8);
	data[1] = (uint8_t)(lies[i].type & 0xff);
	data[2] = (uint8_t)(field >> 8 & 0xff);
	data[3] = (uint8_t)(field & 0xff);
	ck_assert_int_eq(put_raw(data, len, fds, lies[i].nfds), 0);
	(void)close(p[0]);
	(void)close(p[1]);
}

START_TEST(violations)
{
	size_t	before, i = (size_t)_i;

	before = count_fds();
	open_as(PROC_PARENT, PROC_WORKER);
	ch.state = lies[i].state;
	tell_lie(i);
	put(FROM_WORKER, 1, 0, NULL, 0);	/* never seen */
	pass();
	ck_assert_msg(nmsgs == 0, "%s: passes", lies[i].name);
	ck_assert_uint_eq(nends, 1);
	ck_assert_msg(strncmp(reason, "violation: ", 11) == 0, "%s: %s",
	    lies[i].name, reason);
	ck_assert_ptr_nonnull(strstr(logged, "violation by worker[3]"));
	(void)close(peer);
	peer = -1;
	ck_assert_uint_eq(count_fds(), before);
}
END_TEST

/* The same from the parent is the end of a child. */
START_TEST(violation_of_the_parent)
{
	open_as(PROC_WORKER, PROC_PARENT);
	put(FROM_WORKER, 1, 0, NULL, 0);
	pass();
	ck_abort_msg("went on");
}
END_TEST

START_TEST(runt)
{
	open_as(PROC_PARENT, PROC_WORKER);
	ck_assert_int_eq(put_raw("abc", 3, NULL, 0), 0);
	pass();
	ck_assert_uint_eq(nends, 1);
	ck_assert_ptr_nonnull(strstr(reason, "header"));
}
END_TEST

/* A packet of no octets looks like the end, and may carry descriptors. */
START_TEST(nothing_with_descriptors)
{
	size_t	before;
	int	p[2];

	ck_assert_int_eq(pipe(p), 0);
	before = count_fds();
	open_as(PROC_PARENT, PROC_WORKER);
	ck_assert_int_eq(put_raw("", 0, p, 2), 0);
	pass();
	ck_assert_str_eq(reason, "closed");
	(void)close(peer);
	peer = -1;
	ck_assert_uint_eq(count_fds(), before);
}
END_TEST

/* --- No room for descriptors: the child lives (DECISIONS, descriptors) --- */

static void
fill_files(int left)
{
	int	i;

	while (dup(0) != -1)
		;
	for (i = 0; i < left; i++)
		(void)close(NOFILES - 1 - i);
}

static size_t
room_for_files(void)
{
	size_t	n;

	for (n = 0; dup(0) != -1; n++)
		;
	return n;
}

START_TEST(cut_by_us)
{
	int	p[2];

	open_as(_i < 2 ? PROC_WORKER : PROC_PARENT,
	    _i < 2 ? PROC_PARENT : PROC_WORKER);
	ck_assert_int_eq(pipe(p), 0);
	limit_files(NOFILES);
	fill_files(_i % 2);
	put(FD_TWO, 9, 0, p, 2);
	pass();
	if (_i >= 2) {			/* a child's own fault, as it seems */
		unlimit_files();
		ck_assert_uint_eq(nends, 1);
		ck_assert_uint_eq(nmsgs, 0);
		return;
	}
	ck_assert_uint_eq(nends, 0);
	ck_assert_uint_eq(nmsgs, 1);
	ck_assert_uint_eq(ids[0], 9);
	ck_assert_int_eq(last.is_cut, 1);
	ck_assert_uint_eq(last.nfds, (size_t)_i);
	/* And what came is closed: there is room for as many again. */
	ck_assert_uint_eq(room_for_files(), (size_t)_i);
	put(FROM_PARENT, 10, 0, NULL, 0);
	pass();
	unlimit_files();
	ck_assert_uint_eq(nmsgs, 2);
	ck_assert_int_eq(last.is_cut, 0);
}
END_TEST

/* --- Handlers that end their own channel --- */

static void
act_close(struct msg *m)
{
	(void)m;
	chan_close(&ch);
	memset(&ch, 0xff, sizeof(ch));	/* as if it had been freed */
	ch.fd = -1;
}

START_TEST(closed_in_its_handler)
{
	size_t	before;
	int	i, p[2];

	ck_assert_int_eq(pipe(p), 0);
	before = count_fds();
	open_as(PROC_PARENT, PROC_WORKER);
	for (i = 0; i < 20; i++)
		put(FD_TWO, 1, 0, p, 2);
	act = act_close;
	pass();
	ck_assert_uint_eq(nmsgs, 1);
	ck_assert_uint_eq(nends, 0);
	(void)close(peer);
	peer = -1;
	ck_assert_uint_eq(count_fds(), before);
	chan_init(&ch);
}
END_TEST

static void
act_violation(struct msg *m)
{
	chan_violation(&ch, m->type, "content");
	ck_assert(chan_is_open(&ch));		/* until we return */
	ck_assert_int_eq(send_one(1, 1, NULL, 0, CHAN_FDS_KEEP), -1);
	ck_assert_int_eq(errno, EPIPE);
	chan_violation(&ch, m->type, "again");	/* said once */
}

START_TEST(violation_in_its_handler)
{
	open_as(PROC_PARENT, PROC_WORKER);
	put(FROM_WORKER, 1, 0, NULL, 0);
	put(FROM_WORKER, 2, 0, NULL, 0);
	act = act_violation;
	pass();
	ck_assert_uint_eq(nmsgs, 1);
	ck_assert_uint_eq(nends, 1);
	ck_assert_str_eq(reason, "violation: FROM_WORKER: content");
}
END_TEST

START_TEST(violation_outside)
{
	open_as(PROC_PARENT, PROC_WORKER);
	put(FROM_WORKER, 1, 0, NULL, 0);
	chan_violation(&ch, FROM_WORKER, "late");
	ck_assert_uint_eq(nends, 0);
	pass();
	ck_assert_uint_eq(nmsgs, 0);		/* not read any more */
	ck_assert_uint_eq(nends, 1);
	ck_assert_str_eq(reason, "violation: FROM_WORKER: late");
}
END_TEST

/* --- States --- */

START_TEST(state_back)
{
	open_as(PROC_PARENT, PROC_WORKER);
	chan_set_state(&ch, CHAN_SETUP);
	ck_abort_msg("went back");
}
END_TEST

/* --- Set-up of a child --- */

static size_t	nfiltered;

static int
filter(struct chan *c, struct msg *m)
{
	ck_assert_ptr_eq(c, &ch);
	if (m->type != FD_ONE)
		return 0;
	nfiltered++;
	return 1;
}

START_TEST(wait_for_one)
{
	struct msg	m;
	uint8_t		room[MSG_MAX];
	size_t		before;
	int		p[2];

	open_as(PROC_WORKER, PROC_PARENT);
	ck_assert_int_eq(pipe(p), 0);
	before = count_fds();
	ch.filter = filter;
	put(FD_ONE, 1, 0, p, 1);
	put(FROM_PARENT, 2, 5, NULL, 0);
	put(FROM_PARENT, 3, 0, NULL, 0);
	chan_wait(&ch, &m, room, 1000);
	ck_assert_uint_eq(nfiltered, 1);
	ck_assert_uint_eq(count_fds(), before);
	ck_assert_uint_eq(m.id, 2);
	ck_assert_uint_eq(m.len, 5);
	chan_wait(&ch, &m, room, 1000);
	ck_assert_uint_eq(m.id, 3);
	ck_assert_uint_eq(nmsgs, 0);		/* not by the handler */
}
END_TEST

/* 0 nothing comes, 1 the end, 2 nonsense: fatal each */
START_TEST(wait_in_vain)
{
	struct msg	m;
	uint8_t		room[MSG_MAX];

	open_as(PROC_WORKER, PROC_PARENT);
	if (_i == 1) {
		(void)close(peer);
		peer = -1;
	} else if (_i == 2)
		put(FROM_WORKER, 1, 0, NULL, 0);
	chan_wait(&ch, &m, room, 100);
	ck_abort_msg("went on");
}
END_TEST

/* --- Secrets --- */

static void
act_read_secret(struct msg *m)
{
	ck_assert_int_eq(m->data[0], 'x');
	if (m->id == 3)
		chan_close(&ch);
}

/* The room is static: what is left in it can be looked at. */
START_TEST(secret_is_wiped)
{
	static const uint8_t	none[64];
	const uint8_t		*secret;

	open_as(PROC_WORKER, PROC_PARENT);
	act = act_read_secret;
	put(SECRET, 1, 64, NULL, 0);
	pass();
	ck_assert_uint_eq(nmsgs, 1);
	secret = last.data;
	ck_assert_mem_eq(secret, none, 64);
	put(FROM_PARENT, 2, 64, NULL, 0);
	pass();
	ck_assert_ptr_eq(last.data, secret);
	ck_assert_int_eq(secret[0], 'x');
	/* The channel ends with the first, the second is never read. */
	put(SECRET, 3, 64, NULL, 0);
	put(SECRET, 4, 64, NULL, 0);
	pass();
	ck_assert_uint_eq(nmsgs, 3);
	ck_assert_mem_eq(secret, none, 64);
	ck_assert_mem_eq(secret + MSG_MAX, none, 64);
}
END_TEST

static void
add_receiving(TCase *tc)
{
	tcase_add_test(tc, secret_is_wiped);
	tcase_add_test(tc, batches);
	tcase_add_test(tc, largest);
	tcase_add_test(tc, descriptors_taken_or_closed);
	tcase_add_loop_test(tc, violations, 0, (int)NROWS(lies));
	tcase_add_exit_test(tc, violation_of_the_parent, 1);
	tcase_add_test(tc, runt);
	tcase_add_test(tc, nothing_with_descriptors);
	tcase_add_test(tc, closed_in_its_handler);
	tcase_add_test(tc, violation_in_its_handler);
	tcase_add_test(tc, violation_outside);
	tcase_add_exit_test(tc, state_back, 1);
	tcase_add_test(tc, wait_for_one);
	tcase_add_loop_exit_test(tc, wait_in_vain, 1, 0, 3);
}

int
main(void)
{
	Suite	*s = suite_create("chan");
	TCase	*tc = tcase_create("chan");
	TCase	*own = tcase_create("few descriptors");
	SRunner	*sr;
	int	 nfailed;

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_test(tc, pair);
	tcase_add_test(tc, order_when_full);
	tcase_add_test(tc, not_full_while_it_drains);
	tcase_add_test(tc, descriptors_in_the_queue);
	tcase_add_test(tc, closed_with_a_queue);
	tcase_add_test(tc, descriptors_on_failure);
	tcase_add_test(tc, our_own_mistakes);
	tcase_add_test(tc, lossy);
	add_receiving(tc);
	suite_add_tcase(s, tc);
	/* memcheck keeps descriptors of its own: regress.sh leaves it out. */
	tcase_set_tags(own, "few-descriptors");
	tcase_add_checked_fixture(own, set_up, tear_down);
	tcase_add_test(own, pair_without_descriptors);
	tcase_add_test(own, no_descriptor_for_a_copy);
	tcase_add_loop_test(own, cut_by_us, 0, 4);
	suite_add_tcase(s, own);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	nfailed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return nfailed == 0 ? 0 : 1;
}
