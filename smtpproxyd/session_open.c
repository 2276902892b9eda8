/*
 * What comes before SMTP on either side of a session: a PROXY header of a load
 * balancer, and TLS handshakes, those that a connection begins with and those
 * that the engine asks for (STARTTLS).  Runs in the worker; trusts neither
 * peer.  Until TLS stands nothing is said in clear, reasons included.
 */
#include <sys/types.h>
#include <sys/socket.h>

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "session_int.h"
#include "session_tls.h"
#include "smtp_proxy.h"

#define SESSION_PROXY_MS	10000	/* a header's time; 3 s at least are
					 * asked for (proxy-protocol.txt) */

static enum smtp_client_tls
open_client_tls(const struct session *s)
{
	if (s->on == NULL || s->on->tls.mode == TLS_OFF ||
	    s->on->tls.mode == TLS_IMPLICIT)
		return SMTP_CLIENT_CLEAR;
	return s->on->tls.mode == TLS_REQUIRE ? SMTP_CLIENT_MUST :
	    SMTP_CLIENT_MAY;
}

static int
open_needs_more(const struct session *s)
{
	const struct conf_relay	*r = s->relay->conf;

	return r->identity != CONF_IDENTITY_NONE || r->adds_trace ||
	    r->tls.mode != DEST_TLS_OFF ||
	    r->starttls == STARTTLS_TERMINATE ||
	    (s->on != NULL && s->on->tls.mode != TLS_OFF);
}

static int
open_add_more(struct session *s)
{
	struct session_more	*m;

	if ((m = calloc(1, sizeof(*m))) == NULL)
		return -1;
	(void)snprintf(m->id, sizeof(m->id), "%016" PRIx64, s->id);
	m->who.client = &s->client;
	m->who.local = &s->listener;
	m->who.session = m->id;
	m->who.hostname = s->relay->smtp.hostname;
	m->who.start_s = time(NULL);
	m->who.start_ms = m->opened_ms = s->start_ms;
	s->more = m;
	smtp_engine_set_client(&s->engine, open_client_tls(s), &m->who);
	return 0;
}

static void
open_begin_tls(struct session *s)
{
	s->opening = SESSION_OPEN_TLS;
	s->more->opened_ms = s->set->loop->now_ms;
	s->side[SMTP_CLIENT].wants_tls = 1;
	s->side[SMTP_CLIENT].is_implicit = 1;
}

int
session_open_new(struct session *s, const struct session_new *n)
{
	if (n->is_bypass)
		return 0;
	if ((n->is_proxied || open_needs_more(s)) && open_add_more(s) == -1)
		return -1;
	if (n->is_proxied)
		s->opening = SESSION_OPEN_PROXY;
	else if (s->on != NULL && s->on->tls.mode == TLS_IMPLICIT)
		open_begin_tls(s);
	return 0;
}

void
session_open_free(struct session *s)
{
	free(s->more);
	s->more = NULL;
}

static void
open_done(struct session *s)
{
	s->opening = SESSION_OPEN;
	session_begin(s);
}

/* Nobody is told: who did not begin well may be anybody. */
static void
open_failed(struct session *s, const char *reason)
{
	smtp_engine_tls_failed(&s->engine, SMTP_CLIENT, reason,
	    s->set->loop->now_ms);
	session_activate(s);
}

int64_t
session_open_limit(const struct session *s)
{
	int64_t	limit = SESSION_PROXY_MS;

	if (s->opening == SESSION_OPEN_TLS)
		limit = s->relay->smtp.timeout_ms[SMTP_TIMEOUT_TLS];
	return limit == 0 ? INT64_MAX : s->more->opened_ms + limit;
}

void
session_open_timeout(struct session *s)
{
	open_failed(s, s->opening == SESSION_OPEN_TLS ?
	    "timeout of TLS handshake" : "timeout: no PROXY header");
}

/* Behind its header a client is another one. */
static void
open_take_proxy(struct session *s, const struct smtp_proxy *p)
{
	buf_drop(&s->side[SMTP_CLIENT].in, p->len);
	if (!p->is_local) {
		s->more->proxy = s->client;
		s->client = p->client;
		s->listener = p->local;
	}
	if (s->on != NULL && s->on->tls.mode == TLS_IMPLICIT)
		open_begin_tls(s);
	else
		open_done(s);
}

/*
 * No octet behind the header is taken off the socket: it may be of TLS, and
 * the library reads there.
 */
void
session_open_receive(struct session *s)
{
	struct session_side	*x = &s->side[SMTP_CLIENT];
	struct smtp_proxy	 p;
	uint8_t			*place;
	size_t			 size;
	ssize_t			 n;

	if (x->has_eof || x->in.used >= SMTP_PROXY_HEADER_MAX)
		return;
	if ((place = buf_reserve(&x->in, 1, &size)) == NULL) {
		session_fail(s, "out of memory");
		return;
	}
	n = recv(x->fd, place, size, MSG_PEEK);
	/* What came before lies in front of it. */
	if (n > 0 && smtp_proxy_parse(&p, place - x->in.used,
	    x->in.used + (size_t)n) == PROXY_OK)
		n = (ssize_t)(p.len - x->in.used);
	if (n > 0)
		n = recv(x->fd, place, (size_t)n, 0);
	if (n > 0)
		buf_grew(&x->in, (size_t)n);
	else if (n == 0 || (errno != EAGAIN && errno != EINTR))
		x->has_eof = 1;
	buf_trim(&x->in);
}

int
session_open_run(struct session *s)
{
	struct session_side	*x = &s->side[SMTP_CLIENT];
	struct smtp_proxy	 p;

	if (s->engine.is_done || s->opening != SESSION_OPEN_PROXY)
		return 0;
	switch (smtp_proxy_parse(&p, buf_head(&x->in), x->in.used)) {
	case PROXY_OK:
		open_take_proxy(s, &p);
		return 1;
	case PROXY_BAD:
		open_failed(s, p.why);
		return 1;
	case PROXY_MORE:
		break;
	}
	if (!x->has_eof)
		return 0;
	open_failed(s, "closed before its PROXY header");
	return 1;
}

/* The name that the certificate of the destination must be for. */
static const char *
shake_host(const struct session *s)
{
	if (s->relay->smtp.terminates)
		return s->more->who.tls.sni;
	return s->relay->conf->choices[s->choice].host;
}

/* A handshake that was paused can go on. */
static void
shake_woken(void *arg)
{
	session_activate(arg);
}

static struct session_tls *
shake_new(struct session *s, enum smtp_side side)
{
	struct tls_set	*set = s->set->tls;
	uint32_t	 relay = s->relay->conf->number;
	int		 fd = s->side[side].fd;

	if (side == SMTP_DEST)
		return session_tls_connect(set, relay, shake_host(s), fd,
		    shake_woken, s);
	return session_tls_accept(set, relay, s->relay->smtp.terminates ?
	    UINT32_MAX : s->on->number, fd, shake_woken, s);
}

static void
shake_failed(struct session *s, enum smtp_side side, const char *why)
{
	(void)strlcpy(s->more->tls_error[side], why,
	    sizeof(s->more->tls_error[side]));	/* cut is fine */
	if (side == SMTP_CLIENT)
		open_failed(s, "TLS handshake failed");
	else {
		smtp_engine_tls_failed(&s->engine, SMTP_DEST,
		    "TLS handshake with destination failed",
		    s->set->loop->now_ms);
		session_activate(s);
	}
}

static void
shake_done_client(struct session *s)
{
	struct session_side	*x = &s->side[SMTP_CLIENT];

	session_tls_facts(x->tls, &s->more->who.tls);
	smtp_engine_tls_up(&s->engine, SMTP_CLIENT,
	    s->more->who.tls.is_verified, s->set->loop->now_ms);
	if (x->is_implicit)
		open_done(s);
}

static void
shake_done_dest(struct session *s)
{
	struct session_side	*x = &s->side[SMTP_DEST];
	struct smtp_tls_facts	*f = &s->more->dest_tls;
	int64_t			 now_ms = s->set->loop->now_ms;

	session_tls_facts(x->tls, f);
	f->sni = f->subject = NULL;	/* they go with the connection */
	/* Of a chain alone nobody knows whose it is. */
	smtp_engine_tls_up(&s->engine, SMTP_DEST,
	    f->is_verified && shake_host(s) != NULL, now_ms);
	if (x->is_implicit)
		smtp_engine_connected(&s->engine, now_ms);
}

static void
shake_step(struct session *s, enum smtp_side side)
{
	struct session_side	*x = &s->side[side];

	switch (session_tls_handshake(x->tls)) {
	case TLS_DONE:
		x->is_shaking = 0;
		if (side == SMTP_CLIENT)
			shake_done_client(s);
		else
			shake_done_dest(s);
		break;
	case TLS_WANT_READ:
		x->shake_events = POLLIN;
		break;
	case TLS_WANT_WRITE:
		x->shake_events = POLLOUT;
		break;
	case TLS_WAIT:
		x->shake_events = 0;
		break;
	case TLS_FAILED:
		shake_failed(s, side, session_tls_error(x->tls));
		break;
	}
}

static int
shake_begin(struct session *s, enum smtp_side side)
{
	struct session_side	*x = &s->side[side];

	if (!x->wants_tls || x->fd == -1 || s->engine.out[side].used > 0)
		return 0;
	x->wants_tls = 0;
	/* The engine has refused them; to be sure (RFC 3207 6). */
	if (x->in.used > 0) {
		shake_failed(s, side, "octets in clear behind STARTTLS");
		return 1;
	}
	if ((x->tls = shake_new(s, side)) == NULL) {
		shake_failed(s, side, "out of memory");
		return 1;
	}
	x->is_shaking = 1;
	/* A client begins itself, and has only now been told to. */
	x->is_fresh = side == SMTP_DEST;
	x->shake_events = POLLIN;
	return 1;
}

/* One step for each side that may have something to do. */
int
session_open_tls(struct session *s)
{
	int	i, moved = 0;

	for (i = 0; i < SMTP_SIDES; i++) {
		struct session_side	*x = &s->side[i];

		if (s->phase != SESSION_RUNNING || s->engine.is_done)
			return moved;
		moved |= shake_begin(s, (enum smtp_side)i);
		if (!x->is_shaking || (!x->is_fresh && x->shake_events != 0))
			continue;
		/* The first one, or a wake-up; others are the socket's. */
		x->is_fresh = 0;
		shake_step(s, (enum smtp_side)i);
		moved |= !x->is_shaking;
	}
	return moved;
}

void
session_open_shake(struct session *s, enum smtp_side side, short revents)
{
	struct session_side	*x = &s->side[side];

	if (x->shake_events == 0) {
		/* Paused: no call but the one that ends it (an end has come
		 * from the peer, else poll(2) would not say anything). */
		if (revents & (POLLHUP | POLLERR))
			shake_failed(s, side, "closed during the handshake");
		return;
	}
	shake_step(s, side);
}
