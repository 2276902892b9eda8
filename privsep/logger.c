/*
 * The logger process: records of all others, to the sinks that the parent
 * opened.  It trusts the parent; what another process says is escaped anew
 * and marked with who it is, as known from the channel it came by.  Nobody
 * waits for it, and it waits for no sink: what a sink does not take at once
 * is lost and counted.
 */
#include "logger.h"

#include <sys/types.h>

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../common/log.h"
#include "../common/port/port.h"
#include "../common/strutil.h"
#include "proc.h"

#define RATE_MAX	2000		/* records a second and peer */
#define RATE_MS		1000
#define REST_MS		10		/* until the next records are read */
#define LOST_MS		1000		/* ask for a new sink no faster */
#define SETUP_MS	30000
#define SOURCES_MAX	PROC_CHILDREN_MAX
#define TEXT_MAX	(LOG_LINE_MAX + 64)
#define LINES_MAX	(PIPE_BUF > TEXT_MAX ? PIPE_BUF : TEXT_MAX + 1)

/* What is kept of each process that sends records. */
struct source {
	enum proc_role	role;
	uint32_t	instance;
	pid_t		pid;
	uint32_t	nrecords;	/* in this second */
	uint64_t	ndropped;
	int64_t		since_ms;
};

static struct {
	struct loop		 loop;
	struct chan		 parent;
	struct timer		 second;
	enum log_sink_kind	 kind;
	int			 fd;		/* -1: none, or none needed */
	char			 tag[64];
	int			 verbose;
	pid_t			 parent_pid;
	struct source		 source[SOURCES_MAX];
	size_t			 nsources;
	uint64_t		 nlost;		/* the sink took them not */
	char			 lines[LINES_MAX];
	size_t			 lines_used;
	size_t			 nlines;
	int			 has_records;	/* in this pass */
	int64_t			 asked_ms;	/* for a new sink */
} lo;

/*
 * A terminal or pipe that is full must not stop us: one that takes anything
 * takes PIPE_BUF octets.  A file or socket may take less, and then the rest.
 */
static int
stderr_write(const char *text, size_t len)
{
	struct pollfd	p;
	ssize_t		n;

	p.fd = lo.fd;
	p.events = POLLOUT;
	while (len > 0) {
		p.revents = 0;
		if (poll(&p, 1, 0) != 1 || !(p.revents & POLLOUT))
			return -1;
		n = write(lo.fd, text, len);
		if (n == -1 && errno == EINTR)
			continue;
		if (n <= 0)
			return -1;
		text += n;
		len -= (size_t)n;
	}
	return 0;
}

/* The lines of a pass, for standard error. */
static void
stderr_flush(void)
{
	if (lo.nlines == 0)
		return;
	if (stderr_write(lo.lines, lo.lines_used) == -1)
		lo.nlost += lo.nlines;
	lo.nlines = 0;
	lo.lines_used = 0;
}

static void
stderr_add(const char *text, size_t len)
{
	if (lo.lines_used + len + 1 > PIPE_BUF)
		stderr_flush();
	memcpy(lo.lines + lo.lines_used, text, len);
	lo.lines_used += len;
	lo.lines[lo.lines_used++] = '\n';
	lo.nlines++;
}

/* syslogd was restarted, or is away: a new socket, from the parent. */
static void
ask_for_sink(void)
{
	struct msg_writer	w;
	int64_t			now_ms = lo.loop.now_ms;

	if (lo.asked_ms != 0 && now_ms - lo.asked_ms < LOST_MS)
		return;
	lo.asked_ms = now_ms;
	msg_start(&w, MSG_SINK_LOST, 0);
	if (msg_finish(&w) == 0)
		(void)chan_send(&lo.parent, &w,
		    NULL, 0, CHAN_FDS_KEEP); /* asked again */
}

static void
sink_write(int priority, const char *text, size_t len)
{
	int	rc = -1;

	switch (lo.kind) {
	case LOG_SINK_STDERR:
		stderr_add(text, len);
		rc = 0;			/* or lost later on */
		break;
	case LOG_SINK_SYSLOG:
		rc = port_syslog_send(lo.fd, LOG_MAIL | priority, lo.tag,
		    text, len);
		if (rc == -1 && errno != EAGAIN && errno != ENOBUFS)
			ask_for_sink();
		break;
	case LOG_SINK_NONE:
		ask_for_sink();
		break;
	}
	if (rc == -1)
		lo.nlost++;
}

static void
record_write(const struct source *s, int priority, const void *text,
    size_t len)
{
	char	line[TEXT_MAX], name[PROC_NAME_MAX];
	int	n;
	size_t	used;

	n = snprintf(line, sizeof(line), "%s %ld: ",
	    proc_name(name, s->role, s->instance), (long)s->pid);
	if (n < 0)
		return;
	used = (size_t)n + str_escape_line(line + n, LOG_LINE_MAX, text, len);
	sink_write(priority, line, used);
}

/* Our own words. */
static void
logger_say(int priority, const char *text)
{
	struct source	self;

	memset(&self, 0, sizeof(self));
	self.role = PROC_LOGGER;
	self.pid = getpid();
	record_write(&self, priority, text, strlen(text));
}

static void
logger_own_line(void *arg, int priority, const char *line, size_t len)
{
	(void)arg;
	(void)len;
	logger_say(priority, line);
	stderr_flush();			/* it may be our last */
}

/*
 * Behind records there are more: until then they wait in the channels, and
 * whoever sends them need not wake us for each.
 */
static void
logger_after(void *arg, int64_t now_ms)
{
	(void)arg;
	(void)now_ms;
	stderr_flush();
	if (lo.has_records && !lo.loop.is_stopping)
		(void)poll(NULL, 0, REST_MS);
	lo.has_records = 0;
}

static void
source_report(struct source *s)
{
	char	text[96];

	if (s->ndropped == 0)
		return;
	(void)snprintf(text, sizeof(text), "%llu records dropped: more than "
	    "%d a second", (unsigned long long)s->ndropped, RATE_MAX);
	s->ndropped = 0;
	record_write(s, LOG_WARNING, text, strlen(text));
}

static struct source *
source_of(enum proc_role role, uint32_t instance)
{
	struct source	*s;
	size_t		 i;

	for (i = 0; i < lo.nsources; i++) {
		s = &lo.source[i];
		if (s->role == role && s->instance == instance)
			return s;
	}
	if (lo.nsources == SOURCES_MAX)
		return NULL;
	s = &lo.source[lo.nsources++];
	s->role = role;
	s->instance = instance;
	s->pid = role == PROC_PARENT ? lo.parent_pid : 0;
	return s;
}

/* May this source write one more now? */
static int
source_take(struct source *s)
{
	if (lo.loop.now_ms - s->since_ms >= RATE_MS) {
		s->since_ms = lo.loop.now_ms;
		s->nrecords = 0;
		source_report(s);
	}
	if (s->nrecords >= RATE_MAX) {
		s->ndropped++;
		return 0;
	}
	s->nrecords++;
	return 1;
}

static void
logger_on_log(struct chan *ch, struct msg *m)
{
	struct msg_reader	 r;
	struct source		*s;
	const uint8_t		*text;
	size_t			 len;
	uint8_t			 priority;

	if ((s = source_of(ch->peer, ch->instance)) == NULL)
		return;
	lo.has_records = 1;
	msg_reader_init(&r, m);
	while (r.left > 0) {
		priority = msg_u8(&r);
		text = msg_octets(&r, &len);
		if (r.has_failed || priority > LOG_DEBUG) {
			chan_violation(ch, m->type, "content");
			return;
		}
		if (priority == LOG_DEBUG && !lo.verbose)
			continue;
		if (source_take(s))
			record_write(s, priority, text, len);
	}
}

static void
logger_take_sink(struct msg *m)
{
	struct msg_reader	r;
	uint8_t			kind;

	msg_reader_init(&r, m);
	kind = msg_u8(&r);
	if (msg_done(&r) == -1 || kind > LOG_SINK_STDERR)
		fatalx("log sink: malformed");
	stderr_flush();
	if (lo.fd != -1)
		(void)close(lo.fd);	/* it is lost anyhow */
	lo.kind = (enum log_sink_kind)kind;
	lo.fd = m->type == MSG_LOG_SINK ? msg_take_fd(m, 0) : -1;
}

static void
logger_on_msg(struct chan *ch, struct msg *m, void *arg)
{
	(void)arg;
	if (ch == &lo.parent && proc_child_msg(ch, m))
		return;
	switch (m->type) {
	case MSG_LOG:
		logger_on_log(ch, m);
		break;
	case MSG_LOG_SINK:
	case MSG_LOG_NOFD:
		logger_take_sink(m);
		break;
	case MSG_STOP:
		loop_stop(&lo.loop);
		break;
	default:
		chan_violation(ch, m->type, "not for the logger");
		break;
	}
}

static void
logger_on_end(struct chan *ch, const char *reason, void *arg)
{
	(void)reason;
	(void)arg;
	if (ch == &lo.parent)
		loop_stop(&lo.loop);
}

static void
logger_on_peer(struct chan *ch, pid_t pid, void *arg)
{
	struct source	*s;

	(void)arg;
	if ((s = source_of(ch->peer, ch->instance)) != NULL)
		s->pid = pid;
}

static void
logger_on_second(struct timer *t, void *arg, int64_t now_ms)
{
	char		text[64];
	uint64_t	nlost;
	size_t		i;

	(void)arg;
	for (i = 0; i < lo.nsources; i++)
		if (now_ms - lo.source[i].since_ms >= RATE_MS)
			source_report(&lo.source[i]);
	if ((nlost = lo.nlost) > 0) {
		(void)snprintf(text, sizeof(text), "%llu records lost: the "
		    "sink did not take them", (unsigned long long)nlost);
		lo.nlost = 0;
		logger_say(LOG_WARNING, text);
		if (lo.nlost > 0)
			lo.nlost = nlost;	/* nor this one */
	}
	if (lo.kind == LOG_SINK_NONE)
		ask_for_sink();
	/* Set before, so there is room; without it counts come late. */
	(void)timer_set(&lo.loop.timers, t, now_ms + RATE_MS);
}

static void
logger_receive_settings(void)
{
	uint8_t			 room[MSG_MAX];
	struct msg		 m;
	struct msg_reader	 r;

	chan_wait(&lo.parent, &m, room, SETUP_MS);
	if (m.type != MSG_LOG_CONF)
		fatalx("settings: message %u in their place", m.type);
	msg_reader_init(&r, &m);
	lo.verbose = msg_u8(&r) != 0;
	lo.parent_pid = (pid_t)msg_u32(&r);
	msg_str(&r, lo.tag, sizeof(lo.tag));
	if (msg_done(&r) == -1)
		fatalx("settings: malformed");
	chan_wait(&lo.parent, &m, room, SETUP_MS);
	if (m.type != MSG_LOG_SINK && m.type != MSG_LOG_NOFD)
		fatalx("log sink: message %u in its place", m.type);
	logger_take_sink(&m);
}

/* All others have ended; what they said last waits in their channels. */
static void
logger_drain(void)
{
	struct chan	*ch;
	size_t		 i;

	for (i = 0; i < lo.nsources; i++) {
		ch = proc_child_peer(lo.source[i].role, lo.source[i].instance);
		if (ch != NULL)
			chan_drain(ch);
	}
}

_Noreturn void
logger_main(int fd)
{
	static const struct proc_peer_ops	ops = {
		.on_peer = logger_on_peer,
		.on_msg = logger_on_msg,
		.on_end = logger_on_end
	};

	lo.fd = -1;
	proc_child_set_peers(&ops);
	proc_child_start(&lo.parent, &lo.loop, 0, fd, PROC_LOGGER);
	logger_receive_settings();
	timer_init(&lo.second, logger_on_second, NULL);
	if (timer_set(&lo.loop.timers, &lo.second,
	    lo.loop.now_ms + RATE_MS) == -1)
		fatal("timer");
	chan_set_handlers(&lo.parent, logger_on_msg, logger_on_end, NULL);
	proc_child_ready(&lo.parent);
	log_set_sink(logger_own_line, NULL);
	lo.loop.after = logger_after;
	if (loop_run(&lo.loop) == -1)
		fatal("poll");
	logger_drain();
	logger_on_second(&lo.second, NULL, lo.loop.now_ms);
	stderr_flush();
	exit(0);
}
