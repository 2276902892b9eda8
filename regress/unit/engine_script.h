#ifndef ENGINE_SCRIPT_H
#define ENGINE_SCRIPT_H

#include <check.h>

#include "engine_play.h"

/*
 * Scripts of a two-sided dialogue for the tests of the engine.  A script is
 * steps one behind the other: what one side does, and all that both sides get
 * because of it.  In the texts '|' stands for CRLF.
 *
 * Who:	C D	client, destination say `in`
 *	c d	they end (FIN)
 *	r x	their connection breaks
 *	b u	the destination takes no octets; takes them again
 *	B U	the client likewise
 *	t	`in` milliseconds pass
 *	N	a destination is connected (again)
 *	n	there is no other destination
 *	a	the open question is answered: "" pass, "=550 x" reply,
 *		"!550 x" reply and close
 *	s	stop (TERM)
 *	f	fail
 *	K k	TLS stands, or can't be had, with `in`: "c", "d"; "cv", "dv":
 *		and the certificate is good
 *
 * Each script is also played with every way to cut what the sides say, and
 * with sends of one and three octets; nothing may be different then, save what
 * the destination has got of content that is refused: '~' in front of a text
 * means this or any start of it.
 */
struct step {
	char		 who;
	const char	*in;
	size_t		 inlen;
	const char	*client;	/* what the client gets */
	size_t		 clientlen;
	const char	*dest;
	size_t		 destlen;
	const char	*events;	/* PLAY_* letters in that order */
};
#define STEP(who, in, client, dest, events)				\
	{ who, in, sizeof(in) - 1, client, sizeof(client) - 1, dest,	\
	    sizeof(dest) - 1, events }
#define C(in, client, dest)	STEP('C', in, client, dest, "")
#define D(in, client, dest)	STEP('D', in, client, dest, "")
#define STEPS_MAX	32

#define SCRIPT_WHOLE	0x01	/* depends on the cuts: play it once */
#define SCRIPT_UNMET	0x02	/* the destination is not connected yet */

struct script {
	const char	*name;
	void		(*set)(struct play *);	/* NULL: as they are */
	unsigned int	 flags;
	const char	*ended;			/* transactions: play_ended() */
	struct step	 steps[STEPS_MAX];
};

/* The usual beginnings. */
#define GREETED								\
	D("220 mx ESMTP|", "220 mx ESMTP|", "")
#define EHLO_WITH(keywords)						\
	GREETED,							\
	C("EHLO c|", "", "EHLO c|"),					\
	D("250-mx|" keywords "250 HELP|", "250-mx|" keywords "250 HELP|", "")
#define EHLO_PLAIN	EHLO_WITH("250-8BITMIME|")
#define EHLO_FULL							\
	EHLO_WITH("250-PIPELINING|250-CHUNKING|250-BINARYMIME|250-SIZE 9999|")
#define MAIL_RCPT							\
	C("MAIL FROM:<a@b>|", "", "MAIL FROM:<a@b>|"),			\
	D("250 ok|", "250 ok|", ""),					\
	C("RCPT TO:<c@d>|", "", "RCPT TO:<c@d>|"),			\
	D("250 ok|", "250 ok|", "")
#define DATA_354							\
	C("DATA|", "", "DATA|"),					\
	D("354 go|", "354 go|", "")

#define GW		" gw.example.org "
#define LOST_421	"421 4.4.2" GW "lost connection with destination|"
#define BAD_451		"451 4.3.0" GW "malformed reply from destination|"
#define BYE_430		"421 4.3.0" GW "closing connection|"
#define BYE_442		"421 4.4.2" GW "closing connection|"
#define BYE_470		"421 4.7.0" GW "closing connection|"
#define IMPROPER	"503 5.5.0 improper command pipelining|" BYE_470

/* The text with '|' made CRLF; to be freed. */
static inline uint8_t *
script_text(const char *text, size_t len, size_t *size)
{
	uint8_t	*out;
	size_t	 i, n = 0;

	if ((out = malloc(2 * len + 1)) == NULL)
		play_die("out of memory");
	for (i = 0; i < len; i++) {
		if (text[i] == '|')
			out[n++] = '\r';
		out[n++] = text[i] == '|' ? '\n' : (uint8_t)text[i];
	}
	out[n] = '\0';
	*size = n;
	return out;
}

static inline void
script_events(const struct play *p, char *text)
{
	if (p->events & EVENT_CLOSE_DEST)
		*text++ = PLAY_CLOSED;
	if (p->events & EVENT_NEXT_CHOICE)
		*text++ = PLAY_NEXT;
	if (p->events & EVENT_OVER)
		*text++ = PLAY_OVER;
	if (p->events & EVENT_WIPE)
		*text++ = PLAY_WIPE;
	if (p->events & EVENT_SHUT_DEST)
		*text++ = PLAY_SHUT_DEST;
	if (p->events & EVENT_SHUT_CLIENT)
		*text++ = PLAY_SHUT_CLIENT;
	if (p->events & EVENT_TLS_CLIENT)
		*text++ = PLAY_TLS_CLIENT;
	if (p->events & EVENT_TLS_DEST)
		*text++ = PLAY_TLS_DEST;
	*text = '\0';
}

/* Octets as C text, for a message. */
static inline const char *
script_show(const uint8_t *in, size_t len, char *out, size_t size)
{
	size_t	i, n = 0;

	for (i = 0; i < len && n + 8 < size; i++) {
		if (in[i] >= ' ' && in[i] < 0x7f && in[i] != '\\')
			out[n++] = (char)in[i];
		else
			n += (size_t)snprintf(out + n, size - n, "\\x%02x",
			    in[i]);
	}
	out[n] = '\0';
	return out;
}

/* Of "~text" without its '~' as much as was got. */
static inline size_t
script_prefix(uint8_t *want, size_t size, const struct play_text *got)
{
	memmove(want, want + 1, size - 1);
	return got->used < size - 1 ? got->used : size - 1;
}

/* What a side got in this step is what stands there, and then it is dropped. */
static inline void
script_expect(struct play *p, enum smtp_side to, const char *text, size_t len,
    const char *where)
{
	struct play_text	*got = &p->side[to].got;
	char			 a[4096], b[4096];
	uint8_t			*want;
	size_t			 size;

	want = script_text(text, len, &size);
	if (text[0] == '~')
		size = script_prefix(want, size, got);
	if (size != got->used ||
	    (size > 0 && memcmp(want, got->data, size) != 0))
		ck_abort_msg("%s: %s got\n  %s\nnot\n  %s", where,
		    to == SMTP_CLIENT ? "client" : "destination",
		    script_show(got->data, got->used, a, sizeof(a)),
		    script_show(want, size, b, sizeof(b)));
	free(want);
	got->used = 0;
}

/* Ways to cut: 0 whole, 1 single octets, 2 + n: a cut behind octet n + 1. */
static inline void
script_say(struct play *p, enum smtp_side from, const char *text, size_t len,
    size_t way)
{
	uint8_t	*in;
	size_t	 size, at, n;

	in = script_text(text, len, &size);
	for (at = 0; at < size; at += n) {
		n = size - at;
		if (way == 1)
			n = 1;
		else if (way >= 2 && at == 0 && way - 1 < size)
			n = way - 1;
		play_give(p, from, in + at, n);
	}
	free(in);
}

static inline void
script_answer(struct play *p, const char *text)
{
	if (text[0] == '\0')
		play_answer(p, ANSWER_PASS, NULL);
	else
		play_answer(p, text[0] == '=' ? ANSWER_REPLY : ANSWER_CLOSE,
		    text + 1);
	play_run(p);
}

static inline void
script_step(struct play *p, const struct step *s, size_t way)
{
	switch (s->who) {
	case 'C':
	case 'D':
		script_say(p, s->who == 'C' ? SMTP_CLIENT : SMTP_DEST, s->in,
		    s->inlen, way);
		break;
	case 'c':
	case 'd':
		play_end(p, s->who == 'c' ? SMTP_CLIENT : SMTP_DEST);
		break;
	case 'r':
	case 'x':
		play_lost(p, s->who == 'r' ? SMTP_CLIENT : SMTP_DEST);
		break;
	case 'b':
	case 'u':
		p->side[SMTP_DEST].is_blocked = s->who == 'b';
		play_run(p);
		break;
	case 'B':
	case 'U':
		p->side[SMTP_CLIENT].is_blocked = s->who == 'B';
		play_run(p);
		break;
	case 't':
		play_wait(p, (int64_t)strtoll(s->in, NULL, 10));
		break;
	case 'N':
		play_connect(p);
		break;
	case 'n':
		smtp_engine_no_choice(&p->e, "refused", p->now_ms);
		play_run(p);
		break;
	case 'a':
		script_answer(p, s->in);
		break;
	case 's':
		smtp_engine_stop(&p->e, p->now_ms);
		play_run(p);
		break;
	case 'f':
		smtp_engine_fail(&p->e, "failed", p->now_ms);
		play_run(p);
		break;
	case 'K':
	case 'k':
		play_tls(p, s->in[0] == 'c' ? SMTP_CLIENT : SMTP_DEST,
		    s->who == 'K', s->in[1] == 'v');
		break;
	default:
		ck_abort_msg("no such step: %c", s->who);
	}
}

static inline void
script_play(const struct script *sc, size_t way, size_t send_max)
{
	struct play	p;
	char		where[256], events[16];
	size_t		i;

	play_init(&p);
	p.send_max = send_max;
	if (sc->set != NULL)
		sc->set(&p);
	play_start(&p);
	if ((sc->flags & SCRIPT_UNMET) == 0)
		play_connected(&p);
	for (i = 0; i < STEPS_MAX && sc->steps[i].who != '\0'; i++) {
		const struct step	*s = &sc->steps[i];

		(void)snprintf(where, sizeof(where),
		    "%s, step %zu (%c %.60s), way %zu, sends %zu", sc->name,
		    i + 1, s->who, s->in, way, send_max);
		script_step(&p, s, way);
		script_expect(&p, SMTP_CLIENT, s->client, s->clientlen, where);
		script_expect(&p, SMTP_DEST, s->dest, s->destlen, where);
		script_events(&p, events);
		p.events = 0;
		ck_assert_msg(strcmp(events, s->events) == 0,
		    "%s: events \"%s\" not \"%s\", reason %s", where, events,
		    s->events, p.e.reason == NULL ? "-" : p.e.reason);
	}
	play_add(&p.ended, "", 1);
	ck_assert_msg(sc->ended == NULL ||
	    strcmp((const char *)p.ended.data, sc->ended) == 0,
	    "%s: ended \"%s\" not \"%s\"", sc->name,
	    (const char *)p.ended.data, sc->ended);
	play_clear(&p);
}

/* In all ways. */
static inline void
script_check(const struct script *sc)
{
	size_t	i, way, len = 0;

	script_play(sc, 0, 0);
	if (sc->flags & SCRIPT_WHOLE)
		return;
	script_play(sc, 0, 1);
	script_play(sc, 0, 3);
	for (i = 0; i < STEPS_MAX && sc->steps[i].who != '\0'; i++)
		if (sc->steps[i].inlen > len)
			len = sc->steps[i].inlen;
	if (len > 400)
		len = 400;
	for (way = 1; way < len + 8; way++) {
		script_play(sc, way, 0);
		script_play(sc, way, 1);
	}
}

#endif
