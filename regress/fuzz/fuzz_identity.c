/*
 * What is told of a client, whatever it calls itself: each command is one line
 * of words, each value is xtext of what it should be, the PROXY header is one
 * that our own parser and a reader of its TLVs take, the trace header has
 * lines, comments and a name that are as they should be.
 *
 * Input: flags (1: IPv6 client, 2: IPv6 local, 4: verified, 8: TLS, 16:
 * ESMTP, 32: SMTPUTF8), two octets of attributes, eight of now_ms; then HELO,
 * subject, name asked for and host name, each up to a NUL.
 */

#include "../../smtpproxyd/smtp_identity.h"

#include "../../smtpproxyd/smtp_proxy.h"
#include "fuzz.h"

#define HEAD	11

static int
hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	HOLDS(c >= 'A' && c <= 'F');
	return c - 'A' + 10;
}

/*
 * The value at `p`, up to a space or CR, is text with +XX in it, and that is
 * the beginning of `from`; all of it unless the value is nearly full.
 */
static void
check_encoded(const char *p, const char *from, const char *forbidden)
{
	size_t	len = strcspn(p, " \r"), i, n = 0;
	uint8_t	c;

	HOLDS(len <= 255);
	for (i = 0; i < len; i++, n++) {
		c = (uint8_t)p[i];
		HOLDS(c > 0x20 && c < 0x7f);
		HOLDS(strchr(forbidden, c) == NULL);
		if (c == '+') {
			HOLDS(len - i > 2);
			c = (uint8_t)(hex_value(p[i + 1]) * 16 +
			    hex_value(p[i + 2]));
			i += 2;
		}
		HOLDS(c == (uint8_t)from[n]);
	}
	HOLDS(from[n] == '\0' || len > 252);
}

/* One line; its words are NAME=value and no value has a '='. */
static void
check_line(const char *line, size_t len, const char *keyword)
{
	size_t	i, nwords = 0, nvalues = 0;

	HOLDS(len > 2 && len <= SMTP_IDENTITY_LINE);
	HOLDS(memcmp(line, keyword, strlen(keyword)) == 0);
	HOLDS(memcmp(line + len - 2, "\r\n", 2) == 0);
	for (i = 0; i < len - 2; i++) {
		HOLDS(line[i] >= 0x20 && line[i] <= 0x7e);
		nwords += line[i] == ' ';
		nvalues += line[i] == '=';
		HOLDS(line[i] != ' ' || (line[i + 1] >= 'A' &&
		    line[i + 1] <= 'Z'));
	}
	HOLDS(nwords == nvalues && nwords > 0);
}

static void
check_commands(const struct smtp_identity_facts *facts, uint32_t attrs,
    const char *helo, int is_esmtp)
{
	char	 line[SMTP_IDENTITY_LINE + 1];
	char	*value;
	size_t	 len;

	len = smtp_identity_xclient(line, facts, attrs);
	HOLDS((len > 0) == ((attrs & ATTR_ADDR) != 0));
	if (len > 0)
		check_line(line, len, "XCLIENT ");
	len = smtp_identity_xforward(line, facts, attrs, helo, is_esmtp, 7);
	if (len == 0)
		return;
	check_line(line, len, "XFORWARD ");
	line[len] = '\0';
	value = strstr(line, " HELO=");
	HOLDS((value != NULL) == ((attrs & ATTR_HELO) != 0));
	if (value != NULL && *helo != '\0')
		check_encoded(value + 6, helo, "=");
	if (attrs & ATTR_IDENT)
		HOLDS(strstr(line, " IDENT=0123456789abcdef.7") != NULL);
}

/* Lengths end where the header does; a name is the beginning of its text. */
static void
check_tlvs(const uint8_t *p, size_t len, const struct smtp_tls_facts *tls)
{
	const char	*name;
	size_t		 at, n;

	for (at = 0; at < len; at += 3 + n) {
		HOLDS(len - at >= 3);
		n = (size_t)p[at + 1] * 256 + p[at + 2];
		HOLDS(n <= len - at - 3);
		if (p[at] == 0x20) {
			HOLDS(n >= 5 && p[at + 3] & 1);
			HOLDS((p[at + 7] == 0) == (tls->is_verified != 0));
			n = 5;		/* go on inside of it */
			continue;
		}
		HOLDS(p[at] == 0x02 || (p[at] >= 0x21 && p[at] <= 0x23));
		HOLDS(p[at] != 0x22 || tls->is_verified);
		name = p[at] == 0x02 ? tls->sni : p[at] == 0x21 ?
		    tls->protocol : p[at] == 0x22 ? tls->subject : tls->cipher;
		HOLDS(n == strnlen(name, 255) &&
		    memcmp(p + at + 3, name, n) == 0);
	}
}

static void
check_proxy(const struct smtp_identity_facts *facts)
{
	struct smtp_proxy	proxy;
	uint8_t			out[SMTP_PROXY_MAX];
	size_t			len, block;

	len = smtp_identity_proxy_v2(out, facts);
	HOLDS(len <= sizeof(out));
	HOLDS(smtp_proxy_parse(&proxy, out, len) == PROXY_OK);
	HOLDS(proxy.len == len && proxy.client.port == facts->client->port);
	block = proxy.client.family == AF_INET ? 12 : 36;
	check_tlvs(out + 16 + block, len - 16 - block, &facts->tls);
	len = smtp_identity_proxy_v1((char *)out, facts);
	HOLDS(smtp_proxy_parse(&proxy, out, len) == PROXY_OK);
	HOLDS(proxy.len == len && proxy.local.port == facts->local->port);
}

/* The next line: where it ends, and the depth of comments behind it. */
static size_t
trace_line(const char *text, size_t len, size_t at, int *depth)
{
	const char	*lf = memchr(text + at, '\n', len - at);
	size_t		 n, i;

	HOLDS(lf != NULL && lf > text + at && lf[-1] == '\r');
	n = (size_t)(lf - (text + at)) - 1;
	HOLDS(n > 8 && n <= 998 && text[at + n - 1] != ' ');
	if (at > 0)
		HOLDS(memcmp(text + at, "        ", 8) == 0 &&
		    text[at + 8] != ' ');
	HOLDS(n <= 78 || memchr(text + at + 8, ' ', n - 8) == NULL);
	for (i = at; i < at + n; i++) {
		HOLDS(text[i] >= 0x20 && text[i] <= 0x7e && text[i] != '\\');
		*depth += (text[i] == '(') - (text[i] == ')');
		HOLDS(*depth >= 0 && *depth <= 1);
	}
	return at + n + 2;
}

static void
check_trace(const struct smtp_identity_facts *facts, const char *helo,
    int is_esmtp, int is_utf8, int64_t now_ms)
{
	char	 text[SMTP_TRACE_MAX + 1], *p;
	size_t	 len, at = 0, nquotes = 0;
	int	 depth = 0;

	len = smtp_identity_trace(text, facts, helo, is_esmtp, is_utf8, 7, 0);
	HOLDS(len <= SMTP_TRACE_MAX);
	HOLDS(smtp_identity_trace(text, facts, helo, is_esmtp, is_utf8, 7,
	    now_ms) == len);
	text[len] = '\0';
	HOLDS(strlen(text) == len);
	while (at < len)
		at = trace_line(text, len, at, &depth);
	HOLDS(depth == 0);
	for (p = text; *p != '\0'; p++)
		nquotes += *p == '"';
	HOLDS(nquotes == (facts->tls.protocol != NULL ? 2 : 0));
	HOLDS(strcmp(text + len - 8, " +0000\r\n") == 0);
	p = text + strlen("Received: from");
	p += strspn(p, " \r\n");
	if (*helo != '\0' && *p != '[')
		check_encoded(p, helo, "()<>[]:;@\\,\"");
	else if (*p == '[')
		HOLDS(strncmp(p, helo, strcspn(p, " \r")) == 0 &&
		    strcspn(p, "]") + 1 == strcspn(p, " \r"));
}

/* The next text, which is cut off the input. */
static const char *
next_text(char **rest, const char *end)
{
	char	*text = *rest;

	*rest += strlen(text);
	if (*rest < end)
		++*rest;
	return text;
}

/* Any text as a session's, from octets that a peer chose. */
static void
check_all(const uint8_t *head, char *rest, const char *end)
{
	struct smtp_identity_facts	facts = { 0 };
	struct addr			client = { 0 }, local = { 0 };
	const char			*helo, *subject;
	uint32_t			attrs;
	int64_t				now_ms;
	int				flags = head[0];

	attrs = head[1] * 256U + head[2];
	memcpy(&now_ms, head + 3, sizeof(now_ms));
	HOLDS(addr_parse(&client, flags & 1 ? "fe80::1%3" : "192.0.2.1") == 0);
	HOLDS(addr_parse(&local, flags & 2 ? "::1" : "198.51.100.2") == 0);
	client.port = (uint16_t)(attrs & 0xffff);
	local.port = 25;
	facts.client = &client;
	facts.local = &local;
	facts.session = "0123456789abcdef";
	helo = next_text(&rest, end);
	subject = next_text(&rest, end);
	facts.tls.sni = next_text(&rest, end);
	facts.hostname = next_text(&rest, end);
	if (flags & 8) {
		facts.tls.protocol = "TLSv1.3";
		facts.tls.cipher = "TLS_AES_256_GCM_SHA384";
		facts.tls.subject = subject;
		facts.tls.is_verified = (flags & 4) != 0;
	}
	facts.start_s = 1795537565;
	check_commands(&facts, attrs, helo, flags & 16);
	check_proxy(&facts);
	check_trace(&facts, helo, flags & 16, flags & 32, now_ms);
}

int
LLVMFuzzerTestOneInput(const uint8_t *in, size_t len)
{
	char	*text;

	(void)smtp_identity_attrs(in, len);
	if (len < HEAD)
		return 0;
	if ((text = malloc(len - HEAD + 1)) == NULL)
		abort();
	memcpy(text, in + HEAD, len - HEAD);
	text[len - HEAD] = '\0';
	check_all(in, text, text + (len - HEAD));
	free(text);
	return 0;
}
