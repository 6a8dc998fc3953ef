/* What is written about a decision, octet by octet: docs/reference/decision.md shows the same. */

#include "base/buf.h"
#include "policy/policy_test.h"

static const struct policy_subject subject = { .nexthop = STR_INIT("example.com"),
					       .host = STR_INIT("mx1.example.com"),
					       .port = 25 };

static struct str
text_of(struct arena *a, const struct policy_decision *d, const struct policy_subject *s)
{
	struct buf out;
	struct page page = { &out, PAGE_COLUMNS, false };
	struct str text;

	buf_init(&out, 64 * 1024);
	ok(policy_decision_text(&page, d, s), "fits");
	text = arena_str(a, buf_str(&out));
	buf_fini(&out);
	return text;
}

static const char verify_text[] =
	"next-hop     example.com\n"
	"host         mx1.example.com port 25\n"
	"level        verify: TLS is required, with a certificate of a trusted CA for a\n"
	"             name below\n"
	"decided by   example.com MUST (/etc/per_site:7)\n"
	"\n"
	"why\n"
	"     the global level is may: smtp_tls_security_level = may by default\n"
	"  => next-hop \"example.com\" has the entry MUST (/etc/per_site:7)\n"
	"     host \"mx1.example.com\" has the entry MAY (/etc/per_site:7)\n"
	"     the next-hop's MUST outdoes the host's MAY and means level verify\n"
	"     the entry counts instead of the global level may\n"
	"\n"
	"settings\n"
	"protocols    TLSv1 TLSv1.1 TLSv1.2 TLSv1.3 (>=TLSv1)\n"
	"ciphers      medium, without aNULL\n"
	"server name  not sent\n"
	"match        hostname\n"
	"names        mx1.example.com\n";

TEST(text)
{
	struct fixture f = fixture_new("smtp_tls_per_site = static:x\n");
	struct policy_decision d = fixture_decide(&f, &subject, "MUST", "MAY");

	ok_str(text_of(f.a, &d, &subject), str_of(verify_text), "verify");
	fixture_free(&f);
}

static const char invalid_text[] =
	"next-hop     example.com\n"
	"host         mx1.example.com port 25\n"
	"level        invalid: no usable policy: mail to this host waits\n"
	"error        4.7.5 client TLS configuration problem\n"
	"decided by   mx1.example.com dane (/etc/per_site:7)\n"
	"\n"
	"why\n"
	"     the global level is secure: smtp_tls_security_level = secure (main.cf:2)\n"
	"     next-hop \"example.com\" has no entry (texthash:/etc/per_site)\n"
	"  => host \"mx1.example.com\" has the entry dane (/etc/per_site:7)\n"
	"     \"dane\" is none of NONE, MAY, MUST_NOPEERMATCH and MUST: no level is\n"
	"       assumed, the mail waits\n";

TEST(text_of_an_error)
{
	struct fixture f = fixture_new("smtp_tls_per_site = static:x\n"
				       "smtp_tls_security_level = secure\n");
	struct policy_decision d = fixture_decide(&f, &subject, NULL, "dane");

	ok_str(text_of(f.a, &d, &subject), str_of(invalid_text), "invalid");
	fixture_free(&f);
}

static const char full_text[] =
	"next-hop     example.com\n"
	"host         mx1.example.com port 25, the sender asked for REQUIRETLS\n"
	"level        \033[32mverify: TLS is required, with a certificate of a trusted\033[0m\n"
	"             \033[32mCA for a name below\033[0m\n"
	"REQUIRETLS   enforce\n"
	"decided by   smtp_tls_security_level = verify (main.cf:1)\n"
	"\n"
	"\033[1mwhy\033[0m\n"
	"  => \033[1mthe global level is verify: smtp_tls_security_level = verify\033[0m\n"
	"       \033[1m(main.cf:1)\033[0m\n"
	"     the sender asked for REQUIRETLS: enforce: the server has to prove\n"
	"       who it is and to announce it inside TLS, else the mail is\n"
	"       returned (main.cf:2)\n"
	"   ! \033[33menable_rpk has no effect here: OpenSSL 3.0 has no raw public keys\033[0m\n"
	"       \033[33m(RFC 7250)\033[0m\n"
	"\n"
	"\033[1msettings\033[0m\n"
	"protocols    TLSv1 TLSv1.1 TLSv1.2 TLSv1.3 (>=TLSv1)\n"
	"ciphers      medium, without aNULL\n"
	"server name  not sent\n"
	"wrapper mode TLS from the first octet, no STARTTLS\n"
	"match        hostname\n"
	"names        mx1.example.com\n"
	"note         \033[33menable_rpk has no effect here: OpenSSL 3.0 has no raw\033[0m\n"
	"             \033[33mpublic keys (RFC 7250)\033[0m\n";

TEST(text_of_everything)
{
	struct fixture f = fixture_new("smtp_tls_security_level = verify\n"
				       "smtp_requiretls_policy = enforce\n"
				       "smtp_tls_connection_reuse = yes\n"
				       "smtp_tls_enable_rpk = yes\n"
				       "smtp_tls_wrappermode = yes\n");
	struct policy_subject s = subject;
	struct policy_decision d;
	struct buf out;
	struct page page = { &out, 70, true };

	s.has_requiretls = true;
	d = fixture_step(&f, &s).u.decided;
	buf_init(&out, 64 * 1024);
	ok(policy_decision_text(&page, &d, &s), "fits");
	ok_str(buf_str(&out), str_of(full_text), "in colour");
	buf_fini(&out);
	fixture_free(&f);
}

TEST(text_is_at_most_80_columns_wide)
{
	struct fixture f = fixture_new(
		"smtp_tls_per_site = static:x\n"
		"smtp_tls_security_level = secure\n"
		"smtp_tls_wrappermode = yes\n"
		"smtp_tls_mandatory_exclude_ciphers = A B C D E F G H I J K L M N "
		"O P Q R S T U V W X Y Z AA BB CC DD EE FF GG HH II JJ KK LL MM\n"
		"smtp_tls_verify_cert_match = .,a.example.com b.example.com "
		"c.example.com d.example.com e.example.com f.example.com g.example.com\n");
	struct policy_decision d = fixture_decide(&f, &subject, "MUST", "NONE");
	struct str text = text_of(f.a, &d, &subject), line, rest;
	bool is_wrapped = false;

	while (str_cut(text, '\n', &line, &rest)) {
		ok(line.n <= 80, arena_str(f.a, line).p);
		is_wrapped = is_wrapped || str_has_prefix(line, STR("             "));
		text = rest;
	}
	ok(is_wrapped, "something was too long for one line");
	fixture_free(&f);
}

TEST(text_stops_at_the_limit)
{
	struct fixture f = fixture_new("smtp_tls_per_site = static:x\n");
	struct policy_decision d = fixture_decide(&f, &subject, "MUST", "MAY");

	for (size_t limit = 0; limit < sizeof(verify_text); limit++) {
		struct buf out;
		struct page page = { &out, PAGE_COLUMNS, false };

		buf_init(&out, limit);
		ok(policy_decision_text(&page, &d, &subject) == (limit == sizeof(verify_text) - 1),
		   "a smaller buffer is too small");
		buf_fini(&out);
	}
	fixture_free(&f);
}

static struct str end_json(struct arena *a, struct json *j, struct buf *out)
{
	struct str text;

	ok(json_end(j), "fits");
	text = arena_str(a, str_trim(buf_str(out)));
	buf_fini(out);
	return text;
}

static const char decision_text[] =
	"{\"level\":\"verify\",\"error\":null,\"refusal\":null,\"host\":\"mx1.example.com\","
	"\"domain\":\"example.com\",\"port\":25,\"protocols\":\">=TLSv1\",\"ciphers\":\"high\","
	"\"exclude\":\"MD5 aNULL\",\"servername\":\"hostname\",\"match\":[\"hostname\"],"
	"\"fingerprints\":null,\"fingerprint_digest\":null,\"connection_reuse\":false,"
	"\"enable_rpk\":false,\"wrappermode\":false,\"requiretls\":null,\"trust_files\":null,\"mta_"
	"sts\":null,\"tls\":{"
	"\"usable\":true,"
	"\"problem\":null,"
	"\"versions\":[\"TLSv1\",\"TLSv1.1\",\"TLSv1.2\",\"TLSv1.3\"],\"grade\":\"high\","
	"\"cipher_list\":\"HIGH:!MD5:!aNULL\",\"exclusions\":[\"MD5\",\"aNULL\"],"
	"\"sni\":\"mx1.example.com\",\"names\":[\"mx1.example.com\"],\"never_matches\":false,"
	"\"wildcard_multiple_labels\":true},"
	"\"deciding\":1,\"trace\":[{\"kind\":\"rule\",\"code\":\"global-level\","
	"\"text\":\"the global level is may: smtp_tls_security_level = may by default\","
	"\"key\":\"smtp_tls_security_level\",\"value\":\"may\"},"
	"{\"kind\":\"question\",\"code\":\"per-site-nexthop\","
	"\"text\":\"next-hop \\\"example.com\\\" has the entry MUST\","
	"\"source\":\"texthash:/etc/per_site\",\"key\":\"example.com\",\"answer\":\"found\","
	"\"value\":\"MUST\",\"file\":\"/etc/per_site\",\"line\":7},"
	"{\"kind\":\"question\",\"code\":\"per-site-host\","
	"\"text\":\"host \\\"mx1.example.com\\\" has no entry\","
	"\"source\":\"texthash:/etc/per_site\",\"key\":\"mx1.example.com\",\"answer\":\"none\"},"
	"{\"kind\":\"rule\",\"code\":\"per-site-combined\","
	"\"text\":\"the next-hop's MUST means level verify\"},"
	"{\"kind\":\"rule\",\"code\":\"per-site-replaces-global\","
	"\"text\":\"the entry counts instead of the global level may\"}]}";

TEST(decision_json)
{
	struct fixture f = fixture_new("smtp_tls_per_site = static:x\n"
				       "smtp_tls_mandatory_ciphers = high\n"
				       "smtp_tls_mandatory_exclude_ciphers = MD5\n"
				       "smtp_tls_servername = hostname\n"
				       "tls_high_cipherlist = HIGH\n");
	struct policy_decision d = fixture_decide(&f, &subject, "MUST", NULL);
	struct buf out;
	struct json j;

	buf_init(&out, 64 * 1024);
	json_init(&j, &out, false);
	policy_decision_json(&j, &d);
	ok_str(end_json(f.a, &j, &out), str_of(decision_text), "decision");
	fixture_free(&f);
}

static const char none_text[] =
	"{\"level\":\"none\",\"error\":null,\"refusal\":null,\"host\":\"mx1.example.com\","
	"\"domain\":\"example.com\",\"port\":25,\"protocols\":null,\"ciphers\":null,"
	"\"exclude\":null,\"servername\":null,\"match\":null,\"fingerprints\":null,"
	"\"fingerprint_digest\":null,\"connection_reuse\":true,\"enable_rpk\":false,"
	"\"wrappermode\":false,\"requiretls\":null,\"trust_files\":null,\"mta_sts\":null,\"tls\":"
	"null,\"deciding\":0,"
	"\"trace\":[{\"kind\":"
	"\"rule\",\"code\":\"global-level\","
	"\"text\":\"the global level is none: smtp_tls_security_level = none\","
	"\"key\":\"smtp_tls_security_level\",\"value\":\"none\",\"file\":\"main.cf\","
	"\"line\":1}]}";

TEST(decision_json_at_none)
{
	struct fixture f = fixture_new("smtp_tls_security_level = none\n"
				       "smtp_tls_connection_reuse = yes\n");
	struct policy_decision d = fixture_decide(&f, &subject, NULL, NULL);
	struct buf out;
	struct json j;

	buf_init(&out, 64 * 1024);
	json_init(&j, &out, false);
	policy_decision_json(&j, &d);
	ok_str(end_json(f.a, &j, &out), str_of(none_text), "none");
	fixture_free(&f);
}

TEST(judgement_json)
{
	struct arena *a = arena_new();
	struct policy_judgement g = { .is_acceptable = false,
				      .reached = TLS_TRUSTED,
				      .result = TLS_RESULT_CERTIFICATE_HOST_MISMATCH,
				      .status = STATUS(4, 7, 5),
				      .reason = STR("wrong name") };
	struct buf out;
	struct json j;

	buf_init(&out, 4096);
	json_init(&j, &out, false);
	policy_judgement_json(&j, &g);
	ok_str(end_json(a, &j, &out),
	       STR("{\"acceptable\":false,\"reached\":\"trusted\","
		   "\"result\":\"certificate-host-mismatch\",\"status\":\"4.7.5\","
		   "\"reason\":\"wrong name\",\"matched_name\":null,\"matched_by\":null,"
		   "\"requiretls\":false}"),
	       "judgement");
	arena_free(a);
}

static const struct peer_name names[] = {
	{ PEER_NAME_DNS, STR_INIT("a.example") },
	{ PEER_NAME_IP, STR_INIT("192.0.2.1") },
	{ PEER_NAME_DNS, STR_INIT("b.example") },
	{ PEER_NAME_CN, STR_INIT("c.example") },
};
static const struct peer_certificate leaf = { .subject = STR_INIT("CN=c.example"),
					      .issuer = STR_INIT("CN=CA"),
					      .sha256 = STR_INIT("aa"),
					      .spki_sha256 = STR_INIT("bb"),
					      .not_before = 1,
					      .not_after = 2 };

TEST(peer_json)
{
	struct arena *a = arena_new();
	struct tls_peer p = { .is_offered = true,
			      .is_tls = true,
			      .protocol = STR("TLSv1.3"),
			      .cipher = STR("TLS_AES_256_GCM_SHA384"),
			      .cipher_bits = 256,
			      .fault = CHAIN_UNKNOWN_CA,
			      .fault_text = STR("unable to get local issuer certificate"),
			      .chain = &leaf,
			      .n_chain = 1,
			      .fingerprint = { STR("sha1"), STR("cc"), STR("dd") },
			      .names = names,
			      .n_names = ARRAY_LEN(names) };
	struct buf out;
	struct json j;

	buf_init(&out, 4096);
	json_init(&j, &out, false);
	tls_peer_json(&j, &p);
	ok_str(end_json(a, &j, &out),
	       STR("{\"offered\":true,\"garbled\":false,\"tls\":true,"
		   "\"requiretls_offered\":false,\"starttls_refusal\":null,"
		   "\"handshake_error\":"
		   "null,"
		   "\"protocol\":\"TLSv1.3\",\"cipher\":\"TLS_AES_256_GCM_SHA384\","
		   "\"cipher_bits\":256,\"sni\":null,\"resumed\":false,\"fault\":\"unknown-ca\","
		   "\"fault_text\":\"unable to get local issuer certificate\","
		   "\"dns_names\":[\"a.example\",\"b.example\"],\"ip_addresses\":[\"192.0.2.1\"],"
		   "\"common_names\":[\"c.example\"],"
		   "\"fingerprint\":{\"digest\":\"sha1\",\"certificate\":\"cc\","
		   "\"public_key\":\"dd\"},\"chain\":[{\"subject\":\"CN=c.example\","
		   "\"issuer\":\"CN=CA\",\"not_before\":1,\"not_after\":2,\"sha256\":\"aa\","
		   "\"spki_sha256\":\"bb\"}]}"),
	       "peer");
	arena_free(a);
}

TEST_MAIN(RUN(text), RUN(text_of_an_error), RUN(text_of_everything),
	  RUN(text_is_at_most_80_columns_wide), RUN(text_stops_at_the_limit), RUN(decision_json),
	  RUN(decision_json_at_none), RUN(judgement_json), RUN(peer_json))
