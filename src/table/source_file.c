#include "table/source_file.h"

#include <string.h>
#include <sys/stat.h>

#include "base/limits.h"
#include "conf/conf.h"
#include "conf/lines.h"
#include "os/os.h"

static const struct source_name *find_name(const struct source_file *s, struct str name)
{
	for (size_t i = 0; i < s->n_names; i++)
		if (str_eq(s->names[i].name, name))
			return &s->names[i];
	return NULL;
}

static struct source_value *find_value(const struct source_file *s, struct str name)
{
	for (size_t i = 0; i < s->n_values; i++)
		if (str_eq(s->values[i].name, name))
			return &s->values[i];
	return NULL;
}

static void tell(const struct source_file *s, unsigned line, struct table_finding f)
{
	f.file = s->file;
	f.line = line;
	table_report(s->context, f);
}

void source_file_say(const struct source_file *s, struct str name, struct table_finding f)
{
	const struct source_value *v = find_value(s, name);

	tell(s, v != NULL ? v->line : 0, f);
}

/* ---- the text of a file ---- */

static void tell_syntax(const struct source_file *s, const struct conf_logical *l, const char *what)
{
	/* A password may stand anywhere in a line that is not understood. */
	tell(s, l->line,
	     (struct table_finding){
		     .code = STR("parameter-syntax"),
		     .text = arena_fmt(s->arena, "the line has no effect: %s", what),
		     .remedy = STR("write name = value; a line that continues the one before "
				   "begins with white space"),
	     });
}

static void tell_unknown(const struct source_file *s, unsigned line, struct str name)
{
	struct str list = STR("");

	for (size_t i = 0; i < s->n_names; i++)
		list = arena_fmt(s->arena, STR_FMT "%s" STR_FMT, STR_ARG(list), i > 0 ? ", " : "",
				 STR_ARG(s->names[i].name));
	tell(s, line,
	     (struct table_finding){
		     .code = STR("parameter-unknown"),
		     .text = arena_fmt(s->arena,
				       "tables of this type know no parameter " STR_FMT
				       ": it has no effect",
				       STR_ARG(str_first(name, 80))),
		     .remedy = arena_fmt(s->arena, "they know " STR_FMT, STR_ARG(list)),
	     });
}

static void tell_again(const struct source_file *s, const struct source_value *v, unsigned by)
{
	tell(s, v->line,
	     (struct table_finding){
		     .code = STR("parameter-again"),
		     .text = arena_fmt(s->arena,
				       STR_FMT " is set again in line %u: this one has no effect",
				       STR_ARG(v->name), by),
		     .remedy = STR("remove one of the two lines"),
	     });
}

static void set_value(struct source_file *s, struct str name, struct str value, unsigned line)
{
	struct source_value *v = find_value(s, name);

	if (v != NULL)
		tell_again(s, v, line);
	else
		v = &s->values[s->n_values++];
	*v = (struct source_value){ .name = name, .value = value, .line = line };
}

static void read_line(struct source_file *s, const struct conf_logical *l)
{
	struct str name, value;

	if (l->is_indented) {
		tell_syntax(s, l, "it begins with white space and continues nothing");
		return;
	}
	switch (conf_split(l->text, &name, &value)) {
	case CONF_SPLIT_NO_NAME:
		tell_syntax(s, l, "there is no name before \"=\"");
		return;
	case CONF_SPLIT_NO_EQUALS:
		tell_syntax(s, l, "there is no \"=\" after the name");
		return;
	case CONF_SPLIT_OK:
		break;
	}
	if (find_name(s, name) == NULL)
		tell_unknown(s, l->line, name);
	else
		set_value(s, name, value, l->line);
}

void source_file_read(struct source_file *s, struct str text)
{
	struct conf_lines lines = { .rest = text };
	struct conf_logical logical;

	s->values = ARENA_ARRAY(s->arena, s->n_names, struct source_value);
	s->n_values = 0;
	while (conf_lines_next(&lines, s->arena, &logical))
		read_line(s, &logical);
}

/* ---- the file ---- */

static bool has_secret(const struct source_file *s)
{
	for (size_t i = 0; i < s->n_values; i++)
		if (find_name(s, s->values[i].name)->is_secret && s->values[i].value.n > 0)
			return true;
	return false;
}

void source_file_is_secret(const struct source_file *s)
{
	struct stat st;

	if (s->file.n == 0 || stat(s->file.p, &st) != 0 || (st.st_mode & S_IROTH) == 0)
		return;
	tell(s, 0,
	     (struct table_finding){
		     .code = STR("readable-by-all"),
		     .text = STR("it holds a password, and everybody on this machine can read it"),
		     .remedy = arena_fmt(s->arena, "chmod o= " STR_FMT, STR_ARG(s->file)),
	     });
}

static bool read_file(struct source_file *s, struct error *e)
{
	struct buf text;
	bool is_read;

	buf_init(&text, CONF_FILE_MAX);
	is_read = os_file_read(s->file.p, &text, NULL, e);
	if (is_read && str_contains(buf_str(&text), '\0'))
		is_read = error_set(e, ERROR_DATA, "a NUL octet: this is no text file");
	if (is_read) {
		source_file_read(s, arena_str(s->arena, buf_str(&text)));
		if (has_secret(s))
			source_file_is_secret(s);
	} else {
		error_prefix(e, STR_FMT, STR_ARG(s->file));
	}
	buf_fini(&text);
	return is_read;
}

/* ---- main.cf ---- */

/* conf_expand knows whether a name has a value; a value of "" and none are the same there. */
static bool read_main(struct source_file *s, struct error *e)
{
	const struct conf *conf = s->context->options.conf;
	struct str value;

	if (conf == NULL)
		return error_set(e, ERROR_CONFIG,
				 "it begins with neither \"/\" nor \".\", so its parameters are "
				 "in main.cf, which is not there");
	s->values = ARENA_ARRAY(s->arena, s->n_names, struct source_value);
	for (size_t i = 0; i < s->n_names; i++) {
		struct str name = s->names[i].name;
		struct str text = arena_fmt(s->arena, "${" STR_FMT "_" STR_FMT "}",
					    STR_ARG(s->context->body), STR_ARG(name));
		if (!conf_expand(conf, s->arena, text, &value, e))
			return false;
		value = str_trim(value);
		if (value.n > 0)
			s->values[s->n_values++] =
				(struct source_value){ .name = name, .value = value };
	}
	return s->n_values > 0 ||
	       error_set(e, ERROR_CONFIG,
			 "main.cf has no parameter whose name begins with " STR_FMT
			 "_; for a file write its whole path",
			 STR_ARG(s->context->body));
}

bool source_file_open(struct source_file *s, struct arena *a, const struct table_context *c,
		      const struct source_name *names, size_t n_names, struct error *e)
{
	bool is_file = c->body.p[0] == '/' || c->body.p[0] == '.';

	*s = (struct source_file){
		.context = c,
		.names = names,
		.n_names = n_names,
		.arena = a,
		.file = is_file ? arena_str(a, c->body) : STR(""),
	};
	return is_file ? read_file(s, e) : read_main(s, e);
}

/* ---- values ---- */

struct str source_file_get(const struct source_file *s, struct str name)
{
	const struct source_value *v = find_value(s, name);

	return v != NULL ? v->value : STR_NONE;
}

struct str source_file_get_or(const struct source_file *s, struct str name, struct str preset)
{
	struct str value = source_file_get(s, name);

	return value.p != NULL ? value : preset;
}

bool source_file_get_int(const struct source_file *s, struct str name, uint64_t preset,
			 uint64_t least, uint64_t *out, struct error *e)
{
	struct str value = source_file_get(s, name);

	*out = preset;
	if (value.p == NULL)
		return true;
	if (!str_to_u64(value, out))
		return error_set(e, ERROR_CONFIG, STR_FMT " = " STR_FMT " is not a number",
				 STR_ARG(name), STR_ARG(str_first(value, 80)));
	return *out >= least ||
	       error_set(e, ERROR_CONFIG, STR_FMT " = " STR_FMT " is less than %llu", STR_ARG(name),
			 STR_ARG(value), (unsigned long long)least);
}
