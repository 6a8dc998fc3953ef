/* What the entries of smtp_tls_per_site come to as entries for next-hops alone. */

#include <stdlib.h>

#include "cmd/convert_inside.h"
#include "cmd/routes.h"
#include "mail/nexthop.h"
#include "policy/lint.h"

enum { CONVERT_EXAMPLES = 20 }; /* keys that are named one by one */

void convert_strs_add(struct convert_strs *s, struct str text)
{
	if (s->n == s->room) {
		s->room = s->room ? s->room * 2 : 16;
		s->v = base_realloc(s->v, s->room * sizeof(*s->v));
	}
	s->v[s->n++] = text;
}

void convert_note(struct convert *c, const char *code, struct str text, struct str remedy)
{
	if (c->n_notes == c->notes_room) {
		c->notes_room = c->notes_room ? c->notes_room * 2 : 16;
		c->notes = base_realloc(c->notes, c->notes_room * sizeof(*c->notes));
	}
	c->notes[c->n_notes++] = (struct convert_note){ str_of(code), text, remedy };
}

struct str convert_fixed_host(struct str nexthop)
{
	struct nexthop n;

	if (nexthop_parse(nexthop, 25, true, &n) == NEXTHOP_BAD_SYNTAX)
		return STR_NONE;
	return n.is_bracketed || n.is_address ? n.domain : STR_NONE;
}

static bool is_utf8_ok(const struct convert *c)
{
	return conf_bool(c->before.site.conf, CONF_smtputf8_enable);
}

static struct answer look(struct convert *c, struct str key)
{
	return cmd_decider_look(&c->before, c->arena, CONF_smtp_tls_per_site, key);
}

/* The value that an entry for the next-hop needs when its server is `host`. */
static struct str value_for(struct convert *c, struct str nexthop, struct str host)
{
	struct answer n = look(c, nexthop), h;

	if (str_ieq_ascii(nexthop, host))
		return policy_convert(c->before.site.deliver.smtp.policy, &n, NULL);
	h = look(c, host);
	return policy_convert(c->before.site.deliver.smtp.policy, &n, &h);
}

static void add_entry(struct convert *c, struct str key, struct str value, struct str why)
{
	if (c->n_entries == c->entries_room) {
		c->entries_room = c->entries_room ? c->entries_room * 2 : 256;
		c->entries = base_realloc(c->entries, c->entries_room * sizeof(*c->entries));
	}
	map_put(&c->known, arena_lower(c->arena, key), (uint32_t)c->n_entries);
	c->entries[c->n_entries++] = (struct convert_entry){ key, value, why };
}

/* A next-hop of several uses gets what demands most. One without entry has the global level, and
 * an entry that repeats it only where a use brings it along. */
static void add_or_raise(struct convert *c, struct str key, struct str value, struct str why)
{
	const struct policy_config *cfg = c->before.site.deliver.smtp.policy;
	struct str stored = arena_lower(c->arena, key); /* two spellings are one key of a table */
	bool is_plain = map_has(&c->plain, stored);
	uint32_t at;

	if (map_get(&c->known, stored, &at)) {
		struct convert_entry *e = &c->entries[at];
		if (str_eq(policy_convert_stronger(cfg, e->value, value), e->value))
			return;
		e->value = value.n > 0 ? value : policy_global_level(cfg);
		e->why = why;
	} else if (!is_plain || policy_convert_stronger(cfg, STR(""), value).n > 0) {
		add_entry(c, key, value.n > 0 ? value : policy_global_level(cfg), why);
	}
}

/* ---- which tables ---- */

struct collect_tables {
	struct convert *c;
	struct map seen;
};

static void collect_key(void *arg, const struct table_entry *e)
{
	struct collect_tables *t = arg;

	if (map_has(&t->seen, e->key))
		return;
	struct str key = arena_str(t->c->arena, e->key);
	map_put(&t->seen, key, 0);
	convert_strs_add(&t->c->keys, key);
}

static struct str type_of(struct str source)
{
	struct str type, body;

	if (str_has_prefix(source, STR("proxy:")))
		source = str_from(source, 6);
	return str_cut(source, ':', &type, &body) ? type : STR("");
}

static void impossible(struct convert *c, struct str text, const char *remedy)
{
	c->is_impossible = true;
	convert_note(c, "table", text, str_of(remedy));
}

/* A table that has no keys to list. True: no table after it is ever asked. */
static bool collect_unlisted(struct convert *c, struct str source, struct table_set *set)
{
	struct str type = type_of(source);
	struct table_query q = { .arena = c->arena, .key = CMD_NEUTRAL_NEXTHOP };
	struct answer answer;

	if (str_eq(type, STR("static")) && !table_set_lookup(set, &q, &answer)) {
		struct str value =
			policy_convert(c->before.site.deliver.smtp.policy, &answer, &answer);
		c->tail = arena_fmt(c->arena, "static:" STR_FMT, STR_ARG(value));
		return true;
	}
	if (str_eq(type, STR("fail"))) {
		c->tail = arena_str(c->arena, source);
		return true;
	}
	if (str_eq(type, STR("regexp")) || str_eq(type, STR("pcre")) || str_eq(type, STR("cidr")))
		impossible(c,
			   arena_fmt(c->arena,
				     STR_FMT
				     ": its patterns are held against the names of servers, "
				     "which no policy table does, and a policy table would hold "
				     "them against parent domains, which this one does not",
				     STR_ARG(source)),
			   "write the next-hops that the patterns are for as keys of a text table");
	else
		impossible(c,
			   arena_fmt(c->arena,
				     STR_FMT
				     ": it cannot be used, or cannot list its keys, so that "
				     "nobody knows what to convert",
				     STR_ARG(source)),
			   "write its entries into a text table, texthash:FILE");
	return false;
}

static void collect_tables(struct convert *c)
{
	struct str list = conf_str(c->before.site.conf, CONF_smtp_tls_per_site), source;
	struct table_options o = { .is_utf8 = is_utf8_ok(c), .loop = c->before.site.deliver.loop };
	struct collect_tables t = { .c = c };
	bool is_end = false;

	map_init(&t.seen);
	while (!is_end && str_token_braced(&list, STR(", \t\r\n"), &source)) {
		struct table_set *set =
			table_set_new(conf_name(CONF_smtp_tls_per_site), source, &o, 0);
		if (!table_set_each(set, collect_key, &t))
			is_end = collect_unlisted(c, source, set);
		table_set_free(set);
	}
	map_fini(&t.seen);
}

/* A table of a file that cannot be read fails every lookup: nothing is known, nothing converted. */
static void check_tables(struct convert *c)
{
	struct answer answer = look(c, CMD_NEUTRAL_NEXTHOP);

	if (answer.status == ANSWER_FAILED && !str_has_prefix(c->tail, STR("fail:")))
		impossible(c,
			   arena_fmt(c->arena, "lookups fail: " STR_FMT, STR_ARG(answer.failure)),
			   "repair the table first");
}

/* ---- keys ---- */

static struct str why_invalid(struct convert *c, struct str key, struct str host)
{
	struct answer n = look(c, key);
	struct answer worse = str_eq(policy_per_site_class(&n), STR("unknown keyword")) ||
					      n.status == ANSWER_FAILED
				      ? n
				      : look(c, host);

	if (worse.status == ANSWER_FAILED)
		return arena_fmt(c->arena, "mail waits, as before: the lookup failed (" STR_FMT ")",
				 STR_ARG(worse.failure));
	return arena_fmt(c->arena,
			 "mail waits, as before: \"" STR_FMT "\" is no keyword of the old table",
			 STR_ARG(worse.value));
}

static void convert_nexthop(struct convert *c, struct str key, struct str why)
{
	struct str fixed = convert_fixed_host(key);
	struct str host = fixed.n > 0 ? fixed : CMD_NEUTRAL_HOST;
	struct str value = value_for(c, key, host);

	if (str_eq(value, POLICY_CONVERTED_INVALID))
		why = why_invalid(c, key, host);
	if (value.n > 0)
		add_or_raise(c, key, value, why);
	else
		map_put(&c->plain, arena_lower(c->arena, key), 0);
}

/* user@[192.0.2.1] makes a next-hop of its own, without any table. */
static void convert_address(struct convert *c, struct str key)
{
	const char *prefix = str_contains(key, ':') ? "ipv6:" : "";
	struct str why =
		arena_fmt(c->arena, "the server of address literals: it had an entry as " STR_FMT,
			  STR_ARG(key));

	convert_nexthop(c, arena_fmt(c->arena, "[%s" STR_FMT "]", prefix, STR_ARG(key)), why);
}

static void convert_keys(struct convert *c)
{
	struct str dead[CONVERT_EXAMPLES], names = STR("");
	size_t n_dead = 0;

	for (size_t i = 0; i < c->keys.n; i++) {
		struct str key = c->keys.v[i];
		bool is_host = cmd_key_is_host(key, is_utf8_ok(c));
		bool is_nexthop = cmd_key_is_nexthop(key, is_utf8_ok(c));
		bool is_found = look(c, key).status != ANSWER_NONE;

		if (is_found && is_nexthop)
			convert_nexthop(c, key, STR(""));
		if (is_found && domain_is_address_literal(key))
			convert_address(c, key);
		if ((!is_host && !is_nexthop) || !is_found) {
			if (n_dead < CONVERT_EXAMPLES)
				dead[n_dead] = key;
			n_dead++;
		}
	}
	for (size_t i = 0; i < n_dead && i < CONVERT_EXAMPLES; i++)
		names = arena_fmt(c->arena, STR_FMT "%s" STR_FMT, STR_ARG(names), i ? ", " : "",
				  STR_ARG(dead[i]));
	if (n_dead > 0)
		convert_note(
			c, "dead-key",
			arena_fmt(c->arena,
				  "left out, for no lookup can make them (and in a policy table a "
				  "leading dot would mean all domains below): %zu keys, " STR_FMT
				  "%s",
				  n_dead, STR_ARG(names), n_dead > CONVERT_EXAMPLES ? " ..." : ""),
			STR(""));
}

/* ---- next-hops of the routing ---- */

static void convert_routing(struct convert *c, const struct tables *tables)
{
	struct cmd_routes r;

	cmd_routes_init(&r, c->before.site.conf,
			tables_find(tables, conf_name(CONF_transport_maps)));
	for (size_t i = 0; i < r.n; i++) {
		struct str key = arena_str(c->arena, cmd_route_key(r.nexthops[i]));
		struct str host = convert_fixed_host(key);
		if (host.n > 0)
			map_put(&c->served, arena_lower(c->arena, host), 0);
		if (host.n > 0 && !map_has(&c->known, arena_lower(c->arena, key)))
			convert_nexthop(c, key,
					arena_fmt(c->arena, "its server had an entry as " STR_FMT,
						  STR_ARG(host)));
	}
	c->has_unlisted = r.has_unlisted;
	if (r.has_unlisted)
		convert_note(
			c, "transport-unlisted",
			STR("transport_maps has tables that cannot list their next-hops: those "
			    "with brackets or ports that only they name got no entries"),
			STR("look at their next-hops against the keys of the new table"));
	cmd_routes_fini(&r);
}

/* ---- next-hops whose server DNS names ---- */

static void add_route(struct convert *c, struct convert_route r)
{
	if (c->n_routes == c->routes_room) {
		c->routes_room = c->routes_room ? c->routes_room * 2 : 16;
		c->routes = base_realloc(c->routes, c->routes_room * sizeof(*c->routes));
	}
	c->routes[c->n_routes++] = r;
	add_or_raise(c, r.nexthop, value_for(c, r.before, r.host),
		     arena_fmt(c->arena, "of " STR_FMT ", by " CONVERT_TRANSPORT, STR_ARG(r.key)));
}

static struct str bracketed(struct convert *c, struct str host, unsigned port)
{
	return arena_fmt(c->arena, "[" STR_FMT "]:%u", STR_ARG(host), port);
}

static bool has_route(const struct convert *c, struct str key)
{
	for (size_t i = 0; i < c->n_routes; i++)
		if (str_ieq_ascii(c->routes[i].key, key))
			return true;
	return false;
}

/* "smtp:mx.example.com:587" with an entry for mx.example.com: as next-hop it has none, so that the
 * entry holds as long as DNS names that server. With brackets it always does. */
static void close_transport(void *arg, const struct table_entry *e)
{
	struct convert *c = arg;
	struct str transport, rest;
	struct nexthop n;

	if (!str_cut(e->value, ':', &transport, &rest) ||
	    nexthop_parse(str_trim(rest), 25, is_utf8_ok(c), &n) != NEXTHOP_OK || n.is_bracketed ||
	    n.is_address || n.service.n == 0 || has_route(c, e->key))
		return;
	if (str_eq(value_for(c, n.text, n.domain), value_for(c, n.text, CMD_NEUTRAL_HOST)))
		return;
	struct str host = arena_str(c->arena, n.domain);
	struct str nexthop = bracketed(c, host, n.port);
	add_route(c, (struct convert_route){
			     .key = arena_str(c->arena, e->key),
			     .value = arena_fmt(c->arena, STR_FMT ":" STR_FMT, STR_ARG(transport),
						STR_ARG(nexthop)),
			     .before = arena_str(c->arena, n.text),
			     .nexthop = nexthop,
			     .host = host,
		     });
}

static void close_mx(struct convert *c, const struct convert_mx *mx)
{
	struct answer there =
		cmd_decider_look(&c->before, c->arena, CONF_transport_maps, mx->domain);
	struct str nexthop = bracketed(c, mx->host, mx->port);

	if (has_route(c, mx->domain)) {
		convert_note(c, "mx-again",
			     arena_fmt(c->arena,
				       "--mx " STR_FMT "=" STR_FMT
				       ": the domain has a route already",
				       STR_ARG(mx->domain), STR_ARG(mx->host)),
			     STR("name one server for each domain"));
		return;
	}
	if (there.status != ANSWER_NONE) {
		convert_note(c, "mx-routed",
			     arena_fmt(c->arena,
				       "--mx " STR_FMT "=" STR_FMT
				       ": transport_maps sends this domain to " STR_FMT
				       " already, and stays as it is",
				       STR_ARG(mx->domain), STR_ARG(mx->host),
				       STR_ARG(there.value)),
			     STR("write the server with brackets there"));
		return;
	}
	add_route(c, (struct convert_route){
			     .key = mx->domain,
			     .value = arena_fmt(c->arena, "smtp:" STR_FMT, STR_ARG(nexthop)),
			     .before = mx->domain,
			     .nexthop = nexthop,
			     .host = mx->host,
		     });
}

/* Its mail goes by brackets: now, or from now on. */
static bool is_closed(const struct convert *c, struct str host)
{
	if (map_has(&c->served, host))
		return true;
	for (size_t i = 0; i < c->n_routes; i++)
		if (str_ieq_ascii(c->routes[i].host, host))
			return true;
	return false;
}

static void note_server(struct convert *c, struct str key)
{
	convert_note(
		c, "server-entry",
		arena_fmt(
			c->arena,
			STR_FMT
			" " STR_FMT
			": held for the mail of any domain, as long as its MX record named this "
			"server. A policy table is asked for the next-hop alone, and no answer of "
			"DNS may choose the policy: this cannot be expressed",
			STR_ARG(key), STR_ARG(look(c, key).value)),
		arena_fmt(c->arena,
			  "name the domains whose mail goes there, and a transport entry with "
			  "brackets does the same: --mx DOMAIN=" STR_FMT,
			  STR_ARG(key)));
}

/* The keys that were also asked with the names of servers. */
static void note_servers(struct convert *c)
{
	struct str neutral = value_for(c, CMD_NEUTRAL_NEXTHOP, CMD_NEUTRAL_HOST);
	size_t n = 0, named = 0;

	for (size_t i = 0; i < c->keys.n; i++) {
		struct str key = c->keys.v[i];
		if (!cmd_key_is_host(key, is_utf8_ok(c)) ||
		    str_eq(value_for(c, CMD_NEUTRAL_NEXTHOP, key), neutral))
			continue;
		n++;
		if (policy_lint_looks_like_server(key) && !is_closed(c, key) &&
		    named++ < CONVERT_EXAMPLES)
			note_server(c, key);
	}
	if (n > named || named > CONVERT_EXAMPLES)
		convert_note(
			c, "server-entries",
			arena_fmt(
				c->arena,
				"keys that are names without brackets: %zu. As next-hops they are "
				"converted; that they also held for any mail whose server DNS "
				"gave that name cannot be expressed",
				n),
			STR("if one of them is a server: --mx DOMAIN=SERVER"));
}

static void note_setting(struct convert *c, enum conf_id id, struct str nexthop)
{
	struct nexthop n;

	if (nexthop_parse(nexthop, 25, is_utf8_ok(c), &n) != NEXTHOP_OK || n.is_bracketed ||
	    n.is_address ||
	    str_eq(value_for(c, n.text, n.domain), value_for(c, n.text, CMD_NEUTRAL_HOST)))
		return;
	struct str to = bracketed(c, n.domain, n.port);
	add_or_raise(c, to, value_for(c, n.text, n.domain),
		     arena_fmt(c->arena, "for " STR_FMT " with brackets", STR_ARG(conf_name(id))));
	convert_note(c, "route-without-brackets",
		     arena_fmt(c->arena,
			       STR_FMT
			       ": " STR_FMT
			       " has no brackets, so that DNS says whether its server is " STR_FMT
			       ", which has an entry",
			       STR_ARG(conf_name(id)), STR_ARG(nexthop), STR_ARG(n.domain)),
		     arena_fmt(c->arena, "write " STR_FMT "; the new table has an entry for it",
			       STR_ARG(to)));
}

static void note_settings(struct convert *c)
{
	static const enum conf_id ids[] = { CONF_relayhost, CONF_default_transport,
					    CONF_relay_transport };
	struct str transport, nexthop;

	for (size_t i = 0; i < ARRAY_LEN(ids); i++) {
		nexthop = conf_str(c->before.site.conf, ids[i]);
		if (ids[i] != CONF_relayhost && !str_cut(nexthop, ':', &transport, &nexthop))
			continue;
		note_setting(c, ids[i], str_trim(nexthop));
	}
}

/* ---- what the new routes leave as it is ---- */

static void keep(struct convert *c, struct str nexthops)
{
	const struct str *each;
	size_t n = route_nexthops(c->arena, nexthops, &each);

	for (size_t i = 0; i < n; i++)
		map_put(&c->kept, arena_lower(c->arena, each[i]), 0);
}

static void keep_transport(void *arg, const struct table_entry *e)
{
	struct convert *c = arg;
	struct str transport, nexthop;

	if (!has_route(c, e->key) && str_cut(e->value, ':', &transport, &nexthop))
		keep(c, nexthop);
}

static void keep_settings(struct convert *c)
{
	const struct conf *conf = c->before.site.conf;
	struct str transport, nexthop;

	keep(c, conf_str(conf, CONF_relayhost));
	if (str_cut(conf_str(conf, CONF_default_transport), ':', &transport, &nexthop))
		keep(c, nexthop);
	if (str_cut(conf_str(conf, CONF_relay_transport), ':', &transport, &nexthop))
		keep(c, nexthop);
}

void convert_collect(struct convert *c)
{
	const struct tables *tables = c->before.site.tables;

	collect_tables(c);
	check_tables(c);
	if (c->is_impossible)
		return;
	convert_keys(c);
	convert_routing(c, tables);
	for (size_t i = 0; i < c->n_mx; i++)
		close_mx(c, &c->mx[i]);
	table_set_each(tables_find(tables, conf_name(CONF_transport_maps)), close_transport, c);
	table_set_each(tables_find(tables, conf_name(CONF_transport_maps)), keep_transport, c);
	keep_settings(c);
	note_settings(c);
	note_servers(c);
}
