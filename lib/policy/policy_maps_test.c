#include "policy/policy_test.h"

/* What one question is answered with. */
struct says {
	const char *name;
	const char *value; /* "!": failed */
};

/* Answers from `table` and notes the keys that were asked; those not listed have no entry. */
static struct policy_decision decide(struct fixture *f, const struct policy_subject *s,
				     const struct says *says, size_t n, struct str *asked)
{
	struct policy_step step;

	*asked = STR("");
	for (f->asked = 0; (step = fixture_step(f, s)).kind == POLICY_ASK; f->asked++) {
		const struct question *q = &step.u.ask;
		struct answer answer = { .status = ANSWER_NONE };

		ok(f->asked < POLICY_ASKS_MAX, "a bound on questions");
		ok(!fact_find(fact_list_set(f->facts), q), "never asks twice");
		ok(!q->is_partial, "pattern tables are asked for parents, too");
		*asked = arena_fmt(f->a, STR_FMT "%s" STR_FMT, STR_ARG(*asked), f->asked ? " " : "",
				   STR_ARG(q->name));
		for (size_t i = 0; i < n; i++) {
			if (!str_eq(q->name, str_of(says[i].name)))
				continue;
			answer.status = ANSWER_FOUND;
			answer.value = str_of(says[i].value);
			answer.file = STR("/etc/tls_policy");
			answer.line = (unsigned)i + 1;
			if (!strcmp(says[i].value, "!")) {
				answer.status = ANSWER_FAILED;
				answer.failure = STR("table is unreadable");
			}
		}
		fact_list_add(f->facts, q, &answer);
	}
	return step.u.decided;
}

#define MAPS "smtp_tls_policy_maps = static:x\n"

static const struct {
	const char *rule, *nexthop;
	struct says says;
	const char *asked, *level;
} walks[] = {
	{ "the next-hop itself",
	  "a.b.example.com",
	  { "a.b.example.com", "encrypt" },
	  "a.b.example.com",
	  "encrypt" },
	{ "its parents",
	  "a.b.example.com",
	  { "x", "encrypt" },
	  "a.b.example.com .b.example.com .example.com .com",
	  "may" },
	{ "the first answer ends it",
	  "a.b.example.com",
	  { ".b.example.com", "none" },
	  "a.b.example.com .b.example.com",
	  "none" },
	{ "an error, too",
	  "a.b.example.com",
	  { ".b.example.com", "bogus" },
	  "a.b.example.com .b.example.com",
	  "invalid" },
	{ "and a failure",
	  "a.b.example.com",
	  { "a.b.example.com", "!" },
	  "a.b.example.com",
	  "invalid" },
	{ "an entry without text is a broken table",
	  "example.com",
	  { "example.com", " " },
	  "example.com",
	  "invalid" },
	{ "no dot, no parent", "localhost", { "x", "none" }, "localhost", "may" },
	{ "brackets have none",
	  "[mail.example.com]",
	  { ".example.com", "none" },
	  "[mail.example.com]",
	  "may" },
	{ "nor ports", "example.com:25", { ".com", "none" }, "example.com:25", "may" },
	{ "nor addresses", "192.0.2.1", { ".1", "none" }, "192.0.2.1", "may" },
	{ "verbatim", "Example.COM", { "example.com", "none" }, "Example.COM .COM", "may" },
};

TEST(the_walk)
{
	FOR_EACH(c, walks) {
		struct fixture f = fixture_new(MAPS);
		struct policy_subject s = { str_of(c->nexthop), STR("mx.example.net"), 25, false };
		struct str asked;
		struct policy_decision d = decide(&f, &s, &c->says, 1, &asked);

		ok_str(asked, str_of(c->asked), c->rule);
		ok_str(tls_level_name(d.level), str_of(c->level), c->rule);
		ok((d.level == TLS_LEVEL_INVALID) == (d.error.status.detail == 5), c->rule);
		fixture_free(&f);
	}
}

static struct policy_decision
decide_value(struct fixture *f, const char *value, const char *host, struct str *asked)
{
	struct policy_subject s = { STR("example.com"), str_of(host), 25, false };
	struct says says[] = { { "example.com", value }, { "/ta", "2" }, { "/bad", "!" } };

	return decide(f, &s, says, ARRAY_LEN(says), asked);
}

static const struct {
	const char *rule, *main_cf, *value, *level;
	const char *protocols, *ciphers, *exclude, *servername, *match; /* NULL: do not look */
} settings[] = {
	{ "main.cf's", "smtp_tls_exclude_ciphers = MD5\n", "encrypt", "encrypt", ">=TLSv1",
	  "medium", "MD5 eNULL", "", "-" },
	{ "the entry's", "smtp_tls_exclude_ciphers = MD5\n",
	  "verify protocols=TLSv1.3 ciphers=high exclude=RC4 servername=nexthop", "verify",
	  "TLSv1.3", "high", "RC4 aNULL", "nexthop", "hostname" },
	{ "empty ones", "smtp_tls_exclude_ciphers = MD5\n", "may protocols= exclude=", "may", "",
	  "medium", "", "", "-" },
	{ "a match list", "", "secure match=a.example:.b.example", "secure", NULL, NULL, NULL, NULL,
	  "a.example,.b.example" },
	{ "of nothing", "", "secure match=:", "secure", NULL, NULL, NULL, NULL, "" },
	{ "fingerprints", "smtp_tls_fingerprint_cert_match = EE:FF\n", "fingerprint match=AA:BB|CC",
	  "fingerprint", NULL, NULL, NULL, NULL, "AA:BB,CC" },
	{ "main.cf's fingerprints", "smtp_tls_fingerprint_cert_match = EE:FF\n", "fingerprint",
	  "fingerprint", NULL, NULL, NULL, NULL, "-" },
	{ "no good fingerprint", "", "fingerprint match=xx", "invalid", NULL, NULL, NULL, NULL,
	  "-" },
	{ "dane without DNSSEC keeps its attributes", "", "dane ciphers=high", "may", NULL, "high",
	  NULL, NULL, "-" },
	{ "dane-only has nothing to fall to", "", "dane-only", "invalid", NULL, NULL, NULL, NULL,
	  "-" },
	{ "a bad parameter does not matter beside the attribute", "smtp_tls_servername = a..b\n",
	  "may servername=a.b", "may", NULL, NULL, NULL, "a.b", "-" },
	{ "but it does without", "smtp_tls_servername = a..b\n", "may", "invalid", NULL, NULL, NULL,
	  NULL, "-" },
};

static struct str joined(struct arena *a, const struct str *v, size_t n)
{
	struct str out = STR("");

	if (!v)
		return STR("-");
	for (size_t i = 0; i < n; i++)
		out = arena_fmt(a, STR_FMT "%s" STR_FMT, STR_ARG(out), i ? "," : "", STR_ARG(v[i]));
	return out;
}

static void expect(struct str got, const char *want, const char *rule)
{
	if (want)
		ok_str(got, str_of(want), rule);
}

TEST(entries_in_place_of_main_cf)
{
	FOR_EACH(c, settings) {
		char text[200];
		struct str asked;
		struct fixture f;
		struct policy_decision d;

		snprintf(text, sizeof(text), MAPS "%s", c->main_cf);
		f = fixture_new(text);
		if (!f.cfg) { /* refused at start-up */
			fixture_free(&f);
			continue;
		}
		d = decide_value(&f, c->value, "mx.example.com", &asked);
		expect(tls_level_name(d.level), c->level, c->rule);
		expect(d.protocols, c->protocols, c->rule);
		expect(d.ciphers, c->ciphers, c->rule);
		expect(d.exclude, c->exclude, c->rule);
		expect(d.servername, c->servername, c->rule);
		expect(joined(f.a, d.match, d.n_match), c->match, c->rule);
		fixture_free(&f);
	}
}

TEST(trust_anchors_are_asked_for)
{
	static const struct {
		const char *main_cf, *value, *asked, *level;
		size_t n;
	} rows[] = {
		{ "", "secure tafile=/ta tafile=/ta", "example.com /ta", "secure", 4 },
		{ "smtp_tls_trust_anchor_file = /bad\n", "verify tafile=/ta", "example.com /ta",
		  "verify", 2 },
		{ "smtp_tls_trust_anchor_file = /ta, /bad\n", "verify", "example.com /ta /bad",
		  "invalid", 0 },
		{ "smtp_tls_trust_anchor_file = /bad\n", "encrypt", "example.com", "encrypt", 0 },
		{ "", "secure tafile=/nowhere", "example.com /nowhere", "invalid", 0 },
		{ "", "none tafile=/bad", "example.com", "none", 0 },
	};

	FOR_EACH(row, rows) {
		char text[200];
		struct str asked;
		struct fixture f;
		struct policy_decision d;

		snprintf(text, sizeof(text), MAPS "%s", row->main_cf);
		f = fixture_new(text);
		d = decide_value(&f, row->value, "mx.example.com", &asked);
		ok_str(asked, str_of(row->asked), row->value);
		ok_str(tls_level_name(d.level), str_of(row->level), row->value);
		ok(d.n_trust_anchors == row->n, row->value);
		ok(d.level != TLS_LEVEL_INVALID || !d.trust_files, "nothing is left to be used");
		fixture_free(&f);
	}
}

TEST(mx_patterns)
{
	static const struct {
		const char *main_cf, *value, *host, *match;
		bool is_forbidden;
	} rows[] = {
		{ "", "secure match=x policy_type=sts mx_host_pattern=*.example.com",
		  "mx.example.com", "hostname", false },
		{ "", "secure match=x policy_type=sts mx_host_pattern=*.example.com",
		  "a.mx.example.com", "hostname", true },
		{ "", "secure policy_type=STS mx_host_pattern=mx.example.com", "MX.example.com",
		  "nexthop,dot-nexthop", false },
		{ "", "secure policy_type=sts mx_host_pattern=mx.example.com", "mx.example.net",
		  "nexthop,dot-nexthop", true },
		{ "", "secure match=x policy_type=no-policy-found mx_host_pattern=a", "b", "x",
		  false },
		{ "smtp_tls_enforce_sts_mx_patterns = no\n",
		  "secure match=x policy_type=sts mx_host_pattern=a", "b", "x", false },
		{ "", "encrypt policy_type=sts mx_host_pattern=a", "b", "-", false },
	};

	FOR_EACH(row, rows) {
		char text[200];
		struct str asked;
		struct fixture f;
		struct policy_decision d;

		snprintf(text, sizeof(text), MAPS "%s", row->main_cf);
		f = fixture_new(text);
		d = decide_value(&f, row->value, row->host, &asked);
		ok_str(joined(f.a, d.match, d.n_match), str_of(row->match), row->value);
		ok(d.is_mx_forbidden == row->is_forbidden, row->value);
		ok(policy_decision_allows_host(&d) == !row->is_forbidden, row->value);
		fixture_free(&f);
	}
}

TEST(the_trace_names_table_line_and_attributes)
{
	struct fixture f = fixture_new(MAPS "smtp_tls_security_level = secure\n");
	struct str asked;
	struct policy_decision d =
		decide_value(&f, "encrypt ciphers=high exclude=", "mx.example.com", &asked);
	const struct trace_step *s = &d.trace[d.deciding];
	size_t attributes = 0;

	ok_str(s->code, STR("policy-maps-nexthop"), "what decided");
	ok_str(s->file, STR("/etc/tls_policy"), "file");
	ok(s->line == 1 && s->answer == ANSWER_FOUND, "line");
	ok(fixture_has_step(&d, "policy-maps-lowers-global"), "a warning");
	for (size_t i = 0; i < d.n_trace; i++)
		attributes += str_eq(d.trace[i].code, STR("policy-attribute"));
	ok(attributes == 2, "each attribute");
	fixture_free(&f);
}

TEST(the_entry_replaces_per_site)
{
	struct fixture f = fixture_new(MAPS "smtp_tls_per_site = static:NONE\n");
	struct str asked;
	struct policy_decision d = decide_value(&f, "encrypt", "mx.example.com", &asked);

	ok_str(asked, STR("example.com"), "the host is not asked");
	ok(d.level == TLS_LEVEL_ENCRYPT && fixture_has_step(&d, "per-site-ignored"), "said");
	fixture_free(&f);
}

TEST(no_table_is_asked_for_a_message_that_wants_no_tls)
{
	struct fixture f = fixture_new(MAPS "smtp_tls_security_level = secure\n");
	struct policy_subject s = { STR("example.com"), STR("mx.example.com"), 25, true };
	struct str asked;
	struct policy_decision d = decide(&f, &s, NULL, 0, &asked);

	ok(f.asked == 0 && d.level == TLS_LEVEL_MAY, "TLS-Required: no");
	fixture_free(&f);
}

/* Whoever names a recipient domain chooses how long the walk is; whoever writes the table, how many
 * attributes there are. */
TEST(long_walks_and_entries_have_short_traces)
{
	struct fixture f = fixture_new(MAPS "smtp_tls_security_level = secure\n");
	struct str name = STR("a"), value = STR("none"), asked;

	for (int i = 0; i < 127; i++)
		name = arena_fmt(f.a, "a." STR_FMT, STR_ARG(name));
	for (int i = 0; i < 300; i++)
		value = arena_fmt(f.a, STR_FMT " x=%d", STR_ARG(value), i);
	ok(name.n == 255, "as long as a host name can be");
	struct policy_subject s = { name, STR("mx.example.com"), 25, false };
	struct says says[] = { { ".a", arena_fmt(f.a, STR_FMT "%c", STR_ARG(value), 0).p } };
	struct policy_decision d = decide(&f, &s, says, 1, &asked);
	ok(f.asked == 128 && d.level == TLS_LEVEL_NONE, "128 questions");
	ok(d.n_trace < 60, "folded");
	fixture_free(&f);
}

TEST_MAIN(RUN(the_walk), RUN(entries_in_place_of_main_cf), RUN(trust_anchors_are_asked_for),
	  RUN(mx_patterns), RUN(the_trace_names_table_line_and_attributes),
	  RUN(the_entry_replaces_per_site), RUN(no_table_is_asked_for_a_message_that_wants_no_tls),
	  RUN(long_walks_and_entries_have_short_traces))
