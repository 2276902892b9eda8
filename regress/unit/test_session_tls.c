/*
 * TLS of a session: handshakes.  Which certificate a client is shown, what is
 * said of the peer's, what is refused and in which words.
 */
#include "../../smtpproxyd/session_tls.h"

#include <check.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/x509v3.h>

#include "tls_pair.h"

#define NROWS(rows)	((int)(sizeof(rows) / sizeof((rows)[0])))

/* SNI: the name asked for, and whose certificate is shown. */
static const struct sni_row {
	const char	*sni;
	enum tp_cert	 want;
} sni_rows[] = {
	{ NULL,				TP_MX },
	{ "mx.example",			TP_MX },
	{ "MX.EXAMPLE",			TP_MX },
	{ "wild",			TP_WILD },	/* the pki's name */
	{ "a.wild.example",		TP_WILD },
	{ "A.Wild.Example",		TP_WILD },
	{ "a.b.wild.example",		TP_MX },	/* one label only */
	{ "wild.example",		TP_MX },
	{ "mx.part.example",		TP_MX },	/* no partial ones */
	{ "other.example",		TP_OTHER },
	{ "any",			TP_OTHER },
	{ ".example",			TP_MX },	/* no name */
	{ ".wild.example",		TP_MX },
	{ "unknown.example",		TP_MX },
	{ "192.0.2.1",			TP_MX },
	{ "a b\nc",			TP_MX }
};

START_TEST(test_sni)
{
	const struct sni_row	*r = &sni_rows[_i / 2];
	struct tp_conf		 c;
	struct tp_pair		 p;
	struct tls_set		*set;
	struct smtp_tls_facts	 facts;
	SSL_CTX			*ctx = tp_raw_new(TP_CERTS);
	X509			*x;

	tp_conf_init(&c);
	tp_conf_serve(&c, 1, TLS_VERIFY_OFF, CONF_NO_BLOB, TP_MX, TP_WILD,
	    TP_OTHER, TP_CERTS);
	set = tp_set_new(&c);
	tp_open(&p);
	if (_i % 2 == 0)
		SSL_CTX_set_max_proto_version(ctx, TLS1_2_VERSION);
	tp_accept(&p, set, 1);
	tp_connect_raw(&p, ctx, r->sni);
	tp_shake_well(&p);
	x = SSL_get_peer_certificate(p.raw);
	ck_assert_int_eq(X509_cmp(x, tp_pki[r->want].cert), 0);
	X509_free(x);
	session_tls_facts(p.server, &facts);
	ck_assert_pstr_eq(facts.sni, r->sni);
	ck_assert_str_eq(facts.verify, "none");
	ck_assert_ptr_null(facts.subject);
	ck_assert_str_eq(facts.protocol, _i % 2 == 0 ? "TLSv1.2" :
	    "TLSv1.3");
	ck_assert_str_eq(facts.cipher, SSL_get_cipher_name(p.raw));
	tp_close(&p);
	SSL_CTX_free(ctx);
	tls_set_free(set);
}
END_TEST

/* The client's certificate, and what becomes of it. */
static const struct client_row {
	enum conf_tls_verify	 verify;
	enum tp_cert		 cert;		/* TP_CERTS: none */
	const char		*fact;		/* NULL: refused */
	const char		*subject;	/* or: the error */
} client_rows[] = {
	{ TLS_VERIFY_OFF, TP_CLIENT, "none", NULL },
	{ TLS_VERIFY_ASK, TP_CERTS, "none", NULL },
	{ TLS_VERIFY_ASK, TP_CLIENT, "ok", "CN=client" },
	{ TLS_VERIFY_ASK, TP_CLIENT_OLD, "certificate has expired",
	    "CN=old client" },
	{ TLS_VERIFY_ASK, TP_CLIENT_OTHER,
	    "unable to verify the first certificate", "CN=other client" },
	{ TLS_VERIFY_ASK, TP_SELF, "self-signed certificate",
	    "CN=mx.example" },
	{ TLS_VERIFY_REQUIRE, TP_CLIENT, "ok", "CN=client" },
	{ TLS_VERIFY_REQUIRE, TP_CERTS, NULL, "verify: no certificate" },
	{ TLS_VERIFY_REQUIRE, TP_CLIENT_OLD, NULL,
	    "verify: certificate has expired" },
	{ TLS_VERIFY_REQUIRE, TP_CLIENT_OTHER, NULL,
	    "verify: unable to get local issuer certificate" },
	{ TLS_VERIFY_REQUIRE, TP_SELF, NULL,
	    "verify: self-signed certificate" }
};

START_TEST(test_client)
{
	const struct client_row	*r = &client_rows[_i / 2];
	struct tp_conf		 c;
	struct tp_pair		 p;
	struct tls_set		*set;
	struct smtp_tls_facts	 facts;
	SSL_CTX			*ctx = tp_raw_new(r->cert);

	tp_conf_init(&c);
	tp_conf_serve(&c, UINT32_MAX, r->verify, TP_CA, TP_MX, TP_CERTS);
	set = tp_set_new(&c);
	tp_open(&p);
	if (_i % 2 == 0)
		SSL_CTX_set_max_proto_version(ctx, TLS1_2_VERSION);
	tp_accept(&p, set, UINT32_MAX);
	tp_connect_raw(&p, ctx, NULL);
	tp_shake(&p);
	if (r->fact == NULL) {
		ck_assert_int_eq(p.result[0], TLS_FAILED);
		ck_assert_str_eq(session_tls_error(p.server), r->subject);
	} else {
		ck_assert_int_eq(p.result[0], TLS_DONE);
		session_tls_facts(p.server, &facts);
		ck_assert_str_eq(facts.verify, r->fact);
		ck_assert_pstr_eq(facts.subject, r->subject);
		ck_assert_int_eq(facts.is_verified,
		    strcmp(r->fact, "ok") == 0);
		ck_assert_str_eq(session_tls_error(p.server), "none");
	}
	tp_close(&p);
	SSL_CTX_free(ctx);
	tls_set_free(set);
}
END_TEST

/* A long subject is cut, and is seen to be. */
START_TEST(test_subject)
{
	struct tp_conf		 c;
	struct tp_pair		 p;
	struct tls_set		*set;
	struct smtp_tls_facts	 facts;
	SSL_CTX			*ctx = tp_raw_new(TP_CLIENT_LONG);

	tp_conf_init(&c);
	tp_conf_serve(&c, 0, TLS_VERIFY_ASK, TP_CA, TP_MX, TP_CERTS);
	set = tp_set_new(&c);
	tp_open(&p);
	tp_accept(&p, set, 0);
	tp_connect_raw(&p, ctx, NULL);
	tp_shake_well(&p);
	session_tls_facts(p.server, &facts);
	ck_assert_uint_eq(strlen(facts.subject), 255);
	ck_assert_str_eq(facts.subject + 252, "...");
	ck_assert_int_eq(strncmp(facts.subject, "OU=nnn", 6), 0);
	tp_close(&p);
	SSL_CTX_free(ctx);
	tls_set_free(set);
}
END_TEST

/* A destination's certificate: how it is with verification, and without. */
static const struct dest_row {
	enum tp_cert	 cert;
	const char	*host;
	const char	*fact;
} dest_rows[] = {
	{ TP_MX, "mx.example", "ok" },
	{ TP_MX, "MX.Example", "ok" },
	{ TP_MX, NULL, "ok" },
	{ TP_MX, "mx2.example", "host name does not match" },
	{ TP_MX, "example", "host name does not match" },
	{ TP_MX, "192.0.2.1", "address does not match" },
	{ TP_WILD, "a.wild.example", "ok" },
	{ TP_WILD, "a.b.wild.example", "host name does not match" },
	{ TP_WILD, "mx.part.example", "host name does not match" },
	{ TP_OTHER, "other.example", "ok" },
	{ TP_CHAIN, "mx.example", "ok" },
	{ TP_BARE, "mx.example", "unable to verify the first certificate" },
	{ TP_EXPIRED, "mx.example", "certificate has expired" },
	{ TP_SELF, "mx.example", "self-signed certificate" },
	{ TP_SELF, NULL, "self-signed certificate" },
	{ TP_CLIENT_OTHER, NULL, "unable to verify the first certificate" },
	{ TP_IP, "192.0.2.1", "ok" },
	{ TP_IP, "2001:db8::1", "ok" },
	{ TP_IP, "2001:db8:0:0::1", "ok" },
	{ TP_IP, "192.0.2.2", "address does not match" },
	{ TP_IP, "2001:db8::2", "address does not match" }
};

static void
check_dest(const struct tp_pair *p, const struct dest_row *r,
    enum conf_dest_tls mode)
{
	struct smtp_tls_facts	 facts;
	const char		*error;
	int			 is_ok = strcmp(r->fact, "ok") == 0;

	if (mode == DEST_TLS_VERIFY && !is_ok) {
		ck_assert_int_eq(p->result[1], TLS_FAILED);
		error = session_tls_error(p->client);
		ck_assert_int_eq(strncmp(error, "verify: ", 8), 0);
		/* The first thing wrong ends it there. */
		if (r->cert != TP_BARE && r->cert != TP_CLIENT_OTHER)
			ck_assert_str_eq(error + 8, r->fact);
		return;
	}
	ck_assert_int_eq(p->result[1], TLS_DONE);
	session_tls_facts(p->client, &facts);
	ck_assert_ptr_nonnull(facts.subject);
	ck_assert_int_eq(facts.is_verified, is_ok);
	if (r->cert != TP_BARE && r->cert != TP_CLIENT_OTHER)
		ck_assert_str_eq(facts.verify, r->fact);
	else
		ck_assert_str_ne(facts.verify, "ok");
}

START_TEST(test_dest)
{
	const struct dest_row	*r = &dest_rows[_i / 3];
	enum conf_dest_tls	 mode = (enum conf_dest_tls)(_i % 3 + 1);
	struct tp_conf		 c;
	struct tp_pair		 p;
	struct tls_set		*set;
	struct smtp_tls_facts	 facts;
	struct addr		 a;

	tp_conf_init(&c);
	tp_conf_serve(&c, 0, TLS_VERIFY_OFF, CONF_NO_BLOB, r->cert, TP_CERTS);
	tp_conf_dest(&c, mode, TP_CA);
	set = tp_set_new(&c);
	tp_open(&p);
	tp_accept(&p, set, 0);
	tp_connect(&p, set, r->host);
	tp_shake(&p);
	check_dest(&p, r, mode);
	if (p.result[0] == TLS_DONE) {
		session_tls_facts(p.server, &facts);
		/* An address is not asked for by name (RFC 6066 3). */
		if (r->host == NULL || addr_parse(&a, r->host) == 0)
			ck_assert_ptr_null(facts.sni);
		else
			ck_assert_str_eq(facts.sni, r->host);
	}
	tp_close(&p);
	tls_set_free(set);
}
END_TEST

/* Without authorities nothing is checked, and that is said. */
START_TEST(test_unchecked)
{
	struct tp_conf		 c;
	struct tp_pair		 p;
	struct tls_set		*set;
	struct smtp_tls_facts	 facts;

	tp_conf_init(&c);
	tp_conf_serve(&c, 0, TLS_VERIFY_OFF, CONF_NO_BLOB, TP_MX, TP_CERTS);
	tp_conf_dest(&c, DEST_TLS_OPPORTUNISTIC, CONF_NO_BLOB);
	set = tp_set_new(&c);
	tp_open(&p);
	tp_accept(&p, set, 0);
	tp_connect(&p, set, "mx.example");
	tp_shake_well(&p);
	session_tls_facts(p.client, &facts);
	ck_assert_str_eq(facts.verify, "not checked");
	ck_assert_str_eq(facts.subject, "CN=mx.example");
	ck_assert_int_eq(facts.is_verified, 0);
	tp_close(&p);
	tls_set_free(set);
}
END_TEST

/* Protocols and ciphers: of the server's relay, and the client's. */
static const struct limit_row {
	unsigned int	 protocols[2];
	const char	*ciphers[2];
	const char	*want;		/* protocol; NULL: refused */
	const char	*errors[2];
} limit_rows[] = {
	{ { 3, 3 }, { "", "" }, "TLSv1.3", { NULL, NULL } },
	{ { 1, 3 }, { "", "" }, "TLSv1.2", { NULL, NULL } },
	{ { 3, 1 }, { "", "" }, "TLSv1.2", { NULL, NULL } },
	{ { 2, 3 }, { "", "" }, "TLSv1.3", { NULL, NULL } },
	{ { 2, 2 }, { "", "" }, "TLSv1.3", { NULL, NULL } },
	{ { 0, 0 }, { "", "" }, "TLSv1.3", { NULL, NULL } },
	{ { 2, 1 }, { "", "" }, NULL, { "protocol version",
	    "alert received: protocol version" } },
	{ { 1, 2 }, { "", "" }, NULL, { "protocol version",
	    "alert received: protocol version" } },
	{ { 1, 1 }, { "ECDHE-ECDSA-AES128-GCM-SHA256", "" }, "TLSv1.2",
	    { NULL, NULL } },
	{ { 1, 1 }, { "ECDHE-ECDSA-AES128-GCM-SHA256",
	    "ECDHE-ECDSA-AES256-GCM-SHA384" }, NULL, { "no shared cipher",
	    "alert received: handshake failure" } },
	/* Of the wrong kind of key. */
	{ { 1, 1 }, { "ECDHE-RSA-AES128-GCM-SHA256", "" }, NULL,
	    { "no shared cipher", "alert received: handshake failure" } }
};

static struct tls_set *
limit_set(struct tp_conf *c, const struct limit_row *r, int side)
{
	tp_conf_init(c);
	if (side == 0)
		tp_conf_serve(c, 0, TLS_VERIFY_OFF, CONF_NO_BLOB, TP_MX,
		    TP_CERTS);
	else
		tp_conf_dest(c, DEST_TLS_VERIFY, TP_CA);
	c->relay.tls_protocols = r->protocols[side];
	ck_assert_uint_lt(strlcpy(c->relay.tls_ciphers, r->ciphers[side],
	    CONF_CIPHERS_MAX), CONF_CIPHERS_MAX);
	return tp_set_new(c);
}

START_TEST(test_limits)
{
	const struct limit_row	*r = &limit_rows[_i];
	struct tp_conf		 c[2];
	struct tp_pair		 p;
	struct tls_set		*server, *client;
	struct smtp_tls_facts	 facts;

	server = limit_set(&c[0], r, 0);
	client = limit_set(&c[1], r, 1);
	tp_open(&p);
	tp_accept(&p, server, 0);
	tp_connect(&p, client, "mx.example");
	tp_shake(&p);
	if (r->want != NULL) {
		ck_assert_int_eq(p.result[0], TLS_DONE);
		ck_assert_int_eq(p.result[1], TLS_DONE);
		session_tls_facts(p.client, &facts);
		ck_assert_str_eq(facts.protocol, r->want);
		if (r->ciphers[0][0] != '\0')
			ck_assert_str_eq(facts.cipher, r->ciphers[0]);
	} else {
		ck_assert_int_eq(p.result[0], TLS_FAILED);
		ck_assert_int_eq(p.result[1], TLS_FAILED);
		ck_assert_str_eq(session_tls_error(p.server), r->errors[0]);
		ck_assert_str_eq(session_tls_error(p.client), r->errors[1]);
	}
	tp_close(&p);
	tls_set_free(server);
	tls_set_free(client);
}
END_TEST

/* What comes in place of a handshake. */
static const struct junk_row {
	const char	*octets;
	size_t		 len;
	int		 is_closed;	/* behind them */
	const char	*error;		/* NULL: it goes on waiting */
} junk_rows[] = {
	{ "", 0, 0, NULL },
	{ "", 0, 1, "closed during the handshake" },
	{ "E", 1, 1, "not TLS" },
	{ "EHLO client.example\r\n", 21, 0, "not TLS" },
	{ "220 mx.example ESMTP\r\n", 22, 0, "not TLS" },
	{ "GET / HTTP/1.1\r\n\r\n", 18, 0, "not TLS" },
	{ "CONNECT a:25 HTTP/1.1\r\n", 23, 0, "not TLS" },
	{ "\x80\x2e\x01\x03\x01 SSLv2 hello", 17, 1, "not TLS" },
	{ "\x16\x03\x01\x02", 4, 0, NULL },
	{ "\x16\x03\x01\x02", 4, 1, "closed during the handshake" },
	{ "\x16\x03\x01\x02\x00\x01", 6, 1, "closed during the handshake" },
	{ "\x16\x02\x01\x02\x00\x01", 6, 0, "protocol version" },
	{ "\x15\x03\x03\x00\x02\x02\x28", 7, 0, "alert" },
};

START_TEST(test_junk)
{
	const struct junk_row	*r = &junk_rows[_i / 2];
	struct tp_conf		 c;
	struct tp_pair		 p;
	struct tls_set		*set;
	struct session_tls	*t;
	const char		*error;
	int			 side = _i % 2;

	tp_conf_init(&c);
	tp_conf_serve(&c, 0, TLS_VERIFY_OFF, CONF_NO_BLOB, TP_MX, TP_CERTS);
	tp_conf_dest(&c, DEST_TLS_OPPORTUNISTIC, CONF_NO_BLOB);
	set = tp_set_new(&c);
	tp_open(&p);
	if (side == 0)
		tp_accept(&p, set, 0);
	else
		tp_connect(&p, set, "mx.example");
	t = side == 0 ? p.server : p.client;
	ck_assert_int_eq(write(p.fd[1 - side], r->octets, r->len),
	    (ssize_t)r->len);
	if (r->is_closed)
		ck_assert_int_eq(shutdown(p.fd[1 - side], SHUT_WR), 0);
	tp_shake(&p);
	if (r->error == NULL)
		ck_assert_int_eq(p.result[side], TLS_WANT_READ);
	else {
		ck_assert_int_eq(p.result[side], TLS_FAILED);
		error = session_tls_error(t);
		if (strcmp(r->error, "alert") != 0)
			ck_assert_str_eq(error, r->error);
		else if (side == 0)	/* none is due before a hello */
			ck_assert_str_eq(error, "unexpected message");
		else
			ck_assert_str_eq(error,
			    "alert received: handshake failure");
		ck_assert_int_eq(session_tls_handshake(t), TLS_FAILED);
	}
	tp_close(&p);
	tls_set_free(set);
}
END_TEST

/* A reset in the middle. */
START_TEST(test_reset)
{
	struct tp_conf	 c;
	struct tp_pair	 p;
	struct tls_set	*set;

	tp_conf_init(&c);
	tp_conf_dest(&c, DEST_TLS_OPPORTUNISTIC, CONF_NO_BLOB);
	set = tp_set_new(&c);
	tp_open(&p);
	tp_connect(&p, set, NULL);
	ck_assert_int_eq(session_tls_handshake(p.client), TLS_WANT_READ);
	/* Closed with octets unread: AF_UNIX says ECONNRESET. */
	(void)close(p.fd[0]);
	p.fd[0] = -1;
	ck_assert_int_eq(session_tls_handshake(p.client), TLS_FAILED);
	ck_assert_str_eq(session_tls_error(p.client), "connection reset");
	tp_close(&p);
	tls_set_free(set);
}
END_TEST

/* The chain that is sent is the file's. */
START_TEST(test_chain)
{
	static const struct {
		enum tp_cert	cert;
		int		n;
	} want[] = { { TP_MX, 1 }, { TP_CHAIN, 2 }, { TP_BARE, 1 } };
	struct tp_conf	 c;
	struct tp_pair	 p;
	struct tls_set	*set;
	SSL_CTX		*ctx = tp_raw_new(TP_CERTS);

	tp_conf_init(&c);
	tp_conf_serve(&c, 0, TLS_VERIFY_ASK, TP_CA, want[_i].cert, TP_CERTS);
	set = tp_set_new(&c);
	tp_open(&p);
	tp_accept(&p, set, 0);
	tp_connect_raw(&p, ctx, NULL);
	tp_shake_well(&p);
	ck_assert_int_eq(sk_X509_num(SSL_get_peer_cert_chain(p.raw)),
	    want[_i].n);
	/* The names of whom we believe are sent with the request. */
	ck_assert_int_eq(sk_X509_NAME_num(SSL_get_client_CA_list(p.raw)), 1);
	tp_close(&p);
	SSL_CTX_free(ctx);
	tls_set_free(set);
}
END_TEST

/* Configurations that make no contexts. */
static const struct bad_row {
	const char	*name;
	const char	*want;
} bad_rows[] = {
	{ "garbage",	"certificate does not parse" },
	{ "empty",	"certificate does not parse" },
	{ "half",	"certificate does not parse" },
	{ "no blob",	"certificate does not parse" },
	{ "no pki",	"no such pki" },
	{ "pkis",	"no pki" },
	{ "key",	NULL },			/* the library's words */
	{ "ca",		"CA certificates don't parse" },
	{ "dest ca",	"CA certificates don't parse" },
	{ "no dest ca",	"no CA certificates" },
	{ "ciphers",	"no such ciphers" }
};

/* A key of a kind that no server has here. */
static void
spoil_key(struct conf_blob *b)
{
	static const struct tls_pki_want want = { "mx", NULL, "ED448", 0, 0 };
	static struct tls_pki		 pki;
	const struct tls_pki		*one = &pki;

	tls_pki_make(&pki, &want, NULL);
	b->data = (uint8_t *)tls_pki_pem_chain(&one, 1, &b->len);
	tls_pki_clear(&pki);
}

static void
spoil(struct tp_conf *c, const char *how)
{
	static char	 garbage[] = "garbage";
	struct conf_blob *mx = &c->blobs[TP_MX];

	if (strcmp(how, "garbage") == 0) {
		mx->data = (uint8_t *)garbage;
		mx->len = strlen(garbage);
	} else if (strcmp(how, "empty") == 0)
		mx->len = 0;
	else if (strcmp(how, "half") == 0)
		mx->len /= 2;
	else if (strcmp(how, "no blob") == 0)
		c->pkis[TP_MX].cert = TP_BLOBS;
	else if (strcmp(how, "no pki") == 0)
		c->names[0][0].pki = TP_CERTS;
	else if (strcmp(how, "pkis") == 0)
		c->listeners[0].tls.npkis = 0;
	else if (strcmp(how, "key") == 0)
		spoil_key(mx);
	else if (strcmp(how, "ca") == 0)
		c->listeners[0].tls.ca = CONF_NO_BLOB;
	else if (strcmp(how, "dest ca") == 0)
		c->relay.tls.ca = TP_BLOBS;
	else if (strcmp(how, "no dest ca") == 0)
		c->relay.tls.ca = CONF_NO_BLOB;
	else
		(void)strlcpy(c->relay.tls_ciphers, "NOSUCH",
		    CONF_CIPHERS_MAX);
}

START_TEST(test_bad)
{
	const struct bad_row	*r = &bad_rows[_i];
	struct tp_conf		 c;
	const char		*what = NULL;

	tp_conf_init(&c);
	tp_conf_serve(&c, 0, TLS_VERIFY_REQUIRE, TP_CA, TP_MX, TP_CERTS);
	tp_conf_dest(&c, DEST_TLS_VERIFY, TP_CA);
	spoil(&c, r->name);
	ck_assert_ptr_null(tls_set_new_with(&c.conf, &tp_tickets, tp_sign,
	    &what));
	ck_assert_ptr_nonnull(what);
	if (r->want != NULL)
		ck_assert_str_eq(what, r->want);
	if (strcmp(r->name, "key") == 0)
		free(c.blobs[TP_MX].data);
}
END_TEST

/* Where there is no TLS, none can be begun. */
START_TEST(test_none)
{
	struct tp_conf	 c;
	struct tls_set	*set;
	const char	*what;

	tp_conf_init(&c);
	ck_assert_ptr_nonnull(set = tls_set_new(&c.conf, &tp_tickets, &what));
	ck_assert_ptr_null(session_tls_accept(set, 0, 0, -1, NULL, NULL));
	ck_assert_ptr_null(session_tls_accept(set, 0, TP_LISTENERS, -1, NULL,
	    NULL));
	ck_assert_ptr_null(session_tls_accept(set, 0, UINT32_MAX, -1, NULL,
	    NULL));
	ck_assert_ptr_null(session_tls_accept(set, 1, 0, -1, NULL, NULL));
	ck_assert_ptr_null(session_tls_connect(set, 0, "a", -1, NULL, NULL));
	ck_assert_ptr_null(session_tls_connect(set, 1, "a", -1, NULL, NULL));
	session_tls_free(NULL);
	tls_set_free(set);
	tls_set_free(NULL);
	c.conf.relays = NULL;
	c.conf.nrelays = 0;
	ck_assert_ptr_nonnull(set = tls_set_new(&c.conf, &tp_tickets, &what));
	tls_set_free(set);
}
END_TEST

int
main(void)
{
	Suite	*s = suite_create("session_tls");
	TCase	*tc = tcase_create("handshakes");
	SRunner	*sr;
	int	 nfailed;

	tcase_add_unchecked_fixture(tc, tp_set_up, tp_tear_down);
	tcase_add_loop_test(tc, test_sni, 0, NROWS(sni_rows) * 2);
	tcase_add_loop_test(tc, test_client, 0, NROWS(client_rows) * 2);
	tcase_add_test(tc, test_subject);
	tcase_add_loop_test(tc, test_dest, 0, NROWS(dest_rows) * 3);
	tcase_add_test(tc, test_unchecked);
	tcase_add_loop_test(tc, test_limits, 0, NROWS(limit_rows));
	tcase_add_loop_test(tc, test_junk, 0, NROWS(junk_rows) * 2);
	tcase_add_test(tc, test_reset);
	tcase_add_loop_test(tc, test_chain, 0, 3);
	tcase_add_loop_test(tc, test_bad, 0, NROWS(bad_rows));
	tcase_add_test(tc, test_none);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	nfailed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return nfailed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
