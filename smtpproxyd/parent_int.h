#ifndef PARENT_INT_H
#define PARENT_INT_H

#include "../common/loop.h"
#include "../privsep/proc.h"
#include "conf.h"
#include "sessions.h"

/*
 * What parent.c (start, stop, children) and parent_accept.c (listeners,
 * accept, the way out) share; nobody else includes this.
 */
struct parent_worker {
	struct proc_child	*child;
	struct session_owner	 owner;
	size_t			 max_sessions;	/* by its descriptors */
	int64_t			 bucket_ms;	/* token bucket of connects */
	int64_t			 tokens;
};

struct parent_listener {
	struct loop_fd		 lfd;
	int			 fd;
	const struct conf_listener *conf;
	const struct conf_relay	*relay;
};

struct parent {
	struct loop		 loop;
	struct conf		*conf;
	struct parent_listener	*listeners;
	size_t			 nlisteners;
	struct session_owner	 waiting;	/* sessions of waiting.c */
	struct parent_worker	 workers[CONF_WORKERS_MAX];
	int			 signal_pipe[2];
	struct loop_fd		 signal_lfd;
	struct timer		 second;
	int64_t			 paused_until_ms;
	int			 is_short;	/* of descriptors: was logged */
	int			 is_full;	/* all workers: was logged */
	int			 is_accepting;
	unsigned int		 has_been_ready;	/* ROLE() mask */
	int			 is_stopping;
	int			 status;	/* of our exit */
};
extern struct parent	parent;

/* Open the listeners, or end with what failed. */
void	parent_open_listeners(void);
void	parent_close_listeners(void);
/* Poll them while a worker can take a session, and only then. */
void	parent_watch_listeners(void);
/* Tell the admin, once, when no worker has room. */
void	parent_look_for_room(void);

/*
 * Start the connection of a session, from its own record alone.
 *   returns   the descriptor; -1 with errno and *why (constant text)
 */
int	parent_connect(struct session_record *, const char **why);
/* What fails is said once, by client address; the worker tells the client. */
int	parent_connect_or_note(struct session_record *);
/* A session whose worker died before it had it: another's, or refused. */
chan_unsent_fn	parent_on_unsent;
/* The destination stands (waiting_ops): takes all three. */
void	parent_on_waited(struct session_record *, int client_fd, int dest_fd);

#endif
