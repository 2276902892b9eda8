/*
 * Replies of a destination, in the worker.  The destination is not trusted to
 * be one, or to be right: a reply that is not exactly of RFC 5321 4.2's form
 * is malformed, because a client that reads it otherwise than we do would see
 * the replies behind it slip by one (Sendmail's "050" lines after VERB do
 * that).
 */

#include "smtp_reply.h"

#include <stdlib.h>
#include <string.h>

#define REPLY_FIRST	512		/* octets of the first allocation */

void
smtp_reply_init(struct smtp_reply *r)
{
	memset(r, 0, sizeof(*r));
}

/*
 * A 334 carries a challenge, and what a server says about a credential may
 * quote it, so the memory is wiped.
 */
void
smtp_reply_clear(struct smtp_reply *r)
{
	freezero(r->text, r->size);
	smtp_reply_init(r);
}

/* The code at the start of a line, 0 when there is none (RFC 5321 4.2). */
static unsigned int
reply_code(const uint8_t *line, size_t len)
{
	if (len < 3 || line[0] < '2' || line[0] > '5' ||
	    line[1] < '0' || line[1] > '5' || line[2] < '0' || line[2] > '9')
		return 0;
	return (line[0] - '0') * 100U + (line[1] - '0') * 10U +
	    (line[2] - '0');
}

/* NULL, or what is wrong with the text behind the code. */
static const char *
reply_text_fault(const uint8_t *text, size_t len, int allow_8bit)
{
	size_t	i;

	for (i = 0; i < len; i++) {
		if (text[i] >= ' ' && text[i] < 0x7f)
			continue;
		if (text[i] >= 0x80 && !allow_8bit)
			return "8-bit text";
		if (text[i] < 0x80 && text[i] != '\t')
			return "control character";
	}
	return NULL;
}

static const char *
reply_fault(const struct smtp_reply *r, const uint8_t *line, size_t len,
    int is_long, int allow_8bit)
{
	unsigned int	code = reply_code(line, len);
	unsigned int	max = is_long ? SMTP_REPLY_LINES_LONG :
			    SMTP_REPLY_LINES;

	if (code == 0)
		return "no reply code";
	if (r->code != 0 && code != r->code)
		return "mixed codes";
	if (len > 3 && line[3] != ' ' && line[3] != '-')
		return "no space behind the code";
	if (len > SMTP_REPLY_LINE_MAX - 2)
		return "line too long";
	if (r->nlines >= max)
		return "too many lines";
	if (len + 2 > SMTP_REPLY_MAX - r->used)
		return "too long";
	return reply_text_fault(line + 3, len - 3, allow_8bit);
}

/* Append the line and CRLF; `used` never goes above SMTP_REPLY_MAX. */
static int
reply_add(struct smtp_reply *r, const uint8_t *line, size_t len)
{
	uint8_t	*text;
	size_t	 need = r->used + len + 2, size;

	if (need > r->size) {
		size = r->size == 0 ? REPLY_FIRST : r->size * 2;
		if (size > SMTP_REPLY_MAX)
			size = SMTP_REPLY_MAX;
		if (size < need)
			size = need;
		text = recallocarray(r->text, r->size, size, 1);
		if (text == NULL)
			return -1;
		r->text = text;
		r->size = size;
	}
	memcpy(r->text + r->used, line, len);
	memcpy(r->text + r->used + len, "\r\n", 2);
	r->used = need;
	r->nlines++;
	return 0;
}

enum smtp_reply_result
smtp_reply_line(struct smtp_reply *r, const uint8_t *line, size_t len,
    int is_long, int allow_8bit)
{
	r->fault = reply_fault(r, line, len, is_long, allow_8bit);
	if (r->fault != NULL)
		return SMTP_REPLY_BAD;
	if (reply_add(r, line, len) == -1)
		return SMTP_REPLY_NOMEM;
	r->code = reply_code(line, len);
	return len > 3 && line[3] == '-' ? SMTP_REPLY_MORE : SMTP_REPLY_OK;
}

const uint8_t *
smtp_reply_text(const struct smtp_reply *r, size_t *len)
{
	const uint8_t	*end;

	*len = 0;
	if (r->used < 5)
		return NULL;
	/* Every line has its CRLF, so one is found. */
	end = memchr(r->text, '\r', r->used);
	if (end == NULL || end - r->text < 4)
		return r->text + 3;
	*len = (size_t)(end - r->text) - 4;
	return r->text + 4;
}
