#include "policy/lint.h"

#include "mail/domain.h"
#include "mail/nexthop.h"

struct lint {
	struct arena *arena;
	const struct policy_lint_routes *routes;
	struct conf_finding *found;
	size_t n;
};

struct lint_words {
	enum conf_severity severity;
	struct str code, text, remedy;
};

static void lint_add(struct lint *l, const struct policy_lint_entry *e, struct lint_words w)
{
	l->found[l->n++] = (struct conf_finding){
		.severity = w.severity,
		.code = w.code,
		.param = STR("smtp_tls_per_site"),
		.file = e->file,
		.line = e->line,
		.text = w.text,
		.remedy = w.remedy,
	};
}

static bool is_keyword(struct str value)
{
	static const struct str words[] = { STR_INIT("NONE"), STR_INIT("MAY"), STR_INIT("MUST"),
					    STR_INIT("MUST_NOPEERMATCH") };

	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if (str_ieq_ascii(value, words[i]))
			return true;
	return false;
}

static void lint_value(struct lint *l, const struct policy_lint_entry *e)
{
	if (is_keyword(e->value))
		return;
	lint_add(l, e,
		 (struct lint_words){
			 CONF_ERROR,
			 STR("per-site-unknown-keyword"),
			 arena_fmt(l->arena,
				   "\"" STR_FMT
				   "\" is no keyword: mail that meets this entry is deferred "
				   "(4.7.5)",
				   STR_ARG(e->value)),
			 STR("use NONE, MAY, MUST_NOPEERMATCH or MUST"),
		 });
}

/* Keys that no lookup can ever make. */
static bool lint_impossible(struct lint *l, const struct policy_lint_entry *e)
{
	struct lint_words w = { .severity = CONF_WARNING };
	struct str k = e->key;

	if (str_contains(k, '*') || str_has_prefix(k, STR("."))) {
		w.code = STR("key-wildcard");
		w.text = STR("never matches: this table has no wildcards and no parent domains");
		w.remedy = STR("write an entry for each next-hop");
	} else if (str_contains(k, '@')) {
		w.code = STR("key-address");
		w.text =
			STR("never matches: addresses are not looked up, only next-hops and hosts");
		w.remedy = STR("use the next-hop that the address is sent to");
	} else if (str_has_suffix(k, STR("."))) {
		w.code = STR("key-trailing-dot");
		w.text = STR("never matches: next-hops and host names have no dot at their end");
		w.remedy = STR("remove the dot");
	} else {
		return false;
	}
	w.text = arena_fmt(l->arena, "key " STR_FMT " " STR_FMT, STR_ARG(k), STR_ARG(w.text));
	lint_add(l, e, w);
	return true;
}

static bool is_produced(const struct lint *l, struct str key)
{
	for (size_t i = 0; i < l->routes->n; i++)
		if (str_ieq_ascii(l->routes->nexthops[i], key))
			return true;
	return false;
}

/* A next-hop of the routing with the same name, written another way; "" when there is none. */
static struct str lint_sibling(const struct lint *l, struct str domain)
{
	for (size_t i = 0; i < l->routes->n; i++) {
		struct nexthop n;
		enum nexthop_parse p = nexthop_parse(l->routes->nexthops[i], 25, true, &n);
		if (p != NEXTHOP_BAD_SYNTAX && str_ieq_ascii(n.domain, domain))
			return l->routes->nexthops[i];
	}
	return STR_NONE;
}

static bool is_route_key(struct str key, const struct nexthop *n)
{
	return n->is_bracketed || n->service.n > 0 || str_has_suffix(key, STR(":"));
}

/* "[host]", "host:port": only the routing can write that, so it must be there to the letter. */
static void
lint_route_key(struct lint *l, const struct policy_lint_entry *e, const struct nexthop *n)
{
	struct str sibling = lint_sibling(l, n->domain);

	if (l->routes->has_more)
		return;
	/* user@[192.0.2.1] makes the next-hop [192.0.2.1] without any table */
	if (n->is_address && n->service.n == 0 && l->routes->has_any_domain)
		return;
	lint_add(l, e,
		 (struct lint_words){
			 CONF_WARNING,
			 STR("key-no-nexthop"),
			 arena_fmt(l->arena,
				   "key " STR_FMT
				   " never matches: transport_maps, relayhost, relay_transport "
				   "and default_transport give no such next-hop",
				   STR_ARG(e->key)),
			 sibling.n > 0
				 ? arena_fmt(l->arena,
					     "mail goes to " STR_FMT ": use that as the key",
					     STR_ARG(sibling))
				 : STR("use a next-hop to the letter, brackets and port included"),
		 });
}

/* Names that operators give to mail servers; only a hint, so the text says "looks like". */
static bool looks_like_server(struct str name)
{
	static const struct str words[] = {
		STR_INIT("mx"),    STR_INIT("mail"),    STR_INIT("smtp"), STR_INIT("mta"),
		STR_INIT("relay"), STR_INIT("inbound"), STR_INIT("gw"),   STR_INIT("mailhost"),
	};
	struct str label, rest;

	if (!str_cut(name, '.', &label, &rest) || !str_contains(rest, '.'))
		return false;
	while (label.n > 0 && (ascii_is_digit(label.p[label.n - 1]) || label.p[label.n - 1] == '-'))
		label.n--;
	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if (str_ieq_ascii(label, words[i]))
			return true;
	return false;
}

static void lint_bare_key(struct lint *l, const struct policy_lint_entry *e)
{
	struct str sibling = lint_sibling(l, e->key);
	struct lint_words w = {
		CONF_WARNING, STR("key-bare-host"), STR_NONE,
		STR("use the next-hop of that mail as the key, with brackets and port")
	};
	struct str why = STR("DNS alone says which mail reaches that host");

	if (sibling.n > 0) {
		w.text = arena_fmt(l->arena,
				   "key " STR_FMT
				   " is a bare host name: it matches the server behind " STR_FMT
				   " and every MX record that names it; " STR_FMT,
				   STR_ARG(e->key), STR_ARG(sibling), STR_ARG(why));
		w.remedy = arena_fmt(l->arena, "use " STR_FMT " as the key", STR_ARG(sibling));
	} else if (!l->routes->has_more &&
		   (!l->routes->has_any_domain || domain_is_address_literal(e->key))) {
		w.text = arena_fmt(l->arena,
				   "key " STR_FMT
				   " is no next-hop of this configuration: it matches only as "
				   "the name of a server; " STR_FMT,
				   STR_ARG(e->key), STR_ARG(why));
	} else if (looks_like_server(e->key)) {
		w.text = arena_fmt(l->arena,
				   "key " STR_FMT
				   " looks like a bare host name: unless it is a recipient "
				   "domain, it matches only as the name of a server; " STR_FMT,
				   STR_ARG(e->key), STR_ARG(why));
	} else {
		return;
	}
	lint_add(l, e, w);
}

static void lint_key(struct lint *l, const struct policy_lint_entry *e)
{
	struct nexthop n;

	if (lint_impossible(l, e) || is_produced(l, e->key))
		return;
	if (nexthop_parse(e->key, 25, true, &n) == NEXTHOP_BAD_SYNTAX) {
		lint_add(l, e,
			 (struct lint_words){
				 CONF_WARNING,
				 STR("key-syntax"),
				 arena_fmt(l->arena,
					   "key " STR_FMT " never matches: it is neither a "
					   "next-hop nor a host name",
					   STR_ARG(e->key)),
				 STR("write domain, domain:port, [host] or [host]:port"),
			 });
	} else if (is_route_key(e->key, &n)) {
		lint_route_key(l, e, &n);
	} else {
		lint_bare_key(l, e);
	}
}

struct conf_findings policy_lint_per_site(struct arena *a, const struct policy_lint_entry *entries,
					  size_t n, const struct policy_lint_routes *routes)
{
	struct lint l = {
		.arena = a,
		.routes = routes,
		.found = ARENA_ARRAY(a, 2 * n + 1, struct conf_finding),
	};

	for (size_t i = 0; i < n; i++) {
		lint_value(&l, &entries[i]);
		lint_key(&l, &entries[i]);
	}
	return (struct conf_findings){ l.found, l.n };
}
