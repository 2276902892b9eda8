/*
 * Keywords of the configuration and what is said when a line does not fit
 * them.  Parent only; words are the admin's.
 */
#include "conf_words.h"

#include <stdio.h>
#include <string.h>

static const char	usage_forward[] = "[transparent] forward to HOST port "
	    "PORT, to { HOST ... } port PORT or to <TABLE> port PORT, each "
	    "with [tls [no-verify | opportunistic] | smtps [no-verify]] [ca "
	    "\"FILE\"], or forward to nat lookup or to destination, with "
	    "[only <TABLE>] [except <TABLE>]";
static const char	usage_listen[] = "listen on ADDRESS port PORT [divert] "
	    "[TLS pki NAME ... [ca \"FILE\"]] [proxy-protocol from <TABLE> "
	    "[others plain]], where TLS is tls [verify], tls-require "
	    "[verify] or smtps [tls-require] [verify]";

static const struct conf_keyword	keywords[] = {
	{ "add-header", WORD_ADD_HEADER, 0, WHERE_RELAY, "add-header trace" },
	{ "allow", WORD_ALLOW, 0, WHERE_INSIDE, "" },
	{ "auth-mechanisms", WORD_AUTH_MECHANISMS, 0, WHERE_RELAY,
	    "auth-mechanisms { NAME ... }" },
	{ "bypass", WORD_BYPASS, 0, WHERE_RELAY, "bypass from <TABLE>" },
	{ "ca", WORD_CA, 0, WHERE_INSIDE, "" },
	{ "cert", WORD_CERT, 0, WHERE_INSIDE, "" },
	{ "chroot", WORD_CHROOT, 0, WHERE_TOP, "chroot \"PATH\"" },
	{ "destination", WORD_DESTINATION, 0, WHERE_INSIDE, "" },
	{ "divert", WORD_DIVERT, 0, WHERE_INSIDE, "" },
	{ "except", WORD_EXCEPT, 0, WHERE_INSIDE, "" },
	{ "forward", WORD_FORWARD, 0, WHERE_RELAY, usage_forward },
	{ "from", WORD_FROM, 0, WHERE_INSIDE, "" },
	{ "hide", WORD_HIDE, 0, WHERE_INSIDE, "" },
	{ "hostname", WORD_HOSTNAME, 0, WHERE_TOP, "hostname \"NAME\"" },
	{ "identity", WORD_IDENTITY, 0, WHERE_RELAY, "identity xclient, "
	    "xforward, proxy-v1 or proxy-v2" },
	{ "include", WORD_INCLUDE, 0, WHERE_TOP, "include \"FILE\"" },
	{ "key", WORD_KEY, 0, WHERE_INSIDE, "" },
	{ "listen", WORD_LISTEN, 0, WHERE_RELAY, usage_listen },
	{ "lookup", WORD_LOOKUP, 0, WHERE_INSIDE, "" },
	{ "mark", WORD_MARK, 0, WHERE_RELAY, "mark NUMBER" },
	{ "max-errors", WORD_LIMIT, LIMIT_ERRORS, WHERE_BOTH,
	    "max-errors NUMBER" },
	{ "max-message-size", WORD_SIZE_LIMIT, LIMIT_MESSAGE_SIZE, WHERE_BOTH,
	    "max-message-size SIZE" },
	{ "max-recipients", WORD_LIMIT, LIMIT_RECIPIENTS, WHERE_BOTH,
	    "max-recipients NUMBER" },
	{ "max-sessions", WORD_LIMIT, LIMIT_SESSIONS, WHERE_BOTH,
	    "max-sessions NUMBER" },
	{ "max-sessions-per-client", WORD_LIMIT, LIMIT_SESSIONS_PER_CLIENT,
	    WHERE_BOTH, "max-sessions-per-client NUMBER" },
	{ "nat", WORD_NAT, 0, WHERE_INSIDE, "" },
	{ "no-verify", WORD_NO_VERIFY, 0, WHERE_INSIDE, "" },
	{ "normalize", WORD_NORMALIZE, 0, WHERE_INSIDE, "" },
	{ "on", WORD_ON, 0, WHERE_INSIDE, "" },
	{ "on-failure", WORD_ON_FAILURE, 0, WHERE_RELAY,
	    "on-failure reply or on-failure reset" },
	{ "only", WORD_ONLY, 0, WHERE_INSIDE, "" },
	{ "opportunistic", WORD_OPPORTUNISTIC, 0, WHERE_INSIDE, "" },
	{ "others", WORD_OTHERS, 0, WHERE_INSIDE, "" },
	{ "pass-verb", WORD_PASS_VERB, 0, WHERE_RELAY, "pass-verb NAME" },
	{ "pki", WORD_PKI, 0, WHERE_TOP,
	    "pki NAME cert \"FILE\" or pki NAME key \"FILE\"" },
	{ "plain", WORD_PLAIN, 0, WHERE_INSIDE, "" },
	{ "port", WORD_PORT, 0, WHERE_INSIDE, "" },
	{ "pregreet", WORD_PREGREET, 0, WHERE_RELAY,
	    "pregreet reject or pregreet allow" },
	{ "proxy-protocol", WORD_PROXY_PROTOCOL, 0, WHERE_INSIDE, "" },
	{ "proxy-v1", WORD_IDENTITY_KIND, CONF_IDENTITY_PROXY_V1, WHERE_INSIDE,
	    "" },
	{ "proxy-v2", WORD_IDENTITY_KIND, CONF_IDENTITY_PROXY_V2, WHERE_INSIDE,
	    "" },
	{ "reject", WORD_REJECT, 0, WHERE_INSIDE, "" },
	{ "relay", WORD_RELAY, 0, WHERE_TOP, "relay \"NAME\" {" },
	{ "reply", WORD_REPLY, 0, WHERE_INSIDE, "" },
	{ "reset", WORD_RESET, 0, WHERE_INSIDE, "" },
	{ "smtps", WORD_SMTPS, 0, WHERE_INSIDE, "" },
	{ "starttls", WORD_STARTTLS, 0, WHERE_RELAY, "starttls pass, starttls "
	    "hide or starttls terminate pki NAME ... [no-verify] [ca "
	    "\"FILE\"]" },
	{ "strict-newlines", WORD_STRICT_NEWLINES, 0, WHERE_RELAY,
	    "strict-newlines reject or strict-newlines normalize" },
	{ "table", WORD_TABLE, 0, WHERE_TOP, "table <NAME> { ADDRESS ... }" },
	{ "terminate", WORD_TERMINATE, 0, WHERE_INSIDE, "" },
	{ "timeout", WORD_TIMEOUT, 0, WHERE_BOTH, "timeout STAGE SECONDS" },
	{ "tls", WORD_TLS, 0, WHERE_INSIDE, "" },
	{ "tls-ciphers", WORD_TLS_CIPHERS, 0, WHERE_BOTH,
	    "tls-ciphers \"LIST\"" },
	{ "tls-protocols", WORD_TLS_PROTOCOLS, 0, WHERE_BOTH,
	    "tls-protocols { TLSv1.2 TLSv1.3 }" },
	{ "tls-require", WORD_TLS_REQUIRE, 0, WHERE_INSIDE, "" },
	{ "to", WORD_TO, 0, WHERE_INSIDE, "" },
	{ "trace", WORD_TRACE, 0, WHERE_INSIDE, "" },
	{ "transparent", WORD_TRANSPARENT, 0, WHERE_RELAY,
	    usage_forward },
	{ "user", WORD_USER, 0, WHERE_TOP, "user \"NAME\"" },
	{ "verify", WORD_VERIFY, 0, WHERE_INSIDE, "" },
	{ "workers", WORD_WORKERS, 0, WHERE_TOP, "workers NUMBER" },
	{ "xclient", WORD_IDENTITY_KIND, CONF_IDENTITY_XCLIENT, WHERE_INSIDE,
	    "" },
	{ "xforward", WORD_IDENTITY_KIND, CONF_IDENTITY_XFORWARD, WHERE_INSIDE,
	    "" },

	/* Words that a later version will need: none may be used now. */
	{ "block", WORD_BLOCK, 0, WHERE_BOTH, NULL },
	{ "match", WORD_LATER, 0, WHERE_BOTH, NULL },
	{ "pass", WORD_PASS, 0, WHERE_BOTH, NULL },
	{ "socket", WORD_LATER, 0, WHERE_BOTH, NULL }
};

static const char	expected_top[] = "NAME = VALUE, include, table, "
	    "relay, pki, workers, user, chroot, hostname, tls-protocols, "
	    "tls-ciphers, timeout or a limit";
static const char	expected_relay[] = "listen, forward, transparent, "
	    "bypass, starttls, identity, add-header, strict-newlines, "
	    "on-failure, mark, pregreet, pass-verb, auth-mechanisms, "
	    "tls-protocols, tls-ciphers, timeout, a limit or }";

const struct conf_keyword *
conf_keyword(const char *name)
{
	size_t	i;

	for (i = 0; i < sizeof(keywords) / sizeof(keywords[0]); i++)
		if (strcmp(name, keywords[i].name) == 0)
			return &keywords[i];
	return NULL;
}

/* The word at fault, as the admin wrote it. */
static void
syntax_describe(const struct conf_syntax *s, char *to, size_t size)
{
	if (s->text == NULL)
		(void)strlcpy(to, "end of file", size);
	else if (s->text[0] == '\n')
		(void)strlcpy(to, "end of line", size);
	else
		(void)snprintf(to, size, "\"%s\"", s->text);
}

/* The first word of a line is wrong there. */
static int
syntax_error_first(const struct conf_syntax *s, const char *what,
    const char *expected, struct conf_why *why)
{
	if (s->text == NULL)
		return conf_fail(why, "end of file in a block, expected }");
	if (s->keyword != NULL && s->keyword->where == WHERE_RELAY)
		return conf_fail(why, "%s outside a relay, expected %s", what,
		    expected);
	if (s->keyword != NULL && s->keyword->where == WHERE_TOP)
		return conf_fail(why, "%s inside a relay, expected %s", what,
		    expected);
	return conf_fail(why, "%s can't begin a line, expected %s", what,
	    expected);
}

int
conf_syntax_error(const struct conf_syntax *s, struct conf_why *why)
{
	const char	*expected;
	char		 what[128];

	syntax_describe(s, what, sizeof(what));
	expected = s->is_in_relay ? expected_relay : expected_top;
	/* block and pass begin a later version's lines, and end some now. */
	if (s->keyword != NULL && s->keyword->usage == NULL &&
	    (s->is_first || s->keyword->word == WORD_LATER))
		return conf_fail(why, "%s: not supported by this version",
		    s->text);
	if (s->is_first)
		return syntax_error_first(s, what, expected, why);
	if (s->statement != NULL && s->statement->usage != NULL &&
	    s->statement->usage[0] != '\0')
		return conf_fail(why, "unexpected %s, expected %s", what,
		    s->statement->usage);
	if (s->first[0] == '}')
		return conf_fail(why, "unexpected %s after }, expected the "
		    "end of the line", what);
	return conf_fail(why, "unexpected %s after \"%s\", expected %s", what,
	    s->first, expected);
}
