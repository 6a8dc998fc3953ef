#include "table/key_template.h"

/* ---- what the texts need ---- */

/* Takes the next piece: text as it stands, or one letter after a "%". False at the end. */
static bool take_piece(struct str *rest, struct str *text, char *letter)
{
	size_t at;

	*letter = '\0';
	*text = STR("");
	if (rest->n == 0)
		return false;
	if (rest->p[0] == '%' && rest->n > 1 && rest->p[1] != '%') {
		*letter = rest->p[1] != '\0' ? rest->p[1] : '?'; /* as wrong as that */
		*rest = str_from(*rest, 2);
		return true;
	}
	if (rest->p[0] == '%') {
		*text = str_first(*rest, 1);
		*rest = str_from(*rest, 2);
		return true;
	}
	*text = str_find(*rest, '%', &at) ? str_first(*rest, at) : *rest;
	*rest = str_from(*rest, text->n);
	return true;
}

static void need_labels(struct key_templates *t, char digit)
{
	unsigned n = (unsigned)(digit - '0');

	t->key_domain = true;
	if (t->key_labels < n)
		t->key_labels = n;
}

static bool need(struct key_templates *t, char letter, bool is_query)
{
	switch (letter) {
	case '\0':
	case 's':
	case 'S':
		return true;
	case 'u':
		*(is_query ? &t->key_user : &t->value_user) = true;
		return true;
	case 'U':
		t->key_user = true;
		return true;
	case 'd':
		*(is_query ? &t->key_domain : &t->value_domain) = true;
		return true;
	case 'D':
		t->key_domain = true;
		return true;
	default:
		if (letter >= '1' && letter <= '9')
			need_labels(t, letter);
		return letter >= '1' && letter <= '9';
	}
}

static bool check_text(struct key_templates *t, struct str text, bool is_query, struct error *why)
{
	struct str rest = text, plain;
	char letter;

	if (text.n == 0)
		return error_set(why, ERROR_CONFIG, "it is empty");
	while (take_piece(&rest, &plain, &letter)) {
		if (letter == '\0' && plain.n == 1 && plain.p[0] == '%' && rest.p == plain.p + 1)
			return error_set(why, ERROR_CONFIG, "it ends in a single \"%%\"");
		if (!need(t, letter, is_query))
			return error_set(why, ERROR_CONFIG,
					 "\"%%%c\" means nothing; \"%%%%\" is one \"%%\"", letter);
		t->has_key |= is_query && letter != '\0';
	}
	return true;
}

bool key_templates_init(struct key_templates *t, struct str query, struct str result,
			struct error *why)
{
	*t = (struct key_templates){ .query = query, .result = result };
	if (!check_text(t, query, true, why))
		return error_prefix(why, "the query");
	return check_text(t, result, false, why) || error_prefix(why, "the result format");
}

/* ---- parts ---- */

/* An address, or a text that is none: .user is all of it, .domain has no pointer. */
struct parts {
	struct str whole, user, domain;
};

static struct parts parts_of(struct str s)
{
	struct parts p = { .whole = s };

	if (!str_rcut(s, '@', &p.user, &p.domain))
		p.user = s;
	return p;
}

static bool has_parts(const struct parts *p, bool needs_user, bool needs_domain)
{
	return (!needs_domain || p->domain.n > 0) && (!needs_user || p->user.n > 0);
}

static bool label_from_right(struct str *domain, struct str *label)
{
	struct str before;

	*domain = str_trim_set(*domain, STR("."));
	if (domain->n == 0)
		return false;
	if (str_rcut(*domain, '.', &before, label)) {
		*domain = before;
	} else {
		*label = *domain;
		*domain = STR("");
	}
	return true;
}

/* The label that %1 to %9 stand for; empty ones do not count. */
static bool label_at(struct str domain, unsigned n, struct str *label)
{
	bool is_there = true;

	while (n-- > 0 && is_there)
		is_there = label_from_right(&domain, label);
	return is_there;
}

static bool key_fits(const struct key_templates *t, const struct parts *key)
{
	struct str label;

	return has_parts(key, t->key_user, t->key_domain) &&
	       (t->key_labels == 0 || label_at(key->domain, t->key_labels, &label));
}

bool key_template_fits(const struct key_templates *t, struct str key)
{
	struct parts parts = parts_of(key);

	return key.n > 0 && key_fits(t, &parts);
}

/* ---- expanding ---- */

static struct str part_of(char letter, const struct parts *key, const struct parts *value)
{
	struct str label = STR("");

	switch (letter) {
	case 's':
		return value->whole;
	case 'u':
		return value->user;
	case 'd':
		return value->domain;
	case 'S':
		return key->whole;
	case 'U':
		return key->user;
	case 'D':
		return key->domain;
	default:
		CHECK(label_at(key->domain, (unsigned)(letter - '0'), &label));
		return label;
	}
}

static bool add_quoted(const struct key_quote *quote, struct str part, struct buf *out)
{
	return quote != NULL && quote->add != NULL ? quote->add(quote->arg, part, out)
						   : buf_add(out, part);
}

static bool expand(struct str text, const struct parts *key, const struct parts *value,
		   const struct key_quote *quote, struct buf *out)
{
	struct str plain;
	char letter;

	while (take_piece(&text, &plain, &letter)) {
		bool fits = letter == '\0' ? buf_add(out, plain)
					   : add_quoted(quote, part_of(letter, key, value), out);
		if (!fits)
			return false;
	}
	return true;
}

enum key_expansion key_template_query(const struct key_templates *t, struct str key,
				      const struct key_quote *quote, struct buf *out)
{
	struct parts parts = parts_of(key);

	if (!key_template_fits(t, key))
		return KEY_SKIPPED;
	return expand(t->query, &parts, &parts, quote, out) ? KEY_EXPANDED : KEY_FAILED;
}

static bool too_long(struct error *why)
{
	return error_set(why, ERROR_LIMIT, "the value is too long");
}

bool key_results_add(struct key_results *r, struct str value, struct error *why)
{
	const struct key_templates *t = r->templates;
	struct parts key = parts_of(r->key), of_value = parts_of(value);

	if (value.n == 0 || !has_parts(&of_value, t->value_user, t->value_domain) ||
	    !key_fits(t, &key))
		return true;
	r->n++;
	if (r->limit > 0 && r->n > r->limit)
		return error_set(why, ERROR_LIMIT,
				 "it has more values for the key than expansion_limit = %llu",
				 (unsigned long long)r->limit);
	if (buf_len(r->out) > 0 && !buf_add_char(r->out, ','))
		return too_long(why);
	return expand(t->result, &key, &of_value, NULL, r->out) || too_long(why);
}

/* ---- parameters ---- */

static bool has_part(struct str text)
{
	struct str plain;
	char letter;

	while (take_piece(&text, &plain, &letter))
		if (letter != '\0')
			return true;
	return false;
}

/* Takes the rest of a '...' off the front; its first quote is gone already. *inside has quotes
 * doubled still. */
static bool take_literal(struct str *rest, struct str *inside)
{
	for (size_t i = 0; i < rest->n; i++) {
		if (rest->p[i] != '\'')
			continue;
		if (i + 1 < rest->n && rest->p[i + 1] == '\'') {
			i++;
			continue;
		}
		*inside = str_first(*rest, i);
		*rest = str_from(*rest, i + 1);
		return true;
	}
	return false;
}

static struct str single_quotes(struct arena *a, struct str doubled)
{
	char *p = arena_alloc(a, doubled.n + 1);
	size_t n = 0;

	for (size_t i = 0; i < doubled.n; i++) {
		p[n++] = doubled.p[i];
		i += doubled.p[i] == '\'';
	}
	return str_span(p, n);
}

/* "%%" is a "%" in what stays text. */
static struct str plain_text(struct arena *a, struct str text)
{
	char *p = arena_alloc(a, text.n + 1);
	struct str plain;
	size_t n = 0;
	char letter;

	while (take_piece(&text, &plain, &letter))
		for (size_t i = 0; i < plain.n; i++)
			p[n++] = plain.p[i];
	return str_span(p, n);
}

static bool add_literal(struct key_params *p, struct arena *a, struct str inside)
{
	if (!has_part(inside)) {
		p->sql = arena_fmt(a, STR_FMT "'" STR_FMT "'", STR_ARG(p->sql),
				   STR_ARG(plain_text(a, inside)));
		return true;
	}
	if (p->n == KEY_PARAMS_MAX)
		return false;
	p->values[p->n++] = single_quotes(a, inside);
	p->sql = arena_fmt(a, STR_FMT "?", STR_ARG(p->sql));
	return true;
}

bool key_params_init(struct key_params *p, struct arena *a, struct str query)
{
	bool is_open = true;

	*p = (struct key_params){ .sql = STR("") };
	while (is_open) {
		struct str text = query, rest = STR(""), inside = STR("");
		is_open = str_cut(query, '\'', &text, &rest);
		if (has_part(text))
			return false;
		p->sql = arena_fmt(a, STR_FMT STR_FMT, STR_ARG(p->sql),
				   STR_ARG(plain_text(a, text)));
		if (!is_open)
			break;
		if (!take_literal(&rest, &inside) || !add_literal(p, a, inside))
			return false;
		query = rest;
	}
	return true;
}

bool key_params_expand(const struct key_params *p, struct str key, struct buf *out, size_t *ends)
{
	struct parts parts = parts_of(key);

	for (size_t i = 0; i < p->n; i++) {
		if (!expand(p->values[i], &parts, &parts, NULL, out))
			return false;
		ends[i] = buf_len(out);
	}
	return true;
}

bool key_template_bare(struct str query, size_t *at)
{
	bool is_quoted = false;

	for (size_t i = 0; i < query.n; i++) {
		is_quoted ^= query.p[i] == '\'';
		if (query.p[i] != '%')
			continue;
		i++;
		if (!is_quoted && i < query.n && query.p[i] != '%') {
			*at = i - 1;
			return true;
		}
	}
	return false;
}
