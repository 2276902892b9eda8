/*
 * A system without a sandbox that we know: what POSIX has works, so that the
 * program builds, checks a configuration and runs its tests; every process
 * that should be confined fails instead, with the reason.
 */
#include "port.h"

#include <sys/socket.h>

#include <errno.h>
#include <time.h>
#include <unistd.h>

const char *
port_sandbox_name(void)
{
	return "none (this system is not supported)";
}

void
port_title_init(int argc, char *argv[], char *envp[])
{
	(void)argc;
	(void)argv;
	(void)envp;
}

/* As the system does it. */
void
port_settle_memory(void)
{
}

void
port_title(const char *role)
{
	(void)role;
}

static int
port_unsupported(void)
{
	errno = ENOSYS;
	return -1;
}

int
port_self_path(const char *argv0, char *path, size_t size)
{
	(void)argv0;
	(void)path;
	(void)size;
	return port_unsupported();
}

int
port_confine_before(const char **what)
{
	*what = port_sandbox_name();
	return port_unsupported();
}

int
port_confine_after(const char *promises, const char **what)
{
	(void)promises;
	return port_confine_before(what);
}

int
port_confine_verify(const char **what)
{
	return port_confine_before(what);
}

int
port_unveil(const char *const *paths)
{
	(void)paths;
	return port_unsupported();
}

void
port_closefrom(int lowest)
{
	long	fd, end = sysconf(_SC_OPEN_MAX);

	for (fd = lowest; fd < end; fd++)
		(void)close((int)fd);	/* EBADF: not open */
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
	return port_unsupported();
}

int
port_syslog_send(int fd, int priority, const char *tag, const char *text,
    size_t len)
{
	(void)fd;
	(void)priority;
	(void)tag;
	(void)text;
	(void)len;
	return port_unsupported();
}

int
port_park_open(void)
{
	return port_unsupported();	/* the loop polls everything */
}

int
port_park_add(int queue, int fd, void *tag)
{
	(void)queue;
	(void)fd;
	(void)tag;
	return port_unsupported();
}

int
port_park_del(int queue, int fd)
{
	return port_park_add(queue, fd, NULL);
}

int
port_park_wait(int queue, void **tags, int n)
{
	(void)queue;
	(void)tags;
	(void)n;
	return 0;
}

const char *
port_ca_file(void)
{
	return "/etc/ssl/cert.pem";
}

int
port_set_keepalive(int fd, int idle_s)
{
	int	on = 1;

	(void)idle_s;
	return setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
}

int
port_set_divert_listener(int fd, int family)
{
	(void)fd;
	(void)family;
	return port_unsupported();
}

int
port_set_bind_any(int fd, int family)
{
	return port_set_divert_listener(fd, family);
}

int
port_set_mark(int fd, uint32_t mark)
{
	(void)fd;
	(void)mark;
	return port_unsupported();
}

int
port_nat_open(void)
{
	return port_unsupported();
}

int
port_nat_lookup(int fd, const struct sockaddr *client,
    const struct sockaddr *local, struct sockaddr_storage *original)
{
	(void)fd;
	(void)client;
	(void)local;
	(void)original;
	return port_unsupported();
}

int
port_check_intercept(enum port_intercept kind, const char **what)
{
	(void)kind;
	*what = port_sandbox_name();
	return port_unsupported();
}

const char *
port_nat_hint(void)
{
	return "";
}
