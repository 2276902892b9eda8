/*
 * Tests of common/addr.c: texts in and out, blocks, predicates.
 */
#include <sys/socket.h>
#include <netinet/in.h>
#include <arpa/inet.h>

#include <check.h>
#include <stdio.h>
#include <string.h>

#include "../../common/addr.h"

#define NROWS(a)	(sizeof(a) / sizeof((a)[0]))

static struct addr
addr_of(const char *s, uint16_t port)
{
	struct addr	a;

	ck_assert_msg(addr_parse(&a, s) == 0, "%s", s);
	a.port = port;
	return a;
}

START_TEST(parse)
{
	static const struct {
		const char	*in;
		const char	*out;		/* NULL: no address */
	} rows[] = {
		{ "192.0.2.1",		"192.0.2.1" },
		{ "0.0.0.0",		"0.0.0.0" },
		{ "255.255.255.255",	"255.255.255.255" },
		{ "2001:db8::1",	"2001:db8::1" },
		{ "2001:DB8:0:0:0:0:0:1", "2001:db8::1" },
		{ "::",			"::" },
		{ "::1",		"::1" },
		{ "::ffff:192.0.2.1",	"::ffff:192.0.2.1" },
		{ "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
		    "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff" },
		{ "ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255",
		    "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff" },
		{ "fe80::1%7",		"fe80::1%7" },
		{ "fe80::1%4294967295",	"fe80::1%4294967295" },
		{ "fe80::1%lo",		"fe80::1%1" },
		{ "",			NULL },
		{ "192.0.2",		NULL },
		{ "192.0.2.256",	NULL },
		{ "192.0.2.01",		NULL },
		{ "192.0.2.1.",		NULL },
		{ " 192.0.2.1",		NULL },
		{ "192.0.2.1 ",		NULL },
		{ "0x7f.1",		NULL },
		{ "2130706433",		NULL },
		{ "192.0.2.1%1",	NULL },
		{ "2001:db8::1::",	NULL },
		{ "2001:db8:1",		NULL },
		{ ":::",		NULL },
		{ "[::1]",		NULL },
		{ "::1/128",		NULL },
		{ "fe80::1%",		NULL },
		{ "fe80::1%0",		NULL },
		{ "fe80::1%4294967296",	NULL },
		{ "fe80::1%no-such-interface-here", NULL },
		{ "fe80::1%-1",		NULL },
		{ "localhost",		NULL },
		{ "1111:1111:1111:1111:1111:1111:1111:1111:1111:1111", NULL },
	};
	struct addr	a;
	char		text[ADDR_TEXT_MAX];
	size_t		i;

	for (i = 0; i < NROWS(rows); i++) {
		memset(&a, 0xff, sizeof(a));
		if (strcmp(rows[i].in, "fe80::1%lo") == 0 &&
		    addr_parse(&a, rows[i].in) == -1)
			continue;	/* an interface of another name */
		if (rows[i].out == NULL) {
			ck_assert_msg(addr_parse(&a, rows[i].in) == -1, "%s",
			    rows[i].in);
			ck_assert_int_eq(a.family, 0);
			continue;
		}
		ck_assert_msg(addr_parse(&a, rows[i].in) == 0, "%s",
		    rows[i].in);
		ck_assert_uint_eq(a.port, 0);
		ck_assert_ptr_eq(addr_text_host(&a, text), text);
		ck_assert_str_eq(text, rows[i].out);
		ck_assert_str_eq(addr_text(&a, text), rows[i].out);
	}
}
END_TEST

START_TEST(print)
{
	static const struct {
		const char	*in;
		uint16_t	 port;
		const char	*out;
	} rows[] = {
		{ "192.0.2.1",		25,	"192.0.2.1:25" },
		{ "255.255.255.255",	65535,	"255.255.255.255:65535" },
		{ "2001:db8::1",	25,	"[2001:db8::1]:25" },
		{ "fe80::1%4",		1,	"[fe80::1%4]:1" },
		{ "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff%4294967295",
		    65535,
		    "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff%4294967295]:65535"
		},
	};
	struct addr	a;
	char		text[ADDR_TEXT_MAX];
	size_t		i;

	for (i = 0; i < NROWS(rows); i++) {
		a = addr_of(rows[i].in, rows[i].port);
		ck_assert_str_eq(addr_text(&a, text), rows[i].out);
		ck_assert_str_eq(addr_text_host(&a, text), rows[i].in);
	}
	memset(&a, 0, sizeof(a));
	a.port = 25;
	ck_assert_str_eq(addr_text(&a, text), "none");
	ck_assert_str_eq(addr_text_host(&a, text), "none");
	a.family = 200;
	ck_assert_str_eq(addr_text(&a, text), "none");
}
END_TEST

START_TEST(block)
{
	static const struct {
		const char	*in;
		int		 length;	/* -1: no block */
	} rows[] = {
		{ "192.0.2.0/24",	24 },
		{ "192.0.2.1",		32 },
		{ "192.0.2.1/32",	32 },
		{ "0.0.0.0/0",		0 },
		{ "128.0.0.0/1",	1 },
		{ "192.0.2.128/25",	25 },
		{ "::/0",		0 },
		{ "2001:db8::/32",	32 },
		{ "2001:db8::1",	128 },
		{ "2001:db8::fffe/127",	127 },
		{ "fe80::%4/10",	10 },
		{ "192.0.2.1/24",	-1 },
		{ "192.0.2.128/24",	-1 },
		{ "2001:db8::1/127",	-1 },
		{ "8000::/0",		-1 },
		{ "192.0.2.0/33",	-1 },
		{ "::/129",		-1 },
		{ "::/256",		-1 },
		{ "192.0.2.0/",		-1 },
		{ "192.0.2.0/+24",	-1 },
		{ "192.0.2.0/-1",	-1 },
		{ "192.0.2.0/24 ",	-1 },
		{ "192.0.2.0/24/24",	-1 },
		{ "/24",		-1 },
		{ "",			-1 },
		{ "name/24",		-1 },
		{ "0123456789012345678901234567890123456789"
		    "0123456789012345678901234567890123456789/1", -1 },
	};
	struct addr_block	b;
	size_t			i;

	for (i = 0; i < NROWS(rows); i++) {
		memset(&b, 0xff, sizeof(b));
		if (rows[i].length == -1) {
			ck_assert_msg(addr_block_parse(&b, rows[i].in) == -1,
			    "%s", rows[i].in);
			ck_assert_int_eq(b.net.family, 0);
			continue;
		}
		ck_assert_msg(addr_block_parse(&b, rows[i].in) == 0, "%s",
		    rows[i].in);
		ck_assert_int_eq(b.length, rows[i].length);
	}
}
END_TEST

START_TEST(block_has)
{
	static const struct {
		const char	*block;
		const char	*addr;
		int		 want;
	} rows[] = {
		{ "192.0.2.0/24",	"192.0.2.0",		1 },
		{ "192.0.2.0/24",	"192.0.2.255",		1 },
		{ "192.0.2.0/24",	"192.0.3.0",		0 },
		{ "192.0.2.0/24",	"192.0.1.255",		0 },
		{ "192.0.2.128/25",	"192.0.2.127",		0 },
		{ "192.0.2.128/25",	"192.0.2.128",		1 },
		{ "192.0.2.6/31",	"192.0.2.7",		1 },
		{ "192.0.2.6/31",	"192.0.2.8",		0 },
		{ "192.0.2.6",		"192.0.2.6",		1 },
		{ "192.0.2.6",		"192.0.2.7",		0 },
		{ "0.0.0.0/0",		"255.255.255.255",	1 },
		{ "128.0.0.0/1",	"127.255.255.255",	0 },
		{ "128.0.0.0/1",	"200.0.0.1",		1 },
		{ "0.0.0.0/0",		"::",			0 },
		{ "::/0",		"0.0.0.0",		0 },
		{ "::/0",		"2001:db8::1",		1 },
		{ "::/0",		"fe80::1%3",		1 },
		{ "2001:db8::/33",	"2001:db8:7fff::1",	1 },
		{ "2001:db8::/33",	"2001:db8:8000::1",	0 },
		{ "2001:db8::1",	"2001:db8::1",		1 },
		{ "2001:db8::1",	"2001:db8::2",		0 },
		{ "fe80::%4/10",	"fe80::1%4",		1 },
		{ "fe80::%4/10",	"fe80::1%5",		0 },
		{ "192.0.2.0/24",	"::ffff:192.0.2.1",	0 },
	};
	struct addr_block	b;
	struct addr		a;
	size_t			i;

	for (i = 0; i < NROWS(rows); i++) {
		ck_assert_int_eq(addr_block_parse(&b, rows[i].block), 0);
		a = addr_of(rows[i].addr, 25);
		ck_assert_msg(addr_block_has(&b, &a) == rows[i].want,
		    "%s %s", rows[i].block, rows[i].addr);
	}
	memset(&a, 0, sizeof(a));
	ck_assert(!addr_block_has(&b, &a));
	memset(&b, 0, sizeof(b));
	ck_assert(!addr_block_has(&b, &a));
}
END_TEST

START_TEST(predicates)
{
	static const struct {
		const char	*addr;
		int		 is_unspecified, is_loopback, is_multicast;
	} rows[] = {
		{ "0.0.0.0",		1, 0, 0 },
		{ "0.0.0.1",		0, 0, 0 },
		{ "127.0.0.1",		0, 1, 0 },
		{ "127.255.255.254",	0, 1, 0 },
		{ "126.255.255.255",	0, 0, 0 },
		{ "128.0.0.1",		0, 0, 0 },
		{ "223.255.255.255",	0, 0, 0 },
		{ "224.0.0.1",		0, 0, 1 },
		{ "239.255.255.255",	0, 0, 1 },
		{ "240.0.0.1",		0, 0, 0 },
		{ "255.255.255.255",	0, 0, 1 },
		{ "255.255.255.254",	0, 0, 0 },
		{ "::",			1, 0, 0 },
		{ "::1",		0, 1, 0 },
		{ "::2",		0, 0, 0 },
		{ "ff02::1",		0, 0, 1 },
		{ "fe80::1",		0, 0, 0 },
		{ "::ffff:0.0.0.0",	1, 0, 0 },
		{ "::ffff:127.0.0.1",	0, 1, 0 },
		{ "::ffff:224.0.0.1",	0, 0, 1 },
		{ "::ffff:192.0.2.1",	0, 0, 0 },
		{ "7f00:1::",		0, 0, 0 },
		{ "e000::",		0, 0, 0 },
	};
	struct addr	a;
	size_t		i;

	for (i = 0; i < NROWS(rows); i++) {
		a = addr_of(rows[i].addr, 25);
		ck_assert_msg(addr_is_unspecified(&a) ==
		    rows[i].is_unspecified, "%s", rows[i].addr);
		ck_assert_msg(addr_is_loopback(&a) == rows[i].is_loopback,
		    "%s", rows[i].addr);
		ck_assert_msg(addr_is_multicast(&a) == rows[i].is_multicast,
		    "%s", rows[i].addr);
	}
	memset(&a, 0, sizeof(a));
	ck_assert(addr_is_unspecified(&a));
	ck_assert(!addr_is_loopback(&a));
	ck_assert(!addr_is_multicast(&a));
}
END_TEST

START_TEST(equal)
{
	static const struct {
		const char	*a, *b;
		uint16_t	 aport, bport;
		int		 is_equal, is_same_host;
	} rows[] = {
		{ "192.0.2.1",	"192.0.2.1",	25, 25,		1, 1 },
		{ "192.0.2.1",	"192.0.2.1",	25, 26,		0, 1 },
		{ "192.0.2.1",	"192.0.2.2",	25, 25,		0, 0 },
		{ "::1",	"::1",		25, 25,		1, 1 },
		{ "fe80::1%1",	"fe80::1%2",	25, 25,		0, 0 },
		{ "0.0.0.0",	"::",		0, 0,		0, 0 },
		{ "c000:201::",	"192.0.2.1",	0, 0,		0, 0 },
	};
	struct addr	a, b;
	size_t		i;

	for (i = 0; i < NROWS(rows); i++) {
		a = addr_of(rows[i].a, rows[i].aport);
		b = addr_of(rows[i].b, rows[i].bport);
		ck_assert_int_eq(addr_is_equal(&a, &b), rows[i].is_equal);
		ck_assert_int_eq(addr_is_same_host(&a, &b),
		    rows[i].is_same_host);
	}
}
END_TEST

START_TEST(sockaddr)
{
	static const char	*rows[] = { "192.0.2.1", "2001:db8::1",
	    "fe80::1%9", "::", "0.0.0.0" };
	struct sockaddr_storage	 ss;
	struct sockaddr_in	*sin;
	struct addr		 a, b;
	socklen_t		 len;
	size_t			 i;

	for (i = 0; i < NROWS(rows); i++) {
		a = addr_of(rows[i], 2525);
		len = addr_to_sockaddr(&a, &ss);
		ck_assert_uint_eq(len, a.family == AF_INET ?
		    sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6));
		ck_assert_int_eq(addr_from_sockaddr(&b,
		    (struct sockaddr *)&ss), 0);
		ck_assert(addr_is_equal(&a, &b));
	}
	a = addr_of("192.0.2.1", 2525);
	(void)addr_to_sockaddr(&a, &ss);
	sin = (struct sockaddr_in *)&ss;
	ck_assert_uint_eq(ntohs(sin->sin_port), 2525);
	ck_assert_uint_eq(ntohl(sin->sin_addr.s_addr), 0xc0000201);

	ss.ss_family = AF_UNIX;
	ck_assert_int_eq(addr_from_sockaddr(&b, (struct sockaddr *)&ss), -1);
	ck_assert_int_eq(b.family, 0);
	ck_assert_uint_eq(addr_to_sockaddr(&b, &ss), 0);
}
END_TEST

int
main(void)
{
	Suite	*s = suite_create("addr");
	TCase	*tc = tcase_create("addr");
	SRunner	*sr;
	int	 nfailed;

	tcase_add_test(tc, parse);
	tcase_add_test(tc, print);
	tcase_add_test(tc, block);
	tcase_add_test(tc, block_has);
	tcase_add_test(tc, predicates);
	tcase_add_test(tc, equal);
	tcase_add_test(tc, sockaddr);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	nfailed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return nfailed == 0 ? 0 : 1;
}
