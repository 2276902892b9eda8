#ifndef PROC_KID_H
#define PROC_KID_H

#include "../../privsep/proc.h"

/*
 * A program of processes for the tests: the test binary is its own parent
 * and, started again with -P, each of its children.  The children do what
 * they are told, lies included.
 */
enum kid_msg_type {
	KID_SET = MSG_USER,	/* parent, in set-up: u8 KID_IS_* */
	KID_DO,			/* parent: u8 KID_DO_*, text */
	KID_SAID,		/* child: text */
	KID_FDS			/* parent, 2 descriptors */
};

/* What a child is from its set-up on. */
enum kid_is {
	KID_IS_GOOD = 0,
	KID_IS_FATAL,		/* set-up fails with a word */
	KID_IS_SHORT,		/* in service for no time */
	KID_IS_SLOW,		/* never done with set-up */
	KID_IS_STUBBORN		/* does not hear STOP */
};

/* What it does once. */
enum kid_do {
	KID_DO_LOG = 0,		/* the text, through the logger */
	KID_DO_SAY,		/* the text, back */
	KID_DO_REPORT,		/* say what it found itself to be at start */
	KID_DO_USER,		/* say who it is: user, group */
	KID_DO_EXIT,
	KID_DO_ABORT,
	KID_DO_CLOSE,		/* the channel, and live on */
	KID_DO_LIE_TYPE,
	KID_DO_LIE_STATE,
	KID_DO_LIE_PONG,
	KID_DO_LIE_READY,	/* behind STOP, if that was said */
	KID_DO_LIE_FDS,
	KID_DO_LIE_LOG,		/* to the logger: no record */
	KID_DO_FLOOD		/* as many lines as the text says */
};

/* The keyholder's user, by name. */
#define KID_USER	"kid"

/* An instance of this number speaks before HELLO. */
#define KID_EARLY	7

/* Rows: restart, and the same with workers that must live. */
extern const struct proc_row	kid_rows[];
extern const struct proc_row	kid_rows_must_live[];
extern const size_t		kid_nrows;
extern const struct msg_row	kid_msgs[];
extern const size_t		kid_nmsgs;
extern char			kid_path[1024];	/* of this program */

/*
 * First thing in main(): a child (-P) never returns.  "-B ID" makes instance 1
 * one of another build.
 */
void	kid_start(int argc, char *argv[], char *envp[]);

#endif
