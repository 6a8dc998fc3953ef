#include "os/log_out.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/limits.h"

#define SYSTEM_LOG "/dev/log"

enum { END_SECONDS = 2, FLUSH_LOOK_MS = 5, SYSTEM_TRIES = 10, SYSTEM_WAIT_MS = 100 };

struct os_log_out {
	struct arena *arena;
	struct str path, system;
	mode_t mode;
	enum os_log_shape shape;
	bool is_file; /* takes each line at once */

	pthread_mutex_t opening; /* of fd */
	_Atomic int fd;          /* -1: not open */
	_Atomic uint64_t n_lost, n_lost_ever;
	_Atomic bool is_torn; /* the file's last line has no end */

	pthread_mutex_t lock; /* of what follows */
	pthread_cond_t changed;
	struct buf waiting; /* whole lines */
	bool is_ending, has_thread, is_writing;
	bool has_ended, is_left; /* the thread; who ends last frees */
	pthread_t thread;
};

/* ---- opening ---- */

static bool connect_system_log(int fd, struct str path)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };

	if (path.n >= sizeof(to.sun_path))
		return false;
	memcpy(to.sun_path, path.p, path.n);
	return connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0;
}

static int open_system_log(const struct os_log_out *l)
{
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd >= 0 && !connect_system_log(fd, l->system)) {
		close(fd);
		fd = -1;
	}
	return fd;
}

/* The standard stream that the path means, -1 for none. Opening it by name would need rights that
 * are gone after a change of the user, and fails for sockets, which systemd makes of it. */
static int stream_of(struct str path)
{
	if (str_eq(path, STR("/dev/stdout")))
		return STDOUT_FILENO;
	return str_eq(path, STR("/dev/stderr")) ? STDERR_FILENO : -1;
}

/* A file that is made gets its mode whatever the umask. A named pipe that nobody reads is an error,
 * not something to wait for; later its reader may be slow, and the thread waits. */
static int open_path(const struct os_log_out *l)
{
	const int flags = O_WRONLY | O_APPEND | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
	int fd = open(l->path.p, flags | O_CREAT | O_EXCL, l->mode);

	if (fd >= 0)
		(void)!fchmod(fd, l->mode);
	else if (errno == EEXIST)
		fd = open(l->path.p, flags | O_CREAT, l->mode);
	if (fd >= 0)
		(void)!fcntl(fd, F_SETFL, O_APPEND);
	return fd;
}

static int open_file(const struct os_log_out *l, struct error *e)
{
	int stream = stream_of(l->path);
	int fd = stream >= 0 ? fcntl(stream, F_DUPFD_CLOEXEC, 0) : open_path(l);

	if (fd < 0)
		error_set(e, ERROR_IO, "%s: %s", l->path.p, strerror(errno));
	return fd;
}

/* True if a daemon before this one, or a full disk, left a line without its end. A file that may
 * not be read is taken for whole. */
static bool is_left_torn(const struct os_log_out *l, int fd)
{
	int reader = l->path.n > 0 && stream_of(l->path) < 0
			     ? open(l->path.p, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK)
			     : -1;
	struct stat s, own;
	char last = '\n';

	if (reader < 0)
		return false;
	if (fstat(reader, &s) == 0 && fstat(fd, &own) == 0 && S_ISREG(s.st_mode) &&
	    s.st_ino == own.st_ino && s.st_dev == own.st_dev && s.st_size > 0)
		(void)!pread(reader, &last, 1, s.st_size - 1);
	close(reader);
	return last != '\n';
}

/* A new descriptor takes the old one's number, so that a line in flight on another thread goes to
 * one of the two. */
static void out_take(struct os_log_out *l, int fd)
{
	pthread_mutex_lock(&l->lock);
	l->is_torn = is_left_torn(l, fd);
	if (l->fd < 0) {
		l->fd = fd;
	} else {
		dup3(fd, l->fd, O_CLOEXEC);
		close(fd);
	}
	pthread_mutex_unlock(&l->lock);
}

static bool out_open(struct os_log_out *l, struct error *e)
{
	int fd = l->path.n > 0 ? open_file(l, e) : open_system_log(l);

	if (fd >= 0)
		out_take(l, fd);
	return fd >= 0;
}

bool os_log_out_reopen(struct os_log_out *l, struct error *e)
{
	pthread_mutex_lock(&l->opening);
	bool is_open = out_open(l, e) || l->path.n == 0;
	pthread_mutex_unlock(&l->opening);
	return is_open;
}

static bool opens_file(const struct os_log_out *l, struct str path)
{
	return l->is_file && stream_of(l->path) < 0 && path.n > 0 && stream_of(path) < 0;
}

static bool move_to(struct os_log_out *l, struct str path, struct error *e)
{
	struct str before = l->path;
	struct stat s;

	l->path = arena_str(l->arena, path);
	int fd = open_file(l, e);
	if (fd >= 0 && fstat(fd, &s) == 0 && S_ISREG(s.st_mode)) {
		out_take(l, fd);
		return true;
	}
	if (fd >= 0) {
		(void)error_set(e, ERROR_IO, "%s: no file", l->path.p);
		close(fd);
	}
	l->path = before;
	return false;
}

bool os_log_out_move(struct os_log_out *l, struct str path, unsigned mode, struct error *e)
{
	bool is_moved = true;

	pthread_mutex_lock(&l->opening);
	l->mode = mode != 0 ? mode : 0600;
	if (!str_eq(path, l->path))
		is_moved = opens_file(l, path)
				   ? move_to(l, path, e)
				   : error_set(e, ERROR_CONFIG,
					       "only a file can be changed for another one while "
					       "the daemon runs");
	pthread_mutex_unlock(&l->opening);
	return is_moved;
}

/* True if systemd says that the stream is its journal's: systemd.exec(5), $JOURNAL_STREAM. */
static bool is_journal(int fd)
{
	const char *named = getenv("JOURNAL_STREAM");
	unsigned long long dev, ino;
	struct stat s;

	return named && sscanf(named, "%llu:%llu", &dev, &ino) == 2 && fstat(fd, &s) == 0 &&
	       s.st_dev == dev && s.st_ino == ino;
}

static void out_look(struct os_log_out *l)
{
	struct stat s;

	l->is_file = l->path.n > 0 && fstat(l->fd, &s) == 0 && S_ISREG(s.st_mode);
	l->shape = OS_LOG_OF_FILE;
	if (l->path.n == 0)
		l->shape = OS_LOG_OF_SYSTEM;
	else if (stream_of(l->path) >= 0 && is_journal(l->fd))
		l->shape = OS_LOG_OF_JOURNAL;
}

struct os_log_out *os_log_out_new(const struct os_log_out_options *o, struct error *e)
{
	struct os_log_out *l = base_alloc(sizeof(*l));

	l->arena = arena_new();
	l->path = arena_str(l->arena, o->path);
	l->system = arena_str(l->arena, o->system.n > 0 ? o->system : STR(SYSTEM_LOG));
	l->mode = o->mode != 0 ? o->mode : 0600;
	l->fd = -1;
	buf_init(&l->waiting, LOG_WAITING_MAX);
	pthread_mutex_init(&l->opening, NULL);
	pthread_mutex_init(&l->lock, NULL);
	pthread_cond_init(&l->changed, NULL);
	if (os_log_out_reopen(l, e)) {
		out_look(l);
		return l;
	}
	os_log_out_free(l);
	return NULL;
}

enum os_log_shape os_log_out_shape(const struct os_log_out *l)
{
	return l->shape;
}

uint64_t os_log_out_lost(struct os_log_out *l)
{
	return atomic_exchange(&l->n_lost, 0);
}

void os_log_out_untold(struct os_log_out *l, uint64_t n)
{
	l->n_lost += n;
}

void os_log_out_lose(struct os_log_out *l)
{
	l->n_lost++;
	l->n_lost_ever++;
}

uint64_t os_log_out_lost_ever(const struct os_log_out *l)
{
	return l->n_lost_ever;
}

bool os_log_out_give(struct os_log_out *l, unsigned uid, unsigned gid, struct error *e)
{
	struct stat open, named;

	if (!l->is_file || stream_of(l->path) >= 0 || fstat(l->fd, &open) != 0 ||
	    open.st_uid == uid)
		return true;
	if (lstat(l->path.p, &named) != 0 || named.st_ino != open.st_ino ||
	    named.st_dev != open.st_dev || open.st_nlink != 1)
		return error_set(e, ERROR_IO, "%s: a link, and no file of its own", l->path.p);
	if (fchown(l->fd, uid, gid) != 0)
		return error_set(e, ERROR_IO, "%s: %s", l->path.p, strerror(errno));
	return true;
}

static void out_free(struct os_log_out *l)
{
	if (l->fd >= 0)
		close(l->fd);
	buf_fini(&l->waiting);
	pthread_cond_destroy(&l->changed);
	pthread_mutex_destroy(&l->lock);
	pthread_mutex_destroy(&l->opening);
	arena_free(l->arena);
	free(l);
}

/* ---- the thread of pipes, terminals and sockets ---- */

static bool send_line(const struct os_log_out *l, struct str line)
{
	ssize_t n;

	do
		n = l->fd >= 0 ? send(l->fd, line.p, line.n, MSG_NOSIGNAL) : -1;
	while (n < 0 && l->fd >= 0 && errno == EINTR);
	return n >= 0;
}

static bool out_is_ending(struct os_log_out *l)
{
	pthread_mutex_lock(&l->lock);
	bool is_ending = l->is_ending;
	pthread_mutex_unlock(&l->lock);
	return is_ending;
}

/* The system's log may be restarted just now, or be not there yet. */
static bool send_to_system(struct os_log_out *l, struct str line)
{
	const struct timespec pause = { .tv_nsec = SYSTEM_WAIT_MS * 1000000L };

	for (int i = 0; !send_line(l, line); i++) {
		if (i == SYSTEM_TRIES || (l->fd >= 0 && errno == EMSGSIZE) || out_is_ending(l))
			return false;
		if (i > 0)
			nanosleep(&pause, NULL);
		(void)!os_log_out_reopen(l, NULL);
	}
	return true;
}

/* Gives what could not be written. */
static struct str write_all(int fd, struct str s)
{
	while (s.n > 0) {
		ssize_t n = write(fd, s.p, s.n);
		if (n < 0 && errno != EINTR)
			break;
		if (n > 0)
			s = str_from(s, (size_t)n);
	}
	return s;
}

/* By one thread at a time. A line of which the disk took a part is lost, and the next one does not
 * begin behind it. */
static bool write_line(struct os_log_out *l, struct str line)
{
	struct str left;

	if (l->is_torn && write_all(l->fd, STR("\n")).n > 0)
		return false;
	left = write_all(l->fd, line);
	l->is_torn = left.n > 0 && left.n < line.n;
	return left.n == 0;
}

static void write_lines(struct os_log_out *l, struct str lines)
{
	struct str line;

	while (str_cut(lines, '\n', &line, &lines)) {
		const struct str whole = { line.p, line.n + 1 };
		if (l->path.n == 0 ? !send_to_system(l, line) : !write_line(l, whole))
			os_log_out_lose(l);
	}
}

static void *out_run(void *arg)
{
	struct os_log_out *l = arg;
	struct buf taken;

	buf_init(&taken, LOG_WAITING_MAX);
	pthread_mutex_lock(&l->lock);
	for (;;) {
		while (buf_len(&l->waiting) == 0 && !l->is_ending)
			pthread_cond_wait(&l->changed, &l->lock);
		if (buf_len(&l->waiting) == 0)
			break;
		const struct buf swap = taken;
		taken = l->waiting;
		l->waiting = swap;
		l->is_writing = true;
		pthread_mutex_unlock(&l->lock);
		write_lines(l, buf_str(&taken));
		buf_reset(&taken);
		pthread_mutex_lock(&l->lock);
		l->is_writing = false;
	}
	l->has_ended = true;
	bool is_left = l->is_left;
	pthread_mutex_unlock(&l->lock);
	buf_fini(&taken);
	if (is_left)
		out_free(l);
	return NULL;
}

/* With the first line, so that it comes after a change of the user. Signals are not for it. */
static bool start_thread(struct os_log_out *l)
{
	sigset_t all, before;

	if (l->has_thread)
		return true;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	l->has_thread = pthread_create(&l->thread, NULL, out_run, l) == 0;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return l->has_thread;
}

static bool queue_line(struct os_log_out *l, struct str line)
{
	pthread_mutex_lock(&l->lock);
	bool is_taken = start_thread(l) && buf_add(&l->waiting, line);
	pthread_cond_signal(&l->changed);
	pthread_mutex_unlock(&l->lock);
	return is_taken;
}

static bool file_line(struct os_log_out *l, struct str line)
{
	pthread_mutex_lock(&l->lock);
	bool is_taken = write_line(l, line);
	pthread_mutex_unlock(&l->lock);
	return is_taken;
}

bool os_log_out_write(struct os_log_out *l, struct str line)
{
	if (!str_has_suffix(line, STR("\n")))
		return false;
	return l->is_file ? file_line(l, line) : queue_line(l, line);
}

static bool has_lines(struct os_log_out *l)
{
	pthread_mutex_lock(&l->lock);
	bool has = buf_len(&l->waiting) > 0 || l->is_writing;
	pthread_mutex_unlock(&l->lock);
	return has;
}

void os_log_out_flush(struct os_log_out *l)
{
	const struct timespec pause = { .tv_nsec = FLUSH_LOOK_MS * 1000000L };

	for (int ms = 0; has_lines(l) && ms < END_SECONDS * 1000; ms += FLUSH_LOOK_MS)
		(void)nanosleep(&pause, NULL);
}

/* False: it is stuck, for nobody takes what it writes, and frees all if it ever comes back. */
static bool end_thread(struct os_log_out *l)
{
	struct timespec end;

	pthread_mutex_lock(&l->lock);
	l->is_ending = true;
	pthread_cond_signal(&l->changed);
	pthread_mutex_unlock(&l->lock);
	clock_gettime(CLOCK_REALTIME, &end);
	end.tv_sec += END_SECONDS;
	if (!l->has_thread || pthread_timedjoin_np(l->thread, NULL, &end) == 0)
		return true;
	pthread_t thread = l->thread;
	pthread_mutex_lock(&l->lock);
	bool has_ended = l->has_ended;
	l->is_left = !has_ended;
	pthread_mutex_unlock(&l->lock);
	if (has_ended) /* just now */
		(void)pthread_join(thread, NULL);
	else
		(void)pthread_detach(thread);
	return has_ended;
}

void os_log_out_free(struct os_log_out *l)
{
	if (l && end_thread(l))
		out_free(l);
}
