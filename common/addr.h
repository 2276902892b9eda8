#ifndef ADDR_H
#define ADDR_H

#include <sys/types.h>
#include <sys/socket.h>

#include <stddef.h>
#include <stdint.h>

/*
 * A socket address in 24 octets: the parent keeps one or more for every
 * session, and a struct sockaddr_storage has 128.
 */
struct addr {
	uint8_t		family;		/* AF_INET, AF_INET6, 0: none */
	uint16_t	port;		/* host byte order, 0: none */
	uint32_t	scope;		/* IPv6 scope id, 0: none */
	uint8_t		ip[16];		/* network order; IPv4: first four */
};

/* An address block; length in bits. */
struct addr_block {
	struct addr	net;		/* port unused, host bits zero */
	uint8_t		length;		/* 0..32 or 0..128 */
};

/* "[2001:db8::1%4294967295]:65535" and its NUL. */
#define ADDR_TEXT_MAX	64

/*
 * Read a numeric address, IPv4 dotted quad or IPv6 (a "%scope" may follow,
 * an interface name or a number above 0).  No name is ever looked up.
 *   returns   0, or -1 when the text is no address
 */
int	addr_parse(struct addr *, const char *);

/*
 * Read "address" or "address/length"; without a length the block is the one
 * address.  -1 also when a bit outside the length is set.
 */
int	addr_block_parse(struct addr_block *, const char *);

/*
 * Does the block hold the address?  Families that differ never match, nor does
 * another scope when the block has one.
 */
int	addr_block_has(const struct addr_block *, const struct addr *);

/*
 * To and from the system's form.  A v4-mapped IPv6 address is taken as it
 * is: listeners are IPV6_V6ONLY, so none should arrive.
 *   addr_from_sockaddr   -1 for a family other than AF_INET and AF_INET6
 *   addr_to_sockaddr     returns the length for bind(2) and connect(2), 0
 *                        where there is no address
 */
int		addr_from_sockaddr(struct addr *, const struct sockaddr *);
socklen_t	addr_to_sockaddr(const struct addr *,
		    struct sockaddr_storage *);

/*
 * Write "192.0.2.1:25" or "[2001:db8::1]:25"; without a port (0) the plain
 * address.  Always terminated; returns its second argument, which must have
 * ADDR_TEXT_MAX octets.  "none" where there is no address.
 */
const char	*addr_text(const struct addr *, char *);

/* The same without the port. */
const char	*addr_text_host(const struct addr *, char *);

/* Address, scope and port alike. */
int	addr_is_equal(const struct addr *, const struct addr *);
/* Address and scope alike, whatever the ports. */
int	addr_is_same_host(const struct addr *, const struct addr *);
/*
 * What a connection to it would reach: v4-mapped addresses count as the IPv4
 * address inside.
 */
int	addr_is_unspecified(const struct addr *);
int	addr_is_loopback(const struct addr *);
int	addr_is_multicast(const struct addr *);	/* or IPv4 broadcast */

#endif
