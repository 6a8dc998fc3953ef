/* Logging in at the present try's host: smtp_sasl_password_maps, and AUTH. As in Postfix a host for
 * which there is a login must take it if it offers AUTH at all; one that does not offer it gets the
 * mail as from a stranger. The policy has judged the session before a word of the login is said.
 *
 * What the tables say is no fact of the attempt: facts are evidence, and evidence is shown. */

#include "deliver/login.h"

#include <string.h>

#include "deliver/inside.h"
#include "mail/mailbox.h"

bool deliver_has_login(const struct deliver *d)
{
	return d->login.user.n > 0;
}

static void wipe(struct str s)
{
	if (s.n)
		explicit_bzero((char *)(uintptr_t)s.p, s.n);
}

void deliver_forget_login(struct deliver *d)
{
	struct login *l = &d->login;

	if (l->query)
		ask_cancel(l->query);
	sasl_client_free(l->sasl);
	wipe(l->password);
	*l = (struct login){ 0 };
}

/* ---- the lookup ---- */

static struct str maps_name(const struct deliver *d)
{
	return conf_name_in(d->client->conf, CONF_smtp_sasl_password_maps);
}

static void give_up(struct deliver *d, struct status status, struct str reason)
{
	d->try->kind = DELIVER_TRY_SKIPPED;
	deliver_forget_login(d);
	deliver_host_trouble(d, OUTCOME_DEFERRED, status, reason);
	deliver_next_host(d);
}

/* A list that cannot be asked must not have mail go without the login that it needs. */
static void lookup_failed(struct deliver *d, const struct answer *answer)
{
	give_up(d, STATUS(4, 3, 0),
		arena_fmt(d->arena, STR_FMT ": the lookup of " STR_FMT " failed: " STR_FMT,
			  STR_ARG(maps_name(d)), STR_ARG(d->login.keys[d->login.key].text),
			  STR_ARG(answer->failure)));
}

static void take_entry(struct deliver *d, const struct answer *answer)
{
	struct str delimiter = conf_str(d->client->conf, CONF_smtp_sasl_password_result_delimiter);
	struct str user, password, key = d->login.keys[d->login.key].text;

	if (!route_login_split(answer->value, delimiter, &user, &password)) {
		give_up(d, STATUS(4, 3, 5),
			arena_fmt(d->arena,
				  STR_FMT ": what it has for " STR_FMT " is not username" STR_FMT
					  "password",
				  STR_ARG(maps_name(d)), STR_ARG(key), STR_ARG(delimiter)));
		return;
	}
	d->login.user = arena_str(d->arena, user);
	d->login.password = arena_str(d->arena, password);
	d->try->login = (struct deliver_login){
		.key = arena_str(d->arena, key),
		.source = arena_str(d->arena, answer->source),
		.file = arena_str(d->arena, answer->file),
		.line = answer->line,
	};
	deliver_connect(d, false);
}

static void ask_next(struct deliver *d);

static void on_answer(void *arg, const struct answer *answer)
{
	struct deliver *d = arg;

	d->login.query = NULL;
	CHECK(answer);
	switch (answer->status) {
	case ANSWER_FOUND:
		take_entry(d, answer);
		return;
	case ANSWER_NONE:
		d->login.key++;
		ask_next(d);
		return;
	case ANSWER_FAILED:
		lookup_failed(d, answer);
		return;
	}
}

static void ask_next(struct deliver *d)
{
	struct login *l = &d->login;

	if (l->key == l->n_keys) {
		deliver_connect(d, false);
		return;
	}
	struct question q = {
		.kind = QUESTION_TABLE,
		.table = maps_name(d),
		.name = l->keys[l->key].text,
		.is_partial = l->keys[l->key].is_partial,
	};
	l->query = ask_question(d->site->ask, &q, on_answer, d);
}

static void ask_all(struct deliver *d, bool is_sender_our_own)
{
	const struct deliver_try *t = d->try;
	struct route_login_subject s = {
		.protocol = d->result.protocol,
		.sender = d->message.sender,
		.is_sender_our_own = is_sender_our_own,
		.host = t->candidate.host,
		.nexthop = t->nexthop,
	};

	d->login.n_keys = route_login_keys(d->arena, d->client->conf, &s, d->login.keys);
	ask_next(d);
}

static size_t own_step(void *arg, struct fact_set facts, const struct question **asks)
{
	struct deliver *d = arg;
	struct mailbox m;

	d->login.own = (struct route_own_step){ .kind = ROUTE_OWN_NO };
	if (mailbox_parse(d->message.sender, &m) && m.domain.n)
		d->login.own = route_own_step(d->arena, d->site->route, m.domain, facts);
	*asks = d->login.own.ask.v;
	return d->login.own.ask.n;
}

static void own_done(void *arg, const struct error *e)
{
	struct deliver *d = arg;

	ask_run_free(d->run);
	d->run = NULL;
	if (e)
		give_up(d, STATUS(4, 3, 0), arena_str(d->arena, error_text(e)));
	else if (d->login.own.kind == ROUTE_OWN_FAILED)
		give_up(d, STATUS(4, 3, 0),
			STR("mydestination: the lookup of the sender's domain failed"));
	else
		ask_all(d, d->login.own.kind == ROUTE_OWN_YES);
}

void deliver_find_login(struct deliver *d)
{
	const struct conf *conf = d->client->conf;
	struct ask_stepper stepper = { own_step, own_done, d };

	deliver_forget_login(d);
	if (!conf_bool(conf, CONF_smtp_sasl_auth_enable))
		ask_next(d);
	else if (route_login_has_sender(conf, d->result.protocol, d->message.sender))
		d->run = ask_run_new(d->site->ask, &stepper, d->facts);
	else
		ask_all(d, false);
}

/* ---- terms ---- */

/* Of which kind of session it is: what a mechanism must keep up. */
static enum conf_id terms_of(const struct deliver_try *t)
{
	if (!t->peer.is_tls)
		return CONF_smtp_sasl_security_options;
	return t->judgement.reached == TLS_VERIFIED ? CONF_smtp_sasl_tls_verified_security_options
						    : CONF_smtp_sasl_tls_security_options;
}

struct str deliver_login_label(struct deliver *d)
{
	static const enum conf_id ids[] = {
		CONF_smtp_sasl_mechanism_filter,
		CONF_smtp_sasl_security_options,
		CONF_smtp_sasl_tls_security_options,
		CONF_smtp_sasl_tls_verified_security_options,
	};
	struct str label;

	if (!deliver_has_login(d))
		return STR("");
	label = sasl_login_label(d->arena, d->login.user, d->login.password);
	for (size_t i = 0; i < ARRAY_LEN(ids); i++)
		label = arena_fmt(d->arena, STR_FMT ";" STR_FMT, STR_ARG(label),
				  STR_ARG(conf_str(d->client->conf, ids[i])));
	return label;
}

/* ---- AUTH ---- */

static void refuse(struct deliver *d, struct outcome o)
{
	struct deliver_try *t = d->try;

	sasl_client_free(d->login.sasl);
	d->login.sasl = NULL;
	deliver_note_trouble(d, o.kind, o.status, o.reason);
	t->trouble.reply = o.reply;
	t->trouble.reply.text = arena_str(d->arena, o.reply.text);
	deliver_settle_all(d, &t->trouble, o.kind == OUTCOME_BOUNCED);
	session_quit(d->session);
}

static void refuse_here(struct deliver *d, struct str reason)
{
	refuse(d, (struct outcome){
			  .kind = OUTCOME_DEFERRED,
			  .status = STATUS(4, 7, 0),
			  .reason = reason,
		  });
}

static void no_mechanism(struct deliver *d, struct str offered, enum conf_id terms)
{
	const struct conf *conf = d->client->conf;
	struct str filter = conf_str(conf, CONF_smtp_sasl_mechanism_filter);
	refuse_here(d, arena_fmt(d->arena,
				 "SASL authentication failed: host " STR_FMT
				 " offers no mechanism that may be used: it offers \"" STR_FMT
				 "\", and " STR_FMT " = " STR_FMT "%s" STR_FMT,
				 STR_ARG(deliver_peer_name(d)), STR_ARG(offered),
				 STR_ARG(conf_name_in(conf, terms)), STR_ARG(conf_str(conf, terms)),
				 filter.n ? ", filtered by " : "", STR_ARG(filter)));
}

static struct sasl_client *begin(struct deliver *d, struct str mechanism, struct str binding)
{
	struct sasl_login o = {
		.mechanism = mechanism,
		.hostname = d->try->candidate.host,
		.user = d->login.user,
		.password = d->login.password,
		.binding = binding,
	};

	CHECK(d->site->sasl);
	return sasl_client_new(d->site->sasl, &o);
}

static void start(struct deliver *d, struct str mechanism, struct str binding)
{
	struct str initial = STR_NONE;

	d->login.sasl = begin(d, mechanism, binding);
	if (sasl_client_is_first(d->login.sasl)) {
		if (!sasl_client_step(d->login.sasl, STR_NONE)) {
			refuse_here(d,
				    STR("SASL authentication failed: the login cannot be said in "
					"the words of the mechanism"));
			return;
		}
		initial = sasl_client_output(d->login.sasl);
	}
	session_auth(d->session, mechanism, initial);
}

bool deliver_log_in(struct deliver *d)
{
	const struct smtp_client *smtp = session_smtp(d->session);
	const struct conf *conf = d->client->conf;
	struct str offered = smtp_client_mechanisms(smtp), mechanism, bad;
	char binding[TLS_EXPORTER_SIZE];
	bool has_binding = session_binding(d->session, binding);
	enum conf_id terms = terms_of(d->try);
	struct sasl_wish w = {
		.offered = offered,
		.filter = conf_str(conf, CONF_smtp_sasl_mechanism_filter),
		.has_binding = has_binding,
	};

	if (!deliver_has_login(d) || !(smtp_client_extensions(smtp) & SMTP_EXT_AUTH))
		return false;
	if (!sasl_traits_parse(conf_str(conf, terms), &w.traits, &bad))
		w.traits = ~0u;
	mechanism = sasl_choose(&w);
	if (mechanism.n == 0)
		no_mechanism(d, offered, terms);
	else
		start(d, mechanism, has_binding ? str_span(binding, sizeof(binding)) : STR_NONE);
	return true;
}

void deliver_on_challenge(void *arg, struct str octets)
{
	struct deliver *d = arg;

	if (sasl_client_step(d->login.sasl, octets))
		session_auth_response(d->session, sasl_client_output(d->login.sasl));
	else
		session_auth_cancel(d->session, STR("its challenge makes no sense, or it does not "
						    "know the password itself"));
}

/* The reason that the engine gives, with whose it is. */
static struct str refusal(struct deliver *d, const struct smtp_client_event *ev)
{
	struct str peer = deliver_peer_name(d), why = ev->outcome.reason;

	if (ev->cause == SMTP_CAUSE_REPLY)
		return arena_fmt(d->arena,
				 "SASL authentication failed; host " STR_FMT " said: " STR_FMT,
				 STR_ARG(peer), STR_ARG(why));
	return arena_fmt(d->arena, "SASL authentication failed: host " STR_FMT ": " STR_FMT,
			 STR_ARG(peer), STR_ARG(why));
}

void deliver_on_authenticated(void *arg, const struct smtp_client_event *ev)
{
	struct deliver *d = arg;
	struct outcome o = ev->outcome;
	bool is_complete = sasl_client_is_complete(d->login.sasl);

	sasl_client_free(d->login.sasl);
	d->login.sasl = NULL;
	d->login.is_taken = o.kind == OUTCOME_DELIVERED && is_complete;
	if (d->login.is_taken) {
		deliver_send(d);
		return;
	}
	if (o.kind == OUTCOME_DELIVERED) {
		refuse_here(d, arena_fmt(d->arena,
					 "SASL authentication failed: host " STR_FMT
					 " took the login without the proof that it knows the "
					 "password itself",
					 STR_ARG(deliver_peer_name(d))));
		return;
	}
	if (conf_bool(d->client->conf, CONF_smtp_sasl_auth_soft_bounce)) {
		o.kind = OUTCOME_DEFERRED;
		o.status.class = 4;
	}
	o.reason = refusal(d, ev);
	refuse(d, o);
}

/* ---- the configuration ---- */

static const struct login_client {
	enum conf_id enable, maps, filter, terms[3];
} clients[] = {
	{ CONF_smtp_sasl_auth_enable,
	  CONF_smtp_sasl_password_maps,
	  CONF_smtp_sasl_mechanism_filter,
	  { CONF_smtp_sasl_security_options, CONF_smtp_sasl_tls_security_options,
	    CONF_smtp_sasl_tls_verified_security_options } },
	{ CONF_lmtp_sasl_auth_enable,
	  CONF_lmtp_sasl_password_maps,
	  CONF_lmtp_sasl_mechanism_filter,
	  { CONF_lmtp_sasl_security_options, CONF_lmtp_sasl_tls_security_options,
	    CONF_lmtp_sasl_tls_verified_security_options } },
};

static bool check_words(const struct conf *conf, const struct login_client *c, enum conf_id *blamed,
			struct error *e)
{
	unsigned traits;
	struct str bad;

	for (size_t i = 0; i < ARRAY_LEN(c->terms); i++) {
		*blamed = c->terms[i];
		if (!sasl_traits_parse(conf_str(conf, *blamed), &traits, &bad))
			return error_set(e, ERROR_CONFIG,
					 STR_FMT ": \"" STR_FMT "\" is no value of it",
					 STR_ARG(conf_name(*blamed)), STR_ARG(str_first(bad, 60)));
	}
	*blamed = c->filter;
	if (!sasl_filter_check(conf_str(conf, *blamed), &bad))
		return error_set(e, ERROR_CONFIG,
				 STR_FMT
				 ": \"" STR_FMT
				 "\": tables and files cannot be asked here, only names and "
				 "static:x",
				 STR_ARG(conf_name(*blamed)), STR_ARG(str_first(bad, 60)));
	return true;
}

bool deliver_login_check(const struct conf *conf, enum conf_id *blamed, struct error *e)
{
	for (size_t i = 0; i < ARRAY_LEN(clients); i++) {
		const struct login_client *c = &clients[i];
		if (!conf_bool(conf, c->enable))
			continue;
		*blamed = c->enable;
		if (conf_str(conf, c->maps).n == 0)
			return error_set(e, ERROR_CONFIG, STR_FMT " = yes needs " STR_FMT,
					 STR_ARG(conf_name(c->enable)),
					 STR_ARG(conf_name(c->maps)));
		if (!check_words(conf, c, blamed, e))
			return false;
	}
	return true;
}
