#ifndef TOOL_HIST_H
#define TOOL_HIST_H

#include <stdint.h>
#include <stdio.h>

/*
 * A histogram of times in microseconds.  Up to HIST_LINEAR each has a bucket
 * of its own; above, every power of two is cut into HIST_LINEAR buckets of one
 * width, so that a percentile is wrong by less than 1 in 256, whatever its
 * size.  It takes the same memory for any number of times.
 */
#define HIST_LINEAR	128
#define HIST_DOUBLINGS	25		/* up to 2^32 us, 71 minutes */
#define HIST_BUCKETS	(HIST_LINEAR * (HIST_DOUBLINGS + 1))

struct tool_hist {
	uint64_t	count;
	uint64_t	sum;
	uint32_t	min;
	uint32_t	max;
	uint64_t	bucket[HIST_BUCKETS];
};

/* Storage of zeros is an empty histogram.  Times below 0 count as 0. */
void	tool_hist_add(struct tool_hist *, int64_t us);

/* In milliseconds, of 0 to 100 per cent; 0 without times. */
double	tool_hist_ms(const struct tool_hist *, double percent);

/* {"count": N, "mean": MS, "p50": MS, ..., "max": MS} */
void	tool_hist_json(const struct tool_hist *, FILE *);

#endif
