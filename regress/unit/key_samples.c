/*
 * Private keys and certificates for tests.
 */
#include "key_samples.h"

#include <check.h>
#include <string.h>

#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#define DAY_S	(24 * 3600)

EVP_PKEY *
sample_key(int type)
{
	EVP_PKEY_CTX	*ctx = EVP_PKEY_CTX_new_id(type, NULL);
	EVP_PKEY	*key = NULL;

	ck_assert_int_eq(EVP_PKEY_keygen_init(ctx), 1);
	if (type == EVP_PKEY_EC)
		ck_assert_int_eq(EVP_PKEY_CTX_set_ec_paramgen_curve_nid(ctx,
		    NID_X9_62_prime256v1), 1);
	if (type == EVP_PKEY_RSA)
		ck_assert_int_eq(EVP_PKEY_CTX_set_rsa_keygen_bits(ctx, 2048),
		    1);
	ck_assert_int_eq(EVP_PKEY_keygen(ctx, &key), 1);
	EVP_PKEY_CTX_free(ctx);
	return key;
}

/* What was written, and the end of it. */
static size_t
take(BIO *bio, uint8_t *to)
{
	char	*pem;
	long	 len;

	len = BIO_get_mem_data(bio, &pem);
	ck_assert_int_gt(len, 0);
	ck_assert_int_le(len, SAMPLE_MAX);
	memcpy(to, pem, (size_t)len);
	BIO_free(bio);
	return (size_t)len;
}

size_t
sample_key_file(EVP_PKEY *key, uint8_t *to)
{
	BIO	*bio = BIO_new(BIO_s_mem());

	ck_assert_int_eq(PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0,
	    NULL, NULL), 1);
	return take(bio, to);
}

size_t
sample_cert_file(EVP_PKEY *key, uint8_t *to)
{
	static const unsigned char	cn[] = "mx.example.org";
	X509				*x = X509_new();
	X509_NAME			*name = X509_NAME_new();
	BIO				*bio = BIO_new(BIO_s_mem());

	ck_assert_int_eq(X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
	    cn, -1, -1, 0), 1);
	ck_assert_int_eq(X509_set_version(x, 2), 1);
	ck_assert_int_eq(ASN1_INTEGER_set(X509_get_serialNumber(x), 1), 1);
	ck_assert_ptr_nonnull(X509_gmtime_adj(X509_getm_notBefore(x), 0));
	ck_assert_ptr_nonnull(X509_gmtime_adj(X509_getm_notAfter(x), DAY_S));
	ck_assert_int_eq(X509_set_subject_name(x, name), 1);
	ck_assert_int_eq(X509_set_issuer_name(x, name), 1);
	ck_assert_int_eq(X509_set_pubkey(x, key), 1);
	ck_assert_int_gt(X509_sign(x, key, EVP_PKEY_id(key) ==
	    EVP_PKEY_ED25519 ? NULL : EVP_sha256()), 0);
	ck_assert_int_eq(PEM_write_bio_X509(bio, x), 1);
	X509_NAME_free(name);
	X509_free(x);
	return take(bio, to);
}
