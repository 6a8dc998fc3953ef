/* The catalogue of what is logged (events.def, fields.def) and its two forms. Pure: who writes the
 * lines, and where, is src/os. Values may come from anywhere: what is no text in them is shown as
 * "?", and none of them begins a line. */

#ifndef HOPSEAL_LOG_LOG_H
#define HOPSEAL_LOG_LOG_H

#include "base/json.h"

#define LOG_VALUE_MAX 4096 /* octets of a value that are shown */
#define LOG_LINE_MAX (32 * 1024)

enum log_severity {
	LOG_SEVERITY_INFO,
	LOG_SEVERITY_WARNING,
	LOG_SEVERITY_ERROR,
	LOG_SEVERITY_FATAL
};

enum log_event_id {
#define EVENT(name, ...) EVENT_##name,
#include "log/events.def"
#undef EVENT
	EVENT_COUNT
};

enum log_field {
#define FIELD(name, ...) FIELD_##name,
#include "log/fields.def"
#undef FIELD
	FIELD_COUNT
};

struct log_value {
	enum log_field field;
	struct str text; /* of a TEXT; .p NULL: it has no value */
	int64_t number;  /* of a NUMBER */
};

struct log_event {
	enum log_event_id id;
	const struct log_value *values; /* those that are not here have no value */
	size_t n_values;
	struct str program; /* "": as the catalogue has it */
};

struct str event_name(enum log_event_id id);
enum log_severity event_severity(enum log_event_id id);
struct str event_program(const struct log_event *e);

/* The line for people, without time, program and line end. False: the buffer's limit. */
MUST_USE bool event_text(struct buf *out, const struct log_event *e);

/* One object; `at_utc_ms` is in it as RFC 3339 text. */
void event_json(struct json *j, const struct log_event *e, int64_t at_utc_ms);

/* "2026-11-22T11:30:00.123Z" in `out`. */
#define LOG_TIME_MAX 32
struct str log_time(int64_t utc_ms, char out[LOG_TIME_MAX]);

#endif
