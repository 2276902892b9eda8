/*
 * load: a load generator that speaks SMTP and checks every reply.  For tests
 * and benchmarks: one process, one poll loop, many sessions at once.
 *
 * usage: load [-2bEijPqRTw] -c address -p port [-C concurrency] [-m messages]
 *             [-n sessions] [-r recipients] [-S sessions] [-s size]
 *             [-t seconds]
 *
 *	-2	TLS 1.2 with -T (else TLS 1.3)
 *	-b	BDAT in the place of DATA
 *	-C	sessions at once (1)
 *	-E	EHLO twice, as around a handshake, but without one
 *	-i	idle: hold every session open behind its EHLO, and say so with
 *		a line; QUIT when standard input ends, or at SIGTERM
 *	-j	the result as JSON
 *	-m	messages in each session (1); with 0 and none of -E, -i and -T
 *		there is no EHLO either, but QUIT behind the greeting
 *	-n	sessions in all (1)
 *	-P	pipeline the envelope; with -b all of the message, too
 *	-q	acknowledge every segment at once: else a server without
 *		TCP_NODELAY waits 40 ms for that where it writes twice
 *	-R	resume, with -T, the session of one handshake made before
 *	-r	recipients of each message (1)
 *	-S	sessions that wait for their greeting at once, at most (all)
 *	-s	octets of each message (1000)
 *	-T	STARTTLS; certificates are not checked
 *	-t	seconds without progress until a session has failed (60)
 *	-w	wait behind EHLO until as many are open as are to be at once
 *
 * Every message begins with an X-Load-Id header of its own, and holds lines
 * that begin with dots.  A session ends at the first reply that is not what
 * it has to be, and the messages it had left count as failed.  A message's
 * latency is the time from MAIL to its final reply, a session's that from
 * connect to the reply to QUIT.  Exit 1 if any failed, or was not resumed.
 */

#include "load.h"

#include <sys/socket.h>

#include <netinet/in.h>
#include <netinet/tcp.h>

#include <ctype.h>
#include <err.h>
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tool_util.h"

#define COMPLAINTS_MAX	10
#define TICK_MS		1000

struct load_conf	load_conf = {
	.concurrency = 1, .messages = 1, .recipients = 1, .sessions = 1,
	.size = 1000, .starting = 1000000, .timeout_s = 60
};
struct load_totals	load_totals;

static struct loop		  loop;
static struct timer		  tick;
static struct addrinfo		 *dest;
static struct load_session	**sessions;	/* those that are open */
static size_t			  nsessions, nidle, ngreeting;
static unsigned int		  started;
static uint64_t			  ncomplaints;
static int			  as_json, is_released, is_waiting;

void
load_complain(const struct load_session *s, const char *what,
    const char *detail)
{
	size_t	i;

	if (++ncomplaints > COMPLAINTS_MAX)
		return;
	(void)fprintf(stderr, "load: session %llu, message %u: %s",
	    (unsigned long long)s->id, s->done + 1, what);
	for (i = 0; detail[i] != '\0'; i++) {
		if (i == 0)
			(void)fprintf(stderr, ": ");
		if (isprint((unsigned char)detail[i]))
			(void)fputc(detail[i], stderr);
	}
	(void)fputc('\n', stderr);
}

/* Whatever it had not delivered counts as failed. */
static void
session_end(struct load_session *s)
{
	load_totals.messages_ok += s->done;
	if (!load_conf.idle)
		load_totals.messages_failed += load_conf.messages - s->done;
	if (s->step == STEP_DONE)
		load_totals.sessions_ok++;
	else
		load_totals.sessions_failed++;
	if (s->step == STEP_IDLE)
		nidle--;
	if (s->step == STEP_GREETING)
		ngreeting--;
	loop_del(&loop, &s->io);
	load_tls_end(s);
	(void)close(s->fd);
	sessions[s->place] = sessions[--nsessions];
	sessions[s->place]->place = s->place;
	free(s->out);
	free(s);
}

/* Parked descriptors say POLLIN whatever there is. */
static void
on_session(struct loop_fd *io, short revents, void *arg)
{
	struct load_session	*s = arg;
	enum load_step		 before = s->step;
	int			 rc;

	s->progress_us = tool_now_us();
	rc = s->connected ? load_session_run(s, revents) :
	    load_session_connected(s);
	if (s->step == STEP_IDLE && before != STEP_IDLE)
		nidle++;
	if (s->step != STEP_GREETING && before == STEP_GREETING)
		ngreeting--;
	if (rc == -1) {
		session_end(s);
		return;
	}
	loop_set(&loop, io, load_session_events(s));
}

static void
session_start(void)
{
	struct load_session	*s;
	int			 fd, on = 1;

	if ((s = calloc(1, sizeof(*s))) == NULL ||
	    (s->out = malloc(load_session_out_size())) == NULL)
		err(1, NULL);
	s->id = ++started;
	s->began_us = s->progress_us = tool_now_us();
	s->place = nsessions;
	sessions[nsessions++] = s;
	ngreeting++;
	if ((fd = socket(dest->ai_family, SOCK_STREAM, 0)) == -1)
		err(1, "socket");
	tool_set_nonblocking(fd);
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	loop_fd_init(&s->io);
	s->fd = fd;
	if (connect(fd, dest->ai_addr, dest->ai_addrlen) == -1 &&
	    errno != EINPROGRESS) {
		load_complain(s, "connect", strerror(errno));
		session_end(s);
		return;
	}
	if (loop_add(&loop, &s->io, fd, POLLOUT, on_session, s) == -1)
		err(1, "loop");
}

static void
on_tick(struct timer *t, void *arg, int64_t now_ms)
{
	int64_t	since = tool_now_us() - (int64_t)load_conf.timeout_s * 1000000;
	size_t	n;

	(void)arg;
	/* Backwards: the last one takes the place of one that ends. */
	for (n = nsessions; n-- > 0;) {
		if (sessions[n]->step != STEP_IDLE &&
		    sessions[n]->progress_us < since) {
			load_complain(sessions[n], "no progress", "");
			session_end(sessions[n]);
		}
	}
	if (timer_set(&loop.timers, t, now_ms + TICK_MS) == -1)
		err(1, NULL);
}

/* Idle sessions are beside those that are still on their way. */
static void
run(unsigned int total)
{
	for (;;) {
		while (nsessions - nidle < load_conf.concurrency &&
		    ngreeting < load_conf.starting && started < total)
			session_start();
		if (nsessions == nidle)
			return;
		if (loop_once(&loop) == -1)
			err(1, "poll");
	}
}

/* Those that waited for one another go on, all of them now. */
static void
release(void)
{
	size_t	n;

	nidle = 0;
	load_conf.idle = 0;
	for (n = 0; n < nsessions; n++) {
		load_session_go(sessions[n]);
		sessions[n]->progress_us = tool_now_us();
		loop_set(&loop, &sessions[n]->io, POLLIN | POLLOUT);
	}
}

static void
on_release(struct loop_fd *io, short revents, void *arg)
{
	(void)revents;
	(void)arg;
	is_released = 1;
	loop_del(&loop, io);
}

/* What a server closes meanwhile has failed. */
static void
hold(void)
{
	static const int	signals[] = { SIGINT, SIGTERM, 0 };
	struct loop_fd		in, sig;
	size_t			n;

	loop_fd_init(&in);
	loop_fd_init(&sig);
	if (loop_add(&loop, &in, STDIN_FILENO, POLLIN, on_release, NULL) ==
	    -1 || loop_add(&loop, &sig, tool_catch_signals(signals), POLLIN,
	    on_release, NULL) == -1)
		err(1, "loop");
	printf("{\"idle\": %zu, \"failed\": %llu}\n", nidle,
	    (unsigned long long)load_totals.sessions_failed);
	(void)fflush(stdout);
	while (!is_released)
		if (loop_once(&loop) == -1)
			err(1, "poll");
	loop_del(&loop, &in);
	loop_del(&loop, &sig);
	nidle = 0;
	for (n = 0; n < nsessions; n++) {
		load_session_quit(sessions[n]);
		sessions[n]->progress_us = tool_now_us();
		loop_set(&loop, &sessions[n]->io, POLLIN | POLLOUT);
	}
	run(started);
}

static void
report(double seconds)
{
	const struct load_totals	*t = &load_totals;

	if (ncomplaints > COMPLAINTS_MAX)
		(void)fprintf(stderr, "load: %llu complaints more\n",
		    (unsigned long long)(ncomplaints - COMPLAINTS_MAX));
	printf("load: ok=%llu failed=%llu seconds=%.3f rate=%.1f p50_ms=%.3f "
	    "p99_ms=%.3f max_ms=%.3f\n", (unsigned long long)t->messages_ok,
	    (unsigned long long)t->messages_failed, seconds,
	    (double)t->messages_ok / (seconds > 0 ? seconds : 1),
	    tool_hist_ms(&t->message, 50), tool_hist_ms(&t->message, 99),
	    tool_hist_ms(&t->message, 100));
}

static void
report_json(double seconds)
{
	const struct load_totals	*t = &load_totals;

	printf("{\"messages\": %llu, \"messages_failed\": %llu, "
	    "\"sessions\": %llu, \"sessions_failed\": %llu, "
	    "\"resumed\": %llu, \"seconds\": %.6f, \"message_ms\": ",
	    (unsigned long long)t->messages_ok,
	    (unsigned long long)t->messages_failed,
	    (unsigned long long)t->sessions_ok,
	    (unsigned long long)t->sessions_failed,
	    (unsigned long long)t->resumed, seconds);
	tool_hist_json(&t->message, stdout);
	printf(", \"session_ms\": ");
	tool_hist_json(&t->session, stdout);
	printf(", \"handshake_ms\": ");
	tool_hist_json(&t->handshake, stdout);
	printf("}\n");
}

static void
prepare(const char *address, const char *port)
{
	dest = tool_address(address, port, 0);
	tool_prepare();
	if (loop_init(&loop, 1) == -1)
		err(1, "loop");
	timer_init(&tick, on_tick, NULL);
	if (timer_set(&loop.timers, &tick, loop.now_ms + TICK_MS) == -1 ||
	    (sessions = calloc(load_conf.idle ? load_conf.sessions :
	    load_conf.concurrency, sizeof(*sessions))) == NULL)
		err(1, NULL);
	if (load_conf.size < LOAD_SIZE_MIN)
		errx(1, "a message has %d octets at least", LOAD_SIZE_MIN);
	load_content_make();
	if (load_conf.tls)
		load_tls_prepare();
}

/* One full handshake in front of the others, which is not counted. */
static void
get_ticket(void)
{
	struct load_conf	saved = load_conf;

	load_conf.messages = 0;
	run(1);
	load_conf = saved;
	if (!load_tls_has_ticket())
		errx(1, "no ticket from the server");
	memset(&load_totals, 0, sizeof(load_totals));
	started = 0;
}

static void
usage(void)
{
	(void)fprintf(stderr, "usage: load [-2bEijPqRTw] -c address -p port "
	    "[-C concurrency]\n            [-m messages] [-n sessions] "
	    "[-r recipients] [-S sessions]\n            [-s size] "
	    "[-t seconds]\n");
	exit(1);
}

/* Those without an argument.  Returns -1 for others. */
static int
set_flag(int ch)
{
	switch (ch) {
	case '2':
		load_conf.tls12 = 1;
		return 0;
	case 'b':
		load_conf.bdat = 1;
		return 0;
	case 'E':
		load_conf.ehlo_twice = 1;
		return 0;
	case 'i':
		load_conf.idle = 1;
		return 0;
	case 'j':
		as_json = 1;
		return 0;
	case 'P':
		load_conf.pipeline = 1;
		return 0;
	case 'q':
		load_conf.quickack = 1;
		return 0;
	case 'R':
		load_conf.resume = 1;
		return 0;
	case 'T':
		load_conf.tls = 1;
		return 0;
	case 'w':
		is_waiting = 1;
		return 0;
	default:
		return -1;
	}
}

static void
set_options(int argc, char *argv[], const char **address, const char **port)
{
	static const char	 options[] = "2bC:c:Eijm:n:Pp:qRr:S:s:Tt:w";
	struct load_conf	*lc = &load_conf;
	int			 ch;

	while ((ch = getopt(argc, argv, options)) != -1) {
		switch (ch) {
		case 'C':
			lc->concurrency = tool_number(optarg, 1, 1000000);
			break;
		case 'c':
			*address = optarg;
			break;
		case 'm':
			lc->messages = tool_number(optarg, 0, 1000000);
			break;
		case 'n':
			lc->sessions = tool_number(optarg, 1, 100000000);
			break;
		case 'p':
			*port = optarg;
			break;
		case 'r':
			lc->recipients = tool_number(optarg, 1, 100000);
			break;
		case 'S':
			lc->starting = tool_number(optarg, 1, 1000000);
			break;
		case 's':
			lc->size = tool_number(optarg, LOAD_SIZE_MIN,
			    1000000000);
			break;
		case 't':
			lc->timeout_s = tool_number(optarg, 1, 86400);
			break;
		default:
			if (set_flag(ch) == -1)
				usage();
		}
	}
	if (optind != argc || *address == NULL || *port == NULL ||
	    ((lc->resume || lc->tls12) && !lc->tls) ||
	    (lc->tls && lc->ehlo_twice) || (lc->idle && (lc->resume ||
	    is_waiting)))
		usage();
	lc->ehlo = lc->messages > 0 || lc->ehlo_twice || lc->idle ||
	    lc->tls || is_waiting;
}

int
main(int argc, char *argv[])
{
	const char	*address = NULL, *port = NULL;
	int64_t		 began;
	double		 seconds;

	set_options(argc, argv, &address, &port);
	prepare(address, port);
	if (load_conf.resume)
		get_ticket();
	began = tool_now_us();
	if (is_waiting) {
		load_conf.idle = 1;
		run(load_conf.sessions < load_conf.concurrency ?
		    load_conf.sessions : load_conf.concurrency);
		release();
	}
	run(load_conf.sessions);
	seconds = (double)(tool_now_us() - began) / 1e6;
	if (load_conf.idle)
		hold();
	if (as_json)
		report_json(seconds);
	else
		report(seconds);
	return load_totals.messages_failed > 0 ||
	    load_totals.sessions_failed > 0 || (load_conf.resume &&
	    load_totals.resumed != load_totals.sessions_ok);
}
