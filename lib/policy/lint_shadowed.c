/* Parent entries that no next-hop comes to, because each that lies below has a nearer entry. Where
 * mail may go to any domain, there is always one without, and nothing is said. */

#include "policy/lint_inside.h"

#include <stdlib.h>

static void mark(const struct lint *l, struct str key, bool *is_met)
{
	uint32_t at;

	do {
		if (map_get(&l->keys, key, &at)) {
			is_met[at] = true;
			return;
		}
	} while (policy_lint_parent(&key));
}

static bool is_unmet(const struct lint *l, size_t i, const bool *is_met)
{
	struct str key = l->entries[i].key, nexthop;
	uint32_t first;

	return !is_met[i] && str_has_prefix(key, STR(".")) &&
	       policy_lint_has_below(l->site->routes, key) &&
	       !policy_lint_is_own(l->site->routes, key, &nexthop) &&
	       map_get(&l->keys, key, &first) && first == i;
}

void policy_lint_shadowed(struct lint *l)
{
	bool *is_met = base_alloc(l->n + 1);
	struct str code = STR("key-shadowed");

	for (size_t i = 0; i < policy_lint_n_domains(l->site->routes); i++)
		mark(l, policy_lint_domain_at(l->site->routes, i), is_met);
	for (l->at = 0; l->at < l->n; l->at++)
		if (is_unmet(l, l->at, is_met) && policy_lint_wants(l, code))
			policy_lint_say(
				l, (struct lint_words){
					   CONF_NOTE, code,
					   arena_fmt(l->arena,
						     "key " STR_FMT
						     " is not met: every next-hop below it has a "
						     "nearer entry",
						     STR_ARG(lint_entry(l)->key)),
					   STR("remove it, or keep it for domains to come") });
	free(is_met);
}
