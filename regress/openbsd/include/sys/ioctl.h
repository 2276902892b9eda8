#ifndef OPENBSD_SYS_IOCTL_H
#define OPENBSD_SYS_IOCTL_H

/* ioctl(2); how a request is put together: <sys/ioccom.h> */
#define _IOWR(group, number, type)					\
	(0xc0000000UL | ((sizeof(type) & 0x1fffUL) << 16) |		\
	    ((unsigned long)(group) << 8) | (unsigned long)(number))

int	ioctl(int, unsigned long, ...);

#endif
