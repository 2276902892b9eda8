#ifndef TLS_FORM_H
#define TLS_FORM_H

#include <stddef.h>
#include <stdint.h>

#include "tls.h"
#include "tls_request.h"

/*
 * The lesser check, for a library that hashes before it asks: is it the digest
 * of something, in the form that TLS signs, and no more than that?  What was
 * hashed nobody can see.  Never raw RSA over octets of the asker's choice.
 *   bits      of the modulus, RSA
 *   TLS_FORM_PKCS1   DigestInfo of SHA-256, SHA-384 or SHA-512, exactly
 *                    (RFC 8017 9.2)
 *   TLS_FORM_PSS     EMSA-PSS block of one of these and a salt as long (RFC
 *                    8017 9.1.2), as long as the modulus
 *   TLS_FORM_ECDSA   a digest of 32, 48 or 64 octets
 *   returns   NULL: it may be signed; else why not (constant text)
 */
const char	*tls_form_check(enum tls_kind, unsigned int bits,
		    uint16_t form, const uint8_t *, size_t);

#endif
