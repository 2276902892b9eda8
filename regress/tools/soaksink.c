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

#include "soaksink.h"

#include <sys/socket.h>

#include <netinet/in.h>
#include <netinet/tcp.h>

#include <arpa/inet.h>

#include <err.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/ssl.h>

#include "tool_util.h"

#define POLL_MS		1000

enum { SLOT_SIGNAL, SLOT_LISTEN, SLOT_FIXED_MAX };

struct soaksink	soaksink = { .rng = { 1 } };

static struct soaksink_client **clients;	/* by slot, as pfds */
static struct pollfd	*pfds;
static size_t		 nslots, slots_max;

static void
read_clock(void)
{
	soaksink.now_ms = tool_now_us() / 1000;
}

static void
slot_remove(size_t slot)
{
	struct soaksink_client	*c = clients[slot];

	tool_stream_close(&c->stream, 0);
	free(c);
	nslots--;
	clients[slot] = clients[nslots];
	pfds[slot] = pfds[nslots];
}

static void
slot_add(int fd, struct soaksink_client *c, short events)
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
greet(struct soaksink_client *c)
{
	struct sockaddr_in	sin;
	socklen_t		len = sizeof(sin);
	uint32_t		chance;

	soaksink_reply(c, "220 sink.example ESMTP");
	if (soaksink.flaky.s_addr == INADDR_ANY ||
	    getsockname(c->stream.fd, (struct sockaddr *)&sin, &len) == -1 ||
	    sin.sin_addr.s_addr != soaksink.flaky.s_addr)
		return;
	chance = tool_random_between(&soaksink.rng, 1, 1000);
	if (chance <= 4)
		c->state = STATE_OVER;
	else if (chance <= 6)
		c->hold_ms = INT64_MAX;
	else if (chance <= 30)
		c->hold_ms = soaksink.now_ms +
		    tool_random_between(&soaksink.rng, 50, 1000);
}

static void
client_accept(int listener)
{
	struct soaksink_client	*c;
	int			 fd, on = 1;

	while ((fd = accept(listener, NULL, NULL)) != -1) {
		tool_set_nonblocking(fd);
		(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on,
		    sizeof(on));
		if ((c = malloc(sizeof(*c))) == NULL)
			err(1, NULL);
		memset(c, 0, offsetof(struct soaksink_client, in));
		c->stream.fd = fd;
		soaksink_message_drop(c);
		soaksink.nsessions++;
		slot_add(fd, c, POLLIN);
		greet(c);
		if (soaksink_run(c) == -1)
			slot_remove(nslots - 1);
	}
}

static void
slot_watch(size_t slot)
{
	const struct soaksink_client	*c = clients[slot];
	short				 events = POLLRDHUP;

	if (c->hold_ms <= soaksink.now_ms) {
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
		left = clients[slot]->hold_ms - soaksink.now_ms;
		if (left > 0 && left < least)
			least = left;
	}
	return (int)least;
}

static void
serve(int listener)
{
	static const int	 signals[] = { SIGTERM, 0 };
	struct soaksink_client	*c;
	size_t			 slot;

	slot_add(tool_catch_signals(signals), NULL, POLLIN);
	slot_add(listener, NULL, POLLIN);
	for (;;) {
		read_clock();
		if (poll(pfds, (nfds_t)nslots, poll_ms()) == -1) {
			if (errno == EINTR)
				continue;
			err(1, "poll");
		}
		if (pfds[SLOT_SIGNAL].revents != 0)
			return;
		read_clock();
		/* Backwards: the last slot takes the place of a closed one. */
		for (slot = nslots; slot-- > SLOT_FIXED_MAX;) {
			c = clients[slot];
			if (c->hold_ms != 0 && c->hold_ms <= soaksink.now_ms)
				c->hold_ms = 0;
			else if (pfds[slot].revents == 0)
				continue;
			/* Held, and broken: there is nobody to hold it for. */
			if ((c->hold_ms != 0 && pfds[slot].revents != 0) ||
			    soaksink_run(c) == -1)
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
	tool_set_nonblocking(fd);
	return fd;
}

static void
tls_prepare(const char *cert, const char *key)
{
	soaksink.ctx = tool_stream_context(TLS_server_method());
	if (SSL_CTX_use_certificate_chain_file(soaksink.ctx, cert) != 1 ||
	    SSL_CTX_use_PrivateKey_file(soaksink.ctx, key,
	    SSL_FILETYPE_PEM) != 1)
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
			if (inet_pton(AF_INET, optarg, &soaksink.flaky) != 1)
				errx(1, "%s: no address", optarg);
			break;
		case 'j':
			path = optarg;
			break;
		case 'k':
			key = optarg;
			break;
		case 'p':
			port = tool_number(optarg, 1, 65535);
			break;
		case 's':
			soaksink.rng.state = tool_number(optarg, 0, UINT32_MAX);
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
	if ((soaksink.journal = fopen(path, "w")) == NULL)
		err(1, "%s", path);
	tool_prepare();
	serve(listen_on(port));
	if (fclose(soaksink.journal) != 0)
		err(1, "%s", path);
	printf("soaksink: sessions=%llu messages=%llu unnamed=%llu "
	    "handshakes=%llu open=%zu\n",
	    (unsigned long long)soaksink.nsessions,
	    (unsigned long long)soaksink.nmessages,
	    (unsigned long long)soaksink.nunnamed,
	    (unsigned long long)soaksink.nhandshakes, nslots - SLOT_FIXED_MAX);
	return 0;
}
