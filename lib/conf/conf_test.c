#include "conf/conf.h"

#include "conf/table.h"
#include "conf/test_load.h"

TEST(defaults)
{
	struct test_load t = test_load(STR(""));
	struct conf *c = t.conf;

	ok(c && t.found.n == 0, "an empty file is fine");
	ok_str(conf_str(c, CONF_myhostname), STR("client.example.net"), "the machine's name");
	ok_str(conf_str(c, CONF_mydomain), STR("example.net"), "its domain");
	ok_str(conf_str(c, CONF_smtp_helo_name), STR("client.example.net"), "$myhostname");
	ok_str(conf_str(c, CONF_mydestination),
	       STR("client.example.net, localhost.example.net, localhost"), "a list");
	ok_str(conf_str(c, CONF_hopseal_dns_trust_anchor_file), STR("/usr/share/dns/root.key"),
	       "ours");
	ok_str(conf_str(c, CONF_tls_high_cipherlist),
	       STR("aNULL:-aNULL:HIGH:!SEED:!IDEA:!3DES:!RC2:!RC4:!RC5:!kDH:!kECDH:!aDSS:!MD5:@"
		   "STRENGTH"),
	       "ciphers");
	ok(conf_bool(c, CONF_smtp_tls_enforce_peername), "yes");
	ok(conf_time_s(c, CONF_smtp_helo_timeout) == 300, "time");
	ok(conf_int(c, CONF_smtp_mx_address_limit) == 5, "number");
	ok(!conf_is_set(c, CONF_relayhost), "not set");
	ok(conf_line(c, CONF_relayhost) == 0, "and so nowhere");
	test_unload(&t);
}

/* What compatibility_level decides; shared rule of the defaults of Postfix 3.12. */
static const struct {
	const char *level;
	const char *security, *digest, *relay_domains;
	bool has_smtputf8;
} level_cases[] = {
	{ "0", "", "md5", "h.x, localhost.x, localhost", false },
	{ "1", "", "md5", "h.x, localhost.x, localhost", true },
	{ "2", "", "md5", "", true },
	{ "3.5", "", "md5", "", true },
	{ "3.6", "", "sha256", "", true },
	{ "3.9", "", "sha256", "", true },
	{ "3.10.7", "", "sha256", "", true },
	{ "3.11", "may", "sha256", "", true },
	{ "3.12", "may", "sha256", "", true },
	{ "4", "may", "sha256", "", true },
};

TEST(compatibility_level_chooses_defaults)
{
	FOR_EACH(k, level_cases) {
		char text[80];
		(void)snprintf(text, sizeof(text), "compatibility_level = %s\nmyhostname = h.x\n",
			       k->level);
		struct test_load t = test_load(str_of(text));
		ok_str(conf_str(t.conf, CONF_smtp_tls_security_level), str_of(k->security),
		       k->level);
		ok_str(conf_str(t.conf, CONF_smtp_tls_fingerprint_digest), str_of(k->digest),
		       k->level);
		ok_str(conf_str(t.conf, CONF_relay_domains), str_of(k->relay_domains), k->level);
		ok(conf_bool(t.conf, CONF_smtputf8_enable) == k->has_smtputf8, k->level);
		test_unload(&t);
	}
}

static const struct {
	const char *rule;
	struct str hostname, text, myhostname, mydomain;
} host_cases[] = {
	{ "a full name", STR_INIT("a.b.c"), STR_INIT(""), STR_INIT("a.b.c"), STR_INIT("b.c") },
	{ "a short name", STR_INIT("a"), STR_INIT(""), STR_INIT("a.localdomain"),
	  STR_INIT("localdomain") },
	{ "a short name and mydomain", STR_INIT("a"), STR_INIT("mydomain = x.y"), STR_INIT("a.x.y"),
	  STR_INIT("x.y") },
	{ "no name", STR_INIT(""), STR_INIT(""), STR_INIT("localhost.localdomain"),
	  STR_INIT("localdomain") },
	{ "both set", STR_INIT("a"), STR_INIT("mydomain = x.y\nmyhostname = m.$mydomain"),
	  STR_INIT("m.x.y"), STR_INIT("x.y") },
	{ "mydomain of a short myhostname", STR_INIT("a.b"), STR_INIT("myhostname = m"),
	  STR_INIT("m"), STR_INIT("localdomain") },

};

TEST(the_name_of_the_machine)
{
	FOR_EACH(k, host_cases) {
		struct arena *a = arena_new();
		struct conf_findings found;
		struct conf_source s = { STR("main.cf"), k->text };
		struct conf_machine m = { k->hostname, STR("/etc/$x") };
		struct conf *c = conf_new(&s, 1, &m, a, &found);
		ok(c != NULL, k->rule);
		ok_str(conf_str(c, CONF_myhostname), k->myhostname, k->rule);
		ok_str(conf_str(c, CONF_mydomain), k->mydomain, k->rule);
		ok_str(conf_str(c, CONF_config_directory), STR("/etc/$x"), k->rule);
		conf_unref(c);
		arena_free(a);
	}
}

static const struct conf_source override_sources[] = {
	{ STR_INIT("main.cf"),
	  STR_INIT("relayhost = [a]\n\nmyorigin = x.$mydomain\nrelay_transport =\n  smtp:[b]\n") },
	{ STR_INIT(""), STR_INIT("relayhost=[c]") },
	{ STR_INIT(""), STR_INIT("mydomain = d.e") },
	{ STR_INIT(""), STR_INIT("relayhost = [f]:25\n  " /* a line end is a blank here */) },
};

TEST(the_command_line_wins)
{
	struct arena *a = arena_new();
	struct conf_findings found;
	struct conf_machine m = { .hostname = STR("h.x") };
	struct conf *c = conf_new(override_sources, ARRAY_LEN(override_sources), &m, a, &found);

	ok(c && found.n == 0, "an override is no finding");
	ok_str(conf_str(c, CONF_relayhost), STR("[f]:25"), "the last one wins");
	ok_str(conf_file(c, CONF_relayhost), STR(""), "from the command line");
	ok(conf_is_set(c, CONF_relayhost) && conf_line(c, CONF_relayhost) == 0, "without a line");
	ok_str(conf_str(c, CONF_myorigin), STR("x.d.e"), "order does not matter to $name");
	ok_str(conf_file(c, CONF_myorigin), STR("main.cf"), "from the file");
	ok(conf_line(c, CONF_myorigin) == 3, "with its line");
	ok_str(conf_str(c, CONF_relay_transport), STR("smtp:[b]"), "a continued value");
	ok(conf_line(c, CONF_relay_transport) == 4, "has the line of its name");
	conf_unref(c);
	arena_free(a);
}

TEST(a_bad_override_is_an_error_without_a_line)
{
	struct arena *a = arena_new();
	struct conf_findings found;
	struct conf_source s = { STR(""), STR("relayhost") };
	struct conf_machine m = { .hostname = STR("h.x") };

	ok(conf_new(&s, 1, &m, a, &found) == NULL, "refused");
	ok(found.n == 1 && found.v[0].file.n == 0 && found.v[0].line == 0, "nowhere");
	ok_str(found.v[0].code, STR("syntax"), "syntax");
	arena_free(a);
}

static const struct {
	const char *rule;
	const char *a, *b;
	bool is_same;
} fingerprint_cases[] = {
	{ "comments and blanks", "relayhost = x\n", "# c\nrelayhost =   x\n", true },
	{ "a default that is written out", "", "smtp_use_tls = no\n", true },
	{ "what it comes to", "relayhost = x\n", "r = x\nrelayhost = $r\n", true },
	{ "another value", "relayhost = x\n", "relayhost = y\n", false },
	{ "another parameter", "relayhost = x\n", "fallback_relay = x\n", false },
};

TEST(fingerprint_follows_the_values)
{
	FOR_EACH(k, fingerprint_cases) {
		struct test_load a = test_load(str_of(k->a)), b = test_load(str_of(k->b));
		ok(conf_fingerprint(a.conf).n == 16, k->rule);
		ok(str_eq(conf_fingerprint(a.conf), conf_fingerprint(b.conf)) == k->is_same,
		   k->rule);
		test_unload(&a);
		test_unload(&b);
	}
}

TEST(a_reference_keeps_it)
{
	struct test_load t = test_load(STR("relayhost = x\n"));
	struct conf *other = conf_ref(t.conf);

	test_unload(&t);
	ok_str(conf_str(other, CONF_relayhost), STR("x"), "still there");
	conf_unref(other);
	conf_unref(NULL);
}

static const struct {
	enum conf_id id;
	const char *name, *text, *of_lmtp;
	unsigned line;
} views[] = {
	{ CONF_smtp_tls_security_level, "lmtp_tls_security_level", "encrypt", "verify", 2 },
	{ CONF_smtp_tls_policy_maps, "lmtp_tls_policy_maps", "static:may", "", 0 },
	{ CONF_smtp_helo_name, "lmtp_lhlo_name", "h.x", "l.x", 3 },
	{ CONF_smtp_tls_secure_cert_match, "lmtp_tls_secure_cert_match", "nexthop, dot-nexthop",
	  "nexthop", 0 },
	{ CONF_myhostname, "myhostname", "h.x", "h.x", 5 },
};

TEST(lmtp_reads_its_own)
{
	struct test_load t = test_load(STR("smtp_tls_security_level = encrypt\n"
					   "lmtp_tls_security_level = verify\n"
					   "lmtp_lhlo_name = l.x\n"
					   "smtp_tls_policy_maps = static:may\n"
					   "myhostname = h.x\n"));
	const struct conf *lmtp = conf_lmtp(t.conf);

	FOR_EACH(c, views) {
		ok_str(conf_str(t.conf, c->id), str_of(c->text), c->name);
		ok_str(conf_str(lmtp, c->id), str_of(c->of_lmtp), c->name);
		ok_str(conf_name_in(lmtp, c->id), str_of(c->name), "its name");
		ok_str(conf_name_in(t.conf, c->id), conf_name(c->id), "SMTP's name");
		ok(conf_line(lmtp, c->id) == c->line, "its line");
	}
	ok(conf_lmtp(lmtp) == lmtp, "the view of the view");
	test_unload(&t);
}

TEST(a_pair_has_one_type)
{
	for (unsigned i = 0; i < CONF_COUNT; i++)
		ok(conf_params[i].type == conf_params[conf_lmtp_id((enum conf_id)i)].type,
		   conf_params[i].name.p);
}

TEST(more_sources_win)
{
	struct test_load t = test_load(STR("relayhost = [a]\nmyorigin = $relayhost\n"));
	struct conf_source more = { STR("main.cf"), STR("relayhost = [b]\n") };
	struct conf_source bad = { STR("main.cf"), STR("inet_protocols = x\n") };
	struct conf_findings found;
	struct conf *c = conf_with(t.conf, &more, 1, t.arena, &found);

	ok(c != NULL, "made");
	ok_str(conf_str(c, CONF_myorigin), STR("[b]"), "values that refer to it, too");
	ok_str(conf_str(t.conf, CONF_relayhost), STR("[a]"), "the old one is as it was");
	ok_str(conf_str(c, CONF_myhostname), STR("client.example.net"), "the same machine");
	ok(!conf_with(c, &bad, 1, t.arena, &found) && found.n > 0, "refused as any");
	conf_unref(c);
	test_unload(&t);
}

/* Every row of the list can be had as its type, set or not. */
TEST(every_parameter_has_a_name)
{
	for (unsigned i = 0; i < CONF_COUNT; i++)
		ok(conf_name((enum conf_id)i).n > 0, "name");
	ok_str(conf_name(CONF_smtp_tls_per_site), STR("smtp_tls_per_site"),
	       "in the order of the list");
}

TEST(every_prefix_of_a_file_is_read)
{
	struct str text =
		STR("# c\nrelayhost = [${a?{$b}:{c}}]:25\n  # d\n\tx\na = $$ $(b)\nb =\n");

	for (size_t n = 0; n <= text.n; n++) {
		struct test_load t = test_load(str_first(text, n));
		ok(t.conf || t.found.n, "a refusal has a reason");
		test_unload(&t);
	}
}

TEST_MAIN(RUN(defaults), RUN(compatibility_level_chooses_defaults), RUN(the_name_of_the_machine),
	  RUN(the_command_line_wins), RUN(a_bad_override_is_an_error_without_a_line),
	  RUN(fingerprint_follows_the_values), RUN(a_reference_keeps_it), RUN(lmtp_reads_its_own),
	  RUN(a_pair_has_one_type), RUN(more_sources_win), RUN(every_parameter_has_a_name),
	  RUN(every_prefix_of_a_file_is_read))
