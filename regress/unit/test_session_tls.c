/*
 * TLS of a session: handshakes.  What is said of the peer's certificate, what
 * is refused and in which words.
 */
#include "../../smtpproxyd/session_tls.h"

#include <sys/socket.h>

#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tls_pair.h"

#define NROWS(rows)	((int)(sizeof(rows) / sizeof((rows)[0])))

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

int
main(void)
{
	Suite	*s = suite_create("session_tls");
	TCase	*tc = tcase_create("handshakes");
	SRunner	*sr;
	int	 nfailed;

	tcase_add_unchecked_fixture(tc, tp_set_up, tp_tear_down);
	tcase_add_loop_test(tc, test_client, 0, NROWS(client_rows) * 2);
	tcase_add_test(tc, test_subject);
	tcase_add_loop_test(tc, test_dest, 0, NROWS(dest_rows) * 3);
	tcase_add_test(tc, test_unchecked);
	tcase_add_loop_test(tc, test_limits, 0, NROWS(limit_rows));
	tcase_add_loop_test(tc, test_junk, 0, NROWS(junk_rows) * 2);
	tcase_add_test(tc, test_reset);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	nfailed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return nfailed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
