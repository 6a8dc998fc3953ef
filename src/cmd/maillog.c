#include "cmd/maillog.h"

/* Those that Postfix takes. */
static bool log_mode(struct str text, unsigned *mode, struct error *e)
{
	static const struct {
		struct str text;
		unsigned mode;
	} modes[] = { { STR_INIT("0600"), 0600 },
		      { STR_INIT("0640"), 0640 },
		      { STR_INIT("0644"), 0644 } };

	for (size_t i = 0; i < ARRAY_LEN(modes); i++) {
		if (str_eq(text, modes[i].text)) {
			*mode = modes[i].mode;
			return true;
		}
	}
	return error_set(e, ERROR_CONFIG,
			 "maillog_file_permissions = " STR_FMT ": 0600, 0640 or 0644",
			 STR_ARG(text));
}

/* A slip in maillog_file must not write into any file of the machine. The standard streams are
 * opened already, by who started the daemon. */
static bool is_allowed(const struct conf *conf, struct str path, struct error *e)
{
	struct str rest = conf_str(conf, CONF_maillog_file_prefixes), prefix;

	if (path.n == 0 || str_eq(path, STR("/dev/stderr")))
		return true;
	while (str_token(&rest, STR(", \t\r\n"), &prefix))
		if (str_has_prefix(path, prefix))
			return true;
	return error_set(e, ERROR_CONFIG,
			 "maillog_file = " STR_FMT
			 " begins with no prefix of maillog_file_prefixes = " STR_FMT,
			 STR_ARG(str_first(path, 200)),
			 STR_ARG(str_first(conf_str(conf, CONF_maillog_file_prefixes), 200)));
}

bool cmd_maillog_options(const struct conf *conf, struct os_log_options *o, struct error *e)
{
	struct str format = conf_str(conf, CONF_hopseal_log_format);

	*o = (struct os_log_options){
		.path = conf_str(conf, CONF_maillog_file),
		.name = conf_str(conf, CONF_syslog_name),
		.facility = conf_str(conf, CONF_syslog_facility),
		.form = str_eq(format, STR("json")) ? OS_LOG_JSON : OS_LOG_TEXT,
	};
	if (!is_allowed(conf, o->path, e) ||
	    !log_mode(conf_str(conf, CONF_maillog_file_permissions), &o->mode, e))
		return false;
	if (!os_log_has_facility(o->facility))
		return error_set(e, ERROR_CONFIG, "syslog_facility = " STR_FMT ": no such facility",
				 STR_ARG(o->facility));
	return o->form == OS_LOG_JSON || str_eq(format, STR("text")) ||
	       error_set(e, ERROR_CONFIG, "hopseal_log_format = " STR_FMT ": text or json",
			 STR_ARG(format));
}
