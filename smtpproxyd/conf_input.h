#ifndef CONF_INPUT_H
#define CONF_INPUT_H

#include <sys/types.h>

#include <stddef.h>

#include "conf.h"

/*
 * Where the lexer's octets come from: the file that was given, those that it
 * includes, and values of macros, one within the other.  All is in memory.
 */
#define INPUT_FILE_MAX	(4 * 1024 * 1024)
#define INPUT_DEPTH_MAX	16		/* includes within includes */
#define INPUT_FILES_MAX	256		/* files read in all */
#define INPUT_PATH_MAX	1024
#define INPUT_END	(-1)

/* A file in memory, as a reader gives it. */
struct input_text {
	char	*data;			/* malloc'd, the taker's from then on */
	size_t	 len;
	dev_t	 dev;			/* both 0: no file */
	ino_t	 ino;
};

/* 0, or -1 with why. */
typedef int input_read_fn(void *, const char *path, struct input_text *,
	    struct conf_why *);

struct input_source {
	struct input_source	*outer;
	char			*data;
	size_t			 len;
	size_t			 pos;
	struct conf_place	 place;		/* of the octet at pos */
	dev_t			 dev;
	ino_t			 ino;
	int			 is_macro;	/* data is borrowed */
};

struct conf_input {
	struct conf		*conf;		/* keeps the names of files */
	input_read_fn		*read;
	void			*read_arg;
	struct input_source	*source;	/* innermost; NULL: all read */
	unsigned int		 depth;		/* files that are open */
	unsigned int		 nfiles;	/* files ever opened */
};

/*
 * Read a file of the configuration: a regular file of root or of the caller
 * that nobody else may write.
 */
int	conf_input_read_file(void *, const char *path, struct input_text *,
	    struct conf_why *);

/* The conf is borrowed; read NULL: no file can be opened. */
void	conf_input_init(struct conf_input *, struct conf *, input_read_fn *,
	    void *read_arg);
void	conf_input_clear(struct conf_input *);

/*
 * Go on in a file, or in text as if it were one, until its end.  The first
 * one is conf.place.  include: a relative path begins where the including
 * file is.
 *   returns   0, or -1 with why
 */
int	conf_input_open(struct conf_input *, const char *path,
	    struct conf_why *);
int	conf_input_include(struct conf_input *, const char *path,
	    struct conf_why *);
int	conf_input_open_text(struct conf_input *, const char *name,
	    const char *, size_t, struct conf_why *);

/* Likewise in the value of a macro, which must last.  -1 without memory. */
int	conf_input_open_macro(struct conf_input *, const char *value);

/* Leave the innermost source; there is one. */
void	conf_input_close(struct conf_input *);

/*
 * An octet of the innermost source without taking it (ahead 0: the next one),
 * INPUT_END behind its last; and take the next one.
 */
int	conf_input_peek(const struct conf_input *, size_t ahead);
void	conf_input_skip(struct conf_input *);

#endif
