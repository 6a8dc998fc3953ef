#include "policy/policy_test.h"

static const char *const values[] = {
	NULL, "MAY", "NONE", "MUST_NOPEERMATCH", "MUST", "dane", "!"
};
static const char *const globals[] = {
	"none", "may", "encrypt", "fingerprint", "verify", "secure"
};

static const struct policy_subject subject = { .nexthop = STR_INIT("example.com"),
					       .host = STR_INIT("mx1.example.com"),
					       .port = 25 };

static const char fingerprint_cf[] = "smtp_tls_fingerprint_cert_match = AA\n"
				     "smtp_tls_per_site = texthash:/etc/per_site\n";

static struct fixture with_global(const char *level)
{
	char text[256];

	snprintf(text, sizeof(text), "%ssmtp_tls_security_level = %s\n", fingerprint_cf, level);
	return fixture_new(text);
}

static enum tls_level level_of(const char *name)
{
	for (int i = TLS_LEVEL_INVALID; i <= TLS_LEVEL_SECURE; i++)
		if (str_eq(tls_level_name((enum tls_level)i), str_of(name)))
			return (enum tls_level)i;
	return TLS_LEVEL_INVALID;
}

/* The rule in other words: index into values[] is the rank, and the two faults end everything. */
static enum tls_level expected(int nexthop, int host, enum tls_level global)
{
	static const enum tls_level meaning[] = { TLS_LEVEL_INVALID, TLS_LEVEL_MAY, TLS_LEVEL_NONE,
						  TLS_LEVEL_ENCRYPT, TLS_LEVEL_VERIFY };
	int best = nexthop > host ? nexthop : host;

	if (nexthop > 4 || host > 4)
		return TLS_LEVEL_INVALID;
	if (best == 0)
		return global;
	if (best == 1)
		return global > TLS_LEVEL_MAY ? global : TLS_LEVEL_MAY;
	return meaning[best];
}

static void check_pair(int nexthop, int host, const char *global)
{
	struct fixture f = with_global(global);
	struct policy_decision d = fixture_decide(&f, &subject, values[nexthop], values[host]);
	char rule[128];

	snprintf(rule, sizeof(rule), "next-hop %s, host %s, global %s",
		 values[nexthop] ? values[nexthop] : "-", values[host] ? values[host] : "-",
		 global);
	ok(d.level == expected(nexthop, host, level_of(global)), rule);
	ok(f.asked == (nexthop > 4 ? 1 : 2), rule);
	ok((d.level == TLS_LEVEL_INVALID) == (d.error.status.class == 4), rule);
	ok(d.deciding < d.n_trace, rule);
	fixture_free(&f);
}

TEST(every_pair_of_answers)
{
	for (int n = 0; n < (int)ARRAY_LEN(values); n++)
		for (int h = 0; h < (int)ARRAY_LEN(values); h++)
			FOR_EACH(global, globals)
				check_pair(n, h, *global);
}

static const struct {
	const char *rule, *nexthop, *host, *deciding;
	struct status status;
} deciders[] = {
	{ "the entry that won decided", "MAY", "MUST", "per-site-host", { 0 } },
	{ "next-hop first when equal", "MUST", "MUST", "per-site-nexthop", { 0 } },
	{ "no entry: the global level", NULL, NULL, "global-level", { 0 } },
	{ "MAY yields to the global level", "MAY", NULL, "global-level", { 0 } },
	{ "unknown keyword", NULL, "verify", "per-site-host", { 4, 7, 5 } },
	{ "a second word is no keyword", "MUST x", NULL, "per-site-nexthop", { 4, 7, 5 } },
	{ "failed lookup", "!", "MUST", "per-site-nexthop", { 4, 3, 0 } },
	{ "failed host lookup beats MUST", "MUST", "!", "per-site-host", { 4, 3, 0 } },
	{ "an empty value is a failed lookup", "", "MUST", "per-site-nexthop", { 4, 3, 0 } },
	{ "keywords in any case", "mUsT", NULL, "per-site-nexthop", { 0 } },
};

TEST(who_decided)
{
	FOR_EACH(c, deciders) {
		struct fixture f = with_global("encrypt");
		struct policy_decision d = fixture_decide(&f, &subject, c->nexthop, c->host);

		ok_str(d.trace[d.deciding].code, str_of(c->deciding), c->rule);
		ok(d.error.status.class == c->status.class &&
			   d.error.status.subject == c->status.subject &&
			   d.error.status.detail == c->status.detail,
		   c->rule);
		fixture_free(&f);
	}
}

TEST(an_answer_is_named_with_table_file_and_line)
{
	struct fixture f = with_global("may");
	struct policy_decision d = fixture_decide(&f, &subject, "MUST", NULL);
	const struct trace_step *s = &d.trace[d.deciding];

	ok(s->kind == TRACE_QUESTION && s->answer == ANSWER_FOUND, "question");
	ok_str(s->key, STR("example.com"), "key");
	ok_str(s->value, STR("MUST"), "value");
	ok_str(s->source, STR("texthash:/etc/per_site"), "table");
	ok_str(s->file, STR("/etc/per_site"), "file");
	ok(s->line == 7, "line");
	fixture_free(&f);
}

TEST(the_same_name_is_asked_once)
{
	struct policy_subject same = { .nexthop = STR_INIT("Mail.Example.com"),
				       .host = STR_INIT("mail.example.COM") };
	struct policy_subject literal = { .nexthop = STR_INIT("[mail.example.com]"),
					  .host = STR_INIT("mail.example.com") };
	struct fixture f = with_global("may"), g = with_global("may");

	(void)fixture_decide(&f, &same, "MUST", "NONE");
	ok(f.asked == 1, "equal ignoring case");
	(void)fixture_decide(&g, &literal, NULL, "MUST");
	ok(g.asked == 2, "brackets make another key");
	fixture_free(&f);
	fixture_free(&g);
}

TEST(lowering_is_always_named)
{
	static const char *const low[] = { "NONE", "MUST_NOPEERMATCH", "MUST" };

	FOR_EACH(global, globals) {
		FOR_EACH(value, low) {
			struct fixture f = with_global(*global);
			struct policy_decision d = fixture_decide(&f, &subject, *value, NULL);

			ok((d.level < level_of(*global)) ==
				   fixture_has_step(&d, "per-site-lowers-global"),
			   *value);
			fixture_free(&f);
		}
	}
}

TEST(no_table_no_question)
{
	struct fixture f = fixture_new("smtp_tls_security_level = encrypt\n");
	struct policy_decision d = fixture_decide(&f, &subject, NULL, NULL);

	ok(f.asked == 0 && d.level == TLS_LEVEL_ENCRYPT, "global level");
	fixture_free(&f);
}

TEST_MAIN(RUN(every_pair_of_answers), RUN(who_decided),
	  RUN(an_answer_is_named_with_table_file_and_line), RUN(the_same_name_is_asked_once),
	  RUN(lowering_is_always_named), RUN(no_table_no_question))
