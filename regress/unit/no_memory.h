#ifndef NO_MEMORY_H
#define NO_MEMORY_H

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

/*
 * recallocarray(3) in place of the library's, for one test program: it fails
 * when told to, and always moves, so that a pointer kept too long is seen.
 */
static int	no_memory;

void	*recallocarray(void *, size_t, size_t, size_t);

void *
recallocarray(void *old, size_t oldn, size_t n, size_t size)
{
	void	*new;

	if (no_memory || (new = calloc(n, size)) == NULL)
		return NULL;
	if (old != NULL)
		memcpy(new, old, (oldn < n ? oldn : n) * size);
	freezero(old, oldn * size);
	return new;
}

#endif
