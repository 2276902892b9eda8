#ifndef OPENBSD_NETINET_IN_H
#define OPENBSD_NETINET_IN_H

/* inet(4), inet6(4) */
#include <sys/types.h>

#define IPPROTO_TCP	6

uint16_t	htons(uint16_t);
uint16_t	ntohs(uint16_t);

/* inet(4), inet6(4): addresses in network byte order. */
struct in_addr {
	uint32_t	s_addr;
};

struct in6_addr {
	uint8_t		s6_addr[16];
};

struct sockaddr_in {
	uint8_t		sin_len;
	uint8_t		sin_family;
	uint16_t	sin_port;
	struct in_addr	sin_addr;
	int8_t		sin_zero[8];
};

struct sockaddr_in6 {
	uint8_t		sin6_len;
	uint8_t		sin6_family;
	uint16_t	sin6_port;
	uint32_t	sin6_flowinfo;
	struct in6_addr	sin6_addr;
	uint32_t	sin6_scope_id;
};

#endif
