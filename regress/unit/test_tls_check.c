/*
 * Tests of what is looked at before service starts: certificates, keys,
 * authorities, cipher lists.  Files are put together from pieces, some of them
 * damaged.
 */
#include "../../common/port/tls.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>
#include <openssl/pem.h>

#include "tls_pki.h"

#define NROWS(rows)	((int)(sizeof(rows) / sizeof((rows)[0])))
#define FILE_MAX	32768
#define PARTS_MAX	6

/* Pieces of PEM files. */
enum part {
	END = 0,
	CERT_RSA, CERT_P256, CERT_P384, CERT_ED, CERT_OLD, CERT_ED448,
	CERT_SMALL, CERT_P521, CERT_CA,
	KEY_RSA, KEY_P256, KEY_P384, KEY_ED, KEY_OLD, KEY_ED448,
	KEY_SMALL, KEY_P521, KEY_PSS,
	KEY_RSA_PLAIN, KEY_P256_PLAIN, KEY_ENCRYPTED, KEY_ENCRYPTED_PLAIN,
	KEY_PUBLIC,
	COMMENT, GARBAGE, BAD_BEGIN, BAD_BASE64, BAD_DER, LONG_DER, HALF,
	EC_PARAMETERS, A_CRL, NUL,
	NPARTS
};

static char			*parts[NPARTS];
static size_t			 part_len[NPARTS];
static int			 is_native;

/* --- The pieces --- */

static void
keep_text(enum part part, const char *text)
{
	ck_assert_ptr_nonnull(parts[part] = strdup(text));
	part_len[part] = strlen(text);
}

static void
keep_bio(enum part part, BIO *bio)
{
	char	*data;
	long	 n = BIO_get_mem_data(bio, &data);

	ck_assert_int_gt(n, 0);
	ck_assert_ptr_nonnull(parts[part] = malloc((size_t)n));
	memcpy(parts[part], data, (size_t)n);
	part_len[part] = (size_t)n;
	BIO_free(bio);
}

static void
keep_pair(const struct tls_pki *pki, enum part cert, enum part key)
{
	parts[cert] = tls_pki_pem_chain(&pki, 1, &part_len[cert]);
	if (key != END)
		parts[key] = tls_pki_pem_key(pki, &part_len[key]);
}

/* The forms of before PKCS #8, and what can't be read without a password. */
static void
keep_forms(const struct tls_pki *pki, enum part plain)
{
	BIO	*bio = BIO_new(BIO_s_mem());

	ck_assert_int_eq(PEM_write_bio_PrivateKey_traditional(bio, pki->key,
	    NULL, NULL, 0, NULL, NULL), 1);
	keep_bio(plain, bio);
	if (plain != KEY_P256_PLAIN)
		return;
	bio = BIO_new(BIO_s_mem());
	ck_assert_int_eq(PEM_write_bio_PrivateKey_traditional(bio, pki->key,
	    EVP_aes_128_cbc(), (const unsigned char *)"pass", 4, NULL, NULL),
	    1);
	keep_bio(KEY_ENCRYPTED_PLAIN, bio);
	bio = BIO_new(BIO_s_mem());
	ck_assert_int_eq(PEM_write_bio_PKCS8PrivateKey(bio, pki->key,
	    EVP_aes_128_cbc(), "pass", 4, NULL, NULL), 1);
	keep_bio(KEY_ENCRYPTED, bio);
	bio = BIO_new(BIO_s_mem());
	ck_assert_int_eq(PEM_write_bio_PUBKEY(bio, pki->key), 1);
	keep_bio(KEY_PUBLIC, bio);
}

/* A certificate whose octets have some more behind them, or fewer. */
static void
keep_der(const struct tls_pki *pki, enum part part, int more)
{
	unsigned char	*der = NULL, *copy;
	BIO		*bio = BIO_new(BIO_s_mem());
	int		 len;

	ck_assert_int_gt(len = i2d_X509(pki->cert, &der), 0);
	ck_assert_ptr_nonnull(copy = calloc(1, (size_t)len + 8));
	memcpy(copy, der, (size_t)len);
	ck_assert_int_gt(PEM_write_bio(bio, PEM_STRING_X509, "", copy,
	    len + more), 0);
	keep_bio(part, bio);
	free(copy);
	OPENSSL_free(der);
}

static void
keep_broken(void)
{
	keep_text(COMMENT, "Subject: CN=mx.example\n  a comment\n\n");
	keep_text(GARBAGE, "-----BEGIN JUNK-----\nAAAA\n-----END JUNK-----\n");
	keep_text(BAD_BEGIN, "-----BEGIN CERTIFICATE---\nAAAA\n"
	    "-----END CERTIFICATE-----\n");
	keep_text(BAD_BASE64, "-----BEGIN CERTIFICATE-----\n!!!!\n"
	    "-----END CERTIFICATE-----\n");
	keep_text(EC_PARAMETERS, "-----BEGIN EC PARAMETERS-----\n"
	    "BggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n");
	keep_text(A_CRL, "-----BEGIN X509 CRL-----\nAAAA\n"
	    "-----END X509 CRL-----\n");
	ck_assert_ptr_nonnull(parts[NUL] = calloc(1, 1));
	part_len[NUL] = 1;
	ck_assert_ptr_nonnull(parts[HALF] = strdup(parts[CERT_P256]));
	part_len[HALF] = part_len[CERT_P256] / 2;
}

/* RSA under an OID of its own. */
static void
keep_pss_key(void)
{
	struct tls_pki	 pki = { NULL, NULL };
	EVP_PKEY_CTX	*ctx;

	ctx = EVP_PKEY_CTX_new_from_name(NULL, "RSA-PSS", NULL);
	ck_assert_ptr_nonnull(ctx);
	ck_assert_int_eq(EVP_PKEY_keygen_init(ctx), 1);
	ck_assert_int_eq(EVP_PKEY_generate(ctx, &pki.key), 1);
	EVP_PKEY_CTX_free(ctx);
	parts[KEY_PSS] = tls_pki_pem_key(&pki, &part_len[KEY_PSS]);
	tls_pki_clear(&pki);
}

/* One signed by itself with a key that tls_pki does not make. */
static void
keep_odd_pair(EVP_PKEY *key, enum part cert, enum part keypart)
{
	struct tls_pki_want	 want = { .cn = "x" };
	struct tls_pki		 pki = { NULL, NULL };

	ck_assert_ptr_nonnull(key);
	tls_pki_make(&pki, &want, NULL);
	EVP_PKEY_free(pki.key);
	pki.key = key;
	ck_assert_int_eq(X509_set_pubkey(pki.cert, key), 1);
	ck_assert_int_gt(X509_sign(pki.cert, key, EVP_sha256()), 0);
	keep_pair(&pki, cert, keypart);
	tls_pki_clear(&pki);
}

static const struct {
	const char	*type;
	enum part	 cert;
	enum part	 key;
	int		 days;
	int		 is_ca;
	enum part	 plain;
} made[] = {
	{ "RSA",	CERT_RSA,	KEY_RSA,	0, 0, KEY_RSA_PLAIN },
	{ "P-256",	CERT_P256,	KEY_P256,	0, 0, KEY_P256_PLAIN },
	{ "P-384",	CERT_P384,	KEY_P384,	0, 0, END },
	{ "ED25519",	CERT_ED,	KEY_ED,		0, 0, END },
	{ "ED448",	CERT_ED448,	KEY_ED448,	0, 0, END },
	{ "P-256",	CERT_OLD,	KEY_OLD,	-1, 0, END },
	{ "P-256",	CERT_CA,	END,		0, 1, END },
};

static void
set_up(void)
{
	struct tls_pki_want	 want = { .cn = "mx.example" };
	struct tls_pki		 pki = { NULL, NULL };
	const char		*what;
	int			 i;

	ck_assert_int_eq(port_tls_init(&what), 0);
	is_native = port_tls_has_ed25519();
	for (i = 0; i < NROWS(made); i++) {
		want.key = made[i].type;
		want.days = made[i].days;
		want.is_ca = made[i].is_ca;
		tls_pki_make(&pki, &want, NULL);
		keep_pair(&pki, made[i].cert, made[i].key);
		if (made[i].plain != END)
			keep_forms(&pki, made[i].plain);
		if (made[i].cert == CERT_P256) {
			keep_der(&pki, LONG_DER, 4);
			keep_der(&pki, BAD_DER, -4);
		}
		tls_pki_clear(&pki);
	}
	keep_odd_pair(EVP_RSA_gen(1024U), CERT_SMALL, KEY_SMALL);
	keep_odd_pair(EVP_EC_gen("P-521"), CERT_P521, KEY_P521);
	keep_pss_key();
	keep_broken();
}

static void
tear_down(void)
{
	int	i;

	for (i = 0; i < NPARTS; i++)
		free(parts[i]);
}

/* A file of exactly its size, for the checkers of memory. */
static uint8_t *
file_of(const enum part *list, size_t *len)
{
	uint8_t	*file;
	size_t	 at = 0;
	int	 i;

	ck_assert_ptr_nonnull(file = malloc(FILE_MAX));
	for (i = 0; i < PARTS_MAX && list[i] != END; i++) {
		ck_assert_uint_lt(part_len[list[i]], FILE_MAX - at);
		memcpy(file + at, parts[list[i]], part_len[list[i]]);
		at += part_len[list[i]];
	}
	*len = at;
	return realloc(file, at > 0 ? at : 1);
}

/* Is it as it should be: nothing wrong, or this part of a text? */
static void
check_why(const char *got, const char *want)
{
	if (want == NULL)
		ck_assert_msg(got == NULL, "%s", got);
	else
		ck_assert_msg(got != NULL && strstr(got, want) != NULL,
		    "\"%s\" is not in \"%s\"", want,
		    got == NULL ? "nothing" : got);
}

/* --- Pairs --- */

static const struct {
	enum part	 cert[PARTS_MAX];
	enum part	 key[PARTS_MAX];
	const char	*why;		/* NULL: good */
} pair_rows[] = {
	{ { CERT_RSA },			{ KEY_RSA },		NULL },
	{ { CERT_P256 },		{ KEY_P256 },		NULL },
	{ { CERT_P384 },		{ KEY_P384 },		NULL },
	{ { CERT_RSA },			{ KEY_RSA_PLAIN },	NULL },
	{ { CERT_P256 },		{ KEY_P256_PLAIN },	NULL },
	{ { CERT_OLD },			{ KEY_OLD },		NULL },
	{ { CERT_P256, CERT_CA },	{ KEY_P256 },		NULL },
	{ { CERT_P256, CERT_CA, CERT_RSA }, { KEY_P256 },	NULL },
	{ { COMMENT, CERT_P256, COMMENT, CERT_CA, COMMENT }, { KEY_P256 },
	    NULL },
	{ { CERT_P256 },		{ COMMENT, KEY_P256, COMMENT }, NULL },
	/* openssl ecparam -genkey; a key file with its chain behind it */
	{ { CERT_P256 },		{ EC_PARAMETERS, KEY_P256_PLAIN },
	    NULL },
	{ { CERT_P256 },		{ KEY_P256, CERT_P256 }, NULL },
	/* They don't match. */
	{ { CERT_P256 },		{ KEY_OLD },	"don't belong" },
	{ { CERT_P256 },		{ KEY_RSA },	"don't belong" },
	{ { CERT_RSA },			{ KEY_P384 },	"don't belong" },
	{ { CERT_CA, CERT_P256 },	{ KEY_P256 },	"must be the first" },
	{ { CERT_RSA, CERT_CA, CERT_P256 }, { KEY_P256 },
	    "must be the first" },
	/* The certificates. */
	{ { END },			{ KEY_P256 },
	    "certificate: no certificate" },
	{ { COMMENT },			{ KEY_P256 },
	    "certificate: no certificate" },
	{ { CERT_P256, KEY_P256 },	{ KEY_P256 },
	    "block 2 is a private key" },
	{ { KEY_P256_PLAIN, CERT_P256 }, { KEY_P256 },
	    "block 1 is a private key" },
	{ { CERT_P256, KEY_ENCRYPTED },	{ KEY_P256 },
	    "block 2 is a private key" },
	{ { CERT_P256, GARBAGE },	{ KEY_P256 },	"block 2 is none" },
	{ { CERT_P256, A_CRL },		{ KEY_P256 },	"block 2 is none" },
	{ { CERT_P256, BAD_DER },	{ KEY_P256 },	"block 2 is none" },
	{ { CERT_P256, LONG_DER },	{ KEY_P256 },	"block 2 is none" },
	{ { CERT_P256, BAD_BASE64 },	{ KEY_P256 },	"block 2 is not" },
	{ { CERT_P256, HALF },		{ KEY_P256 },	"block 2 is not" },
	{ { HALF },			{ KEY_P256 },	"block 1 is not" },
	{ { CERT_P256, BAD_BEGIN },	{ KEY_P256 },	"damaged" },
	{ { BAD_BEGIN, CERT_P256 },	{ KEY_P256 },	"damaged" },
	{ { KEY_PUBLIC },		{ KEY_P256 },	"block 1 is none" },
	/* The key. */
	{ { CERT_P256 },	{ END },	"key: no private key" },
	{ { CERT_P256 },	{ COMMENT },	"key: no private key" },
	{ { CERT_P256 },	{ CERT_P256 },	"key: no private key" },
	{ { CERT_P256 },	{ KEY_PUBLIC },	"key: no private key" },
	{ { CERT_P256 },	{ GARBAGE },	"key: no private key" },
	{ { CERT_P256 },	{ NUL, NUL },	"key: no private key" },
	{ { CERT_P256 },	{ KEY_ENCRYPTED },	"key: an encrypted" },
	{ { CERT_P256 },	{ KEY_ENCRYPTED_PLAIN }, "key: an encrypted" },
	{ { CERT_SMALL },	{ KEY_SMALL },	"less than 2048" },
	{ { CERT_P521 },	{ KEY_P521 },	"another curve" },
	{ { CERT_P256 },	{ KEY_PSS },	"type RSA-PSS" },
	{ { CERT_ED448 },	{ KEY_ED448 },	"another type" },
};

START_TEST(pairs)
{
	char	 why[TLS_WHY_MAX];
	uint8_t	*cert, *key;
	size_t	 certlen, keylen;

	cert = file_of(pair_rows[_i].cert, &certlen);
	key = file_of(pair_rows[_i].key, &keylen);
	check_why(port_tls_check_pair(cert, certlen, key, keylen, why),
	    pair_rows[_i].why);
	free(cert);
	free(key);
}
END_TEST

START_TEST(pair_ed25519)
{
	const enum part	 cert[PARTS_MAX] = { CERT_ED };
	const enum part	 key[PARTS_MAX] = { KEY_ED };
	char		 why[TLS_WHY_MAX];
	uint8_t		*c, *k;
	size_t		 clen, klen;

	c = file_of(cert, &clen);
	k = file_of(key, &klen);
	check_why(port_tls_check_pair(c, clen, k, klen, why),
	    is_native ? NULL : "Ed25519");
	free(c);
	free(k);
}
END_TEST

/* A file that ends early, anywhere, is not a good one, and breaks nothing. */
START_TEST(pair_cut)
{
	char	 why[TLS_WHY_MAX];
	uint8_t	*copy;
	size_t	 i, len = part_len[_i == 0 ? CERT_P256 : KEY_P256];
	enum part whole = _i == 0 ? KEY_P256 : CERT_P256;

	/* The last line's end may be missing. */
	for (i = 0; i + 1 < len; i++) {
		ck_assert_ptr_nonnull(copy = malloc(i > 0 ? i : 1));
		memcpy(copy, parts[_i == 0 ? CERT_P256 : KEY_P256], i);
		ck_assert_ptr_nonnull(_i == 0 ?
		    port_tls_check_pair(copy, i, (uint8_t *)parts[whole],
		    part_len[whole], why) :
		    port_tls_check_pair((uint8_t *)parts[whole],
		    part_len[whole], copy, i, why));
		free(copy);
	}
}
END_TEST

/* --- Keys alone, as the keyholder loads them --- */

static const struct {
	enum part	 key[PARTS_MAX];
	const char	*why;
} key_rows[] = {
	{ { KEY_RSA },			NULL },
	{ { KEY_P256 },			NULL },
	{ { KEY_P384 },			NULL },
	{ { KEY_RSA_PLAIN },		NULL },
	{ { KEY_P256_PLAIN },		NULL },
	{ { CERT_P256, KEY_P256 },	NULL },
	{ { KEY_SMALL },		"less than 2048" },
	{ { KEY_PSS },			"RSA-PSS" },
	{ { KEY_P521 },			"another curve" },
	{ { KEY_ED448 },		"another type" },
	{ { KEY_ENCRYPTED },		"encrypted" },
	{ { KEY_ENCRYPTED_PLAIN },	"encrypted" },
	{ { EC_PARAMETERS },		"no private key" },
	{ { END },			"no private key" },
};

START_TEST(keys)
{
	struct port_tls_key	*key;
	const char		*why = NULL;
	uint8_t			*file;
	size_t			 len;

	file = file_of(key_rows[_i].key, &len);
	key = port_tls_key_load(file, len, &why);
	ck_assert_int_eq(key != NULL, key_rows[_i].why == NULL);
	if (key == NULL)
		check_why(why, key_rows[_i].why);
	port_tls_key_free(key);
	free(file);
	port_tls_key_free(NULL);
}
END_TEST

/* --- Authorities --- */

static const struct {
	enum part	 file[PARTS_MAX];
	const char	*why;
} ca_rows[] = {
	{ { CERT_CA },				NULL },
	{ { CERT_CA, CERT_CA },			NULL },
	{ { COMMENT, CERT_CA, COMMENT, CERT_OLD, COMMENT }, NULL },
	{ { CERT_ED448, CERT_P521, CERT_SMALL },	NULL },
	{ { END },				"no certificate" },
	{ { COMMENT },				"no certificate" },
	{ { CERT_CA, KEY_P256 },		"block 2 is a private key" },
	{ { CERT_CA, LONG_DER },		"block 2 is none" },
	{ { CERT_CA, HALF },			"block 2 is not" },
	{ { CERT_CA, BAD_BEGIN },		"damaged" },
};

START_TEST(authorities)
{
	char	 why[TLS_WHY_MAX];
	uint8_t	*file;
	size_t	 len;

	file = file_of(ca_rows[_i].file, &len);
	check_why(port_tls_check_ca(file, len, why), ca_rows[_i].why);
	free(file);
}
END_TEST

/* --- Ciphers --- */

static const struct {
	const char	*list;
	const char	*why;
} cipher_rows[] = {
	{ "ECDHE-RSA-AES128-GCM-SHA256",	NULL },
	{ "ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384", NULL },
	{ "ECDHE+AESGCM",			NULL },
	{ "ECDHE+AESGCM:no-such-cipher",	NULL },
	{ "ECDHE+AES:!SHA1",			NULL },
	{ "",					"no cipher" },
	{ "no-such-cipher",			"no cipher" },
	{ "AES128-GCM-SHA256",			"AES128-GCM-SHA256: only" },
	{ "DHE-RSA-AES128-GCM-SHA256",		"only ciphers" },
	{ "ECDHE+AESGCM:AES128-SHA",		"AES128-SHA: only" },
	{ "AECDH-AES128-SHA:@SECLEVEL=0",	"only ciphers" },
	{ "ECDHE-RSA-NULL-SHA:@SECLEVEL=0",	"only ciphers" },
	{ "PSK-AES128-GCM-SHA256",		"only ciphers" },
	{ "ECDHE-PSK-AES128-CBC-SHA",		"only ciphers" },
	{ "ALL",				"only ciphers" },
};

START_TEST(ciphers)
{
	char	why[TLS_WHY_MAX];

	check_why(port_tls_check_ciphers(cipher_rows[_i].list, why),
	    cipher_rows[_i].why);
}
END_TEST

int
main(void)
{
	Suite	*s = suite_create("tls_check");
	TCase	*tc = tcase_create("tls_check");
	SRunner	*sr = srunner_create(s);
	int	 nfailed;

	tcase_set_timeout(tc, 30);
	tcase_add_unchecked_fixture(tc, set_up, tear_down);
	tcase_add_loop_test(tc, pairs, 0, NROWS(pair_rows));
	tcase_add_test(tc, pair_ed25519);
	tcase_add_loop_test(tc, pair_cut, 0, 2);
	tcase_add_loop_test(tc, keys, 0, NROWS(key_rows));
	tcase_add_loop_test(tc, authorities, 0, NROWS(ca_rows));
	tcase_add_loop_test(tc, ciphers, 0, NROWS(cipher_rows));
	suite_add_tcase(s, tc);
	srunner_run_all(sr, CK_ENV);
	nfailed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return nfailed != 0;
}
