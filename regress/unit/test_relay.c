/* Settings of a relay as the engine takes them, and dead destinations. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "../../smtpproxyd/conf_load.h"
#include "../../smtpproxyd/relay.h"

static const char	text[] =
    "hostname \"gw.example.org\"\n"
    "timeout dot 77\n"
    "relay \"plain\" {\n"
    "	listen on 127.0.0.1 port 2525\n"
    "	forward to { 192.0.2.1 192.0.2.2 192.0.2.3 } port 25\n"
    "}\n"
    "relay \"full\" {\n"
    "	listen on 127.0.0.1 port 2526\n"
    "	forward to 192.0.2.1 port 25\n"
    "	max-recipients 7\n"
    "	max-message-size 9K\n"
    "	max-errors 3\n"
    "	pregreet allow\n"
    "	strict-newlines normalize\n"
    "	pass-verb XFOO\n"
    "	auth-mechanisms { PLAIN }\n"
    "	timeout helo 5\n"
    "}\n";

static struct conf	*conf;
static struct relay	*relays;

static void
say(void *arg, const struct conf_place *place, const char *why)
{
	(void)arg;
	ck_abort_msg("%d: %s", place->line, why);
}

static void
setup(void)
{
	conf = conf_load_text("test", text, strlen(text), NULL, NULL, say,
	    NULL);
	ck_assert_ptr_nonnull(conf);
	ck_assert_uint_eq(conf->nrelays, 2);
	relays = relays_new(conf);
	ck_assert_ptr_nonnull(relays);
}

static void
teardown(void)
{
	relays_free(relays, conf->nrelays);
	conf_free(conf);
}

START_TEST(test_settings)
{
	const struct relay	*r = &relays[0];

	ck_assert_str_eq(r->conf->name, "plain");
	ck_assert_str_eq(r->smtp.hostname, "gw.example.org");
	ck_assert_ptr_null(r->smtp.pass_verbs);
	ck_assert_ptr_null(r->smtp.ehlo.auth_mechs);
	ck_assert_int_eq(r->smtp.allow_pregreet, 0);
	ck_assert_int_eq(r->smtp.normalize_newlines, 0);
	ck_assert_int_eq(r->smtp.timeout_ms[SMTP_TIMEOUT_DOT], 77000);
	ck_assert_int_eq(r->smtp.timeout_ms[SMTP_TIMEOUT_HELO], 300000);
	ck_assert_uint_ne(r->smtp.ehlo.remove & EHLO_STARTTLS, 0);
	ck_assert_uint_ne(r->smtp.ehlo.remove & EHLO_REQUIRETLS, 0);
	r = &relays[1];
	ck_assert_str_eq(r->conf->name, "full");
	ck_assert_str_eq(r->smtp.pass_verbs[0], "XFOO");
	ck_assert_ptr_null(r->smtp.pass_verbs[1]);
	ck_assert_str_eq(r->smtp.ehlo.auth_mechs[0], "PLAIN");
	ck_assert_ptr_null(r->smtp.ehlo.auth_mechs[1]);
	ck_assert_int_eq(r->smtp.allow_pregreet, 1);
	ck_assert_int_eq(r->smtp.normalize_newlines, 1);
	ck_assert_uint_eq(r->smtp.max_errors, 3);
	ck_assert_uint_eq(r->smtp.max_message_size, 9 * 1024);
	ck_assert_uint_eq(r->smtp.ehlo.max_size, 9 * 1024);
	ck_assert_uint_eq(r->smtp.ehlo.max_recipients, 7);
	ck_assert_uint_eq(r->policy.max_recipients, 7);
	ck_assert_uint_eq(r->policy.max_message_size, 9 * 1024);
	ck_assert_int_eq(r->smtp.timeout_ms[SMTP_TIMEOUT_HELO], 5000);
	ck_assert_int_eq(r->smtp.timeout_ms[SMTP_TIMEOUT_DOT], 77000);
}
END_TEST

/* STARTTLS goes through where the relay says so; REQUIRETLS never. */
START_TEST(test_starttls)
{
	relays_free(relays, conf->nrelays);
	conf->relays->starttls = STARTTLS_PASS;
	relays = relays_new(conf);
	ck_assert_ptr_nonnull(relays);
	ck_assert_uint_eq(relays[0].smtp.ehlo.remove, EHLO_REQUIRETLS);
	ck_assert_uint_eq(relays[1].smtp.ehlo.remove,
	    EHLO_STARTTLS | EHLO_REQUIRETLS);
}
END_TEST

/* A relay that intercepts has no choices: the message names the one. */
START_TEST(test_no_choices)
{
	relays_free(relays, conf->nrelays);
	conf->relays->nchoices = 0;
	relays = relays_new(conf);
	ck_assert_ptr_nonnull(relays);
	relay_set_failed(&relays[0], 0, 1000);
	ck_assert_uint_eq(relay_choose(&relays[0], 0, 1001), 0);
	relay_set_works(&relays[0], 0);
}
END_TEST

START_TEST(test_choices)
{
	struct relay	*r = &relays[0];
	int64_t		 now = 1000000;

	ck_assert_uint_eq(relay_choose(r, 0, now), 0);
	ck_assert_uint_eq(relay_choose(r, 1, now), 1);
	relay_set_failed(r, 0, now);
	ck_assert_uint_eq(relay_choose(r, 0, now), 1);
	relay_set_failed(r, 1, now + 10);
	ck_assert_uint_eq(relay_choose(r, 0, now + 10), 2);
	/* All noted: in their order all the same. */
	relay_set_failed(r, 2, now + 20);
	ck_assert_uint_eq(relay_choose(r, 0, now + 20), 0);
	ck_assert_uint_eq(relay_choose(r, 1, now + 20), 1);
	/* Forgotten after its time, or when it works. */
	ck_assert_uint_eq(relay_choose(r, 0, now + RELAY_FAILED_MS - 1), 0);
	relay_set_works(r, 2);
	ck_assert_uint_eq(relay_choose(r, 0, now + 30), 2);
	ck_assert_uint_eq(relay_choose(r, 0, now + RELAY_FAILED_MS), 0);
	/* Past the end: nothing is left, and nothing is noted there. */
	ck_assert_uint_eq(relay_choose(r, 3, now), 3);
	relay_set_failed(r, 3, now);
	relay_set_works(r, 99);
}
END_TEST

int
main(void)
{
	Suite	*s = suite_create("relay");
	TCase	*tc = tcase_create("relay");
	SRunner	*sr;
	int	 nfailed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, test_settings);
	tcase_add_test(tc, test_choices);
	tcase_add_test(tc, test_starttls);
	tcase_add_test(tc, test_no_choices);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	nfailed = srunner_ntests_failed(sr);
	srunner_free(sr);
	relays_free(NULL, 0);
	return nfailed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
