/*
 * Reading the configuration as a whole: lexer, grammar and checks in turn.
 * Runs in the parent, before service starts; the file is the admin's.
 */
#include "conf_load.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../common/strutil.h"
#include "conf_lex.h"
#include "conf_parse.h"

#define LOAD_LINE_MAX	2048

/* Macros of the command line; they outlive each load. */
struct load_macro {
	struct load_macro	*next;
	char			*value;		/* in name, behind its NUL */
	char			 name[];
};
static struct load_macro	*load_macros;

void
conf_load_forget_macros(void)
{
	struct load_macro	*m;

	while ((m = load_macros) != NULL) {
		load_macros = m->next;
		free(m);
	}
}

/* Is it one?  A lexer of its own says so. */
static int
load_check_macro(const struct load_macro *m)
{
	struct conf	*conf;
	struct conf_lex	*lex = NULL;
	struct conf_why	 why;
	int		 rc = -1;

	if ((conf = conf_new()) != NULL)
		lex = conf_lex_new(conf, NULL, NULL, NULL, NULL);
	if (lex != NULL)
		rc = conf_lex_set_macro(lex, m->name, m->value, 1, &why);
	conf_lex_free(lex);
	conf_free(conf);
	return rc;
}

int
conf_load_macro(const char *text)
{
	struct load_macro	*m;
	const char		*equals = strchr(text, '=');
	size_t			 size = strlen(text) + 1;

	if (equals == NULL || (m = malloc(sizeof(*m) + size)) == NULL)
		return -1;
	memcpy(m->name, text, size);
	m->value = m->name + (equals - text);
	*m->value++ = '\0';
	if (load_check_macro(m) == -1) {
		free(m);
		return -1;
	}
	m->next = load_macros;		/* the newest is the first to be set */
	load_macros = m;
	return 0;
}

/* Not the log: these lines begin with the file, for an editor to find. */
static void
load_say(void *arg, const struct conf_place *place, const char *text)
{
	char	line[LOAD_LINE_MAX], escaped[LOAD_LINE_MAX];

	(void)arg;
	if (place->line > 0)
		(void)snprintf(line, sizeof(line), "%s:%d: %s", place->file,
		    place->line, text);
	else
		(void)strlcpy(line, text, sizeof(line));
	(void)str_escape_line(escaped, sizeof(escaped), line, strlen(line));
	(void)fprintf(stderr, "%s\n", escaped);
}

static int
load_set_macros(struct conf_lex *lex, struct conf_why *why)
{
	const struct load_macro	*m;

	for (m = load_macros; m != NULL; m = m->next)
		if (conf_lex_set_macro(lex, m->name, m->value, 1, why) == -1)
			return -1;
	return 0;
}

/*
 * data NULL: from the file.  What can't be opened has no line, and its name
 * stands in the text already.
 */
static struct conf *
load_run(const char *name, const char *data, size_t len,
    const struct conf_hooks *hooks, void *arg, conf_say_fn *say,
    void *say_arg)
{
	struct conf_place	 place = { name, 0 };
	struct conf		*conf;
	struct conf_lex		*lex = NULL;
	struct conf_why		 why;
	int			 nerrors = 0, rc = -1;

	(void)conf_fail(&why, "out of memory");
	if ((conf = conf_new()) != NULL)
		lex = conf_lex_new(conf, data == NULL ?
		    conf_input_read_file : NULL, NULL, say, say_arg);
	if (lex != NULL && load_set_macros(lex, &why) == 0) {
		if (data == NULL)
			rc = conf_input_open(conf_lex_input(lex), name, &why);
		else
			rc = conf_input_open_text(conf_lex_input(lex), name,
			    data, len, &why);
	}
	if (rc == 0) {
		nerrors = conf_parse(conf, lex, say, say_arg);
		nerrors += conf_finish(conf, hooks, arg, say, say_arg);
	} else
		say(say_arg, &place, why.text);
	conf_lex_free(lex);
	if (rc == 0 && nerrors == 0)
		return conf;
	conf_free(conf);
	return NULL;
}

struct conf *
conf_load_text(const char *name, const char *data, size_t len,
    const struct conf_hooks *hooks, void *arg, conf_say_fn *say,
    void *say_arg)
{
	return load_run(name, data, len, hooks, arg, say, say_arg);
}

struct conf *
conf_load_file(const char *path, const struct conf_hooks *hooks, void *arg,
    conf_say_fn *say, void *say_arg)
{
	return load_run(path, NULL, 0, hooks, arg, say, say_arg);
}

struct conf *
conf_load(const char *path, const struct conf_hooks *hooks, void *arg)
{
	return load_run(path, NULL, 0, hooks, arg, load_say, NULL);
}
