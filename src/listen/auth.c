/* AUTH: RFC 4954, over src/sasl and the password tables. */

#include "listen/room.h"

#include <stdlib.h>
#include <string.h>

struct listen_auth {
	struct sasl_session *sasl;
	char *mechanism;
	struct arena *arena; /* of a lookup */
	struct table_lookup *lookup;
};

static char *copy(struct str s)
{
	char *p = base_alloc(s.n + 1);

	if (s.n)
		memcpy(p, s.p, s.n);
	return p;
}

void listen_auth_drop(struct listen_session *s)
{
	struct listen_auth *a = s->auth;

	if (!a)
		return;
	if (a->lookup)
		table_lookup_cancel(a->lookup);
	sasl_session_free(a->sasl);
	arena_free(a->arena);
	free(a->mechanism);
	free(a);
	s->auth = NULL;
}

void listen_auth_forget(struct listen_session *s)
{
	free(s->user);
	free(s->method);
	s->user = s->method = NULL;
}

static void log_failed(struct listen_session *s, struct str reason)
{
	char name[LISTEN_NAME_MAX];
	struct log_value v[] = {
		{ .field = FIELD_client, .text = listen_session_name(s, name) },
		{ .field = FIELD_method, .text = str_of(s->auth->mechanism) },
		{ .field = FIELD_reason, .text = reason },
	};

	listen_session_log(s, EVENT_login_failed, v, ARRAY_LEN(v));
}

static void refuse(struct listen_session *s, struct smtp_reply r, struct str reason)
{
	log_failed(s, reason);
	listen_session_count_refusal(s, SMTP_REFUSAL_AUTH);
	listen_auth_drop(s);
	smtp_server_answer(s->engine, r, listen_session_now(s));
}

static void refuse_for_now(struct listen_session *s, struct str reason)
{
	refuse(s,
	       (struct smtp_reply){ 454, STATUS(4, 7, 0), STR("authentication does not work now") },
	       reason);
}

static void accept(struct listen_session *s)
{
	s->user = copy(sasl_session_user(s->auth->sasl));
	s->method = copy(str_of(s->auth->mechanism));
	listen_auth_drop(s);
	smtp_server_accept(s->engine, listen_session_now(s));
}

static void go_on(struct listen_session *s, enum sasl_state state);

static void looked_up(struct listen_session *s, const struct answer *answer)
{
	struct listen_auth *a = s->auth;

	if (answer->status == ANSWER_FAILED)
		refuse_for_now(s, answer->failure);
	else
		go_on(s, sasl_session_entry(a->sasl, answer->status == ANSWER_FOUND ? answer->value
										    : STR_NONE));
}

static void on_answered(void *arg, const struct answer *answer)
{
	struct listen_session *s = arg;

	s->auth->lookup = NULL;
	looked_up(s, answer);
	listen_session_turn(s);
}

static void look_up(struct listen_session *s)
{
	struct listen_auth *a = s->auth;
	struct answer answer = { .status = ANSWER_FAILED };
	struct table_query q = {
		.arena = a->arena,
		.key = sasl_session_user(a->sasl),
		.now_ms = listen_session_now(s),
		.answered = on_answered,
		.arg = s,
	};

	a->lookup = table_set_lookup(s->port->passwords, &q, &answer);
	if (!a->lookup)
		looked_up(s, &answer);
}

static void go_on(struct listen_session *s, enum sasl_state state)
{
	static const struct smtp_reply wrong = { 535, { 5, 7, 8 }, STR_INIT("that is not right") };

	switch (state) {
	case SASL_CHALLENGE:
		smtp_server_challenge(s->engine, sasl_session_output(s->auth->sasl),
				      listen_session_now(s));
		return;
	case SASL_WANTS_ENTRY:
		look_up(s);
		return;
	case SASL_ACCEPTED:
		accept(s);
		return;
	case SASL_REFUSED:
		refuse(s, wrong, STR("authentication failure"));
		return;
	case SASL_BROKEN:
		refuse_for_now(s, STR("the entry of hopseal_sasl_password_maps cannot be used"));
		return;
	}
}

static struct sasl_session *sasl_begin(struct listen_session *s, struct str mechanism)
{
	char binding[TLS_EXPORTER_SIZE];
	struct sasl_options o = {
		.mechanism = mechanism,
		.service = STR("smtp"),
		.hostname = s->port->setting->engine.hostname,
	};

	if (s->is_tls_up && tls_session_exporter(s->tls, binding))
		o.binding = str_span(binding, sizeof(binding));
	return sasl_session_new(s->port->listen->sasl, &o);
}

void listen_auth_begin(struct listen_session *s, const struct smtp_server_event *e)
{
	struct str response = e->has_response ? e->response : STR_NONE;

	if (listen_session_is_over_rate(s, LISTEN_RATE_AUTH)) {
		listen_session_refuse(s, e,
				      (struct smtp_reply){ 450, STATUS(4, 7, 1),
							   STR("too many attempts from you") });
		return;
	}
	CHECK(!s->auth);
	s->auth = base_alloc(sizeof(*s->auth));
	s->auth->mechanism = copy(e->argument);
	s->auth->arena = arena_new();
	s->auth->sasl = sasl_begin(s, e->argument);
	go_on(s, sasl_session_step(s->auth->sasl, response));
}

void listen_auth_response(struct listen_session *s, struct str response)
{
	go_on(s, sasl_session_step(s->auth->sasl, response));
}
