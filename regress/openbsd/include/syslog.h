#ifndef OPENBSD_SYSLOG_H
#define OPENBSD_SYSLOG_H

/* syslog(3), sendsyslog(2) */
#include <sys/types.h>

#define LOG_ERR		3
#define LOG_WARNING	4
#define LOG_INFO	6
#define LOG_DEBUG	7
#define LOG_MAIL	(2 << 3)
#define LOG_FACMASK	0x03f8

int	sendsyslog(const char *, size_t, int);

#endif
