#ifndef OPENBSD_NET_PFVAR_H
#define OPENBSD_NET_PFVAR_H

/* pf(4): DIOCNATLOOK */
#include <sys/types.h>
#include <sys/ioctl.h>
#include <netinet/in.h>

enum { PF_INOUT, PF_IN, PF_OUT, PF_FWD };

struct pf_addr {
	union {
		struct in_addr	v4;
		struct in6_addr	v6;
		uint8_t		addr8[16];
		uint16_t	addr16[8];
		uint32_t	addr32[4];
	} pfa;
};

struct pfioc_natlook {
	struct pf_addr	saddr;
	struct pf_addr	daddr;
	struct pf_addr	rsaddr;
	struct pf_addr	rdaddr;
	uint16_t	rdomain;
	uint16_t	rrdomain;
	uint16_t	sport;
	uint16_t	dport;
	uint16_t	rsport;
	uint16_t	rdport;
	sa_family_t	af;
	uint8_t		proto;
	uint8_t		direction;
};

#define DIOCNATLOOK	_IOWR('D', 23, struct pfioc_natlook)

#endif
