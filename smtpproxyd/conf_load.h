#ifndef CONF_LOAD_H
#define CONF_LOAD_H

#include "conf.h"

/*
 * Read a configuration file (parse.y, conf_lex.c).  Macros of the command line
 * (-D) are set with conf_load_macro() before.  Every error goes to standard
 * error as "file:line: what, and what was expected"; reading goes on after
 * one.  A file must belong to root or the caller and must not be
 * writable for others.
 *   hooks, arg  those of conf_finish()
 *   returns   the configuration, or NULL after at least one error was said
 */
struct conf	*conf_load(const char *path, const struct conf_hooks *,
		    void *arg);

/*
 * "name=value" for every load that follows; a later one of the same name
 * counts.  -1 when it has no '=', the name is none or the value can't be one.
 */
int		 conf_load_macro(const char *);
void		 conf_load_forget_macros(void);

/*
 * The same from memory, for tests: `name` stands for the file, nothing can be
 * included, and errors go to `say`.
 */
struct conf	*conf_load_text(const char *name, const char *, size_t,
		    const struct conf_hooks *, void *arg, conf_say_fn *,
		    void *say_arg);
/* The same from a file, with errors to `say`. */
struct conf	*conf_load_file(const char *path, const struct conf_hooks *,
		    void *arg, conf_say_fn *, void *say_arg);

#endif
