/*
 * Histograms of latencies, for the load generator.
 */
#include "tool_hist.h"

static unsigned int
bucket_of(uint32_t us)
{
	unsigned int	doublings = 0;

	while ((us >> doublings) >= 2 * HIST_LINEAR)
		doublings++;
	if (us < HIST_LINEAR)
		return us;
	return HIST_LINEAR * (doublings + 1) + (us >> doublings) - HIST_LINEAR;
}

/* The middle of a bucket. */
static double
bucket_us(unsigned int n)
{
	unsigned int	doublings;
	double		low;

	if (n < 2 * HIST_LINEAR)
		return n;
	doublings = n / HIST_LINEAR - 1;
	low = (double)((uint64_t)(n % HIST_LINEAR + HIST_LINEAR) << doublings);
	return low + (double)((UINT64_C(1) << doublings) - 1) / 2;
}

void
tool_hist_add(struct tool_hist *h, int64_t us)
{
	uint32_t	n;

	if (us < 0)
		us = 0;
	n = us > UINT32_MAX ? UINT32_MAX : (uint32_t)us;
	if (h->count == 0 || n < h->min)
		h->min = n;
	if (n > h->max)
		h->max = n;
	h->count++;
	h->sum += n;
	h->bucket[bucket_of(n)]++;
}

double
tool_hist_ms(const struct tool_hist *h, double percent)
{
	uint64_t	rank, seen = 0;
	unsigned int	n;
	double		us;

	if (h->count == 0)
		return 0;
	if (percent >= 100)
		return h->max / 1000.0;
	rank = (uint64_t)((double)(h->count - 1) * percent / 100);
	for (n = 0; n < HIST_BUCKETS; n++)
		if ((seen += h->bucket[n]) > rank)
			break;
	us = bucket_us(n);
	/* A bucket's middle may lie outside of what was seen. */
	if (us < h->min)
		us = h->min;
	if (us > h->max)
		us = h->max;
	return us / 1000.0;
}

void
tool_hist_json(const struct tool_hist *h, FILE *f)
{
	double	mean = h->count == 0 ? 0 :
	    (double)h->sum / (double)h->count / 1000.0;

	(void)fprintf(f, "{\"count\": %llu, \"mean\": %.3f, \"p50\": %.3f, "
	    "\"p90\": %.3f, \"p99\": %.3f, \"p999\": %.3f, \"max\": %.3f}",
	    (unsigned long long)h->count, mean, tool_hist_ms(h, 50),
	    tool_hist_ms(h, 90), tool_hist_ms(h, 99), tool_hist_ms(h, 99.9),
	    tool_hist_ms(h, 100));
}
