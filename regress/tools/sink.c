/*
 * sink: an SMTP server that accepts every message and keeps none, unless a
 * folder is given.  For `make demo`, for tests and for benchmarks: one
 * process, one poll loop, nothing that costs time.
 *
 * usage: sink [-cqv] [-d dir] [-l address] [-p port]
 *
 *	-c	check the headers that load writes: whether every message
 *		came once, and whole.  The totals are JSON then, and are
 *		also printed at SIGUSR1.
 *	-d	file the messages in this folder
 *	-l	address (127.0.0.1)
 *	-p	port (2526)
 *	-q	acknowledge every segment at once, as load does with -q
 *	-v	print the dialogues
 *
 * It is strict about what ends a line and a message (CRLF only), so that
 * what it stores is what was meant.  At SIGTERM or SIGINT it prints totals.
 */

#include "sink.h"

#include <sys/socket.h>

#include <netinet/in.h>
#include <netinet/tcp.h>

#include <err.h>
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tool_util.h"

struct sink_conf		sink_conf;
struct sink_totals		sink_totals;

static struct loop		  loop;
static struct loop_fd		  listener, signals;
static struct sink_client	**clients;
static size_t			  nclients, clients_max;

static void
client_end(struct sink_client *c)
{
	sink_message_drop(c);
	loop_del(&loop, &c->io);
	(void)close(c->fd);
	clients[c->place] = clients[--nclients];
	clients[c->place]->place = c->place;
	free(c->held);
	free(c);
	/* It may have been out of descriptors. */
	loop_set(&loop, &listener, POLLIN);
}

static void
on_client(struct loop_fd *io, short revents, void *arg)
{
	struct sink_client	*c = arg;
	int			 rc;

	if (io->events == POLLIN)
		rc = sink_client_read(c);
	else if ((revents & (POLLHUP | POLLERR)) != 0)
		rc = -1;
	else
		rc = sink_client_run(c);
	if (rc == -1)
		client_end(c);
	else
		loop_set(&loop, io, sink_client_events(c));
}

static void
client_start(int fd)
{
	struct sink_client	*c;

	if ((c = malloc(sizeof(*c))) == NULL)
		err(1, NULL);
	/* Not the buffer: idle sessions are many. */
	memset(c, 0, offsetof(struct sink_client, out));
	loop_fd_init(&c->io);
	c->fd = fd;
	c->id = ++sink_totals.sessions;
	if (nclients == clients_max) {
		clients_max = clients_max * 2 + 64;
		clients = reallocarray(clients, clients_max,
		    sizeof(*clients));
		if (clients == NULL)
			err(1, NULL);
	}
	c->place = nclients;
	clients[nclients++] = c;
	if (loop_add(&loop, &c->io, fd, POLLIN, on_client, c) == -1)
		err(1, "loop");
	sink_reply(c, "220 sink.example ESMTP");
	if (sink_client_run(c) == -1)
		client_end(c);
	else
		loop_set(&loop, &c->io, sink_client_events(c));
}

static void
on_listener(struct loop_fd *io, short revents, void *arg)
{
	int	fd;

	(void)revents;
	(void)arg;
	while ((fd = accept(io->fd, NULL, NULL)) != -1) {
		tool_set_nonblocking(fd);
		client_start(fd);
	}
	if (errno == EMFILE || errno == ENFILE) {
		warn("accept");
		loop_set(&loop, io, 0);
	}
}

static int
listen_on(const char *address, const char *port)
{
	struct addrinfo	*res = tool_address(address, port, 1);
	int		 fd, on = 1;

	if ((fd = socket(res->ai_family, SOCK_STREAM, 0)) == -1)
		err(1, "socket");
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	/* Those who are accepted inherit it. */
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (bind(fd, res->ai_addr, res->ai_addrlen) == -1 ||
	    listen(fd, 1024) == -1)
		err(1, "%s port %s", address, port);
	freeaddrinfo(res);
	tool_set_nonblocking(fd);
	return fd;
}

static void
report(void)
{
	const struct sink_totals	*t = &sink_totals;

	printf("sink: sessions=%llu messages=%llu recipients=%llu octets=%llu "
	    "errors=%llu\n", (unsigned long long)t->sessions,
	    (unsigned long long)t->messages,
	    (unsigned long long)t->recipients,
	    (unsigned long long)t->octets, (unsigned long long)t->errors);
}

static void
report_json(void)
{
	const struct sink_totals	*t = &sink_totals;

	printf("{\"sessions\": %llu, \"open\": %zu, \"messages\": %llu, "
	    "\"recipients\": %llu, \"octets\": %llu, \"errors\": %llu, "
	    "\"distinct\": %llu, \"duplicates\": %llu, "
	    "\"wrong_sizes\": %llu, \"unknown\": %llu}\n",
	    (unsigned long long)t->sessions, nclients,
	    (unsigned long long)t->messages,
	    (unsigned long long)t->recipients,
	    (unsigned long long)t->octets, (unsigned long long)t->errors,
	    (unsigned long long)t->distinct,
	    (unsigned long long)t->duplicates,
	    (unsigned long long)t->wrong_sizes,
	    (unsigned long long)t->unknown);
	(void)fflush(stdout);
}

static void
on_signal(struct loop_fd *io, short revents, void *arg)
{
	unsigned char	sig;

	(void)revents;
	(void)arg;
	while (read(io->fd, &sig, 1) == 1) {
		if (sig != SIGUSR1)
			loop_stop(&loop);
		else
			report_json();
	}
}

static void
prepare(const char *address, const char *port)
{
	static const int	caught[] = { SIGINT, SIGTERM, 0 };
	static const int	with_usr1[] = { SIGINT, SIGTERM, SIGUSR1, 0 };

	tool_prepare();
	if (loop_init(&loop, 1) == -1)
		err(1, "loop");
	loop_fd_init(&listener);
	loop_fd_init(&signals);
	if (loop_add(&loop, &signals, tool_catch_signals(sink_conf.check ?
	    with_usr1 : caught), POLLIN, on_signal, NULL) == -1 ||
	    loop_add(&loop, &listener, listen_on(address, port), POLLIN,
	    on_listener, NULL) == -1)
		err(1, "loop");
}

static void
usage(void)
{
	(void)fprintf(stderr,
	    "usage: sink [-cqv] [-d dir] [-l address] [-p port]\n");
	exit(1);
}

int
main(int argc, char *argv[])
{
	const char	*address = "127.0.0.1", *port = "2526";
	int		 ch;

	while ((ch = getopt(argc, argv, "cd:l:p:qv")) != -1) {
		switch (ch) {
		case 'c':
			sink_conf.check = 1;
			break;
		case 'd':
			sink_conf.dir = optarg;
			break;
		case 'l':
			address = optarg;
			break;
		case 'p':
			port = optarg;
			break;
		case 'q':
			sink_conf.quickack = 1;
			break;
		case 'v':
			sink_conf.verbose = 1;
			break;
		default:
			usage();
		}
	}
	if (optind != argc)
		usage();
	prepare(address, port);
	if (loop_run(&loop) == -1)
		err(1, "poll");
	while (nclients > 0)
		client_end(clients[nclients - 1]);
	if (sink_conf.check)
		report_json();
	else
		report();
	return 0;
}
