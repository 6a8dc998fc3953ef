#include <stdio.h>

#include "base/civil.h"
#include "log/log.h"

enum field_type { FIELD_IS_TEXT, FIELD_IS_NUMBER };

static const struct field {
	const char *name;
	enum field_type type;
} fields[] = {
#define FIELD(name, type, prose) { #name, FIELD_IS_##type },
#include "log/fields.def"
#undef FIELD
};

static const struct event {
	struct str name, program, text;
	enum log_severity severity;
} events[] = {
#define EVENT(name, program, severity, text, prose)                                                \
	{ STR_INIT(#name), STR_INIT(program), STR_INIT(text), LOG_SEVERITY_##severity },
#include "log/events.def"
#undef EVENT
};

struct str event_name(enum log_event_id id)
{
	return events[id].name;
}

enum log_severity event_severity(enum log_event_id id)
{
	return events[id].severity;
}

struct str event_program(const struct log_event *e)
{
	return e->program.n > 0 ? e->program : events[e->id].program;
}

/* NULL: the event does not have it. */
static const struct log_value *event_value(const struct log_event *e, enum log_field field)
{
	for (size_t i = 0; i < e->n_values; i++) {
		const struct log_value *v = &e->values[i];
		if (v->field == field)
			return fields[field].type == FIELD_IS_NUMBER || v->text.p ? v : NULL;
	}
	return NULL;
}

static enum log_field field_of(struct str name)
{
	unsigned i = 0;

	while (!str_eq(str_of(fields[i].name), name))
		CHECK(++i <
		      FIELD_COUNT); /* the catalogue names a field that is not in fields.def */
	return (enum log_field)i;
}

/* ---- text ---- */

/* Octets that are no text become "?": a value cannot begin a line or speak to a terminal. */
static bool put_shown(struct buf *out, struct str s)
{
	s = str_first(s, LOG_VALUE_MAX);
	while (s.n > 0) {
		size_t n = str_shown_len(s);
		if (!buf_add(out, str_first(s, n)) || (n < s.n && !buf_add_char(out, '?')))
			return false;
		s = str_from(s, n + 1);
	}
	return true;
}

static bool put_value(struct buf *out, const struct log_value *v)
{
	if (!v)
		return true;
	if (fields[v->field].type == FIELD_IS_NUMBER)
		return buf_fmt(out, "%lld", (long long)v->number);
	return put_shown(out, v->text);
}

/* Takes the next "{field}" out of the text; *before is what stands in front of it. */
static bool cut_field(struct str *text, struct str *before, struct str *name)
{
	return str_cut(*text, '{', before, text) && str_cut(*text, '}', name, text);
}

static bool put_pieces(struct buf *out, const struct log_event *e, struct str text)
{
	struct str before, name;

	while (cut_field(&text, &before, &name))
		if (!buf_add(out, before) || !put_value(out, event_value(e, field_of(name))))
			return false;
	return buf_add(out, text);
}

static bool has_all_values(const struct log_event *e, struct str text)
{
	struct str before, name;

	while (cut_field(&text, &before, &name))
		if (!event_value(e, field_of(name)))
			return false;
	return true;
}

bool event_text(struct buf *out, const struct log_event *e)
{
	struct str rest = events[e->id].text, before, group;

	while (str_cut(rest, '[', &before, &rest)) {
		CHECK(str_cut(rest, ']', &group, &rest));
		if (!put_pieces(out, e, before) ||
		    (has_all_values(e, group) && !put_pieces(out, e, group)))
			return false;
	}
	return put_pieces(out, e, rest);
}

/* ---- JSON ---- */

struct str log_time(int64_t utc_ms, char out[LOG_TIME_MAX])
{
	int64_t s = utc_ms / 1000 - (utc_ms % 1000 < 0);
	struct civil c = civil_of(s);
	int n = snprintf(out, LOG_TIME_MAX, "%04lld-%02u-%02uT%02u:%02u:%02u.%03uZ",
			 (long long)c.year, c.month, c.day, c.hour, c.minute, c.second,
			 (unsigned)(utc_ms - s * 1000));

	return str_span(out, (size_t)n);
}

void event_json(struct json *j, const struct log_event *e, int64_t at_utc_ms)
{
	static const struct str severities[] = { STR_INIT("info"), STR_INIT("warning"),
						 STR_INIT("error"), STR_INIT("fatal") };
	char at[LOG_TIME_MAX];

	json_object(j);
	json_put_str(j, "at", log_time(at_utc_ms, at));
	json_put_str(j, "event", event_name(e->id));
	json_put_str(j, "severity", severities[event_severity(e->id)]);
	json_put_str(j, "program", event_program(e));
	for (size_t i = 0; i < e->n_values; i++) {
		const struct log_value *v = &e->values[i];
		if (fields[v->field].type == FIELD_IS_NUMBER)
			json_put_int(j, fields[v->field].name, v->number);
		else if (v->text.p)
			json_put_str(j, fields[v->field].name, str_first(v->text, LOG_VALUE_MAX));
	}
	json_object_end(j);
}
