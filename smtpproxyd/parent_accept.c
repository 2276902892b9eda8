/*
 * The parent's listeners: accept, find where a connection was going, start
 * the one that leaves, and pass both to a worker.  Runs as root; trusts the
 * configuration, the kernel and its own records, and reads no peer's octet.
 */
#include "parent_int.h"

#include <sys/types.h>
#include <sys/socket.h>

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../common/log.h"
#include "../privsep/chan.h"
#include "intercept.h"
#include "listen.h"
#include "messages.h"
#include "upstream.h"
#include "waiting.h"

#define ACCEPT_BATCH		16	/* a listener and wake-up */
#define ACCEPT_PAUSE_MS		1000	/* no descriptors left */
#define REFUSAL_TEXT		"421 4.7.0 too many connections\r\n"
#define NO_ROOM_TEXT		"421 4.3.2 service not available\r\n"
#define NO_DEST_TEXT		"421 4.3.0 original destination not known\r\n"
#define DEST_TEXT		"421 4.7.0 destination not allowed\r\n"
#define LOOP_TEXT		"421 4.4.6 routing loop detected\r\n"

/* A worker with an empty channel and room; the one with fewest sessions. */
static struct parent_worker *
parent_choose_worker(void)
{
	struct parent_worker	*w, *best = NULL;
	uint32_t		 i;

	for (i = 0; i < parent.conf->nworkers; i++) {
		w = &parent.workers[i];
		if (w->child == NULL || !proc_child_is_ready(w->child) ||
		    w->owner.used >= w->max_sessions ||
		    !chan_can_send(proc_child_chan(w->child)))
			continue;
		if (best == NULL || w->owner.used < best->owner.used)
			best = w;
	}
	return best;
}

/*
 * One constant line, never waiting: the client is told, or not; nothing where
 * it would have to be told in TLS.
 */
static void
parent_refuse(const struct conf_listener *on, int fd, const char *text)
{
	/* A peer that does not take 33 octets has no use for them. */
	if (on->tls.mode != TLS_IMPLICIT)
		(void)send(fd, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT);
	(void)close(fd);
}

int
parent_connect(struct session_record *s, const char **why)
{
	struct upstream	u;
	struct addr	source;
	int		fd;

	u.dest = sessions_dest(s);
	u.client = s->relay->is_transparent ? &s->client : NULL;
	u.mark = s->relay->mark;
	if ((fd = upstream_connect(&u, &source, why)) != -1)
		sessions_set_source(s, &source, u.dest);
	return fd;
}

int
parent_connect_or_note(struct session_record *s)
{
	const char	*why;
	int		 fd, saved;

	if ((fd = parent_connect(s, &why)) != -1)
		return fd;
	saved = errno;
	sessions_note_refusal(&s->client, s->relay->name, why,
	    parent.loop.now_ms);
	errno = saved;
	return -1;
}

/* Both descriptors are done with here.  dest_fd -1: error says why. */
static void
parent_hand_over(struct session_record *s, struct parent_worker *w,
    int client_fd, int dest_fd, int error)
{
	struct msg_writer	m;
	int			fds[2];

	fds[0] = client_fd;
	fds[1] = dest_fd;
	msg_start(&m, dest_fd == -1 ? MSG_SESSION_NEW_ALONE :
	    MSG_SESSION_NEW, s->id);
	msg_put_u32(&m, parent.conf->generation);
	msg_put_u32(&m, s->relay->number);
	msg_put_u32(&m, s->on->number);
	msg_put_u32(&m, s->is_bypass ? SESSION_BYPASS : s->is_proxied ?
	    SESSION_PROXIED : SESSION_SMTP);
	msg_put_u32(&m, s->choice);
	msg_put_u32(&m, (uint32_t)error);
	msg_put_addr(&m, &s->client);
	msg_put_addr(&m, &s->listener);
	msg_put_addr(&m, sessions_dest(s));
	if (msg_finish(&m) == 0 && chan_send(proc_child_chan(w->child), &m,
	    fds, dest_fd == -1 ? 1 : 2, CHAN_FDS_GIVE) == 0)
		return;
	log_warn("session could not be handed over");
	parent_refuse(s->on, client_fd, NO_ROOM_TEXT);
	if (dest_fd != -1)
		(void)close(dest_fd);
	sessions_remove(s);
}

void
parent_on_unsent(struct chan *ch, const struct msg *m, int *fds, size_t nfds,
    void *arg)
{
	struct session_record	*s;
	struct parent_worker	*w;
	int			 dest_fd = nfds == 2 ? fds[1] : -1;

	(void)ch;
	(void)arg;
	if ((m->type != MSG_SESSION_NEW && m->type != MSG_SESSION_NEW_ALONE) ||
	    (s = sessions_find(m->id)) == NULL)
		return;
	if ((w = parent_choose_worker()) == NULL) {
		parent_refuse(s->on, fds[0], NO_ROOM_TEXT);
		fds[0] = -1;
		sessions_remove(s);
		return;
	}
	sessions_move(s, &w->owner);
	/* Why there is no connection was the first one's to know. */
	parent_hand_over(s, w, fds[0], dest_fd, dest_fd != -1 || s->next == 0 ?
	    0 : EAGAIN);
	fds[0] = fds[nfds - 1] = -1;
}

void
parent_on_waited(struct session_record *s, int client_fd, int dest_fd)
{
	struct parent_worker	*w;

	if ((w = parent_choose_worker()) == NULL) {
		(void)close(dest_fd);
		parent_refuse(s->on, client_fd, NO_ROOM_TEXT);
		sessions_remove(s);
		return;
	}
	sessions_move(s, &w->owner);
	parent_hand_over(s, w, client_fd, dest_fd, 0);
}

/*
 * May this connection become a session, and where was it going?
 *   returns   NULL, or what the client is told, with *why for the log
 */
static const char *
parent_judge(const struct conf_relay *r, int fd, const struct addr *client,
    struct addr *original, const char **why)
{
	struct addr	to;

	memset(original, 0, sizeof(*original));
	if (r->forward != FORWARD_FIXED && intercept_find(r, fd, client,
	    original, why) == -1)
		return NO_DEST_TEXT;
	to = *original;
	*why = "loop: the connection is one of our own";
	/* A fixed relay looks for it only where there is a doubt. */
	if (sessions_is_ours(client, NULL) &&
	    (r->forward != FORWARD_FIXED || intercept_guess(fd, client,
	    &to) == 0) && sessions_is_ours(client, &to))
		return LOOP_TEXT;
	if (r->forward != FORWARD_FIXED && (*why = intercept_refusal(
	    parent.conf, r, original)) != NULL)
		return DEST_TEXT;
	return NULL;
}

static void
parent_begin(struct session_record *s, struct parent_worker *w, int fd)
{
	int	dest_fd;

	if (s->relay->on_failure == ON_FAILURE_RESET) {
		waiting_add(s, fd);
		return;
	}
	if (s->next == 0) {
		parent_hand_over(s, w, fd, -1, 0);
		return;
	}
	dest_fd = parent_connect_or_note(s);
	parent_hand_over(s, w, fd, dest_fd, dest_fd == -1 ? errno : 0);
}

/*
 * Is it a load balancer, which puts a PROXY header in front?
 *   returns   1, 0; -1: it may not connect here
 */
static int
parent_is_proxied(const struct parent_listener *l, const struct addr *client)
{
	const struct conf_check	*k = &l->conf->proxied;
	size_t			 i;

	if (k->table[0] == '\0')
		return 0;
	for (i = 0; i < k->nblocks; i++)
		if (addr_block_has(&k->blocks[i], client))
			return 1;
	if (l->conf->allows_plain)
		return 0;
	sessions_note_refusal(client, l->relay->name,
	    "not in the table of proxy-protocol", parent.loop.now_ms);
	return -1;
}

/* A PROXY header with facts of the client's TLS waits for its handshake. */
static int
parent_is_deferred(const struct parent_listener *l)
{
	return l->conf->tls.mode == TLS_IMPLICIT &&
	    l->relay->identity == CONF_IDENTITY_PROXY_V2;
}

/* Where the client connected to; the destination may be told. */
static void
parent_set_listener(struct session_record *s,
    const struct parent_listener *l, int fd)
{
	struct sockaddr_storage	ss;
	socklen_t		len = sizeof(ss);

	s->listener = l->conf->addr;
	if (l->relay->identity == CONF_IDENTITY_NONE ||
	    !addr_is_unspecified(&s->listener) ||
	    getsockname(fd, (struct sockaddr *)&ss, &len) == -1)
		return;
	(void)addr_from_sockaddr(&s->listener, (struct sockaddr *)&ss);
}

static void
parent_accepted(struct parent_listener *l, struct parent_worker *w, int fd,
    const struct sockaddr *sa)
{
	struct session_record	*s;
	struct addr		 client, original;
	const char		*why, *text;
	int			 is_proxied;

	if (addr_from_sockaddr(&client, sa) == -1) {
		(void)close(fd);
		return;
	}
	if ((is_proxied = parent_is_proxied(l, &client)) == -1) {
		(void)close(fd);
		return;
	}
	s = NULL;
	text = parent_judge(l->relay, fd, &client, &original, &why);
	if (text == NULL && (s = sessions_add(parent.conf, l->relay, &client,
	    !is_proxied, l->relay->on_failure == ON_FAILURE_RESET ?
	    &parent.waiting : &w->owner, &why)) == NULL)
		text = REFUSAL_TEXT;
	if (s == NULL) {
		sessions_note_refusal(&client, l->relay->name, why,
		    parent.loop.now_ms);
		parent_refuse(l->conf, fd, text);
		return;
	}
	s->on = l->conf;
	parent_set_listener(s, l, fd);
	s->original = original;
	s->is_bypass = intercept_is_bypass(l->relay, &client);
	s->is_proxied = is_proxied && !s->is_bypass;
	s->next = parent_is_deferred(l) ? 0 : 1;
	parent_begin(s, w, fd);
}

static void
parent_pause(const char *why)
{
	if (!parent.is_short)
		log_warnx("accept paused: %s", why);
	parent.is_short = 1;
	parent.paused_until_ms = parent.loop.now_ms + ACCEPT_PAUSE_MS;
}

static void
parent_on_accept(struct loop_fd *lf, short revents, void *arg)
{
	struct parent_listener	*l = arg;
	struct parent_worker	*w;
	struct sockaddr_storage	 ss;
	socklen_t		 len;
	int			 fd, i;

	(void)lf;
	(void)revents;
	for (i = 0; i < ACCEPT_BATCH; i++) {
		if ((w = parent_choose_worker()) == NULL)
			return;
		len = sizeof(ss);
		fd = accept4(l->fd, (struct sockaddr *)&ss, &len,
		    SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd == -1) {
			if (errno == EMFILE || errno == ENFILE ||
			    errno == ENOBUFS || errno == ENOMEM)
				parent_pause(strerror(errno));
			return;
		}
		if (parent.is_short)
			log_info("accept goes on");
		parent.is_short = 0;
		parent_accepted(l, w, fd, (struct sockaddr *)&ss);
	}
}

/*
 * Connections wait in the kernel's queue while no worker can take one: the
 * listeners are polled only when one can.
 */
void
parent_watch_listeners(void)
{
	size_t	i;
	int	can, is_paused;

	if (parent.is_stopping)
		return;
	is_paused = parent.paused_until_ms > parent.loop.now_ms;
	if (!is_paused)
		parent.paused_until_ms = 0;
	can = !is_paused && parent_choose_worker() != NULL;
	if (can == parent.is_accepting)
		return;
	parent.is_accepting = can;
	for (i = 0; i < parent.nlisteners; i++)
		loop_set(&parent.loop, &parent.listeners[i].lfd,
		    can ? POLLIN : 0);
}

/* Clients wait in the kernel's queue: the admin is told, not each second. */
void
parent_look_for_room(void)
{
	const struct parent_worker	*w;
	uint32_t			 i, nlive = 0, nfull = 0;

	for (i = 0; i < parent.conf->nworkers; i++) {
		w = &parent.workers[i];
		if (w->child == NULL)
			continue;
		nlive++;
		if (w->owner.used >= w->max_sessions)
			nfull++;
	}
	if (nlive == 0 || nfull < nlive) {
		parent.is_full = 0;
		return;
	}
	if (!parent.is_full)
		log_warnx("accept paused: no descriptors left in the workers, "
		    "%zu sessions", sessions_used());
	parent.is_full = 1;
}

static size_t
count_listeners(const struct conf *c)
{
	const struct conf_relay		*r;
	const struct conf_listener	*l;
	size_t				 n = 0;

	for (r = c->relays; r != NULL; r = r->next)
		for (l = r->listeners; l != NULL; l = l->next)
			n++;
	return n;
}

static void
parent_listen(const struct conf_relay *r, const struct conf_listener *c)
{
	struct parent_listener	*l = &parent.listeners[parent.nlisteners];
	char			 text[ADDR_TEXT_MAX];
	const char		*what;

	if ((l->fd = listen_open(&c->addr, c->is_divert, &what)) == -1)
		fatal("%s:%d: listen on %s: %s", c->place.file,
		    c->place.line, addr_text(&c->addr, text), what);
	l->conf = c;
	l->relay = r;
	loop_fd_init(&l->lfd);
	if (loop_add(&parent.loop, &l->lfd, l->fd, 0, parent_on_accept,
	    l) == -1)
		fatal("listeners");
	parent.nlisteners++;
}

void
parent_open_listeners(void)
{
	const struct conf_relay		*r;
	const struct conf_listener	*l;

	parent.listeners = calloc(count_listeners(parent.conf) + 1,
	    sizeof(*parent.listeners));
	if (parent.listeners == NULL)
		fatal("listeners");
	for (r = parent.conf->relays; r != NULL; r = r->next)
		for (l = r->listeners; l != NULL; l = l->next)
			parent_listen(r, l);
}

void
parent_close_listeners(void)
{
	size_t	i;

	for (i = 0; i < parent.nlisteners; i++) {
		loop_del(&parent.loop, &parent.listeners[i].lfd);
		(void)close(parent.listeners[i].fd);
	}
	parent.nlisteners = 0;
}
