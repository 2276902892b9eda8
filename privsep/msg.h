#ifndef MSG_H
#define MSG_H

#include <stddef.h>
#include <stdint.h>

#include "../common/addr.h"

/*
 * One message is one packet of a SOCK_SEQPACKET channel: a fixed header, then
 * fields one after the other, all numbers in network order.
 *
 *	type	2 octets
 *	length	2 octets, header included
 *	id	8 octets: session or request, 0 where the type has none
 *
 * Strings are a 2-octet length and the octets, without a NUL.  An address is
 * its family (0, 4, 6), port, scope and 0, 4 or 16 octets.  No struct is ever
 * copied to the wire.
 */
#define MSG_HEADER	12
#define MSG_MAX		8192	/* OpenBSD's older default socket buffer */
#define MSG_MAX_FD	1024	/* with descriptors: DECISIONS, channels */
#define MSG_FDS_MAX	2

struct msg {
	uint16_t	 type;
	uint64_t	 id;
	const uint8_t	*data;		/* behind the header; borrowed */
	size_t		 len;
	int		 fd[MSG_FDS_MAX]; /* the receiver's to take or close */
	size_t		 nfds;
	/*
	 * From the parent only: the kernel had no room for all descriptors of
	 * the row, so nfds is smaller.  Close what came, give the session up.
	 */
	int		 is_cut;
};

/* Take a descriptor out of a message: it is the caller's then; -1: none. */
int	msg_take_fd(struct msg *, size_t i);
/* Close the descriptors that nobody took. */
void	msg_close_fds(struct msg *);

/*
 * Writer.  The first failure (no room) sticks and msg_finish() tells, so that
 * fields are written without a check each.
 */
struct msg_writer {
	uint8_t	data[MSG_MAX];
	size_t	used;			/* header included */
	int	has_failed;
};

void	msg_start(struct msg_writer *, uint16_t type, uint64_t id);
void	msg_put_u8(struct msg_writer *, uint8_t);
void	msg_put_u16(struct msg_writer *, uint16_t);
void	msg_put_u32(struct msg_writer *, uint32_t);
void	msg_put_u64(struct msg_writer *, uint64_t);
void	msg_put_octets(struct msg_writer *, const void *, size_t);
void	msg_put_str(struct msg_writer *, const char *);
void	msg_put_addr(struct msg_writer *, const struct addr *);
/* Writes the length into the header; -1 when something did not fit. */
int	msg_finish(struct msg_writer *);

/*
 * Reader.  Likewise sticky: after the first field that is short, or no valid
 * value, every read gives 0 or "", and msg_done() tells.
 */
struct msg_reader {
	const uint8_t	*data;
	size_t		 left;
	int		 has_failed;
};

void		msg_reader_init(struct msg_reader *, const struct msg *);
uint8_t		msg_u8(struct msg_reader *);
uint16_t	msg_u16(struct msg_reader *);
uint32_t	msg_u32(struct msg_reader *);
uint64_t	msg_u64(struct msg_reader *);
/* Terminated; fails when it does not fit or has a NUL inside. */
void		msg_str(struct msg_reader *, char *, size_t);
/* Octets in place, borrowed from the message; NULL on failure. */
const uint8_t	*msg_octets(struct msg_reader *, size_t *len);
void		msg_addr(struct msg_reader *, struct addr *);
/* 0 when all was read, nothing is left over and nothing failed; else -1. */
int		msg_done(const struct msg_reader *);

/*
 * Header of a packet as received.
 *   returns   0 with type, id, data and len of *m set; -1 when the packet is
 *             shorter than a header or its length field is another
 */
int	msg_parse_header(struct msg *m, const uint8_t *, size_t);

#endif
