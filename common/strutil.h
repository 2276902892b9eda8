#ifndef STRUTIL_H
#define STRUTIL_H

#include <sys/types.h>

#include <stddef.h>
#include <stdint.h>

/*
 * Copy octets of a peer as text for a log: 0x21..0x7e and space as they are,
 * save backslash and, in a quoted value, the double quote; all else as \xHH,
 * a backslash as "\\".  Cut (with "...") when it does not fit.  `to` is always
 * terminated when size > 0.
 *   returns   octets written without the NUL
 */
size_t	str_escape(char *to, size_t size, const void *from, size_t len);

/*
 * The same for a whole line whose parts are escaped already: a backslash stays
 * as it is, only octets outside 0x20..0x7e become \xHH.
 */
size_t	str_escape_line(char *to, size_t size, const void *from, size_t len);

/*
 * Append " key=value" to a terminated string.  A value that is empty or has
 * a space, '"', '=' or an octet that needs escaping is put in double quotes,
 * escaped ('"' as \x22).  One that does not fit is cut, never left open; where
 * not even the key fits, nothing is added.
 */
void	str_add_pair(char *line, size_t size, const char *key,
	    const void *value, size_t len);
void	str_add_pair_str(char *line, size_t size, const char *key,
	    const char *value);
void	str_add_pair_u64(char *line, size_t size, const char *key,
	    uint64_t value);

/* ASCII only, whatever the locale: RFC 5321 2.4 has no other case rule. */
int	str_is_equal_nocase(const void *, size_t, const char *);

/*
 * Digits only, no sign and no space; -1 when empty, when another octet stands
 * there or when the value is above max.
 */
int	str_to_u64(const void *, size_t, uint64_t max, uint64_t *);

/*
 * A host name as RFC 1123 2.1 allows it (labels of letters, digits and
 * hyphens, at most 253 octets, underscore tolerated as everywhere).  No dot at
 * the end, and a last label that is all digits is refused: "192.0.2.300" is a
 * mistyped address.
 */
int	str_is_hostname(const char *);

#endif
