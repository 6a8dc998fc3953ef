/* The new files. main.cf is edited: what is not concerned stays as it is, octet by octet. */

#include "cmd/convert_inside.h"
#include "conf/lines.h"

/* Parameters whose lines become comments. */
static const struct {
	enum conf_id id;
	const char *why;
} retired[] = {
	{ CONF_smtp_tls_per_site, "the table " CONVERT_TABLE " stands for it" },
	{ CONF_smtp_use_tls, "smtp_tls_security_level stands for it" },
	{ CONF_smtp_enforce_tls, "smtp_tls_security_level stands for it" },
	{ CONF_smtp_tls_enforce_peername, "smtp_tls_security_level stands for it" },
};

/* One definition in the file, by its physical lines. */
struct definition {
	struct str name, value;
	unsigned first, last; /* from 1 */
	const char *why;      /* it becomes a comment; NULL: it stays */
};

struct editor {
	const struct convert *c;
	struct arena *arena;
	struct str dir;
	struct buf *out;
	struct definition *v;
	size_t n;
	unsigned anchor; /* the line after which the new ones stand; 0: at the end */
};

static bool is_empty_line(struct str line)
{
	line = str_trim(line);
	return line.n == 0 || line.p[0] == '#';
}

/* "$name", "${name" or "$(name" somewhere: then the definition is needed. */
static bool is_referred_to(const struct editor *e, struct str name)
{
	static const char *const forms[] = { "$", "${", "$(" };

	for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
		struct str rest = e->c->text,
			   form = arena_fmt(e->arena, "%s" STR_FMT, forms[i], STR_ARG(name));
		size_t at;
		while (str_search(rest, form, &at)) {
			rest = str_from(rest, at + form.n);
			if (rest.n == 0 || (!ascii_is_alnum(rest.p[0]) && rest.p[0] != '_'))
				return true;
		}
	}
	return false;
}

static const char *why_retired(const struct editor *e, const struct definition *d)
{
	const struct conf *conf = e->c->before.site.conf;

	for (size_t i = 0; i < ARRAY_LEN(retired); i++) {
		if (!str_eq(d->name, conf_name(retired[i].id)) || is_referred_to(e, d->name))
			continue;
		if (retired[i].id == CONF_smtp_tls_per_site && !e->c->has_per_site)
			return "it had no effect";
		return retired[i].why;
	}
	if (str_eq(d->name, conf_name(CONF_smtp_tls_security_level)) &&
	    conf_str(conf, CONF_smtp_tls_security_level).n == 0)
		return "it was empty";
	if (e->c->has_per_site && str_eq(d->name, conf_name(CONF_smtp_tls_policy_maps)))
		return "it was empty";
	if (e->c->n_routes > 0 && str_eq(d->name, conf_name(CONF_transport_maps)))
		return CONVERT_TRANSPORT " comes before it";
	return NULL;
}

static void read_definitions(struct editor *e)
{
	struct conf_lines lines = { .rest = e->c->text };
	struct conf_logical logical;
	size_t room = 0;

	while (conf_lines_next(&lines, e->arena, &logical)) {
		struct definition d = { .first = logical.line, .last = lines.line };
		if (logical.is_indented ||
		    conf_split(logical.text, &d.name, &d.value) != CONF_SPLIT_OK)
			continue;
		d.why = why_retired(e, &d);
		if (e->n == room) {
			struct definition *v = e->v;
			room = room ? room * 2 : 64;
			e->v = ARENA_ARRAY(e->arena, room, struct definition);
			for (size_t i = 0; i < e->n; i++)
				e->v[i] = v[i];
		}
		e->v[e->n++] = d;
	}
}

/* The new lines stand where the old table was named, or else where the level was. */
static void find_anchor(struct editor *e)
{
	bool is_table = false;

	for (size_t i = 0; i < e->n; i++) {
		const struct definition *d = &e->v[i];
		bool is_per_site = str_eq(d->name, conf_name(CONF_smtp_tls_per_site));
		if (!d->why || (is_table && !is_per_site))
			continue;
		is_table = is_per_site;
		e->anchor = d->first;
	}
}

static const struct definition *definition_at(const struct editor *e, unsigned line)
{
	for (size_t i = 0; i < e->n; i++)
		if (e->v[i].first <= line && line <= e->v[i].last)
			return &e->v[i];
	return NULL;
}

static struct str old_transport(const struct editor *e)
{
	struct str value = STR("");

	for (size_t i = 0; i < e->n; i++)
		if (str_eq(e->v[i].name, conf_name(CONF_transport_maps)))
			value = e->v[i].value;
	return value;
}

/* Paths that end in the folder's name stay right when the files are moved together. */
static bool add_new_lines(struct editor *e)
{
	const struct convert *c = e->c;
	struct str tail = c->tail, old = old_transport(e);
	bool needs_level = conf_str(c->before.site.conf, CONF_smtp_tls_security_level).n == 0;
	struct str level = policy_global_level(c->before.site.deliver.smtp.policy);
	bool fits = true;

	if (c->has_per_site)
		fits = buf_fmt(e->out,
			       "smtp_tls_policy_maps = texthash:" STR_FMT "/" CONVERT_TABLE
			       "%s" STR_FMT "\n",
			       STR_ARG(e->dir), tail.n > 0 ? ", " : "", STR_ARG(tail));
	if (needs_level)
		fits = fits &&
		       buf_fmt(e->out, "smtp_tls_security_level = " STR_FMT "\n", STR_ARG(level));
	if (c->n_routes > 0)
		fits = fits && buf_fmt(e->out,
				       "transport_maps = texthash:" STR_FMT "/" CONVERT_TRANSPORT
				       "%s" STR_FMT "\n",
				       STR_ARG(e->dir), old.n > 0 ? ", " : "", STR_ARG(old));
	return fits;
}

static bool add_line(struct editor *e, struct str line, unsigned number)
{
	const struct definition *d = definition_at(e, number);
	bool fits = true;

	if (!d || !d->why || is_empty_line(line))
		return buf_add(e->out, line);
	if (number == d->first)
		fits = buf_fmt(e->out, "# hopseal convert: %s\n", d->why);
	return fits && buf_add(e->out, STR("# ")) && buf_add(e->out, line);
}

/* The last line with text of the definition that begins at the anchor. */
static unsigned anchor_end(const struct editor *e)
{
	const struct definition *d = definition_at(e, e->anchor);
	struct str rest = e->c->text, line;
	unsigned number = 0, last = 0;

	while (d && number < d->last && rest.n > 0) {
		if (!str_cut(rest, '\n', &line, &rest)) {
			line = rest;
			rest = STR("");
		}
		if (++number >= d->first && !is_empty_line(line))
			last = number;
	}
	return last;
}

static bool add_lines(struct editor *e)
{
	unsigned number = 0, after = anchor_end(e);
	struct str rest = e->c->text;
	bool fits = true;

	while (rest.n > 0 && fits) {
		size_t at;
		size_t n = str_find(rest, '\n', &at) ? at + 1 : rest.n;
		struct str line = str_first(rest, n);
		rest = str_from(rest, n);
		fits = add_line(e, line, ++number);
		if (rest.n == 0 && line.p[line.n - 1] != '\n')
			fits = fits && buf_add_char(e->out, '\n');
		if (number == after)
			fits = fits && add_new_lines(e);
	}
	return fits && (after > 0 || add_new_lines(e));
}

bool convert_main_cf_text(const struct convert *c, struct str dir, struct buf *out)
{
	struct editor e = { .c = c, .arena = arena_new(), .dir = dir, .out = out };
	bool fits;

	read_definitions(&e);
	find_anchor(&e);
	fits = add_lines(&e);
	arena_free(e.arena);
	return fits;
}

static bool add_row(struct buf *out, struct str key, struct str value, struct str why)
{
	bool fits = true;

	if (why.n > 0) /* what stood in a table may hold a line end */
		fits = buf_add(out, STR("# "));
	for (size_t i = 0; i < why.n && fits; i++)
		fits = buf_add_char(out, why.p[i] == '\n' || why.p[i] == '\r' ? ' ' : why.p[i]);
	return fits && (why.n == 0 || buf_add_char(out, '\n')) &&
	       buf_fmt(out, STR_FMT "\t" STR_FMT "\n", STR_ARG(key), STR_ARG(value));
}

bool convert_table_text(const struct convert *c, struct buf *out)
{
	bool fits =
		buf_fmt(out,
			"# Made by hopseal convert of smtp_tls_per_site in %s/main.cf.\n"
			"# Keys are next-hops to the letter; servers' names are not asked for.\n",
			cmd_config_dir(&c->sources));

	for (size_t i = 0; i < c->n_entries && fits; i++)
		fits = add_row(out, c->entries[i].key, c->entries[i].value, c->entries[i].why);
	return fits;
}

bool convert_transport_text(const struct convert *c, struct buf *out)
{
	bool fits =
		buf_fmt(out,
			"# Made by hopseal convert of %s/main.cf: brackets instead of DNS name\n"
			"# the server, so that the policy is that of the next-hop.\n",
			cmd_config_dir(&c->sources));

	for (size_t i = 0; i < c->n_routes && fits; i++)
		fits = add_row(out, c->routes[i].key, c->routes[i].value, STR(""));
	return fits;
}
