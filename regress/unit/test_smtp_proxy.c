/*
 * PROXY headers as they come in.  Each row is also fed octet by octet, and
 * with octets behind it: it must be judged at the same octet each time, and
 * alike.
 */

#include "../../smtpproxyd/smtp_proxy.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../smtpproxyd/smtp_identity.h"
#include "split.h"

#define NROWS(a)	(sizeof(a) / sizeof((a)[0]))
#define IN(s)		s, sizeof(s) - 1

#define MORE		PROXY_MORE, 0, 0, NULL, NULL
#define LOCAL(at)	PROXY_OK, at, 1, NULL, NULL
#define BAD(at)		PROXY_BAD, at, 0, NULL, NULL

/* Pieces of version 2; the numbers are octal, which end after three digits. */
#define SIG		"\r\n\r\n\0\r\nQUIT\n"
#define LOCAL2		SIG "\040"
#define PROXY2		SIG "\041"
#define BLOCK4		"\300\0\002\001" "\306\063\144\002" \
			"\020\222" "\0\031"
#define BLOCK6		"\040\001\015\270\0\0\0\0\0\0\0\0\0\0\0\001" \
			"\040\001\015\270\0\0\0\0\0\0\0\0\0\0\0\002" \
			"\020\222" "\0\031"
#define SIXTEEN		"xxxxxxxxxxxxxxxx"
#define HUNDRED		"0123456789012345678901234567890123456789" \
			"012345678901234567890123456789012345678901234567890" \
			"123456789"
/* Made by a table-driven CRC32C in another language. */
#define CRC_ONLY	"\126\376\321\143"
#define CRC_AMID	"\205\247\033\046"
#define CLIENT4		"192.0.2.1:4242"
#define AT4		"198.51.100.2:25"
#define CLIENT6		"[2001:db8::1]:4242"
#define AT6		"[2001:db8::2]:25"

static const struct row {
	const char		*in;
	size_t			 inlen;
	enum smtp_proxy_result	 want;
	size_t			 at;	/* octets after which it is known */
	int			 is_local;
	const char		*client;
	const char		*local;
} rows[] = {
	{ IN(""), MORE },
	{ IN("P"), MORE },
	{ IN("PROXY"), MORE },
	{ IN("PROXY TCP4 192.0.2.1 198.51.100.2 4242 25\r"), MORE },
	{ IN("PROXY TCP4 192.0.2.1 198.51.100.2 4242 25\r\n"),
	  PROXY_OK, 43, 0, CLIENT4, AT4 },
	{ IN("PROXY TCP6 2001:db8::1 2001:db8::2 4242 25\r\n"),
	  PROXY_OK, 44, 0, CLIENT6, AT6 },
	/* Section 2.1 has upper case, and all digits. */
	{ IN("PROXY TCP6 2001:DB8::1 2001:0db8:0000:0000:0000:0000:0000:0002"
	  " 4242 25\r\n"), PROXY_OK, 72, 0, CLIENT6, AT6 },
	{ IN("PROXY TCP6 ::ffff:192.0.2.1 ::1 4242 25\r\n"),
	  PROXY_OK, 41, 0, "[::ffff:192.0.2.1]:4242", "[::1]:25" },
	{ IN("PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n"),
	  PROXY_OK, 56, 0, "255.255.255.255:65535", "255.255.255.255:65535" },
	{ IN("PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
	  "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n"),
	  PROXY_OK, 104, 0, "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535",
	  "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535" },
	{ IN("PROXY TCP4 0.0.0.0 192.0.2.1 0 0\r\n"),
	  PROXY_OK, 34, 0, "0.0.0.0", "192.0.2.1" },
	{ IN("PROXY UNKNOWN\r\n"), LOCAL(15) },
	{ IN("PROXY UNKNOWN \r\n"), LOCAL(16) },
	{ IN("PROXY UNKNOWN a  b !~ 1 2 3 4\r\n"), LOCAL(31) },
	{ IN("PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
	  "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n"),
	  LOCAL(107) },

	/* None. */
	{ IN("EHLO gw.example\r\n"), BAD(1) },
	{ IN("\0"), BAD(1) },
	{ IN("\n"), BAD(1) },
	{ IN(" PROXY TCP4 192.0.2.1 198.51.100.2 4242 25\r\n"), BAD(1) },
	{ IN("proxy TCP4 192.0.2.1 198.51.100.2 4242 25\r\n"), BAD(1) },
	{ IN("PROXy TCP4 192.0.2.1 198.51.100.2 4242 25\r\n"), BAD(5) },
	{ IN("PROXY\r\n"), BAD(6) },
	{ IN("PROXY\tTCP4 192.0.2.1 198.51.100.2 4242 25\r\n"), BAD(6) },

	/* Protocols. */
	{ IN("PROXY  TCP4 192.0.2.1 198.51.100.2 4242 25\r\n"), BAD(7) },
	{ IN("PROXY \r\n"), BAD(7) },
	{ IN("PROXY tcp4 192.0.2.1 198.51.100.2 4242 25\r\n"), BAD(7) },
	{ IN("PROXY UDP4 192.0.2.1 198.51.100.2 4242 25\r\n"), BAD(8) },
	{ IN("PROXY TCP5 192.0.2.1 198.51.100.2 4242 25\r\n"), BAD(10) },
	{ IN("PROXY TCP 192.0.2.1 198.51.100.2 4242 25\r\n"), BAD(10) },
	{ IN("PROXY TCP46 192.0.2.1 198.51.100.2 4242 25\r\n"), BAD(11) },
	{ IN("PROXY TCP4\r\n"), BAD(11) },
	{ IN("PROXY TCP4  192.0.2.1 198.51.100.2 4242 25\r\n"), BAD(12) },
	{ IN("PROXY unknown\r\n"), BAD(7) },
	{ IN("PROXY UNKNOWNX\r\n"), BAD(14) },
	{ IN("PROXY UNKNOWN\n"), BAD(14) },
	{ IN("PROXY UNKNOWN\0\r\n"), BAD(14) },
	{ IN("PROXY UNKNOWN a\n\r\n"), BAD(16) },
	{ IN("PROXY UNKNOWN a\0\r\n"), BAD(16) },
	{ IN("PROXY UNKNOWN a\177\r\n"), BAD(16) },
	{ IN("PROXY UNKNOWN a\377\r\n"), BAD(16) },
	{ IN("PROXY UNKNOWN a\rb\r\n"), BAD(17) },
	{ IN("PROXY UNKNOWN\r\r\n"), BAD(15) },

	/* Addresses. */
	{ IN("PROXY TCP4 192.0.2.1 2001:db8::2 4242 25\r\n"), BAD(26) },
	{ IN("PROXY TCP4 2001:db8::1 2001:db8::2 4242 25\r\n"), BAD(16) },
	{ IN("PROXY TCP6 192.0.2.1 198.51.100.2 4242 25\r\n"), BAD(21) },
	{ IN("PROXY TCP6 2001:db8::1 198.51.100.2 4242 25\r\n"), BAD(36) },
	{ IN("PROXY TCP4 192.0.2.01 198.51.100.2 4242 25\r\n"), BAD(22) },
	{ IN("PROXY TCP4 192.0.2.256 198.51.100.2 4242 25\r\n"), BAD(23) },
	{ IN("PROXY TCP4 192.0.2 198.51.100.2 4242 25\r\n"), BAD(19) },
	{ IN("PROXY TCP4 192.0.2.1. 198.51.100.2 4242 25\r\n"), BAD(22) },
	{ IN("PROXY TCP4 3221225985 198.51.100.2 4242 25\r\n"), BAD(22) },
	{ IN("PROXY TCP4 0xc0000201 198.51.100.2 4242 25\r\n"), BAD(13) },
	{ IN("PROXY TCP4 192.0.2.1/32 198.51.100.2 4242 25\r\n"), BAD(21) },
	{ IN("PROXY TCP4 192.0.2.1\t198.51.100.2 4242 25\r\n"), BAD(21) },
	{ IN("PROXY TCP4 192.0.2.1\0 198.51.100.2 4242 25\r\n"), BAD(21) },
	{ IN("PROXY TCP4 192.0.2.1\r\n"), BAD(21) },
	{ IN("PROXY TCP4 192.0.2.1  198.51.100.2 4242 25\r\n"), BAD(22) },
	{ IN("PROXY TCP4 0192.0000.0000.0001"), BAD(27) },
	{ IN("PROXY TCP4 localhost 198.51.100.2 4242 25\r\n"), BAD(12) },
	{ IN("PROXY TCP6 fe80::1%1 2001:db8::2 4242 25\r\n"), BAD(19) },
	{ IN("PROXY TCP6 fe80::1%lo 2001:db8::2 4242 25\r\n"), BAD(19) },
	{ IN("PROXY TCP6 [2001:db8::1] 2001:db8::2 4242 25\r\n"), BAD(12) },
	{ IN("PROXY TCP6 2001:db8:::1 2001:db8::2 4242 25\r\n"), BAD(24) },
	{ IN("PROXY TCP6 2001:db8::1::2 2001:db8::2 4242 25\r\n"), BAD(26) },
	{ IN("PROXY TCP6 2001:db8::12345 2001:db8::2 4242 25\r\n"), BAD(27) },
	{ IN("PROXY TCP6 1:2:3:4:5:6:7 2001:db8::2 4242 25\r\n"), BAD(25) },
	{ IN("PROXY TCP6 1:2:3:4:5:6:7:8:9 2001:db8::2 4242 25\r\n"),
	  BAD(29) },
	{ IN("PROXY TCP6 g::1 2001:db8::2 4242 25\r\n"), BAD(12) },
	{ IN("PROXY TCP6 0000:0000:0000:0000:0000:0000:0000:0000:0000:0000"),
	  BAD(57) },

	/* Ports. */
	{ IN("PROXY TCP4 192.0.2.1 198.51.100.2 65536 25\r\n"), BAD(40) },
	{ IN("PROXY TCP4 192.0.2.1 198.51.100.2 4242 65536\r\n"), BAD(45) },
	{ IN("PROXY TCP4 192.0.2.1 198.51.100.2 042 25\r\n"), BAD(38) },
	{ IN("PROXY TCP4 192.0.2.1 198.51.100.2 4242 00\r\n"), BAD(42) },
	{ IN("PROXY TCP4 192.0.2.1 198.51.100.2 -1 25\r\n"), BAD(35) },
	{ IN("PROXY TCP4 192.0.2.1 198.51.100.2 +42 25\r\n"), BAD(35) },
	{ IN("PROXY TCP4 192.0.2.1 198.51.100.2 4242 -25\r\n"), BAD(40) },
	{ IN("PROXY TCP4 192.0.2.1 198.51.100.2 0x42 25\r\n"), BAD(36) },
	{ IN("PROXY TCP4 192.0.2.1 198.51.100.2 smtp 25\r\n"), BAD(35) },
	{ IN("PROXY TCP4 192.0.2.1 198.51.100.2 4242  25\r\n"), BAD(40) },
	{ IN("PROXY TCP4 192.0.2.1 198.51.100.2 424242 25\r\n"), BAD(40) },
	{ IN("PROXY TCP4 192.0.2.1 198.51.100.2 4242 2\0\r\n"), BAD(41) },
	{ IN("PROXY TCP4 192.0.2.1 198.51.100.2 4242\r\n"), BAD(39) },
	{ IN("PROXY TCP4 192.0.2.1 198.51.100.2 4242 \r\n"), BAD(40) },

	/* Ends. */
	{ IN("PROXY TCP4 192.0.2.1 198.51.100.2 4242 25\n"), BAD(42) },
	{ IN("PROXY TCP4 192.0.2.1 198.51.100.2 4242 25 \r\n"), BAD(42) },
	{ IN("PROXY TCP4 192.0.2.1 198.51.100.2 4242 25 x\r\n"), BAD(42) },
	{ IN("PROXY TCP4 192.0.2.1 198.51.100.2 4242 25\rx"), BAD(43) },
	{ IN("PROXY TCP4 192.0.2.1 198.51.100.2 4242 25\r\r\n"), BAD(43) },
	/* One octet too long, in each place where that can be. */
	{ IN("PROXY UNKNOWN " HUNDRED "\r\n"), BAD(107) },
	{ IN("PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255 "
	  "ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255 65535 65535\r\n"),
	  BAD(107) },
	{ IN("PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
	  "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 655355\r\n"),
	  BAD(107) },

	/* Version 2: its fixed part. */
	{ IN("\r"), MORE },
	{ IN(SIG), MORE },
	{ IN(PROXY2 "\021"), MORE },
	{ IN(PROXY2 "\021\0"), MORE },
	{ IN(PROXY2 "\021\0\014"), MORE },
	{ IN(PROXY2 "\021\0\014" "\300\000\002\001" "\306\063\144\002" "\0\1"
	  "\0"), MORE },
	{ IN(PROXY2 "\021\020\0"), MORE },
	{ IN(LOCAL2 "\0\020\0"), MORE },
	{ IN(PROXY2 "\021\0\014" BLOCK4), PROXY_OK, 28, 0, CLIENT4, AT4 },
	{ IN(PROXY2 "\041\0\044" BLOCK6), PROXY_OK, 52, 0, CLIENT6, AT6 },
	{ IN("\r\nQUIT\r\n"), BAD(3) },
	{ IN("\r\n\r\n\0\r\nQUIT\r"), BAD(12) },
	{ IN(SIG "\021"), BAD(13) },
	{ IN(SIG "\061"), BAD(13) },
	{ IN(SIG "\042"), BAD(13) },
	{ IN(SIG "\001"), BAD(13) },
	{ IN(PROXY2 "\101"), BAD(14) },
	{ IN(PROXY2 "\023"), BAD(14) },
	{ IN(PROXY2 "\377"), BAD(14) },
	{ IN(PROXY2 "\021\021"), BAD(15) },
	{ IN(PROXY2 "\021\377"), BAD(15) },
	{ IN(PROXY2 "\021\020\001"), BAD(16) },
	{ IN(LOCAL2 "\0\020\001"), BAD(16) },
	{ IN(PROXY2 "\021\0\013" BLOCK4), BAD(16) },
	{ IN(PROXY2 "\021\0\0"), BAD(16) },
	{ IN(PROXY2 "\041\0\014" BLOCK4), BAD(16) },
	{ IN(PROXY2 "\041\0\043" BLOCK6), BAD(16) },
	{ IN(PROXY2 "\022\0\013" BLOCK4), BAD(16) },
	{ IN(PROXY2 "\061\0\327"), BAD(16) },

	/* Without addresses: LOCAL's octets count for nothing. */
	{ IN(LOCAL2 "\0\0\0"), LOCAL(16) },
	{ IN(LOCAL2 "\021\0\014" BLOCK4), LOCAL(28) },
	{ IN(LOCAL2 "\021\0\003" "abc"), LOCAL(19) },
	{ IN(LOCAL2 "\377\0\003" "\003\377\377"), LOCAL(19) },
	{ IN(PROXY2 "\0\0\0"), LOCAL(16) },
	{ IN(PROXY2 "\0\0\014" BLOCK4), LOCAL(28) },
	{ IN(PROXY2 "\0\0\003" "abc"), LOCAL(19) },
	{ IN(PROXY2 "\020\0\014" BLOCK4), LOCAL(28) },
	{ IN(PROXY2 "\001\0\0"), LOCAL(16) },
	{ IN(PROXY2 "\022\0\014" BLOCK4), LOCAL(28) },
	{ IN(PROXY2 "\042\0\044" BLOCK6), LOCAL(52) },
	{ IN(PROXY2 "\061\0\330" HUNDRED HUNDRED SIXTEEN), LOCAL(232) },
	{ IN(PROXY2 "\062\0\333" HUNDRED HUNDRED SIXTEEN "\004\0\0"),
	  LOCAL(235) },
	{ IN(PROXY2 "\061\0\333" HUNDRED HUNDRED SIXTEEN "\004\0\1"),
	  BAD(235) },

	/* TLVs. */
	{ IN(PROXY2 "\021\0\017" BLOCK4 "\004\0\0"),
	  PROXY_OK, 31, 0, CLIENT4, AT4 },
	{ IN(PROXY2 "\021\0\027" BLOCK4 "\356\0\1x" "\005\0\4abcd"),
	  PROXY_OK, 39, 0, CLIENT4, AT4 },
	{ IN(PROXY2 "\041\0\050" BLOCK6 "\002\0\1x"),
	  PROXY_OK, 56, 0, CLIENT6, AT6 },
	{ IN(PROXY2 "\021\0\015" BLOCK4 "\004"), BAD(29) },
	{ IN(PROXY2 "\021\0\016" BLOCK4 "\004\0"), BAD(30) },
	{ IN(PROXY2 "\021\0\017" BLOCK4 "\004\0\1"), BAD(31) },
	{ IN(PROXY2 "\021\0\017" BLOCK4 "\004\377\377"), BAD(31) },
	{ IN(PROXY2 "\021\0\020" BLOCK4 "\004\1\1x"), BAD(32) },
	{ IN(PROXY2 "\021\0\021" BLOCK4 "\004\0\0" "\004\0"), BAD(33) },
	{ IN(PROXY2 "\022\0\017" BLOCK4 "\004\0\1"), BAD(31) },
	{ IN(PROXY2 "\041\0\047" BLOCK6 "\004\0\1"), BAD(55) },

	/* A checksum. */
	{ IN(PROXY2 "\021\0\023" BLOCK4 "\003\0\4" CRC_ONLY),
	  PROXY_OK, 35, 0, CLIENT4, AT4 },
	{ IN(PROXY2 "\021\0\031" BLOCK4 "\004\0\0" "\003\0\4" CRC_AMID
	  "\004\0\0"), PROXY_OK, 41, 0, CLIENT4, AT4 },
	{ IN(PROXY2 "\021\0\023" BLOCK4 "\003\0\4" CRC_AMID), BAD(35) },
	{ IN(PROXY2 "\021\0\023" BLOCK4 "\003\0\4\0\0\0\0"), BAD(35) },
	{ IN(PROXY2 "\021\0\022" BLOCK4 "\003\0\3\0\0\0"), BAD(34) },
	{ IN(PROXY2 "\021\0\024" BLOCK4 "\003\0\5" CRC_ONLY "\0"), BAD(36) },
	{ IN(PROXY2 "\021\0\017" BLOCK4 "\003\0\0"), BAD(31) },
	{ IN(PROXY2 "\021\0\032" BLOCK4 "\003\0\4" CRC_ONLY "\003\0\4"
	  CRC_ONLY), BAD(42) },
	{ IN(PROXY2 "\022\0\023" BLOCK4 "\003\0\4" CRC_ONLY), BAD(35) },
};

static void
check_addr(const struct addr *addr, const char *want)
{
	char	text[ADDR_TEXT_MAX];

	if (want == NULL)
		HOLDS(addr->family == 0 && addr->port == 0);
	else
		HOLDS(strcmp(addr_text(addr, text), want) == 0);
	HOLDS(addr->scope == 0);
}

static void
check_result(const struct smtp_proxy *proxy, enum smtp_proxy_result got,
    const struct row *row)
{
	HOLDS(got == row->want);
	check_addr(&proxy->client, row->client);
	check_addr(&proxy->local, row->local);
	HOLDS(proxy->is_local == row->is_local);
	HOLDS(proxy->len == (got == PROXY_OK ? row->at : 0));
	HOLDS((proxy->why != NULL) == (got == PROXY_BAD));
}

/* Parse a copy of exactly that size. */
static enum smtp_proxy_result
parse_copy(struct smtp_proxy *proxy, const char *in, size_t len)
{
	uint8_t			*copy = split_copy(in, len);
	enum smtp_proxy_result	 r;

	r = smtp_proxy_parse(proxy, copy, len);
	free(copy);
	return r;
}

/* Nothing is known before `at`, and nothing else from there on. */
START_TEST(test_rows)
{
	static const struct row	more = { NULL, 0, MORE };
	const struct row	*row = &rows[_i];
	struct smtp_proxy	 proxy;
	size_t			 n;

	for (n = 0; n <= row->inlen; n++)
		check_result(&proxy, parse_copy(&proxy, row->in, n),
		    n < row->at || row->at == 0 ? &more : row);
	ck_assert_uint_le(row->at, row->inlen);
}
END_TEST

/* What stands behind a header is not the header's. */
START_TEST(test_behind)
{
	static const char *const	behind[] = {
		"EHLO x\r\n", "\r\n", "PROXY TCP4 ", "\026\003\001"
	};
	const struct row		*row = &rows[_i];
	struct smtp_proxy		 proxy;
	char				 in[512];
	size_t				 i, n;

	if (row->want != PROXY_OK)
		return;
	memcpy(in, row->in, row->inlen);
	for (i = 0; i < NROWS(behind); i++) {
		n = strlen(behind[i]);
		memcpy(in + row->inlen, behind[i], n);
		check_result(&proxy, parse_copy(&proxy, in, row->inlen + n),
		    row);
	}
}
END_TEST

/* As long as it may be, and one octet more. */
START_TEST(test_longest)
{
	static const uint8_t	head[] = SIG "\041\021\020\0" BLOCK4;
	static uint8_t		in[SMTP_PROXY_HEADER_MAX + 1];
	struct smtp_proxy	proxy;
	size_t			left;

	memcpy(in, head, sizeof(head) - 1);
	left = SMTP_PROXY_HEADER_MAX - (sizeof(head) - 1) - 3;
	in[28] = 0x04;
	in[29] = (uint8_t)(left >> 8);
	in[30] = (uint8_t)(left & 0xff);
	ck_assert_int_eq(smtp_proxy_parse(&proxy, in, sizeof(in) - 2),
	    PROXY_MORE);
	ck_assert_int_eq(smtp_proxy_parse(&proxy, in, sizeof(in)), PROXY_OK);
	ck_assert_uint_eq(proxy.len, SMTP_PROXY_HEADER_MAX);
	in[15]++;
	ck_assert_int_eq(smtp_proxy_parse(&proxy, in, sizeof(in)), PROXY_BAD);
}
END_TEST

/* One bit of a header with a checksum turned over is seen, wherever. */
START_TEST(test_bits)
{
	static const char	good[] = PROXY2 "\021\0\031" BLOCK4 "\004\0\0"
				    "\003\0\4" CRC_AMID "\004\0\0";
	struct smtp_proxy	proxy;
	uint8_t			in[sizeof(good) - 1];
	size_t			bit, at;

	for (bit = 0; bit < 8 * sizeof(in); bit++) {
		memcpy(in, good, sizeof(in));
		in[bit / 8] ^= (uint8_t)(1U << bit % 8);
		at = bit / 8;
		/* What makes it another header, or one without a checksum. */
		if (at == 12 || at == 13 || at == 14 || at == 15 ||
		    (at >= 28 && at <= 33))
			continue;
		HOLDS(smtp_proxy_parse(&proxy, in, sizeof(in)) == PROXY_BAD);
	}
}
END_TEST

static const struct ends {
	const char	*client;
	uint16_t	 client_port;
	const char	*local;
	uint16_t	 local_port;
	const char	*want_client;	/* where it is another text */
	const char	*want_local;
} ends[] = {
	{ "192.0.2.1", 4242, "198.51.100.2", 25, NULL, NULL },
	{ "0.0.0.0", 0, "255.255.255.255", 65535, NULL, NULL },
	{ "2001:db8::1", 1, "2001:db8::2", 465, NULL, NULL },
	{ "::", 65535, "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 0,
	  NULL, NULL },
	{ "fe80::1%7", 4242, "fe80::2%7", 25, "fe80::1", "fe80::2" },
	{ "192.0.2.1", 4242, "2001:db8::2", 25, "::ffff:192.0.2.1", NULL },
	{ "2001:db8::1", 4242, "192.0.2.2", 25, NULL, "::ffff:192.0.2.2" },
};

static void
read_addr(struct addr *addr, const char *text, uint16_t port)
{
	ck_assert_int_eq(addr_parse(addr, text), 0);
	addr->port = port;
}

/* What the other side of this engine writes, with and without TLS facts. */
START_TEST(test_round_trip)
{
	const struct ends		*row = &ends[_i];
	struct addr			 client, local;
	struct smtp_identity_facts	 facts = { 0 };
	struct smtp_proxy		 proxy;
	uint8_t				 out[SMTP_PROXY_MAX];
	size_t				 len;
	int				 way;

	facts.client = &client;
	facts.local = &local;
	for (way = 0; way < 3; way++) {
		read_addr(&client, row->client, row->client_port);
		read_addr(&local, row->local, row->local_port);
		facts.tls.protocol = way == 2 ? "TLSv1.3" : NULL;
		facts.tls.sni = "mx.example";
		len = way == 0 ? smtp_identity_proxy_v1((char *)out, &facts) :
		    smtp_identity_proxy_v2(out, &facts);
		ck_assert_int_eq(smtp_proxy_parse(&proxy, out, len), PROXY_OK);
		ck_assert_uint_eq(proxy.len, len);
		ck_assert_int_eq(proxy.is_local, 0);
		if (row->want_client != NULL)
			read_addr(&client, row->want_client, row->client_port);
		if (row->want_local != NULL)
			read_addr(&local, row->want_local, row->local_port);
		ck_assert_int_eq(addr_is_equal(&proxy.client, &client), 1);
		ck_assert_int_eq(addr_is_equal(&proxy.local, &local), 1);
	}
}
END_TEST

START_TEST(test_no_address)
{
	static const struct addr	 none = { 0 };
	struct smtp_identity_facts	 facts = { 0 };
	struct smtp_proxy		 proxy;
	uint8_t				 out[SMTP_PROXY_MAX];
	size_t				 len;

	facts.client = &none;
	facts.local = &none;
	len = smtp_identity_proxy_v1((char *)out, &facts);
	ck_assert_int_eq(smtp_proxy_parse(&proxy, out, len), PROXY_OK);
	ck_assert_int_eq(proxy.is_local, 1);
	len = smtp_identity_proxy_v2(out, &facts);
	ck_assert_int_eq(smtp_proxy_parse(&proxy, out, len), PROXY_OK);
	ck_assert_int_eq(proxy.is_local, 1);
}
END_TEST

int
main(void)
{
	Suite	*suite = suite_create("smtp_proxy");
	TCase	*tcase = tcase_create("smtp_proxy");
	SRunner	*runner = srunner_create(suite);
	int	 failed;

	tcase_add_loop_test(tcase, test_rows, 0, (int)NROWS(rows));
	tcase_add_loop_test(tcase, test_behind, 0, (int)NROWS(rows));
	tcase_add_test(tcase, test_longest);
	tcase_add_test(tcase, test_bits);
	tcase_add_loop_test(tcase, test_round_trip, 0, (int)NROWS(ends));
	tcase_add_test(tcase, test_no_address);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
