/*
 * Tests of what the keyholder may sign: each form of octets whole, then with
 * one thing in it that is not as it should be.
 */
#include "../../common/port/tls_request.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#define NROWS(rows)	((int)(sizeof(rows) / sizeof((rows)[0])))

#define SERVER		"TLS 1.3, server CertificateVerify"
#define CLIENT		"TLS 1.3, client CertificateVerify"
#define EXPORTED	"Exported Authenticator"

enum { REFUSED = 0, SIGNED };

/* TLS 1.3: blanks, a text with its NUL, a hash. */
static size_t
put_tls13(uint8_t *to, size_t blanks, const char *text, size_t hashlen)
{
	size_t	len = strlen(text) + 1;

	memset(to, ' ', blanks);
	memcpy(to + blanks, text, len);
	memset(to + blanks + len, 0x5a, hashlen);
	return blanks + len + hashlen;
}

/* TLS 1.2: randoms, group, its point; len octets of it or of what it says. */
static size_t
put_tls12(uint8_t *to, int has_sentinel, unsigned int group,
    unsigned int pointlen, uint8_t mark)
{
	memset(to, 0xa5, 64);
	if (has_sentinel)
		memcpy(to + 56, "DOWNGRD\001", 8);
	to[64] = 3;
	to[65] = (uint8_t)(group >> 8);
	to[66] = (uint8_t)(group & 0xff);
	to[67] = (uint8_t)pointlen;
	memset(to + 68, 0x77, pointlen);
	to[68] = mark;
	return 68 + pointlen;
}

/* The judgement, on octets of exactly that size for the checkers of memory. */
static int
judge(enum tls_kind kind, uint16_t scheme, const uint8_t *octets, size_t len,
    int has_tls13)
{
	const char	*why;
	uint8_t		*copy;

	ck_assert_ptr_nonnull(copy = malloc(len > 0 ? len : 1));
	memcpy(copy, octets, len);
	why = tls_request_check(kind, scheme, copy, len, has_tls13);
	free(copy);
	ck_assert(why == NULL || *why != '\0');
	return why == NULL ? SIGNED : REFUSED;
}

static const struct {
	enum tls_kind	kind;
	uint16_t	scheme;
	int		tls13;		/* what is to be of it */
	int		tls12;
} scheme_rows[] = {
	{ TLS_KIND_RSA,		0x0401, REFUSED, SIGNED },	/* PKCS1 */
	{ TLS_KIND_RSA,		0x0501, REFUSED, SIGNED },
	{ TLS_KIND_RSA,		0x0601, REFUSED, SIGNED },
	{ TLS_KIND_RSA,		0x0804, SIGNED, SIGNED },	/* PSS */
	{ TLS_KIND_RSA,		0x0805, SIGNED, SIGNED },
	{ TLS_KIND_RSA,		0x0806, SIGNED, SIGNED },
	{ TLS_KIND_RSA,		0x0201, REFUSED, REFUSED },	/* SHA-1 */
	{ TLS_KIND_RSA,		0x0301, REFUSED, REFUSED },	/* SHA-224 */
	{ TLS_KIND_RSA,		0x0809, REFUSED, REFUSED },	/* its OID */
	{ TLS_KIND_RSA,		0x0403, REFUSED, REFUSED },
	{ TLS_KIND_RSA,		0x0807, REFUSED, REFUSED },
	{ TLS_KIND_RSA,		0,	REFUSED, REFUSED },
	{ TLS_KIND_RSA,		1,	REFUSED, REFUSED },	/* a form */
	{ TLS_KIND_RSA,		0xffff, REFUSED, REFUSED },
	/* The curve is the scheme's in 1.3, in 1.2 the hash is free. */
	{ TLS_KIND_P256,	0x0403, SIGNED, SIGNED },
	{ TLS_KIND_P256,	0x0503, REFUSED, SIGNED },
	{ TLS_KIND_P256,	0x0603, REFUSED, SIGNED },
	{ TLS_KIND_P256,	0x0203, REFUSED, REFUSED },
	{ TLS_KIND_P256,	0x0401, REFUSED, REFUSED },
	{ TLS_KIND_P256,	0x0804, REFUSED, REFUSED },
	{ TLS_KIND_P256,	3,	REFUSED, REFUSED },	/* a form */
	{ TLS_KIND_P384,	0x0403, REFUSED, SIGNED },
	{ TLS_KIND_P384,	0x0503, SIGNED, SIGNED },
	{ TLS_KIND_P384,	0x0603, REFUSED, SIGNED },
	{ TLS_KIND_ED25519,	0x0807, SIGNED, SIGNED },
	{ TLS_KIND_ED25519,	0x0808, REFUSED, REFUSED },	/* Ed448 */
	{ TLS_KIND_ED25519,	0x0403, REFUSED, REFUSED },
	{ TLS_KIND_NONE,	0x0804, REFUSED, REFUSED },
	{ TLS_KIND_NONE,	0x0403, REFUSED, REFUSED },
	{ TLS_KIND_NONE,	0x0807, REFUSED, REFUSED },
};

START_TEST(schemes)
{
	uint8_t	octets[256];
	size_t	len;

	len = put_tls13(octets, 64, SERVER, 32);
	ck_assert_int_eq(judge(scheme_rows[_i].kind, scheme_rows[_i].scheme,
	    octets, len, 1), scheme_rows[_i].tls13);
	len = put_tls13(octets, 64, SERVER, 48);
	ck_assert_int_eq(judge(scheme_rows[_i].kind, scheme_rows[_i].scheme,
	    octets, len, 0), scheme_rows[_i].tls13);
	len = put_tls12(octets, 1, 0x001d, 32, 0);
	ck_assert_int_eq(judge(scheme_rows[_i].kind, scheme_rows[_i].scheme,
	    octets, len, 1), scheme_rows[_i].tls12);
}
END_TEST

/* No other number passes, with any key. */
START_TEST(all_schemes)
{
	static const enum tls_kind	kinds[] = {
		TLS_KIND_NONE, TLS_KIND_RSA, TLS_KIND_P256, TLS_KIND_P384,
		TLS_KIND_ED25519
	};
	uint8_t				octets[256];
	size_t				i, len;
	uint32_t			scheme;
	int				n = 0;

	len = put_tls12(octets, 1, 0x001d, 32, 0);
	for (scheme = 0; scheme <= UINT16_MAX; scheme++)
		for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
			n += tls_request_check(kinds[i], (uint16_t)scheme,
			    octets, len, 1) == NULL;
	ck_assert_int_eq(n, 6 + 3 + 3 + 1);
}
END_TEST

static const struct {
	size_t		 blanks;
	const char	*text;
	size_t		 hashlen;
	int		 want;
} tls13_rows[] = {
	{ 64,	SERVER,		32,	SIGNED },
	{ 64,	SERVER,		48,	SIGNED },
	{ 64,	SERVER,		0,	REFUSED },
	{ 64,	SERVER,		20,	REFUSED },
	{ 64,	SERVER,		31,	REFUSED },
	{ 64,	SERVER,		33,	REFUSED },
	{ 64,	SERVER,		47,	REFUSED },
	{ 64,	SERVER,		49,	REFUSED },
	{ 64,	SERVER,		64,	REFUSED },
	{ 64,	SERVER,		67,	REFUSED },	/* the longest */
	{ 64,	SERVER,		68,	REFUSED },
	{ 63,	SERVER,		33,	REFUSED },
	{ 65,	SERVER,		31,	REFUSED },
	{ 64,	CLIENT,		32,	REFUSED },
	{ 64,	CLIENT,		48,	REFUSED },
	{ 64,	EXPORTED,	43,	REFUSED },
	{ 64,	"TLS, server delegated credentials", 32, REFUSED },
	{ 64,	"TLS 1.3, server CertificateVerifx", 32, REFUSED },
	{ 64,	"TLS 1.3, server CertificateVerif",  33, REFUSED },
	{ 64,	"TLS 1.3, server CertificateVerify ", 31, REFUSED },
	{ 0,	SERVER,		96,	REFUSED },
};

START_TEST(tls13)
{
	uint8_t	octets[256];
	size_t	len;

	len = put_tls13(octets, tls13_rows[_i].blanks, tls13_rows[_i].text,
	    tls13_rows[_i].hashlen);
	ck_assert_int_eq(judge(TLS_KIND_P256, 0x0403, octets, len, 1),
	    tls13_rows[_i].want);
	ck_assert_int_eq(judge(TLS_KIND_RSA, 0x0804, octets, len, 0),
	    tls13_rows[_i].want);
}
END_TEST

static const struct {
	int		has_sentinel;
	int		has_tls13;
	unsigned int	group;
	unsigned int	pointlen;
	uint8_t		mark;
	int		want;
} tls12_rows[] = {
	{ 1, 1, 0x001d,	32,	0,	SIGNED },
	{ 1, 1, 0x001d,	32,	4,	SIGNED },	/* no mark there */
	{ 1, 1, 0x0017,	65,	4,	SIGNED },
	{ 1, 1, 0x0018,	97,	4,	SIGNED },
	/* Where 1.3 is not offered, there is no sentinel. */
	{ 0, 0, 0x001d,	32,	0,	SIGNED },
	{ 0, 0, 0x0018,	97,	4,	SIGNED },
	{ 1, 0, 0x001d,	32,	0,	SIGNED },
	{ 0, 1, 0x001d,	32,	0,	REFUSED },
	{ 0, 1, 0x0017,	65,	4,	REFUSED },
	{ 0, 1, 0x0018,	97,	4,	REFUSED },
	{ 1, 1, 0x001d,	31,	0,	REFUSED },
	{ 1, 1, 0x001d,	33,	0,	REFUSED },
	{ 1, 1, 0x001d,	65,	4,	REFUSED },
	{ 1, 1, 0x0017,	32,	4,	REFUSED },
	{ 1, 1, 0x0017,	97,	4,	REFUSED },
	{ 1, 1, 0x0017,	65,	2,	REFUSED },	/* compressed */
	{ 1, 1, 0x0017,	33,	2,	REFUSED },
	{ 1, 1, 0x0018,	97,	3,	REFUSED },
	{ 1, 1, 0x0018,	65,	4,	REFUSED },
	{ 1, 1, 0x0019,	133,	4,	REFUSED },	/* P-521 */
	{ 1, 1, 0x001e,	56,	0,	REFUSED },	/* X448 */
	{ 1, 1, 0x0100,	32,	0,	REFUSED },	/* ffdhe2048 */
	{ 1, 1, 0x1d00,	32,	0,	REFUSED },
	{ 1, 1, 0,	32,	0,	REFUSED },
};

START_TEST(tls12)
{
	uint8_t	octets[256];
	size_t	len;

	len = put_tls12(octets, tls12_rows[_i].has_sentinel,
	    tls12_rows[_i].group, tls12_rows[_i].pointlen,
	    tls12_rows[_i].mark);
	ck_assert_int_eq(judge(TLS_KIND_RSA, 0x0401, octets, len,
	    tls12_rows[_i].has_tls13), tls12_rows[_i].want);
	ck_assert_int_eq(judge(TLS_KIND_ED25519, 0x0807, octets, len,
	    tls12_rows[_i].has_tls13), tls12_rows[_i].want);
	/* One octet more or less. */
	octets[len] = 0;
	ck_assert_int_eq(judge(TLS_KIND_RSA, 0x0401, octets, len + 1,
	    tls12_rows[_i].has_tls13), REFUSED);
	ck_assert_int_eq(judge(TLS_KIND_RSA, 0x0401, octets, len - 1,
	    tls12_rows[_i].has_tls13), REFUSED);
}
END_TEST

/* Each octet that is fixed is looked at; the others are the handshake's. */
START_TEST(each_octet)
{
	uint8_t	octets[256];
	size_t	i, len;

	len = put_tls13(octets, 64, SERVER, 32);
	for (i = 0; i < len; i++) {
		octets[i] ^= 0x20;
		ck_assert_int_eq(judge(TLS_KIND_P256, 0x0403, octets, len, 1),
		    i < 98 ? REFUSED : SIGNED);
		octets[i] ^= 0x20;
	}
	len = put_tls12(octets, 1, 0x0017, 65, 4);
	for (i = 0; i < len; i++) {
		octets[i] ^= 0x20;
		ck_assert_int_eq(judge(TLS_KIND_P256, 0x0403, octets, len, 1),
		    i >= 56 && i <= 68 ? REFUSED : SIGNED);
		octets[i] ^= 0x20;
	}
}
END_TEST

/* Other things that keys sign, by how they begin. */
static const struct {
	const char	*what;
	const uint8_t	 head[8];
	size_t		 len;
} other_rows[] = {
	{ "TBSCertificate",	{ 0x30, 0x82, 0x02, 0x10, 0xa0 },	532 },
	{ "a short one",	{ 0x30, 0x62, 0xa0, 0x03, 0x02 },	100 },
	{ "request",		{ 0x30, 0x81, 0x9d, 0x02, 0x01 },	160 },
	{ "OCSP answer",	{ 0x30, 0x81, 0x8f, 0xa2, 0x16 },	146 },
	{ "JWT",		{ 'e', 'y', 'J', 'h', 'b', 'G' },	133 },
	{ "SSH",		{ 0, 0, 0, 32, 1, 2, 3, 4 },		165 },
	{ "S/MIME attributes",	{ 0x31, 0x5d, 0x30, 0x18 },		130 },
	{ "a digest",		{ 1, 2, 3 },				32 },
	{ "DigestInfo",		{ 0x30, 0x31, 0x30, 0x0d },		51 },
	{ "nothing",		{ 0 },					0 },
	{ "an octet",		{ ' ' },				1 },
	{ "blanks",		{ ' ' },				64 },
	{ "a block of RSA",	{ 0, 1, 0xff, 0xff },			256 },
	{ "the largest",	{ 0 },					1024 },
};

START_TEST(others)
{
	static const uint16_t	schemes_of_rsa[] = {
		0x0401, 0x0501, 0x0601, 0x0804, 0x0805, 0x0806
	};
	uint8_t			octets[1024];
	size_t			i;
	int			fill;

	for (fill = 0; fill <= UINT8_MAX; fill++) {
		memset(octets, fill, sizeof(octets));
		memcpy(octets, other_rows[_i].head,
		    other_rows[_i].len < 8 ? other_rows[_i].len : 8);
		for (i = 0; i < 6; i++)
			ck_assert_msg(judge(TLS_KIND_RSA, schemes_of_rsa[i],
			    octets, other_rows[_i].len, 0) == REFUSED, "%s",
			    other_rows[_i].what);
	}
}
END_TEST

/* Numbers and hashes, there and back. */
START_TEST(numbers)
{
	const struct tls_scheme	*scheme;
	uint32_t		 i;
	int			 n = 0;

	for (i = 0; i <= UINT16_MAX; i++) {
		if ((scheme = tls_scheme_find((uint16_t)i)) == NULL)
			continue;
		n++;
		ck_assert_uint_eq(scheme->number, i);
		ck_assert_uint_eq(tls_scheme_number(scheme->alg,
		    scheme->hash), i);
		ck_assert_int_eq(tls_hash_size(scheme->hash) == 0,
		    tls_hash_name(scheme->hash) == NULL);
	}
	ck_assert_int_eq(n, 10);
	ck_assert_uint_eq(tls_scheme_number(TLS_ALG_PSS, TLS_HASH_NONE), 0);
	ck_assert_uint_eq(tls_scheme_number(TLS_ALG_ED25519,
	    TLS_HASH_SHA256), 0);
	ck_assert_uint_eq(tls_hash_size(TLS_HASH_SHA384), 48);
	ck_assert_str_eq(tls_hash_name(TLS_HASH_SHA512), "SHA512");
}
END_TEST

int
main(void)
{
	Suite	*s = suite_create("tls_request");
	TCase	*tc = tcase_create("tls_request");
	SRunner	*sr = srunner_create(s);
	int	 nfailed;

	tcase_add_loop_test(tc, schemes, 0, NROWS(scheme_rows));
	tcase_add_test(tc, all_schemes);
	tcase_add_loop_test(tc, tls13, 0, NROWS(tls13_rows));
	tcase_add_loop_test(tc, tls12, 0, NROWS(tls12_rows));
	tcase_add_test(tc, each_octet);
	tcase_add_loop_test(tc, others, 0, NROWS(other_rows));
	tcase_add_test(tc, numbers);
	suite_add_tcase(s, tc);
	srunner_run_all(sr, CK_ENV);
	nfailed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return nfailed != 0;
}
