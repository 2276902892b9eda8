#ifndef CONF_SAMPLES_H
#define CONF_SAMPLES_H

#include <stddef.h>

#include "../../smtpproxyd/conf.h"

/* Valid configurations, for every test that needs one. */
extern const char *const	conf_samples[];
extern const size_t		nconf_samples;

/* A conf_resolve_fn that knows a few names of example.org and example.net. */
int	sample_resolve(void *, const struct conf *, const char *,
	    struct addr *, size_t *, struct conf_why *);

/* Collects what is said as "line: text\n" (a conf_say_fn). */
struct sample_said {
	char	text[16384];
};
void	sample_say(void *, const struct conf_place *, const char *);

/*
 * Load a text with both; the conf, or NULL with what was said.  said may be
 * NULL.
 */
struct conf	*sample_load(const char *, size_t, struct sample_said *);

/* All that a worker must know, alike. */
int	conf_is_equal(const struct conf *, const struct conf *);

#endif
