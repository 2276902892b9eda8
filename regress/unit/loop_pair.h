#ifndef LOOP_PAIR_H
#define LOOP_PAIR_H

#include "../../common/loop.h"

/* Socket pairs with one end in a loop: what the tests of the loop share. */
#define NPAIRS	200

/* One end in the loop, the other in the test's hand. */
struct pair {
	struct loop_fd	 lfd;
	int		 mine;
	int		 theirs;
	int		 ncalls;
	short		 revents;
	void		(*act)(struct pair *);	/* NULL: read what came */
	struct pair	*other;
};

extern struct loop	tl;
extern struct pair	pairs[NPAIRS];
extern struct timer	pair_timer;
extern int		pair_ntimers;	/* how often it ran */

/* Fixtures: `tl` is made anew, with or without parking. */
void	pair_set_up(int park);
void	pair_tear_down(void);

/* What the loop calls: counts, then acts or reads. */
loop_fn	pair_on_ready;

void	pair_open(struct pair *);
void	pair_add(struct pair *, short events);
void	pair_close(struct pair *);
/* Make the end in the loop readable. */
void	pair_poke(struct pair *);

/* One pass that does not wait. */
void	pair_pass(void);
/* A pass that has nothing to do sleeps until its timer. */
void	pair_check_sleeps(void);
/* As if nothing had happened for long: what can leave the poll set does. */
void	pair_quiet(void);

#endif
