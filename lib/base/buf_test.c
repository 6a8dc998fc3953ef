#include "base/buf.h"
#include "base/test.h"

TEST(buf_keeps_its_limit)
{
	struct buf b;

	buf_init(&b, 8);
	ok(buf_add(&b, STR("12345678")), "up to the limit");
	ok(!buf_add_char(&b, '9'), "not one more");
	ok_str(buf_str(&b), STR("12345678"), "a refused add changes nothing");
	buf_consume(&b, 3);
	ok(buf_fmt(&b, "%s", "abc"), "room comes back by consuming");
	ok_str(buf_str(&b), STR("45678abc"), "order is kept");
	ok(!buf_fmt(&b, "%d", 1), "formatted text meets the same limit");
	buf_fini(&b);
}

TEST(buf_grows_and_compacts)
{
	struct buf b;

	buf_init(&b, 1 << 20);
	for (int i = 0; i < 5000; i++) {
		ok(buf_fmt(&b, "%04d,", i), "add");
		if (i % 2)
			buf_consume(&b, 5);
	}
	ok(buf_len(&b) == 2500 * 5, "length after consuming half");
	ok(str_has_prefix(buf_str(&b), STR("2500,")), "front after consuming half");
	ok(str_has_suffix(buf_str(&b), STR("4999,")), "back after consuming half");
	buf_fini(&b);
}

TEST_MAIN(RUN(buf_keeps_its_limit), RUN(buf_grows_and_compacts))
