/* Attempts against a port where nobody listens: what they ask, and what they know already. */

#include "base/test.h"

#include "conf/conf.h"
#include "deliver/deliver.h"
#include "policy/cache.h"
#include "table/type.h"

/* A table that counts its lookups, and whose version the test sets. */
static struct {
	unsigned n_asked;
	uint64_t version;
	bool can_tell;
	enum answer_status status;
} counter;

static void *counter_open(const struct table_context *c, uint64_t now_ms, struct error *e)
{
	(void)c;
	(void)now_ms;
	(void)e;
	return &counter;
}

static bool counter_lookup(void *table, struct table_lookup *l)
{
	(void)table;
	counter.n_asked++;
	l->answer.status = counter.status;
	l->answer.value = STR("may");
	l->answer.failure = STR("not today");
	return true;
}

static void counter_close(void *table)
{
	(void)table;
}

static bool counter_version(void *table, uint64_t now_ms, uint64_t *version)
{
	(void)table;
	(void)now_ms;
	*version = counter.version;
	return counter.can_tell;
}

static const struct table_type counter_type = {
	.name = STR_INIT("counter"),
	.open = counter_open,
	.lookup = counter_lookup,
	.close = counter_close,
	.version = counter_version,
};

struct lab {
	struct arena *arena;
	struct conf *conf;
	struct tables *tables;
	struct deliver_site site;
	struct str nexthop;
	unsigned n_facts;
	enum tls_level level;
};

/* A port of this machine that refuses. */
static struct str closed_port(struct arena *a, struct net_loop *l)
{
	struct net_endpoint at;
	struct error e;
	struct net_listener *n;

	ok(net_endpoint_parse(STR("127.0.0.1:0"), &at), "endpoint");
	n = net_listener_new(l, &at, NULL, NULL, &e);
	ok(n != NULL, e.text);
	at = net_listener_endpoint(n);
	net_listener_free(n);
	return arena_fmt(a, "[127.0.0.1]:%u", at.port);
}

static void lab_init(struct lab *lab)
{
	struct conf_source source = {
		.file = STR("main.cf"),
		.text = STR("compatibility_level = 3.11\nsmtp_tls_policy_maps = counter:x\n"),
	};
	struct conf_machine machine = { .hostname = STR("client.example.net") };
	struct table_options o = { .types = (const struct table_type *[]){ &counter_type },
				   .n_types = 1 };
	struct route_machine route = { .origin = STR("") };
	struct conf_findings findings;
	struct error e;

	*lab = (struct lab){ .arena = arena_new() };
	lab->conf = conf_new(&source, 1, &machine, lab->arena, &findings);
	lab->tables = tables_new(&o);
	tables_open(lab->tables, STR("smtp_tls_policy_maps"), STR("counter:x"), 0);
	lab->site.conf = lab->conf;
	lab->site.loop = net_loop_new();
	lab->site.ask = ask_new(lab->site.loop, lab->tables, NULL);
	lab->site.smtp.conf = lab->conf;
	lab->site.smtp.policy = policy_config_new(lab->arena, lab->conf, &e);
	lab->site.route = route_config_new(lab->arena, lab->conf, &route, &e);
	ok(lab->site.smtp.policy && lab->site.route, e.text);
	lab->site.smtp.decisions = policy_cache_new(lab->site.smtp.policy);
	lab->nexthop = closed_port(lab->arena, lab->site.loop);
}

static void lab_fini(struct lab *lab)
{
	policy_cache_free(lab->site.smtp.decisions);
	ask_free(lab->site.ask);
	tables_free(lab->tables);
	net_loop_free(lab->site.loop);
	conf_unref(lab->conf);
	arena_free(lab->arena);
}

static void on_done(void *arg, const struct deliver_result *result)
{
	struct lab *lab = arg;

	ok(result->n_tries == 1, "one host");
	lab->level = result->tries[0].decision.level;
	lab->n_facts = (unsigned)result->facts.n;
	net_loop_stop(lab->site.loop);
}

/* One attempt. Returns how often the table was asked. */
static unsigned attempt(struct lab *lab)
{
	struct deliver_message m = { .sender = STR("a@example.net") };
	struct smtp_rcpt rcpt = { .address = STR("b@example.com") };
	struct deliver_job job = {
		.transport = STR("smtp"),
		.nexthop = lab->nexthop,
		.protocol = ROUTE_SMTP,
		.rcpts = &rcpt,
		.n_rcpts = 1,
	};
	unsigned before = counter.n_asked;
	struct deliver *d = deliver_start(&lab->site, &m, &job, on_done, lab);

	net_loop_run(lab->site.loop);
	deliver_free(d);
	return counter.n_asked - before;
}

TEST(a_decision_is_used_again)
{
	struct lab lab;
	unsigned n_facts;

	lab_init(&lab);
	counter.status = ANSWER_FOUND;
	counter.can_tell = true;
	ok(attempt(&lab) == 1, "asked");
	n_facts = lab.n_facts;
	ok(n_facts > 0 && lab.level == TLS_LEVEL_MAY, "decided");
	ok(attempt(&lab) == 0, "known");
	ok(lab.n_facts == n_facts && lab.level == TLS_LEVEL_MAY, "the evidence is the same");
	counter.version++;
	ok(attempt(&lab) == 1, "the table has changed");
	ok(attempt(&lab) == 0, "known");
	lab_fini(&lab);
}

TEST(a_table_that_cannot_tell_is_asked)
{
	struct lab lab;

	lab_init(&lab);
	counter.status = ANSWER_FOUND;
	counter.can_tell = false;
	ok(attempt(&lab) == 1, "asked");
	ok(attempt(&lab) == 1, "asked again");
	lab_fini(&lab);
}

TEST(a_failed_lookup_is_asked_again)
{
	struct lab lab;

	lab_init(&lab);
	counter.status = ANSWER_FAILED;
	counter.can_tell = true;
	ok(attempt(&lab) == 1 && lab.level == TLS_LEVEL_INVALID, "failed");
	counter.status = ANSWER_FOUND;
	ok(attempt(&lab) == 1 && lab.level == TLS_LEVEL_MAY, "asked again");
	lab_fini(&lab);
}

TEST_MAIN(RUN(a_decision_is_used_again), RUN(a_table_that_cannot_tell_is_asked),
	  RUN(a_failed_lookup_is_asked_again))
