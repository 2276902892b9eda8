/* Interception in the parent: destinations found and refused. */
#include <sys/types.h>
#include <sys/socket.h>

#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../smtpproxyd/intercept.h"
#include "../../smtpproxyd/listen.h"

static struct conf		*conf;
static struct conf_relay	*relay;
static const struct conf_place	 place = { "test", 1 };

static void
setup(void)
{
	struct conf_why	why;

	conf = conf_new();
	ck_assert_ptr_nonnull(conf);
	relay = conf_add_relay(conf, "r", place, &why);
	ck_assert_ptr_nonnull(relay);
	relay->forward = FORWARD_DESTINATION;
	ck_assert_int_eq(conf_add_listener(conf, relay, "127.0.0.1", 8025, 1,
	    place, &why), 0);
	ck_assert_int_eq(conf_add_listener(conf, relay, "192.0.2.1", 8026, 1,
	    place, &why), 0);
	ck_assert_int_eq(conf_add_listener(conf, relay, "0.0.0.0", 8027, 1,
	    place, &why), 0);
}

static void
teardown(void)
{
	free(relay->only.blocks);
	free(relay->except.blocks);
	free(relay->bypass.blocks);
	relay->only.blocks = relay->except.blocks = NULL;
	relay->bypass.blocks = NULL;
	conf_free(conf);
}

static void
fill(struct conf_check *c, const char *block)
{
	(void)strlcpy(c->table, "t", sizeof(c->table));
	c->blocks = calloc(1, sizeof(*c->blocks));
	ck_assert_ptr_nonnull(c->blocks);
	c->nblocks = 1;
	ck_assert_int_eq(addr_block_parse(c->blocks, block), 0);
}

static const struct {
	const char	*host;
	uint16_t	 port;
	const char	*want;		/* part of the reason; NULL: passes */
} guards[] = {
	{ "198.51.100.1", 25, NULL },
	{ "198.51.100.1", 8025, NULL },		/* our port, not our host */
	{ "10.0.0.1", 25, NULL },		/* private is allowed */
	{ "2001:db8::1", 587, NULL },
	{ "127.0.0.1", 8025, "proxy itself" },
	{ "192.0.2.1", 8026, "proxy itself" },
	{ "127.0.0.2", 8027, "proxy itself" },	/* local, a port of ours */
	{ "127.0.0.1", 25, "no other host" },
	{ "127.1.2.3", 25, "no other host" },
	{ "::1", 25, "no other host" },
	{ "0.0.0.0", 25, "no other host" },
	{ "0.1.2.3", 25, "no other host" },
	{ "::", 25, "no other host" },
	{ "224.0.0.1", 25, "no other host" },
	{ "255.255.255.255", 25, "no other host" },
	{ "ff02::1", 25, "no other host" },
	{ "198.51.100.1", 0, "no other host" }
};

static const char *
refusal(const char *host, uint16_t port)
{
	struct addr	a;

	ck_assert_int_eq(addr_parse(&a, host), 0);
	a.port = port;
	return intercept_refusal(conf, relay, &a);
}

static void
check_refusal(const char *got, const char *want)
{
	if (want == NULL)
		ck_assert_ptr_null(got);
	else {
		ck_assert_ptr_nonnull(got);
		ck_assert_msg(strstr(got, want) != NULL, "%s", got);
	}
}

START_TEST(test_guard)
{
	check_refusal(refusal(guards[_i].host, guards[_i].port),
	    guards[_i].want);
}
END_TEST

START_TEST(test_tables)
{
	fill(&relay->only, "198.51.100.0/24");
	fill(&relay->except, "198.51.100.128/25");
	check_refusal(refusal("198.51.100.1", 25), NULL);
	check_refusal(refusal("198.51.100.200", 25), "excepted");
	check_refusal(refusal("203.0.113.1", 25), "not among");
	check_refusal(refusal("2001:db8::1", 25), "not among");
}
END_TEST

/* A table without any address allows none. */
START_TEST(test_empty_only)
{
	(void)strlcpy(relay->only.table, "t", sizeof(relay->only.table));
	check_refusal(refusal("198.51.100.1", 25), "not among");
}
END_TEST

START_TEST(test_bypass)
{
	struct addr	a;

	ck_assert_int_eq(addr_parse(&a, "192.0.2.77"), 0);
	ck_assert_int_eq(intercept_is_bypass(relay, &a), 0);
	fill(&relay->bypass, "192.0.2.64/26");
	ck_assert_int_eq(intercept_is_bypass(relay, &a), 1);
	ck_assert_int_eq(addr_parse(&a, "192.0.2.1"), 0);
	ck_assert_int_eq(intercept_is_bypass(relay, &a), 0);
}
END_TEST

/* An accepted connection: getsockname(2), and a lookup that finds nothing. */
START_TEST(test_find)
{
	struct sockaddr_storage	 ss;
	struct addr		 addr, client, original;
	const char		*what, *why = NULL;
	socklen_t		 len = sizeof(ss);
	int			 fd, out, in;

	ck_assert_int_eq(addr_parse(&addr, _i == 0 ? "127.0.0.1" : "::1"), 0);
	ck_assert_int_ne(fd = listen_open(&addr, 0, &what), -1);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&ss, &len), 0);
	ck_assert_int_eq(addr_from_sockaddr(&addr, (struct sockaddr *)&ss),
	    0);
	out = socket(addr.family, SOCK_STREAM, 0);
	ck_assert_int_ne(out, -1);
	ck_assert_int_eq(connect(out, (struct sockaddr *)&ss,
	    addr_to_sockaddr(&addr, &ss)), 0);
	len = sizeof(ss);
	in = accept(fd, (struct sockaddr *)&ss, &len);
	ck_assert_int_ne(in, -1);
	ck_assert_int_eq(addr_from_sockaddr(&client, (struct sockaddr *)&ss),
	    0);
	ck_assert_int_eq(intercept_find(relay, in, &client, &original, &why),
	    0);
	ck_assert(addr_is_equal(&original, &addr));
	/* Without a rule: none is known, or it is the listener itself. */
	relay->forward = FORWARD_NAT;
	if (intercept_find(relay, in, &client, &original, &why) == 0)
		ck_assert(addr_is_equal(&original, &addr));
	else
		ck_assert_ptr_nonnull(why);
	(void)close(in);
	(void)close(out);
	(void)close(fd);
}
END_TEST

static void
count(void *arg, const struct conf_place *p, const char *why)
{
	int	*n = arg;

	ck_assert_ptr_eq(p->file, place.file);
	ck_assert_ptr_nonnull(why);
	(*n)++;
}

/* Findings depend on the system; each is said. */
START_TEST(test_check)
{
	int	n = 0;

	relay->is_transparent = 1;
	relay->forward_place = place;
	ck_assert_int_eq(intercept_check(conf, count, &n), n);
	if (geteuid() != 0)
		ck_assert_int_gt(n, 0);
}
END_TEST

int
main(void)
{
	Suite	*s = suite_create("intercept");
	TCase	*tc = tcase_create("intercept");
	SRunner	*sr;
	int	 nfailed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, test_guard, 0,
	    sizeof(guards) / sizeof(guards[0]));
	tcase_add_test(tc, test_tables);
	tcase_add_test(tc, test_empty_only);
	tcase_add_test(tc, test_bypass);
	tcase_add_loop_test(tc, test_find, 0, 2);
	tcase_add_test(tc, test_check);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	nfailed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return nfailed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
