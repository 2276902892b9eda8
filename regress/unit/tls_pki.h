#ifndef TLS_PKI_H
#define TLS_PKI_H

#include <stddef.h>

#include <openssl/evp.h>
#include <openssl/x509.h>

/*
 * Certificates and keys of a test, made when it runs: none is kept in the
 * tree, and none ever expires there.  What can't be made ends the test.
 */
struct tls_pki {
	X509		*cert;
	EVP_PKEY	*key;
};

struct tls_pki_want {
	const char	*cn;
	const char	*san;	/* "DNS:mx.example,IP:192.0.2.1"; NULL: none */
	const char	*key;	/* "RSA" (2,048 bits), "P-256", "P-384",
				 * "ED25519", "ED448"; NULL: P-256 */
	int		 is_ca;
	int		 days;	/* from now until it expires; negative: it
				 * has; 0: 30 */
};

/* Issuer NULL: it signs itself. */
void	tls_pki_make(struct tls_pki *, const struct tls_pki_want *,
	    const struct tls_pki *issuer);
void	tls_pki_clear(struct tls_pki *);

/*
 * PEM, with a NUL behind it that is not counted; to be freed.  A chain is
 * n certificates in the order given.
 */
char	*tls_pki_pem_chain(const struct tls_pki *const *, size_t n, size_t *);
char	*tls_pki_pem_key(const struct tls_pki *, size_t *);

#endif
