/*
 * Clients that wait in the parent for their destination.  Parent only: it
 * polls the destination's socket for the end of connect(2) and reads nothing.
 */
#include "waiting.h"

#include <sys/types.h>
#include <sys/socket.h>

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#define WAITING_MAX	1024	/* descriptors: two each */
#define WAITING_SHARE	128	/* of one client */

struct waiting {
	LIST_ENTRY(waiting)	 entry;
	struct session_record	*session;
	struct loop_fd		 lfd;
	struct timer		 timer;
	int			 client_fd;
	int			 dest_fd;	/* -1: none is under way */
	const char		*reason;	/* why the last one failed */
};
LIST_HEAD(waiting_list, waiting);

static struct waiting_list		 all;
static struct loop			*loop;
static const struct waiting_ops		*ops;
static size_t				 used;

static void	waiting_try(struct waiting *);

void
waiting_init(struct loop *l, const struct waiting_ops *o)
{
	LIST_INIT(&all);
	loop = l;
	ops = o;
}

/* With nothing unsent the peer sees a reset (SO_LINGER of no time). */
static void
waiting_reset(int fd)
{
	struct linger	l = { .l_onoff = 1, .l_linger = 0 };

	/* If that can't be set, the client sees a plain end. */
	(void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &l, sizeof(l));
	(void)close(fd);
}

static void
waiting_end_connect(struct waiting *w)
{
	timer_end(&loop->timers, &w->timer);
	if (w->dest_fd == -1)
		return;
	loop_del(loop, &w->lfd);
	(void)close(w->dest_fd);
	w->dest_fd = -1;
}

static void
waiting_free(struct waiting *w)
{
	waiting_end_connect(w);
	LIST_REMOVE(w, entry);
	used--;
	free(w);
}

static void
waiting_fail(struct waiting *w)
{
	sessions_note_refusal(&w->session->client, w->session->relay->name,
	    w->reason, loop->now_ms);
	waiting_reset(w->client_fd);
	sessions_remove(w->session);
	waiting_free(w);
}

static void
waiting_next(struct waiting *w)
{
	waiting_end_connect(w);
	if (w->session->choice + 1 >= w->session->relay->nchoices) {
		waiting_fail(w);
		return;
	}
	w->session->choice++;
	w->session->next = w->session->choice + 1;
	waiting_try(w);
}

static const char *
waiting_explain(int error)
{
	switch (error) {
	case ECONNREFUSED:
		return "reset: the destination refuses connections";
	case ETIMEDOUT:
		return "reset: timeout of the connection to the destination";
	case ENETUNREACH:
	case EHOSTUNREACH:
		return "reset: no route to the destination";
	default:
		return "reset: no connection to the destination";
	}
}

static void
waiting_on_connect(struct loop_fd *lf, short revents, void *arg)
{
	struct waiting		*w = arg;
	struct session_record	*s = w->session;
	socklen_t		 len = sizeof(int);
	int			 error = 0, client_fd, dest_fd;

	(void)lf;
	(void)revents;
	if (getsockopt(w->dest_fd, SOL_SOCKET, SO_ERROR, &error,
	    &len) == -1)
		error = errno;
	if (error != 0) {
		w->reason = waiting_explain(error);
		waiting_next(w);
		return;
	}
	client_fd = w->client_fd;
	dest_fd = w->dest_fd;
	loop_del(loop, &w->lfd);
	w->dest_fd = -1;
	waiting_free(w);
	ops->connected(s, client_fd, dest_fd);
}

static void
waiting_on_timer(struct timer *t, void *arg, int64_t now_ms)
{
	struct waiting	*w = arg;

	(void)t;
	(void)now_ms;
	w->reason = waiting_explain(ETIMEDOUT);
	waiting_next(w);
}

/* Connect to the present choice. */
static void
waiting_try(struct waiting *w)
{
	int64_t	limit = w->session->relay->limits.timeout_ms[STAGE_CONNECT];

	if ((w->dest_fd = ops->connect(w->session, &w->reason)) == -1) {
		waiting_next(w);
		return;
	}
	if (loop_add(loop, &w->lfd, w->dest_fd, POLLOUT, waiting_on_connect,
	    w) == -1 || (limit != 0 && timer_set(&loop->timers, &w->timer,
	    loop->now_ms + limit) == -1)) {
		w->reason = "reset: out of memory";
		waiting_fail(w);
	}
}

/* One that tries many dead destinations leaves places for the others. */
static int
waiting_has_room(const struct addr *client)
{
	const struct waiting	*w;
	size_t			 n = 0;

	if (used >= WAITING_MAX)
		return 0;
	LIST_FOREACH(w, &all, entry)
		if (sessions_is_same_client(&w->session->client, client))
			n++;
	return n < WAITING_SHARE;
}

void
waiting_add(struct session_record *s, int client_fd)
{
	struct waiting	*w = NULL;

	if (!waiting_has_room(&s->client) ||
	    (w = calloc(1, sizeof(*w))) == NULL) {
		sessions_note_refusal(&s->client, s->relay->name,
		    "reset: too many clients wait for a destination",
		    loop->now_ms);
		waiting_reset(client_fd);
		sessions_remove(s);
		return;
	}
	w->session = s;
	w->client_fd = client_fd;
	w->dest_fd = -1;
	loop_fd_init(&w->lfd);
	timer_init(&w->timer, waiting_on_timer, w);
	LIST_INSERT_HEAD(&all, w, entry);
	used++;
	waiting_try(w);
}

void
waiting_stop(void)
{
	struct waiting	*w;

	while ((w = LIST_FIRST(&all)) != NULL) {
		w->reason = "reset: shutdown";
		waiting_fail(w);
	}
}
