/*
 * TLS of a session: signatures that come late or not at all, handshakes that
 * wait for them, and tickets, which need none.
 */
#include "../../smtpproxyd/session_tls.h"

#include <sys/socket.h>

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tls_pair.h"

#define NROWS(rows)	((int)(sizeof(rows) / sizeof((rows)[0])))

static struct tp_conf	 conf;
static struct tls_set	*set;
static SSL_CTX		*raw;

/* Listener 0, no verification; the relay's destinations verified. */
static void
set_up(void)
{
	tp_sign_fails = tp_sign_pauses = tp_cant_pause = tp_nsigned = 0;
	tp_tickets.n = 1;
	tp_conf_init(&conf);
	tp_conf_serve(&conf, 0, TLS_VERIFY_OFF, CONF_NO_BLOB, TP_MX,
	    TP_CERTS);
	tp_conf_dest(&conf, DEST_TLS_VERIFY, TP_CA);
	set = tp_set_new(&conf);
	raw = tp_raw_new(TP_CERTS);
}

static void
tear_down(void)
{
	tls_set_free(set);
	SSL_CTX_free(raw);
}

/* --- Signatures --- */

START_TEST(test_unsigned)
{
	struct tp_pair	p;

	tls_set_free(set);
	conf.relay.tls_protocols = _i == 0 ? CONF_TLS12 : CONF_TLS13;
	set = tp_set_new(&conf);
	tp_sign_fails = 1;
	tp_open(&p);
	tp_accept(&p, set, 0);
	tp_connect(&p, set, "mx.example");
	tp_shake(&p);
	ck_assert_int_eq(p.result[0], TLS_FAILED);
	ck_assert_str_eq(session_tls_error(p.server),
	    "keyholder: no signature");
	ck_assert_str_eq(session_tls_error(p.client),
	    "alert received: internal error");
	tp_close(&p);
}
END_TEST

/* Only where the library can't do it may a pause be asked for in vain. */
static int
cant_pause(void)
{
	if (!tp_cant_pause)
		return 0;
	ck_assert(strstr(port_tls_name(), "LibreSSL") != NULL ||
	    strstr(port_tls_name(), "by method tables") != NULL);
	return 1;
}

/* A client's first flight, and the server's first call. */
static enum session_tls_result
begin(struct tp_pair *p)
{
	tp_open(p);
	tp_accept(p, set, 0);
	tp_connect_raw(p, raw, NULL);
	ck_assert_int_eq(SSL_do_handshake(p->raw), -1);
	p->result[0] = session_tls_handshake(p->server);
	return p->result[0];
}

START_TEST(test_paused)
{
	struct tp_pair		p;
	enum session_tls_result	result;

	tp_sign_pauses = 1;
	result = begin(&p);
	if (cant_pause()) {
		tp_close(&p);
		return;
	}
	ck_assert_int_eq(result, TLS_WAIT);
	ck_assert_int_eq(session_tls_handshake(p.server), TLS_WAIT);
	ck_assert_int_eq(session_tls_has_input(p.server), 0);
	ck_assert_int_eq(tp_nsigned, 0);
	tp_sign_pauses = 0;
	tp_shake_well(&p);
	ck_assert_int_eq(tp_nsigned, 1);
	tp_close(&p);
}
END_TEST

/* Given up while paused: it unwinds, and writes nothing more. */
START_TEST(test_paused_freed)
{
	struct tp_pair		p;
	enum session_tls_result	result;
	char			octet;

	tp_sign_pauses = 1;
	result = begin(&p);
	if (cant_pause()) {
		tp_close(&p);
		return;
	}
	ck_assert_int_eq(result, TLS_WAIT);
	tp_sign_pauses = 0;
	tp_sign_fails = 1;
	session_tls_free(p.server);
	p.server = NULL;
	ck_assert_int_eq(tp_nsigned, 1);	/* it came back */
	ck_assert_int_eq(recv(p.fd[1], &octet, 1, 0), -1);
	ck_assert_int_eq(errno, EAGAIN);
	tp_close(&p);
}
END_TEST

/*
 * More than there are jobs: the rest waits in order, each is woken once one
 * of those before it is done, and one that is given up hands its turn on.
 */
#define NJOBS	256
#define NMORE	4

START_TEST(test_jobless)
{
	static struct tp_pair	p[NJOBS + NMORE];
	enum session_tls_result	result;
	int			i;

	tp_sign_pauses = 1;
	result = begin(&p[0]);
	if (cant_pause()) {
		tp_close(&p[0]);
		return;
	}
	ck_assert_int_eq(result, TLS_WAIT);
	for (i = 1; i < NJOBS + NMORE; i++)
		ck_assert_int_eq(begin(&p[i]), TLS_WAIT);
	tp_sign_pauses = 0;
	ck_assert_int_eq(session_tls_handshake(p[NJOBS].server), TLS_WAIT);
	tp_shake_well(&p[0]);
	ck_assert_int_eq(p[NJOBS].nwakes, 1);
	ck_assert_int_eq(p[NJOBS + 1].nwakes, 0);
	/* Woken, and gone before it took its turn. */
	tp_close(&p[NJOBS]);
	ck_assert_int_eq(p[NJOBS + 1].nwakes, 1);
	/* One that waits goes: nobody is woken for that. */
	tp_close(&p[NJOBS + 2]);
	ck_assert_int_eq(p[NJOBS + 3].nwakes, 0);
	/* Its handshake needs no pause, so its turn goes on. */
	tp_shake_well(&p[NJOBS + 1]);
	ck_assert_int_eq(p[NJOBS + 3].nwakes, 1);
	tp_shake_well(&p[NJOBS + 3]);
	for (i = 0; i < NJOBS + NMORE; i++)
		tp_close(&p[i]);
}
END_TEST

/* --- Tickets --- */

enum change {
	SAME = 0,
	KEY_MOVED,		/* the old key is the second one */
	KEY_OTHER,
	LISTENER,		/* another one, alike */
	RELAY,			/* of another name */
	VERIFY_ASK,		/* the listener asks now */
	VERIFY_REQUIRE,
	VERIFY_CA,		/* and believes others */
	NO_TICKETS
};

/* A session of one worker, brought to another that has some things changed. */
static const struct ticket_row {
	enum conf_tls_verify	 verify;
	enum change		 change;
	int			 is_resumed;
} ticket_rows[] = {
	{ TLS_VERIFY_OFF,	SAME,		1 },
	{ TLS_VERIFY_OFF,	KEY_MOVED,	1 },
	{ TLS_VERIFY_OFF,	KEY_OTHER,	0 },
	{ TLS_VERIFY_OFF,	LISTENER,	0 },
	{ TLS_VERIFY_OFF,	RELAY,		0 },
	{ TLS_VERIFY_OFF,	VERIFY_ASK,	0 },
	{ TLS_VERIFY_OFF,	VERIFY_REQUIRE,	0 },
	{ TLS_VERIFY_OFF,	NO_TICKETS,	0 },
	{ TLS_VERIFY_ASK,	SAME,		1 },
	{ TLS_VERIFY_ASK,	VERIFY_REQUIRE,	0 },
	{ TLS_VERIFY_REQUIRE,	SAME,		1 },
	{ TLS_VERIFY_REQUIRE,	VERIFY_CA,	0 }
};

static void
apply(enum change change)
{
	struct conf_tls_server	*s = &conf.listeners[0].tls;

	switch (change) {
	case KEY_MOVED:
		memcpy(tp_tickets.key[1], tp_tickets.key[0], TLS_TICKET_KEY);
		tp_tickets.n = 2;
		/* FALLTHROUGH */
	case KEY_OTHER:
		arc4random_buf(tp_tickets.key[0], TLS_TICKET_KEY);
		break;
	case RELAY:
		conf.relay.name[0] = 's';
		break;
	case VERIFY_ASK:
		s->verify = TLS_VERIFY_ASK;
		s->ca = TP_CA;
		break;
	case VERIFY_REQUIRE:
		s->verify = TLS_VERIFY_REQUIRE;
		s->ca = TP_CA;
		break;
	case VERIFY_CA:
		s->ca = TP_CA_OTHER;
		break;
	case NO_TICKETS:
		tp_tickets.n = 0;
		break;
	case SAME:
	case LISTENER:
		break;
	}
}

static void
serve(enum conf_tls_verify verify)
{
	uint32_t	ca = verify == TLS_VERIFY_OFF ? CONF_NO_BLOB : TP_CA;

	tp_conf_serve(&conf, 0, verify, ca, TP_MX, TP_CERTS);
	tp_conf_serve(&conf, 1, verify, ca, TP_MX, TP_CERTS);
}

/* One connection to a worker of its own; the session that it leaves. */
static SSL_SESSION *
visit(SSL_CTX *ctx, uint32_t listener, SSL_SESSION *old, int *is_resumed)
{
	struct tp_pair		 p;
	struct tls_set		*worker = tp_set_new(&conf);
	struct smtp_tls_facts	 facts;
	SSL_SESSION		*new;
	char			 octet;

	tp_open(&p);
	tp_accept(&p, worker, listener);
	tp_connect_raw(&p, ctx, "mx.example");
	if (old != NULL)
		ck_assert_int_eq(SSL_set_session(p.raw, old), 1);
	tp_shake(&p);
	/* Without a certificate one may be refused. */
	ck_assert(p.result[1] == TLS_DONE || old != NULL);
	(void)SSL_read(p.raw, &octet, 1);	/* TLS 1.3: the ticket */
	*is_resumed = SSL_session_reused(p.raw);
	if (*is_resumed) {
		ck_assert_int_eq(p.result[0], TLS_DONE);
		session_tls_facts(p.server, &facts);
		ck_assert_str_eq(facts.sni, "mx.example");
		if (conf.listeners[0].tls.verify != TLS_VERIFY_OFF) {
			ck_assert_str_eq(facts.verify, "ok");
			ck_assert_str_eq(facts.subject, "CN=client");
		}
	}
	new = SSL_get1_session(p.raw);
	(void)SSL_shutdown(p.raw);	/* else it is taken for a bad one */
	tp_close(&p);
	tls_set_free(worker);
	return new;
}

START_TEST(test_tickets)
{
	const struct ticket_row	*r = &ticket_rows[_i / 2];
	SSL_CTX			*ctx = tp_raw_new(r->verify ==
				    TLS_VERIFY_OFF ? TP_CERTS : TP_CLIENT);
	SSL_SESSION		*first, *second, *third;
	int			 is_resumed, is_13 = _i % 2;
	uint32_t		 to = r->change == LISTENER ? 1 : 0;

	serve(r->verify);
	ck_assert_int_eq(SSL_CTX_set_max_proto_version(ctx,
	    is_13 ? TLS1_3_VERSION : TLS1_2_VERSION), 1);
	first = visit(ctx, 0, NULL, &is_resumed);
	ck_assert_int_eq(is_resumed, 0);
	apply(r->change);
	tp_nsigned = 0;
	second = visit(ctx, to, first, &is_resumed);
	ck_assert_int_eq(is_resumed, r->is_resumed);
	ck_assert_int_eq(tp_nsigned, !r->is_resumed);
	if (r->is_resumed) {
		third = visit(ctx, to, second, &is_resumed);
		ck_assert_int_eq(is_resumed, 1);
		SSL_SESSION_free(third);
	}
	SSL_SESSION_free(first);
	SSL_SESSION_free(second);
	SSL_CTX_free(ctx);
}
END_TEST

int
main(void)
{
	Suite	*s = suite_create("session_tls_key");
	TCase	*tc = tcase_create("keys");
	SRunner	*sr;
	int	 nfailed;

	tcase_add_unchecked_fixture(tc, tp_set_up, tp_tear_down);
	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, test_unsigned, 0, 2);
	tcase_add_test(tc, test_paused);
	tcase_add_test(tc, test_paused_freed);
	tcase_add_test(tc, test_jobless);
	tcase_add_loop_test(tc, test_tickets, 0, NROWS(ticket_rows) * 2);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	nfailed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return nfailed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
