#ifndef ENGINE_TLS_H
#define ENGINE_TLS_H

/*
 * Scripts (engine_script.h) of STARTTLS that ends in the engine, and of what a
 * destination is told first; for their own test, and for that of the machine's
 * moves.
 */
#include "engine_script.h"

#define NOT_OFFERED	"502 5.5.1 STARTTLS not offered|"
#define READY		"220 2.0.0 ready to start TLS|"
#define NO_MAIL		"530 5.7.0 must issue a STARTTLS command first|"
#define EHLO_FIRST	"503 5.5.1 EHLO first: what was said before TLS " \
			"does not count|"
#define NO_TLS		"421 4.7.0" GW "no TLS with destination|"
#define NOT_THERE	"421 4.4.1" GW "destination not available|"
#define K(in, client, dest)	STEP('K', in, client, dest, "")
#define OURS		"EHLO gw.example.org|"

static struct addr	client_addr, local_addr;

static void
set_who(struct play *p)
{
	ck_assert_int_eq(addr_parse(&client_addr, "192.0.2.9"), 0);
	client_addr.port = 1234;
	ck_assert_int_eq(addr_parse(&local_addr, "192.0.2.25"), 0);
	local_addr.port = 25;
	p->who.client = &client_addr;
	p->who.local = &local_addr;
	p->who.session = "0123456789abcdef";
	p->who.hostname = "gw.example.org";
	p->who.start_s = 1000000000;
	p->who.start_ms = p->now_ms;
}

static void
set_may(struct play *p)
{
	p->client_tls = SMTP_CLIENT_MAY;
}

static void
set_must(struct play *p)
{
	p->client_tls = SMTP_CLIENT_MUST;
}

static void
set_dest_may(struct play *p)
{
	p->set.dest_tls = SMTP_DEST_MAY;
}

static void
set_dest_must(struct play *p)
{
	p->set.dest_tls = SMTP_DEST_MUST;
}

static void
set_both(struct play *p)
{
	set_may(p);
	set_dest_must(p);
}

static void
set_terminate(struct play *p)
{
	p->set.terminates = 1;
}

static void
set_xclient(struct play *p)
{
	set_who(p);
	p->set.identity = IDENTITY_XCLIENT;
}

static void
set_xclient_tls(struct play *p)
{
	set_xclient(p);
	set_dest_must(p);
}

static void
set_xforward(struct play *p)
{
	set_who(p);
	p->set.identity = IDENTITY_XFORWARD;
}

static void
set_proxy(struct play *p)
{
	set_who(p);
	p->set.identity = IDENTITY_PROXY_V1;
}

/* Offered by us, whatever the destination offers. */
#define OFFERED								\
	GREETED,							\
	C("EHLO c|", "", "EHLO c|"),					\
	D("250-mx|250-PIPELINING|250-AUTH PLAIN|250-REQUIRETLS|250 DSN|",\
	"250-mx|250-STARTTLS|250-PIPELINING|250 DSN|", "")
#define STARTTLS_220							\
	STEP('C', "STARTTLS|", READY, "", "t")
#define UP								\
	OFFERED, STARTTLS_220, K("c", "", "")
#define EHLO_AGAIN							\
	C("EHLO c2|", "", "EHLO c2|"),					\
	D("250-mx|250-AUTH PLAIN|250-STARTTLS|250 DSN|",		\
	"250-mx|250-AUTH PLAIN|250 DSN|", "")

static const struct script client[] = {
	{ "TLS, and begun anew", set_may, 0, "1 a@b 1/0 2 ok: 250 ok;", {
	    UP,
	    C("MAIL FROM:<a@b>|", EHLO_FIRST, ""),
	    STEP('C', "AUTH PLAIN eA==|", EHLO_FIRST, "", "w"),
	    C("BDAT 3 LAST|x|", EHLO_FIRST, ""),
	    EHLO_AGAIN,
	    C("STARTTLS|", "503 5.5.1 TLS is active already|", ""),
	    MAIL_RCPT, DATA_354,
	    C("|.|", "", "|.|"), D("250 ok|", "250 ok|", ""),
	    C("QUIT|", "", "QUIT|"),
	    STEP('D', "221 bye|", "221 bye|", "", "co") } },
	{ "a destination that takes one EHLO", set_may, 0, "", {
	    UP,
	    C("EHLO c2|", "", "EHLO c2|"),
	    D("503 5.5.1 already identified|",
	    "250-mx|250-PIPELINING|250-AUTH PLAIN|250 DSN|", ""),
	    C("MAIL FROM:<a@b>|RCPT TO:<c@d>|", "",
	    "MAIL FROM:<a@b>|RCPT TO:<c@d>|"),
	    D("250 m|250 t|", "250 m|250 t|", ""),
	    C("EHLO c3|", "", "EHLO c3|"),
	    D("503 5.5.1 already identified|",
	    "503 5.5.1 already identified|", "") } },
	{ "but not inside a transaction", set_may, 0, "", {
	    OFFERED,
	    C("MAIL FROM:<a@b>|", "", "MAIL FROM:<a@b>|"),
	    D("250 m|", "250 m|", ""),
	    C("EHLO c|", "", "EHLO c|"),
	    D("503 5.5.1 already identified|",
	    "503 5.5.1 already identified|", "") } },
	{ "it refuses by another code", set_may, 0, "", {
	    UP,
	    C("EHLO c2|", "", "EHLO c2|"),
	    D("550 no|", "550 no|", ""),
	    C("MAIL FROM:<a@b>|", EHLO_FIRST, "") } },
	{ "the destination's own is not ours", set_may, 0, "", {
	    GREETED,
	    C("EHLO c|", "", "EHLO c|"),
	    D("250-mx|250 STARTTLS|", "250-mx|250 STARTTLS|", ""),
	    C("StartTLS x|", "501 5.5.4 syntax: STARTTLS|", ""),
	    STEP('C', "starttls  |", READY, "", "t"),
	    K("c", "", "") } },
	{ "not before EHLO, nor behind HELO", set_may, 0, "", {
	    GREETED,
	    C("STARTTLS|", NOT_OFFERED, ""),
	    C("HELO c|", "", "HELO c|"), D("250 mx|", "250 mx|", ""),
	    C("STARTTLS|", NOT_OFFERED, "") } },
	{ "AUTH is not to be had in clear", set_may, 0, "", {
	    OFFERED,
	    STEP('C', "AUTH PLAIN eA==|", "503 5.5.1 AUTH not offered|", "",
	    "w") } },
	{ "mail in clear, where it may", set_may, 0,
	    "1 a@b 1/0 0 reset: -;", {
	    OFFERED, MAIL_RCPT,
	    C("STARTTLS|", "503 5.5.1 STARTTLS inside a transaction|", ""),
	    C("RSET|", "", "RSET|"), D("250 ok|", "250 ok|", ""),
	    STARTTLS_220, K("c", "", "") } },
	{ "it waits for its turn", set_may, 0, "", {
	    OFFERED,
	    C("RSET|STARTTLS|", "", "RSET|"),
	    STEP('D', "250 ok|", "250 ok|" READY, "", "t"),
	    K("c", "", ""), EHLO_AGAIN } },
	{ "no mail without it", set_must, 0, "", {
	    OFFERED,
	    C("MAIL FROM:<a@b>|", NO_MAIL, ""),
	    C("RCPT TO:<a@b>|", NO_MAIL, ""),
	    C("DATA|", NO_MAIL, ""),
	    C("BDAT 3 LAST|x|", NO_MAIL, ""),
	    C("VRFY a|", NO_MAIL, ""),
	    STEP('C', "AUTH PLAIN eA==|", NO_MAIL, "", "w"),
	    C("NOOP|", "", "NOOP|"), D("250 ok|", "250 ok|", ""),
	    C("RSET|", "", "RSET|"), D("250 ok|", "250 ok|", ""),
	    STARTTLS_220, K("c", "", ""), EHLO_AGAIN,
	    C("MAIL FROM:<a@b>|", "", "MAIL FROM:<a@b>|") } },
	{ "pipelined behind it: injection", set_may, SCRIPT_WHOLE, "", {
	    OFFERED,
	    STEP('C', "STARTTLS|MAIL FROM:<a@b>|", IMPROPER, "", "co") } },
	{ "behind one that waits", set_may, 0, "", {
	    OFFERED,
	    C("RSET|STARTTLS|", "", "RSET|"),
	    C("RCPT TO:<a@b>|", "", ""),
	    STEP('D', "250 ok|", "250 ok|" IMPROPER, "", "co") } },
	{ "in clear behind the 220", set_may, 0, "", {
	    OFFERED, STARTTLS_220,
	    STEP('C', "MAIL FROM:<a@b>|", "", "", "co") } },
	{ "no handshake comes: nothing is said", set_may, 0, "", {
	    OFFERED, STARTTLS_220,
	    STEP('t', "29999", "", "", ""),
	    STEP('t', "1", "", "", "co") } },
	{ "it fails", set_may, 0, "", {
	    OFFERED, STARTTLS_220, STEP('k', "c", "", "", "co") } },
	{ "the client goes instead", set_may, 0, "", {
	    OFFERED, STARTTLS_220, STEP('c', "", "", "", "co") } },
	{ "the client breaks instead", set_may, 0, "", {
	    OFFERED, STARTTLS_220, STEP('r', "", "", "", "co") } },
	{ "the destination goes meanwhile", set_may, 0, "", {
	    OFFERED, STARTTLS_220, STEP('d', "", "", "", "co") } },
	{ "the destination talks meanwhile", set_may, 0, "", {
	    OFFERED, STARTTLS_220, STEP('D', "250 x|", "", "", "co") } },
	{ "the destination babbles meanwhile", set_may, 0, "", {
	    OFFERED, STARTTLS_220, STEP('D', "x\r\r", "", "", "co") } },
	{ "a stop meanwhile", set_may, 0, "", {
	    OFFERED, STARTTLS_220, STEP('s', "", "", "", "co") } },
	{ "TLS from the first octet", set_must, 0, "", {
	    K("c", "", ""),
	    GREETED,
	    C("MAIL FROM:<a@b>|", "", "MAIL FROM:<a@b>|"),
	    D("250 ok|", "250 ok|", "") } },
	{ "which fails", set_must, 0, "", {
	    STEP('k', "c", "", "", "co") } }
};

#define OWN_EHLO							\
	D("220 mx|", "", OURS)
#define OWN_STARTTLS							\
	OWN_EHLO,							\
	D("250-mx|250-SIZE 1|250 STARTTLS|", "", "STARTTLS|"),		\
	STEP('D', "220 go|", "", "", "T")

static const struct script dest[] = {
	{ "the greeting waits for it", set_dest_must, 0, "", {
	    OWN_STARTTLS,
	    K("d", "220 mx|", ""),
	    C("EHLO c|", "", "EHLO c|"),
	    D("250-mx|250-STARTTLS|250-AUTH PLAIN|250 SIZE 9|",
	    "250-mx|250-AUTH PLAIN|250 SIZE 9|", "") } },
	{ "not offered, and required", set_dest_must, 0, "", {
	    OWN_EHLO,
	    STEP('D', "250-mx|250 SIZE 9|", "", "", "n"),
	    STEP('N', "", "", "", ""),
	    OWN_STARTTLS, K("d", "220 mx|", "") } },
	{ "not offered, nor required", set_dest_may, 0, "", {
	    OWN_EHLO,
	    D("250-mx|250 SIZE 9|", "220 mx|", "") } },
	{ "no EHLO, and required", set_dest_must, 0, "", {
	    OWN_EHLO, STEP('D', "500 what|", "", "", "n") } },
	{ "no EHLO, nor required", set_dest_may, 0, "", {
	    OWN_EHLO, D("500 what|", "220 mx|", "") } },
	{ "refused, and required", set_dest_must, 0, "", {
	    OWN_EHLO, D("250-mx|250 STARTTLS|", "", "STARTTLS|"),
	    STEP('D', "454 no|", "", "", "n") } },
	{ "refused, and not required", set_dest_may, 0, "", {
	    OWN_EHLO, D("250-mx|250 STARTTLS|", "", "STARTTLS|"),
	    D("454 no|", "220 mx|", "") } },
	{ "it fails", set_dest_must, 0, "", {
	    OWN_STARTTLS, STEP('k', "d", "", "", "n"),
	    STEP('n', "", NOT_THERE, "", "co") } },
	{ "it takes too long", set_dest_must, 0, "", {
	    OWN_STARTTLS, STEP('t', "30000", "", "", "n") } },
	{ "octets in clear behind its 220", set_dest_must, SCRIPT_WHOLE, "", {
	    OWN_EHLO, D("250-mx|250 STARTTLS|", "", "STARTTLS|"),
	    STEP('D', "220 go|250 ok|", "", "", "nT") } },
	{ "and later ones", set_dest_must, 0, "", {
	    OWN_STARTTLS, STEP('D', "250 ok|", "", "", "n") } },
	{ "a destination that is slow with its EHLO", set_dest_must, 0, "", {
	    OWN_EHLO, STEP('t', "300000", "", "", "n") } },
	{ "one that goes", set_dest_must, 0, "", {
	    OWN_EHLO, STEP('d', "", "", "", "n") } },
	{ "one that talks nonsense", set_dest_must, 0, "", {
	    OWN_EHLO, STEP('D', "250-mx|220 x|", "", "", "n") } },
	{ "a refusal as the greeting goes on", set_dest_must, 0, "", {
	    STEP('D', "554 no|", "554 no|", "", "co") } },
	{ "on both sides", set_both, 0, "", {
	    OWN_STARTTLS,
	    K("dv", "220 mx|", ""),
	    C("EHLO c|", "", "EHLO c|"),
	    D("250-mx|250-REQUIRETLS|250 DSN|",
	    "250-mx|250-STARTTLS|250 DSN|", ""),
	    STARTTLS_220, K("c", "", ""),
	    C("EHLO c|", "", "EHLO c|"),
	    D("250-mx|250-REQUIRETLS|250 DSN|",
	    "250-mx|250-REQUIRETLS|250 DSN|", "") } },
	{ "on both sides, not verified", set_both, 0, "", {
	    OWN_STARTTLS,
	    K("d", "220 mx|", ""),
	    C("EHLO c|", "", "EHLO c|"),
	    D("250-mx|250-REQUIRETLS|250 DSN|",
	    "250-mx|250-STARTTLS|250 DSN|", ""),
	    STARTTLS_220, K("c", "", ""),
	    C("EHLO c|", "", "EHLO c|"),
	    D("250-mx|250-REQUIRETLS|250 DSN|", "250-mx|250 DSN|", "") } },
	{ "the client may not talk before", set_dest_must, 0, "", {
	    OWN_EHLO,
	    STEP('C', "EHLO c|", "554 5.5.1 you must wait for the greeting|",
	    "", "co") } }
};

#define TERMINATED							\
	GREETED,							\
	C("EHLO c|", "", "EHLO c|"),					\
	D("250-mx|250-STARTTLS|250 AUTH PLAIN|",			\
	"250-mx|250-STARTTLS|250 AUTH PLAIN|", ""),			\
	STARTTLS_220,							\
	STEP('K', "c", "", "STARTTLS|", "")

static const struct script terminate[] = {
	{ "TLS all the way", set_terminate, 0, "", {
	    TERMINATED,
	    STEP('D', "220 go|", "", "", "T"),
	    STEP('K', "dv", "", "", ""),
	    C("EHLO c|", "", "EHLO c|"),
	    D("250-mx|250-STARTTLS|250 AUTH PLAIN|", "250-mx|250 AUTH PLAIN|",
	    "") } },
	{ "the client is held meanwhile", set_terminate, 0, "", {
	    TERMINATED,
	    C("EHLO c|", "", ""),
	    STEP('D', "220 go|", "", "", "T"),
	    STEP('K', "d", "", "EHLO c|", "") } },
	{ "not offered by the destination", set_terminate, 0, "", {
	    EHLO_PLAIN,
	    C("STARTTLS|", NOT_OFFERED, "") } },
	{ "AUTH in clear is the destination's to judge", set_terminate, 0, "", {
	    GREETED,
	    C("EHLO c|", "", "EHLO c|"),
	    D("250-mx|250 AUTH PLAIN|", "250-mx|250 AUTH PLAIN|", "") } },
	{ "refused then: no TLS is no mail", set_terminate, 0, "", {
	    TERMINATED,
	    STEP('D', "454 no|", NO_TLS, "", "co") } },
	{ "it fails then", set_terminate, 0, "", {
	    TERMINATED,
	    STEP('D', "220 go|", "", "", "T"),
	    STEP('k', "d", NO_TLS, "", "co") } },
	{ "it takes too long then", set_terminate, 0, "", {
	    TERMINATED,
	    STEP('D', "220 go|", "", "", "T"),
	    STEP('t', "30000", "421 4.7.0" GW "timeout of TLS handshake|", "",
	    "co") } },
	{ "injection then", set_terminate, 0, "", {
	    TERMINATED,
	    STEP('D', "220 go|", "", "", "T"),
	    STEP('D', "250 x|", NO_TLS, "", "co") } },
	{ "the destination goes then", set_terminate, 0, "", {
	    TERMINATED,
	    STEP('D', "220 go|", "", "", "T"),
	    STEP('d', "", LOST_421, "", "co") } },
	{ "the client goes then", set_terminate, 0, "", {
	    TERMINATED,
	    STEP('D', "220 go|", "", "", "T"),
	    STEP('c', "", "", "", ""),
	    STEP('K', "d", "", "", "co") } }
};

#define XCLIENT_ALL	"XCLIENT NAME=[UNAVAILABLE] ADDR=192.0.2.9 PORT=1234 " \
			"DESTADDR=192.0.2.25 DESTPORT=25|"

static const struct script identity[] = {
	{ "XCLIENT", set_xclient, 0, "", {
	    OWN_EHLO,
	    D("250-mx|250 XCLIENT NAME ADDR PORT PROTO HELO LOGIN DESTADDR "
	    "DESTPORT|", "", XCLIENT_ALL),
	    D("220 again|", "220 again|", ""),
	    C("EHLO c|", "", "EHLO c|"),
	    D("250-mx|250 XCLIENT NAME ADDR|", "250 mx|", ""),
	    C("XCLIENT ADDR=127.0.0.1|", "502 5.5.1 command not implemented|",
	    "") } },
	{ "not offered", set_xclient, 0, "", {
	    OWN_EHLO, STEP('D', "250 mx|", "", "", "n") } },
	{ "offered without an address", set_xclient, 0, "", {
	    OWN_EHLO, STEP('D', "250-mx|250 XCLIENT NAME|", "", "", "n") } },
	{ "the client is refused by it", set_xclient, 0, "", {
	    OWN_EHLO,
	    D("250-mx|250 XCLIENT ADDR|", "", "XCLIENT ADDR=192.0.2.9|"),
	    STEP('D', "554 5.7.1 blocked|", "554 5.7.1 blocked|", "", "co") } },
	{ "refused", set_xclient, 0, "", {
	    OWN_EHLO,
	    D("250-mx|250 XCLIENT ADDR|", "", "XCLIENT ADDR=192.0.2.9|"),
	    STEP('D', "550 no|", "", "", "n") } },
	{ "in TLS only what is offered there counts", set_xclient_tls, 0, "", {
	    OWN_EHLO,
	    D("250-mx|250-XCLIENT ADDR|250 STARTTLS|", "", "STARTTLS|"),
	    STEP('D', "220 go|", "", "", "T"),
	    K("d", "", OURS),
	    STEP('D', "250 mx|", "", "", "n") } },
	{ "no EHLO holds behind XCLIENT", set_xclient, 0, "", {
	    OWN_EHLO,
	    D("250-mx|250 XCLIENT ADDR|", "", "XCLIENT ADDR=192.0.2.9|"),
	    D("220 again|", "220 again|", ""),
	    C("EHLO c|", "", "EHLO c|"),
	    D("503 no|", "503 no|", "") } },
	{ "in TLS", set_xclient_tls, 0, "", {
	    OWN_STARTTLS,
	    K("d", "", OURS),
	    D("250-mx|250 XCLIENT ADDR|", "", "XCLIENT ADDR=192.0.2.9|"),
	    D("220 again|", "220 again|", "") } },
	{ "XFORWARD before each MAIL", set_xforward, 0,
	    "1 a@b 0/0 0 refused: 550 no;2 c@d 0/0 0 reset: -;", {
	    OWN_EHLO,
	    D("250-mx|250 XFORWARD ADDR HELO|", "220 mx|", ""),
	    C("HELO c c|", "", "HELO c c|"), D("250 mx|", "250 mx|", ""),
	    C("MAIL FROM:<a@b>|", "", "XFORWARD ADDR=192.0.2.9 HELO=c+20c|"),
	    D("250 ok|", "", "MAIL FROM:<a@b>|"),
	    D("550 no|", "550 no|", ""),
	    C("MAIL FROM:<c@d>|", "", "XFORWARD ADDR=192.0.2.9 HELO=c+20c|"),
	    D("501 no|", "", "MAIL FROM:<c@d>|"),
	    D("250 ok|", "250 ok|", ""),
	    C("RSET|", "", "RSET|"), D("250 ok|", "250 ok|", "") } },
	{ "one EHLO, and it was ours", set_xforward, 0, "", {
	    OWN_EHLO,
	    D("250-mx|250-XFORWARD ADDR|250-AUTH PLAIN GSSAPI|250 VERB|",
	    "220 mx|", ""),
	    C("EHLO c|", "", "EHLO c|"),
	    D("503 already|", "250-mx|250 AUTH PLAIN|", "") } },
	{ "likewise, HELO", set_xforward, 0, "", {
	    OWN_EHLO,
	    D("250-mx hello|250 XFORWARD ADDR|", "220 mx|", ""),
	    C("HELO c|", "", "HELO c|"),
	    D("503 already|", "250 mx hello|", "") } },
	{ "XFORWARD among pipelined commands", set_xforward, 0, NULL, {
	    OWN_EHLO,
	    D("250-mx|250 XFORWARD ADDR|", "220 mx|", ""),
	    C("EHLO c|", "", "EHLO c|"),
	    D("250-mx|250 PIPELINING|", "250-mx|250 PIPELINING|", ""),
	    C("RSET|MAIL FROM:<a@b>|RCPT TO:<c@d>|", "",
	    "RSET|XFORWARD ADDR=192.0.2.9|"),
	    D("250 r|", "250 r|", ""),
	    D("250 x|", "", "MAIL FROM:<a@b>|RCPT TO:<c@d>|"),
	    D("250 m|250 t|", "250 m|250 t|", "") } },
	{ "XFORWARD not offered", set_xforward, 0, "", {
	    OWN_EHLO, STEP('D', "250 mx|", "", "", "n") } },
	{ "PROXY before all", set_proxy, SCRIPT_UNMET, "", {
	    STEP('N', "", "", "PROXY TCP4 192.0.2.9 192.0.2.25 1234 25|", ""),
	    D("220 mx|", "220 mx|", "") } }
};

#endif
