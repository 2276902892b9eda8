/*
 * The two log lines: one for each message (each MAIL that was forwarded), one
 * for each session.  Runs in the worker.  Whatever a peer said is a value in
 * quotes, escaped; nothing of AUTH is ever kept, so nothing can be said here.
 */
#include "session.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "../common/log.h"
#include "../common/strutil.h"

static void
line_start(struct session *s, char *line, size_t size, const char *what)
{
	char	text[ADDR_TEXT_MAX];

	(void)snprintf(line, size, "%s sess=%016" PRIx64, what, s->id);
	str_add_pair_str(line, size, "relay", s->relay->conf->name);
	str_add_pair_str(line, size, "client", addr_text(&s->client, text));
	str_add_pair_str(line, size, "destination",
	    addr_text(&s->dest, text));
	if (s->engine.helo != NULL)
		str_add_pair_str(line, size, "helo", s->engine.helo);
}

static void
line_add_ms(char *line, size_t size, const char *key, int64_t from_ms,
    int64_t to_ms)
{
	if (from_ms <= to_ms)
		str_add_pair_u64(line, size, key,
		    (uint64_t)(to_ms - from_ms));
}

static void
log_message(struct session *s, const struct smtp_txn *t)
{
	char	line[LOG_LINE_MAX], msg[32];

	line_start(s, line, sizeof(line), "message");
	(void)snprintf(msg, sizeof(msg), "%016" PRIx64 ".%" PRIu32, s->id,
	    t->number);
	str_add_pair_str(line, sizeof(line), "msg", msg);
	if (t->from != NULL)
		str_add_pair_str(line, sizeof(line), "from", t->from);
	str_add_pair_u64(line, sizeof(line), "nrcpt", t->nrcpt);
	if (t->nrcpt_refused > 0)
		str_add_pair_u64(line, sizeof(line), "refused",
		    t->nrcpt_refused);
	str_add_pair_u64(line, sizeof(line), "size", t->size);
	str_add_pair_str(line, sizeof(line), "delivered",
	    t->is_delivered ? "yes" : "no");
	if (t->is_delivered && s->engine.is_client_lost)
		str_add_pair_str(line, sizeof(line), "undelivered", "yes");
	line_add_ms(line, sizeof(line), "duration_ms", t->start_ms,
	    t->end_ms);
	if (t->content_ms != 0)
		line_add_ms(line, sizeof(line), "dot_ms", t->content_ms,
		    t->end_ms);
	if (t->reason != NULL)
		str_add_pair_str(line, sizeof(line), "reason", t->reason);
	if (t->reply != NULL)
		str_add_pair_str(line, sizeof(line), "reply", t->reply);
	log_line(LOG_INFO, line);
}

void
session_log_ended(struct session *s)
{
	struct smtp_txn	*t;

	while ((t = smtp_engine_ended(&s->engine)) != NULL) {
		log_message(s, t);
		smtp_engine_free_txn(&s->engine, t);
	}
}

static void
line_add_tls(char *line, size_t size, const char *prefix,
    const struct smtp_tls_facts *f, const char *error)
{
	const struct { const char *name, *value; } pairs[] = {
		{ "tls", f->protocol }, { "cipher", f->cipher },
		{ "sni", f->sni }, { "subject", f->subject },
		{ "verify", f->protocol == NULL ? NULL : f->verify },
		{ "tls_error", error[0] == '\0' ? NULL : error }
	};
	char	name[32];
	size_t	i;

	for (i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
		if (pairs[i].value == NULL)
			continue;
		(void)snprintf(name, sizeof(name), "%s%s", prefix,
		    pairs[i].name);
		str_add_pair_str(line, size, name, pairs[i].value);
	}
}

static void
line_add_more(char *line, size_t size, const struct session_more *m)
{
	char	text[ADDR_TEXT_MAX];

	if (m->proxy.family != 0)
		str_add_pair_str(line, size, "proxy",
		    addr_text(&m->proxy, text));
	line_add_tls(line, size, "", &m->who.tls, m->tls_error[SMTP_CLIENT]);
	line_add_tls(line, size, "dest_", &m->dest_tls,
	    m->tls_error[SMTP_DEST]);
}

void
session_log_end(struct session *s)
{
	const struct smtp_engine	*e = &s->engine;
	char				 line[LOG_LINE_MAX];

	line_start(s, line, sizeof(line), "session");
	str_add_pair_u64(line, sizeof(line), "messages", e->nmessages);
	str_add_pair_u64(line, sizeof(line), "delivered", e->ndelivered);
	if (e->nerrors > 0)
		str_add_pair_u64(line, sizeof(line), "errors", e->nerrors);
	str_add_pair_u64(line, sizeof(line), "octets",
	    e->octets[SMTP_CLIENT]);
	if (e->opaque != OPAQUE_NONE) {
		str_add_pair_u64(line, sizeof(line), "octets_back",
		    e->octets[SMTP_DEST]);
		str_add_pair_str(line, sizeof(line), "opaque",
		    e->opaque == OPAQUE_BYPASS ? "bypass" : "starttls");
	}
	if (s->more != NULL)
		line_add_more(line, sizeof(line), s->more);
	if (s->connected_ms != 0)
		line_add_ms(line, sizeof(line), "connect_ms", s->start_ms,
		    s->connected_ms);
	line_add_ms(line, sizeof(line), "duration_ms", s->start_ms,
	    s->set->loop->now_ms);
	str_add_pair_str(line, sizeof(line), "reason",
	    e->reason == NULL ? "unknown" : e->reason);
	if (e->reason_text != NULL)
		str_add_pair_str(line, sizeof(line), "reply",
		    e->reason_text);
	log_line(LOG_INFO, line);
}
