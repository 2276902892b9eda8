/*
 * The trace header that is put in front of a message, in the worker.  What a
 * peer chose (HELO, the subject of a certificate) stands in it as text that
 * has one reading only: no octet of it can end a line, a comment or a quoted
 * name, whichever of the three a reader looks for first.
 */

#include "smtp_identity.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "../common/strutil.h"

#define TRACE_LINE	78	/* RFC 5322 2.1.1 */
#define TRACE_INDENT	8
#define TRACE_TEXT_MAX	255	/* a name, written */
#define TRACE_SHORT_MAX	64	/* a name of ours, written */
/* Two quotes or an address and its brackets more, and the NUL. */
#define TRACE_WORD_MAX	(TRACE_TEXT_MAX + 3)

#define DAY_SECONDS	86400
#define LAST_SECOND	INT64_C(253402300799)	/* of the year 9999 */

/* What an atom can't have (RFC 5322 3.2.3), and our own escape. */
#define TRACE_SPECIALS	"()<>[]:;@\\,\"+"
/* What means something in a comment (3.2.2) or closes the quotes there. */
#define TRACE_IN_QUOTES	"()\\\"+"

/* The header as it grows; a word that does not fit begins the next line. */
struct trace {
	char	*p;			/* SMTP_TRACE_MAX octets */
	size_t	 used;
	size_t	 column;		/* octets in this line */
};

/* Every part has a limit, and all of them together stay below the size. */
static void
trace_put(struct trace *t, const char *text, size_t len)
{
	if (len > SMTP_TRACE_MAX - t->used)
		return;
	memcpy(t->p + t->used, text, len);
	t->used += len;
	t->column += len;
}

static void
trace_break(struct trace *t)
{
	trace_put(t, "\r\n        ", 2 + TRACE_INDENT);
	t->column = TRACE_INDENT;
}

static void
trace_word(struct trace *t, const char *word, size_t len)
{
	if (t->column > TRACE_INDENT) {
		if (t->column + 1 + len > TRACE_LINE)
			trace_break(t);
		else
			trace_put(t, " ", 1);
	}
	trace_put(t, word, len);
}

/* Words with one space between them, each of which may become a fold. */
static void
trace_words(struct trace *t, const char *text)
{
	size_t	len;

	for (;;) {
		len = strcspn(text, " ");
		trace_word(t, text, len);
		if (text[len] == '\0')
			return;
		text += len + 1;
	}
}

/*
 * May this octet of a name stand as it is?  Single spaces may where
 * has_spaces; two, or one at an end, would not survive a fold.
 */
static int
trace_is_plain(const char *text, size_t i, const char *special, int has_spaces)
{
	uint8_t	c = (uint8_t)text[i];

	if (c == ' ')
		return has_spaces && i > 0 && text[i - 1] != ' ' &&
		    text[i + 1] != ' ' && text[i + 1] != '\0';
	return c > 0x20 && c < 0x7f && strchr(special, c) == NULL;
}

/*
 * Text of others, cut at `max` octets as written; what may not stand as it is
 * becomes +XX, as in xtext.
 */
static size_t
trace_encode(char *to, size_t max, const char *text, const char *special,
    int has_spaces)
{
	char	unit[4];
	size_t	i, n, used = 0;

	for (i = 0; text[i] != '\0'; i++) {
		unit[0] = text[i];
		n = 1;
		if (!trace_is_plain(text, i, special, has_spaces))
			n = (size_t)snprintf(unit, sizeof(unit), "+%02X",
			    (uint8_t)text[i]);
		if (n > max - used)
			break;
		memcpy(to + used, unit, n);
		used += n;
	}
	to[used] = '\0';
	return used;
}

/* "[192.0.2.1]", "[IPv6:2001:db8::1]": brackets that are a pair. */
static int
trace_is_literal(const char *text)
{
	size_t	len = strlen(text);

	return len > 2 && len <= TRACE_TEXT_MAX && text[0] == '[' &&
	    strspn(text + 1, "0123456789abcdefghijklmnopqrstuvwxyz"
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZ.:-") == len - 2 &&
	    text[len - 1] == ']';
}

/* A name that another one chose; `max` is at most TRACE_TEXT_MAX. */
static void
trace_name(struct trace *t, const char *name, size_t max, const char *behind)
{
	char	word[TRACE_WORD_MAX];

	if (name == NULL || *name == '\0')
		name = "unknown";
	if (trace_is_literal(name))
		(void)strlcpy(word, name, sizeof(word));
	else
		(void)trace_encode(word, max, name, TRACE_SPECIALS, 0);
	(void)strlcat(word, behind, sizeof(word));
	trace_word(t, word, strlen(word));
}

/* RFC 5321 4.1.3: the address as the literal that the standard has. */
static void
trace_client(struct trace *t, const struct addr *client)
{
	char	host[ADDR_TEXT_MAX], word[ADDR_TEXT_MAX + 16];

	if (client->family != AF_INET && client->family != AF_INET6)
		(void)strlcpy(word, "(unknown)", sizeof(word));
	else
		(void)snprintf(word, sizeof(word), "([%s%s])",
		    client->family == AF_INET6 ? "IPv6:" : "",
		    smtp_identity_host(client, host));
	trace_word(t, word, strlen(word));
}

static void
trace_certificate(struct trace *t, const struct smtp_tls_facts *tls)
{
	char	quoted[TRACE_WORD_MAX];
	size_t	n;

	trace_words(t, "client certificate");
	if (tls->subject != NULL) {
		quoted[0] = '"';
		n = trace_encode(quoted + 1, TRACE_TEXT_MAX, tls->subject,
		    TRACE_IN_QUOTES, 1);
		quoted[n + 1] = '"';
		quoted[n + 2] = '\0';
		trace_words(t, quoted);
	}
	trace_words(t, tls->is_verified ? "verified)" : "not verified)");
}

static void
trace_tls(struct trace *t, const struct smtp_tls_facts *tls)
{
	int	has_certificate = tls->subject != NULL || tls->is_verified;

	if (tls->protocol == NULL)
		return;
	trace_break(t);
	trace_words(t, "(using");
	trace_name(t, tls->protocol, TRACE_SHORT_MAX, "");
	trace_words(t, "with cipher");
	trace_name(t, tls->cipher, TRACE_SHORT_MAX,
	    has_certificate ? ";" : ")");
	if (has_certificate)
		trace_certificate(t, tls);
}

/* RFC 3848 and RFC 6531 4.3; neither has a name for HELO over TLS. */
static const char *
trace_protocol(const struct smtp_identity_facts *facts, int is_esmtp,
    int is_utf8)
{
	int	is_tls = facts->tls.protocol != NULL;

	if (is_utf8)
		return is_tls ? "UTF8SMTPS" : "UTF8SMTP";
	if (!is_esmtp)
		return "SMTP";
	return is_tls ? "ESMTPS" : "ESMTP";
}

/* RFC 3848's "id": the numbers that our log has too. */
static void
trace_id(struct trace *t, const char *session, uint32_t message)
{
	char	word[TRACE_SHORT_MAX + 16];
	size_t	n;

	n = trace_encode(word, TRACE_SHORT_MAX, session, TRACE_SPECIALS, 0);
	(void)snprintf(word + n, sizeof(word) - n, ".%" PRIu32 ";", message);
	trace_word(t, word, strlen(word));
}

/* Wall clock now: a message's own, though only the start's is known. */
static int64_t
trace_now(const struct smtp_identity_facts *facts, int64_t now_ms)
{
	uint64_t	gone = 0;
	int64_t		start = facts->start_s;

	if (start < 0)
		start = 0;
	/* As unsigned numbers: of any two, the distance fits. */
	if (now_ms > facts->start_ms)
		gone = ((uint64_t)now_ms - (uint64_t)facts->start_ms) / 1000;
	if (start > LAST_SECOND || gone > (uint64_t)(LAST_SECOND - start))
		return LAST_SECOND;
	return start + (int64_t)gone;
}

static int
trace_is_leap(int year)
{
	return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

/*
 * RFC 5322 3.3, always in UTC and always of one length, since it is announced
 * in SIZE before it is known.  No gmtime(3): the engine calls nothing.
 */
static void
trace_date(struct trace *t, int64_t now)
{
	static const char	months[] =
	    "JanFebMarAprMayJunJulAugSepOctNovDec";
	static const char	weekdays[] = "ThuFriSatSunMonTueWed";
	static const int	month_days[] = {
		31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31
	};
	char			text[64];
	int			day = (int)(now / DAY_SECONDS);
	int			second = (int)(now % DAY_SECONDS);
	int			weekday = day % 7, year = 1970, month = 0, n;

	for (; day >= (n = trace_is_leap(year) ? 366 : 365); year++)
		day -= n;
	for (; day >= (n = month_days[month] +
	    (month == 1 && trace_is_leap(year))); month++)
		day -= n;
	(void)snprintf(text, sizeof(text),
	    "%.3s, %02d %.3s %04d %02d:%02d:%02d +0000",
	    weekdays + 3 * weekday, day + 1, months + 3 * month, year,
	    second / 3600, second / 60 % 60, second % 60);
	trace_words(t, text);
}

size_t
smtp_identity_trace(char *to, const struct smtp_identity_facts *facts,
    const char *helo, int is_esmtp, int is_utf8, uint32_t message,
    int64_t now_ms)
{
	struct trace	t = { to, 0, 0 };

	trace_put(&t, "Received:", 9);
	trace_words(&t, "from");
	trace_name(&t, helo, TRACE_TEXT_MAX, "");
	trace_client(&t, facts->client);
	trace_tls(&t, &facts->tls);
	trace_break(&t);
	trace_words(&t, "by");
	trace_name(&t, facts->hostname, TRACE_TEXT_MAX, "");
	trace_words(&t, "(smtpproxyd) with");
	trace_words(&t, trace_protocol(facts, is_esmtp, is_utf8));
	trace_words(&t, "id");
	trace_id(&t, facts->session, message);
	trace_break(&t);
	trace_date(&t, trace_now(facts, now_ms));
	trace_put(&t, "\r\n", 2);
	return t.used;
}
