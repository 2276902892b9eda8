#ifndef TOOL_RANDOM_H
#define TOOL_RANDOM_H

#include <stddef.h>
#include <stdint.h>

/* Numbers that look like chance, a seed's always the same ones (splitmix64). */
struct tool_random {
	uint64_t	state;
};

uint64_t	tool_random_next(struct tool_random *);
/* From min to max, both included. */
uint32_t	tool_random_between(struct tool_random *, uint32_t min,
		    uint32_t max);
int		tool_random_percent(struct tool_random *, uint32_t percent);

/* A checksum, octet by octet (FNV-1a). */
#define TOOL_SUM_START	UINT64_C(0xcbf29ce484222325)

uint64_t	tool_sum(uint64_t sum, const char *, size_t);

#endif
