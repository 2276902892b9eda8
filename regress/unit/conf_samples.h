#ifndef CONF_SAMPLES_H
#define CONF_SAMPLES_H

#include <stddef.h>

#include "../../smtpproxyd/conf.h"

/* Valid configurations, for every test that needs one. */
extern const char *const	conf_samples[];
extern const size_t		nconf_samples;

/*
 * Hooks without a system behind them: a few names of example.org and
 * example.net resolve; a file has its own path for octets, one in a folder
 * "none" is not there.  A pair whose two paths differ in more than their last
 * three octets does not match; a file in "bad" has no CA certificates; "BAD"
 * is no list of ciphers.  The argument is unused.
 */
extern const struct conf_hooks	sample_hooks;

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
