/*
 * EHLO filter: any text is survived; of a well-formed reply nothing comes out
 * that was not offered and allowed, what is said to have passed is what stands
 * there, and filtering twice changes nothing more.
 *
 * Input: eight octets of rules (three of what is removed, two each of the
 * limits, one that chooses the mechanisms), then the reply.
 */

#include "../../smtpproxyd/smtp_ehlo.h"

#include <strings.h>

#include "../../smtpproxyd/smtp_line.h"
#include "../../smtpproxyd/smtp_reply.h"
#include "fuzz.h"

#define RULES_LEN	8

static const char *const	words[] = {
	"SIZE", "8BITMIME", "SMTPUTF8", "PIPELINING", "CHUNKING",
	"BINARYMIME", "DSN", "ENHANCEDSTATUSCODES", "DELIVERBY", "REQUIRETLS",
	"MT-PRIORITY", "FUTURERELEASE", "LIMITS", "AUTH", "ETRN", "VRFY",
	"EXPN", "HELP", "STARTTLS"
};

static const char *const	some_mechs[] = { "GSSAPI", "X", NULL };

/* Bits in the order of the header are the order of the words above. */
static uint32_t
word_bit(const uint8_t *line, size_t len)
{
	uint32_t	i;

	for (i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (len >= strlen(words[i]) &&
		    strncasecmp((const char *)line, words[i],
		    strlen(words[i])) == 0 && (len == strlen(words[i]) ||
		    line[strlen(words[i])] == ' '))
			return 1U << i;
	return 0;
}

/* No mechanism that is not allowed. */
static void
check_auth(const struct smtp_ehlo_rules *rules, const uint8_t *line,
    size_t len)
{
	size_t	at = 4, n;

	HOLDS(len > 5);
	while (at < len) {
		HOLDS(line[at++] == ' ');
		for (n = 0; at + n < len && line[at + n] != ' '; n++)
			;
		HOLDS(n > 0 && smtp_ehlo_has_mech(rules, line + at, n));
		at += n;
	}
}

static void
check_limits(const struct smtp_ehlo_rules *rules, const uint8_t *line,
    size_t len)
{
	char	*text, *p;

	HOLDS(len > 7);
	if (rules->max_recipients == 0)
		return;
	if ((text = strndup((const char *)line, len)) == NULL)
		abort();
	for (p = text; (p = strchr(p, ' ')) != NULL; p++)
		if (strncasecmp(p, " RCPTMAX=", 9) == 0)
			HOLDS(strtoull(p + 9, NULL, 10) <=
			    rules->max_recipients);
	free(text);
}

/* Each line of the result; its keywords are `passed` and come once. */
static void
check_lines(const struct smtp_ehlo *ehlo, const struct smtp_ehlo_rules *rules,
    const uint8_t *text, size_t len)
{
	const uint8_t	*lf;
	uint32_t	 bit, seen = 0;
	size_t		 at, n;

	for (at = 0; at < len; at += n + 1) {
		lf = memchr(text + at, '\n', len - at);
		HOLDS(lf != NULL && lf > text + at + 4 && lf[-1] == '\r');
		n = (size_t)(lf - (text + at));
		HOLDS(memcmp(text + at, at + n + 1 < len ? "250-" : "250 ",
		    4) == 0);
		if (at == 0)
			continue;
		bit = word_bit(text + at + 4, n - 5);
		HOLDS(bit != 0 && (seen & bit) == 0);
		HOLDS((rules->remove & bit) == 0);
		if (bit == EHLO_AUTH)
			check_auth(rules, text + at + 4, n - 5);
		if (bit == EHLO_LIMITS)
			check_limits(rules, text + at + 4, n - 5);
		seen |= bit;
	}
	HOLDS(seen == ehlo->passed);
}

/* A filtered reply goes through unchanged; sizes are within the rules. */
static void
check_again(const struct smtp_ehlo *ehlo, const struct smtp_ehlo_rules *rules,
    struct buf *out)
{
	struct smtp_ehlo	again;
	struct buf		twice;

	buf_init(&twice, NULL, 2 * SMTP_REPLY_MAX);
	HOLDS(smtp_ehlo_filter(&again, rules, 0, buf_head(out), out->used,
	    &twice) == 0);
	HOLDS(twice.used == out->used);
	HOLDS(memcmp(buf_head(&twice), buf_head(out), out->used) == 0);
	HOLDS(again.passed == ehlo->passed && again.size == ehlo->size);
	buf_clear(&twice);
	HOLDS((ehlo->passed & ~ehlo->offered) == 0);
	HOLDS((ehlo->passed & rules->remove) == 0);
	if ((ehlo->passed & EHLO_SIZE) != 0 && rules->max_size != 0)
		HOLDS(ehlo->size != 0 && ehlo->size <= rules->max_size);
}

/* The text as one reply of code 250, when it is one. */
static int
read_reply(struct smtp_reply *r, const uint8_t *in, size_t len)
{
	struct smtp_line	 lines;
	enum smtp_reply_result	 got = SMTP_REPLY_MORE;
	const uint8_t		*line;
	size_t			 taken, n;

	smtp_reply_init(r);
	smtp_line_init(&lines, SMTP_REPLY_LINE_MAX, 1);
	for (; len > 0 && got == SMTP_REPLY_MORE; in += taken, len -= taken)
		if (smtp_line_feed(&lines, in, len, &taken, &line, &n) ==
		    SMTP_LINE_OK)
			got = smtp_reply_line(r, line, n, 1, 0);
	smtp_line_clear(&lines);
	return got == SMTP_REPLY_OK && r->code == 250;
}

int
LLVMFuzzerTestOneInput(const uint8_t *in, size_t len)
{
	struct smtp_ehlo_rules	rules;
	struct smtp_ehlo	ehlo;
	struct smtp_reply	r;
	struct buf		out;

	if (len < RULES_LEN)
		return 0;
	memset(&rules, 0, sizeof(rules));
	rules.remove = in[0] | (uint32_t)in[1] << 8 | (uint32_t)in[2] << 16;
	rules.max_size = in[3] | (uint64_t)in[4] << 8;
	rules.max_recipients = in[5] | (uint32_t)in[6] << 8;
	rules.auth_mechs = in[7] & 1 ? some_mechs : NULL;
	in += RULES_LEN;
	len -= RULES_LEN;

	buf_init(&out, NULL, 2 * SMTP_REPLY_MAX);
	if (len <= SMTP_REPLY_MAX)
		HOLDS(smtp_ehlo_filter(&ehlo, &rules, 0, in, len, &out) == 0);
	buf_clear(&out);
	if (read_reply(&r, in, len)) {
		HOLDS(smtp_ehlo_filter(&ehlo, &rules, 0, r.text, r.used,
		    &out) == 0);
		check_lines(&ehlo, &rules, buf_head(&out), out.used);
		check_again(&ehlo, &rules, &out);
		buf_clear(&out);
	}
	smtp_reply_clear(&r);
	return 0;
}
