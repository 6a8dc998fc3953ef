/* A decision and its judgement. Parts of the input, NUL octets between them: main.cf, next-hop,
 * host, what the tables say of the next-hop and of the host, a certificate's name. */

#include "fuzz.h"

#include "policy/policy.h"

#define ASKS_MAX 1024 /* then every answer is a failure: a list of files may be longer still */

struct parts {
	struct str main_cf, nexthop, host, of_nexthop, of_host, name;
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

static struct parts split(struct str all)
{
	struct parts p;

	p.main_cf = next_part(&all);
	p.nexthop = next_part(&all);
	p.host = next_part(&all);
	p.of_nexthop = next_part(&all);
	p.of_host = next_part(&all);
	p.name = all;
	return p;
}

static struct answer answer_of(struct str value)
{
	struct answer answer = { .status = value.n ? ANSWER_FOUND : ANSWER_NONE, .value = value };

	if (str_eq(value, STR("!")))
		answer = (struct answer){ .status = ANSWER_FAILED, .failure = STR("failed") };
	return answer;
}

static struct policy_decision
decide(struct arena *a, const struct policy_config *cfg, const struct parts *p)
{
	struct policy_subject s = { .nexthop = p->nexthop,
				    .host = p->host,
				    .port = 25,
				    .has_requiretls = p->host.n % 2 == 1 };
	struct fact_list *facts = fact_list_new(a);

	for (int asked = 0;; asked++) {
		struct policy_step step = policy_step(a, cfg, &s, fact_list_set(facts));

		if (step.kind == POLICY_DECIDED)
			return step.u.decided;
		CHECK(asked < ASKS_MAX && !fact_find(fact_list_set(facts), &step.u.ask));
		struct answer answer =
			answer_of(str_eq(step.u.ask.name, p->nexthop) ? p->of_nexthop : p->of_host);
		if (asked == ASKS_MAX - 1)
			answer = answer_of(STR("!"));
		fact_list_add(facts, &step.u.ask, &answer);
	}
}

static void check_decision(const struct policy_decision *d)
{
	CHECK(d->level != TLS_LEVEL_INVALID || d->error.status.class != 0);
	CHECK(d->level == TLS_LEVEL_INVALID || d->error.status.class == 0 ||
	      d->requiretls >= REQUIRETLS_STARTTLS);
	CHECK(d->n_trace > 0 && d->n_trace <= POLICY_TRACE_MAX && d->deciding < d->n_trace);
	CHECK(d->level != TLS_LEVEL_DANE && d->level != TLS_LEVEL_DANE_ONLY);
	CHECK(d->never_matches || !d->is_usable || d->level < TLS_LEVEL_VERIFY || d->n_names);
}

static void write_out(const struct policy_decision *d, const struct policy_judgement *g)
{
	struct policy_subject s = { .nexthop = STR("x"), .host = d->host };
	struct json j;
	struct buf out;

	buf_init(&out, 16u * 1024 * 1024);
	json_init(&j, &out, false);
	json_array(&j);
	policy_decision_json(&j, d);
	policy_judgement_json(&j, g);
	json_array_end(&j);
	CHECK(json_end(&j));
	CHECK(policy_decision_text(&(struct page){ &out, 80, true }, d, &s));
	buf_fini(&out);
}

static void judge(struct arena *a, const struct policy_decision *d, struct str name)
{
	struct peer_name names[] = { { PEER_NAME_DNS, name }, { PEER_NAME_IP, name } };
	struct tls_peer p = {
		.is_tls = true, .protocol = STR("TLSv1.3"), .names = names, .n_names = 2
	};
	struct policy_judgement g = policy_judge(a, d, &p);

	CHECK(g.is_acceptable == (g.reason.n == 0) && g.is_acceptable == (g.status.class == 0));
	CHECK(!g.is_acceptable || d->level < TLS_LEVEL_FINGERPRINT || g.reached == TLS_VERIFIED);
	p.is_tls = false;
	CHECK(!policy_judge(a, d, &p).is_acceptable || d->level <= TLS_LEVEL_MAY);
	write_out(d, &g);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct parts p = split(str_span((const char *)data, size));
	struct conf_source source = { STR("main.cf"), p.main_cf };
	struct conf_machine m = { STR("host.example") };
	struct conf_findings found;
	struct arena *a = arena_new();
	struct conf *conf = conf_new(&source, 1, &m, a, &found);
	const struct policy_config *cfg = conf ? policy_config_new(a, conf, NULL) : NULL;

	if (cfg) {
		struct policy_decision d = decide(a, cfg, &p);

		check_decision(&d);
		judge(a, &d, p.name);
	}
	conf_unref(conf);
	arena_free(a);
	return 0;
}
