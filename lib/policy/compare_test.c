#include "policy/compare.h"
#include "policy/policy_test.h"

/* One side: lines of main.cf, and the entry of smtp_tls_policy_maps for the next-hop. */
struct side {
	const char *main_cf, *entry;
};

static struct policy_decision
decide(struct fixture *f, const char *nexthop, const char *host, const char *entry)
{
	const struct policy_subject s = { .nexthop = str_of(nexthop),
					  .host = str_of(host),
					  .port = 25 };
	struct policy_step step;

	while ((step = fixture_step(f, &s)).kind == POLICY_ASK) {
		struct answer answer = { .status = ANSWER_NONE };
		bool is_entry = entry && str_eq(step.u.ask.name, s.nexthop);

		if (step.u.ask.kind == QUESTION_TRUST_ANCHORS || is_entry) {
			answer.status = ANSWER_FOUND;
			answer.value = is_entry ? str_of(entry) : STR("1");
		}
		fact_list_add(f->facts, &step.u.ask, &answer);
	}
	return step.u.decided;
}

static struct fixture side_new(const struct side *s)
{
	char text[1024];

	snprintf(text, sizeof(text), "smtp_tls_policy_maps = static:x\n%s",
		 s->main_cf ? s->main_cf : "");
	return fixture_new(text);
}

static struct policy_comparison
compare(const char *nexthop, const char *host, const struct side *before, const struct side *after)
{
	struct fixture f[] = { side_new(before), side_new(after) };
	struct policy_decision d[] = { decide(&f[0], nexthop, host, before->entry),
				       decide(&f[1], nexthop, host, after->entry) };
	struct policy_side sides[] = { { f[0].conf, &d[0], str_of(nexthop) },
				       { f[1].conf, &d[1], str_of(nexthop) } };
	struct policy_comparison c = policy_compare(&sides[0], &sides[1]);

	fixture_free(&f[0]);
	fixture_free(&f[1]);
	return c;
}

static enum policy_change opposite(enum policy_change c)
{
	switch (c) {
	case POLICY_LOWERED:
		return POLICY_RAISED;
	case POLICY_RAISED:
		return POLICY_LOWERED;
	case POLICY_RELEASED:
		return POLICY_REFUSED;
	case POLICY_REFUSED:
		return POLICY_RELEASED;
	case POLICY_CHANGED:
	case POLICY_UNCHANGED:
	case POLICY_CHANGE_COUNT:
		break;
	}
	return c;
}

static void expect(const char *rule, const char *nexthop, const struct side *before,
		   const struct side *after, enum policy_change change, uint32_t aspects)
{
	struct policy_comparison there = compare(nexthop, "mx.example.com", before, after);
	struct policy_comparison back = compare(nexthop, "mx.example.com", after, before);

	ok_str(policy_change_name(there.change), policy_change_name(change), rule);
	ok_str(policy_change_name(back.change), policy_change_name(opposite(change)), rule);
	ok(there.aspects == aspects && back.aspects == aspects, rule);
}

#define LEVEL (1u << POLICY_ASPECT_LEVEL)
#define ERROR (1u << POLICY_ASPECT_ERROR)
#define PROTOCOLS (1u << POLICY_ASPECT_PROTOCOLS)
#define CIPHERS (1u << POLICY_ASPECT_CIPHERS)
#define NAMES (1u << POLICY_ASPECT_NAMES)
#define TRUST (1u << POLICY_ASPECT_TRUST)
#define FINGERPRINTS (1u << POLICY_ASPECT_FINGERPRINTS)
#define SERVERNAME (1u << POLICY_ASPECT_SERVERNAME)
#define RAW_KEYS (1u << POLICY_ASPECT_RAW_KEYS)
#define REUSE (1u << POLICY_ASPECT_REUSE)
#define CLIENT (1u << POLICY_ASPECT_CLIENT_CERTIFICATE)
#define STS (1u << POLICY_ASPECT_STS)

/* Two entries of the same table; both ways. */
static const struct {
	const char *rule, *before, *after;
	enum policy_change change;
	uint32_t aspects;
} entries[] = {
	{ "nothing", NULL, NULL, POLICY_UNCHANGED, 0 },
	{ "the global level, and the same by an entry", NULL, "may", POLICY_UNCHANGED, 0 },
	{ "none, may", "none", "may", POLICY_RAISED, LEVEL },
	{ "none, secure", "none", "secure", POLICY_RAISED, LEVEL },
	{ "may, encrypt", "may", "encrypt", POLICY_RAISED, LEVEL },
	{ "may asks for nothing, whatever its settings", "may protocols=TLSv1.3 ciphers=high",
	  "encrypt", POLICY_RAISED, LEVEL },
	{ "encrypt, verify", "encrypt", "verify", POLICY_RAISED, LEVEL | CIPHERS },
	{ "encrypt, fingerprint", "encrypt", "fingerprint match=AA", POLICY_RAISED,
	  LEVEL | CIPHERS },
	{ "verify, secure: a name of the operator's", "verify", "secure", POLICY_RAISED,
	  LEVEL | NAMES },
	{ "verify, secure with the same names", "verify match=a.example", "secure match=a.example",
	  POLICY_RAISED, LEVEL },
	{ "a higher level with more names", "verify match=a.example",
	  "secure match=a.example:b.example", POLICY_CHANGED, LEVEL | NAMES },
	{ "fingerprint and verify prove different things", "fingerprint match=AA", "verify",
	  POLICY_CHANGED, LEVEL },

	{ "fewer names", "secure match=a.example:b.example", "secure match=b.example",
	  POLICY_RAISED, NAMES },
	{ "other names", "secure match=a.example", "secure match=b.example", POLICY_CHANGED,
	  NAMES },
	{ "the same names in another order and case", "secure match=a.example:b.example",
	  "secure match=B.example:a.example", POLICY_UNCHANGED, 0 },
	{ "a name below is within", "secure match=.a.example", "secure match=x.a.example",
	  POLICY_RAISED, NAMES },
	{ "a domain is not within what is below it", "secure match=.a.example",
	  "secure match=a.example", POLICY_CHANGED, NAMES },
	{ "DNS chooses the name", "verify match=hostname", "verify match=other.example",
	  POLICY_RAISED, NAMES },
	{ "DNS chooses a name on both sides", "verify match=hostname:a.example",
	  "verify match=hostname", POLICY_RAISED, NAMES },
	{ "MTA-STS patterns bind the host", "verify match=hostname",
	  "verify match=hostname policy_type=sts policy_domain=example.com "
	  "mx_host_pattern=*.example.com",
	  POLICY_RAISED, NAMES | STS },

	{ "fewer fingerprints", "fingerprint match=AA|BB", "fingerprint match=bb", POLICY_RAISED,
	  FINGERPRINTS },
	{ "another fingerprint", "fingerprint match=AA", "fingerprint match=BB", POLICY_CHANGED,
	  FINGERPRINTS },
	{ "the same fingerprint, written otherwise", "fingerprint match=AA:BB",
	  "fingerprint match=aabb", POLICY_UNCHANGED, 0 },

	{ "anchors, CAs", "secure", "secure tafile=/a", POLICY_CHANGED, TRUST },
	{ "fewer anchors", "secure tafile=/a tafile=/b", "secure tafile=/b", POLICY_RAISED, TRUST },
	{ "other anchors", "secure tafile=/a", "secure tafile=/b", POLICY_CHANGED, TRUST },

	{ "fewer versions", "encrypt", "encrypt protocols=>=TLSv1.2", POLICY_RAISED, PROTOCOLS },
	{ "other versions", "encrypt protocols=TLSv1.2", "encrypt protocols=TLSv1.3",
	  POLICY_CHANGED, PROTOCOLS },
	{ "versions written otherwise", "encrypt protocols=>=TLSv1.2",
	  "encrypt protocols=TLSv1.2:TLSv1.3", POLICY_UNCHANGED, 0 },
	{ "a higher level with more versions", "encrypt protocols=TLSv1.3", "verify",
	  POLICY_CHANGED, LEVEL | PROTOCOLS | CIPHERS },
	{ "a better grade", "encrypt", "encrypt ciphers=high", POLICY_RAISED, CIPHERS },
	{ "two names of one grade", "encrypt ciphers=low", "encrypt ciphers=medium",
	  POLICY_UNCHANGED, 0 },
	{ "more exclusions", "encrypt exclude=RC4", "encrypt exclude=RC4:MD5", POLICY_RAISED,
	  CIPHERS },
	{ "other exclusions", "encrypt exclude=RC4", "encrypt exclude=MD5", POLICY_CHANGED,
	  CIPHERS },
	{ "grade and exclusions disagree", "encrypt exclude=RC4",
	  "encrypt ciphers=high exclude=", POLICY_CHANGED, CIPHERS },
	{ "settings of may are no demands", "may", "may protocols=TLSv1.3 ciphers=high",
	  POLICY_CHANGED, PROTOCOLS | CIPHERS },

	{ "server name", "encrypt", "encrypt servername=hostname", POLICY_CHANGED, SERVERNAME },
	{ "server name does not hide the level", "may", "encrypt servername=hostname",
	  POLICY_RAISED, LEVEL | SERVERNAME },
	{ "raw public keys", "encrypt", "encrypt enable_rpk=yes", POLICY_CHANGED, RAW_KEYS },
	{ "connection reuse", "may", "may connection_reuse=yes", POLICY_CHANGED, REUSE },
	{ "no session, no attributes", "none", "none servername=x", POLICY_UNCHANGED, 0 },

	{ "an error", "may", "nonsense", POLICY_REFUSED, LEVEL | ERROR },
	{ "the same error", "nonsense", "other nonsense", POLICY_UNCHANGED, 0 },
	{ "no certificate is good enough", "verify", "verify match=:", POLICY_REFUSED, ERROR },
	{ "TLS cannot start", "encrypt", "encrypt ciphers=junk", POLICY_REFUSED, ERROR },
	{ "TLS cannot start, and an error", "encrypt ciphers=junk", "nonsense", POLICY_CHANGED,
	  LEVEL | ERROR },
	{ "TLS cannot start at may", "may", "may ciphers=junk", POLICY_CHANGED, ERROR | CIPHERS },
	{ "dane without DNSSEC is may", "may", "dane", POLICY_UNCHANGED, 0 },
};

TEST(two_entries)
{
	FOR_EACH(c, entries) {
		const struct side before = { NULL, c->before }, after = { NULL, c->after };

		expect(c->rule, "example.com", &before, &after, c->change, c->aspects);
	}
}

/* Two texts of main.cf. */
static const struct {
	const char *rule, *before, *after, *entry;
	enum policy_change change;
	uint32_t aspects;
} files[] = {
	{ "global level", "smtp_tls_security_level = may\n", "smtp_tls_security_level = none\n",
	  NULL, POLICY_LOWERED, LEVEL },
	{ "two ways to say it", "smtp_tls_security_level = verify\n",
	  "smtp_tls_security_level =\nsmtp_enforce_tls = yes\n", NULL, POLICY_UNCHANGED, 0 },
	{ "a table says the same under both", "smtp_tls_security_level = may\n",
	  "smtp_tls_security_level = none\n", "encrypt", POLICY_UNCHANGED, 0 },
	{ "CAs", NULL, "smtp_tls_CAfile = /etc/other.pem\n", "secure", POLICY_CHANGED, TRUST },
	{ "CAs do not matter to encrypt", NULL, "smtp_tls_CAfile = /etc/other.pem\n", "encrypt",
	  POLICY_UNCHANGED, 0 },
	{ "nor to trust anchors", NULL, "smtp_tls_CAfile = /etc/other.pem\n", "secure tafile=/a",
	  POLICY_UNCHANGED, 0 },
	{ "CAs of the system as well", NULL, "tls_append_default_CA = yes\n", "verify",
	  POLICY_CHANGED, TRUST },
	{ "depth", NULL, "smtp_tls_scert_verifydepth = 3\n", "secure tafile=/a", POLICY_CHANGED,
	  TRUST },
	{ "wildcards", "tls_wildcard_matches_multiple_labels = yes\n",
	  "tls_wildcard_matches_multiple_labels = no\n", "secure", POLICY_RAISED, NAMES },
	{ "digest", NULL, "smtp_tls_fingerprint_digest = sha512\n", "fingerprint match=AA",
	  POLICY_CHANGED, FINGERPRINTS },
	{ "our own certificate", NULL, "smtp_tls_cert_file = /etc/x.pem\n", "may", POLICY_CHANGED,
	  CLIENT },
	{ "no TLS, no certificate of ours", NULL, "smtp_tls_cert_file = /etc/x.pem\n", "none",
	  POLICY_UNCHANGED, 0 },
	{ "names of main.cf", NULL, "smtp_tls_verify_cert_match = nexthop\n", "verify",
	  POLICY_RAISED, NAMES },
	{ "a cipher list of one's own", NULL, "tls_medium_cipherlist = AES128-SHA\n", "encrypt",
	  POLICY_CHANGED, CIPHERS },
	{ "the same ciphers in another order", "tls_medium_cipherlist = HIGH:MEDIUM\n",
	  "tls_medium_cipherlist = HIGH:MEDIUM:+RC4\n", "encrypt", POLICY_CHANGED, CIPHERS },
	{ "the security level of OpenSSL", "tls_medium_cipherlist = HIGH:@SECLEVEL=2\n",
	  "tls_medium_cipherlist = HIGH:@SECLEVEL=0\n", "encrypt", POLICY_CHANGED, CIPHERS },
	{ "wrapper mode needs encrypt", "smtp_tls_wrappermode = no\n",
	  "smtp_tls_wrappermode = yes\n", "may", POLICY_REFUSED, ERROR },
};

TEST(two_files)
{
	FOR_EACH(c, files) {
		const struct side before = { c->before, c->entry }, after = { c->after, c->entry };

		expect(c->rule, "example.com", &before, &after, c->change, c->aspects);
	}
}

/* Lists whose NULL ciphers come back are no narrower for the missing "!eNULL". */
TEST(null_ciphers_are_not_forgotten)
{
	static const char cf[] = "tls_medium_cipherlist = kRSA:MEDIUM\n";
	const struct side before = { cf, "encrypt" }, after = { cf, "verify" };

	expect("kRSA has some", "example.com", &before, &after, POLICY_CHANGED, LEVEL | CIPHERS);
}

static const struct {
	const char *rule, *nexthop, *before, *after;
	enum policy_change change;
} nexthops[] = {
	{ "brackets: the operator chose the host", "[mx.example.com]:25",
	  "verify match=hostname:other.example", "verify match=other.example", POLICY_RAISED },
	{ "brackets: hostname and nexthop are one name", "[mx.example.com]:25",
	  "verify match=hostname", "verify match=nexthop", POLICY_UNCHANGED },
	{ "no brackets: they are not, though they look alike", "mx.example.com",
	  "verify match=hostname", "verify match=nexthop", POLICY_RAISED },
	{ "a malformed next-hop fails alike", "[mx.example.com", "may", "none", POLICY_UNCHANGED },
};

TEST(forms_of_the_nexthop)
{
	FOR_EACH(c, nexthops) {
		const struct side before = { NULL, c->before }, after = { NULL, c->after };
		struct policy_comparison got =
			compare(c->nexthop, "mx.example.com", &before, &after);

		ok_str(policy_change_name(got.change), policy_change_name(c->change), c->rule);
	}
}

/* Any entry against any other: exactly one of the two ways is stronger, or neither. */
TEST(the_order_has_no_contradictions)
{
	const struct side side = { NULL, NULL };
	struct policy_decision d[2 * ARRAY_LEN(entries)];
	struct fixture f = side_new(&side);

	for (size_t i = 0; i < ARRAY_LEN(d); i++) {
		const char *entry = i % 2 ? entries[i / 2].after : entries[i / 2].before;

		f.facts = fact_list_new(f.a);
		d[i] = decide(&f, "example.com", "mx.example.com", entry);
	}
	FOR_EACH(a, d) {
		FOR_EACH(b, d) {
			struct str nexthop = STR("example.com");
			const struct policy_side one = { f.conf, a, nexthop };
			const struct policy_side two = { f.conf, b, nexthop };
			struct policy_comparison there = policy_compare(&one, &two);
			struct policy_comparison back = policy_compare(&two, &one);

			ok(back.change == opposite(there.change), entries[(a - d) / 2].rule);
			ok(back.aspects == there.aspects, entries[(b - d) / 2].rule);
			ok((there.change == POLICY_UNCHANGED) == (there.aspects == 0),
			   entries[(b - d) / 2].rule);
		}
	}
	fixture_free(&f);
}

/* Each action against each other one, for a sender who asks. */
TEST(requiretls)
{
	const struct policy_subject s = { .nexthop = STR("example.com"),
					  .host = STR("mx.example.com"),
					  .port = 25,
					  .has_requiretls = true };
	static const char *const actions[] = {
		"smtp_tls_security_level = verify\nsmtp_requiretls_policy = disable",
		"smtp_tls_security_level = verify\nsmtp_requiretls_policy = opportunistic",
		"smtp_tls_security_level = verify\nsmtp_requiretls_policy = opportunistic+starttls",
		"smtp_tls_security_level = verify\nsmtp_requiretls_policy = enforce",
	};
	struct fixture f[ARRAY_LEN(actions)];
	struct policy_decision d[ARRAY_LEN(actions)];

	for (size_t i = 0; i < ARRAY_LEN(actions); i++) {
		f[i] = fixture_new(actions[i]);
		d[i] = fixture_step(&f[i], &s).u.decided;
	}
	for (size_t i = 0; i < ARRAY_LEN(actions); i++) {
		for (size_t k = 0; k < ARRAY_LEN(actions); k++) {
			const struct policy_side one = { f[i].conf, &d[i], s.nexthop },
						 two = { f[k].conf, &d[k], s.nexthop };
			struct policy_comparison c = policy_compare(&one, &two);

			ok(c.change == (i < k   ? POLICY_RAISED
					: i > k ? POLICY_LOWERED
						: POLICY_UNCHANGED),
			   actions[i]);
			ok((c.aspects == 1u << POLICY_ASPECT_REQUIRETLS) == (i != k), actions[k]);
		}
	}
	for (size_t i = 0; i < ARRAY_LEN(actions); i++)
		fixture_free(&f[i]);
}

TEST(names_of_all_words)
{
	for (int i = 0; i < POLICY_CHANGE_COUNT; i++)
		ok(policy_change_name((enum policy_change)i).n > 0, "a change has a name");
	for (int i = 0; i < POLICY_ASPECT_COUNT; i++)
		ok(policy_aspect_name((enum policy_aspect)i).n > 0, "an aspect has a name");
}

TEST_MAIN(RUN(two_entries), RUN(two_files), RUN(null_ciphers_are_not_forgotten),
	  RUN(forms_of_the_nexthop), RUN(the_order_has_no_contradictions), RUN(names_of_all_words),
	  RUN(requiretls))
