#include "policy/compare.h"

#include "mail/nexthop.h"

/* What the parts that were looked at say, all together. */
struct comparison {
	const struct conf *conf[2];
	const struct policy_decision *d[2];
	struct str nexthop[2];
	uint32_t aspects;
	bool is_up, is_down, is_odd;
};

enum verdict { SAME, UP, DOWN, ODD, OTHER }; /* OTHER: different, and no matter of strength */

static void note(struct comparison *c, enum policy_aspect aspect, enum verdict v)
{
	if (v == SAME)
		return;
	c->aspects |= 1u << aspect;
	c->is_up |= v == UP;
	c->is_down |= v == DOWN;
	c->is_odd |= v == ODD;
}

/* From "is the first within the second" and the reverse. */
static enum verdict verdict_of(bool is_first_within, bool is_second_within)
{
	if (is_first_within && is_second_within)
		return SAME;
	if (is_second_within)
		return UP;
	return is_first_within ? DOWN : ODD;
}

/* ---- levels ---- */

static const struct {
	int strength;
	char proof; /* kinds of proof have no order among each other */
} levels[] = {
	[TLS_LEVEL_INVALID] = { 0, ' ' },     [TLS_LEVEL_NONE] = { 1, ' ' },
	[TLS_LEVEL_MAY] = { 2, ' ' },         [TLS_LEVEL_ENCRYPT] = { 3, ' ' },
	[TLS_LEVEL_FINGERPRINT] = { 4, 'f' }, [TLS_LEVEL_DANE] = { 4, 'd' },
	[TLS_LEVEL_DANE_ONLY] = { 5, 'd' },   [TLS_LEVEL_VERIFY] = { 4, 'c' },
	[TLS_LEVEL_SECURE] = { 5, 'c' },
};

static bool has_proof(enum tls_level level)
{
	return levels[level].proof != ' ';
}

static enum verdict compare_levels(enum tls_level a, enum tls_level b)
{
	if (a == b)
		return SAME;
	if (has_proof(a) && has_proof(b) && levels[a].proof != levels[b].proof)
		return ODD;
	return levels[b].strength > levels[a].strength ? UP : DOWN;
}

/* ---- ciphers ---- */

static bool is_exclusion(struct str word)
{
	return word.n > 0 && (word.p[0] == '!' || word.p[0] == '-');
}

/* Changes the order alone: openssl-ciphers(1). */
static bool is_order(struct str word)
{
	return (word.n > 0 && word.p[0] == '+') || str_eq(word, STR("@STRENGTH"));
}

/* @SECLEVEL is neither: less of it is weaker. */
static bool is_selection(struct str word)
{
	return !is_exclusion(word) && !is_order(word) && word.p[0] != '@';
}

static bool is_null_exclusion(struct str word)
{
	return str_eq(word, STR("!eNULL")) || str_eq(word, STR("!NULL"));
}

/* False: ciphers without encryption may be in the list. HIGH and the like have none; those of
 * aNULL are taken away again. */
static bool is_without_null(struct str list)
{
	static const struct str good[] = { STR_INIT("HIGH"), STR_INIT("MEDIUM"), STR_INIT("LOW"),
					   STR_INIT("ALL") };
	bool is_open = false; /* aNULL was named, and not yet taken away */
	struct str word;

	while (str_token(&list, STR(":"), &word)) {
		bool is_good = false;
		if (str_eq(word, STR("-aNULL")) || str_eq(word, STR("!aNULL")))
			is_open = false;
		if (!is_selection(word))
			continue;
		if (str_eq(word, STR("aNULL")))
			is_open = is_good = true;
		for (size_t i = 0; i < ARRAY_LEN(good); i++)
			is_good |= str_eq(word, good[i]);
		if (!is_good)
			return false;
	}
	return !is_open;
}

/* True when `list` is `of` with selections left out and exclusions added: each step of building
 * it can only have fewer ciphers. False also when that is not easy to see. */
static bool is_narrower(struct str list, struct str of)
{
	bool is_clean = is_without_null(list);
	struct str word = STR(""), other = STR("");
	bool has_word = str_token(&list, STR(":"), &word);
	bool has_other = str_token(&of, STR(":"), &other);

	while (has_word || has_other) {
		bool is_same = has_word && has_other && str_eq(word, other);
		if (!is_same && has_other &&
		    (is_selection(other) || is_order(other) ||
		     (is_clean && is_null_exclusion(other)))) {
			has_other = str_token(&of, STR(":"), &other);
			continue;
		}
		if (!is_same && !(has_word && (is_exclusion(word) || is_order(word))))
			return false;
		has_word = str_token(&list, STR(":"), &word);
		if (is_same)
			has_other = str_token(&of, STR(":"), &other);
	}
	return true;
}

/* Two orders of the same ciphers are a difference, too. */
static enum verdict compare_ciphers(struct str a, struct str b)
{
	bool is_up = is_narrower(b, a), is_down = is_narrower(a, b);

	if (str_eq(a, b))
		return SAME;
	if (is_up && is_down)
		return OTHER;
	return is_up ? UP : is_down ? DOWN : ODD;
}

/* ---- lists ---- */

typedef bool covers_fn(struct str of_set, struct str element);

static bool is_equal_text(struct str of_set, struct str element)
{
	return str_eq(of_set, element);
}

/* A reference name; ".x" stands for all below x. */
static bool covers_name(struct str of_set, struct str element)
{
	if (str_ieq_ascii(of_set, element))
		return true;
	return str_has_prefix(of_set, STR(".")) && element.n > of_set.n &&
	       str_ieq_ascii(str_from(element, element.n - of_set.n), of_set);
}

struct strs {
	const struct str *v;
	size_t n;
};

static bool is_within(struct strs set, struct strs of, covers_fn *covers)
{
	for (size_t i = 0; i < set.n; i++) {
		bool is_covered = false;
		for (size_t k = 0; k < of.n && !is_covered; k++)
			is_covered = covers(of.v[k], set.v[i]);
		if (!is_covered)
			return false;
	}
	return true;
}

static enum verdict compare_sets(struct strs a, struct strs b, covers_fn *covers)
{
	return verdict_of(is_within(a, b, covers), is_within(b, a, covers));
}

/* ---- names ---- */

static bool is_fixed_host(struct str nexthop)
{
	struct nexthop n;

	return nexthop_parse(nexthop, 25, true, &n) != NEXTHOP_BAD_SYNTAX &&
	       (n.is_bracketed || n.is_address);
}

/* DNS has a say in which names are accepted. */
static bool trusts_dns(const struct policy_decision *d, struct str nexthop)
{
	if (d->sts.n_mx_patterns > 0)
		return false;
	for (size_t i = 0; i < d->n_match; i++)
		if (str_ieq_ascii(d->match[i], STR("hostname")))
			return !is_fixed_host(nexthop);
	return false;
}

static enum verdict compare_names(const struct comparison *c)
{
	const struct policy_decision *a = c->d[0], *b = c->d[1];
	bool is_free_before = trusts_dns(a, c->nexthop[0]);
	bool is_free_after = trusts_dns(b, c->nexthop[1]);

	if (is_free_before != is_free_after)
		return is_free_before ? UP : DOWN;
	return compare_sets((struct strs){ a->names, a->n_names },
			    (struct strs){ b->names, b->n_names }, covers_name);
}

static enum verdict compare_wildcards(const struct comparison *c)
{
	enum policy_wildcard a = c->d[0]->wildcard, b = c->d[1]->wildcard;

	if (a == b)
		return SAME;
	return b == POLICY_WILDCARD_ONE_LABEL ? UP : DOWN;
}

/* ---- whom to believe ---- */

static bool is_same_text(const struct comparison *c, enum conf_id id)
{
	return str_eq(conf_text(c->conf[0], id), conf_text(c->conf[1], id));
}

static enum verdict compare_cas(const struct comparison *c)
{
	return is_same_text(c, CONF_smtp_tls_CAfile) && is_same_text(c, CONF_smtp_tls_CApath) &&
			       is_same_text(c, CONF_tls_append_default_CA) &&
			       is_same_text(c, CONF_smtp_tls_scert_verifydepth)
		       ? SAME
		       : ODD;
}

static enum verdict compare_trust(const struct comparison *c)
{
	const struct policy_decision *a = c->d[0], *b = c->d[1];

	if (!a->trust_files && !b->trust_files)
		return compare_cas(c);
	if (!a->trust_files || !b->trust_files || !is_same_text(c, CONF_smtp_tls_scert_verifydepth))
		return ODD;
	return compare_sets((struct strs){ a->trust_files, a->n_trust_files },
			    (struct strs){ b->trust_files, b->n_trust_files }, is_equal_text);
}

static enum verdict compare_fingerprints(const struct comparison *c)
{
	const struct policy_decision *a = c->d[0], *b = c->d[1];

	if (!str_ieq_ascii(a->fingerprint_digest, b->fingerprint_digest))
		return ODD;
	return compare_sets((struct strs){ a->fingerprints, a->n_fingerprints },
			    (struct strs){ b->fingerprints, b->n_fingerprints }, is_equal_text);
}

/* ---- what is no matter of strength ---- */

static enum verdict other_unless(bool is_same)
{
	return is_same ? SAME : OTHER;
}

static bool is_same_list(const struct str *a, size_t n_a, const struct str *b, size_t n_b)
{
	if (n_a != n_b)
		return false;
	for (size_t i = 0; i < n_a; i++)
		if (!str_eq(a[i], b[i]))
			return false;
	return true;
}

static bool is_same_sts(const struct policy_sts *a, const struct policy_sts *b)
{
	return str_ieq_ascii(a->type, b->type) && str_ieq_ascii(a->domain, b->domain) &&
	       str_ieq_ascii(a->failure, b->failure) && a->ttl_s == b->ttl_s &&
	       is_same_list(a->strings, a->n_strings, b->strings, b->n_strings) &&
	       is_same_list(a->mx_patterns, a->n_mx_patterns, b->mx_patterns, b->n_mx_patterns);
}

static bool is_same_client(const struct comparison *c)
{
	return is_same_text(c, CONF_smtp_tls_cert_file) &&
	       is_same_text(c, CONF_smtp_tls_key_file) &&
	       is_same_text(c, CONF_smtp_tls_chain_files);
}

/* Of decisions that both use TLS. */
static void compare_session(struct comparison *c)
{
	const struct policy_decision *a = c->d[0], *b = c->d[1];

	note(c, POLICY_ASPECT_SERVERNAME, other_unless(str_eq(a->sni, b->sni)));
	note(c, POLICY_ASPECT_RAW_KEYS,
	     other_unless(a->is_raw_key_enabled == b->is_raw_key_enabled));
	note(c, POLICY_ASPECT_REUSE,
	     other_unless(a->is_connection_reuse == b->is_connection_reuse));
	note(c, POLICY_ASPECT_CLIENT_CERTIFICATE, other_unless(is_same_client(c)));
	note(c, POLICY_ASPECT_STS, other_unless(is_same_sts(&a->sts, &b->sts)));
}

/* ---- all of it ---- */

static void compare_authentication(struct comparison *c)
{
	enum tls_level a = c->d[0]->level, b = c->d[1]->level;

	if (!has_proof(a) || levels[a].proof != levels[b].proof)
		return;
	if (levels[a].proof == 'f')
		note(c, POLICY_ASPECT_FINGERPRINTS, compare_fingerprints(c));
	if (levels[a].proof != 'c')
		return;
	note(c, POLICY_ASPECT_NAMES, compare_names(c));
	note(c, POLICY_ASPECT_NAMES, compare_wildcards(c));
	note(c, POLICY_ASPECT_TRUST, compare_trust(c));
}

/* Of two sides that both demand TLS. */
static void compare_demands(struct comparison *c)
{
	const struct policy_decision *a = c->d[0], *b = c->d[1];

	note(c, POLICY_ASPECT_PROTOCOLS,
	     verdict_of((a->versions & ~b->versions) == 0, (b->versions & ~a->versions) == 0));
	note(c, POLICY_ASPECT_CIPHERS, compare_ciphers(a->cipher_list, b->cipher_list));
	compare_authentication(c);
}

static bool is_usable_alike(const struct policy_decision *a, const struct policy_decision *b)
{
	return a->is_usable == b->is_usable && str_eq(a->problem, b->problem);
}

/* Of two sides that take TLS if they can get it: what they take is no demand. */
static void compare_wishes(struct comparison *c)
{
	const struct policy_decision *a = c->d[0], *b = c->d[1];

	note(c, POLICY_ASPECT_ERROR, other_unless(is_usable_alike(a, b)));
	note(c, POLICY_ASPECT_PROTOCOLS, other_unless(a->versions == b->versions));
	note(c, POLICY_ASPECT_CIPHERS, other_unless(str_eq(a->cipher_list, b->cipher_list)));
}

static void compare_parts(struct comparison *c)
{
	enum tls_level a = c->d[0]->level, b = c->d[1]->level;

	note(c, POLICY_ASPECT_LEVEL, compare_levels(a, b));
	note(c, POLICY_ASPECT_REQUIRETLS,
	     verdict_of(c->d[0]->requiretls >= c->d[1]->requiretls,
			c->d[1]->requiretls >= c->d[0]->requiretls));
	if (a <= TLS_LEVEL_NONE || b <= TLS_LEVEL_NONE)
		return;
	if (a > TLS_LEVEL_MAY && b > TLS_LEVEL_MAY)
		compare_demands(c);
	else if (a == b)
		compare_wishes(c);
	compare_session(c);
}

static bool is_same_error(const struct policy_error *a, const struct policy_error *b)
{
	return a->status.class == b->status.class && a->status.subject == b->status.subject &&
	       a->status.detail == b->status.detail && str_eq(a->reason, b->reason);
}

/* Mail waits on both sides: for the same reason? */
static enum policy_change compare_closed(struct comparison *c)
{
	const struct policy_decision *a = c->d[0], *b = c->d[1];
	bool is_same = is_same_error(&a->error, &b->error) &&
		       is_same_error(&a->refusal, &b->refusal) && is_usable_alike(a, b) &&
		       a->never_matches == b->never_matches;

	note(c, POLICY_ASPECT_LEVEL, compare_levels(a->level, b->level));
	note(c, POLICY_ASPECT_ERROR, other_unless(is_same));
	return c->aspects ? POLICY_CHANGED : POLICY_UNCHANGED;
}

static enum policy_change change_of(const struct comparison *c)
{
	if (c->is_odd || (c->is_up && c->is_down))
		return POLICY_CHANGED;
	if (c->is_up)
		return POLICY_RAISED;
	if (c->is_down)
		return POLICY_LOWERED;
	return c->aspects ? POLICY_CHANGED : POLICY_UNCHANGED;
}

struct policy_comparison
policy_compare(const struct policy_side *before, const struct policy_side *after)
{
	struct comparison c = { .conf = { before->conf, after->conf },
				.d = { before->decision, after->decision },
				.nexthop = { before->nexthop, after->nexthop } };
	bool is_open_before = policy_decision_can_be_met(c.d[0]);
	bool is_open_after = policy_decision_can_be_met(c.d[1]);
	enum policy_change change;

	if (is_open_before != is_open_after) {
		note(&c, POLICY_ASPECT_LEVEL, compare_levels(c.d[0]->level, c.d[1]->level));
		note(&c, POLICY_ASPECT_ERROR, OTHER);
		change = is_open_before ? POLICY_REFUSED : POLICY_RELEASED;
	} else if (!is_open_before) {
		change = compare_closed(&c);
	} else {
		compare_parts(&c);
		change = change_of(&c);
	}
	return (struct policy_comparison){ change, c.aspects };
}

bool policy_decision_can_be_met(const struct policy_decision *d)
{
	return policy_decision_allows_host(d) &&
	       ((d->level <= TLS_LEVEL_MAY && d->requiretls < REQUIRETLS_STARTTLS) ||
		(d->is_usable && !d->never_matches));
}

struct str policy_change_name(enum policy_change c)
{
	static const struct str names[] = {
		[POLICY_LOWERED] = STR_INIT("lowered"), [POLICY_RELEASED] = STR_INIT("released"),
		[POLICY_CHANGED] = STR_INIT("changed"), [POLICY_REFUSED] = STR_INIT("refused"),
		[POLICY_RAISED] = STR_INIT("raised"),   [POLICY_UNCHANGED] = STR_INIT("unchanged"),
	};

	CHECK(c < ARRAY_LEN(names));
	return names[c];
}

struct str policy_aspect_name(enum policy_aspect a)
{
	static const struct str names[] = {
		[POLICY_ASPECT_LEVEL] = STR_INIT("level"),
		[POLICY_ASPECT_ERROR] = STR_INIT("error"),
		[POLICY_ASPECT_REQUIRETLS] = STR_INIT("requiretls"),
		[POLICY_ASPECT_PROTOCOLS] = STR_INIT("protocols"),
		[POLICY_ASPECT_CIPHERS] = STR_INIT("ciphers"),
		[POLICY_ASPECT_NAMES] = STR_INIT("names"),
		[POLICY_ASPECT_TRUST] = STR_INIT("trust"),
		[POLICY_ASPECT_FINGERPRINTS] = STR_INIT("fingerprints"),
		[POLICY_ASPECT_SERVERNAME] = STR_INIT("servername"),
		[POLICY_ASPECT_RAW_KEYS] = STR_INIT("raw-keys"),
		[POLICY_ASPECT_REUSE] = STR_INIT("connection-reuse"),
		[POLICY_ASPECT_CLIENT_CERTIFICATE] = STR_INIT("client-certificate"),
		[POLICY_ASPECT_STS] = STR_INIT("mta-sts"),
	};

	CHECK(a < ARRAY_LEN(names));
	return names[a];
}
