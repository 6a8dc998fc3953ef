#include "cmd/record.h"

static bool add_status(struct buf *out, struct status s)
{
	return buf_fmt(out, " %u.%u.%u", s.class, s.subject, s.detail);
}

/* "  wanted  verify (tls_per_site:3: [mx.example]:25 MUST)" */
static bool add_wanted(struct buf *out, const struct policy_decision *d)
{
	if (!buf_fmt(out, "  wanted  " STR_FMT, STR_ARG(tls_level_name(d->level))))
		return false;
	if (d->deciding >= d->n_trace)
		return buf_add_char(out, '\n');
	const struct trace_step *s = &d->trace[d->deciding];
	if (s->file.n > 0)
		return buf_fmt(out, " (" STR_FMT ":%u: " STR_FMT " " STR_FMT ")\n",
			       STR_ARG(s->file), s->line, STR_ARG(s->key), STR_ARG(s->value));
	return buf_add(out, STR(" (")) && trace_text_add(out, s) && buf_add(out, STR(")\n"));
}

static bool is_named_before(const struct tls_peer *p, size_t at)
{
	for (size_t i = 0; i < at; i++)
		if (str_eq(p->names[i].text, p->names[at].text))
			return true;
	return false;
}

/* Once each: the common name tends to be there as a DNS name too. */
static bool add_names(struct buf *out, const struct tls_peer *p)
{
	bool fits = true;

	for (size_t i = 0; i < p->n_names && fits; i++)
		fits = is_named_before(p, i) ||
		       buf_fmt(out, "%s" STR_FMT, i == 0 ? "  names   " : ", ",
			       STR_ARG(p->names[i].text));
	return fits && (p->n_names == 0 || buf_add_char(out, '\n'));
}

static bool add_got(struct buf *out, const struct deliver_try *t)
{
	struct str reached = tls_security_name(t->judgement.reached);

	if (!t->judgement.is_acceptable && !t->peer.is_tls) /* no mail went in the clear */
		return buf_add(out, STR("  got     no TLS\n"));
	if (!t->peer.is_tls)
		return buf_fmt(out, "  got     " STR_FMT "%s\n", STR_ARG(reached),
			       t->is_plaintext_retry ? " (second try, TLS had failed)" : "");
	return buf_fmt(out, "  got     " STR_FMT ", " STR_FMT " " STR_FMT "%s%s" STR_FMT "\n",
		       STR_ARG(reached), STR_ARG(t->peer.protocol), STR_ARG(t->peer.cipher),
		       t->judgement.is_requiretls_sent ? ", with REQUIRETLS" : "",
		       t->judgement.matched_name.n ? ", name matched: " : "",
		       STR_ARG(t->judgement.matched_name)) &&
	       add_names(out, &t->peer);
}

static bool add_try(struct buf *out, const struct deliver_try *t)
{
	return add_wanted(out, &t->decision) && (!t->is_judged || add_got(out, t));
}

static bool add_rcpt(struct buf *out, const struct record_rcpt *p)
{
	const struct outcome *o = &p->outcome;
	bool fits = buf_fmt(out, STR_FMT ": " STR_FMT, STR_ARG(p->route.recipient),
			    STR_ARG(outcome_kind_name(o->kind))) &&
		    add_status(out, o->status) &&
		    buf_fmt(out, " " STR_FMT "\n", STR_ARG(o->reason));

	if (!fits || !p->delivery)
		return fits;
	const struct deliver_rcpt *d = &p->delivery->rcpts[p->index];
	const struct deliver_try *t = d->has_try ? &p->delivery->tries[d->try] : NULL;
	if (d->is_fate_unknown && !(t && t->is_fate_unknown)) /* else the reason says so */
		fits = buf_add(out, STR("  note    another server may have taken the message: it "
					"may arrive twice\n"));
	return fits && (!t || add_try(out, t));
}

bool record_text(struct buf *out, const struct record *r)
{
	for (size_t i = 0; i < r->n_rcpts; i++)
		if (!add_rcpt(out, &r->rcpts[i]))
			return false;
	return true;
}
