/*
 * What can be said only when the whole configuration is read: defaults, what
 * spans lines, and the choices of each relay.  Parent only.  Answers of the
 * resolver child are checked like anything that came from the network.
 */
#include "conf.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../common/strutil.h"
#include "conf_int.h"

void
finish_say(struct finish *f, const struct conf_place *place,
    const struct conf_why *why)
{
	f->say(f->say_arg, place, why->text);
	f->nerrors++;
}

static void
finish_defaults(struct conf *c)
{
	long	n;

	if (c->nworkers == 0) {
		n = sysconf(_SC_NPROCESSORS_ONLN);
		c->nworkers = n < 1 ? 1 : n > CONF_WORKERS_MAX ?
		    CONF_WORKERS_MAX : (uint32_t)n;
	}
	if (c->hostname[0] != '\0')
		return;
	if (gethostname(c->hostname, sizeof(c->hostname)) == -1)
		c->hostname[0] = '\0';
	c->hostname[sizeof(c->hostname) - 1] = '\0';
	if (!str_is_hostname(c->hostname))
		(void)strlcpy(c->hostname, "localhost", sizeof(c->hostname));
}

/* What a relay does not say itself it has from the global limits. */
static void
finish_limits(const struct conf_limits *global, struct conf_limits *l)
{
	unsigned int	i;

	if ((l->is_set & (1U << LIMIT_RECIPIENTS)) == 0)
		l->max_recipients = global->max_recipients;
	if ((l->is_set & (1U << LIMIT_ERRORS)) == 0)
		l->max_errors = global->max_errors;
	if ((l->is_set & (1U << LIMIT_MESSAGE_SIZE)) == 0)
		l->max_message_size = global->max_message_size;
	for (i = 0; i < STAGES; i++)
		if ((l->is_set & (1U << (LIMIT_TIMEOUT + i))) == 0)
			l->timeout_ms[i] = global->timeout_ms[i];
}

/* A table is for destinations or for checks: names and blocks don't mix. */
static void
finish_table(struct finish *f, const struct conf_table *t)
{
	const struct conf_table_entry	*e, *name = NULL, *block = NULL;
	struct conf_why			 why;
	struct addr			 a;

	for (e = t->entries; e != NULL; e = e->next) {
		if (strchr(e->text, '/') != NULL)
			block = block == NULL ? e : block;
		else if (addr_parse(&a, e->text) == -1)
			name = name == NULL ? e : name;
	}
	if (name == NULL || block == NULL)
		return;
	(void)conf_fail(&why, "host name \"%s\" in table <%s>, which holds "
	    "the block %s, expected addresses and blocks only", name->text,
	    t->name, block->text);
	finish_say(f, &name->place, &why);
}

/*
 * A destination where we listen ourselves would be connected to for ever.  A
 * wildcard listener is met by every address of this host; of those only the
 * loopback ones are known here, the others are refused at run time.
 */
static const struct conf_relay *
finish_find_loop(const struct conf *c, const struct addr *a)
{
	const struct conf_relay		*r;
	const struct conf_listener	*l;

	for (r = c->relays; r != NULL; r = r->next)
		for (l = r->listeners; l != NULL; l = l->next) {
			if (addr_is_equal(&l->addr, a))
				return r;
			if (l->addr.port == a->port &&
			    l->addr.family == a->family &&
			    addr_is_unspecified(&l->addr) &&
			    addr_is_loopback(a))
				return r;
		}
	return NULL;
}

static int
finish_add_choice(const struct conf *c, struct conf_relay *r,
    const struct addr *a, const char *host, struct conf_why *why)
{
	const struct conf_relay	*loop;
	struct conf_choice	*more;
	size_t			 i;

	if ((loop = finish_find_loop(c, a)) != NULL)
		return conf_fail(why, "\"%s\" port %u is a listener of relay "
		    "\"%s\", expected another host", host,
		    (unsigned int)a->port, loop->name);
	for (i = 0; i < r->nchoices; i++)
		if (addr_is_equal(&r->choices[i].addr, a))
			return 0;	/* two names of one host */
	if (r->nchoices >= CONF_CHOICES_MAX)
		return conf_fail(why, "too many destinations in relay \"%s\", "
		    "expected at most %d addresses", r->name,
		    CONF_CHOICES_MAX);
	more = reallocarray(r->choices, r->nchoices + 1, sizeof(*more));
	if (more == NULL)
		return conf_fail(why, "out of memory");
	r->choices = more;
	more += r->nchoices++;
	memset(more, 0, sizeof(*more));
	more->addr = *a;
	(void)strlcpy(more->host, host, sizeof(more->host));
	return 0;
}

/* A host as it was written, to addresses. */
static int
finish_lookup(struct finish *f, const char *host, struct addr *addrs,
    size_t *n, struct conf_why *why)
{
	size_t	i;

	if (addr_parse(&addrs[0], host) == 0) {
		*n = 1;
		return 0;
	}
	if (f->hooks->resolve == NULL)
		return conf_fail(why, "\"%s\" can't be looked up, expected an "
		    "address", host);
	*n = CONF_RESOLVE_MAX;
	if (f->hooks->resolve(f->arg, f->conf, host, addrs, n, why) == -1)
		return -1;
	for (i = 0; i < *n; i++)
		if (addr_is_unspecified(&addrs[i]) ||
		    addr_is_multicast(&addrs[i]))
			return conf_fail(why, "\"%s\" has an address that "
			    "can't be connected to, expected that of a host",
			    host);
	if (*n == 0)
		return conf_fail(why, "\"%s\" has no address, expected one",
		    host);
	return 0;
}

static void
finish_host(struct finish *f, struct conf_relay *r, const char *host,
    uint16_t port, const struct conf_place *place)
{
	struct addr	addrs[CONF_RESOLVE_MAX];
	struct conf_why	why = { "" };
	size_t		i, n = 0;

	if (finish_lookup(f, host, addrs, &n, &why) == -1) {
		finish_say(f, place, &why);
		return;
	}
	for (i = 0; i < n; i++) {
		addrs[i].port = port;
		if (finish_add_choice(f->conf, r, &addrs[i], host,
		    &why) == -1) {
			finish_say(f, place, &why);
			return;
		}
	}
}

/* A table that is used, and with `what` in it; NULL when that is said. */
static const struct conf_table *
finish_find_table(struct finish *f, const char *name, const char *what,
    const struct conf_place *place)
{
	const struct conf_table	*t;
	struct conf_why		 why;

	for (t = f->conf->tables; t != NULL; t = t->next)
		if (strcmp(t->name, name) == 0)
			break;
	if (t == NULL) {
		(void)conf_fail(&why, "table <%s> is not there, expected "
		    "table <%s> { ... } somewhere", name, name);
		finish_say(f, place, &why);
		return NULL;
	}
	if (t->entries != NULL)
		return t;
	if (!t->is_broken) {
		(void)conf_fail(&why, "table <%s> is empty, expected at least "
		    "one %s", name, what);
		finish_say(f, place, &why);
	}
	return NULL;
}

static void
finish_hosts_of_table(struct finish *f, struct conf_relay *r,
    const struct conf_destination *d)
{
	const struct conf_table		*t;
	const struct conf_table_entry	*e;
	struct conf_why			 why;

	if ((t = finish_find_table(f, d->host, "host", &d->place)) == NULL)
		return;
	for (e = t->entries; e != NULL; e = e->next) {
		if (strchr(e->text, '/') == NULL) {
			finish_host(f, r, e->text, d->port, &e->place);
			continue;
		}
		(void)conf_fail(&why, "block %s in table <%s>, which relay "
		    "\"%s\" forwards to, expected addresses and host names",
		    e->text, t->name, r->name);
		finish_say(f, &e->place, &why);
	}
}

/*
 * The blocks of only, except or bypass.  Names are no use there: one that
 * changed its address would let through what it should not.
 */
static void
finish_check(struct finish *f, const struct conf_relay *r,
    struct conf_check *k)
{
	const struct conf_table		*t;
	const struct conf_table_entry	*e;
	struct conf_why			 why;
	size_t				 n = 0;

	if (k->table[0] == '\0' || (t = finish_find_table(f, k->table,
	    "address or block", &k->place)) == NULL)
		return;
	for (e = t->entries; e != NULL; e = e->next)
		n++;
	if ((k->blocks = calloc(n, sizeof(*k->blocks))) == NULL) {
		(void)conf_fail(&why, "out of memory");
		finish_say(f, &k->place, &why);
		return;
	}
	for (e = t->entries; e != NULL; e = e->next) {
		if (addr_block_parse(&k->blocks[k->nblocks], e->text) == 0) {
			k->nblocks++;
			continue;
		}
		(void)conf_fail(&why, "host name \"%s\" in table <%s>, which "
		    "relay \"%s\" checks by, expected addresses and blocks "
		    "only", e->text, t->name, r->name);
		finish_say(f, &e->place, &why);
	}
}

static void
finish_relay(struct finish *f, struct conf_relay *r)
{
	const struct conf_destination	*d;
	struct conf_listener		*l;
	struct conf_why			 why;

	finish_limits(&f->conf->limits, &r->limits);
	if ((r->is_set & (1U << RELAY_STARTTLS)) == 0)
		r->starttls = r->forward == FORWARD_FIXED ? STARTTLS_HIDE :
		    STARTTLS_PASS;
	finish_ways(f, r);
	for (l = r->listeners; l != NULL; l = l->next)
		finish_check(f, r, &l->proxied);
	finish_check(f, r, &r->only);
	finish_check(f, r, &r->except);
	finish_check(f, r, &r->bypass);
	if (r->listeners == NULL && !r->is_broken) {
		(void)conf_fail(&why, "relay \"%s\" has no listener, expected "
		    "listen on ADDRESS port PORT", r->name);
		finish_say(f, &r->place, &why);
	}
	if (r->destinations == NULL && r->forward == FORWARD_FIXED &&
	    !r->is_broken) {
		(void)conf_fail(&why, "relay \"%s\" has no destination, "
		    "expected forward to HOST port PORT", r->name);
		finish_say(f, &r->place, &why);
	}
	for (d = r->destinations; d != NULL; d = d->next) {
		if (d->is_table)
			finish_hosts_of_table(f, r, d);
		else
			finish_host(f, r, d->host, d->port, &d->place);
	}
}

int
conf_finish(struct conf *c, const struct conf_hooks *hooks, void *arg,
    conf_say_fn *say, void *say_arg)
{
	static const struct conf_hooks	 none;
	struct finish			 f;
	struct conf_table		*t;
	struct conf_relay		*r;
	struct conf_why			 why;

	memset(&f, 0, sizeof(f));
	f.conf = c;
	f.hooks = hooks == NULL ? &none : hooks;
	f.arg = arg;
	f.say = say;
	f.say_arg = say_arg;
	finish_defaults(c);
	finish_pkis(&f);
	for (t = c->tables; t != NULL; t = t->next)
		finish_table(&f, t);
	for (r = c->relays; r != NULL; r = r->next)
		finish_tls(&f, r);
	for (r = c->relays; r != NULL; r = r->next)
		finish_relay(&f, r);
	if (c->nrelays == 0) {
		(void)conf_fail(&why, "no relay, expected relay \"NAME\" { "
		    "... }");
		finish_say(&f, &c->place, &why);
	}
	return f.nerrors;
}
