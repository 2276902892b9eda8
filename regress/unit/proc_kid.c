/*
 * The children of test_proc and test_logger: worker and resolve as they are
 * told to be, and the real logger.
 */
#include "proc_kid.h"

#include <sys/socket.h>
#include <sys/stat.h>

#include <err.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../common/log.h"
#include "../../common/port/port.h"
#include "../../privsep/logger.h"

#define WAIT_MS	10000

/* Under memcheck a hard limit of descriptors can't be lowered. */
#ifdef SANDBOX_TRACE
#define KID_FILES	0
#else
#define KID_FILES	200
#endif

static _Noreturn void	kid_worker(int);
static _Noreturn void	kid_resolve(int);
static _Noreturn void	kid_keyholder(int);

#define WORKER(death)							\
	{ .role = PROC_WORKER, .name = "worker", .main = kid_worker,	\
	  .user = USER_CONF, .root = ROOT_CONF,				\
	  .promises = "stdio recvfd", .max_files = KID_FILES,		\
	  .peers = ROLE(PROC_PARENT) | ROLE(PROC_LOGGER),		\
	  .on_death = (death) }
#define OTHERS								\
	{ .role = PROC_PARENT, .name = "parent",			\
	  .on_death = DEATH_STOP_ALL },					\
	{ .role = PROC_LOGGER, .name = "logger", .main = logger_main,	\
	  .user = USER_CONF, .root = ROOT_CONF,				\
	  .promises = "stdio recvfd",					\
	  .peers = ROLE(PROC_PARENT) | ROLE(PROC_WORKER) |		\
	      ROLE(PROC_KEYHOLDER),					\
	  .on_death = DEATH_RESTART },					\
	{ .role = PROC_KEYHOLDER, .name = "keyholder",			\
	  .main = kid_keyholder, .user = KID_USER, .root = ROOT_CONF,	\
	  .promises = "stdio recvfd",					\
	  .peers = ROLE(PROC_PARENT) | ROLE(PROC_LOGGER),		\
	  .on_death = DEATH_RESTART },					\
	{ .role = PROC_RESOLVE, .name = "resolve",			\
	  .main = kid_resolve, .user = USER_CONF,			\
	  .promises = "stdio rpath inet dns",				\
	  .peers = ROLE(PROC_PARENT), .on_death = DEATH_ONCE }

const struct proc_row	kid_rows[] = { OTHERS, WORKER(DEATH_RESTART) };
const struct proc_row	kid_rows_must_live[] = {
	OTHERS, WORKER(DEATH_STOP_ALL)
};
const size_t		kid_nrows = sizeof(kid_rows) / sizeof(kid_rows[0]);

#define KIDS	(ROLE(PROC_WORKER) | ROLE(PROC_RESOLVE) | \
    ROLE(PROC_KEYHOLDER))
#define SERVE	(STATE(CHAN_RUN) | STATE(CHAN_STOP))

const struct msg_row	kid_msgs[] = {
	{ KID_SET, "SET", ROLE(PROC_PARENT), KIDS, STATE(CHAN_SETUP),
	    0, 1, 1, 0 },
	{ KID_DO, "DO", ROLE(PROC_PARENT), KIDS, SERVE, 0, 3, 8000, 0 },
	{ KID_SAID, "SAID", KIDS, ROLE(PROC_PARENT), SERVE, 0, 2, 8000, 0 },
	{ KID_FDS, "FDS", ROLE(PROC_PARENT), KIDS, SERVE, 2, 0, 0, 0 }
};
const size_t		kid_nmsgs = sizeof(kid_msgs) / sizeof(kid_msgs[0]);
char			kid_path[1024];

static struct loop	 loop;
static struct chan	 parent;
static enum kid_is	 is;
static char		 found[512];	/* what it was at start */
static const char	*other_build;

/* --- What it found --- */

static int
is_null(int fd)
{
	struct stat	a, b;

	return fstat(fd, &a) == 0 && stat("/dev/null", &b) == 0 &&
	    a.st_rdev == b.st_rdev && S_ISCHR(a.st_mode);
}

static int
is_ignored(int sig)
{
	struct sigaction	sa;

	return sigaction(sig, NULL, &sa) == 0 && sa.sa_handler == SIG_IGN;
}

static void
look_around(void)
{
	extern char	**environ;
	char		  cwd[256];
	sigset_t	  blocked;
	size_t		  nenv = 0, nfds = 0;
	int		  fd;

	while (environ != NULL && environ[nenv] != NULL)
		nenv++;
	for (fd = 3; fd < 1024; fd++)
		if (fcntl(fd, F_GETFD) != -1)
			nfds++;
	(void)sigprocmask(SIG_SETMASK, NULL, &blocked);
	(void)snprintf(found, sizeof(found), "null=%d%d%d fds=%zu env=%zu "
	    "cwd=%s leader=%d ignored=%d%d%d%d child=%d blocked=%d",
	    is_null(0), is_null(1), is_null(2), nfds, nenv,
	    getcwd(cwd, sizeof(cwd)), getsid(0) == getpid(),
	    is_ignored(SIGPIPE), is_ignored(SIGHUP), is_ignored(SIGINT),
	    is_ignored(SIGTERM), is_ignored(SIGCHLD),
	    sigismember(&blocked, SIGCHLD));
}

/* --- What it does --- */

static void
say(const char *text)
{
	struct msg_writer	w;

	msg_start(&w, KID_SAID, 0);
	msg_put_str(&w, text);
	if (chan_send(&parent, &w, NULL, 0, CHAN_FDS_KEEP) == -1)
		fatal("said");
}

/* Past the checks of chan_send(). */
static void
lie(int fd, uint16_t type, uint64_t id, size_t len, int pass_fd)
{
	union {
		struct cmsghdr	hdr;
		uint8_t		room[CMSG_SPACE(sizeof(int))];
	} control;
	struct msg_writer	w;
	struct cmsghdr		*c;
	struct msghdr		 mh;
	struct iovec		 iov;

	msg_start(&w, type, id);
	while (len-- > 0)
		msg_put_u8(&w, 0xff);
	(void)msg_finish(&w);
	memset(&mh, 0, sizeof(mh));
	memset(&control, 0, sizeof(control));
	iov.iov_base = w.data;
	iov.iov_len = w.used;
	mh.msg_iov = &iov;
	mh.msg_iovlen = 1;
	if (pass_fd != -1) {
		mh.msg_control = control.room;
		mh.msg_controllen = sizeof(control.room);
		c = CMSG_FIRSTHDR(&mh);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &pass_fd, sizeof(int));
	}
	(void)sendmsg(fd, &mh, MSG_NOSIGNAL);
}

static void
do_lie(enum kid_do what)
{
	switch (what) {
	case KID_DO_LIE_TYPE:
		lie(parent.fd, 200, 0, 0, -1);
		break;
	case KID_DO_LIE_STATE:
		lie(parent.fd, MSG_HELLO, 0, 20, -1);
		break;
	case KID_DO_LIE_PONG:
		lie(parent.fd, MSG_PONG, 77, 0, -1);
		break;
	case KID_DO_LIE_READY:
		lie(parent.fd, MSG_READY, 0, 4, -1);
		break;
	case KID_DO_LIE_FDS:
		lie(parent.fd, KID_SAID, 0, 2, 0);
		break;
	default:
		lie(proc_child_peer(PROC_LOGGER, 0)->fd, MSG_LOG, 0, 9, -1);
		break;
	}
}

static void
do_flood(const char *count)
{
	int	i, n = (int)strtonum(count, 1, 1000000, NULL);

	for (i = 0; i < n; i++)
		log_info("line %d of %d ...............................", i,
		    n);
}

static void
on_do(struct msg *m)
{
	struct msg_reader	r;
	enum kid_do		what;
	static char		text[8000];

	msg_reader_init(&r, m);
	what = (enum kid_do)msg_u8(&r);
	msg_str(&r, text, sizeof(text));
	if (msg_done(&r) == -1)
		fatalx("do: malformed");
	switch (what) {
	case KID_DO_LOG:
		log_info("%s", text);
		break;
	case KID_DO_SAY:
		say(text);
		break;
	case KID_DO_REPORT:
		say(found);
		break;
	case KID_DO_USER:
		(void)snprintf(text, sizeof(text), "%u %u",
		    (unsigned int)geteuid(), (unsigned int)getegid());
		say(text);
		break;
	case KID_DO_EXIT:
		exit(3);
	case KID_DO_ABORT:
		abort();
	case KID_DO_CLOSE:
		(void)shutdown(parent.fd, SHUT_RDWR);
		for (;;)
			(void)poll(NULL, 0, WAIT_MS);
	case KID_DO_FLOOD:
		do_flood(text);
		break;
	default:
		do_lie(what);
		break;
	}
}

static void
on_msg(struct chan *ch, struct msg *m, void *arg)
{
	char	octet = 0;

	(void)arg;
	if (proc_child_msg(ch, m))
		return;
	switch (m->type) {
	case KID_DO:
		on_do(m);
		break;
	case KID_FDS:
		/* What comes in by the first goes out by the second. */
		if (m->nfds == 2 && read(m->fd[0], &octet, 1) == 1 &&
		    write(m->fd[1], &octet, 1) == 1)
			say("passed");
		break;
	case MSG_STOP:
		if (is != KID_IS_STUBBORN)
			loop_stop(&loop);
		break;
	default:
		chan_violation(ch, m->type, "not for me");
		break;
	}
}

static void
on_end(struct chan *ch, const char *reason, void *arg)
{
	(void)ch;
	(void)reason;
	(void)arg;
	loop_stop(&loop);
}

static void
take_settings(void)
{
	struct msg_reader	r;
	struct msg		m;
	uint8_t			room[MSG_MAX];

	chan_wait(&parent, &m, room, WAIT_MS);
	msg_reader_init(&r, &m);
	is = (enum kid_is)msg_u8(&r);
	if (m.type != KID_SET || msg_done(&r) == -1)
		fatalx("settings: malformed");
	if (is == KID_IS_FATAL)
		fatalx("told to\nfail");
	if (is == KID_IS_SLOW)
		for (;;)
			(void)poll(NULL, 0, WAIT_MS);
}

static void
run(int fd, enum proc_role role)
{
	look_around();
	proc_child_start(&parent, &loop, 1, fd, role);
	take_settings();
	chan_set_handlers(&parent, on_msg, on_end, NULL);
	proc_child_ready(&parent);
	if (is == KID_IS_SHORT)
		exit(4);
	if (loop_run(&loop) == -1)
		fatal("poll");
}

static _Noreturn void
kid_worker(int fd)
{
	run(fd, PROC_WORKER);
	log_info("last words");
	exit(0);
}

static _Noreturn void
kid_keyholder(int fd)
{
	run(fd, PROC_KEYHOLDER);
	log_info("keyholder's last words");
	exit(0);
}

static _Noreturn void
kid_resolve(int fd)
{
	run(fd, PROC_RESOLVE);
	exit(0);
}

void
kid_start(int argc, char *argv[], char *envp[])
{
	const struct proc_row	*row;
	const char		*name = NULL, *instance = "";
	ssize_t			 n;
	int			 ch;

	port_title_init(argc, argv, envp);
	n = readlink("/proc/self/exe", kid_path, sizeof(kid_path) - 1);
	if (n == -1 && realpath(argv[0], kid_path) == NULL)
		err(1, "%s", argv[0]);
	while ((ch = getopt(argc, argv, "B:I:P:v")) != -1)
		switch (ch) {
		case 'B':
			other_build = optarg;
			break;
		case 'I':
			instance = optarg;
			break;
		case 'P':
			name = optarg;
			break;
		default:
			break;
		}
	if (name == NULL)
		return;
	log_init(name, 0);
	proc_init(kid_rows, kid_nrows, kid_msgs, kid_nmsgs,
	    other_build != NULL && strcmp(instance, "1") == 0 ? other_build :
	    "test");
	if ((row = proc_row_by_name(name)) == NULL || row->main == NULL)
		errx(1, "no such process: %s", name);
	if (strcmp(instance, "7") == 0)
		lie(3, MSG_READY, 0, 4, -1);
	row->main(3);
	exit(1);
}
