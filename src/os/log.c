#include "os/log.h"

#include <stdlib.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "base/arena.h"
#include "os/log_out.h"
#include "os/os.h"

struct os_log {
	struct arena *arena;
	struct str name, host;
	int facility;
	enum os_log_form form;
	struct os_log_out *out;
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

bool os_log_has_facility(struct str name)
{
	int code;

	return facility_find(name, &code);
}

bool os_log_reopen(struct os_log *l, struct error *e)
{
	return os_log_out_reopen(l->out, e);
}

bool os_log_move(struct os_log *l, struct str path, unsigned mode, struct error *e)
{
	return os_log_out_move(l->out, path, mode, e);
}

bool os_log_give(struct os_log *l, unsigned uid, unsigned gid, struct error *e)
{
	return os_log_out_give(l->out, uid, gid, e);
}

struct os_log *os_log_new(const struct os_log_options *o, struct error *e)
{
	const struct os_log_out_options to = { o->path, o->system, o->mode };
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
	l->name = arena_str(l->arena, o->name);
	l->host = arena_str(l->arena, str_of(host));
	l->form = o->form;
	l->facility = facility;
	l->out = os_log_out_new(&to, e);
	if (l->out)
		return l;
	os_log_free(l);
	return NULL;
}

void os_log_free(struct os_log *l)
{
	if (!l)
		return;
	os_log_out_free(l->out);
	arena_free(l->arena);
	free(l);
}

/* The journal's streams know no facility: sd-daemon(3). */
static int priority_of(const struct os_log *l, const struct log_event *e)
{
	static const int severities[] = { LOG_INFO, LOG_WARNING, LOG_ERR, LOG_CRIT };
	bool has_facility = os_log_out_shape(l->out) == OS_LOG_OF_SYSTEM;

	return severities[event_severity(e->id)] | (has_facility ? l->facility : 0);
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

/* What stands before the program's name. */
static void
add_front(const struct os_log *l, struct buf *line, const struct log_event *e, int64_t at)
{
	enum os_log_shape shape = os_log_out_shape(l->out);

	if (shape != OS_LOG_OF_FILE)
		(void)!buf_fmt(line, "<%d>", priority_of(l, e));
	if (shape == OS_LOG_OF_JOURNAL)
		return;
	add_time(line, at);
	if (shape == OS_LOG_OF_FILE)
		(void)!buf_fmt(line, " " STR_FMT, STR_ARG(l->host));
	(void)!buf_add_char(line, ' ');
}

static void
add_text(const struct os_log *l, struct buf *line, const struct log_event *e, int64_t at)
{
	struct str program = event_program(e);

	add_front(l, line, e, at);
	(void)!buf_fmt(line, STR_FMT "/" STR_FMT "[%d]: ", STR_ARG(l->name), STR_ARG(program),
		       (int)getpid());
	(void)!event_text(line, e); /* what does not fit is cut */
	CHECK(buf_add_char(line, '\n'));
}

static void
add_json(const struct os_log *l, struct buf *line, const struct log_event *e, int64_t at)
{
	struct json j;

	if (os_log_out_shape(l->out) != OS_LOG_OF_FILE)
		add_front(l, line, e, at);
	if (os_log_out_shape(l->out) == OS_LOG_OF_SYSTEM)
		(void)!buf_fmt(line, STR_FMT "[%d]: ", STR_ARG(l->name), (int)getpid());
	json_init(&j, line, false);
	event_json(&j, e, at);
	(void)!json_end(&j);
}

static bool log_line(struct os_log *l, const struct log_event *e, int64_t at)
{
	struct buf line;

	buf_init(&line, 16 * LOG_LINE_MAX); /* an octet of a value takes six in JSON */
	if (l->form == OS_LOG_JSON)
		add_json(l, &line, e, at);
	else
		add_text(l, &line, e, at);
	bool is_taken = os_log_out_write(l->out, buf_str(&line));
	buf_fini(&line);
	return is_taken;
}

uint64_t os_log_lost(const struct os_log *l)
{
	return os_log_out_lost_ever(l->out);
}

void os_log_event(struct os_log *l, const struct log_event *e)
{
	int64_t at = os_utc_ns() / 1000000;
	uint64_t n_lost = os_log_out_lost(l->out);

	if (n_lost > 0) {
		const struct log_value v = { .field = FIELD_lines, .number = (int64_t)n_lost };
		const struct log_event lost = { .id = EVENT_lines_lost,
						.values = &v,
						.n_values = 1 };
		if (!log_line(l, &lost, at))
			os_log_out_untold(l->out, n_lost);
	}
	if (!log_line(l, e, at))
		os_log_out_lose(l->out);
}

void os_log_flush(struct os_log *l)
{
	os_log_out_flush(l->out);
}
