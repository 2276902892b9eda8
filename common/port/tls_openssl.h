#ifndef TLS_OPENSSL_H
#define TLS_OPENSSL_H

#include <stddef.h>
#include <stdint.h>

#include <openssl/core.h>
#include <openssl/evp.h>

#include "tls.h"
#include "tls_request.h"

/*
 * OpenSSL 3: the built-in provider "keyholder".  Between the files of
 * common/port/tls_openssl*.c.
 */
#define TLS_OPENSSL_OWN		"provider=keyholder"
/* Everything else: whatever is not with us alone, the default provider does. */
#define TLS_OPENSSL_OTHERS	"?provider=default"

/* Parameter of a key, uint32_t: its number with the keyholder. */
#define TLS_OPENSSL_NUMBER	"keyholder-number"

/* What a key of the provider is.  It has no private part. */
struct tls_openssl_key {
	const char	*type;		/* as the default provider calls it */
	enum tls_alg	 alg;		/* RSA: TLS_ALG_PKCS1 */
	EVP_PKEY	*pub;		/* of the default provider */
	uint32_t	 number;
	int		 is_held;	/* by the keyholder, as `number` */
};

/* The algorithms of the provider; each list ends with a NULL name. */
extern const OSSL_ALGORITHM	tls_openssl_keys[];
extern const OSSL_ALGORITHM	tls_openssl_signatures[];

/* Whom to ask for signatures. */
void	tls_openssl_set_sign(port_tls_sign_fn *);

#endif
