#include "cmd/convert_inside.h"

enum { REPORT_NAMES = 5 }; /* of a list, for people */

static const struct {
	const char *code, *meaning;
} explanations[] = {
	{ "server-entry", "an entry for the server's name decided; a policy table is asked for the "
			  "next-hop alone, and cannot express it" },
	{ "route-with-brackets", "the new route names the server, so that DNS has no say in the "
				 "name any more" },
	{ "same-name",
	  "a server with the next-hop's own name was not looked up a second time, as all "
	  "others are; a policy table cannot tell" },
	{ "status", "the mail waits as before; a policy table gives 4.7.5 for a failed lookup, "
		    "where the old one gave 4.3.0" },
	{ "unexplained", "nobody can tell why: do not use the new files, and report this" },
};

static struct str meaning_of(const char *code)
{
	for (size_t i = 0; i < ARRAY_LEN(explanations); i++)
		if (str_eq(str_of(explanations[i].code), str_of(code)))
			return str_of(explanations[i].meaning);
	CHECK(!"an explanation");
}

/* ---- text ---- */

static struct str shown(struct str name)
{
	return str_eq(name, CMD_NEUTRAL_NEXTHOP) || str_eq(name, CMD_NEUTRAL_HOST)
		       ? STR("any that nothing names")
		       : name;
}

static bool add_names(struct buf *out, const char *what, const struct convert_strs *names)
{
	bool fits = buf_fmt(out, "    %s: ", what);

	for (size_t i = 0; i < names->n && i < REPORT_NAMES && fits; i++)
		fits = buf_fmt(out, "%s" STR_FMT, i ? ", " : "", STR_ARG(shown(names->v[i])));
	if (names->n > REPORT_NAMES)
		fits = fits && buf_fmt(out, " and %zu more", names->n - REPORT_NAMES);
	return fits && buf_add_char(out, '\n');
}

static bool add_members(struct buf *out, const struct convert_difference *d)
{
	const char *servers = "servers";

	if (!d->nexthops)
		return add_names(out, "next-hops", &d->single_nexthops) &&
		       add_names(out, servers, &d->single_hosts);
	return buf_fmt(out, "    " STR_FMT " as next-hop, " STR_FMT " as server\n",
		       STR_ARG(d->nexthops->per_site), STR_ARG(d->hosts->per_site)) &&
	       add_names(out, "next-hops", &d->nexthops->members) &&
	       add_names(out, servers, &d->hosts->members);
}

static bool add_difference(struct buf *out, const struct convert_difference *d)
{
	return buf_fmt(out, "  " STR_FMT ", %zu: " STR_FMT " until now, " STR_FMT " then [%s]\n",
		       STR_ARG(policy_change_name(d->change)), d->n_pairs,
		       STR_ARG(tls_level_name(d->before)), STR_ARG(tls_level_name(d->after)),
		       d->explanation) &&
	       add_members(out, d);
}

static bool add_explanations(struct buf *out, const struct convert_proof *p)
{
	bool fits = true;

	for (size_t i = 0; i < ARRAY_LEN(explanations) && fits; i++) {
		bool is_used = false;
		for (size_t k = 0; k < p->n_differences; k++)
			is_used |= str_eq(str_of(p->differences[k].explanation),
					  str_of(explanations[i].code));
		if (is_used)
			fits = buf_fmt(out, "  [%s] %s\n", explanations[i].code,
				       explanations[i].meaning);
	}
	return fits;
}

static size_t count_weaker(const struct convert_proof *p)
{
	size_t n = 0;

	for (size_t i = 0; i < p->n_differences; i++)
		if (p->differences[i].change == POLICY_LOWERED ||
		    p->differences[i].change == POLICY_RELEASED)
			n += p->differences[i].n_pairs;
	return n;
}

static bool add_proof(struct buf *out, const struct convert_proof *p)
{
	bool fits =
		buf_fmt(out,
			"\nproof: %zu next-hops, %zu servers, %zu pairs that matter; %s decided "
			"under both\n  equal, %zu\n",
			p->n_nexthops, p->n_hosts, p->n_pairs,
			p->is_literal ? "each was" : "one of each class was", p->n_equal);

	for (size_t i = 0; i < p->n_differences && fits; i++)
		fits = add_difference(out, &p->differences[i]);
	return fits && add_explanations(out, p) &&
	       buf_fmt(out, "%zu pairs demand less than before; %zu have no explanation\n",
		       count_weaker(p), p->n_unexplained);
}

static bool add_written(struct buf *out, const struct convert *c, int status)
{
	bool fits = true;

	if (!c->output && status == 0)
		return buf_add(out, STR("nothing is written: --output DIR does\n"));
	if (status != 0)
		return buf_add(out, STR("nothing is written\n"));
	fits = buf_fmt(out, "written: %s/main.cf", c->output);
	if (c->has_per_site)
		fits = fits && buf_fmt(out, ", %s/" CONVERT_TABLE, c->output);
	if (c->n_routes > 0)
		fits = fits && buf_fmt(out, ", %s/" CONVERT_TRANSPORT, c->output);
	return fits && buf_add_char(out, '\n');
}

static bool add_note(struct buf *out, const struct convert_note *n)
{
	return buf_fmt(out, STR_FMT " [" STR_FMT "]\n", STR_ARG(n->text), STR_ARG(n->code)) &&
	       (n->remedy.n == 0 || buf_fmt(out, "    " STR_FMT "\n", STR_ARG(n->remedy)));
}

static bool add_summary(struct buf *out, const struct convert *c)
{
	const struct conf *conf = c->before.site.conf;
	struct str level = policy_global_level(c->before.site.deliver.smtp.policy);
	bool fits = true;

	if (c->has_per_site)
		fits = buf_fmt(out,
			       "%zu keys of smtp_tls_per_site are %zu entries of " CONVERT_TABLE
			       "%s" STR_FMT "\n",
			       c->keys.n, c->n_entries, c->tail.n > 0 ? ", and " : "",
			       STR_ARG(c->tail));
	if (conf_str(conf, CONF_smtp_tls_security_level).n == 0)
		fits = fits &&
		       buf_fmt(out, "smtp_tls_security_level is " STR_FMT "\n", STR_ARG(level));
	for (size_t i = 0; i < c->n_routes && fits; i++)
		fits = buf_fmt(out, "%s: " STR_FMT " goes by " STR_FMT "\n", CONVERT_TRANSPORT,
			       STR_ARG(c->routes[i].key), STR_ARG(c->routes[i].value));
	return fits;
}

bool convert_text(struct buf *out, const struct convert *c, const struct convert_proof *p,
		  int status)
{
	bool fits = c->is_impossible || add_summary(out, c);

	for (size_t i = 0; i < c->n_notes && fits; i++)
		fits = add_note(out, &c->notes[i]);
	return fits && (!p || add_proof(out, p)) && add_written(out, c, status);
}

/* ---- JSON ---- */

static void put_or_null(struct json *j, const char *key, struct str s)
{
	json_key(j, key);
	json_str_or_null(j, s.n > 0 ? s : STR_NONE);
}

static void put_strs(struct json *j, const char *key, const struct convert_strs *s)
{
	json_key(j, key);
	json_array(j);
	for (size_t i = 0; i < s->n; i++)
		json_str(j, s->v[i]);
	json_array_end(j);
}

static void put_entries(struct json *j, const struct convert *c)
{
	json_key(j, "entries");
	json_array(j);
	for (size_t i = 0; i < c->n_entries; i++) {
		json_object(j);
		json_put_str(j, "key", c->entries[i].key);
		json_put_str(j, "value", c->entries[i].value);
		put_or_null(j, "comment", c->entries[i].why);
		json_object_end(j);
	}
	json_array_end(j);
}

static void put_routes(struct json *j, const struct convert *c)
{
	json_key(j, "routes");
	json_array(j);
	for (size_t i = 0; i < c->n_routes; i++) {
		json_object(j);
		json_put_str(j, "key", c->routes[i].key);
		json_put_str(j, "value", c->routes[i].value);
		json_put_str(j, "before", c->routes[i].before);
		json_object_end(j);
	}
	json_array_end(j);
}

static void put_notes(struct json *j, const struct convert *c)
{
	json_key(j, "notes");
	json_array(j);
	for (size_t i = 0; i < c->n_notes; i++) {
		json_object(j);
		json_put_str(j, "code", c->notes[i].code);
		json_put_str(j, "text", c->notes[i].text);
		put_or_null(j, "remedy", c->notes[i].remedy);
		json_object_end(j);
	}
	json_array_end(j);
}

static void put_difference(struct json *j, const struct convert_difference *d)
{
	bool is_product = d->nexthops != NULL;

	json_object(j);
	json_put_str(j, "change", policy_change_name(d->change));
	json_key(j, "aspects");
	json_array(j);
	for (int i = 0; i < POLICY_ASPECT_COUNT; i++)
		if (d->aspects & (1u << i))
			json_str(j, policy_aspect_name((enum policy_aspect)i));
	json_array_end(j);
	json_put_str(j, "before", tls_level_name(d->before));
	json_put_str(j, "after", tls_level_name(d->after));
	json_put_str(j, "explanation", str_of(d->explanation));
	json_put_str(j, "text", meaning_of(d->explanation));
	json_put_int(j, "pairs", (int64_t)d->n_pairs);
	json_put_bool(j, "product", is_product);
	put_strs(j, "nexthops", is_product ? &d->nexthops->members : &d->single_nexthops);
	put_strs(j, "hosts", is_product ? &d->hosts->members : &d->single_hosts);
	json_object_end(j);
}

static void put_proof(struct json *j, const struct convert_proof *p)
{
	json_key(j, "proof");
	if (!p) {
		json_null(j);
		return;
	}
	json_object(j);
	json_put_bool(j, "every_pair", p->is_literal);
	json_put_int(j, "nexthops", (int64_t)p->n_nexthops);
	json_put_int(j, "hosts", (int64_t)p->n_hosts);
	json_put_int(j, "pairs", (int64_t)p->n_pairs);
	json_put_int(j, "decided", (int64_t)p->n_decided);
	json_put_int(j, "equal", (int64_t)p->n_equal);
	json_put_int(j, "unexplained", (int64_t)p->n_unexplained);
	json_key(j, "differences");
	json_array(j);
	for (size_t i = 0; i < p->n_differences; i++)
		put_difference(j, &p->differences[i]);
	json_array_end(j);
	json_object_end(j);
}

bool convert_json(struct buf *out, const struct convert *c, const struct convert_proof *p,
		  int status)
{
	struct json j;

	json_init(&j, out, true);
	json_object(&j);
	json_put_str(&j, "schema", STR("hopseal.convert"));
	json_put_int(&j, "version", 1);
	json_put_str(&j, "directory", str_of(cmd_config_dir(&c->sources)));
	json_key(&j, "output");
	json_str_or_null(&j, status == 0 ? str_of(c->output) : STR_NONE);
	json_put_str(&j, "security_level", policy_global_level(c->before.site.deliver.smtp.policy));
	put_or_null(&j, "tail", c->tail);
	put_entries(&j, c);
	put_routes(&j, c);
	put_notes(&j, c);
	put_proof(&j, p);
	json_put_int(&j, "exit", status);
	json_object_end(&j);
	return json_end(&j);
}
