/*
 * The relays of a worker: settings in the form that the engine and the policy
 * take, and the note which destinations failed lately.  Runs in the worker;
 * the configuration comes from the parent and is trusted.
 */
#include "relay.h"

#include <stdlib.h>
#include <string.h>

static void
relay_init_timeouts(struct relay *r)
{
	/* The engine's waits and the configuration's stages are one list. */
	_Static_assert((int)STAGES == (int)SMTP_TIMEOUTS, "stages");
	_Static_assert((int)STAGE_DOT == (int)SMTP_TIMEOUT_DOT, "stages");
	_Static_assert((int)STAGE_SESSION == (int)SMTP_TIMEOUT_SESSION,
	    "stages");
	memcpy(r->smtp.timeout_ms, r->conf->limits.timeout_ms,
	    sizeof(r->smtp.timeout_ms));
}

static void
relay_init_tls(struct relay *r)
{
	const struct conf_relay	*cr = r->conf;

	/* The engine's ways and the configuration's are one list. */
	_Static_assert((int)CONF_IDENTITY_PROXY_V2 ==
	    (int)IDENTITY_PROXY_V2, "identities");
	r->smtp.identity = (enum smtp_identity)cr->identity;
	r->smtp.adds_trace = cr->adds_trace;
	r->smtp.terminates = cr->starttls == STARTTLS_TERMINATE;
	if (r->smtp.terminates || cr->tls.is_implicit)
		return;
	if (cr->tls.mode == DEST_TLS_OPPORTUNISTIC)
		r->smtp.dest_tls = SMTP_DEST_MAY;
	else if (cr->tls.mode != DEST_TLS_OFF)
		r->smtp.dest_tls = SMTP_DEST_MUST;
}

static int
relay_init(struct relay *r, const struct conf *c, const struct conf_relay *cr)
{
	size_t	i;

	r->conf = cr;
	r->smtp.hostname = c->hostname;
	/* Whether TLS holds all the way nobody here can tell. */
	r->smtp.ehlo.remove = EHLO_REQUIRETLS;
	if (cr->starttls == STARTTLS_HIDE)
		r->smtp.ehlo.remove |= EHLO_STARTTLS;
	r->smtp.ehlo.max_size = cr->limits.max_message_size;
	r->smtp.ehlo.max_recipients = cr->limits.max_recipients;
	for (i = 0; i < cr->nauth_mechs; i++)
		r->mechs[i] = cr->auth_mechs[i];
	if (cr->nauth_mechs > 0)
		r->smtp.ehlo.auth_mechs = r->mechs;
	for (i = 0; i < cr->npass_verbs; i++)
		r->verbs[i] = cr->pass_verbs[i];
	if (cr->npass_verbs > 0)
		r->smtp.pass_verbs = r->verbs;
	r->smtp.max_message_size = cr->limits.max_message_size;
	r->smtp.max_errors = cr->limits.max_errors;
	r->smtp.allow_pregreet = cr->pregreet == PREGREET_ALLOW;
	r->smtp.normalize_newlines = cr->newlines == NEWLINES_NORMALIZE;
	relay_init_tls(r);
	relay_init_timeouts(r);
	r->policy.max_recipients = cr->limits.max_recipients;
	r->policy.max_message_size = cr->limits.max_message_size;
	r->failed_until_ms = calloc(cr->nchoices + 1, sizeof(int64_t));
	return r->failed_until_ms == NULL ? -1 : 0;
}

struct relay *
relays_new(const struct conf *c)
{
	const struct conf_relay	*cr;
	struct relay		*r;

	if ((r = calloc(c->nrelays + 1, sizeof(*r))) == NULL)
		return NULL;
	for (cr = c->relays; cr != NULL; cr = cr->next) {
		if (cr->number >= c->nrelays ||
		    relay_init(&r[cr->number], c, cr) == -1) {
			relays_free(r, c->nrelays);
			return NULL;
		}
	}
	return r;
}

void
relays_free(struct relay *r, size_t n)
{
	size_t	i;

	if (r == NULL)
		return;
	for (i = 0; i < n; i++)
		free(r[i].failed_until_ms);
	free(r);
}

void
relay_set_failed(struct relay *r, uint32_t choice, int64_t now_ms)
{
	if (choice < r->conf->nchoices)
		r->failed_until_ms[choice] = now_ms + RELAY_FAILED_MS;
}

void
relay_set_works(struct relay *r, uint32_t choice)
{
	if (choice < r->conf->nchoices)
		r->failed_until_ms[choice] = 0;
}

uint32_t
relay_choose(const struct relay *r, uint32_t choice, int64_t now_ms)
{
	uint32_t	i;

	for (i = choice; i < r->conf->nchoices; i++)
		if (r->failed_until_ms[i] <= now_ms)
			return i;
	return choice;
}
