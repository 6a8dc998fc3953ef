#include "policy/policy_test.h"

#include "policy/cache.h"

#define TABLES "smtp_tls_per_site = texthash:/etc/per_site\n"

static const struct policy_subject subject = { .nexthop = STR_INIT("example.com"),
					       .host = STR_INIT("mx.example.com"),
					       .port = 25 };

struct lab {
	struct fixture f;
	struct policy_cache *cache;
};

/* Decides and adds, under version 1. Values as in fixture_answer. */
static struct lab lab_new(const char *main_cf, const char *of_nexthop, const char *of_host)
{
	struct lab lab = { .f = fixture_new(main_cf) };

	lab.cache = policy_cache_new(lab.f.cfg);
	(void)fixture_decide(&lab.f, &subject, of_nexthop, of_host);
	policy_cache_add(lab.cache, &subject, fact_list_set(lab.f.facts), 1);
	return lab;
}

static void lab_free(struct lab *lab)
{
	policy_cache_free(lab->cache);
	fixture_free(&lab->f);
}

TEST(a_decision_is_found_again)
{
	struct lab lab = lab_new(TABLES, "MUST", "MAY");
	struct question other = { .kind = QUESTION_MX, .name = STR("x") };
	const struct policy_kept *k = policy_cache_find(lab.cache, &subject, 1);

	ok(k && k->decision.level == TLS_LEVEL_VERIFY, "found");
	ok(fact_list_set(k->facts).n == 2, "with its facts");
	ok(!fact_find(fact_list_set(k->facts), &other), "and no others");
	ok_str(trace_text(lab.f.a, &k->decision.trace[1]),
	       STR("next-hop \"example.com\" has the entry MUST"), "with its trace");
	lab_free(&lab);
}

static const struct {
	const char *rule;
	struct policy_subject s;
} others[] = {
	{ "next-hop, in upper case",
	  { STR_INIT("Example.com"), STR_INIT("mx.example.com"), 25, false } },
	{ "host", { STR_INIT("example.com"), STR_INIT("mx2.example.com"), 25, false } },
	{ "port", { STR_INIT("example.com"), STR_INIT("mx.example.com"), 26, false } },
	{ "message", { STR_INIT("example.com"), STR_INIT("mx.example.com"), 25, true } },
};

TEST(another_subject_is_another_decision)
{
	struct lab lab = lab_new(TABLES, "MUST", "MAY");

	FOR_EACH(c, others)
		ok(!policy_cache_find(lab.cache, &c->s, 1), c->rule);
	ok(policy_cache_find(lab.cache, &subject, 1), "the one that was added");
	lab_free(&lab);
}

/* Its tables are not those that the version is of. */
TEST(what_requiretls_came_to_is_not_kept)
{
	struct lab lab = lab_new("smtp_requiretls_policy = opportunistic", NULL, NULL);
	struct policy_subject s = subject;

	ok(policy_cache_find(lab.cache, &s, 1), "without it");
	s.has_requiretls = true;
	ok(!policy_cache_find(lab.cache, &s, 1), "another decision");
	policy_cache_add(lab.cache, &s, fact_list_set(lab.f.facts), 1);
	ok(!policy_cache_find(lab.cache, &s, 1), "not kept");
	lab_free(&lab);
}

TEST(another_version_empties_it)
{
	struct lab lab = lab_new(TABLES, "MUST", "MAY");

	ok(!policy_cache_find(lab.cache, &subject, 2), "newer tables");
	ok(!policy_cache_find(lab.cache, &subject, 1), "gone for good");
	lab_free(&lab);
}

static const struct {
	const char *rule, *main_cf, *of_nexthop, *of_host;
	bool is_kept;
} lasting[] = {
	{ "no entry", TABLES, NULL, NULL, true },
	{ "no tables", "", NULL, NULL, true },
	{ "an unknown keyword stays unknown", TABLES, "SHOULD", NULL, true },
	{ "the first lookup failed", TABLES, "!", NULL, false },
	{ "the second lookup failed", TABLES, "MUST", "!", false },
};

TEST(failures_are_not_kept)
{
	FOR_EACH(c, lasting) {
		struct lab lab = lab_new(c->main_cf, c->of_nexthop, c->of_host);

		ok(!policy_cache_find(lab.cache, &subject, 1) == !c->is_kept, c->rule);
		lab_free(&lab);
	}
}

/* A file of trust anchors is read when it is asked for; no version of tables tells of it. */
TEST(other_facts_are_not_kept)
{
	struct lab lab = { .f = fixture_new("smtp_tls_security_level = secure\n"
					    "smtp_tls_trust_anchor_file = /etc/ta.pem\n") };
	struct question q = { .kind = QUESTION_TRUST_ANCHORS, .name = STR("/etc/ta.pem") };
	struct answer two = { .status = ANSWER_FOUND, .value = STR("2") };

	lab.cache = policy_cache_new(lab.f.cfg);
	fact_list_add(lab.f.facts, &q, &two);
	ok(fixture_step(&lab.f, &subject).kind == POLICY_DECIDED, "decided");
	policy_cache_add(lab.cache, &subject, fact_list_set(lab.f.facts), 1);
	ok(!policy_cache_find(lab.cache, &subject, 1), "not kept");
	lab_free(&lab);
}

TEST(facts_that_do_not_suffice)
{
	struct fixture f = fixture_new(TABLES);
	struct policy_cache *c = policy_cache_new(f.cfg);

	fixture_answer(&f, subject.nexthop, "MUST");
	policy_cache_add(c, &subject, fact_list_set(f.facts), 1);
	ok(!policy_cache_find(c, &subject, 1), "the host was not asked for");
	policy_cache_free(c);
	fixture_free(&f);
}

TEST(a_huge_one_is_not_kept)
{
	char huge[POLICY_CACHE_ENTRY_MAX + 1];

	memset(huge, 'x', sizeof(huge) - 1);
	huge[sizeof(huge) - 1] = '\0';
	struct lab lab = lab_new(TABLES, huge, NULL);
	ok(!policy_cache_find(lab.cache, &subject, 1), "too large");
	lab_free(&lab);
}

/* Twice as many as there is room for: it stays bounded, and what is in use outlives its place. */
TEST(it_is_bounded)
{
	struct fixture f = fixture_new("smtp_tls_security_level = encrypt\n");
	struct policy_cache *c = policy_cache_new(f.cfg);
	struct policy_kept *used;
	size_t n = 0;

	policy_cache_add(c, &subject, fact_list_set(f.facts), 1);
	used = policy_kept_ref(policy_cache_find(c, &subject, 1));
	for (unsigned port = 26; port < 26 + 2 * POLICY_CACHE_MAX; port++) {
		struct policy_subject s = subject;
		s.host = arena_fmt(f.a, "mx%u.example.com", port);
		policy_cache_add(c, &s, fact_list_set(f.facts), 1);
		ok(policy_cache_find(c, &s, 1), "the newest is there");
	}
	for (unsigned port = 26; port < 26 + 2 * POLICY_CACHE_MAX; port++) {
		struct policy_subject s = subject;
		s.host = arena_fmt(f.a, "mx%u.example.com", port);
		n += policy_cache_find(c, &s, 1) != NULL;
	}
	ok(n <= POLICY_CACHE_MAX && n > POLICY_CACHE_MAX / 2, "most of the places are used");
	policy_cache_free(c);
	ok(used->decision.level == TLS_LEVEL_ENCRYPT, "still there");
	policy_kept_unref(used);
	policy_kept_unref(NULL);
	policy_cache_free(NULL);
	fixture_free(&f);
}

TEST_MAIN(RUN(a_decision_is_found_again), RUN(another_subject_is_another_decision),
	  RUN(what_requiretls_came_to_is_not_kept), RUN(another_version_empties_it),
	  RUN(failures_are_not_kept), RUN(other_facts_are_not_kept), RUN(facts_that_do_not_suffice),
	  RUN(a_huge_one_is_not_kept), RUN(it_is_bounded))
