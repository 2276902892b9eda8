/*
 * Tests of common/log.c: one call makes one printable line, whatever it was
 * given; where lines go; errno; the two ways to end.
 */
#include <sys/wait.h>

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../common/log.h"
#include "../../common/strutil.h"

static char	last[LOG_LINE_MAX];
static int	last_priority;
static int	nlines;

static void
sink(void *arg, int priority, const char *line, size_t len)
{
	ck_assert_str_eq(arg, "arg");
	ck_assert_uint_lt(len, sizeof(last));
	ck_assert_uint_eq(strlen(line), len);
	memcpy(last, line, len + 1);
	last_priority = priority;
	nlines++;
	errno = EXDEV;		/* a sink may leave it as it likes */
}

static void
set_up(void)
{
	log_init("test", 0);
	log_set_sink(sink, (void *)(uintptr_t)"arg");
	nlines = 0;
}

START_TEST(levels)
{
	errno = ENOENT;
	log_info("info %d", 1);
	ck_assert_str_eq(last, "info 1");
	ck_assert_int_eq(last_priority, LOG_INFO);
	log_warnx("warnx %s", "x");
	ck_assert_str_eq(last, "warnx x");
	ck_assert_int_eq(last_priority, LOG_ERR);
	ck_assert_int_eq(errno, ENOENT);
	log_warn("open %s", "/f");
	ck_assert_str_eq(last, "open /f: No such file or directory");
	ck_assert_int_eq(last_priority, LOG_ERR);
	ck_assert_int_eq(errno, ENOENT);
	log_line(LOG_NOTICE, "made already 100%");
	ck_assert_str_eq(last, "made already 100%");
	ck_assert_int_eq(last_priority, LOG_NOTICE);
	log_line(LOG_MAIL | LOG_WARNING, "x");
	ck_assert_int_eq(last_priority, LOG_WARNING);
	ck_assert_int_eq(errno, ENOENT);
	ck_assert_int_eq(nlines, 5);
}
END_TEST

START_TEST(verbose)
{
	ck_assert(!log_is_verbose());
	log_debug("no");
	log_line(LOG_DEBUG, "no");
	ck_assert_int_eq(nlines, 0);
	log_set_verbose(2);
	ck_assert(log_is_verbose());
	log_debug("yes");
	ck_assert_str_eq(last, "yes");
	ck_assert_int_eq(last_priority, LOG_DEBUG);
	log_line(LOG_DEBUG, "yes too");
	ck_assert_int_eq(nlines, 2);
	log_init("test", 0);
	ck_assert(!log_is_verbose());
}
END_TEST

START_TEST(escaped)
{
	static const struct {
		const char	*in;
		const char	*want;
	} rows[] = {
		{ "",			"" },
		{ "a b\"c\"",		"a b\"c\"" },
		{ "a\nfatal: b",	"a\\x0afatal: b" },
		{ "a\r\n",		"a\\x0d\\x0a" },
		{ "\033[2J",		"\\x1b[2J" },
		{ "\200\377",		"\\x80\\xff" },
		{ "%s%n%x",		"%s%n%x" },
		{ "a\\x0ab",		"a\\x0ab" },	/* escaped before */
	};
	char	line[64];
	size_t	i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		log_info("%s", rows[i].in);
		ck_assert_str_eq(last, rows[i].want);
		log_line(LOG_INFO, rows[i].in);
		ck_assert_str_eq(last, rows[i].want);
	}
	(void)strlcpy(line, "session", sizeof(line));
	str_add_pair_str(line, sizeof(line), "helo", "a\\b\n\"c");
	log_line(LOG_INFO, line);
	ck_assert_str_eq(last, "session helo=\"a\\\\b\\x0a\\x22c\"");
}
END_TEST

START_TEST(cut)
{
	char	text[LOG_LINE_MAX * 2];
	size_t	n;

	for (n = LOG_LINE_MAX - 8; n < sizeof(text); n++) {
		memset(text, 'x', n);
		text[n] = '\0';
		log_info("%s", text);
		if (n < LOG_LINE_MAX) {
			ck_assert_uint_eq(strlen(last), n);
			continue;
		}
		ck_assert_uint_eq(strlen(last), LOG_LINE_MAX - 1);
		ck_assert_str_eq(last + LOG_LINE_MAX - 5, "x...");
	}
	errno = ENOENT;
	log_warn("%s", text);
	ck_assert_uint_eq(strlen(last), LOG_LINE_MAX - 1);
	memset(text, '\n', sizeof(text) - 1);
	log_line(LOG_INFO, text);
	ck_assert_uint_lt(strlen(last), LOG_LINE_MAX);
	ck_assert_ptr_null(strchr(last, '\n'));
}
END_TEST

/* Standard error of a child that runs fn(), and how the child ended. */
static int
run_child(void (*fn)(void), char *text, size_t size)
{
	int	pair[2], status;
	ssize_t	n;
	size_t	used = 0;
	pid_t	pid;

	ck_assert_int_eq(pipe(pair), 0);
	ck_assert_int_ne(pid = fork(), -1);
	if (pid == 0) {
		(void)dup2(pair[1], STDERR_FILENO);
		(void)close(pair[0]);
		(void)close(pair[1]);
		fn();
		_exit(7);
	}
	(void)close(pair[1]);
	while ((n = read(pair[0], text + used, size - 1 - used)) > 0)
		used += (size_t)n;
	text[used] = '\0';
	(void)close(pair[0]);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void
child_lines(void)
{
	log_set_sink(NULL, NULL);
	log_info("one");
	errno = EPERM;
	log_warn("two\n");
	if (errno != EPERM)
		_exit(8);
}

static void
child_closed(void)
{
	log_set_sink(NULL, NULL);
	(void)close(STDERR_FILENO);
	errno = EPERM;
	log_info("nobody hears this");
	if (errno != EPERM)
		_exit(8);
}

static void
failing_sink(void *arg, int priority, const char *line, size_t len)
{
	(void)arg;
	(void)priority;
	(void)len;
	log_warnx("sink: %s", line);
}

static void
child_nested(void)
{
	log_set_sink(failing_sink, NULL);
	log_info("one");
	log_info("two");
}

static void
child_fatal(void)
{
	log_set_sink(NULL, NULL);
	errno = EACCES;
	fatal("open %s", "x");
}

static void
child_fatalx(void)
{
	log_set_sink(NULL, NULL);
	fatalx("bad %d", 3);
}

static void
fatal_sink(void *arg, int priority, const char *line, size_t len)
{
	(void)arg;
	(void)len;
	if (priority == LOG_CRIT && strcmp(line, "fatal: end") == 0)
		_exit(9);
}

static void
child_fatal_sink(void)
{
	log_set_sink(fatal_sink, NULL);
	fatalx("end");
}

START_TEST(children)
{
	static const struct {
		void		(*fn)(void);
		int		 status;
		const char	*text;
	} rows[] = {
		{ child_lines,	7, "test: one\n"
		    "test: two\\x0a: Operation not permitted\n" },
		{ child_closed,	7, "" },
		{ child_nested,	7, "test: sink: one\ntest: sink: two\n" },
		{ child_fatal,	1,
		    "test: fatal: open x: Permission denied\n" },
		{ child_fatalx,	1, "test: fatal: bad 3\n" },
		{ child_fatal_sink, 9, "" },
	};
	char	text[512];
	size_t	i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		ck_assert_int_eq(run_child(rows[i].fn, text, sizeof(text)),
		    rows[i].status);
		ck_assert_str_eq(text, rows[i].text);
	}
}
END_TEST

int
main(void)
{
	Suite	*s = suite_create("log");
	TCase	*tc = tcase_create("log");
	SRunner	*sr;
	int	 nfailed;

	tcase_add_checked_fixture(tc, set_up, NULL);
	tcase_add_test(tc, levels);
	tcase_add_test(tc, verbose);
	tcase_add_test(tc, escaped);
	tcase_add_test(tc, cut);
	tcase_add_test(tc, children);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	nfailed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return nfailed == 0 ? 0 : 1;
}
