/*
 * The EHLO reply of a destination on its way to the client, in the worker.
 * What the client is told is what it may use, so a keyword passes only when
 * the proxy can carry all that it allows; the destination is not trusted to
 * offer nothing else, nor to write its lines well.
 */

#include "smtp_ehlo.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "../common/strutil.h"

/*
 * Octets by which a reply can grow: "SIZE" may get a number of ours, nothing
 * else gets longer, save a lone "250" that gets its space.
 */
#define EHLO_GROWTH	64

static const struct ehlo_keyword {
	const char	*name;
	uint32_t	 bit;
} keywords[] = {
	{ "SIZE",		EHLO_SIZE },		/* RFC 1870 */
	{ "8BITMIME",		EHLO_8BITMIME },	/* RFC 6152 */
	{ "SMTPUTF8",		EHLO_SMTPUTF8 },	/* RFC 6531 */
	{ "PIPELINING",		EHLO_PIPELINING },	/* RFC 2920 */
	{ "CHUNKING",		EHLO_CHUNKING },	/* RFC 3030 */
	{ "BINARYMIME",		EHLO_BINARYMIME },	/* RFC 3030 */
	{ "DSN",		EHLO_DSN },		/* RFC 3461 */
	{ "ENHANCEDSTATUSCODES", EHLO_ENHANCED },	/* RFC 2034 */
	{ "DELIVERBY",		EHLO_DELIVERBY },	/* RFC 2852 */
	{ "REQUIRETLS",		EHLO_REQUIRETLS },	/* RFC 8689 */
	{ "MT-PRIORITY",	EHLO_MT_PRIORITY },	/* RFC 6710 */
	{ "FUTURERELEASE",	EHLO_FUTURERELEASE },	/* RFC 4865 */
	{ "LIMITS",		EHLO_LIMITS },		/* RFC 9422 */
	{ "AUTH",		EHLO_AUTH },		/* RFC 4954 */
	{ "ETRN",		EHLO_ETRN },		/* RFC 1985 */
	{ "VRFY",		EHLO_VRFY },		/* RFC 5321 */
	{ "EXPN",		EHLO_EXPN },
	{ "HELP",		EHLO_HELP },
	{ "STARTTLS",		EHLO_STARTTLS },	/* RFC 3207 */
};

/*
 * Mechanisms that end with the exchange.  Not here:
 *   - what can negotiate a security layer (RFC 4422 3.7), behind which the
 *     session is opaque to us: GSSAPI, GSS-SPNEGO, DIGEST-MD5, KERBEROS_V4,
 *     SRP, PASSDSS-3DES-1
 *   - EXTERNAL: it means who the connection below says we are, and that is
 *     the proxy's certificate or address and not the client's
 *   - the -PLUS forms: they bind to the destination's TLS channel, which is
 *     not the client's (RFC 5802 6), so they would fail each time
 * NTLM has signing and sealing elsewhere; in SMTP it is authentication only
 * (MS-SMTPNTLM).
 */
static const char *const auth_mechs[] = {
	"PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-1", "SCRAM-SHA-224",
	"SCRAM-SHA-256", "SCRAM-SHA-384", "SCRAM-SHA-512", "SCRAM-SHA3-512",
	"OAUTHBEARER", "XOAUTH2", "ANONYMOUS", "OTP", "NTLM", NULL
};

/* What is left of a line, or of a reply, to be read. */
struct ehlo_text {
	const uint8_t	*p;
	size_t		 len;
};

/* Where a reply is written: room enough is sure (EHLO_GROWTH). */
struct ehlo_out {
	uint8_t	*p;
	size_t	 used;
	size_t	 last;			/* place behind the last line's code */
};

int
smtp_ehlo_has_mech(const struct smtp_ehlo_rules *rules, const void *name,
    size_t len)
{
	const char *const	*mech = rules->auth_mechs;

	for (mech = mech == NULL ? auth_mechs : mech; *mech != NULL; mech++)
		if (str_is_equal_nocase(name, len, *mech))
			return 1;
	return 0;
}

/* The next line without CRLF and code; 0 at the end. */
static int
ehlo_next_line(struct ehlo_text *reply, struct ehlo_text *line)
{
	const uint8_t	*lf;
	size_t		 n;

	if ((lf = memchr(reply->p, '\n', reply->len)) == NULL)
		return 0;
	n = (size_t)(lf - reply->p);
	line->p = reply->p;
	line->len = n > 0 && lf[-1] == '\r' ? n - 1 : n;
	reply->p += n + 1;
	reply->len -= n + 1;
	n = line->len < 4 ? line->len : 4;
	line->p += n;
	line->len -= n;
	return 1;
}

/* The next word of a line, 0 when there is none. */
static int
ehlo_next_word(struct ehlo_text *line, struct ehlo_text *word)
{
	while (line->len > 0 && *line->p == ' ') {
		line->p++;
		line->len--;
	}
	word->p = line->p;
	while (line->len > 0 && *line->p != ' ') {
		line->p++;
		line->len--;
	}
	word->len = (size_t)(line->p - word->p);
	return word->len > 0;
}

/*
 * The bit of a line's keyword; 0 for one that is not in the list, which is
 * also every one that is none by its syntax.  A keyword stands at the start.
 */
static uint32_t
ehlo_bit(const struct ehlo_text *line)
{
	struct ehlo_text	rest = *line, word;
	size_t			i;

	if (rest.len == 0 || *rest.p == ' ')
		return 0;
	(void)ehlo_next_word(&rest, &word);
	for (i = 0; i < sizeof(keywords) / sizeof(keywords[0]); i++)
		if (str_is_equal_nocase(word.p, word.len, keywords[i].name))
			return keywords[i].bit;
	return 0;
}

static void
ehlo_put(struct ehlo_out *out, const void *octets, size_t len)
{
	memcpy(out->p + out->used, octets, len);
	out->used += len;
}

/* Every line is begun as one that others follow; the end corrects the last. */
static void
ehlo_begin_line(struct ehlo_out *out)
{
	ehlo_put(out, "250-", 4);
	out->last = out->used - 1;
}

static void
ehlo_put_number(struct ehlo_out *out, uint64_t value)
{
	char	text[24];
	int	n;

	n = snprintf(text, sizeof(text), "%" PRIu64, value);
	ehlo_put(out, text, (size_t)n);
}

/* The smaller of two limits, of which 0 is none. */
static uint64_t
ehlo_smaller(uint64_t a, uint64_t b)
{
	if (a == 0 || (b != 0 && b < a))
		return b;
	return a;
}

/*
 * RFC 1870 4: "SIZE", "SIZE 0" (no limit) or "SIZE n".  One that can't be read
 * says no more than the bare keyword does.
 */
static void
ehlo_put_size(struct ehlo_out *out, struct smtp_ehlo *ehlo,
    const struct smtp_ehlo_rules *rules, struct ehlo_text line)
{
	struct ehlo_text	word;
	uint64_t		theirs = 0;
	int			is_said;

	(void)ehlo_next_word(&line, &word);
	is_said = ehlo_next_word(&line, &word) &&
	    str_to_u64(word.p, word.len, UINT64_MAX, &theirs) == 0;
	ehlo->size = ehlo_smaller(theirs, rules->max_size);
	ehlo_begin_line(out);
	ehlo_put(out, "SIZE", 4);
	if (is_said || ehlo->size != 0) {
		ehlo_put(out, " ", 1);
		ehlo_put_number(out, ehlo->size);
	}
	ehlo_put(out, "\r\n", 2);
}

/* Mechanisms that are allowed; without one there is no line. */
static void
ehlo_put_auth(struct ehlo_out *out, struct smtp_ehlo *ehlo,
    const struct smtp_ehlo_rules *rules, struct ehlo_text line)
{
	struct ehlo_text	word;
	int			is_begun = 0;

	(void)ehlo_next_word(&line, &word);
	while (ehlo_next_word(&line, &word)) {
		if (!smtp_ehlo_has_mech(rules, word.p, word.len))
			continue;
		if (!is_begun) {
			ehlo_begin_line(out);
			ehlo_put(out, "AUTH", 4);
		}
		is_begun = 1;
		ehlo_put(out, " ", 1);
		ehlo_put(out, word.p, word.len);
	}
	if (is_begun)
		ehlo_put(out, "\r\n", 2);
	else
		ehlo->passed &= ~EHLO_AUTH;
}

/* One limit of RFC 9422; 0 for one that says nothing. */
static int
ehlo_read_limit(const struct smtp_ehlo_rules *rules,
    const struct ehlo_text *word, uint64_t *rcptmax)
{
	*rcptmax = 0;
	if (word->len < 8 || !str_is_equal_nocase(word->p, 8, "RCPTMAX="))
		return 1;
	if (str_to_u64(word->p + 8, word->len - 8, UINT64_MAX, rcptmax) == -1 ||
	    *rcptmax == 0)
		return 0;
	*rcptmax = ehlo_smaller(*rcptmax, rules->max_recipients);
	return 1;
}

/*
 * RFC 9422 3: "LIMITS name=value ...".  Only RCPTMAX is ours as well; one that
 * can't be read is left out, so that no client relies on it.
 */
static void
ehlo_put_limits(struct ehlo_out *out, struct smtp_ehlo *ehlo,
    const struct smtp_ehlo_rules *rules, struct ehlo_text line)
{
	struct ehlo_text	word;
	uint64_t		rcptmax;
	int			is_begun = 0;

	(void)ehlo_next_word(&line, &word);
	while (ehlo_next_word(&line, &word)) {
		if (!ehlo_read_limit(rules, &word, &rcptmax))
			continue;
		if (!is_begun) {
			ehlo_begin_line(out);
			ehlo_put(out, "LIMITS", 6);
		}
		is_begun = 1;
		ehlo_put(out, " ", 1);
		ehlo_put(out, word.p, rcptmax == 0 ? word.len : 8);
		if (rcptmax != 0)
			ehlo_put_number(out, rcptmax);
	}
	if (is_begun)
		ehlo_put(out, "\r\n", 2);
	else
		ehlo->passed &= ~EHLO_LIMITS;
}

static void
ehlo_put_line(struct ehlo_out *out, struct smtp_ehlo *ehlo,
    const struct smtp_ehlo_rules *rules, uint32_t bit,
    const struct ehlo_text *line)
{
	switch (bit) {
	case EHLO_SIZE:
		ehlo_put_size(out, ehlo, rules, *line);
		break;
	case EHLO_AUTH:
		ehlo_put_auth(out, ehlo, rules, *line);
		break;
	case EHLO_LIMITS:
		ehlo_put_limits(out, ehlo, rules, *line);
		break;
	default:
		ehlo_begin_line(out);
		ehlo_put(out, line->p, line->len);
		ehlo_put(out, "\r\n", 2);
		break;
	}
}

/* The first line is a greeting. */
uint32_t
smtp_ehlo_offered(const uint8_t *text, size_t len)
{
	struct ehlo_text	reply = { text, len }, line;
	uint32_t		offered = 0;

	(void)ehlo_next_line(&reply, &line);
	while (ehlo_next_line(&reply, &line))
		offered |= ehlo_bit(&line);
	return offered;
}

const uint8_t *
smtp_ehlo_words(const uint8_t *text, size_t len, const char *keyword,
    size_t *wordslen)
{
	struct ehlo_text	reply = { text, len }, line, word;

	(void)ehlo_next_line(&reply, &line);
	while (ehlo_next_line(&reply, &line)) {
		if (line.len == 0 || *line.p == ' ')
			continue;
		(void)ehlo_next_word(&line, &word);
		if (!str_is_equal_nocase(word.p, word.len, keyword))
			continue;
		*wordslen = line.len;
		return line.p;
	}
	return NULL;
}

int
smtp_ehlo_filter(struct smtp_ehlo *ehlo, const struct smtp_ehlo_rules *rules,
    int adds_starttls, const uint8_t *text, size_t len, struct buf *to)
{
	struct ehlo_text	reply = { text, len }, line;
	struct ehlo_out		out = { NULL, 0, 0 };
	uint32_t		left, bit;
	size_t			size;

	memset(ehlo, 0, sizeof(*ehlo));
	ehlo->offered = smtp_ehlo_offered(text, len);
	ehlo->passed = ehlo->offered & ~rules->remove;
	/* RFC 3030 3: binary content can come by BDAT only. */
	if ((ehlo->passed & EHLO_CHUNKING) == 0)
		ehlo->passed &= ~EHLO_BINARYMIME;
	if ((out.p = buf_reserve(to, len + EHLO_GROWTH, &size)) == NULL)
		return -1;

	if (!ehlo_next_line(&reply, &line))
		line.len = 0;
	ehlo_put_line(&out, ehlo, rules, 0, &line);
	if (adds_starttls) {
		ehlo->passed &= ~EHLO_STARTTLS;
		line.p = (const uint8_t *)"STARTTLS";
		line.len = 8;
		ehlo_put_line(&out, ehlo, rules, 0, &line);
	}
	left = ehlo->passed;
	if (adds_starttls)
		ehlo->passed |= EHLO_STARTTLS;
	while (ehlo_next_line(&reply, &line)) {
		if ((bit = ehlo_bit(&line) & left) == 0)
			continue;
		left &= ~bit;
		ehlo_put_line(&out, ehlo, rules, bit, &line);
	}
	out.p[out.last] = ' ';
	buf_grew(to, out.used);
	return 0;
}
