/* regexp:/path: POSIX regular expressions, as regexp_table(5). Keys and patterns are octets. */

#include <regex.h>
#include <stdlib.h>

#include "table/rules.h"

static bool regexp_flags(struct str flags, int *out, struct error *why)
{
	*out = REG_EXTENDED | REG_ICASE;
	for (size_t i = 0; i < flags.n; i++) {
		switch (flags.p[i]) {
		case 'i':
			*out ^= REG_ICASE;
			break;
		case 'm':
			*out ^= REG_NEWLINE;
			break;
		case 'x':
			*out ^= REG_EXTENDED;
			break;
		default:
			return error_set(why, ERROR_DATA, "there is no flag \"%c\"; i, m and x are",
					 flags.p[i]);
		}
	}
	return true;
}

static void *regexp_compile(const struct rule_pattern *p, size_t *n_groups, struct error *why)
{
	int flags;

	if (!regexp_flags(p->flags, &flags, why))
		return NULL;
	struct arena *a = arena_new();
	regex_t *re = base_alloc(sizeof(*re));
	int status = regcomp(re, arena_str(a, p->text).p, flags);
	arena_free(a);
	if (status == 0) {
		*n_groups = re->re_nsub;
		return re;
	}
	char text[256];
	(void)regerror(status, re, text, sizeof(text));
	error_set(why, ERROR_DATA, "the pattern is no regular expression: %s", text);
	free(re);
	return NULL;
}

static void regexp_free(void *pattern)
{
	regfree(pattern);
	free(pattern);
}

#define REGEXP_GROUPS_FEW 16

static enum rules_hit regexp_match(void *pattern, const struct rules_key *key, struct str *groups,
				   size_t n, struct error *why)
{
	regmatch_t few[REGEXP_GROUPS_FEW];
	size_t room = n > 0 ? n : 1;
	regmatch_t *at = room <= ARRAY_LEN(few) ? few : base_alloc(room * sizeof(*at));

	at[0] = (regmatch_t){ 0, (regoff_t)key->text.n };
	int status = regexec(pattern, key->text.p, n, at, REG_STARTEND);
	for (size_t i = 0; status == 0 && i < n; i++)
		groups[i] = at[i].rm_so < 0 ? STR("")
					    : str_span(key->text.p + at[i].rm_so,
						       (size_t)(at[i].rm_eo - at[i].rm_so));
	if (at != few)
		free(at);
	if (status == 0)
		return RULES_HIT;
	if (status == REG_NOMATCH)
		return RULES_MISS;
	error_set(why, ERROR_LIMIT, "the pattern could not be tried: out of memory");
	return RULES_FAILED;
}

static const struct rules_engine regexp_engine = {
	.parse = rule_text_regexp,
	.has_groups = true,
	.compile = regexp_compile,
	.free = regexp_free,
	.match = regexp_match,
};

static void regexp_fill(struct textload *l, struct str text)
{
	rules_fill(&regexp_engine, l, text);
}

static const struct textload_kind regexp_kind = {
	.fill = regexp_fill,
	.count = rules_count,
	.free = rules_free,
};

static void *regexp_open(const struct table_context *c, uint64_t now_ms, struct error *e)
{
	return rules_open(&regexp_kind, c, now_ms, e);
}

const struct table_type table_type_regexp = {
	.name = STR_INIT("regexp"),
	.open = regexp_open,
	.lookup = rules_lookup,
	.close = rules_close,
	.refresh = rules_refresh,
	.has_patterns = rules_has_patterns,
	.version = textfile_version,
};
