/*
 * Promise words to a seccomp filter, and what else Linux has to confine a
 * process.  Runs in each child, at the end of its set-up.  The filter is an
 * allow-list of system calls by number, made from the same words that
 * pledge(2) takes; arguments are looked at only where a call is rare, since
 * each such rule costs every call of a busy process.
 */
#include <sys/types.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include <cap-ng.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <seccomp.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "port.h"

#define WORD_STDIO	0x01
#define WORD_RECVFD	0x02
#define WORD_INET	0x04
#define WORD_RPATH	0x08
#define WORD_DNS	0x10
#define WORD_UNIX	0x20
#define WORD_SENDFD	0x40

static const struct word {
	const char	*name;
	unsigned int	 bit;
} words[] = {
	{ "stdio",	WORD_STDIO },
	{ "recvfd",	WORD_RECVFD },
	{ "sendfd",	WORD_SENDFD },
	{ "inet",	WORD_INET },
	{ "rpath",	WORD_RPATH },
	{ "dns",	WORD_DNS },
	{ "unix",	WORD_UNIX }
};

#ifndef SANDBOX_TRACE

/*
 * System calls by word.  recvfd and sendfd add none: recvmsg(2) and
 * sendmsg(2) are stdio's, and a filter can't look into their control part.
 */
static const struct call {
	int		number;
	unsigned int	words;
} calls[] = {
	{ SCMP_SYS(read),		WORD_STDIO },
	{ SCMP_SYS(readv),		WORD_STDIO },
	{ SCMP_SYS(write),		WORD_STDIO },
	{ SCMP_SYS(writev),		WORD_STDIO },
	{ SCMP_SYS(recvfrom),		WORD_STDIO },
	{ SCMP_SYS(recvmsg),		WORD_STDIO },
	{ SCMP_SYS(recvmmsg),		WORD_STDIO },
	{ SCMP_SYS(recv),		WORD_STDIO },
	{ SCMP_SYS(send),		WORD_STDIO },
	{ SCMP_SYS(shutdown),		WORD_STDIO },
	{ SCMP_SYS(close),		WORD_STDIO },
	{ SCMP_SYS(poll),		WORD_STDIO },
	{ SCMP_SYS(ppoll),		WORD_STDIO },
	{ SCMP_SYS(epoll_wait),		WORD_STDIO },
	{ SCMP_SYS(epoll_pwait),	WORD_STDIO },
	{ SCMP_SYS(epoll_ctl),		WORD_STDIO },
	{ SCMP_SYS(getsockopt),		WORD_STDIO },
	{ SCMP_SYS(brk),		WORD_STDIO },
	{ SCMP_SYS(munmap),		WORD_STDIO },
	{ SCMP_SYS(mremap),		WORD_STDIO },
	{ SCMP_SYS(madvise),		WORD_STDIO },
	{ SCMP_SYS(futex),		WORD_STDIO },
	{ SCMP_SYS(clock_gettime),	WORD_STDIO },
	{ SCMP_SYS(clock_nanosleep),	WORD_STDIO },
	{ SCMP_SYS(gettimeofday),	WORD_STDIO },
	{ SCMP_SYS(time),		WORD_STDIO },
	{ SCMP_SYS(getrandom),		WORD_STDIO },
	{ SCMP_SYS(getpid),		WORD_STDIO },
	{ SCMP_SYS(gettid),		WORD_STDIO },
	{ SCMP_SYS(getuid),		WORD_STDIO },
	{ SCMP_SYS(geteuid),		WORD_STDIO },
	{ SCMP_SYS(getgid),		WORD_STDIO },
	{ SCMP_SYS(getegid),		WORD_STDIO },
	{ SCMP_SYS(getresuid),		WORD_STDIO },
	{ SCMP_SYS(getresgid),		WORD_STDIO },
	{ SCMP_SYS(getgroups),		WORD_STDIO },
	{ SCMP_SYS(fstat),		WORD_STDIO },
	{ SCMP_SYS(rt_sigreturn),	WORD_STDIO },
	{ SCMP_SYS(rt_sigprocmask),	WORD_STDIO },
	{ SCMP_SYS(restart_syscall),	WORD_STDIO },
	{ SCMP_SYS(sched_yield),	WORD_STDIO },
	{ SCMP_SYS(sysinfo),		WORD_STDIO },	/* qsort(3) asks it */
	{ SCMP_SYS(exit),		WORD_STDIO },
	{ SCMP_SYS(exit_group),		WORD_STDIO },
	{ SCMP_SYS(connect),		WORD_INET | WORD_DNS | WORD_UNIX },
	{ SCMP_SYS(bind),		WORD_INET | WORD_DNS | WORD_UNIX },
	{ SCMP_SYS(accept4),		WORD_INET | WORD_UNIX },
	{ SCMP_SYS(getsockname),	WORD_INET | WORD_DNS | WORD_UNIX },
	{ SCMP_SYS(getpeername),	WORD_INET | WORD_DNS | WORD_UNIX },
	{ SCMP_SYS(setsockopt),		WORD_INET | WORD_DNS },
	{ SCMP_SYS(lseek),		WORD_RPATH },
	{ SCMP_SYS(stat),		WORD_RPATH },
	{ SCMP_SYS(lstat),		WORD_RPATH },
	{ SCMP_SYS(statx),		WORD_RPATH },
	{ SCMP_SYS(newfstatat),		WORD_RPATH },
	{ SCMP_SYS(access),		WORD_RPATH },
	{ SCMP_SYS(readlink),		WORD_RPATH },
	{ SCMP_SYS(pread64),		WORD_RPATH },
	{ SCMP_SYS(getdents64),		WORD_RPATH },
	{ SCMP_SYS(uname),		WORD_RPATH }
};

static int
add_calls(scmp_filter_ctx f, unsigned int promised)
{
	size_t	i;
	int	rc;

	for (i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		if (!(calls[i].words & promised))
			continue;
		rc = seccomp_rule_add(f, SCMP_ACT_ALLOW, calls[i].number, 0);
		/* A call that this architecture does not have. */
		if (rc != 0 && rc != -EDOM)
			return rc;
	}
	return 0;
}

/*
 * Rare calls by one argument: allowed when (argument & mask) == value.  The
 * kernel takes these arguments as 32 bits, so no more are looked at.
 */
#define ALL	0xffffffffU
static const struct rule {
	int		number;
	unsigned int	words;
	unsigned int	arg;
	uint32_t	mask;
	uint32_t	value;
} rules[] = {
	/* Memory, but never code: neither mapped nor made executable. */
	{ SCMP_SYS(mmap),	WORD_STDIO,	2, PROT_EXEC, 0 },
	{ SCMP_SYS(mprotect),	WORD_STDIO,	2, PROT_EXEC, 0 },
	/* getaddrinfo(3) loads its modules when it is called. */
	{ SCMP_SYS(mmap),	WORD_DNS,	2, 0, 0 },
	{ SCMP_SYS(mprotect),	WORD_DNS,	2, 0, 0 },
	/* Look, and the two flags; no leases, locks, owners. */
	{ SCMP_SYS(fcntl),	WORD_STDIO,	1, ALL, F_GETFL },
	{ SCMP_SYS(fcntl),	WORD_STDIO,	1, ALL, F_SETFL },
	{ SCMP_SYS(fcntl),	WORD_STDIO,	1, ALL, F_GETFD },
	{ SCMP_SYS(fcntl),	WORD_STDIO,	1, ALL, F_SETFD },
	{ SCMP_SYS(ioctl),	WORD_STDIO,	1, ALL, FIONREAD },
	/* Octets, but no connection: MSG_FASTOPEN is a connect(2) by itself. */
	{ SCMP_SYS(sendto),	WORD_STDIO,	3, MSG_FASTOPEN, 0 },
	{ SCMP_SYS(sendmsg),	WORD_STDIO,	2, MSG_FASTOPEN, 0 },
	{ SCMP_SYS(sendmmsg),	WORD_STDIO,	3, MSG_FASTOPEN, 0 },
	/* To look whether it is in force. */
	{ SCMP_SYS(prctl),	WORD_STDIO,	0, ALL, PR_GET_SECCOMP },
	{ SCMP_SYS(prctl),	WORD_STDIO,	0, ALL, PR_GET_DUMPABLE },
	{ SCMP_SYS(prctl),	WORD_STDIO,	0, ALL, PR_GET_NO_NEW_PRIVS },
	/* fstat(3) of glibc: the empty path of an open descriptor. */
	{ SCMP_SYS(newfstatat),	WORD_STDIO,	3, ALL, AT_EMPTY_PATH },
	/* Reading only: no creation, no writing. */
	{ SCMP_SYS(openat),	WORD_RPATH,	2, O_ACCMODE | O_CREAT |
	    O_TRUNC | O_APPEND, O_RDONLY },
	/* Each family is a large piece of kernel: those that are meant. */
	{ SCMP_SYS(socket),	WORD_INET | WORD_DNS,	0, ALL, AF_INET },
	{ SCMP_SYS(socket),	WORD_INET | WORD_DNS,	0, ALL, AF_INET6 },
	/* getaddrinfo(3): nscd, and the host's own addresses. */
	{ SCMP_SYS(socket),	WORD_UNIX | WORD_DNS,	0, ALL, AF_UNIX },
	{ SCMP_SYS(socket),	WORD_DNS,	0, ALL, AF_NETLINK }
};

static int
add_rule(scmp_filter_ctx f, int number, unsigned int arg, uint32_t mask,
    uint32_t value)
{
	struct scmp_arg_cmp	cmp;

	if (mask == 0)
		return seccomp_rule_add(f, SCMP_ACT_ALLOW, number, 0);
	cmp.arg = arg;
	cmp.op = SCMP_CMP_MASKED_EQ;
	cmp.datum_a = mask;
	cmp.datum_b = value;
	return seccomp_rule_add_array(f, SCMP_ACT_ALLOW, number, 1, &cmp);
}

static int
add_rules(scmp_filter_ctx f, unsigned int promised)
{
	const struct rule	*r;
	size_t			 i;
	int			 rc = 0;

	for (i = 0; i < sizeof(rules) / sizeof(rules[0]) && rc == 0; i++) {
		r = &rules[i];
		if (r->words & promised)
			rc = add_rule(f, r->number, r->arg, r->mask,
			    r->value);
	}
	/* abort(3): at ourselves only. */
	if (rc == 0)
		rc = add_rule(f, SCMP_SYS(tgkill), 0, ALL,
		    (uint32_t)getpid());
	return rc;
}

/* The one option that a worker sets; the parent has set all others. */
static int
add_nodelay(scmp_filter_ctx f)
{
	struct scmp_arg_cmp	cmp[2];

	memset(cmp, 0, sizeof(cmp));
	cmp[0].arg = 1;
	cmp[0].op = SCMP_CMP_MASKED_EQ;
	cmp[0].datum_a = ALL;
	cmp[0].datum_b = IPPROTO_TCP;
	cmp[1].arg = 2;
	cmp[1].op = SCMP_CMP_MASKED_EQ;
	cmp[1].datum_a = ALL;
	cmp[1].datum_b = TCP_NODELAY;
	return seccomp_rule_add_array(f, SCMP_ACT_ALLOW,
	    SCMP_SYS(setsockopt), 2, cmp);
}

static int
filter_load(unsigned int promised)
{
	scmp_filter_ctx	f;
	int		rc;

	if ((f = seccomp_init(SCMP_ACT_KILL_PROCESS)) == NULL) {
		errno = ENOMEM;
		return -1;
	}
	/* A binary tree: the cost does not grow with the list. */
	(void)seccomp_attr_set(f, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	(void)seccomp_attr_set(f, SCMP_FLTATR_ACT_BADARCH,
	    SCMP_ACT_KILL_PROCESS);
	rc = add_calls(f, promised);
	if (rc == 0)
		rc = add_rules(f, promised);
	if (rc == 0)
		rc = add_nodelay(f);
	if (rc == 0)
		rc = seccomp_load(f);
	seccomp_release(f);
	if (rc == 0)
		return 0;
	errno = -rc;
	return -1;
}

const char *
port_sandbox_name(void)
{
	return "seccomp";
}

static int
hide(void)
{
	return prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}

static int
is_hidden(void)
{
	return prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 0;
}

static int
is_filtered(void)
{
	return prctl(PR_GET_SECCOMP, 0, 0, 0, 0) == 2;
}

#else	/* SANDBOX_TRACE: a debugger or sanitizer must live */

static int
filter_load(unsigned int promised)
{
	(void)promised;
	return 0;
}

const char *
port_sandbox_name(void)
{
	return "none (trace build)";
}

/* The change of user made us so; LeakSanitizer and debuggers can't see us. */
static int
hide(void)
{
	return prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
}

static int
is_hidden(void)
{
	return 1;
}

static int
is_filtered(void)
{
	return 1;
}

#endif

int
port_confine_before(const char **what)
{
	*what = "no_new_privs";
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == -1)
		return -1;
	*what = "capability bounding set";
	capng_clear(CAPNG_SELECT_BOTH);
	if (capng_apply(CAPNG_SELECT_BOUNDS) != 0) {
		/* Not root, so there is nothing that it could give back. */
		if (geteuid() != 0)
			return 0;
		errno = EPERM;
		return -1;
	}
	return 0;
}

static int
parse_promises(const char *promises, unsigned int *bits)
{
	const char	*p = promises;
	size_t		 i, len;

	*bits = 0;
	while (*p != '\0') {
		len = strcspn(p, " ");
		for (i = 0; i < sizeof(words) / sizeof(words[0]); i++)
			if (strlen(words[i].name) == len &&
			    memcmp(words[i].name, p, len) == 0)
				break;
		if (i == sizeof(words) / sizeof(words[0])) {
			errno = EINVAL;
			return -1;
		}
		*bits |= words[i].bit;
		p += len;
		while (*p == ' ')
			p++;
	}
	return 0;
}

int
port_confine_after(const char *promises, const char **what)
{
	unsigned int	bits;

	*what = "promises";
	if (parse_promises(promises, &bits) == -1)
		return -1;
	*what = "capabilities";
	capng_clear(CAPNG_SELECT_CAPS);
	if (capng_apply(CAPNG_SELECT_CAPS) != 0) {
		errno = EPERM;
		return -1;
	}
	/* A change of user made us dumpable again. */
	*what = "dumpable";
	if (hide() == -1)
		return -1;
	/* Looked at before the filter forbids to ask. */
	*what = "capabilities are left";
	errno = EPERM;
	if (capng_get_caps_process() != 0 ||
	    capng_have_capabilities(CAPNG_SELECT_CAPS) != CAPNG_NONE)
		return -1;
	*what = "seccomp filter";
	return filter_load(bits);
}

int
port_confine_verify(const char **what)
{
	*what = "no filter";
	if (!is_filtered())
		return -1;
	*what = "still dumpable";
	if (!is_hidden())
		return -1;
	*what = "no_new_privs is off";
	if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1)
		return -1;
	return 0;
}
