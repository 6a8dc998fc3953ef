#include "table/texthash_parse.h"

#include "base/limits.h"
#include "mail/domain.h"

void texthash_parser_init(struct texthash_parser *p, struct str text, bool is_utf8)
{
	p->is_utf8 = is_utf8;
	table_lines_init(&p->lines, text);
}

void texthash_parser_fini(struct texthash_parser *p)
{
	table_lines_fini(&p->lines);
}

/* The first blank outside double quotes and not after a backslash. */
static size_t texthash_key_end(struct str line, bool *is_quote_open)
{
	size_t i = 0;

	*is_quote_open = false;
	for (; i < line.n; i++) {
		char c = line.p[i];
		if (c == '\\')
			i++;
		else if (c == '"')
			*is_quote_open = !*is_quote_open;
		else if (ascii_is_space(c) && !*is_quote_open)
			break;
	}
	return i < line.n ? i : line.n;
}

static enum texthash_event texthash_finding(struct texthash_item *item, enum texthash_event event,
					    struct str code, struct str text, struct str remedy)
{
	item->code = code;
	item->text = text;
	item->remedy = remedy;
	return event;
}

static enum texthash_event texthash_split(struct str line, struct texthash_item *item)
{
	bool is_quote_open;
	size_t end = texthash_key_end(line, &is_quote_open);

	if (is_quote_open)
		return texthash_finding(
			item, TEXTHASH_DROPPED, STR("line-quote"),
			STR("this line has no effect: a quote in the key is not closed"),
			STR("close the quote or take it away"));
	item->key = str_first(line, end);
	item->value = str_trim(str_from(line, end));
	if (item->value.n == 0)
		return texthash_finding(item, TEXTHASH_DROPPED, STR("line-format"),
					STR("this line has no effect: a key without a value"),
					STR("write: key, white space, value"));
	if (item->key.p[item->key.n - 1] == ':')
		return texthash_finding(item, TEXTHASH_ENTRY, STR("line-colon"),
					STR("the colon at the end is part of the key"),
					STR("take the colon away; this is no alias file"));
	return TEXTHASH_ENTRY;
}

enum texthash_event texthash_next(struct texthash_parser *p, struct texthash_item *item)
{
	struct str line;

	*item = (struct texthash_item){ .key = STR_NONE };
	if (!table_lines_next(&p->lines, &line, &item->line))
		return TEXTHASH_END;
	if (p->lines.is_too_long || line.n > TABLE_VALUE_MAX)
		return texthash_finding(item, TEXTHASH_UNUSABLE, STR("line-length"),
					STR("an entry is longer than a mebibyte"), STR(""));
	if (str_contains(line, '\0'))
		return texthash_finding(item, TEXTHASH_UNUSABLE, STR("line-nul"),
					STR("there is a NUL octet: this is no text"),
					STR("name the text file, not the one made from it"));
	if (ascii_is_space(line.p[0]))
		return texthash_finding(
			item, TEXTHASH_DROPPED, STR("line-leading-space"),
			STR("this line has no effect: it begins with white space, and "
			    "there is no entry before it to continue"),
			STR("begin the line with the key"));
	if (p->is_utf8 && !domain_is_utf8(line))
		return texthash_finding(item, TEXTHASH_DROPPED, STR("line-utf8"),
					STR("this line has no effect: it is not UTF-8"),
					STR("save the file as UTF-8"));
	return texthash_split(line, item);
}
