/*
 * Message content through the engine: DATA and BDAT, their ends, what is
 * refused half-way, and who leaves when.
 */
#include "engine_script.h"

static void
set_size_10(struct play *p)
{
	p->set.max_message_size = 10;
}

static void
set_normalize(struct play *p)
{
	p->set.normalize_newlines = 1;
}

static void
set_normalize_10(struct play *p)
{
	p->set.normalize_newlines = 1;
	p->set.max_message_size = 10;
}

static void
set_errors_2(struct play *p)
{
	p->set.max_errors = 2;
}

#define IN_MESSAGE(what)	"554 5.6.0 " what " in message|"
#define UNCHUNKED	"503 5.5.1 a chunk was refused before|"
#define TOO_BIG		"552 5.3.4 message too big|"
#define BEGUN		EHLO_PLAIN, MAIL_RCPT, DATA_354
#define BYE		STEP('C', "QUIT|", "221 2.0.0" GW		\
			    "closing connection|", "", "o")

static const struct script data[] = {
	{ "an empty message", NULL, 0, "1 a@b 1/0 0 ok: 250 q;", {
	    BEGUN, C(".|", "", ".|"), D("250 q|", "250 q|", "") } },
	{ "dots, 8-bit, controls, blanks", NULL, 0, NULL, {
	    BEGUN,
	    C("..|...a|.b|. | .|\x01\x7f\x80\xff\t| x |a.b|||.|", "",
	    "..|...a|.b|. | .|\x01\x7f\x80\xff\t| x |a.b|||.|"),
	    D("250 q|", "250 q|", "") } },
	{ "the end in pieces", NULL, 0, "1 a@b 1/0 3 ok: 250 q;", {
	    BEGUN,
	    C("a", "", "a"), C("\r", "", ""), C("\n", "", "|"), C(".", "", ""),
	    C("\r", "", ""), C("\n", "", ".|"),
	    D("250 q|", "250 q|", "") } },
	{ "bare LF", NULL, 0, "1 a@b 1/0 1 bare LF: 554 5.6.0 bare LF in "
	    "message;", {
	    BEGUN,
	    C("a", "", "a"),
	    STEP('C', "\nbcd|", "", "", "c"),
	    C("x|.|", IN_MESSAGE("bare LF"), ""), BYE } },
	{ "LF.LF", NULL, 0, NULL, {
	    BEGUN,
	    STEP('C', "a|b\n.\nMAIL FROM:<x>|", "", "~a|b", "c"),
	    C(".|", IN_MESSAGE("bare LF"), ""), BYE } },
	{ "LF.CRLF", NULL, 0, NULL, {
	    BEGUN,
	    STEP('C', "a\n.|MAIL FROM:<x>|", "", "~a", "c"),
	    C(".|", IN_MESSAGE("bare LF"), ""), BYE } },
	{ "CRLF.LF", NULL, 0, NULL, {
	    BEGUN,
	    STEP('C', "a|.\nMAIL FROM:<x>|", "", "~a|.", "c"),
	    C(".|", IN_MESSAGE("bare LF"), ""), BYE } },
	{ "CR.CR", NULL, 0, NULL, {
	    BEGUN,
	    STEP('C', "a\r.\rMAIL FROM:<x>|", "", "~a", "c"),
	    C(".|", IN_MESSAGE("bare CR"), ""), BYE } },
	{ "CRLF.CR", NULL, 0, NULL, {
	    BEGUN,
	    STEP('C', "a|.\rMAIL FROM:<x>|", "", "~a|.", "c"),
	    C(".|", IN_MESSAGE("bare CR"), ""), BYE } },
	{ "CR.CRLF", NULL, 0, NULL, {
	    BEGUN,
	    STEP('C', "a\r.|", "", "~a", "c"),
	    C("|.|", IN_MESSAGE("bare CR"), ""), BYE } },
	{ "CRCRLF.CRLF ends nothing that goes out", NULL, 0, NULL, {
	    BEGUN,
	    STEP('C', "a\r|.|", IN_MESSAGE("bare CR"), "~a", "c"),
	    BYE } },
	{ "CRLF.CRCRLF", NULL, 0, NULL, {
	    BEGUN,
	    STEP('C', "a|.\r|", "", "~a|.", "c"),
	    C("|.|", IN_MESSAGE("bare CR"), ""), BYE } },
	{ "NUL", NULL, 0, NULL, {
	    BEGUN,
	    STEP('C', "a|.\0|b|", "", "~a|.", "c"),
	    C(".|", IN_MESSAGE("NUL"), ""), BYE } },
	{ "normalised: LF.LF is text", set_normalize, 0,
	    "1 a@b 1/0 10 ok: 250 q;", {
	    BEGUN,
	    C("a\n.\nMAIL|", "", "a|..|MAIL|"),
	    C(".|", "", ".|"), D("250 q|", "250 q|", "") } },
	{ "normalised: the end in one piece with a bare LF", set_normalize, 0,
	    NULL, {
	    BEGUN,
	    C("a\nb|.|", "", "a|b|.|"), D("250 q|", "250 q|", "") } },
	{ "normalised: CRCRLF.CRLF is an end", set_normalize, 0, NULL, {
	    BEGUN,
	    C("a\r|.|", "", "a|.|"), D("250 q|", "250 q|", "") } },
	{ "normalised: CRLF.LF and CRLF.CRCRLF are not", set_normalize, 0,
	    NULL, {
	    BEGUN,
	    C("a|.\nb|.\r|c|.|", "", "a||b||c|.|"),
	    D("250 q|", "250 q|", "") } },
	{ "normalised: a bare CR is refused", set_normalize, 0, NULL, {
	    BEGUN,
	    STEP('C', "a\nb\r.\r", "", "~a|b", "c"),
	    C("|.|", IN_MESSAGE("bare CR"), ""), BYE } },
	{ "normalised: NUL is refused", set_normalize, 0, NULL, {
	    BEGUN,
	    STEP('C', "a\n\0|b|", "", "~a|", "c"),
	    C(".|", IN_MESSAGE("NUL"), ""), BYE } },
	{ "normalised: too big as it came", set_normalize_10, 0, NULL, {
	    BEGUN,
	    STEP('C', "a\nb\nc\nd\ne\nf", "", "~a|b|c|d|e|f", "c"),
	    C("|.|", TOO_BIG, ""), BYE } },
	{ "a fault and the end in one piece", NULL, 0, NULL, {
	    BEGUN,
	    STEP('C', "a\nb|.|", IN_MESSAGE("bare LF"), "~a", "c"),
	    BYE } },
	{ "what stands behind a refused message hears 421", NULL, 0, NULL, {
	    EHLO_FULL, MAIL_RCPT, DATA_354,
	    STEP('C', "a\nb|.|RSET|QUIT|", IN_MESSAGE("bare LF") BYE_430,
	    "~a", "co") } },
	{ "QUIT behind it is answered", NULL, 0, NULL, {
	    EHLO_FULL, MAIL_RCPT, DATA_354,
	    STEP('C', "a\nb|.|QUIT|", IN_MESSAGE("bare LF") "221 2.0.0" GW
	    "closing connection|", "~a", "co") } },
	{ "nothing comes behind it", NULL, 0, NULL, {
	    BEGUN,
	    STEP('C', "a\nb|.|QU", IN_MESSAGE("bare LF"), "~a", "c"),
	    STEP('t', "4999", "", "", ""),
	    STEP('t', "1", BYE_430, "", "o") } },
	{ "client leaves behind it", NULL, 0, NULL, {
	    BEGUN,
	    STEP('C', "a\nb|.|", IN_MESSAGE("bare LF"), "~a", "c"),
	    STEP('c', "", "", "", "o") } },
	{ "client leaves within it", NULL, 0, NULL, {
	    BEGUN,
	    STEP('C', "a\nb|.", "", "~a", "c"),
	    STEP('c', "", IN_MESSAGE("bare LF"), "", "o") } },
	{ "client breaks within it", NULL, 0, NULL, {
	    BEGUN,
	    STEP('C', "a\nb|.", "", "~a", "c"),
	    STEP('r', "", "", "", "o") } },
	{ "too big", set_size_10, 0,
	    "1 a@b 1/0 11 message too big: 552 5.3.4 message too big;", {
	    BEGUN,
	    C("12345678|", "", "12345678|"),
	    STEP('C', "9", "", "", "c"),
	    C("x|.|", TOO_BIG, ""), BYE } },
	{ "as big as may be", set_size_10, 0, "1 a@b 1/0 10 ok: 250 q;", {
	    BEGUN,
	    C("12345678|.|", "", "12345678|.|"),
	    D("250 q|", "250 q|", "") } },
	{ "too big, with its end", set_size_10, 0, NULL, {
	    BEGUN,
	    STEP('C', "12345678|1|.|", TOO_BIG, "~12345678|", "c"),
	    BYE } },
	{ "far too big", set_size_10, 0, NULL, {
	    BEGUN,
	    STEP('C', "12345678|1", "", "~12345678|", "c"),
	    C("234567890", "", ""),
	    STEP('C', "123", "421 4.7.0" GW "too much data|", "", "o") } },
	{ "early refusal", NULL, 0,
	    "1 a@b 1/0 5 refused: 552 5.2.2 full;", {
	    BEGUN,
	    C("abc|", "", "abc|"),
	    STEP('D', "552 5.2.2 full|", "", "", "c"),
	    C("def|.", "", ""),
	    C("|", "552 5.2.2 full|", ""), BYE } },
	{ "early refusal of several lines", NULL, 0, NULL, {
	    BEGUN,
	    STEP('D', "451-a|451 b|", "", "", "c"),
	    C("def|.|", "451-a|451 b|", ""), BYE } },
	{ "early acceptance is none", NULL, 0,
	    "1 a@b 1/0 5 malformed reply: 451 4.3.0 malformed reply from "
	    "destination;", {
	    BEGUN,
	    C("abc|", "", "abc|"),
	    STEP('D', "250 ok|", "", "", "c"),
	    C("def|.|", "451 4.3.0 malformed reply from destination|", ""),
	    BYE } },
	{ "nor is an early 354", NULL, 0, NULL, {
	    BEGUN,
	    STEP('D', "354 go|", "", "", "c"),
	    C("def|.|", "451 4.3.0 malformed reply from destination|", ""),
	    BYE } },
	{ "early garbage", NULL, 0, NULL, {
	    BEGUN,
	    STEP('D', "250-a|251 b|", "", "", "c"),
	    C("def|.|", "451 4.3.0 malformed reply from destination|", ""),
	    BYE } },
	{ "early 421", NULL, 0, "1 a@b 1/0 0 refused: 421 bye;", {
	    BEGUN,
	    STEP('D', "421 bye|", "", "", "c"),
	    STEP('C', "def|.|QUIT|", "421 bye|", "", "o") } },
	{ "destination goes within content", NULL, 0, NULL, {
	    BEGUN,
	    C("abc|", "", "abc|"),
	    STEP('d', "", "", "", "c"),
	    STEP('C', "def|.|", LOST_421, "", "o") } },
	{ "destination breaks within content", NULL, 0, NULL, {
	    BEGUN,
	    C("abc|", "", "abc|"),
	    STEP('x', "", "", "", "c"),
	    STEP('C', "def|.|", LOST_421, "", "o") } },
	{ "client leaves within content", NULL, 0,
	    "1 a@b 1/0 0 client closed inside a message: -;", {
	    BEGUN,
	    C("abc|", "", "abc|"), C(".", "", ""),
	    STEP('c', "", "", "", "co") } },
	{ "client leaves with half an end", NULL, 0, NULL, {
	    BEGUN,
	    C("abc|.\r", "", "abc|"),
	    STEP('c', "", "", "", "co") } },
	{ "client breaks within content", NULL, 0,
	    "1 a@b 1/0 0 connection lost: -;", {
	    BEGUN,
	    C("abc|.\r", "", "abc|"),
	    STEP('r', "", "", "", "co") } },
	{ "client leaves behind the end", NULL, 0, "1 a@b 1/0 5 ok: 250 q;", {
	    BEGUN,
	    C("abc|.|", "", "abc|.|"),
	    STEP('c', "", "", "", ""),
	    STEP('D', "250 q|", "250 q|", "", "co") } },
	{ "client breaks behind the end: undelivered", NULL, 0,
	    "1 a@b 1/0 5 ok: 250 q;", {
	    BEGUN,
	    C("abc|.|", "", "abc|.|"),
	    STEP('r', "", "", "", ""),
	    STEP('D', "250 q|", "", "", "co") } },
	{ "client breaks, the destination never answers", NULL, 0,
	    "1 a@b 1/0 5 connection lost: 451 4.4.2" GW
	    "timeout of destination;", {
	    BEGUN,
	    C("abc|.|", "", "abc|.|"),
	    STEP('r', "", "", "", ""),
	    STEP('t', "900000", "", "", "co") } },
	{ "destination takes nothing for a while", NULL, 0,
	    "1 a@b 1/0 5 ok: 250 q;", {
	    BEGUN,
	    STEP('b', "", "", "", ""),
	    C("abc|.|", "", ""),
	    STEP('u', "", "", "abc|.|", ""),
	    D("250 q|", "250 q|", "") } },
	{ "acceptance before the end was sent", NULL, SCRIPT_WHOLE,
	    "1 a@b 1/0 5 malformed reply: 451 4.3.0" GW
	    "malformed reply from destination;", {
	    EHLO_FULL, MAIL_RCPT, DATA_354,
	    STEP('b', "", "", "", ""),
	    C("abc|.|", "", ""),
	    STEP('D', "250 q|", BAD_451 BYE_430, "", "co") } },
	{ "refusal before the end was sent", NULL, SCRIPT_WHOLE,
	    "1 a@b 1/0 5 refused: 554 no;", {
	    EHLO_FULL, MAIL_RCPT, DATA_354,
	    STEP('b', "", "", "", ""),
	    C("abc|.|", "", ""),
	    STEP('D', "554 no|", "554 no|", "", "c"), BYE } },
	{ "destination blocked, then it refuses inside", NULL, 0, NULL, {
	    BEGUN,
	    STEP('b', "", "", "", ""),
	    C("abc|", "", ""),
	    STEP('D', "554 no|", "", "", "c"),
	    C("abc|.|", "554 no|", ""), BYE } },
	{ "destination blocked, client leaves inside", NULL, 0, NULL, {
	    BEGUN,
	    STEP('b', "", "", "", ""),
	    C("abc|", "", ""),
	    STEP('r', "", "", "", "co") } },
	{ "stop within content", NULL, 0, "1 a@b 1/0 5 ok: 250 q;", {
	    BEGUN,
	    C("abc|", "", "abc|"),
	    STEP('s', "", "", "", ""),
	    C(".|", "", ".|"),
	    STEP('D', "250 q|", "250 q|421 4.3.2" GW
	    "service shutting down|", "", "co") } },
	{ "failed by the session within content", NULL, 0, NULL, {
	    BEGUN,
	    C("abc|", "", "abc|"),
	    STEP('f', "", "421 4.3.0" GW "service not available|", "",
	    "co") } },
};

static const struct script chunks[] = {
	{ "one chunk", NULL, 0, "1 a@b 1/0 5 ok: 250 q;", {
	    EHLO_FULL, MAIL_RCPT,
	    C("BDAT 5 LAST|abc|", "", "BDAT 5 LAST|abc|"),
	    D("250 q|", "250 q|", "") } },
	{ "what was read goes out", NULL, 0, "1 a@b 1/0 5 ok: 250 q;", {
	    EHLO_FULL, MAIL_RCPT,
	    C("bdat  0003|abc", "", "BDAT 3|abc"),
	    C("Bdat 2 last ||", "", "BDAT 2 LAST||"),
	    D("250 ok|250 q|", "250 ok|250 q|", "") } },
	{ "three chunks and BDAT 0 LAST", NULL, 0, "1 a@b 1/0 6 ok: 250 q;", {
	    EHLO_FULL, MAIL_RCPT,
	    C("BDAT 2|abBDAT 0|BDAT 4|.|cBDAT 0 LAST|", "",
	    "BDAT 2|abBDAT 0|BDAT 4|.|cBDAT 0 LAST|"),
	    D("250 1|250 2|250 3|250 q|", "250 1|250 2|250 3|250 q|",
	    "") } },
	{ "no need for a CRLF at the end", NULL, 0, "1 a@b 1/0 3 ok: 250 q;", {
	    EHLO_FULL, MAIL_RCPT,
	    C("BDAT 3 LAST|abc", "", "BDAT 3 LAST|abc"),
	    D("250 q|", "250 q|", "") } },
	{ "the final octet is the last to go", NULL, 0, NULL, {
	    EHLO_FULL, MAIL_RCPT,
	    C("BDAT 3 LAST|ab", "", "BDAT 3 LAST|ab"),
	    C("c", "", "c"), D("250 q|", "250 q|", "") } },
	{ "several messages in one go", NULL, 0,
	    "1 a@b 1/0 3 ok: 250 q1;2 a@b 1/0 3 refused: 554 q2;"
	    "3 a@b 1/0 2 ok: 250 q3;", {
	    EHLO_FULL,
	    C("MAIL FROM:<a@b>|RCPT TO:<c@d>|BDAT 3 LAST|abc"
	    "MAIL FROM:<a@b>|RCPT TO:<c@d>|BDAT 3 LAST|def"
	    "MAIL FROM:<a@b>|RCPT TO:<c@d>|BDAT 2|ghBDAT 0 LAST|", "",
	    "MAIL FROM:<a@b>|RCPT TO:<c@d>|BDAT 3 LAST|abc"
	    "MAIL FROM:<a@b>|RCPT TO:<c@d>|BDAT 3 LAST|def"),
	    D("250 a|250 b|250 q1|250 c|250 d|",
	    "250 a|250 b|250 q1|250 c|250 d|", ""),
	    D("554 q2|", "554 q2|",
	    "MAIL FROM:<a@b>|RCPT TO:<c@d>|BDAT 2|ghBDAT 0 LAST|"),
	    D("250 e|250 f|250 g|250 q3|", "250 e|250 f|250 g|250 q3|",
	    "") } },
	{ "without PIPELINING command and chunk go together", NULL, 0,
	    "1 a@b 1/0 4 ok: 250 q;", {
	    EHLO_WITH("250-CHUNKING|"), MAIL_RCPT,
	    C("BDAT 2|abBDAT 2 LAST|cdRSET|", "", "BDAT 2|ab"),
	    D("250 ok|", "250 ok|", "BDAT 2 LAST|cd"),
	    D("250 q|", "250 q|", "RSET|"),
	    D("250 ok|", "250 ok|", "") } },
	{ "not offered: swallowed", NULL, 0, NULL, {
	    EHLO_PLAIN, MAIL_RCPT,
	    C("BDAT 6|QUIT|BDAT 0|NOOP|",
	    "502 5.5.1 BDAT not offered|502 5.5.1 BDAT not offered|",
	    "NOOP|"),
	    D("250 ok|", "250 ok|", "") } },
	{ "not offered: in its turn", NULL, 0, NULL, {
	    EHLO_WITH("250-PIPELINING|"),
	    C("RSET|BDAT 6|QUIT|RSET|", "", "RSET|RSET|"),
	    D("250 a|", "250 a|502 5.5.1 BDAT not offered|", ""),
	    D("250 b|", "250 b|", "") } },
	{ "not offered, client leaves inside", NULL, 0, NULL, {
	    EHLO_WITH("250-PIPELINING|"),
	    C("RSET|X|BDAT 6|QU", "", "RSET|"),
	    STEP('c', "", "", "", ""),
	    STEP('D', "250 a|", "250 a|502 5.5.1 command not implemented|",
	    "", "co") } },
	{ "not offered, the destination leaves inside", NULL, 0, NULL, {
	    EHLO_WITH("250-PIPELINING|"),
	    C("RSET|X|BDAT 6|QU", "", "RSET|"),
	    STEP('d', "", LOST_421, "", "co") } },
	{ "not offered, 421 inside", NULL, 0, NULL, {
	    EHLO_WITH("250-PIPELINING|"),
	    C("RSET|BDAT 6|QU", "", "RSET|"),
	    STEP('D', "421 bye|", "421 bye|", "", "co") } },
	{ "not offered, too many errors by it", set_errors_2, 0, NULL, {
	    EHLO_PLAIN,
	    STEP('C', "X|BDAT 6|QUIT|X|",
	    "502 5.5.1 command not implemented|502 5.5.1 BDAT not offered|"
	    "421 4.7.0" GW "too many errors|", "", "co") } },
	{ "too many errors inside a chunk that goes on", set_errors_2, 0,
	    "1 a@b 0/0 0 refused: 501 x;", {
	    EHLO_FULL,
	    C("X|MAIL FROM:<a@b>|RSET|BDAT 9 LAST|abc",
	    "502 5.5.1 command not implemented|",
	    "MAIL FROM:<a@b>|RSET|BDAT 9 LAST|abc"),
	    D("501 x|", "501 x|", ""),
	    STEP('D', "250 y|", "250 y|421 4.7.0" GW "too many errors|", "",
	    "co") } },
	{ "a chunk that the destination refuses", NULL, 0,
	    "1 a@b 2/0 3 reset: 552 full;2 a@b 1/0 3 ok: 250 q;", {
	    EHLO_FULL, MAIL_RCPT,
	    C("BDAT 3|abc", "", "BDAT 3|abc"),
	    D("552 full|", "552 full|", ""),
	    C("BDAT 3|defBDAT 0 LAST|DATA|", UNCHUNKED UNCHUNKED
	    "503 5.5.1 DATA mixed with BDAT|", ""),
	    C("RCPT TO:<e@f>|", "", "RCPT TO:<e@f>|"),
	    D("250 ok|", "250 ok|", ""),
	    C("BDAT 3 LAST|RSE", UNCHUNKED, ""),
	    C("RSET|", "", "RSET|"), D("250 ok|", "250 ok|", ""),
	    MAIL_RCPT,
	    C("BDAT 3 LAST|abc", "", "BDAT 3 LAST|abc"),
	    D("250 q|", "250 q|", "") } },
	{ "refused while the next one goes out", NULL, 0, NULL, {
	    EHLO_FULL, MAIL_RCPT,
	    C("BDAT 3|abcBDAT 3 LAST|d", "", "BDAT 3|abcBDAT 3 LAST|d"),
	    D("552 full|", "552 full|", ""),
	    C("ef", "", "ef"), D("503 no|", "503 no|", ""),
	    C("NOOP|", "", "NOOP|"), D("250 ok|", "250 ok|", "") } },
	{ "EHLO makes it alive", NULL, 0, NULL, {
	    EHLO_FULL, MAIL_RCPT,
	    C("BDAT 3|abc", "", "BDAT 3|abc"),
	    D("552 full|", "552 full|", ""),
	    C("EHLO c|", "", "EHLO c|"),
	    D("250-mx|250 CHUNKING|", "250-mx|250 CHUNKING|", ""),
	    MAIL_RCPT,
	    C("BDAT 3 LAST|abc", "", "BDAT 3 LAST|abc"),
	    D("250 q|", "250 q|", "") } },
	{ "RSET between chunks", NULL, 0,
	    "1 a@b 1/0 3 reset: -;2 a@b 1/0 1 ok: 250 q;", {
	    EHLO_FULL, MAIL_RCPT,
	    C("BDAT 3|ab\rRSET|MAIL FROM:<a@b>|RCPT TO:<c@d>|BDAT 1 LAST|x",
	    "", "BDAT 3|ab\rRSET|MAIL FROM:<a@b>|RCPT TO:<c@d>|"
	    "BDAT 1 LAST|x"),
	    D("250 a|250 b|250 c|250 d|250 q|",
	    "250 a|250 b|250 c|250 d|250 q|", "") } },
	{ "RSET refused: the chunks stand", NULL, 0, "1 a@b 1/0 4 ok: 250 q;", {
	    EHLO_FULL, MAIL_RCPT,
	    C("BDAT 3|ab\r", "", "BDAT 3|ab\r"), D("250 a|", "250 a|", ""),
	    C("RSET x|RSET|", "", "RSET x|"),
	    D("501 b|", "501 b|", "RSET|"), D("451 c|", "451 c|", ""),
	    C("BDAT 1 LAST|\n", "", "BDAT 1 LAST|\n"),
	    D("250 q|", "250 q|", "") } },
	{ "RSET refused, and a chunk behind it", NULL, 0, NULL, {
	    EHLO_FULL, MAIL_RCPT,
	    C("BDAT 3|ab\r", "", "BDAT 3|ab\r"), D("250 a|", "250 a|", ""),
	    C("RSET|BDAT 3|bbb", "", "RSET|BDAT 3|bbb"),
	    STEP('D', "451 b|250 c|", "451 b|421 4.3.0" GW
	    "protocol error of destination|", "", "co") } },
	{ "LAST refused: no other chunk makes a message of the rest", NULL, 0,
	    "1 a@b 1/0 10 refused: 452 no;", {
	    EHLO_FULL, MAIL_RCPT,
	    C("BDAT 5|aaaaa", "", "BDAT 5|aaaaa"), D("250 a|", "250 a|", ""),
	    C("BDAT 5 LAST|bbbbb", "", "BDAT 5 LAST|bbbbb"),
	    D("452 no|", "452 no|", ""),
	    C("BDAT 5 LAST|ccccc", UNCHUNKED, ""),
	    C("DATA|", UNCHUNKED, ""),
	    C("RSET|", "", "RSET|"), D("250 ok|", "250 ok|", ""),
	    C("BDAT 1 LAST|x", "", "BDAT 1 LAST|x"),
	    D("503 no|", "503 no|", "") } },
	{ "RSET refused, and a MAIL behind it", NULL, 0, NULL, {
	    EHLO_FULL, MAIL_RCPT,
	    C("RSET|MAIL FROM:<a@b>|", "", "RSET|MAIL FROM:<a@b>|"),
	    STEP('D', "451 b|503 c|", "451 b|421 4.3.0" GW
	    "protocol error of destination|", "", "co") } },
	{ "DATA behind a chunk", NULL, 0, NULL, {
	    EHLO_FULL, MAIL_RCPT,
	    C("BDAT 3|abc", "", "BDAT 3|abc"), D("250 a|", "250 a|", ""),
	    C("DATA|", "503 5.5.1 DATA mixed with BDAT|", ""),
	    C("BDAT 3 LAST|abc", "", "BDAT 3 LAST|abc"),
	    D("250 q|", "250 q|", "") } },
	{ "without MAIL it is the destination's to judge", NULL, 0, "", {
	    EHLO_FULL,
	    C("BDAT 3|abcBDAT 3 LAST|abc", "", "BDAT 3|abcBDAT 3 LAST|abc"),
	    D("503 a|503 b|", "503 a|503 b|", "") } },
	{ "MAIL refused, chunks behind it", NULL, 0,
	    "1 a@b 0/0 3 refused: 550 a;", {
	    EHLO_FULL,
	    C("MAIL FROM:<a@b>|RCPT TO:<c@d>|BDAT 3|abcBDAT 3 LAST|d", "",
	    "MAIL FROM:<a@b>|RCPT TO:<c@d>|BDAT 3|abcBDAT 3 LAST|d"),
	    D("550 a|503 b|503 c|", "550 a|503 b|503 c|", ""),
	    C("ef", "", "ef"), D("503 d|", "503 d|", "") } },
	{ "a gap without MAIL", set_size_10, 0, "", {
	    EHLO_FULL,
	    C("BDAT 11|12345678901BDAT 1 LAST|x", TOO_BIG UNCHUNKED, ""),
	    C("RSET|BDAT 1 LAST|x", "", "RSET|BDAT 1 LAST|x"),
	    D("250 ok|503 no|", "250 ok|503 no|", "") } },
	{ "a line of BDAT that is none", NULL, 0, NULL, {
	    EHLO_FULL,
	    C("RSET|", "", "RSET|"),
	    C("BDAT 7 LAST\r|QUIT|x|", "", ""),
	    STEP('D', "250 ok|", "250 ok|500 5.5.2 bare CR in command|"
	    BYE_470, "", "co") } },
	{ "nor with a NUL", NULL, 0, NULL, {
	    EHLO_FULL,
	    STEP('C', "BDAT\0 7|QUIT|x", "500 5.5.2 NUL in command|"
	    BYE_470, "", "co") } },
	{ "3yz ends it", NULL, 0, NULL, {
	    EHLO_FULL, MAIL_RCPT,
	    C("BDAT 3|abc", "", "BDAT 3|abc"),
	    STEP('D', "354 go|", BAD_451 BYE_430, "", "co") } },
	{ "bare LF", NULL, 0, "1 a@b 1/0 1 bare LF: 554 5.6.0 bare LF in "
	    "message;", {
	    EHLO_FULL, MAIL_RCPT,
	    C("BDAT 9 LAST|a", "", "BDAT 9 LAST|a"),
	    STEP('C', "\n.\nabc", "", "", "c"),
	    C("de", IN_MESSAGE("bare LF"), ""), BYE } },
	{ "NUL", NULL, 0, NULL, {
	    EHLO_FULL, MAIL_RCPT,
	    STEP('C', "BDAT 3|a\0b", IN_MESSAGE("NUL"), "~BDAT 3|a", "c"),
	    BYE } },
	{ "bare CR at the very end", NULL, 0, NULL, {
	    EHLO_FULL, MAIL_RCPT,
	    STEP('C', "BDAT 3 LAST|ab\r", IN_MESSAGE("bare CR"),
	    "~BDAT 3 LAST|ab", "c"),
	    BYE } },
	{ "CRLF over the boundary", NULL, 0, "1 a@b 1/0 6 ok: 250 q;", {
	    EHLO_FULL, MAIL_RCPT,
	    C("BDAT 3|ab\r", "", "BDAT 3|ab\r"), D("250 a|", "250 a|", ""),
	    C("BDAT 3 LAST|\ncd", "", "BDAT 3 LAST|\ncd"),
	    D("250 q|", "250 q|", "") } },
	{ "bare CR over the boundary", NULL, 0, NULL, {
	    EHLO_FULL, MAIL_RCPT,
	    C("BDAT 3|ab\r", "", "BDAT 3|ab\r"), D("250 a|", "250 a|", ""),
	    STEP('C', "BDAT 3|cd\n", IN_MESSAGE("bare CR"), "~BDAT 3|", "c"),
	    BYE } },
	{ "and over an empty chunk", NULL, 0, NULL, {
	    EHLO_FULL, MAIL_RCPT,
	    C("BDAT 3|ab\rBDAT 0|", "", "BDAT 3|ab\rBDAT 0|"),
	    D("250 a|250 b|", "250 a|250 b|", ""),
	    STEP('C', "BDAT 3|cd\n", IN_MESSAGE("bare CR"), "~BDAT 3|", "c"),
	    BYE } },
	{ "bare CR, then BDAT 0 LAST", NULL, 0, NULL, {
	    EHLO_FULL, MAIL_RCPT,
	    C("BDAT 3|ab\r", "", "BDAT 3|ab\r"), D("250 a|", "250 a|", ""),
	    C("BDAT 0 LAST|", IN_MESSAGE("bare CR"), ""),
	    C("BDAT 0 LAST|", UNCHUNKED, ""),
	    C("RSET|", "", "RSET|"), D("250 ok|", "250 ok|", "") } },
	{ "binary goes as it is", NULL, 0, NULL, {
	    EHLO_FULL,
	    C("MAIL FROM:<a@b> BODY=BINARYMIME|", "",
	    "MAIL FROM:<a@b> BODY=BINARYMIME|"),
	    D("250 ok|", "250 ok|", ""),
	    C("RCPT TO:<c@d>|", "", "RCPT TO:<c@d>|"),
	    D("250 ok|", "250 ok|", ""),
	    C("BDAT 9|\n.\n\0\r.\r|BDAT 2 LAST|\n\r", "",
	    "BDAT 9|\n.\n\0\r.\r|BDAT 2 LAST|\n\r"),
	    D("250 ok|250 ok|", "250 ok|250 ok|", "") } },
	{ "binary that was not offered is judged", NULL, 0, NULL, {
	    EHLO_WITH("250-CHUNKING|"),
	    C("MAIL FROM:<a@b> BODY=BINARYMIME|", "",
	    "MAIL FROM:<a@b> BODY=BINARYMIME|"),
	    D("250 ok|", "250 ok|", ""),
	    STEP('C', "BDAT 2|\n\nQUIT|", IN_MESSAGE("bare LF")
	    "221 2.0.0" GW "closing connection|", "~BDAT 2|", "co") } },
	{ "a fault with replies due: those come first", NULL, 0,
	    "2 a@b 1/0 1 bare LF: 554 5.6.0 bare LF in message;"
	    "1 a@b 1/0 3 ok: 250 q1;", {
	    EHLO_FULL, MAIL_RCPT,
	    C("BDAT 3 LAST|abcMAIL FROM:<a@b>|RCPT TO:<c@d>|BDAT 3|d", "",
	    "BDAT 3 LAST|abcMAIL FROM:<a@b>|RCPT TO:<c@d>|BDAT 3|d"),
	    C("\nfRSET|", "", ""),
	    D("250 q1|", "250 q1|", ""),
	    D("250 m|", "250 m|", ""),
	    STEP('D', "250 r|250 nonsense|", "250 r|"
	    IN_MESSAGE("bare LF") BYE_430, "", "co") } },
	{ "the same, and the destination goes", NULL, 0,
	    "2 a@b 1/0 1 bare LF: 554 5.6.0 bare LF in message;"
	    "1 a@b 1/0 3 bare LF: 421 4.4.2" GW
	    "lost connection with destination;", {
	    EHLO_FULL, MAIL_RCPT,
	    C("BDAT 3 LAST|abcMAIL FROM:<a@b>|RCPT TO:<c@d>|BDAT 3|d", "",
	    "BDAT 3 LAST|abcMAIL FROM:<a@b>|RCPT TO:<c@d>|BDAT 3|d"),
	    C("\nf", "", ""),
	    STEP('d', "", LOST_421, "", "co") } },
	{ "early refusal inside a chunk", NULL, 0, NULL, {
	    EHLO_FULL, MAIL_RCPT,
	    C("BDAT 9|abc", "", "BDAT 9|abc"),
	    STEP('D', "452 full|", "", "", "c"),
	    C("defgh", "", ""), C("iRS", "452 full|", ""),
	    STEP('C', "ET|", BYE_430, "", "o") } },
	{ "early acceptance inside a chunk", NULL, 0, NULL, {
	    EHLO_FULL, MAIL_RCPT,
	    C("BDAT 9|abc", "", "BDAT 9|abc"),
	    STEP('D', "250 ok|", "", "", "c"),
	    C("defghi", "451 4.3.0 malformed reply from destination|", ""),
	    BYE } },
	{ "acceptance with the final octet not sent", NULL, SCRIPT_WHOLE,
	    NULL, {
	    EHLO_FULL, MAIL_RCPT,
	    STEP('b', "", "", "", ""),
	    C("BDAT 3 LAST|abc", "", ""),
	    STEP('D', "250 q|", BAD_451 BYE_430, "", "co") } },
	{ "refusal with the chunk not sent, and more behind", NULL, 0,
	    "1 a@b 1/0 0 refused: 552 full;", {
	    EHLO_FULL, MAIL_RCPT,
	    STEP('b', "", "", "", ""),
	    C("BDAT 0|RSET|", "", ""),
	    STEP('D', "552 full|", "552 full|" BYE_430, "", "co") } },
	{ "destination goes within a chunk", NULL, 0, NULL, {
	    EHLO_FULL, MAIL_RCPT,
	    C("BDAT 5 LAST|abc", "", "BDAT 5 LAST|abc"),
	    STEP('d', "", "", "", "c"),
	    STEP('C', "de", LOST_421, "", "o") } },
	{ "destination goes within a chunk, replies due", NULL, 0, NULL, {
	    EHLO_FULL, MAIL_RCPT,
	    C("BDAT 1|xBDAT 5 LAST|abc", "", "BDAT 1|xBDAT 5 LAST|abc"),
	    STEP('x', "", LOST_421, "", "co") } },
	{ "client leaves within a chunk", NULL, 0, NULL, {
	    EHLO_FULL, MAIL_RCPT,
	    C("BDAT 5 LAST|abcd", "", "BDAT 5 LAST|abcd"),
	    STEP('c', "", "", "", "co") } },
	{ "client leaves within a chunk, replies due", NULL, 0,
	    "1 a@b 1/0 3 ok: 250 q;"
	    "2 a@b 0/0 0 client closed inside a message: -;", {
	    EHLO_FULL, MAIL_RCPT,
	    C("BDAT 3 LAST|abcMAIL FROM:<a@b>|BDAT 5 LAST|abcd", "",
	    "BDAT 3 LAST|abcMAIL FROM:<a@b>|BDAT 5 LAST|abcd"),
	    STEP('c', "", "", "", ""),
	    D("250 q|", "250 q|", ""),
	    STEP('D', "250 m|", "250 m|", "", "co") } },
	{ "client breaks within a chunk, a message due", NULL, 0,
	    "1 a@b 1/0 3 ok: 250 q;2 a@b 0/0 0 connection lost: -;", {
	    EHLO_FULL, MAIL_RCPT,
	    C("BDAT 3 LAST|abcMAIL FROM:<a@b>|BDAT 5 LAST|abcd", "",
	    "BDAT 3 LAST|abcMAIL FROM:<a@b>|BDAT 5 LAST|abcd"),
	    STEP('r', "", "", "", ""),
	    D("250 q|", "", ""),
	    STEP('D', "250 m|", "", "", "co") } },
	{ "client breaks behind a message and a DATA", NULL, 0,
	    "1 a@b 1/0 3 ok: 250 q;2 a@b 1/0 0 connection lost: -;", {
	    EHLO_FULL, MAIL_RCPT,
	    C("BDAT 3 LAST|abcMAIL FROM:<a@b>|RCPT TO:<c@d>|DATA|", "",
	    "BDAT 3 LAST|abcMAIL FROM:<a@b>|RCPT TO:<c@d>|DATA|"),
	    STEP('r', "", "", "", ""),
	    D("250 q|", "", ""),
	    D("250 m|", "", ""),
	    D("250 r|", "", ""),
	    STEP('D', "354 go|", "", "", "co") } },
	{ "client breaks behind a message and an AUTH", NULL, 0,
	    "1 a@b 1/0 3 ok: 250 q;", {
	    EHLO_WITH("250-PIPELINING|250-CHUNKING|250-AUTH PLAIN|"),
	    MAIL_RCPT,
	    STEP('C', "BDAT 3 LAST|abcAUTH PLAIN|", "",
	    "BDAT 3 LAST|abcAUTH PLAIN|", "w"),
	    STEP('r', "", "", "", ""),
	    D("250 q|", "", ""),
	    STEP('D', "334 |", "", "", "co") } },
	{ "client breaks within LAST, replies due but no message", NULL, 0,
	    "1 a@b 1/0 3 connection lost: -;", {
	    EHLO_FULL, MAIL_RCPT,
	    C("BDAT 3|abcBDAT 5 LAST|abcd", "", "BDAT 3|abcBDAT 5 LAST|abcd"),
	    STEP('r', "", "", "", "co") } },
	{ "client leaves between chunks", NULL, 0,
	    "1 a@b 1/0 3 client closed: -;", {
	    EHLO_FULL, MAIL_RCPT,
	    C("BDAT 3|abc", "", "BDAT 3|abc"),
	    STEP('c', "", "", "", ""),
	    STEP('D', "250 ok|", "250 ok|", "", "co") } },
	{ "client leaves behind LAST", NULL, 0, "1 a@b 1/0 3 ok: 250 q;", {
	    EHLO_FULL, MAIL_RCPT,
	    C("BDAT 3 LAST|abc", "", "BDAT 3 LAST|abc"),
	    STEP('c', "", "", "", ""),
	    STEP('D', "250 q|", "250 q|", "", "co") } },
	{ "too big by what it says", set_size_10, 0, NULL, {
	    EHLO_FULL, MAIL_RCPT,
	    C("BDAT 11 LAST|12345678901", TOO_BIG, ""),
	    C("BDAT 1 LAST|1", UNCHUNKED, ""),
	    C("RSET|", "", "RSET|"), D("250 ok|", "250 ok|", ""),
	    MAIL_RCPT,
	    C("BDAT 6|123456", "", "BDAT 6|123456"),
	    D("250 ok|", "250 ok|", ""),
	    C("BDAT 5 LAST|12345", TOO_BIG, ""),
	    C("BDAT 4 LAST|1234", UNCHUNKED, "") } },
	{ "as big as may be", set_size_10, 0, "1 a@b 1/0 10 ok: 250 q;", {
	    EHLO_FULL, MAIL_RCPT,
	    C("BDAT 6|123456BDAT 4 LAST|1234", "",
	    "BDAT 6|123456BDAT 4 LAST|1234"),
	    D("250 ok|250 q|", "250 ok|250 q|", "") } },
};

#define TABLE(name)							\
START_TEST(test_ ## name)						\
{									\
	script_check(&name[_i]);					\
}									\
END_TEST
TABLE(data)
TABLE(chunks)

/* Nobody can know how many octets follow these. */
START_TEST(test_bad_bdat)
{
	static const char *const	args[] = {
		"", "x", "-1", "+1", "1x", "1 LASTX", "1 LAST x", "1  LAST",
		"1,LAST", "LAST", "0x10", "9223372036854775808",
		"18446744073709551616", "99999999999999999999",
		"000000000000000000001", "1\tLAST", "1.0"
	};
	struct script	sc;
	struct step	steps[] = { EHLO_FULL, MAIL_RCPT };
	struct step	last = STEP('C', "",
			    "501 5.5.4 syntax: BDAT size [LAST]|" BYE_470, "",
			    "co");
	char		text[128];
	size_t		n = sizeof(steps) / sizeof(steps[0]), i;

	for (i = 0; i < sizeof(args) / sizeof(args[0]); i++) {
		memset(&sc, 0, sizeof(sc));
		sc.name = text;
		memcpy(sc.steps, steps, sizeof(steps));
		(void)snprintf(text, sizeof(text), "BDAT %s|x|RSET|",
		    args[i]);
		last.in = text;
		last.inlen = strlen(text);
		sc.steps[n] = last;
		script_check(&sc);
	}
}
END_TEST

/* Sizes that are good, and far more than ever comes. */
START_TEST(test_huge_bdat)
{
	static const struct script	sc = { "huge", NULL, 0, NULL, {
	    EHLO_FULL, MAIL_RCPT,
	    C("BDAT 9223372036854775807|abc", "",
	    "BDAT 9223372036854775807|abc"),
	    STEP('c', "", "", "", "co") } };
	static const struct script	swallow = { "swallow", NULL, 0, NULL, {
	    EHLO_PLAIN,
	    C("BDAT 9223372036854775807|abc", "", ""),
	    STEP('t', "180000", "421 4.4.2" GW "timeout|", "", "co") } };

	script_check(&sc);
	script_check(&swallow);
}
END_TEST

static void
begin_message(struct play *p, const char *how)
{
	static const char	ehlo[] = "250-mx\r\n250-CHUNKING\r\n"
				    "250 PIPELINING\r\n";

	play_init(p);
	play_start(p);
	smtp_engine_connected(&p->e, p->now_ms);
	play_give(p, SMTP_DEST, "220 x\r\n", 7);
	play_give(p, SMTP_CLIENT, "EHLO c\r\n", 8);
	play_give(p, SMTP_DEST, ehlo, sizeof(ehlo) - 1);
	play_give(p, SMTP_CLIENT, "MAIL FROM:<a@b>\r\n", 17);
	play_give(p, SMTP_DEST, "250 ok\r\n", 8);
	play_give(p, SMTP_CLIENT, how, strlen(how));
	p->side[SMTP_CLIENT].got.used = 0;
	p->side[SMTP_DEST].got.used = 0;
}

/* Much content through sends and blocks of all sizes: not an octet changed. */
START_TEST(test_streamed)
{
	static const size_t	sends[] = { 0, 1, 7, 1000 };
	struct play		p;
	struct play_text	all = { NULL, 0, 0 };
	size_t			at, n, i;
	char			line[200];

	for (i = 0; i < 6000; i++) {
		(void)snprintf(line, sizeof(line), "%s%zu %*s\r\n",
		    i % 5 == 0 ? ".." : "", i, (int)(i % 150), "x");
		play_add(&all, line, strlen(line));
	}
	play_add(&all, ".\r\n", 3);
	for (i = 0; i < sizeof(sends) / sizeof(sends[0]); i++) {
		begin_message(&p, "DATA\r\n");
		play_give(&p, SMTP_DEST, "354 go\r\n", 8);
		p.send_max = sends[i];
		for (at = 0; at < all.used; at += n) {
			n = (at * 7919 + 13) % 5000 + 1;
			if (n > all.used - at)
				n = all.used - at;
			play_give(&p, SMTP_CLIENT, all.data + at, n);
			ck_assert_uint_eq(p.side[SMTP_CLIENT].in.used, 0);
		}
		ck_assert_uint_eq(p.side[SMTP_DEST].got.used, all.used);
		ck_assert_mem_eq(p.side[SMTP_DEST].got.data, all.data,
		    all.used);
		play_clear(&p);
	}
	free(all.data);
}
END_TEST

/* A destination that takes nothing stops the client, and nothing grows. */
START_TEST(test_dest_blocked)
{
	struct play	p;
	int		i;

	begin_message(&p, "BDAT 3000000 LAST\r\n");
	p.side[SMTP_DEST].is_blocked = 1;
	for (i = 0; i < 1000; i++)
		play_give(&p, SMTP_CLIENT, "0123456789", 10);
	ck_assert_uint_le(p.e.out[SMTP_DEST].used + p.e.passlen[SMTP_DEST],
	    SMTP_OUT_HIGH);
	ck_assert_uint_gt(p.side[SMTP_CLIENT].in.used, 5000);
	p.side[SMTP_DEST].is_blocked = 0;
	play_run(&p);
	ck_assert_uint_eq(p.side[SMTP_DEST].got.used, 10000);
	play_clear(&p);
}
END_TEST

#define ADD(name)							\
	tcase_add_loop_test(tc, test_ ## name, 0,			\
	    (int)(sizeof(name) / sizeof(name[0])))

int
main(void)
{
	Suite	*s = suite_create("smtp_engine_data");
	TCase	*tc = tcase_create("content");
	SRunner	*sr;
	int	 failed;

	tcase_set_timeout(tc, 120);
	ADD(data);
	ADD(chunks);
	tcase_add_test(tc, test_bad_bdat);
	tcase_add_test(tc, test_huge_bdat);
	tcase_add_test(tc, test_streamed);
	tcase_add_test(tc, test_dest_blocked);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed == 0 ? 0 : 1;
}
