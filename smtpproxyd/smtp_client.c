/*
 * The client's commands: which are forwarded, which are refused by us, which
 * wait.  Part of the engine.  A command that goes on goes on as the line that
 * was parsed, with the CRLF that was parsed; what we can't read never reaches
 * the destination.
 */
#include "smtp_machine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../common/strutil.h"
#include "smtp_foreign.h"

/* A client that talks before the greeting (DECISIONS, who greets). */
void
smtp_client_early(struct smtp_engine *e, struct smtp_input *i)
{
	if (e->set->allow_pregreet)
		return;			/* held */
	i->taken = i->len;
	smtp_set_reason(e, smtp_foreign_reason(smtp_foreign_find(i->in,
	    i->len), 1), NULL, 0);
	smtp_tell_line(e, "554 5.5.1 you must wait for the greeting");
	smtp_over(e, "pregreet");
}

void
smtp_client_hold(struct smtp_engine *e, struct smtp_input *i)
{
	(void)e;
	(void)i;
}

/* A STARTTLS of ours waits for its turn: nothing in clear may follow. */
void
smtp_client_held(struct smtp_engine *e, struct smtp_input *i)
{
	struct smtp_cmd	c;

	smtp_cmd_parse(&c, buf_head(&e->held), e->held.used);
	if (c.verb != VERB_STARTTLS)
		return;
	i->taken = i->len;
	smtp_client_improper(e);
}

void
smtp_client_drop(struct smtp_engine *e, struct smtp_input *i)
{
	(void)e;
	i->taken = i->len;
}

/*
 * Octets behind DATA, AUTH or STARTTLS before the reply: the client does not
 * wait where it must (RFC 2920 3.1), and what it sends could be read as
 * something else than it means.
 */
void
smtp_client_improper(struct smtp_engine *e)
{
	smtp_say_last(e, "503 5.5.0 improper command pipelining", "4.7.0",
	    "improper command pipelining");
}

/*
 * Another protocol: whatever follows is none of ours, and must not be read as
 * commands.
 */
static void
client_foreign(struct smtp_engine *e, enum smtp_foreign what)
{
	char	line[SMTP_SAY_MAX];

	(void)snprintf(line, sizeof(line), "502 5.5.1 this is SMTP, not %s",
	    smtp_foreign_name(what));
	smtp_say_last(e, line, "4.7.0", smtp_foreign_reason(what, 0));
}

/*
 * A question is open and what comes is held; but behind DATA nothing may come
 * before the reply, whatever it will be.
 */
void
smtp_client_asked(struct smtp_engine *e, struct smtp_input *i)
{
	struct smtp_cmd	c;

	if (e->stage != SMTP_STAGE_DATA)
		return;
	smtp_cmd_parse(&c, buf_head(&e->held), e->held.used);
	if (c.verb != VERB_DATA)
		return;
	i->taken = i->len;
	smtp_client_improper(e);
}

void
smtp_client_strict(struct smtp_engine *e, struct smtp_input *i)
{
	struct smtp_queue_entry	*q = smtp_queue_last(e);

	i->taken = i->len;
	/* It was forwarded, or is one whose refusal by us waits its turn. */
	if (q != NULL && (q->verb == VERB_DATA || q->verb == VERB_AUTH ||
	    q->verb == VERB_AUTH_LINE || q->verb == VERB_STARTTLS))
		q->flags |= QUEUE_VOID;
	smtp_client_improper(e);
}

/*
 * All is said (a refusal inside a message): whatever comes next gets one
 * answer, so that the refusal does not look like a broken connection.
 */
void
smtp_client_last(struct smtp_engine *e, struct smtp_input *i)
{
	struct smtp_cmd	 c;
	const uint8_t	*line;
	size_t		 len;
	char		 text[SMTP_SAY_MAX];

	switch (smtp_line_feed(&e->line[SMTP_CLIENT], i->in, i->len,
	    &i->taken, &line, &len)) {
	case SMTP_LINE_MORE:
		return;
	case SMTP_LINE_OK:
		smtp_cmd_parse(&c, line, len);
		if (c.verb == VERB_QUIT) {
			smtp_format(e, text, "221", "2.0.0",
			    "closing connection");
			smtp_tell_line(e, text);
			smtp_over(e, "refused");
			return;
		}
		break;
	default:
		break;
	}
	smtp_over_421(e, "4.3.0", "closing connection", "refused");
}

static const char *
line_fault_reply(enum smtp_line_result r)
{
	switch (r) {
	case SMTP_LINE_LONG:
		return "500 5.5.2 line too long";
	case SMTP_LINE_BARE_CR:
		return "500 5.5.2 bare CR in command";
	case SMTP_LINE_BARE_LF:
		return "500 5.5.2 bare LF in command";
	default:
		return "500 5.5.2 NUL in command";
	}
}

/* One that came in pieces was collected: credentials don't stay there. */
static void
client_forget_line(struct smtp_engine *e)
{
	const uint8_t	*line;
	size_t		 len, taken;

	if (e->events & EVENT_WIPE)
		(void)smtp_line_feed(&e->line[SMTP_CLIENT], NULL, 0, &taken,
		    &line, &len);
}

/* Nothing may follow it before its reply (DECISIONS, pipelining). */
static int
command_is_strict(enum smtp_verb verb)
{
	return verb == VERB_DATA || verb == VERB_AUTH ||
	    verb == VERB_STARTTLS;
}

/* Refused by us; what stands behind it is held to the same rules. */
static void
command_say_refusal(struct smtp_engine *e, enum smtp_verb verb,
    const char *refusal)
{
	smtp_clear_held(e);
	smtp_queue_say(e, refusal, 0);
	if (!command_is_strict(verb) || e->is_done || e->state == SMTP_OVER)
		return;
	if (e->has_behind)
		smtp_client_improper(e);
	else if (e->queue_used > 0)
		e->state = SMTP_WAIT_STRICT;
}

/* A line that was dropped, of which only the start is here. */
static void
command_is_faulty(struct smtp_engine *e, const uint8_t *line, size_t len,
    const char *refusal, int is_nul)
{
	enum smtp_foreign	foreign = FOREIGN_NONE;
	struct smtp_cmd		c;

	smtp_cmd_parse(&c, line, len);
	if (smtp_cmd_log_len(line, len) < len || c.verb == VERB_AUTH)
		e->events |= EVENT_WIPE;
	if (e->nempty == 2 && len == 0 && is_nul)
		foreign = FOREIGN_PROXY;	/* signature of its version 2 */
	else if (c.verb == VERB_NONE)
		foreign = smtp_foreign_find(line, len);
	if (foreign != FOREIGN_NONE)
		client_foreign(e, foreign);
	else if (c.verb == VERB_BDAT)
		smtp_bdat_bad(e, refusal);
	else
		command_say_refusal(e, c.verb, refusal);
}

/* A line is dropped up to its end, but not for ever. */
static int
line_is_endless(struct smtp_engine *e, enum smtp_line_result r, size_t taken)
{
	e->nskipped += taken;
	if (e->nskipped <= SMTP_DROP_MAX) {
		if (r != SMTP_LINE_MORE)
			e->nskipped = 0;
		return 0;
	}
	smtp_say_last(e, line_fault_reply(SMTP_LINE_LONG), "4.7.0",
	    "endless line");
	return 1;
}

void
smtp_client_command(struct smtp_engine *e, struct smtp_input *i)
{
	enum smtp_line_result	 r;
	const uint8_t		*line;
	size_t			 len;

	if (i->in[0] == FOREIGN_TLS_OCTET &&
	    !smtp_line_is_partial(&e->line[SMTP_CLIENT])) {
		i->taken = i->len;
		client_foreign(e, FOREIGN_TLS);
		return;
	}
	r = smtp_line_feed(&e->line[SMTP_CLIENT], i->in, i->len, &i->taken,
	    &line, &len);
	e->has_behind = i->taken < i->len;
	if (line_is_endless(e, r, i->taken))
		return;
	switch (r) {
	case SMTP_LINE_MORE:
		return;
	case SMTP_LINE_OK:
		smtp_command_take(e, line, len);
		client_forget_line(e);
		return;
	case SMTP_LINE_NOMEM:
		smtp_over_nomem(e);
		return;
	default:
		command_is_faulty(e, line, len, line_fault_reply(r),
		    r == SMTP_LINE_NUL);
		return;
	}
}

/* A line that answers a 334: opaque, "*" included (RFC 4954 4). */
void
smtp_client_auth(struct smtp_engine *e, struct smtp_input *i)
{
	enum smtp_line_result	 r;
	const uint8_t		*line;
	size_t			 len;

	r = smtp_line_feed(&e->line[SMTP_CLIENT], i->in, i->len, &i->taken,
	    &line, &len);
	if (r == SMTP_LINE_MORE && e->line[SMTP_CLIENT].fault == 0)
		return;
	if (r == SMTP_LINE_NOMEM) {
		smtp_over_nomem(e);
		return;
	}
	if (r != SMTP_LINE_OK) {
		/* No invented cancel: the exchange ends with the session. */
		smtp_over_421(e, "4.7.0", "bad line in AUTH exchange",
		    "bad line in AUTH exchange");
		return;
	}
	e->events |= EVENT_WIPE;
	if (i->taken < i->len) {
		i->taken = i->len;
		smtp_client_improper(e);
		return;
	}
	if (smtp_give(e, line, len) == -1 || smtp_give(e, "\r\n", 2) == -1)
		return;
	client_forget_line(e);
	smtp_queue_push(e, VERB_AUTH_LINE, ORIGIN_CLIENT, 0, -1);
	e->state = SMTP_WAIT_STRICT;
}

static int
command_is_pass_verb(const struct smtp_engine *e, const uint8_t *line,
    size_t len)
{
	const char *const	*v = e->set->pass_verbs;

	for (; v != NULL && *v != NULL; v++)
		if (str_is_equal_nocase(line, len, *v))
			return 1;
	return 0;
}

static const char *
mail_refusal(struct smtp_engine *e, const struct smtp_cmd *c)
{
	struct smtp_path	p;
	struct smtp_mail_facts	f;

	if (smtp_path_parse(&p, PATH_FROM, c->arg, c->arglen) == -1)
		return "501 5.5.4 syntax: MAIL FROM:<address> [parameters]";
	if (smtp_mail_facts(&f, &p) == -1)
		return "501 5.5.4 bad parameter of MAIL";
	if (f.is_requiretls && !(e->ehlo.passed & EHLO_REQUIRETLS))
		return "555 5.5.4 REQUIRETLS not supported";
	return NULL;
}

static const char *
auth_refusal(struct smtp_engine *e, const struct smtp_cmd *c)
{
	const uint8_t	*end;
	size_t		 len = c->arglen;

	if (!(e->ehlo.passed & EHLO_AUTH))
		return "503 5.5.1 AUTH not offered";
	if (len == 0)
		return "501 5.5.4 syntax: AUTH mechanism";
	if ((end = memchr(c->arg, ' ', len)) != NULL)
		len = (size_t)(end - c->arg);
	if (!smtp_ehlo_has_mech(&e->set->ehlo, c->arg, len))
		return "504 5.5.4 mechanism not supported";
	return NULL;
}

static const char *
data_refusal(struct smtp_engine *e)
{
	const struct smtp_txn	*t = smtp_txn_at(e, e->txn_now);

	if (t != NULL && t->has_bdat)
		return "503 5.5.1 DATA mixed with BDAT";
	if (t == NULL && e->has_gap)
		return CHUNK_REFUSED;
	return NULL;
}

/* What we refuse by ourselves, or NULL. */
static const char *
command_refusal(struct smtp_engine *e, const struct smtp_cmd *c, size_t len)
{
	struct smtp_path	 p;
	const char		*refusal;

	if (len + 2 > smtp_verb_line_max(c->verb))
		return "500 5.5.2 line too long";
	if ((refusal = smtp_tls_refusal(e, c)) != NULL)
		return refusal;
	switch (c->verb) {
	case VERB_NONE:
		return len == 0 ? "500 5.5.2 empty command" :
		    "502 5.5.1 command not implemented";
	case VERB_XCLIENT:
	case VERB_XFORWARD:
	case VERB_PROXY:
		return "502 5.5.1 command not implemented";
	case VERB_STARTTLS:
		return e->ehlo.passed & EHLO_STARTTLS ? NULL :
		    "502 5.5.1 STARTTLS not offered";
	case VERB_MAIL:
		return mail_refusal(e, c);
	case VERB_RCPT:
		if (smtp_path_parse(&p, PATH_TO, c->arg, c->arglen) == -1)
			return "501 5.5.4 syntax: RCPT TO:<address> "
			    "[parameters]";
		return NULL;
	case VERB_DATA:
		return data_refusal(e);
	case VERB_AUTH:
		return auth_refusal(e, c);
	default:
		return NULL;
	}
}

/*
 * Must all replies before it be known first?  A pass-verb goes out alone; a
 * MAIL within a transaction, or one for which there is no record left, waits
 * until it is known what became of those before it.
 */
static int
command_must_hold(struct smtp_engine *e, enum smtp_verb verb)
{
	int	i;

	if (e->queue_used == 0)
		return 0;
	if (verb == VERB_PASS || (verb == VERB_STARTTLS &&
	    smtp_tls_ends_here(e)))
		return 1;
	if (verb != VERB_MAIL)
		return 0;
	if (e->txn_now != -1)
		return 1;
	for (i = 0; i < SMTP_TXNS; i++)
		if (e->txn[i].state == TXN_FREE)
			return 0;
	return 1;
}

static int
command_keep(struct smtp_engine *e, const uint8_t *line, size_t len)
{
	if (line == buf_head(&e->held))
		return 0;
	smtp_clear_held(e);
	if (buf_add(&e->held, line, len) == 0)
		return 0;
	smtp_over_nomem(e);
	return -1;
}

static int
command_stage(enum smtp_verb verb)
{
	switch (verb) {
	case VERB_HELO:
	case VERB_EHLO:
		return SMTP_STAGE_HELO;
	case VERB_MAIL:
		return SMTP_STAGE_MAIL;
	case VERB_RCPT:
		return SMTP_STAGE_RCPT;
	case VERB_DATA:
		return SMTP_STAGE_DATA;
	default:
		return -1;
	}
}

static void
command_parse(const struct smtp_engine *e, struct smtp_cmd *c,
    const uint8_t *line, size_t len)
{
	smtp_cmd_parse(c, line, len);
	if (c->verb == VERB_NONE && c->verblen > 0 &&
	    command_is_pass_verb(e, line, c->verblen))
		c->verb = VERB_PASS;
}

void
smtp_command_take(struct smtp_engine *e, const uint8_t *line, size_t len)
{
	enum smtp_foreign	 foreign;
	struct smtp_cmd		 c;
	const char		*refusal;
	int			 stage;

	command_parse(e, &c, line, len);
	if (c.verb == VERB_NONE || c.verb == VERB_PROXY) {
		foreign = smtp_foreign_find(line, len);
		if (foreign != FOREIGN_NONE) {
			client_foreign(e, foreign);
			return;
		}
	}
	/* The two that a session may begin with, see command_is_faulty(). */
	if (len == 0 && e->nempty < 2)
		e->nempty++;
	else
		e->nempty = SMTP_NEMPTY_OVER;
	/* Also what only looks like AUTH: the client may have mistyped it. */
	if (smtp_cmd_log_len(line, len) < len || c.verb == VERB_AUTH)
		e->events |= EVENT_WIPE;
	if (c.verb == VERB_BDAT) {
		smtp_bdat_take(e, &c, len);
		return;
	}
	if ((refusal = command_refusal(e, &c, len)) != NULL) {
		command_say_refusal(e, c.verb, refusal);
		return;
	}
	if (e->has_behind && command_is_strict(c.verb)) {
		smtp_client_improper(e);
		return;
	}
	if (command_keep(e, line, len) == -1)
		return;
	if (command_must_hold(e, c.verb)) {
		e->state = SMTP_HELD;
		return;
	}
	if ((stage = command_stage(c.verb)) != -1)
		smtp_ask(e, (enum smtp_stage)stage);
	else
		smtp_command_go(e);
}

static char *
text_copy(const uint8_t *text, size_t len)
{
	char	*s;

	if ((s = malloc(len + 1)) == NULL)
		return NULL;
	if (len > 0)
		memcpy(s, text, len);
	s[len] = '\0';
	return s;
}

/* A transaction ends with a command that is on its way: its reply tells. */
static int
txn_closing(struct smtp_engine *e)
{
	int	txn = e->txn_now;

	if (txn != -1)
		e->txn[txn].state = TXN_CLOSING;
	e->txn_now = -1;
	return txn;
}

static int
mail_forwarded(struct smtp_engine *e, const struct smtp_cmd *c)
{
	struct smtp_path	p;
	struct smtp_mail_facts	f;
	struct smtp_txn		*t;
	int			 txn;

	/*
	 * Within a transaction it is the destination's to judge.  Nothing is
	 * due then (command_must_hold), so that there is room for a second
	 * record; what comes of the first is seen with the reply.
	 */
	if (smtp_path_parse(&p, PATH_FROM, c->arg, c->arglen) == -1 ||
	    smtp_mail_facts(&f, &p) == -1 || (txn = smtp_txn_new(e)) == -1)
		return -1;
	t = &e->txn[txn];
	t->from = text_copy(p.addr, p.addrlen);
	if (e->txn_now == -1)
		e->is_chunked = e->has_gap = 0;
	t->is_utf8 = f.is_smtputf8 != 0;
	t->is_binary = f.body == BODY_BINARYMIME &&
	    (e->ehlo.passed & EHLO_BINARYMIME) != 0;
	e->txn_now = (int8_t)txn;
	return txn;
}

/* The record-keeping of a command that goes out; the transaction's index. */
static int
command_forwarded(struct smtp_engine *e, const struct smtp_cmd *c)
{
	switch (c->verb) {
	case VERB_HELO:
	case VERB_EHLO:
		free(e->helo);
		e->helo = text_copy(c->arg, c->arglen);
		e->is_esmtp = c->verb == VERB_EHLO;
		e->is_chunked = e->has_gap = 0;
		return txn_closing(e);
	case VERB_RSET:
		e->is_chunked = e->has_gap = 0;
		return txn_closing(e);
	case VERB_MAIL:
		return mail_forwarded(e, c);
	case VERB_RCPT:
		if (e->txn_now != -1)
			e->txn[e->txn_now].nrcpt++;
		return e->txn_now;
	case VERB_DATA:
		return e->txn_now;
	case VERB_AUTH:
		e->is_secret = 1;
		return -1;
	default:
		return -1;
	}
}

void
smtp_command_go(struct smtp_engine *e)
{
	struct smtp_cmd	 c;
	const uint8_t	*line = buf_head(&e->held);
	size_t		 len = e->held.used;
	int		 txn, is_doubtful;

	command_parse(e, &c, line, len);
	if (c.verb == VERB_BDAT) {
		smtp_bdat_forward(e);
		return;
	}
	if (c.verb == VERB_STARTTLS && smtp_tls_ends_here(e)) {
		smtp_tls_go(e);
		return;
	}
	if (c.verb == VERB_MAIL && e->who != NULL && !e->is_xforwarded &&
	    e->set->identity == IDENTITY_XFORWARD) {
		smtp_trace_xforward(e);
		return;
	}
	e->is_xforwarded = 0;
	/* It may be refused, and then the transaction is another one than
	 * what follows was meant for. */
	is_doubtful = (c.verb == VERB_MAIL && e->txn_now != -1) ||
	    (c.verb == VERB_RSET && c.arglen > 0);
	if ((c.verb == VERB_MAIL ? smtp_trace_mail(e, line, len) :
	    smtp_give(e, line, len)) == -1 || smtp_give(e, "\r\n", 2) == -1)
		return;
	txn = command_forwarded(e, &c);
	smtp_queue_push(e, c.verb, ORIGIN_CLIENT, 0, txn);
	if (command_is_strict(c.verb))
		e->state = SMTP_WAIT_STRICT;
	else if (smtp_verb_ends_group(c.verb) || !e->has_pipelining ||
	    is_doubtful)
		e->state = SMTP_WAIT;
	else
		e->state = SMTP_COMMAND;
	smtp_clear_held(e);
}

void
smtp_command_refuse(struct smtp_engine *e, const char *reply)
{
	struct smtp_cmd	c;

	command_parse(e, &c, buf_head(&e->held), e->held.used);
	e->state = SMTP_COMMAND;
	e->has_behind = 0;		/* else it would not have been asked */
	if (c.verb == VERB_BDAT)
		smtp_bdat_refuse(e, reply);
	else
		command_say_refusal(e, c.verb, reply);
}
