#ifndef LOGGER_H
#define LOGGER_H

/*
 * Process: the logger.  Takes records of every other process (MSG_LOG),
 * escapes them again, puts role, instance and pid in front as it knows them
 * from the channel, and writes them to the sinks that the parent opened.
 * Per peer at most 2,000 records a second; what is dropped is counted and
 * said in one line.  A sink that does not take a record at once loses it,
 * counted likewise.
 */
_Noreturn void	logger_main(int fd);

#endif
