/* Status codes and outcomes: RFC 3463, RFC 2034. */

#include "mail/outcome.h"

/* One to three digits up to `end` or the end of the text; RFC 3463 section 2. */
static bool status_number(struct str text, size_t *used, uint16_t *out)
{
	size_t n = 0;
	unsigned v = 0;

	while (n < text.n && n < 4 && ascii_is_digit(text.p[n]))
		v = v * 10 + (unsigned)(text.p[n++] - '0');
	*used = n;
	*out = (uint16_t)v;
	return n >= 1 && n <= 3;
}

bool status_parse(struct str text, int code, struct status *out, struct str *rest)
{
	struct status s = { 0 };
	size_t used;

	if (text.n < 5 || text.p[1] != '.' || text.p[0] != '0' + code / 100)
		return false;
	s.class = (uint8_t)(text.p[0] - '0');
	if (s.class != 2 && s.class != 4 && s.class != 5)
		return false;
	text = str_from(text, 2);
	if (!status_number(text, &used, &s.subject) || used == text.n || text.p[used] != '.')
		return false;
	text = str_from(text, used + 1);
	if (!status_number(text, &used, &s.detail) ||
	    (used < text.n && !ascii_is_space(text.p[used])))
		return false;
	*out = s;
	text = str_from(text, used);
	*rest = text.n && (text.p[0] == ' ' || text.p[0] == '\t') ? str_from(text, 1) : text;
	return true;
}

struct str status_text(struct arena *a, struct status s)
{
	return arena_fmt(a, "%u.%u.%u", s.class, s.subject, s.detail);
}

struct str outcome_kind_name(enum outcome_kind k)
{
	switch (k) {
	case OUTCOME_DELIVERED:
		return STR("delivered");
	case OUTCOME_DEFERRED:
		return STR("deferred");
	case OUTCOME_BOUNCED:
		return STR("bounced");
	}
	CHECK(!"outcome kind");
	return STR_NONE;
}

struct outcome outcome_copy(struct arena *a, const struct outcome *o)
{
	struct outcome copy = *o;

	copy.reason = arena_str(a, o->reason);
	copy.remote_host = arena_str(a, o->remote_host);
	copy.reply.text = arena_str(a, o->reply.text);
	return copy;
}
