/*
 * Tests of the configuration in memory: defaults, readers of numbers, what
 * setters take and refuse, and the bounds that no file can reach by accident.
 * Messages are test_parse.c's.
 */
#include <check.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../common/strutil.h"
#include "../../smtpproxyd/conf.h"
#include "conf_samples.h"

#define NROWS(a)	(sizeof(a) / sizeof((a)[0]))

static const struct conf_place	place = { "t", 1 };

START_TEST(defaults)
{
	static const int64_t	seconds[STAGES] = {
		30, 300, 300, 300, 300, 120, 180, 900, 300, 0, 0, 30
	};
	static const char	*names[STAGES] = {
		"connect", "greeting", "helo", "mail", "rcpt", "data",
		"block", "dot", "command", "message", "session", "tls"
	};
	struct conf	*c = conf_new();
	unsigned int	 i;

	ck_assert_str_eq(c->user, "_smtpproxyd");
	ck_assert_str_eq(c->chroot, "/var/empty");
	ck_assert_uint_eq(c->limits.max_sessions, 0);
	ck_assert_uint_eq(c->limits.max_sessions_per_client, 0);
	ck_assert_uint_eq(c->limits.max_recipients, 0);
	ck_assert_uint_eq(c->limits.max_errors, 100);
	ck_assert_uint_eq(c->limits.max_message_size, 0);
	for (i = 0; i < STAGES; i++) {
		ck_assert_int_eq(c->limits.timeout_ms[i], seconds[i] * 1000);
		ck_assert_str_eq(conf_stage_name((enum conf_stage)i),
		    names[i]);
	}
	ck_assert_str_eq(conf_stage_name(STAGES), "none");
	ck_assert_uint_eq(c->nrelays, 0);
	ck_assert_uint_eq(c->tls_protocols, CONF_TLS12 | CONF_TLS13);
	ck_assert_str_eq(c->tls_ciphers, "");
	conf_free(c);
	conf_free(NULL);
}
END_TEST

static const struct {
	int		(*read)(const char *, int64_t *, struct conf_why *);
	const char	*in;
	int64_t		 n;		/* -1: refused */
} read_rows[] = {
	{ conf_read_number, "0", 0 },
	{ conf_read_number, "007", 7 },
	{ conf_read_number, "9223372036854775807", INT64_MAX },
	{ conf_read_number, "9223372036854775808", -1 },
	{ conf_read_number, "18446744073709551616", -1 },
	{ conf_read_number, "", -1 },
	{ conf_read_number, " 1", -1 },
	{ conf_read_number, "1 ", -1 },
	{ conf_read_number, "+1", -1 },
	{ conf_read_number, "-1", -1 },
	{ conf_read_number, "0x10", -1 },
	{ conf_read_number, "1K", -1 },
	{ conf_read_size, "0", 0 },
	{ conf_read_size, "1", 1 },
	{ conf_read_size, "1k", 1024 },
	{ conf_read_size, "1K", 1024 },
	{ conf_read_size, "10M", 10 * 1024 * 1024 },
	{ conf_read_size, "3G", INT64_C(3221225472) },
	{ conf_read_size, "8589934591G", INT64_C(9223372035781033984) },
	{ conf_read_size, "8589934592G", -1 },
	{ conf_read_size, "9223372036854775807", INT64_MAX },
	{ conf_read_size, "9223372036854775808", -1 },
	{ conf_read_size, "", -1 },
	{ conf_read_size, "K", -1 },
	{ conf_read_size, "1KK", -1 },
	{ conf_read_size, "1KB", -1 },
	{ conf_read_size, "1T", -1 },
	{ conf_read_size, "-1K", -1 },
	{ conf_read_port, "1", 1 },
	{ conf_read_port, "65535", 65535 },
	{ conf_read_port, "65536", -1 },
	{ conf_read_port, "0", -1 },
	{ conf_read_port, "", -1 },
	{ conf_read_port, "-1", -1 },
	{ conf_read_port, "smtp", 25 },
	{ conf_read_port, "submission", 587 },
	{ conf_read_port, "submissions", 465 },
	{ conf_read_port, "SMTP", -1 },
	{ conf_read_port, "imap", -1 },
};

START_TEST(numbers)
{
	struct conf_why	why;
	int64_t		n;
	size_t		i;

	for (i = 0; i < NROWS(read_rows); i++) {
		n = -1;
		ck_assert_int_eq(read_rows[i].read(read_rows[i].in, &n, &why),
		    read_rows[i].n == -1 ? -1 : 0);
		ck_assert_int_eq(n, read_rows[i].n);
	}
}
END_TEST

/* The first and the last value that is taken, and the next one. */
START_TEST(ranges)
{
	static const struct {
		enum conf_limit	which;
		int64_t		max;
	} rows[] = {
		{ LIMIT_SESSIONS, 1000000 },
		{ LIMIT_SESSIONS_PER_CLIENT, 1000000 },
		{ LIMIT_RECIPIENTS, 1000000 },
		{ LIMIT_ERRORS, 1000000 },
		{ LIMIT_MESSAGE_SIZE, INT64_MAX }
	};
	struct conf_limits	 l;
	struct conf		*c;
	struct conf_why		 why;
	static const int64_t	 workers[] = { 0, 1, 64, 65 };
	size_t			 i;

	for (i = 0; i < NROWS(rows); i++) {
		memset(&l, 0, sizeof(l));
		ck_assert_int_eq(conf_set_limit(&l, rows[i].which, -1, &why),
		    -1);
		l.is_set = 0;
		ck_assert_int_eq(conf_set_limit(&l, rows[i].which, 0, &why),
		    0);
		l.is_set = 0;
		ck_assert_int_eq(conf_set_limit(&l, rows[i].which,
		    rows[i].max, &why), 0);
		l.is_set = 0;
		if (rows[i].max != INT64_MAX)
			ck_assert_int_eq(conf_set_limit(&l, rows[i].which,
			    rows[i].max + 1, &why), -1);
	}
	ck_assert_uint_eq(l.max_message_size, INT64_MAX);
	ck_assert_int_eq(conf_set_limit(&l, LIMIT_TIMEOUT, 1, &why), -1);
	for (i = 0; i < NROWS(workers); i++) {
		c = conf_new();
		ck_assert_int_eq(conf_set_workers(c, workers[i], &why),
		    i == 1 || i == 2 ? 0 : -1);
		conf_free(c);
	}
}
END_TEST

/* Names: as long as there is room, and one octet longer. */
START_TEST(lengths)
{
	struct conf		*c = conf_new();
	struct conf_relay	*r;
	struct conf_why		 why;
	char			 text[300];

	memset(text, 'a', sizeof(text));
	text[CONF_NAME_MAX] = '\0';
	ck_assert_ptr_null(conf_add_relay(c, text, place, &why));
	ck_assert_ptr_null(conf_add_table(c, text, place, &why));
	ck_assert_int_eq(conf_set_user(c, text, &why), -1);
	text[CONF_NAME_MAX - 1] = '\0';
	ck_assert_ptr_nonnull(r = conf_add_relay(c, text, place, &why));
	ck_assert_str_eq(r->name, text);
	ck_assert_ptr_nonnull(conf_add_table(c, text, place, &why));
	c->is_set = 0;
	ck_assert_int_eq(conf_set_user(c, text, &why), 0);
	ck_assert_str_eq(c->user, text);

	memset(text, '/', sizeof(text));
	text[CONF_PATH_MAX] = '\0';
	ck_assert_int_eq(conf_set_chroot(c, text, &why), -1);
	c->is_set = 0;
	text[CONF_PATH_MAX - 1] = '\0';
	ck_assert_int_eq(conf_set_chroot(c, text, &why), 0);

	memset(text, 'V', sizeof(text));
	text[CONF_VERB_MAX] = '\0';
	ck_assert_int_eq(conf_add_pass_verb(r, text, &why), -1);
	text[CONF_VERB_MAX - 1] = '\0';
	ck_assert_int_eq(conf_add_pass_verb(r, text, &why), 0);
	memset(text, 'M', sizeof(text));
	text[CONF_MECH_MAX] = '\0';
	ck_assert_int_eq(conf_add_auth_mech(r, text, &why), -1);
	text[CONF_MECH_MAX - 1] = '\0';
	ck_assert_int_eq(conf_add_auth_mech(r, text, &why), 0);
	conf_free(c);
}
END_TEST

/* Hosts of destinations and tables. */
START_TEST(hosts)
{
	static const struct {
		const char	*host;
		int		 rc;
	} rows[] = {
		{ "192.0.2.1", 0 },
		{ "2001:db8::1", 0 },
		{ "fe80::1%1", 0 },
		{ "::ffff:192.0.2.1", 0 },
		{ "mx", 0 },
		{ "mx.example.org", 0 },
		{ "mx.example.org.", -1 },
		{ "4.example.org", 0 },
		{ "1and1.com", 0 },
		{ "", -1 },
		{ ".", -1 },
		{ "-mx.example.org", -1 },
		{ "mx..example.org", -1 },
		{ "mx example", -1 },
		{ "192.0.2.256", -1 },
		{ "192.0.2", -1 },
		{ "1", -1 },
		{ "0.0.0.0", -1 },
		{ "::", -1 },
		{ "224.0.0.1", -1 },
		{ "255.255.255.255", -1 },
		{ "ff02::1", -1 },
		{ "[::1]", -1 },
		{ "192.0.2.1:25", -1 },
		{ "a/b", -1 }
	};
	struct conf		*c = conf_new();
	struct conf_relay	*r = NULL;
	struct conf_why		 why;
	char			 name[300];
	size_t			 i;

	ck_assert_ptr_nonnull(r = conf_add_relay(c, "r", place, &why));
	for (i = 0; i < NROWS(rows); i++)
		ck_assert_msg(conf_add_destination(r, rows[i].host, 0, 25,
		    place, &why) == rows[i].rc, "%s", rows[i].host);
	memset(name, 'a', sizeof(name));
	for (i = 50; i < sizeof(name); i += 50)
		name[i] = '.';
	name[253] = '\0';
	ck_assert_int_eq(conf_add_destination(r, name, 0, 25, place, &why),
	    0);
	name[253] = 'a';
	name[254] = '\0';
	ck_assert_int_eq(conf_add_destination(r, name, 0, 25, place, &why),
	    -1);
	ck_assert_int_eq(conf_add_destination(r, "mx", 0, 0, place, &why),
	    -1);
	ck_assert_int_eq(conf_add_destination(r, "mx", 0, 65536, place,
	    &why), -1);
	ck_assert_int_eq(conf_add_listener(c, r, "127.0.0.1", 65536, 0, place,
	    &why), -1);
	conf_free(c);
}
END_TEST

/* One more than there may be. */
START_TEST(counts)
{
	struct sample_said	 said = { "" };
	struct conf		*c = conf_new();
	struct conf_relay	*r = NULL;
	struct conf_why		 why;
	char			 text[32];
	int			 i;

	for (i = 0; i < CONF_RELAYS_MAX; i++) {
		(void)snprintf(text, sizeof(text), "r%d", i);
		ck_assert_ptr_nonnull(r = conf_add_relay(c, text, place,
		    &why));
	}
	ck_assert_ptr_null(conf_add_relay(c, "one.more", place, &why));
	ck_assert_ptr_null(conf_add_relay(c, NULL, place, &why));
	for (i = 0; i < CONF_LIST_MAX; i++) {
		(void)snprintf(text, sizeof(text), "X%d", i);
		ck_assert_int_eq(conf_add_pass_verb(r, text, &why), 0);
		ck_assert_int_eq(conf_add_auth_mech(r, text, &why), 0);
	}
	ck_assert_int_eq(conf_add_pass_verb(r, "Y", &why), -1);
	ck_assert_str_eq(why.text, "too many verbs, expected at most 32");
	ck_assert_int_eq(conf_add_auth_mech(r, "Y", &why), -1);
	ck_assert_str_eq(why.text,
	    "too many mechanisms, expected at most 32");
	conf_free(c);

	c = conf_new();
	ck_assert_ptr_nonnull(r = conf_add_relay(c, "r", place, &why));
	ck_assert_int_eq(conf_add_listener(c, r, "::1", 1, 0, place, &why), 0);
	for (i = 0; i <= CONF_CHOICES_MAX; i++) {
		(void)snprintf(text, sizeof(text), "10.0.%d.%d", i / 256,
		    i % 256);
		ck_assert_int_eq(conf_add_destination(r, text, 0, 25, place,
		    &why), 0);
	}
	ck_assert_int_eq(conf_finish(c, NULL, NULL, sample_say, &said), 1);
	ck_assert_str_eq(said.text, "1: too many destinations in relay "
	    "\"r\", expected at most 256 addresses\n");
	ck_assert_uint_eq(r->nchoices, CONF_CHOICES_MAX);
	conf_free(c);
}
END_TEST

START_TEST(finish)
{
	struct sample_said	 said = { "" };
	struct conf		*c = conf_new();
	struct conf_relay	*r;
	struct conf_why		 why;

	ck_assert_ptr_nonnull(r = conf_add_relay(c, "r", place, &why));
	ck_assert_int_eq(conf_add_listener(c, r, "::1", 1, 0, place, &why), 0);
	ck_assert_int_eq(conf_add_destination(r, "mx", 0, 25, place, &why),
	    0);
	/* The same host twice is one choice, another port is another one. */
	ck_assert_int_eq(conf_add_destination(r, "10.0.0.1", 0, 25, place,
	    &why), 0);
	ck_assert_int_eq(conf_add_destination(r, "10.0.0.1", 0, 25, place,
	    &why), 0);
	ck_assert_int_eq(conf_add_destination(r, "10.0.0.1", 0, 26, place,
	    &why), 0);
	ck_assert_uint_eq(c->nworkers, 0);
	ck_assert_int_eq(conf_finish(c, NULL, NULL, sample_say, &said), 1);
	ck_assert_str_eq(said.text, "1: \"mx\" can't be looked up, expected "
	    "an address\n");
	ck_assert_uint_ge(c->nworkers, 1);
	ck_assert_uint_le(c->nworkers, CONF_WORKERS_MAX);
	ck_assert(str_is_hostname(c->hostname));
	ck_assert_uint_eq(r->nchoices, 2);
	conf_free(c);
}
END_TEST

/* The ways to a destination: refused lines change nothing. */
START_TEST(intercept)
{
	struct conf		*c = conf_new();
	struct conf_relay	*r;
	struct conf_why		 why;
	char			 name[CONF_NAME_MAX + 1];

	memset(name, 'a', sizeof(name));
	name[CONF_NAME_MAX] = '\0';
	ck_assert_ptr_nonnull(r = conf_add_relay(c, "r", place, &why));
	ck_assert_int_eq(conf_set_intercept(r, FORWARD_NAT, name, NULL,
	    place, &why), -1);
	ck_assert_int_eq(conf_set_intercept(r, FORWARD_NAT, NULL, name,
	    place, &why), -1);
	ck_assert_int_eq(r->forward, FORWARD_FIXED);
	ck_assert_int_eq(conf_set_bypass(r, name, place, &why), -1);
	r->is_set = 0;
	name[CONF_NAME_MAX - 1] = '\0';
	ck_assert_int_eq(conf_set_transparent(r, 1, place, &why), 0);
	ck_assert_int_eq(conf_set_intercept(r, FORWARD_NAT, name, name,
	    place, &why), 0);
	ck_assert_int_eq(conf_set_bypass(r, name, place, &why), 0);
	ck_assert_str_eq(r->only.table, name);
	ck_assert_str_eq(r->except.table, name);
	ck_assert_str_eq(r->bypass.table, name);
	ck_assert_int_eq(conf_set_transparent(r, 0, place, &why), -1);
	ck_assert_int_eq(r->is_transparent, 1);
	ck_assert_int_eq(conf_set_intercept(r, FORWARD_DESTINATION, NULL,
	    NULL, place, &why), -1);
	ck_assert_int_eq(r->forward, FORWARD_NAT);
	ck_assert_int_eq(conf_add_destination(r, "10.0.0.1", 0, 25, place,
	    &why), -1);
	ck_assert_ptr_null(r->destinations);
	conf_free(c);
}
END_TEST

START_TEST(marks)
{
	static const struct {
		int64_t	n;
		int	rc;
	} rows[] = {
		{ -1, -1 }, { 0, -1 }, { 1, 0 }, { UINT32_MAX, 0 },
		{ INT64_C(4294967296), -1 }, { INT64_MAX, -1 }
	};
	struct conf		*c = conf_new();
	struct conf_relay	*r;
	struct conf_why		 why;
	size_t			 i;

	ck_assert_ptr_nonnull(r = conf_add_relay(c, "r", place, &why));
	for (i = 0; i < NROWS(rows); i++) {
		r->is_set = 0;
		r->mark = 0;
		ck_assert_int_eq(conf_set_mark(r, rows[i].n, &why),
		    rows[i].rc);
		ck_assert_int_eq(r->mark, rows[i].rc == 0 ? rows[i].n : 0);
	}
	conf_free(c);
}
END_TEST

/* What a check by a table takes, and that a name is no part of it. */
START_TEST(checks)
{
	static const struct {
		const char	*text;
		const char	*net;	/* NULL: refused */
		unsigned int	 length;
	} rows[] = {
		{ "192.0.2.1", "192.0.2.1", 32 },
		{ "192.0.2.0/24", "192.0.2.0", 24 },
		{ "0.0.0.0/0", "0.0.0.0", 0 },
		{ "2001:db8::1", "2001:db8::1", 128 },
		{ "::/0", "::", 0 },
		{ "fe80::1%1", "fe80::1", 128 },
		{ "mx.example.org", NULL, 0 }
	};
	struct conf		*c;
	struct conf_relay	*r;
	struct conf_table	*t;
	struct conf_why		 why;
	struct addr		 a;
	size_t			 i;

	for (i = 0; i < NROWS(rows); i++) {
		c = conf_new();
		r = conf_add_relay(c, "r", place, &why);
		ck_assert_ptr_nonnull(r);
		ck_assert_int_eq(conf_add_listener(c, r, "::1", 1, 0, place,
		    &why), 0);
		ck_assert_int_eq(conf_set_intercept(r, FORWARD_NAT, "t", NULL,
		    place, &why), 0);
		t = conf_add_table(c, "t", place, &why);
		ck_assert_ptr_nonnull(t);
		ck_assert_int_eq(conf_add_table_entry(t, rows[i].text, place,
		    &why), 0);
		ck_assert_int_eq(conf_finish(c, NULL, NULL, sample_say, NULL),
		    rows[i].net == NULL ? 1 : 0);
		ck_assert_uint_eq(r->nchoices, 0);
		ck_assert_int_eq(r->starttls, STARTTLS_PASS);
		if (rows[i].net == NULL) {
			ck_assert_uint_eq(r->only.nblocks, 0);
		} else {
			ck_assert_uint_eq(r->only.nblocks, 1);
			ck_assert_uint_eq(r->only.blocks[0].length,
			    rows[i].length);
			ck_assert_int_eq(addr_parse(&a, rows[i].net), 0);
			a.scope = r->only.blocks[0].net.scope;
			ck_assert(addr_is_same_host(&r->only.blocks[0].net,
			    &a));
		}
		conf_free(c);
	}
}
END_TEST

START_TEST(fail)
{
	struct conf_why	why;
	char		long_text[2 * sizeof(why.text)];

	memset(long_text, 'a', sizeof(long_text));
	long_text[sizeof(long_text) - 1] = '\0';
	ck_assert_int_eq(conf_fail(&why, "%s", long_text), -1);
	ck_assert_uint_eq(strlen(why.text), sizeof(why.text) - 1);
}
END_TEST

START_TEST(file_names)
{
	struct conf	*c = conf_new();
	char		 name[] = "a";
	const char	*a = conf_file_name(c, name);

	name[0] = 'b';
	ck_assert_str_eq(a, "a");
	ck_assert_str_eq(conf_file_name(c, name), "b");
	ck_assert_ptr_eq(conf_file_name(c, "a"), a);
	conf_free(c);
}
END_TEST

int
main(void)
{
	Suite	*s = suite_create("conf");
	TCase	*tc = tcase_create("conf");
	SRunner	*sr;
	int	 nfailed;

	tcase_add_test(tc, defaults);
	tcase_add_test(tc, numbers);
	tcase_add_test(tc, ranges);
	tcase_add_test(tc, lengths);
	tcase_add_test(tc, hosts);
	tcase_add_test(tc, counts);
	tcase_add_test(tc, finish);
	tcase_add_test(tc, intercept);
	tcase_add_test(tc, marks);
	tcase_add_test(tc, checks);
	tcase_add_test(tc, fail);
	tcase_add_test(tc, file_names);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	nfailed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return nfailed == 0 ? 0 : 1;
}
