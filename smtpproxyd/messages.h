#ifndef MESSAGES_H
#define MESSAGES_H

#include <stddef.h>

#include "../privsep/msg_table.h"

/*
 * Messages that concern the configuration and sessions, between parent,
 * workers and the resolver child of the configuration.  In `id` stands the
 * session where there is one.
 */
enum smtp_msg_type {
	/* parent to worker: the snapshot (conf_wire.h) */
	MSG_CONF_BEGIN = MSG_USER,	/* generation u32 */
	MSG_CONF_RECORD,		/* number u32, kind u8, fields */
	MSG_CONF_END,			/* generation u32, records u32 */

	/*
	 * parent to worker: a session that was accepted.  2 descriptors:
	 * client, then the socket to its choice, still connecting; or one,
	 * where that could not be started (errno u32 != 0).
	 * generation u32, relay u32, choice u32, errno u32, client addr,
	 * listener addr, destination addr.
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

	/* parent to resolve: host str, port; and back, at most 16 addresses */
	MSG_RESOLVE,			/* id: number of the question */
	MSG_RESOLVED			/* error u32, count u8, addrs */
};

extern const struct msg_row	messages[];
extern const size_t		nmessages;

#endif
