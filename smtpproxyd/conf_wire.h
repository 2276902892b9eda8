#ifndef CONF_WIRE_H
#define CONF_WIRE_H

#include <stddef.h>
#include <stdint.h>

#include "conf.h"

/*
 * The configuration as workers receive it: CONF_BEGIN, numbered records of at
 * most 4 KiB, pieces of files, CONF_END (DECISIONS, configuration snapshot).
 * Only what concerns sessions: host name, relays with their limits, lists,
 * listeners, choices, TLS, and how their destination is found; neither user,
 * chroot nor tables, nor what the parent alone decides: checks, mark,
 * on-failure; and no name of a file.  Layer 2b: this file may include common/
 * only, so it writes and reads octets; who frames them is messages.c's user.
 *
 * A record is its number (u32, from 0) and one or more items, each a kind
 * (u8) and the fields of that kind.  Many items go into one record, so that a
 * large configuration does not fill the queue of a channel.
 */
#define CONF_WIRE_MAX	4096

/*
 * Write the snapshot, one call of `put` for each record, in order.
 *   returns   the number of records, or -1 when put() gave -1, something
 *             does not fit, or a blob is empty: nobody has read its file
 */
typedef int conf_put_fn(void *, const uint8_t *, size_t);
int64_t	conf_wire_write(const struct conf *, conf_put_fn *, void *);

/*
 * The octets of the blobs, which come behind the records: one call of `put`
 * for each piece, in order.
 *   returns   0, or -1 when put() gave -1
 */
#define CONF_WIRE_PIECE	8000	/* octets, at most */
typedef int conf_piece_fn(void *, uint32_t blob, const uint8_t *, size_t);
int	conf_wire_pieces(const struct conf *, conf_piece_fn *, void *);

/*
 * Take one record into a conf made with conf_new(): records in order, else
 * -1; after -1 the conf is good for conf_free() only.  Then the pieces, in
 * order too.  conf_wire_check() after the last: 0, or -1 when something is
 * missing.  wire_next is then the number of records, which CONF_END says too.
 */
int	conf_wire_read(struct conf *, const uint8_t *, size_t);
int	conf_wire_piece(struct conf *, uint32_t blob, const uint8_t *,
	    size_t);
int	conf_wire_check(const struct conf *);

#endif
