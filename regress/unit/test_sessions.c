/* The parent's records: ids, counts by client, refusals summed up. */
#include <sys/types.h>
#include <sys/socket.h>

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../common/log.h"
#include "../../smtpproxyd/conf_load.h"
#include "../../smtpproxyd/sessions.h"

static const char	text[] =
    "max-sessions 5\n"
    "max-sessions-per-client 3\n"
    "relay \"a\" {\n"
    "	listen on 127.0.0.1 port 2525\n"
    "	forward to 192.0.2.1 port 25\n"
    "	max-sessions 4\n"
    "	max-sessions-per-client 2\n"
    "}\n"
    "relay \"b\" {\n"
    "	listen on 127.0.0.1 port 2526\n"
    "	forward to 192.0.2.1 port 25\n"
    "}\n";

static struct conf		*conf;
static const struct conf_relay	*a, *b;
static struct session_owner	 one, two;
static char			 logged[32768];

static void
say(void *arg, const struct conf_place *place, const char *why)
{
	(void)arg;
	ck_abort_msg("%d: %s", place->line, why);
}

static void
keep(void *arg, int priority, const char *line, size_t len)
{
	(void)arg;
	(void)priority;
	(void)len;
	(void)strlcat(logged, line, sizeof(logged));
	(void)strlcat(logged, "\n", sizeof(logged));
}

static void
setup(void)
{
	conf = conf_load_text("test", text, strlen(text), NULL, NULL, say,
	    NULL);
	ck_assert_ptr_nonnull(conf);
	a = conf_relay_by_number(conf, 0);
	b = conf_relay_by_number(conf, 1);
	LIST_INIT(&one.records);
	LIST_INIT(&two.records);
	one.used = two.used = 0;
	sessions_init(1000);
	logged[0] = '\0';
	log_set_sink(keep, NULL);
}

static void
teardown(void)
{
	sessions_remove_all(&one);
	sessions_remove_all(&two);
	ck_assert_uint_eq(sessions_used(), 0);
	conf_free(conf);
	log_set_sink(NULL, NULL);
}

static struct session_record *
add(const struct conf_relay *r, const char *client,
    struct session_owner *owner, const char *want)
{
	struct session_record	*s;
	struct addr		 addr;
	const char		*refusal = NULL;

	ck_assert_int_eq(addr_parse(&addr, client), 0);
	s = sessions_add(conf, r, &addr, 1, owner, &refusal);
	if (want == NULL) {
		ck_assert_msg(s != NULL, "%s", refusal);
		return s;
	}
	ck_assert_ptr_null(s);
	ck_assert_str_eq(refusal, want);
	return NULL;
}

START_TEST(test_ids)
{
	struct session_record	*s, *t;
	uint64_t		 id;

	s = add(a, "192.0.2.1", &one, NULL);
	t = add(a, "192.0.2.2", &two, NULL);
	ck_assert_uint_eq(s->id >> 32, 1000);
	ck_assert_uint_eq(t->id, s->id + 1);
	ck_assert_ptr_eq(sessions_find(s->id), s);
	ck_assert_ptr_eq(sessions_find(t->id), t);
	ck_assert_ptr_null(sessions_find(t->id + 1));
	ck_assert_ptr_null(sessions_find(s->id ^ (1ULL << 40)));
	ck_assert_uint_eq(one.used, 1);
	id = s->id;
	sessions_remove(s);
	ck_assert_ptr_null(sessions_find(id));
	/* Never given again. */
	s = add(a, "192.0.2.1", &one, NULL);
	ck_assert_uint_gt(s->id, t->id);
}
END_TEST

START_TEST(test_limits)
{
	struct session_record	*s;

	s = add(a, "192.0.2.1", &one, NULL);
	(void)add(a, "192.0.2.1", &two, NULL);
	(void)add(a, "192.0.2.1", &one, "max-sessions-per-client");
	/* The relay's own count is its own; the global one holds for both. */
	(void)add(b, "192.0.2.1", &one, NULL);
	(void)add(b, "192.0.2.1", &one, "max-sessions-per-client");
	sessions_remove(s);
	(void)add(a, "192.0.2.1", &one, NULL);
	/* A relay's limit, then that of all. */
	(void)add(a, "192.0.2.2", &one, NULL);
	(void)add(a, "192.0.2.3", &one, NULL);
	(void)add(a, "192.0.2.4", &one, "max-sessions");
	sessions_remove_all(&two);
	ck_assert_uint_eq(sessions_used(), 4);
	(void)add(a, "192.0.2.4", &one, NULL);
	(void)add(b, "192.0.2.5", &one, "max-sessions");
}
END_TEST

START_TEST(test_relay_limit)
{
	(void)add(a, "192.0.2.1", &one, NULL);
	(void)add(a, "192.0.2.2", &one, NULL);
	(void)add(a, "192.0.2.3", &one, NULL);
	(void)add(a, "192.0.2.4", &one, NULL);
	(void)add(a, "192.0.2.5", &one, "max-sessions of the relay");
	(void)add(b, "192.0.2.5", &one, NULL);
}
END_TEST

START_TEST(test_ipv6_counts_by_64)
{
	(void)add(a, "2001:db8:0:1::1", &one, NULL);
	(void)add(a, "2001:db8:0:1:ffff::2", &one, NULL);
	(void)add(a, "2001:db8:0:1::3", &one, "max-sessions-per-client");
	(void)add(a, "2001:db8:0:2::1", &one, NULL);
}
END_TEST

START_TEST(test_worker_dies)
{
	(void)add(a, "192.0.2.1", &one, NULL);
	(void)add(a, "192.0.2.1", &one, NULL);
	(void)add(b, "192.0.2.2", &two, NULL);
	sessions_remove_all(&one);
	ck_assert_uint_eq(one.used, 0);
	ck_assert_uint_eq(sessions_used(), 1);
	(void)add(a, "192.0.2.1", &two, NULL);
	(void)add(a, "192.0.2.1", &two, NULL);
}
END_TEST

START_TEST(test_refusals)
{
	struct addr	client;
	char		name[32];
	int		i;

	ck_assert_int_eq(addr_parse(&client, "192.0.2.1"), 0);
	for (i = 0; i < 5; i++) {
		client.port = (uint16_t)(1000 + i);
		sessions_note_refusal(&client, "a", "max-sessions", 100);
	}
	sessions_note_refusal(&client, "b", "max-sessions", 100);
	sessions_flush_refusals(10099, 0);
	ck_assert_str_eq(logged, "");
	sessions_flush_refusals(10100, 0);
	ck_assert_ptr_nonnull(strstr(logged, "refused relay=a "
	    "client=192.0.2.1 count=5 reason=max-sessions\n"));
	ck_assert_ptr_nonnull(strstr(logged, "relay=b client=192.0.2.1 "
	    "count=1 "));
	logged[0] = '\0';
	sessions_flush_refusals(99999, 1);
	ck_assert_str_eq(logged, "");
	/* More clients than are kept: the oldest are said at once. */
	for (i = 0; i < 200; i++) {
		(void)snprintf(name, sizeof(name), "192.0.2.%d", i);
		ck_assert_int_eq(addr_parse(&client, name), 0);
		sessions_note_refusal(&client, "a", "x", 200 + i);
	}
	ck_assert_ptr_nonnull(strstr(logged, "client=192.0.2.0 "));
	ck_assert_ptr_null(strstr(logged, "client=192.0.2.199 "));
	sessions_flush_refusals(300, 1);
	ck_assert_ptr_nonnull(strstr(logged, "client=192.0.2.199 "));
}
END_TEST

/* Our own connections are known by where they leave from and go to. */
START_TEST(test_sources)
{
	static const struct {
		const char	*peer;
		uint16_t	 port;
		const char	*original;	/* NULL: not known */
		int		 want;
	} rows[] = {
		{ "192.0.2.9", 40000, NULL, 1 },
		{ "192.0.2.9", 40000, "198.51.100.1", 1 },
		{ "192.0.2.9", 40000, "198.51.100.2", 0 },
		{ "192.0.2.9", 40001, NULL, 0 },
		{ "192.0.2.10", 40000, NULL, 0 }
	};
	struct session_record	*s = add(b, "192.0.2.9", &one, NULL);
	struct addr		 source, dest, peer, original;
	size_t			 i;

	ck_assert_int_eq(addr_parse(&source, "192.0.2.9"), 0);
	ck_assert_int_eq(addr_parse(&dest, "198.51.100.1"), 0);
	source.port = 40000;
	dest.port = 25;
	sessions_set_source(s, &source, &dest);
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		ck_assert_int_eq(addr_parse(&peer, rows[i].peer), 0);
		peer.port = rows[i].port;
		if (rows[i].original != NULL)
			ck_assert_int_eq(addr_parse(&original,
			    rows[i].original), 0);
		original.port = 25;
		ck_assert_msg(sessions_is_ours(&peer, rows[i].original ==
		    NULL ? NULL : &original) == rows[i].want, "row %zu", i);
	}
	/* The next connection of the session takes its place. */
	source.port = 40001;
	sessions_set_source(s, &source, &dest);
	ck_assert_int_eq(sessions_is_ours(&source, NULL), 1);
	source.port = 40000;
	ck_assert_int_eq(sessions_is_ours(&source, NULL), 0);
	source.port = 40001;
	sessions_remove(s);
	ck_assert_int_eq(sessions_is_ours(&source, NULL), 0);
}
END_TEST

START_TEST(test_destination)
{
	struct session_record	*s = add(b, "192.0.2.9", &one, NULL);
	char			 t[ADDR_TEXT_MAX];

	ck_assert_str_eq(addr_text(sessions_dest(s), t), "192.0.2.1:25");
	ck_assert_int_eq(addr_parse(&s->original, "2001:db8::7"), 0);
	s->original.port = 587;
	ck_assert_str_eq(addr_text(sessions_dest(s), t),
	    "[2001:db8::7]:587");
}
END_TEST

START_TEST(test_move)
{
	struct session_record	*s = add(b, "192.0.2.9", &one, NULL);

	sessions_move(s, &two);
	ck_assert_uint_eq(one.used, 0);
	ck_assert_uint_eq(two.used, 1);
	sessions_remove_all(&one);
	ck_assert_ptr_eq(sessions_find(s->id), s);
	ck_assert_ptr_eq(s->owner, &two);
}
END_TEST

int
main(void)
{
	Suite	*s = suite_create("sessions");
	TCase	*tc = tcase_create("sessions");
	SRunner	*sr;
	int	 nfailed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, test_ids);
	tcase_add_test(tc, test_limits);
	tcase_add_test(tc, test_relay_limit);
	tcase_add_test(tc, test_ipv6_counts_by_64);
	tcase_add_test(tc, test_worker_dies);
	tcase_add_test(tc, test_refusals);
	tcase_add_test(tc, test_sources);
	tcase_add_test(tc, test_destination);
	tcase_add_test(tc, test_move);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	nfailed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return nfailed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
