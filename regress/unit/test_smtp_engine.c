/*
 * The engine's dialogue: commands and replies, pipelining, refusals of our
 * own, AUTH, the destination's faults.  Content is in test_smtp_engine_data.c,
 * time and questions in test_smtp_engine_wait.c.
 */
#include "engine_script.h"

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

static void
set_starttls(struct play *p)
{
	p->set.ehlo.remove = 0;
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
	    C("PROXY TCP4 1 2 3 4|", "502 5.5.1 command not implemented|",
	    ""),
	    C("VERB|", "502 5.5.1 command not implemented|", ""),
	    C("|", "500 5.5.2 empty command|", ""),
	    C(" NOOP|", "502 5.5.1 command not implemented|", ""),
	    C("NOOP\tx|", "502 5.5.1 command not implemented|", ""),
	    C("STARTTLS|", "502 5.5.1 STARTTLS not offered|", ""),
	    C("NOOP|", "", "NOOP|"), D("250 ok|", "250 ok|", "") } },
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
	    "1 a@b 1/0 5 refused: 554 5.7.1 spam;", {
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
	{ "EHLO or RSET refused changes nothing", NULL, 0,
	    "1 a@b 1/0 2 ok: 250 ok;", {
	    EHLO_PLAIN, MAIL_RCPT,
	    C("EHLO c|", "", "EHLO c|"), D("501 no|", "501 no|", ""),
	    C("RSET|", "", "RSET|"), D("421 no|" + 0, "", "") } },
};
