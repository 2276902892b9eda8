/*
 * Fuzz target: the engine where STARTTLS ends in it, both sides driven by the
 * input.
 *
 * The first octet chooses settings (see set_options()).  Then records that end
 * with 0xff: a letter, then octets:
 *	C D	client, destination say them
 *	c d r x	they end, their connection breaks
 *	K L	the handshake is done, with the client, the destination
 *	k l	it fails
 *	t s N	time passes, a stop, a destination is connected again
 * What must hold, whatever they say:
 *	- behind our 220 the client hears nothing before TLS stands
 *	- nothing that was said in clear before it is of use behind it
 *	- where TLS is required no mail goes on in clear, on either side
 *	- before the greeting the client hears nothing at all
 *	- it ends by time alone, and memory has its bounds (engine_play.h)
 */
#include "../unit/engine_play.h"
#include "fuzz.h"

static struct addr	client_addr = { AF_INET, 1234, 0, { 192, 0, 2, 9 } };
static struct addr	local_addr = { AF_INET, 25, 0, { 192, 0, 2, 25 } };

static void
set_options(struct play *p, unsigned int o)
{
	static const enum smtp_identity	identities[] = {
		IDENTITY_NONE, IDENTITY_XCLIENT, IDENTITY_XFORWARD,
		IDENTITY_PROXY_V2
	};

	p->client_tls = (enum smtp_client_tls)(o % 3);
	p->set.dest_tls = (enum smtp_dest_tls)(o / 3 % 3);
	p->set.terminates = o / 9 % 2 != 0 && p->client_tls == 0 &&
	    p->set.dest_tls == 0;
	p->set.identity = identities[o / 18 % 4];
	p->set.adds_trace = o / 72 % 2 != 0;
	p->who.client = &client_addr;
	p->who.local = &local_addr;
	p->who.session = "0123456789abcdef";
	p->who.hostname = "gw.example.org";
}

static int
has_text(const struct play_text *t, const char *text)
{
	return t->used > 0 &&
	    memmem(t->data, t->used, text, strlen(text)) != NULL;
}

/* What must be so after every step. */
static void
check(const struct play *p)
{
	const struct smtp_engine	*e = &p->e;
	const struct play_text		*dest = &p->side[SMTP_DEST].got;

	if (e->state == SMTP_TLS)
		HOLDS(e->is_mute && e->out[SMTP_CLIENT].used == 0);
	if (e->must_ehlo)
		HOLDS(e->txn_now == -1 && e->ehlo.passed == 0);
	if (e->state == SMTP_GREETING)
		HOLDS(p->side[SMTP_CLIENT].got.used == 0);
	if (p->set.dest_tls == SMTP_DEST_MUST && !e->is_tls[SMTP_DEST] &&
	    !p->is_dest_closed)
		HOLDS(!has_text(dest, "MAIL") && !has_text(dest, "XCLIENT"));
	if (p->client_tls == SMTP_CLIENT_MUST && !e->is_tls[SMTP_CLIENT])
		HOLDS(!has_text(dest, "\nMAIL") && !has_text(dest, "\nAUTH"));
}

/* A handshake can be done only where one was asked for, or at first. */
static void
shake(struct play *p, enum smtp_side side, int is_up)
{
	int	is_due = side == SMTP_CLIENT ? p->e.state == SMTP_TLS :
		    p->e.dest == DEST_TLS;

	if (!is_due || p->e.is_done || p->e.out[side].used > 0)
		return;
	p->side[side].got.used = 0;	/* what comes now is in TLS */
	play_tls(p, side, is_up, is_up);
	if (is_up && !p->e.is_done)
		HOLDS(p->e.is_tls[side]);
}

static void
again(struct play *p)
{
	if (!p->is_dest_closed || p->is_over || p->e.dest != DEST_NONE)
		return;
	p->side[SMTP_DEST].got.used = 0;
	play_connect(p);
}

static void
step(struct play *p, int op, const uint8_t *in, size_t len)
{
	switch (op) {
	case 'C':
	case 'D':
		if (!p->side[op == 'C' ? SMTP_CLIENT : SMTP_DEST].has_end)
			play_give(p, op == 'C' ? SMTP_CLIENT : SMTP_DEST, in,
			    len);
		break;
	case 'c':
	case 'd':
		play_end(p, op == 'c' ? SMTP_CLIENT : SMTP_DEST);
		break;
	case 'r':
	case 'x':
		play_lost(p, op == 'r' ? SMTP_CLIENT : SMTP_DEST);
		break;
	case 'K':
	case 'k':
		shake(p, SMTP_CLIENT, op == 'K');
		break;
	case 'L':
	case 'l':
		shake(p, SMTP_DEST, op == 'L');
		break;
	case 't':
		play_wait(p, (int64_t)(len > 0 ? in[0] : 1) * 10000);
		break;
	case 's':
		smtp_engine_stop(&p->e, p->now_ms);
		play_run(p);
		break;
	case 'N':
		again(p);
		break;
	default:
		break;
	}
	check(p);
}

/* Whatever it waits for, time ends it. */
static void
end_by_time(struct play *p)
{
	int	i;

	for (i = 0; i < 64 && !p->is_over; i++) {
		if (p->e.dest == DEST_NONE) {
			smtp_engine_no_choice(&p->e, "none", p->now_ms);
			play_run(p);
		} else
			play_wait(p, 1000000);
	}
	HOLDS(p->is_over);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct play	 p;
	const uint8_t	*end;
	size_t		 n;

	if (len == 0)
		return 0;
	play_init(&p);
	set_options(&p, data[0]);
	play_start(&p);
	play_connected(&p);
	data++;
	len--;
	while (len > 0) {
		end = memchr(data, 0xff, len);
		n = end == NULL ? len : (size_t)(end - data);
		if (n > 0)
			step(&p, data[0], data + 1, n - 1);
		if (end == NULL)
			break;
		data += n + 1;
		len -= n + 1;
	}
	end_by_time(&p);
	play_clear(&p);
	return 0;
}
