/*
 * The moves of the session machine: what is declared (engine_moves.h) is what
 * the corpus of the fuzzer and the scripts here make, no more and no less.
 */
#include <sys/types.h>

#include <dirent.h>

#include "engine_tls.h"

/* It brings the whole target, observer and oracle. */
#include "../fuzz/fuzz_engine.c"

#define CORPUS	"regress/fuzz/corpus/engine"

static void
set_bypass(struct play *p)
{
	p->is_bypass = 1;
}

/* What no input of the fuzzer makes: its destination is there at once. */
static const struct script	scripts[] = {
	{ "stopped before a bypass is connected", set_bypass, SCRIPT_UNMET,
	    "", {
	    STEP('s', "", "421 4.3.2" GW "service shutting down|", "",
	    "co") } },
	{ "no choice for a bypass", set_bypass, SCRIPT_UNMET, "", {
	    STEP('n', "", "421 4.4.1" GW "destination not available|", "",
	    "co") } }
};

static void
play_all(const struct script *sc, size_t n)
{
	size_t	i;

	for (i = 0; i < n; i++)
		script_check(&sc[i]);
}
#define PLAY_ALL(scripts)	\
	play_all(scripts, sizeof(scripts) / sizeof((scripts)[0]))

static void
feed_corpus(void)
{
	static uint8_t	 octets[16384];
	char		 path[512];
	struct dirent	*entry;
	size_t		 len;
	FILE		*f;
	DIR		*d = opendir(CORPUS);

	ck_assert_msg(d != NULL, "no " CORPUS ": not at the top");
	while ((entry = readdir(d)) != NULL) {
		if (entry->d_name[0] == '.')
			continue;
		(void)snprintf(path, sizeof(path), CORPUS "/%s",
		    entry->d_name);
		ck_assert_ptr_nonnull(f = fopen(path, "rb"));
		len = fread(octets, 1, sizeof(octets), f);
		(void)fclose(f);
		(void)LLVMFuzzerTestOneInput(octets, len);
	}
	(void)closedir(d);
}

/* The observer has seen to it that none is made that is not declared. */
START_TEST(test_each_is_made)
{
	unsigned int	s, cause, to, nmissing = 0;

	PLAY_ALL(scripts);
	PLAY_ALL(client);
	PLAY_ALL(dest);
	PLAY_ALL(terminate);
	PLAY_ALL(identity);
	feed_corpus();
	for (s = 0; s < SMTP_STATES; s++)
		for (cause = 0; cause < MOVE_TABLE; cause++)
			for (to = 0; to < SMTP_STATES; to++) {
				if ((moves[s][cause] & TO(to)) == 0 ||
				    (seen_made[s][cause] & TO(to)) != 0)
					continue;
				(void)fprintf(stderr, "%s, %s: to %s is not "
				    "made\n", smtp_state_name(s),
				    move_cause_name(cause),
				    smtp_state_name(to));
				nmissing++;
			}
	ck_assert_uint_eq(nmissing, 0);
	for (cause = MOVE_FROM_ANY; cause < MOVE_CAUSES; cause++)
		ck_assert_msg((seen_ends & TO(cause)) != 0, "%s",
		    move_cause_name(cause));
}
END_TEST

/* Without a destination nothing comes from it. */
static int
is_dest_gone(unsigned int s)
{
	return s == SMTP_SKIP_CONTENT || s == SMTP_LAST;
}

/* Each pair of the machine has a step, with its name, and leads somewhere. */
START_TEST(test_complete)
{
	unsigned int	s, event;

	for (s = 0; s < SMTP_STATES; s++) {
		ck_assert_ptr_nonnull(smtp_state_name(s));
		for (event = 0; event < SMTP_EVENTS; event++) {
			ck_assert_ptr_nonnull(move_cause_name(event));
			ck_assert_ptr_nonnull(smtp_machine[s][event].fn);
			ck_assert_ptr_nonnull(smtp_machine[s][event].name);
			ck_assert_msg((moves[s][event] == 0) ==
			    (is_dest_gone(s) && (event == ON_REPLY ||
			    event == ON_DEST_END)), "%s, %s",
			    smtp_state_name(s), move_cause_name(event));
		}
	}
	/* Over is over. */
	for (event = 0; event < MOVE_TABLE; event++)
		ck_assert_uint_eq(moves[SMTP_OVER][event] &
		    ~TO(SMTP_OVER), 0);
}
END_TEST

int
main(void)
{
	Suite	*s = suite_create("smtp_machine");
	TCase	*tc = tcase_create("moves");
	SRunner	*sr;
	int	 failed;

	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, test_complete);
	tcase_add_test(tc, test_each_is_made);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed == 0 ? 0 : 1;
}
