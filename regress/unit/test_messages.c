/*
 * Tests of the rows of messages.c: each type against every sender, receiver,
 * state, length and number of descriptors, compared with a table of its own
 * that is written from the design, not from the code.
 */
#include <check.h>
#include <stdio.h>
#include <string.h>

#include "../../privsep/keyholder.h"
#include "../../privsep/msg.h"
#include "../../smtpproxyd/conf_wire.h"
#include "../../smtpproxyd/messages.h"

#define NROWS(a)	(sizeof(a) / sizeof((a)[0]))

static const struct {
	uint16_t	type;
	enum proc_role	from;
	enum proc_role	to;
	const char	*states;	/* of H S R T: hello setup run stop */
	size_t		nfds;
	size_t		min;
	size_t		max;
} design[] = {
	{ MSG_CONF_BEGIN, PROC_PARENT, PROC_WORKER, "S", 0, 4, 4 },
	{ MSG_CONF_RECORD, PROC_PARENT, PROC_WORKER, "S", 0, 7, 4098 },
	{ MSG_CONF_END, PROC_PARENT, PROC_WORKER, "S", 0, 8, 8 },
	{ MSG_CONF_PIECE, PROC_PARENT, PROC_WORKER, "S", 0, 7, 8006 },
	{ MSG_TICKET_KEYS, PROC_PARENT, PROC_WORKER, "SRT", 0, 83, 165 },
	{ MSG_SESSION_NEW, PROC_PARENT, PROC_WORKER, "R", 2, 57, 93 },
	{ MSG_SESSION_NEW_ALONE, PROC_PARENT, PROC_WORKER, "R", 1, 53, 93 },
	{ MSG_CONNECT, PROC_WORKER, PROC_PARENT, "RT", 0, 4, 4 },
	{ MSG_CONNECTED, PROC_PARENT, PROC_WORKER, "RT", 1, 15, 27 },
	{ MSG_CONNECT_FAILED, PROC_PARENT, PROC_WORKER, "RT", 0, 15, 31 },
	{ MSG_SESSION_END, PROC_WORKER, PROC_PARENT, "RT", 0, 0, 0 },
	{ MSG_RESOLVE, PROC_PARENT, PROC_RESOLVE, "R", 0, 3, 257 },
	{ MSG_RESOLVED, PROC_RESOLVE, PROC_PARENT, "R", 0, 5, 373 },
	{ MSG_CHECK_PIECE, PROC_PARENT, PROC_KEYCHECK, "R", 0, 4, 8003 },
	{ MSG_CHECK, PROC_PARENT, PROC_KEYCHECK, "R", 0, 1, 1 },
	{ MSG_CHECKED, PROC_KEYCHECK, PROC_PARENT, "R", 0, 2, 257 }
};

static int
design_allows(size_t i, enum proc_role from, enum proc_role to,
    enum chan_state state, size_t len, size_t nfds)
{
	return from == design[i].from && to == design[i].to &&
	    strchr(design[i].states, "HSRT"[state]) != NULL &&
	    nfds == design[i].nfds && len >= design[i].min &&
	    len <= design[i].max;
}

static void
check_one(size_t i, unsigned int from, unsigned int to, unsigned int state,
    size_t len, size_t nfds)
{
	const char	*wrong;

	wrong = msg_table_check(design[i].type, (enum proc_role)from,
	    (enum proc_role)to, (enum chan_state)state, len, nfds);
	ck_assert_msg((wrong == NULL) == design_allows(i,
	    (enum proc_role)from, (enum proc_role)to, (enum chan_state)state,
	    len, nfds), "type %u from %u to %u state %u length %zu fds %zu: "
	    "%s", design[i].type, from, to, state, len, nfds,
	    wrong == NULL ? "allowed" : wrong);
}

START_TEST(all)
{
	const size_t	lengths[] = { 0, 1, 4096, MSG_MAX - MSG_HEADER };
	unsigned int	from, to, state;
	size_t		i, k, nfds;

	for (i = 0; i < NROWS(design); i++)
		for (from = 0; from < PROC_ROLES; from++)
			for (to = 0; to < PROC_ROLES; to++)
				for (state = 0; state < CHAN_STATES; state++)
					for (nfds = 0; nfds <= MSG_FDS_MAX;
					    nfds++) {
						for (k = 0; k < NROWS(lengths);
						    k++)
							check_one(i, from, to,
							    state, lengths[k],
							    nfds);
						for (k = 0; k < 400; k++)
							check_one(i, from, to,
							    state, k, nfds);
						check_one(i, from, to, state,
						    design[i].max, nfds);
						check_one(i, from, to, state,
						    design[i].max + 1, nfds);
					}
}
END_TEST

/* Every row has its line above, and the other way round. */
START_TEST(complete)
{
	size_t	i;

	ck_assert_uint_eq(nmessages, NROWS(design));
	for (i = 0; i < nmessages; i++) {
		ck_assert_uint_eq(messages[i].type, design[i].type);
		ck_assert_uint_eq(messages[i].type, MSG_USER + i);
		ck_assert_uint_gt(strlen(messages[i].name), 0);
	}
	ck_assert_uint_eq(CONF_RECORD_MAX, CONF_WIRE_MAX);
	ck_assert_uint_eq(RESOLVE_ADDRS_MAX, CONF_RESOLVE_MAX);
	ck_assert_uint_ge(RESOLVE_HOST_MAX, CONF_HOST_MAX - 1);
	ck_assert_uint_ge(CONF_PIECE_MAX, KEY_FILE_MAX);
	ck_assert_uint_ge(KEYS_MAX, CONF_PKIS_MAX);
}
END_TEST

/* What holds a key is wiped behind its handler, and nothing else is. */
START_TEST(secrets)
{
	size_t	i;

	for (i = 0; i < nmessages; i++)
		ck_assert_int_eq(messages[i].is_secret,
		    messages[i].type == MSG_TICKET_KEYS ||
		    messages[i].type == MSG_CHECK_PIECE);
}
END_TEST

/* The largest and the smallest of each shape really fit. */
static size_t
session_new(const char *client, const char *listener, const char *dest)
{
	struct msg_writer	w;
	struct addr		a;
	const char		*text[3] = { client, listener, dest };
	size_t			i;

	msg_start(&w, MSG_SESSION_NEW, 1);
	for (i = 0; i < 6; i++)
		msg_put_u32(&w, 1);
	for (i = 0; i < 3; i++) {
		(void)addr_parse(&a, text[i]);
		msg_put_addr(&w, &a);
	}
	ck_assert_int_eq(msg_finish(&w), 0);
	return w.used - MSG_HEADER;
}

START_TEST(sizes)
{
	ck_assert_uint_eq(session_new("192.0.2.1", "192.0.2.1", "192.0.2.1"),
	    57);
	ck_assert_uint_eq(session_new("192.0.2.1", "192.0.2.1", "none"), 53);
	ck_assert_uint_eq(session_new("::1", "::1", "::1"), 93);
}
END_TEST

static void
table_make(void)
{
	ck_assert_int_eq(msg_table_init(messages, nmessages), 0);
}

int
main(void)
{
	Suite	*s = suite_create("messages");
	TCase	*tc = tcase_create("messages");
	SRunner	*sr;
	int	 nfailed;

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, table_make, NULL);
	tcase_add_test(tc, all);
	tcase_add_test(tc, complete);
	tcase_add_test(tc, secrets);
	tcase_add_test(tc, sizes);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	nfailed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return nfailed == 0 ? 0 : 1;
}
