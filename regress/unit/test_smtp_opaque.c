/*
 * What passes unread: STARTTLS that goes through and what is demanded behind
 * its 220, octets both ways, half-closed connections, bypass.
 */
#include "engine_script.h"

#define NOT_THERE	"421 4.4.1" GW "destination not available|"
#define NOT_OFFERED	"502 5.5.1 STARTTLS not offered|"

static void
set_pass(struct play *p)
{
	p->set.ehlo.remove = EHLO_REQUIRETLS;
}

/* All limits a second, told apart by one. */
static void
set_limits(struct play *p)
{
	int	i;

	set_pass(p);
	for (i = 0; i < SMTP_TIMEOUTS; i++)
		p->set.timeout_ms[i] = 1000 * (i + 1);
	p->set.timeout_ms[SMTP_TIMEOUT_MESSAGE] = 0;
	p->set.timeout_ms[SMTP_TIMEOUT_SESSION] = 0;
}

static void
set_session(struct play *p)
{
	set_limits(p);
	p->set.timeout_ms[SMTP_TIMEOUT_SESSION] = 9000;
}

static void
set_errors_2(struct play *p)
{
	set_pass(p);
	p->set.max_errors = 2;
}

static void
set_bypass(struct play *p)
{
	set_limits(p);
	p->is_bypass = 1;
}

static void
set_bypass_session(struct play *p)
{
	set_session(p);
	p->is_bypass = 1;
}

#define OFFERED								\
	EHLO_WITH("250-PIPELINING|250-STARTTLS|250-CHUNKING|")
#define STARTTLS_220							\
	C("STARTTLS|", "", "STARTTLS|"),				\
	D("220 go|", "220 go|", "")
/* The smallest that counts as a handshake. */
#define HELLO		"\x16\x03\x01\x00\x05\r\n.\r\nQUIT\r\n\xff\x00"
#define TLS								\
	OFFERED, STARTTLS_220, C(HELLO, "", HELLO)
#define SHORT(ms)	STEP('t', ms, "", "", "")

static const struct script starttls[] = {
	{ "hidden: not offered, not forwarded", NULL, 0, "", {
	    GREETED,
	    C("EHLO c|", "", "EHLO c|"),
	    D("250-mx|250-STARTTLS|250 DSN|", "250-mx|250 DSN|", ""),
	    C("STARTTLS|", NOT_OFFERED, ""),
	    C("NOOP|", "", "NOOP|"), D("250 ok|", "250 ok|", "") } },
	{ "the destination does not have it", set_pass, 0, "", {
	    EHLO_PLAIN,
	    C("STARTTLS|", NOT_OFFERED, "") } },
	{ "before EHLO, after HELO, after another EHLO", set_pass, 0, "", {
	    GREETED,
	    C("STARTTLS|", NOT_OFFERED, ""),
	    C("EHLO c|", "", "EHLO c|"),
	    D("250-mx|250 STARTTLS|", "250-mx|250 STARTTLS|", ""),
	    C("HELO c|", "", "HELO c|"), D("250 mx|", "250 mx|", ""),
	    C("starttls|", NOT_OFFERED, ""),
	    C("EHLO c|", "", "EHLO c|"),
	    D("250-mx|250 STARTTLS|", "250-mx|250 STARTTLS|", ""),
	    C("EHLO c|", "", "EHLO c|"), D("250 mx|", "250 mx|", ""),
	    C("STARTTLS|", NOT_OFFERED, "") } },
	{ "through, and octets both ways", set_pass, 0, "", {
	    OFFERED, STARTTLS_220,
	    C("\x16\x03", "", "\x16\x03"),
	    D("220 a|\0\xff", "220 a|\0\xff", ""),
	    C("DATA|.|QUIT|\0", "", "DATA|.|QUIT|\0"),
	    D("421 b|", "421 b|", ""), D("x\r\r\n", "x\r\r\n", ""),
	    STEP('c', "", "", "", "s"),
	    D("last words", "last words", ""),
	    STEP('d', "", "", "", "coS") } },
	{ "the keyword in any case, with a parameter", set_pass, 0, "", {
	    GREETED,
	    C("EHLO c|", "", "EHLO c|"),
	    D("250-mx|250 startTLS x|", "250-mx|250 startTLS x|", ""),
	    C("StartTLS |", "", "StartTLS |"),
	    D("501 no|", "501 no|", ""),
	    C("starttls|", "", "starttls|"),
	    D("220-a|220 b|", "220-a|220 b|", ""),
	    C(HELLO, "", HELLO) } },
	{ "refused: it goes on in clear", set_pass, 0,
	    "1 a@b 1/0 2 ok: 250 ok;", {
	    OFFERED, MAIL_RCPT,
	    C("STARTTLS|", "", "STARTTLS|"),
	    D("454-4.7.0 no|454 4.7.0 TLS|", "454-4.7.0 no|454 4.7.0 TLS|",
	    ""),
	    C("STARTTLS|", "", "STARTTLS|"), D("503 no|", "503 no|", ""),
	    DATA_354,
	    C("|.|", "", "|.|"), D("250 ok|", "250 ok|", "") } },
	{ "it ends an open transaction", set_pass, 0,
	    "1 a@b 1/0 0 abandoned: -;", {
	    OFFERED, MAIL_RCPT, STARTTLS_220, C(HELLO, "", HELLO) } },
	{ "behind replies that are due", set_pass, 0,
	    "1 a@b 0/0 0 reset: -;", {
	    OFFERED,
	    C("MAIL FROM:<a@b>|RSET|STARTTLS|", "",
	    "MAIL FROM:<a@b>|RSET|STARTTLS|"),
	    D("250 m|250 r|", "250 m|250 r|", ""),
	    D("220 go|", "220 go|", ""),
	    C(HELLO, "", HELLO) } },
	{ "another 2xx", set_pass, 0, "", {
	    OFFERED, C("STARTTLS|", "", "STARTTLS|"),
	    STEP('D', "250 ok|", BAD_451 BYE_430, "", "co") } },
	{ "a 3xx", set_pass, 0, "", {
	    OFFERED, C("STARTTLS|", "", "STARTTLS|"),
	    STEP('D', "354 go|", BAD_451 BYE_430, "", "co") } },
	{ "a 421", set_pass, 0, "", {
	    OFFERED, C("STARTTLS|", "", "STARTTLS|"),
	    STEP('D', "421 bye|", "421 bye|", "", "co") } },
	{ "the destination goes instead", set_pass, 0, "", {
	    OFFERED, C("STARTTLS|", "", "STARTTLS|"),
	    STEP('d', "", LOST_421, "", "co") } },
	{ "octets behind it, in one piece", set_pass, SCRIPT_WHOLE, "", {
	    OFFERED,
	    STEP('C', "STARTTLS|" HELLO, IMPROPER, "", "co") } },
	{ "octets behind it, forwarded already", set_pass, 0, "", {
	    OFFERED,
	    C("STARTTLS|", "", "STARTTLS|"),
	    STEP('C', "RSET|", IMPROPER, "", "co") } },
	{ "octets behind it, replies due", set_pass, 0, "", {
	    OFFERED,
	    C("RSET|STARTTLS|", "", "RSET|STARTTLS|"),
	    C("RSET|", "", ""),
	    STEP('D', "250 r|220 go|", "250 r|" IMPROPER, "", "co") } },
	{ "too many errors while it is due", set_errors_2, 0, "", {
	    OFFERED,
	    C("RSET|X|STARTTLS|", "", "RSET|STARTTLS|"),
	    D("500 no|", "500 no|502 5.5.1 command not implemented|", ""),
	    STEP('D', "220 go|", "220 go|", "", "co") } },
	{ "client gone while it is due", set_pass, 0, "", {
	    OFFERED, C("STARTTLS|", "", "STARTTLS|"),
	    STEP('c', "", "", "", ""),
	    STEP('D', "220 go|", "220 go|", "", "co") } },
	{ "stopping while it is due", set_pass, 0, "", {
	    OFFERED, C("STARTTLS|", "", "STARTTLS|"),
	    STEP('s', "", "", "", ""),
	    STEP('D', "220 go|", "220 go|", "", "co") } },
	{ "no reply to it", set_limits, 0, "", {
	    OFFERED, C("STARTTLS|", "", "STARTTLS|"),
	    SHORT("3999"),
	    STEP('t', "1", "451 4.4.2" GW "timeout of destination|" BYE_442,
	    "", "co") } },
};

static const struct script first[] = {
	{ "injection behind the 220", set_pass, 0, "", {
	    OFFERED, C("STARTTLS|", "", "STARTTLS|"),
	    STEP('D', "220 go|250 injected|", "220 go|", "", "co") } },
	{ "one octet of it, a transaction open", set_pass, 0,
	    "1 a@b 1/0 0 abandoned: -;", {
	    OFFERED, MAIL_RCPT, C("STARTTLS|", "", "STARTTLS|"),
	    STEP('D', "220 go|\x16", "220 go|", "", "co") } },
	{ "injection later", set_pass, 0, "", {
	    OFFERED, STARTTLS_220,
	    STEP('D', "\x16\x03\x01", "", "", "co"),
	    C(HELLO, "", "") } },
	{ "injection behind half a handshake", set_pass, 0, "", {
	    OFFERED, STARTTLS_220,
	    C("\x16", "", ""),
	    STEP('D', "x", "", "", "co") } },
	{ "the client goes on in clear", set_pass, 0, "", {
	    OFFERED, STARTTLS_220,
	    STEP('C', "EHLO c|QUIT|", "", "", "co") } },
	{ "not a handshake: the first octet", set_pass, 0, "", {
	    OFFERED, STARTTLS_220,
	    STEP('C', "\x80\x03\x01", "", "", "co") } },
	{ "not a handshake: an alert", set_pass, 0, "", {
	    OFFERED, STARTTLS_220,
	    STEP('C', "\x15", "", "", "co") } },
	{ "not a handshake: the second octet", set_pass, 0, "", {
	    OFFERED, STARTTLS_220,
	    C("\x16", "", ""),
	    STEP('C', "\x02", "", "", "co") } },
	{ "an end of the client", set_pass, 0, "", {
	    OFFERED, STARTTLS_220,
	    STEP('c', "", "", "", "co") } },
	{ "an end of the client behind one octet", set_pass, 0, "", {
	    OFFERED, STARTTLS_220,
	    C("\x16", "", ""),
	    STEP('c', "", "", "", "co") } },
	{ "a reset of the client", set_pass, 0, "", {
	    OFFERED, STARTTLS_220,
	    STEP('r', "", "", "", "co") } },
	{ "an end of the destination", set_pass, 0, "", {
	    OFFERED, STARTTLS_220,
	    STEP('d', "", "", "", "co") } },
	{ "a reset of the destination", set_pass, 0, "", {
	    OFFERED, STARTTLS_220,
	    STEP('x', "", "", "", "co") } },
	{ "stop", set_pass, 0, "", {
	    OFFERED, STARTTLS_220,
	    STEP('s', "", "", "", "co") } },
	{ "fail", set_pass, 0, "", {
	    OFFERED, STARTTLS_220,
	    STEP('f', "", "", "", "co") } },
	{ "the client says nothing", set_limits, 0, "", {
	    OFFERED, STARTTLS_220,
	    SHORT("8999"), STEP('t', "1", "", "", "co") } },
	{ "the client does not take the 220", set_limits, 0, "", {
	    OFFERED,
	    STEP('B', "", "", "", ""),
	    C("STARTTLS|", "", "STARTTLS|"), D("220 go|", "", ""),
	    SHORT("6999"), STEP('t', "1", "", "", "co") } },
	{ "the session's time is up", set_session, 0, "", {
	    OFFERED, STARTTLS_220,
	    C("\x16", "", ""),
	    SHORT("8999"), STEP('t', "1", "", "", "co") } },
};

static const struct script opaque[] = {
	{ "the client ends first", set_pass, 0, "", {
	    TLS,
	    STEP('c', "", "", "", "s"),
	    D("abc", "abc", ""), D("def", "def", ""),
	    STEP('d', "", "", "", "coS") } },
	{ "the destination ends first", set_pass, 0, "", {
	    TLS,
	    STEP('d', "", "", "", "S"),
	    C("abc", "", "abc"), C("def", "", "def"),
	    STEP('c', "", "", "", "cos") } },
	{ "the client ends, what is to be sent waits", set_pass, 0, "", {
	    TLS,
	    STEP('b', "", "", "", ""), C("abc", "", ""),
	    STEP('c', "", "", "", ""), D("x", "x", ""),
	    STEP('u', "", "", "abc", "s"), D("y", "y", ""),
	    STEP('d', "", "", "", "coS") } },
	{ "the destination ends, what is to be sent waits", set_pass, 0, "", {
	    TLS,
	    STEP('B', "", "", "", ""), D("abc", "", ""),
	    STEP('d', "", "", "", ""), C("x", "", "x"),
	    STEP('U', "", "abc", "", "S"), C("y", "", "y"),
	    STEP('c', "", "", "", "cos") } },
	{ "both end, and both have octets to take", set_pass, 0, "", {
	    TLS,
	    STEP('b', "", "", "", ""), STEP('B', "", "", "", ""),
	    C("abc", "", ""), D("xyz", "", ""),
	    STEP('c', "", "", "", ""), STEP('d', "", "", "", ""),
	    STEP('u', "", "", "abc", "s"),
	    STEP('U', "", "xyz", "", "coS") } },
	{ "an end right behind what never left as a copy", set_pass, 0, "", {
	    OFFERED, STARTTLS_220,
	    STEP('b', "", "", "", ""),
	    C("\x16\x03", "", ""),
	    STEP('c', "", "", "", "s"),
	    STEP('d', "", "", "", "S"),
	    STEP('u', "", "", "\x16\x03", "co") } },
	{ "a reset of the client", set_pass, 0, "", {
	    TLS, STEP('r', "", "", "", "co") } },
	{ "a reset of the destination", set_pass, 0, "", {
	    TLS, STEP('x', "", "", "", "co") } },
	{ "a reset with octets to take", set_pass, 0, "", {
	    TLS,
	    STEP('b', "", "", "", ""), STEP('B', "", "", "", ""),
	    C("abc", "", ""), D("xyz", "", ""),
	    STEP('x', "", "", "", "co") } },
	{ "a reset behind its own end", set_pass, 0, "", {
	    TLS,
	    STEP('d', "", "", "", "S"), C("abc", "", "abc"),
	    STEP('x', "", "", "", "co") } },
	{ "stop lets it go on", set_pass, 0, "", {
	    TLS,
	    STEP('s', "", "", "", ""),
	    C("abc", "", "abc"), D("xyz", "xyz", ""),
	    STEP('d', "", "", "", "S"),
	    STEP('c', "", "", "", "cos") } },
	{ "fail, without a word", set_pass, 0, "", {
	    TLS,
	    STEP('f', "", "", "", "co") } },
	{ "idle", set_limits, 0, "", {
	    TLS,
	    SHORT("7999"), C("a", "", "a"),
	    SHORT("7999"), D("b", "b", ""),
	    SHORT("7999"), STEP('c', "", "", "", "s"),
	    STEP('t', "1", "", "", "co") } },
	{ "the destination takes nothing", set_limits, 0, "", {
	    TLS,
	    STEP('b', "", "", "", ""), C("a", "", ""),
	    SHORT("7999"), D("b", "b", ""),
	    SHORT("7999"), STEP('t', "1", "", "", "co") } },
	{ "the client takes nothing", set_limits, 0, "", {
	    TLS,
	    STEP('B', "", "", "", ""), D("a", "", ""),
	    SHORT("7999"), STEP('t', "1", "", "", "co") } },
	{ "the session's time is up", set_session, 0, "", {
	    TLS,
	    SHORT("5000"), C("a", "", "a"), SHORT("3999"),
	    STEP('t', "1", "", "", "co") } },
};

static const struct script bypass[] = {
	{ "nothing is read as SMTP", set_bypass, 0, "", {
	    C("EHLO c|\0", "", "EHLO c|\0"),
	    D("220 mx|nonsense\n", "220 mx|nonsense\n", ""),
	    C("XCLIENT|STARTTLS|DATA|x", "", "XCLIENT|STARTTLS|DATA|x"),
	    D("421 bye|", "421 bye|", ""),
	    STEP('d', "", "", "", "S"),
	    STEP('c', "", "", "", "cos") } },
	{ "the destination speaks first", set_bypass, 0, "", {
	    D("220 mx|", "220 mx|", ""), C("x", "", "x") } },
	{ "still connecting: the client waits", set_bypass, SCRIPT_UNMET,
	    "", {
	    C("abc", "", ""), C("def", "", ""),
	    STEP('N', "", "", "abcdef", ""),
	    D("x", "x", ""),
	    STEP('c', "", "", "", "s"),
	    STEP('d', "", "", "", "coS") } },
	{ "the client has ended before", set_bypass, SCRIPT_UNMET, "", {
	    STEP('c', "", "", "", ""),
	    STEP('N', "", "", "", "s"),
	    D("x", "x", ""),
	    STEP('d', "", "", "", "coS") } },
	{ "with octets in front of its end", set_bypass, SCRIPT_UNMET, "", {
	    C("abc", "", ""),
	    STEP('c', "", "", "", ""),
	    STEP('N', "", "", "abc", "s"),
	    STEP('d', "", "", "", "coS") } },
	{ "timeout of the connection, then another", set_bypass,
	    SCRIPT_UNMET, "", {
	    C("abc", "", ""),
	    SHORT("999"), STEP('t', "1", "", "", "n"),
	    SHORT("999"),
	    STEP('N', "", "", "abc", "") } },
	{ "no choice left", set_bypass, SCRIPT_UNMET, "", {
	    C("abc", "", ""),
	    SHORT("999"), STEP('t', "1", "", "", "n"),
	    STEP('n', "", NOT_THERE, "", "co") } },
	{ "stop while connecting", set_bypass, SCRIPT_UNMET, "", {
	    STEP('s', "", "421 4.3.2" GW "service shutting down|", "",
	    "co") } },
	{ "stop later", set_bypass, 0, "", {
	    STEP('s', "", "", "", ""), C("x", "", "x") } },
	{ "a reset while connecting", set_bypass, SCRIPT_UNMET, "", {
	    STEP('r', "", "", "", "co") } },
	{ "idle", set_bypass, 0, "", {
	    SHORT("7999"), D("a", "a", ""),
	    SHORT("7999"), STEP('t', "1", "", "", "co") } },
	{ "the session's time is up, connected", set_bypass_session, 0, "", {
	    SHORT("5000"), D("a", "a", ""), SHORT("3999"),
	    STEP('t', "1", "", "", "co") } },
	{ "fail, without a word", set_bypass, 0, "", {
	    STEP('f', "", "", "", "co") } },
};

START_TEST(test_starttls)
{
	script_check(&starttls[_i]);
}
END_TEST

START_TEST(test_first)
{
	script_check(&first[_i]);
}
END_TEST

START_TEST(test_opaque)
{
	script_check(&opaque[_i]);
}
END_TEST

START_TEST(test_bypass)
{
	script_check(&bypass[_i]);
}
END_TEST

static const char	offer[] = "250-mx\r\n250 STARTTLS\r\n";

static void
begin(struct play *p, int is_bypass)
{
	play_init(p);
	set_pass(p);
	p->is_bypass = is_bypass;
	play_start(p);
	smtp_engine_connected(&p->e, p->now_ms);
	play_run(p);
	if (is_bypass)
		return;
	play_give(p, SMTP_DEST, "220 mx\r\n", 8);
	play_give(p, SMTP_CLIENT, "EHLO c\r\n", 8);
	play_give(p, SMTP_DEST, offer, sizeof(offer) - 1);
	play_give(p, SMTP_CLIENT, "STARTTLS\r\n", 10);
	play_give(p, SMTP_DEST, "220 go\r\n", 8);
	ck_assert_str_eq(smtp_state_name((enum smtp_state)p->e.state),
	    "tls-first");
}

/* Why it was over, as the log has it, and how it passed. */
static const struct reason_row {
	const char	*client;
	const char	*dest;
	char		 who;		/* then this; 0: nothing */
	const char	*reason;
	enum smtp_opaque opaque;
} reasons[] = {
	{ NULL, "250 x\r\n", 0, "starttls injection", OPAQUE_NONE },
	{ "QUIT\r\n", NULL, 0, "no TLS handshake behind STARTTLS",
	    OPAQUE_NONE },
	{ NULL, NULL, 'c', "client closed", OPAQUE_NONE },
	{ NULL, NULL, 'd', "destination closed", OPAQUE_NONE },
	{ NULL, NULL, 'x', "connection lost", OPAQUE_NONE },
	{ NULL, NULL, 's', "shutdown", OPAQUE_NONE },
	{ NULL, NULL, 't', "timeout of client", OPAQUE_NONE },
	{ HELLO, "abc", 'e', "closed", OPAQUE_STARTTLS },
	{ HELLO, "abc", 'r', "connection lost", OPAQUE_STARTTLS },
	{ HELLO, "abc", 'x', "connection lost", OPAQUE_STARTTLS },
	{ HELLO, NULL, 't', "timeout: no octets", OPAQUE_STARTTLS },
	{ HELLO, NULL, 'f', "failed", OPAQUE_STARTTLS },
};

START_TEST(test_reasons)
{
	const struct reason_row	*row = &reasons[_i];
	struct play		 p;
	struct step		 s;

	begin(&p, 0);
	memset(&s, 0, sizeof(s));
	if (row->client != NULL)
		play_give(&p, SMTP_CLIENT, row->client, strlen(row->client));
	if (row->dest != NULL)
		play_give(&p, SMTP_DEST, row->dest, strlen(row->dest));
	s.who = row->who;
	s.in = "1000000";
	if (row->who == 'e') {
		play_end(&p, SMTP_CLIENT);
		s.who = 'd';
	}
	if (row->who != 0)
		script_step(&p, &s, 0);
	ck_assert_int_eq(p.is_over, 1);
	ck_assert_str_eq(p.e.reason, row->reason);
	ck_assert_int_eq(p.e.opaque, row->opaque);
	play_clear(&p);
}
END_TEST

/* Back-pressure: one piece at a time is on its way to each side. */
START_TEST(test_pressure)
{
	struct play	p;
	static uint8_t	octets[100000];
	int		side, i;

	begin(&p, _i);
	if (_i == 0)
		play_give(&p, SMTP_CLIENT, "\x16\x03", 2);
	memset(octets, 'x', sizeof(octets));
	for (side = 0; side < SMTP_SIDES; side++) {
		p.side[1 - side].is_blocked = 1;
		p.side[1 - side].got.used = 0;
		for (i = 0; i < 3; i++)
			play_give(&p, (enum smtp_side)side, octets,
			    sizeof(octets));
		ck_assert_uint_eq(p.e.passlen[1 - side], sizeof(octets));
		ck_assert_uint_eq(p.side[side].in.used, 2 * sizeof(octets));
		ck_assert_uint_eq(p.e.out[1 - side].used, 0);
		ck_assert_uint_eq(smtp_engine_feed(&p.e,
		    (enum smtp_side)side, octets, 5, p.now_ms), 0);
		p.side[1 - side].is_blocked = 0;
		play_run(&p);
		ck_assert_uint_eq(p.side[1 - side].got.used,
		    3 * sizeof(octets));
	}
	ck_assert_uint_ge(p.e.octets[SMTP_DEST], 3 * sizeof(octets));
	play_clear(&p);
}
END_TEST

#define ADD(name)							\
	tcase_add_loop_test(tc, test_ ## name, 0,			\
	    (int)(sizeof(name) / sizeof(name[0])))

int
main(void)
{
	Suite	*s = suite_create("smtp_opaque");
	TCase	*tc = tcase_create("opaque");
	SRunner	*sr;
	int	 failed;

	tcase_set_timeout(tc, 120);
	ADD(starttls);
	ADD(first);
	ADD(opaque);
	ADD(bypass);
	ADD(reasons);
	tcase_add_loop_test(tc, test_pressure, 0, 2);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed == 0 ? 0 : 1;
}
