/* A decision for people: what, why, and with which settings. */

#include "policy/policy.h"

/* Where it goes, and room to put a line together in. */
struct decision_page {
	struct page *page;
	struct buf line;
};

static bool put_row(struct decision_page *p, const char *label, struct str text)
{
	return page_row(p->page, label, PAGE_PLAIN, text);
}

static bool put_line(struct decision_page *p, const char *label, enum page_style style)
{
	return page_row(p->page, label, style, buf_str(&p->line));
}

/* "file:3", or the table's name when there is no file. */
static bool put_place(struct buf *out, const struct trace_step *s)
{
	if (s->file.n && s->line)
		return buf_fmt(out, STR_FMT ":%u", STR_ARG(s->file), s->line);
	return buf_add(out, s->file.n ? s->file : s->source);
}

static bool put_step(struct decision_page *p, const struct trace_step *s, bool is_deciding)
{
	struct str mark = is_deciding                ? STR("  =>")
			  : s->kind == TRACE_WARNING ? STR("   !")
						     : STR("");
	enum page_style style = is_deciding                ? PAGE_STRONG
				: s->kind == TRACE_WARNING ? PAGE_WARNING
							   : PAGE_PLAIN;

	buf_reset(&p->line);
	if (!trace_text_add(&p->line, s))
		return false;
	if (s->file.n || s->source.n) {
		if (!buf_add(&p->line, STR(" (")) || !put_place(&p->line, s) ||
		    !buf_add_char(&p->line, ')'))
			return false;
	}
	return page_words(p->page, mark, 5, 7, style, buf_str(&p->line));
}

static bool put_trace(struct decision_page *p, const struct policy_decision *d)
{
	if (!page_heading(p->page, "why"))
		return false;
	for (size_t i = 0; i < d->n_trace; i++)
		if (!put_step(p, &d->trace[i], i == d->deciding))
			return false;
	return true;
}

static bool put_status_row(struct decision_page *p, const char *label, const struct policy_error *e)
{
	buf_reset(&p->line);
	return buf_fmt(&p->line, "%u.%u.%u " STR_FMT, e->status.class, e->status.subject,
		       e->status.detail, STR_ARG(e->reason)) &&
	       put_line(p, label, PAGE_BAD);
}

static struct str level_meaning(enum tls_level level)
{
	switch (level) {
	case TLS_LEVEL_INVALID:
		return STR("no usable policy: mail to this host waits");
	case TLS_LEVEL_NONE:
		return STR("TLS is not used, even if offered");
	case TLS_LEVEL_MAY:
		return STR("TLS if offered, with any certificate; else in the clear");
	case TLS_LEVEL_ENCRYPT:
		return STR("TLS is required, with any certificate");
	case TLS_LEVEL_FINGERPRINT:
		return STR("TLS is required, with a certificate of a listed fingerprint");
	case TLS_LEVEL_DANE:
	case TLS_LEVEL_DANE_ONLY:
		return STR("TLS is required, as TLSA records say");
	case TLS_LEVEL_VERIFY:
	case TLS_LEVEL_SECURE:
		return STR("TLS is required, with a certificate of a trusted CA for a name below");
	}
	return STR("");
}

/* Green is what nobody on the way can undo, yellow what sends mail in the clear. */
static enum page_style level_style(enum tls_level level)
{
	if (level == TLS_LEVEL_INVALID)
		return PAGE_BAD;
	if (level <= TLS_LEVEL_MAY)
		return PAGE_WARNING;
	return level == TLS_LEVEL_ENCRYPT ? PAGE_PLAIN : PAGE_GOOD;
}

/* The line of a table or of main.cf that decided. */
static bool put_decider(struct decision_page *p, const struct policy_decision *d)
{
	const struct trace_step *s = &d->trace[d->deciding];

	if (!d->n_trace || !s->key.n)
		return true;
	buf_reset(&p->line);
	return buf_fmt(&p->line, STR_FMT "%s" STR_FMT, STR_ARG(s->key),
		       s->kind == TRACE_QUESTION ? " " : " = ", STR_ARG(s->value)) &&
	       (!s->file.n || (buf_add(&p->line, STR(" (")) && put_place(&p->line, s) &&
			       buf_add_char(&p->line, ')'))) &&
	       put_line(p, "decided by", PAGE_PLAIN);
}

static bool put_subject(struct decision_page *p, const struct policy_subject *s)
{
	buf_reset(&p->line);
	return put_row(p, "next-hop", s->nexthop) &&
	       buf_fmt(&p->line, STR_FMT " port %u%s%s", STR_ARG(s->host), s->port,
		       s->has_requiretls ? ", the sender asked for REQUIRETLS" : "",
		       s->has_tls_required_no ? ", the message says TLS-Required: no" : "") &&
	       put_line(p, "host", PAGE_PLAIN);
}

static bool put_verdict(struct decision_page *p, const struct policy_decision *d)
{
	buf_reset(&p->line);
	if (!buf_fmt(&p->line, STR_FMT ": " STR_FMT, STR_ARG(tls_level_name(d->level)),
		     STR_ARG(level_meaning(d->level))) ||
	    !put_line(p, "level", level_style(d->level)))
		return false;
	if (d->error.status.class && !put_status_row(p, "error", &d->error))
		return false;
	if (d->refusal.status.class && !put_status_row(p, "not used", &d->refusal))
		return false;
	return (!d->requiretls ||
		put_row(p, "REQUIRETLS", policy_requiretls_name(d->requiretls))) &&
	       put_decider(p, d);
}

/* ---- settings ---- */

static bool
put_list(struct decision_page *p, const char *label, const struct str *v, size_t n, struct str none)
{
	buf_reset(&p->line);
	for (size_t i = 0; i < n; i++)
		if (!buf_fmt(&p->line, "%s" STR_FMT, i ? ", " : "", STR_ARG(v[i])))
			return false;
	return n ? put_line(p, label, PAGE_PLAIN) : put_row(p, label, none);
}

static bool put_versions(struct decision_page *p, const struct policy_decision *d)
{
	static const char *const names[] = { "TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3" };

	buf_reset(&p->line);
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if ((d->versions & (1u << i)) && !buf_fmt(&p->line, "%s ", names[i]))
			return false;
	return buf_fmt(&p->line, "%s(" STR_FMT ")", d->versions ? "" : "none ",
		       STR_ARG(d->protocols.n ? d->protocols : STR("no limits"))) &&
	       put_line(p, "protocols", PAGE_PLAIN);
}

static bool put_ciphers(struct decision_page *p, const struct policy_decision *d)
{
	buf_reset(&p->line);
	return buf_add(&p->line, d->ciphers) &&
	       (!d->exclude.n || buf_fmt(&p->line, ", without " STR_FMT, STR_ARG(d->exclude))) &&
	       put_line(p, "ciphers", PAGE_PLAIN);
}

static bool put_fingerprints(struct decision_page *p, const struct policy_decision *d)
{
	return put_list(p, "fingerprints", d->fingerprints, d->n_fingerprints, STR("none")) &&
	       put_row(p, "digest", d->fingerprint_digest);
}

static bool put_authentication(struct decision_page *p, const struct policy_decision *d)
{
	if (d->fingerprints)
		return put_fingerprints(p, d);
	if (!d->match)
		return true;
	return (!d->trust_files ||
		put_list(p, "trusted only", d->trust_files, d->n_trust_files, STR("nobody"))) &&
	       put_list(p, "match", d->match, d->n_match, STR("nothing")) &&
	       put_list(p, "names", d->names, d->n_names,
			STR("none: no certificate is good enough"));
}

/* What a plug-in told in the entry. */
static bool put_sts(struct decision_page *p, const struct policy_decision *d)
{
	const struct policy_sts *s = &d->sts;

	if (!s->type.n)
		return true;
	buf_reset(&p->line);
	return buf_add(&p->line, s->type) &&
	       (!s->domain.n || buf_fmt(&p->line, " of " STR_FMT, STR_ARG(s->domain))) &&
	       (s->ttl_s < 0 || buf_fmt(&p->line, ", for %lld s", (long long)s->ttl_s)) &&
	       (!s->failure.n || buf_fmt(&p->line, ", failed: " STR_FMT, STR_ARG(s->failure))) &&
	       put_line(p, "MTA-STS", PAGE_PLAIN) &&
	       (!s->n_mx_patterns ||
		put_list(p, "its hosts", s->mx_patterns, s->n_mx_patterns, STR(""))) &&
	       (!s->n_strings || put_list(p, "its policy", s->strings, s->n_strings, STR("")));
}

/* Settings that were decided and change nothing here: better said than believed in. */
static bool put_without_effect(struct decision_page *p, const struct policy_decision *d)
{
	return !d->is_raw_key_enabled ||
	       page_row(p->page, "note", PAGE_WARNING, STR(POLICY_RPK_TEXT));
}

static bool put_settings(struct decision_page *p, const struct policy_decision *d)
{
	if (d->error.status.class)
		return true;
	if (d->level < TLS_LEVEL_MAY)
		return true;
	return page_heading(p->page, "settings") && put_versions(p, d) && put_ciphers(p, d) &&
	       put_row(p, "server name", d->sni.n ? d->sni : STR("not sent")) &&
	       (!d->is_wrappermode ||
		put_row(p, "wrapper mode", STR("TLS from the first octet, no STARTTLS"))) &&
	       put_authentication(p, d) && put_sts(p, d) && put_without_effect(p, d) &&
	       (d->is_usable || page_row(p->page, "TLS fails", PAGE_BAD, d->problem));
}

bool policy_decision_text(struct page *page, const struct policy_decision *d,
			  const struct policy_subject *s)
{
	struct decision_page p = { .page = page };
	bool is_whole;

	buf_init(&p.line, buf_room(page->out));
	is_whole =
		put_subject(&p, s) && put_verdict(&p, d) && put_trace(&p, d) && put_settings(&p, d);
	buf_fini(&p.line);
	return is_whole;
}
