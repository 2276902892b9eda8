#ifndef LISTEN_H
#define LISTEN_H

#include "../common/addr.h"
#include "conf.h"

/*
 * A listening socket: bound, IPV6_V6ONLY, non-blocking, with the options that
 * accepted sockets inherit (TCP_NODELAY, keepalive).  is_divert: it takes
 * connections that the firewall diverts to it (pf divert-to, TPROXY).  Parent
 * only.
 *   returns   the descriptor; -1 with errno, *what the step that failed
 */
int	listen_open(const struct addr *, int is_divert, const char **what);

#endif
