/* The start-up part: which global level main.cf asks for, and what its texts mean to a TLS engine.
 * lib/conf has checked words and lengths before. */

#include "policy/decide.h"
#include "policy/level.h"
#include "policy/names.h"

#include "mail/domain.h"

static struct str name_of(const struct policy_config *c, enum conf_id id)
{
	return conf_name_in(c->conf, id);
}

static void set_global(struct arena *a, struct policy_config *c, enum tls_level level,
		       enum conf_id id, struct str value)
{
	c->global = level;
	c->global_id = id;
	c->global_value = value;
	c->global_text =
		arena_fmt(a, STR_FMT " = " STR_FMT "%s", STR_ARG(conf_name_in(c->conf, id)),
			  STR_ARG(value), conf_is_set(c->conf, id) ? "" : " by default");
}

/* smtp_tls_security_level has the whole say when it is not empty; else the three older ones. */
static bool find_global(struct arena *a, struct policy_config *c, struct error *e)
{
	struct str text = conf_str(c->conf, CONF_smtp_tls_security_level);
	enum tls_level level;

	if (text.n) {
		if (!policy_level_parse(text, &level))
			return error_set(e, ERROR_CONFIG, STR_FMT " = " STR_FMT " is no TLS level",
					 STR_ARG(name_of(c, CONF_smtp_tls_security_level)),
					 STR_ARG(text));
		set_global(a, c, level, CONF_smtp_tls_security_level, text);
	} else if (conf_bool(c->conf, CONF_smtp_enforce_tls)) {
		bool is_name_checked = conf_bool(c->conf, CONF_smtp_tls_enforce_peername);

		set_global(a, c, is_name_checked ? TLS_LEVEL_VERIFY : TLS_LEVEL_ENCRYPT,
			   CONF_smtp_enforce_tls, STR("yes"));
		c->global_text = arena_fmt(a, STR_FMT ", " STR_FMT " = %s", STR_ARG(c->global_text),
					   STR_ARG(name_of(c, CONF_smtp_tls_enforce_peername)),
					   is_name_checked ? "yes" : "no");
	} else if (conf_bool(c->conf, CONF_smtp_use_tls)) {
		set_global(a, c, TLS_LEVEL_MAY, CONF_smtp_use_tls, STR("yes"));
	} else {
		set_global(a, c, TLS_LEVEL_NONE, CONF_smtp_tls_security_level, text);
		c->global_text = arena_fmt(a,
					   STR_FMT " is empty, and neither " STR_FMT " nor " STR_FMT
						   " is set",
					   STR_ARG(name_of(c, CONF_smtp_tls_security_level)),
					   STR_ARG(name_of(c, CONF_smtp_enforce_tls)),
					   STR_ARG(name_of(c, CONF_smtp_use_tls)));
	}
	return true;
}

enum policy_class policy_class_of(enum tls_level level)
{
	CHECK(level >= TLS_LEVEL_MAY);
	if (level == TLS_LEVEL_MAY)
		return CLASS_MAY;
	return level == TLS_LEVEL_ENCRYPT ? CLASS_ENCRYPT : CLASS_AUTHENTICATED;
}

static void append_word(struct arena *a, struct str *list, struct str word)
{
	if (word.n)
		*list = list->n ? arena_fmt(a, STR_FMT " " STR_FMT, STR_ARG(*list), STR_ARG(word))
				: word;
}

/* Ciphers without encryption make no sense where encryption is asked for, nor those without
 * authentication where a certificate is. */
struct str policy_exclusions(struct arena *a, struct str list, enum policy_class class)
{
	if (class != CLASS_MAY)
		append_word(a, &list, class == CLASS_ENCRYPT ? STR("eNULL") : STR("aNULL"));
	return list;
}

static struct str exclusions_of(struct arena *a, const struct conf *conf, enum policy_class class)
{
	struct str list = STR("");

	append_word(a, &list, conf_str(conf, CONF_smtp_tls_exclude_ciphers));
	if (class == CLASS_MAY)
		return list;
	append_word(a, &list, conf_str(conf, CONF_smtp_tls_mandatory_exclude_ciphers));
	return list;
}

static void work_out_settings(struct arena *a, struct policy_config *c)
{
	const struct conf *conf = c->conf;

	for (int i = 0; i < CLASS_COUNT; i++) {
		struct policy_settings *s = &c->settings[i];
		bool is_mandatory = i != CLASS_MAY;

		s->protocols = conf_str(conf, is_mandatory ? CONF_smtp_tls_mandatory_protocols
							   : CONF_smtp_tls_protocols);
		s->ciphers = conf_str(conf, is_mandatory ? CONF_smtp_tls_mandatory_ciphers
							 : CONF_smtp_tls_ciphers);
		s->exclude = policy_exclusions(a, exclusions_of(a, conf, (enum policy_class)i),
					       (enum policy_class)i);
		policy_settings_work_out(a, &c->lists, s);
	}
}

/* The older one is ignored beside the other. */
struct str policy_config_tables(const struct policy_config *cfg)
{
	if (conf_str(cfg->conf, CONF_smtp_tls_policy_maps).n)
		return cfg->table_maps;
	if (conf_str(cfg->conf, CONF_smtp_tls_per_site).n)
		return cfg->table_per_site;
	return STR("");
}

const struct policy_config *
policy_config_new(struct arena *a, const struct conf *conf, struct error *e)
{
	struct policy_config *c = ARENA_NEW(a, struct policy_config);
	struct str servername = conf_str(conf, CONF_smtp_tls_servername);

	c->conf = conf;
	c->table_maps = name_of(c, CONF_smtp_tls_policy_maps);
	c->table_per_site = name_of(c, CONF_smtp_tls_per_site);
	if (!find_global(a, c, e))
		return NULL;
	c->global_text = arena_fmt(a, "the global level is " STR_FMT ": " STR_FMT,
				   STR_ARG(tls_level_name(c->global)), STR_ARG(c->global_text));
	c->lists = (struct policy_cipher_lists){
		.high = conf_str(conf, CONF_tls_high_cipherlist),
		.medium = conf_str(conf, CONF_tls_medium_cipherlist),
		.null = conf_str(conf, CONF_tls_null_cipherlist),
	};
	work_out_settings(a, c);
	c->match_verify = policy_match_list(a, conf_str(conf, CONF_smtp_tls_verify_cert_match),
					    &c->n_match_verify);
	c->match_secure = policy_match_list(a, conf_str(conf, CONF_smtp_tls_secure_cert_match),
					    &c->n_match_secure);
	if (!policy_requiretls_read(a, conf, CONF_smtp_requiretls_policy, &c->smtp_requiretls, e) ||
	    !policy_requiretls_read(a, conf, CONF_lmtp_requiretls_policy, &c->lmtp_requiretls, e))
		return NULL;
	c->is_servername_valid = !servername.n || domain_is_hostname(servername);
	return c;
}

enum tls_level policy_config_level(const struct policy_config *cfg)
{
	return cfg->global;
}
