/*
 * The library's way to a session's socket, in the worker.  Not the library's
 * own socket BIO, for three reasons: no SIGPIPE, what the socket said stays
 * known for the log, and the last call on a handshake that is given up must
 * write nothing.
 */
#include "session_tls_int.h"

#include <sys/socket.h>

#include <errno.h>
#include <unistd.h>

#include <openssl/bio.h>

#include "../common/port/port.h"

#define BIO_READS_MAX	64		/* recv(2) in one call of the library */

static BIO_METHOD	*bio_method;

static int
bio_read(BIO *b, char *to, int len)
{
	struct session_tls	*t = BIO_get_data(b);
	ssize_t			 n;

	BIO_clear_retry_flags(b);
	if (len <= 0)
		return 0;
	/*
	 * The last one took all that was there: the next would say EAGAIN, and
	 * if there is more by now, poll(2) says so.
	 */
	if (t->is_drained) {
		BIO_set_retry_read(b);
		return -1;
	}
	do
		n = recv(t->fd, to, (size_t)len, 0);
	while (n == -1 && errno == EINTR);
	if (n == -1 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
		BIO_set_retry_read(b);
		return -1;
	}
	if (n == -1)
		t->io_errno = errno;
	t->has_eof = n == 0;
	if (n <= 0)
		return (int)n;
	/* Nor does one peer keep us from the others (key updates). */
	t->is_drained = n < len || ++t->nrecv >= BIO_READS_MAX;
	if (!t->has_begun) {
		t->has_begun = 1;
		t->first = (uint8_t)to[0];
	}
	return (int)n;			/* not above len */
}

static int
bio_write(BIO *b, const char *from, int len)
{
	struct session_tls	*t = BIO_get_data(b);
	ssize_t			 n;
	int			 can_wait;

	BIO_clear_retry_flags(b);
	if (len <= 0 || t->is_mute)
		return len;
	/*
	 * A ticket has time until the next octets; last words go with the FIN.
	 * SIGPIPE is ignored in every process, write(2) is the cheaper call.
	 */
	can_wait = t->is_last || port_tls_is_ticket(t->ssl);
	do
		n = can_wait ? send(t->fd, from, (size_t)len, MSG_NOSIGNAL |
		    PORT_MSG_MORE) : write(t->fd, from, (size_t)len);
	while (n == -1 && errno == EINTR);
	if (n == -1 && (errno == EAGAIN || errno == EWOULDBLOCK))
		BIO_set_retry_write(b);
	else if (n == -1)
		t->io_errno = errno;
	return (int)n;			/* not above len */
}

static long
bio_ctrl(BIO *b, int command, long number, void *arg)
{
	struct session_tls	*t = BIO_get_data(b);

	(void)number;
	(void)arg;
	switch (command) {
	case BIO_CTRL_FLUSH:
		return 1;		/* nothing is kept back */
	case BIO_CTRL_EOF:
		return t->has_eof;
	default:
		return 0;
	}
}

/* Of the process's life. */
static BIO_METHOD *
bio_method_new(void)
{
	BIO_METHOD	*m;

	m = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK,
	    "session");
	if (m == NULL)
		return NULL;
	if (BIO_meth_set_read(m, bio_read) == 1 &&
	    BIO_meth_set_write(m, bio_write) == 1 &&
	    BIO_meth_set_ctrl(m, bio_ctrl) == 1)
		return m;
	BIO_meth_free(m);
	return NULL;
}

BIO *
session_tls_bio_new(struct session_tls *t)
{
	BIO	*b;

	if (bio_method == NULL && (bio_method = bio_method_new()) == NULL)
		return NULL;
	if ((b = BIO_new(bio_method)) == NULL)
		return NULL;
	BIO_set_data(b, t);
	BIO_set_init(b, 1);
	return b;
}
