/* The findings of `hopseal check`, for people and for machines. */

#include "base/json.h"
#include "cmd/check_inside.h"

static const char *const severity_names[] = {
	[CONF_NOTE] = "note",
	[CONF_WARNING] = "warning",
	[CONF_ERROR] = "error",
};

size_t check_count(const struct check_findings *f, enum conf_severity severity)
{
	size_t n = 0;

	for (size_t i = 0; i < f->n; i++)
		n += f->v[i].severity == severity;
	return n;
}

static void put_or_null(struct json *j, const char *key, struct str s)
{
	json_key(j, key);
	json_str_or_null(j, s.n > 0 ? s : STR_NONE);
}

static void put_finding(struct json *j, const struct conf_finding *f)
{
	json_object(j);
	json_put_str(j, "severity", str_of(severity_names[f->severity]));
	json_put_str(j, "code", f->code);
	put_or_null(j, "parameter", f->param);
	put_or_null(j, "file", f->file);
	json_key(j, "line");
	if (f->line > 0)
		json_int(j, f->line);
	else
		json_null(j);
	json_put_str(j, "text", f->text);
	put_or_null(j, "remedy", f->remedy);
	json_object_end(j);
}

bool check_report_json(struct buf *out, const struct check_findings *f, int status)
{
	struct json j;

	json_init(&j, out, true);
	json_object(&j);
	json_put_str(&j, "schema", STR("hopseal.check"));
	json_put_int(&j, "version", 1);
	json_key(&j, "findings");
	json_array(&j);
	for (size_t i = 0; i < f->n; i++)
		put_finding(&j, &f->v[i]);
	json_array_end(&j);
	json_put_int(&j, "errors", (int64_t)check_count(f, CONF_ERROR));
	json_put_int(&j, "warnings", (int64_t)check_count(f, CONF_WARNING));
	json_put_int(&j, "notes", (int64_t)check_count(f, CONF_NOTE));
	json_put_int(&j, "exit", status);
	json_object_end(&j);
	return json_end(&j);
}

/* A finding that stands in no file has at least its parameter. */
static struct str place_of(const struct conf_finding *f)
{
	size_t at;

	return f->file.n > 0 || str_search(f->text, f->param, &at) ? STR_NONE : f->param;
}

static bool add_finding(struct buf *out, const struct conf_finding *f)
{
	struct str param = place_of(f);
	bool fits = true;

	if (f->file.n > 0)
		fits = f->line > 0 ? buf_fmt(out, STR_FMT ":%u: ", STR_ARG(f->file), f->line)
				   : buf_fmt(out, STR_FMT ": ", STR_ARG(f->file));
	fits = fits && buf_fmt(out, "%s: " STR_FMT "%s" STR_FMT " [" STR_FMT "]\n",
			       severity_names[f->severity], STR_ARG(param), param.n > 0 ? ": " : "",
			       STR_ARG(f->text), STR_ARG(f->code));
	if (f->remedy.n > 0)
		fits = fits && buf_fmt(out, "    " STR_FMT "\n", STR_ARG(f->remedy));
	return fits;
}

/* "1 error", "2 warnings" */
static bool add_count(struct buf *out, const struct check_findings *f, enum conf_severity severity,
		      const char *after)
{
	size_t n = check_count(f, severity);

	return buf_fmt(out, "%zu %s%s%s", n, severity_names[severity], n == 1 ? "" : "s", after);
}

bool check_report_text(struct buf *out, const struct check_findings *f, bool is_verbose)
{
	for (size_t i = 0; i < f->n; i++)
		if (!add_finding(out, &f->v[i]))
			return false;
	if (f->n == 0 && !is_verbose)
		return true;
	return add_count(out, f, CONF_ERROR, ", ") && add_count(out, f, CONF_WARNING, ", ") &&
	       add_count(out, f, CONF_NOTE, "\n");
}
