/*
 * TLS of a session: contexts.  Which certificate a client is shown, with what
 * chain, and which configurations make no contexts.
 */
#include "../../smtpproxyd/session_tls.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

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
	{ "wild",			TP_MX },	/* the pki's name */
	{ "a.wild.example",		TP_WILD },
	{ "A.Wild.Example",		TP_WILD },
	{ "a.b.wild.example",		TP_MX },	/* one label only */
	{ "wild.example",		TP_MX },
	{ "mx.part.example",		TP_MX },	/* no partial ones */
	{ "other.example",		TP_OTHER },
	{ "any",			TP_MX },
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
	Suite	*s = suite_create("session_tls_set");
	TCase	*tc = tcase_create("contexts");
	SRunner	*sr;
	int	 nfailed;

	tcase_add_unchecked_fixture(tc, tp_set_up, tp_tear_down);
	tcase_add_loop_test(tc, test_sni, 0, NROWS(sni_rows) * 2);
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
