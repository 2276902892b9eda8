/*
 * Tests of the lesser check of what the keyholder may sign: digests in their
 * forms.  PSS blocks come out of real signatures, taken back to what was
 * signed with the public key.
 */
#include "../../common/port/tls_form.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>
#include <openssl/rsa.h>

#define NROWS(rows)	((int)(sizeof(rows) / sizeof((rows)[0])))
#define BLOCK_MAX	512

enum { REFUSED = 0, SIGNED };

/* RSA of these sizes: the block has 7 bits of its first octet, none, one. */
static const unsigned int	sizes[] = { 2048, 2049, 2050 };
static EVP_PKEY			*keys[sizeof(sizes) / sizeof(sizes[0])];

static void
set_up(void)
{
	EVP_PKEY_CTX	*ctx;
	size_t		 i;

	for (i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		ctx = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
		ck_assert_ptr_nonnull(ctx);
		ck_assert_int_eq(EVP_PKEY_keygen_init(ctx), 1);
		ck_assert_int_eq(EVP_PKEY_CTX_set_rsa_keygen_bits(ctx,
		    (int)sizes[i]), 1);
		/* Of two primes an odd size is not made. */
		ck_assert_int_eq(EVP_PKEY_CTX_set_rsa_keygen_primes(ctx, 3),
		    1);
		ck_assert_int_eq(EVP_PKEY_generate(ctx, &keys[i]), 1);
		ck_assert_int_eq(EVP_PKEY_get_bits(keys[i]), (int)sizes[i]);
		EVP_PKEY_CTX_free(ctx);
	}
}

static void
tear_down(void)
{
	size_t	i;

	for (i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		EVP_PKEY_free(keys[i]);
}

static int
judge(enum tls_kind kind, unsigned int bits, uint16_t form,
    const uint8_t *octets, size_t len)
{
	const char	*why;
	uint8_t		*copy;

	ck_assert_ptr_nonnull(copy = malloc(len > 0 ? len : 1));
	memcpy(copy, octets, len);
	why = tls_form_check(kind, bits, form, copy, len);
	free(copy);
	return why == NULL ? SIGNED : REFUSED;
}

/* What a signature with that padding and salt was made over. */
static size_t
signed_block(EVP_PKEY *key, const char *hash, int padding, int salt,
    uint8_t *block)
{
	EVP_MD_CTX	*md = EVP_MD_CTX_new();
	EVP_PKEY_CTX	*ctx;
	uint8_t		 sig[BLOCK_MAX];
	size_t		 siglen = sizeof(sig), len = BLOCK_MAX;

	ck_assert_int_eq(EVP_DigestSignInit_ex(md, &ctx, hash, NULL, NULL,
	    key, NULL), 1);
	ck_assert_int_eq(EVP_PKEY_CTX_set_rsa_padding(ctx, padding), 1);
	if (padding == RSA_PKCS1_PSS_PADDING)
		ck_assert_int_eq(EVP_PKEY_CTX_set_rsa_pss_saltlen(ctx, salt),
		    1);
	ck_assert_int_eq(EVP_DigestSign(md, sig, &siglen,
	    (const uint8_t *)"text", 4), 1);
	EVP_MD_CTX_free(md);
	ck_assert_ptr_nonnull(ctx = EVP_PKEY_CTX_new(key, NULL));
	ck_assert_int_eq(EVP_PKEY_encrypt_init(ctx), 1);
	ck_assert_int_eq(EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_NO_PADDING),
	    1);
	ck_assert_int_eq(EVP_PKEY_encrypt(ctx, block, &len, sig, siglen), 1);
	EVP_PKEY_CTX_free(ctx);
	return len;
}

static const struct {
	const char	*hash;
	int		 padding;
	int		 salt;
	int		 want;
} pss_rows[] = {
	{ "SHA256",	RSA_PKCS1_PSS_PADDING,	-1,	SIGNED },
	{ "SHA384",	RSA_PKCS1_PSS_PADDING,	-1,	SIGNED },
	{ "SHA512",	RSA_PKCS1_PSS_PADDING,	-1,	SIGNED },
	{ "SHA256",	RSA_PKCS1_PSS_PADDING,	32,	SIGNED },
	{ "SHA256",	RSA_PKCS1_PSS_PADDING,	0,	REFUSED },
	{ "SHA256",	RSA_PKCS1_PSS_PADDING,	31,	REFUSED },
	{ "SHA256",	RSA_PKCS1_PSS_PADDING,	33,	REFUSED },
	{ "SHA256",	RSA_PKCS1_PSS_PADDING,	48,	REFUSED },
	{ "SHA512",	RSA_PKCS1_PSS_PADDING,	20,	REFUSED },
	{ "SHA1",	RSA_PKCS1_PSS_PADDING,	-1,	REFUSED },
	{ "SHA224",	RSA_PKCS1_PSS_PADDING,	-1,	REFUSED },
	{ "SHA3-256",	RSA_PKCS1_PSS_PADDING,	-1,	REFUSED },
	{ "SHA256",	RSA_PKCS1_PADDING,	0,	REFUSED },
};

START_TEST(pss)
{
	uint8_t	block[BLOCK_MAX];
	size_t	i, len;

	for (i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		len = signed_block(keys[i], pss_rows[_i].hash,
		    pss_rows[_i].padding, pss_rows[_i].salt, block);
		ck_assert_uint_eq(len, (sizes[i] + 7) / 8);
		ck_assert_int_eq(judge(TLS_KIND_RSA, sizes[i], TLS_FORM_PSS,
		    block, len), pss_rows[_i].want);
	}
}
END_TEST

/* Of each octet a bit turned over: in the mask it is seen, or it is salt. */
START_TEST(pss_each_octet)
{
	uint8_t	block[BLOCK_MAX];
	size_t	i, len, saltat;

	len = signed_block(keys[0], "SHA256", RSA_PKCS1_PSS_PADDING, -1,
	    block);
	saltat = len - 1 - 32 - 32;
	for (i = 0; i < len; i++) {
		block[i] ^= 1;
		ck_assert_int_eq(judge(TLS_KIND_RSA, 2048, TLS_FORM_PSS,
		    block, len), i >= saltat && i < saltat + 32 ? SIGNED :
		    REFUSED);
		block[i] ^= 1;
	}
	block[0] |= 0x80;
	ck_assert_int_eq(judge(TLS_KIND_RSA, 2048, TLS_FORM_PSS, block, len),
	    REFUSED);
}
END_TEST

/* The size must be the key's. */
START_TEST(pss_size)
{
	uint8_t	block[BLOCK_MAX] = { 0 };
	size_t	len;

	len = signed_block(keys[0], "SHA256", RSA_PKCS1_PSS_PADDING, -1,
	    block);
	ck_assert_int_eq(judge(TLS_KIND_RSA, 2048, TLS_FORM_PSS, block,
	    len - 1), REFUSED);
	ck_assert_int_eq(judge(TLS_KIND_RSA, 2048, TLS_FORM_PSS, block,
	    len + 1), REFUSED);
	ck_assert_int_eq(judge(TLS_KIND_RSA, 2040, TLS_FORM_PSS, block, len),
	    REFUSED);
	ck_assert_int_eq(judge(TLS_KIND_RSA, 2056, TLS_FORM_PSS, block, len),
	    REFUSED);
	ck_assert_int_eq(judge(TLS_KIND_RSA, 0, TLS_FORM_PSS, block, 0),
	    REFUSED);
	block[0] = 0xbc;
	ck_assert_int_eq(judge(TLS_KIND_RSA, 8, TLS_FORM_PSS, block, 1),
	    REFUSED);
	ck_assert_int_eq(judge(TLS_KIND_RSA, 16, TLS_FORM_PSS, block, 2),
	    REFUSED);
}
END_TEST

static const struct {
	const char	*hash;
	int		 want;
} pkcs1_rows[] = {
	{ "SHA256",	SIGNED },
	{ "SHA384",	SIGNED },
	{ "SHA512",	SIGNED },
	{ "SHA1",	REFUSED },
	{ "SHA224",	REFUSED },
	{ "SHA3-256",	REFUSED },
};

/* DigestInfo stands behind 00 01 ff .. ff 00. */
START_TEST(pkcs1)
{
	uint8_t	block[BLOCK_MAX], *at;
	size_t	i, len, all;
	int	want;

	all = signed_block(keys[0], pkcs1_rows[_i].hash, RSA_PKCS1_PADDING, 0,
	    block);
	ck_assert_ptr_nonnull(at = memchr(block + 1, 0, all - 1));
	at++;
	len = all - (size_t)(at - block);
	ck_assert_int_eq(judge(TLS_KIND_RSA, 2048, TLS_FORM_PKCS1, at, len),
	    pkcs1_rows[_i].want);
	ck_assert_int_eq(judge(TLS_KIND_RSA, 2048, TLS_FORM_PKCS1, at,
	    len - 1), REFUSED);
	ck_assert_int_eq(judge(TLS_KIND_RSA, 2048, TLS_FORM_PKCS1, block,
	    all), REFUSED);
	for (i = 0; i < len; i++) {
		at[i] ^= 1;
		want = i < 19 ? REFUSED : pkcs1_rows[_i].want;
		ck_assert_int_eq(judge(TLS_KIND_RSA, 2048, TLS_FORM_PKCS1,
		    at, len), want);
		at[i] ^= 1;
	}
}
END_TEST

static const struct {
	enum tls_kind	kind;
	uint16_t	form;
	size_t		len;
	int		want;
} other_rows[] = {
	{ TLS_KIND_P256,	TLS_FORM_ECDSA,	32,	SIGNED },
	{ TLS_KIND_P256,	TLS_FORM_ECDSA,	48,	SIGNED },
	{ TLS_KIND_P384,	TLS_FORM_ECDSA,	48,	SIGNED },
	{ TLS_KIND_P384,	TLS_FORM_ECDSA,	64,	SIGNED },
	{ TLS_KIND_P256,	TLS_FORM_ECDSA,	20,	REFUSED },
	{ TLS_KIND_P256,	TLS_FORM_ECDSA,	28,	REFUSED },
	{ TLS_KIND_P256,	TLS_FORM_ECDSA,	31,	REFUSED },
	{ TLS_KIND_P256,	TLS_FORM_ECDSA,	33,	REFUSED },
	{ TLS_KIND_P256,	TLS_FORM_ECDSA,	0,	REFUSED },
	{ TLS_KIND_P256,	TLS_FORM_PKCS1,	51,	REFUSED },
	{ TLS_KIND_P256,	TLS_FORM_PSS,	256,	REFUSED },
	{ TLS_KIND_RSA,		TLS_FORM_ECDSA,	32,	REFUSED },
	{ TLS_KIND_RSA,		TLS_FORM_NONE,	32,	REFUSED },
	{ TLS_KIND_RSA,		0x0804,		130,	REFUSED },
	{ TLS_KIND_RSA,		4,		32,	REFUSED },
	{ TLS_KIND_ED25519,	TLS_FORM_ECDSA,	32,	REFUSED },
	{ TLS_KIND_NONE,	TLS_FORM_ECDSA,	32,	REFUSED },
};

START_TEST(others)
{
	uint8_t	octets[BLOCK_MAX] = { 0 };

	ck_assert_int_eq(judge(other_rows[_i].kind, 2048, other_rows[_i].form,
	    octets, other_rows[_i].len), other_rows[_i].want);
}
END_TEST

int
main(void)
{
	Suite	*s = suite_create("tls_form");
	TCase	*tc = tcase_create("tls_form");
	SRunner	*sr = srunner_create(s);
	int	 nfailed;

	tcase_add_unchecked_fixture(tc, set_up, tear_down);
	tcase_add_loop_test(tc, pss, 0, NROWS(pss_rows));
	tcase_add_test(tc, pss_each_octet);
	tcase_add_test(tc, pss_size);
	tcase_add_loop_test(tc, pkcs1, 0, NROWS(pkcs1_rows));
	tcase_add_loop_test(tc, others, 0, NROWS(other_rows));
	suite_add_tcase(s, tc);
	srunner_run_all(sr, CK_ENV);
	nfailed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return nfailed != 0;
}
