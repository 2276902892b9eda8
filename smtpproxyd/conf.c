/*
 * The configuration in memory: made, filled with relays, listeners,
 * destinations and tables, freed.  Used by the parent while it reads the file
 * and by a worker while it reads its snapshot.  Texts are the admin's; each
 * is checked here, so that what is in a conf can be relied upon.
 */
#include "conf.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../common/strutil.h"
#include "conf_int.h"

struct conf_file {
	struct conf_file	*next;
	char			 name[];
};

static const int64_t	stage_default_ms[STAGES] = {
	[STAGE_CONNECT] = 30000,
	[STAGE_GREETING] = 300000,
	[STAGE_HELO] = 300000,
	[STAGE_MAIL] = 300000,
	[STAGE_RCPT] = 300000,
	[STAGE_DATA] = 120000,
	[STAGE_BLOCK] = 180000,
	[STAGE_DOT] = 900000,
	[STAGE_COMMAND] = 300000,
	[STAGE_TLS] = 30000
};

struct conf *
conf_new(void)
{
	struct conf	*c;

	if ((c = calloc(1, sizeof(*c))) == NULL)
		return NULL;
	(void)strlcpy(c->user, "_smtpproxyd", sizeof(c->user));
	(void)strlcpy(c->chroot, "/var/empty", sizeof(c->chroot));
	c->limits.max_errors = 100;
	c->tls_protocols = CONF_TLS12 | CONF_TLS13;
	memcpy(c->limits.timeout_ms, stage_default_ms,
	    sizeof(c->limits.timeout_ms));
	return c;
}

static void
conf_free_tables(struct conf *c)
{
	struct conf_table	*t;
	struct conf_table_entry	*e;

	while ((t = c->tables) != NULL) {
		c->tables = t->next;
		while ((e = t->entries) != NULL) {
			t->entries = e->next;
			free(e);
		}
		free(t);
	}
}

static void
conf_free_relay(struct conf_relay *r)
{
	struct conf_listener	*l;
	struct conf_destination	*d;

	while ((l = r->listeners) != NULL) {
		r->listeners = l->next;
		free(l->tls.pkis);
		free(l->proxied.blocks);
		free(l);
	}
	while ((d = r->destinations) != NULL) {
		r->destinations = d->next;
		free(d);
	}
	free(r->choices);
	free(r->only.blocks);
	free(r->except.blocks);
	free(r->bypass.blocks);
	free(r->terminate.pkis);
	free(r);
}

static void
conf_free_files(struct conf *c)
{
	struct conf_pki		*p;
	struct conf_blob	*b;
	struct conf_file	*f;

	while ((p = c->pkis) != NULL) {
		c->pkis = p->next;
		free(p);
	}
	while ((b = c->blobs) != NULL) {
		c->blobs = b->next;
		free(b->data);
		free(b);
	}
	while ((f = c->files) != NULL) {
		c->files = f->next;
		free(f);
	}
}

void
conf_free(struct conf *c)
{
	struct conf_relay	*r;

	if (c == NULL)
		return;
	conf_free_tables(c);
	while ((r = c->relays) != NULL) {
		c->relays = r->next;
		conf_free_relay(r);
	}
	conf_free_files(c);
	free(c);
}

int
conf_fail(struct conf_why *why, const char *fmt, ...)
{
	va_list	ap;

	va_start(ap, fmt);
	if (vsnprintf(why->text, sizeof(why->text), fmt, ap) < 0)
		(void)strlcpy(why->text, "error", sizeof(why->text));
	va_end(ap);
	return -1;
}

const char *
conf_file_name(struct conf *c, const char *name)
{
	struct conf_file	*f, **end;
	size_t			 size = strlen(name) + 1;

	for (end = &c->files; (f = *end) != NULL; end = &f->next)
		if (strcmp(f->name, name) == 0)
			return f->name;
	if ((f = malloc(sizeof(*f) + size)) == NULL)
		return NULL;
	f->next = NULL;
	memcpy(f->name, name, size);
	*end = f;		/* the file that was given stays the first */
	return f->name;
}

int
conf_check_name(const char *name, size_t size, const char *what,
    struct conf_why *why)
{
	const unsigned char	*p = (const unsigned char *)name;
	size_t			 len = strlen(name);

	if (len == 0 || len >= size)
		return conf_fail(why, "the name of a %s has %zu octets, "
		    "expected 1 to %zu", what, len, size - 1);
	for (; *p != '\0'; p++)
		if (*p >= 0x80 || (!isalnum(*p) &&
		    strchr("._-", *p) == NULL))
			return conf_fail(why, "\"%s\" is no name of a %s, "
			    "expected letters, digits, '.', '_' and '-'",
			    name, what);
	return 0;
}

/*
 * A host name, and not an address with a mistake in it: no top-level domain
 * is all digits (RFC 1123 2.1), so "192.0.2.300" is never looked up.
 */
static int
conf_check_host(const char *host, struct conf_why *why)
{
	const char	*last = strrchr(host, '.');
	struct addr	 a;

	if (addr_parse(&a, host) == 0) {
		if (!addr_is_unspecified(&a) && !addr_is_multicast(&a))
			return 0;
		return conf_fail(why, "\"%s\" can't be connected to, expected "
		    "the address of a host", host);
	}
	last = last == NULL ? host : last + 1;
	if (strlen(host) < CONF_HOST_MAX && str_is_hostname(host) &&
	    strspn(last, "0123456789") != strlen(last))
		return 0;
	return conf_fail(why, "\"%s\" is no host, expected an IPv4 or IPv6 "
	    "address or a host name", host);
}

struct conf_table *
conf_add_table(struct conf *c, const char *name, struct conf_place place,
    struct conf_why *why)
{
	struct conf_table	*t, **end;

	if (conf_check_name(name, CONF_NAME_MAX, "table", why) == -1)
		return NULL;
	for (end = &c->tables; (t = *end) != NULL; end = &t->next)
		if (strcmp(t->name, name) == 0) {
			(void)conf_fail(why, "table <%s> stands at %s:%d "
			    "already, expected another name", name,
			    t->place.file, t->place.line);
			return NULL;
		}
	if ((t = calloc(1, sizeof(*t))) == NULL) {
		(void)conf_fail(why, "out of memory");
		return NULL;
	}
	(void)strlcpy(t->name, name, sizeof(t->name));
	t->place = place;
	*end = t;
	return t;
}

int
conf_add_table_entry(struct conf_table *t, const char *text,
    struct conf_place place, struct conf_why *why)
{
	struct conf_table_entry	*e;
	struct addr_block	 block;

	if (strchr(text, '/') != NULL) {
		if (strlen(text) >= CONF_HOST_MAX ||
		    addr_block_parse(&block, text) == -1)
			return conf_fail(why, "\"%s\" is no address block, "
			    "expected ADDRESS/LENGTH without bits behind the "
			    "length", text);
	} else if (conf_check_host(text, why) == -1)
		return -1;
	if ((e = calloc(1, sizeof(*e))) == NULL)
		return conf_fail(why, "out of memory");
	(void)strlcpy(e->text, text, sizeof(e->text));
	e->place = place;
	if (t->last == NULL)
		t->entries = e;
	else
		t->last->next = e;
	t->last = e;
	return 0;
}

struct conf_relay *
conf_add_relay(struct conf *c, const char *name, struct conf_place place,
    struct conf_why *why)
{
	struct conf_relay	*r, **end;

	if (name != NULL &&
	    conf_check_name(name, CONF_NAME_MAX, "relay", why) == -1)
		return NULL;
	for (end = &c->relays; (r = *end) != NULL; end = &r->next)
		if (name != NULL && strcmp(r->name, name) == 0) {
			(void)conf_fail(why, "relay \"%s\" stands at %s:%d "
			    "already, expected another name", name,
			    r->place.file, r->place.line);
			return NULL;
		}
	if (c->nrelays >= CONF_RELAYS_MAX) {
		(void)conf_fail(why, "too many relays, expected at most %d",
		    CONF_RELAYS_MAX);
		return NULL;
	}
	if ((r = calloc(1, sizeof(*r))) == NULL) {
		(void)conf_fail(why, "out of memory");
		return NULL;
	}
	if (name != NULL)
		(void)strlcpy(r->name, name, sizeof(r->name));
	r->is_broken = name == NULL;
	r->number = c->nrelays++;
	r->place = place;
	r->terminate.ca = CONF_NO_BLOB;
	r->tls.ca = CONF_NO_BLOB;
	*end = r;
	return r;
}

/* Who listens there already, or NULL. */
static const struct conf_listener *
conf_listener_find(const struct conf *c, const struct addr *a)
{
	const struct conf_relay		*r;
	const struct conf_listener	*l;

	for (r = c->relays; r != NULL; r = r->next)
		for (l = r->listeners; l != NULL; l = l->next)
			if (addr_is_equal(&l->addr, a))
				return l;
	return NULL;
}

int
conf_add_listener(struct conf *c, struct conf_relay *r, const char *host,
    int64_t port, int is_divert, struct conf_place place,
    struct conf_why *why)
{
	const struct conf_listener	 *twin;
	struct conf_listener		 *l, **end;
	struct addr			  a;

	if (addr_parse(&a, host) == -1 || addr_is_multicast(&a))
		return conf_fail(why, "can't listen on \"%s\", expected an "
		    "IPv4 or IPv6 address", host);
	if (port < 1 || port > 65535)
		return conf_fail(why, "port %lld is out of range, expected 1 "
		    "to 65535", (long long)port);
	a.port = (uint16_t)port;
	if ((twin = conf_listener_find(c, &a)) != NULL)
		return conf_fail(why, "%s port %lld is listened on at %s:%d "
		    "already, expected another address or port", host,
		    (long long)port, twin->place.file, twin->place.line);
	if ((l = calloc(1, sizeof(*l))) == NULL)
		return conf_fail(why, "out of memory");
	l->addr = a;
	l->is_divert = is_divert;
	l->tls.ca = CONF_NO_BLOB;
	l->place = place;
	l->number = r->nlisteners++;
	for (end = &r->listeners; *end != NULL; end = &(*end)->next)
		;
	*end = l;
	return 0;
}

struct conf_listener *
conf_last_listener(const struct conf_relay *r)
{
	struct conf_listener	*l = r->listeners;

	while (l != NULL && l->next != NULL)
		l = l->next;
	return l;
}

/*
 * A session has one way to its destination: what the firewall says, or what
 * the configuration says.
 */
static int
conf_fail_beside(const struct conf_place *place, struct conf_why *why)
{
	return conf_fail(why, "the relay forwards at %s:%d already, expected "
	    "no other line beside nat lookup or destination", place->file,
	    place->line);
}

int
conf_set_transparent(struct conf_relay *r, int is_transparent,
    struct conf_place place, struct conf_why *why)
{
	if (r->forward_place.file == NULL) {
		r->is_transparent = is_transparent;
		r->forward_place = place;
		return 0;
	}
	if (r->is_transparent == is_transparent)
		return 0;
	return conf_fail(why, "the forward line at %s:%d is %stransparent, "
	    "expected all lines of a relay to be, or none",
	    r->forward_place.file, r->forward_place.line,
	    r->is_transparent ? "" : "not ");
}

/* table NULL: there is no such check. */
static int
conf_set_check(struct conf_check *k, const char *table,
    struct conf_place place, struct conf_why *why)
{
	if (table == NULL)
		return 0;
	if (conf_check_name(table, CONF_NAME_MAX, "table", why) == -1)
		return -1;
	(void)strlcpy(k->table, table, sizeof(k->table));
	k->place = place;
	return 0;
}

int
conf_set_intercept(struct conf_relay *r, enum conf_forward forward,
    const char *only, const char *except, struct conf_place place,
    struct conf_why *why)
{
	if (r->forward != FORWARD_FIXED)
		return conf_fail_beside(&r->forward_place, why);
	if (r->destinations != NULL)
		return conf_fail_beside(&r->destinations->place, why);
	if (conf_set_check(&r->only, only, place, why) == -1 ||
	    conf_set_check(&r->except, except, place, why) == -1)
		return -1;
	r->forward = forward;
	r->forward_place = place;
	return 0;
}

int
conf_set_bypass(struct conf_relay *r, const char *table,
    struct conf_place place, struct conf_why *why)
{
	if ((r->is_set & (1U << RELAY_BYPASS)) != 0)
		return conf_fail(why, "bypass is set already, expected it "
		    "once");
	r->is_set |= 1U << RELAY_BYPASS;
	return conf_set_check(&r->bypass, table, place, why);
}

int
conf_set_proxied(struct conf_listener *l, const char *table,
    int allows_plain, struct conf_place place, struct conf_why *why)
{
	l->allows_plain = allows_plain;
	return conf_set_check(&l->proxied, table, place, why);
}

int
conf_add_destination(struct conf_relay *r, const char *host, int is_table,
    int64_t port, struct conf_place place, struct conf_why *why)
{
	struct conf_destination	*d, **end;

	if (r->forward != FORWARD_FIXED)
		return conf_fail_beside(&r->forward_place, why);
	if (is_table) {
		if (conf_check_name(host, CONF_NAME_MAX, "table", why) == -1)
			return -1;
	} else if (conf_check_host(host, why) == -1)
		return -1;
	if (port < 1 || port > 65535)
		return conf_fail(why, "port %lld is out of range, expected 1 "
		    "to 65535", (long long)port);
	if ((d = calloc(1, sizeof(*d))) == NULL)
		return conf_fail(why, "out of memory");
	(void)strlcpy(d->host, host, sizeof(d->host));
	d->is_table = is_table;
	d->port = (uint16_t)port;
	d->place = place;
	for (end = &r->destinations; *end != NULL; end = &(*end)->next)
		;
	*end = d;
	return 0;
}

const struct conf_relay *
conf_relay_by_number(const struct conf *c, uint32_t number)
{
	const struct conf_relay	*r;

	for (r = c->relays; r != NULL; r = r->next)
		if (r->number == number)
			return r;
	return NULL;
}

const struct conf_listener *
conf_listener_by_number(const struct conf_relay *r, uint32_t number)
{
	const struct conf_listener	*l;

	for (l = r->listeners; l != NULL; l = l->next)
		if (l->number == number)
			return l;
	return NULL;
}

const struct conf_pki *
conf_pki_by_number(const struct conf *c, uint32_t number)
{
	const struct conf_pki	*p;

	for (p = c->pkis; p != NULL; p = p->next)
		if (p->number == number)
			return p;
	return NULL;
}

const struct conf_blob *
conf_blob_by_number(const struct conf *c, uint32_t number)
{
	const struct conf_blob	*b;

	for (b = c->blobs; b != NULL; b = b->next)
		if (b->number == number)
			return b;
	return NULL;
}

static int
limits_count_sessions(const struct conf_limits *l)
{
	return l->max_sessions != 0 || l->max_sessions_per_client != 0;
}

int
conf_counts_all_sessions(const struct conf *c)
{
	return c->counts_sessions || limits_count_sessions(&c->limits);
}

int
conf_counts_sessions(const struct conf *c)
{
	const struct conf_relay	*r;

	for (r = c->relays; r != NULL; r = r->next)
		if (limits_count_sessions(&r->limits))
			return 1;
	return conf_counts_all_sessions(c);
}
