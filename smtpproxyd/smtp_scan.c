/*
 * Search of message content for what could end it, or be taken for its end,
 * in the worker.  Every octet of every message goes through here, so this is
 * the one place where speed decides the form: 64 octets at a time where the
 * machine has SSE2, memchr(3) by lines elsewhere.  Both read only the input
 * and give the same answer, which the tests hold against a third way.
 */

#include "smtp_scan.h"

#include <string.h>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

/* A line without its LF: where is its first CR (save the last octet) or NUL? */
static size_t
scan_line(const uint8_t *line, size_t len)
{
	const uint8_t	*p;
	size_t		 end = len;

	if ((p = memchr(line, '\r', len)) != NULL)
		end = (size_t)(p - line);
	if ((p = memchr(line, '\0', end)) != NULL)
		end = (size_t)(p - line);
	return end;
}

size_t
smtp_scan_portable(const uint8_t *in, size_t len, int at_start, int find_dots)
{
	const uint8_t	*lf;
	size_t		 i = 0, line, stop;

	while (i < len) {
		if (at_start && find_dots && in[i] == '.')
			return i;
		lf = memchr(in + i, '\n', len - i);
		line = lf == NULL ? len - i : (size_t)(lf - (in + i));
		stop = scan_line(in + i, line);
		if (lf == NULL || stop == line || stop + 1 < line ||
		    in[i + stop] != '\r')
			return i + stop;
		i += line + 1;
		at_start = 1;
	}
	return len;
}

#if defined(__SSE2__)

#define SCAN_BLOCK	64

struct scan_block {
	__m128i	a, b, c, d;		/* an array would go through memory */
};

static inline struct scan_block
scan_load(const uint8_t *in)
{
	const __m128i		*p = (const __m128i *)(const void *)in;
	struct scan_block	 block;

	block.a = _mm_loadu_si128(p);
	block.b = _mm_loadu_si128(p + 1);
	block.c = _mm_loadu_si128(p + 2);
	block.d = _mm_loadu_si128(p + 3);
	return block;
}

static inline uint64_t
scan_bits(__m128i v, __m128i want)
{
	return (uint64_t)(unsigned int)_mm_movemask_epi8(
	    _mm_cmpeq_epi8(v, want));
}

/* Bit n: is octet n of the block the one asked for? */
static inline uint64_t
scan_mask(struct scan_block block, char octet)
{
	const __m128i	want = _mm_set1_epi8(octet);

	return scan_bits(block.a, want) | scan_bits(block.b, want) << 16 |
	    scan_bits(block.c, want) << 32 | scan_bits(block.d, want) << 48;
}

/* Is there an octet of 0 to 13 (CR)?  Most blocks of long lines have none. */
static inline int
scan_has_low(struct scan_block block)
{
	const __m128i	cr = _mm_set1_epi8('\r');
	__m128i		low;

	low = _mm_min_epu8(_mm_min_epu8(block.a, block.b),
	    _mm_min_epu8(block.c, block.d));
	return _mm_movemask_epi8(_mm_cmpeq_epi8(_mm_min_epu8(low, cr),
	    low)) != 0;
}

/*
 * In bits: `cr` shifted up by one stands where an LF must stand, and nowhere
 * else; so the exclusive or with `lf` has both the bare CRs (at the octet
 * behind them) and the bare LFs.  The bit that is shifted out goes into the
 * next block.
 */
size_t
smtp_scan(const uint8_t *in, size_t len, int at_start, int find_dots)
{
	const uint64_t		dots = find_dots ? ~(uint64_t)0 : 0;
	uint64_t		cr, lf, bad, was_cr = 0, was_lf = at_start != 0;
	struct scan_block	block;
	size_t			i;

	for (i = 0; len - i >= SCAN_BLOCK; i += SCAN_BLOCK) {
		block = scan_load(in + i);
		if ((was_cr | was_lf) == 0 && !scan_has_low(block))
			continue;
		cr = scan_mask(block, '\r');
		lf = scan_mask(block, '\n');
		bad = (cr << 1 | was_cr) ^ lf;
		bad |= (lf << 1 | was_lf) & dots & scan_mask(block, '.');
		bad |= scan_mask(block, '\0');
		if (bad != 0) {
			i += (size_t)__builtin_ctzll(bad);
			return i > 0 && in[i - 1] == '\r' ? i - 1 : i;
		}
		was_cr = cr >> 63;
		was_lf = lf >> 63;
	}
	/* The rest, and a CR that waits for its LF once more. */
	i -= was_cr;
	return i + smtp_scan_portable(in + i, len - i, was_lf != 0,
	    find_dots);
}

#else

size_t
smtp_scan(const uint8_t *in, size_t len, int at_start, int find_dots)
{
	return smtp_scan_portable(in, len, at_start, find_dots);
}

#endif
