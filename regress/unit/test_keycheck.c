/*
 * Tests of the check of keys: the real process, and one that lies, hangs or
 * dies.  The child is this program once more, started through a script that
 * says which of the two it is to be.
 */
#include <sys/types.h>
#include <sys/stat.h>

#include <check.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../common/log.h"
#include "../../common/port/port.h"
#include "../../common/port/tls.h"
#include "../../privsep/keyholder.h"
#include "../../privsep/proc.h"
#include "../../smtpproxyd/keycheck.h"
#include "../../smtpproxyd/messages.h"
#include "key_samples.h"

#define NROWS(a)	((int)(sizeof(a) / sizeof((a)[0])))
#define CHILD_FD	3
#define ENDED		"could not be checked: the process ended"

static const struct proc_row	rows[] = {
	{ .role = PROC_PARENT, .name = "parent",
	  .peers = ROLE(PROC_KEYCHECK), .on_death = DEATH_STOP_ALL },
	{ .role = PROC_KEYCHECK, .name = "keycheck", .main = keycheck_main,
	  .user = KEYHOLDER_USER, .promises = "stdio",
	  .peers = ROLE(PROC_PARENT), .on_death = DEATH_ONCE }
};

/* --- The child that misbehaves: the cipher list says how. --- */

static struct loop	fake_loop;
static struct chan	fake_chan;
static char		fake_order[64];
static size_t		fake_used;	/* octets of all pieces */

static void
fake_answer(uint64_t id, const char *text)
{
	struct msg_writer	w;

	msg_start(&w, MSG_CHECKED, id);
	msg_put_str(&w, text);
	(void)chan_send(&fake_chan, &w, NULL, 0, CHAN_FDS_KEEP);
}

static void
fake_on_piece(struct msg *m)
{
	struct msg_reader	 r;
	const uint8_t		*p;
	size_t			 len;

	msg_reader_init(&r, m);
	(void)msg_u8(&r);
	p = msg_octets(&r, &len);
	fake_used += len;
	if (len < sizeof(fake_order)) {
		memcpy(fake_order, p, len);
		fake_order[len] = '\0';
	}
}

static void
fake_obey(uint64_t id, const char *order)
{
	struct msg_writer	w;
	char			text[64];

	if (strcmp(order, "hang") == 0)
		for (;;)
			(void)poll(NULL, 0, 1000);
	if (strcmp(order, "die") == 0)
		_exit(7);
	if (strcmp(order, "id") == 0)
		fake_answer(id + 1, "");
	else if (strcmp(order, "long") == 0) {
		msg_start(&w, MSG_CHECKED, id);
		msg_put_str(&w, "");
		msg_put_u8(&w, 0);
		(void)chan_send(&fake_chan, &w, NULL, 0, CHAN_FDS_KEEP);
	} else if (strcmp(order, "twice") == 0) {
		fake_answer(id, "");
		fake_answer(id, "");
	} else if (strcmp(order, "escape") == 0)
		fake_answer(id, "a\033[2J\nb");
	else if (strcmp(order, "bad") == 0)
		fake_answer(id, "bad");
	else if (strcmp(order, "good") == 0)
		fake_answer(id, "");
	else {
		(void)snprintf(text, sizeof(text), "%zu octets", fake_used);
		fake_answer(id, text);
	}
}

static void
fake_on_msg(struct chan *ch, struct msg *m, void *arg)
{
	(void)arg;
	if (proc_child_msg(ch, m))
		return;
	switch (m->type) {
	case MSG_CHECK_PIECE:
		fake_on_piece(m);
		break;
	case MSG_CHECK:
		fake_obey(m->id, fake_order);
		fake_used = 0;
		fake_order[0] = '\0';
		break;
	default:
		exit(0);
	}
}

static void
fake_on_end(struct chan *ch, const char *reason, void *arg)
{
	(void)ch;
	(void)reason;
	(void)arg;
	exit(0);
}

static _Noreturn void
fake_main(void)
{
	proc_child_start(&fake_chan, &fake_loop, 0, CHILD_FD, PROC_KEYCHECK);
	chan_set_handlers(&fake_chan, fake_on_msg, fake_on_end, NULL);
	proc_child_ready(&fake_chan);
	(void)loop_run(&fake_loop);
	exit(0);
}

/* --- The tests. --- */

static const char	*user = "nobody";
static char		 self[PATH_MAX];
static char		 dir[64];
static char		 path[128];
static struct keycheck	*k;
static struct conf_why	 why;

static void
quiet(void *arg, int priority, const char *line, size_t len)
{
	(void)arg;
	(void)priority;
	(void)line;
	(void)len;
}

static void
script_make(const char *which)
{
	FILE	*f;

	(void)strlcpy(dir, "/tmp/test_keycheck.XXXXXX", sizeof(dir));
	ck_assert_ptr_nonnull(mkdtemp(dir));
	ck_assert_int_eq(chmod(dir, 0755), 0);
	(void)snprintf(path, sizeof(path), "%s/child", dir);
	ck_assert_ptr_nonnull(f = fopen(path, "w"));
	(void)fprintf(f, "#!/bin/sh\nexec %s %s \"$@\"\n", self, which);
	ck_assert_int_eq(fclose(f), 0);
	ck_assert_int_eq(chmod(path, 0755), 0);
	log_set_sink(quiet, NULL);
	ck_assert_ptr_nonnull(k = keycheck_new(path, user));
}

static void
tear_down(void)
{
	keycheck_free(k);
	(void)unlink(path);
	(void)rmdir(dir);
}

static void
make_real(void)
{
	script_make("real");
}

static void
make_fake(void)
{
	script_make("fake");
}

/* "" when all is well, else why not. */
static const char *
said(int rc)
{
	if (rc == 0)
		return "";
	ck_assert_int_eq(rc, -1);
	ck_assert_str_ne(why.text, "");
	return why.text;
}

static const char *
ciphers(const char *text)
{
	return said(keycheck_ciphers(k, text, &why));
}

/* --- The real one --- */

static const int	types[] = {
	EVP_PKEY_RSA, EVP_PKEY_EC, EVP_PKEY_ED25519
};

START_TEST(pairs)
{
	EVP_PKEY	*key = sample_key(types[_i]);
	EVP_PKEY	*other = sample_key(types[_i]);
	uint8_t		 cert[SAMPLE_MAX], file[SAMPLE_MAX];
	size_t		 certlen, len;

	certlen = sample_cert_file(key, cert);
	len = sample_key_file(key, file);
	if (types[_i] == EVP_PKEY_ED25519 && !port_tls_has_ed25519())
		return;
	ck_assert_str_eq(said(keycheck_pair(k, cert, certlen, file, len,
	    &why)), "");
	/* The same again: nothing is left of the question before. */
	ck_assert_str_eq(said(keycheck_pair(k, cert, certlen, file, len,
	    &why)), "");
	ck_assert_int_eq(keycheck_pair(k, cert, certlen, file, len / 2, &why),
	    -1);
	ck_assert_int_eq(keycheck_pair(k, cert, certlen / 2, file, len, &why),
	    -1);
	ck_assert_int_eq(keycheck_pair(k, file, len, cert, certlen, &why), -1);
	len = sample_key_file(other, file);
	ck_assert_int_eq(keycheck_pair(k, cert, certlen, file, len, &why), -1);
	EVP_PKEY_free(key);
	EVP_PKEY_free(other);
}
END_TEST

/* More pieces than one, and more than the socket takes at once. */
START_TEST(large_file)
{
	EVP_PKEY	*key = sample_key(EVP_PKEY_EC);
	uint8_t		 cert[SAMPLE_MAX], *many;
	size_t		 len, used = 0;

	len = sample_cert_file(key, cert);
	ck_assert_ptr_nonnull(many = malloc(CONF_BLOB_MAX));
	while (used + len <= CONF_BLOB_MAX) {
		memcpy(many + used, cert, len);
		used += len;
	}
	ck_assert_uint_gt(used, CONF_BLOB_MAX - SAMPLE_MAX);
	ck_assert_str_eq(said(keycheck_ca(k, many, used, &why)), "");
	many[used / 2] = '!';
	ck_assert_int_eq(keycheck_ca(k, many, used, &why), -1);
	ck_assert_str_eq(said(keycheck_ca(k, cert, len, &why)), "");
	free(many);
	EVP_PKEY_free(key);
}
END_TEST

static const struct {
	const char	*text;
	int		 is_good;
} cipher_rows[] = {
	{ "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256", 1 },
	{ "ECDHE-RSA-AES256-GCM-SHA384",	1 },
	{ "no-such-cipher",			0 },
	{ "",					0 }
};

START_TEST(cipher_lists)
{
	const char	*text = ciphers(cipher_rows[_i].text);

	ck_assert_msg((text[0] == '\0') == cipher_rows[_i].is_good, "%s",
	    text);
	ck_assert_str_ne(text, ENDED);
}
END_TEST

START_TEST(octets_of_no_kind)
{
	static const uint8_t	nonsense[] = "\0\377-----BEGIN CERTIFICATE";
	size_t			i;

	for (i = 0; i <= sizeof(nonsense); i++)
		ck_assert_int_eq(keycheck_ca(k, nonsense, i, &why), -1);
	ck_assert_str_ne(why.text, ENDED);
}
END_TEST

/* --- What keeps it from answering --- */

START_TEST(unused)
{
	keycheck_free(keycheck_new("/nonexistent", user));
	keycheck_free(NULL);
}
END_TEST

START_TEST(no_program)
{
	keycheck_free(k);
	ck_assert_ptr_nonnull(k = keycheck_new("/nonexistent", user));
	ck_assert_str_eq(ciphers("good"), ENDED);
}
END_TEST

static const struct {
	const char	*user;
	const char	*said;
} user_rows[] = {
	{ "no_such_user", "no key can be checked: user \"no_such_user\" does "
	    "not exist, expected one" },
	{ "root", "no key can be checked: user \"root\" is root, expected "
	    "another" }
};

START_TEST(no_user)
{
	keycheck_free(k);
	ck_assert_ptr_nonnull(k = keycheck_new(path, user_rows[_i].user));
	ck_assert_str_eq(ciphers("good"), geteuid() == 0 ?
	    user_rows[_i].said : "");
}
END_TEST

static const struct {
	const char	*order;
	const char	*said;
} fake_rows[] = {
	{ "good",	"" },
	{ "bad",	"bad" },
	{ "escape",	"a\\x1b[2J\\x0ab" },
	{ "die",	ENDED },
	{ "good",	"" },
	{ "id",		ENDED },
	{ "long",	ENDED },
	{ "good",	"" },
	{ "hang",	"could not be checked: no answer in 5 seconds" },
	{ "bad",	"bad" },
	{ "twice",	"" },
	{ "four",	"4 octets" }
};

START_TEST(liar)
{
	int	i;

	keycheck_set_wait(k, 5000);
	for (i = 0; i < NROWS(fake_rows); i++) {
		ck_assert_str_eq(ciphers(fake_rows[i].order),
		    fake_rows[i].said);
		/* What it said too much may hurt the next one. */
		if (strcmp(fake_rows[i].order, "twice") == 0)
			(void)ciphers("good");
	}
}
END_TEST

/* All octets of both files come, whatever their length. */
START_TEST(pieces)
{
	static const size_t	lens[] = {
		1, CONF_PIECE_MAX - 1, CONF_PIECE_MAX, CONF_PIECE_MAX + 1,
		3 * CONF_PIECE_MAX, CONF_BLOB_MAX
	};
	uint8_t			*octets;
	char			 text[64];
	int			 i;

	ck_assert_ptr_nonnull(octets = calloc(1, CONF_BLOB_MAX));
	for (i = 0; i < NROWS(lens); i++) {
		(void)snprintf(text, sizeof(text), "%zu octets",
		    lens[i] + KEY_FILE_MAX);
		ck_assert_str_eq(said(keycheck_pair(k, octets, lens[i],
		    octets, KEY_FILE_MAX, &why)), text);
	}
	free(octets);
}
END_TEST

static int
lowest_fd(void)
{
	int	fd;

	ck_assert_int_ne(fd = dup(0), -1);
	(void)close(fd);
	return fd;
}

/* Again and again, as in one process with reloads: nothing is left open. */
START_TEST(again)
{
	int	i, before = 0;

	for (i = 0; i < 5; i++) {
		ck_assert_str_eq(ciphers("good"), "");
		keycheck_free(k);
		if (i == 0)
			before = lowest_fd();
		ck_assert_int_eq(lowest_fd(), before);
		ck_assert_ptr_nonnull(k = keycheck_new(path, user));
	}
}
END_TEST

int
main(int argc, char *argv[], char *envp[])
{
	Suite	*s = suite_create("keycheck");
	TCase	*real = tcase_create("real"), *fake = tcase_create("fake");
	SRunner	*sr;
	int	 nfailed;

	port_title_init(argc, argv, envp);
	proc_init(rows, NROWS(rows), messages, nmessages, "test");
	if (argc > 1 && strcmp(argv[1], "real") == 0)
		keycheck_main(CHILD_FD);
	if (argc > 1 && strcmp(argv[1], "fake") == 0)
		fake_main();
	if (realpath(argv[0], self) == NULL)
		return 1;
	tcase_set_timeout(real, 60);
	tcase_set_timeout(fake, 60);
	tcase_add_checked_fixture(real, make_real, tear_down);
	tcase_add_checked_fixture(fake, make_fake, tear_down);
	tcase_add_loop_test(real, pairs, 0, NROWS(types));
	tcase_add_test(real, large_file);
	tcase_add_loop_test(real, cipher_lists, 0, NROWS(cipher_rows));
	tcase_add_test(real, octets_of_no_kind);
	tcase_add_test(fake, unused);
	tcase_add_test(fake, no_program);
	tcase_add_loop_test(fake, no_user, 0, NROWS(user_rows));
	tcase_add_test(fake, liar);
	tcase_add_test(fake, pieces);
	tcase_add_test(fake, again);
	suite_add_tcase(s, real);
	suite_add_tcase(s, fake);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	nfailed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return nfailed == 0 ? 0 : 1;
}
