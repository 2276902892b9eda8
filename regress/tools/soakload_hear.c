/*
 * What a session of soakload hears: is it what was due, and how did a message
 * end?
 */
#include "soakload.h"

#include <ctype.h>
#include <stdarg.h>
#include <string.h>

void
soakload_complain(struct soakload_session *s, const char *fmt, ...)
{
	va_list	ap;

	soakload.ncomplaints++;
	printf("complaint %lld %lld session %u, kind %d, step %d, message %u: ",
	    (long long)s->began_ms, (long long)soakload.now_ms, s->id,
	    (int)s->plan.kind, (int)s->step, s->number);
	va_start(ap, fmt);
	(void)vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
	(void)fflush(stdout);
	s->is_over = 1;
}

void
soakload_record(struct soakload_session *s, char how)
{
	if (!s->is_open)
		return;
	s->is_open = 0;
	soakload.nmessages++;
	if (how == 'a')
		soakload.nacknowledged++;
	if (how == 'd' || how == 'r')
		soakload.nrefused++;
	if (s->message.is_dirty && how != 'a')
		how = 'x';
	fprintf(soakload.journal, "%s %c %llu %016llx\n", s->name, how,
	    (unsigned long long)s->content.size,
	    (unsigned long long)s->content.sum);
}

static void
hear_final(struct soakload_session *s, const char *line)
{
	if (line[0] == '2' && !s->is_sent)
		soakload_complain(s, "acknowledged before its end: %.100s",
		    line);
	soakload_record(s, line[0] == '2' ? 'a' : !s->is_sent ? 'x' :
	    strstr(line, "sink:") != NULL ? 'd' : 'r');
}

static void
hear_effect(struct soakload_session *s, enum soakload_what what,
    const char *line)
{
	switch (what) {
	case WHAT_MAIL:
	case WHAT_CHUNK:
		s->is_refused |= line[0] != '2';
		break;
	case WHAT_RCPT:
		s->ntaken += line[0] == '2';
		break;
	case WHAT_DATA:
		s->has_go = line[0] == '3';
		break;
	case WHAT_FINAL:
		s->is_refused |= line[0] != '2';
		hear_final(s, line);
		break;
	default:
		break;
	}
}

/* The last line of a reply. */
static void
hear(struct soakload_session *s, const char *line)
{
	struct soakload_want	w;
	int			is_bad = line[0] == '4' || line[0] == '5';

	if (s->step == STEP_DRAIN && s->nwants == 0)
		return;
	if (s->nwants == 0) {
		if (!(s->may_end && is_bad))
			soakload_complain(s, "unasked: %.100s", line);
		return;
	}
	w = s->wants[0];
	memmove(s->wants, s->wants + 1, --s->nwants * sizeof(w));
	if (strchr(w.digits, line[0]) == NULL && !(s->may_end && is_bad)) {
		hear_effect(s, w.what, line);
		soakload_complain(s, "not %s: %.100s", w.digits, line);
		return;
	}
	hear_effect(s, w.what, line);
}

static int
line_is_reply(const char *line)
{
	return isdigit((unsigned char)line[0]) &&
	    isdigit((unsigned char)line[1]) &&
	    isdigit((unsigned char)line[2]) &&
	    (line[3] == ' ' || line[3] == '-' || line[3] == '\0');
}

void
soakload_hear(struct soakload_session *s)
{
	char	*line = s->in, *end;
	size_t	 left = s->in_used;

	while (!s->is_over && !s->is_shaking &&
	    (end = memmem(line, left, "\r\n", 2)) != NULL) {
		*end = '\0';
		if (!line_is_reply(line))
			soakload_complain(s, "no reply: %.100s", line);
		else if (line[3] != '-')
			hear(s, line);
		left -= (size_t)(end + 2 - line);
		line = end + 2;
	}
	memmove(s->in, line, left);
	s->in_used = left;
	if (left == IN_SIZE)
		soakload_complain(s, "a line without end");
}

void
soakload_hear_end(struct soakload_session *s)
{
	s->is_over = 1;
	if (s->may_end || (s->step == STEP_END && s->nwants == 0))
		return;
	soakload_complain(s, "connection lost");
}
