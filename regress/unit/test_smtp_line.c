/*
 * Line splitter: every row is fed whole, one octet at a time and cut at every
 * place, and must give the same lines and faults each time.
 */

#include "../../smtpproxyd/smtp_line.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "no_memory.h"
#include "split.h"

#define CRLF	"\r\n"
#define A16	"aaaaaaaaaaaaaaaa"
#define A64	A16 A16 A16 A16

/* What came out: "[line]", "!fault[start]", at the end "~" for a partial. */
struct transcript {
	char	text[4096];
	size_t	used;
};

static const struct row {
	const char	*in;
	size_t		 len;
	uint32_t	 limit;
	int		 allow_lf;
	const char	*want;
} rows[] = {
#define ROW(s, limit, lf, want)	{ s, sizeof(s) - 1, limit, lf, want }
	ROW("", 512, 0, ""),
	ROW("NOOP" CRLF, 512, 0, "[NOOP]"),
	ROW("NOOP", 512, 0, "~"),
	ROW("NOOP\r", 512, 0, "~"),
	ROW("\r", 512, 0, "~"),
	ROW(CRLF, 512, 0, "[]"),
	ROW(CRLF CRLF, 512, 0, "[][]"),
	ROW("MAIL FROM:<a@b>" CRLF "RCPT TO:<c@d>" CRLF "DATA" CRLF, 512, 0,
	    "[MAIL FROM:<a@b>][RCPT TO:<c@d>][DATA]"),
	ROW("a\tb\x7f\x80\xff" CRLF, 512, 0, "[a\tb\x7f\x80\xff]"),
	/* Faults drop the line to its CRLF, and only that line. */
	ROW("NO\nOP" CRLF "RSET" CRLF, 512, 0, "!lf[NO][RSET]"),
	ROW("NOOP\nQUIT\n" CRLF "RSET" CRLF, 512, 0, "!lf[NOOP][RSET]"),
	ROW("\nRSET" CRLF "X" CRLF, 512, 0, "!lf[][X]"),
	ROW("NO\rOP" CRLF "RSET" CRLF, 512, 0, "!cr[NO][RSET]"),
	ROW("NOOP\rQUIT\r" CRLF "RSET" CRLF, 512, 0, "!cr[NOOP][RSET]"),
	ROW("\r\r\n", 512, 0, "!cr[]"),
	ROW("a\r\r\n" "b" CRLF, 512, 0, "!cr[a][b]"),
	ROW("a\r\r\r\n" "b" CRLF, 512, 0, "!cr[a][b]"),
	ROW("a\r" "\0" CRLF "b" CRLF, 512, 0, "!cr[a][b]"),
	ROW("a\n" CRLF "b" CRLF, 512, 0, "!lf[a][b]"),
	ROW("a\n\r" CRLF "b" CRLF, 512, 0, "!lf[a][b]"),
	ROW("a\0b" CRLF "c" CRLF, 512, 0, "!nul[a][c]"),
	ROW("\0" CRLF, 512, 0, "!nul[]"),
	ROW("a\0\r\n", 512, 0, "!nul[a]"),
	/* The first fault decides, whatever follows. */
	ROW("a\0b\nc\rd" CRLF, 512, 0, "!nul[a]"),
	ROW("a\nb\0c\rd" CRLF, 512, 0, "!lf[a]"),
	ROW("a\rb\0c\nd" CRLF, 512, 0, "!cr[a]"),
	ROW("a\rb\nc", 512, 0, "~"),
	/* The limit counts CRLF. */
	ROW("12345678" CRLF, 10, 0, "[12345678]"),
	ROW("123456789" CRLF, 10, 0, "!long[12345678]"),
	ROW("1234567890" CRLF "x" CRLF, 10, 0, "!long[12345678][x]"),
	ROW("12345678\r", 10, 0, "~"),
	/* At the very octet that is too many, a fault counts more. */
	ROW("12345678\r9" CRLF, 10, 0, "!cr[12345678]"),
	ROW("12345678\n9" CRLF, 10, 0, "!lf[12345678]"),
	ROW("12345678\0" "9" CRLF, 10, 0, "!nul[12345678]"),
	ROW("12345678\r" CRLF, 10, 0, "!cr[12345678]"),
	/* And one in the tail of a long line is none. */
	ROW("123456789\n" "QUIT\r\0" CRLF "x" CRLF, 10, 0,
	    "!long[12345678][x]"),
	ROW("123456789\r" CRLF "x" CRLF, 10, 0, "!long[12345678][x]"),
	ROW("123456789\nMAIL FROM:<a@b>\nDATA\n", 10, 0, "~"),
	/* A long one before the limit is a fault still. */
	ROW("123\n456789012345" CRLF "x" CRLF, 10, 0, "!lf[123][x]"),
	/* Of what is dropped at most 64 octets are shown. */
	ROW(A64 "bb" CRLF, 66, 0, "!long[" A64 "]"),
	ROW(A64 "b\nb" CRLF, 512, 0, "!lf[" A64 "]"),
	ROW(A64 "b" CRLF, 67, 0, "[" A64 "b]"),
	ROW("ab" CRLF, 2, 0, "!long[]"),
	ROW(CRLF "a" CRLF, 2, 0, "[]!long[]"),
	ROW(CRLF "a" CRLF, 0, 0, "[]!long[]"),
	/* Replies: a bare LF is an end too. */
	ROW("250 ok\n250 ok" CRLF, 512, 1, "[250 ok][250 ok]"),
	ROW("\n\n", 512, 1, "[][]"),
	ROW("\r\n\n", 512, 1, "[][]"),
	ROW("250 a\r\r\n250 b\n", 512, 1, "!cr[250 a][250 b]"),
	ROW("250 a\rb\n250 b\n", 512, 1, "!cr[250 a][250 b]"),
	ROW("250 a\0b\n250 b\n", 512, 1, "!nul[250 a][250 b]"),
	ROW("12345678\n", 10, 1, "[12345678]"),
	ROW("123456789\n", 10, 1, "!long[12345678]"),
	ROW("123456789\r\nx\n", 10, 1, "!long[12345678][x]"),
#undef ROW
};

static void
transcript_add(struct transcript *t, const void *octets, size_t len)
{
	ck_assert_uint_lt(len, sizeof(t->text) - t->used);
	if (len > 0)
		memcpy(t->text + t->used, octets, len);
	t->used += len;
	t->text[t->used] = '\0';
}

static void
transcript_add_line(struct transcript *t, enum smtp_line_result r,
    const uint8_t *line, size_t len)
{
	static const char *const	names[] = {
		[SMTP_LINE_OK] = "", [SMTP_LINE_LONG] = "!long",
		[SMTP_LINE_BARE_CR] = "!cr", [SMTP_LINE_BARE_LF] = "!lf",
		[SMTP_LINE_NUL] = "!nul", [SMTP_LINE_NOMEM] = "!nomem"
	};

	transcript_add(t, names[r], strlen(names[r]));
	transcript_add(t, "[", 1);
	transcript_add(t, line, len);
	transcript_add(t, "]", 1);
}

/* Feed one piece to its end. */
static void
feed(struct smtp_line *l, const uint8_t *in, size_t len, struct transcript *t)
{
	enum smtp_line_result	 r;
	const uint8_t		*line;
	size_t			 taken, linelen;

	do {
		r = smtp_line_feed(l, in, len, &taken, &line, &linelen);
		ck_assert_uint_le(taken, len);
		ck_assert_uint_le(l->size, l->limit < 64 ? 64 : l->limit);
		if (r == SMTP_LINE_MORE) {
			ck_assert_uint_eq(taken, len);
			break;
		}
		ck_assert_uint_gt(taken, 0);
		ck_assert(!smtp_line_is_partial(l));
		transcript_add_line(t, r, line, linelen);
		in += taken;
		len -= taken;
	} while (len > 0);
}

static void
check_row(const struct row *row, size_t way)
{
	struct smtp_line	 l;
	struct transcript	 t;
	uint8_t			*piece;
	size_t			 at, n;

	memset(&t, 0, sizeof(t));
	smtp_line_init(&l, row->limit, row->allow_lf);
	for (at = 0; at < row->len; at += n) {
		n = split_piece(way, at, row->len);
		piece = split_copy(row->in + at, n);
		feed(&l, piece, n, &t);
		free(piece);
	}
	if (smtp_line_is_partial(&l))
		transcript_add(&t, "~", 1);
	smtp_line_clear(&l);
	ck_assert_ptr_null(l.part);
	ck_assert_msg(strcmp(t.text, row->want) == 0,
	    "way %zu: got %s, want %s", way, t.text, row->want);
}

START_TEST(test_rows)
{
	const struct row	*row = &rows[_i];
	size_t			 way;

	for (way = 0; way < split_ways(row->len); way++)
		check_row(row, way);
}
END_TEST

/* 200 MB without a line end grow nothing, in either direction. */
START_TEST(test_endless)
{
	static uint8_t		 block[65536];
	struct smtp_line	 l;
	const uint8_t		*line;
	size_t			 i, taken, len;

	memset(block, "a\r\n"[_i], sizeof(block));
	smtp_line_init(&l, 12288, 0);
	for (i = 0; i < 200 * 1024 / 64; i++) {
		ck_assert_int_eq(smtp_line_feed(&l, block, sizeof(block),
		    &taken, &line, &len), SMTP_LINE_MORE);
		ck_assert_uint_eq(taken, sizeof(block));
		ck_assert_uint_le(l.size, 12288);
	}
	ck_assert(smtp_line_is_partial(&l));
	smtp_line_clear(&l);
	ck_assert(!smtp_line_is_partial(&l));
}
END_TEST

/* A whole line costs no memory; a collected one gives it back. */
START_TEST(test_memory)
{
	static const uint8_t	 in[] = "NOOP\r\nRS";
	static const uint8_t	 rest[] = "ET\r\n";
	struct smtp_line	 l;
	const uint8_t		*line;
	size_t			 taken, len;

	smtp_line_init(&l, 512, 0);
	ck_assert_int_eq(smtp_line_feed(&l, in, 8, &taken, &line, &len),
	    SMTP_LINE_OK);
	ck_assert_ptr_eq(line, in);
	ck_assert_ptr_null(l.part);
	ck_assert_int_eq(smtp_line_feed(&l, in + 6, 2, &taken, &line, &len),
	    SMTP_LINE_MORE);
	ck_assert_ptr_nonnull(l.part);
	ck_assert_int_eq(smtp_line_feed(&l, rest, 4, &taken, &line, &len),
	    SMTP_LINE_OK);
	ck_assert_uint_eq(len, 4);
	ck_assert_mem_eq(line, "RSET", 4);
	ck_assert_int_eq(smtp_line_feed(&l, NULL, 0, &taken, &line, &len),
	    SMTP_LINE_MORE);
	ck_assert_ptr_null(l.part);
	ck_assert_uint_eq(l.limit, 512);
}
END_TEST

/* A new limit counts from the next octet on. */
START_TEST(test_limit)
{
	struct smtp_line	 l;
	const uint8_t		*line;
	size_t			 taken, len;

	smtp_line_init(&l, 512, 0);
	ck_assert_int_eq(smtp_line_feed(&l, (const uint8_t *)"123456", 6,
	    &taken, &line, &len), SMTP_LINE_MORE);
	smtp_line_limit(&l, 6);
	ck_assert_int_eq(smtp_line_feed(&l, (const uint8_t *)"\r\n", 2,
	    &taken, &line, &len), SMTP_LINE_LONG);
	ck_assert_int_eq(smtp_line_feed(&l, (const uint8_t *)"1234\r\n", 6,
	    &taken, &line, &len), SMTP_LINE_OK);
	smtp_line_limit(&l, 12);
	ck_assert_int_eq(smtp_line_feed(&l, (const uint8_t *)"1234567890\r\n",
	    12, &taken, &line, &len), SMTP_LINE_OK);
	smtp_line_clear(&l);
}
END_TEST

/* Without memory nothing is taken and nothing changes; later it goes on. */
START_TEST(test_no_memory)
{
	static const uint8_t	 in[] = "NOOP\r\nRS";
	struct smtp_line	 l;
	const uint8_t		*line;
	size_t			 taken, len;

	smtp_line_init(&l, 512, 0);
	no_memory = 1;
	ck_assert_int_eq(smtp_line_feed(&l, in, 8, &taken, &line, &len),
	    SMTP_LINE_OK);
	ck_assert_uint_eq(taken, 6);
	ck_assert_int_eq(smtp_line_feed(&l, in + 6, 2, &taken, &line, &len),
	    SMTP_LINE_NOMEM);
	ck_assert_uint_eq(taken, 0);
	ck_assert(!smtp_line_is_partial(&l));
	no_memory = 0;
	ck_assert_int_eq(smtp_line_feed(&l, in + 6, 2, &taken, &line, &len),
	    SMTP_LINE_MORE);
	ck_assert_int_eq(smtp_line_feed(&l, in + 4, 2, &taken, &line, &len),
	    SMTP_LINE_OK);
	ck_assert_uint_eq(len, 2);
	ck_assert_mem_eq(line, "RS", 2);
	smtp_line_clear(&l);
}
END_TEST

int
main(void)
{
	Suite	*suite = suite_create("smtp_line");
	TCase	*tcase = tcase_create("smtp_line");
	SRunner	*runner = srunner_create(suite);
	int	 failed;

	tcase_add_loop_test(tcase, test_rows, 0,
	    (int)(sizeof(rows) / sizeof(rows[0])));
	tcase_add_loop_test(tcase, test_endless, 0, 3);
	tcase_add_test(tcase, test_memory);
	tcase_add_test(tcase, test_limit);
	tcase_add_test(tcase, test_no_memory);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
