#include "proto/socketmap.h"

#include <stdio.h>

/* Of a length: leading zeros have no end. */
#define LENGTH_DIGITS_MAX 10

enum socketmap_parse socketmap_take(struct str in, size_t max, struct str *payload, size_t *used)
{
	size_t length = 0, i = 0;

	for (; i < in.n && ascii_is_digit(in.p[i]); i++) {
		if (i == LENGTH_DIGITS_MAX)
			return SOCKETMAP_PARSE_BAD;
		length = length * 10 + (size_t)(in.p[i] - '0');
		if (length > max)
			return SOCKETMAP_PARSE_BAD;
	}
	if (i == in.n)
		return SOCKETMAP_PARSE_MORE;
	if (i == 0 || in.p[i] != ':')
		return SOCKETMAP_PARSE_BAD;
	in = str_from(in, i + 1);
	if (in.n <= length)
		return SOCKETMAP_PARSE_MORE;
	if (in.p[length] != ',')
		return SOCKETMAP_PARSE_BAD;
	*payload = str_first(in, length);
	*used = i + 1 + length + 1;
	return SOCKETMAP_PARSE_OK;
}

static const struct str status_names[] = {
	[SOCKETMAP_FOUND] = STR_INIT("OK"),  [SOCKETMAP_NOT_FOUND] = STR_INIT("NOTFOUND"),
	[SOCKETMAP_TEMP] = STR_INIT("TEMP"), [SOCKETMAP_TIMEOUT] = STR_INIT("TIMEOUT"),
	[SOCKETMAP_PERM] = STR_INIT("PERM"),
};

bool socketmap_request_parse(struct str payload, struct socketmap_request *out)
{
	return str_cut(payload, ' ', &out->map, &out->key);
}

bool socketmap_reply_parse(struct str payload, struct socketmap_reply *out)
{
	struct str name = payload;

	out->text = STR("");
	(void)!str_cut(payload, ' ', &name, &out->text);
	for (size_t i = 0; i < ARRAY_LEN(status_names); i++) {
		if (str_eq(name, status_names[i])) {
			out->status = (enum socketmap_status)i;
			return true;
		}
	}
	return false;
}

static bool socketmap_add(struct buf *out, struct str word, struct str text)
{
	size_t length = word.n + 1 + text.n;
	char head[32];
	int n = snprintf(head, sizeof(head), "%zu:", length);
	bool fits = (size_t)n + length + 1 <= buf_room(out);

	if (!fits)
		return false;
	fits = buf_add(out, str_span(head, (size_t)n)) && buf_add(out, word) &&
	       buf_add_char(out, ' ') && buf_add(out, text) && buf_add_char(out, ',');
	CHECK(fits);
	return true;
}

bool socketmap_request_add(struct buf *out, const struct socketmap_request *r)
{
	return socketmap_add(out, r->map, r->key);
}

bool socketmap_reply_add(struct buf *out, const struct socketmap_reply *r)
{
	return socketmap_add(out, status_names[r->status], r->text);
}
