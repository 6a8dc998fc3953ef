/* policy_step: global level, then the operator's tables, then the settings of the level found. */

#include "policy/decide.h"

void policy_trace_global(struct policy_work *w)
{
	const struct policy_config *c = w->cfg;
	struct trace_step *s;

	w->global_step = w->trace.n;
	s = policy_trace_add(&w->trace, TRACE_RULE, STR("global-level"), c->global_text);
	policy_trace_param(s, c->conf, c->global_id);
	s->value = c->global_value;
}

void policy_fail(struct policy_work *w, size_t deciding, struct status status, struct str reason)
{
	w->d.level = TLS_LEVEL_INVALID;
	w->d.error = (struct policy_error){ status, reason };
	w->d.deciding = deciding;
}

/* RFC 8689 section 4.2.2: the sender would rather have the mail arrive than have it protected. It
 * lowers what main.cf says, and never raises it. */
static void level_of_message(struct policy_work *w)
{
	enum tls_level global = w->cfg->global;
	enum tls_level most = conf_bool(w->cfg->conf, CONF_smtp_tls_wrappermode) ? TLS_LEVEL_ENCRYPT
										 : TLS_LEVEL_MAY;

	w->d.level = global < most ? global : most;
	w->d.deciding = w->d.level < global ? w->trace.n : w->global_step;
	policy_trace_add(
		&w->trace, w->d.level < global ? TRACE_WARNING : TRACE_RULE, STR("tls-required-no"),
		STR("the message says TLS-Required: no: no table is asked, and the level is "
		    "at most %"),
		tls_level_name(most));
}

/* RFC 8689 section 4.1: who asks for it has the say over a header field. */
static bool is_requiretls(const struct policy_work *w)
{
	return w->subject->has_requiretls && conf_bool(w->cfg->conf, CONF_requiretls_enable);
}

/* RFC 8689 lets a sender give up the protection of a message. Where the client logs in, TLS
 * protects its password, too, and that is the operator's. */
static bool may_log_in(const struct policy_work *w)
{
	return conf_bool(w->cfg->conf, CONF_smtp_sasl_auth_enable);
}

/* Whether the message's TLS-Required: no counts. */
static bool is_header_heeded(struct policy_work *w)
{
	const struct conf *conf = w->cfg->conf;

	if (!w->subject->has_tls_required_no || !conf_bool(conf, CONF_tls_required_enable))
		return false;
	if (is_requiretls(w)) {
		policy_trace_add(&w->trace, TRACE_RULE, STR("requiretls-over-header"),
				 STR("the sender asked for REQUIRETLS, which beats the message's "
				     "TLS-Required: no"));
		return false;
	}
	if (may_log_in(w)) {
		policy_trace_param(
			policy_trace_add(&w->trace, TRACE_RULE, STR("login-over-header"),
					 STR("% = yes: the message's TLS-Required: no does not "
					     "count, for TLS protects a password, too"),
					 conf_name_in(conf, CONF_smtp_sasl_auth_enable)),
			conf, CONF_smtp_sasl_auth_enable);
		return false;
	}
	return true;
}

static enum policy_source find_level(struct policy_work *w)
{
	const struct conf *conf = w->cfg->conf;

	if (is_header_heeded(w)) {
		policy_trace_global(w);
		level_of_message(w);
		return SOURCE_LEVEL;
	}
	if (conf_str(conf, CONF_smtp_tls_policy_maps).n)
		return policy_maps(w);
	if (conf_str(conf, CONF_smtp_tls_per_site).n)
		return policy_per_site(w);
	policy_trace_global(w);
	w->d.level = w->cfg->global;
	w->d.deciding = w->global_step;
	return SOURCE_LEVEL;
}

/* The next-hop was refused before anything could be asked. A service name that is not well known
 * is none of our business: the port has been found by whoever calls. */
static bool has_nexthop(struct policy_work *w)
{
	bool is_utf8_ok = conf_bool(w->cfg->conf, CONF_smtputf8_enable);
	struct nexthop nexthop;

	if (nexthop_parse(w->subject->nexthop, w->subject->port, is_utf8_ok, &nexthop) !=
	    NEXTHOP_BAD_SYNTAX) {
		w->d.domain = nexthop.domain;
		return true;
	}
	policy_trace_add(&w->trace, TRACE_RULE, STR("nexthop-syntax"),
			 STR("the next-hop \"%\" cannot be used: %"), w->subject->nexthop,
			 nexthop.problem);
	policy_fail(w, 0, STATUS(4, 3, 5), STR("the next-hop destination is malformed"));
	return false;
}

static struct policy_step decided(struct policy_work *w)
{
	w->d.trace = w->trace.v;
	w->d.n_trace = w->trace.n;
	return (struct policy_step){ .kind = POLICY_DECIDED, .u.decided = w->d };
}

struct policy_step policy_step(struct arena *a, const struct policy_config *cfg,
			       const struct policy_subject *s, struct fact_set facts)
{
	struct policy_work w = {
		.a = a,
		.cfg = cfg,
		.subject = s,
		.facts = facts,
		.trace.a = a,
		.d = { .host = s->host, .domain = STR(""), .port = s->port },
	};
	enum policy_source source;

	if (!has_nexthop(&w))
		return decided(&w);
	source = find_level(&w);
	if (source == SOURCE_LEVEL)
		source = policy_apply_level(&w);
	if (source == SOURCE_ASK)
		return (struct policy_step){ .kind = POLICY_ASK, .u.ask = w.ask };
	return decided(&w);
}

bool policy_decision_allows_host(const struct policy_decision *d)
{
	return d->error.status.class == 0 && d->refusal.status.class == 0;
}
