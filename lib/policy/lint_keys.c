/* Forms of keys that are never looked up, in any policy table. */

#include "policy/lint_inside.h"

static void say_key(struct lint *l, struct str code, struct str never, struct str remedy)
{
	if (!policy_lint_wants(l, code))
		return;
	policy_lint_say(l, (struct lint_words){
				   CONF_WARNING,
				   code,
				   arena_fmt(l->arena, "key " STR_FMT " never matches: " STR_FMT,
					     STR_ARG(lint_entry(l)->key), STR_ARG(never)),
				   remedy,
			   });
}

static void say_star(struct lint *l, struct str key, bool has_parents)
{
	struct str never = STR("this table has no wildcards and no parent domains");
	struct str remedy = STR("write an entry for each next-hop");

	if (has_parents)
		never = STR("this table has no wildcards");
	if (has_parents && str_eq(key, STR("*")))
		remedy = STR("for mail without an entry set smtp_tls_security_level");
	else if (has_parents && str_has_prefix(key, STR("*.")) &&
		 domain_is_hostname(str_from(key, 2)))
		remedy = arena_fmt(l->arena, "write " STR_FMT, STR_ARG(str_from(key, 1)));
	say_key(l, STR("key-wildcard"), never, remedy);
}

static bool has_upper(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] >= 'A' && s.p[i] <= 'Z')
			return true;
	return false;
}

/* The key in A-labels; "" when it has none. */
static struct str to_a_labels(struct lint *l, struct str key)
{
	bool is_parent = str_has_prefix(key, STR("."));
	struct str name;

	if (!domain_to_ascii(l->arena, str_from(key, is_parent), &name))
		return STR("");
	return is_parent ? arena_fmt(l->arena, "." STR_FMT, STR_ARG(name)) : name;
}

static void say_not_ascii(struct lint *l, struct str key)
{
	struct str name = to_a_labels(l, key);

	say_key(l, STR("key-not-ascii"),
		STR("with smtputf8_enable = no domains consist of A-labels"),
		name.n ? arena_fmt(l->arena, "write " STR_FMT, STR_ARG(name))
		       : STR("write the domain in A-labels"));
}

/* Letters beyond ASCII are met by addresses that are written so, and no others. */
static void lint_u_label(struct lint *l, struct str key)
{
	struct str name = to_a_labels(l, key);

	if (!name.n || map_has(&l->keys, name) || !policy_lint_wants(l, STR("key-u-label")))
		return;
	policy_lint_say(
		l, (struct lint_words){
			   CONF_WARNING,
			   STR("key-u-label"),
			   arena_fmt(l->arena,
				     "key " STR_FMT
				     " matches only where an address is written in these letters, "
				     "and not as " STR_FMT,
				     STR_ARG(key), STR_ARG(name)),
			   arena_fmt(l->arena, "write an entry for " STR_FMT " as well",
				     STR_ARG(name)),
		   });
}

bool policy_lint_impossible(struct lint *l, bool has_parents)
{
	struct str k = lint_entry(l)->key;
	bool is_ascii = domain_is_ascii(k);

	if (str_contains(k, '*') || (!has_parents && str_has_prefix(k, STR("."))))
		say_star(l, k, has_parents);
	else if (str_contains(k, '@'))
		say_key(l, STR("key-address"),
			STR("addresses are not looked up, only next-hops and hosts"),
			STR("use the next-hop that the address is sent to"));
	else if (str_has_suffix(k, STR(".")))
		say_key(l, STR("key-trailing-dot"),
			STR("next-hops and host names have no dot at their end"),
			STR("remove the dot"));
	else if (has_upper(k))
		say_key(l, STR("key-upper-case"),
			STR("it is looked up in lower case, and stored in upper case"),
			STR("make the table again without folding switched off (postmap -f)"));
	else if (!is_ascii && !l->site->is_utf8)
		say_not_ascii(l, k);
	else {
		if (!is_ascii)
			lint_u_label(l, k);
		return false;
	}
	return true;
}

bool policy_lint_again(struct lint *l)
{
	const struct policy_lint_entry *e = lint_entry(l), *first;
	uint32_t at;

	if (!map_get(&l->keys, e->key, &at) || at == l->at)
		return false;
	first = &l->entries[at];
	if (!policy_lint_wants(l, STR("key-duplicate")))
		return true;
	struct str where = first->file.n ? first->file : first->source;
	policy_lint_say(l, (struct lint_words){
				   CONF_WARNING,
				   STR("key-duplicate"),
				   first->line
					   ? arena_fmt(l->arena,
						       "key " STR_FMT " has no effect: " STR_FMT
						       ":%u has it too, and is asked first",
						       STR_ARG(e->key), STR_ARG(where), first->line)
					   : arena_fmt(l->arena,
						       "key " STR_FMT " has no effect: " STR_FMT
						       " has it too, and is asked first",
						       STR_ARG(e->key), STR_ARG(where)),
				   STR("take one of the two away"),
			   });
	return true;
}

bool policy_lint_is_route_key(struct str key, const struct nexthop *n)
{
	return n->is_bracketed || n->service.n > 0 || str_has_suffix(key, STR(":"));
}

static struct str route_key_remedy(struct lint *l, const struct nexthop *n)
{
	struct str sibling = policy_lint_sibling(l, n->domain);

	if (!sibling.n)
		return STR("use a next-hop to the letter, brackets and port included");
	return arena_fmt(l->arena, "mail goes to " STR_FMT ": use that as the key",
			 STR_ARG(sibling));
}

/* Only the routing can write that, so it must be there to the letter. */
bool policy_lint_route_key(struct lint *l, const struct nexthop *n)
{
	struct str nexthop;

	if (policy_lint_is_unlisted(l->site->routes))
		return true;
	/* user@[192.0.2.1] makes the next-hop [192.0.2.1] without any table */
	if (n->is_address && n->service.n == 0 && n->is_bracketed &&
	    policy_lint_is_own(l->site->routes, lint_entry(l)->key, &nexthop))
		return true;
	if (policy_lint_wants(l, STR("key-no-nexthop")))
		policy_lint_say(
			l, (struct lint_words){
				   CONF_WARNING,
				   STR("key-no-nexthop"),
				   arena_fmt(l->arena,
					     "key " STR_FMT
					     " never matches: transport_maps, relayhost, "
					     "relay_transport and default_transport give no such "
					     "next-hop",
					     STR_ARG(lint_entry(l)->key)),
				   route_key_remedy(l, n),
			   });
	return false;
}

bool policy_lint_looks_like_server(struct str name)
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
