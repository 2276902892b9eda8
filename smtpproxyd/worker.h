#ifndef WORKER_H
#define WORKER_H

/*
 * Process: a worker.  Receives the configuration's snapshot and sessions from
 * the parent, relays them, and tells when they end.  Runs as the unprivileged
 * user in an empty chroot with "stdio recvfd" and nothing more.
 */
_Noreturn void	worker_main(int fd);

#endif
