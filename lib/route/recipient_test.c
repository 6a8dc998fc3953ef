#include "route/route_test.h"

/* `want`: "transport nexthop", or "outcome status". */
static const struct {
	const char *rule, *main_cf, *world, *recipient, *want;
} cases[] = {
	{ "the domain is its own next-hop", "", "", "u@example.com", "smtp example.com" },
	{ "verbatim, not folded", "", "", "u@Example.COM", "smtp Example.COM" },
	{ "a final dot is no part of the domain", "", "", "u@example.com.", "smtp example.com" },
	{ "address literal", "", "", "u@[192.0.2.1]", "smtp [192.0.2.1]" },
	{ "IPv6 literal", "", "", "u@[IPv6:2001:db8::1]", "smtp [IPv6:2001:db8::1]" },
	{ "U-label", "smtputf8_enable = yes\n", "", "u@m\xc3\xbc.example",
	  "smtp m\xc3\xbc.example" },
	{ "relayhost", "relayhost = [gw]:587\n", "", "u@example.com", "smtp [gw]:587" },
	{ "default_transport with next-hop", "default_transport = smtp:[gw]:587\n", "",
	  "u@example.com", "smtp [gw]:587" },
	{ "its next-hop wins over relayhost", "default_transport = smtp:[gw]\nrelayhost = [rh]\n",
	  "", "u@example.com", "smtp [gw]" },
	{ "default_transport without next-hop leaves relayhost",
	  "default_transport = smtp:\nrelayhost = [rh]\n", "", "u@example.com", "smtp [rh]" },

	{ "relay_domains", "relay_domains = example.com\n", "", "u@example.com",
	  "relay example.com" },
	{ "relay_domains in any case", "relay_domains = EXAMPLE.com\n", "", "u@Example.COM",
	  "relay Example.COM" },
	{ "a relay domain covers its subdomains", "relay_domains = example.com\n", "",
	  "u@a.b.example.com", "relay a.b.example.com" },
	{ "unless the list of parents leaves it out",
	  "relay_domains = example.com\nparent_domain_matches_subdomains =\n", "",
	  "u@a.example.com", "smtp a.example.com" },
	{ "then a leading dot does",
	  "relay_domains = .example.com\nparent_domain_matches_subdomains =\n", "",
	  "u@a.example.com", "relay a.example.com" },
	{ "a suffix is no parent", "relay_domains = example.com\n", "", "u@badexample.com",
	  "smtp badexample.com" },
	{ "an exception before the rule", "relay_domains = !x.example.com example.com\n", "",
	  "u@x.example.com", "smtp x.example.com" },
	{ "relayhost also for relay_domains", "relay_domains = example.com\nrelayhost = rh\n", "",
	  "u@example.com", "relay rh" },
	{ "relay_transport with next-hop",
	  "relay_domains = example.com\nrelay_transport = lmtp:unix:/s\n", "", "u@example.com",
	  "lmtp unix:/s" },
	{ "a table of relay domains", "relay_domains = texthash:/r\n",
	  "table texthash:/r example.com x", "u@sub.example.com", "relay sub.example.com" },
	{ "a failed one", "relay_domains = texthash:/r\n", "fail texthash:/r example.com",
	  "u@sub.example.com", "deferred 4.3.0" },

	{ "user@domain", "transport_maps = texthash:/t\n",
	  "table transport_maps u@example.com smtp:[a]\ntable transport_maps example.com smtp:[b]",
	  "u@example.com", "smtp [a]" },
	{ "user+extension before user", "transport_maps = texthash:/t\nrecipient_delimiter = +\n",
	  "table transport_maps u+x@example.com smtp:[a]\n"
	  "table transport_maps u@example.com smtp:[b]",
	  "u+x@example.com", "smtp [a]" },
	{ "user without extension", "transport_maps = texthash:/t\nrecipient_delimiter = -+\n",
	  "table transport_maps u@example.com smtp:[b]", "u+x@example.com", "smtp [b]" },
	{ "owner- is no extension", "transport_maps = texthash:/t\nrecipient_delimiter = -\n",
	  "table transport_maps owner@example.com smtp:[b]", "owner-x@example.com",
	  "smtp example.com" },
	{ "nothing before the delimiter", "transport_maps = texthash:/t\nrecipient_delimiter = +\n",
	  "table transport_maps @example.com smtp:[b]", "+x@example.com", "smtp example.com" },
	{ "quotes where they must be", "transport_maps = texthash:/t\n",
	  "table transport_maps \"a.\"@example.com smtp:[q]\n"
	  "table transport_maps a.@example.com smtp:[b]",
	  "\"a.\"@example.com", "smtp [q]" },
	{ "or the bare name", "transport_maps = texthash:/t\n",
	  "table transport_maps a.@example.com smtp:[b]", "\"a.\"@example.com", "smtp [b]" },
	{ "quotes that need not be are not there", "transport_maps = texthash:/t\n",
	  "table transport_maps a.b@example.com smtp:[b]", "\"a.b\"@example.com", "smtp [b]" },
	{ "quoted without extension", "transport_maps = texthash:/t\nrecipient_delimiter = +\n",
	  "table transport_maps \"a.\"@example.com smtp:[q]", "\"a.+x.\"@example.com", "smtp [q]" },
	{ "domain", "transport_maps = texthash:/t\n",
	  "table transport_maps example.com smtp:[b]:26", "u@example.com", "smtp [b]:26" },
	{ "a domain is not its subdomains", "transport_maps = texthash:/t\n",
	  "table transport_maps example.com smtp:[b]", "u@a.example.com", "smtp a.example.com" },
	{ ".domain is", "transport_maps = texthash:/t\n",
	  "table transport_maps .example.com smtp:[b]", "u@a.b.example.com", "smtp [b]" },
	{ ".domain is not the domain", "transport_maps = texthash:/t\n",
	  "table transport_maps .example.com smtp:[b]", "u@example.com", "smtp example.com" },
	{ "parent style: the domain is its subdomains",
	  "transport_maps = texthash:/t\nparent_domain_matches_subdomains = transport_maps\n",
	  "table transport_maps example.com smtp:[b]", "u@a.example.com", "smtp [b]" },
	{ "the asterisk comes last", "transport_maps = texthash:/t\n",
	  "table transport_maps * smtp:[b]", "u@a.example.com", "smtp [b]" },
	{ "asterisk with no next-hop", "transport_maps = texthash:/t\nrelayhost = rh\n",
	  "table transport_maps * smtp:", "u@a.example.com", "smtp a.example.com" },
	{ "transport: takes the domain back over relayhost",
	  "transport_maps = texthash:/t\nrelayhost = rh\n",
	  "table transport_maps example.com relay:", "u@example.com", "relay example.com" },
	{ "transport without colon is the same", "transport_maps = texthash:/t\nrelayhost = rh\n",
	  "table transport_maps example.com relay", "u@example.com", "relay example.com" },
	{ ":nexthop keeps the transport",
	  "transport_maps = texthash:/t\nrelay_domains = example.com\n",
	  "table transport_maps example.com :[b]", "u@example.com", "relay [b]" },
	{ ": changes nothing", "transport_maps = texthash:/t\nrelayhost = rh\n",
	  "table transport_maps example.com :\ntable transport_maps * smtp:[b]", "u@example.com",
	  "smtp rh" },
	{ "a failed lookup defers", "transport_maps = texthash:/t\n",
	  "fail transport_maps example.com\ntable transport_maps * smtp:[b]", "u@example.com",
	  "deferred 4.3.0" },
	{ "a hit before it counts", "transport_maps = texthash:/t\n",
	  "fail transport_maps example.com\ntable transport_maps u@example.com smtp:[b]",
	  "u@example.com", "smtp [b]" },

	{ "discard", "transport_maps = texthash:/t\n",
	  "table transport_maps example.com discard:silently", "u@example.com", "delivered 2.0.0" },
	{ "error with status", "transport_maps = texthash:/t\n",
	  "table transport_maps example.com error:5.7.1 no mail for you", "u@example.com",
	  "bounced 5.7.1" },
	{ "error without status", "default_transport = error:not from here\n", "", "u@example.com",
	  "bounced 5.0.0" },
	{ "error always bounces", "default_transport = error:4.2.1 later\n", "", "u@example.com",
	  "bounced 5.2.1" },
	{ "retry always defers", "default_transport = retry:5.2.1 later\n", "", "u@example.com",
	  "deferred 4.2.1" },
	{ "error with nothing", "transport_maps = texthash:/t\n",
	  "table transport_maps example.com error", "u@example.com", "bounced 5.0.0" },
	{ "another transport is refused", "transport_maps = texthash:/t\n",
	  "table transport_maps example.com maildrop:", "u@example.com", "deferred 4.3.5" },

	{ "a local domain is refused", "mydestination = example.com\n", "", "u@example.com",
	  "deferred 4.3.5" },
	{ "mydestination covers no subdomain", "mydestination = example.com\n", "",
	  "u@a.example.com", "smtp a.example.com" },
	{ "our own address is local", "", "", "u@[192.0.2.99]", "deferred 4.3.5" },
	{ "local_transport may lead away",
	  "mydestination = example.com\nlocal_transport = smtp:[b]\n", "", "u@example.com",
	  "smtp [b]" },
	{ "and so may the table", "mydestination = example.com\ntransport_maps = texthash:/t\n",
	  "table transport_maps example.com smtp:[b]", "u@example.com", "smtp [b]" },
	{ "relayhost is not for local domains",
	  "mydestination = example.com\nlocal_transport = smtp\nrelayhost = rh\n", "",
	  "u@example.com", "smtp example.com" },

	{ "myorigin completes", "myorigin = example.org\n", "", "u", "smtp example.org" },
	{ "from a file", "myorigin = /etc/mailname\n", "", "u", "smtp mailname.example" },
	{ "or not", "append_at_myorigin = no\n", "", "u", "bounced 5.1.3" },
	{ "mydomain completes", "append_dot_mydomain = yes\nmydomain = example.org\n", "", "u@h",
	  "smtp h.example.org" },
	{ "or not", "", "", "u@h", "smtp h" },
	{ "no mailbox", "", "", "@example.com", "bounced 5.1.3" },
	{ "nothing", "", "", "", "bounced 5.1.3" },
	{ "no domain", "", "", "u@-example.com", "bounced 5.1.3" },
	{ "no literal", "", "", "u@[example.com]", "bounced 5.1.3" },
};

static struct str summary(struct world *w, const struct route *r)
{
	if (r->kind == ROUTE_DELIVER)
		return arena_fmt(w->a, STR_FMT " " STR_FMT, STR_ARG(r->transport),
				 STR_ARG(r->nexthop));
	return world_outcome(w, &r->outcome);
}

TEST(recipients)
{
	FOR_EACH(c, cases) {
		struct world w = world_new(c->main_cf, c->world);
		ok(w.cfg, w.e.text);
		struct route r = world_recipient(&w, c->recipient);
		ok_str(summary(&w, &r), str_of(c->want), c->rule);
		ok(r.kind == ROUTE_DELIVER || r.outcome.reason.n, c->rule);
		ok(r.trace.n == 0 || r.trace.deciding < r.trace.n, c->rule);
		world_free(&w);
	}
}

/* The keys in their order, each once; "/" marks those that pattern tables are not asked. */
TEST(keys_in_order)
{
	struct world w = world_new("transport_maps = texthash:/t\nrecipient_delimiter = +\n", "");
	struct route r = world_recipient(&w, "u+x@a.b.example");

	ok_str(summary(&w, &r), STR("smtp a.b.example"), "nothing found");
	ok_str(w.asked,
	       STR("transport_maps u+x@a.b.example; transport_maps u@a.b.example/; "
		   "transport_maps a.b.example/; transport_maps .b.example/; "
		   "transport_maps .example/; transport_maps *; "),
	       "order");
	world_free(&w);
}

TEST(no_table_no_question)
{
	struct world w = world_new("", "");

	(void)world_recipient(&w, "u@a.b.example");
	ok(w.n_asked == 0, "nothing to ask");
	world_free(&w);
}

TEST(the_deciding_line_is_named)
{
	struct world w = world_new("transport_maps = texthash:/t\n",
				   "table transport_maps .example error:5.7.1 closed");
	struct route r = world_recipient(&w, "u@a.example");
	const struct trace_step *by = &r.trace.v[r.trace.deciding];

	ok_str(by->key, STR(".example"), "key");
	ok(by->line == 7 && str_eq(by->file, STR("/t")), "line");
	ok_str(r.outcome.reason, STR("closed"), "text without status");
	world_free(&w);
}

TEST(an_unsupported_transport_is_named)
{
	struct world w = world_new("transport_maps = texthash:/t\n",
				   "table transport_maps a.example uucp:host");
	struct route r = world_recipient(&w, "u@a.example");
	size_t at;

	ok(str_search(r.outcome.reason, STR("transport \"uucp\" is not supported"), &at) &&
		   str_search(r.outcome.reason, STR("(/t:7)"), &at),
	   r.outcome.reason.p);
	ok_str(r.transport, STR("uucp"), "kept");
	world_free(&w);
}

TEST(several_nexthops)
{
	struct arena *a = arena_new();
	const struct str *v;

	ok(route_nexthops(a, STR("[a]:25, b\tc"), &v) == 3, "commas and blanks");
	ok_str(v[0], STR("[a]:25"), "first");
	ok_str(v[2], STR("c"), "last");
	ok(route_nexthops(a, STR(""), &v) == 1 && v[0].n == 0, "never none");
	arena_free(a);
}

static const struct {
	const char *rule, *main_cf, *world;
	struct str domain;
	int want;
} own[] = {
	{ "myorigin", "myorigin = O.example\nmydestination =\n", "", STR_INIT("o.Example"),
	  ROUTE_OWN_YES },
	{ "mydestination", "mydestination = D.example\n", "", STR_INIT("d.example"),
	  ROUTE_OWN_YES },
	{ "an address of its own", "", "", STR_INIT("[192.0.2.99]"), ROUTE_OWN_YES },
	{ "a subdomain", "mydestination = d.example\n", "", STR_INIT("a.d.example"), ROUTE_OWN_NO },
	{ "a table", "mydestination = texthash:/d\n", "table texthash:/d d.example x",
	  STR_INIT("d.example"), ROUTE_OWN_YES },
	{ "a table that fails", "mydestination = texthash:/d\n", "fail texthash:/d d.example",
	  STR_INIT("d.example"), ROUTE_OWN_FAILED },
	{ "not in a table", "mydestination = texthash:/d\n", "", STR_INIT("d.example"),
	  ROUTE_OWN_NO },
};

TEST(own_domains)
{
	FOR_EACH(c, own) {
		struct world w = world_new(c->main_cf, c->world);
		struct route_own_step s;

		ok(w.cfg, w.e.text);
		while ((s = route_own_step(w.a, w.cfg, c->domain, fact_list_set(w.facts))).kind ==
		       ROUTE_OWN_ASK)
			world_ask(&w, &s.ask);
		ok((int)s.kind == c->want, c->rule);
		world_free(&w);
	}
}

TEST(tables_in_lists)
{
	struct world w = world_new("mydestination = a, !texthash:/a\n"
				   "relay_domains = .b texthash:/a static:{x y}, [192.0.2.1]\n",
				   "");
	const struct str *v;

	ok(route_listed_tables(w.a, w.conf, &v) == 2, "each once");
	ok_str(v[0], STR("texthash:/a"), "without the mark of an exception");
	ok_str(v[1], STR("static:{x y}"), "with its braces");
	world_free(&w);
}

static const struct {
	const char *rule, *main_cf, *names;
} bad[] = {
	{ "null transport", "default_transport = :[a]\n", "default_transport" },
	{ "families", "inet_protocols = ipx\n", "inet_protocols" },
	{ "preference", "smtp_address_preference = ipv5\n", "smtp_address_preference" },
	{ "lookup", "smtp_host_lookup = nis\n", "smtp_host_lookup" },
	{ "port", "smtp_tcp_port = nosuch\n", "smtp_tcp_port" },
	{ "list in a file", "relay_domains = /etc/postfix/relays\n", "texthash:" },
	{ "proxy by name", "proxy_interfaces = proxy.example.com\n", "proxy_interfaces" },
};

TEST(bad_configuration_is_refused)
{
	FOR_EACH(c, bad) {
		struct world w = world_new(c->main_cf, "");
		ok(!w.cfg && w.e.kind == ERROR_CONFIG && strstr(w.e.text, c->names), c->rule);
		world_free(&w);
	}
}

TEST(json_tells_the_route)
{
	struct world w = world_new("transport_maps = texthash:/t\n",
				   "table transport_maps a.example smtp:[b]");
	struct route r = world_recipient(&w, "u@a.example");
	struct buf b;
	struct json j;
	size_t at;

	buf_init(&b, 65536);
	json_init(&j, &b, false);
	route_json(&j, &r);
	ok(json_end(&j), "fits");
	ok(str_search(buf_str(&b),
		      STR("{\"kind\":\"deliver\",\"recipient\":\"u@a.example\",\"domain\":\"a."
			  "example\","
			  "\"transport\":\"smtp\",\"nexthop\":\"[b]\",\"deciding\":2,\"trace\":["),
		      &at),
	   "members");
	buf_fini(&b);
	world_free(&w);
}

TEST_MAIN(RUN(recipients), RUN(keys_in_order), RUN(no_table_no_question),
	  RUN(the_deciding_line_is_named), RUN(an_unsupported_transport_is_named),
	  RUN(several_nexthops), RUN(own_domains), RUN(tables_in_lists),
	  RUN(bad_configuration_is_refused), RUN(json_tells_the_route))
