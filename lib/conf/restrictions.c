#include "conf/restrictions.h"

static const struct {
	struct str word;
	enum conf_restriction is;
} words[] = {
	{ STR_INIT("permit"), CONF_RESTRICTION_PERMIT },
	{ STR_INIT("permit_mynetworks"), CONF_RESTRICTION_PERMIT_MYNETWORKS },
	{ STR_INIT("permit_inet_interfaces"), CONF_RESTRICTION_PERMIT_INET_INTERFACES },
	{ STR_INIT("permit_sasl_authenticated"), CONF_RESTRICTION_PERMIT_SASL },
	{ STR_INIT("reject"), CONF_RESTRICTION_REJECT },
	{ STR_INIT("defer"), CONF_RESTRICTION_DEFER },
	{ STR_INIT("warn_if_reject"), CONF_RESTRICTION_WARN_IF_REJECT },
	{ STR_INIT("reject_unauth_destination"), CONF_RESTRICTION_REJECT_UNAUTH_DESTINATION },
	{ STR_INIT("check_relay_domains"), CONF_RESTRICTION_REJECT_UNAUTH_DESTINATION },
	{ STR_INIT("defer_unauth_destination"), CONF_RESTRICTION_DEFER_UNAUTH_DESTINATION },
	{ STR_INIT("reject_sender_login_mismatch"), CONF_RESTRICTION_LOGIN_MISMATCH },
	{ STR_INIT("reject_authenticated_sender_login_mismatch"),
	  CONF_RESTRICTION_LOGIN_MISMATCH_AUTHENTICATED },
	{ STR_INIT("reject_unauthenticated_sender_login_mismatch"),
	  CONF_RESTRICTION_LOGIN_MISMATCH_UNAUTHENTICATED },
	{ STR_INIT("reject_known_sender_login_mismatch"), CONF_RESTRICTION_LOGIN_MISMATCH_KNOWN },
	/* No mail ends here, and no client has a certificate. */
	{ STR_INIT("permit_auth_destination"), CONF_RESTRICTION_NONE },
	{ STR_INIT("permit_mx_backup"), CONF_RESTRICTION_NONE },
	{ STR_INIT("permit_tls_clientcerts"), CONF_RESTRICTION_NONE },
	{ STR_INIT("permit_tls_all_clientcerts"), CONF_RESTRICTION_NONE },
	/* smtpd_forbid_unauth_pipelining, and what commands are held to. */
	{ STR_INIT("reject_unauth_pipelining"), CONF_RESTRICTION_NONE },
	{ STR_INIT("reject_unlisted_recipient"), CONF_RESTRICTION_NONE },
};

enum conf_restriction conf_restriction_of(struct str word)
{
	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if (str_ieq_ascii(word, words[i].word))
			return words[i].is;
	return CONF_RESTRICTION_UNKNOWN;
}
