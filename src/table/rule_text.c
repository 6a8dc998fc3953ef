#include "table/rule_text.h"

/* True when `line` begins with the word in any case, and no letter or digit follows it. */
static bool rule_word(struct str line, struct str word, struct str *rest)
{
	if (!str_ihas_prefix_ascii(line, word))
		return false;
	if (line.n > word.n && ascii_is_alnum(line.p[word.n]))
		return false;
	*rest = str_trim(str_from(line, word.n));
	return true;
}

/* Takes any number of "!" and white space off the front. */
static bool rule_negations(struct str *rest)
{
	bool is_negated = false;

	while (rest->n > 0 && (rest->p[0] == '!' || ascii_is_space(rest->p[0]))) {
		is_negated ^= rest->p[0] == '!';
		*rest = str_from(*rest, 1);
	}
	return is_negated;
}

/* ---- regexp and pcre ---- */

/* The delimiter that ends a pattern; a backslash takes the octet after it along. */
static bool rule_delimiter(struct str s, char delimiter, size_t *at)
{
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == delimiter) {
			*at = i;
			return true;
		}
		if (s.p[i] == '\\')
			i++;
	}
	return false;
}

static size_t rule_flags_end(struct str s, bool is_regexp)
{
	size_t i = 0;

	while (i < s.n && !ascii_is_space(s.p[i]) && !(is_regexp && s.p[i] == '!'))
		i++;
	return i;
}

/* Takes "!/pattern/flags" off the front. Any octet may be the delimiter. */
static bool
rule_pattern_take(struct str *rest, bool is_regexp, struct rule_pattern *p, struct error *why)
{
	size_t end;

	p->is_negated = rule_negations(rest);
	if (rest->n == 0)
		return error_set(why, ERROR_DATA, "there is no pattern");
	char delimiter = rest->p[0];
	struct str s = str_from(*rest, 1);
	if (!rule_delimiter(s, delimiter, &end))
		return error_set(why, ERROR_DATA, "the delimiter \"%c\" is not there again",
				 delimiter);
	p->text = str_first(s, end);
	s = str_from(s, end + 1);
	end = rule_flags_end(s, is_regexp);
	p->flags = str_first(s, end);
	*rest = str_from(s, end);
	return true;
}

static bool
rule_pattern_match(struct str line, bool is_regexp, struct rule_text *r, struct error *why)
{
	if (!rule_pattern_take(&line, is_regexp, &r->pattern, why))
		return false;
	if (is_regexp && line.n > 0 && line.p[0] == '!' &&
	    !rule_pattern_take(&line, is_regexp, &r->second, why))
		return false;
	r->value = str_trim(line);
	return true;
}

static bool
rule_pattern_line(struct str line, bool is_regexp, struct rule_text *r, struct error *why)
{
	struct str rest;

	*r = (struct rule_text){ .op = RULE_MATCH };
	if (!ascii_is_alnum(line.p[0]))
		return rule_pattern_match(line, is_regexp, r, why);
	if (rule_word(line, STR("endif"), &r->extra)) {
		r->op = RULE_ENDIF;
		return true;
	}
	if (!rule_word(line, STR("if"), &rest))
		return error_set(why, ERROR_DATA,
				 "it is no /pattern/, \"if\" or \"endif\"; patterns have "
				 "delimiters");
	r->op = RULE_IF;
	if (!rule_pattern_take(&rest, is_regexp, &r->pattern, why))
		return false;
	r->extra = str_trim(rest);
	return true;
}

bool rule_text_regexp(struct str line, struct rule_text *r, struct error *why)
{
	return rule_pattern_line(line, true, r, why);
}

bool rule_text_pcre(struct str line, struct rule_text *r, struct error *why)
{
	return rule_pattern_line(line, false, r, why);
}

/* ---- cidr ---- */

static bool rule_cidr_match(struct str line, struct rule_text *r, struct error *why)
{
	size_t i = 0;

	r->pattern.is_negated = rule_negations(&line);
	while (i < line.n && !ascii_is_space(line.p[i]))
		i++;
	r->pattern.text = str_first(line, i);
	r->value = str_trim(str_from(line, i));
	if (r->pattern.text.n == 0)
		return error_set(why, ERROR_DATA, "there is no address");
	if (r->value.n == 0)
		return error_set(why, ERROR_DATA, "there is no value");
	return true;
}

bool rule_text_cidr(struct str line, struct rule_text *r, struct error *why)
{
	struct str rest;

	*r = (struct rule_text){ .op = RULE_MATCH };
	if (rule_word(line, STR("endif"), &rest)) {
		r->op = RULE_ENDIF;
		return rest.n == 0 || error_set(why, ERROR_DATA, "there is text after \"endif\"");
	}
	if (!rule_word(line, STR("if"), &rest))
		return rule_cidr_match(line, r, why);
	r->op = RULE_IF;
	r->pattern.is_negated = rule_negations(&rest);
	r->pattern.text = rest;
	return rest.n > 0 || error_set(why, ERROR_DATA, "there is no address after \"if\"");
}
