/*
 * OpenSSL 3: keys of the provider "keyholder", its key management.  Runs in
 * the workers.  A key is the public key, as an object of the default provider
 * which answers all questions about it, and the number by which the keyholder
 * knows the private one.
 */
#include "tls_openssl.h"

#include <stdlib.h>

#include <openssl/core_dispatch.h>
#include <openssl/core_names.h>
#include <openssl/params.h>

static OSSL_FUNC_keymgmt_new_fn				key_new_rsa;
static OSSL_FUNC_keymgmt_new_fn				key_new_ec;
static OSSL_FUNC_keymgmt_new_fn				key_new_ed25519;
static OSSL_FUNC_keymgmt_free_fn			key_free;
static OSSL_FUNC_keymgmt_has_fn				key_has;
static OSSL_FUNC_keymgmt_match_fn			key_match;
static OSSL_FUNC_keymgmt_import_fn			key_import;
static OSSL_FUNC_keymgmt_import_types_fn		key_types;
static OSSL_FUNC_keymgmt_export_fn			key_export;
static OSSL_FUNC_keymgmt_get_params_fn			key_get_params;
static OSSL_FUNC_keymgmt_gettable_params_fn		key_gettable;
static OSSL_FUNC_keymgmt_query_operation_name_fn	key_operation_ec;

static void *
key_new(const char *type, enum tls_alg alg)
{
	struct tls_openssl_key	*key;

	if ((key = calloc(1, sizeof(*key))) == NULL)
		return NULL;
	key->type = type;
	key->alg = alg;
	return key;
}

static void *
key_new_rsa(void *ctx)
{
	(void)ctx;
	return key_new("RSA", TLS_ALG_PKCS1);
}

static void *
key_new_ec(void *ctx)
{
	(void)ctx;
	return key_new("EC", TLS_ALG_ECDSA);
}

static void *
key_new_ed25519(void *ctx)
{
	(void)ctx;
	return key_new("ED25519", TLS_ALG_ED25519);
}

static void
key_free(void *data)
{
	struct tls_openssl_key	*key = data;

	if (key == NULL)
		return;
	EVP_PKEY_free(key->pub);
	free(key);
}

static int
key_has(const void *data, int selection)
{
	const struct tls_openssl_key	*key = data;

	if (key == NULL || key->pub == NULL)
		return 0;
	/* As far as the library is concerned we have the private part too. */
	return !(selection & OSSL_KEYMGMT_SELECT_PRIVATE_KEY) || key->is_held;
}

static int
key_match(const void *data, const void *other, int selection)
{
	const struct tls_openssl_key	*a = data, *b = other;

	(void)selection;
	return a->pub != NULL && b->pub != NULL &&
	    EVP_PKEY_eq(a->pub, b->pub) == 1;
}

/* The default provider passes over what it does not know: our number. */
static EVP_PKEY *
public_from_params(const char *type, const OSSL_PARAM *params)
{
	OSSL_PARAM	*copy;		/* the call wants it without const */
	EVP_PKEY_CTX	*ctx;
	EVP_PKEY	*pkey = NULL;

	copy = OSSL_PARAM_dup(params);
	ctx = EVP_PKEY_CTX_new_from_name(NULL, type, "provider=default");
	if (copy == NULL || ctx == NULL || EVP_PKEY_fromdata_init(ctx) != 1 ||
	    EVP_PKEY_fromdata(ctx, &pkey, EVP_PKEY_PUBLIC_KEY, copy) != 1)
		pkey = NULL;
	EVP_PKEY_CTX_free(ctx);
	OSSL_PARAM_free(copy);
	return pkey;
}

/*
 * With a number it is a key from port_tls_use_key(); without one the library
 * makes the certificate's key ours to compare them.
 */
static int
key_import(void *data, int selection, const OSSL_PARAM *params)
{
	struct tls_openssl_key	*key = data;
	const OSSL_PARAM	*p;

	if (!(selection & OSSL_KEYMGMT_SELECT_PUBLIC_KEY) || key->pub != NULL)
		return 0;
	if ((key->pub = public_from_params(key->type, params)) == NULL)
		return 0;
	p = OSSL_PARAM_locate_const(params, TLS_OPENSSL_NUMBER);
	if (p == NULL)
		return 1;
	key->is_held = OSSL_PARAM_get_uint32(p, &key->number);
	return key->is_held;
}

/* Of any type: nobody here asks more closely. */
static const OSSL_PARAM *
key_types(int selection)
{
	static const OSSL_PARAM	types[] = {
		OSSL_PARAM_BN(OSSL_PKEY_PARAM_RSA_N, NULL, 0),
		OSSL_PARAM_BN(OSSL_PKEY_PARAM_RSA_E, NULL, 0),
		OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, NULL, 0),
		OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_PUB_KEY, NULL, 0),
		OSSL_PARAM_uint32(TLS_OPENSSL_NUMBER, NULL),
		OSSL_PARAM_END
	};

	(void)selection;
	return types;
}

/*
 * Before it asks us to sign, the library would try to with the default
 * provider and an exported key: there is none.
 */
static int
key_export(void *data, int selection, OSSL_CALLBACK *to, void *arg)
{
	struct tls_openssl_key	*key = data;

	if ((selection & OSSL_KEYMGMT_SELECT_PRIVATE_KEY) ||
	    key->pub == NULL)
		return 0;
	return EVP_PKEY_export(key->pub, EVP_PKEY_PUBLIC_KEY, to, arg);
}

static int
key_get_params(void *data, OSSL_PARAM *params)
{
	struct tls_openssl_key	*key = data;

	return key->pub != NULL && EVP_PKEY_get_params(key->pub, params) == 1;
}

static const OSSL_PARAM *
key_gettable(void *ctx)
{
	static const OSSL_PARAM	params[] = {
		OSSL_PARAM_int(OSSL_PKEY_PARAM_BITS, NULL),
		OSSL_PARAM_int(OSSL_PKEY_PARAM_SECURITY_BITS, NULL),
		OSSL_PARAM_int(OSSL_PKEY_PARAM_MAX_SIZE, NULL),
		OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, NULL, 0),
		OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_DEFAULT_DIGEST, NULL,
		    0),
		OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_MANDATORY_DIGEST, NULL,
		    0),
		OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_ENCODED_PUBLIC_KEY,
		    NULL, 0),
		OSSL_PARAM_END
	};

	(void)ctx;
	return params;
}

/* Its signature is not called as its keys are. */
static const char *
key_operation_ec(int operation)
{
	return operation == OSSL_OP_SIGNATURE ? "ECDSA" : "EC";
}

#define KEY_FUNCTIONS							\
	{ OSSL_FUNC_KEYMGMT_FREE, (void (*)(void))key_free },		\
	{ OSSL_FUNC_KEYMGMT_HAS, (void (*)(void))key_has },		\
	{ OSSL_FUNC_KEYMGMT_MATCH, (void (*)(void))key_match },		\
	{ OSSL_FUNC_KEYMGMT_IMPORT, (void (*)(void))key_import },	\
	{ OSSL_FUNC_KEYMGMT_IMPORT_TYPES, (void (*)(void))key_types },	\
	{ OSSL_FUNC_KEYMGMT_EXPORT, (void (*)(void))key_export },	\
	{ OSSL_FUNC_KEYMGMT_EXPORT_TYPES, (void (*)(void))key_types },	\
	{ OSSL_FUNC_KEYMGMT_GET_PARAMS, (void (*)(void))key_get_params }, \
	{ OSSL_FUNC_KEYMGMT_GETTABLE_PARAMS, (void (*)(void))key_gettable }

static const OSSL_DISPATCH	functions_rsa[] = {
	{ OSSL_FUNC_KEYMGMT_NEW, (void (*)(void))key_new_rsa },
	KEY_FUNCTIONS,
	{ 0, NULL }
};

static const OSSL_DISPATCH	functions_ec[] = {
	{ OSSL_FUNC_KEYMGMT_NEW, (void (*)(void))key_new_ec },
	{ OSSL_FUNC_KEYMGMT_QUERY_OPERATION_NAME,
	    (void (*)(void))key_operation_ec },
	KEY_FUNCTIONS,
	{ 0, NULL }
};

static const OSSL_DISPATCH	functions_ed25519[] = {
	{ OSSL_FUNC_KEYMGMT_NEW, (void (*)(void))key_new_ed25519 },
	KEY_FUNCTIONS,
	{ 0, NULL }
};

const OSSL_ALGORITHM	tls_openssl_keys[] = {
	{ "RSA:rsaEncryption", TLS_OPENSSL_OWN, functions_rsa, NULL },
	{ "EC:id-ecPublicKey", TLS_OPENSSL_OWN, functions_ec, NULL },
	{ "ED25519", TLS_OPENSSL_OWN, functions_ed25519, NULL },
	{ NULL, NULL, NULL, NULL }
};
