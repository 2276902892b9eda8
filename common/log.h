#ifndef LOG_H
#define LOG_H

#include <stdarg.h>
#include <stddef.h>
#include <syslog.h>

/*
 * Log lines.  A process says once where they go: the parent and each child
 * hand them to the channel of the logger, a program that has none (the -n
 * check, the unit tests) writes them to standard error.  Nobody ever waits.
 */
#define LOG_LINE_MAX	2048

/*
 * A sink takes one finished line, without a newline; it must not block.  What
 * it logs itself goes to standard error.
 */
typedef void log_sink_fn(void *, int priority, const char *line, size_t len);

/*
 * Set up before anything else logs.  `name` (borrowed, lasting) is the role;
 * verbose 0 leaves out LOG_DEBUG.
 */
void	log_init(const char *name, int verbose);
void	log_set_verbose(int);
int	log_is_verbose(void);
/* NULL: standard error. */
void	log_set_sink(log_sink_fn *, void *);

/*
 * One line each.  The result is escaped once more as a whole
 * (str_escape_line), so that no octet of a peer can end a line, and cut at
 * LOG_LINE_MAX.  errno is left as it was.  Priorities: LOG_INFO, LOG_ERR (both
 * warnings), LOG_DEBUG.
 *   log_warn    adds ": " and the text of errno
 */
void	log_info(const char *, ...)
	    __attribute__((__format__ (printf, 1, 2)));
void	log_warnx(const char *, ...)
	    __attribute__((__format__ (printf, 1, 2)));
void	log_warn(const char *, ...)
	    __attribute__((__format__ (printf, 1, 2)));
void	log_debug(const char *, ...)
	    __attribute__((__format__ (printf, 1, 2)));
/* A line that is made already: priority of syslog(3), without facility. */
void	log_line(int priority, const char *line);

/*
 * The end of the process, exit status 1, said at LOG_CRIT: before service
 * starts, for a broken invariant, or for nonsense from a more privileged
 * process.  Never for anything a peer or a less privileged process can cause.
 */
_Noreturn void	fatal(const char *, ...)
	    __attribute__((__format__ (printf, 1, 2)));
_Noreturn void	fatalx(const char *, ...)
	    __attribute__((__format__ (printf, 1, 2)));

#endif
