#ifndef LOAD_H
#define LOAD_H

#include <sys/types.h>
#include <sys/uio.h>

#include <stddef.h>
#include <stdint.h>

#include "../../common/loop.h"
#include "tool_hist.h"

/*
 * The parts of the load generator: load.c has the options and the loop,
 * load_session.c the dialogue, load_content.c the messages, load_tls.c TLS.
 */
#define LOAD_IN_SIZE	4096
#define LOAD_HEAD_SIZE	176	/* id header, other headers, empty line */
#define LOAD_SIZE_MIN	256

struct load_conf {
	int		bdat;
	int		ehlo;		/* at all */
	int		ehlo_twice;
	int		idle;
	int		pipeline;
	int		quickack;
	int		resume;
	int		tls;
	int		tls12;
	unsigned int	concurrency;
	unsigned int	messages;
	unsigned int	recipients;
	unsigned int	sessions;
	unsigned int	size;
	unsigned int	starting;	/* without their greeting */
	unsigned int	timeout_s;
};

struct load_totals {
	uint64_t		messages_ok;
	uint64_t		messages_failed;
	uint64_t		sessions_ok;
	uint64_t		sessions_failed;
	uint64_t		resumed;
	struct tool_hist	message;	/* MAIL to the final reply */
	struct tool_hist	session;	/* connect to QUIT's reply */
	struct tool_hist	handshake;
};

/* What the next reply answers. */
enum load_step {
	STEP_GREETING,
	STEP_EHLO,
	STEP_STARTTLS,
	STEP_HANDSHAKE,
	STEP_EHLO_AGAIN,
	STEP_IDLE,		/* nothing is to come */
	STEP_MAIL,
	STEP_RCPT,
	STEP_DATA,
	STEP_FINAL,		/* the final dot, or the chunk */
	STEP_QUIT,
	STEP_DONE
};

struct ssl_st;

struct load_session {
	struct loop_fd	 io;
	int		 fd;
	enum load_step	 step;
	int		 connected;
	int		 pipelining;	/* offered */
	int		 chunking;
	short		 want;		/* what TLS waits for */
	unsigned int	 done;		/* messages accepted */
	unsigned int	 rcpt;		/* replies to RCPT still to come */
	size_t		 place;		/* in load.c's list */
	uint64_t	 id;
	int64_t		 began_us;
	int64_t		 message_us;	/* its begin */
	int64_t		 handshake_us;
	int64_t		 progress_us;
	struct ssl_st	*ssl;
	size_t		 in_used;
	size_t		 iov_at;
	size_t		 niov;
	struct iovec	 iov[2];	/* what is still to be sent */
	char		*out;		/* commands and message header */
	char		 in[LOAD_IN_SIZE];
};

extern struct load_conf		load_conf;
extern struct load_totals	load_totals;

/* Say what went wrong with a session; the first few are printed. */
void	load_complain(const struct load_session *, const char *what,
	    const char *detail);

/* load_content.c: the octets of messages; load_content_make() comes first. */
void	load_content_make(void);
/* The headers of a session's next message, LOAD_HEAD_SIZE octets. */
void	load_content_head(const struct load_session *, char *to);
/* What follows the headers, as it is sent: with DATA, stuffed and ended. */
void	load_content_body(struct iovec *);

/* load_session.c: both return -1 when the session is over, else 0. */
int	load_session_connected(struct load_session *);
int	load_session_run(struct load_session *, short revents);
/* Memory that a session queues at most. */
size_t	load_session_out_size(void);
/* What it waits for now. */
short	load_session_events(const struct load_session *);
/* From STEP_IDLE to its next message, or to its end. */
void	load_session_go(struct load_session *);
void	load_session_quit(struct load_session *);

/* load_tls.c */
void	load_tls_prepare(void);
int	load_tls_has_ticket(void);
/* -1: the session is over. */
int	load_tls_begin(struct load_session *);
/* 1: done; 0: has to wait; -1. */
int	load_tls_handshake(struct load_session *);
/* Octets; 0: has to wait; -1. */
ssize_t	load_tls_read(struct load_session *, void *, size_t);
ssize_t	load_tls_write(struct load_session *);
void	load_tls_end(struct load_session *);

#endif
