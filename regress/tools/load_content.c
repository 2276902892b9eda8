/*
 * load: the messages.  Each begins with a header X-Load-Id that no other
 * message has, and one with its size, for a sink that checks; the body is the
 * same for all, and has lines that begin with dots.
 */
#include "load.h"

#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static char	*body;
static size_t	 body_len;
static char	 run_id[32];	/* no other run has it */

/*
 * Every tenth line begins with a dot.  With DATA that dot is sent twice, and
 * the final dot belongs to the body.
 */
static void
body_make(void)
{
	size_t		 want = load_conf.size - LOAD_HEAD_SIZE, made = 0;
	size_t		 len, i;
	unsigned int	 n = 0;

	if ((body = malloc(want * 2 + 8)) == NULL)
		err(1, NULL);
	while (made < want) {
		/* No rest of one octet: a line needs its CRLF. */
		len = want - made;
		if (len > 78)
			len = len < 80 ? 70 : 78;
		if (n++ % 10 == 9 && len > 2) {
			if (!load_conf.bdat)
				body[body_len++] = '.';
			body[body_len++] = '.';
		} else if (len > 2)
			body[body_len++] = 'x';
		for (i = 1; i + 2 < len; i++)
			body[body_len++] = (char)('a' + (i + n) % 26);
		memcpy(body + body_len, "\r\n", 2);
		body_len += 2;
		made += len;
	}
	if (!load_conf.bdat) {
		memcpy(body + body_len, ".\r\n", 3);
		body_len += 3;
	}
}

void
load_content_make(void)
{
	/* The process id alone is not unique across namespaces. */
	(void)snprintf(run_id, sizeof(run_id), "%010llx-%08lx",
	    (unsigned long long)time(NULL), (long)getpid());
	body_make();
}

void
load_content_head(const struct load_session *s, char *to)
{
	static const char	*fields =
	    "From: <load@client.example>\r\nTo: <user@test.example>\r\n"
	    "X-Fill: ";
	int			 len;
	size_t			 n;

	len = snprintf(to, LOAD_HEAD_SIZE, "X-Load-Id: %s-%08llu-%06u\r\n"
	    "X-Load-Size: %u\r\n%s", run_id, (unsigned long long)s->id,
	    s->done, load_conf.size, fields);
	if (len < 0 || len > LOAD_HEAD_SIZE - 4)
		errx(1, "headers too long");
	n = (size_t)len;
	while (n < LOAD_HEAD_SIZE - 4)
		to[n++] = '-';
	memcpy(to + n, "\r\n\r\n", 4);
}

void
load_content_body(struct iovec *iov)
{
	iov->iov_base = body;
	iov->iov_len = body_len;
}
