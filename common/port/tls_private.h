#ifndef TLS_PRIVATE_H
#define TLS_PRIVATE_H

#include <stddef.h>
#include <stdint.h>

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "tls.h"
#include "tls_request.h"

/*
 * Between the files of common/port/tls_*.c.  What is called tls_backend_* each
 * library's file has; the rest is the same for both.
 */
struct port_tls_key {
	EVP_PKEY		*pkey;
	enum tls_kind		 kind;
	struct tls_signer	*signers;	/* list; made when first asked
						 * for, kept with the key */
};

/* Signatures of one key by one scheme (the backend's own). */
void		 tls_backend_free_signers(struct tls_signer *);

SSL_CTX		*tls_backend_ctx(const SSL_METHOD *);
/* As PEM_read_bio_PrivateKey(3), and never a key of our own provider. */
EVP_PKEY	*tls_backend_read_key(BIO *, pem_password_cb *, void *);
/* NID of the curve of an EC key; NID_undef. */
int		 tls_backend_curve(const EVP_PKEY *);

/* Our object for a public key of that kind; `sign` has the private part. */
EVP_PKEY	*tls_backend_held_key(EVP_PKEY *, enum tls_kind,
		    uint32_t number, port_tls_sign_fn *sign);
/* Have the library ask tls_ticket_key(). */
int		 tls_backend_set_tickets(SSL_CTX *);

/*
 * A kind of key that is supported, with its size; TLS_KIND_NONE with *why,
 * constant text.
 */
enum tls_kind	 tls_pem_kind(const EVP_PKEY *, const char **why);
/* Octets as a BIO; NULL without memory or for more than an int can count. */
BIO		*tls_pem_open(const uint8_t *, size_t);
/*
 * All certificates of a PEM file, at least one; NULL with a text in why
 * (TLS_WHY_MAX octets).
 */
STACK_OF(X509)	*tls_pem_certs(const uint8_t *, size_t, char *why);
void		 tls_pem_certs_free(STACK_OF(X509) *);

/*
 * The library's question in front of each ticket: with what to seal a new one,
 * or to open one of that name.  The cipher is set; the MAC's key is in *mac.
 *   returns   -1 an error; 0 no ticket, or not one of ours; 1 it is good; 2 it
 *             is, and the client needs a new one
 */
#define TLS_TICKET_MAC	32		/* octets of HMAC-SHA256's key */
int		 tls_ticket_key(SSL *, unsigned char *name, unsigned char *iv,
		    EVP_CIPHER_CTX *, int is_new, const uint8_t **mac);

#endif
