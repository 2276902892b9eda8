/*
 * load: the dialogue of one session.  Every reply is checked, and none may
 * come before what it answers.
 */
#include "load.h"

#include <sys/socket.h>

#include <netinet/in.h>
#include <netinet/tcp.h>

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "tool_util.h"

/* The most at once: an envelope and a message's headers, with -P and -b. */
size_t
load_session_out_size(void)
{
	return 256 + LOAD_HEAD_SIZE + (size_t)load_conf.recipients * 80;
}

/* Queue text behind what is in out already. */
static void
queue_text(struct load_session *s, const char *text, size_t len)
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
queue_line(struct load_session *s, const char *text)
{
	queue_text(s, text, strlen(text));
	queue_text(s, "\r\n", 2);
}

static void
queue_content(struct load_session *s)
{
	char	head[LOAD_HEAD_SIZE];

	load_content_head(s, head);
	queue_text(s, head, sizeof(head));
	load_content_body(&s->iov[1]);
	s->niov = 2;
}

static void
queue_chunk(struct load_session *s)
{
	char	line[64];

	(void)snprintf(line, sizeof(line), "BDAT %u LAST", load_conf.size);
	queue_line(s, line);
	queue_content(s);
}

static void
queue_rcpt(struct load_session *s, unsigned int n)
{
	char	line[80];

	(void)snprintf(line, sizeof(line), "RCPT TO:<user%u@test.example>", n);
	queue_line(s, line);
}

void
load_session_quit(struct load_session *s)
{
	s->step = STEP_QUIT;
	queue_line(s, "QUIT");
}

static void
say_ehlo(struct load_session *s, enum load_step step)
{
	s->step = step;
	s->pipelining = s->chunking = 0;
	queue_line(s, "EHLO client.example");
}

static void
message_begin(struct load_session *s)
{
	unsigned int	n;

	s->message_us = tool_now_us();
	s->step = STEP_MAIL;
	s->rcpt = load_conf.recipients;
	queue_line(s, "MAIL FROM:<load@client.example>");
	if (!load_conf.pipeline)
		return;
	for (n = 1; n <= load_conf.recipients; n++)
		queue_rcpt(s, n);
	if (load_conf.bdat)
		queue_chunk(s);
	else
		queue_line(s, "DATA");
}

void
load_session_go(struct load_session *s)
{
	if (s->done < load_conf.messages)
		message_begin(s);
	else
		load_session_quit(s);
}

static void
step_rcpt_done(struct load_session *s)
{
	if (load_conf.bdat) {
		s->step = STEP_FINAL;
		if (!load_conf.pipeline)
			queue_chunk(s);
		return;
	}
	s->step = STEP_DATA;
	if (!load_conf.pipeline)
		queue_line(s, "DATA");
}

/* The last EHLO was answered. */
static int
session_ready(struct load_session *s)
{
	if (load_conf.pipeline && !s->pipelining) {
		load_complain(s, "no PIPELINING offered", "");
		return -1;
	}
	if (load_conf.bdat && !s->chunking) {
		load_complain(s, "no CHUNKING offered", "");
		return -1;
	}
	if (load_conf.idle)
		s->step = STEP_IDLE;
	else
		load_session_go(s);
	return 0;
}

static int
step_ehlo(struct load_session *s)
{
	if (load_conf.tls) {
		s->step = STEP_STARTTLS;
		queue_line(s, "STARTTLS");
		return 0;
	}
	if (!load_conf.ehlo_twice)
		return session_ready(s);
	say_ehlo(s, STEP_EHLO_AGAIN);
	return 0;
}

/* The reply was the right one: what comes next. */
static int
session_advance(struct load_session *s)
{
	switch (s->step) {
	case STEP_GREETING:
		if (load_conf.ehlo)
			say_ehlo(s, STEP_EHLO);
		else
			load_session_quit(s);
		break;
	case STEP_EHLO:
		return step_ehlo(s);
	case STEP_STARTTLS:
		s->step = STEP_HANDSHAKE;
		return load_tls_begin(s);
	case STEP_EHLO_AGAIN:
		return session_ready(s);
	case STEP_MAIL:
		s->step = STEP_RCPT;
		if (!load_conf.pipeline)
			queue_rcpt(s, 1);
		break;
	case STEP_RCPT:
		if (--s->rcpt == 0)
			step_rcpt_done(s);
		else if (!load_conf.pipeline)
			queue_rcpt(s, load_conf.recipients - s->rcpt + 1);
		break;
	case STEP_DATA:
		s->step = STEP_FINAL;
		queue_content(s);
		break;
	case STEP_FINAL:
		tool_hist_add(&load_totals.message,
		    tool_now_us() - s->message_us);
		s->done++;
		load_session_go(s);
		break;
	case STEP_QUIT:
		/* How long it was held would say nothing. */
		if (!load_conf.idle)
			tool_hist_add(&load_totals.session,
			    tool_now_us() - s->began_us);
		s->step = STEP_DONE;
		return -1;
	case STEP_HANDSHAKE:
	case STEP_IDLE:
	case STEP_DONE:
		return -1;
	}
	return 0;
}

static const char *
step_wants(enum load_step step)
{
	switch (step) {
	case STEP_GREETING:
	case STEP_STARTTLS:
		return "220";
	case STEP_DATA:
		return "354";
	case STEP_QUIT:
		return "221";
	case STEP_HANDSHAKE:
	case STEP_IDLE:
		return "nothing";
	default:
		return "250";
	}
}

/* One line of a reply, without its CRLF. */
static int
session_line(struct load_session *s, const char *line)
{
	if (strncmp(line, step_wants(s->step), 3) != 0 ||
	    (line[3] != ' ' && line[3] != '-' && line[3] != '\0')) {
		load_complain(s, "unexpected reply", line);
		return -1;
	}
	/* Replies that slip by one come before what they should answer. */
	if (s->niov > 0 && s->iov_at == 0 && s->iov[0].iov_base == s->out) {
		load_complain(s, "reply to a command not sent yet", line);
		return -1;
	}
	/* An early final reply would be a lie: the message is not out. */
	if (s->step == STEP_FINAL && line[3] != '-' && s->niov != 0) {
		load_complain(s, "reply before the end of the message", line);
		return -1;
	}
	if (strlen(line) > 4) {
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
session_lines(struct load_session *s)
{
	char	*line = s->in, *end;
	size_t	 left = s->in_used;

	while ((end = memmem(line, left, "\r\n", 2)) != NULL) {
		*end = '\0';
		if (session_line(s, line) == -1)
			return -1;
		left -= (size_t)(end + 2 - line);
		line = end + 2;
	}
	if (left > 0)
		memmove(s->in, line, left);
	s->in_used = left;
	if (left == LOAD_IN_SIZE) {
		load_complain(s, "endless reply line", "");
		return -1;
	}
	if (s->step == STEP_HANDSHAKE && left > 0) {
		load_complain(s, "octets behind the reply to STARTTLS", "");
		return -1;
	}
	return 0;
}

static ssize_t
plain_read(struct load_session *s, void *to, size_t room)
{
	ssize_t	n;

	n = read(s->fd, to, room);
	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n > 0)
		return n;
	load_complain(s, "connection lost", n == 0 ? "" : strerror(errno));
	return -1;
}

static ssize_t
plain_write(struct load_session *s)
{
	ssize_t	n;

	n = writev(s->fd, s->iov + s->iov_at, (int)(s->niov - s->iov_at));
	if (n != -1)
		return n;
	if (errno == EAGAIN || errno == EINTR)
		return 0;
	load_complain(s, "write", strerror(errno));
	return -1;
}

static int
session_write(struct load_session *s)
{
	struct iovec	*iov;
	ssize_t		 n;

	while (s->niov > 0) {
		n = s->ssl != NULL ? load_tls_write(s) : plain_write(s);
		if (n <= 0)
			return (int)n;
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

/* It lasts for a while only: to be said before every read. */
static void
acknowledge_at_once(struct load_session *s)
{
#ifdef TCP_QUICKACK
	int	on = 1;

	if (load_conf.quickack)
		(void)setsockopt(s->fd, IPPROTO_TCP, TCP_QUICKACK, &on,
		    sizeof(on));
#else
	(void)s;
#endif
}

/* TLS may hold more than one read gives, and says nothing about it. */
static int
session_read(struct load_session *s)
{
	ssize_t	n;

	do {
		acknowledge_at_once(s);
		n = (s->ssl != NULL ? load_tls_read : plain_read)(s,
		    s->in + s->in_used, LOAD_IN_SIZE - s->in_used);
		if (n <= 0)
			return (int)n;
		s->in_used += (size_t)n;
		if (session_lines(s) == -1 || session_write(s) == -1)
			return -1;
	} while (s->ssl != NULL && s->step != STEP_HANDSHAKE);
	return 0;
}

int
load_session_connected(struct load_session *s)
{
	socklen_t	len = sizeof(int);
	int		error = 0;

	if (getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &error, &len) == -1)
		error = errno;
	if (error != 0) {
		load_complain(s, "connect", strerror(error));
		return -1;
	}
	s->connected = 1;
	return 0;
}

int
load_session_run(struct load_session *s, short revents)
{
	int	rc;

	if (s->step == STEP_HANDSHAKE) {
		if ((rc = load_tls_handshake(s)) != 1)
			return rc;
		say_ehlo(s, STEP_EHLO_AGAIN);
	} else if ((revents & (POLLIN | POLLHUP | POLLERR)) != 0 &&
	    session_read(s) == -1)
		return -1;
	return session_write(s);
}

short
load_session_events(const struct load_session *s)
{
	if (s->step == STEP_HANDSHAKE)
		return s->want;
	return s->niov > 0 ? POLLIN | POLLOUT : POLLIN;
}
