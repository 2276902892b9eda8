/*
 * A plain main() for a fuzz target: feed it every file of the folders and
 * files named, once as it is.  Prints each name before it is fed, so that the
 * last one printed is the one that ended the process.
 *
 * usage: fuzz_X.replay FOLDER | FILE ...
 */
#include <sys/types.h>
#include <sys/stat.h>

#include <dirent.h>
#include <err.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int	LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static unsigned int	nfed;

static void
feed_file(const char *path, off_t size)
{
	uint8_t	*data;
	FILE	*f;
	size_t	 len;

	(void)printf("%s\n", path);
	(void)fflush(stdout);
	/* Exactly as large as the content, so that a tool sees each overrun. */
	if ((data = malloc(size > 0 ? (size_t)size : 1)) == NULL)
		err(1, NULL);
	if ((f = fopen(path, "rb")) == NULL)
		err(1, "%s", path);
	len = fread(data, 1, (size_t)size, f);
	if (len != (size_t)size)
		errx(1, "%s: shorter than it was", path);
	(void)fclose(f);
	(void)LLVMFuzzerTestOneInput(data, len);
	free(data);
	nfed++;
}

static void
feed(const char *path)
{
	struct dirent	**entries;
	struct stat	  sb;
	char		  name[1024];
	int		  i, n;

	if (stat(path, &sb) == -1)
		err(1, "%s", path);
	if (!S_ISDIR(sb.st_mode)) {
		feed_file(path, sb.st_size);
		return;
	}
	if ((n = scandir(path, &entries, NULL, alphasort)) == -1)
		err(1, "%s", path);
	for (i = 0; i < n; i++) {
		if (snprintf(name, sizeof(name), "%s/%s", path,
		    entries[i]->d_name) >= (int)sizeof(name))
			errx(1, "%s: path too long", entries[i]->d_name);
		free(entries[i]);
		if (stat(name, &sb) == 0 && S_ISREG(sb.st_mode))
			feed_file(name, sb.st_size);
	}
	free(entries);
}

int
main(int argc, char *argv[])
{
	int	i;

	for (i = 1; i < argc; i++)
		feed(argv[i]);
	(void)printf("%u passed, 0 failed, 0 skipped\n", nfed);
	return nfed == 0;
}
