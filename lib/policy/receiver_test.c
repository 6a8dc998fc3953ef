#include "policy/receiver.h"

#include "base/test.h"

static struct conf *conf_of(struct str text)
{
	struct conf_source s = { STR("main.cf"), text };
	struct conf_machine m = { .hostname = STR("mx.example") };
	struct arena *a = arena_new();
	struct conf_findings found;
	struct conf *c = conf_new(&s, 1, &m, a, &found);

	ok(c != NULL, "configuration");
	arena_free(a);
	return c;
}

static const struct {
	const char *rule;
	struct str text;
	bool is_mandatory, is_good;
	tls_versions versions;
	struct str in_list; /* the list has it */
} cases[] = {
	{ "defaults", STR_INIT(""), false, true, 0x0f, STR_INIT("") },
	{ "optional",
	  STR_INIT("smtpd_tls_protocols = >=TLSv1.2\nsmtpd_tls_exclude_ciphers = RC4\n"), false,
	  true, 0x0c, STR_INIT("!RC4") },
	{ "mandatory has its own",
	  STR_INIT("smtpd_tls_protocols = >=TLSv1.2\nsmtpd_tls_mandatory_exclude_ciphers = RC4\n"),
	  true, true, 0x0f, STR_INIT("!RC4") },
	{ "no version", STR_INIT("smtpd_tls_mandatory_protocols = SSLv3\n"), true, false, 0,
	  STR_INIT("") },
	{ "no grade", STR_INIT("smtpd_tls_ciphers = best\n"), false, false, 0, STR_INIT("") },
};

TEST(texts)
{
	FOR_EACH(c, cases) {
		struct arena *a = arena_new();
		struct conf *conf = conf_of(c->text);
		struct policy_receiver r = { 0 };
		struct error e = { 0 };
		size_t at;
		bool is_good = c->is_mandatory ? policy_receiver_mandatory(a, conf, &r, &e)
					       : policy_receiver_optional(a, conf, &r, &e);

		ok(is_good == c->is_good && is_good == (e.text[0] == '\0'), c->rule);
		ok(!is_good || r.versions == c->versions, c->rule);
		ok(!is_good || str_search(r.cipher_list, c->in_list, &at), c->rule);
		conf_unref(conf);
		arena_free(a);
	}
}

TEST_MAIN(RUN(texts))
