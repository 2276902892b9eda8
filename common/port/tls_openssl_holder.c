/*
 * OpenSSL 3: the keyholder's signatures.  Runs in the keyholder, on octets of
 * workers that may have been taken over: it looks at what it signs, then
 * hashes and pads it itself.
 */
#include "tls.h"

#include <stdlib.h>

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>

#include "tls_openssl.h"
#include "tls_private.h"

/*
 * To look up an algorithm and make a context costs a third of what an ECDSA
 * signature does: it is done once for each scheme that a key is used with.
 */
struct tls_signer {
	struct tls_signer	*next;
	uint16_t		 number;	/* of the scheme */
	EVP_MD			*md;		/* NULL: Ed25519 */
	EVP_PKEY_CTX		*ctx;		/* the same */
};

static void
signer_free(struct tls_signer *s)
{
	if (s == NULL)
		return;
	EVP_PKEY_CTX_free(s->ctx);
	EVP_MD_free(s->md);
	free(s);
}

void
tls_backend_free_signers(struct tls_signer *s)
{
	struct tls_signer	*next;

	for (; s != NULL; s = next) {
		next = s->next;
		signer_free(s);
	}
}

static int
signer_init(struct tls_signer *s, EVP_PKEY *pkey,
    const struct tls_scheme *scheme)
{
	if (scheme->alg == TLS_ALG_ED25519)
		return 0;
	if ((s->md = EVP_MD_fetch(NULL, tls_hash_name(scheme->hash),
	    TLS_OPENSSL_OTHERS)) == NULL ||
	    (s->ctx = EVP_PKEY_CTX_new_from_pkey(NULL, pkey,
	    TLS_OPENSSL_OTHERS)) == NULL ||
	    EVP_PKEY_sign_init(s->ctx) != 1)
		return -1;
	if (scheme->alg != TLS_ALG_ECDSA &&
	    EVP_PKEY_CTX_set_rsa_padding(s->ctx, scheme->alg == TLS_ALG_PSS ?
	    RSA_PKCS1_PSS_PADDING : RSA_PKCS1_PADDING) != 1)
		return -1;
	if (EVP_PKEY_CTX_set_signature_md(s->ctx, s->md) != 1)
		return -1;
	if (scheme->alg == TLS_ALG_PSS && EVP_PKEY_CTX_set_rsa_pss_saltlen(
	    s->ctx, RSA_PSS_SALTLEN_DIGEST) != 1)
		return -1;
	return 0;
}

/* NULL: no memory, or the library can't. */
static struct tls_signer *
signer_of(struct port_tls_key *key, uint16_t number)
{
	struct tls_signer	*s;

	for (s = key->signers; s != NULL; s = s->next)
		if (s->number == number)
			return s;
	if ((s = calloc(1, sizeof(*s))) == NULL)
		return NULL;
	s->number = number;
	if (signer_init(s, key->pkey, tls_scheme_find(number)) == -1) {
		signer_free(s);
		return NULL;
	}
	s->next = key->signers;
	key->signers = s;
	return s;
}

static int
sign_digest(struct tls_signer *s, const uint8_t *octets, size_t len,
    uint8_t *sig, size_t *siglen)
{
	uint8_t		digest[EVP_MAX_MD_SIZE];
	unsigned int	n;

	return EVP_Digest(octets, len, digest, &n, s->md, NULL) == 1 &&
	    EVP_PKEY_sign(s->ctx, sig, siglen, digest, n) == 1;
}

/* Ed25519 hashes twice: it gets the octets. */
static int
sign_whole(EVP_PKEY *pkey, const uint8_t *octets, size_t len, uint8_t *sig,
    size_t *siglen)
{
	EVP_MD_CTX	*ctx;
	int		 is_signed;

	if ((ctx = EVP_MD_CTX_new()) == NULL)
		return 0;
	is_signed = EVP_DigestSignInit_ex(ctx, NULL, NULL, NULL,
	    TLS_OPENSSL_OTHERS, pkey, NULL) == 1 &&
	    EVP_DigestSign(ctx, sig, siglen, octets, len) == 1;
	EVP_MD_CTX_free(ctx);
	return is_signed;
}

size_t
port_tls_key_sign(struct port_tls_key *key, uint16_t number,
    const uint8_t *octets, size_t len, int has_tls13, uint8_t *sig,
    const char **why)
{
	struct tls_signer	*s;
	size_t			 siglen = TLS_SIGNATURE_MAX;

	*why = tls_request_check(key->kind, number, octets, len, has_tls13);
	if (*why != NULL)
		return 0;
	s = signer_of(key, number);
	if (s == NULL || !(s->md == NULL ?
	    sign_whole(key->pkey, octets, len, sig, &siglen) :
	    sign_digest(s, octets, len, sig, &siglen))) {
		*why = "the TLS library can't sign it";
		siglen = 0;
	}
	ERR_clear_error();
	return siglen;
}
