/*
 * Tests of session tickets that every worker can open: contexts of two workers
 * with the same keys, keys that change, and none.
 */
#include "../../common/port/tls.h"

#include <check.h>
#include <string.h>

#include <openssl/rand.h>
#include <openssl/ssl.h>

#include "port_pair.h"

#define TLS12		TLS1_2_VERSION
#define TLS13		TLS1_3_VERSION

/* One connection, perhaps with a session; the session for the next one. */
static SSL_SESSION *
connect_once(SSL_CTX *server, SSL_CTX *client, SSL_SESSION *with, int resumed)
{
	struct pp_pair	 p;
	SSL_SESSION	*session;
	int		 before = pp_signer.nsigned;

	pp_open(&p, server, client);
	if (with != NULL) {
		ck_assert_int_eq(SSL_set_session(p.client, with), 1);
		SSL_SESSION_free(with);
	}
	pp_shake(&p);
	ck_assert_int_eq(p.server_error, SSL_ERROR_NONE);
	ck_assert_int_eq(p.client_error, SSL_ERROR_NONE);
	pp_talk(&p);
	ck_assert_int_eq(SSL_session_reused(p.client), resumed);
	ck_assert_int_eq(SSL_session_reused(p.server), resumed);
	ck_assert_int_eq(pp_signer.nsigned - before, !resumed);
	session = SSL_get1_session(p.client);
	/* Closed well, else the session counts as bad. */
	(void)SSL_shutdown(p.client);
	(void)SSL_shutdown(p.server);
	pp_close(&p);
	return session;
}

static void
new_key(struct port_tls_tickets *t)
{
	memcpy(t->key[1], t->key[0], TLS_TICKET_KEY);
	ck_assert_int_eq(RAND_bytes(t->key[0], TLS_TICKET_KEY), 1);
	if (t->n < 2)
		t->n++;
}

static const int	versions[] = { TLS12, TLS13 };

/* Tickets of one context open with another of the same keys, each time. */
START_TEST(tickets)
{
	struct port_tls_tickets	 t = { .n = 0 }, copy;
	SSL_CTX			*a, *b, *client;
	SSL_SESSION		*s;

	new_key(&t);
	copy = t;
	a = pp_server(PP_P256, &t);
	b = pp_server(PP_P256, &copy);
	client = pp_client(versions[_i], pp_pki[PP_P256].cert);
	s = connect_once(a, client, NULL, 0);
	s = connect_once(b, client, s, 1);
	s = connect_once(a, client, s, 1);
	s = connect_once(b, client, s, 1);
	SSL_SESSION_free(s);
	SSL_CTX_free(a);
	SSL_CTX_free(b);
	SSL_CTX_free(client);
}
END_TEST

/* After one rotation a ticket is good, and renewed; after two it is not. */
START_TEST(tickets_rotate)
{
	struct port_tls_tickets	 t = { .n = 0 };
	SSL_CTX			*server, *client;
	SSL_SESSION		*s;

	new_key(&t);
	server = pp_server(PP_P256, &t);
	client = pp_client(versions[_i], pp_pki[PP_P256].cert);
	s = connect_once(server, client, NULL, 0);
	new_key(&t);
	s = connect_once(server, client, s, 1);
	new_key(&t);
	s = connect_once(server, client, s, 1);
	new_key(&t);
	new_key(&t);
	s = connect_once(server, client, s, 0);
	SSL_SESSION_free(s);
	SSL_CTX_free(server);
	SSL_CTX_free(client);
}
END_TEST

/* A ticket that is not as it was is no ticket: a full handshake, no error. */
START_TEST(tickets_spoilt)
{
	struct port_tls_tickets	 t = { .n = 0 };
	SSL_CTX			*server, *client;
	SSL_SESSION		*s;

	new_key(&t);
	server = pp_server(PP_P256, &t);
	client = pp_client(versions[_i], pp_pki[PP_P256].cert);
	s = connect_once(server, client, NULL, 0);
	t.key[0][20] ^= 1;		/* the MAC's key, under its name */
	s = connect_once(server, client, s, 0);
	SSL_SESSION_free(s);
	SSL_CTX_free(server);
	SSL_CTX_free(client);
}
END_TEST

/* Without keys, or never set: nothing to resume with. */
START_TEST(tickets_none)
{
	struct port_tls_tickets	 t = { .n = 0 };
	SSL_CTX			*server, *client;
	SSL_SESSION		*s;

	server = pp_server(PP_P256, _i < 2 ? &t : NULL);
	client = pp_client(versions[_i % 2], pp_pki[PP_P256].cert);
	s = connect_once(server, client, NULL, 0);
	ck_assert_int_eq(SSL_SESSION_has_ticket(s), 0);
	s = connect_once(server, client, s, 0);
	/* They come, and go, while the context is in use. */
	if (_i < 2) {
		new_key(&t);
		s = connect_once(server, client, s, 0);
		s = connect_once(server, client, s, 1);
		t.n = 0;
		s = connect_once(server, client, s, 0);
	}
	SSL_SESSION_free(s);
	SSL_CTX_free(server);
	SSL_CTX_free(client);
}
END_TEST

int
main(void)
{
	Suite	*s = suite_create("tls_ticket");
	TCase	*tc = tcase_create("tls_ticket");
	SRunner	*sr = srunner_create(s);
	int	 nfailed;

	tcase_set_timeout(tc, 20);
	tcase_add_unchecked_fixture(tc, pp_set_up, pp_tear_down);
	tcase_add_checked_fixture(tc, pp_reset, NULL);
	tcase_add_loop_test(tc, tickets, 0, 2);
	tcase_add_loop_test(tc, tickets_rotate, 0, 2);
	tcase_add_loop_test(tc, tickets_spoilt, 0, 2);
	tcase_add_loop_test(tc, tickets_none, 0, 4);
	suite_add_tcase(s, tc);
	srunner_run_all(sr, CK_ENV);
	nfailed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return nfailed != 0;
}
