#ifndef SMTP_IDENTITY_H
#define SMTP_IDENTITY_H

#include <stddef.h>
#include <stdint.h>

#include "../common/addr.h"

/*
 * Who the client is, as a destination that is to know it is told: XCLIENT and
 * XFORWARD (Postfix's XCLIENT_README and XFORWARD_README), the PROXY protocol
 * (haproxy's proxy-protocol.txt), and the trace header.  Pure text; nothing
 * that a peer said can end a line, a word or a value.  Part of the engine.
 */
enum smtp_identity {
	IDENTITY_NONE = 0,
	IDENTITY_XCLIENT,
	IDENTITY_XFORWARD,
	IDENTITY_PROXY_V1,
	IDENTITY_PROXY_V2
};

/* Facts of a connection's TLS; strings are borrowed, NULL: not known. */
struct smtp_tls_facts {
	const char	*protocol;	/* "TLSv1.3"; NULL: no TLS */
	const char	*cipher;	/* "TLS_AES_256_GCM_SHA384" */
	const char	*sni;		/* name that was asked for */
	const char	*subject;	/* of the peer's certificate */
	const char	*verify;	/* "ok", "none", or why not */
	int		 is_verified;
};

/* Borrowed for the session's life. */
struct smtp_identity_facts {
	const struct addr	*client;
	const struct addr	*local;		/* where it connected to */
	const char		*session;	/* 16 hex digits */
	const char		*hostname;	/* ours */
	int64_t			 start_s;	/* wall clock at start_ms */
	int64_t			 start_ms;
	struct smtp_tls_facts	 tls;		/* of the client's side */
};

/* Attributes that a destination's EHLO reply lists behind the keyword. */
#define ATTR_NAME	(1U << 0)
#define ATTR_ADDR	(1U << 1)
#define ATTR_PORT	(1U << 2)
#define ATTR_PROTO	(1U << 3)
#define ATTR_HELO	(1U << 4)
#define ATTR_LOGIN	(1U << 5)
#define ATTR_DESTADDR	(1U << 6)
#define ATTR_DESTPORT	(1U << 7)
#define ATTR_IDENT	(1U << 8)
#define ATTR_SOURCE	(1U << 9)

/*
 * "NAME ADDR PORT": the words of such a line behind the keyword, any case;
 * those that we don't know are left out.
 */
uint32_t	smtp_identity_attrs(const void *, size_t);

/*
 * xtext (RFC 3461 4): every octet outside 0x21 to 0x7e, and '+' and '=', is
 * written as +XX.  Cut where it would be longer than max octets, never inside
 * of one.  Returns octets written, without a NUL; to has room for max + 1 and
 * gets one.  Never more than max.
 */
size_t	smtp_identity_xtext(char *to, size_t max, const void *, size_t);

/*
 * As addr_text_host(), without the scope: the number of an interface here
 * means nothing elsewhere.
 */
const char	*smtp_identity_host(const struct addr *, char *);

#define SMTP_IDENTITY_LINE	512	/* with CRLF (XCLIENT_README) */

/*
 * The XCLIENT command, CRLF included, with what of NAME ADDR PORT DESTADDR
 * DESTPORT is in attrs; NAME is [UNAVAILABLE], an IPv6 address has "IPV6:" in
 * front.  Always one line of at most SMTP_IDENTITY_LINE octets.
 *   returns   octets, 0: ADDR is not in attrs, which makes it useless
 */
size_t	smtp_identity_xclient(char *to, const struct smtp_identity_facts *,
	    uint32_t attrs);

/*
 * The XFORWARD command likewise, of NAME ADDR PORT PROTO HELO IDENT SOURCE:
 * PROTO is SMTP or ESMTP; HELO may be NULL or empty ([UNAVAILABLE]) and is cut
 * at 255 octets of xtext; IDENT is the session and the number, SOURCE is
 * REMOTE.
 *   returns   octets, 0: none of them is in attrs
 */
size_t	smtp_identity_xforward(char *to, const struct smtp_identity_facts *,
	    uint32_t attrs, const char *helo, int is_esmtp, uint32_t message);

/*
 * PROXY protocol, the first octets of a connection.  Version 1: one line
 * (TCP4, TCP6).  Version 2: PROXY, STREAM; with TLS facts the SSL TLV:
 * verify 0 and the certificate bits where a certificate was verified,
 * sub-TLVs version, cipher, CN (the subject, only of a verified one; cut at
 * 255 octets), and AUTHORITY (the name asked for, cut at 255).  Where the
 * families differ the IPv4 address is written as a v4-mapped one; where an
 * end has no address the header says so (UNKNOWN, AF_UNSPEC).
 *   returns   octets; never more than SMTP_PROXY_MAX
 */
#define SMTP_PROXY_MAX	1024
size_t	smtp_identity_proxy_v1(char *to, const struct smtp_identity_facts *);
size_t	smtp_identity_proxy_v2(uint8_t *to,
	    const struct smtp_identity_facts *);

/*
 * A header in the form of RFC 5321 4.4 (Received), lines of at most 78 octets
 * where they can be folded, CRLF at each end:
 *   Received: from HELO ([ADDRESS])
 *           (using TLSv1.3 with cipher NAME; client certificate "SUBJECT"
 *           verified)				(or: not verified)
 *           by HOSTNAME (smtpproxyd) with ESMTPS id SESSION.N;
 *           Tue, 24 Nov 2026 16:26:05 +0000
 * HELO (NULL or empty: "unknown") and the subject are written so that they
 * can't end a line, a comment or a string: in HELO all but RFC 5322's atoms
 * and dots, or an address literal, is +XX, in the subject parentheses, quotes,
 * backslash, '+' and what is not printable; each is cut at 255 octets.
 * ESMTP, ESMTPS, SMTP (RFC 3848; SMTPUTF8: UTF8SMTP, UTF8SMTPS of RFC 6531
 * 4.3).  For the same values but for now_ms the length is the same.
 *   returns   octets; never more than SMTP_TRACE_MAX
 */
#define SMTP_TRACE_MAX	2048
size_t	smtp_identity_trace(char *to, const struct smtp_identity_facts *,
	    const char *helo, int is_esmtp, int is_utf8, uint32_t message,
	    int64_t now_ms);

#endif
