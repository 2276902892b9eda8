/*
 * The trace header: exact octets, folds, dates, and what a HELO or a subject
 * made for it can't do.
 */

#include "../../smtpproxyd/smtp_identity.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "split.h"

#define NROWS(a)	(sizeof(a) / sizeof((a)[0]))
#define GUARD		0x5a
#define FOLD		"\r\n        "
#define TEN		"0123456789"
#define HUNDRED		TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN
#define FROM4		" ([192.0.2.1])"
#define BY(how)		FOLD "by gw.example.org (smtpproxyd) with " how \
			" id 0123456789abcdef.3;"
#define DATE		FOLD "Tue, 24 Nov 2026 16:26:05 +0000\r\n"
#define PLAIN		FROM4 BY("ESMTP") DATE
#define SECURE		BY("ESMTPS") DATE
#define CIPHER		"TLS_AES_256_GCM_SHA384"
#define USING		FOLD "(using TLSv1.3 with cipher " CIPHER
#define CERTIFICATE	USING "; client certificate" FOLD
#define NO_TLS		{ NULL, NULL, NULL, NULL, NULL, 0 }
#define TLS(subject, is_verified)					\
	{ "TLSv1.3", CIPHER, NULL, subject, NULL, is_verified }

static const struct row {
	const char		*helo;
	const char		*client;
	struct smtp_tls_facts	 tls;
	int			 is_esmtp;
	int			 is_utf8;
	const char		*want;	/* behind "Received: from" */
} rows[] = {
	{ "mx.example", "192.0.2.1", NO_TLS, 1, 0, " mx.example" PLAIN },
	{ "mx.example", "192.0.2.1", NO_TLS, 0, 0,
	  " mx.example" FROM4 BY("SMTP") DATE },
	{ "mx.example", "192.0.2.1", NO_TLS, 1, 1,
	  " mx.example" FROM4 BY("UTF8SMTP") DATE },
	{ "mx.example", "2001:db8::1", NO_TLS, 1, 0,
	  " mx.example ([IPv6:2001:db8::1])" BY("ESMTP") DATE },
	{ "mx.example", "fe80::1%7", NO_TLS, 1, 0,
	  " mx.example ([IPv6:fe80::1])" BY("ESMTP") DATE },
	{ "mx.example", NULL, NO_TLS, 1, 0,
	  " mx.example (unknown)" BY("ESMTP") DATE },

	/* TLS. */
	{ "mx.example", "192.0.2.1", TLS(NULL, 0), 1, 0,
	  " mx.example" FROM4 USING ")" SECURE },
	{ "mx.example", "192.0.2.1", TLS(NULL, 0), 1, 1,
	  " mx.example" FROM4 USING ")" BY("UTF8SMTPS") DATE },
	{ "mx.example", "192.0.2.1", TLS(NULL, 0), 0, 0,
	  " mx.example" FROM4 USING ")" BY("SMTP") DATE },
	{ "mx", "192.0.2.1", TLS("CN=c.example", 1), 1, 0,
	  " mx" FROM4 CERTIFICATE "\"CN=c.example\" verified)" SECURE },
	{ "mx", "192.0.2.1", TLS("CN=c.example", 0), 1, 0,
	  " mx" FROM4 CERTIFICATE "\"CN=c.example\" not verified)" SECURE },
	{ "mx", "192.0.2.1", TLS("", 1), 1, 0,
	  " mx" FROM4 CERTIFICATE "\"\" verified)" SECURE },
	{ "mx", "192.0.2.1", TLS(NULL, 1), 1, 0,
	  " mx" FROM4 CERTIFICATE "verified)" SECURE },
	{ "mx", "192.0.2.1", { "TLSv1.2", NULL, NULL, NULL, NULL, 0 }, 1, 0,
	  " mx" FROM4 FOLD "(using TLSv1.2 with cipher unknown)" SECURE },
	{ "mx", "192.0.2.1", { "TLS (1)", "A\r\nB)", NULL, NULL, NULL, 0 },
	  1, 0, " mx" FROM4 FOLD "(using TLS+20+281+29 with cipher "
	  "A+0D+0AB+29)" SECURE },

	/* Subjects: spaces are folds, all that means something is +XX. */
	{ "mx", "192.0.2.1", TLS("CN=a, O=A (B) \"C\" \\D +E", 1), 1, 0,
	  " mx" FROM4 CERTIFICATE "\"CN=a, O=A +28B+29 +22C+22 +5CD +2BE\""
	  " verified)" SECURE },
	{ "mx", "192.0.2.1", TLS(" a  b ", 1), 1, 0,
	  " mx" FROM4 CERTIFICATE "\"+20a+20+20b+20\" verified)" SECURE },
	{ "mx", "192.0.2.1", TLS("a\r\n\tb\177\303\274", 1), 1, 0,
	  " mx" FROM4 CERTIFICATE "\"a+0D+0A+09b+7F+C3+BC\" verified)"
	  SECURE },
	{ "mx", "192.0.2.1", TLS(TEN TEN TEN " " TEN TEN TEN " " TEN TEN, 1),
	  1, 0, " mx" FROM4 CERTIFICATE "\"" TEN TEN TEN " " TEN TEN TEN
	  FOLD TEN TEN "\" verified)" SECURE },
	{ "mx", "192.0.2.1", TLS(HUNDRED HUNDRED HUNDRED, 1), 1, 0,
	  " mx" FROM4 CERTIFICATE "\"" HUNDRED HUNDRED TEN TEN TEN TEN TEN
	  "01234\"" FOLD "verified)" SECURE },

	/* HELO. */
	{ NULL, "192.0.2.1", NO_TLS, 1, 0, " unknown" PLAIN },
	{ "", "192.0.2.1", NO_TLS, 1, 0, " unknown" PLAIN },
	{ "[192.0.2.9]", "192.0.2.1", NO_TLS, 1, 0, " [192.0.2.9]" PLAIN },
	{ "[IPv6:2001:db8::9]", "192.0.2.1", NO_TLS, 1, 0,
	  " [IPv6:2001:db8::9]" PLAIN },
	{ "a_b!#$%&'*-/=?^`{|}~", "192.0.2.1", NO_TLS, 1, 0,
	  " a_b!#$%&'*-/=?^`{|}~" PLAIN },
	{ "[]", "192.0.2.1", NO_TLS, 1, 0, " +5B+5D" PLAIN },
	{ "[", "192.0.2.1", NO_TLS, 1, 0, " +5B" PLAIN },
	{ "[192.0.2.9", "192.0.2.1", NO_TLS, 1, 0, " +5B192.0.2.9" PLAIN },
	{ "[192.0.2.9]x", "192.0.2.1", NO_TLS, 1, 0,
	  " +5B192.0.2.9+5Dx" PLAIN },
	{ "[a]b]", "192.0.2.1", NO_TLS, 1, 0, " +5Ba+5Db+5D" PLAIN },
	{ "[a\\]", "192.0.2.1", NO_TLS, 1, 0, " +5Ba+5C+5D" PLAIN },
	{ "[a b]", "192.0.2.1", NO_TLS, 1, 0, " +5Ba+20b+5D" PLAIN },
	{ "a b", "192.0.2.1", NO_TLS, 1, 0, " a+20b" PLAIN },
	{ "a\r\nX-Spam: no", "192.0.2.1", NO_TLS, 1, 0,
	  " a+0D+0AX-Spam+3A+20no" PLAIN },
	{ "a\r\n\r\nbody", "192.0.2.1", NO_TLS, 1, 0,
	  " a+0D+0A+0D+0Abody" PLAIN },
	{ "a;(b)<c>,\"d\"\\@:+", "192.0.2.1", NO_TLS, 1, 0,
	  " a+3B+28b+29+3Cc+3E+2C+22d+22+5C+40+3A+2B" PLAIN },
	{ "\t\1\177\200\377", "192.0.2.1", NO_TLS, 1, 0,
	  " +09+01+7F+80+FF" PLAIN },
	/* The longest that has its line with "Received: from", and more. */
	{ TEN TEN TEN TEN TEN TEN "123", "192.0.2.1", NO_TLS, 1, 0,
	  " " TEN TEN TEN TEN TEN TEN "123" FOLD "([192.0.2.1])"
	  BY("ESMTP") DATE },
	{ TEN TEN TEN TEN TEN TEN "1234", "192.0.2.1", NO_TLS, 1, 0,
	  FOLD TEN TEN TEN TEN TEN TEN "1234" FOLD "([192.0.2.1])"
	  BY("ESMTP") DATE },
	{ HUNDRED HUNDRED HUNDRED, "192.0.2.1", NO_TLS, 1, 0,
	  FOLD HUNDRED HUNDRED TEN TEN TEN TEN TEN "01234"
	  FOLD "([192.0.2.1])" BY("ESMTP") DATE },
	{ HUNDRED HUNDRED TEN TEN TEN TEN TEN "012 4", "192.0.2.1", NO_TLS,
	  1, 0, FOLD HUNDRED HUNDRED TEN TEN TEN TEN TEN "012"
	  FOLD "([192.0.2.1])" BY("ESMTP") DATE },
};

/* Facts and the memory that they borrow; 24 November 2026, 16:26:05. */
struct who {
	struct addr			client;
	struct smtp_identity_facts	facts;
};

static void
who_init(struct who *who, const char *client)
{
	memset(who, 0, sizeof(*who));
	if (client != NULL)
		ck_assert_int_eq(addr_parse(&who->client, client), 0);
	who->facts.client = &who->client;
	who->facts.local = &who->client;
	who->facts.session = "0123456789abcdef";
	who->facts.hostname = "gw.example.org";
	who->facts.start_s = 1795537565;
	who->facts.start_ms = 5000;
}

/* Depth of comments behind this line; never below 0. */
static int
comment_depth(const char *line, size_t len, int depth)
{
	size_t	i;

	for (i = 0; i < len; i++) {
		depth += (line[i] == '(') - (line[i] == ')');
		HOLDS(depth >= 0);
		HOLDS(line[i] >= 0x20 && line[i] <= 0x7e && line[i] != '\\');
	}
	return depth;
}

/*
 * Lines end with CRLF and only there; the first begins with the name, each
 * other with eight spaces and a word; one longer than 78 is a word alone.
 */
static void
check_shape(const char *text, size_t len)
{
	const char	*lf;
	size_t		 at, n;
	int		 depth = 0;

	HOLDS(len > 10 && len <= SMTP_TRACE_MAX);
	HOLDS(memcmp(text, "Received: ", 10) == 0);
	for (at = 0; at < len; at += n + 2) {
		HOLDS((lf = memchr(text + at, '\n', len - at)) != NULL);
		n = (size_t)(lf - (text + at)) - 1;
		HOLDS(lf[-1] == '\r' && n > 0 && n <= 998);
		if (at > 0)
			HOLDS(n > 8 && strspn(text + at, " ") == 8);
		HOLDS(n <= 78 || memchr(text + at + 8, ' ', n - 8) == NULL);
		HOLDS(text[at + n - 1] != ' ');
		depth = comment_depth(text + at, n, depth);
	}
	HOLDS(depth == 0);
}

START_TEST(trace)
{
	static const char	 name[] = "Received: from";
	const struct row	*row = &rows[_i];
	struct who		 who;
	char			 to[SMTP_TRACE_MAX + 1];
	size_t			 len;

	who_init(&who, row->client);
	who.facts.tls = row->tls;
	memset(to, GUARD, sizeof(to));
	len = smtp_identity_trace(to, &who.facts, row->helo, row->is_esmtp,
	    row->is_utf8, 3, 5000);
	ck_assert_int_eq(to[len], GUARD);
	to[len] = '\0';
	ck_assert_mem_eq(to, name, sizeof(name) - 1);
	ck_assert_str_eq(to + sizeof(name) - 1, row->want);
	check_shape(to, len);
}
END_TEST

/* Every octet in each place of a HELO and of a subject. */
START_TEST(octets)
{
	struct who	who;
	char		to[SMTP_TRACE_MAX], name[4] = "abc";
	size_t		len, place;
	int		c;

	who_init(&who, "192.0.2.1");
	for (c = 1; c < 256; c++) {
		for (place = 0; place < 3; place++) {
			memcpy(name, "abc", 4);
			name[place] = (char)c;
			who.facts.tls = (struct smtp_tls_facts)TLS(name, 1);
			len = smtp_identity_trace(to, &who.facts, name, 1, 0,
			    3, 5000);
			check_shape(to, len);
			HOLDS(memchr(to, '"', len) != NULL);
		}
	}
}
END_TEST

/* As much as each part can be: nothing is left out at the end. */
START_TEST(longest)
{
	static const char	end[] = ".4294967295;" DATE;
	struct who		who;
	char			helo[1001], words[1001], to[SMTP_TRACE_MAX];
	size_t			len, i;

	memset(helo, '(', 1000);
	helo[1000] = '\0';
	for (i = 0; i < 1000; i++)
		words[i] = "a b c defghijklm nop"[i % 20];
	words[1000] = '\0';
	who_init(&who, "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
	who.facts.hostname = helo;
	who.facts.session = helo;
	who.facts.tls.protocol = helo;
	who.facts.tls.cipher = helo;
	who.facts.tls.subject = words;
	len = smtp_identity_trace(to, &who.facts, helo, 1, 1, UINT32_MAX,
	    5000);
	check_shape(to, len);
	ck_assert_mem_eq(to + len - (sizeof(end) - 1), end, sizeof(end) - 1);
	who.facts.tls.subject = helo;
	len = smtp_identity_trace(to, &who.facts, helo, 1, 1, UINT32_MAX,
	    5000);
	check_shape(to, len);
	ck_assert_mem_eq(to + len - (sizeof(end) - 1), end, sizeof(end) - 1);
}
END_TEST

/* From another program. */
static const struct date_row {
	int64_t		 start_s;
	int64_t		 start_ms;
	int64_t		 now_ms;
	const char	*want;
} date_rows[] = {
	{ 0, 0, 0, "Thu, 01 Jan 1970 00:00:00 +0000" },
	{ 0, 0, 999, "Thu, 01 Jan 1970 00:00:00 +0000" },
	{ 0, 0, 1000, "Thu, 01 Jan 1970 00:00:01 +0000" },
	{ 86399, 0, 0, "Thu, 01 Jan 1970 23:59:59 +0000" },
	{ 86399, 7, 1007, "Fri, 02 Jan 1970 00:00:00 +0000" },
	{ 5097599, 0, 0, "Sat, 28 Feb 1970 23:59:59 +0000" },
	{ 5097600, 0, 0, "Sun, 01 Mar 1970 00:00:00 +0000" },
	{ 31535999, 0, 0, "Thu, 31 Dec 1970 23:59:59 +0000" },
	{ 31536000, 0, 0, "Fri, 01 Jan 1971 00:00:00 +0000" },
	{ 68169600, 0, 0, "Tue, 29 Feb 1972 00:00:00 +0000" },
	{ 68256000, 0, 0, "Wed, 01 Mar 1972 00:00:00 +0000" },
	{ 94694399, 0, 0, "Sun, 31 Dec 1972 23:59:59 +0000" },
	{ 94694400, 0, 0, "Mon, 01 Jan 1973 00:00:00 +0000" },
	{ 951782400, 0, 0, "Tue, 29 Feb 2000 00:00:00 +0000" },
	{ 951868800, 0, 0, "Wed, 01 Mar 2000 00:00:00 +0000" },
	{ 978307199, 0, 0, "Sun, 31 Dec 2000 23:59:59 +0000" },
	{ 1000000000, 0, 0, "Sun, 09 Sep 2001 01:46:40 +0000" },
	{ 1709251199, 0, 0, "Thu, 29 Feb 2024 23:59:59 +0000" },
	{ 1795537565, 5000, 5000, "Tue, 24 Nov 2026 16:26:05 +0000" },
	{ 1795537565, 5000, 605000, "Tue, 24 Nov 2026 16:36:05 +0000" },
	{ 2147483648, 0, 0, "Tue, 19 Jan 2038 03:14:08 +0000" },
	{ 4107542399, 0, 0, "Sun, 28 Feb 2100 23:59:59 +0000" },
	{ 4107542400, 0, 0, "Mon, 01 Mar 2100 00:00:00 +0000" },
	{ 253402300799, 0, 0, "Fri, 31 Dec 9999 23:59:59 +0000" },
	/* What no clock says: still a date, and still of this length. */
	{ 253402300799, 0, 1000, "Fri, 31 Dec 9999 23:59:59 +0000" },
	{ INT64_MAX, 0, 0, "Fri, 31 Dec 9999 23:59:59 +0000" },
	{ INT64_MAX, INT64_MIN, INT64_MAX, "Fri, 31 Dec 9999 23:59:59 +0000" },
	{ 0, INT64_MIN, INT64_MAX, "Fri, 31 Dec 9999 23:59:59 +0000" },
	{ INT64_MIN, 0, 0, "Thu, 01 Jan 1970 00:00:00 +0000" },
	{ -1, 0, 0, "Thu, 01 Jan 1970 00:00:00 +0000" },
	{ 1000, INT64_MAX, INT64_MIN, "Thu, 01 Jan 1970 00:16:40 +0000" },
	{ 1000, 5000, 4000, "Thu, 01 Jan 1970 00:16:40 +0000" },
};

START_TEST(date)
{
	const struct date_row	*row = &date_rows[_i];
	struct who		 who;
	char			 to[SMTP_TRACE_MAX];
	size_t			 len;

	who_init(&who, "192.0.2.1");
	who.facts.start_s = row->start_s;
	who.facts.start_ms = row->start_ms;
	len = smtp_identity_trace(to, &who.facts, "mx", 1, 0, 3, row->now_ms);
	to[len - 2] = '\0';
	ck_assert_uint_gt(len, 33);
	ck_assert_str_eq(to + len - 33, row->want);
}
END_TEST

/* SIZE is raised before the message's time is known. */
START_TEST(same_length)
{
	struct who	who;
	char		to[SMTP_TRACE_MAX];
	size_t		first, len;
	int64_t		now_ms = 0, step;

	who_init(&who, "192.0.2.1");
	who.facts.start_ms = 0;
	first = smtp_identity_trace(to, &who.facts, "mx", 1, 0, 3, 0);
	for (step = 1; step < INT64_MAX / 3; step = step * 3 + 1) {
		now_ms += step;
		len = smtp_identity_trace(to, &who.facts, "mx", 1, 0, 3,
		    now_ms);
		ck_assert_uint_eq(len, first);
	}
}
END_TEST

int
main(void)
{
	Suite	*suite = suite_create("smtp_identity_trace");
	TCase	*tcase = tcase_create("smtp_identity_trace");
	SRunner	*runner = srunner_create(suite);
	int	 failed;

	tcase_add_loop_test(tcase, trace, 0, (int)NROWS(rows));
	tcase_add_test(tcase, octets);
	tcase_add_test(tcase, longest);
	tcase_add_loop_test(tcase, date, 0, (int)NROWS(date_rows));
	tcase_add_test(tcase, same_length);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
