/*
 * EHLO filter: what the destination says, what the relay allows, what the
 * client is told.  Each reply also comes through line splitter and reply
 * parser, cut in every way, and must be filtered the same.
 */

#include "../../smtpproxyd/smtp_ehlo.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../smtpproxyd/smtp_reply.h"
#include "split.h"

#define CRLF	"\r\n"

static const char *const	own_mechs[] = { "GSSAPI", "EXTERNAL", NULL };
static const char *const	no_mechs[] = { NULL };

static const struct row {
	const char		*in;
	struct smtp_ehlo_rules	 rules;
	const char		*out;
	struct smtp_ehlo	 want;
} rows[] = {
	/* Nothing but a greeting. */
	{ "250 mx.example" CRLF, { 0, 0, 0, NULL },
	  "250 mx.example" CRLF, { 0, 0, 0 } },
	{ "250-mx.example hello [192.0.2.1]" CRLF "250 XUNKNOWN" CRLF,
	  { 0, 0, 0, NULL },
	  "250 mx.example hello [192.0.2.1]" CRLF, { 0, 0, 0 } },
	/* A greeting is no keyword. */
	{ "250-PIPELINING" CRLF "250 8BITMIME" CRLF, { 0, 0, 0, NULL },
	  "250-PIPELINING" CRLF "250 8BITMIME" CRLF,
	  { EHLO_8BITMIME, EHLO_8BITMIME, 0 } },
	{ "250" CRLF, { 0, 0, 0, NULL }, "250 " CRLF, { 0, 0, 0 } },
	{ "250-" CRLF "250 HELP" CRLF, { 0, 0, 0, NULL },
	  "250-" CRLF "250 HELP" CRLF, { EHLO_HELP, EHLO_HELP, 0 } },
	/* Every keyword of the list. */
	{ "250-mx" CRLF "250-SIZE 1000" CRLF "250-8BITMIME" CRLF
	  "250-SMTPUTF8" CRLF "250-PIPELINING" CRLF "250-CHUNKING" CRLF
	  "250-BINARYMIME" CRLF "250-DSN" CRLF "250-ENHANCEDSTATUSCODES" CRLF
	  "250-DELIVERBY 240" CRLF "250-REQUIRETLS" CRLF
	  "250-MT-PRIORITY MIXER" CRLF
	  "250-FUTURERELEASE 600 2026-01-01T00:00:00Z" CRLF
	  "250-LIMITS MAILMAX=5" CRLF "250-AUTH PLAIN" CRLF "250-ETRN" CRLF
	  "250-VRFY" CRLF "250-EXPN" CRLF "250-HELP" CRLF
	  "250 STARTTLS" CRLF, { 0, 0, 0, NULL },
	  "250-mx" CRLF "250-SIZE 1000" CRLF "250-8BITMIME" CRLF
	  "250-SMTPUTF8" CRLF "250-PIPELINING" CRLF "250-CHUNKING" CRLF
	  "250-BINARYMIME" CRLF "250-DSN" CRLF "250-ENHANCEDSTATUSCODES" CRLF
	  "250-DELIVERBY 240" CRLF "250-REQUIRETLS" CRLF
	  "250-MT-PRIORITY MIXER" CRLF
	  "250-FUTURERELEASE 600 2026-01-01T00:00:00Z" CRLF
	  "250-LIMITS MAILMAX=5" CRLF "250-AUTH PLAIN" CRLF "250-ETRN" CRLF
	  "250-VRFY" CRLF "250-EXPN" CRLF "250-HELP" CRLF
	  "250 STARTTLS" CRLF, { 0x7ffff, 0x7ffff, 1000 } },
	/* What real servers offer and no proxy can carry unseen. */
	{ "250-mx" CRLF "250-VERB" CRLF "250-XCLIENT NAME ADDR" CRLF
	  "250-XFORWARD NAME" CRLF "250-PIPECONNECT" CRLF "250-TURN" CRLF
	  "250-ATRN" CRLF "250-BURL imap" CRLF "250-CHECKPOINT" CRLF
	  "250-X-EXPS GSSAPI" CRLF "250-XEXCH50" CRLF "250-XRDST" CRLF
	  "250-X-ANONYMOUSTLS" CRLF "250-NO-SOLICITING" CRLF "250 8BITMIME"
	  CRLF, { 0, 0, 0, NULL },
	  "250-mx" CRLF "250 8BITMIME" CRLF,
	  { EHLO_8BITMIME, EHLO_8BITMIME, 0 } },
	/* Any case passes as it is; the last one's mark is ours. */
	{ "250-mx" CRLF "250-pipelining" CRLF "250-Dsn" CRLF "250 X" CRLF,
	  { 0, 0, 0, NULL },
	  "250-mx" CRLF "250-pipelining" CRLF "250 Dsn" CRLF,
	  { EHLO_PIPELINING | EHLO_DSN, EHLO_PIPELINING | EHLO_DSN, 0 } },
	/* No keywords by their syntax. */
	{ "250-mx" CRLF "250- PIPELINING" CRLF "250-PIPELINING\tx" CRLF
	  "250-\"DSN\"" CRLF "250-DSN\t" CRLF "250-" CRLF "250-SIZE=5" CRLF
	  "250-AUTH=PLAIN" CRLF "250-DSNX" CRLF "250 DS" CRLF,
	  { 0, 0, 0, NULL }, "250 mx" CRLF, { 0, 0, 0 } },
	/* The first of two decides. */
	{ "250-mx" CRLF "250-SIZE 5" CRLF "250-DSN" CRLF "250-dsn" CRLF
	  "250 SIZE 500" CRLF, { 0, 0, 0, NULL },
	  "250-mx" CRLF "250-SIZE 5" CRLF "250 DSN" CRLF,
	  { EHLO_SIZE | EHLO_DSN, EHLO_SIZE | EHLO_DSN, 5 } },
	/* What the relay takes out. */
	{ "250-mx" CRLF "250-STARTTLS" CRLF "250-REQUIRETLS" CRLF
	  "250 HELP" CRLF, { EHLO_STARTTLS | EHLO_REQUIRETLS, 0, 0, NULL },
	  "250-mx" CRLF "250 HELP" CRLF,
	  { EHLO_STARTTLS | EHLO_REQUIRETLS | EHLO_HELP, EHLO_HELP, 0 } },
	{ "250-mx" CRLF "250-HELP" CRLF "250 STARTTLS" CRLF,
	  { EHLO_STARTTLS, 0, 0, NULL }, "250-mx" CRLF "250 HELP" CRLF,
	  { EHLO_STARTTLS | EHLO_HELP, EHLO_HELP, 0 } },
	{ "250-mx" CRLF "250 STARTTLS" CRLF, { ~0U, 0, 0, NULL },
	  "250 mx" CRLF, { EHLO_STARTTLS, 0, 0 } },
	/* BINARYMIME needs CHUNKING, wherever that stands. */
	{ "250-mx" CRLF "250-BINARYMIME" CRLF "250 CHUNKING" CRLF,
	  { 0, 0, 0, NULL },
	  "250-mx" CRLF "250-BINARYMIME" CRLF "250 CHUNKING" CRLF,
	  { EHLO_BINARYMIME | EHLO_CHUNKING,
	    EHLO_BINARYMIME | EHLO_CHUNKING, 0 } },
	{ "250-mx" CRLF "250-BINARYMIME" CRLF "250 CHUNKING" CRLF,
	  { EHLO_CHUNKING, 0, 0, NULL }, "250 mx" CRLF,
	  { EHLO_BINARYMIME | EHLO_CHUNKING, 0, 0 } },
	{ "250-mx" CRLF "250 BINARYMIME" CRLF, { 0, 0, 0, NULL },
	  "250 mx" CRLF, { EHLO_BINARYMIME, 0, 0 } },
	/* SIZE: the smaller one. */
	{ "250-mx" CRLF "250 SIZE 1000" CRLF, { 0, 2000, 0, NULL },
	  "250-mx" CRLF "250 SIZE 1000" CRLF, { EHLO_SIZE, EHLO_SIZE, 1000 } },
	{ "250-mx" CRLF "250 size 3000" CRLF, { 0, 2000, 0, NULL },
	  "250-mx" CRLF "250 SIZE 2000" CRLF, { EHLO_SIZE, EHLO_SIZE, 2000 } },
	{ "250-mx" CRLF "250 SIZE 0" CRLF, { 0, 2000, 0, NULL },
	  "250-mx" CRLF "250 SIZE 2000" CRLF, { EHLO_SIZE, EHLO_SIZE, 2000 } },
	{ "250-mx" CRLF "250 SIZE 0" CRLF, { 0, 0, 0, NULL },
	  "250-mx" CRLF "250 SIZE 0" CRLF, { EHLO_SIZE, EHLO_SIZE, 0 } },
	{ "250-mx" CRLF "250 SIZE" CRLF, { 0, 0, 0, NULL },
	  "250-mx" CRLF "250 SIZE" CRLF, { EHLO_SIZE, EHLO_SIZE, 0 } },
	{ "250-mx" CRLF "250 SIZE" CRLF, { 0, UINT64_MAX, 0, NULL },
	  "250-mx" CRLF "250 SIZE 18446744073709551615" CRLF,
	  { EHLO_SIZE, EHLO_SIZE, UINT64_MAX } },
	{ "250-mx" CRLF "250 SIZE huge" CRLF, { 0, 0, 0, NULL },
	  "250-mx" CRLF "250 SIZE" CRLF, { EHLO_SIZE, EHLO_SIZE, 0 } },
	{ "250-mx" CRLF "250 SIZE 99999999999999999999" CRLF,
	  { 0, 2000, 0, NULL }, "250-mx" CRLF "250 SIZE 2000" CRLF,
	  { EHLO_SIZE, EHLO_SIZE, 2000 } },
	{ "250-mx" CRLF "250 SIZE   0010 " CRLF, { 0, 2000, 0, NULL },
	  "250-mx" CRLF "250 SIZE 10" CRLF, { EHLO_SIZE, EHLO_SIZE, 10 } },
	{ "250-mx" CRLF "250 DSN" CRLF, { 0, 2000, 0, NULL },
	  "250-mx" CRLF "250 DSN" CRLF, { EHLO_DSN, EHLO_DSN, 0 } },
	/* LIMITS RCPTMAX likewise. */
	{ "250-mx" CRLF "250 LIMITS RCPTMAX=100 MAILMAX=5" CRLF,
	  { 0, 0, 50, NULL },
	  "250-mx" CRLF "250 LIMITS RCPTMAX=50 MAILMAX=5" CRLF,
	  { EHLO_LIMITS, EHLO_LIMITS, 0 } },
	{ "250-mx" CRLF "250 limits mailmax=5 rcptmax=20" CRLF,
	  { 0, 0, 50, NULL },
	  "250-mx" CRLF "250 LIMITS mailmax=5 rcptmax=20" CRLF,
	  { EHLO_LIMITS, EHLO_LIMITS, 0 } },
	{ "250-mx" CRLF "250 LIMITS RCPTMAX=100" CRLF, { 0, 0, 0, NULL },
	  "250-mx" CRLF "250 LIMITS RCPTMAX=100" CRLF,
	  { EHLO_LIMITS, EHLO_LIMITS, 0 } },
	{ "250-mx" CRLF "250 LIMITS RCPTMAX=0 RCPTMAX= RCPTMAX=x" CRLF,
	  { 0, 0, 4294967295U, NULL }, "250 mx" CRLF, { EHLO_LIMITS, 0, 0 } },
	{ "250-mx" CRLF "250 LIMITS" CRLF, { 0, 0, 50, NULL },
	  "250 mx" CRLF, { EHLO_LIMITS, 0, 0 } },
	/* AUTH: no security layers, no channel bindings. */
	{ "250-mx" CRLF "250-AUTH GSSAPI DIGEST-MD5 PLAIN login "
	  "SCRAM-SHA-256-PLUS SCRAM-SHA-256 EXTERNAL XOAUTH2 " CRLF
	  "250 HELP" CRLF, { 0, 0, 0, NULL },
	  "250-mx" CRLF "250-AUTH PLAIN login SCRAM-SHA-256 XOAUTH2" CRLF
	  "250 HELP" CRLF,
	  { EHLO_AUTH | EHLO_HELP, EHLO_AUTH | EHLO_HELP, 0 } },
	{ "250-mx" CRLF "250-HELP" CRLF "250 AUTH GSSAPI GSS-SPNEGO" CRLF,
	  { 0, 0, 0, NULL }, "250-mx" CRLF "250 HELP" CRLF,
	  { EHLO_AUTH | EHLO_HELP, EHLO_HELP, 0 } },
	{ "250-mx" CRLF "250 AUTH" CRLF, { 0, 0, 0, NULL },
	  "250 mx" CRLF, { EHLO_AUTH, 0, 0 } },
	{ "250-mx" CRLF "250 AUTH GSSAPI PLAIN EXTERNAL" CRLF,
	  { 0, 0, 0, own_mechs },
	  "250-mx" CRLF "250 AUTH GSSAPI EXTERNAL" CRLF,
	  { EHLO_AUTH, EHLO_AUTH, 0 } },
	{ "250-mx" CRLF "250 AUTH PLAIN" CRLF, { 0, 0, 0, no_mechs },
	  "250 mx" CRLF, { EHLO_AUTH, 0, 0 } },
};

/* The reply as the reply parser gives it when it comes cut that way. */
static void
read_reply(struct smtp_reply *reply, const char *in, size_t way)
{
	struct smtp_line	 lines;
	enum smtp_reply_result	 got = SMTP_REPLY_MORE;
	const uint8_t		*line;
	uint8_t			*piece;
	size_t			 at, n, i, taken, linelen, len = strlen(in);

	smtp_reply_init(reply);
	smtp_line_init(&lines, SMTP_REPLY_LINE_MAX, 1);
	for (at = 0; at < len; at += n) {
		n = split_piece(way, at, len);
		piece = split_copy(in + at, n);
		for (i = 0; i < n; i += taken)
			if (smtp_line_feed(&lines, piece + i, n - i, &taken,
			    &line, &linelen) == SMTP_LINE_OK)
				got = smtp_reply_line(reply, line, linelen, 1,
				    0);
		free(piece);
	}
	smtp_line_clear(&lines);
	HOLDS(got == SMTP_REPLY_OK);
}

START_TEST(test_rows)
{
	const struct row	*row = &rows[_i];
	struct smtp_reply	 reply;
	struct smtp_ehlo	 ehlo;
	struct buf		 out;
	uint8_t			*text;
	size_t			 way;

	for (way = 0; way < split_ways(strlen(row->in)); way++) {
		read_reply(&reply, row->in, way);
		text = split_copy(reply.text, reply.used);
		buf_init(&out, NULL, SMTP_REPLY_MAX);
		ck_assert_int_eq(smtp_ehlo_filter(&ehlo, &row->rules, 0, text,
		    reply.used, &out), 0);
		ck_assert_uint_eq(out.used, strlen(row->out));
		ck_assert_mem_eq(buf_head(&out), row->out, out.used);
		ck_assert_uint_eq(ehlo.offered, row->want.offered);
		ck_assert_uint_eq(ehlo.passed, row->want.passed);
		ck_assert_uint_eq(ehlo.size, row->want.size);
		buf_clear(&out);
		smtp_reply_clear(&reply);
		free(text);
	}
}
END_TEST

/* Behind what the buffer holds already; nothing when there is no room. */
START_TEST(test_room)
{
	static const char	in[] = "250-mx\r\n250 SIZE\r\n";
	static const char	want[] = "xy250-mx\r\n250 SIZE 7\r\n";
	struct smtp_ehlo_rules	rules = { 0, 7, 0, NULL };
	struct smtp_ehlo	ehlo;
	struct buf		out;

	buf_init(&out, NULL, 2 + sizeof(in) - 1 + 64);
	ck_assert_int_eq(buf_add_str(&out, "xy"), 0);
	ck_assert_int_eq(smtp_ehlo_filter(&ehlo, &rules, 0,
	    (const uint8_t *)in, sizeof(in) - 1, &out), 0);
	ck_assert_uint_eq(out.used, sizeof(want) - 1);
	ck_assert_mem_eq(buf_head(&out), want, out.used);
	ck_assert_int_eq(smtp_ehlo_filter(&ehlo, &rules, 0,
	    (const uint8_t *)in, sizeof(in) - 1, &out), -1);
	ck_assert_uint_eq(out.used, sizeof(want) - 1);
	buf_clear(&out);

	buf_init(&out, NULL, 10);
	ck_assert_int_eq(smtp_ehlo_filter(&ehlo, &rules, 0,
	    (const uint8_t *)in, sizeof(in) - 1, &out), -1);
	ck_assert_ptr_null(out.data);
}
END_TEST

static const struct mech_row {
	const char		*name;
	const char *const	*mechs;
	int			 want;
} mech_rows[] = {
	{ "PLAIN", NULL, 1 }, { "plain", NULL, 1 }, { "LOGIN", NULL, 1 },
	{ "CRAM-MD5", NULL, 1 }, { "SCRAM-SHA-1", NULL, 1 },
	{ "SCRAM-SHA-256", NULL, 1 }, { "SCRAM-SHA-512", NULL, 1 },
	{ "OAUTHBEARER", NULL, 1 }, { "XOAUTH2", NULL, 1 },
	{ "ANONYMOUS", NULL, 1 }, { "NTLM", NULL, 1 }, { "OTP", NULL, 1 },
	{ "SCRAM-SHA-1-PLUS", NULL, 0 }, { "EXTERNAL", NULL, 0 },
	{ "GSSAPI", NULL, 0 }, { "GSS-SPNEGO", NULL, 0 },
	{ "DIGEST-MD5", NULL, 0 }, { "KERBEROS_V4", NULL, 0 },
	{ "SRP", NULL, 0 }, { "", NULL, 0 }, { "PLAI", NULL, 0 },
	{ "PLAINX", NULL, 0 }, { "PLAIN", own_mechs, 0 },
	{ "gssapi", own_mechs, 1 }, { "PLAIN", no_mechs, 0 },
};

START_TEST(test_mechs)
{
	const struct mech_row	*row = &mech_rows[_i];
	struct smtp_ehlo_rules	 rules = { 0, 0, 0, row->mechs };

	ck_assert_int_eq(smtp_ehlo_has_mech(&rules, row->name,
	    strlen(row->name)), row->want);
}
END_TEST

int
main(void)
{
	Suite	*suite = suite_create("smtp_ehlo");
	TCase	*tcase = tcase_create("smtp_ehlo");
	SRunner	*runner = srunner_create(suite);
	int	 failed;

	tcase_add_loop_test(tcase, test_rows, 0,
	    (int)(sizeof(rows) / sizeof(rows[0])));
	tcase_add_test(tcase, test_room);
	tcase_add_loop_test(tcase, test_mechs, 0,
	    (int)(sizeof(mech_rows) / sizeof(mech_rows[0])));
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
