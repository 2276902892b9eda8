#ifndef PARSE_TEXTS_H
#define PARSE_TEXTS_H

/* What the grammar says that it expected, and shapes of short files. */
#define TOP	"expected NAME = VALUE, include, table, relay, pki, " \
		"workers, user, chroot, hostname, tls-protocols, " \
		"tls-ciphers, timeout or a limit\n"
#define IN	"expected listen, forward, transparent, bypass, starttls, " \
		"identity, add-header, strict-newlines, on-failure, mark, " \
		"pregreet, pass-verb, auth-mechanisms, tls-protocols, " \
		"tls-ciphers, timeout, a limit or }\n"
#define FORWARD	"expected [transparent] forward to HOST port PORT, to { " \
		"HOST ... } port PORT or to <TABLE> port PORT, each with " \
		"[tls [no-verify | opportunistic] | smtps [no-verify]] [ca " \
		"\"FILE\"], or forward to nat lookup or to destination, " \
		"with [only <TABLE>] [except <TABLE>]\n"
#define LISTEN	"expected listen on ADDRESS port PORT [divert] [TLS pki " \
		"NAME ... [ca \"FILE\"]] [proxy-protocol from <TABLE> " \
		"[others plain]], where TLS is tls [verify], tls-require " \
		"[verify] or smtps [tls-require] [verify]\n"
#define STARTTLS "expected starttls pass, starttls hide or starttls " \
		"terminate pki NAME ... [no-verify] [ca \"FILE\"]\n"
#define NO_TABLE(t) "table <" t "> is not there, expected table <" t "> " \
		"{ ... } somewhere\n"

/* A relay behind the line under test, so that nothing else is missing. */
#define GOOD	"relay g {\nlisten on 127.0.0.9 port 9\nforward to " \
		"127.0.0.8 port 9\n}\n"
/* A line, the third one, in a relay that has all it needs. */
#define R(x)	"relay r { listen on 127.0.0.1 port 2525\n" \
		"forward to 127.0.0.2 port 25\n" x "\n}\n"
/* The same where the firewall says the destination. */
#define N(x)	"relay r { listen on 127.0.0.1 port 2525\n" \
		"forward to nat lookup\n" x "\n}\n"
/* The same without a way to a destination. */
#define F(x)	"table <x> { ::1 }\nrelay r { listen on 127.0.0.1 port 2525\n" \
		x "\n}\n"

#endif
