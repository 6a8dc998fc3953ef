/* Which login a server would get: the keys that delivery asks for, and where the first one is. */

#include "cmd/explain.h"

#include "route/login.h"

struct search {
	struct explain *x;
	struct route_login_key keys[ROUTE_LOGIN_KEYS_MAX];
	size_t n_keys;
	struct question question;
	struct explain_login *found;
};

static const struct conf *conf_of(const struct explain *x)
{
	return deliver_client_of(&x->site.deliver, x->protocol)->conf;
}

static void take(struct search *s, struct str key, const struct answer *answer)
{
	struct str user, password;
	struct str delimiter = conf_str(conf_of(s->x), CONF_smtp_sasl_password_result_delimiter);
	struct arena *a = s->x->arena;

	if (answer->status == ANSWER_FAILED) {
		s->found->error = arena_fmt(a, "the lookup of " STR_FMT " failed: " STR_FMT,
					    STR_ARG(key), STR_ARG(answer->failure));
		return;
	}
	s->found->key = key;
	s->found->source = arena_str(a, answer->source);
	s->found->file = arena_str(a, answer->file);
	s->found->line = answer->line;
	if (!route_login_split(answer->value, delimiter, &user, &password))
		s->found->error =
			arena_fmt(a, "what stands there is not username" STR_FMT "password",
				  STR_ARG(delimiter));
}

static size_t step(void *arg, struct fact_set facts, const struct question **asks)
{
	struct search *s = arg;

	for (size_t i = 0; i < s->n_keys; i++) {
		s->question = (struct question){
			.kind = QUESTION_TABLE,
			.table = conf_name_in(conf_of(s->x), CONF_smtp_sasl_password_maps),
			.name = s->keys[i].text,
			.is_partial = s->keys[i].is_partial,
		};
		const struct answer *answer = fact_find(facts, &s->question);
		if (!answer) {
			*asks = &s->question;
			return 1;
		}
		if (answer->status != ANSWER_NONE) {
			take(s, s->keys[i].text, answer);
			return 0;
		}
	}
	return 0;
}

static void done(void *arg, const struct error *e)
{
	struct search *s = arg;

	if (e)
		s->found->error = arena_str(s->x->arena, error_text(e));
	net_loop_stop(s->x->site.deliver.loop);
}

struct explain_login explain_login(struct explain *x, struct str nexthop, struct str host)
{
	struct explain_login found = { 0 };
	struct search s = { .x = x, .found = &found };
	struct route_login_subject subject = { .protocol = x->protocol,
					       .host = host,
					       .nexthop = nexthop };
	struct ask_stepper stepper = { step, done, &s };
	struct arena *scratch = arena_new(); /* the password goes with it */

	s.n_keys = route_login_keys(x->arena, conf_of(x), &subject, s.keys);
	struct ask_run *run = ask_run_new(x->site.deliver.ask, &stepper, fact_list_new(scratch));
	net_loop_run(x->site.deliver.loop);
	ask_run_free(run);
	arena_free(scratch);
	return found;
}
