/*
 * The certificate files of a configuration, as the parent read them: PEM to
 * certificates, chains and stores of authorities.  In the worker, which trusts
 * the parent: that they parse was seen before service began.
 */
#include "session_tls_int.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/pem.h>

/* A certificate's file is never encrypted, and nobody is there to ask. */
static int
no_password(char *to, int size, int is_writing, void *arg)
{
	(void)to;
	(void)size;
	(void)is_writing;
	(void)arg;
	return -1;
}

const struct conf_blob *
tls_files_blob(const struct conf *conf, uint32_t number)
{
	const struct conf_blob	*b;

	for (b = conf->blobs; b != NULL; b = b->next)
		if (b->number == number)
			return b;
	return NULL;
}

static void
chain_free(STACK_OF(X509) *chain)
{
	sk_X509_pop_free(chain, X509_free);
}

/* All certificates behind one another, until there is no other. */
static int
chain_read(STACK_OF(X509) *chain, BIO *in)
{
	X509		*x;
	unsigned long	 e;

	ERR_clear_error();
	while ((x = PEM_read_bio_X509(in, NULL, no_password, NULL)) != NULL) {
		if (sk_X509_push(chain, x) == 0) {
			X509_free(x);
			return -1;
		}
	}
	e = ERR_peek_last_error();
	ERR_clear_error();
	if (ERR_GET_LIB(e) != ERR_LIB_PEM ||
	    ERR_GET_REASON(e) != PEM_R_NO_START_LINE)
		return -1;
	return sk_X509_num(chain) > 0 ? 0 : -1;
}

/* The certificates of a blob, at least one; NULL when they don't parse. */
static STACK_OF(X509) *
chain_load(const struct conf *conf, uint32_t number)
{
	const struct conf_blob	*b;
	STACK_OF(X509)		*chain;
	BIO			*in;
	int			 rc;

	if ((b = tls_files_blob(conf, number)) == NULL || b->data == NULL ||
	    b->len > CONF_BLOB_MAX)
		return NULL;
	if ((in = BIO_new_mem_buf(b->data, (int)b->len)) == NULL)
		return NULL;
	rc = -1;
	if ((chain = sk_X509_new_null()) != NULL)
		rc = chain_read(chain, in);
	BIO_free(in);
	if (rc == 0)
		return chain;
	chain_free(chain);
	return NULL;
}

static int
store_fill(X509_STORE *store, STACK_OF(X509) *chain)
{
	int	i;

	/* One that is there already is no error. */
	for (i = 0; i < sk_X509_num(chain); i++)
		if (X509_STORE_add_cert(store, sk_X509_value(chain, i)) != 1)
			return -1;
	return 0;
}

X509_STORE *
tls_files_store(struct tls_files *f, uint32_t number)
{
	STACK_OF(X509)	*chain;
	X509_STORE	*store;

	if (number >= f->conf->nblobs)
		return NULL;
	if (f->stores[number] != NULL)
		return f->stores[number];
	if ((chain = chain_load(f->conf, number)) == NULL)
		return NULL;
	if ((store = X509_STORE_new()) != NULL &&
	    store_fill(store, chain) == -1) {
		X509_STORE_free(store);
		store = NULL;
	}
	chain_free(chain);
	f->stores[number] = store;
	return store;
}

STACK_OF(X509) *
tls_files_chain(struct tls_files *f, const struct conf_pki *p)
{
	if (p->number >= f->conf->npkis)
		return NULL;
	if (f->chains[p->number] == NULL)
		f->chains[p->number] = chain_load(f->conf, p->cert);
	return f->chains[p->number];
}

void
tls_files_clear(struct tls_files *f)
{
	uint32_t	i;

	for (i = 0; f->stores != NULL && i < f->conf->nblobs; i++)
		X509_STORE_free(f->stores[i]);
	for (i = 0; f->chains != NULL && i < f->conf->npkis; i++)
		chain_free(f->chains[i]);
	free(f->stores);
	free(f->chains);
	f->stores = NULL;
	f->chains = NULL;
}

/* One more than needed: calloc() of nothing may be NULL. */
int
tls_files_init(struct tls_files *f, const struct conf *conf,
    const struct port_tls_tickets *tickets)
{
	memset(f, 0, sizeof(*f));
	f->conf = conf;
	f->tickets = tickets;
	f->what = "out of memory";
	f->stores = calloc((size_t)conf->nblobs + 1, sizeof(*f->stores));
	f->chains = calloc((size_t)conf->npkis + 1, sizeof(*f->chains));
	if (f->stores == NULL || f->chains == NULL) {
		tls_files_clear(f);
		return -1;
	}
	return 0;
}

int
tls_files_fail(struct tls_files *f, const char *what)
{
	f->what = what;
	return -1;
}
