/*
 * What the keyholder may sign: whatever passes must be one of the two forms as
 * read here, another way; or a digest of one of the three lengths.  Input: an
 * octet for the kind of key, two for the scheme or form, one for the size of
 * the key, and what is to be signed.
 */
#include "../../common/port/tls_form.h"
#include "../../common/port/tls_request.h"

#include "fuzz.h"

#define HEAD		4
#define CONTEXT		"TLS 1.3, server CertificateVerify"

static int
is_ecdsa(enum tls_kind kind)
{
	return kind == TLS_KIND_P256 || kind == TLS_KIND_P384;
}

/* The scheme by its two octets (RFC 8446 4.2.3: hash or 8, signature). */
static void
check_scheme(enum tls_kind kind, uint16_t scheme)
{
	unsigned int	high = scheme >> 8, low = scheme & 0xff;

	if (high == 8) {
		HOLDS(low >= 4 && low <= 7);
		HOLDS(kind == (low == 7 ? TLS_KIND_ED25519 : TLS_KIND_RSA));
		return;
	}
	HOLDS(high >= 4 && high <= 6);
	HOLDS(low == 1 || low == 3);
	HOLDS(low == 1 ? kind == TLS_KIND_RSA : is_ecdsa(kind));
}

static void
check_tls13(enum tls_kind kind, uint16_t scheme, const uint8_t *in, size_t len)
{
	size_t	i;

	HOLDS(len == 130 || len == 146);
	for (i = 0; i < 64; i++)
		HOLDS(in[i] == ' ');
	HOLDS(memcmp(in + 64, CONTEXT, sizeof(CONTEXT)) == 0);
	HOLDS((scheme & 0xff) != 1);
	if (is_ecdsa(kind))
		HOLDS(scheme == (kind == TLS_KIND_P256 ? 0x0403 : 0x0503));
}

static void
check_tls12(const uint8_t *in, size_t len)
{
	HOLDS(in[64] == 3 && in[65] == 0);
	HOLDS(in[67] == len - 68);
	switch (in[66]) {
	case 0x1d:
		HOLDS(len == 100);
		break;
	case 0x17:
		HOLDS(len == 133 && in[68] == 4);
		break;
	default:
		HOLDS(in[66] == 0x18 && len == 165 && in[68] == 4);
	}
}

static void
check_request(enum tls_kind kind, uint16_t scheme, const uint8_t *in,
    size_t len)
{
	int	strict, loose;

	strict = tls_request_check(kind, scheme, in, len, 1) == NULL;
	loose = tls_request_check(kind, scheme, in, len, 0) == NULL;
	HOLDS(loose || !strict);
	if (!loose)
		return;
	HOLDS(len >= TLS_TBS_MIN && len <= TLS_TBS_MAX);
	check_scheme(kind, scheme);
	if (in[64] == 'T') {
		check_tls13(kind, scheme, in, len);
		HOLDS(strict);
	} else {
		check_tls12(in, len);
		HOLDS(strict == (memcmp(in + 56, "DOWNGRD\001", 8) == 0));
	}
}

static void
check_form(enum tls_kind kind, unsigned int bits, uint16_t form,
    const uint8_t *in, size_t len)
{
	if (tls_form_check(kind, bits, form, in, len) != NULL)
		return;
	switch (form) {
	case TLS_FORM_PKCS1:
		HOLDS(kind == TLS_KIND_RSA);
		HOLDS(len == 51 || len == 67 || len == 83);
		HOLDS(in[0] == 0x30 && in[1] == len - 2);
		HOLDS(in[18] == len - 19);
		break;
	case TLS_FORM_PSS:
		HOLDS(kind == TLS_KIND_RSA);
		HOLDS(len == (bits + 7) / 8 && in[len - 1] == 0xbc);
		break;
	default:
		HOLDS(form == TLS_FORM_ECDSA && is_ecdsa(kind));
		HOLDS(len == 32 || len == 48 || len == 64);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *in, size_t len)
{
	enum tls_kind	 kind;
	uint16_t	 number;
	uint8_t		*octets;
	size_t		 left;

	if (len < HEAD)
		return 0;
	kind = (enum tls_kind)(in[0] % (TLS_KIND_ED25519 + 1));
	number = (uint16_t)(in[1] << 8 | in[2]);
	/* Of exactly that size, for the sanitizers. */
	left = len - HEAD;
	if ((octets = malloc(left > 0 ? left : 1)) == NULL)
		abort();
	if (left > 0)
		memcpy(octets, in + HEAD, left);
	check_request(kind, number, octets, left);
	/* Sizes around that of the block, so that one in eight fits. */
	check_form(kind, (unsigned int)(8 * (left & 0x7ff)) + in[3] % 16,
	    number, octets, left);
	check_form(kind, in[3], number & 3, octets, left);
	free(octets);
	return 0;
}
