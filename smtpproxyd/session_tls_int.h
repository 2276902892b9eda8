#ifndef SESSION_TLS_INT_H
#define SESSION_TLS_INT_H

#include <sys/types.h>
#include <sys/queue.h>

#include <stddef.h>
#include <stdint.h>

#include <openssl/ssl.h>

#include "../privsep/key_client.h"
#include "session_tls.h"

/*
 * What the parts of session_tls share: session_tls_set.c makes the
 * contexts (session_tls_files.c reads their certificates), session_tls.c and
 * session_tls_io.c the connections, session_tls_bio.c their way to the socket,
 * session_tls_text.c the words for the log.  Nobody else includes it, save
 * tests.
 */

/* A certificate of a listener. */
struct tls_cert {
	SSL_CTX		*ctx;
};

/* A listener, or starttls terminate. */
struct tls_server {
	struct tls_cert	*certs;		/* array; the first is the default */
	size_t		 ncerts;	/* 0: no TLS here */
	enum conf_tls_verify verify;
};

struct tls_relay {
	struct tls_server *listeners;	/* array, by number */
	uint32_t	 nlisteners;
	struct tls_server terminate;
	SSL_CTX		*client;	/* NULL: no TLS to destinations */
	int		 has_ca;	/* the client's side checks */
};

struct tls_set {
	struct tls_relay *relays;	/* array, by number */
	uint32_t	 nrelays;
};

/*
 * What is read once, however many contexts have it.  Arrays by number; they
 * go when the set is made: contexts hold references.
 */
struct tls_files {
	const struct conf		*conf;
	const struct port_tls_tickets	*tickets;
	X509_STORE			**stores;	/* of blobs */
	STACK_OF(X509)			**chains;	/* of pkis */
	const char			*what;
};

int	tls_files_init(struct tls_files *, const struct conf *,
	    const struct port_tls_tickets *);
void	tls_files_clear(struct tls_files *);
/* Note why it fails (constant text).  Always -1. */
int	tls_files_fail(struct tls_files *, const char *);
/* All borrowed; NULL: no such number, it doesn't parse, no memory. */
const struct conf_blob *tls_files_blob(const struct conf *, uint32_t);
X509_STORE	*tls_files_store(struct tls_files *, uint32_t blob);
STACK_OF(X509)	*tls_files_chain(struct tls_files *, const struct conf_pki *);

/*
 * tls_set_new() with another signer than key_client_sign(); one and the same
 * for all sets of a process.
 */
struct tls_set	*tls_set_new_with(const struct conf *,
		    const struct port_tls_tickets *, port_tls_sign_fn *,
		    const char **what);

/* The signer that contexts have: that of the set, noted when it fails. */
port_tls_sign_fn session_tls_sign;
void	session_tls_set_sign(port_tls_sign_fn *);

enum session_tls_state {
	SESSION_TLS_SHAKING = 0,
	SESSION_TLS_OPEN,
	SESSION_TLS_ENDED,		/* the peer sends no more */
	SESSION_TLS_BROKEN		/* no call may be made any more */
};

struct session_tls {
	struct key_wait	 key;		/* first: tls_of_key() */
	TAILQ_ENTRY(session_tls) entry;	/* in the queue for a job */
	SSL		*ssl;
	session_tls_fn	*wake;
	void		*arg;
	char		*sni;		/* NULL: none */
	char		*subject;	/* NULL: no certificate */
	char		*error;		/* NULL: none, or no memory for it */
	int		 fd;
	int		 io_errno;	/* of recv(2) or send(2); 0: none */
	enum session_tls_state state;
	uint8_t		 nrecv;		/* recv(2) in this call */
	uint8_t		 first;		/* octet that came */
	uint8_t		 is_server;
	uint8_t		 is_checking;	/* certificates of the peer */
	uint8_t		 is_paused;	/* inside of the handshake */
	uint8_t		 is_queued;	/* for a job */
	uint8_t		 has_turn;	/* holds a job, or was woken for one */
	uint8_t		 has_begun;	/* `first` is set */
	uint8_t		 has_eof;	/* recv(2) said so */
	uint8_t		 is_drained;	/* so far as this call goes */
	uint8_t		 is_full;	/* the last read filled its buffer */
	uint8_t		 wants_room;	/* a read has to write first */
	uint8_t		 is_end_told;	/* by a read */
	uint8_t		 is_unsigned;	/* the signer gave nothing */
	uint8_t		 is_mute;	/* writes go nowhere */
	uint8_t		 is_shut;	/* close_notify was sent */
	uint8_t		 is_last;	/* what is written goes with the FIN */
};

/* Before each call of the library that can do I/O. */
void	session_tls_enter(struct session_tls *);
/*
 * A call into the library failed for good: put into words why, from what the
 * library and the socket said; and the state is BROKEN.
 */
void	session_tls_fail(struct session_tls *);
/* Constant text of an X509_V_ERR_* value; "ok". */
const char *session_tls_verify_text(long);
/* The subject in one line of bounded length, to be freed; NULL: no memory. */
char	*session_tls_subject(const X509 *);

/*
 * A BIO on the descriptor of a connection, which it borrows and whose first,
 * has_eof, io_errno and is_drained it keeps.  NULL without memory.
 */
BIO	*session_tls_bio_new(struct session_tls *);

#endif
