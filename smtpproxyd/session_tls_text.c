/*
 * What became of TLS, in words for the log.  In the worker.  Of why it failed
 * a peer chooses the alert that it sends and nothing else: all texts are the
 * library's constants or ours.  The subject of a certificate is the peer's
 * (or an authority's), escaped by RFC 2253 and again where it is logged.
 */
#include "session_tls_int.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/x509.h>

#define RECORD_ALERT		0x15	/* RFC 8446 5.1 */
#define RECORD_HANDSHAKE	0x16

#define ERROR_MAX		128	/* with its NUL */
#define SUBJECT_MAX		256	/* likewise */

/* Reasons of the library that a reader of the log should not have to know. */
static const struct reason {
	int		 reason;
	const char	*text;
} reasons[] = {
	{ SSL_R_UNSUPPORTED_PROTOCOL,	"protocol version" },
	{ SSL_R_UNKNOWN_PROTOCOL,	"protocol version" },
	{ SSL_R_WRONG_SSL_VERSION,	"protocol version" },
	{ SSL_R_WRONG_VERSION_NUMBER,	"protocol version" },
	{ SSL_R_NO_SHARED_CIPHER,	"no shared cipher" },
	{ SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE, "verify: no certificate" },
};

const char *
session_tls_verify_text(long result)
{
	switch (result) {
	case X509_V_OK:
		return "ok";
	case X509_V_ERR_HOSTNAME_MISMATCH:
		return "host name does not match";
	case X509_V_ERR_IP_ADDRESS_MISMATCH:
		return "address does not match";
	default:
		return X509_verify_cert_error_string(result);
	}
}

/* An error of the library, in the words that it has for it. */
static const char *
error_of_reason(unsigned long e)
{
	const char	*text;
	size_t		 i;

	for (i = 0; ERR_GET_LIB(e) == ERR_LIB_SSL &&
	    i < sizeof(reasons) / sizeof(reasons[0]); i++)
		if (ERR_GET_REASON(e) == reasons[i].reason)
			return reasons[i].text;
	text = ERR_reason_error_string(e);
	return text == NULL ? "handshake failed" : text;
}

/* What the socket had to say about it; NULL: nothing. */
static const char *
error_of_socket(const struct session_tls *t)
{
	if (t->io_errno == ECONNRESET || t->io_errno == EPIPE)
		return "connection reset";
	if (t->io_errno != 0)
		return strerror(t->io_errno);
	if (t->has_eof)
		return t->state == SESSION_TLS_SHAKING ?
		    "closed during the handshake" : "connection closed";
	return NULL;
}

/*
 * The text for the error e, the first in the library's queue: two parts, of
 * which the one in front may be "".
 */
static const char *
error_text(const struct session_tls *t, unsigned long e, const char **front)
{
	const char	*text;
	int		 reason = ERR_GET_REASON(e);
	int		 is_ssl = ERR_GET_LIB(e) == ERR_LIB_SSL;

	*front = "";
	if (t->is_unsigned)
		return "keyholder: no signature";
	if (t->has_begun && t->first != RECORD_HANDSHAKE &&
	    t->first != RECORD_ALERT)
		return "not TLS";
	if (is_ssl && reason > SSL_AD_REASON_OFFSET &&
	    reason <= SSL_AD_REASON_OFFSET + UINT8_MAX) {
		*front = "alert received: ";
		return SSL_alert_desc_string_long(reason -
		    SSL_AD_REASON_OFFSET);
	}
	if (is_ssl && reason == SSL_R_CERTIFICATE_VERIFY_FAILED) {
		*front = "verify: ";
		return session_tls_verify_text(SSL_get_verify_result(t->ssl));
	}
	if ((text = error_of_socket(t)) != NULL)
		return text;
	return error_of_reason(e);
}

void
session_tls_fail(struct session_tls *t)
{
	const char	*front, *text;
	char		 line[ERROR_MAX];

	text = error_text(t, ERR_peek_error(), &front);
	(void)snprintf(line, sizeof(line), "%s%s", front, text);
	free(t->error);
	t->error = strdup(line);	/* without memory: no words */
	t->state = SESSION_TLS_BROKEN;
	ERR_clear_error();
}

/* Printed octets to a string of SUBJECT_MAX, "..." where it was cut. */
static char *
subject_copy(const char *text, long len)
{
	char	line[SUBJECT_MAX];
	int	keep;

	keep = len < SUBJECT_MAX ? (int)len : SUBJECT_MAX - 4;
	(void)snprintf(line, sizeof(line), "%.*s%s", keep, text,
	    keep < len ? "..." : "");
	return strdup(line);
}

char *
session_tls_subject(const X509 *x)
{
	BIO	*out;
	char	*text, *copy = NULL;
	long	 len;

	if ((out = BIO_new(BIO_s_mem())) == NULL)
		return NULL;
	if (X509_NAME_print_ex(out, X509_get_subject_name(x), 0,
	    XN_FLAG_RFC2253) >= 0) {
		len = BIO_get_mem_data(out, &text);
		copy = subject_copy(len > 0 ? text : "", len > 0 ? len : 0);
	}
	BIO_free(out);
	return copy;
}
