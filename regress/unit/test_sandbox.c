/*
 * Tests of the drop and the sandbox: for each set of promises that a row may
 * have, what is promised works, and every attempt at anything else is the end
 * of the process.  The kernel is asked from outside what it holds it to.
 */
#include <sys/types.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "../../common/log.h"
#include "../../common/port/port.h"
#include "../../privsep/proc.h"
#include "sandbox_linux.h"

#define NROWS(a)	((int)(sizeof(a) / sizeof((a)[0])))
#define NOBODY		65534
#define WORKED		10	/* exit status of an attempt */
#define FAILED		11

/* The sets of promises, and which rows have them. */
enum set {
	WORKER = 0,		/* logger and keyholder likewise */
	RESOLVER,
	CONTROL,
	RESOLVE,
	KEYCHECK,
	SETS
};
#define S(set)	(1U << (set))
#define NONE	0U
#define EACH	(S(SETS) - 1)

/* Under memcheck a hard limit of descriptors can't be lowered. */
#ifdef SANDBOX_TRACE
#define FEW_FILES	0
#else
#define FEW_FILES	100
#endif

static const struct proc_row	rows[SETS] = {
	[WORKER] = { .role = PROC_WORKER, .name = "worker",
	    .user = USER_CONF, .root = ROOT_CONF,
	    .promises = "stdio recvfd", .max_files = FEW_FILES },
	[RESOLVER] = { .role = PROC_WORKER, .name = "resolver",
	    .user = USER_CONF, .root = ROOT_CONF,
	    .promises = "stdio inet recvfd" },
	[CONTROL] = { .role = PROC_WORKER, .name = "control",
	    .user = USER_CONF, .root = ROOT_CONF,
	    .promises = "stdio unix recvfd" },
	[RESOLVE] = { .role = PROC_RESOLVE, .name = "resolve",
	    .user = USER_CONF, .promises = "stdio rpath inet dns" },
	[KEYCHECK] = { .role = PROC_KEYCHECK, .name = "keycheck",
	    .user = USER_CONF, .promises = "stdio" }
};

static struct proc_identity	identity;
static char			root[] = "/tmp/test_sandbox.XXXXXX";
/* Made before the drop, as a parent would pass them. */
static pid_t			sibling;
static int			pair[2], tcp, listener, local, terminal;

/* --- What stdio promises --- */

static int
try_memory(void)
{
	void	*small, *big, *p;

	if ((small = malloc(8 * 1024 * 1024)) == NULL)
		return -1;
	if ((big = realloc(small, 32 * 1024 * 1024)) == NULL) {
		free(small);
		return -1;
	}
	memset(big, 1, 32 * 1024 * 1024);
	free(big);
	p = mmap(NULL, 65536, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANON, -1, 0);
	if (p == MAP_FAILED || mprotect(p, 65536, PROT_READ) == -1)
		return -1;
	return munmap(p, 65536);
}

static int
compare(const void *a, const void *b)
{
	return memcmp(a, b, 64);
}

/* Large enough for qsort(3) to ask how much memory there is. */
static int
try_library(void)
{
	static char	many[4096][64];
	struct timespec	ts;
	struct tm	tm;
	time_t		now = time(NULL);
	char		text[256];
	size_t		i;

	for (i = 0; i < 4096; i++)
		arc4random_buf(many[i], sizeof(many[i]));
	qsort(many, 4096, 64, compare);
	if (clock_gettime(CLOCK_REALTIME, &ts) == -1 ||
	    gmtime_r(&now, &tm) == NULL || localtime_r(&now, &tm) == NULL ||
	    strftime(text, sizeof(text), "%c", &tm) == 0)
		return -1;
	(void)snprintf(text, sizeof(text), "%s %.3f %ld", strerror(EPERM),
	    1.5, (long)getpid());
	(void)fprintf(stderr, "%s", "");
	return port_now_ms() > 0 ? 0 : -1;
}

static int
try_sockets(void)
{
	struct pollfd	pfd;
	socklen_t	len = sizeof(int);
	struct stat	sb;
	char		octet = 'x';
	int		n, on = 1;

	if (send(pair[0], &octet, 1, MSG_NOSIGNAL) != 1 ||
	    write(pair[0], &octet, 1) != 1)
		return -1;
	pfd.fd = pair[1];
	pfd.events = POLLIN;
	if (poll(&pfd, 1, 1000) != 1 || ioctl(pair[1], FIONREAD, &n) == -1 ||
	    recv(pair[1], &octet, 1, 0) != 1 || read(pair[1], &octet, 1) != 1)
		return -1;
	if (setsockopt(tcp, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) == -1 ||
	    getsockopt(tcp, SOL_SOCKET, SO_ERROR, &n, &len) == -1 ||
	    fcntl(tcp, F_SETFL, fcntl(tcp, F_GETFL) | O_NONBLOCK) == -1 ||
	    fstat(tcp, &sb) == -1)
		return -1;
	/* The sockets are shared by all that try: one not connected. */
	if (shutdown(tcp, SHUT_WR) == -1 && errno != ENOTCONN)
		return -1;
	return close(pair[0]);
}

static int
try_pass(void)
{
	union {
		struct cmsghdr	hdr;
		char		room[CMSG_SPACE(sizeof(int))];
	} control;
	struct cmsghdr	*c;
	struct msghdr	 mh;
	struct iovec	 iov;
	char		 octet = 'x';

	memset(&mh, 0, sizeof(mh));
	memset(&control, 0, sizeof(control));
	iov.iov_base = &octet;
	iov.iov_len = 1;
	mh.msg_iov = &iov;
	mh.msg_iovlen = 1;
	mh.msg_control = control.room;
	mh.msg_controllen = sizeof(control.room);
	c = CMSG_FIRSTHDR(&mh);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &tcp, sizeof(int));
	if (sendmsg(pair[0], &mh, 0) != 1)
		return -1;
	mh.msg_controllen = sizeof(control.room);
	if (recvmsg(pair[1], &mh, 0) != 1 || mh.msg_controllen == 0)
		return -1;
	return 0;
}

/* --- What rpath, inet, unix and dns promise --- */

static int
open_as(const char *path, int flags)
{
	return open(path, flags, 0600) == -1 ? -1 : 0;
}

static int
try_open(void)
{
	return open_as("/etc/passwd", O_RDONLY);
}

static int
try_open_write(void)
{
	return open_as("/tmp/test_sandbox.file", O_WRONLY | O_CREAT);
}

static int
try_open_truncate(void)
{
	return open_as("/etc/passwd", O_RDONLY | O_TRUNC);
}

static int
try_stat(void)
{
	struct stat	sb;

	return stat("/etc/passwd", &sb);
}

static int
try_unlink(void)
{
	return unlink("/tmp/test_sandbox.file");
}

static int
try_chmod(void)
{
	return chmod("/tmp", 01777);
}

static int
socket_of(int family, int type)
{
	return socket(family, type, 0) == -1 ? -1 : 0;
}

static int
try_inet(void)
{
	return socket_of(AF_INET, SOCK_STREAM);
}

static int
try_inet6(void)
{
	return socket_of(AF_INET6, SOCK_DGRAM);
}

static int
try_unix(void)
{
	return socket_of(AF_UNIX, SOCK_STREAM);
}

static int
try_connect(void)
{
	struct sockaddr_in	sin;
	socklen_t		len = sizeof(sin);

	memset(&sin, 0, sizeof(sin));
	sin.sin_family = AF_INET;
	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	sin.sin_port = htons(1);
	if (connect(tcp, (struct sockaddr *)&sin, len) == -1 &&
	    errno != ECONNREFUSED)
		return -1;
	return 0;
}

static int
try_bind(void)
{
	struct sockaddr_in	sin;

	memset(&sin, 0, sizeof(sin));
	sin.sin_family = AF_INET;
	if (bind(tcp, (struct sockaddr *)&sin, sizeof(sin)) == -1 &&
	    errno != EINVAL)	/* one before us has done it */
		return -1;
	return 0;
}

static int
try_listen(void)
{
	return listen(listener, 1);
}

static int
try_accept(void)
{
	if (accept4(local, NULL, NULL, SOCK_NONBLOCK) == -1 &&
	    errno != EAGAIN)
		return -1;
	return 0;
}

/* Local names, and one that nobody has: an answer, or none, but no death. */
static int
try_names(void)
{
	struct addrinfo	hints, *ai = NULL;
	int		rc;

	memset(&hints, 0, sizeof(hints));
	hints.ai_socktype = SOCK_STREAM;
	rc = getaddrinfo("localhost", "25", &hints, &ai);
	if (rc == 0)
		freeaddrinfo(ai);
	hints.ai_flags = AI_ADDRCONFIG;
	if (getaddrinfo("no-such-name.invalid", NULL, &hints, &ai) == 0)
		freeaddrinfo(ai);
	return rc == 0 ? 0 : -1;
}

/* --- What nothing promises --- */

static int
try_exec(void)
{
	return execl("/bin/sh", "sh", "-c", "exit 10", (char *)NULL);
}

static int
try_fork(void)
{
	pid_t	pid;

	if ((pid = fork()) == 0)
		_exit(0);
	return pid == -1 ? -1 : 0;
}

static int
try_kill(void)
{
	return kill(sibling, 0);
}

static int
try_kill_dead(void)
{
	return kill(sibling, SIGKILL);
}

static int
try_kill_all(void)
{
	return kill(-1, 0);
}

static int
try_setuid(void)
{
	return setuid(0);
}

static int
try_chroot(void)
{
	return chroot(".");
}

static int
try_terminal(void)
{
	static char	key = 'x';

	return ioctl(terminal, TIOCSTI, &key);
}

static int
try_window(void)
{
	struct winsize	ws;

	return ioctl(terminal, TIOCGWINSZ, &ws);
}

static int
try_code(void)
{
	return mmap(NULL, 4096, PROT_READ | PROT_EXEC,
	    MAP_PRIVATE | MAP_ANON, -1, 0) == MAP_FAILED ? -1 : 0;
}

static int
try_make_code(void)
{
	void	*p;

	p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANON,
	    -1, 0);
	if (p == MAP_FAILED)
		return 0;		/* that is allowed: the test fails */
	return mprotect(p, 4096, PROT_READ | PROT_EXEC);
}

static int
try_linger(void)
{
	struct linger	l = { 1, 0 };

	return setsockopt(tcp, SOL_SOCKET, SO_LINGER, &l, sizeof(l));
}

static int
try_dup(void)
{
	return fcntl(tcp, F_DUPFD, 0) == -1 ? -1 : 0;
}

static int
try_own(void)
{
	return fcntl(tcp, F_SETOWN, sibling);
}

static int
try_limit(void)
{
	struct rlimit	rl;

	return getrlimit(RLIMIT_NOFILE, &rl);
}

static int
try_priority(void)
{
	return setpriority(PRIO_PROCESS, (id_t)sibling, 10);
}

static int
try_pipe(void)
{
	int	fd[2];

	return pipe(fd);
}

static const struct attempt	attempts[] = {
	{ "memory",		try_memory,		EACH },
	{ "library",		try_library,		EACH },
	{ "sockets",		try_sockets,		EACH },
	{ "passing",		try_pass,		EACH },
	{ "open",		try_open,		S(RESOLVE) },
	{ "stat",		try_stat,		S(RESOLVE) },
	{ "open to write",	try_open_write,		NONE },
	{ "open and truncate",	try_open_truncate,	NONE },
	{ "unlink",		try_unlink,		NONE },
	{ "chmod",		try_chmod,		NONE },
	{ "socket inet",	try_inet,	S(RESOLVER) | S(RESOLVE) },
	{ "socket inet6",	try_inet6,	S(RESOLVER) | S(RESOLVE) },
	{ "socket unix",	try_unix,	S(CONTROL) | S(RESOLVE) },
	{ "connect",		try_connect,
	    S(RESOLVER) | S(CONTROL) | S(RESOLVE) },
	{ "bind",		try_bind,
	    S(RESOLVER) | S(CONTROL) | S(RESOLVE) },
	{ "listen",		try_listen,		NONE },
	{ "accept",		try_accept,
	    S(RESOLVER) | S(CONTROL) | S(RESOLVE) },
	{ "names",		try_names,		S(RESOLVE) },
	{ "exec",		try_exec,		NONE },
	{ "fork",		try_fork,		NONE },
	{ "kill 0",		try_kill,		NONE },
	{ "kill -9",		try_kill_dead,		NONE },
	{ "kill all",		try_kill_all,		NONE },
	{ "setuid",		try_setuid,		NONE },
	{ "chroot",		try_chroot,		NONE },
	{ "TIOCSTI",		try_terminal,		NONE },
	{ "TIOCGWINSZ",		try_window,		NONE },
	{ "code",		try_code,	S(RESOLVE) },
	{ "memory to code",	try_make_code,	S(RESOLVE) },
	{ "SO_LINGER",		try_linger,
	    S(RESOLVER) | S(RESOLVE) },
	{ "dup",		try_dup,		NONE },
	{ "F_SETOWN",		try_own,		NONE },
	{ "getrlimit",		try_limit,		NONE },
	{ "setpriority",	try_priority,		NONE },
	{ "pipe",		try_pipe,		NONE }
};

/* --- Running them --- */

static void
make_sibling(void)
{
	if ((sibling = fork()) != 0) {
		ck_assert_int_ne(sibling, -1);
		sandbox_sibling = sibling;
		return;
	}
	if (geteuid() == 0 && (setresgid(NOBODY, NOBODY, NOBODY) == -1 ||
	    setresuid(NOBODY, NOBODY, NOBODY) == -1))
		_exit(1);
	for (;;)
		(void)pause();
}

static void
set_up(void)
{
	struct sockaddr_un	sun;

	log_init("test_sandbox", 0);
	if (geteuid() == 0) {
		ck_assert_ptr_nonnull(mkdtemp(root));
		ck_assert_int_eq(chmod(root, 0755), 0);
		identity.uid = identity.gid = NOBODY;
	}
	make_sibling();
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	ck_assert_int_ne(tcp = socket(AF_INET, SOCK_STREAM, 0), -1);
	ck_assert_int_ne(listener = socket(AF_INET, SOCK_STREAM, 0), -1);
	ck_assert_int_ne(local = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK,
	    0), -1);
	memset(&sun, 0, sizeof(sun));
	sun.sun_family = AF_UNIX;
	(void)snprintf(sun.sun_path, sizeof(sun.sun_path),
	    "/tmp/test_sandbox.%ld", (long)getpid());
	ck_assert_int_eq(bind(local, (struct sockaddr *)&sun, sizeof(sun)),
	    0);
	ck_assert_int_eq(listen(local, 1), 0);
	(void)unlink(sun.sun_path);
	terminal = posix_openpt(O_RDWR | O_NOCTTY);
	ck_assert_int_ne(terminal, -1);
	tzset();			/* as proc_child_start() does */
}

static void
tear_down(void)
{
	int	status;

	/* Whatever was tried, it lives. */
	ck_assert_int_eq(waitpid(sibling, &status, WNOHANG), 0);
	ck_assert_int_eq(kill(sibling, SIGKILL), 0);
	ck_assert_int_eq(waitpid(sibling, &status, 0), sibling);
	if (geteuid() == 0)
		(void)rmdir(root);
}

static void
drop(enum set set)
{
	if (geteuid() == 0)
		(void)strlcpy(identity.chroot, rows[set].root == NULL ? "" :
		    root, sizeof(identity.chroot));
	proc_drop(&rows[set], geteuid() == 0 ? &identity : NULL);
}

/* In a process that has dropped; its wait status. */
static int
run(enum set set, int (*fn)(void))
{
	pid_t	pid;
	int	status;

	ck_assert_int_ne(pid = fork(), -1);
	if (pid == 0) {
		drop(set);
		_exit(fn() == 0 ? WORKED : FAILED);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_msg(!WIFEXITED(status) || WEXITSTATUS(status) != 1,
	    "the drop itself failed");
	return status;
}

static int
is_killed(int status)
{
	/* By seccomp, or by pledge. */
	return WIFSIGNALED(status) && (WTERMSIG(status) == SIGSYS ||
	    WTERMSIG(status) == SIGABRT);
}

static void
check_attempt(const struct attempt *a)
{
	unsigned int	set;
	int		status;

	for (set = 0; set < SETS; set++) {
		status = run((enum set)set, a->fn);
		if (a->allowed & S(set))
			ck_assert_msg(WIFEXITED(status) &&
			    WEXITSTATUS(status) == WORKED,
			    "%s: %s does not work: status %#x",
			    rows[set].name, a->name, (unsigned int)status);
		else
			ck_assert_msg(is_killed(status),
			    "%s: %s: status %#x", rows[set].name, a->name,
			    (unsigned int)status);
	}
}

START_TEST(each)
{
	check_attempt(&attempts[_i]);
}
END_TEST

START_TEST(each_of_linux)
{
	check_attempt(&sandbox_linux[_i]);
}
END_TEST

/* abort(3) needs a signal to oneself, and gets it. */
static int
try_abort(void)
{
	abort();
}

START_TEST(aborts)
{
	int	status = run((enum set)_i, try_abort);

	ck_assert(WIFSIGNALED(status));
	ck_assert_int_eq(WTERMSIG(status), SIGABRT);
	ck_assert(!WCOREDUMP(status));
}
END_TEST

/* --- As seen from outside --- */

static pid_t
run_paused(enum set set)
{
	char	octet;
	pid_t	pid;
	int	ready[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, ready), 0);
	ck_assert_int_ne(pid = fork(), -1);
	if (pid == 0) {
		drop(set);
		if (write(ready[1], "x", 1) != 1)
			_exit(FAILED);
		_exit(read(ready[1], &octet, 1) == 0 ? WORKED : FAILED);
	}
	(void)close(ready[1]);
	ck_assert_int_eq(read(ready[0], &octet, 1), 1);
	return pid;
}

START_TEST(seen_from_outside)
{
	enum set	set = (enum set)_i;
	pid_t		pid = run_paused(set);

	sandbox_check_process(pid, geteuid() == 0 ? NOBODY : geteuid(),
	    geteuid() == 0 && rows[set].root != NULL ? root : NULL,
	    geteuid() == 0, rows[set].max_files);
	(void)kill(pid, SIGKILL);
	(void)waitpid(pid, NULL, 0);
}
END_TEST

/* One of the same user, with no sandbox, has no hold on it. */
START_TEST(seen_from_beside)
{
	pid_t	pid, other;
	int	status;

	if (geteuid() != 0)
		return;			/* the test itself would be one */
	pid = run_paused(WORKER);
	ck_assert_int_ne(other = fork(), -1);
	if (other == 0) {
		if (setresgid(NOBODY, NOBODY, NOBODY) == -1 ||
		    setresuid(NOBODY, NOBODY, NOBODY) == -1)
			_exit(FAILED);
		_exit(sandbox_can_read(pid) ? FAILED : WORKED);
	}
	ck_assert_int_eq(waitpid(other, &status, 0), other);
	ck_assert(WIFEXITED(status));
	ck_assert_int_eq(WEXITSTATUS(status), WORKED);
	(void)kill(pid, SIGKILL);
	(void)waitpid(pid, NULL, 0);
}
END_TEST

/* --- Drops that must not be survived --- */

static void
check_fatal(const struct proc_row *row, const struct proc_identity *id)
{
	pid_t	pid;
	int	status;

	ck_assert_int_ne(pid = fork(), -1);
	if (pid == 0) {
		proc_drop(row, id);
		_exit(WORKED);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFEXITED(status));
	ck_assert_int_eq(WEXITSTATUS(status), 1);
}

START_TEST(fatal_drops)
{
	struct proc_row		row = rows[WORKER];
	struct proc_identity	id = identity;

	row.promises = "stdio whatever";
	(void)strlcpy(id.chroot, root, sizeof(id.chroot));
	check_fatal(&row, geteuid() == 0 ? &id : NULL);
	if (geteuid() != 0) {
		check_fatal(&rows[WORKER], &identity);	/* can't be */
		return;
	}
	check_fatal(&rows[WORKER], NULL);
	id.uid = 0;
	check_fatal(&rows[WORKER], &id);
	id.uid = NOBODY;
	id.gid = 0;
	check_fatal(&rows[WORKER], &id);
	id.gid = NOBODY;
	(void)strlcpy(id.chroot, "/nonexistent", sizeof(id.chroot));
	check_fatal(&rows[WORKER], &id);
	(void)strlcpy(id.chroot, "tmp", sizeof(id.chroot));
	check_fatal(&rows[WORKER], &id);
}
END_TEST

static const struct {
	const char	*path;
	const char	*why;		/* NULL: whatever errno says */
} roots[] = {
	{ "relative",		"not an absolute path" },
	{ "",			"not an absolute path" },
	{ "/nonexistent",	NULL },
	{ "/etc/passwd",	NULL },
	{ "/etc",		"not empty" },
	{ "/tmp",		"writable for group or world" }
};

START_TEST(root_forms)
{
	const char	*why = NULL;

	ck_assert_int_eq(proc_check_root(roots[_i].path, &why), -1);
	ck_assert_ptr_nonnull(why);
	if (roots[_i].why != NULL)
		ck_assert_str_eq(why, roots[_i].why);
}
END_TEST

START_TEST(root_links)
{
	const char	*why;
	char		 path[64];

	(void)snprintf(path, sizeof(path), "/tmp/test_sandbox.l%ld",
	    (long)getpid());
	if (geteuid() == 0)
		ck_assert_int_eq(proc_check_root(root, &why), 0);
	ck_assert_int_eq(symlink(root, path), 0);
	ck_assert_int_eq(proc_check_root(path, &why), -1);
	(void)unlink(path);
}
END_TEST

int
main(void)
{
	Suite	*s = suite_create("sandbox");
	TCase	*tc = tcase_create("sandbox");
	SRunner	*sr;
	int	 nfailed;

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, set_up, tear_down);
	if (sandbox_is_real) {
		tcase_add_loop_test(tc, each, 0, NROWS(attempts));
		tcase_add_loop_test(tc, each_of_linux, 0,
		    (int)sandbox_nlinux);
		tcase_add_test(tc, seen_from_beside);
	}
	tcase_add_loop_test(tc, aborts, 0, SETS);
	tcase_add_loop_test(tc, seen_from_outside, 0, SETS);
	tcase_add_test(tc, fatal_drops);
	tcase_add_loop_test(tc, root_forms, 0, NROWS(roots));
	tcase_add_test(tc, root_links);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	nfailed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return nfailed == 0 ? 0 : 1;
}
