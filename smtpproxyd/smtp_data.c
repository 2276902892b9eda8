/*
 * Message content between client and destination, in the worker.  There must
 * be one reading of where a message ends, and servers exist that take LF.LF,
 * CR.CR or NULs for an end; so none of those passes (RFC 5321 2.3.8, 4.1.1.4;
 * SMTP smuggling).  Octets are judged, never copied, and changed only where
 * that was asked for.
 */

#include "smtp_data.h"

#include <string.h>

#include "smtp_scan.h"

/* Octets that a state of DATA holds back. */
static size_t
data_held(unsigned int state)
{
	switch (state) {
	case DATA_DOT:
	case DATA_CR:
		return 1;
	case DATA_DOT_CR:
		return 2;
	default:
		return 0;
	}
}

void
smtp_data_start(struct smtp_data *d, int normalize)
{
	memset(d, 0, sizeof(*d));
	d->state = DATA_LINE_START;
	d->normalize = normalize != 0;
}

/* One octet at a place where the scan stopped; the state follows it. */
static enum smtp_data_result
data_step(struct smtp_data *d, uint8_t c)
{
	unsigned int	was = d->state;

	if (was == DATA_CR || was == DATA_DOT_CR) {
		if (c != '\n')
			return SMTP_DATA_BARE_CR;
		d->state = DATA_LINE_START;
		return was == DATA_DOT_CR ? SMTP_DATA_END : SMTP_DATA_MORE;
	}
	switch (c) {
	case '\r':
		d->state = was == DATA_DOT ? DATA_DOT_CR : DATA_CR;
		return SMTP_DATA_MORE;
	case '\n':
		d->state = DATA_TEXT;
		return SMTP_DATA_BARE_LF;
	case '\0':
		d->state = DATA_TEXT;
		return SMTP_DATA_NUL;
	default:
		d->state = c == '.' && was == DATA_LINE_START ?
		    DATA_DOT : DATA_TEXT;
		return SMTP_DATA_MORE;
	}
}

/* Pass over text that needs no look at each octet; returns the new place. */
static size_t
data_scan(struct smtp_data *d, const uint8_t *in, size_t len, size_t i)
{
	size_t	n;

	n = smtp_scan(in + i, len - i, d->state == DATA_LINE_START, 1);
	if (n > 0)
		d->state = in[i + n - 1] == '\n' ?
		    DATA_LINE_START : DATA_TEXT;
	return i + n;
}

/*
 * Say what may go on when `taken` octets of the input are used: all of that
 * and of what was held before (in state `was`), save the last `tail` octets.
 * Of a held ".\r" only the dot can come free: behind that CR is either the LF
 * of an end of data, or a fault.
 */
static void
data_span(struct smtp_data *d, unsigned int was, size_t taken, size_t tail,
    struct smtp_data_span *span)
{
	size_t	old = data_held(was);
	size_t	free_octets = old + taken - tail;

	memset(span, 0, sizeof(*span));
	span->taken = taken;
	span->front[0] = was == DATA_CR ? '\r' : '.';
	span->nfront = free_octets < old ? free_octets : old;
	span->pass = free_octets - span->nfront;
	d->size += free_octets;
}

/* The same for each way in which taking octets may have ended. */
static void
data_span_for(struct smtp_data *d, unsigned int was, size_t i, size_t mended,
    enum smtp_data_result result, struct smtp_data_span *span)
{
	switch (result) {
	case SMTP_DATA_MORE:
		data_span(d, was, i, mended > 0 ? mended :
		    data_held(d->state), span);
		break;
	case SMTP_DATA_END:
		data_span(d, was, i, 3, span);
		break;
	case SMTP_DATA_BARE_CR:
		/* The fault is the CR, one octet before the one just seen.
		 * One that an earlier call held stays taken, and
		 * smtp_data_skip() goes on behind it. */
		d->state = i > 1 ? DATA_TEXT : DATA_CR;
		data_span(d, was, i > 1 ? i - 2 : 0, i > 1 ? 0 : 1, span);
		break;
	default:
		data_span(d, was, i - 1, 0, span);
		break;
	}
}

/*
 * A fault that normalising mends: octet `c`, in a state that was `before`.
 *   returns   how many of the last octets do not go out: 0, it is none.  What
 *             goes out for them the new state says: a CRLF for a bare LF, one
 *             CR of several.  A dot that began the line was transparency
 */
static size_t
data_mend(struct smtp_data *d, unsigned int before, uint8_t c)
{
	size_t	held = data_held(before);

	if (!d->normalize)
		return 0;
	if (c == '\n') {
		d->state = DATA_LF;
		d->size += held + 1;
		return held + 1;
	}
	if (c != '\r' || (before != DATA_CR && before != DATA_DOT_CR))
		return 0;
	d->state = DATA_CR;
	d->size += held;		/* the CR that is held comes later */
	return held + 1;
}

/* The CRLF that is owed; a dot behind it is text and needs another. */
static void
data_owed(struct smtp_data_span *span, uint8_t next)
{
	static const uint8_t	owed[SMTP_DATA_FRONT] = "\r\n.";

	memcpy(span->front, owed, sizeof(owed));
	span->nfront = next == '.' ? 3 : 2;
}

enum smtp_data_result
smtp_data_feed(struct smtp_data *d, const uint8_t *in, size_t len,
    struct smtp_data_span *span)
{
	unsigned int		was = d->state, before;
	enum smtp_data_result	result = SMTP_DATA_MORE;
	size_t			i = 0, mended = 0;

	if (was == DATA_LF && len > 0)
		d->state = DATA_TEXT;
	while (i < len && result == SMTP_DATA_MORE && mended == 0) {
		if (data_held(d->state) == 0)
			i = data_scan(d, in, len, i);
		if (i == len)
			break;
		before = d->state;
		result = data_step(d, in[i++]);
		if (result > SMTP_DATA_END &&
		    (mended = data_mend(d, before, in[i - 1])) > 0)
			result = SMTP_DATA_MORE;
	}
	data_span_for(d, was, i, mended, result, span);
	if (was == DATA_LF && len > 0)
		data_owed(span, in[0]);
	return result;
}

enum smtp_data_result
smtp_data_skip(struct smtp_data *d, const uint8_t *in, size_t len,
    size_t *taken)
{
	enum smtp_data_result	result = SMTP_DATA_MORE;
	const uint8_t		*cr;
	size_t			 i = 0;

	while (i < len && result != SMTP_DATA_END) {
		if (d->state == DATA_TEXT) {
			if ((cr = memchr(in + i, '\r', len - i)) == NULL) {
				i = len;
				break;
			}
			i = (size_t)(cr - in);
		}
		result = data_step(d, in[i]);
		if (result == SMTP_DATA_BARE_CR)
			d->state = in[i] == '\r' ? DATA_CR : DATA_TEXT;
		i++;
	}
	*taken = i;
	return result == SMTP_DATA_END ? SMTP_DATA_END : SMTP_DATA_MORE;
}

void
smtp_data_start_chunk(struct smtp_data *d, uint64_t size, int is_first,
    int is_last, int is_binary)
{
	if (is_first)
		memset(d, 0, sizeof(*d));
	d->left = size;
	d->is_last = is_last != 0;
	d->is_binary = is_binary != 0;
}

/*
 * Judge octets of a chunk, at most as many as are left of it; with a fault
 * *len becomes the octets before it.
 */
static enum smtp_data_result
data_judge_chunk(struct smtp_data *d, const uint8_t *in, size_t *len)
{
	size_t	n = *len, i;
	int	is_end = d->is_last && n == d->left;

	if (n == 0)			/* `in` may be NULL */
		return d->has_cr && is_end ?
		    SMTP_DATA_BARE_CR : SMTP_DATA_MORE;
	if (d->has_cr && in[0] != '\n') {
		*len = 0;
		return SMTP_DATA_BARE_CR;
	}
	i = d->has_cr;
	d->has_cr = 0;
	i += smtp_scan(in + i, n - i, 0, 0);
	if (i == n)
		return SMTP_DATA_MORE;
	if (in[i] == '\r' && i + 1 == n && !is_end) {
		d->has_cr = 1;
		return SMTP_DATA_MORE;
	}
	*len = i;
	switch (in[i]) {
	case '\r':
		return SMTP_DATA_BARE_CR;
	case '\n':
		return SMTP_DATA_BARE_LF;
	default:
		return SMTP_DATA_NUL;
	}
}

enum smtp_data_result
smtp_data_feed_chunk(struct smtp_data *d, const uint8_t *in, size_t len,
    struct smtp_data_span *span)
{
	enum smtp_data_result	result = SMTP_DATA_MORE;
	size_t			n = len;

	if (n > d->left)
		n = (size_t)d->left;
	if (!d->is_binary)
		result = data_judge_chunk(d, in, &n);
	d->left -= n;
	d->size += n;
	memset(span, 0, sizeof(*span));
	span->taken = n;
	span->pass = n;
	if (result != SMTP_DATA_MORE || d->left > 0)
		return result;
	/* Without its last octet nobody can take the message as complete. */
	if (d->is_last && n > 0)
		span->pass = n - 1;
	return SMTP_DATA_END;
}

enum smtp_data_result
smtp_data_skip_chunk(struct smtp_data *d, size_t len, size_t *taken)
{
	*taken = len < d->left ? len : (size_t)d->left;
	d->left -= *taken;
	return d->left == 0 ? SMTP_DATA_END : SMTP_DATA_MORE;
}

const char *
smtp_data_result_text(enum smtp_data_result result)
{
	switch (result) {
	case SMTP_DATA_MORE:
		return "more to come";
	case SMTP_DATA_END:
		return "end of data";
	case SMTP_DATA_BARE_CR:
		return "bare CR";
	case SMTP_DATA_BARE_LF:
		return "bare LF";
	case SMTP_DATA_NUL:
		return "NUL";
	}
	return "unknown";
}
