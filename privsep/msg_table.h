#ifndef MSG_TABLE_H
#define MSG_TABLE_H

#include <stddef.h>
#include <stdint.h>

/*
 * Every message that may flow between two processes is one row: who may send
 * it to whom, in which states of the channel, how long it may be and with how
 * many descriptors.  What no row allows is a violation.
 */
enum proc_role {
	PROC_NONE = 0,
	PROC_PARENT,
	PROC_WORKER,
	PROC_LOGGER,
	PROC_RESOLVE,
	PROC_ROLES
};
#define ROLE(r)		(1U << (r))

/*
 * A channel's states; they only move forward.
 *   HELLO   nothing but HELLO, both ways
 *   SETUP   the child takes its settings, and is not yet confined
 *   RUN     in service
 *   STOP    the parent has said STOP: finish what runs
 */
enum chan_state {
	CHAN_HELLO = 0,
	CHAN_SETUP,
	CHAN_RUN,
	CHAN_STOP,
	CHAN_STATES
};
#define STATE(s)	(1U << (s))

struct msg_row {
	uint16_t	 type;
	const char	*name;
	unsigned int	 from;		/* ROLE() mask */
	unsigned int	 to;
	unsigned int	 states;	/* STATE() mask */
	unsigned int	 nfds;		/* exactly */
	uint16_t	 min;		/* octets behind the header */
	uint16_t	 max;
};

/* privsep's own messages; those of a program begin at MSG_USER. */
enum msg_type {
	MSG_NONE = 0,
	MSG_HELLO,	/* both: build id, role, instance */
	MSG_DROP,	/* parent: uid, gid, chroot, descriptor limit */
	MSG_PEER,	/* parent, 1 fd: role, instance, generation of a peer */
	MSG_READY,	/* child: confined, in service; its descriptor limit */
	MSG_STOP,	/* parent: finish what runs, then end; seconds */
	MSG_PING,	/* parent */
	MSG_PONG,	/* child */
	MSG_LOG,	/* any to logger: priority, text */
	MSG_LOG_CONF,	/* parent to logger: verbose, tag */
	MSG_LOG_SINK,	/* parent to logger, 1 fd: kind (LOG_SINK_*) */
	MSG_LOG_NOFD,	/* parent to logger: a sink that needs no descriptor */
	MSG_SINK_LOST,	/* logger to parent: open the sink again */
	MSG_USER = 64
};

enum log_sink_kind {
	LOG_SINK_NONE = 0,
	LOG_SINK_SYSLOG,
	LOG_SINK_STDERR
};

/*
 * The table is privsep's rows and one more array that the program gives at
 * start.  A number that stands twice, or an empty mask, is refused (-1).
 */
int	msg_table_init(const struct msg_row *, size_t);

/* The row of a type, or NULL. */
const struct msg_row	*msg_table_row(uint16_t type);

/*
 * May this message pass?
 *   returns   NULL when it may, else what is wrong, as text for the log:
 *             "unknown type", "sender", "receiver", "state", "length",
 *             "descriptors"
 */
const char	*msg_table_check(uint16_t type, enum proc_role from,
		    enum proc_role to, enum chan_state state, size_t len,
		    size_t nfds);

const char	*proc_role_name(enum proc_role);

#endif
