#include "base/error.h"
#include "base/test.h"

TEST(error_prefix_goes_before)
{
	struct error e = { 0 };

	ok(!error_set(&e, ERROR_CONFIG, "bad %s", "value"), "set returns false");
	ok(!error_prefix(&e, "%s, line %d", "main.cf", 3), "prefix returns false");
	ok_str(error_text(&e), STR("main.cf, line 3: bad value"), "text");
	ok(e.kind == ERROR_CONFIG, "the kind stays");
	ok(!error_set(NULL, ERROR_IO, "nobody listens"), "NULL is allowed");
}

TEST_MAIN(RUN(error_prefix_goes_before))
