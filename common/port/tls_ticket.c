/*
 * Session tickets that every worker can open (RFC 5077 4); what both libraries
 * do alike.  Runs in the workers; the keys are the parent's, which rotates
 * them.
 */
#include "tls.h"

#include <string.h>

#include <openssl/evp.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>

#include "tls_private.h"

#define NAME_LEN	16		/* then HMAC's key, then AES's */
#define MAC_AT		16
#define AES_AT		(MAC_AT + TLS_TICKET_MAC)
#define IV_LEN		16

static int	ctx_index = -1;		/* of the tickets in an SSL_CTX */

static int
ticket_seal(const uint8_t *key, unsigned char *name, unsigned char *iv,
    EVP_CIPHER_CTX *cipher)
{
	memcpy(name, key, NAME_LEN);
	if (RAND_bytes(iv, IV_LEN) != 1 || EVP_EncryptInit_ex(cipher,
	    EVP_aes_256_cbc(), NULL, key + AES_AT, iv) != 1)
		return -1;
	return 1;
}

int
tls_ticket_key(SSL *ssl, unsigned char *name, unsigned char *iv,
    EVP_CIPHER_CTX *cipher, int is_new, const uint8_t **mac)
{
	const struct port_tls_tickets	*t;
	unsigned int			 i;

	t = SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), ctx_index);
	if (t == NULL || t->n == 0)
		return 0;
	*mac = t->key[0] + MAC_AT;
	if (is_new)
		return ticket_seal(t->key[0], name, iv, cipher);
	for (i = 0; i < t->n && i < 2; i++)
		if (memcmp(name, t->key[i], NAME_LEN) == 0)
			break;
	if (i == t->n || i == 2)
		return 0;
	*mac = t->key[i] + MAC_AT;
	if (EVP_DecryptInit_ex(cipher, EVP_aes_256_cbc(), NULL,
	    t->key[i] + AES_AT, iv) != 1)
		return -1;
	/* A client uses a TLS 1.3 ticket once: without a new one its third
	 * connection would be a full handshake. */
	return i > 0 || SSL_version(ssl) == TLS1_3_VERSION ? 2 : 1;
}

int
port_tls_set_tickets(SSL_CTX *ctx, const struct port_tls_tickets *tickets)
{
	union {
		const struct port_tls_tickets	*ours;
		void				*theirs;
	} t;

	if (ctx_index == -1)
		ctx_index = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL,
		    NULL);
	t.ours = tickets;		/* never written through it */
	if (ctx_index == -1 ||
	    SSL_CTX_set_ex_data(ctx, ctx_index, t.theirs) != 1 ||
	    SSL_CTX_set_num_tickets(ctx, 1) != 1 ||
	    tls_backend_set_tickets(ctx) == -1)
		return -1;
	(void)SSL_CTX_clear_options(ctx, SSL_OP_NO_TICKET);
	return 0;
}
