/* What is said of the recipients that are left: by a host, by its policy, by the lack of either. */

#include "deliver/inside.h"

size_t deliver_n_pending(const struct deliver *d)
{
	size_t n = 0;

	for (size_t i = 0; i < d->result.n_rcpts; i++)
		n += !d->pending[i].is_final;
	return n;
}

void deliver_settle(struct deliver *d, size_t i, const struct outcome *o, bool is_final)
{
	struct deliver_rcpt *r = &d->result.rcpts[i];

	r->outcome = *o;
	r->has_try = d->try != NULL;
	r->try = d->try ? (size_t)(d->try - d->result.tries) : 0;
	d->pending[i].is_final = is_final;
	d->pending[i].is_temporary = o->kind == OUTCOME_DEFERRED;
	d->pending[i].is_telling = o->kind == OUTCOME_DEFERRED;
}

void deliver_settle_unmet(struct deliver *d, const struct outcome *o)
{
	for (size_t i = 0; i < d->result.n_rcpts; i++) {
		if (d->pending[i].is_final || d->pending[i].is_telling)
			continue;
		deliver_settle(d, i, o, false);
		d->pending[i].is_telling = false;
	}
}

void deliver_settle_all(struct deliver *d, const struct outcome *o, bool is_final)
{
	for (size_t i = 0; i < d->result.n_rcpts; i++)
		if (!d->pending[i].is_final)
			deliver_settle(d, i, o, is_final);
}

struct str deliver_try_name(struct arena *a, const struct deliver_try *t)
{
	const struct route_host *c = &t->candidate;

	if (c->socket.n > 0)
		return arena_fmt(a, STR_FMT "[" STR_FMT "]", STR_ARG(c->host), STR_ARG(c->socket));
	return arena_fmt(a, STR_FMT "[" STR_FMT "]:%u", STR_ARG(c->host),
			 STR_ARG(address_text(a, &c->address)), c->port);
}

struct str deliver_peer_name(struct deliver *d)
{
	return deliver_try_name(d->arena, d->try);
}

void deliver_note_trouble(struct deliver *d, enum outcome_kind kind, struct status status,
			  struct str reason)
{
	d->try->trouble = (struct outcome){
		.kind = kind,
		.status = status,
		.reason = reason,
		.remote_host = deliver_peer_name(d),
	};
}

void deliver_host_trouble(struct deliver *d, enum outcome_kind kind, struct status status,
			  struct str reason)
{
	deliver_note_trouble(d, kind, status, reason);
	deliver_settle_all(d, &d->try->trouble, kind == OUTCOME_BOUNCED);
}

/* No session with this host can be what the sender requires; another host may do, and one that
 * could not be asked today may tomorrow. Only when all have been found wanting the mail is
 * returned: RFC 8689 section 4.2.1. */
static void deliver_host_unfit(struct deliver *d, struct status status, struct str reason)
{
	deliver_note_trouble(d, OUTCOME_BOUNCED, status, reason);
	for (size_t i = 0; i < d->result.n_rcpts; i++)
		if (!d->pending[i].is_final && !d->pending[i].is_temporary)
			deliver_settle(d, i, &d->try->trouble, false);
}

void deliver_host_refused(struct deliver *d, struct status status, struct str reason)
{
	if (status.class == 5)
		deliver_host_unfit(d, status, reason);
	else
		deliver_host_trouble(d, OUTCOME_DEFERRED, status, reason);
}

struct str deliver_reason(struct deliver *d, enum smtp_client_cause cause, struct str reason)
{
	struct str peer = deliver_peer_name(d);

	switch (cause) {
	case SMTP_CAUSE_REPLY:
		return arena_fmt(d->arena, "host " STR_FMT " said: " STR_FMT, STR_ARG(peer),
				 STR_ARG(reason));
	case SMTP_CAUSE_TIMEOUT:
	case SMTP_CAUSE_LOST:
		return arena_fmt(d->arena, "conversation with " STR_FMT " " STR_FMT, STR_ARG(peer),
				 STR_ARG(reason));
	case SMTP_CAUSE_PROTOCOL:
	case SMTP_CAUSE_INJECTION:
		return arena_fmt(d->arena, "host " STR_FMT " " STR_FMT, STR_ARG(peer),
				 STR_ARG(reason));
	case SMTP_CAUSE_LOCAL:
		return arena_str(d->arena, reason);
	}
	CHECK(!"a cause of no kind");
}
