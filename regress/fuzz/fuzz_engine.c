/*
 * Fuzz target: the whole engine, both sides driven by the input.
 *
 * The input is records that end with 0xff: a letter, then octets.  The letters
 * are those of the scripts (unit/engine_script.h), and
 *	O	settings, by letters: see set_options()
 *	A	the destination answers what is due, one character a reply:
 *		see answer_one()
 * The oracle reads the streams again (ref_session.h):
 *	- all readers, strict and lenient, see the same messages in what the
 *	  destination got, each a whole message of the client, in order
 *	- a 2xx for a message comes from the destination, for that message
 *	- no line goes out that the client did not say, none that is not a
 *	  known command, and no reply is lost
 *	- behind a 220 to STARTTLS, and in a bypass, each side gets what the
 *	  other said, and nothing else
 *	- every cut of the same octets gives the same
 *	- whatever happened, it ends by time alone, and memory has its bounds
 */
#include "../unit/engine_play.h"
#include "fuzz.h"
#include "ref_data.h"
#include "ref_session.h"

#define CODES	1024

struct run {
	struct play	 p;
	struct play_text said[SMTP_SIDES];	/* by that side */
	uint32_t	 seed;			/* how octets are cut */
	int		 was_blocked;
	int		 has_async;
	size_t		 ndelivered;		/* transactions */
	uint64_t	 delivered[64];		/* their sizes */
};

static const char *const	pass_verbs[] = { "XSTAT", NULL };

static void
set_options(struct run *r, const uint8_t *in, size_t len)
{
	struct play	*p = &r->p;
	size_t		 i;

	for (i = 0; i < len; i++) {
		switch (in[i]) {
		case 'p':
			p->set.allow_pregreet = 1;
			break;
		case 'n':
			p->set.normalize_newlines = 1;
			break;
		case 'v':
			p->set.pass_verbs = pass_verbs;
			break;
		case 'e':
			p->set.max_errors = 3;
			break;
		case 'z':
			p->set.max_message_size = 20;
			break;
		case 'q':
			p->async = ~0U;
			r->has_async = 1;
			break;
		case '1':
			p->send_max = 1;
			break;
		case 's':
			p->set.ehlo.remove = EHLO_REQUIRETLS;
			break;
		case 'b':
			p->is_bypass = 1;
			break;
		default:
			if (in[i] < '0' + SMTP_STAGES && in[i] >= '2') {
				p->answer[in[i] - '0'] = ANSWER_REPLY;
				p->reply[in[i] - '0'] = "550 5.7.1 no";
			}
			break;
		}
	}
}

static void
say_cut(struct run *r, enum smtp_side side, const uint8_t *in, size_t len)
{
	struct fuzz_cut	cut = { r->seed, in, len, NULL };
	size_t		n;

	if (r->p.side[side].has_end || (side == SMTP_DEST &&
	    r->p.is_dest_closed))
		return;
	play_add(&r->said[side], in, len);
	while ((n = fuzz_next(&cut)) > 0)
		play_give(&r->p, side, cut.piece, n);
	r->seed = cut.seed;
}

/*
 * Each reply is an event of its own: what the client said meanwhile, and was
 * held, has its turn before the next one.
 */
static void
say(struct run *r, enum smtp_side side, const uint8_t *in, size_t len)
{
	const uint8_t	*lf;
	size_t		 n;

	while (side == SMTP_DEST && (lf = memchr(in, '\n', len)) != NULL) {
		n = (size_t)(lf - in) + 1;
		say_cut(r, side, in, n);
		in += n;
		len -= n;
	}
	if (len > 0)
		say_cut(r, side, in, len);
}

/* Codes of what a side said or got; the first is the greeting. */
static size_t
codes_of(const struct play_text *t, unsigned int *codes)
{
	return ref_codes(t->data, t->used, codes, CODES);
}

static const char	ehlo_full[] =
	"250-mx\r\n250-PIPELINING\r\n250-CHUNKING\r\n250-BINARYMIME\r\n"
	"250-SIZE 100\r\n250-AUTH PLAIN LOGIN GSSAPI\r\n250-STARTTLS\r\n"
	"250-X\r\n250 SMTPUTF8\r\n";

/* One reply to one thing that is due. */
static void
answer_one(struct run *r, const struct ref_session *s,
    const struct ref_item *i, int how)
{
	const char	*text = "250 2.0.0 ok\r\n";

	if (i == NULL)
		text = "220 mx ESMTP\r\n";
	else if (i->kind == REF_LINE && ref_verb(s, i, "DATA"))
		text = "354 go\r\n";
	else if (i->kind == REF_LINE && ref_verb(s, i, "EHLO"))
		text = ehlo_full;
	else if (i->kind == REF_LINE && ref_verb(s, i, "QUIT"))
		text = "221 bye\r\n";
	else if (i->kind == REF_LINE && ref_verb(s, i, "STARTTLS"))
		text = "220 go\r\n";
	if (how == '4')
		text = "451-4.3.0 a\r\n451 4.3.0 b\r\n";
	else if (how == '5')
		text = "550 5.1.1 no\r\n";
	else if (how == '1')
		text = "421 4.3.2 bye\r\n";
	else if (how == '3')
		text = "354 go\r\n";
	else if (how == 'a')
		text = "334 VXNlcg==\r\n";
	else if (how == 'm')
		text = "250-a\r\n250 b\r\n";
	else if (how == 'n')
		text = "250-a\n250 b\n";
	else if (how == 'e')
		text = "250-mx\r\n250 CHUNKING\r\n";
	else if (how == 'd')
		text = "250 a\r\n250 b\r\n";
	else if (how == 'g')
		text = "hello\r\n";
	say(r, SMTP_DEST, (const uint8_t *)text, strlen(text));
}

/*
 * The next thing in what the destination got that has no reply; 0: none.
 * Nothing follows an octet that would not be read.
 */
static int
find_due(struct run *r, struct ref_session *s, const struct ref_item **due)
{
	static unsigned int	codes[CODES];
	const struct play_text	*got = &r->p.side[SMTP_DEST].got;
	size_t			 n, i;

	*due = NULL;
	n = codes_of(&r->said[SMTP_DEST], codes);
	if (n == 0)
		return r->said[SMTP_DEST].used == 0;
	ref_read(s, REF_STRICT, got->data, got->used, codes + 1, n - 1);
	for (i = 0; i < s->nitems; i++) {
		if (s->item[i].kind == REF_CHUNK || s->item[i].code != 0 ||
		    !s->item[i].is_complete)
			continue;
		/* A chunk's reply is the command's, once it is there. */
		if (ref_verb(s, &s->item[i], "BDAT") &&
		    s->item[i].kind == REF_LINE && (i + 1 == s->nitems ||
		    !s->item[i + 1].is_complete))
			return 0;
		*due = &s->item[i];
		return 1;
	}
	return 0;
}

static void
answer_all(struct run *r, const uint8_t *how, size_t len)
{
	static struct ref_session	 s;
	const struct ref_item		*due;
	/* In a bypass nobody counts them, and none would ever be the last. */
	size_t				 i, max = r->p.is_bypass ? 1 :
					    SMTP_QUEUE_MAX;

	for (i = 0; i < max && !r->p.is_dest_closed; i++) {
		if (!find_due(r, &s, &due))
			return;
		if (i < len && how[i] == 'h')
			return;
		answer_one(r, &s, due, i < len ? how[i] : '2');
	}
}

static void
leave(struct run *r, enum smtp_side side, int is_lost)
{
	const struct buf	*out = &r->p.e.out[SMTP_CLIENT];

	if (is_lost && side == SMTP_CLIENT) {
		/* It counts as heard what was on its way. */
		if (!r->p.is_over)
			play_add(&r->p.side[side].got, buf_head(out),
			    out->used);
		r->p.side[side].has_end = r->p.side[side].is_end_told = 1;
	}
	if (is_lost)
		play_lost(&r->p, side);
	else
		play_end(&r->p, side);
}

static void
block(struct run *r, enum smtp_side side, int is_blocked)
{
	r->was_blocked |= is_blocked;
	r->p.side[side].is_blocked = is_blocked;
	play_run(&r->p);
}

static void
connect_again(struct run *r)
{
	if (!r->p.is_dest_closed || r->p.is_over || r->p.e.dest != DEST_NONE)
		return;
	r->said[SMTP_DEST].used = 0;
	play_connect(&r->p);
}

static void
answer_question(struct run *r, int how)
{
	struct smtp_question	q;

	if (!smtp_engine_question(&r->p.e, &q))
		return;
	r->p.question = q;
	play_answer(&r->p, how == '=' ? ANSWER_REPLY : how == '!' ?
	    ANSWER_CLOSE : ANSWER_PASS, how == '=' || how == '!' ?
	    "554 5.7.1 no" : NULL);
	play_run(&r->p);
}

static void
pass_time(struct run *r, const uint8_t *in, size_t len)
{
	int64_t	ms = 0;
	size_t	i;

	for (i = 0; i < len && i < 7; i++)
		if (in[i] >= '0' && in[i] <= '9')
			ms = ms * 10 + (in[i] - '0');
	play_wait(&r->p, ms);
}

static void
step(struct run *r, int op, const uint8_t *in, size_t len)
{
	switch (op) {
	case 'C':
	case 'D':
		say(r, op == 'C' ? SMTP_CLIENT : SMTP_DEST, in, len);
		break;
	case 'A':
		answer_all(r, in, len);
		break;
	case 'c':
	case 'd':
		leave(r, op == 'c' ? SMTP_CLIENT : SMTP_DEST, 0);
		break;
	case 'r':
	case 'x':
		leave(r, op == 'r' ? SMTP_CLIENT : SMTP_DEST, 1);
		break;
	case 'b':
	case 'u':
		block(r, SMTP_DEST, op == 'b');
		break;
	case 'B':
	case 'U':
		block(r, SMTP_CLIENT, op == 'B');
		break;
	case 't':
		pass_time(r, in, len);
		break;
	case 'N':
		connect_again(r);
		break;
	case 'a':
		answer_question(r, len > 0 ? in[0] : 0);
		break;
	case 's':
		smtp_engine_stop(&r->p.e, r->p.now_ms);
		play_run(&r->p);
		break;
	case 'f':
		smtp_engine_fail(&r->p.e, "failed", r->p.now_ms);
		play_run(&r->p);
		break;
	default:
		break;
	}
}

static void
on_ended(struct play *p, const struct smtp_txn *t)
{
	struct run	*r = (struct run *)(void *)p;

	if (t->is_delivered && r->ndelivered < 64)
		r->delivered[r->ndelivered++] = t->size;
}

/* `p` stands first in the struct, so that on_ended() finds it. */
static void
run_start(struct run *r, uint32_t seed, const uint8_t *data, size_t len)
{
	memset(r, 0, sizeof(*r));
	play_init(&r->p);
	r->seed = seed;
	r->p.on_ended = on_ended;
	if (len > 0 && data[0] == 'O')
		set_options(r, data + 1, len - 1);
	play_start(&r->p);
	play_connected(&r->p);
}

static void
run_steps(struct run *r, const uint8_t *data, size_t len)
{
	const uint8_t	*end;
	size_t		 n;

	end = memchr(data, 0xff, len);
	run_start(r, r->seed, data, end == NULL ? len :
	    (size_t)(end - data));
	while (len > 0) {
		end = memchr(data, 0xff, len);
		n = end == NULL ? len : (size_t)(end - data);
		if (n > 0)
			step(r, data[0], data + 1, n - 1);
		if (end == NULL)
			break;
		data += n + 1;
		len -= n + 1;
	}
}

static void
run_clear(struct run *r)
{
	free(r->said[SMTP_CLIENT].data);
	free(r->said[SMTP_DEST].data);
	play_clear(&r->p);
}

/* Replies to the client are clean, whatever came; `len` octets are replies. */
static void
check_replies(const struct run *r, size_t len)
{
	const struct play_text	*got = &r->p.side[SMTP_CLIENT].got;
	size_t			 i, start = 0;

	for (i = 0; i < len; i++) {
		uint8_t	c = got->data[i];

		if (c == '\r') {
			HOLDS(i + 1 == len || got->data[i + 1] == '\n');
			continue;
		}
		if (c == '\n') {
			HOLDS(i > start + 3 && got->data[i - 1] == '\r');
			start = i + 1;
			continue;
		}
		HOLDS(c >= ' ' || c == '\t');
		if (i - start < 3)
			HOLDS(c >= '0' && c <= '9');
		else if (i - start == 3)
			HOLDS(c == ' ' || c == '-');
	}
}

/* Commands to the destination: clean lines, none that must not go there. */
static void
check_commands(const struct run *r, const struct ref_session *s)
{
	static const char *const	verbs[] = {
		"HELO", "EHLO", "MAIL", "RCPT", "DATA", "BDAT", "RSET",
		"NOOP", "VRFY", "EXPN", "HELP", "ETRN", "AUTH", "QUIT"
	};
	size_t	i, n, v;

	for (i = 0; i < s->nitems; i++) {
		const struct ref_item	*x = &s->item[i];
		int			 is_known = 0;

		if (x->kind != REF_LINE && x->kind != REF_SECRET)
			continue;
		for (n = x->start; n < x->start + x->len; n++)
			HOLDS(s->in[n] != '\r' && s->in[n] != '\n' &&
			    s->in[n] != '\0');
		if (x->kind == REF_SECRET)
			continue;
		for (v = 0; v < sizeof(verbs) / sizeof(verbs[0]); v++)
			is_known |= ref_verb(s, x, verbs[v]);
		if ((r->p.set.ehlo.remove & EHLO_STARTTLS) == 0)
			is_known |= ref_verb(s, x, "STARTTLS");
		if (r->p.set.pass_verbs != NULL)
			is_known |= ref_verb(s, x, "XSTAT");
		HOLDS(is_known);
		HOLDS(x->len + 2 <= SMTP_CMD_AUTH_MAX);
	}
}

/* Is a line at the destination this line of the client? */
static int
is_same_line(const struct ref_session *d, const struct ref_item *x,
    const struct ref_session *c, const struct ref_item *y)
{
	uint64_t	a, b;
	int		is_last[2];

	if (y->kind == REF_CHUNK || y->kind == REF_CONTENT)
		return 0;
	if (x->kind == REF_LINE && ref_verb(d, x, "BDAT"))
		return ref_verb(c, y, "BDAT") &&
		    ref_chunk_size(d, x, &a, &is_last[0]) == 0 &&
		    ref_chunk_size(c, y, &b, &is_last[1]) == 0 && a == b &&
		    is_last[0] == is_last[1];
	return x->len == y->len && memcmp(d->in + x->start,
	    c->in + y->start, x->len) == 0;
}

/* Every line at the destination is one that the client said, in order. */
static void
check_lines(const struct ref_session *d, const struct ref_session *c)
{
	size_t	i, j = 0;

	if (c->is_full)
		return;
	for (i = 0; i < d->nitems; i++) {
		const struct ref_item	*x = &d->item[i];

		if (x->kind != REF_LINE && x->kind != REF_SECRET)
			continue;
		while (j < c->nitems &&
		    !is_same_line(d, x, c, &c->item[j]))
			j++;
		HOLDS(j < c->nitems);
		j++;
	}
}

/* What DATA brings may have its newlines normalised, nothing else changed. */
static int
is_same_content(const struct run *r, const struct ref_message *c,
    const struct ref_message *d)
{
	struct ref_data	 ref;
	uint8_t		*want;
	size_t		 n;
	int		 is_same;

	if (!r->p.set.normalize_newlines || !c->is_data)
		return c->len == d->len &&
		    memcmp(c->octets, d->octets, c->len) == 0;
	if ((want = malloc(2 * c->len + 1)) == NULL)
		abort();
	n = ref_normal(&ref, c->octets, c->len, want);
	is_same = ref.result == SMTP_DATA_MORE && n == d->len &&
	    memcmp(want, d->octets, n) == 0;
	free(want);
	return is_same;
}

/* May message `c` of the client be what the destination has as `d`? */
static int
may_be(const struct run *r, const struct ref_message *c,
    const struct ref_message *d)
{
	if (!is_same_content(r, c, d))
		return 0;
	if (c->code / 100 == 2)
		return d->code == c->code;
	/* Taken there, and the client heard no such thing: that ends it. */
	return d->code / 100 != 2 || r->p.is_over || c->code == 0;
}

/*
 * The messages of the destination are messages of the client, in order, and
 * every acceptance that the client heard belongs to one of them.
 */
static void
check_messages(const struct run *r, const struct ref_message *c, size_t nc,
    const struct ref_message *d, size_t nd)
{
	static uint8_t	ok[REF_MESSAGES + 1][REF_MESSAGES + 1];
	size_t		i, j;

	for (i = nc + 1; i-- > 0; ) {
		for (j = nd + 1; j-- > 0; ) {
			ok[i][j] = i == nc && j == nd;
			if (i == nc)
				continue;
			if (j < nd && may_be(r, &c[i], &d[j]))
				ok[i][j] |= ok[i + 1][j + 1];
			if (c[i].code / 100 != 2)
				ok[i][j] |= ok[i + 1][j];
		}
	}
	HOLDS(ok[0][0]);
}

/*
 * What the engine logs as delivered was.  Sizes are the client's; its messages
 * are known by the destination's where nothing is normalised.
 */
static void
check_delivered(const struct run *r, const struct ref_message *d, size_t nd,
    const struct ref_message *c, size_t nc)
{
	size_t	i, j = 0;
	int	is_changed = r->p.set.normalize_newlines;

	if (is_changed) {
		d = c;
		nd = nc;
	}
	for (i = 0; i < r->ndelivered; i++) {
		while (j < nd && ((d[j].code / 100 != 2 && !is_changed) ||
		    d[j].len != r->delivered[i]))
			j++;
		HOLDS(j < nd);
		j++;
	}
}

/* Another reader sees what the strict one sees. */
static void
check_reader(const struct ref_session *strict, const struct ref_message *d,
    size_t nd, enum ref_mode mode)
{
	static struct ref_session	s;
	struct ref_message		m[REF_MESSAGES];
	size_t				n, i;

	ref_read(&s, mode, strict->in, strict->len, strict->codes,
	    strict->ncodes);
	n = ref_messages(&s, m);
	/* Half an end at the very end of the stream is an end to some. */
	HOLDS(n == nd || (n == nd + 1 && strict->len - m[nd].next == 0));
	for (i = 0; i < nd; i++)
		HOLDS(m[i].len == d[i].len && m[i].next == d[i].next);
	HOLDS(s.nitems >= strict->nitems && s.nitems <= strict->nitems + 1);
	for (i = 0; i + 1 < strict->nitems; i++)
		HOLDS(s.item[i].start == strict->item[i].start &&
		    s.item[i].next == strict->item[i].next);
	ref_messages_free(m);
}

/* All is quiet: as many replies as there were things to reply to. */
static void
check_count(const struct run *r, const struct ref_session *c, size_t ncodes)
{
	const struct smtp_engine	*e = &r->p.e;
	size_t				 i, n = 0;

	if (r->p.is_over || c->is_full || e->is_client_lost ||
	    e->state != SMTP_COMMAND || e->queue_used > 0 ||
	    e->out[SMTP_CLIENT].used > 0 || ncodes == CODES ||
	    r->p.side[SMTP_CLIENT].in.used > 0)
		return;
	for (i = 0; i < c->nitems; i++)
		n += c->item[i].kind != REF_CHUNK && c->item[i].is_complete;
	HOLDS(n == ncodes);
}

/* What one side got, from a place on, is what the other said. */
static void
check_passed(const struct run *r, enum smtp_side from, size_t said_at,
    size_t got_at)
{
	const struct play_text	*said = &r->said[from];
	const struct play_text	*got = &r->p.side[1 - from].got;

	HOLDS(said_at <= said->used && got_at <= got->used);
	HOLDS(got->used - got_at <= said->used - said_at);
	HOLDS(got->used == got_at || memcmp(said->data + said_at,
	    got->data + got_at, got->used - got_at) == 0);
	HOLDS(r->was_blocked || r->p.e.state != SMTP_OPAQUE ||
	    got->used - got_at == said->used - said_at);
}

/*
 * The client heard a 220 to STARTTLS, or the destination said one.
 *   returns   how much of what the client got is replies
 */
static size_t
check_opaque(const struct run *r, const struct ref_session *c,
    const struct ref_session *d)
{
	static const uint8_t		hello[2] = { 0x16, 0x03 };
	static unsigned int		codes[CODES];
	const struct play_text		*got = &r->p.side[SMTP_CLIENT].got;
	const struct play_text		*said = &r->said[SMTP_DEST];
	size_t				got_at, said_at, i;

	if (!c->is_opaque) {
		HOLDS(d->at == d->len || !d->is_opaque);
		return got->used;
	}
	HOLDS(d->is_opaque);
	(void)ref_codes_end(got->data, got->used, codes, c->nused + 1,
	    &got_at);
	(void)ref_codes_end(said->data, said->used, codes, d->nused + 1,
	    &said_at);
	check_passed(r, SMTP_CLIENT, c->at, d->at);
	check_passed(r, SMTP_DEST, said_at, got_at);
	for (i = 0; i < 2 && d->at + i < d->len; i++)
		HOLDS(d->in[d->at + i] == hello[i]);
	/* The client's handshake came first. */
	HOLDS(got->used == got_at || (c->len - c->at >= 2 &&
	    memcmp(c->in + c->at, hello, 2) == 0));
	return got_at;
}

static void
check(struct run *r)
{
	static struct ref_session	c, d;
	static unsigned int		said[CODES], heard[CODES];
	const struct buf		*out = &r->p.e.out[SMTP_CLIENT];
	struct ref_message		mc[REF_MESSAGES], md[REF_MESSAGES];
	const struct play_text		*got = &r->p.side[SMTP_DEST].got;
	size_t				nsaid, nheard, nc, nd;
	int				mode;

	/* What is on its way to a client that does not read counts too. */
	play_add(&r->p.side[SMTP_CLIENT].got, buf_head(out), out->used);
	if (r->p.is_bypass) {
		check_passed(r, SMTP_CLIENT, 0, 0);
		check_passed(r, SMTP_DEST, 0, 0);
		r->p.side[SMTP_CLIENT].got.used -= out->used;
		return;
	}
	nsaid = codes_of(&r->said[SMTP_DEST], said);
	nheard = codes_of(&r->p.side[SMTP_CLIENT].got, heard);
	ref_read(&d, REF_STRICT, got->data, got->used, said + 1,
	    nsaid > 0 ? nsaid - 1 : 0);
	ref_read(&c, REF_STRICT, r->said[SMTP_CLIENT].data,
	    r->said[SMTP_CLIENT].used, heard + 1, nheard > 0 ? nheard - 1 : 0);
	if (d.is_full) {
		r->p.side[SMTP_CLIENT].got.used -= out->used;
		return;
	}
	if (!c.is_full)
		check_replies(r, check_opaque(r, &c, &d));
	nd = ref_messages(&d, md);
	nc = ref_messages(&c, mc);
	check_commands(r, &d);
	check_lines(&d, &c);
	if (!c.is_full && nc < REF_MESSAGES - 1 && nd < REF_MESSAGES - 1) {
		check_messages(r, mc, nc, md, nd);
		check_delivered(r, md, nd, mc, nc);
		for (mode = REF_STRICT; mode < REF_MODES; mode++)
			check_reader(&d, md, nd, (enum ref_mode)mode);
	}
	check_count(r, &c, nheard > 0 ? nheard - 1 : 0);
	ref_messages_free(mc);
	ref_messages_free(md);
	r->p.side[SMTP_CLIENT].got.used -= out->used;
}

/* By time alone it ends. */
static void
check_end(struct run *r)
{
	int64_t	when;
	int	i;

	for (i = 0; i < 400 && !r->p.is_over; i++) {
		if (r->p.e.has_question)
			answer_question(r, 0);
		if (r->p.is_dest_closed && r->p.e.dest == DEST_NONE)
			smtp_engine_no_choice(&r->p.e, "none", r->p.now_ms);
		play_run(&r->p);
		when = smtp_engine_deadline(&r->p.e);
		if (!r->p.is_over && !r->p.e.has_question) {
			HOLDS(when != INT64_MAX);
			play_wait(&r->p, when > r->p.now_ms ?
			    when - r->p.now_ms : 0);
		}
	}
	HOLDS(r->p.is_over);
	HOLDS(r->p.e.dest == DEST_GONE);
}

/*
 * Does what came out depend on the cuts, as it may?  Octets behind DATA and
 * the like are refused as far as they are seen (DECISIONS, pipelining).
 */
static int
may_differ(const struct run *r)
{
	return r->was_blocked || r->has_async || (r->p.e.reason != NULL &&
	    strcmp(r->p.e.reason, "improper command pipelining") == 0);
}

static void
check_same(const struct run *a, const struct run *b)
{
	const struct play_text	*x = &a->p.side[SMTP_CLIENT].got;
	const struct play_text	*y = &b->p.side[SMTP_CLIENT].got;
	size_t			 n;

	if (may_differ(a) || may_differ(b))
		return;
	HOLDS(x->used == y->used);
	HOLDS(x->used == 0 || memcmp(x->data, y->data, x->used) == 0);
	HOLDS(a->p.is_over == b->p.is_over);
	HOLDS(a->p.is_dest_closed == b->p.is_dest_closed);
	/* Of content that is refused more or less may have gone. */
	x = &a->p.side[SMTP_DEST].got;
	y = &b->p.side[SMTP_DEST].got;
	n = x->used < y->used ? x->used : y->used;
	HOLDS(n == 0 || memcmp(x->data, y->data, n) == 0);
	HOLDS(x->used == y->used || a->p.is_dest_closed ||
	    a->p.e.state == SMTP_OVER);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct run	whole, cut;
	uint32_t		seed;

	if (len == 0 || len > 16384)
		return 0;
	whole.seed = 0;
	run_steps(&whole, data, len);
	check(&whole);
	seed = data[len - 1] % 3 == 0 ? 1 : 7U * data[len - 1] + data[0];
	cut.seed = seed;
	run_steps(&cut, data, len);
	check(&cut);
	check_same(&whole, &cut);
	check_end(&whole);
	check_end(&cut);
	run_clear(&whole);
	run_clear(&cut);
	return 0;
}
