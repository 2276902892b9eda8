#ifndef UPSTREAM_H
#define UPSTREAM_H

#include "../common/addr.h"

/*
 * Start a connection that leaves, without waiting for it: the descriptor is
 * handed to the worker at once, which waits until it can be written.  Parent
 * only; a worker has no socket(2).  Everything in the struct comes from the
 * parent's own record of the session.
 *   returns   the descriptor, with the address that it leaves from in
 *             *source (family 0 where the system would not say); -1 with
 *             errno, *what the step that failed and what to mend (constant)
 * A source of another family than the destination: EAFNOSUPPORT.
 */
struct upstream {
	const struct addr	*dest;
	const struct addr	*client;	/* leave with its address;
						 * NULL: with ours */
	uint32_t		 mark;		/* 0: none */
};
int	upstream_connect(const struct upstream *, struct addr *source,
	    const char **what);

#endif
