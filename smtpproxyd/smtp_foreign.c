/*
 * What other protocols begin with, in the worker.  Part of the engine; reads
 * the client's octets and believes nothing else of them.
 */
#include "smtp_foreign.h"

#include <string.h>

#include "../common/strutil.h"

#define START(text)	text, sizeof(text) - 1

static const struct foreign_row {
	const char		*start;
	size_t			 len;
	enum smtp_foreign	 what;
} rows[] = {
	{ START("\x16"),		FOREIGN_TLS },
	{ START("SSH-"),		FOREIGN_SSH },
	{ START("PROXY TCP4"),		FOREIGN_PROXY },
	{ START("PROXY TCP6"),		FOREIGN_PROXY },
	{ START("PROXY UNKNOWN"),	FOREIGN_PROXY },
	{ START("\r\n\r\n\0"),		FOREIGN_PROXY },
	{ START("GET "),		FOREIGN_HTTP },
	{ START("POST "),		FOREIGN_HTTP },
	{ START("HEAD "),		FOREIGN_HTTP },
	{ START("PUT "),		FOREIGN_HTTP },
	{ START("DELETE "),		FOREIGN_HTTP },
	{ START("OPTIONS "),		FOREIGN_HTTP },
	{ START("CONNECT "),		FOREIGN_HTTP },
	{ START("TRACE "),		FOREIGN_HTTP },
	{ START("PATCH "),		FOREIGN_HTTP },
	{ START("PRI "),		FOREIGN_HTTP }	/* HTTP/2 */
};

static const struct foreign_text {
	const char	*name;
	const char	*reason;
	const char	*early;
} texts[FOREIGNS] = {
	[FOREIGN_NONE] = { "unknown", "not SMTP", "pregreet" },
	[FOREIGN_TLS] = { "TLS", "not SMTP: TLS", "pregreet: TLS" },
	[FOREIGN_HTTP] = { "HTTP", "not SMTP: HTTP", "pregreet: HTTP" },
	[FOREIGN_SSH] = { "SSH", "not SMTP: SSH", "pregreet: SSH" },
	[FOREIGN_PROXY] = { "a PROXY header", "not SMTP: PROXY header",
	    "pregreet: PROXY header" }
};

enum smtp_foreign
smtp_foreign_find(const uint8_t *in, size_t len)
{
	const struct foreign_row	*r;
	size_t				 i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		r = &rows[i];
		if (len < r->len)
			continue;
		/* Names are taken in any case, as SMTP's own are. */
		if (memcmp(in, r->start, r->len) == 0 ||
		    str_is_equal_nocase(in, r->len, r->start))
			return r->what;
	}
	return FOREIGN_NONE;
}

static const struct foreign_text *
foreign_text(enum smtp_foreign what)
{
	return &texts[(unsigned int)what < FOREIGNS ? what : FOREIGN_NONE];
}

const char *
smtp_foreign_name(enum smtp_foreign what)
{
	return foreign_text(what)->name;
}

const char *
smtp_foreign_reason(enum smtp_foreign what, int is_early)
{
	return is_early ? foreign_text(what)->early :
	    foreign_text(what)->reason;
}
