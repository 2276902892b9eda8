/*
 * What may be signed with the server's key.  Runs in the keyholder, on octets
 * from a worker that may have been taken over: whatever passes here becomes a
 * signature.  A certificate, a client's CertificateVerify, a token or any
 * other thing that keys sign has neither of the two forms.
 */
#include "tls_request.h"

#include <string.h>

#define RANDOMS		64		/* of the client, of the server */
#define SENTINEL_AT	56
#define CURVE_NAMED	3		/* ECCurveType named_curve */
#define POINT_AT	(RANDOMS + 4)	/* behind type, group, length */
#define CONTEXT_AT	64		/* behind the blanks */
#define CONTEXT_LEN	34		/* with its 0 */

static const uint8_t	sentinel[8] = { 'D', 'O', 'W', 'N', 'G', 'R', 'D', 1 };
static const char	context[CONTEXT_LEN] =
			    "TLS 1.3, server CertificateVerify";

static const struct tls_scheme	schemes[] = {
	{ 0x0401, TLS_ALG_PKCS1,	TLS_HASH_SHA256, TLS_KIND_NONE },
	{ 0x0501, TLS_ALG_PKCS1,	TLS_HASH_SHA384, TLS_KIND_NONE },
	{ 0x0601, TLS_ALG_PKCS1,	TLS_HASH_SHA512, TLS_KIND_NONE },
	{ 0x0403, TLS_ALG_ECDSA,	TLS_HASH_SHA256, TLS_KIND_P256 },
	{ 0x0503, TLS_ALG_ECDSA,	TLS_HASH_SHA384, TLS_KIND_P384 },
	{ 0x0603, TLS_ALG_ECDSA,	TLS_HASH_SHA512, TLS_KIND_NONE },
	{ 0x0804, TLS_ALG_PSS,		TLS_HASH_SHA256, TLS_KIND_RSA },
	{ 0x0805, TLS_ALG_PSS,		TLS_HASH_SHA384, TLS_KIND_RSA },
	{ 0x0806, TLS_ALG_PSS,		TLS_HASH_SHA512, TLS_KIND_RSA },
	{ 0x0807, TLS_ALG_ED25519,	TLS_HASH_NONE,	 TLS_KIND_ED25519 },
};

static const struct {
	uint16_t	group;
	size_t		pointlen;
	int		is_marked;	/* the point starts with 4 */
} groups[] = {
	{ 0x001d,	32,	0 },	/* X25519 */
	{ 0x0017,	65,	1 },	/* P-256 */
	{ 0x0018,	97,	1 },	/* P-384 */
};

const struct tls_scheme *
tls_scheme_find(uint16_t number)
{
	size_t	i;

	for (i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++)
		if (schemes[i].number == number)
			return &schemes[i];
	return NULL;
}

uint16_t
tls_scheme_number(enum tls_alg alg, enum tls_hash hash)
{
	size_t	i;

	for (i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++)
		if (schemes[i].alg == alg && schemes[i].hash == hash)
			return schemes[i].number;
	return 0;
}

size_t
tls_hash_size(enum tls_hash hash)
{
	switch (hash) {
	case TLS_HASH_SHA256:
		return 32;
	case TLS_HASH_SHA384:
		return 48;
	case TLS_HASH_SHA512:
		return 64;
	case TLS_HASH_NONE:
		break;
	}
	return 0;
}

const char *
tls_hash_name(enum tls_hash hash)
{
	switch (hash) {
	case TLS_HASH_SHA256:
		return "SHA256";
	case TLS_HASH_SHA384:
		return "SHA384";
	case TLS_HASH_SHA512:
		return "SHA512";
	case TLS_HASH_NONE:
		break;
	}
	return NULL;
}

/* Does a scheme of that algorithm belong to such a key, whatever the curve? */
static int
alg_fits(enum tls_alg alg, enum tls_kind kind)
{
	switch (alg) {
	case TLS_ALG_PKCS1:
	case TLS_ALG_PSS:
		return kind == TLS_KIND_RSA;
	case TLS_ALG_ECDSA:
		return kind == TLS_KIND_P256 || kind == TLS_KIND_P384;
	case TLS_ALG_ED25519:
		return kind == TLS_KIND_ED25519;
	case TLS_ALG_NONE:
		break;
	}
	return 0;
}

static const char *
check_tls13(enum tls_kind kind, const struct tls_scheme *scheme,
    const uint8_t *octets, size_t len)
{
	size_t	hashlen = len - CONTEXT_AT - CONTEXT_LEN, i;

	if (hashlen != 32 && hashlen != 48)
		return "not the length of a TLS 1.3 CertificateVerify";
	for (i = 0; i < CONTEXT_AT; i++)
		if (octets[i] != ' ')
			return "not the blanks of a TLS 1.3 CertificateVerify";
	if (memcmp(octets + CONTEXT_AT, context, CONTEXT_LEN) != 0)
		return "not a TLS 1.3 server's CertificateVerify";
	/* The curve is part of the scheme there, and PKCS1 is not allowed. */
	if (scheme->kind13 != kind)
		return "a scheme that is not this key's in TLS 1.3";
	return NULL;
}

static const char *
check_tls12(const uint8_t *octets, size_t len, int has_tls13)
{
	uint16_t	group;
	size_t		i;

	group = (uint16_t)(octets[RANDOMS + 1] << 8 | octets[RANDOMS + 2]);
	for (i = 0; i < sizeof(groups) / sizeof(groups[0]); i++)
		if (groups[i].group == group)
			break;
	if (i == sizeof(groups) / sizeof(groups[0]))
		return "not a group that is offered";
	if (octets[POINT_AT - 1] != groups[i].pointlen ||
	    len != POINT_AT + groups[i].pointlen)
		return "not the length of TLS 1.2 key exchange parameters";
	if (groups[i].is_marked && octets[POINT_AT] != 4)
		return "not an uncompressed point";
	if (has_tls13 && memcmp(octets + SENTINEL_AT, sentinel,
	    sizeof(sentinel)) != 0)
		return "TLS 1.2 without the sentinel of a downgrade";
	return NULL;
}

const char *
tls_request_check(enum tls_kind kind, uint16_t number, const uint8_t *octets,
    size_t len, int has_tls13)
{
	const struct tls_scheme	*scheme;

	if ((scheme = tls_scheme_find(number)) == NULL)
		return "not a signature scheme that is used here";
	if (!alg_fits(scheme->alg, kind))
		return "a scheme of another type of key";
	if (len < TLS_TBS_MIN || len > TLS_TBS_MAX)
		return "not the length of anything that TLS signs";
	if (octets[CONTEXT_AT] == (uint8_t)context[0])
		return check_tls13(kind, scheme, octets, len);
	if (octets[RANDOMS] == CURVE_NAMED)
		return check_tls12(octets, len, has_tls13);
	return "not what a TLS server signs";
}
