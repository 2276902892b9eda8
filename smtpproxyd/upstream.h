#ifndef UPSTREAM_H
#define UPSTREAM_H

#include "../common/addr.h"

/*
 * Start a connection that leaves, without waiting for it: the descriptor is
 * handed to the worker at once, which waits until it can be written.  Parent
 * only; a worker has no socket(2).
 *   returns   the descriptor; -1 with errno
 */
int	upstream_connect(const struct addr *);

#endif
