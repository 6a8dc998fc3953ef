#include "base/test.h"
#include "policy/entry.h"

/* What is left of a value, one line: level, then the attributes that were taken. */
static struct str list_text(struct arena *a, const char *name, const struct policy_list *l)
{
	struct str out = STR("");

	if (!l->v)
		return out;
	for (size_t i = 0; i < l->n; i++)
		out = arena_fmt(a, STR_FMT "[" STR_FMT "]", STR_ARG(out), STR_ARG(l->v[i]));
	return arena_fmt(a, " %s:" STR_FMT, name, STR_ARG(out));
}

static struct str value_text(struct arena *a, const char *name, struct str value)
{
	return value.p ? arena_fmt(a, " %s:[" STR_FMT "]", name, STR_ARG(value)) : STR("");
}

static struct str choice_text(struct arena *a, const char *name, enum policy_choice c)
{
	return c == POLICY_CHOICE_UNSET
		       ? STR("")
		       : arena_fmt(a, " %s:%s", name, c == POLICY_CHOICE_YES ? "yes" : "no");
}

static struct str entry_text(struct arena *a, const struct policy_entry *e)
{
	const struct str parts[] = {
		value_text(a, "ciphers", e->ciphers),
		value_text(a, "protocols", e->protocols),
		value_text(a, "exclude", e->exclude),
		value_text(a, "servername", e->servername),
		list_text(a, "match", &e->match),
		list_text(a, "tafile", &e->tafiles),
		choice_text(a, "reuse", e->connection_reuse),
		choice_text(a, "rpk", e->enable_rpk),
		value_text(a, "type", e->policy_type),
		value_text(a, "domain", e->policy_domain),
		value_text(a, "failure", e->policy_failure),
		list_text(a, "string", &e->policy_strings),
		list_text(a, "mx", &e->mx_host_patterns),
	};
	struct str out = tls_level_name(e->level);

	if (e->problem.n)
		return e->problem_code;
	FOR_EACH(p, parts)
		out = arena_fmt(a, STR_FMT STR_FMT, STR_ARG(out), STR_ARG(*p));
	if (e->policy_ttl_s >= 0)
		out = arena_fmt(a, STR_FMT " ttl:%d", STR_ARG(out), (int)e->policy_ttl_s);
	return out;
}

static const struct {
	const char *value, *want;
} cases[] = {
	/* levels */
	{ "may", "may" },
	{ "  Encrypt\t", "encrypt" },
	{ "DANE-only", "dane-only" },
	{ ",, verify ,", "verify" },
	{ "", "policy-empty" },
	{ " , \t", "policy-empty" },
	{ "halfdane", "policy-invalid-level" },
	{ "invalid", "policy-invalid-level" },
	{ "{may}", "policy-invalid-level" },
	{ "may,", "may" },
	{ "may;encrypt", "policy-invalid-level" },
	/* grammar */
	{ "may ciphers=high", "may ciphers:[high]" },
	{ "may,CIPHERS=high,,exclude=a", "may ciphers:[high] exclude:[a]" },
	{ "may { ciphers = high }", "may ciphers:[high]" },
	{ "may {ciphers=high}", "may ciphers:[high]" },
	{ "may { exclude = a, b\tc }", "may exclude:[a, b c]" },
	{ "may exclude={a b}", "may exclude:[{a b}]" },
	{ "may ciphers==high", "may ciphers:[=high]" },
	{ "may ciphers =high", "policy-attr-malformed" },
	{ "may ciphers= high", "policy-attr-empty" },
	{ "may =high", "policy-attr-malformed" },
	{ "may { = high }", "policy-attr-malformed" },
	{ "may {ciphers=high", "policy-attr-malformed" },
	{ "may {ciphers=high}x", "policy-attr-malformed" },
	{ "may {}", "policy-attr-malformed" },
	{ "may { a b = c }", "policy-attr-malformed" },
	{ "may {{ciphers=high}}", "policy-attr-unknown" },
	{ "may encrypt", "policy-attr-malformed" },
	{ "may level=may", "policy-attr-unknown" },
	/* none ignores whatever follows */
	{ "none", "none" },
	{ "none x {y ciphers= match", "none" },
	/* once */
	{ "may ciphers=a ciphers=a", "policy-attr-duplicate" },
	{ "may protocols=a protocols=", "policy-attr-duplicate" },
	{ "may protocols= protocols=a", "policy-attr-duplicate" },
	{ "may exclude= exclude=", "policy-attr-duplicate" },
	{ "may servername=a.b servername=a.b", "policy-attr-duplicate" },
	/* empties */
	{ "may protocols=", "may protocols:[]" },
	{ "may { exclude =  }", "may exclude:[]" },
	{ "may servername=", "invalid-hostname" },
	{ "verify match=", "policy-attr-empty" },
	{ "verify tafile=", "policy-attr-empty" },
	/* names */
	{ "may servername=hostname", "may servername:[hostname]" },
	{ "may servername=a..b", "invalid-hostname" },
	{ "may servername=192.0.2.1", "invalid-hostname" },
	/* match and tafile */
	{ "verify match=a:b match=c", "verify match:[a][b][c]" },
	{ "secure match=:", "secure match:" },
	{ "secure match=a|b", "secure match:[a|b]" },
	{ "fingerprint match=AA:BB|CC", "fingerprint match:[AA:BB][CC]" },
	{ "fingerprint match=|", "fingerprint match:" },
	{ "encrypt match=a", "policy-attr-wrong-level" },
	{ "dane match=a", "policy-attr-wrong-level" },
	{ "dane-only match=", "policy-attr-empty" },
	{ "verify tafile=/a tafile=/b", "verify tafile:[/a][/b]" },
	{ "fingerprint tafile=/a", "policy-attr-wrong-level" },
	{ "encrypt tafile=", "policy-attr-wrong-level" },
	/* yes and no */
	{ "may connection_reuse=YES enable_rpk=no", "may reuse:yes rpk:no" },
	{ "may connection_reuse=no connection_reuse=yes", "may reuse:yes" },
	{ "may enable_rpk=true", "policy-attr-bad-value" },
	{ "may enable_rpk=", "policy-attr-bad-value" },
	/* of plug-ins */
	{ "may policy_type=STS", "may type:[STS]" },
	{ "may policy_type=no-policy-found", "may type:[no-policy-found]" },
	{ "may policy_type=tlsa", "policy-attr-unexpected-value" },
	{ "may policy_type=sts policy_type=sts", "policy-attr-duplicate" },
	{ "may policy_ttl=007 policy_type=sts", "may type:[sts] ttl:7" },
	{ "may policy_type=sts policy_ttl=2147483647", "may type:[sts] ttl:2147483647" },
	{ "may policy_type=sts policy_ttl=2147483648", "policy-attr-malformed-value" },
	{ "may policy_type=sts policy_ttl=99999999999999999999", "policy-attr-malformed-value" },
	{ "may policy_type=sts policy_ttl=-1", "policy-attr-malformed-value" },
	{ "may policy_type=sts policy_ttl=", "policy-attr-malformed-value" },
	{ "may policy_type=sts policy_ttl=1 policy_ttl=1", "policy-attr-duplicate" },
	{ "may policy_type=sts policy_domain=example.com", "may type:[sts] domain:[example.com]" },
	{ "may policy_type=sts policy_domain=*.example.com", "policy-attr-malformed-value" },
	{ "may policy_type=sts policy_failure=Validation-Failure",
	  "may type:[sts] failure:[Validation-Failure]" },
	{ "may policy_type=sts policy_failure=x", "policy-attr-unexpected-value" },
	{ "may policy_type=sts policy_string= policy_string=a mx_host_pattern=*.b",
	  "may type:[sts] string:[][a] mx:[*.b]" },
	{ "may policy_ttl=1", "policy-ext-without-type" },
	{ "may policy_string=", "policy-ext-without-type" },
	{ "may mx_host_pattern=a", "policy-ext-without-type" },
	{ "may policy_failure=x", "policy-attr-unexpected-value" },
	/* the first error ends it */
	{ "may bogus=1 ciphers=", "policy-attr-unknown" },
};

TEST(values)
{
	FOR_EACH(c, cases) {
		struct arena *a = arena_new();
		struct str value = test_exact(str_of(c->value));
		struct policy_entry e = policy_entry_parse(a, value);

		ok_str(entry_text(a, &e), str_of(c->want), c->value);
		ok((e.problem.n == 0) == (e.problem_code.n == 0), c->value);
		free((char *)value.p);
		arena_free(a);
	}
}

TEST(attributes_are_kept_in_their_order)
{
	struct arena *a = arena_new();
	struct policy_entry e = policy_entry_parse(a, STR("may Ciphers=high exclude= bogus=1"));

	ok(e.n_attributes == 2, "those before the error");
	ok_str(e.attributes[0].name, STR("Ciphers"), "as written");
	ok_str(e.attributes[1].value, STR(""), "empty");
	e = policy_entry_parse(a, STR("none a=b, {c d}"));
	ok(e.n_attributes == 2, "ignored ones are kept");
	ok_str(e.attributes[1].value, STR("{c d}"), "as the whole token");
	arena_free(a);
}

TEST(any_octets)
{
	static const char octets[] = "may{}=,:|\t \0\xff";
	uint32_t seed = 3;

	for (int i = 0; i < 20000; i++) {
		struct arena *a = arena_new();
		char text[24];
		size_t n = 0;

		for (; n < sizeof(text); n++) {
			seed = seed * 1664525u + 1013904223u;
			text[n] = octets[(seed >> 16) % (sizeof(octets) - 1)];
		}
		struct str value = test_exact(str_span(text, seed % (n + 1)));
		struct policy_entry e = policy_entry_parse(a, value);
		ok(e.problem.n || e.level != TLS_LEVEL_INVALID, "a level or a problem");
		free((char *)value.p);
		arena_free(a);
	}
}

TEST_MAIN(RUN(values), RUN(attributes_are_kept_in_their_order), RUN(any_octets))
