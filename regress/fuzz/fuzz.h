#ifndef FUZZ_H
#define FUZZ_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int	LLVMFuzzerTestOneInput(const uint8_t *, size_t);

/* Always on, unlike assert(3); the fuzzer keeps the input that came here. */
#define HOLDS(is_true) do {						\
	if (!(is_true)) {						\
		(void)fprintf(stderr, "%s:%d: %s\n", __FILE__,		\
		    __LINE__, #is_true);				\
		abort();						\
	}								\
} while (0)

/* The piece to feed next: of exactly its size, for the sanitizers. */
struct fuzz_cut {
	uint32_t	 seed;		/* 0: all at once */
	const uint8_t	*in;
	size_t		 left;
	uint8_t		*piece;
};

static inline uint32_t
fuzz_random(uint32_t *seed)
{
	*seed = *seed * 1664525U + 1013904223U;
	return *seed >> 8;
}

/* Octets of the next piece, 0 at the end. */
static inline size_t
fuzz_next(struct fuzz_cut *cut)
{
	size_t	n = cut->left;

	free(cut->piece);
	cut->piece = NULL;
	if (cut->seed == 1 && n > 1)
		n = 1;
	else if (cut->seed != 0 && n > 1)
		n = 1 + fuzz_random(&cut->seed) % (n < 9 ? n : n / 2);
	if (n == 0)
		return 0;
	if ((cut->piece = malloc(n)) == NULL)
		abort();
	memcpy(cut->piece, cut->in, n);
	cut->in += n;
	cut->left -= n;
	return n;
}

/* A growing record of what came out, to compare two runs. */
struct fuzz_log {
	uint8_t	*text;
	size_t	 used;
	size_t	 size;
};

static inline void
fuzz_log_add(struct fuzz_log *log, const void *octets, size_t len)
{
	if (len > log->size - log->used) {
		log->size = (log->used + len) * 2;
		if ((log->text = realloc(log->text, log->size)) == NULL)
			abort();
	}
	if (len > 0)
		memcpy(log->text + log->used, octets, len);
	log->used += len;
}

/* One record: its kind, its length, its octets. */
static inline void
fuzz_log_record(struct fuzz_log *log, int kind, const void *octets, size_t len)
{
	fuzz_log_add(log, &kind, sizeof(kind));
	fuzz_log_add(log, &len, sizeof(len));
	fuzz_log_add(log, octets, len);
}

static inline int
fuzz_log_is_equal(const struct fuzz_log *a, const struct fuzz_log *b)
{
	return a->used == b->used &&
	    (a->used == 0 || memcmp(a->text, b->text, a->used) == 0);
}

static inline void
fuzz_log_clear(struct fuzz_log *log)
{
	free(log->text);
	memset(log, 0, sizeof(*log));
}

#endif
