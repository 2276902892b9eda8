/*
 * Reply parser: a destination's stream, cut in any way, gives the same replies
 * and faults; each reply is what a strict client reads too.
 *
 * Input: one octet of flags (1: EHLO or HELP, 2: SMTPUTF8), one that seeds the
 * cut, then the stream.
 */

#include "../../smtpproxyd/smtp_reply.h"

#include "../../smtpproxyd/smtp_line.h"
#include "fuzz.h"

#define FLAG_LONG	1
#define FLAG_UTF8	2

/* A strict reader: every line of that code, CRLF only, marks as they must. */
static void
check_reply(const struct smtp_reply *r, int flags)
{
	const uint8_t	*p = r->text, *end = r->text + r->used, *crlf;
	unsigned int	 n = 0;
	char		 code[4];

	HOLDS(r->code >= 200 && r->code <= 559 && r->code / 10 % 10 <= 5);
	HOLDS(r->used <= SMTP_REPLY_MAX && r->used <= r->size);
	HOLDS(r->nlines <= (flags & FLAG_LONG ? SMTP_REPLY_LINES_LONG :
	    SMTP_REPLY_LINES));
	(void)snprintf(code, sizeof(code), "%u", r->code);
	for (; p < end; p = crlf + 2, n++) {
		crlf = memchr(p, '\r', (size_t)(end - p));
		HOLDS(crlf != NULL && crlf + 1 < end && crlf[1] == '\n');
		HOLDS(crlf - p >= 3 && memcmp(p, code, 3) == 0);
		HOLDS(crlf + 2 - p <= SMTP_REPLY_LINE_MAX);
		HOLDS(memchr(p, '\n', (size_t)(crlf - p)) == NULL);
		HOLDS(memchr(p, '\0', (size_t)(crlf - p)) == NULL);
		if (crlf + 2 < end)
			HOLDS(p[3] == '-');
		else
			HOLDS(p[3] == ' ' || p[3] == '\r');
		for (; p < crlf; p++)
			HOLDS(*p < 0x80 || (flags & FLAG_UTF8) != 0);
	}
	HOLDS(n == r->nlines);
}

static void
check_text(const struct smtp_reply *r)
{
	const uint8_t	*text;
	size_t		 len;

	text = smtp_reply_text(r, &len);
	HOLDS(text >= r->text && text + len <= r->text + r->used);
	HOLDS(text[len] == '\r');
}

/* 0 when the reply was malformed. */
static int
take_line(struct smtp_reply *r, const uint8_t *line, size_t len, int flags,
    struct fuzz_log *log)
{
	switch (smtp_reply_line(r, line, len, flags & FLAG_LONG,
	    flags & FLAG_UTF8)) {
	case SMTP_REPLY_OK:
		check_reply(r, flags);
		check_text(r);
		fuzz_log_record(log, (int)r->code, r->text, r->used);
		smtp_reply_clear(r);
		break;
	case SMTP_REPLY_BAD:
		HOLDS(r->fault != NULL);
		fuzz_log_record(log, -1, r->fault, strlen(r->fault));
		return 0;
	case SMTP_REPLY_MORE:
		HOLDS(r->nlines > 0 && r->used <= SMTP_REPLY_MAX);
		break;
	case SMTP_REPLY_NOMEM:
		abort();
	}
	return 1;
}

static int
feed(struct smtp_line *lines, struct smtp_reply *r, const uint8_t *in,
    size_t len, int flags, struct fuzz_log *log)
{
	enum smtp_line_result	 got;
	const uint8_t		*line;
	size_t			 taken, n;

	for (; len > 0; in += taken, len -= taken) {
		got = smtp_line_feed(lines, in, len, &taken, &line, &n);
		if (got == SMTP_LINE_MORE)
			continue;
		if (got != SMTP_LINE_OK) {
			fuzz_log_record(log, -2 - (int)got, "", 0);
			return 0;
		}
		if (!take_line(r, line, n, flags, log))
			return 0;
	}
	return 1;
}

static void
run(const uint8_t *in, size_t len, int flags, uint32_t seed,
    struct fuzz_log *log)
{
	struct smtp_line	lines;
	struct smtp_reply	r;
	struct fuzz_cut		cut = { seed, in, len, NULL };
	size_t			n;

	smtp_line_init(&lines, SMTP_REPLY_LINE_MAX, 1);
	smtp_reply_init(&r);
	while ((n = fuzz_next(&cut)) > 0)
		if (!feed(&lines, &r, cut.piece, n, flags, log))
			break;
	free(cut.piece);
	fuzz_log_record(log, (int)r.nlines, r.text, r.used);
	smtp_reply_clear(&r);
	smtp_line_clear(&lines);
}

int
LLVMFuzzerTestOneInput(const uint8_t *in, size_t len)
{
	struct fuzz_log	want = { NULL, 0, 0 }, got = { NULL, 0, 0 };
	uint32_t	seeds[2] = { 1, 0 };
	size_t		i;

	if (len < 2)
		return 0;
	seeds[1] = in[1] + 2U;
	run(in + 2, len - 2, in[0], 0, &want);
	for (i = 0; i < 2; i++) {
		run(in + 2, len - 2, in[0], seeds[i], &got);
		HOLDS(fuzz_log_is_equal(&want, &got));
		fuzz_log_clear(&got);
	}
	fuzz_log_clear(&want);
	return 0;
}
