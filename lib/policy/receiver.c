#include "policy/receiver.h"

#include "policy/settings.h"

struct ids {
	enum conf_id protocols, ciphers;
};

static bool work_out(struct arena *a, const struct conf *conf, struct ids ids, struct str exclude,
		     struct policy_receiver *out, struct error *e)
{
	struct policy_cipher_lists lists = {
		.high = conf_str(conf, CONF_tls_high_cipherlist),
		.medium = conf_str(conf, CONF_tls_medium_cipherlist),
		.null = conf_str(conf, CONF_tls_null_cipherlist),
	};
	struct policy_settings s = {
		.protocols = conf_str(conf, ids.protocols),
		.ciphers = conf_str(conf, ids.ciphers),
		.exclude = exclude,
	};

	policy_settings_work_out(a, &lists, &s);
	if (s.is_usable && s.versions != 0) {
		out->versions = s.versions;
		out->cipher_list = s.cipher_list;
		return true;
	}
	return error_set(e, ERROR_CONFIG, STR_FMT ", " STR_FMT ": " STR_FMT,
			 STR_ARG(conf_name(ids.protocols)), STR_ARG(conf_name(ids.ciphers)),
			 STR_ARG(s.is_usable ? STR("no TLS version is left") : s.problem));
}

bool policy_receiver_optional(struct arena *a, const struct conf *conf, struct policy_receiver *out,
			      struct error *e)
{
	struct ids ids = { CONF_smtpd_tls_protocols, CONF_smtpd_tls_ciphers };

	return work_out(a, conf, ids, conf_str(conf, CONF_smtpd_tls_exclude_ciphers), out, e);
}

bool policy_receiver_mandatory(struct arena *a, const struct conf *conf,
			       struct policy_receiver *out, struct error *e)
{
	struct ids ids = { CONF_smtpd_tls_mandatory_protocols, CONF_smtpd_tls_mandatory_ciphers };
	struct str exclude =
		arena_fmt(a, STR_FMT " " STR_FMT,
			  STR_ARG(conf_str(conf, CONF_smtpd_tls_exclude_ciphers)),
			  STR_ARG(conf_str(conf, CONF_smtpd_tls_mandatory_exclude_ciphers)));

	return work_out(a, conf, ids, exclude, out, e);
}
