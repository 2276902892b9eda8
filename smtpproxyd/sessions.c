/*
 * The parent's table of sessions and its counts by client address.  Parent
 * only.  Ids come from here and from nowhere else; what a worker says about
 * one is checked against the record by the caller.
 */
#include "sessions.h"

#include <stdlib.h>
#include <string.h>

#include "../common/log.h"
#include "../common/strutil.h"

#define SESSIONS_BUCKETS	8192	/* power of 2 */
#define CLIENT_BUCKETS		4096	/* power of 2 */
#define REFUSALS		64
#define REFUSAL_MS		10000

struct refusal {
	struct addr	 client;
	char		 relay[CONF_NAME_MAX];
	const char	*reason;
	uint64_t	 count;
	int64_t		 since_ms;
};

static struct session_records	 bucket[SESSIONS_BUCKETS];
static struct session_records	 sources[SESSIONS_BUCKETS];
static struct client_count	*clients[CLIENT_BUCKETS];
static uint64_t			 client_key[2];
static uint32_t			*relay_used;	/* sessions of each relay */
static uint32_t			 nrelay_used;
static size_t			 nsessions;
static uint64_t			 next_id;
static struct refusal		 refusals[REFUSALS];

void
sessions_init(int64_t start_time)
{
	size_t	i;

	for (i = 0; i < SESSIONS_BUCKETS; i++) {
		LIST_INIT(&bucket[i]);
		LIST_INIT(&sources[i]);
	}
	/* So that no client can choose addresses that fall together. */
	arc4random_buf(client_key, sizeof(client_key));
	next_id = (uint64_t)start_time << 32;
}

static struct session_records *
session_bucket(uint64_t id)
{
	return &bucket[id & (SESSIONS_BUCKETS - 1)];
}

/* IPv4 by address, IPv6 by /64: what one subscriber usually has. */
static void
client_key_of(const struct addr *a, uint8_t key[9])
{
	memset(key, 0, 9);
	key[0] = a->family;
	memcpy(key + 1, a->ip, a->family == AF_INET ? 4 : 8);
}

int
sessions_is_same_client(const struct addr *a, const struct addr *b)
{
	uint8_t	x[9], y[9];

	client_key_of(a, x);
	client_key_of(b, y);
	return memcmp(x, y, sizeof(x)) == 0;
}

static size_t
client_hash(const uint8_t key[9], uint32_t relay)
{
	uint64_t	h, word;

	memcpy(&word, key + 1, sizeof(word));
	h = (word ^ client_key[0]) + key[0] + ((uint64_t)relay << 8);
	h ^= h >> 33;
	h *= client_key[1] | 1;
	h ^= h >> 29;
	h *= 0xbf58476d1ce4e5b9ULL;
	h ^= h >> 32;
	return (size_t)(h & (CLIENT_BUCKETS - 1));
}

static struct client_count *
client_find(const struct addr *a, uint32_t relay)
{
	struct client_count	*c;
	uint8_t			 key[9];
	size_t			 at;

	client_key_of(a, key);
	at = client_hash(key, relay);
	for (c = clients[at]; c != NULL; c = c->next)
		if (c->relay == relay && memcmp(c->key, key, 9) == 0)
			return c;
	if ((c = calloc(1, sizeof(*c))) == NULL)
		return NULL;
	memcpy(c->key, key, 9);
	c->relay = relay;
	c->next = clients[at];
	clients[at] = c;
	return c;
}

/* One less; the last one frees the entry. */
static void
client_release(struct client_count *c)
{
	struct client_count	**p;

	if (c == NULL)
		return;
	if (c->used > 0)
		c->used--;
	if (c->used > 0)
		return;
	for (p = &clients[client_hash(c->key, c->relay)]; *p != NULL;
	    p = &(*p)->next) {
		if (*p != c)
			continue;
		*p = c->next;
		free(c);
		return;
	}
}

/*
 * Count a client's session.
 *   returns   0; -1 when it has as many as it may or there is no memory
 */
static int
client_take(struct client_count **c, const struct addr *a, uint32_t relay,
    uint32_t max)
{
	*c = NULL;
	if (max == 0)
		return 0;
	if ((*c = client_find(a, relay)) == NULL)
		return -1;
	if ((*c)->used >= max) {
		*c = NULL;
		return -1;
	}
	(*c)->used++;
	return 0;
}

static int
relay_grow(uint32_t n)
{
	uint32_t	*p;

	if (n <= nrelay_used)
		return 0;
	if ((p = recallocarray(relay_used, nrelay_used, n,
	    sizeof(*p))) == NULL)
		return -1;
	relay_used = p;
	nrelay_used = n;
	return 0;
}

static const char *
session_refusal(const struct conf *conf, const struct conf_relay *r)
{
	if (relay_grow(conf->nrelays) == -1)
		return "out of memory";
	if (conf->limits.max_sessions != 0 &&
	    nsessions >= conf->limits.max_sessions)
		return "max-sessions";
	if (r->limits.max_sessions != 0 &&
	    relay_used[r->number] >= r->limits.max_sessions)
		return "max-sessions of the relay";
	return NULL;
}

struct session_record *
sessions_add(const struct conf *conf, const struct conf_relay *r,
    const struct addr *client, int is_counted,
    struct session_owner *owner, const char **refusal)
{
	struct session_record	*s;

	if ((*refusal = session_refusal(conf, r)) != NULL)
		return NULL;
	*refusal = "out of memory";
	if ((s = calloc(1, sizeof(*s))) == NULL)
		return NULL;
	*refusal = "max-sessions-per-client";
	if (is_counted && (client_take(&s->global_count, client, CLIENT_GLOBAL,
	    conf->limits.max_sessions_per_client) == -1 ||
	    client_take(&s->relay_count, client, r->number,
	    r->limits.max_sessions_per_client) == -1)) {
		client_release(s->global_count);
		free(s);
		return NULL;
	}
	s->id = ++next_id;
	s->relay = r;
	s->client = *client;
	s->owner = owner;
	LIST_INSERT_HEAD(session_bucket(s->id), s, by_id);
	LIST_INSERT_HEAD(&owner->records, s, by_worker);
	owner->used++;
	relay_used[r->number]++;
	nsessions++;
	return s;
}

void
sessions_remove(struct session_record *s)
{
	LIST_REMOVE(s, by_id);
	LIST_REMOVE(s, by_worker);
	if (s->source.family != 0)
		LIST_REMOVE(s, by_source);
	s->owner->used--;
	client_release(s->global_count);
	client_release(s->relay_count);
	relay_used[s->relay->number]--;
	nsessions--;
	free(s);
}

struct session_record *
sessions_find(uint64_t id)
{
	struct session_record	*s;

	LIST_FOREACH(s, session_bucket(id), by_id)
		if (s->id == id)
			return s;
	return NULL;
}

void
sessions_remove_all(struct session_owner *owner)
{
	struct session_record	*s;

	while ((s = LIST_FIRST(&owner->records)) != NULL)
		sessions_remove(s);
}

const struct addr *
sessions_dest(const struct session_record *s)
{
	return s->original.family != 0 ? &s->original :
	    &s->relay->choices[s->choice].addr;
}

void
sessions_move(struct session_record *s, struct session_owner *to)
{
	LIST_REMOVE(s, by_worker);
	s->owner->used--;
	s->owner = to;
	LIST_INSERT_HEAD(&to->records, s, by_worker);
	to->used++;
}

static struct session_records *
source_bucket(const struct addr *a)
{
	uint8_t	key[9];

	client_key_of(a, key);
	return &sources[client_hash(key, a->port) ^
	    (a->port & (SESSIONS_BUCKETS - 1))];
}

void
sessions_set_source(struct session_record *s, const struct addr *source,
    const struct addr *dest)
{
	if (s->source.family != 0)
		LIST_REMOVE(s, by_source);
	s->source = *source;
	s->dest = *dest;
	if (source->family != 0)
		LIST_INSERT_HEAD(source_bucket(source), s, by_source);
}

int
sessions_is_ours(const struct addr *peer, const struct addr *original)
{
	const struct session_record	*s;

	LIST_FOREACH(s, source_bucket(peer), by_source)
		if (addr_is_equal(&s->source, peer) &&
		    (original == NULL || addr_is_equal(&s->dest, original)))
			return 1;
	return 0;
}

size_t
sessions_used(void)
{
	return nsessions;
}

static void
refusal_log(struct refusal *r)
{
	char	line[LOG_LINE_MAX], text[ADDR_TEXT_MAX];

	line[0] = '\0';
	(void)strlcpy(line, "refused", sizeof(line));
	str_add_pair_str(line, sizeof(line), "relay", r->relay);
	str_add_pair_str(line, sizeof(line), "client",
	    addr_text_host(&r->client, text));
	str_add_pair_u64(line, sizeof(line), "count", r->count);
	str_add_pair_str(line, sizeof(line), "reason", r->reason);
	log_line(LOG_INFO, line);
	r->count = 0;
}

void
sessions_note_refusal(const struct addr *client, const char *relay,
    const char *reason, int64_t now_ms)
{
	struct refusal	*r, *oldest = &refusals[0], *free_one = NULL;
	size_t		 i;

	for (i = 0; i < REFUSALS; i++) {
		r = &refusals[i];
		if (r->count == 0) {
			free_one = r;
			continue;
		}
		if (r->since_ms < oldest->since_ms || oldest->count == 0)
			oldest = r;
		if (addr_is_same_host(&r->client, client) &&
		    strcmp(r->reason, reason) == 0 &&
		    strcmp(r->relay, relay) == 0) {
			r->count++;
			return;
		}
	}
	if ((r = free_one) == NULL) {
		refusal_log(oldest);
		r = oldest;
	}
	r->client = *client;
	(void)strlcpy(r->relay, relay, sizeof(r->relay)); /* same size */
	r->reason = reason;
	r->count = 1;
	r->since_ms = now_ms;
}

void
sessions_flush_refusals(int64_t now_ms, int all)
{
	size_t	i;

	for (i = 0; i < REFUSALS; i++)
		if (refusals[i].count > 0 &&
		    (all || now_ms - refusals[i].since_ms >= REFUSAL_MS))
			refusal_log(&refusals[i]);
}
