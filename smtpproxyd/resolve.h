#ifndef RESOLVE_H
#define RESOLVE_H

#include "conf.h"

/*
 * Process: resolve, short-lived.  Looks up host names of the configuration
 * with getaddrinfo(3) as the unprivileged user, so that root reads no answer
 * from the network, and ends with its channel.
 */
_Noreturn void	resolve_main(int fd);

/*
 * Parent's side, before service starts (resolve_ask.c).  The path is borrowed;
 * user NULL: that of the configuration.  Started by an ordinary user, the
 * child runs as that one.  resolver_free() ends the child; after it
 * proc_parent_init() may be called for the service.
 */
#define RESOLVER_WAIT_MS	30000	/* for one name */
struct resolver;
struct resolver	*resolver_new(const char *self_path, const char *user);
void		 resolver_free(struct resolver *);
/* For the tests. */
void		 resolver_set_wait(struct resolver *, int64_t wait_ms);

/*
 * A conf_resolve_fn that blocks; arg is a struct resolver.  The child is
 * started at the first use.
 */
int	resolver_lookup(void *, const struct conf *, const char *host,
	    struct addr *, size_t *n, struct conf_why *);

#endif
