#ifndef CONF_INT_H
#define CONF_INT_H

#include "conf.h"

/*
 * What the files of the configuration share, and no other module calls.
 */

/*
 * Letters, digits and "._-", below size octets: names stand in log lines as
 * they are.  0, or -1 with why.
 */
int	conf_check_name(const char *, size_t size, const char *what,
	    struct conf_why *);

/*
 * Set a bit of is_set: a thing said twice is a mistake that would otherwise
 * stay unseen.
 */
int	conf_set_once(uint32_t *is_set, unsigned int bit, const char *name,
	    struct conf_why *);

/* --- conf_finish.c, conf_finish_ways.c, conf_finish_tls.c. --- */

struct finish {
	struct conf		*conf;
	const struct conf_hooks	*hooks;		/* never NULL */
	void			*arg;		/* of the hooks */
	conf_say_fn		*say;
	void			*say_arg;
	int			 nerrors;
	size_t			 blob_octets;	/* of all files so far */
};

void	finish_say(struct finish *, const struct conf_place *,
	    const struct conf_why *);

/* Settings of a relay that exclude each other, or need each other. */
void	finish_ways(struct finish *, const struct conf_relay *);

/*
 * What a relay does not say of TLS itself, the numbers of the pkis that it
 * names, and its files of CA certificates.  After finish_pkis(), which reads
 * and checks the certificates and keys, and the global list of ciphers; both
 * before any name is looked up.
 */
void	finish_pkis(struct finish *);
void	finish_tls(struct finish *, struct conf_relay *);

#endif
