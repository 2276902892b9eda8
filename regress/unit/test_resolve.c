/*
 * Tests of the look-up of names: the real process, and one that lies, hangs
 * or dies.  The child is this program once more, started through a script
 * that says which of the two it is to be.
 */
#include <sys/types.h>
#include <sys/stat.h>

#include <check.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../common/log.h"
#include "../../common/port/port.h"
#include "../../privsep/proc.h"
#include "../../smtpproxyd/messages.h"
#include "../../smtpproxyd/resolve.h"

#define NROWS(a)	(sizeof(a) / sizeof((a)[0]))
#define CHILD_FD	3

static const struct proc_row	rows[] = {
	{ .role = PROC_PARENT, .name = "parent",
	  .peers = ROLE(PROC_RESOLVE), .on_death = DEATH_STOP_ALL },
	{ .role = PROC_RESOLVE, .name = "resolve", .main = resolve_main,
	  .user = USER_CONF, .promises = "stdio rpath inet dns",
	  .peers = ROLE(PROC_PARENT), .on_death = DEATH_ONCE }
};

/* --- The child that misbehaves: the name says how. --- */

static struct loop	fake_loop;
static struct chan	fake_chan;

static void
fake_answer(uint64_t id, uint32_t error, uint8_t n, size_t sent,
    const char *text)
{
	struct msg_writer	w;
	struct addr		a;
	size_t			i;

	memset(&a, 0, sizeof(a));
	(void)addr_parse(&a, text);
	msg_start(&w, MSG_RESOLVED, id);
	msg_put_u32(&w, error);
	msg_put_u8(&w, n);
	for (i = 0; i < sent; i++) {
		a.ip[3] = (uint8_t)(i + 1);
		msg_put_addr(&w, &a);
	}
	(void)chan_send(&fake_chan, &w, NULL, 0, CHAN_FDS_KEEP);
}

static void
fake_on_msg(struct chan *ch, struct msg *m, void *arg)
{
	struct msg_reader	r;
	char			host[RESOLVE_HOST_MAX + 1];

	(void)arg;
	if (proc_child_msg(ch, m))
		return;
	if (m->type == MSG_STOP)
		exit(0);
	msg_reader_init(&r, m);
	msg_str(&r, host, sizeof(host));
	if (strcmp(host, "hang.test") == 0)
		for (;;)
			(void)poll(NULL, 0, 1000);
	if (strcmp(host, "die.test") == 0)
		_exit(7);
	if (strcmp(host, "many.test") == 0)
		fake_answer(m->id, RESOLVE_OK, 16, 16, "192.0.2.0");
	else if (strcmp(host, "error.test") == 0)
		fake_answer(m->id, 99, 0, 0, "");
	else if (strcmp(host, "none.test") == 0)
		fake_answer(m->id, RESOLVE_OK, 0, 0, "");
	else if (strcmp(host, "both.test") == 0)
		fake_answer(m->id, RESOLVE_LATER, 1, 1, "192.0.2.0");
	else if (strcmp(host, "short.test") == 0)
		fake_answer(m->id, RESOLVE_OK, 2, 1, "192.0.2.0");
	else if (strcmp(host, "long.test") == 0)
		fake_answer(m->id, RESOLVE_OK, 1, 2, "192.0.2.0");
	else if (strcmp(host, "more.test") == 0)
		fake_answer(m->id, RESOLVE_OK, 255, 16, "192.0.2.0");
	else if (strcmp(host, "family.test") == 0)
		fake_answer(m->id, RESOLVE_OK, 1, 1, "");
	else if (strcmp(host, "id.test") == 0)
		fake_answer(m->id + 1, RESOLVE_OK, 1, 1, "192.0.2.0");
	else if (strcmp(host, "twice.test") == 0) {
		fake_answer(m->id, RESOLVE_OK, 1, 1, "192.0.2.0");
		fake_answer(m->id, RESOLVE_OK, 1, 1, "192.0.2.0");
	} else if (strcmp(host, "later.test") == 0)
		fake_answer(m->id, RESOLVE_LATER, 0, 0, "");
	else if (strcmp(host, "failed.test") == 0)
		fake_answer(m->id, RESOLVE_FAILED, 0, 0, "");
	else if (strcmp(host, "noname.test") == 0)
		fake_answer(m->id, RESOLVE_NO_NAME, 0, 0, "");
	else
		fake_answer(m->id, RESOLVE_OK, 1, 1, "192.0.2.0");
}

static void
fake_on_end(struct chan *ch, const char *reason, void *arg)
{
	(void)ch;
	(void)reason;
	(void)arg;
	exit(0);
}

static _Noreturn void
fake_main(void)
{
	proc_child_start(&fake_chan, &fake_loop, 0, CHILD_FD, PROC_RESOLVE);
	chan_set_handlers(&fake_chan, fake_on_msg, fake_on_end, NULL);
	proc_child_ready(&fake_chan);
	(void)loop_run(&fake_loop);
	exit(0);
}

/* --- The tests. --- */

static char	self[PATH_MAX];
static char	dir[64];
static char	path[128];

static void
quiet(void *arg, int priority, const char *line, size_t len)
{
	(void)arg;
	(void)priority;
	(void)line;
	(void)len;
}

static void
script_make(const char *which)
{
	FILE	*f;

	(void)strlcpy(dir, "/tmp/test_resolve.XXXXXX", sizeof(dir));
	ck_assert_ptr_nonnull(mkdtemp(dir));
	ck_assert_int_eq(chmod(dir, 0755), 0);
	(void)snprintf(path, sizeof(path), "%s/child", dir);
	ck_assert_ptr_nonnull(f = fopen(path, "w"));
	(void)fprintf(f, "#!/bin/sh\nexec %s %s \"$@\"\n", self, which);
	ck_assert_int_eq(fclose(f), 0);
	ck_assert_int_eq(chmod(path, 0755), 0);
	log_set_sink(quiet, NULL);
}

static void
script_remove(void)
{
	(void)unlink(path);
	(void)rmdir(dir);
}

static void
make_real(void)
{
	script_make("real");
}

static void
make_fake(void)
{
	script_make("fake");
}

static size_t
count_fds(void)
{
	size_t	n = 0;
	int	fd;

	for (fd = 0; fd < 256; fd++)
		if (fcntl(fd, F_GETFD) != -1)
			n++;
	return n;
}

/* What a look-up says, "ok N" or why not. */
static const char *
ask(struct resolver *r, const struct conf *c, const char *host)
{
	static struct conf_why	 why;
	struct addr		 addrs[CONF_RESOLVE_MAX];
	size_t			 n = CONF_RESOLVE_MAX;

	if (resolver_lookup(r, c, host, addrs, &n, &why) == 0)
		(void)snprintf(why.text, sizeof(why.text), "ok %zu", n);
	return why.text;
}

static const char	*user = "nobody";

START_TEST(real)
{
	struct conf	*c = conf_new();
	struct resolver	*r = resolver_new(path, user);
	struct addr	 addrs[CONF_RESOLVE_MAX];
	struct conf_why	 why;
	size_t		 i, n = CONF_RESOLVE_MAX;

	resolver_set_wait(r, 10000);
	why.text[0] = '\0';
	ck_assert_msg(resolver_lookup(r, c, "localhost", addrs, &n,
	    &why) == 0, "%s", why.text);
	ck_assert_uint_ge(n, 1);
	for (i = 0; i < n; i++) {
		ck_assert(addr_is_loopback(&addrs[i]));
		ck_assert_uint_eq(addrs[i].port, 0);
	}
	n = 1;				/* no more than there is room */
	ck_assert_int_eq(resolver_lookup(r, c, "localhost", addrs, &n, &why),
	    0);
	ck_assert_uint_eq(n, 1);
	/* Whether or not a name server can be reached. */
	ck_assert_ptr_nonnull(strstr(ask(r, c, "no.such.name.invalid"),
	    "\"no.such.name.invalid\" does not resolve: "));
	resolver_free(r);
	conf_free(c);
}
END_TEST

START_TEST(unused)
{
	resolver_free(resolver_new("/nonexistent", user));
	resolver_free(NULL);
}
END_TEST

/* The program can't be started at all. */
START_TEST(no_program)
{
	struct conf	*c = conf_new();
	struct resolver	*r = resolver_new("/nonexistent", user);

	ck_assert_str_eq(ask(r, c, "a.test"), "\"a.test\" could not be "
	    "looked up: the process ended");
	resolver_free(r);
	conf_free(c);
}
END_TEST

START_TEST(no_user)
{
	struct conf	*c = conf_new();
	struct conf_why	 why;
	struct resolver	*r = resolver_new(path, NULL);

	ck_assert_int_eq(conf_set_user(c, "no_such_user", &why), 0);
	if (geteuid() == 0)
		ck_assert_str_eq(ask(r, c, "a.test"), "no name can be looked "
		    "up: user \"no_such_user\" does not exist, expected one");
	resolver_free(r);
	r = resolver_new(path, "root");
	if (geteuid() == 0)
		ck_assert_str_eq(ask(r, c, "a.test"), "no name can be looked "
		    "up: user \"root\" is root, expected another");
	resolver_free(r);
	conf_free(c);
}
END_TEST

#define ENDED	"could not be looked up: the process ended"

static const struct {
	const char	*host;
	const char	*said;		/* behind the name; or "ok N" */
} fake_rows[] = {
	{ "a.test",		"ok 1" },
	{ "many.test",		"ok 16" },
	{ "die.test",		ENDED },
	{ "a.test",		"ok 1" },
	{ "error.test",		ENDED },
	{ "none.test",		ENDED },
	{ "both.test",		ENDED },
	{ "short.test",		ENDED },
	{ "long.test",		ENDED },
	{ "more.test",		ENDED },
	{ "family.test",	ENDED },
	{ "id.test",		ENDED },
	{ "twice.test",		"ok 1" },
	{ "noname.test",	"does not resolve: no such name, expected an "
	    "address" },
	{ "later.test",		"does not resolve: no name server answers for "
	    "it, expected an address" },
	{ "failed.test",	"does not resolve: look-up failed, expected an "
	    "address" },
	{ "hang.test",		"does not resolve: no answer in 5 seconds, "
	    "expected an address" },
	{ "a.test",		"ok 1" },
	{ "hang.test",		"does not resolve: no answer in 5 seconds, "
	    "expected an address" }
};

START_TEST(liar)
{
	struct conf	*c = conf_new();
	struct resolver	*r = resolver_new(path, user);
	const char	*said;
	size_t		 i;

	resolver_set_wait(r, 5000);
	for (i = 0; i < NROWS(fake_rows); i++) {
		said = ask(r, c, fake_rows[i].host);
		if (fake_rows[i].said[0] == 'o') {
			ck_assert_str_eq(said, fake_rows[i].said);
			/* What it said too much may hurt the next one. */
			if (strcmp(fake_rows[i].host, "twice.test") == 0)
				(void)ask(r, c, "a.test");
			continue;
		}
		ck_assert_msg(strstr(said, fake_rows[i].host) != NULL,
		    "%s: %s", fake_rows[i].host, said);
		ck_assert_ptr_nonnull(strchr(said + 1, '"'));
		ck_assert_str_eq(strchr(said + 1, '"') + 2,
		    fake_rows[i].said);
	}
	resolver_free(r);
	conf_free(c);
}
END_TEST

/* Again and again, as in one process with reloads: nothing is left open. */
START_TEST(again)
{
	struct conf	*c = conf_new();
	struct resolver	*r;
	size_t		 i, before = 0;

	for (i = 0; i < 5; i++) {
		r = resolver_new(path, user);
		ck_assert_str_eq(ask(r, c, "a.test"), "ok 1");
		resolver_free(r);
		if (i == 0)
			before = count_fds();
	}
	ck_assert_uint_eq(count_fds(), before);
	conf_free(c);
}
END_TEST

int
main(int argc, char *argv[], char *envp[])
{
	Suite	*s = suite_create("resolve");
	TCase	*real_tc = tcase_create("real");
	TCase	*fake_tc = tcase_create("fake");
	SRunner	*sr;
	int	 nfailed;

	port_title_init(argc, argv, envp);
	proc_init(rows, NROWS(rows), messages, nmessages, "test");
	if (argc > 1 && strcmp(argv[1], "real") == 0)
		resolve_main(CHILD_FD);
	if (argc > 1 && strcmp(argv[1], "fake") == 0)
		fake_main();
	if (realpath(argv[0], self) == NULL)
		return 1;
	tcase_set_timeout(real_tc, 60);
	tcase_set_timeout(fake_tc, 60);
	tcase_add_checked_fixture(real_tc, make_real, script_remove);
	tcase_add_checked_fixture(fake_tc, make_fake, script_remove);
	tcase_add_test(real_tc, real);
	tcase_add_test(fake_tc, unused);
	tcase_add_test(fake_tc, no_program);
	tcase_add_test(fake_tc, no_user);
	tcase_add_test(fake_tc, liar);
	tcase_add_test(fake_tc, again);
	suite_add_tcase(s, real_tc);
	suite_add_tcase(s, fake_tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	nfailed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return nfailed == 0 ? 0 : 1;
}
