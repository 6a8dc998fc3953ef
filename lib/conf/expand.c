#include "conf/expand.h"

#include "base/limits.h"
#include "conf/value.h"
#include "mail/nexthop.h"

static bool fail(struct conf_expander *x, const char *what, struct str where)
{
	x->problem = arena_fmt(x->arena, "%s in \"" STR_FMT "%s\"", what,
			       STR_ARG(str_first(where, 60)), where.n > 60 ? "..." : "");
	return false;
}

static bool is_name_char(char c)
{
	return ascii_is_alnum(c) || c == '_';
}

static size_t name_length(struct str s)
{
	size_t n = 0;

	while (n < s.n && is_name_char(s.p[n]))
		n++;
	return n;
}

static struct str skip_blanks(struct str s)
{
	while (s.n && ascii_is_space(s.p[0]))
		s = str_from(s, 1);
	return s;
}

/* *s begins with `open`: takes the balanced text off its front, without the outer pair. */
static bool take_balanced(struct str *s, char open, char close, struct str *inner)
{
	size_t depth = 0;

	for (size_t i = 0; i < s->n; i++) {
		if (s->p[i] == open) {
			depth++;
		} else if (s->p[i] == close && --depth == 0) {
			*inner = str_first(str_from(*s, 1), i - 1);
			*s = str_from(*s, i + 1);
			return true;
		}
	}
	return false;
}

/* A {text} operand with blanks around it. False, nothing taken, when there is none, or no end. */
static bool take_braced(struct str *s, struct str *inner)
{
	struct str rest = skip_blanks(*s);

	if (rest.n == 0 || rest.p[0] != '{' || !take_balanced(&rest, '{', '}', inner))
		return false;
	*s = skip_blanks(rest);
	return true;
}

static bool starts_with_brace(struct str s)
{
	s = skip_blanks(s);
	return s.n && s.p[0] == '{';
}

static bool slot_value(struct conf_expander *x, size_t i, unsigned depth, struct str *out)
{
	const struct conf_slot *s = &x->names->slot[i];

	if (s->progress == CONF_TO_DO && x->settle)
		x->settle(x->context, i, depth + 1);
	if (s->progress == CONF_DONE) {
		*out = s->expanded;
		return true;
	}
	if (s->progress == CONF_FAILED) {
		x->problem = s->problem;
		x->blame = s->blame;
	} else {
		x->problem =
			arena_fmt(x->arena, "$" STR_FMT " leads back to itself", STR_ARG(s->name));
	}
	return false;
}

/* What a condition tests: a set value counts as it is written, a default as it comes out. */
static bool is_filled(struct conf_expander *x, struct str name, unsigned depth, bool *out)
{
	size_t i = conf_names_find(x->names, name);
	struct str value = STR_NONE;

	if (i == CONF_NO_SLOT) {
		*out = false;
		return true;
	}
	if (x->names->slot[i].is_set)
		value = x->names->slot[i].raw;
	else if (!slot_value(x, i, depth, &value))
		return false;
	*out = value.n > 0;
	return true;
}

static bool add_value(struct conf_expander *x, struct str name, struct buf *out, unsigned depth)
{
	size_t i = conf_names_find(x->names, name);
	struct str value = STR_NONE;

	if (i == CONF_NO_SLOT)
		return true;
	if (!slot_value(x, i, depth, &value))
		return false;
	return buf_add(out, value) || fail(x, "more text than a value may have", name);
}

/* The comparison operators, and what they say of a three-way comparison. */
static const struct conf_operator {
	struct str text;
	bool if_less, if_equal, if_more;
} operators[] = {
	{ STR_INIT("=="), false, true, false }, { STR_INIT("!="), true, false, true },
	{ STR_INIT("<="), true, true, false },  { STR_INIT(">="), false, true, true },
	{ STR_INIT("<"), true, false, false },  { STR_INIT(">"), false, false, true },
};

static const struct conf_operator *take_operator(struct str *s)
{
	for (size_t i = 0; i < ARRAY_LEN(operators); i++) {
		if (str_has_prefix(*s, operators[i].text)) {
			*s = str_from(*s, operators[i].text.n);
			return &operators[i];
		}
	}
	return NULL;
}

static bool is_digits(struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		if (!ascii_is_digit(s.p[i]))
			return false;
	}
	return s.n > 0;
}

/* Numbers when both are all digits, else octets. */
static bool compare_plain(struct conf_expander *x, struct str a, struct str b, int *order)
{
	uint64_t m, n;

	if (!is_digits(a) || !is_digits(b)) {
		*order = str_cmp(a, b);
		return true;
	}
	if (!str_to_u64(a, &m) || m > INT64_MAX)
		return fail(x, "number out of range", a);
	if (!str_to_u64(b, &n) || n > INT64_MAX)
		return fail(x, "number out of range", b);
	*order = (m > n) - (m < n);
	return true;
}

static bool compare_levels(struct conf_expander *x, struct str a, struct str b, int *order)
{
	struct conf_level m, n;

	if (!conf_value_level(a, &m))
		return fail(x, "bad compatibility level", a);
	if (!conf_value_level(b, &n))
		return fail(x, "bad compatibility level", b);
	*order = conf_level_cmp(m, n);
	return true;
}

struct comparison {
	const struct conf_operator *op;
	struct str left, right;
	bool is_level;
};

static bool take_comparison(struct conf_expander *x, struct str *s, struct comparison *c)
{
	struct str whole = *s;

	if (!take_braced(s, &c->left))
		return fail(x, "unbalanced { }", whole);
	c->op = take_operator(s);
	if (!c->op)
		return fail(x, "no comparison (== != < <= > >=)", whole);
	struct str suffix = str_first(*s, name_length(*s));
	c->is_level = suffix.n > 0;
	if (c->is_level && !str_eq(suffix, STR("level")))
		return fail(x, "unknown comparison suffix", whole);
	*s = str_from(*s, suffix.n);
	return take_braced(s, &c->right) || fail(x, "no {text} after the comparison", whole);
}

static bool compare(struct conf_expander *x, const struct comparison *c, unsigned depth, bool *out)
{
	struct buf a, b;
	int order = 0;

	buf_init(&a, CONF_VALUE_MAX);
	buf_init(&b, CONF_VALUE_MAX);
	bool is_ok =
		conf_expand_text(x, c->left, &a, depth + 1) &&
		conf_expand_text(x, c->right, &b, depth + 1) &&
		(c->is_level ? compare_levels : compare_plain)(x, buf_str(&a), buf_str(&b), &order);
	buf_fini(&a);
	buf_fini(&b);
	*out = order < 0 ? c->op->if_less : order > 0 ? c->op->if_more : c->op->if_equal;
	return is_ok;
}

/* One result of a condition: {text}, or all that is left. */
static bool take_result(struct conf_expander *x, struct str *s, struct str *text)
{
	struct str whole = *s;

	if (starts_with_brace(*s))
		return take_braced(s, text) || fail(x, "unbalanced { }", whole);
	*text = *s;
	*s = str_from(*s, s->n);
	return true;
}

/* "? text : text" after a condition that came out as `is_true`. */
static bool
add_results(struct conf_expander *x, struct str s, bool is_true, struct buf *out, unsigned depth)
{
	struct str whole = s, text;

	if (s.p[0] == '?') {
		s = str_from(s, 1);
		if (!take_result(x, &s, &text))
			return false;
		if (is_true && !conf_expand_text(x, text, out, depth + 1))
			return false;
		if (s.n == 0)
			return true;
	}
	if (s.p[0] != ':')
		return fail(x, "\":\" expected after {text}", whole);
	s = str_from(s, 1);
	if (!take_result(x, &s, &text))
		return false;
	if (!is_true && !conf_expand_text(x, text, out, depth + 1))
		return false;
	return s.n == 0 || fail(x, "text after the last {text}", whole);
}

static bool is_condition(struct str s)
{
	return s.n && (s.p[0] == '?' || s.p[0] == ':');
}

static bool add_comparison(struct conf_expander *x, struct str s, struct buf *out, unsigned depth)
{
	struct str whole = s;
	struct comparison c;
	bool is_true;

	if (!take_comparison(x, &s, &c) || !compare(x, &c, depth, &is_true))
		return false;
	if (is_condition(s))
		return add_results(x, s, is_true, out, depth);
	if (s.n)
		return fail(x, "\"?\" or \":\" expected after the comparison", whole);
	return !is_true || buf_add(out, STR("true")) ||
	       fail(x, "more text than a value may have", whole);
}

/* ${domain_to_ascii{text}}: a domain as A-labels; what is no domain stays as it is. */
static bool add_function(struct conf_expander *x, struct str name, struct str s, struct buf *out,
			 unsigned depth)
{
	struct str text;

	if (!str_eq(name, STR("domain_to_ascii")))
		return fail(x, "unknown function", name);
	if (!take_braced(&s, &text) || s.n)
		return fail(x, "one {text} expected after the function", s);
	struct buf b;
	buf_init(&b, CONF_VALUE_MAX);
	bool is_ok = conf_expand_text(x, text, &b, depth + 1);
	if (is_ok && !domain_to_ascii(x->arena, buf_str(&b), &text))
		text = buf_str(&b);
	is_ok = is_ok && (buf_add(out, text) || fail(x, "more text than a value may have", name));
	buf_fini(&b);
	return is_ok;
}

/* The inside of ${ } or $( ). */
static bool add_expression(struct conf_expander *x, struct str s, struct buf *out, unsigned depth)
{
	struct str whole = s;
	bool is_true;

	if (starts_with_brace(s))
		return add_comparison(x, s, out, depth);
	s = skip_blanks(s);
	struct str name = str_first(s, name_length(s));
	s = skip_blanks(str_from(s, name.n));
	if (s.n == 0 && name.n)
		return add_value(x, name, out, depth);
	if (s.n && s.p[0] == '{')
		return add_function(x, name, s, out, depth);
	if (!is_condition(s))
		return fail(x, "bad parameter name", whole);
	return is_filled(x, name, depth, &is_true) && add_results(x, s, is_true, out, depth);
}

/* *s begins after a "$". */
static bool add_reference(struct conf_expander *x, struct str *s, struct buf *out, unsigned depth)
{
	struct str whole = *s, inner;
	char open = s->n ? s->p[0] : ' ';

	if (open == '{' || open == '(') {
		if (!take_balanced(s, open, open == '{' ? '}' : ')', &inner))
			return fail(x, "unfinished reference", whole);
		return add_expression(x, inner, out, depth);
	}
	inner = str_first(*s, name_length(*s));
	if (inner.n == 0)
		return fail(x, "no parameter name after \"$\"", whole);
	*s = str_from(*s, inner.n);
	return add_value(x, inner, out, depth);
}

bool conf_expand_text(struct conf_expander *x, struct str text, struct buf *out, unsigned depth)
{
	if (depth > CONF_EXPAND_DEPTH_MAX)
		return fail(x, "references nested too deep", text);
	while (text.n) {
		size_t at = text.n;
		bool has_reference = str_find(text, '$', &at);
		if (!buf_add(out, str_first(text, at)))
			return fail(x, "more text than a value may have", text);
		text = str_from(text, at + has_reference);
		if (!has_reference)
			return true;
		if (text.n && text.p[0] == '$') {
			text = str_from(text, 1);
			if (!buf_add_char(out, '$'))
				return fail(x, "more text than a value may have", text);
		} else if (!add_reference(x, &text, out, depth)) {
			return false;
		}
	}
	return true;
}

bool conf_expand_scan(struct str *rest, struct str *name)
{
	size_t at;

	while (str_find(*rest, '$', &at)) {
		struct str s = str_from(*rest, at + 1);
		if (s.n && s.p[0] == '$') {
			*rest = str_from(s, 1);
			continue;
		}
		if (s.n && (s.p[0] == '{' || s.p[0] == '('))
			s = skip_blanks(str_from(s, 1));
		*name = str_first(s, name_length(s));
		*rest = str_from(s, name->n);
		if (name->n)
			return true;
	}
	*rest = str_from(*rest, rest->n);
	return false;
}
