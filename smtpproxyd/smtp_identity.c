/*
 * XCLIENT and XFORWARD, in the worker: who the client is, in a command to a
 * destination that believes it.  HELO is the client's own text, and is written
 * so that no octet of it can end a value, the command or the line.
 */

#include "smtp_identity.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "../common/strutil.h"

#define IDENTITY_VALUE_MAX	255	/* XCLIENT_README, XFORWARD_README */
#define IDENTITY_SESSION_MAX	32
#define IDENTITY_UNKNOWN	"[UNAVAILABLE]"

static const struct identity_attr {
	const char	*name;
	uint32_t	 bit;
} identity_attr_names[] = {
	{ "NAME",	ATTR_NAME },
	{ "ADDR",	ATTR_ADDR },
	{ "PORT",	ATTR_PORT },
	{ "PROTO",	ATTR_PROTO },
	{ "HELO",	ATTR_HELO },
	{ "LOGIN",	ATTR_LOGIN },
	{ "DESTADDR",	ATTR_DESTADDR },
	{ "DESTPORT",	ATTR_DESTPORT },
	{ "IDENT",	ATTR_IDENT },
	{ "SOURCE",	ATTR_SOURCE },
};

/* A command as it grows; only its attributes that are in `attrs` go in. */
struct identity_line {
	char		*p;		/* SMTP_IDENTITY_LINE octets */
	size_t		 used;
	uint32_t	 attrs;
};

static uint32_t
identity_attr_bit(const uint8_t *word, size_t len)
{
	size_t	i, n = sizeof(identity_attr_names) /
		    sizeof(identity_attr_names[0]);

	for (i = 0; i < n; i++)
		if (str_is_equal_nocase(word, len,
		    identity_attr_names[i].name))
			return identity_attr_names[i].bit;
	return 0;
}

uint32_t
smtp_identity_attrs(const void *words, size_t len)
{
	const uint8_t	*p = words;
	uint32_t	 attrs = 0;
	size_t		 at, start;

	for (at = 0; at < len; at++) {
		start = at;
		while (at < len && p[at] != ' ')
			at++;
		attrs |= identity_attr_bit(p + start, at - start);
	}
	return attrs;
}

size_t
smtp_identity_xtext(char *to, size_t max, const void *from, size_t len)
{
	static const char	 hex[] = "0123456789ABCDEF";
	const uint8_t		*p = from;
	size_t			 i, n, used = 0;

	for (i = 0; i < len; i++) {
		n = p[i] < 0x21 || p[i] > 0x7e || p[i] == '+' ||
		    p[i] == '=' ? 3 : 1;
		if (n > max - used)
			break;
		if (n == 1)
			to[used++] = (char)p[i];
		else {
			to[used++] = '+';
			to[used++] = hex[p[i] >> 4];
			to[used++] = hex[p[i] & 0x0f];
		}
	}
	to[used] = '\0';
	return used;
}

const char *
smtp_identity_host(const struct addr *addr, char *text)
{
	struct addr	host = *addr;

	host.scope = 0;
	return addr_text_host(&host, text);
}

/* The values are all short: a line has room for one of each. */
static void
identity_put(struct identity_line *line, const char *text)
{
	size_t	len = strlen(text);

	if (len > SMTP_IDENTITY_LINE - line->used)
		return;
	memcpy(line->p + line->used, text, len);
	line->used += len;
}

/* An empty value would be a syntax error there. */
static void
identity_put_value(struct identity_line *line, uint32_t bit, const char *value)
{
	size_t	i;

	if ((line->attrs & bit) == 0)
		return;
	for (i = 0; identity_attr_names[i].bit != bit; i++)
		continue;
	identity_put(line, " ");
	identity_put(line, identity_attr_names[i].name);
	identity_put(line, "=");
	identity_put(line, *value == '\0' ? IDENTITY_UNKNOWN : value);
}

static void
identity_put_endpoint(struct identity_line *line, const struct addr *addr,
    uint32_t addr_bit, uint32_t port_bit)
{
	char	host[ADDR_TEXT_MAX], value[ADDR_TEXT_MAX + 8] = "";

	if (addr->family == AF_INET || addr->family == AF_INET6)
		(void)snprintf(value, sizeof(value), "%s%s",
		    addr->family == AF_INET6 ? "IPV6:" : "",
		    smtp_identity_host(addr, host));
	identity_put_value(line, addr_bit, value);
	value[0] = '\0';
	if (addr->port != 0)
		(void)snprintf(value, sizeof(value), "%u",
		    (unsigned int)addr->port);
	identity_put_value(line, port_bit, value);
}

size_t
smtp_identity_xclient(char *to, const struct smtp_identity_facts *facts,
    uint32_t attrs)
{
	struct identity_line	line = { to, 0, attrs };

	if ((attrs & ATTR_ADDR) == 0)
		return 0;
	identity_put(&line, "XCLIENT");
	identity_put_value(&line, ATTR_NAME, IDENTITY_UNKNOWN);
	identity_put_endpoint(&line, facts->client, ATTR_ADDR, ATTR_PORT);
	identity_put_endpoint(&line, facts->local, ATTR_DESTADDR,
	    ATTR_DESTPORT);
	identity_put(&line, "\r\n");
	return line.used;
}

size_t
smtp_identity_xforward(char *to, const struct smtp_identity_facts *facts,
    uint32_t attrs, const char *helo, int is_esmtp, uint32_t message)
{
	struct identity_line	line = { to, 0, attrs };
	char			value[IDENTITY_VALUE_MAX + 1] = "";
	size_t			n;

	if ((attrs & (ATTR_NAME | ATTR_ADDR | ATTR_PORT | ATTR_PROTO |
	    ATTR_HELO | ATTR_IDENT | ATTR_SOURCE)) == 0)
		return 0;
	identity_put(&line, "XFORWARD");
	identity_put_value(&line, ATTR_NAME, IDENTITY_UNKNOWN);
	identity_put_endpoint(&line, facts->client, ATTR_ADDR, ATTR_PORT);
	identity_put_value(&line, ATTR_PROTO, is_esmtp ? "ESMTP" : "SMTP");
	if (helo != NULL)
		(void)smtp_identity_xtext(value, IDENTITY_VALUE_MAX, helo,
		    strlen(helo));
	identity_put_value(&line, ATTR_HELO, value);
	n = smtp_identity_xtext(value, IDENTITY_SESSION_MAX, facts->session,
	    strlen(facts->session));
	(void)snprintf(value + n, sizeof(value) - n, ".%" PRIu32, message);
	identity_put_value(&line, ATTR_IDENT, value);
	identity_put_value(&line, ATTR_SOURCE, "REMOTE");
	identity_put(&line, "\r\n");
	return line.used;
}
