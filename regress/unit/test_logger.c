/*
 * Tests of the logger process, with the real parent and children in front of
 * it: who is said to have written a line, what a line can't do, what becomes
 * of too many, and sinks that are slow, lost or never there.
 */
#include <sys/types.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

#include "../../common/log.h"
#include "../../privsep/proc_private.h"
#include "proc_home.h"

#define NROWS(a)	((int)(sizeof(a) / sizeof((a)[0])))

static struct home_kid	*const w0 = &home_worker[0];
static char		 path[sizeof(((struct sockaddr_un *)0)->sun_path)];
static int		 syslogd = -1;	/* its socket, bound to path */
static int		 nopened;

static void
start(void)
{
	home_start_ready(PROC_LOGGER, 0);
	home_start_ready(PROC_WORKER, 0);
	home_forget_log();
}

/* --- Standard error --- */

static const struct {
	const char	*said;
	const char	*written;
} texts[] = {
	{ "plain",		": plain\n" },
	{ "two\nlines",		": two\\x0alines\n" },
	{ "\rover",		": \\x0dover\n" },
	{ "esc\033[2J",		": esc\\x1b[2J\n" },
	{ "t\177b\tc",		": t\\x7fb\\x09c\n" },
	{ "\303\251",		": \\xc3\\xa9\n" },
	{ "a\\b",		": a\\b\n" },	/* a quote keeps its look */
	{ "%s%n",		": %s%n\n" },
	{ "",			": \n" }
};

START_TEST(escaped)
{
	char	line[128];

	start();
	ck_assert_int_eq(home_tell(w0, KID_DO_LOG, texts[_i].said), 0);
	(void)snprintf(line, sizeof(line), "worker[0] %ld%s",
	    (long)home_pid(w0), texts[_i].written);
	WAIT(strcmp(home_log, line) == 0, 3000);
}
END_TEST

START_TEST(cut)
{
	static char	text[LOG_LINE_MAX + 500];

	start();
	memset(text, 'x', sizeof(text) - 1);
	ck_assert_int_eq(home_tell(w0, KID_DO_LOG, text), 0);
	WAIT(strchr(home_log, '\n') != NULL, 3000);
	ck_assert_uint_le(strlen(home_log), LOG_LINE_MAX + 64);
	ck_assert_uint_ge(strlen(home_log), LOG_LINE_MAX - 64);
}
END_TEST

/* The record itself, past the escaping of its sender. */
static void
send_record(int priority, const void *text, size_t len)
{
	struct msg_writer	w;

	msg_start(&w, MSG_LOG, 0);
	msg_put_u8(&w, (uint8_t)priority);
	msg_put_octets(&w, text, len);
	ck_assert_int_eq(chan_send(proc_child_chan(home_logger.child), &w,
	    NULL, 0, CHAN_FDS_KEEP), 0);
}

START_TEST(escaped_again)
{
	char	line[128];

	start();
	send_record(LOG_INFO, "a\nworker[9] 1: b\0c", 18);
	(void)snprintf(line, sizeof(line), "parent %ld: "
	    "a\\x0aworker[9] 1: b\\x00c\n", (long)getpid());
	WAIT(strcmp(home_log, line) == 0, 3000);
	home_forget_log();
	send_record(LOG_DEBUG, "quiet", 5);	/* not verbose */
	send_record(LOG_CRIT, "loud", 4);
	WAIT(home_count("loud\n") == 1, 3000);
	ck_assert_uint_eq(home_count("quiet"), 0);
}
END_TEST

START_TEST(giant_record)
{
	static char	text[MSG_MAX - MSG_HEADER - 3];

	start();
	memset(text, '\001', sizeof(text));
	send_record(LOG_INFO, text, sizeof(text));
	send_record(LOG_INFO, "next", 4);
	WAIT(home_count(": next\n") == 1, 3000);
	ck_assert_uint_eq(home_count("\n"), 2);
	ck_assert_uint_le(strlen(home_log), LOG_LINE_MAX + 128);
}
END_TEST

/* No priority of syslog(3): a violation, the parent's is the logger's end. */
START_TEST(no_priority)
{
	start();
	send_record(LOG_DEBUG + 1, "x", 1);
	WAIT(home_logger.nready == 2, 5000);
	ck_assert_uint_eq(w0->ngone, 0);
}
END_TEST

/* 2,000 a second, then one line with the count. */
START_TEST(too_many)
{
	start();
	ck_assert_int_eq(home_tell(w0, KID_DO_FLOOD, "6000"), 0);
	WAIT(home_count("records dropped: more than 2000 a second\n") == 1 ||
	    home_count("log records dropped") >= 1, 10000);
	ck_assert_uint_le(home_count(" of 6000 "), 4001);
	/* Others are heard all the while. */
	log_info("the parent");
	WAIT(home_count("the parent\n") == 1, 3000);
	ck_assert_uint_eq(w0->ngone + home_logger.ngone, 0);
}
END_TEST

/* --- A sink that does not take --- */

static int	full[2] = { -1, -1 };

static int
open_full(void)
{
	return dup(full[1]);
}

static void
set_up_full(void)
{
	ck_assert_int_eq(pipe(full), 0);
	home_sink = open_full;
	home_set_up();
}

START_TEST(sink_is_full)
{
	static char	octets[65536 * 2];
	ssize_t		n;
	int		i;

	home_start_ready(PROC_LOGGER, 0);
	for (i = 0; i < 1500; i++) {
		log_info("%d %0150d", i, 0);
		if (i % 20 == 0)
			home_pass();
	}
	/* It waits for nobody. */
	proc_set_limits(100, 2000);
	for (i = 0; i < 30; i++)
		home_pass();
	ck_assert_uint_eq(home_logger.ngone, 0);
	ck_assert_int_ne(fcntl(full[0], F_SETFL, O_NONBLOCK), -1);
	/* Not our file alone: its flags are not ours to change. */
	ck_assert_int_eq(fcntl(full[1], F_GETFL) & O_NONBLOCK, 0);
	while ((n = read(full[0], octets, sizeof(octets) - 1)) > 0)
		;
	octets[0] = '\0';
	for (i = 0; i < 300 && strstr(octets, "records lost") == NULL; i++) {
		home_pass();
		n = read(full[0], octets, sizeof(octets) - 1);
		octets[n > 0 ? n : 0] = '\0';
	}
	ck_assert_ptr_nonnull(strstr(octets, "records lost: the sink did "
	    "not take them\n"));
}
END_TEST

/* --- The system log --- */

static void
syslogd_start(void)
{
	struct sockaddr_un	sun;

	memset(&sun, 0, sizeof(sun));
	sun.sun_family = AF_UNIX;
	(void)strlcpy(sun.sun_path, path, sizeof(sun.sun_path));
	(void)unlink(path);
	syslogd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	ck_assert_int_ne(syslogd, -1);
	ck_assert_int_eq(bind(syslogd, (struct sockaddr *)&sun, sizeof(sun)),
	    0);
}

static void
syslogd_stop(void)
{
	(void)close(syslogd);
	(void)unlink(path);
	syslogd = -1;
}

/* As port_syslog_open(), elsewhere. */
static int
open_syslog(void)
{
	struct sockaddr_un	sun;
	int			fd, saved;

	nopened++;
	memset(&sun, 0, sizeof(sun));
	sun.sun_family = AF_UNIX;
	(void)strlcpy(sun.sun_path, path, sizeof(sun.sun_path));
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (connect(fd, (struct sockaddr *)&sun, sizeof(sun)) == -1) {
		saved = errno;
		(void)close(fd);
		errno = saved;
		return -1;
	}
	return fd;
}

static void
set_up_syslog(void)
{
	(void)snprintf(path, sizeof(path), "/tmp/test_logger.%ld",
	    (long)getpid());
	home_sink_kind = LOG_SINK_SYSLOG;
	home_sink = open_syslog;
	home_set_up();
}

static void
tear_down_syslog(void)
{
	home_tear_down();
	if (syslogd != -1)
		syslogd_stop();
}

/* Does a record with this text come to syslogd? */
static int
arrives(const char *text)
{
	char	record[4096];
	ssize_t	n;

	while ((n = recv(syslogd, record, sizeof(record) - 1, 0)) > 0) {
		record[n] = '\0';
		if (strstr(record, text) != NULL)
			return 1;
	}
	return 0;
}

START_TEST(syslog_record)
{
	char	want[128];

	syslogd_start();
	start();
	ck_assert_int_eq(home_tell(w0, KID_DO_LOG, "one"), 0);
	/* Facility, priority, and the logger's own pid behind the tag. */
	(void)snprintf(want, sizeof(want), "<%d>test[", LOG_MAIL | LOG_INFO);
	(void)snprintf(want + strlen(want), sizeof(want) - strlen(want),
	    "%ld]: worker[0] %ld: one", (long)home_pid(&home_logger),
	    (long)home_pid(w0));
	WAIT(arrives(want), 3000);
}
END_TEST

START_TEST(syslogd_restarted)
{
	int	before;

	syslogd_start();
	start();
	syslogd_stop();
	before = nopened;
	ck_assert_int_eq(home_tell(w0, KID_DO_LOG, "lost"), 0);
	WAIT(nopened > before, 5000);
	syslogd_start();
	/* A new socket from the parent, and the count of what was lost. */
	WAIT(arrives("records lost: the sink did not take them"), 10000);
	ck_assert_int_eq(home_tell(w0, KID_DO_LOG, "again"), 0);
	WAIT(arrives(": again"), 3000);
	ck_assert_uint_eq(home_logger.ngone, 0);
}
END_TEST

/* None at the start: said, no error, and asked for once a second. */
START_TEST(syslogd_missing)
{
	int64_t	end;
	int	i;

	start();
	end = port_now_ms() + 1500;
	while (port_now_ms() < end) {
		for (i = 0; i < 10; i++)
			log_info("nowhere to go");
		home_pass();
	}
	ck_assert_int_ge(nopened, 2);
	ck_assert_int_le(nopened, 5);
	syslogd_start();
	WAIT(arrives("records lost"), 5000);
	ck_assert_int_eq(home_tell(w0, KID_DO_LOG, "there"), 0);
	WAIT(arrives(": there"), 3000);
}
END_TEST

/* What the parent says when the logger has ended goes there by itself. */
START_TEST(parents_last_words)
{
	syslogd_start();
	start();
	home_stop(5);
	ck_assert(arrives("last words"));
	log_info("the end");
	ck_assert(arrives("the end"));
}
END_TEST

/* --- The end --- */

START_TEST(nothing_is_lost_at_the_end)
{
	start();
	/* More than one pass of the logger reads, less than the pipe holds. */
	ck_assert_int_eq(home_tell(w0, KID_DO_FLOOD, "400"), 0);
	home_stop(5);
	ck_assert_uint_eq(home_count(" of 400 "), 400);
	ck_assert_uint_eq(home_count("last words\n"), 1);
}
END_TEST

int
main(int argc, char *argv[], char *envp[])
{
	Suite	*s = suite_create("logger");
	TCase	*tc = tcase_create("stderr"), *sys = tcase_create("syslog");
	TCase	*slow = tcase_create("full");
	SRunner	*sr;
	int	 nfailed;

	kid_start(argc, argv, envp);
	tcase_set_timeout(tc, 30);
	tcase_add_checked_fixture(tc, home_set_up, home_tear_down);
	tcase_add_loop_test(tc, escaped, 0, NROWS(texts));
	tcase_add_test(tc, cut);
	tcase_add_test(tc, escaped_again);
	tcase_add_test(tc, giant_record);
	tcase_add_test(tc, no_priority);
	tcase_add_test(tc, too_many);
	tcase_add_test(tc, nothing_is_lost_at_the_end);
	suite_add_tcase(s, tc);
	tcase_set_timeout(slow, 30);
	tcase_add_checked_fixture(slow, set_up_full, home_tear_down);
	tcase_add_test(slow, sink_is_full);
	suite_add_tcase(s, slow);
	tcase_set_timeout(sys, 30);
	tcase_add_checked_fixture(sys, set_up_syslog, tear_down_syslog);
	tcase_add_test(sys, syslog_record);
	tcase_add_test(sys, syslogd_restarted);
	tcase_add_test(sys, syslogd_missing);
	tcase_add_test(sys, parents_last_words);
	suite_add_tcase(s, sys);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	nfailed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return nfailed == 0 ? 0 : 1;
}
