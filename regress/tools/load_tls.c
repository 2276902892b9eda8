/*
 * load: TLS of a session, as a client that takes every certificate.
 *
 * X25519 and one cipher of each version are offered (and P-256, for its
 * certificates), so that every server does the same work.
 */
#include "load.h"

#include <err.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/ssl.h>

#include "tool_util.h"

static SSL_CTX		*ctx;
static SSL_SESSION	*ticket;	/* what is resumed */

int
load_tls_has_ticket(void)
{
	return ticket != NULL;
}

/* The ticket of a TLS 1.3 server comes behind the handshake. */
static int
on_new_session(SSL *ssl, SSL_SESSION *new)
{
	(void)ssl;
	if (!load_conf.resume || ticket != NULL)
		return 0;
	ticket = new;
	return 1;
}

void
load_tls_prepare(void)
{
	int	version = load_conf.tls12 ? TLS1_2_VERSION : TLS1_3_VERSION;

	if ((ctx = SSL_CTX_new(TLS_client_method())) == NULL ||
	    SSL_CTX_set_min_proto_version(ctx, version) != 1 ||
	    SSL_CTX_set_max_proto_version(ctx, version) != 1 ||
	    SSL_CTX_set_ciphersuites(ctx, "TLS_AES_128_GCM_SHA256") != 1 ||
	    SSL_CTX_set_cipher_list(ctx, "ECDHE-RSA-AES128-GCM-SHA256:"
	    "ECDHE-ECDSA-AES128-GCM-SHA256") != 1 ||
	    SSL_CTX_set1_groups_list(ctx, "X25519:P-256") != 1)
		errx(1, "%s", ERR_error_string(ERR_get_error(), NULL));
	(void)SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS |
	    SSL_MODE_ENABLE_PARTIAL_WRITE |
	    SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	(void)SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT |
	    SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(ctx, on_new_session);
}

/* Returns 0 if the call is to be made again, else -1. */
static int
tls_again(struct load_session *s, int rc)
{
	unsigned long	code;

	switch (SSL_get_error(s->ssl, rc)) {
	case SSL_ERROR_WANT_READ:
		s->want = POLLIN;
		return 0;
	case SSL_ERROR_WANT_WRITE:
		s->want = POLLOUT;
		return 0;
	case SSL_ERROR_ZERO_RETURN:
		load_complain(s, "TLS was closed", "");
		return -1;
	default:
		code = ERR_get_error();
		load_complain(s, "TLS", code == 0 ? "connection lost" :
		    ERR_reason_error_string(code));
		return -1;
	}
}

/* A copy: of its own accord the library uses a TLS 1.3 ticket but once. */
static void
session_resume(struct load_session *s)
{
	SSL_SESSION	*copy;

	if ((copy = SSL_SESSION_dup(ticket)) == NULL ||
	    SSL_set_session(s->ssl, copy) != 1)
		errx(1, "the ticket can't be used");
	SSL_SESSION_free(copy);
}

int
load_tls_begin(struct load_session *s)
{
	s->handshake_us = tool_now_us();
	if ((s->ssl = SSL_new(ctx)) == NULL ||
	    SSL_set_fd(s->ssl, s->fd) != 1)
		errx(1, "no memory for TLS");
	if (ticket != NULL)
		session_resume(s);
	SSL_set_connect_state(s->ssl);
	s->want = POLLOUT;
	return 0;
}

int
load_tls_handshake(struct load_session *s)
{
	int	rc;

	ERR_clear_error();
	if ((rc = SSL_do_handshake(s->ssl)) != 1)
		return tls_again(s, rc);
	tool_hist_add(&load_totals.handshake,
	    tool_now_us() - s->handshake_us);
	if (SSL_session_reused(s->ssl))
		load_totals.resumed++;
	return 1;
}

ssize_t
load_tls_read(struct load_session *s, void *to, size_t room)
{
	int	n;

	ERR_clear_error();
	if ((n = SSL_read(s->ssl, to, (int)room)) > 0)
		return n;
	return tls_again(s, n);
}

/*
 * One record.  What is queued in two places goes into one, as it would in one
 * segment without TLS: a retry makes up the same record again.
 */
ssize_t
load_tls_write(struct load_session *s)
{
	static char	 record[SSL3_RT_MAX_PLAIN_LENGTH];
	struct iovec	*iov = &s->iov[s->iov_at];
	const char	*from = iov->iov_base;
	size_t		 len = iov->iov_len, more;
	int		 n;

	if (len > sizeof(record))
		len = sizeof(record);
	if (s->iov_at + 1 < s->niov && len < sizeof(record)) {
		more = sizeof(record) - len;
		if (more > iov[1].iov_len)
			more = iov[1].iov_len;
		memcpy(record, iov->iov_base, len);
		memcpy(record + len, iov[1].iov_base, more);
		from = record;
		len += more;
	}
	ERR_clear_error();
	if ((n = SSL_write(s->ssl, from, (int)len)) > 0)
		return n;
	return tls_again(s, n);
}

/* No half goodbye: it would make the ticket one to be thrown away. */
void
load_tls_end(struct load_session *s)
{
	if (s->ssl != NULL)
		SSL_set_shutdown(s->ssl,
		    SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
	SSL_free(s->ssl);
	s->ssl = NULL;
}
