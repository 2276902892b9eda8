/*
 * The parent's questions to the keycheck process, before service starts: one
 * at a time, in a loop of their own that waits for the answer.  The parent
 * sends octets that it does not understand, and shows the answer, escaped, to
 * whoever started it.
 */
#include "keycheck.h"

#include <sys/types.h>

#include <errno.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../common/log.h"
#include "../common/loop.h"
#include "../common/port/tls.h"
#include "../common/strutil.h"
#include "../privsep/keyholder.h"
#include "../privsep/proc.h"
#include "messages.h"

#define STOP_S		1

enum keycheck_state {
	KEYCHECK_IDLE = 0,
	KEYCHECK_ASKING,
	KEYCHECK_ANSWERED,
	KEYCHECK_NO_ANSWER,		/* in time */
	KEYCHECK_GONE			/* the process ended */
};

/* One piece of the question, borrowed. */
struct check_part {
	enum check_kind	 kind;
	const uint8_t	*octets;
	size_t		 len;
};

struct keycheck {
	const char		*self_path;
	struct proc_user	 user;
	int64_t			 wait_ms;
	struct loop		 loop;
	struct timer		 timer;
	struct proc_identity	 identity;
	struct proc_child	*child;		/* NULL: none in use */
	int			 is_started;
	int			 is_stopped;
	enum keycheck_state	 state;
	/* The question, and its answer. */
	uint64_t		 id;
	enum check_kind		 kind;
	struct check_part	 parts[2];
	size_t			 nparts;
	char			 answer[TLS_WHY_MAX];
};

struct keycheck *
keycheck_new(const char *self_path, const char *user)
{
	struct keycheck	*k;

	if ((k = calloc(1, sizeof(*k))) == NULL)
		return NULL;
	k->self_path = self_path;
	k->user.name = user == NULL ? KEYHOLDER_USER : user;
	k->wait_ms = KEYCHECK_WAIT_MS;
	return k;
}

void
keycheck_set_wait(struct keycheck *k, int64_t wait_ms)
{
	k->wait_ms = wait_ms;
}

/* The next question gets a new process; this one is reaped in its time. */
static void
keycheck_kill(struct keycheck *k, enum keycheck_state state,
    const char *reason)
{
	proc_child_kill(k->child, reason);
	k->child = NULL;
	if (k->state == KEYCHECK_ASKING)
		k->state = state;
}

/* All of it at once: the channel's queue has room for CONF_BLOB_MAX. */
static int
keycheck_send_part(struct keycheck *k, const struct check_part *p)
{
	struct msg_writer	w;
	size_t			done, n;
	int			rc = 0;

	for (done = 0; done < p->len && rc == 0; done += n) {
		n = p->len - done;
		if (n > CONF_PIECE_MAX)
			n = CONF_PIECE_MAX;
		msg_start(&w, MSG_CHECK_PIECE, k->id);
		msg_put_u8(&w, (uint8_t)p->kind);
		msg_put_octets(&w, p->octets + done, n);
		rc = chan_send(proc_child_chan(k->child), &w,
		    NULL, 0, CHAN_FDS_KEEP);
	}
	explicit_bzero(&w, sizeof(w));	/* may have held a key */
	return rc;
}

static void
keycheck_send(struct keycheck *k)
{
	struct msg_writer	w;
	size_t			i;

	k->id++;
	for (i = 0; i < k->nparts; i++)
		if (keycheck_send_part(k, &k->parts[i]) == -1) {
			keycheck_kill(k, KEYCHECK_GONE, "could not be asked");
			return;
		}
	msg_start(&w, MSG_CHECK, k->id);
	msg_put_u8(&w, (uint8_t)k->kind);
	if (chan_send(proc_child_chan(k->child), &w,
	    NULL, 0, CHAN_FDS_KEEP) == -1)
		keycheck_kill(k, KEYCHECK_GONE, "could not be asked");
}

static void
keycheck_on_ready(struct proc_child *child, void *arg)
{
	struct keycheck	*k = arg;

	if (child == k->child && k->state == KEYCHECK_ASKING)
		keycheck_send(k);
}

static void
keycheck_on_msg(struct proc_child *child, struct msg *m, void *arg)
{
	struct keycheck		*k = arg;
	struct msg_reader	 r;

	if (child != k->child)
		return;			/* killed already */
	msg_reader_init(&r, m);
	msg_str(&r, k->answer, sizeof(k->answer));
	if (m->type != MSG_CHECKED || msg_done(&r) == -1 || m->id != k->id ||
	    k->state != KEYCHECK_ASKING) {
		keycheck_kill(k, KEYCHECK_GONE, "nonsense for an answer");
		return;
	}
	k->state = KEYCHECK_ANSWERED;
}

static void
keycheck_on_gone(struct proc_child *child, void *arg)
{
	struct keycheck	*k = arg;

	if (child != k->child)
		return;
	k->child = NULL;
	if (k->state == KEYCHECK_ASKING)
		k->state = KEYCHECK_GONE;
}

static void
keycheck_on_stopped(void *arg)
{
	struct keycheck	*k = arg;

	k->is_stopped = 1;
}

static void
keycheck_on_timer(struct timer *t, void *arg, int64_t now_ms)
{
	struct keycheck	*k = arg;

	(void)t;
	(void)now_ms;
	if (k->child != NULL)
		keycheck_kill(k, KEYCHECK_NO_ANSWER, "no answer in time");
}

/*
 * Who the child will be: as root the given user, else whoever we are (identity
 * stays unused).
 */
static int
keycheck_identify(struct keycheck *k, struct conf_why *why)
{
	const struct passwd	*pw;

	if (geteuid() != 0)
		return 0;
	if ((pw = getpwnam(k->user.name)) == NULL)
		return conf_fail(why, "no key can be checked: user \"%s\" "
		    "does not exist, expected one", k->user.name);
	if (pw->pw_uid == 0)
		return conf_fail(why, "no key can be checked: user \"%s\" is "
		    "root, expected another", k->user.name);
	k->user.uid = pw->pw_uid;
	k->user.gid = pw->pw_gid;
	/* The row's own name for it, which is the keyholder's. */
	k->user.name = KEYHOLDER_USER;
	k->identity.users = &k->user;
	k->identity.nusers = 1;
	return 0;
}

static int
keycheck_start(struct keycheck *k, struct conf_why *why)
{
	static const struct proc_ops	ops = {
		.on_msg = keycheck_on_msg,
		.on_ready = keycheck_on_ready,
		.on_gone = keycheck_on_gone,
		.on_stopped = keycheck_on_stopped
	};

	if (k->is_started)
		return 0;
	if (keycheck_identify(k, why) == -1)
		return -1;
	if (loop_init(&k->loop, 0) == -1)
		return conf_fail(why, "no key can be checked: %s",
		    strerror(errno));
	timer_init(&k->timer, keycheck_on_timer, k);
	/* Busy with a file it answers no PING; our own time is shorter. */
	proc_set_limits(2 * k->wait_ms, 2 * k->wait_ms);
	proc_parent_init(&k->loop, k->self_path, geteuid() == 0 ?
	    &k->identity : NULL, &ops, k, log_is_verbose(), NULL);
	k->is_started = 1;
	return 0;
}

/* Until there is an answer, or none will come. */
static int
keycheck_wait(struct keycheck *k)
{
	k->state = KEYCHECK_ASKING;
	if (k->child != NULL)
		keycheck_send(k);
	else if ((k->child = proc_start(PROC_KEYCHECK, 0)) == NULL)
		return -1;
	if (timer_set(&k->loop.timers, &k->timer,
	    k->loop.now_ms + k->wait_ms) == -1)
		return -1;
	while (k->state == KEYCHECK_ASKING)
		if (loop_once(&k->loop) == -1)
			return -1;
	timer_end(&k->loop.timers, &k->timer);
	return 0;
}

static int
keycheck_result(const struct keycheck *k, struct conf_why *why)
{
	char	text[sizeof(why->text)];

	switch (k->state) {
	case KEYCHECK_ANSWERED:
		if (k->answer[0] == '\0')
			return 0;
		(void)str_escape_line(text, sizeof(text), k->answer,
		    strlen(k->answer));
		return conf_fail(why, "%s", text);
	case KEYCHECK_NO_ANSWER:
		return conf_fail(why, "could not be checked: no answer in "
		    "%lld seconds", (long long)(k->wait_ms / 1000));
	default:
		return conf_fail(why, "could not be checked: the process "
		    "ended");
	}
}

/* The parts stand in *k, and are forgotten here. */
static int
keycheck_ask(struct keycheck *k, enum check_kind kind, struct conf_why *why)
{
	int	rc;

	k->kind = kind;
	if (keycheck_start(k, why) == -1)
		rc = -1;
	else if (keycheck_wait(k) == -1)
		rc = conf_fail(why, "could not be checked: %s",
		    strerror(errno));
	else
		rc = keycheck_result(k, why);
	k->state = KEYCHECK_IDLE;
	memset(k->parts, 0, sizeof(k->parts));
	k->nparts = 0;
	return rc;
}

static void
keycheck_add(struct keycheck *k, enum check_kind kind, const uint8_t *octets,
    size_t len)
{
	k->parts[k->nparts].kind = kind;
	k->parts[k->nparts].octets = octets;
	k->parts[k->nparts].len = len;
	k->nparts++;
}

int
keycheck_pair(struct keycheck *k, const uint8_t *cert, size_t certlen,
    const uint8_t *key, size_t keylen, struct conf_why *why)
{
	keycheck_add(k, CHECK_CERT, cert, certlen);
	keycheck_add(k, CHECK_PAIR, key, keylen);
	return keycheck_ask(k, CHECK_PAIR, why);
}

int
keycheck_ca(struct keycheck *k, const uint8_t *octets, size_t len,
    struct conf_why *why)
{
	keycheck_add(k, CHECK_CA, octets, len);
	return keycheck_ask(k, CHECK_CA, why);
}

int
keycheck_ciphers(struct keycheck *k, const char *text, struct conf_why *why)
{
	keycheck_add(k, CHECK_CIPHERS, (const uint8_t *)text, strlen(text));
	return keycheck_ask(k, CHECK_CIPHERS, why);
}

void
keycheck_free(struct keycheck *k)
{
	if (k == NULL)
		return;
	if (k->is_started) {
		proc_stop(STOP_S);
		while (!k->is_stopped)
			if (loop_once(&k->loop) == -1)
				fatal("poll");
		proc_parent_clear();
		proc_set_limits(PROC_PING_MS, PROC_HANG_MS);
		loop_clear(&k->loop);
	}
	free(k);
}
