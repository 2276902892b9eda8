#ifndef KEY_CLIENT_H
#define KEY_CLIENT_H

#include <sys/types.h>
#include <sys/queue.h>

#include <stddef.h>
#include <stdint.h>

#include "../common/loop.h"
#include "chan.h"

/*
 * A worker's side of the keyholder: signatures that are asked for in the
 * middle of a TLS handshake.  Where the library can pause a handshake nobody
 * waits; else the answer is waited for, a second at most.
 */
#define KEY_CLIENT_OUT_MAX	128	/* with the keyholder at once; more
					 * wait here, in order */
#define KEY_CLIENT_BATCH	16	/* sent with one call */
#define KEY_CLIENT_MS		10000	/* an answer's time, paused */
#define KEY_CLIENT_BLOCK_MS	1000	/* the same where all wait for it */

/*
 * One handshake; embedded by its owner, zeroed and with `wake` set, and of the
 * same life.
 */
struct key_wait {
	TAILQ_ENTRY(key_wait)	 entry;
	/* The answer is here, or none will come: call the handshake again.
	 * From a timer of the loop, at most once a question. */
	void			(*wake)(struct key_wait *);
	uint64_t		 id;		/* 0: nothing is asked */
	uint8_t			 state;		/* key_client.c's own */
	uint8_t			*sig;		/* likewise */
	size_t			 siglen;
	int64_t			 due_ms;
	/* The question, until it is sent. */
	uint32_t		 key;
	uint16_t		 scheme;
	const uint8_t		*octets;
	size_t			 len;
};

void	key_client_init(struct loop *);
void	key_client_clear(void);

/* For the process's proc_peer_ops: the keyholder is there, spoke, is gone. */
void	key_client_on_peer(struct chan *);
chan_msg_fn	key_client_on_msg;
chan_end_fn	key_client_on_end;

/* Before every call into the library on a connection that may sign. */
void	key_client_enter(struct key_wait *);

/*
 * A port_tls_sign_fn (port/tls.h).  While no keyholder is there a question
 * waits for one, in the first KEY_CLIENT_MS without.  Where the handshake can't
 * be paused it must not be called by a message handler (chan_drain()).
 */
size_t	key_client_sign(uint32_t key, uint16_t scheme, const uint8_t *,
	    size_t, uint8_t *sig);

/* Is this handshake paused for an answer that has not come? */
int	key_client_is_waiting(const struct key_wait *);

/*
 * Give up a handshake that may be paused: after it, call the handshake once
 * more (key_client_enter() before), so that the library unwinds, and then free
 * the connection.
 */
void	key_client_cancel(struct key_wait *);

#endif
