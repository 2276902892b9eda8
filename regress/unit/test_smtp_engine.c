/*
 * The engine's dialogue: commands and replies, pipelining, refusals of our
 * own, AUTH, the destination's faults.  Content is in test_smtp_engine_data.c,
 * time and questions in test_smtp_engine_wait.c.
 */
#include "engine_script.h"

#define FOREIGN(what)	"502 5.5.1 this is SMTP, not " what "|"		\
			"421 4.7.0" GW "closing connection|"

static const char *const	pass_verbs[] = { "XSTAT", NULL };

static void
set_pass_verb(struct play *p)
{
	p->set.pass_verbs = pass_verbs;
}

static void
set_errors_3(struct play *p)
{
	p->set.max_errors = 3;
}

static void
set_limits(struct play *p)
{
	p->set.ehlo.max_size = 1000;
	p->set.ehlo.max_recipients = 5;
}

static void
set_pregreet(struct play *p)
{
	p->set.allow_pregreet = 1;
}

#define UNEXPECTED	"421 4.3.0" GW "protocol error of destination|"
#define TOO_MANY	"421 4.7.0" GW "too many errors|"

static const struct script plain[] = {
	{ "greeting only, client leaves", NULL, 0, "", {
	    GREETED,
	    STEP('c', "", "", "", "co") } },
	{ "greeting of several lines", NULL, 0, "", {
	    D("220-a|220-b|", "", ""),
	    D("220 c|", "220-a|220-b|220 c|", "") } },
	{ "every verb, one at a time", NULL, 0, NULL, {
	    GREETED,
	    C("HELO c|", "", "HELO c|"), D("250 mx|", "250 mx|", ""),
	    C("NOOP x|", "", "NOOP x|"), D("250 ok|", "250 ok|", ""),
	    C("VRFY x|", "", "VRFY x|"), D("252 ok|", "252 ok|", ""),
	    C("EXPN x|", "", "EXPN x|"), D("550 no|", "550 no|", ""),
	    C("HELP|", "", "HELP|"), D("214-a|214 b|", "214-a|214 b|", ""),
	    C("ETRN x|", "", "ETRN x|"), D("250 ok|", "250 ok|", ""),
	    C("RSET|", "", "RSET|"), D("250 ok|", "250 ok|", ""),
	    C("mail from:<>|", "", "mail from:<>|"),
	    D("250 ok|", "250 ok|", ""),
	    C("Rcpt To:<p>|", "", "Rcpt To:<p>|"),
	    D("251 there|", "251 there|", ""),
	    C("QUIT|", "", "QUIT|"),
	    STEP('D', "221 bye|", "221 bye|", "", "co") } },
	{ "quit refused ends it too", NULL, 0, "", {
	    GREETED,
	    C("QUIT|", "", "QUIT|"),
	    STEP('D', "500 no|", "500 no|", "", "co") } },
	{ "EHLO lines that do not pass", NULL, 0, "", {
	    GREETED,
	    C("EHLO c|", "", "EHLO c|"),
	    D("250-mx|250-STARTTLS|250-REQUIRETLS|250-VERB|250-XCLIENT NAME|"
	    "250-PIPECONNECT|250-DSN|250 X|",
	    "250-mx|250 DSN|", "") } },
	{ "EHLO with nothing left", NULL, 0, "", {
	    GREETED,
	    C("EHLO c|", "", "EHLO c|"),
	    D("250-mx|250 X|", "250 mx|", "") } },
	{ "EHLO of one line", NULL, 0, "", {
	    GREETED,
	    C("EHLO c|", "", "EHLO c|"), D("250 mx|", "250 mx|", "") } },
	{ "numbers are the smaller ones", set_limits, 0, "", {
	    GREETED,
	    C("EHLO c|", "", "EHLO c|"),
	    D("250-mx|250-SIZE 9999|250 LIMITS RCPTMAX=10 MAILMAX=3|",
	    "250-mx|250-SIZE 1000|250 LIMITS RCPTMAX=5 MAILMAX=3|", ""),
	    C("EHLO c|", "", "EHLO c|"),
	    D("250-mx|250-SIZE 99|250 LIMITS RCPTMAX=2|",
	    "250-mx|250-SIZE 99|250 LIMITS RCPTMAX=2|", "") } },
	{ "EHLO refused, then HELO", NULL, 0, "", {
	    GREETED,
	    C("EHLO c|", "", "EHLO c|"), D("502 no|", "502 no|", ""),
	    C("HELO c|", "", "HELO c|"), D("250 mx|", "250 mx|", "") } },
	{ "unknown verbs stay here", NULL, 0, "", {
	    GREETED,
	    C("XYZZY|", "502 5.5.1 command not implemented|", ""),
	    C("XCLIENT NAME=x|", "502 5.5.1 command not implemented|", ""),
	    C("xforward NAME=x|", "502 5.5.1 command not implemented|", ""),
	    C("PROXY|", "502 5.5.1 command not implemented|", ""),
	    C("GET|", "502 5.5.1 command not implemented|", ""),
	    C("VERB|", "502 5.5.1 command not implemented|", ""),
	    C("|", "500 5.5.2 empty command|", ""),
	    C(" NOOP|", "502 5.5.1 command not implemented|", ""),
	    C("NOOP\tx|", "502 5.5.1 command not implemented|", ""),
	    C("STARTTLS|", "502 5.5.1 STARTTLS not offered|", ""),
	    C("NOOP|", "", "NOOP|"), D("250 ok|", "250 ok|", "") } },
	{ "HTTP", NULL, 0, "", {
	    GREETED,
	    STEP('C', "POST / HTTP/1.1|Host: mx|MAIL FROM:<a@b>|",
	    FOREIGN("HTTP"), "", "co") } },
	{ "HTTP later, and in any case", NULL, 0, "", {
	    EHLO_PLAIN,
	    STEP('C', "get /|", FOREIGN("HTTP"), "", "co") } },
	{ "HTTP behind commands that wait for replies", NULL, 0, NULL, {
	    EHLO_FULL,
	    C("MAIL FROM:<a@b>|GET / HTTP/1.0||", "", "MAIL FROM:<a@b>|"),
	    STEP('D', "250 a|", "250 a|" FOREIGN("HTTP"), "", "co") } },
	{ "HTTP/2", NULL, 0, "", {
	    GREETED,
	    STEP('C', "PRI * HTTP/2.0||SM||", FOREIGN("HTTP"), "", "co") } },
	{ "SSH", NULL, 0, "", {
	    GREETED,
	    STEP('C', "SSH-2.0-x|", FOREIGN("SSH"), "", "co") } },
	{ "TLS", NULL, 0, "", {
	    GREETED,
	    STEP('C', "\x16\x03\x01\x02\0\x01", FOREIGN("TLS"), "", "co") } },
	{ "TLS behind a command", NULL, 0, "", {
	    GREETED,
	    C("NOOP|", "", "NOOP|"), D("250 ok|", "250 ok|", ""),
	    STEP('C', "\x16", FOREIGN("TLS"), "", "co") } },
	{ "that octet within a line says nothing", NULL, 0, "", {
	    GREETED,
	    C("N\x16|", "502 5.5.1 command not implemented|", "") } },
	{ "PROXY v1", NULL, 0, "", {
	    GREETED,
	    STEP('C', "PROXY TCP4 1 2 3 4|EHLO x|", FOREIGN("a PROXY header"),
	    "", "co") } },
	{ "PROXY v2", NULL, 0, "", {
	    GREETED,
	    C("||", "500 5.5.2 empty command|500 5.5.2 empty command|", ""),
	    STEP('C', "\0|QUIT\n\x21\x11\0\x0c", FOREIGN("a PROXY header"),
	    "", "co") } },
	{ "not at the start it is a line with NUL", NULL, 0, "", {
	    GREETED,
	    C("NOOP|", "", "NOOP|"), D("250 ok|", "250 ok|", ""),
	    C("||", "500 5.5.2 empty command|500 5.5.2 empty command|", ""),
	    C("\0|", "500 5.5.2 NUL in command|", "") } },
	{ "HTTP in a line that is none", NULL, 0, "", {
	    GREETED,
	    STEP('C', "POST / HTTP/1.1\nMAIL FROM:<a@b>|", FOREIGN("HTTP"),
	    "", "co") } },
	{ "HTTP before the greeting", NULL, 0, "", {
	    STEP('C', "GET / HTTP/1.0||",
	    "554 5.5.1 you must wait for the greeting|", "", "co") } },
	{ "HTTP before the greeting, where that is allowed", set_pregreet, 0,
	    "", {
	    C("GET / HTTP/1.0||", "", ""),
	    STEP('D', "220 mx|", "220 mx|" FOREIGN("HTTP"), "", "co") } },
	{ "lines that are none", NULL, 0, "", {
	    GREETED,
	    C("NOOP\n|", "500 5.5.2 bare LF in command|", ""),
	    C("NOOP\nQUIT\n|", "500 5.5.2 bare LF in command|", ""),
	    C("NO\rOP|", "500 5.5.2 bare CR in command|", ""),
	    C("NOOP\r|", "500 5.5.2 bare CR in command|", ""),
	    C("NO\0OP|", "500 5.5.2 NUL in command|", ""),
	    C("NOOP|", "", "NOOP|"), D("250 ok|", "250 ok|", "") } },
	{ "bad arguments stay here", NULL, 0, "", {
	    EHLO_PLAIN,
	    C("MAIL a@b|",
	    "501 5.5.4 syntax: MAIL FROM:<address> [parameters]|", ""),
	    C("MAIL FROM:<a@b> SIZE=x|", "501 5.5.4 bad parameter of MAIL|",
	    ""),
	    C("MAIL FROM:<a@b> REQUIRETLS|",
	    "555 5.5.4 REQUIRETLS not supported|", ""),
	    C("RCPT TO:<>|", "501 5.5.4 syntax: RCPT TO:<address> "
	    "[parameters]|", ""),
	    C("MAIL FROM:<a@b> SIZE=5 BODY=8BITMIME X-Y=z|", "",
	    "MAIL FROM:<a@b> SIZE=5 BODY=8BITMIME X-Y=z|"),
	    D("250 ok|", "250 ok|", "") } },
	{ "parameters and case go as they came", NULL, 0, NULL, {
	    EHLO_FULL,
	    C("mAiL  fRoM:<a@b>  RET=HDRS ENVID=x |", "",
	    "mAiL  fRoM:<a@b>  RET=HDRS ENVID=x |"),
	    D("250 2.1.0 ok|", "250 2.1.0 ok|", ""),
	    C("RCPT TO:<c@d> NOTIFY=NEVER ORCPT=rfc822;c@d|", "",
	    "RCPT TO:<c@d> NOTIFY=NEVER ORCPT=rfc822;c@d|"),
	    D("550-5.1.1 no|550 5.1.1 user|", "550-5.1.1 no|550 5.1.1 user|",
	    "") } },
	{ "a whole message, refused and taken", NULL, 0,
	    "1 a@b 1/1 5 ok: 250 queued;", {
	    EHLO_PLAIN,
	    MAIL_RCPT,
	    C("RCPT TO:<e@f>|", "", "RCPT TO:<e@f>|"),
	    D("550 no|", "550 no|", ""),
	    DATA_354,
	    C("abc|.|", "", "abc|.|"),
	    D("250 queued|", "250 queued|", ""),
	    C("QUIT|", "", "QUIT|"),
	    STEP('D', "221 bye|", "221 bye|", "", "co") } },
	{ "message refused at its end", NULL, 0,
	    "1 a@b 1/0 5 refused: 554-5.7.1 spam;", {
	    EHLO_PLAIN, MAIL_RCPT, DATA_354,
	    C("abc|.|", "", "abc|.|"),
	    D("554-5.7.1 spam|554 5.7.1 really|",
	    "554-5.7.1 spam|554 5.7.1 really|", ""),
	    C("NOOP|", "", "NOOP|"), D("250 ok|", "250 ok|", "") } },
	{ "mail refused", NULL, 0, "1 a@b 0/0 0 refused: 550 no;"
	    "2 a@b 0/0 0 client closed: -;", {
	    EHLO_PLAIN,
	    C("MAIL FROM:<a@b>|", "", "MAIL FROM:<a@b>|"),
	    D("550 no|", "550 no|", ""),
	    C("MAIL FROM:<a@b>|", "", "MAIL FROM:<a@b>|"),
	    D("250 ok|", "250 ok|", ""),
	    STEP('c', "", "", "", "co") } },
	{ "DATA refused, the transaction stands", NULL, 0,
	    "1 a@b 1/0 2 ok: 250 ok;", {
	    EHLO_PLAIN, MAIL_RCPT,
	    C("DATA|", "", "DATA|"), D("451 later|", "451 later|", ""),
	    DATA_354,
	    C("|.|", "", "|.|"), D("250 ok|", "250 ok|", "") } },
	{ "RSET and EHLO end transactions", NULL, 0,
	    "1 a@b 1/0 0 reset: -;2 a@b 1/0 0 abandoned: -;"
	    "3 x@y 0/0 0 client closed: -;", {
	    EHLO_PLAIN, MAIL_RCPT,
	    C("RSET|", "", "RSET|"), D("250 ok|", "250 ok|", ""),
	    MAIL_RCPT,
	    C("EHLO c|", "", "EHLO c|"), D("250 mx|", "250 mx|", ""),
	    C("MAIL FROM:<x@y>|", "", "MAIL FROM:<x@y>|"),
	    D("250 ok|", "250 ok|", ""),
	    STEP('c', "", "", "", "co") } },
	{ "EHLO is answered with 250 only", NULL, 0, "", {
	    GREETED,
	    C("EHLO c|", "", "EHLO c|"),
	    STEP('D', "220-mx|220 PIPELINING|", BAD_451 BYE_430, "", "co") } },
	{ "a greeting is a 220", NULL, 0, "", {
	    STEP('D', "250 mx|", "", "", "n"),
	    STEP('N', "", "", "", ""),
	    D("220 b|", "220 b|", "") } },
	{ "EHLO or RSET refused changes nothing", NULL, 0,
	    "1 a@b 1/0 2 ok: 250 ok;", {
	    EHLO_PLAIN, MAIL_RCPT,
	    C("EHLO c|", "", "EHLO c|"), D("501 no|", "501 no|", ""),
	    C("RSET|", "", "RSET|"), D("451 no|", "451 no|", ""),
	    DATA_354,
	    C("|.|", "", "|.|"), D("250 ok|", "250 ok|", "") } },
	{ "MAIL within a transaction is the destination's to judge", NULL, 0,
	    "2 x@y 0/0 0 refused: 503 nested;1 a@b 1/0 0 abandoned: -;"
	    "3 x@y 0/1 0 client closed: 550 no;", {
	    EHLO_FULL, MAIL_RCPT,
	    C("MAIL FROM:<x@y>|", "", "MAIL FROM:<x@y>|"),
	    D("503 nested|", "503 nested|", ""),
	    C("MAIL FROM:<x@y>|", "", "MAIL FROM:<x@y>|"),
	    C("RCPT TO:<c@d>|", "", ""),
	    D("250 ok|", "250 ok|", "RCPT TO:<c@d>|"),
	    D("550 no|", "550 no|", ""),
	    STEP('c', "", "", "", "co") } },
	{ "a pass-verb goes out alone", set_pass_verb, 0, "", {
	    EHLO_FULL,
	    C("xstat 1|", "", "xstat 1|"), C("RSET|NOOP|", "", ""),
	    D("250 ok|", "250 ok|", "RSET|NOOP|"),
	    C("XSTAT|RSET|", "", ""),
	    D("250 a|", "250 a|", ""),
	    D("250 b|", "250 b|", "XSTAT|"),
	    D("550 c|", "550 c|", "RSET|"),
	    D("250 d|", "250 d|", ""),
	    C("RSET|XSTAT|RSET|", "", "RSET|"),
	    D("250 a|", "250 a|", "XSTAT|"), D("250 b|", "250 b|", "RSET|"),
	    D("250 c|", "250 c|", ""),
	    C("XSTAT|", "", "XSTAT|"),
	    STEP('D', "334 x|", BAD_451 BYE_430, "", "co") } },
	{ "max-errors, ours and the destination's", set_errors_3, 0, "", {
	    EHLO_PLAIN,
	    C("X|", "502 5.5.1 command not implemented|", ""),
	    C("VRFY x|", "", "VRFY x|"), D("502 no|", "502 no|", ""),
	    C("RSET|", "", "RSET|"), D("450 no|", "450 no|", ""),
	    C("VRFY x|", "", "VRFY x|"), D("550 no|", "550 no|", ""),
	    STEP('C', "Y|RSET|", "502 5.5.1 command not implemented|"
	    TOO_MANY, "", "co") } },
	{ "max-errors by a reply", set_errors_3, 0, "", {
	    EHLO_FULL,
	    C("X|", "502 5.5.1 command not implemented|", ""),
	    C("X|", "502 5.5.1 command not implemented|", ""),
	    C("RSET|RSET|RSET|", "", "RSET|RSET|RSET|"),
	    D("500 what|", "500 what|", ""),
	    D("250 ok|", "250 ok|", ""),
	    STEP('D', "250 ok|", "250 ok|" TOO_MANY, "", "co") } },
};

static const struct script pipelined[] = {
	{ "a batch in one go", NULL, 0, "1 a@b 2/1 5 ok: 250 q;", {
	    EHLO_FULL,
	    C("MAIL FROM:<a@b>|RCPT TO:<1@d>|RCPT TO:<2@d>|RCPT TO:<3@d>|"
	    "DATA|", "", "MAIL FROM:<a@b>|RCPT TO:<1@d>|RCPT TO:<2@d>|"
	    "RCPT TO:<3@d>|DATA|"),
	    D("250 m|250 1|", "250 m|250 1|", ""),
	    D("550 2|250 3|354 go|", "550 2|250 3|354 go|", ""),
	    C("abc|.|RSET|QUIT|", "", "abc|.|RSET|QUIT|"),
	    D("250 q|250 r|", "250 q|250 r|", ""),
	    STEP('D', "221 bye|", "221 bye|", "", "co") } },
	{ "local refusals wait for their turn", NULL, 0, NULL, {
	    EHLO_FULL,
	    C("RSET|X|RSET|NO\nOP|X|", "", "RSET|RSET|"),
	    D("250 a|", "250 a|502 5.5.1 command not implemented|", ""),
	    D("250 b|", "250 b|500 5.5.2 bare LF in command|"
	    "502 5.5.1 command not implemented|", ""),
	    C("RSET|X|MAIL FROM:<a@b>|RCPT TO:<>|RSET|", "",
	    "RSET|MAIL FROM:<a@b>|RSET|"),
	    D("250 a|250 b|250 c|",
	    "250 a|502 5.5.1 command not implemented|250 b|"
	    "501 5.5.4 syntax: RCPT TO:<address> [parameters]|250 c|",
	    "") } },
	{ "without PIPELINING one command at a time", NULL, 0, NULL, {
	    EHLO_PLAIN,
	    C("MAIL FROM:<a@b>|RCPT TO:<c@d>|X|RSET|", "",
	    "MAIL FROM:<a@b>|"),
	    D("250 m|", "250 m|", "RCPT TO:<c@d>|"),
	    D("250 r|", "250 r|502 5.5.1 command not implemented|", "RSET|"),
	    D("250 z|", "250 z|", "") } },
	{ "before EHLO likewise", NULL, 0, NULL, {
	    GREETED,
	    C("RSET|RSET|", "", "RSET|"),
	    D("250 a|", "250 a|", "RSET|"), D("250 b|", "250 b|", "") } },
	{ "HELO takes PIPELINING back", NULL, 0, NULL, {
	    EHLO_FULL,
	    C("HELO c|", "", "HELO c|"), D("250 mx|", "250 mx|", ""),
	    C("RSET|RSET|", "", "RSET|"),
	    D("250 a|", "250 a|", "RSET|"), D("250 b|", "250 b|", ""),
	    C("BDAT 3|abc", "502 5.5.1 BDAT not offered|", "") } },
	{ "what ends a group holds the rest", NULL, 0, NULL, {
	    EHLO_FULL,
	    C("RSET|NOOP|RSET|VRFY x|RSET|", "", "RSET|NOOP|"),
	    D("250 a|", "250 a|", ""),
	    D("250 b|", "250 b|", "RSET|VRFY x|"),
	    D("250 c|252 d|", "250 c|252 d|", "RSET|"),
	    D("250 e|", "250 e|", ""),
	    C("EXPN x|X|HELP|ETRN x|QUIT|RSET|", "", "EXPN x|"),
	    D("550 a|", "550 a|502 5.5.1 command not implemented|",
	    "HELP|"),
	    D("214 b|", "214 b|", "ETRN x|"),
	    D("250 c|", "250 c|", "QUIT|"),
	    STEP('D', "221 d|", "221 d|", "", "co") } },
	{ "the rest behind EHLO sees the new keywords", NULL, 0, NULL, {
	    EHLO_FULL,
	    C("EHLO c|RSET|RSET|", "", "EHLO c|"),
	    D("250-mx|250 DSN|", "250-mx|250 DSN|", "RSET|"),
	    D("250 a|", "250 a|", "RSET|"), D("250 b|", "250 b|", "") } },
	{ "pipelined MAIL in a transaction waits", NULL, 0,
	    "1 a@b 0/0 0 reset: -;2 a@b 1/0 2 ok: 250 q;"
	    "3 x@y 0/0 0 client closed: -;", {
	    EHLO_FULL,
	    C("MAIL FROM:<a@b>|RSET|MAIL FROM:<a@b>|RCPT TO:<c@d>|DATA|", "",
	    "MAIL FROM:<a@b>|RSET|MAIL FROM:<a@b>|RCPT TO:<c@d>|DATA|"),
	    D("250 a|250 b|250 c|250 d|354 e|",
	    "250 a|250 b|250 c|250 d|354 e|", ""),
	    C("|.|MAIL FROM:<x@y>|", "", "|.|MAIL FROM:<x@y>|"),
	    D("250 q|250 m|", "250 q|250 m|", ""),
	    STEP('c', "", "", "", "co") } },
	{ "a third transaction waits for the first two", NULL, 0,
	    "1 a@b 0/0 0 reset: -;2 a@b 0/0 0 reset: -;"
	    "3 a@b 0/0 0 client closed: -;", {
	    EHLO_FULL,
	    C("MAIL FROM:<a@b>|RSET|MAIL FROM:<a@b>|RSET|MAIL FROM:<a@b>|",
	    "", "MAIL FROM:<a@b>|RSET|MAIL FROM:<a@b>|RSET|"),
	    D("250 a|250 b|250 c|", "250 a|250 b|250 c|", ""),
	    D("250 d|", "250 d|", "MAIL FROM:<a@b>|"),
	    D("250 e|", "250 e|", ""),
	    STEP('c', "", "", "", "co") } },
	{ "octets behind DATA, in one piece", NULL, SCRIPT_WHOLE,
	    "1 a@b 1/0 0 improper command pipelining: -;", {
	    EHLO_FULL, MAIL_RCPT,
	    STEP('C', "DATA|abc|.|", IMPROPER, "", "co") } },
	{ "octets behind DATA, forwarded already", NULL, 0,
	    "1 a@b 1/0 0 improper command pipelining: -;", {
	    EHLO_FULL, MAIL_RCPT,
	    C("DATA|", "", "DATA|"),
	    STEP('C', "abc|.|", IMPROPER, "", "co") } },
	{ "octets behind DATA, replies due", NULL, 0,
	    "1 a@b 1/0 0 improper command pipelining: -;", {
	    EHLO_FULL,
	    C("MAIL FROM:<a@b>|RCPT TO:<c@d>|DATA|", "",
	    "MAIL FROM:<a@b>|RCPT TO:<c@d>|DATA|"),
	    C("abc|.|RSET|", "", ""),
	    D("250 m|", "250 m|", ""),
	    STEP('D', "250 r|354 go|", "250 r|" IMPROPER, "", "co") } },
	{ "octets behind DATA, replies due, in one piece", NULL,
	    SCRIPT_WHOLE, NULL, {
	    EHLO_FULL,
	    C("MAIL FROM:<a@b>|RCPT TO:<c@d>|DATA|abc|.|", "",
	    "MAIL FROM:<a@b>|RCPT TO:<c@d>|"),
	    D("250 m|", "250 m|", ""),
	    STEP('D', "250 r|", "250 r|" IMPROPER, "", "co") } },
	{ "behind a DATA that we refuse", NULL, SCRIPT_WHOLE, NULL, {
	    EHLO_FULL, MAIL_RCPT,
	    C("BDAT 1|x", "", "BDAT 1|x"),
	    STEP('C', "DATA|abc|.|", "", "", ""),
	    STEP('D', "250 ok|", "250 ok|503 5.5.1 DATA mixed with BDAT|"
	    IMPROPER, "", "co") } },
	{ "behind a DATA whose refusal waits", NULL, 0, NULL, {
	    EHLO_FULL, MAIL_RCPT,
	    C("BDAT 1|x", "", "BDAT 1|x"),
	    C("DATA|", "", ""), C("abc|.|", "", ""),
	    STEP('D', "250 ok|", "250 ok|503 5.5.1 DATA mixed with BDAT|"
	    IMPROPER, "", "co") } },
	{ "DATA refused by us, then on", NULL, 0, NULL, {
	    EHLO_FULL, MAIL_RCPT,
	    C("BDAT 1|x", "", "BDAT 1|x"), C("DATA|", "", ""),
	    D("250 ok|", "250 ok|503 5.5.1 DATA mixed with BDAT|", ""),
	    C("RSET|", "", "RSET|"), D("250 ok|", "250 ok|", "") } },
	{ "behind STARTTLS", NULL, SCRIPT_WHOLE, "", {
	    EHLO_FULL,
	    STEP('C', "STARTTLS|RSET|", "502 5.5.1 STARTTLS not offered|"
	    IMPROPER, "", "co") } },
};

#define AUTH_OFFERED							\
	GREETED,							\
	C("EHLO c|", "", "EHLO c|"),					\
	D("250-mx|250-PIPELINING|250 AUTH GSSAPI PLAIN DIGEST-MD5 LOGIN|", \
	    "250-mx|250-PIPELINING|250 AUTH PLAIN LOGIN|", "")
#define A32	"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
#define A64	A32 A32
#define A1024	A64 A64 A64 A64 A64 A64 A64 A64 A64 A64 A64 A64 A64 A64 A64 A64

static const struct script auth[] = {
	{ "AUTH with an initial response", NULL, 0, "", {
	    AUTH_OFFERED,
	    STEP('C', "auth plain AGEAYg==|", "", "auth plain AGEAYg==|",
	    "w"),
	    D("235 ok|", "235 ok|", ""),
	    C("NOOP|", "", "NOOP|"), D("250 ok|", "250 ok|", "") } },
	{ "AUTH in three steps", NULL, 0, "", {
	    AUTH_OFFERED,
	    STEP('C', "AUTH LOGIN|", "", "AUTH LOGIN|", "w"),
	    D("334 VXNlcg==|", "334 VXNlcg==|", ""),
	    STEP('C', "QUIT|", "", "QUIT|", "w"),
	    D("334 |", "334 |", ""),
	    STEP('C', "|", "", "|", "w"),
	    D("535 no|", "535 no|", ""),
	    C("NOOP|", "", "NOOP|"), D("250 ok|", "250 ok|", "") } },
	{ "AUTH cancelled", NULL, 0, "", {
	    AUTH_OFFERED,
	    STEP('C', "AUTH PLAIN|", "", "AUTH PLAIN|", "w"),
	    D("334 |", "334 |", ""),
	    STEP('C', "*|", "", "*|", "w"),
	    D("501 cancelled|", "501 cancelled|", ""),
	    C("RSET|RSET|", "", "RSET|RSET|"),
	    D("250 a|250 b|", "250 a|250 b|", "") } },
	{ "AUTH not offered, or not this mechanism", NULL, 0, "", {
	    EHLO_FULL,
	    STEP('C', "AUTH PLAIN AGEAYg==|",
	    "503 5.5.1 AUTH not offered|", "", "w"),
	    C("EHLO c|", "", "EHLO c|"),
	    D("250-mx|250 AUTH GSSAPI|", "250 mx|", ""),
	    STEP('C', "AUTH GSSAPI|", "503 5.5.1 AUTH not offered|", "",
	    "w"),
	    C("EHLO c|", "", "EHLO c|"),
	    D("250-mx|250 AUTH PLAIN|", "250-mx|250 AUTH PLAIN|", ""),
	    STEP('C', "AUTH GSSAPI|",
	    "504 5.5.4 mechanism not supported|", "", "w"),
	    STEP('C', "AUTH|", "501 5.5.4 syntax: AUTH mechanism|", "",
	    "w"),
	    STEP('C', "AUTHX PLAIN|", "502 5.5.1 command not implemented|",
	    "", "w"),
	    STEP('C', "AUTH\tPLAIN x|", "502 5.5.1 command not implemented|",
	    "", "w") } },
	{ "a long initial response", NULL, 0, "", {
	    AUTH_OFFERED,
	    STEP('C', "AUTH PLAIN " A1024 A1024 A1024 A1024 A1024 A1024
	    A1024 A1024 A1024 A1024 A1024 "|", "",
	    "AUTH PLAIN " A1024 A1024 A1024 A1024 A1024 A1024 A1024 A1024
	    A1024 A1024 A1024 "|", "w"),
	    D("334 " A1024 "|", "334 " A1024 "|", ""),
	    STEP('C', A1024 A1024 A1024 A1024 A1024 A1024 A1024 A1024 A1024
	    A1024 A1024 "|", "", A1024 A1024 A1024 A1024 A1024 A1024
	    A1024 A1024 A1024 A1024 A1024 "|", "w"),
	    D("235 ok|", "235 ok|", "") } },
	{ "a line too long for us ends the session", NULL, 0, "", {
	    AUTH_OFFERED,
	    STEP('C', "AUTH PLAIN|", "", "AUTH PLAIN|", "w"),
	    D("334 |", "334 |", ""),
	    STEP('C', A1024 A1024 A1024 A1024 A1024 A1024 A1024 A1024 A1024
	    A1024 A1024 A1024 "|",
	    "421 4.7.0" GW "bad line in AUTH exchange|", "", "co") } },
	{ "bare LF in the exchange", NULL, 0, "", {
	    AUTH_OFFERED,
	    STEP('C', "AUTH PLAIN|", "", "AUTH PLAIN|", "w"),
	    D("334 |", "334 |", ""),
	    STEP('C', "AA\nBB|",
	    "421 4.7.0" GW "bad line in AUTH exchange|", "", "co") } },
	{ "AUTH in a line that is none", NULL, 0, "", {
	    AUTH_OFFERED,
	    STEP('C', "AUTH PLAIN x\n|", "500 5.5.2 bare LF in command|",
	    "", "w"),
	    C("NOOP|", "", "NOOP|"), D("250 ok|", "250 ok|", "") } },
	{ "octets behind AUTH in one piece", NULL, SCRIPT_WHOLE, "", {
	    AUTH_OFFERED,
	    STEP('C', "AUTH PLAIN x|RSET|", IMPROPER, "", "cow") } },
	{ "octets behind AUTH, forwarded already", NULL, 0, "", {
	    AUTH_OFFERED,
	    STEP('C', "AUTH PLAIN x|", "", "AUTH PLAIN x|", "w"),
	    STEP('C', "RSET|", IMPROPER, "", "co") } },
	{ "octets behind a line of the exchange", NULL, SCRIPT_WHOLE, "", {
	    AUTH_OFFERED,
	    STEP('C', "AUTH PLAIN|", "", "AUTH PLAIN|", "w"),
	    D("334 |", "334 |", ""),
	    STEP('C', "x|RSET|", IMPROPER, "", "cow") } },
	{ "and behind one that is out", NULL, 0, "", {
	    AUTH_OFFERED,
	    STEP('C', "AUTH PLAIN|", "", "AUTH PLAIN|", "w"),
	    D("334 |", "334 |", ""),
	    STEP('C', "x|", "", "x|", "w"),
	    STEP('C', "RSET|", IMPROPER, "", "co") } },
	{ "octets behind an AUTH that we refuse", NULL, SCRIPT_WHOLE, "", {
	    EHLO_FULL,
	    STEP('C', "AUTH PLAIN x|y|", "503 5.5.1 AUTH not offered|"
	    IMPROPER, "", "cow") } },
	{ "client leaves inside", NULL, 0, "", {
	    AUTH_OFFERED,
	    STEP('C', "AUTH PLAIN|", "", "AUTH PLAIN|", "w"),
	    D("334 |", "334 |", ""),
	    STEP('c', "", "", "", "co") } },
	{ "client leaves before the 334", NULL, 0, "", {
	    AUTH_OFFERED,
	    STEP('C', "AUTH PLAIN|", "", "AUTH PLAIN|", "w"),
	    STEP('c', "", "", "", ""),
	    STEP('D', "334 |", "334 |", "", "co") } },
	{ "334 to something else", NULL, 0, "", {
	    AUTH_OFFERED,
	    C("NOOP|", "", "NOOP|"),
	    STEP('D', "334 x|", BAD_451 BYE_430, "", "co") } },
	{ "354 to AUTH", NULL, 0, "", {
	    AUTH_OFFERED,
	    STEP('C', "AUTH PLAIN x|", "", "AUTH PLAIN x|", "w"),
	    STEP('D', "354 x|", BAD_451 BYE_430, "", "co") } },
	{ "421 inside", NULL, 0, "", {
	    AUTH_OFFERED,
	    STEP('C', "AUTH LOGIN|", "", "AUTH LOGIN|", "w"),
	    D("334 a|", "334 a|", ""),
	    STEP('C', "x|", "", "x|", "w"),
	    STEP('D', "421 bye|", "421 bye|", "", "co") } },
	{ "the destination goes while the client thinks", NULL, 0, "", {
	    AUTH_OFFERED,
	    STEP('C', "AUTH LOGIN|", "", "AUTH LOGIN|", "w"),
	    D("334 a|", "334 a|", ""),
	    STEP('d', "", LOST_421, "", "co") } },
};

static const struct script faults[] = {
	{ "greeting refuses", NULL, 0, "", {
	    STEP('D', "554-no|554 go away|", "554-no|554 go away|", "",
	    "co") } },
	{ "greeting is a 421", NULL, 0, "", {
	    STEP('D', "421 busy|", "421 busy|", "", "co") } },
	{ "greeting is none", NULL, 0, "", {
	    STEP('D', "354 x|220 mx|", "", "", "n"),
	    STEP('N', "", "", "", ""),
	    D("220 two|", "220 two|", ""),
	    C("NOOP|", "", "NOOP|"), D("250 ok|", "250 ok|", "") } },
	{ "greeting is HTTP", NULL, 0, "", {
	    STEP('D', "HTTP/1.1 400 Bad|220 mx|", "", "", "n"),
	    STEP('n', "", "421 4.4.1" GW "destination not available|", "",
	    "co") } },
	{ "greeting with a bare CR", NULL, 0, "", {
	    STEP('D', "220 a\rb|", "", "", "n"),
	    STEP('N', "", "", "", ""),
	    STEP('D', "220 x\n", "220 x|", "", "") } },
	{ "gone before the greeting", NULL, 0, "", {
	    D("220-a|", "", ""),
	    STEP('d', "", "", "", "n"),
	    STEP('N', "", "", "", ""),
	    STEP('x', "", "", "", "n"),
	    STEP('N', "", "", "", ""),
	    D("220 b|", "220 b|", "") } },
	{ "connect fails", NULL, SCRIPT_UNMET, "", {
	    STEP('n', "", "421 4.4.1" GW "destination not available|", "",
	    "co") } },
	{ "pregreet", NULL, 0, "", {
	    STEP('C', "E", "554 5.5.1 you must wait for the greeting|", "",
	    "co") } },
	{ "pregreet, not even connected", NULL, SCRIPT_UNMET, "", {
	    STEP('C', "EHLO c|", "554 5.5.1 you must wait for the greeting|",
	    "", "co") } },
	{ "pregreet allowed", set_pregreet, 0, "", {
	    C("EHLO c|", "", ""),
	    D("220 mx|", "220 mx|", "EHLO c|"),
	    D("250 mx|", "250 mx|", "") } },
	{ "client gone before the greeting", NULL, 0, "", {
	    STEP('c', "", "", "", "co") } },
	{ "client reset before the greeting", NULL, SCRIPT_UNMET, "", {
	    STEP('r', "", "", "", "co") } },
	{ "unasked reply right behind the greeting", NULL, SCRIPT_WHOLE, "", {
	    STEP('D', "220 a|220 b|", "220 a|" UNEXPECTED, "", "co") } },
	{ "unasked reply", NULL, 0, "", {
	    EHLO_PLAIN,
	    STEP('D', "250 hello|", UNEXPECTED, "", "co") } },
	{ "unasked 5xx", NULL, 0, "", {
	    EHLO_PLAIN,
	    STEP('D', "550 hello|", UNEXPECTED, "", "co") } },
	{ "unasked 421", NULL, 0, "", {
	    EHLO_PLAIN,
	    STEP('D', "421-a|421 idle|", "421-a|421 idle|", "", "co") } },
	{ "one reply too many", NULL, 0, NULL, {
	    EHLO_PLAIN,
	    C("NOOP|", "", "NOOP|"),
	    STEP('D', "250 a|250 b|", "250 a|" UNEXPECTED, "", "co") } },
	{ "421 for the oldest, the rest hear nothing", NULL, 0,
	    "1 a@b 1/0 0 destination closed: 421 bye;", {
	    EHLO_FULL,
	    C("MAIL FROM:<a@b>|RCPT TO:<c@d>|X|DATA|", "",
	    "MAIL FROM:<a@b>|RCPT TO:<c@d>|DATA|"),
	    D("250 m|", "250 m|", ""),
	    STEP('D', "421 bye|250 no|354 no|", "421 bye|", "", "co") } },
	{ "421 to QUIT", NULL, 0, "", {
	    EHLO_PLAIN,
	    C("QUIT|", "", "QUIT|"),
	    STEP('D', "421 bye|", "421 bye|", "", "co") } },
	{ "421 to MAIL", NULL, 0,
	    "1 a@b 0/0 0 destination closed: 421 bye;", {
	    EHLO_PLAIN,
	    C("MAIL FROM:<a@b>|", "", "MAIL FROM:<a@b>|"),
	    STEP('D', "421 bye|", "421 bye|", "", "co") } },
	{ "421 to the final dot", NULL, 0,
	    "1 a@b 1/0 2 destination closed: 421 bye;", {
	    EHLO_PLAIN, MAIL_RCPT, DATA_354,
	    C("|.|", "", "|.|"),
	    STEP('D', "421 bye|", "421 bye|", "", "co") } },
	{ "destination goes, idle", NULL, 0, "", {
	    EHLO_PLAIN,
	    STEP('d', "", LOST_421, "", "co") } },
	{ "destination breaks, idle", NULL, 0, "", {
	    EHLO_PLAIN,
	    STEP('x', "", LOST_421, "", "co") } },
	{ "destination goes with commands due", NULL, 0,
	    "1 a@b 1/0 0 destination closed: 421 4.4.2" GW
	    "lost connection with destination;", {
	    EHLO_FULL,
	    C("MAIL FROM:<a@b>|RCPT TO:<c@d>|X|", "",
	    "MAIL FROM:<a@b>|RCPT TO:<c@d>|"),
	    STEP('d', "", LOST_421, "", "co") } },
	{ "destination goes within a reply", NULL, 0, NULL, {
	    EHLO_PLAIN,
	    C("NOOP|", "", "NOOP|"),
	    D("250-a|250", "", ""),
	    STEP('d', "", LOST_421, "", "co") } },
	{ "what it said before it went counts", NULL, 0, NULL, {
	    EHLO_PLAIN,
	    C("NOOP|", "", "NOOP|"),
	    D("250 a|", "250 a|", ""),
	    STEP('d', "", LOST_421, "", "co") } },
	{ "destination goes after DATA", NULL, 0, NULL, {
	    EHLO_PLAIN, MAIL_RCPT,
	    C("DATA|", "", "DATA|"),
	    STEP('d', "", LOST_421, "", "co") } },
	{ "LF-ended replies", NULL, 0, NULL, {
	    GREETED,
	    C("EHLO c|", "", "EHLO c|"),
	    D("250-mx\n250 DSN\n", "250-mx|250 DSN|", ""),
	    C("NOOP|", "", "NOOP|"),
	    D("250-a\n250-b|250 c\n", "250-a|250-b|250 c|", "") } },
	{ "mixed codes", NULL, 0, NULL, {
	    EHLO_PLAIN,
	    C("NOOP|", "", "NOOP|"),
	    STEP('D', "250-a|251 b|", BAD_451 BYE_430, "", "co") } },
	{ "mixed codes, the rest is dropped", NULL, 0, NULL, {
	    EHLO_FULL,
	    C("RSET|RSET|X|", "", "RSET|RSET|"),
	    STEP('D', "250-a|550-b|250 c|250 d|", BAD_451 BYE_430, "",
	    "co") } },
	{ "no code", NULL, 0, NULL, {
	    EHLO_PLAIN,
	    C("NOOP|", "", "NOOP|"),
	    STEP('D', "ok|", BAD_451 BYE_430, "", "co") } },
	{ "050 lines of VERB", NULL, 0, NULL, {
	    EHLO_PLAIN,
	    C("NOOP|", "", "NOOP|"),
	    STEP('D', "050 x|250 ok|", BAD_451 BYE_430, "", "co") } },
	{ "code out of range", NULL, 0, NULL, {
	    EHLO_PLAIN,
	    C("NOOP|", "", "NOOP|"),
	    STEP('D', "260 x|", BAD_451 BYE_430, "", "co") } },
	{ "1yz", NULL, 0, NULL, {
	    EHLO_PLAIN,
	    C("NOOP|", "", "NOOP|"),
	    STEP('D', "150 x|", BAD_451 BYE_430, "", "co") } },
	{ "empty line", NULL, 0, NULL, {
	    EHLO_PLAIN,
	    C("NOOP|", "", "NOOP|"),
	    STEP('D', "|", BAD_451 BYE_430, "", "co") } },
	{ "code alone is a reply", NULL, 0, NULL, {
	    EHLO_PLAIN,
	    C("NOOP|", "", "NOOP|"), D("250|", "250|", "") } },
	{ "bare CR in a reply", NULL, 0, NULL, {
	    EHLO_PLAIN,
	    C("NOOP|", "", "NOOP|"),
	    STEP('D', "250 a\rb|", BAD_451 BYE_430, "", "co") } },
	{ "NUL in a reply", NULL, 0, NULL, {
	    EHLO_PLAIN,
	    C("NOOP|", "", "NOOP|"),
	    STEP('D', "250 a\0b|", BAD_451 BYE_430, "", "co") } },
	{ "8-bit in a reply", NULL, 0, NULL, {
	    EHLO_PLAIN,
	    C("NOOP|", "", "NOOP|"),
	    STEP('D', "250 \xc3\xa9|", BAD_451 BYE_430, "", "co") } },
	{ "8-bit with SMTPUTF8", NULL, 0, NULL, {
	    EHLO_WITH("250-SMTPUTF8|"),
	    C("NOOP|", "", "NOOP|"),
	    D("250 \xc3\xa9|", "250 \xc3\xa9|", "") } },
	{ "2xx to DATA", NULL, 0, NULL, {
	    EHLO_PLAIN, MAIL_RCPT,
	    C("DATA|", "", "DATA|"),
	    STEP('D', "250 ok|", BAD_451 BYE_430, "", "co") } },
	{ "354 to RCPT", NULL, 0, NULL, {
	    EHLO_FULL,
	    C("MAIL FROM:<a@b>|RCPT TO:<c@d>|DATA|", "",
	    "MAIL FROM:<a@b>|RCPT TO:<c@d>|DATA|"),
	    D("250 m|", "250 m|", ""),
	    STEP('D', "354 go|", BAD_451 BYE_430, "", "co") } },
	{ "3xx to MAIL", NULL, 0, NULL, {
	    EHLO_FULL,
	    C("MAIL FROM:<a@b>|", "", "MAIL FROM:<a@b>|"),
	    STEP('D', "350 go|", BAD_451 BYE_430, "", "co") } },
	{ "354 to the final dot", NULL, 0,
	    "1 a@b 1/0 2 malformed reply: 451 4.3.0" GW
	    "malformed reply from destination;", {
	    EHLO_PLAIN, MAIL_RCPT, DATA_354,
	    C("|.|", "", "|.|"),
	    STEP('D', "354 go|", BAD_451 BYE_430, "", "co") } },
	{ "garbled reply to the final dot", NULL, 0, NULL, {
	    EHLO_PLAIN, MAIL_RCPT, DATA_354,
	    C("|.|", "", "|.|"),
	    STEP('D', "250-ok|25", "", "", ""),
	    STEP('D', "|", BAD_451 BYE_430, "", "co") } },
	{ "destination goes after the final dot", NULL, 0,
	    "1 a@b 1/0 2 destination closed: 421 4.4.2" GW
	    "lost connection with destination;", {
	    EHLO_PLAIN, MAIL_RCPT, DATA_354,
	    C("|.|", "", "|.|"),
	    STEP('d', "", LOST_421, "", "co") } },
	{ "destination goes within the reply to it", NULL, 0, NULL, {
	    EHLO_PLAIN, MAIL_RCPT, DATA_354,
	    C("|.|", "", "|.|"),
	    D("250 ok", "", ""),
	    STEP('x', "", LOST_421, "", "co") } },
	{ "failed by the session", NULL, 0, NULL, {
	    EHLO_FULL,
	    C("RSET|RSET|X|", "", "RSET|RSET|"),
	    STEP('f', "", "421 4.3.0" GW "service not available|", "",
	    "co") } },
	{ "a reply to a command that is not out yet", NULL, 0, NULL, {
	    EHLO_FULL,
	    STEP('b', "", "", "", ""),
	    C("RSET|", "", ""),
	    STEP('D', "250 ok|", UNEXPECTED, "", "co") } },
	{ "but a 421 is one at any time", NULL, 0, NULL, {
	    EHLO_FULL,
	    STEP('b', "", "", "", ""),
	    C("RSET|", "", ""),
	    STEP('D', "421 bye|", "421 bye|", "", "co") } },
	{ "one for a command that is, among some that are not", NULL, 0,
	    NULL, {
	    EHLO_FULL,
	    C("RSET|", "", "RSET|"),
	    STEP('b', "", "", "", ""),
	    C("RSET|", "", ""),
	    D("250 a|", "250 a|", ""),
	    STEP('u', "", "", "RSET|", ""),
	    D("250 b|", "250 b|", "") } },
};

static const struct script clients[] = {
	{ "FIN with replies due: they are delivered", NULL, 0,
	    "1 a@b 1/0 0 client closed: -;", {
	    EHLO_FULL,
	    C("MAIL FROM:<a@b>|RCPT TO:<c@d>|X|", "",
	    "MAIL FROM:<a@b>|RCPT TO:<c@d>|"),
	    STEP('c', "", "", "", ""),
	    D("250 m|", "250 m|", ""),
	    STEP('D', "250 r|", "250 r|502 5.5.1 command not implemented|",
	    "", "co") } },
	{ "FIN behind half a command", NULL, 0, "", {
	    EHLO_FULL,
	    C("RSET|NOO", "", "RSET|"),
	    STEP('c', "", "", "", ""),
	    STEP('D', "250 r|", "250 r|", "", "co") } },
	{ "FIN with commands held", NULL, 0, "", {
	    EHLO_PLAIN,
	    C("NOOP|RSET|QUIT|", "", "NOOP|"),
	    STEP('c', "", "", "", ""),
	    D("250 a|", "250 a|", "RSET|"),
	    D("250 b|", "250 b|", "QUIT|"),
	    STEP('D', "221 c|", "221 c|", "", "co") } },
	{ "FIN while MAIL is held", NULL, 0, NULL, {
	    EHLO_FULL,
	    C("MAIL FROM:<a@b>|MAIL FROM:<x@y>|", "", "MAIL FROM:<a@b>|"),
	    STEP('c', "", "", "", ""),
	    D("250 a|", "250 a|", "MAIL FROM:<x@y>|"),
	    STEP('D', "503 b|", "503 b|", "", "co") } },
	{ "FIN behind DATA", NULL, 0,
	    "1 a@b 1/0 0 client closed inside a message: -;", {
	    EHLO_FULL, MAIL_RCPT,
	    C("DATA|", "", "DATA|"),
	    STEP('c', "", "", "", ""),
	    STEP('D', "354 go|", "", "", "co") } },
	{ "FIN behind a DATA that is refused", NULL, 0, NULL, {
	    EHLO_FULL, MAIL_RCPT,
	    C("DATA|", "", "DATA|"),
	    STEP('c', "", "", "", ""),
	    STEP('D', "554 no|", "554 no|", "", "co") } },
	{ "reset between commands", NULL, 0,
	    "1 a@b 1/0 0 connection lost: -;", {
	    EHLO_FULL, MAIL_RCPT,
	    STEP('r', "", "", "", "co") } },
	{ "reset with replies due", NULL, 0, NULL, {
	    EHLO_FULL,
	    C("MAIL FROM:<a@b>|RCPT TO:<c@d>|", "",
	    "MAIL FROM:<a@b>|RCPT TO:<c@d>|"),
	    STEP('r', "", "", "", "co") } },
	{ "stop while idle", NULL, 0, "", {
	    EHLO_FULL,
	    STEP('s', "", "421 4.3.2" GW "service shutting down|", "",
	    "co") } },
	{ "stop before the greeting", NULL, 0, "", {
	    STEP('s', "", "421 4.3.2" GW "service shutting down|", "",
	    "co") } },
	{ "stop within a transaction", NULL, 0, "1 a@b 1/0 2 ok: 250 q;", {
	    EHLO_FULL, MAIL_RCPT,
	    STEP('s', "", "", "", ""),
	    DATA_354,
	    C("|.|", "", "|.|"),
	    STEP('D', "250 q|", "250 q|421 4.3.2" GW
	    "service shutting down|", "", "co") } },
	{ "stop: no new transaction behind the last", NULL, 0,
	    "1 a@b 1/0 2 ok: 250 q;", {
	    EHLO_FULL, MAIL_RCPT, DATA_354,
	    STEP('s', "", "", "", ""),
	    C("|.|MAIL FROM:<a@b>|RCPT TO:<c@d>|", "", "|.|"),
	    STEP('D', "250 q|", "250 q|421 4.3.2" GW
	    "service shutting down|", "", "co") } },
	{ "stop with a MAIL held", NULL, 0,
	    "1 a@b 0/0 0 refused: 550 a;", {
	    EHLO_FULL,
	    C("MAIL FROM:<a@b>|MAIL FROM:<x@y>|", "", "MAIL FROM:<a@b>|"),
	    STEP('s', "", "", "", ""),
	    STEP('D', "550 a|", "550 a|421 4.3.2" GW
	    "service shutting down|", "", "co") } },
	{ "stop with a reply due", NULL, 0, "", {
	    EHLO_FULL,
	    C("RSET|", "", "RSET|"),
	    STEP('s', "", "", "", ""),
	    STEP('D', "250 a|", "250 a|421 4.3.2" GW
	    "service shutting down|", "", "co") } },
	{ "stop inside AUTH", NULL, 0, "", {
	    AUTH_OFFERED,
	    STEP('C', "AUTH LOGIN|", "", "AUTH LOGIN|", "w"),
	    STEP('s', "", "", "", ""),
	    D("334 a|", "334 a|", ""),
	    STEP('C', "x|", "", "x|", "w"),
	    STEP('D', "235 ok|", "235 ok|421 4.3.2" GW
	    "service shutting down|", "", "co") } },
	{ "nonsense", set_errors_3, 0, "", {
	    EHLO_FULL,
	    STEP('C', "Host: x|X: y|Z: z||",
	    "502 5.5.1 command not implemented|"
	    "502 5.5.1 command not implemented|"
	    "502 5.5.1 command not implemented|" TOO_MANY, "", "co") } },
};

#define TABLE(name)							\
START_TEST(test_ ## name)						\
{									\
	script_check(&name[_i]);					\
}									\
END_TEST
TABLE(plain)
TABLE(pipelined)
TABLE(auth)
TABLE(faults)
TABLE(clients)

/* The table of the machine has an outcome for each pair. */
START_TEST(test_machine)
{
	int	s, ev;

	for (s = 0; s < SMTP_STATES; s++) {
		ck_assert_ptr_nonnull(smtp_state_name((enum smtp_state)s));
		for (ev = 0; ev < SMTP_EVENTS; ev++)
			ck_assert_msg(smtp_machine[s][ev].fn != NULL,
			    "state %d event %d", s, ev);
	}
}
END_TEST

/* A command line over its verb's length, and one over every length. */
START_TEST(test_long_lines)
{
	static const struct {
		const char	*start;
		size_t		 len;	/* of the line with CRLF */
		int		 is_ok;
	} rows[] = {
		{ "NOOP ", 512, 1 },
		{ "NOOP ", 513, 0 },
		{ "VRFY ", 4000, 0 },
		{ "X", 513, 0 },
		{ "MAIL FROM:<a@b> X=", 2048, 1 },
		{ "MAIL FROM:<a@b> X=", 2049, 0 },
		{ "MAIL FROM:<a@b> X=", 12289, 0 },
		{ "NOOP ", 200000, 0 },
	};
	static const char	want[] = "500 5.5.2 line too long\r\n";
	static uint8_t		line[200000];
	struct play		p;
	size_t			n, cut;

	n = (size_t)_i;
	memset(line, 'x', rows[n].len);
	memcpy(line, rows[n].start, strlen(rows[n].start));
	memcpy(line + rows[n].len - 2, "\r\n", 2);
	for (cut = 0; cut < rows[n].len; cut += rows[n].len / 40 + 1) {
		play_init(&p);
		play_start(&p);
		smtp_engine_connected(&p.e, p.now_ms);
		play_give(&p, SMTP_DEST, "220 x\r\n", 7);
		p.side[SMTP_CLIENT].got.used = 0;
		play_give(&p, SMTP_CLIENT, line, cut);
		play_give(&p, SMTP_CLIENT, line + cut, rows[n].len - cut);
		if (rows[n].is_ok) {
			ck_assert_uint_eq(p.side[SMTP_DEST].got.used,
			    rows[n].len);
			ck_assert_uint_eq(p.side[SMTP_CLIENT].got.used, 0);
		} else {
			ck_assert_uint_eq(p.side[SMTP_DEST].got.used, 0);
			ck_assert_uint_eq(p.side[SMTP_CLIENT].got.used,
			    sizeof(want) - 1);
			ck_assert_mem_eq(p.side[SMTP_CLIENT].got.data, want,
			    sizeof(want) - 1);
			play_give(&p, SMTP_CLIENT, "NOOP\r\n", 6);
			ck_assert_uint_eq(p.side[SMTP_DEST].got.used, 6);
		}
		play_clear(&p);
	}
}
END_TEST

static void
begin_full(struct play *p)
{
	static const char	ehlo[] = "250-mx\r\n250-CHUNKING\r\n"
				    "250 PIPELINING\r\n";

	play_start(p);
	smtp_engine_connected(&p->e, p->now_ms);
	play_give(p, SMTP_DEST, "220 x\r\n", 7);
	play_give(p, SMTP_CLIENT, "EHLO c\r\n", 8);
	play_give(p, SMTP_DEST, ehlo, sizeof(ehlo) - 1);
	p->side[SMTP_CLIENT].got.used = 0;
	p->side[SMTP_DEST].got.used = 0;
}

/*
 * Far more commands than the queue holds, some ours to refuse: every one is
 * answered, in its order.
 */
START_TEST(test_queue_full)
{
	struct play	 p;
	struct play_text commands = { NULL, 0, 0 }, want = { NULL, 0, 0 };
	char		 text[64];
	size_t		 answered = 0, sent = 0;
	int		 i, guard = 0;

	play_init(&p);
	begin_full(&p);
	for (i = 0; i < 700; i++) {
		if (i % 7 == 3 || (i / 100) % 2 == 1) {
			play_add(&commands, "X\r\n", 3);
			play_add(&want,
			    "502 5.5.1 command not implemented\r\n", 35);
			continue;
		}
		(void)snprintf(text, sizeof(text), "RSET\r\n");
		play_add(&commands, text, strlen(text));
		(void)snprintf(text, sizeof(text), "250 %zu\r\n", sent++);
		play_add(&want, text, strlen(text));
	}
	play_give(&p, SMTP_CLIENT, commands.data, commands.used);
	while (answered < sent && guard++ < 2000) {
		size_t	due = p.side[SMTP_DEST].got.used / 6;

		ck_assert_uint_le(due - answered, SMTP_QUEUE_MAX);
		ck_assert_uint_gt(due, answered);
		(void)snprintf(text, sizeof(text), "250 %zu\r\n", answered++);
		play_give(&p, SMTP_DEST, text, strlen(text));
	}
	ck_assert_uint_eq(answered, sent);
	ck_assert_uint_eq(p.side[SMTP_CLIENT].got.used, want.used);
	ck_assert_mem_eq(p.side[SMTP_CLIENT].got.data, want.data, want.used);
	free(commands.data);
	free(want.data);
	play_clear(&p);
}
END_TEST

/* Neither side's flood grows anything: play_check() has the bounds. */
START_TEST(test_endless)
{
	static uint8_t	 octets[65536];
	struct play	 p;
	int		 i;

	memset(octets, 'x', sizeof(octets));
	play_init(&p);
	begin_full(&p);
	for (i = 0; i < 3200; i++)	/* 200 MB without a newline */
		play_give(&p, SMTP_CLIENT, octets, sizeof(octets));
	ck_assert_int_ne(p.is_over, 0);
	ck_assert_uint_eq(p.side[SMTP_DEST].got.used, 0);
	ck_assert_mem_eq(p.side[SMTP_CLIENT].got.data,
	    "500 5.5.2 line too long\r\n421 ", 29);
	play_clear(&p);

	play_init(&p);
	begin_full(&p);
	play_give(&p, SMTP_CLIENT, "NOOP\r\n", 6);
	for (i = 0; i < 3200 && !p.is_over; i++)
		play_give(&p, SMTP_DEST, octets, sizeof(octets));
	ck_assert_int_ne(p.is_over, 0);
	play_clear(&p);
}
END_TEST

/* A reply of endless lines, each of them good. */
START_TEST(test_endless_reply)
{
	static const char	*const verbs[] = { "NOOP", "HELP", "EHLO x" };
	static const unsigned	 max[] = { 64, 1000, 1000 };
	struct play		 p;
	unsigned int		 i, n;

	for (i = 0; i < 3; i++) {
		play_init(&p);
		begin_full(&p);
		play_give(&p, SMTP_CLIENT, verbs[i], strlen(verbs[i]));
		play_give(&p, SMTP_CLIENT, "\r\n", 2);
		for (n = 0; n < 5000 && !p.is_over; n++)
			play_give(&p, SMTP_DEST, "250-abc\r\n", 9);
		ck_assert_uint_eq(n, max[i] + 1);
		ck_assert_mem_eq(p.side[SMTP_CLIENT].got.data, "451", 3);
		play_clear(&p);
	}
}
END_TEST

/* A client that takes nothing is not read, nor is the destination. */
START_TEST(test_client_blocked)
{
	struct play	p;
	int		i;

	play_init(&p);
	begin_full(&p);
	p.side[SMTP_CLIENT].is_blocked = 1;
	for (i = 0; i < 20000; i++)
		play_give(&p, SMTP_CLIENT, "XYZZY\r\n", 7);
	ck_assert_uint_le(p.e.out[SMTP_CLIENT].used, 2 * SMTP_OUT_HIGH);
	ck_assert_uint_gt(p.side[SMTP_CLIENT].in.used, 100000);
	p.side[SMTP_CLIENT].is_blocked = 0;
	play_run(&p);
	ck_assert_uint_eq(p.side[SMTP_CLIENT].in.used, 0);
	ck_assert_uint_eq(p.side[SMTP_CLIENT].got.used, 20000 * 35);
	play_clear(&p);
}
END_TEST

/*
 * Without memory the session ends, whichever buffer it was for; what the
 * client heard before was the destination's.  A buffer that may not grow
 * stands for one that can't.
 */
START_TEST(test_no_memory)
{
	static const struct {
		enum smtp_side	 from;
		const char	*text;
	} says[] = {
		{ SMTP_DEST, "220 x\r\n" },
		{ SMTP_CLIENT, "EHLO c\r\n" },
		{ SMTP_DEST, "250-x\r\n250-AUTH PLAIN\r\n250-CHUNKING\r\n"
		    "250 PIPELINING\r\n" },
		{ SMTP_CLIENT, "AUTH PLAIN\r\n" },
		{ SMTP_DEST, "334 x\r\n" },
		{ SMTP_CLIENT, "eA==\r\n" },
		{ SMTP_DEST, "235 ok\r\n" },
		{ SMTP_CLIENT, "MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nX\r\n"
		    "DATA\r\n" },
		{ SMTP_DEST, "250 ok\r\n250 ok\r\n354 go\r\n" },
		{ SMTP_CLIENT, "abc\r" },
		{ SMTP_CLIENT, "\n.\r\n" },
		{ SMTP_DEST, "250 q\r\n" },
		{ SMTP_CLIENT, "BDAT 3\r\nabcBDAT 3 LAST\r\nab" },
		{ SMTP_CLIENT, "c" },
		{ SMTP_DEST, "250 ok\r\n554 no\r\n" },
		{ SMTP_CLIENT, "BDAT 0\r\nBDAT 0 LAST\r\nRSET\r\n" },
		{ SMTP_DEST, "250 ok\r\n250 ok\r\n250 ok\r\n" },
		{ SMTP_CLIENT, "MAIL FROM:<a@b>\r\nBDAT 3\r\n\n" },
		{ SMTP_DEST, "250 ok\r\n" },
		{ SMTP_CLIENT, "xyQUIT\r\n" }
	};
	const size_t	 n = sizeof(says) / sizeof(says[0]);
	struct play	 p;
	struct buf	*bufs[4];
	size_t		 at, i;

	for (at = 0; at <= n; at++) {
		play_init(&p);
		play_start(&p);
		smtp_engine_connected(&p.e, p.now_ms);
		bufs[0] = &p.e.out[SMTP_CLIENT];
		bufs[1] = &p.e.out[SMTP_DEST];
		bufs[2] = &p.e.held;
		bufs[3] = &p.e.said;
		for (i = 0; i < n; i++) {
			if (i == at)
				bufs[_i]->limit = bufs[_i]->used;
			play_give(&p, says[i].from, says[i].text,
			    strlen(says[i].text));
		}
		play_wait(&p, 10000);
		ck_assert_msg(p.is_over, "buffer %d, step %zu", _i, at);
		play_clear(&p);
	}
}
END_TEST

/* Nothing of an AUTH exchange stays where it was. */
START_TEST(test_wipe)
{
	static const char	ehlo[] = "250-x\r\n250 AUTH PLAIN\r\n";
	struct play		p;
	struct buf_pool		pool;
	const uint8_t		*chunk;
	size_t			i;

	play_init(&p);
	play_start(&p);
	smtp_engine_connected(&p.e, p.now_ms);
	play_give(&p, SMTP_DEST, "220 x\r\n", 7);
	play_give(&p, SMTP_CLIENT, "EHLO c\r\n", 8);
	play_give(&p, SMTP_DEST, ehlo, sizeof(ehlo) - 1);
	p.side[SMTP_DEST].is_blocked = 1;
	play_give(&p, SMTP_CLIENT, "AUTH PLAIN ", 11);
	play_give(&p, SMTP_CLIENT, "c2VjcmV0\r\n", 10);
	ck_assert_uint_eq(p.e.is_secret, 1);
	play_lost(&p, SMTP_CLIENT);
	/* Every chunk that came back is on the free list. */
	pool = p.pool;
	while ((chunk = pool.small) != NULL) {
		for (i = 0; i + 8 <= BUF_SMALL; i++)
			ck_assert_int_ne(memcmp(chunk + i, "c2VjcmV0", 8), 0);
		memcpy(&pool.small, chunk, sizeof(pool.small));
	}
	play_clear(&p);
}
END_TEST

#define ADD(name)							\
	tcase_add_loop_test(tc, test_ ## name, 0,			\
	    (int)(sizeof(name) / sizeof(name[0])))

int
main(void)
{
	Suite	*s = suite_create("smtp_engine");
	TCase	*tc = tcase_create("dialogue");
	SRunner	*sr;
	int	 failed;

	tcase_set_timeout(tc, 120);
	ADD(plain);
	ADD(pipelined);
	ADD(auth);
	ADD(faults);
	ADD(clients);
	tcase_add_test(tc, test_machine);
	tcase_add_loop_test(tc, test_long_lines, 0, 8);
	tcase_add_test(tc, test_queue_full);
	tcase_add_test(tc, test_endless);
	tcase_add_test(tc, test_endless_reply);
	tcase_add_test(tc, test_client_blocked);
	tcase_add_loop_test(tc, test_no_memory, 0, 4);
	tcase_add_test(tc, test_wipe);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed == 0 ? 0 : 1;
}
