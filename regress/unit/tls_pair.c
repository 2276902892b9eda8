/* Both ends of a TLS connection in one process. */
#include "tls_pair.h"

#include <sys/socket.h>

#include <check.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/err.h>

#define SHAKE_ROUNDS	200
#define SMALL		1		/* the kernel makes it its least */

struct tls_pki		tp_pki[TP_CERTS];
struct port_tls_tickets	tp_tickets;
int			tp_sign_fails, tp_sign_pauses, tp_nsigned;
int			tp_cant_pause;

static struct loop		 loop;
static struct tls_pki		 ca, other_ca, inter;
static struct port_tls_key	*keys[TP_CERTS];
static char			*files[TP_BLOBS];
static size_t			 sizes[TP_BLOBS];
static char			 long_name[61];

/* What is made, and by whom it is signed; NULL: by itself. */
static const struct row {
	const char		*pki;
	struct tls_pki_want	 want;
	const struct tls_pki	*issuer;
} rows[TP_CERTS] = {
	[TP_MX] = { "MX.example", { "mx.example", "DNS:mx.example", NULL, 0,
	    0 }, &ca },
	[TP_WILD] = { "wild", { "wild", "DNS:*.wild.example,DNS:m*.part."
	    "example", "P-384", 0, 0 }, &ca },
	[TP_OTHER] = { "any", { "other.example", "DNS:other.example", "RSA",
	    0, 0 }, &ca },
	[TP_CHAIN] = { "chain", { "mx.example", "DNS:mx.example", NULL, 0,
	    0 }, &inter },
	[TP_BARE] = { "bare", { "mx.example", "DNS:mx.example", NULL, 0,
	    0 }, &inter },
	[TP_EXPIRED] = { "old", { "mx.example", "DNS:mx.example", NULL, 0,
	    -1 }, &ca },
	[TP_SELF] = { "self", { "mx.example", "DNS:mx.example", NULL, 0,
	    0 }, NULL },
	[TP_IP] = { "ip", { "ip", "IP:192.0.2.1,IP:2001:db8::1", NULL, 0,
	    0 }, &ca },
	[TP_CLIENT] = { "c1", { "client", NULL, NULL, 0, 0 }, &ca },
	[TP_CLIENT_OLD] = { "c2", { "old client", NULL, NULL, 0, -1 }, &ca },
	[TP_CLIENT_OTHER] = { "c3", { "other client", NULL, NULL, 0, 0 },
	    &other_ca },
	[TP_CLIENT_LONG] = { "c4", { long_name, NULL, NULL, 0, 0 }, &ca }
};

static void
make_authorities(void)
{
	static const struct tls_pki_want	wants[] = {
		{ "CA", NULL, NULL, 1, 0 }, { "other CA", NULL, NULL, 1, 0 },
		{ "intermediate", NULL, NULL, 1, 0 }
	};
	const struct tls_pki	*one;

	tls_pki_make(&ca, &wants[0], NULL);
	tls_pki_make(&other_ca, &wants[1], NULL);
	tls_pki_make(&inter, &wants[2], &ca);
	one = &ca;
	files[TP_CA] = tls_pki_pem_chain(&one, 1, &sizes[TP_CA]);
	one = &other_ca;
	files[TP_CA_OTHER] = tls_pki_pem_chain(&one, 1, &sizes[TP_CA_OTHER]);
}

static void
add_names(X509 *x, const struct tls_pki *issuer)
{
	X509_NAME	*name = X509_get_subject_name(x);
	int		 i;

	for (i = 0; i < 10; i++)
		ck_assert_int_eq(X509_NAME_add_entry_by_txt(name, "OU",
		    MBSTRING_UTF8, (const unsigned char *)long_name, -1, -1,
		    0), 1);
	ck_assert_int_gt(X509_sign(x, issuer->key, EVP_sha256()), 0);
}

static void
make_cert(enum tp_cert i)
{
	const struct tls_pki	*chain[2] = { &tp_pki[i], &inter };
	const char		*why;
	char			*pem;
	size_t			 len;

	tls_pki_make(&tp_pki[i], &rows[i].want, rows[i].issuer);
	if (i == TP_CLIENT_LONG)
		add_names(tp_pki[i].cert, rows[i].issuer);
	files[i] = tls_pki_pem_chain(chain, i == TP_CHAIN ? 2 : 1, &sizes[i]);
	pem = tls_pki_pem_key(&tp_pki[i], &len);
	keys[i] = port_tls_key_load((const uint8_t *)pem, len, &why);
	ck_assert_msg(keys[i] != NULL, "key: %s", why);
	freezero(pem, len);
}

void
tp_set_up(void)
{
	int	i;

	/* The plain library's socket BIO does not keep it off. */
	ck_assert(signal(SIGPIPE, SIG_IGN) != SIG_ERR);
	session_tls_init();
	/* It is told of handshakes that are given up. */
	ck_assert_int_eq(loop_init(&loop, 0), 0);
	key_client_init(&loop);
	memset(long_name, 'n', sizeof(long_name) - 1);
	make_authorities();
	for (i = 0; i < TP_CERTS; i++)
		make_cert((enum tp_cert)i);
	arc4random_buf(tp_tickets.key, sizeof(tp_tickets.key));
	tp_tickets.n = 1;
}

void
tp_tear_down(void)
{
	int	i;

	for (i = 0; i < TP_CERTS; i++) {
		tls_pki_clear(&tp_pki[i]);
		port_tls_key_free(keys[i]);
	}
	for (i = 0; i < TP_BLOBS; i++)
		free(files[i]);
	key_client_clear();
	loop_clear(&loop);
	tls_pki_clear(&inter);
	tls_pki_clear(&ca);
	tls_pki_clear(&other_ca);
}

size_t
tp_sign(uint32_t key, uint16_t scheme, const uint8_t *octets, size_t len,
    uint8_t *sig)
{
	const char	*why;

	while (tp_sign_pauses != 0)
		if (port_tls_pause() == -1) {
			tp_cant_pause = 1;
			break;
		}
	tp_nsigned++;
	if (tp_sign_fails)
		return 0;
	ck_assert_uint_lt(key, TP_CERTS);
	return port_tls_key_sign(keys[key], scheme, octets, len, 0, sig,
	    &why);
}

static void
fill_files(struct tp_conf *c)
{
	int	i;

	for (i = 0; i < TP_BLOBS; i++) {
		c->blobs[i].number = (uint32_t)i;
		c->blobs[i].data = (uint8_t *)files[i];
		c->blobs[i].len = sizes[i];
		c->blobs[i].next = i + 1 < TP_BLOBS ? &c->blobs[i + 1] : NULL;
	}
	for (i = 0; i < TP_CERTS; i++) {
		ck_assert_uint_lt(strlcpy(c->pkis[i].name, rows[i].pki,
		    sizeof(c->pkis[i].name)), sizeof(c->pkis[i].name));
		c->pkis[i].number = c->pkis[i].cert = (uint32_t)i;
		c->pkis[i].next = i + 1 < TP_CERTS ? &c->pkis[i + 1] : NULL;
	}
}

void
tp_conf_init(struct tp_conf *c)
{
	uint32_t	i;

	memset(c, 0, sizeof(*c));
	fill_files(c);
	c->conf.blobs = c->blobs;
	c->conf.nblobs = TP_BLOBS;
	c->conf.pkis = c->pkis;
	c->conf.npkis = TP_CERTS;
	c->conf.relays = &c->relay;
	c->conf.nrelays = 1;
	c->relay.name[0] = 'r';
	c->relay.tls_protocols = CONF_TLS12 | CONF_TLS13;
	c->relay.tls.ca = c->relay.terminate.ca = CONF_NO_BLOB;
	c->relay.listeners = c->listeners;
	c->relay.nlisteners = TP_LISTENERS;
	for (i = 0; i < TP_LISTENERS; i++) {
		c->listeners[i].number = i;
		c->listeners[i].tls.ca = CONF_NO_BLOB;
		c->listeners[i].next = i + 1 < TP_LISTENERS ?
		    &c->listeners[i + 1] : NULL;
	}
}

void
tp_conf_serve(struct tp_conf *c, uint32_t listener,
    enum conf_tls_verify verify, uint32_t blob, enum tp_cert first, ...)
{
	struct conf_tls_server	*s = &c->relay.terminate;
	struct conf_pki_name	*names = c->names[TP_LISTENERS];
	va_list			 ap;
	int			 cert;

	if (listener == UINT32_MAX)
		c->relay.starttls = STARTTLS_TERMINATE;
	else {
		s = &c->listeners[listener].tls;
		names = c->names[listener];
	}
	s->mode = TLS_OFFER;
	s->verify = verify;
	s->ca = blob;
	s->pkis = names;
	s->npkis = 0;
	va_start(ap, first);
	for (cert = (int)first; cert != TP_CERTS; cert = va_arg(ap, int))
		names[s->npkis++].pki = (uint32_t)cert;
	va_end(ap);
}

void
tp_conf_dest(struct tp_conf *c, enum conf_dest_tls mode, uint32_t blob)
{
	c->relay.tls.mode = mode;
	c->relay.tls.ca = blob;
}

struct tls_set *
tp_set_new(const struct tp_conf *c)
{
	struct tls_set	*set;
	const char	*what = "none";

	set = tls_set_new_with(&c->conf, &tp_tickets, tp_sign, &what);
	ck_assert_msg(set != NULL, "%s", what);
	return set;
}

void
tp_open(struct tp_pair *p)
{
	int	i, size = SMALL;

	memset(p, 0, sizeof(*p));
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, p->fd), 0);
	for (i = 0; i < 2; i++) {
		ck_assert_int_eq(fcntl(p->fd[i], F_SETFL, O_NONBLOCK), 0);
		ck_assert_int_eq(setsockopt(p->fd[i], SOL_SOCKET, SO_SNDBUF,
		    &size, sizeof(size)), 0);
		p->result[i] = TLS_WANT_READ;
	}
}

static void
on_wake(void *arg)
{
	struct tp_pair	*p = arg;

	p->nwakes++;
}

void
tp_accept(struct tp_pair *p, struct tls_set *set, uint32_t listener)
{
	p->server = session_tls_accept(set, 0, listener, p->fd[0], on_wake,
	    p);
	ck_assert_ptr_nonnull(p->server);
}

void
tp_connect(struct tp_pair *p, struct tls_set *set, const char *host)
{
	p->client = session_tls_connect(set, 0, host, p->fd[1], on_wake, p);
	ck_assert_ptr_nonnull(p->client);
}

void
tp_connect_raw(struct tp_pair *p, SSL_CTX *ctx, const char *sni)
{
	ck_assert_ptr_nonnull(p->raw = SSL_new(ctx));
	ck_assert_int_eq(SSL_set_fd(p->raw, p->fd[1]), 1);
	SSL_set_connect_state(p->raw);
	if (sni != NULL)
		ck_assert_int_eq(SSL_set_tlsext_host_name(p->raw, sni), 1);
}

void
tp_close(struct tp_pair *p)
{
	int	i;

	session_tls_free(p->server);
	session_tls_free(p->client);
	SSL_free(p->raw);
	for (i = 0; i < 2; i++)
		if (p->fd[i] != -1)
			(void)close(p->fd[i]);
	memset(p, 0, sizeof(*p));
	p->fd[0] = p->fd[1] = -1;
}

static enum session_tls_result
raw_shake(SSL *ssl)
{
	int	rc;

	ERR_clear_error();
	if ((rc = SSL_do_handshake(ssl)) == 1)
		return TLS_DONE;
	switch (SSL_get_error(ssl, rc)) {
	case SSL_ERROR_WANT_READ:
		return TLS_WANT_READ;
	case SSL_ERROR_WANT_WRITE:
		return TLS_WANT_WRITE;
	default:
		return TLS_FAILED;
	}
}

static int
is_over(enum session_tls_result result)
{
	return result == TLS_DONE || result == TLS_FAILED;
}

/* As a session does: one that failed is closed. */
static void
close_failed(struct tp_pair *p, int side)
{
	if (p->result[side] == TLS_FAILED)
		(void)shutdown(p->fd[side], SHUT_RDWR);
}

void
tp_shake(struct tp_pair *p)
{
	int	i;

	for (i = 0; i < SHAKE_ROUNDS; i++) {
		if (p->server != NULL && !is_over(p->result[0])) {
			p->result[0] = session_tls_handshake(p->server);
			close_failed(p, 0);
		}
		if (is_over(p->result[1]))
			continue;
		if (p->client != NULL)
			p->result[1] = session_tls_handshake(p->client);
		else if (p->raw != NULL)
			p->result[1] = raw_shake(p->raw);
		close_failed(p, 1);
	}
}

void
tp_shake_well(struct tp_pair *p)
{
	tp_shake(p);
	ck_assert_msg(p->result[0] == TLS_DONE, "server: %d, %s",
	    (int)p->result[0], session_tls_error(p->server));
	ck_assert_msg(p->result[1] == TLS_DONE, "client: %d, %s",
	    (int)p->result[1], p->client == NULL ? "raw" :
	    session_tls_error(p->client));
}

SSL_CTX *
tp_raw_new(enum tp_cert cert)
{
	SSL_CTX	*ctx;

	ctx = SSL_CTX_new_ex(NULL, "?provider=default", TLS_client_method());
	ck_assert_ptr_nonnull(ctx);
	if (cert == TP_CERTS)
		return ctx;
	ck_assert_int_eq(SSL_CTX_use_certificate(ctx, tp_pki[cert].cert), 1);
	ck_assert_int_eq(SSL_CTX_use_PrivateKey(ctx, tp_pki[cert].key), 1);
	return ctx;
}
