/*
 * load: a load generator that speaks SMTP and checks every reply.  For tests
 * and benchmarks: one process, one poll(2) loop, many sessions at once.
 *
 * usage: load [-bP] -c address -p port [-C concurrency] [-m messages]
 *             [-n sessions] [-r recipients] [-s size] [-t seconds]
 *
 *	-b	BDAT in the place of DATA
 *	-C	sessions at once (1)
 *	-m	messages in each session (1)
 *	-n	sessions in all (1)
 *	-P	pipeline the envelope; with -b all of the message, too
 *	-r	recipients of each message (1)
 *	-s	octets of each message (1000)
 *	-t	seconds without progress until a session has failed (60)
 *
 * Every message begins with an X-Load-Id header of its own, and holds lines
 * that begin with dots.  A session ends at the first reply that is not what
 * it has to be, and the messages it had left count as failed.  A message's
 * latency is the time from MAIL to its final reply.  Exit 1 if any failed.
 */

#include <sys/types.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <netinet/in.h>
#include <netinet/tcp.h>

#include <ctype.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netdb.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

#define IN_SIZE		8192
#define HEAD_SIZE	160	/* id header, other headers, empty line */
#define COMPLAINTS_MAX	10
#define SIZE_MIN	256

/* What the next reply answers. */
enum step {
	STEP_GREETING,
	STEP_EHLO,
	STEP_MAIL,
	STEP_RCPT,
	STEP_DATA,
	STEP_FINAL,		/* the final dot, or the chunk */
	STEP_QUIT
};

struct session {
	enum step	 step;
	int		 fd;
	int		 connected;
	int		 pipelining;	/* offered */
	int		 chunking;
	unsigned int	 done;		/* messages accepted */
	unsigned int	 rcpt;		/* replies to RCPT still to come */
	uint64_t	 id;
	int64_t		 progress_us;
	int64_t		 began_us;	/* the message */
	size_t		 in_used;
	size_t		 iov_at;
	size_t		 niov;
	struct iovec	 iov[3];	/* what is still to be sent */
	char		*out;		/* commands and message header */
	char		 in[IN_SIZE];
};

static struct addrinfo	 *dest;
static int		  opt_bdat, opt_pipeline;
static unsigned int	  opt_concurrency = 1, opt_messages = 1;
static unsigned int	  opt_sessions = 1, opt_recipients = 1;
static unsigned int	  opt_size = 1000, opt_timeout = 60;

static struct session	**sessions;	/* by slot, as pfds */
static struct pollfd	 *pfds;
static size_t		  nslots;
static size_t		  out_size;	/* of a session's out */
static char		 *body;		/* behind the headers, as it is sent */
static size_t		  body_len;
static unsigned int	  started;
static uint64_t		  nok, nfailed, ncomplaints;
static uint32_t		 *latency_us;
static char		  run_id[32];	/* no other run has it */

static int64_t
now_us(void)
{
	struct timespec	ts;

	if (clock_gettime(CLOCK_MONOTONIC, &ts) == -1)
		err(1, "clock_gettime");
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

static void
complain(const struct session *s, const char *what, const char *detail)
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

/*
 * The octets behind the headers.  Every tenth line begins with a dot.  With
 * DATA that dot is sent twice, and the final dot belongs to the body.
 */
static void
body_make(void)
{
	size_t		 want = opt_size - HEAD_SIZE, made = 0, len, i;
	unsigned int	 n = 0;

	if ((body = malloc(want * 2 + 8)) == NULL)
		err(1, NULL);
	while (made < want) {
		/* No rest of one octet: a line needs its CRLF. */
		len = want - made;
		if (len > 78)
			len = len < 80 ? 70 : 78;
		if (n++ % 10 == 9 && len > 2) {
			if (!opt_bdat)
				body[body_len++] = '.';
			body[body_len++] = '.';
		} else if (len > 2)
			body[body_len++] = 'x';
		for (i = 1; i + 2 < len; i++)
			body[body_len++] = (char)('a' + (i + n) % 26);
		memcpy(body + body_len, "\r\n", 2);
		body_len += 2;
		made += len;
	}
	if (!opt_bdat) {
		memcpy(body + body_len, ".\r\n", 3);
		body_len += 3;
	}
}

/* The headers, HEAD_SIZE octets for every message. */
static void
head_make(const struct session *s, char *to)
{
	static const char	*fields =
	    "From: <load@client.example>\r\nTo: <user@test.example>\r\n"
	    "X-Fill: ";
	int			 len;
	size_t			 n;

	len = snprintf(to, HEAD_SIZE, "X-Load-Id: %s-%08llu-%06u\r\n%s",
	    run_id, (unsigned long long)s->id, s->done, fields);
	if (len < 0 || len > HEAD_SIZE - 4)
		errx(1, "headers too long");
	n = (size_t)len;
	while (n < HEAD_SIZE - 4)
		to[n++] = '-';
	memcpy(to + n, "\r\n\r\n", 4);
}

/* Queue text behind what is in out already. */
static void
queue_text(struct session *s, const char *text, size_t len)
{
	if (s->niov == 0) {
		s->iov_at = 0;
		s->iov[0].iov_base = s->out;
		s->iov[0].iov_len = 0;
		s->niov = 1;
	}
	memcpy((char *)s->iov[0].iov_base + s->iov[0].iov_len, text, len);
	s->iov[0].iov_len += len;
}

static void
queue_line(struct session *s, const char *text)
{
	queue_text(s, text, strlen(text));
	queue_text(s, "\r\n", 2);
}

static void
queue_content(struct session *s)
{
	char	head[HEAD_SIZE];

	head_make(s, head);
	queue_text(s, head, sizeof(head));
	s->iov[1].iov_base = body;
	s->iov[1].iov_len = body_len;
	s->niov = 2;
}

static void
queue_chunk(struct session *s)
{
	char	line[64];

	(void)snprintf(line, sizeof(line), "BDAT %u LAST", opt_size);
	queue_line(s, line);
	queue_content(s);
}

static void
queue_rcpt(struct session *s, unsigned int n)
{
	char	line[80];

	(void)snprintf(line, sizeof(line), "RCPT TO:<user%u@test.example>", n);
	queue_line(s, line);
}

static void
message_begin(struct session *s)
{
	unsigned int	n;

	s->began_us = now_us();
	s->step = STEP_MAIL;
	s->rcpt = opt_recipients;
	queue_line(s, "MAIL FROM:<load@client.example>");
	if (!opt_pipeline)
		return;
	for (n = 1; n <= opt_recipients; n++)
		queue_rcpt(s, n);
	if (opt_bdat)
		queue_chunk(s);
	else
		queue_line(s, "DATA");
}

static void
message_accepted(struct session *s)
{
	int64_t	took = now_us() - s->began_us;

	latency_us[nok++] = took > UINT32_MAX ? UINT32_MAX : (uint32_t)took;
	s->done++;
	if (s->done < opt_messages) {
		message_begin(s);
		return;
	}
	s->step = STEP_QUIT;
	queue_line(s, "QUIT");
}

static void
step_rcpt_done(struct session *s)
{
	if (opt_bdat) {
		s->step = STEP_FINAL;
		if (!opt_pipeline)
			queue_chunk(s);
		return;
	}
	s->step = STEP_DATA;
	if (!opt_pipeline)
		queue_line(s, "DATA");
}

static int
step_ehlo(struct session *s)
{
	if (opt_pipeline && !s->pipelining) {
		complain(s, "no PIPELINING offered", "");
		return -1;
	}
	if (opt_bdat && !s->chunking) {
		complain(s, "no CHUNKING offered", "");
		return -1;
	}
	message_begin(s);
	return 0;
}

/* The reply was the right one: what comes next. */
static int
session_advance(struct session *s)
{
	switch (s->step) {
	case STEP_GREETING:
		s->step = STEP_EHLO;
		queue_line(s, "EHLO client.example");
		break;
	case STEP_EHLO:
		return step_ehlo(s);
	case STEP_MAIL:
		s->step = STEP_RCPT;
		if (!opt_pipeline)
			queue_rcpt(s, 1);
		break;
	case STEP_RCPT:
		if (--s->rcpt == 0)
			step_rcpt_done(s);
		else if (!opt_pipeline)
			queue_rcpt(s, opt_recipients - s->rcpt + 1);
		break;
	case STEP_DATA:
		s->step = STEP_FINAL;
		queue_content(s);
		break;
	case STEP_FINAL:
		message_accepted(s);
		break;
	case STEP_QUIT:
		return -1;
	}
	return 0;
}

static const char *
step_wants(enum step step)
{
	switch (step) {
	case STEP_GREETING:
		return "220";
	case STEP_DATA:
		return "354";
	case STEP_QUIT:
		return "221";
	default:
		return "250";
	}
}

/* One line of a reply, without its CRLF. */
static int
session_line(struct session *s, char *line)
{
	if (strncmp(line, step_wants(s->step), 3) != 0 ||
	    (line[3] != ' ' && line[3] != '-' && line[3] != '\0')) {
		complain(s, "unexpected reply", line);
		return -1;
	}
	/* Replies that slip by one come before what they should answer. */
	if (s->niov > 0 && s->iov_at == 0 && s->iov[0].iov_base == s->out) {
		complain(s, "reply to a command not sent yet", line);
		return -1;
	}
	/* An early final reply would be a lie: the message is not out. */
	if (s->step == STEP_FINAL && line[3] != '-' && s->niov != 0) {
		complain(s, "reply before the end of the message", line);
		return -1;
	}
	if (s->step == STEP_EHLO && strlen(line) > 4) {
		if (strcasecmp(line + 4, "PIPELINING") == 0)
			s->pipelining = 1;
		if (strcasecmp(line + 4, "CHUNKING") == 0)
			s->chunking = 1;
	}
	if (line[3] == '-')
		return 0;
	return session_advance(s);
}

static int
session_read(struct session *s)
{
	char	*line, *end;
	ssize_t	 n;
	size_t	 left;

	n = read(s->fd, s->in + s->in_used, IN_SIZE - s->in_used);
	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n <= 0) {
		complain(s, "connection lost", n == 0 ? "" : strerror(errno));
		return -1;
	}
	s->in_used += (size_t)n;
	line = s->in;
	left = s->in_used;
	while ((end = memmem(line, left, "\r\n", 2)) != NULL) {
		*end = '\0';
		if (session_line(s, line) == -1)
			return -1;
		left -= (size_t)(end + 2 - line);
		line = end + 2;
	}
	memmove(s->in, line, left);
	s->in_used = left;
	if (left == IN_SIZE) {
		complain(s, "endless reply line", "");
		return -1;
	}
	return 0;
}

static int
session_write(struct session *s)
{
	struct iovec	*iov;
	ssize_t		 n;

	while (s->niov > 0) {
		n = writev(s->fd, s->iov + s->iov_at,
		    (int)(s->niov - s->iov_at));
		if (n == -1) {
			if (errno == EAGAIN || errno == EINTR)
				return 0;
			complain(s, "write", strerror(errno));
			return -1;
		}
		while (n > 0) {
			iov = &s->iov[s->iov_at];
			if ((size_t)n < iov->iov_len) {
				iov->iov_base = (char *)iov->iov_base + n;
				iov->iov_len -= (size_t)n;
				break;
			}
			n -= (ssize_t)iov->iov_len;
			s->iov_at++;
		}
		if (s->iov_at == s->niov)
			s->niov = 0;
	}
	return 0;
}

static int
session_connected(struct session *s)
{
	socklen_t	len = sizeof(int);
	int		error = 0;

	if (getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &error, &len) == -1)
		error = errno;
	if (error != 0) {
		complain(s, "connect", strerror(error));
		return -1;
	}
	s->connected = 1;
	return 0;
}

/* Whatever it had not delivered counts as failed. */
static void
session_end(size_t slot)
{
	struct session	*s = sessions[slot];

	nfailed += opt_messages - s->done;
	if (s->fd != -1)
		(void)close(s->fd);
	free(s->out);
	free(s);
	nslots--;
	sessions[slot] = sessions[nslots];
	pfds[slot] = pfds[nslots];
}

static void
session_start(void)
{
	struct session	*s;
	size_t		 slot = nslots;
	int		 on = 1;

	if ((s = calloc(1, sizeof(*s))) == NULL ||
	    (s->out = malloc(out_size)) == NULL)
		err(1, NULL);
	s->id = ++started;
	s->progress_us = now_us();
	sessions[slot] = s;
	nslots++;
	if ((s->fd = socket(dest->ai_family, SOCK_STREAM, 0)) == -1)
		err(1, "socket");
	if (fcntl(s->fd, F_SETFL, O_NONBLOCK) == -1)
		err(1, "fcntl");
	(void)setsockopt(s->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	pfds[slot].fd = s->fd;
	pfds[slot].events = POLLOUT;
	pfds[slot].revents = 0;
	if (connect(s->fd, dest->ai_addr, dest->ai_addrlen) == -1 &&
	    errno != EINPROGRESS) {
		complain(s, "connect", strerror(errno));
		session_end(slot);
	}
}

static void
slot_serve(size_t slot)
{
	struct session	*s = sessions[slot];
	int		 rc = 0;

	s->progress_us = now_us();
	if (!s->connected)
		rc = session_connected(s);
	else if ((pfds[slot].revents & (POLLIN | POLLHUP | POLLERR)) != 0)
		rc = session_read(s);
	if (rc == 0)
		rc = session_write(s);
	if (rc == -1) {
		session_end(slot);
		return;
	}
	pfds[slot].events = POLLIN;
	if (s->niov > 0)
		pfds[slot].events |= POLLOUT;
}

static void
expire(void)
{
	int64_t	since = now_us() - (int64_t)opt_timeout * 1000000;
	size_t	slot;

	for (slot = nslots; slot-- > 0;) {
		if (sessions[slot]->progress_us < since) {
			complain(sessions[slot], "no progress", "");
			session_end(slot);
		}
	}
}

static void
run(void)
{
	int64_t	next = now_us() + 1000000;
	size_t	slot;

	for (;;) {
		while (nslots < opt_concurrency && started < opt_sessions)
			session_start();
		if (nslots == 0)
			return;
		if (poll(pfds, (nfds_t)nslots, 1000) == -1) {
			if (errno == EINTR)
				continue;
			err(1, "poll");
		}
		/* Backwards: the last slot takes the place of a closed one. */
		for (slot = nslots; slot-- > 0;)
			if (pfds[slot].revents != 0)
				slot_serve(slot);
		if (now_us() >= next) {
			expire();
			next = now_us() + 1000000;
		}
	}
}

static int
compare(const void *a, const void *b)
{
	uint32_t	x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

static double
percentile_ms(unsigned int percent)
{
	if (nok == 0)
		return 0;
	return latency_us[(nok - 1) * percent / 100] / 1000.0;
}

static void
report(int64_t took_us)
{
	double	seconds = (double)took_us / 1e6;

	if (nok > 0)
		qsort(latency_us, nok, sizeof(*latency_us), compare);
	if (ncomplaints > COMPLAINTS_MAX)
		(void)fprintf(stderr, "load: %llu complaints more\n",
		    (unsigned long long)(ncomplaints - COMPLAINTS_MAX));
	printf("load: ok=%llu failed=%llu seconds=%.3f rate=%.1f p50_ms=%.3f "
	    "p99_ms=%.3f max_ms=%.3f\n", (unsigned long long)nok,
	    (unsigned long long)nfailed, seconds,
	    (double)nok / (seconds > 0 ? seconds : 1), percentile_ms(50),
	    percentile_ms(99), percentile_ms(100));
}

static unsigned int
number(const char *text, unsigned int min, unsigned int max)
{
	const char	*bad;
	long long	 n;

	n = strtonum(text, min, max, &bad);
	if (bad != NULL)
		errx(1, "%s: %s", text, bad);
	return (unsigned int)n;
}

static void
prepare(const char *address, const char *port)
{
	struct addrinfo	hints;
	struct rlimit	rl;
	uint64_t	total = (uint64_t)opt_sessions * opt_messages;
	int		error;

	memset(&hints, 0, sizeof(hints));
	hints.ai_socktype = SOCK_STREAM;
	hints.ai_flags = AI_NUMERICHOST;
	if ((error = getaddrinfo(address, port, &hints, &dest)) != 0)
		errx(1, "%s port %s: %s", address, port, gai_strerror(error));
	if (total > UINT32_MAX)
		errx(1, "too many messages");
	if (getrlimit(RLIMIT_NOFILE, &rl) == 0) {
		rl.rlim_cur = rl.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &rl);
	}
	(void)signal(SIGPIPE, SIG_IGN);
	latency_us = calloc((size_t)total, sizeof(*latency_us));
	sessions = calloc(opt_concurrency, sizeof(*sessions));
	pfds = calloc(opt_concurrency, sizeof(*pfds));
	if (latency_us == NULL || sessions == NULL || pfds == NULL)
		err(1, NULL);
	/* The process id alone is not unique across namespaces. */
	(void)snprintf(run_id, sizeof(run_id), "%010llx-%08lx",
	    (unsigned long long)time(NULL), (long)getpid());
	/* The most that a session queues at once, with -P and -b. */
	out_size = 256 + HEAD_SIZE + (size_t)opt_recipients * 80;
	body_make();
}

static void
usage(void)
{
	(void)fprintf(stderr, "usage: load [-bP] -c address -p port "
	    "[-C concurrency] [-m messages]\n            [-n sessions] "
	    "[-r recipients] [-s size] [-t seconds]\n");
	exit(1);
}

int
main(int argc, char *argv[])
{
	const char	*address = NULL, *port = NULL;
	int64_t		 began;
	int		 ch;

	while ((ch = getopt(argc, argv, "bC:c:m:n:Pp:r:s:t:")) != -1) {
		switch (ch) {
		case 'b':
			opt_bdat = 1;
			break;
		case 'C':
			opt_concurrency = number(optarg, 1, 1000000);
			break;
		case 'c':
			address = optarg;
			break;
		case 'm':
			opt_messages = number(optarg, 1, 1000000);
			break;
		case 'n':
			opt_sessions = number(optarg, 1, 100000000);
			break;
		case 'P':
			opt_pipeline = 1;
			break;
		case 'p':
			port = optarg;
			break;
		case 'r':
			opt_recipients = number(optarg, 1, 100000);
			break;
		case 's':
			opt_size = number(optarg, SIZE_MIN, 1000000000);
			break;
		case 't':
			opt_timeout = number(optarg, 1, 86400);
			break;
		default:
			usage();
		}
	}
	if (optind != argc || address == NULL || port == NULL)
		usage();
	prepare(address, port);
	began = now_us();
	run();
	report(now_us() - began);
	return nfailed > 0;
}
