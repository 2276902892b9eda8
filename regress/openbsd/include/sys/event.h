#ifndef OPENBSD_SYS_EVENT_H
#define OPENBSD_SYS_EVENT_H

/* kqueue(2) */
#include <sys/types.h>

struct timespec;

struct kevent {
	uintptr_t	 ident;
	short		 filter;
	unsigned short	 flags;
	unsigned int	 fflags;
	int64_t		 data;
	void		*udata;
};

#define EVFILT_READ	(-1)
#define EVFILT_WRITE	(-2)
#define EV_ADD		0x0001
#define EV_DELETE	0x0002
#define EV_ENABLE	0x0004
#define EV_DISABLE	0x0008
#define EV_ONESHOT	0x0010
#define EV_CLEAR	0x0020
#define EV_DISPATCH	0x0080
#define EV_ERROR	0x4000
#define EV_EOF		0x8000

#define EV_SET(kev, a, b, c, d, e, f) do {	\
	(kev)->ident = (a);			\
	(kev)->filter = (b);			\
	(kev)->flags = (c);			\
	(kev)->fflags = (d);			\
	(kev)->data = (e);			\
	(kev)->udata = (f);			\
} while (0)

int	kqueue(void);
int	kevent(int, const struct kevent *, int, struct kevent *, int,
	    const struct timespec *);

#endif
