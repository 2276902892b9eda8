#ifndef MESSAGES_H
#define MESSAGES_H

#include <stddef.h>

#include "../privsep/msg_table.h"

#define CONF_RECORD_MAX		4096	/* octets of a record */
#define RESOLVE_HOST_MAX	255	/* octets of a host name */
#define RESOLVE_ADDRS_MAX	16	/* of one name */

/*
 * Messages that concern the configuration and sessions, between parent,
 * workers and the resolver child of the configuration.  In `id` stands the
 * session where there is one.
 */
enum smtp_msg_type {
	/* parent to worker: the snapshot (conf_wire.h) */
	MSG_CONF_BEGIN = MSG_USER,	/* generation u32 */
	MSG_CONF_RECORD,		/* a record, as msg_put_octets() */
	MSG_CONF_END,			/* generation u32, records u32 */

	/*
	 * parent to worker: a session that was accepted.  2 descriptors:
	 * client, then the socket to its choice, still connecting; or one,
	 * where that could not be started (errno u32 != 0).
	 * generation u32, relay u32, kind u32 (enum session_kind), choice
	 * u32, errno u32, client addr, listener addr, destination addr.
	 */
	MSG_SESSION_NEW,
	MSG_SESSION_NEW_ALONE,

	/* worker to parent: choice u32 for that session, the next in order */
	MSG_CONNECT,
	/* parent to worker, 1 descriptor: choice u32, destination addr */
	MSG_CONNECTED,
	/* parent to worker: choice u32, errno u32, destination addr */
	MSG_CONNECT_FAILED,

	/* worker to parent: it is over, its descriptors are closed */
	MSG_SESSION_END,

	/* parent to resolve: host str; and back, at most 16 addrs */
	MSG_RESOLVE,			/* id: number of the question */
	MSG_RESOLVED			/* error u32, count u8, addrs */
};

/* How a session is served. */
enum session_kind {
	SESSION_SMTP = 0,
	SESSION_BYPASS			/* octets pass unseen */
};

/* The error of MSG_RESOLVED; codes of getaddrinfo(3) differ by system. */
enum resolve_error {
	RESOLVE_OK = 0,
	RESOLVE_NO_NAME,		/* no such name, or no address */
	RESOLVE_LATER,			/* a temporary failure */
	RESOLVE_FAILED
};

extern const struct msg_row	messages[];
extern const size_t		nmessages;

#endif
