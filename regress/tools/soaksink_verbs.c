/*
 * The commands that soaksink knows, and how it answers where it was asked to
 * misbehave.
 */
#include "soaksink.h"

#include <sys/socket.h>

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define HELP_LINES	40

void
soaksink_reply(struct soaksink_client *c, const char *text)
{
	size_t	len = strlen(text);

	memcpy(c->out + c->out_used, text, len);
	memcpy(c->out + c->out_used + len, "\r\n", 2);
	c->out_used += len + 2;
}

int
soaksink_misbehave(struct soaksink_client *c, char stage)
{
	if (c->stage != stage)
		return 0;
	switch (c->what) {
	case 'w':
		c->hold_ms = soaksink.now_ms + c->ms;
		return 0;
	case '4':
		soaksink_reply(c, "451 4.3.0 sink: not now");
		return 1;
	case '5':
		soaksink_reply(c, "554 5.7.1 sink: no");
		return 1;
	case 'x':
		c->state = STATE_OVER;
		return 1;
	default:
		return 0;
	}
}

/* The window too, or the kernel would read in our place; it stays small. */
static void
set_window(struct soaksink_client *c)
{
	int	size = SLOW_READ;

	(void)setsockopt(c->stream.fd, SOL_SOCKET, SO_RCVBUF, &size,
	    sizeof(size));
}

static void
verb_ehlo(struct soaksink_client *c, const char *arg)
{
	(void)arg;
	soaksink_message_drop(c);
	soaksink_reply(c, "250-sink.example");
	soaksink_reply(c, "250-PIPELINING");
	soaksink_reply(c, "250-8BITMIME");
	soaksink_reply(c, "250-SMTPUTF8");
	soaksink_reply(c, "250-SIZE 1073741824");
	soaksink_reply(c, "250-CHUNKING");
	if (soaksink.ctx != NULL && c->stream.ssl == NULL)
		soaksink_reply(c, "250-STARTTLS");
	soaksink_reply(c, "250 ENHANCEDSTATUSCODES");
}

static void
verb_mail(struct soaksink_client *c, const char *arg)
{
	unsigned int	ms;
	char		what, stage;

	if (c->has_mail) {
		soaksink_reply(c, "503 5.5.1 sink: one sender is enough");
		return;
	}
	if (sscanf(arg, "FROM:<soak-%c-%c-%u@", &what, &stage, &ms) != 3) {
		soaksink_reply(c, "501 5.5.4 sink: "
		    "FROM:<soak-what-stage-ms@...>");
		return;
	}
	soaksink_message_drop(c);
	c->what = what;
	c->stage = stage;
	c->ms = ms;
	if (soaksink_misbehave(c, 'm')) {
		c->what = 'n';
		return;
	}
	if (what == 's')
		set_window(c);
	c->has_mail = 1;
	soaksink_reply(c, "250 2.1.0 sender fine");
}

static void
verb_rcpt(struct soaksink_client *c, const char *arg)
{
	(void)arg;
	if (!c->has_mail) {
		soaksink_reply(c, "503 5.5.1 sink: MAIL first");
		return;
	}
	if (soaksink_misbehave(c, 'r')) {
		c->stage = '-';		/* the first one only */
		return;
	}
	c->nrcpt++;
	soaksink_reply(c, "250 2.1.5 recipient fine");
}

static void
verb_data(struct soaksink_client *c, const char *arg)
{
	(void)arg;
	if (c->nrcpt == 0 || c->nchunks > 0) {
		soaksink_reply(c, "503 5.5.1 sink: no recipients");
		return;
	}
	if (soaksink_misbehave(c, 'd'))
		return;
	soaksink_message_begin(c);
	c->state = STATE_DATA;
	c->is_bol = 1;
	c->was_cr = 0;
	soaksink_reply(c, "354 end with a dot");
}

static void
verb_bdat(struct soaksink_client *c, const char *arg)
{
	char	*end;

	errno = 0;
	c->left = strtoll(arg, &end, 10);
	c->is_last = strcasecmp(end, " LAST") == 0;
	if (!isdigit((unsigned char)arg[0]) || errno != 0 ||
	    (*end != '\0' && !c->is_last)) {
		soaksink_reply(c, "501 5.5.4 sink: BDAT size [LAST]");
		c->state = STATE_CLOSING;
		return;
	}
	if (c->nchunks == 0)
		soaksink_message_begin(c);
	c->state = STATE_BDAT;
}

static void
verb_help(struct soaksink_client *c, const char *arg)
{
	int	i;

	(void)arg;
	for (i = 0; i < HELP_LINES; i++)
		soaksink_reply(c, "214-2.0.0 there are more lines to come, "
		    "and none of them is of any help");
	soaksink_reply(c, "214 2.0.0 that is all");
}

static void
verb_starttls(struct soaksink_client *c, const char *arg)
{
	(void)arg;
	if (soaksink.ctx == NULL || c->stream.ssl != NULL || c->in_used > 0) {
		soaksink_reply(c, "503 5.5.1 sink: no TLS now");
		return;
	}
	soaksink_reply(c, "220 2.0.0 go ahead");
	c->state = STATE_HANDSHAKE;
}

static void
verb_rset(struct soaksink_client *c, const char *arg)
{
	(void)arg;
	soaksink_message_drop(c);
	soaksink_reply(c, "250 2.0.0 forgotten");
}

static void
verb_noop(struct soaksink_client *c, const char *arg)
{
	(void)arg;
	soaksink_reply(c, "250 2.0.0 fine");
}

static void
verb_quit(struct soaksink_client *c, const char *arg)
{
	(void)arg;
	soaksink_reply(c, "221 2.0.0 bye");
	c->state = STATE_CLOSING;
}

static const struct verb {
	const char	*name;
	void		(*run)(struct soaksink_client *, const char *);
} verbs[] = {
	{ "EHLO",	verb_ehlo },
	{ "HELO",	verb_ehlo },
	{ "MAIL",	verb_mail },
	{ "RCPT",	verb_rcpt },
	{ "DATA",	verb_data },
	{ "BDAT",	verb_bdat },
	{ "STARTTLS",	verb_starttls },
	{ "RSET",	verb_rset },
	{ "NOOP",	verb_noop },
	{ "HELP",	verb_help },
	{ "QUIT",	verb_quit }
};

void
soaksink_command(struct soaksink_client *c, char *line)
{
	size_t	 i, len = strcspn(line, " ");
	char	*arg = line + len;

	arg += strspn(arg, " ");
	for (i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
		if (strlen(verbs[i].name) == len &&
		    strncasecmp(verbs[i].name, line, len) == 0) {
			verbs[i].run(c, arg);
			return;
		}
	}
	soaksink_reply(c, "500 5.5.1 sink: command not known");
}
