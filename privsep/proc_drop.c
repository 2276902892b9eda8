/*
 * A child gives up what its row does not promise, and looks whether it did.
 *
 * Runs in every child, once, as root unless started without (the check of a
 * configuration).  Trusts the parent's word on user and root directory, and
 * no system call's word that it worked: each is asked back, and each way back
 * is tried and must fail.  Any doubt is the end of the process.
 */
#include <sys/types.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <string.h>
#include <unistd.h>

#include "../common/log.h"
#include "../common/port/port.h"
#include "proc.h"

/* On every host, and in no empty folder. */
#define HOST_FILE	"/etc/passwd"

static uint32_t	max_files;

#ifdef SANDBOX_TRACE
/*
 * LeakSanitizer asks by this name whether it is to look for leaks at exit.
 * It needs /proc, and would fail where there is none; memcheck looks there.
 */
int		__lsan_is_turned_off(void);
static int	has_no_proc;

int
__lsan_is_turned_off(void)
{
	return has_no_proc;
}
#endif

uint32_t
proc_drop_max_files(void)
{
	return max_files;
}

/* --- Limits --- */

/* Asked back: hard and soft, both as they were set. */
static void
verify_limit(const struct rlimit *rl, rlim_t value, const char *name)
{
	if (rl->rlim_cur != value || rl->rlim_max != value)
		fatalx("limit: %s did not take", name);
}

static void
drop_limits(const struct proc_row *row)
{
	struct rlimit	rl;
	rlim_t		files;

	rl.rlim_cur = rl.rlim_max = 0;
	if (setrlimit(RLIMIT_CORE, &rl) == -1 ||
	    getrlimit(RLIMIT_CORE, &rl) == -1)
		fatal("limit: core");
	verify_limit(&rl, 0, "core");
#ifndef SANDBOX_TRACE
	/* No fork, whatever the filter says; LeakSanitizer needs one. */
	if (setrlimit(RLIMIT_NPROC, &rl) == -1 ||
	    getrlimit(RLIMIT_NPROC, &rl) == -1)
		fatal("limit: processes");
	verify_limit(&rl, 0, "processes");
#endif
	if (getrlimit(RLIMIT_NOFILE, &rl) == -1)
		fatal("limit: files");
	files = rl.rlim_max;
	if (row->max_files != 0 && row->max_files < files)
		files = row->max_files;
	rl.rlim_cur = rl.rlim_max = files;
	if (setrlimit(RLIMIT_NOFILE, &rl) == -1 ||
	    getrlimit(RLIMIT_NOFILE, &rl) == -1)
		fatal("limit: files");
	verify_limit(&rl, files, "files");
	max_files = files < UINT32_MAX ? (uint32_t)files : UINT32_MAX;
}

/* --- Root directory --- */

static int
root_is_empty(int fd)
{
	struct dirent	*d;
	DIR		*dir;
	int		 copy, is_empty = 1;

	if ((copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)) == -1)
		return 0;
	if ((dir = fdopendir(copy)) == NULL) {
		(void)close(copy);	/* was read at most */
		return 0;
	}
	while ((d = readdir(dir)) != NULL)
		if (strcmp(d->d_name, ".") != 0 && strcmp(d->d_name, "..") != 0)
			is_empty = 0;
	(void)closedir(dir);
	return is_empty;
}

/* Its descriptor, so that what was checked is what is used; -1 with *why. */
static int
root_open(const char *path, struct stat *sb, const char **why)
{
	int	fd;

	*why = "not an absolute path";
	if (path[0] != '/')
		return -1;
	fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd == -1) {
		*why = strerror(errno);
		return -1;
	}
	*why = NULL;
	if (fstat(fd, sb) == -1)
		*why = strerror(errno);
	else if (sb->st_uid != 0)
		*why = "not owned by root";
	else if ((sb->st_mode & (S_IWGRP | S_IWOTH)) != 0)
		*why = "writable for group or world";
	else if (!root_is_empty(fd))
		*why = "not empty";
	if (*why == NULL)
		return fd;
	(void)close(fd);		/* was read at most */
	return -1;
}

int
proc_check_root(const char *path, const char **why)
{
	struct stat	sb;
	int		fd;

	if ((fd = root_open(path, &sb, why)) == -1)
		return -1;
	(void)close(fd);		/* was read at most */
	return 0;
}

static void
drop_root(const char *path, struct stat *sb)
{
	const char	*why;
	int		 fd;

	if ((fd = root_open(path, sb, &why)) == -1)
		fatalx("chroot %s: %s", path, why);
	if (fchdir(fd) == -1 || chroot(".") == -1 || chdir("/") == -1)
		fatal("chroot %s", path);
	(void)close(fd);		/* else it would be a way out */
#ifdef SANDBOX_TRACE
	has_no_proc = 1;
#endif
}

static void
verify_root(const char *path, const struct stat *sb)
{
	struct stat	now;
	int		fd;

	if (stat("/", &now) == -1 || now.st_dev != sb->st_dev ||
	    now.st_ino != sb->st_ino)
		fatalx("chroot %s: / is another folder", path);
	if (stat("..", &now) == -1 || now.st_dev != sb->st_dev ||
	    now.st_ino != sb->st_ino)
		fatalx("chroot %s: .. leads out of it", path);
	if ((fd = open(HOST_FILE, O_RDONLY | O_CLOEXEC)) != -1)
		fatalx("chroot %s: %s can be opened still", path, HOST_FILE);
}

/* --- User --- */

static void
drop_user(const struct proc_identity *id)
{
	if (id->uid == 0)
		fatalx("user: is root");
	if (id->gid == 0)
		fatalx("group: is root's");
	if (setgroups(1, &id->gid) == -1)
		fatal("groups");
	if (setresgid(id->gid, id->gid, id->gid) == -1)
		fatal("group %u", (unsigned int)id->gid);
	if (setresuid(id->uid, id->uid, id->uid) == -1)
		fatal("user %u", (unsigned int)id->uid);
}

static void
verify_user(const struct proc_identity *id)
{
	gid_t	groups[2], rgid, egid, sgid;
	uid_t	ruid, euid, suid;

	if (getresuid(&ruid, &euid, &suid) == -1 || ruid != id->uid ||
	    euid != id->uid || suid != id->uid)
		fatalx("user: did not take");
	if (getresgid(&rgid, &egid, &sgid) == -1 || rgid != id->gid ||
	    egid != id->gid || sgid != id->gid)
		fatalx("group: did not take");
	if (getgroups(2, groups) != 1 || groups[0] != id->gid)
		fatalx("groups: did not take");
}

/* Each of these must fail now. */
static void
verify_no_way_back(void)
{
	gid_t	other = 0;

	if (setuid(0) != -1 || setresuid(0, 0, 0) != -1 || geteuid() == 0)
		fatalx("user: root can be had back");
	if (setresgid(0, 0, 0) != -1 || setgroups(1, &other) != -1)
		fatalx("group: root's can be had back");
	if (chroot("/") != -1)
		fatalx("chroot: is still allowed");
}

/* --- All of it --- */

void
proc_drop(const struct proc_row *row, const struct proc_identity *id)
{
	const char	*what = "sandbox";
	struct stat	 sb;
	int		 has_root;

	if (id == NULL && geteuid() == 0)
		fatalx("user: is root, and none is given to change to");
	drop_limits(row);
	if (port_confine_before(&what) == -1)
		fatal("%s", what);
	has_root = id != NULL && id->chroot[0] != '\0';
	if (has_root)
		drop_root(id->chroot, &sb);
	if (id != NULL) {
		drop_user(id);
		verify_user(id);
	}
	/* Before the filter, which kills for most of what is tried here. */
	verify_no_way_back();
	if (has_root)
		verify_root(id->chroot, &sb);
	if (port_confine_after(row->promises, &what) == -1)
		fatal("%s", what);
	if (port_confine_verify(&what) == -1)
		fatalx("%s", what);
}
