/*
 * Fuzz target: records of the snapshot.  The input is records one behind the
 * other, each with its length in two octets in front.  A snapshot that is
 * taken as whole must be written again, octet for octet.
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

/* The conf, or NULL when a record was refused. */
static struct conf *
fuzz_read(const uint8_t *data, size_t len, struct items *in)
{
	struct conf	*c;
	size_t		 n;

	if ((c = conf_new()) == NULL)
		abort();
	while (len >= 2) {
		n = (size_t)data[0] << 8 | data[1];
		data += 2;
		len -= 2;
		if (n > len)
			n = len;
		if (conf_wire_read(c, data, n) == -1) {
			conf_free(c);
			return NULL;
		}
		(void)items_put(in, data, n);
		data += n;
		len -= n;
	}
	return c;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct items	 in = { NULL, 0, 0 }, out = { NULL, 0, 0 };
	struct conf	*c;

	in.size = out.size = len + CONF_WIRE_MAX;
	in.data = malloc(in.size);
	out.data = malloc(out.size);
	if (in.data == NULL || out.data == NULL)
		abort();
	if ((c = fuzz_read(data, len, &in)) != NULL &&
	    conf_wire_check(c) == 0) {
		if (conf_wire_write(c, items_put, &out) == -1 ||
		    in.used != out.used ||
		    memcmp(in.data, out.data, in.used) != 0)
			abort();
	}
	conf_free(c);
	free(in.data);
	free(out.data);
	return 0;
}
