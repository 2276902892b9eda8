#ifndef OPENBSD_NET_IF_H
#define OPENBSD_NET_IF_H

/* pf(4) wants it before <net/pfvar.h>. */
#define IFNAMSIZ	16

#endif
