/*
 * TLS of a session: what goes through it once it is there, and how it ends.
 */
#include "../../smtpproxyd/session_tls.h"

#include <sys/socket.h>

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tls_pair.h"

#define NROWS(rows)	((int)(sizeof(rows) / sizeof((rows)[0])))
#define MEGABYTE	(1024 * 1024)

static struct tp_conf	 conf;
static struct tls_set	*set;
static SSL_CTX		*raw;

/* Listener 0, no verification; the relay's destinations verified. */
static void
set_up(void)
{
	tp_conf_init(&conf);
	tp_conf_serve(&conf, 0, TLS_VERIFY_OFF, CONF_NO_BLOB, TP_MX,
	    TP_CERTS);
	tp_conf_dest(&conf, DEST_TLS_VERIFY, TP_CA);
	set = tp_set_new(&conf);
	raw = tp_raw_new(TP_CERTS);
}

static void
tear_down(void)
{
	tls_set_free(set);
	SSL_CTX_free(raw);
}

/* Two ends of session_tls, of TLS 1.2 or 1.3. */
static void
connect_both(struct tp_pair *p, int is_12)
{
	tls_set_free(set);
	conf.relay.tls_protocols = is_12 ? CONF_TLS12 : CONF_TLS13;
	set = tp_set_new(&conf);
	tp_open(p);
	tp_accept(p, set, 0);
	tp_connect(p, set, "mx.example");
	tp_shake_well(p);
}

static void
connect_raw(struct tp_pair *p)
{
	tp_open(p);
	tp_accept(p, set, 0);
	tp_connect_raw(p, raw, NULL);
	tp_shake_well(p);
}

/* --- Octets --- */

/* One direction of the test. */
struct flow {
	struct session_tls	*from, *to;
	size_t			 sent, got;
	size_t			 ask;		/* of each read */
	int			 nblocked;
	uint8_t			*want, *have;
};

static void
flow_init(struct flow *f, struct session_tls *from, struct session_tls *to,
    size_t ask)
{
	memset(f, 0, sizeof(*f));
	f->from = from;
	f->to = to;
	f->ask = ask;
	ck_assert_ptr_nonnull(f->want = malloc(MEGABYTE));
	ck_assert_ptr_nonnull(f->have = malloc(MEGABYTE));
	arc4random_buf(f->want, MEGABYTE);
}

static void
flow_end(struct flow *f)
{
	ck_assert_mem_eq(f->want, f->have, MEGABYTE);
	ck_assert_int_gt(f->nblocked, 0);
	free(f->want);
	free(f->have);
}

static void
flow_write(struct flow *f)
{
	ssize_t	n;

	if (f->sent == MEGABYTE)
		return;
	n = session_tls_write(f->from, f->want + f->sent, MEGABYTE - f->sent);
	if (n == -1) {
		ck_assert_int_eq(errno, EAGAIN);
		f->nblocked++;
		return;
	}
	ck_assert_int_gt(n, 0);
	f->sent += (size_t)n;
}

static void
flow_read(struct flow *f)
{
	size_t	left = MEGABYTE - f->got;
	ssize_t	n;

	if (left == 0)
		return;
	n = session_tls_read(f->to, f->have + f->got,
	    f->ask < left ? f->ask : left);
	if (n == -1) {
		ck_assert_int_eq(errno, EAGAIN);
		ck_assert(!session_tls_has_input(f->to));
		return;
	}
	ck_assert_int_gt(n, 0);
	f->got += (size_t)n;
}

/* A megabyte each way at once; sockets and readers take little. */
START_TEST(test_bulk)
{
	static const size_t	asks[] = { 100, 4096, 16384, 50000 };
	struct tp_pair		p;
	struct flow		up, down;
	int			i;

	connect_both(&p, _i % 2);
	flow_init(&up, p.client, p.server, asks[_i / 2]);
	flow_init(&down, p.server, p.client, asks[3 - _i / 2]);
	for (i = 0; i < 100000; i++) {
		flow_write(&up);
		flow_write(&down);
		flow_read(&up);
		flow_read(&down);
		if (up.got == MEGABYTE && down.got == MEGABYTE)
			break;
	}
	flow_end(&up);
	flow_end(&down);
	ck_assert_int_eq(session_tls_has_input(p.server), 0);
	ck_assert_int_eq(session_tls_has_input(p.client), 0);
	tp_close(&p);
}
END_TEST

static void
raw_write(struct tp_pair *p, const char *text)
{
	int	len = (int)strlen(text);

	ck_assert_int_eq(SSL_write(p->raw, text, len), len);
}

static void
check_read(struct session_tls *t, size_t size, const char *want)
{
	char	text[128];
	ssize_t	n;

	ck_assert_uint_le(size, sizeof(text));
	n = session_tls_read(t, text, size);
	ck_assert_int_eq(n, (ssize_t)strlen(want));
	ck_assert_mem_eq(text, want, strlen(want));
}

static void
check_read_fails(struct session_tls *t, int error)
{
	char	octet;

	errno = 0;
	ck_assert_int_eq(session_tls_read(t, &octet, 1), -1);
	ck_assert_int_eq(errno, error);
}

/* Records that are here are known of, one that is not complete is not. */
START_TEST(test_has_input)
{
	struct tp_pair	p;

	connect_raw(&p);
	ck_assert_int_eq(session_tls_has_input(p.server), 0);
	raw_write(&p, "abc");
	raw_write(&p, "def");
	raw_write(&p, "ghi");
	check_read(p.server, 2, "ab");
	ck_assert_int_eq(session_tls_has_input(p.server), 1);
	check_read(p.server, 1, "c");
	ck_assert_int_eq(session_tls_has_input(p.server), 1);
	check_read(p.server, 100, "defghi");
	ck_assert_int_eq(session_tls_has_input(p.server), 0);
	check_read_fails(p.server, EAGAIN);
	/* The head of a record: poll(2) will tell of the rest. */
	ck_assert_int_eq(write(p.fd[1], "\x17\x03\x03\x40", 4), 4);
	check_read_fails(p.server, EAGAIN);
	ck_assert_int_eq(session_tls_has_input(p.server), 0);
	tp_close(&p);
}
END_TEST

/* Octets right behind the client's last flight. */
START_TEST(test_early)
{
	struct tp_pair	p;

	tp_open(&p);
	tp_accept(&p, set, 0);
	tp_connect_raw(&p, raw, NULL);
	while (SSL_do_handshake(p.raw) != 1)
		(void)session_tls_handshake(p.server);
	raw_write(&p, "EHLO");
	raw_write(&p, " a");
	ck_assert_int_eq(session_tls_handshake(p.server), TLS_DONE);
	ck_assert_int_eq(session_tls_handshake(p.server), TLS_DONE);
	ck_assert_int_eq(session_tls_has_input(p.server), 1);
	check_read(p.server, 100, "EHLO a");
	tp_close(&p);
}
END_TEST

/* New keys in the middle (RFC 8446 4.6.3), and an answer to be sent. */
START_TEST(test_key_update)
{
	struct tp_pair	p;
	char		text[8];

	connect_raw(&p);
	ck_assert_int_eq(SSL_key_update(p.raw, SSL_KEY_UPDATE_REQUESTED), 1);
	raw_write(&p, "new");
	check_read(p.server, 100, "new");
	ck_assert_int_eq(session_tls_write(p.server, "yes", 3), 3);
	ck_assert_int_eq(SSL_read(p.raw, text, sizeof(text)), 3);
	tp_close(&p);
}
END_TEST

/* Every octet of a handshake comes alone. */
static void
move(int from, int to, size_t n)
{
	char	octets[64];
	ssize_t	len;

	if ((len = recv(from, octets, n, 0)) <= 0)
		return;
	ck_assert_int_eq(write(to, octets, (size_t)len), len);
}

START_TEST(test_pieces)
{
	static const size_t		sizes[] = { 1, 7, 64 };
	struct tp_pair			a, b;
	enum session_tls_result		server, client;
	int				i;

	tp_open(&a);
	tp_open(&b);
	conf.relay.tls_protocols = _i % 2 == 0 ? CONF_TLS12 : CONF_TLS13;
	tls_set_free(set);
	set = tp_set_new(&conf);
	tp_accept(&a, set, 0);
	tp_connect(&b, set, "mx.example");
	server = client = TLS_WANT_READ;
	for (i = 0; i < 10000 && (server != TLS_DONE || client != TLS_DONE);
	    i++) {
		server = session_tls_handshake(a.server);
		client = session_tls_handshake(b.client);
		ck_assert_int_ne(server, TLS_FAILED);
		ck_assert_int_ne(client, TLS_FAILED);
		move(a.fd[1], b.fd[0], sizes[_i / 2]);
		move(b.fd[0], a.fd[1], sizes[_i / 2]);
	}
	ck_assert_int_eq(server, TLS_DONE);
	ck_assert_int_eq(client, TLS_DONE);
	tp_close(&a);
	tp_close(&b);
}
END_TEST

/* --- Ends --- */

START_TEST(test_close_notify)
{
	struct tp_pair	p;

	connect_both(&p, _i);
	ck_assert_int_eq(session_tls_write(p.client, "QUIT", 4), 4);
	session_tls_shut(p.client);
	session_tls_shut(p.client);
	/* Seen already, and no poll(2) would tell of it. */
	check_read(p.server, 100, "QUIT");
	ck_assert_int_eq(session_tls_has_input(p.server), 1);
	check_read(p.server, 100, "");
	ck_assert_int_eq(session_tls_has_input(p.server), 0);
	check_read(p.server, 100, "");
	/* The other way is open still. */
	ck_assert_int_eq(session_tls_write(p.server, "221", 3), 3);
	check_read(p.client, 100, "221");
	ck_assert_int_eq(session_tls_write(p.client, "x", 1), -1);
	ck_assert_int_eq(errno, EPIPE);
	session_tls_shut(p.server);
	check_read(p.client, 100, "");
	ck_assert_str_eq(session_tls_error(p.server), "none");
	ck_assert_str_eq(session_tls_error(p.client), "none");
	tp_close(&p);
}
END_TEST

/* One that is closed with octets unread is reset: AF_UNIX says so. */
static void
read_ticket(struct tp_pair *p)
{
	check_read_fails(p->client, EAGAIN);
}

/* The end of the connection alone, between records or inside of one. */
START_TEST(test_eof)
{
	struct tp_pair	p;

	connect_both(&p, _i % 2);
	ck_assert_int_eq(session_tls_write(p.client, "QUIT", 4), 4);
	read_ticket(&p);
	if (_i / 2 == 1)
		ck_assert_int_eq(write(p.fd[1], "\x17\x03\x03", 3), 3);
	(void)close(p.fd[1]);
	p.fd[1] = -1;
	check_read(p.server, 100, "QUIT");
	check_read(p.server, 100, "");
	check_read(p.server, 100, "");
	tp_close(&p);
}
END_TEST

START_TEST(test_reset)
{
	struct tp_pair	p;

	connect_both(&p, _i);
	ck_assert_int_eq(session_tls_write(p.server, "x", 1), 1);
	(void)close(p.fd[1]);
	p.fd[1] = -1;
	check_read_fails(p.server, ECONNRESET);
	ck_assert_str_eq(session_tls_error(p.server), "connection reset");
	check_read_fails(p.server, ECONNRESET);
	ck_assert_int_eq(session_tls_write(p.server, "x", 1), -1);
	session_tls_shut(p.server);
	tp_close(&p);
}
END_TEST

/*
 * Written to one that is closed: no signal, and what it said before, why it
 * has closed perhaps, can be read still.
 */
START_TEST(test_pipe)
{
	struct tp_pair	p;
	char		octets[8];

	connect_both(&p, _i);
	read_ticket(&p);
	ck_assert_int_eq(session_tls_write(p.client, "why", 3), 3);
	(void)close(p.fd[1]);
	p.fd[1] = -1;
	ck_assert_int_eq(session_tls_write(p.server, "x", 1), -1);
	ck_assert_int_eq(errno, EPIPE);
	ck_assert_int_eq(session_tls_read(p.server, octets, sizeof(octets)),
	    3);
	ck_assert_int_eq(session_tls_read(p.server, octets, sizeof(octets)),
	    0);
	ck_assert_int_eq(session_tls_write(p.server, "x", 1), -1);
	ck_assert_int_eq(errno, EPIPE);
	tp_close(&p);
}
END_TEST

/* What is no record, or not sealed with our keys. */
static const struct broken_row {
	const char	*octets;
	size_t		 len;
} broken_rows[] = {
	{ "MAIL FROM:<a@example>\r\n", 23 },
	{ "\x17\x03\x03\x00\x20" "0123456789abcdef0123456789abcdef", 37 },
	{ "\x17\x03\x03\xff\xff" "0", 6 },
	{ "\x16\x03\x03\x00\x04\x00\x00\x00\x00", 9 }
};

START_TEST(test_broken)
{
	const struct broken_row	*r = &broken_rows[_i / 2];
	struct tp_pair		 p;

	connect_both(&p, _i % 2);
	ck_assert_int_eq(session_tls_write(p.client, "RSET", 4), 4);
	ck_assert_int_eq(write(p.fd[1], r->octets, r->len),
	    (ssize_t)r->len);
	check_read(p.server, 100, "RSET");
	ck_assert_int_eq(session_tls_has_input(p.server), 1);
	check_read_fails(p.server, EPROTO);
	ck_assert_int_eq(session_tls_has_input(p.server), 0);
	ck_assert_str_ne(session_tls_error(p.server), "none");
	ck_assert_int_eq(session_tls_write(p.server, "x", 1), -1);
	ck_assert_int_eq(errno, EPROTO);
	/* The client is told, by an alert. */
	check_read_fails(p.client, EPROTO);
	ck_assert_int_eq(strncmp(session_tls_error(p.client),
	    "alert received: ", 16), 0);
	tp_close(&p);
}
END_TEST

/* Before the handshake is done nothing goes through. */
START_TEST(test_too_early)
{
	struct tp_pair	p;

	tp_open(&p);
	tp_accept(&p, set, 0);
	check_read_fails(p.server, EPROTO);
	ck_assert_int_eq(session_tls_write(p.server, "x", 1), -1);
	ck_assert_int_eq(session_tls_has_input(p.server), 0);
	session_tls_shut(p.server);
	check_read_fails(p.server, EPROTO);
	tp_close(&p);
}
END_TEST

int
main(void)
{
	Suite	*s = suite_create("session_tls_io");
	TCase	*tc = tcase_create("connections");
	SRunner	*sr;
	int	 nfailed;

	tcase_add_unchecked_fixture(tc, tp_set_up, tp_tear_down);
	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, test_bulk, 0, 8);
	tcase_add_test(tc, test_has_input);
	tcase_add_test(tc, test_early);
	tcase_add_test(tc, test_key_update);
	tcase_add_loop_test(tc, test_pieces, 0, 6);
	tcase_add_loop_test(tc, test_close_notify, 0, 2);
	tcase_add_loop_test(tc, test_eof, 0, 4);
	tcase_add_loop_test(tc, test_reset, 0, 2);
	tcase_add_loop_test(tc, test_pipe, 0, 2);
	tcase_add_loop_test(tc, test_broken, 0, NROWS(broken_rows) * 2);
	tcase_add_test(tc, test_too_early);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	nfailed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return nfailed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
