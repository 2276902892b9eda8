#ifndef SMTP_ENGINE_H
#define SMTP_ENGINE_H

#include <sys/types.h>

#include <stddef.h>
#include <stdint.h>

#include "../common/buf.h"
#include "smtp_cmd.h"
#include "smtp_data.h"
#include "smtp_ehlo.h"
#include "smtp_identity.h"
#include "smtp_line.h"
#include "smtp_path.h"
#include "smtp_reply.h"

/*
 * The dialogue between one client and one destination, without I/O and
 * without a clock: octets of either side go in, octets for either side and a
 * few events come out.  Everything that the session knows is in the struct.
 *
 * Use: after smtp_engine_init() tell what happens (connected, failed, octets,
 * ends, a timeout).  After each call
 *   1. answer a question (smtp_engine_question),
 *   2. obey smtp_engine_events(),
 *   3. send out[side], then pass[side], to each side,
 *   4. log and free the ended transactions (smtp_engine_ended),
 * and feed the octets that were not taken again.
 */
enum smtp_side {
	SMTP_CLIENT = 0,
	SMTP_DEST
};
#define SMTP_SIDES	2

/*
 * What the client's next octets are.  The table of states and events in
 * smtp_engine.c has a row for each.
 */
enum smtp_state {
	SMTP_GREETING = 0,	/* nothing may come before the greeting */
	SMTP_COMMAND,		/* commands */
	SMTP_HELD,		/* a command waits for all replies before it */
	SMTP_ASKED,		/* a question is open, what follows is held */
	SMTP_WAIT,		/* a reply is due, what follows is held */
	SMTP_WAIT_STRICT,	/* likewise, and nothing may follow */
	SMTP_AUTH,		/* a line that answers a 334 */
	SMTP_CONTENT,		/* DATA, up to CRLF.CRLF */
	SMTP_CHUNK,		/* BDAT, counted octets */
	SMTP_SKIP_CONTENT,	/* refused content, dropped */
	SMTP_SKIP_CHUNK,	/* a refused chunk, dropped */
	SMTP_TLS_FIRST,		/* 220 to STARTTLS is out: the client's
				 * handshake comes first, or nothing does */
	SMTP_TLS,		/* our own 220 to STARTTLS was said, and the
				 * client's handshake is under way */
	SMTP_OPAQUE,		/* octets pass unread, both ways */
	SMTP_LAST,		/* all is said; one more command is answered */
	SMTP_OVER,		/* nothing is read any more */
	SMTP_STATES
};

enum smtp_dest_state {
	DEST_NONE = 0,
	DEST_CONNECTING,
	DEST_GREETING,
	DEST_TLS,		/* a handshake is under way */
	DEST_READY,
	DEST_GONE
};

/*
 * What is said to a destination before the client sees its greeting; the value
 * is the reply that is awaited.
 */
enum smtp_prelude {
	PRELUDE_GREETING = 0,
	PRELUDE_EHLO,
	PRELUDE_STARTTLS,
	PRELUDE_XCLIENT
};

/* STARTTLS towards the destination, of our own. */
enum smtp_dest_tls {
	SMTP_DEST_CLEAR = 0,		/* none; or TLS from the first octet */
	SMTP_DEST_MAY,			/* where it is offered */
	SMTP_DEST_MUST
};

/* STARTTLS towards the client, of our own. */
enum smtp_client_tls {
	SMTP_CLIENT_CLEAR = 0,
	SMTP_CLIENT_MAY,		/* offered */
	SMTP_CLIENT_MUST		/* no mail before it (530) */
};

/* Stages at which a question is asked; policy comes in here. */
enum smtp_stage {
	SMTP_STAGE_CONNECT = 0,
	SMTP_STAGE_HELO,
	SMTP_STAGE_MAIL,
	SMTP_STAGE_RCPT,
	SMTP_STAGE_DATA,	/* DATA, or the first BDAT */
	SMTP_STAGE_MESSAGE,	/* content complete, its end still here */
	SMTP_STAGES
};

/* Waits, in the order of the configuration's timeouts. */
enum smtp_timeout {
	SMTP_TIMEOUT_CONNECT = 0,
	SMTP_TIMEOUT_GREETING,
	SMTP_TIMEOUT_HELO,
	SMTP_TIMEOUT_MAIL,
	SMTP_TIMEOUT_RCPT,
	SMTP_TIMEOUT_DATA,
	SMTP_TIMEOUT_BLOCK,
	SMTP_TIMEOUT_DOT,
	SMTP_TIMEOUT_COMMAND,
	SMTP_TIMEOUT_MESSAGE,
	SMTP_TIMEOUT_SESSION,
	SMTP_TIMEOUT_TLS,
	SMTP_TIMEOUTS
};

/* Settings of a relay, borrowed for the session's life. */
struct smtp_settings {
	const char		*hostname;	/* in our own replies */
	struct smtp_ehlo_rules	 ehlo;		/* STARTTLS goes through where
						 * ehlo.remove lacks it */
	uint64_t		 max_message_size;	/* 0: no limit */
	uint32_t		 max_errors;		/* 0: no limit */
	int			 allow_pregreet;
	int			 normalize_newlines;	/* of DATA */
	enum smtp_dest_tls	 dest_tls;
	int			 terminates;	/* STARTTLS ends here on both
						 * sides, where it is offered */
	enum smtp_identity	 identity;
	int			 adds_trace;
	const char *const	*pass_verbs;	/* NULL-terminated, or NULL */
	int64_t			 timeout_ms[SMTP_TIMEOUTS];	/* 0: none */
};

/* One outstanding command; replies go to the client in this order. */
enum smtp_origin {
	ORIGIN_CLIENT = 0,	/* the destination's reply is the client's */
	ORIGIN_PROXY,		/* ours: its reply is swallowed */
	ORIGIN_LOCAL		/* never forwarded: our reply waits its turn */
};
#define SMTP_QUEUE_MAX	64
#define SMTP_QUEUE_FEW	4	/* enough where nothing is pipelined */
#define SMTP_QUEUE_STEP	3	/* what one step pushes at most */
#define QUEUE_LAST	0x01	/* BDAT ... LAST */
#define QUEUE_CLOSE	0x02	/* local: the session ends with it */
#define QUEUE_VOID	0x04	/* forwarded, but answered by us: the
				 * destination goes before its reply comes */
struct smtp_queue_entry {
	uint8_t		verb;		/* enum smtp_verb */
	uint8_t		origin;
	uint8_t		flags;
	int8_t		txn;		/* index, -1: none */
	uint16_t	len;		/* local: octets of `said` */
	uint64_t	end;		/* e->given behind its last octet */
};

/* A mail transaction, from MAIL that was forwarded to its end. */
enum smtp_txn_state {
	TXN_FREE = 0,
	TXN_OPEN,		/* the client's current one */
	TXN_CLOSING,		/* end of content or RSET sent, reply due */
	TXN_ENDED		/* for the log; then freed */
};
#define SMTP_TXNS	2
#define SMTP_TEXT_MAX	160		/* reply texts kept for the log */

struct smtp_txn {
	uint8_t		state;
	uint8_t		is_accepted;	/* MAIL got its 2xx */
	uint8_t		is_binary;	/* BODY=BINARYMIME */
	uint8_t		is_utf8;
	uint8_t		has_bdat;
	uint8_t		is_dead;	/* a chunk was refused */
	uint8_t		is_delivered;	/* the final 2xx came */
	uint32_t	number;		/* from 1 */
	uint32_t	nrcpt;		/* recipients the destination took, or
					 * is still to answer */
	uint32_t	nrcpt_refused;
	uint64_t	size;		/* content octets */
	int64_t		start_ms;
	int64_t		content_ms;	/* content complete; 0: never was */
	int64_t		end_ms;
	char		*from;		/* owned; NULL: no memory for it */
	char		*reply;		/* last reply that decided; owned */
	const char	*reason;	/* our own words, or NULL */
};

/* A question; everything is borrowed and valid until it is answered. */
struct smtp_question {
	uint32_t	 number;
	enum smtp_stage	 stage;
	enum smtp_verb	 verb;
	const uint8_t	*addr;		/* MAIL, RCPT: the path */
	size_t		 addrlen;
	uint64_t	 size;		/* MAIL: SIZE=; MESSAGE: octets */
	uint32_t	 nrcpt;		/* recipients so far */
};

enum smtp_answer {
	ANSWER_PASS = 0,
	ANSWER_REPLY,		/* our reply, nothing is forwarded */
	ANSWER_CLOSE		/* our reply, then the session ends */
};

/* How the octets came to pass unread. */
enum smtp_opaque {
	OPAQUE_NONE = 0,
	OPAQUE_STARTTLS,
	OPAQUE_BYPASS
};

/* smtp_engine_events(): a mask, cleared by the call. */
#define EVENT_CLOSE_DEST	0x01	/* close it at once; drop what was to
					 * be sent there */
#define EVENT_NEXT_CHOICE	0x02	/* close it, try the next destination */
#define EVENT_OVER		0x04	/* send what is left to the client, then
					 * close both */
#define EVENT_WIPE		0x08	/* credentials passed: wipe, not only
					 * drop, what was sent and taken */
#define EVENT_SHUT_DEST		0x10	/* opaque: the client's end has come,
					 * pass it on once all is sent */
#define EVENT_SHUT_CLIENT	0x20	/* likewise, the other way */
#define EVENT_TLS_CLIENT	0x40	/* once all is sent: a TLS handshake as
					 * the server; nothing is read in clear
					 * any more */
#define EVENT_TLS_DEST		0x80	/* likewise as the client */

struct smtp_engine {
	const struct smtp_settings *set;
	struct buf	 out[SMTP_SIDES];	/* copied octets, sent first */
	const uint8_t	*pass[SMTP_SIDES];	/* then these, in place within
						 * the input of the last feed */
	size_t		 passlen[SMTP_SIDES];

	uint8_t		 state;			/* enum smtp_state */
	uint8_t		 dest;			/* enum smtp_dest_state */
	uint8_t		 events;
	uint8_t		 prelude;		/* enum smtp_prelude */
	uint8_t		 client_tls;		/* enum smtp_client_tls */
	uint8_t		 is_tls[SMTP_SIDES];
	uint8_t		 is_dest_verified;	/* its certificate */
	uint8_t		 must_ehlo;		/* TLS begins anew */
	uint8_t		 is_esmtp;		/* the client said EHLO */
	uint8_t		 is_xforwarded;		/* for the MAIL held */
	uint8_t		 has_pipelining;	/* destination's last EHLO */
	uint8_t		 has_ended[SMTP_SIDES];	/* its end came */
	uint8_t		 is_client_lost;	/* reset: can't be told */
	uint8_t		 is_dest_blocked;	/* takes no octets now */
	uint8_t		 is_client_blocked;
	uint8_t		 is_stopping;		/* end with this message */
	uint8_t		 is_done;		/* EVENT_OVER was raised */
	uint8_t		 has_failed;		/* client's buffer: no memory */
	uint8_t		 has_behind;		/* octets behind the question */
	uint8_t		 is_secret;		/* AUTH is under way */
	uint8_t		 final_octet;		/* of BDAT LAST, held */
	uint8_t		 has_final_octet;
	uint8_t		 has_question;		/* it is open */
	uint8_t		 is_chunked;		/* chunks of a message went out
						 * and LAST did not */
	uint8_t		 has_gap;		/* a chunk was refused by us
						 * outside of a transaction */
	uint8_t		 opaque;		/* enum smtp_opaque, for good */
	uint8_t		 is_mute;		/* nothing of ours may be said,
						 * none of it would be read as
						 * SMTP */
	uint8_t		 is_shaking;		/* DEST_CONNECTING: TLS comes
						 * before the greeting */
	uint8_t		 nempty;		/* lines, all so far */
	uint8_t		 stage;			/* of the open question */
	int8_t		 txn_now;		/* client's current, -1: none */

	uint32_t	 attrs;			/* ATTR_* of the destination */
	uint32_t	 question;		/* its number */
	uint32_t	 nerrors;
	uint32_t	 nmessages;		/* numbers given */
	uint32_t	 ndelivered;
	uint64_t	 nskipped;		/* octets of refused content */
	uint64_t	 octets[SMTP_SIDES];	/* received */
	uint64_t	 given;			/* octets for the destination,
						 * sent or not */

	int64_t		 now_ms;		/* of the current call */
	int64_t		 start_ms;
	int64_t		 progress_ms[SMTP_SIDES];	/* last octet from */
	int64_t		 sent_ms[SMTP_SIDES];	/* last octet to */
	int64_t		 turn_ms;		/* since when the present
						 * wait lasts */

	struct smtp_line line[SMTP_SIDES];
	struct smtp_reply reply;
	struct smtp_reply known;		/* to an EHLO that the client's
						 * next one repeats for us */
	struct smtp_ehlo ehlo;
	struct smtp_data data;
	struct smtp_bdat bdat;
	struct buf	 held;			/* the line asked about, or the
						 * reply due after a chunk */
	struct buf	 said;			/* local replies in the queue */

	struct smtp_queue_entry few[SMTP_QUEUE_FEW];
	struct smtp_queue_entry *many;		/* in the place of few, until
						 * it is empty; owned */
	uint8_t		 queue_head;
	uint8_t		 queue_used;

	struct smtp_txn	 txn[SMTP_TXNS];
	char		*helo;			/* owned; NULL: none yet */
	const char	*reason;		/* why it is over */
	const char	*choice_reason;		/* why a choice was no use */
	const struct smtp_identity_facts *who;	/* NULL: nobody asks */
	char		*reason_text;		/* peer's words; owned */
};

/*
 * Begin: the destination is still connecting.  The settings and the pool are
 * borrowed.  The first question (connect) may be open at once.
 */
void	smtp_engine_init(struct smtp_engine *, const struct smtp_settings *,
	    struct buf_pool *, int64_t now_ms);
void	smtp_engine_clear(struct smtp_engine *);

/*
 * Right after init: an opaque session from its first octet (bypass).  Nothing
 * is read as SMTP, nothing of our own is said but a 421 where no destination
 * can be had.
 */
void	smtp_engine_bypass(struct smtp_engine *, int64_t now_ms);

/*
 * Right after init: what the listener does about TLS, and who the client is,
 * borrowed for the session's life.  The facts of its TLS may be filled in
 * later, before smtp_engine_tls_up().
 */
void	smtp_engine_set_client(struct smtp_engine *, enum smtp_client_tls,
	    const struct smtp_identity_facts *);

/*
 * What goes to a destination before all else, TLS included: a PROXY header,
 * where one is configured.  After the connection stands, before
 * smtp_engine_connected().
 */
void	smtp_engine_preamble(struct smtp_engine *, int64_t now_ms);

/*
 * A handshake is done: one that EVENT_TLS_* asked for, or the one that the
 * connection began with (smtps), before the greeting.  What came in clear from
 * that side counts no more (RFC 3207 4.2).
 *   is_verified  the certificate was asked for and is good
 */
void	smtp_engine_tls_up(struct smtp_engine *, enum smtp_side,
	    int is_verified, int64_t now_ms);
/* It failed; the reason is constant text. */
void	smtp_engine_tls_failed(struct smtp_engine *, enum smtp_side,
	    const char *reason, int64_t now_ms);

/*
 * The destination's connection stands; or could not be made, or was given up,
 * and there is no choice left (`reason`: constant text).
 */
void	smtp_engine_connected(struct smtp_engine *, int64_t now_ms);
/* Before it: the connection begins with TLS, whose handshake is under way. */
void	smtp_engine_shaking(struct smtp_engine *, int64_t now_ms);
void	smtp_engine_no_choice(struct smtp_engine *, const char *reason,
	    int64_t now_ms);
/* The session has asked for another destination and waits for it. */
void	smtp_engine_connecting(struct smtp_engine *, int64_t now_ms);

/*
 * Feed octets that arrived from one side.
 *   in, len   borrowed; may be any split of the stream, len 0 is the end (FIN)
 *             of that side, to be told when all before it was taken
 *   now_ms    monotonic milliseconds; the engine has no clock
 *   returns   octets taken; fewer than len means: do the four steps above,
 *             then feed the rest, at once where something changed, else when
 *             the other side moved on
 * pass[] points into `in`: it must be sent before `in` goes or is fed again.
 * RFC 5321 2.3.8 (CRLF only), 4.5.3.1 (sizes), RFC 2920, 3030, 4954.
 */
size_t	smtp_engine_feed(struct smtp_engine *, enum smtp_side,
	    const uint8_t *in, size_t len, int64_t now_ms);

/* A side's connection broke (reset, error): nothing can be told to it. */
void	smtp_engine_lost(struct smtp_engine *, enum smtp_side,
	    const char *reason, int64_t now_ms);

/* TERM: end between messages; the client hears 421. */
void	smtp_engine_stop(struct smtp_engine *, int64_t now_ms);
/* End now, with a 421 in the place of the oldest reply that is due. */
void	smtp_engine_fail(struct smtp_engine *, const char *reason,
	    int64_t now_ms);

/*
 * When does the present wait end?  INT64_MAX: never.  smtp_engine_timeout()
 * is for the caller's timer: nothing happens when it is not time yet.
 */
int64_t	smtp_engine_deadline(const struct smtp_engine *);
void	smtp_engine_timeout(struct smtp_engine *, int64_t now_ms);
/* Octets were sent to that side, or (0) it takes none now. */
void	smtp_engine_sent(struct smtp_engine *, enum smtp_side, size_t sent,
	    int is_blocked, int64_t now_ms);

/* The open question; 0 when there is none. */
int	smtp_engine_question(const struct smtp_engine *,
	    struct smtp_question *);
/*
 * Answer it.  reply: "550 5.7.1 text" without CRLF, borrowed for the call;
 * NULL with PASS.  An answer to another number is ignored.
 */
void	smtp_engine_answer(struct smtp_engine *, uint32_t number,
	    enum smtp_answer, const char *reply, int64_t now_ms);

unsigned int	smtp_engine_events(struct smtp_engine *);

/* A transaction that has ended, for the log, or NULL; then free it. */
struct smtp_txn	*smtp_engine_ended(struct smtp_engine *);
void		 smtp_engine_free_txn(struct smtp_engine *,
		    struct smtp_txn *);

const char	*smtp_state_name(enum smtp_state);

#endif
