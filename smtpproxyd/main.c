/*
 * Start: options, the check of -n, the table of processes, and the choice of
 * a role where we are a child (-P).  Runs as root in the parent, and in each
 * child until its own main takes over.
 */
#include <sys/types.h>
#include <sys/resource.h>

#include <err.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../common/log.h"
#include "../common/port/port.h"
#include "../privsep/keyholder.h"
#include "../privsep/logger.h"
#include "../privsep/proc.h"
#include "build_id.h"
#include "conf_load.h"
#include "intercept.h"
#include "keycheck.h"
#include "messages.h"
#include "parent.h"
#include "parent_load.h"
#include "resolve.h"
#include "version.h"
#include "worker.h"

#define CONF_FILE	"/etc/smtpproxyd.conf"
#define CHILD_FD	3

/* Section 4 of the house style: a process is a row, not code. */
static const struct proc_row	proc_table[] = {
	{ .role = PROC_PARENT, .name = "parent",
	  .peers = ROLE(PROC_WORKER) | ROLE(PROC_LOGGER) |
	      ROLE(PROC_KEYHOLDER),
	  .on_death = DEATH_STOP_ALL },
	{ .role = PROC_WORKER, .name = "worker", .main = worker_main,
	  .user = USER_CONF, .root = ROOT_CONF, .promises = "stdio recvfd",
	  .peers = ROLE(PROC_PARENT) | ROLE(PROC_LOGGER) |
	      ROLE(PROC_KEYHOLDER),
	  .on_death = DEATH_RESTART },
	{ .role = PROC_LOGGER, .name = "logger", .main = logger_main,
	  .user = USER_CONF, .root = ROOT_CONF, .promises = "stdio recvfd",
	  .peers = ROLE(PROC_PARENT) | ROLE(PROC_WORKER) |
	      ROLE(PROC_KEYHOLDER),
	  .on_death = DEATH_RESTART },
	{ .role = PROC_KEYHOLDER, .name = "keyholder", .main = keyholder_main,
	  .user = KEYHOLDER_USER, .root = ROOT_CONF,
	  .promises = "stdio recvfd",
	  .peers = ROLE(PROC_PARENT) | ROLE(PROC_WORKER) | ROLE(PROC_LOGGER),
	  .on_death = DEATH_RESTART },
	{ .role = PROC_RESOLVE, .name = "resolve", .main = resolve_main,
	  .user = USER_CONF, .promises = "stdio rpath inet dns",
	  .peers = ROLE(PROC_PARENT), .on_death = DEATH_ONCE },
	{ .role = PROC_KEYCHECK, .name = "keycheck", .main = keycheck_main,
	  .user = KEYHOLDER_USER, .promises = "stdio",
	  .peers = ROLE(PROC_PARENT), .on_death = DEATH_ONCE }
};

static _Noreturn void
usage(void)
{
	(void)fprintf(stderr, "usage: smtpproxyd [-dnv] [-D macro=value] "
	    "[-f file]\n");
	exit(1);
}

static _Noreturn void
child_main(const char *role)
{
	const struct proc_row	*row = proc_row_by_name(role);

	if (row == NULL || row->main == NULL)
		errx(1, "no such process: %s", role);
	row->main(CHILD_FD);
	exit(1);
}

/* What -n -v finds is for mending, no error of the file. */
static void
say_finding(void *arg, const struct conf_place *place, const char *why)
{
	(void)arg;
	(void)fprintf(stderr, "%s:%d: warning: %s\n", place->file,
	    place->line, why);
}

struct options {
	const char	*file;
	const char	*role;		/* -P: we are a child */
	int		 is_check;
	int		 verbose;
	int		 is_foreground;
};

static void
options_parse(struct options *o, int argc, char *argv[])
{
	int	ch;

	memset(o, 0, sizeof(*o));
	o->file = CONF_FILE;
	while ((ch = getopt(argc, argv, "D:dF:f:I:nP:v")) != -1) {
		switch (ch) {
		case 'D':
			if (conf_load_macro(optarg) == -1)
				errx(1, "-D %s: name=value was expected",
				    optarg);
			break;
		case 'd':
			o->is_foreground = 1;
			break;
		case 'f':
			o->file = optarg;
			break;
		case 'I':		/* a child's own, with -P */
			break;
		case 'n':
			o->is_check = 1;
			break;
		case 'P':
			o->role = optarg;
			break;
		case 'v':
			o->verbose = 1;
			break;
		default:
			usage();
		}
	}
	if (optind != argc)
		usage();
}

/* What is opened later must not stand where daemon(3) puts /dev/null. */
static void
open_standard(void)
{
	int	fd;

	do
		if ((fd = open("/dev/null", O_RDWR)) == -1)
			err(1, "/dev/null");
	while (fd <= STDERR_FILENO);
	(void)close(fd);
}

int
main(int argc, char *argv[], char *envp[])
{
	struct parent_options	 p;
	struct options		 o;
	struct conf		*c;
	char			 self_path[1024];

	port_title_init(argc, argv, envp);
	open_standard();
	options_parse(&o, argc, argv);
	log_init("parent", o.verbose);
	proc_init(proc_table, sizeof(proc_table) / sizeof(proc_table[0]),
	    messages, nmessages, BUILD_ID);
	if (o.role != NULL)
		child_main(o.role);
	if (port_self_path(argv[0], self_path, sizeof(self_path)) == -1)
		err(1, "%s", argv[0]);
	if (o.verbose && o.is_check)
		(void)fprintf(stderr, "smtpproxyd %s, build %s, sandbox %s\n",
		    VERSION, BUILD_ID, port_sandbox_name());
	if ((c = parent_load(o.file, self_path)) == NULL)
		return 1;
	if (o.is_check) {
		if (o.verbose)
			(void)intercept_check(c, say_finding, NULL);
		(void)fprintf(stderr, "configuration OK\n");
		conf_free(c);
		return 0;
	}
	memset(&p, 0, sizeof(p));
	p.self_path = self_path;
	p.is_foreground = o.is_foreground;
	p.verbose = o.verbose;
	return parent_run(c, &p);
}
