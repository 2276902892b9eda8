#ifndef SANDBOX_LINUX_H
#define SANDBOX_LINUX_H

#include <sys/types.h>
#include <sys/resource.h>

#include <stddef.h>

/*
 * What test_sandbox tries by the number of a system call, and what it reads
 * from /proc.  Where a system has neither, there are no attempts, and the
 * checks pass.
 */
struct attempt {
	const char	*name;
	int		(*fn)(void);	/* 0 when it worked */
	unsigned int	 allowed;	/* mask of sets of promises */
};

extern const struct attempt	sandbox_linux[];
extern const size_t		sandbox_nlinux;
extern pid_t			sandbox_sibling;
extern const int		sandbox_is_real;	/* no trace build */

/*
 * ck_assert that the kernel holds the process to what it should be: user,
 * groups, no capability (bounding set too, where it was root), no new
 * privileges, a filter, its root, its limits (max_files 0: any).
 */
void	sandbox_check_process(pid_t, uid_t, const char *root, int was_root,
	    rlim_t max_files);
/* Can this process look into that one? */
int	sandbox_can_read(pid_t);

#endif
