/*
 * Octets to lines, in the worker, for both sides of a session.  Nothing in
 * the input is trusted: what is no clean line is dropped up to its end and
 * named, so that no tail of a line ever turns into a command of its own.
 * A line may be an AUTH exchange, so memory that held one is wiped.
 */

#include "smtp_line.h"

#include <stdlib.h>
#include <string.h>

#define LINE_HEAD	64		/* kept of a line that is dropped */
#define LINE_FIRST	256		/* octets of the first allocation */

/* What one pass over the input has found. */
struct line_scan {
	size_t	taken;			/* up to and with the end, or all */
	size_t	clean;			/* content before the end or fault */
	uint8_t	fault;			/* the first, 0: none */
	uint8_t	is_end;
	uint8_t	has_cr;			/* CR came last */
};

void
smtp_line_init(struct smtp_line *l, uint32_t limit, int allow_lf)
{
	memset(l, 0, sizeof(*l));
	l->limit = limit;
	l->allow_lf = allow_lf != 0;
}

void
smtp_line_clear(struct smtp_line *l)
{
	freezero(l->part, l->size);
	smtp_line_init(l, l->limit, l->allow_lf);
}

void
smtp_line_limit(struct smtp_line *l, uint32_t limit)
{
	l->limit = limit;
}

int
smtp_line_is_partial(const struct smtp_line *l)
{
	if (l->is_out)
		return 0;
	return l->used > 0 || l->has_cr || l->fault != 0;
}

static void
line_fault(struct line_scan *s, enum smtp_line_result fault, size_t at)
{
	if (s->fault != 0)
		return;
	s->fault = (uint8_t)fault;
	s->clean = at;
}

/*
 * Look for the line end, and on the way for the first fault.  A CR is judged
 * by the octet behind it, which may come with a later call; the place of a
 * bare CR is the CR's own, so that the result is the same in either case.
 */
static void
line_scan(struct line_scan *s, const struct smtp_line *l, const uint8_t *in,
    size_t len)
{
	size_t	i, text_end;
	int	has_cr = l->has_cr;

	memset(s, 0, sizeof(*s));
	for (i = 0; i < len && !s->is_end; i++) {
		if (in[i] > '\r' && !has_cr)
			continue;
		text_end = has_cr && i > 0 ? i - 1 : i;
		if (in[i] == '\n' && (has_cr || l->allow_lf)) {
			s->is_end = 1;
			if (s->fault == 0)
				s->clean = text_end;
		} else if (has_cr)
			line_fault(s, SMTP_LINE_BARE_CR, text_end);
		else if (in[i] == '\n')
			line_fault(s, SMTP_LINE_BARE_LF, i);
		else if (in[i] == '\0')
			line_fault(s, SMTP_LINE_NUL, i);
		has_cr = in[i] == '\r';
	}
	s->taken = i;
	s->has_cr = has_cr != 0;
	if (s->fault == 0 && !s->is_end)
		s->clean = has_cr && len > 0 ? len - 1 : len;
}

/*
 * What is wrong with the line up to where the scan came, 0 for nothing; and
 * how many octets of the input are worth keeping.
 */
static uint8_t
line_judge(const struct smtp_line *l, const struct line_scan *s, size_t *keep)
{
	size_t	max, head;
	uint8_t	fault = l->fault;

	*keep = 0;
	if (fault != 0)
		return fault;
	max = l->limit > 2 ? l->limit - 2 : 0;
	head = LINE_HEAD;
	if (l->used > max || s->clean > max - l->used) {
		fault = SMTP_LINE_LONG;
		if (head > max)
			head = max;
	} else
		fault = s->fault;
	if (fault == 0)
		*keep = s->clean;
	else if (l->used < head)
		*keep = s->clean < head - l->used ?
		    s->clean : head - l->used;
	return fault;
}

/* Collect octets: at most the limit, or LINE_HEAD if that is more. */
static int
line_keep(struct smtp_line *l, const uint8_t *in, size_t len)
{
	uint8_t	*part;
	size_t	 size, need;

	if (len == 0)
		return 0;
	need = l->used + len;
	if (need > l->size) {
		size = l->size == 0 ? LINE_FIRST : (size_t)l->size * 2;
		if (size > l->limit)
			size = l->limit;
		if (size < need)
			size = need;
		/* Not realloc(3): the old place is wiped. */
		part = recallocarray(l->part, l->size, size, 1);
		if (part == NULL)
			return -1;
		l->part = part;
		l->size = (uint32_t)size;
	}
	memcpy(l->part + l->used, in, len);
	l->used += (uint32_t)len;
	return 0;
}

enum smtp_line_result
smtp_line_feed(struct smtp_line *l, const uint8_t *in, size_t len,
    size_t *taken, const uint8_t **line, size_t *linelen)
{
	struct line_scan	s;
	size_t			keep;
	uint8_t			fault;

	*taken = 0;
	*line = NULL;
	*linelen = 0;
	if (l->is_out)
		smtp_line_clear(l);
	if (len == 0)
		return SMTP_LINE_MORE;
	line_scan(&s, l, in, len);
	fault = line_judge(l, &s, &keep);
	if (s.is_end && l->used == 0) {
		*line = in;
		*linelen = keep;
	} else if (line_keep(l, in, keep) == -1)
		return SMTP_LINE_NOMEM;

	*taken = s.taken;
	l->has_cr = s.has_cr;
	l->fault = fault;
	if (!s.is_end)
		return SMTP_LINE_MORE;
	if (l->used > 0) {
		*line = l->part;
		*linelen = l->used;
		if (fault != 0 && *linelen > LINE_HEAD)
			*linelen = LINE_HEAD;
		l->is_out = 1;
	}
	l->fault = 0;
	return fault == 0 ? SMTP_LINE_OK : (enum smtp_line_result)fault;
}
