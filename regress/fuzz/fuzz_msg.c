/*
 * Fuzz target: a packet as it may come from a process that was taken over.
 * The first octet says by whom, to whom and in which state, the second how
 * many descriptors, the third which fields are read; the rest is the packet.
 * What is accepted must be the one form of what it says: written again it is
 * the same octets.
 */
#include <sys/types.h>

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../../privsep/msg.h"
#include "../../privsep/msg_table.h"
#include "../../smtpproxyd/messages.h"

int	LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static void
must(int holds)
{
	if (!holds)
		abort();
}

/* One field of the kind, written again to *w. */
static void
copy_field(struct msg_reader *r, struct msg_writer *w, unsigned int kind)
{
	struct addr	 a;
	char		 text[256];
	const uint8_t	*p;
	size_t		 len;

	switch (kind) {
	case 0:
		msg_put_u8(w, msg_u8(r));
		break;
	case 1:
		msg_put_u16(w, msg_u16(r));
		break;
	case 2:
		msg_put_u32(w, msg_u32(r));
		break;
	case 3:
		msg_put_u64(w, msg_u64(r));
		break;
	case 4:
	case 5:
		msg_str(r, text, sizeof(text));
		msg_put_str(w, text);
		break;
	case 6:
		p = msg_octets(r, &len);
		must(p != NULL || (len == 0 && r->has_failed));
		msg_put_octets(w, p == NULL ? (const uint8_t *)"" : p, len);
		break;
	default:
		msg_addr(r, &a);
		msg_put_addr(w, &a);
		break;
	}
}

static void
copy(const struct msg *m, unsigned int kinds)
{
	struct msg_writer	w;
	struct msg_reader	r;
	size_t			left, i;

	msg_reader_init(&r, m);
	msg_start(&w, m->type, m->id);
	/* Three bits a kind, turned round, until the packet is used up. */
	for (i = 0; i < MSG_MAX && r.left > 0 && !r.has_failed; i++) {
		left = r.left;
		copy_field(&r, &w, kinds >> (i % 3 * 3) & 7);
		must(r.has_failed || r.left < left);
	}
	must(msg_done(&r) == (r.has_failed || r.left > 0 ? -1 : 0));
	if (msg_done(&r) == -1)
		return;
	must(msg_finish(&w) == 0);
	must(w.used == m->len + MSG_HEADER);
	must(memcmp(w.data + MSG_HEADER, m->data, m->len) == 0);
}

/* What passes the table passes by a row that says so. */
static void
check(const struct msg *m, unsigned int who, size_t nfds)
{
	enum proc_role		 from = (enum proc_role)(who & 7);
	enum proc_role		 to = (enum proc_role)(who >> 3 & 7);
	enum chan_state		 state = (enum chan_state)(who >> 6 & 3);
	const struct msg_row	*row = msg_table_row(m->type);

	if (msg_table_check(m->type, from, to, state, m->len, nfds) != NULL)
		return;
	must(row != NULL && from < PROC_ROLES && to < PROC_ROLES);
	must((row->from & ROLE(from)) != 0 && (row->to & ROLE(to)) != 0);
	must((row->states & STATE(state)) != 0 && from != to);
	must(m->len >= row->min && m->len <= row->max);
	must(nfds == row->nfds && nfds <= MSG_FDS_MAX);
	must(nfds == 0 || m->len + MSG_HEADER <= MSG_MAX_FD);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct msg	m;
	size_t		i;

	if (msg_table_init(messages, nmessages) == -1)
		abort();
	if (size < 4)
		return 0;
	if (msg_parse_header(&m, data + 4, size - 4) == -1)
		return 0;
	must(m.nfds == 0 && m.is_cut == 0);
	must(m.len == size - 4 - MSG_HEADER);
	check(&m, data[0], data[1]);
	for (i = 0; i < 256; i++)
		check(&m, (unsigned int)i, data[1] % 4U);
	copy(&m, (unsigned int)data[2] << 8 | data[3]);
	return 0;
}
