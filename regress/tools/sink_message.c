/*
 * sink: what is kept of messages.  Files, if a folder is given; and with the
 * check, which of the ids that load gives came once, more often, or with
 * another size than their header says.
 */
#include "sink.h"

#include <err.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MESSAGE_MAX	INT64_C(1073741824)
#define IDS_FIRST	4096

/* Hashes of the ids seen; 0 is an empty place. */
static uint64_t	*ids;
static size_t	 ids_size, ids_used;

static void
message_path(const struct sink_client *c, const char *suffix, char *path)
{
	int	len;

	len = snprintf(path, PATH_MAX, "%s/%08llu%s", sink_conf.dir,
	    (unsigned long long)c->number, suffix);
	if (len < 0 || len >= PATH_MAX)
		errx(1, "%s: name too long", sink_conf.dir);
}

void
sink_message_begin(struct sink_client *c)
{
	static uint64_t	 number;
	char		 path[PATH_MAX];

	c->size = 0;
	if (sink_conf.check && c->head == NULL &&
	    (c->head = malloc(SINK_HEAD_SIZE)) == NULL)
		err(1, NULL);
	if (sink_conf.dir == NULL)
		return;
	c->number = ++number;
	message_path(c, ".part", path);
	if ((c->file = fopen(path, "w")) == NULL)
		err(1, "%s", path);
}

void
sink_message_add(struct sink_client *c, const char *data, size_t len)
{
	size_t	room;

	if (c->head != NULL && c->size < SINK_HEAD_SIZE) {
		room = SINK_HEAD_SIZE - (size_t)c->size;
		memcpy(c->head + c->size, data, len < room ? len : room);
	}
	c->size += (int64_t)len;
	if (c->file != NULL && len > 0 &&
	    fwrite(data, 1, len, c->file) != len)
		err(1, "%s", sink_conf.dir);
}

void
sink_message_drop(struct sink_client *c)
{
	char	path[PATH_MAX];

	if (c->file != NULL) {
		(void)fclose(c->file);
		c->file = NULL;
		message_path(c, ".part", path);
		(void)unlink(path);
	}
	free(c->head);
	c->head = NULL;
	c->mail = 0;
	c->nrcpt = 0;
	c->size = 0;
}

/*
 * Put a hash into the table.
 *   returns   0, or -1 when it is there already
 */
static int
ids_put(uint64_t *table, size_t size, uint64_t hash)
{
	size_t	n = (size_t)(hash & (size - 1));

	while (table[n] != 0) {
		if (table[n] == hash)
			return -1;
		n = (n + 1) & (size - 1);
	}
	table[n] = hash;
	return 0;
}

static void
ids_grow(void)
{
	uint64_t	*larger;
	size_t		 size, n;

	size = ids_size == 0 ? IDS_FIRST : ids_size * 2;
	if ((larger = calloc(size, sizeof(*larger))) == NULL)
		err(1, NULL);
	for (n = 0; n < ids_size; n++)
		if (ids[n] != 0)
			(void)ids_put(larger, size, ids[n]);
	free(ids);
	ids = larger;
	ids_size = size;
}

/* FNV-1a.  That two of a million ids share a hash is 1 in 30 million. */
static uint64_t
id_hash(const char *id, size_t len)
{
	uint64_t	hash = UINT64_C(14695981039346656037);
	size_t		i;

	for (i = 0; i < len; i++) {
		hash ^= (unsigned char)id[i];
		hash *= UINT64_C(1099511628211);
	}
	return hash == 0 ? 1 : hash;
}

/* A header field at the start of a line: its value and length, or NULL. */
static const char *
head_field(const struct sink_client *c, const char *name, size_t *len)
{
	const char	*p = c->head, *end, *nl;
	size_t		 name_len = strlen(name);

	end = p + (c->size < SINK_HEAD_SIZE ? (size_t)c->size :
	    SINK_HEAD_SIZE);
	while ((nl = memchr(p, '\n', (size_t)(end - p))) != NULL) {
		if ((size_t)(nl - p) > name_len &&
		    memcmp(p, name, name_len) == 0) {
			*len = (size_t)(nl - p) - name_len;
			if (nl[-1] == '\r')
				(*len)--;
			return p + name_len;
		}
		p = nl + 1;
	}
	return NULL;
}

/* Digits that are followed by something else in any case. */
static int64_t
head_number(const char *text)
{
	return (int64_t)strtoll(text, NULL, 10);
}

static void
message_check(const struct sink_client *c)
{
	const char	*id, *size;
	size_t		 id_len, len;

	id = head_field(c, "X-Load-Id: ", &id_len);
	size = head_field(c, "X-Load-Size: ", &len);
	if (id == NULL || size == NULL) {
		sink_totals.unknown++;
		return;
	}
	if (head_number(size) != c->size)
		sink_totals.wrong_sizes++;
	if (ids_used * 2 >= ids_size)
		ids_grow();
	if (ids_put(ids, ids_size, id_hash(id, id_len)) == -1) {
		sink_totals.duplicates++;
		return;
	}
	ids_used++;
	sink_totals.distinct++;
}

/* Its name appears before its reply does. */
static void
message_file(struct sink_client *c)
{
	char	from[PATH_MAX], to[PATH_MAX];

	if (fclose(c->file) != 0)
		err(1, "%s", sink_conf.dir);
	c->file = NULL;
	message_path(c, ".part", from);
	message_path(c, "", to);
	if (rename(from, to) == -1)
		err(1, "%s", to);
}

void
sink_message_end(struct sink_client *c)
{
	char	text[SINK_REPLY_MAX];

	if (c->size > MESSAGE_MAX) {
		sink_message_drop(c);
		sink_reply_error(c, "552 5.3.4 message too big");
		return;
	}
	if (c->head != NULL)
		message_check(c);
	if (c->file != NULL)
		message_file(c);
	sink_totals.messages++;
	sink_totals.recipients += c->nrcpt;
	sink_totals.octets += (uint64_t)c->size;
	(void)snprintf(text, sizeof(text), "250 2.0.0 message %llu taken, "
	    "%lld octets", (unsigned long long)sink_totals.messages,
	    (long long)c->size);
	sink_message_drop(c);
	sink_reply(c, text);
}
