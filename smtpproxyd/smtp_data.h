#ifndef SMTP_DATA_H
#define SMTP_DATA_H

#include <stddef.h>
#include <stdint.h>

/*
 * Message content on its way through: finds the end of DATA (CRLF.CRLF, RFC
 * 5321 4.1.1.4) or counts a BDAT chunk, and refuses what could make two
 * servers see two different ends: bare CR, bare LF, NUL (SMTP smuggling,
 * CVE-2023-51764 and its kin).
 *
 * Nothing is copied: the caller learns how many of the input's octets may go
 * on as they are.  In DATA, a CR whose next octet is not known is held back,
 * and so is a dot at a line's start: no destination ever sees a CR that might
 * turn out bare, nor half of an end of data.
 *
 * DATA may be normalised instead (DECISIONS, normalising newlines): a bare LF
 * is a line end within the message, though never a part of its end, and CRs
 * in front of a CRLF are dropped.  Which dots are transparency is known from
 * the CRLF in front of them (RFC 5321 4.5.2); behind a bare LF a dot is text,
 * and gets one more on its way out.  So what goes out is canonical, and every
 * reader sees the message that the strict one saw.
 */
enum smtp_data_result {
	SMTP_DATA_MORE = 0,	/* all taken, content goes on */
	SMTP_DATA_END,		/* the end of data, or of the chunk */
	SMTP_DATA_BARE_CR,
	SMTP_DATA_BARE_LF,
	SMTP_DATA_NUL
};

enum smtp_data_state {		/* within DATA */
	DATA_LINE_START = 0,
	DATA_DOT,		/* "." at a line's start: held */
	DATA_DOT_CR,		/* ".\r" at a line's start: held */
	DATA_TEXT,
	DATA_CR,		/* "\r" elsewhere: held */
	DATA_LF			/* normalising: a CRLF is owed for a bare LF */
};

struct smtp_data {
	uint8_t		state;		/* enum smtp_data_state */
	uint8_t		normalize;	/* DATA only */
	uint8_t		is_binary;	/* BDAT of BODY=BINARYMIME */
	uint8_t		has_cr;		/* BDAT: content so far ends in CR */
	uint8_t		is_last;	/* BDAT ... LAST */
	uint64_t	left;		/* BDAT: octets still to come */
	uint64_t	size;		/* content octets of the message so far,
					 * as they came, the end not counted */
};

/* What may go on: `front` first, then `pass` octets of the input. */
#define SMTP_DATA_FRONT	3
struct smtp_data_span {
	size_t	taken;			/* octets used of the input */
	size_t	pass;			/* from its start, <= taken */
	uint8_t	front[SMTP_DATA_FRONT];	/* held back by an earlier call, or
					 * owed for what it took */
	size_t	nfront;
};

/* Begin DATA: at the start of a line. */
void	smtp_data_start(struct smtp_data *, int normalize);

/*
 * Take content of DATA.
 *   returns   MORE: all of it was taken; when normalising, perhaps only up to
 *             the next octet that does not go out as it came: call again with
 *             the rest.  END: the end of data was taken, but
 *             is not in `pass`: the caller sends ".\r\n" itself when it may;
 *             octets behind it are not taken.  A fault: octets before it were
 *             taken and may go on, the fault is not taken
 */
enum smtp_data_result	smtp_data_feed(struct smtp_data *, const uint8_t *in,
			    size_t len, struct smtp_data_span *);

/*
 * Begin a chunk of BDAT; `is_first` starts a message.  A message may go on in
 * any octet, so a CR at the end of one chunk and a LF at the start of the next
 * are a CRLF; nothing is held back, since octets are counted.
 */
void	smtp_data_start_chunk(struct smtp_data *, uint64_t size, int is_first,
	    int is_last, int is_binary);

/*
 * As smtp_data_feed(); END when the chunk's last octet was taken (at once for
 * a chunk of size 0).  Of a LAST chunk that octet is not in `pass`: it is
 * in[taken - 1], and the caller sends it when the message may be finished.  A
 * CR as the last octet of a LAST chunk is a fault.
 */
enum smtp_data_result	smtp_data_feed_chunk(struct smtp_data *,
			    const uint8_t *in, size_t len,
			    struct smtp_data_span *);

/*
 * Drop what a refused client still sends, up to its own CRLF.CRLF: faults are
 * nothing here, but only CRLF.CRLF ends it.  Goes on from the state in which
 * smtp_data_feed() found the fault.
 *   returns   MORE or END
 */
enum smtp_data_result	smtp_data_skip(struct smtp_data *, const uint8_t *in,
			    size_t len, size_t *taken);
/* Drop octets of a chunk, likewise. */
enum smtp_data_result	smtp_data_skip_chunk(struct smtp_data *, size_t len,
			    size_t *taken);

/* "bare CR" and so on, for replies and logs. */
const char	*smtp_data_result_text(enum smtp_data_result);

#endif
