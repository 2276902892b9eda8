/*
 * OpenSSL 3: its own part of session tickets (tls_ticket.c).  Runs in the
 * workers.
 */
#include "tls.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/ssl.h>

#include "tls_private.h"

/* The library's question; tls_ticket_key() has the answers. */
static int
ticket_key(SSL *ssl, unsigned char *name, unsigned char *iv,
    EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac, int is_new)
{
	OSSL_PARAM	 params[2];
	const uint8_t	*key;
	char		 digest[] = "SHA256";
	int		 answer;

	answer = tls_ticket_key(ssl, name, iv, cipher, is_new, &key);
	if (answer <= 0)
		return answer;
	params[0] = OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST,
	    digest, 0);
	params[1] = OSSL_PARAM_construct_end();
	return EVP_MAC_init(mac, key, TLS_TICKET_MAC, params) == 1 ? answer :
	    -1;
}

int
tls_backend_set_tickets(SSL_CTX *ctx)
{
	return SSL_CTX_set_tlsext_ticket_key_evp_cb(ctx, ticket_key) == 1 ?
	    0 : -1;
}
