#include "conf/lines.h"

#include "base/test.h"

/* Each logical line as "LINE:text|"; an indented one as "LINE>text|". */
static struct str read_all(struct arena *a, struct str text)
{
	struct conf_lines lines = { .rest = text };
	struct conf_logical l;
	struct str all = STR("");

	while (conf_lines_next(&lines, a, &l))
		all = arena_fmt(a, STR_FMT "%u%c" STR_FMT "|", STR_ARG(all), l.line,
				l.is_indented ? '>' : ':', STR_ARG(l.text));
	return all;
}

static const struct {
	const char *rule;
	struct str text, want;
} line_cases[] = {
	{ "nothing", STR_INIT(""), STR_INIT("") },
	{ "one line", STR_INIT("a = b\n"), STR_INIT("1:a = b|") },
	{ "no line end at the end", STR_INIT("a = b"), STR_INIT("1:a = b|") },
	{ "blank lines and comments", STR_INIT("\n  \n# c\n \t# d\na\n#e"), STR_INIT("5:a|") },
	{ "white space continues", STR_INIT("a = b\n  c\n\td\ne\n"),
	  STR_INIT("1:a = b  c\td|4:e|") },
	{ "a comment inside does not end it", STR_INIT("a\n# x\n b\n"), STR_INIT("1:a b|") },
	{ "an indented comment is no continuation", STR_INIT("a\n  # x\n b\n"),
	  STR_INIT("1:a b|") },
	{ "a blank line inside does not end it", STR_INIT("a\n\n b\nc\n"), STR_INIT("1:a b|4:c|") },
	{ "a comment, then a new line", STR_INIT("a\n# x\nb\n"), STR_INIT("1:a|3:b|") },
	{ "\"#\" later in a line is text", STR_INIT("a = #b\n c # d\n"),
	  STR_INIT("1:a = #b c # d|") },
	{ "indented at the beginning", STR_INIT(" a\n b\nc\n"), STR_INIT("1> a b|3:c|") },
	{ "CRLF", STR_INIT("a = b\r\n c\r\nd\r\n"), STR_INIT("1:a = b\r c\r|3:d\r|") },
	{ "CR alone on a line is blank", STR_INIT("a\r\n\r\n b\r\n"), STR_INIT("1:a\r b\r|") },
	{ "vertical tab and form feed are white space", STR_INIT("a\n\vb\n\fc\n"),
	  STR_INIT("1:a\vb\fc|") },
	{ "other octets are text", STR_INIT("\xc3\xa4 = \xff\n"), STR_INIT("1:\xc3\xa4 = \xff|") },
};

TEST(logical_lines)
{
	FOR_EACH(c, line_cases) {
		struct arena *a = arena_new();
		struct str exact = test_exact(c->text);
		ok_str(read_all(a, exact), c->want, c->rule);
		free((char *)exact.p);
		arena_free(a);
	}
}

TEST(every_prefix_is_read_to_its_end)
{
	FOR_EACH(c, line_cases) {
		for (size_t n = 0; n <= c->text.n; n++) {
			struct arena *a = arena_new();
			struct str exact = test_exact(str_first(c->text, n));
			(void)read_all(a, exact);
			free((char *)exact.p);
			arena_free(a);
		}
	}
}

static const struct {
	const char *rule;
	struct str text;
	enum conf_split want;
	struct str name, value;
} split_cases[] = {
	{ "blanks around =", STR_INIT("a = b"), CONF_SPLIT_OK, STR_INIT("a"), STR_INIT("b") },
	{ "no blanks", STR_INIT("a=b"), CONF_SPLIT_OK, STR_INIT("a"), STR_INIT("b") },
	{ "no value", STR_INIT("a ="), CONF_SPLIT_OK, STR_INIT("a"), STR_INIT("") },
	{ "blanks only", STR_INIT("a = \t\r\n"), CONF_SPLIT_OK, STR_INIT("a"), STR_INIT("") },
	{ "trimmed at both ends", STR_INIT(" a  =  b c  "), CONF_SPLIT_OK, STR_INIT("a"),
	  STR_INIT("b c") },
	{ "= in the value", STR_INIT("a = b = c"), CONF_SPLIT_OK, STR_INIT("a"),
	  STR_INIT("b = c") },
	{ "any octet makes a name", STR_INIT("a-b.c=d"), CONF_SPLIT_OK, STR_INIT("a-b.c"),
	  STR_INIT("d") },
	{ "no =", STR_INIT("a b"), CONF_SPLIT_NO_EQUALS },
	{ "a name has no blank", STR_INIT("a b = c"), CONF_SPLIT_NO_EQUALS },
	{ "a name alone", STR_INIT("a"), CONF_SPLIT_NO_EQUALS },
	{ "no name", STR_INIT("= b"), CONF_SPLIT_NO_NAME },
	{ "nothing", STR_INIT(""), CONF_SPLIT_NO_NAME },
};

TEST(name_and_value)
{
	FOR_EACH(c, split_cases) {
		struct str name = STR_NONE, value = STR_NONE, exact = test_exact(c->text);
		ok(conf_split(exact, &name, &value) == c->want, c->rule);
		ok_str(name, c->name, c->rule);
		ok_str(value, c->value, c->rule);
		free((char *)exact.p);
	}
}

TEST_MAIN(RUN(logical_lines), RUN(every_prefix_is_read_to_its_end), RUN(name_and_value))
