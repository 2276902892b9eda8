/*
 * Log lines of every process.  Text of peers passes through here, escaped by
 * the caller's str_add_pair() or not at all; whatever it is, one call makes
 * one line of printable ASCII.  Where the line goes is the sink's business.
 */
#include "log.h"

#include <sys/types.h>
#include <sys/uio.h>

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "strutil.h"

static const char	*log_name = "smtpproxyd";
static int		 log_verbose;
static log_sink_fn	*log_sink;
static void		*log_sink_arg;
static int		 log_is_in_sink;

void
log_init(const char *name, int verbose)
{
	log_name = name;
	log_verbose = verbose;
}

void
log_set_verbose(int verbose)
{
	log_verbose = verbose;
}

int
log_is_verbose(void)
{
	return log_verbose != 0;
}

void
log_set_sink(log_sink_fn *sink, void *arg)
{
	log_sink = sink;
	log_sink_arg = arg;
}

/* One writev(2), so that lines of several processes stay apart. */
static void
log_to_stderr(const char *line, size_t len)
{
	struct iovec	iov[4];

	iov[0].iov_base = (void *)(uintptr_t)log_name;
	iov[0].iov_len = strlen(log_name);
	iov[1].iov_base = (void *)(uintptr_t)": ";
	iov[1].iov_len = 2;
	iov[2].iov_base = (void *)(uintptr_t)line;
	iov[2].iov_len = len;
	iov[3].iov_base = (void *)(uintptr_t)"\n";
	iov[3].iov_len = 1;
	if (writev(STDERR_FILENO, iov, 4) == -1)
		return;		/* nowhere left to say so */
}

void
log_line(int priority, const char *line)
{
	char	text[LOG_LINE_MAX];
	size_t	len;
	int	saved_errno = errno;

	priority = LOG_PRI(priority);
	if (priority == LOG_DEBUG && !log_verbose)
		return;
	len = str_escape_line(text, sizeof(text), line, strlen(line));
	if (log_sink != NULL && !log_is_in_sink) {
		/* A sink that fails may log: that line must not come back. */
		log_is_in_sink = 1;
		log_sink(log_sink_arg, priority, text, len);
		log_is_in_sink = 0;
	} else
		log_to_stderr(text, len);
	errno = saved_errno;
}

/*
 *   before   put in front
 *   error    an errno whose text is put behind, -1: none
 */
static void
log_format(int priority, const char *before, int error, const char *fmt,
    va_list ap)
{
	char	raw[LOG_LINE_MAX + 1];	/* one more: log_line() shows the cut */
	size_t	used;
	int	saved_errno = errno;

	(void)strlcpy(raw, before, sizeof(raw));
	used = strlen(raw);
	if (vsnprintf(raw + used, sizeof(raw) - used, fmt, ap) < 0)
		(void)strlcpy(raw, "log: format", sizeof(raw));
	if (error != -1) {
		(void)strlcat(raw, ": ", sizeof(raw));
		(void)strlcat(raw, strerror(error), sizeof(raw));
	}
	log_line(priority, raw);
	errno = saved_errno;
}

void
log_info(const char *fmt, ...)
{
	va_list	ap;

	va_start(ap, fmt);
	log_format(LOG_INFO, "", -1, fmt, ap);
	va_end(ap);
}

void
log_warnx(const char *fmt, ...)
{
	va_list	ap;

	va_start(ap, fmt);
	log_format(LOG_ERR, "", -1, fmt, ap);
	va_end(ap);
}

void
log_warn(const char *fmt, ...)
{
	va_list	ap;

	va_start(ap, fmt);
	log_format(LOG_ERR, "", errno, fmt, ap);
	va_end(ap);
}

void
log_debug(const char *fmt, ...)
{
	va_list	ap;

	if (!log_verbose)
		return;
	va_start(ap, fmt);
	log_format(LOG_DEBUG, "", -1, fmt, ap);
	va_end(ap);
}

_Noreturn void
fatal(const char *fmt, ...)
{
	va_list	ap;

	va_start(ap, fmt);
	log_format(LOG_CRIT, "fatal: ", errno, fmt, ap);
	va_end(ap);
	exit(1);
}

_Noreturn void
fatalx(const char *fmt, ...)
{
	va_list	ap;

	va_start(ap, fmt);
	log_format(LOG_CRIT, "fatal: ", -1, fmt, ap);
	va_end(ap);
	exit(1);
}
