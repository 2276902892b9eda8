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
 * sum of its content.  It ended
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

#include "soakload.h"

#include <arpa/inet.h>

#include <err.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tool_util.h"

#define REPORT_MS	1000
#define START_MS	5		/* between looks for a free place */

struct soakload	soakload = { .seed = 1, .tag = "m" };

static unsigned int	  opt_concurrency = 64, opt_seconds = 10;
static unsigned int	  opt_rate = 200;
static struct soakload_session **sessions;	/* by slot, as pfds */
static struct pollfd	 *pfds;
static size_t		  nslots;
static uint64_t		  nstarted;

static void
read_clock(void)
{
	soakload.now_ms = tool_now_us() / 1000;
}

static void
report(void)
{
	const struct soakload	*l = &soakload;

	printf("{\"sessions\": %llu, \"open\": %zu, \"messages\": %llu, "
	    "\"acknowledged\": %llu, \"refused\": %llu, \"aborted\": %llu, "
	    "\"octets\": %llu, \"handshakes\": %llu, \"resumed\": %llu, "
	    "\"complaints\": %llu}\n", (unsigned long long)l->nended, nslots,
	    (unsigned long long)l->nmessages,
	    (unsigned long long)l->nacknowledged,
	    (unsigned long long)l->nrefused,
	    (unsigned long long)l->naborted,
	    (unsigned long long)l->noctets,
	    (unsigned long long)l->nhandshakes,
	    (unsigned long long)l->nresumed,
	    (unsigned long long)l->ncomplaints);
	(void)fflush(stdout);
}

static void
slot_serve(size_t slot)
{
	struct soakload_session	*s = sessions[slot];

	if (!s->is_over)
		soakload_session_serve(s, pfds[slot].revents);
	if (!s->is_over) {
		pfds[slot].events = soakload_session_events(s);
		return;
	}
	soakload_session_free(s);
	nslots--;
	sessions[slot] = sessions[nslots];
	pfds[slot] = pfds[nslots];
}

/* As many as there is room for, and time has passed for. */
static void
start_some(int64_t start_ms)
{
	while (nslots < opt_concurrency && (int64_t)nstarted * 1000 <
	    (soakload.now_ms - start_ms + 1) * opt_rate) {
		sessions[nslots] = soakload_session_new((uint32_t)++nstarted);
		pfds[nslots].fd = sessions[nslots]->stream.fd;
		pfds[nslots].events = POLLOUT;
		pfds[nslots].revents = 0;
		nslots++;
	}
}

static int
poll_ms(int64_t report_ms)
{
	int64_t	wake = report_ms;
	size_t	slot;

	for (slot = 0; slot < nslots; slot++)
		if (sessions[slot]->wake_ms < wake)
			wake = sessions[slot]->wake_ms;
	if (nslots < opt_concurrency && !soakload.is_stopping &&
	    wake > soakload.now_ms + START_MS)
		wake = soakload.now_ms + START_MS;
	return wake > soakload.now_ms ? (int)(wake - soakload.now_ms) : 0;
}

static void
run(void)
{
	int64_t	start_ms, report_ms;
	size_t	slot;

	read_clock();
	start_ms = soakload.now_ms;
	report_ms = start_ms + REPORT_MS;
	for (;;) {
		if (soakload.now_ms - start_ms >= (int64_t)opt_seconds * 1000)
			soakload.is_stopping = 1;
		if (!soakload.is_stopping)
			start_some(start_ms);
		else if (nslots == 0)
			return;
		if (poll(pfds, (nfds_t)nslots, poll_ms(report_ms)) == -1 &&
		    errno != EINTR)
			err(1, "poll");
		read_clock();
		/* Backwards: the last slot takes the place of a closed one. */
		for (slot = nslots; slot-- > 0;)
			slot_serve(slot);
		if (soakload.now_ms >= report_ms) {
			report();
			report_ms = soakload.now_ms + REPORT_MS;
		}
	}
}

static void
on_signal(int sig)
{
	(void)sig;
	soakload.is_stopping = 1;
}

static void
prepare(const char *path)
{
	tool_prepare();
	(void)signal(SIGTERM, on_signal);
	if ((soakload.journal = fopen(path, "w")) == NULL)
		err(1, "%s", path);
	sessions = calloc(opt_concurrency, sizeof(*sessions));
	pfds = calloc(opt_concurrency, sizeof(*pfds));
	if (sessions == NULL || pfds == NULL)
		err(1, NULL);
	soakload_store_make(&soakload.store);
	soakload_session_prepare();
}

static void
add_target(int is_implicit, const char *text)
{
	uint32_t	n = soakload.ntargets[is_implicit];

	if (n == PORTS_MAX)
		errx(1, "%s: too many ports", text);
	soakload.targets[is_implicit][n].port =
	    (uint16_t)tool_number(text, 1, 65535);
	soakload.ntargets[is_implicit]++;
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
			opt_concurrency = tool_number(optarg, 1, 10000);
			break;
		case 'c':
			if (inet_pton(AF_INET, optarg,
			    &soakload.address) != 1)
				errx(1, "%s: no address", optarg);
			has_address = 1;
			break;
		case 'd':
			opt_seconds = tool_number(optarg, 1, 1000000);
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
			opt_rate = tool_number(optarg, 1, 100000);
			break;
		case 's':
			soakload.seed = tool_number(optarg, 0, UINT32_MAX);
			break;
		case 't':
			soakload.tag = optarg;
			break;
		default:
			usage();
		}
	}
	if (optind != argc || path == NULL || !has_address ||
	    soakload.ntargets[0] == 0 || strlen(soakload.tag) > 8)
		usage();
	prepare(path);
	run();
	report();
	if (fclose(soakload.journal) != 0)
		err(1, "%s", path);
	return soakload.ncomplaints > 0;
}
