#ifndef SESSION_TLS_H
#define SESSION_TLS_H

#include <sys/types.h>

#include <stddef.h>
#include <stdint.h>

#include "../common/port/tls.h"
#include "conf.h"
#include "smtp_identity.h"

/*
 * TLS on one side of a session.  Runs in the worker, which has certificates
 * and no private key: signatures come from the keyholder (key_client.h).  The
 * library reads and writes the session's socket through a BIO of our own.
 */
struct tls_set;			/* contexts of one configuration */
struct session_tls;		/* one connection */

/* Before the sandbox: the library, and stacks for paused handshakes. */
void	session_tls_init(void);

/*
 * The contexts of all listeners (or starttls terminate) and destinations of a
 * configuration, which is borrowed for the life of the set, as are the
 * tickets; NULL with *what (constant text) when something does not parse or
 * there is no memory.  Where no relay has TLS it is made all the same, and is
 * empty.  A set outlives its connections.
 */
struct tls_set	*tls_set_new(const struct conf *,
		    const struct port_tls_tickets *, const char **what);
void		 tls_set_free(struct tls_set *);

/* `wake`: a paused handshake can go on; called outside of this module. */
typedef void session_tls_fn(void *);

/*
 * The server's side, with the certificates of that listener; or of the relay's
 * starttls terminate (listener UINT32_MAX).  NULL without memory.
 */
struct session_tls *session_tls_accept(struct tls_set *, uint32_t relay,
		    uint32_t listener, int fd, session_tls_fn *wake, void *);
/*
 * The client's side towards a destination of that relay: `host` is the name or
 * address that its certificate must be for, where the relay verifies; a name
 * is also sent (SNI).  NULL: no name is known, only the chain is checked.
 */
struct session_tls *session_tls_connect(struct tls_set *, uint32_t relay,
		    const char *host, int fd, session_tls_fn *wake, void *);

enum session_tls_result {
	TLS_DONE = 0,
	TLS_WANT_READ,
	TLS_WANT_WRITE,
	TLS_WAIT,		/* for `wake`: poll for nothing but an end */
	TLS_FAILED		/* session_tls_error() says why */
};
enum session_tls_result	session_tls_handshake(struct session_tls *);

/*
 * As recv(2) and send(2): octets, 0 at the end (close_notify, or the
 * connection's without it), -1 with errno: EAGAIN (for a read: poll for input,
 * for a write: for room), EPROTO (the connection is broken;
 * session_tls_error()), or the socket's own.  A read asks for one octet at
 * least, and takes all that is there and fits.  What a write did not take must
 * be offered again first, and no less of it: it may be sealed already.
 */
ssize_t	session_tls_read(struct session_tls *, void *, size_t);
ssize_t	session_tls_write(struct session_tls *, const void *, size_t);
/*
 * There is something for a read that poll(2) on the socket does not show:
 * octets, or an end that no read has told of.
 */
int	session_tls_has_input(const struct session_tls *);
/* The last read could not go on for want of room: poll for that, not input. */
int	session_tls_wants_room(const struct session_tls *);

/* Say that no more will come (close_notify), if it can be said now. */
void	session_tls_shut(struct session_tls *);

/*
 * Nothing will be written but last words, behind which the socket is closed:
 * the kernel may keep them for one segment with close_notify and FIN.
 */
void	session_tls_set_last(struct session_tls *);
/* The descriptor is not closed, and must be open still. */
void	session_tls_free(struct session_tls *);

/*
 * Facts, of a handshake that is done; strings live as long as the connection.
 * subject: one line, as RFC 2253 writes it, of the peer's certificate, 255
 * octets at most (then "..." is their end).  verify: "ok", or why not; "none"
 * without a certificate; "not checked" where there are no authorities.
 */
void	session_tls_facts(const struct session_tls *, struct smtp_tls_facts *);
/*
 * Why it failed, without any octet of the peer's: "alert received: handshake
 * failure", "verify: certificate has expired", "protocol version", "no shared
 * cipher", "not TLS", "closed during the handshake", "connection reset",
 * "keyholder: no signature", or the library's words.  "none": it did not.
 */
const char	*session_tls_error(const struct session_tls *);

#endif
