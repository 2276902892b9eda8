#ifndef CONF_WIRE_INT_H
#define CONF_WIRE_INT_H

#include <stddef.h>
#include <stdint.h>

#include "conf_wire.h"

/*
 * What conf_wire.c (records, relays, choices) and conf_wire_tls.c (blobs,
 * pkis, listeners, what relays say of TLS) share, and no other module calls.
 */
#define WIRE_ITEM_MAX	3072	/* a relay with full lists has about 2,150 */

enum wire_kind {
	WIRE_NONE = 0,
	WIRE_CONF,		/* the first item, and once */
	WIRE_BLOB,		/* all of them, behind it */
	WIRE_PKI,		/* likewise */
	WIRE_RELAY,
	WIRE_LISTENER,		/* of the relay before it */
	WIRE_CHOICE		/* likewise, behind its listeners */
};

struct wire_item {
	uint8_t	data[WIRE_ITEM_MAX];
	size_t	used;
	int	has_failed;
};

struct wire_out {
	conf_put_fn	*put;
	void		*arg;
	uint32_t	 number;		/* of the record begun */
	struct wire_item item;			/* being made */
	uint8_t		 record[CONF_WIRE_MAX];
	size_t		 used;
	int		 has_failed;
};

void	wire_start_item(struct wire_out *, enum wire_kind);
void	wire_end_item(struct wire_out *);
/* A number of n octets, most significant first. */
void	wire_put(struct wire_item *, uint64_t, size_t n);
void	wire_put_str(struct wire_item *, const char *);
void	wire_put_addr(struct wire_item *, const struct addr *);

/* Reader: the first failure sticks. */
struct wire_in {
	const uint8_t	*data;
	size_t		 left;
	int		 has_failed;
};

uint64_t wire_get(struct wire_in *, size_t n);
/* One octet, of a few values from 0 on. */
uint64_t wire_get_upto(struct wire_in *, uint64_t max);
void	wire_get_str(struct wire_in *, char *, size_t);
/* With a port; no multicast. */
void	wire_get_addr(struct wire_in *, struct addr *);

/* --- conf_wire_tls.c: each reads what its twin has written. --- */

void	wire_put_files(struct wire_out *, const struct conf *);
void	wire_get_blob(struct conf *, struct wire_in *);
void	wire_get_pki(struct conf *, struct wire_in *);

/* What a relay says of TLS and of who its clients are. */
void	wire_put_tls(struct wire_item *, const struct conf_relay *);
void	wire_get_tls(const struct conf *, struct wire_in *,
	    struct conf_relay *);

void	wire_put_listeners(struct wire_out *, const struct conf_relay *);
void	wire_get_listener(struct conf *, struct wire_in *);

#endif
