/*
 * Tests of the message table: every type with every sender, receiver, state,
 * number of descriptors and length at its borders.  What should pass is said
 * here a second time, by hand; whoever changes a row changes it here too.
 */
#include <sys/types.h>

#include <check.h>
#include <string.h>

#include "../../privsep/msg.h"
#include "../../privsep/msg_table.h"

#define NROWS(a)	(sizeof(a) / sizeof((a)[0]))
#define MY_TYPE		(MSG_USER + 7)

#define TOLD	"pw pl pr pk pc"	/* by the parent */
#define ASKED	"wp lp rp kp cp"

/*
 * p parent, w worker, l logger, r resolve, k keyholder, c keycheck; h, s, r,
 * q: HELLO SETUP RUN STOP
 */
static const struct expect {
	uint16_t	 type;
	const char	*pairs;		/* "pw": from the parent to a worker */
	const char	*states;
	size_t		 nfds;
	size_t		 min;
	size_t		 max;
} expects[] = {
	{ MSG_HELLO,	ASKED " " TOLD,	"h",		0, 7, 128 },
	{ MSG_DROP,	TOLD,		"s",		0, 11, 512 },
	{ MSG_PEER,	TOLD,		"srq",		1, 13, 13 },
	{ MSG_READY,	ASKED,		"s",		0, 4, 4 },
	{ MSG_FAILED,	ASKED,		"hs",		0, 2, 1024 },
	{ MSG_STOP,	TOLD,		"r",		0, 4, 4 },
	{ MSG_PING,	TOLD,		"rq",		0, 0, 0 },
	{ MSG_PONG,	ASKED,		"rq",		0, 0, 0 },
	{ MSG_LOG,	"pl wl rl kl cl", "rq",		0, 3, 8180 },
	{ MSG_LOG_CONF,	"pl",		"s",		0, 7, 256 },
	{ MSG_LOG_SINK,	"pl",		"srq",		1, 1, 1 },
	{ MSG_LOG_NOFD,	"pl",		"srq",		0, 1, 1 },
	{ MSG_SINK_LOST, "lp",		"rq",		0, 0, 0 },
	{ MSG_KEY,	"pk",		"s",		0, 8, 8007 },
	{ MSG_KEY_ALLOW, "pk",		"srq",		0, 12, 12 },
	{ MSG_SIGN,	"wk",		"rq",		0, 9, 1032 },
	{ MSG_SIGNED,	"kw",		"rq",		0, 2, 1026 },
	{ MY_TYPE,	"pw",		"r",		2, 5, 1012 }
};

static const struct msg_row	mine[] = {
	{ MY_TYPE, "MINE", ROLE(PROC_PARENT), ROLE(PROC_WORKER),
	    STATE(CHAN_RUN), 2, 5, MSG_MAX_FD - MSG_HEADER, 0 }
};

static const char	role_letter[] = ".pwlrkc";
static const char	state_letter[] = "hsrq";

static void
set_up(void)
{
	ck_assert_int_eq(msg_table_init(mine, NROWS(mine)), 0);
}

static const struct expect *
expect_of(unsigned int type)
{
	size_t	i;

	for (i = 0; i < NROWS(expects); i++)
		if (expects[i].type == type)
			return &expects[i];
	return NULL;
}

static int
has_pair(const char *pairs, unsigned int from, unsigned int to)
{
	char	pair[3];

	if (from == PROC_NONE || from >= PROC_ROLES || to == PROC_NONE ||
	    to >= PROC_ROLES)
		return 0;
	pair[0] = role_letter[from];
	pair[1] = role_letter[to];
	pair[2] = '\0';
	return strstr(pairs, pair) != NULL;
}

static int
should_pass(const struct expect *e, unsigned int from, unsigned int to,
    unsigned int state, size_t len, size_t nfds)
{
	return e != NULL && has_pair(e->pairs, from, to) &&
	    state < CHAN_STATES &&
	    strchr(e->states, state_letter[state]) != NULL &&
	    len >= e->min && len <= e->max && nfds == e->nfds;
}

static void
check(const struct expect *e, unsigned int type, unsigned int from,
    unsigned int to, unsigned int state, size_t len, size_t nfds)
{
	const char	*why;
	int		 should;

	should = should_pass(e, from, to, state, len, nfds);
	why = msg_table_check((uint16_t)type, (enum proc_role)from,
	    (enum proc_role)to, (enum chan_state)state, len, nfds);
	/* Millions of these: the slow ck_assert only where it fails. */
	if ((why == NULL) == should)
		return;
	ck_abort_msg("type %u from %u to %u state %u length %zu fds %zu: %s",
	    type, from, to, state, len, nfds, why == NULL ? "passes" : why);
}

static void
check_type(unsigned int type)
{
	const struct expect	*e = expect_of(type);
	size_t			 lens[] = { 0, 1, 6, 7, 8180, 8181, 0, 0, 0 };
	unsigned int		 from, to, state;
	size_t			 i, nfds;

	if (e != NULL) {
		lens[6] = e->min;
		lens[7] = e->max;
		lens[8] = e->max + 1;
		if (e->min > 0)
			lens[5] = e->min - 1;
	}
	/* One more than there is of each: no wild read, no pass. */
	for (from = 0; from <= PROC_ROLES; from++)
		for (to = 0; to <= PROC_ROLES; to++)
			for (state = 0; state <= CHAN_STATES; state++)
				for (nfds = 0; nfds <= 3; nfds++)
					for (i = 0; i < NROWS(lens); i++)
						check(e, type, from, to,
						    state, lens[i], nfds);
}

START_TEST(all)
{
	unsigned int	type;

	for (type = 0; type < MSG_TYPES + 16; type++)
		check_type(type);
	check_type(0x7fff);
	check_type(0xffff);
}
END_TEST

/* The text names the first thing that is wrong. */
START_TEST(reasons)
{
	ck_assert_ptr_null(msg_table_check(MY_TYPE, PROC_PARENT, PROC_WORKER,
	    CHAN_RUN, 5, 2));
	ck_assert_str_eq(msg_table_check(MY_TYPE + 1, PROC_PARENT,
	    PROC_WORKER, CHAN_RUN, 5, 2), "unknown type");
	ck_assert_str_eq(msg_table_check(MY_TYPE, PROC_LOGGER, PROC_WORKER,
	    CHAN_RUN, 5, 2), "sender");
	ck_assert_str_eq(msg_table_check(MY_TYPE, PROC_PARENT, PROC_LOGGER,
	    CHAN_RUN, 5, 2), "receiver");
	ck_assert_str_eq(msg_table_check(MY_TYPE, PROC_PARENT, PROC_WORKER,
	    CHAN_SETUP, 5, 2), "state");
	ck_assert_str_eq(msg_table_check(MY_TYPE, PROC_PARENT, PROC_WORKER,
	    CHAN_RUN, 4, 2), "length");
	ck_assert_str_eq(msg_table_check(MY_TYPE, PROC_PARENT, PROC_WORKER,
	    CHAN_RUN, 5, 1), "descriptors");
}
END_TEST

/* --- Rows that are refused --- */

#define P	ROLE(PROC_PARENT)
#define W	ROLE(PROC_WORKER)
#define RUN	STATE(CHAN_RUN)

static const struct {
	struct msg_row	row;
	int		rc;
} rows[] = {
	{ { MSG_USER, "X", P, W, RUN, 0, 0, 8180, 0 },		0 },
	{ { MSG_TYPES - 1, "X", P, W, RUN, 2, 0, 1012, 0 },	0 },
	{ { MSG_USER, "X", P, W, RUN, 0, 0, 8181, 0 },		-1 },
	{ { MSG_USER, "X", P, W, RUN, 1, 0, 1013, 0 },		-1 },
	{ { MSG_USER, "X", P, W, RUN, 3, 0, 8, 0 },		-1 },
	{ { MSG_USER, "X", P, W, RUN, 0, 9, 8, 0 },		-1 },
	{ { MSG_USER, "X", 0, W, RUN, 0, 0, 8, 0 },		-1 },
	{ { MSG_USER, "X", P, 0, RUN, 0, 0, 8, 0 },		-1 },
	{ { MSG_USER, "X", P, W, 0, 0, 0, 8, 0 },		-1 },
	{ { MSG_USER, "X", ROLE(PROC_NONE), W, RUN, 0, 0, 8, 0 },	-1 },
	{ { MSG_USER, "X", P, ROLE(PROC_ROLES), RUN, 0, 0, 8, 0 },	-1 },
	{ { MSG_USER, "X", P, W, STATE(CHAN_STATES), 0, 0, 8, 0 },	-1 },
	{ { MSG_USER, NULL, P, W, RUN, 0, 0, 8, 0 },		-1 },
	{ { MSG_NONE, "X", P, W, RUN, 0, 0, 8, 0 },		-1 },
	{ { MSG_PING, "X", P, W, RUN, 0, 0, 8, 0 },		-1 },
	{ { MSG_USER - 1, "X", P, W, RUN, 0, 0, 8, 0 },		-1 },
	{ { MSG_TYPES, "X", P, W, RUN, 0, 0, 8, 0 },		-1 }
};

START_TEST(row_forms)
{
	ck_assert_int_eq(msg_table_init(&rows[_i].row, 1), rows[_i].rc);
}
END_TEST

START_TEST(twice)
{
	struct msg_row	two[2];

	two[0] = two[1] = mine[0];
	ck_assert_int_eq(msg_table_init(two, 2), -1);
	two[1].type++;
	ck_assert_int_eq(msg_table_init(two, 2), 0);
	ck_assert_ptr_eq(msg_table_row(MY_TYPE + 1), &two[1]);
}
END_TEST

START_TEST(names)
{
	char	name[PROC_NAME_MAX];

	ck_assert_str_eq(msg_table_row(MY_TYPE)->name, "MINE");
	ck_assert_ptr_null(msg_table_row(MSG_NONE));
	ck_assert_ptr_null(msg_table_row(MSG_TYPES));
	ck_assert_ptr_null(msg_table_row(0xffff));
	ck_assert_str_eq(proc_role_name(PROC_WORKER), "worker");
	ck_assert_str_eq(proc_role_name(PROC_ROLES), "unknown");
	ck_assert_str_eq(proc_name(name, PROC_WORKER, 4294967295U),
	    "worker[4294967295]");
	ck_assert_str_eq(proc_name(name, PROC_LOGGER, 0), "logger");
	ck_assert_str_eq(proc_name(name, PROC_KEYHOLDER, 0), "keyholder");
	ck_assert_str_eq(proc_name(name, PROC_KEYCHECK, 0), "keycheck");
}
END_TEST

/* Private keys and nothing else; a program says it of its own. */
START_TEST(secrets)
{
	const struct msg_row	*row;
	uint16_t		 type;

	for (type = 0; type < MSG_TYPES; type++)
		if ((row = msg_table_row(type)) != NULL)
			ck_assert_int_eq(row->is_secret, type == MSG_KEY);
}
END_TEST

int
main(void)
{
	Suite	*s = suite_create("msg_table");
	TCase	*tc = tcase_create("msg_table");
	SRunner	*sr;
	int	 nfailed;

	tcase_set_timeout(tc, 30);
	tcase_add_checked_fixture(tc, set_up, NULL);
	tcase_add_test(tc, all);
	tcase_add_test(tc, reasons);
	tcase_add_loop_test(tc, row_forms, 0, (int)NROWS(rows));
	tcase_add_test(tc, twice);
	tcase_add_test(tc, names);
	tcase_add_test(tc, secrets);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	nfailed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return nfailed == 0 ? 0 : 1;
}
