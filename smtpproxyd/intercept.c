/*
 * Interception in the parent: the original destination of a connection, and
 * the guards that keep the proxy from becoming a loop or an open relay.  Only
 * the kernel's answers and the configuration count here.
 */
#include "intercept.h"

#include <sys/types.h>
#include <sys/socket.h>

#include <netinet/in.h>

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "../common/port/port.h"

static int
find_local(int fd, struct addr *local, struct sockaddr_storage *ss)
{
	socklen_t	len = sizeof(*ss);

	if (getsockname(fd, (struct sockaddr *)ss, &len) == -1)
		return -1;
	return addr_from_sockaddr(local, (struct sockaddr *)ss);
}

/* The firewall's word; without one `original` stays as it is. */
static int
find_nat(int fd, const struct addr *client,
    const struct sockaddr_storage *local, struct addr *original)
{
	struct sockaddr_storage	from, to;

	(void)addr_to_sockaddr(client, &from);
	if (port_nat_lookup(fd, (struct sockaddr *)&from,
	    (const struct sockaddr *)local, &to) == -1)
		return -1;
	errno = EAFNOSUPPORT;		/* if it is no address */
	return addr_from_sockaddr(original, (struct sockaddr *)&to);
}

/* The answers of a failed lookup that an admin can do something about. */
static const char *
find_explain(int error)
{
	if (error != ENOENT)
		return "nat lookup failed";
	if (port_nat_hint()[0] != '\0')
		return port_nat_hint();
	return "nat lookup: the firewall has not redirected this connection";
}

int
intercept_find(const struct conf_relay *r, int fd, const struct addr *client,
    struct addr *original, const char **why)
{
	struct sockaddr_storage	local;

	*why = "no local address";
	if (find_local(fd, original, &local) == -1)
		return -1;
	if (r->forward == FORWARD_DESTINATION ||
	    find_nat(fd, client, &local, original) == 0)
		return 0;
	*why = find_explain(errno);
	return -1;
}

int
intercept_guess(int fd, const struct addr *client, struct addr *dest)
{
	struct sockaddr_storage	local;

	if (find_local(fd, dest, &local) == -1)
		return -1;
	(void)find_nat(fd, client, &local, dest);
	return 0;
}

static int
check_has(const struct conf_check *c, const struct addr *a)
{
	size_t	i;

	for (i = 0; i < c->nblocks; i++)
		if (addr_block_has(&c->blocks[i], a))
			return 1;
	return 0;
}

int
intercept_is_bypass(const struct conf_relay *r, const struct addr *client)
{
	return check_has(&r->bypass, client);
}

/*
 * Is it an address of this host?  The kernel knows, and answers a bind(2); a
 * list of interfaces would not have addresses that are routed to us.
 */
static int
address_is_local(const struct addr *a)
{
	struct sockaddr_storage	ss;
	struct addr		any_port = *a;
	socklen_t		len;
	int			fd, rc;

	any_port.port = 0;
	len = addr_to_sockaddr(&any_port, &ss);
	fd = socket(a->family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd == -1)
		return 1;		/* unknown: the safe answer */
	rc = bind(fd, (struct sockaddr *)&ss, len);
	(void)close(fd);
	return rc == 0;
}

/* A listener's own address, or any of this host on a port of ours. */
static int
address_is_ours(const struct conf *c, const struct addr *a)
{
	const struct conf_relay		*r;
	const struct conf_listener	*l;
	int				 is_port = 0;

	for (r = c->relays; r != NULL; r = r->next)
		for (l = r->listeners; l != NULL; l = l->next) {
			if (addr_is_equal(&l->addr, a))
				return 1;
			if (l->addr.port == a->port)
				is_port = 1;
		}
	return is_port && address_is_local(a);
}

/* 0.0.0.0/8 is "this network" (RFC 1122 3.2.1.3), no host's address. */
static int
address_is_no_host(const struct addr *a)
{
	return addr_is_unspecified(a) || addr_is_multicast(a) ||
	    addr_is_loopback(a) || a->port == 0 ||
	    (a->family == AF_INET && a->ip[0] == 0);
}

const char *
intercept_refusal(const struct conf *c, const struct conf_relay *r,
    const struct addr *original)
{
	if (address_is_ours(c, original))
		return "connected to the proxy itself, not through it";
	if (address_is_no_host(original))
		return "the original destination is no other host";
	if (check_has(&r->except, original))
		return "the original destination is excepted";
	if (r->only.table[0] != '\0' && !check_has(&r->only, original))
		return "the original destination is not among those allowed";
	return NULL;
}

/* --- What can be checked at the start --- */

struct check {
	conf_say_fn	*say;
	void		*arg;
	int		 nfound;
};

static void
check_one(struct check *c, enum port_intercept kind,
    const struct conf_place *place)
{
	const char	*what = "";

	if (port_check_intercept(kind, &what) == 0)
		return;
	c->say(c->arg, place, what);
	c->nfound++;
}

static void
check_relay(struct check *c, const struct conf_relay *r)
{
	const struct conf_listener	*l;

	if (r->forward == FORWARD_NAT)
		check_one(c, PORT_NAT, &r->forward_place);
	if (r->is_transparent)
		check_one(c, PORT_TRANSPARENT, &r->forward_place);
	if (r->mark != 0)
		check_one(c, PORT_MARK, &r->place);
	for (l = r->listeners; l != NULL; l = l->next)
		if (l->is_divert)
			check_one(c, addr_is_unspecified(&l->addr) ?
			    PORT_DIVERT_ANY : PORT_DIVERT, &l->place);
}

int
intercept_check(const struct conf *c, conf_say_fn *say, void *arg)
{
	struct check		 check = { say, arg, 0 };
	const struct conf_relay	*r;

	for (r = c->relays; r != NULL; r = r->next)
		check_relay(&check, r);
	return check.nfound;
}
