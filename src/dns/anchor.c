/* Trust anchors: libunbound reads the file itself, but says too little about what is wrong with it,
 * and takes an empty one for "validate nothing". */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/limits.h"
#include "dns/room.h"

/* RFC 1035 section 5.1: the type stands after owner, TTL and class, all but the owner optional. */
static bool dns_is_anchor_line(struct str line)
{
	struct str token;

	for (int i = 0; i < 5 && str_token(&line, STR(" \t\r\n"), &token); i++) {
		if (str_has_prefix(token, STR(";")))
			return false;
		if (i > 0 &&
		    (str_ieq_ascii(token, STR("DS")) || str_ieq_ascii(token, STR("DNSKEY"))))
			return true;
	}
	return false;
}

static bool dns_has_anchor(FILE *f)
{
	char line[DNS_ANCHOR_LINE_MAX];

	while (fgets(line, sizeof(line), f))
		if (dns_is_anchor_line(str_of(line)))
			return true;
	return false;
}

bool dns_anchor_check(struct str path, struct error *e)
{
	char name[4096];

	if (path.n >= sizeof(name))
		return error_set(e, ERROR_CONFIG, "trust anchor file: the name is too long");
	memcpy(name, path.p, path.n);
	name[path.n] = '\0';
	FILE *f = fopen(name, "re");
	if (!f)
		return error_set(e, ERROR_NO_INPUT, "trust anchor file %s: %s", name,
				 strerror(errno));
	errno = 0;
	bool is_found = dns_has_anchor(f);
	int why = ferror(f) ? errno : 0;
	fclose(f);
	if (why)
		return error_set(e, ERROR_NO_INPUT, "trust anchor file %s: %s", name,
				 strerror(why));
	return is_found || error_set(e, ERROR_CONFIG,
				     "trust anchor file %s holds no DS or DNSKEY record", name);
}
