/*
 * sink: an SMTP server that accepts every message and keeps none, unless a
 * folder is given.  For `make demo`, for tests and for benchmarks: one
 * process, one poll(2) loop, nothing that costs time.
 *
 * usage: sink [-v] [-d dir] [-l address] [-p port]
 *
 * It is strict about what ends a line and a message (CRLF only), so that
 * what it stores is what was meant.  At SIGTERM or SIGINT it prints totals.
 */

#include <sys/types.h>
#include <sys/resource.h>
#include <sys/socket.h>

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
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#define IN_SIZE		32768
#define OUT_SIZE	4096
#define REPLY_MAX	512		/* room that one command may need */
#define MESSAGE_MAX	INT64_C(1073741824)

enum { SLOT_SIGNAL, SLOT_LISTEN, SLOT_FIXED_MAX };

enum state {
	STATE_COMMAND,
	STATE_DATA,
	STATE_BDAT,
	STATE_CLOSING		/* what is in out goes, then we close */
};

struct client {
	enum state	 state;
	int		 fd;
	int		 mail;		/* MAIL was accepted */
	int		 last;		/* this chunk is the last */
	int		 bol;		/* DATA: at the start of a line */
	int		 cr;		/* DATA: the last octet was a CR */
	unsigned int	 nrcpt;
	uint64_t	 id;
	uint64_t	 number;	/* of the message: its file's name */
	int64_t		 left;		/* BDAT: octets of the chunk to come */
	int64_t		 size;		/* octets of the message so far */
	FILE		*file;
	size_t		 in_at;
	size_t		 in_used;	/* octets from in_at on */
	size_t		 out_used;
	char		 in[IN_SIZE];
	char		 out[OUT_SIZE];
};

struct verb {
	const char	*name;
	void		(*run)(struct client *, char *);
};

static void	 verb_ehlo(struct client *, char *);
static void	 verb_helo(struct client *, char *);
static void	 verb_mail(struct client *, char *);
static void	 verb_rcpt(struct client *, char *);
static void	 verb_data(struct client *, char *);
static void	 verb_bdat(struct client *, char *);
static void	 verb_rset(struct client *, char *);
static void	 verb_noop(struct client *, char *);
static void	 verb_vrfy(struct client *, char *);
static void	 verb_quit(struct client *, char *);

static const struct verb verbs[] = {
	{ "EHLO",	verb_ehlo },
	{ "HELO",	verb_helo },
	{ "MAIL",	verb_mail },
	{ "RCPT",	verb_rcpt },
	{ "DATA",	verb_data },
	{ "BDAT",	verb_bdat },
	{ "RSET",	verb_rset },
	{ "NOOP",	verb_noop },
	{ "VRFY",	verb_vrfy },
	{ "QUIT",	verb_quit }
};

static struct client	**clients;	/* by slot, as pfds */
static struct pollfd	*pfds;
static size_t		 nslots, slots_max;
static const char	*dir;
static int		 verbose;
static int		 signal_pipe[2];
static uint64_t		 nsessions, nmessages, nrecipients, noctets, nerrors;

/* Print one line of the dialogue, whatever octets it holds. */
static void
show(const struct client *c, const char *who, const char *text, size_t len)
{
	size_t	i;

	if (!verbose)
		return;
	printf("%llu %s: ", (unsigned long long)c->id, who);
	for (i = 0; i < len; i++) {
		if (isprint((unsigned char)text[i]))
			putchar(text[i]);
		else
			printf("\\x%02x", (unsigned int)(unsigned char)text[i]);
	}
	putchar('\n');
	(void)fflush(stdout);
}

/* There is room: client_step() takes no command before. */
static void
reply(struct client *c, const char *text)
{
	size_t	len = strlen(text);

	show(c, "S", text, len);
	memcpy(c->out + c->out_used, text, len);
	memcpy(c->out + c->out_used + len, "\r\n", 2);
	c->out_used += len + 2;
}

static void
reply_error(struct client *c, const char *text)
{
	nerrors++;
	reply(c, text);
}

static void
message_path(const struct client *c, const char *suffix, char *path)
{
	int	len;

	len = snprintf(path, PATH_MAX, "%s/%08llu%s", dir,
	    (unsigned long long)c->number, suffix);
	if (len < 0 || len >= PATH_MAX)
		errx(1, "%s: name too long", dir);
}

static void
message_begin(struct client *c)
{
	static uint64_t	 number;
	char		 path[PATH_MAX];

	c->size = 0;
	if (dir == NULL)
		return;
	c->number = ++number;
	message_path(c, ".part", path);
	if ((c->file = fopen(path, "w")) == NULL)
		err(1, "%s", path);
}

static void
message_add(struct client *c, const char *data, size_t len)
{
	c->size += (int64_t)len;
	if (c->file != NULL && len > 0 &&
	    fwrite(data, 1, len, c->file) != len)
		err(1, "%s", dir);
}

/* Forget the transaction and what there was of its message. */
static void
message_drop(struct client *c)
{
	char	path[PATH_MAX];

	if (c->file != NULL) {
		(void)fclose(c->file);
		c->file = NULL;
		message_path(c, ".part", path);
		(void)unlink(path);
	}
	c->mail = 0;
	c->nrcpt = 0;
	c->size = 0;
}

/* The whole message is here.  Its name appears before its reply does. */
static void
message_end(struct client *c)
{
	char	from[PATH_MAX], to[PATH_MAX], text[REPLY_MAX];

	if (c->size > MESSAGE_MAX) {
		message_drop(c);
		reply_error(c, "552 5.3.4 message too big");
		return;
	}
	if (c->file != NULL) {
		if (fclose(c->file) != 0)
			err(1, "%s", dir);
		c->file = NULL;
		message_path(c, ".part", from);
		message_path(c, "", to);
		if (rename(from, to) == -1)
			err(1, "%s", to);
	}
	nmessages++;
	nrecipients += c->nrcpt;
	noctets += (uint64_t)c->size;
	(void)snprintf(text, sizeof(text), "250 2.0.0 message %llu taken, "
	    "%lld octets", (unsigned long long)nmessages, (long long)c->size);
	message_drop(c);
	reply(c, text);
}

static void
verb_ehlo(struct client *c, char *arg)
{
	(void)arg;
	message_drop(c);
	reply(c, "250-sink.example");
	reply(c, "250-PIPELINING");
	reply(c, "250-8BITMIME");
	reply(c, "250-SMTPUTF8");
	reply(c, "250-SIZE 1073741824");
	reply(c, "250-CHUNKING");
	reply(c, "250-DSN");
	reply(c, "250 ENHANCEDSTATUSCODES");
}

static void
verb_helo(struct client *c, char *arg)
{
	(void)arg;
	message_drop(c);
	reply(c, "250 sink.example");
}

static void
verb_mail(struct client *c, char *arg)
{
	if (c->mail) {
		reply_error(c, "503 5.5.1 one sender is enough");
		return;
	}
	if (strncasecmp(arg, "FROM:", 5) != 0) {
		reply_error(c, "501 5.5.4 MAIL FROM:<address>");
		return;
	}
	c->mail = 1;
	reply(c, "250 2.1.0 sender fine");
}

static void
verb_rcpt(struct client *c, char *arg)
{
	if (!c->mail) {
		reply_error(c, "503 5.5.1 MAIL first");
		return;
	}
	if (strncasecmp(arg, "TO:", 3) != 0) {
		reply_error(c, "501 5.5.4 RCPT TO:<address>");
		return;
	}
	c->nrcpt++;
	reply(c, "250 2.1.5 recipient fine");
}

static void
verb_data(struct client *c, char *arg)
{
	(void)arg;
	if (c->nrcpt == 0) {
		reply_error(c, "503 5.5.1 no recipients");
		return;
	}
	if (c->size > 0) {
		reply_error(c, "503 5.5.1 DATA behind BDAT");
		return;
	}
	message_begin(c);
	c->state = STATE_DATA;
	c->bol = 1;
	c->cr = 0;
	reply(c, "354 end with a dot");
}

/* Without a transaction the chunk has to be read all the same. */
static void
verb_bdat(struct client *c, char *arg)
{
	char		*end;
	long long	 n;

	errno = 0;
	n = strtoll(arg, &end, 10);
	c->last = strcasecmp(end, " LAST") == 0;
	if (!isdigit((unsigned char)arg[0]) || errno != 0 ||
	    (*end != '\0' && !c->last)) {
		reply_error(c, "501 5.5.4 BDAT size [LAST]");
		c->state = STATE_CLOSING;
		return;
	}
	if (c->nrcpt > 0 && c->size == 0 && c->file == NULL)
		message_begin(c);
	c->left = n;
	c->state = STATE_BDAT;
}

static void
verb_rset(struct client *c, char *arg)
{
	(void)arg;
	message_drop(c);
	reply(c, "250 2.0.0 forgotten");
}

static void
verb_noop(struct client *c, char *arg)
{
	(void)arg;
	reply(c, "250 2.0.0 fine");
}

static void
verb_vrfy(struct client *c, char *arg)
{
	(void)arg;
	reply(c, "252 2.0.0 send some mail");
}

static void
verb_quit(struct client *c, char *arg)
{
	(void)arg;
	reply(c, "221 2.0.0 bye");
	c->state = STATE_CLOSING;
}

static void
client_command(struct client *c, char *line, size_t len)
{
	size_t	 i, verb_len;
	char	*arg;

	show(c, "C", line, len);
	verb_len = strcspn(line, " ");
	arg = line + verb_len;
	arg += strspn(arg, " ");
	for (i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
		if (strlen(verbs[i].name) == verb_len &&
		    strncasecmp(verbs[i].name, line, verb_len) == 0) {
			verbs[i].run(c, arg);
			return;
		}
	}
	reply_error(c, "500 5.5.1 command not known");
}

static void
client_consume(struct client *c, size_t n)
{
	c->in_at += n;
	c->in_used -= n;
	if (c->in_used == 0)
		c->in_at = 0;
}

/* Take one command.  Returns 0 when it is not all here. */
static int
step_command(struct client *c)
{
	char	*line = c->in + c->in_at, *end;
	size_t	 len;

	if ((end = memmem(line, c->in_used, "\r\n", 2)) == NULL) {
		if (c->in_used == IN_SIZE) {
			reply_error(c, "500 5.5.2 line too long");
			c->state = STATE_CLOSING;
		}
		return 0;
	}
	*end = '\0';
	len = (size_t)(end - line);
	client_consume(c, len + 2);
	client_command(c, line, len);
	return 1;
}

/*
 * Take message content up to the end of the next line, or of what there is.
 * A dot at the start of a line waits for the two octets that say what it is.
 */
static int
step_data(struct client *c)
{
	char	*p = c->in + c->in_at, *nl;
	size_t	 len;

	if (c->bol && *p == '.') {
		if (c->in_used < 3 && memcmp(p, ".\r", c->in_used) == 0)
			return 0;
		if (c->in_used >= 3 && memcmp(p, ".\r\n", 3) == 0) {
			client_consume(c, 3);
			c->state = STATE_COMMAND;
			show(c, "C", "(message)", 9);
			message_end(c);
			return 1;
		}
		c->bol = c->cr = 0;
		client_consume(c, 1);
		return 1;
	}
	nl = memchr(p, '\n', c->in_used);
	len = nl == NULL ? c->in_used : (size_t)(nl - p) + 1;
	if (nl == p)
		c->bol = c->cr;
	else
		c->bol = nl != NULL && nl[-1] == '\r';
	c->cr = p[len - 1] == '\r';
	message_add(c, p, len);
	client_consume(c, len);
	return 1;
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
	c->state = STATE_COMMAND;
	show(c, "C", "(chunk)", 7);
	if (c->nrcpt == 0)
		reply_error(c, "503 5.5.1 no recipients");
	else if (c->last)
		message_end(c);
	else
		reply(c, "250 2.0.0 chunk taken");
	return 1;
}

/* Returns 0 when there is nothing to do before more comes in or goes out. */
static int
client_step(struct client *c)
{
	if (OUT_SIZE - c->out_used < REPLY_MAX)
		return 0;
	switch (c->state) {
	case STATE_COMMAND:
		return c->in_used > 0 && step_command(c);
	case STATE_DATA:
		return c->in_used > 0 && step_data(c);
	case STATE_BDAT:
		return (c->in_used > 0 || c->left == 0) && step_bdat(c);
	case STATE_CLOSING:
		break;
	}
	return 0;
}

/* Returns -1 when the connection is over. */
static int
client_write(struct client *c)
{
	ssize_t	n;

	if (c->out_used == 0)
		return 0;
	if ((n = write(c->fd, c->out, c->out_used)) == -1)
		return errno == EAGAIN || errno == EINTR ? 0 : -1;
	c->out_used -= (size_t)n;
	memmove(c->out, c->out + n, c->out_used);
	return 0;
}

static int
client_read(struct client *c)
{
	ssize_t	n;

	if (c->in_at > 0) {
		memmove(c->in, c->in + c->in_at, c->in_used);
		c->in_at = 0;
	}
	if (c->in_used == IN_SIZE)
		return 0;
	n = read(c->fd, c->in + c->in_used, IN_SIZE - c->in_used);
	if (n == -1)
		return errno == EAGAIN || errno == EINTR ? 0 : -1;
	if (n == 0)
		return -1;
	c->in_used += (size_t)n;
	return 0;
}

/* Work on what is there until it waits for the client in one way. */
static int
client_run(struct client *c)
{
	do {
		while (client_step(c))
			;
		if (client_write(c) == -1)
			return -1;
	} while (c->out_used == 0 && client_step(c));
	if (c->state == STATE_CLOSING && c->out_used == 0)
		return -1;
	return 0;
}

static short
client_events(const struct client *c)
{
	short	events = 0;

	if (c->out_used > 0)
		events |= POLLOUT;
	if (c->state != STATE_CLOSING && c->in_used < IN_SIZE &&
	    OUT_SIZE - c->out_used >= REPLY_MAX)
		events |= POLLIN;
	return events;
}

static void
slot_remove(size_t slot)
{
	struct client	*c = clients[slot];

	message_drop(c);
	(void)close(c->fd);
	free(c);
	nslots--;
	clients[slot] = clients[nslots];
	pfds[slot] = pfds[nslots];
	/* It may have been out of descriptors. */
	pfds[SLOT_LISTEN].events = POLLIN;
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

static void
set_nonblocking(int fd)
{
	int	flags;

	if ((flags = fcntl(fd, F_GETFL)) == -1 ||
	    fcntl(fd, F_SETFL, flags | O_NONBLOCK) == -1)
		err(1, "fcntl");
}

static void
client_accept(int listener)
{
	struct client	*c;
	int		 fd, on = 1;

	while ((fd = accept(listener, NULL, NULL)) != -1) {
		set_nonblocking(fd);
		(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on,
		    sizeof(on));
		if ((c = malloc(sizeof(*c))) == NULL)
			err(1, NULL);
		/* Not the buffers: idle sessions are many. */
		memset(c, 0, offsetof(struct client, in));
		c->fd = fd;
		c->id = ++nsessions;
		reply(c, "220 sink.example ESMTP");
		slot_add(fd, c, POLLIN | POLLOUT);
	}
	if (errno == EMFILE || errno == ENFILE) {
		warn("accept");
		pfds[SLOT_LISTEN].events = 0;
	}
}

static int
listen_on(const char *address, const char *port)
{
	struct addrinfo	 hints, *res;
	int		 error, fd, on = 1;

	memset(&hints, 0, sizeof(hints));
	hints.ai_socktype = SOCK_STREAM;
	hints.ai_flags = AI_NUMERICHOST | AI_PASSIVE;
	if ((error = getaddrinfo(address, port, &hints, &res)) != 0)
		errx(1, "%s port %s: %s", address, port, gai_strerror(error));
	if ((fd = socket(res->ai_family, SOCK_STREAM, 0)) == -1)
		err(1, "socket");
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(fd, res->ai_addr, res->ai_addrlen) == -1 ||
	    listen(fd, 1024) == -1)
		err(1, "%s port %s", address, port);
	freeaddrinfo(res);
	set_nonblocking(fd);
	return fd;
}

/* A pipe, since a signal may come just before poll() sleeps. */
static void
on_signal(int sig)
{
	int	saved = errno;

	(void)sig;
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
	set_nonblocking(signal_pipe[1]);
	memset(&sa, 0, sizeof(sa));
	sa.sa_handler = on_signal;
	if (sigaction(SIGTERM, &sa, NULL) == -1 ||
	    sigaction(SIGINT, &sa, NULL) == -1)
		err(1, "sigaction");
	sa.sa_handler = SIG_IGN;
	if (sigaction(SIGPIPE, &sa, NULL) == -1)
		err(1, "sigaction");
}

static void
raise_limits(void)
{
	struct rlimit	rl;

	if (getrlimit(RLIMIT_NOFILE, &rl) == -1)
		return;
	rl.rlim_cur = rl.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &rl);
}

static void
slot_serve(size_t slot)
{
	struct client	*c = clients[slot];
	short		 got = pfds[slot].revents;

	if ((got & (POLLIN | POLLHUP | POLLERR)) != 0 &&
	    client_read(c) == -1) {
		slot_remove(slot);
		return;
	}
	if (client_run(c) == -1) {
		slot_remove(slot);
		return;
	}
	pfds[slot].events = client_events(c);
}

static void
serve(int listener)
{
	size_t	slot;

	slot_add(signal_pipe[0], NULL, POLLIN);
	slot_add(listener, NULL, POLLIN);
	for (;;) {
		if (poll(pfds, (nfds_t)nslots, -1) == -1) {
			if (errno == EINTR)
				continue;
			err(1, "poll");
		}
		if (pfds[SLOT_SIGNAL].revents != 0)
			return;
		/* Backwards: the last slot takes the place of a closed one. */
		for (slot = nslots; slot-- > SLOT_FIXED_MAX;)
			if (pfds[slot].revents != 0)
				slot_serve(slot);
		if (pfds[SLOT_LISTEN].revents != 0)
			client_accept(listener);
	}
}

static void
usage(void)
{
	(void)fprintf(stderr,
	    "usage: sink [-v] [-d dir] [-l address] [-p port]\n");
	exit(1);
}

int
main(int argc, char *argv[])
{
	const char	*address = "127.0.0.1", *port = "2526";
	int		 ch;

	while ((ch = getopt(argc, argv, "d:l:p:v")) != -1) {
		switch (ch) {
		case 'd':
			dir = optarg;
			break;
		case 'l':
			address = optarg;
			break;
		case 'p':
			port = optarg;
			break;
		case 'v':
			verbose = 1;
			break;
		default:
			usage();
		}
	}
	if (optind != argc)
		usage();
	catch_signals();
	raise_limits();
	serve(listen_on(address, port));
	while (nslots > SLOT_FIXED_MAX)
		slot_remove(nslots - 1);
	printf("sink: sessions=%llu messages=%llu recipients=%llu octets=%llu "
	    "errors=%llu\n", (unsigned long long)nsessions,
	    (unsigned long long)nmessages, (unsigned long long)nrecipients,
	    (unsigned long long)noctets, (unsigned long long)nerrors);
	return 0;
}
