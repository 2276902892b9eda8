/*
 * Tests of the keyholder process, sandbox included.  The test is its parent,
 * its workers and its logger, each with the other end of a channel, so that
 * any of them may break the rules; what is signed is verified.
 */
#include <sys/types.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

#include <openssl/evp.h>
#include <openssl/rsa.h>

#include "../../common/log.h"
#include "../../common/port/port.h"
#include "../../common/port/tls.h"
#include "../../privsep/chan.h"
#include "../../privsep/keyholder.h"
#include "../../privsep/proc.h"
#include "key_samples.h"

#define NROWS(a)	((int)(sizeof(a) / sizeof((a)[0])))
#define NOBODY		65534
#define CHILD_FD	3
#define NWORKERS	2
#define RSA_PKCS1	0x0401		/* TLS SignatureScheme */
#define ECDSA_P256	0x0403
#define RSA_PSS		0x0804
#define ED25519		0x0807

static const struct proc_row	rows[] = {
	{ .role = PROC_PARENT, .name = "parent",
	  .on_death = DEATH_STOP_ALL },
	{ .role = PROC_KEYHOLDER, .name = "keyholder", .main = keyholder_main,
	  .user = KEYHOLDER_USER, .root = ROOT_CONF,
	  .promises = "stdio recvfd",
	  .peers = ROLE(PROC_PARENT) | ROLE(PROC_WORKER) | ROLE(PROC_LOGGER),
	  .on_death = DEATH_RESTART }
};

/* The keys, by their numbers; behind them one that is none. */
enum { KEY_RSA, KEY_EC, KEY_ED, KEY_BROKEN, KEYS };

static struct loop	loop;
static struct chan	parent, workers[NWORKERS], logger;
static char		root[] = "/tmp/test_keyholder.XXXXXX";
static pid_t		pid;
static EVP_PKEY		*keys[KEYS];
static int		is_ready;
static char		failed[1024];	/* its own words */
static char		logged[64 * 1024];
static size_t		nends;		/* of workers' channels */
/* The last answer. */
static size_t		nanswers;
static uint64_t		answer_id;
static uint8_t		sig[TLS_SIGNATURE_MAX];
static size_t		siglen;

static void
quiet(void *arg, int priority, const char *line, size_t len)
{
	(void)arg;
	(void)priority;
	(void)line;
	(void)len;
}

/* --- What it says to the others --- */

static void
on_parent_msg(struct chan *ch, struct msg *m, void *arg)
{
	struct msg_reader	r;

	(void)arg;
	msg_reader_init(&r, m);
	switch (m->type) {
	case MSG_HELLO:
		chan_set_state(ch, CHAN_SETUP);
		break;
	case MSG_READY:
		chan_set_state(ch, CHAN_RUN);
		is_ready = 1;
		break;
	case MSG_FAILED:
		msg_str(&r, failed, sizeof(failed));
		break;
	default:
		ck_abort_msg("message %u", m->type);
	}
}

static void
on_parent_end(struct chan *ch, const char *reason, void *arg)
{
	(void)ch;
	(void)reason;
	(void)arg;
}

static void
on_answer(struct chan *ch, struct msg *m, void *arg)
{
	struct msg_reader	 r;
	const uint8_t		*p;

	(void)ch;
	(void)arg;
	ck_assert_int_eq(m->type, MSG_SIGNED);
	msg_reader_init(&r, m);
	p = msg_octets(&r, &siglen);
	ck_assert_int_eq(msg_done(&r), 0);
	memcpy(sig, p, siglen);
	answer_id = m->id;
	nanswers++;
}

static void
on_worker_end(struct chan *ch, const char *reason, void *arg)
{
	(void)ch;
	(void)reason;
	(void)arg;
	nends++;
}

static void
on_log(struct chan *ch, struct msg *m, void *arg)
{
	struct msg_reader	 r;
	const uint8_t		*text;
	size_t			 len;

	(void)ch;
	(void)arg;
	msg_reader_init(&r, m);
	while (r.left > 0) {
		(void)msg_u8(&r);
		text = msg_octets(&r, &len);
		ck_assert(!r.has_failed);
		(void)snprintf(logged + strlen(logged),
		    sizeof(logged) - strlen(logged), "%.*s\n", (int)len,
		    (const char *)text);
	}
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
	ck_assert_int_eq(timer_set(&loop.timers, &t, loop.now_ms + 10), 0);
	ck_assert_int_eq(loop_once(&loop), 0);
	timer_end(&loop.timers, &t);
}

#define WAIT(cond) do {							\
	int64_t	end_ms_ = port_now_ms() + 10000;			\
									\
	while (!(cond)) {						\
		ck_assert_msg(port_now_ms() < end_ms_,			\
		    "waited in vain: %s; log:\n%s%s", #cond, logged,	\
		    failed);						\
		pass();							\
	}								\
} while (0)

/* --- Its parent --- */

static _Noreturn void
run_keyholder(int fd)
{
	if (fd != CHILD_FD && dup2(fd, CHILD_FD) == -1)
		_exit(1);
	log_init("keyholder", 0);
	keyholder_main(CHILD_FD);
}

static void
send_hello(void)
{
	struct msg_writer	w;

	msg_start(&w, MSG_HELLO, 0);
	msg_put_str(&w, "test");
	msg_put_u8(&w, PROC_KEYHOLDER);
	msg_put_u32(&w, 0);
	ck_assert_int_eq(chan_send(&parent, &w, NULL, 0, CHAN_FDS_KEEP), 0);
	WAIT(parent.state == CHAN_SETUP);
}

static void
send_drop(void)
{
	struct msg_writer	w;
	int			is_root = geteuid() == 0;

	msg_start(&w, MSG_DROP, 0);
	msg_put_u8(&w, is_root ? 1 : 0);
	msg_put_u32(&w, NOBODY);
	msg_put_u32(&w, NOBODY);
	msg_put_str(&w, is_root ? root : "");
	ck_assert_int_eq(chan_send(&parent, &w, NULL, 0, CHAN_FDS_KEEP), 0);
}

/* As parent and peer: introduce a peer whose end *ch becomes. */
static void
send_peer(struct chan *ch, enum proc_role role, uint32_t instance,
    uint32_t generation)
{
	struct msg_writer	w;
	int			fd[2];

	ck_assert_int_eq(chan_pair(fd), 0);
	ck_assert_int_eq(chan_open(ch, &loop, fd[0], role, PROC_KEYHOLDER, 0,
	    role == PROC_WORKER ? on_answer : on_log,
	    role == PROC_WORKER ? on_worker_end : on_parent_end, NULL), 0);
	chan_set_state(ch, CHAN_RUN);
	msg_start(&w, MSG_PEER, 0);
	msg_put_u8(&w, (uint8_t)role);
	msg_put_u32(&w, instance);
	msg_put_u32(&w, generation);
	msg_put_u32(&w, 99);
	ck_assert_int_eq(chan_send(&parent, &w, &fd[1], 1,
	    CHAN_FDS_CLOSE), 0);
}

static void
send_key(uint32_t number, const void *octets, size_t len)
{
	struct msg_writer	w;

	msg_start(&w, MSG_KEY, 0);
	msg_put_u32(&w, number);
	msg_put_u8(&w, 1);
	msg_put_octets(&w, octets, len);
	ck_assert_int_eq(chan_send(&parent, &w, NULL, 0, CHAN_FDS_KEEP), 0);
}

static void
send_pkey(uint32_t number)
{
	uint8_t	file[SAMPLE_MAX];

	send_key(number, file, sample_key_file(keys[number], file));
}

static void
send_allow(uint32_t instance, uint32_t first, uint32_t count)
{
	struct msg_writer	w;

	msg_start(&w, MSG_KEY_ALLOW, 0);
	msg_put_u32(&w, instance);
	msg_put_u32(&w, first);
	msg_put_u32(&w, count);
	ck_assert_int_eq(chan_send(&parent, &w, NULL, 0, CHAN_FDS_KEEP), 0);
}

/* Up to its set-up: no key yet. */
static void
start(void)
{
	int	fd[2];

	log_init("test", 0);
	log_set_sink(quiet, NULL);
	proc_init(rows, NROWS(rows), NULL, 0, "test");
	ck_assert_ptr_nonnull(mkdtemp(root));
	ck_assert_int_eq(chmod(root, 0755), 0);
	ck_assert_int_eq(loop_init(&loop, 0), 0);
	chan_init(&logger);
	chan_init(&workers[0]);
	chan_init(&workers[1]);
	ck_assert_int_eq(chan_pair(fd), 0);
	ck_assert_int_ne(pid = fork(), -1);
	if (pid == 0)
		run_keyholder(fd[1]);
	(void)close(fd[1]);
	ck_assert_int_eq(chan_open(&parent, &loop, fd[0], PROC_PARENT,
	    PROC_KEYHOLDER, 0, on_parent_msg, on_parent_end, NULL), 0);
	send_hello();
	send_drop();
}

/* Once for all: an RSA key is slow to be found. */
static void
make_keys(void)
{
	keys[KEY_RSA] = sample_key(EVP_PKEY_RSA);
	keys[KEY_EC] = sample_key(EVP_PKEY_EC);
	keys[KEY_ED] = sample_key(EVP_PKEY_ED25519);
}

static void
free_keys(void)
{
	int	i;

	for (i = 0; i < KEYS; i++) {
		EVP_PKEY_free(keys[i]);
		keys[i] = NULL;
	}
}

/* In service: three keys, and two workers that may use all. */
static void
set_up(void)
{
	start();
	send_peer(&logger, PROC_LOGGER, 0, 1);
	send_pkey(KEY_RSA);
	send_pkey(KEY_EC);
	send_pkey(KEY_ED);
	send_key(KEY_BROKEN, "-----BEGIN", 10);
	send_allow(0, 0, KEYS);
	send_allow(1, 0, KEYS);
	send_peer(&workers[0], PROC_WORKER, 0, 2);
	send_peer(&workers[1], PROC_WORKER, 1, 3);
	WAIT(is_ready);
}

static int
ended_with(void)
{
	int	status;

	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	pid = 0;
	return status;
}

static void
tear_down(void)
{
	if (pid != 0) {
		/* It serves to the end, whatever was said to it. */
		ck_assert_int_eq(waitpid(pid, NULL, WNOHANG), 0);
		(void)kill(pid, SIGKILL);
		(void)ended_with();
	}
	chan_close(&parent);
	chan_close(&logger);
	chan_close(&workers[0]);
	chan_close(&workers[1]);
	loop_clear(&loop);
	(void)rmdir(root);
}

/* --- Its workers --- */

/* RFC 8446 4.4.3, with a hash of SHA-256's length. */
static size_t
verify13(uint8_t *to)
{
	static const char	context[] = "TLS 1.3, server CertificateVerify";

	memset(to, 0x20, 64);
	memcpy(to + 64, context, sizeof(context));
	memset(to + 64 + sizeof(context), 0xab, 32);
	return 64 + sizeof(context) + 32;
}

static void
send_sign(struct chan *ch, uint64_t id, uint32_t key, uint16_t scheme,
    const uint8_t *octets, size_t len)
{
	struct msg_writer	w;

	msg_start(&w, MSG_SIGN, id);
	msg_put_u32(&w, key);
	msg_put_u16(&w, scheme);
	msg_put_octets(&w, octets, len);
	ck_assert_int_eq(chan_send(ch, &w, NULL, 0, CHAN_FDS_KEEP), 0);
}

/* Ask, and wait for the answer. */
static void
sign(struct chan *ch, uint32_t key, uint16_t scheme, const uint8_t *octets,
    size_t len)
{
	static uint64_t	id = 1ULL << 40;
	size_t		before = nanswers;

	send_sign(ch, ++id, key, scheme, octets, len);
	WAIT(nanswers > before);
	ck_assert_uint_eq(nanswers, before + 1);
	ck_assert_uint_eq(answer_id, id);
}

/* A handshake of TLS 1.3: signed, or refused. */
static size_t
sign13(struct chan *ch, uint32_t key, uint16_t scheme)
{
	uint8_t	octets[256];
	size_t	len = verify13(octets);

	sign(ch, key, scheme, octets, len);
	return siglen;
}

static int
is_good(EVP_PKEY *key, uint16_t scheme, const uint8_t *octets, size_t len)
{
	EVP_MD_CTX	*md = EVP_MD_CTX_new();
	EVP_PKEY_CTX	*ctx;
	int		 rc;

	ck_assert_int_eq(EVP_DigestVerifyInit(md, &ctx, scheme == ED25519 ?
	    NULL : EVP_sha256(), NULL, key), 1);
	if (scheme == RSA_PSS)
		ck_assert(EVP_PKEY_CTX_set_rsa_padding(ctx,
		    RSA_PKCS1_PSS_PADDING) == 1 &&
		    EVP_PKEY_CTX_set_rsa_pss_saltlen(ctx,
		    RSA_PSS_SALTLEN_DIGEST) == 1);
	rc = EVP_DigestVerify(md, sig, siglen, octets, len);
	EVP_MD_CTX_free(md);
	return rc == 1;
}

/* --- Signed --- */

static const struct {
	uint32_t	key;
	uint16_t	scheme;
} signed_rows[] = {
	{ KEY_RSA, RSA_PSS },
	{ KEY_EC, ECDSA_P256 },
	{ KEY_ED, ED25519 }
};

START_TEST(signs)
{
	uint8_t	octets[256];
	size_t	len = verify13(octets);
	int	i;

	for (i = 0; i < NWORKERS; i++) {
		sign(&workers[i], signed_rows[_i].key, signed_rows[_i].scheme,
		    octets, len);
		ck_assert_uint_gt(siglen, 0);
		ck_assert(is_good(keys[signed_rows[_i].key],
		    signed_rows[_i].scheme, octets, len));
		octets[len - 1] ^= 1;
	}
	ck_assert_ptr_nonnull(strstr(logged, "key 3 can't be used: "));
}
END_TEST

/* --- Refused: an answer all the same, and a line with the reason. --- */

enum change { AS_IT_IS, CLIENTS, SHORTER, LONGER, BLANK, DIGEST, LARGE };

static const struct {
	uint32_t	 key;
	uint16_t	 scheme;
	enum change	 change;
	const char	*why;		/* NULL: the library's word */
} refused_rows[] = {
	{ KEY_RSA,	RSA_PSS,	CLIENTS,	NULL },
	{ KEY_RSA,	RSA_PSS,	SHORTER,	NULL },
	{ KEY_RSA,	RSA_PSS,	LONGER,		NULL },
	{ KEY_EC,	ECDSA_P256,	BLANK,		NULL },
	{ KEY_EC,	ECDSA_P256,	DIGEST,		NULL },
	{ KEY_ED,	ED25519,	LARGE,		NULL },
	{ KEY_RSA,	RSA_PKCS1,	AS_IT_IS,	NULL },
	{ KEY_RSA,	ECDSA_P256,	AS_IT_IS,	NULL },
	{ KEY_RSA,	TLS_FORM_PKCS1,	DIGEST,		NULL },
	{ KEY_RSA,	0xffff,		AS_IT_IS,	NULL },
	{ KEY_BROKEN,	RSA_PSS,	AS_IT_IS,	"no such key" },
	{ KEYS,		RSA_PSS,	AS_IT_IS,	"not its key" },
	{ UINT32_MAX,	RSA_PSS,	AS_IT_IS,	"not its key" }
};

static size_t
changed(uint8_t *octets, enum change change)
{
	size_t	len = verify13(octets);

	switch (change) {
	case CLIENTS:
		memcpy(octets + 64 + 9, "client", 6);
		break;
	case SHORTER:
		return len - 1;
	case LONGER:
		octets[len] = 0;
		return len + 1;
	case BLANK:
		octets[63] = 'x';
		break;
	case DIGEST:
		return 32;
	case LARGE:
		memset(octets, 0x20, TLS_REQUEST_MAX);
		return TLS_REQUEST_MAX;
	default:
		break;
	}
	return len;
}

START_TEST(refuses)
{
	uint8_t	octets[TLS_REQUEST_MAX];
	char	line[128];
	size_t	len = changed(octets, refused_rows[_i].change);

	logged[0] = '\0';
	sign(&workers[1], refused_rows[_i].key, refused_rows[_i].scheme,
	    octets, len);
	ck_assert_uint_eq(siglen, 0);
	(void)snprintf(line, sizeof(line), "worker[1]: 1 signatures refused: "
	    "%s", refused_rows[_i].why == NULL ? "" : refused_rows[_i].why);
	WAIT(strstr(logged, line) != NULL);
	/* And goes on. */
	ck_assert_uint_gt(sign13(&workers[1], KEY_EC, ECDSA_P256), 0);
	ck_assert_uint_eq(nends, 0);
}
END_TEST

static size_t
count(const char *text)
{
	const char	*p = logged;
	size_t		 n = 0;

	while ((p = strstr(p, text)) != NULL) {
		p++;
		n++;
	}
	return n;
}

/* A line a second; none is forgotten. */
START_TEST(many_refusals)
{
	size_t	i;

	logged[0] = '\0';
	for (i = 0; i < 40; i++)
		ck_assert_uint_eq(sign13(&workers[0], KEY_BROKEN, RSA_PSS),
		    0);
	WAIT(count("worker[0]: 1 signatures refused: no such key") == 1);
	WAIT(count(" signatures refused: ") == 2);
	ck_assert_uint_eq(count("worker[0]: 39 signatures refused: "), 1);
}
END_TEST

/* Who floods it gets no more than its share; others get theirs. */
START_TEST(flood)
{
	uint8_t	octet = 0;
	int64_t	ms;
	size_t	i, before;

	ck_assert_uint_gt(sign13(&workers[0], KEY_EC, ECDSA_P256), 0);
	ms = port_now_ms();
	before = nanswers;
	for (i = 0; i < 5000; i++) {
		send_sign(&workers[0], i, KEY_EC, ECDSA_P256, &octet, 1);
		if (i % 64 == 63)
			WAIT(nanswers == before + i + 1);
	}
	WAIT(nanswers == before + 5000);
	(void)sign13(&workers[0], KEY_EC, ECDSA_P256);
	if (port_now_ms() - ms < 900)
		ck_assert_uint_eq(siglen, 0);
	ck_assert_uint_gt(sign13(&workers[1], KEY_EC, ECDSA_P256), 0);
	ms = port_now_ms();
	while (port_now_ms() - ms < 1100)
		pass();
	ck_assert_uint_gt(sign13(&workers[0], KEY_EC, ECDSA_P256), 0);
}
END_TEST

/* The parent's newest word counts, for that worker alone. */
START_TEST(allowed)
{
	send_allow(0, KEY_EC, 1);
	/* Behind it: the channels are read in no order. */
	while (sign13(&workers[0], KEY_RSA, RSA_PSS) > 0)
		;
	ck_assert_uint_gt(sign13(&workers[0], KEY_EC, ECDSA_P256), 0);
	ck_assert_uint_eq(sign13(&workers[0], KEY_ED, ED25519), 0);
	ck_assert_uint_gt(sign13(&workers[1], KEY_ED, ED25519), 0);
	send_allow(0, 0, 0);
	while (sign13(&workers[0], KEY_EC, ECDSA_P256) > 0)
		;
	/* No end of the range lies behind the last number. */
	send_allow(0, UINT32_MAX, UINT32_MAX);
	send_allow(1, 1, UINT32_MAX);
	while (sign13(&workers[1], KEY_RSA, RSA_PSS) > 0)
		;
	ck_assert_uint_eq(sign13(&workers[0], KEY_RSA, RSA_PSS), 0);
	ck_assert_uint_gt(sign13(&workers[1], KEY_ED, ED25519), 0);
}
END_TEST

/* --- Rules broken --- */

/* Its own channel is what it costs; a new one comes with a new process. */
START_TEST(worker_lies)
{
	struct msg_writer	w;
	uint8_t			octets[TLS_REQUEST_MAX + 1];

	msg_start(&w, MSG_SIGN, 1);
	msg_put_u32(&w, KEY_RSA);
	msg_put_u16(&w, RSA_PSS);
	memset(octets, 0x20, sizeof(octets));
	msg_put_octets(&w, octets, _i == 0 ? sizeof(octets) : 130);
	if (_i == 1)
		msg_put_u8(&w, 0);
	if (_i == 2)
		w.used--;
	ck_assert_int_eq(msg_finish(&w), 0);
	ck_assert_int_eq(send(workers[0].fd, w.data, w.used, 0),
	    (ssize_t)w.used);
	WAIT(nends == 1);
	ck_assert_uint_eq(nanswers, 0);
	ck_assert_uint_gt(sign13(&workers[1], KEY_EC, ECDSA_P256), 0);
	send_peer(&workers[0], PROC_WORKER, 0, 4);
	ck_assert_uint_gt(sign13(&workers[0], KEY_EC, ECDSA_P256), 0);
}
END_TEST

/* Of a key: twice, or too large. */
static const uint32_t	nonsense_rows[] = { KEY_RSA, KEYS_MAX, UINT32_MAX };

/* From the parent nonsense is the end, while it is being set up. */
START_TEST(parent_lies)
{
	int	status;

	start();
	send_pkey(KEY_RSA);
	send_key(nonsense_rows[_i], "x", 1);
	WAIT(strstr(failed, "KEY: malformed") != NULL);
	status = ended_with();
	ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 1);
}
END_TEST

START_TEST(no_keys)
{
	start();
	send_allow(0, 0, 0);
	WAIT(is_ready);
	send_peer(&workers[0], PROC_WORKER, 0, 2);
	ck_assert_uint_eq(sign13(&workers[0], 0, RSA_PSS), 0);
}
END_TEST

/* --- The end --- */

START_TEST(ends)
{
	struct msg_writer	w;
	int			status;

	msg_start(&w, MSG_STOP, 0);
	msg_put_u32(&w, 5);
	if (_i == 0)
		ck_assert_int_eq(chan_send(&parent, &w,
		    NULL, 0, CHAN_FDS_KEEP), 0);
	else
		chan_close(&parent);
	status = ended_with();
	ck_assert(WIFEXITED(status));
	ck_assert_int_eq(WEXITSTATUS(status), 0);
}
END_TEST

int
main(int argc, char *argv[], char *envp[])
{
	Suite	*s = suite_create("keyholder");
	TCase	*tc = tcase_create("keyholder"), *own = tcase_create("own");
	SRunner	*sr;
	int	 nfailed;

	port_title_init(argc, argv, envp);
	tcase_set_timeout(tc, 30);
	tcase_add_unchecked_fixture(tc, make_keys, free_keys);
	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_loop_test(tc, signs, 0, NROWS(signed_rows));
	tcase_add_loop_test(tc, refuses, 0, NROWS(refused_rows));
	tcase_add_test(tc, many_refusals);
	tcase_add_test(tc, flood);
	tcase_add_test(tc, allowed);
	tcase_add_loop_test(tc, worker_lies, 0, 3);
	tcase_add_loop_test(tc, ends, 0, 2);
	suite_add_tcase(s, tc);
	tcase_set_timeout(own, 30);
	tcase_add_unchecked_fixture(own, make_keys, free_keys);
	tcase_add_checked_fixture(own, NULL, tear_down);
	tcase_add_loop_test(own, parent_lies, 0, NROWS(nonsense_rows));
	tcase_add_test(own, no_keys);
	suite_add_tcase(s, own);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	nfailed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return nfailed == 0 ? 0 : 1;
}
