/*
 * The connections of soakload: in clear and in TLS, quick and slow, and how
 * they are left.
 */
#include "soakload.h"

#include <sys/socket.h>

#include <netinet/in.h>
#include <netinet/tcp.h>

#include <err.h>
#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/ssl.h>

#include "tool_util.h"

#define PROGRESS_MS	60000
#define SLOW_READ	1024
#define SLOW_RCVBUF	4096

static int
on_ticket(SSL *ssl, SSL_SESSION *new)
{
	struct soakload_target	 *t = SSL_get_app_data(ssl);
	SSL_SESSION		**place;

	place = &t->resume[SSL_version(ssl) == TLS1_2_VERSION];
	SSL_SESSION_free(*place);
	*place = new;
	return 1;
}

void
soakload_session_prepare(void)
{
	soakload.ctx = tool_stream_context(TLS_client_method());
	(void)SSL_CTX_set_session_cache_mode(soakload.ctx,
	    SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(soakload.ctx, on_ticket);
}

static struct soakload_target *
session_target(const struct soakload_session *s)
{
	int	is_implicit = s->plan.tls == SOAK_IMPLICIT;

	return &soakload.targets[is_implicit][s->plan.target %
	    soakload.ntargets[is_implicit]];
}

void
soakload_session_tls(struct soakload_session *s)
{
	struct soakload_target	*t = session_target(s);
	SSL_SESSION		*old = t->resume[s->plan.is_tls12], *copy;

	tool_stream_tls(&s->stream, soakload.ctx, 0);
	SSL_set_app_data(s->stream.ssl, t);
	if (s->plan.is_tls12)
		(void)SSL_set_max_proto_version(s->stream.ssl,
		    TLS1_2_VERSION);
	/* Of its own accord the library uses a ticket but once. */
	if (s->plan.is_resumed && old != NULL) {
		if ((copy = SSL_SESSION_dup(old)) == NULL ||
		    SSL_set_session(s->stream.ssl, copy) != 1)
			errx(1, "the ticket can't be used");
		SSL_SESSION_free(copy);
	}
	s->is_shaking = 1;
}

static void
session_shake(struct soakload_session *s)
{
	int	rc;

	rc = tool_stream_handshake(&s->stream);
	if (rc == -1) {
		soakload_complain(s, "handshake failed: %s",
		    ERR_reason_error_string(ERR_peek_last_error()));
		return;
	}
	if (s->plan.kind == SOAK_ABORT && s->plan.point == POINT_HELLO) {
		s->is_over = 1;
		soakload.naborted++;
		return;
	}
	if (rc == 1) {
		s->is_shaking = 0;
		soakload.nhandshakes++;
		soakload.nresumed += SSL_session_reused(s->stream.ssl) != 0;
	}
}

static void
session_leave(struct soakload_session *s)
{
	soakload.naborted++;
	s->is_armed = 0;
	if (s->plan.way != WAY_HALF) {
		tool_stream_close(&s->stream, s->plan.way == WAY_RESET);
		s->is_over = 1;
		return;
	}
	(void)shutdown(s->stream.fd, SHUT_WR);
	soakload_drain(s);
	s->is_mute = 1;
}

/* Returns 1 if something moved. */
static int
session_write(struct soakload_session *s)
{
	size_t	len = s->out_used - s->out_at, piece;
	ssize_t	n;

	if (s->write_ms > soakload.now_ms)
		return 0;
	if (s->plan.kind == SOAK_SLOW_WRITE && s->step >= STEP_CONTENT) {
		piece = s->content.size / 60 + 1;
		len = len < piece ? len : piece;
	}
	n = tool_stream_write(&s->stream, s->out + s->out_at, len);
	if (n == 0)
		return 0;
	if (n == -1) {
		/* There may be a word about it. */
		s->is_mute = 1;
		s->out_at = s->out_used = 0;
		return 1;
	}
	soakload.noctets += (uint64_t)n;
	s->out_at += (size_t)n;
	s->progress_ms = soakload.now_ms;
	if (s->plan.kind == SOAK_SLOW_WRITE && s->step >= STEP_CONTENT)
		s->write_ms = soakload.now_ms + s->plan.noise / 8;
	if (s->out_at == s->out_used) {
		s->out_at = s->out_used = 0;
		s->is_sent |= s->step == STEP_FINAL;
	}
	return 1;
}

static int
session_read(struct soakload_session *s)
{
	size_t	room = IN_SIZE - s->in_used;
	ssize_t	n;

	if (!s->can_read || s->read_ms > soakload.now_ms)
		return 0;
	if (s->plan.kind == SOAK_SLOW_READ && room > SLOW_READ)
		room = SLOW_READ;
	n = tool_stream_read(&s->stream, s->in + s->in_used, room);
	if (n <= 0) {
		s->can_read = 0;
		if (n == -1)
			soakload_hear_end(s);
		return 0;
	}
	s->in_used += (size_t)n;
	s->progress_ms = soakload.now_ms;
	if (s->plan.kind == SOAK_SLOW_READ)
		s->read_ms = soakload.now_ms + s->plan.noise % 10 + 1;
	soakload_hear(s);
	return 1;
}

static int
session_talk(struct soakload_session *s)
{
	if (s->is_mute)
		return 0;
	if (s->out_used > 0)
		return session_write(s);
	if (s->write_ms > soakload.now_ms)
		return 0;
	if (s->is_armed) {
		session_leave(s);
		return 1;
	}
	return soakload_next(s);
}

/* Go on until it has to wait. */
static void
session_run(struct soakload_session *s)
{
	int	moved;

	do {
		moved = 0;
		if (s->is_shaking) {
			session_shake(s);
			if (s->is_shaking)
				return;
			moved = 1;
			s->can_read = 1;
		}
		/* What lies in the library poll(2) does not show. */
		if (s->stream.ssl != NULL && !s->is_over &&
		    SSL_pending(s->stream.ssl) > 0)
			s->can_read = 1;
		if (!s->is_over)
			moved |= session_talk(s);
		if (!s->is_over && !s->is_shaking)
			moved |= session_read(s);
	} while (moved && !s->is_over);
}

static void
session_set_options(const struct soakload_session *s)
{
	int	on = 1, size = SLOW_RCVBUF;

	(void)setsockopt(s->stream.fd, IPPROTO_TCP, TCP_NODELAY, &on,
	    sizeof(on));
	if (s->plan.kind == SOAK_SLOW_READ)
		(void)setsockopt(s->stream.fd, SOL_SOCKET, SO_RCVBUF, &size,
		    sizeof(size));
}

struct soakload_session *
soakload_session_new(uint32_t id)
{
	struct soakload_session	*s;
	struct sockaddr_in	 sin;

	if ((s = malloc(sizeof(*s))) == NULL)
		err(1, NULL);
	memset(s, 0, offsetof(struct soakload_session, in));
	s->id = id;
	s->began_ms = s->progress_ms = soakload.now_ms;
	soakload_plan_session(&s->plan, soakload.seed, s->id);
	if (s->plan.tls == SOAK_IMPLICIT && soakload.ntargets[1] == 0)
		s->plan.tls = SOAK_CLEAR;
	if ((s->stream.fd = socket(AF_INET, SOCK_STREAM, 0)) == -1)
		err(1, "socket");
	tool_set_nonblocking(s->stream.fd);
	session_set_options(s);
	memset(&sin, 0, sizeof(sin));
	sin.sin_family = AF_INET;
	sin.sin_addr = soakload.address;
	sin.sin_port = htons(session_target(s)->port);
	if (connect(s->stream.fd, (struct sockaddr *)&sin, sizeof(sin)) == -1
	    && errno != EINPROGRESS)
		soakload_complain(s, "connect: %s", strerror(errno));
	return s;
}

void
soakload_session_free(struct soakload_session *s)
{
	soakload_record(s, s->is_sent ? 'u' : 'x');
	tool_stream_close(&s->stream, 0);
	free(s);
	soakload.nended++;
}

static void
session_connected(struct soakload_session *s)
{
	socklen_t	len = sizeof(int);
	int		error = 0;

	if (getsockopt(s->stream.fd, SOL_SOCKET, SO_ERROR, &error, &len) == -1)
		error = errno;
	if (error != 0) {
		soakload_complain(s, "connect: %s", strerror(error));
		return;
	}
	s->is_connected = 1;
	if (s->plan.tls == SOAK_IMPLICIT)
		soakload_session_tls(s);
}

/* The time at which it goes on by itself. */
static int64_t
session_wake(const struct soakload_session *s)
{
	int64_t	wake = s->progress_ms + PROGRESS_MS;

	if (s->write_ms > soakload.now_ms && s->write_ms < wake)
		wake = s->write_ms;
	if (s->read_ms > soakload.now_ms && s->read_ms < wake)
		wake = s->read_ms;
	if (s->limit_ms != 0 && s->limit_ms < wake)
		wake = s->limit_ms;
	return wake;
}

static void
session_timeout(struct soakload_session *s)
{
	if (soakload.is_stopping && s->step == STEP_IDLE)
		s->write_ms = 0;
	if (s->limit_ms != 0 && s->limit_ms <= soakload.now_ms)
		s->is_over = 1;
	else if (s->progress_ms + PROGRESS_MS <= soakload.now_ms)
		soakload_complain(s, "no progress");
}

short
soakload_session_events(const struct soakload_session *s)
{
	short	events = 0;

	if (!s->is_connected)
		return POLLOUT;
	if (s->is_shaking)
		return s->stream.want;
	if (s->read_ms <= soakload.now_ms)
		events |= POLLIN;
	if (s->out_used > 0 && s->write_ms <= soakload.now_ms)
		events |= POLLOUT;
	return events;
}

void
soakload_session_serve(struct soakload_session *s, short revents)
{
	if (revents == 0 && s->wake_ms > soakload.now_ms &&
	    !soakload.is_stopping)
		return;
	if (revents & (POLLIN | POLLERR | POLLHUP))
		s->can_read = 1;
	if (!s->is_connected && revents != 0)
		session_connected(s);
	session_timeout(s);
	if (s->is_connected && !s->is_over)
		session_run(s);
	if (!s->is_over)
		s->wake_ms = session_wake(s);
}
