/*
 * Paths and parameters: where we see the end of a path, a reader that knows
 * nothing but quotes and brackets sees it too; every parameter is a word of
 * the line; the facts are those of a second reader.
 *
 * Input: one octet (1: RCPT), then the argument.
 */

#include "../../smtpproxyd/smtp_path.h"

#include <strings.h>

#include "fuzz.h"

/*
 * Octets of the path at `p`: to the first '>', or of a bare address to the
 * first space, both outside of quotes.  0: there is none.
 */
static size_t
ref_path_end(const uint8_t *p, size_t len)
{
	size_t	i;
	int	is_quoted = 0;
	int	has_bracket = len > 0 && p[0] == '<';

	for (i = 0; i < len; i++) {
		if (is_quoted && p[i] == '\\')
			i++;
		else if (p[i] == '"')
			is_quoted = !is_quoted;
		else if (!is_quoted && has_bracket && p[i] == '>')
			return i + 1;
		else if (!is_quoted && !has_bracket && p[i] == ' ')
			return i;
	}
	return has_bracket || is_quoted ? 0 : len;
}

static void
check_path(const struct smtp_path *path, enum smtp_path_kind kind,
    const uint8_t *arg, size_t len)
{
	size_t	at = kind == PATH_FROM ? 5 : 3, end, i;

	while (at < len && arg[at] == ' ')
		at++;
	end = at + ref_path_end(arg + at, len - at);
	HOLDS(end > at && end - at <= SMTP_PATH_MAX);
	HOLDS(path->addr >= arg + at &&
	    path->addr + path->addrlen <= arg + end);
	HOLDS(path->addr + path->addrlen ==
	    arg + end - (arg[at] == '<' ? 1 : 0));
	HOLDS(path->addrlen > 0 || (kind == PATH_FROM && arg[at] == '<' &&
	    end - at == 2));
	for (i = at; i < end; i++)
		HOLDS(arg[i] >= ' ' && arg[i] != 0x7f);
	while (end < len && arg[end] == ' ')
		end++;
	HOLDS(path->params == arg + end && path->paramslen == len - end);
	HOLDS(path->paramslen == 0 || path->params[-1] == ' ');
}

/* Every word up to a malformed one is a parameter; -1 when there is one. */
static int
check_params(const struct smtp_path *path)
{
	struct smtp_params	 params;
	struct smtp_param	 p;
	const uint8_t		*at = path->params, *end;
	int			 rc;

	end = path->params + path->paramslen;
	smtp_params_init(&params, path);
	while ((rc = smtp_params_next(&params, &p)) == 1) {
		while (at < end && *at == ' ')
			at++;
		HOLDS(p.name == at && p.namelen > 0);
		at += p.namelen;
		if (p.value != NULL) {
			HOLDS(*at == '=' && p.value == at + 1);
			HOLDS(p.valuelen > 0);
			at += 1 + p.valuelen;
		}
		HOLDS(at == end || *at == ' ');
		HOLDS(memchr(p.name, ' ', p.namelen) == NULL);
	}
	for (; at < end && rc == 0; at++)
		HOLDS(*at == ' ');
	return rc;
}

/* The parameter's value by a search in text; "" without one, NULL: absent. */
static const char *
ref_param(char *text, const char *name, size_t *count)
{
	const char	*found = NULL;
	char		*word, *value, *rest = text;

	*count = 0;
	while ((word = strsep(&rest, " ")) != NULL) {
		value = strchr(word, '=');
		if (value != NULL)
			*value++ = '\0';
		if (strcasecmp(word, name) != 0)
			continue;
		found = value == NULL ? "" : value;
		(*count)++;
	}
	return found;
}

static void
check_fact(const struct smtp_path *path, const char *name, int is_there,
    uint64_t size)
{
	const char	*value;
	char		*text;
	size_t		 count;

	text = strndup((const char *)path->params, path->paramslen);
	if (text == NULL)
		abort();
	value = ref_param(text, name, &count);
	HOLDS(count <= 1);
	if (strcmp(name, "SIZE") == 0)
		HOLDS((value == NULL ? 0 : strtoull(value, NULL, 10)) == size);
	else
		HOLDS((value != NULL) == is_there);
	free(text);
}

static void
check_facts(const struct smtp_path *path)
{
	struct smtp_mail_facts	facts;

	if (smtp_mail_facts(&facts, path) == -1)
		return;
	HOLDS(facts.size <= INT64_MAX);
	check_fact(path, "SIZE", 0, facts.size);
	check_fact(path, "BODY", facts.body != BODY_NONE, 0);
	check_fact(path, "SMTPUTF8", facts.is_smtputf8, 0);
	check_fact(path, "REQUIRETLS", facts.is_requiretls, 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *in, size_t len)
{
	enum smtp_path_kind	 kind;
	struct smtp_path	 path;
	uint8_t			*arg;

	if (len < 1)
		return 0;
	kind = in[0] & 1 ? PATH_TO : PATH_FROM;
	len--;
	if ((arg = malloc(len > 0 ? len : 1)) == NULL)
		abort();
	memcpy(arg, in + 1, len);
	if (smtp_path_parse(&path, kind, arg, len) == 0) {
		check_path(&path, kind, arg, len);
		HOLDS(check_params(&path) == 0);
		check_facts(&path);
	}
	/* Parameters by themselves, well-formed or not. */
	path.params = arg;
	path.paramslen = len;
	(void)check_params(&path);
	free(arg);
	return 0;
}
