/* Logging in at servers: tables of passwords, and what the passwords are sent over. */

#include "cmd/check_inside.h"

#include <string.h>
#include <sys/stat.h>

#include "deliver/login.h"
#include "sasl/client.h"

static void
say(const struct check_to *to, struct conf_finding f, struct str text, struct str remedy)
{
	f.text = text;
	f.remedy = remedy;
	to->found(to->arg, &f);
}

/* Where the configuration asks for what cannot be done; hopseal serve and send do not start. */
static bool check_words(const struct check_to *to, const struct conf *conf)
{
	enum conf_id blamed;
	struct error e = { 0 };

	if (deliver_login_check(conf, &blamed, &e))
		return true;
	say(to, check_param_finding(conf, blamed, CONF_ERROR, STR("smtp-auth")),
	    arena_str(to->arena, error_text(&e)),
	    STR("correct it: without the login servers would refuse mail for good, so that hopseal "
		"serve and hopseal send do not start"));
	return false;
}

/* ---- who can read them ---- */

/* Files of a table, in the order in which they are used: "hash:/x" is read from /x.db. */
static const char *const endings[] = { "", ".db", ".cdb", ".lmdb" };

static void
check_file(const struct check_to *to, const struct conf *conf, enum conf_id id, struct str path)
{
	struct stat st;

	for (size_t i = 0; i < ARRAY_LEN(endings); i++) {
		struct str file = arena_fmt(to->arena, STR_FMT "%s", STR_ARG(path), endings[i]);
		struct conf_finding f =
			check_param_finding(conf, id, CONF_WARNING, STR("table-readable-by-all"));
		if (stat(file.p, &st) != 0 || !S_ISREG(st.st_mode) || !(st.st_mode & S_IROTH))
			continue;
		f.file = file;
		f.line = 0;
		say(to, f, STR("it holds passwords, and everybody on this machine can read it"),
		    arena_fmt(to->arena, "chmod o= " STR_FMT, STR_ARG(file)));
	}
}

/* Files with passwords in them, not those that say how to ask a server: these look themselves. */
static bool is_of_entries(struct str type)
{
	static const char *const types[] = { "hash", "btree", "cdb",    "lmdb",
					     "pcre", "cidr",  "regexp", "texthash" };

	for (size_t i = 0; i < ARRAY_LEN(types); i++)
		if (str_eq(type, str_of(types[i])))
			return true;
	return false;
}

static void check_files_of(const struct check_to *to, const struct conf *conf, enum conf_id id)
{
	struct str list = conf_str(conf, id), source, type, body;

	while (str_token_braced(&list, STR(", \t\r\n"), &source)) {
		if (str_has_prefix(source, STR("proxy:")))
			source = str_from(source, 6);
		if (str_cut(source, ':', &type, &body) && is_of_entries(type))
			check_file(to, conf, id, body);
	}
}

/* ---- what they go over ---- */

/* With these options a mechanism may be chosen that shows the password. */
static bool shows_password(const struct conf *conf, enum conf_id id)
{
	unsigned traits;
	struct str bad;

	return sasl_traits_parse(conf_str(conf, id), &traits, &bad) &&
	       !(traits & SASL_NO_PLAINTEXT);
}

/* At the global level: entries of smtp_tls_policy_maps may ask for more. */
static void check_level(const struct check_to *to, const struct conf *conf, enum conf_id enable,
			enum tls_level level)
{
	const struct conf *as = enable == CONF_lmtp_sasl_auth_enable ? conf_lmtp(conf) : conf;
	struct str options = conf_name_in(as, CONF_smtp_sasl_tls_security_options);
	struct conf_finding f =
		check_param_finding(conf, enable, CONF_WARNING, STR("login-without-tls"));
	/* dane falls to may for all hosts: nothing validates their TLSA records here */
	enum tls_level least = level == TLS_LEVEL_DANE ? TLS_LEVEL_MAY : level;
	bool is_mandatory = least > TLS_LEVEL_MAY || conf_bool(as, CONF_smtp_tls_wrappermode);
	bool is_verified = least > TLS_LEVEL_ENCRYPT;

	if (!is_mandatory) {
		bool is_clear = shows_password(as, CONF_smtp_sasl_security_options);
		say(to, f,
		    arena_fmt(to->arena,
			      STR_FMT " = yes, and " STR_FMT " does not make TLS a must: %s",
			      STR_ARG(f.param),
			      STR_ARG(conf_name_in(as, CONF_smtp_tls_security_level)),
			      is_clear ? "passwords may go over the wire as they are"
				       : "whoever takes STARTTLS away has mail go without it"),
		    STR("set the level to secure, or to encrypt, there or in smtp_tls_policy_maps "
			"for each server with a login"));
	}
	if (!is_verified && shows_password(as, CONF_smtp_sasl_tls_security_options)) {
		f.code = STR("login-unverified");
		say(to, f,
		    arena_fmt(to->arena,
			      STR_FMT " lets passwords go to servers that have not proved who "
				      "they are, at level " STR_FMT,
			      STR_ARG(options), STR_ARG(tls_level_name(level))),
		    arena_fmt(to->arena,
			      "verify the servers with a login, and keep noplaintext in " STR_FMT
			      " with noanonymous alone in " STR_FMT,
			      STR_ARG(options),
			      STR_ARG(conf_name_in(as,
						   CONF_smtp_sasl_tls_verified_security_options))));
	}
}

static void check_client(const struct check_to *to, const struct conf *conf, enum conf_id enable,
			 enum conf_id maps, const struct policy_config *cfg)
{
	if (!conf_bool(conf, enable))
		return;
	check_files_of(to, conf, maps);
	if (cfg)
		check_level(to, conf, enable, policy_config_level(cfg));
}

void check_login(const struct check_to *to, const struct conf *conf,
		 const struct policy_config *smtp, const struct policy_config *lmtp)
{
	check_files_of(to, conf, CONF_hopseal_sasl_password_maps);
	if (!check_words(to, conf))
		return;
	check_client(to, conf, CONF_smtp_sasl_auth_enable, CONF_smtp_sasl_password_maps, smtp);
	check_client(to, conf, CONF_lmtp_sasl_auth_enable, CONF_lmtp_sasl_password_maps, lmtp);
}
