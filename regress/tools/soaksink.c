/*
 * soaksink: the destination of the soak.  It keeps a record of each message
 * that it has accepted, and misbehaves where the client asks for it.
 *
 * usage: soaksink [-c certificate -k key] [-f address] [-s seed] -j journal
 *                 -p port
 *
 *	-c, -k	offer STARTTLS
 *	-f	of connections to this address some get no greeting, or a late
 *		one
 *	-j	the file of records, written at the end
 *	-s	seed for -f (1)
 *
 * It listens on all IPv4 addresses.  A line of the journal is an accepted
 * message: the value of its header X-Soak-Id, the octets and the sum of its
 * content from there on (what stands before was added on the way), each as it
 * was before its 250 was said.
 *
 * The sender's address is soak-WHAT-STAGE-MS@..., where STAGE is m, r, d, f, b
 * for MAIL, the first RCPT, DATA or the first chunk, the end of the message,
 * and its content, and WHAT is
 *	n	do as a server should
 *	w	reply MS milliseconds later
 *	4 5	refuse with such a code
 *	x	close the connection in the place of a reply
 *	a	accept the message, and close without a reply
 *	e	refuse in the middle of the content, and close
 *	s	read the content slowly, with MS between two reads
 * Every refusal that was asked for has "sink:" in its text.
 */

#include <sys/types.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <netinet/in.h>
#include <netinet/tcp.h>

#include <arpa/inet.h>

#include <ctype.h>
#include <signal.h>
#include <stdio.h>
#include <strings.h>

#include "soak.h"

#define IN_SIZE		32768
#define OUT_SIZE	16384
#define REPLY_MAX	4096		/* room that one command may need */
#define HEAD_MAX	1200		/* a line in front of the id */
#define ID_MAX		40
#define EARLY_OCTETS	500
#define SLOW_READ	8192
#define HELP_LINES	40
#define POLL_MS		1000

enum { SLOT_SIGNAL, SLOT_LISTEN, SLOT_FIXED_MAX };

enum state {
	STATE_COMMAND,
	STATE_DATA,
	STATE_BDAT,
	STATE_HANDSHAKE,
	STATE_CLOSING,		/* what is in out goes, then we close */
	STATE_OVER
};

struct client {
	struct soak_stream stream;
	enum state	 state;
	int		 has_mail;
	int		 is_last;	/* this chunk is the last */
	int		 is_bol;	/* DATA: at the start of a line */
	int		 was_cr;	/* DATA: the last octet was a CR */
	int		 has_id;
	char		 what;
	char		 stage;
	unsigned int	 ms;
	unsigned int	 nrcpt;
	int64_t		 hold_ms;	/* nothing is done before */
	int64_t		 left;		/* BDAT: octets of the chunk to come */
	uint64_t	 nchunks;
	uint64_t	 size;		/* from the id on */
	uint64_t	 sum;
	char		 id[ID_MAX];
	size_t		 head_used;
	char		 head[HEAD_MAX];
	size_t		 in_at;
	size_t		 in_used;
	size_t		 out_used;
	char		 in[IN_SIZE];
	char		 out[OUT_SIZE];
};

static struct client	**clients;	/* by slot, as pfds */
static struct pollfd	*pfds;
static size_t		 nslots, slots_max;
static FILE		*journal;
static SSL_CTX		*ctx;
static struct in_addr	 flaky;
static struct soak_rng	 rng = { 1 };
static int		 signal_pipe[2];
static int64_t		 now_ms;
static uint64_t		 nsessions, nmessages, nunnamed, nhandshakes;

static void
reply(struct client *c, const char *text)
{
	size_t	len = strlen(text);

	memcpy(c->out + c->out_used, text, len);
	memcpy(c->out + c->out_used + len, "\r\n", 2);
	c->out_used += len + 2;
}

/* The window too, or the kernel would read in our place; it stays small. */
static void
set_window(struct client *c)
{
	int	size = SLOW_READ;

	(void)setsockopt(c->stream.fd, SOL_SOCKET, SO_RCVBUF, &size,
	    sizeof(size));
}

/* Messages. */

static void
message_begin(struct client *c)
{
	c->size = 0;
	c->sum = SOAK_SUM_START;
	c->has_id = 0;
	c->head_used = 0;
	c->nchunks = 0;
}

static void
message_drop(struct client *c)
{
	message_begin(c);
	c->has_mail = 0;
	c->nrcpt = 0;
	c->what = 'n';
}

/* A line in front of the id, or the id. */
static void
head_line(struct client *c)
{
	static const char	name[] = "X-Soak-Id: ";
	size_t			len = sizeof(name) - 1, n;

	if (c->head_used > len + 2 && memcmp(c->head, name, len) == 0) {
		n = c->head_used - len - 2;
		if (n >= ID_MAX)
			n = ID_MAX - 1;
		memcpy(c->id, c->head + len, n);
		c->id[n] = '\0';
		c->has_id = 1;
		c->sum = soak_sum(c->sum, c->head, c->head_used);
		c->size = c->head_used;
	}
	c->head_used = 0;
}

static void
message_add(struct client *c, const char *octets, size_t len)
{
	while (len > 0 && !c->has_id) {
		if (c->head_used < HEAD_MAX)
			c->head[c->head_used++] = *octets;
		if (*octets == '\n')
			head_line(c);
		octets++;
		len--;
	}
	c->sum = soak_sum(c->sum, octets, len);
	c->size += len;
}

static void
message_accept(struct client *c)
{
	nmessages++;
	if (!c->has_id) {
		nunnamed++;
		(void)strlcpy(c->id, "?", sizeof(c->id));
	}
	fprintf(journal, "%s %llu %016llx\n", c->id,
	    (unsigned long long)c->size, (unsigned long long)c->sum);
}

/*
 * What was asked for at this stage.  Returns 1 when there is nothing more to
 * be said.
 */
static int
misbehave(struct client *c, char stage)
{
	if (c->stage != stage)
		return 0;
	switch (c->what) {
	case 'w':
		c->hold_ms = now_ms + c->ms;
		return 0;
	case '4':
		reply(c, "451 4.3.0 sink: not now");
		return 1;
	case '5':
		reply(c, "554 5.7.1 sink: no");
		return 1;
	case 'x':
		c->state = STATE_OVER;
		return 1;
	default:
		return 0;
	}
}

static void
message_end(struct client *c)
{
	int	is_left = c->what == 'a' && c->stage == 'f';

	if (!misbehave(c, 'f')) {
		message_accept(c);
		if (is_left)
			c->state = STATE_OVER;
		else
			reply(c, "250 2.0.0 taken");
	}
	message_drop(c);
}

/* Verbs. */

static void
verb_ehlo(struct client *c, const char *arg)
{
	(void)arg;
	message_drop(c);
	reply(c, "250-sink.example");
	reply(c, "250-PIPELINING");
	reply(c, "250-8BITMIME");
	reply(c, "250-SMTPUTF8");
	reply(c, "250-SIZE 1073741824");
	reply(c, "250-CHUNKING");
	if (ctx != NULL && c->stream.ssl == NULL)
		reply(c, "250-STARTTLS");
	reply(c, "250 ENHANCEDSTATUSCODES");
}

static void
verb_mail(struct client *c, const char *arg)
{
	unsigned int	ms;
	char		what, stage;

	if (c->has_mail) {
		reply(c, "503 5.5.1 sink: one sender is enough");
		return;
	}
	if (sscanf(arg, "FROM:<soak-%c-%c-%u@", &what, &stage, &ms) != 3) {
		reply(c, "501 5.5.4 sink: FROM:<soak-what-stage-ms@...>");
		return;
	}
	message_drop(c);
	c->what = what;
	c->stage = stage;
	c->ms = ms;
	if (misbehave(c, 'm')) {
		c->what = 'n';
		return;
	}
	if (what == 's')
		set_window(c);
	c->has_mail = 1;
	reply(c, "250 2.1.0 sender fine");
}

static void
verb_rcpt(struct client *c, const char *arg)
{
	(void)arg;
	if (!c->has_mail) {
		reply(c, "503 5.5.1 sink: MAIL first");
		return;
	}
	if (misbehave(c, 'r')) {
		c->stage = '-';		/* the first one only */
		return;
	}
	c->nrcpt++;
	reply(c, "250 2.1.5 recipient fine");
}

static void
verb_data(struct client *c, const char *arg)
{
	(void)arg;
	if (c->nrcpt == 0 || c->nchunks > 0) {
		reply(c, "503 5.5.1 sink: no recipients");
		return;
	}
	if (misbehave(c, 'd'))
		return;
	message_begin(c);
	c->state = STATE_DATA;
	c->is_bol = 1;
	c->was_cr = 0;
	reply(c, "354 end with a dot");
}

static void
verb_bdat(struct client *c, const char *arg)
{
	char	*end;

	errno = 0;
	c->left = strtoll(arg, &end, 10);
	c->is_last = strcasecmp(end, " LAST") == 0;
	if (!isdigit((unsigned char)arg[0]) || errno != 0 ||
	    (*end != '\0' && !c->is_last)) {
		reply(c, "501 5.5.4 sink: BDAT size [LAST]");
		c->state = STATE_CLOSING;
		return;
	}
	if (c->nchunks == 0)
		message_begin(c);
	c->state = STATE_BDAT;
}

static void
verb_help(struct client *c, const char *arg)
{
	int	i;

	(void)arg;
	for (i = 0; i < HELP_LINES; i++)
		reply(c, "214-2.0.0 there are more lines to come, and none "
		    "of them is of any help");
	reply(c, "214 2.0.0 that is all");
}

static void
verb_starttls(struct client *c, const char *arg)
{
	(void)arg;
	if (ctx == NULL || c->stream.ssl != NULL || c->in_used > 0) {
		reply(c, "503 5.5.1 sink: no TLS now");
		return;
	}
	reply(c, "220 2.0.0 go ahead");
	c->state = STATE_HANDSHAKE;
}

static void
verb_rset(struct client *c, const char *arg)
{
	(void)arg;
	message_drop(c);
	reply(c, "250 2.0.0 forgotten");
}

static void
verb_noop(struct client *c, const char *arg)
{
	(void)arg;
	reply(c, "250 2.0.0 fine");
}

static void
verb_quit(struct client *c, const char *arg)
{
	(void)arg;
	reply(c, "221 2.0.0 bye");
	c->state = STATE_CLOSING;
}

static const struct verb {
	const char	*name;
	void		(*run)(struct client *, const char *);
} verbs[] = {
	{ "EHLO",	verb_ehlo },
	{ "HELO",	verb_ehlo },
	{ "MAIL",	verb_mail },
	{ "RCPT",	verb_rcpt },
	{ "DATA",	verb_data },
	{ "BDAT",	verb_bdat },
	{ "STARTTLS",	verb_starttls },
	{ "RSET",	verb_rset },
	{ "NOOP",	verb_noop },
	{ "HELP",	verb_help },
	{ "QUIT",	verb_quit }
};

static void
client_command(struct client *c, char *line)
{
	size_t	 i, len = strcspn(line, " ");
	char	*arg = line + len;

	arg += strspn(arg, " ");
	for (i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
		if (strlen(verbs[i].name) == len &&
		    strncasecmp(verbs[i].name, line, len) == 0) {
			verbs[i].run(c, arg);
			return;
		}
	}
	reply(c, "500 5.5.1 sink: command not known");
}

/* Reading. */

static void
client_consume(struct client *c, size_t n)
{
	c->in_at += n;
	c->in_used -= n;
	if (c->in_used == 0)
		c->in_at = 0;
}

static int
step_command(struct client *c)
{
	char	*line = c->in + c->in_at, *end;

	if ((end = memmem(line, c->in_used, "\r\n", 2)) == NULL) {
		if (c->in_used == IN_SIZE) {
			reply(c, "500 5.5.2 sink: line too long");
			c->state = STATE_CLOSING;
		}
		return 0;
	}
	*end = '\0';
	client_consume(c, (size_t)(end + 2 - line));
	client_command(c, line);
	return 1;
}

static void
refuse_early(struct client *c)
{
	if (c->what != 'e' || c->size < EARLY_OCTETS)
		return;
	reply(c, "552 5.3.4 sink: that is enough");
	message_drop(c);
	c->state = STATE_CLOSING;
}

/* A line, or what there is of one; a dot waits for what follows it. */
static int
step_data(struct client *c)
{
	char	*p = c->in + c->in_at, *nl;
	size_t	 len;

	if (c->is_bol && *p == '.') {
		if (c->in_used < 3 && memcmp(p, ".\r", c->in_used) == 0)
			return 0;
		if (c->in_used >= 3 && memcmp(p, ".\r\n", 3) == 0) {
			client_consume(c, 3);
			c->state = STATE_COMMAND;
			message_end(c);
			return 1;
		}
		c->is_bol = c->was_cr = 0;
		client_consume(c, 1);
		return 1;
	}
	nl = memchr(p, '\n', c->in_used);
	len = nl == NULL ? c->in_used : (size_t)(nl - p) + 1;
	if (nl == p)
		c->is_bol = c->was_cr;
	else
		c->is_bol = nl != NULL && nl[-1] == '\r';
	c->was_cr = p[len - 1] == '\r';
	message_add(c, p, len);
	client_consume(c, len);
	refuse_early(c);
	return 1;
}

static void
chunk_end(struct client *c)
{
	c->state = STATE_COMMAND;
	if (c->nrcpt == 0) {
		reply(c, "503 5.5.1 sink: no recipients");
		return;
	}
	if (c->nchunks++ == 0 && misbehave(c, 'd')) {
		message_drop(c);
		return;
	}
	if (c->is_last)
		message_end(c);
	else
		reply(c, "250 2.0.0 chunk taken");
}

static int
step_bdat(struct client *c)
{
	size_t	n = c->in_used;

	if ((int64_t)n > c->left)
		n = (size_t)c->left;
	if (c->nrcpt > 0)
		message_add(c, c->in + c->in_at, n);
	client_consume(c, n);
	c->left -= (int64_t)n;
	if (c->left > 0)
		return 0;
	chunk_end(c);
	return 1;
}

/* Returns 0 when there is nothing to do before something happens. */
static int
client_step(struct client *c)
{
	if (OUT_SIZE - c->out_used < REPLY_MAX || c->hold_ms > now_ms)
		return 0;
	switch (c->state) {
	case STATE_COMMAND:
		return c->in_used > 0 && step_command(c);
	case STATE_DATA:
		return c->in_used > 0 && step_data(c);
	case STATE_BDAT:
		return (c->in_used > 0 || c->left == 0) && step_bdat(c);
	default:
		return 0;
	}
}

static int
client_is_slow(const struct client *c)
{
	return c->what == 's' &&
	    (c->state == STATE_DATA || c->state == STATE_BDAT);
}

/* Returns as soak_read() does. */
static ssize_t
client_read(struct client *c)
{
	size_t	room;
	ssize_t	n;

	if (c->in_at > 0) {
		memmove(c->in, c->in + c->in_at, c->in_used);
		c->in_at = 0;
	}
	room = IN_SIZE - c->in_used;
	if (client_is_slow(c) && room > SLOW_READ)
		room = SLOW_READ;
	if (room == 0)
		return 0;
	n = soak_read(&c->stream, c->in + c->in_used, room);
	if (n <= 0)
		return n;
	c->in_used += (size_t)n;
	if (client_is_slow(c))
		c->hold_ms = now_ms + c->ms;
	return n;
}

static int
client_write(struct client *c)
{
	ssize_t	n;

	while (c->out_used > 0) {
		n = soak_write(&c->stream, c->out, c->out_used);
		if (n <= 0)
			return (int)n;
		c->out_used -= (size_t)n;
		memmove(c->out, c->out + n, c->out_used);
	}
	return 0;
}

static int
client_handshake(struct client *c)
{
	int	rc;

	if (c->stream.ssl == NULL)
		soak_tls_start(&c->stream, ctx, 1);
	if ((rc = soak_handshake(&c->stream)) == 1) {
		nhandshakes++;
		c->state = STATE_COMMAND;
	}
	return rc;
}

/* Go on until it has to wait.  Returns -1 when the connection is over. */
static int
client_run(struct client *c)
{
	ssize_t	n = 1;
	int	rc;

	c->stream.want = 0;
	for (;;) {
		if (c->hold_ms > now_ms)
			return 0;
		while (client_step(c))
			;
		if (c->state == STATE_OVER)
			return -1;
		if (c->hold_ms > now_ms)
			return 0;
		if (client_write(c) == -1)
			return -1;
		if (c->out_used > 0)
			return 0;
		if (c->state == STATE_CLOSING)
			return -1;
		if (c->state == STATE_HANDSHAKE) {
			if ((rc = client_handshake(c)) != 1)
				return rc;
			continue;
		}
		if (client_step(c))
			continue;
		if ((n = client_read(c)) <= 0)
			return (int)n;
	}
}

/* Connections. */

static void
slot_remove(size_t slot)
{
	struct client	*c = clients[slot];

	soak_close(&c->stream, 0);
	free(c);
	nslots--;
	clients[slot] = clients[nslots];
	pfds[slot] = pfds[nslots];
}

static void
slot_add(int fd, struct client *c, short events)
{
	if (nslots == slots_max) {
		slots_max = slots_max * 2 + 64;
		clients = reallocarray(clients, slots_max, sizeof(*clients));
		pfds = reallocarray(pfds, slots_max, sizeof(*pfds));
		if (clients == NULL || pfds == NULL)
			err(1, NULL);
	}
	clients[nslots] = c;
	pfds[nslots].fd = fd;
	pfds[nslots].events = events;
	pfds[nslots].revents = 0;
	nslots++;
}

/* Some connections to the flaky address are greeted late, or never. */
static void
greet(struct client *c)
{
	struct sockaddr_in	sin;
	socklen_t		len = sizeof(sin);
	uint32_t		chance;

	reply(c, "220 sink.example ESMTP");
	if (flaky.s_addr == INADDR_ANY ||
	    getsockname(c->stream.fd, (struct sockaddr *)&sin, &len) == -1 ||
	    sin.sin_addr.s_addr != flaky.s_addr)
		return;
	chance = soak_between(&rng, 1, 1000);
	if (chance <= 4)
		c->state = STATE_OVER;
	else if (chance <= 6)
		c->hold_ms = INT64_MAX;
	else if (chance <= 30)
		c->hold_ms = now_ms + soak_between(&rng, 50, 1000);
}

static void
client_accept(int listener)
{
	struct client	*c;
	int		 fd, on = 1;

	while ((fd = accept(listener, NULL, NULL)) != -1) {
		soak_set_nonblocking(fd);
		(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on,
		    sizeof(on));
		if ((c = malloc(sizeof(*c))) == NULL)
			err(1, NULL);
		memset(c, 0, offsetof(struct client, in));
		c->stream.fd = fd;
		message_drop(c);
		nsessions++;
		slot_add(fd, c, POLLIN);
		greet(c);
		if (client_run(c) == -1)
			slot_remove(nslots - 1);
	}
}

static void
slot_watch(size_t slot)
{
	const struct client	*c = clients[slot];
	short			 events = POLLRDHUP;

	if (c->hold_ms <= now_ms) {
		events = POLLIN | c->stream.want;
		if (c->out_used > 0)
			events |= POLLOUT;
	}
	pfds[slot].events = events;
}

static int
poll_ms(void)
{
	int64_t	least = POLL_MS, left;
	size_t	slot;

	for (slot = SLOT_FIXED_MAX; slot < nslots; slot++) {
		slot_watch(slot);
		left = clients[slot]->hold_ms - now_ms;
		if (left > 0 && left < least)
			least = left;
	}
	return (int)least;
}

static void
serve(int listener)
{
	struct client	*c;
	size_t		 slot;

	slot_add(signal_pipe[0], NULL, POLLIN);
	slot_add(listener, NULL, POLLIN);
	for (;;) {
		now_ms = soak_now_ms();
		if (poll(pfds, (nfds_t)nslots, poll_ms()) == -1) {
			if (errno == EINTR)
				continue;
			err(1, "poll");
		}
		if (pfds[SLOT_SIGNAL].revents != 0)
			return;
		now_ms = soak_now_ms();
		/* Backwards: the last slot takes the place of a closed one. */
		for (slot = nslots; slot-- > SLOT_FIXED_MAX;) {
			c = clients[slot];
			if (c->hold_ms != 0 && c->hold_ms <= now_ms)
				c->hold_ms = 0;
			else if (pfds[slot].revents == 0)
				continue;
			/* Held, and broken: there is nobody to hold it for. */
			if ((c->hold_ms != 0 && pfds[slot].revents != 0) ||
			    client_run(c) == -1)
				slot_remove(slot);
		}
		if (pfds[SLOT_LISTEN].revents != 0)
			client_accept(listener);
	}
}

static int
listen_on(unsigned int port)
{
	struct sockaddr_in	sin;
	int			fd, on = 1;

	memset(&sin, 0, sizeof(sin));
	sin.sin_family = AF_INET;
	sin.sin_port = htons((uint16_t)port);
	if ((fd = socket(AF_INET, SOCK_STREAM, 0)) == -1)
		err(1, "socket");
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(fd, (struct sockaddr *)&sin, sizeof(sin)) == -1 ||
	    listen(fd, 1024) == -1)
		err(1, "port %u", port);
	soak_set_nonblocking(fd);
	return fd;
}

static void
on_signal(int sig)
{
	int	saved = errno;

	(void)sig;
	/* The pipe is full when it is known already. */
	if (write(signal_pipe[1], "", 1) == -1)
		errno = saved;
	errno = saved;
}

static void
catch_signals(void)
{
	struct sigaction	sa;

	if (pipe(signal_pipe) == -1)
		err(1, "pipe");
	soak_set_nonblocking(signal_pipe[1]);
	memset(&sa, 0, sizeof(sa));
	sa.sa_handler = on_signal;
	if (sigaction(SIGTERM, &sa, NULL) == -1)
		err(1, "sigaction");
	sa.sa_handler = SIG_IGN;
	if (sigaction(SIGPIPE, &sa, NULL) == -1)
		err(1, "sigaction");
}

static void
tls_prepare(const char *cert, const char *key)
{
	ctx = soak_tls_context(TLS_server_method());
	if (SSL_CTX_use_certificate_chain_file(ctx, cert) != 1 ||
	    SSL_CTX_use_PrivateKey_file(ctx, key, SSL_FILETYPE_PEM) != 1)
		errx(1, "%s, %s: %s", cert, key,
		    ERR_error_string(ERR_get_error(), NULL));
}

static void
usage(void)
{
	(void)fprintf(stderr, "usage: soaksink [-c certificate -k key] "
	    "[-f address] [-s seed] -j journal\n                -p port\n");
	exit(1);
}

int
main(int argc, char *argv[])
{
	const char	*cert = NULL, *key = NULL, *path = NULL;
	unsigned int	 port = 0;
	int		 ch;

	while ((ch = getopt(argc, argv, "c:f:j:k:p:s:")) != -1) {
		switch (ch) {
		case 'c':
			cert = optarg;
			break;
		case 'f':
			if (inet_pton(AF_INET, optarg, &flaky) != 1)
				errx(1, "%s: no address", optarg);
			break;
		case 'j':
			path = optarg;
			break;
		case 'k':
			key = optarg;
			break;
		case 'p':
			port = soak_number(optarg, 1, 65535);
			break;
		case 's':
			rng.state = soak_number(optarg, 0, UINT32_MAX);
			break;
		default:
			usage();
		}
	}
	if (optind != argc || path == NULL || port == 0 ||
	    (cert == NULL) != (key == NULL))
		usage();
	if (cert != NULL)
		tls_prepare(cert, key);
	if ((journal = fopen(path, "w")) == NULL)
		err(1, "%s", path);
	catch_signals();
	serve(listen_on(port));
	if (fclose(journal) != 0)
		err(1, "%s", path);
	printf("soaksink: sessions=%llu messages=%llu unnamed=%llu "
	    "handshakes=%llu open=%zu\n", (unsigned long long)nsessions,
	    (unsigned long long)nmessages, (unsigned long long)nunnamed,
	    (unsigned long long)nhandshakes, nslots - SLOT_FIXED_MAX);
	return 0;
}
