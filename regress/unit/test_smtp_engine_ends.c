/*
 * How sessions end that nobody ends on purpose: without memory, with lines
 * and texts over their bounds, and what is said to a session that is over.
 */
#include "engine_script.h"
#include "no_memory.h"

static void
set_bypass(struct play *p)
{
	p->is_bypass = 1;
}

static const struct script	bypass[] = {
	{ "a bypass whose connection breaks before it stands", set_bypass,
	    SCRIPT_UNMET, "", {
	    STEP('x', "", "", "", "n"),
	    STEP('N', "", "", "", ""),
	    C("hello", "", "hello"),
	    D("there", "there", "") } }
};

START_TEST(test_bypass)
{
	script_check(&bypass[_i]);
}
END_TEST

static void
begin(struct play *p, const char *ehlo)
{
	play_init(p);
	p->set.ehlo.remove = EHLO_REQUIRETLS;
	play_start(p);
	smtp_engine_connected(&p->e, p->now_ms);
	play_give(p, SMTP_DEST, "220 x\r\n", 7);
	play_give(p, SMTP_CLIENT, "EHLO c\r\n", 8);
	play_give(p, SMTP_DEST, ehlo, strlen(ehlo));
	p->side[SMTP_CLIENT].got.used = 0;
}

static void
say(struct play *p, enum smtp_side from, const char *text)
{
	play_give(p, from, text, strlen(text));
}

static const char *
heard(struct play *p)
{
	play_add(&p->side[SMTP_CLIENT].got, "", 1);
	p->side[SMTP_CLIENT].got.used--;
	return (const char *)p->side[SMTP_CLIENT].got.data;
}

/* A piece of a line or of a reply for which there is no memory. */
START_TEST(test_no_memory)
{
	static const struct {
		const char	*client;	/* said before, or NULL */
		const char	*dest;
		enum smtp_side	 from;		/* and then, in need: */
		const char	*piece;
	} rows[] = {
		{ NULL, NULL, SMTP_CLIENT, "NOO" },
		{ NULL, NULL, SMTP_CLIENT, "AUTH PLAIN c2Vj" },
		{ "NOOP\r\n", NULL, SMTP_DEST, "25" },
		{ "NOOP\r\n", NULL, SMTP_DEST, "250-a\r\n" },
		{ "EHLO c\r\n", NULL, SMTP_DEST, "250-mx\r\n" }
	};
	struct play	 p;
	size_t		 n = sizeof(rows) / sizeof(rows[0]), i;

	for (i = 0; i < n; i++) {
		begin(&p, "250-x\r\n250 AUTH PLAIN\r\n");
		if (rows[i].client != NULL)
			say(&p, SMTP_CLIENT, rows[i].client);
		if (rows[i].dest != NULL)
			say(&p, SMTP_DEST, rows[i].dest);
		p.side[SMTP_CLIENT].got.used = 0;
		ck_assert_msg(!p.is_over, "row %zu", i);
		no_memory = 1;
		say(&p, rows[i].from, rows[i].piece);
		no_memory = 0;
		ck_assert_msg(p.is_over && p.is_dest_closed, "row %zu", i);
		ck_assert_str_eq(p.e.reason, "out of memory");
		ck_assert_msg(strncmp(heard(&p), "421 4.3.", 8) == 0,
		    "row %zu: %s", i, heard(&p));
		ck_assert_uint_eq(p.e.state, SMTP_OVER);
		play_clear(&p);
	}
}
END_TEST

/* Behind a 220 to STARTTLS nothing is said: it would be read as TLS. */
START_TEST(test_no_memory_for_handshake)
{
	struct play	 p;
	struct buf	*b;

	begin(&p, "250-x\r\n250 STARTTLS\r\n");
	say(&p, SMTP_CLIENT, "STARTTLS\r\n");
	say(&p, SMTP_DEST, "220 go\r\n");
	ck_assert_uint_eq(p.e.state, SMTP_TLS_FIRST);
	p.side[SMTP_CLIENT].got.used = p.side[SMTP_DEST].got.used = 0;
	b = _i == 0 ? &p.e.held : &p.e.out[SMTP_DEST];
	b->limit = b->used;
	say(&p, SMTP_CLIENT, "\x16\x03\x01");
	ck_assert_int_ne(p.is_over, 0);
	ck_assert_str_eq(p.e.reason, "out of memory");
	ck_assert_uint_eq(p.side[SMTP_CLIENT].got.used, 0);
	ck_assert_uint_eq(p.side[SMTP_DEST].got.used, 0);
	play_clear(&p);
}
END_TEST

/* A line of the destination over its bound, in one piece or in many. */
START_TEST(test_long_reply_line)
{
	static char	line[SMTP_REPLY_LINE_MAX + 64];
	const size_t	len = SMTP_REPLY_LINE_MAX + (_i & 1 ? 1 : 0);
	struct play	p;
	size_t		at, n;

	memset(line, 'x', len);
	memcpy(line, "250 ", 4);
	memcpy(line + len - 2, "\r\n", 2);
	begin(&p, "250 x\r\n");
	say(&p, SMTP_CLIENT, "NOOP\r\n");
	n = _i & 2 ? 100 : len;
	for (at = 0; at < len; at += n)
		play_give(&p, SMTP_DEST, line + at, len - at < n ? len - at :
		    n);
	if ((_i & 1) == 0) {
		ck_assert_int_eq(p.is_over, 0);
		ck_assert_uint_eq(p.side[SMTP_CLIENT].got.used, len);
		ck_assert_mem_eq(p.side[SMTP_CLIENT].got.data, line, len);
	} else {
		ck_assert_int_ne(p.is_over, 0);
		ck_assert_str_eq(heard(&p), "451 4.3.0 gw.example.org "
		    "malformed reply from destination\r\n"
		    "421 4.3.0 gw.example.org closing connection\r\n");
	}
	play_clear(&p);
}
END_TEST

static char	reply_kept[512];

static void
keep_reply(struct play *p, const struct smtp_txn *t)
{
	(void)p;
	(void)strlcpy(reply_kept, t->reply == NULL ? "(none)" : t->reply,
	    sizeof(reply_kept));
}

/* The client hears a reply as it came, the log has its beginning. */
START_TEST(test_long_texts)
{
	char		text[512];
	struct play	p;
	size_t		len;

	(void)memset(text, 'q', sizeof(text));
	memcpy(text, _i == 0 ? "250 " : "421 ", 4);
	len = 300;
	memcpy(text + len, "\r\n", 3);
	begin(&p, "250 x\r\n");
	p.on_ended = keep_reply;
	say(&p, SMTP_CLIENT, "MAIL FROM:<a@b>\r\n");
	say(&p, SMTP_DEST, "250 ok\r\n");
	say(&p, SMTP_CLIENT, "RCPT TO:<c@d>\r\n");
	say(&p, SMTP_DEST, "250 ok\r\n");
	say(&p, SMTP_CLIENT, "DATA\r\n");
	say(&p, SMTP_DEST, "354 go\r\n");
	say(&p, SMTP_CLIENT, "abc\r\n.\r\n");
	p.side[SMTP_CLIENT].got.used = 0;
	say(&p, SMTP_DEST, text);
	ck_assert_str_eq(heard(&p), text);
	ck_assert_uint_eq(strlen(reply_kept), SMTP_TEXT_MAX);
	ck_assert_int_eq(strncmp(reply_kept, text, SMTP_TEXT_MAX), 0);
	if (_i == 1) {
		ck_assert_uint_eq(strlen(p.e.reason_text), SMTP_TEXT_MAX);
		ck_assert_int_eq(strncmp(p.e.reason_text, text,
		    SMTP_TEXT_MAX), 0);
	}
	play_clear(&p);
}
END_TEST

/* Behind the last words a line that is none is answered like any other. */
START_TEST(test_bad_line_at_last)
{
	struct play	p;

	begin(&p, "250 x\r\n");
	say(&p, SMTP_CLIENT, "MAIL FROM:<a@b>\r\n");
	say(&p, SMTP_DEST, "250 ok\r\n");
	say(&p, SMTP_CLIENT, "RCPT TO:<c@d>\r\n");
	say(&p, SMTP_DEST, "250 ok\r\n");
	say(&p, SMTP_CLIENT, "DATA\r\n");
	say(&p, SMTP_DEST, "354 go\r\n");
	say(&p, SMTP_CLIENT, "a\rb\r\n.\r\n");
	ck_assert_uint_eq(p.e.state, SMTP_LAST);
	p.side[SMTP_CLIENT].got.used = 0;
	say(&p, SMTP_CLIENT, "QU\rIT\r\n");
	ck_assert_str_eq(heard(&p),
	    "421 4.3.0 gw.example.org closing connection\r\n");
	ck_assert_int_ne(p.is_over, 0);
	play_clear(&p);
}
END_TEST

/* Nothing that comes late to a session that is over does anything. */
START_TEST(test_over_is_over)
{
	struct play		 p;
	struct smtp_question	 q;
	const char		*reason;
	size_t			 used;

	begin(&p, "250 x\r\n");
	smtp_engine_fail(&p.e, "first", p.now_ms);
	play_run(&p);
	ck_assert_int_ne(p.is_over, 0);
	reason = p.e.reason;
	used = p.side[SMTP_CLIENT].got.used;
	p.events = 0;
	smtp_engine_fail(&p.e, "second", p.now_ms);
	smtp_engine_no_choice(&p.e, "second", p.now_ms);
	smtp_engine_lost(&p.e, SMTP_DEST, "second", p.now_ms);
	smtp_engine_lost(&p.e, SMTP_CLIENT, "second", p.now_ms);
	smtp_engine_stop(&p.e, p.now_ms);
	smtp_engine_connecting(&p.e, p.now_ms);
	smtp_engine_connected(&p.e, p.now_ms);
	smtp_engine_answer(&p.e, p.e.question, ANSWER_CLOSE, "550 x",
	    p.now_ms);
	smtp_engine_bypass(&p.e, p.now_ms);
	smtp_engine_timeout(&p.e, p.now_ms + 10000000);
	play_run(&p);
	ck_assert_uint_eq(p.events, 0);
	ck_assert_uint_eq(p.e.state, SMTP_OVER);
	ck_assert_uint_eq(p.e.dest, DEST_GONE);
	ck_assert_str_eq(p.e.reason, reason);
	ck_assert_uint_eq(p.side[SMTP_CLIENT].got.used, used);
	ck_assert_int_eq(smtp_engine_question(&p.e, &q), 0);
	ck_assert_int_eq(smtp_engine_deadline(&p.e) == INT64_MAX, 1);
	play_clear(&p);
}
END_TEST

int
main(void)
{
	Suite	*s = suite_create("smtp_engine_ends");
	TCase	*tc = tcase_create("ends");
	SRunner	*sr;
	int	 failed;

	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, test_bypass, 0, 1);
	tcase_add_test(tc, test_no_memory);
	tcase_add_loop_test(tc, test_no_memory_for_handshake, 0, 2);
	tcase_add_loop_test(tc, test_long_reply_line, 0, 4);
	tcase_add_loop_test(tc, test_long_texts, 0, 2);
	tcase_add_test(tc, test_bad_line_at_last);
	tcase_add_test(tc, test_over_is_over);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed == 0 ? 0 : 1;
}
