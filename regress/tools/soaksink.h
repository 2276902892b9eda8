#ifndef SOAKSINK_H
#define SOAKSINK_H

#include <sys/types.h>

#include <netinet/in.h>

#include <stdint.h>
#include <stdio.h>

#include "tool_random.h"
#include "tool_stream.h"

/*
 * The parts of soaksink: soaksink.c has the options and the connections,
 * soaksink_client.c what comes in on them, soaksink_verbs.c the commands, and
 * soaksink_message.c the messages.
 */
#define IN_SIZE		32768
#define OUT_SIZE	16384
#define REPLY_MAX	4096		/* room that one command may need */
#define HEAD_MAX	1200		/* a line in front of the id */
#define ID_MAX		40
#define SLOW_READ	8192

enum soaksink_state {
	STATE_COMMAND,
	STATE_DATA,
	STATE_BDAT,
	STATE_HANDSHAKE,
	STATE_CLOSING,		/* what is in out goes, then we close */
	STATE_OVER
};

struct soaksink_client {
	struct tool_stream stream;
	enum soaksink_state state;
	int		 has_mail;
	int		 is_last;	/* this chunk is the last */
	int		 is_bol;	/* DATA: at the start of a line */
	int		 was_cr;	/* DATA: the last octet was a CR */
	int		 has_id;
	char		 what;
	char		 stage;
	unsigned int	 ms;
	unsigned int	 nrcpt;
	int64_t		 hold_ms;	/* nothing is done before */
	int64_t		 left;		/* BDAT: octets of the chunk to come */
	uint64_t	 nchunks;
	uint64_t	 size;		/* from the id on */
	uint64_t	 sum;
	char		 id[ID_MAX];
	size_t		 head_used;
	char		 head[HEAD_MAX];
	size_t		 in_at;
	size_t		 in_used;
	size_t		 out_used;
	char		 in[IN_SIZE];
	char		 out[OUT_SIZE];
};

/* What all connections share. */
struct soaksink {
	struct tool_random	 rng;
	struct in_addr		 flaky;
	struct ssl_ctx_st	*ctx;		/* NULL: no TLS */
	FILE			*journal;
	int64_t			 now_ms;	/* of the pass */
	uint64_t		 nsessions;
	uint64_t		 nmessages;
	uint64_t		 nunnamed;
	uint64_t		 nhandshakes;
};
extern struct soaksink	soaksink;

/* soaksink_client.c: what can be done now; -1: the connection is over. */
int	soaksink_run(struct soaksink_client *);

/* soaksink_verbs.c: a line without its end. */
void	soaksink_command(struct soaksink_client *, char *);
/* There is room for it: see REPLY_MAX. */
void	soaksink_reply(struct soaksink_client *, const char *);
/*
 * What was asked for at this stage.
 *   returns  1 when there is nothing more to be said
 */
int	soaksink_misbehave(struct soaksink_client *, char stage);

/* soaksink_message.c */
void	soaksink_message_begin(struct soaksink_client *);
void	soaksink_message_add(struct soaksink_client *, const char *, size_t);
/* All of it is here: record and answer it. */
void	soaksink_message_end(struct soaksink_client *);
/* Forget the transaction and what there is of its message. */
void	soaksink_message_drop(struct soaksink_client *);

#endif
