#ifndef OPENBSD_STRING_H
#define OPENBSD_STRING_H

#include <sys/types.h>

void	*memcpy(void *, const void *, size_t);
void	*memset(void *, int, size_t);
char	*strchr(const char *, int);
size_t	 strcspn(const char *, const char *);
size_t	 strlcpy(char *, const char *, size_t);
size_t	 strlen(const char *);

#endif
