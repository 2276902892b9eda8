/*
 * OpenSSL 3: start, keys that the keyholder has, pausing.  Runs in the workers
 * and in part in every process that uses the library.  A key is an object of
 * our own provider (tls_openssl_key.c), which has no private part; signing
 * with it asks the keyholder (tls_openssl_sign.c).
 */
#include "tls.h"

#include <string.h>

#include <openssl/async.h>
#include <openssl/core_dispatch.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/objects.h>
#include <openssl/params.h>
#include <openssl/pem.h>
#include <openssl/provider.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>

#include "tls_openssl.h"
#include "tls_private.h"

static OSSL_FUNC_provider_query_operation_fn	provider_query;
static OSSL_provider_init_fn			provider_init;

/* Loaded as long as the process lives. */
static OSSL_PROVIDER	*provider_default, *provider_own;

static const OSSL_DISPATCH	provider_functions[] = {
	{ OSSL_FUNC_PROVIDER_QUERY_OPERATION,
	    (void (*)(void))provider_query },
	{ 0, NULL }
};

/* No decryption among them, so that there is nothing to ask for it with. */
static const OSSL_ALGORITHM *
provider_query(void *ctx, int operation, int *no_cache)
{
	(void)ctx;
	*no_cache = 0;
	switch (operation) {
	case OSSL_OP_KEYMGMT:
		return tls_openssl_keys;
	case OSSL_OP_SIGNATURE:
		return tls_openssl_signatures;
	default:
		return NULL;
	}
}

static int
provider_init(const OSSL_CORE_HANDLE *core, const OSSL_DISPATCH *theirs,
    const OSSL_DISPATCH **ours, void **ctx)
{
	(void)core;
	(void)theirs;
	*ours = provider_functions;
	*ctx = NULL;
	return 1;
}

/*
 * Where one is loaded by hand, the default one is no more by itself.  What an
 * earlier try has loaded counts.
 */
static int
load_providers(void)
{
	if (provider_default == NULL)
		provider_default = OSSL_PROVIDER_load(NULL, "default");
	if (provider_own == NULL && OSSL_PROVIDER_add_builtin(NULL,
	    "keyholder", provider_init) == 1)
		provider_own = OSSL_PROVIDER_load(NULL, "keyholder");
	return provider_default == NULL || provider_own == NULL ? -1 : 0;
}

int
port_tls_init(const char **what)
{
	static int	is_done;
	unsigned char	octet;

	if (is_done)
		return 0;
	if (OPENSSL_init_ssl(OPENSSL_INIT_LOAD_SSL_STRINGS |
	    OPENSSL_INIT_LOAD_CRYPTO_STRINGS | OPENSSL_INIT_LOAD_CONFIG,
	    NULL) != 1)
		*what = "OpenSSL's configuration";
	else if (load_providers() == -1)
		*what = "OpenSSL's providers";
	else if (RAND_bytes(&octet, 1) != 1)
		*what = "OpenSSL's random numbers";
	else {
		ERR_clear_error();
		is_done = 1;
		return 0;
	}
	return -1;
}

const char *
port_tls_name(void)
{
	return OpenSSL_version(OPENSSL_VERSION);
}

void
port_tls_idle(SSL *ssl)
{
	/*
	 * Not where there is something, nor inside of a record, of which
	 * versions before 3.0.14 free what they need still (CVE-2024-4741).
	 */
	if (strcmp(SSL_rstate_string(ssl), "RH") == 0)
		(void)SSL_free_buffers(ssl);
}

int
port_tls_is_ticket(const SSL *ssl)
{
	return SSL_get_state(ssl) == TLS_ST_SW_SESSION_TICKET &&
	    SSL_version(ssl) == TLS1_3_VERSION;
}

int
port_tls_has_ed25519(void)
{
	return 1;
}

SSL_CTX *
tls_backend_ctx(const SSL_METHOD *method)
{
	/* Else a peer's key might become one of our provider's. */
	return SSL_CTX_new_ex(NULL, TLS_OPENSSL_OTHERS, method);
}

EVP_PKEY *
tls_backend_read_key(BIO *bio, pem_password_cb *password, void *arg)
{
	return PEM_read_bio_PrivateKey_ex(bio, NULL, password, arg, NULL,
	    TLS_OPENSSL_OTHERS);
}

int
tls_backend_curve(const EVP_PKEY *pkey)
{
	char	name[64];

	if (EVP_PKEY_get_group_name(pkey, name, sizeof(name), NULL) != 1)
		return NID_undef;
	return OBJ_txt2nid(name);
}

/* Our provider's object for a public key that the keyholder has the rest of. */
static EVP_PKEY *
key_from_params(const char *type, OSSL_PARAM *public, uint32_t number)
{
	OSSL_PARAM	 own[2], *all;
	EVP_PKEY_CTX	*ctx;
	EVP_PKEY	*pkey = NULL;

	own[0] = OSSL_PARAM_construct_uint32(TLS_OPENSSL_NUMBER, &number);
	own[1] = OSSL_PARAM_construct_end();
	all = OSSL_PARAM_merge(public, own);
	ctx = EVP_PKEY_CTX_new_from_name(NULL, type, TLS_OPENSSL_OWN);
	if (all == NULL || ctx == NULL || EVP_PKEY_fromdata_init(ctx) != 1 ||
	    EVP_PKEY_fromdata(ctx, &pkey, EVP_PKEY_KEYPAIR, all) != 1)
		pkey = NULL;
	EVP_PKEY_CTX_free(ctx);
	OPENSSL_free(all);
	return pkey;
}

EVP_PKEY *
tls_backend_held_key(EVP_PKEY *public, enum tls_kind kind, uint32_t number,
    port_tls_sign_fn *sign)
{
	OSSL_PARAM	*params;
	EVP_PKEY	*pkey;

	(void)kind;		/* the type's name says enough */
	tls_openssl_set_sign(sign);
	if (EVP_PKEY_todata(public, EVP_PKEY_PUBLIC_KEY, &params) != 1)
		return NULL;
	pkey = key_from_params(EVP_PKEY_get0_type_name(public), params,
	    number);
	OSSL_PARAM_free(params);
	return pkey;
}

int
port_tls_jobs(size_t n)
{
	return ASYNC_is_capable() == 1 && ASYNC_init_thread(n, 0) == 1;
}

void
port_tls_set_async(SSL *ssl, int on)
{
	if (on)
		(void)SSL_set_mode(ssl, SSL_MODE_ASYNC);
	else
		(void)SSL_clear_mode(ssl, SSL_MODE_ASYNC);
}

int
port_tls_pause(void)
{
	if (ASYNC_get_current_job() == NULL)
		return -1;
	return ASYNC_pause_job() == 1 ? 0 : -1;
}

int
port_tls_is_paused(int ssl_error)
{
	return ssl_error == SSL_ERROR_WANT_ASYNC;
}

int
port_tls_is_jobless(int ssl_error)
{
	return ssl_error == SSL_ERROR_WANT_ASYNC_JOB;
}
