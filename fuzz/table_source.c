/* What operators write for tables that ask something else: the first octet chooses between the file
 * of parameters and the templates, which are query, result, key and value, a line each. */

#include "fuzz.h"

#include "table/key_template.h"
#include "table/source_file.h"

static void found(void *arg, const struct table_finding *f)
{
	(void)arg;
	CHECK(f->code.n > 0 && f->text.n > 0 && !f->is_error);
}

static void fuzz_file(struct str text)
{
	static const struct source_name names[] = {
		{ .name = STR_INIT("query") },
		{ .name = STR_INIT("a") },
		{ .name = STR_INIT("password"), .is_secret = true },
	};
	struct table_context c = { .options = { .found = found } };
	struct arena *a = arena_new();
	struct source_file s = {
		.context = &c, .names = names, .n_names = ARRAY_LEN(names), .arena = a
	};
	uint64_t n;
	struct error e;

	source_file_read(&s, text);
	CHECK(s.n_values <= s.n_names);
	for (size_t i = 0; i < s.n_names; i++) {
		struct str value = source_file_get(&s, names[i].name);
		CHECK(value.n <= text.n && str_trim(value).n == value.n);
	}
	CHECK(!source_file_get_int(&s, STR("a"), 2, 2, &n, &e) || n >= 2);
	arena_free(a);
}

/* Every quote doubled. */
static bool add_quoted(void *arg, struct str text, struct buf *out)
{
	size_t *n = arg;

	for (size_t i = 0; i < text.n; i++) {
		bool is_quote = text.p[i] == '\'';
		*n += is_quote;
		if (!buf_add_char(out, text.p[i]) || (is_quote && !buf_add_char(out, '\'')))
			return false;
	}
	return true;
}

static void fuzz_expansion(const struct key_templates *t, struct str key, struct str value)
{
	struct error why = { 0 };
	size_t doubled = 0, at, quotes = 0, of_text = 0;
	const struct key_quote quote = { .add = add_quoted, .arg = &doubled };
	struct buf out;

	buf_init(&out, 64 * 1024);
	if (key_template_query(t, key, &quote, &out) == KEY_EXPANDED) {
		struct str query = buf_str(&out);
		for (size_t i = 0; i < query.n; i++)
			quotes += query.p[i] == '\'';
		for (size_t i = 0; i < t->query.n; i++)
			of_text += t->query.p[i] == '\'';
		CHECK(quotes == of_text + 2 * doubled); /* none of the key is left single */
	}
	buf_reset(&out);
	struct key_results r = { .templates = t, .key = key, .limit = 1, .out = &out };
	CHECK(key_results_add(&r, STR(""), &why) && buf_len(&out) == 0);
	bool fits = key_results_add(&r, value, &why);
	CHECK(fits || why.kind == ERROR_LIMIT);
	CHECK(!fits || r.n == 0 || !key_results_add(&r, value, &why));
	CHECK(!key_template_bare(t->query, &at) || t->has_key);
	buf_fini(&out);
}

/* What is not refused has all parts of the key in its values, and none in its text. */
static void fuzz_params(const struct key_templates *t, struct str key)
{
	size_t ends[KEY_PARAMS_MAX], at, begin = 0;
	struct arena *a = arena_new();
	struct key_params p;
	struct buf out;

	buf_init(&out, 64 * 1024);
	if (key_params_init(&p, a, t->query)) {
		CHECK(p.n <= KEY_PARAMS_MAX && (p.n > 0) == t->has_key);
		CHECK(!key_template_bare(t->query, &at));
		CHECK(p.sql.n <= t->query.n);
		if (key_template_fits(t, key) && key_params_expand(&p, key, &out, ends))
			for (size_t i = 0; i < p.n; begin = ends[i++])
				CHECK(ends[i] >= begin && ends[i] <= buf_len(&out));
	}
	buf_fini(&out);
	arena_free(a);
}

static void fuzz_templates(struct str text)
{
	struct str query, result, key, value;
	struct key_templates t;
	struct error why = { 0 };

	if (!str_cut(text, '\n', &query, &text) || !str_cut(text, '\n', &result, &text) ||
	    !str_cut(text, '\n', &key, &value))
		return;
	if (!key_templates_init(&t, query, result, &why)) {
		CHECK(why.text[0] != '\0');
		return;
	}
	fuzz_expansion(&t, key, value);
	fuzz_params(&t, key);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str text = { (const char *)data, size };

	if (size == 0)
		return 0;
	if (data[0] == 'f')
		fuzz_file(str_from(text, 1));
	else
		fuzz_templates(str_from(text, 1));
	return 0;
}
