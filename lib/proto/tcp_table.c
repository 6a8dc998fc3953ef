#include "proto/tcp_table.h"

enum tcp_table_parse tcp_table_take(struct str in, struct str *line, size_t *used)
{
	struct str window = str_first(in, TCP_TABLE_LINE_MAX);
	size_t n;

	if (!str_find(window, '\n', &n)) {
		bool is_bad = in.n >= TCP_TABLE_LINE_MAX || str_contains(window, '\0');
		return is_bad ? TCP_TABLE_PARSE_BAD : TCP_TABLE_PARSE_MORE;
	}
	if (str_contains(str_first(in, n), '\0'))
		return TCP_TABLE_PARSE_BAD;
	*line = str_first(in, n);
	*used = n + 1;
	return TCP_TABLE_PARSE_OK;
}

/* As Postfix takes it, the first digit decides. */
bool tcp_table_reply_parse(struct str line, struct tcp_table_reply *out)
{
	if (line.n < 4 || !ascii_is_digit(line.p[1]) || !ascii_is_digit(line.p[2]) ||
	    line.p[3] != ' ')
		return false;
	if (line.p[0] == '2')
		out->status = TCP_TABLE_FOUND;
	else if (line.p[0] == '4')
		out->status = TCP_TABLE_TRY_LATER;
	else if (line.p[0] == '5')
		out->status = TCP_TABLE_NOT_FOUND;
	else
		return false;
	out->text = str_from(line, 4);
	return true;
}

bool tcp_table_request_parse(struct str line, struct str *key)
{
	if (!str_has_prefix(line, STR("get ")))
		return false;
	*key = str_from(line, 4);
	return true;
}

static int hex_digit(char c)
{
	if (ascii_is_digit(c))
		return c - '0';
	c = ascii_lower(c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The octet that a text begins with; -1: none that may be there. */
static int decode_one(struct str text, size_t *used)
{
	*used = 1;
	if (text.p[0] != '%')
		return (unsigned char)text.p[0];
	if (text.n < 3 || hex_digit(text.p[1]) < 0 || hex_digit(text.p[2]) < 0)
		return -1;
	*used = 3;
	return hex_digit(text.p[1]) * 16 + hex_digit(text.p[2]);
}

bool tcp_table_decode(struct buf *out, struct str text)
{
	size_t used;

	for (; text.n > 0; text = str_from(text, used)) {
		int octet = decode_one(text, &used);
		if (octet <= 0 || !buf_add_char(out, (char)octet))
			return false;
	}
	return true;
}

static bool is_plain(char c)
{
	return c > ' ' && c < 127 && c != '%';
}

static size_t encoded_len(struct str text)
{
	size_t n = text.n;

	for (size_t i = 0; i < text.n; i++)
		n += is_plain(text.p[i]) ? 0 : 2;
	return n;
}

static bool encode_one(struct buf *out, char c)
{
	return is_plain(c) ? buf_add_char(out, c) : buf_fmt(out, "%%%02X", (unsigned char)c);
}

static bool tcp_table_add(struct buf *out, struct str word, struct str text)
{
	size_t n = word.n + 1 + encoded_len(text) + 1;
	bool fits = n <= TCP_TABLE_LINE_MAX && n <= buf_room(out);

	if (!fits)
		return false;
	fits = buf_add(out, word) && buf_add_char(out, ' ');
	for (size_t i = 0; i < text.n; i++)
		fits = fits && encode_one(out, text.p[i]);
	fits = fits && buf_add_char(out, '\n');
	CHECK(fits);
	return true;
}

bool tcp_table_request_add(struct buf *out, struct str key)
{
	return tcp_table_add(out, STR("get"), key);
}

static struct str status_code(enum tcp_table_status status)
{
	switch (status) {
	case TCP_TABLE_FOUND:
		return STR("200");
	case TCP_TABLE_TRY_LATER:
		return STR("400");
	case TCP_TABLE_NOT_FOUND:
		return STR("500");
	}
	CHECK(!"a status");
	return STR("");
}

bool tcp_table_reply_add(struct buf *out, const struct tcp_table_reply *r)
{
	return tcp_table_add(out, status_code(r->status), r->text);
}
