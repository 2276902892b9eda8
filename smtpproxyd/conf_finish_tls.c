/*
 * The files of TLS: certificates are read once each and kept as they are, for
 * the workers; a private key is read to be checked and wiped at once.  Parent
 * only, when the whole configuration is read.  Nobody here looks at the
 * octets: root hands them to a child that parses them (struct conf_hooks).
 */
#include "conf_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../common/port/port.h"

/* A file that a line names, and what that line says of it. */
struct tls_file {
	char				 what[CONF_HOST_MAX + 16];
	const char			*path;
	const struct conf_place		*place;
};

/* cause names the path already. */
static void
tls_say_unread(struct finish *f, const struct tls_file *file,
    const struct conf_why *cause)
{
	struct conf_why	why;

	(void)conf_fail(&why, "%s: %s", file->what, cause->text);
	finish_say(f, file->place, &why);
}

static void
tls_say(struct finish *f, const struct tls_file *file,
    const struct conf_why *cause)
{
	struct conf_why	why;

	(void)conf_fail(&why, "%s: %s: %s", file->what, file->path,
	    cause->text);
	finish_say(f, file->place, &why);
}

static struct tls_file
tls_file_of_pki(const struct conf_pki *p, int is_key)
{
	struct tls_file	file;

	(void)snprintf(file.what, sizeof(file.what), "pki %s %s", p->name,
	    is_key ? "key" : "cert");
	file.path = is_key ? p->key_path : p->cert_path;
	file.place = is_key ? &p->key_place : &p->cert_place;
	return file;
}

static struct conf_blob *
tls_new_blob(struct conf *c, const char *path)
{
	struct conf_blob	*b, **end;

	if ((b = calloc(1, sizeof(*b))) == NULL)
		return NULL;
	(void)strlcpy(b->path, path, sizeof(b->path));
	b->number = c->nblobs++;
	for (end = &c->blobs; *end != NULL; end = &(*end)->next)
		;
	*end = b;
	return b;
}

/* Read it; all of them together may not be too large. */
static int
tls_fill_blob(struct finish *f, const struct tls_file *file,
    struct conf_blob *b)
{
	struct conf_why	 why = { "can't be read" };
	uint8_t		*data = NULL;
	size_t		 len = 0;

	if (f->hooks->read_cert(file->path, CONF_BLOB_MAX, &data, &len,
	    &why) == -1) {
		tls_say_unread(f, file, &why);
		return -1;
	}
	if (len == 0 || len > CONF_BLOB_MAX - f->blob_octets) {
		free(data);
		if (len == 0)
			(void)conf_fail(&why, "empty, expected PEM");
		else
			(void)conf_fail(&why, "too large, expected at most %d "
			    "octets in all files of certificates together",
			    CONF_BLOB_MAX);
		tls_say(f, file, &why);
		return -1;
	}
	b->data = data;
	b->len = len;
	f->blob_octets += len;
	return 0;
}

/*
 * The blob of a path, read where it is the first to name it.  One that could
 * not be read stays, empty, so that this is said once.
 *   returns   NULL when there is none; *is_new: it was read now
 */
static struct conf_blob *
tls_get_blob(struct finish *f, const struct tls_file *file, int *is_new)
{
	struct conf_blob	*b;
	struct conf_why		 why;

	*is_new = 0;
	for (b = f->conf->blobs; b != NULL; b = b->next)
		if (strcmp(b->path, file->path) == 0)
			return b;
	if (f->conf->nblobs >= CONF_BLOBS_MAX)
		(void)conf_fail(&why, "one too many, expected at most %d "
		    "files of certificates", CONF_BLOBS_MAX);
	else if ((b = tls_new_blob(f->conf, file->path)) == NULL)
		(void)conf_fail(&why, "out of memory");
	if (b == NULL)
		tls_say(f, file, &why);
	else if (f->hooks->read_cert != NULL)
		*is_new = tls_fill_blob(f, file, b) == 0;
	return b;
}

/* What is wrong with a pair is said now: no worker ever sees the key. */
static void
tls_check_pair(struct finish *f, const struct conf_pki *p,
    const struct conf_blob *cert)
{
	uint8_t		 key[CONF_KEY_MAX];
	struct tls_file	 file;
	struct conf_why	 cause = { "can't be read" }, why;
	size_t		 len = 0;
	int		 rc = 0;

	if (f->hooks->read_key == NULL)
		return;
	if (f->hooks->read_key(p->key_path, key, &len, &cause) == -1) {
		file = tls_file_of_pki(p, 1);
		tls_say_unread(f, &file, &cause);
	} else if (f->hooks->check_pair != NULL && cert->len > 0)
		rc = f->hooks->check_pair(f->arg, cert->data, cert->len, key,
		    len, &cause);
	explicit_bzero(key, sizeof(key));
	if (rc == 0)
		return;
	(void)conf_fail(&why, "pki %s: %s", p->name, cause.text);
	finish_say(f, &p->place, &why);
}

static void
tls_pki(struct finish *f, struct conf_pki *p)
{
	struct tls_file		 file;
	struct conf_why		 why;
	struct conf_blob	*cert;
	int			 is_new;

	if (p->cert_place.file == NULL || p->key_place.file == NULL) {
		(void)conf_fail(&why, "pki %s has no %s, expected pki %s %s "
		    "\"FILE\"", p->name, p->cert_place.file == NULL ?
		    "certificate" : "key", p->name,
		    p->cert_place.file == NULL ? "cert" : "key");
		finish_say(f, &p->place, &why);
		return;
	}
	if (p->cert_path[0] == '\0' || p->key_path[0] == '\0')
		return;			/* a path was refused */
	file = tls_file_of_pki(p, 0);
	if ((cert = tls_get_blob(f, &file, &is_new)) == NULL)
		return;
	p->cert = cert->number;
	tls_check_pair(f, p, cert);
}

static void
tls_ciphers(struct finish *f, const char *list,
    const struct conf_place *place)
{
	struct conf_why	cause, why;

	if (list[0] == '\0' || f->hooks->check_ciphers == NULL ||
	    f->hooks->check_ciphers(f->arg, list, &cause) == 0)
		return;
	(void)conf_fail(&why, "tls-ciphers: %s", cause.text);
	finish_say(f, place, &why);
}

void
finish_pkis(struct finish *f)
{
	struct conf_pki	*p;

	for (p = f->conf->pkis; p != NULL; p = p->next)
		tls_pki(f, p);
	tls_ciphers(f, f->conf->tls_ciphers, &f->conf->tls_ciphers_place);
}

/* path "": the system's.  CONF_NO_BLOB when there is none. */
static uint32_t
tls_ca(struct finish *f, const char *path, const struct conf_place *place)
{
	const struct conf_blob	*b;
	struct tls_file		 file;
	struct conf_why		 cause;
	int			 is_new;

	(void)strlcpy(file.what, path[0] == '\0' ? "the system's CA "
	    "certificates, in the place of ca \"FILE\"" : "ca",
	    sizeof(file.what));
	file.path = path[0] == '\0' ? port_ca_file() : path;
	file.place = place;
	if ((b = tls_get_blob(f, &file, &is_new)) == NULL)
		return CONF_NO_BLOB;
	if (is_new && f->hooks->check_ca != NULL &&
	    f->hooks->check_ca(f->arg, b->data, b->len, &cause) == -1)
		tls_say(f, &file, &cause);
	return b->number;
}

/* The names of pkis to their numbers, and the certificates of clients. */
static void
tls_server(struct finish *f, struct conf_tls_server *s,
    const struct conf_place *place)
{
	const struct conf_pki	*p;
	struct conf_why		 why;
	size_t			 i;

	for (i = 0; i < s->npkis; i++) {
		for (p = f->conf->pkis; p != NULL; p = p->next)
			if (strcmp(p->name, s->pkis[i].name) == 0)
				break;
		if (p != NULL) {
			s->pkis[i].pki = p->number;
			continue;
		}
		(void)conf_fail(&why, "pki %s is not there, expected pki %s "
		    "cert \"FILE\" and pki %s key \"FILE\"", s->pkis[i].name,
		    s->pkis[i].name, s->pkis[i].name);
		finish_say(f, &s->pkis[i].place, &why);
	}
	if (s->ca_path[0] != '\0')
		s->ca = tls_ca(f, s->ca_path, place);
}

void
finish_tls(struct finish *f, struct conf_relay *r)
{
	struct conf_listener	*l;

	if ((r->is_set & (1U << RELAY_TLS_PROTOCOLS)) == 0)
		r->tls_protocols = f->conf->tls_protocols;
	if ((r->is_set & (1U << RELAY_TLS_CIPHERS)) == 0)
		(void)strlcpy(r->tls_ciphers, f->conf->tls_ciphers,
		    sizeof(r->tls_ciphers));
	else
		tls_ciphers(f, r->tls_ciphers, &r->tls_ciphers_place);
	for (l = r->listeners; l != NULL; l = l->next)
		tls_server(f, &l->tls, &l->place);
	tls_server(f, &r->terminate, &r->starttls_place);
	if (r->tls.mode == DEST_TLS_VERIFY)
		r->tls.ca = tls_ca(f, r->tls.ca_path,
		    r->starttls == STARTTLS_TERMINATE ? &r->starttls_place :
		    &r->forward_place);
}
