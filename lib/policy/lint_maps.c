/* Entries of smtp_tls_policy_maps: the next-hop to the letter, then its parents, ".example.com". */

#include "policy/lint_inside.h"

#include <stdlib.h>

/* What is kept of a value, however many entries have it. */
struct lint_value {
	enum tls_level level;
	bool is_plain; /* nothing about it needs a second look */
};

struct lint_maps {
	struct lint lint;
	struct arena *scratch;
	struct map ids; /* value -> index */
	struct lint_value *values;
	size_t n_values, values_room;
};

/* ---- values ---- */

static struct str remedy_of(struct str code)
{
	if (str_eq(code, STR("policy-invalid-level")) || str_eq(code, STR("policy-empty")))
		return STR("begin with none, may, encrypt, dane, dane-only, fingerprint, verify or "
			   "secure");
	if (str_eq(code, STR("policy-attr-malformed")))
		return STR("write name=value, or { name = value } when the value has blanks");
	if (str_eq(code, STR("policy-attr-unknown")))
		return STR("use ciphers, protocols, exclude, match, servername, tafile, "
			   "connection_reuse, enable_rpk or the attributes of a policy plug-in");
	if (str_eq(code, STR("policy-attr-wrong-level")))
		return STR("match needs fingerprint, verify or secure, tafile verify or secure");
	return STR("mend or remove the attribute");
}

/* "key K: ..." about the entry at hand. */
static void say_entry(struct lint *l, struct lint_words w)
{
	if (!policy_lint_wants(l, w.code))
		return;
	w.text = arena_fmt(l->arena, "key " STR_FMT ": " STR_FMT, STR_ARG(lint_entry(l)->key),
			   STR_ARG(w.text));
	policy_lint_say(l, w);
}

static void lint_problem(struct lint *l, struct arena *scratch, const struct policy_entry *e)
{
	say_entry(l, (struct lint_words){
			     CONF_ERROR, e->problem_code,
			     arena_fmt(scratch,
				       STR_FMT ": mail that meets this entry is deferred (4.7.5)",
				       STR_ARG(e->problem)),
			     remedy_of(e->problem_code) });
}

static void lint_ignored(struct lint *l, struct arena *scratch, const struct policy_entry *e)
{
	if (!e->n_attributes)
		return;
	say_entry(l, (struct lint_words){
			     CONF_WARNING, STR("policy-attr-ignored"),
			     arena_fmt(scratch, "at level none the rest is ignored, from " STR_FMT,
				       STR_ARG(str_first(e->attributes[0].value, 100))),
			     STR("remove the attributes, or raise the level") });
}

static void lint_dane(struct lint *l, struct arena *scratch, enum tls_level level)
{
	struct str lack = l->site->dnssec_lack;

	if (!lack.n)
		return;
	if (level == TLS_LEVEL_DANE)
		say_entry(l, (struct lint_words){
				     CONF_WARNING, STR("dane-no-dnssec"),
				     arena_fmt(scratch, "level dane is may here: " STR_FMT,
					       STR_ARG(lack)),
				     STR("choose encrypt or more until DNSSEC is there") });
	if (level == TLS_LEVEL_DANE_ONLY)
		say_entry(l,
			  (struct lint_words){
				  CONF_ERROR, STR("dane-no-dnssec"),
				  arena_fmt(scratch,
					    "level dane-only finds no server good enough, mail is "
					    "deferred (4.7.5): " STR_FMT,
					    STR_ARG(lack)),
				  STR("choose another level until DNSSEC is there") });
}

static void
say_no_effect(struct lint *l, enum conf_severity severity, struct str text, struct str remedy)
{
	say_entry(l, (struct lint_words){ severity, STR("policy-attr-no-effect"), text, remedy });
}

static bool has_match_list(enum tls_level level)
{
	return level == TLS_LEVEL_FINGERPRINT || level == TLS_LEVEL_VERIFY ||
	       level == TLS_LEVEL_SECURE;
}

static bool is_hostname_alone(const struct policy_list *match)
{
	return match->n == 1 && str_ieq_ascii(match->v[0], STR("hostname"));
}

/* The patterns of MTA-STS are obeyed where names are looked at. */
static void lint_patterns(struct lint *l, struct arena *scratch, const struct policy_entry *e)
{
	if (!e->mx_host_patterns.n)
		return;
	if (!l->site->enforces_sts)
		say_no_effect(
			l, CONF_WARNING,
			STR("mx_host_pattern has no effect: smtp_tls_enforce_sts_mx_patterns is "
			    "no"),
			STR("set it to yes, or remove the patterns"));
	else if (!str_ieq_ascii(e->policy_type, STR("sts")))
		say_no_effect(l, CONF_WARNING,
			      STR("mx_host_pattern has no effect without policy_type=sts"),
			      STR("write policy_type=sts, or remove the patterns"));
	else if (!has_match_list(e->level))
		say_no_effect(l, CONF_WARNING,
			      arena_fmt(scratch,
					"mx_host_pattern has no effect at level " STR_FMT
					": no name is looked at",
					STR_ARG(tls_level_name(e->level))),
			      STR("raise the level to secure, or remove the patterns"));
	else if (e->match.n && !is_hostname_alone(&e->match))
		say_no_effect(l, CONF_WARNING,
			      STR("match has no effect beside mx_host_pattern: it becomes "
				  "hostname"),
			      STR("write match=hostname"));
}

static void lint_choices(struct lint *l, const struct policy_entry *e)
{
	if (e->enable_rpk == POLICY_CHOICE_YES)
		say_entry(l, (struct lint_words){
				     CONF_WARNING, STR("rpk-unavailable"),
				     STR("enable_rpk=yes has no effect: the TLS library cannot do "
					 "raw public keys, certificates are asked for"),
				     STR("remove enable_rpk") });
}

/* All there is to say about the value of the entry at hand. */
static void lint_value(struct lint_maps *m, const struct policy_entry *e)
{
	struct lint *l = &m->lint;

	if (e->problem.n) {
		lint_problem(l, m->scratch, e);
		return;
	}
	if (e->level == TLS_LEVEL_NONE) {
		lint_ignored(l, m->scratch, e);
		return;
	}
	lint_dane(l, m->scratch, e->level);
	lint_patterns(l, m->scratch, e);
	lint_choices(l, e);
	if (e->level == TLS_LEVEL_FINGERPRINT && e->match.v)
		policy_lint_entry_fingerprints(l, e);
}

static bool is_plain(const struct policy_entry *e)
{
	return !e->problem.n && !(e->level == TLS_LEVEL_NONE && e->n_attributes) &&
	       e->level != TLS_LEVEL_DANE && e->level != TLS_LEVEL_DANE_ONLY &&
	       e->level != TLS_LEVEL_FINGERPRINT && !e->mx_host_patterns.n &&
	       e->enable_rpk != POLICY_CHOICE_YES;
}

static const struct lint_value *value_of(struct lint_maps *m, struct str value)
{
	struct policy_entry e;
	uint32_t id;

	if (map_get(&m->ids, value, &id))
		return &m->values[id];
	if (m->n_values == m->values_room) {
		m->values_room = m->values_room ? 2 * m->values_room : 64;
		m->values = base_realloc(m->values, m->values_room * sizeof(*m->values));
	}
	arena_reset(m->scratch);
	e = policy_entry_parse(m->scratch, value);
	map_put(&m->ids, value, (uint32_t)m->n_values);
	m->values[m->n_values] = (struct lint_value){ e.level, is_plain(&e) };
	return &m->values[m->n_values++];
}

/* ---- keys ---- */

static void say_dead(struct lint *l, struct str why, struct str remedy)
{
	if (policy_lint_wants(l, STR("key-no-nexthop")))
		policy_lint_say(l, (struct lint_words){
					   CONF_WARNING, STR("key-no-nexthop"),
					   arena_fmt(l->arena,
						     "key " STR_FMT " never matches: " STR_FMT,
						     STR_ARG(lint_entry(l)->key), STR_ARG(why)),
					   remedy });
}

static struct str use_instead(struct lint *l, struct str nexthop)
{
	struct str folded = domain_fold(l->arena, nexthop);

	return map_has(&l->keys, folded)
		       ? arena_fmt(l->arena, "remove it: " STR_FMT " has an entry of its own",
				   STR_ARG(nexthop))
		       : arena_fmt(l->arena, "use " STR_FMT " as the key", STR_ARG(nexthop));
}

static void lint_syntax(struct lint *l, struct str remedy)
{
	if (policy_lint_wants(l, STR("key-syntax")))
		policy_lint_say(l, (struct lint_words){
					   CONF_WARNING, STR("key-syntax"),
					   arena_fmt(l->arena,
						     "key " STR_FMT
						     " never matches: it is neither a next-hop nor "
						     "a parent domain",
						     STR_ARG(lint_entry(l)->key)),
					   remedy });
}

/* ".example.com" is asked for domains below it. */
static bool lint_parent_key(struct lint *l, struct str key)
{
	const struct policy_lint_routes *routes = l->site->routes;
	struct str nexthop;

	if (!domain_is_hostname_utf8(str_from(key, 1), true)) {
		lint_syntax(l, STR("write .domain, without brackets and port"));
		return false;
	}
	if (policy_lint_has_below(routes, key) || policy_lint_is_own(routes, key, &nexthop))
		return true;
	say_dead(l,
		 arena_fmt(l->arena, "mail for the domains below goes to " STR_FMT,
			   STR_ARG(nexthop)),
		 use_instead(l, nexthop));
	return false;
}

/* A domain that mail goes to, and a next-hop to the same name beside it that has no entry. */
static void lint_near(struct lint *l, struct str key)
{
	struct str sibling = policy_lint_sibling(l, key);

	if (!sibling.n || map_has(&l->keys, domain_fold(l->arena, sibling)) ||
	    !policy_lint_wants(l, STR("key-near-nexthop")))
		return;
	policy_lint_say(
		l, (struct lint_words){
			   policy_lint_looks_like_server(key) ? CONF_WARNING : CONF_NOTE,
			   STR("key-near-nexthop"),
			   arena_fmt(l->arena,
				     "key " STR_FMT " does not count for mail that goes to " STR_FMT
				     ", which has no entry: it is for recipients of that domain",
				     STR_ARG(key), STR_ARG(sibling)),
			   arena_fmt(l->arena, "use " STR_FMT " as the key, or write both",
				     STR_ARG(sibling)) });
}

static bool lint_domain_key(struct lint *l, struct str key)
{
	struct str nexthop;

	if (policy_lint_is_own(l->site->routes, key, &nexthop)) {
		lint_near(l, key);
		return true;
	}
	say_dead(l, arena_fmt(l->arena, "mail for that domain goes to " STR_FMT, STR_ARG(nexthop)),
		 use_instead(l, nexthop));
	return false;
}

/* False: no lookup will ever come to it. */
static bool lint_key(struct lint *l)
{
	struct str key = lint_entry(l)->key;
	struct nexthop n;

	if (policy_lint_again(l) || policy_lint_impossible(l, true))
		return false;
	if (policy_lint_is_produced(l, key))
		return true;
	if (str_has_prefix(key, STR(".")))
		return lint_parent_key(l, key);
	if (nexthop_parse(key, 25, true, &n) == NEXTHOP_BAD_SYNTAX) {
		lint_syntax(l, STR("write domain, .domain, domain:port, [host] or [host]:port"));
		return false;
	}
	if (policy_lint_is_route_key(key, &n) || n.is_address)
		return policy_lint_route_key(l, &n);
	return lint_domain_key(l, key);
}

/* ---- weaker than ---- */

/* What is demanded whatever the server and DNS say: dane asks for nothing where there are no TLSA
 * records (RFC 7672 section 2.1). */
static int rank_of(enum tls_level level)
{
	switch (level) {
	case TLS_LEVEL_INVALID:
	case TLS_LEVEL_NONE:
		return 0;
	case TLS_LEVEL_MAY:
		return 1;
	case TLS_LEVEL_DANE:
		return 2;
	case TLS_LEVEL_ENCRYPT:
		return 3;
	case TLS_LEVEL_FINGERPRINT:
	case TLS_LEVEL_DANE_ONLY:
	case TLS_LEVEL_VERIFY:
	case TLS_LEVEL_SECURE:
		return 4;
	}
	return 0;
}

/* Kinds of proof have no order, but for verify, which takes a name from DNS. */
bool policy_lint_is_weaker(enum tls_level level, enum tls_level than)
{
	return rank_of(level) < rank_of(than) ||
	       (level == TLS_LEVEL_VERIFY && than == TLS_LEVEL_SECURE);
}

bool policy_lint_find_parent(const struct lint *l, uint32_t *at)
{
	struct str key = lint_entry(l)->key;
	bool is_parent = str_has_prefix(key, STR("."));

	if (!domain_is_hostname_utf8(str_from(key, is_parent), true))
		return false;
	while (policy_lint_parent(&key))
		if (map_get(&l->keys, key, at))
			return true;
	return false;
}

struct str policy_lint_place(struct arena *a, const struct policy_lint_entry *e)
{
	if (e->file.n && e->line)
		return arena_fmt(a, " (" STR_FMT ":%u)", STR_ARG(e->file), e->line);
	return STR("");
}

/* One exception may well be meant; one for a whole tree of domains needs a second look. */
static void say_weaker_than_parent(struct lint *l, const struct policy_lint_entry *parent,
				   enum tls_level level, enum tls_level demanded)
{
	struct str key = lint_entry(l)->key;
	struct str code = STR("entry-weaker-than-parent");

	if (!policy_lint_wants(l, code))
		return;
	policy_lint_say(l, (struct lint_words){
				   str_has_prefix(key, STR(".")) ? CONF_WARNING : CONF_NOTE, code,
				   arena_fmt(l->arena,
					     "key " STR_FMT " asks for " STR_FMT " where " STR_FMT
					     "" STR_FMT " asks for " STR_FMT,
					     STR_ARG(key), STR_ARG(tls_level_name(level)),
					     STR_ARG(parent->key),
					     STR_ARG(policy_lint_place(l->arena, parent)),
					     STR_ARG(tls_level_name(demanded))),
				   STR("remove the entry, unless it is meant as an exception") });
}

static void lint_weaker(struct lint_maps *m, enum tls_level level)
{
	struct lint *l = &m->lint;
	enum tls_level demanded = l->site->global;
	uint32_t at;

	if (level == TLS_LEVEL_INVALID)
		return;
	if (policy_lint_find_parent(l, &at)) {
		demanded = value_of(m, l->entries[at].value)->level;
		if (policy_lint_is_weaker(level, demanded))
			say_weaker_than_parent(l, &l->entries[at], level, demanded);
		return;
	}
	if (!policy_lint_is_weaker(level, demanded) ||
	    !policy_lint_wants(l, STR("entry-weaker-than-global")))
		return;
	policy_lint_say(l, (struct lint_words){
				   CONF_NOTE, STR("entry-weaker-than-global"),
				   arena_fmt(l->arena,
					     "key " STR_FMT " lowers the global level " STR_FMT
					     " to " STR_FMT,
					     STR_ARG(lint_entry(l)->key),
					     STR_ARG(tls_level_name(demanded)),
					     STR_ARG(tls_level_name(level))),
				   STR("remove the entry, unless it is meant as an exception") });
}

/* ---- all entries ---- */

static void lint_one(struct lint_maps *m)
{
	struct str value = lint_entry(&m->lint)->value;
	struct lint_value v = *value_of(m, value);

	if (!v.is_plain) {
		arena_reset(m->scratch);
		struct policy_entry e = policy_entry_parse(m->scratch, value);
		lint_value(m, &e);
	}
	if (lint_key(&m->lint))
		lint_weaker(m, v.level);
}

struct policy_lint_findings policy_lint_maps(struct arena *a,
					     const struct policy_lint_entry *entries, size_t n,
					     const struct policy_lint_site *site)
{
	struct lint_maps m = { .scratch = arena_new() };

	policy_lint_init(&m.lint, a, conf_name(CONF_smtp_tls_policy_maps), entries, n, site);
	map_init(&m.ids);
	for (m.lint.at = 0; m.lint.at < n; m.lint.at++)
		lint_one(&m);
	policy_lint_shadowed(&m.lint);
	map_fini(&m.ids);
	free(m.values);
	arena_free(m.scratch);
	return policy_lint_end(&m.lint);
}
