#ifndef BUF_H
#define BUF_H

#include <stddef.h>
#include <stdint.h>

/*
 * A queue of octets with a limit: appended at the end, taken from the front.
 * An empty buffer owns no memory, so an idle session costs none; the chunks
 * come from a pool that its process owns, in two sizes, and a buffer that
 * needs more than a small chunk takes a large one, then the heap.
 */
#define BUF_SMALL	(16 * 1024)
#define BUF_LARGE	(256 * 1024)

struct buf_pool {
	void	*small;			/* free lists */
	void	*large;
	size_t	 nsmall;		/* chunks on the free lists */
	size_t	 nlarge;
	size_t	 keep_small;		/* keep at most that many */
	size_t	 keep_large;
	size_t	 nused;			/* chunks lent out, the heap's too */
};

struct buf {
	struct buf_pool	*pool;		/* borrowed; NULL: heap only */
	uint8_t		*data;		/* NULL when nothing is held */
	size_t		 start;		/* first octet held */
	size_t		 used;		/* octets held */
	size_t		 size;		/* octets at data */
	size_t		 limit;		/* used never goes above */
};

void	buf_pool_init(struct buf_pool *, size_t keep_small, size_t keep_large);
void	buf_pool_clear(struct buf_pool *);

/* An empty buffer that holds no memory yet.  The pool (or NULL) is borrowed. */
void	buf_init(struct buf *, struct buf_pool *, size_t limit);
/* Give the memory back, leave the buffer empty and usable. */
void	buf_clear(struct buf *);
/* The same for credentials: all that the chunk ever held is wiped first. */
void	buf_wipe(struct buf *);

/* Octets that may still be appended: limit less used. */
size_t	buf_room(const struct buf *);

/*
 * Append.  All or nothing.
 *   returns   0; -1 with ENOBUFS above the limit, ENOMEM without memory
 */
int	buf_add(struct buf *, const void *, size_t);
int	buf_add_str(struct buf *, const char *);

/*
 * A place for at least `want` octets behind those held, to be read into;
 * buf_grew() then says how many came.  `want` is at most buf_room(); 0 counts
 * as 1.
 *   returns   the place, its size in *size (>= want); NULL with errno
 */
uint8_t	*buf_reserve(struct buf *, size_t want, size_t *size);
void	 buf_grew(struct buf *, size_t);
/* After buf_reserve() and nothing read: an empty buffer drops its chunk. */
void	 buf_trim(struct buf *);

/* First octet held; NULL when empty. */
const uint8_t	*buf_head(const struct buf *);
/* Drop octets from the front (at most used); the last one frees the chunk. */
void	 buf_drop(struct buf *, size_t);

#endif
