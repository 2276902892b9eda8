/*
 * What other protocols begin with, and what only looks like it.
 */

#include "../../smtpproxyd/smtp_foreign.h"

#include <check.h>
#include <string.h>

#define IN(s)	s, sizeof(s) - 1

static const struct row {
	const char		*in;
	size_t			 len;
	enum smtp_foreign	 what;
} rows[] = {
	{ IN("\x16\x03\x01"),		FOREIGN_TLS },
	{ IN("\x16"),			FOREIGN_TLS },
	{ IN("\x15\x03\x01"),		FOREIGN_NONE },	/* an alert */
	{ IN("GET / HTTP/1.1"),		FOREIGN_HTTP },
	{ IN("get /"),			FOREIGN_HTTP },
	{ IN("GET"),			FOREIGN_NONE },
	{ IN("GETX /"),			FOREIGN_NONE },
	{ IN("POST / HTTP/1.1"),	FOREIGN_HTTP },
	{ IN("HEAD / HTTP/1.0"),	FOREIGN_HTTP },
	{ IN("PUT /x HTTP/1.1"),	FOREIGN_HTTP },
	{ IN("DELETE /x HTTP/1.1"),	FOREIGN_HTTP },
	{ IN("OPTIONS * HTTP/1.1"),	FOREIGN_HTTP },
	{ IN("CONNECT mx:25 HTTP/1.1"),	FOREIGN_HTTP },
	{ IN("TRACE / HTTP/1.1"),	FOREIGN_HTTP },
	{ IN("PATCH / HTTP/1.1"),	FOREIGN_HTTP },
	{ IN("PRI * HTTP/2.0"),		FOREIGN_HTTP },
	{ IN("SSH-2.0-OpenSSH_9"),	FOREIGN_SSH },
	{ IN("SSH"),			FOREIGN_NONE },
	{ IN("PROXY TCP4 1.2.3.4 1.2.3.5 1 25"), FOREIGN_PROXY },
	{ IN("PROXY TCP6 ::1 ::2 1 25"), FOREIGN_PROXY },
	{ IN("PROXY UNKNOWN"),		FOREIGN_PROXY },
	{ IN("PROXY TCP5"),		FOREIGN_NONE },
	{ IN("PROXY"),			FOREIGN_NONE },
	{ IN("\r\n\r\n\0\r\nQUIT\n!"),	FOREIGN_PROXY },
	{ IN("\r\n\r\n"),		FOREIGN_NONE },
	{ IN("\r\n\r\nQUIT\r\n"),	FOREIGN_NONE },
	{ IN("EHLO client.example"),	FOREIGN_NONE },
	{ IN("MAIL FROM:<GET /@x>"),	FOREIGN_NONE },
	{ IN("\0\0"),			FOREIGN_NONE },
	{ IN(""),			FOREIGN_NONE },
};

START_TEST(test_rows)
{
	const struct row	*row = &rows[_i];

	ck_assert_int_eq(smtp_foreign_find((const uint8_t *)row->in,
	    row->len), row->what);
}
END_TEST

/* Each has its words; a value that is none has some, too. */
START_TEST(test_words)
{
	unsigned int	what;

	for (what = FOREIGN_NONE; what <= FOREIGNS; what++) {
		enum smtp_foreign	f = (enum smtp_foreign)what;

		ck_assert_uint_gt(strlen(smtp_foreign_name(f)), 0);
		ck_assert_ptr_eq(strstr(smtp_foreign_reason(f, 0), "not SMTP"),
		    smtp_foreign_reason(f, 0));
		ck_assert_ptr_eq(strstr(smtp_foreign_reason(f, 1), "pregreet"),
		    smtp_foreign_reason(f, 1));
	}
	ck_assert_str_eq(smtp_foreign_reason(FOREIGN_HTTP, 0),
	    "not SMTP: HTTP");
}
END_TEST

int
main(void)
{
	Suite	*suite = suite_create("smtp_foreign");
	TCase	*tcase = tcase_create("foreign");
	SRunner	*runner;
	int	 nfailed;

	tcase_add_loop_test(tcase, test_rows, 0,
	    (int)(sizeof(rows) / sizeof(rows[0])));
	tcase_add_test(tcase, test_words);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	nfailed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return nfailed == 0 ? 0 : 1;
}
