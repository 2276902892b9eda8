/*
 * Settings of the configuration one by one: numbers read, ranges checked, what
 * was expected said.  Parent only, while it reads the file; a worker checks
 * its snapshot with the same functions.
 */
#include "conf.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "../common/strutil.h"
#include "conf_int.h"

#define COUNT_MAX	1000000
#define SECONDS_MAX	604800		/* a week */
#define MARK_MAX	INT64_C(4294967295)	/* SO_MARK has 32 bits */

static const char *const	stage_names[STAGES] = {
	[STAGE_CONNECT] = "connect",
	[STAGE_GREETING] = "greeting",
	[STAGE_HELO] = "helo",
	[STAGE_MAIL] = "mail",
	[STAGE_RCPT] = "rcpt",
	[STAGE_DATA] = "data",
	[STAGE_BLOCK] = "block",
	[STAGE_DOT] = "dot",
	[STAGE_COMMAND] = "command",
	[STAGE_MESSAGE] = "message",
	[STAGE_SESSION] = "session",
	[STAGE_TLS] = "tls"
};

static const struct {
	const char	*name;
	int64_t		 max;
} limits[LIMIT_TIMEOUT] = {
	[LIMIT_SESSIONS] = { "max-sessions", COUNT_MAX },
	[LIMIT_SESSIONS_PER_CLIENT] = { "max-sessions-per-client", COUNT_MAX },
	[LIMIT_RECIPIENTS] = { "max-recipients", COUNT_MAX },
	[LIMIT_ERRORS] = { "max-errors", COUNT_MAX },
	[LIMIT_MESSAGE_SIZE] = { "max-message-size", INT64_MAX }
};

static const struct {
	const char	*name;
	int64_t		 port;
} services[] = {
	{ "smtp", 25 },
	{ "submission", 587 },
	{ "submissions", 465 }
};

/* What the proxy handles by itself, or never lets a client say. */
static const char *const	verbs_taken[] = {
	"HELO", "EHLO", "MAIL", "RCPT", "DATA", "BDAT", "RSET", "NOOP",
	"VRFY", "EXPN", "HELP", "ETRN", "AUTH", "STARTTLS", "QUIT",
	"XCLIENT", "XFORWARD", "PROXY", "VERB"
};

const char *
conf_stage_name(enum conf_stage stage)
{
	if ((unsigned int)stage >= STAGES)
		return "none";
	return stage_names[stage];
}

int
conf_read_number(const char *s, int64_t *n, struct conf_why *why)
{
	uint64_t	u;

	if (s[0] == '\0' || strspn(s, "0123456789") != strlen(s))
		return conf_fail(why, "\"%s\" is no number, expected digits "
		    "only", s);
	if (str_to_u64(s, strlen(s), INT64_MAX, &u) == -1)
		return conf_fail(why, "%s is too large, expected at most "
		    "%lld", s, (long long)INT64_MAX);
	*n = (int64_t)u;
	return 0;
}

int
conf_read_size(const char *s, int64_t *n, struct conf_why *why)
{
	size_t		len = strlen(s);
	unsigned int	shift = 0;
	uint64_t	u;

	if (len > 0) {
		switch (toupper((unsigned char)s[len - 1])) {
		case 'K':
			shift = 10;
			break;
		case 'M':
			shift = 20;
			break;
		case 'G':
			shift = 30;
			break;
		}
	}
	if (shift != 0)
		len--;
	if (str_to_u64(s, len, (uint64_t)INT64_MAX >> shift, &u) == -1)
		return conf_fail(why, "\"%s\" is no size, expected octets as "
		    "digits, K, M or G behind them", s);
	*n = (int64_t)(u << shift);
	return 0;
}

int
conf_read_port(const char *s, int64_t *n, struct conf_why *why)
{
	uint64_t	u;
	size_t		i;

	for (i = 0; i < sizeof(services) / sizeof(services[0]); i++)
		if (strcmp(s, services[i].name) == 0) {
			*n = services[i].port;
			return 0;
		}
	if (str_to_u64(s, strlen(s), 65535, &u) == -1 || u == 0)
		return conf_fail(why, "\"%s\" is no port, expected 1 to "
		    "65535, smtp, submission or submissions", s);
	*n = (int64_t)u;
	return 0;
}

int
conf_set_once(uint32_t *is_set, unsigned int bit, const char *name,
    struct conf_why *why)
{
	if ((*is_set & (1U << bit)) != 0)
		return conf_fail(why, "%s is set already, expected it once",
		    name);
	*is_set |= 1U << bit;
	return 0;
}

int
conf_set_workers(struct conf *c, int64_t n, struct conf_why *why)
{
	if (conf_set_once(&c->is_set, SETTING_WORKERS, "workers", why) == -1)
		return -1;
	if (n < 1 || n > CONF_WORKERS_MAX)
		return conf_fail(why, "workers %lld is out of range, expected "
		    "1 to %d", (long long)n, CONF_WORKERS_MAX);
	c->nworkers = (uint32_t)n;
	return 0;
}

int
conf_set_user(struct conf *c, const char *user, struct conf_why *why)
{
	const char	*p;

	if (conf_set_once(&c->is_set, SETTING_USER, "user", why) == -1)
		return -1;
	for (p = user; *p != '\0'; p++)
		if ((unsigned char)*p <= 0x20 || (unsigned char)*p >= 0x7f ||
		    strchr(":/,\"", *p) != NULL)
			break;
	if (user[0] == '\0' || user[0] == '-' || *p != '\0' ||
	    strlcpy(c->user, user, sizeof(c->user)) >= sizeof(c->user))
		return conf_fail(why, "\"%s\" is no user, expected the name "
		    "of one", user);
	return 0;
}

int
conf_set_chroot(struct conf *c, const char *path, struct conf_why *why)
{
	if (conf_set_once(&c->is_set, SETTING_CHROOT, "chroot", why) == -1)
		return -1;
	if (path[0] != '/' ||
	    strlcpy(c->chroot, path, sizeof(c->chroot)) >= sizeof(c->chroot))
		return conf_fail(why, "can't chroot to \"%s\", expected an "
		    "absolute path below %d octets", path, CONF_PATH_MAX);
	return 0;
}

int
conf_set_hostname(struct conf *c, const char *name, struct conf_why *why)
{
	if (conf_set_once(&c->is_set, SETTING_HOSTNAME, "hostname", why) == -1)
		return -1;
	if (!str_is_hostname(name) ||
	    strlcpy(c->hostname, name, sizeof(c->hostname)) >=
	    sizeof(c->hostname))
		return conf_fail(why, "\"%s\" is no host name, expected one "
		    "as in \"gw.example.org\"", name);
	return 0;
}

int
conf_set_limit(struct conf_limits *l, enum conf_limit which, int64_t n,
    struct conf_why *why)
{
	if ((unsigned int)which >= LIMIT_TIMEOUT)
		return conf_fail(why, "unknown limit");
	if (conf_set_once(&l->is_set, which, limits[which].name, why) == -1)
		return -1;
	if (n < 0 || n > limits[which].max)
		return conf_fail(why, "%s %lld is out of range, expected 0 to "
		    "%lld", limits[which].name, (long long)n,
		    (long long)limits[which].max);
	switch (which) {
	case LIMIT_SESSIONS:
		l->max_sessions = (uint32_t)n;
		break;
	case LIMIT_SESSIONS_PER_CLIENT:
		l->max_sessions_per_client = (uint32_t)n;
		break;
	case LIMIT_RECIPIENTS:
		l->max_recipients = (uint32_t)n;
		break;
	case LIMIT_ERRORS:
		l->max_errors = (uint32_t)n;
		break;
	case LIMIT_MESSAGE_SIZE:
		l->max_message_size = (uint64_t)n;
		break;
	case LIMIT_TIMEOUT:
		break;			/* conf_set_timeout() */
	}
	return 0;
}

int
conf_set_timeout(struct conf_limits *l, const char *stage, int64_t seconds,
    struct conf_why *why)
{
	char		name[32];
	unsigned int	i;

	for (i = 0; i < STAGES; i++)
		if (strcmp(stage, stage_names[i]) == 0)
			break;
	if (i == STAGES)
		return conf_fail(why, "\"%s\" is no stage, expected connect, "
		    "greeting, helo, mail, rcpt, data, block, dot, command, "
		    "message, session or tls", stage);
	(void)snprintf(name, sizeof(name), "timeout %s", stage);
	if (conf_set_once(&l->is_set, LIMIT_TIMEOUT + i, name, why) == -1)
		return -1;
	if (seconds < 0 || seconds > SECONDS_MAX)
		return conf_fail(why, "%s %lld is out of range, expected 0 to "
		    "%d seconds", name, (long long)seconds, SECONDS_MAX);
	l->timeout_ms[i] = seconds * 1000;
	return 0;
}

int
conf_set_newlines(struct conf_relay *r, enum conf_newlines newlines,
    struct conf_why *why)
{
	if (conf_set_once(&r->is_set, RELAY_NEWLINES, "strict-newlines",
	    why) == -1)
		return -1;
	r->newlines = newlines;
	return 0;
}

int
conf_set_pregreet(struct conf_relay *r, enum conf_pregreet pregreet,
    struct conf_why *why)
{
	if (conf_set_once(&r->is_set, RELAY_PREGREET, "pregreet", why) == -1)
		return -1;
	r->pregreet = pregreet;
	return 0;
}

int
conf_set_starttls(struct conf_relay *r, enum conf_starttls starttls,
    struct conf_place place, struct conf_why *why)
{
	if (conf_set_once(&r->is_set, RELAY_STARTTLS, "starttls", why) == -1)
		return -1;
	r->starttls = starttls;
	r->starttls_place = place;
	return 0;
}

int
conf_set_on_failure(struct conf_relay *r, enum conf_failure on_failure,
    struct conf_why *why)
{
	if (conf_set_once(&r->is_set, RELAY_ON_FAILURE, "on-failure",
	    why) == -1)
		return -1;
	r->on_failure = on_failure;
	return 0;
}

int
conf_set_identity(struct conf_relay *r, enum conf_identity identity,
    struct conf_place place, struct conf_why *why)
{
	if (conf_set_once(&r->is_set, RELAY_IDENTITY, "identity", why) == -1)
		return -1;
	r->identity = identity;
	r->identity_place = place;
	return 0;
}

int
conf_set_trace(struct conf_relay *r, struct conf_why *why)
{
	if (conf_set_once(&r->is_set, RELAY_TRACE, "add-header trace",
	    why) == -1)
		return -1;
	r->adds_trace = 1;
	return 0;
}

int
conf_set_mark(struct conf_relay *r, int64_t mark, struct conf_why *why)
{
	if (conf_set_once(&r->is_set, RELAY_MARK, "mark", why) == -1)
		return -1;
	if (mark < 1 || mark > MARK_MAX)
		return conf_fail(why, "mark %lld is out of range, expected 1 "
		    "to %lld", (long long)mark, (long long)MARK_MAX);
	r->mark = (uint32_t)mark;
	return 0;
}

/*
 * Copy a word in capitals; -1 when it is empty, has another octet than a
 * letter, a digit or one of `more`, or does not fit.
 */
static int
conf_copy_upper(char *to, size_t size, const char *from, const char *more)
{
	size_t	i;
	int	c;

	for (i = 0; from[i] != '\0'; i++) {
		c = (unsigned char)from[i];
		if (c >= 0x80 || (!isalnum(c) && strchr(more, c) == NULL) ||
		    i >= size - 1)
			return -1;
		to[i] = (char)toupper(c);
	}
	to[i] = '\0';
	return i == 0 ? -1 : 0;
}

int
conf_add_pass_verb(struct conf_relay *r, const char *name,
    struct conf_why *why)
{
	char	verb[CONF_VERB_MAX];
	size_t	i;

	if (conf_copy_upper(verb, sizeof(verb), name, "-") == -1)
		return conf_fail(why, "\"%s\" is no verb, expected 1 to %d "
		    "letters, digits and hyphens", name, CONF_VERB_MAX - 1);
	for (i = 0; i < sizeof(verbs_taken) / sizeof(verbs_taken[0]); i++)
		if (strcmp(verb, verbs_taken[i]) == 0)
			return conf_fail(why, "%s can't be passed, expected a "
			    "verb that the proxy does not handle", verb);
	for (i = 0; i < r->npass_verbs; i++)
		if (strcmp(verb, r->pass_verbs[i]) == 0)
			return conf_fail(why, "pass-verb %s is set already, "
			    "expected it once", verb);
	if (r->npass_verbs >= CONF_LIST_MAX)
		return conf_fail(why, "too many verbs, expected at most %d",
		    CONF_LIST_MAX);
	(void)strlcpy(r->pass_verbs[r->npass_verbs++], verb, CONF_VERB_MAX);
	return 0;
}

int
conf_add_auth_mech(struct conf_relay *r, const char *name,
    struct conf_why *why)
{
	char	mech[CONF_MECH_MAX];
	size_t	i;

	if (conf_copy_upper(mech, sizeof(mech), name, "-_") == -1)
		return conf_fail(why, "\"%s\" is no mechanism, expected 1 to "
		    "%d letters, digits, hyphens and underscores", name,
		    CONF_MECH_MAX - 1);
	for (i = 0; i < r->nauth_mechs; i++)
		if (strcmp(mech, r->auth_mechs[i]) == 0)
			return conf_fail(why, "mechanism %s stands there "
			    "already, expected it once", mech);
	if (r->nauth_mechs >= CONF_LIST_MAX)
		return conf_fail(why, "too many mechanisms, expected at most "
		    "%d", CONF_LIST_MAX);
	(void)strlcpy(r->auth_mechs[r->nauth_mechs++], mech, CONF_MECH_MAX);
	return 0;
}
