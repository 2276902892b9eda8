/*
 * Contexts, as all of ours are; the same for both libraries.  Runs in the
 * workers and in the check of the configuration.
 */
#include "tls.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "tls_private.h"

/* Mozilla's intermediate, without DHE: the order is the client's. */
#define CIPHERS								\
	"ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"	\
	"ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"	\
	"ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305"
#define GROUPS	"X25519:P-256:P-384"	/* what tls_request.c knows */

/* A ticket of one worker is good with another. */
static const unsigned char	session_context[] = "smtpproxyd";

/* SMTP says when it ends (QUIT): an end without close_notify cuts nothing. */
#ifdef SSL_OP_IGNORE_UNEXPECTED_EOF
#define EOF_IS_END	SSL_OP_IGNORE_UNEXPECTED_EOF
#else
#define EOF_IS_END	0		/* LibreSSL takes it so anyway */
#endif

static int
set_common(SSL_CTX *ctx)
{
	(void)SSL_CTX_set_options(ctx, SSL_OP_NO_COMPRESSION |
	    SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_TICKET | EOF_IS_END);
	(void)SSL_CTX_clear_options(ctx, SSL_OP_CIPHER_SERVER_PREFERENCE);
	(void)SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS |
	    SSL_MODE_ENABLE_PARTIAL_WRITE |
	    SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	(void)SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	if (SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) != 1 ||
	    SSL_CTX_set_max_proto_version(ctx, TLS1_3_VERSION) != 1 ||
	    SSL_CTX_set_cipher_list(ctx, CIPHERS) != 1 ||
	    SSL_CTX_set1_groups_list(ctx, GROUPS) != 1)
		return -1;
	return 0;
}

/* Without a cache, tickets that are not self-contained are no use either. */
static int
set_server(SSL_CTX *ctx)
{
	if (SSL_CTX_set_max_early_data(ctx, 0) != 1 ||
	    SSL_CTX_set_num_tickets(ctx, 0) != 1 ||
	    SSL_CTX_set_session_id_context(ctx, session_context,
	    sizeof(session_context) - 1) != 1)
		return -1;
	return 0;
}

SSL_CTX *
port_tls_ctx_new(int is_server)
{
	SSL_CTX	*ctx;

	ctx = tls_backend_ctx(is_server ? TLS_server_method() :
	    TLS_client_method());
	if (ctx == NULL)
		return NULL;
	if (set_common(ctx) == -1 || (is_server && set_server(ctx) == -1)) {
		SSL_CTX_free(ctx);
		return NULL;
	}
	return ctx;
}

int
port_tls_use_key(SSL_CTX *ctx, X509 *cert, uint32_t number,
    port_tls_sign_fn *sign, const char **what)
{
	EVP_PKEY	*public, *pkey;
	enum tls_kind	 kind;

	if ((public = X509_get0_pubkey(cert)) == NULL) {
		*what = "a certificate without a key that is known";
		return -1;
	}
	if ((kind = tls_pem_kind(public, what)) == TLS_KIND_NONE)
		return -1;
	pkey = tls_backend_held_key(public, kind, number, sign);
	if (pkey == NULL) {
		*what = "out of memory";
		return -1;
	}
	/* In the other order a mismatch is silent. */
	if (SSL_CTX_use_certificate(ctx, cert) != 1)
		*what = "a certificate that the TLS library refuses";
	else if (SSL_CTX_use_PrivateKey(ctx, pkey) != 1 ||
	    SSL_CTX_check_private_key(ctx) != 1)
		*what = "key and certificate don't belong together";
	else
		*what = NULL;
	EVP_PKEY_free(pkey);
	ERR_clear_error();
	return *what == NULL ? 0 : -1;
}
