/*
 * sink: the octets of one client.  All clients read into the same large
 * buffer, one after the other; what can't be used yet is kept for each.  It is
 * strict about what ends a line and a message (CRLF only), so that what is
 * stored is what was meant.
 */
#include "sink.h"

#include <sys/socket.h>

#include <netinet/in.h>
#include <netinet/tcp.h>

#include <ctype.h>
#include <err.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LINE_MAX_SIZE	32768
#define READ_SIZE	262144

/* A client reads only while it holds less than a line of this. */
static char	chunk[LINE_MAX_SIZE + READ_SIZE];

/* Print one line of the dialogue, whatever octets it holds. */
void
sink_show(const struct sink_client *c, const char *who, const char *text,
    size_t len)
{
	size_t	i;

	if (!sink_conf.verbose)
		return;
	printf("%llu %s: ", (unsigned long long)c->id, who);
	for (i = 0; i < len; i++) {
		if (isprint((unsigned char)text[i]))
			putchar(text[i]);
		else
			printf("\\x%02x", (unsigned int)(unsigned char)text[i]);
	}
	putchar('\n');
	(void)fflush(stdout);
}

/* There is room: client_step() takes no command before. */
void
sink_reply(struct sink_client *c, const char *text)
{
	size_t	len = strlen(text);

	sink_show(c, "S", text, len);
	memcpy(c->out + c->out_used, text, len);
	memcpy(c->out + c->out_used + len, "\r\n", 2);
	c->out_used += len + 2;
}

void
sink_reply_error(struct sink_client *c, const char *text)
{
	sink_totals.errors++;
	sink_reply(c, text);
}

static void
client_consume(struct sink_client *c, size_t n)
{
	c->in += n;
	c->in_used -= n;
}

/* Take one command.  Returns 0 when it is not all here. */
static int
step_command(struct sink_client *c)
{
	char	*line = c->in, *end;
	size_t	 len;

	if ((end = memmem(line, c->in_used, "\r\n", 2)) == NULL) {
		if (c->in_used >= LINE_MAX_SIZE) {
			sink_reply_error(c, "500 5.5.2 line too long");
			c->state = STATE_CLOSING;
		}
		return 0;
	}
	*end = '\0';
	len = (size_t)(end - line);
	client_consume(c, len + 2);
	sink_command(c, line, len);
	return 1;
}

/*
 * A dot at the start of a line waits for the two octets that say what it is.
 * Returns 0 when they are not here.
 */
static int
step_dot(struct sink_client *c)
{
	if (c->in_used < 3 && memcmp(c->in, ".\r", c->in_used) == 0)
		return 0;
	if (c->in_used >= 3 && memcmp(c->in, ".\r\n", 3) == 0) {
		client_consume(c, 3);
		c->state = STATE_COMMAND;
		sink_show(c, "C", "(message)", 9);
		sink_message_end(c);
		return 1;
	}
	c->bol = c->cr = 0;
	client_consume(c, 1);
	return 1;
}

/* Whether the octet at `at` begins a line. */
static int
is_line_start(const struct sink_client *c, const char *at)
{
	if (at == c->in)
		return c->bol;
	if (at[-1] != '\n')
		return 0;
	return at == c->in + 1 ? c->cr : at[-2] == '\r';
}

/*
 * Take message content up to the next dot that begins a line, or all there
 * is.  Dots are looked for rather than lines: there are fewer of them.
 */
static int
step_data(struct sink_client *c)
{
	char	*p = c->in, *end = c->in + c->in_used, *dot = p;
	size_t	 len;

	if (c->bol && *p == '.')
		return step_dot(c);
	while ((dot = memchr(dot, '.', (size_t)(end - dot))) != NULL &&
	    !is_line_start(c, dot))
		dot++;
	if (dot == NULL)
		dot = end;
	len = (size_t)(dot - p);
	c->bol = is_line_start(c, dot);
	c->cr = dot[-1] == '\r';
	sink_message_add(c, p, len);
	client_consume(c, len);
	return 1;
}

static int
step_bdat(struct sink_client *c)
{
	size_t	n = c->in_used;

	if ((int64_t)n > c->left)
		n = (size_t)c->left;
	if (c->nrcpt > 0)
		sink_message_add(c, c->in, n);
	client_consume(c, n);
	c->left -= (int64_t)n;
	if (c->left > 0)
		return 0;
	c->state = STATE_COMMAND;
	sink_show(c, "C", "(chunk)", 7);
	if (c->nrcpt == 0)
		sink_reply_error(c, "503 5.5.1 no recipients");
	else if (c->last)
		sink_message_end(c);
	else
		sink_reply(c, "250 2.0.0 chunk taken");
	return 1;
}

/* Returns 0 when there is nothing to do before more comes in or goes out. */
static int
client_step(struct sink_client *c)
{
	if (SINK_OUT_SIZE - c->out_used < SINK_REPLY_MAX)
		return 0;
	switch (c->state) {
	case STATE_COMMAND:
		return c->in_used > 0 && step_command(c);
	case STATE_DATA:
		return c->in_used > 0 && step_data(c);
	case STATE_BDAT:
		return (c->in_used > 0 || c->left == 0) && step_bdat(c);
	case STATE_CLOSING:
		break;
	}
	return 0;
}

/* Returns -1 when the connection is over. */
static int
client_write(struct sink_client *c)
{
	ssize_t	n;

	if (c->out_used == 0)
		return 0;
	if ((n = write(c->fd, c->out, c->out_used)) == -1)
		return errno == EAGAIN || errno == EINTR ? 0 : -1;
	c->out_used -= (size_t)n;
	if (c->out_used > 0)
		memmove(c->out, c->out + n, c->out_used);
	return 0;
}

/* It lasts for a while only: to be said before every read. */
static void
acknowledge_at_once(int fd)
{
#ifdef TCP_QUICKACK
	int	on = 1;

	if (sink_conf.quickack)
		(void)setsockopt(fd, IPPROTO_TCP, TCP_QUICKACK, &on,
		    sizeof(on));
#else
	(void)fd;
#endif
}

/* What was held goes in front. */
static void
client_take(struct sink_client *c)
{
	if (c->held_used > 0)
		memcpy(chunk, c->held, c->held_used);
	c->in = chunk;
	c->in_used = c->held_used;
}

/* Keep what is left, for another time: the buffer is everybody's. */
static void
client_hold(struct sink_client *c)
{
	char	*more;

	if (c->in_used == 0) {
		free(c->held);
		c->held = NULL;
	} else {
		if (c->in_used > c->held_used) {
			more = realloc(c->held, c->in_used);
			if (more == NULL)
				err(1, NULL);
			c->held = more;
		}
		memcpy(c->held, c->in, c->in_used);
	}
	c->held_used = c->in_used;
	c->in = NULL;
}

/* Work on what is there until it waits for the client in one way. */
static int
client_work(struct sink_client *c)
{
	do {
		while (client_step(c))
			;
		if (client_write(c) == -1)
			return -1;
	} while (c->out_used == 0 && client_step(c));
	if (c->state == STATE_CLOSING && c->out_used == 0)
		return -1;
	client_hold(c);
	return 0;
}

int
sink_client_run(struct sink_client *c)
{
	client_take(c);
	return client_work(c);
}

int
sink_client_read(struct sink_client *c)
{
	ssize_t	n;

	acknowledge_at_once(c->fd);
	client_take(c);
	n = read(c->fd, chunk + c->in_used, READ_SIZE);
	if (n == -1)
		return errno == EAGAIN || errno == EINTR ? 0 : -1;
	if (n == 0)
		return -1;
	c->in_used += (size_t)n;
	return client_work(c);
}

short
sink_client_events(const struct sink_client *c)
{
	if (c->out_used > 0)
		return POLLOUT;
	return c->state == STATE_CLOSING ? 0 : POLLIN;
}
