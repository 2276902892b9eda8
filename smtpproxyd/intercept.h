#ifndef INTERCEPT_H
#define INTERCEPT_H

#include "../common/addr.h"
#include "conf.h"

/*
 * Where an intercepted connection was going, and whether it may go there.
 * Parent only: the answers of the kernel and the configuration decide, no
 * octet of a peer is read.
 */

/*
 * The original destination of an accepted connection, by the relay's way.
 *   fd, client   the accepted socket and its peer
 *   returns   0; -1 with *why (constant text)
 * pf(4) DIOCNATLOOK, Linux SO_ORIGINAL_DST, getsockname(2).
 */
int	intercept_find(const struct conf_relay *, int fd,
	    const struct addr *client, struct addr *original,
	    const char **why);

/*
 * The same for a relay that need not know: the firewall's word, else the
 * address that the connection reached.
 *   returns   0; -1 when neither can be had
 */
int	intercept_guess(int fd, const struct addr *client, struct addr *);

/*
 * Why this destination is refused, constant text, or NULL: one of our
 * listeners or an address of this host on a port that we listen on (a loop,
 * or a direct connect), loopback, unspecified, multicast or broadcast, or not
 * among those that the relay's tables allow.
 */
const char	*intercept_refusal(const struct conf *,
		    const struct conf_relay *, const struct addr *original);

/* Is this client's session passed through unseen? */
int	intercept_is_bypass(const struct conf_relay *,
	    const struct addr *client);

/*
 * What can be checked before anything is started: capabilities, /dev/pf,
 * connection tracking, the address of a diverting listener.  Each finding is
 * said with the place in the configuration and what to mend.
 *   returns   how many findings there were
 */
int	intercept_check(const struct conf *, conf_say_fn *, void *arg);

#endif
