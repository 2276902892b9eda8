/*
 * Text: escaping for logs, numbers and names.  Used by every process on octets
 * that a peer chose; nothing here trusts what it reads, is affected by the
 * locale, or writes past the size that it was given.
 */
#include "strutil.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define HOSTNAME_MAX	253	/* RFC 1035 2.3.4, less root and length */
#define LABEL_MAX	63

/* What is escaped besides octets outside 0x20..0x7e. */
enum escape {
	ESCAPE_LINE = 0,	/* nothing: a line made of escaped parts */
	ESCAPE_TEXT,		/* backslash */
	ESCAPE_QUOTED		/* backslash and double quote */
};

static int
str_is_plain(uint8_t c, enum escape how)
{
	if (c < 0x20 || c > 0x7e)
		return 0;
	if (c == '\\')
		return how == ESCAPE_LINE;
	if (c == '"')
		return how != ESCAPE_QUOTED;
	return 1;
}

/* One octet as text: 1, 2 or 4 octets into `unit`. */
static size_t
str_escape_octet(char unit[4], uint8_t c, enum escape how)
{
	static const char	hex[] = "0123456789abcdef";

	unit[0] = (char)c;
	if (str_is_plain(c, how))
		return 1;
	unit[0] = '\\';
	unit[1] = '\\';
	if (c == '\\')
		return 2;
	unit[1] = 'x';
	unit[2] = hex[c >> 4];
	unit[3] = hex[c & 0x0f];
	return 4;
}

static size_t
str_escape_as(char *to, size_t size, const void *from, size_t len,
    enum escape how)
{
	const uint8_t	*p = from;
	char		 unit[4];
	size_t		 i, n, used = 0, cut = 0;

	if (size == 0)
		return 0;
	size--;				/* the NUL's */
	for (i = 0; i < len; i++) {
		n = str_escape_octet(unit, p[i], how);
		if (n > size - used)
			break;
		memcpy(to + used, unit, n);
		used += n;
		if (size - used >= 3)
			cut = used;	/* dots would fit behind this unit */
	}
	if (i < len) {
		/* No escape is cut in two: that could read as another one. */
		n = size - cut < 3 ? size - cut : 3;
		memcpy(to + cut, "...", n);
		used = cut + n;
	}
	to[used] = '\0';
	return used;
}

size_t
str_escape(char *to, size_t size, const void *from, size_t len)
{
	return str_escape_as(to, size, from, len, ESCAPE_TEXT);
}

size_t
str_escape_line(char *to, size_t size, const void *from, size_t len)
{
	return str_escape_as(to, size, from, len, ESCAPE_LINE);
}

static int
str_is_bare_value(const uint8_t *p, size_t len)
{
	size_t	i;

	for (i = 0; i < len; i++)
		if (p[i] == ' ' || p[i] == '=' ||
		    !str_is_plain(p[i], ESCAPE_QUOTED))
			return 0;
	return len > 0;
}

void
str_add_pair(char *line, size_t size, const char *key, const void *value,
    size_t len)
{
	size_t	used = strnlen(line, size);
	size_t	keylen = strlen(key);
	size_t	quotes = str_is_bare_value(value, len) ? 0 : 2;
	char	*to = line + used;

	/* Room for the space, '=', the quotes, one octet and the NUL. */
	if (size - used < 4 || keylen + quotes > size - used - 4)
		return;
	*to++ = ' ';
	memcpy(to, key, keylen);
	to += keylen;
	*to++ = '=';
	size -= used + keylen + 2;
	if (quotes == 0) {
		(void)str_escape_as(to, size, value, len, ESCAPE_TEXT);
		return;
	}
	*to++ = '"';
	to += str_escape_as(to, size - 2, value, len, ESCAPE_QUOTED);
	*to++ = '"';
	*to = '\0';
}

void
str_add_pair_str(char *line, size_t size, const char *key, const char *value)
{
	str_add_pair(line, size, key, value, strlen(value));
}

void
str_add_pair_u64(char *line, size_t size, const char *key, uint64_t value)
{
	char	text[24];
	int	len;

	len = snprintf(text, sizeof(text), "%" PRIu64, value);
	str_add_pair(line, size, key, text, (size_t)len);
}

static uint8_t
str_to_lower(uint8_t c)
{
	if (c >= 'A' && c <= 'Z')
		return (uint8_t)(c - 'A' + 'a');
	return c;
}

int
str_is_equal_nocase(const void *octets, size_t len, const char *s)
{
	const uint8_t	*p = octets;
	size_t		 i;

	if (strlen(s) != len)
		return 0;
	for (i = 0; i < len; i++)
		if (str_to_lower(p[i]) != str_to_lower((uint8_t)s[i]))
			return 0;
	return 1;
}

int
str_to_u64(const void *octets, size_t len, uint64_t max, uint64_t *value)
{
	const uint8_t	*p = octets;
	uint64_t	 v = 0;
	uint8_t		 digit;
	size_t		 i;

	if (len == 0)
		return -1;
	for (i = 0; i < len; i++) {
		if (p[i] < '0' || p[i] > '9')
			return -1;
		digit = (uint8_t)(p[i] - '0');
		if (v > max / 10 || digit > max - v * 10)
			return -1;
		v = v * 10 + digit;
	}
	*value = v;
	return 0;
}

static int
str_is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static int
str_is_label_octet(char c)
{
	uint8_t	low = str_to_lower((uint8_t)c);

	return (low >= 'a' && low <= 'z') || str_is_digit(c) || c == '-' ||
	    c == '_';
}

/*
 * RFC 1123 2.1: the last label is never all digits, so that "192.0.2.300" is
 * a mistyped address and not a name to be looked up.
 */
int
str_is_hostname(const char *s)
{
	size_t	i, label = 0, ndigits = 0;

	for (i = 0; s[i] != '\0'; i++) {
		if (i >= HOSTNAME_MAX)
			return 0;
		if (s[i] == '.') {
			if (label == 0 || s[i - 1] == '-')
				return 0;
			label = 0;
			ndigits = 0;
			continue;
		}
		if (!str_is_label_octet(s[i]) || (label == 0 && s[i] == '-'))
			return 0;
		if (str_is_digit(s[i]))
			ndigits++;
		if (++label > LABEL_MAX)
			return 0;
	}
	return label > 0 && ndigits < label && s[i - 1] != '-';
}
