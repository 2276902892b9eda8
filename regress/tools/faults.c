/*
 * Faults: calls of the system and of libc that fail when a test says so.
 *
 * Linked into smtpproxyd by `make FAULTS=yes` and by nothing else: the linker
 * puts these functions in front of the real ones (faults.wrap), so that the
 * daemon's own sources know nothing of it.  Linux only.
 *
 * What is to fail stands in a file beside the program, named like it with
 * ".faults" behind, which each process maps as it starts, while it is root
 * and before it has a root directory of its own.  Without the file nothing
 * fails.  The mapping is shared and stays: the test changes the plans while
 * the daemon runs, and reads from the table of sites who called what, how
 * often.  A site is the place that a call returns to, in one role and phase.
 */
#include <sys/types.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "../../common/loop.h"
#include "../../common/port/port.h"

#define FAULTS_MAGIC	0x544c4146	/* in the order of this machine */
#define PLANS		8
#define SITES		2048		/* power of 2 */
#define SHORT		9999		/* no errno: one octet, or one message,
					 * is taken */
#define SYMBOL_MAX	16

/* t_inject.py knows these by their offsets. */
struct plan {
	uint32_t	is_armed;	/* written last */
	int32_t		error;
	uint64_t	site;
	uint32_t	nth;		/* of the calls since it was armed */
	uint32_t	times;
	uint32_t	nseen;
	uint32_t	ndone;
	uint64_t	unused[4];
};

struct site {
	uint64_t	key;		/* 0: free */
	uint64_t	ncalls;
	uint64_t	nfailed;
	char		symbol[SYMBOL_MAX];
	uint64_t	unused[3];
};

struct faults {
	uint32_t	magic;
	uint32_t	unused;
	int64_t		real_ms;	/* added to what the clocks say */
	int64_t		monotonic_ms;
	uint64_t	more[5];
	struct plan	plan[PLANS];
	struct site	site[SITES];
};

enum { ROLE_PARENT = 1, ROLE_WORKER, ROLE_LOGGER, ROLE_OTHER };
enum { PHASE_START, PHASE_SERVICE, PHASE_STOP };

extern const char	__executable_start[];

static struct faults	*faults;
static uint64_t		 role = ROLE_OTHER;
static uint64_t		 phase = PHASE_START;

#define CALLER		__builtin_return_address(0)

/* The real ones, and those in front of them. */
int	 __real_accept4(int, struct sockaddr *, socklen_t *, int);
int	 __wrap_accept4(int, struct sockaddr *, socklen_t *, int);
int	 __real_bind(int, const struct sockaddr *, socklen_t);
int	 __wrap_bind(int, const struct sockaddr *, socklen_t);
void	*__real_calloc(size_t, size_t);
void	*__wrap_calloc(size_t, size_t);
int	 __real_clock_gettime(clockid_t, struct timespec *);
int	 __wrap_clock_gettime(clockid_t, struct timespec *);
int	 __real_close_range(unsigned int, unsigned int, int);
int	 __wrap_close_range(unsigned int, unsigned int, int);
int	 __real_connect(int, const struct sockaddr *, socklen_t);
int	 __wrap_connect(int, const struct sockaddr *, socklen_t);
int	 __real_dup(int);
int	 __wrap_dup(int);
int	 __real_dup2(int, int);
int	 __wrap_dup2(int, int);
int	 __real_epoll_create1(int);
int	 __wrap_epoll_create1(int);
int	 __real_epoll_ctl(int, int, int, struct epoll_event *);
int	 __wrap_epoll_ctl(int, int, int, struct epoll_event *);
int	 __real_epoll_wait(int, struct epoll_event *, int, int);
int	 __wrap_epoll_wait(int, struct epoll_event *, int, int);
int	 __real_fcntl(int, int, long);
int	 __wrap_fcntl(int, int, long);
pid_t	 __real_fork(void);
pid_t	 __wrap_fork(void);
int	 __real_getsockname(int, struct sockaddr *, socklen_t *);
int	 __wrap_getsockname(int, struct sockaddr *, socklen_t *);
int	 __real_getsockopt(int, int, int, void *, socklen_t *);
int	 __wrap_getsockopt(int, int, int, void *, socklen_t *);
int	 __real_listen(int, int);
int	 __wrap_listen(int, int);
int	 __real_loop_run(struct loop *);
int	 __wrap_loop_run(struct loop *);
void	*__real_malloc(size_t);
void	*__wrap_malloc(size_t);
int	 __real_open(const char *, int, ...);
int	 __wrap_open(const char *, int, ...);
int	 __real_pipe2(int *, int);
int	 __wrap_pipe2(int *, int);
int	 __real_poll(struct pollfd *, nfds_t, int);
int	 __wrap_poll(struct pollfd *, nfds_t, int);
const char *__real_port_sandbox_name(void);
const char *__wrap_port_sandbox_name(void);
ssize_t	 __real_read(int, void *, size_t);
ssize_t	 __wrap_read(int, void *, size_t);
void	*__real_reallocarray(void *, size_t, size_t);
void	*__wrap_reallocarray(void *, size_t, size_t);
void	*__real_recallocarray(void *, size_t, size_t, size_t);
void	*__wrap_recallocarray(void *, size_t, size_t, size_t);
ssize_t	 __real_recv(int, void *, size_t, int);
ssize_t	 __wrap_recv(int, void *, size_t, int);
int	 __real_recvmmsg(int, struct mmsghdr *, unsigned int, int,
	    struct timespec *);
int	 __wrap_recvmmsg(int, struct mmsghdr *, unsigned int, int,
	    struct timespec *);
ssize_t	 __real_recvmsg(int, struct msghdr *, int);
ssize_t	 __wrap_recvmsg(int, struct msghdr *, int);
ssize_t	 __real_send(int, const void *, size_t, int);
ssize_t	 __wrap_send(int, const void *, size_t, int);
int	 __real_sendmmsg(int, struct mmsghdr *, unsigned int, int);
int	 __wrap_sendmmsg(int, struct mmsghdr *, unsigned int, int);
ssize_t	 __real_sendmsg(int, const struct msghdr *, int);
ssize_t	 __wrap_sendmsg(int, const struct msghdr *, int);
int	 __real_setsockopt(int, int, int, const void *, socklen_t);
int	 __wrap_setsockopt(int, int, int, const void *, socklen_t);
int	 __real_shutdown(int, int);
int	 __wrap_shutdown(int, int);
int	 __real_socket(int, int, int);
int	 __wrap_socket(int, int, int);
int	 __real_socketpair(int, int, int, int *);
int	 __wrap_socketpair(int, int, int, int *);
time_t	 __real_time(time_t *);
time_t	 __wrap_time(time_t *);
pid_t	 __real_waitpid(pid_t, int *, int);
pid_t	 __wrap_waitpid(pid_t, int *, int);
ssize_t	 __real_write(int, const void *, size_t);
ssize_t	 __wrap_write(int, const void *, size_t);
ssize_t	 __real_writev(int, const struct iovec *, int);
ssize_t	 __wrap_writev(int, const struct iovec *, int);

static void	faults_open(int, char *[]) __attribute__((constructor));

static uint64_t
role_of(int argc, char *argv[])
{
	int	i;

	for (i = 1; i + 1 < argc; i++) {
		if (strcmp(argv[i], "-P") != 0)
			continue;
		if (strcmp(argv[i + 1], "worker") == 0)
			return ROLE_WORKER;
		if (strcmp(argv[i + 1], "logger") == 0)
			return ROLE_LOGGER;
		return ROLE_OTHER;
	}
	return ROLE_PARENT;
}

/* glibc hands main()'s arguments to constructors too. */
static void
faults_open(int argc, char *argv[])
{
	static const char	 suffix[] = ".faults";
	char			 path[PATH_MAX];
	struct stat		 sb;
	ssize_t			 n;
	void			*map;
	int			 fd;

	n = readlink("/proc/self/exe", path, sizeof(path) - sizeof(suffix));
	if (n <= 0)
		return;
	memcpy(path + n, suffix, sizeof(suffix));
	if ((fd = open(path, O_RDWR | O_CLOEXEC)) == -1)
		return;
	map = MAP_FAILED;
	if (fstat(fd, &sb) == 0 && sb.st_size == sizeof(*faults))
		map = mmap(NULL, sizeof(*faults), PROT_READ | PROT_WRITE,
		    MAP_SHARED, fd, 0);
	(void)close(fd);		/* the mapping stays */
	if (map == MAP_FAILED || ((struct faults *)map)->magic != FAULTS_MAGIC)
		_exit(125);		/* no test may pass without its plan */
	role = role_of(argc, argv);
	faults = map;
}

static struct site *
site_of(uint64_t key, const char *symbol)
{
	struct site	*s;
	uint64_t	 none;
	size_t		 i;

	for (i = 0; i < SITES; i++) {
		s = &faults->site[(key * 2654435761U + i) & (SITES - 1)];
		none = 0;
		/* Of those that come first at once, one enters it. */
		if (s->key == 0 && __atomic_compare_exchange_n(&s->key, &none,
		    key, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
			(void)strlcpy(s->symbol, symbol, sizeof(s->symbol));
		if (s->key == key)
			return s;
	}
	_exit(125);			/* the table is full */
}

/*
 * Count a call, and see whether it is to fail.
 *   returns   0, or the error, which errno has too
 */
static int
fault(const char *symbol, const void *caller)
{
	struct site	*s;
	struct plan	*p;
	uint64_t	 key;
	uint32_t	 n;

	if (faults == NULL)
		return 0;
	key = role << 56 | phase << 48 | (uint64_t)((uintptr_t)caller -
	    (uintptr_t)__executable_start);
	s = site_of(key, symbol);
	(void)__atomic_add_fetch(&s->ncalls, 1, __ATOMIC_SEQ_CST);
	for (p = faults->plan; p < faults->plan + PLANS; p++) {
		if (!__atomic_load_n(&p->is_armed, __ATOMIC_SEQ_CST) ||
		    p->site != key)
			continue;
		n = __atomic_add_fetch(&p->nseen, 1, __ATOMIC_SEQ_CST);
		if (n < p->nth || n - p->nth >= p->times)
			continue;
		(void)__atomic_add_fetch(&p->ndone, 1, __ATOMIC_SEQ_CST);
		(void)__atomic_add_fetch(&s->nfailed, 1, __ATOMIC_SEQ_CST);
		errno = p->error;
		return p->error;
	}
	return 0;
}

/* --- What is no fault: the build's name, phases, clocks --- */

const char *
__wrap_port_sandbox_name(void)
{
	static char	name[64];

	(void)snprintf(name, sizeof(name), "%s (faults build)",
	    __real_port_sandbox_name());
	return name;
}

int
__wrap_loop_run(struct loop *l)
{
	int	rc;

	phase = PHASE_SERVICE;
	rc = __real_loop_run(l);
	phase = PHASE_STOP;
	return rc;
}

int
__wrap_clock_gettime(clockid_t id, struct timespec *ts)
{
	int64_t	add_ms = 0;

	if (__real_clock_gettime(id, ts) == -1)
		return -1;
	if (faults != NULL && (id == CLOCK_MONOTONIC ||
	    id == CLOCK_MONOTONIC_COARSE || id == CLOCK_BOOTTIME))
		add_ms = faults->monotonic_ms;
	else if (faults != NULL)
		add_ms = faults->real_ms;
	ts->tv_sec += (time_t)(add_ms / 1000);
	ts->tv_nsec += (long)(add_ms % 1000) * 1000000;
	if (ts->tv_nsec >= 1000000000) {
		ts->tv_sec++;
		ts->tv_nsec -= 1000000000;
	} else if (ts->tv_nsec < 0) {
		ts->tv_sec--;
		ts->tv_nsec += 1000000000;
	}
	return 0;
}

time_t
__wrap_time(time_t *t)
{
	time_t	now = __real_time(NULL);

	if (faults != NULL)
		now += (time_t)(faults->real_ms / 1000);
	if (t != NULL)
		*t = now;
	return now;
}

/* --- Memory --- */

void *
__wrap_malloc(size_t size)
{
	if (fault("malloc", CALLER) != 0)
		return NULL;
	return __real_malloc(size);
}

void *
__wrap_calloc(size_t n, size_t size)
{
	if (fault("calloc", CALLER) != 0)
		return NULL;
	return __real_calloc(n, size);
}

void *
__wrap_reallocarray(void *p, size_t n, size_t size)
{
	if (fault("reallocarray", CALLER) != 0)
		return NULL;
	return __real_reallocarray(p, n, size);
}

void *
__wrap_recallocarray(void *p, size_t old, size_t n, size_t size)
{
	if (fault("recallocarray", CALLER) != 0)
		return NULL;
	return __real_recallocarray(p, old, n, size);
}

/* --- Descriptors --- */

int
__wrap_open(const char *path, int flags, ...)
{
	va_list	ap;
	int	mode = 0;

	if (fault("open", CALLER) != 0)
		return -1;
	if (flags & O_CREAT) {
		va_start(ap, flags);
		mode = va_arg(ap, int);
		va_end(ap);
	}
	return __real_open(path, flags, mode);
}

int
__wrap_dup(int fd)
{
	return fault("dup", CALLER) != 0 ? -1 : __real_dup(fd);
}

int
__wrap_dup2(int fd, int to)
{
	return fault("dup2", CALLER) != 0 ? -1 : __real_dup2(fd, to);
}

/* The third argument, if there is one, fits a register. */
int
__wrap_fcntl(int fd, int what, long arg)
{
	return fault("fcntl", CALLER) != 0 ? -1 : __real_fcntl(fd, what, arg);
}

int
__wrap_pipe2(int *fd, int flags)
{
	return fault("pipe2", CALLER) != 0 ? -1 : __real_pipe2(fd, flags);
}

int
__wrap_close_range(unsigned int first, unsigned int last, int flags)
{
	if (fault("close_range", CALLER) != 0)
		return -1;
	return __real_close_range(first, last, flags);
}

int
__wrap_epoll_create1(int flags)
{
	if (fault("epoll_create1", CALLER) != 0)
		return -1;
	return __real_epoll_create1(flags);
}

int
__wrap_epoll_ctl(int queue, int what, int fd, struct epoll_event *ev)
{
	if (fault("epoll_ctl", CALLER) != 0)
		return -1;
	return __real_epoll_ctl(queue, what, fd, ev);
}

int
__wrap_epoll_wait(int queue, struct epoll_event *ev, int n, int ms)
{
	if (fault("epoll_wait", CALLER) != 0)
		return -1;
	return __real_epoll_wait(queue, ev, n, ms);
}

int
__wrap_poll(struct pollfd *set, nfds_t n, int ms)
{
	return fault("poll", CALLER) != 0 ? -1 : __real_poll(set, n, ms);
}

ssize_t
__wrap_read(int fd, void *to, size_t len)
{
	return fault("read", CALLER) != 0 ? -1 : __real_read(fd, to, len);
}

/* The first octet alone, where all are to be sent. */
static size_t
short_of(int error, size_t len)
{
	return error == SHORT && len > 1 ? 1 : len;
}

ssize_t
__wrap_write(int fd, const void *from, size_t len)
{
	int	error = fault("write", CALLER);

	if (error != 0 && error != SHORT)
		return -1;
	return __real_write(fd, from, short_of(error, len));
}

ssize_t
__wrap_writev(int fd, const struct iovec *iov, int n)
{
	int	error = fault("writev", CALLER);

	if (error == SHORT)
		return __real_write(fd, iov[0].iov_base,
		    short_of(error, iov[0].iov_len));
	return error != 0 ? -1 : __real_writev(fd, iov, n);
}

/* --- Processes --- */

pid_t
__wrap_fork(void)
{
	return fault("fork", CALLER) != 0 ? -1 : __real_fork();
}

pid_t
__wrap_waitpid(pid_t pid, int *status, int options)
{
	if (fault("waitpid", CALLER) != 0)
		return -1;
	return __real_waitpid(pid, status, options);
}

/* --- Sockets --- */

int
__wrap_socket(int domain, int type, int protocol)
{
	if (fault("socket", CALLER) != 0)
		return -1;
	return __real_socket(domain, type, protocol);
}

int
__wrap_socketpair(int domain, int type, int protocol, int *fd)
{
	if (fault("socketpair", CALLER) != 0)
		return -1;
	return __real_socketpair(domain, type, protocol, fd);
}

int
__wrap_bind(int fd, const struct sockaddr *sa, socklen_t len)
{
	return fault("bind", CALLER) != 0 ? -1 : __real_bind(fd, sa, len);
}

int
__wrap_listen(int fd, int n)
{
	return fault("listen", CALLER) != 0 ? -1 : __real_listen(fd, n);
}

int
__wrap_accept4(int fd, struct sockaddr *sa, socklen_t *len, int flags)
{
	if (fault("accept4", CALLER) != 0)
		return -1;
	return __real_accept4(fd, sa, len, flags);
}

int
__wrap_connect(int fd, const struct sockaddr *sa, socklen_t len)
{
	return fault("connect", CALLER) != 0 ? -1 : __real_connect(fd, sa, len);
}

int
__wrap_getsockname(int fd, struct sockaddr *sa, socklen_t *len)
{
	if (fault("getsockname", CALLER) != 0)
		return -1;
	return __real_getsockname(fd, sa, len);
}

int
__wrap_getsockopt(int fd, int level, int name, void *to, socklen_t *len)
{
	if (fault("getsockopt", CALLER) != 0)
		return -1;
	return __real_getsockopt(fd, level, name, to, len);
}

int
__wrap_setsockopt(int fd, int level, int name, const void *from,
    socklen_t len)
{
	if (fault("setsockopt", CALLER) != 0)
		return -1;
	return __real_setsockopt(fd, level, name, from, len);
}

int
__wrap_shutdown(int fd, int how)
{
	return fault("shutdown", CALLER) != 0 ? -1 : __real_shutdown(fd, how);
}

ssize_t
__wrap_recv(int fd, void *to, size_t len, int flags)
{
	int	error = fault("recv", CALLER);

	if (error != 0 && error != SHORT)
		return -1;
	return __real_recv(fd, to, short_of(error, len), flags);
}

ssize_t
__wrap_recvmsg(int fd, struct msghdr *m, int flags)
{
	return fault("recvmsg", CALLER) != 0 ? -1 :
	    __real_recvmsg(fd, m, flags);
}

int
__wrap_recvmmsg(int fd, struct mmsghdr *v, unsigned int n, int flags,
    struct timespec *timeout)
{
	if (fault("recvmmsg", CALLER) != 0)
		return -1;
	return __real_recvmmsg(fd, v, n, flags, timeout);
}

ssize_t
__wrap_send(int fd, const void *from, size_t len, int flags)
{
	int	error = fault("send", CALLER);

	if (error != 0 && error != SHORT)
		return -1;
	return __real_send(fd, from, short_of(error, len), flags);
}

/* Short: the first message alone. */
int
__wrap_sendmmsg(int fd, struct mmsghdr *v, unsigned int n, int flags)
{
	int	error = fault("sendmmsg", CALLER);

	if (error != 0 && error != SHORT)
		return -1;
	return __real_sendmmsg(fd, v, error == SHORT ? 1 : n, flags);
}

/* Whole or not at all: nothing sends a stream with it. */
ssize_t
__wrap_sendmsg(int fd, const struct msghdr *m, int flags)
{
	return fault("sendmsg", CALLER) != 0 ? -1 :
	    __real_sendmsg(fd, m, flags);
}
