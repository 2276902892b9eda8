#ifndef OPENBSD_LIMITS_H
#define OPENBSD_LIMITS_H

#define INT_MAX		0x7fffffff
#define PATH_MAX	1024

#endif
