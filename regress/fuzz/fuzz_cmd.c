/*
 * Command parser: what it says of a line is checked against the line itself.
 * The argument is also read as BDAT's, and again in the form in which it would
 * be written.  Input: a line.
 */

#include "../../smtpproxyd/smtp_cmd.h"

#include <inttypes.h>
#include <strings.h>

#include "fuzz.h"

static void
check_verb(const struct smtp_cmd *cmd, const uint8_t *line)
{
	const char	*name = smtp_verb_name(cmd->verb);

	HOLDS(cmd->verb < VERB_PASS);
	HOLDS(smtp_verb_by_name(line, cmd->verblen) == cmd->verb);
	if (cmd->verb == VERB_NONE)
		return;
	HOLDS(strlen(name) == cmd->verblen);
	HOLDS(strncasecmp((const char *)line, name, cmd->verblen) == 0);
}

/* Verb, spaces, argument, spaces: nothing of the line is lost. */
static void
check_parts(const struct smtp_cmd *cmd, const uint8_t *line, size_t len)
{
	size_t	i, at;

	HOLDS(cmd->verblen <= len);
	HOLDS(cmd->arg >= line + cmd->verblen);
	at = (size_t)(cmd->arg - line);
	HOLDS(at <= len && cmd->arglen <= len - at);
	HOLDS(memchr(line, ' ', cmd->verblen) == NULL);
	for (i = cmd->verblen; i < at; i++)
		HOLDS(line[i] == ' ');
	for (i = at + cmd->arglen; i < len; i++)
		HOLDS(line[i] == ' ');
	HOLDS(cmd->verblen == len || line[cmd->verblen] == ' ');
	HOLDS(cmd->arglen == 0 || (cmd->arg[0] != ' ' &&
	    cmd->arg[cmd->arglen - 1] != ' '));
}

static void
check_bdat(const uint8_t *arg, size_t len)
{
	struct smtp_bdat	bdat, again;
	char			text[64];
	int			n;

	if (smtp_bdat_parse(&bdat, arg, len) == -1)
		return;
	HOLDS(bdat.size <= INT64_MAX);
	HOLDS(len <= 25 && memchr(arg, '\0', len) == NULL);
	n = snprintf(text, sizeof(text), "%" PRIu64 "%s", bdat.size,
	    bdat.is_last ? " LAST" : "");
	HOLDS(smtp_bdat_parse(&again, (const uint8_t *)text, (size_t)n) == 0);
	HOLDS(again.size == bdat.size && again.is_last == bdat.is_last);
	/* The same digits by another reader; zeros in front do not count. */
	HOLDS(strtoull(text, NULL, 10) == bdat.size);
	while (len > 1 && *arg == '0' && arg[1] >= '0' && arg[1] <= '9') {
		arg++;
		len--;
	}
	HOLDS((size_t)n == len &&
	    strncasecmp(text, (const char *)arg, len) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *in, size_t len)
{
	struct smtp_cmd	cmd;
	uint8_t		*line;
	size_t		shown;

	if ((line = malloc(len > 0 ? len : 1)) == NULL)
		abort();
	if (len > 0)
		memcpy(line, in, len);
	smtp_cmd_parse(&cmd, line, len);
	check_parts(&cmd, line, len);
	check_verb(&cmd, line);
	check_bdat(cmd.arg, cmd.arglen);
	check_bdat(line, len);
	shown = smtp_cmd_log_len(line, len);
	HOLDS(shown <= len);
	if (cmd.verb == VERB_AUTH)
		HOLDS(shown == 4);
	free(line);
	return 0;
}
