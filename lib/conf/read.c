#include "conf/load.h"

#include "base/limits.h"
#include "conf/lines.h"

/* Sources into definitions. */

static void
reject_line(struct conf_loader *l, struct conf_place at, enum conf_split why, struct str text)
{
	struct conf_finding what = {
		.severity = CONF_ERROR,
		.code = STR("syntax"),
		.remedy = STR("write name = value; a line that continues the one before begins "
			      "with white space"),
	};

	conf_collect(&l->findings, at, &what, "%s: \"" STR_FMT "%s\"",
		     why == CONF_SPLIT_NO_NAME ? "no parameter name before \"=\""
					       : "no \"=\" after the parameter name",
		     STR_ARG(str_first(text, 60)), text.n > 60 ? "..." : "");
}

static void define(struct conf_loader *l, struct conf_place at, struct str text)
{
	struct str name, value;
	enum conf_split split = conf_split(text, &name, &value);

	if (split != CONF_SPLIT_OK) {
		reject_line(l, at, split, str_trim(text));
		return;
	}
	struct conf_definition *d = ARENA_NEW(l->arena, struct conf_definition);
	*d = (struct conf_definition){ .name = name, .value = value, .at = at };
	*l->tail = d;
	l->tail = &d->next;
	l->n++;
}

static void warn_indented(struct conf_loader *l, struct conf_place at, struct str text)
{
	struct conf_finding what = {
		.severity = CONF_WARNING,
		.code = STR("indented"),
		.remedy = STR("remove the white space at the beginning of the line"),
	};

	conf_collect(&l->findings, at, &what,
		     "the line continues nothing and is ignored: \"" STR_FMT "\"",
		     STR_ARG(str_first(str_trim(text), 60)));
}

static void read_lines(struct conf_loader *l, struct conf_place at, struct str text)
{
	struct conf_lines lines = { .rest = text };
	struct conf_logical logical;

	while (conf_lines_next(&lines, l->arena, &logical)) {
		at.line = logical.line;
		if (logical.is_indented)
			warn_indented(l, at, logical.text);
		else
			define(l, at, logical.text);
	}
}

static bool is_readable(struct conf_loader *l, struct conf_place at, struct str text)
{
	struct conf_finding what = { .severity = CONF_ERROR, .code = STR("unreadable") };

	if (text.n > CONF_FILE_MAX) {
		conf_collect(&l->findings, at, &what, "longer than %d octets", CONF_FILE_MAX);
		return false;
	}
	size_t nul;
	if (!str_find(text, '\0', &nul))
		return true;
	for (size_t i = 0; i < nul && at.file.n; i++)
		at.line += text.p[i] == '\n';
	at.line += at.file.n > 0;
	conf_collect(&l->findings, at, &what, "a NUL octet: this is no text file");
	return false;
}

static void read_source(struct conf_loader *l, const struct conf_source *s, unsigned number)
{
	struct conf_place at = { .file = arena_str(l->arena, s->file), .source = number };

	if (!is_readable(l, at, s->text))
		return;
	if (s->file.n)
		read_lines(l, at, s->text);
	else
		define(l, at, arena_str(l->arena, s->text));
}

/* Definitions into slots. */

static void warn_overridden(struct conf_loader *l, const struct conf_slot *s, struct conf_place by)
{
	struct conf_finding what = {
		.severity = CONF_WARNING,
		.code = STR("overridden"),
		.param = s->name,
		.remedy = STR("remove one of the two lines"),
	};

	conf_collect(&l->findings, conf_place_of(s), &what,
		     "set again in line %u: this setting has no effect", by.line);
}

static void apply(struct conf_loader *l, const struct conf_definition *d)
{
	struct conf_slot *s = &l->names->slot[conf_names_add(l->names, d->name)];

	if (s->is_set && s->source == d->at.source)
		warn_overridden(l, s, d->at);
	s->is_set = true;
	s->raw = d->value;
	s->file = d->at.file;
	s->line = d->at.line;
	s->source = d->at.source;
}

/* A text that stands for itself in a value. */
static struct str literal(struct arena *a, struct str s)
{
	char *p = arena_alloc(a, 2 * s.n + 1);
	size_t n = 0;

	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '$')
			p[n++] = '$';
		p[n++] = s.p[i];
	}
	return str_span(p, n);
}

static struct str default_myhostname(struct conf_loader *l, struct str hostname)
{
	struct str name = literal(l->arena, hostname.n ? hostname : STR("localhost"));

	if (str_contains(name, '.'))
		return name;
	return arena_fmt(l->arena, STR_FMT "%s", STR_ARG(name),
			 l->names->slot[CONF_mydomain].is_set ? ".$mydomain" : ".localdomain");
}

static void apply_machine(struct conf_loader *l, const struct conf_machine *m)
{
	struct conf_slot *host = &l->names->slot[CONF_myhostname];
	struct conf_slot *folder = &l->names->slot[CONF_config_directory];

	if (!host->is_set)
		host->raw = default_myhostname(l, m->hostname);
	if (!folder->is_set)
		folder->raw = literal(l->arena, m->config_directory);
}

void conf_read(struct conf_loader *l, const struct conf_source *sources, size_t n,
	       const struct conf_machine *machine)
{
	l->tail = &l->head;
	for (size_t i = 0; i < n; i++)
		read_source(l, &sources[i], (unsigned)i);
	conf_names_init(l->names, l->arena, l->n);
	for (const struct conf_definition *d = l->head; d; d = d->next)
		apply(l, d);
	apply_machine(l, machine);
}
