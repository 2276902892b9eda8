#ifndef PORT_H
#define PORT_H

#include <sys/types.h>
#include <sys/socket.h>

#include <poll.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The only door to the operating system's oddities.  One file implements it
 * for each system: openbsd.c, linux.c with linux_sandbox.c, other.c (which
 * refuses to start rather than pretend).
 */

/* The peer has sent its last octet; 0 where poll(2) can't tell. */
#ifdef POLLRDHUP
#define PORT_POLLRDHUP	POLLRDHUP
#else
#define PORT_POLLRDHUP	0
#endif

/* The kernel may keep octets for those that follow; 0 where it never does. */
#ifdef MSG_MORE
#define PORT_MSG_MORE	MSG_MORE
#else
#define PORT_MSG_MORE	0
#endif

/* Name of the sandbox for humans: "pledge", "seccomp", "none (trace build)". */
const char	*port_sandbox_name(void);

/*
 * Remember argv for the process title; call first thing in main().
 * port_title() then sets it.
 */
void	port_title_init(int argc, char *argv[], char *envp[]);
void	port_title(const char *role);

/*
 * The path by which the parent re-executes itself.
 *   Linux     /proc/self/exe: our own image even after the file was replaced
 *   OpenBSD   the absolute path, resolved from argv[0] at start
 *   returns   0, or -1 with errno
 */
int	port_self_path(const char *argv0, char *path, size_t size);

/*
 * Before the user is given up: what must come while still root (Linux:
 * nothing to gain new privileges, no dumps, no ptrace; bounding set emptied).
 * After it: the last step of set-up, from which only the promised calls are
 * left.  Promise words are pledge(2)'s; Linux builds its seccomp allow-list
 * from the same words ("stdio recvfd sendfd inet unix rpath dns").
 *   returns   0, or -1 with errno, *what (constant text) naming the step
 */
int	port_confine_before(const char **what);
int	port_confine_after(const char *promises, const char **what);

/*
 * Is it all in force?  Checked from inside after port_confine_after(): no
 * capability left, not dumpable, filter active.
 *   returns   0, or -1 with *what naming what did not take
 */
int	port_confine_verify(const char **what);

/*
 * The parent's own limits: unveil(2) of what it may open, else nothing.
 * Each path is "mode path", a list that ends with NULL.
 */
int	port_unveil(const char *const *paths);

/*
 * Memory that was freed goes back to the system, whatever was freed before
 * (Linux: glibc's allocator raises its own bound else, by what it sees).
 */
void	port_settle_memory(void);

/* Close every descriptor from `lowest` up. */
void	port_closefrom(int lowest);

/*
 * Close these, of which nothing can be lost: copies of sockets that another
 * process has.  In any order, none twice.
 */
void	port_close_all(const int *fds, size_t nfds);

/* Where the system keeps the CA certificates that it trusts (PEM). */
const char	*port_ca_file(void);

/* Monotonic milliseconds; the coarse clock where there is one. */
int64_t	port_now_ms(void);

/*
 * System log.  port_syslog_open() gives a connected datagram socket (Linux),
 * or -1 with errno; where the kernel takes the record itself (OpenBSD,
 * sendsyslog(2)) it gives -1 and errno 0, and a sink of -1 works.
 * port_syslog_send() sends "<PRI>tag[pid]: text" without blocking.
 *   returns   0, or -1 with errno (ECONNREFUSED, ENOTCONN, ECONNRESET: the
 *             sink is lost and must be opened again)
 */
int	port_syslog_open(void);
int	port_syslog_send(int fd, int priority, const char *tag,
	    const char *text, size_t len);

/*
 * Parked descriptors, one kernel queue that poll(2) can wait for: readable
 * when one of those in it has input, an end or an error.
 *   open   the queue, or -1 with errno (no parking: the loop polls all)
 *   add    watch fd for input, `tag` comes back with it; -1 with errno
 *   del    stop; always before close(2)
 *   wait   up to n tags that are ready now, without blocking; their number
 */
int	port_park_open(void);
int	port_park_add(int queue, int fd, void *tag);
int	port_park_del(int queue, int fd);
int	port_park_wait(int queue, void **tags, int n);

/*
 * A listening or outgoing socket's options, set by the parent before the
 * descriptor is passed on (a worker may set TCP_NODELAY only).
 *   keepalive   probes after idle_s seconds; 0 or -1 with errno
 */
int	port_set_keepalive(int fd, int idle_s);

/*
 * Interception.  All of it is the parent's, while it is root.
 *
 * A socket that may be bound to an address that is not ours: before bind(2)
 * of a listener that takes diverted connections (Linux TPROXY), and of a
 * connection that leaves with the client's address.  OpenBSD: SO_BINDANY, and
 * nothing for a listener, since pf's divert-to needs none.
 *   returns   0, or -1 with errno
 */
int	port_set_divert_listener(int fd, int family);
int	port_set_bind_any(int fd, int family);

/*
 * The firewall's mark on what this socket sends (Linux SO_MARK), so that
 * rules can leave our own connections alone.  ENOTSUP where there is none.
 */
int	port_set_mark(int fd, uint32_t mark);

/*
 * Where a connection that the firewall has translated was going: pf rdr-to
 * (DIOCNATLOOK), Linux REDIRECT and DNAT (SO_ORIGINAL_DST).
 *   fd       the accepted socket
 *   client   its peer;  local  its own address; of one family
 *   returns  0; -1 with errno (ENOENT: the firewall knows of no translation)
 * port_nat_open() comes first, once: it opens what is needed, read only.
 */
struct sockaddr;
struct sockaddr_storage;
int	port_nat_open(void);
int	port_nat_lookup(int fd, const struct sockaddr *client,
	    const struct sockaddr *local, struct sockaddr_storage *original);
/* Why a lookup finds nothing on this system and what to try, or "". */
const char	*port_nat_hint(void);

/*
 * What can be checked before a relay is started: capability, device, kernel
 * module.
 *   returns   0; -1 with *what to mend, constant text
 */
enum port_intercept {
	PORT_NAT = 0,		/* forward to nat lookup */
	PORT_DIVERT,		/* listen ... divert */
	PORT_DIVERT_ANY,	/* the same on a wildcard address */
	PORT_TRANSPARENT,	/* transparent forward */
	PORT_MARK		/* mark */
};
int	port_check_intercept(enum port_intercept, const char **what);

#endif
