/* The report of `hopseal test`: docs/reference/test.md. */

#include "cmd/test_inside.h"

enum {
	REPORT_MAX = 256 * 1024 * 1024,
	SHOWN_DEPTH_MAX = 4, /* of a value that is shown */
	SHOWN_WIDTH = 90,    /* of a difference on one line */
	SHOWN_TEXT_MAX = 1 << 20,
};

/* ---- a value of the case or the decision ---- */

static void put_node(struct json *j, const struct json_node *n, unsigned depth)
{
	struct str s;
	int64_t i;
	bool b;

	if (json_is_none(n, "")) {
		json_null(j);
	} else if (json_get_str(n, "", &s)) {
		json_str(j, s);
	} else if (json_get_int(n, "", &i)) {
		json_int(j, i);
	} else if (json_get_bool(n, "", &b)) {
		json_bool(j, b);
	} else if (json_kind_of(n) == JSON_KIND_ARRAY && depth < SHOWN_DEPTH_MAX) {
		json_array(j);
		for (size_t k = 0; k < json_count(n); k++)
			put_node(j, json_item(n, k), depth + 1);
		json_array_end(j);
	} else if (json_kind_of(n) == JSON_KIND_OBJECT &&
		   depth == 0) { /* our own: keys are plain */
		const struct json_node *value;
		struct arena *a = arena_new();
		struct str name;
		void *at = NULL;
		json_object(j);
		while (json_member_next(n, &at, &name, &value)) {
			json_key(j, arena_str(a, name).p);
			put_node(j, value, depth + 1);
		}
		json_object_end(j);
		arena_free(a);
	} else {
		json_str(j, str_of(json_kind_name(json_kind_of(n))));
	}
}

static struct str shown(struct arena *a, const struct json_node *n)
{
	struct buf b;
	struct json j;

	buf_init(&b, SHOWN_TEXT_MAX);
	json_init(&j, &b, false);
	put_node(&j, n, 0);
	struct str text = json_end(&j) ? arena_str(a, str_trim(buf_str(&b))) : STR("(too long)");
	buf_fini(&b);
	return text;
}

/* ---- text ---- */

static bool add_difference(struct buf *out, struct arena *a, const struct test_difference *d)
{
	struct str want = shown(a, d->want), got = shown(a, d->got);
	struct str at = d->host.n > 0 ? STR(" of ") : STR("");

	if (d->field.n + at.n + d->host.n + want.n + got.n <= SHOWN_WIDTH)
		return buf_fmt(out,
			       "  " STR_FMT STR_FMT STR_FMT ": want " STR_FMT ", got " STR_FMT "\n",
			       STR_ARG(d->field), STR_ARG(at), STR_ARG(d->host), STR_ARG(want),
			       STR_ARG(got));
	return buf_fmt(out,
		       "  " STR_FMT STR_FMT STR_FMT ":\n    want " STR_FMT "\n    got  " STR_FMT
		       "\n",
		       STR_ARG(d->field), STR_ARG(at), STR_ARG(d->host), STR_ARG(want),
		       STR_ARG(got));
}

/* " (FILE:LINE)", unless the text says so itself. */
static bool add_because(struct buf *out, struct str text, struct str file, unsigned line)
{
	if (text.n == 0)
		return true;
	if (file.n == 0 || line == 0)
		return buf_fmt(out, "  decided by: " STR_FMT "\n", STR_ARG(text));
	return buf_fmt(out, "  decided by: " STR_FMT " (" STR_FMT ":%u)\n", STR_ARG(text),
		       STR_ARG(file), line);
}

static bool add_failure(struct test_report *r, struct arena *a, const struct test_setup *s,
			const struct test_case *c, const struct test_verdict *v)
{
	bool fits =
		buf_fmt(&r->out, "%s:%u: failed: " STR_FMT "\n", c->file, c->line, STR_ARG(c->id));

	if (v->error.n > 0)
		return fits && buf_fmt(&r->out, "  " STR_FMT "\n",
				       STR_ARG(test_setup_shown(a, s, v->error)));
	for (size_t i = 0; i < v->n && fits; i++)
		fits = add_difference(&r->out, a, &v->v[i]);
	return fits && add_because(&r->out, test_setup_shown(a, s, v->because->because),
				   test_setup_shown(a, s, v->because->file), v->because->line);
}

/* ---- JSON ---- */

static void put_or_null(struct json *j, const char *key, struct str s)
{
	json_key(j, key);
	json_str_or_null(j, s.n > 0 ? s : STR_NONE);
}

static void put_because(struct json *j, struct arena *a, const struct test_setup *s,
			const struct test_result *r)
{
	json_key(j, "decided_by");
	if (!r) {
		json_null(j);
		return;
	}
	json_object(j);
	put_or_null(j, "text", test_setup_shown(a, s, r->because));
	put_or_null(j, "file", test_setup_shown(a, s, r->file));
	json_key(j, "line");
	if (r->line > 0)
		json_int(j, r->line);
	else
		json_null(j);
	json_object_end(j);
}

static void put_difference(struct json *j, const struct test_difference *d)
{
	json_object(j);
	json_put_str(j, "field", d->field);
	put_or_null(j, "host", d->host);
	json_key(j, "want");
	put_node(j, d->want, 0);
	json_key(j, "got");
	put_node(j, d->got, 0);
	json_object_end(j);
}

static void put_failure(struct test_report *r, struct arena *a, const struct test_setup *s,
			const struct test_case *c, const struct test_verdict *v)
{
	struct json *j = &r->json;

	json_object(j);
	json_put_str(j, "id", c->id);
	json_put_str(j, "file", str_of(c->file));
	json_put_int(j, "line", c->line);
	put_or_null(j, "error", test_setup_shown(a, s, v->error));
	json_key(j, "differences");
	json_array(j);
	for (size_t i = 0; i < v->n && v->error.n == 0; i++)
		put_difference(j, &v->v[i]);
	json_array_end(j);
	put_because(j, a, s, v->error.n > 0 ? NULL : v->because);
	json_object_end(j);
}

/* ---- the whole ---- */

void test_report_init(struct test_report *r, bool is_json)
{
	*r = (struct test_report){ .is_json = is_json };
	buf_init(&r->out, REPORT_MAX);
	json_init(&r->json, &r->out, true);
	if (!is_json)
		return;
	json_object(&r->json);
	json_put_str(&r->json, "schema", STR("hopseal.test"));
	json_put_int(&r->json, "version", 1);
	json_key(&r->json, "failures");
	json_array(&r->json);
}

void test_report_fini(struct test_report *r)
{
	buf_fini(&r->out);
}

static bool report_too_long(void)
{
	cmd_say("the report is longer than %d octets", REPORT_MAX);
	return false;
}

bool test_report_add(struct test_report *r, struct arena *a, const struct test_setup *s,
		     const struct test_case *c, const struct test_verdict *v)
{
	if (v->error.n == 0 && v->n == 0) {
		r->passed++;
		return true;
	}
	r->failed++;
	if (r->is_json) {
		put_failure(r, a, s, c, v);
		return !r->json.is_full || report_too_long();
	}
	if (!add_failure(r, a, s, c, v))
		return report_too_long();
	bool is_printed = cmd_print(buf_str(&r->out));
	buf_reset(&r->out);
	return is_printed;
}

bool test_report_end(struct test_report *r, int status)
{
	struct json *j = &r->json;

	if (r->is_json) {
		json_array_end(j);
		json_put_int(j, "passed", (int64_t)r->passed);
		json_put_int(j, "failed", (int64_t)r->failed);
		json_put_int(j, "exit", status);
		json_object_end(j);
		return json_end(j) ? cmd_print(buf_str(&r->out)) : report_too_long();
	}
	return buf_fmt(&r->out, "%zu passed, %zu failed\n", r->passed, r->failed)
		       ? cmd_print(buf_str(&r->out))
		       : report_too_long();
}
