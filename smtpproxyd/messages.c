/*
 * The messages that concern the configuration and sessions, as rows: who may
 * send each to whom, when, how long and with how many descriptors.  What no
 * row allows is a violation (msg_table.h).
 */
#include "messages.h"

#include "../common/port/tls.h"
#include "../privsep/msg.h"

/* An address on the wire: family, port and scope, then the octets. */
#define ADDR_NONE	7
#define ADDR_V4		(ADDR_NONE + 4)
#define ADDR_V6		(ADDR_NONE + 16)
#define U32		4
#define TICKET_KEY	(2 + TLS_TICKET_KEY)

#define PARENT		ROLE(PROC_PARENT)
#define WORKER		ROLE(PROC_WORKER)
#define RESOLVE		ROLE(PROC_RESOLVE)
#define KEYCHECK	ROLE(PROC_KEYCHECK)
#define SETUP		STATE(CHAN_SETUP)
#define RUN		STATE(CHAN_RUN)
/* What still crosses while the other side has not read STOP yet. */
#define RUN_STOP	(STATE(CHAN_RUN) | STATE(CHAN_STOP))

const struct msg_row	messages[] = {
	{ MSG_CONF_BEGIN, "CONF_BEGIN", PARENT, WORKER, SETUP, 0,
	    U32, U32, 0 },
	{ MSG_CONF_RECORD, "CONF_RECORD", PARENT, WORKER, SETUP, 0,
	    2 + U32 + 1, 2 + CONF_RECORD_MAX, 0 },
	{ MSG_CONF_END, "CONF_END", PARENT, WORKER, SETUP, 0,
	    2 * U32, 2 * U32, 0 },
	{ MSG_CONF_PIECE, "CONF_PIECE", PARENT, WORKER, SETUP, 0,
	    U32 + 2 + 1, U32 + 2 + CONF_PIECE_MAX, 0 },
	{ MSG_TICKET_KEYS, "TICKET_KEYS", PARENT, WORKER, SETUP | RUN_STOP, 0,
	    1 + TICKET_KEY, 1 + 2 * TICKET_KEY, 1 },
	{ MSG_SESSION_NEW, "SESSION_NEW", PARENT, WORKER, RUN, 2,
	    6 * U32 + 3 * ADDR_V4, 6 * U32 + 3 * ADDR_V6, 0 },
	/* Where no destination could be had, its address may be none. */
	{ MSG_SESSION_NEW_ALONE, "SESSION_NEW_ALONE", PARENT, WORKER, RUN, 1,
	    6 * U32 + 2 * ADDR_V4 + ADDR_NONE, 6 * U32 + 3 * ADDR_V6, 0 },
	{ MSG_CONNECT, "CONNECT", WORKER, PARENT, RUN_STOP, 0,
	    U32, U32, 0 },
	{ MSG_CONNECTED, "CONNECTED", PARENT, WORKER, RUN_STOP, 1,
	    U32 + ADDR_V4, U32 + ADDR_V6, 0 },
	{ MSG_CONNECT_FAILED, "CONNECT_FAILED", PARENT, WORKER, RUN_STOP, 0,
	    2 * U32 + ADDR_NONE, 2 * U32 + ADDR_V6, 0 },
	{ MSG_SESSION_END, "SESSION_END", WORKER, PARENT, RUN_STOP, 0,
	    0, 0, 0 },
	{ MSG_RESOLVE, "RESOLVE", PARENT, RESOLVE, RUN, 0,
	    2 + 1, 2 + RESOLVE_HOST_MAX, 0 },
	{ MSG_RESOLVED, "RESOLVED", RESOLVE, PARENT, RUN, 0,
	    U32 + 1, U32 + 1 + RESOLVE_ADDRS_MAX * ADDR_V6, 0 },
	{ MSG_CHECK_PIECE, "CHECK_PIECE", PARENT, KEYCHECK, RUN, 0,
	    1 + 2 + 1, 1 + 2 + CONF_PIECE_MAX, 1 },
	{ MSG_CHECK, "CHECK", PARENT, KEYCHECK, RUN, 0,
	    1, 1, 0 },
	{ MSG_CHECKED, "CHECKED", KEYCHECK, PARENT, RUN, 0,
	    2, 2 + TLS_WHY_MAX - 1, 0 }
};
const size_t	nmessages = sizeof(messages) / sizeof(messages[0]);
