#ifndef PORT_TLS_H
#define PORT_TLS_H

#include <stddef.h>
#include <stdint.h>

/*
 * What differs between TLS libraries.  tls_openssl.c (OpenSSL 3): a key that
 * is elsewhere is an object of a built-in provider, the whole of what is to be
 * signed goes to the keyholder, and a handshake can be paused meanwhile.
 * tls_libressl.c: method tables, the keyholder gets a digest or padded block
 * of exact form, RSA and ECDSA only, and the caller waits.  Contexts, and the
 * checks of files, are the same for both (tls_ctx.c, tls_pem.c, tls_check.c).
 */
struct ssl_ctx_st;			/* SSL_CTX */
struct ssl_st;				/* SSL */
struct x509_st;				/* X509 */

#define TLS_REQUEST_MAX		1024	/* octets of a request */
#define TLS_SIGNATURE_MAX	1024	/* RSA of 8,192 bits */
#define TLS_TICKET_KEY		80	/* octets of one ticket key */

/*
 * Once a process, while files can be opened still: configuration, providers,
 * random numbers, error texts.  Nothing is opened later.
 *   returns   0, or -1 with *what, the step that failed (constant text)
 */
int		 port_tls_init(const char **what);
const char	*port_tls_name(void);	/* "OpenSSL 3.0.19 ..." */
/* Is Ed25519 a key that a certificate may have here? */
int		 port_tls_has_ed25519(void);

/*
 * A context for either side, with what all of ours have: TLS 1.2 and 1.3,
 * ciphers and groups of Mozilla's "intermediate" as far as they are ECDHE (the
 * keyholder signs no other key exchange and never decrypts), the client's
 * order; no renegotiation, compression, early data or cache of sessions; an
 * end without close_notify is an end; little memory.  No tickets, until
 * port_tls_set_tickets().  NULL without memory.
 */
struct ssl_ctx_st	*port_tls_ctx_new(int is_server);

/* --- Worker: keys that the keyholder has. --- */

/*
 * Ask for a signature.  Called inside a handshake, with OpenSSL perhaps on a
 * stack of its own (32 KiB: no large variables).
 *   key       its number
 *   scheme    TLS SignatureScheme (RFC 8446 4.2.3) of what is signed whole;
 *             below 0x0100 an enum port_tls_form
 *   sig       TLS_SIGNATURE_MAX octets
 *   returns   octets of the signature, 0: refused, timed out or cancelled
 */
enum port_tls_form {
	TLS_FORM_NONE = 0,
	TLS_FORM_PKCS1,			/* DigestInfo; PKCS #1 v1.5 padding */
	TLS_FORM_PSS,			/* EMSA-PSS block of the key's size */
	TLS_FORM_ECDSA			/* digest */
};
typedef size_t port_tls_sign_fn(uint32_t key, uint16_t scheme,
		    const uint8_t *octets, size_t len, uint8_t *sig);

/*
 * The certificate and, as its private key, the keyholder's of that number; the
 * context is of port_tls_ctx_new().  `sign` is one and the same in all calls
 * of a process.  That they match port_tls_check_pair() has seen: here nobody
 * can, and with another key every client refuses the signature.
 *   returns   0; -1 with *what (constant text): the library does not take the
 *             certificate, or the type of its key is not supported
 */
int	port_tls_use_key(struct ssl_ctx_st *, struct x509_st *, uint32_t key,
	    port_tls_sign_fn *sign, const char **what);

/*
 * Pausing.  port_tls_jobs() prepares for up to n handshakes that are paused at
 * once; 0: this library or C library can't, and the signature must be waited
 * for.  port_tls_set_async() before a server handshake and off behind it.
 * port_tls_pause(), from within `sign`, leaves the handshake, which returns
 * SSL_ERROR_WANT_ASYNC; it comes back when the handshake is called again.
 *   port_tls_jobs    1, or 0
 *   port_tls_pause   0, or -1: not in a handshake that can be paused
 */
int	port_tls_jobs(size_t n);
void	port_tls_set_async(struct ssl_st *, int on);
int	port_tls_pause(void);
/* SSL_get_error() of a handshake: paused, or no job free to begin it. */
int	port_tls_is_paused(int ssl_error);
int	port_tls_is_jobless(int ssl_error);

/*
 * Nothing more is there to be read: give back what the library holds for
 * reading until something is (OpenSSL keeps 16 KiB else, once a ticket came).
 */
void	port_tls_idle(struct ssl_st *);

/*
 * What is written now is a session ticket behind a handshake of TLS 1.3, for
 * which nobody waits.
 */
int	port_tls_is_ticket(const struct ssl_st *);

/*
 * Session tickets of all workers alike (RFC 5077; RFC 8446 4.6.1): the first
 * key makes new ones, both open old ones.  The struct is borrowed and may be
 * changed by its owner at any time.  TLS 1.3 tickets: OpenSSL only.  Where the
 * client's SNI chooses another context, that one must have them too.
 *   returns   0, or -1 without memory
 */
struct port_tls_tickets {
	uint8_t		key[2][TLS_TICKET_KEY];
	unsigned int	n;		/* 0: no tickets, 1, 2 */
};
int	port_tls_set_tickets(struct ssl_ctx_st *,
	    const struct port_tls_tickets *);

/* --- Keyholder. --- */

struct port_tls_key;

/*
 * A private key of a PEM file (PKCS #8 or the traditional forms, not
 * encrypted): RSA of 2,048 to 8,192 bits, ECDSA on P-256 or P-384, Ed25519
 * where port_tls_has_ed25519().  NULL with *why, constant text.  The octets
 * are the caller's to wipe.
 */
struct port_tls_key	*port_tls_key_load(const uint8_t *pem, size_t len,
			    const char **why);
void			 port_tls_key_free(struct port_tls_key *);

/*
 * Judge a request, and sign it: nothing but a TLS handshake of a server may
 * come of it (DECISIONS, keyholder).
 *   has_tls13 the daemon offers TLS 1.3 with this key, so that a handshake in
 *             1.2 must carry the downgrade sentinel (RFC 8446 4.1.3)
 *   sig       TLS_SIGNATURE_MAX octets
 *   returns   octets of the signature; 0 with *why, constant text: it was
 *             refused (tls_request.h; LibreSSL: tls_form.h)
 */
size_t	port_tls_key_sign(struct port_tls_key *, uint16_t scheme,
	    const uint8_t *, size_t, int has_tls13, uint8_t *sig,
	    const char **why);

/* --- The check of files before service starts. --- */

/*
 * A PEM file of certificates, the server's own first, and one of its key: do
 * they parse, match, and have a type that works here?
 * And a PEM file of CA certificates: is there at least one, do all parse?
 * Text between the blocks is a comment; a block of another kind, a private key
 * above all, is an error.  A certificate that has expired is none.
 *   returns   NULL, or what is wrong and what was expected (in the caller's
 *             buffer or constant)
 */
#define TLS_WHY_MAX	256
const char	*port_tls_check_pair(const uint8_t *cert, size_t certlen,
		    const uint8_t *key, size_t keylen, char *why);
const char	*port_tls_check_ca(const uint8_t *, size_t, char *why);
/* An OpenSSL cipher list (TLS 1.2): not empty, and all of it ECDHE. */
const char	*port_tls_check_ciphers(const char *, char *why);

#endif
