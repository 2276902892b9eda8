#ifndef PARENT_H
#define PARENT_H

#include "conf.h"

/*
 * The privileged process: listens, accepts, starts connections, keeps the
 * children.  It reads nothing that came from the network.
 */
struct parent_options {
	const char	*self_path;	/* for the re-execution */
	int		 is_foreground;	/* -d: log to standard error */
	int		 verbose;
};

/*
 * Serve the configuration (taken) until TERM or INT; returns the exit status.
 * What keeps it from starting is said in one line and ends the process.
 */
int	parent_run(struct conf *, const struct parent_options *);

#endif
