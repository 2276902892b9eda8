#ifndef SMTP_EHLO_H
#define SMTP_EHLO_H

#include <stddef.h>
#include <stdint.h>

#include "../common/buf.h"

/*
 * Which extensions survive the proxy: an allow-list (DECISIONS, verbs and
 * EHLO keywords).  What the proxy does not know how to carry it does not
 * offer; unknown keywords are taken out.
 */
#define EHLO_SIZE		(1U << 0)
#define EHLO_8BITMIME		(1U << 1)
#define EHLO_SMTPUTF8		(1U << 2)
#define EHLO_PIPELINING		(1U << 3)
#define EHLO_CHUNKING		(1U << 4)
#define EHLO_BINARYMIME		(1U << 5)
#define EHLO_DSN		(1U << 6)
#define EHLO_ENHANCED		(1U << 7)
#define EHLO_DELIVERBY		(1U << 8)
#define EHLO_REQUIRETLS		(1U << 9)
#define EHLO_MT_PRIORITY	(1U << 10)
#define EHLO_FUTURERELEASE	(1U << 11)
#define EHLO_LIMITS		(1U << 12)
#define EHLO_AUTH		(1U << 13)
#define EHLO_ETRN		(1U << 14)
#define EHLO_VRFY		(1U << 15)
#define EHLO_EXPN		(1U << 16)
#define EHLO_HELP		(1U << 17)
#define EHLO_STARTTLS		(1U << 18)

/* What of it the relay allows, borrowed from the configuration. */
struct smtp_ehlo_rules {
	uint32_t	 remove;	/* EHLO_* that must not pass */
	uint64_t	 max_size;	/* 0: none */
	uint32_t	 max_recipients;	/* 0: none */
	/* NULL-terminated names; NULL: the built-in list (smtp_ehlo.c), in
	 * which no mechanism brings a security layer of its own (RFC 4422
	 * 3.7) or speaks of the connection below, as EXTERNAL does. */
	const char *const *auth_mechs;
};

/* What the destination offers and what passes. */
struct smtp_ehlo {
	uint32_t	offered;	/* EHLO_* in the destination's reply */
	uint32_t	passed;		/* and in ours */
	uint64_t	size;		/* of SIZE, as passed; 0: not said */
};

/*
 * Filter a complete 250 reply to EHLO (lines with CRLF, as smtp_reply has
 * them) into `out`, with the right '-' and ' ' behind the codes.  The first
 * line (greeting) passes as it is.  SIZE and LIMITS RCPTMAX go out as the
 * smaller of the destination's and ours; AUTH loses mechanisms that are not
 * allowed, and goes altogether when none is left.  Keywords: RFC 5321 4.1.1.1
 * syntax, any case; of two lines with the same keyword the first decides and
 * the second is taken out.  BINARYMIME goes with CHUNKING (RFC 3030 3).
 *   adds_starttls  ours is offered, whatever the destination's
 *   returns   0, or -1 when out has no memory, or no room for the text and 64
 *             octets more: then nothing was added
 */
int	smtp_ehlo_filter(struct smtp_ehlo *, const struct smtp_ehlo_rules *,
	    int adds_starttls, const uint8_t *text, size_t len,
	    struct buf *out);

/* EHLO_* in a complete 250 reply to EHLO. */
uint32_t smtp_ehlo_offered(const uint8_t *text, size_t len);
/*
 * What stands behind a keyword in such a reply (any case; the first such
 * line), borrowed from it: NULL when it is not there.
 */
const uint8_t	*smtp_ehlo_words(const uint8_t *text, size_t len,
		    const char *keyword, size_t *wordslen);

/* May a client's AUTH name this mechanism under the rules? */
int	smtp_ehlo_has_mech(const struct smtp_ehlo_rules *, const void *,
	    size_t);

#endif
