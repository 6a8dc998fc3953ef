/* cidr:/path: networks, as cidr_table(5). A key is a bare address; all others are not there. */

#include <stdlib.h>
#include <string.h>

#include "table/rules.h"

struct cidr {
	struct address net;
	size_t prefix; /* bits */
};

static size_t cidr_octets(enum address_family family)
{
	return family == ADDRESS_V4 ? 4 : 16;
}

/* The bits of octet i that belong to the network. */
static uint8_t cidr_mask(const struct cidr *c, size_t i)
{
	if (c->prefix >= 8 * (i + 1))
		return 0xff;
	if (c->prefix <= 8 * i)
		return 0;
	return (uint8_t)(0xff00 >> (c->prefix - 8 * i));
}

/* Splits "[address]/prefix", "[address/prefix]" or either without brackets. */
static bool cidr_split(struct str text, struct str *address, struct str *prefix, struct error *why)
{
	struct str after;

	*prefix = STR_NONE;
	if (text.p[0] == '[') {
		if (!str_cut(str_from(text, 1), ']', address, &after))
			return error_set(why, ERROR_DATA, "there is no \"]\" after \"[\"");
		if (after.n > 0 && after.p[0] != '/')
			return error_set(why, ERROR_DATA, "there is text after \"]\"");
		if (after.n > 0) {
			*prefix = str_from(after, 1);
			return true;
		}
		text = *address;
	}
	if (!str_cut(text, '/', address, prefix))
		*address = text;
	return true;
}

static bool cidr_prefix(struct cidr *c, struct str text, struct error *why)
{
	size_t bits = 8 * cidr_octets(c->net.family);
	uint64_t n = bits;

	if (text.p != NULL && (!str_to_u64(text, &n) || n > bits))
		return error_set(why, ERROR_DATA, "the prefix length is not a number up to %zu",
				 bits);
	c->prefix = n;
	return true;
}

/* Bits behind the prefix: what is meant, the host or the network, is not clear. */
static bool cidr_host_bits(const struct cidr *c, struct error *why)
{
	struct address net = c->net;

	for (size_t i = 0; i < cidr_octets(net.family); i++)
		net.octets[i] &= cidr_mask(c, i);
	if (address_eq(&net, &c->net))
		return true;

	struct arena *a = arena_new();
	error_set(why, ERROR_DATA,
		  "the address has bits behind the prefix; " STR_FMT "/%zu is the network",
		  STR_ARG(address_text(a, &net)), c->prefix);
	arena_free(a);
	return false;
}

static bool cidr_parse(struct str text, struct cidr *c, struct error *why)
{
	struct str address, prefix;

	if (!cidr_split(text, &address, &prefix, why))
		return false;
	if (!address_parse(address, &c->net))
		return error_set(why, ERROR_DATA, "\"" STR_FMT "\" is no address",
				 STR_ARG(str_first(address, 100)));
	return cidr_prefix(c, prefix, why) && cidr_host_bits(c, why);
}

static void *cidr_compile(const struct rule_pattern *p, size_t *n_groups, struct error *why)
{
	struct cidr c;

	*n_groups = 0;
	if (!cidr_parse(p->text, &c, why))
		return NULL;
	struct cidr *kept = base_alloc(sizeof(*kept));
	*kept = c;
	return kept;
}

static enum rules_hit cidr_match(void *pattern, const struct rules_key *key, struct str *groups,
				 size_t n, struct error *why)
{
	const struct cidr *c = pattern;

	(void)groups;
	(void)n;
	(void)why;
	if (key->address.family != c->net.family)
		return RULES_NEVER;
	for (size_t i = 0; i < cidr_octets(c->net.family); i++)
		if ((key->address.octets[i] & cidr_mask(c, i)) != c->net.octets[i])
			return RULES_MISS;
	return RULES_HIT;
}

static struct rules_net cidr_net(const void *pattern)
{
	const struct cidr *c = pattern;

	return (struct rules_net){ c->net, c->prefix };
}

static const struct rules_engine cidr_engine = {
	.parse = rule_text_cidr,
	.is_of_addresses = true,
	.net = cidr_net,
	.compile = cidr_compile,
	.free = free,
	.match = cidr_match,
};

static void cidr_fill(struct textload *l, struct str text)
{
	rules_fill(&cidr_engine, l, text);
}

static const struct textload_kind cidr_kind = {
	.fill = cidr_fill,
	.count = rules_count,
	.free = rules_free,
};

static void *cidr_open(const struct table_context *c, uint64_t now_ms, struct error *e)
{
	return rules_open(&cidr_kind, c, now_ms, e);
}

const struct table_type table_type_cidr = {
	.name = STR_INIT("cidr"),
	.open = cidr_open,
	.lookup = rules_lookup,
	.close = rules_close,
	.refresh = rules_refresh,
	.has_patterns = rules_has_patterns,
	.version = textfile_version,
};
