/* Decisions from plain settings and facts: one row each. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "../../smtpproxyd/policy.h"

static const struct row {
	struct policy_settings	set;
	struct policy_facts	facts;
	const char		*want;		/* first octets; NULL: passes */
} rows[] = {
	{ { 0, 0 }, { POLICY_CONNECT, 0, 0 }, NULL },
	{ { 0, 0 }, { POLICY_HELO, 0, 0 }, NULL },
	{ { 1, 1 }, { POLICY_DATA, 9, 9 }, NULL },
	{ { 0, 0 }, { POLICY_MAIL, UINT64_MAX, 0 }, NULL },
	{ { 0, 100 }, { POLICY_MAIL, 0, 0 }, NULL },
	{ { 0, 100 }, { POLICY_MAIL, 100, 0 }, NULL },
	{ { 0, 100 }, { POLICY_MAIL, 101, 0 }, "552 5.3.4 " },
	{ { 0, 100 }, { POLICY_MESSAGE, 100, 1 }, NULL },
	{ { 0, 100 }, { POLICY_MESSAGE, 101, 1 }, "552 5.3.4 " },
	{ { 0, 0 }, { POLICY_RCPT, 0, UINT32_MAX }, NULL },
	{ { 3, 0 }, { POLICY_RCPT, 0, 2 }, NULL },
	{ { 3, 0 }, { POLICY_RCPT, 0, 3 }, "452 4.5.3 " },
	{ { 3, 1 }, { POLICY_RCPT, 99, 0 }, NULL }
};

START_TEST(test_rows)
{
	const struct row	*r = &rows[_i];
	const char		*got = policy_refusal(&r->set, &r->facts);

	if (r->want == NULL)
		ck_assert_ptr_null(got);
	else {
		ck_assert_ptr_nonnull(got);
		ck_assert_msg(strncmp(got, r->want, strlen(r->want)) == 0,
		    "%s", got);
	}
}
END_TEST

int
main(void)
{
	Suite	*s = suite_create("policy");
	TCase	*tc = tcase_create("rows");
	SRunner	*sr;
	int	 nfailed;

	tcase_add_loop_test(tc, test_rows, 0,
	    sizeof(rows) / sizeof(rows[0]));
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	nfailed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return nfailed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
