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

#define FLOOD	100000

static struct loop	 loop;
static struct chan	 parent;
static struct conf	*conf;
static char		 lie[32];

/* Around the message table, which would stop us on our own side. */
static void
send_raw(const void *data, size_t len, int fd)
{
	union {
		struct cmsghdr	hdr;
		unsigned char	room[CMSG_SPACE(sizeof(int))];
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
	if (fd != -1) {
		m.msg_control = &control;
		m.msg_controllen = sizeof(control.room);
		cmsg = CMSG_FIRSTHDR(&m);
		cmsg->cmsg_len = CMSG_LEN(sizeof(int));
		cmsg->cmsg_level = SOL_SOCKET;
		cmsg->cmsg_type = SCM_RIGHTS;
		memcpy(CMSG_DATA(cmsg), &fd, sizeof(fd));
	}
	(void)sendmsg(parent.fd, &m, MSG_NOSIGNAL);
}

static void
send_lie(uint16_t type, uint64_t id, int has_choice, uint32_t choice, int fd)
{
	struct msg_writer	w;

	msg_start(&w, type, id);
	if (has_choice)
		msg_put_u32(&w, choice);
	if (msg_finish(&w) == 0)
		send_raw(w.data, w.used, fd);
}

static void
tell_lie(uint64_t id, int fd)
{
	static const uint8_t	garbage[] = "\377\377\377\377garbage";
	int			i;

	if (strcmp(lie, "session") == 0)
		send_lie(MSG_SESSION_END, id + 1000, 0, 0, -1);
	else if (strcmp(lie, "twice") == 0)
		for (i = 0; i < 2; i++)
			send_lie(MSG_SESSION_END, id, 0, 0, -1);
	else if (strcmp(lie, "choice") == 0)
		send_lie(MSG_CONNECT, id, 1, 9, -1);
	else if (strcmp(lie, "repeat") == 0)
		for (i = 0; i < 2; i++)
			send_lie(MSG_CONNECT, id, 1, 1, -1);
	else if (strcmp(lie, "type") == 0)
		send_lie(MSG_CONF_BEGIN, 0, 1, 1, -1);
	else if (strcmp(lie, "unknown") == 0)
		send_lie(250, 0, 0, 0, -1);
	else if (strcmp(lie, "size") == 0)
		send_lie(MSG_SESSION_END, id, 1, 1, -1);
	else if (strcmp(lie, "descriptor") == 0)
		send_lie(MSG_SESSION_END, id, 0, 0, fd);
	else if (strcmp(lie, "state") == 0)
		send_lie(MSG_READY, 0, 1, 64, -1);
	else if (strcmp(lie, "garbage") == 0)
		send_raw(garbage, sizeof(garbage), -1);
	else if (strcmp(lie, "flood") == 0)
		for (i = 0; i < FLOOD; i++)
			send_lie(MSG_CONNECT, id, 1, (uint32_t)i, -1);
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
		tell_lie(m->id, m->fd[0]);
}

static void
liar_on_end(struct chan *c, const char *reason, void *arg)
{
	(void)c;
	(void)reason;
	(void)arg;
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
	if (loop_init(&loop, 1) == -1)
		fatal("loop");
	proc_child_start(&parent, &loop, fd, PROC_WORKER);
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
