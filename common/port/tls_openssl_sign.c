/*
 * OpenSSL 3: signatures of the provider "keyholder".  Runs in the workers,
 * inside a handshake, perhaps on a stack of 32 KiB.  What is to be signed
 * goes to the keyholder whole, so that it can see what it signs.
 */
#include "tls_openssl.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/core_dispatch.h>
#include <openssl/core_names.h>
#include <openssl/params.h>

/* Paddings by number (RSA_PKCS1_PADDING, ...); their header is deprecated. */
#define PAD_PKCS1	1
#define PAD_PSS		6
#define SALT_DIGEST	(-1)		/* RSA_PSS_SALTLEN_DIGEST */

/* One signature in the making. */
struct signing {
	const struct tls_openssl_key	*key;	/* borrowed */
	enum tls_alg			 alg;
	enum tls_hash			 hash;
	int				 is_salt_ok;
};

static OSSL_FUNC_signature_newctx_fn			signing_new;
static OSSL_FUNC_signature_freectx_fn			signing_free;
static OSSL_FUNC_signature_dupctx_fn			signing_dup;
static OSSL_FUNC_signature_digest_sign_init_fn		signing_init;
static OSSL_FUNC_signature_digest_sign_fn		signing_sign;
static OSSL_FUNC_signature_set_ctx_params_fn		signing_set;
static OSSL_FUNC_signature_settable_ctx_params_fn	signing_settable;

static port_tls_sign_fn	*ask;

void
tls_openssl_set_sign(port_tls_sign_fn *sign)
{
	ask = sign;
}

static void *
signing_new(void *ctx, const char *properties)
{
	(void)ctx;
	(void)properties;
	return calloc(1, sizeof(struct signing));
}

static void
signing_free(void *data)
{
	free(data);
}

static void *
signing_dup(void *data)
{
	struct signing	*copy;

	if ((copy = malloc(sizeof(*copy))) != NULL)
		memcpy(copy, data, sizeof(*copy));
	return copy;
}

/* The library says "SHA256" in one place, "SHA2-256" in another. */
static enum tls_hash
hash_by_name(const char *name)
{
	static const enum tls_hash	hashes[] = {
		TLS_HASH_SHA256, TLS_HASH_SHA384, TLS_HASH_SHA512
	};
	const EVP_MD			*md;
	size_t				 i;

	if (name == NULL || (md = EVP_get_digestbyname(name)) == NULL)
		return TLS_HASH_NONE;
	for (i = 0; i < sizeof(hashes) / sizeof(hashes[0]); i++)
		if (EVP_MD_is_a(md, tls_hash_name(hashes[i])))
			return hashes[i];
	return TLS_HASH_NONE;
}

/*
 * Also the library's way to find out which hashes can be used: there may be no
 * signature after it.
 */
static int
signing_init(void *data, const char *digest, void *keydata,
    const OSSL_PARAM *params)
{
	struct signing	*s = data;

	if (keydata != NULL)
		s->key = keydata;
	if (s->key == NULL || !s->key->is_held)
		return 0;
	s->alg = s->key->alg;
	s->hash = hash_by_name(digest);
	s->is_salt_ok = 0;
	if (s->hash == TLS_HASH_NONE &&
	    (s->alg != TLS_ALG_ED25519 || (digest != NULL && *digest != '\0')))
		return 0;
	return signing_set(data, params);
}

static int
set_padding(struct signing *s, const OSSL_PARAM *p)
{
	const char	*name;
	int		 number = 0;

	if (s->alg != TLS_ALG_PKCS1 && s->alg != TLS_ALG_PSS)
		return 0;
	if (p->data_type == OSSL_PARAM_UTF8_STRING) {
		if (OSSL_PARAM_get_utf8_string_ptr(p, &name) != 1)
			return 0;
		if (strcmp(name, OSSL_PKEY_RSA_PAD_MODE_PSS) == 0)
			number = PAD_PSS;
		else if (strcmp(name, OSSL_PKEY_RSA_PAD_MODE_PKCSV15) == 0)
			number = PAD_PKCS1;
	} else if (OSSL_PARAM_get_int(p, &number) != 1)
		return 0;
	if (number != PAD_PKCS1 && number != PAD_PSS)
		return 0;
	s->alg = number == PAD_PSS ? TLS_ALG_PSS : TLS_ALG_PKCS1;
	return 1;
}

static int
set_salt(struct signing *s, const OSSL_PARAM *p)
{
	const char	*name;
	int		 number;

	if (p->data_type == OSSL_PARAM_UTF8_STRING)
		s->is_salt_ok = OSSL_PARAM_get_utf8_string_ptr(p, &name) ==
		    1 && strcmp(name, OSSL_PKEY_RSA_PSS_SALT_LEN_DIGEST) == 0;
	else
		s->is_salt_ok = OSSL_PARAM_get_int(p, &number) == 1 &&
		    number == SALT_DIGEST;
	return s->is_salt_ok;
}

static int
signing_set(void *data, const OSSL_PARAM *params)
{
	struct signing		*s = data;
	const OSSL_PARAM	*p;

	if (params == NULL)
		return 1;
	p = OSSL_PARAM_locate_const(params, OSSL_SIGNATURE_PARAM_PAD_MODE);
	if (p != NULL && !set_padding(s, p))
		return 0;
	p = OSSL_PARAM_locate_const(params,
	    OSSL_SIGNATURE_PARAM_PSS_SALTLEN);
	return p == NULL || set_salt(s, p);
}

static const OSSL_PARAM *
signing_settable(void *data, void *ctx)
{
	static const OSSL_PARAM	params[] = {
		OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_PAD_MODE, NULL,
		    0),
		OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_PSS_SALTLEN, NULL,
		    0),
		OSSL_PARAM_END
	};

	(void)data;
	(void)ctx;
	return params;
}

/*
 * Asked for the size first, without a place, then to sign: one request a
 * handshake.
 */
static int
signing_sign(void *data, unsigned char *sig, size_t *siglen, size_t size,
    const unsigned char *octets, size_t len)
{
	const struct signing	*s = data;
	uint8_t			 got[TLS_SIGNATURE_MAX];
	size_t			 n;
	int			 max;

	if (s->key == NULL || (max = EVP_PKEY_get_size(s->key->pub)) <= 0)
		return 0;
	if (sig == NULL) {
		*siglen = (size_t)max;
		return 1;
	}
	if (ask == NULL || len > TLS_REQUEST_MAX ||
	    (s->alg == TLS_ALG_PSS && !s->is_salt_ok))
		return 0;
	n = ask(s->key->number, tls_scheme_number(s->alg, s->hash), octets,
	    len, got);
	if (n == 0 || n > sizeof(got) || n > size)
		return 0;
	memcpy(sig, got, n);
	*siglen = n;
	return 1;
}

static const OSSL_DISPATCH	functions[] = {
	{ OSSL_FUNC_SIGNATURE_NEWCTX, (void (*)(void))signing_new },
	{ OSSL_FUNC_SIGNATURE_FREECTX, (void (*)(void))signing_free },
	{ OSSL_FUNC_SIGNATURE_DUPCTX, (void (*)(void))signing_dup },
	{ OSSL_FUNC_SIGNATURE_DIGEST_SIGN_INIT,
	    (void (*)(void))signing_init },
	{ OSSL_FUNC_SIGNATURE_DIGEST_SIGN, (void (*)(void))signing_sign },
	{ OSSL_FUNC_SIGNATURE_SET_CTX_PARAMS, (void (*)(void))signing_set },
	{ OSSL_FUNC_SIGNATURE_SETTABLE_CTX_PARAMS,
	    (void (*)(void))signing_settable },
	{ 0, NULL }
};

const OSSL_ALGORITHM	tls_openssl_signatures[] = {
	{ "RSA:rsaEncryption", TLS_OPENSSL_OWN, functions, NULL },
	{ "ECDSA", TLS_OPENSSL_OWN, functions, NULL },
	{ "ED25519", TLS_OPENSSL_OWN, functions, NULL },
	{ NULL, NULL, NULL, NULL }
};
