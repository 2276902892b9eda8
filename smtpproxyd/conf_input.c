/*
 * Files, included files and macros of the configuration as one flow of
 * octets.  Runs in the parent as root.  A file is believed only after its
 * owner and mode were checked on the open descriptor; depth, number and size
 * of files are bounded, so a loop of includes ends in an error.
 */
#include "conf_input.h"

#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int
input_check_mode(int fd, const char *path, struct input_text *t,
    struct conf_why *why)
{
	struct stat	st;

	if (fstat(fd, &st) == -1)
		return conf_fail(why, "%s: %s", path, strerror(errno));
	if (!S_ISREG(st.st_mode))
		return conf_fail(why, "%s is no file, expected a regular one",
		    path);
	if (st.st_uid != 0 && st.st_uid != geteuid())
		return conf_fail(why, "%s belongs to user %lu, expected root "
		    "or the user that starts the program", path,
		    (unsigned long)st.st_uid);
	if ((st.st_mode & (S_IWGRP | S_IWOTH)) != 0)
		return conf_fail(why, "%s can be written by others (mode "
		    "%04o), expected write permission for its owner only",
		    path, (unsigned int)(st.st_mode & 07777));
	if (st.st_size > INPUT_FILE_MAX)
		return conf_fail(why, "%s is too large, expected at most %d "
		    "octets", path, INPUT_FILE_MAX);
	t->len = (size_t)st.st_size;
	t->dev = st.st_dev;
	t->ino = st.st_ino;
	return 0;
}

/* Up to t->len octets; fewer when the file was cut meanwhile. */
static int
input_read_all(int fd, const char *path, struct input_text *t,
    struct conf_why *why)
{
	size_t	used = 0;
	ssize_t	n;

	if ((t->data = malloc(t->len + 1)) == NULL)
		return conf_fail(why, "out of memory");
	while (used < t->len) {
		n = read(fd, t->data + used, t->len - used);
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1) {
			(void)conf_fail(why, "%s: %s", path, strerror(errno));
			free(t->data);
			t->data = NULL;
			return -1;
		}
		if (n == 0)
			break;
		used += (size_t)n;
	}
	t->len = used;
	return 0;
}

int
conf_input_read_file(void *arg, const char *path, struct input_text *t,
    struct conf_why *why)
{
	int	fd, rc;

	(void)arg;
	memset(t, 0, sizeof(*t));
	/* Non-blocking: a FIFO must not hold the start up. */
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd == -1)
		return conf_fail(why, "%s: %s", path, strerror(errno));
	rc = input_check_mode(fd, path, t, why);
	if (rc == 0)
		rc = input_read_all(fd, path, t, why);
	(void)close(fd);		/* was only read */
	return rc;
}

void
conf_input_init(struct conf_input *in, struct conf *conf,
    input_read_fn *read_fn, void *read_arg)
{
	memset(in, 0, sizeof(*in));
	in->conf = conf;
	in->read = read_fn;
	in->read_arg = read_arg;
}

void
conf_input_clear(struct conf_input *in)
{
	while (in->source != NULL)
		conf_input_close(in);
}

void
conf_input_close(struct conf_input *in)
{
	struct input_source	*s = in->source;

	in->source = s->outer;
	if (!s->is_macro) {
		in->depth--;
		free(s->data);
	}
	free(s);
}

/* Takes t->data, also on failure. */
static int
input_push_file(struct conf_input *in, const char *name,
    struct input_text *t, struct conf_why *why)
{
	struct input_source	*s;

	if ((s = calloc(1, sizeof(*s))) == NULL ||
	    (s->place.file = conf_file_name(in->conf, name)) == NULL) {
		free(s);
		free(t->data);
		return conf_fail(why, "out of memory");
	}
	s->place.line = 1;
	s->data = t->data;
	s->len = t->len;
	s->dev = t->dev;
	s->ino = t->ino;
	s->outer = in->source;
	if (s->outer == NULL)
		in->conf->place = s->place;
	in->source = s;
	in->depth++;
	in->nfiles++;
	return 0;
}

int
conf_input_open_text(struct conf_input *in, const char *name,
    const char *data, size_t len, struct conf_why *why)
{
	struct input_text	t;

	memset(&t, 0, sizeof(t));
	if (len > INPUT_FILE_MAX)
		return conf_fail(why, "%s is too large, expected at most %d "
		    "octets", name, INPUT_FILE_MAX);
	if ((t.data = malloc(len + 1)) == NULL)
		return conf_fail(why, "out of memory");
	memcpy(t.data, data, len);
	t.len = len;
	return input_push_file(in, name, &t, why);
}

static int
input_is_open(const struct conf_input *in, const struct input_text *t)
{
	const struct input_source	*s;

	for (s = in->source; s != NULL; s = s->outer)
		if ((t->dev != 0 || t->ino != 0) && !s->is_macro &&
		    s->dev == t->dev && s->ino == t->ino)
			return 1;
	return 0;
}

int
conf_input_open(struct conf_input *in, const char *path,
    struct conf_why *why)
{
	struct input_text	t;

	memset(&t, 0, sizeof(t));
	if (in->read == NULL)
		return conf_fail(why, "%s: no file can be read here", path);
	if (in->depth >= INPUT_DEPTH_MAX)
		return conf_fail(why, "%s: files include one another too "
		    "deeply, expected at most %d levels", path,
		    INPUT_DEPTH_MAX);
	if (in->nfiles >= INPUT_FILES_MAX)
		return conf_fail(why, "%s: too many files, expected at most "
		    "%d", path, INPUT_FILES_MAX);
	if (in->read(in->read_arg, path, &t, why) == -1)
		return -1;
	if (input_is_open(in, &t)) {
		free(t.data);
		return conf_fail(why, "%s includes itself, expected another "
		    "file", path);
	}
	return input_push_file(in, path, &t, why);
}

int
conf_input_include(struct conf_input *in, const char *path,
    struct conf_why *why)
{
	const struct input_source	*s = in->source;
	const char			*slash = NULL;
	char				 full[INPUT_PATH_MAX] = "";
	size_t				 len = 0;

	while (s != NULL && s->is_macro)
		s = s->outer;
	if (path[0] != '/' && s != NULL)
		slash = strrchr(s->place.file, '/');
	if (slash != NULL)
		len = (size_t)(slash - s->place.file) + 1;
	if (len >= sizeof(full) || strlen(path) >= sizeof(full) - len)
		return conf_fail(why, "the path is too long, expected below "
		    "%d octets", INPUT_PATH_MAX);
	if (len > 0)
		memcpy(full, s->place.file, len);
	(void)strlcpy(full + len, path, sizeof(full) - len);
	return conf_input_open(in, full, why);
}

int
conf_input_open_macro(struct conf_input *in, const char *value)
{
	struct input_source	*s;

	if ((s = calloc(1, sizeof(*s))) == NULL)
		return -1;
	if (in->source != NULL)
		s->place = in->source->place;
	s->data = (char *)(uintptr_t)value;	/* is_macro: only read */
	s->len = strlen(value);
	s->is_macro = 1;
	s->outer = in->source;
	in->source = s;
	return 0;
}

int
conf_input_peek(const struct conf_input *in, size_t ahead)
{
	const struct input_source	*s = in->source;

	if (s == NULL || ahead >= s->len - s->pos)
		return INPUT_END;
	return (unsigned char)s->data[s->pos + ahead];
}

void
conf_input_skip(struct conf_input *in)
{
	struct input_source	*s = in->source;

	if (s == NULL || s->pos >= s->len)
		return;
	if (s->data[s->pos++] == '\n')
		s->place.line++;
}
