/*
 * Time and questions: every stage's timeout and what it does, totals, and
 * what policy can answer, at once or later.
 */
#include "engine_script.h"

#define TIMEOUT_451	"451 4.4.2" GW "timeout of destination|" BYE_442
#define TIMEOUT_421	"421 4.4.2" GW "timeout|"
#define NOT_THERE	"421 4.4.1" GW "destination not available|"

/* All limits a second, told apart by one. */
static void
limits(struct play *p)
{
	int	i;

	for (i = 0; i < SMTP_TIMEOUTS; i++)
		p->set.timeout_ms[i] = 1000 * (i + 1);
	p->set.timeout_ms[SMTP_TIMEOUT_MESSAGE] = 0;
	p->set.timeout_ms[SMTP_TIMEOUT_SESSION] = 0;
}
static void
set_message(struct play *p)
{
	limits(p);
	p->set.timeout_ms[SMTP_TIMEOUT_MESSAGE] = 10000;
}

static void
set_session(struct play *p)
{
	limits(p);
	p->set.timeout_ms[SMTP_TIMEOUT_SESSION] = 10000;
}

static void
set_none(struct play *p)
{
	memset(p->set.timeout_ms, 0, sizeof(p->set.timeout_ms));
}

/* A wait that is one millisecond short of its end, then the end. */
#define SHORT(ms)	STEP('t', ms, "", "", "")
#define END(client, events)	STEP('t', "1", client, "", events)

static const struct script waits[] = {
	{ "connect", limits, SCRIPT_UNMET, "", {
	    SHORT("999"), END("", "n"),
	    STEP('n', "", NOT_THERE, "", "co") } },
	{ "greeting, from its last octet, then another", limits, 0, "", {
	    SHORT("1999"), D("2", "", ""),
	    SHORT("1999"), D("20", "", ""),
	    SHORT("1999"), END("", "n"),
	    SHORT("999"),
	    STEP('N', "", "", "", ""),
	    SHORT("1999"), D("220 b|", "220 b|", "") } },
	{ "the next destination never comes: the one behind it", limits,
	    SCRIPT_UNMET, "", {
	    SHORT("999"), END("", "n"), SHORT("999"), END("", "n"),
	    STEP('n', "", NOT_THERE, "", "co") } },
	{ "helo", limits, 0, "", {
	    GREETED, C("EHLO c|", "", "EHLO c|"),
	    SHORT("2999"), D("250-a|", "", ""),
	    SHORT("2999"), END(TIMEOUT_451, "co") } },
	{ "mail", limits, 0, NULL, {
	    EHLO_FULL,
	    C("MAIL FROM:<a@b>|RCPT TO:<c@d>|", "",
	    "MAIL FROM:<a@b>|RCPT TO:<c@d>|"),
	    SHORT("3999"), END(TIMEOUT_451, "co") } },
	{ "rcpt", limits, 0, NULL, {
	    EHLO_FULL,
	    C("MAIL FROM:<a@b>|RCPT TO:<c@d>|X|", "",
	    "MAIL FROM:<a@b>|RCPT TO:<c@d>|"),
	    SHORT("3999"), D("250 m|", "250 m|", ""),
	    SHORT("4999"), END(TIMEOUT_451, "co") } },
	{ "other commands as mail", limits, 0, NULL, {
	    EHLO_FULL, C("RSET|", "", "RSET|"),
	    SHORT("3999"), END(TIMEOUT_451, "co") } },
	{ "data", limits, 0, NULL, {
	    EHLO_FULL, MAIL_RCPT,
	    C("DATA|", "", "DATA|"),
	    SHORT("5999"), END(TIMEOUT_451, "co") } },
	{ "block: the client", limits, 0,
	    "1 a@b 1/0 0 timeout of client: 421 4.4.2" GW "timeout;", {
	    EHLO_FULL, MAIL_RCPT, DATA_354,
	    SHORT("6999"), C("abc|", "", "abc|"),
	    SHORT("6999"), C(".", "", ""),
	    SHORT("6999"), END(TIMEOUT_421, "co") } },
	{ "block: the client, in a chunk", limits, 0, NULL, {
	    EHLO_FULL, MAIL_RCPT,
	    C("BDAT 5 LAST|", "", "BDAT 5 LAST|"),
	    SHORT("6999"), C("a", "", "a"),
	    SHORT("6999"), END(TIMEOUT_421, "co") } },
	{ "block: the client, in what is dropped", limits, 0, NULL, {
	    EHLO_FULL, MAIL_RCPT, DATA_354,
	    STEP('C', "a\nb", "", "~a", "c"),
	    SHORT("6999"), C("abc|", "", ""),
	    SHORT("6999"), END(TIMEOUT_421, "o") } },
	{ "block: the destination takes nothing", limits, 0,
	    "1 a@b 1/0 2 timeout of destination: 451 4.4.2 timeout: "
	    "destination takes no data;", {
	    EHLO_FULL, MAIL_RCPT, DATA_354,
	    SHORT("6999"),
	    STEP('b', "", "", "", ""),
	    C("|", "", ""),
	    SHORT("6999"), STEP('t', "1", "", "", "c"),
	    C("b|.|", "451 4.4.2 timeout: destination takes no data|", ""),
	    STEP('t', "5000", BYE_430, "", "o") } },
	{ "then the client has its time", limits, 0, NULL, {
	    EHLO_FULL, MAIL_RCPT, DATA_354,
	    STEP('b', "", "", "", ""),
	    C("|", "", ""),
	    SHORT("6999"), STEP('t', "1", "", "", "c"),
	    SHORT("6999"), END(TIMEOUT_421, "o") } },
	{ "block: the destination, replies due", limits, 0, NULL, {
	    EHLO_FULL, MAIL_RCPT,
	    C("BDAT 0|BDAT 3|", "", "BDAT 0|BDAT 3|"),
	    STEP('b', "", "", "", ""),
	    C("a", "", ""),
	    SHORT("6999"), END(TIMEOUT_451, "co") } },
	{ "dot", limits, 0,
	    "1 a@b 1/0 2 timeout of destination: 451 4.4.2" GW
	    "timeout of destination;", {
	    EHLO_FULL, MAIL_RCPT, DATA_354,
	    C("|.|", "", "|.|"),
	    SHORT("7999"), D("250-a|", "", ""),
	    SHORT("7999"), END(TIMEOUT_451, "co") } },
	{ "a chunk's reply as dot", limits, 0, NULL, {
	    EHLO_FULL, MAIL_RCPT,
	    C("BDAT 1|x", "", "BDAT 1|x"),
	    SHORT("7999"), END(TIMEOUT_451, "co") } },
	{ "command: the client is idle", limits, 0, NULL, {
	    EHLO_FULL,
	    SHORT("8999"), C("NO", "", ""),
	    SHORT("8999"), C("OP|", "", "NOOP|"),
	    SHORT("3999"), D("250 ok|", "250 ok|", ""),
	    SHORT("8999"), END(TIMEOUT_421, "co") } },
	{ "command: inside AUTH", limits, 0, "", {
	    GREETED,
	    C("EHLO c|", "", "EHLO c|"),
	    D("250-mx|250 AUTH PLAIN|", "250-mx|250 AUTH PLAIN|", ""),
	    STEP('C', "AUTH PLAIN|", "", "AUTH PLAIN|", "w"),
	    SHORT("3999"), D("334 |", "334 |", ""),
	    SHORT("8999"), END(TIMEOUT_421, "co") } },
	{ "the client takes no replies", limits, 0, NULL, {
	    EHLO_FULL,
	    SHORT("8000"),
	    STEP('B', "", "", "", ""),
	    C("X|", "", ""),
	    SHORT("6999"), END("", "co") } },
	{ "the client took no replies and is lost: the reply to its message "
	    "is waited for as ever", NULL, 0, "1 a@b 1/0 3 ok: 250 q;", {
	    EHLO_FULL, MAIL_RCPT, DATA_354,
	    STEP('B', "", "", "", ""),
	    C("x|.|", "", "x|.|"),
	    STEP('r', "", "", "", ""),
	    SHORT("899999"),
	    STEP('D', "250 q|", "", "", "co") } },
	{ "message in all", set_message, 0,
	    "1 a@b 0/0 0 timeout message: -;", {
	    EHLO_FULL,
	    SHORT("8000"),
	    C("MAIL FROM:<a@b>|", "", "MAIL FROM:<a@b>|"),
	    D("250 ok|", "250 ok|", ""),
	    SHORT("8000"), C("X|", "502 5.5.1 command not implemented|", ""),
	    SHORT("1999"),
	    END("421 4.4.2" GW "message took too long|", "co") } },
	{ "message in all, inside content", set_message, 0, NULL, {
	    EHLO_FULL, MAIL_RCPT, DATA_354,
	    SHORT("6000"), C("|", "", "|"), SHORT("3999"),
	    END("421 4.4.2" GW "message took too long|", "co") } },
	{ "not while its reply is due", set_message, 0,
	    "1 a@b 1/0 2 ok: 250 q;", {
	    EHLO_FULL, MAIL_RCPT, DATA_354,
	    SHORT("6000"),
	    C("|.|", "", "|.|"),
	    SHORT("7999"), D("250 q|", "250 q|", "") } },
	{ "session in all", set_session, 0, NULL, {
	    EHLO_FULL,
	    SHORT("8000"), C("X|", "502 5.5.1 command not implemented|", ""),
	    SHORT("1999"),
	    END("421 4.4.2" GW "session took too long|", "co") } },
	{ "session in all, a message's reply due", set_session, 0,
	    "1 a@b 1/0 2 ok: 250 q;", {
	    EHLO_FULL, MAIL_RCPT, DATA_354,
	    SHORT("6000"), C("|.|", "", "|.|"),
	    SHORT("6000"), D("250 q|", "250 q|", ""),
	    END("421 4.4.2" GW "session took too long|", "co") } },
	{ "no limits at all", set_none, SCRIPT_UNMET, NULL, {
	    SHORT("99999999"),
	    STEP('N', "", "", "", ""),
	    SHORT("99999999"), EHLO_FULL,
	    SHORT("99999999"), MAIL_RCPT, C("DATA|", "", "DATA|"),
	    SHORT("99999999"), D("354 go|", "354 go|", ""),
	    SHORT("99999999"), C("|.|", "", "|.|"),
	    SHORT("99999999"), D("250 q|", "250 q|", "") } },
};

static void
refuse_connect(struct play *p)
{
	p->answer[SMTP_STAGE_CONNECT] = ANSWER_REPLY;
	p->reply[SMTP_STAGE_CONNECT] = "554 5.7.1 not you";
}

static void
refuse_helo(struct play *p)
{
	p->answer[SMTP_STAGE_HELO] = ANSWER_REPLY;
	p->reply[SMTP_STAGE_HELO] = "550 5.7.1 bad name";
}

static void
close_mail(struct play *p)
{
	p->answer[SMTP_STAGE_MAIL] = ANSWER_CLOSE;
	p->reply[SMTP_STAGE_MAIL] = "550 5.7.1 no";
}

static void
refuse_rcpt(struct play *p)
{
	p->answer[SMTP_STAGE_RCPT] = ANSWER_REPLY;
	p->reply[SMTP_STAGE_RCPT] = "452 4.5.3 too many recipients";
}

static void
refuse_data(struct play *p)
{
	p->answer[SMTP_STAGE_DATA] = ANSWER_REPLY;
	p->reply[SMTP_STAGE_DATA] = "451 4.7.1 later";
}

static void
close_data(struct play *p)
{
	p->answer[SMTP_STAGE_DATA] = ANSWER_CLOSE;
	p->reply[SMTP_STAGE_DATA] = "554 5.7.1 never";
}

static void
refuse_message(struct play *p)
{
	p->answer[SMTP_STAGE_MESSAGE] = ANSWER_REPLY;
	p->reply[SMTP_STAGE_MESSAGE] = "554 5.7.1 spam";
}

static void
ask_all(struct play *p)
{
	p->async = ~0U;
}

static void
ask_connect(struct play *p)
{
	p->async = 1U << SMTP_STAGE_CONNECT;
}

static void
ask_mail(struct play *p)
{
	p->async = 1U << SMTP_STAGE_MAIL;
	p->set.max_errors = 2;
}

static void
ask_data(struct play *p)
{
	p->async = 1U << SMTP_STAGE_DATA | 1U << SMTP_STAGE_MESSAGE;
}

static void
ask_message(struct play *p)
{
	p->async = 1U << SMTP_STAGE_MESSAGE;
}

static const struct script questions[] = {
	{ "refused at connect", refuse_connect, 0, "", {
	    STEP('t', "0", "554 5.7.1 not you|", "", "co") } },
	{ "refused at helo", refuse_helo, 0, "", {
	    GREETED, C("EHLO c|", "550 5.7.1 bad name|", ""),
	    C("NOOP|", "", "NOOP|"), D("250 ok|", "250 ok|", "") } },
	{ "refused at mail, and closed", close_mail, 0, "", {
	    EHLO_FULL,
	    C("RSET|MAIL FROM:<a@b>|RCPT TO:<c@d>|", "", "RSET|"),
	    STEP('D', "250 ok|", "250 ok|550 5.7.1 no|" BYE_470, "",
	    "co") } },
	{ "refused at rcpt", refuse_rcpt, 0, NULL, {
	    EHLO_FULL,
	    C("MAIL FROM:<a@b>|RCPT TO:<c@d>|RSET|", "",
	    "MAIL FROM:<a@b>|RSET|"),
	    D("250 m|", "250 m|452 4.5.3 too many recipients|", ""),
	    D("250 r|", "250 r|", "") } },
	{ "refused at data", refuse_data, 0, NULL, {
	    EHLO_FULL, MAIL_RCPT,
	    C("DATA|", "451 4.7.1 later|", ""),
	    C("BDAT 5|abcdeRSET|", "451 4.7.1 later|", "RSET|"),
	    D("250 r|", "250 r|", "") } },
	{ "a chunk refused later, then no other may follow", ask_data, 0,
	    NULL, {
	    EHLO_FULL, MAIL_RCPT,
	    C("BDAT 5|abcdeBDAT 5 LAST|abcdeRSET|", "", ""),
	    STEP('a', "=451 4.7.1 no", "451 4.7.1 no|"
	    "503 5.5.1 a chunk was refused before|", "RSET|", ""),
	    D("250 r|", "250 r|", "") } },
	{ "refused at data, in its turn, then octets", refuse_data, 0, NULL, {
	    EHLO_FULL,
	    C("MAIL FROM:<a@b>|RCPT TO:<c@d>|DATA|", "",
	    "MAIL FROM:<a@b>|RCPT TO:<c@d>|"),
	    C("abc|.|", "", ""),
	    D("250 m|", "250 m|", ""),
	    STEP('D', "250 r|", "250 r|451 4.7.1 later|" IMPROPER, "",
	    "co") } },
	{ "closed at data", close_data, 0, NULL, {
	    EHLO_FULL, MAIL_RCPT,
	    STEP('C', "DATA|", "554 5.7.1 never|" BYE_470, "", "co") } },
	{ "closed at a chunk", close_data, 0, NULL, {
	    EHLO_FULL, MAIL_RCPT,
	    STEP('C', "BDAT 5|abc", "554 5.7.1 never|" BYE_470, "",
	    "co") } },
	{ "closed at an empty chunk", close_data, 0, NULL, {
	    EHLO_FULL, MAIL_RCPT,
	    STEP('C', "BDAT 0 LAST|", "554 5.7.1 never|" BYE_470, "",
	    "co") } },
	{ "refused at message", refuse_message, 0,
	    "1 a@b 1/0 5 policy: 554 5.7.1 spam;", {
	    EHLO_FULL, MAIL_RCPT, DATA_354,
	    C("abc|", "", "abc|"),
	    STEP('C', ".|", "554 5.7.1 spam|", "", "c"),
	    STEP('C', "QUIT|", "221 2.0.0" GW "closing connection|", "",
	    "o") } },
	{ "refused at message, LAST", refuse_message, 0,
	    "1 a@b 1/0 4 policy: 554 5.7.1 spam;", {
	    EHLO_FULL, MAIL_RCPT,
	    C("BDAT 4 LAST|abc", "", "BDAT 4 LAST|abc"),
	    STEP('C', "d", "554 5.7.1 spam|", "", "c") } },
	{ "refused at message, replies due", refuse_message, 0,
	    "1 a@b 1/0 4 policy: 554 5.7.1 spam;", {
	    EHLO_FULL,
	    C("MAIL FROM:<a@b>|RCPT TO:<c@d>|BDAT 4 LAST|abc", "",
	    "MAIL FROM:<a@b>|RCPT TO:<c@d>|BDAT 4 LAST|abc"),
	    C("dRSET|", "", ""),
	    D("250 m|", "250 m|", ""),
	    STEP('D', "250 r|", "250 r|554 5.7.1 spam|" BYE_430, "",
	    "co") } },
	{ "refused at message, BDAT 0 LAST", refuse_message, 0, NULL, {
	    EHLO_FULL, MAIL_RCPT,
	    C("BDAT 4|abcd", "", "BDAT 4|abcd"),
	    D("250 ok|", "250 ok|", ""),
	    STEP('C', "BDAT 0 LAST|", "554 5.7.1 spam|", "", "c"),
	    STEP('C', "RSET|", BYE_430, "", "o") } },
	{ "every stage, answered later", ask_all, 0,
	    "1 a@b 1/0 5 ok: 250 q;", {
	    D("220 mx|", "", ""),
	    STEP('a', "", "220 mx|", "", ""),
	    C("EHLO c|", "", ""), STEP('a', "", "", "EHLO c|", ""),
	    D("250-a|250 PIPELINING|", "250-a|250 PIPELINING|", ""),
	    C("MAIL FROM:<a@b>|RCPT TO:<c@d>|DATA|", "", ""),
	    STEP('a', "", "", "MAIL FROM:<a@b>|", ""),
	    D("250 m|", "250 m|", ""),
	    STEP('a', "", "", "RCPT TO:<c@d>|", ""),
	    STEP('a', "", "", "DATA|", ""),
	    D("250 r|354 go|", "250 r|354 go|", ""),
	    C("abc|.|RSET|", "", "abc|"),
	    STEP('t', "99999999", "", "", ""),
	    STEP('a', "", "", ".|RSET|", ""),
	    D("250 q|250 z|", "250 q|250 z|", "") } },
	{ "refused later", ask_all, 0, NULL, {
	    STEP('a', "", "", "", ""), GREETED,
	    C("EHLO c|", "", ""),
	    STEP('a', "=550 5.7.1 no", "550 5.7.1 no|", "", ""),
	    C("EHLO c|", "", ""), STEP('a', "", "", "EHLO c|", ""),
	    D("250-a|250 PIPELINING|", "250-a|250 PIPELINING|", ""),
	    C("RSET|MAIL FROM:<a@b>|RSET|", "", "RSET|"),
	    STEP('a', "=451 4.7.1 later", "", "RSET|", ""),
	    D("250 a|", "250 a|451 4.7.1 later|", ""),
	    D("250 b|", "250 b|", ""),
	    C("MAIL FROM:<a@b>|RSET|", "", ""),
	    STEP('a', "!451 4.7.1 later", "451 4.7.1 later|" BYE_470, "",
	    "co") } },
	{ "nobody is there when the answer comes", ask_connect, 0, "", {
	    D("220 mx|", "", ""),
	    STEP('d', "", "", "", ""),
	    STEP('a', "", "220 mx|" LOST_421, "", "co") } },
	{ "the client talks while connect is open", ask_connect, 0, "", {
	    C("EHLO c|", "", ""),
	    STEP('a', "", "554 5.5.1 you must wait for the greeting|", "",
	    "co") } },
	{ "no destination while connect is open", ask_connect, SCRIPT_UNMET,
	    "", {
	    STEP('n', "", NOT_THERE, "", "co") } },
	{ "the client leaves while a question is open", ask_mail, 0, NULL, {
	    EHLO_FULL,
	    C("MAIL FROM:<a@b>|", "", ""),
	    STEP('c', "", "", "", ""),
	    STEP('a', "", "", "MAIL FROM:<a@b>|", ""),
	    STEP('D', "250 ok|", "250 ok|", "", "co") } },
	{ "the client leaves, and it is refused", ask_mail, 0, NULL, {
	    EHLO_FULL,
	    C("MAIL FROM:<a@b>|", "", ""),
	    STEP('c', "", "", "", ""),
	    STEP('a', "=550 no", "550 no|", "", "co") } },
	{ "the client breaks while a question is open", ask_mail, 0, "", {
	    EHLO_FULL,
	    C("MAIL FROM:<a@b>|", "", ""),
	    STEP('r', "", "", "", "co"),
	    STEP('a', "", "", "", "") } },
	{ "the destination goes while a question is open", ask_mail, 0, "", {
	    EHLO_FULL,
	    C("MAIL FROM:<a@b>|", "", ""),
	    STEP('d', "", LOST_421, "", "co"),
	    STEP('a', "", "", "", "") } },
	{ "too many errors while a question is open", ask_mail, 0, NULL, {
	    EHLO_FULL,
	    C("X|RSET|MAIL FROM:<a@b>|",
	    "502 5.5.1 command not implemented|", "RSET|"),
	    STEP('D', "500 no|", "500 no|421 4.7.0" GW "too many errors|",
	    "", "co"),
	    STEP('a', "", "", "", "") } },
	{ "stop while a question is open", ask_mail, 0, NULL, {
	    EHLO_FULL,
	    C("MAIL FROM:<a@b>|", "", ""),
	    STEP('s', "", "", "", ""),
	    STEP('a', "=550 no", "550 no|421 4.3.2" GW
	    "service shutting down|", "", "co") } },
	{ "octets behind DATA while it is asked about", ask_data, 0, NULL, {
	    EHLO_FULL, MAIL_RCPT,
	    C("DATA|", "", ""),
	    STEP('C', "MAIL FROM:<x@y>|", IMPROPER, "", "co") } },
	{ "BDAT asked about, its octets wait", ask_data, 0,
	    "1 a@b 1/0 5 ok: 250 q;", {
	    EHLO_FULL, MAIL_RCPT,
	    C("BDAT 5 LAST|abcdeRSET|", "", ""),
	    STEP('a', "", "", "BDAT 5 LAST|abcd", ""),
	    STEP('a', "", "", "eRSET|", ""),
	    D("250 q|250 r|", "250 q|250 r|", "") } },
	{ "BDAT refused later", ask_data, 0, NULL, {
	    EHLO_FULL, MAIL_RCPT,
	    C("BDAT 5 LAST|abcdeRSET|", "", ""),
	    STEP('a', "=451 4.7.1 no", "451 4.7.1 no|", "RSET|", ""),
	    D("250 r|", "250 r|", "") } },
	{ "message asked about, the destination says yes", ask_message, 0,
	    NULL, {
	    EHLO_FULL, MAIL_RCPT, DATA_354,
	    C("abc|.|", "", "abc|"),
	    STEP('D', "250 q|", "451 4.3.0 malformed reply from "
	    "destination|", "", "c"),
	    STEP('a', "", "", "", "") } },
	{ "message asked about, the destination says no", ask_message, 0,
	    "1 a@b 1/0 5 refused: 554 no;", {
	    EHLO_FULL, MAIL_RCPT, DATA_354,
	    C("abc|.|", "", "abc|"),
	    STEP('D', "554 no|", "554 no|", "", "c"),
	    STEP('a', "", "", "", ""),
	    STEP('C', "QUIT|", "221 2.0.0" GW "closing connection|", "",
	    "o") } },
	{ "message asked about, the destination goes", ask_message, 0,
	    NULL, {
	    EHLO_FULL, MAIL_RCPT, DATA_354,
	    C("abc|.|", "", "abc|"),
	    STEP('d', "", LOST_421, "", "co"),
	    STEP('a', "", "", "", "") } },
	{ "message asked about, the client breaks", ask_message, 0,
	    "1 a@b 1/0 0 connection lost: -;", {
	    EHLO_FULL, MAIL_RCPT, DATA_354,
	    C("abc|.|", "", "abc|"),
	    STEP('r', "", "", "", "co"),
	    STEP('a', "", "", "", "") } },
	{ "message asked about, the client leaves", ask_message, 0,
	    "1 a@b 1/0 5 ok: 250 q;", {
	    EHLO_FULL, MAIL_RCPT, DATA_354,
	    C("abc|.|", "", "abc|"),
	    STEP('c', "", "", "", ""),
	    STEP('a', "", "", ".|", ""),
	    STEP('D', "250 q|", "250 q|", "", "co") } },
	{ "asked about a second message, the client breaks", ask_message, 0,
	    "1 a@b 1/0 3 ok: 250 q;2 a@b 0/0 0 connection lost: -;", {
	    EHLO_FULL, MAIL_RCPT,
	    C("BDAT 3 LAST|abc", "", "BDAT 3 LAST|ab"),
	    STEP('a', "", "", "c", ""),
	    C("MAIL FROM:<a@b>|BDAT 0 LAST|", "", "MAIL FROM:<a@b>|"),
	    STEP('r', "", "", "", ""),
	    STEP('a', "", "", "", ""),
	    D("250 q|", "", ""),
	    STEP('D', "250 m|", "", "", "co") } },
	{ "asked about a second message, blocked", ask_message, 0,
	    "1 a@b 1/0 5 ok: 250 q;", {
	    EHLO_FULL, MAIL_RCPT, DATA_354,
	    STEP('b', "", "", "", ""),
	    C("|", "", ""),
	    C("a|.|", "", ""),
	    STEP('u', "", "", "|a|", ""),
	    STEP('a', "", "", ".|", ""),
	    D("250 q|", "250 q|", "") } },
	{ "answered with the content unsent", ask_message, SCRIPT_WHOLE,
	    "1 a@b 1/0 5 ok: 250 q;", {
	    EHLO_FULL, MAIL_RCPT, DATA_354,
	    STEP('b', "", "", "", ""),
	    C("abc|.|RSET|", "", ""),
	    STEP('a', "", "", "", ""),
	    STEP('u', "", "", "abc|.|RSET|", ""),
	    D("250 q|250 r|", "250 q|250 r|", "") } },
};

#define TABLE(name)							\
START_TEST(test_ ## name)						\
{									\
	script_check(&name[_i]);					\
}									\
END_TEST
TABLE(waits)
TABLE(questions)

/* What the questions say. */
START_TEST(test_facts)
{
	static const char	ehlo[] = "250-mx\r\n250-CHUNKING\r\n"
				    "250 PIPELINING\r\n";
	struct play		p;

	play_init(&p);
	p.async = ~0U;
	play_start(&p);
	ck_assert_int_eq(p.question.stage, SMTP_STAGE_CONNECT);
	play_answer(&p, ANSWER_PASS, NULL);
	smtp_engine_connected(&p.e, p.now_ms);
	play_give(&p, SMTP_DEST, "220 x\r\n", 7);
	play_give(&p, SMTP_CLIENT, "EHLO c\r\n", 8);
	ck_assert_int_eq(p.question.stage, SMTP_STAGE_HELO);
	ck_assert_int_eq(p.question.verb, VERB_EHLO);
	script_answer(&p, "");
	play_give(&p, SMTP_DEST, ehlo, sizeof(ehlo) - 1);
	ck_assert_str_eq(p.e.helo, "c");
	play_give(&p, SMTP_CLIENT, "MAIL FROM:<a@b> SIZE=77\r\n", 25);
	ck_assert_int_eq(p.question.stage, SMTP_STAGE_MAIL);
	ck_assert_uint_eq(p.question.size, 77);
	ck_assert_uint_eq(p.question.addrlen, 3);
	ck_assert_mem_eq(p.question.addr, "a@b", 3);
	script_answer(&p, "");
	play_give(&p, SMTP_CLIENT, "RCPT TO:<cc@dd>\r\nRCPT TO:<e@f>\r\n", 32);
	ck_assert_int_eq(p.question.stage, SMTP_STAGE_RCPT);
	ck_assert_uint_eq(p.question.nrcpt, 0);
	ck_assert_uint_eq(p.question.addrlen, 5);
	ck_assert_mem_eq(p.question.addr, "cc@dd", 5);
	script_answer(&p, "");
	ck_assert_uint_eq(p.question.nrcpt, 1);
	script_answer(&p, "");
	play_give(&p, SMTP_DEST, "250 m\r\n550 r\r\n250 r\r\n", 21);
	play_give(&p, SMTP_CLIENT, "BDAT 5\r\nabcde", 13);
	ck_assert_int_eq(p.question.stage, SMTP_STAGE_DATA);
	ck_assert_int_eq(p.question.verb, VERB_BDAT);
	ck_assert_uint_eq(p.question.nrcpt, 1);
	script_answer(&p, "");
	/* An old answer counts for nothing. */
	smtp_engine_answer(&p.e, p.question.number, ANSWER_CLOSE, "550 x",
	    p.now_ms);
	play_give(&p, SMTP_CLIENT, "BDAT 2 LAST\r\nxy", 15);
	ck_assert_int_eq(p.question.stage, SMTP_STAGE_MESSAGE);
	ck_assert_uint_eq(p.question.size, 7);
	script_answer(&p, "");
	ck_assert_int_eq(smtp_engine_question(&p.e, &p.question), 0);
	play_clear(&p);
}
END_TEST

#define ADD(name)							\
	tcase_add_loop_test(tc, test_ ## name, 0,			\
	    (int)(sizeof(name) / sizeof(name[0])))

int
main(void)
{
	Suite	*s = suite_create("smtp_engine_wait");
	TCase	*tc = tcase_create("time and questions");
	SRunner	*sr;
	int	 failed;

	tcase_set_timeout(tc, 120);
	ADD(waits);
	ADD(questions);
	tcase_add_test(tc, test_facts);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed == 0 ? 0 : 1;
}
