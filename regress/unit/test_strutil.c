/*
 * Tests of common/strutil.c: every octet and every size of the output, since
 * peers choose the first and line ends depend on the second.
 */
#include <check.h>
#include <stdio.h>
#include <string.h>

#include "../../common/strutil.h"

#define NROWS(a)	(sizeof(a) / sizeof((a)[0]))
#define GUARD		0x5a

START_TEST(escape)
{
	static const struct {
		const char	*in;
		size_t		 len;
		size_t		 size;
		const char	*text;
		const char	*line;	/* by str_escape_line() */
	} rows[] = {
		{ "",		0, 16, "",		"" },
		{ "abc XYZ~!",	9, 16, "abc XYZ~!",	"abc XYZ~!" },
		{ "a\"b",	3, 16, "a\"b",		"a\"b" },
		{ "a\\b",	3, 16, "a\\\\b",	"a\\b" },
		{ "\\x0a",	4, 16, "\\\\x0a",	"\\x0a" },
		{ "a\r\nb",	4, 16, "a\\x0d\\x0ab",	"a\\x0d\\x0ab" },
		{ "\0",		1, 16, "\\x00",		"\\x00" },
		{ "\177\200\377", 3, 16, "\\x7f\\x80\\xff",
		    "\\x7f\\x80\\xff" },
		{ "\t",		1, 5, "\\x09",		"\\x09" },
		{ "\t",		1, 4, "...",		"..." },
		{ "\t",		1, 3, "..",		".." },
		{ "abcdef",	6, 7, "abcdef",		"abcdef" },
		{ "abcdefg",	7, 7, "abc...",		"abc..." },
		{ "ab\tdefg",	7, 7, "ab...",		"ab..." },
		{ "a\\\\\\\\g",	6, 7, "a\\\\...",	"a\\\\\\\\g" },
		{ "abcd",	4, 4, "...",		"..." },
		{ "abcd",	4, 3, "..",		".." },
		{ "abcd",	4, 2, ".",		"." },
		{ "abcd",	4, 1, "",		"" },
		{ "a",		1, 2, "a",		"a" },
	};
	char	to[32];
	size_t	i;

	for (i = 0; i < NROWS(rows); i++) {
		ck_assert_uint_eq(str_escape(to, rows[i].size, rows[i].in,
		    rows[i].len), strlen(rows[i].text));
		ck_assert_str_eq(to, rows[i].text);
		ck_assert_uint_eq(str_escape_line(to, rows[i].size,
		    rows[i].in, rows[i].len), strlen(rows[i].line));
		ck_assert_str_eq(to, rows[i].line);
	}
	to[0] = GUARD;
	ck_assert_uint_eq(str_escape(to, 0, "abc", 3), 0);
	ck_assert_uint_eq(str_escape_line(to, 0, "abc", 3), 0);
	ck_assert_int_eq(to[0], GUARD);
	ck_assert_uint_eq(str_escape(to, 4, NULL, 0), 0);
}
END_TEST

/* What stands in `to` is `size` octets at most, printable and terminated. */
static void
check_output(const char *to, size_t size, size_t room)
{
	size_t	i, len;
	int	is_good = 1;	/* an assertion for each octet takes minutes */

	for (i = size; i < room; i++)
		is_good &= to[i] == GUARD;
	if (size > 0) {
		len = strnlen(to, size);
		is_good &= len < size;
		for (i = 0; i < len; i++)
			is_good &= to[i] >= 0x20 && to[i] <= 0x7e;
	}
	ck_assert_msg(is_good, "size %zu", size);
}

START_TEST(every_octet_every_size)
{
	uint8_t	in[256];
	char	to[1100], whole[1100];
	size_t	i, size, len;

	for (i = 0; i < sizeof(in); i++)
		in[i] = (uint8_t)(255 - i);
	(void)str_escape(whole, sizeof(whole), in, sizeof(in));
	for (size = 0; size <= sizeof(to); size++) {
		memset(to, GUARD, sizeof(to));
		len = str_escape(to, size, in, sizeof(in));
		check_output(to, size, sizeof(to));
		ck_assert(size == 0 || len == strlen(to));
		/* A cut one is the beginning of the whole, and dots. */
		if (len >= 3 && len < strlen(whole)) {
			ck_assert_str_eq(to + len - 3, "...");
			ck_assert_mem_eq(to, whole, len - 3);
		}
		memset(to, GUARD, sizeof(to));
		(void)str_escape_line(to, size, in, sizeof(in));
		check_output(to, size, sizeof(to));
	}
}
END_TEST

START_TEST(pair)
{
	static const struct {
		const char	*value;
		size_t		 len;
		const char	*want;
	} rows[] = {
		{ "a",		1,	"x k=a" },
		{ "a.b@c",	5,	"x k=a.b@c" },
		{ "<a@b>",	5,	"x k=<a@b>" },
		{ "",		0,	"x k=\"\"" },
		{ "a b",	3,	"x k=\"a b\"" },
		{ "a=b",	3,	"x k=\"a=b\"" },
		{ "a\"b",	3,	"x k=\"a\\x22b\"" },
		{ "a\\b",	3,	"x k=\"a\\\\b\"" },
		{ "\\",		1,	"x k=\"\\\\\"" },
		{ "a\nk2=v",	6,	"x k=\"a\\x0ak2=v\"" },
		{ "a\0b",	3,	"x k=\"a\\x00b\"" },
		{ "\xc3\xa9",	2,	"x k=\"\\xc3\\xa9\"" },
	};
	char	line[64];
	size_t	i;

	for (i = 0; i < NROWS(rows); i++) {
		(void)strlcpy(line, "x", sizeof(line));
		str_add_pair(line, sizeof(line), "k", rows[i].value,
		    rows[i].len);
		ck_assert_str_eq(line, rows[i].want);
	}
	str_add_pair_str(line, sizeof(line), "s", "two words");
	str_add_pair_u64(line, sizeof(line), "n", UINT64_MAX);
	str_add_pair_u64(line, sizeof(line), "z", 0);
	ck_assert_str_eq(line, "x k=\"\\xc3\\xa9\" s=\"two words\""
	    " n=18446744073709551615 z=0");
	line[0] = '\0';
	str_add_pair_str(line, sizeof(line), "k", "v");
	ck_assert_str_eq(line, " k=v");
}
END_TEST

/* All sizes: terminated, within bounds, no quote left open, no escape cut. */
START_TEST(pair_every_size)
{
	static const char	*values[] = { "", "abc", "a b c d e f g h",
	    "\"\"\"\"\"\"", "\\\\\\\\\\\\", "\n\n\n\n", "abcdefghijklmnop" };
	char			 line[80];
	size_t			 i, j, size, nquotes;

	for (i = 0; i < NROWS(values); i++)
		for (size = 2; size < sizeof(line); size++) {
			memset(line, GUARD, sizeof(line));
			line[0] = 'x';
			line[1] = '\0';
			str_add_pair_str(line, size, "key", values[i]);
			check_output(line, size, sizeof(line));
			nquotes = 0;
			for (j = 0; line[j] != '\0'; j++)
				nquotes += line[j] == '"';
			ck_assert_uint_eq(nquotes % 2, 0);
			if (line[1] != '\0')
				ck_assert(strncmp(line, "x key=", 6) == 0 &&
				    line[6] != '\0');
		}
	/* A line that is full, or not terminated, stays as it is. */
	memset(line, 'x', sizeof(line));
	str_add_pair_str(line, 10, "k", "v");
	ck_assert_int_eq(line[9], 'x');
	str_add_pair_str(line, 0, "k", "v");
	ck_assert_int_eq(line[0], 'x');
	line[0] = '\0';
	str_add_pair_str(line, 1, "k", "v");
	ck_assert_str_eq(line, "");
	str_add_pair_str(line, 4, "k", "v");
	ck_assert_str_eq(line, "");
	str_add_pair_str(line, 5, "k", "v");
	ck_assert_str_eq(line, " k=v");
}
END_TEST

START_TEST(cut_pair)
{
	static const struct {
		const char	*value;
		size_t		 size;
		const char	*want;
	} rows[] = {
		{ "abcdefgh",	12,	" k=abcdefgh" },
		{ "abcdefgh",	11,	" k=abcd..." },
		{ "abcdefgh",	5,	" k=." },
		{ "abcdefgh",	4,	"" },
		{ "a bcdefg",	14,	" k=\"a bcdefg\"" },
		{ "a bcdefg",	13,	" k=\"a bc...\"" },
		{ "a bcdefg",	7,	" k=\".\"" },
		{ "a bcdefg",	6,	"" },
		{ "",		7,	" k=\"\"" },
		{ "a\n\n",	14,	" k=\"a\\x0a...\"" },
		{ "a\n\n",	13,	" k=\"a...\"" },
	};
	char	line[32];
	size_t	i;

	for (i = 0; i < NROWS(rows); i++) {
		line[0] = '\0';
		str_add_pair_str(line, rows[i].size, "k", rows[i].value);
		ck_assert_str_eq(line, rows[i].want);
	}
}
END_TEST

START_TEST(nocase)
{
	static const struct {
		const char	*a;
		size_t		 len;
		const char	*b;
		int		 want;
	} rows[] = {
		{ "EHLO",	4, "ehlo",	1 },
		{ "eHlO",	4, "EhLo",	1 },
		{ "",		0, "",		1 },
		{ "EHLO",	3, "EHLO",	0 },
		{ "EHL",	3, "EHLO",	0 },
		{ "EHLO ",	5, "EHLO",	0 },
		{ "EH\0O",	4, "EH",	0 },
		{ "EH\0O",	2, "EH",	1 },
		{ "[",		1, "{",		0 },	/* 0x5b, 0x7b */
		{ "@",		1, "`",		0 },
		{ "\xc4",	1, "\xe4",	0 },	/* no Latin-1 */
		{ "1-_",	3, "1-_",	1 },
	};
	size_t	i;

	for (i = 0; i < NROWS(rows); i++)
		ck_assert_msg(str_is_equal_nocase(rows[i].a, rows[i].len,
		    rows[i].b) == rows[i].want, "row %zu", i);
}
END_TEST

START_TEST(number)
{
	static const struct {
		const char	*in;
		uint64_t	 max;
		int		 rc;
		uint64_t	 want;
	} rows[] = {
		{ "0",		10,		0,	0 },
		{ "10",		10,		0,	10 },
		{ "11",		10,		-1,	0 },
		{ "100",	10,		-1,	0 },
		{ "0",		0,		0,	0 },
		{ "1",		0,		-1,	0 },
		{ "000000000000000000000000000007", 10, 0, 7 },
		{ "18446744073709551615", UINT64_MAX, 0, UINT64_MAX },
		{ "18446744073709551616", UINT64_MAX, -1, 0 },
		{ "99999999999999999999", UINT64_MAX, -1, 0 },
		{ "9223372036854775807", INT64_MAX, 0, INT64_MAX },
		{ "9223372036854775808", INT64_MAX, -1, 0 },
		{ "",		10,		-1,	0 },
		{ "-1",		10,		-1,	0 },
		{ "+1",		10,		-1,	0 },
		{ " 1",		10,		-1,	0 },
		{ "1 ",		10,		-1,	0 },
		{ "1a",		10,		-1,	0 },
		{ "0x1",	10,		-1,	0 },
		{ "1/",		10,		-1,	0 },	/* '0' - 1 */
		{ "1:",		10,		-1,	0 },	/* '9' + 1 */
		{ "\xb2",	10,		-1,	0 },
	};
	uint64_t	v;
	size_t		i;

	for (i = 0; i < NROWS(rows); i++) {
		v = 77;
		ck_assert_msg(str_to_u64(rows[i].in, strlen(rows[i].in),
		    rows[i].max, &v) == rows[i].rc, "%s", rows[i].in);
		ck_assert_uint_eq(v, rows[i].rc == 0 ? rows[i].want : 77);
	}
	ck_assert_int_eq(str_to_u64("12x", 2, 99, &v), 0);
	ck_assert_uint_eq(v, 12);
	ck_assert_int_eq(str_to_u64("1\0", 2, 99, &v), -1);
	ck_assert_int_eq(str_to_u64(NULL, 0, 99, &v), -1);
}
END_TEST

#define L63	"a234567890123456789012345678901" \
		"23456789012345678901234567890123"

START_TEST(hostname)
{
	static const struct {
		const char	*in;
		int		 want;
	} rows[] = {
		{ "a",				1 },
		{ "localhost",			1 },
		{ "mail.example.org",		1 },
		{ "MAIL.Example.ORG",		1 },
		{ "3com.example",		1 },
		{ "a-b.c--d",			1 },
		{ "_dmarc.example",		1 },
		{ "1.2.3.4a",			1 },
		{ "xn--bcher-kva.example",	1 },
		{ L63,				1 },
		{ L63 "x",			0 },
		{ L63 "." L63 "." L63 "."	/* 192 and 61: 253 */
		    "a234567890123456789012345678901234567890123456789012345"
		    "678901",			1 },
		{ L63 "." L63 "." L63 "."	/* 254 */
		    "a234567890123456789012345678901234567890123456789012345"
		    "6789012",			0 },
		{ "",				0 },
		{ ".",				0 },
		{ "a.",				0 },
		{ ".a",				0 },
		{ "a..b",			0 },
		{ "-a",				0 },
		{ "a-",				0 },
		{ "a-.b",			0 },
		{ "a.-b",			0 },
		{ "-",				0 },
		{ "192.0.2.1",			0 },
		{ "192.0.2.300",		0 },
		{ "25",				0 },
		{ "a b",			0 },
		{ "a/b",			0 },
		{ "a:b",			0 },
		{ "[::1]",			0 },
		{ "b\xc3\xbc" "cher.example",	0 },
		{ "a\nb",			0 },
	};
	size_t	i;

	for (i = 0; i < NROWS(rows); i++)
		ck_assert_msg(str_is_hostname(rows[i].in) == rows[i].want,
		    "%s", rows[i].in);
}
END_TEST

int
main(void)
{
	Suite	*s = suite_create("strutil");
	TCase	*tc = tcase_create("strutil");
	SRunner	*sr;
	int	 nfailed;

	tcase_add_test(tc, escape);
	tcase_add_test(tc, every_octet_every_size);
	tcase_add_test(tc, pair);
	tcase_add_test(tc, pair_every_size);
	tcase_add_test(tc, cut_pair);
	tcase_add_test(tc, nocase);
	tcase_add_test(tc, number);
	tcase_add_test(tc, hostname);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	nfailed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return nfailed == 0 ? 0 : 1;
}
