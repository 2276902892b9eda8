/*
 * TLS contexts of a configuration: certificates, authorities and settings,
 * in the worker.  Certificates are the administrator's and were checked before
 * service began; the name a client asks for (SNI) is the one thing of a peer
 * that is judged here.
 */
#include "session_tls_int.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509v3.h>

#include "../common/strutil.h"

#define CA_NAMES_MAX	100		/* more are not sent to clients: they
					 * would fill a flight of their own */

static const struct conf_pki *
pki_by_number(const struct conf *conf, uint32_t number)
{
	const struct conf_pki	*p;

	for (p = conf->pkis; p != NULL; p = p->next)
		if (p->number == number)
			return p;
	return NULL;
}

/* A context of either side, with what a relay says of protocol and ciphers. */
static SSL_CTX *
ctx_new(struct tls_files *f, const struct conf_relay *r, int is_server)
{
	SSL_CTX	*ctx;
	long	 rc = 1;

	if ((ctx = port_tls_ctx_new(is_server)) == NULL)
		return NULL;
	if (r->tls_protocols == CONF_TLS12)
		rc = SSL_CTX_set_max_proto_version(ctx, TLS1_2_VERSION);
	else if (r->tls_protocols == CONF_TLS13)
		rc = SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION);
	if (rc == 1 && r->tls_ciphers[0] != '\0' &&
	    SSL_CTX_set_cipher_list(ctx, r->tls_ciphers) != 1) {
		(void)tls_files_fail(f, "no such ciphers");
		rc = 0;
	}
	if (rc != 1) {
		SSL_CTX_free(ctx);
		return NULL;
	}
	/* One recv(2) a record in place of two. */
	SSL_CTX_set_read_ahead(ctx, 1);
	return ctx;
}

/* To ask is not to insist: who looks at the result decides. */
static int
verify_ask(int is_ok, X509_STORE_CTX *store)
{
	(void)is_ok;
	(void)store;
	return 1;
}

static int
ctx_set_names(SSL_CTX *ctx, X509_STORE *store)
{
	STACK_OF(X509_OBJECT)	*all = X509_STORE_get0_objects(store);
	X509			*x;
	int			 i, n = sk_X509_OBJECT_num(all);

	if (n > CA_NAMES_MAX)
		return 0;
	for (i = 0; i < n; i++) {
		x = X509_OBJECT_get0_X509(sk_X509_OBJECT_value(all, i));
		if (x != NULL && SSL_CTX_add_client_CA(ctx, x) != 1)
			return -1;
	}
	return 0;
}

static int
ctx_set_ca(SSL_CTX *ctx, X509_STORE *store, int purpose)
{
	if (SSL_CTX_set_purpose(ctx, purpose) != 1)
		return -1;
	if (X509_STORE_up_ref(store) != 1)
		return -1;
	SSL_CTX_set_cert_store(ctx, store);
	return 0;
}

static int
server_set_verify(struct tls_files *f, SSL_CTX *ctx,
    const struct conf_tls_server *c)
{
	X509_STORE	*store;

	if (c->verify == TLS_VERIFY_OFF)
		return 0;
	if ((store = tls_files_store(f, c->ca)) == NULL)
		return tls_files_fail(f, "CA certificates don't parse");
	if (ctx_set_ca(ctx, store, X509_PURPOSE_SSL_CLIENT) == -1 ||
	    ctx_set_names(ctx, store) == -1)
		return -1;
	if (c->verify == TLS_VERIFY_ASK)
		SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, verify_ask);
	else
		SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER |
		    SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	return 0;
}

/*
 * A ticket is good where it was made and what was asked of the client is the
 * same still: a session that is resumed shows no certificate.  Alike in all
 * workers and, where nothing changed, behind a reload: ticket keys outlive it.
 */
static int
server_set_context(struct tls_files *f, SSL_CTX *ctx,
    const struct conf_relay *r, uint32_t listener,
    const struct conf_tls_server *c)
{
	const struct conf_blob	*b = NULL;
	EVP_MD_CTX		*md;
	uint8_t			 sum[EVP_MAX_MD_SIZE];
	unsigned int		 len = 0;
	int			 rc = 0;

	if (c->verify != TLS_VERIFY_OFF)
		b = tls_files_blob(f->conf, c->ca);
	if ((md = EVP_MD_CTX_new()) == NULL)
		return -1;
	if (EVP_DigestInit_ex(md, EVP_sha256(), NULL) == 1 &&
	    EVP_DigestUpdate(md, r->name, strlen(r->name) + 1) == 1 &&
	    EVP_DigestUpdate(md, &listener, sizeof(listener)) == 1 &&
	    EVP_DigestUpdate(md, &c->verify, sizeof(c->verify)) == 1 &&
	    (b == NULL || EVP_DigestUpdate(md, b->data, b->len) == 1))
		rc = EVP_DigestFinal_ex(md, sum, &len);
	EVP_MD_CTX_free(md);
	if (rc != 1)
		return -1;
	return SSL_CTX_set_session_id_context(ctx, sum, len) == 1 ? 0 : -1;
}

/* The certificate, the chain behind it, and the keyholder's key. */
static int
server_set_cert(struct tls_files *f, SSL_CTX *ctx, const struct conf_pki *p)
{
	STACK_OF(X509)	*chain;
	int		 i;

	if ((chain = tls_files_chain(f, p)) == NULL)
		return tls_files_fail(f, "certificate does not parse");
	if (port_tls_use_key(ctx, sk_X509_value(chain, 0), p->number,
	    session_tls_sign, &f->what) == -1)
		return -1;		/* it says why */
	/* What we send is what the file says, and not what a store has. */
	(void)SSL_CTX_set_mode(ctx, SSL_MODE_NO_AUTO_CHAIN);
	for (i = 1; i < sk_X509_num(chain); i++)
		if (SSL_CTX_add1_chain_cert(ctx,
		    sk_X509_value(chain, i)) != 1)
			return tls_files_fail(f,
			    "certificate chain is refused");
	return 0;
}

static int
cert_has_name(const struct tls_cert *c, const char *name)
{
	return X509_check_host(SSL_CTX_get0_certificate(c->ctx), name, 0,
	    X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS, NULL) == 1;
}

/* The certificate for a name, NULL when none is for it. */
static const struct tls_cert *
server_find(const struct tls_server *s, const char *name)
{
	size_t	i;

	/* To X509_check_host() ".example" would be any name below. */
	if (!str_is_hostname(name))
		return NULL;
	for (i = 0; i < s->ncerts; i++)
		if (cert_has_name(&s->certs[i], name))
			return &s->certs[i];
	return NULL;
}

/*
 * The client's SNI (RFC 6066 3).  One that we don't know is no error: mail
 * servers ask for whatever their MX record said.
 */
static int
server_on_name(SSL *ssl, int *alert, void *arg)
{
	const struct tls_server	*s = arg;
	const struct tls_cert	*c;
	const char		*name;

	if ((name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name)) ==
	    NULL || (c = server_find(s, name)) == NULL)
		return SSL_TLSEXT_ERR_NOACK;
	if (c != &s->certs[0] && SSL_set_SSL_CTX(ssl, c->ctx) == NULL) {
		*alert = SSL_AD_INTERNAL_ERROR;
		return SSL_TLSEXT_ERR_ALERT_FATAL;
	}
	return SSL_TLSEXT_ERR_OK;
}

static int
server_add_cert(struct tls_files *f, struct tls_server *s,
    const struct conf_relay *r, uint32_t listener,
    const struct conf_tls_server *c, const struct conf_pki *p)
{
	struct tls_cert	*cert = &s->certs[s->ncerts];

	if ((cert->ctx = ctx_new(f, r, 1)) == NULL)
		return -1;
	s->ncerts++;
	if (server_set_cert(f, cert->ctx, p) == -1 ||
	    server_set_verify(f, cert->ctx, c) == -1 ||
	    server_set_context(f, cert->ctx, r, listener, c) == -1)
		return -1;
	/*
	 * With 1.2 a session that is resumed hides the name that it asks for,
	 * by which starttls terminate checks the destination.
	 */
	if (listener == UINT32_MAX)
		return 0;
	return port_tls_set_tickets(cert->ctx, f->tickets);
}

static int
server_make(struct tls_files *f, struct tls_server *s,
    const struct conf_relay *r, uint32_t listener,
    const struct conf_tls_server *c)
{
	const struct conf_pki	*p;
	size_t			 i;

	if (c->npkis == 0)
		return tls_files_fail(f, "no pki");
	if ((s->certs = calloc(c->npkis, sizeof(*s->certs))) == NULL)
		return -1;
	s->verify = c->verify;
	for (i = 0; i < c->npkis; i++) {
		p = pki_by_number(f->conf, c->pkis[i].pki);
		if (p == NULL)
			return tls_files_fail(f, "no such pki");
		if (server_add_cert(f, s, r, listener, c, p) == -1)
			return -1;
	}
	SSL_CTX_set_tlsext_servername_callback(s->certs[0].ctx,
	    server_on_name);
	SSL_CTX_set_tlsext_servername_arg(s->certs[0].ctx, s);
	return 0;
}

static void
server_clear(struct tls_server *s)
{
	size_t	i;

	for (i = 0; i < s->ncerts; i++)
		SSL_CTX_free(s->certs[i].ctx);
	free(s->certs);
	memset(s, 0, sizeof(*s));
}

static int
client_make(struct tls_files *f, struct tls_relay *to,
    const struct conf_relay *r)
{
	X509_STORE	*store;

	if ((to->client = ctx_new(f, r, 0)) == NULL)
		return -1;
	/* Sessions are not kept: a destination's state is not shared. */
	(void)SSL_CTX_set_options(to->client, SSL_OP_NO_TICKET);
	to->has_ca = r->tls.ca != CONF_NO_BLOB;
	if (to->has_ca) {
		if ((store = tls_files_store(f, r->tls.ca)) == NULL)
			return tls_files_fail(f, "CA certificates don't parse");
		if (ctx_set_ca(to->client, store,
		    X509_PURPOSE_SSL_SERVER) == -1)
			return -1;
	} else if (r->tls.mode == DEST_TLS_VERIFY)
		return tls_files_fail(f, "no CA certificates");
	SSL_CTX_set_verify(to->client, r->tls.mode == DEST_TLS_VERIFY ?
	    SSL_VERIFY_PEER : SSL_VERIFY_NONE, NULL);
	return 0;
}

static int
relay_make(struct tls_files *f, struct tls_relay *to,
    const struct conf_relay *r)
{
	const struct conf_listener	*l;

	if ((to->listeners = calloc((size_t)r->nlisteners + 1,
	    sizeof(*to->listeners))) == NULL)
		return -1;
	to->nlisteners = r->nlisteners;
	for (l = r->listeners; l != NULL; l = l->next) {
		if (l->tls.mode == TLS_OFF)
			continue;
		if (l->number >= to->nlisteners)
			return tls_files_fail(f, "listener without a place");
		if (server_make(f, &to->listeners[l->number], r, l->number,
		    &l->tls) == -1)
			return -1;
	}
	if (r->starttls == STARTTLS_TERMINATE &&
	    server_make(f, &to->terminate, r, UINT32_MAX,
	    &r->terminate) == -1)
		return -1;
	return r->tls.mode == DEST_TLS_OFF ? 0 : client_make(f, to, r);
}

static void
relay_clear(struct tls_relay *r)
{
	uint32_t	i;

	for (i = 0; r->listeners != NULL && i < r->nlisteners; i++)
		server_clear(&r->listeners[i]);
	free(r->listeners);
	server_clear(&r->terminate);
	SSL_CTX_free(r->client);
}

static int
set_make(struct tls_files *f, struct tls_set *set)
{
	const struct conf_relay	*r;

	set->relays = calloc((size_t)f->conf->nrelays + 1,
	    sizeof(*set->relays));
	if (set->relays == NULL)
		return -1;
	set->nrelays = f->conf->nrelays;
	for (r = f->conf->relays; r != NULL; r = r->next) {
		if (r->number >= set->nrelays)
			return tls_files_fail(f, "relay without a place");
		if (relay_make(f, &set->relays[r->number], r) == -1)
			return -1;
	}
	return 0;
}

struct tls_set *
tls_set_new_with(const struct conf *conf,
    const struct port_tls_tickets *tickets, port_tls_sign_fn *sign,
    const char **what)
{
	struct tls_files	 f;
	struct tls_set		*set;
	int			 rc = -1;

	session_tls_set_sign(sign);
	if (tls_files_init(&f, conf, tickets) == -1) {
		*what = f.what;
		return NULL;
	}
	if ((set = calloc(1, sizeof(*set))) != NULL)
		rc = set_make(&f, set);
	tls_files_clear(&f);
	ERR_clear_error();
	if (rc == 0)
		return set;
	*what = f.what;
	tls_set_free(set);
	return NULL;
}

struct tls_set *
tls_set_new(const struct conf *conf, const struct port_tls_tickets *tickets,
    const char **what)
{
	return tls_set_new_with(conf, tickets, key_client_sign, what);
}

void
tls_set_free(struct tls_set *set)
{
	uint32_t	i;

	if (set == NULL)
		return;
	for (i = 0; set->relays != NULL && i < set->nrelays; i++)
		relay_clear(&set->relays[i]);
	free(set->relays);
	free(set);
}
