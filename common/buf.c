/*
 * Queues of octets with a limit, and the pool that lends their memory.  Used
 * for all that a session reads and writes: what is held came from a peer and
 * is never looked at here.  Only lengths matter, and used <= limit and
 * start + used <= size always hold.
 */
#include "buf.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* What a chunk is while it lies on a free list. */
struct buf_free {
	struct buf_free	*next;
};

static void
buf_list_clear(void **list)
{
	struct buf_free	*chunk, *next;

	for (chunk = *list; chunk != NULL; chunk = next) {
		next = chunk->next;
		free(chunk);
	}
	*list = NULL;
}

void
buf_pool_init(struct buf_pool *p, size_t keep_small, size_t keep_large)
{
	memset(p, 0, sizeof(*p));
	p->keep_small = keep_small;
	p->keep_large = keep_large;
}

void
buf_pool_clear(struct buf_pool *p)
{
	buf_list_clear(&p->small);
	buf_list_clear(&p->large);
	p->nsmall = 0;
	p->nlarge = 0;
}

static void *
buf_list_pop(void **list, size_t *n)
{
	struct buf_free	*chunk = *list;

	if (chunk == NULL)
		return NULL;
	*list = chunk->next;
	(*n)--;
	return chunk;
}

static int
buf_list_push(void **list, size_t *n, size_t keep, void *data)
{
	struct buf_free	*chunk = data;

	if (*n >= keep)
		return -1;
	chunk->next = *list;
	*list = chunk;
	(*n)++;
	return 0;
}

static uint8_t *
buf_chunk_get(struct buf_pool *p, size_t size)
{
	uint8_t	*data = NULL;

	if (p != NULL && size == BUF_SMALL)
		data = buf_list_pop(&p->small, &p->nsmall);
	else if (p != NULL && size == BUF_LARGE)
		data = buf_list_pop(&p->large, &p->nlarge);
	if (data == NULL && (data = malloc(size)) == NULL) {
		errno = ENOMEM;
		return NULL;
	}
	if (p != NULL)
		p->nused++;
	return data;
}

static void
buf_chunk_put(struct buf_pool *p, uint8_t *data, size_t size)
{
	int	rc = -1;

	if (data == NULL)
		return;
	if (p != NULL) {
		p->nused--;
		if (size == BUF_SMALL)
			rc = buf_list_push(&p->small, &p->nsmall,
			    p->keep_small, data);
		else if (size == BUF_LARGE)
			rc = buf_list_push(&p->large, &p->nlarge,
			    p->keep_large, data);
	}
	if (rc == -1)
		free(data);
}

void
buf_init(struct buf *b, struct buf_pool *p, size_t limit)
{
	memset(b, 0, sizeof(*b));
	b->pool = p;
	b->limit = limit;
}

void
buf_clear(struct buf *b)
{
	buf_chunk_put(b->pool, b->data, b->size);
	b->data = NULL;
	b->start = 0;
	b->used = 0;
	b->size = 0;
}

void
buf_wipe(struct buf *b)
{
	if (b->data != NULL)
		explicit_bzero(b->data, b->size);
	buf_clear(b);
}

size_t
buf_room(const struct buf *b)
{
	return b->limit - b->used;
}

/*
 * The size that holds `need` octets (at most limit): one of the two chunks,
 * and above them always more than a large one, so that the size alone tells
 * where the memory belongs.  Doubling keeps the copies of a growing buffer in
 * proportion to what it holds.
 */
static size_t
buf_size_for(const struct buf *b, size_t need)
{
	if (need <= BUF_SMALL)
		return BUF_SMALL;
	if (need <= BUF_LARGE)
		return BUF_LARGE;
	if (need < b->limit / 2)
		return need * 2;
	return b->limit;
}

static int
buf_move(struct buf *b, size_t size)
{
	uint8_t	*data;

	if ((data = buf_chunk_get(b->pool, size)) == NULL)
		return -1;
	if (b->used > 0)
		memcpy(data, b->data + b->start, b->used);
	buf_chunk_put(b->pool, b->data, b->size);
	b->data = data;
	b->size = size;
	b->start = 0;
	return 0;
}

uint8_t *
buf_reserve(struct buf *b, size_t want, size_t *size)
{
	size_t	room = buf_room(b);

	if (want == 0)
		want = 1;
	if (want > room) {
		errno = ENOBUFS;
		return NULL;
	}
	if (want > b->size - b->start - b->used) {
		if (want <= b->size - b->used) {
			memmove(b->data, b->data + b->start, b->used);
			b->start = 0;
		} else if (buf_move(b, buf_size_for(b, b->used + want)) == -1)
			return NULL;
	}
	*size = b->size - b->start - b->used;
	if (*size > room)
		*size = room;
	return b->data + b->start + b->used;
}

void
buf_grew(struct buf *b, size_t n)
{
	size_t	max = b->size - b->start - b->used;

	if (max > buf_room(b))
		max = buf_room(b);
	b->used += n < max ? n : max;
	buf_trim(b);
}

void
buf_trim(struct buf *b)
{
	if (b->used == 0)
		buf_clear(b);
}

int
buf_add(struct buf *b, const void *from, size_t len)
{
	uint8_t	*to;
	size_t	 size;

	if (len == 0)
		return 0;
	if ((to = buf_reserve(b, len, &size)) == NULL)
		return -1;
	memcpy(to, from, len);
	b->used += len;
	return 0;
}

int
buf_add_str(struct buf *b, const char *s)
{
	return buf_add(b, s, strlen(s));
}

const uint8_t *
buf_head(const struct buf *b)
{
	if (b->used == 0)
		return NULL;
	return b->data + b->start;
}

void
buf_drop(struct buf *b, size_t n)
{
	if (n >= b->used) {
		buf_clear(b);
		return;
	}
	b->start += n;
	b->used -= n;
}
