/*
 * Linux: connections that netfilter has sent here (REDIRECT, DNAT, TPROXY) and
 * connections that leave with a client's address.  Parent only.  What the
 * kernel says of a connection is trusted; what the peer says is never read.
 */
#include "port.h"

#include <sys/types.h>
#include <sys/socket.h>

#include <netinet/in.h>

#include <cap-ng.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

/* <linux/netfilter_ipv4.h> and <linux/netfilter_ipv6/ip6_tables.h>; their
 * headers and libc's can't be included together. */
#define LOOKUP_ORIGINAL_DST	80

#define CONNTRACK_FILE	"/proc/sys/net/netfilter/nf_conntrack_max"

int
port_set_divert_listener(int fd, int family)
{
	int	on = 1;

	if (family == AF_INET6)
		return setsockopt(fd, IPPROTO_IPV6, IPV6_TRANSPARENT, &on,
		    sizeof(on));
	return setsockopt(fd, IPPROTO_IP, IP_TRANSPARENT, &on, sizeof(on));
}

/*
 * The same, and the port is chosen at connect(2), when the destination is
 * known: one client's ports then last for each destination anew.  The option
 * is IPPROTO_IP's for both families.
 */
int
port_set_bind_any(int fd, int family)
{
	int	on = 1;

	if (port_set_divert_listener(fd, family) == -1)
		return -1;
	return setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on,
	    sizeof(on));
}

int
port_set_mark(int fd, uint32_t mark)
{
	return setsockopt(fd, SOL_SOCKET, SO_MARK, &mark, sizeof(mark));
}

int
port_nat_open(void)
{
	return 0;		/* the socket itself is asked */
}

int
port_nat_lookup(int fd, const struct sockaddr *client,
    const struct sockaddr *local, struct sockaddr_storage *original)
{
	socklen_t	len = sizeof(*original);
	int		level;

	(void)client;
	memset(original, 0, sizeof(*original));
	level = local->sa_family == AF_INET6 ? IPPROTO_IPV6 : IPPROTO_IP;
	return getsockopt(fd, level, LOOKUP_ORIGINAL_DST, original, &len);
}

int
port_check_intercept(enum port_intercept kind, const char **what)
{
	if (kind == PORT_NAT) {
		*what = "no connection tracking: load the module "
		    "nf_conntrack, or add the redirect rule, which does";
		return access(CONNTRACK_FILE, F_OK);
	}
	*what = "no CAP_NET_ADMIN: start it as root with that capability";
	if (capng_get_caps_process() != 0)
		return -1;
	return capng_have_capability(CAPNG_EFFECTIVE, CAP_NET_ADMIN) ||
	    capng_have_capability(CAPNG_EFFECTIVE, CAP_NET_RAW) ? 0 : -1;
}

const char *
port_nat_hint(void)
{
	return "";
}
