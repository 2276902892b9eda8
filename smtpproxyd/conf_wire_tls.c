/*
 * The part of the snapshot that concerns TLS: files of certificates, pkis,
 * listeners, and what relays say of it.  Written by the parent, read by a
 * worker that is not yet confined.  What the grammar can't say is refused: no
 * combination may reach the worker that nobody has thought about.
 */
#include "conf_wire_int.h"

#include <stdlib.h>
#include <string.h>

/* --- Writer --- */

void
wire_put_files(struct wire_out *o, const struct conf *c)
{
	const struct conf_blob	*b;
	const struct conf_pki	*p;

	for (b = c->blobs; b != NULL; b = b->next) {
		wire_start_item(o, WIRE_BLOB);
		wire_put(&o->item, b->number, 4);
		wire_put(&o->item, b->len, 4);
		if (b->len == 0)
			o->item.has_failed = 1;
		wire_end_item(o);
	}
	for (p = c->pkis; p != NULL; p = p->next) {
		wire_start_item(o, WIRE_PKI);
		wire_put(&o->item, p->number, 4);
		wire_put_str(&o->item, p->name);
		wire_put(&o->item, p->cert, 4);
		wire_end_item(o);
	}
}

static void
wire_put_server(struct wire_item *w, const struct conf_tls_server *s)
{
	size_t	i;

	wire_put(w, s->mode, 1);
	wire_put(w, s->verify, 1);
	wire_put(w, s->npkis, 1);
	for (i = 0; i < s->npkis; i++)
		wire_put(w, s->pkis[i].pki, 4);
	wire_put(w, s->ca, 4);
}

void
wire_put_tls(struct wire_item *w, const struct conf_relay *r)
{
	wire_put(w, r->identity, 1);
	wire_put(w, r->adds_trace ? 1 : 0, 1);
	wire_put(w, r->tls_protocols, 1);
	wire_put_str(w, r->tls_ciphers);
	wire_put(w, r->tls.mode, 1);
	wire_put(w, r->tls.is_implicit ? 1 : 0, 1);
	wire_put(w, r->tls.ca, 4);
	wire_put_server(w, &r->terminate);
}

void
wire_put_listeners(struct wire_out *o, const struct conf_relay *r)
{
	const struct conf_listener	*l;

	for (l = r->listeners; l != NULL; l = l->next) {
		wire_start_item(o, WIRE_LISTENER);
		wire_put(&o->item, l->number, 4);
		wire_put_addr(&o->item, &l->addr);
		wire_put(&o->item, l->is_divert ? 1 : 0, 1);
		wire_put_server(&o->item, &l->tls);
		wire_end_item(o);
	}
}

int
conf_wire_pieces(const struct conf *c, conf_piece_fn *put, void *arg)
{
	const struct conf_blob	*b;
	size_t			 at, n;

	for (b = c->blobs; b != NULL; b = b->next)
		for (at = 0; at < b->len; at += n) {
			n = b->len - at;
			if (n > CONF_WIRE_PIECE)
				n = CONF_WIRE_PIECE;
			if (put(arg, b->number, b->data + at, n) == -1)
				return -1;
		}
	return 0;
}

/* --- Reader --- */

void
wire_get_blob(struct conf *c, struct wire_in *in)
{
	struct conf_blob	*b, **end;
	uint64_t		 number = wire_get(in, 4);
	size_t			 size = wire_get(in, 4), all = 0;

	for (end = &c->blobs; *end != NULL; end = &(*end)->next)
		all += (*end)->size;
	if (in->has_failed || number != c->nblobs ||
	    number >= c->wire_nblobs || size == 0 ||
	    size > CONF_BLOB_MAX - all ||
	    (b = calloc(1, sizeof(*b))) == NULL) {
		in->has_failed = 1;
		return;
	}
	*end = b;
	b->number = c->nblobs++;
	b->size = size;
	if ((b->data = calloc(1, size + 1)) == NULL)
		in->has_failed = 1;
}

void
wire_get_pki(struct conf *c, struct wire_in *in)
{
	struct conf_pki	*p, **end;
	uint64_t	 number = wire_get(in, 4);

	for (end = &c->pkis; *end != NULL; end = &(*end)->next)
		;
	if (in->has_failed || c->nblobs != c->wire_nblobs ||
	    number != c->npkis || number >= c->wire_npkis ||
	    (p = calloc(1, sizeof(*p))) == NULL) {
		in->has_failed = 1;
		return;
	}
	*end = p;
	p->number = c->npkis++;
	wire_get_str(in, p->name, sizeof(p->name));
	p->cert = (uint32_t)wire_get(in, 4);
	if (p->name[0] == '\0' || p->cert >= c->nblobs)
		in->has_failed = 1;
}

/* A blob that exists, or none. */
static uint32_t
wire_get_ca(const struct conf *c, struct wire_in *in)
{
	uint32_t	ca = (uint32_t)wire_get(in, 4);

	if (ca != CONF_NO_BLOB && ca >= c->nblobs)
		in->has_failed = 1;
	return ca;
}

static void
wire_get_server(const struct conf *c, struct wire_in *in,
    struct conf_tls_server *s)
{
	size_t	i, n;

	s->mode = (enum conf_tls)wire_get_upto(in, TLS_IMPLICIT);
	s->verify = (enum conf_tls_verify)wire_get_upto(in,
	    TLS_VERIFY_REQUIRE);
	n = wire_get_upto(in, CONF_TLS_PKIS_MAX);
	if (n > 0 && (s->pkis = calloc(n, sizeof(*s->pkis))) == NULL) {
		in->has_failed = 1;
		return;
	}
	for (i = 0; i < n; i++) {
		s->pkis[i].pki = (uint32_t)wire_get(in, 4);
		if (s->pkis[i].pki >= c->npkis)
			in->has_failed = 1;
	}
	s->npkis = n;
	s->ca = wire_get_ca(c, in);
}

/* The words of a forward line, or of starttls terminate. */
static int
wire_client_is_sane(const struct conf_relay *r)
{
	const struct conf_tls_client	*t = &r->tls;

	if ((t->mode == DEST_TLS_VERIFY) != (t->ca != CONF_NO_BLOB))
		return 0;
	if (t->is_implicit && (t->mode == DEST_TLS_OFF ||
	    t->mode == DEST_TLS_OPPORTUNISTIC))
		return 0;
	if (r->forward == FORWARD_FIXED)
		return r->starttls == STARTTLS_HIDE ||
		    t->mode == DEST_TLS_OFF;
	if (r->starttls != STARTTLS_TERMINATE)
		return t->mode == DEST_TLS_OFF;
	return !t->is_implicit && t->mode >= DEST_TLS_NO_VERIFY;
}

static int
wire_terminate_is_sane(const struct conf_relay *r)
{
	const struct conf_tls_server	*s = &r->terminate;

	if (s->mode != TLS_OFF || s->verify != TLS_VERIFY_OFF ||
	    s->ca != CONF_NO_BLOB)
		return 0;
	if (r->starttls != STARTTLS_TERMINATE)
		return s->npkis == 0;
	return r->forward != FORWARD_FIXED && s->npkis > 0;
}

void
wire_get_tls(const struct conf *c, struct wire_in *in, struct conf_relay *r)
{
	struct conf_place	 place = { "snapshot", 0 };
	struct conf_why		 why;
	char			 ciphers[CONF_CIPHERS_MAX];

	r->identity = (enum conf_identity)wire_get_upto(in,
	    CONF_IDENTITY_PROXY_V2);
	r->adds_trace = (int)wire_get_upto(in, 1);
	r->tls_protocols = (unsigned int)wire_get_upto(in,
	    CONF_TLS12 | CONF_TLS13);
	wire_get_str(in, ciphers, sizeof(ciphers));
	r->tls.mode = (enum conf_dest_tls)wire_get_upto(in, DEST_TLS_VERIFY);
	r->tls.is_implicit = (int)wire_get_upto(in, 1);
	r->tls.ca = wire_get_ca(c, in);
	wire_get_server(c, in, &r->terminate);
	if (in->has_failed || r->tls_protocols == 0 ||
	    (ciphers[0] != '\0' && conf_set_tls_ciphers(NULL, r, ciphers,
	    place, &why) == -1) || !wire_client_is_sane(r) ||
	    !wire_terminate_is_sane(r) ||
	    (r->identity != CONF_IDENTITY_NONE &&
	    (r->forward != FORWARD_FIXED || r->is_transparent)))
		in->has_failed = 1;
}

static int
wire_listener_is_sane(const struct conf_relay *r,
    const struct conf_tls_server *s)
{
	if ((s->mode != TLS_OFF) != (s->npkis > 0) ||
	    (s->verify != TLS_VERIFY_OFF) != (s->ca != CONF_NO_BLOB))
		return 0;
	if ((s->mode == TLS_OFF && s->verify != TLS_VERIFY_OFF) ||
	    (s->mode == TLS_OFFER && s->verify == TLS_VERIFY_REQUIRE) ||
	    (s->mode == TLS_REQUIRE && s->verify == TLS_VERIFY_ASK))
		return 0;
	return s->mode == TLS_OFF || (r->forward == FORWARD_FIXED &&
	    r->starttls == STARTTLS_HIDE);
}

void
wire_get_listener(struct conf *c, struct wire_in *in)
{
	struct conf_relay	*r = c->wire_relay;
	struct conf_listener	*l, **end;
	uint64_t		 number = wire_get(in, 4);

	if (in->has_failed || r == NULL || number != r->nlisteners ||
	    number >= r->nlisteners_announced ||
	    (l = calloc(1, sizeof(*l))) == NULL) {
		in->has_failed = 1;
		return;
	}
	for (end = &r->listeners; *end != NULL; end = &(*end)->next)
		;
	*end = l;
	l->number = r->nlisteners++;
	wire_get_addr(in, &l->addr);
	l->is_divert = (int)wire_get_upto(in, 1);
	wire_get_server(c, in, &l->tls);
	if (!wire_listener_is_sane(r, &l->tls) ||
	    (r->forward == FORWARD_NAT && l->is_divert) ||
	    (r->forward == FORWARD_DESTINATION && !l->is_divert))
		in->has_failed = 1;
}

int
conf_wire_piece(struct conf *c, uint32_t blob, const uint8_t *data,
    size_t len)
{
	struct conf_blob	*b;

	/* The first that is not whole: pieces come in order. */
	for (b = c->blobs; b != NULL && b->len == b->size; b = b->next)
		;
	if (b == NULL || c->nblobs != c->wire_nblobs || b->number != blob ||
	    len == 0 || len > CONF_WIRE_PIECE || len > b->size - b->len)
		return -1;
	memcpy(b->data + b->len, data, len);
	b->len += len;
	return 0;
}
