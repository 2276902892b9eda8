/*
 * Tests of keys on their way: the real keyholder, and workers that are this
 * program once more.  Such a worker asks for signatures with some keys, and
 * says what it got in messages that it may send: CONNECT for ticket keys (the
 * id is of the first of them, the choice their number), SESSION_END for a
 * signature (the id is the question and the length).
 */
#include <sys/types.h>
#include <sys/stat.h>

#include <check.h>
#include <err.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../common/log.h"
#include "../../common/port/port.h"
#include "../../common/port/tls.h"
#include "../../privsep/keyholder.h"
#include "../../privsep/proc.h"
#include "../../smtpproxyd/messages.h"
#include "../../smtpproxyd/parent_keys.h"
#include "key_samples.h"

#define NROWS(a)	((int)(sizeof(a) / sizeof((a)[0])))
#define CHILD_FD	3
#define WAIT_MS		40000	/* under memcheck; 256 keys */
#define NWORKERS	2
#define ECDSA_P256	0x0403		/* TLS SignatureScheme */

#define NASKED		3

static const uint32_t	asked[NASKED] = { 0, 1, KEYS_MAX - 1 };

static _Noreturn void	kid_main(int);

static const struct proc_row	rows[] = {
	{ .role = PROC_PARENT, .name = "parent",
	  .on_death = DEATH_STOP_ALL },
	{ .role = PROC_WORKER, .name = "worker", .main = kid_main,
	  .user = USER_CONF, .promises = "stdio recvfd",
	  .peers = ROLE(PROC_PARENT) | ROLE(PROC_KEYHOLDER),
	  .on_death = DEATH_RESTART },
	{ .role = PROC_KEYHOLDER, .name = "keyholder", .main = keyholder_main,
	  .user = KEYHOLDER_USER, .promises = "stdio recvfd",
	  .peers = ROLE(PROC_PARENT) | ROLE(PROC_WORKER),
	  .on_death = DEATH_RESTART }
};

/* --- A worker --- */

static struct loop	kid_loop;
static struct chan	kid_parent;

static void
kid_say(uint16_t type, uint64_t id, uint32_t choice)
{
	struct msg_writer	w;

	msg_start(&w, type, id);
	if (type == MSG_CONNECT)
		msg_put_u32(&w, choice);
	if (chan_send(&kid_parent, &w, NULL, 0, CHAN_FDS_KEEP) == -1)
		fatal("say");
}

static uint64_t
kid_number(const uint8_t *p)
{
	uint64_t	n = 0;
	size_t		i;

	for (i = 0; i < 8; i++)
		n = n << 8 | p[i];
	return n;
}

/* The number of each of them, the first last. */
static void
kid_take_tickets(struct msg *m)
{
	struct msg_reader	 r;
	const uint8_t		*p;
	uint64_t		 first = 0, second = 0;
	size_t			 len;
	uint8_t			 n;

	msg_reader_init(&r, m);
	n = msg_u8(&r);
	if ((p = msg_octets(&r, &len)) != NULL && len == TLS_TICKET_KEY)
		first = kid_number(p);
	if (n == 2 && (p = msg_octets(&r, &len)) != NULL &&
	    len == TLS_TICKET_KEY)
		second = kid_number(p);
	if (m->type != MSG_TICKET_KEYS || msg_done(&r) == -1 || n == 0 ||
	    n > 2)
		fatalx("ticket keys: malformed");
	if (n == 2)
		kid_say(MSG_CONNECT, second, 3);
	kid_say(MSG_CONNECT, first, n);
}

static void
kid_ask(struct chan *ch, uint32_t question, const void *octets, size_t len)
{
	struct msg_writer	w;

	msg_start(&w, MSG_SIGN, question);
	msg_put_u32(&w, asked[question / 2]);
	msg_put_u16(&w, ECDSA_P256);
	msg_put_octets(&w, octets, len);
	if (chan_send(ch, &w, NULL, 0, CHAN_FDS_KEEP) == -1)
		fatal("ask");
}

/*
 * With each key twice: a handshake of TLS 1.3 (RFC 8446 4.4.3), and one of 1.2
 * (RFC 8422 5.4) that 1.3 was not offered in.
 */
static void
kid_on_peer(struct chan *ch, pid_t pid, void *arg)
{
	static const char	context[] = "TLS 1.3, server CertificateVerify";
	/* X25519, and no sentinel in the server's random. */
	static const uint8_t	curve[] = { 0x03, 0x00, 0x1d, 32 };
	uint8_t			now[64 + sizeof(context) + 32], old[100];
	uint32_t		i;

	(void)pid;
	(void)arg;
	memset(now, 0x20, 64);
	memcpy(now + 64, context, sizeof(context));
	memset(now + 64 + sizeof(context), 0xab, 32);
	memset(old, 0xab, sizeof(old));
	memcpy(old + 64, curve, sizeof(curve));
	for (i = 0; i < NASKED; i++) {
		kid_ask(ch, 2 * i, now, sizeof(now));
		kid_ask(ch, 2 * i + 1, old, sizeof(old));
	}
}

static void
kid_on_signed(struct chan *ch, struct msg *m, void *arg)
{
	struct msg_reader	r;
	size_t			len;

	(void)ch;
	(void)arg;
	msg_reader_init(&r, m);
	(void)msg_octets(&r, &len);
	kid_say(MSG_SESSION_END, m->id << 32 | len, 0);
}

static void
kid_on_msg(struct chan *ch, struct msg *m, void *arg)
{
	(void)arg;
	if (proc_child_msg(ch, m))
		return;
	if (m->type == MSG_STOP)
		exit(0);
	kid_take_tickets(m);
}

static void
kid_on_end(struct chan *ch, const char *reason, void *arg)
{
	(void)reason;
	(void)arg;
	if (ch == &kid_parent)
		exit(0);
}

static _Noreturn void
kid_main(int fd)
{
	static const struct proc_peer_ops	ops = {
		.on_peer = kid_on_peer,
		.on_msg = kid_on_signed,
		.on_end = kid_on_end
	};
	uint8_t					room[MSG_MAX];
	struct msg				m;

	proc_child_set_peers(&ops);
	proc_child_start(&kid_parent, &kid_loop, 0, fd, PROC_WORKER);
	chan_wait(&kid_parent, &m, room, WAIT_MS);
	chan_set_handlers(&kid_parent, kid_on_msg, kid_on_end, NULL);
	proc_child_ready(&kid_parent);
	kid_take_tickets(&m);
	(void)loop_run(&kid_loop);
	exit(0);
}

/* --- The parent --- */

/* What a worker said. */
struct worker {
	struct proc_child	*child;
	size_t			 nready;
	size_t			 nanswers[NASKED];
	size_t			 siglen[NASKED];	/* last answer */
	size_t			 old_siglen[NASKED];	/* in TLS 1.2 */
	size_t			 ntickets;
	uint32_t		 ticket_count;
	uint64_t		 first;
	uint64_t		 second;
};

static struct loop		loop;
static struct conf		conf;
static struct conf_relay	relay;
static struct conf_pki		pkis[KEYS_MAX];
static struct proc_identity	identity;
static struct proc_child	*keyholder;
static size_t			nholders;
static int			is_stopped;
static struct worker		workers[NWORKERS];
static char			dir[64], self_path[1024];
static uint8_t			file[SAMPLE_MAX];
static size_t			file_len;
static char			logged[64 * 1024];

static void
keep(void *arg, int priority, const char *line, size_t len)
{
	size_t	used = strlen(logged);

	(void)arg;
	(void)priority;
	(void)snprintf(logged + used, sizeof(logged) - used, "%.*s\n",
	    (int)len, line);
}

/* The second question of each key is answered last. */
static void
on_signed(struct worker *w, size_t question, size_t len)
{
	if (question >= 2 * NASKED)
		ck_abort_msg("question %zu", question);
	if (question % 2 == 0) {
		w->siglen[question / 2] = len;
		return;
	}
	w->old_siglen[question / 2] = len;
	w->nanswers[question / 2]++;
}

static void
on_msg(struct proc_child *c, struct msg *m, void *arg)
{
	struct worker		*w = &workers[proc_child_instance_of(c)];
	struct msg_reader	 r;
	uint32_t		 choice;

	(void)arg;
	if (m->type == MSG_SESSION_END) {
		on_signed(w, (size_t)(m->id >> 32),
		    (size_t)(m->id & UINT32_MAX));
		return;
	}
	msg_reader_init(&r, m);
	choice = msg_u32(&r);
	if (choice == 3) {
		w->second = m->id;
		return;
	}
	w->first = m->id;
	w->ticket_count = choice;
	w->ntickets++;
}

static void
on_setup(struct proc_child *c, void *arg)
{
	(void)arg;
	if (proc_child_role(c) == PROC_KEYHOLDER)
		keyholder = c;
	parent_keys_on_setup(c);
}

static void
on_ready(struct proc_child *c, void *arg)
{
	(void)arg;
	if (proc_child_role(c) == PROC_KEYHOLDER)
		nholders++;
	else
		workers[proc_child_instance_of(c)].nready++;
}

static void
on_gone(struct proc_child *c, void *arg)
{
	(void)arg;
	parent_keys_on_gone(c);
}

static void
on_stopped(void *arg)
{
	(void)arg;
	is_stopped = 1;
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
	int64_t	end_ms_ = port_now_ms() + WAIT_MS;			\
									\
	while (!(cond)) {						\
		ck_assert_msg(port_now_ms() < end_ms_,			\
		    "waited in vain: %s; log:\n%s", #cond, logged);	\
		pass();							\
	}								\
} while (0)

static void
write_key(const struct conf_pki *pki, mode_t mode)
{
	FILE	*f;

	ck_assert_ptr_nonnull(f = fopen(pki->key_path, "w"));
	ck_assert_uint_eq(fwrite(file, 1, file_len, f), file_len);
	ck_assert_int_eq(fclose(f), 0);
	ck_assert_int_eq(chmod(pki->key_path, mode), 0);
}

/* One key, which all have, each in a file of its own. */
static void
make_conf(void)
{
	EVP_PKEY	*key = sample_key(EVP_PKEY_EC);
	uint32_t	 i;

	file_len = sample_key_file(key, file);
	EVP_PKEY_free(key);
	(void)strlcpy(dir, "/tmp/test_parent_keys.XXXXXX", sizeof(dir));
	ck_assert_ptr_nonnull(mkdtemp(dir));
	(void)strlcpy(conf.user, "nobody", sizeof(conf.user));
	conf.nworkers = NWORKERS;
	conf.npkis = KEYS_MAX;
	conf.pkis = pkis;
	conf.relays = &relay;
	relay.tls_protocols = CONF_TLS12 | CONF_TLS13;
	for (i = 0; i < KEYS_MAX; i++) {
		pkis[i].number = i;
		(void)snprintf(pkis[i].name, sizeof(pkis[i].name), "p%u", i);
		(void)snprintf(pkis[i].key_path, sizeof(pkis[i].key_path),
		    "%s/%u", dir, i);
		pkis[i].next = i + 1 < KEYS_MAX ? &pkis[i + 1] : NULL;
		write_key(&pkis[i], 0600);
	}
}

static const struct proc_ops	ops = {
	.on_msg = on_msg,
	.on_setup = on_setup,
	.on_ready = on_ready,
	.on_gone = on_gone,
	.on_stopped = on_stopped
};

static void
set_up(void)
{
	const struct passwd	*pw;

	make_conf();
	log_init("parent", 0);
	log_set_sink(keep, NULL);
	ck_assert_int_eq(loop_init(&loop, 0), 0);
	if (geteuid() == 0) {
		ck_assert_ptr_nonnull(pw = getpwnam("nobody"));
		identity.uid = pw->pw_uid;
		identity.gid = pw->pw_gid;
		parent_keys_identity(&conf, &identity);
		ck_assert_uint_eq(identity.nusers, 1);
	}
	proc_parent_init(&loop, self_path, geteuid() == 0 ? &identity : NULL,
	    &ops, NULL, 0, NULL);
}

/* All answers of a keyholder to a worker. */
static int
has_asked(const struct worker *w, size_t times)
{
	return w->nanswers[0] == times && w->nanswers[1] == times &&
	    w->nanswers[2] == times;
}

static void
start(void)
{
	uint32_t	i;

	parent_keys_start(&loop, &conf);
	for (i = 0; i < NWORKERS; i++)
		ck_assert_ptr_nonnull(workers[i].child =
		    proc_start(PROC_WORKER, i));
	WAIT(nholders == 1 && has_asked(&workers[0], 1) &&
	    has_asked(&workers[1], 1));
}

static void
tear_down(void)
{
	size_t	i;

	proc_stop(5);
	WAIT(is_stopped);
	proc_parent_clear();
	parent_keys_clear();
	loop_clear(&loop);
	for (i = 0; i < KEYS_MAX; i++)
		(void)unlink(pkis[i].key_path);
	ck_assert_int_eq(rmdir(dir), 0);
}

/* --- Tests --- */

/* More keys than a channel holds; each worker may use all of them. */
START_TEST(all_keys)
{
	size_t	i, k;

	start();
	for (i = 0; i < NWORKERS; i++)
		for (k = 0; k < NASKED; k++)
			ck_assert_uint_gt(workers[i].siglen[k], 0);
	for (k = 0; k < NASKED; k++)
		ck_assert_uint_eq(workers[0].old_siglen[k], 0);
	ck_assert_uint_eq(nholders, 1);
	ck_assert_str_eq(logged, "");
}
END_TEST

/*
 * Where one of those who have a key offers TLS 1.2 alone, a handshake with it
 * shows nothing of 1.3.
 */
START_TEST(without_tls13)
{
	static struct conf_relay	old;
	static struct conf_listener	listener;
	static struct conf_pki_name	names[2];
	struct conf_tls_server		*server;
	size_t				 k;

	server = _i == 0 ? &listener.tls : &old.terminate;
	old.listeners = &listener;
	relay.next = &old;
	if (_i == 2)
		conf.tls_protocols = CONF_TLS12;
	else
		old.tls_protocols = CONF_TLS12;
	names[1].pki = KEYS_MAX - 1;
	server->pkis = names;
	server->npkis = 2;
	start();
	for (k = 0; k < NASKED; k++) {
		ck_assert_uint_gt(workers[1].siglen[k], 0);
		ck_assert_int_eq(workers[1].old_siglen[k] > 0, k != 1);
	}
}
END_TEST

/* Read again, as the files are then; one that is bad is its own loss. */
START_TEST(keyholder_replaced)
{
	size_t	i;

	start();
	write_key(&pkis[1], 0640);
	ck_assert_int_eq(kill(proc_child_pid(keyholder), SIGKILL), 0);
	WAIT(nholders == 2 && has_asked(&workers[0], 2) &&
	    has_asked(&workers[1], 2));
	for (i = 0; i < NWORKERS; i++) {
		ck_assert_uint_gt(workers[i].siglen[0], 0);
		ck_assert_uint_eq(workers[i].siglen[1], 0);
		ck_assert_uint_gt(workers[i].siglen[2], 0);
		ck_assert_uint_eq(workers[i].nready, 1);
	}
	ck_assert_ptr_nonnull(strstr(logged, "pki p1 has no key: "));
	ck_assert_ptr_nonnull(strstr(logged, " can be used by others (mode "
	    "0640)"));
}
END_TEST

START_TEST(worker_replaced)
{
	uint64_t	first;

	start();
	first = workers[1].first;
	ck_assert_int_eq(kill(proc_child_pid(workers[1].child), SIGKILL), 0);
	WAIT(workers[1].nready == 2 && has_asked(&workers[1], 2));
	ck_assert_uint_gt(workers[1].siglen[2], 0);
	ck_assert_uint_eq(workers[1].ntickets, 2);
	ck_assert_uint_eq(workers[1].first, first);
}
END_TEST

/* All have the same, the new one and the one before it. */
START_TEST(tickets)
{
	uint64_t	first;
	size_t		i, n;
	int64_t		now_ms;

	start();
	now_ms = loop.now_ms;
	for (n = 1; n <= 3; n++) {
		WAIT(workers[0].ntickets == n && workers[1].ntickets == n);
		first = workers[0].first;
		ck_assert_uint_ne(first, 0);
		ck_assert_uint_eq(workers[1].first, first);
		for (i = 0; i < NWORKERS; i++)
			ck_assert_uint_eq(workers[i].ticket_count,
			    n == 1 ? 1 : 2);
		now_ms += PARENT_KEYS_ROTATE_MS;
		timer_run(&loop.timers, now_ms);
		WAIT(workers[0].ntickets == n + 1 &&
		    workers[1].ntickets == n + 1);
		ck_assert_uint_ne(workers[0].first, first);
		ck_assert_uint_eq(workers[0].second, first);
		ck_assert_uint_eq(workers[1].second, first);
	}
}
END_TEST

/* No pki: none of it. */
START_TEST(nothing)
{
	struct proc_identity	id;

	memset(&id, 0, sizeof(id));
	conf.npkis = 0;
	parent_keys_identity(&conf, &id);
	ck_assert_uint_eq(id.nusers, 0);
	parent_keys_start(&loop, &conf);
	pass();
	ck_assert_uint_eq(nholders, 0);
	parent_keys_clear();
}
END_TEST

static void
start_child(int argc, char *argv[])
{
	const struct proc_row	*row;
	const char		*name = NULL;
	int			 opt;

	while ((opt = getopt(argc, argv, "I:P:v")) != -1)
		if (opt == 'P')
			name = optarg;
	if (name == NULL)
		return;
	log_init(name, 0);
	if ((row = proc_row_by_name(name)) == NULL || row->main == NULL)
		errx(1, "no such process: %s", name);
	row->main(CHILD_FD);
	exit(1);
}

int
main(int argc, char *argv[], char *envp[])
{
	Suite	*s = suite_create("parent_keys");
	TCase	*tc = tcase_create("parent_keys");
	SRunner	*sr;
	int	 nfailed;

	port_title_init(argc, argv, envp);
	proc_init(rows, NROWS(rows), messages, nmessages, "test");
	start_child(argc, argv);
	if (port_self_path(argv[0], self_path, sizeof(self_path)) == -1)
		err(1, "%s", argv[0]);
	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_test(tc, all_keys);
	tcase_add_loop_test(tc, without_tls13, 0, 3);
	tcase_add_test(tc, keyholder_replaced);
	tcase_add_test(tc, worker_replaced);
	tcase_add_test(tc, tickets);
	tcase_add_test(tc, nothing);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	nfailed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return nfailed == 0 ? 0 : 1;
}
