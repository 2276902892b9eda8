/*
 * sink: the commands.
 */
#include "sink.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct verb {
	const char	*name;
	void		(*run)(struct sink_client *, char *);
};

static void	 verb_ehlo(struct sink_client *, char *);
static void	 verb_helo(struct sink_client *, char *);
static void	 verb_mail(struct sink_client *, char *);
static void	 verb_rcpt(struct sink_client *, char *);
static void	 verb_data(struct sink_client *, char *);
static void	 verb_bdat(struct sink_client *, char *);
static void	 verb_rset(struct sink_client *, char *);
static void	 verb_noop(struct sink_client *, char *);
static void	 verb_vrfy(struct sink_client *, char *);
static void	 verb_quit(struct sink_client *, char *);

static const struct verb verbs[] = {
	{ "EHLO",	verb_ehlo },
	{ "HELO",	verb_helo },
	{ "MAIL",	verb_mail },
	{ "RCPT",	verb_rcpt },
	{ "DATA",	verb_data },
	{ "BDAT",	verb_bdat },
	{ "RSET",	verb_rset },
	{ "NOOP",	verb_noop },
	{ "VRFY",	verb_vrfy },
	{ "QUIT",	verb_quit }
};

static void
verb_ehlo(struct sink_client *c, char *arg)
{
	(void)arg;
	sink_message_drop(c);
	sink_reply(c, "250-sink.example");
	sink_reply(c, "250-PIPELINING");
	sink_reply(c, "250-8BITMIME");
	sink_reply(c, "250-SMTPUTF8");
	sink_reply(c, "250-SIZE 1073741824");
	sink_reply(c, "250-CHUNKING");
	sink_reply(c, "250-DSN");
	sink_reply(c, "250 ENHANCEDSTATUSCODES");
}

static void
verb_helo(struct sink_client *c, char *arg)
{
	(void)arg;
	sink_message_drop(c);
	sink_reply(c, "250 sink.example");
}

static void
verb_mail(struct sink_client *c, char *arg)
{
	if (c->mail) {
		sink_reply_error(c, "503 5.5.1 one sender is enough");
		return;
	}
	if (strncasecmp(arg, "FROM:", 5) != 0) {
		sink_reply_error(c, "501 5.5.4 MAIL FROM:<address>");
		return;
	}
	c->mail = 1;
	sink_reply(c, "250 2.1.0 sender fine");
}

static void
verb_rcpt(struct sink_client *c, char *arg)
{
	if (!c->mail) {
		sink_reply_error(c, "503 5.5.1 MAIL first");
		return;
	}
	if (strncasecmp(arg, "TO:", 3) != 0) {
		sink_reply_error(c, "501 5.5.4 RCPT TO:<address>");
		return;
	}
	c->nrcpt++;
	sink_reply(c, "250 2.1.5 recipient fine");
}

static void
verb_data(struct sink_client *c, char *arg)
{
	(void)arg;
	if (c->nrcpt == 0) {
		sink_reply_error(c, "503 5.5.1 no recipients");
		return;
	}
	if (c->size > 0) {
		sink_reply_error(c, "503 5.5.1 DATA behind BDAT");
		return;
	}
	sink_message_begin(c);
	c->state = STATE_DATA;
	c->bol = 1;
	c->cr = 0;
	sink_reply(c, "354 end with a dot");
}

/* Without a transaction the chunk has to be read all the same. */
static void
verb_bdat(struct sink_client *c, char *arg)
{
	char		*end;
	long long	 n;

	errno = 0;
	n = strtoll(arg, &end, 10);
	c->last = strcasecmp(end, " LAST") == 0;
	if (!isdigit((unsigned char)arg[0]) || errno != 0 ||
	    (*end != '\0' && !c->last)) {
		sink_reply_error(c, "501 5.5.4 BDAT size [LAST]");
		c->state = STATE_CLOSING;
		return;
	}
	if (c->nrcpt > 0 && c->size == 0 && c->file == NULL)
		sink_message_begin(c);
	c->left = n;
	c->state = STATE_BDAT;
}

static void
verb_rset(struct sink_client *c, char *arg)
{
	(void)arg;
	sink_message_drop(c);
	sink_reply(c, "250 2.0.0 forgotten");
}

static void
verb_noop(struct sink_client *c, char *arg)
{
	(void)arg;
	sink_reply(c, "250 2.0.0 fine");
}

static void
verb_vrfy(struct sink_client *c, char *arg)
{
	(void)arg;
	sink_reply(c, "252 2.0.0 send some mail");
}

static void
verb_quit(struct sink_client *c, char *arg)
{
	(void)arg;
	sink_reply(c, "221 2.0.0 bye");
	c->state = STATE_CLOSING;
}

void
sink_command(struct sink_client *c, char *line, size_t len)
{
	size_t	 i, verb_len;
	char	*arg;

	sink_show(c, "C", line, len);
	verb_len = strcspn(line, " ");
	arg = line + verb_len;
	arg += strspn(arg, " ");
	for (i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
		if (strlen(verbs[i].name) == verb_len &&
		    strncasecmp(verbs[i].name, line, verb_len) == 0) {
			verbs[i].run(c, arg);
			return;
		}
	}
	sink_reply_error(c, "500 5.5.1 command not known");
}
