#ifndef SINK_H
#define SINK_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "../../common/loop.h"

/*
 * The parts of the sink: sink.c has the options, the loop and the sockets,
 * sink_client.c the octets of a client, sink_verbs.c its commands,
 * sink_message.c what is kept of messages, and the check of their headers.
 */
#define SINK_OUT_SIZE	4096
#define SINK_REPLY_MAX	512		/* room that one command may need */
#define SINK_HEAD_SIZE	1024		/* where the check looks for headers */

enum sink_state {
	STATE_COMMAND,
	STATE_DATA,
	STATE_BDAT,
	STATE_CLOSING		/* what is in out goes, then we close */
};

struct sink_client {
	struct loop_fd	 io;
	int		 fd;
	enum sink_state	 state;
	int		 mail;		/* MAIL was accepted */
	int		 last;		/* this chunk is the last */
	int		 bol;		/* DATA: at the start of a line */
	int		 cr;		/* DATA: the last octet was a CR */
	unsigned int	 nrcpt;
	uint64_t	 id;
	uint64_t	 number;	/* of the message: its file's name */
	int64_t		 left;		/* BDAT: octets of the chunk to come */
	int64_t		 size;		/* octets of the message so far */
	FILE		*file;
	char		*head;		/* the message's first octets */
	size_t		 place;		/* in sink.c's list */
	char		*in;		/* what came in, while it is served */
	size_t		 in_used;
	char		*held;		/* what is left of it, till later */
	size_t		 held_used;
	size_t		 out_used;
	char		 out[SINK_OUT_SIZE];
};

struct sink_totals {
	uint64_t	sessions;
	uint64_t	messages;
	uint64_t	recipients;
	uint64_t	octets;
	uint64_t	errors;
	/* With the check of headers. */
	uint64_t	distinct;	/* ids */
	uint64_t	duplicates;
	uint64_t	wrong_sizes;
	uint64_t	unknown;	/* without such headers */
};

struct sink_conf {
	const char	*dir;		/* NULL: keep nothing */
	int		 check;
	int		 quickack;
	int		 verbose;
};

extern struct sink_conf		sink_conf;
extern struct sink_totals	sink_totals;

/* sink_client.c */
void	sink_show(const struct sink_client *, const char *who,
	    const char *text, size_t len);
void	sink_reply(struct sink_client *, const char *text);
void	sink_reply_error(struct sink_client *, const char *text);
/* Both return -1 when the connection is over. */
int	sink_client_read(struct sink_client *);
int	sink_client_run(struct sink_client *);
short	sink_client_events(const struct sink_client *);

/* sink_verbs.c: one command, of `len` octets with a NUL behind. */
void	sink_command(struct sink_client *, char *line, size_t len);

/* sink_message.c */
void	sink_message_begin(struct sink_client *);
void	sink_message_add(struct sink_client *, const char *, size_t);
/* The whole message is here: file it, count it and reply. */
void	sink_message_end(struct sink_client *);
/* Forget the transaction and what there was of its message. */
void	sink_message_drop(struct sink_client *);

#endif
