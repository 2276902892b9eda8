#ifndef RELAY_H
#define RELAY_H

#include <stddef.h>
#include <stdint.h>

#include "conf.h"
#include "policy.h"
#include "smtp_engine.h"

/*
 * A relay as the worker uses it: the engine's and the policy's plain settings
 * made from the configuration once, and what this worker noted of its
 * destinations.
 */
#define RELAY_FAILED_MS	30000	/* a dead destination is skipped that long */

struct relay {
	const struct conf_relay	*conf;		/* borrowed */
	struct smtp_settings	 smtp;
	struct policy_settings	 policy;
	const char		*mechs[CONF_LIST_MAX + 1];
	const char		*verbs[CONF_LIST_MAX + 1];
	int64_t			*failed_until_ms;	/* of each choice */
};

/*
 * Relays of a whole configuration, by number; the configuration is borrowed.
 * NULL without memory.
 */
struct relay	*relays_new(const struct conf *);
void		 relays_free(struct relay *, size_t n);

/* Note that a choice failed, or that it works again. */
void	relay_set_failed(struct relay *, uint32_t choice, int64_t now_ms);
void	relay_set_works(struct relay *, uint32_t choice);

/*
 * The choice to take now, at or after `choice`: the first that has not failed
 * lately; where all are noted, `choice` itself.  conf->nchoices: none is left.
 */
uint32_t relay_choose(const struct relay *, uint32_t choice, int64_t now_ms);

#endif
