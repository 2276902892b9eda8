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
	/* between records and END: a piece of a file of certificates, in
	 * order; blob u32, at most CONF_PIECE_MAX octets as
	 * msg_put_octets() */
	MSG_CONF_PIECE,
	/* parent to worker, at set-up and when they change: newest first;
	 * count u8 (1, 2), each of TLS_TICKET_KEY octets, as
	 * msg_put_octets() */
	MSG_TICKET_KEYS,

	/*
	 * parent to worker: a session that was accepted.  2 descriptors:
	 * client, then the socket to its choice, still connecting; or one,
	 * where that could not be started (errno u32 != 0).
	 * Alone with errno 0: it was not started, ask for choice 0
	 * (MSG_CONNECT) once the client's side of TLS stands.
	 * generation u32, relay u32, listener u32, kind u32 (enum
	 * session_kind), choice u32, errno u32, client addr, listener addr
	 * (where the client connected to), destination addr.
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
	MSG_RESOLVED,			/* error u32, count u8, addrs */

	/*
	 * parent to keycheck: pieces of files, in order, and after the last
	 * of a question its kind; and back, what is wrong ("": nothing).
	 */
	MSG_CHECK_PIECE,		/* kind u8, as msg_put_octets() */
	MSG_CHECK,			/* kind u8 (enum check_kind) */
	MSG_CHECKED			/* str */
};

/* What keycheck looks at. */
enum check_kind {
	CHECK_NONE = 0,
	CHECK_CERT,			/* a piece; no question */
	CHECK_PAIR,			/* a piece: of the key; the question:
					 * do both match */
	CHECK_CA,
	CHECK_CIPHERS			/* a cipher list */
};
#define CONF_PIECE_MAX		8000	/* octets of a file, in a message */

/* How a session is served. */
enum session_kind {
	SESSION_SMTP = 0,
	SESSION_BYPASS,			/* octets pass unseen */
	SESSION_PROXIED			/* SMTP behind a PROXY header */
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
