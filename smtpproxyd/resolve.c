/*
 * Process: resolve.  Asks getaddrinfo(3) for the host names of the
 * configuration, one question at a time, before service starts.  It reads
 * what comes from the network and may be taken over by it; then it can lie
 * about addresses, which the parent checks for their form, and no more.
 */
#include "resolve.h"

#include <sys/types.h>
#include <sys/socket.h>
#include <netdb.h>

#include <stdlib.h>
#include <string.h>

#include "../common/log.h"
#include "../common/loop.h"
#include "../privsep/proc.h"
#include "messages.h"

static struct loop	resolve_loop;
static struct chan	resolve_parent;

static enum resolve_error
resolve_error_of(int rc)
{
	if (rc == 0)
		return RESOLVE_OK;
	if (rc == EAI_NONAME || rc == EAI_NODATA)
		return RESOLVE_NO_NAME;
	return rc == EAI_AGAIN ? RESOLVE_LATER : RESOLVE_FAILED;
}

/* Addresses in the order of the system, each once; their number. */
static size_t
resolve_take(const struct addrinfo *ai, struct addr *addrs, size_t max)
{
	size_t	i, n = 0;

	for (; ai != NULL && n < max; ai = ai->ai_next) {
		if (addr_from_sockaddr(&addrs[n], ai->ai_addr) == -1)
			continue;
		for (i = 0; i < n; i++)
			if (addr_is_equal(&addrs[i], &addrs[n]))
				break;
		if (i == n)
			n++;
	}
	return n;
}

static void
resolve_answer(struct chan *ch, uint64_t id, const char *host)
{
	struct addrinfo		 hints, *res = NULL;
	struct addr		 addrs[RESOLVE_ADDRS_MAX];
	struct msg_writer	 w;
	enum resolve_error	 error;
	size_t			 i, n = 0;

	memset(&hints, 0, sizeof(hints));
	hints.ai_family = AF_UNSPEC;
	hints.ai_socktype = SOCK_STREAM;
	error = resolve_error_of(getaddrinfo(host, NULL, &hints, &res));
	if (error == RESOLVE_OK) {
		n = resolve_take(res, addrs, RESOLVE_ADDRS_MAX);
		freeaddrinfo(res);
		if (n == 0)
			error = RESOLVE_NO_NAME;
	}
	msg_start(&w, MSG_RESOLVED, id);
	msg_put_u32(&w, error);
	msg_put_u8(&w, (uint8_t)n);
	for (i = 0; i < n; i++)
		msg_put_addr(&w, &addrs[i]);
	if (chan_send(ch, &w, NULL, 0, CHAN_FDS_KEEP) == -1)
		fatal("RESOLVED");
}

static void
resolve_on_msg(struct chan *ch, struct msg *m, void *arg)
{
	struct msg_reader	r;
	char			host[RESOLVE_HOST_MAX + 1];

	(void)arg;
	if (proc_child_msg(ch, m))
		return;
	if (m->type == MSG_STOP)
		exit(0);
	if (m->type != MSG_RESOLVE) {
		chan_violation(ch, m->type, "nobody handles it");
		return;
	}
	msg_reader_init(&r, m);
	msg_str(&r, host, sizeof(host));
	if (msg_done(&r) == -1) {
		chan_violation(ch, m->type, "content");
		return;
	}
	resolve_answer(ch, m->id, host);
}

static void
resolve_on_end(struct chan *ch, const char *reason, void *arg)
{
	(void)ch;
	(void)reason;
	(void)arg;
	exit(0);
}

_Noreturn void
resolve_main(int fd)
{
	proc_child_start(&resolve_parent, &resolve_loop, 0, fd, PROC_RESOLVE);
	chan_set_handlers(&resolve_parent, resolve_on_msg, resolve_on_end,
	    NULL);
	proc_child_ready(&resolve_parent);
	if (loop_run(&resolve_loop) == -1)
		fatal("poll");
	exit(0);
}
