/*
 * Settings of a relay that exclude each other, or need each other.  Parent
 * only, when the whole configuration is read.  Most of what is refused here
 * would work in some way, and not in the one that its author believes: mail
 * would go in clear, or unseen, or under another's address.
 */
#include "conf_int.h"

static void
ways_say(struct finish *f, const struct conf_place *place, const char *what,
    const char *expected)
{
	struct conf_why	why;

	(void)conf_fail(&why, "%s, expected %s", what, expected);
	finish_say(f, place, &why);
}

/*
 * A listener that connections are diverted to has their destination as its
 * own address; one that they are redirected to has not.  Taken for the other
 * kind, every session would be refused.
 */
static void
ways_divert(struct finish *f, const struct conf_relay *r,
    const struct conf_listener *l)
{
	int	is_divert = r->forward == FORWARD_DESTINATION;

	if (r->forward == FORWARD_FIXED || l->is_divert == is_divert)
		return;
	if (is_divert)
		ways_say(f, &l->place, "the relay forwards to destination",
		    "listen on ADDRESS port PORT divert");
	else
		ways_say(f, &l->place, "the relay forwards to nat lookup",
		    "listen on ADDRESS port PORT without divert");
}

static void
ways_listener_tls(struct finish *f, const struct conf_relay *r,
    const struct conf_listener *l)
{
	if (l->tls.mode == TLS_OFF)
		return;
	if (r->forward != FORWARD_FIXED)
		ways_say(f, &l->place, "TLS on a listener of a relay that "
		    "intercepts", "starttls terminate in a line of its own");
	else if (r->starttls == STARTTLS_PASS)
		ways_say(f, &l->place, "TLS on a listener beside starttls "
		    "pass", "one of them");
	/* The destination is connected to after the handshake, too late. */
	if (l->tls.mode == TLS_IMPLICIT &&
	    r->identity == CONF_IDENTITY_PROXY_V2 &&
	    r->on_failure == ON_FAILURE_RESET)
		ways_say(f, &l->place, "smtps beside identity proxy-v2 and "
		    "on-failure reset", "on-failure reply");
}

/* What stands behind a load balancer is neither intercepted nor hidden. */
static void
ways_listener_proxied(struct finish *f, const struct conf_relay *r,
    const struct conf_listener *l)
{
	if (l->proxied.table[0] == '\0')
		return;
	if (r->forward != FORWARD_FIXED)
		ways_say(f, &l->place, "proxy-protocol in a relay that "
		    "intercepts", "it with fixed destinations only");
	else if (l->is_divert)
		ways_say(f, &l->place, "proxy-protocol on a listener with "
		    "divert", "one of them");
	if (r->is_transparent)
		ways_say(f, &l->place, "proxy-protocol beside transparent",
		    "one of them");
	/* Nobody is there to be reset: the balancer has answered long ago. */
	if (r->on_failure == ON_FAILURE_RESET)
		ways_say(f, &l->place, "proxy-protocol beside on-failure "
		    "reset", "on-failure reply");
	if (r->bypass.table[0] != '\0')
		ways_say(f, &l->place, "proxy-protocol beside bypass, which "
		    "would take the balancer for the client", "one of them");
}

static void
ways_starttls(struct finish *f, const struct conf_relay *r)
{
	if (r->forward != FORWARD_FIXED)
		return;
	if (r->starttls == STARTTLS_TERMINATE)
		ways_say(f, &r->starttls_place, "starttls terminate with a "
		    "fixed destination", "tls in listen on and in forward "
		    "to");
	if (r->starttls == STARTTLS_PASS && r->tls.mode != DEST_TLS_OFF)
		ways_say(f, &r->starttls_place, "starttls pass beside TLS of "
		    "a forward line", "one of them");
}

/* Nobody tells a server on the Internet whose client this is. */
static void
ways_identity(struct finish *f, const struct conf_relay *r)
{
	if (r->identity == CONF_IDENTITY_NONE)
		return;
	if (r->forward != FORWARD_FIXED)
		ways_say(f, &r->identity_place, "identity in a relay that "
		    "intercepts", "it with fixed destinations only");
	else if (r->is_transparent)
		ways_say(f, &r->identity_place, "identity beside transparent, "
		    "which shows the client already", "one of them");
}

/* Octets that pass unread get no TLS, and no word of who sends them. */
static void
ways_bypass(struct finish *f, const struct conf_relay *r)
{
	const struct conf_listener	*l;
	int				 has_tls;

	if (r->bypass.table[0] == '\0' || r->forward != FORWARD_FIXED)
		return;
	has_tls = r->tls.mode != DEST_TLS_OFF;
	for (l = r->listeners; l != NULL; l = l->next)
		if (l->tls.mode != TLS_OFF)
			has_tls = 1;
	if (has_tls)
		ways_say(f, &r->bypass.place, "bypass in a relay with TLS, "
		    "which these clients would not get", "a relay of their "
		    "own");
	if (r->identity != CONF_IDENTITY_NONE)
		ways_say(f, &r->bypass.place, "bypass beside identity, which "
		    "these clients would not get", "a relay of their own");
}

void
finish_ways(struct finish *f, const struct conf_relay *r)
{
	const struct conf_listener	*l;

	/* What a line that failed would have said nobody knows. */
	for (l = r->listeners; l != NULL; l = l->next) {
		ways_divert(f, r, l);
		if (r->is_broken)
			continue;
		ways_listener_tls(f, r, l);
		ways_listener_proxied(f, r, l);
	}
	if (r->is_broken)
		return;
	ways_starttls(f, r);
	ways_identity(f, r);
	ways_bypass(f, r);
}
