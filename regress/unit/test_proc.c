/*
 * Tests of processes: a small program of a parent, workers and the real
 * logger, started, killed, hung, lying and stopped.  As root with another
 * user and a root directory, else without; the sandbox is real in both.
 */
#include <sys/types.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../common/log.h"
#include "../../privsep/proc_private.h"
#include "proc_home.h"

#define NROWS(a)	((int)(sizeof(a) / sizeof((a)[0])))

static struct home_kid	*const w0 = &home_worker[0];
static struct home_kid	*const w1 = &home_worker[1];

/* A logger and two workers, in service. */
static void
start_all(void)
{
	home_start(PROC_LOGGER, 0);
	home_start(PROC_WORKER, 0);
	home_start(PROC_WORKER, 1);
	WAIT(home_logger.nready == 1 && w0->nready == 1 && w1->nready == 1,
	    5000);
}

static void
check_log(const struct home_kid *k, const char *form)
{
	char	line[256];

	(void)snprintf(line, sizeof(line), form, (long)home_pid(k));
	WAIT(home_count(line) == 1, 3000);
}

/* --- The way things should be --- */

START_TEST(start_and_stop)
{
	start_all();
#ifndef SANDBOX_TRACE
	ck_assert_uint_eq(proc_child_max_files(w0->child), 200);
#endif
	ck_assert_uint_gt(proc_child_max_files(home_logger.child), 0);
	ck_assert_int_eq(home_tell(w0, KID_DO_SAY, "here"), 0);
	ck_assert_int_eq(home_tell(w1, KID_DO_LOG, "a \033 line"), 0);
	WAIT(strcmp(w0->said, "here") == 0, 3000);
	check_log(w1, "worker[1] %ld: a \\x1b line\n");
	log_info("the parent's own");
	WAIT(home_count("the parent's own\n") == 1, 3000);
	home_stop(5);
	/* Each was heard to the end, and nobody was killed. */
	ck_assert_uint_eq(home_count("last words\n"), 2);
	ck_assert_uint_eq(home_count("killed"), 0);
	ck_assert_uint_eq(home_count("status"), 0);
	ck_assert_uint_eq(w0->ngone + w1->ngone + home_logger.ngone, 3);
}
END_TEST

/* What a child finds when it begins (DECISIONS, the terminal). */
START_TEST(found)
{
	home_start_ready(PROC_WORKER, 0);
	ck_assert_int_eq(home_tell(w0, KID_DO_REPORT, ""), 0);
	WAIT(w0->said[0] != '\0', 3000);
#ifdef SANDBOX_TRACE
	ck_assert_ptr_nonnull(strstr(w0->said, "null=110"));
#else
	ck_assert_msg(strstr(w0->said, "null=111 fds=1 env=0 ") != NULL,
	    "%s", w0->said);
#endif
	ck_assert_ptr_nonnull(strstr(w0->said, "cwd=/ leader=1 "
	    "ignored=1111 child=0 blocked=0"));
}
END_TEST

START_TEST(descriptors)
{
	struct msg_writer	w;
	int			in[2], out[2], fds[2];
	char			octet;

	home_start_ready(PROC_WORKER, 0);
	ck_assert_int_eq(pipe(in), 0);
	ck_assert_int_eq(pipe(out), 0);
	ck_assert_int_eq(write(in[1], "!", 1), 1);
	fds[0] = in[0];
	fds[1] = out[1];
	msg_start(&w, KID_FDS, 0);
	ck_assert_int_eq(chan_send(proc_child_chan(w0->child), &w, fds, 2, 1),
	    0);
	WAIT(strcmp(w0->said, "passed") == 0, 3000);
	ck_assert_int_eq(read(out[0], &octet, 1), 1);
	ck_assert_int_eq(octet, '!');
}
END_TEST

/* A row that names a user gets that one's, all others the configuration's. */
START_TEST(users)
{
	char	who[64];

	home_start_ready(PROC_KEYHOLDER, 0);
	home_start_ready(PROC_WORKER, 0);
	ck_assert_int_eq(home_tell(&home_keyholder, KID_DO_USER, ""), 0);
	ck_assert_int_eq(home_tell(w0, KID_DO_USER, ""), 0);
	WAIT(home_keyholder.said[0] != '\0' && w0->said[0] != '\0', 3000);
	if (geteuid() != 0) {
		ck_assert_str_eq(home_keyholder.said, w0->said);
		return;
	}
	(void)snprintf(who, sizeof(who), "%d %d", HOME_KEYHOLDER,
	    HOME_KEYHOLDER);
	ck_assert_str_eq(home_keyholder.said, who);
	(void)snprintf(who, sizeof(who), "%u %u",
	    (unsigned int)home_identity.uid, (unsigned int)home_identity.gid);
	ck_assert_str_eq(w0->said, who);
}
END_TEST

/* The terminal's and the service manager's signals are the parent's. */
START_TEST(signals_ignored)
{
	static const int	sigs[] = { SIGTERM, SIGINT, SIGHUP, SIGPIPE };
	int			i;

	start_all();
	for (i = 0; i < NROWS(sigs); i++)
		ck_assert_int_eq(kill(home_pid(w0), sigs[i]), 0);
	ck_assert_int_eq(home_tell(w0, KID_DO_SAY, "alive"), 0);
	WAIT(strcmp(w0->said, "alive") == 0, 3000);
	ck_assert_uint_eq(w0->ngone, 0);
}
END_TEST

/* --- Death and replacement --- */

START_TEST(worker_killed)
{
	pid_t	pid, other;
	char	line[256];
	int64_t	ms;

	start_all();
	pid = home_pid(w0);
	other = home_pid(w1);
	ck_assert_int_eq(kill(pid, SIGKILL), 0);
	ms = port_now_ms();
	WAIT(w0->nready == 2, 3000);
	ck_assert_int_lt(port_now_ms() - ms, 1000 * home_patience());
	ck_assert_uint_eq(w0->ngone, 1);
	ck_assert_int_ne(home_pid(w0), pid);
	ck_assert_int_eq(home_pid(w1), other);
	ck_assert_uint_eq(w1->ngone, 0);
	(void)snprintf(line, sizeof(line), "worker[0] pid %ld killed by "
	    "signal 9 (Killed), replaced\n", (long)pid);
	WAIT(home_count(line) == 1, 3000);
	/* The new one has its own way to the logger, who knows its pid. */
	ck_assert_int_eq(home_tell(w0, KID_DO_LOG, "new"), 0);
	check_log(w0, "worker[0] %ld: new\n");
	ck_assert_int_eq(home_tell(w1, KID_DO_LOG, "old"), 0);
	check_log(w1, "worker[1] %ld: old\n");
}
END_TEST

START_TEST(logger_killed)
{
	int	i;

	start_all();
	/* What was on its way when it died, dies with it. */
	ck_assert_int_eq(kill(home_pid(&home_logger), SIGKILL), 0);
	WAIT(home_logger.ngone == 1, 3000);
	for (i = 0; i < 30; i++)
		log_info("meanwhile %d.", i);
	WAIT(home_logger.nready == 2, 3000);
	/* What was said while it was away comes late, but comes. */
	WAIT(home_count("meanwhile 0.") == 1 &&
	    home_count("meanwhile 29.") == 1, 3000);
	WAIT(home_count("logger pid") == 1, 3000);
	ck_assert_int_eq(home_tell(w0, KID_DO_LOG, "over the new"), 0);
	check_log(w0, "worker[0] %ld: over the new\n");
	ck_assert_uint_eq(w0->ngone + w1->ngone, 0);
}
END_TEST

/* A ring: the newest are kept, the others counted. */
START_TEST(logger_away)
{
	int	i;

	start_all();
	home_forget_log();
	ck_assert_int_eq(kill(home_pid(&home_logger), SIGKILL), 0);
	WAIT(home_logger.ngone == 1, 3000);
	for (i = 0; i < 100; i++)
		log_info("ring %d.", i);
	WAIT(home_logger.nready == 2 && home_count("ring 99.") == 1, 3000);
	ck_assert_uint_eq(home_count("ring 36."), 1);
	ck_assert_uint_eq(home_count("ring 35."), 0);
	ck_assert_uint_eq(home_count("log records dropped"), 1);
}
END_TEST

START_TEST(exit_and_abort)
{
	start_all();
	ck_assert_int_eq(home_tell(w0, KID_DO_EXIT, ""), 0);
	ck_assert_int_eq(home_tell(w1, KID_DO_ABORT, ""), 0);
	WAIT(w0->nready == 2 && w1->nready == 2, 3000);
	WAIT(home_count("ended with status 3, replaced\n") == 1, 3000);
	/* Aborting needs a signal to oneself: the filter has let it. */
	WAIT(home_count("killed by signal 6 (Aborted), replaced\n") == 1,
	    3000);
}
END_TEST

static const struct {
	enum kid_do	 what;
	const char	*logged;
} lies[] = {
	{ KID_DO_LIE_TYPE,	"message 200 (unknown): unknown type" },
	{ KID_DO_LIE_STATE,	"(HELLO): state" },
	{ KID_DO_LIE_PONG,	"(PONG): nobody asked" },
	{ KID_DO_LIE_READY,	"(READY): state" },
	{ KID_DO_LIE_FDS,	"(SAID): descriptors" }
};

START_TEST(liar)
{
	start_all();
	ck_assert_int_eq(home_tell(w0, lies[_i].what, ""), 0);
	WAIT(w0->nready == 2, 3000);
	WAIT(home_count(lies[_i].logged) == 1, 3000);
	WAIT(home_count("violation by worker[0]") == 1, 3000);
	/* Killed, unless it was gone before by itself. */
	WAIT(home_count(": violation: ") == 1, 3000);
	ck_assert_uint_eq(w1->ngone, 0);
}
END_TEST

/* The same when all is being stopped: once this stepped a state back. */
START_TEST(liar_behind_stop)
{
	w0->is = KID_IS_STUBBORN;
	start_all();
	proc_stop(5);
	ck_assert_int_eq(home_tell(w0, KID_DO_LIE_READY, ""), 0);
	WAIT(home_is_stopped, 5000);
	WAIT(home_count("(READY): state") == 1, 3000);
}
END_TEST

START_TEST(liar_before_hello)
{
	home_start_ready(PROC_LOGGER, 0);
	home_start(PROC_WORKER, KID_EARLY);
	WAIT(home_worker[KID_EARLY].ngone >= 2, 5000);
	ck_assert_uint_eq(home_worker[KID_EARLY].nsetup, 0);
	ck_assert_uint_ge(home_count("(READY): state"), 1);
	ck_assert_uint_eq(home_logger.ngone, 0);
}
END_TEST

/* A lie to the logger costs the liar its way to it, and nobody else's. */
START_TEST(liar_to_the_logger)
{
	start_all();
	ck_assert_int_eq(home_tell(w0, KID_DO_LIE_LOG, ""), 0);
	WAIT(home_count("violation by worker[0]") == 1, 3000);
	ck_assert_int_eq(home_tell(w1, KID_DO_LOG, "still heard"), 0);
	check_log(w1, "worker[1] %ld: still heard\n");
	ck_assert_uint_eq(home_logger.ngone, 0);
}
END_TEST

START_TEST(killed_with_a_reason)
{
	start_all();
	proc_child_kill(w0->child, "a session not its own");
	ck_assert(!proc_child_is_ready(w0->child));
	proc_child_kill(w0->child, "said twice");
	WAIT(w0->nready == 2, 3000);
	WAIT(home_count("killed by signal 9 (Killed): a session not its "
	    "own, replaced\n") == 1, 3000);
	ck_assert_uint_eq(home_count("twice"), 0);
}
END_TEST

START_TEST(channel_closed)
{
	proc_set_limits(200 * home_patience(), 500 * home_patience());
	start_all();
	ck_assert_int_eq(home_tell(w0, KID_DO_CLOSE, ""), 0);
	WAIT(w0->nready == 2, 5000);
	WAIT(home_count("closed its channel, replaced\n") == 1, 3000);
}
END_TEST

/* Dies again at once: 100, 200, 400, 800 ms and so on. */
START_TEST(delay_grows)
{
	int64_t	end, first;

	w0->is = KID_IS_SHORT;
	home_start(PROC_WORKER, 0);
	WAIT(w0->ngone >= 1, 3000);
	first = port_now_ms();
	WAIT(w0->ngone >= 4, 8000);
	/* 100, 200 and 400 have passed; the clock is a coarse one. */
	ck_assert_int_ge(port_now_ms() - first, 650);
	ck_assert_int_ge(w0->child->delay_ms, 800);
	w0->is = KID_IS_GOOD;
	WAIT(proc_child_is_ready(w0->child), 6000);
	/* It lives, and after a minute all is forgotten. */
	w0->child->started_ms -= PROC_ALIVE_MS;
	ck_assert_int_eq(kill(home_pid(w0), SIGKILL), 0);
	end = (int64_t)w0->ngone;
	WAIT((int64_t)w0->ngone > end, 3000);
	ck_assert_int_eq(w0->child->delay_ms, PROC_DELAY_MIN_MS);
}
END_TEST

START_TEST(delay_is_bounded)
{
	home_start_ready(PROC_WORKER, 0);
	w0->child->delay_ms = PROC_DELAY_MAX_MS;
	ck_assert_int_eq(kill(home_pid(w0), SIGKILL), 0);
	WAIT(w0->ngone == 1, 3000);
	ck_assert_int_eq(w0->child->delay_ms, PROC_DELAY_MAX_MS);
}
END_TEST

/* --- Hung --- */

START_TEST(hung)
{
	proc_set_limits(100, 400 * home_patience());
	start_all();
	ck_assert_int_eq(kill(home_pid(w0), SIGSTOP), 0);
	WAIT(w0->nready == 2, 5000);
	WAIT(home_count("does not answer, replaced\n") == 1, 3000);
	ck_assert_uint_eq(w1->ngone, 0);	/* it is asked, and answers */
	ck_assert_uint_eq(home_logger.ngone, 0);
}
END_TEST

START_TEST(hung_and_full)
{
	proc_set_limits(60000, 400 * home_patience());
	pp.ping_ms = 60000;
	start_all();
	ck_assert_int_eq(kill(home_pid(w0), SIGSTOP), 0);
	while (home_tell(w0, KID_DO_SAY, home_log) == 0)
		;
	ck_assert_int_eq(errno, ENOBUFS);
	WAIT(w0->nready == 2, 5000);
	WAIT(home_count("takes no messages, replaced\n") == 1, 3000);
}
END_TEST

/* Time in which we did not run is not counted against a child. */
START_TEST(we_did_not_run)
{
	struct home_kid	*k = w0;
	int64_t		 end;

	proc_set_limits(100, 3000);
	home_start_ready(PROC_WORKER, 0);
	WAIT(k->child->pinged_ms != 0, 3000);
	k->child->pinged_ms -= 60000;
	pp.ticked_ms -= 60000;
	end = port_now_ms() + 500;
	while (port_now_ms() < end)
		home_pass();
	ck_assert_uint_eq(k->ngone, 0);
}
END_TEST

/* --- Set-up that fails --- */

START_TEST(setup_is_fatal)
{
	start_all();
	home_worker[2].is = KID_IS_FATAL;
	home_start(PROC_WORKER, 2);
	WAIT(home_worker[2].nfailed == 2, 5000);
	ck_assert_uint_eq(home_worker[2].nready, 0);
	WAIT(home_count(": fatal: told to\\x0afail\n") == 2, 3000);
	WAIT(home_count("ended with status 1, replaced\n") >= 2, 3000);
}
END_TEST

START_TEST(another_build)
{
	static const char *const	argv[] = { "-B", "other", NULL };
	int64_t				end;

	home_set_up_with(kid_rows, argv);
	home_start(PROC_LOGGER, 0);
	home_start(PROC_WORKER, 0);
	home_start(PROC_WORKER, 1);
	WAIT(w0->nready == 1 && w1->ngone == 1, 5000);
	WAIT(home_count("binary changed on disk, restart needed\n") == 1,
	    3000);
	end = port_now_ms() + 1500;
	while (port_now_ms() < end)
		home_pass();
	/* Not used, not tried in a loop; the others work on. */
	ck_assert_uint_eq(w1->nsetup, 0);
	ck_assert_uint_eq(w1->ngone, 1);
	ck_assert_uint_eq(home_count("binary changed"), 1);
	ck_assert_uint_eq(w0->ngone, 0);
}
END_TEST

START_TEST(no_program)
{
	home_start_ready(PROC_LOGGER, 0);
	pp.self_path = "/nonexistent";
	home_start(PROC_WORKER, 0);
	WAIT(w0->ngone == 2, 5000);
	WAIT(home_count(": /nonexistent could not be executed") >= 1, 3000);
	pp.self_path = kid_path;
	WAIT(w0->nready == 1, 6000);
}
END_TEST

/* The system has nothing left: said, and tried until it has. */
START_TEST(no_descriptors)
{
	struct rlimit	rl, few;

	home_start_ready(PROC_LOGGER, 0);
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &rl), 0);
	few = rl;
	few.rlim_cur = 1;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &few), 0);
	w0->child = proc_start(PROC_WORKER, 0);
	ck_assert_ptr_nonnull(w0->child);
	ck_assert_int_eq(home_pid(w0), 0);
	ck_assert_ptr_null(proc_start(PROC_RESOLVE, 0));	/* once */
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &rl), 0);
	WAIT(w0->nready == 1, 3000);
	WAIT(home_count("worker[0]: socketpair: ") == 1, 3000);
}
END_TEST

static void
check_root_refused(const char *why)
{
	home_start(PROC_WORKER, 0);
	WAIT(w0->nfailed >= 1, 5000);
	ck_assert_uint_eq(w0->nready, 0);
	ck_assert_msg(home_count(why) >= 1, "%s", home_log);
}

START_TEST(root_not_empty)
{
	char	path[300];

	if (geteuid() != 0)
		return;			/* no root is changed then */
	(void)snprintf(path, sizeof(path), "%s/x", home_identity.chroot);
	ck_assert_int_eq(mkdir(path, 0700), 0);
	check_root_refused(": not empty");
	(void)rmdir(path);
}
END_TEST

START_TEST(root_writable)
{
	if (geteuid() != 0)
		return;
	ck_assert_int_eq(chmod(home_identity.chroot, 0775), 0);
	check_root_refused(": writable for group or world");
}
END_TEST

START_TEST(root_not_roots)
{
	if (geteuid() != 0)
		return;
	ck_assert_int_eq(chown(home_identity.chroot, 65534, 65534), 0);
	check_root_refused(": not owned by root");
}
END_TEST

START_TEST(user_is_root)
{
	if (geteuid() != 0)
		return;
	home_identity.uid = 0;
	check_root_refused(": fatal: user: is root");
}
END_TEST

START_TEST(user_is_missing)
{
	if (geteuid() != 0)
		return;
	pp.identity = NULL;
	check_root_refused("and none is given to change to");
}
END_TEST

/* --- Once, and all with one --- */

START_TEST(once)
{
	int	i;

	home_start_ready(PROC_LOGGER, 0);
	for (i = 1; i <= 3; i++) {
		home_start(PROC_RESOLVE, 0);
		WAIT((int)home_resolve.nready == i, 5000);
		if (i == 3)
			ck_assert_int_eq(home_tell(&home_resolve,
			    KID_DO_EXIT, ""), 0);
		else
			proc_child_kill(home_resolve.child, "enough");
		WAIT((int)home_resolve.ngone == i, 3000);
	}
	/* Its place is free again. */
	ck_assert_ptr_null(pp.child[1]);
	ck_assert_uint_eq(home_resolve.nsetup, 3);
	WAIT(home_count("ended with status 3\n") == 1, 3000);
}
END_TEST

START_TEST(must_live)
{
	home_set_up_with(kid_rows_must_live, NULL);
	start_all();
	ck_assert_int_eq(kill(home_pid(w0), SIGKILL), 0);
	WAIT(home_is_stopped, 5000);
	ck_assert_uint_eq(w0->nready, 1);
	ck_assert_uint_eq(home_count("last words\n"), 1);	/* of w1 */
}
END_TEST

START_TEST(too_many)
{
	static struct proc_child	some;
	size_t				i;

	errno = 0;
	ck_assert_ptr_null(proc_start(PROC_ROLES, 0));
	ck_assert_int_eq(errno, ENOENT);
	for (i = 0; i < PROC_CHILDREN_MAX; i++)
		pp.child[i] = &some;
	ck_assert_ptr_null(proc_start(PROC_WORKER, 0));
	ck_assert_int_eq(errno, EAGAIN);
	memset(pp.child, 0, sizeof(pp.child));
}
END_TEST

/* --- The end --- */

START_TEST(stubborn)
{
	int64_t	ms;

	w0->is = KID_IS_STUBBORN;
	start_all();
	ms = port_now_ms();
	home_stop(1);
	ck_assert_int_ge(port_now_ms() - ms, 900);
	ck_assert_int_lt(port_now_ms() - ms, 4000 * home_patience());
	ck_assert_uint_eq(home_count("did not stop in time\n"), 1);
	ck_assert_uint_eq(home_count("last words\n"), 1);
}
END_TEST

/* Killed between STOP and its end: not replaced. */
START_TEST(killed_while_stopping)
{
	w0->is = KID_IS_STUBBORN;
	start_all();
	proc_stop(60);
	home_pass();
	ck_assert_int_eq(kill(home_pid(w0), SIGKILL), 0);
	WAIT(home_is_stopped, 5000);
	ck_assert_uint_eq(w0->nready, 1);
	ck_assert_uint_eq(home_count("replaced"), 0);
}
END_TEST

START_TEST(stop_in_setup)
{
	w0->is = KID_IS_SLOW;
	home_start(PROC_LOGGER, 0);
	home_start(PROC_WORKER, 0);
	home_start(PROC_WORKER, 1);
	if (_i == 1)
		WAIT(w0->nsetup == 1, 5000);
	home_stop(60);
	ck_assert_uint_eq(home_count("replaced"), 0);
}
END_TEST

/* Whom the others need to their end, and who writes it down. */
START_TEST(stop_in_order)
{
	const char	*worker, *keyholder;

	w0->is = _i == 1 ? KID_IS_STUBBORN : KID_IS_GOOD;
	start_all();
	home_start_ready(PROC_KEYHOLDER, 0);
	home_stop(1);
	ck_assert_ptr_nonnull(worker = strstr(home_log, ": last words\n"));
	keyholder = strstr(home_log, ": keyholder's last words\n");
	ck_assert_ptr_nonnull(keyholder);
	ck_assert(keyholder > worker);
	ck_assert_uint_eq(home_count("did not stop in time"), (size_t)_i);
	ck_assert_uint_eq(home_logger.ngone, 1);
}
END_TEST

START_TEST(stop_before_restart)
{
	start_all();
	ck_assert_int_eq(kill(home_pid(w0), SIGKILL), 0);
	WAIT(w0->ngone == 1, 3000);
	home_stop(5);
	ck_assert_uint_eq(w0->nready, 1);
}
END_TEST

START_TEST(stop_without_children)
{
	home_stop(5);
	ck_assert(home_is_stopped);
}
END_TEST

/* Whoever is left without the parent ends. */
START_TEST(parent_dies)
{
	int	i;

	start_all();
	for (i = 0; i < 3; i++)
		chan_close(&pp.child[i]->chan);
	WAIT(home_logger.ngone == 1 && w0->ngone == 1 && w1->ngone == 1,
	    3000);
	WAIT(home_logger.nready == 2 && w0->nready == 2 && w1->nready == 2,
	    5000);
}
END_TEST

static void
add_deaths(TCase *tc)
{
	tcase_add_test(tc, worker_killed);
	tcase_add_test(tc, logger_killed);
	tcase_add_test(tc, logger_away);
	tcase_add_test(tc, exit_and_abort);
	tcase_add_loop_test(tc, liar, 0, NROWS(lies));
	tcase_add_test(tc, liar_behind_stop);
	tcase_add_test(tc, liar_before_hello);
	tcase_add_test(tc, liar_to_the_logger);
	tcase_add_test(tc, killed_with_a_reason);
	tcase_add_test(tc, channel_closed);
	tcase_add_test(tc, delay_grows);
	tcase_add_test(tc, delay_is_bounded);
	tcase_add_test(tc, hung);
	tcase_add_test(tc, hung_and_full);
	tcase_add_test(tc, we_did_not_run);
	tcase_add_test(tc, once);
	tcase_add_test(tc, too_many);
}

static void
add_ends(TCase *tc)
{
	tcase_add_test(tc, setup_is_fatal);
	tcase_add_test(tc, no_program);
	tcase_add_test(tc, no_descriptors);
	tcase_add_test(tc, root_not_empty);
	tcase_add_test(tc, root_writable);
	tcase_add_test(tc, root_not_roots);
	tcase_add_test(tc, user_is_root);
	tcase_add_test(tc, user_is_missing);
	tcase_add_test(tc, stubborn);
	tcase_add_test(tc, killed_while_stopping);
	tcase_add_loop_test(tc, stop_in_setup, 0, 2);
	tcase_add_loop_test(tc, stop_in_order, 0, 2);
	tcase_add_test(tc, stop_before_restart);
	tcase_add_test(tc, stop_without_children);
	tcase_add_test(tc, parent_dies);
}

int
main(int argc, char *argv[], char *envp[])
{
	Suite	*s = suite_create("proc");
	TCase	*tc = tcase_create("proc"), *own = tcase_create("own");
	SRunner	*sr;
	int	 nfailed;

	kid_start(argc, argv, envp);
	tcase_set_timeout(tc, 30);
	tcase_add_checked_fixture(tc, home_set_up, home_tear_down);
	tcase_add_test(tc, start_and_stop);
	tcase_add_test(tc, found);
	tcase_add_test(tc, descriptors);
	tcase_add_test(tc, users);
	tcase_add_test(tc, signals_ignored);
	add_deaths(tc);
	add_ends(tc);
	suite_add_tcase(s, tc);
	tcase_set_timeout(own, 30);
	tcase_add_checked_fixture(own, NULL, home_tear_down);
	tcase_add_test(own, another_build);
	tcase_add_test(own, must_live);
	suite_add_tcase(s, own);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	nfailed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return nfailed == 0 ? 0 : 1;
}
