#ifndef SOAKLOAD_H
#define SOAKLOAD_H

#include <sys/types.h>

#include <netinet/in.h>

#include <signal.h>
#include <stdint.h>
#include <stdio.h>

#include "tool_random.h"
#include "tool_stream.h"

/*
 * The parts of soakload: soakload.c has the options and the loop,
 * soakload_session.c the connections, soakload_talk.c and soakload_hear.c the
 * dialogue, soakload_plan.c what a session is going to do, soakload_content.c
 * the messages.
 *
 * What a session does is known before: it comes from the seed and the session's
 * number alone, whatever happens meanwhile.
 */

enum soak_kind {
	SOAK_NORMAL,
	SOAK_ABORT,		/* leaves at one point of the dialogue */
	SOAK_BANNER,		/* greeting and QUIT */
	SOAK_IDLE,		/* says nothing for long */
	SOAK_GARBAGE,		/* is no client, or a hostile one */
	SOAK_SLOW_WRITE,	/* sends few octets at a time */
	SOAK_SLOW_READ,		/* asks for much, and reads slowly */
	SOAK_KINDS
};

enum soak_tls {
	SOAK_CLEAR,
	SOAK_STARTTLS,
	SOAK_IMPLICIT
};

/* Where an abort comes: behind what is said there, or within it. */
enum soak_point {
	POINT_CONNECT,
	POINT_EHLO,
	POINT_STARTTLS,
	POINT_HELLO,		/* the client's first message of TLS */
	POINT_NO_TLS,		/* octets in its place that are none */
	POINT_MAIL,
	POINT_RCPT,
	POINT_DATA,
	POINT_BODY,
	POINT_END,		/* the whole message is out */
	POINTS
};

enum soak_way {
	WAY_CLOSE,
	WAY_RESET,
	WAY_HALF,		/* our end, and reading goes on */
	WAYS
};

enum soak_garbage {
	GARBAGE_EARLY,		/* noise before the greeting */
	GARBAGE_HELLO,		/* TLS where there is none */
	GARBAGE_HTTP,
	GARBAGE_LINE,		/* one that does not end */
	GARBAGE_VERBS,		/* commands that are none */
	GARBAGE_SYNTAX,
	GARBAGE_INJECT,		/* a command behind STARTTLS */
	GARBAGE_HALF,		/* half a command */
	GARBAGE_CHUNK,		/* more announced than is sent */
	GARBAGES
};

struct soak_plan {
	enum soak_kind	 kind;
	enum soak_tls	 tls;
	uint32_t	 target;	/* random; the ports are the caller's */
	int		 is_tls12;
	int		 is_resumed;
	int		 is_pipelined;
	uint32_t	 messages;
	uint32_t	 abort_message;
	enum soak_point	 point;
	enum soak_way	 way;
	enum soak_garbage garbage;
	uint32_t	 idle_ms;
	uint32_t	 noise;		/* octets, or commands */
};

#define SOAK_FAULT_NONE	'n'

/* A message; the fault is one that the destination is asked for. */
struct soak_message {
	uint32_t	 target;	/* octets, about */
	int		 is_bdat;
	int		 is_dirty;	/* holds what no message may hold */
	uint32_t	 chunk;		/* octets of each, about */
	uint32_t	 recipients;
	char		 what;
	char		 stage;
	uint32_t	 ms;
	int		 has_noop;
	int		 has_rset;	/* MAIL and RSET in front of it */
	int		 has_size;	/* SIZE= */
	uint32_t	 abort_permille;	/* of the octets */
};

/*
 * Content: headers of its own, then lines of a store that is the same for all
 * messages, from a place on that differs.
 */
#define SOAK_LINES	4096
#define SOAK_LINE_MAX	1000
#define SOAK_HEAD_MAX	128

struct soak_store {
	char		*octets;
	uint32_t	 start[SOAK_LINES + 1];
};

struct soak_content {
	const struct soak_store *store;
	char		 head[SOAK_HEAD_MAX];
	uint32_t	 head_used;
	uint32_t	 head_at;
	uint32_t	 line;		/* the one that comes next, or is
					 * under way */
	uint32_t	 at;		/* in it */
	uint32_t	 nlines;	/* left, with that one */
	uint64_t	 size;		/* in all, not stuffed */
	uint64_t	 left;
	uint64_t	 sum;		/* of what is out */
};

#define IN_SIZE		8192
#define OUT_SIZE	16384
#define WANTS_MAX	256

enum soakload_step {
	STEP_CONNECT,
	STEP_GREETING,
	STEP_STARTTLS,
	STEP_HANDSHAKE,
	STEP_EHLO_AGAIN,
	STEP_READY,
	STEP_MESSAGE,
	STEP_RCPT,
	STEP_DATA,
	STEP_CONTENT,
	STEP_CHUNK,
	STEP_CHUNK_BODY,
	STEP_FINAL,
	STEP_UNDO,
	STEP_IDLE,
	STEP_QUIT,
	STEP_END,		/* the end of the connection is due */
	STEP_DRAIN		/* whatever comes, until it ends */
};

/* What a reply answers. */
enum soakload_what {
	WHAT_OTHER,
	WHAT_MAIL,
	WHAT_RCPT,
	WHAT_DATA,
	WHAT_CHUNK,
	WHAT_FINAL
};

struct soakload_want {
	enum soakload_what	 what;
	const char	*digits;	/* the first one may be one of these */
};

struct soakload_session {
	struct tool_stream stream;
	struct soak_plan plan;
	struct soak_message message;
	struct soak_content content;
	enum soakload_step step;
	uint32_t	 id;
	uint32_t	 number;	/* of the message */
	char		 name[40];	/* the message's */
	uint32_t	 nrcpt;		/* said */
	uint32_t	 ntaken;	/* accepted */
	uint64_t	 chunk_left;
	int		 is_connected;
	int		 is_shaking;
	int		 is_open;	/* a message without a record */
	int		 is_sent;	/* all of it */
	int		 is_refused;
	int		 has_go;	/* 354 */
	int		 may_end;	/* 4xx, 5xx and the end are in order */
	int		 is_armed;	/* leaves once all is out */
	int		 is_over;
	int		 can_read;
	int		 is_mute;	/* writing failed, or makes no sense */
	int64_t		 began_ms;
	int64_t		 progress_ms;
	int64_t		 write_ms;	/* nothing is written before */
	int64_t		 read_ms;
	int64_t		 limit_ms;	/* closed then; 0: never */
	int64_t		 wake_ms;	/* something is due then */
	size_t		 nwants;
	struct soakload_want wants[WANTS_MAX];
	size_t		 in_used;
	size_t		 out_at;
	size_t		 out_used;
	char		 in[IN_SIZE];
	char		 out[OUT_SIZE];
};

struct soakload_target {
	uint16_t	 port;
	struct ssl_session_st *resume[2];	/* TLS 1.3, TLS 1.2 */
};
#define PORTS_MAX	8

/* What all sessions share. */
struct soakload {
	uint32_t		 seed;
	const char		*tag;
	struct soak_store	 store;
	struct in_addr		 address;
	struct soakload_target	 targets[2][PORTS_MAX];	/* TLS comes first */
	uint32_t		 ntargets[2];
	struct ssl_ctx_st	*ctx;
	FILE			*journal;
	int64_t			 now_ms;	/* of the pass */
	volatile sig_atomic_t	 is_stopping;
	uint64_t		 nended;
	uint64_t		 nmessages;
	uint64_t		 nacknowledged;
	uint64_t		 nrefused;
	uint64_t		 naborted;
	uint64_t		 noctets;
	uint64_t		 nhandshakes;
	uint64_t		 nresumed;
	uint64_t		 ncomplaints;
};
extern struct soakload	soakload;

/* soakload_plan.c */
struct tool_random soakload_random(uint32_t seed, uint32_t session,
	    uint32_t message);
void	soakload_plan_session(struct soak_plan *, uint32_t seed,
	    uint32_t session);
void	soakload_plan_message(struct soak_message *, const struct soak_plan *,
	    uint32_t seed, uint32_t session, uint32_t number);
/* Whether the destination's connection ends in the course of the message. */
int	soakload_message_is_fatal(const struct soak_message *);
/* No other one follows; behind slow reading the window stays small. */
int	soakload_message_is_last(const struct soak_message *);
/* Does the destination refuse the envelope as a whole? */
int	soakload_message_is_refused(const struct soak_message *);

/* soakload_content.c */
void	soakload_store_make(struct soak_store *);
void	soakload_content_begin(struct soak_content *,
	    const struct soak_store *, const char *id, uint32_t first,
	    uint32_t target);
/*
 * As much as there is room for, but no more than `most` octets of content.
 *   is_stuffed  with the dots of DATA
 *   returns     octets at `to`, dots included
 */
size_t	soakload_content_fill(struct soak_content *, char *to, size_t room,
	    uint64_t most, int is_stuffed);

/*
 * soakload_talk.c: all that was said is out; say what comes next.
 *   returns  0 when something has to be heard first
 */
int	soakload_next(struct soakload_session *);
/* From here on whatever comes, until it ends. */
void	soakload_drain(struct soakload_session *);

/* soakload_hear.c: what stands in s->in, and the end of the connection. */
void	soakload_hear(struct soakload_session *);
void	soakload_hear_end(struct soakload_session *);
/* How a message ended (see soakload.c), where that is not recorded yet. */
void	soakload_record(struct soakload_session *, char how);
/* Say what was not meant to happen; the session is over with it. */
void	soakload_complain(struct soakload_session *, const char *fmt, ...);

/* soakload_session.c */
void	soakload_session_prepare(void);
struct soakload_session	*soakload_session_new(uint32_t id);
void	soakload_session_free(struct soakload_session *);
/* What can be done now; is_over says that it was the last. */
void	soakload_session_serve(struct soakload_session *, short revents);
/* TLS from here on. */
void	soakload_session_tls(struct soakload_session *);
short	soakload_session_events(const struct soakload_session *);

#endif
