#include "listen/room.h"

#include <unistd.h>

#include "base/test.h"

static const struct {
	const char *rule;
	struct str list, client;
	bool is_in;
} cases[] = {
	{ "an address", STR_INIT("192.0.2.1"), STR_INIT("192.0.2.1"), true },
	{ "another", STR_INIT("192.0.2.1"), STR_INIT("192.0.2.2"), false },
	{ "a network", STR_INIT("10.0.0.0/8"), STR_INIT("10.255.0.1"), true },
	{ "outside of it", STR_INIT("10.0.0.0/8"), STR_INIT("11.0.0.1"), false },
	{ "odd bits", STR_INIT("192.0.2.160/27"), STR_INIT("192.0.2.191"), true },
	{ "odd bits, outside", STR_INIT("192.0.2.160/27"), STR_INIT("192.0.2.192"), false },
	{ "all", STR_INIT("0.0.0.0/0"), STR_INIT("203.0.113.9"), true },
	{ "all, but of the other family", STR_INIT("0.0.0.0/0"), STR_INIT("::1"), false },
	{ "IPv6", STR_INIT("[2001:db8::]/32"), STR_INIT("2001:db8:1::1"), true },
	{ "IPv6 without brackets", STR_INIT("2001:db8::/32"), STR_INIT("2001:db9::1"), false },
	{ "as Debian writes it", STR_INIT("127.0.0.0/8 [::ffff:127.0.0.0]/104 [::1]/128"),
	  STR_INIT("::1"), true },
	{ "the first decides", STR_INIT("!10.1.0.0/16, 10.0.0.0/8"), STR_INIT("10.1.2.3"), false },
	{ "and lets others pass", STR_INIT("!10.1.0.0/16, 10.0.0.0/8"), STR_INIT("10.2.2.3"),
	  true },
	{ "twice no", STR_INIT("!!10.0.0.0/8"), STR_INIT("10.2.2.3"), true },
	{ "nobody", STR_INIT(""), STR_INIT("127.0.0.1"), false },
};

TEST(match)
{
	FOR_EACH(c, cases) {
		struct arena *a = arena_new();
		struct listen_networks n;
		struct address client;
		struct error e = { 0 };

		ok(listen_networks_parse(a, STR("mynetworks"), c->list, &n, &e), e.text);
		ok(address_parse(c->client, &client), c->rule);
		ok(listen_networks_match(&n, &client) == c->is_in, c->rule);
		arena_free(a);
	}
}

TEST(refused)
{
	static const struct str bad[] = {
		STR_INIT("10.0.0.1/8"),  STR_INIT("10.0.0.0/33"), STR_INIT("[::]/129"),
		STR_INIT("10.0.0.0/"),   STR_INIT("10.0.0.0/-1"), STR_INIT("!"),
		STR_INIT("192.0.2.256"), STR_INIT("10.0.0"),      STR_INIT("host..example"),
		STR_INIT("2001:db8::g"), STR_INIT("[::1"),        STR_INIT("host.example/24"),
	};

	FOR_EACH(b, bad) {
		struct arena *a = arena_new();
		struct listen_networks n;
		struct error e = { 0 };

		ok(!listen_networks_parse(a, STR("mynetworks"), *b, &n, &e), b->p);
		ok(e.kind == ERROR_CONFIG && e.text[0] != '\0', b->p);
		arena_free(a);
	}
}

static const struct {
	const char *rule;
	struct str style, client;
	bool is_in;
} styles[] = {
	{ "host", STR_INIT("host"), STR_INIT("192.0.2.1"), true },
	{ "no neighbour of it", STR_INIT("host"), STR_INIT("192.0.2.2"), false },
	{ "subnet", STR_INIT("subnet"), STR_INIT("192.0.2.2"), true },
	{ "and its end", STR_INIT("subnet"), STR_INIT("192.0.2.64"), false },
	{ "class C", STR_INIT("class"), STR_INIT("192.0.2.200"), true },
	{ "class A", STR_INIT("class"), STR_INIT("10.9.9.9"), true },
	{ "class B", STR_INIT("class"), STR_INIT("172.16.9.9"), true },
	{ "not more of B", STR_INIT("class"), STR_INIT("172.17.9.9"), false },
};

TEST(defaults)
{
	static const struct net_network own[] = {
		{ { ADDRESS_V4, { 192, 0, 2, 1 } }, 26 },
		{ { ADDRESS_V4, { 10, 1, 1, 1 } }, 24 },
		{ { ADDRESS_V4, { 172, 16, 1, 1 } }, 24 },
		{ { ADDRESS_V6, { 0x20, 1, 0xd, 0xb8, [15] = 1 } }, 64 },
	};

	FOR_EACH(c, styles) {
		struct arena *a = arena_new();
		struct listen_networks n;
		struct address client;

		ok(listen_networks_default(a, c->style, own, ARRAY_LEN(own), &n), c->rule);
		ok(address_parse(c->client, &client), c->rule);
		ok(listen_networks_match(&n, &client) == c->is_in, c->rule);
		arena_free(a);
	}
}

static const struct {
	const char *rule;
	struct str list, name; /* "?": its lookup failed */
	enum listen_matched want;
} names[] = {
	{ "a name", STR_INIT("a.example"), STR_INIT("a.example"), LISTEN_YES },
	{ "in any case", STR_INIT("A.Example"), STR_INIT("a.example"), LISTEN_YES },
	{ "another", STR_INIT("a.example"), STR_INIT("ba.example"), LISTEN_NO },
	{ "a domain above", STR_INIT("example"), STR_INIT("a.b.example"), LISTEN_YES },
	{ "a domain above, with its dot", STR_INIT(".example"), STR_INIT("a.example"), LISTEN_YES },
	{ "not itself", STR_INIT(".a.example"), STR_INIT("a.example"), LISTEN_NO },
	{ "who has none", STR_INIT("a.example"), STR_INIT(""), LISTEN_NO },
	{ "nobody is called unknown", STR_INIT("unknown"), STR_INIT(""), LISTEN_NO },
	{ "a name in doubt", STR_INIT("a.example"), STR_INIT("?"), LISTEN_FAILED },
	{ "which is not asked about", STR_INIT("192.0.2.1 !a.example"), STR_INIT("?"), LISTEN_YES },
	{ "or adds nothing", STR_INIT("a.example 192.0.2.1"), STR_INIT("?"), LISTEN_YES },
	{ "but may take away", STR_INIT("!a.example 192.0.2.1"), STR_INIT("?"), LISTEN_FAILED },
	{ "kept out by name", STR_INIT("!a.example 192.0.2.1"), STR_INIT("a.example"), LISTEN_NO },
	{ "a table of addresses", STR_INIT("inline:{192.0.2.1=x}"), STR_INIT(""), LISTEN_YES },
	{ "of others", STR_INIT("inline:{192.0.2.2=x}"), STR_INIT("a.example"), LISTEN_NO },
	{ "of no networks", STR_INIT("inline:{192.0.2=x}"), STR_INIT(""), LISTEN_NO },
	{ "of names", STR_INIT("inline:{a.example=x}"), STR_INIT("a.example"), LISTEN_YES },
	{ "of domains", STR_INIT("inline:{example=x}"), STR_INIT("a.b.example"), LISTEN_YES },
	{ "kept out by a table", STR_INIT("!inline:{example=x} 0.0.0.0/0"), STR_INIT("a.example"),
	  LISTEN_NO },
	{ "a table that is not there", STR_INIT("texthash:/nowhere/x 192.0.2.1"), STR_INIT(""),
	  LISTEN_FAILED },
	{ "a table with a port, which cannot be asked here", STR_INIT("192.0.2.1 tcp:127.0.0.1:1"),
	  STR_INIT(""), LISTEN_YES },
	{ "is not asked behind a match", STR_INIT("192.0.2.1 texthash:/nowhere/x"), STR_INIT(""),
	  LISTEN_YES },
	{ "networks in a table", STR_INIT("cidr:{{192.0.2.0/24 x}}"), STR_INIT("a.example"),
	  LISTEN_YES },
};

TEST(match_by_name_and_table)
{
	struct table_options none = { 0 };

	FOR_EACH(c, names) {
		struct arena *a = arena_new();
		struct tables *t = tables_new(&none);
		struct listen_networks n;
		struct address client;
		struct error e = { 0 };

		ok(listen_networks_parse(a, STR("mynetworks"), c->list, &n, &e), e.text);
		ok(address_parse(STR("192.0.2.1"), &client), c->rule);
		n.has_parents = true;
		struct listen_match m = { .networks = &n, .tables = t, .arena = a };
		m.address = &client;
		m.is_name_in_doubt = str_eq(c->name, STR("?"));
		m.name = m.is_name_in_doubt ? STR("") : c->name;
		ok(listen_match_begin(&m) == c->want, c->rule);
		tables_free(t);
		arena_free(a);
	}
}

TEST(a_long_list_in_a_file_takes_memory_for_itself_alone)
{
	char path[] = "/tmp/hopseal-list-XXXXXX";
	struct arena *a = arena_new();
	struct listen_networks listed, n;
	struct address client;
	struct error e = { 0 };
	enum { MANY = 5000 };

	int fd = mkstemp(path);
	for (unsigned i = 0; i < MANY; i++)
		ok(dprintf(fd, "10.%u.%u.0/24\n", i / 256, i % 256) > 0, "a line");
	ok(listen_networks_parse(a, STR("mynetworks"), str_of(path), &listed, &e), e.text);
	ok(listen_networks_read(a, STR("mynetworks"), &listed, &n, &e), e.text);
	ok(n.n == MANY && arena_used(a) < MANY * 8 * sizeof(*n.v), "in memory");
	ok(address_parse(STR("10.19.135.1"), &client), "the last one");
	ok(listen_networks_match(&n, &client) == LISTEN_YES, "is in");
	arena_free(a);
	close(fd);
	unlink(path);
}

TEST_MAIN(RUN(match), RUN(refused), RUN(defaults), RUN(match_by_name_and_table),
	  RUN(a_long_list_in_a_file_takes_memory_for_itself_alone))
