/* Fingerprints that no certificate can have. */

#include "policy/fingerprint.h"
#include "policy/lint_inside.h"

static const struct {
	size_t n; /* octets */
	struct str name;
} digests[] = {
	{ 16, STR_INIT("md5") },    { 20, STR_INIT("sha1") },   { 28, STR_INIT("sha224") },
	{ 32, STR_INIT("sha256") }, { 48, STR_INIT("sha384") }, { 64, STR_INIT("sha512") },
};

static struct str digest_of_length(size_t n)
{
	for (size_t i = 0; i < ARRAY_LEN(digests); i++)
		if (digests[i].n == n)
			return digests[i].name;
	return STR("");
}

/* Why a fingerprint can never match; "" when it can. */
static struct str why_never(struct arena *a, struct str text, const struct policy_lint_site *site)
{
	struct str hex, shown = str_first(text, 200), like;

	if (!policy_fingerprint_parse(a, text, &hex))
		return arena_fmt(a,
				 "\"" STR_FMT
				 "\" is no fingerprint: pairs of hexadecimal digits, with "
				 "single colons between, are",
				 STR_ARG(shown));
	if (!site->fingerprint_n || hex.n == 2 * site->fingerprint_n)
		return STR("");
	like = digest_of_length(hex.n / 2);
	return arena_fmt(a,
			 "the fingerprint " STR_FMT " has %zu octets%s" STR_FMT
			 ", and smtp_tls_fingerprint_digest = " STR_FMT " makes %zu",
			 STR_ARG(shown), hex.n / 2, like.n ? ", as of " : "", STR_ARG(like),
			 STR_ARG(site->fingerprint_digest), site->fingerprint_n);
}

static struct str code_of(struct arena *a, struct str text)
{
	struct str hex;

	return policy_fingerprint_parse(a, text, &hex) ? STR("fingerprint-length")
						       : STR("fingerprint-malformed");
}

/* Where none of several can match, mail is deferred. */
static struct lint_words words_of(struct arena *a, struct str text, struct str why, bool is_last)
{
	return (struct lint_words){
		is_last ? CONF_ERROR : CONF_WARNING,
		code_of(a, text),
		is_last ? arena_fmt(a, STR_FMT ": no certificate matches, mail is deferred (4.7.5)",
				    STR_ARG(why))
			: arena_fmt(a, STR_FMT ": it never matches", STR_ARG(why)),
		STR("take the digest of the certificate or of its public key anew"),
	};
}

static size_t
count_never(struct arena *a, const struct policy_list *list, const struct policy_lint_site *site)
{
	size_t n = 0;

	for (size_t i = 0; i < list->n; i++)
		n += why_never(a, list->v[i], site).n > 0;
	return n;
}

void policy_lint_entry_fingerprints(struct lint *l, const struct policy_entry *e)
{
	struct arena *a = arena_new();
	bool is_all = count_never(a, &e->match, l->site) == e->match.n;

	for (size_t i = 0; i < e->match.n; i++) {
		struct str why = why_never(a, e->match.v[i], l->site);
		if (!why.n || !policy_lint_wants(l, code_of(a, e->match.v[i])))
			continue;
		struct lint_words w = words_of(a, e->match.v[i], why, is_all);
		w.text = arena_fmt(l->arena, "key " STR_FMT ": " STR_FMT,
				   STR_ARG(lint_entry(l)->key), STR_ARG(w.text));
		policy_lint_say(l, w);
	}
	arena_free(a);
}

static struct policy_list split(struct arena *a, struct str text)
{
	struct str piece, *v = ARENA_ARRAY(a, text.n / 2 + 1, struct str);
	size_t n = 0;

	while (str_token(&text, STR(", \t\r\n"), &piece))
		v[n++] = piece;
	return (struct policy_list){ .v = v, .n = n };
}

struct conf_findings policy_lint_fingerprints(struct arena *a, const struct conf *conf,
					      const struct policy_lint_site *site)
{
	enum conf_id id = CONF_smtp_tls_fingerprint_cert_match;
	struct policy_list list = split(a, conf_str(conf, id));
	struct conf_finding *v = ARENA_ARRAY(a, list.n + 1, struct conf_finding);
	bool is_all = count_never(a, &list, site) == list.n;
	size_t n = 0;

	for (size_t i = 0; i < list.n; i++) {
		struct str why = why_never(a, list.v[i], site);
		if (!why.n)
			continue;
		struct lint_words w = words_of(a, list.v[i], why, is_all);
		v[n++] = (struct conf_finding){
			w.severity,          w.code, conf_name(id), conf_file(conf, id),
			conf_line(conf, id), w.text, w.remedy
		};
	}
	return (struct conf_findings){ v, n };
}
