/*
 * The table of all messages, its checker, and the rows of privsep itself.
 *
 * Runs in every process, on both ends: the sender is checked for its own
 * mistakes, the receiver checks because the sender may have been taken over.
 * Roles come from the descriptor that a message arrived on, never from it.
 */
#include "msg_table.h"

#include <stdio.h>
#include <string.h>

#include "../common/port/tls.h"
#include "keyholder.h"
#include "msg.h"

#define PARENT		ROLE(PROC_PARENT)
#define LOGGER		ROLE(PROC_LOGGER)
#define WORKER		ROLE(PROC_WORKER)
#define KEYHOLDER	ROLE(PROC_KEYHOLDER)
#define U32		4
#define SERVING		(STATE(CHAN_RUN) | STATE(CHAN_STOP))
#define SETUP_ON	(STATE(CHAN_SETUP) | SERVING)
#define ALL_STATES	((1U << CHAN_STATES) - 1U)

static const struct msg_row	own_rows[] = {
	{ MSG_HELLO, "HELLO", ROLES_ALL, ROLES_ALL,
	    STATE(CHAN_HELLO), 0, 7, 128, 0 },
	{ MSG_DROP, "DROP", PARENT, ROLES_CHILDREN,
	    STATE(CHAN_SETUP), 0, 11, 512, 0 },
	{ MSG_PEER, "PEER", PARENT, ROLES_CHILDREN,
	    SETUP_ON, 1, 13, 13, 0 },
	/* Once, and never behind STOP: that goes to children in service. */
	{ MSG_READY, "READY", ROLES_CHILDREN, PARENT,
	    STATE(CHAN_SETUP), 0, 4, 4, 0 },
	{ MSG_FAILED, "FAILED", ROLES_CHILDREN, PARENT,
	    STATE(CHAN_HELLO) | STATE(CHAN_SETUP), 0, 2, 1024, 0 },
	{ MSG_STOP, "STOP", PARENT, ROLES_CHILDREN,
	    STATE(CHAN_RUN), 0, 4, 4, 0 },
	{ MSG_PING, "PING", PARENT, ROLES_CHILDREN,
	    SERVING, 0, 0, 0, 0 },
	{ MSG_PONG, "PONG", ROLES_CHILDREN, PARENT,
	    SERVING, 0, 0, 0, 0 },
	{ MSG_LOG, "LOG", ROLES_ALL & ~LOGGER, LOGGER,
	    SERVING, 0, 3, MSG_MAX - MSG_HEADER, 0 },
	{ MSG_LOG_CONF, "LOG_CONF", PARENT, LOGGER,
	    STATE(CHAN_SETUP), 0, 7, 256, 0 },
	{ MSG_LOG_SINK, "LOG_SINK", PARENT, LOGGER,
	    SETUP_ON, 1, 1, 1, 0 },
	{ MSG_LOG_NOFD, "LOG_NOFD", PARENT, LOGGER,
	    SETUP_ON, 0, 1, 1, 0 },
	{ MSG_SINK_LOST, "SINK_LOST", LOGGER, PARENT,
	    SERVING, 0, 0, 0, 0 },
	{ MSG_KEY, "KEY", PARENT, KEYHOLDER,
	    STATE(CHAN_SETUP), 0, U32 + 1 + 2 + 1, U32 + 1 + 2 + KEY_FILE_MAX,
	    1 },
	{ MSG_KEY_ALLOW, "KEY_ALLOW", PARENT, KEYHOLDER,
	    SETUP_ON, 0, 3 * U32, 3 * U32, 0 },
	{ MSG_SIGN, "SIGN", WORKER, KEYHOLDER,
	    SERVING, 0, U32 + 2 + 2 + 1, U32 + 2 + 2 + TLS_REQUEST_MAX, 0 },
	{ MSG_SIGNED, "SIGNED", KEYHOLDER, WORKER,
	    SERVING, 0, 2, 2 + TLS_SIGNATURE_MAX, 0 },
};

static const struct msg_row	*rows[MSG_TYPES];	/* by type */

static const char *const	role_names[PROC_ROLES] = {
	[PROC_NONE] = "none",
	[PROC_PARENT] = "parent",
	[PROC_WORKER] = "worker",
	[PROC_LOGGER] = "logger",
	[PROC_RESOLVE] = "resolve",
	[PROC_KEYHOLDER] = "keyholder",
	[PROC_KEYCHECK] = "keycheck",
};

static int
msg_row_is_sound(const struct msg_row *row)
{
	size_t	max = row->nfds == 0 ? MSG_MAX : MSG_MAX_FD;

	if (row->type == MSG_NONE || row->type >= MSG_TYPES ||
	    row->name == NULL)
		return 0;
	if (row->from == 0 || (row->from & ~ROLES_ALL) != 0 ||
	    row->to == 0 || (row->to & ~ROLES_ALL) != 0 ||
	    row->states == 0 || (row->states & ~ALL_STATES) != 0)
		return 0;
	return row->nfds <= MSG_FDS_MAX && row->min <= row->max &&
	    row->max <= max - MSG_HEADER;
}

static int
msg_table_add(const struct msg_row *add, size_t n, uint16_t lowest)
{
	size_t	i;

	for (i = 0; i < n; i++) {
		if (!msg_row_is_sound(&add[i]) || add[i].type < lowest ||
		    rows[add[i].type] != NULL)
			return -1;
		rows[add[i].type] = &add[i];
	}
	return 0;
}

int
msg_table_init(const struct msg_row *more, size_t n)
{
	memset(rows, 0, sizeof(rows));
	if (msg_table_add(own_rows, sizeof(own_rows) / sizeof(own_rows[0]),
	    MSG_NONE) == -1)
		return -1;
	return msg_table_add(more, n, MSG_USER);
}

const struct msg_row *
msg_table_row(uint16_t type)
{
	return type < MSG_TYPES ? rows[type] : NULL;
}

const char *
msg_table_check(uint16_t type, enum proc_role from, enum proc_role to,
    enum chan_state state, size_t len, size_t nfds)
{
	const struct msg_row	*row;

	if ((row = msg_table_row(type)) == NULL)
		return "unknown type";
	if (from == to || from >= PROC_ROLES ||
	    (row->from & ROLE(from)) == 0)
		return "sender";
	if (to >= PROC_ROLES || (row->to & ROLE(to)) == 0)
		return "receiver";
	if (state >= CHAN_STATES || (row->states & STATE(state)) == 0)
		return "state";
	if (from != PROC_PARENT && to != PROC_PARENT && state < CHAN_RUN)
		return "state";
	if (len < row->min || len > row->max)
		return "length";
	if (nfds != row->nfds)
		return "descriptors";
	return NULL;
}

const char *
proc_role_name(enum proc_role role)
{
	return role < PROC_ROLES ? role_names[role] : "unknown";
}

const char *
proc_name(char *to, enum proc_role role, uint32_t instance)
{
	if (role == PROC_WORKER)
		(void)snprintf(to, PROC_NAME_MAX, "%s[%u]",
		    proc_role_name(role), instance);
	else
		(void)snprintf(to, PROC_NAME_MAX, "%s", proc_role_name(role));
	return to;
}
