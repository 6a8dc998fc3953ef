#include "policy/settings.h"
#include "base/test.h"

static const struct policy_cipher_lists lists = {
	.high = STR_INIT("aNULL:-aNULL:HIGH:!MD5:@STRENGTH"),
	.medium = STR_INIT("aNULL:-aNULL:HIGH:MEDIUM:!MD5:+RC4:@STRENGTH"),
	.null = STR_INIT("eNULL:!MD5:!aNULL"),
};

static struct policy_settings
work_out(struct arena *a, const char *protocols, const char *ciphers, const char *exclude)
{
	struct policy_settings s = { .protocols = str_of(protocols),
				     .ciphers = str_of(ciphers),
				     .exclude = str_of(exclude) };

	policy_settings_work_out(a, &lists, &s);
	return s;
}

#define V10 0x1
#define V11 0x2
#define V12 0x4
#define V13 0x8

static const struct {
	const char *text;
	bool is_known;
	tls_versions want;
	bool warns;
} protocols[] = {
	{ "", true, TLS_VERSIONS_ALL },
	{ ">=TLSv1", true, TLS_VERSIONS_ALL },
	{ ">=tlsv1.2", true, V12 | V13 },
	{ ">=TLSv1.2, <=TLSv1.2", true, V12 },
	{ "<=TLSv1.1", true, V10 | V11 },
	{ "!TLSv1:!TLSv1.1", true, V12 | V13 },
	{ "!SSLv2, !SSLv3", true, TLS_VERSIONS_ALL },
	{ "TLSv1.2 TLSv1.3", true, V12 | V13 },
	{ "TLSv1:!TLSv1", true, 0 },
	{ "SSLv2", true, TLS_VERSIONS_ALL },
	{ "SSLv3", true, 0 },
	{ "<=SSLv3", true, 0 },
	{ ">= TLSv1.2", true, V12 },
	{ ">=", true, TLS_VERSIONS_ALL },
	{ ">=0303", true, V12 | V13 },
	{ ">=0x0304", true, V13 },
	{ ">=+303", true, V12 | V13 },
	{ ">=none", true, TLS_VERSIONS_ALL },
	{ ">=0", true, TLS_VERSIONS_ALL },
	{ ">=0305", true, TLS_VERSIONS_ALL, true },
	{ ">=FFFF", true, TLS_VERSIONS_ALL, true },
	{ "<=1", true, TLS_VERSIONS_ALL, true },
	{ ">=TLSv1.3:<=TLSv1.2", true, 0 },
	{ ">=TLSv1.2 >=TLSv1.3", true, V13 },
	{ ">=-1", false },
	{ ">=0x", false },
	{ ">=80000000", false },
	{ ">=fffffffffffffffffffff", false },
	{ ">=SSLv2", false },
	{ ">TLSv1", false },
	{ "=TLSv1.2", false },
	{ "!", false },
	{ "!foo", false },
	{ "TLSv1.4", false },
	{ "{TLSv1.2}", false },
};

TEST(protocol_lists)
{
	struct arena *a = arena_new();

	FOR_EACH(c, protocols) {
		struct policy_settings s = work_out(a, c->text, "medium", "");

		ok(s.has_versions == c->is_known && s.versions == c->want, c->text);
		ok(s.is_usable == c->is_known, c->text);
		ok((s.limit_warning.n > 0) == c->warns, c->text);
		ok(c->is_known || str_eq(s.problem_code, STR("tls-invalid-protocols")), c->text);
	}
	arena_free(a);
}

static const struct {
	const char *ciphers, *exclude;
	enum tls_grade grade;
	const char *list, *code;
} ciphers[] = {
	{ "high", "", TLS_GRADE_HIGH, "aNULL:-aNULL:HIGH:!MD5:@STRENGTH" },
	{ "MEDIUM", "aNULL", TLS_GRADE_MEDIUM,
	  "aNULL:-aNULL:HIGH:MEDIUM:!MD5:+RC4:@STRENGTH:!aNULL" },
	{ "low", "MD5, RC4:DES", TLS_GRADE_MEDIUM,
	  "aNULL:-aNULL:HIGH:MEDIUM:!MD5:+RC4:@STRENGTH:!MD5:!RC4:!DES" },
	{ "export", "", TLS_GRADE_MEDIUM, "aNULL:-aNULL:HIGH:MEDIUM:!MD5:+RC4:@STRENGTH" },
	{ "null", "aNULL", TLS_GRADE_NULL, "eNULL:!MD5:!aNULL:!aNULL" },
	{ "null", "ALL", TLS_GRADE_NULL, "eNULL:!MD5:!aNULL:!ALL" },
	{ "null", "eNULL", TLS_GRADE_BAD, "", "tls-cipher-empty" },
	{ "null", "NULL", TLS_GRADE_BAD, "", "tls-cipher-empty" },
	{ "high", "HIGH", TLS_GRADE_BAD, "", "tls-cipher-empty" },
	{ "medium", "HIGH", TLS_GRADE_MEDIUM,
	  "aNULL:-aNULL:HIGH:MEDIUM:!MD5:+RC4:@STRENGTH:!HIGH" },
	{ "medium", "HIGH MEDIUM", TLS_GRADE_BAD, "", "tls-cipher-empty" },
	{ "medium", "ALL", TLS_GRADE_BAD, "", "tls-cipher-empty" },
	{ "bogus", "", TLS_GRADE_BAD, "", "tls-invalid-grade" },
	{ "high medium", "", TLS_GRADE_BAD, "", "tls-invalid-grade" },
	{ "", "", TLS_GRADE_BAD, "", "tls-invalid-grade" },
	{ "high", "!x", TLS_GRADE_BAD, "", "tls-bad-exclusion" },
	{ "high", "a +b", TLS_GRADE_BAD, "", "tls-bad-exclusion" },
	{ "high", "a:-b", TLS_GRADE_BAD, "", "tls-bad-exclusion" },
	{ "high", "@SECLEVEL=0", TLS_GRADE_BAD, "", "tls-bad-exclusion" },
};

TEST(cipher_grades_and_exclusions)
{
	struct arena *a = arena_new();

	FOR_EACH(c, ciphers) {
		struct policy_settings s = work_out(a, "", c->ciphers, c->exclude);

		ok(s.grade == c->grade, c->ciphers);
		ok_str(s.cipher_list, str_of(c->list), c->ciphers);
		ok(s.is_usable == !c->code, c->ciphers);
		ok(!c->code || str_eq(s.problem_code, str_of(c->code)), c->code);
		ok(!c->code == !s.problem.n, c->ciphers);
	}
	arena_free(a);
}

/* What a settings text holds is never read past its end. */
TEST(exactly_sized_texts)
{
	struct arena *a = arena_new();

	FOR_EACH(c, protocols) {
		struct str text = test_exact(str_of(c->text));
		struct policy_settings s = { .protocols = text,
					     .ciphers = STR("medium"),
					     .exclude = text };

		policy_settings_work_out(a, &lists, &s);
		ok(s.has_versions == c->is_known, c->text);
		free((char *)text.p);
	}
	arena_free(a);
}

TEST_MAIN(RUN(protocol_lists), RUN(cipher_grades_and_exclusions), RUN(exactly_sized_texts))
