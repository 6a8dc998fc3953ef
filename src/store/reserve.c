/* Room kept back for a full disk. Mail that leaves needs room, too: for the log, and for what the
 * log is copied to. Without it nothing could be recorded as delivered, and all would be delivered
 * again and again. So a file of that size lies in the queue directory; on a full disk it is
 * removed, what settles mail goes on in its room, and new mail is refused until there is room for
 * the file again. */

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "store/room.h"

static void reserve_path(const struct store *s, char out[STORE_PATH_MAX])
{
	(void)snprintf(out, STORE_PATH_MAX, "%s/" STORE_RESERVE, s->directory);
}

/* Beside it there has to be as much again: otherwise it would come and go with every message. */
static bool has_room(const struct store *s)
{
	struct statvfs v;

	return statvfs(s->directory, &v) == 0 &&
	       (uint64_t)v.f_bavail * v.f_frsize / 2 >= s->reserve_octets;
}

static bool make(const struct store *s)
{
	char path[STORE_PATH_MAX];

	reserve_path(s, path);
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		return false;
	bool is_made = posix_fallocate(fd, 0, (off_t)s->reserve_octets) == 0;
	(void)close(fd);
	if (!is_made)
		(void)unlink(path);
	return is_made;
}

static bool is_as_wanted(const struct store *s)
{
	char path[STORE_PATH_MAX];
	struct stat st;

	reserve_path(s, path);
	return stat(path, &st) == 0 && (uint64_t)st.st_size == s->reserve_octets;
}

bool store_reserve_keep(struct store *s)
{
	if (s->reserve_octets == 0 || s->has_reserve)
		return true;
	s->has_reserve = is_as_wanted(s) || (has_room(s) && make(s));
	return s->has_reserve;
}

void store_reserve_release(struct store *s)
{
	char path[STORE_PATH_MAX];

	reserve_path(s, path);
	if (s->has_reserve)
		(void)unlink(path);
	s->has_reserve = false;
}
