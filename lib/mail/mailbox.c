#include "mail/mailbox.h"

#include "base/limits.h"

static bool mailbox_is_control(char c)
{
	return (unsigned char)c < 0x20 || c == 0x7f;
}

static bool mailbox_ends_path(char c)
{
	return c == ' ' || c == '<' || c == '>';
}

/* Walks over the text: *at is the last "@" outside quotes, text.n when there is none. False on
 * what cannot stand in a mailbox. */
static bool mailbox_scan(struct str text, size_t *at)
{
	bool is_quoted = false;

	*at = text.n;
	for (size_t i = 0; i < text.n; i++) {
		char c = text.p[i];
		if (mailbox_is_control(c) || (!is_quoted && mailbox_ends_path(c)))
			return false;
		if (c == '"')
			is_quoted = !is_quoted;
		else if (c == '@' && !is_quoted)
			*at = i;
		else if (c == '\\' && is_quoted && i + 1 < text.n &&
			 mailbox_is_control(text.p[++i]))
			return false;
	}
	return !is_quoted;
}

bool mailbox_parse(struct str text, struct mailbox *out)
{
	size_t at;

	if (text.n > SMTP_PATH_MAX || !mailbox_scan(text, &at))
		return false;
	struct mailbox box = { str_first(text, at), str_from(text, at + 1) };
	bool has_at = at < text.n;
	bool is_null = text.n == 0;
	if ((box.local.n == 0 && !is_null) || (has_at && box.domain.n == 0) ||
	    box.domain.n > DOMAIN_NAME_MAX)
		return false;
	*out = box;
	return true;
}

struct str mailbox_dequote(struct arena *a, struct str local)
{
	char *p, *end;

	if (!str_contains(local, '"') && !str_contains(local, '\\'))
		return local;
	p = end = arena_alloc(a, local.n + 1);
	for (size_t i = 0; i < local.n; i++) {
		if (local.p[i] == '"')
			continue;
		if (local.p[i] == '\\' && i + 1 < local.n)
			i++;
		*end++ = local.p[i];
	}
	return str_span(p, (size_t)(end - p));
}

bool mailbox_strip_extension(struct str local, struct str delimiters, struct str *base)
{
	size_t i = 0;

	if (str_ieq_ascii(local, STR("postmaster")) || str_ieq_ascii(local, STR("mailer-daemon")) ||
	    str_ieq_ascii(local, STR("double-bounce")))
		return false;
	if (str_contains(delimiters, '-') &&
	    (str_ihas_prefix_ascii(local, STR("owner-")) ||
	     (local.n > 8 && str_ieq_ascii(str_from(local, local.n - 8), STR("-request")))))
		return false;
	while (i < local.n && !str_contains(delimiters, local.p[i]))
		i++;
	*base = str_first(local, i);
	return i > 0 && i < local.n;
}
