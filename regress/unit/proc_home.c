/*
 * The parent's side of the tests of processes.
 */
#include "proc_home.h"

#include <sys/types.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../common/log.h"

#define NOBODY	65534

struct loop			home_loop;
struct home_kid			home_worker[HOME_KIDS];
struct home_kid			home_logger;
struct home_kid			home_resolve;
struct home_kid			home_keyholder;
int				home_is_stopped;
char				home_log[HOME_LOG_MAX];
struct proc_identity		home_identity;
enum log_sink_kind		home_sink_kind = LOG_SINK_STDERR;
int				(*home_sink)(void);

static const struct proc_user	users[] = {
	{ "other", 65531, 65531 },
	{ KID_USER, HOME_KEYHOLDER, HOME_KEYHOLDER }
};

static int	log_pipe[2];
static size_t	log_used;

static struct home_kid *
kid_of(struct proc_child *c)
{
	switch (proc_child_role(c)) {
	case PROC_WORKER:
		return &home_worker[proc_child_instance_of(c)];
	case PROC_LOGGER:
		return &home_logger;
	case PROC_KEYHOLDER:
		return &home_keyholder;
	default:
		return &home_resolve;
	}
}

static void
on_setup(struct proc_child *c, void *arg)
{
	struct msg_writer	w;

	(void)arg;
	kid_of(c)->nsetup++;
	if (proc_child_role(c) == PROC_LOGGER)
		return;
	msg_start(&w, KID_SET, 0);
	msg_put_u8(&w, (uint8_t)kid_of(c)->is);
	ck_assert_int_eq(chan_send(proc_child_chan(c), &w,
	    NULL, 0, CHAN_FDS_KEEP), 0);
}

static void
on_ready(struct proc_child *c, void *arg)
{
	(void)arg;
	ck_assert(proc_child_is_ready(c));
	kid_of(c)->nready++;
}

static void
on_gone(struct proc_child *c, void *arg)
{
	(void)arg;
	ck_assert(!proc_child_is_ready(c));
	ck_assert(!chan_is_open(proc_child_chan(c)));
	kid_of(c)->ngone++;
}

static void
on_failed(struct proc_child *c, const char *why, void *arg)
{
	(void)arg;
	ck_assert_ptr_nonnull(why);
	kid_of(c)->nfailed++;
}

static void
on_msg(struct proc_child *c, struct msg *m, void *arg)
{
	struct msg_reader	r;

	(void)arg;
	ck_assert_int_eq(m->type, KID_SAID);
	msg_reader_init(&r, m);
	msg_str(&r, kid_of(c)->said, sizeof(kid_of(c)->said));
	if (msg_done(&r) == -1)
		chan_violation(proc_child_chan(c), m->type, "content");
}

static void
on_stopped(void *arg)
{
	(void)arg;
	home_is_stopped = 1;
}

static const struct proc_ops	ops = {
	.on_msg = on_msg,
	.on_setup = on_setup,
	.on_ready = on_ready,
	.on_gone = on_gone,
	.on_failed = on_failed,
	.on_stopped = on_stopped
};

static int
open_stderr(void)
{
	return dup(STDERR_FILENO);
}

/* All that this process and its logger say. */
static void
capture(void)
{
	ck_assert_int_eq(pipe(log_pipe), 0);
	ck_assert_int_ne(fcntl(log_pipe[0], F_SETFL, O_NONBLOCK), -1);
	ck_assert_int_ne(fcntl(log_pipe[0], F_SETFD, FD_CLOEXEC), -1);
	ck_assert_int_ne(dup2(log_pipe[1], STDERR_FILENO), -1);
	(void)close(log_pipe[1]);
}

static void
read_log(void)
{
	ssize_t	n;

	while ((n = read(log_pipe[0], home_log + log_used,
	    sizeof(home_log) - 1 - log_used)) > 0)
		log_used += (size_t)n;
	home_log[log_used] = '\0';
}

void
home_forget_log(void)
{
	read_log();
	log_used = 0;
	home_log[0] = '\0';
}

size_t
home_count(const char *text)
{
	const char	*p = home_log;
	size_t		 n = 0;

	while ((p = strstr(p, text)) != NULL) {
		p++;
		n++;
	}
	return n;
}

int
home_patience(void)
{
	const char	*text = getenv("CK_TIMEOUT_MULTIPLIER");
	int		 n;

	if (text == NULL)
		return 1;
	n = (int)strtonum(text, 1, 1000, NULL);
	return n == 0 ? 1 : n;
}

/* A root directory as the drop wants it. */
static void
make_root(void)
{
	static char	path[] = "/tmp/test_proc.XXXXXX";

	ck_assert_ptr_nonnull(mkdtemp(path));
	ck_assert_int_eq(chmod(path, 0755), 0);
	(void)strlcpy(home_identity.chroot, path,
	    sizeof(home_identity.chroot));
	home_identity.uid = NOBODY;
	home_identity.gid = NOBODY;
	home_identity.users = users;
	home_identity.nusers = sizeof(users) / sizeof(users[0]);
}

void
home_set_up_with(const struct proc_row *rows, const char *const *argv)
{
	int	is_root = geteuid() == 0;

	if (is_root)
		make_root();
	capture();
	log_init("parent", 0);
	proc_init(rows, kid_nrows, kid_msgs, kid_nmsgs, "test");
	ck_assert_int_eq(loop_init(&home_loop, 0), 0);
	proc_parent_init(&home_loop, kid_path, is_root ? &home_identity :
	    NULL, &ops, NULL, 0, argv);
	proc_set_log_sink(home_sink_kind, home_sink == NULL ? open_stderr :
	    home_sink, "test");
}

void
home_set_up(void)
{
	home_set_up_with(kid_rows, NULL);
}

void
home_tear_down(void)
{
	if (!home_is_stopped)
		home_stop(5);
	/* No orphans, no zombies. */
	ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1);
	ck_assert_int_eq(errno, ECHILD);
	proc_parent_clear();
	loop_clear(&home_loop);
	if (home_identity.chroot[0] != '\0')
		(void)rmdir(home_identity.chroot);
}

static struct home_kid *
kid_named(enum proc_role role, uint32_t instance)
{
	if (role == PROC_KEYHOLDER)
		return &home_keyholder;
	return role == PROC_WORKER ? &home_worker[instance] :
	    role == PROC_LOGGER ? &home_logger : &home_resolve;
}

void
home_start(enum proc_role role, uint32_t instance)
{
	struct home_kid	*k = kid_named(role, instance);

	k->child = proc_start(role, instance);
	ck_assert_ptr_nonnull(k->child);
}

void
home_start_ready(enum proc_role role, uint32_t instance)
{
	struct home_kid	*k = kid_named(role, instance);
	size_t		 nready = k->nready;

	home_start(role, instance);
	WAIT(k->nready > nready, 5000);
}

void
home_stop(unsigned int seconds)
{
	proc_stop(seconds);
	WAIT(home_is_stopped, (int64_t)seconds * 1000 + 7000);
	read_log();
}

int
home_tell(struct home_kid *k, enum kid_do what, const char *text)
{
	struct msg_writer	w;

	msg_start(&w, KID_DO, 0);
	msg_put_u8(&w, (uint8_t)what);
	msg_put_str(&w, text);
	return chan_send(proc_child_chan(k->child), &w, NULL, 0, CHAN_FDS_KEEP);
}

pid_t
home_pid(const struct home_kid *k)
{
	return proc_child_pid(k->child);
}

static void
on_timer(struct timer *t, void *arg, int64_t now_ms)
{
	(void)t;
	(void)arg;
	(void)now_ms;
}

void
home_pass(void)
{
	struct timer	t;

	timer_init(&t, on_timer, NULL);
	ck_assert_int_eq(timer_set(&home_loop.timers, &t,
	    home_loop.now_ms + 10), 0);
	ck_assert_int_eq(loop_once(&home_loop), 0);
	timer_end(&home_loop.timers, &t);
	read_log();
}
