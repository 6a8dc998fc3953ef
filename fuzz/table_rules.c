/* The text of pattern tables: the first octet chooses the type, the first line is the key that is
 * looked up. Values are templates too. */

#include "fuzz.h"

#include "table/template.h"
#include "table/type.h"

static struct str fuzz_type(uint8_t octet)
{
	switch (octet) {
	case 'r':
		return STR("regexp");
	case 'p':
		return STR("pcre");
	case 'c':
		return STR("cidr");
	default:
		return STR_NONE;
	}
}

static void fuzz_template(struct str text)
{
	struct str groups[10];
	struct error why;
	struct buf out;
	size_t max;

	for (size_t i = 0; i < ARRAY_LEN(groups); i++)
		groups[i] = STR("group");
	buf_init(&out, 4096);
	if (!template_check(text, &max, &why))
		CHECK(why.text[0] != '\0');
	else if (max < ARRAY_LEN(groups) && template_expand(text, groups, &out))
		CHECK(max > 0 || buf_len(&out) <= text.n);
	buf_fini(&out);
}

/* regcomp() of the C library takes memory without bound for quantifiers upon quantifiers; whoever
 * writes the table can have that, a fuzzer should look for our faults. */
static bool is_heavy(struct str text)
{
	size_t n = 0;

	for (size_t i = 0; i < text.n; i++) {
		bool is_bound = text.p[i] == '{' && i + 1 < text.n && ascii_is_digit(text.p[i + 1]);
		n += text.p[i] == '+' || text.p[i] == '*' || text.p[i] == '?';
		n += is_bound ? 5 : 0;
	}
	return n > 4;
}

/* Rules go in as an inline table: no file, and the parser of braces is met too. */
static void fuzz_rules(struct str type, struct str key, struct str text)
{
	struct arena *a = arena_new();
	struct table_options o = { .is_utf8 = true };
	struct str list = arena_fmt(a, STR_FMT ":{" STR_FMT "}", STR_ARG(type), STR_ARG(text));
	struct table_set *s = table_set_new(STR("p"), list, &o, 0);
	struct table_query q = { .arena = a, .key = key };
	struct answer answer;

	CHECK(table_set_lookup(s, &q, &answer) == NULL);
	CHECK(answer.status != ANSWER_FOUND || answer.value.n > 0);
	CHECK(answer.status != ANSWER_FAILED || answer.failure.n > 0);
	table_set_free(s);
	arena_free(a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str text = { (const char *)data, size }, key;

	if (size == 0)
		return 0;
	struct str type = fuzz_type(data[0]);
	text = str_from(text, 1);
	if (type.p == NULL)
		fuzz_template(text);
	else if (str_cut(text, '\n', &key, &text) && (data[0] != 'r' || !is_heavy(text)))
		fuzz_rules(type, key, text);
	return 0;
}
