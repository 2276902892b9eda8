/*
 * Connections that leave.  Parent only: it chooses the address from its own
 * record of the session and sets every option that a worker may not.
 */
#include "upstream.h"

#include <sys/types.h>
#include <sys/socket.h>

#include <errno.h>
#include <unistd.h>

#include "../common/port/port.h"

#define UPSTREAM_KEEPALIVE_S	120

int
upstream_connect(const struct addr *dest)
{
	struct sockaddr_storage	ss;
	socklen_t		len = addr_to_sockaddr(dest, &ss);
	int			fd, saved;

	fd = socket(dest->family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC,
	    0);
	if (fd == -1)
		return -1;
	if (port_set_keepalive(fd, UPSTREAM_KEEPALIVE_S) == -1)
		goto fail;
	if (connect(fd, (struct sockaddr *)&ss, len) == 0 ||
	    errno == EINPROGRESS || errno == EINTR)
		return fd;
fail:
	saved = errno;
	(void)close(fd);		/* the first error is the one to tell */
	errno = saved;
	return -1;
}
