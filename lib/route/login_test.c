#include "route/login.h"

#include "base/test.h"
#include "conf/test_load.h"

static const struct {
	const char *rule, *conf;
	struct route_login_subject subject;
	const char *want; /* keys; those that are cut from longer ones in parentheses */
} cases[] = {
	{ "the server's name, then the next-hop as given",
	  "",
	  { ROUTE_SMTP, STR_INIT("a@x.example"), false, STR_INIT("mx.example"),
	    STR_INIT("[mx.example]:587") },
	  "mx.example [mx.example]:587" },
	{ "no key twice",
	  "",
	  { ROUTE_SMTP, STR_INIT(""), false, STR_INIT("mx.example"), STR_INIT("mx.example") },
	  "mx.example" },
	{ "an address without its brackets",
	  "",
	  { ROUTE_SMTP, STR_INIT(""), false, STR_INIT("[192.0.2.1]"), STR_INIT("[192.0.2.1]:25") },
	  "192.0.2.1 [192.0.2.1]:25" },
	{ "the sender first, where that is wanted",
	  "smtp_sender_dependent_authentication = yes\nrecipient_delimiter = +\n",
	  { ROUTE_SMTP, STR_INIT("a+b@x.example"), false, STR_INIT("mx.example"),
	    STR_INIT("y.example") },
	  "a+b@x.example (a@x.example) (@x.example) mx.example y.example" },
	{ "a sender without extension",
	  "smtp_sender_dependent_authentication = yes\n",
	  { ROUTE_SMTP, STR_INIT("a+b@x.example"), false, STR_INIT("mx.example"),
	    STR_INIT("y.example") },
	  "a+b@x.example (@x.example) mx.example y.example" },
	{ "notices have no sender",
	  "smtp_sender_dependent_authentication = yes\n",
	  { ROUTE_SMTP, STR_INIT(""), false, STR_INIT("mx.example"), STR_INIT("y.example") },
	  "mx.example y.example" },
	{ "a sender of our own domain without it, too",
	  "smtp_sender_dependent_authentication = yes\nrecipient_delimiter = +\n",
	  { ROUTE_SMTP, STR_INIT("a+b@x.example"), true, STR_INIT("mx.example"),
	    STR_INIT("y.example") },
	  "a+b@x.example (a@x.example) (a+b) (a) (@x.example) mx.example y.example" },
	{ "and without an extension",
	  "smtp_sender_dependent_authentication = yes\n",
	  { ROUTE_SMTP, STR_INIT("a@x.example"), true, STR_INIT("mx.example"),
	    STR_INIT("y.example") },
	  "a@x.example (a) (@x.example) mx.example y.example" },
	{ "LMTP never asks for the sender",
	  "smtp_sender_dependent_authentication = yes\nlmtp_sender_dependent_authentication = "
	  "yes\n",
	  { ROUTE_LMTP, STR_INIT("a@x.example"), true, STR_INIT("mx.example"),
	    STR_INIT("inet:mx.example:24") },
	  "mx.example mx.example:24" },
	{ "behind a socket is this machine",
	  "myhostname = gw.example\n",
	  { ROUTE_LMTP, STR_INIT(""), false, STR_INIT("unix:/run/lmtp"),
	    STR_INIT("unix:/run/lmtp") },
	  "gw.example /run/lmtp" },
	{ "SMTP has no sockets",
	  "myhostname = gw.example\n",
	  { ROUTE_SMTP, STR_INIT(""), false, STR_INIT("unix"), STR_INIT("unix:25") },
	  "unix unix:25" },
	{ "a sender without domain",
	  "smtp_sender_dependent_authentication = yes\n",
	  { ROUTE_SMTP, STR_INIT("root"), false, STR_INIT("mx.example"), STR_INIT("y.example") },
	  "root mx.example y.example" },
};

TEST(keys)
{
	FOR_EACH(c, cases) {
		struct arena *a = arena_new();
		struct test_load l = test_load(str_of(c->conf));
		struct route_login_key keys[ROUTE_LOGIN_KEYS_MAX];
		struct str all = STR("");
		size_t n = route_login_keys(a, l.conf, &c->subject, keys);

		for (size_t i = 0; i < n; i++)
			all = arena_fmt(a,
					keys[i].is_partial ? STR_FMT "%s(" STR_FMT ")"
							   : STR_FMT "%s" STR_FMT,
					STR_ARG(all), i ? " " : "", STR_ARG(keys[i].text));
		ok_str(all, str_of(c->want), c->rule);
		test_unload(&l);
		arena_free(a);
	}
}

static const struct {
	const char *rule;
	struct str value, delimiter;
	const char *user, *password; /* NULL: it is refused */
} values[] = {
	{ "user and password", STR_INIT("me:secret"), STR_INIT(":"), "me", "secret" },
	{ "the first delimiter counts", STR_INIT("me:se:ret"), STR_INIT(":"), "me", "se:ret" },
	{ "blanks belong to it", STR_INIT("me: a b"), STR_INIT(":"), "me", " a b" },
	{ "another delimiter", STR_INIT("a:b|c"), STR_INIT("|"), "a:b", "c" },
	{ "no delimiter", STR_INIT("secret"), STR_INIT(":"), NULL, NULL },
	{ "no user", STR_INIT(":secret"), STR_INIT(":"), NULL, NULL },
	{ "no password", STR_INIT("me:"), STR_INIT(":"), NULL, NULL },
	{ "NUL", STR_INIT("me:a\0b"), STR_INIT(":"), NULL, NULL },
};

TEST(split)
{
	FOR_EACH(c, values) {
		struct str exact = test_exact(c->value), user, password;
		bool is_good = route_login_split(exact, c->delimiter, &user, &password);

		ok(is_good == (c->user != NULL), c->rule);
		if (is_good) {
			ok_str(user, str_of(c->user), c->rule);
			ok_str(password, str_of(c->password), c->rule);
		}
		free((void *)(uintptr_t)exact.p);
	}
}

TEST_MAIN(RUN(keys), RUN(split))
