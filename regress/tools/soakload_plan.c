/*
 * What a session of soakload, and each of its messages, is going to be.
 */
#include "soakload.h"

#include <string.h>

struct tool_random
soakload_random(uint32_t seed, uint32_t session, uint32_t message)
{
	struct tool_random	r;

	r.state = (uint64_t)seed << 32 ^ (uint64_t)session << 8 ^ message;
	/* Seeds that are near each other shall not look alike. */
	r.state = tool_random_next(&r);
	return r;
}

static enum soak_kind
plan_kind_of(uint32_t percent)
{
	static const uint32_t	share[SOAK_KINDS] = {
		[SOAK_NORMAL] = 62, [SOAK_ABORT] = 16, [SOAK_BANNER] = 6,
		[SOAK_IDLE] = 2, [SOAK_GARBAGE] = 8, [SOAK_SLOW_WRITE] = 3,
		[SOAK_SLOW_READ] = 3
	};
	uint32_t		kind;

	for (kind = 0; kind < SOAK_KINDS - 1; kind++) {
		if (percent <= share[kind])
			break;
		percent -= share[kind];
	}
	return (enum soak_kind)kind;
}

static uint32_t
plan_count_of(struct tool_random *r)
{
	uint32_t	percent = tool_random_between(r, 1, 100);

	if (percent <= 60)
		return 1;
	return percent <= 90 ? tool_random_between(r, 2, 5) :
	    tool_random_between(r, 6, 20);
}

void
soakload_plan_session(struct soak_plan *p, uint32_t seed, uint32_t session)
{
	struct tool_random	r = soakload_random(seed, session, 0);
	uint32_t		percent;

	memset(p, 0, sizeof(*p));
	p->kind = plan_kind_of(tool_random_between(&r, 1, 100));
	percent = tool_random_between(&r, 1, 100);
	p->tls = percent <= 50 ? SOAK_CLEAR : percent <= 85 ? SOAK_STARTTLS :
	    SOAK_IMPLICIT;
	p->target = (uint32_t)tool_random_next(&r);
	p->is_tls12 = tool_random_percent(&r, 30);
	p->is_resumed = tool_random_percent(&r, 50);
	p->is_pipelined = tool_random_percent(&r, 40);
	p->messages = plan_count_of(&r);
	p->abort_message = tool_random_between(&r, 0, p->messages - 1);
	p->point = (enum soak_point)tool_random_between(&r, 0, POINTS - 1);
	p->way = (enum soak_way)tool_random_between(&r, 0, WAYS - 1);
	p->garbage = (enum soak_garbage)tool_random_between(&r, 0,
	    GARBAGES - 1);
	p->idle_ms = tool_random_between(&r, 1000, 30000);
	p->noise = tool_random_between(&r, 1, 200);
	/* Half of those that leave do so within a message. */
	if (tool_random_percent(&r, 50))
		p->point = POINT_BODY;
	if (p->kind == SOAK_ABORT && p->point >= POINT_STARTTLS &&
	    p->point <= POINT_NO_TLS)
		p->tls = SOAK_STARTTLS;
	if (p->kind == SOAK_GARBAGE && p->garbage != GARBAGE_SYNTAX)
		p->tls = SOAK_CLEAR;
}

static uint32_t
plan_size_of(struct tool_random *r)
{
	uint32_t	percent = tool_random_between(r, 1, 100);

	if (percent <= 80)
		return tool_random_between(r, 100, 20000);
	return percent <= 97 ? tool_random_between(r, 20000, 500000) :
	    tool_random_between(r, 500000, 10 * 1024 * 1024);
}

static void
plan_fault(struct soak_message *m, struct tool_random *r)
{
	static const char	stages[] = { 'm', 'r', 'd', 'f' };
	uint32_t		permille = tool_random_between(r, 1, 1000);

	m->what = SOAK_FAULT_NONE;
	m->stage = stages[tool_random_between(r, 0, 3)];
	m->ms = tool_random_between(r, 1, 300);
	if (permille <= 40)
		m->what = 'w';
	else if (permille <= 90)
		m->what = permille % 2 == 0 ? '4' : '5';
	else if (permille <= 105)
		m->what = 'x';
	else if (permille <= 112) {
		m->what = 'a';
		m->stage = 'f';
	} else if (permille <= 120 && !m->is_bdat && m->target > 2000) {
		m->what = 'e';
		m->stage = 'b';
	} else if (permille <= 130 && m->target <= 200000) {
		m->what = 's';
		m->stage = 'b';
		m->ms = m->ms % 15 + 1;
	}
}

void
soakload_plan_message(struct soak_message *m, const struct soak_plan *p,
    uint32_t seed, uint32_t session, uint32_t number)
{
	struct tool_random	r = soakload_random(seed, session, number + 1);

	memset(m, 0, sizeof(*m));
	m->target = plan_size_of(&r);
	if (p->kind == SOAK_SLOW_WRITE)
		m->target %= 8192;
	m->is_bdat = tool_random_percent(&r, 35);
	m->chunk = m->target / tool_random_between(&r, 1, 8) +
	    tool_random_between(&r, 1, 100);
	m->recipients = tool_random_percent(&r, 70) ? 1 :
	    tool_random_between(&r, 2, 5);
	m->has_noop = tool_random_percent(&r, 5);
	m->has_rset = tool_random_percent(&r, 5);
	m->has_size = tool_random_percent(&r, 30);
	m->abort_permille = tool_random_between(&r, 0, 999);
	plan_fault(m, &r);
	m->is_dirty = !m->is_bdat && m->what == SOAK_FAULT_NONE &&
	    tool_random_percent(&r, 3);
}

int
soakload_message_is_fatal(const struct soak_message *m)
{
	return m->what == 'x' || m->what == 'a' || m->what == 'e' ||
	    m->is_dirty;
}

int
soakload_message_is_last(const struct soak_message *m)
{
	return m->what == 's' || soakload_message_is_fatal(m);
}

int
soakload_message_is_refused(const struct soak_message *m)
{
	if (m->what != '4' && m->what != '5')
		return 0;
	return m->stage == 'm' || (m->stage == 'r' && m->recipients == 1);
}
