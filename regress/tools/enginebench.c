/*
 * enginebench: what the engine alone costs, octets through parser and scanner,
 * without sockets.  A client and a destination made of memory play whole
 * sessions with it, the way that session.c does.
 *
 * usage: enginebench [-l] [-n units] [-t ms] [scenario ...]
 *
 *	-l	list the scenarios
 *	-n	play so many sessions of each (else as many as fill the time)
 *	-t	milliseconds of each of five rounds (40)
 *
 * Prints a line for each scenario: its name, octets of a session (those of both
 * sides, as the engine receives them), sessions played in a round, nanoseconds
 * a session (the median round), those of the best and the worst round.  The
 * first line says which compiler it was.  Functions that belong to the harness
 * begin with bench_: regress/bench/engine leaves them out of its counts, and
 * counts while bench_measure() runs.
 */
#include <sys/types.h>

#include <err.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "../unit/engine_play.h"

#define KIB		1024
#define MIB		(1024 * KIB)
#define ROUNDS		5
#define SAYS_MAX	256
#define READ_MAX	SIZE_MAX	/* what a side says comes whole */

enum bench_body {
	BODY_TEXT,		/* lines of 78 octets, every tenth with a dot */
	BODY_LINES,		/* of one octet */
	BODY_DOTS		/* of one dot, sent twice */
};

struct bench_scenario {
	const char	*name;
	unsigned int	 messages;
	unsigned int	 recipients;
	int		 is_pipelined;
	enum bench_body	 body;
	size_t		 size;		/* of the content, before stuffing */
	size_t		 chunk;		/* BDAT chunks of this size; 0: DATA */
	size_t		 read;		/* octets of a read */
	const char	*about;
};

static const struct bench_scenario	bench_scenarios[] = {
	{ "w1", 1, 1, 0, BODY_TEXT, 4 * KIB, 0, READ_MAX,
	    "one message of 4 KiB, lock-step" },
	{ "w2", 20, 1, 0, BODY_TEXT, 4 * KIB, 0, READ_MAX,
	    "20 messages of 4 KiB" },
	{ "w3-16k", 1, 1, 0, BODY_TEXT, 10 * MIB, 0, 16 * KIB,
	    "10 MiB in reads of 16 KiB" },
	{ "w3-256k", 1, 1, 0, BODY_TEXT, 10 * MIB, 0, 256 * KIB,
	    "10 MiB in reads of 256 KiB" },
	{ "w5", 0, 0, 0, BODY_TEXT, 0, 0, READ_MAX,
	    "connect, banner, QUIT" },
	{ "w6", 1, 5, 1, BODY_TEXT, 4 * KIB, 0, READ_MAX,
	    "4 KiB, pipelined, 5 recipients" },
	{ "bdat", 1, 1, 0, BODY_TEXT, 10 * MIB, MIB, 16 * KIB,
	    "10 MiB in BDAT chunks of 1 MiB" },
	{ "lines", 1, 1, 0, BODY_LINES, MIB, 0, 16 * KIB,
	    "1 MiB of lines of one octet" },
	{ "dots", 1, 1, 0, BODY_DOTS, MIB, 0, 16 * KIB,
	    "1 MiB of lines of one dot" },
	{ "octets", 1, 1, 0, BODY_TEXT, 4 * KIB, 0, 1,
	    "w1 in reads of one octet" }
};
#define NSCENARIOS	(sizeof(bench_scenarios) / sizeof(bench_scenarios[0]))

/* What one side says at a time. */
struct bench_say {
	enum smtp_side	 side;
	uint8_t		*octets;
	size_t		 len;
};

struct bench_run {
	const struct bench_scenario *scenario;
	struct smtp_settings	 set;
	struct buf_pool		 pool;
	struct smtp_engine	 e;
	struct bench_say	 say[SAYS_MAX];
	size_t			 nsays;
	uint64_t		 octets;	/* of all that is said */
	uint64_t		 want_dest;	/* to get there */
	uint64_t		 sent[SMTP_SIDES];
	unsigned int		 ndelivered;
	int64_t			 now_ms;
};

/* The script of a session. */

static void
bench_say(struct bench_run *r, enum smtp_side side, const void *octets,
    size_t len)
{
	struct bench_say	*s = &r->say[r->nsays];

	if (r->nsays == SAYS_MAX)
		errx(1, "%s: script too long", r->scenario->name);
	if ((s->octets = malloc(len)) == NULL)
		err(1, NULL);
	memcpy(s->octets, octets, len);
	s->side = side;
	s->len = len;
	r->nsays++;
	r->octets += len;
	if (side == SMTP_CLIENT)
		r->want_dest += len;
}

static void
bench_say_both(struct bench_run *r, const char *client, const char *dest)
{
	bench_say(r, SMTP_CLIENT, client, strlen(client));
	bench_say(r, SMTP_DEST, dest, strlen(dest));
}

/* Lines up to `size` octets; with `has_dots` stuffed, as DATA has them. */
static size_t
bench_fill(uint8_t *to, enum bench_body body, size_t size, int has_dots)
{
	size_t		n = 0, made = 0, len, i;
	unsigned int	line;

	for (line = 0; made < size; line++, made += len) {
		len = body == BODY_TEXT ? 78 : 3;
		/* No rest of less than a line. */
		if (size - made < len + 3)
			len = size - made;
		if (body == BODY_DOTS ||
		    (body == BODY_TEXT && line % 10 == 9)) {
			if (has_dots)
				to[n++] = '.';
			to[n++] = '.';
		} else
			to[n++] = 'x';
		for (i = 1; i + 2 < len; i++)
			to[n++] = (uint8_t)('a' + (i + line) % 26);
		to[n++] = '\r';
		to[n++] = '\n';
	}
	return n;
}

static void
bench_script_data(struct bench_run *r, uint8_t *room)
{
	size_t	n;

	n = bench_fill(room, r->scenario->body, r->scenario->size, 1);
	memcpy(room + n, ".\r\n", 3);
	bench_say(r, SMTP_CLIENT, room, n + 3);
	bench_say(r, SMTP_DEST, "250 2.0.0 message taken\r\n", 25);
}

static void
bench_script_chunks(struct bench_run *r, uint8_t *room)
{
	const size_t	head = 64, chunk = r->scenario->chunk;
	size_t		n, at, len;
	int		line;

	n = bench_fill(room + head, r->scenario->body, r->scenario->size, 0);
	for (at = 0; at < n; at += len) {
		len = n - at < chunk ? n - at : chunk;
		/* Into the room that the chunk before has left. */
		line = snprintf((char *)room, head, "BDAT %zu%s\r\n", len,
		    at + len == n ? " LAST" : "");
		memmove(room + line, room + head + at, len);
		bench_say(r, SMTP_CLIENT, room, (size_t)line + len);
		bench_say(r, SMTP_DEST, "250 2.0.0 chunk taken\r\n", 23);
	}
}

static void
bench_script_envelope(struct bench_run *r)
{
	char		commands[1024], replies[1024], one[80];
	unsigned int	i;

	(void)strlcpy(commands, "MAIL FROM:<load@client.example>\r\n",
	    sizeof(commands));
	(void)strlcpy(replies, "250 2.1.0 sender fine\r\n", sizeof(replies));
	for (i = 0; i <= r->scenario->recipients; i++) {
		if (!r->scenario->is_pipelined) {
			bench_say_both(r, commands, replies);
			commands[0] = replies[0] = '\0';
		}
		if (i == r->scenario->recipients)
			break;
		(void)snprintf(one, sizeof(one),
		    "RCPT TO:<user%u@test.example>\r\n", i + 1);
		(void)strlcat(commands, one, sizeof(commands));
		(void)strlcat(replies, "250 2.1.5 recipient fine\r\n",
		    sizeof(replies));
	}
	if (r->scenario->chunk == 0) {
		(void)strlcat(commands, "DATA\r\n", sizeof(commands));
		(void)strlcat(replies, "354 end with a dot\r\n",
		    sizeof(replies));
		bench_say_both(r, commands, replies);
	}
}

static void
bench_script(struct bench_run *r)
{
	const struct bench_scenario	*c = r->scenario;
	uint8_t				*room;
	unsigned int			 i;

	if ((room = malloc(c->size * 2 + KIB)) == NULL)
		err(1, NULL);
	bench_say(r, SMTP_DEST, "220 sink.example ESMTP\r\n", 24);
	if (c->messages > 0)
		bench_say_both(r, "EHLO client.example\r\n",
		    "250-sink.example\r\n250-PIPELINING\r\n250-8BITMIME\r\n"
		    "250-SMTPUTF8\r\n250-SIZE 1073741824\r\n250-CHUNKING\r\n"
		    "250-DSN\r\n250 ENHANCEDSTATUSCODES\r\n");
	for (i = 0; i < c->messages; i++) {
		bench_script_envelope(r);
		if (c->chunk > 0)
			bench_script_chunks(r, room);
		else
			bench_script_data(r, room);
	}
	bench_say_both(r, "QUIT\r\n", "221 2.0.0 bye\r\n");
	free(room);
}

/* The session's part. */

static void
bench_send(struct bench_run *r, enum smtp_side to)
{
	struct smtp_engine	*e = &r->e;
	size_t			 n = e->out[to].used + e->passlen[to];

	if (n == 0)
		return;
	r->sent[to] += n;
	if (e->out[to].used > 0)
		buf_drop(&e->out[to], e->out[to].used);
	e->pass[to] = NULL;
	e->passlen[to] = 0;
	smtp_engine_sent(e, to, n, 0, r->now_ms);
}

/* What a session does after it has given octets to the engine. */
static void
bench_serve(struct bench_run *r)
{
	struct smtp_engine	*e = &r->e;
	struct smtp_question	 q;
	struct smtp_txn		*t;

	while (!e->is_done && smtp_engine_question(e, &q))
		smtp_engine_answer(e, q.number, ANSWER_PASS, NULL, r->now_ms);
	bench_send(r, SMTP_CLIENT);
	bench_send(r, SMTP_DEST);
	(void)smtp_engine_events(e);
	while ((t = smtp_engine_ended(e)) != NULL) {
		r->ndelivered += t->is_delivered;
		smtp_engine_free_txn(e, t);
	}
	(void)smtp_engine_deadline(e);
}

static void
bench_feed(struct bench_run *r, const struct bench_say *s)
{
	size_t	at = 0, n, taken;

	while (at < s->len) {
		n = s->len - at;
		if (n > r->scenario->read)
			n = r->scenario->read;
		taken = smtp_engine_feed(&r->e, s->side, s->octets + at, n,
		    r->now_ms);
		if (taken == 0 && !r->e.has_question &&
		    r->e.out[SMTP_DEST].used == 0)
			errx(1, "%s: nothing is taken in state %s",
			    r->scenario->name,
			    smtp_state_name((enum smtp_state)r->e.state));
		at += taken;
		bench_serve(r);
	}
}

static void
bench_unit(struct bench_run *r)
{
	size_t	i;

	r->sent[SMTP_CLIENT] = r->sent[SMTP_DEST] = 0;
	r->ndelivered = 0;
	r->now_ms++;
	smtp_engine_init(&r->e, &r->set, &r->pool, r->now_ms);
	bench_serve(r);
	smtp_engine_preamble(&r->e, r->now_ms);
	smtp_engine_connected(&r->e, r->now_ms);
	bench_serve(r);
	for (i = 0; i < r->nsays; i++)
		bench_feed(r, &r->say[i]);
	/* A session that went wrong would be a quick one. */
	if (!r->e.is_done || r->e.reason == NULL ||
	    strcmp(r->e.reason, "quit") != 0 ||
	    r->ndelivered != r->scenario->messages ||
	    r->sent[SMTP_DEST] != r->want_dest ||
	    r->sent[SMTP_CLIENT] != r->octets - r->want_dest)
		errx(1, "%s: not the session that was meant",
		    r->scenario->name);
	smtp_engine_clear(&r->e);
}

/* Measuring. */

static void
bench_measure(struct bench_run *r, unsigned long n)
{
	while (n-- > 0)
		bench_unit(r);
}

/* Called by way of this, it stays a function that a profiler can find. */
static void	(*volatile bench_measure_now)(struct bench_run *,
		    unsigned long) = bench_measure;

static int64_t
bench_ns(void)
{
	struct timespec	ts;

	if (clock_gettime(CLOCK_MONOTONIC, &ts) == -1)
		err(1, "clock_gettime");
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

static int64_t
bench_time(struct bench_run *r, unsigned long n)
{
	int64_t	began = bench_ns();

	bench_measure_now(r, n);
	return bench_ns() - began;
}

static int
bench_compare(const void *a, const void *b)
{
	int64_t	x = *(const int64_t *)a, y = *(const int64_t *)b;

	return x < y ? -1 : x > y;
}

static void
bench_report(struct bench_run *r, unsigned long n, int64_t *ns, size_t rounds)
{
	double	units = (double)n;

	qsort(ns, rounds, sizeof(*ns), bench_compare);
	printf("%s %llu %lu %.1f %.1f %.1f\n", r->scenario->name,
	    (unsigned long long)r->octets, n, (double)ns[rounds / 2] / units,
	    (double)ns[0] / units, (double)ns[rounds - 1] / units);
	(void)fflush(stdout);
}

static void
bench_scenario(const struct bench_scenario *c, unsigned long units,
    int64_t round_ns)
{
	static struct bench_run	r;
	int64_t			ns[ROUNDS] = { 0 };
	unsigned long		n = units;
	size_t			i, rounds = units > 0 ? 1 : ROUNDS;

	memset(&r, 0, sizeof(r));
	r.scenario = c;
	play_settings(&r.set);
	buf_pool_init(&r.pool, 4, 2);
	bench_script(&r);
	/* The first has the pool to fill. */
	bench_unit(&r);
	if (units == 0)
		for (n = 1; bench_time(&r, n) < round_ns; n *= 2)
			;
	for (i = 0; i < rounds; i++)
		ns[i] = bench_time(&r, n);
	bench_report(&r, n, ns, rounds);
	for (i = 0; i < r.nsays; i++)
		free(r.say[i].octets);
	buf_pool_clear(&r.pool);
}

static void
bench_list(void)
{
	size_t	i;

	for (i = 0; i < NSCENARIOS; i++)
		printf("%s %s\n", bench_scenarios[i].name,
		    bench_scenarios[i].about);
}

static const struct bench_scenario *
bench_find(const char *name)
{
	size_t	i;

	for (i = 0; i < NSCENARIOS; i++)
		if (strcmp(bench_scenarios[i].name, name) == 0)
			return &bench_scenarios[i];
	errx(1, "%s: no such scenario (-l lists them)", name);
}

static unsigned int
bench_number(const char *text, unsigned int min, unsigned int max)
{
	const char	*bad;
	long long	 n;

	n = strtonum(text, min, max, &bad);
	if (bad != NULL)
		errx(1, "%s: %s", text, bad);
	return (unsigned int)n;
}

static void
usage(void)
{
	(void)fprintf(stderr,
	    "usage: enginebench [-l] [-n units] [-t ms] [scenario ...]\n");
	exit(1);
}

int
main(int argc, char *argv[])
{
	unsigned int	units = 0, ms = 40;
	size_t		i;
	int		ch;

	while ((ch = getopt(argc, argv, "ln:t:")) != -1) {
		switch (ch) {
		case 'l':
			bench_list();
			return 0;
		case 'n':
			units = bench_number(optarg, 1, 1000000);
			break;
		case 't':
			ms = bench_number(optarg, 1, 60000);
			break;
		default:
			usage();
		}
	}
	argc -= optind;
	argv += optind;
	for (i = 0; i < (size_t)argc; i++)
		(void)bench_find(argv[i]);
	printf("compiler %s\n", __VERSION__);
	for (i = 0; argc == 0 && i < NSCENARIOS; i++)
		bench_scenario(&bench_scenarios[i], units,
		    (int64_t)ms * 1000000);
	for (i = 0; i < (size_t)argc; i++)
		bench_scenario(bench_find(argv[i]), units,
		    (int64_t)ms * 1000000);
	return 0;
}
