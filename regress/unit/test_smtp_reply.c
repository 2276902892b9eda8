/*
 * Reply parser: streams of a destination, whole, one octet at a time and cut
 * at every place, through the line splitter as the engine does it.
 */

#include "../../smtpproxyd/smtp_reply.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "no_memory.h"
#include "split.h"

#define CRLF	"\r\n"
#define IN(s)	s, sizeof(s) - 1

/* Flags of a row. */
#define LONG	1
#define UTF8	2

/* What came out: each reply's text, "{fault}", or "~" for an unended one. */
static const struct row {
	const char	*in;
	size_t		 len;
	int		 flags;
	const char	*want;
} rows[] = {
	{ IN(""), 0, "" },
	{ IN("250 ok" CRLF), 0, "250 ok" CRLF },
	{ IN("250" CRLF), 0, "250" CRLF },
	{ IN("250 " CRLF), 0, "250 " CRLF },
	{ IN("250 ok\n"), 0, "250 ok" CRLF },
	{ IN("250-a" CRLF "250 b" CRLF), 0, "250-a" CRLF "250 b" CRLF },
	{ IN("250-a\n" "250 b\n"), 0, "250-a" CRLF "250 b" CRLF },
	{ IN("250-" CRLF "250-" CRLF "250" CRLF), 0,
	    "250-" CRLF "250-" CRLF "250" CRLF },
	{ IN("220 x ESMTP" CRLF "250 y" CRLF), 0,
	    "220 x ESMTP" CRLF "250 y" CRLF },
	{ IN("550 5.1.1 <a@b>:\tno - such user" CRLF), 0,
	    "550 5.1.1 <a@b>:\tno - such user" CRLF },
	{ IN("559 x" CRLF), 0, "559 x" CRLF },
	{ IN("200 x" CRLF), 0, "200 x" CRLF },
	{ IN("354 go" CRLF), 0, "354 go" CRLF },
	{ IN("250-a" CRLF), 0, "~" },
	{ IN("250-a" CRLF "250 b"), 0, "~" },
	{ IN("250 gr\xc3\xbc\xc3\x9f" CRLF), UTF8,
	    "250 gr\xc3\xbc\xc3\x9f" CRLF },
	/* Malformed. */
	{ IN(CRLF), 0, "{no reply code}" },
	{ IN("25" CRLF), 0, "{no reply code}" },
	{ IN("ok" CRLF), 0, "{no reply code}" },
	{ IN("050 verbose" CRLF), 0, "{no reply code}" },
	{ IN("150 x" CRLF), 0, "{no reply code}" },
	{ IN("600 x" CRLF), 0, "{no reply code}" },
	{ IN("260 x" CRLF), 0, "{no reply code}" },
	{ IN("25a x" CRLF), 0, "{no reply code}" },
	{ IN(" 250 x" CRLF), 0, "{no reply code}" },
	{ IN("2500 x" CRLF), 0, "{no space behind the code}" },
	{ IN("250\tx" CRLF), 0, "{no space behind the code}" },
	{ IN("250x" CRLF), 0, "{no space behind the code}" },
	{ IN("250-a" CRLF "251 b" CRLF), 0, "{mixed codes}" },
	{ IN("250-a" CRLF "450 b" CRLF), 0, "{mixed codes}" },
	{ IN("250-a" CRLF CRLF), 0, "{no reply code}" },
	{ IN("250 gr\xc3\xbc\xc3\x9f" CRLF), 0, "{8-bit text}" },
	{ IN("250 a\x07" CRLF), 0, "{control character}" },
	{ IN("250 a\x7f" CRLF), UTF8, "{control character}" },
	{ IN("250 a\x1b[2J" CRLF), 0, "{control character}" },
	{ IN("250 a\rb" CRLF), 0, "{line}" },
	{ IN("250 a\r" CRLF), 0, "{line}" },
	{ IN("250 a\0b" CRLF), 0, "{line}" },
	/* Nothing behind a fault is read. */
	{ IN("999 x" CRLF "250 ok" CRLF), 0, "{no reply code}" },
};

struct run {
	struct smtp_line	 line;
	struct smtp_reply	 reply;
	char			 text[1024];
	int			 is_over;
};

static void
run_add(struct run *run, const void *octets, size_t len)
{
	size_t	used = strlen(run->text);

	ck_assert_uint_lt(len, sizeof(run->text) - used);
	memcpy(run->text + used, octets, len);
	run->text[used + len] = '\0';
}

static void
run_fault(struct run *run, const char *fault)
{
	run_add(run, "{", 1);
	run_add(run, fault, strlen(fault));
	run_add(run, "}", 1);
	run->is_over = 1;
}

static void
run_line(struct run *run, const uint8_t *line, size_t len, int flags)
{
	switch (smtp_reply_line(&run->reply, line, len, flags & LONG,
	    flags & UTF8)) {
	case SMTP_REPLY_OK:
		run_add(run, run->reply.text, run->reply.used);
		smtp_reply_clear(&run->reply);
		break;
	case SMTP_REPLY_BAD:
		run_fault(run, run->reply.fault);
		break;
	case SMTP_REPLY_MORE:
		break;
	case SMTP_REPLY_NOMEM:
		ck_abort_msg("no memory");
	}
}

static void
run_feed(struct run *run, const uint8_t *in, size_t len, int flags)
{
	enum smtp_line_result	 r;
	const uint8_t		*line;
	size_t			 taken, linelen;

	while (len > 0 && !run->is_over) {
		r = smtp_line_feed(&run->line, in, len, &taken, &line,
		    &linelen);
		if (r == SMTP_LINE_OK)
			run_line(run, line, linelen, flags);
		else if (r != SMTP_LINE_MORE)
			run_fault(run, "line");
		in += taken;
		len -= taken;
	}
}

START_TEST(test_rows)
{
	const struct row	*row = &rows[_i];
	struct run		 run;
	uint8_t			*piece;
	size_t			 way, at, n;

	for (way = 0; way < split_ways(row->len); way++) {
		memset(&run, 0, sizeof(run));
		smtp_line_init(&run.line, SMTP_REPLY_LINE_MAX, 1);
		smtp_reply_init(&run.reply);
		for (at = 0; at < row->len; at += n) {
			n = split_piece(way, at, row->len);
			piece = split_copy(row->in + at, n);
			run_feed(&run, piece, n, row->flags);
			free(piece);
		}
		if (!run.is_over && (run.reply.nlines > 0 ||
		    smtp_line_is_partial(&run.line)))
			run_add(&run, "~", 1);
		ck_assert_str_eq(run.text, row->want);
		smtp_line_clear(&run.line);
		smtp_reply_clear(&run.reply);
	}
}
END_TEST

/* As many lines as are allowed, and one more; as many octets. */
static void
check_lines(unsigned int max, size_t len, int is_long, unsigned int want)
{
	struct smtp_reply	 r;
	uint8_t			*line;
	unsigned int		 n = 0;

	line = malloc(len);
	ck_assert_ptr_nonnull(line);
	memset(line, 'x', len);
	memcpy(line, "250-", 4);
	smtp_reply_init(&r);
	while (n <= max && smtp_reply_line(&r, line, len, is_long, 0) ==
	    SMTP_REPLY_MORE)
		n++;
	ck_assert_uint_eq(n, want);
	ck_assert_uint_eq(r.nlines, want);
	ck_assert_uint_le(r.used, SMTP_REPLY_MAX);
	ck_assert_uint_le(r.size, SMTP_REPLY_MAX);
	ck_assert_ptr_nonnull(r.fault);
	smtp_reply_clear(&r);
	free(line);
}

START_TEST(test_bounds)
{
	check_lines(2000, 40, 0, SMTP_REPLY_LINES);
	check_lines(2000, 40, 1, SMTP_REPLY_LINES_LONG);
	check_lines(2000, SMTP_REPLY_LINE_MAX - 2, 0, SMTP_REPLY_LINES);
	check_lines(2000, SMTP_REPLY_LINE_MAX - 2, 1, SMTP_REPLY_LINES);
	check_lines(2000, SMTP_REPLY_LINE_MAX - 1, 0, 0);
	check_lines(2000, 1000, 1, SMTP_REPLY_MAX / 1002);
}
END_TEST

static const struct text_row {
	const char	*line;
	const char	*want;
} text_rows[] = {
	{ "250 ok", "ok" }, { "250", "" }, { "250 ", "" },
	{ "250- a  b ", " a  b " }, { "554 5.6.0 no", "5.6.0 no" },
};

START_TEST(test_text)
{
	const struct text_row	*row = &text_rows[_i];
	struct smtp_reply	 r;
	const uint8_t		*text;
	size_t			 len;

	smtp_reply_init(&r);
	(void)smtp_reply_text(&r, &len);
	ck_assert_uint_eq(len, 0);
	(void)smtp_reply_line(&r, (const uint8_t *)row->line,
	    strlen(row->line), 0, 0);
	ck_assert_uint_eq(r.code / 100, (unsigned int)row->line[0] - '0');
	text = smtp_reply_text(&r, &len);
	ck_assert_uint_eq(len, strlen(row->want));
	ck_assert_uint_eq(text[len], '\r');
	ck_assert_mem_eq(text, row->want, len);
	smtp_reply_clear(&r);
	ck_assert_uint_eq(r.code, 0);
	ck_assert_ptr_null(r.text);
}
END_TEST

START_TEST(test_no_memory)
{
	struct smtp_reply	 r;

	smtp_reply_init(&r);
	no_memory = 1;
	ck_assert_int_eq(smtp_reply_line(&r, (const uint8_t *)"250 ok", 6, 0,
	    0), SMTP_REPLY_NOMEM);
	ck_assert_uint_eq(r.nlines, 0);
	no_memory = 0;
	ck_assert_int_eq(smtp_reply_line(&r, (const uint8_t *)"250 ok", 6, 0,
	    0), SMTP_REPLY_OK);
	ck_assert_uint_eq(r.used, 8);
	smtp_reply_clear(&r);
}
END_TEST

int
main(void)
{
	Suite	*suite = suite_create("smtp_reply");
	TCase	*tcase = tcase_create("smtp_reply");
	SRunner	*runner = srunner_create(suite);
	int	 failed;

	tcase_add_loop_test(tcase, test_rows, 0,
	    (int)(sizeof(rows) / sizeof(rows[0])));
	tcase_add_test(tcase, test_bounds);
	tcase_add_loop_test(tcase, test_text, 0,
	    (int)(sizeof(text_rows) / sizeof(text_rows[0])));
	tcase_add_test(tcase, test_no_memory);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
