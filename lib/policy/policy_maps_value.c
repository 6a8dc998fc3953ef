/* Values of smtp_tls_policy_maps: "level name=value { name = value with blanks } ...". Attributes
 * are taken from left to right; the first error makes the whole value unusable, because any of
 * them may be what the operator's security rests on. */

#include "policy/entry.h"
#include "policy/level.h"

#include "mail/domain.h"

#define POLICY_TTL_MAX 2147483647 /* seconds; as Postfix */

static const struct str separators = STR_INIT(", \t\r\n");

enum attribute {
	ATTR_CIPHERS,
	ATTR_PROTOCOLS,
	ATTR_EXCLUDE,
	ATTR_SERVERNAME,
	ATTR_MATCH,
	ATTR_TAFILE,
	ATTR_CONNECTION_REUSE,
	ATTR_ENABLE_RPK,
	ATTR_POLICY_TTL,
	ATTR_POLICY_TYPE,
	ATTR_POLICY_DOMAIN,
	ATTR_POLICY_FAILURE,
	ATTR_POLICY_STRING,
	ATTR_MX_HOST_PATTERN,
};

static const struct {
	struct str name;
	struct str effect;
} attributes[] = {
	[ATTR_CIPHERS] = { STR_INIT("ciphers"),
			   STR_INIT("the cipher grade, instead of main.cf's") },
	[ATTR_PROTOCOLS] = { STR_INIT("protocols"),
			     STR_INIT("the TLS versions, instead of main.cf's") },
	[ATTR_EXCLUDE] = { STR_INIT("exclude"),
			   STR_INIT("the ciphers left out, instead of main.cf's") },
	[ATTR_SERVERNAME] = { STR_INIT("servername"),
			      STR_INIT("the server name that is sent, instead of "
				       "smtp_tls_servername") },
	[ATTR_MATCH] = { STR_INIT("match"),
			 STR_INIT("what the certificate has to match, instead of main.cf's") },
	[ATTR_TAFILE] = { STR_INIT("tafile"), STR_INIT("trusted instead of the CAs and of "
						       "smtp_tls_trust_anchor_file") },
	[ATTR_CONNECTION_REUSE] = { STR_INIT("connection_reuse"),
				    STR_INIT("whether a session is kept for further mail") },
	[ATTR_ENABLE_RPK] = { STR_INIT("enable_rpk"),
			      STR_INIT("whether raw public keys are asked for") },
	[ATTR_POLICY_TTL] = { STR_INIT("policy_ttl"), STR_INIT("what the plug-in tells") },
	[ATTR_POLICY_TYPE] = { STR_INIT("policy_type"),
			       STR_INIT("where the plug-in has the policy from") },
	[ATTR_POLICY_DOMAIN] = { STR_INIT("policy_domain"), STR_INIT("what the plug-in tells") },
	[ATTR_POLICY_FAILURE] = { STR_INIT("policy_failure"), STR_INIT("what the plug-in tells") },
	[ATTR_POLICY_STRING] = { STR_INIT("policy_string"), STR_INIT("what the plug-in tells") },
	[ATTR_MX_HOST_PATTERN] = { STR_INIT("mx_host_pattern"),
				   STR_INIT("a host that the MTA-STS policy allows") },
};

static const struct str types[] = { STR_INIT("sts"), STR_INIT("no-policy-found") };
static const struct str failures[] = {
	STR_INIT("sts-policy-fetch-error"),
	STR_INIT("sts-policy-invalid"),
	STR_INIT("sts-webpki-invalid"),
	STR_INIT("validation-failure"),
};

struct parse {
	struct arena *a;
	struct policy_entry *e;
	struct str name, value; /* of the attribute at hand */
};

static bool bad(struct parse *p, struct str code, struct str problem)
{
	p->e->problem_code = code;
	p->e->problem = problem;
	return false;
}

/* "the attribute match ...", with the value */
static bool bad_attribute(struct parse *p, struct str code, const char *what)
{
	return bad(p, code,
		   arena_fmt(p->a, "the attribute " STR_FMT "=" STR_FMT " %s",
			     STR_ARG(str_first(p->name, 100)), STR_ARG(str_first(p->value, 200)),
			     what));
}

static bool bad_duplicate(struct parse *p)
{
	return bad_attribute(p, STR("policy-attr-duplicate"), "may stand there only once");
}

static void list_add(struct arena *a, struct policy_list *l, struct str s)
{
	struct str *v;

	if (l->n == l->room) {
		l->room = l->room ? l->room * 2 : 4;
		v = ARENA_ARRAY(a, l->room, struct str);
		for (size_t i = 0; i < l->n; i++)
			v[i] = l->v[i];
		l->v = v;
	}
	((struct str *)l->v)[l->n++] = s;
}

/* Pieces between runs of `separator`; none at all still makes a list. */
static void list_split(struct arena *a, struct policy_list *l, struct str text, struct str between)
{
	struct str piece;

	if (!l->v) {
		l->room = 4;
		l->v = ARENA_ARRAY(a, l->room, struct str);
	}
	while (str_token(&text, between, &piece))
		list_add(a, l, piece);
}

static void note(struct parse *p, struct str effect)
{
	struct policy_entry *e = p->e;
	struct policy_attribute *v;

	if (e->n_attributes == e->attributes_room) {
		e->attributes_room = e->attributes_room ? e->attributes_room * 2 : 8;
		v = ARENA_ARRAY(p->a, e->attributes_room, struct policy_attribute);
		for (size_t i = 0; i < e->n_attributes; i++)
			v[i] = e->attributes[i];
		e->attributes = v;
	}
	e->attributes[e->n_attributes++] = (struct policy_attribute){ p->name, p->value, effect };
}

/* ---- one attribute ---- */

static bool take_once(struct parse *p, struct str *out)
{
	if (out->p)
		return bad_duplicate(p);
	*out = p->value;
	return true;
}

static bool take_filled(struct parse *p, struct str *out)
{
	if (!p->value.n)
		return bad_attribute(p, STR("policy-attr-empty"), "is empty");
	return take_once(p, out);
}

static bool take_hostname(struct parse *p, struct str *out, struct str code)
{
	if (out->p)
		return bad_duplicate(p);
	if (!domain_is_hostname(p->value))
		return bad_attribute(p, code, "is no valid host name");
	*out = p->value;
	return true;
}

static bool take_word(struct parse *p, struct str *out, const struct str *words, size_t n)
{
	if (out->p)
		return bad_duplicate(p);
	for (size_t i = 0; i < n; i++) {
		if (str_ieq_ascii(p->value, words[i])) {
			*out = p->value;
			return true;
		}
	}
	return bad_attribute(p, STR("policy-attr-unexpected-value"), "is a word of no meaning");
}

static bool take_ttl(struct parse *p)
{
	uint64_t seconds;

	if (p->e->policy_ttl_s >= 0)
		return bad_duplicate(p);
	if (!str_to_u64(p->value, &seconds) || seconds > POLICY_TTL_MAX)
		return bad_attribute(p, STR("policy-attr-malformed-value"),
				     "is no number of seconds up to 2147483647");
	p->e->policy_ttl_s = (int64_t)seconds;
	return true;
}

static bool take_choice(struct parse *p, enum policy_choice *out)
{
	if (str_ieq_ascii(p->value, STR("yes")))
		*out = POLICY_CHOICE_YES;
	else if (str_ieq_ascii(p->value, STR("no")))
		*out = POLICY_CHOICE_NO;
	else
		return bad_attribute(p, STR("policy-attr-bad-value"), "is neither yes nor no");
	return true;
}

static bool is_pkix(enum tls_level level)
{
	return level == TLS_LEVEL_VERIFY || level == TLS_LEVEL_SECURE;
}

static bool bad_level(struct parse *p)
{
	return bad(p, STR("policy-attr-wrong-level"),
		   arena_fmt(p->a, "the attribute " STR_FMT " has no meaning at level " STR_FMT,
			     STR_ARG(str_first(p->name, 100)),
			     STR_ARG(tls_level_name(p->e->level))));
}

static bool take_match(struct parse *p)
{
	enum tls_level level = p->e->level;

	if (!p->value.n)
		return bad_attribute(p, STR("policy-attr-empty"), "is empty");
	if (level != TLS_LEVEL_FINGERPRINT && !is_pkix(level))
		return bad_level(p);
	list_split(p->a, &p->e->match, p->value,
		   level == TLS_LEVEL_FINGERPRINT ? STR("|") : STR(":"));
	return true;
}

static bool take_tafile(struct parse *p)
{
	if (!is_pkix(p->e->level))
		return bad_level(p);
	if (!p->value.n)
		return bad_attribute(p, STR("policy-attr-empty"), "is empty");
	list_add(p->a, &p->e->tafiles, p->value);
	return true;
}

static bool take_many(struct parse *p, struct policy_list *out)
{
	list_add(p->a, out, p->value);
	return true;
}

static bool take_attribute(struct parse *p, enum attribute id)
{
	struct policy_entry *e = p->e;

	switch (id) {
	case ATTR_CIPHERS:
		return take_filled(p, &e->ciphers);
	case ATTR_PROTOCOLS:
		return take_once(p, &e->protocols);
	case ATTR_EXCLUDE:
		return take_once(p, &e->exclude);
	case ATTR_SERVERNAME:
		return take_hostname(p, &e->servername, STR("invalid-hostname"));
	case ATTR_MATCH:
		return take_match(p);
	case ATTR_TAFILE:
		return take_tafile(p);
	case ATTR_CONNECTION_REUSE:
		return take_choice(p, &e->connection_reuse);
	case ATTR_ENABLE_RPK:
		return take_choice(p, &e->enable_rpk);
	case ATTR_POLICY_TTL:
		return take_ttl(p);
	case ATTR_POLICY_TYPE:
		return take_word(p, &e->policy_type, types, ARRAY_LEN(types));
	case ATTR_POLICY_DOMAIN:
		return take_hostname(p, &e->policy_domain, STR("policy-attr-malformed-value"));
	case ATTR_POLICY_FAILURE:
		return take_word(p, &e->policy_failure, failures, ARRAY_LEN(failures));
	case ATTR_POLICY_STRING:
		return take_many(p, &e->policy_strings);
	case ATTR_MX_HOST_PATTERN:
		return take_many(p, &e->mx_host_patterns);
	}
	return false;
}

static bool take_known(struct parse *p)
{
	for (size_t i = 0; i < ARRAY_LEN(attributes); i++) {
		if (str_ieq_ascii(p->name, attributes[i].name)) {
			note(p, attributes[i].effect);
			return take_attribute(p, (enum attribute)i);
		}
	}
	return bad_attribute(p, STR("policy-attr-unknown"), "is known to nobody");
}

/* ---- tokens ---- */

/* What stands between the braces of "{ text }"; false when none closes, or something follows. */
static bool unbrace(struct str token, struct str *inside)
{
	size_t depth = 0, i = 0;

	for (; i < token.n; i++) {
		if (token.p[i] == '{')
			depth++;
		else if (token.p[i] == '}' && --depth == 0)
			break;
	}
	if (depth > 0 || i + 1 != token.n)
		return false;
	*inside = str_span(token.p + 1, token.n - 2);
	return true;
}

static struct str with_plain_blanks(struct arena *a, struct str s)
{
	char *out;

	if (!s.n)
		return STR("");
	out = arena_alloc(a, s.n);
	for (size_t i = 0; i < s.n; i++)
		out[i] = ascii_is_space(s.p[i]) ? ' ' : s.p[i];
	return str_span(out, s.n);
}

static bool bad_token(struct parse *p, struct str token, const char *what)
{
	return bad(p, STR("policy-attr-malformed"),
		   arena_fmt(p->a, "\"" STR_FMT "\" is no attribute: %s",
			     STR_ARG(str_first(token, 200)), what));
}

/* The name ends at the first blank or "="; blanks around the "=" are allowed. */
static bool split_token(struct parse *p, struct str token)
{
	struct str pair = token, left;

	if (token.p[0] == '{' && !unbrace(token, &pair))
		return bad_token(p, token, "its braces do not match, or something follows them");
	pair = str_trim(with_plain_blanks(p->a, pair));
	if (!str_cut(pair, '=', &left, &p->value))
		return bad_token(p, token, "it has no \"=\"");
	p->name = str_trim(left);
	p->value = str_trim(p->value);
	if (!p->name.n)
		return bad_token(p, token, "it has no name before \"=\"");
	if (str_contains(p->name, ' '))
		return bad_token(p, token, "the name before \"=\" has a blank");
	return true;
}

static bool take_level(struct parse *p, struct str *rest)
{
	struct str word;

	if (!str_token_braced(rest, separators, &word))
		return bad(p, STR("policy-empty"), STR("the entry is empty"));
	if (policy_level_parse(word, &p->e->level))
		return true;
	p->e->level = TLS_LEVEL_INVALID;
	return bad(p, STR("policy-invalid-level"),
		   arena_fmt(p->a, "\"" STR_FMT "\" is no TLS level",
			     STR_ARG(str_first(word, 100))));
}

/* Whatever stands behind "none" does nothing, mistakes included. */
static void skip_attributes(struct parse *p, struct str rest)
{
	struct str token;

	while (str_token_braced(&rest, separators, &token)) {
		p->name = STR("");
		p->value = token;
		note(p, STR("ignored, because TLS is off"));
	}
}

static bool needs_type(const struct policy_entry *e)
{
	return !e->policy_type.p &&
	       (e->policy_ttl_s >= 0 || e->policy_domain.p || e->policy_failure.p ||
		e->policy_strings.n || e->mx_host_patterns.n);
}

static bool take_attributes(struct parse *p, struct str rest)
{
	struct str token;

	while (str_token_braced(&rest, separators, &token))
		if (!split_token(p, token) || !take_known(p))
			return false;
	if (needs_type(p->e))
		return bad(p, STR("policy-ext-without-type"),
			   STR("policy_ttl, policy_domain, policy_string, mx_host_pattern and "
			       "policy_failure need policy_type"));
	return true;
}

struct policy_entry policy_entry_parse(struct arena *a, struct str value)
{
	struct policy_entry e = { .policy_ttl_s = -1, .problem_code = STR(""), .problem = STR("") };
	struct parse p = { .a = a, .e = &e };

	if (!take_level(&p, &value))
		return e;
	if (e.level == TLS_LEVEL_NONE)
		skip_attributes(&p, value);
	else if (!take_attributes(&p, value))
		e.level = TLS_LEVEL_INVALID;
	return e;
}
