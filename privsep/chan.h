#ifndef CHAN_H
#define CHAN_H

#include <stddef.h>
#include <stdint.h>

#include "../common/loop.h"
#include "msg.h"
#include "msg_table.h"

/*
 * One end of a SOCK_SEQPACKET pair between two processes.  Who sent a message
 * is known by the descriptor that it came from.  What comes is checked by the
 * message table before a handler sees it; what goes out waits in a bounded
 * queue when the peer is slow, and nobody ever blocks.
 */
#define CHAN_QUEUE_MAX	256	/* messages waiting */
#define CHAN_SOCKBUF	(128 * 1024)
#define CHAN_VIOLATION	"violation: "	/* the reason of an end begins so */
#define CHAN_BATCH	32	/* messages a wake-up, then the others */
#define CHAN_SMALL	224	/* octets that wait without an allocation */

struct chan;

/*
 * A message has come and the table allows it.  Descriptors that the handler
 * does not take (msg_take_fd) are closed when it returns, and the octets of a
 * secret (is_secret in its row) are wiped.
 */
typedef void chan_msg_fn(struct chan *, struct msg *, void *arg);

/*
 * The channel is over; it is closed already, and the handler may free its
 * owner.  reason: "closed" (the peer's end), "violation: ..." or an errno's
 * text.  Called at most once.
 */
typedef void chan_end_fn(struct chan *, const char *reason, void *arg);

/* Whose are the descriptors of a message that is sent? */
enum chan_fds {
	CHAN_FDS_KEEP = 0,	/* the caller's */
	CHAN_FDS_CLOSE,		/* the channel's, which closes them */
	CHAN_FDS_GIVE		/* the same, but on failure the caller's */
};

/*
 * A message with descriptors was in the queue of a channel that has ended, or
 * whose peer has: its type and id.  Descriptors that the handler takes become
 * -1, the others are closed.  It must not send on this channel.
 */
typedef void chan_unsent_fn(struct chan *, const struct msg *, int *fds,
    size_t nfds, void *arg);

struct chan_out {
	uint8_t		*data;		/* the packet; a secret one is wiped */
	uint16_t	 len;
	uint8_t		 nfds;
	int		 fd[MSG_FDS_MAX]; /* ours, closed once they are sent */
	uint8_t		 room[CHAN_SMALL];
};

struct chan {
	struct loop	*loop;
	struct loop_fd	 lfd;
	int		 fd;		/* -1: closed */
	enum proc_role	 self;
	enum proc_role	 peer;
	uint32_t	 instance;	/* of the peer */
	enum chan_state	 state;
	struct chan_out	*queue;		/* ring of CHAN_QUEUE_MAX, on need */
	size_t		 queue_head;
	size_t		 queue_used;
	size_t		 batch;		/* 0: sent at once */
	struct loop_task flush;		/* of the batch */
	uint8_t		 is_blocked;	/* the peer does not take it now */
	uint8_t		 is_broken;	/* nor ever again */
	chan_unsent_fn	*on_unsent;
	void		*unsent_arg;
	struct timer	 retry;		/* ENOBUFS, ETOOMANYREFS, EMFILE */
	int64_t		 full_since_ms;	/* nothing went since; 0: not full */
	int64_t		 heard_ms;	/* last message of the peer */
	uint64_t	 ndropped;	/* lossy ones without room */
	chan_msg_fn	*on_msg;
	chan_end_fn	*on_end;
	/* chan_wait() only: 1 when the message was dealt with. */
	int		(*filter)(struct chan *, struct msg *);
	void		*arg;
	char		 violation[64];	/* not empty: it ends after this pass */
};

/*
 * Make a pair with the buffer sizes that the design asks for (checked), both
 * ends close-on-exec and non-blocking.  0, or -1 with errno.
 */
int	chan_pair(int fd[2]);

/* Prepare the storage of a channel that is not open. */
void	chan_init(struct chan *);

/*
 * Take over one end; the descriptor is the channel's from now on.  Without a
 * loop (NULL) it is for chan_wait() and sending blocks: set-up of a
 * short-lived child.
 *   returns   0; -1 without memory, the descriptor is closed then
 */
int	chan_open(struct chan *, struct loop *, int fd, enum proc_role self,
	    enum proc_role peer, uint32_t instance, chan_msg_fn *,
	    chan_end_fn *, void *arg);
/* Close it and drop what waits, with the descriptors in it.  No callback. */
void	chan_close(struct chan *);
int	chan_is_open(const struct chan *);

/* After proc_child_start(), which opens it with handlers of its own. */
void	chan_set_handlers(struct chan *, chan_msg_fn *, chan_end_fn *,
	    void *arg);

/*
 * Read what is there, without the limit of a wake-up: the peer has ended and
 * what it said last still counts.  Not from a message handler.
 */
void	chan_drain(struct chan *);

/* Forward only; a step back is a broken invariant (fatalx). */
void	chan_set_state(struct chan *, enum chan_state);

/*
 * From now on what is sent waits for the end of the loop's pass, or for
 * chan_flush(), and goes out together, at most `most` messages at a time: the
 * peer is woken once for all of them.
 *   returns    0, or -1 without memory: sent at once, as before
 */
int	chan_set_batch(struct chan *, size_t most);

/* Send what waits, as far as the peer takes it. */
void	chan_flush(struct chan *);

/*
 * Send, or queue in order behind what waits.  The writer must be finished.
 *   fds        closed when sent unless they are the caller's; what waits has
 *              copies of those
 *   returns    0; -1 with ENOBUFS when the queue is full, EPIPE when closed,
 *              EINVAL when the table does not allow it (our own mistake)
 */
int	chan_send(struct chan *, struct msg_writer *, const int *fds,
	    size_t nfds, enum chan_fds);

/*
 * For records that may be lost: never queued, counted in ndropped instead.
 *   returns   0 when it was sent, else -1: ENOBUFS no room, EPIPE closed,
 *             EINVAL as above
 */
int	chan_send_lossy(struct chan *, struct msg_writer *);

/* Who gets what was not sent; else it is lost. */
void	chan_set_unsent(struct chan *, chan_unsent_fn *, void *arg);

/* Nothing waits to be sent. */
int	chan_is_idle(const struct chan *);
/* It is open, and the peer took what was sent last. */
int	chan_can_send(const struct chan *);

/*
 * Blocking use, for a child's set-up only: wait for one message, checked by
 * the table.  What privsep itself sends meanwhile (PEER) is dealt with
 * inside where proc_child_start() opened the channel.  fatalx() on an end, a
 * violation or after timeout_ms: the sender
 * is the parent.  `room` has MSG_MAX octets; *m points into it, and a secret
 * in it is the caller's to wipe.
 */
void	chan_wait(struct chan *, struct msg *m, uint8_t *room, int timeout_ms);

/*
 * The peer broke the rules in the content of a message: logged with both
 * roles, the type and the reason; the channel is closed and on_end runs when
 * the current handler has returned (outside of one: with the next pass).  From
 * a more privileged peer (the parent)
 * it is fatalx().
 */
void	chan_violation(struct chan *, uint16_t type, const char *reason);

#endif
