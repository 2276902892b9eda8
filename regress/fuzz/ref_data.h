#ifndef REF_DATA_H
#define REF_DATA_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "../../smtpproxyd/smtp_data.h"

/*
 * Readers of message content for the tests: they see the whole stream at once
 * and look at one octet after the other, so they can be read for correctness.
 * Slow, and with nothing of smtp_data in them but the names of results.
 */
struct ref_data {
	enum smtp_data_result	result;
	size_t			pass;	/* octets from the start that may go */
	size_t			taken;
};

static inline int
ref_has(const uint8_t *in, size_t len, size_t at, const char *what)
{
	size_t	n = strlen(what);

	return at <= len && len - at >= n && memcmp(in + at, what, n) == 0;
}

/* Does a line begin there?  Only a CRLF before it, or the very start. */
static inline int
ref_is_start(const uint8_t *in, size_t at)
{
	return at == 0 || (at >= 2 && in[at - 2] == '\r' && in[at - 1] == '\n');
}

static inline void
ref_data(struct ref_data *ref, const uint8_t *in, size_t len)
{
	size_t	i;

	ref->result = SMTP_DATA_MORE;
	ref->taken = len;
	for (i = 0; i < len; i++) {
		ref->pass = i;
		if (ref_is_start(in, i) && in[i] == '.') {
			if (ref_has(in, len, i, ".\r\n")) {
				ref->result = SMTP_DATA_END;
				ref->taken = i + 3;
				return;
			}
			if (len - i == 1 || (len - i == 2 && in[i + 1] == '\r'))
				return;
		}
		if (in[i] == '\r' && len - i == 1)
			return;
		if (in[i] == '\r' && in[i + 1] != '\n')
			ref->result = SMTP_DATA_BARE_CR;
		else if (in[i] == '\n' && (i == 0 || in[i - 1] != '\r'))
			ref->result = SMTP_DATA_BARE_LF;
		else if (in[i] == '\0')
			ref->result = SMTP_DATA_NUL;
		if (ref->result != SMTP_DATA_MORE) {
			ref->taken = i;
			return;
		}
	}
	ref->pass = len;
}

/*
 * What goes out when newlines are normalised, up to the end or a fault: lines
 * end with LF, CRs in front of it don't count, and what begins with a dot gets
 * another, unless it has it as transparency (behind CRLF only).
 *   out       room for twice the input
 *   returns   octets there; what depends on octets to come is not
 */
static inline size_t
ref_normal(struct ref_data *ref, const uint8_t *in, size_t len, uint8_t *out)
{
	size_t	i = 0, n = 0, lf, at;
	int	is_dotted;

	ref->result = SMTP_DATA_MORE;
	ref->taken = len;
	while (i < len) {
		/* A line, or a part of one, from i. */
		is_dotted = ref_is_start(in, i) && in[i] == '.';
		if (is_dotted && ref_has(in, len, i, ".\r\n")) {
			ref->result = SMTP_DATA_END;
			ref->taken = i + 3;
			return n;
		}
		for (at = i + (is_dotted ? 1 : 0); at < len &&
		    in[at] != '\r' && in[at] != '\n' && in[at] != '\0'; at++)
			;
		for (lf = at; lf < len && in[lf] == '\r'; lf++)
			;
		/* Only a dot: is it all of the line? */
		if (is_dotted && at == i + 1 && (lf == len || in[lf] == '\n' ||
		    lf > at + 1))
			i++;
		if (i > 0 && in[i - 1] == '\n' && !ref_is_start(in, i) &&
		    in[i] == '.')
			out[n++] = '.';
		memcpy(out + n, in + i, at - i);
		n += at - i;
		if (lf == len)
			return n;
		if (in[lf] == '\0' && lf == at) {
			ref->result = SMTP_DATA_NUL;
			ref->taken = lf;
			return n;
		}
		if (in[lf] != '\n') {
			ref->result = SMTP_DATA_BARE_CR;
			ref->taken = lf - 1;
			return n;
		}
		i = lf + 1;
		/* Behind a bare LF the CRLF waits for what is next. */
		if (lf == at && i == len)
			return n;
		out[n++] = '\r';
		out[n++] = '\n';
	}
	return n;
}

/* Place behind the first CRLF.CRLF, faults or not; 0 when there is none. */
static inline size_t
ref_data_skip(const uint8_t *in, size_t len)
{
	size_t	i;

	for (i = 0; i < len; i++)
		if (ref_is_start(in, i) && ref_has(in, len, i, ".\r\n"))
			return i + 3;
	return 0;
}

/* What smtp_scan() is to find. */
static inline size_t
ref_scan(const uint8_t *in, size_t len, int at_start, int find_dots)
{
	size_t	i;

	for (i = 0; i < len; i++) {
		if (in[i] == '\0')
			return i;
		if (in[i] == '\r' && (i + 1 == len || in[i + 1] != '\n'))
			return i;
		if (in[i] == '\n' && (i == 0 || in[i - 1] != '\r'))
			return i;
		if (find_dots && in[i] == '.' &&
		    (i == 0 ? at_start : in[i - 1] == '\n'))
			return i;
	}
	return len;
}

#endif
