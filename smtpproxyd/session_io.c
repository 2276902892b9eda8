/*
 * A session's sockets: receive when the loop says so, give octets to the
 * engine, send what comes out.  Runs in the worker.  One recv(2) a side and
 * wake-up, at once a send(2) of what came of it; what a side does not take
 * stays where it was read, and the other side is not read meanwhile.
 */
#include <sys/types.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <netinet/in.h>
#include <netinet/tcp.h>

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "../common/port/port.h"
#include "session_int.h"
#include "session_tls.h"

#define SESSION_DROP_READS	16	/* a wake-up, while lingering */

static loop_fn	session_on_client, session_on_dest;

int
session_io_open(struct session *s, enum smtp_side side, int fd)
{
	struct session_side	*x = &s->side[side];
	short			 events;

	events = side == SMTP_DEST && s->is_connecting ? POLLOUT : POLLIN;
	if (loop_add(s->set->loop, &x->lfd, fd, events,
	    side == SMTP_CLIENT ? session_on_client : session_on_dest,
	    s) == -1)
		return -1;
	x->fd = fd;
	x->is_blocked = x->has_eof = x->is_eof_told = 0;
	x->has_nodelay = x->nsent = x->cant_send = 0;
	x->wants_shut = x->is_shut = 0;
	x->wants_tls = x->is_implicit = x->is_shaking = 0;
	x->taken = 0;
	return 0;
}

void
session_io_close(struct session *s, enum smtp_side side)
{
	struct session_side	*x = &s->side[side];
	struct session_side	*other = &s->side[1 - side];
	int			 i;

	if (x->fd == -1)
		return;
	loop_del(s->set->loop, &x->lfd);
	if (x->tls != NULL) {
		/* Never what is left of a record that was cut. */
		if (!x->is_shaking && !x->is_blocked)
			session_tls_shut(x->tls);
		session_tls_free(x->tls);
		x->tls = NULL;
	}
	x->wants_tls = x->is_shaking = 0;
	if (side == SMTP_CLIENT && s->more != NULL)
		s->more->who.tls.sni = s->more->who.tls.subject = NULL;
	(void)close(x->fd);		/* nothing to be done about it */
	x->fd = -1;
	x->is_blocked = 0;
	/*
	 * What was to go there in place goes nowhere now, and what was to go
	 * from there in place goes with the buffer that it lies in.
	 */
	for (i = 0; i < SMTP_SIDES; i++) {
		s->engine.pass[i] = NULL;
		s->engine.passlen[i] = 0;
	}
	x->taken = 0;
	buf_clear(&x->in);
	if (other->taken > 0) {
		buf_drop(&other->in, other->taken);
		other->taken = 0;
	}
}

/* The connection broke: what came before is still fed, then the engine. */
static void
io_broken(struct session *s, enum smtp_side side, int error)
{
	if (s->phase != SESSION_RUNNING) {
		if (side == SMTP_CLIENT)
			s->phase = SESSION_ENDED;
		return;
	}
	if (s->side[side].tls != NULL && error == EPROTO)
		(void)strlcpy(s->more->tls_error[side],
		    session_tls_error(s->side[side].tls),
		    sizeof(s->more->tls_error[side]));	/* cut is fine */
	smtp_engine_lost(&s->engine, side, side == SMTP_CLIENT ?
	    "client connection lost" : strerror(error),
	    s->set->loop->now_ms);
	s->side[side].has_eof = s->side[side].is_eof_told = 1;
}

static int
io_wants_room(const struct session_side *x)
{
	return x->tls != NULL && !x->is_shaking &&
	    session_tls_wants_room(x->tls);
}

static size_t
io_room(const struct session_side *x)
{
	size_t	want = x->wants_large ? BUF_LARGE : BUF_SMALL;

	return x->in.used < want ? want - x->in.used : 0;
}

static ssize_t
io_recv(struct session_side *x, void *place, size_t size)
{
	ssize_t	n;

	if (x->tls != NULL)
		return session_tls_read(x->tls, place, size);
	do
		n = recv(x->fd, place, size, 0);
	while (n == -1 && errno == EINTR);
	return n;
}

void
session_io_receive(struct session *s, enum smtp_side side)
{
	struct session_side	*x = &s->side[side];
	uint8_t			*place;
	size_t			 want = io_room(x), size;
	ssize_t			 n;

	if (side == SMTP_CLIENT && s->opening == SESSION_OPEN_PROXY) {
		session_open_receive(s);
		return;
	}
	/* Behind a 220 to STARTTLS nothing is read in clear. */
	if (x->has_eof || x->taken > 0 || want == 0 || x->wants_tls ||
	    x->is_shaking)
		return;
	if ((place = buf_reserve(&x->in, want, &size)) == NULL) {
		session_fail(s, "out of memory");
		return;
	}
	if (size > want)
		size = want;
	n = io_recv(x, place, size);
	if (n > 0) {
		buf_grew(&x->in, (size_t)n);
		x->nsent = 0;
		x->wants_large = (uint8_t)((size_t)n == size);
		return;
	}
	buf_trim(&x->in);
	if (n == 0)
		x->has_eof = 1;
	else if (errno != EAGAIN)
		io_broken(s, side, errno);
}

/* Lingering: read and forget. */
static void
io_drop(struct session *s)
{
	struct session_side	*x = &s->side[SMTP_CLIENT];
	uint8_t			 octets[BUF_SMALL];
	ssize_t			 n;
	int			 i;

	for (i = 0; i < SESSION_DROP_READS; i++) {
		n = recv(x->fd, octets, sizeof(octets), 0);
		if (n > 0)
			continue;
		if (n == 0 || (errno != EAGAIN && errno != EINTR))
			x->has_eof = 1;
		return;
	}
}

static void
session_on_client(struct loop_fd *lf, short revents, void *arg)
{
	struct session	*s = arg;

	(void)lf;
	session_activate(s);
	/* A broken one takes nothing either: a send says so. */
	if (revents & (POLLOUT | POLLERR | POLLHUP))
		s->side[SMTP_CLIENT].is_blocked = 0;
	if (s->phase == SESSION_LINGERING)
		io_drop(s);
	else if (s->side[SMTP_CLIENT].is_shaking)
		session_open_shake(s, SMTP_CLIENT, revents);
	else if ((revents & (POLLIN | POLLERR | POLLHUP)) ||
	    io_wants_room(&s->side[SMTP_CLIENT]))
		session_io_receive(s, SMTP_CLIENT);
}

/* How the connection came out; one that takes octets stands. */
static int
io_connect_error(const struct session *s, short revents)
{
	socklen_t	len = sizeof(int);
	int		error = 0;

	if ((revents & (POLLERR | POLLHUP)) == 0)
		return 0;
	if (getsockopt(s->side[SMTP_DEST].fd, SOL_SOCKET, SO_ERROR, &error,
	    &len) == -1)
		return errno;
	return error;
}

static void
session_on_dest(struct loop_fd *lf, short revents, void *arg)
{
	struct session	*s = arg;

	(void)lf;
	session_activate(s);
	if (s->is_connecting) {
		session_on_connect(s, io_connect_error(s, revents));
		return;
	}
	if (revents & (POLLOUT | POLLERR | POLLHUP))
		s->side[SMTP_DEST].is_blocked = 0;
	if (s->side[SMTP_DEST].is_shaking)
		session_open_shake(s, SMTP_DEST, revents);
	else if ((revents & (POLLIN | POLLERR | POLLHUP)) ||
	    io_wants_room(&s->side[SMTP_DEST]))
		session_io_receive(s, SMTP_DEST);
}

static void
io_took(struct session *s, struct session_side *x, size_t n)
{
	if (s->has_secret)
		explicit_bzero(x->in.data + x->in.start, n);
	buf_drop(&x->in, n);
}

/* Its end, behind all that came before. */
static void
io_tell_end(struct session *s, enum smtp_side side)
{
	struct session_side	*x = &s->side[side];

	x->is_eof_told = 1;
	/* Where the directions end separately, this one is not half of it. */
	if (x->cant_send && s->engine.state == SMTP_OPAQUE)
		smtp_engine_lost(&s->engine, side, "connection lost",
		    s->set->loop->now_ms);
	else
		(void)smtp_engine_feed(&s->engine, side, NULL, 0,
		    s->set->loop->now_ms);
}

int
session_io_feed(struct session *s, enum smtp_side side)
{
	struct session_side	*x = &s->side[side];
	struct smtp_engine	*e = &s->engine;
	size_t			 n;

	if (x->taken > 0 && e->passlen[1 - side] == 0) {
		/* The engine took back what was to be sent in place. */
		io_took(s, x, x->taken);
		x->taken = 0;
	}
	if (x->fd == -1 || x->taken > 0)
		return 0;
	/* What the library has read already poll(2) does not show. */
	if (x->in.used == 0 && x->tls != NULL && !x->is_shaking &&
	    session_tls_has_input(x->tls))
		session_io_receive(s, side);
	if (x->in.used == 0 && x->cant_send && !x->has_eof) {
		/* All that it said was heard; nobody waits for more. */
		session_io_receive(s, side);
		if (x->in.used == 0 && !x->has_eof)
			io_broken(s, side, EPIPE);
	}
	if (x->in.used == 0) {
		if (!x->has_eof || x->is_eof_told)
			return 0;
		io_tell_end(s, side);
		return 1;
	}
	n = smtp_engine_feed(e, side, buf_head(&x->in), x->in.used,
	    s->set->loop->now_ms);
	/* What was taken goes below: what may be a credential is wiped. */
	if ((e->events & EVENT_WIPE) != 0 ||
	    smtp_line_is_partial(&e->line[SMTP_CLIENT]))
		s->has_secret = 1;
	if (n == 0)
		return 0;
	if (e->passlen[1 - side] > 0)
		x->taken = n;	/* stays in place until it is sent */
	else
		io_took(s, x, n);
	return 1;
}

/*
 * Nagle's algorithm off where a second piece goes out before an answer came:
 * it would wait for the peer's delayed acknowledgement.  The client's socket
 * has that from its listener.
 */
static void
io_set_nodelay(struct session_side *x, enum smtp_side side)
{
	int	one = 1;

	if (side == SMTP_CLIENT || x->has_nodelay)
		return;
	if (x->nsent == 0) {
		x->nsent = 1;
		return;
	}
	x->has_nodelay = 1;
	/* Without it the session is slower, no worse. */
	(void)setsockopt(x->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
}

static int
io_fill(struct smtp_engine *e, enum smtp_side side, struct iovec *iov)
{
	int	n = 0;

	if (e->out[side].used > 0) {
		iov[n].iov_base = e->out[side].data + e->out[side].start;
		iov[n++].iov_len = e->out[side].used;
	}
	if (e->passlen[side] > 0) {
		/* writev(2) only reads it; iovec has no const. */
		memcpy(&iov[n].iov_base, &e->pass[side], sizeof(void *));
		iov[n++].iov_len = e->passlen[side];
	}
	return n;
}

/* Account for n octets that left; what was read for them may go. */
static void
io_sent(struct session *s, enum smtp_side side, size_t n)
{
	struct smtp_engine	*e = &s->engine;
	struct session_side	*from = &s->side[1 - side];
	size_t			 copied = e->out[side].used;

	if (copied > n)
		copied = n;
	if (s->has_secret && copied > 0)
		explicit_bzero(e->out[side].data + e->out[side].start,
		    copied);
	buf_drop(&e->out[side], copied);
	if (n > copied) {		/* else pass may be NULL */
		e->pass[side] += n - copied;
		e->passlen[side] -= n - copied;
	}
	if (e->passlen[side] == 0 && from->taken > 0) {
		e->pass[side] = NULL;
		io_took(s, from, from->taken);
		from->taken = 0;
	}
}

/*
 * A send failed.  A destination that refused a message half-way and closed has
 * said why: what it said comes first.
 */
static void
io_send_failed(struct session *s, enum smtp_side side, int error)
{
	struct session_side	*x = &s->side[side];

	if (side == SMTP_DEST && s->phase == SESSION_RUNNING &&
	    !x->is_eof_told) {
		x->cant_send = 1;
		if (x->in.used == 0)
			session_io_receive(s, side);
		if (x->in.used > 0 || x->has_eof)
			return;
	}
	io_broken(s, side, error);
}

/* As writev(2), part by part. */
static ssize_t
io_send_tls(struct session_tls *tls, const struct iovec *iov, int n)
{
	ssize_t	sent, all = 0;
	int	i;

	for (i = 0; i < n; i++) {
		sent = session_tls_write(tls, iov[i].iov_base, iov[i].iov_len);
		if (sent == -1)
			return all > 0 ? all : -1;
		all += sent;
		if ((size_t)sent < iov[i].iov_len)
			break;
	}
	return all;
}

/*
 * A plain write(2), for no filter looks at its arguments and it copies no
 * header; SIGPIPE is ignored in every process.  Last words wait for the FIN
 * that follows them, and go out in one segment with it.
 */
static ssize_t
io_send_clear(int fd, const struct iovec *iov, int niov, int is_last)
{
	ssize_t	n;

	do {
		if (niov > 1)
			n = writev(fd, iov, niov);
		else if (is_last)
			n = send(fd, iov[0].iov_base, iov[0].iov_len,
			    MSG_NOSIGNAL | PORT_MSG_MORE);
		else
			n = write(fd, iov[0].iov_base, iov[0].iov_len);
	} while (n == -1 && errno == EINTR);
	return n;
}

static int
io_send(struct session *s, enum smtp_side side)
{
	struct session_side	*x = &s->side[side];
	struct smtp_engine	*e = &s->engine;
	struct iovec		 iov[2];
	int			 niov, is_last;
	size_t			 len = e->out[side].used + e->passlen[side];
	ssize_t			 n;

	if (x->fd == -1 || x->is_blocked || x->cant_send || len == 0 ||
	    x->is_shaking || (side == SMTP_CLIENT && s->opening) ||
	    (side == SMTP_DEST && s->is_connecting))
		return 0;
	io_set_nodelay(x, side);
	niov = io_fill(e, side, iov);
	is_last = side == SMTP_CLIENT && session_ends_at_once(s);
	if (x->tls != NULL && is_last)
		session_tls_set_last(x->tls);
	n = x->tls != NULL ? io_send_tls(x->tls, iov, niov) :
	    io_send_clear(x->fd, iov, niov, is_last);
	if (n == -1 && errno != EAGAIN && errno != ENOBUFS) {
		io_send_failed(s, side, errno);
		return 1;
	}
	if (n > 0)
		io_sent(s, side, (size_t)n);
	x->is_blocked = n < (ssize_t)len;
	if (x->is_blocked)
		s->side[1 - side].wants_large = 0;
	smtp_engine_sent(e, side, n > 0 ? (size_t)n : 0, x->is_blocked,
	    s->set->loop->now_ms);
	return n > 0;
}

/* All is sent: pass the other side's end on. */
static void
io_shut(struct session *s, enum smtp_side side)
{
	struct session_side	*x = &s->side[side];
	struct smtp_engine	*e = &s->engine;

	if (!x->wants_shut || x->is_shut || x->fd == -1 ||
	    e->out[side].used > 0 || e->passlen[side] > 0)
		return;
	x->is_shut = 1;
	/* If it fails the connection is broken: the next recv(2) tells. */
	(void)shutdown(x->fd, SHUT_WR);
}

int
session_io_send(struct session *s)
{
	int	moved;

	moved = io_send(s, SMTP_CLIENT);
	if (s->phase == SESSION_RUNNING)
		moved |= io_send(s, SMTP_DEST);
	io_shut(s, SMTP_CLIENT);
	io_shut(s, SMTP_DEST);
	if (s->has_secret && !s->engine.is_secret &&
	    s->engine.out[SMTP_DEST].used == 0)
		s->has_secret = 0;
	return moved;
}

int
session_io_is_flushed(const struct session *s)
{
	return s->side[SMTP_CLIENT].fd == -1 || s->engine.is_client_lost ||
	    s->opening || s->side[SMTP_CLIENT].is_shaking ||
	    s->engine.out[SMTP_CLIENT].used == 0;
}

void
session_io_linger(struct session *s)
{
	struct session_side	*x = &s->side[SMTP_CLIENT];

	buf_clear(&x->in);
	if (x->tls != NULL && !x->is_shaking)
		session_tls_shut(x->tls);
	if (shutdown(x->fd, SHUT_WR) == -1)
		x->has_eof = 1;		/* it is gone already */
}

void
session_io_watch(struct session *s)
{
	struct session_side	*x;
	short			 events;
	int			 i;

	for (i = 0; i < SMTP_SIDES; i++) {
		x = &s->side[i];
		if (x->fd == -1)
			continue;
		events = 0;
		if (x->is_shaking && s->phase == SESSION_RUNNING) {
			loop_set(s->set->loop, &x->lfd, x->shake_events);
			continue;
		}
		if (x->wants_tls)
			events = 0;
		else if (!x->has_eof && x->taken == 0 &&
		    (s->phase == SESSION_LINGERING || io_room(x) > 0))
			events |= s->phase == SESSION_RUNNING &&
			    io_wants_room(x) ? POLLOUT : POLLIN;
		if (x->is_blocked || (i == SMTP_DEST && s->is_connecting))
			events |= POLLOUT;
		if (i == SMTP_DEST && s->is_connecting)
			events = POLLOUT;
		loop_set(s->set->loop, &x->lfd, events);
	}
}
