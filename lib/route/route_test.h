/* A world in a few lines of text for the tests of the steppers, and a driver that asks it:
 *
 *	table NAME KEY VALUE...       mx DOMAIN [insecure] PREF HOST ...      "." is the null MX
 *	address HOST [insecure] ADDR ...        native HOST ADDR ...
 *	fail KIND NAME                nx KIND NAME         (KIND: a table, mx, address, native)
 *
 * What stands nowhere does not exist. */

#ifndef HOPSEAL_ROUTE_ROUTE_TEST_H
#define HOPSEAL_ROUTE_ROUTE_TEST_H

#include "base/test.h"
#include "route/route.h"

struct world {
	struct arena *a;
	struct conf *conf;
	const struct route_config *cfg;
	struct fact_list *facts;
	struct str text;
	struct str asked; /* every question: "mx example.com; address mx1.example.com; " */
	size_t n_asked, n_rounds;
	struct error e;
};

static const struct str world_blank = STR_INIT(" ");

static inline bool world_word(struct str *line, struct str *word)
{
	return str_token(line, world_blank, word);
}

static inline struct str world_kind(const struct question *q)
{
	return q->kind == QUESTION_TABLE ? q->table : question_kind_name(q->kind);
}

static inline void world_read_mx(struct arena *a, struct str rest, struct answer *out)
{
	struct mx_record *v = ARENA_ARRAY(a, rest.n, struct mx_record);
	struct str pref, host;
	uint64_t number;

	out->dnssec = DNSSEC_SECURE;
	while (world_word(&rest, &pref)) {
		if (str_eq(pref, STR("insecure"))) {
			out->dnssec = DNSSEC_INSECURE;
			continue;
		}
		CHECK(str_to_u64(pref, &number) && world_word(&rest, &host));
		if (str_eq(host, STR(".")))
			host.n = 0;
		v[out->n_mx++] = (struct mx_record){ (uint16_t)number, host };
	}
	out->mx = v;
}

static inline void world_read_addresses(struct arena *a, struct str rest, struct answer *out)
{
	struct address *v = ARENA_ARRAY(a, rest.n, struct address);
	struct str word;

	out->dnssec = DNSSEC_SECURE;
	while (world_word(&rest, &word)) {
		if (str_eq(word, STR("insecure")))
			out->dnssec = DNSSEC_INSECURE;
		else if (word.p[0] == '>')
			out->canonical = str_from(word, 1);
		else
			CHECK(address_parse(word, &v[out->n_addresses++]));
	}
	for (size_t f = 0; f < 2; f++)
		out->family[f] =
			(struct address_answer){ ANSWER_FOUND, out->dnssec, 60, STR_NONE, true };
	out->addresses = v;
}

/* The rest of the line that begins with these words. */
static inline bool world_line(const struct world *w, struct str start, struct str *rest)
{
	struct str text = w->text, line;

	while (str_token(&text, STR("\n"), &line)) {
		if (str_has_prefix(line, start) && (line.n == start.n || line.p[start.n] == ' ')) {
			*rest = str_trim(str_from(line, start.n));
			return true;
		}
	}
	return false;
}

static inline struct answer world_found(struct world *w, const struct question *q, struct str rest)
{
	struct answer answer = { .status = ANSWER_FOUND };

	if (q->kind == QUESTION_MX)
		world_read_mx(w->a, rest, &answer);
	else if (q->kind != QUESTION_TABLE)
		world_read_addresses(w->a, rest, &answer);
	else
		answer.value = rest;
	answer.file = STR("/t");
	answer.line = 7;
	return answer;
}

static inline struct answer world_answer(struct world *w, const struct question *q)
{
	struct str kind = world_kind(q), rest;
	struct str key = arena_fmt(w->a, STR_FMT " " STR_FMT, STR_ARG(kind), STR_ARG(q->name));
	struct str lead = q->kind == QUESTION_TABLE ? STR("table ") : STR("");

	if (world_line(w, arena_fmt(w->a, "fail " STR_FMT, STR_ARG(key)), &rest))
		return (struct answer){ .status = ANSWER_FAILED, .failure = STR("SERVFAIL") };
	if (world_line(w, arena_fmt(w->a, "nx " STR_FMT, STR_ARG(key)), &rest))
		return (struct answer){ .status = ANSWER_NONE, .is_nxdomain = true };
	if (world_line(w, arena_fmt(w->a, STR_FMT STR_FMT, STR_ARG(lead), STR_ARG(key)), &rest))
		return world_found(w, q, rest);
	return (struct answer){ .status = ANSWER_NONE };
}

static inline void world_ask(struct world *w, const struct route_asks *asks)
{
	CHECK(asks->n > 0);
	w->n_rounds++;
	for (size_t i = 0; i < asks->n; i++) {
		const struct question *q = &asks->v[i];
		struct answer answer = world_answer(w, q);
		CHECK(!fact_find(fact_list_set(w->facts), q)); /* never twice */
		w->asked = arena_fmt(w->a, STR_FMT STR_FMT " " STR_FMT "%s; ", STR_ARG(w->asked),
				     STR_ARG(world_kind(q)), STR_ARG(q->name),
				     q->is_partial ? "/" : "");
		w->n_asked++;
		fact_list_add(w->facts, q, &answer);
	}
}

static const struct address world_own = { ADDRESS_V4, { 192, 0, 2, 99 } };

/* `main_cf` on top of a machine named gw.example.net with the address 192.0.2.99. */
static inline struct world world_new(const char *main_cf, const char *text)
{
	struct arena *a = arena_new();
	struct conf_source sources[] = {
		{ STR("main.cf"),
		  str_of("compatibility_level = 3.9\nmyhostname = gw.example.net\n") },
		{ STR("main.cf"), str_of(main_cf) },
	};
	struct conf_machine machine = { STR("gw.example.net") };
	struct route_machine route_machine = { &world_own, 1, STR("mailname.example") };
	struct conf_findings findings;
	struct world w = { .a = a, .text = str_of(text), .facts = fact_list_new(a) };

	w.conf = conf_new(sources, 2, &machine, a, &findings);
	if (w.conf)
		w.cfg = route_config_new(a, w.conf, &route_machine, &w.e);
	for (size_t i = 0; !w.conf && i < findings.n; i++)
		if (findings.v[i].severity == CONF_ERROR)
			error_set(&w.e, ERROR_CONFIG, STR_FMT ": " STR_FMT,
				  STR_ARG(findings.v[i].param), STR_ARG(findings.v[i].text));
	return w;
}

static inline void world_free(struct world *w)
{
	conf_unref(w->conf);
	arena_free(w->a);
}

static inline struct route world_recipient(struct world *w, const char *recipient)
{
	for (;;) {
		struct route_step s = route_recipient_step(w->a, w->cfg, str_of(recipient),
							   fact_list_set(w->facts));
		if (s.kind == ROUTE_DONE)
			return s.u.done;
		world_ask(w, &s.u.ask);
	}
}

static inline struct route_hosts
world_hosts(struct world *w, enum route_protocol protocol, const char *nexthop, uint64_t seed)
{
	for (;;) {
		struct route_hosts_step s =
			route_hosts_step(w->a, w->cfg, protocol, str_of(nexthop), seed,
					 fact_list_set(w->facts));
		if (s.kind == ROUTE_HOSTS_DONE)
			return s.u.done;
		world_ask(w, &s.u.ask);
	}
}

/* "delivered 2.0.0 text": how the tables of the tests write an outcome. */
static inline struct str world_outcome(struct world *w, const struct outcome *o)
{
	return arena_fmt(w->a, STR_FMT " " STR_FMT, STR_ARG(outcome_kind_name(o->kind)),
			 STR_ARG(status_text(w->a, o->status)));
}

#endif
