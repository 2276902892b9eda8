/*
 * The configuration to and from the records that workers receive.  Written by
 * the parent, read by a worker that is not yet confined.  The parent is
 * trusted, but each value is checked as it was in the parser: a worker that
 * ran with half a configuration, or another one, would be hard to find.
 */
#include "conf_wire_int.h"

#include <sys/types.h>
#include <sys/socket.h>

#include <stdlib.h>
#include <string.h>

#define TIMEOUT_MAX_MS	(604800 * INT64_C(1000))

/* --- Writer --- */

static void
wire_put_octets(struct wire_item *w, const void *data, size_t len)
{
	if (w->has_failed || len > sizeof(w->data) - w->used) {
		w->has_failed = 1;
		return;
	}
	memcpy(w->data + w->used, data, len);
	w->used += len;
}

void
wire_put(struct wire_item *w, uint64_t v, size_t n)
{
	uint8_t	octets[8];
	size_t	i;

	for (i = n; i > 0; i--) {
		octets[i - 1] = (uint8_t)(v & 0xff);
		v >>= 8;
	}
	wire_put_octets(w, octets, n);
}

void
wire_put_str(struct wire_item *w, const char *s)
{
	size_t	len = strlen(s);

	wire_put(w, len, 2);
	wire_put_octets(w, s, len);
}

void
wire_put_addr(struct wire_item *w, const struct addr *a)
{
	wire_put(w, a->family == AF_INET ? 4 : 6, 1);
	wire_put(w, a->port, 2);
	wire_put(w, a->scope, 4);
	wire_put_octets(w, a->ip, a->family == AF_INET ? 4 : 16);
}

static void
wire_start_record(struct wire_out *o)
{
	size_t	i;

	for (i = 0; i < 4; i++)
		o->record[i] = (uint8_t)(o->number >> (24 - 8 * i));
	o->used = 4;
}

static void
wire_flush(struct wire_out *o)
{
	if (!o->has_failed && o->put(o->arg, o->record, o->used) == -1)
		o->has_failed = 1;
	o->number++;
	wire_start_record(o);
}

void
wire_start_item(struct wire_out *o, enum wire_kind kind)
{
	o->item.used = 0;
	o->item.has_failed = 0;
	wire_put(&o->item, kind, 1);
}

void
wire_end_item(struct wire_out *o)
{
	if (o->item.used > sizeof(o->record) - o->used)
		wire_flush(o);
	memcpy(o->record + o->used, o->item.data, o->item.used);
	o->used += o->item.used;
	if (o->item.has_failed)
		o->has_failed = 1;
}

static void
wire_put_limits(struct wire_item *w, const struct conf_limits *l)
{
	size_t	i;

	wire_put(w, l->max_sessions, 4);
	wire_put(w, l->max_sessions_per_client, 4);
	wire_put(w, l->max_recipients, 4);
	wire_put(w, l->max_errors, 4);
	wire_put(w, l->max_message_size, 8);
	for (i = 0; i < STAGES; i++)
		wire_put(w, (uint64_t)l->timeout_ms[i], 8);
}

static void
wire_put_relay(struct wire_out *o, const struct conf_relay *r)
{
	struct wire_item	*w = &o->item;
	size_t			 i;

	wire_start_item(o, WIRE_RELAY);
	wire_put(w, r->number, 4);
	wire_put_str(w, r->name);
	wire_put(w, r->pregreet, 1);
	wire_put(w, r->newlines, 1);
	wire_put(w, r->forward, 1);
	wire_put(w, r->is_transparent ? 1 : 0, 1);
	wire_put(w, r->starttls, 1);
	wire_put_tls(w, r);
	wire_put_limits(w, &r->limits);
	wire_put(w, r->npass_verbs, 1);
	for (i = 0; i < r->npass_verbs; i++)
		wire_put_str(w, r->pass_verbs[i]);
	wire_put(w, r->nauth_mechs, 1);
	for (i = 0; i < r->nauth_mechs; i++)
		wire_put_str(w, r->auth_mechs[i]);
	wire_put(w, r->nlisteners, 4);
	wire_put(w, r->nchoices, 2);
	wire_end_item(o);
	wire_put_listeners(o, r);
	for (i = 0; i < r->nchoices; i++) {
		wire_start_item(o, WIRE_CHOICE);
		wire_put_addr(w, &r->choices[i].addr);
		wire_put_str(w, r->choices[i].host);
		wire_end_item(o);
	}
}

int64_t
conf_wire_write(const struct conf *c, conf_put_fn *put, void *arg)
{
	const struct conf_relay	*r;
	struct wire_out		 o;

	o.put = put;
	o.arg = arg;
	o.number = 0;
	o.has_failed = 0;
	wire_start_record(&o);
	wire_start_item(&o, WIRE_CONF);
	wire_put(&o.item, c->generation, 4);
	wire_put(&o.item, conf_counts_all_sessions(c) ? 1 : 0, 1);
	wire_put(&o.item, c->nblobs, 4);
	wire_put(&o.item, c->npkis, 4);
	wire_put(&o.item, c->nrelays, 4);
	wire_put_str(&o.item, c->hostname);
	wire_end_item(&o);
	wire_put_files(&o, c);
	for (r = c->relays; r != NULL; r = r->next)
		wire_put_relay(&o, r);
	wire_flush(&o);
	return o.has_failed ? -1 : (int64_t)o.number;
}

/* --- Reader: the first failure sticks. --- */

static const uint8_t *
wire_next(struct wire_in *in, size_t len)
{
	const uint8_t	*p = in->data;

	if (in->has_failed || len > in->left) {
		in->has_failed = 1;
		return NULL;
	}
	in->data += len;
	in->left -= len;
	return p;
}

uint64_t
wire_get(struct wire_in *in, size_t n)
{
	const uint8_t	*p;
	uint64_t	 v = 0;

	if ((p = wire_next(in, n)) == NULL)
		return 0;
	for (; n > 0; n--)
		v = v << 8 | *p++;
	return v;
}

uint64_t
wire_get_upto(struct wire_in *in, uint64_t max)
{
	uint64_t	v = wire_get(in, 1);

	if (v > max) {
		in->has_failed = 1;
		return 0;
	}
	return v;
}

void
wire_get_str(struct wire_in *in, char *to, size_t size)
{
	const uint8_t	*p;
	size_t		 len = wire_get(in, 2);

	to[0] = '\0';
	if ((p = wire_next(in, len)) == NULL)
		return;
	if (len >= size || memchr(p, '\0', len) != NULL) {
		in->has_failed = 1;
		return;
	}
	memcpy(to, p, len);
	to[len] = '\0';
}

void
wire_get_addr(struct wire_in *in, struct addr *a)
{
	const uint8_t	*p;
	uint64_t	 family = wire_get(in, 1);
	size_t		 len = family == 4 ? 4 : 16;

	memset(a, 0, sizeof(*a));
	a->family = family == 4 ? AF_INET : AF_INET6;
	a->port = (uint16_t)wire_get(in, 2);
	a->scope = (uint32_t)wire_get(in, 4);
	if ((p = wire_next(in, len)) != NULL)
		memcpy(a->ip, p, len);
	if ((family != 4 && family != 6) || a->port == 0 ||
	    (family == 4 && a->scope != 0) || addr_is_multicast(a))
		in->has_failed = 1;
}

static void
wire_get_limits(struct wire_in *in, struct conf_limits *l)
{
	uint64_t	ms;
	size_t		i;

	l->max_sessions = (uint32_t)wire_get(in, 4);
	l->max_sessions_per_client = (uint32_t)wire_get(in, 4);
	l->max_recipients = (uint32_t)wire_get(in, 4);
	l->max_errors = (uint32_t)wire_get(in, 4);
	l->max_message_size = wire_get(in, 8);
	if (l->max_message_size > INT64_MAX)
		in->has_failed = 1;
	for (i = 0; i < STAGES; i++) {
		ms = wire_get(in, 8);
		if (ms > TIMEOUT_MAX_MS)
			in->has_failed = 1;
		l->timeout_ms[i] = (int64_t)ms;
	}
}

static void
wire_get_conf(struct conf *c, struct wire_in *in)
{
	struct conf_why	why;
	char		hostname[CONF_HOST_MAX];

	c->generation = (uint32_t)wire_get(in, 4);
	c->counts_sessions = (int)wire_get_upto(in, 1);
	c->wire_nblobs = (uint32_t)wire_get(in, 4);
	c->wire_npkis = (uint32_t)wire_get(in, 4);
	c->wire_nrelays = (uint32_t)wire_get(in, 4);
	wire_get_str(in, hostname, sizeof(hostname));
	if (in->has_failed || c->wire_nrelays > CONF_RELAYS_MAX ||
	    c->wire_nblobs > CONF_BLOBS_MAX || c->wire_npkis > CONF_PKIS_MAX ||
	    conf_set_hostname(c, hostname, &why) == -1)
		in->has_failed = 1;
}

/* The two lists of words of a relay: in capitals, as they are kept. */
static void
wire_get_words(struct wire_in *in, struct conf_relay *r,
    int (*add)(struct conf_relay *, const char *, struct conf_why *))
{
	struct conf_why	why;
	char		word[CONF_MECH_MAX];
	uint64_t	n;

	for (n = wire_get(in, 1); n > 0 && !in->has_failed; n--) {
		wire_get_str(in, word, sizeof(word));
		if (in->has_failed || add(r, word, &why) == -1 ||
		    strpbrk(word, "abcdefghijklmnopqrstuvwxyz") != NULL)
			in->has_failed = 1;
	}
}

static int
wire_relay_is_whole(const struct conf *c)
{
	const struct conf_relay	*r = c->wire_relay;

	return r == NULL || (r->nchoices == r->nannounced &&
	    r->nlisteners == r->nlisteners_announced);
}

static void
wire_get_relay(struct conf *c, struct wire_in *in)
{
	struct conf_place	 place = { "snapshot", 0 };
	struct conf_relay	*r = NULL;
	struct conf_why		 why;
	char			 name[CONF_NAME_MAX];
	uint64_t		 number = wire_get(in, 4);

	wire_get_str(in, name, sizeof(name));
	if (!in->has_failed && wire_relay_is_whole(c) &&
	    c->npkis == c->wire_npkis && c->nblobs == c->wire_nblobs &&
	    number == c->nrelays && number < c->wire_nrelays)
		r = conf_add_relay(c, name, place, &why);
	if (r == NULL) {
		in->has_failed = 1;
		return;
	}
	r->pregreet = (enum conf_pregreet)wire_get_upto(in, PREGREET_ALLOW);
	r->newlines = (enum conf_newlines)wire_get_upto(in,
	    NEWLINES_NORMALIZE);
	r->forward = (enum conf_forward)wire_get_upto(in,
	    FORWARD_DESTINATION);
	r->is_transparent = (int)wire_get_upto(in, 1);
	r->starttls = (enum conf_starttls)wire_get_upto(in,
	    STARTTLS_TERMINATE);
	wire_get_tls(c, in, r);
	wire_get_limits(in, &r->limits);
	wire_get_words(in, r, conf_add_pass_verb);
	wire_get_words(in, r, conf_add_auth_mech);
	r->nlisteners_announced = (uint32_t)wire_get(in, 4);
	r->nannounced = wire_get(in, 2);
	c->wire_relay = r;
	/* Choices are the fixed way's, which has at least one. */
	if (in->has_failed || r->nlisteners_announced == 0 ||
	    r->nannounced > CONF_CHOICES_MAX ||
	    (r->forward == FORWARD_FIXED) != (r->nannounced > 0) ||
	    (r->nannounced > 0 && (r->choices = calloc(r->nannounced,
	    sizeof(*r->choices))) == NULL))
		in->has_failed = 1;
}

static void
wire_get_choice(struct conf *c, struct wire_in *in)
{
	struct conf_relay	*r = c->wire_relay;
	struct conf_choice	*choice;

	if (r == NULL || r->nlisteners != r->nlisteners_announced ||
	    r->nchoices >= r->nannounced) {
		in->has_failed = 1;
		return;
	}
	choice = &r->choices[r->nchoices++];
	wire_get_addr(in, &choice->addr);
	wire_get_str(in, choice->host, sizeof(choice->host));
	if (addr_is_unspecified(&choice->addr))
		in->has_failed = 1;
}

static void
wire_get_item(struct conf *c, struct wire_in *in, uint64_t kind)
{
	switch (kind) {
	case WIRE_BLOB:
		wire_get_blob(c, in);
		break;
	case WIRE_PKI:
		wire_get_pki(c, in);
		break;
	case WIRE_RELAY:
		wire_get_relay(c, in);
		break;
	case WIRE_LISTENER:
		wire_get_listener(c, in);
		break;
	case WIRE_CHOICE:
		wire_get_choice(c, in);
		break;
	default:
		in->has_failed = 1;
		break;
	}
}

int
conf_wire_read(struct conf *c, const uint8_t *data, size_t len)
{
	struct wire_in	in = { data, len, 0 };
	uint64_t	number = wire_get(&in, 4);
	uint64_t	kind;
	int		is_first = c->wire_next == 0;

	if (in.has_failed || in.left == 0 || len > CONF_WIRE_MAX ||
	    number != c->wire_next)
		return -1;
	while (in.left > 0 && !in.has_failed) {
		kind = wire_get(&in, 1);
		if (!is_first)
			wire_get_item(c, &in, kind);
		else if (kind == WIRE_CONF)
			wire_get_conf(c, &in);
		else
			return -1;
		is_first = 0;
	}
	c->wire_next++;
	return in.has_failed ? -1 : 0;
}

int
conf_wire_check(const struct conf *c)
{
	const struct conf_blob	*b;

	if (c->wire_next == 0 || c->nrelays != c->wire_nrelays ||
	    c->nblobs != c->wire_nblobs || c->npkis != c->wire_npkis ||
	    !wire_relay_is_whole(c))
		return -1;
	for (b = c->blobs; b != NULL; b = b->next)
		if (b->len != b->size)
			return -1;
	return 0;
}
