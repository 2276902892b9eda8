/*
 * Tests of the files of keys and certificates: who may own them, who may read
 * and write them, how large they may be, and that nothing of a key is left
 * where it was refused.
 */
#include <sys/types.h>
#include <sys/stat.h>

#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../privsep/keyholder.h"
#include "../../smtpproxyd/keyfile.h"

#define NROWS(a)	((int)(sizeof(a) / sizeof((a)[0])))
#define CERT_MAX	20000

static char		dir[64];
static char		path[128];
static uint8_t		octets[KEY_FILE_MAX + 1];	/* one is a guard */
static const uint8_t	zeroes[KEY_FILE_MAX];
static struct conf_why	why;

static void
set_up(void)
{
	(void)strlcpy(dir, "/tmp/test_keyfile.XXXXXX", sizeof(dir));
	ck_assert_ptr_nonnull(mkdtemp(dir));
	(void)snprintf(path, sizeof(path), "%s/file", dir);
	why.text[0] = '\0';
	memset(octets, 0x5a, sizeof(octets));
}

static void
tear_down(void)
{
	(void)unlink(path);
	(void)rmdir(path);
	(void)rmdir(dir);
}

static void
make_file(size_t len, mode_t mode, uid_t uid)
{
	size_t	i;
	FILE	*f;

	ck_assert_ptr_nonnull(f = fopen(path, "w"));
	for (i = 0; i < len; i++)
		(void)putc('a' + (int)(i % 26), f);
	ck_assert_int_eq(fclose(f), 0);
	ck_assert_int_eq(chmod(path, mode), 0);
	if (geteuid() == 0)
		ck_assert_int_eq(chown(path, uid, (gid_t)-1), 0);
}

/* What was said stands behind the file's name. */
static void
check_said(const char *said)
{
	ck_assert_msg(strncmp(why.text, path, strlen(path)) == 0 &&
	    strcmp(why.text + strlen(path), said) == 0, "%s", why.text);
}

static const struct {
	size_t		 len;
	mode_t		 mode;
	uid_t		 uid;
	const char	*key;		/* NULL: it is taken */
	const char	*cert;
} rows[] = {
	{ 1,		0600, 0,	NULL, NULL },
	{ 1700,		0400, 0,	NULL, NULL },
	{ KEY_FILE_MAX,	0700, 0,	NULL, NULL },
	{ KEY_FILE_MAX + 1, 0600, 0,
	    " is too large, expected at most 8000 octets", NULL },
	{ CERT_MAX,	0600, 0,
	    " is too large, expected at most 8000 octets", NULL },
	{ CERT_MAX + 1,	0600, 0,
	    " is too large, expected at most 8000 octets",
	    " is too large, expected at most 20000 octets" },
	{ 0,		0600, 0,	" is empty", " is empty" },
	{ 9,		0640, 0,
	    " can be used by others (mode 0640), expected permission for its "
	    "owner only", NULL },
	{ 9,		0604, 0,
	    " can be used by others (mode 0604), expected permission for its "
	    "owner only", NULL },
	{ 9,		0610, 0,
	    " can be used by others (mode 0610), expected permission for its "
	    "owner only", NULL },
	{ 9,		0620, 0,
	    " can be used by others (mode 0620), expected permission for its "
	    "owner only",
	    " can be written by others (mode 0620), expected write permission "
	    "for its owner only" },
	{ 9,		0646, 0,
	    " can be used by others (mode 0646), expected permission for its "
	    "owner only",
	    " can be written by others (mode 0646), expected write permission "
	    "for its owner only" },
	{ 9,		0600, 65534,
	    " belongs to user 65534, expected root or the user that starts "
	    "the program",
	    " belongs to user 65534, expected root or the user that starts "
	    "the program" }
};

START_TEST(key_forms)
{
	size_t	i, len = 0;
	int	rc;

	if (rows[_i].uid != 0 && geteuid() != 0)
		return;			/* nobody else's can be made */
	make_file(rows[_i].len, rows[_i].mode, rows[_i].uid);
	rc = keyfile_read_key(path, octets, &len, &why);
	ck_assert_uint_eq(octets[KEY_FILE_MAX], 0x5a);
	if (rows[_i].key == NULL) {
		ck_assert_msg(rc == 0, "%s", why.text);
		ck_assert_uint_eq(len, rows[_i].len);
		for (i = 0; i < len; i++)
			ck_assert_uint_eq(octets[i], 'a' + i % 26);
		return;
	}
	ck_assert_int_eq(rc, -1);
	check_said(rows[_i].key);
	ck_assert_mem_eq(octets, zeroes, KEY_FILE_MAX);
}
END_TEST

START_TEST(cert_forms)
{
	uint8_t	*data = octets;
	size_t	 i, len = 1;
	int	 rc;

	if (rows[_i].uid != 0 && geteuid() != 0)
		return;
	make_file(rows[_i].len, rows[_i].mode, rows[_i].uid);
	rc = keyfile_read_cert(path, CERT_MAX, &data, &len, &why);
	if (rows[_i].cert == NULL) {
		ck_assert_msg(rc == 0, "%s", why.text);
		ck_assert_uint_eq(len, rows[_i].len);
		for (i = 0; i < len; i++)
			ck_assert_uint_eq(data[i], 'a' + i % 26);
		ck_assert_uint_eq(data[len], 0);
		free(data);
		return;
	}
	ck_assert_int_eq(rc, -1);
	check_said(rows[_i].cert);
	ck_assert_ptr_null(data);
}
END_TEST

/* Neither a folder, nor what would hold the start up, nor nothing. */
START_TEST(no_files)
{
	static const char *const	said[] = {
		": No such file or directory",
		" is no file, expected a regular one",
		" is no file, expected a regular one"
	};
	uint8_t				*data;
	size_t				 len;

	if (_i == 1)
		ck_assert_int_eq(mkdir(path, 0700), 0);
	if (_i == 2)
		ck_assert_int_eq(mkfifo(path, 0600), 0);
	ck_assert_int_eq(keyfile_read_key(path, octets, &len, &why), -1);
	check_said(said[_i]);
	ck_assert_int_eq(keyfile_read_cert(path, CERT_MAX, &data, &len, &why),
	    -1);
	check_said(said[_i]);
}
END_TEST

/* Nothing stays open, whatever came of it. */
START_TEST(descriptors)
{
	uint8_t	*data;
	size_t	 len;
	int	 before, after, i;

	ck_assert_int_ne(before = dup(0), -1);
	(void)close(before);
	for (i = 0; i < NROWS(rows); i++) {
		make_file(rows[i].len, rows[i].mode, 0);
		(void)keyfile_read_key(path, octets, &len, &why);
		if (keyfile_read_cert(path, CERT_MAX, &data, &len, &why) == 0)
			free(data);
		ck_assert_int_eq(unlink(path), 0);
	}
	ck_assert_int_ne(after = dup(0), -1);
	(void)close(after);
	ck_assert_int_eq(after, before);
}
END_TEST

int
main(void)
{
	Suite	*s = suite_create("keyfile");
	TCase	*tc = tcase_create("keyfile");
	SRunner	*sr;
	int	 nfailed;

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_loop_test(tc, key_forms, 0, NROWS(rows));
	tcase_add_loop_test(tc, cert_forms, 0, NROWS(rows));
	tcase_add_loop_test(tc, no_files, 0, 3);
	tcase_add_test(tc, descriptors);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	nfailed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return nfailed == 0 ? 0 : 1;
}
