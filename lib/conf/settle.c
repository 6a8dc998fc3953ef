#include "conf/load.h"

#include "base/limits.h"
#include "conf/expand.h"
#include "conf/value.h"

static void settle(void *context, size_t i, unsigned depth);

static struct conf_expander expander_of(struct conf_loader *l)
{
	return (struct conf_expander){
		.names = l->names,
		.settle = settle,
		.context = l,
		.arena = l->arena,
		.blame = CONF_NO_SLOT,
	};
}

/* $myhostname without its first label. */
static bool
add_mydomain(struct conf_loader *l, struct conf_expander *x, struct buf *out, unsigned depth)
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

static bool
expand(struct conf_loader *l, struct conf_expander *x, size_t i, struct buf *out, unsigned depth)
{
	const struct conf_slot *s = &l->names->slot[i];

	if (i == CONF_mydomain && !s->is_set)
		return add_mydomain(l, x, out, depth);
	return conf_expand_text(x, s->raw, out, depth);
}

static void expand_slot(struct conf_loader *l, size_t i, unsigned depth)
{
	struct conf_slot *s = &l->names->slot[i];
	struct conf_expander x = expander_of(l);
	struct buf out;

	s->progress = CONF_BUSY;
	buf_init(&out, CONF_VALUE_MAX);
	bool is_ok = expand(l, &x, i, &out, depth);
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

/* A level that is none would fail every default that asks for it: it counts as 0 from here on. */
static void settle_level(struct conf_loader *l, unsigned depth)
{
	struct conf_slot *s = &l->names->slot[CONF_compatibility_level];
	struct conf_finding what = {
		.severity = CONF_ERROR,
		.code = STR("bad-value"),
		.param = s->name,
		.remedy = STR("write the release that the file was made for, such as 3.6"),
	};
	struct conf_level level;

	expand_slot(l, CONF_compatibility_level, depth);
	if (s->progress == CONF_DONE && conf_value_level(s->expanded, &level))
		return;
	if (s->progress == CONF_DONE)
		conf_collect(&l->findings, conf_place_of(s), &what,
			     STR_FMT ": \"" STR_FMT "\" is not N, N.N or N.N.N", STR_ARG(s->name),
			     STR_ARG(str_first(s->expanded, 60)));
	else
		conf_collect(&l->findings, conf_place_of(s), &what, STR_FMT ": " STR_FMT,
			     STR_ARG(s->name), STR_ARG(s->problem));
	s->expanded = STR("0");
	s->progress = CONF_DONE;
}

static bool is_plain(struct conf_loader *l, size_t i)
{
	bool is_computed = i == CONF_mydomain && !l->names->slot[i].is_set;

	return !is_computed && l->names->slot[i].raw.n <= CONF_VALUE_MAX &&
	       !str_contains(l->names->slot[i].raw, '$');
}

static void settle(void *context, size_t i, unsigned depth)
{
	struct conf_loader *l = context;
	struct conf_slot *s = &l->names->slot[i];

	if (i == CONF_compatibility_level) {
		settle_level(l, depth);
	} else if (is_plain(l, i)) {
		s->expanded = s->raw;
		s->progress = CONF_DONE;
	} else {
		expand_slot(l, i, depth);
	}
}

/* Names that nobody defines come out empty: fine in texts for later (smtpd_reject_footer and the
 * like), a likely mistake in a value that is used here. */
static void warn_undefined(struct conf_loader *l, const struct conf_slot *s, struct str name)
{
	struct conf_finding what = {
		.severity = CONF_WARNING,
		.code = STR("undefined-name"),
		.param = s->name,
	};

	if (s->is_set && s->kind == CONF_KIND_PARAM)
		conf_collect(&l->findings, conf_place_of(s), &what,
			     STR_FMT ": nothing defines $" STR_FMT ", which comes out empty",
			     STR_ARG(s->name), STR_ARG(str_first(name, 60)));
}

static void mark_references(struct conf_loader *l, const struct conf_slot *s)
{
	struct str text = s->raw, name;

	while (conf_expand_scan(&text, &name)) {
		size_t i = conf_names_find(l->names, name);
		if (i != CONF_NO_SLOT)
			l->names->slot[i].is_referred = true;
		else
			warn_undefined(l, s, name);
	}
}

/* The classes of smtpd_restriction_classes are names of parameters. */
static void mark_classes(struct conf_loader *l)
{
	size_t i = conf_names_find(l->names, STR("smtpd_restriction_classes"));
	struct str token;

	CHECK(i != CONF_NO_SLOT);
	struct str rest = l->names->slot[i].expanded;
	while (str_token(&rest, STR(", \t\r\n"), &token)) {
		i = conf_names_find(l->names, token);
		if (i != CONF_NO_SLOT)
			l->names->slot[i].is_referred = true;
	}
}

/* A value that cannot be expanded is an error where a parameter with a type needs it. */
static void report_failures(struct conf_loader *l)
{
	for (size_t i = 0; i < CONF_COUNT; i++) {
		if (l->names->slot[i].progress == CONF_FAILED)
			l->names->slot[l->names->slot[i].blame].is_fatal = true;
	}
	for (size_t i = 0; i < l->names->n; i++) {
		const struct conf_slot *s = &l->names->slot[i];
		struct conf_finding what = {
			.severity = CONF_ERROR,
			.code = STR("bad-expansion"),
			.param = s->name,
		};
		if (s->is_fatal)
			conf_collect(&l->findings, conf_place_of(s), &what, STR_FMT ": " STR_FMT,
				     STR_ARG(s->name), STR_ARG(s->problem));
	}
}

void conf_settle(struct conf_loader *l)
{
	for (size_t i = 0; i < l->names->n; i++) {
		mark_references(l, &l->names->slot[i]);
		if (l->names->slot[i].progress == CONF_TO_DO)
			settle(l, i, 0);
	}
	mark_classes(l);
	report_failures(l);
}
