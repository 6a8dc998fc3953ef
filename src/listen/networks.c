/* Lists of networks: mynetworks in postconf(5). */

#include "listen/room.h"

static unsigned bits_of(enum address_family f)
{
	return f == ADDRESS_V4 ? 32 : 128;
}

struct address listen_networks_mask(struct address a, unsigned prefix)
{
	for (unsigned i = 0; i < bits_of(a.family) / 8; i++) {
		unsigned keep = prefix >= 8 * (i + 1) ? 8 : prefix > 8 * i ? prefix - 8 * i : 0;
		a.octets[i] &= (uint8_t)(0xff00u >> keep);
	}
	return a;
}

static bool parse_prefix(struct str text, enum address_family f, unsigned *out)
{
	uint64_t n;

	if (!str_to_u64(text, &n) || n > bits_of(f))
		return false;
	*out = (unsigned)n;
	return true;
}

static bool parse_network(struct str text, struct listen_network *out)
{
	struct str address = text, prefix = STR("");
	bool has_prefix = str_rcut(text, '/', &address, &prefix);

	if (address.n > 2 && address.p[0] == '[' && address.p[address.n - 1] == ']')
		address = str_first(str_from(address, 1), address.n - 2);
	if (!address_parse(address, &out->address))
		return false;
	out->prefix = bits_of(out->address.family);
	if (has_prefix && !parse_prefix(prefix, out->address.family, &out->prefix))
		return false;
	struct address masked = listen_networks_mask(out->address, out->prefix);
	return address_eq(&masked, &out->address); /* 10.0.0.1/8 is a slip, as in Postfix */
}

bool listen_networks_parse(struct arena *a, struct str name, struct str text,
			   struct listen_networks *out, struct error *e)
{
	static const struct str separators = STR_INIT(", \t\r\n");
	struct str rest = text, token;
	size_t n = 0;

	while (str_token(&rest, separators, &token))
		n++;
	*out = (struct listen_networks){ ARENA_ARRAY(a, n, struct listen_network), 0 };
	for (rest = text; str_token(&rest, separators, &token);) {
		struct listen_network *to = &out->v[out->n];

		for (; str_has_prefix(token, STR("!")); token = str_from(token, 1))
			to->is_negated = !to->is_negated;
		if (!parse_network(token, to))
			return error_set(e, ERROR_CONFIG,
					 STR_FMT ": \"" STR_FMT
						 "\" is no address, and no network/mask",
					 STR_ARG(name), STR_ARG(str_first(token, 60)));
		out->n++;
	}
	return true;
}

/* Networks of the old classes: 10.0.0.1 stands for 10.0.0.0/8. */
static unsigned class_prefix(const struct net_network *n)
{
	uint8_t first = n->address.octets[0];

	if (n->address.family == ADDRESS_V6)
		return n->prefix;
	return first < 128 ? 8 : first < 192 ? 16 : first < 224 ? 24 : 32;
}

bool listen_networks_default(struct arena *a, struct str style, const struct net_network *own,
			     size_t n, struct listen_networks *out)
{
	bool is_host = str_ieq_ascii(style, STR("host")),
	     is_class = str_ieq_ascii(style, STR("class"));

	*out = (struct listen_networks){ ARENA_ARRAY(a, n, struct listen_network), n };
	for (size_t i = 0; i < n; i++) {
		unsigned prefix = is_host    ? bits_of(own[i].address.family)
				  : is_class ? class_prefix(&own[i])
					     : own[i].prefix;
		out->v[i].prefix = prefix;
		out->v[i].address = listen_networks_mask(own[i].address, prefix);
	}
	return is_host || is_class || str_ieq_ascii(style, STR("subnet"));
}

static bool is_in(const struct listen_network *n, const struct address *client)
{
	struct address masked;

	if (n->address.family != client->family)
		return false;
	masked = listen_networks_mask(*client, n->prefix);
	return address_eq(&masked, &n->address);
}

bool listen_networks_match(const struct listen_networks *n, const struct address *client)
{
	for (size_t i = 0; i < n->n; i++)
		if (is_in(&n->v[i], client))
			return !n->v[i].is_negated;
	return false;
}
