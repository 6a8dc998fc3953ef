/* Entries of smtp_tls_per_site: next-hop and host are looked up, both to the letter. */

#include "policy/lint_inside.h"

static const struct {
	struct str word;
	enum tls_level level;
} keywords[] = {
	{ STR_INIT("NONE"), TLS_LEVEL_NONE },
	{ STR_INIT("MAY"), TLS_LEVEL_MAY },
	{ STR_INIT("MUST_NOPEERMATCH"), TLS_LEVEL_ENCRYPT },
	{ STR_INIT("MUST"), TLS_LEVEL_VERIFY },
};

static bool keyword_parse(struct str value, enum tls_level *level)
{
	for (size_t i = 0; i < ARRAY_LEN(keywords); i++) {
		if (str_ieq_ascii(value, keywords[i].word)) {
			*level = keywords[i].level;
			return true;
		}
	}
	return false;
}

static void lint_unknown(struct lint *l, struct str value)
{
	if (policy_lint_wants(l, STR("per-site-unknown-keyword")))
		policy_lint_say(l,
				(struct lint_words){
					CONF_ERROR,
					STR("per-site-unknown-keyword"),
					arena_fmt(l->arena,
						  "\"" STR_FMT
						  "\" is no keyword: mail that meets this entry is "
						  "deferred (4.7.5)",
						  STR_ARG(str_first(value, 100))),
					STR("use NONE, MAY, MUST_NOPEERMATCH or MUST"),
				});
}

/* MAY is a wish and never lowers; the others count instead of the global level. */
static void lint_against_global(struct lint *l, enum tls_level level)
{
	struct str global = tls_level_name(l->site->global);
	struct str key = lint_entry(l)->key;

	if (!policy_lint_is_weaker(level, l->site->global))
		return;
	if (level == TLS_LEVEL_MAY) {
		if (policy_lint_wants(l, STR("entry-without-effect")))
			policy_lint_say(l, (struct lint_words){
						   CONF_NOTE, STR("entry-without-effect"),
						   arena_fmt(l->arena,
							     "key " STR_FMT
							     ": MAY never lowers the global level "
							     "" STR_FMT,
							     STR_ARG(key), STR_ARG(global)),
						   STR("remove the entry") });
		return;
	}
	if (policy_lint_wants(l, STR("entry-weaker-than-global")))
		policy_lint_say(
			l, (struct lint_words){
				   CONF_NOTE, STR("entry-weaker-than-global"),
				   arena_fmt(l->arena,
					     "key " STR_FMT " lowers the global level " STR_FMT
					     " to " STR_FMT,
					     STR_ARG(key), STR_ARG(global),
					     STR_ARG(tls_level_name(level))),
				   STR("remove the entry, unless it is meant as an exception") });
}

static void lint_value(struct lint *l)
{
	enum tls_level level;

	if (keyword_parse(lint_entry(l)->value, &level))
		lint_against_global(l, level);
	else
		lint_unknown(l, lint_entry(l)->value);
}

static void lint_bare_key(struct lint *l)
{
	struct str key = lint_entry(l)->key, nexthop = STR_NONE;
	struct str sibling = policy_lint_sibling(l, key);
	bool is_own = policy_lint_is_own(l->site->routes, key, &nexthop);
	bool is_unlisted = policy_lint_is_unlisted(l->site->routes);
	struct str why = STR("DNS alone says which mail reaches that host");
	struct lint_words w = {
		CONF_WARNING, STR("key-bare-host"), STR_NONE,
		STR("use the next-hop of that mail as the key, with brackets and port")
	};

	if (sibling.n > 0) {
		w.text = arena_fmt(l->arena,
				   "key " STR_FMT
				   " is a bare host name: it matches the server behind " STR_FMT
				   " and every MX record that names it; " STR_FMT,
				   STR_ARG(key), STR_ARG(sibling), STR_ARG(why));
		w.remedy = arena_fmt(l->arena, "use " STR_FMT " as the key", STR_ARG(sibling));
	} else if (!is_unlisted && (!is_own || domain_is_address_literal(key))) {
		w.text = arena_fmt(l->arena,
				   "key " STR_FMT
				   " is no next-hop of this configuration: it matches only as "
				   "the name of a server; " STR_FMT,
				   STR_ARG(key), STR_ARG(why));
	} else if (policy_lint_looks_like_server(key)) {
		w.text = arena_fmt(l->arena,
				   "key " STR_FMT
				   " looks like a bare host name: unless it is a recipient "
				   "domain, it matches only as the name of a server; " STR_FMT,
				   STR_ARG(key), STR_ARG(why));
	} else {
		return;
	}
	if (policy_lint_wants(l, w.code))
		policy_lint_say(l, w);
}

static void lint_syntax(struct lint *l)
{
	if (policy_lint_wants(l, STR("key-syntax")))
		policy_lint_say(l,
				(struct lint_words){
					CONF_WARNING, STR("key-syntax"),
					arena_fmt(l->arena,
						  "key " STR_FMT " never matches: it is neither a "
						  "next-hop nor a host name",
						  STR_ARG(lint_entry(l)->key)),
					STR("write domain, domain:port, [host] or [host]:port") });
}

static void lint_key(struct lint *l)
{
	struct str key = lint_entry(l)->key;
	struct nexthop n;

	if (policy_lint_again(l) || policy_lint_impossible(l, false) ||
	    policy_lint_is_produced(l, key))
		return;
	if (nexthop_parse(key, 25, true, &n) == NEXTHOP_BAD_SYNTAX)
		lint_syntax(l);
	else if (policy_lint_is_route_key(key, &n))
		(void)policy_lint_route_key(l, &n);
	else
		lint_bare_key(l);
}

struct policy_lint_findings policy_lint_per_site(struct arena *a,
						 const struct policy_lint_entry *entries, size_t n,
						 const struct policy_lint_site *site)
{
	struct lint l;

	policy_lint_init(&l, a, conf_name(CONF_smtp_tls_per_site), entries, n, site);
	for (l.at = 0; l.at < n; l.at++) {
		lint_value(&l);
		lint_key(&l);
	}
	return policy_lint_end(&l);
}
