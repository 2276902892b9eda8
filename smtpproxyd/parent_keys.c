/*
 * Keys on their way: of certificates from their files to the keyholder, of
 * session tickets to the workers.  Runs in the parent, as root, which parses
 * none of them and keeps no private key: each is read, sent and wiped.
 */
#include "parent_keys.h"

#include <sys/types.h>

#include <pwd.h>
#include <stdlib.h>
#include <string.h>

#include "../common/log.h"
#include "../common/loop.h"
#include "../common/port/tls.h"
#include "../privsep/chan.h"
#include "../privsep/keyholder.h"
#include "keyfile.h"
#include "messages.h"

#define FEED_MS		20		/* while the channel is full */
#define RETRY_MS	1000		/* ticket keys that did not go */

static struct {
	struct loop		*loop;
	const struct conf	*conf;		/* NULL: no pki, or not yet */
	struct proc_user	 user;
	struct proc_child	*keyholder;	/* from its set-up on */
	const struct conf_pki	*next;		/* key to be sent; NULL: all
						 * were */
	struct timer		 feed;
	struct proc_child	*worker[CONF_WORKERS_MAX]; /* likewise */
	struct port_tls_tickets	 tickets;
	int64_t			 rotated_ms;
	struct timer		 rotate;
} pk;

void
parent_keys_identity(const struct conf *conf, struct proc_identity *id)
{
	const struct passwd	*pw;

	if (conf->npkis == 0)
		return;
	if ((pw = getpwnam(KEYHOLDER_USER)) == NULL)
		fatalx("unknown user %s", KEYHOLDER_USER);
	if (pw->pw_uid == 0 || pw->pw_uid == id->uid)
		fatalx("user %s is root or %s: another one is needed",
		    KEYHOLDER_USER, conf->user);
	pk.user.name = KEYHOLDER_USER;
	pk.user.uid = pw->pw_uid;
	pk.user.gid = pw->pw_gid;
	id->users = &pk.user;
	id->nusers = 1;
}

/* --- Private keys --- */

/* Does every side that has this certificate offer TLS 1.3? */
static int
server_lacks_tls13(const struct conf_relay *r, const struct conf_tls_server *s,
    uint32_t pki)
{
	unsigned int	protocols = r->tls_protocols;
	size_t		i;

	if (protocols == 0)
		protocols = pk.conf->tls_protocols;
	if (protocols & CONF_TLS13)
		return 0;
	for (i = 0; i < s->npkis; i++)
		if (s->pkis[i].pki == pki)
			return 1;
	return 0;
}

static int
pki_has_tls13(uint32_t pki)
{
	const struct conf_relay		*r;
	const struct conf_listener	*l;

	for (r = pk.conf->relays; r != NULL; r = r->next) {
		if (server_lacks_tls13(r, &r->terminate, pki))
			return 0;
		for (l = r->listeners; l != NULL; l = l->next)
			if (server_lacks_tls13(r, &l->tls, pki))
				return 0;
	}
	return 1;
}

/* One key; what could not be read costs its own handshakes, and is said. */
static int
keys_send_one(struct chan *ch, const struct conf_pki *pki)
{
	struct msg_writer	w;
	struct conf_why		why;
	uint8_t			octets[KEY_FILE_MAX];
	size_t			len;
	int			rc;

	if (keyfile_read_key(pki->key_path, octets, &len, &why) == -1) {
		log_warnx("pki %s has no key: %s", pki->name, why.text);
		return 0;
	}
	msg_start(&w, MSG_KEY, 0);
	msg_put_u32(&w, pki->number);
	msg_put_u8(&w, pki_has_tls13(pki->number) ? 1 : 0);
	msg_put_octets(&w, octets, len);
	explicit_bzero(octets, sizeof(octets));
	rc = chan_send(ch, &w, NULL, 0, CHAN_FDS_KEEP);
	explicit_bzero(&w, sizeof(w));
	return rc;
}

/* All keys to each worker, as all have all listeners. */
static int
keys_allow(uint32_t instance)
{
	struct msg_writer	w;

	msg_start(&w, MSG_KEY_ALLOW, 0);
	msg_put_u32(&w, instance);
	msg_put_u32(&w, 0);
	msg_put_u32(&w, pk.conf->npkis);
	return chan_send(proc_child_chan(pk.keyholder), &w,
	    NULL, 0, CHAN_FDS_KEEP);
}

/*
 * Keys as the channel takes them: they are more than its queue holds.  Behind
 * the last it is told who may use them, and is in service.
 */
static void
keys_feed(void)
{
	struct chan	*ch = proc_child_chan(pk.keyholder);
	uint32_t	 i;
	int		 rc = 0;

	while (rc == 0 && pk.next != NULL && chan_is_idle(ch)) {
		rc = keys_send_one(ch, pk.next);
		pk.next = pk.next->next;
	}
	if (rc == 0 && pk.next != NULL) {
		if (timer_set(&pk.loop->timers, &pk.feed,
		    pk.loop->now_ms + FEED_MS) == 0)
			return;
		rc = -1;
	}
	for (i = 0; rc == 0 && i < pk.conf->nworkers; i++)
		rc = keys_allow(i);
	if (rc == -1)
		proc_child_kill(pk.keyholder, "keys could not be sent");
}

static void
keys_on_feed(struct timer *t, void *arg, int64_t now_ms)
{
	(void)t;
	(void)arg;
	(void)now_ms;
	if (pk.keyholder != NULL)
		keys_feed();
}

static void
keyholder_on_setup(struct proc_child *child)
{
	pk.keyholder = child;
	pk.next = pk.conf->pkis;
	keys_feed();
}

/* --- Keys of session tickets --- */

static int
tickets_send(struct proc_child *worker)
{
	struct msg_writer	w;
	unsigned int		i;
	int			rc;

	msg_start(&w, MSG_TICKET_KEYS, 0);
	msg_put_u8(&w, (uint8_t)pk.tickets.n);
	for (i = 0; i < pk.tickets.n; i++)
		msg_put_octets(&w, pk.tickets.key[i], TLS_TICKET_KEY);
	rc = chan_send(proc_child_chan(worker), &w, NULL, 0, CHAN_FDS_KEEP);
	explicit_bzero(&w, sizeof(w));
	return rc;
}

/* The oldest is written over. */
static void
tickets_rotate(int64_t now_ms)
{
	memcpy(pk.tickets.key[1], pk.tickets.key[0], TLS_TICKET_KEY);
	arc4random_buf(pk.tickets.key[0], TLS_TICKET_KEY);
	if (pk.tickets.n < 2)
		pk.tickets.n++;
	pk.rotated_ms = now_ms;
}

/*
 * To all, or where a worker takes nothing now, to all once more in a second:
 * the same keys twice do no harm.
 */
static void
tickets_on_timer(struct timer *t, void *arg, int64_t now_ms)
{
	int64_t		next_ms;
	uint32_t	i;

	(void)arg;
	if (now_ms - pk.rotated_ms >= PARENT_KEYS_ROTATE_MS)
		tickets_rotate(now_ms);
	next_ms = pk.rotated_ms + PARENT_KEYS_ROTATE_MS;
	for (i = 0; i < pk.conf->nworkers; i++)
		if (pk.worker[i] != NULL && tickets_send(pk.worker[i]) == -1)
			next_ms = now_ms + RETRY_MS;
	if (timer_set(&pk.loop->timers, t, next_ms) == -1)
		log_warn("ticket keys");
}

static void
worker_on_setup(struct proc_child *child)
{
	uint32_t	instance = proc_child_instance_of(child);

	pk.worker[instance] = child;
	if (tickets_send(child) == -1)
		proc_child_kill(child, "ticket keys could not be sent");
	/* Behind the last key; until then it will be told of all. */
	if (pk.keyholder != NULL && pk.next == NULL &&
	    keys_allow(instance) == -1)
		proc_child_kill(pk.keyholder, "takes no messages");
}

/* --- The parent's calls --- */

void
parent_keys_start(struct loop *loop, const struct conf *conf)
{
	if (conf->npkis == 0)
		return;
	pk.loop = loop;
	pk.conf = conf;
	timer_init(&pk.feed, keys_on_feed, NULL);
	timer_init(&pk.rotate, tickets_on_timer, NULL);
	tickets_rotate(loop->now_ms);
	pk.tickets.n = 1;
	if (timer_set(&loop->timers, &pk.rotate,
	    loop->now_ms + PARENT_KEYS_ROTATE_MS) == -1)
		fatal("ticket keys");
	if (proc_start(PROC_KEYHOLDER, 0) == NULL)
		fatal("keyholder");
}

void
parent_keys_clear(void)
{
	if (pk.conf == NULL)
		return;
	timer_end(&pk.loop->timers, &pk.feed);
	timer_end(&pk.loop->timers, &pk.rotate);
	explicit_bzero(&pk, sizeof(pk));
}

void
parent_keys_on_setup(struct proc_child *child)
{
	if (pk.conf == NULL)
		return;
	if (proc_child_role(child) == PROC_KEYHOLDER)
		keyholder_on_setup(child);
	else if (proc_child_role(child) == PROC_WORKER)
		worker_on_setup(child);
}

void
parent_keys_on_gone(struct proc_child *child)
{
	if (child == pk.keyholder) {
		pk.keyholder = NULL;
		timer_end(&pk.loop->timers, &pk.feed);
	}
	if (proc_child_role(child) == PROC_WORKER)
		pk.worker[proc_child_instance_of(child)] = NULL;
}
