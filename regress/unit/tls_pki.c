/* Authorities, certificates and keys for the tests of TLS. */
#include "tls_pki.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/pem.h>
#include <openssl/x509v3.h>

#define DAY		86400L
#define DAYS_DEFAULT	30
#define DAYS_BEFORE	60		/* valid since */

static EVP_PKEY *
pki_key(const char *kind)
{
	EVP_PKEY	*key;

	/* Not from a provider that only knows keys of others. */
	if (strcmp(kind, "RSA") == 0)
		key = EVP_PKEY_Q_keygen(NULL, "?provider=default", "RSA",
		    (size_t)2048);
	else if (strncmp(kind, "ED", 2) == 0)
		key = EVP_PKEY_Q_keygen(NULL, "?provider=default", kind);
	else
		key = EVP_PKEY_Q_keygen(NULL, "?provider=default", "EC",
		    kind);
	ck_assert_ptr_nonnull(key);
	return key;
}

static void
pki_extend(X509 *x, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX	 ctx;
	X509_EXTENSION	*ext;

	X509V3_set_ctx(&ctx, issuer, x, NULL, NULL, 0);
	ext = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	ck_assert_ptr_nonnull(ext);
	ck_assert_int_eq(X509_add_ext(x, ext, -1), 1);
	X509_EXTENSION_free(ext);
}

static void
pki_fill(X509 *x, const struct tls_pki_want *want, X509 *issuer)
{
	static long	 serial;
	X509_NAME	*name = X509_get_subject_name(x);
	long		 days = want->days == 0 ? DAYS_DEFAULT : want->days;

	ck_assert_int_eq(X509_set_version(x, X509_VERSION_3), 1);
	ck_assert_int_eq(ASN1_INTEGER_set(X509_get_serialNumber(x),
	    ++serial), 1);
	ck_assert_int_eq(X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8,
	    (const unsigned char *)want->cn, -1, -1, 0), 1);
	ck_assert_ptr_nonnull(X509_gmtime_adj(X509_getm_notBefore(x),
	    -DAYS_BEFORE * DAY));
	ck_assert_ptr_nonnull(X509_gmtime_adj(X509_getm_notAfter(x),
	    days * DAY));
	ck_assert_int_eq(X509_set_issuer_name(x,
	    X509_get_subject_name(issuer)), 1);
	pki_extend(x, issuer, NID_basic_constraints,
	    want->is_ca ? "critical,CA:TRUE" : "critical,CA:FALSE");
	pki_extend(x, issuer, NID_subject_key_identifier, "hash");
	if (want->san != NULL)
		pki_extend(x, issuer, NID_subject_alt_name, want->san);
}

void
tls_pki_make(struct tls_pki *pki, const struct tls_pki_want *want,
    const struct tls_pki *issuer)
{
	const EVP_MD	*md = EVP_sha256();

	if (issuer == NULL)
		issuer = pki;
	pki->key = pki_key(want->key == NULL ? "P-256" : want->key);
	ck_assert_ptr_nonnull(pki->cert = X509_new());
	ck_assert_int_eq(X509_set_pubkey(pki->cert, pki->key), 1);
	pki_fill(pki->cert, want, issuer->cert);
	if (EVP_PKEY_get_base_id(issuer->key) == EVP_PKEY_ED25519 ||
	    EVP_PKEY_get_base_id(issuer->key) == EVP_PKEY_ED448)
		md = NULL;		/* it has one of its own */
	ck_assert_int_gt(X509_sign(pki->cert, issuer->key, md), 0);
}

void
tls_pki_clear(struct tls_pki *pki)
{
	X509_free(pki->cert);
	EVP_PKEY_free(pki->key);
	memset(pki, 0, sizeof(*pki));
}

/* What a memory BIO holds, as a string of our own. */
static char *
pki_text(BIO *out, size_t *len)
{
	char	*data, *text;
	long	 n = BIO_get_mem_data(out, &data);

	ck_assert_int_gt(n, 0);
	*len = (size_t)n;
	ck_assert_ptr_nonnull(text = malloc(*len + 1));
	memcpy(text, data, *len);
	text[*len] = '\0';
	BIO_free(out);
	return text;
}

char *
tls_pki_pem_chain(const struct tls_pki *const *pki, size_t n, size_t *len)
{
	BIO	*out = BIO_new(BIO_s_mem());
	size_t	 i;

	ck_assert_ptr_nonnull(out);
	for (i = 0; i < n; i++)
		ck_assert_int_eq(PEM_write_bio_X509(out, pki[i]->cert), 1);
	return pki_text(out, len);
}

char *
tls_pki_pem_key(const struct tls_pki *pki, size_t *len)
{
	BIO	*out = BIO_new(BIO_s_mem());

	ck_assert_ptr_nonnull(out);
	ck_assert_int_eq(PEM_write_bio_PKCS8PrivateKey(out, pki->key, NULL,
	    NULL, 0, NULL, NULL), 1);
	return pki_text(out, len);
}
