#ifndef SESSION_H
#define SESSION_H

#include <sys/queue.h>

#include <stddef.h>
#include <stdint.h>

#include "../common/addr.h"
#include "../common/buf.h"
#include "../common/loop.h"
#include "conf.h"
#include "relay.h"
#include "smtp_engine.h"

/*
 * One connection pair in the worker: sockets on one side, the engine on the
 * other.  A wake-up is three phases over all sessions that have something to
 * do: receive (as the loop calls), parse, send (session_run from the loop's
 * `after`).
 */
struct session;
struct session_tls;
struct tls_set;

/* What the worker does for its sessions. */
struct session_ops {
	/* Ask the parent for the next destination: -1 when it can't be. */
	int	(*connect)(void *, uint64_t id, uint32_t choice);
	/* It is over and closed; the session is freed after this call. */
	void	(*ended)(void *, struct session *);
};

struct session_side {
	int		 fd;		/* -1: none */
	uint8_t		 is_blocked;	/* send(2) said EAGAIN or was short */
	uint8_t		 has_eof;
	uint8_t		 is_eof_told;	/* the engine knows */
	uint8_t		 wants_large;	/* the last read came back full */
	uint8_t		 has_nodelay;
	uint8_t		 nsent;		/* sends since the last read, <= 1 */
	uint8_t		 cant_send;	/* but what it said can be read */
	uint8_t		 wants_shut;	/* once all is sent: no more to it */
	uint8_t		 is_shut;	/* our FIN is out */
	uint8_t		 wants_tls;	/* once all is sent: a handshake */
	uint8_t		 is_implicit;	/* TLS from the first octet */
	uint8_t		 is_shaking;	/* the handshake is under way */
	uint8_t		 is_fresh;	/* and its first step is due */
	short		 shake_events;	/* what it waits for; 0: a wake-up */
	struct session_tls *tls;	/* NULL: in clear */
	size_t		 taken;		/* of `in`, dropped when pass is out */
	struct buf	 in;
	struct loop_fd	 lfd;
};

enum session_phase {
	SESSION_RUNNING = 0,
	SESSION_FLUSHING,	/* over: what is left for the client goes out */
	SESSION_LINGERING,	/* over: its octets are dropped, so that a
				 * reset does not overtake our last reply */
	SESSION_ENDED
};

/* What must have come before anything counts as SMTP. */
enum session_opening {
	SESSION_OPEN = 0,
	SESSION_OPEN_PROXY,	/* a PROXY header */
	SESSION_OPEN_TLS	/* implicit TLS */
};

/*
 * Facts that only some sessions need: where the destination is told about the
 * client, and where there is TLS.
 */
struct session_more {
	struct smtp_identity_facts who;
	char			 id[17];	/* of the session, in hex */
	struct addr		 proxy;		/* who brought a PROXY header */
	int64_t			 opened_ms;	/* when this opening began */
	struct smtp_tls_facts	 dest_tls;	/* without sni and subject */
	char			 tls_error[SMTP_SIDES][96];
};

TAILQ_HEAD(session_list, session);

struct session_set {
	struct session_list	 all;
	struct session_list	 active;
	struct loop		*loop;
	struct buf_pool		 pool;
	const struct session_ops *ops;
	void			*arg;
	struct tls_set		*tls;		/* borrowed; NULL: none */
	size_t			 used;
	int			 is_stopping;	/* no long good-byes */
};

struct session {
	TAILQ_ENTRY(session)	 entry;
	TAILQ_ENTRY(session)	 active_entry;
	struct session		*next_in_bucket;	/* the worker's table */
	struct session_set	*set;
	struct relay		*relay;
	uint64_t		 id;
	uint8_t			 phase;		/* enum session_phase */
	uint8_t			 is_active;
	uint8_t			 is_connecting;
	uint8_t			 is_asking;	/* CONNECT is with the parent */
	uint8_t			 has_secret;	/* wipe what is dropped */
	uint8_t			 is_logged;	/* its line is written */
	uint8_t			 opening;	/* enum session_opening */
	uint8_t			 is_deferred;	/* nobody has connected yet */
	const char		*last_failure;	/* of a destination */
	uint32_t		 choice;
	int64_t			 start_ms;
	int64_t			 connected_ms;	/* 0: never */
	int64_t			 end_by_ms;	/* flushing, lingering */
	struct addr		 client;
	struct addr		 listener;
	struct addr		 dest;
	const struct conf_listener *on;		/* NULL: nothing of its own */
	struct session_more	*more;		/* owned; NULL: no need */
	int			 held_fd;	/* the destination's, while
						 * opening; -1: none */
	int			 held_error;
	struct timer		 timer;
	struct session_side	 side[SMTP_SIDES];
	struct smtp_engine	 engine;
};

void	session_set_init(struct session_set *, struct loop *,
	    const struct session_ops *, void *arg);
/* The loop's `after`: parse and send phases. */
void	session_set_run(void *, int64_t now_ms);
/* TERM: each ends between messages. */
void	session_set_stop(struct session_set *);
void	session_set_clear(struct session_set *);

/*
 * A new session.  The client's descriptor and the destination's (-1: it could
 * not be started, error says why) are the session's from here on, also on
 * failure.  NULL without memory.
 */
struct session_new {
	uint64_t	 id;
	struct relay	*relay;
	uint32_t	 choice;
	int		 error;		/* errno of the destination */
	int		 is_bypass;
	int		 is_proxied;	/* a PROXY header comes first */
	int		 is_deferred;	/* no connection was started: it is
					 * asked for when TLS stands */
	const struct conf_listener *on;	/* NULL: nothing of its own */
	struct addr	 client;
	struct addr	 listener;
	struct addr	 dest;
	int		 client_fd;
	int		 dest_fd;
};
struct session	*session_new(struct session_set *,
		    const struct session_new *);

/* None can be: the client is told so, and both descriptors are closed. */
void	session_refuse(const struct session_new *);

/* The parent's answer to a connect: a descriptor, or -1 and an errno. */
void	session_connected(struct session *, uint32_t choice, int fd, int error,
	    const struct addr *);
/* End it with 421: the reason is constant text. */
void	session_fail(struct session *, const char *reason);

/* session_log.c */
void	session_log_ended(struct session *);	/* transactions that ended */
void	session_log_end(struct session *);

#endif
