/*
 * What the programs for tests and benchmarks share: time, arguments, limits
 * and signals.
 */
#include "tool_util.h"

#include <sys/types.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static int	signal_pipe[2] = { -1, -1 };

int64_t
tool_now_us(void)
{
	struct timespec	ts;

	if (clock_gettime(CLOCK_MONOTONIC, &ts) == -1)
		err(1, "clock_gettime");
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

unsigned int
tool_number(const char *text, unsigned int min, unsigned int max)
{
	const char	*bad;
	long long	 n;

	n = strtonum(text, min, max, &bad);
	if (bad != NULL)
		errx(1, "%s: %s", text, bad);
	return (unsigned int)n;
}

struct addrinfo *
tool_address(const char *address, const char *port, int passive)
{
	struct addrinfo	 hints, *res;
	int		 error;

	memset(&hints, 0, sizeof(hints));
	hints.ai_socktype = SOCK_STREAM;
	hints.ai_flags = AI_NUMERICHOST | (passive ? AI_PASSIVE : 0);
	if ((error = getaddrinfo(address, port, &hints, &res)) != 0)
		errx(1, "%s port %s: %s", address, port, gai_strerror(error));
	return res;
}

void
tool_prepare(void)
{
	struct rlimit	rl;

	if (getrlimit(RLIMIT_NOFILE, &rl) == 0) {
		rl.rlim_cur = rl.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &rl);
	}
	(void)signal(SIGPIPE, SIG_IGN);
}

void
tool_set_nonblocking(int fd)
{
	int	flags;

	if ((flags = fcntl(fd, F_GETFL)) == -1 ||
	    fcntl(fd, F_SETFL, flags | O_NONBLOCK) == -1)
		err(1, "fcntl");
}

static void
on_signal(int sig)
{
	int		saved = errno;
	unsigned char	octet = (unsigned char)sig;

	/* Full, it has said enough. */
	if (write(signal_pipe[1], &octet, 1) == -1)
		errno = saved;
	errno = saved;
}

int
tool_catch_signals(const int *signals)
{
	struct sigaction	sa;

	if (pipe(signal_pipe) == -1)
		err(1, "pipe");
	tool_set_nonblocking(signal_pipe[0]);
	tool_set_nonblocking(signal_pipe[1]);
	memset(&sa, 0, sizeof(sa));
	sa.sa_handler = on_signal;
	for (; *signals != 0; signals++)
		if (sigaction(*signals, &sa, NULL) == -1)
			err(1, "sigaction");
	return signal_pipe[0];
}
