/*
 * What the configuration asks others while it is loaded.  Runs in the parent,
 * which parses neither answers of the network nor certificates: short-lived
 * children do (resolve, keycheck), one of them at a time.
 */
#include "parent_load.h"

#include <stdio.h>
#include <string.h>

#include "../privsep/chan.h"
#include "conf_load.h"
#include "conf_wire.h"
#include "keycheck.h"
#include "keyfile.h"
#include "messages.h"
#include "resolve.h"

struct load {
	const char	*self_path;
	struct resolver	*resolver;	/* at most one of the two */
	struct keycheck	*keycheck;
};

static void
load_end_children(struct load *l)
{
	resolver_free(l->resolver);
	keycheck_free(l->keycheck);
	l->resolver = NULL;
	l->keycheck = NULL;
}

static int
load_resolve(void *arg, const struct conf *c, const char *host,
    struct addr *addrs, size_t *n, struct conf_why *why)
{
	struct load	*l = arg;

	if (l->resolver == NULL) {
		load_end_children(l);
		l->resolver = resolver_new(l->self_path, NULL);
	}
	if (l->resolver == NULL)
		return conf_fail(why, "out of memory");
	return resolver_lookup(l->resolver, c, host, addrs, n, why);
}

static struct keycheck *
load_keycheck(struct load *l, struct conf_why *why)
{
	if (l->keycheck == NULL) {
		load_end_children(l);
		l->keycheck = keycheck_new(l->self_path, NULL);
	}
	if (l->keycheck == NULL)
		(void)conf_fail(why, "out of memory");
	return l->keycheck;
}

static int
load_check_pair(void *arg, const uint8_t *cert, size_t certlen,
    const uint8_t *key, size_t keylen, struct conf_why *why)
{
	struct keycheck	*k;

	if ((k = load_keycheck(arg, why)) == NULL)
		return -1;
	return keycheck_pair(k, cert, certlen, key, keylen, why);
}

static int
load_check_ca(void *arg, const uint8_t *octets, size_t len,
    struct conf_why *why)
{
	struct keycheck	*k;

	if ((k = load_keycheck(arg, why)) == NULL)
		return -1;
	return keycheck_ca(k, octets, len, why);
}

static int
load_check_ciphers(void *arg, const char *list, struct conf_why *why)
{
	struct keycheck	*k;

	if ((k = load_keycheck(arg, why)) == NULL)
		return -1;
	return keycheck_ciphers(k, list, why);
}

static int
load_count(void *arg, const uint8_t *octets, size_t len)
{
	size_t	*n = arg;

	(void)octets;
	(void)len;
	(*n)++;
	return 0;
}

/*
 * A worker takes it in one go: what its channel does not hold would never
 * come.
 */
static int
load_is_too_large(const char *file, const struct conf *c)
{
	const struct conf_blob	*b;
	size_t			 n = 2;

	(void)conf_wire_write(c, load_count, &n);
	for (b = c->blobs; b != NULL; b = b->next)
		n += b->len / CONF_PIECE_MAX + 1;
	if (n <= CHAN_QUEUE_MAX)
		return 0;
	(void)fprintf(stderr, "%s: too large, %zu messages to a worker, "
	    "expected at most %d: fewer files of certificates, or several "
	    "in one\n", file, n, CHAN_QUEUE_MAX);
	return 1;
}

struct conf *
parent_load(const char *file, const char *self_path)
{
	static const struct conf_hooks	 hooks = {
		.resolve = load_resolve,
		.read_key = keyfile_read_key,
		.read_cert = keyfile_read_cert,
		.check_pair = load_check_pair,
		.check_ca = load_check_ca,
		.check_ciphers = load_check_ciphers
	};
	struct load			 l;
	struct conf			*c;

	memset(&l, 0, sizeof(l));
	l.self_path = self_path;
	c = conf_load(file, &hooks, &l);
	load_end_children(&l);
	if (c == NULL || !load_is_too_large(file, c))
		return c;
	conf_free(c);
	return NULL;
}
