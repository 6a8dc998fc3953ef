#include "table/rules_reach.h"

#include <stdlib.h>
#include <string.h>

void rules_reach_init(struct rules_reach *r)
{
	*r = (struct rules_reach){ .arena = arena_new() };
	map_init(&r->lines);
	rules_reach_enter(r);
}

void rules_reach_fini(struct rules_reach *r)
{
	map_fini(&r->lines);
	free(r->keys);
	free(r->blocks);
	arena_free(r->arena);
}

void rules_reach_enter(struct rules_reach *r)
{
	if (r->n_blocks == r->blocks_room) {
		r->blocks_room = r->blocks_room ? 2 * r->blocks_room : 8;
		r->blocks = base_realloc(r->blocks, r->blocks_room * sizeof(*r->blocks));
	}
	r->blocks[r->n_blocks++] = (struct rules_block){ .n_keys = r->n_keys };
}

/* A rule in a block says nothing about keys that the block is not for. */
void rules_reach_leave(struct rules_reach *r)
{
	const struct rules_block *b = &r->blocks[--r->n_blocks];

	while (r->n_keys > b->n_keys)
		map_put(&r->lines, r->keys[--r->n_keys], 0);
}

static unsigned reach_find(const struct rules_reach *r, struct str key)
{
	uint32_t line;

	return map_get(&r->lines, key, &line) ? line : 0;
}

static void reach_keep(struct rules_reach *r, struct str key, unsigned line)
{
	if (r->n_keys == r->keys_room) {
		r->keys_room = r->keys_room ? 2 * r->keys_room : 64;
		r->keys = base_realloc(r->keys, r->keys_room * sizeof(*r->keys));
	}
	r->keys[r->n_keys++] = key;
	map_put(&r->lines, key, line);
}

/* ---- expressions ---- */

static struct str pattern_text(struct arena *a, const struct rule_pattern *p)
{
	return arena_fmt(a, "%s" STR_FMT "/" STR_FMT, p->is_negated ? "!" : "", STR_ARG(p->flags),
			 STR_ARG(p->text));
}

static struct str rule_key(struct arena *a, const struct rule_text *rule)
{
	struct str first = pattern_text(a, &rule->pattern);

	if (!rule->second.text.p)
		return first;
	return arena_fmt(a, STR_FMT "\n" STR_FMT, STR_ARG(first),
			 STR_ARG(pattern_text(a, &rule->second)));
}

/* No key is empty. */
static bool matches_all(const struct rule_text *rule)
{
	static const struct str all[] = {
		STR_INIT(""),     STR_INIT("."),      STR_INIT("^"),    STR_INIT("$"),
		STR_INIT(".*"),   STR_INIT("^.*"),    STR_INIT("^.*$"), STR_INIT(".*$"),
		STR_INIT(".+"),   STR_INIT("^.+"),    STR_INIT("^.+$"), STR_INIT(".+$"),
		STR_INIT("^."),   STR_INIT(".$"),     STR_INIT("(.*)"), STR_INIT("^(.*)$"),
		STR_INIT("(.+)"), STR_INIT("^(.+)$"),
	};

	if (rule->pattern.is_negated || rule->second.text.p)
		return false;
	for (size_t i = 0; i < ARRAY_LEN(all); i++)
		if (str_eq(rule->pattern.text, all[i]))
			return true;
	return false;
}

/* A rule of an open block that matches all; told when the first comes after it. */
static unsigned reach_all(struct rules_reach *r)
{
	for (size_t i = 0; i < r->n_blocks; i++) {
		struct rules_block *b = &r->blocks[i];
		if (b->all && !b->is_told) {
			b->is_told = true;
			return b->all;
		}
	}
	return 0;
}

static unsigned reach_add_text(struct rules_reach *r, const struct rule_text *rule, unsigned line)
{
	struct str key = rule_key(r->arena, rule);
	unsigned before = reach_find(r, key);
	struct rules_block *block = &r->blocks[r->n_blocks - 1];

	if (before)
		return before;
	before = reach_all(r);
	reach_keep(r, key, line);
	if (!block->all && matches_all(rule))
		block->all = line;
	return before;
}

/* ---- networks ---- */

/* The first `prefix` bits of an address, and how many they are. */
static struct str net_key(const struct address *a, size_t prefix, char out[18])
{
	size_t octets = a->family == ADDRESS_V4 ? 4 : 16;

	out[0] = a->family == ADDRESS_V4 ? '4' : '6';
	out[1] = (char)prefix;
	memcpy(out + 2, a->octets, octets);
	for (size_t i = 0; i < octets; i++) {
		size_t kept = prefix >= 8 * (i + 1) ? 8 : prefix > 8 * i ? prefix - 8 * i : 0;
		out[2 + i] = (char)((uint8_t)out[2 + i] & (uint8_t)(0xff00 >> kept));
	}
	return str_span(out, 2 + octets);
}

static unsigned reach_add_net(struct rules_reach *r, const struct rules_net *net, unsigned line)
{
	size_t *n = r->n_nets[net->address.family == ADDRESS_V4 ? 0 : 1];
	char key[18];

	for (size_t prefix = 0; prefix <= net->prefix; prefix++) {
		unsigned before =
			n[prefix] ? reach_find(r, net_key(&net->address, prefix, key)) : 0;
		if (before)
			return before;
	}
	n[net->prefix]++;
	reach_keep(r, arena_str(r->arena, net_key(&net->address, net->prefix, key)), line);
	return 0;
}

unsigned rules_reach_add(struct rules_reach *r, const struct rule_text *rule,
			 const struct rules_net *net, unsigned line)
{
	return net && !rule->pattern.is_negated ? reach_add_net(r, net, line)
						: reach_add_text(r, rule, line);
}
