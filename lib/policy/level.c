#include "policy/policy.h"
#include "policy/level.h"

/* In the order of strength that min() and "above encrypt" rely on: that of the enum. */
static const struct str names[] = {
	[TLS_LEVEL_INVALID] = STR_INIT("invalid"),
	[TLS_LEVEL_NONE] = STR_INIT("none"),
	[TLS_LEVEL_MAY] = STR_INIT("may"),
	[TLS_LEVEL_ENCRYPT] = STR_INIT("encrypt"),
	[TLS_LEVEL_FINGERPRINT] = STR_INIT("fingerprint"),
	[TLS_LEVEL_DANE] = STR_INIT("dane"),
	[TLS_LEVEL_DANE_ONLY] = STR_INIT("dane-only"),
	[TLS_LEVEL_VERIFY] = STR_INIT("verify"),
	[TLS_LEVEL_SECURE] = STR_INIT("secure"),
};

struct str tls_level_name(enum tls_level level)
{
	return names[level];
}

bool policy_level_parse(struct str text, enum tls_level *out)
{
	for (size_t i = TLS_LEVEL_NONE; i < ARRAY_LEN(names); i++) {
		if (str_ieq_ascii(text, names[i])) {
			*out = (enum tls_level)i;
			return true;
		}
	}
	return false;
}

struct str tls_result_name(enum tls_result r)
{
	static const struct str v[] = {
		[TLS_RESULT_NONE] = STR_INIT("none"),
		[TLS_RESULT_STARTTLS_NOT_SUPPORTED] = STR_INIT("starttls-not-supported"),
		[TLS_RESULT_CERTIFICATE_HOST_MISMATCH] = STR_INIT("certificate-host-mismatch"),
		[TLS_RESULT_CERTIFICATE_NOT_TRUSTED] = STR_INIT("certificate-not-trusted"),
		[TLS_RESULT_CERTIFICATE_EXPIRED] = STR_INIT("certificate-expired"),
		[TLS_RESULT_VALIDATION_FAILURE] = STR_INIT("validation-failure"),
	};

	return v[r];
}

struct str tls_security_name(enum tls_security s)
{
	static const struct str v[] = {
		[TLS_CLEARTEXT] = STR_INIT("cleartext"),
		[TLS_ENCRYPTED] = STR_INIT("encrypted"),
		[TLS_TRUSTED] = STR_INIT("trusted"),
		[TLS_VERIFIED] = STR_INIT("verified"),
	};

	return v[s];
}
