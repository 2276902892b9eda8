/*
 * What a session of soakload says, step by step, and which replies are due.
 */
#include "soakload.h"

#include <err.h>
#include <stdarg.h>
#include <string.h>

#define LINE_ROOM	512		/* a command */
#define DRAIN_MS	5000
#define IDLE_MS		18000	/* longer, it may be told to go */

static void
say_octets(struct soakload_session *s, const char *octets, size_t len)
{
	memcpy(s->out + s->out_used, octets, len);
	s->out_used += len;
}

static void
say(struct soakload_session *s, const char *fmt, ...)
{
	va_list	ap;
	int	len;

	va_start(ap, fmt);
	len = vsnprintf(s->out + s->out_used, OUT_SIZE - s->out_used, fmt, ap);
	va_end(ap);
	if (len < 0 || (size_t)len >= OUT_SIZE - s->out_used)
		errx(1, "too much to say");
	s->out_used += (size_t)len;
}

static void
want(struct soakload_session *s, enum soakload_what what, const char *digits)
{
	if (s->nwants == WANTS_MAX)
		errx(1, "too much to wait for");
	s->wants[s->nwants].what = what;
	s->wants[s->nwants++].digits = digits;
}

static void
say_noise(struct soakload_session *s, size_t len)
{
	struct tool_random	r = soakload_random(soakload.seed, s->id, 999);

	while (len-- > 0)
		s->out[s->out_used++] = (char)tool_random_next(&r);
}

void
soakload_drain(struct soakload_session *s)
{
	s->step = STEP_DRAIN;
	s->may_end = 1;
	s->limit_ms = soakload.now_ms + DRAIN_MS;
}

/* Leave here, once all is out, if that is the plan. */
static void
come_to(struct soakload_session *s, enum soak_point point)
{
	if (s->plan.kind != SOAK_ABORT || s->plan.point != point ||
	    (point >= POINT_MAIL && s->number != s->plan.abort_message))
		return;
	s->is_armed = 1;
	if (point == POINT_END)
		s->write_ms = soakload.now_ms + s->plan.noise / 10;
}

/* A way to be no client; before: the greeting is still to come. */
static void
say_garbage(struct soakload_session *s, int is_before)
{
	uint32_t	i;

	if (is_before != (s->plan.garbage == GARBAGE_EARLY ||
	    s->plan.garbage == GARBAGE_HELLO))
		return;
	switch (s->plan.garbage) {
	case GARBAGE_EARLY:
		say_noise(s, s->plan.noise);
		break;
	case GARBAGE_HELLO:
		say_octets(s, "\x16\x03\x01\x00\xf4\x01\x00\x00\xf0\x03\x03",
		    11);
		say_noise(s, s->plan.noise);
		break;
	case GARBAGE_HTTP:
		say(s, "GET / HTTP/1.1\r\nHost: mx.example\r\n\r\n");
		break;
	case GARBAGE_LINE:
		memset(s->out + s->out_used, 'x', OUT_SIZE / 2);
		s->out_used += OUT_SIZE / 2;
		break;
	case GARBAGE_VERBS:
		for (i = 0; i < s->plan.noise; i++)
			say(s, "X%u what is this\r\n", i);
		break;
	case GARBAGE_SYNTAX:
		say(s, "MAIL FROM:<<a@b>\r\nRCPT TO\r\nMAIL FROM:<a@b> "
		    "SIZE=x\r\nBDAT\r\nDATA now\r\nMAIL TO:<%.*s@b>\r\n",
		    (int)s->plan.noise, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
		break;
	case GARBAGE_INJECT:
		say(s, "STARTTLS\r\nMAIL FROM:<soak-n-f-1@client.example>\r\n"
		    "RCPT TO:<user@test.example>\r\n");
		break;
	case GARBAGE_HALF:
		say(s, "MAIL FROM:<soak-");
		break;
	default:
		say(s, "MAIL FROM:<soak-n-f-1@client.example>\r\n"
		    "RCPT TO:<user@test.example>\r\nBDAT 1000000 LAST\r\n"
		    "X-Soak-Id: %s.%u.cut\r\n\r\n", soakload.tag, s->id);
		break;
	}
	soakload_drain(s);
}

/* The dialogue, step by step. */

static void
message_begin(struct soakload_session *s)
{
	struct soak_message	*m = &s->message;

	soakload_plan_message(m, &s->plan, soakload.seed, s->id, s->number);
	(void)snprintf(s->name, sizeof(s->name), "%s.%u.%u", soakload.tag,
	    s->id, s->number);
	soakload_content_begin(&s->content, &soakload.store, s->name,
	    s->id * 31 + s->number, m->target);
	s->is_open = 1;
	s->is_sent = s->is_refused = s->has_go = 0;
	s->nrcpt = s->ntaken = 0;
	if (m->has_noop) {
		say(s, "NOOP\r\n");
		want(s, WHAT_OTHER, "2");
	}
	if (m->has_rset) {
		say(s, "MAIL FROM:<soak-n-f-0@client.example>\r\nRSET\r\n");
		want(s, WHAT_OTHER, "2");
		want(s, WHAT_OTHER, "2");
	}
	say(s, "MAIL FROM:<soak-%c-%c-%u@client.example>", m->what, m->stage,
	    m->ms);
	if (m->has_size)
		say(s, " SIZE=%llu BODY=8BITMIME",
		    (unsigned long long)s->content.size);
	say(s, "\r\n");
	s->may_end |= soakload_message_is_fatal(m);
	want(s, WHAT_MAIL, (m->what == '4' || m->what == '5') &&
	    m->stage == 'm' ? "45" : "2");
	come_to(s, POINT_MAIL);
	s->step = STEP_RCPT;
}

/* One of these was refused: what stands behind it in the group is, too. */
static int
envelope_is_bad(const struct soakload_session *s)
{
	return soakload_message_is_refused(&s->message);
}

static int
next_rcpt(struct soakload_session *s)
{
	const struct soak_message	*m = &s->message;
	const char			*digits = "2";

	if (!s->plan.is_pipelined && s->nwants > 0)
		return 0;
	if (s->is_refused) {
		s->step = STEP_UNDO;
		return 1;
	}
	if (s->nrcpt == m->recipients) {
		s->step = m->is_bdat ? STEP_CHUNK : STEP_DATA;
		return 1;
	}
	if (envelope_is_bad(s) || ((m->what == '4' || m->what == '5') &&
	    m->stage == 'r' && s->nrcpt == 0))
		digits = "45";
	say(s, "RCPT TO:<user%u@test.example>\r\n", s->nrcpt++);
	want(s, WHAT_RCPT, digits);
	come_to(s, POINT_RCPT);
	return 1;
}

static int
next_data(struct soakload_session *s)
{
	const struct soak_message	*m = &s->message;

	if (!s->plan.is_pipelined && s->nwants > 0)
		return 0;
	if (!s->plan.is_pipelined && s->ntaken == 0) {
		s->step = STEP_UNDO;
		return 1;
	}
	say(s, "DATA\r\n");
	want(s, WHAT_DATA, envelope_is_bad(s) ||
	    ((m->what == '4' || m->what == '5') && m->stage == 'd') ?
	    "45" : "3");
	come_to(s, POINT_DATA);
	s->step = STEP_CONTENT;
	return 1;
}

/*
 * What no reader may take for the end of a message, nor for text.  It begins
 * with a letter, for what stands in front of it may end with a CR.
 */
static void
say_dirty(struct soakload_session *s)
{
	static const char	*const dirt[] = {
		"a bare\nLF", "a bare\rCR", "x\n.\n", "x\n.\r\n", "x\r.\r"
	};
	uint32_t		 n = s->message.ms % 6;

	if (n == 5)
		say_octets(s, "a \0 NUL", 7);
	else
		say(s, "%s", dirt[n]);
	say(s, "MAIL FROM:<soak-n-f-1@client.example>\r\n"
	    "RCPT TO:<user@test.example>\r\nDATA\r\n"
	    "X-Soak-Id: %s.smuggled\r\n\r\nno mail\r\n", s->name);
	s->message.is_dirty = 2;
}

/* How many octets of content may come before something happens. */
static uint64_t
content_most(const struct soakload_session *s)
{
	const struct soak_content	*c = &s->content;
	uint64_t			 stop;

	stop = c->size * s->message.abort_permille / 1000;
	if ((s->plan.kind == SOAK_ABORT && s->plan.point == POINT_BODY &&
	    s->number == s->plan.abort_message) || s->message.is_dirty == 1)
		return stop - (c->size - c->left);
	return c->left;
}

static int
content_stops(struct soakload_session *s)
{
	if (content_most(s) > 0 || s->content.left == 0)
		return 0;
	if (s->message.is_dirty == 1)
		say_dirty(s);
	else
		come_to(s, POINT_BODY);
	return 1;
}

static int
next_content(struct soakload_session *s)
{
	struct soak_content	*c = &s->content;

	if (s->nwants > 0 && !s->has_go)
		return 0;
	if (!s->has_go) {
		s->step = STEP_UNDO;
		return 1;
	}
	if (s->has_go == 1) {
		want(s, WHAT_FINAL, s->message.what == '4' ||
		    s->message.what == '5' ? (s->message.stage == 'f' ? "45" :
		    "2") : s->message.is_dirty ? "5" : "2");
		s->has_go = 2;
	}
	if (content_stops(s))
		return 1;
	s->out_used += soakload_content_fill(c, s->out + s->out_used,
	    OUT_SIZE - s->out_used - LINE_ROOM, content_most(s), 1);
	if (c->left == 0) {
		say(s, ".\r\n");
		s->step = STEP_FINAL;
		come_to(s, POINT_END);
	}
	return 1;
}

static const char *
chunk_digits(const struct soakload_session *s, int is_last)
{
	const struct soak_message	*m = &s->message;

	if (m->what != '4' && m->what != '5')
		return "2";
	if (envelope_is_bad(s) || m->stage == 'd' ||
	    (m->stage == 'f' && is_last))
		return "45";
	return "2";
}

static int
next_chunk(struct soakload_session *s)
{
	struct soak_content	*c = &s->content;
	int			 is_last;

	if (!s->plan.is_pipelined && s->nwants > 0)
		return 0;
	if (s->is_refused || (!s->plan.is_pipelined && s->ntaken == 0)) {
		s->step = STEP_UNDO;
		return 1;
	}
	s->chunk_left = s->message.chunk < c->left ? s->message.chunk :
	    c->left;
	is_last = s->chunk_left == c->left;
	say(s, "BDAT %llu%s\r\n", (unsigned long long)s->chunk_left,
	    is_last ? " LAST" : "");
	want(s, is_last ? WHAT_FINAL : WHAT_CHUNK, chunk_digits(s, is_last));
	come_to(s, POINT_DATA);
	s->step = STEP_CHUNK_BODY;
	return 1;
}

static int
next_chunk_body(struct soakload_session *s)
{
	struct soak_content	*c = &s->content;
	uint64_t		 most = content_most(s), left = c->left;

	if (most == 0) {
		come_to(s, POINT_BODY);
		return 1;
	}
	if (most > s->chunk_left)
		most = s->chunk_left;
	s->out_used += soakload_content_fill(c, s->out + s->out_used,
	    OUT_SIZE - s->out_used, most, 0);
	s->chunk_left -= left - c->left;
	if (s->chunk_left > 0)
		return 1;
	s->step = c->left > 0 ? STEP_CHUNK : STEP_FINAL;
	if (c->left == 0)
		come_to(s, POINT_END);
	return 1;
}

static void
next_ready(struct soakload_session *s)
{
	uint32_t	i;

	s->step = STEP_MESSAGE;
	if (s->plan.kind == SOAK_IDLE) {
		s->step = STEP_IDLE;
		s->write_ms = soakload.now_ms + s->plan.idle_ms;
		s->may_end = s->plan.idle_ms > IDLE_MS;
	} else if (s->plan.kind == SOAK_SLOW_READ) {
		for (i = 0; i < s->plan.noise / 2; i++) {
			say(s, "HELP\r\n");
			want(s, WHAT_OTHER, "2");
		}
		s->step = STEP_QUIT;
	} else if (s->plan.kind == SOAK_GARBAGE)
		say_garbage(s, 0);
}

static void
next_handshake(struct soakload_session *s)
{
	if (s->plan.kind == SOAK_ABORT && s->plan.point == POINT_NO_TLS) {
		say_noise(s, s->plan.noise);
		soakload_drain(s);
		return;
	}
	soakload_session_tls(s);
	s->step = STEP_EHLO_AGAIN;
}

static void
next_connected(struct soakload_session *s)
{
	s->step = STEP_GREETING;
	want(s, WHAT_OTHER, "2");
	come_to(s, POINT_CONNECT);
	if (s->plan.kind == SOAK_GARBAGE)
		say_garbage(s, 1);
}

static void
next_command(struct soakload_session *s, const char *command,
    enum soakload_step step)
{
	say(s, "%s\r\n", command);
	want(s, WHAT_OTHER, "2");
	s->step = step;
}

static void
next_greeted(struct soakload_session *s)
{
	if (s->plan.kind == SOAK_BANNER) {
		next_command(s, "QUIT", STEP_END);
		return;
	}
	next_command(s, "EHLO client.example",
	    s->plan.tls == SOAK_STARTTLS ? STEP_STARTTLS : STEP_READY);
	come_to(s, POINT_EHLO);
}

static void
next_message(struct soakload_session *s)
{
	if (s->number == s->plan.messages || soakload.is_stopping ||
	    (s->number > 0 && soakload_message_is_last(&s->message)))
		s->step = STEP_QUIT;
	else
		message_begin(s);
}

static void
next_final(struct soakload_session *s)
{
	if (s->is_open)
		soakload_complain(s, "no final reply");
	if (s->is_refused) {
		s->step = STEP_UNDO;
		return;
	}
	s->number++;
	s->step = STEP_MESSAGE;
}

/* Steps that begin when all replies have come. */
static void
next_synchronous(struct soakload_session *s)
{
	switch (s->step) {
	case STEP_CONNECT:
		next_connected(s);
		break;
	case STEP_GREETING:
		next_greeted(s);
		break;
	case STEP_STARTTLS:
		next_command(s, "STARTTLS", STEP_HANDSHAKE);
		come_to(s, POINT_STARTTLS);
		break;
	case STEP_HANDSHAKE:
		next_handshake(s);
		break;
	case STEP_EHLO_AGAIN:
		next_command(s, "EHLO client.example", STEP_READY);
		break;
	case STEP_READY:
		next_ready(s);
		break;
	case STEP_MESSAGE:
		next_message(s);
		break;
	case STEP_UNDO:
		soakload_record(s, 'x');
		s->number++;
		next_command(s, "RSET", STEP_MESSAGE);
		break;
	case STEP_FINAL:
		next_final(s);
		break;
	default:
		next_command(s, "QUIT", STEP_END);
		break;
	}
}

int
soakload_next(struct soakload_session *s)
{
	switch (s->step) {
	case STEP_RCPT:
		return next_rcpt(s);
	case STEP_DATA:
		return next_data(s);
	case STEP_CONTENT:
		return next_content(s);
	case STEP_CHUNK:
		return next_chunk(s);
	case STEP_CHUNK_BODY:
		return next_chunk_body(s);
	case STEP_END:
	case STEP_DRAIN:
		return 0;
	default:
		break;
	}
	if (s->nwants > 0)
		return 0;
	next_synchronous(s);
	return 1;
}
