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
