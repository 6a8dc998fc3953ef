#include "base/test.h"
#include "fact/fact.h"

static const struct question per_site = { QUESTION_TABLE, STR_INIT("smtp_tls_per_site"),
					  STR_INIT("example.com") };
static const struct question mx = { .kind = QUESTION_MX, .name = STR_INIT("example.com") };
static const struct question host = { .kind = QUESTION_ADDRESS,
				      .name = STR_INIT("mx.example.com") };

TEST(question_eq)
{
	struct question other_table = per_site, other_name = mx, ignored_table = mx;

	other_table.table = STR("transport_maps");
	other_name.name = STR("Example.com");
	ignored_table.table = STR("x");
	ok(question_eq(&per_site, &per_site), "equal to itself");
	ok(!question_eq(&per_site, &mx), "kinds differ");
	ok(!question_eq(&per_site, &other_table), "tables differ");
	ok(!question_eq(&mx, &other_name), "names are compared verbatim");
	ok(question_eq(&mx, &ignored_table), "only a table question has a table");
}

TEST(fact_list)
{
	struct arena *a = arena_new();
	struct fact_list *l = fact_list_new(a);
	char value[] = "MUST", name[] = "q00";

	ok(fact_find(fact_list_set(l), &mx) == NULL, "empty");
	for (int i = 0; i < 50; i++) {
		struct question q = { .kind = QUESTION_MX, .name = str_of(name) };
		struct answer none = { .status = ANSWER_NONE, .ttl = (uint32_t)i };
		(void)snprintf(name, sizeof(name), "q%02d", i);
		fact_list_add(l, &q, &none);
	}
	struct answer first = { .status = ANSWER_FOUND, .value = str_of(value) };
	struct answer second = { .status = ANSWER_FAILED };
	fact_list_add(l, &per_site, &first);
	fact_list_add(l, &per_site, &second);
	value[0] = 'X';

	struct question q7 = { .kind = QUESTION_MX, .name = STR("q07") };
	ok(fact_find(fact_list_set(l), &q7)->ttl == 7, "all are kept");
	ok_str(fact_find(fact_list_set(l), &per_site)->value, STR("MUST"), "the first, copied");
	ok(fact_list_set(l).n == 52, "count");
	arena_free(a);
}

TEST(answer_copy_is_deep)
{
	struct arena *a = arena_new();
	struct mx_record mx_records[] = { { 10, STR("mx1.example.com") } };
	struct address addresses[1];
	struct answer from = {
		.mx = mx_records, .n_mx = 1, .addresses = addresses, .n_addresses = 1
	};

	ok(address_parse(STR("192.0.2.1"), &addresses[0]), "address");
	struct answer to = answer_copy(a, &from);
	mx_records[0].host = STR("x");
	addresses[0].octets[0] = 1;
	ok_str(to.mx[0].host, STR("mx1.example.com"), "records");
	ok_str(address_text(a, &to.addresses[0]), STR("192.0.2.1"), "addresses");
	arena_free(a);
}

static void expect_json(const struct question *q, const struct answer *answer, struct str want,
			const char *rule)
{
	struct buf b;
	struct json j;
	struct fact f = { *q, *answer };

	buf_init(&b, 64 * 1024);
	json_init(&j, &b, false);
	fact_json(&j, &f);
	ok(json_end(&j), rule);
	ok_str(str_trim(buf_str(&b)), want, rule);
	buf_fini(&b);
}

TEST(fact_json_table)
{
	struct answer found = { .status = ANSWER_FOUND,
				.value = STR("MUST"),
				.source = STR("texthash:/etc/x"),
				.file = STR("/etc/x"),
				.line = 3 };
	struct answer none = { .status = ANSWER_NONE };
	struct answer failed = { .status = ANSWER_FAILED, .failure = STR("no such file") };

	expect_json(
		&per_site, &found,
		STR("{\"question\":{\"kind\":\"table\",\"table\":\"smtp_tls_per_site\","
		    "\"name\":\"example.com\"},\"answer\":{\"status\":\"found\",\"value\":\"MUST\","
		    "\"source\":\"texthash:/etc/x\",\"file\":\"/etc/x\",\"line\":3}}"),
		"found");
	expect_json(&per_site, &none,
		    STR("{\"question\":{\"kind\":\"table\",\"table\":\"smtp_tls_per_site\","
			"\"name\":\"example.com\"},\"answer\":{\"status\":\"none\"}}"),
		    "none");
	expect_json(&per_site, &failed,
		    STR("{\"question\":{\"kind\":\"table\",\"table\":\"smtp_tls_per_site\","
			"\"name\":\"example.com\"},\"answer\":{\"status\":\"failed\","
			"\"failure\":\"no such file\"}}"),
		    "failed");
}

TEST(fact_json_mx)
{
	struct mx_record mx_records[] = { { 10, STR("mx1.example.com") }, { 0, STR("") } };
	struct answer found = { .status = ANSWER_FOUND,
				.dnssec = DNSSEC_SECURE,
				.ttl = 300,
				.mx = mx_records,
				.n_mx = 2 };
	struct answer none = { .status = ANSWER_NONE,
			       .dnssec = DNSSEC_INSECURE,
			       .is_nxdomain = true };

	expect_json(&mx, &found,
		    STR("{\"question\":{\"kind\":\"mx\",\"name\":\"example.com\"},\"answer\":"
			"{\"status\":\"found\",\"dnssec\":\"secure\",\"ttl\":300,\"mx\":["
			"{\"preference\":10,\"host\":\"mx1.example.com\"},"
			"{\"preference\":0,\"host\":\"\"}]}}"),
		    "found");
	expect_json(&mx, &none,
		    STR("{\"question\":{\"kind\":\"mx\",\"name\":\"example.com\"},\"answer\":"
			"{\"status\":\"none\",\"dnssec\":\"insecure\",\"nxdomain\":true}}"),
		    "none");
}

TEST(fact_json_address)
{
	struct address addresses[2];
	struct answer found = {
		.status = ANSWER_FOUND,
		.dnssec = DNSSEC_INSECURE,
		.ttl = 60,
		.addresses = addresses,
		.n_addresses = 2,
		.canonical = STR("real.example.com"),
		.family = { { ANSWER_FOUND, DNSSEC_SECURE, 60, STR(""), true },
			    { ANSWER_FAILED, DNSSEC_BOGUS, 0, STR("bogus, EDE 6"), true } },
	};

	ok(address_parse(STR("192.0.2.1"), &addresses[0]) &&
		   address_parse(STR("2001:db8::1"), &addresses[1]),
	   "addresses");
	expect_json(
		&host, &found,
		STR("{\"question\":{\"kind\":\"address\",\"name\":\"mx.example.com\"},\"answer\":"
		    "{\"status\":\"found\",\"dnssec\":\"insecure\",\"ttl\":60,"
		    "\"canonical\":\"real.example.com\",\"addresses\":[\"192.0.2.1\","
		    "\"2001:db8::1\"],\"ipv4\":{\"status\":\"found\",\"dnssec\":\"secure\","
		    "\"ttl\":60},\"ipv6\":{\"status\":\"failed\",\"dnssec\":\"bogus\","
		    "\"failure\":\"bogus, EDE 6\"}}}"),
		"both families");
	found.canonical = host.name;
	found.n_addresses = 1;
	found.family[ADDRESS_V6].is_asked = false;
	expect_json(
		&host, &found,
		STR("{\"question\":{\"kind\":\"address\",\"name\":\"mx.example.com\"},\"answer\":"
		    "{\"status\":\"found\",\"dnssec\":\"insecure\",\"ttl\":60,\"addresses\":["
		    "\"192.0.2.1\"],\"ipv4\":{\"status\":\"found\",\"dnssec\":\"secure\","
		    "\"ttl\":60}}}"),
		"no alias, one family");
}

TEST(fact_set_json_is_pretty)
{
	struct arena *a = arena_new();
	struct fact_list *l = fact_list_new(a);
	struct answer none = { .status = ANSWER_NONE };
	struct buf b;
	struct json j;

	fact_list_add(l, &mx, &none);
	buf_init(&b, 1024);
	json_init(&j, &b, true);
	fact_set_json(&j, fact_list_set(l));
	ok(json_end(&j), "within the limit");
	ok_str(buf_str(&b),
	       STR("[\n  {\n    \"question\": {\n      \"kind\": \"mx\",\n      \"name\": "
		   "\"example.com\"\n    },\n    \"answer\": {\n      \"status\": \"none\"\n    }\n"
		   "  }\n]\n"),
	       "an array");
	buf_fini(&b);
	arena_free(a);
}

TEST(names_both_ways)
{
	enum answer_status s;
	enum dnssec_status d;
	enum question_kind k;

	ok(answer_status_from(STR("failed"), &s) && s == ANSWER_FAILED, "status");
	ok(dnssec_status_from(STR("bogus"), &d) && d == DNSSEC_BOGUS, "dnssec");
	ok(question_kind_from(STR("address"), &k) && k == QUESTION_ADDRESS, "kind");
	ok(!answer_status_from(STR("Found"), &s), "case matters");
	ok(!dnssec_status_from(STR(""), &d), "empty");
	ok(!question_kind_from(STR("tlsa"), &k), "unknown");
}

TEST_MAIN(RUN(question_eq), RUN(fact_list), RUN(answer_copy_is_deep), RUN(fact_json_table),
	  RUN(fact_json_mx), RUN(fact_json_address), RUN(fact_set_json_is_pretty),
	  RUN(names_both_ways))
