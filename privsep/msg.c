/*
 * Messages between processes: fields to octets and back.
 *
 * Runs in every process.  The reader trusts nothing: what it is given may be
 * any octets at all, from a process that an attacker has taken over.  Each
 * value has exactly one form on the wire, so that what was accepted means the
 * same to whoever reads it.  Errors stick, and are asked for once at the end.
 */
#include "msg.h"

#include <sys/types.h>
#include <sys/socket.h>

#include <string.h>
#include <unistd.h>

int
msg_take_fd(struct msg *m, size_t i)
{
	int	fd;

	if (i >= m->nfds)
		return -1;
	fd = m->fd[i];
	m->fd[i] = -1;
	return fd;
}

void
msg_close_fds(struct msg *m)
{
	size_t	i;

	for (i = 0; i < m->nfds; i++) {
		if (m->fd[i] != -1)
			(void)close(m->fd[i]);	/* nothing left to save */
		m->fd[i] = -1;
	}
}

/* --- Writer --- */

/* Room for len octets more, or NULL and the failure sticks. */
static uint8_t *
msg_room(struct msg_writer *w, size_t len)
{
	uint8_t	*p;

	if (w->has_failed || len > sizeof(w->data) - w->used) {
		w->has_failed = 1;
		return NULL;
	}
	p = w->data + w->used;
	w->used += len;
	return p;
}

/* A number of n octets, most significant first. */
static void
msg_put_number(struct msg_writer *w, uint64_t v, size_t n)
{
	uint8_t	*p;

	if ((p = msg_room(w, n)) == NULL)
		return;
	while (n > 0) {
		n--;
		p[n] = (uint8_t)(v & 0xff);
		v >>= 8;
	}
}

void
msg_start(struct msg_writer *w, uint16_t type, uint64_t id)
{
	w->used = 0;
	w->has_failed = 0;
	msg_put_u16(w, type);
	msg_put_u16(w, 0);		/* the length, by msg_finish() */
	msg_put_u64(w, id);
}

void
msg_put_u8(struct msg_writer *w, uint8_t v)
{
	msg_put_number(w, v, 1);
}

void
msg_put_u16(struct msg_writer *w, uint16_t v)
{
	msg_put_number(w, v, 2);
}

void
msg_put_u32(struct msg_writer *w, uint32_t v)
{
	msg_put_number(w, v, 4);
}

void
msg_put_u64(struct msg_writer *w, uint64_t v)
{
	msg_put_number(w, v, 8);
}

void
msg_put_octets(struct msg_writer *w, const void *data, size_t len)
{
	uint8_t	*p;

	if (len > MSG_MAX) {
		w->has_failed = 1;
		return;
	}
	msg_put_u16(w, (uint16_t)len);
	if ((p = msg_room(w, len)) != NULL && len > 0)
		memcpy(p, data, len);
}

void
msg_put_str(struct msg_writer *w, const char *s)
{
	msg_put_octets(w, s, strlen(s));
}

void
msg_put_addr(struct msg_writer *w, const struct addr *a)
{
	uint8_t	*p;
	uint8_t	 family;
	size_t	 len;

	switch (a->family) {
	case 0:
		family = 0;
		len = 0;
		break;
	case AF_INET:
		family = 4;
		len = 4;
		break;
	case AF_INET6:
		family = 6;
		len = 16;
		break;
	default:
		w->has_failed = 1;
		return;
	}
	msg_put_u8(w, family);
	msg_put_u16(w, family == 0 ? 0 : a->port);
	msg_put_u32(w, family == 6 ? a->scope : 0);
	if ((p = msg_room(w, len)) != NULL && len > 0)
		memcpy(p, a->ip, len);
}

int
msg_finish(struct msg_writer *w)
{
	if (w->has_failed || w->used < MSG_HEADER)
		return -1;
	w->data[2] = (uint8_t)(w->used >> 8);
	w->data[3] = (uint8_t)(w->used & 0xff);
	return 0;
}

/* --- Reader --- */

void
msg_reader_init(struct msg_reader *r, const struct msg *m)
{
	r->data = m->data;
	r->left = m->len;
	r->has_failed = 0;
}

/* The next len octets, or NULL and the failure sticks. */
static const uint8_t *
msg_next(struct msg_reader *r, size_t len)
{
	const uint8_t	*p;

	if (r->has_failed || len > r->left) {
		r->has_failed = 1;
		return NULL;
	}
	p = r->data;
	r->data += len;
	r->left -= len;
	return p;
}

static uint64_t
msg_number(struct msg_reader *r, size_t n)
{
	const uint8_t	*p;
	uint64_t	 v = 0;

	if ((p = msg_next(r, n)) == NULL)
		return 0;
	for (; n > 0; n--)
		v = v << 8 | *p++;
	return v;
}

uint8_t
msg_u8(struct msg_reader *r)
{
	return (uint8_t)msg_number(r, 1);
}

uint16_t
msg_u16(struct msg_reader *r)
{
	return (uint16_t)msg_number(r, 2);
}

uint32_t
msg_u32(struct msg_reader *r)
{
	return (uint32_t)msg_number(r, 4);
}

uint64_t
msg_u64(struct msg_reader *r)
{
	return msg_number(r, 8);
}

const uint8_t *
msg_octets(struct msg_reader *r, size_t *len)
{
	const uint8_t	*p;

	*len = msg_u16(r);
	if ((p = msg_next(r, *len)) == NULL)
		*len = 0;
	return p;
}

void
msg_str(struct msg_reader *r, char *to, size_t size)
{
	const uint8_t	*p;
	size_t		 len;

	if (size > 0)
		to[0] = '\0';
	if ((p = msg_octets(r, &len)) == NULL)
		return;
	if (len >= size || memchr(p, '\0', len) != NULL) {
		r->has_failed = 1;
		return;
	}
	memcpy(to, p, len);
	to[len] = '\0';
}

void
msg_addr(struct msg_reader *r, struct addr *a)
{
	const uint8_t	*p;
	size_t		 len = 0;
	uint8_t		 family;

	memset(a, 0, sizeof(*a));
	family = msg_u8(r);
	a->port = msg_u16(r);
	a->scope = msg_u32(r);
	if (family == 4) {
		a->family = AF_INET;
		len = 4;
	} else if (family == 6) {
		a->family = AF_INET6;
		len = 16;
	}
	if ((family != 0 && len == 0) || (family == 0 && a->port != 0) ||
	    (family != 6 && a->scope != 0))
		r->has_failed = 1;
	if ((p = msg_next(r, len)) == NULL) {
		memset(a, 0, sizeof(*a));
		return;
	}
	if (len > 0)
		memcpy(a->ip, p, len);
}

int
msg_done(const struct msg_reader *r)
{
	return r->has_failed || r->left != 0 ? -1 : 0;
}

int
msg_parse_header(struct msg *m, const uint8_t *data, size_t len)
{
	struct msg_reader	r;
	uint16_t		length;

	memset(m, 0, sizeof(*m));
	if (len < MSG_HEADER || len > MSG_MAX)
		return -1;
	r.data = data;
	r.left = len;
	r.has_failed = 0;
	m->type = msg_u16(&r);
	length = msg_u16(&r);
	m->id = msg_u64(&r);
	m->data = r.data;
	m->len = r.left;
	return length == len ? 0 : -1;
}
