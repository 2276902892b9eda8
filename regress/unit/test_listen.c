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
	fd = listen_open(addr, 0, &what);
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

	ck_assert_int_eq(listen_open(&addr, 0, &what), -1);
	ck_assert_int_eq(errno, EADDRINUSE);
	ck_assert_str_eq(what, "bind");
	(void)close(fd);
}
END_TEST

static int
leave(const struct addr *dest, struct addr *source, const char **what)
{
	struct upstream	u;

	memset(&u, 0, sizeof(u));
	u.dest = dest;
	return upstream_connect(&u, source, what);
}

START_TEST(test_connect)
{
	struct addr	 addr, source;
	struct pollfd	 p;
	const char	*what;
	int		 fd = open_at(hosts[_i], &addr), out;

	out = leave(&addr, &source, &what);
	ck_assert_int_ne(out, -1);
	ck_assert_int_eq(source.family, addr.family);
	ck_assert_int_ne(source.port, 0);
	ck_assert(addr_is_same_host(&source, &addr));
	ck_assert_int_ne(fcntl(out, F_GETFL) & O_NONBLOCK, 0);
	ck_assert_int_ne(fcntl(out, F_GETFD) & FD_CLOEXEC, 0);
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
	struct addr	 addr, source;
	struct pollfd	 p;
	const char	*what;
	int		 fd = open_at(hosts[_i], &addr), out;

	(void)close(fd);
	if ((out = leave(&addr, &source, &what)) == -1) {
		ck_assert_int_eq(errno, ECONNREFUSED);
		ck_assert_str_eq(what,
		    "the destination refuses connections");
		return;
	}
	p.fd = out;
	p.events = POLLOUT;
	ck_assert_int_eq(poll(&p, 1, 10000), 1);
	ck_assert_int_eq(option(out, SOL_SOCKET, SO_ERROR), ECONNREFUSED);
	(void)close(out);
}
END_TEST

/* Under the client's address there is no way to another family's host. */
START_TEST(test_family)
{
	struct addr	 client, dest, source;
	struct upstream	 u;
	const char	*what;

	memset(&u, 0, sizeof(u));
	ck_assert_int_eq(addr_parse(&dest, hosts[_i]), 0);
	ck_assert_int_eq(addr_parse(&client, hosts[1 - _i]), 0);
	dest.port = 25;
	u.dest = &dest;
	u.client = &client;
	ck_assert_int_eq(upstream_connect(&u, &source, &what), -1);
	ck_assert_int_eq(errno, EAFNOSUPPORT);
	ck_assert_ptr_nonnull(strstr(what, "another family"));
	ck_assert_int_eq(source.family, 0);
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
	tcase_add_loop_test(tc, test_family, 0, 2);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	nfailed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return nfailed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
