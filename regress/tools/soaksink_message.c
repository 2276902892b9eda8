/*
 * The messages that soaksink gets: their ids, sizes and sums, and the record of
 * those that it has accepted.
 */
#include "soaksink.h"

#include <string.h>

void
soaksink_message_begin(struct soaksink_client *c)
{
	c->size = 0;
	c->sum = TOOL_SUM_START;
	c->has_id = 0;
	c->head_used = 0;
	c->nchunks = 0;
}

void
soaksink_message_drop(struct soaksink_client *c)
{
	soaksink_message_begin(c);
	c->has_mail = 0;
	c->nrcpt = 0;
	c->what = 'n';
}

/* A line in front of the id, or the id. */
static void
head_line(struct soaksink_client *c)
{
	static const char	name[] = "X-Soak-Id: ";
	size_t			len = sizeof(name) - 1, n;

	if (c->head_used > len + 2 && memcmp(c->head, name, len) == 0) {
		n = c->head_used - len - 2;
		if (n >= ID_MAX)
			n = ID_MAX - 1;
		memcpy(c->id, c->head + len, n);
		c->id[n] = '\0';
		c->has_id = 1;
		c->sum = tool_sum(c->sum, c->head, c->head_used);
		c->size = c->head_used;
	}
	c->head_used = 0;
}

void
soaksink_message_add(struct soaksink_client *c, const char *octets, size_t len)
{
	while (len > 0 && !c->has_id) {
		if (c->head_used < HEAD_MAX)
			c->head[c->head_used++] = *octets;
		if (*octets == '\n')
			head_line(c);
		octets++;
		len--;
	}
	c->sum = tool_sum(c->sum, octets, len);
	c->size += len;
}

static void
message_accept(struct soaksink_client *c)
{
	soaksink.nmessages++;
	if (!c->has_id) {
		soaksink.nunnamed++;
		(void)strlcpy(c->id, "?", sizeof(c->id));
	}
	fprintf(soaksink.journal, "%s %llu %016llx\n", c->id,
	    (unsigned long long)c->size, (unsigned long long)c->sum);
}

void
soaksink_message_end(struct soaksink_client *c)
{
	int	is_left = c->what == 'a' && c->stage == 'f';

	if (!soaksink_misbehave(c, 'f')) {
		message_accept(c);
		if (is_left)
			c->state = STATE_OVER;
		else
			soaksink_reply(c, "250 2.0.0 taken");
	}
	soaksink_message_drop(c);
}
