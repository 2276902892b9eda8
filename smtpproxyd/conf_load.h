#ifndef CONF_LOAD_H
#define CONF_LOAD_H

#include "conf.h"

/*
 * Read a configuration file (parse.y, conf_lex.c).  Macros of the command line
 * (-D) are set with conf_load_macro() before.  Every error goes to standard
 * error, or the log, as "file:line: what, and what was expected"; reading goes
 * on after one.  A file must belong to root or the caller and must not be
 * writable for others.
 *   returns   the configuration, or NULL after at least one error was said
 */
struct conf	*conf_load(const char *path, conf_resolve_fn *, void *);

/* "name=value"; -1 when it has no '=' or the name is none. */
int		 conf_load_macro(const char *);

#endif
