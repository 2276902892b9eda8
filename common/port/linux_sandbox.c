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

static const struct word {
	const char	*name;
	unsigned int	 bit;
} words[] = {
	{ "stdio",	WORD_STDIO },
	{ "recvfd",	WORD_RECVFD },
	{ "inet",	WORD_INET },
	{ "rpath",	WORD_RPATH },
	{ "dns",	WORD_DNS },
	{ "unix",	WORD_UNIX }
};

#ifndef SANDBOX_TRACE

/*
 * System calls by word.  recvfd adds none: recvmsg(2) is stdio's, and it is
 * the sender who decides what is passed.
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
	{ SCMP_SYS(sendto),		WORD_STDIO },
	{ SCMP_SYS(sendmsg),		WORD_STDIO },
	{ SCMP_SYS(sendmmsg),		WORD_STDIO },
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
	{ SCMP_SYS(exit),		WORD_STDIO },
	{ SCMP_SYS(exit_group),		WORD_STDIO },
	{ SCMP_SYS(socket),		WORD_INET | WORD_DNS | WORD_UNIX },
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

/* Memory, but never code: neither mapped nor made executable. */
static int
add_memory(scmp_filter_ctx f, unsigned int promised)
{
	int	rc;

	rc = seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1,
	    SCMP_A2_32(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
	if (rc == 0)
		rc = seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(mprotect),
		    1, SCMP_A2_32(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
	/* getaddrinfo(3) loads its modules when it is called. */
	if (rc == 0 && (promised & WORD_DNS))
		rc = seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 0);
	if (rc == 0 && (promised & WORD_DNS))
		rc = seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(mprotect),
		    0);
	return rc;
}

/* fcntl(2): look, and the two flags; no leases, locks, owners. */
static int
add_fcntl(scmp_filter_ctx f)
{
	static const unsigned int	cmds[] = {
		F_GETFL, F_SETFL, F_GETFD, F_SETFD
	};
	size_t	i;
	int	rc = 0;

	for (i = 0; i < sizeof(cmds) / sizeof(cmds[0]) && rc == 0; i++)
		rc = seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(fcntl), 1,
		    SCMP_A1_32(SCMP_CMP_EQ, cmds[i]));
	return rc;
}

static int
add_rare(scmp_filter_ctx f, unsigned int promised)
{
	static const unsigned int	looks[] = {
		PR_GET_SECCOMP, PR_GET_DUMPABLE, PR_GET_NO_NEW_PRIVS
	};
	size_t	i;
	int	rc;

	rc = seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1,
	    SCMP_A1_32(SCMP_CMP_EQ, FIONREAD));
	if (rc == 0 && !(promised & (WORD_INET | WORD_DNS)))
		rc = seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(setsockopt),
		    2, SCMP_A1_32(SCMP_CMP_EQ, IPPROTO_TCP),
		    SCMP_A2_32(SCMP_CMP_EQ, TCP_NODELAY));
	/* To look whether it is in force. */
	for (i = 0; i < sizeof(looks) / sizeof(looks[0]) && rc == 0; i++)
		rc = seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(prctl), 1,
		    SCMP_A0_32(SCMP_CMP_EQ, looks[i]));
	/* abort(3): at ourselves only. */
	if (rc == 0)
		rc = seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1,
		    SCMP_A0_32(SCMP_CMP_EQ, (uint32_t)getpid()));
	/* fstat(3) of glibc: the empty path of an open descriptor. */
	if (rc == 0 && !(promised & WORD_RPATH))
		rc = seccomp_rule_add(f, SCMP_ACT_ALLOW,
		    SCMP_SYS(newfstatat), 1,
		    SCMP_A3_32(SCMP_CMP_EQ, AT_EMPTY_PATH));
	/* Reading only: no creation, no writing. */
	if (rc == 0 && (promised & WORD_RPATH))
		rc = seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(openat), 1,
		    SCMP_A2_32(SCMP_CMP_MASKED_EQ,
		    O_ACCMODE | O_CREAT | O_TRUNC | O_APPEND, O_RDONLY));
	return rc;
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
		rc = add_memory(f, promised);
	if (rc == 0)
		rc = add_fcntl(f);
	if (rc == 0)
		rc = add_rare(f, promised);
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

static int
hide(void)
{
	return 0;
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
