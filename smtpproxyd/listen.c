/*
 * Listening sockets.  Parent only, while it is root; nothing is read here.
 */
#include "listen.h"

#include <sys/types.h>
#include <sys/socket.h>

#include <netinet/in.h>
#include <netinet/tcp.h>

#include <errno.h>
#include <unistd.h>

#include "../common/port/port.h"

#define LISTEN_BACKLOG		1024
#define LISTEN_KEEPALIVE_S	120	/* a dead peer behind a firewall */

static int
listen_set_options(int fd, int family)
{
	int	one = 1;

	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one,
	    sizeof(one)) == -1)
		return -1;
	/* Each family has its own listener: no v4-mapped addresses. */
	if (family == AF_INET6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY,
	    &one, sizeof(one)) == -1)
		return -1;
	if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one,
	    sizeof(one)) == -1)
		return -1;
	return port_set_keepalive(fd, LISTEN_KEEPALIVE_S);
}

int
listen_open(const struct addr *addr, int is_divert, const char **what)
{
	struct sockaddr_storage	ss;
	socklen_t		len = addr_to_sockaddr(addr, &ss);
	int			fd, saved;

	*what = "socket";
	fd = socket(addr->family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC,
	    0);
	if (fd == -1)
		return -1;
	*what = "socket options";
	if (listen_set_options(fd, addr->family) == -1)
		goto fail;
	*what = "divert: CAP_NET_ADMIN is needed";
	if (is_divert && port_set_divert_listener(fd, addr->family) == -1)
		goto fail;
	*what = "bind";
	if (bind(fd, (struct sockaddr *)&ss, len) == -1)
		goto fail;
	*what = "listen";
	if (listen(fd, LISTEN_BACKLOG) == -1)
		goto fail;
	return fd;
fail:
	saved = errno;
	(void)close(fd);		/* the first error is the one to tell */
	errno = saved;
	return -1;
}
