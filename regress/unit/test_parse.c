/*
 * Tests of the grammar: what each line means, files, macros, and what is
 * shipped.  Errors are test_parse_errors.c's.
 */
#include <sys/stat.h>

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../smtpproxyd/conf_load.h"
#include "conf_samples.h"

#define NROWS(a)	(sizeof(a) / sizeof((a)[0]))

START_TEST(good)
{
	struct sample_said	 said;
	struct conf		*conf;
	size_t			 i;

	for (i = 0; i < nconf_samples; i++) {
		conf = sample_load(conf_samples[i], strlen(conf_samples[i]),
		    &said);
		ck_assert_str_eq(said.text, "");
		ck_assert_ptr_nonnull(conf);
		conf_free(conf);
	}
}
END_TEST

/* What stands in the last sample. */
START_TEST(meaning)
{
	static const char *const	choices[] = {
		"127.0.0.1:24", "[::1]:24", "10.0.0.1:24", "10.0.0.2:24",
		"[2001:db8::25]:24", "198.51.100.25:24", "192.0.2.1:24",
		"10.0.0.9:24", "203.0.113.25:24"
	};
	const char			*text;
	struct conf			*conf;
	const struct conf_relay		*r;
	char				 addr[ADDR_TEXT_MAX];
	size_t				 i;

	text = conf_samples[nconf_samples - 1];
	conf = sample_load(text, strlen(text), NULL);
	ck_assert_ptr_nonnull(conf);
	ck_assert_uint_eq(conf->limits.max_sessions, 1000);
	ck_assert_uint_eq(conf->limits.max_errors, 0);
	ck_assert_uint_eq(conf->limits.max_message_size, 50 * 1024 * 1024);
	ck_assert_int_eq(conf->limits.timeout_ms[STAGE_SESSION], 604800000);
	ck_assert_str_eq(conf->user, "_smtpproxyd");
	ck_assert_str_eq(conf->chroot, "/var/empty");
	ck_assert_uint_ge(conf->nworkers, 1);
	ck_assert_uint_eq(conf->nrelays, 2);

	r = conf->relays;
	ck_assert_str_eq(r->name, "one");
	ck_assert_uint_eq(r->number, 0);
	ck_assert_int_eq(r->place.line, 33);
	ck_assert_str_eq(addr_text(&r->listeners->addr, addr),
	    "0.0.0.0:2525");
	ck_assert_int_eq(r->listeners->place.line, 34);
	ck_assert_str_eq(addr_text(&r->listeners->next->addr, addr),
	    "[::]:2525");
	ck_assert_ptr_null(r->listeners->next->next);
	ck_assert_uint_eq(r->nchoices, NROWS(choices));
	for (i = 0; i < NROWS(choices); i++)
		ck_assert_str_eq(addr_text(&r->choices[i].addr, addr),
		    choices[i]);
	ck_assert_str_eq(r->choices[4].host, "mx.example.org");
	ck_assert_str_eq(r->choices[5].host, "mx.example.org");
	ck_assert_str_eq(r->choices[6].host, "192.0.2.1");
	ck_assert_uint_eq(r->limits.max_sessions, 10);
	ck_assert_uint_eq(r->limits.max_sessions_per_client, 2);
	ck_assert_uint_eq(r->limits.max_recipients, 5);
	ck_assert_uint_eq(r->limits.max_errors, 1);
	ck_assert_uint_eq(r->limits.max_message_size, 3072);
	ck_assert_int_eq(r->limits.timeout_ms[STAGE_CONNECT], 1000);
	ck_assert_int_eq(r->limits.timeout_ms[STAGE_BLOCK], 99000);
	ck_assert_int_eq(r->limits.timeout_ms[STAGE_DOT], 0);
	ck_assert_int_eq(r->pregreet, PREGREET_ALLOW);
	ck_assert_int_eq(r->newlines, NEWLINES_NORMALIZE);
	ck_assert_uint_eq(r->npass_verbs, 2);
	ck_assert_str_eq(r->pass_verbs[1], "X-EXPS");
	ck_assert_uint_eq(r->nauth_mechs, 3);
	ck_assert_str_eq(r->auth_mechs[2], "SCRAM-SHA-256");

	r = r->next;
	ck_assert_str_eq(r->name, "two");
	ck_assert_uint_eq(r->limits.max_sessions, 0);	/* not inherited */
	ck_assert_uint_eq(r->limits.max_sessions_per_client, 0);
	ck_assert_uint_eq(r->limits.max_recipients, 100);
	ck_assert_uint_eq(r->limits.max_errors, 0);
	ck_assert_int_eq(r->limits.timeout_ms[STAGE_BLOCK], 7000);
	ck_assert_int_eq(r->pregreet, PREGREET_REJECT);
	ck_assert_int_eq(r->newlines, NEWLINES_REJECT);
	ck_assert_ptr_eq(conf_relay_by_number(conf, 1), r);
	ck_assert_ptr_null(conf_relay_by_number(conf, 2));
	conf_free(conf);
}
END_TEST

/* "192.0.2.0/24 ..." of a check. */
static const char *
check_text(const struct conf_check *k)
{
	static char	text[256];
	char		addr[ADDR_TEXT_MAX];
	size_t		i, used = 0;

	text[0] = '\0';
	for (i = 0; i < k->nblocks; i++) {
		(void)snprintf(text + used, sizeof(text) - used, "%s%s/%u",
		    i == 0 ? "" : " ", addr_text(&k->blocks[i].net, addr),
		    (unsigned int)k->blocks[i].length);
		used = strlen(text);
	}
	return text;
}

/* What stands in the sample before the last one. */
START_TEST(interception)
{
	static const struct {
		const char		*name;
		enum conf_forward	 forward;
		int			 is_transparent;
		enum conf_starttls	 starttls;
		enum conf_failure	 on_failure;
		uint32_t		 mark;
		const char		*divert;	/* of each listener */
		size_t			 nchoices;
		const char		*only;
		const char		*except;
		const char		*bypass;
	} rows[] = {
		{ "outbound", FORWARD_NAT, 1, STARTTLS_HIDE, ON_FAILURE_RESET,
		    UINT32_MAX, "0", 0, "", "10.0.0.0/8 fd00::/8",
		    "192.0.2.7/32 2001:db8:7::/48 198.51.100.7/32" },
		{ "outbound-divert", FORWARD_DESTINATION, 0, STARTTLS_PASS,
		    ON_FAILURE_REPLY, 1, "11", 0,
		    "192.0.2.7/32 2001:db8:7::/48 198.51.100.7/32",
		    "10.0.0.0/8 fd00::/8", "" },
		{ "inbound", FORWARD_FIXED, 1, STARTTLS_PASS,
		    ON_FAILURE_REPLY, 0, "10", 4, "", "", "" },
		{ "r", FORWARD_NAT, 0, STARTTLS_PASS, ON_FAILURE_REPLY, 0,
		    "0", 0, "", "", "" },
		{ "s", FORWARD_DESTINATION, 0, STARTTLS_PASS,
		    ON_FAILURE_REPLY, 0, "1", 0, "", "", "" },
		{ "t", FORWARD_FIXED, 0, STARTTLS_HIDE, ON_FAILURE_REPLY, 0,
		    "0", 1, "", "", "" }
	};
	const char			*text;
	struct conf			*conf;
	const struct conf_relay		*r;
	const struct conf_listener	*l;
	size_t				 i, k;

	text = conf_samples[nconf_samples - 2];
	conf = sample_load(text, strlen(text), NULL);
	ck_assert_ptr_nonnull(conf);
	ck_assert_uint_eq(conf->nrelays, NROWS(rows));
	for (i = 0, r = conf->relays; r != NULL; i++, r = r->next) {
		ck_assert_str_eq(r->name, rows[i].name);
		ck_assert_int_eq(r->forward, rows[i].forward);
		ck_assert_int_eq(r->is_transparent, rows[i].is_transparent);
		ck_assert_int_eq(r->starttls, rows[i].starttls);
		ck_assert_int_eq(r->on_failure, rows[i].on_failure);
		ck_assert_uint_eq(r->mark, rows[i].mark);
		ck_assert_uint_eq(r->nchoices, rows[i].nchoices);
		ck_assert_str_eq(check_text(&r->only), rows[i].only);
		ck_assert_str_eq(check_text(&r->except), rows[i].except);
		ck_assert_str_eq(check_text(&r->bypass), rows[i].bypass);
		k = 0;
		for (l = r->listeners; l != NULL; l = l->next)
			ck_assert_int_eq(l->is_divert,
			    rows[i].divert[k++] == '1');
		ck_assert_uint_eq(k, strlen(rows[i].divert));
	}
	r = conf->relays;
	ck_assert_int_eq(r->forward_place.line, 6);
	ck_assert_str_eq(r->except.table, "inside");
	ck_assert_int_eq(r->except.place.line, 6);
	ck_assert_int_eq(r->bypass.place.line, 7);
	conf_free(conf);
}
END_TEST

/* Cut or changed anywhere: refused or taken, but nothing else happens. */
START_TEST(mutilated)
{
	static char	 text[4096];
	size_t		 i, n, len;
	const char	*in;

	for (n = 0; n < nconf_samples; n++) {
		in = conf_samples[n];
		len = strlen(in);
		for (i = 0; i < len; i++) {
			conf_free(sample_load(in, i, NULL));
			memcpy(text, in, len);
			text[i] = '}';
			conf_free(sample_load(text, len, NULL));
			text[i] = '\n';
			conf_free(sample_load(text, len, NULL));
			text[i] = '"';
			conf_free(sample_load(text, len, NULL));
			text[i] = '{';
			conf_free(sample_load(text, len, NULL));
		}
	}
}
END_TEST

START_TEST(macros)
{
	static const char	 text[] = "port1 = 1\nrelay r {\n"
				    "listen on ::1 port $port1\n"
				    "forward to $dest port 2\n}\n";
	struct conf		*conf;
	char			 addr[ADDR_TEXT_MAX];

	ck_assert_int_eq(conf_load_macro("dest=10.0.0.1"), 0);
	ck_assert_int_eq(conf_load_macro("dest=10.0.0.2"), 0);
	ck_assert_int_eq(conf_load_macro("port1=99"), 0);
	ck_assert_int_eq(conf_load_macro("empty="), 0);
	ck_assert_int_eq(conf_load_macro("a=b=c"), 0);
	ck_assert_int_eq(conf_load_macro("none"), -1);
	ck_assert_int_eq(conf_load_macro("=none"), -1);
	ck_assert_int_eq(conf_load_macro("a b=c"), -1);
	ck_assert_int_eq(conf_load_macro("a=b\nc"), -1);
	conf = sample_load(text, strlen(text), NULL);
	ck_assert_ptr_nonnull(conf);
	ck_assert_str_eq(addr_text(&conf->relays->choices[0].addr, addr),
	    "10.0.0.2:2");
	ck_assert_str_eq(addr_text(&conf->relays->listeners->addr, addr),
	    "[::1]:99");
	conf_free(conf);
	conf_load_forget_macros();
	ck_assert_ptr_null(sample_load(text, strlen(text), NULL));
}
END_TEST

/* --- Files. --- */

static char	dir[64];

static void
dir_make(void)
{
	(void)strlcpy(dir, "/tmp/test_parse.XXXXXX", sizeof(dir));
	ck_assert_ptr_nonnull(mkdtemp(dir));
}

static void
dir_remove(void)
{
	char	command[80];

	(void)snprintf(command, sizeof(command), "rm -rf %s", dir);
	if (system(command) != 0)
		(void)fprintf(stderr, "%s is left over\n", dir);
}

static void
file_write(const char *name, const char *text)
{
	char	 path[256];
	FILE	*f;

	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	ck_assert_ptr_nonnull(f = fopen(path, "w"));
	ck_assert_int_ge(fputs(text, f), 0);
	ck_assert_int_eq(fclose(f), 0);
	ck_assert_int_eq(chmod(path, 0644), 0);
}

/* File and line, without the folder. */
static void
file_say(void *arg, const struct conf_place *place, const char *text)
{
	struct sample_said	*said = arg;
	const char		*name = strrchr(place->file, '/');
	size_t			 used = strlen(said->text);

	(void)snprintf(said->text + used, sizeof(said->text) - used,
	    "%s:%d: %s\n", name == NULL ? place->file : name + 1, place->line,
	    strncmp(text, dir, strlen(dir)) == 0 ? text + strlen(dir) + 1 :
	    text);
}

static struct conf *
file_load(const char *name, struct sample_said *said)
{
	char	path[256];

	said->text[0] = '\0';
	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	return conf_load_file(path, &sample_hooks, NULL, file_say, said);
}

START_TEST(files)
{
	struct sample_said	 said;
	struct conf		*conf;

	file_write("main", "include \"macros\"\nrelay r {\nlisten on $l port "
	    "1\nforward to <t> port 1\n}\ninclude \"tables\"");
	file_write("macros", "l = ::1");
	file_write("tables", "# no newline\ntable <t> { 10.0.0.1 }");
	conf = file_load("main", &said);
	ck_assert_str_eq(said.text, "");
	ck_assert_ptr_nonnull(conf);
	conf_free(conf);

	/* Lines are those of each file, also behind an include. */
	file_write("macros", "l = ::1\nworkers x");
	file_write("tables", "table <t> { 10.0.0.0/8 }\n");
	file_write("main", "include \"macros\"\nworkers y\nrelay r {\nlisten "
	    "on $l port 1\nforward to <t> port 1\n}\ninclude \"tables\"\n"
	    "include \"none\"\ninclude \"main\"\nworkers z");
	ck_assert_ptr_null(file_load("main", &said));
	ck_assert_str_eq(said.text,
	    "macros:2: \"x\" is no number, expected digits only\n"
	    "main:2: \"y\" is no number, expected digits only\n"
	    "main:8: none: No such file or directory\n"
	    "main:9: main includes itself, expected another file\n"
	    "main:10: \"z\" is no number, expected digits only\n"
	    "tables:1: block 10.0.0.0/8 in table <t>, which relay \"r\" "
	    "forwards to, expected addresses and host names\n");

	/* A block must end in its own file. */
	file_write("macros", "l = ::1\nrelay s {\n");
	ck_assert_ptr_null(file_load("main", &said));
	ck_assert_str_eq(said.text,
	    "macros:3: end of file in a block, expected }\n");

	ck_assert_ptr_null(file_load("nowhere", &said));
	ck_assert_str_eq(said.text,
	    "nowhere:0: nowhere: No such file or directory\n");
}
END_TEST

/* --- What is shipped: run from the top of the tree. --- */

/* Any name will do. */
static int
any_resolve(void *arg, const struct conf *c, const char *host,
    struct addr *addrs, size_t *n, struct conf_why *why)
{
	(void)arg;
	(void)c;
	(void)why;
	*n = 1;
	(void)addr_parse(&addrs[0], "198.51.100.1");
	addrs[0].ip[3] = (uint8_t)host[0];	/* another one, mostly */
	return 0;
}

/* No file of the page is here, so none is read. */
static const struct conf_hooks	any_hooks = { .resolve = any_resolve };

START_TEST(example)
{
	struct sample_said	 said = { "" };
	struct conf		*conf;

	conf = conf_load_file("etc/smtpproxyd.conf", &any_hooks, NULL,
	    sample_say, &said);
	ck_assert_str_eq(said.text, "");
	ck_assert_ptr_nonnull(conf);
	conf_free(conf);
}
END_TEST

/* A backslash at the end of a line is \e in the page. */
static void
page_add(char *text, size_t size, char *line)
{
	size_t	len = strlen(line);

	if (len > 3 && strcmp(line + len - 3, "\\e\n") == 0)
		(void)strlcpy(line + len - 2, "\n", 2);
	(void)strlcat(text, line, size);
}

/* Every example of the manual page that has a relay, and no include. */
START_TEST(page)
{
	struct sample_said	 said = { "" };
	struct conf		*conf;
	char			 line[256], text[4096] = "";
	FILE			*f;
	int			 is_inside = 0, n = 0;

	f = fopen("smtpproxyd/smtpproxyd.conf.5", "r");
	ck_assert_ptr_nonnull(f);
	while (fgets(line, sizeof(line), f) != NULL) {
		if (strncmp(line, ".Bd -literal", 12) == 0) {
			is_inside = 1;
			text[0] = '\0';
		} else if (strcmp(line, ".Ed\n") == 0) {
			is_inside = 0;
			if (strstr(text, "relay ") == NULL ||
			    strstr(text, "include ") != NULL)
				continue;
			conf = conf_load_text("page", text, strlen(text),
			    &any_hooks, NULL, sample_say, &said);
			ck_assert_msg(conf != NULL, "%s%s", text, said.text);
			conf_free(conf);
			n++;
		} else if (is_inside)
			page_add(text, sizeof(text), line);
	}
	ck_assert_int_eq(fclose(f), 0);
	ck_assert_int_ge(n, 9);
}
END_TEST

int
main(void)
{
	Suite	*s = suite_create("parse");
	TCase	*tc = tcase_create("parse");
	SRunner	*sr;
	int	 nfailed;

	tcase_set_timeout(tc, 120);
	tcase_add_checked_fixture(tc, dir_make, dir_remove);
	tcase_add_test(tc, good);
	tcase_add_test(tc, meaning);
	tcase_add_test(tc, interception);
	tcase_add_test(tc, mutilated);
	tcase_add_test(tc, macros);
	tcase_add_test(tc, files);
	tcase_add_test(tc, example);
	tcase_add_test(tc, page);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	nfailed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return nfailed == 0 ? 0 : 1;
}
