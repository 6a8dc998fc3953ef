/* Entries of the same level as their parent entry that drop other demands of it: an entry takes
 * nothing over from its parents, though it may look so. */

#include "policy/compare.h"
#include "policy/lint_inside.h"

#define PAIRS_MAX 100000 /* of different values that are compared */

struct settings_lint {
	struct lint lint;
	const struct conf *conf;
	const struct policy_config *cfg;
	struct arena *scratch, *kept;
	struct map
		pairs; /* of values -> what is lower, as bits of enum policy_aspect; 0: nothing */
};

/* Whether trust anchors can be used is no matter here: they are taken to be there. */
static struct answer answer_to(const struct question *q, struct str nexthop, struct str value)
{
	if (q->kind == QUESTION_TRUST_ANCHORS)
		return (struct answer){ .status = ANSWER_FOUND, .value = STR("1") };
	if (str_eq(q->name, nexthop))
		return (struct answer){ .status = ANSWER_FOUND, .value = value };
	return (struct answer){ .status = ANSWER_NONE };
}

static struct policy_decision decide(struct settings_lint *s, struct str value)
{
	struct policy_subject subject = { .nexthop = STR("hopseal.invalid"),
					  .host = STR("mx.hopseal.invalid"),
					  .port = 25 };
	struct fact_list *facts = fact_list_new(s->scratch);

	for (;;) {
		struct policy_step step =
			policy_step(s->scratch, s->cfg, &subject, fact_list_set(facts));
		if (step.kind == POLICY_DECIDED)
			return step.u.decided;
		struct answer answer = answer_to(&step.u.ask, subject.nexthop, value);
		fact_list_add(facts, &step.u.ask, &answer);
	}
}

/* What the second asks for less than the first, when the level is not what makes the difference. */
static uint32_t compare(struct settings_lint *s, struct str parent, struct str value)
{
	arena_reset(s->scratch);
	struct policy_decision d[] = { decide(s, parent), decide(s, value) };
	struct str nexthop = STR("hopseal.invalid");
	struct policy_side sides[] = { { s->conf, &d[0], nexthop }, { s->conf, &d[1], nexthop } };
	struct policy_comparison c;

	if (policy_lint_is_weaker(d[1].level, d[0].level) || !policy_decision_can_be_met(&d[0]) ||
	    !policy_decision_can_be_met(&d[1]))
		return 0;
	c = policy_compare(&sides[0], &sides[1]);
	return c.change == POLICY_LOWERED ? c.aspects : 0;
}

static uint32_t compare_once(struct settings_lint *s, struct str parent, struct str value)
{
	struct arena *a = arena_new();
	struct str pair = arena_fmt(a, STR_FMT "\n" STR_FMT, STR_ARG(parent), STR_ARG(value));
	uint32_t lower = 0;

	if (!map_get(&s->pairs, pair, &lower) && s->pairs.n < PAIRS_MAX) {
		lower = compare(s, parent, value);
		map_put(&s->pairs, arena_str(s->kept, pair), lower);
	}
	arena_free(a);
	return lower;
}

static struct str aspects_text(struct arena *a, uint32_t aspects)
{
	struct str all = STR("");

	for (int i = 0; i < POLICY_ASPECT_COUNT; i++)
		if (aspects & 1u << i)
			all = arena_fmt(a, STR_FMT "%s" STR_FMT, STR_ARG(all), all.n ? ", " : "",
					STR_ARG(policy_aspect_name((enum policy_aspect)i)));
	return all;
}

static void lint_settings(struct settings_lint *s, const struct policy_lint_entry *parent)
{
	struct lint *l = &s->lint;
	const struct policy_lint_entry *e = lint_entry(l);
	struct str code = STR("entry-weaker-than-parent");
	uint32_t lower;

	if (str_eq(parent->value, e->value))
		return;
	lower = compare_once(s, parent->value, e->value);
	if (!lower || !policy_lint_wants(l, code))
		return;
	policy_lint_say(l,
			(struct lint_words){
				str_has_prefix(e->key, STR(".")) ? CONF_WARNING : CONF_NOTE, code,
				arena_fmt(l->arena,
					  "key " STR_FMT " asks for less than " STR_FMT STR_FMT
					  ", of which it takes nothing over: " STR_FMT,
					  STR_ARG(e->key), STR_ARG(parent->key),
					  STR_ARG(policy_lint_place(l->arena, parent)),
					  STR_ARG(aspects_text(l->arena, lower))),
				STR("repeat the attributes of the parent, unless an exception is "
				    "meant") });
}

struct policy_lint_findings
policy_lint_settings(struct arena *a, const struct policy_lint_entry *entries, size_t n,
		     const struct policy_lint_site *site, const struct conf *conf,
		     const struct policy_config *cfg)
{
	struct settings_lint s = {
		.conf = conf, .cfg = cfg, .scratch = arena_new(), .kept = arena_new()
	};
	uint32_t parent;

	policy_lint_init(&s.lint, a, conf_name(CONF_smtp_tls_policy_maps), entries, n, site);
	map_init(&s.pairs);
	for (s.lint.at = 0; s.lint.at < n; s.lint.at++)
		if (policy_lint_find_parent(&s.lint, &parent))
			lint_settings(&s, &entries[parent]);
	map_fini(&s.pairs);
	arena_free(s.kept);
	arena_free(s.scratch);
	return policy_lint_end(&s.lint);
}
