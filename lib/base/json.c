#include "base/json.h"

void json_init(struct json *j, struct buf *out, bool is_pretty)
{
	*j = (struct json){ .out = out, .is_pretty = is_pretty };
}

static void json_raw(struct json *j, struct str s)
{
	if (!buf_add(j->out, s))
		j->is_full = true;
}

static void json_line(struct json *j)
{
	if (!j->is_pretty)
		return;
	json_raw(j, STR("\n"));
	for (unsigned i = 0; i < j->depth; i++)
		json_raw(j, STR("  "));
}

/* What stands before a value or key: nothing after a key, else the comma and a new line. */
static void json_begin(struct json *j)
{
	if (j->is_after_key) {
		j->is_after_key = false;
		return;
	}
	if (j->depth == 0)
		return;
	if (j->has_member[j->depth - 1])
		json_raw(j, STR(","));
	j->has_member[j->depth - 1] = true;
	json_line(j);
}

static void json_open(struct json *j, struct str bracket)
{
	json_begin(j);
	json_raw(j, bracket);
	CHECK(j->depth < JSON_DEPTH_MAX);
	j->has_member[j->depth++] = false;
}

static void json_close(struct json *j, struct str bracket)
{
	CHECK(j->depth > 0 && !j->is_after_key);
	j->depth--;
	if (j->has_member[j->depth])
		json_line(j);
	json_raw(j, bracket);
}

void json_object(struct json *j)
{
	json_open(j, STR("{"));
}

void json_object_end(struct json *j)
{
	json_close(j, STR("}"));
}

void json_array(struct json *j)
{
	json_open(j, STR("["));
}

void json_array_end(struct json *j)
{
	json_close(j, STR("]"));
}

void json_key(struct json *j, const char *key)
{
	json_begin(j);
	json_raw(j, STR("\""));
	json_raw(j, str_of(key));
	json_raw(j, j->is_pretty ? STR("\": ") : STR("\":"));
	j->is_after_key = true;
}

/* All that needs it lies below U+10000. */
static void json_escape(struct json *j, uint32_t c)
{
	switch (c) {
	case '"':
		json_raw(j, STR("\\\""));
		return;
	case '\\':
		json_raw(j, STR("\\\\"));
		return;
	case '\n':
		json_raw(j, STR("\\n"));
		return;
	case '\r':
		json_raw(j, STR("\\r"));
		return;
	case '\t':
		json_raw(j, STR("\\t"));
		return;
	}
	if (!buf_fmt(j->out, "\\u%04x", (unsigned)c))
		j->is_full = true;
}

static bool json_needs_escape(unsigned char c)
{
	return c < 0x20 || c == '"' || c == '\\' || c == 0x7f;
}

void json_str(struct json *j, struct str s)
{
	json_begin(j);
	json_raw(j, STR("\""));
	while (s.n) {
		size_t plain = 0;
		while (plain < s.n && (unsigned char)s.p[plain] < 0x80 &&
		       !json_needs_escape((unsigned char)s.p[plain]))
			plain++;
		json_raw(j, str_first(s, plain));
		s = str_from(s, plain);
		if (s.n == 0)
			break;
		struct str c = str_first(s, str_utf8_len(s));
		if (c.n == 0)
			json_raw(j, STR("\xef\xbf\xbd"));
		else if (c.n > 1 && str_shown_len(c) == c.n)
			json_raw(j, c);
		else
			json_escape(j, str_utf8_code(c));
		s = str_from(s, c.n ? c.n : 1);
	}
	json_raw(j, STR("\""));
}

void json_int(struct json *j, int64_t v)
{
	json_begin(j);
	if (!buf_fmt(j->out, "%lld", (long long)v))
		j->is_full = true;
}

void json_bool(struct json *j, bool v)
{
	json_begin(j);
	json_raw(j, v ? STR("true") : STR("false"));
}

void json_null(struct json *j)
{
	json_begin(j);
	json_raw(j, STR("null"));
}

void json_str_or_null(struct json *j, struct str s)
{
	if (s.p)
		json_str(j, s);
	else
		json_null(j);
}

void json_put_str(struct json *j, const char *key, struct str s)
{
	json_key(j, key);
	json_str(j, s);
}

void json_put_int(struct json *j, const char *key, int64_t v)
{
	json_key(j, key);
	json_int(j, v);
}

void json_put_bool(struct json *j, const char *key, bool v)
{
	json_key(j, key);
	json_bool(j, v);
}

bool json_end(struct json *j)
{
	CHECK(j->depth == 0);
	json_raw(j, STR("\n"));
	return !j->is_full;
}
