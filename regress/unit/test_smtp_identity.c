/*
 * Who the client is, as a destination is told: exact octets of the commands
 * and headers, and what a hostile HELO or certificate can't do to them.  The
 * TLVs of a PROXY header are read by a parser of the test's own.
 */

#include "../../smtpproxyd/smtp_identity.h"

#include <check.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "split.h"

#define NROWS(a)	(sizeof(a) / sizeof((a)[0]))
#define IN(s)		s, sizeof(s) - 1
#define GUARD		0x5a
#define SESSION		"0123456789abcdef"
#define TEN		"0123456789"
#define HUNDRED		TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN

/* Facts and the memory that they borrow. */
struct who {
	struct addr			client;
	struct addr			local;
	struct smtp_identity_facts	facts;
};

static void
read_addr(struct addr *addr, const char *text, uint16_t port)
{
	memset(addr, 0, sizeof(*addr));
	if (text != NULL)
		ck_assert_int_eq(addr_parse(addr, text), 0);
	addr->port = port;
}

/* 24 November 2026, 16:26:05. */
static void
who_init(struct who *who, const char *client, const char *local)
{
	memset(who, 0, sizeof(*who));
	read_addr(&who->client, client, client == NULL ? 0 : 4242);
	read_addr(&who->local, local, local == NULL ? 0 : 25);
	who->facts.client = &who->client;
	who->facts.local = &who->local;
	who->facts.session = SESSION;
	who->facts.hostname = "gw.example.org";
	who->facts.start_s = 1795537565;
	who->facts.start_ms = 5000;
}

START_TEST(attrs)
{
	static const struct {
		const char	*in;
		size_t		 len;
		uint32_t	 want;
	} row[] = {
		{ IN(""), 0 },
		{ IN(" "), 0 },
		{ IN("NAME"), ATTR_NAME },
		{ IN("NAME ADDR PORT PROTO HELO LOGIN DESTADDR DESTPORT"),
		  0xff },
		{ IN("NAME ADDR PORT PROTO HELO IDENT SOURCE"),
		  ATTR_NAME | ATTR_ADDR | ATTR_PORT | ATTR_PROTO | ATTR_HELO |
		  ATTR_IDENT | ATTR_SOURCE },
		{ IN(" addr  Port "), ATTR_ADDR | ATTR_PORT },
		{ IN("ADDR ADDR"), ATTR_ADDR },
		{ IN("ADDRX XADDR ADD REVERSE_NAME ADDR=1 ADDR,PORT"), 0 },
		{ IN("ADDR\tPORT NAME\0 HELO"), ATTR_HELO },
	};
	uint8_t	*copy;
	size_t	 i;

	for (i = 0; i < NROWS(row); i++) {
		copy = split_copy(row[i].in, row[i].len);
		ck_assert_uint_eq(smtp_identity_attrs(copy, row[i].len),
		    row[i].want);
		free(copy);
	}
}
END_TEST

START_TEST(xtext)
{
	static const struct {
		const char	*in;
		size_t		 len;
		size_t		 max;
		const char	*want;
	} row[] = {
		{ IN(""), 8, "" },
		{ IN("gw.example"), 10, "gw.example" },
		{ IN("gw.example"), 9, "gw.exampl" },
		{ IN("!~\"()<>[]\\"), 32, "!~\"()<>[]\\" },
		{ IN("a b"), 8, "a+20b" },
		{ IN("a+b=c"), 16, "a+2Bb+3Dc" },
		{ IN("\r\n\0"), 16, "+0D+0A+00" },
		{ IN("\177\200\377"), 16, "+7F+80+FF" },
		{ IN("a\r"), 4, "a+0D" },
		{ IN("a\r"), 3, "a" },
		{ IN("a\r"), 2, "a" },
		{ IN("a\r"), 1, "a" },
		/* The cut is the end: what would fit behind it is lost too. */
		{ IN("a\rbc"), 3, "a" },
		{ IN("\r"), 0, "" },
		{ IN("a"), 0, "" },
	};
	char	to[64];
	size_t	i;

	for (i = 0; i < NROWS(row); i++) {
		memset(to, GUARD, sizeof(to));
		ck_assert_uint_eq(smtp_identity_xtext(to, row[i].max,
		    row[i].in, row[i].len), strlen(row[i].want));
		ck_assert_str_eq(to, row[i].want);
		ck_assert_int_eq(to[row[i].max + 1], GUARD);
	}
}
END_TEST

/* Each octet, alone: it is one that xtext may have, or +XX of its number. */
START_TEST(xtext_octets)
{
	char		to[8], want[8];
	unsigned int	c;
	uint8_t		octet;

	for (c = 0; c < 256; c++) {
		octet = (uint8_t)c;
		if (c > 0x20 && c < 0x7f && c != '+' && c != '=')
			(void)snprintf(want, sizeof(want), "%c", (int)c);
		else
			(void)snprintf(want, sizeof(want), "+%02X", c);
		(void)smtp_identity_xtext(to, 3, &octet, 1);
		HOLDS(strcmp(to, want) == 0);
	}
}
END_TEST

START_TEST(host)
{
	struct addr	addr;
	char		text[ADDR_TEXT_MAX];

	read_addr(&addr, "fe80::1%7", 25);
	ck_assert_str_eq(smtp_identity_host(&addr, text), "fe80::1");
	read_addr(&addr, "192.0.2.1", 25);
	ck_assert_str_eq(smtp_identity_host(&addr, text), "192.0.2.1");
}
END_TEST

#define CLIENT_ATTRS	(ATTR_NAME | ATTR_ADDR | ATTR_PORT)

static const struct xclient_row {
	const char	*client;
	const char	*local;
	uint32_t	 attrs;
	const char	*want;
} xclient_rows[] = {
	{ "192.0.2.1", "198.51.100.2", UINT32_MAX,
	  "XCLIENT NAME=[UNAVAILABLE] ADDR=192.0.2.1 PORT=4242 "
	  "DESTADDR=198.51.100.2 DESTPORT=25\r\n" },
	{ "2001:db8::1", "2001:db8::2", UINT32_MAX,
	  "XCLIENT NAME=[UNAVAILABLE] ADDR=IPV6:2001:db8::1 PORT=4242 "
	  "DESTADDR=IPV6:2001:db8::2 DESTPORT=25\r\n" },
	{ "fe80::1%7", "fe80::2%7", ATTR_ADDR | ATTR_DESTADDR,
	  "XCLIENT ADDR=IPV6:fe80::1 DESTADDR=IPV6:fe80::2\r\n" },
	{ "192.0.2.1", "198.51.100.2", ATTR_ADDR,
	  "XCLIENT ADDR=192.0.2.1\r\n" },
	{ "192.0.2.1", "198.51.100.2", CLIENT_ATTRS | ATTR_HELO | ATTR_LOGIN |
	  ATTR_PROTO, "XCLIENT NAME=[UNAVAILABLE] ADDR=192.0.2.1 "
	  "PORT=4242\r\n" },
	{ NULL, NULL, CLIENT_ATTRS, "XCLIENT NAME=[UNAVAILABLE] "
	  "ADDR=[UNAVAILABLE] PORT=[UNAVAILABLE]\r\n" },
	{ "192.0.2.1", "198.51.100.2", 0, "" },
	{ "192.0.2.1", "198.51.100.2", ~(uint32_t)ATTR_ADDR, "" },
};

START_TEST(xclient)
{
	const struct xclient_row	*row = &xclient_rows[_i];
	struct who			 who;
	char				 to[SMTP_IDENTITY_LINE];
	size_t				 len;

	who_init(&who, row->client, row->local);
	len = smtp_identity_xclient(to, &who.facts, row->attrs);
	ck_assert_uint_eq(len, strlen(row->want));
	ck_assert_mem_eq(to, row->want, len);
}
END_TEST

#define XFORWARD_ATTRS	(CLIENT_ATTRS | ATTR_PROTO | ATTR_HELO | ATTR_IDENT | \
			    ATTR_SOURCE)
#define FORWARDED	"XFORWARD NAME=[UNAVAILABLE] ADDR=192.0.2.1 PORT=4242 "

static const struct xforward_row {
	const char	*client;
	uint32_t	 attrs;
	const char	*helo;
	int		 is_esmtp;
	uint32_t	 message;
	const char	*want;
} xforward_rows[] = {
	{ "192.0.2.1", UINT32_MAX, "mx.example", 1, 1,
	  FORWARDED "PROTO=ESMTP HELO=mx.example IDENT=" SESSION
	  ".1 SOURCE=REMOTE\r\n" },
	{ "2001:db8::1", XFORWARD_ATTRS, "mx", 0, UINT32_MAX,
	  "XFORWARD NAME=[UNAVAILABLE] ADDR=IPV6:2001:db8::1 PORT=4242 "
	  "PROTO=SMTP HELO=mx IDENT=" SESSION ".4294967295 SOURCE=REMOTE\r\n" },
	{ NULL, CLIENT_ATTRS, NULL, 1, 1, "XFORWARD NAME=[UNAVAILABLE] "
	  "ADDR=[UNAVAILABLE] PORT=[UNAVAILABLE]\r\n" },
	{ "192.0.2.1", ATTR_SOURCE, "mx", 1, 1,
	  "XFORWARD SOURCE=REMOTE\r\n" },
	{ "192.0.2.1", ATTR_LOGIN | ATTR_DESTADDR | ATTR_DESTPORT, "mx", 1, 1,
	  "" },
	{ "192.0.2.1", 0, "mx", 1, 1, "" },
	{ "192.0.2.1", ATTR_HELO, NULL, 1, 1,
	  "XFORWARD HELO=[UNAVAILABLE]\r\n" },
	{ "192.0.2.1", ATTR_HELO, "", 1, 1,
	  "XFORWARD HELO=[UNAVAILABLE]\r\n" },
	{ "192.0.2.1", ATTR_HELO, "mx ADDR=10.0.0.1", 1, 1,
	  "XFORWARD HELO=mx+20ADDR+3D10.0.0.1\r\n" },
	{ "192.0.2.1", ATTR_HELO, "mx\r\nXCLIENT ADDR=10.0.0.1", 1, 1,
	  "XFORWARD HELO=mx+0D+0AXCLIENT+20ADDR+3D10.0.0.1\r\n" },
	{ "192.0.2.1", ATTR_HELO, "a+20b", 1, 1,
	  "XFORWARD HELO=a+2B20b\r\n" },
	{ "192.0.2.1", ATTR_HELO, "m\303\274x\t", 1, 1,
	  "XFORWARD HELO=m+C3+BCx+09\r\n" },
	{ "192.0.2.1", ATTR_HELO, HUNDRED HUNDRED HUNDRED, 1, 1,
	  "XFORWARD HELO=" HUNDRED HUNDRED TEN TEN TEN TEN TEN "01234\r\n" },
	/* The 255th octet would be in the midst of one. */
	{ "192.0.2.1", ATTR_HELO, HUNDRED HUNDRED TEN TEN TEN TEN TEN
	  "012 4", 1, 1, "XFORWARD HELO=" HUNDRED HUNDRED
	  TEN TEN TEN TEN TEN "012\r\n" },
	{ "192.0.2.1", ATTR_HELO, HUNDRED HUNDRED TEN TEN TEN TEN TEN
	  "01 4", 1, 1, "XFORWARD HELO=" HUNDRED HUNDRED
	  TEN TEN TEN TEN TEN "01+20\r\n" },
};

START_TEST(xforward)
{
	const struct xforward_row	*row = &xforward_rows[_i];
	struct who			 who;
	char				 to[SMTP_IDENTITY_LINE];
	size_t				 len;

	who_init(&who, row->client, "198.51.100.2");
	len = smtp_identity_xforward(to, &who.facts, row->attrs, row->helo,
	    row->is_esmtp, row->message);
	ck_assert_uint_eq(len, strlen(row->want));
	ck_assert_mem_eq(to, row->want, len);
}
END_TEST

/* All attributes at their longest still are one line. */
START_TEST(longest_line)
{
	struct who	who;
	char		to[SMTP_IDENTITY_LINE + 1];
	size_t		len;

	who_init(&who, "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
	    "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
	who.client.port = 65535;
	to[SMTP_IDENTITY_LINE] = GUARD;
	len = smtp_identity_xforward(to, &who.facts, UINT32_MAX,
	    HUNDRED HUNDRED HUNDRED, 1, UINT32_MAX);
	ck_assert_uint_le(len, SMTP_IDENTITY_LINE);
	ck_assert_ptr_eq(memchr(to, '\n', len), to + len - 1);
	ck_assert_ptr_nonnull(strstr(to, ".4294967295 SOURCE=REMOTE\r\n"));
	len = smtp_identity_xclient(to, &who.facts, UINT32_MAX);
	ck_assert_ptr_eq(memchr(to, '\n', len), to + len - 1);
	ck_assert_int_eq(to[SMTP_IDENTITY_LINE], GUARD);
}
END_TEST

START_TEST(proxy_v1)
{
	static const struct {
		const char	*client;
		const char	*local;
		const char	*want;
	} row[] = {
		{ "192.0.2.1", "198.51.100.2",
		  "PROXY TCP4 192.0.2.1 198.51.100.2 4242 25\r\n" },
		{ "2001:db8::1", "2001:db8::2",
		  "PROXY TCP6 2001:db8::1 2001:db8::2 4242 25\r\n" },
		{ "fe80::1%7", "fe80::2%7",
		  "PROXY TCP6 fe80::1 fe80::2 4242 25\r\n" },
		{ "192.0.2.1", "2001:db8::2", "PROXY TCP6 ::ffff:192.0.2.1 "
		  "2001:db8::2 4242 25\r\n" },
		{ "2001:db8::1", "192.0.2.2", "PROXY TCP6 2001:db8::1 "
		  "::ffff:192.0.2.2 4242 25\r\n" },
		{ NULL, "192.0.2.2", "PROXY UNKNOWN\r\n" },
		{ "192.0.2.1", NULL, "PROXY UNKNOWN\r\n" },
	};
	struct who	who;
	char		to[SMTP_PROXY_MAX];
	size_t		i, len;

	for (i = 0; i < NROWS(row); i++) {
		who_init(&who, row[i].client, row[i].local);
		len = smtp_identity_proxy_v1(to, &who.facts);
		ck_assert_uint_eq(len, strlen(row[i].want));
		ck_assert_mem_eq(to, row[i].want, len);
	}
}
END_TEST

#define SIG		"\r\n\r\n\0\r\nQUIT\n"
#define BLOCK4		"\300\0\002\001" "\306\063\144\002" "\020\222" "\0\031"
#define BLOCK6		"\040\001\015\270\0\0\0\0\0\0\0\0\0\0\0\001" \
			"\040\001\015\270\0\0\0\0\0\0\0\0\0\0\0\002" \
			"\020\222" "\0\031"
#define MAPPED		"\0\0\0\0\0\0\0\0\0\0\377\377\300\0\002\001" \
			"\040\001\015\270\0\0\0\0\0\0\0\0\0\0\0\002" \
			"\020\222" "\0\031"

START_TEST(proxy_v2)
{
	static const struct {
		const char	*client;
		const char	*local;
		const char	*want;
		size_t		 len;
	} row[] = {
		{ "192.0.2.1", "198.51.100.2",
		  IN(SIG "\041\021\0\014" BLOCK4) },
		{ "2001:db8::1", "2001:db8::2",
		  IN(SIG "\041\041\0\044" BLOCK6) },
		{ "192.0.2.1", "2001:db8::2", IN(SIG "\041\041\0\044" MAPPED) },
		{ NULL, "2001:db8::2", IN(SIG "\041\0\0\0") },
	};
	struct who	who;
	uint8_t		to[SMTP_PROXY_MAX];
	size_t		i, len;

	for (i = 0; i < NROWS(row); i++) {
		who_init(&who, row[i].client, row[i].local);
		/* Without a protocol there was no TLS. */
		who.facts.tls.sni = "mx.example";
		len = smtp_identity_proxy_v2(to, &who.facts);
		ck_assert_uint_eq(len, row[i].len);
		ck_assert_mem_eq(to, row[i].want, len);
	}
}
END_TEST

/*
 * TLVs as text, "TYPE:VALUE," each; the SSL one as "20:BITS/VERIFY{...},".
 * Nothing may be left over.
 */
static void
tlvs_text(char *text, size_t size, const uint8_t *p, size_t len)
{
	size_t		at = 0, n, used = 0;

	*text = '\0';
	while (at < len) {
		HOLDS(len - at >= 3);
		n = (size_t)p[at + 1] * 256 + p[at + 2];
		HOLDS(n <= len - at - 3);
		used += (size_t)snprintf(text + used, size - used,
		    "%02x:%.*s,", p[at], (int)n, (const char *)p + at + 3);
		HOLDS(used < size);
		at += 3 + n;
	}
}

/* The same of a whole header, whose SSL TLV stands last. */
static void
header_text(char *text, size_t size, const uint8_t *p, size_t len)
{
	size_t		at, n, used;

	HOLDS(len >= 28 && len == 16 + (size_t)p[14] * 256 + p[15]);
	for (at = 28; at < len && p[at] != 0x20; at += 3 + n)
		n = (size_t)p[at + 1] * 256 + p[at + 2];
	tlvs_text(text, size, p + 28, at - 28);
	if (at == len)
		return;
	HOLDS(len - at >= 8);
	HOLDS(len - at - 3 == (size_t)p[at + 1] * 256 + p[at + 2]);
	used = strlen(text);
	used += (size_t)snprintf(text + used, size - used,
	    "20:%02x/%02x%02x%02x%02x{", p[at + 3], p[at + 4], p[at + 5],
	    p[at + 6], p[at + 7]);
	tlvs_text(text + used, size - used, p + at + 8, len - at - 8);
	(void)strlcat(text, "},", size);
}

#define CIPHER		"TLS_AES_256_GCM_SHA384"
#define SUBJECT		"CN=client.example"

static const struct tls_row {
	struct smtp_tls_facts	 tls;
	const char		*want;
} tls_rows[] = {
	{ { NULL, NULL, NULL, NULL, NULL, 0 }, "" },
	{ { "TLSv1.3", CIPHER, NULL, NULL, "none", 0 },
	  "20:01/00000001{21:TLSv1.3,23:" CIPHER ",}," },
	{ { "TLSv1.3", CIPHER, "mx.example", NULL, "none", 0 },
	  "02:mx.example,20:01/00000001{21:TLSv1.3,23:" CIPHER ",}," },
	{ { "TLSv1.3", CIPHER, "mx.example", SUBJECT, "ok", 1 },
	  "02:mx.example,20:07/00000000{21:TLSv1.3,23:" CIPHER ",22:" SUBJECT
	  ",}," },
	{ { "TLSv1.2", CIPHER, NULL, SUBJECT, "expired", 0 },
	  "20:01/00000001{21:TLSv1.2,23:" CIPHER ",}," },
	{ { "TLSv1.2", NULL, NULL, NULL, "ok", 1 },
	  "20:07/00000000{21:TLSv1.2,}," },
	{ { "TLSv1.2", CIPHER, HUNDRED HUNDRED HUNDRED,
	  HUNDRED HUNDRED TEN TEN TEN TEN TEN "0123456", "ok", 1 },
	  "02:" HUNDRED HUNDRED TEN TEN TEN TEN TEN "01234,"
	  "20:07/00000000{21:TLSv1.2,23:" CIPHER ",22:" HUNDRED HUNDRED
	  TEN TEN TEN TEN TEN "01234,}," },
};

START_TEST(proxy_tls)
{
	struct who	who;
	uint8_t		to[SMTP_PROXY_MAX];
	char		text[2048];
	size_t		len;

	who_init(&who, "192.0.2.1", "198.51.100.2");
	who.facts.tls = tls_rows[_i].tls;
	len = smtp_identity_proxy_v2(to, &who.facts);
	ck_assert_mem_eq(to, SIG "\041\021", 14);
	ck_assert_mem_eq(to + 16, BLOCK4, 12);
	header_text(text, sizeof(text), to, len);
	ck_assert_str_eq(text, tls_rows[_i].want);
}
END_TEST

int
main(void)
{
	Suite	*suite = suite_create("smtp_identity");
	TCase	*tcase = tcase_create("smtp_identity");
	SRunner	*runner = srunner_create(suite);
	int	 failed;

	tcase_add_test(tcase, attrs);
	tcase_add_test(tcase, xtext);
	tcase_add_test(tcase, xtext_octets);
	tcase_add_test(tcase, host);
	tcase_add_loop_test(tcase, xclient, 0, (int)NROWS(xclient_rows));
	tcase_add_loop_test(tcase, xforward, 0, (int)NROWS(xforward_rows));
	tcase_add_test(tcase, longest_line);
	tcase_add_test(tcase, proxy_v1);
	tcase_add_test(tcase, proxy_v2);
	tcase_add_loop_test(tcase, proxy_tls, 0, (int)NROWS(tls_rows));
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
