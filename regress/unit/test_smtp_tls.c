/*
 * STARTTLS that ends here, towards the client, the destination and both; what
 * a destination is told before the greeting; XFORWARD and the trace header.
 */
#include "engine_tls.h"

static void
set_trace(struct play *p)
{
	set_who(p);
	p->set.adds_trace = 1;
}

START_TEST(test_trace)
{
	static const char	mail[] =
				    "MAIL FROM:<a@b> SIZE=10 BODY=7BIT\r\n";
	struct play		p;
	struct play_text	*got;
	char			text[SMTP_TRACE_MAX], line[128];
	size_t			n;

	play_init(&p);
	got = &p.side[SMTP_DEST].got;
	set_trace(&p);
	play_start(&p);
	play_connected(&p);
	play_give(&p, SMTP_DEST, "220 mx\r\n", 8);
	play_give(&p, SMTP_CLIENT, "EHLO c\r\n", 8);
	play_give(&p, SMTP_DEST, "250-mx\r\n250-SIZE\r\n250 CHUNKING\r\n",
	    32);
	got->used = 0;
	n = smtp_identity_trace(text, &p.who, "c", 1, 0, 1, p.now_ms);
	play_give(&p, SMTP_CLIENT, mail, sizeof(mail) - 1);
	(void)snprintf(line, sizeof(line),
	    "MAIL FROM:<a@b> SIZE=%zu BODY=7BIT\r\n", 10 + n);
	ck_assert_uint_eq(got->used, strlen(line));
	ck_assert_mem_eq(got->data, line, got->used);
	play_give(&p, SMTP_DEST, "250 ok\r\n", 8);
	if (_i == 0) {
		play_give(&p, SMTP_CLIENT, "DATA\r\n", 6);
		got->used = 0;
		play_give(&p, SMTP_DEST, "354 go\r\n", 8);
		play_give(&p, SMTP_CLIENT, "x\r\n.\r\n", 6);
		ck_assert_uint_eq(got->used, n + 6);
		ck_assert_mem_eq(got->data, text, n);
		ck_assert_mem_eq(got->data + n, "x\r\n.\r\n", 6);
	} else {
		got->used = 0;
		p.side[SMTP_CLIENT].got.used = 0;
		play_give(&p, SMTP_CLIENT, "BDAT 3 LAST\r\nx\r\n", 16);
		(void)snprintf(line, sizeof(line), "BDAT %zu\r\n", n);
		ck_assert_uint_eq(got->used, strlen(line) + n + 16);
		ck_assert_mem_eq(got->data, line, strlen(line));
		ck_assert_mem_eq(got->data + strlen(line), text, n);
		play_give(&p, SMTP_DEST, "250 ours\r\n", 10);
		ck_assert_uint_eq(p.side[SMTP_CLIENT].got.used, 0);
		play_give(&p, SMTP_DEST, "250 theirs\r\n", 12);
		ck_assert_uint_eq(p.side[SMTP_CLIENT].got.used, 12);
	}
	play_clear(&p);
}
END_TEST

START_TEST(test_client)
{
	script_check(&client[_i]);
}
END_TEST

START_TEST(test_dest)
{
	script_check(&dest[_i]);
}
END_TEST

START_TEST(test_terminate)
{
	script_check(&terminate[_i]);
}
END_TEST

START_TEST(test_identity)
{
	script_check(&identity[_i]);
}
END_TEST

#define COUNT(a)	((int)(sizeof(a) / sizeof((a)[0])))

int
main(void)
{
	Suite	*s = suite_create("smtp_tls");
	TCase	*tc = tcase_create("starttls");
	SRunner	*sr;
	int	 failed;

	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, test_client, 0, COUNT(client));
	tcase_add_loop_test(tc, test_dest, 0, COUNT(dest));
	tcase_add_loop_test(tc, test_terminate, 0, COUNT(terminate));
	tcase_add_loop_test(tc, test_identity, 0, COUNT(identity));
	tcase_add_loop_test(tc, test_trace, 0, 2);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed == 0 ? 0 : 1;
}
