/* Names to addresses: what DNS could not say is never taken for "there is none". */

#include "route/search.h"

enum route_progress
route_fail(struct route_search *s, enum outcome_kind kind, struct status status, struct str reason)
{
	s->n = 0;
	s->trouble = route_outcome(kind, status, reason);
	return ROUTE_OVER;
}

void route_note_trouble(struct route_search *s, bool is_temporary, struct status status,
			struct str reason)
{
	bool was_temporary = s->trouble.reason.n && s->trouble.kind == OUTCOME_DEFERRED;

	if (was_temporary)
		return;
	s->trouble =
		route_outcome(is_temporary ? OUTCOME_DEFERRED : OUTCOME_BOUNCED, status, reason);
}

void route_note_answer(struct route_search *s, const struct question *q,
		       const struct answer *answer, struct str said)
{
	struct trace_step *t =
		route_note(&s->w, TRACE_QUESTION, question_kind_name(q->kind),
			   STR_FMT " of " STR_FMT ": " STR_FMT " (" STR_FMT ")",
			   STR_ARG(question_kind_name(q->kind)), STR_ARG(q->name), STR_ARG(said),
			   STR_ARG(dnssec_status_name(answer->dnssec)));

	t->source = q->kind == QUESTION_NATIVE ? STR("native") : STR("dns");
	t->key = q->name;
	t->value = answer->status == ANSWER_FOUND ? said : STR("");
	t->answer = answer->status;
}

struct str route_said(struct route_search *s, const struct answer *answer, struct str found)
{
	switch (answer->status) {
	case ANSWER_FOUND:
		return found;
	case ANSWER_NONE:
		return answer->is_nxdomain ? STR("no such name") : STR("no such record");
	case ANSWER_FAILED:
		return answer->failure.n ? answer->failure : STR("failed");
	}
	CHECK(!"answer status");
	return arena_str(s->w.a, found);
}

struct str route_said_more(struct arena *a, struct str text, size_t n)
{
	return n > ROUTE_SAID_MAX
		       ? arena_fmt(a, STR_FMT " and %zu more", STR_ARG(text), n - ROUTE_SAID_MAX)
		       : text;
}

static struct str route_addresses_text(struct arena *a, const struct answer *answer)
{
	struct str text = STR("");

	for (size_t i = 0; i < answer->n_addresses && i < ROUTE_SAID_MAX; i++)
		text = arena_fmt(a, STR_FMT "%s" STR_FMT, STR_ARG(text), i ? ", " : "",
				 STR_ARG(address_text(a, &answer->addresses[i])));
	return route_said_more(a, text, answer->n_addresses);
}

/* Asks one of the two services. GO_ON without an answer: it has none; OVER: the lookup failed. */
static enum route_progress route_look_by(struct route_search *s, enum question_kind kind,
					 struct str name, struct route_look *look)
{
	struct question q = { .kind = kind, .name = name };
	const struct answer *answer = route_know(&s->w, &q);
	bool is_native = kind == QUESTION_NATIVE;

	if (!answer)
		return ROUTE_WAIT;
	struct str said = route_said(s, answer, route_addresses_text(s->w.a, answer));
	route_note_answer(s, &q, answer, said);
	if (answer->status == ANSWER_FOUND)
		*look = (struct route_look){ answer, is_native };
	if (answer->status == ANSWER_FAILED) {
		route_note_trouble(s, true, STATUS(4, 4, is_native ? 4 : 3),
				   arena_fmt(s->w.a, "%s lookup of " STR_FMT " failed: " STR_FMT,
					     is_native ? "native" : "address", STR_ARG(name),
					     STR_ARG(said)));
		return ROUTE_OVER;
	}
	return ROUTE_GO_ON;
}

enum route_progress route_look_up(struct route_search *s, struct str name, struct route_look *look)
{
	enum route_progress p = ROUTE_GO_ON;

	*look = (struct route_look){ 0 };
	if (s->w.cfg->is_dns_hosts && !s->is_name_gone)
		p = route_look_by(s, QUESTION_ADDRESS, name, look);
	if (p == ROUTE_GO_ON && !look->answer && s->w.cfg->is_native_hosts)
		p = route_look_by(s, QUESTION_NATIVE, name, look);
	if (p == ROUTE_GO_ON && !look->answer)
		route_note_trouble(s, false, STATUS(5, 4, 4),
				   arena_fmt(s->w.a,
					     "Host or domain name not found: " STR_FMT
					     " has no address",
					     STR_ARG(name)));
	return p;
}

void route_search_add(struct route_search *s, const struct route_host *h)
{
	if (s->n == ROUTE_ADDRESSES_MAX)
		return;
	s->v = route_grow(s->w.a, s->v, s->n, &s->size, sizeof(*s->v));
	s->v[s->n++] = *h;
}

void route_add_addresses(struct route_search *s, const struct route_look *look,
			 const struct route_host *like)
{
	const struct answer *answer = look->answer;
	struct route_host h = *like;

	h.canonical = answer->canonical.n ? answer->canonical : h.name;
	h.host = conf_bool(s->w.cfg->conf, CONF_smtp_cname_overrides_servername) ? h.canonical
										 : h.name;
	h.port = s->nh.port;
	h.is_native = look->is_native;
	for (size_t i = 0; i < answer->n_addresses; i++) {
		h.address = answer->addresses[i];
		if (!s->w.cfg->has_family[h.address.family])
			continue;
		h.dnssec = look->is_native ? DNSSEC_UNCHECKED
					   : answer->family[h.address.family].dnssec;
		route_search_add(s, &h);
	}
}

bool route_is_self(const struct route_search *s, const struct address *addr)
{
	for (size_t i = 0; i < s->w.cfg->n_own; i++)
		if (address_eq(&s->w.cfg->own[i], addr))
			return true;
	return false;
}

enum route_progress route_fail_loop(struct route_search *s)
{
	s->out->is_last = true;
	route_note(&s->w, TRACE_RULE, STR("loop"), "this machine is the best host of " STR_FMT,
		   STR_ARG(s->nh.domain));
	return route_fail(s, OUTCOME_BOUNCED, STATUS(5, 4, 6),
			  arena_fmt(s->w.a, "mail for " STR_FMT " loops back to myself",
				    STR_ARG(s->nh.domain)));
}

enum route_progress route_walk_host(struct route_search *s)
{
	struct route_host like = { .name = s->name };
	struct route_look look;
	enum route_progress p = route_look_up(s, s->name, &look);

	if (p == ROUTE_WAIT)
		return ROUTE_WAIT;
	if (p == ROUTE_OVER || !look.answer)
		return ROUTE_OVER;
	route_add_addresses(s, &look, &like);
	for (size_t i = 0; s->detects_loops && i < s->n; i++)
		if (route_is_self(s, &s->v[i].address))
			return route_fail_loop(s);
	return ROUTE_GO_ON;
}
