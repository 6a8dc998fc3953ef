#include "base/test.h"

#include "fact/trace.h"

#define WORDS_MAX 4

static const struct {
	const char *rule;
	struct str words[WORDS_MAX];
	const char *want;
} texts[] = {
	{ "none", { STR_NONE }, "" },
	{ "one word is the text", { STR_INIT("100% sure") }, "100% sure" },
	{ "words in their places", { STR_INIT("% to %"), STR_INIT("a"), STR_INIT("b") }, "a to b" },
	{ "an empty word", { STR_INIT("<%>%"), STR_INIT(""), STR_INIT("x") }, "<>x" },
	{ "a word with a percent sign", { STR_INIT("% %"), STR_INIT("%"), STR_INIT("b") }, "% b" },
};

static size_t count(const struct str *words)
{
	size_t n = 0;

	while (n < WORDS_MAX && words[n].p)
		n++;
	return n;
}

TEST(texts_are_put_together)
{
	FOR_EACH(c, texts) {
		struct arena *a = arena_new();
		struct trace_step s = { .kind = TRACE_RULE };
		struct buf b;

		trace_say(a, &s, c->words, count(c->words));
		ok_str(trace_text(a, &s), str_of(c->want), c->rule);
		buf_init(&b, 100);
		ok(buf_add_char(&b, '=') && trace_text_add(&b, &s), c->rule);
		ok_str(str_from(buf_str(&b), 1), str_of(c->want), c->rule);
		buf_fini(&b);
		arena_free(a);
	}
}

TEST(a_full_buffer_takes_nothing)
{
	struct arena *a = arena_new();
	struct trace_step s = { .kind = TRACE_RULE };
	struct str words[] = { STR("% and %"), STR("this"), STR("that") };
	struct buf b;

	trace_say(a, &s, words, ARRAY_LEN(words));
	buf_init(&b, 5);
	ok(!trace_text_add(&b, &s) && buf_len(&b) == 0, "13 octets do not fit");
	buf_fini(&b);
	arena_free(a);
}

TEST_MAIN(RUN(texts_are_put_together), RUN(a_full_buffer_takes_nothing))
