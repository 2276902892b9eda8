#ifndef PORT_PAIR_H
#define PORT_PAIR_H

#include "../../common/port/tls.h"

#include <stdint.h>

#include <openssl/ssl.h>

#include "tls_pki.h"

/*
 * Handshakes between two ends in one process for the tests of common/port/: a
 * server whose key is elsewhere, and a client of the plain library.  The
 * keyholder's half is called in the place of the keyholder.
 */
#define PP_JOBS		4		/* handshakes that can be paused */

enum pp_key { PP_RSA = 0, PP_P256, PP_P384, PP_ED25519, PP_OTHER, PP_KEYS };

extern struct tls_pki	pp_pki[PP_KEYS];	/* signed by themselves */
extern int		pp_is_native;	/* of OpenSSL, not method tables */

/* What the signer is to do, and what it did. */
struct pp_signer {
	int		nsigned;	/* asked to sign */
	int		npauses;
	int		pauses_left;	/* in front of the next one */
	int		is_refusing;
	uint32_t	swapped_by;	/* takes the key so much further */
	char		refusal[128];	/* the keyholder's, the last */
};
extern struct pp_signer	pp_signer;
port_tls_sign_fn	pp_sign;

/* An unchecked fixture: library, keys; and a checked one: the signer. */
void	pp_set_up(void);
void	pp_tear_down(void);
void	pp_reset(void);

/* The daemon's context (tickets NULL: not set), and a client's, of that
 * version only, who trusts that certificate. */
SSL_CTX	*pp_server(enum pp_key, const struct port_tls_tickets *);
SSL_CTX	*pp_client(int version, X509 *trusted);

struct pp_pair {
	int	 fd[2];
	SSL	*server;
	SSL	*client;
	int	 server_error;		/* SSL_get_error(3); 0: done */
	int	 client_error;
};

void	pp_open(struct pp_pair *, SSL_CTX *server, SSL_CTX *client);
void	pp_close(struct pp_pair *);
/* One call of one end, if it makes sense still. */
void	pp_step(SSL *, int *error);
/* Of either end until both are done, have failed, or wait for a job. */
void	pp_shake(struct pp_pair *);
/* Octets both ways, which also brings the client its tickets. */
void	pp_talk(struct pp_pair *);

#endif
