/*
 * Command lines of a client to verb and argument, in the worker, and the one
 * table that says what each verb may do.  The line was found clean by
 * smtp_line; apart from that nothing in it is trusted.
 */

#include "smtp_cmd.h"

#include <string.h>

#include "../common/strutil.h"

/* Replies that answer a verb (RFC 5321 4.3.2). */
#define REPLY_2		(1U << 0)
#define REPLY_334	(1U << 1)
#define REPLY_354	(1U << 2)
#define REPLY_45	(1U << 3)
#define REPLY_220	(1U << 4)
#define REPLY_250	(1U << 5)
#define REPLY_FINAL	(REPLY_2 | REPLY_45)

/*
 * ends_group: commands that RFC 2920 3.1 lets stand only at the end of a
 * group, those of extensions that say nothing else (ETRN) among them, and
 * those that change the meaning of what follows.
 */
static const struct verb_row {
	const char	*name;
	uint16_t	 line_max;
	uint8_t		 ends_group;
	uint8_t		 replies;
} verbs[VERBS] = {
	[VERB_NONE] =	{ "command",	SMTP_CMD_MAX,	1, 0 },
	[VERB_HELO] =	{ "HELO",	SMTP_CMD_MAX,	1, REPLY_FINAL },
	/* Its lines are made anew, with this code. */
	[VERB_EHLO] =	{ "EHLO",	SMTP_CMD_MAX,	1,
	    REPLY_250 | REPLY_45 },
	[VERB_MAIL] =	{ "MAIL",	SMTP_CMD_MAIL_MAX, 0, REPLY_FINAL },
	[VERB_RCPT] =	{ "RCPT",	SMTP_CMD_MAIL_MAX, 0, REPLY_FINAL },
	[VERB_DATA] =	{ "DATA",	SMTP_CMD_MAX,	1,
	    REPLY_354 | REPLY_45 },
	[VERB_BDAT] =	{ "BDAT",	SMTP_CMD_MAX,	0, REPLY_FINAL },
	[VERB_RSET] =	{ "RSET",	SMTP_CMD_MAX,	0, REPLY_FINAL },
	[VERB_NOOP] =	{ "NOOP",	SMTP_CMD_MAX,	1, REPLY_FINAL },
	[VERB_VRFY] =	{ "VRFY",	SMTP_CMD_MAX,	1, REPLY_FINAL },
	[VERB_EXPN] =	{ "EXPN",	SMTP_CMD_MAX,	1, REPLY_FINAL },
	[VERB_HELP] =	{ "HELP",	SMTP_CMD_MAX,	1, REPLY_FINAL },
	[VERB_ETRN] =	{ "ETRN",	SMTP_CMD_MAX,	1, REPLY_FINAL },
	[VERB_AUTH] =	{ "AUTH",	SMTP_CMD_AUTH_MAX, 1,
	    REPLY_FINAL | REPLY_334 },
	/* RFC 3207 4: another 2xx would say nobody knows what. */
	[VERB_STARTTLS] = { "STARTTLS",	SMTP_CMD_MAX,	1,
	    REPLY_220 | REPLY_45 },
	[VERB_QUIT] =	{ "QUIT",	SMTP_CMD_MAX,	1, REPLY_FINAL },
	[VERB_XCLIENT] = { "XCLIENT",	SMTP_CMD_MAX,	1, REPLY_FINAL },
	[VERB_XFORWARD] = { "XFORWARD",	SMTP_CMD_MAX,	0, REPLY_FINAL },
	/* A header in front of the session, never answered. */
	[VERB_PROXY] =	{ "PROXY",	SMTP_CMD_MAX,	1, 0 },
	[VERB_PASS] =	{ "pass-verb",	SMTP_CMD_MAX,	1, REPLY_FINAL },
	[VERB_GREETING] = { "greeting",	SMTP_CMD_MAX,	1,
	    REPLY_220 | REPLY_45 },
	/* The next group may stand right behind the final dot. */
	[VERB_DOT] =	{ "message",	SMTP_CMD_MAX,	0, REPLY_FINAL },
	[VERB_AUTH_LINE] = { "AUTH line", SMTP_CMD_AUTH_MAX, 1,
	    REPLY_FINAL | REPLY_334 },
};

static const struct verb_row *
verb_row(enum smtp_verb verb)
{
	if ((unsigned int)verb >= VERBS)
		return &verbs[VERB_NONE];
	return &verbs[verb];
}

void
smtp_cmd_parse(struct smtp_cmd *cmd, const uint8_t *line, size_t len)
{
	size_t	verblen = 0, i;

	while (verblen < len && line[verblen] != ' ')
		verblen++;
	for (i = verblen; i < len && line[i] == ' '; i++)
		;
	while (len > i && line[len - 1] == ' ')
		len--;
	cmd->verb = smtp_verb_by_name(line, verblen);
	cmd->verblen = verblen;
	cmd->arg = line + i;
	cmd->arglen = len - i;
}

size_t
smtp_cmd_log_len(const uint8_t *line, size_t len)
{
	size_t	i = 0;

	while (i < len && (line[i] <= ' ' || line[i] >= 0x7f))
		i++;
	if (len - i > 4 && str_is_equal_nocase(line + i, 4, "AUTH"))
		return i + 4;
	return len;
}

const char *
smtp_verb_name(enum smtp_verb verb)
{
	return verb_row(verb)->name;
}

enum smtp_verb
smtp_verb_by_name(const void *name, size_t len)
{
	unsigned int	v;

	/* The rows from VERB_PASS on are no words that a client can say. */
	for (v = VERB_NONE + 1; v < VERB_PASS; v++)
		if (str_is_equal_nocase(name, len, verbs[v].name))
			return (enum smtp_verb)v;
	return VERB_NONE;
}

size_t
smtp_verb_line_max(enum smtp_verb verb)
{
	return verb_row(verb)->line_max;
}

int
smtp_verb_ends_group(enum smtp_verb verb)
{
	return verb_row(verb)->ends_group;
}

int
smtp_verb_may_reply(enum smtp_verb verb, unsigned int code)
{
	unsigned int	kind = 0;

	if (code == 334)
		kind = REPLY_334;
	else if (code == 354)
		kind = REPLY_354;
	else if (code == 220)
		kind = REPLY_220 | REPLY_2;
	else if (code == 250)
		kind = REPLY_250 | REPLY_2;
	else if (code >= 200 && code <= 299)
		kind = REPLY_2;
	else if (code >= 400 && code <= 599)
		kind = REPLY_45;
	return (verb_row(verb)->replies & kind) != 0;
}

int
smtp_bdat_parse(struct smtp_bdat *bdat, const uint8_t *arg, size_t len)
{
	size_t	digits = 0;

	while (digits < len && arg[digits] != ' ')
		digits++;
	/* RFC 3030 2: 1*20DIGIT; the one space is meant as well. */
	if (digits > 20 ||
	    str_to_u64(arg, digits, INT64_MAX, &bdat->size) == -1)
		return -1;
	bdat->is_last = digits < len;
	if (bdat->is_last &&
	    !str_is_equal_nocase(arg + digits + 1, len - digits - 1, "LAST"))
		return -1;
	return 0;
}
