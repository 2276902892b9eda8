#ifndef PROC_H
#define PROC_H

#include <sys/types.h>

#include <stddef.h>
#include <stdint.h>

#include "../common/loop.h"
#include "chan.h"
#include "msg_table.h"

/*
 * Processes as rows of one table: how each is started, what it may do, whom
 * it talks to, and what its death means.  The table is the program's
 * (smtpproxyd/main.c); what is done with it is here.
 */
#define USER_CONF	"\001conf"	/* the user of the configuration */
#define ROOT_CONF	"\001conf"	/* the chroot of the configuration */

enum proc_death {
	DEATH_STOP_ALL = 0,
	DEATH_RESTART,
	DEATH_ONCE		/* ends after its answer */
};

struct proc_row {
	enum proc_role	  role;
	const char	 *name;		/* -P name, process title, log */
	void		(*main)(int fd);	/* never returns */
	const char	 *user;		/* USER_CONF, a name, NULL: stays */
	const char	 *root;		/* ROOT_CONF, NULL: no chroot */
	const char	 *promises;	/* pledge(2) words */
	unsigned int	  peers;	/* ROLE() mask */
	enum proc_death	  on_death;
	rlim_t		  max_files;	/* RLIMIT_NOFILE; 0: as inherited */
};

/* What the drop needs, decided by the parent, sent as MSG_DROP. */
struct proc_identity {
	uid_t	uid;
	gid_t	gid;
	char	chroot[256];
};

/* --- In a child: every *_main() begins with these, in this order. --- */

/*
 * Take the channel on descriptor fd: cwd, environment, umask and descriptors
 * are reset, HELLO is exchanged (another build id: one log line, exit), DROP
 * is received and kept.  On return the channel is in state SETUP: receive the
 * settings with chan_wait(), open nothing more.
 */
void	proc_child_start(struct chan *, struct loop *, int fd, enum proc_role);
uint32_t	proc_child_instance(void);

/*
 * Give everything up that the row does not promise, verify that it took, and
 * tell the parent READY; the channel is then in state RUN.  fatal on any
 * failure: "chroot: ...", "user: ..." and so on (proc_drop.c).
 */
void	proc_child_ready(struct chan *);

/*
 * Handle what privsep itself sends (PING, PEER of the logger).
 *   returns   1 when the message was one of those, 0 for the caller's own
 */
int	proc_child_msg(struct chan *, struct msg *);

/*
 * Log lines of this process go to the logger from here on; records that find
 * no room are dropped, counted, and the count is logged when it drains.
 * Collected and sent once a pass where proc_log_flush() is called.
 */
void	proc_log_flush(void);

/* --- proc_drop.c --- */

/*
 * chroot, chdir, groups, user, limits, sandbox, verification.  fatal() names
 * the step that failed.  identity NULL: no user and no root to give up, the
 * sandbox only (resolve under -n as an ordinary user).
 */
void	proc_drop(const struct proc_row *, const struct proc_identity *);

/* --- In the parent. --- */

struct proc_child;

/* The parent's view of its children, called from the loop. */
struct proc_ops {
	/* A message of the program's own rows from a child. */
	void	(*on_msg)(struct proc_child *, struct msg *, void *);
	/*
	 * HELLO was right: send the settings now, with chan_send() on
	 * proc_child_chan(); privsep sends DROP before and the PEERs.
	 */
	void	(*on_setup)(struct proc_child *, void *);
	/* READY came: the child is in service. */
	void	(*on_ready)(struct proc_child *, void *);
	/*
	 * It is gone: logged and reaped (or being killed), its channel closed.
	 * It is started again by itself where its row says so.
	 */
	void	(*on_gone)(struct proc_child *, void *);
	/* All children have ended after proc_stop(). */
	void	(*on_stopped)(void *);
};

/*
 * Say what this program is.  The table (with the parent's own row) and the
 * message rows are borrowed for good.  build_id is a hash of the sources.
 */
void	proc_init(const struct proc_row *, size_t nrows,
	    const struct msg_row *, size_t nmsgs, const char *build_id);
const struct proc_row	*proc_row(enum proc_role);
/* The row of `-P name`, or NULL. */
const struct proc_row	*proc_row_by_name(const char *);

/*
 * The parent's set-up: path for the re-execution, the identity that children
 * with USER_CONF and ROOT_CONF get, SIGCHLD.  The loop and ops are borrowed.
 */
void	proc_parent_init(struct loop *, const char *self_path,
	    const struct proc_identity *, const struct proc_ops *, void *arg,
	    int verbose, const char *const *extra_argv);

/*
 * Start one child.  It is connected to every running peer that both rows
 * name, now and whenever one of them is replaced (MSG_PEER).
 *   returns   the child, which lives until proc_stop(); NULL with errno
 */
struct proc_child	*proc_start(enum proc_role, uint32_t instance);

struct chan	*proc_child_chan(struct proc_child *);
enum proc_role	 proc_child_role(const struct proc_child *);
uint32_t	 proc_child_instance_of(const struct proc_child *);
int		 proc_child_is_ready(const struct proc_child *);
pid_t		 proc_child_pid(const struct proc_child *);
/* Descriptors that it may hold, as it said in READY. */
uint32_t	 proc_child_max_files(const struct proc_child *);

/*
 * It broke the rules: one line with the reason, SIGKILL, replaced (with a
 * delay that doubles from 0.1 s to 5 s when it dies again at once, and is
 * forgotten after 60 s alive).
 */
void	proc_child_kill(struct proc_child *, const char *reason);

/*
 * Where log lines go: a descriptor of a sink for the logger (-1: none
 * needed), kept by the parent and handed to a replaced logger too.  The
 * opener is called again when the logger says SINK_LOST.
 */
void	proc_set_log_sink(enum log_sink_kind, int (*open_sink)(void),
	    const char *tag);

/*
 * Say STOP to all but the logger; after `seconds` kill what is left, then end
 * the logger last, so that it writes what was said.  on_stopped follows.
 */
void	proc_stop(unsigned int seconds);

#endif
