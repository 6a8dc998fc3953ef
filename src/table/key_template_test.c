#include "base/test.h"
#include "table/key_template.h"

/* Every quote doubled, as SQL wants it. */
static bool double_quotes(void *arg, struct str text, struct buf *out)
{
	(void)arg;
	for (size_t i = 0; i < text.n; i++)
		if (!buf_add_char(out, text.p[i]) ||
		    (text.p[i] == '\'' && !buf_add_char(out, '\'')))
			return false;
	return true;
}

static const struct key_quote sql_quote = { .add = double_quotes };

static struct key_templates templates(const char *rule, struct str query, struct str result)
{
	struct key_templates t;
	struct error why = { 0 };

	if (!key_templates_init(&t, query, result, &why))
		fail_msg("%s: %s", rule, why.text);
	return t;
}

TEST(key_template_query)
{
	static const struct {
		const char *rule;
		struct str query, key, want; /* .p NULL: skipped */
	} cases[] = {
		{ "the key", STR_INIT("a='%s'"), STR_INIT("k"), STR_INIT("a='k'") },
		{ "twice", STR_INIT("%s%s"), STR_INIT("k"), STR_INIT("kk") },
		{ "percent", STR_INIT("%% %%s %s"), STR_INIT("k"), STR_INIT("% %s k") },
		{ "nothing of the key", STR_INIT("x"), STR_INIT("k"), STR_INIT("x") },
		{ "quoted", STR_INIT("'%s'"), STR_INIT("o'k'"), STR_INIT("'o''k'''") },
		{ "the text itself is not", STR_INIT("'%S'"), STR_INIT("k"), STR_INIT("'k'") },
		{ "local part", STR_INIT("%u"), STR_INIT("u@d"), STR_INIT("u") },
		{ "local part of no address", STR_INIT("%u"), STR_INIT("k"), STR_INIT("k") },
		{ "the last @ counts", STR_INIT("%u|%d"), STR_INIT("a@b@c"), STR_INIT("a@b|c") },
		{ "domain", STR_INIT("%d"), STR_INIT("u@d.e"), STR_INIT("d.e") },
		{ "domain of no address", STR_INIT("%d"), STR_INIT("d.e"), { NULL, 0 } },
		{ "no domain after the @", STR_INIT("%d"), STR_INIT("u@"), { NULL, 0 } },
		{ "but the local part is there", STR_INIT("%u"), STR_INIT("u@"), STR_INIT("u") },
		{ "no local part", STR_INIT("%u"), STR_INIT("@d"), { NULL, 0 } },
		{ "but the domain is there", STR_INIT("%d"), STR_INIT("@d"), STR_INIT("d") },
		{ "%s of both", STR_INIT("%s"), STR_INIT("@"), STR_INIT("@") },
		{ "capitals are the same here", STR_INIT("%S %U %D"), STR_INIT("u@d"),
		  STR_INIT("u@d u d") },
		{ "labels from the right", STR_INIT("%1 %2 %3"), STR_INIT("u@mail.example.com"),
		  STR_INIT("com example mail") },
		{ "the parts of a longer domain", STR_INIT("%2.%1"), STR_INIT("u@a.b.c.d"),
		  STR_INIT("c.d") },
		{ "too few labels", STR_INIT("%3"), STR_INIT("u@example.com"), { NULL, 0 } },
		{ "no address, no labels", STR_INIT("%1"), STR_INIT("example.com"), { NULL, 0 } },
		{ "an empty label is none", STR_INIT("%2"), STR_INIT("u@a..b."), STR_INIT("a") },
		{ "dots alone", STR_INIT("%1"), STR_INIT("u@.."), { NULL, 0 } },
		{ "no key", STR_INIT("%s"), STR_INIT(""), { NULL, 0 } },
		{ "no key, and none asked for", STR_INIT("x"), STR_INIT(""), { NULL, 0 } },
	};

	FOR_EACH(c, cases) {
		struct str query = test_exact(c->query), key = test_exact(c->key);
		struct key_templates t = templates(c->rule, query, STR("%s"));
		struct buf out;
		buf_init(&out, 1000);
		enum key_expansion got = key_template_query(&t, key, &sql_quote, &out);
		ok(got == (c->want.p ? KEY_EXPANDED : KEY_SKIPPED), c->rule);
		ok_str(buf_str(&out), c->want, c->rule);
		buf_fini(&out);
		free((char *)query.p);
		free((char *)key.p);
	}
}

TEST(key_template_needs_of_the_result_skip_the_query)
{
	static const struct {
		const char *rule;
		struct str result, key;
		enum key_expansion want;
	} cases[] = {
		{ "%d is of the value", STR_INIT("%d"), STR_INIT("k"), KEY_EXPANDED },
		{ "%D is of the key", STR_INIT("%D"), STR_INIT("k"), KEY_SKIPPED },
		{ "and it is there", STR_INIT("%D"), STR_INIT("u@d"), KEY_EXPANDED },
		{ "%u is of the value", STR_INIT("%u"), STR_INIT("@d"), KEY_EXPANDED },
		{ "%U is of the key", STR_INIT("%U"), STR_INIT("@d"), KEY_SKIPPED },
		{ "%2 is of the key", STR_INIT("%2"), STR_INIT("u@d"), KEY_SKIPPED },
	};

	FOR_EACH(c, cases) {
		struct key_templates t = templates(c->rule, STR("%s"), c->result);
		struct buf out;
		buf_init(&out, 1000);
		ok(key_template_query(&t, c->key, NULL, &out) == c->want, c->rule);
		buf_fini(&out);
	}
}

TEST(key_results)
{
	static const struct {
		const char *rule;
		struct str result, key;
		struct str values[4];
		struct str want;
	} cases[] = {
		{ "one", STR_INIT("%s"), STR_INIT("k"), { STR_INIT("a") }, STR_INIT("a") },
		{ "several",
		  STR_INIT("%s"),
		  STR_INIT("k"),
		  { STR_INIT("a"), STR_INIT("b"), STR_INIT("c") },
		  STR_INIT("a,b,c") },
		{ "empty ones do not count",
		  STR_INIT("%s"),
		  STR_INIT("k"),
		  { STR_INIT(""), STR_INIT("b"), STR_INIT("") },
		  STR_INIT("b") },
		{ "around them",
		  STR_INIT("smtp:[%s]"),
		  STR_INIT("k"),
		  { STR_INIT("a"), STR_INIT("b") },
		  STR_INIT("smtp:[a],smtp:[b]") },
		{ "nothing of the value",
		  STR_INIT("%%x"),
		  STR_INIT("k"),
		  { STR_INIT("a") },
		  STR_INIT("%x") },
		{ "parts of the value",
		  STR_INIT("%u at %d"),
		  STR_INIT("k"),
		  { STR_INIT("a@b"), STR_INIT("bare"), STR_INIT("@c"), STR_INIT("d@") },
		  STR_INIT("a at b") },
		{ "parts of the key",
		  STR_INIT("%s %S %U %D %2"),
		  STR_INIT("u@x.y"),
		  { STR_INIT("v") },
		  STR_INIT("v u@x.y u x.y x") },
		{ "nothing is quoted",
		  STR_INIT("%s%S"),
		  STR_INIT("k'"),
		  { STR_INIT("a'") },
		  STR_INIT("a'k'") },
	};
	struct error why;

	FOR_EACH(c, cases) {
		struct key_templates t = templates(c->rule, STR("%s"), c->result);
		struct buf out;
		buf_init(&out, 1000);
		struct key_results r = { .templates = &t, .key = c->key, .out = &out };
		for (size_t i = 0; i < 4 && c->values[i].p != NULL; i++)
			ok(key_results_add(&r, c->values[i], &why), c->rule);
		ok_str(buf_str(&out), c->want, c->rule);
		buf_fini(&out);
	}
}

TEST(key_results_limits)
{
	struct key_templates t = templates("t", STR("%s"), STR("%s"));
	struct error why = { 0 };
	struct buf out;

	buf_init(&out, 1000);
	struct key_results r = { .templates = &t, .key = STR("k"), .limit = 2, .out = &out };
	ok(key_results_add(&r, STR("a"), &why) && key_results_add(&r, STR_NONE, &why), "first");
	ok(key_results_add(&r, STR("b"), &why), "as many as the limit; none does not count");
	ok(!key_results_add(&r, STR("c"), &why) && why.kind == ERROR_LIMIT, "one more");
	buf_fini(&out);
	for (size_t limit = 0; limit < 7; limit++) {
		buf_init(&out, limit);
		r = (struct key_results){ .templates = &t, .key = STR("k"), .out = &out };
		bool fits = key_results_add(&r, STR("abc"), &why) &&
			    key_results_add(&r, STR("def"), &why);
		ok(!fits && why.kind == ERROR_LIMIT, "past the limit of the buffer");
		buf_fini(&out);
		buf_init(&out, limit);
		ok(key_template_query(&t, STR("abcdefg"), &sql_quote, &out) == KEY_FAILED, "query");
		buf_fini(&out);
	}
}

TEST(key_templates_that_are_wrong)
{
	static const struct {
		struct str query, result, want;
	} cases[] = {
		{ STR_INIT(""), STR_INIT("%s"), STR_INIT("the query: it is empty") },
		{ STR_INIT("x"), STR_INIT(""), STR_INIT("the result format: it is empty") },
		{ STR_INIT("%x"), STR_INIT("%s"),
		  STR_INIT("the query: \"%x\" means nothing; \"%%\" is one \"%\"") },
		{ STR_INIT("%0"), STR_INIT("%s"),
		  STR_INIT("the query: \"%0\" means nothing; \"%%\" is one \"%\"") },
		{ STR_INIT("%\0x"), STR_INIT("%s"),
		  STR_INIT("the query: \"%?\" means nothing; \"%%\" is one \"%\"") },
		{ STR_INIT("a%"), STR_INIT("%s"),
		  STR_INIT("the query: it ends in a single \"%\"") },
		{ STR_INIT("%s"), STR_INIT("%%%"),
		  STR_INIT("the result format: it ends in a single \"%\"") },
		{ STR_INIT("LIKE '%example'"), STR_INIT("%s"),
		  STR_INIT("the query: \"%e\" means nothing; \"%%\" is one \"%\"") },
	};

	FOR_EACH(c, cases) {
		struct str query = test_exact(c->query), result = test_exact(c->result);
		struct key_templates t;
		struct error why = { 0 };
		ok(!key_templates_init(&t, query, result, &why), c->want.p);
		ok_str(error_text(&why), c->want, c->want.p);
		free((char *)query.p);
		free((char *)result.p);
	}
}

TEST(key_templates_has_key)
{
	ok(templates("t", STR("x = '%s'"), STR("%s")).has_key, "%s");
	ok(templates("t", STR("x = '%1'"), STR("%s")).has_key, "%1");
	ok(!templates("t", STR("x = '%%s'"), STR("%S")).has_key, "neither %% nor the result");
}

TEST(key_template_bare)
{
	static const struct {
		const char *rule;
		struct str query;
		bool want;
		size_t at;
	} cases[] = {
		{ "quoted", STR_INIT("x = '%s'"), false, 0 },
		{ "bare", STR_INIT("x = %s"), true, 4 },
		{ "bare after a quoted one", STR_INIT("'%s' '%u' %d"), true, 10 },
		{ "a doubled quote", STR_INIT("'it''s %s'"), false, 0 },
		{ "a percent sign is no key", STR_INIT("5 %% 2"), false, 0 },
		{ "double quotes are names", STR_INIT("\"%s\""), true, 1 },
		{ "an end", STR_INIT("%"), false, 0 },
	};

	FOR_EACH(c, cases) {
		struct str query = test_exact(c->query);
		size_t at = 0;
		ok(key_template_bare(query, &at) == c->want && at == c->at, c->rule);
		free((char *)query.p);
	}
}

TEST(key_params)
{
	static const struct {
		const char *rule;
		struct str query, sql,
			values; /* with key u@d.e: "value|value|"; sql.p NULL: refused */
	} cases[] = {
		{ "one", STR_INIT("k = '%s' AND x"), STR_INIT("k = ? AND x"), STR_INIT("u@d.e|") },
		{ "text around the part", STR_INIT("k LIKE '%u%%'"), STR_INIT("k LIKE ?"),
		  STR_INIT("u%|") },
		{ "several", STR_INIT("'%u' 'it''s %1.%2' || 'x'"), STR_INIT("? ? || 'x'"),
		  STR_INIT("u|it's e.d|") },
		{ "no part in it", STR_INIT("a = 'it''s 5%%' + 5 %% 2"),
		  STR_INIT("a = 'it''s 5%' + 5 % 2"), STR_INIT("") },
		{ "empty texts", STR_INIT("'' '%s' ''"), STR_INIT("'' ? ''"), STR_INIT("u@d.e|") },
		{ "outside of quotes", STR_INIT("k = %s"), { NULL, 0 }, { NULL, 0 } },
		{ "after a quote that belongs elsewhere",
		  STR_INIT("\"it's\" = '%s'"),
		  { NULL, 0 },
		  { NULL, 0 } },
		{ "not closed", STR_INIT("k = '%s"), { NULL, 0 }, { NULL, 0 } },
		{ "too many",
		  STR_INIT("'%s' '%s' '%s' '%s' '%s' '%s' '%s' '%s' '%s' '%s' '%s' '%s' '%s' '%s' "
			   "'%s' '%s' '%s' '%s'"),
		  { NULL, 0 },
		  { NULL, 0 } },
	};

	FOR_EACH(c, cases) {
		struct arena *a = arena_new();
		struct str query = test_exact(c->query), values = STR("");
		struct key_params p;
		size_t ends[KEY_PARAMS_MAX], begin = 0;
		struct buf out;
		ok(key_params_init(&p, a, query) == (c->sql.p != NULL), c->rule);
		buf_init(&out, 1000);
		ok(c->sql.p == NULL || key_params_expand(&p, STR("u@d.e"), &out, ends), c->rule);
		for (size_t i = 0; c->sql.p != NULL && i < p.n; begin = ends[i++])
			values = arena_fmt(a, STR_FMT STR_FMT "|", STR_ARG(values),
					   STR_ARG(str_span(buf_str(&out).p + begin,
							    ends[i] - begin)));
		if (c->sql.p != NULL)
			ok_str(p.sql, c->sql, c->rule);
		ok_str(values, c->values, c->rule);
		buf_fini(&out);
		free((char *)query.p);
		arena_free(a);
	}
}

TEST_MAIN(RUN(key_template_query), RUN(key_template_needs_of_the_result_skip_the_query),
	  RUN(key_results), RUN(key_results_limits), RUN(key_templates_that_are_wrong),
	  RUN(key_templates_has_key), RUN(key_template_bare), RUN(key_params))
