/*
 * One end of a SOCK_SEQPACKET channel between two processes.
 *
 * Runs in every process.  Nothing that arrives is believed before the message
 * table has allowed it; what a child sends wrong costs that child its channel,
 * what the parent sends wrong is the end of this process.  A descriptor that
 * arrives has an owner at once: the message, which closes what nobody took.
 * Nobody ever waits for a peer: what it does not take is queued, up to a limit.
 */
#include "chan_int.h"

#include <sys/types.h>
#include <sys/socket.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../common/log.h"
#include "../common/port/port.h"

#define CHAN_VLEN	8	/* packets read with one system call */

/*
 * The channels whose handlers are running, innermost first.  A handler may
 * close the channel that it was called for, and free it: then `ch` is NULL
 * when it returns.
 */
struct chan_frame {
	struct chan		*ch;
	struct chan_frame	*up;
};
static struct chan_frame	*frames;

/* What one recvmmsg(2) fills; used by one pass over one channel at a time. */
static uint8_t			 rooms[CHAN_VLEN][MSG_MAX];
static union chan_control	 controls[CHAN_VLEN];

static loop_fn	chan_on_event;

static int
chan_set_size(int fd, int option)
{
	int		size = CHAN_SOCKBUF;
	socklen_t	len = sizeof(size);

	if (setsockopt(fd, SOL_SOCKET, option, &size, len) == -1 ||
	    getsockopt(fd, SOL_SOCKET, option, &size, &len) == -1)
		return -1;
	if (size < CHAN_SOCKBUF) {
		errno = ENOBUFS;
		return -1;
	}
	return 0;
}

int
chan_pair(int fd[2])
{
	int	i, saved_errno;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK,
	    0, fd) == -1) {
		fd[0] = fd[1] = -1;
		return -1;
	}
	for (i = 0; i < 2; i++)
		if (chan_set_size(fd[i], SO_SNDBUF) == -1 ||
		    chan_set_size(fd[i], SO_RCVBUF) == -1) {
			saved_errno = errno;
			(void)close(fd[0]);	/* unused still */
			(void)close(fd[1]);
			fd[0] = fd[1] = -1;
			errno = saved_errno;
			return -1;
		}
	return 0;
}

void
chan_init(struct chan *ch)
{
	memset(ch, 0, sizeof(*ch));
	ch->fd = -1;
	loop_fd_init(&ch->lfd);
	timer_init(&ch->retry, chan_on_retry, ch);
	loop_task_init(&ch->flush, chan_on_flush, ch);
}

int
chan_open(struct chan *ch, struct loop *loop, int fd, enum proc_role self,
    enum proc_role peer, uint32_t instance, chan_msg_fn *on_msg,
    chan_end_fn *on_end, void *arg)
{
	chan_init(ch);
	ch->self = self;
	ch->peer = peer;
	ch->instance = instance;
	ch->on_msg = on_msg;
	ch->on_end = on_end;
	ch->arg = arg;
	ch->loop = loop;
	if (loop != NULL) {
		ch->heard_ms = loop->now_ms;
		if (loop_add(loop, &ch->lfd, fd, POLLIN, chan_on_event,
		    ch) == -1) {
			(void)close(fd);
			return -1;
		}
	}
	ch->fd = fd;
	return 0;
}

int
chan_is_open(const struct chan *ch)
{
	return ch->fd != -1;
}

void
chan_set_state(struct chan *ch, enum chan_state state)
{
	if (state < ch->state)
		fatalx("chan_set_state: from %d back to %d", (int)ch->state,
		    (int)state);
	ch->state = state;
}

void
chan_wipe(uint8_t *packet, size_t len)
{
	const struct msg_row	*row;

	if (len < MSG_HEADER)
		return;
	row = msg_table_row((uint16_t)(packet[0] << 8 | packet[1]));
	if (row != NULL && row->is_secret)
		explicit_bzero(packet, len);
}

void
chan_close(struct chan *ch)
{
	struct chan_frame	*f;

	if (ch->fd == -1)
		return;
	for (f = frames; f != NULL; f = f->up)
		if (f->ch == ch)
			f->ch = NULL;
	if (ch->loop != NULL) {
		timer_end(&ch->loop->timers, &ch->retry);
		loop_take_back(ch->loop, &ch->flush);
		loop_del(ch->loop, &ch->lfd);
	}
	(void)close(ch->fd);		/* a socket: nothing is lost by it */
	ch->fd = -1;
	chan_queue_free(ch);
	ch->violation[0] = '\0';
}

void
chan_end(struct chan *ch, const char *why)
{
	chan_end_fn	*on_end = ch->on_end;
	void		*arg = ch->arg;
	char		 reason[96];

	if (ch->violation[0] != '\0')
		(void)snprintf(reason, sizeof(reason), "%s%s",
		    CHAN_VIOLATION, ch->violation);
	else
		(void)snprintf(reason, sizeof(reason), "%s", why);
	chan_close(ch);
	if (on_end != NULL)
		on_end(ch, reason, arg);
}

/* --- Receiving --- */

/* Take the descriptors out of the control part; more than two is no harm. */
static void
chan_take_fds(struct msghdr *mh, struct msg *m)
{
	struct cmsghdr	*c;
	size_t		 i, n;
	int		 fd;

	for (c = CMSG_FIRSTHDR(mh); c != NULL; c = CMSG_NXTHDR(mh, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		n = ((size_t)c->cmsg_len - (size_t)CMSG_LEN(0)) / sizeof(int);
		for (i = 0; i < n; i++) {
			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int),
			    sizeof(fd));
			if (m->nfds < MSG_FDS_MAX)
				m->fd[m->nfds++] = fd;
			else
				(void)close(fd);	/* cannot be: width */
		}
	}
}

/*
 * Packet to message.
 *   returns   NULL when the table allows it, else what is wrong; descriptors
 *             are in the message in any case
 */
static const char *
chan_check(const struct chan *ch, struct msg *m, const uint8_t *data,
    size_t len, struct msghdr *mh)
{
	const struct msg_row	*row;
	size_t			 nfds;
	int			 header;

	header = msg_parse_header(m, data, len);
	chan_take_fds(mh, m);
	if (mh->msg_flags & MSG_TRUNC)
		return "truncated";
	if (header == -1)
		return "header";
	nfds = m->nfds;
	row = msg_table_row(m->type);
	/* The parent sent them; it is we who had no room. */
	if (ch->peer == PROC_PARENT && row != NULL && nfds < row->nfds) {
		m->is_cut = 1;
		nfds = row->nfds;
	} else if (mh->msg_flags & MSG_CTRUNC)
		return "descriptors";
	return msg_table_check(m->type, ch->peer, ch->self, ch->state, m->len,
	    nfds);
}

void
chan_violation(struct chan *ch, uint16_t type, const char *reason)
{
	const struct msg_row	*row;
	const struct chan_frame	*f;
	const char		*name;
	char			 self[PROC_NAME_MAX], peer[PROC_NAME_MAX];

	if (ch->fd == -1 || ch->violation[0] != '\0')
		return;
	row = msg_table_row(type);
	name = row == NULL ? "unknown" : row->name;
	(void)proc_name(self, ch->self, 0);
	(void)proc_name(peer, ch->peer, ch->instance);
	if (ch->peer == PROC_PARENT || ch->loop == NULL)
		fatalx("violation by %s: message %u (%s): %s", peer, type,
		    name, reason);
	log_warnx("%s: violation by %s: message %u (%s): %s",
	    proc_role_name(ch->self), peer, type, name, reason);
	(void)snprintf(ch->violation, sizeof(ch->violation), "%s: %s", name,
	    reason);
	for (f = frames; f != NULL; f = f->up)
		if (f->ch == ch)
			return;		/* ends when the handler returns */
	loop_set(ch->loop, &ch->lfd, 0);
	if (timer_set(&ch->loop->timers, &ch->retry, ch->loop->now_ms) == -1)
		chan_end(ch, "");
}

static void
chan_deliver(struct chan *ch, uint8_t *data, size_t len, struct msghdr *mh)
{
	struct chan_frame	 frame;
	struct msg		 m;
	const char		*why;

	frame.ch = ch;
	frame.up = frames;
	frames = &frame;
	why = chan_check(ch, &m, data, len, mh);
	ch->heard_ms = ch->loop->now_ms;
	if (len == 0)
		chan_end(ch, "closed");
	else if (why != NULL)
		chan_violation(ch, m.type, why);
	else
		ch->on_msg(ch, &m, ch->arg);
	msg_close_fds(&m);
	chan_wipe(data, len);
	frames = frame.up;
	if (frame.ch != NULL && ch->violation[0] != '\0')
		chan_end(ch, "");
}

/* Up to CHAN_VLEN packets; their number, or -1 with errno. */
static int
chan_recv(int fd, struct mmsghdr *v)
{
	static struct iovec	iov[CHAN_VLEN];
	size_t			i;
	int			n;

	memset(v, 0, CHAN_VLEN * sizeof(*v));
	for (i = 0; i < CHAN_VLEN; i++) {
		iov[i].iov_base = rooms[i];
		iov[i].iov_len = sizeof(rooms[i]);
		v[i].msg_hdr.msg_iov = &iov[i];
		v[i].msg_hdr.msg_iovlen = 1;
		v[i].msg_hdr.msg_control = controls[i].room;
		v[i].msg_hdr.msg_controllen = sizeof(controls[i].room);
	}
	do
		n = recvmmsg(fd, v, CHAN_VLEN, MSG_DONTWAIT | MSG_CMSG_CLOEXEC,
		    NULL);
	while (n == -1 && errno == EINTR);
	return n;
}

/*
 * Read and deliver at most CHAN_VLEN packets.
 *   returns   1 when there may be more, 0 when not or the channel has ended
 */
static int
chan_read(struct chan *ch)
{
	struct mmsghdr		v[CHAN_VLEN];
	struct chan_frame	frame;
	struct msg		m;
	int			i, n;

	if ((n = chan_recv(ch->fd, v)) == -1) {
		/* Without memory it stays where it is, and poll(2) tells. */
		if (errno == EAGAIN || chan_is_short(errno))
			return 0;
		if (errno == EMSGSIZE) {
			/* OpenBSD gave it up, the octets too. */
			log_warnx("message lost: no descriptors left");
			return 1;
		}
		/*
		 * It ended with something unread; what it said before is
		 * there still, and the end comes behind it.
		 */
		if (errno == ECONNRESET)
			return 1;
		chan_end(ch, strerror(errno));
		return 0;
	}
	frame.ch = ch;
	frame.up = frames;
	frames = &frame;
	for (i = 0; i < n; i++) {
		if (frame.ch != NULL) {
			chan_deliver(ch, rooms[i], v[i].msg_len,
			    &v[i].msg_hdr);
			continue;
		}
		m.nfds = 0;		/* the channel ended before these */
		chan_take_fds(&v[i].msg_hdr, &m);
		msg_close_fds(&m);
		chan_wipe(rooms[i], v[i].msg_len);
	}
	frames = frame.up;
	return frame.ch != NULL && n == CHAN_VLEN;
}

static void
chan_on_event(struct loop_fd *lfd, short revents, void *arg)
{
	struct chan	*ch = arg;
	int		 i;

	(void)lfd;
	if (revents & POLLOUT)
		chan_unblock(ch);
	if ((revents & ~POLLOUT) == 0)
		return;
	for (i = 0; i < CHAN_BATCH / CHAN_VLEN; i++)
		if (!chan_read(ch))
			return;
}

void
chan_set_handlers(struct chan *ch, chan_msg_fn *on_msg, chan_end_fn *on_end,
    void *arg)
{
	ch->on_msg = on_msg;
	ch->on_end = on_end;
	ch->arg = arg;
}

void
chan_drain(struct chan *ch)
{
	size_t	i;

	if (frames != NULL)
		fatalx("chan_drain: called by a message handler");
	/* No more than fits: its end may be in another's hands, who writes. */
	for (i = 0; i <= CHAN_SOCKBUF / MSG_HEADER / CHAN_VLEN; i++)
		if (ch->fd == -1 || !chan_read(ch))
			return;
}

/* One packet, without waiting: 0, -1 with errno; an end is fatal. */
static int
chan_recv_one(struct chan *ch, struct msg *m, uint8_t *room)
{
	struct msghdr	 mh;
	struct iovec	 iov;
	const char	*why;
	ssize_t		 n;

	memset(&mh, 0, sizeof(mh));
	iov.iov_base = room;
	iov.iov_len = MSG_MAX;
	mh.msg_iov = &iov;
	mh.msg_iovlen = 1;
	mh.msg_control = controls[0].room;
	mh.msg_controllen = sizeof(controls[0].room);
	n = recvmsg(ch->fd, &mh, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	if (n == -1)
		return -1;
	why = chan_check(ch, m, room, (size_t)n, &mh);
	if (n == 0)
		fatalx("set-up: the %s has closed the channel",
		    proc_role_name(ch->peer));
	if (why != NULL)
		fatalx("set-up: message %u of the %s: %s", m->type,
		    proc_role_name(ch->peer), why);
	return 0;
}

/* Set-up runs before the loop: what could not be sent is sent from here. */
static void
chan_wait_event(struct chan *ch, int timeout_ms)
{
	struct pollfd	pfd;

	memset(&pfd, 0, sizeof(pfd));
	pfd.fd = ch->fd;
	pfd.events = POLLIN;
	if (ch->queue_used > 0 && timeout_ms > CHAN_RETRY_MS)
		timeout_ms = CHAN_RETRY_MS;
	if (poll(&pfd, 1, timeout_ms) == -1 && errno != EINTR)
		fatal("set-up: poll");
	if (ch->queue_used > 0)
		chan_unblock(ch);
}

void
chan_wait(struct chan *ch, struct msg *m, uint8_t *room, int timeout_ms)
{
	int64_t	end_ms, left_ms;

	end_ms = port_now_ms() + timeout_ms;
	for (;;) {
		if (chan_recv_one(ch, m, room) == 0) {
			if (ch->filter == NULL || !ch->filter(ch, m))
				return;
			msg_close_fds(m);
			continue;
		}
		if (errno != EAGAIN && errno != EINTR)
			fatal("set-up: recvmsg");
		if ((left_ms = end_ms - port_now_ms()) <= 0)
			fatalx("set-up: nothing from the %s for %d ms",
			    proc_role_name(ch->peer), timeout_ms);
		chan_wait_event(ch, (int)left_ms);
	}
}
