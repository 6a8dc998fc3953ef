/* Whom a kept session may serve: the key, table by table, and the limits. */

#include "deliver/reuse.h"

#include "conf/conf.h"
#include "deliver/pool_test.h"

/* ---- the key ---- */

struct terms {
	struct session_options o;
	enum route_protocol protocol;
	struct route_host h;
	struct policy_decision d;
	struct str login;
};

static struct str one[] = { STR_INIT("one.example") };
static struct str other[] = { STR_INIT("other.example") };
static struct str two[] = { STR_INIT("one.example"), STR_INIT("other.example") };
static struct str joined[] = { STR_INIT("one.example11:other.example") };
static struct str file[] = { STR_INIT("/dev/null") };
static struct net_endpoint source;

#define CHANGE(name, what)                                                                         \
	static void change_##name(struct terms *t)                                                 \
	{                                                                                          \
		what;                                                                              \
	}

CHANGE(login, t->login = STR("me"))
CHANGE(protocol, t->protocol = ROUTE_LMTP)
CHANGE(host, t->h.host = STR("mx2.example"))
CHANGE(address, t->h.address.octets[3]++)
CHANGE(port, t->h.port++)
CHANGE(socket, t->h.socket = STR("/run/lmtp"))
CHANGE(source, t->o.source = &source)
CHANGE(helo_name, t->o.smtp.helo_name = STR("you.example"))
CHANGE(starttls, t->o.smtp.starttls = SMTP_STARTTLS_NEVER)
CHANGE(wrapper, t->o.smtp.is_tls_already = true)
CHANGE(helo_only, t->o.smtp.helo_only = true)
CHANGE(esmtp, t->o.smtp.ehlo_only_if_esmtp = true)
CHANGE(downgrade, t->o.smtp.no_downgrade = true)
CHANGE(discarded, t->o.smtp.discarded = SMTP_EXT_REQUIRETLS)
CHANGE(line_length, t->o.smtp.line_length_limit = 998)
CHANGE(level, t->d.level = TLS_LEVEL_VERIFY)
CHANGE(requiretls, t->d.requiretls = REQUIRETLS_ENFORCE)
CHANGE(never_matches, t->d.never_matches = true)
CHANGE(usable, t->d.is_usable = !t->d.is_usable)
CHANGE(wrappermode, t->d.is_wrappermode = true)
CHANGE(raw_key, t->d.is_raw_key_enabled = true)
CHANGE(wildcard, t->d.wildcard = POLICY_WILDCARD_MANY_LABELS)
CHANGE(match, t->d.match = other)
CHANGE(match_more, t->d.match = two; t->d.n_match = 2)
CHANGE(match_joined, t->d.match = joined)
CHANGE(match_none, t->d.n_match = 0)
CHANGE(names, t->d.names = other)
CHANGE(names_more, t->d.names = two; t->d.n_names = 2)
CHANGE(names_none, t->d.n_names = 0)
CHANGE(fingerprints, t->d.fingerprints = one; t->d.n_fingerprints = 1)
CHANGE(digest, t->d.fingerprint_digest = STR("sha512"))
CHANGE(trust_files, t->d.trust_files = file; t->d.n_trust_files = 1)
CHANGE(anchors, t->d.n_trust_anchors = 1)
CHANGE(sts_domain, t->d.sts.domain = STR("sts.example"))
CHANGE(sts_patterns, t->d.sts.mx_patterns = one; t->d.sts.n_mx_patterns = 1)
CHANGE(versions, t->o.demand.versions = TLS_VERSIONS_ALL)
CHANGE(ciphers, t->o.demand.cipher_list = STR("HIGH"))
CHANGE(sni, t->o.demand.sni = STR("sni.example"))
CHANGE(demand_digest, t->o.demand.digest = STR("sha512"))
CHANGE(demand_files, t->o.demand.trust_files = file; t->o.demand.n_trust_files = 1)
CHANGE(authentication, t->o.demand.needs_authentication = true)

static const struct {
	const char *rule;
	void (*change)(struct terms *t);
} key_cases[] = {
	{ "another protocol", change_protocol },
	{ "another name of the server", change_host },
	{ "another address", change_address },
	{ "another port", change_port },
	{ "a UNIX-domain socket", change_socket },
	{ "another address of ours", change_source },
	{ "another name of ours", change_helo_name },
	{ "no STARTTLS", change_starttls },
	{ "TLS from the first octet", change_wrapper },
	{ "HELO", change_helo_only },
	{ "EHLO on request", change_esmtp },
	{ "no conversion", change_downgrade },
	{ "other extensions are seen", change_discarded },
	{ "another line length", change_line_length },
	{ "another level", change_level },
	{ "REQUIRETLS", change_requiretls },
	{ "nothing would match", change_never_matches },
	{ "it cannot be used", change_usable },
	{ "smtp_tls_wrappermode", change_wrappermode },
	{ "raw public keys", change_raw_key },
	{ "wildcards reach further", change_wildcard },
	{ "another match", change_match },
	{ "more matches", change_match_more },
	{ "a match that looks like two", change_match_joined },
	{ "no match", change_match_none },
	{ "other names", change_names },
	{ "more names", change_names_more },
	{ "no names", change_names_none },
	{ "fingerprints", change_fingerprints },
	{ "another digest", change_digest },
	{ "trust files", change_trust_files },
	{ "another number of anchors", change_anchors },
	{ "another MTA-STS domain", change_sts_domain },
	{ "other MTA-STS patterns", change_sts_patterns },
	{ "other TLS versions", change_versions },
	{ "other ciphers", change_ciphers },
	{ "another SNI", change_sni },
	{ "another digest of the handshake", change_demand_digest },
	{ "trust files of the handshake", change_demand_files },
	{ "OpenSSL's security level", change_authentication },
	{ "another login", change_login },
};

static struct terms terms_of(void)
{
	struct terms t = {
		.o = { .smtp = { .helo_name = STR("me.example"),
				 .starttls = SMTP_STARTTLS_IF_OFFERED } },
		.protocol = ROUTE_SMTP,
		.h = { .host = STR("mx.example"), .port = 25 },
		.d = { .level = TLS_LEVEL_SECURE,
		       .match = one,
		       .n_match = 1,
		       .names = one,
		       .n_names = 1,
		       .fingerprint_digest = STR("sha256") },
	};

	t.o.demand.sni = t.o.demand.cipher_list = t.o.demand.digest = STR("");
	return t;
}

static struct deliver_pool_key key_made(struct lab *lab, const struct terms *t)
{
	struct deliver_client client = { .tls = lab->tls };

	return deliver_reuse_key(lab->a, &client, &t->o, t->protocol, &t->h, &t->d, t->login);
}

TEST(a_session_is_offered_under_equal_terms_alone)
{
	struct lab *lab = lab_new();
	struct terms t = terms_of();
	struct deliver_pool_key key = key_made(lab, &t);
	struct session *s = connected(lab);

	FOR_EACH(c, key_cases) {
		struct terms changed = terms_of();
		struct deliver_pool_key its;
		c->change(&changed);
		its = key_made(lab, &changed);
		deliver_pool_put(lab->pool, &key, s, AGES_MS);
		ok(!deliver_pool_take(lab->pool, &its), c->rule);
		changed = terms_of();
		its = key_made(lab, &changed);
		ok(deliver_pool_take(lab->pool, &its) == s, "equal terms");
	}
	session_adopt(s, &calls, lab);
	session_leave(s);
	lab_free(lab);
}

/* What the client trusts and who it is goes into the terms, whatever the decision says. */
TEST(another_identity_is_another_key)
{
	struct lab *lab = lab_new();
	struct tls_client_options deeper = { .verify_depth = 3 };
	struct error e = { 0 };
	struct terms t = terms_of();
	struct str before = key_made(lab, &t).whole;

	tls_client_free(lab->tls);
	lab->tls = tls_client_new(&deeper, &e);
	ok(lab->tls && !str_eq(key_made(lab, &t).whole, before), "smtp_tls_scert_verifydepth");
	lab_free(lab);
}

/* ---- limits ---- */

static struct conf *conf_of(const char *text)
{
	struct arena *a = arena_new();
	struct conf_source s = { STR("main.cf"), str_of(text) };
	struct conf_machine m = { .hostname = STR("client.example") };
	struct conf_findings found;
	struct conf *c = conf_new(&s, 1, &m, a, &found);

	CHECK(c);
	arena_free(a);
	return c;
}

static void send_one(struct lab *lab, struct session *s)
{
	struct smtp_rcpt rcpt = { .address = STR("bob@example.com") };
	struct smtp_mail mail = { .sender = STR("alice@example.net"),
				  .rcpts = &rcpt,
				  .n_rcpts = 1 };
	struct content *content = content_of_memory(STR("Subject: x\r\n\r\nText.\r\n"));

	session_mail(s, &mail, content);
	net_loop_run(lab->l);
	ok(session_is_idle(s), "sent");
	content_free(content);
}

static const struct {
	const char *rule, *conf;
	unsigned n_mails;
	bool want;
} limit_cases[] = {
	{ "no limit of mails", "", 3, true },
	{ "below the limit", "smtp_connection_reuse_count_limit = 3\n", 2, true },
	{ "the limit is reached", "smtp_connection_reuse_count_limit = 2\n", 2, false },
};

TEST(limits)
{
	FOR_EACH(c, limit_cases) {
		struct lab *lab = lab_new();
		struct conf *conf = conf_of(c->conf);
		struct session *s = connected(lab);
		for (unsigned i = 0; i < c->n_mails; i++)
			send_one(lab, s);
		ok(session_n_mails(s) == c->n_mails, "counted");
		ok(deliver_reuse_is_within_limits(conf, s) == c->want, c->rule);
		session_leave(s);
		conf_unref(conf);
		lab_free(lab);
	}
}

TEST(a_session_grows_old)
{
	struct lab *lab = lab_new();
	struct conf *conf = conf_of("smtp_connection_reuse_time_limit = 1s\n");
	struct session *s = connected(lab);

	ok(deliver_reuse_is_within_limits(conf, s), "young");
	lab_wait(lab, 1000);
	ok(!deliver_reuse_is_within_limits(conf, s),
	   "old, from its beginning and not from its use");
	session_leave(s);
	conf_unref(conf);
	lab_free(lab);
}

TEST_MAIN(RUN(a_session_is_offered_under_equal_terms_alone), RUN(another_identity_is_another_key),
	  RUN(limits), RUN(a_session_grows_old))
