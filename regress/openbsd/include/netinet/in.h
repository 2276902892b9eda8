#ifndef OPENBSD_NETINET_IN_H
#define OPENBSD_NETINET_IN_H

/* inet(4), inet6(4) */
#include <sys/types.h>

#define IPPROTO_TCP	6

struct in_addr {
	uint32_t	s_addr;
};
struct in6_addr {
	uint8_t		s6_addr[16];
};

uint16_t	htons(uint16_t);
uint16_t	ntohs(uint16_t);

#endif
