/* What becomes of a sender's REQUIRETLS: the action for a next-hop, the level that it needs, and
 * the judgement of what a server shows. */

#include "mail/domain.h"
#include "policy/policy_test.h"

/* One entry, "KEY VALUE"; its table has no other. */
struct entry {
	struct str table, key, value;
};

static const struct entry entries[] = {
	{ STR_INIT("texthash:/a"), STR_INIT("a.example"), STR_INIT("disable") },
	{ STR_INIT("texthash:/a"), STR_INIT(".b.example"), STR_INIT("OPPORTUNISTIC") },
	{ STR_INIT("texthash:/a"), STR_INIT("x.b.example"), STR_INIT("opportunistic+starttls") },
	{ STR_INIT("texthash:/a"), STR_INIT("table.example"), STR_INIT("texthash:/b") },
	{ STR_INIT("texthash:/a"), STR_INIT("two.example"), STR_INIT("enforce enforce") },
	{ STR_INIT("texthash:/a"), STR_INIT("xn--1xa.example"), STR_INIT("opportunistic") },
	{ STR_INIT("texthash:/a"), STR_INIT("192.0.2.1"), STR_INIT("disable") },
	{ STR_INIT("texthash:/a"), STR_INIT("client.example.net"), STR_INIT("disable") },
	{ STR_INIT("regexp:/r"), STR_INIT(".example"), STR_INIT("disable") },
	{ STR_INIT("socketmap:inet:h:1:m"), STR_INIT(".example"), STR_INIT("disable") },
	{ STR_INIT("proxy:tcp:h:1"), STR_INIT(".example"), STR_INIT("disable") },
	{ STR_INIT("fail:x"), STR_INIT("bad.example"), STR_INIT("!") },
};

/* As tables do: a pattern table knows nothing of keys that were cut from a longer one. */
static struct answer answer_of(const struct question *q)
{
	bool is_pattern = str_has_prefix(q->table, STR("regexp:"));

	FOR_EACH(e, entries) {
		if (!str_eq(e->table, q->table) || !str_eq(e->key, q->name) ||
		    (is_pattern && q->is_partial))
			continue;
		if (str_eq(e->value, STR("!")))
			return (struct answer){ .status = ANSWER_FAILED, .failure = STR("down") };
		return (struct answer){ .status = ANSWER_FOUND, .value = e->value };
	}
	return (struct answer){ .status = ANSWER_NONE };
}

static struct policy_decision decide(struct fixture *f, const struct policy_subject *s)
{
	struct policy_step step;

	while ((step = fixture_step(f, s)).kind == POLICY_ASK) {
		struct answer answer = answer_of(&step.u.ask);

		ok(f->asked++ < POLICY_ASKS_MAX, "a bound on questions");
		ok(!fact_find(fact_list_set(f->facts), &step.u.ask), "never asks twice");
		fact_list_add(f->facts, &step.u.ask, &answer);
	}
	for (size_t i = 0; i < step.u.decided.n_trace; i++)
		ok(trace_text(f->a, &step.u.decided.trace[i]).n > 0, "a text for each step");
	return step.u.decided;
}

#define TABLE "smtp_tls_security_level = verify\nsmtp_requiretls_policy = "

static const struct {
	const char *rule, *main_cf;
	struct str nexthop;
	enum policy_requiretls want; /* NOT_ASKED: an error */
	struct str code;             /* of the trace */
} actions[] = {
	{ "a word for all", TABLE "opportunistic", STR_INIT("a.example"), REQUIRETLS_OPPORTUNISTIC,
	  STR_INIT("requiretls") },
	{ "in any case", TABLE "Opportunistic+StartTLS", STR_INIT("a.example"), REQUIRETLS_STARTTLS,
	  STR_INIT("requiretls") },
	{ "the first word counts", TABLE "disable, enforce", STR_INIT("a.example"),
	  REQUIRETLS_DISABLE, STR_INIT("requiretls") },
	{ "nothing at all is enforce", TABLE, STR_INIT("a.example"), REQUIRETLS_ENFORCE,
	  STR_INIT("requiretls") },
	{ "a table's entry", TABLE "texthash:/a, opportunistic", STR_INIT("a.example"),
	  REQUIRETLS_DISABLE, STR_INIT("requiretls-table") },
	{ "an entry of a parent", TABLE "texthash:/a enforce", STR_INIT("y.x.b.example"),
	  REQUIRETLS_OPPORTUNISTIC, STR_INIT("requiretls-table") },
	{ "the longest name first", TABLE "texthash:/a enforce", STR_INIT("x.b.example"),
	  REQUIRETLS_STARTTLS, STR_INIT("requiretls-table") },
	{ ".parent is not the parent itself", TABLE "texthash:/a disable", STR_INIT("b.example"),
	  REQUIRETLS_DISABLE, STR_INIT("requiretls-table") },
	{ "no entry: the next item", TABLE "texthash:/a opportunistic", STR_INIT("c.example"),
	  REQUIRETLS_OPPORTUNISTIC, STR_INIT("requiretls-table") },
	{ "no entry anywhere: enforce", TABLE "texthash:/a", STR_INIT("c.example"),
	  REQUIRETLS_ENFORCE, STR_INIT("requiretls") },
	{ "brackets and port are not in the key", TABLE "texthash:/a enforce",
	  STR_INIT("[a.example]:587"), REQUIRETLS_DISABLE, STR_INIT("requiretls-table") },
	{ "an address", TABLE "texthash:/a enforce", STR_INIT("[192.0.2.1]"), REQUIRETLS_DISABLE,
	  STR_INIT("requiretls-table") },
	{ "patterns are not asked for parents", TABLE "regexp:/r opportunistic",
	  STR_INIT("c.example"), REQUIRETLS_OPPORTUNISTIC, STR_INIT("requiretls-table") },
	{ "nor is whoever a socket leads to", TABLE "socketmap:inet:h:1:m opportunistic",
	  STR_INIT("c.example"), REQUIRETLS_OPPORTUNISTIC, STR_INIT("requiretls-table") },
	{ "proxy is a prefix", TABLE "proxy:tcp:h:1 opportunistic", STR_INIT("c.example"),
	  REQUIRETLS_OPPORTUNISTIC, STR_INIT("requiretls-table") },
	{ "U-labels are asked as A-labels", TABLE "texthash:/a enforce",
	  STR_INIT("\xcf\x80.example"), REQUIRETLS_OPPORTUNISTIC, STR_INIT("requiretls-table") },
	{ "an unknown word", TABLE "nonsense", STR_INIT("a.example"), REQUIRETLS_NOT_ASKED,
	  STR_INIT("requiretls-unknown-action") },
	{ "an unknown word behind an entry", TABLE "texthash:/a nonsense", STR_INIT("a.example"),
	  REQUIRETLS_DISABLE, STR_INIT("requiretls-table") },
	{ "error is asked for", TABLE "error", STR_INIT("a.example"), REQUIRETLS_NOT_ASKED,
	  STR_INIT("requiretls-unknown-action") },
	{ "an entry is no table", TABLE "texthash:/a", STR_INIT("table.example"),
	  REQUIRETLS_NOT_ASKED, STR_INIT("requiretls-unknown-action") },
	{ "an entry is one word", TABLE "texthash:/a", STR_INIT("two.example"),
	  REQUIRETLS_NOT_ASKED, STR_INIT("requiretls-unknown-action") },
	{ "a failed lookup is no missing entry", TABLE "fail:x, disable", STR_INIT("bad.example"),
	  REQUIRETLS_NOT_ASKED, STR_INIT("requiretls-lookup-error") },
	{ "not honoured", "requiretls_enable = no\nsmtp_requiretls_policy = fail:x",
	  STR_INIT("bad.example"), REQUIRETLS_DISABLE, STR_INIT("requiretls-disabled") },
};

TEST(actions)
{
	FOR_EACH(c, actions) {
		struct fixture f = fixture_new(c->main_cf);
		struct policy_subject s = { .nexthop = c->nexthop,
					    .host = STR("mx.example"),
					    .port = 25,
					    .has_requiretls = true };
		struct policy_decision d = decide(&f, &s);
		bool is_error = c->want == REQUIRETLS_NOT_ASKED;

		ok(is_error || d.requiretls == c->want, c->rule);
		ok((d.level == TLS_LEVEL_INVALID) == is_error, c->rule);
		ok_str(d.error.status.class ? status_text(f.a, d.error.status) : STR("-"),
		       is_error ? STR("4.7.5") : STR("-"), c->rule);
		ok(fixture_has_step(&d, c->code.p), c->rule);
		fixture_free(&f);
	}
}

/* The default of Postfix, as it is. */
static const struct {
	const char *rule;
	struct str nexthop;
	enum policy_requiretls want;
} defaults[] = {
	{ "elsewhere", STR_INIT("example.com"), REQUIRETLS_ENFORCE },
	{ "mydomain", STR_INIT("[example.net]"), REQUIRETLS_OPPORTUNISTIC },
	{ "below mydomain", STR_INIT("hub.example.net:26"), REQUIRETLS_OPPORTUNISTIC },
	{ "localhost", STR_INIT("[localhost]"), REQUIRETLS_OPPORTUNISTIC },
	{ "IPv4", STR_INIT("[192.0.2.7]:25"), REQUIRETLS_OPPORTUNISTIC },
	{ "IPv6", STR_INIT("[ipv6:2001:db8::7]"), REQUIRETLS_OPPORTUNISTIC },
};

/* Its tables, without a table room: what each would say. */
static struct answer default_answer(const struct question *q)
{
	bool is_cidr = str_has_prefix(q->table, STR("cidr:"));
	bool is_hit = is_cidr ? domain_is_address_literal(q->name)
			      : str_eq(q->name, STR("example.net")) ||
					str_eq(q->name, STR(".example.net")) ||
					str_eq(q->name, STR("localhost"));

	return (struct answer){ .status = is_hit ? ANSWER_FOUND : ANSWER_NONE,
				.value = STR("opportunistic") };
}

TEST(the_default)
{
	FOR_EACH(c, defaults) {
		struct fixture f = fixture_new("smtp_tls_security_level = verify");
		struct policy_subject s = { .nexthop = c->nexthop,
					    .host = STR("mx.example"),
					    .port = 25,
					    .has_requiretls = true };
		struct policy_step step;

		while ((step = fixture_step(&f, &s)).kind == POLICY_ASK) {
			struct answer answer = default_answer(&step.u.ask);
			fact_list_add(f.facts, &step.u.ask, &answer);
		}
		ok(step.u.decided.requiretls == c->want, c->rule);
		fixture_free(&f);
	}
}

static const struct {
	const char *rule, *main_cf;
	bool has_header, is_null;
	enum tls_level level;
	struct str error;
	enum policy_requiretls want;
} levels[] = {
	{ "enforce needs more than none",
	  "smtp_tls_security_level = none\n"
	  "smtp_requiretls_policy = enforce",
	  false, false, TLS_LEVEL_NONE, STR_INIT("5.7.10"), REQUIRETLS_ENFORCE },
	{ "more than may", "smtp_requiretls_policy = enforce", false, false, TLS_LEVEL_MAY,
	  STR_INIT("5.7.10"), REQUIRETLS_ENFORCE },
	{ "more than encrypt", "smtp_tls_security_level = encrypt\nsmtp_requiretls_policy =", false,
	  false, TLS_LEVEL_ENCRYPT, STR_INIT("5.7.10"), REQUIRETLS_ENFORCE },
	{ "verify is enough", "smtp_tls_security_level = verify\nsmtp_requiretls_policy =", false,
	  false, TLS_LEVEL_VERIFY, STR_INIT("-"), REQUIRETLS_ENFORCE },
	{ "dane without DNSSEC is may",
	  "smtp_tls_security_level = dane\n"
	  "smtp_requiretls_policy = enforce",
	  false, false, TLS_LEVEL_MAY, STR_INIT("5.7.10"), REQUIRETLS_ENFORCE },
	{ "an invalid level stays one",
	  "smtp_tls_security_level = dane-only\n"
	  "smtp_requiretls_policy = enforce",
	  false, false, TLS_LEVEL_INVALID, STR_INIT("4.7.5"), REQUIRETLS_NOT_ASKED },
	{ "starttls needs TLS",
	  "smtp_tls_security_level = none\n"
	  "smtp_requiretls_policy = opportunistic+starttls",
	  false, false, TLS_LEVEL_NONE, STR_INIT("5.7.10"), REQUIRETLS_STARTTLS },
	{ "may is TLS", "smtp_requiretls_policy = opportunistic+starttls", false, false,
	  TLS_LEVEL_MAY, STR_INIT("-"), REQUIRETLS_STARTTLS },
	{ "opportunistic needs nothing",
	  "smtp_tls_security_level = none\n"
	  "smtp_requiretls_policy = opportunistic",
	  false, false, TLS_LEVEL_NONE, STR_INIT("-"), REQUIRETLS_OPPORTUNISTIC },
	{ "the request beats the header",
	  "smtp_tls_security_level = verify\n"
	  "smtp_requiretls_policy = disable",
	  true, false, TLS_LEVEL_VERIFY, STR_INIT("-"), REQUIRETLS_DISABLE },
	{ "unless it is not honoured", "smtp_tls_security_level = verify\nrequiretls_enable = no",
	  true, false, TLS_LEVEL_MAY, STR_INIT("-"), REQUIRETLS_DISABLE },
	{ "a bounce is not lost", "smtp_requiretls_policy = enforce", false, true, TLS_LEVEL_MAY,
	  STR_INIT("-"), REQUIRETLS_OPPORTUNISTIC },
	{ "nor at starttls",
	  "smtp_tls_security_level = none\n"
	  "smtp_requiretls_policy = opportunistic+starttls",
	  false, true, TLS_LEVEL_NONE, STR_INIT("-"), REQUIRETLS_OPPORTUNISTIC },
};

TEST(levels)
{
	FOR_EACH(c, levels) {
		struct fixture f = fixture_new(c->main_cf);
		struct policy_subject s = { .nexthop = STR("example.com"),
					    .host = STR("mx.example.com"),
					    .port = 25,
					    .has_requiretls = true,
					    .has_tls_required_no = c->has_header,
					    .has_null_sender = c->is_null };
		struct policy_decision d = decide(&f, &s);

		ok(d.level == c->level && d.requiretls == c->want, c->rule);
		ok_str(d.error.status.class ? status_text(f.a, d.error.status) : STR("-"), c->error,
		       c->rule);
		ok(policy_decision_allows_host(&d) == str_eq(c->error, STR("-")), c->rule);
		ok(!d.error.status.class || !d.protocols.p, "an error leaves no settings");
		ok(d.deciding < d.n_trace, c->rule);
		fixture_free(&f);
	}
}

TEST(lmtp_has_a_policy_of_its_own)
{
	struct fixture f = fixture_new("smtp_requiretls_policy = enforce\n"
				       "lmtp_requiretls_policy = texthash:/a enforce");
	struct policy_subject s = { .nexthop = STR("unix:/run/lmtp"),
				    .host = STR("client.example.net"),
				    .has_requiretls = true,
				    .is_lmtp = true };
	struct policy_decision d = decide(&f, &s);

	ok(d.requiretls == REQUIRETLS_DISABLE && d.error.status.class == 0,
	   "the next-hop of a socket is this machine");
	fixture_free(&f);
}

TEST(too_many_tables)
{
	struct fixture f = fixture_new("smtp_requiretls_policy = texthash:/1 texthash:/2 "
				       "texthash:/3 texthash:/4 texthash:/5 texthash:/6 "
				       "texthash:/7");

	ok(!f.cfg, "refused");
	fixture_free(&f);
}

TEST(tables_and_unknown_words)
{
	struct fixture f = fixture_new("smtp_requiretls_policy = inline:{a=enforce b=disable}, "
				       "cidr:{{::/0 disable}}, enforced\n"
				       "lmtp_requiretls_policy = error, enforce");
	const struct str *v;
	size_t n = policy_requiretls_tables(f.a, f.conf, CONF_smtp_requiretls_policy, &v);

	ok(n == 2, "two tables");
	ok_str(v[0], STR("inline:{a=enforce b=disable}"), "braces hold together");
	ok_str(policy_requiretls_unknown(f.conf, CONF_smtp_requiretls_policy), STR("enforced"),
	       "a slip");
	ok(!policy_requiretls_unknown(f.conf, CONF_lmtp_requiretls_policy).n, "none");
	fixture_free(&f);
}

TEST(many_labels)
{
	struct fixture f = fixture_new(TABLE "texthash:/1 texthash:/2 texthash:/3 texthash:/4 "
					     "texthash:/5 texthash:/6\n"
					     "smtp_tls_policy_maps = texthash:/7");
	char name[254];

	for (size_t i = 0; i < sizeof(name); i++)
		name[i] = i % 2 ? '.' : 'a';
	struct policy_subject s = { .nexthop = str_span(name, sizeof(name) - 1),
				    .host = STR("mx.example.com"),
				    .port = 25,
				    .has_requiretls = true };
	struct policy_decision d = decide(&f, &s);

	ok(d.requiretls == REQUIRETLS_ENFORCE && f.asked > 800, "all are asked");
	fixture_free(&f);
}

/* ---- what a server shows ---- */

static const struct peer_name good[] = { { PEER_NAME_DNS, STR_INIT("mx.example.com") } };
static const struct peer_name other[] = { { PEER_NAME_DNS, STR_INIT("mx.example.org") } };

static const struct tls_peer clear = { 0 };
static const struct tls_peer announced_in_the_clear = { .is_requiretls_offered = true };
static const struct tls_peer refused_for_now = { .is_offered = true,
						 .starttls_refusal = STR_INIT("454 4.7.0 no") };
static const struct tls_peer refused = { .is_offered = true,
					 .starttls_refusal = STR_INIT("554 5.7.0 no") };
static const struct tls_peer broken = { .is_offered = true, .handshake_error = STR_INIT("alert") };
static const struct tls_peer plain = {
	.is_tls = true, .protocol = STR_INIT("TLSv1.3"), .names = good, .n_names = 1
};
static const struct tls_peer whole = { .is_tls = true,
				       .is_requiretls_offered = true,
				       .protocol = STR_INIT("TLSv1.3"),
				       .names = good,
				       .n_names = 1 };
static const struct tls_peer impostor = { .is_tls = true,
					  .is_requiretls_offered = true,
					  .protocol = STR_INIT("TLSv1.3"),
					  .names = other,
					  .n_names = 1 };

static const struct {
	const char *rule;
	enum policy_requiretls action;
	enum tls_level level;
	const struct tls_peer *seen;
	struct str status; /* "-": acceptable */
	bool is_sent;
} judgements[] = {
	{ "all is there", REQUIRETLS_ENFORCE, TLS_LEVEL_VERIFY, &whole, STR_INIT("-"), true },
	{ "not announced", REQUIRETLS_ENFORCE, TLS_LEVEL_VERIFY, &plain, STR_INIT("5.7.30"),
	  false },
	{ "no TLS", REQUIRETLS_ENFORCE, TLS_LEVEL_VERIFY, &clear, STR_INIT("5.7.10"), false },
	{ "announced in the clear", REQUIRETLS_ENFORCE, TLS_LEVEL_VERIFY, &announced_in_the_clear,
	  STR_INIT("5.7.10"), false },
	{ "a wrong name", REQUIRETLS_ENFORCE, TLS_LEVEL_VERIFY, &impostor, STR_INIT("5.7.10"),
	  false },
	{ "STARTTLS refused for now", REQUIRETLS_ENFORCE, TLS_LEVEL_VERIFY, &refused_for_now,
	  STR_INIT("4.7.4"), false },
	{ "STARTTLS refused for good", REQUIRETLS_ENFORCE, TLS_LEVEL_VERIFY, &refused,
	  STR_INIT("5.7.10"), false },
	{ "a handshake may succeed tomorrow", REQUIRETLS_ENFORCE, TLS_LEVEL_VERIFY, &broken,
	  STR_INIT("4.7.5"), false },
	{ "starttls: no TLS at may", REQUIRETLS_STARTTLS, TLS_LEVEL_MAY, &clear, STR_INIT("5.7.10"),
	  false },
	{ "starttls: any TLS", REQUIRETLS_STARTTLS, TLS_LEVEL_MAY, &plain, STR_INIT("-"), false },
	{ "starttls: announced", REQUIRETLS_STARTTLS, TLS_LEVEL_MAY, &impostor, STR_INIT("-"),
	  true },
	{ "opportunistic: no TLS", REQUIRETLS_OPPORTUNISTIC, TLS_LEVEL_MAY, &clear, STR_INIT("-"),
	  false },
	{ "opportunistic: announced in the clear", REQUIRETLS_OPPORTUNISTIC, TLS_LEVEL_MAY,
	  &announced_in_the_clear, STR_INIT("-"), false },
	{ "opportunistic: announced", REQUIRETLS_OPPORTUNISTIC, TLS_LEVEL_MAY, &whole,
	  STR_INIT("-"), true },
	{ "opportunistic: the level stands", REQUIRETLS_OPPORTUNISTIC, TLS_LEVEL_VERIFY, &impostor,
	  STR_INIT("4.7.5"), false },
	{ "disabled", REQUIRETLS_DISABLE, TLS_LEVEL_MAY, &whole, STR_INIT("-"), false },
	{ "not asked for", REQUIRETLS_NOT_ASKED, TLS_LEVEL_VERIFY, &whole, STR_INIT("-"), false },
	{ "level none", REQUIRETLS_OPPORTUNISTIC, TLS_LEVEL_NONE, &clear, STR_INIT("-"), false },
};

TEST(judgements)
{
	static const struct str names[] = { STR_INIT("mx.example.com") };

	FOR_EACH(c, judgements) {
		struct arena *a = arena_new();
		struct policy_decision d = {
			.level = c->level,
			.requiretls = c->action,
			.host = STR("mx.example.com"),
			.versions = TLS_VERSIONS_ALL,
			.is_usable = true,
			.names = names,
			.n_names = 1,
		};
		struct policy_judgement g = policy_judge_ready(a, &d, c->seen);

		ok_str(g.is_acceptable ? STR("-") : status_text(a, g.status), c->status, c->rule);
		ok(g.is_requiretls_sent == c->is_sent, c->rule);
		ok(g.is_acceptable == (g.reason.n == 0), c->rule);
		arena_free(a);
	}
}

TEST_MAIN(RUN(actions), RUN(the_default), RUN(levels), RUN(lmtp_has_a_policy_of_its_own),
	  RUN(too_many_tables), RUN(tables_and_unknown_words), RUN(many_labels), RUN(judgements))
