#ifndef KEYCHECK_H
#define KEYCHECK_H

#include <stddef.h>
#include <stdint.h>

#include "conf.h"

/*
 * Process: keycheck, short-lived.  Parses certificates, keys and cipher lists
 * of the configuration as the keyholder's user, so that root parses none, and
 * ends with its channel.
 */
_Noreturn void	keycheck_main(int fd);

/*
 * Parent's side, before service starts (keycheck_ask.c).  The path is borrowed;
 * user NULL: the keyholder's.  Started by an ordinary user, the child runs as
 * that one.  It is the parent of its child, so no resolver may be in use
 * meanwhile (resolver_free() first), and after keycheck_free(), which ends the
 * child, proc_parent_init() may be called for the service.
 */
#define KEYCHECK_WAIT_MS	30000	/* for one answer */
struct keycheck;
struct keycheck	*keycheck_new(const char *self_path, const char *user);
void		 keycheck_free(struct keycheck *);
/* For the tests. */
void		 keycheck_set_wait(struct keycheck *, int64_t wait_ms);

/*
 * Do a file of certificates, its own first, and one of a private key parse,
 * match, and have a type that works here?  Is a file of CA certificates one?
 * Is a cipher list (TLS 1.2) one?  Each blocks; the child is started at the
 * first.
 *   octets    borrowed; at most CONF_BLOB_MAX, of a key KEY_FILE_MAX; not empty
 *   returns   0, or -1 with why: the child's own words, without a file's name,
 *             or what kept it from answering
 */
int	keycheck_pair(struct keycheck *, const uint8_t *cert, size_t certlen,
	    const uint8_t *key, size_t keylen, struct conf_why *);
int	keycheck_ca(struct keycheck *, const uint8_t *, size_t,
	    struct conf_why *);
int	keycheck_ciphers(struct keycheck *, const char *, struct conf_why *);

#endif
