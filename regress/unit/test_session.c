/*
 * A session between two socket pairs: we are the client, the destination and
 * the parent.  What the dialogue does is the engine's and has its own tests.
 */
#include <sys/types.h>
#include <sys/socket.h>

#include <netinet/in.h>

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../common/log.h"
#include "../../smtpproxyd/conf_load.h"
#include "../../smtpproxyd/session_int.h"

#define PASSES	50		/* of the loop, each a millisecond at most */

static const char	text[] =
    "hostname \"gw.example.org\"\n"
    "relay \"r\" {\n"
    "	listen on 127.0.0.1 port 2525\n"
    "	forward to { 192.0.2.1 192.0.2.2 192.0.2.3 } port 25\n"
    "}\n";

static struct conf		*conf;
static struct relay		*relays;
static struct loop		 loop;
static struct session_set	 set;
static struct timer		 tick;
static struct session		*session;
static int			 client, dest;	/* our ends */
static uint64_t			 ended_id;
static uint32_t			 asked;		/* choice; 0: none */
static int			 can_ask;
static int			 is_tcp;	/* else socketpairs */
static int			 has_edges;	/* a read takes one write */
static int			 is_bypass;
static int			 is_stuck;	/* connecting for ever */
static int			 is_proxied;
static int			 is_deferred;
static char			 logged[8192];

static void
say(void *arg, const struct conf_place *place, const char *why)
{
	(void)arg;
	ck_abort_msg("%d: %s", place->line, why);
}

static void
keep(void *arg, int priority, const char *line, size_t len)
{
	(void)arg;
	(void)priority;
	(void)len;
	(void)strlcat(logged, line, sizeof(logged));
	(void)strlcat(logged, "\n", sizeof(logged));
}

static int
on_connect(void *arg, uint64_t id, uint32_t choice)
{
	(void)arg;
	ck_assert_uint_eq(id, 7);
	asked = choice;
	return can_ask ? 0 : -1;
}

static void
on_ended(void *arg, struct session *s)
{
	(void)arg;
	ended_id = s->id;
	session = NULL;
}

static const struct session_ops	ops = { on_connect, on_ended };

static void
on_tick(struct timer *t, void *arg, int64_t now_ms)
{
	(void)arg;
	ck_assert_int_eq(timer_set(&loop.timers, t, now_ms + 1), 0);
}

static void
pump(void)
{
	int	i;

	for (i = 0; i < PASSES; i++)
		ck_assert_int_eq(loop_once(&loop), 0);
}

/* A TCP connection: an end and a reset look different there. */
static void
pair_tcp(int fd[2])
{
	struct sockaddr_in	sin;
	socklen_t		len = sizeof(sin);
	int			l;

	memset(&sin, 0, sizeof(sin));
	sin.sin_family = AF_INET;
	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	l = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ck_assert_int_ne(l, -1);
	ck_assert_int_eq(bind(l, (struct sockaddr *)&sin, len), 0);
	ck_assert_int_eq(listen(l, 1), 0);
	ck_assert_int_eq(getsockname(l, (struct sockaddr *)&sin, &len), 0);
	fd[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ck_assert_int_ne(fd[0], -1);
	ck_assert_int_eq(connect(fd[0], (struct sockaddr *)&sin, len), 0);
	fd[1] = accept(l, NULL, NULL);
	ck_assert_int_ne(fd[1], -1);
	ck_assert_int_ne(fcntl(fd[0], F_SETFL, O_NONBLOCK), -1);
	ck_assert_int_ne(fcntl(fd[1], F_SETFL, O_NONBLOCK), -1);
	(void)close(l);
}

static int
pair(int *ours)
{
	int	fd[2];

	if (is_tcp) {
		pair_tcp(fd);
		*ours = fd[0];
		return fd[1];
	}
	ck_assert_int_eq(socketpair(AF_UNIX, (has_edges ? SOCK_SEQPACKET :
	    SOCK_STREAM) | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fd), 0);
	*ours = fd[0];
	return fd[1];
}

static void
start(int has_dest, int error)
{
	struct session_new	n;

	memset(&n, 0, sizeof(n));
	n.id = 7;
	n.relay = &relays[0];
	n.error = error;
	n.is_bypass = is_bypass;
	n.is_proxied = is_proxied;
	n.is_deferred = is_deferred;
	ck_assert_int_eq(addr_parse(&n.client, "192.0.2.99"), 0);
	n.client.port = 1234;
	n.listener = n.client;
	n.dest = relays[0].conf->choices[0].addr;
	n.client_fd = pair(&client);
	n.dest_fd = has_dest ? pair(&dest) : -1;
	while (is_stuck && write(n.dest_fd, text, sizeof(text)) != -1)
		;
	session = session_new(&set, &n);
	ck_assert_ptr_nonnull(session);
	pump();
}

static void
setup(void)
{
	conf = conf_load_text("test", text, strlen(text), NULL, NULL, say,
	    NULL);
	ck_assert_ptr_nonnull(conf);
	conf->relays->starttls = STARTTLS_PASS;
	relays = relays_new(conf);
	ck_assert_ptr_nonnull(relays);
	(void)signal(SIGPIPE, SIG_IGN);		/* as in a worker */
	ck_assert_int_eq(loop_init(&loop, 0), 0);
	session_set_init(&set, &loop, &ops, NULL);
	loop.after = session_set_run;
	loop.after_arg = &set;
	timer_init(&tick, on_tick, NULL);
	on_tick(&tick, NULL, loop.now_ms);
	client = dest = -1;
	ended_id = 0;
	asked = 0;
	can_ask = 1;
	is_tcp = has_edges = is_bypass = is_stuck = is_proxied = 0;
	is_deferred = 0;
	logged[0] = '\0';
	log_set_sink(keep, NULL);
}

static void
teardown(void)
{
	session_set_clear(&set);
	timer_end(&loop.timers, &tick);
	loop_clear(&loop);
	relays_free(relays, conf->nrelays);
	conf_free(conf);
	if (client != -1)
		(void)close(client);
	if (dest != -1)
		(void)close(dest);
	log_set_sink(NULL, NULL);
}

static void
put(int fd, const char *s)
{
	ck_assert_int_eq(write(fd, s, strlen(s)), (ssize_t)strlen(s));
	pump();
}

/* As much as goes. */
static void
try_put(int fd, const void *octets, size_t len)
{
	if (send(fd, octets, len, MSG_NOSIGNAL) == -1)
		ck_assert_msg(errno == EAGAIN || errno == EPIPE ||
		    errno == ECONNRESET, "errno %d", errno);
}

/* All that is there to read, as text; "(end)" behind it at the end. */
static const char *
get(int fd)
{
	static char	got[65536];
	ssize_t		n;

	got[0] = '\0';
	n = read(fd, got, sizeof(got) - 8);
	if (n == -1) {
		ck_assert_int_eq(errno, EAGAIN);
		n = 0;
	} else if (n == 0)
		return "(end)";
	got[n] = '\0';
	return got;
}

START_TEST(test_message)
{
	start(1, 0);
	ck_assert_str_eq(get(client), "");
	put(dest, "220 there\r\n");
	ck_assert_str_eq(get(client), "220 there\r\n");
	put(client, "HELO c.example\r\n");
	ck_assert_str_eq(get(dest), "HELO c.example\r\n");
	put(dest, "250 there\r\n");
	put(client, "MAIL FROM:<a@b>\r\n");
	put(dest, "250 a\r\n");
	put(client, "RCPT TO:<c@d>\r\n");
	put(dest, "250 b\r\n");
	put(client, "DATA\r\n");
	ck_assert_str_eq(get(dest),
	    "MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n");
	put(dest, "354 go\r\n");
	put(client, "x: y\r\n\r\n..\r\n.\r\n");
	ck_assert_str_eq(get(dest), "x: y\r\n\r\n..\r\n.\r\n");
	put(dest, "250 queued\r\n");
	ck_assert_str_eq(get(client), "250 there\r\n250 a\r\n250 b\r\n"
	    "354 go\r\n250 queued\r\n");
	put(client, "QUIT\r\n");
	ck_assert_str_eq(get(dest), "QUIT\r\n");
	put(dest, "221 bye\r\n");
	ck_assert_str_eq(get(client), "221 bye\r\n");
	ck_assert_str_eq(get(client), "(end)");
	ck_assert_uint_eq(ended_id, 7);
	ck_assert_uint_eq(set.used, 0);
	ck_assert_ptr_nonnull(strstr(logged, "message sess=0000000000000007 "
	    "relay=r client=192.0.2.99:1234 destination=192.0.2.1:25 "
	    "helo=c.example msg=0000000000000007.1 from=a@b nrcpt=1 size=12 "
	    "delivered=yes "));
	ck_assert_ptr_nonnull(strstr(logged, "reason=quit\n"));
}
END_TEST

/* Commands that came together go together, and so do their replies. */
START_TEST(test_group)
{
	static const char	group[] = "MAIL FROM:<a@b>\r\n"
				    "RCPT TO:<c@d>\r\nRCPT TO:<e@f>\r\n"
				    "RCPT TO:<g@h>\r\nDATA\r\n";
	static const char	replies[] = "250 a\r\n250 b\r\n550 c\r\n"
				    "250 d\r\n354 go\r\n";

	has_edges = 1;
	start(1, 0);
	put(dest, "220 there\r\n");
	put(client, "EHLO c.example\r\n");
	put(dest, "250-there\r\n250 PIPELINING\r\n");
	ck_assert_str_eq(get(client), "220 there\r\n");
	ck_assert_str_eq(get(client), "250-there\r\n250 PIPELINING\r\n");
	ck_assert_str_eq(get(dest), "EHLO c.example\r\n");
	put(client, group);
	ck_assert_str_eq(get(dest), group);
	put(dest, replies);
	ck_assert_str_eq(get(client), replies);
	/* A message, and the next group behind its end. */
	put(client, "x: y\r\n\r\n.\r\nMAIL FROM:<a@b>\r\nQUIT\r\n");
	ck_assert_str_eq(get(dest), "x: y\r\n\r\n.\r\n");
	ck_assert_str_eq(get(dest), "MAIL FROM:<a@b>\r\nQUIT\r\n");
	put(dest, "250 queued\r\n");
	ck_assert_str_eq(get(client), "250 queued\r\n");
	put(dest, "250 a\r\n221 bye\r\n");
	ck_assert_str_eq(get(client), "250 a\r\n221 bye\r\n");
	ck_assert_str_eq(get(client), "(end)");
	ck_assert_uint_eq(ended_id, 7);
}
END_TEST

/* Last words that the kernel keeps for the FIN: they go when it does. */
START_TEST(test_quit)
{
	is_tcp = 1;
	start(1, 0);
	put(dest, "220 there\r\n");
	ck_assert_str_eq(get(client), "220 there\r\n");
	put(client, "QUIT\r\n");
	ck_assert_str_eq(get(dest), "QUIT\r\n");
	put(dest, "221 bye\r\n");
	ck_assert_uint_eq(ended_id, 7);
	ck_assert_str_eq(get(client), "221 bye\r\n");
	ck_assert_str_eq(get(client), "(end)");
}
END_TEST

/* What a client says behind its QUIT is no reason not to hear the answer. */
START_TEST(test_quit_and_more)
{
	is_tcp = 1;
	start(1, 0);
	put(dest, "220 there\r\n");
	ck_assert_str_eq(get(client), "220 there\r\n");
	put(client, "QUIT\r\n");
	put(client, "NOOP\r\n");
	put(dest, "221 bye\r\n");
	ck_assert_str_eq(get(client), "221 bye\r\n");
	ck_assert_str_eq(get(client), "(end)");
	(void)close(client);
	client = -1;
	pump();
	ck_assert_uint_eq(ended_id, 7);
}
END_TEST

START_TEST(test_next_choice)
{
	struct addr	a = relays[0].conf->choices[1].addr;

	start(0, ECONNREFUSED);
	ck_assert_uint_eq(asked, 1);
	session_connected(session, 1, -1, EHOSTUNREACH, &a);
	pump();
	ck_assert_uint_eq(asked, 2);
	/* An answer to another question is none. */
	session_connected(session, 1, pair(&dest), 0, &a);
	ck_assert_str_eq(get(dest), "(end)");
	(void)close(dest);
	a = relays[0].conf->choices[2].addr;
	session_connected(session, 2, pair(&dest), 0, &a);
	put(dest, "220 third\r\n");
	ck_assert_str_eq(get(client), "220 third\r\n");
	ck_assert_uint_eq(relay_choose(&relays[0], 0, loop.now_ms), 2);
}
END_TEST

START_TEST(test_no_choice_left)
{
	struct addr	a = relays[0].conf->choices[2].addr;

	start(0, ECONNREFUSED);
	session_connected(session, 1, -1, ECONNREFUSED, &a);
	pump();
	session_connected(session, 2, -1, ECONNREFUSED, &a);
	pump();
	ck_assert_str_eq(get(client), "421 4.4.1 gw.example.org destination "
	    "not available\r\n");
	(void)close(client);
	client = -1;
	pump();
	ck_assert_uint_eq(ended_id, 7);
	ck_assert_ptr_nonnull(strstr(logged, "reason=\"Connection refused\""));
}
END_TEST

/* The header is taken off, in pieces too, and the client is another one. */
START_TEST(test_proxied)
{
	static const char	header[] = "PROXY TCP4 198.51.100.7 "
				    "192.0.2.25 99 25\r\n";
	const char		*c;
	char			 octet[2] = "";

	is_proxied = 1;
	start(1, 0);
	put(dest, "220 there\r\n");
	if (_i == 0)
		put(client, header);
	for (c = header; _i == 1 && *c != '\0'; c++) {
		ck_assert_str_eq(get(client), "");
		octet[0] = *c;
		put(client, octet);
	}
	ck_assert_str_eq(get(client), "220 there\r\n");
	put(client, "QUIT\r\n");
	ck_assert_str_eq(get(dest), "QUIT\r\n");
	put(dest, "221 bye\r\n");
	ck_assert_str_eq(get(client), "221 bye\r\n");
	ck_assert_ptr_nonnull(strstr(logged, " client=198.51.100.7:99 "));
	ck_assert_ptr_nonnull(strstr(logged, " proxy=192.0.2.99:1234 "));
}
END_TEST

static const struct proxied_row {
	const char	*said;
	int		 is_end;	/* then it closes */
	int64_t		 wait_ms;
} proxied[] = {
	{ "EHLO c\r\n", 0, 0 },
	{ "PROXY TCP4 198.51.100.7 192.0.2.25 99 65536\r\n", 0, 0 },
	{ "PROXY TCP4 ", 1, 0 },
	{ "", 1, 0 },
	{ "PROXY ", 0, 10000 }
};

/* Nobody is told anything, the destination least of all. */
START_TEST(test_proxied_badly)
{
	const struct proxied_row	*row = &proxied[_i];

	is_proxied = is_tcp = 1;
	start(1, 0);
	put(client, row->said);
	if (row->is_end)
		ck_assert_int_eq(shutdown(client, SHUT_WR), 0);
	if (row->wait_ms > 0) {
		session->more->opened_ms -= row->wait_ms;
		session->timer.due_ms = loop.now_ms;
		ck_assert_int_eq(timer_set(&loop.timers, &session->timer,
		    loop.now_ms), 0);
	}
	pump();
	ck_assert_str_eq(get(client), "(end)");
	ck_assert_str_eq(get(dest), "(end)");
	ck_assert_ptr_nonnull(strstr(logged, "session sess="));
	ck_assert_ptr_null(strstr(logged, "reason=unknown"));
}
END_TEST

/* Nobody has connected yet: the parent is asked from the first choice on. */
START_TEST(test_deferred)
{
	is_deferred = 1;
	asked = 9;
	start(0, 0);
	ck_assert_uint_eq(asked, 0);
	session_connected(session, 0, pair(&dest), 0,
	    &relays[0].conf->choices[0].addr);
	put(dest, "220 first\r\n");
	ck_assert_str_eq(get(client), "220 first\r\n");
}
END_TEST

START_TEST(test_parent_can_not_be_asked)
{
	can_ask = 0;
	start(0, ENETUNREACH);
	ck_assert_msg(strncmp(get(client), "421 4.4.1 ", 10) == 0, "no 421");
}
END_TEST

START_TEST(test_dest_ends_before_greeting)
{
	start(1, 0);
	(void)close(dest);
	dest = -1;
	pump();
	ck_assert_uint_eq(asked, 1);
	ck_assert_str_eq(get(client), "");
}
END_TEST

START_TEST(test_fail_and_stop)
{
	start(1, 0);
	put(dest, "220 there\r\n");
	(void)get(client);
	if (_i == 0)
		session_fail(session, "for the test");
	else
		session_set_stop(&set);
	pump();
	ck_assert_msg(strncmp(get(client), _i == 0 ? "421 4.3.0 " :
	    "421 4.3.2 ", 10) == 0, "no 421");
	ck_assert_str_eq(get(dest), "(end)");
}
END_TEST

/* What one side does not take is not read from the other. */
START_TEST(test_back_pressure)
{
	static char	octets[16384];
	size_t		sent = 0;
	ssize_t		n;
	int		idle = 0;

	start(1, 0);
	put(dest, "220 there\r\n");
	put(client, "HELO c\r\n");
	put(dest, "250 there\r\n");
	put(client, "MAIL FROM:<a@b>\r\n");
	put(dest, "250 a\r\n");
	put(client, "DATA\r\n");
	put(dest, "354 go\r\n");
	memset(octets, 'x', sizeof(octets));
	while (idle < 3 && sent < 100000000) {
		n = write(client, octets, sizeof(octets));
		if (n > 0) {
			sent += (size_t)n;
			idle = 0;
		} else
			idle++;
		ck_assert_int_eq(loop_once(&loop), 0);
	}
	ck_assert_uint_lt(sent, 4000000);
	ck_assert_uint_le(session->side[SMTP_CLIENT].in.used, BUF_LARGE);
	ck_assert_uint_eq(session->side[SMTP_CLIENT].is_blocked, 0);
	ck_assert_uint_eq(session->side[SMTP_DEST].is_blocked, 1);
}
END_TEST

START_TEST(test_client_resets_while_reply_is_due)
{
	start(1, 0);
	put(dest, "220 there\r\n");
	put(client, "HELO c\r\n");
	put(dest, "250 there\r\n");
	put(client, "MAIL FROM:<a@b>\r\n");
	put(dest, "250 a\r\n");
	put(client, "DATA\r\n");
	put(dest, "354 go\r\n");
	put(client, ".\r\n");
	(void)close(client);	/* with unread replies: a reset */
	client = -1;
	pump();
	put(dest, "250 queued\r\n");
	ck_assert_ptr_nonnull(strstr(logged, " delivered=yes"));
	ck_assert_ptr_nonnull(strstr(logged, " undelivered=yes"));
	ck_assert_uint_eq(ended_id, 7);
}
END_TEST

/* A second alarm, to count passes of the loop until it rings. */
static int	is_ringing;

static void
on_alarm(struct timer *t, void *arg, int64_t now_ms)
{
	(void)t;
	(void)arg;
	(void)now_ms;
	is_ringing = 1;
}

/* With nothing to do the loop sleeps: no descriptor is ready for ever. */
static void
sleeps(void)
{
	struct timer	t;
	int		n = 0;

	pump();
	timer_end(&loop.timers, &tick);
	timer_init(&t, on_alarm, NULL);
	is_ringing = 0;
	ck_assert_int_eq(timer_set(&loop.timers, &t, loop.now_ms + 60), 0);
	for (; !is_ringing; n++)
		ck_assert_int_eq(loop_once(&loop), 0);
	timer_end(&loop.timers, &t);
	ck_assert_msg(n < 6, "%d passes", n);
	timer_init(&tick, on_tick, NULL);
	on_tick(&tick, NULL, loop.now_ms);
}

/* A session whose octets pass: by socket pairs or TCP, STARTTLS or bypass. */
static void
start_opaque(int how)
{
	is_tcp = (how & 1) != 0;
	is_bypass = (how & 2) != 0;
	start(1, 0);
	if (is_bypass)
		return;
	put(dest, "220 there\r\n");
	put(client, "EHLO c\r\n");
	put(dest, "250-there\r\n250 STARTTLS\r\n");
	put(client, "STARTTLS\r\n");
	put(dest, "220 go\r\n");
	put(client, "\x16\x03");
	ck_assert_str_eq(get(client), "220 there\r\n250-there\r\n"
	    "250 STARTTLS\r\n220 go\r\n");
	ck_assert_str_eq(get(dest), "EHLO c\r\nSTARTTLS\r\n\x16\x03");
}

static void
check_logged(int how, const char *reason)
{
	char	want[128];

	ck_assert_uint_eq(ended_id, 7);
	ck_assert_uint_eq(set.used, 0);
	ck_assert_ptr_nonnull(strstr(logged, how & 2 ? " opaque=bypass " :
	    " opaque=starttls "));
	(void)snprintf(want, sizeof(want), " reason=%s\n", reason);
	ck_assert_msg(strstr(logged, want) != NULL, "%s", logged);
}

START_TEST(test_half_close)
{
	int	*one = _i & 4 ? &dest : &client;
	int	*other = _i & 4 ? &client : &dest;

	start_opaque(_i);
	sleeps();
	put(*one, "one");
	ck_assert_str_eq(get(*other), "one");
	ck_assert_int_eq(shutdown(*one, SHUT_WR), 0);
	pump();
	ck_assert_str_eq(get(*other), "(end)");
	sleeps();
	put(*other, "other");
	ck_assert_str_eq(get(*one), "other");
	sleeps();
	put(*other, "more");
	ck_assert_int_eq(shutdown(*other, SHUT_WR), 0);
	pump();
	ck_assert_str_eq(get(*one), "more");
	ck_assert_str_eq(get(*one), "(end)");
	check_logged(_i, "closed");
	ck_assert_ptr_nonnull(strstr(logged, " octets_back="));
}
END_TEST

/* Octets in front of an end, and the end, wait for the one that is slow. */
START_TEST(test_half_close_slow)
{
	static char	 octets[65536], got[65536];
	int		*one = _i & 4 ? &dest : &client;
	int		*other = _i & 4 ? &client : &dest;
	size_t		 sent = 0, come = 0, wrong = 0, i;
	ssize_t		 n;
	int		 idle;

	start_opaque(_i);
	for (idle = 0; idle < 5; ) {
		for (i = 0; i < sizeof(octets); i++)
			octets[i] = (char)((sent + i) % 251);
		n = write(*one, octets, sizeof(octets));
		if (n > 0)
			sent += (size_t)n;
		idle = n > 0 ? 0 : idle + 1;
		ck_assert_int_eq(loop_once(&loop), 0);
	}
	ck_assert_uint_lt(sent, 50000000);
	ck_assert_int_eq(shutdown(*one, SHUT_WR), 0);
	sleeps();
	/* The other direction does not wait. */
	put(*other, "meanwhile");
	ck_assert_str_eq(get(*one), "meanwhile");
	sleeps();
	while ((n = read(*other, got, sizeof(got))) != 0) {
		if (n == -1)
			ck_assert_int_eq(errno, EAGAIN);
		for (i = 0; n > 0 && i < (size_t)n; i++)
			wrong += (unsigned char)got[i] != (come + i) % 251;
		ck_assert_uint_eq(wrong, 0);
		come += n > 0 ? (size_t)n : 0;
		ck_assert_int_eq(loop_once(&loop), 0);
	}
	ck_assert_uint_eq(come, sent);
	sleeps();
	(void)close(*other);
	*other = -1;
	pump();
	ck_assert_str_eq(get(*one), "(end)");
	check_logged(_i, "closed");
}
END_TEST

/* Until a side takes no more: what its socket has room for is used up. */
static void
stuff(enum smtp_side side)
{
	static const char	octets[4096];
	int			fd = session->side[side].fd;

	while (send(fd, octets, sizeof(octets), MSG_NOSIGNAL) > 0)
		;
	while (send(fd, octets, 1, MSG_NOSIGNAL) > 0)
		;
	ck_assert_int_eq(errno, EAGAIN);
}

/* Our own copy of the handshake's first octets is sent before the end is. */
START_TEST(test_half_close_copied)
{
	const char	*got;

	start(1, 0);
	put(dest, "220 there\r\n");
	put(client, "EHLO c\r\n");
	put(dest, "250-there\r\n250 STARTTLS\r\n");
	put(client, "STARTTLS\r\n");
	put(dest, "220 go\r\n");
	(void)get(dest);
	stuff(SMTP_DEST);
	put(client, "\x16\x03");
	ck_assert_int_eq(shutdown(client, SHUT_WR), 0);
	pump();
	ck_assert_uint_eq(session->side[SMTP_DEST].wants_shut, 1);
	ck_assert_uint_eq(session->side[SMTP_DEST].is_shut, 0);
	/* What was stuffed in is NUL, so this stands alone. */
	while (strcmp(got = get(dest), "") == 0)
		pump();
	ck_assert_str_eq(got, "\x16\x03");
	ck_assert_str_eq(get(dest), "(end)");
}
END_TEST

/* Both ways at once, as fast as they take it. */
START_TEST(test_full_duplex)
{
	static uint8_t	octets[SMTP_SIDES][1500000], got[SMTP_SIDES][1500000];
	size_t		sent[SMTP_SIDES] = { 0, 0 };
	size_t		come[SMTP_SIDES] = { 0, 0 }, i;
	int		side, fd, pass, to;
	ssize_t		n;

	start_opaque(_i);
	for (side = 0; side < SMTP_SIDES; side++)
		for (i = 0; i < sizeof(octets[0]); i++)
			octets[side][i] = (uint8_t)((i * 7 + (size_t)side) %
			    253);
	for (pass = 0; pass < 100000 && (come[0] < sizeof(got[0]) ||
	    come[1] < sizeof(got[0])); pass++) {
		for (side = 0; side < SMTP_SIDES; side++) {
			fd = side == SMTP_CLIENT ? client : dest;
			to = 1 - side;
			n = write(fd, octets[side] + sent[side],
			    sizeof(octets[0]) - sent[side]);
			sent[side] += n > 0 ? (size_t)n : 0;
			n = read(fd, got[to] + come[to], sizeof(got[0]) -
			    come[to]);
			come[to] += n > 0 ? (size_t)n : 0;
		}
		ck_assert_int_eq(loop_once(&loop), 0);
	}
	ck_assert_mem_eq(got, octets, sizeof(got));
	sleeps();
	(void)shutdown(client, SHUT_WR);
	(void)shutdown(dest, SHUT_WR);
	pump();
	ck_assert_str_eq(get(client), "(end)");
	ck_assert_str_eq(get(dest), "(end)");
	check_logged(_i, "closed");
}
END_TEST

/* A session with octets on their way to both sides, in place. */
static void
start_stuck(void)
{
	static char	octets[65536];
	int		i;

	start_opaque(2);
	for (i = 0; i < 50; i++) {
		try_put(client, octets, sizeof(octets));
		try_put(dest, octets, sizeof(octets));
		ck_assert_int_eq(loop_once(&loop), 0);
	}
	for (i = 0; i < SMTP_SIDES; i++) {
		ck_assert_uint_gt(session->engine.passlen[i], 0);
		ck_assert_uint_gt(session->side[i].taken, 0);
		ck_assert_uint_eq(session->side[i].is_blocked, 1);
	}
}

/* A side that is closed leaves nothing that points into what was freed. */
START_TEST(test_close_one)
{
	size_t	taken, was;
	int	i;

	start_stuck();
	was = session->side[1 - _i].in.used;
	taken = session->side[1 - _i].taken;
	session_io_close(session, (enum smtp_side)_i);
	for (i = 0; i < SMTP_SIDES; i++) {
		ck_assert_ptr_null(session->engine.pass[i]);
		ck_assert_uint_eq(session->engine.passlen[i], 0);
		ck_assert_uint_eq(session->side[i].taken, 0);
	}
	ck_assert_uint_eq(session->side[_i].in.used, 0);
	ck_assert_uint_eq(session->side[1 - _i].in.used, was - taken);
	ck_assert_int_eq(session->side[_i].fd, -1);
	ck_assert_uint_eq(session->side[_i].is_blocked, 0);
}
END_TEST

/*
 * That a side is broken is news of a side that took no more: poll(2) says it
 * without POLLOUT where POSIX is followed to the letter.
 */
START_TEST(test_blocked_and_broken)
{
	static const struct {
		short	revents;
		int	is_blocked;
	} rows[] = {
		{ POLLIN, 1 }, { POLLOUT, 0 }, { POLLERR, 0 }, { POLLHUP, 0 },
		{ POLLIN | POLLHUP, 0 }
	};
	struct session_side	*x;
	size_t			 i;

	start_stuck();
	x = &session->side[_i];
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		x->is_blocked = 1;
		x->lfd.fn(&x->lfd, rows[i].revents, x->lfd.arg);
		ck_assert_msg(x->is_blocked == rows[i].is_blocked,
		    "row %zu", i);
	}
}
END_TEST

/* Between what is received and what is sent the destination goes. */
static const char	*last_words;

static void
on_leave(struct timer *t, void *arg, int64_t now_ms)
{
	(void)t;
	(void)arg;
	(void)now_ms;
	try_put(dest, last_words, strlen(last_words));
	(void)close(dest);
	dest = -1;
}

/* A send fails: what the destination said, or its end, tells more. */
START_TEST(test_send_fails)
{
	static const struct {
		const char	*last;
		const char	*client;
		const char	*reason;
	} rows[] = {
		{ "", "421 4.4.2 gw.example.org lost connection with "
		    "destination\r\n", " reason=\"destination closed\"\n" },
		{ "421 4.3.2 going\r\n", "421 4.3.2 going\r\n",
		    " reply=\"421 4.3.2 going\"\n" }
	};
	struct timer	t;

	start(1, 0);
	put(dest, "220 there\r\n");
	(void)get(client);
	timer_init(&t, on_leave, NULL);
	last_words = rows[_i].last;
	ck_assert_int_eq(timer_set(&loop.timers, &t, loop.now_ms), 0);
	try_put(client, "NOOP\r\n", 6);
	pump();
	ck_assert_int_eq(dest, -1);
	ck_assert_str_eq(get(client), rows[_i].client);
	(void)close(client);
	client = -1;
	pump();
	ck_assert_uint_eq(ended_id, 7);
	ck_assert_msg(strstr(logged, rows[_i].reason) != NULL, "%s", logged);
}
END_TEST

/* One side resets; with octets on their way to both, or half-closed. */
START_TEST(test_opaque_reset)
{
	struct linger	 now = { 1, 0 };
	static char	 octets[65536];
	int		*one = _i & 4 ? &dest : &client;
	int		*other = _i & 4 ? &client : &dest;
	int		 i;

	start_opaque(_i);
	for (i = 0; (_i & 8) && i < 200; i++) {
		try_put(*one, octets, sizeof(octets));
		try_put(*other, octets, sizeof(octets));
		ck_assert_int_eq(loop_once(&loop), 0);
	}
	if (_i & 16) {
		ck_assert_int_eq(shutdown(*one, SHUT_WR), 0);
		pump();
	}
	(void)setsockopt(*one, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	(void)close(*one);
	*one = -1;
	sleeps();
	if (ended_id == 0) {
		/* What waits for the other was said before its end. */
		while (read(*other, octets, sizeof(octets)) > 0)
			ck_assert_int_eq(loop_once(&loop), 0);
		sleeps();
		if (ended_id == 0)
			try_put(*other, "x", 1);
		pump();
		(void)shutdown(*other, SHUT_WR);
		sleeps();
	}
	(void)close(*other);
	*other = -1;
	sleeps();
	ck_assert_uint_eq(ended_id, 7);
	ck_assert_uint_eq(set.used, 0);
}
END_TEST

/* Nothing of it, and nothing of ours. */
START_TEST(test_injection)
{
	start(1, 0);
	put(dest, "220 there\r\n");
	put(client, "EHLO c\r\n");
	put(dest, "250-there\r\n250 STARTTLS\r\n");
	put(client, "STARTTLS\r\n");
	(void)get(client);
	put(dest, "220 go\r\n250 injected\r\n");
	ck_assert_str_eq(get(client), "220 go\r\n");
	ck_assert_str_eq(get(client), "(end)");
	(void)close(client);
	client = -1;
	pump();
	ck_assert_uint_eq(ended_id, 7);
	ck_assert_ptr_nonnull(strstr(logged,
	    " reason=\"starttls injection\""));
	ck_assert_ptr_null(strstr(logged, "opaque="));
}
END_TEST

/* What a bypass is told that has no destination. */
START_TEST(test_bypass_no_choice)
{
	is_bypass = 1;
	can_ask = 0;
	start(0, ECONNREFUSED);
	ck_assert_str_eq(get(client), "421 4.4.1 gw.example.org destination "
	    "not available\r\n");
	ck_assert_str_eq(get(client), "(end)");
}
END_TEST

/* Errors of our own say nothing about the destination. */
static const int	ours[] = { EMFILE, EADDRINUSE, EADDRNOTAVAIL,
    EAFNOSUPPORT, EPERM, EACCES };

START_TEST(test_our_errors)
{
	start(0, ours[_i]);
	ck_assert_uint_eq(asked, 1);
	ck_assert_uint_eq(relay_choose(&relays[0], 0, loop.now_ms), 0);
}
END_TEST

/* Without choices: the destination is that of the connection. */
START_TEST(test_intercepted)
{
	conf->relays->nchoices = 0;
	conf->relays->forward = FORWARD_NAT;
	start(_i == 0, _i == 0 ? 0 : ECONNREFUSED);
	if (_i == 0) {
		put(dest, "220 there\r\n");
		ck_assert_str_eq(get(client), "220 there\r\n");
	} else
		ck_assert_msg(strncmp(get(client), "421 4.4.1 ", 10) == 0,
		    "no 421");
	ck_assert_uint_eq(asked, 0);
}
END_TEST

/* Answers that may have gone another way. */
START_TEST(test_transparent_timeout)
{
	conf->relays->is_transparent = _i & 1;
	relays[0].smtp.timeout_ms[SMTP_TIMEOUT_CONNECT] = 10;
	can_ask = 0;
	is_stuck = 1;
	is_bypass = (_i & 2) != 0;
	start(1, 0);
	ck_assert_str_eq(get(client), "421 4.4.1 gw.example.org destination "
	    "not available\r\n");
	(void)close(client);
	client = -1;
	pump();
	ck_assert_uint_eq(ended_id, 7);
	ck_assert_ptr_nonnull(strstr(logged, _i & 1 ? " reason=\"timeout "
	    "connect: do answers come back? see transparent forward in "
	    "smtpproxyd.conf(5)\"\n" : " reason=\"timeout connect\"\n"));
}
END_TEST

int
main(void)
{
	Suite	*s = suite_create("session");
	TCase	*tc = tcase_create("session");
	SRunner	*sr;
	int	 nfailed;

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, test_message);
	tcase_add_test(tc, test_group);
	tcase_add_test(tc, test_quit);
	tcase_add_test(tc, test_quit_and_more);
	tcase_add_test(tc, test_next_choice);
	tcase_add_test(tc, test_no_choice_left);
	tcase_add_loop_test(tc, test_proxied, 0, 2);
	tcase_add_loop_test(tc, test_proxied_badly, 0,
	    (int)(sizeof(proxied) / sizeof(proxied[0])));
	tcase_add_test(tc, test_deferred);
	tcase_add_test(tc, test_parent_can_not_be_asked);
	tcase_add_test(tc, test_dest_ends_before_greeting);
	tcase_add_loop_test(tc, test_fail_and_stop, 0, 2);
	tcase_add_test(tc, test_back_pressure);
	tcase_add_test(tc, test_client_resets_while_reply_is_due);
	tcase_add_loop_test(tc, test_half_close, 0, 8);
	tcase_add_loop_test(tc, test_half_close_slow, 0, 8);
	tcase_add_test(tc, test_half_close_copied);
	tcase_add_loop_test(tc, test_full_duplex, 0, 4);
	tcase_add_loop_test(tc, test_close_one, 0, SMTP_SIDES);
	tcase_add_loop_test(tc, test_blocked_and_broken, 0, SMTP_SIDES);
	tcase_add_loop_test(tc, test_send_fails, 0, 2);
	tcase_add_loop_test(tc, test_opaque_reset, 0, 32);
	tcase_add_test(tc, test_injection);
	tcase_add_test(tc, test_bypass_no_choice);
	tcase_add_loop_test(tc, test_our_errors, 0,
	    (int)(sizeof(ours) / sizeof(ours[0])));
	tcase_add_loop_test(tc, test_intercepted, 0, 2);
	tcase_add_loop_test(tc, test_transparent_timeout, 0, 4);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	nfailed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return nfailed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
