#ifndef ENGINE_MOVES_H
#define ENGINE_MOVES_H

#include <stdint.h>

#include "../../smtpproxyd/smtp_machine.h"

/* What moves the machine, behind the events of its table. */
enum move_cause {
	MOVE_BAD_REPLY = SMTP_EVENTS,	/* octets that are no reply */
	MOVE_ANSWER,			/* to the open question */
	MOVE_TIMEOUT,
	MOVE_STOP,
	MOVE_SENT,			/* octets have left */
	MOVE_BYPASS,
	MOVE_TABLE,			/* of these the table has a column */
	/* And these lead from any state to the end. */
	MOVE_FROM_ANY = MOVE_TABLE,
	MOVE_LOST = MOVE_FROM_ANY,
	MOVE_NO_CHOICE,
	MOVE_FAIL,
	MOVE_CAUSES
};

static inline const char *
move_cause_name(unsigned int cause)
{
	static const char *const names[MOVE_CAUSES] = {
		[MOVE_BAD_REPLY] = "malformed reply",
		[MOVE_ANSWER] = "answer",
		[MOVE_TIMEOUT] = "timeout",
		[MOVE_LOST] = "client lost",
		[MOVE_NO_CHOICE] = "no choice left",
		[MOVE_STOP] = "stop",
		[MOVE_FAIL] = "failure",
		[MOVE_SENT] = "octets sent",
		[MOVE_BYPASS] = "bypass"
	};

	if (cause < SMTP_EVENTS)
		return smtp_event_name((enum smtp_event)cause);
	return cause < MOVE_CAUSES ? names[cause] : "unknown";
}

/*
 * Every move of the machine: where each cause may lead from each state, once
 * all that follows from it has been done.  What stands here is made by a test
 * (test_smtp_machine.c), and no test and no input of the fuzzer makes another
 * one (engine_seen.h).
 */
#define TO(state)	(1U << (state))
static const uint32_t	moves[SMTP_STATES][MOVE_TABLE] = {
	[SMTP_GREETING] = {
		[ON_OCTETS] = TO(SMTP_GREETING) | TO(SMTP_OVER),
		[ON_CLIENT_END] = TO(SMTP_OVER),
		[ON_REPLY] = TO(SMTP_GREETING) | TO(SMTP_COMMAND) |
		    TO(SMTP_OVER),
		[ON_DEST_END] = TO(SMTP_GREETING),
		[MOVE_ANSWER] = TO(SMTP_OVER),
		[MOVE_STOP] = TO(SMTP_OVER),
		[MOVE_BYPASS] = TO(SMTP_OPAQUE)
	},
	[SMTP_COMMAND] = {
		[ON_OCTETS] = TO(SMTP_COMMAND) | TO(SMTP_HELD) |
		    TO(SMTP_ASKED) | TO(SMTP_WAIT) | TO(SMTP_WAIT_STRICT) |
		    TO(SMTP_CHUNK) | TO(SMTP_SKIP_CHUNK) | TO(SMTP_OVER),
		[ON_CLIENT_END] = TO(SMTP_COMMAND) | TO(SMTP_OVER),
		[ON_REPLY] = TO(SMTP_COMMAND) | TO(SMTP_LAST) | TO(SMTP_OVER),
		[ON_DEST_END] = TO(SMTP_OVER),
		[MOVE_BAD_REPLY] = TO(SMTP_OVER),
		[MOVE_TIMEOUT] = TO(SMTP_OVER),
		[MOVE_STOP] = TO(SMTP_OVER)
	},
	[SMTP_HELD] = {
		[ON_OCTETS] = TO(SMTP_HELD),
		[ON_CLIENT_END] = TO(SMTP_HELD),
		[ON_REPLY] = TO(SMTP_HELD) | TO(SMTP_ASKED) | TO(SMTP_WAIT) |
		    TO(SMTP_LAST) | TO(SMTP_OVER),
		[ON_DEST_END] = TO(SMTP_OVER),
		[MOVE_BAD_REPLY] = TO(SMTP_OVER),
		[MOVE_TIMEOUT] = TO(SMTP_OVER)
	},
	[SMTP_ASKED] = {
		[ON_OCTETS] = TO(SMTP_ASKED) | TO(SMTP_OVER),
		[ON_CLIENT_END] = TO(SMTP_ASKED),
		[ON_REPLY] = TO(SMTP_ASKED) | TO(SMTP_LAST) | TO(SMTP_OVER),
		[ON_DEST_END] = TO(SMTP_OVER),
		[MOVE_BAD_REPLY] = TO(SMTP_LAST) | TO(SMTP_OVER),
		[MOVE_ANSWER] = TO(SMTP_COMMAND) | TO(SMTP_WAIT) |
		    TO(SMTP_WAIT_STRICT) | TO(SMTP_CHUNK) |
		    TO(SMTP_SKIP_CHUNK) | TO(SMTP_LAST) | TO(SMTP_OVER)
	},
	[SMTP_WAIT] = {
		[ON_OCTETS] = TO(SMTP_WAIT),
		[ON_CLIENT_END] = TO(SMTP_WAIT),
		[ON_REPLY] = TO(SMTP_COMMAND) | TO(SMTP_WAIT) | TO(SMTP_LAST) |
		    TO(SMTP_OVER),
		[ON_DEST_END] = TO(SMTP_OVER),
		[MOVE_BAD_REPLY] = TO(SMTP_OVER),
		[MOVE_TIMEOUT] = TO(SMTP_OVER)
	},
	[SMTP_WAIT_STRICT] = {
		[ON_OCTETS] = TO(SMTP_OVER),
		[ON_CLIENT_END] = TO(SMTP_WAIT_STRICT),
		[ON_REPLY] = TO(SMTP_COMMAND) | TO(SMTP_WAIT_STRICT) |
		    TO(SMTP_AUTH) | TO(SMTP_CONTENT) | TO(SMTP_TLS_FIRST) |
		    TO(SMTP_OVER),
		[ON_DEST_END] = TO(SMTP_OVER),
		[MOVE_BAD_REPLY] = TO(SMTP_OVER),
		[MOVE_TIMEOUT] = TO(SMTP_OVER)
	},
	[SMTP_AUTH] = {
		[ON_OCTETS] = TO(SMTP_WAIT_STRICT) | TO(SMTP_AUTH) |
		    TO(SMTP_OVER),
		[ON_CLIENT_END] = TO(SMTP_OVER),
		[ON_REPLY] = TO(SMTP_OVER),
		[ON_DEST_END] = TO(SMTP_OVER),
		[MOVE_BAD_REPLY] = TO(SMTP_OVER),
		[MOVE_TIMEOUT] = TO(SMTP_OVER)
	},
	[SMTP_CONTENT] = {
		[ON_OCTETS] = TO(SMTP_ASKED) | TO(SMTP_CONTENT) |
		    TO(SMTP_SKIP_CONTENT) | TO(SMTP_LAST) | TO(SMTP_OVER),
		[ON_CLIENT_END] = TO(SMTP_OVER),
		[ON_REPLY] = TO(SMTP_SKIP_CONTENT),
		[ON_DEST_END] = TO(SMTP_SKIP_CONTENT),
		[MOVE_BAD_REPLY] = TO(SMTP_SKIP_CONTENT),
		[MOVE_TIMEOUT] = TO(SMTP_SKIP_CONTENT) | TO(SMTP_OVER)
	},
	[SMTP_CHUNK] = {
		[ON_OCTETS] = TO(SMTP_COMMAND) | TO(SMTP_ASKED) |
		    TO(SMTP_WAIT) | TO(SMTP_CHUNK) | TO(SMTP_SKIP_CHUNK) |
		    TO(SMTP_OVER),
		[ON_CLIENT_END] = TO(SMTP_OVER),
		[ON_REPLY] = TO(SMTP_CHUNK) | TO(SMTP_SKIP_CHUNK) |
		    TO(SMTP_OVER),
		[ON_DEST_END] = TO(SMTP_SKIP_CHUNK) | TO(SMTP_OVER),
		[MOVE_BAD_REPLY] = TO(SMTP_SKIP_CHUNK) | TO(SMTP_OVER),
		[MOVE_TIMEOUT] = TO(SMTP_SKIP_CHUNK) | TO(SMTP_OVER)
	},
	[SMTP_SKIP_CONTENT] = {
		[ON_OCTETS] = TO(SMTP_SKIP_CONTENT) | TO(SMTP_LAST) |
		    TO(SMTP_OVER),
		[ON_CLIENT_END] = TO(SMTP_OVER),
		[MOVE_TIMEOUT] = TO(SMTP_OVER)
	},
	[SMTP_SKIP_CHUNK] = {
		[ON_OCTETS] = TO(SMTP_COMMAND) | TO(SMTP_SKIP_CHUNK) |
		    TO(SMTP_LAST) | TO(SMTP_OVER),
		[ON_CLIENT_END] = TO(SMTP_OVER),
		[ON_REPLY] = TO(SMTP_SKIP_CHUNK) | TO(SMTP_LAST) |
		    TO(SMTP_OVER),
		[ON_DEST_END] = TO(SMTP_OVER),
		[MOVE_BAD_REPLY] = TO(SMTP_OVER),
		[MOVE_TIMEOUT] = TO(SMTP_OVER)
	},
	[SMTP_TLS_FIRST] = {
		[ON_OCTETS] = TO(SMTP_TLS_FIRST) | TO(SMTP_OPAQUE) |
		    TO(SMTP_OVER),
		[ON_CLIENT_END] = TO(SMTP_OVER),
		[ON_REPLY] = TO(SMTP_OVER),
		[ON_DEST_END] = TO(SMTP_OVER),
		[MOVE_TIMEOUT] = TO(SMTP_OVER),
		[MOVE_STOP] = TO(SMTP_OVER)
	},
	[SMTP_OPAQUE] = {
		[ON_OCTETS] = TO(SMTP_OPAQUE),
		[ON_CLIENT_END] = TO(SMTP_OPAQUE) | TO(SMTP_OVER),
		[ON_REPLY] = TO(SMTP_OPAQUE),
		[ON_DEST_END] = TO(SMTP_OPAQUE) | TO(SMTP_OVER),
		[MOVE_TIMEOUT] = TO(SMTP_OVER),
		[MOVE_STOP] = TO(SMTP_OVER),
		[MOVE_SENT] = TO(SMTP_OVER)
	},
	[SMTP_LAST] = {
		[ON_OCTETS] = TO(SMTP_LAST) | TO(SMTP_OVER),
		[ON_CLIENT_END] = TO(SMTP_OVER),
		[MOVE_TIMEOUT] = TO(SMTP_OVER),
		[MOVE_STOP] = TO(SMTP_OVER)
	},
	[SMTP_OVER] = {
		[ON_OCTETS] = TO(SMTP_OVER),
		[ON_CLIENT_END] = TO(SMTP_OVER),
		[ON_REPLY] = TO(SMTP_OVER),
		[ON_DEST_END] = TO(SMTP_OVER)
	}
};

#endif
