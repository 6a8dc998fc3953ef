#include "route/route_test.h"

/* `want`: "HOST/ADDRESS ..." in order, or "outcome status". The order is made definite by
 * smtp_randomize_addresses = no unless a case says otherwise. */
static const struct {
	const char *rule, *main_cf, *world, *nexthop, *want;
	size_t asked;
} cases[] = {
	{ "MX hosts by preference", "",
	  "mx example.com 20 b.example 10 a.example\naddress a.example 192.0.2.1\n"
	  "address b.example 192.0.2.2",
	  "example.com", "a.example/192.0.2.1 b.example/192.0.2.2", 3 },
	{ "case does not matter to DNS", "",
	  "mx example.com 10 a.example\naddress a.example 192.0.2.1", "Example.COM",
	  "a.example/192.0.2.1", 2 },
	{ "a host of two preferences is asked once", "",
	  "mx example.com 10 a.example 20 a.example\naddress a.example 192.0.2.1", "example.com",
	  "a.example/192.0.2.1 a.example/192.0.2.1", 2 },
	{ "no MX record: the domain itself", "", "address example.com 192.0.2.1", "example.com",
	  "example.com/192.0.2.1", 2 },
	{ "no MX record, no address", "", "", "example.com", "bounced 5.4.4", 2 },
	{ "no such domain: nothing more is asked", "", "nx mx example.com", "example.com",
	  "bounced 5.4.4", 1 },
	{ "MX failure defers, and is never taken for absence", "",
	  "fail mx example.com\naddress example.com 192.0.2.1", "example.com", "deferred 4.4.3",
	  1 },
	{ "unless it is to be ignored", "ignore_mx_lookup_error = yes\n",
	  "fail mx example.com\naddress example.com 192.0.2.1", "example.com",
	  "example.com/192.0.2.1", 2 },
	{ "null MX", "", "mx example.com 0 .\naddress example.com 192.0.2.1", "example.com",
	  "bounced 5.1.10", 1 },
	{ "a null MX among others is none", "",
	  "mx example.com 0 . 10 a.example\naddress a.example 192.0.2.1", "example.com",
	  "a.example/192.0.2.1", 2 },
	{ "an MX that names an address is skipped", "",
	  "mx example.com 10 192.0.2.1 20 a.example\naddress a.example 192.0.2.2", "example.com",
	  "a.example/192.0.2.2", 2 },
	{ "and when there is no other, the mail is returned", "", "mx example.com 10 192.0.2.1",
	  "example.com", "bounced 5.4.4", 1 },
	{ "an MX host without address is skipped", "",
	  "mx example.com 10 a.example 20 b.example\naddress b.example 192.0.2.2", "example.com",
	  "b.example/192.0.2.2", 3 },
	{ "and so is one whose lookup fails", "",
	  "mx example.com 10 a.example 20 b.example\nfail address a.example\n"
	  "address b.example 192.0.2.2",
	  "example.com", "b.example/192.0.2.2", 3 },
	{ "no MX host has an address", "", "mx example.com 10 a.example 20 b.example",
	  "example.com", "bounced 5.4.4", 3 },
	{ "or it is deferred", "smtp_defer_if_no_mx_address_found = yes\n",
	  "mx example.com 10 a.example", "example.com", "deferred 4.4.4", 2 },
	{ "one failure among absences defers", "",
	  "mx example.com 10 a.example 20 b.example 30 c.example\nfail address b.example",
	  "example.com", "deferred 4.4.3", 4 },

	{ "brackets: no MX", "", "mx h.example 10 a.example\naddress h.example 192.0.2.1",
	  "[h.example]", "h.example/192.0.2.1", 1 },
	{ "brackets: not found", "", "", "[h.example]", "bounced 5.4.4", 1 },
	{ "brackets: failure", "", "fail address h.example", "[h.example]", "deferred 4.4.3", 1 },
	{ "literal", "", "", "[192.0.2.1]", "192.0.2.1/192.0.2.1", 0 },
	{ "IPv6 literal keeps its spelling", "", "", "[ipv6:2001:db8:0::1]",
	  "2001:db8:0::1/2001:db8::1", 0 },
	{ "a bare address has no MX", "", "", "192.0.2.1", "192.0.2.1/192.0.2.1", 0 },
	{ "literal of a family not in use", "inet_protocols = ipv4\n", "", "[2001:db8::1]",
	  "deferred 4.4.4", 0 },
	{ "A-labels go to DNS", "smtputf8_enable = yes\n",
	  "address xn--bcher-kva.example 192.0.2.1",
	  "[b\xc3\xbc"
	  "cher.example]",
	  "xn--bcher-kva.example/192.0.2.1", 1 },
	{ "what is no next-hop defers", "", "", "[h.example", "deferred 4.3.5", 0 },
	{ "an unknown service too", "", "", "h.example:nosuch", "deferred 4.3.5", 0 },

	{ "both families, as they came", "", "address h.example 192.0.2.1 2001:db8::1",
	  "[h.example]", "h.example/192.0.2.1 h.example/2001:db8::1", 1 },
	{ "IPv6 first", "smtp_address_preference = ipv6\n",
	  "address h.example 192.0.2.1 2001:db8::1", "[h.example]",
	  "h.example/2001:db8::1 h.example/192.0.2.1", 1 },
	{ "family goes before host within one MX preference", "smtp_address_preference = ipv6\n",
	  "mx example.com 10 a.example 10 b.example 20 c.example\n"
	  "address a.example 192.0.2.1 2001:db8::1\naddress b.example 192.0.2.2 2001:db8::2\n"
	  "address c.example 2001:db8::3",
	  "example.com",
	  "a.example/2001:db8::1 b.example/2001:db8::2 a.example/192.0.2.1 b.example/192.0.2.2 "
	  "c.example/2001:db8::3",
	  4 },
	{ "IPv4 only", "inet_protocols = ipv4\n", "address h.example 192.0.2.1 2001:db8::1",
	  "[h.example]", "h.example/192.0.2.1", 1 },
	{ "nothing of the family in use", "inet_protocols = ipv6\n", "address h.example 192.0.2.1",
	  "[h.example]", "deferred 4.4.4", 1 },
	{ "the limit", "smtp_mx_address_limit = 2\n",
	  "address h.example 192.0.2.1 192.0.2.2 192.0.2.3", "[h.example]",
	  "h.example/192.0.2.1 h.example/192.0.2.2", 1 },
	{ "no limit", "smtp_mx_address_limit = 0\n",
	  "address h.example 192.0.2.1 192.0.2.2 192.0.2.3 192.0.2.4 192.0.2.5 192.0.2.6",
	  "[h.example]",
	  "h.example/192.0.2.1 h.example/192.0.2.2 h.example/192.0.2.3 h.example/192.0.2.4 "
	  "h.example/192.0.2.5 h.example/192.0.2.6",
	  1 },
	{ "the limit leaves both families a place", "smtp_mx_address_limit = 2\n",
	  "address h.example 192.0.2.1 192.0.2.2 192.0.2.3 2001:db8::1", "[h.example]",
	  "h.example/192.0.2.1 h.example/2001:db8::1", 1 },
	{ "the odd place goes to the first family", "smtp_mx_address_limit = 3\n",
	  "address h.example 2001:db8::1 2001:db8::2 192.0.2.1 192.0.2.2", "[h.example]",
	  "h.example/2001:db8::1 h.example/2001:db8::2 h.example/192.0.2.1", 1 },
	{ "or not", "smtp_mx_address_limit = 2\nsmtp_balance_inet_protocols = no\n",
	  "address h.example 192.0.2.1 192.0.2.2 192.0.2.3 2001:db8::1", "[h.example]",
	  "h.example/192.0.2.1 h.example/192.0.2.2", 1 },

	{ "native for what DNS does not have", "smtp_host_lookup = native, dns\n",
	  "native h.example 192.0.2.1", "[h.example]", "h.example/192.0.2.1", 2 },
	{ "not for what DNS could not say", "smtp_host_lookup = dns, native\n",
	  "fail address h.example\nnative h.example 192.0.2.1", "[h.example]", "deferred 4.4.3",
	  1 },
	{ "native only", "smtp_host_lookup = native\n",
	  "address h.example 192.0.2.1\nnative h.example 192.0.2.2", "[h.example]",
	  "h.example/192.0.2.2", 1 },
	{ "MX records all the same", "smtp_host_lookup = native\n",
	  "mx example.com 10 h.example\nnative h.example 192.0.2.2", "example.com",
	  "h.example/192.0.2.2", 2 },
	{ "a domain in the hosts file only", "smtp_host_lookup = dns, native\n",
	  "nx mx example.com\nnative example.com 192.0.2.2", "example.com", "example.com/192.0.2.2",
	  2 },
	{ "native trouble defers", "smtp_host_lookup = native\n", "fail native h.example",
	  "[h.example]", "deferred 4.4.4", 1 },
	{ "without DNS there is no MX", "disable_dns_lookups = yes\n",
	  "mx example.com 10 a.example\nnative example.com 192.0.2.2", "example.com",
	  "example.com/192.0.2.2", 1 },

	{ "we are the best MX host", "",
	  "mx example.com 10 me.example\naddress me.example 192.0.2.99", "example.com",
	  "bounced 5.4.6", 2 },
	{ "hosts not better than us are left out", "",
	  "mx example.com 10 a.example 20 me.example 20 b.example 30 c.example\n"
	  "address a.example 192.0.2.1\naddress me.example 192.0.2.99\n"
	  "address b.example 192.0.2.2\naddress c.example 192.0.2.3",
	  "example.com", "a.example/192.0.2.1", 5 },
	{ "the better ones cannot be found", "",
	  "mx example.com 10 a.example 20 me.example\naddress me.example 192.0.2.99", "example.com",
	  "deferred 4.4.4", 3 },
	{ "by name, behind translation", "",
	  "mx example.com 10 gw.example.net\naddress gw.example.net 198.51.100.1", "example.com",
	  "bounced 5.4.6", 2 },
	{ "by name without address", "",
	  "mx example.com 10 a.example 20 gw.example.net\naddress a.example 192.0.2.1",
	  "example.com", "a.example/192.0.2.1", 3 },
	{ "a proxy is us", "proxy_interfaces = 198.51.100.1\n",
	  "mx example.com 10 a.example\naddress a.example 198.51.100.1", "example.com",
	  "bounced 5.4.6", 2 },
	{ "an interface not in use is not us", "inet_interfaces = loopback-only\n",
	  "mx example.com 10 a.example\naddress a.example 192.0.2.99", "example.com",
	  "a.example/192.0.2.99", 2 },
	{ "on another port it is somebody else", "",
	  "mx example.com 10 a.example\naddress a.example 192.0.2.99", "example.com:26",
	  "a.example/192.0.2.99", 2 },
	{ "literal", "", "", "[192.0.2.99]", "bounced 5.4.6", 0 },
	{ "a bracketed host of ours", "", "address me.example 192.0.2.99", "[me.example]",
	  "bounced 5.4.6", 1 },

	{ "a relayhost that does not resolve is a mistake to mend", "relayhost = [rh.example]\n",
	  "", "[rh.example]", "deferred 4.3.5", 1 },
	{ "or that is ourselves", "relayhost = [me.example]\n", "address me.example 192.0.2.99",
	  "[me.example]", "deferred 4.3.5", 1 },
	{ "another next-hop is not spared", "relayhost = [rh.example]\n", "", "[x.example]",
	  "bounced 5.4.4", 1 },
};

static struct str summary(struct world *w, const struct route_hosts *h)
{
	struct str text = STR("");

	if (h->n == 0)
		return world_outcome(w, &h->failure);
	for (size_t i = 0; i < h->n; i++)
		text = arena_fmt(w->a, STR_FMT "%s" STR_FMT "/" STR_FMT, STR_ARG(text),
				 i ? " " : "", STR_ARG(h->v[i].host),
				 STR_ARG(address_text(w->a, &h->v[i].address)));
	return text;
}

static struct world fixed_order(const char *main_cf, const char *text)
{
	struct arena *a = arena_new();
	struct str conf = arena_fmt(a, "smtp_randomize_addresses = no\n%s", main_cf);
	struct world w = world_new(conf.p, text);

	arena_free(a);
	ok(w.cfg, w.e.text);
	return w;
}

TEST(hosts)
{
	FOR_EACH(c, cases) {
		struct world w = fixed_order(c->main_cf, c->world);
		struct route_hosts h = world_hosts(&w, ROUTE_SMTP, c->nexthop, 1);
		ok_str(summary(&w, &h), str_of(c->want), c->rule);
		ok(h.n || h.failure.reason.n, c->rule);
		if (w.n_asked != c->asked)
			fail_msg("%s: asked " STR_FMT, c->rule, STR_ARG(w.asked));
		world_free(&w);
	}
}

TEST(addresses_of_all_hosts_are_asked_side_by_side)
{
	struct world w = fixed_order("", "mx example.com 10 a.example 20 b.example 30 c.example");
	struct route_hosts h = world_hosts(&w, ROUTE_SMTP, "example.com", 1);

	ok(h.n == 0 && w.n_asked == 4 && w.n_rounds == 2, "MX, then three at once");
	world_free(&w);
}

static const struct {
	const char *rule, *nexthop;
	uint16_t port;
} ports[] = {
	{ "default", "[192.0.2.1]", 25 },
	{ "number", "[192.0.2.1]:2525", 2525 },
	{ "name", "192.0.2.1:submission", 587 },
	{ "name that only known_tcp_ports has", "[192.0.2.1]:qmqp", 628 },
};

TEST(port_of_a_nexthop)
{
	FOR_EACH(c, ports) {
		struct world w = fixed_order("known_tcp_ports = smtp=25 qmtp=qmqp=628\n", "");
		struct route_hosts h = world_hosts(&w, ROUTE_SMTP, c->nexthop, 1);
		ok(h.n == 1 && h.v[0].port == c->port && h.port == c->port, c->rule);
		ok(h.v[0].is_literal, c->rule);
		world_free(&w);
	}
}

TEST(dnssec_goes_with_every_host)
{
	struct world w =
		fixed_order("smtp_host_lookup = dns, native\n",
			    "mx example.com insecure 10 a.example 20 b.example 30 c.example\n"
			    "address a.example 192.0.2.1\n"
			    "address b.example insecure 192.0.2.2\n"
			    "native c.example 192.0.2.3");
	struct route_hosts h = world_hosts(&w, ROUTE_SMTP, "example.com", 1);

	ok(h.n == 3 && h.is_mx_asked && h.mx_dnssec == DNSSEC_INSECURE, "MX");
	ok(h.v[0].dnssec == DNSSEC_SECURE && h.v[0].is_mx && h.v[0].preference == 10, "secure");
	ok(h.v[1].dnssec == DNSSEC_INSECURE, "insecure");
	ok(h.v[2].dnssec == DNSSEC_UNCHECKED && h.v[2].is_native, "native");
	ok(h.session_limit == 2, "session limit goes along");
	world_free(&w);
}

TEST(an_alias_replaces_the_name_only_when_told)
{
	const char *text = "mx example.com 10 a.example\naddress a.example >real.example 192.0.2.1";
	struct world w = fixed_order("", text);
	struct route_hosts h = world_hosts(&w, ROUTE_SMTP, "example.com", 1);

	ok_str(h.v[0].host, STR("a.example"), "as the MX record says");
	ok_str(h.v[0].canonical, STR("real.example"), "kept beside it");
	world_free(&w);
	w = fixed_order("smtp_cname_overrides_servername = yes\n", text);
	h = world_hosts(&w, ROUTE_SMTP, "example.com", 1);
	ok_str(h.v[0].host, STR("real.example"), "the alias's target");
	ok_str(h.v[0].name, STR("a.example"), "the MX host");
	world_free(&w);
}

TEST(seed_alone_decides_the_order)
{
	const char *text = "mx example.com 10 a.example 10 b.example 10 c.example 20 d.example\n"
			   "address a.example 192.0.2.1\naddress b.example 192.0.2.2\n"
			   "address c.example 192.0.2.3\naddress d.example 192.0.2.4";
	size_t first[3] = { 0 };

	for (uint64_t seed = 0; seed < 300; seed++) {
		struct world w = world_new("", text);
		struct route_hosts h = world_hosts(&w, ROUTE_SMTP, "example.com", seed);
		struct route_hosts again = world_hosts(&w, ROUTE_SMTP, "example.com", seed);
		ok(h.n == 4 && h.v[3].preference == 20, "preference goes first");
		ok_str(summary(&w, &again), summary(&w, &h), "repeatable");
		first[h.v[0].address.octets[3] - 1]++;
		world_free(&w);
	}
	for (size_t i = 0; i < 3; i++)
		ok(first[i] > 60 && first[i] < 140, "each about as often");
}

TEST(we_are_mx_so_no_other_nexthop)
{
	struct world w =
		fixed_order("", "mx example.com 10 a.example 20 me.example\n"
				"address a.example 192.0.2.1\naddress me.example 192.0.2.99");
	struct route_hosts h = world_hosts(&w, ROUTE_SMTP, "example.com", 1);

	ok(h.n == 1 && h.is_last, "backup MX");
	world_free(&w);
}

TEST(lmtp)
{
	struct world w = fixed_order("", "address h.example 192.0.2.1\nmx h.example 10 a.example");
	struct route_hosts h = world_hosts(&w, ROUTE_LMTP, "inet:h.example", 1);

	ok(h.n == 1 && h.v[0].port == 24 && !h.v[0].is_mx, "no MX, port 24");
	h = world_hosts(&w, ROUTE_LMTP, "unix:/run/lmtp", 1);
	ok(h.n == 1, "socket");
	ok_str(h.v[0].socket, STR("/run/lmtp"), "path");
	h = world_hosts(&w, ROUTE_LMTP, "unix:lmtp", 1);
	ok(h.n == 0 && h.failure.kind == OUTCOME_DEFERRED, "relative path");
	world_free(&w);
	ok_str(route_table_key(ROUTE_LMTP, STR("inet:h.example")), STR("h.example"), "LMTP's key");
	ok_str(route_table_key(ROUTE_SMTP, STR("inet:25")), STR("inet:25"), "SMTP has no prefix");
}

/* 200 MX records: the best ROUTE_MX_HOSTS_MAX of them, and an end. */
TEST(work_is_bounded)
{
	struct arena *a = arena_new();
	struct str text = STR("mx example.com");

	for (int i = 0; i < 200; i++)
		text = arena_fmt(a, STR_FMT " %d h%d.example", STR_ARG(text), 200 - i, i);
	struct world w = world_new("smtp_host_lookup = dns, native\n", text.p);
	struct route_hosts h = world_hosts(&w, ROUTE_SMTP, "example.com", 1);
	ok(h.n == 0 && w.n_asked == 1 + 2 * ROUTE_MX_HOSTS_MAX, "bounded");
	ok(trace_text(a, &h.trace.v[0]).n < 1000 &&
		   str_has_suffix(h.trace.v[0].value, STR(" and 184 more")),
	   "a long answer is told in short");
	world_free(&w);
	arena_free(a);
}

TEST(json_tells_the_hosts)
{
	struct world w = fixed_order("", "mx example.com 10 a.example\n"
					 "address a.example >b.example 192.0.2.1");
	struct route_hosts h = world_hosts(&w, ROUTE_SMTP, "example.com:26", 1);
	struct buf b;
	struct json j;
	size_t at;

	buf_init(&b, 65536);
	json_init(&j, &b, false);
	route_hosts_json(&j, &h);
	ok(json_end(&j), "fits");
	ok(str_search(buf_str(&b),
		      STR("{\"domain\":\"example.com\",\"port\":26,\"mx_dnssec\":\"secure\","
			  "\"hosts\":[{"
			  "\"host\":\"a.example\",\"canonical\":\"b.example\",\"address\":\"192.0."
			  "2.1\","
			  "\"port\":26,\"preference\":10,\"dnssec\":\"secure\"}],\"trace\":["),
		      &at),
	   "members");
	buf_fini(&b);
	world_free(&w);
}

TEST_MAIN(RUN(hosts), RUN(addresses_of_all_hosts_are_asked_side_by_side), RUN(port_of_a_nexthop),
	  RUN(dnssec_goes_with_every_host), RUN(an_alias_replaces_the_name_only_when_told),
	  RUN(seed_alone_decides_the_order), RUN(we_are_mx_so_no_other_nexthop), RUN(lmtp),
	  RUN(work_is_bounded), RUN(json_tells_the_hosts))
