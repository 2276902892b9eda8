/*
 * Settings of TLS one by one: pkis, protocols, ciphers, and the words of
 * listeners and forward lines.  Parent only, while it reads the file; a worker
 * checks its snapshot with some of the same functions.  Files are only named
 * here: conf_finish_tls.c has them read.
 */
#include "conf.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "conf_int.h"

static int
tls_set_path(char *to, const char *path, struct conf_why *why)
{
	if (path[0] != '/' || strlen(path) >= CONF_PATH_MAX)
		return conf_fail(why, "can't use the file \"%s\", expected an "
		    "absolute path below %d octets", path, CONF_PATH_MAX);
	(void)strlcpy(to, path, CONF_PATH_MAX);
	return 0;
}

/* The pki of that name, made where there is none yet. */
static struct conf_pki *
tls_get_pki(struct conf *c, const char *name, struct conf_place place,
    struct conf_why *why)
{
	struct conf_pki	*p, **end;

	if (conf_check_name(name, CONF_HOST_MAX, "pki", why) == -1)
		return NULL;
	for (end = &c->pkis; (p = *end) != NULL; end = &p->next)
		if (strcmp(p->name, name) == 0)
			return p;
	if (c->npkis >= CONF_PKIS_MAX) {
		(void)conf_fail(why, "too many pkis, expected at most %d",
		    CONF_PKIS_MAX);
		return NULL;
	}
	if ((p = calloc(1, sizeof(*p))) == NULL) {
		(void)conf_fail(why, "out of memory");
		return NULL;
	}
	(void)strlcpy(p->name, name, sizeof(p->name));
	p->number = c->npkis++;
	p->cert = CONF_NO_BLOB;
	p->place = place;
	*end = p;
	return p;
}

int
conf_set_pki(struct conf *c, const char *name, int is_key, const char *path,
    struct conf_place place, struct conf_why *why)
{
	struct conf_pki		*p;
	struct conf_place	*at;

	if ((p = tls_get_pki(c, name, place, why)) == NULL)
		return -1;
	at = is_key ? &p->key_place : &p->cert_place;
	if (at->file != NULL)
		return conf_fail(why, "pki %s %s stands at %s:%d already, "
		    "expected it once", name, is_key ? "key" : "cert",
		    at->file, at->line);
	*at = place;
	return tls_set_path(is_key ? p->key_path : p->cert_path, path, why);
}

int
conf_read_tls_protocol(const char *word, unsigned int *bits,
    struct conf_why *why)
{
	unsigned int	bit = 0;

	if (strcmp(word, "TLSv1.2") == 0)
		bit = CONF_TLS12;
	else if (strcmp(word, "TLSv1.3") == 0)
		bit = CONF_TLS13;
	if (bit == 0)
		return conf_fail(why, "\"%s\" is no protocol, expected "
		    "TLSv1.2 or TLSv1.3", word);
	if ((*bits & bit) != 0)
		return conf_fail(why, "protocol %s stands there already, "
		    "expected it once", word);
	*bits |= bit;
	return 0;
}

/* Global, or of a relay. */
static int
tls_set_once(struct conf *c, struct conf_relay *r, enum conf_setting global,
    enum conf_relay_setting own, const char *name, struct conf_why *why)
{
	if (r == NULL)
		return conf_set_once(&c->is_set, global, name, why);
	return conf_set_once(&r->is_set, own, name, why);
}

int
conf_set_tls_protocols(struct conf *c, struct conf_relay *r,
    unsigned int bits, struct conf_why *why)
{
	if (tls_set_once(c, r, SETTING_TLS_PROTOCOLS, RELAY_TLS_PROTOCOLS,
	    "tls-protocols", why) == -1)
		return -1;
	if (r == NULL)
		c->tls_protocols = bits;
	else
		r->tls_protocols = bits;
	return 0;
}

/* The library knows what its words mean; these are the octets they have. */
static int
tls_check_ciphers(const char *list, struct conf_why *why)
{
	const unsigned char	*p = (const unsigned char *)list;

	while (*p != '\0' && *p < 0x80 &&
	    (isalnum(*p) || strchr(":,+-!@=_.", *p) != NULL))
		p++;
	if (list[0] == '\0' || *p != '\0' ||
	    strlen(list) >= CONF_CIPHERS_MAX)
		return conf_fail(why, "\"%s\" is no list of ciphers, expected "
		    "names with ':' between them, below %d octets", list,
		    CONF_CIPHERS_MAX);
	return 0;
}

int
conf_set_tls_ciphers(struct conf *c, struct conf_relay *r, const char *list,
    struct conf_place place, struct conf_why *why)
{
	if (tls_set_once(c, r, SETTING_TLS_CIPHERS, RELAY_TLS_CIPHERS,
	    "tls-ciphers", why) == -1 || tls_check_ciphers(list, why) == -1)
		return -1;
	(void)strlcpy(r == NULL ? c->tls_ciphers : r->tls_ciphers, list,
	    CONF_CIPHERS_MAX);
	if (r == NULL)
		c->tls_ciphers_place = place;
	else
		r->tls_ciphers_place = place;
	return 0;
}

int
conf_set_server_tls(struct conf_tls_server *s, enum conf_tls mode,
    enum conf_tls_verify verify, const char *ca, struct conf_why *why)
{
	s->mode = mode;
	s->verify = verify;
	if (verify != TLS_VERIFY_OFF && ca == NULL)
		return conf_fail(why, "verify without CA certificates to "
		    "check by, expected ca \"FILE\" behind the pki");
	if (verify == TLS_VERIFY_OFF && ca != NULL)
		return conf_fail(why, "ca without verify, expected verify in "
		    "front of the pki");
	return ca == NULL ? 0 : tls_set_path(s->ca_path, ca, why);
}

int
conf_add_server_pki(struct conf_tls_server *s, const char *name,
    struct conf_place place, struct conf_why *why)
{
	struct conf_pki_name	*more;
	size_t			 i;

	if (conf_check_name(name, CONF_HOST_MAX, "pki", why) == -1)
		return -1;
	for (i = 0; i < s->npkis; i++)
		if (strcmp(s->pkis[i].name, name) == 0)
			return conf_fail(why, "pki %s stands there already, "
			    "expected it once", name);
	if (s->npkis >= CONF_TLS_PKIS_MAX)
		return conf_fail(why, "too many pkis, expected at most %d in "
		    "a line", CONF_TLS_PKIS_MAX);
	more = reallocarray(s->pkis, s->npkis + 1, sizeof(*more));
	if (more == NULL)
		return conf_fail(why, "out of memory");
	s->pkis = more;
	more += s->npkis++;
	memset(more, 0, sizeof(*more));
	(void)strlcpy(more->name, name, sizeof(more->name));
	more->place = place;
	return 0;
}

/* CA certificates without a check would be believed to protect. */
static int
tls_set_client(struct conf_tls_client *t, enum conf_dest_tls mode,
    int is_implicit, const char *ca, struct conf_why *why)
{
	memset(t, 0, sizeof(*t));
	t->mode = mode;
	t->is_implicit = is_implicit;
	t->ca = CONF_NO_BLOB;
	if (ca == NULL)
		return 0;
	if (mode != DEST_TLS_VERIFY)
		return conf_fail(why, "ca where no certificate is checked, "
		    "expected it without no-verify and opportunistic");
	return tls_set_path(t->ca_path, ca, why);
}

int
conf_set_forward_tls(struct conf_relay *r, enum conf_dest_tls mode,
    int is_implicit, const char *ca, struct conf_why *why)
{
	struct conf_tls_client	t;

	if (r->forward != FORWARD_FIXED && mode != DEST_TLS_OFF)
		return conf_fail(why, "TLS towards destinations that are "
		    "intercepted, expected starttls terminate in a line of "
		    "its own");
	/* The destination's side of starttls terminate is not this line's. */
	if (r->forward != FORWARD_FIXED)
		return 0;
	if (tls_set_client(&t, mode, is_implicit, ca, why) == -1)
		return -1;
	if ((r->is_set & (1U << RELAY_FORWARD_TLS)) == 0) {
		r->is_set |= 1U << RELAY_FORWARD_TLS;
		r->tls = t;
		return 0;
	}
	if (r->tls.mode == t.mode && r->tls.is_implicit == t.is_implicit &&
	    strcmp(r->tls.ca_path, t.ca_path) == 0)
		return 0;
	return conf_fail(why, "the forward line at %s:%d says something else "
	    "about TLS, expected all lines of a relay to say the same",
	    r->forward_place.file, r->forward_place.line);
}

int
conf_set_terminate(struct conf_relay *r, enum conf_dest_tls mode,
    const char *ca, struct conf_why *why)
{
	struct conf_tls_client	t;

	if (tls_set_client(&t, mode, 0, ca, why) == -1)
		return -1;
	r->tls = t;
	return 0;
}
