#ifndef SMTP_CMD_H
#define SMTP_CMD_H

#include <stddef.h>
#include <stdint.h>

/* Verbs the proxy knows; everything about each stands in one table. */
enum smtp_verb {
	VERB_NONE = 0,		/* not in the table */
	VERB_HELO,
	VERB_EHLO,
	VERB_MAIL,
	VERB_RCPT,
	VERB_DATA,
	VERB_BDAT,
	VERB_RSET,
	VERB_NOOP,
	VERB_VRFY,
	VERB_EXPN,
	VERB_HELP,
	VERB_ETRN,
	VERB_AUTH,
	VERB_STARTTLS,
	VERB_QUIT,
	VERB_XCLIENT,		/* never a client's to say */
	VERB_XFORWARD,
	VERB_PROXY,
	VERB_PASS,		/* named by pass-verb */
	VERB_GREETING,		/* not commands: what a reply answers */
	VERB_DOT,		/* the final reply to DATA */
	VERB_AUTH_LINE,		/* a continuation line of AUTH */
	VERBS
};

/* RFC 5321 4.5.3.1.4 and what extensions add; CRLF included. */
#define SMTP_CMD_MAX		512
#define SMTP_CMD_MAIL_MAX	2048	/* MAIL, RCPT */
#define SMTP_CMD_AUTH_MAX	12288	/* AUTH and its lines, RFC 4954 4 */

struct smtp_cmd {
	enum smtp_verb	 verb;
	const uint8_t	*arg;		/* behind the verb and spaces */
	size_t		 arglen;
	size_t		 verblen;
};

/*
 * Split a line (without CRLF) into verb and arguments.  The verb ends at the
 * first space; a tab is not a space here, so "AUTH\tx" is no verb at all and
 * goes nowhere.  Case of the verb does not matter (2.4).  A line that begins
 * with a space, or is empty, has VERB_NONE.  Trailing spaces are left out of
 * arg.
 */
void	smtp_cmd_parse(struct smtp_cmd *, const uint8_t *, size_t);

/*
 * How many octets of a line, from its start, a log may show: all of them, but
 * of anything that might be AUTH (any case, also "AUTHX" and "AUTH\tPLAIN")
 * no more than that word: credentials may follow it.
 */
size_t	smtp_cmd_log_len(const uint8_t *, size_t);

/* "MAIL" and so on, for logs; "command" for VERB_NONE. */
const char	*smtp_verb_name(enum smtp_verb);
/* Table verb of that name in any case, VERB_NONE if there is none. */
enum smtp_verb	 smtp_verb_by_name(const void *, size_t);
/* Longest line that the verb allows, CRLF included. */
size_t		 smtp_verb_line_max(enum smtp_verb);
/* Must be the last of its group (RFC 2920 3.1 and DECISIONS, pipelining). */
int		 smtp_verb_ends_group(enum smtp_verb);
/*
 * May a reply with that code answer it?  (RFC 5321 4.3.2; 354 only to DATA,
 * 334 only to AUTH.)  The code is a valid one, 200..559.
 */
int		 smtp_verb_may_reply(enum smtp_verb, unsigned int code);

/* BDAT of RFC 3030 2: "chunk-size [SP LAST]". */
struct smtp_bdat {
	uint64_t	size;		/* at most 2^63-1 */
	int		is_last;
};
/*
 * Digits only, at most 20; one space; LAST in any case.  What goes to the
 * destination is best written anew from this: one that answered 501 to
 * "BDAT  005  LAST" would take the chunk for commands.
 *   returns   0, or -1 when the argument is not exactly that
 */
int	smtp_bdat_parse(struct smtp_bdat *, const uint8_t *, size_t);

#endif
