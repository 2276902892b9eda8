/*
 * Attempts by system call number, and the kernel's own word on a process.
 */
#include "sandbox_linux.h"

#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "../../common/port/port.h"

pid_t	sandbox_sibling;

#ifdef SANDBOX_TRACE
const int	sandbox_is_real = 0;
#else
const int	sandbox_is_real = 1;
#endif

#define TRY(name, ...)							\
static int								\
try_##name(void)							\
{									\
	return syscall(__VA_ARGS__) == -1 ? -1 : 0;			\
}

static char		octets[64];
static struct iovec	iov = { octets, sizeof(octets) };

#ifdef SYS_process_vm_readv
TRY(ptrace, SYS_ptrace, 16L, (long)sandbox_sibling, 0L, 0L)
TRY(ptrace_me, SYS_ptrace, 0L, 0L, 0L, 0L)
TRY(vm_read, SYS_process_vm_readv, (long)sandbox_sibling, &iov, 1L, &iov, 1L,
    0L)
TRY(vm_write, SYS_process_vm_writev, (long)sandbox_sibling, &iov, 1L, &iov,
    1L, 0L)
TRY(tgkill, SYS_tgkill, (long)sandbox_sibling, (long)sandbox_sibling, 0L)
TRY(tgkill_high, SYS_tgkill, (long)sandbox_sibling | 1L << 32,
    (long)sandbox_sibling, 0L)
TRY(tkill, SYS_tkill, (long)sandbox_sibling, 0L)
TRY(sigqueue, SYS_rt_sigqueueinfo, (long)sandbox_sibling, 0L, octets)
TRY(pidfd_open, 434L, (long)sandbox_sibling, 0L)
TRY(pidfd_signal, 424L, 0L, 0L, NULL, 0L)
TRY(pidfd_getfd, 438L, 0L, 0L, 0L)
TRY(prlimit, SYS_prlimit64, (long)sandbox_sibling, (long)RLIMIT_NOFILE, NULL,
    octets)
TRY(clone3, 435L, octets, 0L)
/* Each is a connect(2), on a socket that was passed in. */
TRY(sendto_fastopen, SYS_sendto, -1L, octets, 1L, (long)MSG_FASTOPEN, octets,
    16L)
TRY(sendmsg_fastopen, SYS_sendmsg, -1L, octets, (long)MSG_FASTOPEN)
TRY(sendmmsg_fastopen, SYS_sendmmsg, -1L, octets, 1L, (long)MSG_FASTOPEN)
TRY(unshare, SYS_unshare, 0x10000000L)
TRY(setns, SYS_setns, 0L, 0L)
TRY(mount, SYS_mount, "x", "/tmp", "tmpfs", 0L, NULL)
TRY(personality, SYS_personality, 0xffffffffL)
TRY(memfd, 319L, "x", 0L)
TRY(execveat, 322L, 0L, "", NULL, NULL, 0x1000L)
TRY(openat2, 437L, -100L, "/etc/passwd", octets, 24L)
TRY(io_uring, 425L, 1L, octets)
TRY(bpf, 321L, 0L, octets, 0L)
TRY(perf, SYS_perf_event_open, octets, 0L, -1L, -1L, 0L)
TRY(userfault, 323L, 0L)
TRY(keyctl, SYS_keyctl, 0L, 0L, 0L, 0L, 0L)
TRY(seccomp, 317L, 1L, 0L, octets)
TRY(dumpable, SYS_prctl, 4L, 1L, 0L, 0L, 0L)
TRY(keepcaps, SYS_prctl, 8L, 1L, 0L, 0L, 0L)
TRY(ambient, SYS_prctl, 47L, 2L, 0L, 0L, 0L)
TRY(capset, SYS_capset, octets, octets)
TRY(sigaction, SYS_rt_sigaction, 10L, NULL, NULL, 8L)
TRY(epoll, SYS_epoll_create1, 0L)
TRY(eventfd, SYS_eventfd2, 0L, 0L)
TRY(packet, SYS_socket, 17L, (long)SOCK_RAW, 0L)
TRY(alg, SYS_socket, 38L, (long)SOCK_SEQPACKET, 0L)
TRY(vsock, SYS_socket, 40L, (long)SOCK_STREAM, 0L)
TRY(tiocsti_high, SYS_ioctl, 0L, 0x5412L | 1L << 32, octets)
TRY(tioclinux, SYS_ioctl, 0L, 0x541cL, octets)
TRY(pkey, 329L, 0L, 0L, 4L, -1L)
TRY(affinity, SYS_sched_setaffinity, (long)sandbox_sibling, 8L, octets)
TRY(unknown, 1000L)
TRY(x32, 0x40000000L + SYS_getpid)

const struct attempt	sandbox_linux[] = {
	{ "ptrace",		try_ptrace,		0 },
	{ "ptrace me",		try_ptrace_me,		0 },
	{ "process_vm_readv",	try_vm_read,		0 },
	{ "process_vm_writev",	try_vm_write,		0 },
	{ "tgkill",		try_tgkill,		0 },
	{ "tgkill, high bits",	try_tgkill_high,	0 },
	{ "tkill",		try_tkill,		0 },
	{ "rt_sigqueueinfo",	try_sigqueue,		0 },
	{ "pidfd_open",		try_pidfd_open,		0 },
	{ "pidfd_send_signal",	try_pidfd_signal,	0 },
	{ "pidfd_getfd",	try_pidfd_getfd,	0 },
	{ "prlimit",		try_prlimit,		0 },
	{ "clone3",		try_clone3,		0 },
	{ "sendto, MSG_FASTOPEN", try_sendto_fastopen,	0 },
	{ "sendmsg, MSG_FASTOPEN", try_sendmsg_fastopen, 0 },
	{ "sendmmsg, MSG_FASTOPEN", try_sendmmsg_fastopen, 0 },
	{ "unshare",		try_unshare,		0 },
	{ "setns",		try_setns,		0 },
	{ "mount",		try_mount,		0 },
	{ "personality",	try_personality,	0 },
	{ "memfd_create",	try_memfd,		0 },
	{ "execveat",		try_execveat,		0 },
	{ "openat2",		try_openat2,		0 },
	{ "io_uring_setup",	try_io_uring,		0 },
	{ "bpf",		try_bpf,		0 },
	{ "perf_event_open",	try_perf,		0 },
	{ "userfaultfd",	try_userfault,		0 },
	{ "keyctl",		try_keyctl,		0 },
	{ "seccomp",		try_seccomp,		0 },
	{ "PR_SET_DUMPABLE",	try_dumpable,		0 },
	{ "PR_SET_KEEPCAPS",	try_keepcaps,		0 },
	{ "PR_CAP_AMBIENT",	try_ambient,		0 },
	{ "capset",		try_capset,		0 },
	{ "rt_sigaction",	try_sigaction,		0 },
	{ "epoll_create1",	try_epoll,		0 },
	{ "eventfd2",		try_eventfd,		0 },
	{ "AF_PACKET",		try_packet,		0 },
	{ "AF_ALG",		try_alg,		0 },
	{ "AF_VSOCK",		try_vsock,		0 },
	{ "TIOCSTI, high bits",	try_tiocsti_high,	0 },
	{ "TIOCLINUX",		try_tioclinux,		0 },
	{ "pkey_mprotect",	try_pkey,		0 },
	{ "sched_setaffinity",	try_affinity,		0 },
	{ "no such call",	try_unknown,		0 },
	{ "x32's getpid",	try_x32,		0 }
};
const size_t	sandbox_nlinux = sizeof(sandbox_linux) /
    sizeof(sandbox_linux[0]);
#else
const struct attempt	sandbox_linux[1];
const size_t		sandbox_nlinux = 0;
#endif

/* --- /proc --- */

/* The rest of the line that begins so, without blanks before it; or "". */
static void
proc_line(pid_t pid, const char *file, const char *start, char *to,
    size_t size)
{
	char	 path[64], line[512];
	FILE	*f;

	to[0] = '\0';
	(void)snprintf(path, sizeof(path), "/proc/%ld/%s", (long)pid, file);
	if ((f = fopen(path, "r")) == NULL)
		return;
	while (fgets(line, sizeof(line), f) != NULL)
		if (strncmp(line, start, strlen(start)) == 0) {
			line[strcspn(line, "\n")] = '\0';
			(void)strlcpy(to, line + strlen(start) +
			    strspn(line + strlen(start), " \t"), size);
			break;
		}
	(void)fclose(f);
}

static void
check_line(pid_t pid, const char *file, const char *start, const char *want)
{
	char	got[256];

	proc_line(pid, file, start, got, sizeof(got));
	ck_assert_msg(strncmp(got, want, strlen(want)) == 0,
	    "%s %s is \"%s\", not \"%s\"", file, start, got, want);
}

static void
check_ids(pid_t pid, uid_t uid, int was_root)
{
	char	ids[64], id[16];

	(void)snprintf(ids, sizeof(ids), "%u\t%u\t%u\t%u", uid, uid, uid,
	    uid);
	check_line(pid, "status", "Uid:", ids);
	if (!was_root)
		return;
	check_line(pid, "status", "Gid:", ids);
	(void)snprintf(id, sizeof(id), "%u ", uid);
	check_line(pid, "status", "Groups:", id);
	check_line(pid, "status", "CapBnd:", "0000000000000000");
}

void
sandbox_check_process(pid_t pid, uid_t uid, const char *root, int was_root,
    rlim_t max_files)
{
	static const char *const	caps[] = {
		"CapInh:", "CapPrm:", "CapEff:", "CapAmb:"
	};
	char				 path[64], got[256], files[32];
	ssize_t				 n;
	size_t				 i;

	(void)snprintf(path, sizeof(path), "/proc/%ld/status", (long)pid);
	if (access(path, R_OK) == -1)
		return;			/* a system without */
	check_ids(pid, uid, was_root);
	for (i = 0; i < sizeof(caps) / sizeof(caps[0]); i++)
		check_line(pid, "status", caps[i], "0000000000000000");
	check_line(pid, "status", "NoNewPrivs:", "1");
	check_line(pid, "status", "Seccomp:", sandbox_is_real ? "2" : "0");
	check_line(pid, "limits", "Max core file size", "0  ");
	if (sandbox_is_real)
		check_line(pid, "limits", "Max processes", "0  ");
	if (max_files != 0) {
		(void)snprintf(files, sizeof(files), "%llu ",
		    (unsigned long long)max_files);
		check_line(pid, "limits", "Max open files", files);
	}
	if (root == NULL)
		return;
	(void)snprintf(path, sizeof(path), "/proc/%ld/root", (long)pid);
	ck_assert_int_ge(n = readlink(path, got, sizeof(got) - 1), 0);
	got[n] = '\0';
	ck_assert_str_eq(got, root);
}

int
sandbox_can_read(pid_t pid)
{
	char	path[64];

	(void)snprintf(path, sizeof(path), "/proc/%ld/mem", (long)pid);
	if (open(path, O_RDONLY) != -1)
		return 1;
	(void)snprintf(path, sizeof(path), "/proc/%ld/environ", (long)pid);
	if (open(path, O_RDONLY) != -1)
		return 1;
#ifdef SYS_process_vm_readv
	if (syscall(SYS_ptrace, 16L, (long)pid, 0L, 0L) != -1 ||
	    syscall(SYS_process_vm_readv, (long)pid, &iov, 1L, &iov, 1L,
	    0L) != -1 || errno != EPERM)
		return 1;
#endif
	return 0;
}
