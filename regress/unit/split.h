#ifndef SPLIT_H
#define SPLIT_H

#include <check.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../../smtpproxyd/smtp_line.h"

/*
 * For inner loops: ck_assert() tells the parent of each success by a pipe, and
 * takes more time than what is tested here.
 */
#define HOLDS(is_true) do {						\
	if (!(is_true))							\
		ck_abort_msg("line %d: %s", __LINE__, #is_true);	\
} while (0)

/*
 * Ways to cut a stream of len octets: 0 is the whole, 1 single octets, 2 + n a
 * cut behind octet n.  Pieces are copied to memory of exactly their size, so
 * that the sanitizers see an octet too many.
 */
static inline size_t
split_ways(size_t len)
{
	return len + 2;
}

/* Octets of the piece that begins at `at`. */
static inline size_t
split_piece(size_t way, size_t at, size_t len)
{
	if (way == 1)
		return len - at < 1 ? len - at : 1;
	if (way >= 2 && at < way - 2)
		return way - 2 < len ? way - 2 - at : len - at;
	return len - at;
}

static inline uint8_t *
split_copy(const void *from, size_t len)
{
	uint8_t	*p;

	if ((p = malloc(len > 0 ? len : 1)) == NULL)
		abort();
	if (len > 0)
		memcpy(p, from, len);
	return p;
}

/*
 * A line (without its end) as the line splitter gives it when it comes cut
 * that way; to be freed.  NULL when that refuses the line.
 */
static inline uint8_t *
split_line(const void *text, size_t len, size_t way, size_t *linelen)
{
	struct smtp_line	 reader;
	enum smtp_line_result	 r = SMTP_LINE_MORE;
	const uint8_t		*line;
	uint8_t			*wire, *piece, *result = NULL;
	size_t			 at, n, taken;

	wire = malloc(len + 2);
	if (wire == NULL)
		abort();
	memcpy(wire, text, len);
	memcpy(wire + len, "\r\n", 2);
	smtp_line_init(&reader, 65536, 0);
	for (at = 0; at < len + 2 && r == SMTP_LINE_MORE; at += n) {
		n = split_piece(way, at, len + 2);
		piece = split_copy(wire + at, n);
		r = smtp_line_feed(&reader, piece, n, &taken, &line, linelen);
		if (r == SMTP_LINE_OK)
			result = split_copy(line, *linelen);
		free(piece);
	}
	smtp_line_clear(&reader);
	free(wire);
	return result;
}

#endif
