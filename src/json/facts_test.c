#include "base/test.h"
#include "json/facts.h"

#define QUESTION "{\"kind\":\"table\",\"table\":\"smtp_tls_per_site\",\"name\":\"example.com\"}"
#define MX "{\"kind\":\"mx\",\"name\":\"example.com\"}"
#define ADDRESS "{\"kind\":\"address\",\"name\":\"mx.example.com\"}"
#define FACT(question, answer) "[{\"question\":" question ",\"answer\":" answer "}]"

static struct str write_facts(struct arena *a, struct fact_set set)
{
	struct buf b;
	struct json j;

	buf_init(&b, 1024 * 1024);
	json_init(&j, &b, false);
	fact_set_json(&j, set);
	ok(json_end(&j), "written whole");
	struct str text = arena_str(a, buf_str(&b));
	buf_fini(&b);
	return str_trim(text);
}

/* Canonical: reading and writing again gives the same octets. */
static const struct {
	const char *rule;
	struct str text;
} round_cases[] = {
	{ "no facts", STR_INIT("[]") },
	{ "table, found",
	  STR_INIT(FACT(QUESTION, "{\"status\":\"found\",\"value\":\"MUST\",\"source\":"
				  "\"texthash:/etc/x\",\"file\":\"/etc/x\",\"line\":3}")) },
	{ "table, empty value", STR_INIT(FACT(QUESTION, "{\"status\":\"found\",\"value\":\"\"}")) },
	{ "table, none", STR_INIT(FACT(QUESTION, "{\"status\":\"none\"}")) },
	{ "table, failed",
	  STR_INIT(FACT(QUESTION, "{\"status\":\"failed\",\"failure\":\"no \\\"file"
				  "\\\"\",\"source\":\"fail:x\"}")) },
	{ "mx, found", STR_INIT(FACT(MX, "{\"status\":\"found\",\"dnssec\":\"secure\",\"ttl\":300,"
					 "\"mx\":[{\"preference\":65535,\"host\":\"mx.example\"},"
					 "{\"preference\":0,\"host\":\"\"}]}")) },
	{ "mx, none",
	  STR_INIT(FACT(MX, "{\"status\":\"none\",\"dnssec\":\"insecure\",\"nxdomain\":true}")) },
	{ "mx, failed",
	  STR_INIT(
		  FACT(MX, "{\"status\":\"failed\",\"dnssec\":\"bogus\",\"failure\":\"EDE 6\"}")) },
	{ "address, found",
	  STR_INIT(FACT(ADDRESS,
			"{\"status\":\"found\",\"dnssec\":\"insecure\",\"ttl\":4294967295,"
			"\"canonical\":\"real.example.com\",\"addresses\":["
			"\"192.0.2.1\",\"2001:db8::1\"],\"ipv4\":{\"status\":\"found\",\"dnssec\":"
			"\"secure\",\"ttl\":60},\"ipv6\":{\"status\":\"failed\",\"dnssec\":"
			"\"bogus\",\"failure\":\"EDE 6\"}}")) },
	{ "address, one family",
	  STR_INIT(FACT(ADDRESS, "{\"status\":\"none\",\"ipv4\":{\"status\":\"none\"}}")) },
	{ "trust anchors, found",
	  STR_INIT(FACT("{\"kind\":\"trust-anchors\",\"name\":\"/etc/ta.pem\"}",
			"{\"status\":\"found\",\"value\":\"2\"}")) },
	{ "trust anchors, failed",
	  STR_INIT(FACT("{\"kind\":\"trust-anchors\",\"name\":\"/etc/ta.pem\"}",
			"{\"status\":\"failed\",\"failure\":\"no such file\"}")) },
	{ "native",
	  STR_INIT(FACT("{\"kind\":\"native\",\"name\":\"mx.example.com\"}",
			"{\"status\":\"found\",\"addresses\":[\"192.0.2.1\"],\"ipv4\":{\"status\":"
			"\"found\"}}")) },
	{ "mx, through an alias", STR_INIT(FACT(MX, "{\"status\":\"found\",\"canonical\":"
						    "\"real.example.com\",\"mx\":[]}")) },
	{ "part of a key",
	  STR_INIT(FACT("{\"kind\":\"table\",\"table\":\"transport_maps\",\"name\":\".com\","
			"\"partial\":true}",
			"{\"status\":\"none\"}")) },
	{ "text beyond ASCII",
	  STR_INIT(
		  "[{\"question\":{\"kind\":\"table\",\"table\":\"t\",\"name\":\"\u00e9.example\"},"
		  "\"answer\":{\"status\":\"none\"}}]") },
};

TEST(facts_read_and_write)
{
	FOR_EACH(c, round_cases) {
		struct arena *a = arena_new();
		struct fact_list *l = fact_list_new(a);
		struct error e = { 0 };
		struct str copy = test_exact(c->text);
		bool is_read = facts_read(copy, l, &e);
		free((char *)copy.p);
		if (!is_read)
			fail_msg("%s: %s", c->rule, e.text);
		ok_str(write_facts(a, fact_list_set(l)), c->text, c->rule);
		arena_free(a);
	}
}

TEST(facts_read_values)
{
	struct arena *a = arena_new();
	struct fact_list *l = fact_list_new(a);
	struct error e;

	ok(facts_read(STR(FACT(ADDRESS, "{\"status\":\"found\",\"addresses\":[\"2001:DB8:0::1\"],"
					"\"ipv6\":{\"status\":\"found\"}}")),
		      l, &e),
	   "read");
	const struct answer *answer = &fact_list_set(l).v[0].answer;
	ok_str(answer->canonical, STR("mx.example.com"), "no alias: the name itself");
	ok(!answer->family[ADDRESS_V4].is_asked && answer->family[ADDRESS_V6].is_asked, "families");
	ok(answer->addresses[0].family == ADDRESS_V6, "any spelling of an address");
	arena_free(a);
}

static const struct {
	const char *rule;
	struct str text;
	const char *want;
} bad_cases[] = {
	{ "no JSON", STR_INIT("[{]"), "line 1, column 3: string or '}' expected near ']'" },
	{ "no array", STR_INIT("{}"), "facts are an array, not an object" },
	{ "no object", STR_INIT("[1]"), "[0]: an object is wanted, not an integer" },
	{ "no question", STR_INIT("[{\"answer\":{}}]"), "[0].question: missing" },
	{ "no answer", STR_INIT("[{\"question\":" MX "}]"), "[0].answer: missing" },
	{ "unknown member of a fact", STR_INIT("[{\"at\":1}]"),
	  "[0].at: there is no such member here" },
	{ "unknown kind", STR_INIT(FACT("{\"kind\":\"tlsa\",\"name\":\"x\"}", "{}")),
	  "[0].question.kind: neither table, mx, address, native nor "
	  "trust-anchors" },
	{ "kind of the wrong type", STR_INIT(FACT("{\"kind\":1,\"name\":\"x\"}", "{}")),
	  "[0].question.kind: a string is wanted, not an integer" },
	{ "no name", STR_INIT(FACT("{\"kind\":\"mx\"}", "{}")), "[0].question.name: missing" },
	{ "table question without table",
	  STR_INIT(FACT("{\"kind\":\"table\",\"name\":\"x\"}", "{}")),
	  "[0].question.table: missing" },
	{ "table of another question",
	  STR_INIT(FACT("{\"kind\":\"mx\",\"name\":\"x\",\"table\":\"y\"}", "{}")),
	  "[0].question.table: this question asks no table" },
	{ "no status", STR_INIT(FACT(MX, "{}")), "[0].answer.status: missing" },
	{ "unknown status", STR_INIT(FACT(MX, "{\"status\":\"FOUND\"}")),
	  "[0].answer.status: neither found, none nor failed" },
	{ "answer of the wrong type", STR_INIT(FACT(MX, "[]")),
	  "[0].answer: an object is wanted, not an array" },
	{ "unknown member", STR_INIT(FACT(MX, "{\"status\":\"none\",\"value\":\"x\"}")),
	  "[0].answer.value: there is no such member here" },
	{ "found without a value", STR_INIT(FACT(QUESTION, "{\"status\":\"found\"}")),
	  "[0].answer.value: missing" },
	{ "a value and not found",
	  STR_INIT(FACT(QUESTION, "{\"status\":\"none\",\"value\":\"x\"}")),
	  "[0].answer.value: the status is not found" },
	{ "a failure and not failed",
	  STR_INIT(FACT(QUESTION, "{\"status\":\"none\",\"failure\":\"x\"}")),
	  "[0].answer.failure: the status is not failed" },
	{ "a name that exists and does not",
	  STR_INIT(FACT(MX, "{\"status\":\"failed\",\"nxdomain\":true}")),
	  "[0].answer.nxdomain: the status is not none" },
	{ "unknown dnssec", STR_INIT(FACT(MX, "{\"status\":\"none\",\"dnssec\":\"yes\"}")),
	  "[0].answer.dnssec: neither unchecked, insecure, secure nor bogus" },
	{ "negative ttl", STR_INIT(FACT(MX, "{\"status\":\"none\",\"ttl\":-1}")),
	  "[0].answer.ttl: outside 0 to 4294967295" },
	{ "found without mx", STR_INIT(FACT(MX, "{\"status\":\"found\"}")),
	  "[0].answer.mx: missing" },
	{ "mx of the wrong type", STR_INIT(FACT(MX, "{\"status\":\"found\",\"mx\":{}}")),
	  "[0].answer.mx: an array is wanted, not an object" },
	{ "mx without host",
	  STR_INIT(FACT(MX, "{\"status\":\"found\",\"mx\":[{\"preference\":1}]}")),
	  "[0].answer.mx[0].host: missing" },
	{ "preference too large",
	  STR_INIT(FACT(MX, "{\"status\":\"found\",\"mx\":[{\"preference\":1,\"host\":\"a\"},"
			    "{\"preference\":65536,\"host\":\"b\"}]}")),
	  "[0].answer.mx[1].preference: outside 0 to 65535" },
	{ "no preference", STR_INIT(FACT(MX, "{\"status\":\"found\",\"mx\":[{\"host\":\"a\"}]}")),
	  "[0].answer.mx[0].preference: missing" },
	{ "no address",
	  STR_INIT(FACT(ADDRESS, "{\"status\":\"found\",\"addresses\":[\"192.0.2.256\"]}")),
	  "[0].answer.addresses[0]: this is no IPv4 or IPv6 address" },
	{ "address of the wrong type",
	  STR_INIT(FACT(ADDRESS, "{\"status\":\"found\",\"addresses\":[null]}")),
	  "[0].answer.addresses[0]: a string is wanted, not null" },
	{ "family without status", STR_INIT(FACT(ADDRESS, "{\"status\":\"none\",\"ipv6\":{}}")),
	  "[0].answer.ipv6.status: missing" },
	{ "unknown member of a family",
	  STR_INIT(FACT(ADDRESS, "{\"status\":\"none\",\"ipv6\":{\"status\":\"none\",\"x\":1}}")),
	  "[0].answer.ipv6.x: there is no such member here" },
	{ "partial of the wrong type",
	  STR_INIT(FACT("{\"kind\":\"table\",\"table\":\"t\",\"name\":\"x\",\"partial\":0}", "{}")),
	  "[0].question.partial: true or false is wanted, not an integer" },
	{ "partial without table",
	  STR_INIT(FACT("{\"kind\":\"mx\",\"name\":\"x\",\"partial\":true}", "{}")),
	  "[0].question.partial: this question asks no table" },
	{ "a question twice",
	  STR_INIT("[{\"question\":" MX ",\"answer\":{\"status\":\"none\"}},"
		   "{\"question\":" MX ",\"answer\":{\"status\":\"failed\"}}]"),
	  "[1].question: the same question stands before" },
};

TEST(facts_read_refuses)
{
	FOR_EACH(c, bad_cases) {
		struct arena *a = arena_new();
		struct fact_list *l = fact_list_new(a);
		struct error e = { 0 };
		struct str copy = test_exact(c->text);
		ok(!facts_read(copy, l, &e), c->rule);
		ok_str(error_text(&e), str_of(c->want), c->rule);
		ok(e.kind == ERROR_DATA, c->rule);
		free((char *)copy.p);
		arena_free(a);
	}
}

TEST_MAIN(RUN(facts_read_and_write), RUN(facts_read_values), RUN(facts_read_refuses))
