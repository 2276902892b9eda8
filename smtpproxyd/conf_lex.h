#ifndef CONF_LEX_H
#define CONF_LEX_H

#include <stddef.h>

#include "conf.h"
#include "conf_input.h"

/*
 * The lexer of the configuration: octets to words.  It knows quotes, macros,
 * include, comments, continuation and line numbers, but no keyword.  Texts of
 * words live in an arena until conf_lex_free(), so that the parser may drop
 * them anywhere.
 */
#define LEX_WORD_MAX	1024		/* with NUL; a macro's value too */

enum lex_token {
	LEX_END = 0,		/* of the file that was given */
	LEX_FILE_END,		/* of one that was included */
	LEX_NEWLINE,
	LEX_WORD,
	LEX_QUOTED,		/* a word that can't be a keyword */
	LEX_CHAR,		/* one of { } < > = and comma: text[0] */
	LEX_BAD			/* said already */
};

struct lex_word {
	const char		*text;	/* "" for the ends and newlines */
	struct conf_place	 place;
};

struct conf_lex;

/*
 * Places of words and names of files belong to the conf.  Errors of the lexer
 * go to `say`; conf_lex_nerrors() counts them.  read NULL: nothing can be
 * included.  NULL without memory.
 */
struct conf_lex	*conf_lex_new(struct conf *, input_read_fn *, void *read_arg,
		    conf_say_fn *, void *say_arg);
void		 conf_lex_free(struct conf_lex *);
int		 conf_lex_nerrors(const struct conf_lex *);

/* To open files. */
struct conf_input	*conf_lex_input(struct conf_lex *);

/*
 * Define a macro, or define it anew.  A lasting one (-D) can't be: the later
 * definition is dropped without an error.  The value is read when it is used,
 * and may be several words.
 *   returns   0, or -1 with why
 */
int	conf_lex_set_macro(struct conf_lex *, const char *name,
	    const char *value, int is_lasting, struct conf_why *);

/*
 * The next token; *w is filled in for each.  A file whose last line has no
 * newline gets one.
 */
enum lex_token	conf_lex_next(struct conf_lex *, struct lex_word *w);

/* Memory until conf_lex_free(), zeroed; NULL without. */
void	*conf_lex_alloc(struct conf_lex *, size_t);

#endif
