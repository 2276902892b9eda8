#ifndef OPENBSD_SYS_TYPES_H
#define OPENBSD_SYS_TYPES_H

#include <stddef.h>
#include <stdint.h>

/* amd64. */
typedef long		ssize_t;
typedef long long	time_t;
typedef long long	off_t;
typedef int		pid_t;
typedef uint32_t	uid_t;
typedef uint32_t	gid_t;
typedef uint32_t	mode_t;
typedef uint32_t	socklen_t;
typedef int		clockid_t;
typedef uint8_t		sa_family_t;

#endif
