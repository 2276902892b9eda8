#ifndef OPENBSD_STDIO_H
#define OPENBSD_STDIO_H

#include <sys/types.h>

int	snprintf(char *, size_t, const char *, ...)
	    __attribute__((__format__ (printf, 3, 4)));

#endif
