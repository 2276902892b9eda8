/* Sockets that the parent makes: listeners, and connections that leave. */
#include <sys/types.h>
#include <sys/socket.h>

#include <netinet/in.h>
#include <netinet/tcp.h>

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../smtpproxyd/listen.h"
#include "../../smtpproxyd/upstream.h"

static const char *const	hosts[] = { "127.0.0.1", "::1" };

static int
option(int fd, int level, int name)
{
	int		value = -1;
	socklen_t	len = sizeof(value);

	ck_assert_int_eq(getsockopt(fd, level, name, &value, &len), 0);
	return value;
}

/* Port 0: the kernel's choice, filled in. */
static int
open_at(const char *host, struct addr *addr)
{
	struct sockaddr_storage	ss;
	socklen_t		len = sizeof(ss);
	const char		*what;
	int			fd;

	ck_assert_int_eq(addr_parse(addr, host), 0);
	fd = listen_open(addr, &what);
	ck_assert_msg(fd != -1, "%s: %s", what, strerror(errno));
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&ss, &len), 0);
	ck_assert_int_eq(addr_from_sockaddr(addr, (struct sockaddr *)&ss), 0);
	return fd;
}

START_TEST(test_options)
{
	struct addr	addr;
	int		fd = open_at(hosts[_i], &addr);

	ck_assert_int_ne(fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
	ck_assert_int_ne(fcntl(fd, F_GETFD) & FD_CLOEXEC, 0);
	ck_assert_int_ne(option(fd, IPPROTO_TCP, TCP_NODELAY), 0);
	ck_assert_int_ne(option(fd, SOL_SOCKET, SO_KEEPALIVE), 0);
	ck_assert_int_ne(option(fd, SOL_SOCKET, SO_REUSEADDR), 0);
	if (addr.family == AF_INET6)
		ck_assert_int_ne(option(fd, IPPROTO_IPV6, IPV6_V6ONLY), 0);
	(void)close(fd);
}
END_TEST

START_TEST(test_in_use)
{
	struct addr	 addr;
	const char	*what;
	int		 fd = open_at(hosts[_i], &addr);

	ck_assert_int_eq(listen_open(&addr, &what), -1);
	ck_assert_int_eq(errno, EADDRINUSE);
	ck_assert_str_eq(what, "bind");
	(void)close(fd);
}
END_TEST

START_TEST(test_connect)
{
	struct addr	addr;
	struct pollfd	p;
	int		fd = open_at(hosts[_i], &addr), out;

	out = upstream_connect(&addr);
	ck_assert_int_ne(out, -1);
	ck_assert_int_ne(fcntl(out, F_GETFL) & O_NONBLOCK, 0);
	ck_assert_int_ne(fcntl(out, F_GETFD) & FD_CLOEXEC, 0);
	ck_assert_int_ne(option(out, SOL_SOCKET, SO_KEEPALIVE), 0);
	p.fd = out;
	p.events = POLLOUT;
	ck_assert_int_eq(poll(&p, 1, 10000), 1);
	ck_assert_int_eq(option(out, SOL_SOCKET, SO_ERROR), 0);
	(void)close(out);
	(void)close(fd);
}
END_TEST

/* Told at once, or by the descriptor. */
START_TEST(test_refused)
{
	struct addr	addr;
	struct pollfd	p;
	int		fd = open_at(hosts[_i], &addr), out;

	(void)close(fd);
	if ((out = upstream_connect(&addr)) == -1) {
		ck_assert_int_eq(errno, ECONNREFUSED);
		return;
	}
	p.fd = out;
	p.events = POLLOUT;
	ck_assert_int_eq(poll(&p, 1, 10000), 1);
	ck_assert_int_eq(option(out, SOL_SOCKET, SO_ERROR), ECONNREFUSED);
	(void)close(out);
}
END_TEST

int
main(void)
{
	Suite	*s = suite_create("listen");
	TCase	*tc = tcase_create("listen");
	SRunner	*sr;
	int	 nfailed;

	tcase_add_loop_test(tc, test_options, 0, 2);
	tcase_add_loop_test(tc, test_in_use, 0, 2);
	tcase_add_loop_test(tc, test_connect, 0, 2);
	tcase_add_loop_test(tc, test_refused, 0, 2);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	nfailed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return nfailed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
