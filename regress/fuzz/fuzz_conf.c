/*
 * Fuzz target: the configuration file, from octets to the snapshot and back.
 * Whatever is accepted must survive the way to a worker; whatever is refused
 * must have been said with a place in the file.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../../smtpproxyd/conf_load.h"
#include "../../smtpproxyd/conf_wire.h"

int	LLVMFuzzerTestOneInput(const uint8_t *, size_t);

/* Names resolve or not, by their first letter. */
static int
fuzz_resolve(void *arg, const struct conf *c, const char *host,
    struct addr *addrs, size_t *n, struct conf_why *why)
{
	(void)arg;
	(void)c;
	if (host[0] == 'x')
		return conf_fail(why, "%s does not resolve", host);
	if (*n > 2)
		*n = 2;
	if (addr_parse(&addrs[0], "192.0.2.1") == -1 ||
	    addr_parse(&addrs[1], "2001:db8::1") == -1)
		abort();
	return 0;
}

/* Files are there or not, likewise; longer paths have larger ones. */
static int
fuzz_read_key(const char *path, uint8_t *octets, size_t *len,
    struct conf_why *why)
{
	if (path[1] == 'x')
		return conf_fail(why, "%s is not there", path);
	octets[0] = (uint8_t)path[1];
	*len = 1;
	return 0;
}

static int
fuzz_read_cert(const char *path, size_t max, uint8_t **octets, size_t *len,
    struct conf_why *why)
{
	if (path[1] == 'x')
		return conf_fail(why, "%s is not there", path);
	*len = strlen(path) * strlen(path);
	if (*len > max || (*octets = calloc(1, *len + 1)) == NULL)
		abort();
	return 0;
}

static void
fuzz_say(void *arg, const struct conf_place *place, const char *text)
{
	int	*nsaid = arg;

	if (place->file == NULL || place->line < 1 || text[0] == '\0')
		abort();
	(*nsaid)++;
}

static int
fuzz_put_piece(void *arg, uint32_t blob, const uint8_t *data, size_t len)
{
	return conf_wire_piece(arg, blob, data, len);
}

static int
fuzz_put(void *arg, const uint8_t *data, size_t len)
{
	return conf_wire_read(arg, data, len);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const struct conf_hooks	 hooks = {
		.resolve = fuzz_resolve,
		.read_key = fuzz_read_key,
		.read_cert = fuzz_read_cert
	};
	struct conf			*c, *copy;
	int				 nsaid = 0;

	if (len > 65536)
		return 0;
	c = conf_load_text("fuzz", (const char *)data, len, &hooks, NULL,
	    fuzz_say, &nsaid);
	if ((c == NULL) != (nsaid > 0))
		abort();
	if (c == NULL)
		return 0;
	if ((copy = conf_new()) == NULL)
		abort();
	if (conf_wire_write(c, fuzz_put, copy) == -1 ||
	    conf_wire_pieces(c, fuzz_put_piece, copy) == -1 ||
	    conf_wire_check(copy) == -1 || copy->nrelays != c->nrelays ||
	    strcmp(copy->hostname, c->hostname) != 0)
		abort();
	conf_free(copy);
	conf_free(c);
	return 0;
}
