#ifndef REF_SESSION_H
#define REF_SESSION_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/*
 * Reference readers of one direction of a session, for tests: the whole stream
 * is there, with the codes of the replies, and it is read as servers read it:
 * strictly, or taking for a line end or an end of data what some take for one.
 * Slow, and with nothing of the engine in it.
 */
enum ref_mode {
	REF_STRICT = 0,		/* CRLF, and CRLF.CRLF */
	REF_LF,			/* LF is a line end too */
	REF_CR,			/* CR and LF each are */
	REF_LF_DOT_LF,		/* lines strictly, but LF.LF ends data */
	REF_CR_DOT_CR,		/* CR.CR ends data */
	REF_NUL,		/* LF is an end, NUL is not there */
	REF_MODES
};

enum ref_kind {
	REF_LINE = 0,		/* a command */
	REF_SECRET,		/* a line of AUTH */
	REF_CHUNK,		/* BDAT: its chunk */
	REF_CONTENT		/* DATA: up to the end */
};

struct ref_item {
	enum ref_kind	kind;
	size_t		start, len;	/* of the line, chunk or content */
	size_t		next;		/* behind it, its end included */
	int		is_complete;
	int		is_last;	/* chunk of LAST */
	unsigned int	code;		/* of its reply; 0: none (yet) */
};
#define REF_ITEMS	512

struct ref_session {
	const uint8_t	*in;
	size_t		 len;
	size_t		 at;		/* where reading stopped */
	const unsigned int *codes;	/* replies, the greeting left out */
	size_t		 ncodes;
	size_t		 nused;		/* replies given away */
	size_t		 nitems;
	int		 is_full;	/* more items than fit */
	int		 is_opaque;	/* 220 to STARTTLS: no more lines */
	struct ref_item	 item[REF_ITEMS];
};

/* Is there a line end, and how long is it? */
static inline size_t
ref_eol(const uint8_t *in, size_t len, size_t at, enum ref_mode mode)
{
	if (at + 1 < len && in[at] == '\r' && in[at + 1] == '\n')
		return 2;
	if (in[at] == '\n' && (mode == REF_LF || mode == REF_CR ||
	    mode == REF_NUL))
		return 1;
	if (in[at] == '\r' && mode == REF_CR)
		return 1;
	return 0;
}

static inline struct ref_item *
ref_push(struct ref_session *r, enum ref_kind kind)
{
	struct ref_item	*i;

	if (r->nitems == REF_ITEMS) {
		r->is_full = 1;
		return NULL;
	}
	i = &r->item[r->nitems++];
	memset(i, 0, sizeof(*i));
	i->kind = kind;
	i->start = i->next = r->at;
	return i;
}

static inline void
ref_reply(struct ref_session *r, struct ref_item *i)
{
	if (r->nused < r->ncodes)
		i->code = r->codes[r->nused++];
}

/* One line that gets a reply; NULL: it is not complete, or no room. */
static inline struct ref_item *
ref_line(struct ref_session *r, enum ref_kind kind, enum ref_mode mode)
{
	struct ref_item	*i;
	size_t		 at, n = 0;

	for (at = r->at; at < r->len; at++)
		if ((n = ref_eol(r->in, r->len, at, mode)) > 0)
			break;
	if (n == 0 || (i = ref_push(r, kind)) == NULL)
		return NULL;
	i->len = at - r->at;
	i->next = r->at = at + n;
	i->is_complete = 1;
	ref_reply(r, i);
	return i;
}

static inline int
ref_is(const struct ref_session *r, size_t at, const char *what)
{
	size_t	n = strlen(what);

	return r->len - at >= n && memcmp(r->in + at, what, n) == 0;
}

/* An end of data that begins at `at` (with a line end, but at the start). */
static inline size_t
ref_end(const struct ref_session *r, size_t start, size_t at,
    enum ref_mode mode)
{
	size_t	i = at, n;

	if (mode == REF_LF_DOT_LF && ref_is(r, at, "\n.\n"))
		return 3;
	if (mode == REF_CR_DOT_CR && ref_is(r, at, "\r.\r"))
		return 3;
	n = ref_eol(r->in, r->len, i, mode);
	if (at > start && n == 0)
		return 0;
	i += n;
	while (mode == REF_NUL && i < r->len && r->in[i] == '\0')
		i++;
	if (i >= r->len || r->in[i] != '.')
		return 0;
	i++;
	while (mode == REF_NUL && i < r->len && r->in[i] == '\0')
		i++;
	if (i >= r->len || (n = ref_eol(r->in, r->len, i, mode)) == 0)
		return 0;
	return i + n - at;
}

static inline void
ref_content(struct ref_session *r, enum ref_mode mode)
{
	struct ref_item	*i;
	size_t		 at, n, start = r->at;

	if ((i = ref_push(r, REF_CONTENT)) == NULL)
		return;
	for (at = start; at < r->len; at++) {
		if ((n = ref_end(r, start, at, mode)) == 0)
			continue;
		/* The line end in front of the dot is content. */
		i->len = at - start + ref_eol(r->in, r->len, at, mode);
		i->next = r->at = at + n;
		i->is_complete = 1;
		ref_reply(r, i);
		return;
	}
	i->len = r->len - start;
	i->next = r->at = r->len;
}

static inline int
ref_verb(const struct ref_session *r, const struct ref_item *i,
    const char *verb)
{
	size_t	n = strlen(verb);

	return i->len >= n && strncasecmp((const char *)r->in + i->start,
	    verb, n) == 0 && (i->len == n || r->in[i->start + n] == ' ');
}

/* BDAT's size; -1: that is no BDAT. */
static inline int
ref_chunk_size(const struct ref_session *r, const struct ref_item *i,
    uint64_t *size, int *is_last)
{
	size_t	at = i->start + 4, end = i->start + i->len, ndigits = 0;

	while (at < end && r->in[at] == ' ')
		at++;
	*size = 0;
	for (; at < end && r->in[at] >= '0' && r->in[at] <= '9'; at++) {
		uint64_t	digit = (uint64_t)(r->in[at] - '0');

		if (++ndigits > 20 || *size > (INT64_MAX - digit) / 10)
			return -1;
		*size = *size * 10 + digit;
	}
	while (end > at && r->in[end - 1] == ' ')
		end--;
	*is_last = end - at == 5 && strncasecmp((const char *)r->in + at,
	    " LAST", 5) == 0;
	return ndigits > 0 && (at == end || *is_last) ? 0 : -1;
}

/* The octets behind a BDAT; 0: it can't be read on. */
static inline int
ref_chunk(struct ref_session *r, const struct ref_item *line)
{
	struct ref_item	*i;
	uint64_t	 size;
	int		 is_last;

	if (ref_chunk_size(r, line, &size, &is_last) == -1 ||
	    (i = ref_push(r, REF_CHUNK)) == NULL)
		return 0;
	i->is_last = is_last;
	i->code = line->code;
	i->is_complete = size <= r->len - r->at;
	i->len = i->is_complete ? (size_t)size : r->len - r->at;
	i->next = r->at += i->len;
	return i->is_complete;
}

/*
 * Read it all.  Behind DATA, AUTH and STARTTLS nothing is read until their
 * reply is known; what stands there then is `at` < `len`.
 */
static inline void
ref_read(struct ref_session *r, enum ref_mode mode, const uint8_t *in,
    size_t len, const unsigned int *codes, size_t ncodes)
{
	struct ref_item	*i;

	memset(r, 0, sizeof(*r));
	r->in = in;
	r->len = len;
	r->codes = codes;
	r->ncodes = ncodes;
	while ((i = ref_line(r, REF_LINE, mode)) != NULL) {
		if (ref_verb(r, i, "BDAT")) {
			if (!ref_chunk(r, i))
				return;
		} else if (ref_verb(r, i, "DATA")) {
			if (i->code == 354)
				ref_content(r, mode);
			else if (i->code == 0)
				return;
		} else if (ref_verb(r, i, "STARTTLS")) {
			r->is_opaque = i->code == 220;
			if (i->code == 220 || i->code == 0)
				return;
		} else if (ref_verb(r, i, "AUTH")) {
			while (i != NULL && i->code == 334)
				i = ref_line(r, REF_SECRET, mode);
			if (i == NULL || i->code == 0)
				return;
		}
	}
}

/*
 * Codes of the replies in a stream, which ends for us where one is malformed.
 *   returns   how many, and in *end the place behind the last one
 */
static inline size_t
ref_codes_end(const uint8_t *in, size_t len, unsigned int *codes, size_t max,
    size_t *end)
{
	const uint8_t	*lf;
	size_t		 n = 0, at, left;
	unsigned int	 code, first = 0;

	*end = 0;
	for (at = 0; n < max; at = (size_t)(lf - in) + 1) {
		left = len - at;
		if (left == 0 || (lf = memchr(in + at, '\n', left)) == NULL)
			break;
		if (lf - (in + at) < 3 || in[at] < '2' || in[at] > '5')
			break;
		code = (in[at] - '0') * 100U + (in[at + 1] - '0') * 10U +
		    (in[at + 2] - '0');
		if (first != 0 && code != first)
			break;
		first = code;
		if (in[at + 3] == '-')
			continue;
		codes[n++] = code;
		first = 0;
		*end = (size_t)(lf - in) + 1;
	}
	return n;
}

static inline size_t
ref_codes(const uint8_t *in, size_t len, unsigned int *codes, size_t max)
{
	size_t	end;

	return ref_codes_end(in, len, codes, max, &end);
}

/* A message: what DATA or a chain of chunks brought, whole. */
struct ref_message {
	uint8_t		*octets;
	size_t		 len;
	unsigned int	 code;
	size_t		 next;		/* place behind it in the stream */
	int		 is_data;	/* not chunks */
};
#define REF_MESSAGES	64

static inline void
ref_append(struct ref_message *m, const uint8_t *in, size_t len)
{
	if ((m->octets = realloc(m->octets, m->len + len + 1)) == NULL)
		abort();
	if (len > 0)
		memcpy(m->octets + m->len, in, len);
	m->len += len;
}

static inline size_t
ref_messages(const struct ref_session *r, struct ref_message *m)
{
	size_t	i, n = 0;

	memset(m, 0, REF_MESSAGES * sizeof(*m));
	for (i = 0; i < r->nitems && n < REF_MESSAGES - 1; i++) {
		const struct ref_item	*x = &r->item[i];

		if (x->kind == REF_LINE && (ref_verb(r, x, "RSET") ||
		    ref_verb(r, x, "HELO") || ref_verb(r, x, "EHLO") ||
		    ref_verb(r, x, "MAIL")) && x->code < 300)
			m[n].len = 0;		/* chunks before are gone */
		if (x->kind == REF_CONTENT)
			m[n].len = 0;
		if ((x->kind != REF_CHUNK && x->kind != REF_CONTENT) ||
		    !x->is_complete)
			continue;
		ref_append(&m[n], r->in + x->start, x->len);
		m[n].code = x->code;
		m[n].next = x->next;
		m[n].is_data = x->kind == REF_CONTENT;
		if (x->kind == REF_CONTENT || x->is_last)
			n++;
	}
	return n;
}

static inline void
ref_messages_free(struct ref_message *m)
{
	size_t	i;

	for (i = 0; i < REF_MESSAGES; i++)
		free(m[i].octets);
}

#endif
