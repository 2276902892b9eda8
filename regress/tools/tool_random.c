/*
 * Chance that can be had again, and checksums, for the programs of tests.
 */
#include "tool_random.h"

uint64_t
tool_random_next(struct tool_random *r)
{
	uint64_t	z;

	z = r->state += UINT64_C(0x9e3779b97f4a7c15);
	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

uint32_t
tool_random_between(struct tool_random *r, uint32_t min, uint32_t max)
{
	return min + (uint32_t)(tool_random_next(r) %
	    ((uint64_t)max - min + 1));
}

int
tool_random_percent(struct tool_random *r, uint32_t percent)
{
	return tool_random_between(r, 1, 100) <= percent;
}

uint64_t
tool_sum(uint64_t sum, const char *octets, size_t len)
{
	size_t	i;

	for (i = 0; i < len; i++) {
		sum ^= (unsigned char)octets[i];
		sum *= UINT64_C(0x100000001b3);
	}
	return sum;
}
