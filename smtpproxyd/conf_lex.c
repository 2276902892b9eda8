/*
 * The lexer of the configuration.  Runs in the parent as root, on files that
 * only root may write, but is fuzzed all the same: every octet is checked and
 * everything is bounded.
 */
#include "conf_lex.h"

#include <ctype.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct lex_macro {
	struct lex_macro	*next;
	const char		*name;
	const char		*value;
	int			 is_lasting;
};

struct lex_chunk {
	struct lex_chunk	*next;
	max_align_t		 data[];
};

struct conf_lex {
	struct conf_input	 in;
	conf_say_fn		*say;
	void			*say_arg;
	struct lex_macro	*macros;
	struct lex_chunk	*chunks;
	int			 is_mid_line;	/* a token since the newline */
	int			 nerrors;
};

struct conf_lex *
conf_lex_new(struct conf *conf, input_read_fn *read_fn, void *read_arg,
    conf_say_fn *say, void *say_arg)
{
	struct conf_lex	*lex;

	if ((lex = calloc(1, sizeof(*lex))) == NULL)
		return NULL;
	conf_input_init(&lex->in, conf, read_fn, read_arg);
	lex->say = say;
	lex->say_arg = say_arg;
	return lex;
}

void
conf_lex_free(struct conf_lex *lex)
{
	struct lex_chunk	*c;

	if (lex == NULL)
		return;
	conf_input_clear(&lex->in);
	while ((c = lex->chunks) != NULL) {
		lex->chunks = c->next;
		free(c);
	}
	free(lex);
}

int
conf_lex_nerrors(const struct conf_lex *lex)
{
	return lex->nerrors;
}

struct conf_input *
conf_lex_input(struct conf_lex *lex)
{
	return &lex->in;
}

void *
conf_lex_alloc(struct conf_lex *lex, size_t size)
{
	struct lex_chunk	*c;

	if (size > SIZE_MAX - sizeof(*c) ||
	    (c = calloc(1, sizeof(*c) + size)) == NULL)
		return NULL;
	c->next = lex->chunks;
	lex->chunks = c;
	return c->data;
}

static const char *
lex_copy(struct conf_lex *lex, const char *text)
{
	size_t	 size = strlen(text) + 1;
	char	*copy;

	if ((copy = conf_lex_alloc(lex, size)) != NULL)
		memcpy(copy, text, size);
	return copy;
}

/* Say what is wrong with a token. */
static enum lex_token
lex_bad(struct conf_lex *lex, const struct lex_word *w,
    const struct conf_why *why)
{
	lex->say(lex->say_arg, &w->place, why->text);
	lex->nerrors++;
	return LEX_BAD;
}

static struct lex_macro *
lex_find_macro(const struct conf_lex *lex, const char *name)
{
	struct lex_macro	*m;

	for (m = lex->macros; m != NULL; m = m->next)
		if (strcmp(m->name, name) == 0)
			return m;
	return NULL;
}

static int
lex_is_macro_octet(int c)
{
	return c != INPUT_END && c < 0x80 && (isalnum(c) || c == '_');
}

static int
lex_check_macro(const char *name, const char *value, struct conf_why *why)
{
	const unsigned char	*p;

	for (p = (const unsigned char *)name; lex_is_macro_octet(*p); p++)
		;
	if (*p != '\0' || name[0] == '\0')
		return conf_fail(why, "\"%s\" is no name of a macro, expected "
		    "letters, digits and '_'", name);
	for (p = (const unsigned char *)value; *p != '\0'; p++)
		if ((*p < 0x20 && *p != '\t') || *p >= 0x7f)
			return conf_fail(why, "octet 0x%02x in the value of "
			    "macro %s, expected printable ASCII", *p, name);
	if (strlen(value) >= LEX_WORD_MAX)
		return conf_fail(why, "the value of macro %s is too long, "
		    "expected below %d octets", name, LEX_WORD_MAX);
	return 0;
}

int
conf_lex_set_macro(struct conf_lex *lex, const char *name, const char *value,
    int is_lasting, struct conf_why *why)
{
	struct lex_macro	*m;
	const char		*copy;

	if (lex_check_macro(name, value, why) == -1)
		return -1;
	m = lex_find_macro(lex, name);
	if (m != NULL && m->is_lasting)
		return 0;
	if ((copy = lex_copy(lex, value)) == NULL)
		return conf_fail(why, "out of memory");
	if (m == NULL) {
		if ((m = conf_lex_alloc(lex, sizeof(*m))) == NULL ||
		    (m->name = lex_copy(lex, name)) == NULL)
			return conf_fail(why, "out of memory");
		m->next = lex->macros;
		lex->macros = m;
	}
	m->value = copy;
	m->is_lasting = is_lasting;
	return 0;
}

/*
 * Blanks, comments and continued lines.  As in relayd.conf(5), a comment goes
 * on where its line does.  In the value of a macro a hash mark would hide
 * what follows the macro: it is none of these there.
 */
static void
lex_skip_blanks(struct conf_input *in)
{
	int	c, is_comment = 0;

	while ((c = conf_input_peek(in, 0)) != INPUT_END) {
		if (c == '\\' && conf_input_peek(in, 1) == '\n')
			conf_input_skip(in);
		else if (c == '\n')
			return;
		else if (c == '#' && !in->source->is_macro)
			is_comment = 1;
		else if (c != ' ' && c != '\t' && !is_comment)
			return;
		conf_input_skip(in);
	}
}

static int
lex_is_word_octet(int c)
{
	return c != INPUT_END && c < 0x80 &&
	    (isalnum(c) || (c != '\0' && strchr("._-:/%@*+", c) != NULL));
}

/* Finish a token with its text. */
static enum lex_token
lex_word(struct conf_lex *lex, struct lex_word *w, enum lex_token token,
    const char *text)
{
	struct conf_why	why;

	if ((w->text = lex_copy(lex, text)) != NULL)
		return token;
	w->text = "";
	(void)conf_fail(&why, "out of memory");
	return lex_bad(lex, w, &why);
}

static enum lex_token
lex_bare(struct conf_lex *lex, struct lex_word *w, int (*is_part)(int))
{
	char		text[LEX_WORD_MAX];
	struct conf_why	why;
	size_t		used = 0;
	int		c;

	while (is_part(c = conf_input_peek(&lex->in, 0))) {
		if (used < sizeof(text))
			text[used++] = (char)c;
		conf_input_skip(&lex->in);
	}
	if (used < sizeof(text)) {
		text[used] = '\0';
		return lex_word(lex, w, LEX_WORD, text);
	}
	(void)conf_fail(&why, "word too long, expected below %d octets",
	    LEX_WORD_MAX);
	return lex_bad(lex, w, &why);
}

/*
 * What stands between quotes.  A backslash takes the meaning of a quote, a
 * newline or another backslash away; before other octets it is one itself.
 */
static enum lex_token
lex_quoted(struct conf_lex *lex, struct lex_word *w, int quote)
{
	struct conf_input	*in = &lex->in;
	struct conf_why		 why;
	char			 text[LEX_WORD_MAX];
	size_t			 used = 0;
	int			 c, next, bad = -1;

	conf_input_skip(in);
	while ((c = conf_input_peek(in, 0)) != quote) {
		if (c == INPUT_END || c == '\n') {
			(void)conf_fail(&why, "unterminated quote, expected "
			    "%c before the end of the line", quote);
			return lex_bad(lex, w, &why);
		}
		next = conf_input_peek(in, 1);
		if (c == '\\' && (next == quote || next == '\\' ||
		    next == '\n')) {
			conf_input_skip(in);
			c = next;
		}
		conf_input_skip(in);
		if (c == '\n')
			continue;
		if ((c < 0x20 && c != '\t') || c == 0x7f)
			bad = c;
		if (used < sizeof(text))
			text[used++] = (char)c;
	}
	conf_input_skip(in);
	if (bad == -1 && used < sizeof(text)) {
		text[used] = '\0';
		return lex_word(lex, w, LEX_QUOTED, text);
	}
	if (bad != -1)
		(void)conf_fail(&why, "control octet 0x%02x in quotes, "
		    "expected text", (unsigned int)bad);
	else
		(void)conf_fail(&why, "word too long, expected below %d "
		    "octets", LEX_WORD_MAX);
	return lex_bad(lex, w, &why);
}

/* $name: go on in its value.  LEX_WORD when that worked. */
static enum lex_token
lex_expand(struct conf_lex *lex, struct lex_word *w)
{
	struct conf_why		 why;
	struct lex_macro	*m;
	enum lex_token		 token;

	conf_input_skip(&lex->in);
	token = lex_bare(lex, w, lex_is_macro_octet);
	if (token != LEX_WORD)
		return token;
	if (w->text[0] == '\0')
		(void)conf_fail(&why, "$ without a name, expected that of a "
		    "macro");
	else if ((m = lex_find_macro(lex, w->text)) == NULL)
		(void)conf_fail(&why, "macro \"%s\" is not defined, expected "
		    "%s = VALUE before", w->text, w->text);
	else if (conf_input_open_macro(&lex->in, m->value) == -1)
		(void)conf_fail(&why, "out of memory");
	else
		return LEX_WORD;
	return lex_bad(lex, w, &why);
}

/* The innermost source is at its end, and is no macro. */
static enum lex_token
lex_end(struct conf_lex *lex)
{
	if (lex->is_mid_line) {
		lex->is_mid_line = 0;
		return LEX_NEWLINE;
	}
	if (lex->in.source == NULL)
		return LEX_END;
	if (lex->in.source->outer == NULL)
		return LEX_END;		/* stays, for the place of the end */
	conf_input_close(&lex->in);
	return LEX_FILE_END;
}

static enum lex_token
lex_other(struct conf_lex *lex, struct lex_word *w, int c)
{
	char		text[2] = { (char)c, '\0' };
	struct conf_why	why;

	conf_input_skip(&lex->in);
	if (c != '\0' && strchr("{}<>=,", c) != NULL)
		return lex_word(lex, w, LEX_CHAR, text);
	if (c > 0x20 && c < 0x7f)
		(void)conf_fail(&why, "unexpected character %c%s, expected a "
		    "word", c, lex->in.source->is_macro ?
		    " in the value of a macro" : "");
	else
		(void)conf_fail(&why, "unexpected octet 0x%02x, expected a "
		    "word", (unsigned int)c);
	return lex_bad(lex, w, &why);
}

/* Innermost file's place: of a macro's words that is where it is used. */
static void
lex_place(const struct conf_lex *lex, struct lex_word *w)
{
	w->text = "";
	w->place = lex->in.conf->place;
	if (lex->in.source != NULL)
		w->place = lex->in.source->place;
}

enum lex_token
conf_lex_next(struct conf_lex *lex, struct lex_word *w)
{
	struct conf_input	*in = &lex->in;
	int			 c;

	for (;;) {
		lex_skip_blanks(in);
		lex_place(lex, w);
		c = conf_input_peek(in, 0);
		if (c == INPUT_END) {
			if (in->source == NULL || !in->source->is_macro)
				return lex_end(lex);
			conf_input_close(in);
			continue;
		}
		if (c == '\n') {
			conf_input_skip(in);
			lex->is_mid_line = 0;
			return LEX_NEWLINE;
		}
		lex->is_mid_line = 1;
		if (c != '$' || in->source->is_macro)
			break;
		if (lex_expand(lex, w) != LEX_WORD)
			return LEX_BAD;
	}
	if (c == '"' || c == '\'')
		return lex_quoted(lex, w, c);
	if (lex_is_word_octet(c))
		return lex_bare(lex, w, lex_is_word_octet);
	return lex_other(lex, w, c);
}
