/*
 * smtpproxyd with workers that lie: the same parent and logger, but a worker
 * that breaks one rule of the channel when its first session comes.  Which
 * one, the configuration's hostname says ("type.liar.example").  For
 * regress/system: the parent must kill and replace it, and live.
 */
#include <sys/types.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <err.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../common/log.h"
#include "../../common/port/port.h"
#include "../../privsep/logger.h"
#include "../../privsep/proc.h"
#include "../../smtpproxyd/conf_load.h"
#include "../../smtpproxyd/conf_wire.h"
#include "../../smtpproxyd/messages.h"
#include "../../smtpproxyd/parent.h"
#include "../../smtpproxyd/resolve.h"

#define FLOOD		100000
#define LIAR_STAYS_MS	30000

static struct loop	 loop;
static struct chan	 parent;
static struct conf	*conf;
static char		 lie[32];

/* Around the message table, which would stop us on our own side. */
static void
send_raw(int to, const void *data, size_t len, const int *fds, size_t nfds)
{
	union {
		struct cmsghdr	hdr;
		unsigned char	room[CMSG_SPACE(2 * sizeof(int))];
	} control;
	struct cmsghdr	*cmsg;
	struct msghdr	 m;
	struct iovec	 iov;

	memset(&m, 0, sizeof(m));
	memset(&control, 0, sizeof(control));
	memcpy(&iov.iov_base, &data, sizeof(void *));
	iov.iov_len = len;
	m.msg_iov = &iov;
	m.msg_iovlen = 1;
	if (nfds > 0) {
		m.msg_control = control.room;
		m.msg_controllen = (socklen_t)CMSG_SPACE(nfds * sizeof(int));
		cmsg = CMSG_FIRSTHDR(&m);
		cmsg->cmsg_len = (socklen_t)CMSG_LEN(nfds * sizeof(int));
		cmsg->cmsg_level = SOL_SOCKET;
		cmsg->cmsg_type = SCM_RIGHTS;
		memcpy(CMSG_DATA(cmsg), fds, nfds * sizeof(int));
	}
	(void)sendmsg(to, &m, MSG_NOSIGNAL);
}

static void
send_fds(uint16_t type, uint64_t id, const int *fds, size_t nfds)
{
	struct msg_writer	w;

	msg_start(&w, type, id);
	if (msg_finish(&w) == 0)
		send_raw(parent.fd, w.data, w.used, fds, nfds);
}

static void
send_plain(uint16_t type, uint64_t id)
{
	send_fds(type, id, NULL, 0);
}

static void
send_number(uint16_t type, uint64_t id, uint32_t number)
{
	struct msg_writer	w;

	msg_start(&w, type, id);
	msg_put_u32(&w, number);
	if (msg_finish(&w) == 0)
		send_raw(parent.fd, w.data, w.used, NULL, 0);
}

/* --- Lies; id and descriptors are those of the session that came. --- */

static void
lie_session(uint64_t id, const int *fds)
{
	(void)fds;
	send_plain(MSG_SESSION_END, id + 1000);
}

static void
lie_twice(uint64_t id, const int *fds)
{
	(void)fds;
	send_plain(MSG_SESSION_END, id);
	send_plain(MSG_SESSION_END, id);
}

static void
lie_choice(uint64_t id, const int *fds)
{
	(void)fds;
	send_number(MSG_CONNECT, id, 9);
}

static void
lie_repeat(uint64_t id, const int *fds)
{
	(void)fds;
	send_number(MSG_CONNECT, id, 1);
	send_number(MSG_CONNECT, id, 1);
}

/* The first choice is the parent's own to take. */
static void
lie_first(uint64_t id, const int *fds)
{
	(void)fds;
	send_number(MSG_CONNECT, id, 0);
}

/* A session that nobody has. */
static void
lie_stranger(uint64_t id, const int *fds)
{
	(void)fds;
	send_number(MSG_CONNECT, id + 1000, 1);
}

/* It would like to say itself where the connection goes. */
static void
lie_address(uint64_t id, const int *fds)
{
	struct msg_writer	w;
	struct addr		a;

	(void)fds;
	memset(&a, 0, sizeof(a));
	a.family = AF_INET;
	a.ip[0] = 10;
	a.ip[1] = 2;
	a.ip[3] = 3;
	a.port = 25;
	msg_start(&w, MSG_CONNECT, id);
	msg_put_u32(&w, 1);
	msg_put_addr(&w, &a);
	if (msg_finish(&w) == 0)
		send_raw(parent.fd, w.data, w.used, NULL, 0);
}

static void
lie_after(uint64_t id, const int *fds)
{
	(void)fds;
	send_plain(MSG_SESSION_END, id);
	send_number(MSG_CONNECT, id, 1);
}

/* The session before ours is the other worker's, which keeps quiet. */
static void
lie_other(uint64_t id, const int *fds)
{
	(void)fds;
	if (proc_child_instance() == 1)
		send_number(MSG_CONNECT, id - 1, 1);
}

static void
lie_type(uint64_t id, const int *fds)
{
	(void)id;
	(void)fds;
	send_number(MSG_CONF_BEGIN, 0, 1);
}

static void
lie_unknown(uint64_t id, const int *fds)
{
	(void)id;
	(void)fds;
	send_plain(250, 0);
}

static void
lie_size(uint64_t id, const int *fds)
{
	(void)fds;
	send_number(MSG_SESSION_END, id, 1);
}

static void
lie_short(uint64_t id, const int *fds)
{
	(void)fds;
	send_plain(MSG_CONNECT, id);
}

static void
lie_descriptor(uint64_t id, const int *fds)
{
	send_fds(MSG_SESSION_END, id, fds, 1);
}

static void
lie_descriptors(uint64_t id, const int *fds)
{
	send_fds(MSG_SESSION_END, id, fds, 2);
}

static void
lie_state(uint64_t id, const int *fds)
{
	(void)id;
	(void)fds;
	send_number(MSG_READY, 0, 64);
}

static void
lie_hello(uint64_t id, const int *fds)
{
	struct msg_writer	w;

	(void)id;
	(void)fds;
	msg_start(&w, MSG_HELLO, 0);
	msg_put_str(&w, "liar");
	msg_put_u8(&w, PROC_WORKER);
	msg_put_u32(&w, 0);
	if (msg_finish(&w) == 0)
		send_raw(parent.fd, w.data, w.used, NULL, 0);
}

static void
lie_failed(uint64_t id, const int *fds)
{
	struct msg_writer	w;

	(void)id;
	(void)fds;
	msg_start(&w, MSG_FAILED, 0);
	msg_put_str(&w, "no, it did not");
	if (msg_finish(&w) == 0)
		send_raw(parent.fd, w.data, w.used, NULL, 0);
}

static void
lie_pong(uint64_t id, const int *fds)
{
	(void)fds;
	send_plain(MSG_PONG, id);
}

static void
lie_sink(uint64_t id, const int *fds)
{
	(void)id;
	(void)fds;
	send_plain(MSG_SINK_LOST, 0);
}

static void
lie_garbage(uint64_t id, const int *fds)
{
	static const uint8_t	garbage[] = "\377\377\377\377garbage";

	(void)id;
	(void)fds;
	send_raw(parent.fd, garbage, sizeof(garbage), NULL, 0);
}

/* Whole, but its length field is another. */
static void
lie_header(uint64_t id, const int *fds)
{
	struct msg_writer	w;

	(void)fds;
	msg_start(&w, MSG_SESSION_END, id);
	if (msg_finish(&w) == 0) {
		w.data[2] = 1;
		send_raw(parent.fd, w.data, w.used, NULL, 0);
	}
}

static void
lie_length(uint64_t id, const int *fds)
{
	(void)id;
	(void)fds;
	send_raw(parent.fd, "short", 5, NULL, 0);
}

static void
lie_large(uint64_t id, const int *fds)
{
	static uint8_t	octets[MSG_MAX + 1];

	(void)id;
	(void)fds;
	send_raw(parent.fd, octets, sizeof(octets), NULL, 0);
}

static void
lie_empty(uint64_t id, const int *fds)
{
	(void)id;
	(void)fds;
	send_raw(parent.fd, "", 0, NULL, 0);
}

static void
lie_flood(uint64_t id, const int *fds)
{
	uint32_t	i;

	(void)fds;
	for (i = 0; i < FLOOD; i++)
		send_number(MSG_CONNECT, id, i);
}

/* It closes its channel and lives on. */
static void
lie_close(uint64_t id, const int *fds)
{
	(void)id;
	(void)fds;
	(void)shutdown(parent.fd, SHUT_RDWR);
	for (;;)
		(void)poll(NULL, 0, -1);
}

/* It runs, but serves nobody. */
static void
lie_spin(uint64_t id, const int *fds)
{
	volatile uint64_t	n = id;

	(void)fds;
	for (;;)
		n++;
}

static void
lie_shout(uint64_t id, const int *fds)
{
	int	i;

	(void)fds;
	for (i = 0; i < FLOOD; i++)
		log_info("shout %d of session %llu", i,
		    (unsigned long long)id);
}

static void
send_log(const char *text, uint8_t priority)
{
	struct msg_writer	w;
	struct chan		*logger = proc_child_peer(PROC_LOGGER, 0);

	msg_start(&w, MSG_LOG, 0);
	msg_put_u8(&w, priority);
	msg_put_str(&w, text);
	if (logger != NULL && msg_finish(&w) == 0)
		send_raw(logger->fd, w.data, w.used, NULL, 0);
}

/* A line that its own process did not escape. */
static void
lie_forge(uint64_t id, const int *fds)
{
	(void)id;
	(void)fds;
	send_log("begin\nparent 1: forged\033[31m\177\302\233 end", LOG_INFO);
}

static void
lie_priority(uint64_t id, const int *fds)
{
	(void)id;
	(void)fds;
	send_log("of a priority that is none", 99);
}

static const struct lie {
	const char	*name;
	void		(*tell)(uint64_t, const int *);
} lies[] = {
	{ "session",	lie_session },
	{ "twice",	lie_twice },
	{ "choice",	lie_choice },
	{ "repeat",	lie_repeat },
	{ "first",	lie_first },
	{ "stranger",	lie_stranger },
	{ "address",	lie_address },
	{ "after",	lie_after },
	{ "other",	lie_other },
	{ "type",	lie_type },
	{ "unknown",	lie_unknown },
	{ "size",	lie_size },
	{ "short",	lie_short },
	{ "descriptor",	lie_descriptor },
	{ "descriptors", lie_descriptors },
	{ "state",	lie_state },
	{ "hello",	lie_hello },
	{ "failed",	lie_failed },
	{ "pong",	lie_pong },
	{ "sink",	lie_sink },
	{ "garbage",	lie_garbage },
	{ "header",	lie_header },
	{ "length",	lie_length },
	{ "large",	lie_large },
	{ "empty",	lie_empty },
	{ "flood",	lie_flood },
	{ "close",	lie_close },
	{ "spin",	lie_spin },
	{ "shout",	lie_shout },
	{ "forge",	lie_forge },
	{ "priority",	lie_priority }
};

static void
tell_lie(uint64_t id, const int *fds)
{
	size_t	i;

	for (i = 0; i < sizeof(lies) / sizeof(lies[0]); i++)
		if (strcmp(lie, lies[i].name) == 0)
			lies[i].tell(id, fds);
}

static void
liar_on_msg(struct chan *c, struct msg *m, void *arg)
{
	(void)arg;
	if (proc_child_msg(c, m))
		return;
	if (m->type == MSG_STOP)
		exit(0);
	if (m->type == MSG_SESSION_NEW || m->type == MSG_SESSION_NEW_ALONE)
		tell_lie(m->id, m->fd);
}

/* Whoever was found out does not go by himself. */
static void
liar_on_end(struct chan *c, const char *reason, void *arg)
{
	(void)c;
	(void)reason;
	(void)arg;
	(void)poll(NULL, 0, LIAR_STAYS_MS);
	exit(0);
}

static void
liar_receive_conf(void)
{
	uint8_t			 room[MSG_MAX];
	struct msg		 m;
	struct msg_reader	 r;
	const uint8_t		*octets;
	size_t			 len;

	if ((conf = conf_new()) == NULL)
		fatal("configuration");
	do {
		chan_wait(&parent, &m, room, 30000);
		if (m.type != MSG_CONF_RECORD)
			continue;
		msg_reader_init(&r, &m);
		octets = msg_octets(&r, &len);
		if (msg_done(&r) == -1 ||
		    conf_wire_read(conf, octets, len) == -1)
			fatalx("record");
	} while (m.type != MSG_CONF_END);
	(void)strlcpy(lie, conf->hostname, sizeof(lie));
	lie[strcspn(lie, ".")] = '\0';
}

static _Noreturn void
liar_main(int fd)
{
	proc_child_start(&parent, &loop, 1, fd, PROC_WORKER);
	liar_receive_conf();
	chan_set_handlers(&parent, liar_on_msg, liar_on_end, NULL);
	proc_child_ready(&parent);
	(void)loop_run(&loop);
	exit(1);
}

static const struct proc_row	table[] = {
	{ .role = PROC_PARENT, .name = "parent",
	  .peers = ROLE(PROC_WORKER) | ROLE(PROC_LOGGER),
	  .on_death = DEATH_STOP_ALL },
	{ .role = PROC_WORKER, .name = "worker", .main = liar_main,
	  .user = USER_CONF, .root = ROOT_CONF, .promises = "stdio recvfd",
	  .peers = ROLE(PROC_PARENT) | ROLE(PROC_LOGGER),
	  .on_death = DEATH_RESTART },
	{ .role = PROC_LOGGER, .name = "logger", .main = logger_main,
	  .user = USER_CONF, .root = ROOT_CONF, .promises = "stdio recvfd",
	  .peers = ROLE(PROC_PARENT) | ROLE(PROC_WORKER),
	  .on_death = DEATH_RESTART }
};

int
main(int argc, char *argv[], char *envp[])
{
	const struct proc_row	*row;
	struct parent_options	 o;
	struct conf		*c;
	const char		*file = NULL, *role = NULL;
	char			 self[1024];
	int			 ch;

	port_title_init(argc, argv, envp);
	while ((ch = getopt(argc, argv, "df:I:P:")) != -1) {
		if (ch == 'f')
			file = optarg;
		else if (ch == 'P')
			role = optarg;
	}
	log_init("parent", 0);
	proc_init(table, sizeof(table) / sizeof(table[0]), messages,
	    nmessages, "liar");
	if (role != NULL) {
		if ((row = proc_row_by_name(role)) == NULL ||
		    row->main == NULL)
			errx(1, "%s", role);
		row->main(3);
	}
	if (file == NULL || port_self_path(argv[0], self, sizeof(self)) == -1)
		errx(1, "usage: liar -d -f file");
	if ((c = conf_load(file, NULL, NULL)) == NULL)
		return 1;
	memset(&o, 0, sizeof(o));
	o.self_path = self;
	o.is_foreground = 1;
	return parent_run(c, &o);
}
