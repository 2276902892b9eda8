/*
 * LibreSSL: a key that is elsewhere is an RSA or EC_KEY with methods of our
 * own and no private part.  Runs in the workers, where the methods ask the
 * keyholder and wait; and in the keyholder, which gets a digest or a padded
 * block and can check its form, not what it was made of (tls_form.h).  On
 * Linux it is built for tests against OpenSSL, which has these calls still.
 */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "tls.h"

#include <stdio.h>
#include <string.h>

#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/hmac.h>
#include <openssl/objects.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>
#include <openssl/ssl.h>

#include "tls_form.h"
#include "tls_private.h"

static struct {
	RSA_METHOD	 *rsa;
	EC_KEY_METHOD	 *ec;
	int		  rsa_index;	/* where the number is kept */
	int		  ec_index;
	port_tls_sign_fn *sign;
} own;

/* A number in the place of a pointer, and back. */
static void *
number_keep(uint32_t number)
{
	return (void *)(uintptr_t)number;
}

static uint32_t
number_kept(const void *kept)
{
	return (uint32_t)((uintptr_t)kept & UINT32_MAX);
}

static size_t
ask(const void *kept, enum port_tls_form form, const uint8_t *octets, int len,
    uint8_t *sig)
{
	if (own.sign == NULL || len < 0 || len > TLS_REQUEST_MAX)
		return 0;
	return own.sign(number_kept(kept), (uint16_t)form, octets,
	    (size_t)len, sig);
}

/* The library has made a DigestInfo, or a block that is padded already. */
static int
rsa_encrypt(int len, const unsigned char *from, unsigned char *to, RSA *rsa,
    int padding)
{
	uint8_t			sig[TLS_SIGNATURE_MAX];
	enum port_tls_form	form;
	int			size = RSA_size(rsa);

	if (padding == RSA_PKCS1_PADDING)
		form = TLS_FORM_PKCS1;
	else if (padding == RSA_NO_PADDING)
		form = TLS_FORM_PSS;
	else
		return -1;
	if (size <= 0 || (size_t)size > sizeof(sig) ||
	    ask(RSA_get_ex_data(rsa, own.rsa_index), form, from, len, sig) !=
	    (size_t)size)
		return -1;
	memcpy(to, sig, (size_t)size);
	return size;
}

/* Nobody decrypts. */
static int
rsa_decrypt(int len, const unsigned char *from, unsigned char *to, RSA *rsa,
    int padding)
{
	(void)len;
	(void)from;
	(void)to;
	(void)rsa;
	(void)padding;
	return -1;
}

static int
ec_sign(int type, const unsigned char *digest, int len, unsigned char *to,
    unsigned int *tolen, const BIGNUM *kinv, const BIGNUM *r, EC_KEY *key)
{
	uint8_t	sig[TLS_SIGNATURE_MAX];
	size_t	n;
	int	size = ECDSA_size(key);

	(void)type;
	(void)kinv;
	(void)r;
	n = ask(EC_KEY_get_ex_data(key, own.ec_index), TLS_FORM_ECDSA, digest,
	    len, sig);
	if (n == 0 || size < 0 || n > (size_t)size)
		return 0;
	memcpy(to, sig, n);
	*tolen = (unsigned int)n;
	return 1;
}

/* The same, for callers who want its two numbers. */
static ECDSA_SIG *
ec_sign_parts(const unsigned char *digest, int len, const BIGNUM *kinv,
    const BIGNUM *r, EC_KEY *key)
{
	uint8_t			 sig[TLS_SIGNATURE_MAX];
	const unsigned char	*at = sig;
	size_t			 n;

	(void)kinv;
	(void)r;
	n = ask(EC_KEY_get_ex_data(key, own.ec_index), TLS_FORM_ECDSA, digest,
	    len, sig);
	if (n == 0 || n > sizeof(sig))
		return NULL;
	return d2i_ECDSA_SIG(NULL, &at, (long)n);
}

static int
make_methods(void)
{
	int	(*setup)(EC_KEY *, BN_CTX *, BIGNUM **, BIGNUM **);

	own.rsa = RSA_meth_dup(RSA_get_default_method());
	own.ec = EC_KEY_METHOD_new(EC_KEY_OpenSSL());
	own.rsa_index = RSA_get_ex_new_index(0, NULL, NULL, NULL, NULL);
	own.ec_index = EC_KEY_get_ex_new_index(0, NULL, NULL, NULL, NULL);
	if (own.rsa == NULL || own.ec == NULL || own.rsa_index == -1 ||
	    own.ec_index == -1)
		return -1;
	if (RSA_meth_set_priv_enc(own.rsa, rsa_encrypt) != 1 ||
	    RSA_meth_set_priv_dec(own.rsa, rsa_decrypt) != 1)
		return -1;
	/* There is no private part to check against the certificate. */
	if (RSA_meth_set_flags(own.rsa, RSA_meth_get_flags(own.rsa) |
	    RSA_METHOD_FLAG_NO_CHECK) != 1)
		return -1;
	EC_KEY_METHOD_get_sign(own.ec, NULL, &setup, NULL);
	EC_KEY_METHOD_set_sign(own.ec, ec_sign, setup, ec_sign_parts);
	return 0;
}

int
port_tls_init(const char **what)
{
	static int	is_done;
	unsigned char	octet;

	if (is_done)
		return 0;
	if (OPENSSL_init_ssl(OPENSSL_INIT_LOAD_SSL_STRINGS |
	    OPENSSL_INIT_LOAD_CRYPTO_STRINGS, NULL) != 1)
		*what = "the TLS library's start";
	else if (make_methods() == -1)
		*what = "the TLS library's methods";
	else if (RAND_bytes(&octet, 1) != 1)
		*what = "the TLS library's random numbers";
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
#ifdef LIBRESSL_VERSION_NUMBER
	return SSLeay_version(SSLEAY_VERSION);
#else
	static char	name[128];

	(void)snprintf(name, sizeof(name), "%s, by method tables",
	    OpenSSL_version(OPENSSL_VERSION));
	return name;
#endif
}

/* It has no call for that, and keeps what it has. */
void
port_tls_idle(SSL *ssl)
{
	(void)ssl;
}

/* It sends none. */
int
port_tls_is_ticket(const SSL *ssl)
{
	(void)ssl;
	return 0;
}

int
port_tls_has_ed25519(void)
{
	return 0;
}

SSL_CTX *
tls_backend_ctx(const SSL_METHOD *method)
{
	return SSL_CTX_new(method);
}

EVP_PKEY *
tls_backend_read_key(BIO *bio, pem_password_cb *password, void *arg)
{
	return PEM_read_bio_PrivateKey(bio, NULL, password, arg);
}

int
tls_backend_curve(const EVP_PKEY *pkey)
{
	const EC_KEY	*key;

	if ((key = EVP_PKEY_get0_EC_KEY(pkey)) == NULL)
		return NID_undef;
	return EC_GROUP_get_curve_name(EC_KEY_get0_group(key));
}

static EVP_PKEY *
held_rsa(EVP_PKEY *public, uint32_t number)
{
	const BIGNUM	*n, *e;
	BIGNUM		*ourn, *oure;
	EVP_PKEY	*pkey;
	RSA		*from, *rsa;
	int		 ok;

	if ((from = EVP_PKEY_get1_RSA(public)) == NULL)
		return NULL;
	RSA_get0_key(from, &n, &e, NULL);
	rsa = RSA_new();
	pkey = EVP_PKEY_new();
	ourn = BN_dup(n);
	oure = BN_dup(e);
	RSA_free(from);
	ok = rsa != NULL && pkey != NULL && ourn != NULL && oure != NULL &&
	    RSA_set0_key(rsa, ourn, oure, NULL) == 1;
	if (ok)
		ourn = oure = NULL;	/* taken */
	/* The method is to be there before the key is made one of EVP's. */
	ok = ok && RSA_set_method(rsa, own.rsa) == 1 &&
	    RSA_set_ex_data(rsa, own.rsa_index, number_keep(number)) == 1 &&
	    EVP_PKEY_set1_RSA(pkey, rsa) == 1;
	BN_free(ourn);
	BN_free(oure);
	RSA_free(rsa);
	if (ok)
		return pkey;
	EVP_PKEY_free(pkey);
	return NULL;
}

static EVP_PKEY *
held_ec(EVP_PKEY *public, uint32_t number)
{
	EVP_PKEY	*pkey;
	EC_KEY		*from, *key;
	int		 ok;

	if ((from = EVP_PKEY_get1_EC_KEY(public)) == NULL)
		return NULL;
	key = EC_KEY_dup(from);
	EC_KEY_free(from);
	pkey = EVP_PKEY_new();
	ok = key != NULL && pkey != NULL &&
	    EC_KEY_set_method(key, own.ec) == 1 &&
	    EC_KEY_set_ex_data(key, own.ec_index, number_keep(number)) == 1 &&
	    EVP_PKEY_set1_EC_KEY(pkey, key) == 1;
	EC_KEY_free(key);
	if (ok)
		return pkey;
	EVP_PKEY_free(pkey);
	return NULL;
}

EVP_PKEY *
tls_backend_held_key(EVP_PKEY *public, enum tls_kind kind, uint32_t number,
    port_tls_sign_fn *sign)
{
	own.sign = sign;
	return kind == TLS_KIND_RSA ? held_rsa(public, number) :
	    held_ec(public, number);
}

/* There is no way to leave a handshake. */
int
port_tls_jobs(size_t n)
{
	(void)n;
	return 0;
}

void
port_tls_set_async(SSL *ssl, int on)
{
	(void)ssl;
	(void)on;
}

int
port_tls_pause(void)
{
	return -1;
}

int
port_tls_is_paused(int ssl_error)
{
	(void)ssl_error;
	return 0;
}

int
port_tls_is_jobless(int ssl_error)
{
	(void)ssl_error;
	return 0;
}

static int
ticket_key(SSL *ssl, unsigned char *name, unsigned char *iv,
    EVP_CIPHER_CTX *cipher, HMAC_CTX *mac, int is_new)
{
	const uint8_t	*key;
	int		 answer;

	answer = tls_ticket_key(ssl, name, iv, cipher, is_new, &key);
	if (answer <= 0)
		return answer;
	return HMAC_Init_ex(mac, key, TLS_TICKET_MAC, EVP_sha256(), NULL) ==
	    1 ? answer : -1;
}

int
tls_backend_set_tickets(SSL_CTX *ctx)
{
	return SSL_CTX_set_tlsext_ticket_key_cb(ctx, ticket_key) == 1 ? 0 :
	    -1;
}

static size_t
sign_rsa(EVP_PKEY *pkey, uint16_t form, const uint8_t *octets, size_t len,
    uint8_t *sig)
{
	RSA	*rsa;
	int	 n;

	if ((rsa = EVP_PKEY_get1_RSA(pkey)) == NULL)
		return 0;
	n = RSA_private_encrypt((int)len, octets, sig, rsa,
	    form == TLS_FORM_PSS ? RSA_NO_PADDING : RSA_PKCS1_PADDING);
	RSA_free(rsa);
	return n > 0 ? (size_t)n : 0;
}

static size_t
sign_ec(EVP_PKEY *pkey, const uint8_t *digest, size_t len, uint8_t *sig)
{
	EC_KEY		*key;
	unsigned int	 siglen = 0;

	if ((key = EVP_PKEY_get1_EC_KEY(pkey)) == NULL)
		return 0;
	if (ECDSA_sign(0, digest, (int)len, sig, &siglen, key) != 1)
		siglen = 0;
	EC_KEY_free(key);
	return siglen;
}

/* It keeps none. */
void
tls_backend_free_signers(struct tls_signer *s)
{
	(void)s;
}

/* What was hashed is not known, and so neither the version of TLS. */
size_t
port_tls_key_sign(struct port_tls_key *key, uint16_t form,
    const uint8_t *octets, size_t len, int has_tls13, uint8_t *sig,
    const char **why)
{
	size_t	siglen;

	(void)has_tls13;
	*why = tls_form_check(key->kind, (unsigned int)EVP_PKEY_bits(
	    key->pkey), form, octets, len);
	if (*why != NULL)
		return 0;
	/* The form bounds the length. */
	siglen = key->kind == TLS_KIND_RSA ?
	    sign_rsa(key->pkey, form, octets, len, sig) :
	    sign_ec(key->pkey, octets, len, sig);
	if (siglen == 0)
		*why = "the TLS library can't sign it";
	ERR_clear_error();
	return siglen;
}
