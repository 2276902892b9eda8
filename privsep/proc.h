#ifndef PROC_H
#define PROC_H

#include <sys/types.h>
#include <sys/time.h>
#include <sys/resource.h>

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

/* A user that a row names: looked up while the parent can open files still. */
struct proc_user {
	const char	*name;
	uid_t		 uid;
	gid_t		 gid;
};

/*
 * What the drop needs, decided by the parent, sent as MSG_DROP.  USER_CONF is
 * uid and gid; a row that names another user has its from the list.
 */
struct proc_identity {
	uid_t			 uid;
	gid_t			 gid;
	char			 chroot[256];
	const struct proc_user	*users;		/* borrowed; parent only */
	size_t			 nusers;
};

/* --- In a child: every *_main() begins with these, in this order. --- */

/*
 * Take the channel on descriptor fd: cwd, environment, umask, signals and
 * descriptors are reset, the loop is made (with a queue for quiet descriptors
 * where `park` says so, loop_init()), HELLO is exchanged (another build id: the
 * parent logs it, exit), DROP is received and kept.  On return the channel is
 * in state SETUP: receive the settings with chan_wait(), open nothing more, and
 * chan_set_handlers().  Until then a message that is not privsep's own is
 * fatal, and the end of the channel is the end of the process.  What is
 * logged as fatal before proc_child_ready() returns reaches the parent.
 */
void	proc_child_start(struct chan *, struct loop *, int park, int fd,
	    enum proc_role);
uint32_t	proc_child_instance(void);

/*
 * Give everything up that the row does not promise, verify that it took, and
 * tell the parent READY; the channel is then in state RUN.  fatal on any
 * failure: "chroot: ...", "user: ..." and so on (proc_drop.c).
 */
void	proc_child_ready(struct chan *);

/*
 * Handle what privsep itself sends (PING, PEER).  STOP moves the channel to
 * its state STOP, and is the caller's own besides: end with exit(0) when what
 * runs is finished.
 *   returns   1 when the message was one of those, 0 for the caller's own
 */
int	proc_child_msg(struct chan *, struct msg *);

/*
 * Channels to other children come by PEER, and a new one in the place of the
 * old when a peer was replaced; the logger's is dealt with inside (not in the
 * logger itself).  Say what to do with the others before the first PEER can
 * come, that is before the first chan_wait() behind proc_child_start().
 *   on_peer   a channel is open, the process at its other end is new
 *   on_msg, on_end   as in chan.h; on_end also when it is replaced
 */
struct proc_peer_ops {
	void		(*on_peer)(struct chan *, pid_t, void *);
	chan_msg_fn	*on_msg;
	chan_end_fn	*on_end;
	void		*arg;
};
void	proc_child_set_peers(const struct proc_peer_ops *);

/* The open channel to a peer, or NULL while there is none. */
struct chan	*proc_child_peer(enum proc_role, uint32_t instance);

/*
 * Log lines of this process go to the logger, from proc_child_start() on (the
 * parent: proc_set_log_sink()).  Those of one pass of the loop are sent
 * together: at its timers, or earlier where proc_log_flush() is called.
 * Records that find no room are dropped, counted, and the count is logged
 * when it drains.  While there is no logger the last PROC_LOG_RING are kept.
 */
#define PROC_LOG_RING	64
void	proc_log_flush(void);

/* --- proc_drop.c --- */

/*
 * chroot, chdir, groups, user, limits, sandbox, verification.  fatal() names
 * the step that failed.  identity NULL: no user and no root to give up, the
 * sandbox only (resolve under -n as an ordinary user).
 */
void	proc_drop(const struct proc_row *, const struct proc_identity *);

/* RLIMIT_NOFILE as proc_drop() has set it: the filter forbids to ask later. */
uint32_t	proc_drop_max_files(void);

/*
 * May this folder be a root directory: absolute, owned by root, not writable
 * for group or world, empty?
 *   returns   0, or -1 with *why, a text for "chroot PATH: ..."
 */
int	proc_check_root(const char *path, const char **why);

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
	/* Its set-up failed, logged already: `why` is its own text. */
	void	(*on_failed)(struct proc_child *, const char *why, void *);
	/*
	 * It is gone: logged and reaped, its channel closed (is_ready has
	 * been 0 since it was killed).  It is started again by itself where
	 * its row says so.
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
 * get (NULL: whoever we are), SIGCHLD.  The loop and ops are borrowed.
 */
void	proc_parent_init(struct loop *, const char *self_path,
	    const struct proc_identity *, const struct proc_ops *, void *arg,
	    int verbose, const char *const *extra_argv);

/*
 * Undo it when on_stopped has come, so that it may be called again with
 * another loop: a child that is needed before service starts has its own.
 */
void	proc_parent_clear(void);

/*
 * Milliseconds after which a silent child is asked, and a child that does not
 * answer (or whose channel takes nothing) is killed.  For the tests.
 */
#define PROC_PING_MS	5000
#define PROC_HANG_MS	20000
void	proc_set_limits(int64_t ping_ms, int64_t hang_ms);

/*
 * Start one child.  It is connected to every running peer that both rows
 * name, now and whenever one of them is replaced (MSG_PEER).  Where the system
 * has no process or descriptor left it is tried again later.
 *   returns   the child, which lives until on_stopped, with DEATH_ONCE until
 *             on_gone; NULL with errno: no such row, too many, or DEATH_ONCE
 *             and it could not be started
 */
#define PROC_CHILDREN_MAX	256
struct proc_child	*proc_start(enum proc_role, uint32_t instance);

struct chan	*proc_child_chan(struct proc_child *);
enum proc_role	 proc_child_role(const struct proc_child *);
uint32_t	 proc_child_instance_of(const struct proc_child *);
int		 proc_child_is_ready(const struct proc_child *);
pid_t		 proc_child_pid(const struct proc_child *);
/* Descriptors that it may hold, as it said in READY. */
uint32_t	 proc_child_max_files(const struct proc_child *);

/*
 * It broke the rules: SIGKILL, one line with the reason, replaced (with a
 * delay that doubles from 0.1 s to 5 s when it dies again at once, and is
 * forgotten after 60 s alive).
 */
void	proc_child_kill(struct proc_child *, const char *reason);

/*
 * Where log lines go: open_sink() gives the descriptor of a sink for the
 * logger (-1: none needed with errno 0, else none to be had now), which is
 * privsep's from then on, and handed to a replaced logger too.  It is called
 * again when the logger says SINK_LOST.  Until the first logger is in service
 * the parent's own lines go to standard error too, and after its end to the
 * sink directly.
 */
void	proc_set_log_sink(enum log_sink_kind, int (*open_sink)(void),
	    const char *tag);

/*
 * Say STOP to all but keyholder and logger; after `seconds` kill what is left.
 * Then the keyholder, whom sessions need to their end, and the logger last, so
 * that it writes what was said.  on_stopped follows.
 */
void	proc_stop(unsigned int seconds);

#endif
