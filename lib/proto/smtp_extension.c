#include "proto/smtp_extension.h"

static const struct {
	enum smtp_extension bit;
	struct str name;
} extensions[] = {
	{ SMTP_EXT_PIPELINING, STR_INIT("PIPELINING") },
	{ SMTP_EXT_SIZE, STR_INIT("SIZE") },
	{ SMTP_EXT_8BITMIME, STR_INIT("8BITMIME") },
	{ SMTP_EXT_SMTPUTF8, STR_INIT("SMTPUTF8") },
	{ SMTP_EXT_ENHANCEDSTATUSCODES, STR_INIT("ENHANCEDSTATUSCODES") },
	{ SMTP_EXT_DSN, STR_INIT("DSN") },
	{ SMTP_EXT_STARTTLS, STR_INIT("STARTTLS") },
	{ SMTP_EXT_CHUNKING, STR_INIT("CHUNKING") },
	{ SMTP_EXT_REQUIRETLS, STR_INIT("REQUIRETLS") },
	{ SMTP_EXT_AUTH, STR_INIT("AUTH") },
	{ SMTP_EXT_GARBLED, STR_INIT("XXXXXXXA") },
};

unsigned smtp_extension_of(struct str keyword)
{
	for (size_t i = 0; i < ARRAY_LEN(extensions); i++)
		if (str_ieq_ascii(keyword, extensions[i].name))
			return extensions[i].bit;
	return 0;
}

struct str smtp_extension_name(enum smtp_extension bit)
{
	for (size_t i = 0; i < ARRAY_LEN(extensions); i++)
		if (extensions[i].bit == bit)
			return extensions[i].name;
	return STR_NONE;
}
