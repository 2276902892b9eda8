/*
 * Handshakes with a key that is elsewhere, for the tests of common/port/.
 */
#include "port_pair.h"

#include <sys/socket.h>

#include <check.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/x509.h>

#define ROUNDS	40			/* of calls, more than it takes */

struct tls_pki			 pp_pki[PP_KEYS];
int				 pp_is_native;
struct pp_signer		 pp_signer;

static const char		*key_types[PP_KEYS] = {
	"RSA", "P-256", "P-384", "ED25519", "P-256"
};
static struct port_tls_key	*keys[PP_KEYS];	/* of the keyholder */

size_t
pp_sign(uint32_t key, uint16_t scheme, const uint8_t *octets, size_t len,
    uint8_t *sig)
{
	const char	*why;
	size_t		 n;

	while (pp_signer.pauses_left > 0) {
		pp_signer.pauses_left--;
		pp_signer.npauses++;
		ck_assert_int_eq(port_tls_pause(), 0);
	}
	if (pp_signer.is_refusing)
		return 0;
	pp_signer.nsigned++;
	ck_assert_uint_lt(key, PP_KEYS);
	key = (key + pp_signer.swapped_by) % PP_KEYS;
	n = port_tls_key_sign(keys[key], scheme, octets, len, 1, sig, &why);
	if (n == 0)
		(void)strlcpy(pp_signer.refusal, why,
		    sizeof(pp_signer.refusal));
	return n;
}

void
pp_set_up(void)
{
	struct tls_pki_want	 want = { .cn = "mx.example" };
	const char		*why = NULL;
	char			*pem;
	size_t			 i, len;

	ck_assert_msg(port_tls_init(&why) == 0, "%s", why);
	ck_assert_int_eq(port_tls_init(&why), 0);
	pp_is_native = strstr(port_tls_name(), "method tables") == NULL &&
	    strstr(port_tls_name(), "LibreSSL") == NULL;
	ck_assert_int_eq(port_tls_has_ed25519(), pp_is_native);
	for (i = 0; i < PP_KEYS; i++) {
		want.key = key_types[i];
		tls_pki_make(&pp_pki[i], &want, NULL);
		pem = tls_pki_pem_key(&pp_pki[i], &len);
		keys[i] = port_tls_key_load((const uint8_t *)pem, len, &why);
		freezero(pem, len);
		if (i != PP_ED25519 || pp_is_native)
			ck_assert_msg(keys[i] != NULL, "%s: %s", key_types[i],
			    why);
	}
	ck_assert_int_eq(port_tls_jobs(PP_JOBS), pp_is_native);
}

void
pp_reset(void)
{
	memset(&pp_signer, 0, sizeof(pp_signer));
}

void
pp_tear_down(void)
{
	size_t	i;

	for (i = 0; i < PP_KEYS; i++) {
		port_tls_key_free(keys[i]);
		tls_pki_clear(&pp_pki[i]);
	}
}

SSL_CTX *
pp_server(enum pp_key key, const struct port_tls_tickets *tickets)
{
	const char	*what = NULL;
	SSL_CTX		*ctx;

	ck_assert_ptr_nonnull(ctx = port_tls_ctx_new(1));
	ck_assert_msg(port_tls_use_key(ctx, pp_pki[key].cert, (uint32_t)key,
	    pp_sign, &what) == 0, "%s", what);
	if (tickets != NULL)
		ck_assert_int_eq(port_tls_set_tickets(ctx, tickets), 0);
	return ctx;
}

SSL_CTX *
pp_client(int version, X509 *trusted)
{
	SSL_CTX	*ctx;

	ctx = SSL_CTX_new(TLS_client_method());
	ck_assert_ptr_nonnull(ctx);
	ck_assert_int_eq(SSL_CTX_set_min_proto_version(ctx, version), 1);
	ck_assert_int_eq(SSL_CTX_set_max_proto_version(ctx, version), 1);
	ck_assert_int_eq(X509_STORE_add_cert(SSL_CTX_get_cert_store(ctx),
	    trusted), 1);
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
	return ctx;
}

static SSL *
open_end(SSL_CTX *ctx, int fd)
{
	SSL	*ssl;

	ck_assert_int_ne(fcntl(fd, F_SETFL, O_NONBLOCK), -1);
	ck_assert_ptr_nonnull(ssl = SSL_new(ctx));
	ck_assert_int_eq(SSL_set_fd(ssl, fd), 1);
	return ssl;
}

void
pp_open(struct pp_pair *p, SSL_CTX *server, SSL_CTX *client)
{
	memset(p, 0, sizeof(*p));
	p->server_error = p->client_error = SSL_ERROR_WANT_READ;
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, p->fd), 0);
	p->server = open_end(server, p->fd[0]);
	p->client = open_end(client, p->fd[1]);
	SSL_set_accept_state(p->server);
	SSL_set_connect_state(p->client);
	port_tls_set_async(p->server, 1);
}

void
pp_close(struct pp_pair *p)
{
	SSL_free(p->server);
	SSL_free(p->client);
	(void)close(p->fd[0]);
	(void)close(p->fd[1]);
}

static int
is_over(int error)
{
	return error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE &&
	    !port_tls_is_paused(error) && !port_tls_is_jobless(error);
}

void
pp_step(SSL *ssl, int *error)
{
	if (is_over(*error))
		return;
	ERR_clear_error();
	*error = SSL_get_error(ssl, SSL_do_handshake(ssl));
}

void
pp_shake(struct pp_pair *p)
{
	int	i;

	for (i = 0; i < ROUNDS; i++) {
		pp_step(p->client, &p->client_error);
		pp_step(p->server, &p->server_error);
	}
	if (is_over(p->server_error))
		port_tls_set_async(p->server, 0);
}

void
pp_talk(struct pp_pair *p)
{
	char	octet;

	ck_assert_int_eq(SSL_write(p->server, "s", 1), 1);
	ck_assert_int_eq(SSL_read(p->client, &octet, 1), 1);
	ck_assert_int_eq(octet, 's');
	ck_assert_int_eq(SSL_write(p->client, "c", 1), 1);
	ck_assert_int_eq(SSL_read(p->server, &octet, 1), 1);
	ck_assert_int_eq(octet, 'c');
}
