/*
 * Connections of test programs, in clear or in TLS.
 */
#include "tool_stream.h"

#include <sys/socket.h>

#include <err.h>
#include <errno.h>
#include <poll.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/ssl.h>

/* 0: the call is to be made again, else -1: it is over. */
static ssize_t
stream_again(struct tool_stream *s, int rc)
{
	switch (SSL_get_error(s->ssl, rc)) {
	case SSL_ERROR_WANT_READ:
		s->want = POLLIN;
		return 0;
	case SSL_ERROR_WANT_WRITE:
		s->want = POLLOUT;
		return 0;
	default:
		return -1;
	}
}

ssize_t
tool_stream_read(struct tool_stream *s, char *place, size_t size)
{
	ssize_t	n;

	if (s->ssl != NULL) {
		ERR_clear_error();
		n = SSL_read(s->ssl, place, (int)size);
		return n > 0 ? n : stream_again(s, (int)n);
	}
	n = read(s->fd, place, size);
	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return 0;
	return n > 0 ? n : -1;
}

ssize_t
tool_stream_write(struct tool_stream *s, const char *octets, size_t len)
{
	ssize_t	n;

	if (s->ssl != NULL) {
		ERR_clear_error();
		n = SSL_write(s->ssl, octets, (int)len);
		return n > 0 ? n : stream_again(s, (int)n);
	}
	n = send(s->fd, octets, len, MSG_NOSIGNAL);
	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return 0;
	return n > 0 ? n : -1;
}

int
tool_stream_handshake(struct tool_stream *s)
{
	int	rc;

	ERR_clear_error();
	if ((rc = SSL_do_handshake(s->ssl)) == 1)
		return 1;
	return (int)stream_again(s, rc);
}

void
tool_stream_tls(struct tool_stream *s, SSL_CTX *ctx, int is_server)
{
	if ((s->ssl = SSL_new(ctx)) == NULL || SSL_set_fd(s->ssl, s->fd) != 1)
		errx(1, "no memory for TLS");
	if (is_server)
		SSL_set_accept_state(s->ssl);
	else
		SSL_set_connect_state(s->ssl);
}

SSL_CTX *
tool_stream_context(const SSL_METHOD *method)
{
	SSL_CTX	*ctx;

	if ((ctx = SSL_CTX_new(method)) == NULL ||
	    SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) != 1)
		errx(1, "%s", ERR_error_string(ERR_get_error(), NULL));
	(void)SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS |
	    SSL_MODE_ENABLE_PARTIAL_WRITE |
	    SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	return ctx;
}

void
tool_stream_close(struct tool_stream *s, int is_reset)
{
	struct linger	now = { 1, 0 };

	if (s->fd == -1)
		return;
	if (is_reset)
		(void)setsockopt(s->fd, SOL_SOCKET, SO_LINGER, &now,
		    sizeof(now));
	/* Its session shall stay one that can be resumed. */
	if (s->ssl != NULL)
		SSL_set_shutdown(s->ssl,
		    SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
	SSL_free(s->ssl);
	s->ssl = NULL;
	(void)close(s->fd);
	s->fd = -1;
}
