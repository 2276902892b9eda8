#ifndef POLICY_H
#define POLICY_H

#include <stddef.h>
#include <stdint.h>

/*
 * Decisions from plain settings and facts: no I/O, no clock, no globals.  The
 * session asks at each stage; later rules (pass, block, match) come in here.
 */
struct policy_settings {
	uint32_t	max_recipients;		/* 0: no limit */
	uint64_t	max_message_size;	/* octets; 0: no limit */
};

enum policy_stage {
	POLICY_CONNECT = 0,
	POLICY_HELO,
	POLICY_MAIL,
	POLICY_RCPT,
	POLICY_DATA,
	POLICY_MESSAGE
};

struct policy_facts {
	enum policy_stage	stage;
	uint64_t		size;	/* MAIL: SIZE=, MESSAGE: octets */
	uint32_t		nrcpt;		/* recipients before this one */
};

/*
 *   returns   NULL: it may pass; else the reply, constant text without CRLF
 * RFC 1870 6.1 (552 to MAIL), RFC 5321 4.5.3.1.10 (452 to RCPT: the
 * transaction stands).
 */
const char	*policy_refusal(const struct policy_settings *,
		    const struct policy_facts *);

#endif
