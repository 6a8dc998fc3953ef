#include "base/page.h"

#define LABEL 13 /* width of the first column */

static const struct str sequences[] = {
	[PAGE_PLAIN] = STR_INIT(""),         [PAGE_STRONG] = STR_INIT("\033[1m"),
	[PAGE_GOOD] = STR_INIT("\033[32m"),  [PAGE_WARNING] = STR_INIT("\033[33m"),
	[PAGE_BAD] = STR_INIT("\033[1;31m"),
};

static bool page_begin(struct page *p, enum page_style style)
{
	return !p->has_color || buf_add(p->out, sequences[style]);
}

static bool page_end(struct page *p, enum page_style style)
{
	return !p->has_color || style == PAGE_PLAIN || buf_add(p->out, STR("\033[0m"));
}

/* Octets that a terminal shows, and "?" for each character that it would obey. */
static bool page_add(struct page *p, struct str text)
{
	while (text.n > 0) {
		size_t n = str_shown_len(text);

		if (!buf_add(p->out, str_first(text, n)))
			return false;
		text = str_from(text, n);
		if (text.n == 0)
			break;
		n = str_utf8_len(text);
		text = str_from(text, n > 0 ? n : 1);
		if (!buf_add_char(p->out, '?'))
			return false;
	}
	return true;
}

/* Characters, where each takes one column: octets but for those that go on in UTF-8. */
static size_t page_width(struct str text)
{
	size_t n = 0;

	for (size_t i = 0; i < text.n; i++)
		n += ((unsigned char)text.p[i] & 0xc0) != 0x80;
	return n;
}

static bool page_blanks(struct page *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!buf_add_char(p->out, ' '))
			return false;
	return true;
}

/* Styles end with their line: what a pager shows from the middle is still right. */
static bool page_break(struct page *p, size_t hang, enum page_style style)
{
	return page_end(p, style) && buf_add_char(p->out, '\n') && page_blanks(p, hang) &&
	       page_begin(p, style);
}

bool page_words(struct page *p, struct str label, size_t indent, size_t hang, enum page_style style,
		struct str text)
{
	size_t width = page_width(label), at = width < indent ? indent : width;
	bool is_first = true;
	struct str word;

	if (!page_add(p, label))
		return false;
	while (str_token(&text, STR(" \t\r\n"), &word)) {
		size_t n = page_width(word);

		if (is_first && (!page_blanks(p, at - width) || !page_begin(p, style)))
			return false;
		if (!is_first && at + 1 + n > p->columns) {
			if (!page_break(p, hang, style))
				return false;
			at = hang;
		} else if (!is_first) {
			if (!buf_add_char(p->out, ' '))
				return false;
			at++;
		}
		if (!page_add(p, word))
			return false;
		at += n;
		is_first = false;
	}
	return (is_first || page_end(p, style)) && buf_add_char(p->out, '\n');
}

bool page_row(struct page *p, const char *label, enum page_style style, struct str text)
{
	return page_words(p, str_of(label), LABEL, LABEL, style, text);
}

bool page_heading(struct page *p, const char *text)
{
	return buf_add_char(p->out, '\n') &&
	       page_words(p, STR(""), 0, 0, PAGE_STRONG, str_of(text));
}
