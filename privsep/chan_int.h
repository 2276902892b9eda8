#ifndef CHAN_INT_H
#define CHAN_INT_H

#include <sys/types.h>
#include <sys/socket.h>

#include "chan.h"

/*
 * What the two halves of a channel share: chan.c has its life and what comes
 * in, chan_out.c what goes out.
 */
#define CHAN_RETRY_MS	20	/* ENOBUFS and its like */

/* Exactly two descriptors wide: what is more, the kernel closes. */
union chan_control {
	struct cmsghdr	hdr;
	uint8_t		room[CMSG_SPACE(MSG_FDS_MAX * sizeof(int))];
};

/* A packet that held a secret leaves none behind. */
void	chan_wipe(uint8_t *packet, size_t len);

/* The channel ends by itself; the owner hears of it and may free it. */
void	chan_end(struct chan *, const char *why);

/* POLLOUT would come at once for these, and help nothing. */
int	chan_is_short(int error);

/* The socket takes more, perhaps: send what waits. */
void	chan_unblock(struct chan *);

/* What waits is lost, with its descriptors, and the memory given back. */
void	chan_queue_free(struct chan *);

/* ENOBUFS and its like are over, perhaps. */
timer_fn	chan_on_retry;

/* The end of a pass: a struct chan. */
void	chan_on_flush(void *);

#endif
