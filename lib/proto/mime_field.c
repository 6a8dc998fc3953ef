#include "proto/mime_field.h"

/* Blanks, line ends and comments, which nest: RFC 5322 section 3.2.2. */
static struct str skip_cfws(struct str s)
{
	size_t depth = 0, i = 0;

	for (; i < s.n; i++) {
		if (s.p[i] == '(')
			depth++;
		else if (s.p[i] == ')' && depth > 0)
			depth--;
		else if (s.p[i] == '\\' && depth > 0)
			i++;
		else if (depth == 0 && !ascii_is_space(s.p[i]))
			break;
	}
	return str_from(s, i);
}

static bool is_token_char(char c)
{
	return (unsigned char)c > ' ' && c != 127 && !str_contains(STR("()<>@,;:\\\"/[]?="), c);
}

static struct str take_token(struct str *rest)
{
	struct str s = skip_cfws(*rest);
	size_t n = 0;

	while (n < s.n && is_token_char(s.p[n]))
		n++;
	*rest = skip_cfws(str_from(s, n));
	return str_first(s, n);
}

static bool take_char(struct str *rest, char c)
{
	if (rest->n == 0 || rest->p[0] != c)
		return false;
	*rest = skip_cfws(str_from(*rest, 1));
	return true;
}

/* The inside of a quoted string, escapes as written; `rest` begins behind the quote. */
static struct str take_quoted(struct str *rest, bool *has_escapes)
{
	struct str s = *rest;
	size_t n = 0;

	*has_escapes = false;
	while (n < s.n && s.p[n] != '"') {
		*has_escapes = *has_escapes || s.p[n] == '\\';
		n += s.p[n] == '\\' ? 2 : 1;
	}
	*rest = skip_cfws(str_from(s, n + 1));
	return str_first(s, n);
}

/* Many a boundary stands unquoted though it has "=" in it. */
static struct str take_loose(struct str *rest)
{
	struct str s = *rest;
	size_t n = 0;

	while (n < s.n && s.p[n] != ';' && !ascii_is_space(s.p[n]))
		n++;
	*rest = skip_cfws(str_from(s, n));
	return str_first(s, n);
}

static struct str take_value(struct str *rest, bool *has_escapes)
{
	*has_escapes = false;
	if (rest->n == 0 || rest->p[0] != '"')
		return take_loose(rest);
	*rest = str_from(*rest, 1);
	return take_quoted(rest, has_escapes);
}

/* Past the next ";" outside quotes. */
static bool next_parameter(struct str *rest)
{
	bool ignored = false;

	while (rest->n > 0 && rest->p[0] != ';') {
		if (rest->p[0] == '"') {
			*rest = str_from(*rest, 1);
			(void)take_quoted(rest, &ignored);
		} else {
			*rest = skip_cfws(str_from(*rest, 1));
		}
	}
	return take_char(rest, ';');
}

static void take_boundary(struct mime_type *t, struct str rest)
{
	while (next_parameter(&rest)) {
		bool has_escapes;
		struct str name = take_token(&rest);
		if (!take_char(&rest, '='))
			continue;
		struct str value = take_value(&rest, &has_escapes);
		if (!str_ieq_ascii(name, STR("boundary")) || value.n == 0)
			continue;
		t->boundary = value;
		t->has_escapes = has_escapes;
		return;
	}
}

/* message/global and its kin may be encoded: RFC 6532 section 3.7, RFC 6533 section 3. */
static enum mime_kind message_kind(struct str subtype)
{
	if (str_ieq_ascii(subtype, STR("rfc822")))
		return MIME_MESSAGE;
	return str_ihas_prefix_ascii(subtype, STR("global")) ? MIME_LEAF : MIME_OPAQUE;
}

struct mime_type mime_type_parse(struct str value)
{
	struct mime_type t = { .kind = MIME_LEAF };
	struct str type = take_token(&value), subtype = STR_NONE;

	if (take_char(&value, '/'))
		subtype = take_token(&value);
	if (str_ieq_ascii(type, STR("message"))) {
		t.kind = message_kind(subtype);
	} else if (str_ieq_ascii(type, STR("multipart"))) {
		t.kind = MIME_MULTIPART;
		t.is_digest = str_ieq_ascii(subtype, STR("digest"));
		take_boundary(&t, value);
	}
	return t;
}

enum mime_encoding mime_encoding_parse(struct str value)
{
	struct str word = take_token(&value);

	if (str_ieq_ascii(word, STR("7bit")))
		return MIME_7BIT;
	if (str_ieq_ascii(word, STR("8bit")) || str_ieq_ascii(word, STR("binary")))
		return MIME_8BIT;
	if (str_ieq_ascii(word, STR("quoted-printable")))
		return MIME_QUOTED_PRINTABLE;
	if (str_ieq_ascii(word, STR("base64")))
		return MIME_BASE64;
	return MIME_UNKNOWN;
}
