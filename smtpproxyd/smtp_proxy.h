#ifndef SMTP_PROXY_H
#define SMTP_PROXY_H

#include <stddef.h>
#include <stdint.h>

#include "../common/addr.h"

/*
 * The PROXY header that a load balancer in front puts before everything else
 * (haproxy's proxy-protocol.txt, versions 1 and 2).  Pure; one parser for
 * octets of outside.  Part of the engine.
 */
enum smtp_proxy_result {
	PROXY_MORE = 0,		/* not complete yet */
	PROXY_OK,
	PROXY_BAD		/* none, or not well-formed: *why */
};

#define SMTP_PROXY_HEADER_MAX	(16 + 4096)	/* version 2 with TLVs */

struct smtp_proxy {
	size_t		len;		/* octets of the header */
	int		is_local;	/* LOCAL, UNKNOWN: no addresses */
	struct addr	client;
	struct addr	local;		/* where the client connected to */
	const char	*why;		/* PROXY_BAD: constant text */
};

/*
 * Look at what has come so far, from the first octet on.  Version 1: at most
 * 107 octets with CRLF, TCP4, TCP6 or UNKNOWN; IPv6 in any of its texts, as
 * senders write it, without a scope.  Version 2: LOCAL; PROXY with TCP over
 * IPv4 or IPv6 (UDP, UNIX and unspecified ones count as is_local: accepted,
 * without addresses); every length and TLV length is checked, unknown TLVs are
 * skipped, a CRC32C TLV is checked; more than SMTP_PROXY_HEADER_MAX octets are
 * PROXY_BAD.  Of LOCAL and of an unspecified family or transport the document
 * leaves nothing to read behind the length: it is skipped as it is.  An octet
 * that no header can have there is PROXY_BAD at once.  A v4-mapped address is
 * taken as it is.
 *   returns   PROXY_OK: all but why is set.  PROXY_MORE: nothing is
 *             set, call again with these octets and more.  PROXY_BAD: why
 *             alone is set
 */
enum smtp_proxy_result	smtp_proxy_parse(struct smtp_proxy *, const uint8_t *,
			    size_t);

#endif
