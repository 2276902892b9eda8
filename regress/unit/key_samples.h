#ifndef KEY_SAMPLES_H
#define KEY_SAMPLES_H

#include <stddef.h>
#include <stdint.h>

#include <openssl/evp.h>

/*
 * Private keys and certificates for tests, made anew each time.
 */
#define SAMPLE_MAX	8000		/* octets of a file */

/* EVP_PKEY_RSA (2,048 bits), EVP_PKEY_EC (P-256) or EVP_PKEY_ED25519. */
EVP_PKEY	*sample_key(int type);

/* Its PKCS #8 file; a certificate of it, signed by itself.  The length. */
size_t		 sample_key_file(EVP_PKEY *, uint8_t *);
size_t		 sample_cert_file(EVP_PKEY *, uint8_t *);

#endif
