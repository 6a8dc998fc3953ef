#include "cmd/sink_versions.h"

static bool parse_one(struct str text, unsigned *bit)
{
	if (str_ihas_prefix_ascii(text, STR("TLSv")))
		text = str_from(text, 4);
	if (str_eq(text, STR("1"))) /* OpenSSL's name of 1.0 */
		text = STR("1.0");
	if (text.n != 3 || text.p[0] != '1' || text.p[1] != '.' || text.p[2] < '0' ||
	    text.p[2] > '3')
		return false;
	*bit = (unsigned)(text.p[2] - '0');
	return true;
}

bool cmd_sink_versions_parse(struct str text, tls_versions *out)
{
	tls_versions mask = 0;
	struct str part, from, to;
	unsigned low, high;

	while (str_token(&text, STR(", "), &part)) {
		if (!str_cut(part, '-', &from, &to))
			from = to = part;
		if (!parse_one(from, &low) || !parse_one(to, &high) || low > high)
			return false;
		for (unsigned bit = low; bit <= high; bit++)
			mask |= (tls_versions)(1u << bit);
	}
	*out = mask;
	return mask != 0;
}
