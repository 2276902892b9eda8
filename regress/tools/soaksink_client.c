/*
 * What comes in on a connection of soaksink, and goes out: lines, content,
 * chunks, handshakes, and times at which nothing is done.
 */
#include "soaksink.h"

#include <string.h>

#define EARLY_OCTETS	500

static void
client_consume(struct soaksink_client *c, size_t n)
{
	c->in_at += n;
	c->in_used -= n;
	if (c->in_used == 0)
		c->in_at = 0;
}

static int
step_command(struct soaksink_client *c)
{
	char	*line = c->in + c->in_at, *end;

	if ((end = memmem(line, c->in_used, "\r\n", 2)) == NULL) {
		if (c->in_used == IN_SIZE) {
			soaksink_reply(c, "500 5.5.2 sink: line too long");
			c->state = STATE_CLOSING;
		}
		return 0;
	}
	*end = '\0';
	client_consume(c, (size_t)(end + 2 - line));
	soaksink_command(c, line);
	return 1;
}

static void
refuse_early(struct soaksink_client *c)
{
	if (c->what != 'e' || c->size < EARLY_OCTETS)
		return;
	soaksink_reply(c, "552 5.3.4 sink: that is enough");
	soaksink_message_drop(c);
	c->state = STATE_CLOSING;
}

/* A line, or what there is of one; a dot waits for what follows it. */
static int
step_data(struct soaksink_client *c)
{
	char	*p = c->in + c->in_at, *nl;
	size_t	 len;

	if (c->is_bol && *p == '.') {
		if (c->in_used < 3 && memcmp(p, ".\r", c->in_used) == 0)
			return 0;
		if (c->in_used >= 3 && memcmp(p, ".\r\n", 3) == 0) {
			client_consume(c, 3);
			c->state = STATE_COMMAND;
			soaksink_message_end(c);
			return 1;
		}
		c->is_bol = c->was_cr = 0;
		client_consume(c, 1);
		return 1;
	}
	nl = memchr(p, '\n', c->in_used);
	len = nl == NULL ? c->in_used : (size_t)(nl - p) + 1;
	if (nl == p)
		c->is_bol = c->was_cr;
	else
		c->is_bol = nl != NULL && nl[-1] == '\r';
	c->was_cr = p[len - 1] == '\r';
	soaksink_message_add(c, p, len);
	client_consume(c, len);
	refuse_early(c);
	return 1;
}

static void
chunk_end(struct soaksink_client *c)
{
	c->state = STATE_COMMAND;
	if (c->nrcpt == 0) {
		soaksink_reply(c, "503 5.5.1 sink: no recipients");
		return;
	}
	if (c->nchunks++ == 0 && soaksink_misbehave(c, 'd')) {
		soaksink_message_drop(c);
		return;
	}
	if (c->is_last)
		soaksink_message_end(c);
	else
		soaksink_reply(c, "250 2.0.0 chunk taken");
}

static int
step_bdat(struct soaksink_client *c)
{
	size_t	n = c->in_used;

	if ((int64_t)n > c->left)
		n = (size_t)c->left;
	if (c->nrcpt > 0)
		soaksink_message_add(c, c->in + c->in_at, n);
	client_consume(c, n);
	c->left -= (int64_t)n;
	if (c->left > 0)
		return 0;
	chunk_end(c);
	return 1;
}

/* Returns 0 when there is nothing to do before something happens. */
static int
client_step(struct soaksink_client *c)
{
	if (OUT_SIZE - c->out_used < REPLY_MAX || c->hold_ms > soaksink.now_ms)
		return 0;
	switch (c->state) {
	case STATE_COMMAND:
		return c->in_used > 0 && step_command(c);
	case STATE_DATA:
		return c->in_used > 0 && step_data(c);
	case STATE_BDAT:
		return (c->in_used > 0 || c->left == 0) && step_bdat(c);
	default:
		return 0;
	}
}

static int
client_is_slow(const struct soaksink_client *c)
{
	return c->what == 's' &&
	    (c->state == STATE_DATA || c->state == STATE_BDAT);
}

/* Returns as tool_stream_read() does. */
static ssize_t
client_read(struct soaksink_client *c)
{
	size_t	room;
	ssize_t	n;

	if (c->in_at > 0) {
		memmove(c->in, c->in + c->in_at, c->in_used);
		c->in_at = 0;
	}
	room = IN_SIZE - c->in_used;
	if (client_is_slow(c) && room > SLOW_READ)
		room = SLOW_READ;
	if (room == 0)
		return 0;
	n = tool_stream_read(&c->stream, c->in + c->in_used, room);
	if (n <= 0)
		return n;
	c->in_used += (size_t)n;
	if (client_is_slow(c))
		c->hold_ms = soaksink.now_ms + c->ms;
	return n;
}

static int
client_write(struct soaksink_client *c)
{
	ssize_t	n;

	while (c->out_used > 0) {
		n = tool_stream_write(&c->stream, c->out, c->out_used);
		if (n <= 0)
			return (int)n;
		c->out_used -= (size_t)n;
		memmove(c->out, c->out + n, c->out_used);
	}
	return 0;
}

static int
client_handshake(struct soaksink_client *c)
{
	int	rc;

	if (c->stream.ssl == NULL)
		tool_stream_tls(&c->stream, soaksink.ctx, 1);
	if ((rc = tool_stream_handshake(&c->stream)) == 1) {
		soaksink.nhandshakes++;
		c->state = STATE_COMMAND;
	}
	return rc;
}

int
soaksink_run(struct soaksink_client *c)
{
	ssize_t	n = 1;
	int	rc;

	c->stream.want = 0;
	for (;;) {
		if (c->hold_ms > soaksink.now_ms)
			return 0;
		while (client_step(c))
			;
		if (c->state == STATE_OVER)
			return -1;
		if (c->hold_ms > soaksink.now_ms)
			return 0;
		if (client_write(c) == -1)
			return -1;
		if (c->out_used > 0)
			return 0;
		if (c->state == STATE_CLOSING)
			return -1;
		if (c->state == STATE_HANDSHAKE) {
			if ((rc = client_handshake(c)) != 1)
				return rc;
			continue;
		}
		if (client_step(c))
			continue;
		if ((n = client_read(c)) <= 0)
			return (int)n;
	}
}
