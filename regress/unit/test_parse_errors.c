/*
 * Tests of the grammar: every error with its line and text, and that one
 * error hides no other.
 */
#include <check.h>
#include <string.h>

#include "conf_samples.h"
#include "parse_texts.h"

#define NROWS(a)	(sizeof(a) / sizeof((a)[0]))

#define BESIDE	" already, expected no other line beside nat lookup or " \
		"destination\n"
#define WHOLE	"transparent, expected all lines of a relay to be, or none\n"
#define PORT	"expected 1 to 65535, smtp, submission or submissions\n"
#define STAGE	"expected connect, greeting, helo, mail, rcpt, data, " \
		"block, dot, command, message, session or tls\n"

/* With a table that has a name in it, and an empty one. */
#define T(x)	"table <a> { 10.0.0.1\nmx.example.org\n10.0.0.2 }\n" \
		"relay r { listen on 127.0.0.1 port 2525\n" x "\n}\n" \
		"table <e> { }\n"
#define NOT_YET	": not supported by this version\n"

struct row {
	const char	*in;
	const char	*said;
};

static const struct row	value_rows[] = {
	/* Global settings. */
	{ "workers 0\n" GOOD, "1: workers 0 is out of range, expected 1 to "
	    "64\n" },
	{ "workers 65\n" GOOD, "1: workers 65 is out of range, expected 1 to "
	    "64\n" },
	{ "workers four\n" GOOD, "1: \"four\" is no number, expected digits "
	    "only\n" },
	{ "workers -1\n" GOOD, "1: \"-1\" is no number, expected digits "
	    "only\n" },
	{ "workers \"\"\n" GOOD, "1: \"\" is no number, expected digits "
	    "only\n" },
	{ "workers 9223372036854775808\n" GOOD, "1: 9223372036854775808 is "
	    "too large, expected at most 9223372036854775807\n" },
	{ "workers 2\nworkers 2\n" GOOD, "2: workers is set already, expected "
	    "it once\n" },
	{ "user \"\"\n" GOOD, "1: \"\" is no user, expected the name of "
	    "one\n" },
	{ "user \"a:b\"\n" GOOD, "1: \"a:b\" is no user, expected the name of "
	    "one\n" },
	{ "user a\nuser b\n" GOOD, "2: user is set already, expected it "
	    "once\n" },
	{ "chroot var/empty\n" GOOD, "1: can't chroot to \"var/empty\", "
	    "expected an absolute path below 256 octets\n" },
	{ "chroot /a\nchroot /a\n" GOOD, "2: chroot is set already, expected "
	    "it once\n" },
	{ "hostname \"a b\"\n" GOOD, "1: \"a b\" is no host name, expected "
	    "one as in \"gw.example.org\"\n" },
	{ "hostname -a\n" GOOD, "1: \"-a\" is no host name, expected one as "
	    "in \"gw.example.org\"\n" },
	{ "hostname a\nhostname b\n" GOOD, "2: hostname is set already, "
	    "expected it once\n" },
	/* Limits, in both places. */
	{ "max-sessions 1000001\n" GOOD, "1: max-sessions 1000001 is out of "
	    "range, expected 0 to 1000000\n" },
	{ "max-sessions-per-client 1M\n" GOOD, "1: \"1M\" is no number, "
	    "expected digits only\n" },
	{ "max-recipients 1000001\n" GOOD, "1: max-recipients 1000001 is out "
	    "of range, expected 0 to 1000000\n" },
	{ "max-errors 5\nmax-errors 5\n" GOOD, "2: max-errors is set already, "
	    "expected it once\n" },
	{ R("max-errors 5\nmax-errors 5"), "4: max-errors is set already, "
	    "expected it once\n" },
	{ "max-message-size 10T\n" GOOD, "1: \"10T\" is no size, expected "
	    "octets as digits, K, M or G behind them\n" },
	{ "max-message-size M\n" GOOD, "1: \"M\" is no size, expected "
	    "octets as digits, K, M or G behind them\n" },
	{ "max-message-size 9007199254740992K\n" GOOD,
	    "1: \"9007199254740992K\" is no size, expected octets as "
	    "digits, K, M or G behind them\n" },
	{ "timeout hello 5\n" GOOD, "1: \"hello\" is no stage, " STAGE },
	{ "timeout dot 604801\n" GOOD, "1: timeout dot 604801 is out of "
	    "range, expected 0 to 604800 seconds\n" },
	{ R("timeout dot 1\ntimeout dot 1"), "4: timeout dot is set already, "
	    "expected it once\n" },
	{ "timeout dot 15m\n" GOOD, "1: \"15m\" is no number, expected digits "
	    "only\n" },
	/* Tables. */
	{ "table <a> { 10.0.0.1/8 }\n" GOOD, "1: \"10.0.0.1/8\" is no address "
	    "block, expected ADDRESS/LENGTH without bits behind the "
	    "length\n" },
	{ "table <a> { 10.0.0.0/33 }\n" GOOD, "1: \"10.0.0.0/33\" is no "
	    "address block, expected ADDRESS/LENGTH without bits behind the "
	    "length\n" },
	{ "table <a> {\n10.0.0.1\n10.0.0.256\n}\n" GOOD, "3: \"10.0.0.256\" "
	    "is no host, expected an IPv4 or IPv6 address or a host name\n" },
	{ "table <a> { 0.0.0.0 }\n" GOOD, "1: \"0.0.0.0\" can't be connected "
	    "to, expected the address of a host\n" },
	{ "table <a> { 1.1.1.1 }\ntable <a> { 1.1.1.1 }\n" GOOD, "2: table "
	    "<a> stands at test.conf:1 already, expected another name\n" },
	{ "table <\"a b\"> { 1.1.1.1 }\n" GOOD, "1: \"a b\" is no name of a "
	    "table, expected letters, digits, '.', '_' and '-'\n" },
	{ "table <\"\"> { 1.1.1.1 }\n" GOOD, "1: the name of a table has 0 "
	    "octets, expected 1 to 63\n" },
	{ "table <a> { 10.0.0.0/8\nmx.example.org }\n" GOOD, "2: host name "
	    "\"mx.example.org\" in table <a>, which holds the block "
	    "10.0.0.0/8, expected addresses and blocks only\n" },
	/* Relays. */
	{ "relay \"a b\" {\nlisten on 127.0.0.1 port 1\nforward to 127.0.0.1 "
	    "port 2\n}\n", "1: \"a b\" is no name of a relay, expected "
	    "letters, digits, '.', '_' and '-'\n" },
	{ R("listen on mx.example.org port 25"), "3: can't listen on "
	    "\"mx.example.org\", expected an IPv4 or IPv6 address\n" },
	{ R("listen on 224.0.0.1 port 25"), "3: can't listen on "
	    "\"224.0.0.1\", expected an IPv4 or IPv6 address\n" },
	{ R("listen on 127.0.0.1 port 0"), "3: \"0\" is no port, " PORT },
	{ R("listen on 127.0.0.1 port 65536"), "3: \"65536\" is no port, "
	    PORT },
	{ R("listen on 127.0.0.1 port http"), "3: \"http\" is no port, "
	    PORT },
	{ R("listen on 127.0.0.1 port 2525"), "3: 127.0.0.1 port 2525 is "
	    "listened on at test.conf:1 already, expected another address "
	    "or port\n" },
	{ R("forward to 127.0.0.1 port 2525"), "3: \"127.0.0.1\" port 2525 "
	    "is a listener of relay \"r\", expected another host\n" },
	{ R("listen on :: port 1\nforward to ::1 port 1"), "4: \"::1\" port 1 "
	    "is a listener of relay \"r\", expected another host\n" },
	{ R("forward to a..b port 1"), "3: \"a..b\" is no host, expected an "
	    "IPv4 or IPv6 address or a host name\n" },
	{ R("forward to { 10.0.0.1,\na..b\n1.2.3 } port 1"), "4: \"a..b\" is "
	    "no host, expected an IPv4 or IPv6 address or a host name\n"
	    "5: \"1.2.3\" is no host, expected an IPv4 or IPv6 address or a "
	    "host name\n" },
	{ R("forward to <none> port 25"), "3: table <none> is not there, "
	    "expected table <none> { ... } somewhere\n" },
	{ "table <e> { }\n" R("forward to <e> port 25"), "4: table <e> is "
	    "empty, expected at least one host\n" },
	{ "table <n> { 10.0.0.1\n10.0.0.0/8 }\n" R("forward to <n> port 25"),
	    "2: block 10.0.0.0/8 in table <n>, which relay \"r\" forwards "
	    "to, expected addresses and host names\n" },
	{ R("forward to no.example.org port 25"), "3: \"no.example.org\" does "
	    "not resolve, expected a name with an address\n" },
	{ "table <n> { 10.0.0.1\nno.example.org }\n"
	    R("forward to <n> port 25"), "2: \"no.example.org\" does not "
	    "resolve, expected a name with an address\n" },
	{ R("forward to odd.example.org port 25"), "3: \"odd.example.org\" "
	    "has an address that can't be connected to, expected that of a "
	    "host\n" },
	{ R("forward to empty.example.org port 25"), "3: "
	    "\"empty.example.org\" has no address, expected one\n" },
	{ R("strict-newlines reject\nstrict-newlines normalize"), "4: "
	    "strict-newlines is set already, expected it once\n" },
	{ R("pregreet allow\npregreet reject"), "4: pregreet is set already, "
	    "expected it once\n" },
	{ R("pass-verb XCLIENT"), "3: XCLIENT can't be passed, expected a "
	    "verb that the proxy does not handle\n" },
	{ R("pass-verb xforward"), "3: XFORWARD can't be passed, expected a "
	    "verb that the proxy does not handle\n" },
	{ R("pass-verb PROXY"), "3: PROXY can't be passed, expected a verb "
	    "that the proxy does not handle\n" },
	{ R("pass-verb Verb"), "3: VERB can't be passed, expected a verb that "
	    "the proxy does not handle\n" },
	{ R("pass-verb STARTTLS"), "3: STARTTLS can't be passed, expected a "
	    "verb that the proxy does not handle\n" },
	{ R("pass-verb \"X Y\""), "3: \"X Y\" is no verb, expected 1 to 15 "
	    "letters, digits and hyphens\n" },
	{ R("pass-verb \"\""), "3: \"\" is no verb, expected 1 to 15 letters, "
	    "digits and hyphens\n" },
	{ R("pass-verb XADR\npass-verb xadr"), "4: pass-verb XADR is set "
	    "already, expected it once\n" },
	{ R("auth-mechanisms { PLAIN\nplain }"), "4: mechanism PLAIN stands "
	    "there already, expected it once\n" },
	{ R("auth-mechanisms { \"A B\" }"), "3: \"A B\" is no mechanism, "
	    "expected 1 to 20 letters, digits, hyphens and underscores\n" },
	/* What spans lines. */
	{ "", "1: no relay, expected relay \"NAME\" { ... }\n" },
	{ "workers 1\n", "1: no relay, expected relay \"NAME\" { ... }\n" },
	{ "\nrelay a {\nforward to 10.0.0.1 port 25\n}\n", "2: relay \"a\" "
	    "has no listener, expected listen on ADDRESS port PORT\n" },
	{ "\nrelay a {\nlisten on 127.0.0.1 port 25\n}\n", "2: relay \"a\" "
	    "has no destination, expected forward to HOST port PORT\n" },
	{ "relay a {\n}\n", "1: relay \"a\" has no listener, expected listen "
	    "on ADDRESS port PORT\n1: relay \"a\" has no destination, "
	    "expected forward to HOST port PORT\n" },
	{ GOOD GOOD, "5: relay \"g\" stands at test.conf:1 already, expected "
	    "another name\n6: 127.0.0.9 port 9 is listened on at test.conf:2 "
	    "already, expected another address or port\n" },
	/* Interception: one way a relay. */
	{ N("forward to destination"), "3: the relay forwards at test.conf:2"
	    BESIDE },
	{ N("forward to nat lookup"), "3: the relay forwards at test.conf:2"
	    BESIDE },
	{ N("forward to 10.0.0.1 port 25"), "3: the relay forwards at "
	    "test.conf:2" BESIDE },
	{ N("forward to <a> port 25"), "3: the relay forwards at test.conf:2"
	    BESIDE },
	{ R("forward to nat lookup"), "3: the relay forwards at test.conf:2"
	    BESIDE },
	{ R("forward to 10.0.0.1 port 25\nforward to destination"),
	    "4: the relay forwards at test.conf:2" BESIDE },
	{ R("transparent forward to 10.0.0.1 port 25"), "3: the forward line "
	    "at test.conf:2 is not " WHOLE },
	{ R("transparent forward to nat lookup"), "3: the forward line "
	    "at test.conf:2 is not " WHOLE },
	{ "relay r { listen on ::1 port 1\ntransparent forward to 10.0.0.1 "
	    "port 25\nforward to { 10.0.0.2\n10.0.0.3 } port 25\n"
	    "transparent forward to 10.0.0.2 port 25\n}\n",
	    "3: the forward line at test.conf:2 is " WHOLE },
	/* Its listeners. */
	{ "relay r {\nlisten on ::1 port 1\nlisten on ::1 port 2 divert\n"
	    "listen on ::1 port 3\nforward to destination\n}\n",
	    "2: the relay forwards to destination, expected listen on "
	    "ADDRESS port PORT divert\n4: the relay forwards to "
	    "destination, expected listen on ADDRESS port PORT divert\n" },
	{ "relay r {\nlisten on ::1 port 1\nlisten on ::1 port 2 divert\n"
	    "forward to nat lookup\n}\n", "3: the relay forwards to nat "
	    "lookup, expected listen on ADDRESS port PORT without divert\n" },
	{ "relay r {\nforward to nat lookup\n}\n", "1: relay \"r\" has no "
	    "listener, expected listen on ADDRESS port PORT\n" },
	{ R("listen on 127.0.0.1 port 2525 divert"), "3: 127.0.0.1 port 2525 "
	    "is listened on at test.conf:1 already, expected another "
	    "address or port\n" },
	/* Its tables. */
	{ T("forward to nat lookup only <a>"), "2: host name "
	    "\"mx.example.org\" in table <a>, which relay \"r\" checks by, "
	    "expected addresses and blocks only\n" },
	{ T("forward to nat lookup except <a>"), "2: host name "
	    "\"mx.example.org\" in table <a>, which relay \"r\" checks by, "
	    "expected addresses and blocks only\n" },
	{ T("forward to nat lookup\nbypass from <a>"), "2: host name "
	    "\"mx.example.org\" in table <a>, which relay \"r\" checks by, "
	    "expected addresses and blocks only\n" },
	{ T("forward to nat lookup\nbypass from <e>"), "6: table <e> is "
	    "empty, expected at least one address or block\n" },
	{ T("bypass from <none>\nforward to nat lookup \\\nonly <x> "
	    "except <e>"), "6: " NO_TABLE("x") "6: table <e> is empty, "
	    "expected at least one address or block\n5: "
	    NO_TABLE("none") },
	{ T("forward to nat lookup only <\"a b\">"), "5: \"a b\" is no name "
	    "of a table, expected letters, digits, '.', '_' and '-'\n" },
	{ N("bypass from <\"\">"), "3: the name of a table has 0 octets, "
	    "expected 1 to 63\n" },
	{ "table <b> { a..b }\n" N("bypass from <b>"), "1: \"a..b\" is no "
	    "host, expected an IPv4 or IPv6 address or a host name\n" },
	/* Its settings. */
	{ "table <i> { ::1 }\n" N("bypass from <i>\nbypass from <i>"),
	    "5: bypass is set already, expected it once\n" },
	{ N("starttls pass\nstarttls hide"), "4: starttls is set already, "
	    "expected it once\n" },
	{ N("on-failure reset\non-failure reply"), "4: on-failure is set "
	    "already, expected it once\n" },
	{ N("mark 1\nmark 1"), "4: mark is set already, expected it "
	    "once\n" },
	{ N("mark 0"), "3: mark 0 is out of range, expected 1 to "
	    "4294967295\n" },
	{ N("mark 4294967296"), "3: mark 4294967296 is out of range, "
	    "expected 1 to 4294967295\n" },
	{ N("mark 0x1"), "3: \"0x1\" is no number, expected digits only\n" },
	/* Macros of the file. */
	{ "\"a-b\" = 1\n" GOOD, "1: \"a-b\" is no name of a macro, expected "
	    "letters, digits and '_'\n" },
	{ "a = \"\xc3\xa9\"\n" GOOD, "1: octet 0xc3 in the value of macro a, "
	    "expected printable ASCII\n" },
	{ "include \"x\"\n" GOOD, "1: x: no file can be read here\n" },
};

static const struct row	syntax_rows[] = {
	/* Lines that begin with a wrong word. */
	{ "lisen on 1.2.3.4\n" GOOD, "1: unexpected \"on\" after \"lisen\", "
	    TOP },
	{ "= a\n" GOOD, "1: \"=\" can't begin a line, " TOP },
	{ "}\n" GOOD, "1: \"}\" can't begin a line, " TOP },
	{ "foo\n" GOOD, "1: unexpected end of line after \"foo\", " TOP },
	{ "foo =\n" GOOD, "1: unexpected end of line after \"foo\", " TOP },
	{ "port 25\n" GOOD, "1: \"port\" can't begin a line, " TOP },
	{ "listen on 127.0.0.1 port 25\n" GOOD, "1: \"listen\" outside a "
	    "relay, " TOP },
	{ "pregreet allow\n" GOOD, "1: \"pregreet\" outside a relay, " TOP },
	{ R("workers 4"), "3: \"workers\" inside a relay, " IN },
	{ R("include \"x\""), "3: \"include\" inside a relay, " IN },
	{ R("table <x> { 1.1.1.1 }"), "3: \"table\" inside a relay, " IN },
	{ R("lisen on 1.2.3.4"), "3: \"lisen\" can't begin a line, " IN },
	{ R("a = b"), "3: \"a\" can't begin a line, " IN },
	/* Lines that go on with one. */
	{ "workers\n" GOOD, "1: unexpected end of line, expected workers "
	    "NUMBER\n" },
	{ "workers 4 5\n" GOOD, "1: unexpected \"5\", expected workers "
	    "NUMBER\n" },
	{ "user =\n" GOOD, "1: unexpected \"=\", expected user \"NAME\"\n" },
	{ "chroot\n" GOOD, "1: unexpected end of line, expected chroot "
	    "\"PATH\"\n" },
	{ "user a \"\"\n" GOOD, "1: unexpected \"\", expected user "
	    "\"NAME\"\n" },
	{ "hostname a b\n" GOOD, "1: unexpected \"b\", expected hostname "
	    "\"NAME\"\n" },
	{ "include\n" GOOD, "1: unexpected end of line, expected include "
	    "\"FILE\"\n" },
	{ "include a b\n" GOOD, "1: unexpected \"b\", expected include "
	    "\"FILE\"\n" },
	{ "max-sessions\n" GOOD, "1: unexpected end of line, expected "
	    "max-sessions NUMBER\n" },
	{ "max-sessions-per-client {\n}\n" GOOD, "1: unexpected \"{\", "
	    "expected max-sessions-per-client NUMBER\n" },
	{ "max-recipients 1 1\n" GOOD, "1: unexpected \"1\", expected "
	    "max-recipients NUMBER\n" },
	{ "max-errors\n" GOOD, "1: unexpected end of line, expected "
	    "max-errors NUMBER\n" },
	{ "max-message-size 1 M\n" GOOD, "1: unexpected \"M\", expected "
	    "max-message-size SIZE\n" },
	{ "timeout 5\n" GOOD, "1: unexpected end of line, expected timeout "
	    "STAGE SECONDS\n" },
	{ "timeout\n" GOOD, "1: unexpected end of line, expected timeout "
	    "STAGE SECONDS\n" },
	{ "table mx { 1.1.1.1 }\n" GOOD, "1: unexpected \"mx\", expected "
	    "table <NAME> { ADDRESS ... }\n" },
	{ "table <mx> 1.1.1.1\n" GOOD, "1: unexpected \"1.1.1.1\", expected "
	    "table <NAME> { ADDRESS ... }\n" },
	{ "table <mx> { , }\n" GOOD, "1: unexpected \",\", expected "
	    "table <NAME> { ADDRESS ... }\n" },
	{ "table <mx> { 1.1.1.1,, 1.1.1.2 }\n" GOOD, "1: unexpected \",\", "
	    "expected table <NAME> { ADDRESS ... }\n" },
	/* The rest of a broken list is skipped with its lines. */
	{ "table <mx> {\n1.1.1.1\nport\n1.1.1.2\n}\nworkers x\n" GOOD,
	    "3: unexpected \"port\", expected table <NAME> { ADDRESS ... }\n"
	    "6: \"x\" is no number, expected digits only\n" },
	{ R("forward to { a\n= }\nmax-errors x"), "4: unexpected \"=\", "
	    FORWARD "5: \"x\" is no number, expected digits only\n" },
	{ R("listen 127.0.0.1 port 25"), "3: unexpected \"127.0.0.1\", "
	    LISTEN },
	{ R("listen on 127.0.0.1"), "3: unexpected end of line, " LISTEN },
	{ R("listen on { 127.0.0.1 } port 25"), "3: unexpected \"{\", "
	    LISTEN },
	{ R("listen on 127.0.0.1 prot 25"), "3: unexpected \"prot\", "
	    LISTEN },
	{ R("listen on 127.0.0.1 \\\n port"), "4: unexpected end of line, "
	    LISTEN },
	{ R("forward 127.0.0.1 port 25"), "3: unexpected \"127.0.0.1\", "
	    FORWARD },
	{ R("forward to 127.0.0.1"), "3: unexpected end of line, " FORWARD },
	{ R("forward to { } port 25"), "3: unexpected \"}\", " FORWARD },
	{ R("forward to <a port 25"), "3: unexpected \"port\", " FORWARD },
	{ R("forward to a b port 25"), "3: unexpected \"b\", " FORWARD },
	{ R("forward to 10.0.0.1 port 25 except <x>"), "3: unexpected "
	    "\"except\", " FORWARD },
	{ R("forward to 10.0.0.1 port 25 only <x>"), "3: unexpected \"only\", "
	    FORWARD },
	{ F("forward to nat"), "3: unexpected end of line, " FORWARD },
	{ F("forward to nat port 25"), "3: unexpected \"port\", " FORWARD },
	{ F("forward to lookup"), "3: unexpected \"lookup\", " FORWARD },
	{ "relay r { listen on ::1 port 1 divert\nforward to destination "
	    "\\\nport 25\n}\n", "3: unexpected \"port\", " FORWARD },
	{ F("forward to nat lookup only x"), "3: unexpected \"x\", " FORWARD },
	{ F("forward to nat lookup except <x> only <x>"), "3: unexpected "
	    "\"only\", " FORWARD },
	{ F("forward to nat lookup only <x> only <x>"), "3: unexpected "
	    "\"only\", " FORWARD },
	{ R("forward transparent to nat lookup"), "3: unexpected "
	    "\"transparent\", " FORWARD },
	{ R("forward to pass port 25"), "3: unexpected \"pass\", " FORWARD },
	{ R("transparent"), "3: unexpected end of line, " FORWARD },
	{ R("transparent listen on ::1 port 1"), "3: unexpected \"listen\", "
	    FORWARD },
	{ R("listen on 127.0.0.1 divert port 25"), "3: unexpected "
	    "\"divert\", " LISTEN },
	{ R("listen on 127.0.0.1 port 25 divert divert"), "3: unexpected "
	    "\"divert\", " LISTEN },
	{ R("bypass from x"), "3: unexpected \"x\", expected bypass from "
	    "<TABLE>\n" },
	{ R("bypass <x>"), "3: unexpected \"<\", expected bypass from "
	    "<TABLE>\n" },
	{ R("starttls"), "3: unexpected end of line, " STARTTLS },
	{ R("starttls block"), "3: unexpected \"block\", " STARTTLS },
	{ R("on-failure reject"), "3: unexpected \"reject\", expected "
	    "on-failure reply or on-failure reset\n" },
	{ R("mark"), "3: unexpected end of line, expected mark NUMBER\n" },
	{ R("divert"), "3: \"divert\" can't begin a line, " IN },
	{ R("nat lookup"), "3: \"nat\" can't begin a line, " IN },
	{ "mark 5\n" GOOD, "1: \"mark\" outside a relay, " TOP },
	{ "starttls hide\n" GOOD, "1: \"starttls\" outside a relay, " TOP },
	{ "transparent forward to nat lookup\n" GOOD, "1: \"transparent\" "
	    "outside a relay, " TOP },
	{ "destination = 10.0.0.1\n" GOOD, "1: \"destination\" can't begin a "
	    "line, " TOP },
	{ R("strict-newlines pass"), "3: unexpected \"pass\", expected "
	    "strict-newlines reject or strict-newlines normalize\n" },
	{ "strict-newlines reject\n" GOOD, "1: \"strict-newlines\" outside "
	    "a relay, " TOP },
	{ R("pregreet maybe"), "3: unexpected \"maybe\", expected pregreet "
	    "reject or pregreet allow\n" },
	{ R("pass-verb XADR YADR"), "3: unexpected \"YADR\", expected "
	    "pass-verb NAME\n" },
	{ R("auth-mechanisms PLAIN"), "3: unexpected \"PLAIN\", expected "
	    "auth-mechanisms { NAME ... }\n" },
	{ R("auth-mechanisms { }"), "3: unexpected \"}\", expected "
	    "auth-mechanisms { NAME ... }\n" },
	/* The first line of a relay; its other lines are read all the same. */
	{ "relay {\nlisten on x port 1\n}\n", "1: unexpected \"{\", expected "
	    "relay \"NAME\" {\n2: can't listen on \"x\", expected an IPv4 or "
	    "IPv6 address\n" },
	{ "relay r s {\nlisten on x port 1\n}\n", "1: unexpected \"s\", "
	    "expected relay \"NAME\" {\n2: can't listen on \"x\", expected "
	    "an IPv4 or IPv6 address\n" },
	{ "relay r\nlisten on 1.2.3.4 port 1\npregreet x\n}\n" GOOD,
	    "2: unexpected \"listen\", expected relay \"NAME\" {\n"
	    "3: unexpected \"x\", expected pregreet reject or pregreet "
	    "allow\n" },
	{ R("") "foo\n", "5: unexpected end of line after \"foo\", " TOP },
	{ "relay r { listen on ::1 port 1\nforward to ::1 port 2 } foo\n" GOOD,
	    "2: unexpected \"foo\" after }, expected the end of the "
	    "line\n" },
	{ "relay r { listen on ::1 port 1\nforward to ::1 port 2\n} foo\n"
	    GOOD, "3: unexpected \"foo\" after }, expected the end of "
	    "the line\n" },
	/* Ends that come too early. */
	{ "relay r {\nlisten on 127.0.0.1 port 1\n", "3: end of file in a "
	    "block, expected }\n" },
	{ "relay r {\nforward to { a\n", "3: unexpected end of file, "
	    FORWARD },
	{ "table <a> { 1.1.1.1", "1: unexpected end of file, expected table "
	    "<NAME> { ADDRESS ... }\n1: no relay, expected relay \"NAME\" "
	    "{ ... }\n" },
	/* The lexer's own errors are said once. */
	{ "workers $n\nuser 'x\n" GOOD, "1: macro \"n\" is not defined, "
	    "expected n = VALUE before\n2: unterminated quote, expected ' "
	    "before the end of the line\n" },
	{ R("listen on $x port 70000\nforward to ; port 1"), "3: macro \"x\" "
	    "is not defined, expected x = VALUE before\n4: unexpected "
	    "character ;, expected a word\n" },
};

/* Words that only a later version knows, wherever they stand. */
static const struct row	later_rows[] = {
	{ R("pass"), "3: pass" NOT_YET },
	{ "pass from any\n" GOOD, "1: pass" NOT_YET },
	{ R("block helo from any"), "3: block" NOT_YET },
	{ R("match"), "3: match" NOT_YET },
	{ "socket \"/var/run/x\"\n" GOOD, "1: socket" NOT_YET },
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

START_TEST(later)
{
	check_rows(later_rows, NROWS(later_rows));
}
END_TEST

/* Many in one file: each is said with its line, and none hides another. */
START_TEST(many)
{
	static const struct row	row = {
		"ext = ::1\n"
		"workers 0\n"
		"wrokers 3\n"
		"table <mx> { 198.51.100.10,\n"
		"	198.51.100.0/24 bad..name }\n"
		"max-errors x; timeout\n"
		"relay \"r\" {\n"
		"	listen on $ext port smtp\n"
		"	listen on $foo port 2525\n"
		"	listen on $ext port 25\n"
		"	listen on $ext port 26 tls\n"
		"	forward to <my> port 25\n"
		"	forward to { a\n"
		"		relay } port 25\n"
		"	forward to no.example.org port 25\n"
		"	pass-verb XCLIENT\n"
		"	user x\n"
		"}\n"
		"relay \"q\" foo {\n"
		"	listen on 1.2.3.4 port 70000\n"
		"}\n"
		"relay \"r\" {\n"
		"	pregreet later\n"
		"}\n"
		"name = \"abc\n"
		"pki mail cert \"x\"\n"
		"hostname a..b",

		"2: workers 0 is out of range, expected 1 to 64\n"
		"3: unexpected \"3\" after \"wrokers\", " TOP
		"5: \"bad..name\" is no host, expected an IPv4 or IPv6 "
		"address or a host name\n"
		"6: \"x\" is no number, expected digits only\n"
		"6: unexpected character ;, expected a word\n"
		"9: macro \"foo\" is not defined, expected foo = VALUE "
		"before\n"
		"10: ::1 port 25 is listened on at test.conf:8 already, "
		"expected another address or port\n"
		"11: unexpected end of line, " LISTEN
		"14: unexpected \"relay\", " FORWARD
		"16: XCLIENT can't be passed, expected a verb that the proxy "
		"does not handle\n"
		"17: \"user\" inside a relay, " IN
		"19: unexpected \"foo\", expected relay \"NAME\" {\n"
		"20: \"70000\" is no port, " PORT
		"22: relay \"r\" stands at test.conf:7 already, expected "
		"another name\n"
		"23: unexpected \"later\", expected pregreet reject or "
		"pregreet allow\n"
		"25: unterminated quote, expected \" before the end of the "
		"line\n"
		"26: can't use the file \"x\", expected an absolute path "
		"below 256 octets\n"
		"27: \"a..b\" is no host name, expected one as in "
		"\"gw.example.org\"\n"
		"26: pki mail has no key, expected pki mail key \"FILE\"\n"
		"12: table <my> is not there, expected table <my> { ... } "
		"somewhere\n"
		"15: \"no.example.org\" does not resolve, expected a name "
		"with an address\n"
	};

	check_rows(&row, 1);
}
END_TEST

int
main(void)
{
	Suite	*s = suite_create("parse_errors");
	TCase	*tc = tcase_create("parse_errors");
	SRunner	*sr;
	int	 nfailed;

	tcase_add_test(tc, values);
	tcase_add_test(tc, syntax);
	tcase_add_test(tc, later);
	tcase_add_test(tc, many);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	nfailed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return nfailed == 0 ? 0 : 1;
}
