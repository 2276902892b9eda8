/*
 * Files of keys and certificates of the configuration.  Runs in the parent as
 * root, which knows nothing of what they hold.  A file is believed only after
 * its owner and mode were checked on the open descriptor.  What was read of a
 * private key is nowhere but in the caller's buffer: read(2), no stdio, no
 * heap.
 */
#include "keyfile.h"

#include <sys/types.h>
#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../privsep/keyholder.h"

struct keyfile {
	const char	*path;
	int		 fd;
	struct stat	 st;
};

/* A regular file, for reading. */
static int
keyfile_open(struct keyfile *f, const char *path, struct conf_why *why)
{
	memset(f, 0, sizeof(*f));
	f->path = path;
	/* Non-blocking: a FIFO must not hold the start up. */
	f->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (f->fd == -1)
		return conf_fail(why, "%s: %s", path, strerror(errno));
	if (fstat(f->fd, &f->st) == -1)
		(void)conf_fail(why, "%s: %s", path, strerror(errno));
	else if (!S_ISREG(f->st.st_mode))
		(void)conf_fail(why, "%s is no file, expected a regular one",
		    path);
	else
		return 0;
	(void)close(f->fd);		/* was not even read */
	return -1;
}

static int
keyfile_check_owner(const struct keyfile *f, struct conf_why *why)
{
	if (f->st.st_uid != 0 && f->st.st_uid != geteuid())
		return conf_fail(why, "%s belongs to user %lu, expected root "
		    "or the user that starts the program", f->path,
		    (unsigned long)f->st.st_uid);
	return 0;
}

static int
keyfile_check_key(const struct keyfile *f, struct conf_why *why)
{
	if (keyfile_check_owner(f, why) == -1)
		return -1;
	if ((f->st.st_mode & (S_IRWXG | S_IRWXO)) != 0)
		return conf_fail(why, "%s can be used by others (mode %04o), "
		    "expected permission for its owner only", f->path,
		    (unsigned int)(f->st.st_mode & 07777));
	return 0;
}

static int
keyfile_check_cert(const struct keyfile *f, struct conf_why *why)
{
	if (keyfile_check_owner(f, why) == -1)
		return -1;
	if ((f->st.st_mode & (S_IWGRP | S_IWOTH)) != 0)
		return conf_fail(why, "%s can be written by others (mode "
		    "%04o), expected write permission for its owner only",
		    f->path, (unsigned int)(f->st.st_mode & 07777));
	return 0;
}

/*
 * All of it.  One octet more than max, which is the room, would be too many:
 * the size that fstat(2) gave may be an old one.
 */
static int
keyfile_read(const struct keyfile *f, uint8_t *octets, size_t max, size_t *len,
    struct conf_why *why)
{
	uint8_t	more;
	ssize_t	n;

	*len = 0;
	do {
		n = *len < max ? read(f->fd, octets + *len, max - *len) :
		    read(f->fd, &more, 1);
		if (n > 0 && *len == max)
			return conf_fail(why, "%s is too large, expected at "
			    "most %zu octets", f->path, max);
		if (n > 0)
			*len += (size_t)n;
	} while (n > 0 || (n == -1 && errno == EINTR));
	if (n == -1)
		return conf_fail(why, "%s: %s", f->path, strerror(errno));
	if (*len == 0)
		return conf_fail(why, "%s is empty", f->path);
	return 0;
}

int
keyfile_read_key(const char *path, uint8_t *octets, size_t *len,
    struct conf_why *why)
{
	struct keyfile	f;
	int		rc;

	if (keyfile_open(&f, path, why) == -1)
		return -1;
	rc = keyfile_check_key(&f, why);
	if (rc == 0)
		rc = keyfile_read(&f, octets, KEY_FILE_MAX, len, why);
	if (rc == -1)
		explicit_bzero(octets, KEY_FILE_MAX);
	(void)close(f.fd);		/* was only read */
	return rc;
}

/* As large as it is now: room for max octets would be too much for each. */
static int
keyfile_take_cert(const struct keyfile *f, size_t max, uint8_t **octets,
    size_t *len, struct conf_why *why)
{
	size_t	size;

	if (f->st.st_size < 0 || (uintmax_t)f->st.st_size > max)
		return conf_fail(why, "%s is too large, expected at most %zu "
		    "octets", f->path, max);
	size = (size_t)f->st.st_size;
	if ((*octets = malloc(size + 1)) == NULL)
		return conf_fail(why, "out of memory");
	if (keyfile_read(f, *octets, size, len, why) == -1) {
		free(*octets);
		*octets = NULL;
		return -1;
	}
	(*octets)[*len] = '\0';
	return 0;
}

int
keyfile_read_cert(const char *path, size_t max, uint8_t **octets, size_t *len,
    struct conf_why *why)
{
	struct keyfile	f;
	int		rc;

	*octets = NULL;
	*len = 0;
	if (keyfile_open(&f, path, why) == -1)
		return -1;
	rc = keyfile_check_cert(&f, why);
	if (rc == 0)
		rc = keyfile_take_cert(&f, max, octets, len, why);
	(void)close(f.fd);		/* was only read */
	return rc;
}
