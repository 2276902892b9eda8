#ifndef TLS_REQUEST_H
#define TLS_REQUEST_H

#include <stddef.h>
#include <stdint.h>

/*
 * What the keyholder may sign: of what a TLS server signs in a handshake, the
 * two forms that this daemon uses, and nothing else.  Pure: octets in, a
 * judgement out.
 */
enum tls_kind {				/* of a private key */
	TLS_KIND_NONE = 0,		/* none that is supported */
	TLS_KIND_RSA,
	TLS_KIND_P256,
	TLS_KIND_P384,
	TLS_KIND_ED25519
};

enum tls_hash {
	TLS_HASH_NONE = 0,		/* Ed25519: the scheme has its own */
	TLS_HASH_SHA256,
	TLS_HASH_SHA384,
	TLS_HASH_SHA512
};

enum tls_alg {
	TLS_ALG_NONE = 0,
	TLS_ALG_PKCS1,			/* RSA, PKCS #1 v1.5 padding */
	TLS_ALG_PSS,			/* RSA, PSS, salt as long as the hash */
	TLS_ALG_ECDSA,
	TLS_ALG_ED25519
};

#define TLS_TBS_MIN	100		/* octets of what is signed whole */
#define TLS_TBS_MAX	165

/* A SignatureScheme (RFC 8446 4.2.3). */
struct tls_scheme {
	uint16_t	number;
	enum tls_alg	alg;
	enum tls_hash	hash;
	enum tls_kind	kind13;		/* whose it is in TLS 1.3 */
};

/* NULL: not one that is used here. */
const struct tls_scheme	*tls_scheme_find(uint16_t number);

/* The number of that scheme; 0: there is none. */
uint16_t	tls_scheme_number(enum tls_alg, enum tls_hash);

/* Octets of a hash; and its name, as the libraries take it, or NULL. */
size_t		tls_hash_size(enum tls_hash);
const char	*tls_hash_name(enum tls_hash);

/*
 * May a key of this kind sign these octets, whole, by this scheme?
 *   TLS 1.3   64 blanks, "TLS 1.3, server CertificateVerify", 0, the hash of
 *             the transcript (RFC 8446 4.4.3); PSS, Ed25519, or the ECDSA
 *             scheme of the key's curve
 *   TLS 1.2   both randoms and the named-curve parameters of ECDHE (RFC 8422
 *             5.4) with X25519, P-256 or P-384; any scheme of the key
 *   has_tls13 the server offers TLS 1.3: its random must then end with the
 *             sentinel of a downgrade in the second form (RFC 8446 4.1.3), so
 *             that nobody with our signature can take 1.3 from a client
 *   returns   NULL: it may; else why not (constant text)
 * The 65th octet tells the forms apart: no octets have both.
 */
const char	*tls_request_check(enum tls_kind, uint16_t scheme,
		    const uint8_t *, size_t, int has_tls13);

#endif
