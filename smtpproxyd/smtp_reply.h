#ifndef SMTP_REPLY_H
#define SMTP_REPLY_H

#include <stddef.h>
#include <stdint.h>

/*
 * Replies of the destination (RFC 5321 4.2).  A reply is collected line by
 * line and given on only when its last line is complete (DECISIONS, replies),
 * with CRLF line ends whatever came.
 */
#define SMTP_REPLY_LINE_MAX	2048	/* octets, CRLF included */
#define SMTP_REPLY_LINES	64
#define SMTP_REPLY_LINES_LONG	1000	/* EHLO, HELP */
#define SMTP_REPLY_MAX		(SMTP_REPLY_LINES * SMTP_REPLY_LINE_MAX)

enum smtp_reply_result {
	SMTP_REPLY_MORE = 0,	/* another line must come */
	SMTP_REPLY_OK,		/* complete */
	SMTP_REPLY_BAD,		/* malformed: the reason is text for the log */
	SMTP_REPLY_NOMEM
};

struct smtp_reply {
	unsigned int	 code;		/* 0: nothing yet */
	unsigned int	 nlines;
	uint8_t		*text;		/* all lines with CRLF; owned */
	size_t		 used;
	size_t		 size;
	const char	*fault;		/* with BAD */
};

void	smtp_reply_init(struct smtp_reply *);
/* Forget the reply and give its memory back. */
void	smtp_reply_clear(struct smtp_reply *);

/*
 * One line without its end.  "250", "250 text" ends the reply, "250-text"
 * goes on.
 *   is_long    EHLO and HELP: SMTP_REPLY_LINES_LONG lines; the octets in all
 *              stay below SMTP_REPLY_MAX for every reply
 *   allow_8bit SMTPUTF8 is in force (RFC 6531 3.7.4)
 * After OK or BAD the reply is read and then cleared, before the next line.
 * Bad: a code that is not [2-5][0-5][0-9], another code than the first
 * line's, something else than space or '-' behind it, 8-bit where not
 * allowed, control octets other than tab, too many lines or octets.
 */
enum smtp_reply_result	smtp_reply_line(struct smtp_reply *, const uint8_t *,
			    size_t, int is_long, int allow_8bit);

/*
 * First line's text behind the code, for a log: borrowed, without CRLF.
 */
const uint8_t	*smtp_reply_text(const struct smtp_reply *, size_t *);

#endif
