/*
 * Envelope addresses and their parameters as a client gives them, in the
 * worker.  The destination reads the same line again, so what counts is that
 * no server can find another end of the path here than we do: quotes, angle
 * brackets, spaces and control characters are held strictly, the rest is the
 * destination's to judge.
 */

#include "smtp_path.h"

#include <string.h>

#include "../common/strutil.h"

/* What is left to be read. */
struct path_text {
	const uint8_t	*p;
	size_t		 len;
};

/* The next octet, or 0, which is nowhere allowed. */
static uint8_t
path_peek(const struct path_text *t)
{
	return t->len > 0 ? *t->p : 0;
}

static void
path_skip(struct path_text *t, size_t n)
{
	t->p += n;
	t->len -= n;
}

/* Take that octet if it is the next. */
static int
path_take(struct path_text *t, uint8_t c)
{
	if (t->len == 0 || *t->p != c)
		return 0;
	path_skip(t, 1);
	return 1;
}

static int
path_is_alnum(uint8_t c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	    (c >= '0' && c <= '9');
}

/*
 * RFC 5322 3.2.3 atext and RFC 6531 3.3.  A dot is taken as one of them:
 * "a..b@" and "a.@" are real mailboxes at some providers.
 */
static int
path_is_atext(uint8_t c)
{
	return path_is_alnum(c) || c >= 0x80 ||
	    (c != 0 && strchr(".!#$%&'*+-/=?^_`{|}~", c) != NULL);
}

/* RFC 1123 2.1, RFC 6531, and the underscore that many names have. */
static int
path_is_label(uint8_t c)
{
	return path_is_alnum(c) || c >= 0x80 || c == '-' || c == '_';
}

/* The rest of a quoted string behind its '"' (RFC 5321 4.1.2). */
static int
path_take_quoted(struct path_text *t)
{
	uint8_t	c;

	while ((c = path_peek(t)) >= ' ' && c != 0x7f) {
		path_skip(t, 1);
		if (c == '"')
			return 0;
		if (c != '\\')
			continue;
		/* A quoted pair has 0x20..0x7e. */
		if ((c = path_peek(t)) < ' ' || c >= 0x7f)
			return -1;
		path_skip(t, 1);
	}
	return -1;
}

static int
path_take_local(struct path_text *t)
{
	size_t	len = t->len;

	for (;;) {
		if (path_take(t, '"')) {
			if (path_take_quoted(t) == -1)
				return -1;
		} else if (path_is_atext(path_peek(t)))
			path_skip(t, 1);
		else
			return t->len < len ? 0 : -1;
	}
}

/*
 * "[192.0.2.1]", "[IPv6:::1]", "[tag:text]": RFC 5321 4.1.3 dcontent, less
 * what a reader of quotes and brackets would take for those.
 */
static int
path_take_literal(struct path_text *t)
{
	size_t	n = 0;
	uint8_t	c;

	while ((c = path_peek(t)) > ' ' && c < 0x7f &&
	    strchr("[]\\<>\"", c) == NULL) {
		path_skip(t, 1);
		n++;
	}
	return path_take(t, ']') && n > 0 ? 0 : -1;
}

/* Labels with dots between them; one more at the end is the root's. */
static int
path_take_domain(struct path_text *t)
{
	if (path_take(t, '['))
		return path_take_literal(t);
	if (!path_is_label(path_peek(t)))
		return -1;
	while (path_is_label(path_peek(t))) {
		while (path_is_label(path_peek(t)))
			path_skip(t, 1);
		(void)path_take(t, '.');
	}
	return 0;
}

/* "@a,@b:" in front of an address: RFC 5321 4.1.2 A-d-l, appendix C. */
static int
path_take_route(struct path_text *t)
{
	do {
		if (!path_take(t, '@') || path_take_domain(t) == -1)
			return -1;
	} while (path_take(t, ','));
	return path_take(t, ':') ? 0 : -1;
}

/* The address, with its route or without. */
static int
path_take_address(struct path_text *t, struct smtp_path *path)
{
	if (path_peek(t) == '@' && path_take_route(t) == -1)
		return -1;
	path->addr = t->p;
	if (path_take_local(t) == -1)
		return -1;
	if (path_take(t, '@') && path_take_domain(t) == -1)
		return -1;
	path->addrlen = (size_t)(t->p - path->addr);
	return 0;
}

/* "<address>", "<>" or an address without brackets. */
static int
path_take_path(struct path_text *t, struct smtp_path *path,
    enum smtp_path_kind kind)
{
	size_t	before = t->len, max = SMTP_PATH_MAX;

	path->addr = t->p;
	if (path_take(t, '<')) {
		path->addr = t->p;
		/* The null reverse-path is no address. */
		if ((kind != PATH_FROM || path_peek(t) != '>') &&
		    path_take_address(t, path) == -1)
			return -1;
		if (!path_take(t, '>'))
			return -1;
	} else {
		max -= 2;		/* brackets count: 4.5.3.1.3 */
		if (path_take_address(t, path) == -1)
			return -1;
	}
	return before - t->len <= max ? 0 : -1;
}

int
smtp_path_parse(struct smtp_path *path, enum smtp_path_kind kind,
    const uint8_t *arg, size_t len)
{
	const char		*word = kind == PATH_FROM ? "FROM:" : "TO:";
	struct path_text	 t = { arg, len };
	struct smtp_params	 params;
	struct smtp_param	 param;
	int			 more;

	memset(path, 0, sizeof(*path));
	if (len < strlen(word) || !str_is_equal_nocase(arg, strlen(word), word))
		return -1;
	path_skip(&t, strlen(word));
	while (path_take(&t, ' '))
		;
	if (path_take_path(&t, path, kind) == -1)
		return -1;
	if (t.len > 0 && path_peek(&t) != ' ')
		return -1;
	while (path_take(&t, ' '))
		;
	path->params = t.p;
	path->paramslen = t.len;
	/* "Joe <a@b>" and "<a@b> <c@d>" have another address for some. */
	smtp_params_init(&params, path);
	while ((more = smtp_params_next(&params, &param)) == 1)
		;
	return more;
}

void
smtp_params_init(struct smtp_params *params, const struct smtp_path *path)
{
	params->next = path->params;
	params->left = path->paramslen;
}

/* RFC 5321 4.1.2 esmtp-keyword, esmtp-value; RFC 6531 3.3. */
int
smtp_params_next(struct smtp_params *params, struct smtp_param *param)
{
	struct path_text	t = { params->next, params->left };

	memset(param, 0, sizeof(*param));
	while (path_take(&t, ' '))
		;
	if (t.len == 0)
		return 0;
	param->name = t.p;
	if (!path_is_alnum(path_peek(&t)))
		return -1;
	while (path_is_alnum(path_peek(&t)) || path_peek(&t) == '-')
		path_skip(&t, 1);
	param->namelen = (size_t)(t.p - param->name);
	if (path_take(&t, '=')) {
		param->value = t.p;
		while (path_peek(&t) > ' ' && path_peek(&t) != 0x7f)
			path_skip(&t, 1);
		param->valuelen = (size_t)(t.p - param->value);
		if (param->valuelen == 0)
			return -1;
	}
	if (t.len > 0 && path_peek(&t) != ' ')
		return -1;
	params->next = t.p;
	params->left = t.len;
	return 1;
}

static int
param_is(const struct smtp_param *param, const char *name)
{
	return str_is_equal_nocase(param->name, param->namelen, name);
}

/* RFC 6152 3, RFC 3030 3. */
static int
facts_body(struct smtp_mail_facts *facts, const struct smtp_param *param)
{
	static const struct {
		const char	*name;
		enum smtp_body	 body;
	} bodies[] = {
		{ "7BIT",	BODY_7BIT },
		{ "8BITMIME",	BODY_8BITMIME },
		{ "BINARYMIME",	BODY_BINARYMIME },
	};
	size_t	i;

	if (facts->body != BODY_NONE || param->value == NULL)
		return -1;
	for (i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++)
		if (str_is_equal_nocase(param->value, param->valuelen,
		    bodies[i].name))
			facts->body = bodies[i].body;
	return facts->body == BODY_NONE ? -1 : 0;
}

/* A parameter without a value, once. */
static int
facts_flag(int *flag, const struct smtp_param *param)
{
	if (*flag || param->value != NULL)
		return -1;
	*flag = 1;
	return 0;
}

int
smtp_mail_facts(struct smtp_mail_facts *facts, const struct smtp_path *path)
{
	struct smtp_params	params;
	struct smtp_param	param;
	int			rc = 0, more, has_size = 0;

	memset(facts, 0, sizeof(*facts));
	smtp_params_init(&params, path);
	while (rc == 0 && (more = smtp_params_next(&params, &param)) != 0) {
		if (more == -1)
			rc = -1;
		else if (param_is(&param, "SIZE")) {
			/* RFC 1870 4: 1*20DIGIT. */
			if (has_size || param.value == NULL ||
			    param.valuelen > 20)
				rc = -1;
			else
				rc = str_to_u64(param.value, param.valuelen,
				    INT64_MAX, &facts->size);
			has_size = 1;
		} else if (param_is(&param, "BODY"))
			rc = facts_body(facts, &param);
		else if (param_is(&param, "SMTPUTF8"))
			rc = facts_flag(&facts->is_smtputf8, &param);
		else if (param_is(&param, "REQUIRETLS"))
			rc = facts_flag(&facts->is_requiretls, &param);
	}
	return rc;
}
