#include "conf/conf.h"

#include "base/test.h"

static struct arena *arena;
static struct conf_findings found;

static struct conf *load(struct str text)
{
	struct conf_source s = { STR("main.cf"), text };
	struct conf_machine m = { STR("client.example.net") };

	arena = arena_new();
	return conf_new(&s, 1, &m, arena, &found);
}

static void unload(struct conf *c)
{
	conf_unref(c);
	arena_free(arena);
}

TEST(defaults_come_out)
{
	struct conf *c = load(STR(""));

	ok(c && found.n == 0, "an empty file is fine");
	ok_str(conf_str(c, CONF_myhostname), STR("client.example.net"), "the machine's name");
	ok_str(conf_str(c, CONF_mydomain), STR("example.net"), "its domain");
	ok_str(conf_str(c, CONF_smtp_helo_name), STR("client.example.net"), "$myhostname");
	ok_str(conf_str(c, CONF_smtp_tls_security_level), STR(""), "level 0");
	ok(!conf_bool(c, CONF_smtputf8_enable), "level 0");
	ok(conf_time_s(c, CONF_smtp_helo_timeout) == 300, "time");
	ok(conf_int(c, CONF_smtp_mx_address_limit) == 5, "number");
	ok(!conf_is_set(c, CONF_relayhost), "not set");
	unload(c);
}

TEST_MAIN(RUN(defaults_come_out))
