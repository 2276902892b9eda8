#ifndef CONF_PARSE_H
#define CONF_PARSE_H

#include "conf.h"
#include "conf_lex.h"

/*
 * Read all that the lexer has into the conf; conf_finish() comes after it.
 * Not reentrant (yacc).
 *   returns   number of errors, each said through `say`
 */
int	conf_parse(struct conf *, struct conf_lex *, conf_say_fn *, void *);

#endif
