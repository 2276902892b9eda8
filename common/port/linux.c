/*
 * Linux: titles, clock, descriptors, system log, the kernel queue of parked
 * descriptors (epoll).  The sandbox is in linux_sandbox.c.  Used by every
 * process; trusts its callers and the kernel.
 */
#include "port.h"

#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#define DEV_LOG		"/dev/log"
#define SELF_EXE	"/proc/self/exe"
#define SYSLOG_MAX	4096	/* a line of log.c, and what stands in front */
#define PARK_WAIT_MAX	256

void
port_title_init(int argc, char *argv[], char *envp[])
{
	setproctitle_init(argc, argv, envp);
	/* Started as /proc/self/exe, the name would be "exe"; cosmetic. */
	(void)prctl(PR_SET_NAME, "smtpproxyd", 0, 0, 0);
}

#define HEAP_BLOCK	(128 * 1024)	/* larger ones are the system's */
#define HEAP_TOP	(4 * 1024 * 1024)	/* kept at its end */

/* Setting them once is what keeps them from moving (mallopt(3)). */
void
port_settle_memory(void)
{
	(void)mallopt(M_MMAP_THRESHOLD, HEAP_BLOCK);	/* as it was, else */
	(void)mallopt(M_TRIM_THRESHOLD, HEAP_TOP);
}

void
port_title(const char *role)
{
	setproctitle("%s", role);
}

#ifndef SANDBOX_TRACE
int
port_self_path(const char *argv0, char *path, size_t size)
{
	(void)argv0;	/* a relative one fails after chdir(2) */
	if (strlcpy(path, SELF_EXE, size) >= size) {
		errno = ENAMETOOLONG;
		return -1;
	}
	return 0;
}
#else
/* To execve(2) the link is memcheck's own program, to readlink(2) ours. */
int
port_self_path(const char *argv0, char *path, size_t size)
{
	ssize_t	n;

	(void)argv0;
	if ((n = readlink(SELF_EXE, path, size)) == -1)
		return -1;
	if ((size_t)n >= size) {
		errno = ENAMETOOLONG;
		return -1;
	}
	path[n] = '\0';
	return 0;
}
#endif

int
port_unveil(const char *const *paths)
{
	(void)paths;
	return 0;
}

void
port_closefrom(int lowest)
{
	closefrom(lowest);
}

/*
 * The kernel gives the lowest numbers that are free, so what was opened one
 * after the other mostly stands in a row: then it is one system call.
 */
void
port_close_all(const int *fds, size_t nfds)
{
	size_t	i, n;

	for (i = 0; i < nfds; i += n) {
		for (n = 1; i + n < nfds && fds[i + n] == fds[i] + (int)n; n++)
			;
		/* An older kernel has no such call. */
		if (n > 1 && close_range((unsigned int)fds[i],
		    (unsigned int)fds[i + n - 1], 0) == 0)
			continue;
		(void)close(fds[i]);	/* see port.h */
		n = 1;
	}
}

int64_t
port_now_ms(void)
{
	struct timespec	ts;

	/* Can't fail for a clock that the kernel always has. */
	(void)clock_gettime(CLOCK_MONOTONIC_COARSE, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

int
port_syslog_open(void)
{
	struct sockaddr_un	sun;
	int			fd, saved_errno;

	memset(&sun, 0, sizeof(sun));
	sun.sun_family = AF_UNIX;
	(void)strlcpy(sun.sun_path, DEV_LOG, sizeof(sun.sun_path));
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd == -1)
		return -1;
	if (connect(fd, (struct sockaddr *)&sun, sizeof(sun)) == -1) {
		saved_errno = errno;
		(void)close(fd);
		errno = saved_errno;
		return -1;
	}
	return fd;
}

/*
 * No time stamp: syslogd puts its own, and localtime(3) would open a file
 * that is not in the chroot.
 */
int
port_syslog_send(int fd, int priority, const char *tag, const char *text,
    size_t len)
{
	char	record[SYSLOG_MAX];
	int	n;

	if ((priority & LOG_FACMASK) == 0)
		priority |= LOG_MAIL;
	if (len > SYSLOG_MAX)
		len = SYSLOG_MAX;
	n = snprintf(record, sizeof(record), "<%d>%s[%ld]: %.*s", priority,
	    tag, (long)getpid(), (int)len, text);
	if (n < 0)
		return -1;
	len = (size_t)n < sizeof(record) ? (size_t)n : sizeof(record) - 1;
	while (send(fd, record, len, MSG_DONTWAIT | MSG_NOSIGNAL) == -1)
		if (errno != EINTR)
			return -1;
	return 0;
}

int
port_park_open(void)
{
	return epoll_create1(EPOLL_CLOEXEC);
}

int
port_park_add(int queue, int fd, void *tag)
{
	struct epoll_event	ev;

	memset(&ev, 0, sizeof(ev));
	ev.events = EPOLLIN | EPOLLRDHUP;
	ev.data.ptr = tag;
	return epoll_ctl(queue, EPOLL_CTL_ADD, fd, &ev);
}

int
port_park_del(int queue, int fd)
{
	struct epoll_event	unused;

	memset(&unused, 0, sizeof(unused));
	return epoll_ctl(queue, EPOLL_CTL_DEL, fd, &unused);
}

int
port_park_wait(int queue, void **tags, int n)
{
	struct epoll_event	ev[PARK_WAIT_MAX];
	int			i;

	if (n > PARK_WAIT_MAX)
		n = PARK_WAIT_MAX;
	if ((n = epoll_wait(queue, ev, n, 0)) == -1)
		return 0;	/* EINTR: what is ready stays ready */
	for (i = 0; i < n; i++)
		tags[i] = ev[i].data.ptr;
	return n;
}

const char *
port_ca_file(void)
{
	return "/etc/ssl/certs/ca-certificates.crt";
}

int
port_set_keepalive(int fd, int idle_s)
{
	int	on = 1;

	if (setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on)) == -1)
		return -1;
	return setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s,
	    sizeof(idle_s));
}
