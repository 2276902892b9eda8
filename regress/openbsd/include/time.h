#ifndef OPENBSD_TIME_H
#define OPENBSD_TIME_H

/* clock_gettime(2) */
#include <sys/types.h>

struct timespec {
	time_t	tv_sec;
	long	tv_nsec;
};

#define CLOCK_REALTIME	0
#define CLOCK_MONOTONIC	3

int	clock_gettime(clockid_t, struct timespec *);

#endif
