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
	PROC_KEYHOLDER,
	PROC_KEYCHECK,
	PROC_ROLES
};
#define ROLE(r)		(1U << (r))
#define ROLES_ALL	(ROLE(PROC_ROLES) - ROLE(PROC_PARENT))
#define ROLES_CHILDREN	(ROLES_ALL & ~ROLE(PROC_PARENT))

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
	int		 is_secret;	/* wiped in queue and receive room */
};

/* privsep's own messages; those of a program begin at MSG_USER. */
enum msg_type {
	MSG_NONE = 0,
	MSG_HELLO,	/* both: build id, role, instance */
	MSG_DROP,	/* parent: is there an identity u8, uid, gid, chroot */
	MSG_PEER,	/* parent, 1 fd: role u8, instance, generation, pid */
	MSG_READY,	/* child: confined, in service; its descriptor limit */
	MSG_FAILED,	/* child: set-up failed, why (it has no logger yet) */
	MSG_STOP,	/* parent: finish what runs, then end; seconds */
	MSG_PING,	/* parent; id: number of the question */
	MSG_PONG,	/* child; id: as asked */
	MSG_LOG,	/* any to logger: records {priority u8, text} */
	MSG_LOG_CONF,	/* parent to logger: verbose u8, parent's pid, tag */
	MSG_LOG_SINK,	/* parent to logger, 1 fd: kind u8 (LOG_SINK_*) */
	MSG_LOG_NOFD,	/* parent to logger: kind u8 that needs no fd */
	MSG_SINK_LOST,	/* logger to parent: open the sink again */
	/*
	 * The keyholder's; numbers of keys are those of the configuration.
	 * parent, set-up: number u32, has TLS 1.3 u8, file of a private key
	 * as msg_put_octets()
	 */
	MSG_KEY,
	/* parent: this worker may use these keys and no others from now on:
	 * instance u32, first u32, count u32; in set-up the first of these
	 * ends the keys */
	MSG_KEY_ALLOW,
	/* worker; id: its question: key u32, scheme u16, what is to be signed
	 * as msg_put_octets() */
	MSG_SIGN,
	/* keyholder; id: as asked: signature as msg_put_octets(), none:
	 * refused */
	MSG_SIGNED,
	MSG_USER = 64
};

#define MSG_TYPES	256	/* a type is below this number */

enum log_sink_kind {
	LOG_SINK_NONE = 0,	/* none can be had now: ask again */
	LOG_SINK_SYSLOG,
	LOG_SINK_STDERR
};

/*
 * The table is privsep's rows and one more array (borrowed for good) that the
 * program gives at start.
 *   returns   0; -1 for a number that stands twice, is MSG_TYPES or more, or
 *             is below MSG_USER in the program's array; for an empty mask; for
 *             sizes that msg.h does not allow
 */
int	msg_table_init(const struct msg_row *, size_t);

/* The row of a type, or NULL. */
const struct msg_row	*msg_table_row(uint16_t type);

/*
 * May this message pass?  A channel between two children is made by the
 * parent for two that it knows, so it begins in RUN.
 *   returns   NULL when it may, else what is wrong, as text for the log:
 *             "unknown type", "sender", "receiver", "state", "length",
 *             "descriptors"
 */
const char	*msg_table_check(uint16_t type, enum proc_role from,
		    enum proc_role to, enum chan_state state, size_t len,
		    size_t nfds);

const char	*proc_role_name(enum proc_role);

/*
 * "worker[2]", "logger": as it stands in log lines.  Returns its first
 * argument, which has PROC_NAME_MAX octets.
 */
#define PROC_NAME_MAX	32
const char	*proc_name(char *, enum proc_role, uint32_t instance);

#endif
