/* main.cf, and one -o option where the input has a second part after a NUL octet. */

#include "fuzz.h"

#include "conf/conf.h"

/* Findings stand in the order of the text; a refusal has an error, and nothing else has one. */
static void check_findings(const struct conf *c, struct conf_findings found)
{
	bool has_error = false;

	for (size_t i = 0; i < found.n; i++) {
		CHECK(found.v[i].text.n && found.v[i].code.n);
		has_error = has_error || found.v[i].severity == CONF_ERROR;
	}
	CHECK(has_error == (c == NULL));
}

static void read_values(const struct conf *c, struct arena *a, struct str text)
{
	struct error e;
	struct str out;

	for (unsigned i = 0; i < CONF_COUNT; i++)
		CHECK(conf_is_set(c, (enum conf_id)i) || conf_line(c, (enum conf_id)i) == 0);
	CHECK(conf_str(c, CONF_compatibility_level).n);
	CHECK(conf_time_s(c, CONF_smtp_helo_timeout) >= 1);
	CHECK(conf_int(c, CONF_smtp_line_length_limit) >= 12);
	(void)conf_bool(c, CONF_smtp_use_tls);
	(void)!conf_expand(c, a, text, &out, &e);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str all = str_span((const char *)data, size), option = STR("relayhost = [x]");
	struct conf_source sources[2] = { { STR("main.cf"), all }, { STR(""), option } };
	struct conf_machine m = { .hostname = STR("host.example") };
	struct conf_findings found;
	struct arena *a = arena_new();

	if (str_cut(all, '\0', &sources[0].text, &sources[1].text) == false)
		sources[1].text = option;
	struct conf *c = conf_new(sources, 2, &m, a, &found);
	check_findings(c, found);
	if (c)
		read_values(c, a, sources[0].text);
	conf_unref(c);
	arena_free(a);
	return 0;
}
