/*
 * soakload: the clients of the soak.  Sessions of all kinds, good ones, slow
 * ones, ones that leave in the middle and ones that are none, a seed's always
 * the same; and a record of what each was told about each of its messages.
 *
 * usage: soakload [-C concurrency] [-d seconds] [-i port] [-r rate] [-s seed]
 *                 [-t tag] -c address -j journal -p port
 *
 *	-C	sessions at once (64)
 *	-d	begin sessions for so long (10)
 *	-i	a port on which TLS comes first
 *	-p	a port on which STARTTLS is offered; one of several, by chance
 *	-r	sessions to begin in a second, at most (200)
 *	-s	seed (1)
 *	-t	what the ids of messages begin with (m)
 *
 * A line of the journal is a message: its id, how it ended, the octets and the
 * sum of its content (soak_plan.h).  It ended
 *	a	acknowledged: 2xx behind its end
 *	d	refused behind its end, by the destination's own words
 *	r	refused behind its end, by whomever
 *	u	sent whole, and nothing was heard of it
 *	x	never sent whole, or not as a message may be
 *
 * Each second a line of numbers goes to standard output.  What was not meant
 * to happen is a complaint: "complaint BEGAN NOW ...", with the session's
 * beginning and the present in milliseconds of the monotonic clock.  Exit 1 if
 * there was one.
 */

#include <sys/types.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <netinet/in.h>
#include <netinet/tcp.h>

#include <arpa/inet.h>

#include <ctype.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>

#include "soak.h"
#include "soak_plan.h"

#define IN_SIZE		8192
#define OUT_SIZE	16384
#define LINE_ROOM	512		/* a command */
#define WANTS_MAX	256
#define PORTS_MAX	8
#define PROGRESS_MS	60000
#define DRAIN_MS	5000
#define IDLE_MS		18000	/* longer, it may be told to go */
#define SLOW_READ	1024
#define SLOW_RCVBUF	4096
#define REPORT_MS	1000

enum step {
	STEP_CONNECT,
	STEP_GREETING,
	STEP_STARTTLS,
	STEP_HANDSHAKE,
	STEP_EHLO_AGAIN,
	STEP_READY,
	STEP_MESSAGE,
	STEP_RCPT,
	STEP_DATA,
	STEP_CONTENT,
	STEP_CHUNK,
	STEP_CHUNK_BODY,
	STEP_FINAL,
	STEP_UNDO,
	STEP_IDLE,
	STEP_QUIT,
	STEP_END,		/* the end of the connection is due */
	STEP_DRAIN		/* whatever comes, until it ends */
};

/* What a reply answers. */
enum what {
	WHAT_OTHER,
	WHAT_MAIL,
	WHAT_RCPT,
	WHAT_DATA,
	WHAT_CHUNK,
	WHAT_FINAL
};

struct want {
	enum what	 what;
	const char	*digits;	/* the first one may be one of these */
};

struct session {
	struct soak_stream stream;
	struct soak_plan plan;
	struct soak_message message;
	struct soak_content content;
	enum step	 step;
	uint32_t	 id;
	uint32_t	 number;	/* of the message */
	char		 name[40];	/* the message's */
	uint32_t	 nrcpt;		/* said */
	uint32_t	 ntaken;	/* accepted */
	uint64_t	 chunk_left;
	int		 is_connected;
	int		 is_shaking;
	int		 is_open;	/* a message without a record */
	int		 is_sent;	/* all of it */
	int		 is_refused;
	int		 has_go;	/* 354 */
	int		 may_end;	/* 4xx, 5xx and the end are in order */
	int		 is_armed;	/* leaves once all is out */
	int		 is_over;
	int		 can_read;
	int		 is_mute;	/* writing failed, or makes no sense */
	int64_t		 began_ms;
	int64_t		 progress_ms;
	int64_t		 write_ms;	/* nothing is written before */
	int64_t		 read_ms;
	int64_t		 limit_ms;	/* closed then; 0: never */
	int64_t		 wake_ms;	/* something is due then */
	size_t		 nwants;
	struct want	 wants[WANTS_MAX];
	size_t		 in_used;
	size_t		 out_at;
	size_t		 out_used;
	char		 in[IN_SIZE];
	char		 out[OUT_SIZE];
};

struct target {
	uint16_t	 port;
	SSL_SESSION	*resume[2];	/* TLS 1.3, TLS 1.2 */
};

static struct in_addr	  address;
static struct target	  targets[2][PORTS_MAX];	/* -p, -i */
static uint32_t		  ntargets[2];
static unsigned int	  opt_concurrency = 64, opt_seconds = 10;
static unsigned int	  opt_rate = 200, opt_seed = 1;
static const char	 *opt_tag = "m";

static struct soak_store  store;
static SSL_CTX		 *ctx;
static FILE		 *journal;
static struct session	**sessions;	/* by slot, as pfds */
static struct pollfd	 *pfds;
static size_t		  nslots;
static int64_t		  now_ms, start_ms;
static volatile sig_atomic_t is_stopping;
static uint64_t		  nstarted, nended, nmessages, nacknowledged;
static uint64_t		  nrefused, naborted, noctets, nhandshakes;
static uint64_t		  nresumed, ncomplaints;

static void
complain(struct session *s, const char *fmt, ...)
{
	va_list	ap;

	ncomplaints++;
	printf("complaint %lld %lld session %u, kind %d, step %d, message %u: ",
	    (long long)s->began_ms, (long long)now_ms, s->id,
	    (int)s->plan.kind, (int)s->step, s->number);
	va_start(ap, fmt);
	(void)vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
	(void)fflush(stdout);
	s->is_over = 1;
}

static void
record(struct session *s, char how)
{
	if (!s->is_open)
		return;
	s->is_open = 0;
	nmessages++;
	if (how == 'a')
		nacknowledged++;
	if (how == 'd' || how == 'r')
		nrefused++;
	if (s->message.is_dirty && how != 'a')
		how = 'x';
	fprintf(journal, "%s %c %llu %016llx\n", s->name, how,
	    (unsigned long long)s->content.size,
	    (unsigned long long)s->content.sum);
}

/* What it says. */

static void
say_octets(struct session *s, const char *octets, size_t len)
{
	memcpy(s->out + s->out_used, octets, len);
	s->out_used += len;
}

static void
say(struct session *s, const char *fmt, ...)
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
want(struct session *s, enum what what, const char *digits)
{
	if (s->nwants == WANTS_MAX)
		errx(1, "too much to wait for");
	s->wants[s->nwants].what = what;
	s->wants[s->nwants++].digits = digits;
}

static void
say_noise(struct session *s, size_t len)
{
	struct soak_rng	r = soak_rng_for(opt_seed, s->id, 999);

	while (len-- > 0)
		s->out[s->out_used++] = (char)soak_random(&r);
}

static void
drain(struct session *s)
{
	s->step = STEP_DRAIN;
	s->may_end = 1;
	s->limit_ms = now_ms + DRAIN_MS;
}

/* Leave here, once all is out, if that is the plan. */
static void
come_to(struct session *s, enum soak_point point)
{
	if (s->plan.kind != SOAK_ABORT || s->plan.point != point ||
	    (point >= POINT_MAIL && s->number != s->plan.abort_message))
		return;
	s->is_armed = 1;
	if (point == POINT_END)
		s->write_ms = now_ms + s->plan.noise / 10;
}

/* A way to be no client; before: the greeting is still to come. */
static void
say_garbage(struct session *s, int is_before)
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
		    "X-Soak-Id: %s.%u.cut\r\n\r\n", opt_tag, s->id);
		break;
	}
	drain(s);
}

/* The dialogue, step by step. */

static void
message_begin(struct session *s)
{
	struct soak_message	*m = &s->message;

	soak_plan_message(m, &s->plan, opt_seed, s->id, s->number);
	(void)snprintf(s->name, sizeof(s->name), "%s.%u.%u", opt_tag, s->id,
	    s->number);
	soak_content_begin(&s->content, &store, s->name,
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
	s->may_end |= soak_message_is_fatal(m);
	want(s, WHAT_MAIL, (m->what == '4' || m->what == '5') &&
	    m->stage == 'm' ? "45" : "2");
	come_to(s, POINT_MAIL);
	s->step = STEP_RCPT;
}

/* One of these was refused: what stands behind it in the group is, too. */
static int
envelope_is_bad(const struct session *s)
{
	return soak_message_is_refused(&s->message);
}

static int
next_rcpt(struct session *s)
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
next_data(struct session *s)
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
say_dirty(struct session *s)
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
content_most(const struct session *s)
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
content_stops(struct session *s)
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
next_content(struct session *s)
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
	s->out_used += soak_content_fill(c, s->out + s->out_used,
	    OUT_SIZE - s->out_used - LINE_ROOM, content_most(s), 1);
	if (c->left == 0) {
		say(s, ".\r\n");
		s->step = STEP_FINAL;
		come_to(s, POINT_END);
	}
	return 1;
}

static const char *
chunk_digits(const struct session *s, int is_last)
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
next_chunk(struct session *s)
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
next_chunk_body(struct session *s)
{
	struct soak_content	*c = &s->content;
	uint64_t		 most = content_most(s), left = c->left;

	if (most == 0) {
		come_to(s, POINT_BODY);
		return 1;
	}
	if (most > s->chunk_left)
		most = s->chunk_left;
	s->out_used += soak_content_fill(c, s->out + s->out_used,
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
next_ready(struct session *s)
{
	uint32_t	i;

	s->step = STEP_MESSAGE;
	if (s->plan.kind == SOAK_IDLE) {
		s->step = STEP_IDLE;
		s->write_ms = now_ms + s->plan.idle_ms;
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
next_quit(struct session *s)
{
	say(s, "QUIT\r\n");
	want(s, WHAT_OTHER, "2");
	s->step = STEP_END;
}

static void
next_greeted(struct session *s)
{
	if (s->plan.kind == SOAK_BANNER) {
		next_quit(s);
		return;
	}
	say(s, "EHLO client.example\r\n");
	want(s, WHAT_OTHER, "2");
	come_to(s, POINT_EHLO);
	s->step = s->plan.tls == SOAK_STARTTLS ? STEP_STARTTLS : STEP_READY;
}

static void	tls_begin(struct session *);

static void
next_handshake(struct session *s)
{
	if (s->plan.kind == SOAK_ABORT && s->plan.point == POINT_NO_TLS) {
		say_noise(s, s->plan.noise);
		drain(s);
		return;
	}
	tls_begin(s);
	s->step = STEP_EHLO_AGAIN;
}

/*
 * All that was said is out: say what comes next.  Returns 0 when something
 * has to be heard first.
 */
static int
session_next(struct session *s)
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
	switch (s->step) {
	case STEP_CONNECT:
		s->step = STEP_GREETING;
		want(s, WHAT_OTHER, "2");
		come_to(s, POINT_CONNECT);
		if (s->plan.kind == SOAK_GARBAGE)
			say_garbage(s, 1);
		break;
	case STEP_GREETING:
		next_greeted(s);
		break;
	case STEP_STARTTLS:
		say(s, "STARTTLS\r\n");
		want(s, WHAT_OTHER, "2");
		come_to(s, POINT_STARTTLS);
		s->step = STEP_HANDSHAKE;
		break;
	case STEP_HANDSHAKE:
		next_handshake(s);
		break;
	case STEP_EHLO_AGAIN:
		say(s, "EHLO client.example\r\n");
		want(s, WHAT_OTHER, "2");
		s->step = STEP_READY;
		break;
	case STEP_READY:
		next_ready(s);
		break;
	case STEP_MESSAGE:
		if (s->number == s->plan.messages || is_stopping ||
		    (s->number > 0 && soak_message_is_last(&s->message)))
			s->step = STEP_QUIT;
		else
			message_begin(s);
		break;
	case STEP_UNDO:
		record(s, 'x');
		say(s, "RSET\r\n");
		want(s, WHAT_OTHER, "2");
		s->number++;
		s->step = STEP_MESSAGE;
		break;
	case STEP_FINAL:
		if (s->is_open)
			complain(s, "no final reply");
		if (s->is_refused) {
			s->step = STEP_UNDO;
			break;
		}
		s->number++;
		s->step = STEP_MESSAGE;
		break;
	default:
		next_quit(s);
		break;
	}
	return 1;
}

/* What it hears. */

static void
hear_final(struct session *s, const char *line)
{
	if (line[0] == '2' && !s->is_sent)
		complain(s, "acknowledged before its end: %.100s", line);
	record(s, line[0] == '2' ? 'a' : !s->is_sent ? 'x' :
	    strstr(line, "sink:") != NULL ? 'd' : 'r');
}

static void
hear_effect(struct session *s, enum what what, const char *line)
{
	switch (what) {
	case WHAT_MAIL:
	case WHAT_CHUNK:
		s->is_refused |= line[0] != '2';
		break;
	case WHAT_RCPT:
		s->ntaken += line[0] == '2';
		break;
	case WHAT_DATA:
		s->has_go = line[0] == '3';
		break;
	case WHAT_FINAL:
		s->is_refused |= line[0] != '2';
		hear_final(s, line);
		break;
	default:
		break;
	}
}

/* The last line of a reply. */
static void
hear(struct session *s, const char *line)
{
	struct want	w;
	int		is_bad = line[0] == '4' || line[0] == '5';

	if (s->step == STEP_DRAIN && s->nwants == 0)
		return;
	if (s->nwants == 0) {
		if (!(s->may_end && is_bad))
			complain(s, "unasked: %.100s", line);
		return;
	}
	w = s->wants[0];
	memmove(s->wants, s->wants + 1, --s->nwants * sizeof(w));
	if (strchr(w.digits, line[0]) == NULL && !(s->may_end && is_bad)) {
		hear_effect(s, w.what, line);
		complain(s, "not %s: %.100s", w.digits, line);
		return;
	}
	hear_effect(s, w.what, line);
}

static int
line_is_reply(const char *line)
{
	return isdigit((unsigned char)line[0]) &&
	    isdigit((unsigned char)line[1]) &&
	    isdigit((unsigned char)line[2]) &&
	    (line[3] == ' ' || line[3] == '-' || line[3] == '\0');
}

static void
session_lines(struct session *s)
{
	char	*line = s->in, *end;
	size_t	 left = s->in_used;

	while (!s->is_over && !s->is_shaking &&
	    (end = memmem(line, left, "\r\n", 2)) != NULL) {
		*end = '\0';
		if (!line_is_reply(line))
			complain(s, "no reply: %.100s", line);
		else if (line[3] != '-')
			hear(s, line);
		left -= (size_t)(end + 2 - line);
		line = end + 2;
	}
	memmove(s->in, line, left);
	s->in_used = left;
	if (left == IN_SIZE)
		complain(s, "a line without end");
}

/* It was closed, or broke. */
static void
session_eof(struct session *s)
{
	s->is_over = 1;
	if (s->may_end || (s->step == STEP_END && s->nwants == 0))
		return;
	complain(s, "connection lost");
}

/* The connection. */

static int
on_ticket(SSL *ssl, SSL_SESSION *new)
{
	struct target	*t = SSL_get_app_data(ssl);
	SSL_SESSION	**place;

	place = &t->resume[SSL_version(ssl) == TLS1_2_VERSION];
	SSL_SESSION_free(*place);
	*place = new;
	return 1;
}

static struct target *
session_target(const struct session *s)
{
	int	is_implicit = s->plan.tls == SOAK_IMPLICIT;

	return &targets[is_implicit][s->plan.target % ntargets[is_implicit]];
}

static void
tls_begin(struct session *s)
{
	struct target	*t = session_target(s);
	SSL_SESSION	*old = t->resume[s->plan.is_tls12], *copy;

	soak_tls_start(&s->stream, ctx, 0);
	SSL_set_app_data(s->stream.ssl, t);
	if (s->plan.is_tls12)
		(void)SSL_set_max_proto_version(s->stream.ssl,
		    TLS1_2_VERSION);
	/* Of its own accord the library uses a ticket but once. */
	if (s->plan.is_resumed && old != NULL) {
		if ((copy = SSL_SESSION_dup(old)) == NULL ||
		    SSL_set_session(s->stream.ssl, copy) != 1)
			errx(1, "the ticket can't be used");
		SSL_SESSION_free(copy);
	}
	s->is_shaking = 1;
}

static void
session_shake(struct session *s)
{
	int	rc;

	rc = soak_handshake(&s->stream);
	if (rc == -1) {
		complain(s, "handshake failed: %s", ERR_reason_error_string(
		    ERR_peek_last_error()));
		return;
	}
	if (s->plan.kind == SOAK_ABORT && s->plan.point == POINT_HELLO) {
		s->is_over = 1;
		naborted++;
		return;
	}
	if (rc == 1) {
		s->is_shaking = 0;
		nhandshakes++;
		nresumed += SSL_session_reused(s->stream.ssl) != 0;
	}
}

static void
session_leave(struct session *s)
{
	naborted++;
	s->is_armed = 0;
	if (s->plan.way != WAY_HALF) {
		soak_close(&s->stream, s->plan.way == WAY_RESET);
		s->is_over = 1;
		return;
	}
	(void)shutdown(s->stream.fd, SHUT_WR);
	drain(s);
	s->is_mute = 1;
}

/* Returns 1 if something moved. */
static int
session_write(struct session *s)
{
	size_t	len = s->out_used - s->out_at, piece;
	ssize_t	n;

	if (s->write_ms > now_ms)
		return 0;
	if (s->plan.kind == SOAK_SLOW_WRITE && s->step >= STEP_CONTENT) {
		piece = s->content.size / 60 + 1;
		len = len < piece ? len : piece;
	}
	n = soak_write(&s->stream, s->out + s->out_at, len);
	if (n == 0)
		return 0;
	if (n == -1) {
		/* There may be a word about it. */
		s->is_mute = 1;
		s->out_at = s->out_used = 0;
		return 1;
	}
	noctets += (uint64_t)n;
	s->out_at += (size_t)n;
	s->progress_ms = now_ms;
	if (s->plan.kind == SOAK_SLOW_WRITE && s->step >= STEP_CONTENT)
		s->write_ms = now_ms + s->plan.noise / 8;
	if (s->out_at == s->out_used) {
		s->out_at = s->out_used = 0;
		s->is_sent |= s->step == STEP_FINAL;
	}
	return 1;
}

static int
session_read(struct session *s)
{
	size_t	room = IN_SIZE - s->in_used;
	ssize_t	n;

	if (!s->can_read || s->read_ms > now_ms)
		return 0;
	if (s->plan.kind == SOAK_SLOW_READ && room > SLOW_READ)
		room = SLOW_READ;
	n = soak_read(&s->stream, s->in + s->in_used, room);
	if (n <= 0) {
		s->can_read = 0;
		if (n == -1)
			session_eof(s);
		return 0;
	}
	s->in_used += (size_t)n;
	s->progress_ms = now_ms;
	if (s->plan.kind == SOAK_SLOW_READ)
		s->read_ms = now_ms + s->plan.noise % 10 + 1;
	session_lines(s);
	return 1;
}

static int
session_talk(struct session *s)
{
	if (s->is_mute)
		return 0;
	if (s->out_used > 0)
		return session_write(s);
	if (s->write_ms > now_ms)
		return 0;
	if (s->is_armed) {
		session_leave(s);
		return 1;
	}
	return session_next(s);
}

/* Go on until it has to wait. */
static void
session_run(struct session *s)
{
	int	moved;

	do {
		moved = 0;
		if (s->is_shaking) {
			session_shake(s);
			if (s->is_shaking)
				return;
			moved = 1;
			s->can_read = 1;
		}
		/* What lies in the library poll(2) does not show. */
		if (s->stream.ssl != NULL && !s->is_over &&
		    SSL_pending(s->stream.ssl) > 0)
			s->can_read = 1;
		if (!s->is_over)
			moved |= session_talk(s);
		if (!s->is_over && !s->is_shaking)
			moved |= session_read(s);
	} while (moved && !s->is_over);
}

static void
session_end(size_t slot)
{
	struct session	*s = sessions[slot];

	record(s, s->is_sent ? 'u' : 'x');
	soak_close(&s->stream, 0);
	free(s);
	nended++;
	nslots--;
	sessions[slot] = sessions[nslots];
	pfds[slot] = pfds[nslots];
}

static void
session_start(void)
{
	struct session		*s;
	struct sockaddr_in	 sin;
	int			 on = 1, size = SLOW_RCVBUF;

	if ((s = malloc(sizeof(*s))) == NULL)
		err(1, NULL);
	memset(s, 0, offsetof(struct session, in));
	s->id = (uint32_t)++nstarted;
	s->began_ms = s->progress_ms = now_ms;
	soak_plan_session(&s->plan, opt_seed, s->id);
	if (s->plan.tls == SOAK_IMPLICIT && ntargets[1] == 0)
		s->plan.tls = SOAK_CLEAR;
	if ((s->stream.fd = socket(AF_INET, SOCK_STREAM, 0)) == -1)
		err(1, "socket");
	soak_set_nonblocking(s->stream.fd);
	(void)setsockopt(s->stream.fd, IPPROTO_TCP, TCP_NODELAY, &on,
	    sizeof(on));
	if (s->plan.kind == SOAK_SLOW_READ)
		(void)setsockopt(s->stream.fd, SOL_SOCKET, SO_RCVBUF, &size,
		    sizeof(size));
	memset(&sin, 0, sizeof(sin));
	sin.sin_family = AF_INET;
	sin.sin_addr = address;
	sin.sin_port = htons(session_target(s)->port);
	sessions[nslots] = s;
	pfds[nslots].fd = s->stream.fd;
	pfds[nslots].events = POLLOUT;
	pfds[nslots].revents = 0;
	nslots++;
	if (connect(s->stream.fd, (struct sockaddr *)&sin, sizeof(sin)) == -1
	    && errno != EINPROGRESS)
		complain(s, "connect: %s", strerror(errno));
}

static void
session_connected(struct session *s)
{
	socklen_t	len = sizeof(int);
	int		error = 0;

	if (getsockopt(s->stream.fd, SOL_SOCKET, SO_ERROR, &error, &len) == -1)
		error = errno;
	if (error != 0) {
		complain(s, "connect: %s", strerror(error));
		return;
	}
	s->is_connected = 1;
	if (s->plan.tls == SOAK_IMPLICIT)
		tls_begin(s);
}

/* The time at which it goes on by itself. */
static int64_t
session_wake(const struct session *s)
{
	int64_t	wake = s->progress_ms + PROGRESS_MS;

	if (s->write_ms > now_ms && s->write_ms < wake)
		wake = s->write_ms;
	if (s->read_ms > now_ms && s->read_ms < wake)
		wake = s->read_ms;
	if (s->limit_ms != 0 && s->limit_ms < wake)
		wake = s->limit_ms;
	return wake;
}

static void
session_timeout(struct session *s)
{
	if (is_stopping && s->step == STEP_IDLE)
		s->write_ms = 0;
	if (s->limit_ms != 0 && s->limit_ms <= now_ms)
		s->is_over = 1;
	else if (s->progress_ms + PROGRESS_MS <= now_ms)
		complain(s, "no progress");
}

static short
session_events(const struct session *s)
{
	short	events = 0;

	if (!s->is_connected)
		return POLLOUT;
	if (s->is_shaking)
		return s->stream.want;
	if (s->read_ms <= now_ms)
		events |= POLLIN;
	if (s->out_used > 0 && s->write_ms <= now_ms)
		events |= POLLOUT;
	return events;
}

static void
slot_serve(size_t slot)
{
	struct session	*s = sessions[slot];
	short		 got = pfds[slot].revents;

	if (got == 0 && s->wake_ms > now_ms && !is_stopping && !s->is_over)
		return;
	if (got & (POLLIN | POLLERR | POLLHUP))
		s->can_read = 1;
	if (!s->is_connected && got != 0)
		session_connected(s);
	session_timeout(s);
	if (s->is_connected && !s->is_over)
		session_run(s);
	if (s->is_over)
		session_end(slot);
	else {
		pfds[slot].events = session_events(s);
		s->wake_ms = session_wake(s);
	}
}

static void
report(void)
{
	printf("{\"sessions\": %llu, \"open\": %zu, \"messages\": %llu, "
	    "\"acknowledged\": %llu, \"refused\": %llu, \"aborted\": %llu, "
	    "\"octets\": %llu, \"handshakes\": %llu, \"resumed\": %llu, "
	    "\"complaints\": %llu}\n", (unsigned long long)nended, nslots,
	    (unsigned long long)nmessages, (unsigned long long)nacknowledged,
	    (unsigned long long)nrefused, (unsigned long long)naborted,
	    (unsigned long long)noctets, (unsigned long long)nhandshakes,
	    (unsigned long long)nresumed, (unsigned long long)ncomplaints);
	(void)fflush(stdout);
}

static int
poll_ms(int64_t report_ms)
{
	int64_t	wake = report_ms;
	size_t	slot;

	for (slot = 0; slot < nslots; slot++)
		if (session_wake(sessions[slot]) < wake)
			wake = session_wake(sessions[slot]);
	/* A place is free, and another session is due soon. */
	if (nslots < opt_concurrency && !is_stopping && wake > now_ms + 5)
		wake = now_ms + 5;
	return wake > now_ms ? (int)(wake - now_ms) : 0;
}

static void
start_some(void)
{
	while (!is_stopping && nslots < opt_concurrency &&
	    (int64_t)nstarted * 1000 < (now_ms - start_ms + 1) * opt_rate)
		session_start();
}

static void
run(void)
{
	int64_t	report_ms;
	size_t	slot;

	start_ms = now_ms = soak_now_ms();
	report_ms = now_ms + REPORT_MS;
	for (;;) {
		if (now_ms - start_ms >= (int64_t)opt_seconds * 1000)
			is_stopping = 1;
		start_some();
		if (nslots == 0 && is_stopping)
			return;
		if (poll(pfds, (nfds_t)nslots, poll_ms(report_ms)) == -1 &&
		    errno != EINTR)
			err(1, "poll");
		now_ms = soak_now_ms();
		/* Backwards: the last slot takes the place of a closed one. */
		for (slot = nslots; slot-- > 0;)
			slot_serve(slot);
		if (now_ms >= report_ms) {
			report();
			report_ms = now_ms + REPORT_MS;
		}
	}
}

static void
on_signal(int sig)
{
	(void)sig;
	is_stopping = 1;
}

static void
prepare(const char *path)
{
	struct rlimit	rl;

	if (getrlimit(RLIMIT_NOFILE, &rl) == 0) {
		rl.rlim_cur = rl.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &rl);
	}
	(void)signal(SIGPIPE, SIG_IGN);
	(void)signal(SIGTERM, on_signal);
	if ((journal = fopen(path, "w")) == NULL)
		err(1, "%s", path);
	sessions = calloc(opt_concurrency, sizeof(*sessions));
	pfds = calloc(opt_concurrency, sizeof(*pfds));
	if (sessions == NULL || pfds == NULL)
		err(1, NULL);
	soak_store_make(&store);
	ctx = soak_tls_context(TLS_client_method());
	(void)SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT |
	    SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(ctx, on_ticket);
}

static void
add_target(int is_implicit, const char *text)
{
	if (ntargets[is_implicit] == PORTS_MAX)
		errx(1, "%s: too many ports", text);
	targets[is_implicit][ntargets[is_implicit]++].port =
	    (uint16_t)soak_number(text, 1, 65535);
}

static void
usage(void)
{
	(void)fprintf(stderr, "usage: soakload [-C concurrency] [-d seconds] "
	    "[-i port] [-r rate] [-s seed]\n                [-t tag] "
	    "-c address -j journal -p port\n");
	exit(1);
}

int
main(int argc, char *argv[])
{
	const char	*path = NULL;
	int		 ch, has_address = 0;

	while ((ch = getopt(argc, argv, "C:c:d:i:j:p:r:s:t:")) != -1) {
		switch (ch) {
		case 'C':
			opt_concurrency = soak_number(optarg, 1, 10000);
			break;
		case 'c':
			if (inet_pton(AF_INET, optarg, &address) != 1)
				errx(1, "%s: no address", optarg);
			has_address = 1;
			break;
		case 'd':
			opt_seconds = soak_number(optarg, 1, 1000000);
			break;
		case 'i':
			add_target(1, optarg);
			break;
		case 'j':
			path = optarg;
			break;
		case 'p':
			add_target(0, optarg);
			break;
		case 'r':
			opt_rate = soak_number(optarg, 1, 100000);
			break;
		case 's':
			opt_seed = soak_number(optarg, 0, UINT32_MAX);
			break;
		case 't':
			opt_tag = optarg;
			break;
		default:
			usage();
		}
	}
	if (optind != argc || path == NULL || !has_address ||
	    ntargets[0] == 0 || strlen(opt_tag) > 8)
		usage();
	prepare(path);
	run();
	report();
	if (fclose(journal) != 0)
		err(1, "%s", path);
	return ncomplaints > 0;
}
