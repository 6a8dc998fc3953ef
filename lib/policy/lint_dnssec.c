/* What a configuration lacks for DNSSEC. */

#include "policy/lint.h"

static bool has_word(struct str list, struct str word)
{
	struct str w;

	while (str_token(&list, STR(", \t\r\n"), &w))
		if (str_ieq_ascii(w, word))
			return true;
	return false;
}

struct str policy_lint_dnssec_lack(const struct conf *conf)
{
	if (!str_ieq_ascii(conf_str(conf, CONF_smtp_dns_support_level), STR("dnssec")))
		return STR("smtp_dns_support_level is not dnssec");
	if (!has_word(conf_str(conf, CONF_smtp_host_lookup), STR("dns")))
		return STR("smtp_host_lookup has no dns");
	if (!conf_str(conf, CONF_hopseal_dns_trust_anchor_file).n)
		return STR("hopseal_dns_trust_anchor_file is empty");
	return STR("this version looks up no TLSA records");
}
