#include "os/log.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "base/arena.h"
#include "os/os.h"

#define SYSTEM_LOG "/dev/log"

struct os_log {
	struct arena *arena;
	struct str path, name, host;
	int facility;
	enum os_log_form form;
	pthread_mutex_t opening; /* of fd */
	_Atomic int fd;          /* -1: not open */
	_Atomic uint64_t n_lost;
};

static const struct {
	const char *name;
	int code;
} facilities[] = {
	{ "mail", LOG_MAIL },     { "daemon", LOG_DAEMON }, { "user", LOG_USER },
	{ "auth", LOG_AUTH },     { "local0", LOG_LOCAL0 }, { "local1", LOG_LOCAL1 },
	{ "local2", LOG_LOCAL2 }, { "local3", LOG_LOCAL3 }, { "local4", LOG_LOCAL4 },
	{ "local5", LOG_LOCAL5 }, { "local6", LOG_LOCAL6 }, { "local7", LOG_LOCAL7 },
};

static bool facility_find(struct str name, int *out)
{
	for (size_t i = 0; i < ARRAY_LEN(facilities); i++) {
		if (str_eq(name, str_of(facilities[i].name))) {
			*out = facilities[i].code;
			return true;
		}
	}
	return false;
}

static int open_system_log(void)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX, .sun_path = SYSTEM_LOG };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd >= 0 && connect(fd, (struct sockaddr *)&to, sizeof(to)) != 0) {
		close(fd);
		fd = -1;
	}
	return fd;
}

static int open_file(const struct os_log *l, struct error *e)
{
	int fd = open(l->path.p, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0600);

	if (fd < 0)
		error_set(e, ERROR_IO, "%s: %s", l->path.p, strerror(errno));
	return fd;
}

/* A new descriptor takes the old one's number, so that a line in flight on another thread goes to
 * one of the two. */
static bool log_open(struct os_log *l, struct error *e)
{
	int fd = l->path.n > 0 ? open_file(l, e) : open_system_log(), old = l->fd;

	if (fd < 0)
		return false;
	if (old < 0) {
		l->fd = fd;
		return true;
	}
	dup3(fd, old, O_CLOEXEC);
	close(fd);
	return true;
}

bool os_log_reopen(struct os_log *l, struct error *e)
{
	pthread_mutex_lock(&l->opening);
	bool is_open = log_open(l, e) || l->path.n == 0;
	pthread_mutex_unlock(&l->opening);
	return is_open;
}

struct os_log *os_log_new(const struct os_log_options *o, struct error *e)
{
	struct os_log *l;
	char host[256] = "localhost";
	int facility;

	if (!facility_find(o->facility, &facility)) {
		error_set(e, ERROR_CONFIG, STR_FMT ": no such syslog facility",
			  STR_ARG(o->facility));
		return NULL;
	}
	(void)!gethostname(host, sizeof(host) - 1);
	l = base_alloc(sizeof(*l));
	l->arena = arena_new();
	l->path = arena_str(l->arena, o->path);
	l->name = arena_str(l->arena, o->name);
	l->host = arena_str(l->arena, str_of(host));
	l->form = o->form;
	l->facility = facility;
	l->fd = -1;
	pthread_mutex_init(&l->opening, NULL);
	if (os_log_reopen(l, e))
		return l;
	os_log_free(l);
	return NULL;
}

void os_log_free(struct os_log *l)
{
	if (!l)
		return;
	if (l->fd >= 0)
		close(l->fd);
	pthread_mutex_destroy(&l->opening);
	arena_free(l->arena);
	free(l);
}

static int priority_of(const struct os_log *l, const struct log_event *e)
{
	static const int severities[] = { LOG_INFO, LOG_WARNING, LOG_ERR, LOG_CRIT };

	return l->facility | severities[event_severity(e->id)];
}

/* "Nov 22 11:30:00", in local time as syslog has it. */
static void add_time(struct buf *line, int64_t utc_ms)
{
	time_t t = (time_t)(utc_ms / 1000);
	struct tm tm;
	char text[32];

	localtime_r(&t, &tm);
	(void)!buf_add(line, str_span(text, strftime(text, sizeof(text), "%b %e %T", &tm)));
}

static void
add_text(const struct os_log *l, struct buf *line, const struct log_event *e, int64_t at)
{
	struct str program = event_program(e);

	if (l->path.n == 0)
		(void)!buf_fmt(line, "<%d>", priority_of(l, e));
	add_time(line, at);
	if (l->path.n > 0)
		(void)!buf_fmt(line, " " STR_FMT, STR_ARG(l->host));
	(void)!buf_fmt(line, " " STR_FMT "/" STR_FMT "[%d]: ", STR_ARG(l->name), STR_ARG(program),
		       (int)getpid());
	(void)!event_text(line, e); /* what does not fit is cut */
	if (l->path.n > 0)
		(void)!buf_add_char(line, '\n');
}

static void
add_json(const struct os_log *l, struct buf *line, const struct log_event *e, int64_t at)
{
	struct json j;

	if (l->path.n == 0) {
		(void)!buf_fmt(line, "<%d>", priority_of(l, e));
		add_time(line, at);
		(void)!buf_fmt(line, " " STR_FMT "[%d]: ", STR_ARG(l->name), (int)getpid());
	}
	json_init(&j, line, false);
	event_json(&j, e, at);
	(void)!json_end(&j);
}

static bool log_write(struct os_log *l, struct str line)
{
	int fd = l->fd;

	if (fd >= 0 && l->path.n > 0)
		return write(fd, line.p, line.n) == (ssize_t)line.n;
	if (fd >= 0 && send(fd, line.p, line.n, MSG_NOSIGNAL) == (ssize_t)line.n)
		return true;
	if (fd >= 0 && errno == EAGAIN)
		return false;
	/* the system's log was restarted, or was not there yet */
	return os_log_reopen(l, NULL) && l->fd >= 0 &&
	       send(l->fd, line.p, line.n, MSG_NOSIGNAL) == (ssize_t)line.n;
}

void os_log_event(struct os_log *l, const struct log_event *e)
{
	struct buf line;
	int64_t at = os_utc_ns() / 1000000;

	buf_init(&line, LOG_LINE_MAX * 2);
	if (l->form == OS_LOG_JSON)
		add_json(l, &line, e, at);
	else
		add_text(l, &line, e, at);
	if (!log_write(l, buf_str(&line)))
		l->n_lost++;
	buf_fini(&line);
}

uint64_t os_log_lost(const struct os_log *l)
{
	return l->n_lost;
}
