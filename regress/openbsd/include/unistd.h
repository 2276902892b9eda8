#ifndef OPENBSD_UNISTD_H
#define OPENBSD_UNISTD_H

/* access(2), closefrom(2), pledge(2), unveil(2) */
#include <sys/types.h>

#define X_OK	0x01

int	access(const char *, int);
int	close(int);
int	closefrom(int);
pid_t	getpid(void);
int	pledge(const char *, const char *);
int	unveil(const char *, const char *);

#endif
