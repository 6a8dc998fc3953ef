#include "conf/conf.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/limits.h"
#include "conf/check.h"
#include "conf/expand.h"
#include "conf/load.h"
#include "conf/value.h"

struct conf_setting {
	struct str text; /* expanded */
	int64_t number;  /* of BOOL, INT and TIME */
};

/* Who reads: the SMTP client, and everybody else, or the LMTP client. */
struct conf {
	struct conf_snapshot *snapshot;
	bool is_lmtp;
};

struct conf_snapshot {
	unsigned refs;
	struct arena *arena;
	struct conf_names names; /* every slot is CONF_DONE or CONF_FAILED */
	struct conf_setting setting[CONF_COUNT];
	const struct conf_source *sources; /* copies, for conf_with */
	size_t n_sources;
	struct conf_machine machine;
	char fingerprint[17];
	struct conf smtp, lmtp;
};

/* Typed values. */

static void reject_value(struct conf_loader *l, enum conf_id id, const char *why)
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

static bool check_bounds(struct conf_loader *l, enum conf_id id, int64_t v, const char *unit)
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

static bool read_number(struct conf_loader *l, enum conf_id id, struct str text, int64_t *out)
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

static void type_all(struct conf_loader *l, struct conf_snapshot *c)
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

static void make_fingerprint(struct conf_snapshot *c)
{
	uint64_t h = 0xcbf29ce484222325u;

	for (size_t i = 0; i < CONF_COUNT; i++)
		h = hash_octets(hash_octets(h, conf_params[i].name), c->setting[i].text);
	(void)snprintf(c->fingerprint, sizeof(c->fingerprint), "%016llx", (unsigned long long)h);
}

static void load(struct conf_loader *l, struct conf_snapshot *c, const struct conf_source *sources,
		 size_t n, const struct conf_machine *machine)
{
	conf_read(l, sources, n, machine);
	conf_settle(l);
	type_all(l, c);
	conf_check(&l->findings, &c->names);
	make_fingerprint(c);
}

static void keep_sources(struct conf_snapshot *c, const struct conf_source *sources, size_t n,
			 const struct conf_machine *machine)
{
	struct conf_source *v = ARENA_ARRAY(c->arena, n, struct conf_source);

	for (size_t i = 0; i < n; i++)
		v[i] = (struct conf_source){ arena_str(c->arena, sources[i].file),
					     arena_str(c->arena, sources[i].text) };
	c->sources = v;
	c->n_sources = n;
	c->machine.hostname = arena_str(c->arena, machine->hostname);
	c->machine.config_directory = arena_str(c->arena, machine->config_directory);
}

struct conf *conf_new(const struct conf_source *sources, size_t n,
		      const struct conf_machine *machine, struct arena *findings_arena,
		      struct conf_findings *findings)
{
	struct conf_snapshot *c = base_alloc(sizeof(*c));
	struct conf_loader l = { .arena = arena_new(), .names = &c->names };

	c->refs = 1;
	c->arena = l.arena;
	c->smtp = (struct conf){ .snapshot = c };
	c->lmtp = (struct conf){ .snapshot = c, .is_lmtp = true };
	keep_sources(c, sources, n, machine);
	conf_collector_init(&l.findings, findings_arena);
	load(&l, c, sources, n, machine);
	*findings = conf_collected(&l.findings);
	if (l.findings.has_error) {
		conf_unref(&c->smtp);
		return NULL;
	}
	return &c->smtp;
}

struct conf *conf_with(const struct conf *c, const struct conf_source *more, size_t n_more,
		       struct arena *findings_arena, struct conf_findings *findings)
{
	const struct conf_snapshot *s = c->snapshot;
	size_t n = s->n_sources + n_more;
	struct conf_source *all = ARENA_ARRAY(findings_arena, n, struct conf_source);

	for (size_t i = 0; i < n; i++)
		all[i] = i < s->n_sources ? s->sources[i] : more[i - s->n_sources];
	return conf_new(all, n, &s->machine, findings_arena, findings);
}

struct conf *conf_ref(struct conf *c)
{
	__atomic_add_fetch(&c->snapshot->refs, 1, __ATOMIC_RELAXED);
	return c;
}

void conf_unref(struct conf *c)
{
	if (!c || __atomic_sub_fetch(&c->snapshot->refs, 1, __ATOMIC_ACQ_REL) > 0)
		return;
	arena_free(c->snapshot->arena);
	free(c->snapshot);
}

const struct conf *conf_lmtp(const struct conf *c)
{
	return &c->snapshot->lmtp;
}

static enum conf_id id_in(const struct conf *c, enum conf_id id)
{
	return c->is_lmtp ? conf_lmtp_id(id) : id;
}

struct str conf_name_in(const struct conf *c, enum conf_id id)
{
	return conf_name(id_in(c, id));
}

static const struct conf_setting *typed(const struct conf *c, enum conf_id id, enum conf_type type)
{
	CHECK((size_t)id < CONF_COUNT && conf_params[id].type == type);
	return &c->snapshot->setting[id_in(c, id)];
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

struct str conf_text(const struct conf *c, enum conf_id id)
{
	CHECK((size_t)id < CONF_COUNT);
	return c->snapshot->setting[id_in(c, id)].text;
}

static const struct conf_slot *slot_of(const struct conf *c, enum conf_id id)
{
	CHECK((size_t)id < CONF_COUNT);
	return &c->snapshot->names.slot[id_in(c, id)];
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

bool conf_expand(const struct conf *c, struct arena *a, struct str text, struct str *out,
		 struct error *e)
{
	struct conf_expander x = { .names = &c->snapshot->names,
				   .arena = a,
				   .blame = CONF_NO_SLOT };
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
	return str_of(c->snapshot->fingerprint);
}
