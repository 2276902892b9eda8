/*
 * Fuzz target: records of the snapshot, and pieces of its files.  The input is
 * records one behind the other, each with its length in two octets in front;
 * with the highest bit set it is a piece, and the number of its blob the four
 * octets behind that.  A snapshot that is taken as whole must be written
 * again, octet for octet.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../../smtpproxyd/conf_wire.h"

int	LLVMFuzzerTestOneInput(const uint8_t *, size_t);

/* Items may have been packed in another way: compare them, not records. */
struct items {
	uint8_t	*data;
	size_t	 used;
	size_t	 size;
};

static int
items_put(void *arg, const uint8_t *data, size_t len)
{
	struct items	*it = arg;

	if (len < 4 || len - 4 > it->size - it->used)
		abort();
	memcpy(it->data + it->used, data + 4, len - 4);
	it->used += len - 4;
	return 0;
}

/* Of pieces the octets count, however they were cut. */
static int
pieces_put(void *arg, uint32_t blob, const uint8_t *data, size_t len)
{
	struct items	*it = arg;

	(void)blob;
	if (len == 0 || len > it->size - it->used)
		abort();
	memcpy(it->data + it->used, data, len);
	it->used += len;
	return 0;
}

static int
fuzz_piece(struct conf *c, const uint8_t *data, size_t len,
    struct items *pieces)
{
	uint32_t	blob;

	if (len < 4)
		return -1;
	blob = (uint32_t)data[0] << 24 | (uint32_t)data[1] << 16 |
	    (uint32_t)data[2] << 8 | data[3];
	if (conf_wire_piece(c, blob, data + 4, len - 4) == -1)
		return -1;
	return pieces_put(pieces, blob, data + 4, len - 4);
}

/* The conf, or NULL when a record or piece was refused. */
static struct conf *
fuzz_read(const uint8_t *data, size_t len, struct items *records,
    struct items *pieces)
{
	struct conf	*c;
	size_t		 n;
	int		 rc = 0, is_piece;

	if ((c = conf_new()) == NULL)
		abort();
	while (rc == 0 && len >= 2) {
		is_piece = data[0] >= 0x80;
		n = (size_t)(data[0] & 0x7f) << 8 | data[1];
		data += 2;
		len -= 2;
		if (n > len)
			n = len;
		if (is_piece)
			rc = fuzz_piece(c, data, n, pieces);
		else if ((rc = conf_wire_read(c, data, n)) == 0)
			(void)items_put(records, data, n);
		data += n;
		len -= n;
	}
	if (rc == 0)
		return c;
	conf_free(c);
	return NULL;
}

static void
items_init(struct items *it, size_t size)
{
	it->used = 0;
	it->size = size;
	if ((it->data = malloc(size)) == NULL)
		abort();
}

static void
items_must_be_equal(const struct items *a, const struct items *b)
{
	if (a->used != b->used || memcmp(a->data, b->data, a->used) != 0)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct items	 in[2], out[2];	/* records, pieces */
	struct conf	*c;
	size_t		 i;

	for (i = 0; i < 2; i++) {
		items_init(&in[i], len + CONF_WIRE_MAX);
		items_init(&out[i], len + CONF_WIRE_MAX);
	}
	if ((c = fuzz_read(data, len, &in[0], &in[1])) != NULL &&
	    conf_wire_check(c) == 0) {
		if (conf_wire_write(c, items_put, &out[0]) == -1 ||
		    conf_wire_pieces(c, pieces_put, &out[1]) == -1)
			abort();
		items_must_be_equal(&in[0], &out[0]);
		items_must_be_equal(&in[1], &out[1]);
	}
	conf_free(c);
	for (i = 0; i < 2; i++) {
		free(in[i].data);
		free(out[i].data);
	}
	return 0;
}
