#include "policy/names.h"

#include "mail/domain.h"

/* RFC 3490 section 3.1: IDNA takes these for a full stop, too. UTF-8 of U+3002, U+FF0E, U+FF61. */
static const struct str dots[] = {
	STR_INIT("."),
	STR_INIT("\xe3\x80\x82"),
	STR_INIT("\xef\xbc\x8e"),
	STR_INIT("\xef\xbd\xa1"),
};

const struct str *policy_match_list(struct arena *a, struct str text, size_t *n)
{
	const struct str separators = STR(", \t\r\n:");
	struct str rest = text, word, *v;
	size_t count = 0;

	while (str_token(&rest, separators, &word))
		count++;
	v = ARENA_ARRAY(a, count + 1, struct str); /* an empty list is not an absent one */
	*n = 0;
	rest = text;
	while (str_token(&rest, separators, &word))
		v[(*n)++] = word;
	return v;
}

/* A name that cannot be converted stays as it is: it will match nothing. */
static struct str to_ascii(struct arena *a, struct str name)
{
	struct str out;

	return domain_to_ascii(a, name, &out) ? out : name;
}

static bool cut_leading_dot(struct str *name)
{
	for (size_t i = 0; i < ARRAY_LEN(dots); i++) {
		if (name->n > dots[i].n && str_has_prefix(*name, dots[i])) {
			*name = str_from(*name, dots[i].n);
			return true;
		}
	}
	return false;
}

static bool is_lone_dot(struct str name)
{
	for (size_t i = 0; i < ARRAY_LEN(dots); i++)
		if (str_eq(name, dots[i]))
			return true;
	return false;
}

static struct str dotted(struct arena *a, struct str name)
{
	return arena_fmt(a, "." STR_FMT, STR_ARG(name));
}

static struct str expand(struct arena *a, const struct policy_decision *d, struct str word)
{
	if (str_ieq_ascii(word, STR("nexthop")))
		return to_ascii(a, d->domain);
	if (str_ieq_ascii(word, STR("dot-nexthop")))
		return dotted(a, to_ascii(a, d->domain));
	if (str_ieq_ascii(word, STR("hostname")))
		return to_ascii(a, d->host);
	if (cut_leading_dot(&word))
		return dotted(a, to_ascii(a, word));
	return to_ascii(a, word);
}

static bool has_address(const struct str *names, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (domain_is_address_literal(names[i]))
			return true;
	return false;
}

void policy_names_expand(struct policy_trace *t, struct policy_decision *d)
{
	struct str *names = ARENA_ARRAY(t->a, d->n_match + 1, struct str);
	size_t n = 0;

	for (size_t i = 0; i < d->n_match; i++) {
		struct str name = expand(t->a, d, d->match[i]);

		if (is_lone_dot(name))
			policy_trace_add(t, TRACE_WARNING, STR("tls-bad-match-name"),
					 STR("\"%\" in the match list is no name: left out"),
					 d->match[i]);
		else if (domain_is_address_literal(name) && has_address(names, n))
			policy_trace_add(t, TRACE_WARNING, STR("tls-bad-match-name"),
					 STR("only one address can be matched: \"%\" (%) is left "
					     "out"),
					 d->match[i], name);
		else
			names[n++] = name;
	}
	d->names = names;
	d->n_names = n;
	d->never_matches = n == 0;
	if (d->never_matches)
		policy_trace_add(t, TRACE_WARNING, STR("tls-no-match-names"),
				 STR("the match list came out empty: no certificate is good "
				     "enough"));
}

/* Lower-case words only: "Hostname" would be sent as it stands. An address is sent, too, as
 * Postfix does, though RFC 6066 section 3 has no use for it. */
struct str policy_sni(struct arena *a, const struct policy_decision *d)
{
	if (str_eq(d->servername, STR("hostname")))
		return to_ascii(a, d->host);
	if (str_eq(d->servername, STR("nexthop")))
		return to_ascii(a, d->domain);
	return d->servername;
}
