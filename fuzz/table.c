/* The text of texthash tables and the body of inline ones: the first octet chooses. What a parser
 * gives must keep the promises of its header. */

#include "fuzz.h"

#include "table/braces.h"
#include "table/texthash.h"
#include "table/texthash_parse.h"

static bool has_blank_ends(struct str s)
{
	return s.n > 0 && (ascii_is_space(s.p[0]) || ascii_is_space(s.p[s.n - 1]));
}

static size_t fuzz_parse(struct str text, bool is_utf8, bool *is_unusable)
{
	struct texthash_parser p;
	struct texthash_item item;
	enum texthash_event event;
	unsigned line = 0;
	size_t n = 0;

	texthash_parser_init(&p, text, is_utf8);
	while ((event = texthash_next(&p, &item)) != TEXTHASH_END) {
		CHECK(item.line > line);
		line = item.line;
		CHECK(event == TEXTHASH_ENTRY || item.code.n > 0);
		*is_unusable |= event == TEXTHASH_UNUSABLE;
		if (event != TEXTHASH_ENTRY)
			continue;
		CHECK(item.key.n > 0 && item.value.n > 0);
		CHECK(!ascii_is_space(item.key.p[0]) && !has_blank_ends(item.value));
		n++;
	}
	texthash_parser_fini(&p);
	return n;
}

static void fuzz_texthash(struct str text, bool is_utf8)
{
	bool is_unusable = false;
	size_t n = fuzz_parse(text, is_utf8, &is_unusable);
	struct textload *l = textload_text(&texthash_kind, text, STR("/table"), is_utf8);

	CHECK(!is_unusable || l->content == NULL);
	CHECK((l->content == NULL) == (l->why_not.kind != ERROR_NONE));
	CHECK(l->content == NULL || table_map_count(l->content) == n);
	for (size_t i = 0; l->content != NULL && i < n; i++) {
		struct table_map_entry at = table_map_at(l->content, i), found;
		CHECK(table_map_find(l->content, at.key, &found));
		CHECK(found.line == at.line && str_eq(found.value, at.value));
	}
	textload_free(l);
}

static void fuzz_inline(struct str body)
{
	struct str rest, name, value, problem;
	enum table_pair pair;

	if (!table_unbrace(body, &rest))
		return;
	while ((pair = table_pair_next(&rest, &name, &value, &problem)) == TABLE_PAIR) {
		CHECK(name.n > 0 && !str_contains(name, '=') && !has_blank_ends(name));
		CHECK(!has_blank_ends(value));
	}
	CHECK(pair == TABLE_PAIR_END || problem.n > 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str text = { (const char *)data, size };

	if (size == 0)
		return 0;
	text = str_from(text, 1);
	if (data[0] == 'i')
		fuzz_inline(text);
	else
		fuzz_texthash(text, data[0] == 'u');
	return 0;
}
