/* OpenSSL's error queue in words, and files named in errors. */

#include "tls/room.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <openssl/err.h>

/* Alerts of the peer come as reasons above this (SSL_AD_REASON_OFFSET). */
static bool alert_of(unsigned long code, int *alert)
{
	int reason = ERR_GET_REASON(code);

	if (ERR_GET_LIB(code) != ERR_LIB_SSL || reason < SSL_AD_REASON_OFFSET ||
	    reason > SSL_AD_REASON_OFFSET + UINT8_MAX)
		return false;
	*alert = reason - SSL_AD_REASON_OFFSET;
	return true;
}

void tls_queue_text(char *out, size_t size)
{
	const char *data = "", *reason;
	int flags = 0, alert;
	unsigned long code = ERR_get_error_all(NULL, NULL, NULL, &data, &flags);

	if (alert_of(code, &alert)) {
		snprintf(out, size, "the peer sent alert \"%s\" (%d)",
			 SSL_alert_desc_string_long(alert), alert);
	} else {
		reason = ERR_SYSTEM_ERROR(code) ? strerror(ERR_GET_REASON(code))
						: ERR_reason_error_string(code);
		snprintf(out, size, "%s%s%s", reason ? reason : "no reason given",
			 flags & ERR_TXT_STRING && *data ? ": " : "",
			 flags & ERR_TXT_STRING ? data : "");
	}
	ERR_clear_error();
}

bool tls_error_set(struct error *e, enum error_kind kind, const char *fmt, ...)
{
	char text[512], why[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	tls_queue_text(why, sizeof(why));
	return error_set(e, kind, "%s: %s", text, why);
}

bool tls_path(struct str path, char out[TLS_PATH_MAX], struct error *e)
{
	if (path.n >= TLS_PATH_MAX || str_contains(path, '\0'))
		return error_set(e, ERROR_CONFIG, STR_FMT ": not a file name",
				 STR_ARG(str_first(path, 100)));
	memcpy(out, path.p, path.n);
	out[path.n] = '\0';
	return true;
}

bool tls_file_is_readable(const char *path, struct error *e)
{
	FILE *f = fopen(path, "re");
	struct stat st;
	int why = errno;

	if (!f)
		return error_set(e, ERROR_NO_INPUT, "%s: %s", path, strerror(why));
	why = fstat(fileno(f), &st) != 0 ? errno : S_ISDIR(st.st_mode) ? EISDIR : 0;
	fclose(f);
	return why == 0 || error_set(e, ERROR_NO_INPUT, "%s: %s", path, strerror(why));
}
