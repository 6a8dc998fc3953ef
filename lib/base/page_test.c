#include "base/page.h"

#include "base/test.h"

static const struct {
	const char *rule;
	size_t columns;
	bool has_color;
	struct str label;
	size_t indent, hang;
	enum page_style style;
	struct str text, want;
} cases[] = {
	{ "a label and words", 20, false, STR_INIT("to"), 4, 4, PAGE_GOOD, STR_INIT("a  b\tc"),
	  STR_INIT("to  a b c\n") },
	{ "the last column is used", 9, false, STR_INIT(""), 0, 2, PAGE_PLAIN,
	  STR_INIT("abcd efgh ij"), STR_INIT("abcd efgh\n  ij\n") },
	{ "one more is too many", 8, false, STR_INIT(""), 0, 2, PAGE_PLAIN,
	  STR_INIT("abcd efgh ij"), STR_INIT("abcd\n  efgh\n  ij\n") },
	{ "a long word stands alone", 6, false, STR_INIT(""), 0, 1, PAGE_PLAIN,
	  STR_INIT("a bcdefghij k"), STR_INIT("a\n bcdefghij\n k\n") },
	{ "a long label", 20, false, STR_INIT("too long:"), 4, 4, PAGE_PLAIN, STR_INIT("a b"),
	  STR_INIT("too long:a b\n") },
	{ "no words", 20, true, STR_INIT("label"), 9, 9, PAGE_BAD, STR_INIT(" "),
	  STR_INIT("label\n") },
	{ "a style ends with its line", 5, true, STR_INIT(""), 0, 1, PAGE_GOOD, STR_INIT("abc def"),
	  STR_INIT("\033[32mabc\033[0m\n \033[32mdef\033[0m\n") },
	{ "plain has no sequence", 9, true, STR_INIT(""), 0, 1, PAGE_PLAIN, STR_INIT("abc def"),
	  STR_INIT("abc def\n") },
	{ "columns are characters", 7, false, STR_INIT(""), 0, 1, PAGE_PLAIN,
	  STR_INIT("\xc3\xa4\xc3\xb6\xc3\xbc def"), STR_INIT("\xc3\xa4\xc3\xb6\xc3\xbc def\n") },
	{ "nothing drives the terminal", 40, true, STR_INIT("\033"), 0, 1, PAGE_PLAIN,
	  STR_INIT("a\033[31mb \x07 \xc2\x9b \xff"), STR_INIT("?a?[31mb ? ? ?\n") },
};

TEST(page_words)
{
	FOR_EACH(c, cases) {
		struct buf out;
		struct page p = { &out, c->columns, c->has_color };

		buf_init(&out, 1024);
		ok(page_words(&p, c->label, c->indent, c->hang, c->style, c->text), c->rule);
		ok_str(buf_str(&out), c->want, c->rule);
		buf_fini(&out);
		for (size_t limit = 0; limit < c->want.n; limit++) {
			buf_init(&out, limit);
			ok(!page_words(&p, c->label, c->indent, c->hang, c->style, c->text),
			   "a smaller buffer is too small");
			buf_fini(&out);
		}
	}
}

TEST(rows_and_headings)
{
	struct buf out;
	struct page p = { &out, 20, false };

	buf_init(&out, 1024);
	ok(page_row(&p, "label", PAGE_PLAIN, STR("some words")) && page_heading(&p, "head"), "fit");
	ok_str(buf_str(&out), STR("label        some\n             words\n\nhead\n"), "text");
	buf_fini(&out);
}

TEST_MAIN(RUN(page_words), RUN(rows_and_headings))
