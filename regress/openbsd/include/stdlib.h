#ifndef OPENBSD_STDLIB_H
#define OPENBSD_STDLIB_H

#include <sys/types.h>

char	*getenv(const char *);
char	*realpath(const char *, char *);
void	 setproctitle(const char *, ...)
	    __attribute__((__format__ (printf, 1, 2)));

#endif
