/*
 * Clients that wait in the parent (on-failure reset): real connections on
 * loopback, made by upstream_connect() as the parent makes them.
 *
 * A destination that does not answer is a listener whose queue is full: the
 * kernel drops what comes, and the client's kernel says it again a second
 * later.  So a connection that ends "later" ends then.
 */
#include <sys/types.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <netinet/in.h>

#include <check.h>
#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../common/log.h"
#include "../../smtpproxyd/conf_load.h"
#include "../../smtpproxyd/upstream.h"
#include "../../smtpproxyd/waiting.h"

#define MAX		1024	/* clients that may wait */
#define SHARE		128	/* of one */
#define TOO_MANY	"\"reset: too many clients wait for a destination\""
#define PASS_MS		20
#define PATIENCE_MS	15000
#define OTHER_FAMILY	"transparent: the client has an address of " \
			"another family"

static const char	text[] =
    "relay \"one\" {\n"
    "	listen on 127.0.0.1 port 2525\n"
    "	forward to 192.0.2.1 port 25\n"
    "	on-failure reset\n"
    "}\n"
    "relay \"two\" {\n"
    "	listen on 127.0.0.1 port 2526\n"
    "	forward to 192.0.2.1 port 25\n"
    "	forward to 192.0.2.2 port 25\n"
    "	on-failure reset\n"
    "}\n"
    "relay \"any\" {\n"
    "	listen on 127.0.0.1 port 2527 divert\n"
    "	forward to destination\n"
    "	on-failure reset\n"
    "}\n";
enum { ONE, TWO, ANY };

/* What becomes of a connection that is started. */
enum how {
	GOES = 0,	/* stands at once */
	GOES_LATER,
	FAILS,		/* at once: -1, and why */
	REFUSED_LATER,
	STAYS		/* silent until the timer */
};

struct client {
	struct session_record	*s;
	int			 fd;		/* the client's own end */
};

static struct conf		*conf;
static struct loop		 loop;
static struct timer		 tick;
static struct session_owner	 owner;
static char			 logged[4096];
static size_t			 nlogged;
static int			 good_fd, full_fd;	/* destinations */
static struct addr		 good, full;
static const enum how		*hows;		/* of the connects, in turn */
static size_t			 nconnects;
static int			 is_short;	/* of memory */
static size_t			 nconnected;	/* and the last of them: */
static struct session_record	*record;
static int			 client_fd, dest_fd;

/* In place of the library's, for what grows in the loop. */
void	*reallocarray(void *, size_t, size_t);

void *
reallocarray(void *old, size_t n, size_t size)
{
	if (is_short || (size != 0 && n > SIZE_MAX / size)) {
		errno = ENOMEM;
		return NULL;
	}
	return realloc(old, n * size);
}

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
	nlogged++;
}

static int
listener(struct addr *at, int backlog)
{
	struct sockaddr_storage	ss;
	socklen_t		len;
	int			fd;

	ck_assert_int_eq(addr_parse(at, "127.0.0.1"), 0);
	len = addr_to_sockaddr(at, &ss);
	fd = socket(AF_INET, SOCK_STREAM, 0);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&ss, len), 0);
	ck_assert_int_eq(listen(fd, backlog), 0);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&ss, &len), 0);
	ck_assert_int_eq(addr_from_sockaddr(at, (struct sockaddr *)&ss), 0);
	return fd;
}

static int
dial(const struct addr *to)
{
	struct upstream	 u = { .dest = to };
	struct addr	 source;
	const char	*why;
	int		 fd = upstream_connect(&u, &source, &why);

	ck_assert_msg(fd != -1, "%s: %s", why, strerror(errno));
	return fd;
}

static int
is_there(int fd, int ms)
{
	struct pollfd	p = { .fd = fd, .events = POLLOUT };

	return poll(&p, 1, ms) == 1;
}

/* Connect until one is not answered any more; it must not take a turn. */
static void
fill(void)
{
	int	fd, i;

	for (i = 0; i < 16; i++) {
		fd = dial(&full);
		if (is_there(fd, 100))
			continue;
		(void)close(fd);
		return;
	}
	ck_abort_msg("the queue never is full");
}

static int
op_connect(struct session_record *s, const char **why)
{
	struct upstream	u = { .client = NULL };
	struct addr	source, other;
	int		fd;

	ck_assert_uint_eq(s->choice, nconnects);
	ck_assert_int_eq(addr_parse(&other, "::1"), 0);
	switch (hows[nconnects++]) {
	case GOES:
		u.dest = &good;
		break;
	case FAILS:
		u.client = &s->client;
		u.dest = &other;
		break;
	default:
		u.dest = &full;
		break;
	}
	if ((fd = upstream_connect(&u, &source, why)) != -1)
		sessions_set_source(s, &source, u.dest);
	return fd;
}

static void
op_connected(struct session_record *s, int client, int dest)
{
	nconnected++;
	record = s;
	client_fd = client;
	dest_fd = dest;
}

static const struct waiting_ops	ops = {
	.connect = op_connect,
	.connected = op_connected
};

static void
on_tick(struct timer *t, void *arg, int64_t now_ms)
{
	(void)t;
	(void)arg;
	(void)now_ms;
}

static void
setup(void)
{
	conf = conf_load_text("test", text, strlen(text), NULL, NULL, say,
	    NULL);
	ck_assert_ptr_nonnull(conf);
	LIST_INIT(&owner.records);
	owner.used = 0;
	sessions_init(1000);
	ck_assert_int_eq(loop_init(&loop, 0), 0);
	timer_init(&tick, on_tick, NULL);
	waiting_init(&loop, &ops);
	log_set_sink(keep, NULL);
	good_fd = listener(&good, 16);
	full_fd = listener(&full, 0);
}

static void
teardown(void)
{
	is_short = 0;
	waiting_stop();
	sessions_remove_all(&owner);
	ck_assert_uint_eq(sessions_used(), 0);
	timer_end(&loop.timers, &tick);
	loop_clear(&loop);
	conf_free(conf);
	log_set_sink(NULL, NULL);
}

static struct conf_relay *
relay(int number)
{
	struct conf_relay	*r = conf->relays;

	while (number-- > 0)
		r = r->next;
	return r;
}

static struct session_record *
add_record(const struct conf_relay *r, const char *address)
{
	struct session_record	*s;
	struct addr		 client;
	const char		*refusal;

	ck_assert_int_eq(addr_parse(&client, address), 0);
	s = sessions_add(conf, r, &client, 1, &owner, &refusal);
	ck_assert_msg(s != NULL, "%s", refusal);
	return s;
}

/* A client that is connected to us, and waits from here on. */
static struct client
add(const struct conf_relay *r)
{
	struct client	c;
	struct addr	front;
	int		front_fd = listener(&front, 4), fd;

	c.fd = dial(&front);
	fd = accept4(front_fd, NULL, NULL, SOCK_NONBLOCK);
	ck_assert_int_ne(fd, -1);
	(void)close(front_fd);
	c.s = add_record(r, "192.0.2.9");
	if (r->forward != FORWARD_FIXED)
		ck_assert_int_eq(addr_parse(&c.s->original, "192.0.2.1"), 0);
	waiting_add(c.s, fd);
	return c;
}

static void
pass(void)
{
	ck_assert_int_eq(timer_set(&loop.timers, &tick,
	    loop.now_ms + PASS_MS), 0);
	ck_assert_int_eq(loop_once(&loop), 0);
}

/* Until it is connected, or its record is gone. */
static void
wait_for_end(void)
{
	int64_t	until_ms = loop.now_ms + PATIENCE_MS;

	while (nconnected == 0 && sessions_used() > 0) {
		ck_assert_msg(loop.now_ms < until_ms, "it waits for ever");
		pass();
	}
}

static void
check_reset(int fd)
{
	char	octet;

	ck_assert_int_eq(recv(fd, &octet, 1, 0), -1);
	ck_assert_int_eq(errno, ECONNRESET);
}

/* Nothing came, and what is said to the other end arrives. */
static void
check_lives(int fd, int other)
{
	char	octet;

	ck_assert_int_eq(recv(fd, &octet, 1, 0), -1);
	ck_assert_int_eq(errno, EAGAIN);
	ck_assert_int_eq(send(other, "x", 1, 0), 1);
	ck_assert(is_there(fd, 1000));
	ck_assert_int_eq(recv(fd, &octet, 1, 0), 1);
	ck_assert_int_eq(octet, 'x');
}

static void
check_logged(const char *reason)
{
	sessions_flush_refusals(loop.now_ms, 1);
	ck_assert_msg(strstr(logged, reason) != NULL, "not \"%s\": %s",
	    reason, logged);
	ck_assert_msg(nlogged == 1 && strstr(logged, " count=1 ") != NULL,
	    "not once: %s", logged);
}

static const struct {
	const char	*name;
	int		 relay;
	int64_t		 timeout_ms;	/* of connect; 0: none */
	enum how	 how[3];
	size_t		 nconnects;	/* how many there should be */
	const char	*reason;	/* NULL: it is connected */
} rows[] = {
	{ "at once", ONE, 30000, { GOES }, 1, NULL },
	{ "later", ONE, 30000, { GOES_LATER }, 1, NULL },
	{ "later, and no limit", ONE, 0, { GOES_LATER }, 1, NULL },
	{ "fails at once", ONE, 30000, { FAILS }, 1, "\"" OTHER_FAMILY },
	{ "refused later", ONE, 30000, { REFUSED_LATER }, 1,
	    "\"reset: the destination refuses connections\"" },
	{ "silent", ONE, 100, { STAYS }, 1,
	    "\"reset: timeout of the connection to the destination\"" },
	{ "second, the first fails at once", TWO, 30000, { FAILS, GOES }, 2,
	    NULL },
	{ "second, the first is silent", TWO, 100, { STAYS, GOES }, 2, NULL },
	{ "second, the first refuses", TWO, 30000, { REFUSED_LATER, GOES },
	    2, NULL },
	{ "both fail at once", TWO, 30000, { FAILS, FAILS }, 2,
	    "\"" OTHER_FAMILY },
	{ "both are silent", TWO, 100, { STAYS, STAYS }, 2,
	    "\"reset: timeout" },
	/* One line, with the reason of the last. */
	{ "fails, then refuses", TWO, 30000, { FAILS, REFUSED_LATER }, 2,
	    "\"reset: the destination refuses connections\"" },
	{ "silent, then fails", TWO, 100, { STAYS, FAILS }, 2,
	    "\"" OTHER_FAMILY },
	/* Where it was going is the one choice. */
	{ "original, at once", ANY, 30000, { GOES }, 1, NULL },
	{ "original, fails", ANY, 30000, { FAILS }, 1, "\"" OTHER_FAMILY },
	{ "original, silent", ANY, 100, { STAYS }, 1, "\"reset: timeout" }
};

static int
row_has(int row, enum how how)
{
	return rows[row].how[0] == how || rows[row].how[1] == how;
}

START_TEST(test_rows)
{
	struct client		 c;
	struct conf_relay	*r = relay(rows[_i].relay);

	r->limits.timeout_ms[STAGE_CONNECT] = rows[_i].timeout_ms;
	hows = rows[_i].how;
	fill();
	c = add(r);
	if (row_has(_i, GOES_LATER))
		(void)close(accept(full_fd, NULL, NULL));
	if (row_has(_i, REFUSED_LATER))
		(void)close(full_fd);
	wait_for_end();
	ck_assert_msg(nconnects == rows[_i].nconnects, "%s: %zu connects",
	    rows[_i].name, nconnects);
	if (rows[_i].reason != NULL) {
		ck_assert_msg(nconnected == 0, "%s", rows[_i].name);
		check_reset(c.fd);
		ck_assert_uint_eq(sessions_used(), 0);
		check_logged(rows[_i].reason);
		return;
	}
	ck_assert_msg(nconnected == 1, "%s: %s", rows[_i].name, logged);
	ck_assert_ptr_eq(record, c.s);
	ck_assert_uint_eq(record->choice, nconnects - 1);
	check_lives(c.fd, client_fd);
	ck_assert_int_eq(send(dest_fd, "x", 1, 0), 1);
	/* Both are the callee's: neither the timer nor the end touch them. */
	while (rows[_i].timeout_ms == 100 && loop.timers.used > 1)
		pass();
	waiting_stop();
	check_lives(c.fd, client_fd);
	ck_assert_uint_eq(sessions_used(), 1);
	sessions_flush_refusals(loop.now_ms, 1);
	ck_assert_str_eq(logged, "");
}
END_TEST

/* Without a limit it waits for as long as the kernel tries. */
START_TEST(test_no_limit)
{
	static const enum how	how[] = { STAYS };
	struct client		c;
	int			i;

	relay(ONE)->limits.timeout_ms[STAGE_CONNECT] = 0;
	hows = how;
	fill();
	c = add(relay(ONE));
	for (i = 0; i < 20; i++)
		pass();
	ck_assert_uint_eq(sessions_used(), 1);
	waiting_stop();
	check_reset(c.fd);
	check_logged("\"reset: shutdown\"");
}
END_TEST

START_TEST(test_stop)
{
	static const enum how	how[] = { STAYS, STAYS, STAYS };
	struct client		c[3];
	size_t			i;

	hows = how;
	fill();
	for (i = 0; i < 3; i++) {
		nconnects = 0;
		c[i] = add(relay(ONE));
	}
	waiting_stop();
	for (i = 0; i < 3; i++)
		check_reset(c[i].fd);
	ck_assert_uint_eq(sessions_used(), 0);
	ck_assert_uint_eq(loop.timers.used, 0);
	sessions_flush_refusals(loop.now_ms, 1);
	ck_assert_ptr_nonnull(strstr(logged, "count=3 "
	    "reason=\"reset: shutdown\"\n"));
	/* Once more there is nothing to do. */
	waiting_stop();
}
END_TEST

/* Where memory is wanted: 0 for the timer, 1 for a slot of the loop. */
START_TEST(test_no_memory)
{
	static const enum how	how[] = { STAYS };
	struct client		c;
	size_t			first;

	hows = how;
	if (_i == 1)
		relay(ONE)->limits.timeout_ms[STAGE_CONNECT] = 0;
	while (_i == 1 && loop.used < loop.size) {
		nconnects = 0;
		(void)add(relay(ONE));
	}
	first = sessions_used();
	nconnects = 0;
	is_short = 1;
	c = add(relay(ONE));
	is_short = 0;
	check_reset(c.fd);
	ck_assert_uint_eq(sessions_used(), first);
	check_logged("\"reset: out of memory\"");
	/* The next one finds all in order. */
	nconnects = 0;
	c = add(relay(ONE));
	ck_assert_uint_eq(sessions_used(), first + 1);
}
END_TEST

/* Each has two descriptors of a parent that has not too many. */
START_TEST(test_too_many)
{
	static const enum how	how[] = { STAYS };
	struct rlimit		rl;
	struct client		c;
	char			address[32];
	int			pair[2], i;

	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &rl), 0);
	rl.rlim_cur = rl.rlim_max < 4096 ? rl.rlim_max : 4096;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &rl), 0);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	hows = how;
	fill();
	for (i = 0; i < MAX - 1; i++) {
		nconnects = 0;
		(void)snprintf(address, sizeof(address), "192.0.2.%d",
		    i / SHARE + 1);
		waiting_add(add_record(relay(ONE), address), dup(pair[0]));
		ck_assert_uint_eq(sessions_used(), (size_t)i + 1);
		if (i != SHARE - 1)
			continue;
		/* One client has its share, and no more. */
		waiting_add(add_record(relay(ONE), address), dup(pair[0]));
		ck_assert_uint_eq(sessions_used(), SHARE);
		check_logged(TOO_MANY);
		nlogged = 0;
		logged[0] = '\0';
	}
	nconnects = 0;
	c = add(relay(ONE));
	ck_assert_uint_eq(sessions_used(), MAX);
	ck_assert_int_eq(recv(c.fd, &i, 1, 0), -1);
	ck_assert_int_eq(errno, EAGAIN);
	c = add(relay(ONE));
	ck_assert_uint_eq(sessions_used(), MAX);
	check_reset(c.fd);
	check_logged(TOO_MANY);
	/* When they are gone there is room for as many again. */
	waiting_stop();
	ck_assert_uint_eq(sessions_used(), 0);
	nconnects = 0;
	c = add(relay(ONE));
	ck_assert_uint_eq(sessions_used(), 1);
}
END_TEST

int
main(void)
{
	Suite	*s = suite_create("waiting");
	TCase	*tc = tcase_create("waiting");
	TCase	*many = tcase_create("many");
	SRunner	*sr;
	int	 nfailed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 30);
	tcase_add_loop_test(tc, test_rows, 0,
	    (int)(sizeof(rows) / sizeof(rows[0])));
	tcase_add_test(tc, test_no_limit);
	tcase_add_test(tc, test_stop);
	tcase_add_loop_test(tc, test_no_memory, 0, 2);
	suite_add_tcase(s, tc);
	/* memcheck has not as many descriptors: regress.sh leaves it out. */
	tcase_set_tags(many, "few-descriptors");
	tcase_add_checked_fixture(many, setup, teardown);
	tcase_set_timeout(many, 30);
	tcase_add_test(many, test_too_many);
	suite_add_tcase(s, many);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	nfailed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return nfailed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
