/*
 * Start children and bury them: socketpair, fork, exec of our own image, and
 * what SIGCHLD tells.  Parent only.  There are no threads, so that between
 * fork and exec the child may call what it likes; it closes and resets.
 */
#include <sys/types.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../common/log.h"
#include "../common/port/port.h"
#include "proc.h"
#include "proc_private.h"

#define ARGV_EXTRA	8
#define EXEC_FAILED	127		/* exit status, as of a shell */

static int		 reap_pipe[2] = { -1, -1 };
static struct loop_fd	 reap_lfd;

/* In the new process: descriptors 0-2 /dev/null, 3 the channel, then exec. */
static _Noreturn void
spawn_exec(int fd, int null_fd, const char *path, char *const argv[])
{
#ifdef SANDBOX_TRACE
	/* A sanitizer takes its options there, and reports here. */
	char		*const *envp = environ;
	int		 nnull = STDERR_FILENO;
#else
	static char	*const envp[] = { NULL };
	int		 nnull = PROC_FD;
#endif
	sigset_t	 none;
	int		 i;

	/* Above 3 first, so that no dup2(2) below closes it. */
	if ((fd = fcntl(fd, F_DUPFD, PROC_FD + 1)) == -1 ||
	    (null_fd = fcntl(null_fd, F_DUPFD, PROC_FD + 1)) == -1)
		_exit(1);
	for (i = 0; i < nnull; i++)
		if (dup2(null_fd, i) == -1)
			_exit(1);
	/* A session of its own: no terminal to push keystrokes into. */
	if (dup2(fd, PROC_FD) == -1 || setsid() == -1 || chdir("/") == -1)
		_exit(1);
	(void)sigemptyset(&none);	/* can't fail */
	(void)signal(SIGCHLD, SIG_DFL);	/* a number that exists */
	(void)signal(SIGPIPE, SIG_IGN);
	(void)signal(SIGHUP, SIG_IGN);
	(void)signal(SIGINT, SIG_IGN);
	(void)signal(SIGTERM, SIG_IGN);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	port_closefrom(PROC_FD + 1);
	(void)execve(path, argv, envp);
	_exit(EXEC_FAILED);
}

/* execve(2) does not write to its arguments; its type predates const. */
static char *
arg(const char *s)
{
	char	*p;

	memcpy(&p, &s, sizeof(p));
	return p;
}

static void
spawn_argv(const struct proc_child *c, char *instance, size_t size,
    char *argv[])
{
	size_t	i, n = 0;

	(void)snprintf(instance, size, "%u", c->instance);
	argv[n++] = arg("smtpproxyd");
	argv[n++] = arg("-P");
	argv[n++] = arg(c->row->name);
	argv[n++] = arg("-I");
	argv[n++] = instance;
	if (pp.verbose)
		argv[n++] = arg("-v");
	for (i = 0; pp.extra_argv != NULL && pp.extra_argv[i] != NULL &&
	    i < ARGV_EXTRA; i++)
		argv[n++] = arg(pp.extra_argv[i]);
	argv[n] = NULL;
}

static pid_t
spawn_fork(const struct proc_child *c, int fd)
{
	char	*argv[8 + ARGV_EXTRA];
	char	 instance[16];
	sigset_t all, old;
	pid_t	 pid;
	int	 null_fd, saved;

	spawn_argv(c, instance, sizeof(instance), argv);
	if ((null_fd = open("/dev/null", O_RDWR | O_CLOEXEC)) == -1)
		return -1;
	/* No handler of ours may run in the child before its exec. */
	(void)sigfillset(&all);
	(void)sigprocmask(SIG_BLOCK, &all, &old);
	if ((pid = fork()) == 0)
		spawn_exec(fd, null_fd, pp.self_path, argv);
	saved = errno;
	(void)sigprocmask(SIG_SETMASK, &old, NULL);
	(void)close(null_fd);
	errno = saved;
	return pid;
}

static int
spawn_hello(struct proc_child *c)
{
	struct msg_writer	w;

	msg_start(&w, MSG_HELLO, 0);
	msg_put_str(&w, proc_build_id());
	msg_put_u8(&w, (uint8_t)c->row->role);
	msg_put_u32(&w, c->instance);
	return chan_send(&c->chan, &w, NULL, 0, CHAN_FDS_KEEP);
}

static void
spawn_began(struct proc_child *c, pid_t pid)
{
	c->pid = pid;
	c->generation = ++pp.generation;
	c->is_ready = c->is_killed = c->is_reaped = c->is_stale = 0;
	c->started_ms = pp.loop->now_ms;
	c->pinged_ms = 0;
	c->reason[0] = '\0';
	memset(c->linked, 0, sizeof(c->linked));
}

int
proc_spawn(struct proc_child *c)
{
	char	name[PROC_NAME_MAX];
	pid_t	pid;
	int	fd[2];

	(void)proc_name(name, c->row->role, c->instance);
	if (chan_pair(fd) == -1) {
		log_warn("%s: socketpair", name);
		goto fail;
	}
	pid = spawn_fork(c, fd[1]);
	if (pid == -1)
		log_warn("%s: fork", name);
	(void)close(fd[1]);
	if (pid == -1) {
		(void)close(fd[0]);
		goto fail;
	}
	spawn_began(c, pid);
	if (chan_open(&c->chan, pp.loop, fd[0], PROC_PARENT, c->row->role,
	    c->instance, proc_parent_on_msg, proc_parent_on_end, c) == -1 ||
	    spawn_hello(c) == -1)
		proc_child_kill(c, "no channel");
	return 0;
fail:
	if (c->row->on_death != DEATH_ONCE && pp.stopping == STOPPING_NO)
		proc_restart_later(c);
	return -1;
}

void
proc_restart_later(struct proc_child *c)
{
	int64_t	now_ms = pp.loop->now_ms;

	if (c->started_ms != 0 && now_ms - c->started_ms >= PROC_ALIVE_MS)
		c->delay_ms = 0;
	c->delay_ms = c->delay_ms == 0 ? PROC_DELAY_MIN_MS : c->delay_ms * 2;
	if (c->delay_ms > PROC_DELAY_MAX_MS)
		c->delay_ms = PROC_DELAY_MAX_MS;
	if (timer_set(&pp.loop->timers, &c->restart, now_ms +
	    (c->is_stale ? PROC_STALE_MS : c->delay_ms)) == -1)
		log_warn("restart");
}

static void
reap_log(const struct proc_child *c, int status)
{
	char		 text[PROC_TEXT_MAX];
	const char	*after;

	if (pp.stopping != STOPPING_NO && ((WIFEXITED(status) &&
	    WEXITSTATUS(status) == 0) ||
	    strcmp(c->reason, PROC_REASON_STOP) == 0))
		return;
	if (c->row->on_death == DEATH_ONCE && WIFEXITED(status) &&
	    WEXITSTATUS(status) == 0)
		return;
	after = pp.stopping != STOPPING_NO || c->is_stale ||
	    c->row->on_death != DEATH_RESTART ? "" : ", replaced";
	(void)proc_child_text(c, text);
	if (WIFSIGNALED(status))
		log_warnx("%s killed by signal %d (%s)%s%s%s", text,
		    WTERMSIG(status), strsignal(WTERMSIG(status)),
		    c->reason[0] == '\0' ? "" : ": ", c->reason, after);
	else if (WEXITSTATUS(status) == EXEC_FAILED)
		log_warnx("%s: %s could not be executed%s", text,
		    pp.self_path, after);
	else
		log_warnx("%s ended with status %d%s%s%s", text,
		    WEXITSTATUS(status), c->reason[0] == '\0' ? "" : ": ",
		    c->reason, after);
}

/* What its row says of its death; *c may be gone afterwards. */
static void
reap_follow(struct proc_child *c)
{
	size_t	i;

	if (pp.stopping != STOPPING_NO) {
		proc_stop_next();
		return;
	}
	switch (c->row->on_death) {
	case DEATH_RESTART:
		proc_restart_later(c);
		break;
	case DEATH_STOP_ALL:
		proc_stop(PROC_STOP_ALL_S);
		break;
	case DEATH_ONCE:
		for (i = 0; i < PROC_CHILDREN_MAX; i++)
			if (pp.child[i] == c)
				pp.child[i] = NULL;
		free(c);
		break;
	}
}

static void
reap_child(struct proc_child *c, int status)
{
	int	is_logger = c->row->role == PROC_LOGGER;

	c->is_reaped = 1;	/* what it said last may break a rule */
	chan_drain(&c->chan);
	reap_log(c, status);
	chan_close(&c->chan);
	c->pid = 0;
	c->is_ready = 0;
	if (is_logger)
		proc_sink_gone();
	if (pp.ops->on_gone != NULL)
		pp.ops->on_gone(c, pp.arg);
	reap_follow(c);
}

static void
reap_all(void)
{
	pid_t	pid;
	size_t	i;
	int	status;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		for (i = 0; i < PROC_CHILDREN_MAX; i++)
			if (pp.child[i] != NULL && pp.child[i]->pid == pid) {
				reap_child(pp.child[i], status);
				break;
			}
}

static void
reap_on_pipe(struct loop_fd *lf, short revents, void *unused)
{
	uint8_t	octets[64];

	(void)lf;
	(void)revents;
	(void)unused;
	while (read(reap_pipe[0], octets, sizeof(octets)) > 0)
		;
	reap_all();
}

static void
reap_catch(int sig)
{
	int	saved = errno;

	(void)sig;
	/* A full pipe holds enough to wake us. */
	(void)!write(reap_pipe[1], "", 1);
	errno = saved;
}

int
proc_reap_init(void)
{
	struct sigaction	sa;

	if (pipe2(reap_pipe, O_NONBLOCK | O_CLOEXEC) == -1)
		return -1;
	loop_fd_init(&reap_lfd);
	if (loop_add(pp.loop, &reap_lfd, reap_pipe[0], POLLIN, reap_on_pipe,
	    NULL) == -1)
		return -1;
	memset(&sa, 0, sizeof(sa));
	(void)sigemptyset(&sa.sa_mask);	/* can't fail */
	sa.sa_flags = SA_RESTART | SA_NOCLDSTOP;
	sa.sa_handler = reap_catch;
	return sigaction(SIGCHLD, &sa, NULL);
}

/* Once no child is left. */
void
proc_reap_clear(void)
{
	(void)signal(SIGCHLD, SIG_DFL);	/* a number that exists */
	loop_del(pp.loop, &reap_lfd);
	(void)close(reap_pipe[0]);	/* nothing to lose in it */
	(void)close(reap_pipe[1]);
	reap_pipe[0] = reap_pipe[1] = -1;
}
