/* main.cf with what listeners are set up from: it is refused with a reason, or has addresses. */

#include "fuzz.h"

#include "listen/listen.h"

static struct conf *conf_of(struct str text)
{
	struct conf_source s = { STR("main.cf"), text };
	struct conf_machine m = { .hostname = STR("mx.example") };
	struct arena *a = arena_new();
	struct conf_findings found;
	struct conf *c = conf_new(&s, 1, &m, a, &found);

	arena_free(a);
	return c;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct conf *c = conf_of(str_span((const char *)data, size));
	struct listen_setup *s;
	struct error e = { 0 };

	if (!c)
		return 0;
	s = listen_setup_new(c, &e);
	if (!s)
		CHECK(e.kind != ERROR_NONE && e.text[0]);
	for (size_t i = 0; s && i < listen_setup_count(s); i++)
		CHECK(listen_setup_text(s, i).n > 5);
	listen_setup_unref(s);
	conf_unref(c);
	return 0;
}
