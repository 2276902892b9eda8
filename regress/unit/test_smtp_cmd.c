/*
 * Command parser and the table of verbs.  Each line also comes through the
 * line splitter, cut in every way, and must be read the same.
 */

#include "../../smtpproxyd/smtp_cmd.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "split.h"

#define IN(s)	s, sizeof(s) - 1

static const struct row {
	const char	*line;
	size_t		 len;
	enum smtp_verb	 verb;
	size_t		 verblen;
	const char	*arg;
} rows[] = {
	{ IN(""),			VERB_NONE,	0, "" },
	{ IN(" "),			VERB_NONE,	0, "" },
	{ IN("HELO gw.example"),	VERB_HELO,	4, "gw.example" },
	{ IN("EHLO gw.example"),	VERB_EHLO,	4, "gw.example" },
	{ IN("ehlo gw.example"),	VERB_EHLO,	4, "gw.example" },
	{ IN("eHlO   gw.example  "),	VERB_EHLO,	4, "gw.example" },
	{ IN("EHLO"),			VERB_EHLO,	4, "" },
	{ IN("EHLO    "),		VERB_EHLO,	4, "" },
	{ IN("MAIL FROM:<a@b> SIZE=1"), VERB_MAIL, 4, "FROM:<a@b> SIZE=1" },
	{ IN("RCPT TO:<a@b>"),		VERB_RCPT,	4, "TO:<a@b>" },
	{ IN("DATA"),			VERB_DATA,	4, "" },
	{ IN("BDAT 5 LAST"),		VERB_BDAT,	4, "5 LAST" },
	{ IN("RSET"),			VERB_RSET,	4, "" },
	{ IN("NOOP  a  b "),		VERB_NOOP,	4, "a  b" },
	{ IN("VRFY x"),			VERB_VRFY,	4, "x" },
	{ IN("EXPN x"),			VERB_EXPN,	4, "x" },
	{ IN("HELP"),			VERB_HELP,	4, "" },
	{ IN("ETRN x"),			VERB_ETRN,	4, "x" },
	{ IN("AUTH PLAIN AGEAYg=="),	VERB_AUTH,	4, "PLAIN AGEAYg==" },
	{ IN("STARTTLS"),		VERB_STARTTLS,	8, "" },
	{ IN("QUIT"),			VERB_QUIT,	4, "" },
	{ IN("XCLIENT ADDR=1"),		VERB_XCLIENT,	7, "ADDR=1" },
	{ IN("xforward NAME=a"),	VERB_XFORWARD,	8, "NAME=a" },
	{ IN("PROXY TCP4"),		VERB_PROXY,	5, "TCP4" },
	/* No verbs of ours. */
	{ IN("NOOPS"),			VERB_NONE,	5, "" },
	{ IN("NOO"),			VERB_NONE,	3, "" },
	{ IN("AUTH\tPLAIN x"),		VERB_NONE,	10, "x" },
	{ IN("\tQUIT"),			VERB_NONE,	5, "" },
	{ IN(" QUIT"),			VERB_NONE,	0, "QUIT" },
	{ IN("GET / HTTP/1.1"),		VERB_NONE,	3, "/ HTTP/1.1" },
	{ IN("MAIL\xa0" "FROM:<a@b>"),	VERB_NONE,	15, "" },
	/* Names of rows that are no commands. */
	{ IN("command"),		VERB_NONE,	7, "" },
	{ IN("greeting"),		VERB_NONE,	8, "" },
	{ IN("message"),		VERB_NONE,	7, "" },
	{ IN("pass-verb x"),		VERB_NONE,	9, "x" },
	{ IN("AUTH line"),		VERB_AUTH,	4, "line" },
};

START_TEST(test_rows)
{
	const struct row	*row = &rows[_i];
	struct smtp_cmd		 cmd;
	uint8_t			*line;
	size_t			 way, len;

	for (way = 0; way < split_ways(row->len + 2); way++) {
		line = split_line(row->line, row->len, way, &len);
		ck_assert_ptr_nonnull(line);
		HOLDS(len == row->len);
		smtp_cmd_parse(&cmd, line, len);
		HOLDS(cmd.verb == row->verb);
		HOLDS(cmd.verblen == row->verblen);
		HOLDS(cmd.arglen == strlen(row->arg));
		HOLDS(cmd.arg >= line && cmd.arg <= line + len);
		HOLDS(memcmp(cmd.arg, row->arg, cmd.arglen) == 0);
		free(line);
	}
}
END_TEST

/* The whole table, as RFC 5321 4.3.2 and the extensions have it. */
static const struct verb_want {
	enum smtp_verb	 verb;
	const char	*name;
	size_t		 line_max;
	int		 ends_group;
	int		 r2, r334, r354, r45;	/* 2: 220, 3: 250 alone */
} verbs[] = {
	{ VERB_NONE,	 "command",	512,	1, 0, 0, 0, 0 },
	{ VERB_HELO,	 "HELO",	512,	1, 1, 0, 0, 1 },
	{ VERB_EHLO,	 "EHLO",	512,	1, 3, 0, 0, 1 },
	{ VERB_MAIL,	 "MAIL",	2048,	0, 1, 0, 0, 1 },
	{ VERB_RCPT,	 "RCPT",	2048,	0, 1, 0, 0, 1 },
	{ VERB_DATA,	 "DATA",	512,	1, 0, 0, 1, 1 },
	{ VERB_BDAT,	 "BDAT",	512,	0, 1, 0, 0, 1 },
	{ VERB_RSET,	 "RSET",	512,	0, 1, 0, 0, 1 },
	{ VERB_NOOP,	 "NOOP",	512,	1, 1, 0, 0, 1 },
	{ VERB_VRFY,	 "VRFY",	512,	1, 1, 0, 0, 1 },
	{ VERB_EXPN,	 "EXPN",	512,	1, 1, 0, 0, 1 },
	{ VERB_HELP,	 "HELP",	512,	1, 1, 0, 0, 1 },
	{ VERB_ETRN,	 "ETRN",	512,	1, 1, 0, 0, 1 },
	{ VERB_AUTH,	 "AUTH",	12288,	1, 1, 1, 0, 1 },
	{ VERB_STARTTLS, "STARTTLS",	512,	1, 2, 0, 0, 1 },
	{ VERB_QUIT,	 "QUIT",	512,	1, 1, 0, 0, 1 },
	{ VERB_XCLIENT,	 "XCLIENT",	512,	1, 1, 0, 0, 1 },
	{ VERB_XFORWARD, "XFORWARD",	512,	0, 1, 0, 0, 1 },
	{ VERB_PROXY,	 "PROXY",	512,	1, 0, 0, 0, 0 },
	{ VERB_PASS,	 "pass-verb",	512,	1, 1, 0, 0, 1 },
	{ VERB_GREETING, "greeting",	512,	1, 2, 0, 0, 1 },
	{ VERB_DOT,	 "message",	512,	0, 1, 0, 0, 1 },
	{ VERB_AUTH_LINE, "AUTH line",	12288,	1, 1, 1, 0, 1 },
};

START_TEST(test_verbs)
{
	const struct verb_want	*want;
	unsigned int		 code;
	int			 may;
	size_t			 i;

	ck_assert_uint_eq(sizeof(verbs) / sizeof(verbs[0]), VERBS);
	for (i = 0; i < VERBS; i++) {
		want = &verbs[i];
		ck_assert_uint_eq(want->verb, i);
		ck_assert_str_eq(smtp_verb_name(want->verb), want->name);
		ck_assert_uint_eq(smtp_verb_line_max(want->verb),
		    want->line_max);
		ck_assert_int_eq(smtp_verb_ends_group(want->verb),
		    want->ends_group);
		for (code = 0; code < 1000; code++) {
			may = 0;
			if (code / 100 == 2)
				may = want->r2 == 1 ||
				    (want->r2 == 2 && code == 220) ||
				    (want->r2 == 3 && code == 250);
			else if (code == 334)
				may = want->r334;
			else if (code == 354)
				may = want->r354;
			else if (code / 100 == 4 || code / 100 == 5)
				may = want->r45;
			HOLDS(smtp_verb_may_reply(want->verb, code) == may);
		}
		ck_assert_uint_eq(smtp_verb_by_name(want->name,
		    strlen(want->name)), i > VERB_NONE && i < VERB_PASS ?
		    want->verb : VERB_NONE);
	}
	ck_assert_str_eq(smtp_verb_name(VERBS), "command");
	ck_assert_int_eq(smtp_verb_may_reply(VERBS, 250), 0);
}
END_TEST

static const struct log_row {
	const char	*line;
	size_t		 want;
} log_rows[] = {
	{ "", 0 }, { "A", 1 }, { "NOOP", 4 }, { "MAIL FROM:<a@b>", 15 },
	{ "AUTH", 4 }, { "AUTH PLAIN x", 4 }, { "auth\tPLAIN x", 4 },
	{ "aUtHX secret", 4 }, { "  AUTH x", 6 }, { "\t\x80" "AUTH x", 6 },
	{ "XAUTH x", 7 }, { "AUT", 3 }, { "AUTHx", 4 },
};

START_TEST(test_log_len)
{
	const struct log_row	*row = &log_rows[_i];

	ck_assert_uint_eq(smtp_cmd_log_len((const uint8_t *)row->line,
	    strlen(row->line)), row->want);
}
END_TEST

static const struct bdat_row {
	const char	*arg;
	int		 rc;
	uint64_t	 size;
	int		 is_last;
} bdat_rows[] = {
	{ "0",				0, 0, 0 },
	{ "0 LAST",			0, 0, 1 },
	{ "1",				0, 1, 0 },
	{ "86 last",			0, 86, 1 },
	{ "100000 LaSt",		0, 100000, 1 },
	{ "9223372036854775807",	0, INT64_MAX, 0 },
	{ "00000000000000000005",	0, 5, 0 },
	{ "000000000000000000005",	-1, 0, 0 },
	{ "9223372036854775808",	-1, 0, 0 },
	{ "18446744073709551615",	-1, 0, 0 },
	{ "18446744073709551617",	-1, 0, 0 },
	{ "99999999999999999999",	-1, 0, 0 },
	{ "",				-1, 0, 0 },
	{ " 5",				-1, 0, 0 },
	{ "5 ",				-1, 0, 0 },
	{ "5  LAST",			-1, 0, 0 },
	{ "5\tLAST",			-1, 0, 0 },
	{ "5 LAST ",			-1, 0, 0 },
	{ "5 LAST x",			-1, 0, 0 },
	{ "5 LASTX",			-1, 0, 0 },
	{ "5 LAS",			-1, 0, 0 },
	{ "5LAST",			-1, 0, 0 },
	{ "LAST",			-1, 0, 0 },
	{ "LAST 5",			-1, 0, 0 },
	{ "-1",				-1, 0, 0 },
	{ "+1",				-1, 0, 0 },
	{ "0x10",			-1, 0, 0 },
	{ "5.0",			-1, 0, 0 },
	{ "5 5",			-1, 0, 0 },
};

START_TEST(test_bdat)
{
	const struct bdat_row	*row = &bdat_rows[_i];
	struct smtp_bdat	 bdat;
	uint8_t			*arg = split_copy(row->arg, strlen(row->arg));

	ck_assert_int_eq(smtp_bdat_parse(&bdat, arg, strlen(row->arg)),
	    row->rc);
	if (row->rc == 0) {
		ck_assert_uint_eq(bdat.size, row->size);
		ck_assert_int_eq(bdat.is_last, row->is_last);
	}
	free(arg);
}
END_TEST

int
main(void)
{
	Suite	*suite = suite_create("smtp_cmd");
	TCase	*tcase = tcase_create("smtp_cmd");
	SRunner	*runner = srunner_create(suite);
	int	 failed;

	tcase_add_loop_test(tcase, test_rows, 0,
	    (int)(sizeof(rows) / sizeof(rows[0])));
	tcase_add_test(tcase, test_verbs);
	tcase_add_loop_test(tcase, test_log_len, 0,
	    (int)(sizeof(log_rows) / sizeof(log_rows[0])));
	tcase_add_loop_test(tcase, test_bdat, 0,
	    (int)(sizeof(bdat_rows) / sizeof(bdat_rows[0])));
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
