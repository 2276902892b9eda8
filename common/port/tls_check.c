/*
 * The check of certificates, keys and cipher lists before service starts; the
 * same for both libraries.  Runs in a process that lives for that alone, on
 * files of the admin.
 */
#include "tls.h"

#include <stdio.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/objects.h>
#include <openssl/ssl.h>

#include "tls_private.h"

/* What the library says last, for people. */
static const char *
library_reason(void)
{
	const char	*reason;

	reason = ERR_reason_error_string(ERR_peek_last_error());
	return reason != NULL ? reason : "the TLS library refuses it";
}

/* Does another certificate of the file belong to that key? */
static int
has_cert_of(const STACK_OF(X509) *certs, EVP_PKEY *pkey)
{
	int	i;

	for (i = 0; i < sk_X509_num(certs); i++)
		if (X509_check_private_key(sk_X509_value(certs, i), pkey) == 1)
			return 1;
	return 0;
}

/* A server's context takes it, with what the library's own level asks. */
static const char *
check_context(SSL_CTX *ctx, const STACK_OF(X509) *certs, EVP_PKEY *pkey,
    char *why)
{
	int	i;

	if (SSL_CTX_use_certificate(ctx, sk_X509_value(certs, 0)) != 1) {
		(void)snprintf(why, TLS_WHY_MAX, "certificate: %s",
		    library_reason());
		return why;
	}
	if (SSL_CTX_use_PrivateKey(ctx, pkey) != 1 ||
	    SSL_CTX_check_private_key(ctx) != 1) {
		(void)snprintf(why, TLS_WHY_MAX, "key: %s", library_reason());
		return why;
	}
	for (i = 1; i < sk_X509_num(certs); i++)
		if (SSL_CTX_add1_chain_cert(ctx, sk_X509_value(certs, i)) !=
		    1) {
			(void)snprintf(why, TLS_WHY_MAX, "certificate %d: %s",
			    i + 1, library_reason());
			return why;
		}
	return NULL;
}

static const char *
check_match(const STACK_OF(X509) *certs, EVP_PKEY *pkey, char *why)
{
	const char	*bad;
	SSL_CTX		*ctx;

	if (X509_check_private_key(sk_X509_value(certs, 0), pkey) != 1)
		return has_cert_of(certs, pkey) ?
		    "the server's own certificate must be the first" :
		    "key and certificate don't belong together";
	if ((ctx = port_tls_ctx_new(1)) == NULL)
		return "out of memory";
	ERR_clear_error();
	bad = check_context(ctx, certs, pkey, why);
	SSL_CTX_free(ctx);
	return bad;
}

const char *
port_tls_check_pair(const uint8_t *cert, size_t certlen, const uint8_t *key,
    size_t keylen, char *why)
{
	struct port_tls_key	*loaded;
	STACK_OF(X509)		*certs;
	const char		*bad;
	char			 text[TLS_WHY_MAX - sizeof("certificate: ")];

	if ((certs = tls_pem_certs(cert, certlen, why)) == NULL) {
		(void)strlcpy(text, why, sizeof(text));
		(void)snprintf(why, TLS_WHY_MAX, "certificate: %s", text);
		return why;
	}
	if ((loaded = port_tls_key_load(key, keylen, &bad)) == NULL) {
		(void)snprintf(why, TLS_WHY_MAX, "key: %s", bad);
		bad = why;
	} else
		bad = check_match(certs, loaded->pkey, why);
	port_tls_key_free(loaded);
	tls_pem_certs_free(certs);
	ERR_clear_error();
	return bad;
}

const char *
port_tls_check_ca(const uint8_t *pem, size_t len, char *why)
{
	STACK_OF(X509)	*certs;

	if ((certs = tls_pem_certs(pem, len, why)) == NULL)
		return why;
	tls_pem_certs_free(certs);
	return NULL;
}

/* ECDHE with a certificate, or TLS 1.3, where both are apart. */
static int
is_usable(const SSL_CIPHER *cipher)
{
	switch (SSL_CIPHER_get_kx_nid(cipher)) {
	case NID_kx_ecdhe:
		return SSL_CIPHER_get_auth_nid(cipher) == NID_auth_rsa ||
		    SSL_CIPHER_get_auth_nid(cipher) == NID_auth_ecdsa;
	case NID_kx_any:
		return 1;
	default:
		return 0;
	}
}

static const char *
check_list(SSL_CTX *ctx, const char *list, char *why)
{
	const STACK_OF(SSL_CIPHER)	*all;
	const SSL_CIPHER		*cipher;
	int				 i;

	if (SSL_CTX_set_cipher_list(ctx, list) != 1)
		return "no cipher of the list is known";
	all = SSL_CTX_get_ciphers(ctx);
	for (i = 0; i < sk_SSL_CIPHER_num(all); i++) {
		cipher = sk_SSL_CIPHER_value(all, i);
		if (is_usable(cipher) &&
		    SSL_CIPHER_get_cipher_nid(cipher) != NID_undef)
			continue;
		(void)snprintf(why, TLS_WHY_MAX, "%s: only ciphers with ECDHE "
		    "and encryption are supported",
		    SSL_CIPHER_get_name(cipher));
		return why;
	}
	return NULL;
}

const char *
port_tls_check_ciphers(const char *list, char *why)
{
	const char	*bad;
	SSL_CTX		*ctx;

	if ((ctx = port_tls_ctx_new(1)) == NULL)
		return "out of memory";
	bad = check_list(ctx, list, why);
	SSL_CTX_free(ctx);
	ERR_clear_error();
	return bad;
}
