#ifndef SESSION_INT_H
#define SESSION_INT_H

#include "session.h"

/* What session.c and session_io.c share; nobody else includes this. */

/* It has something to do: parse and send phases of this pass will see it. */
void	session_activate(struct session *);
void	session_try(struct session *, uint32_t choice, int fd, int error);
void	session_next(struct session *);
void	session_on_connect(struct session *, int error);

/* Take a descriptor into the loop: 0, or -1 without memory (not closed). */
int	session_io_open(struct session *, enum smtp_side, int fd);
void	session_io_close(struct session *, enum smtp_side);
/* Give the engine what came from a side; 1 when it took something. */
int	session_io_feed(struct session *, enum smtp_side);
/* Send what the engine wants out, both ways; 1 when something left. */
int	session_io_send(struct session *);
/* Nothing is left for the client, or it can't be told. */
int	session_io_is_flushed(const struct session *);
/* No more to the client, what it still sends is dropped. */
void	session_io_linger(struct session *);
/* Wait for what can be used now. */
void	session_io_watch(struct session *);

#endif
