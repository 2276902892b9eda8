/*
 * TLS on one side of a session: its beginning, its handshake, what is known
 * then, and its end.  In the worker.  Everything that comes is the peer's; the
 * library judges it, and here it is seen to that a handshake never blocks, can
 * wait for its signature, and is given up without a trace.
 */
#include "session_tls_int.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "../common/log.h"

#define JOBS_MAX	256		/* handshakes that are paused at once,
					 * 32 KiB each */

_Static_assert(offsetof(struct session_tls, key) == 0, "tls_on_key() casts");

static port_tls_sign_fn		*signer;
static struct session_tls	*shaking;	/* whose handshake is called */

/*
 * Handshakes that found no job free.  Each time one comes back the first of
 * them is woken; it takes the job, or hands its turn on.
 */
TAILQ_HEAD(tls_queue, session_tls);
static struct tls_queue	queue = TAILQ_HEAD_INITIALIZER(queue);

void
session_tls_init(void)
{
	const char	*what;

	if (port_tls_init(&what) == -1)
		fatalx("TLS library: %s", what);
	(void)port_tls_jobs(JOBS_MAX);	/* 0: signatures are waited for */
}

void
session_tls_set_sign(port_tls_sign_fn *sign)
{
	signer = sign;
}

size_t
session_tls_sign(uint32_t key, uint16_t scheme, const uint8_t *octets,
    size_t len, uint8_t *sig)
{
	/* While this one is paused, others have their handshakes called. */
	struct session_tls	*t = shaking;
	size_t			 n;

	n = signer(key, scheme, octets, len, sig);
	if (n == 0 && t != NULL)
		t->is_unsigned = 1;
	return n;
}

static void
tls_on_key(struct key_wait *key)
{
	struct session_tls	*t = (struct session_tls *)(void *)key;

	t->wake(t->arg);
}

static void
queue_wake_next(void)
{
	struct session_tls	*t;

	if ((t = TAILQ_FIRST(&queue)) == NULL)
		return;
	TAILQ_REMOVE(&queue, t, entry);
	t->is_queued = 0;
	t->has_turn = 1;
	t->wake(t->arg);
}

static void
queue_add(struct session_tls *t)
{
	if (t->is_queued)
		return;
	TAILQ_INSERT_TAIL(&queue, t, entry);
	t->is_queued = 1;
}

static void
queue_remove(struct session_tls *t)
{
	if (t->is_queued)
		TAILQ_REMOVE(&queue, t, entry);
	t->is_queued = 0;
}

static struct session_tls *
tls_new(SSL_CTX *ctx, int fd, session_tls_fn *wake, void *arg)
{
	struct session_tls	*t;
	BIO			*b;

	ERR_clear_error();
	if ((t = calloc(1, sizeof(*t))) == NULL)
		return NULL;
	t->key.wake = tls_on_key;
	t->wake = wake;
	t->arg = arg;
	t->fd = fd;
	if ((t->ssl = SSL_new(ctx)) == NULL ||
	    (b = session_tls_bio_new(t)) == NULL) {
		SSL_free(t->ssl);
		free(t);
		return NULL;
	}
	SSL_set_bio(t->ssl, b, b);	/* takes it */
	return t;
}

static const struct tls_relay *
tls_relay_by_number(const struct tls_set *set, uint32_t number)
{
	return number < set->nrelays ? &set->relays[number] : NULL;
}

struct session_tls *
session_tls_accept(struct tls_set *set, uint32_t relay, uint32_t listener,
    int fd, session_tls_fn *wake, void *arg)
{
	const struct tls_relay	*r;
	const struct tls_server	*s;
	struct session_tls	*t;

	if ((r = tls_relay_by_number(set, relay)) == NULL)
		return NULL;
	if (listener == UINT32_MAX)
		s = &r->terminate;
	else if (listener < r->nlisteners)
		s = &r->listeners[listener];
	else
		return NULL;
	if (s->ncerts == 0 ||
	    (t = tls_new(s->certs[0].ctx, fd, wake, arg)) == NULL)
		return NULL;
	t->is_server = 1;
	t->is_checking = s->verify != TLS_VERIFY_OFF;
	SSL_set_accept_state(t->ssl);
	port_tls_set_async(t->ssl, 1);
	return t;
}

/* Who the certificate must be for (RFC 6125), and whom we ask for. */
static int
tls_set_host(SSL *ssl, const char *host)
{
	X509_VERIFY_PARAM	*param = SSL_get0_param(ssl);
	struct addr		 a;

	if (addr_parse(&a, host) == 0)
		return X509_VERIFY_PARAM_set1_ip(param, a.ip,
		    a.family == AF_INET ? 4 : 16) == 1 ? 0 : -1;
	X509_VERIFY_PARAM_set_hostflags(param,
	    X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	if (X509_VERIFY_PARAM_set1_host(param, host, strlen(host)) != 1)
		return -1;
	return SSL_set_tlsext_host_name(ssl, host) == 1 ? 0 : -1;
}

struct session_tls *
session_tls_connect(struct tls_set *set, uint32_t relay, const char *host,
    int fd, session_tls_fn *wake, void *arg)
{
	const struct tls_relay	*r;
	struct session_tls	*t;

	if ((r = tls_relay_by_number(set, relay)) == NULL ||
	    r->client == NULL ||
	    (t = tls_new(r->client, fd, wake, arg)) == NULL)
		return NULL;
	if (host != NULL && tls_set_host(t->ssl, host) == -1) {
		session_tls_free(t);
		return NULL;
	}
	t->is_checking = r->has_ca != 0;
	SSL_set_connect_state(t->ssl);
	return t;
}

void
session_tls_enter(struct session_tls *t)
{
	/* What another connection left would be taken for this one's. */
	ERR_clear_error();
	t->is_drained = 0;
	t->nrecv = 0;
	t->has_eof = 0;
	t->io_errno = 0;
}

/* Facts that must be copied, now that the handshake is done. */
static int
tls_take_facts(struct session_tls *t)
{
	const char	*sni;
	X509		*x;

	sni = SSL_get_servername(t->ssl, TLSEXT_NAMETYPE_host_name);
	/* The library refuses one of more than 255 octets (RFC 6066 3). */
	if (sni != NULL && (t->sni = strdup(sni)) == NULL)
		return -1;
	if ((x = SSL_get_peer_certificate(t->ssl)) == NULL)
		return 0;
	t->subject = session_tls_subject(x);
	X509_free(x);
	return t->subject == NULL ? -1 : 0;
}

static enum session_tls_result
tls_finish(struct session_tls *t)
{
	port_tls_set_async(t->ssl, 0);
	if (tls_take_facts(t) == -1) {
		t->state = SESSION_TLS_BROKEN;
		return TLS_FAILED;
	}
	t->state = SESSION_TLS_OPEN;
	t->is_full = 1;			/* data may have come behind it */
	return TLS_DONE;
}

/* One call of the handshake; SSL_ERROR_NONE: done. */
static int
tls_shake(struct session_tls *t)
{
	int	rc, was_drained = t->is_paused && t->is_drained;

	session_tls_enter(t);
	/* It goes on where it was; what has come since poll(2) will tell. */
	t->is_drained = was_drained != 0;
	key_client_enter(&t->key);
	shaking = t;
	rc = SSL_do_handshake(t->ssl);
	shaking = NULL;
	return rc == 1 ? SSL_ERROR_NONE : SSL_get_error(t->ssl, rc);
}

enum session_tls_result
session_tls_handshake(struct session_tls *t)
{
	int	error, had_turn = t->has_turn;

	if (t->state != SESSION_TLS_SHAKING)
		return t->state == SESSION_TLS_BROKEN ? TLS_FAILED : TLS_DONE;
	if (t->is_queued || (t->is_paused && key_client_is_waiting(&t->key)))
		return TLS_WAIT;
	error = tls_shake(t);
	t->is_paused = t->has_turn = port_tls_is_paused(error) != 0;
	if (t->is_paused)
		return TLS_WAIT;
	if (port_tls_is_jobless(error)) {
		queue_add(t);
		return TLS_WAIT;
	}
	if (had_turn)
		queue_wake_next();
	switch (error) {
	case SSL_ERROR_NONE:
		return tls_finish(t);
	case SSL_ERROR_WANT_READ:
		return TLS_WANT_READ;
	case SSL_ERROR_WANT_WRITE:
		return TLS_WANT_WRITE;
	default:
		session_tls_fail(t);
		return TLS_FAILED;
	}
}

/*
 * A handshake that is paused has its own stack, which SSL_free() would leave
 * behind with all that is on it: it must return first.
 */
static void
tls_unwind(struct session_tls *t)
{
	key_client_cancel(&t->key);
	t->is_mute = 1;
	(void)tls_shake(t);
	ERR_clear_error();
}

void
session_tls_free(struct session_tls *t)
{
	int	had_turn;

	if (t == NULL)
		return;
	had_turn = t->has_turn;
	if (t->is_paused)
		tls_unwind(t);
	queue_remove(t);
	SSL_free(t->ssl);
	free(t->sni);
	free(t->subject);
	free(t->error);
	free(t);
	if (had_turn)
		queue_wake_next();
}

/* What is to be said of the peer's certificate. */
static const char *
tls_verify_fact(const struct session_tls *t)
{
	if (t->subject == NULL)
		return "none";
	if (!t->is_checking)
		return "not checked";
	return session_tls_verify_text(SSL_get_verify_result(t->ssl));
}

void
session_tls_facts(const struct session_tls *t, struct smtp_tls_facts *facts)
{
	memset(facts, 0, sizeof(*facts));
	facts->protocol = SSL_get_version(t->ssl);
	facts->cipher = SSL_get_cipher_name(t->ssl);
	facts->sni = t->sni;
	facts->subject = t->subject;
	facts->verify = tls_verify_fact(t);
	facts->is_verified = t->subject != NULL && t->is_checking &&
	    SSL_get_verify_result(t->ssl) == X509_V_OK;
}

const char *
session_tls_error(const struct session_tls *t)
{
	if (t->error != NULL)
		return t->error;
	return t->state == SESSION_TLS_BROKEN ? "out of memory" : "none";
}
