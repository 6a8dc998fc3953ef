#include "policy/settings.h"

#include "base/limits.h"

#define VERSION_SSL3 0x0300u
#define VERSION_TLS1 0x0301u
#define VERSION_TLS1_3 0x0304u

static const struct str separators = STR_INIT(", \t\r\n:");

/* `bit` is what the name stands for in a list of inclusions and exclusions: the gone SSLv2 nothing,
 * the gone SSLv3 only itself, so that "SSLv3" alone leaves no TLS version. */
static const struct {
	struct str name;
	uint32_t version;
	unsigned bit;
} protocols[] = {
	{ STR_INIT("SSLv2"), 0, 0 },
	{ STR_INIT("SSLv3"), VERSION_SSL3, 0x10 },
	{ STR_INIT("TLSv1"), VERSION_TLS1, 0x01 },
	{ STR_INIT("TLSv1.1"), 0x0302, 0x02 },
	{ STR_INIT("TLSv1.2"), 0x0303, 0x04 },
	{ STR_INIT("TLSv1.3"), VERSION_TLS1_3, 0x08 },
};

static bool protocol_bit(struct str name, unsigned *out)
{
	for (size_t i = 0; i < ARRAY_LEN(protocols); i++) {
		if (str_ieq_ascii(name, protocols[i].name)) {
			*out = protocols[i].bit;
			return true;
		}
	}
	return false;
}

static int hex_digit(char c)
{
	if (ascii_is_digit(c))
		return c - '0';
	c = ascii_lower(c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* As strtoul(3) reads base 16, but no larger than INT32_MAX, and "-" only before zero. */
static bool parse_hex(struct str text, uint32_t *out)
{
	bool is_negative = text.n && text.p[0] == '-';
	uint64_t v = 0;

	if (is_negative || (text.n && text.p[0] == '+'))
		text = str_from(text, 1);
	if (text.n > 2 && str_ihas_prefix_ascii(text, STR("0x")))
		text = str_from(text, 2);
	if (!text.n)
		return false;
	for (size_t i = 0; i < text.n; i++) {
		int d = hex_digit(text.p[i]);

		v = v * 16 + (uint64_t)d;
		if (d < 0 || v > INT32_MAX)
			return false;
	}
	*out = (uint32_t)v;
	return !is_negative || v == 0;
}

bool policy_version_parse(struct str text, uint32_t *out)
{
	if (!text.n || str_ieq_ascii(text, STR("None"))) {
		*out = 0;
		return true;
	}
	for (size_t i = 0; i < ARRAY_LEN(protocols); i++) {
		if (protocols[i].version && str_ieq_ascii(text, protocols[i].name)) {
			*out = protocols[i].version;
			return true;
		}
	}
	return parse_hex(text, out);
}

struct protocol_list {
	unsigned included, excluded; /* bits of protocols[] */
	uint32_t floor, ceiling;     /* 0: none */
	struct str bad;              /* the first unknown word */
};

static bool parse_word(struct str word, struct protocol_list *l)
{
	unsigned bit;

	if (str_has_prefix(word, STR(">=")))
		return policy_version_parse(str_from(word, 2), &l->floor);
	if (str_has_prefix(word, STR("<=")))
		return policy_version_parse(str_from(word, 2), &l->ceiling);
	if (str_has_prefix(word, STR("!"))) {
		if (!protocol_bit(str_from(word, 1), &bit))
			return false;
		l->excluded |= bit;
		return true;
	}
	if (!protocol_bit(word, &bit))
		return false;
	l->included |= bit;
	return true;
}

static bool parse_protocols(struct str text, struct protocol_list *l)
{
	struct str word;

	*l = (struct protocol_list){ .bad = STR_NONE };
	while (str_token(&text, separators, &word)) {
		if (!parse_word(word, l)) {
			l->bad = word;
			return false;
		}
	}
	return true;
}

static bool drop_strange_bound(uint32_t *bound)
{
	if (!*bound || (*bound >= VERSION_SSL3 && *bound <= VERSION_TLS1_3))
		return false;
	*bound = 0;
	return true;
}

static tls_versions allowed_versions(const struct protocol_list *l)
{
	tls_versions v = 0;

	for (size_t i = 0; i < ARRAY_LEN(protocols); i++) {
		unsigned bit = protocols[i].bit & TLS_VERSIONS_ALL;

		if (!bit || (l->excluded & bit) || (l->included && !(l->included & bit)))
			continue;
		if (l->floor && protocols[i].version < l->floor)
			continue;
		if (l->ceiling && protocols[i].version > l->ceiling)
			continue;
		v |= (tls_versions)bit;
	}
	return v;
}

static void unusable(struct policy_settings *s, struct str code, struct str problem)
{
	s->is_usable = false;
	s->problem_code = code;
	s->problem = problem;
	s->grade = TLS_GRADE_BAD;
	s->cipher_list = s->exclusions = STR("");
}

static bool work_out_versions(struct arena *a, struct policy_settings *s)
{
	struct protocol_list l;
	bool is_dropped;

	s->has_versions = parse_protocols(s->protocols, &l);
	if (!s->has_versions) {
		unusable(s, STR("tls-invalid-protocols"),
			 arena_fmt(a, "\"" STR_FMT "\" in the protocol list is no TLS version",
				   STR_ARG(l.bad)));
		return false;
	}
	is_dropped = drop_strange_bound(&l.floor);
	is_dropped |= drop_strange_bound(&l.ceiling);
	if (is_dropped)
		s->limit_warning = arena_fmt(a,
					     "a bound in \"" STR_FMT
					     "\" is outside SSLv3 to TLSv1.3 and is ignored",
					     STR_ARG(s->protocols));
	s->versions = allowed_versions(&l);
	return true;
}

/* low and export are history: they mean medium. */
static const struct {
	struct str name;
	enum tls_grade grade;
} grades[] = {
	{ STR_INIT("high"), TLS_GRADE_HIGH },  { STR_INIT("medium"), TLS_GRADE_MEDIUM },
	{ STR_INIT("low"), TLS_GRADE_MEDIUM }, { STR_INIT("export"), TLS_GRADE_MEDIUM },
	{ STR_INIT("null"), TLS_GRADE_NULL },
};

static bool work_out_grade(struct arena *a, struct policy_settings *s)
{
	for (size_t i = 0; i < ARRAY_LEN(grades); i++) {
		if (str_ieq_ascii(s->ciphers, grades[i].name)) {
			s->grade = grades[i].grade;
			return true;
		}
	}
	unusable(s, STR("tls-invalid-grade"),
		 arena_fmt(a,
			   "\"" STR_FMT "\" is no cipher grade: high, medium, low, export or null",
			   STR_ARG(s->ciphers)));
	return false;
}

/* The list of exclusions as "a:b:c"; false when a token would not exclude but do something else. */
static bool join_exclusions(struct arena *a, struct policy_settings *s)
{
	struct str rest = s->exclude, token;
	char *out = arena_alloc(a, rest.n + 1);
	size_t n = 0;

	while (str_token(&rest, separators, &token)) {
		if (str_contains(STR("!+-@"), token.p[0])) {
			unusable(s, STR("tls-bad-exclusion"),
				 arena_fmt(a,
					   "\"" STR_FMT
					   "\" cannot be excluded: leave the \"%c\" out",
					   STR_ARG(token), token.p[0]));
			return false;
		}
		if (n)
			out[n++] = ':';
		for (size_t i = 0; i < token.n; i++)
			out[n++] = token.p[i];
	}
	s->exclusions = str_span(out, n);
	return true;
}

static bool has_word(struct str list, struct str word)
{
	struct str token;

	while (str_token(&list, STR(":"), &token))
		if (str_eq(token, word))
			return true;
	return false;
}

static bool is_null_class(struct str word)
{
	return str_eq(word, STR("eNULL")) || str_eq(word, STR("NULL"));
}

/* ALL covers everything but eNULL, which is also called NULL: openssl-ciphers(1). */
static bool is_excluded(struct str exclusions, struct str word)
{
	if (is_null_class(word))
		return has_word(exclusions, STR("eNULL")) || has_word(exclusions, STR("NULL"));
	return has_word(exclusions, word) || has_word(exclusions, STR("ALL"));
}

static bool is_taken_back(struct str list, struct str word)
{
	struct str token;

	while (str_token(&list, STR(":"), &token))
		if ((token.p[0] == '-' || token.p[0] == '!') && str_eq(str_from(token, 1), word))
			return true;
	return false;
}

/* True when every class of ciphers that `list` names is excluded by name: then surely nothing is
 * left. Whether something is left otherwise, only OpenSSL can say. */
static bool is_emptied(struct str list, struct str exclusions)
{
	struct str rest = list, word;

	while (str_token(&rest, STR(":"), &word)) {
		if (str_contains(STR("!+-@"), word.p[0]) || is_taken_back(list, word))
			continue;
		if (!is_excluded(exclusions, word))
			return false;
	}
	return true;
}

static struct str grade_list(const struct policy_cipher_lists *lists, enum tls_grade grade)
{
	switch (grade) {
	case TLS_GRADE_HIGH:
		return lists->high;
	case TLS_GRADE_MEDIUM:
		return lists->medium;
	case TLS_GRADE_NULL:
		return lists->null;
	case TLS_GRADE_BAD:
		break;
	}
	return STR("");
}

static struct str append_exclusions(struct arena *a, struct str list, struct str exclusions)
{
	size_t n = 0;
	char *out = arena_alloc(a, list.n + 2 * exclusions.n + 3);
	struct str token;

	for (size_t i = 0; i < list.n; i++)
		out[n++] = list.p[i];
	while (str_token(&exclusions, STR(":"), &token)) {
		out[n++] = ':';
		out[n++] = '!';
		for (size_t i = 0; i < token.n; i++)
			out[n++] = token.p[i];
	}
	return str_span(out, n);
}

void policy_settings_work_out(struct arena *a, const struct policy_cipher_lists *lists,
			      struct policy_settings *s)
{
	struct str list;

	s->cipher_list = s->exclusions = s->problem = s->limit_warning = STR("");
	s->is_usable = true;
	if (!work_out_versions(a, s) || !work_out_grade(a, s) || !join_exclusions(a, s))
		return;
	list = grade_list(lists, s->grade);
	if (is_emptied(list, s->exclusions)) {
		unusable(s, STR("tls-cipher-empty"),
			 arena_fmt(a, "no cipher of grade " STR_FMT " is left without " STR_FMT,
				   STR_ARG(s->ciphers), STR_ARG(s->exclude)));
		return;
	}
	s->cipher_list = append_exclusions(a, list, s->exclusions);
}
