/* A decision for people: what, why, and with which settings. */

#include "policy/policy.h"

#define COLUMNS 96
#define LABEL 13 /* width of the first column */
#define REASON_INDENT 5

/* Writes `text` in words from column `at` on, and goes on under `indent`. */
static bool put_wrapped(struct buf *out, struct str text, size_t at, size_t indent)
{
	bool is_first = true;
	struct str word;

	while (str_token(&text, STR(" \t\r\n"), &word)) {
		if (!is_first && at + 1 + word.n > COLUMNS) {
			if (!buf_fmt(out, "\n%*s", (int)indent, ""))
				return false;
			at = indent;
			is_first = true;
		}
		if ((!is_first && !buf_add_char(out, ' ')) || !buf_add(out, word))
			return false;
		at += word.n + !is_first;
		is_first = false;
	}
	return buf_add_char(out, '\n');
}

static bool put_row(struct buf *out, const char *label, struct str text)
{
	return buf_fmt(out, "%-*s", LABEL, label) && put_wrapped(out, text, LABEL, LABEL);
}

/* "file:3", or the table's name when there is no file. */
static bool put_place(struct buf *out, const struct trace_step *s)
{
	if (s->file.n && s->line)
		return buf_fmt(out, STR_FMT ":%u", STR_ARG(s->file), s->line);
	return buf_add(out, s->file.n ? s->file : s->source);
}

static bool
put_step(struct buf *out, struct buf *line, const struct trace_step *s, bool is_deciding)
{
	const char *mark = is_deciding ? "=>" : s->kind == TRACE_WARNING ? " !" : "  ";

	buf_reset(line);
	if (!trace_text_add(line, s))
		return false;
	if (s->file.n || s->source.n) {
		if (!buf_add(line, STR(" (")) || !put_place(line, s) || !buf_add_char(line, ')'))
			return false;
	}
	return buf_fmt(out, "  %s ", mark) &&
	       put_wrapped(out, buf_str(line), REASON_INDENT, REASON_INDENT + 2);
}

static bool put_trace(struct buf *out, struct buf *line, const struct policy_decision *d)
{
	if (!buf_add(out, STR("\nwhy\n")))
		return false;
	for (size_t i = 0; i < d->n_trace; i++)
		if (!put_step(out, line, &d->trace[i], i == d->deciding))
			return false;
	return true;
}

static bool
put_status_row(struct buf *out, struct buf *line, const char *label, const struct policy_error *e)
{
	buf_reset(line);
	return buf_fmt(line, "%u.%u.%u " STR_FMT, e->status.class, e->status.subject,
		       e->status.detail, STR_ARG(e->reason)) &&
	       put_row(out, label, buf_str(line));
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

/* The line of a table or of main.cf that decided. */
static bool put_decider(struct buf *out, struct buf *line, const struct policy_decision *d)
{
	const struct trace_step *s = &d->trace[d->deciding];

	if (!d->n_trace || !s->key.n)
		return true;
	buf_reset(line);
	return buf_fmt(line, STR_FMT "%s" STR_FMT, STR_ARG(s->key),
		       s->kind == TRACE_QUESTION ? " " : " = ", STR_ARG(s->value)) &&
	       (!s->file.n ||
		(buf_add(line, STR(" (")) && put_place(line, s) && buf_add_char(line, ')'))) &&
	       put_row(out, "decided by", buf_str(line));
}

static bool put_subject(struct buf *out, struct buf *line, const struct policy_subject *s)
{
	buf_reset(line);
	return put_row(out, "next-hop", s->nexthop) &&
	       buf_fmt(line, STR_FMT " port %u%s%s", STR_ARG(s->host), s->port,
		       s->has_requiretls ? ", the sender asked for REQUIRETLS" : "",
		       s->has_tls_required_no ? ", the message says TLS-Required: no" : "") &&
	       put_row(out, "host", buf_str(line));
}

static bool put_verdict(struct buf *out, struct buf *line, const struct policy_decision *d)
{
	buf_reset(line);
	if (!buf_fmt(line, STR_FMT ": " STR_FMT, STR_ARG(tls_level_name(d->level)),
		     STR_ARG(level_meaning(d->level))) ||
	    !put_row(out, "level", buf_str(line)))
		return false;
	if (d->error.status.class && !put_status_row(out, line, "error", &d->error))
		return false;
	if (d->refusal.status.class && !put_status_row(out, line, "not used", &d->refusal))
		return false;
	return (!d->requiretls ||
		put_row(out, "REQUIRETLS", policy_requiretls_name(d->requiretls))) &&
	       put_decider(out, line, d);
}

static bool put_list(struct buf *out, struct buf *line, const char *label, const struct str *v,
		     size_t n, struct str none)
{
	buf_reset(line);
	for (size_t i = 0; i < n; i++)
		if (!buf_fmt(line, "%s" STR_FMT, i ? ", " : "", STR_ARG(v[i])))
			return false;
	return put_row(out, label, n ? buf_str(line) : none);
}

static bool put_versions(struct buf *out, struct buf *line, const struct policy_decision *d)
{
	static const char *const names[] = { "TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3" };

	buf_reset(line);
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if ((d->versions & (1u << i)) && !buf_fmt(line, "%s ", names[i]))
			return false;
	return buf_fmt(line, "%s(" STR_FMT ")", d->versions ? "" : "none ",
		       STR_ARG(d->protocols.n ? d->protocols : STR("no limits"))) &&
	       put_row(out, "protocols", buf_str(line));
}

static bool put_ciphers(struct buf *out, struct buf *line, const struct policy_decision *d)
{
	buf_reset(line);
	return buf_add(line, d->ciphers) &&
	       (!d->exclude.n || buf_fmt(line, ", without " STR_FMT, STR_ARG(d->exclude))) &&
	       put_row(out, "ciphers", buf_str(line));
}

static bool put_authentication(struct buf *out, struct buf *line, const struct policy_decision *d)
{
	if (d->fingerprints)
		return put_list(out, line, "fingerprints", d->fingerprints, d->n_fingerprints,
				STR("none"));
	if (!d->match)
		return true;
	return (!d->trust_files || put_list(out, line, "trusted only", d->trust_files,
					    d->n_trust_files, STR("nobody"))) &&
	       put_list(out, line, "match", d->match, d->n_match, STR("nothing")) &&
	       put_list(out, line, "names", d->names, d->n_names,
			STR("none: no certificate is good enough"));
}

static bool put_settings(struct buf *out, struct buf *line, const struct policy_decision *d)
{
	if (d->level < TLS_LEVEL_MAY)
		return true;
	return buf_add(out, STR("\nsettings\n")) && put_versions(out, line, d) &&
	       put_ciphers(out, line, d) &&
	       put_row(out, "server name", d->sni.n ? d->sni : STR("not sent")) &&
	       put_authentication(out, line, d) &&
	       (d->is_usable || put_row(out, "TLS fails", d->problem));
}

bool policy_decision_text(struct buf *out, const struct policy_decision *d,
			  const struct policy_subject *s)
{
	struct buf line;
	bool is_whole;

	buf_init(&line, buf_room(out));
	is_whole = put_subject(out, &line, s) && put_verdict(out, &line, d) &&
		   put_trace(out, &line, d) && put_settings(out, &line, d);
	buf_fini(&line);
	return is_whole;
}
