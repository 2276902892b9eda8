/*
 * What goes through TLS on one side of a session, and its end.  In the worker.
 * As with a socket nothing blocks and nothing is kept: what the library does
 * not take stays the caller's.  On a connection that is broken no call is made
 * any more.
 */
#include "session_tls_int.h"

#include <errno.h>
#include <limits.h>

#include <openssl/err.h>

/* -1 with errno, of a connection that is broken. */
static ssize_t
tls_broken(const struct session_tls *t)
{
	errno = t->io_errno != 0 ? t->io_errno : EPROTO;
	return -1;
}

/* A read gave nothing (more): what is it that is missing? */
static void
tls_read_failed(struct session_tls *t)
{
	switch (SSL_get_error(t->ssl, 0)) {
	case SSL_ERROR_WANT_READ:
		port_tls_idle(t->ssl);
		break;
	case SSL_ERROR_WANT_WRITE:	/* the answer to a key update */
		t->wants_room = 1;
		break;
	case SSL_ERROR_ZERO_RETURN:
		t->state = SESSION_TLS_ENDED;
		break;
	default:
		/*
		 * An end without close_notify is one all the same: where a
		 * message ends, SMTP itself says.
		 */
		if (t->has_eof)
			t->state = SESSION_TLS_ENDED;
		else
			session_tls_fail(t);
		break;
	}
}

static size_t
tls_read_all(struct session_tls *t, uint8_t *to, size_t len)
{
	size_t	used = 0, n;

	session_tls_enter(t);
	t->wants_room = 0;
	/* What it has left over goes first, the rest is for poll(2) to tell. */
	t->is_drained = t->is_full && SSL_has_pending(t->ssl);
	while (used < len) {
		if (SSL_read_ex(t->ssl, to + used, len - used, &n) != 1) {
			tls_read_failed(t);
			break;
		}
		used += n;
	}
	t->is_full = used == len;
	return used;
}

ssize_t
session_tls_read(struct session_tls *t, void *to, size_t len)
{
	size_t	used = 0;

	if (len > SSIZE_MAX)
		len = SSIZE_MAX;
	if (t->state == SESSION_TLS_OPEN)
		used = tls_read_all(t, to, len);
	if (used > 0)
		return (ssize_t)used;	/* the end, if it is, comes next */
	switch (t->state) {
	case SESSION_TLS_OPEN:
		errno = EAGAIN;
		return -1;
	case SESSION_TLS_ENDED:
		t->is_end_told = 1;
		return 0;
	case SESSION_TLS_SHAKING:
	case SESSION_TLS_BROKEN:
	default:
		t->is_end_told = 1;
		return tls_broken(t);
	}
}

static size_t
tls_write_all(struct session_tls *t, const uint8_t *from, size_t len)
{
	size_t	done = 0, n;
	int	error;

	session_tls_enter(t);
	while (done < len) {
		if (SSL_write_ex(t->ssl, from + done, len - done, &n) == 1) {
			done += n;
			continue;
		}
		error = SSL_get_error(t->ssl, 0);
		if (error == SSL_ERROR_SYSCALL && (t->io_errno == EPIPE ||
		    t->io_errno == ECONNRESET))
			/* It may have said why: that can be read still. */
			t->is_shut = 1;
		else if (error != SSL_ERROR_WANT_WRITE &&
		    error != SSL_ERROR_WANT_READ)
			session_tls_fail(t);
		break;
	}
	return done;
}

ssize_t
session_tls_write(struct session_tls *t, const void *from, size_t len)
{
	size_t	done;

	if (t->state == SESSION_TLS_SHAKING ||
	    t->state == SESSION_TLS_BROKEN)
		return tls_broken(t);
	if (t->is_shut) {
		errno = EPIPE;
		return -1;
	}
	if (len > SSIZE_MAX)
		len = SSIZE_MAX;
	done = tls_write_all(t, from, len);
	if (done > 0 || len == 0)
		return (ssize_t)done;
	if (t->state == SESSION_TLS_BROKEN)
		return tls_broken(t);
	errno = t->is_shut ? EPIPE : EAGAIN;
	return -1;
}

int
session_tls_has_input(const struct session_tls *t)
{
	switch (t->state) {
	case SESSION_TLS_OPEN:
		/* A record that is not complete is for poll(2) to tell. */
		return t->is_full && SSL_has_pending(t->ssl);
	case SESSION_TLS_ENDED:
	case SESSION_TLS_BROKEN:
		return !t->is_end_told;
	case SESSION_TLS_SHAKING:
	default:
		return 0;
	}
}

int
session_tls_wants_room(const struct session_tls *t)
{
	return t->state == SESSION_TLS_OPEN && t->wants_room;
}

void
session_tls_set_last(struct session_tls *t)
{
	t->is_last = 1;
}

void
session_tls_shut(struct session_tls *t)
{
	if (t->is_shut || t->state == SESSION_TLS_SHAKING ||
	    t->state == SESSION_TLS_BROKEN)
		return;
	session_tls_enter(t);
	(void)SSL_shutdown(t->ssl);	/* said, or not: it ends here */
	t->is_shut = 1;
	ERR_clear_error();
}
