#include "policy/convert.h"

#include "policy/decide.h"
#include "policy/level.h"
#include "policy/per_site.h"

/* NULL counts as no entry. False: mail waits. */
static bool keyword_of(const struct answer *answer, enum policy_keyword *out)
{
	*out = POLICY_NO_ENTRY;
	return !answer || policy_keyword_of(answer, out) == POLICY_KEYWORD;
}

/* The rules of per_site.c; that both say the same is what the proof of a conversion shows. */
struct str policy_convert(const struct policy_config *cfg, const struct answer *nexthop,
			  const struct answer *host)
{
	enum policy_keyword n, h, winner;
	enum tls_level level;

	if (!keyword_of(nexthop, &n) || !keyword_of(host, &h))
		return POLICY_CONVERTED_INVALID;
	winner = n > h ? n : h;
	if (winner == POLICY_NO_ENTRY)
		return STR("");
	level = policy_keyword_level(winner);
	if (winner == POLICY_MAY && cfg->global > level)
		level = cfg->global;
	return tls_level_name(level);
}

static int strength_of(const struct policy_config *cfg, struct str value)
{
	enum tls_level level;

	if (!value.n)
		return (int)cfg->global;
	return policy_level_parse(value, &level) ? (int)level : TLS_LEVEL_SECURE + 1;
}

struct str
policy_convert_stronger(const struct policy_config *cfg, struct str one, struct str other)
{
	return strength_of(cfg, other) > strength_of(cfg, one) ? other : one;
}

struct str policy_global_level(const struct policy_config *cfg)
{
	return tls_level_name(cfg->global);
}

struct str policy_per_site_class(const struct answer *answer)
{
	enum policy_keyword k;

	switch (policy_keyword_of(answer, &k)) {
	case POLICY_KEYWORD:
		return policy_keyword_name(k);
	case POLICY_KEYWORD_UNKNOWN:
		return STR("unknown keyword");
	case POLICY_KEYWORD_FAILED:
		break;
	}
	return STR("failed");
}
