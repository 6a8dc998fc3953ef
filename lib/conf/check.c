#include "conf/check.h"

#include "base/limits.h"
#include "conf/expand.h"
#include "conf/restrictions.h"
#include "conf/value.h"
#include "mail/nexthop.h"

struct checker {
	struct conf_collector *out;
	const struct conf_names *names;
	unsigned suggestions; /* given so far */
	struct str tables
		[CONF_TABLE_NAMES_MAX]; /* ldap:NAME and the like, whose parameters begin NAME_ */
	size_t n_tables;
};

static const struct conf_slot *slot_at(const struct checker *k, enum conf_id id)
{
	return &k->names->slot[id];
}

static bool is_filled(const struct checker *k, enum conf_id id)
{
	const struct conf_slot *s = slot_at(k, id);

	return s->progress == CONF_DONE && s->expanded.n > 0;
}

/* Values from a closed set. */

struct word_rule {
	enum conf_id id;
	bool is_list;
	bool may_be_empty;
	const char *words; /* separated by single blanks */
};

static const struct word_rule word_rules[] = {
	{ CONF_inet_protocols, true, false, "all ipv4 ipv6" },
	{ CONF_smtp_address_preference, false, false, "any ipv4 ipv6" },
	{ CONF_smtp_host_lookup, true, false, "dns native" },
	{ CONF_smtp_dns_support_level, false, true, "disabled enabled dnssec" },
	{ CONF_smtp_dns_resolver_options, true, true, "res_defnames res_dnsrch" },
	{ CONF_smtp_tls_security_level, false, true,
	  "none may encrypt fingerprint dane dane-only verify secure" },
	{ CONF_lmtp_tls_security_level, false, true,
	  "none may encrypt fingerprint dane dane-only verify secure" },
	{ CONF_smtpd_tls_security_level, false, true, "none may encrypt" },
	{ CONF_smtpd_forbid_bare_newline, false, false, "no yes note normalize reject" },
	{ CONF_mynetworks_style, false, false, "class subnet host" },
	{ CONF_smtp_tls_dane_insecure_mx_policy, false, false, "may encrypt dane" },
};

static bool is_word_of(struct str words, struct str word)
{
	struct str w;

	while (str_token(&words, STR(" "), &w)) {
		if (str_ieq_ascii(w, word))
			return true;
	}
	return false;
}

static void reject_word(struct checker *k, const struct word_rule *r, struct str word)
{
	const struct conf_slot *s = slot_at(k, r->id);
	struct conf_finding what = {
		.severity = CONF_ERROR,
		.code = STR("bad-value"),
		.param = s->name,
		.remedy = arena_fmt(k->out->arena, "use %sof: %s", r->is_list ? "a list " : "one ",
				    r->words),
	};

	conf_collect(k->out, conf_place_of(s), &what, STR_FMT ": \"" STR_FMT "\" is no value of it",
		     STR_ARG(s->name), STR_ARG(str_first(word, 60)));
}

static void check_words(struct checker *k, const struct word_rule *r)
{
	const struct conf_slot *s = slot_at(k, r->id);
	struct str rest = s->expanded, word = rest;
	unsigned n = 0;

	if (s->progress != CONF_DONE)
		return;
	if (!r->is_list && rest.n && !is_word_of(str_of(r->words), rest)) {
		reject_word(k, r, rest);
		return;
	}
	for (; r->is_list && str_token(&rest, STR(", \t\r\n"), &word); n++) {
		if (!is_word_of(str_of(r->words), word))
			reject_word(k, r, word);
	}
	if (!r->may_be_empty && r->is_list && n == 0 && s->expanded.n)
		reject_word(k, r, s->expanded);
}

/* The names of this machine go into EHLO and into addresses. */
static void check_hostname(struct checker *k, enum conf_id id)
{
	const struct conf_slot *s = slot_at(k, id);
	bool is_utf8_ok = str_ieq_ascii(slot_at(k, CONF_smtputf8_enable)->expanded, STR("yes"));
	struct conf_finding what = {
		.severity = CONF_ERROR,
		.code = STR("bad-value"),
		.param = s->name,
		.remedy = STR("set myhostname to the full name of this machine"),
	};

	if (s->progress == CONF_DONE && !domain_is_hostname_utf8(s->expanded, is_utf8_ok))
		conf_collect(k->out, conf_place_of(s), &what,
			     STR_FMT ": \"" STR_FMT "\" is not a host name", STR_ARG(s->name),
			     STR_ARG(str_first(s->expanded, 60)));
}

/* Parameters whose state has a say. */

/* Whether a value differs from what the default comes to. */
static bool is_changed(const struct checker *k, const struct conf_slot *s, struct str preset)
{
	struct conf_expander x = { .names = k->names, .arena = k->out->arena };
	struct buf b;

	buf_init(&b, CONF_VALUE_MAX);
	bool is_same = s->progress == CONF_DONE && conf_expand_text(&x, preset, &b, 0) &&
		       str_eq(s->expanded, buf_str(&b));
	buf_fini(&b);
	return !is_same;
}

static const char *effect_text(enum conf_effect e)
{
	switch (e) {
	case CONF_EFFECT_NONE:
		return "";
	case CONF_EFFECT_TLS:
		return ", though in Postfix it changes TLS";
	case CONF_EFFECT_ROUTING:
		return ", though in Postfix it changes where mail goes";
	case CONF_EFFECT_ACCESS:
		return ", though in Postfix it changes who may send what";
	case CONF_EFFECT_DELIVERY:
		return ", though in Postfix it changes what is delivered";
	}
	return "";
}

static void report_not_honoured(struct checker *k, const struct conf_slot *s, bool is_loud)
{
	struct conf_finding what = {
		.severity = is_loud ? CONF_WARNING : CONF_NOTE,
		.code = STR("not-honoured"),
		.param = s->name,
		.remedy = is_loud ? STR("remove the line if mail may go without it") : STR(""),
	};

	conf_collect(k->out, conf_place_of(s), &what, STR_FMT " is not honoured%s",
		     STR_ARG(s->name), effect_text(is_loud ? s->effect : CONF_EFFECT_NONE));
}

#define REPLACED_TLS(client)                                                                       \
	{ CONF_##client##_use_tls, "set " #client "_tls_security_level = may in its place" },      \
		{ CONF_##client##_enforce_tls,                                                     \
		  "set " #client                                                                   \
		  "_tls_security_level = verify in its place (encrypt where " #client              \
		  "_tls_enforce_peername is no)" },                                                \
		{ CONF_##client##_tls_enforce_peername,                                            \
		  "set " #client                                                                   \
		  "_tls_security_level = verify (for yes) or encrypt (for no) in its place" },     \
	{                                                                                          \
		CONF_##client##_tls_per_site,                                                      \
			"move its entries to " #client                                             \
			"_tls_policy_maps: NONE is none, MAY is may, MUST_NOPEERMATCH is "         \
			"encrypt, MUST is verify"                                                  \
	}

static const struct {
	enum conf_id id;
	const char *remedy;
} replacements[] = {
	{ CONF_smtpd_use_tls, "set smtpd_tls_security_level = may in its place" },
	{ CONF_smtpd_enforce_tls, "set smtpd_tls_security_level = encrypt in its place" },
	{ CONF_disable_dns_lookups, "set smtp_dns_support_level = disabled in its place" },
	REPLACED_TLS(smtp),
	REPLACED_TLS(lmtp),
};

static struct str replacement_of(enum conf_id id)
{
	for (size_t i = 0; i < ARRAY_LEN(replacements); i++) {
		if (replacements[i].id == id)
			return str_of(replacements[i].remedy);
	}
	return STR("");
}

static bool
is_of_trio(enum conf_id id, enum conf_id use, enum conf_id enforce, enum conf_id peername)
{
	return id == use || id == enforce || id == peername;
}

/* The three that the security level took the place of. False: it is none of them, or counts. */
static bool is_replaced(const struct checker *k, enum conf_id id, enum conf_id *level)
{
	if (is_of_trio(id, CONF_smtp_use_tls, CONF_smtp_enforce_tls,
		       CONF_smtp_tls_enforce_peername))
		*level = CONF_smtp_tls_security_level;
	else if (is_of_trio(id, CONF_lmtp_use_tls, CONF_lmtp_enforce_tls,
			    CONF_lmtp_tls_enforce_peername))
		*level = CONF_lmtp_tls_security_level;
	else if (id == CONF_smtpd_use_tls || id == CONF_smtpd_enforce_tls)
		*level = CONF_smtpd_tls_security_level;
	else
		return false;
	return is_filled(k, *level);
}

static void report_replaced(struct checker *k, const struct conf_slot *s, enum conf_id level)
{
	struct conf_finding what = {
		.severity = CONF_WARNING,
		.code = STR("ignored"),
		.param = s->name,
		.remedy = STR("remove the line"),
	};

	conf_collect(k->out, conf_place_of(s), &what,
		     STR_FMT " is ignored: " STR_FMT " is " STR_FMT, STR_ARG(s->name),
		     STR_ARG(slot_at(k, level)->name), STR_ARG(slot_at(k, level)->expanded));
}

static void report_deprecated(struct checker *k, enum conf_id id)
{
	const struct conf_slot *s = slot_at(k, id);
	struct conf_finding what = {
		.severity = CONF_WARNING,
		.code = STR("deprecated"),
		.param = s->name,
		.remedy = replacement_of(id),
	};

	conf_collect(k->out, conf_place_of(s), &what, STR_FMT " is honoured, but deprecated",
		     STR_ARG(s->name));
}

static void report_old(struct checker *k, enum conf_id id)
{
	bool is_table = id == CONF_smtp_tls_per_site || id == CONF_lmtp_tls_per_site;
	enum conf_id level;

	if (is_replaced(k, id, &level))
		report_replaced(k, slot_at(k, id), level);
	else if (!is_table || is_filled(k, id))
		report_deprecated(k, id);
}

static void check_param(struct checker *k, enum conf_id id)
{
	const struct conf_slot *s = slot_at(k, id);
	const struct conf_param *p = &conf_params[id];

	if (!s->is_set)
		return;
	switch (p->state) {
	case CONF_STATE_USED:
		break;
	case CONF_STATE_OLD:
		report_old(k, id);
		break;
	case CONF_STATE_LATER:
		report_not_honoured(k, s,
				    s->effect != CONF_EFFECT_NONE && is_changed(k, s, p->preset));
		break;
	}
}

/* Names. */

static void report_unknown(struct checker *k, const struct conf_slot *s)
{
	struct str near = STR_NONE;
	struct conf_finding what = {
		.severity = CONF_WARNING,
		.code = STR("unknown-parameter"),
		.param = s->name,
	};

	if (k->suggestions++ < CONF_SUGGESTIONS_MAX)
		near = conf_nearest(k->names, s->name);
	if (near.n)
		what.remedy = arena_fmt(k->out->arena, "did you mean " STR_FMT "?", STR_ARG(near));
	conf_collect(k->out, conf_place_of(s), &what, "nobody knows a parameter " STR_FMT,
		     STR_ARG(str_first(s->name, 80)));
}

/* Names that values make: tables whose parameters stand in main.cf. */

static const char table_types[] = "ldap memcache mongodb mysql pgsql sqlite";

static void note_table(struct checker *k, struct str token)
{
	struct str type, name;

	while (str_ihas_prefix_ascii(token, STR("proxy:")))
		token = str_from(token, 6);
	if (k->n_tables < ARRAY_LEN(k->tables) && str_cut(token, ':', &type, &name) && name.n &&
	    name.p[0] != '/' && is_word_of(str_of(table_types), type))
		k->tables[k->n_tables++] = name;
}

static void note_tables(struct checker *k)
{
	for (size_t i = 0; i < k->names->n; i++) {
		const struct conf_slot *s = &k->names->slot[i];
		struct str rest = s->expanded, token;
		while (s->is_set && str_token(&rest, STR(", \t\r\n"), &token))
			note_table(k, token);
	}
}

static bool is_of_table(const struct checker *k, struct str name)
{
	for (size_t i = 0; i < k->n_tables; i++) {
		struct str t = k->tables[i];
		if (name.n > t.n && name.p[t.n] == '_' && str_has_prefix(name, t))
			return true;
	}
	return false;
}

static void check_other(struct checker *k, const struct conf_slot *s, struct str preset)
{
	if (!s->is_set)
		return;
	switch (s->kind) {
	case CONF_KIND_PARAM:
		break;
	case CONF_KIND_KNOWN:
	case CONF_KIND_SERVICE:
		report_not_honoured(k, s,
				    s->effect != CONF_EFFECT_NONE && is_changed(k, s, preset));
		break;
	case CONF_KIND_USER:
		if (!s->is_referred && !is_of_table(k, s->name))
			report_unknown(k, s);
		break;
	}
}

/* Pairs. */

static void check_both_tables(struct checker *k, enum conf_id per_site, enum conf_id policy_maps)
{
	const struct conf_slot *s = slot_at(k, per_site);
	struct conf_finding what = {
		.severity = CONF_WARNING,
		.code = STR("ignored"),
		.param = s->name,
		.remedy = STR("remove one of the two parameters"),
	};

	if (is_filled(k, per_site) && is_filled(k, policy_maps))
		conf_collect(k->out, conf_place_of(s), &what,
			     STR_FMT " is ignored while " STR_FMT " is set", STR_ARG(s->name),
			     STR_ARG(slot_at(k, policy_maps)->name));
}

/* The outcome is that of a resolver without DNSSEC, or none at all; never quietly less. */
static void check_dane(struct checker *k, enum conf_id level)
{
	const struct conf_slot *s = slot_at(k, level);
	const struct conf_slot *dns = slot_at(k, CONF_smtp_dns_support_level);
	bool is_only = str_ieq_ascii(s->expanded, STR("dane-only"));
	bool has_dnssec = str_ieq_ascii(dns->expanded, STR("dnssec"));
	struct conf_finding what = {
		.severity = has_dnssec ? CONF_ERROR : CONF_WARNING,
		.code = has_dnssec ? STR("not-supported") : STR("dane-without-dnssec"),
		.param = s->name,
		.remedy = STR("choose another level until DANE is supported"),
	};

	if (!is_only && !str_ieq_ascii(s->expanded, STR("dane")))
		return;
	conf_collect(k->out, conf_place_of(s), &what, "%s",
		     has_dnssec ? "DANE is not supported yet"
		     : is_only ? "without smtp_dns_support_level = dnssec no server is good enough "
				 "for dane-only"
			       : "without smtp_dns_support_level = dnssec the level dane is may");
}

/* Restrictions that have no meaning here forbid nothing: that is to be known. Arguments (tables,
 * domains, numbers) are not told. */
static bool is_lost(struct str word)
{
	for (size_t i = 0; i < word.n; i++)
		if (!ascii_is_alnum(word.p[i]) && word.p[i] != '_')
			return false;
	return ascii_is_alpha(word.p[0]) && conf_restriction_of(word) == CONF_RESTRICTION_UNKNOWN;
}

static void check_restrictions(struct checker *k, enum conf_id id)
{
	const struct conf_slot *s = slot_at(k, id);
	struct str rest = s->expanded, word;
	struct conf_finding what = {
		.severity = CONF_WARNING,
		.code = STR("not-honoured"),
		.param = s->name,
		.remedy = STR("remove the word if mail may be taken in without it"),
	};

	while (s->progress == CONF_DONE && str_token_braced(&rest, STR(", \t\r\n"), &word))
		if (is_lost(word))
			conf_collect(k->out, conf_place_of(s), &what,
				     STR_FMT ": " STR_FMT " is not honoured, though in Postfix it "
					     "changes who may send what",
				     STR_ARG(s->name), STR_ARG(str_first(word, 60)));
}

static struct str preset_of(size_t i)
{
	return i < CONF_COUNT + conf_known_count ? conf_known_names[i - CONF_COUNT].preset
						 : STR("");
}

void conf_check(struct conf_collector *c, const struct conf_names *t)
{
	struct checker k = { .out = c, .names = t };

	note_tables(&k);
	for (size_t i = 0; i < ARRAY_LEN(word_rules); i++)
		check_words(&k, &word_rules[i]);
	check_restrictions(&k, CONF_smtpd_client_restrictions);
	check_restrictions(&k, CONF_smtpd_helo_restrictions);
	check_restrictions(&k, CONF_smtpd_sender_restrictions);
	check_restrictions(&k, CONF_smtpd_relay_restrictions);
	check_restrictions(&k, CONF_smtpd_recipient_restrictions);
	check_hostname(&k, CONF_myhostname);
	check_hostname(&k, CONF_mydomain);
	for (unsigned i = 0; i < CONF_COUNT; i++)
		check_param(&k, (enum conf_id)i);
	for (size_t i = CONF_COUNT; i < t->n; i++)
		check_other(&k, &t->slot[i], preset_of(i));
	check_both_tables(&k, CONF_smtp_tls_per_site, CONF_smtp_tls_policy_maps);
	check_both_tables(&k, CONF_lmtp_tls_per_site, CONF_lmtp_tls_policy_maps);
	check_dane(&k, CONF_smtp_tls_security_level);
	check_dane(&k, CONF_lmtp_tls_security_level);
}
