#ifndef TOOL_STREAM_H
#define TOOL_STREAM_H

#include <sys/types.h>

#include <stddef.h>

struct ssl_ctx_st;
struct ssl_method_st;
struct ssl_st;

/* A connection, in clear or in TLS, which never blocks. */
struct tool_stream {
	int		 fd;
	struct ssl_st	*ssl;		/* NULL: in clear */
	short		 want;		/* poll(2) events of TLS's own */
};

/* Octets, 0 where it has to wait, -1 at its end however that came. */
ssize_t	tool_stream_read(struct tool_stream *, char *, size_t);
ssize_t	tool_stream_write(struct tool_stream *, const char *, size_t);
/* With a reset where that is asked for. */
void	tool_stream_close(struct tool_stream *, int is_reset);

/* TLS 1.2 and 1.3. */
struct ssl_ctx_st	*tool_stream_context(const struct ssl_method_st *);
/* From here on it is in TLS, of which the handshake comes first. */
void	tool_stream_tls(struct tool_stream *, struct ssl_ctx_st *,
	    int is_server);
/* 1: it is done, 0: it has to wait, -1: it failed. */
int	tool_stream_handshake(struct tool_stream *);

#endif
