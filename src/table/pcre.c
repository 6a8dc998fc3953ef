/* pcre:/path: Perl's regular expressions by PCRE2, as pcre_table(5). Keys and patterns are octets,
 * not UTF-8. */

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <stdlib.h>

#include "base/limits.h"
#include "table/rules.h"

struct pcre {
	pcre2_code *code;
	pcre2_match_data *found;
	pcre2_match_context *limits;
};

static bool pcre_flag(char letter, uint32_t *flags)
{
	static const struct {
		char letter;
		uint32_t flag;
	} known[] = {
		{ 'i', PCRE2_CASELESS },
		{ 'm', PCRE2_MULTILINE },
		{ 's', PCRE2_DOTALL },
		{ 'x', PCRE2_EXTENDED },
		{ 'A', PCRE2_ANCHORED },
		{ 'U', PCRE2_UNGREEDY },
		{ 'X', 0 }, /* PCRE2 is always so strict */
		{ 'E', PCRE2_DOLLAR_ENDONLY },
	};

	for (size_t i = 0; i < ARRAY_LEN(known); i++) {
		if (known[i].letter == letter) {
			*flags ^= known[i].flag;
			return true;
		}
	}
	return false;
}

static bool pcre_flags(struct str text, uint32_t *flags, struct error *why)
{
	*flags = PCRE2_CASELESS | PCRE2_DOTALL;
	for (size_t i = 0; i < text.n; i++)
		if (!pcre_flag(text.p[i], flags))
			return error_set(why, ERROR_DATA,
					 "there is no flag \"%c\"; i, m, s, x, A, E, U and X are",
					 text.p[i]);
	return true;
}

static void *pcre_compile(const struct rule_pattern *p, size_t *n_groups, struct error *why)
{
	PCRE2_UCHAR text[256];
	uint32_t flags, count = 0;
	size_t at;
	int status;

	if (!pcre_flags(p->flags, &flags, why))
		return NULL;
	pcre2_code *code =
		pcre2_compile((PCRE2_SPTR)p->text.p, p->text.n, flags, &status, &at, NULL);
	if (code == NULL) {
		(void)pcre2_get_error_message(status, text, sizeof(text));
		error_set(why, ERROR_DATA, "the pattern is wrong at octet %zu: %s", at,
			  (const char *)text);
		return NULL;
	}
	(void)pcre2_jit_compile(code, PCRE2_JIT_COMPLETE); /* where it cannot, it is only slower */
	(void)pcre2_pattern_info(code, PCRE2_INFO_CAPTURECOUNT, &count);
	*n_groups = count;
	struct pcre *re = base_alloc(sizeof(*re));
	*re = (struct pcre){
		.code = code,
		.found = pcre2_match_data_create_from_pattern(code, NULL),
		.limits = pcre2_match_context_create(NULL),
	};
	CHECK(re->found != NULL && re->limits != NULL);
	(void)pcre2_set_match_limit(re->limits, TABLE_PCRE_STEPS_MAX);
	(void)pcre2_set_heap_limit(re->limits, TABLE_PCRE_HEAP_KIB_MAX);
	return re;
}

static void pcre_free(void *pattern)
{
	struct pcre *re = pattern;

	pcre2_match_context_free(re->limits);
	pcre2_match_data_free(re->found);
	pcre2_code_free(re->code);
	free(re);
}

static void pcre_groups(const struct pcre *re, struct str key, struct str *groups, size_t n)
{
	const size_t *at = pcre2_get_ovector_pointer(re->found);

	for (size_t i = 0; i < n; i++) {
		size_t from = at[2 * i], to = at[2 * i + 1];
		/* \K in a lookahead may put the end before the start */
		groups[i] = from == PCRE2_UNSET || to < from ? STR("")
							     : str_span(key.p + from, to - from);
	}
}

static enum rules_hit pcre_match(void *pattern, const struct rules_key *key, struct str *groups,
				 size_t n, struct error *why)
{
	const struct pcre *re = pattern;
	PCRE2_SPTR text = (PCRE2_SPTR)key->text.p;
	int status = pcre2_match(re->code, text, key->text.n, 0, 0, re->found, re->limits);
	PCRE2_UCHAR says[256];

	if (status == PCRE2_ERROR_NOMATCH)
		return RULES_MISS;
	if (status >= 0) {
		pcre_groups(re, key->text, groups, n);
		return RULES_HIT;
	}
	(void)pcre2_get_error_message(status, says, sizeof(says));
	error_set(why, ERROR_LIMIT, "the pattern could not be tried: %s", (const char *)says);
	return RULES_FAILED;
}

static const struct rules_engine pcre_engine = {
	.parse = rule_text_pcre,
	.has_groups = true,
	.compile = pcre_compile,
	.free = pcre_free,
	.match = pcre_match,
};

static void pcre_fill(struct textload *l, struct str text)
{
	rules_fill(&pcre_engine, l, text);
}

static const struct textload_kind pcre_kind = {
	.fill = pcre_fill,
	.count = rules_count,
	.free = rules_free,
};

static void *pcre_open(const struct table_context *c, uint64_t now_ms, struct error *e)
{
	return rules_open(&pcre_kind, c, now_ms, e);
}

const struct table_type table_type_pcre = {
	.name = STR_INIT("pcre"),
	.open = pcre_open,
	.lookup = rules_lookup,
	.close = rules_close,
	.refresh = rules_refresh,
	.has_patterns = rules_has_patterns,
	.version = textfile_version,
};
