/*
 * The parent's questions to the resolve process, before service starts: one
 * name at a time, in a loop of their own that waits for the answer.  The
 * parent believes nothing of it but addresses in their form.
 */
#include "resolve.h"

#include <sys/types.h>

#include <errno.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../common/log.h"
#include "../common/loop.h"
#include "../privsep/proc.h"
#include "messages.h"

#define STOP_S		1

enum resolver_state {
	RESOLVER_IDLE = 0,
	RESOLVER_ASKING,
	RESOLVER_ANSWERED,
	RESOLVER_NO_ANSWER,		/* in time */
	RESOLVER_GONE			/* the process ended */
};

struct resolver {
	const char		*self_path;
	const char		*user;
	int64_t			 wait_ms;
	struct loop		 loop;
	struct timer		 timer;
	struct proc_identity	 identity;
	struct proc_child	*child;		/* NULL: none in use */
	int			 is_started;
	int			 is_stopped;
	enum resolver_state	 state;
	/* The question, and its answer. */
	uint64_t		 id;
	const char		*host;
	enum resolve_error	 error;
	struct addr		 addrs[RESOLVE_ADDRS_MAX];
	size_t			 naddrs;
};

struct resolver *
resolver_new(const char *self_path, const char *user)
{
	struct resolver	*r;

	if ((r = calloc(1, sizeof(*r))) == NULL)
		return NULL;
	r->self_path = self_path;
	r->user = user;
	r->wait_ms = RESOLVER_WAIT_MS;
	return r;
}

void
resolver_set_wait(struct resolver *r, int64_t wait_ms)
{
	r->wait_ms = wait_ms;
}

/* The next question gets a new process; this one is reaped in its time. */
static void
resolver_kill(struct resolver *r, enum resolver_state state,
    const char *reason)
{
	proc_child_kill(r->child, reason);
	r->child = NULL;
	if (r->state == RESOLVER_ASKING)
		r->state = state;
}

static void
resolver_ask(struct resolver *r)
{
	struct msg_writer	w;

	msg_start(&w, MSG_RESOLVE, ++r->id);
	msg_put_str(&w, r->host);
	if (chan_send(proc_child_chan(r->child), &w,
	    NULL, 0, CHAN_FDS_KEEP) == -1)
		resolver_kill(r, RESOLVER_GONE, "could not be asked");
}

static void
resolver_on_ready(struct proc_child *child, void *arg)
{
	struct resolver	*r = arg;

	if (child == r->child && r->state == RESOLVER_ASKING)
		resolver_ask(r);
}

static void
resolver_on_msg(struct proc_child *child, struct msg *m, void *arg)
{
	struct resolver		*r = arg;
	struct msg_reader	 rd;
	uint32_t		 error;
	uint8_t			 n, i;

	if (child != r->child)
		return;			/* killed already */
	msg_reader_init(&rd, m);
	error = msg_u32(&rd);
	n = msg_u8(&rd);
	if (n > RESOLVE_ADDRS_MAX)
		rd.has_failed = 1;
	for (i = 0; i < n && !rd.has_failed; i++) {
		msg_addr(&rd, &r->addrs[i]);
		if (r->addrs[i].family == 0)
			rd.has_failed = 1;
	}
	if (m->type != MSG_RESOLVED || msg_done(&rd) == -1 ||
	    error > RESOLVE_FAILED || (error == RESOLVE_OK) != (n > 0) ||
	    m->id != r->id || r->state != RESOLVER_ASKING) {
		resolver_kill(r, RESOLVER_GONE, "nonsense for an answer");
		return;
	}
	r->error = (enum resolve_error)error;
	r->naddrs = n;
	r->state = RESOLVER_ANSWERED;
}

static void
resolver_on_gone(struct proc_child *child, void *arg)
{
	struct resolver	*r = arg;

	if (child != r->child)
		return;
	r->child = NULL;
	if (r->state == RESOLVER_ASKING)
		r->state = RESOLVER_GONE;
}

static void
resolver_on_stopped(void *arg)
{
	struct resolver	*r = arg;

	r->is_stopped = 1;
}

/* It can't be told to give a name up. */
static void
resolver_on_timer(struct timer *t, void *arg, int64_t now_ms)
{
	struct resolver	*r = arg;

	(void)t;
	(void)now_ms;
	if (r->child != NULL)
		resolver_kill(r, RESOLVER_NO_ANSWER, "no answer in time");
}

/*
 * Who the child will be: as root the given or the configuration's user, else
 * whoever we are (identity stays unused).
 */
static int
resolver_identify(struct resolver *r, const struct conf *c,
    struct conf_why *why)
{
	const char		*user = r->user == NULL ? c->user : r->user;
	const struct passwd	*pw;

	if (geteuid() != 0)
		return 0;
	if ((pw = getpwnam(user)) == NULL)
		return conf_fail(why, "no name can be looked up: user \"%s\" "
		    "does not exist, expected one", user);
	if (pw->pw_uid == 0)
		return conf_fail(why, "no name can be looked up: user \"%s\" "
		    "is root, expected another", user);
	r->identity.uid = pw->pw_uid;
	r->identity.gid = pw->pw_gid;
	return 0;
}

static int
resolver_start(struct resolver *r, const struct conf *c, struct conf_why *why)
{
	static const struct proc_ops	ops = {
		.on_msg = resolver_on_msg,
		.on_ready = resolver_on_ready,
		.on_gone = resolver_on_gone,
		.on_stopped = resolver_on_stopped
	};

	if (r->is_started)
		return 0;
	if (resolver_identify(r, c, why) == -1)
		return -1;
	if (loop_init(&r->loop, 0) == -1)
		return conf_fail(why, "no name can be looked up: %s",
		    strerror(errno));
	timer_init(&r->timer, resolver_on_timer, r);
	/* Busy with a name it answers no PING; our own time is shorter. */
	proc_set_limits(2 * r->wait_ms, 2 * r->wait_ms);
	proc_parent_init(&r->loop, r->self_path, geteuid() == 0 ?
	    &r->identity : NULL, &ops, r, log_is_verbose(), NULL);
	r->is_started = 1;
	return 0;
}

/* Until there is an answer, or none will come. */
static int
resolver_wait(struct resolver *r)
{
	r->state = RESOLVER_ASKING;
	if (r->child != NULL)
		resolver_ask(r);
	else if ((r->child = proc_start(PROC_RESOLVE, 0)) == NULL)
		return -1;
	if (timer_set(&r->loop.timers, &r->timer,
	    r->loop.now_ms + r->wait_ms) == -1)
		return -1;
	while (r->state == RESOLVER_ASKING)
		if (loop_once(&r->loop) == -1)
			return -1;
	timer_end(&r->loop.timers, &r->timer);
	return 0;
}

static int
resolver_result(struct resolver *r, struct addr *addrs, size_t *n,
    struct conf_why *why)
{
	switch (r->state) {
	case RESOLVER_ANSWERED:
		break;
	case RESOLVER_NO_ANSWER:
		return conf_fail(why, "\"%s\" does not resolve: no answer in "
		    "%lld seconds, expected an address", r->host,
		    (long long)(r->wait_ms / 1000));
	default:
		return conf_fail(why, "\"%s\" could not be looked up: the "
		    "process ended", r->host);
	}
	switch (r->error) {
	case RESOLVE_OK:
		break;
	case RESOLVE_NO_NAME:
		return conf_fail(why, "\"%s\" does not resolve: no such name, "
		    "expected an address", r->host);
	case RESOLVE_LATER:
		return conf_fail(why, "\"%s\" does not resolve: no name "
		    "server answers for it, expected an address", r->host);
	case RESOLVE_FAILED:
		return conf_fail(why, "\"%s\" does not resolve: look-up "
		    "failed, expected an address", r->host);
	}
	if (*n > r->naddrs)
		*n = r->naddrs;
	memcpy(addrs, r->addrs, *n * sizeof(*addrs));
	return 0;
}

int
resolver_lookup(void *arg, const struct conf *c, const char *host,
    struct addr *addrs, size_t *n, struct conf_why *why)
{
	struct resolver	*r = arg;
	int		 rc;

	if (resolver_start(r, c, why) == -1)
		return -1;
	r->host = host;
	if (resolver_wait(r) == -1)
		rc = conf_fail(why, "\"%s\" could not be looked up: %s", host,
		    strerror(errno));
	else
		rc = resolver_result(r, addrs, n, why);
	r->state = RESOLVER_IDLE;
	r->host = NULL;
	return rc;
}

void
resolver_free(struct resolver *r)
{
	if (r == NULL)
		return;
	if (r->is_started) {
		proc_stop(STOP_S);
		while (!r->is_stopped)
			if (loop_once(&r->loop) == -1)
				fatal("poll");
		proc_parent_clear();
		proc_set_limits(PROC_PING_MS, PROC_HANG_MS);
		loop_clear(&r->loop);
	}
	free(r);
}
