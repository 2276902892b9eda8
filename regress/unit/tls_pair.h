#ifndef TLS_PAIR_H
#define TLS_PAIR_H

#include <stddef.h>

#include <openssl/ssl.h>

#include "../../smtpproxyd/session_tls_int.h"
#include "tls_pki.h"

/*
 * Two ends of a TLS connection in one process: session_tls as the server, and
 * as the client either session_tls or the plain library; what the tests of
 * session_tls share.  Signatures are made in place, by the keyholder's half of
 * port/tls.h.
 */

/* Certificates: the number is that of the pki, the key and the blob. */
enum tp_cert {
	TP_MX = 0,		/* mx.example */
	TP_WILD,		/* *.wild.example; its pki: wild */
	TP_OTHER,		/* other.example, RSA */
	TP_CHAIN,		/* of an intermediate, which is sent */
	TP_BARE,		/* of an intermediate, which is not */
	TP_EXPIRED,
	TP_SELF,		/* signed by itself */
	TP_IP,			/* 192.0.2.1 and 2001:db8::1 */
	TP_CLIENT,		/* "client", for clients as all below */
	TP_CLIENT_OLD,		/* expired */
	TP_CLIENT_OTHER,	/* of another authority */
	TP_CLIENT_LONG,		/* a subject of ten long names */
	TP_CERTS
};
#define TP_CA		TP_CERTS	/* blobs: authorities */
#define TP_CA_OTHER	(TP_CERTS + 1)
#define TP_BLOBS	(TP_CERTS + 2)
#define TP_LISTENERS	3

/* A configuration with one relay, "r", whose listeners have no TLS yet. */
struct tp_conf {
	struct conf		conf;
	struct conf_relay	relay;
	struct conf_listener	listeners[TP_LISTENERS];
	struct conf_pki		pkis[TP_CERTS];
	struct conf_blob	blobs[TP_BLOBS];
	struct conf_pki_name	names[TP_LISTENERS + 1][CONF_TLS_PKIS_MAX];
};

/* An unchecked fixture, once before tests are forked: library, keys. */
void	tp_set_up(void);
void	tp_tear_down(void);

extern struct tls_pki	tp_pki[TP_CERTS];
extern struct port_tls_tickets tp_tickets;

/* The signer: may be told to fail, and to pause until told to go on. */
port_tls_sign_fn	tp_sign;
extern int	tp_sign_fails;
extern int	tp_sign_pauses;		/* 0: go on */
extern int	tp_nsigned;
extern int	tp_cant_pause;		/* it was to, and could not */

void	tp_conf_init(struct tp_conf *);
/* Certificates of a listener, TP_CERTS ends them; number as accept's. */
void	tp_conf_serve(struct tp_conf *, uint32_t listener,
	    enum conf_tls_verify, uint32_t ca, enum tp_cert, ...);
/* Of destinations. */
void	tp_conf_dest(struct tp_conf *, enum conf_dest_tls, uint32_t ca);
struct tls_set	*tp_set_new(const struct tp_conf *);

struct tp_pair {
	int			 fd[2];		/* server, client */
	struct session_tls	*server;
	struct session_tls	*client;	/* or: */
	SSL			*raw;
	enum session_tls_result	 result[2];
	int			 nwakes;	/* of either side */
};

/* Sockets that take little at once. */
void	tp_open(struct tp_pair *);
void	tp_accept(struct tp_pair *, struct tls_set *, uint32_t listener);
void	tp_connect(struct tp_pair *, struct tls_set *, const char *host);
/* A client of the plain library; sni NULL: none is sent. */
void	tp_connect_raw(struct tp_pair *, SSL_CTX *, const char *sni);
void	tp_close(struct tp_pair *);

/* Call either side until both are done or failed, or wait. */
void	tp_shake(struct tp_pair *);
/* Both must be done. */
void	tp_shake_well(struct tp_pair *);

/* A context for a raw client; cert TP_CERTS: without one. */
SSL_CTX	*tp_raw_new(enum tp_cert);

#endif
