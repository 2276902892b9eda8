#ifndef PROC_HOME_H
#define PROC_HOME_H

#include <check.h>

#include "../../common/loop.h"
#include "../../common/port/port.h"
#include "../../privsep/proc.h"
#include "proc_kid.h"

/*
 * The parent of a test: what happens to its children is counted, and what is
 * logged (standard error, which is also the logger's sink) is kept.
 */
#define HOME_KIDS	16
#define HOME_LOG_MAX	(1024 * 1024)

struct home_kid {
	struct proc_child	*child;
	enum kid_is		 is;	/* what its set-up tells it to be */
	size_t			 nsetup;
	size_t			 nready;
	size_t			 ngone;
	size_t			 nfailed;
	char			 said[8000];
};

extern struct loop	home_loop;
extern struct home_kid	home_worker[HOME_KIDS];
extern struct home_kid	home_logger;
extern struct home_kid	home_resolve;
extern struct home_kid	home_keyholder;
extern int		home_is_stopped;
extern char		home_log[HOME_LOG_MAX];
extern struct proc_identity	home_identity;	/* root's tests only */
#define HOME_KEYHOLDER	65532	/* user and group of KID_USER */
/* The sink that is opened: standard error, unless a test says another. */
extern enum log_sink_kind	home_sink_kind;
extern int			(*home_sink)(void);

/* Fixtures: a parent with no child yet; at the end none may be left. */
void	home_set_up(void);
void	home_tear_down(void);
/* Options for the children, in place of home_set_up(). */
void	home_set_up_with(const struct proc_row *, const char *const *argv);

/* Start one, and wait until it is in service. */
void	home_start(enum proc_role, uint32_t instance);
void	home_start_ready(enum proc_role, uint32_t instance);
/* STOP to all, and wait for the end. */
void	home_stop(unsigned int seconds);

int	home_tell(struct home_kid *, enum kid_do, const char *);
pid_t	home_pid(const struct home_kid *);

/* A pass of the loop of at most 10 ms; the log is read. */
void	home_pass(void);
/* How often a text stands in the log. */
size_t	home_count(const char *);
void	home_forget_log(void);

#define WAIT(cond, ms) do {						\
	int64_t	end_ms_ = port_now_ms() + (ms) * home_patience();	\
									\
	while (!(cond)) {						\
		ck_assert_msg(port_now_ms() < end_ms_,			\
		    "waited in vain: %s; log:\n%s", #cond, home_log);	\
		home_pass();						\
	}								\
} while (0)

/* Under valgrind and sanitizers all takes longer. */
int	home_patience(void);

#endif
