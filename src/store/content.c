/* Content: in memory or in a file, immutable once finished, shared by count. */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "os/files.h"
#include "store/room.h"

enum { WRITE_MAX = 64 * 1024, SPOOL_MIN = 16 * 1024 };

/* ---- files ---- */

/* As open(2); what is kept back is not for messages. */
static int open_message(const char *path, int flags, struct error *e)
{
	int fd = open(path, flags | O_CLOEXEC, 0600);

	if (os_files_is_kept_back(fd)) {
		close(fd);
		if (flags & O_CREAT)
			(void)unlink(path);
		fd = -1;
		errno = EMFILE;
	}
	if (fd < 0)
		error_set(e, errno == EMFILE || errno == ENFILE ? ERROR_LIMIT : ERROR_IO, "%s: %s",
			  path, strerror(errno));
	return fd;
}

/* Files made within some 17 seconds share a folder, so that one fsync of it serves many. */
void store_content_path(const char *directory, uint64_t id, char out[STORE_PATH_MAX])
{
	char text[STORE_ID_TEXT_MAX];

	(void)store_id_text(id, text);
	(void)snprintf(out, STORE_PATH_MAX, "%s/" STORE_CONTENT "/%02x/%s", directory,
		       (unsigned)(id >> 32 & 0xff), text);
}

bool store_sync_folder(const char *folder, struct error *e)
{
	int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return error_set(e, ERROR_IO, "%s: %s", folder, strerror(errno));
	int failed = fsync(fd) == 0 ? 0 : errno;
	(void)close(fd);
	return failed == 0 || error_set(e, ERROR_IO, "%s: %s", folder, strerror(failed));
}

/* ---- content ---- */

static char *copy_of(const char *path)
{
	size_t n = strlen(path) + 1;

	return memcpy(base_realloc(NULL, n), path, n);
}

struct store_content *store_content_of_file(const char *path, uint64_t size)
{
	struct store_content *c = base_alloc(sizeof(*c));

	*c = (struct store_content){ .refs = 1,
				     .size = size,
				     .path = copy_of(path),
				     .fd = -1,
				     .is_durable = true,
				     .is_kept = true };
	return c;
}

struct store_content *store_content_of_octets(struct str octets)
{
	struct store_content *c = base_alloc(sizeof(*c));

	*c = (struct store_content){ .refs = 1, .size = octets.n, .fd = -1 };
	buf_init(&c->memory, octets.n);
	CHECK(buf_add(&c->memory, octets));
	return c;
}

struct store_content *store_content_ref(struct store_content *c)
{
	(void)__atomic_add_fetch(&c->refs, 1, __ATOMIC_RELAXED);
	return c;
}

void store_content_unref(struct store_content *c)
{
	if (!c || __atomic_sub_fetch(&c->refs, 1, __ATOMIC_ACQ_REL) > 0)
		return;
	if (c->fd >= 0)
		(void)close(c->fd);
	if (c->path && !c->is_kept)
		(void)unlink(c->path);
	free(c->path);
	buf_fini(&c->memory);
	if (c->budget)
		store_memory_give(c->budget, c->charged);
	store_memory_unref(c->budget);
	free(c);
}

uint64_t store_content_size(const struct store_content *c)
{
	return c->size;
}

bool store_content_is_file(const struct store_content *c)
{
	return c->path != NULL;
}

struct str store_content_memory(const struct store_content *c)
{
	CHECK(!c->path);
	return buf_str(&c->memory);
}

bool store_content_is_crowding(const struct store_content *c)
{
	return c->budget && !c->path && store_memory_is_half_full(c->budget);
}

int store_content_descriptor(const struct store_content *c, struct error *e)
{
	CHECK(c->path);
	return open_message(c->path, O_RDONLY, e);
}

bool store_content_sync(struct store_content *c, struct error *e)
{
	if (c->is_durable)
		return true;
	if (c->fd < 0)
		return error_set(e, ERROR_IO, "%s: it could not be made durable before", c->path);
	int failed = fdatasync(c->fd) == 0 ? 0 : errno;

	/* Closing can tell of a write that failed, too. */
	if (close(c->fd) != 0 && failed == 0)
		failed = errno;
	c->fd = -1;
	return failed == 0 || error_set(e, ERROR_IO, "%s: %s", c->path, strerror(failed));
}

void store_content_folder(const struct store_content *c, char out[STORE_PATH_MAX])
{
	const char *slash = strrchr(c->path, '/');

	(void)snprintf(out, STORE_PATH_MAX, "%.*s", (int)(slash - c->path), c->path);
}

/* ---- spool ---- */

struct store_spool {
	const char *directory;    /* the store's */
	const unsigned *failures; /* the store's, of folders */
	unsigned folder_failures; /* so many when the file was made */
	uint64_t id, size;
	size_t inline_limit;
	struct buf waiting; /* all, or what is not in the file yet */
	struct store_memory *budget;
	size_t charged; /* to it, for the memory of `waiting` */
	char *path;     /* NULL: no file yet */
	int fd;
};

struct store_spool *store_spool_of(const struct store *store, uint64_t id)
{
	struct store_spool *s = base_alloc(sizeof(*s));
	size_t limit = store->inline_limit;

	*s = (struct store_spool){ .directory = store->directory,
				   .failures = &store->folder_failures,
				   .id = id,
				   .inline_limit = limit,
				   .budget = store_memory_ref(store->memory),
				   .fd = -1 };
	buf_init(&s->waiting, limit < SPOOL_MIN ? SPOOL_MIN : limit);
	return s;
}

static void spool_release(struct store_spool *s)
{
	buf_fini(&s->waiting);
	store_memory_give(s->budget, s->charged);
	s->charged = 0;
}

/* For all the memory that is held, filled or not. */
static bool spool_charge(struct store_spool *s)
{
	if (s->waiting.size > s->charged &&
	    !store_memory_take(s->budget, s->waiting.size - s->charged))
		return false;
	s->charged = s->waiting.size;
	return true;
}

void store_spool_free(struct store_spool *s)
{
	if (!s)
		return;
	if (s->fd >= 0)
		(void)close(s->fd);
	if (s->path)
		(void)unlink(s->path);
	free(s->path);
	spool_release(s);
	store_memory_unref(s->budget);
	free(s);
}

uint64_t store_spool_size(const struct store_spool *s)
{
	return s->size;
}

static bool spool_failed(const struct store_spool *s, struct error *e)
{
	return error_set(e, ERROR_IO, "%s: %s", s->path, strerror(errno));
}

static bool spool_make_file(struct store_spool *s, struct error *e)
{
	char path[STORE_PATH_MAX];

	store_content_path(s->directory, s->id, path);
	s->folder_failures = __atomic_load_n(s->failures, __ATOMIC_RELAXED);
	int fd = open_message(path, O_WRONLY | O_CREAT | O_EXCL, e);
	if (fd < 0)
		return false;
	s->path = copy_of(path);
	s->fd = fd;
	return true;
}

static bool spool_write(struct store_spool *s, struct error *e)
{
	if (!s->path && !spool_make_file(s, e))
		return false;
	while (buf_len(&s->waiting) > 0) {
		struct str piece = str_first(buf_str(&s->waiting), WRITE_MAX);
		ssize_t n = write(s->fd, piece.p, piece.n);
		if (n < 0 && errno != EINTR)
			return spool_failed(s, e);
		if (n > 0)
			buf_consume(&s->waiting, (size_t)n);
	}
	return true;
}

bool store_spool_add(struct store_spool *s, struct str octets, struct error *e)
{
	s->size += octets.n;
	while (octets.n > 0) {
		if (buf_room(&s->waiting) == 0 && !spool_write(s, e))
			return false;
		struct str piece = str_first(octets, buf_room(&s->waiting));
		CHECK(buf_add(&s->waiting, piece));
		if (!spool_charge(s)) {
			if (!spool_write(s, e))
				return false;
			spool_release(s);
		}
		octets = str_from(octets, piece.n);
	}
	return true;
}

struct store_content *store_spool_finish(struct store_spool *s, struct error *e)
{
	bool is_inline = !s->path && s->size <= s->inline_limit;

	if (!is_inline && !spool_write(s, e)) {
		store_spool_free(s);
		return NULL;
	}
	struct store_content *c = base_alloc(sizeof(*c));
	*c = (struct store_content){ .refs = 1,
				     .id = s->id,
				     .size = s->size,
				     .path = s->path,
				     .fd = s->fd,
				     .folder_failures = s->folder_failures };
	if (is_inline)
		c->memory = s->waiting;
	else
		spool_release(s);
	c->budget = s->budget;
	c->charged = s->charged;
	free(s);
	return c;
}
