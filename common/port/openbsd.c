/*
 * OpenBSD: pledge(2), unveil(2), titles, clock, descriptors, system log, the
 * kernel queue of parked descriptors (kqueue).  Used by every process; trusts
 * its callers and the kernel.
 */
#include "port.h"

#include <sys/types.h>
#include <sys/event.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <net/if.h>
#include <netinet/in.h>
#include <net/pfvar.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#define SYSLOG_MAX	4096	/* a line of log.c, and what stands in front */
#define PARK_WAIT_MAX	256

const char *
port_sandbox_name(void)
{
	return "pledge";
}

void
port_title_init(int argc, char *argv[], char *envp[])
{
	(void)argc;
	(void)argv;
	(void)envp;
}

/* It goes back by itself. */
void
port_settle_memory(void)
{
}

void
port_title(const char *role)
{
	setproctitle("%s", role);
}

/* The first executable "folder/name" of PATH, made absolute. */
static int
port_search_path(const char *name, char *path)
{
	const char	*folder = getenv("PATH");
	char		 candidate[PATH_MAX];
	size_t		 len;
	int		 n;

	if (folder == NULL)
		folder = "";
	for (;;) {
		len = strcspn(folder, ":");
		n = snprintf(candidate, sizeof(candidate), "%.*s/%s",
		    len == 0 ? 1 : (int)len, len == 0 ? "." : folder, name);
		if (n > 0 && (size_t)n < sizeof(candidate) &&
		    access(candidate, X_OK) == 0)
			return realpath(candidate, path) == NULL ? -1 : 0;
		if (folder[len] == '\0')
			break;
		folder += len + 1;
	}
	errno = ENOENT;
	return -1;
}

int
port_self_path(const char *argv0, char *path, size_t size)
{
	char	found[PATH_MAX];

	if (strchr(argv0, '/') != NULL) {
		if (realpath(argv0, found) == NULL)
			return -1;
	} else if (port_search_path(argv0, found) == -1)
		return -1;
	if (strlcpy(path, found, size) >= size) {
		errno = ENAMETOOLONG;
		return -1;
	}
	return 0;
}

/* pledge(2) comes last; nothing of it needs root. */
int
port_confine_before(const char **what)
{
	*what = NULL;
	return 0;
}

int
port_confine_after(const char *promises, const char **what)
{
	*what = "pledge";
	return pledge(promises, NULL);
}

/*
 * A promise can't be asked for: a call outside it ends the process, and a
 * pledge(2) that returned 0 is in force.
 */
int
port_confine_verify(const char **what)
{
	*what = NULL;
	return 0;
}

int
port_unveil(const char *const *paths)
{
	const char	*path;
	char		 mode[8];
	size_t		 len;

	for (; *paths != NULL; paths++) {
		len = strcspn(*paths, " ");
		path = *paths + len;
		if (len >= sizeof(mode) || *path == '\0') {
			errno = EINVAL;
			return -1;
		}
		memcpy(mode, *paths, len);
		mode[len] = '\0';
		if (unveil(path + 1, mode) == -1)
			return -1;
	}
	return unveil(NULL, NULL);
}

void
port_closefrom(int lowest)
{
	/* EBADF: nothing is open there. */
	while (closefrom(lowest) == -1 && errno == EINTR)
		continue;
}

void
port_close_all(const int *fds, size_t nfds)
{
	size_t	i;

	for (i = 0; i < nfds; i++)
		(void)close(fds[i]);	/* see port.h */
}

int64_t
port_now_ms(void)
{
	struct timespec	ts;

	/* Can't fail for a clock that the kernel always has. */
	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

int
port_syslog_open(void)
{
	errno = 0;	/* sendsyslog(2) needs no descriptor */
	return -1;
}

int
port_syslog_send(int fd, int priority, const char *tag, const char *text,
    size_t len)
{
	char	record[SYSLOG_MAX];
	int	n;

	(void)fd;
	if ((priority & LOG_FACMASK) == 0)
		priority |= LOG_MAIL;
	if (len > SYSLOG_MAX)
		len = SYSLOG_MAX;
	n = snprintf(record, sizeof(record), "<%d>%s[%ld]: %.*s", priority,
	    tag, (long)getpid(), (int)len, text);
	if (n < 0)
		return -1;
	len = (size_t)n < sizeof(record) ? (size_t)n : sizeof(record) - 1;
	/*
	 * Without a syslogd the kernel keeps the record, counts what it can't
	 * keep, and tells the next syslogd: nothing has to be opened again.
	 */
	if (sendsyslog(record, len, 0) == -1 && errno != ENOTCONN)
		return -1;
	return 0;
}

int
port_park_open(void)
{
	int	queue, saved_errno;

	if ((queue = kqueue()) == -1)
		return -1;
	if (fcntl(queue, F_SETFD, FD_CLOEXEC) == -1) {
		saved_errno = errno;
		(void)close(queue);
		errno = saved_errno;
		return -1;
	}
	return queue;
}

int
port_park_add(int queue, int fd, void *tag)
{
	struct kevent	ev;

	EV_SET(&ev, (uintptr_t)fd, EVFILT_READ, EV_ADD, 0, 0, tag);
	return kevent(queue, &ev, 1, NULL, 0, NULL);
}

int
port_park_del(int queue, int fd)
{
	struct kevent	ev;

	EV_SET(&ev, (uintptr_t)fd, EVFILT_READ, EV_DELETE, 0, 0, NULL);
	return kevent(queue, &ev, 1, NULL, 0, NULL);
}

int
port_park_wait(int queue, void **tags, int n)
{
	static const struct timespec	at_once;
	struct kevent			ev[PARK_WAIT_MAX];
	int				i;

	if (n > PARK_WAIT_MAX)
		n = PARK_WAIT_MAX;
	if ((n = kevent(queue, NULL, 0, ev, n, &at_once)) == -1)
		return 0;	/* EINTR: what is ready stays ready */
	for (i = 0; i < n; i++)
		tags[i] = ev[i].udata;
	return n;
}

const char *
port_ca_file(void)
{
	return "/etc/ssl/cert.pem";
}

/* The time is the system's (sysctl net.inet.tcp.keepidle). */
int
port_set_keepalive(int fd, int idle_s)
{
	int	on = 1;

	(void)idle_s;
	return setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
}

/* --- Interception: pf(4), getsockopt(2) --- */

static int	pf_fd = -1;

int
port_set_bind_any(int fd, int family)
{
	int	on = 1;

	(void)family;
	return setsockopt(fd, SOL_SOCKET, SO_BINDANY, &on, sizeof(on));
}

/* divert-to finds a listener that is bound to its address: nothing to set. */
int
port_set_divert_listener(int fd, int family)
{
	(void)fd;
	(void)family;
	return 0;
}

int
port_set_mark(int fd, uint32_t mark)
{
	(void)fd;
	(void)mark;
	errno = ENOTSUP;	/* pf rules tell by received-on */
	return -1;
}

int
port_nat_open(void)
{
	if (pf_fd == -1)
		pf_fd = open("/dev/pf", O_RDONLY | O_CLOEXEC);
	return pf_fd == -1 ? -1 : 0;
}

/* Address and port in pf's form, which has both families in one union. */
static void
pf_put(struct pf_addr *addr, uint16_t *port, const struct sockaddr *sa)
{
	const struct sockaddr_in	*sin;
	const struct sockaddr_in6	*sin6;

	if (sa->sa_family == AF_INET6) {
		sin6 = (const struct sockaddr_in6 *)(const void *)sa;
		memcpy(addr, &sin6->sin6_addr, sizeof(sin6->sin6_addr));
		*port = sin6->sin6_port;
	} else {
		sin = (const struct sockaddr_in *)(const void *)sa;
		memcpy(addr, &sin->sin_addr, sizeof(sin->sin_addr));
		*port = sin->sin_port;
	}
}

static void
pf_get(struct sockaddr_storage *ss, sa_family_t af,
    const struct pf_addr *addr, uint16_t port)
{
	struct sockaddr_in	*sin = (struct sockaddr_in *)(void *)ss;
	struct sockaddr_in6	*sin6 = (struct sockaddr_in6 *)(void *)ss;

	memset(ss, 0, sizeof(*ss));
	ss->ss_family = af;
	if (af == AF_INET6) {
		ss->ss_len = sizeof(*sin6);
		memcpy(&sin6->sin6_addr, addr, sizeof(sin6->sin6_addr));
		sin6->sin6_port = port;
	} else {
		ss->ss_len = sizeof(*sin);
		memcpy(&sin->sin_addr, addr, sizeof(sin->sin_addr));
		sin->sin_port = port;
	}
}

int
port_nat_lookup(int fd, const struct sockaddr *client,
    const struct sockaddr *local, struct sockaddr_storage *original)
{
	static const uint8_t	directions[] = { PF_IN, PF_OUT };
	struct pfioc_natlook	pnl;
	socklen_t		len = sizeof(int);
	size_t			i;
	int			rtable = 0;

	if (getsockopt(fd, SOL_SOCKET, SO_RTABLE, &rtable, &len) == -1)
		return -1;
	for (i = 0; i < sizeof(directions); i++) {
		memset(&pnl, 0, sizeof(pnl));
		pnl.af = client->sa_family;
		pnl.proto = IPPROTO_TCP;
		pnl.rdomain = (uint16_t)rtable;
		pf_put(&pnl.saddr, &pnl.sport, client);
		pf_put(&pnl.daddr, &pnl.dport, local);
		pnl.direction = directions[i];
		if (ioctl(pf_fd, DIOCNATLOOK, &pnl) == 0) {
			pf_get(original, pnl.af, &pnl.rdaddr, pnl.rdport);
			return 0;
		}
		if (errno != ENOENT)
			return -1;
	}
	return -1;
}

int
port_check_intercept(enum port_intercept kind, const char **what)
{
	switch (kind) {
	case PORT_NAT:
		*what = "/dev/pf can't be opened: start it as root";
		return port_nat_open();
	case PORT_DIVERT_ANY:
		*what = "divert-to finds only a listener that is bound to "
		    "exactly its address: listen on that, as on 127.0.0.1";
		break;
	case PORT_MARK:
		*what = "there are no marks on this system: use received-on "
		    "in pf.conf";
		break;
	default:
		return 0;
	}
	errno = ENOTSUP;
	return -1;
}

/* Recent kernels answer ENOENT for states that are there: see the manual. */
const char *
port_nat_hint(void)
{
	return "nat lookup: pf has no state for it; divert-to is the way on "
	    "this system (listen ... divert, forward to destination)";
}
