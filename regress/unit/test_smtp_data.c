/*
 * Message content: tables, and both scans against a reader that looks at one
 * octet after the other, on every short stream of the octets that matter and
 * on long random ones.
 */

#include "../../smtpproxyd/smtp_data.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../smtpproxyd/smtp_scan.h"
#include "../fuzz/ref_data.h"
#include "split.h"

#define CRLF	"\r\n"
#define A16	"aaaaaaaaaaaaaaaa"
#define A64	A16 A16 A16 A16
#define IN(s)	s, sizeof(s) - 1

/* What passes is always the start of the input: `pass` octets of it. */
static const struct row {
	const char		*in;
	size_t			 len;
	enum smtp_data_result	 result;
	size_t			 pass;
} rows[] = {
	{ IN(""),			SMTP_DATA_MORE,		0 },
	{ IN("." CRLF),			SMTP_DATA_END,		0 },
	{ IN("." CRLF "QUIT" CRLF),	SMTP_DATA_END,		0 },
	{ IN(CRLF "." CRLF),		SMTP_DATA_END,		2 },
	{ IN("a" CRLF "." CRLF),	SMTP_DATA_END,		3 },
	{ IN("a" CRLF ".." CRLF "." CRLF), SMTP_DATA_END,	7 },
	{ IN(".a" CRLF "." CRLF),	SMTP_DATA_END,		4 },
	{ IN("a." CRLF "." CRLF),	SMTP_DATA_END,		4 },
	{ IN("a" CRLF ". " CRLF "." CRLF), SMTP_DATA_END,	7 },
	{ IN("a" CRLF CRLF CRLF "." CRLF), SMTP_DATA_END,	7 },
	{ IN(A64 A64 CRLF "." CRLF),	SMTP_DATA_END,		130 },
	{ IN("\x80\xff\t\x01\x0b" CRLF "." CRLF), SMTP_DATA_END, 7 },
	/* Not yet an end: held back, never half of one sent. */
	{ IN("a"),			SMTP_DATA_MORE,		1 },
	{ IN("a\r"),			SMTP_DATA_MORE,		1 },
	{ IN("a" CRLF),			SMTP_DATA_MORE,		3 },
	{ IN("a" CRLF "."),		SMTP_DATA_MORE,		3 },
	{ IN("a" CRLF ".\r"),		SMTP_DATA_MORE,		3 },
	{ IN("a" CRLF ".a"),		SMTP_DATA_MORE,		5 },
	{ IN("a" CRLF ".."),		SMTP_DATA_MORE,		5 },
	{ IN("."),			SMTP_DATA_MORE,		0 },
	{ IN(".\r"),			SMTP_DATA_MORE,		0 },
	{ IN("a."),			SMTP_DATA_MORE,		2 },
	{ IN(A64 A64 "\r"),		SMTP_DATA_MORE,		128 },
	/* What lenient servers take for an end (SMTP smuggling). */
	{ IN("a\n.\nMAIL"),		SMTP_DATA_BARE_LF,	1 },
	{ IN("a\n." CRLF "MAIL"),	SMTP_DATA_BARE_LF,	1 },
	{ IN("a" CRLF ".\nMAIL"),	SMTP_DATA_BARE_LF,	4 },
	{ IN("a\r.\rMAIL"),		SMTP_DATA_BARE_CR,	1 },
	{ IN("a\r." CRLF "MAIL"),	SMTP_DATA_BARE_CR,	1 },
	{ IN("a" CRLF ".\rMAIL"),	SMTP_DATA_BARE_CR,	4 },
	{ IN("a" CRLF ".\r" CRLF "M"),	SMTP_DATA_BARE_CR,	4 },
	{ IN("a\r" CRLF "." CRLF "M"),	SMTP_DATA_BARE_CR,	1 },
	{ IN("a" CRLF "\0." CRLF "M"),	SMTP_DATA_NUL,		3 },
	{ IN("a" CRLF ".\0" CRLF "M"),	SMTP_DATA_NUL,		4 },
	{ IN("a" CRLF ".\r\0\nM"),	SMTP_DATA_BARE_CR,	4 },
	{ IN("a\r\0\n." CRLF "M"),	SMTP_DATA_BARE_CR,	1 },
	{ IN("a\n\r." CRLF "M"),	SMTP_DATA_BARE_LF,	1 },
	{ IN(".\n"),			SMTP_DATA_BARE_LF,	1 },
	{ IN(".\0"),			SMTP_DATA_NUL,		1 },
	{ IN(".\rx"),			SMTP_DATA_BARE_CR,	1 },
	{ IN("\n"),			SMTP_DATA_BARE_LF,	0 },
	{ IN("\rx"),			SMTP_DATA_BARE_CR,	0 },
	{ IN("\0"),			SMTP_DATA_NUL,		0 },
	{ IN(CRLF "\n"),		SMTP_DATA_BARE_LF,	2 },
	{ IN(A64 A64 "\n" A64),		SMTP_DATA_BARE_LF,	128 },
	{ IN(A64 "\r" A64 A64),		SMTP_DATA_BARE_CR,	64 },
	{ IN(A64 A64 "\0" A64),		SMTP_DATA_NUL,		128 },
};

/* One stream through smtp_data_feed(), cut in some way. */
struct run {
	enum smtp_data_result	 result;
	uint8_t			 pass[8192];
	size_t			 npass;
	size_t			 taken;
	struct smtp_data	 data;
};

static void
run_add(struct run *run, const struct smtp_data_span *span, const uint8_t *in)
{
	HOLDS(span->nfront <= sizeof(span->front));
	HOLDS(span->pass <= span->taken);
	memcpy(run->pass + run->npass, span->front, span->nfront);
	run->npass += span->nfront;
	memcpy(run->pass + run->npass, in, span->pass);
	run->npass += span->pass;
	run->taken += span->taken;
}

static void
run_data(struct run *run, const uint8_t *in, size_t len, size_t way,
    int normalize)
{
	struct smtp_data_span	 span;
	uint8_t			*piece;
	size_t			 at, n;

	memset(run, 0, sizeof(*run));
	smtp_data_start(&run->data, normalize);
	for (at = 0; at < len && run->result == SMTP_DATA_MORE;
	    at += span.taken) {
		n = split_piece(way, at, len);
		piece = split_copy(in + at, n);
		run->result = smtp_data_feed(&run->data, piece, n, &span);
		HOLDS(span.taken <= n);
		if (run->result == SMTP_DATA_MORE)
			HOLDS(span.taken == n ||
			    (normalize && span.taken > 0));
		run_add(run, &span, piece);
		free(piece);
	}
}

/*
 * Go on behind a fault; where did that end?  Only a CR of an earlier piece is
 * taken already.
 */
static void
check_skip(struct run *run, const uint8_t *in, size_t len, size_t way)
{
	enum smtp_data_result	r = SMTP_DATA_MORE;
	size_t			at = run->taken, n, taken, end;

	end = ref_data_skip(in, len);
	while (at < len && r == SMTP_DATA_MORE) {
		n = split_piece(way, at, len);
		r = smtp_data_skip(&run->data, in + at, n, &taken);
		at += taken;
	}
	HOLDS(r == (end == 0 ? SMTP_DATA_MORE : SMTP_DATA_END));
	HOLDS(at == (end == 0 ? len : end));
}

static void
check_normal(const uint8_t *in, size_t len, size_t way)
{
	uint8_t		want[8192];
	struct run	run;
	struct ref_data	ref;
	size_t		n;

	n = ref_normal(&ref, in, len, want);
	run_data(&run, in, len, way, 1);
	HOLDS(run.result == ref.result);
	HOLDS(run.npass == n && memcmp(run.pass, want, n) == 0);
	if (ref.result == SMTP_DATA_BARE_CR && run.taken == ref.taken + 1)
		HOLDS(run.data.state == DATA_CR);
	else
		HOLDS(run.taken == ref.taken);
	if (ref.result == SMTP_DATA_END)
		HOLDS(run.data.size == ref.taken - 3);
	else if (ref.result != SMTP_DATA_MORE)
		check_skip(&run, in, len, way);
}

static void
check_data(const uint8_t *in, size_t len, size_t way)
{
	struct run	run;
	struct ref_data	ref;

	check_normal(in, len, way);
	ref_data(&ref, in, len);
	run_data(&run, in, len, way, 0);
	HOLDS(run.result == ref.result);
	HOLDS(run.npass == ref.pass);
	HOLDS(memcmp(run.pass, in, ref.pass) == 0);
	HOLDS(run.data.size == ref.pass);
	if (ref.result == SMTP_DATA_BARE_CR && run.taken == ref.taken + 1)
		HOLDS(run.data.state == DATA_CR);
	else
		HOLDS(run.taken == ref.taken);
	if (ref.result != SMTP_DATA_MORE && ref.result != SMTP_DATA_END)
		check_skip(&run, in, len, way);
}

START_TEST(test_rows)
{
	const struct row	*row = &rows[_i];
	struct run		 run;
	size_t			 way;

	for (way = 0; way < split_ways(row->len); way++) {
		run_data(&run, (const uint8_t *)row->in, row->len, way, 0);
		HOLDS(run.result == row->result);
		HOLDS(run.npass == row->pass);
		HOLDS(memcmp(run.pass, row->in, row->pass) == 0);
		check_data((const uint8_t *)row->in, row->len, way);
	}
}
END_TEST

/* What goes out instead, written down by hand. */
static const struct normal_row {
	const char		*in;
	size_t			 len;
	enum smtp_data_result	 result;
	const char		*out;
	size_t			 outlen;
} normal_rows[] = {
	{ IN("a\nb" CRLF "." CRLF),	SMTP_DATA_END, IN("a" CRLF "b" CRLF) },
	{ IN("\n" CRLF "." CRLF),	SMTP_DATA_END, IN(CRLF CRLF) },
	{ IN("a\n\nb\n" CRLF "." CRLF), SMTP_DATA_END,
	    IN("a" CRLF CRLF "b" CRLF CRLF) },
	/* What lenient servers take for an end is text. */
	{ IN("a\n.\nb" CRLF "." CRLF),	SMTP_DATA_END,
	    IN("a" CRLF ".." CRLF "b" CRLF) },
	{ IN("a\n." CRLF "b" CRLF "." CRLF), SMTP_DATA_END,
	    IN("a" CRLF ".." CRLF "b" CRLF) },
	{ IN("a" CRLF ".\nb" CRLF "." CRLF), SMTP_DATA_END,
	    IN("a" CRLF CRLF "b" CRLF) },
	{ IN("a" CRLF ".\r" CRLF "b" CRLF "." CRLF), SMTP_DATA_END,
	    IN("a" CRLF CRLF "b" CRLF) },
	{ IN("a\n.\r" CRLF "b" CRLF "." CRLF), SMTP_DATA_END,
	    IN("a" CRLF ".." CRLF "b" CRLF) },
	/* A dot in front of other text: transparency behind CRLF only. */
	{ IN("a" CRLF ".b\n.c\n..d" CRLF "." CRLF), SMTP_DATA_END,
	    IN("a" CRLF ".b" CRLF "..c" CRLF "...d" CRLF) },
	{ IN("a\r" CRLF "." CRLF "MAIL"), SMTP_DATA_END, IN("a" CRLF) },
	{ IN("a\r\r\r" CRLF "b\r\r"), SMTP_DATA_MORE, IN("a" CRLF "b") },
	{ IN("a\n"),			SMTP_DATA_MORE, IN("a") },
	{ IN("a" CRLF ".\r\r"),		SMTP_DATA_MORE, IN("a" CRLF) },
	/* Nobody knows what these were meant to be. */
	{ IN("a\r.\rMAIL"),		SMTP_DATA_BARE_CR, IN("a") },
	{ IN("a\r\rb"),			SMTP_DATA_BARE_CR, IN("a") },
	{ IN("a\n\rb"),			SMTP_DATA_BARE_CR, IN("a" CRLF) },
	{ IN("a" CRLF ".\r\rb"),	SMTP_DATA_BARE_CR, IN("a" CRLF) },
	{ IN("a\n\0"),			SMTP_DATA_NUL, IN("a" CRLF) },
	{ IN("a\n.\0" CRLF),		SMTP_DATA_NUL, IN("a" CRLF "..") },
	{ IN("a" CRLF ".\r\0\n"),	SMTP_DATA_BARE_CR, IN("a" CRLF ".") },
};

START_TEST(test_normal_rows)
{
	const struct normal_row	*row = &normal_rows[_i];
	struct run		 run;
	size_t			 way;

	for (way = 0; way < split_ways(row->len); way++) {
		run_data(&run, (const uint8_t *)row->in, row->len, way, 1);
		HOLDS(run.result == row->result);
		HOLDS(run.npass == row->outlen);
		HOLDS(memcmp(run.pass, row->out, row->outlen) == 0);
		check_normal((const uint8_t *)row->in, row->len, way);
	}
}
END_TEST

/* Every stream of up to six of the octets that matter, every cut. */
START_TEST(test_every_short)
{
	static const uint8_t	octets[] = { '\r', '\n', '.', '\0', 'a' };
	uint8_t			in[6];
	size_t			len, i, way, n, total;

	for (len = 1, total = 5; len <= sizeof(in); len++, total *= 5)
		for (n = 0; n < total; n++) {
			size_t	rest = n;

			for (i = 0; i < len; i++, rest /= 5)
				in[i] = octets[rest % 5];
			for (way = 0; way < split_ways(len); way++)
				check_data(in, len, way);
		}
}
END_TEST

static uint32_t
random_next(uint32_t *seed)
{
	*seed = *seed * 1664525U + 1013904223U;
	return *seed >> 8;
}

/* Text with line ends, now and then something that stops the scan. */
static size_t
random_text(uint32_t *seed, uint8_t *in, size_t max)
{
	static const char *const	rare[] = {
		"\r", "\n", "\r\r\n", ".", "\r\n.", "\r\n..", "\r\n.\r\n"
	};
	const char			*s;
	size_t				 len = 0;
	uint32_t			 r;

	while (len + 8 < max) {
		r = random_next(seed) % 1024;
		if (r < 30)
			s = "\r\n";
		else if (r < 33)
			s = rare[random_next(seed) % 7];
		else if (r == 33) {
			in[len++] = '\0';
			continue;
		} else {
			in[len++] = (uint8_t)(random_next(seed) % 223 + 32);
			continue;
		}
		memcpy(in + len, s, strlen(s));
		len += strlen(s);
	}
	return len;
}

START_TEST(test_random)
{
	uint8_t		in[1024];
	uint32_t	seed = (uint32_t)_i + 1;
	size_t		i, len;

	for (i = 0; i < 300; i++) {
		len = random_text(&seed, in, random_next(&seed) %
		    (sizeof(in) - 16) + 16);
		check_data(in, len, 0);
		check_data(in, len, 1);
		check_data(in, len, 2 + random_next(&seed) % (len + 1));
	}
}
END_TEST

static void
check_scan(const uint8_t *in, size_t len, int at_start, int find_dots)
{
	uint8_t	*copy = split_copy(in, len);
	size_t	 want = ref_scan(in, len, at_start, find_dots);

	HOLDS(smtp_scan_portable(copy, len, at_start, find_dots) == want);
	HOLDS(smtp_scan(copy, len, at_start, find_dots) == want);
	free(copy);
}

/* Each octet that matters at each place around the edges of the blocks. */
START_TEST(test_scan_places)
{
	static const char *const	marks[] = {
		"\r", "\n", "\r\n", "\r\n.", "\n.", ".", "\r\r", "\r\nx",
		"\r\n\r\n", "\r\n\r", "\r.", "\x0d", "\x0e", "\t"
	};
	uint8_t				in[256];
	size_t				m, at, len;

	for (m = 0; m < sizeof(marks) / sizeof(marks[0]); m++)
		for (len = 60; len < 200; len++)
			for (at = 0; at + strlen(marks[m]) <= len; at++) {
				memset(in, 'a', sizeof(in));
				memcpy(in + at, marks[m], strlen(marks[m]));
				check_scan(in, len, (int)(at & 1), 1);
				check_scan(in, len, 1, (int)(at & 1));
			}
	for (at = 0; at < 200; at++) {
		memset(in, 'a', sizeof(in));
		in[at] = '\0';
		check_scan(in, 200, 0, 1);
	}
}
END_TEST

START_TEST(test_scan_random)
{
	uint8_t		in[2048];
	uint32_t	seed = (uint32_t)_i + 77;
	size_t		i, len, from;

	for (i = 0; i < 2000; i++) {
		len = random_text(&seed, in, random_next(&seed) %
		    (sizeof(in) - 16) + 16);
		from = random_next(&seed) % (len + 1);
		check_scan(in + from, len - from, (int)(i & 1),
		    (int)(i & 2));
	}
}
END_TEST

/*
 * Chunks: "data", the sizes of its chunks (the last is LAST), binary or not.
 */
static const struct chunk_row {
	const char		*in;
	size_t			 len;
	size_t			 sizes[4];
	size_t			 nsizes;
	int			 is_binary;
	enum smtp_data_result	 result;
	size_t			 pass;	/* without the last octet at END */
} chunk_rows[] = {
	{ IN("abc"), { 3 }, 1, 0, SMTP_DATA_END, 2 },
	{ IN(""), { 0 }, 1, 0, SMTP_DATA_END, 0 },
	{ IN("abc" CRLF), { 5, 0 }, 2, 0, SMTP_DATA_END, 5 },
	{ IN("a" CRLF), { 2, 1 }, 2, 0, SMTP_DATA_END, 2 },
	{ IN("a" CRLF "." CRLF "b"), { 3, 4 }, 2, 0, SMTP_DATA_END, 6 },
	{ IN("a" CRLF "." CRLF "b"), { 7 }, 1, 0, SMTP_DATA_END, 6 },
	{ IN(A64 CRLF A64), { 65, 65 }, 2, 0, SMTP_DATA_END, 129 },
	{ IN("a\rb"), { 3 }, 1, 0, SMTP_DATA_BARE_CR, 1 },
	{ IN("a\nb"), { 3 }, 1, 0, SMTP_DATA_BARE_LF, 1 },
	{ IN("a\0b"), { 3 }, 1, 0, SMTP_DATA_NUL, 1 },
	{ IN("\nb"), { 2 }, 1, 0, SMTP_DATA_BARE_LF, 0 },
	{ IN("ab\r"), { 3 }, 1, 0, SMTP_DATA_BARE_CR, 2 },
	{ IN("ab\r"), { 3, 0 }, 2, 0, SMTP_DATA_BARE_CR, 3 },
	{ IN("ab\r"), { 2, 1 }, 2, 0, SMTP_DATA_BARE_CR, 2 },
	{ IN("a\rb"), { 2, 1 }, 2, 0, SMTP_DATA_BARE_CR, 2 },
	{ IN("a\r" CRLF), { 2, 2 }, 2, 0, SMTP_DATA_BARE_CR, 2 },
	{ IN("a" CRLF "\n"), { 2, 2 }, 2, 0, SMTP_DATA_BARE_LF, 3 },
	{ IN("a\rb\nc\0d"), { 7 }, 1, 1, SMTP_DATA_END, 6 },
	{ IN("a\rb\n\r"), { 2, 3 }, 2, 1, SMTP_DATA_END, 4 },
	{ IN("\0"), { 1, 0 }, 2, 1, SMTP_DATA_END, 1 },
};

/* Feed one chunk in pieces; returns its result, adds to the run. */
static enum smtp_data_result
run_chunk(struct run *run, const uint8_t *in, size_t len, size_t way)
{
	struct smtp_data_span	 span;
	enum smtp_data_result	 r;
	uint8_t			*piece;
	size_t			 at = 0, n;

	do {
		n = split_piece(way, at, len);
		piece = split_copy(in + at, n);
		r = smtp_data_feed_chunk(&run->data, piece, n, &span);
		HOLDS(span.nfront == 0);
		run_add(run, &span, piece);
		free(piece);
		at += span.taken;
	} while (r == SMTP_DATA_MORE && at < len);
	return r;
}

/*
 * A bare CR that was a piece's last octet has gone on, unlike one that is seen
 * together with what follows; so `pass` may be one more.
 */
static void
check_chunks(const struct chunk_row *row, size_t way)
{
	const uint8_t	*in = (const uint8_t *)row->in;
	struct run	 run;
	size_t		 i, taken;

	memset(&run, 0, sizeof(run));
	for (i = 0; i < row->nsizes && (i == 0 ||
	    run.result == SMTP_DATA_END); i++) {
		smtp_data_start_chunk(&run.data, row->sizes[i], i == 0,
		    i + 1 == row->nsizes, row->is_binary);
		run.result = run_chunk(&run, in + run.taken, row->sizes[i],
		    way);
	}
	HOLDS(run.result == row->result);
	HOLDS(run.data.size == run.taken);
	HOLDS(memcmp(run.pass, in, run.npass) == 0);
	if (row->result == SMTP_DATA_BARE_CR && run.npass == row->pass + 1)
		return;
	HOLDS(run.npass == row->pass);
	if (row->result == SMTP_DATA_END) {
		HOLDS(run.taken == row->len);
		return;
	}
	HOLDS(smtp_data_skip_chunk(&run.data, 1000, &taken) == SMTP_DATA_END);
	HOLDS(run.data.left == 0);
}

START_TEST(test_chunks)
{
	const struct chunk_row	*row = &chunk_rows[_i];
	size_t			 way;

	for (way = 0; way < split_ways(row->len); way++)
		check_chunks(row, way);
}
END_TEST

/* Octets behind a chunk are not its own; huge sizes only count. */
START_TEST(test_chunk_bounds)
{
	struct smtp_data	d;
	struct smtp_data_span	span;
	size_t			taken;

	smtp_data_start_chunk(&d, 2, 1, 0, 0);
	ck_assert_int_eq(smtp_data_feed_chunk(&d, (const uint8_t *)"ab\n\n", 4,
	    &span), SMTP_DATA_END);
	ck_assert_uint_eq(span.taken, 2);
	ck_assert_uint_eq(span.pass, 2);

	/* Nothing is a place that may be NULL (found by fuzz_data). */
	smtp_data_start_chunk(&d, 0, 0, 0, 0);
	ck_assert_int_eq(smtp_data_feed_chunk(&d, NULL, 0, &span),
	    SMTP_DATA_END);
	ck_assert_int_eq(smtp_data_skip_chunk(&d, 0, &taken), SMTP_DATA_END);
	smtp_data_start(&d, 0);
	ck_assert_int_eq(smtp_data_feed(&d, NULL, 0, &span), SMTP_DATA_MORE);
	ck_assert_int_eq(smtp_data_skip(&d, NULL, 0, &taken),
	    SMTP_DATA_MORE);

	smtp_data_start_chunk(&d, 2, 1, 0, 0);
	ck_assert_int_eq(smtp_data_feed_chunk(&d, (const uint8_t *)"ab", 2,
	    &span), SMTP_DATA_END);
	smtp_data_start_chunk(&d, INT64_MAX, 0, 1, 0);
	ck_assert_int_eq(smtp_data_feed_chunk(&d, (const uint8_t *)"abcd", 4,
	    &span), SMTP_DATA_MORE);
	ck_assert_uint_eq(span.pass, 4);
	ck_assert_uint_eq(d.size, 6);
	ck_assert_int_eq(smtp_data_skip_chunk(&d, 100, &taken),
	    SMTP_DATA_MORE);
	ck_assert_uint_eq(taken, 100);
	ck_assert_uint_eq(d.left, INT64_MAX - 104);
}
END_TEST

START_TEST(test_text)
{
	ck_assert_str_eq(smtp_data_result_text(SMTP_DATA_BARE_CR), "bare CR");
	ck_assert_str_eq(smtp_data_result_text(SMTP_DATA_BARE_LF), "bare LF");
	ck_assert_str_eq(smtp_data_result_text(SMTP_DATA_NUL), "NUL");
	ck_assert_ptr_nonnull(smtp_data_result_text(SMTP_DATA_MORE));
	ck_assert_ptr_nonnull(smtp_data_result_text(SMTP_DATA_END));
}
END_TEST

int
main(void)
{
	Suite	*suite = suite_create("smtp_data");
	TCase	*tcase = tcase_create("smtp_data");
	SRunner	*runner = srunner_create(suite);
	int	 failed;

	tcase_set_timeout(tcase, 30);
	tcase_add_loop_test(tcase, test_rows, 0,
	    (int)(sizeof(rows) / sizeof(rows[0])));
	tcase_add_loop_test(tcase, test_normal_rows, 0,
	    (int)(sizeof(normal_rows) / sizeof(normal_rows[0])));
	tcase_add_test(tcase, test_every_short);
	tcase_add_loop_test(tcase, test_random, 0, 8);
	tcase_add_test(tcase, test_scan_places);
	tcase_add_loop_test(tcase, test_scan_random, 0, 4);
	tcase_add_loop_test(tcase, test_chunks, 0,
	    (int)(sizeof(chunk_rows) / sizeof(chunk_rows[0])));
	tcase_add_test(tcase, test_chunk_bounds);
	tcase_add_test(tcase, test_text);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
