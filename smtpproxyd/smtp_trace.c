/*
 * What we add to a transaction about its client: XFORWARD in front of MAIL,
 * and a trace header in front of the content (DECISIONS, octets that we add).
 * Part of the engine; how they are written is in smtp_identity.c.
 */
#include "smtp_machine.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "../common/strutil.h"

/*
 * One at a time, also where the destination has PIPELINING: what follows
 * depends on whether it is there.
 */
void
smtp_trace_xforward(struct smtp_engine *e)
{
	char	line[SMTP_IDENTITY_LINE];
	size_t	n;

	n = smtp_identity_xforward(line, e->who, e->attrs, e->helo,
	    e->is_esmtp, e->nmessages + 1);
	if (smtp_give(e, line, n) == -1)
		return;
	smtp_queue_push(e, VERB_XFORWARD, ORIGIN_PROXY, 0, -1);
	e->state = SMTP_WAIT;
}

static int
trace_is_due(const struct smtp_engine *e)
{
	return e->set->adds_trace && e->who != NULL;
}

static size_t
trace_text(const struct smtp_engine *e, char *text, int is_utf8,
    uint32_t number)
{
	return smtp_identity_trace(text, e->who, e->helo, e->is_esmtp,
	    is_utf8, number, e->now_ms);
}

void
smtp_trace_data(struct smtp_engine *e)
{
	const struct smtp_txn	*t = smtp_txn_at(e, e->txn_now);
	char			 text[SMTP_TRACE_MAX];

	if (trace_is_due(e) && t != NULL)
		(void)smtp_give(e, text, trace_text(e, text, t->is_utf8,
		    t->number));
}

/* A chunk of its own; its reply is nobody's. */
void
smtp_trace_bdat(struct smtp_engine *e)
{
	const struct smtp_txn	*t = smtp_txn_at(e, e->txn_now);
	char			 text[SMTP_TRACE_MAX], line[SMTP_SAY_MAX];
	size_t			 n;

	if (!trace_is_due(e) || t == NULL)
		return;
	n = trace_text(e, text, t->is_utf8, t->number);
	(void)snprintf(line, sizeof(line), "BDAT %zu\r\n", n);
	if (smtp_give(e, line, strlen(line)) == -1 ||
	    smtp_give(e, text, n) == -1)
		return;
	smtp_queue_push(e, VERB_BDAT, ORIGIN_PROXY, 0, -1);
}

/* Where the value of SIZE= stands in a line, or NULL. */
static const uint8_t *
trace_find_size(const uint8_t *line, size_t len, struct smtp_path *p,
    size_t *valuelen)
{
	struct smtp_params	it;
	struct smtp_param	v;
	struct smtp_cmd		c;

	smtp_cmd_parse(&c, line, len);
	if (smtp_path_parse(p, PATH_FROM, c.arg, c.arglen) == -1)
		return NULL;
	smtp_params_init(&it, p);
	while (smtp_params_next(&it, &v) == 1)
		if (v.value != NULL && str_is_equal_nocase(v.name, v.namelen,
		    "SIZE")) {
			*valuelen = v.valuelen;
			return v.value;
		}
	return NULL;
}

int
smtp_trace_mail(struct smtp_engine *e, const uint8_t *line, size_t len)
{
	struct smtp_mail_facts	 f;
	struct smtp_path	 p;
	const uint8_t		*value;
	char			 text[SMTP_TRACE_MAX];
	size_t			 n, valuelen = 0;

	if (!trace_is_due(e) || (value = trace_find_size(line, len, &p,
	    &valuelen)) == NULL || smtp_mail_facts(&f, &p) == -1 ||
	    f.size > INT64_MAX - SMTP_TRACE_MAX)
		return smtp_give(e, line, len);
	n = trace_text(e, text, f.is_smtputf8, e->nmessages + 1);
	(void)snprintf(text, sizeof(text), "%" PRIu64, f.size + n);
	if (smtp_give(e, line, (size_t)(value - line)) == -1 ||
	    smtp_give(e, text, strlen(text)) == -1)
		return -1;
	value += valuelen;
	return smtp_give(e, value, len - (size_t)(value - line));
}
