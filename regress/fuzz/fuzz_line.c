/*
 * Line splitter: any cut of a stream gives what a plain reader of the whole
 * stream gives, in bounded memory.
 *
 * Input: one octet that chooses the limit (low four bits) and whether LF ends
 * a line (0x10), one that seeds the cut, then the stream.
 */

#include "../../smtpproxyd/smtp_line.h"

#include "fuzz.h"

static const uint32_t	limits[] = {
	512, 0, 1, 2, 3, 4, 10, 16, 64, 65, 66, 67, 100, 256, 2048, 12288
};

/* Where the line that begins at `at` ends, LF included; 0: it does not. */
static size_t
ref_end(const uint8_t *in, size_t len, size_t at, int allow_lf)
{
	size_t	i;

	for (i = at; i < len; i++)
		if (in[i] == '\n' && (allow_lf ||
		    (i > at && in[i - 1] == '\r')))
			return i + 1;
	return 0;
}

/* One whole line with its end, by looking at each octet in turn. */
static void
ref_line(const uint8_t *line, size_t len, size_t max, struct fuzz_log *log)
{
	enum smtp_line_result	r = SMTP_LINE_OK;
	size_t			i, n;

	n = len - 1;
	if (n > 0 && line[n - 1] == '\r')
		n--;
	for (i = 0; i < n && r == SMTP_LINE_OK; i++) {
		if (line[i] == '\r')
			r = SMTP_LINE_BARE_CR;
		else if (line[i] == '\n')
			r = SMTP_LINE_BARE_LF;
		else if (line[i] == '\0')
			r = SMTP_LINE_NUL;
		else if (i >= max)
			r = SMTP_LINE_LONG;
	}
	if (r != SMTP_LINE_OK)
		n = i - 1 < 64 ? i - 1 : 64;
	fuzz_log_record(log, (int)r, line, n);
}

static void
ref_run(const uint8_t *in, size_t len, uint32_t limit, int allow_lf,
    struct fuzz_log *log)
{
	size_t	at = 0, end;

	while ((end = ref_end(in, len, at, allow_lf)) != 0) {
		ref_line(in + at, end - at, limit < 2 ? 0 : limit - 2, log);
		at = end;
	}
	fuzz_log_record(log, at < len, "", 0);
}

static void
feed(struct smtp_line *l, const uint8_t *in, size_t len, struct fuzz_log *log)
{
	enum smtp_line_result	 r;
	const uint8_t		*line;
	size_t			 taken, n;

	while (len > 0) {
		r = smtp_line_feed(l, in, len, &taken, &line, &n);
		HOLDS(taken > 0 && taken <= len);
		HOLDS(r != SMTP_LINE_MORE || taken == len);
		HOLDS(r != SMTP_LINE_NOMEM);
		HOLDS(l->size <= (l->limit < 64 ? 64 : l->limit));
		HOLDS(l->used <= l->size);
		if (r != SMTP_LINE_MORE) {
			HOLDS(!smtp_line_is_partial(l));
			fuzz_log_record(log, (int)r, line, n);
		}
		in += taken;
		len -= taken;
	}
}

static void
run(const uint8_t *in, size_t len, uint32_t limit, int allow_lf,
    uint32_t seed, struct fuzz_log *log)
{
	struct smtp_line	l;
	struct fuzz_cut		cut = { seed, in, len, NULL };
	size_t			n;

	smtp_line_init(&l, limit, allow_lf);
	while ((n = fuzz_next(&cut)) > 0)
		feed(&l, cut.piece, n, log);
	fuzz_log_record(log, smtp_line_is_partial(&l), "", 0);
	smtp_line_clear(&l);
	HOLDS(!smtp_line_is_partial(&l) && l.part == NULL);
}

int
LLVMFuzzerTestOneInput(const uint8_t *in, size_t len)
{
	struct fuzz_log	want = { NULL, 0, 0 }, got = { NULL, 0, 0 };
	uint32_t	limit, seeds[3] = { 0, 1, 0 };
	size_t		i;
	int		allow_lf;

	if (len < 2)
		return 0;
	limit = limits[in[0] & 0x0f];
	allow_lf = (in[0] & 0x10) != 0;
	seeds[2] = in[1] + 2U;
	ref_run(in + 2, len - 2, limit, allow_lf, &want);
	for (i = 0; i < 3; i++) {
		run(in + 2, len - 2, limit, allow_lf, seeds[i], &got);
		HOLDS(fuzz_log_is_equal(&want, &got));
		fuzz_log_clear(&got);
	}
	fuzz_log_clear(&want);
	return 0;
}
