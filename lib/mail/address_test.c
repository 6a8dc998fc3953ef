#include "base/test.h"
#include "mail/address.h"

static const struct {
	const char *rule;
	struct str text, want; /* want "": refused */
} cases[] = {
	{ "dotted quad", STR_INIT("192.0.2.1"), STR_INIT("192.0.2.1") },
	{ "all zero", STR_INIT("0.0.0.0"), STR_INIT("0.0.0.0") },
	{ "largest", STR_INIT("255.255.255.255"), STR_INIT("255.255.255.255") },
	{ "octet over 255", STR_INIT("192.0.2.256"), STR_INIT("") },
	{ "three octets", STR_INIT("192.0.2"), STR_INIT("") },
	{ "five octets", STR_INIT("1.2.3.4.5"), STR_INIT("") },
	{ "leading zero is ambiguous", STR_INIT("010.0.0.1"), STR_INIT("") },
	{ "empty octet", STR_INIT("1..2.3"), STR_INIT("") },
	{ "trailing dot", STR_INIT("1.2.3.4."), STR_INIT("") },
	{ "blank", STR_INIT(" 1.2.3.4"), STR_INIT("") },
	{ "empty", STR_INIT(""), STR_INIT("") },
	{ "compressed", STR_INIT("2001:db8::1"), STR_INIT("2001:db8::1") },
	{ "lower case and no leading zeros", STR_INIT("2001:0DB8:0:0:0:0:0:0001"),
	  STR_INIT("2001:db8::1") },
	{ "unspecified", STR_INIT("::"), STR_INIT("::") },
	{ "loopback", STR_INIT("::1"), STR_INIT("::1") },
	{ "zeros at the end", STR_INIT("2001:db8::"), STR_INIT("2001:db8::") },
	{ "one zero group is not compressed", STR_INIT("2001:db8:0:1:1:1:1:1"),
	  STR_INIT("2001:db8:0:1:1:1:1:1") },
	{ "the longest run is compressed", STR_INIT("2001:0:0:1:0:0:0:1"),
	  STR_INIT("2001:0:0:1::1") },
	{ "the first of equal runs", STR_INIT("2001:db8:0:0:1:0:0:1"),
	  STR_INIT("2001:db8::1:0:0:1") },
	{ "no zeros at all", STR_INIT("1:2:3:4:5:6:7:8"), STR_INIT("1:2:3:4:5:6:7:8") },
	{ "quad at the end", STR_INIT("64:ff9b::192.0.2.33"), STR_INIT("64:ff9b::c000:221") },
	{ "mapped", STR_INIT("::ffff:c000:201"), STR_INIT("::ffff:192.0.2.1") },
	{ "quad in full form", STR_INIT("1:2:3:4:5:6:1.2.3.4"), STR_INIT("1:2:3:4:5:6:102:304") },
	{ "quad before the end", STR_INIT("1.2.3.4::"), STR_INIT("") },
	{ "nine groups", STR_INIT("1:2:3:4:5:6:7:8:9"), STR_INIT("") },
	{ "seven groups", STR_INIT("1:2:3:4:5:6:7"), STR_INIT("") },
	{ "eight groups and a gap", STR_INIT("1:2:3:4::5:6:7:8"), STR_INIT("") },
	{ "two gaps", STR_INIT("1::2::3"), STR_INIT("") },
	{ "three colons", STR_INIT("1:::2"), STR_INIT("") },
	{ "five digits", STR_INIT("12345::"), STR_INIT("") },
	{ "leading colon", STR_INIT(":1:2:3:4:5:6:7"), STR_INIT("") },
	{ "trailing colon", STR_INIT("1:2:3:4:5:6:7:"), STR_INIT("") },
	{ "zone", STR_INIT("fe80::1%eth0"), STR_INIT("") },
	{ "brackets", STR_INIT("[::1]"), STR_INIT("") },
	{ "prefix", STR_INIT("ipv6:::1"), STR_INIT("") },
};

TEST(address_parse_and_text)
{
	struct arena *a = arena_new();

	FOR_EACH(c, cases) {
		struct address addr, again;
		struct str copy = test_exact(c->text);
		ok(address_parse(copy, &addr) == (c->want.n > 0), c->rule);
		if (c->want.n) {
			ok_str(address_text(a, &addr), c->want, c->rule);
			ok(address_parse(c->want, &again) && address_eq(&addr, &again), c->rule);
		}
		free((char *)copy.p);
	}
	arena_free(a);
}

TEST(address_eq)
{
	struct address v4, v6;

	ok(address_parse(STR("0.0.0.0"), &v4) && address_parse(STR("::"), &v6), "both parse");
	ok(!address_eq(&v4, &v6), "families differ");
}

TEST_MAIN(RUN(address_parse_and_text), RUN(address_eq))
