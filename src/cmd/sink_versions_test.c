#include "base/test.h"
#include "cmd/sink_versions.h"

static const struct {
	struct str text;
	tls_versions want; /* 0: refused */
} cases[] = {
	{ STR_INIT("1.2"), 4 },      { STR_INIT("TLSv1.3"), 8 },    { STR_INIT("1.0-1.2"), 7 },
	{ STR_INIT("1.1,1.3"), 10 }, { STR_INIT("TLSv1, 1.2"), 5 }, { STR_INIT("1.3-1.2"), 0 },
	{ STR_INIT("1.4"), 0 },      { STR_INIT(""), 0 },           { STR_INIT("SSLv3"), 0 },
	{ STR_INIT("1.2-"), 0 },     { STR_INIT("1.2,x"), 0 },      { STR_INIT("1.2x"), 0 },
};

TEST(versions)
{
	FOR_EACH(c, cases) {
		struct str text = test_exact(c->text);
		tls_versions got = 0;

		ok(cmd_sink_versions_parse(text, &got) == (c->want != 0), c->text.p);
		ok(c->want == 0 || got == c->want, c->text.p);
		free((void *)text.p);
	}
}

TEST_MAIN(RUN(versions))
