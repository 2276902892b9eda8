#ifndef SMTP_LINE_H
#define SMTP_LINE_H

#include <stddef.h>
#include <stdint.h>

/*
 * Octets to lines.  Only CRLF ends a line (RFC 5321 2.3.8); in a destination's
 * reply a bare LF is taken for a line end too (DECISIONS, malformed replies)
 * and nobody downstream ever sees it, because lines come without their end.
 *
 * A line that lies whole in the input is handed out in place; one that comes
 * in pieces is collected, in memory that is owned only meanwhile.
 */
enum smtp_line_result {
	SMTP_LINE_MORE = 0,	/* all taken, no line yet */
	SMTP_LINE_OK,		/* a line */
	SMTP_LINE_LONG,		/* one over the limit: dropped up to its CRLF */
	SMTP_LINE_BARE_CR,	/* faults: see smtp_line_feed() */
	SMTP_LINE_BARE_LF,
	SMTP_LINE_NUL,
	SMTP_LINE_NOMEM
};

struct smtp_line {
	uint8_t	*part;		/* what came of a line so far, or NULL */
	uint32_t used;
	uint32_t size;
	uint32_t limit;		/* octets, CRLF included */
	uint8_t	 has_cr;	/* the last octet was CR, not in part */
	uint8_t	 fault;		/* why the line is dropped, 0: it is not */
	uint8_t	 is_out;	/* part was handed out, goes at next call */
	uint8_t	 allow_lf;	/* replies */
};

void	smtp_line_init(struct smtp_line *, uint32_t limit, int allow_lf);
/* Forget what came of a line and give the memory back; the limit stays. */
void	smtp_line_clear(struct smtp_line *);
/* Takes effect with the next octet; a line that is longer already is LONG. */
void	smtp_line_limit(struct smtp_line *, uint32_t limit);
/* Something of a line has come, but not its end. */
int	smtp_line_is_partial(const struct smtp_line *);

/*
 * Take octets up to and with the first line end.
 *   taken     octets used, always set; with MORE all of them, with NOMEM none
 *             (and nothing else has changed)
 *   line,len  for OK the line without its end; borrowed, valid until the next
 *             call or until `in` goes.  For LONG its first octets (as many
 *             as were kept, at most 64: enough to know the verb)
 * A bare CR, bare LF (where not allowed) or NUL does not end the line: the
 * whole line up to the next line end is dropped, and then the fault is
 * returned once, so that the reader stays in step (with the start of the line
 * as for LONG).  Of several faults, being too long included, the first octet
 * at fault decides, and a bare CR, bare LF or NUL there counts more than the
 * length; so the result never depends on how the stream was cut.  "\r\r\n" is
 * a bare CR and a line end.
 *
 * The memory of a collected line is given back with the next call; one with
 * len 0 does no more than that.
 */
enum smtp_line_result	smtp_line_feed(struct smtp_line *, const uint8_t *in,
			    size_t len, size_t *taken, const uint8_t **line,
			    size_t *linelen);

#endif
