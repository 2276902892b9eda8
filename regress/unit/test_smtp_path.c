/*
 * Paths and parameters of MAIL and RCPT.  Each argument also comes through the
 * line splitter and the command parser, cut in every way, and must be read the
 * same.
 */

#include "../../smtpproxyd/smtp_path.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../smtpproxyd/smtp_cmd.h"
#include "split.h"

#define A16	"aaaaaaaaaaaaaaaa"
#define A64	A16 A16 A16 A16
#define A240	A64 A64 A64 A16 A16 A16

/* NULL addr: refused. */
static const struct row {
	enum smtp_path_kind	 kind;
	const char		*arg;
	const char		*addr;
	const char		*params;
} rows[] = {
	{ PATH_FROM, "FROM:<a@b.example>", "a@b.example", "" },
	{ PATH_FROM, "from:<a@b>", "a@b", "" },
	{ PATH_FROM, "FROM:<>", "", "" },
	{ PATH_FROM, "FROM:<> SIZE=1", "", "SIZE=1" },
	{ PATH_FROM, "FROM: <>", "", "" },
	{ PATH_TO, "TO:<a@b>", "a@b", "" },
	{ PATH_TO, "To:<a@b>  NOTIFY=NEVER  ORCPT=rfc822;a@b", "a@b",
	  "NOTIFY=NEVER  ORCPT=rfc822;a@b" },
	{ PATH_TO, "TO:<Postmaster>", "Postmaster", "" },
	{ PATH_FROM, "FROM:<root>", "root", "" },
	/* What most servers take. */
	{ PATH_FROM, "FROM: <a@b>", "a@b", "" },
	{ PATH_FROM, "FROM:   <a@b> BODY=7BIT", "a@b", "BODY=7BIT" },
	{ PATH_FROM, "FROM:a@b", "a@b", "" },
	{ PATH_FROM, "FROM: a@b SIZE=1", "a@b", "SIZE=1" },
	{ PATH_TO, "TO:root", "root", "" },
	{ PATH_TO, "TO:<a..b.@docomo.example>", "a..b.@docomo.example", "" },
	{ PATH_TO, "TO:<a@b.example.>", "a@b.example.", "" },
	{ PATH_TO, "TO:<a@my_host>", "a@my_host", "" },
	{ PATH_TO, "TO:<@x.example,@y.example:a@b>", "a@b", "" },
	{ PATH_TO, "TO:<@[192.0.2.1]:a@b>", "a@b", "" },
	{ PATH_TO, "TO:@x:a@b NOTIFY=NEVER", "a@b", "NOTIFY=NEVER" },
	/* Local parts. */
	{ PATH_TO, "TO:<!#$%&'*+-/=?^_`{|}~.1@b>", "!#$%&'*+-/=?^_`{|}~.1@b",
	  "" },
	{ PATH_TO, "TO:<\"a b\"@c>", "\"a b\"@c", "" },
	{ PATH_TO, "TO:<\"a>b<@c\"@d>", "\"a>b<@c\"@d", "" },
	{ PATH_TO, "TO:<\"a> SIZE=1\"@d>", "\"a> SIZE=1\"@d", "" },
	{ PATH_TO, "TO:\"a b\"@c X=1", "\"a b\"@c", "X=1" },
	{ PATH_TO, "TO:<\"a\\\"b\\\\\"@c>", "\"a\\\"b\\\\\"@c", "" },
	{ PATH_TO, "TO:<\"\"@c>", "\"\"@c", "" },
	{ PATH_TO, "TO:<\"a\".b@c>", "\"a\".b@c", "" },
	{ PATH_TO, "TO:<gr\xc3\xbc\xc3\x9f@\xc3\xbc.example>",
	  "gr\xc3\xbc\xc3\x9f@\xc3\xbc.example", "" },
	{ PATH_TO, "TO:<\"\xc3\xbc\"@b>", "\"\xc3\xbc\"@b", "" },
	{ PATH_TO, "TO:<a@[192.0.2.1]>", "a@[192.0.2.1]", "" },
	{ PATH_TO, "TO:<a@[IPv6:2001:db8::1]>", "a@[IPv6:2001:db8::1]", "" },
	/* Lengths: a long local part passes, a long path does not. */
	{ PATH_TO, "TO:<" A64 "aa@b.example>", A64 "aa@b.example", "" },
	{ PATH_TO, "TO:<" A240 "abcdefghijkl@b>", A240 "abcdefghijkl@b", "" },
	{ PATH_TO, "TO:" A240 "abcdefghijkl@b", A240 "abcdefghijkl@b", "" },
	{ PATH_TO, "TO:<" A240 "abcdefghijklm@b>", NULL, NULL },
	{ PATH_TO, "TO:" A240 "abcdefghijklm@b", NULL, NULL },
	{ PATH_TO, "TO:<@x:" A240 "abcdefghijkl@b>", NULL, NULL },
	/* Refused. */
	{ PATH_FROM, "", NULL, NULL },
	{ PATH_FROM, "FROM", NULL, NULL },
	{ PATH_FROM, "FROM:", NULL, NULL },
	{ PATH_FROM, "FROM: ", NULL, NULL },
	{ PATH_FROM, "FROM <a@b>", NULL, NULL },
	{ PATH_FROM, "FROM :<a@b>", NULL, NULL },
	{ PATH_FROM, "TO:<a@b>", NULL, NULL },
	{ PATH_TO, "FROM:<a@b>", NULL, NULL },
	{ PATH_TO, "TO:<>", NULL, NULL },
	{ PATH_TO, "TO:<a@b", NULL, NULL },
	{ PATH_TO, "TO:a@b>", NULL, NULL },
	{ PATH_TO, "TO:<a@b>>", NULL, NULL },
	{ PATH_TO, "TO:<<a@b>>", NULL, NULL },
	{ PATH_TO, "TO:<a@b><c@d>", NULL, NULL },
	{ PATH_TO, "TO:<a@b>,<c@d>", NULL, NULL },
	{ PATH_TO, "TO:<a@b>SIZE=1", NULL, NULL },
	{ PATH_TO, "TO:<a@b>\tX=1", NULL, NULL },
	{ PATH_TO, "TO:< a@b>", NULL, NULL },
	{ PATH_TO, "TO:<a@b >", NULL, NULL },
	{ PATH_TO, "TO:<a b@c>", NULL, NULL },
	{ PATH_TO, "TO:<a\tb@c>", NULL, NULL },
	{ PATH_TO, "TO:<a@b@c>", NULL, NULL },
	{ PATH_TO, "TO:<@b>", NULL, NULL },
	{ PATH_TO, "TO:<a@>", NULL, NULL },
	{ PATH_TO, "TO:<a@.b>", NULL, NULL },
	{ PATH_TO, "TO:<a@b..c>", NULL, NULL },
	{ PATH_TO, "TO:<a@b c>", NULL, NULL },
	{ PATH_TO, "TO:<a@b/c>", NULL, NULL },
	{ PATH_TO, "TO:<a@[]>", NULL, NULL },
	{ PATH_TO, "TO:<a@[192.0.2.1>", NULL, NULL },
	{ PATH_TO, "TO:<a@[192.0.2.1]x>", NULL, NULL },
	{ PATH_TO, "TO:<a@[1\\]]>", NULL, NULL },
	{ PATH_TO, "TO:<a@[b\"c]>", NULL, NULL },
	{ PATH_TO, "TO:<a@[b>c]>", NULL, NULL },
	{ PATH_TO, "TO:<\"a@b>", NULL, NULL },
	{ PATH_TO, "TO:<\"a\\\"@b>", NULL, NULL },
	{ PATH_TO, "TO:<\"a\x01\"@b>", NULL, NULL },
	{ PATH_TO, "TO:<\"a\\\x01\"@b>", NULL, NULL },
	{ PATH_TO, "TO:<\"a\x7f\"@b>", NULL, NULL },
	{ PATH_TO, "TO:<a\\@b@c>", NULL, NULL },
	{ PATH_TO, "TO:<a(comment)@b>", NULL, NULL },
	{ PATH_TO, "TO:<@x,y:a@b>", NULL, NULL },
	{ PATH_TO, "TO:<@x:@y:a@b>", NULL, NULL },
	{ PATH_TO, "TO:<@x:>", NULL, NULL },
	{ PATH_TO, "TO:<a\x7f@b>", NULL, NULL },
	/* Behind the path parameters, well-formed, and nothing else. */
	{ PATH_TO, "TO:Joe <a@b>", NULL, NULL },
	{ PATH_TO, "TO:<a@b> <c@d>", NULL, NULL },
	{ PATH_TO, "TO:a@b, c@d", NULL, NULL },
	{ PATH_TO, "TO:<a@b> A= B", NULL, NULL },
	{ PATH_TO, "TO:<a@b> A=1 \"b\"", NULL, NULL },
	{ PATH_FROM, "FROM:<> <c@d>", NULL, NULL },
};

/* Octets of a struct that point into a line. */
static int
is_text(const uint8_t *p, size_t len, const char *want)
{
	return len == strlen(want) && (len == 0 || memcmp(p, want, len) == 0);
}

static void
check_path(const struct row *row, const uint8_t *arg, size_t len)
{
	struct smtp_path	path;
	int			rc;

	rc = smtp_path_parse(&path, row->kind, arg, len);
	ck_assert_msg(rc == (row->addr == NULL ? -1 : 0), "%s", row->arg);
	if (rc == -1)
		return;
	HOLDS(is_text(path.addr, path.addrlen, row->addr));
	HOLDS(is_text(path.params, path.paramslen, row->params));
}

START_TEST(test_rows)
{
	const struct row	*row = &rows[_i];
	struct smtp_cmd		 cmd;
	char			 text[1024];
	uint8_t			*line;
	size_t			 way, len;

	line = split_copy(row->arg, strlen(row->arg));
	check_path(row, line, strlen(row->arg));
	free(line);
	(void)snprintf(text, sizeof(text), "%s %s",
	    row->kind == PATH_FROM ? "MAIL" : "RCPT", row->arg);
	for (way = 0; way < split_ways(strlen(text) + 2); way++) {
		line = split_line(text, strlen(text), way, &len);
		ck_assert_ptr_nonnull(line);
		smtp_cmd_parse(&cmd, line, len);
		check_path(row, cmd.arg, cmd.arglen);
		free(line);
	}
}
END_TEST

/* Octets that never come this far are no danger all the same. */
START_TEST(test_control)
{
	static const char	in[] = "TO:<a@b>";
	struct smtp_path	path;
	uint8_t			arg[sizeof(in)];
	size_t			at;
	unsigned int		c;

	for (c = 0; c < 0x20; c++)
		for (at = 3; at < sizeof(in); at++) {
			memcpy(arg, in, at);
			arg[at] = (uint8_t)c;
			memcpy(arg + at + 1, in + at, sizeof(in) - 1 - at);
			HOLDS(smtp_path_parse(&path, PATH_TO, arg,
			    sizeof(arg)) == -1);
		}
}
END_TEST

/* "name=value" or "name" of each, '|' behind it, "!" when malformed. */
static const struct params_row {
	const char	*in;
	const char	*want;
} params_rows[] = {
	{ "", "" },
	{ "SIZE=1", "SIZE=1|" },
	{ "SIZE=1 BODY=8BITMIME SMTPUTF8", "SIZE=1|BODY=8BITMIME|SMTPUTF8|" },
	{ "  A=1   B  ", "A=1|B|" },
	{ "ORCPT=rfc822;a=b@c", "ORCPT=rfc822;a=b@c|" },
	{ "MT-PRIORITY=3 X-Y=<> 8=9", "MT-PRIORITY=3|X-Y=<>|8=9|" },
	{ "X=\xc3\xbc", "X=\xc3\xbc|" },
	{ "A=1 =2", "A=1|!" },
	{ "A=", "!" },
	{ "A= B=1", "!" },
	{ "A B= C", "A|!" },
	{ "-A=1", "!" },
	{ "A_B=1", "!" },
	{ "A\tB", "!" },
	{ "A=1\tB", "!" },
	{ "A=\x7f", "!" },
	{ "A=\x01", "!" },
	{ "\xc3\xbc=1", "!" },
	{ "<c@d>", "!" },
	{ "A=1,B=2 ,", "A=1,B=2|!" },
};

START_TEST(test_params)
{
	const struct params_row	*row = &params_rows[_i];
	struct smtp_path	 path = { NULL, 0, NULL, 0 };
	struct smtp_params	 params;
	struct smtp_param	 p;
	uint8_t			*in = split_copy(row->in, strlen(row->in));
	char			 text[256] = "";
	size_t			 used = 0;
	int			 more;

	path.params = in;
	path.paramslen = strlen(row->in);
	smtp_params_init(&params, &path);
	while ((more = smtp_params_next(&params, &p)) == 1)
		used += (size_t)snprintf(text + used, sizeof(text) - used,
		    "%.*s%s%.*s|", (int)p.namelen, (const char *)p.name,
		    p.value == NULL ? "" : "=", (int)p.valuelen,
		    p.value == NULL ? "" : (const char *)p.value);
	if (more == -1)
		(void)snprintf(text + used, sizeof(text) - used, "!");
	ck_assert_str_eq(text, row->want);
	free(in);
}
END_TEST

static const struct facts_row {
	const char		*in;
	int			 rc;
	struct smtp_mail_facts	 want;
} facts_rows[] = {
	{ "", 0, { 0, BODY_NONE, 0, 0 } },
	{ "SIZE=0", 0, { 0, BODY_NONE, 0, 0 } },
	{ "size=12345 body=8bitmime", 0, { 12345, BODY_8BITMIME, 0, 0 } },
	{ "BODY=7BIT SMTPUTF8 REQUIRETLS", 0, { 0, BODY_7BIT, 1, 1 } },
	{ "BODY=BINARYMIME RET=HDRS ENVID=x", 0,
	  { 0, BODY_BINARYMIME, 0, 0 } },
	{ "AUTH=<> AUTH=<>", 0, { 0, BODY_NONE, 0, 0 } },
	{ "SIZE=9223372036854775807", 0, { INT64_MAX, BODY_NONE, 0, 0 } },
	{ "SIZE=00000000000000000007", 0, { 7, BODY_NONE, 0, 0 } },
	{ "SIZE=000000000000000000007", -1, { 0, BODY_NONE, 0, 0 } },
	{ "SIZE=9223372036854775808", -1, { 0, BODY_NONE, 0, 0 } },
	{ "SIZE=99999999999999999999", -1, { 0, BODY_NONE, 0, 0 } },
	{ "SIZE=-1", -1, { 0, BODY_NONE, 0, 0 } },
	{ "SIZE=x", -1, { 0, BODY_NONE, 0, 0 } },
	{ "SIZE=", -1, { 0, BODY_NONE, 0, 0 } },
	{ "SIZE", -1, { 0, BODY_NONE, 0, 0 } },
	{ "SIZE=0 SIZE=5", -1, { 0, BODY_NONE, 0, 0 } },
	{ "SIZE=5 size=5", -1, { 0, BODY_NONE, 0, 0 } },
	{ "BODY=9BIT", -1, { 0, BODY_NONE, 0, 0 } },
	{ "BODY", -1, { 0, BODY_NONE, 0, 0 } },
	{ "BODY=7BIT BODY=BINARYMIME", -1, { 0, BODY_NONE, 0, 0 } },
	{ "SMTPUTF8=1", -1, { 0, BODY_NONE, 0, 0 } },
	{ "SMTPUTF8 SMTPUTF8", -1, { 0, BODY_NONE, 0, 0 } },
	{ "REQUIRETLS=x", -1, { 0, BODY_NONE, 0, 0 } },
	{ "REQUIRETLS requiretls", -1, { 0, BODY_NONE, 0, 0 } },
	{ "SIZE=5 <c@d>", -1, { 0, BODY_NONE, 0, 0 } },
};

START_TEST(test_facts)
{
	const struct facts_row	*row = &facts_rows[_i];
	struct smtp_mail_facts	 facts;
	struct smtp_path	 path = { NULL, 0, NULL, 0 };

	path.params = (const uint8_t *)row->in;
	path.paramslen = strlen(row->in);
	ck_assert_int_eq(smtp_mail_facts(&facts, &path), row->rc);
	if (row->rc == -1)
		return;
	ck_assert_uint_eq(facts.size, row->want.size);
	ck_assert_int_eq(facts.body, row->want.body);
	ck_assert_int_eq(facts.is_smtputf8, row->want.is_smtputf8);
	ck_assert_int_eq(facts.is_requiretls, row->want.is_requiretls);
}
END_TEST

int
main(void)
{
	Suite	*suite = suite_create("smtp_path");
	TCase	*tcase = tcase_create("smtp_path");
	SRunner	*runner = srunner_create(suite);
	int	 failed;

	tcase_add_loop_test(tcase, test_rows, 0,
	    (int)(sizeof(rows) / sizeof(rows[0])));
	tcase_add_test(tcase, test_control);
	tcase_add_loop_test(tcase, test_params, 0,
	    (int)(sizeof(params_rows) / sizeof(params_rows[0])));
	tcase_add_loop_test(tcase, test_facts, 0,
	    (int)(sizeof(facts_rows) / sizeof(facts_rows[0])));
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
