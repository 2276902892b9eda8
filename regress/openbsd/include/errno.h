#ifndef OPENBSD_ERRNO_H
#define OPENBSD_ERRNO_H

/* errno(2) */
int	*__errno(void);
#define errno		(*__errno())

#define ENOENT		2
#define EINTR		4
#define EBADF		9
#define ENOMEM		12
#define EINVAL		22
#define EAGAIN		35
#define ENOTCONN	57
#define ECONNREFUSED	61
#define ENOTSUP		91
#define E2BIG		7
#define ENAMETOOLONG	63

#endif
