/*
 * The parent's part of logging: it opens the sinks and passes them to the
 * logger, and takes care of its own lines while there is none.  Parent only.
 */
#include <sys/types.h>

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "../common/log.h"
#include "proc.h"
#include "proc_private.h"

#define SINK_MS		500		/* not opened more often */

static struct {
	enum log_sink_kind	 kind;
	int			(*open)(void);
	const char		*tag;
	int			 own_fd;	/* direct lines, at the end */
	int			 is_away;	/* not opened: said once */
	int64_t			 opened_ms;
} sink = { LOG_SINK_NONE, NULL, "", -1, 0, 0 };

void
proc_set_log_sink(enum log_sink_kind kind, int (*open_sink)(void),
    const char *tag)
{
	sink.kind = kind;
	sink.open = open_sink;
	sink.tag = tag;
	proc_log_start(pp.loop);
	/* Until the first logger is there the admin sees us at the start. */
	proc_log_set_direct(LOG_SINK_STDERR, -1, tag,
	    kind != LOG_SINK_STDERR);
}

static void
sink_send(struct proc_child *c)
{
	struct msg_writer	w;
	int			fd;

	errno = 0;
	fd = sink.open == NULL ? -1 : sink.open();
	msg_start(&w, fd == -1 ? MSG_LOG_NOFD : MSG_LOG_SINK, 0);
	sink.opened_ms = pp.loop->now_ms;
	if (fd == -1 && errno != 0) {
		if (!sink.is_away)
			log_warn("log sink");
		sink.is_away = 1;
		msg_put_u8(&w, LOG_SINK_NONE);
	} else {
		sink.is_away = 0;
		msg_put_u8(&w, (uint8_t)sink.kind);
	}
	if (chan_send(&c->chan, &w, &fd, fd == -1 ? 0 : 1,
	    CHAN_FDS_CLOSE) == -1)
		proc_child_kill(c, "settings could not be sent");
}

void
proc_sink_setup(struct proc_child *c)
{
	struct msg_writer	w;

	msg_start(&w, MSG_LOG_CONF, 0);
	msg_put_u8(&w, pp.verbose ? 1 : 0);
	msg_put_u32(&w, (uint32_t)getpid());
	msg_put_str(&w, sink.tag);
	if (chan_send(&c->chan, &w, NULL, 0, CHAN_FDS_KEEP) == -1) {
		proc_child_kill(c, "settings could not be sent");
		return;
	}
	sink_send(c);
}

void
proc_sink_ready(struct proc_child *c)
{
	proc_log_set_direct(LOG_SINK_NONE, -1, sink.tag, 0);
	proc_log_set_chan(&c->chan);
}

void
proc_sink_gone(void)
{
	proc_log_set_chan(NULL);
	if (pp.stopping == STOPPING_NO)
		return;			/* they wait for the next one */
	if (sink.own_fd == -1 && sink.open != NULL)
		sink.own_fd = sink.open();
	proc_log_set_direct(sink.kind, sink.own_fd, sink.tag, 0);
}

/* It asks again; one that asks all the time does not keep us busy. */
void
proc_sink_lost(struct proc_child *c)
{
	if (pp.loop->now_ms - sink.opened_ms >= SINK_MS)
		sink_send(c);
}
