#include "conf/conf.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/limits.h"
#include "conf/check.h"
#include "conf/expand.h"
#include "conf/lines.h"
#include "conf/value.h"

struct conf_setting {
	struct str text; /* expanded */
	int64_t number;  /* of BOOL, INT and TIME */
};

struct conf {
	unsigned refs;
	struct arena *arena;
	struct conf_names names; /* every slot is CONF_DONE or CONF_FAILED */
	struct conf_setting setting[CONF_COUNT];
	char fingerprint[17];
};

/* One "name = value" of a source, in the order of the text. */
struct definition {
	struct definition *next;
	struct str name, value;
	struct conf_place at;
};

struct loader {
	struct arena *arena; /* of the snapshot */
	struct conf_collector findings;
	struct definition *head, **tail;
	size_t n;
	struct conf_names *names;
	size_t expanded_octets;
};

/* Sources into definitions. */

static void
reject_line(struct loader *l, struct conf_place at, enum conf_split why, struct str text)
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

static void define(struct loader *l, struct conf_place at, struct str text)
{
	struct str name, value;
	enum conf_split split = conf_split(text, &name, &value);

	if (split != CONF_SPLIT_OK) {
		reject_line(l, at, split, str_trim(text));
		return;
	}
	struct definition *d = ARENA_NEW(l->arena, struct definition);
	*d = (struct definition){ .name = name, .value = value, .at = at };
	*l->tail = d;
	l->tail = &d->next;
	l->n++;
}

static void warn_indented(struct loader *l, struct conf_place at, struct str text)
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

static void read_lines(struct loader *l, struct conf_place at, struct str text)
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

static bool is_readable(struct loader *l, struct conf_place at, struct str text)
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

static void read_source(struct loader *l, const struct conf_source *s, unsigned number)
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

static void warn_overridden(struct loader *l, const struct conf_slot *s, struct conf_place by)
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

static void apply(struct loader *l, const struct definition *d)
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

/* The machine's own name is no text of main.cf: "$" in it would be odd, but stands for itself. */
static void apply_machine(struct loader *l, const struct conf_machine *m)
{
	struct conf_slot *s = &l->names->slot[CONF_myhostname];
	struct str name = m->hostname.n ? m->hostname : STR("localhost");

	if (s->is_set)
		return;
	if (str_contains(name, '.') || str_contains(name, '$'))
		s->raw = arena_str(l->arena,
				   str_contains(name, '$') ? STR("localhost.localdomain") : name);
	else
		s->raw = arena_fmt(l->arena, STR_FMT "%s", STR_ARG(name),
				   l->names->slot[CONF_mydomain].is_set ? ".$mydomain"
									: ".localdomain");
}

/* Expansion. */

static void settle(void *context, size_t i, unsigned depth);

static struct conf_expander loader_expander(struct loader *l)
{
	return (struct conf_expander){ .names = l->names,
				       .settle = settle,
				       .context = l,
				       .arena = l->arena,
				       .blame = CONF_NO_SLOT };
}

static bool
settle_mydomain(struct loader *l, struct conf_expander *x, struct buf *out, unsigned depth)
{
	struct str host, domain;

	if (!conf_expand_text(x, STR("$myhostname"), out, depth))
		return false;
	host = arena_str(l->arena, buf_str(out));
	buf_reset(out);
	if (!str_cut(host, '.', &host, &domain))
		domain = STR("localdomain");
	return buf_add(out, domain);
}

static void settle(void *context, size_t i, unsigned depth)
{
	struct loader *l = context;
	struct conf_slot *s = &l->names->slot[i];
	struct conf_expander x = loader_expander(l);
	struct buf out;

	s->progress = CONF_BUSY;
	buf_init(&out, CONF_VALUE_MAX);
	bool is_ok = i == CONF_mydomain && !s->is_set ? settle_mydomain(l, &x, &out, depth)
						      : conf_expand_text(&x, s->raw, &out, depth);
	l->expanded_octets += buf_len(&out);
	if (is_ok && l->expanded_octets > CONF_EXPANDED_MAX) {
		x.problem = STR("all values together are too long");
		is_ok = false;
	}
	if (is_ok)
		s->expanded = arena_str(l->arena, buf_str(&out));
	else
		s->problem = x.problem;
	s->blame = x.blame == CONF_NO_SLOT ? i : x.blame;
	s->progress = is_ok ? CONF_DONE : CONF_FAILED;
	buf_fini(&out);
}

static void mark_references(struct loader *l, struct str text)
{
	struct str name;

	while (conf_expand_scan(&text, &name)) {
		size_t i = conf_names_find(l->names, name);
		if (i != CONF_NO_SLOT)
			l->names->slot[i].is_referred = true;
	}
}

static void expand_all(struct loader *l)
{
	for (size_t i = 0; i < l->names->n; i++) {
		mark_references(l, l->names->slot[i].raw);
		if (l->names->slot[i].progress == CONF_TO_DO)
			settle(l, i, 0);
		struct conf_slot *s = &l->names->slot[i];
		if (s->progress == CONF_FAILED && s->kind == CONF_KIND_PARAM)
			l->names->slot[s->blame].is_fatal = true;
	}
}

static void report_expansion(struct loader *l, const struct conf_slot *s)
{
	struct conf_finding what = {
		.severity = s->is_fatal ? CONF_ERROR : CONF_WARNING,
		.code = STR("bad-expansion"),
		.param = s->name,
	};

	conf_collect(&l->findings, conf_place_of(s), &what, STR_FMT ": " STR_FMT, STR_ARG(s->name),
		     STR_ARG(s->problem));
}

static void report_expansions(struct loader *l)
{
	for (size_t i = 0; i < l->names->n; i++) {
		const struct conf_slot *s = &l->names->slot[i];
		if (s->progress == CONF_FAILED && s->blame == i)
			report_expansion(l, s);
	}
}

/* Typed values. */

static void reject_value(struct loader *l, enum conf_id id, const char *why)
{
	const struct conf_slot *s = &l->names->slot[id];
	struct conf_finding what = {
		.severity = CONF_ERROR,
		.code = STR("bad-value"),
		.param = s->name,
	};
	bool is_default = !s->is_set;

	conf_collect(&l->findings, conf_place_of(s), &what, STR_FMT ": %s\"" STR_FMT "%s\" %s",
		     STR_ARG(s->name), is_default ? "the default, " : "",
		     STR_ARG(str_first(s->expanded, 60)), s->expanded.n > 60 ? "..." : "", why);
}

static bool check_bounds(struct loader *l, enum conf_id id, int64_t v, const char *unit)
{
	const struct conf_param *p = &conf_params[id];
	char why[96];

	if (v >= p->low && (p->high == 0 || v <= p->high))
		return true;
	if (p->high)
		(void)snprintf(why, sizeof(why), "is not between %lld and %lld%s",
			       (long long)p->low, (long long)p->high, unit);
	else
		(void)snprintf(why, sizeof(why), "is less than %lld%s", (long long)p->low, unit);
	reject_value(l, id, why);
	return false;
}

static bool read_number(struct loader *l, enum conf_id id, struct str text, int64_t *out)
{
	switch (conf_params[id].type) {
	case CONF_TYPE_STR:
		return check_bounds(l, id, (int64_t)text.n, " octets long");
	case CONF_TYPE_BOOL:
		if (conf_value_bool(text, out))
			return true;
		reject_value(l, id, "is neither yes nor no");
		return false;
	case CONF_TYPE_INT:
		if (conf_value_int(text, out))
			return check_bounds(l, id, *out, "");
		reject_value(l, id, "is not a whole number in range");
		return false;
	case CONF_TYPE_TIME:
		if (conf_value_time(text, conf_time_unit(id), out))
			return check_bounds(l, id, *out, " seconds");
		reject_value(l, id, "is not a time: digits, then s, m, h, d or w");
		return false;
	}
	return false;
}

static void type_all(struct loader *l, struct conf *c)
{
	for (unsigned i = 0; i < CONF_COUNT; i++) {
		const struct conf_slot *s = &l->names->slot[i];
		if (s->progress != CONF_DONE)
			continue;
		c->setting[i].text = s->expanded;
		(void)read_number(l, (enum conf_id)i, s->expanded, &c->setting[i].number);
	}
}

/* The snapshot. */

static uint64_t hash_octets(uint64_t h, struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		h = (h ^ (unsigned char)s.p[i]) * 0x100000001b3u;
	return h * 0x100000001b3u; /* a NUL, so that "ab" "c" is not "a" "bc" */
}

static void make_fingerprint(struct conf *c)
{
	uint64_t h = 0xcbf29ce484222325u;

	for (size_t i = 0; i < CONF_COUNT; i++)
		h = hash_octets(hash_octets(h, conf_params[i].name), c->setting[i].text);
	(void)snprintf(c->fingerprint, sizeof(c->fingerprint), "%016llx", (unsigned long long)h);
}

static void load(struct loader *l, struct conf *c, const struct conf_source *sources, size_t n,
		 const struct conf_machine *machine)
{
	for (size_t i = 0; i < n; i++)
		read_source(l, &sources[i], (unsigned)i);
	conf_names_init(&c->names, l->arena, l->n);
	l->names = &c->names;
	for (const struct definition *d = l->head; d; d = d->next)
		apply(l, d);
	apply_machine(l, machine);
	expand_all(l);
	report_expansions(l);
	type_all(l, c);
	conf_check(&l->findings, &c->names);
	make_fingerprint(c);
}

struct conf *conf_new(const struct conf_source *sources, size_t n,
		      const struct conf_machine *machine, struct arena *findings_arena,
		      struct conf_findings *findings)
{
	struct conf *c = base_alloc(sizeof(*c));
	struct loader l = { .arena = arena_new() };

	c->refs = 1;
	c->arena = l.arena;
	l.tail = &l.head;
	conf_collector_init(&l.findings, findings_arena);
	load(&l, c, sources, n, machine);
	*findings = conf_collected(&l.findings);
	if (l.findings.has_error) {
		conf_unref(c);
		return NULL;
	}
	return c;
}

struct conf *conf_ref(struct conf *c)
{
	__atomic_add_fetch(&c->refs, 1, __ATOMIC_RELAXED);
	return c;
}

void conf_unref(struct conf *c)
{
	if (!c || __atomic_sub_fetch(&c->refs, 1, __ATOMIC_ACQ_REL) > 0)
		return;
	arena_free(c->arena);
	free(c);
}

static const struct conf_setting *typed(const struct conf *c, enum conf_id id, enum conf_type type)
{
	CHECK((size_t)id < CONF_COUNT && conf_params[id].type == type);
	return &c->setting[id];
}

struct str conf_str(const struct conf *c, enum conf_id id)
{
	return typed(c, id, CONF_TYPE_STR)->text;
}

bool conf_bool(const struct conf *c, enum conf_id id)
{
	return typed(c, id, CONF_TYPE_BOOL)->number != 0;
}

int64_t conf_int(const struct conf *c, enum conf_id id)
{
	return typed(c, id, CONF_TYPE_INT)->number;
}

uint64_t conf_time_s(const struct conf *c, enum conf_id id)
{
	return (uint64_t)typed(c, id, CONF_TYPE_TIME)->number;
}

static const struct conf_slot *slot_of(const struct conf *c, enum conf_id id)
{
	CHECK((size_t)id < CONF_COUNT);
	return &c->names.slot[id];
}

bool conf_is_set(const struct conf *c, enum conf_id id)
{
	return slot_of(c, id)->is_set;
}

struct str conf_file(const struct conf *c, enum conf_id id)
{
	return slot_of(c, id)->file;
}

unsigned conf_line(const struct conf *c, enum conf_id id)
{
	return slot_of(c, id)->line;
}

bool conf_is_level(const struct conf *c, unsigned major, unsigned minor, unsigned patch)
{
	struct conf_level level, want = { { major, minor, patch } };

	return conf_value_level(conf_str(c, CONF_compatibility_level), &level) &&
	       conf_level_cmp(level, want) >= 0;
}

bool conf_expand(const struct conf *c, struct arena *a, struct str text, struct str *out,
		 struct error *e)
{
	struct conf_expander x = { .names = &c->names, .arena = a, .blame = CONF_NO_SLOT };
	struct buf b;

	buf_init(&b, CONF_VALUE_MAX);
	bool is_ok = conf_expand_text(&x, text, &b, 0);
	if (is_ok)
		*out = arena_str(a, buf_str(&b));
	buf_fini(&b);
	return is_ok || error_set(e, ERROR_CONFIG, STR_FMT, STR_ARG(x.problem));
}

struct str conf_fingerprint(const struct conf *c)
{
	return str_of(c->fingerprint);
}
