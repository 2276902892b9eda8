#ifndef SOAK_H
#define SOAK_H

#include <sys/types.h>
#include <sys/socket.h>

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/ssl.h>

/* What soakload and soaksink share: time, chance, sums, connections. */

static inline int64_t
soak_now_ms(void)
{
	struct timespec	ts;

	if (clock_gettime(CLOCK_MONOTONIC, &ts) == -1)
		err(1, "clock_gettime");
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static inline unsigned int
soak_number(const char *text, unsigned int min, unsigned int max)
{
	const char	*bad;
	long long	 n;

	n = strtonum(text, min, max, &bad);
	if (bad != NULL)
		errx(1, "%s: %s", text, bad);
	return (unsigned int)n;
}

/* Numbers that look like chance, the same ones each time (splitmix64). */
struct soak_rng {
	uint64_t	state;
};

static inline uint64_t
soak_random(struct soak_rng *r)
{
	uint64_t	z;

	z = r->state += UINT64_C(0x9e3779b97f4a7c15);
	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

/* From min to max, both included. */
static inline uint32_t
soak_between(struct soak_rng *r, uint32_t min, uint32_t max)
{
	return min + (uint32_t)(soak_random(r) %
	    ((uint64_t)max - min + 1));
}

static inline int
soak_percent(struct soak_rng *r, uint32_t percent)
{
	return soak_between(r, 1, 100) <= percent;
}

/* A checksum of content, octet by octet (FNV-1a). */
#define SOAK_SUM_START	UINT64_C(0xcbf29ce484222325)

static inline uint64_t
soak_sum(uint64_t sum, const char *octets, size_t len)
{
	size_t	i;

	for (i = 0; i < len; i++) {
		sum ^= (unsigned char)octets[i];
		sum *= UINT64_C(0x100000001b3);
	}
	return sum;
}

/* A connection, in clear or in TLS, which never blocks. */
struct soak_stream {
	int	 fd;
	SSL	*ssl;		/* NULL: in clear */
	short	 want;		/* what TLS waits for beside its own */
};

static inline void
soak_set_nonblocking(int fd)
{
	int	flags;

	if ((flags = fcntl(fd, F_GETFL)) == -1 ||
	    fcntl(fd, F_SETFL, flags | O_NONBLOCK) == -1)
		err(1, "fcntl");
}

/* 0: the call is to be made again, else -1: it is over. */
static inline ssize_t
soak_tls_again(struct soak_stream *s, int rc)
{
	switch (SSL_get_error(s->ssl, rc)) {
	case SSL_ERROR_WANT_READ:
		s->want = POLLIN;
		return 0;
	case SSL_ERROR_WANT_WRITE:
		s->want = POLLOUT;
		return 0;
	default:
		return -1;
	}
}

/* Octets, 0 where there are none now, -1 at the end however it came. */
static inline ssize_t
soak_read(struct soak_stream *s, char *place, size_t size)
{
	ssize_t	n;

	if (s->ssl != NULL) {
		ERR_clear_error();
		n = SSL_read(s->ssl, place, (int)size);
		return n > 0 ? n : soak_tls_again(s, (int)n);
	}
	n = read(s->fd, place, size);
	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return 0;
	return n > 0 ? n : -1;
}

static inline ssize_t
soak_write(struct soak_stream *s, const char *octets, size_t len)
{
	ssize_t	n;

	if (s->ssl != NULL) {
		ERR_clear_error();
		n = SSL_write(s->ssl, octets, (int)len);
		return n > 0 ? n : soak_tls_again(s, (int)n);
	}
	n = send(s->fd, octets, len, MSG_NOSIGNAL);
	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return 0;
	return n > 0 ? n : -1;
}

/* 1: it is done, 0: it has to wait, -1: it failed. */
static inline int
soak_handshake(struct soak_stream *s)
{
	int	rc;

	ERR_clear_error();
	if ((rc = SSL_do_handshake(s->ssl)) == 1)
		return 1;
	return (int)soak_tls_again(s, rc);
}

static inline void
soak_tls_start(struct soak_stream *s, SSL_CTX *ctx, int is_server)
{
	if ((s->ssl = SSL_new(ctx)) == NULL || SSL_set_fd(s->ssl, s->fd) != 1)
		errx(1, "no memory for TLS");
	if (is_server)
		SSL_set_accept_state(s->ssl);
	else
		SSL_set_connect_state(s->ssl);
}

static inline SSL_CTX *
soak_tls_context(const SSL_METHOD *method)
{
	SSL_CTX	*ctx;

	if ((ctx = SSL_CTX_new(method)) == NULL ||
	    SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) != 1)
		errx(1, "%s", ERR_error_string(ERR_get_error(), NULL));
	(void)SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS |
	    SSL_MODE_ENABLE_PARTIAL_WRITE |
	    SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	return ctx;
}

/* With a reset where that is asked for. */
static inline void
soak_close(struct soak_stream *s, int is_reset)
{
	struct linger	now = { 1, 0 };

	if (s->fd == -1)
		return;
	if (is_reset)
		(void)setsockopt(s->fd, SOL_SOCKET, SO_LINGER, &now,
		    sizeof(now));
	/* Its session shall stay one that can be resumed. */
	if (s->ssl != NULL)
		SSL_set_shutdown(s->ssl,
		    SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
	SSL_free(s->ssl);
	s->ssl = NULL;
	(void)close(s->fd);
	s->fd = -1;
}

#endif
