/*
 * The form of a digest that is to be signed.  Runs in the keyholder where the
 * library (LibreSSL) gives a worker no more than a digest or a padded block;
 * the octets come from a worker that may have been taken over.
 */
#include "tls_form.h"

#include <string.h>

#include <openssl/evp.h>

#define SALT_MARK	0x01
#define TRAILER		0xbc
#define HASH_MAX	64
#define PREFIX_LEN	19

static const enum tls_hash	hashes[] = {
	TLS_HASH_SHA256, TLS_HASH_SHA384, TLS_HASH_SHA512
};

/* DigestInfo in front of the digest (RFC 8017 9.2, note 1). */
static const uint8_t	prefix[][PREFIX_LEN] = {
	{ 0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01,
	  0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20 },
	{ 0x30, 0x41, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01,
	  0x65, 0x03, 0x04, 0x02, 0x02, 0x05, 0x00, 0x04, 0x30 },
	{ 0x30, 0x51, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01,
	  0x65, 0x03, 0x04, 0x02, 0x03, 0x05, 0x00, 0x04, 0x40 },
};

#define NHASHES	(sizeof(hashes) / sizeof(hashes[0]))

static const char *
check_pkcs1(const uint8_t *octets, size_t len)
{
	size_t	i;

	for (i = 0; i < NHASHES; i++)
		if (len == PREFIX_LEN + tls_hash_size(hashes[i]) &&
		    memcmp(octets, prefix[i], PREFIX_LEN) == 0)
			return NULL;
	return "not the DigestInfo of a hash that TLS uses";
}

/* One hash's length of the mask of MGF1 (RFC 8017 B.2.1). */
static int
mask_part(enum tls_hash hash, const uint8_t *seed, uint32_t counter,
    uint8_t *mask)
{
	uint8_t	in[HASH_MAX + 4];
	size_t	hashlen = tls_hash_size(hash);

	memcpy(in, seed, hashlen);
	in[hashlen] = (uint8_t)(counter >> 24);
	in[hashlen + 1] = (uint8_t)(counter >> 16 & 0xff);
	in[hashlen + 2] = (uint8_t)(counter >> 8 & 0xff);
	in[hashlen + 3] = (uint8_t)(counter & 0xff);
	return EVP_Digest(in, hashlen + 4, mask, NULL,
	    EVP_get_digestbyname(tls_hash_name(hash)), NULL) == 1 ? 0 : -1;
}

/*
 * em is masked DB, H, trailer; DB must be zeros, a mark, a salt of the hash's
 * length.  Its first octet has `topbits` bits that the modulus has room for.
 */
static int
is_pss(enum tls_hash hash, const uint8_t *em, size_t len, unsigned int topbits)
{
	uint8_t	mask[HASH_MAX] = { 0 }, db;
	size_t	hashlen = tls_hash_size(hash), dblen, i;

	if (len < 2 * hashlen + 2)
		return 0;
	dblen = len - hashlen - 1;
	for (i = 0; i < dblen - hashlen; i++) {
		if (i % hashlen == 0 && mask_part(hash, em + dblen,
		    (uint32_t)(i / hashlen), mask) == -1)
			return 0;
		db = em[i] ^ mask[i % hashlen];
		if (i == 0)
			db &= (uint8_t)((1U << topbits) - 1);
		if (db != (i == dblen - hashlen - 1 ? SALT_MARK : 0))
			return 0;
	}
	return 1;
}

static const char *
check_pss(unsigned int bits, const uint8_t *em, size_t len)
{
	unsigned int	topbits = (bits - 1) % 8;
	size_t		i;

	if (bits < 16 || len != (bits + 7) / 8)
		return "not a block of the key's size";
	/* The block is one bit shorter than the modulus. */
	if (em[0] >> topbits != 0)
		return "a block larger than the key";
	if (topbits == 0) {
		em++;
		len--;
		topbits = 8;
	}
	if (em[len - 1] != TRAILER)
		return "not a PSS block";
	for (i = 0; i < NHASHES; i++)
		if (is_pss(hashes[i], em, len, topbits))
			return NULL;
	return "not a PSS block of a hash that TLS uses";
}

const char *
tls_form_check(enum tls_kind kind, unsigned int bits, uint16_t form,
    const uint8_t *octets, size_t len)
{
	switch (form) {
	case TLS_FORM_PKCS1:
		if (kind == TLS_KIND_RSA)
			return check_pkcs1(octets, len);
		break;
	case TLS_FORM_PSS:
		if (kind == TLS_KIND_RSA)
			return check_pss(bits, octets, len);
		break;
	case TLS_FORM_ECDSA:
		if (kind != TLS_KIND_P256 && kind != TLS_KIND_P384)
			break;
		return len == 32 || len == 48 || len == 64 ? NULL :
		    "not the length of a digest that TLS uses";
	default:
		return "not a form that is used here";
	}
	return "a form of another type of key";
}
