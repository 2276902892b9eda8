#ifndef OPENBSD_FCNTL_H
#define OPENBSD_FCNTL_H

/* fcntl(2) */
#define F_GETFD		1
#define F_SETFD		2
#define F_GETFL		3
#define F_SETFL		4
#define FD_CLOEXEC	1
#define O_RDONLY	0x0000
#define O_RDWR		0x0002
#define O_NONBLOCK	0x0004
#define O_CLOEXEC	0x10000

int	fcntl(int, int, ...);
int	open(const char *, int, ...);

#endif
