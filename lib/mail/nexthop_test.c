#include "base/test.h"
#include "mail/nexthop.h"

#define SYNTAX NEXTHOP_BAD_SYNTAX
#define SERVICE NEXTHOP_BAD_SERVICE

static const struct {
	const char *rule;
	struct str text;
	enum nexthop_parse want;
	struct str domain;
	uint16_t port;
	bool is_bracketed, is_address;
} cases[] = {
	{ "domain", STR_INIT("example.com"), NEXTHOP_OK, STR_INIT("example.com"), 25 },
	{ "case is kept", STR_INIT("EXAMPLE.com:587"), NEXTHOP_OK, STR_INIT("EXAMPLE.com"), 587 },
	{ "empty port", STR_INIT("example.com:"), NEXTHOP_OK, STR_INIT("example.com"), 25 },
	{ "largest port", STR_INIT("example.com:65535"), NEXTHOP_OK, STR_INIT("example.com"),
	  65535 },
	{ "port with leading zero", STR_INIT("[example.com]:0587"), NEXTHOP_OK,
	  STR_INIT("example.com"), 587, true },
	{ "service smtp", STR_INIT("example.com:smtp"), NEXTHOP_OK, STR_INIT("example.com"), 25 },
	{ "service smtps", STR_INIT("example.com:smtps"), NEXTHOP_OK, STR_INIT("example.com"),
	  465 },
	{ "service submissions", STR_INIT("example.com:submissions"), NEXTHOP_OK,
	  STR_INIT("example.com"), 465 },
	{ "service submission", STR_INIT("[Mail.Example.Com]:submission"), NEXTHOP_OK,
	  STR_INIT("Mail.Example.Com"), 587, true },
	{ "service lmtp", STR_INIT("example.com:lmtp"), NEXTHOP_OK, STR_INIT("example.com"), 24 },
	{ "brackets", STR_INIT("[localhost]"), NEXTHOP_OK, STR_INIT("localhost"), 25, true },
	{ "brackets and empty port", STR_INIT("[example.com]:"), NEXTHOP_OK,
	  STR_INIT("example.com"), 25, true },
	{ "bare IPv4", STR_INIT("192.0.2.1:587"), NEXTHOP_OK, STR_INIT("192.0.2.1"), 587, false,
	  true },
	{ "bracketed IPv4", STR_INIT("[127.0.0.1]:10025"), NEXTHOP_OK, STR_INIT("127.0.0.1"), 10025,
	  true, true },
	{ "bracketed IPv6", STR_INIT("[2001:DB8::1]:587"), NEXTHOP_OK, STR_INIT("2001:DB8::1"), 587,
	  true, true },
	{ "prefix in any case", STR_INIT("[IPV6:::1]:25"), NEXTHOP_OK, STR_INIT("::1"), 25, true,
	  true },
	{ "a bare IPv6 address comes apart", STR_INIT("2001:db8::1:25"), NEXTHOP_OK,
	  STR_INIT("2001:db8::1"), 25, false, true },
	{ "U-label", STR_INIT("[b\u00fccher.example]:587"), NEXTHOP_OK,
	  STR_INIT("b\u00fccher.example"), 587, true },
	{ "A-label that is none", STR_INIT("xn--a.example"), NEXTHOP_OK, STR_INIT("xn--a.example"),
	  25 },
	{ "empty", STR_INIT(""), SYNTAX },
	{ "no host", STR_INIT(":25"), SYNTAX },
	{ "empty brackets", STR_INIT("[]"), SYNTAX },
	{ "empty brackets and port", STR_INIT("[]:25"), SYNTAX },
	{ "trailing dot", STR_INIT("example.com."), SYNTAX },
	{ "trailing dot in brackets", STR_INIT("[mail.example.com.]"), SYNTAX },
	{ "no closing bracket", STR_INIT("[mail.example.com"), SYNTAX },
	{ "no opening bracket", STR_INIT("mail.example.com]"), SYNTAX },
	{ "port without colon", STR_INIT("[mail.example.com]587"), SYNTAX },
	{ "text after the bracket", STR_INIT("[mail.example.com]x:25"), SYNTAX },
	{ "two ports", STR_INIT("example.com:587:25"), SYNTAX },
	{ "IPv6 without brackets", STR_INIT("2001:db8::1"), SYNTAX },
	{ "prefix and IPv4", STR_INIT("[ipv6:192.0.2.1]"), SYNTAX },
	{ "prefix alone", STR_INIT("[ipv6:]"), SYNTAX },
	{ "bad IPv4", STR_INIT("[192.0.2.256]"), SYNTAX },
	{ "0/8", STR_INIT("[0.1.2.3]"), SYNTAX },
	{ "numbers", STR_INIT("12345"), SYNTAX },
	{ "mailbox", STR_INIT("user@example.com"), SYNTAX },
	{ "path", STR_INIT("[unix:/x]"), SYNTAX },
	{ "port 0", STR_INIT("example.com:0"), SERVICE },
	{ "port too large", STR_INIT("example.com:65536"), SERVICE },
	{ "port that overflows", STR_INIT("example.com:99999999999999999999999"), SERVICE },
	{ "signed port", STR_INIT("example.com:+25"), SERVICE },
	{ "negative port", STR_INIT("example.com:-1"), SERVICE },
	{ "service in capitals", STR_INIT("example.com:SMTP"), SERVICE },
	{ "unknown service", STR_INIT("example.com:nosuchservice"), SERVICE },
	{ "transport before it", STR_INIT("smtp:example.com"), SERVICE },
};

TEST(nexthop_parse)
{
	FOR_EACH(c, cases) {
		struct nexthop n;
		struct str copy = test_exact(c->text);
		ok(nexthop_parse(copy, 25, true, &n) == c->want, c->rule);
		ok_str(n.text, c->text, c->rule);
		ok((n.problem.n == 0) == (c->want == NEXTHOP_OK), c->rule);
		if (c->want == NEXTHOP_OK) {
			ok_str(n.domain, c->domain, c->rule);
			ok(n.port == c->port, c->rule);
			ok(n.is_bracketed == c->is_bracketed, c->rule);
			ok(n.is_address == c->is_address, c->rule);
		}
		free((char *)copy.p);
	}
}

TEST(nexthop_service_for_the_caller)
{
	struct nexthop n;

	ok(nexthop_parse(STR("[example.com]:imap"), 25, true, &n) == NEXTHOP_BAD_SERVICE,
	   "unknown");
	ok_str(n.service, STR("imap"), "the caller may look it up");
	ok_str(n.domain, STR("example.com"), "the domain is there");
	ok(n.is_bracketed, "brackets are there");
}

TEST(nexthop_without_smtputf8)
{
	struct nexthop n;

	ok(nexthop_parse(STR("\u00e9cole.example"), 25, false, &n) == NEXTHOP_BAD_SYNTAX,
	   "refused");
	ok(nexthop_parse(STR("xn--cole-9oa.example"), 24, false, &n) == NEXTHOP_OK, "A-label");
	ok(n.port == 24, "the default port is the caller's");
}

TEST_MAIN(RUN(nexthop_parse), RUN(nexthop_service_for_the_caller), RUN(nexthop_without_smtputf8))
