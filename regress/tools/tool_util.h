#ifndef TOOL_UTIL_H
#define TOOL_UTIL_H

#include <stdint.h>

/*
 * What the programs for tests and benchmarks share.  They trust those who
 * start them: whatever can't be done ends the program with a message.
 */
struct addrinfo;

/* Monotonic time in microseconds. */
int64_t	tool_now_us(void);

/* An argument that has to be a number of this range. */
unsigned int	tool_number(const char *text, unsigned int min,
		    unsigned int max);

/* A numeric address and a port; `passive` is for bind(2).  Never NULL. */
struct addrinfo	*tool_address(const char *address, const char *port,
		    int passive);

/* As many descriptors as we may have; SIGPIPE is ignored. */
void	tool_prepare(void);

void	tool_set_nonblocking(int fd);

/*
 * Catch signals, up to a 0 at the end of the list.
 *   returns   a descriptor on which each arrives as one octet, its number:
 *             a signal may come just before poll(2) sleeps
 */
int	tool_catch_signals(const int *signals);

#endif
