/*
 * Keys and certificates of PEM files; the same for both libraries.  Runs in
 * the keyholder (keys), and in the check of the configuration, a process that
 * lives for that alone.  The files are the admin's.
 */
#include "tls.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/objects.h>
#include <openssl/pem.h>

#include "tls_private.h"

#define RSA_BITS_MIN	2048
#define RSA_BITS_MAX	8192		/* TLS_SIGNATURE_MAX octets */

#define BEGIN		"-----BEGIN"

BIO *
tls_pem_open(const uint8_t *octets, size_t len)
{
	/* A length of -1 would be "up to the 0". */
	if (len > INT_MAX)
		return NULL;
	return BIO_new_mem_buf(octets, (int)len);
}

static enum tls_kind
kind_of_rsa(const EVP_PKEY *pkey, const char **why)
{
	if (EVP_PKEY_bits(pkey) < RSA_BITS_MIN)
		*why = "an RSA key of less than 2048 bits";
	else if (EVP_PKEY_bits(pkey) > RSA_BITS_MAX)
		*why = "an RSA key of more than 8192 bits";
	else
		return TLS_KIND_RSA;
	return TLS_KIND_NONE;
}

static enum tls_kind
kind_of_ec(const EVP_PKEY *pkey, const char **why)
{
	switch (tls_backend_curve(pkey)) {
	case NID_X9_62_prime256v1:
		return TLS_KIND_P256;
	case NID_secp384r1:
		return TLS_KIND_P384;
	}
	*why = "an EC key on another curve than P-256 and P-384";
	return TLS_KIND_NONE;
}

enum tls_kind
tls_pem_kind(const EVP_PKEY *pkey, const char **why)
{
	switch (EVP_PKEY_base_id(pkey)) {
	case EVP_PKEY_RSA:
		return kind_of_rsa(pkey, why);
	case EVP_PKEY_EC:
		return kind_of_ec(pkey, why);
	case EVP_PKEY_ED25519:
		if (port_tls_has_ed25519())
			return TLS_KIND_ED25519;
		*why = "an Ed25519 key, which this TLS library can't use";
		break;
	case EVP_PKEY_RSA_PSS:
		*why = "a key of type RSA-PSS, where RSA works";
		break;
	default:
		*why = "a key of another type than RSA, ECDSA and Ed25519";
	}
	return TLS_KIND_NONE;
}

/* Never ask: there is no terminal, and nobody to wait for. */
static int
no_password(char *to, int size, int is_write, void *was_asked)
{
	(void)to;
	(void)size;
	(void)is_write;
	*(int *)was_asked = 1;
	return 0;
}

static EVP_PKEY *
read_key(const uint8_t *pem, size_t len, const char **why)
{
	EVP_PKEY	*pkey;
	BIO		*bio;
	int		 is_encrypted = 0;

	if ((bio = tls_pem_open(pem, len)) == NULL) {
		*why = "out of memory";
		return NULL;
	}
	pkey = tls_backend_read_key(bio, no_password, &is_encrypted);
	if (pkey == NULL)
		*why = is_encrypted ? "an encrypted key, which nobody is there "
		    "to open" : "no private key in PEM";
	(void)BIO_free(bio);
	ERR_clear_error();
	return pkey;
}

struct port_tls_key *
port_tls_key_load(const uint8_t *pem, size_t len, const char **why)
{
	struct port_tls_key	*key;

	if ((key = calloc(1, sizeof(*key))) == NULL) {
		*why = "out of memory";
		return NULL;
	}
	if ((key->pkey = read_key(pem, len, why)) == NULL ||
	    (key->kind = tls_pem_kind(key->pkey, why)) == TLS_KIND_NONE) {
		port_tls_key_free(key);
		return NULL;
	}
	return key;
}

void
port_tls_key_free(struct port_tls_key *key)
{
	if (key == NULL)
		return;
	tls_backend_free_signers(key->signers);
	/* The library wipes the private parts. */
	EVP_PKEY_free(key->pkey);
	free(key);
}

/* Blocks of the file, whole or not: the library skips what it can't read. */
static size_t
count_blocks(const uint8_t *pem, size_t len)
{
	size_t	i, n = 0, beginlen = sizeof(BEGIN) - 1;

	for (i = 0; len - i >= beginlen; i++)
		if ((i == 0 || pem[i - 1] == '\n') &&
		    memcmp(pem + i, BEGIN, beginlen) == 0)
			n++;
	return n;
}

static X509 *
parse_cert(const char *name, const uint8_t *der, long len)
{
	const unsigned char	*at = der;
	X509			*cert;

	if (strcmp(name, PEM_STRING_X509) != 0 &&
	    strcmp(name, PEM_STRING_X509_OLD) != 0)
		return NULL;
	if ((cert = d2i_X509(NULL, &at, len)) == NULL)
		return NULL;
	if (at - der != len) {
		X509_free(cert);
		return NULL;
	}
	return cert;
}

/* The next block: 1, 0 at the end, -1 with a text in why. */
static int
read_cert(BIO *bio, STACK_OF(X509) *certs, char *why)
{
	unsigned char	*der;
	char		*name, *header;
	long		 len;
	X509		*cert;

	if (PEM_read_bio(bio, &name, &header, &der, &len) != 1) {
		if (ERR_GET_REASON(ERR_peek_last_error()) ==
		    PEM_R_NO_START_LINE)
			return 0;
		(void)snprintf(why, TLS_WHY_MAX, "block %d is not PEM",
		    sk_X509_num(certs) + 1);
		return -1;
	}
	if ((cert = parse_cert(name, der, len)) == NULL)
		(void)snprintf(why, TLS_WHY_MAX, "block %d is %s, where a "
		    "certificate was expected", sk_X509_num(certs) + 1,
		    strstr(name, "PRIVATE KEY") != NULL ? "a private key" :
		    "none that parses");
	/* It may be a key, in the wrong file. */
	if (len > 0)
		explicit_bzero(der, (size_t)len);
	OPENSSL_free(name);
	OPENSSL_free(header);
	OPENSSL_free(der);
	if (cert == NULL)
		return -1;
	if (sk_X509_push(certs, cert) <= 0) {
		X509_free(cert);
		(void)snprintf(why, TLS_WHY_MAX, "out of memory");
		return -1;
	}
	return 1;
}

/* How many were read: -1 with a text in why. */
static int
read_certs(const uint8_t *pem, size_t len, STACK_OF(X509) *certs, char *why)
{
	BIO	*bio;
	int	 got = -1;

	if ((bio = tls_pem_open(pem, len)) == NULL) {
		(void)snprintf(why, TLS_WHY_MAX, "out of memory");
		return -1;
	}
	ERR_clear_error();
	do
		got = read_cert(bio, certs, why);
	while (got == 1);
	(void)BIO_free(bio);
	ERR_clear_error();
	return got == -1 ? -1 : sk_X509_num(certs);
}

STACK_OF(X509) *
tls_pem_certs(const uint8_t *pem, size_t len, char *why)
{
	STACK_OF(X509)	*certs;
	int		 n;

	if ((certs = sk_X509_new_null()) == NULL) {
		(void)snprintf(why, TLS_WHY_MAX, "out of memory");
		return NULL;
	}
	if ((n = read_certs(pem, len, certs, why)) == 0)
		(void)snprintf(why, TLS_WHY_MAX, "no certificate in PEM");
	else if (n > 0 && (size_t)n != count_blocks(pem, len)) {
		(void)snprintf(why, TLS_WHY_MAX, "a damaged " BEGIN " line");
		n = -1;
	}
	if (n > 0)
		return certs;
	tls_pem_certs_free(certs);
	return NULL;
}

void
tls_pem_certs_free(STACK_OF(X509) *certs)
{
	sk_X509_pop_free(certs, X509_free);
}
