/*
 * Tests of common/port/: what each system must do alike.  The sandbox has a
 * test of its own.
 */
#include <sys/socket.h>
#include <sys/wait.h>
#include <netinet/in.h>

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

#include "../../common/port/port.h"

extern char	**environ;
static char	 *program;

START_TEST(clock_runs)
{
	int64_t	start = port_now_ms(), now;

	(void)usleep(60000);
	now = port_now_ms();
	ck_assert(now - start >= 40);
	ck_assert(now - start < 10000);
}
END_TEST

START_TEST(self_path)
{
	char	path[PATH_MAX];

	ck_assert_int_eq(port_self_path(program, path, sizeof(path)), 0);
	ck_assert_int_eq(path[0], '/');
	ck_assert_int_eq(access(path, X_OK), 0);
	ck_assert_int_eq(port_self_path(program, path, 4), -1);
	ck_assert_int_eq(errno, ENAMETOOLONG);
}
END_TEST

START_TEST(titles)
{
	char	*argv[] = { program, NULL };

	port_title_init(1, argv, environ);
	port_title("a role of %s");	/* no format */
}
END_TEST

START_TEST(close_from)
{
	int	fd, status;
	pid_t	pid;

	ck_assert_int_ne(pid = fork(), -1);
	if (pid == 0) {
		if (dup2(0, 20) == -1 || dup2(0, 25) == -1)
			_exit(2);
		port_closefrom(20);
		for (fd = 20; fd < 64; fd++)
			if (fcntl(fd, F_GETFD) != -1)
				_exit(3);
		port_closefrom(60);	/* nothing is open there */
		_exit(fcntl(0, F_GETFD) == -1 ? 4 : 0);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFEXITED(status));
	ck_assert_int_eq(WEXITSTATUS(status), 0);
}
END_TEST

START_TEST(syslog_open)
{
	int	fd;

	errno = 0;
	if ((fd = port_syslog_open()) == -1)
		return;		/* no syslogd here, or none needed */
	ck_assert_int_ne(fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
	ck_assert_int_ne(fcntl(fd, F_GETFD) & FD_CLOEXEC, 0);
	(void)close(fd);
}
END_TEST

START_TEST(syslog_send)
{
	static const struct {
		int	priority;
		int	number;
	} rows[] = {
		{ LOG_INFO,			LOG_MAIL | LOG_INFO },
		{ LOG_ERR,			LOG_MAIL | LOG_ERR },
		{ LOG_DAEMON | LOG_CRIT,	LOG_DAEMON | LOG_CRIT },
	};
	char	got[8192], want[128], text[8192];
	int	fd[2];
	size_t	i;
	ssize_t	n;

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_DGRAM, 0, fd), 0);
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		ck_assert_int_eq(port_syslog_send(fd[0], rows[i].priority,
		    "tag", "100%n text that is cut", 9), 0);
		n = recv(fd[1], got, sizeof(got) - 1, MSG_DONTWAIT);
		ck_assert_int_gt(n, 0);
		got[n] = '\0';
		(void)snprintf(want, sizeof(want), "<%d>tag[%ld]: 100%%n tex",
		    rows[i].number, (long)getpid());
		ck_assert_str_eq(got, want);
	}
	memset(text, 'x', sizeof(text));
	ck_assert_int_eq(port_syslog_send(fd[0], LOG_INFO, "tag", text,
	    sizeof(text)), 0);
	n = recv(fd[1], got, sizeof(got), MSG_DONTWAIT);
	ck_assert_int_gt(n, 2048);
	ck_assert_int_le(n, 4096);
	(void)close(fd[1]);
	ck_assert_int_eq(port_syslog_send(fd[0], LOG_INFO, "tag", "x", 1), -1);
	ck_assert(errno == ECONNREFUSED || errno == ENOTCONN ||
	    errno == ECONNRESET);
	(void)close(fd[0]);
}
END_TEST

START_TEST(syslog_never_blocks)
{
	int	fd[2], i, rc = 0;

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_DGRAM, 0, fd), 0);
	for (i = 0; i < 100000 && rc == 0; i++)
		rc = port_syslog_send(fd[0], LOG_INFO, "tag", "x", 1);
	ck_assert_int_eq(rc, -1);
	ck_assert(errno == EAGAIN || errno == ENOBUFS);
	(void)close(fd[0]);
	(void)close(fd[1]);
}
END_TEST

START_TEST(park)
{
	struct pollfd	pfd;
	void		*tags[200];
	int		 fd[100][2], queue, i, n;

	ck_assert_int_ne(queue = port_park_open(), -1);
	ck_assert_int_ne(fcntl(queue, F_GETFD) & FD_CLOEXEC, 0);
	pfd.fd = queue;
	pfd.events = POLLIN;
	for (i = 0; i < 100; i++) {
		ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fd[i]),
		    0);
		ck_assert_int_eq(port_park_add(queue, fd[i][0], fd[i]), 0);
	}
	ck_assert_int_eq(poll(&pfd, 1, 0), 0);
	ck_assert_int_eq(port_park_wait(queue, tags, 200), 0);
	ck_assert_int_eq(write(fd[7][1], "x", 1), 1);
	ck_assert_int_eq(poll(&pfd, 1, 1000), 1);
	for (i = 0; i < 2; i++) {	/* reported for as long as it lasts */
		ck_assert_int_eq(port_park_wait(queue, tags, 200), 1);
		ck_assert_ptr_eq(tags[0], fd[7]);
	}
	ck_assert_int_eq(port_park_del(queue, fd[7][0]), 0);
	ck_assert_int_eq(poll(&pfd, 1, 0), 0);
	ck_assert_int_eq(port_park_del(queue, fd[7][0]), -1);
	ck_assert_int_eq(port_park_add(queue, -1, NULL), -1);
	ck_assert_int_eq(shutdown(fd[8][1], SHUT_WR), 0);
	ck_assert_int_eq(port_park_wait(queue, tags, 200), 1);
	ck_assert_ptr_eq(tags[0], fd[8]);
	for (i = 0; i < 100; i++)
		(void)close(fd[i][1]);
	for (i = n = 0; i < 10 && n < 99; i++) {
		int	got = port_park_wait(queue, tags, 10), j;

		ck_assert_int_le(got, 10);
		for (j = 0; j < got; j++)
			ck_assert_int_eq(port_park_del(queue,
			    ((int *)tags[j])[0]), 0);
		n += got;
	}
	ck_assert_int_eq(n, 99);
	for (i = 0; i < 100; i++)
		(void)close(fd[i][0]);
	(void)close(queue);
}
END_TEST

START_TEST(keepalive)
{
	int		fd, on = 0;
	socklen_t	len = sizeof(on);

	ck_assert_int_ne(fd = socket(AF_INET, SOCK_STREAM, 0), -1);
	ck_assert_int_eq(port_set_keepalive(fd, 120), 0);
	ck_assert_int_eq(getsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, &len),
	    0);
	ck_assert_int_ne(on, 0);
	(void)close(fd);
	ck_assert_int_eq(port_set_keepalive(fd, 120), -1);
	ck_assert_int_eq(errno, EBADF);
}
END_TEST

int
main(int argc, char *argv[])
{
	Suite	*s = suite_create("port");
	TCase	*tc = tcase_create("port");
	SRunner	*sr;
	int	 nfailed;

	(void)argc;
	program = argv[0];
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, clock_runs);
	tcase_add_test(tc, self_path);
	tcase_add_test(tc, titles);
	tcase_add_test(tc, close_from);
	tcase_add_test(tc, syslog_open);
	tcase_add_test(tc, syslog_send);
	tcase_add_test(tc, syslog_never_blocks);
	tcase_add_test(tc, park);
	tcase_add_test(tc, keepalive);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	nfailed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return nfailed == 0 ? 0 : 1;
}
