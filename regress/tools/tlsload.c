/*
 * tlsload: SMTP sessions that do a TLS handshake and little else, for the
 * benchmark of TLS.  One process, one poll(2) loop, many sessions at once.
 *
 * usage: tlsload [-2irs] -c address -p port [-C concurrency]
 *                [-n sessions] [-t seconds]
 *
 *	-2	TLS 1.2 (else TLS 1.3)
 *	-C	sessions (-i: handshakes) at once (1)
 *	-i	idle: hold every session open behind its EHLO, say so with a
 *		line, and end when standard input does
 *	-n	sessions in all (1)
 *	-r	resume the TLS session of one handshake made before
 *	-s	the same without STARTTLS and handshake
 *	-t	seconds without progress until a session has failed (30)
 *
 * A session is: connect, greeting, EHLO, STARTTLS, handshake, EHLO, QUIT.
 * No certificate is checked; X25519 and one cipher of each version are offered
 * (and P-256, for its certificates), so that every server does the same work.
 * Segments are acknowledged at once: else a server without TCP_NODELAY waits
 * 40 ms for that where it writes twice, and is found with cold caches.
 * The result is one line of JSON, with times in milliseconds of sessions and of
 * their handshakes.  Exit 1 if one failed, or was not resumed with -r.
 */

#include <sys/types.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <netinet/in.h>
#include <netinet/tcp.h>

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/ssl.h>

#define IN_SIZE		2048
#define COMPLAINTS_MAX	10
#define SLOT_STDIN	0	/* the sessions follow */
#define SLOT_FIXED_MAX	1

enum step {
	STEP_GREETING,
	STEP_EHLO,
	STEP_STARTTLS,
	STEP_HANDSHAKE,
	STEP_EHLO_AGAIN,
	STEP_IDLE,
	STEP_QUIT
};

struct session {
	enum step	 step;
	int		 fd;
	int		 connected;
	int		 succeeded;
	short		 want;		/* what TLS waits for */
	unsigned int	 id;
	int64_t		 began_us;
	int64_t		 handshake_us;	/* its start */
	int64_t		 progress_us;
	SSL		*ssl;
	const char	*out;		/* still to be sent, or NULL */
	size_t		 in_used;
	char		 in[IN_SIZE];
};

static struct addrinfo	 *dest;
static int		  opt_idle, opt_resume, opt_tls12, opt_plain;
static unsigned int	  opt_concurrency = 1, opt_sessions = 1;
static unsigned int	  opt_timeout = 30;

static SSL_CTX		 *ctx;
static SSL_SESSION	 *ticket;	/* what -r resumes */
static struct session	**sessions;	/* by slot, as pfds */
static struct pollfd	 *pfds;
static size_t		  nslots = SLOT_FIXED_MAX;
static unsigned int	  nstarted, nidle, nok, nfailed, nresumed;
static unsigned int	  nhandshakes, ncomplaints;
static uint32_t		 *session_us, *handshake_us;

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
	if (++ncomplaints <= COMPLAINTS_MAX)
		warnx("session %u, step %d: %s %s", s->id, (int)s->step, what,
		    detail == NULL ? "" : detail);
}

static uint32_t
took(int64_t since_us)
{
	int64_t	us = now_us() - since_us;

	return us > UINT32_MAX ? UINT32_MAX : (uint32_t)us;
}

/* The ticket of a TLS 1.3 server comes behind the handshake. */
static int
on_new_session(SSL *ssl, SSL_SESSION *new)
{
	(void)ssl;
	if (!opt_resume || ticket != NULL)
		return 0;
	ticket = new;
	return 1;
}

static void
tls_prepare(void)
{
	int	version = opt_tls12 ? TLS1_2_VERSION : TLS1_3_VERSION;

	if ((ctx = SSL_CTX_new(TLS_client_method())) == NULL ||
	    SSL_CTX_set_min_proto_version(ctx, version) != 1 ||
	    SSL_CTX_set_max_proto_version(ctx, version) != 1 ||
	    SSL_CTX_set_ciphersuites(ctx, "TLS_AES_128_GCM_SHA256") != 1 ||
	    SSL_CTX_set_cipher_list(ctx, "ECDHE-RSA-AES128-GCM-SHA256:"
	    "ECDHE-ECDSA-AES128-GCM-SHA256") != 1 ||
	    SSL_CTX_set1_groups_list(ctx, "X25519:P-256") != 1)
		errx(1, "%s", ERR_error_string(ERR_get_error(), NULL));
	(void)SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS |
	    SSL_MODE_ENABLE_PARTIAL_WRITE);
	(void)SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT |
	    SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(ctx, on_new_session);
}

/* Returns 0 if the call is to be made again, else -1. */
static int
tls_again(struct session *s, int rc)
{
	unsigned long	code;

	switch (SSL_get_error(s->ssl, rc)) {
	case SSL_ERROR_WANT_READ:
		s->want = POLLIN;
		return 0;
	case SSL_ERROR_WANT_WRITE:
		s->want = POLLOUT;
		return 0;
	case SSL_ERROR_ZERO_RETURN:
		complain(s, "TLS was closed", NULL);
		return -1;
	default:
		code = ERR_get_error();
		complain(s, "TLS:", code == 0 ? "connection lost" :
		    ERR_reason_error_string(code));
		return -1;
	}
}

/* A copy: of its own accord the library uses a TLS 1.3 ticket but once. */
static void
session_resume(struct session *s)
{
	SSL_SESSION	*copy;

	if ((copy = SSL_SESSION_dup(ticket)) == NULL ||
	    SSL_set_session(s->ssl, copy) != 1)
		errx(1, "the ticket can't be used");
	SSL_SESSION_free(copy);
}

static int
session_tls(struct session *s)
{
	s->step = STEP_HANDSHAKE;
	s->handshake_us = now_us();
	if (s->in_used != 0) {
		complain(s, "octets behind the reply to STARTTLS", NULL);
		return -1;
	}
	if ((s->ssl = SSL_new(ctx)) == NULL || SSL_set_fd(s->ssl, s->fd) != 1)
		errx(1, "no memory for TLS");
	if (ticket != NULL)
		session_resume(s);
	SSL_set_connect_state(s->ssl);
	s->want = POLLOUT;
	return 0;
}

/* Returns 1 when done, 0 when it has to wait, else -1. */
static int
session_handshake(struct session *s)
{
	int	rc;

	ERR_clear_error();
	if ((rc = SSL_do_handshake(s->ssl)) != 1)
		return tls_again(s, rc);
	handshake_us[nhandshakes++] = took(s->handshake_us);
	if (SSL_session_reused(s->ssl))
		nresumed++;
	s->step = STEP_EHLO_AGAIN;
	s->out = "EHLO client.example\r\n";
	return 1;
}

/* All is said that had to be. */
static void
session_ready(struct session *s)
{
	if (opt_idle) {
		s->step = STEP_IDLE;
		nidle++;
		return;
	}
	s->step = STEP_QUIT;
	s->out = "QUIT\r\n";
}

/* The reply was the right one: what comes next. */
static int
session_advance(struct session *s)
{
	switch (s->step) {
	case STEP_GREETING:
		s->step = STEP_EHLO;
		s->out = "EHLO client.example\r\n";
		break;
	case STEP_EHLO:
		if (opt_plain) {
			s->step = STEP_EHLO_AGAIN;
			s->out = "EHLO client.example\r\n";
			break;
		}
		s->step = STEP_STARTTLS;
		s->out = "STARTTLS\r\n";
		break;
	case STEP_STARTTLS:
		return session_tls(s);
	case STEP_EHLO_AGAIN:
		session_ready(s);
		break;
	case STEP_QUIT:
		session_us[nok++] = took(s->began_us);
		s->succeeded = 1;
		return -1;
	case STEP_HANDSHAKE:
	case STEP_IDLE:
		return -1;
	}
	return 0;
}

/* What is in the buffer up to the last line of a reply, if it is there. */
static int
session_replies(struct session *s)
{
	const char	*wants = "250";
	char		*line = s->in, *end;
	size_t		 left = s->in_used, len;

	if (s->step == STEP_GREETING || s->step == STEP_STARTTLS)
		wants = "220";
	else if (s->step == STEP_QUIT)
		wants = "221";
	while ((end = memmem(line, left, "\r\n", 2)) != NULL) {
		*end = '\0';
		len = (size_t)(end + 2 - line);
		left -= len;
		if (strncmp(line, wants, 3) != 0 || s->step == STEP_IDLE) {
			complain(s, "reply:", line);
			return -1;
		}
		if (line[3] == '-') {
			line += len;
			continue;
		}
		memmove(s->in, line + len, left);
		s->in_used = left;
		return session_advance(s);
	}
	memmove(s->in, line, left);
	s->in_used = left;
	return 0;
}

/* Returns octets read, 0 when there are none yet, else -1. */
static int
session_read(struct session *s)
{
	size_t	room = IN_SIZE - s->in_used;
	ssize_t	n;
	int	on = 1;

	/* It lasts for a while only.  Without it nginx is asleep mostly. */
	(void)setsockopt(s->fd, IPPROTO_TCP, TCP_QUICKACK, &on, sizeof(on));
	if (s->ssl != NULL) {
		ERR_clear_error();
		n = SSL_read(s->ssl, s->in + s->in_used, (int)room);
		if (n <= 0)
			return tls_again(s, (int)n);
	} else {
		n = read(s->fd, s->in + s->in_used, room);
		if (n == -1 && (errno == EAGAIN || errno == EINTR))
			return 0;
		if (n <= 0) {
			complain(s, "connection lost",
			    n == 0 ? NULL : strerror(errno));
			return -1;
		}
	}
	s->in_used += (size_t)n;
	return (int)n;
}

static int
session_write(struct session *s)
{
	ssize_t	n;
	size_t	len = strlen(s->out);

	if (s->ssl != NULL) {
		ERR_clear_error();
		n = SSL_write(s->ssl, s->out, (int)len);
		if (n <= 0)
			return tls_again(s, (int)n);
	} else {
		n = write(s->fd, s->out, len);
		if (n == -1 && (errno == EAGAIN || errno == EINTR)) {
			s->want = POLLOUT;
			return 0;
		}
		if (n == -1) {
			complain(s, "write", strerror(errno));
			return -1;
		}
	}
	s->out = (size_t)n == len ? NULL : s->out + n;
	s->want = POLLIN;
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
	s->want = POLLIN;
	return 0;
}

/* Go on as far as the socket lets us.  Returns -1 when the session ends. */
static int
session_run(struct session *s)
{
	int	rc;

	if (!s->connected)
		return session_connected(s);
	for (;;) {
		if (s->step == STEP_HANDSHAKE) {
			if ((rc = session_handshake(s)) != 1)
				return rc;
		}
		if (s->out != NULL) {
			if (session_write(s) == -1)
				return -1;
			if (s->out != NULL)
				return 0;
		}
		if ((rc = session_read(s)) <= 0)
			return rc;
		if (session_replies(s) == -1)
			return -1;
	}
}

static void
session_end(size_t slot)
{
	struct session	*s = sessions[slot];

	if (!s->succeeded)
		nfailed++;
	if (s->step == STEP_IDLE)
		nidle--;
	/* No half goodbye: it would make the ticket one to be thrown away. */
	if (s->ssl != NULL)
		SSL_set_shutdown(s->ssl,
		    SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
	SSL_free(s->ssl);
	(void)close(s->fd);
	free(s);
	nslots--;
	sessions[slot] = sessions[nslots];
	pfds[slot] = pfds[nslots];
}

static void
session_start(void)
{
	struct session	*s;
	size_t		 slot = nslots++;
	int		 on = 1;

	if ((s = calloc(1, sizeof(*s))) == NULL)
		err(1, NULL);
	s->id = ++nstarted;
	s->began_us = s->progress_us = now_us();
	if ((s->fd = socket(dest->ai_family, SOCK_STREAM, 0)) == -1)
		err(1, "socket");
	if (fcntl(s->fd, F_SETFL, O_NONBLOCK) == -1)
		err(1, "fcntl");
	(void)setsockopt(s->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	sessions[slot] = s;
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

	s->progress_us = now_us();
	if (session_run(s) == -1) {
		session_end(slot);
		return;
	}
	pfds[slot].events = s->want;
}

static void
expire(void)
{
	int64_t	since = now_us() - (int64_t)opt_timeout * 1000000;
	size_t	slot;

	for (slot = nslots; slot-- > SLOT_FIXED_MAX;) {
		if (sessions[slot]->step != STEP_IDLE &&
		    sessions[slot]->progress_us < since) {
			complain(sessions[slot], "no progress", NULL);
			session_end(slot);
		}
	}
}

/* Idle sessions are beside those that are still on their way. */
static size_t
busy(void)
{
	return nslots - SLOT_FIXED_MAX - nidle;
}

static void
poll_once(void)
{
	size_t	slot;

	if (poll(pfds, (nfds_t)nslots, 1000) == -1) {
		if (errno == EINTR)
			return;
		err(1, "poll");
	}
	/* Backwards: the last slot takes the place of a closed one. */
	for (slot = nslots; slot-- > SLOT_FIXED_MAX;)
		if (pfds[slot].revents != 0)
			slot_serve(slot);
}

static void
run(unsigned int total)
{
	int64_t	next = now_us() + 1000000;

	for (;;) {
		while (busy() < opt_concurrency && nstarted < total)
			session_start();
		if (busy() == 0)
			return;
		poll_once();
		if (now_us() >= next) {
			expire();
			next = now_us() + 1000000;
		}
	}
}

/* Until our standard input ends.  What a server closes meanwhile failed. */
static void
hold(void)
{
	printf("{\"idle\": %u, \"failed\": %u}\n", nidle, nfailed);
	(void)fflush(stdout);
	pfds[SLOT_STDIN].fd = STDIN_FILENO;
	pfds[SLOT_STDIN].events = POLLIN;
	do
		poll_once();
	while (pfds[SLOT_STDIN].revents == 0);
	nok = nidle;
}

static int
compare(const void *a, const void *b)
{
	uint32_t	x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

static double
percentile_ms(const uint32_t *us, size_t n, size_t percent)
{
	return n == 0 ? 0 : us[(n - 1) * percent / 100] / 1000.0;
}

static void
report(int64_t took_us)
{
	qsort(session_us, nok, sizeof(*session_us), compare);
	qsort(handshake_us, nhandshakes, sizeof(*handshake_us), compare);
	if (ncomplaints > COMPLAINTS_MAX)
		warnx("%u complaints more", ncomplaints - COMPLAINTS_MAX);
	printf("{\"ok\": %u, \"failed\": %u, \"resumed\": %u, "
	    "\"seconds\": %.6f, \"p50_ms\": %.3f, \"p99_ms\": %.3f, "
	    "\"handshake_p50_ms\": %.3f, \"handshake_p99_ms\": %.3f}\n",
	    nok, nfailed, nresumed, (double)took_us / 1e6,
	    percentile_ms(session_us, nok, 50),
	    percentile_ms(session_us, nok, 99),
	    percentile_ms(handshake_us, nhandshakes, 50),
	    percentile_ms(handshake_us, nhandshakes, 99));
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
	size_t		total = (size_t)opt_sessions + 1;
	int		error;

	memset(&hints, 0, sizeof(hints));
	hints.ai_socktype = SOCK_STREAM;
	hints.ai_flags = AI_NUMERICHOST;
	if ((error = getaddrinfo(address, port, &hints, &dest)) != 0)
		errx(1, "%s port %s: %s", address, port, gai_strerror(error));
	if (getrlimit(RLIMIT_NOFILE, &rl) == 0) {
		rl.rlim_cur = rl.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &rl);
	}
	(void)signal(SIGPIPE, SIG_IGN);
	session_us = calloc(total, sizeof(*session_us));
	handshake_us = calloc(total, sizeof(*handshake_us));
	sessions = calloc(total + SLOT_FIXED_MAX, sizeof(*sessions));
	pfds = calloc(total + SLOT_FIXED_MAX, sizeof(*pfds));
	if (session_us == NULL || handshake_us == NULL || sessions == NULL ||
	    pfds == NULL)
		err(1, NULL);
	pfds[SLOT_STDIN].fd = -1;
	tls_prepare();
}

/* One full handshake in front of the others, which is not counted. */
static void
get_ticket(void)
{
	run(1);
	if (nok != 1 || ticket == NULL)
		errx(1, "no ticket from the server");
	nstarted = nok = nhandshakes = 0;
}

static void
usage(void)
{
	(void)fprintf(stderr, "usage: tlsload [-2irs] -c address -p port "
	    "[-C concurrency]\n               [-n sessions] [-t seconds]\n");
	exit(1);
}

int
main(int argc, char *argv[])
{
	const char	*address = NULL, *port = NULL;
	int64_t		 began;
	int		 ch;

	while ((ch = getopt(argc, argv, "2C:c:in:p:rst:")) != -1) {
		switch (ch) {
		case '2':
			opt_tls12 = 1;
			break;
		case 'C':
			opt_concurrency = number(optarg, 1, 100000);
			break;
		case 'c':
			address = optarg;
			break;
		case 'i':
			opt_idle = 1;
			break;
		case 'n':
			opt_sessions = number(optarg, 1, 10000000);
			break;
		case 'p':
			port = optarg;
			break;
		case 'r':
			opt_resume = 1;
			break;
		case 's':
			opt_plain = 1;
			break;
		case 't':
			opt_timeout = number(optarg, 1, 3600);
			break;
		default:
			usage();
		}
	}
	if (optind != argc || address == NULL || port == NULL ||
	    (opt_resume && (opt_idle || opt_plain)))
		usage();
	prepare(address, port);
	if (opt_resume)
		get_ticket();
	began = now_us();
	run(opt_sessions);
	began = now_us() - began;
	if (opt_idle)
		hold();
	report(began);
	return nfailed > 0 || (opt_resume && nresumed != nok);
}
