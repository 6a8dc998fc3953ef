#include "base/limits.h"
#include "base/test.h"
#include "dns/room.h"

#define WIRE(lit) STR_INIT(lit)

static const struct {
	const char *rule;
	struct str wire;
	const char *want; /* NULL: refused */
} names[] = {
	{ "two labels", WIRE("\003Mx1\007example\000"), "mx1.example" },
	{ "the root", WIRE("\000"), "" },
	{ "what follows is not read", WIRE("\001a\000zzz"), "a" },
	{ "a dot inside a label is no separator", WIRE("\003a.b\000"), "a\\046b" },
	{ "octets", WIRE("\003a\000\377\000"), "a\\000\\255" },
	{ "no end", WIRE("\003mx1"), NULL },
	{ "cut off", WIRE("\003mx"), NULL },
	{ "nothing", WIRE(""), NULL },
	{ "a pointer is for packets", WIRE("\300\014"), NULL },
	{ "label of 64",
	  WIRE("\100aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\000"), NULL },
};

TEST(name_from_wire)
{
	struct arena *a = arena_new();

	FOR_EACH(c, names) {
		struct str wire = test_exact(c->wire), out;
		bool is_ok = dns_read_name(a, wire, &out);
		ok(is_ok == (c->want != NULL), c->rule);
		if (is_ok)
			ok_str(out, str_of(c->want), c->rule);
		free((void *)(uintptr_t)wire.p);
	}
	arena_free(a);
}

/* 127 labels of one octet are 255 octets: the longest name; one label more is too long. */
TEST(longest_name)
{
	struct arena *a = arena_new();
	char wire[260];
	struct str out;

	for (size_t i = 0; i < sizeof(wire); i++)
		wire[i] = i % 2 ? 'a' : 1;
	wire[254] = 0;
	ok(dns_read_name(a, str_span(wire, 255), &out) && out.n == 253, "255 octets");
	wire[254] = 1;
	wire[256] = 0;
	ok(!dns_read_name(a, str_span(wire, 257), &out), "257 octets");
	arena_free(a);
}

/* A result as libunbound makes it. */
struct result {
	struct ub_result r;
	char *data[DNS_RECORDS_MAX + 3];
	int len[DNS_RECORDS_MAX + 3];
};

static void result_add(struct result *r, size_t at, struct str rdata)
{
	r->data[at] = (char *)(uintptr_t)rdata.p;
	r->len[at] = (int)rdata.n;
	r->r.data = r->data;
	r->r.len = r->len;
	r->r.havedata = 1;
	r->r.ttl = 60;
}

TEST(mx_records)
{
	struct arena *a = arena_new();
	struct result r = { 0 };

	result_add(&r, 0, STR("\001\002\001B\000"));
	result_add(&r, 1, STR("\000\000\000"));
	r.r.secure = 1;
	struct answer answer = dns_read_mx(a, &r.r, true);
	ok(answer.status == ANSWER_FOUND && answer.n_mx == 2 && answer.ttl == 60, "found");
	ok(answer.dnssec == DNSSEC_SECURE, "secure");
	ok(answer.mx[0].preference == 258 && str_eq(answer.mx[0].host, STR("b")), "as received");
	ok(answer.mx[1].preference == 0 && answer.mx[1].host.n == 0, "null MX");
	ok(dns_read_mx(a, &r.r, false).dnssec == DNSSEC_UNCHECKED, "validation is off");
	result_add(&r, 2, STR("\000\001"));
	answer = dns_read_mx(a, &r.r, true);
	ok(answer.status == ANSWER_FAILED && answer.n_mx == 0, "one malformed record spoils all");
	arena_free(a);
}

TEST(too_many_records_are_a_failure)
{
	struct arena *a = arena_new();
	struct result *r = calloc(1, sizeof(*r));

	for (size_t i = 0; i < DNS_RECORDS_MAX + 1; i++)
		result_add(r, i, STR("\000\001\001a\000"));
	struct answer answer = dns_read_mx(a, &r->r, true);
	ok(answer.status == ANSWER_FAILED && answer.failure.n, "bounded");
	r->data[DNS_RECORDS_MAX] = NULL;
	ok(dns_read_mx(a, &r->r, true).n_mx == DNS_RECORDS_MAX, "the bound itself");
	free(r);
	arena_free(a);
}

static const struct {
	const char *rule;
	struct ub_result r;
	enum answer_status status;
	enum dnssec_status dnssec;
	const char *failure;
} outcomes[] = {
	{ "no data, proven", { .secure = 1 }, ANSWER_NONE, DNSSEC_SECURE, "" },
	{ "no data, insecure", { .secure = 0 }, ANSWER_NONE, DNSSEC_INSECURE, "" },
	{ "no such name",
	  { .rcode = 3, .nxdomain = 1, .secure = 1 },
	  ANSWER_NONE,
	  DNSSEC_SECURE,
	  "" },
	{ "SERVFAIL", { .rcode = 2 }, ANSWER_FAILED, DNSSEC_UNCHECKED, "SERVFAIL" },
	{ "REFUSED", { .rcode = 5 }, ANSWER_FAILED, DNSSEC_UNCHECKED, "REFUSED" },
	{ "an odd code", { .rcode = 23 }, ANSWER_FAILED, DNSSEC_UNCHECKED, "DNS error 23" },
	{ "bogus",
	  { .rcode = 2, .bogus = 1, .why_bogus = (char[]){ "signature expired" } },
	  ANSWER_FAILED,
	  DNSSEC_BOGUS,
	  "DNSSEC validation failed: signature expired" },
	{ "bogus denial",
	  { .nxdomain = 1, .rcode = 3, .bogus = 1 },
	  ANSWER_FAILED,
	  DNSSEC_BOGUS,
	  "DNSSEC validation failed" },
};

TEST(a_failure_is_no_absence)
{
	struct arena *a = arena_new();

	FOR_EACH(c, outcomes) {
		struct answer answer = dns_read_mx(a, &c->r, true);
		ok(answer.status == c->status && answer.dnssec == c->dnssec, c->rule);
		ok_str(answer.failure, str_of(c->failure), c->rule);
	}
	arena_free(a);
}

static struct address_answer family(enum answer_status status, enum dnssec_status dnssec)
{
	return (struct address_answer){ status, dnssec, 60, STR("why"), true };
}

static const struct {
	const char *rule;
	enum answer_status v4;
	enum dnssec_status d4;
	enum answer_status v6;
	enum dnssec_status d6;
	enum answer_status want;
	enum dnssec_status dnssec;
} joins[] = {
	{ "one family is enough", ANSWER_FOUND, DNSSEC_SECURE, ANSWER_FAILED, DNSSEC_BOGUS,
	  ANSWER_FOUND, DNSSEC_SECURE },
	{ "the weaker of two", ANSWER_FOUND, DNSSEC_SECURE, ANSWER_FOUND, DNSSEC_INSECURE,
	  ANSWER_FOUND, DNSSEC_INSECURE },
	{ "failed before none", ANSWER_NONE, DNSSEC_SECURE, ANSWER_FAILED, DNSSEC_BOGUS,
	  ANSWER_FAILED, DNSSEC_BOGUS },
	{ "none", ANSWER_NONE, DNSSEC_SECURE, ANSWER_NONE, DNSSEC_SECURE, ANSWER_NONE,
	  DNSSEC_SECURE },
};

TEST(families)
{
	struct arena *a = arena_new();

	FOR_EACH(c, joins) {
		struct answer answer = { .family = { family(c->v4, c->d4), family(c->v6, c->d6) } };
		dns_join_families(a, &answer);
		ok(answer.status == c->want && answer.dnssec == c->dnssec, c->rule);
		ok((answer.failure.n > 0) == (c->want == ANSWER_FAILED), c->rule);
	}
	arena_free(a);
}

TEST(addresses)
{
	struct arena *a = arena_new();
	struct result r = { 0 };
	struct address v[DNS_RECORDS_MAX];
	size_t n = 0;

	result_add(&r, 0, STR("\300\000\002\001"));
	struct address_answer f = dns_read_family(a, &r.r, ADDRESS_V4, true, v, &n);
	ok(f.status == ANSWER_FOUND && n == 1 && v[0].octets[3] == 1, "IPv4");
	f = dns_read_family(a, &r.r, ADDRESS_V6, true, v, &n);
	ok(f.status == ANSWER_FAILED && n == 1, "four octets are no IPv6 address");
	arena_free(a);
}

static const struct {
	const char *rule, *text, *names;
	enum error_kind kind;
} anchors[] = {
	{ "DS", ". IN DS 1 13 2 00\n", NULL, ERROR_NONE },
	{ "DNSKEY with TTL", "; key\n. 172800 IN DNSKEY 257 3 8 AwEA ;;state=2\n", NULL,
	  ERROR_NONE },
	{ "nothing", "", "no DS or DNSKEY", ERROR_CONFIG },
	{ "only in a comment", "; . IN DS 1 13 2 00\n", "no DS or DNSKEY", ERROR_CONFIG },
};

TEST(anchor_files)
{
	FOR_EACH(c, anchors) {
		char path[] = "/tmp/hopseal-anchor-XXXXXX";
		int fd = mkstemp(path);
		FILE *f = fdopen(fd, "w");
		struct error e = { 0 };

		ok(f && fputs(c->text, f) >= 0 && fclose(f) == 0, "written");
		ok(dns_anchor_check(str_of(path), &e) == (c->kind == ERROR_NONE), c->rule);
		ok(!c->names || (strstr(e.text, c->names) && strstr(e.text, path)), e.text);
		remove(path);
	}
	struct error e;
	ok(!dns_anchor_check(STR("/nonexistent/key"), &e) && e.kind == ERROR_NO_INPUT, "missing");
	ok(strstr(e.text, "/nonexistent/key: No such file"), e.text);
}

TEST_MAIN(RUN(name_from_wire), RUN(longest_name), RUN(mx_records),
	  RUN(too_many_records_are_a_failure), RUN(a_failure_is_no_absence), RUN(families),
	  RUN(addresses), RUN(anchor_files))
