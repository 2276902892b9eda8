/*
 * Tests of common/buf.c: limits, the three sizes of memory, what the pool
 * keeps, and the same octets out as in whatever the cuts.
 */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../../common/buf.h"

#define BIG	(3 * BUF_LARGE)

/* A request for too much memory must return here too under a sanitizer. */
const char	*__asan_default_options(void);

const char *
__asan_default_options(void)
{
	return "allocator_may_return_null=1";
}

static struct buf_pool	pool;
static struct buf	buf;
static uint8_t		octets[BIG];

static void
set_up(void)
{
	size_t	i;

	for (i = 0; i < sizeof(octets); i++)
		octets[i] = (uint8_t)(i * 7 + i / 251);
	buf_pool_init(&pool, 2, 1);
	buf_init(&buf, &pool, BIG);
}

static void
tear_down(void)
{
	buf_clear(&buf);
	ck_assert_uint_eq(pool.nused, 0);
	ck_assert_uint_le(pool.nsmall, pool.keep_small);
	ck_assert_uint_le(pool.nlarge, pool.keep_large);
	buf_pool_clear(&pool);
	buf_pool_clear(&pool);
}

START_TEST(empty)
{
	ck_assert_ptr_null(buf_head(&buf));
	ck_assert_uint_eq(buf_room(&buf), BIG);
	buf_drop(&buf, 0);
	buf_drop(&buf, 10);
	buf_trim(&buf);
	ck_assert_int_eq(buf_add(&buf, NULL, 0), 0);
	ck_assert_int_eq(buf_add_str(&buf, ""), 0);
	ck_assert_ptr_null(buf.data);
	ck_assert_uint_eq(pool.nused, 0);
}
END_TEST

/* Filled to `n` octets at once: which memory, and does it come back? */
START_TEST(sizes)
{
	static const struct {
		size_t	n;
		size_t	size;		/* 0: above a large chunk */
		size_t	nsmall;		/* in the pool afterwards */
		size_t	nlarge;
	} rows[] = {
		{ 1,			BUF_SMALL,	1, 0 },
		{ BUF_SMALL,		BUF_SMALL,	1, 0 },
		{ BUF_SMALL + 1,	BUF_LARGE,	0, 1 },
		{ BUF_LARGE,		BUF_LARGE,	0, 1 },
		{ BUF_LARGE + 1,	0,		0, 0 },
		{ BIG,			0,		0, 0 },
	};
	size_t	i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		buf_pool_clear(&pool);
		ck_assert_int_eq(buf_add(&buf, octets, rows[i].n), 0);
		ck_assert_uint_eq(pool.nused, 1);
		ck_assert_uint_eq(buf.used, rows[i].n);
		ck_assert_uint_eq(buf_room(&buf), BIG - rows[i].n);
		if (rows[i].size != 0)
			ck_assert_uint_eq(buf.size, rows[i].size);
		else
			ck_assert_uint_gt(buf.size, BUF_LARGE);
		ck_assert_mem_eq(buf_head(&buf), octets, rows[i].n);
		buf_drop(&buf, rows[i].n);
		ck_assert_ptr_null(buf.data);
		ck_assert_uint_eq(pool.nused, 0);
		ck_assert_uint_eq(pool.nsmall, rows[i].nsmall);
		ck_assert_uint_eq(pool.nlarge, rows[i].nlarge);
	}
}
END_TEST

START_TEST(limit)
{
	static const size_t	limits[] = { 0, 1, 5, BUF_SMALL, BUF_SMALL + 1,
	    BUF_LARGE, BUF_LARGE + 1, BIG - 1 };
	struct buf		b;
	size_t			i, size;

	for (i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
		buf_init(&b, i % 2 == 0 ? &pool : NULL, limits[i]);
		errno = 0;
		ck_assert_int_eq(buf_add(&b, octets, limits[i] + 1), -1);
		ck_assert_int_eq(errno, ENOBUFS);
		ck_assert_ptr_null(b.data);
		ck_assert_int_eq(buf_add(&b, octets, limits[i]), 0);
		ck_assert_uint_eq(buf_room(&b), 0);
		ck_assert_int_eq(buf_add(&b, octets, 1), -1);
		ck_assert_int_eq(errno, ENOBUFS);
		ck_assert_ptr_null(buf_reserve(&b, 0, &size));
		ck_assert_ptr_null(buf_reserve(&b, 1, &size));
		ck_assert_ptr_null(buf_reserve(&b, SIZE_MAX, &size));
		ck_assert_uint_eq(b.used, limits[i]);
		buf_clear(&b);
	}
}
END_TEST

/* What buf_reserve() offers never leads above the limit. */
START_TEST(reserve)
{
	struct buf	b;
	uint8_t		*p;
	size_t		 size = 0;

	buf_init(&b, &pool, 100);
	p = buf_reserve(&b, 10, &size);
	ck_assert_ptr_nonnull(p);
	ck_assert_uint_eq(size, 100);
	buf_grew(&b, 0);			/* read(2) gave nothing */
	ck_assert_ptr_null(b.data);
	p = buf_reserve(&b, 10, &size);
	buf_trim(&b);
	ck_assert_ptr_null(b.data);
	p = buf_reserve(&b, 100, &size);
	memcpy(p, octets, 60);
	buf_grew(&b, 60);
	buf_drop(&b, 20);
	p = buf_reserve(&b, 60, &size);
	ck_assert_uint_eq(size, 60);
	memcpy(p, octets + 60, 60);
	buf_grew(&b, 1000);			/* never above the limit */
	ck_assert_uint_eq(b.used, 100);
	ck_assert_mem_eq(buf_head(&b), octets + 20, 100);
	buf_trim(&b);
	ck_assert_uint_eq(b.used, 100);
	buf_drop(&b, 1000);
	ck_assert_ptr_null(b.data);
}
END_TEST

/* Space that was dropped at the front is used again before memory grows. */
START_TEST(compact)
{
	ck_assert_int_eq(buf_add(&buf, octets, BUF_SMALL), 0);
	buf_drop(&buf, BUF_SMALL - 10);
	ck_assert_int_eq(buf_add(&buf, octets + BUF_SMALL, BUF_SMALL - 10), 0);
	ck_assert_uint_eq(buf.size, BUF_SMALL);
	ck_assert_mem_eq(buf_head(&buf), octets + BUF_SMALL - 10, BUF_SMALL);
	buf_drop(&buf, 1);
	ck_assert_int_eq(buf_add(&buf, octets, 2), 0);
	ck_assert_uint_eq(buf.size, BUF_LARGE);
	ck_assert_mem_eq(buf_head(&buf), octets + BUF_SMALL - 9,
	    BUF_SMALL - 1);
}
END_TEST

/* Any cuts of input and output: what goes in comes out. */
START_TEST(stream)
{
	struct buf	b;
	size_t		in = 0, out = 0, n;
	int		round;

	srandom(2);
	for (round = 0; round < 4; round++) {
		buf_init(&b, round % 2 == 0 ? &pool : NULL,
		    round < 2 ? BIG : BUF_SMALL / 2);
		in = out = 0;
		while (out < BIG) {
			n = (size_t)random() % (round < 2 ? 60000 : 3000);
			if (n > BIG - in)
				n = BIG - in;
			if (buf_add(&b, octets + in, n) == 0)
				in += n;
			ck_assert_uint_eq(b.used, in - out);
			if (b.used > 0)
				ck_assert_mem_eq(buf_head(&b), octets + out,
				    b.used);
			n = (size_t)random() % (round < 2 ? 50000 : 2500);
			if (n > b.used)
				n = b.used;
			buf_drop(&b, n);
			out += n;
		}
		ck_assert_ptr_null(b.data);
	}
	for (in = 0; in < 40000; in++)
		ck_assert_int_eq(buf_add(&buf, octets + in, 1), 0);
	ck_assert_mem_eq(buf_head(&buf), octets, 40000);
	for (in = 0; in < 40000; in++) {
		ck_assert_uint_eq(*buf_head(&buf), octets[in]);
		buf_drop(&buf, 1);
	}
	ck_assert_uint_eq(pool.nused, 0);
}
END_TEST

START_TEST(pool_keeps)
{
	struct buf	b[4];
	size_t		i;

	for (i = 0; i < 4; i++) {
		buf_init(&b[i], &pool, BIG);
		ck_assert_int_eq(buf_add_str(&b[i], "x"), 0);
	}
	ck_assert_uint_eq(pool.nused, 4);
	for (i = 0; i < 4; i++)
		buf_clear(&b[i]);
	ck_assert_uint_eq(pool.nsmall, 2);
	for (i = 0; i < 3; i++)
		ck_assert_int_eq(buf_add_str(&b[i], "y"), 0);
	ck_assert_uint_eq(pool.nsmall, 0);
	for (i = 0; i < 3; i++)
		ck_assert_int_eq(buf_add(&b[i], octets, BUF_LARGE - 1), 0);
	ck_assert_uint_eq(pool.nsmall, 2);
	ck_assert_uint_eq(pool.nused, 3);
	for (i = 0; i < 4; i++)
		buf_clear(&b[i]);
	ck_assert_uint_eq(pool.nlarge, 1);
}
END_TEST

/* Also what was taken out long ago is gone when the chunk comes back. */
START_TEST(wipe)
{
	static const char	secret[] = "c2VjcmV0";
	const uint8_t		*chunk;
	size_t			 i;

	buf_wipe(&buf);
	ck_assert_int_eq(buf_add_str(&buf, secret), 0);
	ck_assert_int_eq(buf_add_str(&buf, "rest"), 0);
	buf_drop(&buf, sizeof(secret) - 1);
	buf_wipe(&buf);
	ck_assert_uint_eq(buf.used, 0);
	ck_assert_uint_eq(pool.nsmall, 1);
	chunk = pool.small;
	for (i = sizeof(void *); i < BUF_SMALL; i++)
		ck_assert_uint_eq(chunk[i], 0);
}
END_TEST

START_TEST(no_memory)
{
	struct buf	b;
	size_t		size;

	buf_init(&b, &pool, SIZE_MAX);
	ck_assert_int_eq(buf_add_str(&b, "kept"), 0);
	ck_assert_ptr_null(buf_reserve(&b, SIZE_MAX / 8, &size));
	ck_assert_int_eq(errno, ENOMEM);
	ck_assert_uint_eq(b.used, 4);
	ck_assert_mem_eq(buf_head(&b), "kept", 4);
	ck_assert_uint_eq(pool.nused, 1);
	buf_clear(&b);
}
END_TEST

int
main(void)
{
	Suite	*s = suite_create("buf");
	TCase	*tc = tcase_create("buf");
	SRunner	*sr;
	int	 nfailed;

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, empty);
	tcase_add_test(tc, sizes);
	tcase_add_test(tc, limit);
	tcase_add_test(tc, reserve);
	tcase_add_test(tc, compact);
	tcase_add_test(tc, stream);
	tcase_add_test(tc, pool_keeps);
	tcase_add_test(tc, wipe);
	tcase_add_test(tc, no_memory);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	nfailed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return nfailed == 0 ? 0 : 1;
}
