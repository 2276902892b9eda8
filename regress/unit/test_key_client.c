/*
 * Tests of a worker's questions to the keyholder: paused and waited for, more
 * than may be out, late, too late, cancelled, and a keyholder that is not
 * there, goes, or breaks the rules.  The keyholder is the test, with the other
 * end of the channel; a handshake is a job of the library that asks once.
 */
#include <sys/types.h>
#include <sys/socket.h>

#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/async.h>

#include "../../common/log.h"
#include "../../common/port/port.h"
#include "../../common/port/tls.h"
#include "../../privsep/chan.h"
#include "../../privsep/key_client.h"

#define NSHAKES		(KEY_CLIENT_OUT_MAX + 72)
#define SCHEME		0x0804		/* rsa_pss_rsae_sha256 */

struct shake {
	struct key_wait	 wait;		/* first: wake() is given it */
	ASYNC_JOB	*job;
	ASYNC_WAIT_CTX	*wctx;
	uint32_t	 key;
	uint8_t		 sig[TLS_SIGNATURE_MAX];
	size_t		 siglen;
	int		 is_over;
	size_t		 nwoken;
};

/* A question as the keyholder sees it. */
struct question {
	uint64_t	id;
	uint32_t	key;
	uint16_t	scheme;
	uint8_t		octets[TLS_REQUEST_MAX];
	size_t		len;
};

static struct loop	loop;
static struct chan	ch;		/* the worker's end */
static int		peer = -1;	/* the keyholder's, bare */
static struct shake	shakes[NSHAKES];
static size_t		nends;
static int		is_asking;	/* inside key_client_sign() */
static const uint8_t	octets[] = "to be signed";

static void
quiet(void *arg, int priority, const char *line, size_t len)
{
	(void)arg;
	(void)priority;
	(void)line;
	(void)len;
}

static void
on_end(struct chan *c, const char *reason, void *arg)
{
	nends++;
	key_client_on_end(c, reason, arg);
}

static void
connect_keyholder(void)
{
	int	fd[2];

	ck_assert_int_eq(chan_pair(fd), 0);
	ck_assert_int_eq(chan_open(&ch, &loop, fd[0], PROC_WORKER,
	    PROC_KEYHOLDER, 0, key_client_on_msg, on_end, NULL), 0);
	chan_set_state(&ch, CHAN_RUN);
	if (peer != -1)
		(void)close(peer);
	peer = fd[1];
	key_client_on_peer(&ch);
}

static void
set_up(void)
{
	log_init("test", 0);
	log_set_sink(quiet, NULL);
	ck_assert_int_eq(msg_table_init(NULL, 0), 0);
	ck_assert_int_eq(loop_init(&loop, 0), 0);
	chan_init(&ch);
	key_client_init(&loop);
	ck_assert_int_eq(port_tls_jobs(NSHAKES), 1);
}

static void
tear_down(void)
{
	size_t	i;

	for (i = 0; i < NSHAKES; i++)
		ASYNC_WAIT_CTX_free(shakes[i].wctx);
	key_client_clear();
	chan_close(&ch);
	loop_clear(&loop);
	if (peer != -1)
		(void)close(peer);
}

static void
on_timer(struct timer *t, void *arg, int64_t now_ms)
{
	(void)t;
	(void)arg;
	(void)now_ms;
}

static void
pass(void)
{
	struct timer	t;

	timer_init(&t, on_timer, NULL);
	ck_assert_int_eq(timer_set(&loop.timers, &t, loop.now_ms), 0);
	ck_assert_int_eq(loop_once(&loop), 0);
	timer_end(&loop.timers, &t);
}

/* --- Handshakes --- */

static void
ask(struct shake *s)
{
	s->siglen = key_client_sign(s->key, SCHEME, octets, sizeof(octets),
	    s->sig);
	s->is_over = 1;
}

static int
ask_in_job(void *arg)
{
	ask(*(struct shake **)arg);
	return 1;
}

/* Begin a handshake, or go on with it. */
static void
call(struct shake *s)
{
	int	rc, ret;

	ck_assert(!s->is_over);
	if (s->wctx == NULL)
		ck_assert_ptr_nonnull(s->wctx = ASYNC_WAIT_CTX_new());
	key_client_enter(&s->wait);
	is_asking = 1;
	rc = ASYNC_start_job(&s->job, s->wctx, &ret, ask_in_job, &s,
	    sizeof(s));
	is_asking = 0;
	ck_assert_int_eq(rc, s->is_over ? ASYNC_FINISH : ASYNC_PAUSE);
}

static void
on_wake(struct key_wait *w)
{
	struct shake	*s = (struct shake *)w;

	ck_assert(!is_asking);
	ck_assert(!key_client_is_waiting(w));
	s->nwoken++;
	call(s);
	ck_assert(s->is_over);
}

static void
prepare(size_t i)
{
	shakes[i].wait.wake = on_wake;
	shakes[i].key = 1000 + (uint32_t)i;
}

/* One more, which asks and pauses. */
static struct shake *
begin(size_t i)
{
	prepare(i);
	call(&shakes[i]);
	return &shakes[i];
}

/* --- The keyholder --- */

static int
next_question(struct question *q)
{
	struct msg_reader	 r;
	struct msg		 m;
	const uint8_t		*p;
	uint8_t			 data[MSG_MAX];
	ssize_t			 n;

	chan_flush(&ch);		/* as the end of a pass does */
	if ((n = recv(peer, data, sizeof(data), MSG_DONTWAIT)) <= 0)
		return 0;
	ck_assert_int_eq(msg_parse_header(&m, data, (size_t)n), 0);
	ck_assert_int_eq(m.type, MSG_SIGN);
	msg_reader_init(&r, &m);
	q->id = m.id;
	q->key = msg_u32(&r);
	q->scheme = msg_u16(&r);
	ck_assert_ptr_nonnull(p = msg_octets(&r, &q->len));
	ck_assert_int_eq(msg_done(&r), 0);
	memcpy(q->octets, p, q->len);
	return 1;
}

/* A signature of so many octets, each the id's. */
static void
answer(uint64_t id, size_t len)
{
	struct msg_writer	w;
	uint8_t			sig[TLS_SIGNATURE_MAX];

	memset(sig, (int)id, sizeof(sig));
	msg_start(&w, MSG_SIGNED, id);
	msg_put_octets(&w, sig, len);
	ck_assert_int_eq(msg_finish(&w), 0);
	ck_assert_int_eq(send(peer, w.data, w.used, 0), (ssize_t)w.used);
}

static void
check_signed(const struct shake *s, uint64_t id, size_t len)
{
	size_t	i;

	ck_assert(s->is_over);
	ck_assert_uint_eq(s->siglen, len);
	for (i = 0; i < len; i++)
		ck_assert_uint_eq(s->sig[i], (uint8_t)id);
}

/* --- Paused --- */

/* Answers in any order; each finds its own handshake, once. */
START_TEST(answered)
{
	struct question	q[3];
	size_t		i;

	connect_keyholder();
	for (i = 0; i < 3; i++) {
		(void)begin(i);
		ck_assert(next_question(&q[i]));
		ck_assert_uint_eq(q[i].key, 1000 + i);
		ck_assert_uint_eq(q[i].scheme, SCHEME);
		ck_assert_uint_eq(q[i].len, sizeof(octets));
		ck_assert_mem_eq(q[i].octets, octets, sizeof(octets));
		ck_assert(key_client_is_waiting(&shakes[i].wait));
	}
	ck_assert_uint_ne(q[0].id, q[1].id);
	call(&shakes[1]);		/* for another reason: goes on */
	ck_assert(!shakes[1].is_over);
	answer(q[2].id, TLS_SIGNATURE_MAX);
	answer(q[0].id, 70);
	pass();
	answer(q[1].id, 0);		/* refused */
	answer(q[1].id, 10);
	pass();
	check_signed(&shakes[0], q[0].id, 70);
	check_signed(&shakes[1], q[1].id, 0);
	check_signed(&shakes[2], q[2].id, TLS_SIGNATURE_MAX);
	for (i = 0; i < 3; i++)
		ck_assert_uint_eq(shakes[i].nwoken, 1);
	ck_assert_uint_eq(nends, 0);
}
END_TEST

/* So many are out, the others follow in order. */
START_TEST(bounded)
{
	static struct question	q[NSHAKES];
	size_t			i, n = 0;

	connect_keyholder();
	for (i = 0; i < NSHAKES; i++)
		(void)begin(i);
	while (next_question(&q[n]))
		n++;
	ck_assert_uint_eq(n, KEY_CLIENT_OUT_MAX);
	answer(q[7].id, 8);
	pass();
	ck_assert(shakes[7].is_over);
	ck_assert(next_question(&q[n]));
	ck_assert_uint_eq(q[n].key, 1000 + n);
	ck_assert(!next_question(&q[n + 1]));
	n++;
	for (i = 0; i < NSHAKES; i++) {
		if (i != 7)
			answer(q[i].id, 8);
		pass();
		while (n < NSHAKES && next_question(&q[n])) {
			ck_assert_uint_eq(q[n].key, 1000 + n);
			n++;
		}
	}
	for (i = 0; i < NSHAKES; i++) {
		check_signed(&shakes[i], q[i].id, 8);
		ck_assert_uint_eq(shakes[i].nwoken, 1);
	}
}
END_TEST

/* Sent, queued, answered already: the handshake unwinds, nobody is woken. */
START_TEST(cancelled)
{
	struct question	q;
	struct shake	*s;
	size_t		i;

	connect_keyholder();
	for (i = 0; i <= KEY_CLIENT_OUT_MAX; i++)
		(void)begin(i);
	for (i = 0; i < KEY_CLIENT_OUT_MAX; i++)
		ck_assert(next_question(&q));
	s = &shakes[_i == 1 ? KEY_CLIENT_OUT_MAX : 0];
	if (_i == 2) {
		answer(1, 8);		/* here, but the timer is to run */
		chan_drain(&ch);
		ck_assert(!key_client_is_waiting(&s->wait));
	}
	key_client_cancel(&s->wait);
	ck_assert(!key_client_is_waiting(&s->wait));
	call(s);
	check_signed(s, 0, 0);
	answer(1, 8);
	pass();
	ck_assert_uint_eq(s->nwoken, 0);
	/* Its place is another's. */
	ck_assert_int_eq(next_question(&q), _i != 1);
	ck_assert_uint_eq(shakes[1].nwoken, 0);
	ck_assert_uint_eq(nends, 0);
	/* For good: it asks nothing more. */
	s->is_over = 0;
	s->siglen = 9;
	call(s);
	check_signed(s, 0, 0);
}
END_TEST

/* Given up in its time, not before; the answer comes too late. */
START_TEST(too_late)
{
	struct question	 q;
	struct shake	*s;
	int64_t		 now_ms;

	connect_keyholder();
	now_ms = loop.now_ms;
	s = begin(0);
	ck_assert(next_question(&q));
	timer_run(&loop.timers, now_ms + KEY_CLIENT_MS - 1);
	ck_assert(!s->is_over);
	timer_run(&loop.timers, now_ms + KEY_CLIENT_MS);
	check_signed(s, 0, 0);
	answer(q.id, 8);
	pass();
	ck_assert_uint_eq(s->nwoken, 1);
	ck_assert_uint_eq(nends, 0);
}
END_TEST

/* --- A keyholder that is not there --- */

/* All that was asked is lost; what is asked meanwhile waits for the next. */
START_TEST(gone)
{
	struct question	 q;
	struct shake	*s;
	size_t		 i;

	connect_keyholder();
	for (i = 0; i < KEY_CLIENT_OUT_MAX + 2; i++)
		(void)begin(i);
	(void)close(peer);
	peer = -1;
	pass();
	ck_assert_uint_eq(nends, 1);
	for (i = 0; i < KEY_CLIENT_OUT_MAX + 2; i++) {
		check_signed(&shakes[i], 0, 0);
		ck_assert_uint_eq(shakes[i].nwoken, 1);
	}
	s = begin(i);
	pass();
	ck_assert(key_client_is_waiting(&s->wait));
	connect_keyholder();
	ck_assert(next_question(&q));
	ck_assert_uint_eq(q.key, s->key);
	answer(q.id, 8);
	pass();
	check_signed(s, q.id, 8);
}
END_TEST

START_TEST(never_there)
{
	struct shake	*s;
	int64_t		 now_ms = loop.now_ms;

	s = begin(0);
	ck_assert(key_client_is_waiting(&s->wait));
	timer_run(&loop.timers, now_ms + KEY_CLIENT_MS);
	check_signed(s, 0, 0);
	ck_assert_uint_eq(s->nwoken, 1);
	/* By now it should be: nobody waits any more. */
	loop.now_ms = now_ms + KEY_CLIENT_MS;
	s = begin(1);
	check_signed(s, 0, 0);
	ck_assert_uint_eq(s->nwoken, 0);
}
END_TEST

/* What the table allows and the content does not: its channel ends. */
START_TEST(nonsense)
{
	struct msg_writer	 w;
	struct question		 q;
	struct shake		*s;

	connect_keyholder();
	s = begin(0);
	ck_assert(next_question(&q));
	msg_start(&w, MSG_SIGNED, q.id);
	msg_put_octets(&w, octets, 8);
	if (_i == 0)
		w.used--;
	else
		msg_put_u8(&w, 0);
	ck_assert_int_eq(msg_finish(&w), 0);
	ck_assert_int_eq(send(peer, w.data, w.used, 0), (ssize_t)w.used);
	pass();
	ck_assert_uint_eq(nends, 1);
	check_signed(s, 0, 0);
	ck_assert_uint_eq(s->nwoken, 1);
}
END_TEST

/* --- Waited for: in no job --- */

static void
ask_and_wait(struct shake *s)
{
	prepare((size_t)(s - shakes));
	key_client_enter(&s->wait);
	is_asking = 1;
	ask(s);
	is_asking = 0;
}

/* The answer to a paused one is kept for the loop meanwhile. */
START_TEST(waited_for)
{
	struct shake	*a, *b = &shakes[1];

	connect_keyholder();
	a = begin(0);
	answer(1, 8);
	answer(77, 8);			/* nobody's */
	answer(2, 9);
	ask_and_wait(b);
	check_signed(b, 2, 9);
	ck_assert(!a->is_over);
	pass();
	check_signed(a, 1, 8);
	ck_assert_uint_eq(a->nwoken, 1);
	ck_assert_uint_eq(b->nwoken, 0);
}
END_TEST

START_TEST(waited_in_vain)
{
	struct shake	*s = &shakes[0];
	int64_t		 ms = port_now_ms();

	connect_keyholder();
	ask_and_wait(s);
	check_signed(s, 0, 0);
	ck_assert_int_ge(port_now_ms() - ms, KEY_CLIENT_BLOCK_MS - 20);
	answer(1, 8);			/* too late */
	pass();
	ck_assert_uint_eq(nends, 0);
	answer(2, 8);
	s->is_over = 0;
	ask_and_wait(s);
	check_signed(s, 2, 8);
	ck_assert_uint_eq(s->nwoken, 0);
}
END_TEST

/* Who is gone answers nothing, and is not waited for. */
START_TEST(waited_without)
{
	struct shake	*s = &shakes[0];
	int64_t		 ms = port_now_ms();

	if (_i > 0) {
		connect_keyholder();
		(void)close(peer);
		peer = -1;
	}
	if (_i == 2)
		pass();
	ask_and_wait(s);
	check_signed(s, 0, 0);
	ck_assert_int_lt(port_now_ms() - ms, KEY_CLIENT_BLOCK_MS / 2);
	pass();
	ck_assert_uint_eq(s->nwoken, 0);
}
END_TEST

START_TEST(nobody_asks)
{
	uint8_t	sig[TLS_SIGNATURE_MAX];

	connect_keyholder();
	key_client_enter(NULL);
	ck_assert_uint_eq(key_client_sign(1, SCHEME, octets, 1, sig), 0);
}
END_TEST

int
main(void)
{
	Suite	*s = suite_create("key_client");
	TCase	*tc = tcase_create("key_client");
	SRunner	*sr;
	int	 nfailed;

	tcase_set_timeout(tc, 20);
	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_test(tc, answered);
	tcase_add_test(tc, bounded);
	tcase_add_loop_test(tc, cancelled, 0, 3);
	tcase_add_test(tc, too_late);
	tcase_add_test(tc, gone);
	tcase_add_test(tc, never_there);
	tcase_add_loop_test(tc, nonsense, 0, 2);
	tcase_add_test(tc, waited_for);
	tcase_add_test(tc, waited_in_vain);
	tcase_add_loop_test(tc, waited_without, 0, 3);
	tcase_add_test(tc, nobody_asks);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	nfailed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return nfailed == 0 ? 0 : 1;
}
