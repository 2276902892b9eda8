/*
 * This process's log lines on their way to the logger.
 *
 * Runs in the parent and in every child but the logger.  Lines wait here for
 * the end of a pass, or for a logger, in one buffer of fixed size: whoever
 * makes us log can't make us grow, and can't make us wait.
 */
#include <sys/types.h>
#include <sys/uio.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "../common/log.h"
#include "../common/port/port.h"
#include "proc.h"
#include "proc_private.h"

#define REC_HEAD	3		/* priority, length as on the wire */
#define REC_SPACE	(32 * 1024)
#define MSG_SPACE	(MSG_MAX - MSG_HEADER)
#define COUNT_RETRY_MS	1000

static struct {
	struct loop	*loop;
	struct chan	*chan;		/* NULL: no logger */
	struct timer	 timer;
	uint8_t		 data[REC_SPACE];
	size_t		 used;
	size_t		 nrecords;
	uint64_t	 ndropped;	/* not yet reported */
	enum log_sink_kind direct;
	int		 direct_fd;
	const char	*direct_tag;
	int		 keep;		/* in the ring too */
	int		 keep_fatal;
	char		 fatal_line[1000];
} lg;

static size_t
rec_len(const uint8_t *p)
{
	return (size_t)(p[1] << 8 | p[2]);
}

/* Take n octets of whole records from the front. */
static void
ring_drop(size_t octets, size_t nrecords)
{
	lg.used -= octets;
	lg.nrecords -= nrecords;
	memmove(lg.data, lg.data + octets, lg.used);
}

static void
ring_add(int priority, const char *line, size_t len)
{
	uint8_t	*p;

	while (lg.nrecords == PROC_LOG_RING ||
	    REC_HEAD + len > sizeof(lg.data) - lg.used) {
		ring_drop(REC_HEAD + rec_len(lg.data), 1);
		lg.ndropped++;
	}
	p = lg.data + lg.used;
	p[0] = (uint8_t)priority;
	p[1] = (uint8_t)(len >> 8);
	p[2] = (uint8_t)(len & 0xff);
	memcpy(p + REC_HEAD, line, len);
	lg.used += REC_HEAD + len;
	lg.nrecords++;
}

static void
put_count(struct msg_writer *w)
{
	char	line[64];

	(void)snprintf(line, sizeof(line), "%llu log records dropped",
	    (unsigned long long)lg.ndropped);
	msg_put_u8(w, LOG_WARNING);
	msg_put_str(w, line);
}

/*
 * Fill one message with what waits.
 *   returns   octets of the records taken, their number in *n
 */
static size_t
fill(struct msg_writer *w, size_t *n)
{
	size_t	pos = 0, len;

	*n = 0;
	msg_start(w, MSG_LOG, 0);
	if (lg.ndropped > 0)
		put_count(w);
	while (pos < lg.used) {
		len = rec_len(lg.data + pos);
		if (REC_HEAD + len > sizeof(w->data) - w->used)
			break;
		msg_put_u8(w, lg.data[pos]);
		msg_put_octets(w, lg.data + pos + REC_HEAD, len);
		pos += REC_HEAD + len;
		(*n)++;
	}
	return pos;
}

/* Nobody may have a reason to log again: the count is told all the same. */
static void
count_later(void)
{
	if (lg.loop == NULL)
		return;
	/* Where this fails, the next record brings the count along. */
	(void)timer_set(&lg.loop->timers, &lg.timer,
	    lg.loop->now_ms + COUNT_RETRY_MS);
}

void
proc_log_flush(void)
{
	struct msg_writer	w;
	size_t			octets, n;

	if (lg.loop != NULL)
		timer_end(&lg.loop->timers, &lg.timer);
	while ((lg.used > 0 || lg.ndropped > 0) && lg.chan != NULL) {
		octets = fill(&w, &n);
		if (chan_send_lossy(lg.chan, &w) == 0)
			lg.ndropped = 0;
		else if (errno == EPIPE) {
			lg.chan = NULL;		/* they wait for the next */
			return;
		} else
			lg.ndropped += n;
		ring_drop(octets, n);
		if (lg.used == 0 && lg.ndropped > 0) {
			count_later();
			return;
		}
	}
}

static void
on_timer(struct timer *t, void *arg, int64_t now_ms)
{
	(void)t;
	(void)arg;
	(void)now_ms;
	proc_log_flush();
}

/* The parent, alone: as the logger would write it. */
static void
write_direct(int priority, const char *line, size_t len)
{
	char		text[LOG_LINE_MAX + 64];
	struct iovec	iov[2];
	int		n;

	n = snprintf(text, sizeof(text), "%s %ld: %.*s",
	    proc_role_name(PROC_PARENT), (long)getpid(), (int)len, line);
	if (n < 0 || (size_t)n >= sizeof(text))
		return;			/* it has room for both */
	if (lg.direct == LOG_SINK_SYSLOG) {
		/* No one is left to be told when it fails. */
		(void)port_syslog_send(lg.direct_fd, LOG_MAIL | priority,
		    lg.direct_tag, text, (size_t)n);
		return;
	}
	iov[0].iov_base = text;
	iov[0].iov_len = (size_t)n;
	iov[1].iov_base = (void *)(uintptr_t)"\n";
	iov[1].iov_len = 1;
	while (writev(STDERR_FILENO, iov, 2) == -1 && errno == EINTR)
		;
}

static void
on_line(void *arg, int priority, const char *line, size_t len)
{
	(void)arg;
	if (len > LOG_LINE_MAX)
		len = LOG_LINE_MAX;
	if (priority == LOG_CRIT && lg.keep_fatal) {
		(void)snprintf(lg.fatal_line, sizeof(lg.fatal_line), "%.*s",
		    (int)len, line);
		return;
	}
	if (lg.direct != LOG_SINK_NONE) {
		write_direct(priority, line, len);
		if (!lg.keep)
			return;
	}
	if (lg.chan != NULL && (lg.nrecords == PROC_LOG_RING ||
	    lg.used + REC_HEAD + len > MSG_SPACE))
		proc_log_flush();
	ring_add(priority, line, len);
	/* A process that ends has no next pass. */
	if (priority <= LOG_CRIT || lg.loop == NULL ||
	    timer_set(&lg.loop->timers, &lg.timer, lg.loop->now_ms) == -1)
		proc_log_flush();
}

void
proc_log_start(struct loop *loop)
{
	timer_init(&lg.timer, on_timer, NULL);
	lg.loop = loop;
	lg.chan = NULL;
	lg.used = 0;
	lg.nrecords = 0;
	lg.ndropped = 0;
	log_set_sink(on_line, NULL);
}

void
proc_log_set_chan(struct chan *ch)
{
	lg.chan = ch;
	if (ch != NULL)
		proc_log_flush();
}

void
proc_log_set_direct(enum log_sink_kind kind, int fd, const char *tag,
    int keep)
{
	lg.direct = kind;
	lg.direct_fd = fd;
	lg.direct_tag = tag;
	lg.keep = keep;
}

void
proc_log_keep_fatal(int on)
{
	lg.keep_fatal = on;
	lg.fatal_line[0] = '\0';
}

const char *
proc_log_fatal_line(void)
{
	return lg.fatal_line;
}
