#include "base/test.h"
#include "net/net.h"

static const struct {
	const char *rule;
	struct str text;
	bool want;
	enum address_family family;
	uint16_t port;
} cases[] = {
	{ "v4", STR_INIT("192.0.2.1:25"), true, ADDRESS_V4, 25 },
	{ "port 0 asks for any", STR_INIT("127.0.0.1:0"), true, ADDRESS_V4, 0 },
	{ "v6 in brackets", STR_INIT("[2001:db8::1]:2525"), true, ADDRESS_V6, 2525 },
	{ "v6 without brackets", STR_INIT("2001:db8::1:25"), false },
	{ "v4 in brackets", STR_INIT("[192.0.2.1]:25"), false },
	{ "no port", STR_INIT("192.0.2.1"), false },
	{ "empty port", STR_INIT("192.0.2.1:"), false },
	{ "port too large", STR_INIT("192.0.2.1:65536"), false },
	{ "a name", STR_INIT("localhost:25"), false },
	{ "no host", STR_INIT(":25"), false },
	{ "bracket not closed", STR_INIT("[::1:25"), false },
	{ "empty brackets", STR_INIT("[]:25"), false },
	{ "NUL inside", STR_INIT("127.0.0.1\0x:25"), false },
	{ "no scope", STR_INIT("[fe80::1%lo]:25"), false },
	{ "longer than any address", STR_INIT("[1111:1111:1111:1111:1111:1111:1111:1111:1111]:25"),
	  false },
	{ "nothing", STR_INIT(""), false },
};

TEST(net_endpoint_parse)
{
	FOR_EACH(c, cases) {
		struct str text = test_exact(c->text);
		struct net_endpoint e = { 0 };
		char back[NET_ENDPOINT_TEXT_MAX];

		ok(net_endpoint_parse(text, &e) == c->want, c->rule);
		if (c->want) {
			ok(e.address.family == c->family && e.port == c->port, c->rule);
			ok_str(net_endpoint_text(&e, back), c->text, c->rule);
		}
		free((void *)text.p);
	}
}

TEST_MAIN(RUN(net_endpoint_parse))
