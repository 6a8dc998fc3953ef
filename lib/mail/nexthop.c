#include "mail/nexthop.h"

#include "base/limits.h"
#include "mail/address.h"

static const struct {
	struct str name;
	uint16_t port;
} services[] = {
	{ STR_INIT("smtp"), 25 },         { STR_INIT("smtps"), 465 },
	{ STR_INIT("submissions"), 465 }, { STR_INIT("submission"), 587 },
	{ STR_INIT("lmtp"), 24 },
};

static bool nexthop_is_number(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!ascii_is_digit(s.p[i]))
			return false;
	return s.n > 0;
}

static struct str nexthop_port(struct str service, uint16_t *port)
{
	uint64_t v;

	if (nexthop_is_number(service)) {
		if (!str_to_u64(service, &v) || v < 1 || v > 65535)
			return STR("the port is outside 1 to 65535");
		*port = (uint16_t)v;
		return STR("");
	}
	for (size_t i = 0; i < ARRAY_LEN(services); i++) {
		if (str_eq(service, services[i].name)) {
			*port = services[i].port;
			return STR("");
		}
	}
	return STR("unknown service name");
}

/* "[host]" with or without ":port". */
static struct str nexthop_split_bracketed(struct str text, struct nexthop *out)
{
	struct str rest;

	if (!str_cut(str_from(text, 1), ']', &out->domain, &rest))
		return STR("no \"]\" after \"[\"");
	if (rest.n && rest.p[0] != ':')
		return STR("there is text after \"]\" that is no \":port\"");
	out->service = str_from(rest, 1);
	out->is_bracketed = true;
	return STR("");
}

/* The last colon separates, so that a bare IPv6 address comes apart; as in Postfix. */
static struct str nexthop_split_plain(struct str text, struct nexthop *out)
{
	if (!str_rcut(text, ':', &out->domain, &out->service))
		out->domain = text;
	return out->domain.n ? STR("") : STR("no host name");
}

static struct str nexthop_check_host(struct nexthop *out, bool is_utf8_ok)
{
	struct address addr;

	if (out->is_bracketed && str_ihas_prefix_ascii(out->domain, STR("ipv6:"))) {
		out->domain = str_from(out->domain, 5);
		out->is_address = true;
		return address_parse(out->domain, &addr) && addr.family == ADDRESS_V6
			       ? STR("")
			       : STR("no IPv6 address after \"ipv6:\"");
	}
	out->is_address = domain_is_address_literal(out->domain);
	return out->is_address || domain_is_hostname_utf8(out->domain, is_utf8_ok)
		       ? STR("")
		       : STR("neither a valid host name nor a network address");
}

enum nexthop_parse
nexthop_parse(struct str text, uint16_t default_port, bool is_utf8_ok, struct nexthop *out)
{
	*out = (struct nexthop){ .text = text, .port = default_port };
	out->problem = text.n && text.p[0] == '[' ? nexthop_split_bracketed(text, out)
						  : nexthop_split_plain(text, out);
	if (!out->problem.n)
		out->problem = nexthop_check_host(out, is_utf8_ok);
	if (out->problem.n)
		return NEXTHOP_BAD_SYNTAX;
	if (out->service.n)
		out->problem = nexthop_port(out->service, &out->port);
	return out->problem.n ? NEXTHOP_BAD_SERVICE : NEXTHOP_OK;
}
