/* The walk over destinations, hosts and tries. As in Postfix, a host that cannot be used, or that
 * defers, hands what is left to the next one; the last word on each recipient stands when no host
 * is left. */

#include "deliver/deliver.h"

#include <stdlib.h>
#include <string.h>

#include "deliver/cached.h"
#include "deliver/pool.h"
#include "deliver/reuse.h"
#include "deliver/site_options.h"
#include "mail/domain.h"

/* What is known of a recipient while hosts are tried. */
struct pending {
	bool is_final;     /* delivered, bounced, or a deferral that no other host can better */
	bool is_temporary; /* its outcome so far is a deferral ... */
	bool is_telling;   /* ... by a host that was met, or that the policy refused */
};

struct deliver {
	const struct deliver_site *site;
	const struct deliver_client *client;
	struct deliver_message message;
	struct deliver_result result;
	deliver_done *done;
	void *arg;
	struct arena *arena;
	struct fact_list *facts;
	struct deliver_cached cached;
	struct pending *pending; /* as result.rcpts */
	uint64_t seed;

	const struct str *nexthops;
	size_t n_nexthops, nexthop; /* the next one to look up */
	struct route_hosts_step route;
	const struct route_hosts *hosts; /* of the present next-hop */
	size_t *order;                   /* of their use */
	size_t candidate;                /* the next one to try, in `order` */
	unsigned n_sessions;             /* past EHLO and TLS, of this next-hop */

	struct ask_run *run;
	struct policy_step policy;
	struct session *session;
	struct deliver_try *try; /* the present one, in result.tries */
	size_t tries_room;

	struct deliver_pool_key key; /* of the session; .whole "": it is not to be kept */
	bool is_stale;               /* what was kept is no good: the host gets a fresh session */
	bool is_mail_begun;          /* in this session: its recipients have words of their own */
	struct smtp_mail mail;
	struct smtp_rcpt *sent; /* the pending recipients of this session */
	size_t *sent_index;     /* their places in result.rcpts */
};

static void deliver_next_nexthop(struct deliver *d);
static void deliver_next_host(struct deliver *d);
static void deliver_connect(struct deliver *d, bool is_plaintext_retry);

static size_t deliver_n_pending(const struct deliver *d)
{
	size_t n = 0;

	for (size_t i = 0; i < d->result.n_rcpts; i++)
		n += !d->pending[i].is_final;
	return n;
}

static struct outcome outcome_copy(struct arena *a, const struct outcome *o)
{
	struct outcome copy = *o;

	copy.reason = arena_str(a, o->reason);
	copy.remote_host = arena_str(a, o->remote_host);
	copy.reply.text = arena_str(a, o->reply.text);
	return copy;
}

static void deliver_settle(struct deliver *d, size_t i, const struct outcome *o, bool is_final)
{
	struct deliver_rcpt *r = &d->result.rcpts[i];

	r->outcome = *o;
	r->has_try = d->try != NULL;
	r->try = d->try ? (size_t)(d->try - d->result.tries) : 0;
	d->pending[i].is_final = is_final;
	d->pending[i].is_temporary = o->kind == OUTCOME_DEFERRED;
	d->pending[i].is_telling = o->kind == OUTCOME_DEFERRED;
}

/* Nobody was met: that says less about why mail waits than a host that was, or than a policy. */
static void deliver_settle_unmet(struct deliver *d, const struct outcome *o)
{
	for (size_t i = 0; i < d->result.n_rcpts; i++) {
		if (d->pending[i].is_final || d->pending[i].is_telling)
			continue;
		deliver_settle(d, i, o, false);
		d->pending[i].is_telling = false;
	}
}

/* The same word for all that are left. */
static void deliver_settle_all(struct deliver *d, const struct outcome *o, bool is_final)
{
	for (size_t i = 0; i < d->result.n_rcpts; i++)
		if (!d->pending[i].is_final)
			deliver_settle(d, i, o, is_final);
}

static void deliver_finish(struct deliver *d)
{
	d->result.facts = fact_list_set(d->facts);
	d->done(d->arg, &d->result); /* may free d */
}

/* "mx.example.com[192.0.2.1]:25", as Postfix names a host. */
static struct str deliver_peer_name(struct deliver *d)
{
	const struct route_host *c = &d->try->candidate;

	if (c->socket.n > 0)
		return arena_fmt(d->arena, STR_FMT "[" STR_FMT "]", STR_ARG(c->host),
				 STR_ARG(c->socket));
	return arena_fmt(d->arena, STR_FMT "[" STR_FMT "]:%u", STR_ARG(c->host),
			 STR_ARG(address_text(d->arena, &c->address)), c->port);
}

/* A new try at the end of the list. Pointers into the list die here: only d->try is kept. */
static void deliver_add_try(struct deliver *d, const struct route_host *c)
{
	if (d->result.n_tries == d->tries_room) {
		size_t room = d->tries_room ? d->tries_room * 2 : 8;
		struct deliver_try *more = ARENA_ARRAY(d->arena, room, struct deliver_try);
		if (d->result.n_tries > 0)
			memcpy(more, d->result.tries, d->result.n_tries * sizeof(*more));
		d->result.tries = more;
		d->tries_room = room;
	}
	d->try = &d->result.tries[d->result.n_tries++];
	*d->try = (struct deliver_try){
		.candidate = *c,
		.nexthop = d->nexthops[d->nexthop - 1],
		.subject = {
			.nexthop = route_table_key(d->result.protocol,
						   d->nexthops[d->nexthop - 1]),
			.host = c->host,
			.port = c->port,
			.has_tls_required_no = d->message.has_tls_required_no,
			.has_requiretls = d->message.has_requiretls,
			.has_null_sender = d->message.sender.n == 0,
			.is_lmtp = d->result.protocol == ROUTE_LMTP,
		},
	};
}

static void deliver_note_trouble(struct deliver *d, enum outcome_kind kind, struct status status,
				 struct str reason)
{
	d->try->trouble = (struct outcome){
		.kind = kind,
		.status = status,
		.reason = reason,
		.remote_host = deliver_peer_name(d),
	};
}

/* The host is no good: what is left waits for the next one, or for good if there is none. */
static void deliver_host_trouble(struct deliver *d, enum outcome_kind kind, struct status status,
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

/* A host that the policy does not let be used, before or after it was met. */
static void deliver_host_refused(struct deliver *d, struct status status, struct str reason)
{
	if (status.class == 5)
		deliver_host_unfit(d, status, reason);
	else
		deliver_host_trouble(d, OUTCOME_DEFERRED, status, reason);
}

/* The words of an engine's outcome, with the name of the host that the engine does not know. */
static struct str deliver_reason(struct deliver *d, enum smtp_client_cause cause, struct str reason)
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

/* ---- a session ---- */

/* RFC 6531 section 3.2, for this transaction: a recipient elsewhere does not bind this server. */
static bool deliver_needs_smtputf8(const struct deliver *d, size_t n)
{
	bool is_needed = d->message.is_smtputf8;

	for (size_t i = 0; i < n && !is_needed; i++)
		is_needed = !domain_is_ascii(d->sent[i].address) &&
			    conf_bool(d->site->conf, CONF_smtputf8_enable);
	return is_needed;
}

static void deliver_send(struct deliver *d)
{
	size_t n = 0;

	for (size_t i = 0; i < d->result.n_rcpts; i++) {
		if (d->pending[i].is_final)
			continue;
		d->sent[n] = d->result.rcpts[i].rcpt;
		d->sent_index[n++] = i;
	}
	d->mail = (struct smtp_mail){
		.sender = d->message.sender,
		.size_octets = d->message.size_octets,
		.is_8bit = d->message.is_8bit,
		.has_8bit_header = d->message.has_8bit_header,
		.is_smtputf8 = deliver_needs_smtputf8(d, n),
		.is_requiretls = d->try->judgement.is_requiretls_sent,
		.ret = d->message.ret,
		.envid = d->message.envid,
		.rcpts = d->sent,
		.n_rcpts = n,
	};
	d->is_mail_begun = true;
	session_mail(d->session, &d->mail, d->message.content);
}

/* The server says our own name: mail that goes there comes back. On other ports than 25 it is
 * another server of the same machine, as in Postfix. */
static bool deliver_is_loop(const struct deliver *d)
{
	return d->result.protocol == ROUTE_SMTP && d->try->candidate.port == 25 &&
	       str_ieq_ascii(smtp_client_hello_name(session_smtp(d->session)),
			     conf_str(d->site->conf, CONF_myhostname));
}

/* As in Postfix: the best MX host being us is for good, another one may be a mistake of today. */
static void deliver_loop_trouble(struct deliver *d)
{
	const struct route_host *best = &d->hosts->v[0], *this = &d->try->candidate;
	bool is_best =
		best->preference == this->preference && str_ieq_ascii(best->host, this->host);

	deliver_host_trouble(d, is_best ? OUTCOME_BOUNCED : OUTCOME_DEFERRED,
			     STATUS(is_best ? 5 : 4, 4, 6),
			     arena_fmt(d->arena,
				       "host " STR_FMT
				       " greets with our own name: mail for " STR_FMT
				       " loops back to myself",
				       STR_ARG(deliver_peer_name(d)), STR_ARG(d->try->nexthop)));
}

typedef struct policy_judgement
deliver_judging(struct arena *a, const struct policy_decision *d, const struct tls_peer *seen);

/* True when the policy accepts what the host showed so far. */
static bool deliver_judge(struct deliver *d, deliver_judging *judge)
{
	struct deliver_try *t = d->try;

	t->peer = session_peer(d->session, d->arena);
	t->judgement = judge(d->arena, &t->decision, &t->peer);
	t->is_judged = true;
	if (!t->judgement.is_acceptable)
		deliver_host_refused(d, t->judgement.status, t->judgement.reason);
	return t->judgement.is_acceptable;
}

static bool deliver_on_secured(void *arg)
{
	return deliver_judge(arg, policy_judge);
}

/* What EHLO says matters to REQUIRETLS alone: else the judgement after the handshake stands. */
static bool deliver_is_accepted(struct deliver *d)
{
	const struct deliver_try *t = d->try;

	if (t->is_judged && t->decision.requiretls == REQUIRETLS_NOT_ASKED)
		return t->judgement.is_acceptable;
	return deliver_judge(d, policy_judge_ready);
}

static void deliver_on_ready(void *arg)
{
	struct deliver *d = arg;
	struct deliver_try *t = d->try;

	/* first: an impostor must not have mail returned that the policy makes wait */
	if (deliver_is_accepted(d) && deliver_is_loop(d))
		deliver_loop_trouble(d);
	if (t->trouble.reason.n > 0) {
		session_quit(d->session);
		return;
	}
	session_keep_tls(d->session);
	d->n_sessions++;
	deliver_send(d);
}

/* The peer had given up the kept session, which is no trouble with anything. A peer that lets us
 * wait is. */
static bool deliver_is_stale(const struct deliver *d, enum smtp_client_cause cause)
{
	return d->try->is_reused && cause != SMTP_CAUSE_TIMEOUT && session_is_stale(d->session);
}

static void deliver_on_rcpt(void *arg, const struct smtp_client_event *ev)
{
	struct deliver *d = arg;
	size_t i = d->sent_index[ev->index];
	if (deliver_is_stale(d, ev->cause))
		return;
	struct outcome o = outcome_copy(d->arena, &ev->outcome);

	o.reason = deliver_reason(d, ev->cause, ev->outcome.reason);
	o.remote_host = deliver_peer_name(d);
	deliver_settle(d, i, &o, o.kind != OUTCOME_DEFERRED || !ev->may_try_next_host);
	d->result.rcpts[i].is_fate_unknown |= ev->is_fate_unknown;
	d->try->is_fate_unknown |= ev->is_fate_unknown;
}

static void deliver_record(struct deliver *d)
{
	struct deliver_try *t = d->try;
	const struct smtp_client *smtp = session_smtp(d->session);

	t->peer = session_peer(d->session, d->arena);
	t->times = session_times(d->session);
	t->use_count = session_n_mails(d->session);
	if (!smtp)
		return;
	t->greeting = arena_str(d->arena, smtp_client_greeting(smtp));
	t->transcript = arena_str(d->arena, smtp_client_transcript(smtp));
	t->extensions = smtp_client_extensions(smtp);
}

/* A host that defers everything is not kept from other senders. */
static bool deliver_has_answer(const struct deliver *d)
{
	for (size_t i = 0; i < d->mail.n_rcpts; i++)
		if (d->result.rcpts[d->sent_index[i]].outcome.kind != OUTCOME_DEFERRED)
			return true;
	return false;
}

static bool deliver_may_keep(struct deliver *d)
{
	const struct conf *conf = d->client->conf;
	const struct deliver_try *t = d->try;

	return d->key.whole.n > 0 && session_is_idle(d->session) && deliver_has_answer(d) &&
	       deliver_reuse_idle_ms(conf) > 0 &&
	       deliver_reuse_is_wanted(conf, &t->decision, t->peer.is_tls) &&
	       deliver_reuse_is_within_limits(conf, d->session);
}

static void deliver_on_done(void *arg)
{
	struct deliver *d = arg;

	if (!deliver_may_keep(d)) {
		session_quit(d->session);
		return;
	}
	deliver_record(d);
	deliver_pool_put(d->site->pool, &d->key, d->session,
			 deliver_reuse_idle_ms(d->client->conf));
	d->session = NULL;
	deliver_next_host(d);
}

/* TLS broke, before or after it came up. What the peer said inside is no fault of TLS. */
static bool deliver_is_tls_trouble(const struct deliver_try *t, const struct session_end *end)
{
	bool is_cut = end->cause == SMTP_CAUSE_LOST || end->cause == SMTP_CAUSE_TIMEOUT;

	return end->kind == SESSION_TLS_FAILED ||
	       (end->kind == SESSION_FAILED && t->peer.is_tls && is_cut);
}

/* TLS carried the message to its last octet, and it may have been taken: sending it again, and in
 * the clear, can wait. */
static bool deliver_is_doubtful(const struct deliver *d)
{
	for (size_t i = 0; i < d->result.n_rcpts; i++)
		if (!d->pending[i].is_final && d->result.rcpts[i].is_fate_unknown)
			return true;
	return false;
}

/* Level may, and the message has waited long enough: once more without TLS. */
static bool deliver_may_fall_back(const struct deliver *d, const struct session_end *end)
{
	const struct deliver_try *t = d->try;

	return t->decision.level == TLS_LEVEL_MAY && !t->is_plaintext_retry && !t->is_reused &&
	       t->decision.requiretls < REQUIRETLS_STARTTLS && deliver_n_pending(d) > 0 &&
	       !deliver_is_doubtful(d) &&
	       d->message.age_s >= conf_time_s(d->site->conf, CONF_minimal_backoff_time) &&
	       deliver_is_tls_trouble(t, end);
}

static void deliver_session_trouble(struct deliver *d, const struct session_end *end)
{
	struct deliver_try *t = d->try;
	struct str peer = deliver_peer_name(d);

	switch (end->kind) {
	case SESSION_QUIT:
		return;
	case SESSION_NOT_CONNECTED:
		t->kind = DELIVER_TRY_CONNECT;
		deliver_note_trouble(d, OUTCOME_DEFERRED, end->outcome.status,
				     arena_fmt(d->arena, "connect to " STR_FMT ": " STR_FMT,
					       STR_ARG(peer), STR_ARG(end->outcome.reason)));
		deliver_settle_unmet(d, &t->trouble);
		return;
	case SESSION_TLS_FAILED:
		t->judgement = policy_judge(d->arena, &t->decision, &t->peer);
		t->is_judged = true;
		CHECK(!t->judgement.is_acceptable);
		deliver_host_refused(d, t->judgement.status, t->judgement.reason);
		return;
	case SESSION_FAILED:
		if (t->trouble.reason.n > 0)
			return; /* why the host is not used has been said */
		deliver_note_trouble(d, end->outcome.kind, end->outcome.status,
				     deliver_reason(d, end->cause, end->outcome.reason));
		t->trouble.reply = end->outcome.reply;
		t->trouble.reply.text = arena_str(d->arena, end->outcome.reply.text);
		if (!d->is_mail_begun)
			deliver_settle_all(d, &t->trouble,
					   end->outcome.kind == OUTCOME_BOUNCED ||
						   !end->may_try_next_host);
		return;
	}
}

/* The same host again, with nothing that was kept. */
static void deliver_connect_afresh(struct deliver *d)
{
	session_free(d->session);
	d->session = NULL;
	d->n_sessions -= d->try->is_reused;
	d->try->is_reused = d->try->is_judged = false;
	d->is_stale = true;
	deliver_connect(d, false);
}

static void deliver_on_over(void *arg, const struct session_end *end)
{
	struct deliver *d = arg;

	bool is_refused = end->kind == SESSION_TLS_FAILED && session_was_tls_offered(d->session);
	bool is_dead = end->kind == SESSION_FAILED && deliver_is_stale(d, end->cause);
	if (is_refused || is_dead) {
		deliver_connect_afresh(d);
		return;
	}
	deliver_record(d);
	deliver_session_trouble(d, end);
	bool falls_back = deliver_may_fall_back(d, end);
	session_free(d->session);
	d->session = NULL;
	if (falls_back) {
		d->n_sessions -= d->is_mail_begun; /* the second try takes its place */
		deliver_connect(d, true);
		return;
	}
	deliver_next_host(d);
}

static const struct session_calls session_calls = {
	.secured = deliver_on_secured,
	.ready = deliver_on_ready,
	.rcpt = deliver_on_rcpt,
	.done = deliver_on_done,
	.over = deliver_on_over,
};

static void deliver_begin_plaintext(struct deliver *d)
{
	struct deliver_try before = *d->try;

	deliver_add_try(d, &before.candidate);
	d->try->decision = before.decision;
	d->try->is_plaintext_retry = true;
}

/* A kept session showed all it has to show. Its key says that it was judged by an equal decision;
 * that this one is as content is asked again, and costs nothing. */
static bool deliver_suits(struct deliver *d, struct session *s)
{
	struct deliver_try *t = d->try;
	const struct conf *conf = d->client->conf;

	t->peer = session_peer(s, d->arena);
	t->judgement = policy_judge_ready(d->arena, &t->decision, &t->peer);
	return t->judgement.is_acceptable && deliver_reuse_is_within_limits(conf, s) &&
	       deliver_reuse_is_wanted(conf, &t->decision, t->peer.is_tls);
}

static struct session *deliver_take_kept(struct deliver *d)
{
	struct session *s = NULL;

	if (d->key.whole.n == 0 || d->is_stale)
		return NULL;
	while ((s = deliver_pool_take(d->site->pool, &d->key)) && !deliver_suits(d, s))
		session_leave(s);
	return s;
}

static void deliver_connect(struct deliver *d, bool is_plaintext_retry)
{
	struct session_options o = deliver_session_options(d->client->conf, d->result.protocol);

	if (is_plaintext_retry)
		deliver_begin_plaintext(d);
	struct deliver_try *t = d->try;
	struct net_endpoint source;
	t->kind = DELIVER_TRY_SESSION;
	o.loop = d->site->loop;
	o.to = (struct net_endpoint){ t->candidate.address, t->candidate.port };
	o.socket = t->candidate.socket;
	if (deliver_source_address(d->client->conf, t->candidate.address.family, &source))
		o.source = &source;
	o.tls = d->client->tls;
	o.demand = deliver_tls_demand(&t->decision);
	o.smtp.starttls = t->decision.level == TLS_LEVEL_NONE || is_plaintext_retry
				  ? SMTP_STARTTLS_NEVER
				  : SMTP_STARTTLS_IF_OFFERED;
	d->is_mail_begun = false;
	d->key = (struct deliver_pool_key){ 0 };
	if (d->site->pool && !is_plaintext_retry)
		d->key = deliver_reuse_key(d->arena, d->client, &o, d->result.protocol,
					   &t->candidate, &t->decision);
	if (!d->is_stale)
		o.demand.session_key = d->key.whole;
	d->session = deliver_take_kept(d);
	if (!d->session) {
		d->session = session_start(&o, &session_calls, d);
		return;
	}
	session_adopt(d->session, &session_calls, d);
	t->is_reused = t->is_judged = true;
	d->n_sessions++;
	deliver_send(d);
}

/* ---- the policy of a host ---- */

static size_t deliver_policy_step(void *arg, struct fact_set facts, const struct question **asks)
{
	struct deliver *d = arg;

	d->policy = policy_step(d->arena, d->client->policy, &d->try->subject, facts);
	*asks = &d->policy.u.ask;
	return d->policy.kind == POLICY_ASK ? 1 : 0;
}

static void deliver_decided(struct deliver *d, const struct policy_decision *decision)
{
	struct deliver_try *t = d->try;

	t->decision = *decision;
	if (policy_decision_allows_host(&t->decision)) {
		deliver_connect(d, false);
		return;
	}
	const struct policy_error *why =
		t->decision.error.status.class ? &t->decision.error : &t->decision.refusal;
	t->kind = DELIVER_TRY_SKIPPED;
	deliver_host_refused(d, why->status, why->reason);
	deliver_next_host(d);
}

static void deliver_policy_done(void *arg, const struct error *e)
{
	struct deliver *d = arg;
	struct deliver_try *t = d->try;

	ask_run_free(d->run);
	d->run = NULL;
	if (e) {
		t->kind = DELIVER_TRY_SKIPPED;
		deliver_host_trouble(d, OUTCOME_DEFERRED, STATUS(4, 3, 0),
				     arena_str(d->arena, error_text(e)));
		deliver_next_host(d);
		return;
	}
	deliver_cached_add(&d->cached, &t->subject);
	deliver_decided(d, &d->policy.u.decided);
}

/* Without asking when it was decided before; that is, with the tables as they are. */
static void deliver_decide(struct deliver *d)
{
	const struct policy_decision *known = deliver_cached_find(&d->cached, &d->try->subject);
	struct ask_stepper stepper = { deliver_policy_step, deliver_policy_done, d };

	if (known)
		deliver_decided(d, known);
	else
		d->run = ask_run_new(d->site->ask, &stepper, d->facts);
}

/* ---- hosts and destinations ---- */

static bool deliver_is_host_left(const struct deliver *d)
{
	bool is_limit_reached =
		d->hosts->session_limit > 0 && d->n_sessions >= d->hosts->session_limit;

	return d->candidate < d->hosts->n && !is_limit_reached;
}

/* Hosts that are as good as each other. */
static bool deliver_are_equal(const struct route_host *a, const struct route_host *b)
{
	return a->is_mx == b->is_mx && a->preference == b->preference;
}

/* The next in order; among equals one that there is a session with. */
static const struct route_host *deliver_pick(struct deliver *d)
{
	const struct route_host *v = d->hosts->v;
	size_t *order = d->order + d->candidate, first = order[0];
	size_t n = d->hosts->n - d->candidate;

	d->candidate++;
	if (!d->site->pool || deliver_pool_count(d->site->pool) == 0)
		return &v[first];
	for (size_t i = 0; i < n && deliver_are_equal(&v[order[i]], &v[first]); i++) {
		struct str place = deliver_reuse_place(d->arena, d->result.protocol, &v[order[i]]);
		if (!deliver_pool_has(d->site->pool, place))
			continue;
		order[0] = order[i];
		order[i] = first;
		break;
	}
	return &v[order[0]];
}

static void deliver_next_host(struct deliver *d)
{
	if (deliver_n_pending(d) == 0) {
		deliver_finish(d);
		return;
	}
	if (!deliver_is_host_left(d)) {
		deliver_next_nexthop(d);
		return;
	}
	d->is_stale = false;
	deliver_add_try(d, deliver_pick(d));
	deliver_decide(d);
}

static size_t deliver_route_step(void *arg, struct fact_set facts, const struct question **asks)
{
	struct deliver *d = arg;

	d->route = route_hosts_step(d->arena, d->site->route, d->result.protocol,
				    d->nexthops[d->nexthop - 1], d->seed, facts);
	if (d->route.kind == ROUTE_HOSTS_DONE)
		return 0;
	*asks = d->route.u.ask.v;
	return d->route.u.ask.n;
}

static void deliver_route_done(void *arg, const struct error *e)
{
	struct deliver *d = arg;

	ask_run_free(d->run);
	d->run = NULL;
	d->try = NULL;
	if (e) {
		struct outcome o = {
			.kind = OUTCOME_DEFERRED,
			.status = STATUS(4, 3, 0),
			.reason = arena_str(d->arena, error_text(e)),
		};
		deliver_settle_unmet(d, &o);
		deliver_next_nexthop(d);
		return;
	}
	struct deliver_hosts *h = &d->result.hosts[d->result.n_hosts++];
	h->nexthop = d->nexthops[d->nexthop - 1];
	h->hosts = d->route.u.done;
	d->hosts = &h->hosts;
	d->candidate = 0;
	d->n_sessions = 0;
	d->order = ARENA_ARRAY(d->arena, h->hosts.n, size_t);
	for (size_t i = 0; i < h->hosts.n; i++)
		d->order[i] = i;
	if (h->hosts.is_last)
		d->n_nexthops = d->nexthop;
	if (h->hosts.n == 0 && h->hosts.failure.kind == OUTCOME_DEFERRED)
		deliver_settle_unmet(d, &h->hosts.failure);
	else if (h->hosts.n == 0)
		/* a bounce is the last word only at the last destination */
		deliver_settle_all(d, &h->hosts.failure,
				   h->hosts.failure.kind == OUTCOME_BOUNCED &&
					   d->nexthop == d->n_nexthops);
	deliver_next_host(d);
}

static void deliver_next_nexthop(struct deliver *d)
{
	if (d->nexthop == d->n_nexthops) {
		deliver_finish(d);
		return;
	}
	d->nexthop++;
	struct ask_stepper stepper = { deliver_route_step, deliver_route_done, d };
	d->run = ask_run_new(d->site->ask, &stepper, d->facts);
}

/* ---- from outside ---- */

const struct deliver_client *
deliver_client_of(const struct deliver_site *site, enum route_protocol protocol)
{
	return protocol == ROUTE_LMTP ? &site->lmtp : &site->smtp;
}

struct deliver *deliver_start(const struct deliver_site *site,
			      const struct deliver_message *message, const struct deliver_job *job,
			      deliver_done *done, void *arg)
{
	struct deliver *d = base_alloc(sizeof(*d));

	CHECK(job->n_rcpts > 0);
	d->site = site;
	d->client = deliver_client_of(site, job->protocol);
	d->message = *message;
	d->done = done;
	d->arg = arg;
	d->seed = job->seed;
	d->arena = arena_new();
	d->facts = fact_list_new(d->arena);
	deliver_cached_begin(&d->cached, site->ask, d->client, d->arena, d->facts);
	d->result.transport = job->transport;
	d->result.nexthop = job->nexthop;
	d->result.protocol = job->protocol;
	d->result.n_rcpts = job->n_rcpts;
	d->result.rcpts = ARENA_ARRAY(d->arena, job->n_rcpts, struct deliver_rcpt);
	d->pending = ARENA_ARRAY(d->arena, job->n_rcpts, struct pending);
	d->sent = ARENA_ARRAY(d->arena, job->n_rcpts, struct smtp_rcpt);
	d->sent_index = ARENA_ARRAY(d->arena, job->n_rcpts, size_t);
	for (size_t i = 0; i < job->n_rcpts; i++)
		d->result.rcpts[i].rcpt = job->rcpts[i];
	d->n_nexthops = route_nexthops(d->arena, job->nexthop, &d->nexthops);
	d->result.hosts = ARENA_ARRAY(d->arena, d->n_nexthops, struct deliver_hosts);
	deliver_next_nexthop(d);
	return d;
}

void deliver_free(struct deliver *d)
{
	if (!d)
		return;
	ask_run_free(d->run);
	session_free(d->session);
	deliver_cached_end(&d->cached);
	arena_free(d->arena);
	free(d);
}
