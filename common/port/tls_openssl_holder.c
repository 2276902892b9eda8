/*
 * OpenSSL 3: the keyholder's signatures.  Runs in the keyholder, on octets of
 * workers that may have been taken over: it looks at what it signs, then
 * hashes and pads it itself.
 */
#include "tls.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>

#include "tls_openssl.h"
#include "tls_private.h"

static int
sign_init(EVP_MD_CTX *ctx, EVP_PKEY *pkey, const struct tls_scheme *scheme)
{
	EVP_PKEY_CTX	*pctx;

	if (EVP_DigestSignInit_ex(ctx, &pctx, tls_hash_name(scheme->hash),
	    NULL, TLS_OPENSSL_OTHERS, pkey, NULL) != 1)
		return -1;
	if (scheme->alg != TLS_ALG_PSS)
		return 0;
	if (EVP_PKEY_CTX_set_rsa_padding(pctx, RSA_PKCS1_PSS_PADDING) != 1 ||
	    EVP_PKEY_CTX_set_rsa_pss_saltlen(pctx, RSA_PSS_SALTLEN_DIGEST) !=
	    1)
		return -1;
	return 0;
}

size_t
port_tls_key_sign(struct port_tls_key *key, uint16_t number,
    const uint8_t *octets, size_t len, int has_tls13, uint8_t *sig,
    const char **why)
{
	EVP_MD_CTX	*ctx;
	size_t		 siglen = TLS_SIGNATURE_MAX;

	*why = tls_request_check(key->kind, number, octets, len, has_tls13);
	if (*why != NULL)
		return 0;
	if ((ctx = EVP_MD_CTX_new()) == NULL ||
	    sign_init(ctx, key->pkey, tls_scheme_find(number)) == -1 ||
	    EVP_DigestSign(ctx, sig, &siglen, octets, len) != 1) {
		*why = "the TLS library can't sign it";
		siglen = 0;
	}
	EVP_MD_CTX_free(ctx);
	ERR_clear_error();
	return siglen;
}
