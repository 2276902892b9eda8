/*
 * Tests of what a configuration has in it of TLS and of who clients are: what
 * each word means, which files are read for it, and the bounds of the
 * setters.  Errors are test_parse_tls.c's.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../common/port/port.h"
#include "../../smtpproxyd/conf_load.h"
#include "../../smtpproxyd/conf_wire.h"
#include "conf_samples.h"

#define NROWS(a)	(sizeof(a) / sizeof((a)[0]))

/* A user, a pki and a relay with this in it, from the line 5 on. */
#define Q(x)	"user someone\npki a cert /a.crt\npki a key /a.key\n" \
		"relay r {\n" x "\n}\n"
#define L	"listen on ::1 port 25"
#define D	"forward to 10.0.0.1 port 25"

/* The sample that has TLS in each place. */
static struct conf *
tls_sample(const struct conf_hooks *hooks)
{
	struct sample_said	 said = { "" };
	struct conf		*conf = NULL;
	size_t			 i;

	for (i = 0; i < nconf_samples; i++)
		if (strstr(conf_samples[i], "pki b cert") != NULL)
			conf = conf_load_text("test.conf", conf_samples[i],
			    strlen(conf_samples[i]), hooks, NULL, sample_say,
			    &said);
	ck_assert_str_eq(said.text, "");
	ck_assert_ptr_nonnull(conf);
	return conf;
}

static const char *
blob_path(const struct conf *c, uint32_t number)
{
	const struct conf_blob	*b = conf_blob_by_number(c, number);

	return b == NULL ? "none" : b->path;
}

/* "name name" of a server's side, as it would present them. */
static const char *
pki_names(const struct conf *c, const struct conf_tls_server *s)
{
	static char	text[1024];
	size_t		i;

	text[0] = '\0';
	for (i = 0; i < s->npkis; i++) {
		if (i > 0)
			(void)strlcat(text, " ", sizeof(text));
		(void)strlcat(text, conf_pki_by_number(c,
		    s->pkis[i].pki)->name, sizeof(text));
	}
	return text;
}

START_TEST(listeners)
{
	static const struct {
		enum conf_tls		 mode;
		enum conf_tls_verify	 verify;
		const char		*pkis;
		const char		*ca;
		size_t			 nblocks;	/* of proxy-protocol */
		int			 allows_plain;
	} rows[] = {
		{ TLS_OFFER, TLS_VERIFY_OFF, "mail.example.org", "none", 0,
		    0 },
		{ TLS_OFFER, TLS_VERIFY_ASK, "b", "/ca1", 0, 0 },
		{ TLS_REQUIRE, TLS_VERIFY_OFF, "b mail.example.org", "none",
		    0, 0 },
		{ TLS_REQUIRE, TLS_VERIFY_REQUIRE, "b", "/ca2", 0, 0 },
		{ TLS_IMPLICIT, TLS_VERIFY_OFF, "b", "none", 0, 0 },
		{ TLS_IMPLICIT, TLS_VERIFY_ASK, "b", "/ca1", 0, 0 },
		{ TLS_IMPLICIT, TLS_VERIFY_OFF, "b", "none", 2, 0 },
		{ TLS_IMPLICIT, TLS_VERIFY_REQUIRE, "b", "/b", 0, 0 },
		{ TLS_OFF, TLS_VERIFY_OFF, "", "none", 2, 1 }
	};
	struct conf			*c = tls_sample(&sample_hooks);
	const struct conf_listener	*l = c->relays->listeners;
	size_t				 i;

	ck_assert_uint_eq(c->relays->nlisteners, NROWS(rows));
	for (i = 0; i < NROWS(rows); i++, l = l->next) {
		ck_assert_uint_eq(l->number, i);
		ck_assert_uint_eq(l->addr.port, 25 + i);
		ck_assert_int_eq(l->is_divert, l->addr.port == 29);
		ck_assert_int_eq(l->tls.mode, rows[i].mode);
		ck_assert_int_eq(l->tls.verify, rows[i].verify);
		ck_assert_str_eq(pki_names(c, &l->tls), rows[i].pkis);
		ck_assert_str_eq(blob_path(c, l->tls.ca), rows[i].ca);
		ck_assert_uint_eq(l->proxied.nblocks, rows[i].nblocks);
		ck_assert_int_eq(l->allows_plain, rows[i].allows_plain);
	}
	ck_assert_ptr_eq(conf_last_listener(c->relays)->next, NULL);
	conf_free(c);
}
END_TEST

#define BOTH	(CONF_TLS12 | CONF_TLS13)
#define LIST	"ECDHE+AESGCM:!aNULL"

START_TEST(relays)
{
	static const struct {
		const char		*name;
		enum conf_dest_tls	 mode;
		int			 is_implicit;
		const char		*ca;	/* "": the system's */
		enum conf_starttls	 starttls;
		const char		*pkis;
		enum conf_identity	 identity;
		int			 adds_trace;
		unsigned int		 protocols;
		const char		*ciphers;
	} rows[] = {
		{ "in", DEST_TLS_VERIFY, 0, "", STARTTLS_HIDE, "",
		    CONF_IDENTITY_PROXY_V2, 1, CONF_TLS13, LIST },
		{ "cf", DEST_TLS_VERIFY, 0, "/ca3", STARTTLS_HIDE, "",
		    CONF_IDENTITY_XCLIENT, 0, CONF_TLS12,
		    "ECDHE-RSA-AES128-GCM-SHA256" },
		{ "nv", DEST_TLS_NO_VERIFY, 0, "none", STARTTLS_HIDE, "",
		    CONF_IDENTITY_XFORWARD, 0, BOTH, LIST },
		{ "op", DEST_TLS_OPPORTUNISTIC, 0, "none", STARTTLS_HIDE, "",
		    CONF_IDENTITY_PROXY_V1, 0, BOTH, LIST },
		{ "s", DEST_TLS_VERIFY, 1, "", STARTTLS_HIDE, "",
		    CONF_IDENTITY_NONE, 0, BOTH, LIST },
		{ "sn", DEST_TLS_NO_VERIFY, 1, "none", STARTTLS_HIDE, "",
		    CONF_IDENTITY_NONE, 0, BOTH, LIST },
		{ "sc", DEST_TLS_VERIFY, 1, "/ca1", STARTTLS_HIDE, "",
		    CONF_IDENTITY_NONE, 0, BOTH, LIST },
		{ "t", DEST_TLS_VERIFY, 0, "", STARTTLS_TERMINATE, "b",
		    CONF_IDENTITY_NONE, 1, BOTH, LIST },
		{ "tn", DEST_TLS_NO_VERIFY, 0, "none", STARTTLS_TERMINATE,
		    "mail.example.org b", CONF_IDENTITY_NONE, 0, BOTH, LIST },
		{ "tc", DEST_TLS_VERIFY, 0, "/ca1", STARTTLS_TERMINATE, "b",
		    CONF_IDENTITY_NONE, 0, BOTH, LIST }
	};
	struct conf		*c = tls_sample(&sample_hooks);
	const struct conf_relay	*r = c->relays;
	size_t			 i;

	ck_assert_uint_eq(c->nrelays, NROWS(rows));
	for (i = 0; i < NROWS(rows); i++, r = r->next) {
		ck_assert_str_eq(r->name, rows[i].name);
		ck_assert_int_eq(r->tls.mode, rows[i].mode);
		ck_assert_int_eq(r->tls.is_implicit, rows[i].is_implicit);
		ck_assert_str_eq(blob_path(c, r->tls.ca),
		    rows[i].ca[0] == '\0' ? port_ca_file() : rows[i].ca);
		ck_assert_int_eq(r->starttls, rows[i].starttls);
		ck_assert_str_eq(pki_names(c, &r->terminate), rows[i].pkis);
		ck_assert_int_eq(r->terminate.mode, TLS_OFF);
		ck_assert_int_eq(r->identity, rows[i].identity);
		ck_assert_int_eq(r->adds_trace, rows[i].adds_trace);
		ck_assert_uint_eq(r->tls_protocols, rows[i].protocols);
		ck_assert_str_eq(r->tls_ciphers, rows[i].ciphers);
		ck_assert_int_eq(r->limits.timeout_ms[STAGE_TLS], 20000);
	}
	conf_free(c);
}
END_TEST

/* A file is read once for all that name it, and no key is kept. */
START_TEST(blobs)
{
	static const char *const	paths[] = {
		"/etc/ssl/mail.crt", "/b.crt", "/ca1", "/ca2", "/b", "",
		"/ca3"
	};
	struct conf		*c = tls_sample(&sample_hooks);
	const struct conf_blob	*b = c->blobs;
	const char		*path;
	size_t			 i;

	ck_assert_uint_eq(c->npkis, 2);
	ck_assert_str_eq(c->pkis->key_path, "/etc/ssl/mail.key");
	ck_assert_str_eq(blob_path(c, c->pkis->cert), paths[0]);
	ck_assert_str_eq(blob_path(c, c->pkis->next->cert), paths[1]);
	ck_assert_uint_eq(c->nblobs, NROWS(paths));
	for (i = 0; i < NROWS(paths); i++, b = b->next) {
		path = paths[i][0] == '\0' ? port_ca_file() : paths[i];
		ck_assert_uint_eq(b->number, i);
		ck_assert_str_eq(b->path, path);
		ck_assert_uint_eq(b->len, strlen(path) + 5);
		ck_assert_str_eq((const char *)b->data + 5, path);
		ck_assert_int_eq(memcmp(b->data, "CERT ", 5), 0);
	}
	ck_assert_ptr_null(b);
	ck_assert_ptr_null(conf_blob_by_number(c, CONF_NO_BLOB));
	ck_assert_ptr_null(conf_pki_by_number(c, 2));
	conf_free(c);
}
END_TEST

static int
put_nothing(void *arg, const uint8_t *data, size_t len)
{
	(void)arg;
	(void)data;
	(void)len;
	return 0;
}

/* Without hooks no file is read; such a thing never gets to a worker. */
START_TEST(unread)
{
	struct conf		*c = tls_sample(&(const struct conf_hooks){
				    .resolve = sample_hooks.resolve });
	const struct conf_blob	*b;

	ck_assert_uint_eq(c->nblobs, 7);
	for (b = c->blobs; b != NULL; b = b->next) {
		ck_assert_ptr_null(b->data);
		ck_assert_uint_eq(b->len, 0);
	}
	ck_assert_int_eq(conf_wire_write(c, put_nothing, NULL), -1);
	conf_free(c);
}
END_TEST

/* --- Files of a system. --- */

static struct {
	const char	*missing;
	size_t		 size;		/* of a certificate */
	int		 nreads;
	int		 nkeys;
	int		 nchecks;
} disk;

static int
disk_read_key(const char *path, uint8_t *octets, size_t *len,
    struct conf_why *why)
{
	(void)path;
	(void)why;
	disk.nkeys++;
	memset(octets, 'K', CONF_KEY_MAX);
	*len = CONF_KEY_MAX;
	return 0;
}

static int
disk_read_cert(const char *path, size_t max, uint8_t **octets, size_t *len,
    struct conf_why *why)
{
	disk.nreads++;
	ck_assert_uint_eq(max, CONF_BLOB_MAX);
	if (disk.missing != NULL && strcmp(path, disk.missing) == 0)
		return conf_fail(why, "%s is not there", path);
	*len = disk.size;
	ck_assert_ptr_nonnull(*octets = calloc(1, *len + 1));
	return 0;
}

static int
disk_check_ca(void *arg, const uint8_t *data, size_t len,
    struct conf_why *why)
{
	(void)why;
	ck_assert_ptr_eq(arg, &disk);
	ck_assert_ptr_nonnull(data);
	ck_assert_uint_eq(len, disk.size);
	disk.nchecks++;
	return 0;
}

static struct conf *
disk_load(const char *text, struct sample_said *said)
{
	static const struct conf_hooks	hooks = {
		.read_key = disk_read_key,
		.read_cert = disk_read_cert,
		.check_ca = disk_check_ca
	};

	said->text[0] = '\0';
	return conf_load_text("test.conf", text, strlen(text), &hooks, &disk,
	    sample_say, said);
}

/* The system's CA certificates: only where they are needed. */
START_TEST(system_ca)
{
	static const struct {
		const char	*text;
		int		 nreads;
		int		 line;		/* of the error; 0: none */
	} rows[] = {
		{ Q(L "\n" D " tls"), 2, 6 },
		{ Q(L "\n" D " smtps"), 2, 6 },
		{ Q(L "\nforward to nat lookup\nstarttls terminate pki a"),
		    2, 7 },
		{ Q(L "\n" D " tls ca /ca"), 2, 0 },
		{ Q(L "\n" D " tls no-verify"), 1, 0 },
		{ Q(L "\n" D " tls opportunistic"), 1, 0 },
		{ Q(L "\n" D), 1, 0 }
	};
	struct sample_said	 said;
	struct conf		*c;
	char			 want[256] = "";
	size_t			 i;

	for (i = 0; i < NROWS(rows); i++) {
		memset(&disk, 0, sizeof(disk));
		disk.size = 5;
		c = disk_load(rows[i].text, &said);
		ck_assert_str_eq(said.text, "");
		ck_assert_int_eq(disk.nreads, rows[i].nreads);
		ck_assert_int_eq(disk.nkeys, 1);
		ck_assert_int_eq(disk.nchecks, rows[i].nreads - 1);
		conf_free(c);

		disk.missing = port_ca_file();
		c = disk_load(rows[i].text, &said);
		ck_assert_int_eq(c == NULL, rows[i].line != 0);
		if (rows[i].line != 0)
			(void)snprintf(want, sizeof(want), "%d: the system's "
			    "CA certificates, in the place of ca \"FILE\": "
			    "%s is not there\n", rows[i].line, disk.missing);
		else
			want[0] = '\0';
		ck_assert_str_eq(said.text, want);
		conf_free(c);
	}
}
END_TEST

/* As much as all files together may have, an octet more, and none. */
START_TEST(sizes)
{
	static const char	 text[] = "pki b cert /b.crt\n"
				    "pki b key /b.key\n"
				    Q(L " tls verify pki a ca /ca\n" D);
	struct sample_said	 said;

	memset(&disk, 0, sizeof(disk));
	disk.size = CONF_BLOB_MAX / 3;
	conf_free(disk_load(text, &said));
	ck_assert_str_eq(said.text, "");
	disk.size++;
	ck_assert_ptr_null(disk_load(text, &said));
	ck_assert_str_eq(said.text, "7: ca: /ca: too large, expected at most "
	    "1048576 octets in all files of certificates together\n");
	disk.size = 0;
	ck_assert_ptr_null(disk_load(text, &said));
	ck_assert_str_eq(said.text, "1: pki b cert: /b.crt: empty, expected "
	    "PEM\n4: pki a cert: /a.crt: empty, expected PEM\n7: ca: /ca: "
	    "empty, expected PEM\n");
}
END_TEST

/* Each bound of the setters: the last that is taken, and the next. */
START_TEST(bounds)
{
	static const struct conf_place	 place = { "t", 1 };
	struct conf			*c = conf_new();
	struct conf_relay		*r;
	struct conf_why			 why;
	char				 text[CONF_CIPHERS_MAX + 1];
	int				 i, rc;

	ck_assert_ptr_nonnull(r = conf_add_relay(c, "r", place, &why));
	ck_assert_ptr_null(conf_last_listener(r));
	memset(text, 'A', sizeof(text));
	text[CONF_CIPHERS_MAX] = '\0';
	ck_assert_int_eq(conf_set_tls_ciphers(c, r, text, place, &why), -1);
	text[CONF_CIPHERS_MAX - 1] = '\0';
	ck_assert_int_eq(conf_set_tls_ciphers(c, NULL, text, place, &why), 0);
	text[0] = '/';
	text[CONF_PATH_MAX] = '\0';
	ck_assert_int_eq(conf_set_pki(c, "a", 0, text, place, &why), -1);
	text[CONF_PATH_MAX - 1] = '\0';
	ck_assert_int_eq(conf_set_pki(c, "a", 1, text, place, &why), 0);
	text[0] = 'A';
	ck_assert_int_eq(conf_add_server_pki(&r->terminate, text, place,
	    &why), 0);
	text[CONF_PATH_MAX - 1] = 'A';
	ck_assert_int_eq(conf_add_server_pki(&r->terminate, text, place,
	    &why), -1);
	for (i = 1; i <= CONF_TLS_PKIS_MAX; i++) {
		(void)snprintf(text, sizeof(text), "p%d", i);
		rc = conf_add_server_pki(&r->terminate, text, place, &why);
		ck_assert_int_eq(rc, i < CONF_TLS_PKIS_MAX ? 0 : -1);
	}
	ck_assert_str_eq(why.text, "too many pkis, expected at most 16 in a "
	    "line");
	for (i = 1; i <= CONF_PKIS_MAX; i++) {
		(void)snprintf(text, sizeof(text), "p%d", i);
		rc = conf_set_pki(c, text, 0, "/x", place, &why);
		ck_assert_int_eq(rc, i < CONF_PKIS_MAX ? 0 : -1);
	}
	ck_assert_str_eq(why.text, "too many pkis, expected at most 256");
	conf_free(c);
}
END_TEST

int
main(void)
{
	Suite	*s = suite_create("conf_tls");
	TCase	*tc = tcase_create("conf_tls");
	SRunner	*sr;
	int	 nfailed;

	tcase_add_test(tc, listeners);
	tcase_add_test(tc, relays);
	tcase_add_test(tc, blobs);
	tcase_add_test(tc, unread);
	tcase_add_test(tc, system_ca);
	tcase_add_test(tc, sizes);
	tcase_add_test(tc, bounds);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	nfailed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return nfailed == 0 ? 0 : 1;
}
