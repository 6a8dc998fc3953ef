/* The present try's session, kept or new: whether its peer is judged good enough, what it says of
 * each recipient, and what is done when it breaks. */

#include "deliver/inside.h"
#include "deliver/reuse.h"
#include "deliver/site_options.h"
#include "mail/domain.h"

/* RFC 6531 section 3.2, for this transaction: a recipient elsewhere does not bind this server. */
static bool deliver_needs_smtputf8(const struct deliver *d, size_t n)
{
	bool is_needed = d->message.is_smtputf8;

	for (size_t i = 0; i < n && !is_needed; i++)
		is_needed = !domain_is_ascii(d->sent[i].address) &&
			    conf_bool(d->site->conf, CONF_smtputf8_enable);
	return is_needed;
}

void deliver_send(struct deliver *d)
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
		.has_dummy_auth = deliver_has_login(d) &&
				  conf_bool(d->client->conf, CONF_smtp_send_dummy_mail_auth),
		.ret = d->message.ret,
		.envid = d->message.envid,
		.rcpts = d->sent,
		.n_rcpts = n,
	};
	d->is_mail_begun = true;
	d->n_sessions++;
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
	if (!deliver_log_in(d))
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
	if (d->login.is_taken || t->is_reused) /* a session is kept when mail went through it */
		t->login.mechanism = arena_str(d->arena, smtp_client_auth_mechanism(smtp));
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

/* Level may, and the message has waited long enough: once more without TLS. Not where we would log
 * in: whoever breaks TLS would be told the password, or have the mail refused for the lack of it.
 * As in Postfix. */
static bool deliver_may_fall_back(const struct deliver *d, const struct session_end *end)
{
	const struct deliver_try *t = d->try;

	return t->decision.level == TLS_LEVEL_MAY && !t->is_plaintext_retry && !t->is_reused &&
	       t->decision.requiretls < REQUIRETLS_STARTTLS && deliver_n_pending(d) > 0 &&
	       !deliver_is_doubtful(d) && !deliver_has_login(d) &&
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
		t->is_shortage = end->is_shortage;
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
	.challenge = deliver_on_challenge,
	.authenticated = deliver_on_authenticated,
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

void deliver_connect(struct deliver *d, bool is_plaintext_retry)
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
					   &t->candidate, &t->decision, deliver_login_label(d));
	if (!d->is_stale)
		o.demand.session_key = d->key.whole;
	d->session = deliver_take_kept(d);
	if (!d->session) {
		o.n_open = d->site->pool ? deliver_pool_make_room(d->site->pool) : NULL;
		d->session = session_start(&o, &session_calls, d);
		return;
	}
	session_adopt(d->session, &session_calls, d);
	t->is_reused = t->is_judged = true;
	deliver_send(d);
}
