/*
 * Connections that leave.  Parent only: it chooses the addresses from its own
 * record of the session and sets every option that a worker may not.
 */
#include "upstream.h"

#include <sys/types.h>
#include <sys/socket.h>

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "../common/port/port.h"

/* From the client's address, any port of it. */
static int
upstream_bind(int fd, const struct addr *client, const char **what)
{
	struct sockaddr_storage	ss;
	struct addr		from = *client;
	socklen_t		len;

	*what = "transparent: no right to the client's address, "
	    "CAP_NET_ADMIN is needed";
	if (port_set_bind_any(fd, client->family) == -1)
		return -1;
	*what = "transparent: bind to the client's address";
	from.port = 0;
	len = addr_to_sockaddr(&from, &ss);
	return bind(fd, (struct sockaddr *)&ss, len);
}

static int
upstream_prepare(int fd, const struct upstream *u, const char **what)
{
	*what = "mark: CAP_NET_ADMIN is needed";
	if (u->mark != 0 && port_set_mark(fd, u->mark) == -1)
		return -1;
	if (u->client == NULL)
		return 0;
	return upstream_bind(fd, u->client, what);
}

/* What connect(2) can say at once, in an admin's words. */
static const char *
upstream_explain(int error, int is_transparent)
{
	switch (error) {
	case EADDRINUSE:
	case EADDRNOTAVAIL:
		return is_transparent ?
		    "no port left under the client's address" :
		    "no port left under our address";
	case ECONNREFUSED:
		return "the destination refuses connections";
	case ENETUNREACH:
	case EHOSTUNREACH:
		return "no route to the destination";
	case EACCES:
	case EPERM:
		return "the firewall does not let the connection out";
	default:
		return "connect";
	}
}

static void
upstream_source(int fd, struct addr *source)
{
	struct sockaddr_storage	ss;
	socklen_t		len = sizeof(ss);

	memset(source, 0, sizeof(*source));
	if (getsockname(fd, (struct sockaddr *)&ss, &len) == -1 ||
	    addr_from_sockaddr(source, (struct sockaddr *)&ss) == -1)
		memset(source, 0, sizeof(*source));
}

int
upstream_connect(const struct upstream *u, struct addr *source,
    const char **what)
{
	struct sockaddr_storage	ss;
	socklen_t		len = addr_to_sockaddr(u->dest, &ss);
	int			fd, saved;

	memset(source, 0, sizeof(*source));
	*what = "transparent: the client has an address of another family";
	if (u->client != NULL && u->client->family != u->dest->family) {
		errno = EAFNOSUPPORT;
		return -1;
	}
	*what = "socket";
	fd = socket(u->dest->family, SOCK_STREAM | SOCK_NONBLOCK |
	    SOCK_CLOEXEC, 0);
	if (fd == -1)
		return -1;
	if (upstream_prepare(fd, u, what) == 0) {
		if (connect(fd, (struct sockaddr *)&ss, len) == 0 ||
		    errno == EINPROGRESS || errno == EINTR) {
			upstream_source(fd, source);
			return fd;
		}
		*what = upstream_explain(errno, u->client != NULL);
	}
	saved = errno;
	(void)close(fd);		/* the first error is the one to tell */
	errno = saved;
	return -1;
}
