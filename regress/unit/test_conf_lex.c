/*
 * Tests of the lexer of the configuration: tokens, lines, macros, quotes,
 * continuation, and files that include one another.
 */
#include <sys/stat.h>

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../smtpproxyd/conf_lex.h"
#include "conf_samples.h"

#define NROWS(a)	(sizeof(a) / sizeof((a)[0]))

/* All tokens as text: "line:kind" and the word, one behind the other. */
static void
lex_all(struct conf_lex *lex, char *to, size_t size)
{
	static const char *const	kinds[] = {
		[LEX_END] = "end", [LEX_FILE_END] = "fin",
		[LEX_NEWLINE] = "nl", [LEX_WORD] = "", [LEX_QUOTED] = "'",
		[LEX_CHAR] = "", [LEX_BAD] = "bad"
	};
	struct lex_word	w;
	enum lex_token	token;
	char		one[LEX_WORD_MAX + 32];

	to[0] = '\0';
	do {
		token = conf_lex_next(lex, &w);
		(void)snprintf(one, sizeof(one), "%s%d:%s%s",
		    to[0] == '\0' ? "" : " ", w.place.line, kinds[token],
		    token == LEX_BAD ? "" : w.text);
		(void)strlcat(to, one, size);
	} while (token != LEX_END);
}

static const struct {
	const char	*in;
	const char	*tokens;
	const char	*said;
} lex_rows[] = {
	{ "", "1:end", "" },
	{ "\n\n", "1:nl 2:nl 3:end", "" },
	{ "a", "1:a 1:nl 1:end", "" },
	{ "a b\tc\n", "1:a 1:b 1:c 1:nl 2:end", "" },
	{ "a{b,c}<d>=e", "1:a 1:{ 1:b 1:, 1:c 1:} 1:< 1:d 1:> 1:= 1:e 1:nl "
	    "1:end", "" },
	{ "1.2.3.4 ::1 10.0.0.0/8 fe80::1%eth0 a@b x-y_z",
	    "1:1.2.3.4 1:::1 1:10.0.0.0/8 1:fe80::1%eth0 1:a@b 1:x-y_z 1:nl "
	    "1:end", "" },
	/* Comments, and where they end. */
	{ "# a\nb", "1:nl 2:b 2:nl 2:end", "" },
	{ "a # b \"c\n", "1:a 1:nl 2:end", "" },
	{ "a#b\n", "1:a 1:nl 2:end", "" },
	{ "# a \\\n b\nc", "2:nl 3:c 3:nl 3:end", "" },
	{ "#", "1:end", "" },
	{ "#\\\n", "2:end", "" },
	/* Continued lines count. */
	{ "a \\\n b\nc", "1:a 2:b 2:nl 3:c 3:nl 3:end", "" },
	{ "a\\\nb\n", "1:a 2:b 2:nl 3:end", "" },
	{ "a \\ b\n", "1:a 1:bad 1:b 1:nl 2:end",
	    "1: unexpected character \\, expected a word\n" },
	{ "a\\", "1:a 1:bad 1:nl 1:end",
	    "1: unexpected character \\, expected a word\n" },
	/* Quotes. */
	{ "\"a b\" 'c \"d\"'", "1:'a b 1:'c \"d\" 1:nl 1:end", "" },
	{ "\"\"", "1:' 1:nl 1:end", "" },
	{ "\"a\\\"b\\\\c\\d\"", "1:'a\"b\\c\\d 1:nl 1:end", "" },
	{ "'a\\'b\\\"'", "1:'a'b\\\" 1:nl 1:end", "" },
	{ "\"a\\\nb\" c\nd", "1:'ab 2:c 2:nl 3:d 3:nl 3:end", "" },
	{ "\"#$x\"", "1:'#$x 1:nl 1:end", "" },
	{ "\"caf\xc3\xa9\"", "1:'caf\xc3\xa9 1:nl 1:end", "" },
	{ "a \"b\nc", "1:a 1:bad 1:nl 2:c 2:nl 2:end",
	    "1: unterminated quote, expected \" before the end of the "
	    "line\n" },
	{ "'b", "1:bad 1:nl 1:end",
	    "1: unterminated quote, expected ' before the end of the "
	    "line\n" },
	{ "\"a\\\nb\n", "1:bad 2:nl 3:end",
	    "1: unterminated quote, expected \" before the end of the "
	    "line\n" },
	{ "'\\", "1:bad 1:nl 1:end",
	    "1: unterminated quote, expected ' before the end of the "
	    "line\n" },
	{ "\"a\001b\"", "1:bad 1:nl 1:end",
	    "1: control octet 0x01 in quotes, expected text\n" },
	/* Octets that are nowhere. */
	{ "a\r\n", "1:a 1:bad 1:nl 2:end",
	    "1: unexpected octet 0x0d, expected a word\n" },
	{ "\xff", "1:bad 1:nl 1:end",
	    "1: unexpected octet 0xff, expected a word\n" },
	{ "a;", "1:a 1:bad 1:nl 1:end",
	    "1: unexpected character ;, expected a word\n" },
	/* Macros: m is "x, y", e is "", d is "$m", h is "a#b". */
	{ "$m", "1:x 1:, 1:y 1:nl 1:end", "" },
	{ "a$m b\n", "1:a 1:x 1:, 1:y 1:b 1:nl 2:end", "" },
	{ "\n$m\\\n$m", "1:nl 2:x 2:, 2:y 3:x 3:, 3:y 3:nl 3:end", "" },
	{ "$e", "1:nl 1:end", "" },
	{ "$e a", "1:a 1:nl 1:end", "" },
	{ "$m.b", "1:x 1:, 1:y 1:.b 1:nl 1:end", "" },
	{ "$d", "1:bad 1:m 1:nl 1:end",
	    "1: unexpected character $ in the value of a macro, expected a "
	    "word\n" },
	{ "$h c", "1:a 1:bad 1:b 1:c 1:nl 1:end",
	    "1: unexpected character # in the value of a macro, expected a "
	    "word\n" },
	{ "a\n$no b", "1:a 1:nl 2:bad 2:b 2:nl 2:end",
	    "2: macro \"no\" is not defined, expected no = VALUE before\n" },
	{ "$ a", "1:bad 1:a 1:nl 1:end",
	    "1: $ without a name, expected that of a macro\n" },
	{ "$", "1:bad 1:nl 1:end",
	    "1: $ without a name, expected that of a macro\n" },
};

static void
lex_set(struct conf_lex *lex, const char *name, const char *value)
{
	struct conf_why	why;

	ck_assert_int_eq(conf_lex_set_macro(lex, name, value, 0, &why), 0);
}

START_TEST(tokens)
{
	struct sample_said	 said;
	struct conf		*conf;
	struct conf_lex		*lex;
	struct conf_why		 why;
	char			 all[4096];
	size_t			 i;

	for (i = 0; i < NROWS(lex_rows); i++) {
		said.text[0] = '\0';
		conf = conf_new();
		lex = conf_lex_new(conf, NULL, NULL, sample_say, &said);
		lex_set(lex, "m", "x, y");
		lex_set(lex, "e", "");
		lex_set(lex, "d", "$m");
		lex_set(lex, "h", "a#b");
		ck_assert_int_eq(conf_input_open_text(conf_lex_input(lex),
		    "t", lex_rows[i].in, strlen(lex_rows[i].in), &why), 0);
		lex_all(lex, all, sizeof(all));
		ck_assert_str_eq(all, lex_rows[i].tokens);
		ck_assert_str_eq(said.text, lex_rows[i].said);
		ck_assert_int_eq(conf_lex_nerrors(lex), said.text[0] != '\0');
		conf_lex_free(lex);
		conf_free(conf);
	}
}
END_TEST

/* A NUL is an octet like others, and one too long is one error. */
START_TEST(odd)
{
	struct sample_said	 said = { "" };
	struct conf		*conf = conf_new();
	struct conf_lex		*lex;
	struct conf_why		 why;
	char			 text[2 * LEX_WORD_MAX + 8];
	char			 all[4 * LEX_WORD_MAX];

	memset(text, 'a', sizeof(text));
	text[0] = '\0';
	text[1] = ' ';
	text[LEX_WORD_MAX + 1] = ' ';	/* LEX_WORD_MAX - 1 before it */
	text[LEX_WORD_MAX + 2] = '"';
	text[sizeof(text) - 1] = '"';
	lex = conf_lex_new(conf, NULL, NULL, sample_say, &said);
	ck_assert_int_eq(conf_input_open_text(conf_lex_input(lex), "t", text,
	    sizeof(text), &why), 0);
	lex_all(lex, all, sizeof(all));
	ck_assert_str_eq(said.text,
	    "1: unexpected octet 0x00, expected a word\n"
	    "1: word too long, expected below 1024 octets\n");
	ck_assert_ptr_nonnull(strstr(all, "1:bad 1:aaa"));
	ck_assert_ptr_nonnull(strstr(all, "aaa 1:bad 1:nl 1:end"));
	conf_lex_free(lex);

	said.text[0] = '\0';
	text[0] = 'b';
	text[LEX_WORD_MAX + 1] = 'b';
	lex = conf_lex_new(conf, NULL, NULL, sample_say, &said);
	ck_assert_int_eq(conf_input_open_text(conf_lex_input(lex), "t",
	    text + 1, LEX_WORD_MAX + 1, &why), 0);
	lex_all(lex, all, sizeof(all));
	ck_assert_str_eq(all, "1:bad 1:nl 1:end");
	conf_lex_free(lex);
	conf_free(conf);
}
END_TEST

START_TEST(macros)
{
	static const struct {
		const char	*name;
		const char	*value;
		const char	*why;	/* NULL: good */
	} rows[] = {
		{ "a", "1", NULL },
		{ "A_9", "", NULL },
		{ "9a", "x", NULL },
		{ "", "x", "\"\" is no name of a macro, expected letters, "
		    "digits and '_'" },
		{ "a-b", "x", "\"a-b\" is no name of a macro, expected "
		    "letters, digits and '_'" },
		{ "\xe9", "x", "\"\xe9\" is no name of a macro, expected "
		    "letters, digits and '_'" },
		{ "c", "a\nb", "octet 0x0a in the value of macro c, expected "
		    "printable ASCII" },
		{ "c", "\xc3\xa9", "octet 0xc3 in the value of macro c, "
		    "expected printable ASCII" },
	};
	struct conf	*conf = conf_new();
	struct conf_lex	*lex = conf_lex_new(conf, NULL, NULL, NULL, NULL);
	struct conf_why	 why;
	char		 value[LEX_WORD_MAX + 1];
	size_t		 i;

	for (i = 0; i < NROWS(rows); i++) {
		why.text[0] = '\0';
		ck_assert_int_eq(conf_lex_set_macro(lex, rows[i].name,
		    rows[i].value, 0, &why), rows[i].why == NULL ? 0 : -1);
		ck_assert_str_eq(why.text,
		    rows[i].why == NULL ? "" : rows[i].why);
	}
	memset(value, 'a', sizeof(value));
	value[LEX_WORD_MAX] = '\0';
	ck_assert_int_eq(conf_lex_set_macro(lex, "l", value, 0, &why), -1);
	ck_assert_str_eq(why.text, "the value of macro l is too long, "
	    "expected below 1024 octets");
	value[LEX_WORD_MAX - 1] = '\0';
	ck_assert_int_eq(conf_lex_set_macro(lex, "l", value, 0, &why), 0);
	conf_lex_free(lex);
	conf_free(conf);
}
END_TEST

/* A later value counts, but never over one of the command line. */
START_TEST(macro_order)
{
	struct conf	*conf = conf_new();
	struct conf_lex	*lex = conf_lex_new(conf, NULL, NULL, NULL, NULL);
	struct conf_why	 why;
	char		 all[128];

	lex_set(lex, "a", "1");
	lex_set(lex, "a", "2");
	ck_assert_int_eq(conf_lex_set_macro(lex, "b", "1", 1, &why), 0);
	lex_set(lex, "b", "2");
	ck_assert_int_eq(conf_input_open_text(conf_lex_input(lex), "t",
	    "$a$b", 4, &why), 0);
	lex_all(lex, all, sizeof(all));
	ck_assert_str_eq(all, "1:2 1:1 1:nl 1:end");
	conf_lex_free(lex);
	conf_free(conf);
}
END_TEST

/* --- Files, made in a folder of their own. --- */

static char	dir[64];

static void
dir_make(void)
{
	(void)strlcpy(dir, "/tmp/test_conf_lex.XXXXXX", sizeof(dir));
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

static int
file_open(struct conf_lex *lex, const char *name, struct conf_why *why)
{
	char	path[256];

	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	return conf_input_open(conf_lex_input(lex), path, why);
}

/* Like the parser: an include is followed when its line is over. */
static void
lex_all_including(struct conf_lex *lex, char *to, size_t size,
    struct conf_why *why)
{
	struct lex_word	w;
	enum lex_token	token;
	char		one[LEX_WORD_MAX + 32], name[64] = "";

	to[0] = '\0';
	why->text[0] = '\0';
	do {
		token = conf_lex_next(lex, &w);
		if (token == LEX_QUOTED)
			(void)strlcpy(name, w.text, sizeof(name));
		if (token == LEX_NEWLINE && name[0] != '\0') {
			(void)conf_input_include(conf_lex_input(lex), name,
			    why);
			name[0] = '\0';
		}
		if (token != LEX_WORD && token != LEX_FILE_END)
			continue;
		(void)snprintf(one, sizeof(one), "%s%s:%d:%s",
		    to[0] == '\0' ? "" : " ", strrchr(w.place.file, '/') + 1,
		    w.place.line, token == LEX_WORD ? w.text : "end");
		(void)strlcat(to, one, size);
	} while (token != LEX_END);
}

START_TEST(include)
{
	struct conf	*conf = conf_new();
	struct conf_lex	*lex;
	struct conf_why	 why;
	char		 all[4096];

	lex = conf_lex_new(conf, conf_input_read_file, NULL, NULL, NULL);
	file_write("a", "one\n\"b\"\ntwo\n");
	file_write("b", "\nthree\n\"./c\"\nfour");
	file_write("c", "five");
	ck_assert_int_eq(file_open(lex, "a", &why), 0);
	lex_all_including(lex, all, sizeof(all), &why);
	ck_assert_str_eq(all, "a:1:one b:2:three c:1:five c:1:end b:4:four "
	    "b:4:end a:3:two");
	ck_assert_str_eq(why.text, "");
	conf_lex_free(lex);
	conf_free(conf);
}
END_TEST

/* A file that includes itself, at once or through others, by any name. */
START_TEST(include_loop)
{
	static const char *const	rows[][2] = {
		{ "\"a\"\n", "" },
		{ "\"./a\"\n", "" },
		{ "\"b\"\n", "\"./././a\"\n" },
		{ "\"b\"\n", "\"b\"\n" },
	};
	struct conf	*conf;
	struct conf_lex	*lex;
	struct conf_why	 why;
	char		 all[4096];
	size_t		 i;

	for (i = 0; i < NROWS(rows); i++) {
		conf = conf_new();
		lex = conf_lex_new(conf, conf_input_read_file, NULL, NULL,
		    NULL);
		file_write("a", rows[i][0]);
		file_write("b", rows[i][1]);
		ck_assert_int_eq(file_open(lex, "a", &why), 0);
		lex_all_including(lex, all, sizeof(all), &why);
		ck_assert_ptr_nonnull(strstr(why.text, " includes itself, "
		    "expected another file"));
		conf_lex_free(lex);
		conf_free(conf);
	}
}
END_TEST

/* Not a loop, but too deep, and too often. */
START_TEST(include_bounds)
{
	struct conf	*conf = conf_new();
	struct conf_lex	*lex;
	struct conf_why	 why;
	char		 all[8192], name[16], text[32];
	int		 i;

	for (i = 0; i <= INPUT_DEPTH_MAX; i++) {
		(void)snprintf(name, sizeof(name), "f%d", i);
		(void)snprintf(text, sizeof(text), "\"f%d\"\n", i + 1);
		file_write(name, text);
	}
	lex = conf_lex_new(conf, conf_input_read_file, NULL, NULL, NULL);
	ck_assert_int_eq(file_open(lex, "f1", &why), 0);
	lex_all_including(lex, all, sizeof(all), &why);
	ck_assert_ptr_nonnull(strstr(why.text, ": files include one another "
	    "too deeply, expected at most 16 levels"));
	conf_lex_free(lex);

	/* Twelve levels, each of which includes the next one twice. */
	for (i = 0; i < 12; i++) {
		(void)snprintf(name, sizeof(name), "f%d", i);
		(void)snprintf(text, sizeof(text), "\"f%d\"\n\"f%d\"\n", i + 1,
		    i + 1);
		file_write(name, text);
	}
	file_write("f12", "");
	lex = conf_lex_new(conf, conf_input_read_file, NULL, NULL, NULL);
	ck_assert_int_eq(file_open(lex, "f0", &why), 0);
	lex_all_including(lex, all, sizeof(all), &why);
	ck_assert_ptr_nonnull(strstr(why.text, ": too many files, expected "
	    "at most 256"));
	conf_lex_free(lex);
	conf_free(conf);
}
END_TEST

START_TEST(permission)
{
	struct conf		*conf = conf_new();
	struct conf_lex		*lex;
	struct conf_why		 why;
	static const struct {
		mode_t		 mode;
		const char	*why;
	} rows[] = {
		{ 0644, NULL },
		{ 0600, NULL },
		{ 0444, NULL },
		{ 0664, "can be written by others (mode 0664), expected "
		    "write permission for its owner only" },
		{ 0646, "can be written by others (mode 0646), expected "
		    "write permission for its owner only" },
	};
	char			 path[256];
	size_t			 i;

	lex = conf_lex_new(conf, conf_input_read_file, NULL, NULL, NULL);
	file_write("a", "x\n");
	(void)snprintf(path, sizeof(path), "%s/a", dir);
	for (i = 0; i < NROWS(rows); i++) {
		ck_assert_int_eq(chmod(path, rows[i].mode), 0);
		conf_input_clear(conf_lex_input(lex));
		ck_assert_int_eq(file_open(lex, "a", &why),
		    rows[i].why == NULL ? 0 : -1);
		if (rows[i].why != NULL)
			ck_assert_str_eq(strchr(why.text, ' ') + 1,
			    rows[i].why);
	}
	ck_assert_int_eq(chmod(path, 0644), 0);
	if (geteuid() == 0) {
		ck_assert_int_eq(chown(path, 12345, (gid_t)-1), 0);
		ck_assert_int_eq(file_open(lex, "a", &why), -1);
		ck_assert_str_eq(strchr(why.text, ' ') + 1, "belongs to user "
		    "12345, expected root or the user that starts the "
		    "program");
	}
	conf_input_clear(conf_lex_input(lex));
	ck_assert_int_eq(file_open(lex, "", &why), -1);
	ck_assert_ptr_nonnull(strstr(why.text, "is no file, expected a "
	    "regular one"));
	ck_assert_int_eq(file_open(lex, "none", &why), -1);
	ck_assert_ptr_nonnull(strstr(why.text, "none: No such file"));
	(void)snprintf(path, sizeof(path), "%s/fifo", dir);
	ck_assert_int_eq(mkfifo(path, 0600), 0);
	ck_assert_int_eq(file_open(lex, "fifo", &why), -1);
	ck_assert_ptr_nonnull(strstr(why.text, "is no file, expected a "
	    "regular one"));
	conf_lex_free(lex);
	conf_free(conf);
}
END_TEST

int
main(void)
{
	Suite	*s = suite_create("conf_lex");
	TCase	*tc = tcase_create("conf_lex");
	SRunner	*sr;
	int	 nfailed;

	tcase_add_checked_fixture(tc, dir_make, dir_remove);
	tcase_add_test(tc, tokens);
	tcase_add_test(tc, odd);
	tcase_add_test(tc, macros);
	tcase_add_test(tc, macro_order);
	tcase_add_test(tc, include);
	tcase_add_test(tc, include_loop);
	tcase_add_test(tc, include_bounds);
	tcase_add_test(tc, permission);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	nfailed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return nfailed == 0 ? 0 : 1;
}
