#ifndef SMTP_MACHINE_H
#define SMTP_MACHINE_H

#include "smtp_engine.h"

/*
 * What the files of the engine share among themselves; nobody else includes
 * this.  smtp_engine.c has the table of states and events, smtp_step.c the one
 * place where it is used, smtp_client.c the commands, smtp_content.c DATA and
 * BDAT, smtp_dest.c the replies, smtp_opaque.c what passes unread, smtp_tls.c
 * the two ends of STARTTLS, smtp_prelude.c what a destination is told first,
 * smtp_queue.c what is outstanding, smtp_wait.c the time.
 */
#define SMTP_OUT_DEST_MAX	BUF_SMALL
#define SMTP_OUT_CLIENT_MAX	(SMTP_REPLY_MAX + 4 * BUF_SMALL)
#define SMTP_OUT_HIGH		4096	/* above it the other side waits */
#define SMTP_SAY_MAX		512	/* a reply of our own */
#define SMTP_LAST_MS		5000
#define CHUNK_REFUSED		"503 5.5.1 a chunk was refused before"
#define SMTP_NEMPTY_OVER	255		/* there was another line */
#define SMTP_DROP_MAX		(1024 * 1024)	/* of one command line */

/* What goes with an event. */
struct smtp_input {
	const uint8_t		*in;
	size_t			 len;
	size_t			 taken;
	enum smtp_answer	 answer;
	const char		*reply;		/* with an answer */
	const char		*reason;	/* with an end */
	int			 has_reply;	/* e->reply is complete */
};
typedef void smtp_step_fn(struct smtp_engine *, struct smtp_input *);

/* What can happen. */
enum smtp_event {
	ON_OCTETS = 0,		/* from the client */
	ON_CLIENT_END,		/* FIN */
	ON_REPLY,		/* complete and well-formed; octets in the
				 * states where none is read as a reply */
	ON_DEST_END,		/* FIN, reset or given up */
	SMTP_EVENTS
};
struct smtp_cell {
	smtp_step_fn	*fn;
	const char	*name;		/* of fn */
};
extern const struct smtp_cell smtp_machine[SMTP_STATES][SMTP_EVENTS];
const char	*smtp_event_name(enum smtp_event);

/* smtp_step.c: one event, and what follows from it. */
void	smtp_step(struct smtp_engine *, enum smtp_event, struct smtp_input *);

/* smtp_queue.c: outstanding commands and local replies. */

/*
 * Room for what octets of the client's can push in one step, before they are
 * taken: -1 without memory.
 */
int	smtp_queue_reserve(struct smtp_engine *);
/* There is always room: the client is not read when there is little. */
void	smtp_queue_push(struct smtp_engine *, enum smtp_verb,
	    enum smtp_origin, unsigned int flags, int txn);
void	smtp_queue_pop(struct smtp_engine *);
/*
 * Entries, the oldest first; they are in this place until the next push or
 * pop.  smtp_queue_first(): NULL where there is none.
 */
const struct smtp_queue_entry *smtp_queue_look(const struct smtp_engine *,
	    size_t);
struct smtp_queue_entry	*smtp_queue_first(struct smtp_engine *);
/* The last one that was forwarded, or NULL. */
struct smtp_queue_entry	*smtp_queue_last(struct smtp_engine *);
/* The end of a message is out (or goes out next) and its reply is due. */
int	smtp_queue_has_message(const struct smtp_engine *);
/* Not all octets of it have left for the destination yet. */
int	smtp_queue_is_unsent(const struct smtp_engine *,
	    const struct smtp_queue_entry *);
/* Entries that belong to this transaction belong to none any more. */
void	smtp_queue_forget_txn(struct smtp_engine *, int txn);
void	smtp_queue_clear(struct smtp_engine *);
/*
 * Our own reply, at once or in its turn: "502 5.5.1 text" without CRLF; with
 * QUEUE_CLOSE the session ends behind it.  5xx counts as an error.
 */
void	smtp_queue_say(struct smtp_engine *, const char *, unsigned int flags);
/* Write out the local replies whose turn it is. */
void	smtp_queue_flush(struct smtp_engine *);

/* Transactions. */
int	smtp_txn_new(struct smtp_engine *);	/* index, -1: all in use */
void	smtp_txn_end(struct smtp_engine *, int txn, const char *reason);
void	smtp_txn_reply(struct smtp_engine *, int txn, const void *, size_t);
struct smtp_txn	*smtp_txn_at(struct smtp_engine *, int txn);	/* or NULL */

/* smtp_engine.c */

/* Octets to the client; without memory the session is over, at the next
 * smtp_settle(). */
void	smtp_tell(struct smtp_engine *, const void *, size_t);
void	smtp_tell_line(struct smtp_engine *, const char *);
/*
 * Octets to the destination.
 *   returns   0, or -1: no memory, and the session is over
 */
int	smtp_give(struct smtp_engine *, const void *, size_t);
/* The held line is done with. */
void	smtp_clear_held(struct smtp_engine *);
/* It is over for want of memory. */
void	smtp_over_nomem(struct smtp_engine *);
/* It is over; the first reason stays. */
void	smtp_over(struct smtp_engine *, const char *reason);
void	smtp_set_reason(struct smtp_engine *, const char *reason,
	    const void *text, size_t len);
/*
 * One reply of ours in the place of the oldest that is due, or unasked when
 * none is, then the end.  "4.4.2", "lost connection": the code is 421.
 */
void	smtp_over_421(struct smtp_engine *, const char *enhanced,
	    const char *text, const char *reason);
/* The same with "451 ..." in front of it, for the oldest (DECISIONS). */
void	smtp_over_451(struct smtp_engine *, const char *enhanced,
	    const char *text, const char *reason);
/* Format "CODE ENHANCED HOSTNAME text" into SMTP_SAY_MAX octets. */
void	smtp_format(struct smtp_engine *, char *, const char *code,
	    const char *enhanced, const char *text);
void	smtp_close_dest(struct smtp_engine *);
void	smtp_ask(struct smtp_engine *, enum smtp_stage);
/* What follows once nothing is outstanding. */
void	smtp_settle(struct smtp_engine *);
/*
 * The client's octets count no more; replies that are due still come, and our
 * last words wait in the queue behind them.  Content that is not complete
 * never will be: the destination is closed when its turn comes.
 */
void	smtp_stop_reading(struct smtp_engine *);
/* The same with those last words: this reply, and a 421 that ends it. */
void	smtp_say_last(struct smtp_engine *, const char *reply,
	    const char *enhanced, const char *reason);

/* smtp_client.c */
smtp_step_fn	smtp_client_early, smtp_client_command, smtp_client_strict,
		smtp_client_auth, smtp_client_last, smtp_client_drop,
		smtp_client_hold, smtp_client_held, smtp_client_asked;
/* Octets behind a command that nothing may follow: the session ends. */
void	smtp_client_improper(struct smtp_engine *);
/* A complete command line, new or held. */
void	smtp_command_take(struct smtp_engine *, const uint8_t *, size_t);
/* The question about the held line was answered with "pass". */
void	smtp_command_go(struct smtp_engine *);
/* It was answered with a reply of ours. */
void	smtp_command_refuse(struct smtp_engine *, const char *reply);

/* smtp_content.c */
smtp_step_fn	smtp_content_feed, smtp_content_feed_chunk,
		smtp_content_skip, smtp_content_skip_chunk;
void	smtp_content_start(struct smtp_engine *, int txn);
void	smtp_bdat_take(struct smtp_engine *, const struct smtp_cmd *,
	    size_t len);
/* One that can't be read: nobody knows how many octets follow. */
void	smtp_bdat_bad(struct smtp_engine *, const char *reply);
void	smtp_bdat_forward(struct smtp_engine *);
/* Our own reply to it, once its octets were read and dropped. */
void	smtp_bdat_refuse(struct smtp_engine *, const char *reply);
/* Content is complete and may be finished. */
void	smtp_content_finish(struct smtp_engine *);
/* The client has not sent all of a message or chunk, or it may not go yet. */
int	smtp_content_is_open(const struct smtp_engine *);
/* And the next reply of the destination would be about it. */
int	smtp_content_is_owed(const struct smtp_engine *);
/*
 * A refusal inside a message: the destination is closed, what the client
 * still sends of it is dropped, then it hears this reply (with CRLF or not).
 */
void	smtp_content_refuse(struct smtp_engine *, const void *, size_t,
	    const char *reason);
/* All of the refused content was dropped. */
void	smtp_content_skipped(struct smtp_engine *);

/* smtp_dest.c */
void	smtp_dest_feed(struct smtp_engine *, struct smtp_input *);
smtp_step_fn	smtp_dest_greeting, smtp_dest_reply, smtp_dest_early,
		smtp_dest_ignore, smtp_dest_gone, smtp_dest_gone_content,
		smtp_dest_next;
void	smtp_dest_bad(struct smtp_engine *, const char *fault);
/*
 * The present reply is one to an EHLO that the client's next one has to
 * repeat, because of us: kept for a destination that takes one only.
 */
void	smtp_dest_keep(struct smtp_engine *);

/* smtp_prelude.c */

/* The greeting is good: what we have to say first, or it is the client's. */
void	smtp_prelude_start(struct smtp_engine *);
smtp_step_fn	smtp_prelude_reply;
void	smtp_prelude_tls_up(struct smtp_engine *);
/* This destination is no use: the next one.  Constant text. */
void	smtp_prelude_fail(struct smtp_engine *, const char *reason);

/* smtp_tls.c */

/* Does STARTTLS of a client end here? */
int	smtp_tls_ends_here(const struct smtp_engine *);
/* What we refuse by ourselves because of TLS, or NULL. */
const char	*smtp_tls_refusal(const struct smtp_engine *,
		    const struct smtp_cmd *);
/* The rules for an EHLO reply, as TLS stands now; 1: we offer STARTTLS. */
int	smtp_tls_rules(const struct smtp_engine *, struct smtp_ehlo_rules *,
	    uint32_t offered);
/* The client's STARTTLS may go on. */
void	smtp_tls_go(struct smtp_engine *);
/* The destination's reply to our STARTTLS, behind the client's. */
void	smtp_tls_reply(struct smtp_engine *);
/* Octets in clear behind a 220, the destination's and ours. */
void	smtp_tls_injected(struct smtp_engine *);
smtp_step_fn	smtp_tls_octets;

/* smtp_trace.c: what we add to the dialogue about the client. */

/* XFORWARD goes first: the MAIL that is held goes on with its reply. */
void	smtp_trace_xforward(struct smtp_engine *);
/* The trace header, in front of the first octet of content. */
void	smtp_trace_data(struct smtp_engine *);
void	smtp_trace_bdat(struct smtp_engine *);
/* MAIL, with SIZE= raised by the header's length. */
int	smtp_trace_mail(struct smtp_engine *, const uint8_t *, size_t);

/* smtp_opaque.c */
smtp_step_fn	smtp_opaque_first, smtp_opaque_injected, smtp_opaque_client,
		smtp_opaque_client_end, smtp_opaque_dest,
		smtp_opaque_dest_end;
/* Nothing that comes is read as SMTP. */
int	smtp_opaque_is_raw(const struct smtp_engine *);
/* 220 to STARTTLS was told: the client's handshake is due. */
void	smtp_opaque_expect(struct smtp_engine *);
/* The destination of a bypass is there. */
void	smtp_opaque_connected(struct smtp_engine *);
/* Something was sent: is it the end? */
void	smtp_opaque_settle(struct smtp_engine *);

#endif
