#include "cmd/explain_diff.h"

#define DIFF_FLUSH (64 * 1024) /* octets that are kept before they are printed */

static bool diff_flush(struct diff *x)
{
	bool is_printed = cmd_print(buf_str(&x->out));

	buf_reset(&x->out);
	return is_printed;
}

static bool diff_flush_full(struct diff *x)
{
	return buf_len(&x->out) < DIFF_FLUSH || diff_flush(x);
}

/* ---- text ---- */

static const struct {
	enum policy_change change;
	const char *meaning;
} groups[] = {
	{ POLICY_LOWERED, "less is demanded then" },
	{ POLICY_RELEASED, "mail waits now, and goes then" },
	{ POLICY_CHANGED, "something else is demanded, neither more nor less" },
	{ POLICY_REFUSED, "mail goes now, and waits then" },
	{ POLICY_RAISED, "more is demanded then" },
};

static bool add_place(struct buf *out, const struct trace_step *s)
{
	if (s->file.n > 0 && s->line > 0)
		return buf_fmt(out, " (" STR_FMT ":%u)", STR_ARG(s->file), s->line);
	if (s->file.n > 0 || s->source.n > 0)
		return buf_fmt(out, " (" STR_FMT ")", STR_ARG(s->file.n > 0 ? s->file : s->source));
	return true;
}

/* The line that decided: an entry, a setting, or what there is instead. */
static bool add_decider(struct buf *out, const struct policy_decision *d)
{
	const struct trace_step *s = &d->trace[d->deciding];

	if (d->deciding >= d->n_trace)
		return true;
	if (s->kind != TRACE_QUESTION || s->answer != ANSWER_FOUND)
		return buf_add(out, STR(", ")) && trace_text_add(out, s) && add_place(out, s);
	return buf_fmt(out, ", " STR_FMT " " STR_FMT, STR_ARG(s->key), STR_ARG(s->value)) &&
	       add_place(out, s);
}

static bool add_strs(struct buf *out, const struct str *v, size_t n)
{
	bool fits = n > 0 || buf_add(out, STR("none"));

	for (size_t i = 0; i < n && fits; i++)
		fits = buf_fmt(out, "%s" STR_FMT, i ? ", " : "", STR_ARG(v[i]));
	return fits;
}

static bool add_text(struct buf *out, struct str text)
{
	return buf_add(out, text.n > 0 ? text : STR("none"));
}

static bool
add_trust(struct buf *out, const struct diff *x, int side, const struct policy_decision *d)
{
	const struct conf *c = x->site[side].site.conf;

	if (d->trust_files)
		return add_strs(out, d->trust_files, d->n_trust_files);
	return buf_fmt(out, "CAs of \"" STR_FMT "\" \"" STR_FMT "\"%s, depth " STR_FMT,
		       STR_ARG(conf_str(c, CONF_smtp_tls_CAfile)),
		       STR_ARG(conf_str(c, CONF_smtp_tls_CApath)),
		       conf_bool(c, CONF_tls_append_default_CA) ? " and the system" : "",
		       STR_ARG(conf_text(c, CONF_smtp_tls_scert_verifydepth)));
}

static bool add_ciphers(struct buf *out, const struct policy_decision *d)
{
	return buf_add(out, d->ciphers) &&
	       (d->exclude.n == 0 || buf_fmt(out, " without " STR_FMT, STR_ARG(d->exclude)));
}

static bool add_names(struct buf *out, const struct policy_decision *d)
{
	return add_strs(out, d->match, d->n_match) &&
	       buf_fmt(out, " (%s labels to a wildcard)",
		       d->wildcard == POLICY_WILDCARD_MANY_LABELS ? "many" : "one");
}

/* What one side says about an aspect that differs; the level stands in the line above. */
static bool add_aspect(struct buf *out, const struct diff *x, int side, enum policy_aspect aspect,
		       const struct policy_decision *d)
{
	const struct conf *c = x->site[side].site.conf;

	switch (aspect) {
	case POLICY_ASPECT_PROTOCOLS:
		return add_text(out, d->protocols);
	case POLICY_ASPECT_CIPHERS:
		return add_ciphers(out, d);
	case POLICY_ASPECT_NAMES:
		return add_names(out, d);
	case POLICY_ASPECT_TRUST:
		return add_trust(out, x, side, d);
	case POLICY_ASPECT_FINGERPRINTS:
		return buf_fmt(out, STR_FMT " ", STR_ARG(d->fingerprint_digest)) &&
		       add_strs(out, d->fingerprints, d->n_fingerprints);
	case POLICY_ASPECT_SERVERNAME:
		return add_text(out, d->sni);
	case POLICY_ASPECT_RAW_KEYS:
		return add_text(out, d->is_raw_key_enabled ? STR("yes") : STR("no"));
	case POLICY_ASPECT_REUSE:
		return add_text(out, d->is_connection_reuse ? STR("yes") : STR("no"));
	case POLICY_ASPECT_CLIENT_CERTIFICATE:
		return add_text(out, conf_str(c, CONF_smtp_tls_chain_files).n > 0
					     ? conf_str(c, CONF_smtp_tls_chain_files)
					     : conf_str(c, CONF_smtp_tls_cert_file));
	case POLICY_ASPECT_REQUIRETLS:
		return add_text(out, policy_requiretls_name(d->requiretls));
	case POLICY_ASPECT_STS:
		return add_text(out, d->sts.type) && buf_fmt(out, ", hosts ") &&
		       add_strs(out, d->sts.mx_patterns, d->sts.n_mx_patterns);
	case POLICY_ASPECT_LEVEL:
	case POLICY_ASPECT_ERROR:
	case POLICY_ASPECT_COUNT:
		break;
	}
	return true;
}

/* A level brings exclusions of its own: not worth a line where the levels stand above. */
static bool is_worth_a_line(const struct diff_pair *p, enum policy_aspect aspect)
{
	const struct policy_decision *a = p->half[0].decision, *b = p->half[1].decision;

	if (!(p->aspects & (1u << aspect)))
		return false;
	return aspect != POLICY_ASPECT_CIPHERS || a->level == b->level ||
	       !str_eq(a->ciphers, b->ciphers);
}

static bool add_aspects(struct buf *out, const struct diff *x, int side, const struct diff_pair *p)
{
	const struct policy_decision *d = p->half[side].decision;
	bool fits = true;

	for (int i = POLICY_ASPECT_PROTOCOLS; i < POLICY_ASPECT_COUNT && fits; i++)
		if (is_worth_a_line(p, (enum policy_aspect)i))
			fits = buf_fmt(out, "         " STR_FMT ": ",
				       STR_ARG(policy_aspect_name((enum policy_aspect)i))) &&
			       add_aspect(out, x, side, (enum policy_aspect)i, d) &&
			       buf_add_char(out, '\n');
	return fits;
}

static bool add_why_not(struct buf *out, const struct policy_decision *d)
{
	struct str why = d->error.status.class     ? d->error.reason
			 : d->refusal.status.class ? d->refusal.reason
			 : d->never_matches        ? STR("no certificate is good enough")
						   : d->problem;

	return policy_decision_can_be_met(d) ||
	       buf_fmt(out, "         mail waits: " STR_FMT "\n", STR_ARG(why));
}

static bool add_half(struct buf *out, const struct diff *x, int side, const struct diff_pair *p)
{
	const struct diff_half *h = &p->half[side];
	bool fits = buf_add(out, side ? STR("  then   ") : STR("  now    "));

	if (!h->decision)
		return fits && buf_fmt(out, STR_FMT "\n", STR_ARG(h->reason));
	if (p->aspects & (1u << DIFF_ASPECT_ROUTE))
		fits = fits && buf_fmt(out, "to " STR_FMT ": ", STR_ARG(h->reason));
	fits = fits && buf_add(out, tls_level_name(h->decision->level)) &&
	       add_decider(out, h->decision) && buf_add_char(out, '\n');
	return fits && add_why_not(out, h->decision) && add_aspects(out, x, side, p);
}

static bool add_subject(struct buf *out, const struct cmd_destination *d)
{
	struct str name = d->nexthop, below;
	bool fits;

	if (str_eq(name, CMD_NEUTRAL_NEXTHOP) && d->host.n > 0)
		return buf_fmt(out, "\nany destination whose server is " STR_FMT "\n",
			       STR_ARG(d->host));
	if (str_eq(name, CMD_NEUTRAL_NEXTHOP))
		return buf_add(out, STR("\nany destination that nothing names\n"));
	below = str_from(name, sizeof(CMD_NEUTRAL_LABEL) - 1);
	fits = str_has_prefix(name, STR(CMD_NEUTRAL_LABEL "."))
		       ? buf_fmt(out, "\nany domain below " STR_FMT "\n",
				 STR_ARG(str_from(below, 1)))
		       : buf_fmt(out, "\n" STR_FMT "\n", STR_ARG(name));
	return fits;
}

static bool text_group(struct diff *x, enum policy_change change, const char *meaning)
{
	size_t n = x->counts[change];
	bool fits = n == 0 || buf_fmt(&x->out, STR_FMT ", %zu: %s\n",
				      STR_ARG(policy_change_name(change)), n, meaning);

	for (size_t i = 0; i < x->list.n && n > 0 && fits; i++) {
		if (x->changes[i] != change)
			continue;
		struct diff_pair p = diff_decide(x, i);
		fits = add_subject(&x->out, &x->list.v[i]) && add_half(&x->out, x, 0, &p) &&
		       add_half(&x->out, x, 1, &p) && diff_flush_full(x);
		n--;
	}
	return fits && (x->counts[change] == 0 || buf_add_char(&x->out, '\n'));
}

bool diff_text(struct diff *x)
{
	bool fits = true;

	for (size_t i = 0; i < ARRAY_LEN(groups) && fits; i++)
		fits = text_group(x, groups[i].change, groups[i].meaning);
	for (int i = 0; i < POLICY_CHANGE_COUNT && fits; i++)
		fits = buf_fmt(&x->out, "%s%zu " STR_FMT, i ? ", " : "", x->counts[i],
			       STR_ARG(policy_change_name((enum policy_change)i)));
	return fits && buf_add_char(&x->out, '\n') && diff_flush(x);
}

/* ---- JSON ---- */

static void put_side(struct json *j, const char *key, const struct diff *x, int side)
{
	const struct explain_options *o = x->options;

	json_key(j, key);
	json_object(j);
	json_put_str(j, "directory", str_of(side ? o->diff : cmd_config_dir(&o->sources)));
	json_put_str(j, "configuration", conf_fingerprint(x->site[side].site.conf));
	json_object_end(j);
}

static void put_half(struct json *j, const char *key, const struct diff_half *h)
{
	json_key(j, key);
	json_object(j);
	json_put_str(j, "nexthop", h->subject.nexthop);
	json_key(j, "decision");
	if (h->decision)
		policy_decision_json(j, h->decision);
	else
		json_null(j);
	json_key(j, "not_decided");
	json_str_or_null(j, h->decision ? STR_NONE : h->reason);
	json_object_end(j);
}

static void put_aspects(struct json *j, uint32_t aspects)
{
	json_key(j, "aspects");
	json_array(j);
	for (int i = 0; i < POLICY_ASPECT_COUNT; i++)
		if (aspects & (1u << i))
			json_str(j, policy_aspect_name((enum policy_aspect)i));
	if (aspects & (1u << DIFF_ASPECT_ROUTE))
		json_str(j, STR("route"));
	json_array_end(j);
}

static void put_pair(struct json *j, const struct cmd_destination *d, const struct diff_pair *p)
{
	json_object(j);
	json_put_str(j, "destination", d->nexthop);
	json_key(j, "host");
	json_str_or_null(j, d->host.n > 0 ? d->host : STR_NONE);
	json_put_str(j, "change", policy_change_name(p->change));
	put_aspects(j, p->aspects);
	put_half(j, "before", &p->half[0]);
	put_half(j, "after", &p->half[1]);
	json_object_end(j);
}

/* A line for each difference, so that tools for lines can be used, too. */
static bool put_differences(struct json *j, struct diff *x)
{
	bool is_printed = true;

	json_key(j, "differences");
	json_array(j);
	for (size_t i = 0; i < x->list.n && is_printed; i++) {
		if (x->changes[i] == POLICY_UNCHANGED)
			continue;
		struct diff_pair p = diff_decide(x, i);
		put_pair(j, &x->list.v[i], &p);
		is_printed = buf_add_char(&x->out, '\n') && diff_flush_full(x);
	}
	json_array_end(j);
	return is_printed;
}

bool diff_json(struct diff *x, int status)
{
	struct json j;
	bool is_printed;

	json_init(&j, &x->out, false);
	json_object(&j);
	json_put_str(&j, "schema", STR("hopseal.explain-diff"));
	json_put_int(&j, "version", 1);
	put_side(&j, "before", x, 0);
	put_side(&j, "after", x, 1);
	json_put_bool(&j, "unlisted", x->list.has_unlisted);
	is_printed = put_differences(&j, x);
	json_key(&j, "counts");
	json_object(&j);
	for (int i = 0; i < POLICY_CHANGE_COUNT; i++)
		json_put_int(&j, policy_change_name((enum policy_change)i).p,
			     (int64_t)x->counts[i]);
	json_object_end(&j);
	json_put_int(&j, "exit", status);
	json_object_end(&j);
	return json_end(&j) && is_printed && diff_flush(x);
}
