/* The routing parameters, taken apart once: postconf(5). */

#include "route/config.h"

bool route_blame(const struct conf *conf, enum conf_id id, struct error *e)
{
	struct str file = conf_file(conf, id);

	return e && file.n && conf_line(conf, id)
		       ? error_prefix(e, STR_FMT ":%u", STR_ARG(file), conf_line(conf, id))
		       : false;
}

static bool route_bad(const struct conf *conf, enum conf_id id, struct error *e, const char *wanted)
{
	(void)error_set(e, ERROR_CONFIG, STR_FMT " = " STR_FMT ": %s", STR_ARG(conf_name(id)),
			STR_ARG(conf_text(conf, id)), wanted);
	return route_blame(conf, id, e);
}

static bool route_read_families(struct route_config *c, struct error *e)
{
	struct str rest = conf_str(c->conf, CONF_inet_protocols);
	struct str token;

	while (str_token(&rest, STR(", \t\r\n"), &token)) {
		bool is_all = str_ieq_ascii(token, STR("all"));
		bool is_v4 = str_ieq_ascii(token, STR("ipv4"));
		bool is_v6 = str_ieq_ascii(token, STR("ipv6"));
		if (!is_all && !is_v4 && !is_v6)
			return route_bad(c->conf, CONF_inet_protocols, e, "want all, ipv4 or ipv6");
		c->has_family[ADDRESS_V4] |= is_all || is_v4;
		c->has_family[ADDRESS_V6] |= is_all || is_v6;
	}
	if (!c->has_family[ADDRESS_V4] && !c->has_family[ADDRESS_V6])
		return route_bad(c->conf, CONF_inet_protocols, e, "no address family is left");
	return true;
}

static bool route_read_preference(struct route_config *c, struct error *e)
{
	struct str v = conf_str(c->conf, CONF_smtp_address_preference);

	if (str_eq(v, STR("any")))
		c->preference = ROUTE_PREFER_ANY;
	else if (str_eq(v, STR("ipv4")))
		c->preference = ROUTE_PREFER_V4;
	else if (str_eq(v, STR("ipv6")))
		c->preference = ROUTE_PREFER_V6;
	else
		return route_bad(c->conf, CONF_smtp_address_preference, e,
				 "want any, ipv4 or ipv6");
	return true;
}

static bool route_read_dns_support(struct route_config *c, struct error *e)
{
	struct str v = conf_str(c->conf, CONF_smtp_dns_support_level);

	if (v.n == 0)
		c->is_dns = !conf_bool(c->conf, CONF_disable_dns_lookups);
	else if (str_ieq_ascii(v, STR("enabled")) || str_ieq_ascii(v, STR("dnssec")))
		c->is_dns = true;
	else if (!str_ieq_ascii(v, STR("disabled")))
		return route_bad(c->conf, CONF_smtp_dns_support_level, e,
				 "want disabled, enabled or dnssec");
	return true;
}

/* The order of the two words means nothing: DNS first, and native for what DNS does not have. */
static bool route_read_host_lookup(struct route_config *c, struct error *e)
{
	struct str rest = conf_str(c->conf, CONF_smtp_host_lookup);
	struct str token;

	while (str_token(&rest, STR(", \t\r\n"), &token)) {
		if (str_ieq_ascii(token, STR("dns")))
			c->is_dns_hosts = true;
		else if (str_ieq_ascii(token, STR("native")))
			c->is_native_hosts = true;
		else
			return route_bad(c->conf, CONF_smtp_host_lookup, e, "want dns or native");
	}
	if (!c->is_dns) {
		c->is_dns_hosts = false;
		c->is_native_hosts = true;
	}
	if (!c->is_dns_hosts && !c->is_native_hosts)
		return route_bad(c->conf, CONF_smtp_host_lookup, e, "want dns or native");
	return true;
}

/* One word of known_tcp_ports: "name=port" or "name=other=port". */
static bool route_word_has_service(struct str word, struct str name, uint16_t *port)
{
	struct str names, number, one;
	uint64_t v;

	if (!str_rcut(word, '=', &names, &number) || !str_to_u64(number, &v) || v < 1 || v > 65535)
		return false;
	while (str_token(&names, STR("="), &one)) {
		if (str_eq(one, name)) {
			*port = (uint16_t)v;
			return true;
		}
	}
	return false;
}

bool route_service_port(const struct conf *conf, struct str name, uint16_t *port)
{
	struct str rest = conf_str(conf, CONF_known_tcp_ports);
	struct str word;

	while (str_token(&rest, STR(", \t\r\n"), &word))
		if (route_word_has_service(word, name, port))
			return true;
	return false;
}

static bool route_read_port(struct route_config *c, enum conf_id id, uint16_t *out, struct error *e)
{
	struct str text = conf_str(c->conf, id);
	uint64_t v;

	if (str_to_u64(text, &v) && v >= 1 && v <= 65535) {
		*out = (uint16_t)v;
		return true;
	}
	return route_service_port(c->conf, text, out) ||
	       route_bad(c->conf, id, e, "want a port, or a name that known_tcp_ports has");
}

/* A transport of main.cf may not be empty: ":nexthop" alone names none. */
static bool route_check_transport(const struct route_config *c, enum conf_id id, struct error *e)
{
	struct str v = conf_str(c->conf, id);

	if (v.n == 0 || v.p[0] == ':')
		return route_bad(c->conf, id, e, "want transport or transport:nexthop");
	return true;
}

static struct str route_unbracket(struct str token)
{
	if (str_has_prefix(token, STR("[")) && str_has_suffix(token, STR("]")))
		token = str_first(str_from(token, 1), token.n - 2);
	if (str_ihas_prefix_ascii(token, STR("ipv6:")))
		token = str_from(token, 5);
	return token;
}

static bool route_is_loopback(const struct address *addr)
{
	if (addr->family == ADDRESS_V4)
		return addr->octets[0] == 127;
	for (size_t i = 0; i < 15; i++)
		if (addr->octets[i])
			return false;
	return addr->octets[15] == 1;
}

/* Which interface addresses one word of inet_interfaces means. A host name means all: it cannot be
 * looked up here, and its addresses are among them. */
static bool route_is_own_by(struct str token, const struct address *addr)
{
	struct address wanted;

	if (str_ieq_ascii(token, STR("loopback-only")))
		return route_is_loopback(addr);
	if (address_parse(route_unbracket(token), &wanted))
		return address_eq(&wanted, addr);
	return true;
}

static void route_add_interfaces(struct route_config *c, struct address *v)
{
	struct str rest = conf_str(c->conf, CONF_inet_interfaces);
	struct str token;

	while (str_token(&rest, STR(", \t\r\n"), &token))
		for (size_t i = 0; i < c->machine.n_own; i++)
			if (route_is_own_by(token, &c->machine.own[i]))
				v[c->n_own++] = c->machine.own[i];
}

/* proxy_interfaces are addresses of other machines, so names would have to be looked up. */
static bool route_add_proxies(struct route_config *c, struct address *v, struct error *e)
{
	struct str rest = conf_str(c->conf, CONF_proxy_interfaces);
	struct str token;

	while (str_token(&rest, STR(", \t\r\n"), &token)) {
		if (!address_parse(route_unbracket(token), &v[c->n_own]))
			return route_bad(c->conf, CONF_proxy_interfaces, e,
					 "want addresses; names are not supported");
		c->n_own++;
	}
	return true;
}

static size_t route_count_words(struct str rest)
{
	struct str token;
	size_t n = 0;

	while (str_token(&rest, STR(", \t\r\n"), &token))
		n++;
	return n;
}

static bool route_read_own(struct arena *a, struct route_config *c, struct error *e)
{
	size_t interfaces = route_count_words(conf_str(c->conf, CONF_inet_interfaces));
	size_t proxies = route_count_words(conf_str(c->conf, CONF_proxy_interfaces));
	struct address *v =
		ARENA_ARRAY(a, interfaces * c->machine.n_own + proxies + 1, struct address);

	c->own = v;
	route_add_interfaces(c, v);
	return route_add_proxies(c, v, e);
}

static void route_read_recipients(struct route_config *c)
{
	struct str origin = conf_str(c->conf, CONF_myorigin);

	c->origin = str_has_prefix(origin, STR("/")) ? c->machine.origin : origin;
	c->has_transport_maps = str_trim(conf_str(c->conf, CONF_transport_maps)).n > 0;
	c->is_transport_parent = route_is_parent_style(c->conf, conf_name(CONF_transport_maps));
	c->is_utf8 = conf_bool(c->conf, CONF_smtputf8_enable);
}

static bool route_read_lists(struct arena *a, struct route_config *c, struct error *e)
{
	return route_list_parse(a, c->conf, CONF_mydestination, false, &c->local_domains, e) &&
	       route_list_parse(a, c->conf, CONF_relay_domains, true, &c->relay_domains, e) &&
	       route_check_transport(c, CONF_default_transport, e) &&
	       route_check_transport(c, CONF_relay_transport, e) &&
	       route_check_transport(c, CONF_local_transport, e);
}

static bool route_read_hosts(struct arena *a, struct route_config *c, struct error *e)
{
	return route_read_families(c, e) && route_read_preference(c, e) &&
	       route_read_dns_support(c, e) && route_read_host_lookup(c, e) &&
	       route_read_port(c, CONF_smtp_tcp_port, &c->smtp_port, e) &&
	       route_read_port(c, CONF_lmtp_tcp_port, &c->lmtp_port, e) && route_read_own(a, c, e);
}

const struct route_config *route_config_new(struct arena *a, const struct conf *conf,
					    const struct route_machine *machine, struct error *e)
{
	struct route_config *c = ARENA_NEW(a, struct route_config);

	c->conf = conf;
	c->machine = *machine;
	route_read_recipients(c);
	return route_read_lists(a, c, e) && route_read_hosts(a, c, e) ? c : NULL;
}
