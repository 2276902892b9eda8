#ifndef SESSIONS_H
#define SESSIONS_H

#include <sys/queue.h>

#include <stddef.h>
#include <stdint.h>

#include "../common/addr.h"
#include "conf.h"

/*
 * The parent's own record of each session, by which it judges what a worker
 * asks: a worker names a session, and gets what stands here or nothing.  Also
 * the counts by client address.
 */
struct client_count {
	struct client_count	*next;
	uint8_t			 key[9];	/* family, IPv4 or IPv6 /64 */
	uint32_t		 used;
	uint32_t		 relay;		/* number, or CLIENT_GLOBAL */
};
#define CLIENT_GLOBAL	UINT32_MAX

struct session_record {
	LIST_ENTRY(session_record) by_id;
	LIST_ENTRY(session_record) by_worker;
	uint64_t		 id;
	struct session_owner	*owner;
	const struct conf_relay	*relay;
	struct client_count	*global_count;	/* NULL: not counted */
	struct client_count	*relay_count;
	struct addr		 client;
	struct addr		 listener;
	struct addr		 original;	/* family 0: fixed relay */
	const struct conf_listener *on;
	int			 is_bypass;
	int			 is_proxied;	/* a PROXY header comes first */
	uint32_t		 choice;	/* last one asked for */
	uint32_t		 next;		/* the first it may ask for */
	/* The socket that left last: where from, and where to. */
	LIST_ENTRY(session_record) by_source;
	struct addr		 source;	/* family 0: not in the table */
	struct addr		 dest;
};
LIST_HEAD(session_records, session_record);

/* What is kept for each worker. */
struct session_owner {
	struct session_records	 records;
	size_t			 used;
};

/* 32 bits of start time, 32 bits of counter; never reused in one life. */
void	sessions_init(int64_t start_time);

/*
 * Count a session in, or refuse it.
 *   is_counted  by its address; not behind a load balancer, whose it is
 *   returns   the record; NULL with *refusal (constant text) where a limit
 *             stands against it, or with *refusal "out of memory"
 */
struct session_record	*sessions_add(const struct conf *,
			    const struct conf_relay *, const struct addr *,
			    int is_counted, struct session_owner *,
			    const char **refusal);
void	sessions_remove(struct session_record *);
struct session_record	*sessions_find(uint64_t id);
/* Where its connection goes: its choice, or the original destination. */
const struct addr	*sessions_dest(const struct session_record *);
/* It is another worker's from here on. */
void	sessions_move(struct session_record *, struct session_owner *);

/*
 * The address from which a session's connection leaves, so that it is known
 * when a firewall sends it back to us (DECISIONS, loop guard).
 */
void	sessions_set_source(struct session_record *, const struct addr *source,
	    const struct addr *dest);
/*
 * Is an accepted connection, by its peer, one of our own?  original: where it
 * was going (NULL: wherever).  One address and port may be in use towards
 * several destinations, by a client and by us, so both count.
 */
int	sessions_is_ours(const struct addr *peer, const struct addr *original);

/* One client in the sense of max-sessions-per-client: IPv6 by /64. */
int	sessions_is_same_client(const struct addr *, const struct addr *);

/* All sessions of a worker that died. */
void	sessions_remove_all(struct session_owner *);
size_t	sessions_used(void);

/*
 * Refusals at accept, summed up: one line a client address and 10 s.
 * sessions_flush_refusals() is called once a second or so.
 */
void	sessions_note_refusal(const struct addr *client, const char *relay,
	    const char *reason, int64_t now_ms);
void	sessions_flush_refusals(int64_t now_ms, int all);

#endif
