/*
 * A channel's way out.
 *
 * Runs in every process.  What the socket does not take at once waits in a
 * bounded queue, with the descriptors that belong to it; on a channel with
 * batches all of one pass of the loop waits for its end and goes out with one
 * system call, so that the peer wakes up once.
 */
#include "chan_int.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../common/log.h"
#include "../common/port/port.h"

#define CHAN_OUT_VLEN	16	/* packets sent with one system call */
#define CHAN_BLOCK_MS	10000	/* blocking use: no peer is that slow */

int
chan_is_idle(const struct chan *ch)
{
	return ch->queue_used == 0;
}

int
chan_can_send(const struct chan *ch)
{
	return ch->fd != -1 && !ch->is_blocked && !ch->is_broken;
}

void
chan_set_unsent(struct chan *ch, chan_unsent_fn *fn, void *arg)
{
	ch->on_unsent = fn;
	ch->unsent_arg = arg;
}

int
chan_set_batch(struct chan *ch, size_t most)
{
	if (ch->queue == NULL && (ch->queue = calloc(CHAN_QUEUE_MAX,
	    sizeof(*ch->queue))) == NULL)
		return -1;
	ch->batch = most;
	return 0;
}

/* --- The queue --- */

static struct chan_out *
chan_queue_at(struct chan *ch, size_t i)
{
	return &ch->queue[(ch->queue_head + i) % CHAN_QUEUE_MAX];
}

/* The oldest n messages are sent, or lost with their channel. */
static void
chan_queue_drop(struct chan *ch, size_t n)
{
	struct chan_out	*out;
	int		 fds[CHAN_OUT_VLEN * MSG_FDS_MAX];
	size_t		 i, j, nfds = 0;

	for (i = 0; i < n; i++) {
		out = chan_queue_at(ch, i);
		for (j = 0; j < out->nfds; j++)
			if (out->fd[j] != -1)
				fds[nfds++] = out->fd[j];
		chan_wipe(out->data, out->len);
		if (out->data != out->room)
			free(out->data);
		out->data = NULL;
	}
	port_close_all(fds, nfds);	/* the peer's copies live on */
	ch->queue_head = (ch->queue_head + n) % CHAN_QUEUE_MAX;
	ch->queue_used -= n;
	/* Few at a time then use few pages. */
	if (ch->queue_used == 0)
		ch->queue_head = 0;
}

/* Nobody will take what waits. */
static void
chan_queue_clear(struct chan *ch)
{
	struct chan_out	*out;
	struct msg	 m;

	ch->is_broken = 1;
	while (ch->queue_used > 0) {
		out = chan_queue_at(ch, 0);
		if (ch->on_unsent != NULL && out->nfds > 0 &&
		    msg_parse_header(&m, out->data, out->len) == 0)
			ch->on_unsent(ch, &m, out->fd, out->nfds,
			    ch->unsent_arg);
		chan_queue_drop(ch, 1);
	}
}

void
chan_queue_free(struct chan *ch)
{
	chan_queue_clear(ch);
	free(ch->queue);
	ch->queue = NULL;
	ch->batch = 0;
	ch->is_blocked = 0;
	ch->full_since_ms = 0;
}

/* --- Sending --- */

/* Descriptors to a packet's control part. */
static void
chan_put_fds(struct msghdr *mh, union chan_control *control, const int *fds,
    size_t nfds)
{
	struct cmsghdr	*c;

	memset(control, 0, sizeof(*control));
	mh->msg_control = control->room;
	/* size_t or socklen_t, by the system: two descriptors fit. */
	mh->msg_controllen = (socklen_t)CMSG_SPACE(nfds * sizeof(int));
	c = CMSG_FIRSTHDR(mh);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = (socklen_t)CMSG_LEN(nfds * sizeof(int));
	memcpy(CMSG_DATA(c), fds, nfds * sizeof(int));
}

static int
chan_sendmsg(int fd, const uint8_t *data, size_t len, const int *fds,
    size_t nfds)
{
	union chan_control	 control;
	struct msghdr		 mh;
	struct iovec		 iov;
	ssize_t			 n;

	memset(&mh, 0, sizeof(mh));
	iov.iov_base = (void *)(uintptr_t)data;	/* sendmsg only reads it */
	iov.iov_len = len;
	mh.msg_iov = &iov;
	mh.msg_iovlen = 1;
	if (nfds > 0)
		chan_put_fds(&mh, &control, fds, nfds);
	do
		n = sendmsg(fd, &mh, MSG_DONTWAIT | MSG_NOSIGNAL);
	while (n == -1 && errno == EINTR);
	return n == -1 ? -1 : 0;
}

int
chan_is_short(int error)
{
	return error == ENOBUFS || error == ETOOMANYREFS || error == EMFILE ||
	    error == ENOMEM;
}

/* Wait for what was missing when sendmsg(2) failed with this error. */
static void
chan_wait_to_send(struct chan *ch, int error)
{
	ch->is_blocked = 1;
	if (chan_is_short(error)) {
		loop_set(ch->loop, &ch->lfd, POLLIN);
		if (timer_set(&ch->loop->timers, &ch->retry,
		    ch->loop->now_ms + CHAN_RETRY_MS) == 0)
			return;
	}
	loop_set(ch->loop, &ch->lfd, POLLIN | POLLOUT);
}

/*
 * The oldest messages of the queue, at most CHAN_OUT_VLEN.
 *   returns   how many went, or -1 with errno
 */
static int
chan_send_oldest(struct chan *ch)
{
	static struct mmsghdr	 v[CHAN_OUT_VLEN];
	static struct iovec	 iov[CHAN_OUT_VLEN];
	static union chan_control control[CHAN_OUT_VLEN];
	struct chan_out		*out;
	size_t			 i, n = ch->queue_used;
	int			 sent;

	if (n > CHAN_OUT_VLEN)
		n = CHAN_OUT_VLEN;
	for (i = 0; i < n; i++) {
		out = chan_queue_at(ch, i);
		memset(&v[i], 0, sizeof(v[i]));
		iov[i].iov_base = out->data;
		iov[i].iov_len = out->len;
		v[i].msg_hdr.msg_iov = &iov[i];
		v[i].msg_hdr.msg_iovlen = 1;
		if (out->nfds > 0)
			chan_put_fds(&v[i].msg_hdr, &control[i], out->fd,
			    out->nfds);
	}
	do
		sent = sendmmsg(ch->fd, v, (unsigned int)n,
		    MSG_DONTWAIT | MSG_NOSIGNAL);
	while (sent == -1 && errno == EINTR);
	return sent;
}

/* Send what waits, in order, until the socket is full. */
void
chan_flush(struct chan *ch)
{
	int	n;

	if (ch->fd == -1 || ch->is_blocked)
		return;
	while (ch->queue_used > 0) {
		if ((n = chan_send_oldest(ch)) == -1) {
			if (errno == EAGAIN || chan_is_short(errno)) {
				chan_wait_to_send(ch, errno);
				return;
			}
			/* The end itself is seen by reading. */
			chan_queue_clear(ch);
			break;
		}
		chan_queue_drop(ch, (size_t)n);
		ch->full_since_ms = ch->loop->now_ms;
	}
	ch->full_since_ms = 0;
	loop_set(ch->loop, &ch->lfd, POLLIN);
}

void
chan_unblock(struct chan *ch)
{
	ch->is_blocked = 0;
	chan_flush(ch);
}

void
chan_on_flush(void *arg)
{
	chan_flush(arg);
}

void
chan_on_retry(struct timer *t, void *arg, int64_t now_ms)
{
	struct chan	*ch = arg;

	(void)t;
	(void)now_ms;
	if (ch->violation[0] != '\0')
		chan_end(ch, "");
	else
		chan_unblock(ch);
}

/* Blocking use: wait until the socket takes more. */
static int
chan_wait_writable(const struct chan *ch)
{
	struct pollfd	pfd;

	memset(&pfd, 0, sizeof(pfd));
	pfd.fd = ch->fd;
	pfd.events = POLLOUT;
	return poll(&pfd, 1, CHAN_BLOCK_MS) == 1 ? 0 : -1;
}

/* Descriptors into the queue: copies of those that stay the caller's. */
static int
chan_keep_fds(struct chan_out *out, const int *fds, size_t nfds, int is_ours)
{
	int	fd;

	for (out->nfds = 0; out->nfds < nfds; out->nfds++) {
		fd = fds[out->nfds];
		if (!is_ours && (fd = fcntl(fd, F_DUPFD_CLOEXEC, 0)) == -1) {
			while (out->nfds > 0)
				(void)close(out->fd[--out->nfds]);
			return -1;
		}
		out->fd[out->nfds] = fd;
	}
	return 0;
}

/* Behind what waits; -1 with ENOBUFS, and the descriptors are the caller's. */
static int
chan_enqueue(struct chan *ch, const struct msg_writer *w, const int *fds,
    size_t nfds, int is_ours)
{
	struct chan_out	*out;

	errno = ENOBUFS;
	if (ch->queue == NULL)
		ch->queue = calloc(CHAN_QUEUE_MAX, sizeof(*ch->queue));
	if (ch->queue == NULL || ch->queue_used == CHAN_QUEUE_MAX)
		return -1;
	out = chan_queue_at(ch, ch->queue_used);
	out->data = out->room;
	if (w->used > sizeof(out->room) &&
	    (out->data = malloc(w->used)) == NULL)
		return -1;
	if (chan_keep_fds(out, fds, nfds, is_ours) == -1) {
		if (out->data != out->room)
			free(out->data);
		out->data = NULL;
		errno = ENOBUFS;
		return -1;
	}
	memcpy(out->data, w->data, w->used);
	out->len = (uint16_t)w->used;		/* at most MSG_MAX */
	if (ch->queue_used++ == 0)
		ch->full_since_ms = ch->loop->now_ms;
	return 0;
}

/* May it go at all?  Our own mistakes end here. */
static int
chan_may_send(const struct chan *ch, struct msg_writer *w, size_t nfds)
{
	const char	*why;
	uint16_t	 type;

	if (ch->fd == -1 || ch->violation[0] != '\0') {
		errno = EPIPE;
		return -1;
	}
	if (msg_finish(w) == -1) {
		log_warnx("message to %s does not fit",
		    proc_role_name(ch->peer));
		errno = EINVAL;
		return -1;
	}
	type = (uint16_t)(w->data[0] << 8 | w->data[1]);
	if ((why = msg_table_check(type, ch->self, ch->peer, ch->state,
	    w->used - MSG_HEADER, nfds)) != NULL) {
		log_warnx("message %u to %s not sent: %s", type,
		    proc_role_name(ch->peer), why);
		errno = EINVAL;
		return -1;
	}
	return 0;
}

static int
chan_send_now(struct chan *ch, const struct msg_writer *w, const int *fds,
    size_t nfds)
{
	for (;;) {
		if (chan_sendmsg(ch->fd, w->data, w->used, fds, nfds) == 0)
			return 0;
		if (ch->loop != NULL || errno != EAGAIN)
			return -1;
		if (chan_wait_writable(ch) == -1) {
			errno = ENOBUFS;
			return -1;
		}
	}
}

/* Into the batch of this pass. */
static int
chan_send_later(struct chan *ch, const struct msg_writer *w, const int *fds,
    size_t nfds, int is_ours)
{
	if (ch->queue_used == CHAN_QUEUE_MAX)
		chan_flush(ch);
	if (chan_enqueue(ch, w, fds, nfds, is_ours) == -1)
		return -1;
	if (ch->queue_used >= ch->batch)
		chan_flush(ch);
	else
		loop_put_off(ch->loop, &ch->flush);
	return 0;
}

/* 1: sent, 0: in the queue, with its descriptors. */
static int
chan_send_or_queue(struct chan *ch, struct msg_writer *w, const int *fds,
    size_t nfds, int is_ours)
{
	int	error = 0;

	if (chan_may_send(ch, w, nfds) == -1)
		return -1;
	if (ch->batch > 0)
		return chan_send_later(ch, w, fds, nfds, is_ours);
	if (ch->queue_used == 0) {
		if (chan_send_now(ch, w, fds, nfds) == 0)
			return 1;
		error = errno;
		if (error != EAGAIN && !chan_is_short(error)) {
			errno = EPIPE;
			return -1;
		}
	}
	if (ch->loop == NULL) {
		errno = ENOBUFS;
		return -1;
	}
	if (chan_enqueue(ch, w, fds, nfds, is_ours) == -1)
		return -1;
	if (error != 0)
		chan_wait_to_send(ch, error);
	return 0;
}

int
chan_send(struct chan *ch, struct msg_writer *w, const int *fds, size_t nfds,
    enum chan_fds whose)
{
	int	rc, saved_errno;

	rc = chan_send_or_queue(ch, w, fds, nfds, whose != CHAN_FDS_KEEP);
	if ((rc == 1 && whose != CHAN_FDS_KEEP) ||
	    (rc == -1 && whose == CHAN_FDS_CLOSE)) {
		saved_errno = errno;
		port_close_all(fds, nfds);
		errno = saved_errno;
	}
	return rc == -1 ? -1 : 0;
}

int
chan_send_lossy(struct chan *ch, struct msg_writer *w)
{
	ch->ndropped++;
	if (chan_may_send(ch, w, 0) == -1)
		return -1;
	if (ch->queue_used > 0) {
		errno = ENOBUFS;
		return -1;
	}
	if (chan_sendmsg(ch->fd, w->data, w->used, NULL, 0) == -1) {
		errno = errno == EAGAIN || chan_is_short(errno) ? ENOBUFS :
		    EPIPE;
		return -1;
	}
	ch->ndropped--;
	return 0;
}
