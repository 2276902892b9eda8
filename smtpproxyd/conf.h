#ifndef CONF_H
#define CONF_H

#include <stddef.h>
#include <stdint.h>

#include "../common/addr.h"

/*
 * The checked configuration.  The parser calls conf_set_*() and conf_add_*();
 * each checks its value and says what was wrong and what was expected.  The
 * parent keeps the whole, workers get what concerns sessions (conf_wire.h).
 */
#define CONF_NAME_MAX	64		/* relay, table; with NUL */
#define CONF_HOST_MAX	256		/* host name; with NUL */
#define CONF_VERB_MAX	16		/* pass-verb; with NUL */
#define CONF_MECH_MAX	21		/* RFC 4422 3.1: 20 octets; with NUL */
#define CONF_WORKERS_MAX 64
#define CONF_LIST_MAX	32		/* pass-verbs, mechanisms of a relay */
#define CONF_CHOICES_MAX 256		/* destinations of a relay, resolved */
#define CONF_RELAYS_MAX	1024
#define CONF_PATH_MAX	256
#define CONF_PKIS_MAX	256		/* as many keys, with the keyholder */
#define CONF_TLS_PKIS_MAX 16		/* of one listener */
#define CONF_CIPHERS_MAX 512		/* tls-ciphers; with NUL */
#define CONF_BLOB_MAX	(1024 * 1024)	/* certificate files, together */
#define CONF_BLOBS_MAX	1024		/* such files */

/* RFC 5321 4.5.3.2; what each one means stands in smtpproxyd.conf(5). */
enum conf_stage {
	STAGE_CONNECT = 0,		/* 30 s */
	STAGE_GREETING,			/* 300 s */
	STAGE_HELO,			/* 300 s */
	STAGE_MAIL,			/* 300 s */
	STAGE_RCPT,			/* 300 s */
	STAGE_DATA,			/* 120 s */
	STAGE_BLOCK,			/* 180 s */
	STAGE_DOT,			/* 900 s */
	STAGE_COMMAND,			/* 300 s, client idle */
	STAGE_MESSAGE,			/* 0: no limit; total */
	STAGE_SESSION,			/* 0: no limit; total */
	STAGE_TLS,			/* 30 s, a handshake */
	STAGES
};

/*
 * Limits, global or of one relay; 0 is no limit.  A relay that does not set
 * one has the global value (conf_finish() copies it), except for the two
 * counts of sessions: the global ones count all relays together, a relay's
 * own count its sessions only, and both hold.
 */
struct conf_limits {
	uint32_t	max_sessions;
	uint32_t	max_sessions_per_client;
	uint32_t	max_recipients;		/* a message */
	uint32_t	max_errors;		/* a session */
	uint64_t	max_message_size;	/* octets */
	int64_t		timeout_ms[STAGES];
	uint32_t	is_set;			/* LIMIT_* bits, parser only */
};

enum conf_limit {
	LIMIT_SESSIONS = 0,
	LIMIT_SESSIONS_PER_CLIENT,
	LIMIT_RECIPIENTS,
	LIMIT_ERRORS,
	LIMIT_MESSAGE_SIZE,
	LIMIT_TIMEOUT			/* + enum conf_stage */
};

enum conf_newlines {
	NEWLINES_REJECT = 0,
	NEWLINES_NORMALIZE
};

enum conf_pregreet {
	PREGREET_REJECT = 0,
	PREGREET_ALLOW
};

/* How the destination of a session is found. */
enum conf_forward {
	FORWARD_FIXED = 0,		/* choices of the configuration */
	FORWARD_NAT,			/* nat lookup: the firewall is asked */
	FORWARD_DESTINATION		/* destination: getsockname(2) */
};

/* What becomes of STARTTLS between client and destination. */
enum conf_starttls {
	STARTTLS_HIDE = 0,		/* not offered, 502 */
	STARTTLS_PASS,			/* goes through, opaque from then on */
	STARTTLS_TERMINATE		/* TLS of its own on either side */
};

/* TLS towards clients, of a listener. */
enum conf_tls {
	TLS_OFF = 0,
	TLS_OFFER,			/* tls: STARTTLS is offered */
	TLS_REQUIRE,			/* tls-require: no mail before it */
	TLS_IMPLICIT			/* smtps */
};

/* Certificates of clients. */
enum conf_tls_verify {
	TLS_VERIFY_OFF = 0,		/* not asked for */
	TLS_VERIFY_ASK,			/* verify: checked and logged */
	TLS_VERIFY_REQUIRE		/* tls-require verify: or no TLS */
};

/* TLS towards a destination. */
enum conf_dest_tls {
	DEST_TLS_OFF = 0,
	DEST_TLS_OPPORTUNISTIC,		/* what is offered; not verified */
	DEST_TLS_NO_VERIFY,		/* TLS or no mail; not verified */
	DEST_TLS_VERIFY			/* and a valid certificate */
};

/* How a fixed destination is told who the client is. */
enum conf_identity {
	CONF_IDENTITY_NONE = 0,
	CONF_IDENTITY_XCLIENT,
	CONF_IDENTITY_XFORWARD,
	CONF_IDENTITY_PROXY_V1,
	CONF_IDENTITY_PROXY_V2
};

#define CONF_TLS12	0x01		/* bits of tls_protocols */
#define CONF_TLS13	0x02

/* What a client meets whose destination can't be connected to. */
enum conf_failure {
	ON_FAILURE_REPLY = 0,		/* 421 */
	ON_FAILURE_RESET		/* a reset connection */
};

/* Where something stood in the configuration. */
struct conf_place {
	const char	*file;		/* borrowed from the conf's own list */
	int		 line;
};

/* A table as source or destination check; the parser's name first. */
struct conf_check {
	char			 table[CONF_NAME_MAX];	/* "": none */
	struct conf_place	 place;
	struct addr_block	*blocks;	/* array, of conf_finish() */
	size_t			 nblocks;
};

/*
 * A file of certificates, read by the parent and handed to workers as it is;
 * two that name the same path have one.  A file of a key is never one.
 */
#define CONF_NO_BLOB	UINT32_MAX
struct conf_blob {
	char			 path[CONF_PATH_MAX];
	uint32_t		 number;	/* from 0, in order */
	uint8_t			*data;		/* with a NUL behind it */
	size_t			 len;
	size_t			 size;		/* reader only: as announced */
	struct conf_blob	*next;
};

/* pki NAME: a certificate and its key. */
struct conf_pki {
	char			 name[CONF_HOST_MAX];
	uint32_t		 number;	/* from 0: of its key too */
	char			 cert_path[CONF_PATH_MAX];
	char			 key_path[CONF_PATH_MAX]; /* not in
						 * workers */
	uint32_t		 cert;		/* blob */
	struct conf_place	 place;		/* of the first line */
	struct conf_place	 cert_place;
	struct conf_place	 key_place;
	struct conf_pki		*next;
};

/* A pki as a listener names it. */
struct conf_pki_name {
	char			 name[CONF_HOST_MAX];	/* not in workers */
	uint32_t		 pki;		/* number, of conf_finish() */
	struct conf_place	 place;
};

/* The server's side of TLS: of a listener, or of starttls terminate. */
struct conf_tls_server {
	enum conf_tls		 mode;		/* of a listener */
	enum conf_tls_verify	 verify;
	struct conf_pki_name	*pkis;		/* array; the first is the
						 * default */
	size_t			 npkis;
	char			 ca_path[CONF_PATH_MAX]; /* "": none */
	uint32_t		 ca;		/* blob, CONF_NO_BLOB */
};

/* The client's side, towards destinations of a relay. */
struct conf_tls_client {
	enum conf_dest_tls	 mode;
	int			 is_implicit;	/* smtps */
	char			 ca_path[CONF_PATH_MAX]; /* "": the system's,
						 * where it is needed */
	uint32_t		 ca;		/* blob, CONF_NO_BLOB */
};

struct conf_listener {
	struct addr		 addr;
	uint32_t		 number;	/* of its relay, from 0 */
	int			 is_divert;	/* pf divert-to, TPROXY */
	struct conf_tls_server	 tls;
	struct conf_check	 proxied;	/* proxy-protocol from <table>;
						 * not in workers */
	int			 allows_plain;	/* others plain; not in
						 * workers */
	struct conf_place	 place;
	struct conf_listener	*next;
};

/*
 * A destination as written: an address, a name still to be resolved, or all
 * of a table.  conf_finish() makes choices of them.
 */
struct conf_destination {
	char			 host[CONF_HOST_MAX];	/* or table name */
	int			 is_table;
	uint16_t		 port;
	struct conf_place	 place;
	struct conf_destination	*next;
};

/* One address to try; the order is that of the configuration. */
struct conf_choice {
	struct addr	addr;
	char		host[CONF_HOST_MAX];	/* as written, for the log */
};

struct conf_relay {
	char			 name[CONF_NAME_MAX];
	uint32_t		 number;	/* in this generation */
	struct conf_place	 place;
	struct conf_listener	*listeners;
	uint32_t		 nlisteners;
	uint32_t		 nlisteners_announced;	/* reader only */
	struct conf_destination	*destinations;	/* not in workers */
	struct conf_choice	*choices;	/* array */
	size_t			 nchoices;
	size_t			 nannounced;	/* choices; reader only */
	enum conf_forward	 forward;
	int			 is_transparent; /* leaves with the client's
						 * address */
	struct conf_place	 forward_place;	/* of the first such line */
	struct conf_check	 only;		/* destinations; not in
						 * workers */
	struct conf_check	 except;	/* likewise */
	struct conf_check	 bypass;	/* clients, not in workers */
	enum conf_starttls	 starttls;	/* default: FIXED hides it, the
						 * others pass it */
	struct conf_place	 starttls_place;
	struct conf_tls_server	 terminate;	/* starttls terminate; its
						 * mode is unused */
	struct conf_tls_client	 tls;		/* of forward, or of starttls
						 * terminate */
	enum conf_identity	 identity;
	struct conf_place	 identity_place;
	int			 adds_trace;	/* add-header trace */
	unsigned int		 tls_protocols;	/* CONF_TLS12 | CONF_TLS13 */
	char			 tls_ciphers[CONF_CIPHERS_MAX]; /* "": ours */
	struct conf_place	 tls_ciphers_place;
	enum conf_failure	 on_failure;	/* not in workers */
	uint32_t		 mark;		/* SO_MARK, 0: none; not in
						 * workers */
	struct conf_limits	 limits;
	enum conf_pregreet	 pregreet;
	enum conf_newlines	 newlines;
	uint32_t		 is_set;	/* RELAY_* bits, parser only */
	int			 is_broken;	/* parser: a line failed */
	char			 pass_verbs[CONF_LIST_MAX][CONF_VERB_MAX];
	size_t			 npass_verbs;
	/* Mechanisms that may be offered; none: the built-in list. */
	char			 auth_mechs[CONF_LIST_MAX][CONF_MECH_MAX];
	size_t			 nauth_mechs;
	struct conf_relay	*next;
};

enum conf_relay_setting {		/* bits of conf_relay.is_set */
	RELAY_PREGREET = 0,
	RELAY_NEWLINES,
	RELAY_STARTTLS,
	RELAY_ON_FAILURE,
	RELAY_MARK,
	RELAY_BYPASS,
	RELAY_FORWARD_TLS,
	RELAY_IDENTITY,
	RELAY_TRACE,
	RELAY_TLS_PROTOCOLS,
	RELAY_TLS_CIPHERS
};

struct conf_table_entry {
	char			 text[CONF_HOST_MAX]; /* address, block, name */
	struct conf_place	 place;
	struct conf_table_entry	*next;
};

struct conf_table {
	char			 name[CONF_NAME_MAX];
	struct conf_place	 place;
	struct conf_table_entry	*entries;
	struct conf_table_entry	*last;		/* to add behind */
	int			 is_broken;	/* parser: a line failed */
	struct conf_table	*next;
};

enum conf_setting {			/* bits of conf.is_set */
	SETTING_WORKERS = 0,
	SETTING_USER,
	SETTING_CHROOT,
	SETTING_HOSTNAME,
	SETTING_TLS_PROTOCOLS,
	SETTING_TLS_CIPHERS
};

struct conf {
	uint32_t		 generation;
	uint32_t		 nworkers;	/* default: number of CPUs */
	char			 user[CONF_NAME_MAX];	/* "_smtpproxyd" */
	char			 chroot[CONF_PATH_MAX];	/* "/var/empty" */
	char			 hostname[CONF_HOST_MAX]; /* gethostname(3) */
	struct conf_limits	 limits;
	struct conf_table	*tables;
	struct conf_relay	*relays;	/* in the order of the file */
	uint32_t		 nrelays;
	struct conf_pki		*pkis;
	uint32_t		 npkis;
	struct conf_blob	*blobs;
	uint32_t		 nblobs;
	unsigned int		 tls_protocols;	/* global ones, of which a */
	char			 tls_ciphers[CONF_CIPHERS_MAX]; /* relay has
						 * its own where it says so */
	struct conf_place	 tls_ciphers_place;
	struct conf_file	*files;		/* names that places point to */
	struct conf_place	 place;		/* top of the file given */
	uint32_t		 is_set;	/* parser only */
	/* conf_wire.c, reader: record awaited, what was announced, the last
	 * relay. */
	int			 counts_sessions;	/* so the parent says */
	uint32_t		 wire_next;
	uint32_t		 wire_nrelays;
	uint32_t		 wire_nblobs;
	uint32_t		 wire_npkis;
	struct conf_relay	*wire_relay;
};

/*
 * All defaults, no relay.  What the system must be asked for (nworkers 0,
 * hostname "") is filled in by conf_finish(): a confined worker could not.
 * NULL without memory.
 */
struct conf	*conf_new(void);
void		 conf_free(struct conf *);

/*
 * Setters, for the parser.  0; or -1 with what was wrong and what was expected
 * in `why`: the caller puts file and line in front and goes on, so that all
 * errors of a file come in one go.  Saying a thing twice is an error.
 */
struct conf_why {
	char	text[512];
};

/* Write the text, cut where it does not fit.  Always -1. */
int	conf_fail(struct conf_why *, const char *, ...)
	    __attribute__((__format__ (printf, 2, 3)));

/*
 * Numbers as words: digits; digits with K, M or G (1024 and its powers); a
 * port as digits, "smtp", "submission" or "submissions".
 */
int	conf_read_number(const char *, int64_t *, struct conf_why *);
int	conf_read_size(const char *, int64_t *, struct conf_why *);
int	conf_read_port(const char *, int64_t *, struct conf_why *);

/* A lasting copy that belongs to the conf; NULL without memory. */
const char *conf_file_name(struct conf *, const char *);
int	conf_set_workers(struct conf *, int64_t, struct conf_why *);
int	conf_set_user(struct conf *, const char *, struct conf_why *);
int	conf_set_chroot(struct conf *, const char *, struct conf_why *);
int	conf_set_hostname(struct conf *, const char *, struct conf_why *);
/* 1: there is a limit of how many sessions there may be at a time, of any
 * relay; the second function looks at the global ones only. */
int	conf_counts_sessions(const struct conf *);
int	conf_counts_all_sessions(const struct conf *);
int	conf_set_limit(struct conf_limits *, enum conf_limit, int64_t,
	    struct conf_why *);
int	conf_set_timeout(struct conf_limits *, const char *stage, int64_t
	    seconds, struct conf_why *);
struct conf_table *conf_add_table(struct conf *, const char *name,
	    struct conf_place, struct conf_why *);
int	conf_add_table_entry(struct conf_table *, const char *,
	    struct conf_place, struct conf_why *);
/*
 * NULL with why when the name is no good.  name NULL: a relay without one,
 * already broken, so that the lines of a block can be checked whose first
 * line was wrong.
 */
struct conf_relay *conf_add_relay(struct conf *, const char *name,
	    struct conf_place, struct conf_why *);
int	conf_add_listener(struct conf *, struct conf_relay *, const char *host,
	    int64_t port, int is_divert, struct conf_place, struct conf_why *);
int	conf_add_destination(struct conf_relay *, const char *host,
	    int is_table, int64_t port, struct conf_place, struct conf_why *);
/*
 * forward to nat lookup, forward to destination: one line a relay, and no
 * fixed destination beside it.  only, except: names of tables, or NULL.
 */
int	conf_set_intercept(struct conf_relay *, enum conf_forward,
	    const char *only, const char *except, struct conf_place,
	    struct conf_why *);
/*
 * `transparent` in front of a forward line, or not: all lines of a relay or
 * none.  Before conf_set_intercept() and conf_add_destination().
 */
int	conf_set_transparent(struct conf_relay *, int is_transparent,
	    struct conf_place, struct conf_why *);
/* TERMINATE: with conf_set_terminate() and at least one pki. */
int	conf_set_starttls(struct conf_relay *, enum conf_starttls,
	    struct conf_place, struct conf_why *);
int	conf_set_on_failure(struct conf_relay *, enum conf_failure,
	    struct conf_why *);
int	conf_set_mark(struct conf_relay *, int64_t, struct conf_why *);
int	conf_set_bypass(struct conf_relay *, const char *table,
	    struct conf_place, struct conf_why *);
int	conf_set_newlines(struct conf_relay *, enum conf_newlines,
	    struct conf_why *);
int	conf_set_pregreet(struct conf_relay *, enum conf_pregreet,
	    struct conf_why *);
int	conf_add_pass_verb(struct conf_relay *, const char *,
	    struct conf_why *);
int	conf_add_auth_mech(struct conf_relay *, const char *,
	    struct conf_why *);
int	conf_set_identity(struct conf_relay *, enum conf_identity,
	    struct conf_place, struct conf_why *);
int	conf_set_trace(struct conf_relay *, struct conf_why *);

/*
 * TLS (conf_tls.c).  Paths are absolute, since the parent reads keys again
 * when it has left the folder where it was started.
 *
 * pki NAME cert, pki NAME key: both lines may stand anywhere, each once.
 */
int	conf_set_pki(struct conf *, const char *name, int is_key,
	    const char *path, struct conf_place, struct conf_why *);
/*
 * "TLSv1.2", "TLSv1.3": adds its CONF_TLS bit, once; and the whole set of
 * them.  relay NULL: the global setting.
 */
int	conf_read_tls_protocol(const char *, unsigned int *bits,
	    struct conf_why *);
int	conf_set_tls_protocols(struct conf *, struct conf_relay *,
	    unsigned int bits, struct conf_why *);
int	conf_set_tls_ciphers(struct conf *, struct conf_relay *, const char *,
	    struct conf_place, struct conf_why *);

/* The listener of the relay that was added last; NULL: none. */
struct conf_listener *conf_last_listener(const struct conf_relay *);
/*
 * Of a listener: ca is NULL where there is none, and goes with verify.  Then
 * the names of its pkis, or of starttls terminate, one by one.
 */
int	conf_set_server_tls(struct conf_tls_server *, enum conf_tls,
	    enum conf_tls_verify, const char *ca, struct conf_why *);
int	conf_add_server_pki(struct conf_tls_server *, const char *name,
	    struct conf_place, struct conf_why *);
int	conf_set_proxied(struct conf_listener *, const char *table,
	    int allows_plain, struct conf_place, struct conf_why *);
/*
 * What a forward line says of TLS (DEST_TLS_OFF: nothing): all lines of a
 * relay the same, and none of those that intercept anything.  Before the
 * destinations of the line, or behind conf_set_intercept().
 */
int	conf_set_forward_tls(struct conf_relay *, enum conf_dest_tls,
	    int is_implicit, const char *ca, struct conf_why *);
/* The destination's side of starttls terminate. */
int	conf_set_terminate(struct conf_relay *, enum conf_dest_tls,
	    const char *ca, struct conf_why *);

/*
 * What conf_finish() asks others to do.  Each gives 0, or -1 with why.  NULL:
 * names must be numeric; no file is read, and each blob stays empty; nothing
 * is checked.  All checks come before the first name is resolved, so that
 * never more than one child is needed.
 */
typedef int conf_resolve_fn(void *arg, const struct conf *, const char *host,
	    struct addr *, size_t *n, struct conf_why *);
struct conf_hooks {
	/* The resolver child: up to *n addresses of a name. */
	conf_resolve_fn	*resolve;
	/*
	 * Files as octets (keyfile.h): of a key, at most CONF_KEY_MAX, whose
	 * permissions are stricter; of certificates, at most max, malloc'd,
	 * with a NUL behind the last.  why names the path.  Both or none.
	 */
	int	(*read_key)(const char *path, uint8_t *, size_t *len,
		    struct conf_why *);
	int	(*read_cert)(const char *path, size_t max, uint8_t **,
		    size_t *len, struct conf_why *);
	/*
	 * The child that parses them (keycheck.h): certificates and their
	 * key; CA certificates; a list of ciphers.  why names no path.
	 */
	int	(*check_pair)(void *arg, const uint8_t *cert, size_t certlen,
		    const uint8_t *key, size_t keylen, struct conf_why *);
	int	(*check_ca)(void *arg, const uint8_t *, size_t,
		    struct conf_why *);
	int	(*check_ciphers)(void *arg, const char *, struct conf_why *);
};
#define CONF_RESOLVE_MAX 16	/* addresses of one name: room at resolve */
#define CONF_KEY_MAX	8000	/* octets of a key's file */

/*
 * After the file is read: fill in defaults, check what spans lines (a relay
 * without listener or destination, a listener that does not suit the way to
 * the destination, a table or pki that is not there or is empty, a host name
 * in a table of blocks, settings that exclude each other), and make the
 * choices, the blocks of the checks and the blobs; a relay that intercepts has
 * no choices.  A private key is wiped as soon as it was checked.
 *   hooks     NULL: as if all of them were; arg goes to those that take one
 *   returns   number of errors, each said through `say`
 */
typedef void conf_say_fn(void *, const struct conf_place *, const char *);
int	conf_finish(struct conf *, const struct conf_hooks *, void *arg,
	    conf_say_fn *, void *say_arg);

/* By their numbers in this generation, or NULL. */
const struct conf_relay	*conf_relay_by_number(const struct conf *, uint32_t);
/* A listener by its number in the relay, or NULL. */
const struct conf_listener *conf_listener_by_number(const struct conf_relay *,
			    uint32_t);
const struct conf_pki	*conf_pki_by_number(const struct conf *, uint32_t);
const struct conf_blob	*conf_blob_by_number(const struct conf *, uint32_t);
const char		*conf_stage_name(enum conf_stage);

#endif
