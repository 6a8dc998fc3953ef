/* From a recipient to its hosts. Parts of the input, NUL octets between them: main.cf, recipient,
 * next-hop (used when routing gives none), and then one answer for each question in turn, the last
 * one again and again: "!" failed, "" none, "?" no such name, other text found. An MX answer is
 * words, hosts of falling preference; an address answer is as many addresses as it has octets. */

#include "fuzz.h"

#include "route/route.h"

struct world {
	struct arena *a;
	struct fact_list *facts;
	struct str answers;
	size_t n_asked;
};

static struct str next_part(struct str *rest)
{
	struct str part;

	if (!str_cut(*rest, '\0', &part, rest)) {
		part = *rest;
		*rest = STR("");
	}
	return part;
}

static void answer_mx(struct world *w, struct str text, struct answer *out)
{
	struct mx_record *v = ARENA_ARRAY(w->a, text.n / 2 + 1, struct mx_record);
	struct str host;

	while (str_token(&text, STR(" "), &host)) {
		v[out->n_mx] = (struct mx_record){ (uint16_t)(100 - out->n_mx), host };
		if (str_eq(host, STR(".")))
			v[out->n_mx].host.n = 0;
		out->n_mx++;
	}
	out->mx = v;
}

static void answer_addresses(struct world *w, struct str text, struct answer *out)
{
	struct address *v = ARENA_ARRAY(w->a, text.n, struct address);

	for (size_t i = 0; i < text.n; i++)
		v[i] = (struct address){ text.p[i] & 1 ? ADDRESS_V6 : ADDRESS_V4,
					 { 192, 0, 2, (uint8_t)text.p[i] } };
	out->addresses = v;
	out->n_addresses = text.n;
}

static struct answer answer_of(struct world *w, const struct question *q, struct str text)
{
	struct answer answer = { .status = ANSWER_FOUND };

	if (str_eq(text, STR("!")))
		return (struct answer){ .status = ANSWER_FAILED, .failure = STR("failed") };
	if (!text.n || str_eq(text, STR("?")))
		return (struct answer){ .status = ANSWER_NONE, .is_nxdomain = text.n > 0 };
	if (q->kind == QUESTION_TABLE)
		answer.value = text;
	else if (q->kind == QUESTION_MX)
		answer_mx(w, text, &answer);
	else
		answer_addresses(w, text, &answer);
	return answer;
}

static void ask(struct world *w, const struct route_asks *asks)
{
	CHECK(asks->n > 0 && asks->n <= ROUTE_ASKS_MAX);
	for (size_t i = 0; i < asks->n; i++) {
		struct str before = w->answers, text = next_part(&w->answers);
		if (!w->answers.n)
			w->answers = before;
		CHECK(!fact_find(fact_list_set(w->facts), &asks->v[i]));
		struct answer answer = answer_of(w, &asks->v[i], text);
		fact_list_add(w->facts, &asks->v[i], &answer);
		CHECK(++w->n_asked <= ASK_RUN_MAX);
	}
}

static void check_outcome(const struct outcome *o)
{
	CHECK(o->reason.n > 0);
	CHECK(o->kind == OUTCOME_DEFERRED    ? o->status.class == 4
	      : o->kind == OUTCOME_DELIVERED ? o->status.class == 2
					     : o->status.class == 5);
}

static struct route route(struct world *w, const struct route_config *cfg, struct str recipient)
{
	for (;;) {
		struct route_step s =
			route_recipient_step(w->a, cfg, recipient, fact_list_set(w->facts));
		if (s.kind == ROUTE_DONE)
			return s.u.done;
		ask(w, &s.u.ask);
	}
}

static void hosts(struct world *w, const struct route_config *cfg, enum route_protocol protocol,
		  struct str nexthop)
{
	struct route_hosts_step s;

	for (;;) {
		s = route_hosts_step(w->a, cfg, protocol, nexthop, 1, fact_list_set(w->facts));
		if (s.kind == ROUTE_HOSTS_DONE)
			break;
		ask(w, &s.u.ask);
	}
	CHECK(s.u.done.n <= ROUTE_ADDRESSES_MAX);
	if (s.u.done.n == 0)
		check_outcome(&s.u.done.failure);
	for (size_t i = 1; i < s.u.done.n; i++)
		CHECK(s.u.done.v[i - 1].preference <= s.u.done.v[i].preference);
	for (size_t i = 0; i < s.u.done.n; i++)
		CHECK(s.u.done.v[i].host.n > 0);
}

static void walk(const struct route_config *cfg, struct arena *a, struct str rest)
{
	struct world w = { .a = a, .facts = fact_list_new(a) };
	struct str recipient = next_part(&rest), nexthop = next_part(&rest);
	const struct str *v;

	w.answers = rest;
	struct route r = route(&w, cfg, recipient);
	if (r.kind == ROUTE_DELIVER)
		CHECK(r.nexthop.n > 0 && r.transport.n > 0);
	else
		check_outcome(&r.outcome);
	CHECK(!r.trace.n || r.trace.deciding < r.trace.n);
	if (r.kind == ROUTE_DELIVER)
		nexthop = r.nexthop;
	size_t n = route_nexthops(a, nexthop, &v);
	for (size_t i = 0; i < n && i < 4; i++)
		hosts(&w, cfg, r.protocol, v[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *a = arena_new();
	struct str rest = str_span((const char *)data, size);
	struct conf_source source = { STR("main.cf"), next_part(&rest) };
	struct conf_machine machine = { STR("gw.example.net") };
	struct route_machine route_machine = {
		.own = &(struct address){ ADDRESS_V4, { 192, 0, 2, 99 } }, .n_own = 1
	};
	struct conf_findings findings;
	struct conf *conf = conf_new(&source, 1, &machine, a, &findings);

	if (conf) {
		const struct route_config *cfg = route_config_new(a, conf, &route_machine, NULL);
		if (cfg)
			walk(cfg, a, rest);
	}
	conf_unref(conf);
	arena_free(a);
	return 0;
}
