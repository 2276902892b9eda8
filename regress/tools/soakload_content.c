/*
 * The messages of soakload, made while they are sent.
 */
#include "soakload.h"

#include <err.h>
#include <stdlib.h>
#include <string.h>

static uint32_t
line_of(struct tool_random *r, char *to)
{
	uint32_t	percent = tool_random_between(r, 1, 100), len, i;

	len = percent <= 10 ? 0 : percent <= 98 ?
	    tool_random_between(r, 1, 100) :
	    tool_random_between(r, 100, SOAK_LINE_MAX - 2);
	for (i = 0; i < len; i++)
		to[i] = (char)tool_random_between(r, ' ', 0xfe);
	if (len > 0 && tool_random_percent(r, 8))
		to[0] = '.';
	memcpy(to + len, "\r\n", 2);
	return len + 2;
}

void
soakload_store_make(struct soak_store *store)
{
	struct tool_random	r = { 1 };
	uint32_t		n;

	store->octets = malloc((size_t)SOAK_LINES * SOAK_LINE_MAX);
	if (store->octets == NULL)
		err(1, NULL);
	store->start[0] = 0;
	for (n = 0; n < SOAK_LINES; n++)
		store->start[n + 1] = store->start[n] + line_of(&r,
		    store->octets + store->start[n]);
}

static uint32_t
line_len(const struct soak_store *store, uint32_t line)
{
	return store->start[line + 1] - store->start[line];
}

void
soakload_content_begin(struct soak_content *c, const struct soak_store *store,
    const char *id, uint32_t first, uint32_t target)
{
	int		len;
	uint32_t	line;

	memset(c, 0, sizeof(*c));
	c->store = store;
	len = snprintf(c->head, sizeof(c->head),
	    "X-Soak-Id: %s\r\nSubject: soak\r\n\r\n", id);
	c->head_used = (uint32_t)len;
	c->size = c->head_used;
	c->line = line = first % SOAK_LINES;
	while (c->size < target) {
		c->size += line_len(store, line);
		c->nlines++;
		line = (line + 1) % SOAK_LINES;
	}
	c->left = c->size;
	c->sum = TOOL_SUM_START;
}

/* The octets that come next in a row; NULL at the end. */
static const char *
content_next(const struct soak_content *c, size_t *len)
{
	if (c->head_at < c->head_used) {
		*len = c->head_used - c->head_at;
		return c->head + c->head_at;
	}
	if (c->nlines == 0)
		return NULL;
	*len = line_len(c->store, c->line) - c->at;
	return c->store->octets + c->store->start[c->line] + c->at;
}

static void
content_took(struct soak_content *c, const char *octets, size_t len)
{
	c->sum = tool_sum(c->sum, octets, len);
	c->left -= len;
	if (c->head_at < c->head_used) {
		c->head_at += (uint32_t)len;
		return;
	}
	c->at += (uint32_t)len;
	if (c->at == line_len(c->store, c->line)) {
		c->at = 0;
		c->line = (c->line + 1) % SOAK_LINES;
		c->nlines--;
	}
}

size_t
soakload_content_fill(struct soak_content *c, char *to, size_t room,
    uint64_t most, int is_stuffed)
{
	const char	*octets;
	size_t		 len, n = 0;

	/* Room for a dot more. */
	while (n + 1 < room && most > 0 &&
	    (octets = content_next(c, &len)) != NULL) {
		if (is_stuffed && c->head_at == c->head_used && c->at == 0 &&
		    *octets == '.')
			to[n++] = '.';
		if (len > room - n)
			len = room - n;
		if (len > most)
			len = (size_t)most;
		memcpy(to + n, octets, len);
		content_took(c, octets, len);
		n += len;
		most -= len;
	}
	return n;
}
