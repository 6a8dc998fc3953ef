#include "os/os.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define READ_STEP (64 * 1024)

static bool os_error(struct error *e)
{
	enum error_kind kind = errno == EIO ? ERROR_IO : ERROR_NO_INPUT;

	return error_set(e, kind, "%s", strerror(errno));
}

static int64_t os_ns(struct timespec t)
{
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static struct os_file_id os_file_id_of(const struct stat *st)
{
	return (struct os_file_id){
		.dev = st->st_dev,
		.ino = st->st_ino,
		.size = (uint64_t)st->st_size,
		.mtime_ns = os_ns(st->st_mtim),
		.ctime_ns = os_ns(st->st_ctim),
		.is_regular = S_ISREG(st->st_mode),
	};
}

bool os_file_id_eq(const struct os_file_id *a, const struct os_file_id *b)
{
	return a->dev == b->dev && a->ino == b->ino && a->size == b->size &&
	       a->mtime_ns == b->mtime_ns && a->ctime_ns == b->ctime_ns;
}

bool os_file_stat(const char *path, struct os_file_id *out, struct error *e)
{
	struct stat st;

	if (stat(path, &st) != 0)
		return os_error(e);
	*out = os_file_id_of(&st);
	return true;
}

/* Room for what is left of a regular file and one octet, so that its end is seen at once. */
static size_t os_read_step(const struct os_file_id *id, const struct buf *out)
{
	size_t step = READ_STEP, room = buf_room(out);

	if (id->is_regular && id->size < room)
		step = (size_t)id->size + 1;
	return step < room ? step : room;
}

static bool os_read_all(int fd, const struct os_file_id *id, struct buf *out, struct error *e)
{
	for (;;) {
		size_t step = os_read_step(id, out);
		char extra, *to = step > 0 ? buf_reserve(out, step) : &extra;
		ssize_t n = read(fd, to, step > 0 ? step : 1);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return os_error(e);
		if (n == 0)
			return true;
		if (step == 0)
			return error_set(e, ERROR_LIMIT, "longer than %zu octets", out->limit);
		buf_filled(out, (size_t)n);
	}
}

static bool os_read_checked(int fd, struct buf *out, struct os_file_id *id, struct error *e)
{
	struct stat st;

	if (fstat(fd, &st) != 0)
		return os_error(e);
	struct os_file_id before = os_file_id_of(&st);
	if (!os_read_all(fd, &before, out, e))
		return false;
	if (fstat(fd, &st) != 0)
		return os_error(e);
	struct os_file_id after = os_file_id_of(&st);
	if (before.is_regular && !os_file_id_eq(&before, &after))
		return error_set(e, ERROR_TEMP, "it changed while it was read");
	if (id != NULL)
		*id = after;
	return true;
}

bool os_file_read(const char *path, struct buf *out, struct os_file_id *id, struct error *e)
{
	int fd;

	do {
		fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	} while (fd < 0 && errno == EINTR);
	if (fd < 0)
		return os_error(e);
	bool is_read = os_read_checked(fd, out, id, e);
	close(fd);
	return is_read;
}
