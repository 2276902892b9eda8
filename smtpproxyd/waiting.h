#ifndef WAITING_H
#define WAITING_H

#include "../common/loop.h"
#include "sessions.h"

/*
 * Sessions of relays with `on-failure reset`: their client's socket stays with
 * the parent until its destination has been connected to, since only the
 * parent may reset it (DECISIONS, on-failure reset).  Parent only; nothing is
 * read from either socket.
 */
struct waiting_ops {
	/*
	 * Start the connection to where the record says: -1 with *why, constant
	 * text for the log, which is not the callee's to write.
	 */
	int	(*connect)(struct session_record *, const char **why);
	/* It stands: record and both descriptors are the callee's. */
	void	(*connected)(struct session_record *, int client_fd,
		    int dest_fd);
};

void	waiting_init(struct loop *, const struct waiting_ops *);

/*
 * Takes the descriptor, and the record until it is connected.  There are 1,024
 * places, of which one client has at most 128.  Each choice of
 * the relay is tried in turn, for `timeout connect` each; when none is left
 * the client's connection is reset and the record removed.  The log has one
 * line of it, with what the last choice failed by.
 */
void	waiting_add(struct session_record *, int client_fd);

/* All of them are reset: the program ends. */
void	waiting_stop(void);

#endif
