#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "os/os.h"

static bool write_all(int fd, struct str s)
{
	while (s.n > 0) {
		ssize_t n = write(fd, s.p, s.n);
		if (n < 0 && errno != EINTR)
			return false;
		if (n > 0)
			s = str_from(s, (size_t)n);
	}
	return true;
}

/* mkstemp's files are for their owner alone; a file that takes a name gets what umask leaves. */
static bool open_up(int fd)
{
	mode_t mask = umask(0);

	(void)umask(mask);
	return fchmod(fd, 0666 & ~mask) == 0;
}

bool os_file_write(const char *path, struct str text, struct error *e)
{
	char beside[4096];

	if ((size_t)snprintf(beside, sizeof(beside), "%s.XXXXXX", path) >= sizeof(beside))
		return error_set(e, ERROR_IO, "%s", strerror(ENAMETOOLONG));
	int fd = mkostemp(beside, O_CLOEXEC);
	if (fd < 0)
		return error_set(e, ERROR_IO, "%s", strerror(errno));
	bool is_written = write_all(fd, text) && fsync(fd) == 0 && open_up(fd);
	int saved = errno;
	(void)close(fd);
	if (is_written && rename(beside, path) == 0)
		return true;
	if (is_written)
		saved = errno;
	(void)unlink(beside);
	return error_set(e, ERROR_IO, "%s", strerror(saved));
}
