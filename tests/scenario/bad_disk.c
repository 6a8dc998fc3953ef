/* Loaded before the C library: a disk and a clock that do what a test tells them while the program
 * runs.
 *
 * $BAD_DISK names a file of `struct orders`, which both sides have mapped. A rule says what happens
 * to calls of a kind on files whose name holds a text. While `is_tracked` is set, what was written
 * and not synchronised since is remembered, so that it can be lost as it would be without power: by
 * LOSE, a sync that fails and whose pages are gone, and by POWER, the end of the process with all
 * that was not synchronised. Memory maps are not followed; SQLite's is made anew by who opens the
 * database next. */

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define SEEN __attribute__((visibility("default")))

enum { RULES_MAX = 16, PATH_MAX_HERE = 4096 };

enum kind {
	WRITE = 1,
	SYNC = 2,
	OPEN = 4,
	READ = 8,
	UNLINK = 16,
	SIZE = 32, /* ftruncate, fallocate */
	FOLDER = 64,
};

/* LOSE_AND_GO: as LOSE, and rules that let calls through let none through any more. */
enum action { FAIL = 1, SHORT, KILL, KILL_AFTER, LOSE, POWER, SLOW, HANG, LOSE_AND_GO };

struct rule {
	uint32_t kinds, action;
	int32_t error;
	uint32_t skip, count; /* calls that are let through first; then this many are hit */
	uint32_t hits;
	char path[104];
};

struct orders {
	uint32_t n_rules, is_tracked, loses_some, seed; /* loses_some: each write by chance */
	int64_t shift_ns;                               /* of the wall clock */
	int64_t still_ns;                               /* not 0: it stands at this */
	uint32_t n_calls[8];                            /* by kind, of tracked files */
	char tracked[64];                               /* files whose name holds this */
	struct rule rules[RULES_MAX];
};

static struct orders none, *orders = &none;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

__attribute__((constructor)) static void take_orders(void)
{
	const char *path = getenv("BAD_DISK");
	int fd = path ? (int)syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC) : -1;
	void *p = fd < 0 ? MAP_FAILED
			 : mmap(NULL, sizeof(*orders), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (p != MAP_FAILED)
		orders = p;
	if (fd >= 0)
		(void)syscall(SYS_close, fd);
}

static bool is_quiet(void)
{
	return __atomic_load_n(&orders->n_rules, __ATOMIC_ACQUIRE) == 0 && !orders->is_tracked;
}

static bool path_of(int fd, char out[PATH_MAX_HERE])
{
	char link[64];

	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	ssize_t n = readlink(link, out, PATH_MAX_HERE - 1);
	out[n > 0 ? n : 0] = '\0';
	return n > 0;
}

/* ---- what is not on the disk yet ---- */

struct undo {
	struct undo *next; /* the one before */
	dev_t dev;
	ino_t ino;
	char *path; /* of a file that was made: it is not there */
	off_t at;   /* else: these octets were there, */
	size_t n;   /* fewer where the file ended, */
	off_t size; /* and this was its size */
	char octets[];
};

static struct undo *last;

static bool is_tracked(const char *path)
{
	return orders->is_tracked && strstr(path, orders->tracked) && !strstr(path, "-shm");
}

static void remember_range(int fd, off_t at, size_t n)
{
	struct stat st;

	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
		return;
	struct undo *u = calloc(1, sizeof(*u) + n);
	ssize_t got = n ? syscall(SYS_pread64, fd, u->octets, n, at) : 0;
	if (got < 0) { /* opened for writing only */
		char link[64];
		(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
		int again = (int)syscall(SYS_openat, AT_FDCWD, link, O_RDONLY | O_CLOEXEC);
		got = syscall(SYS_pread64, again, u->octets, n, at);
		(void)syscall(SYS_close, again);
	}
	*u = (struct undo){ .next = last,
			    .dev = st.st_dev,
			    .ino = st.st_ino,
			    .at = at,
			    .n = got > 0 ? (size_t)got : 0,
			    .size = st.st_size };
	last = u;
}

static void remember_made(const char *path)
{
	char folder[PATH_MAX_HERE];
	struct stat st;

	(void)snprintf(folder, sizeof(folder), "%s", path);
	char *slash = strrchr(folder, '/');
	if (!slash)
		return;
	*slash = '\0';
	if (stat(folder, &st) != 0)
		return;
	struct undo *u = calloc(1, sizeof(*u));
	*u = (struct undo){
		.next = last, .dev = st.st_dev, .ino = st.st_ino, .path = strdup(path)
	};
	last = u;
}

static void undo_one(const struct undo *u)
{
	char path[PATH_MAX_HERE] = "";

	if (u->path) {
		(void)syscall(SYS_unlinkat, AT_FDCWD, u->path, 0);
		return;
	}
	for (int fd = 0; fd < 1024; fd++) { /* by one of our own descriptors */
		struct stat st;
		if (fstat(fd, &st) == 0 && st.st_dev == u->dev && st.st_ino == u->ino &&
		    path_of(fd, path))
			break;
	}
	int fd = path[0] ? (int)syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC) : -1;
	if (fd < 0)
		return;
	(void)syscall(SYS_pwrite64, fd, u->octets, u->n, u->at);
	(void)syscall(SYS_ftruncate, fd, u->size);
	(void)syscall(SYS_close, fd);
}

static bool is_lost(void)
{
	if (!orders->loses_some)
		return true;
	orders->seed = orders->seed * 1103515245u + 12345u;
	return orders->seed >> 16 & 1;
}

/* Forgets what one file or folder has, or all (`fd` -1), undone or not. */
static void settle(int fd, bool is_undone)
{
	struct stat st = { 0 };

	if (fd >= 0 && fstat(fd, &st) != 0)
		return;
	for (struct undo **at = &last, *u; (u = *at);) {
		if (fd >= 0 && (u->dev != st.st_dev || u->ino != st.st_ino)) {
			at = &u->next;
			continue;
		}
		if (is_undone && is_lost())
			undo_one(u);
		*at = u->next;
		free(u->path);
		free(u);
	}
}

/* ---- rules ---- */

static _Noreturn void die(void)
{
	(void)syscall(SYS_kill, getpid(), SIGKILL);
	for (;;)
		(void)pause();
}

/* Anywhere in the name, or with "$" at its end. */
static bool matches(const char *path, const char *wanted)
{
	size_t n = strlen(path), m = strlen(wanted);

	if (m == 0 || wanted[m - 1] != '$')
		return strstr(path, wanted) != NULL;
	return n >= m - 1 && strncmp(path + n - (m - 1), wanted, m - 1) == 0;
}

static const struct rule *spring(enum kind kind, const char *path)
{
	for (uint32_t i = 0; i < orders->n_rules && i < RULES_MAX; i++) {
		struct rule *r = &orders->rules[i];
		if (!(r->kinds & kind) || !matches(path, r->path))
			continue;
		if (r->skip > 0) {
			r->skip--;
			continue;
		}
		if (r->count == 0)
			continue;
		if (r->count != UINT32_MAX)
			r->count--;
		r->hits++;
		return r;
	}
	return NULL;
}

struct verdict {
	int error; /* 0: the call is made */
	bool is_short, kills_after;
};

/* Until there are no rules; only this call waits. */
static void hang(void)
{
	pthread_mutex_unlock(&mutex);
	while (__atomic_load_n(&orders->n_rules, __ATOMIC_ACQUIRE) > 0)
		(void)usleep(1000);
	pthread_mutex_lock(&mutex);
}

static struct verdict judge(enum kind kind, const char *path, int fd)
{
	const struct rule *r = spring(kind, path);

	for (int i = 0; i < 8; i++)
		orders->n_calls[i] += (unsigned)kind == 1u << i && is_tracked(path);
	if (!r)
		return (struct verdict){ 0 };
	switch (r->action) {
	case SHORT:
		return (struct verdict){ .is_short = true };
	case KILL:
		die();
	case KILL_AFTER:
		return (struct verdict){ .kills_after = true };
	case LOSE_AND_GO:
		for (uint32_t i = 0; i < orders->n_rules && i < RULES_MAX; i++)
			orders->rules[i].skip = 0;
		settle(fd, true);
		break;
	case LOSE:
		settle(fd, true);
		break;
	case POWER:
		settle(-1, true);
		die();
	case SLOW:
		(void)usleep((useconds_t)r->error * 1000);
		return (struct verdict){ 0 };
	case HANG:
		hang();
		return (struct verdict){ 0 };
	default:
		break;
	}
	return (struct verdict){ .error = r->error };
}

/* The result of a system call, or the error that was ordered. */
static long fail_with(int error)
{
	errno = error;
	return -1;
}

static long after(struct verdict v, long result)
{
	if (v.kills_after)
		die();
	return result;
}

/* ---- writing ---- */

static long write_at(int fd, const void *p, size_t n, off_t at, bool has_at)
{
	char path[PATH_MAX_HERE];

	if (is_quiet() || !path_of(fd, path) || path[0] != '/')
		return has_at ? syscall(SYS_pwrite64, fd, p, n, at) : syscall(SYS_write, fd, p, n);
	pthread_mutex_lock(&mutex);
	struct verdict v = judge(WRITE, path, fd);
	if (v.is_short && n > 1)
		n /= 2;
	if (v.error == 0 && is_tracked(path))
		remember_range(fd, has_at ? at : lseek(fd, 0, SEEK_CUR), n);
	long done = v.error  ? fail_with(v.error)
		    : has_at ? syscall(SYS_pwrite64, fd, p, n, at)
			     : syscall(SYS_write, fd, p, n);
	pthread_mutex_unlock(&mutex);
	return after(v, done);
}

SEEN ssize_t write(int fd, const void *p, size_t n)
{
	return write_at(fd, p, n, 0, false);
}

SEEN ssize_t pwrite(int fd, const void *p, size_t n, off_t at)
{
	return write_at(fd, p, n, at, true);
}

SEEN ssize_t pwrite64(int fd, const void *p, size_t n, off64_t at)
{
	return write_at(fd, p, n, at, true);
}

/* ---- reading ---- */

static long read_at(int fd, void *p, size_t n, off_t at)
{
	char path[PATH_MAX_HERE];
	struct verdict v = { 0 };

	if (!is_quiet() && path_of(fd, path) && path[0] == '/') {
		pthread_mutex_lock(&mutex);
		v = judge(READ, path, fd);
		pthread_mutex_unlock(&mutex);
	}
	return v.error ? fail_with(v.error) : after(v, syscall(SYS_pread64, fd, p, n, at));
}

SEEN ssize_t pread(int fd, void *p, size_t n, off_t at)
{
	return read_at(fd, p, n, at);
}

SEEN ssize_t pread64(int fd, void *p, size_t n, off64_t at)
{
	return read_at(fd, p, n, at);
}

/* ---- synchronising ---- */

static int sync_by(long call, int fd)
{
	char path[PATH_MAX_HERE];

	if (is_quiet() || !path_of(fd, path))
		return (int)syscall(call, fd);
	pthread_mutex_lock(&mutex);
	struct verdict v = judge(SYNC, path, fd);
	int done = v.error ? (int)fail_with(v.error) : (int)syscall(call, fd);
	if (done == 0)
		settle(fd, false);
	pthread_mutex_unlock(&mutex);
	return (int)after(v, done);
}

SEEN int fsync(int fd)
{
	return sync_by(SYS_fsync, fd);
}

SEEN int fdatasync(int fd)
{
	return sync_by(SYS_fdatasync, fd);
}

/* ---- names and sizes ---- */

static int open_at(int folder, const char *path, int flags, mode_t mode)
{
	if (is_quiet() || path[0] != '/')
		return (int)syscall(SYS_openat, folder, path, flags, mode);
	pthread_mutex_lock(&mutex);
	struct verdict v = judge(OPEN, path, -1);
	bool is_made = flags & O_CREAT && is_tracked(path) && access(path, F_OK) != 0;
	int fd = v.error ? (int)fail_with(v.error)
			 : (int)syscall(SYS_openat, folder, path, flags, mode);
	if (fd >= 0 && is_made)
		remember_made(path);
	pthread_mutex_unlock(&mutex);
	return (int)after(v, fd);
}

/* The mode is there only when a file may be made. */
#define OPEN_BODY(folder, path, flags)                                                             \
	va_list list;                                                                              \
	mode_t mode;                                                                               \
	va_start(list, flags);                                                                     \
	mode = (flags) & (O_CREAT | O_TMPFILE) ? va_arg(list, mode_t) : 0;                         \
	va_end(list);                                                                              \
	return open_at(folder, path, flags, mode)

SEEN int open(const char *path, int flags, ...)
{
	OPEN_BODY(AT_FDCWD, path, flags);
}

SEEN int open64(const char *path, int flags, ...)
{
	OPEN_BODY(AT_FDCWD, path, flags);
}

SEEN int openat(int folder, const char *path, int flags, ...)
{
	OPEN_BODY(folder, path, flags);
}

SEEN int openat64(int folder, const char *path, int flags, ...)
{
	OPEN_BODY(folder, path, flags);
}

/* What fortified programs call. */
SEEN int __open_2(const char *path, int flags);
SEEN int __open64_2(const char *path, int flags);

SEEN int __open_2(const char *path, int flags)
{
	return open_at(AT_FDCWD, path, flags, 0);
}

SEEN int __open64_2(const char *path, int flags)
{
	return open_at(AT_FDCWD, path, flags, 0);
}

static struct verdict judge_name(enum kind kind, const char *path)
{
	struct verdict v = { 0 };

	if (is_quiet() || !path)
		return v;
	pthread_mutex_lock(&mutex);
	v = judge(kind, path, -1);
	pthread_mutex_unlock(&mutex);
	return v;
}

SEEN int unlink(const char *path)
{
	struct verdict v = judge_name(UNLINK, path);

	return v.error ? (int)fail_with(v.error)
		       : (int)after(v, syscall(SYS_unlinkat, AT_FDCWD, path, 0));
}

/* By a folder that is open. */
SEEN int unlinkat(int folder, const char *name, int flags)
{
	char path[PATH_MAX_HERE];
	struct verdict v = { 0 };

	if (!is_quiet() && path_of(folder, path) &&
	    strlen(path) + strlen(name) < sizeof(path) - 1) {
		strcat(strcat(path, "/"), name);
		v = judge_name(UNLINK, path);
	}
	return v.error ? (int)fail_with(v.error)
		       : (int)after(v, syscall(SYS_unlinkat, folder, name, flags));
}

SEEN int mkdir(const char *path, mode_t mode)
{
	struct verdict v = judge_name(FOLDER, path);

	return v.error ? (int)fail_with(v.error)
		       : (int)after(v, syscall(SYS_mkdirat, AT_FDCWD, path, mode));
}

static int resize(int fd, off_t size)
{
	char path[PATH_MAX_HERE];

	if (is_quiet() || !path_of(fd, path))
		return (int)syscall(SYS_ftruncate, fd, size);
	pthread_mutex_lock(&mutex);
	struct verdict v = judge(SIZE, path, fd);
	struct stat st;
	if (v.error == 0 && is_tracked(path) && fstat(fd, &st) == 0)
		remember_range(fd, size, st.st_size > size ? (size_t)(st.st_size - size) : 0);
	int done = v.error ? (int)fail_with(v.error) : (int)syscall(SYS_ftruncate, fd, size);
	pthread_mutex_unlock(&mutex);
	return (int)after(v, done);
}

SEEN int ftruncate(int fd, off_t size)
{
	return resize(fd, size);
}

SEEN int ftruncate64(int fd, off64_t size)
{
	return resize(fd, size);
}

static int reserve(int fd, off_t at, off_t n)
{
	char path[PATH_MAX_HERE];
	struct verdict v = { 0 };

	if (!is_quiet() && path_of(fd, path)) {
		pthread_mutex_lock(&mutex);
		v = judge(SIZE, path, fd);
		pthread_mutex_unlock(&mutex);
	}
	if (v.error)
		return v.error;
	return syscall(SYS_fallocate, fd, 0, at, n) == 0 ? 0 : errno;
}

SEEN int posix_fallocate(int fd, off_t at, off_t n)
{
	return reserve(fd, at, n);
}

SEEN int posix_fallocate64(int fd, off64_t at, off64_t n)
{
	return reserve(fd, at, n);
}

/* ---- the wall clock ---- */

static bool is_wall(clockid_t id)
{
	return id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE;
}

SEEN int clock_gettime(clockid_t id, struct timespec *t)
{
	int64_t shift = __atomic_load_n(&orders->shift_ns, __ATOMIC_RELAXED);
	int64_t still = __atomic_load_n(&orders->still_ns, __ATOMIC_RELAXED);
	int done = (int)syscall(SYS_clock_gettime, id, t);

	if (done != 0 || !is_wall(id) || (shift == 0 && still == 0))
		return done;
	int64_t ns = still ? still : (int64_t)t->tv_sec * 1000000000 + t->tv_nsec + shift;
	*t = (struct timespec){ ns / 1000000000, ns % 1000000000 };
	return 0;
}

SEEN int gettimeofday(struct timeval *restrict t, void *restrict zone)
{
	struct timespec now;

	(void)zone;
	(void)clock_gettime(CLOCK_REALTIME, &now);
	*t = (struct timeval){ now.tv_sec, now.tv_nsec / 1000 };
	return 0;
}

SEEN time_t time(time_t *out)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_REALTIME, &now);
	if (out)
		*out = now.tv_sec;
	return now.tv_sec;
}
