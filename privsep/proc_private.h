#ifndef PROC_PRIVATE_H
#define PROC_PRIVATE_H

#include <sys/types.h>

#include <stdint.h>

#include "proc.h"

/*
 * What the files proc*.c share, and nobody else includes.
 */
#define PROC_FD			3	/* a child's channel to the parent */
#define PROC_DELAY_MIN_MS	100	/* before a restart */
#define PROC_DELAY_MAX_MS	5000
#define PROC_STALE_MS		60000	/* another build: no use to hurry */
#define PROC_ALIVE_MS		60000	/* after that the delay is forgotten */
#define PROC_SETUP_MS		60000	/* from HELLO to READY */
#define PROC_REASON_STOP	"stop"	/* killed while it was being set up */
#define PROC_STOP_ALL_S		5	/* a child that must live has died */
#define PROC_LAST_STOP_S	5	/* keyholder, logger: time to drain */

/* --- proc.c --- */

const char	*proc_build_id(void);

/* --- proc_peer.c --- */

/* MSG_PEER has come to a child of this role. */
void	proc_peer_take(struct loop *, enum proc_role self, struct msg *);

/* --- proc_log.c --- */

/* Take over this process's log lines. */
void	proc_log_start(struct loop *);
/* The logger's channel, in state RUN or STOP; NULL: it is away. */
void	proc_log_set_chan(struct chan *);
/*
 * The parent without a logger: lines go to standard error (LOG_SINK_STDERR)
 * or the system log by themselves; LOG_SINK_NONE: they wait in the ring.
 * With `keep` they wait besides.
 */
void	proc_log_set_direct(enum log_sink_kind, int fd, const char *tag,
	    int keep);
/*
 * A child in set-up: the last fatal line is kept here for the parent, not
 * sent to the logger.
 */
void		 proc_log_keep_fatal(int on);
const char	*proc_log_fatal_line(void);

/* --- The parent: proc_parent.c, proc_spawn.c, proc_stop.c --- */

struct proc_child {
	const struct proc_row	*row;
	struct chan		 chan;
	struct timer		 restart;
	uint32_t		 instance;
	uint32_t		 generation;	/* number of this process */
	pid_t			 pid;		/* 0: none runs */
	int			 is_ready;
	int			 is_killed;	/* not yet reaped */
	int			 is_reaped;	/* its pid may be another's */
	int			 is_stale;	/* it said another build id */
	uint32_t		 max_files;
	int64_t			 started_ms;
	int64_t			 delay_ms;	/* last restart's, 0: none */
	uint64_t		 ping_id;
	int64_t			 pinged_ms;	/* 0: no PING is out */
	char			 reason[96];	/* why we killed it */
	/* Generation of each other slot's process that it was linked to. */
	uint32_t		 linked[PROC_CHILDREN_MAX];
};

enum proc_stopping {
	STOPPING_NO = 0,
	STOPPING_CHILDREN,		/* all but those below */
	STOPPING_KEYHOLDER,
	STOPPING_LOGGER,
	STOPPING_DONE
};

struct proc_parent {
	struct loop			*loop;
	const char			*self_path;
	const struct proc_identity	*identity;	/* NULL: none to drop */
	const struct proc_ops		*ops;
	void				*arg;
	const char *const		*extra_argv;
	int				 verbose;
	struct proc_child		*child[PROC_CHILDREN_MAX];
	uint32_t			 generation;
	int64_t				 ping_ms;
	int64_t				 hang_ms;
	struct timer			 tick;
	int64_t				 ticked_ms;
	int				 has_link_failed;
	enum proc_stopping		 stopping;
	struct timer			 stop;
};
extern struct proc_parent	 pp;

/* proc_parent.c: "worker[0] pid 123" for log lines; returns its argument. */
#define PROC_TEXT_MAX	64
const char	*proc_child_text(const struct proc_child *, char *);
chan_msg_fn	 proc_parent_on_msg;
chan_end_fn	 proc_parent_on_end;

/* proc_link.c: connect a child, or all that are not, to their peers. */
void	proc_link_child(struct proc_child *);
void	proc_link_all(void);

/* proc_spawn.c: 0, or -1 (logged; a restart is set where the row has one). */
int	proc_spawn(struct proc_child *);
int	proc_reap_init(void);
void	proc_reap_clear(void);
void	proc_restart_later(struct proc_child *);

/* proc_stop.c: go on with stopping when a child has ended. */
void	proc_stop_next(void);
void	proc_stop_on_timer(struct timer *, void *, int64_t);

/* proc_sink.c: the logger's settings, its READY, its end, SINK_LOST. */
void	proc_sink_setup(struct proc_child *);
void	proc_sink_ready(struct proc_child *);
void	proc_sink_gone(void);
void	proc_sink_lost(struct proc_child *);

#endif
