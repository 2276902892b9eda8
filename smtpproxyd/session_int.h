#ifndef SESSION_INT_H
#define SESSION_INT_H

#include "session.h"

/*
 * What session.c, session_io.c and session_open.c share; nobody else includes
 * this.
 */

/* It has something to do: parse and send phases of this pass will see it. */
void	session_activate(struct session *);
void	session_try(struct session *, uint32_t choice, int fd, int error);
void	session_next(struct session *);
void	session_on_connect(struct session *, int error);
/* Behind its last words the client's connection is closed, without a wait. */
int	session_ends_at_once(const struct session *);
/* The opening is over: the destination, connected or to be asked for. */
void	session_begin(struct session *);

/*
 * session_open.c: what comes before SMTP, a PROXY header and TLS.
 * session_open_new(): the session's facts, and what its opening is; -1 without
 * memory.
 */
int	session_open_new(struct session *, const struct session_new *);
void	session_open_free(struct session *);
/* The receive phase of a PROXY header. */
void	session_open_receive(struct session *);
/* The parse phase while opening; 1 when something moved. */
int	session_open_run(struct session *);
void	session_open_timeout(struct session *);
int64_t	session_open_limit(const struct session *);
/* All is sent: begin the handshakes that are due; 1 when one moved. */
int	session_open_tls(struct session *);
/* The socket of a side whose handshake is under way has something. */
void	session_open_shake(struct session *, enum smtp_side, short revents);

/* Take a descriptor into the loop: 0, or -1 without memory (not closed). */
int	session_io_open(struct session *, enum smtp_side, int fd);
/* Receive phase of one side, where it is not the loop that says so. */
void	session_io_receive(struct session *, enum smtp_side);
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
