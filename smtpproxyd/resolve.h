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
 * Parent's side, before service starts: a blocking conf_resolve_fn that
 * starts the child at its first use and asks it; arg is a struct resolver.
 */
struct resolver;
struct resolver	*resolver_new(const char *self_path, const char *user);
void		 resolver_free(struct resolver *);
int		 resolver_lookup(void *, const char *host, struct addr *,
		    size_t *n, struct conf_why *);

#endif
