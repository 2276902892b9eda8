#ifndef OPENBSD_SYS_SOCKET_H
#define OPENBSD_SYS_SOCKET_H

/* socket(2), getsockopt(2) */
#include <sys/types.h>

#define SOL_SOCKET	0xffff
#define SO_KEEPALIVE	0x0008
#define SO_LINGER	0x0080
#define SO_BINDANY	0x1000
#define SO_RTABLE	0x1021
#define AF_INET		2
#define AF_INET6	24

struct sockaddr {
	uint8_t		sa_len;
	uint8_t		sa_family;
	char		sa_data[14];
};

/* Large enough for each; the fields behind are not used here. */
struct sockaddr_storage {
	uint8_t		ss_len;
	uint8_t		ss_family;
	char		ss_data[254];
};

struct linger {
	int	l_onoff;
	int	l_linger;
};

int	getsockopt(int, int, int, void *, socklen_t *);
int	setsockopt(int, int, int, const void *, socklen_t);
int	getsockname(int, struct sockaddr *, socklen_t *);

#endif
