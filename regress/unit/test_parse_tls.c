/*
 * Tests of what the configuration says of TLS and of who clients are: every
 * error with its line and text, and which settings exclude each other.  What
 * the words mean is test_conf_tls.c's.
 */
#include <check.h>
#include <string.h>

#include "conf_samples.h"
#include "parse_texts.h"

#define NROWS(a)	(sizeof(a) / sizeof((a)[0]))

#define PKI	"expected pki NAME cert \"FILE\" or pki NAME key \"FILE\"\n"
#define IDENTITY "expected identity xclient, xforward, proxy-v1 or proxy-v2\n"
#define PATHS	", expected an absolute path below 256 octets\n"
#define PROTOCOLS "expected tls-protocols { TLSv1.2 TLSv1.3 }\n"
#define FIXED	"expected it with fixed destinations only\n"

/* Two lines: a pki that is there. */
#define A	"pki a cert /a.crt\npki a key /a.key\n"
/* Behind it a relay with this, in the line 5, and TLS nowhere. */
#define P(x)	A "relay r { listen on ::1 port 25\n" \
		"forward to 10.0.0.1 port 25\n" x "\n}\n"
/* The same, with a listener and a destination of its own. */
#define Q(x)	A "relay r {\n" x "\n}\n"
#define L	"listen on ::1 port 25"
#define D	"forward to 10.0.0.1 port 25"
/* One line more: a table. */
#define LB	"table <lb> { ::1 }\n"

struct row {
	const char	*in;
	const char	*said;
};

static const struct row	value_rows[] = {
	/* pki: both lines, each once, wherever they stand. */
	{ "pki a cert /a.crt\n" GOOD, "1: pki a has no key, expected pki a "
	    "key \"FILE\"\n" },
	{ "\npki a key /a.key\n" GOOD, "2: pki a has no certificate, "
	    "expected pki a cert \"FILE\"\n" },
	{ A "pki a cert /b.crt\n" GOOD, "3: pki a cert stands at "
	    "test.conf:1 already, expected it once\n" },
	{ A "pki a key /a.key\n" GOOD, "3: pki a key stands at "
	    "test.conf:2 already, expected it once\n" },
	{ "pki a cert a.crt\npki a key /a.key\n" GOOD, "1: can't use the "
	    "file \"a.crt\"" PATHS },
	{ "pki a cert /a.crt\npki a key \"\"\n" GOOD, "2: can't use the "
	    "file \"\"" PATHS },
	{ "pki \"a b\" cert /a.crt\n" GOOD, "1: \"a b\" is no name of a pki, "
	    "expected letters, digits, '.', '_' and '-'\n" },
	{ Q(L " tls pki b\n" D), "4: pki b is not there, expected pki b cert "
	    "\"FILE\" and pki b key \"FILE\"\n" },
	{ Q(L "\nforward to nat lookup\nstarttls terminate pki b pki a"),
	    "6: pki b is not there, expected pki b cert \"FILE\" and pki b "
	    "key \"FILE\"\n" },
	{ Q(L " tls pki a pki a\n" D), "4: pki a stands there already, "
	    "expected it once\n" },
	{ Q(L " tls pki \"\"\n" D), "4: the name of a pki has 0 octets, "
	    "expected 1 to 255\n" },
	/* Its files, as the hooks of the samples have them. */
	{ "pki a cert /none/a.crt\npki a key /none/a.key\n" GOOD,
	    "1: pki a cert: /none/a.crt: No such file or directory\n"
	    "2: pki a key: /none/a.key: No such file or directory\n" },
	{ "\npki a cert /a.crt\npki a key /bb.key\n" GOOD, "2: pki a: "
	    "certificate and key do not match, expected two of one pair\n" },
	{ Q(L " tls verify pki a ca /none/ca\n" D), "4: ca: /none/ca: No such "
	    "file or directory\n" },
	{ Q(L " tls verify pki a ca /bad/ca\n" D " tls ca /bad/ca"),
	    "4: ca: /bad/ca: no certificate in it, expected PEM\n" },
	{ Q(L "\n" D " tls ca /none/ca"), "5: ca: /none/ca: No such file or "
	    "directory\n" },
	{ Q(L "\nforward to nat lookup\nstarttls terminate pki a ca "
	    "/bad/ca"), "6: ca: /bad/ca: no certificate in it, expected "
	    "PEM\n" },
	/* Protocols and ciphers, in both places. */
	{ "tls-protocols { TLSv1.1 }\n" GOOD, "1: \"TLSv1.1\" is no "
	    "protocol, expected TLSv1.2 or TLSv1.3\n" },
	{ P("tls-protocols { TLSv1.2\nTLSv1.2 }"), "6: protocol TLSv1.2 "
	    "stands there already, expected it once\n" },
	{ "tls-protocols { TLSv1.2 }\ntls-protocols { TLSv1.3 }\n" GOOD,
	    "2: tls-protocols is set already, expected it once\n" },
	{ P("tls-protocols { TLSv1.2 }\ntls-protocols { TLSv1.2 }"),
	    "6: tls-protocols is set already, expected it once\n" },
	{ "tls-ciphers \"\"\n" GOOD, "1: \"\" is no list of ciphers, "
	    "expected names with ':' between them, below 512 octets\n" },
	{ P("tls-ciphers \"A B\""), "5: \"A B\" is no list of ciphers, "
	    "expected names with ':' between them, below 512 octets\n" },
	{ "tls-ciphers A\ntls-ciphers A\n" GOOD, "2: tls-ciphers is set "
	    "already, expected it once\n" },
	{ P("tls-ciphers A\ntls-ciphers A"), "6: tls-ciphers is set "
	    "already, expected it once\n" },
	{ "tls-ciphers BAD\n" P("tls-ciphers \\\nBAD"), "1: tls-ciphers: "
	    "no cipher match, expected an OpenSSL list\n7: tls-ciphers: no "
	    "cipher match, expected an OpenSSL list\n" },
	{ P("timeout tls 1\ntimeout tls 1"), "6: timeout tls is set already, "
	    "expected it once\n" },
	/* verify and ca go together. */
	{ Q(L " tls verify pki a\n" D), "4: verify without CA certificates "
	    "to check by, expected ca \"FILE\" behind the pki\n" },
	{ Q(L " smtps tls-require verify pki a\n" D), "4: verify without CA "
	    "certificates to check by, expected ca \"FILE\" behind the "
	    "pki\n" },
	{ Q(L " tls-require pki a ca /ca\n" D), "4: ca without verify, "
	    "expected verify in front of the pki\n" },
	{ Q(L " tls verify pki a ca ca.pem\n" D), "4: can't use the file "
	    "\"ca.pem\"" PATHS },
	{ Q(L "\n" D " tls ca ca.pem"), "5: can't use the file \"ca.pem\""
	    PATHS },
	{ Q(L "\n" D " tls no-verify ca /ca"), "5: ca where no certificate "
	    "is checked, expected it without no-verify and "
	    "opportunistic\n" },
	{ Q(L "\n" D " tls opportunistic ca /ca"), "5: ca where no "
	    "certificate is checked, expected it without no-verify and "
	    "opportunistic\n" },
	{ Q(L "\nforward to nat lookup\nstarttls terminate pki a no-verify "
	    "ca /ca"), "6: ca where no certificate is checked, expected it "
	    "without no-verify and opportunistic\n" },
	/* All lines of a relay say the same. */
#define SAME	"says something else about TLS, expected all lines of a " \
		"relay to say the same\n"
	{ Q(L "\n" D "\nforward to 10.0.0.2 port 25 tls"), "6: the forward "
	    "line at test.conf:5 " SAME },
	{ Q(L "\n" D " tls\nforward to 10.0.0.2 port 25\n"
	    "forward to 10.0.0.3 port 25 tls no-verify\n"
	    "forward to 10.0.0.4 port 25 smtps\n"
	    "forward to 10.0.0.5 port 25 tls ca /ca\n"
	    "forward to 10.0.0.6 port 25 tls"),
	    "6: the forward line at test.conf:5 " SAME
	    "7: the forward line at test.conf:5 " SAME
	    "8: the forward line at test.conf:5 " SAME
	    "9: the forward line at test.conf:5 " SAME },
	/* What is intercepted has TLS by starttls terminate. */
	{ Q(L "\nforward to nat lookup tls"), "5: TLS towards destinations "
	    "that are intercepted, expected starttls terminate in a line of "
	    "its own\n" },
	{ Q(L " divert\nforward to destination smtps no-verify"), "5: TLS "
	    "towards destinations that are intercepted, expected starttls "
	    "terminate in a line of its own\n" },
	{ Q(L " tls pki a\nforward to nat lookup"), "4: TLS on a listener of "
	    "a relay that intercepts, expected starttls terminate in a line "
	    "of its own\n" },
	{ Q(L " divert smtps pki a\nforward to destination"), "4: TLS on a "
	    "listener of a relay that intercepts, expected starttls "
	    "terminate in a line of its own\n" },
	{ P("starttls terminate pki a"), "5: starttls terminate with a fixed "
	    "destination, expected tls in listen on and in forward to\n" },
	{ P("starttls terminate pki a\nstarttls hide"), "6: starttls is set "
	    "already, expected it once\n" },
	{ Q(L " tls pki a\n" D "\nstarttls pass"), "4: TLS on a listener "
	    "beside starttls pass, expected one of them\n" },
	{ Q(L "\n" D " tls\nstarttls pass"), "6: starttls pass beside TLS of "
	    "a forward line, expected one of them\n" },
	/* Who the client is. */
	{ P("identity xclient\nidentity xclient"), "6: identity is set "
	    "already, expected it once\n" },
	{ P("add-header trace\nadd-header trace"), "6: add-header trace is "
	    "set already, expected it once\n" },
	{ Q(L "\nforward to nat lookup\nidentity xforward"), "6: identity in "
	    "a relay that intercepts, " FIXED },
	{ Q(L "\ntransparent " D "\nidentity proxy-v1"), "6: identity beside "
	    "transparent, which shows the client already, expected one of "
	    "them\n" },
	{ P("pass-verb xclient"), "5: XCLIENT can't be passed, expected a "
	    "verb that the proxy does not handle\n" },
	/* proxy-protocol. */
	{ Q(L " proxy-protocol from <lb>\n" D), "4: " NO_TABLE("lb") },
	{ "table <lb> { mx.example.org }\n"
	    Q(L " proxy-protocol from <lb>\n" D), "1: host name "
	    "\"mx.example.org\" in table <lb>, which relay \"r\" checks by, "
	    "expected addresses and blocks only\n" },
	{ LB Q(L " proxy-protocol from <lb>\nforward to nat lookup"),
	    "5: proxy-protocol in a relay that intercepts, " FIXED },
	{ LB Q(L " divert proxy-protocol from <lb>\nforward to destination"),
	    "5: proxy-protocol in a relay that intercepts, " FIXED },
	{ LB Q(L " divert proxy-protocol from <lb>\n" D), "5: proxy-protocol "
	    "on a listener with divert, expected one of them\n" },
	{ LB Q(L " proxy-protocol from <lb> others plain\ntransparent " D),
	    "5: proxy-protocol beside transparent, expected one of them\n" },
	{ LB Q(L " proxy-protocol from <lb>\n" D "\non-failure reset"),
	    "5: proxy-protocol beside on-failure reset, expected on-failure "
	    "reply\n" },
	{ LB Q(L " proxy-protocol from <lb>\n" D "\nbypass from <lb>"),
	    "5: proxy-protocol beside bypass, which would take the balancer "
	    "for the client, expected one of them\n" },
	/* bypass: no octet may pass in clear that should not. */
	{ LB Q(L " tls pki a\n" D "\nbypass from <lb>"), "7: bypass in a "
	    "relay with TLS, which these clients would not get, expected a "
	    "relay of their own\n" },
	{ LB Q(L "\nlisten on ::1 port 26 smtps pki a\n" D "\nbypass from "
	    "<lb>"), "8: bypass in a relay with TLS, which these clients "
	    "would not get, expected a relay of their own\n" },
	{ LB Q(L "\n" D " tls opportunistic\nbypass from <lb>"), "7: bypass "
	    "in a relay with TLS, which these clients would not get, "
	    "expected a relay of their own\n" },
	{ LB P("identity xclient\nbypass from <lb>"), "7: bypass beside "
	    "identity, which these clients would not get, expected a relay "
	    "of their own\n" },
	/* on-failure reset: nobody is connected to before the handshake. */
	{ Q(L " smtps pki a\n" D "\nidentity proxy-v2\non-failure reset"),
	    "4: smtps beside identity proxy-v2 and on-failure reset, "
	    "expected on-failure reply\n" },
	/* Where a line failed, nothing follows from the others. */
	{ Q(L " tls pki a\nforward to\nstarttls terminate pki a\nidentity "
	    "xclient"), "5: unexpected end of line, " FORWARD },
};

static const struct row	syntax_rows[] = {
	{ N("starttls terminate"), "3: unexpected end of line, " STARTTLS },
	{ N("starttls terminate ca /x"), "3: unexpected \"ca\", " STARTTLS },
	{ A N("starttls terminate pki a ca /x no-verify"), "5: unexpected "
	    "\"no-verify\", " STARTTLS },
	/* TLS: the order of the words is one. */
	{ R("listen on ::1 port 25 tls"), "3: unexpected end of line, "
	    LISTEN },
	{ R("listen on ::1 port 25 verify pki a"), "3: unexpected \"verify\", "
	    LISTEN },
	{ R("listen on ::1 port 25 pki a"), "3: unexpected \"pki\", "
	    LISTEN },
	{ R("listen on ::1 port 25 tls tls-require pki a"), "3: unexpected "
	    "\"tls-require\", " LISTEN },
	{ A R("listen on ::1 port 25 tls pki a verify"), "5: unexpected "
	    "\"verify\", " LISTEN },
	{ A R("listen on ::1 port 25 tls pki a divert"), "5: unexpected "
	    "\"divert\", " LISTEN },
	{ R("listen on ::1 port 25 tls pki a ca"), "3: unexpected end of "
	    "line, " LISTEN },
	{ R("listen on ::1 port 25 proxy-protocol"), "3: unexpected end of "
	    "line, " LISTEN },
	{ R("listen on ::1 port 25 proxy-protocol from x"), "3: unexpected "
	    "\"x\", " LISTEN },
	{ "table <x> { ::1 }\n"
	    R("listen on ::1 port 25 proxy-protocol from <x> plain"),
	    "4: unexpected \"plain\", " LISTEN },
	{ "table <x> { ::1 }\n"
	    R("listen on ::1 port 25 proxy-protocol from <x> tls pki a"),
	    "4: unexpected \"tls\", " LISTEN },
	{ F("forward to 10.0.0.1 port 25 no-verify"), "3: unexpected "
	    "\"no-verify\", " FORWARD },
	{ F("forward to 10.0.0.1 port 25 ca /x"), "3: unexpected \"ca\", "
	    FORWARD },
	{ F("forward to 10.0.0.1 port 25 smtps opportunistic"),
	    "3: unexpected \"opportunistic\", " FORWARD },
	{ F("forward to 10.0.0.1 port 25 tls verify"), "3: unexpected "
	    "\"verify\", " FORWARD },
	{ F("forward to 10.0.0.1 port 25 tls-require"), "3: unexpected "
	    "\"tls-require\", " FORWARD },
	{ "pki a\n" GOOD, "1: unexpected end of line, " PKI },
	{ "pki a ca /x\n" GOOD, "1: unexpected \"ca\", " PKI },
	{ "pki cert /x\n" GOOD, "1: unexpected \"cert\", " PKI },
	{ "pki a cert /a.crt key /y\npki a key /a.key\n" GOOD, "1: unexpected "
	    "\"key\", " PKI },
	{ R("pki a cert /x"), "3: \"pki\" inside a relay, " IN },
	{ R("ca /x"), "3: \"ca\" can't begin a line, " IN },
	{ R("tls"), "3: \"tls\" can't begin a line, " IN },
	{ "tls = yes\n" GOOD, "1: \"tls\" can't begin a line, " TOP },
	{ "tls-protocols TLSv1.2\n" GOOD, "1: unexpected \"TLSv1.2\", "
	    "expected tls-protocols { TLSv1.2 TLSv1.3 }\n" },
	{ "tls-protocols { }\n" GOOD, "1: unexpected \"}\", expected "
	    "tls-protocols { TLSv1.2 TLSv1.3 }\n" },
	{ "tls-ciphers\n" GOOD, "1: unexpected end of line, expected "
	    "tls-ciphers \"LIST\"\n" },
	{ R("identity"), "3: unexpected end of line, " IDENTITY },
	{ R("identity proxy"), "3: unexpected \"proxy\", " IDENTITY },
	{ R("identity xclient xforward"), "3: unexpected \"xforward\", "
	    IDENTITY },
	{ "identity xclient\n" GOOD, "1: \"identity\" outside a relay, "
	    TOP },
	{ R("xclient"), "3: \"xclient\" can't begin a line, " IN },
	{ R("add-header \"X\""), "3: unexpected \"X\", expected add-header "
	    "trace\n" },
	{ R("forward to 10.0.0.1 port 25 identity xclient"), "3: unexpected "
	    "\"identity\", " FORWARD },
};

/* What is allowed, though it looks like one of the above. */
static const char *const	good_rows[] = {
	LB Q(L "\n" D "\nbypass from <lb>\nadd-header trace"),
	LB Q(L "\nforward to nat lookup\nbypass from <lb>\n"
	    "starttls terminate pki a\nadd-header trace"),
	Q(L " smtps pki a\n" D "\nidentity proxy-v1\non-failure reset"),
	Q(L " tls pki a\n" D "\nidentity proxy-v2\non-failure reset"),
	Q(L " tls pki a\n" D "\nstarttls hide"),
	Q(L "\n" D "\nstarttls pass\nidentity xclient\nadd-header trace"),
	Q(L "\n" D " tls\nstarttls hide"),
	Q(L " tls pki a\ntransparent " D " tls"),
	P("auth-mechanisms { plain, login }"),
	A "pki c cert /a.crt\npki c key /a.key\n" GOOD,
	"pki a key /a.key\nrelay r {\n" L " tls pki a\n" D "\n}\n"
	    "pki a cert /a.crt\n",
};

static void
check_rows(const struct row *rows, size_t n)
{
	struct sample_said	 said;
	struct conf		*conf;
	size_t			 i;

	for (i = 0; i < n; i++) {
		conf = sample_load(rows[i].in, strlen(rows[i].in), &said);
		ck_assert_msg(strcmp(said.text, rows[i].said) == 0,
		    "in:\n%s\nsaid:\n%s\nexpected:\n%s", rows[i].in,
		    said.text, rows[i].said);
		ck_assert_ptr_null(conf);
	}
}

START_TEST(values)
{
	check_rows(value_rows, NROWS(value_rows));
}
END_TEST

START_TEST(syntax)
{
	check_rows(syntax_rows, NROWS(syntax_rows));
}
END_TEST

START_TEST(good)
{
	struct sample_said	 said;
	struct conf		*conf;
	size_t			 i;

	for (i = 0; i < NROWS(good_rows); i++) {
		conf = sample_load(good_rows[i], strlen(good_rows[i]), &said);
		ck_assert_msg(conf != NULL, "%s%s", good_rows[i], said.text);
		conf_free(conf);
	}
}
END_TEST

int
main(void)
{
	Suite	*s = suite_create("parse_tls");
	TCase	*tc = tcase_create("parse_tls");
	SRunner	*sr;
	int	 nfailed;

	tcase_add_test(tc, values);
	tcase_add_test(tc, syntax);
	tcase_add_test(tc, good);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	nfailed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return nfailed == 0 ? 0 : 1;
}
