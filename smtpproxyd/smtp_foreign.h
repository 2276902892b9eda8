#ifndef SMTP_FOREIGN_H
#define SMTP_FOREIGN_H

#include <stddef.h>
#include <stdint.h>

/*
 * Other protocols that come to an SMTP port: by mistake (TLS from the first
 * octet, as on port 465), by configuration (a PROXY header that nobody here
 * asked for), or by attack (a web page that makes a browser send a form with
 * commands of SMTP in it; ALPACA and its kin).  Each is known by its start.
 */
enum smtp_foreign {
	FOREIGN_NONE = 0,
	FOREIGN_TLS,		/* RFC 8446 5.1: a handshake record */
	FOREIGN_HTTP,		/* RFC 9110 9: a method and its argument */
	FOREIGN_SSH,		/* RFC 4253 4.2 */
	FOREIGN_PROXY,		/* HAProxy's PROXY protocol, v1 or v2 */
	FOREIGNS
};

/* No line of SMTP begins with it: type of a TLS handshake record. */
#define FOREIGN_TLS_OCTET	0x16

/*
 * What do these octets begin like?  They are a line without its end, or the
 * first octets of a connection; borrowed.
 */
enum smtp_foreign	smtp_foreign_find(const uint8_t *, size_t);

/* For the log and the reply: "HTTP". */
const char	*smtp_foreign_name(enum smtp_foreign);
/* Why the session ends: "not SMTP: HTTP", or "pregreet: HTTP". */
const char	*smtp_foreign_reason(enum smtp_foreign, int is_early);

#endif
