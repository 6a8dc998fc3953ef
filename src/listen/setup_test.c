#include "listen/room.h"

#include "base/test.h"

static struct listen_setup *setup_of(const char *text, struct error *e)
{
	struct conf_source s = { STR("main.cf"), str_of(text) };
	struct conf_machine m = { .hostname = STR("mx.example") };
	struct arena *a = arena_new();
	struct conf_findings found;
	struct conf *c = conf_new(&s, 1, &m, a, &found);

	ok(c != NULL, text);
	struct listen_setup *setup = listen_setup_new(c, e);
	conf_unref(c);
	arena_free(a);
	return setup;
}

#define CERT "smtpd_tls_cert_file = /etc/x.pem\n"

static const struct {
	const char *rule, *conf;
	const char *problem; /* part of it; NULL: it is fine */
} cases[] = {
	{ "the default", "", NULL },
	{ "nothing", "hopseal_listeners =\n", NULL },
	{ "all forms",
	  CERT "hopseal_listeners = smtp:127.0.0.1:25, smtp:[127.0.0.1]:26 smtps:[::1]:465\n"
	       "  lmtp:unix:/run/lmtp smtp:*:587\n",
	  NULL },
	{ "settings of one",
	  CERT "hopseal_listeners = smtp:127.0.0.1:25 { smtpd_tls_security_level=may } "
	       "{ mynetworks = 10.0.0.0/8, 192.0.2.0/24 } smtp:127.0.0.1:26\n",
	  NULL },
	{ "no type", "hopseal_listeners = 127.0.0.1:25\n", "\"127.0.0.1:25\"" },
	{ "another type", "hopseal_listeners = qmqp:127.0.0.1:25\n", "qmqp" },
	{ "no port", "hopseal_listeners = smtp:127.0.0.1\n", "smtp:127.0.0.1" },
	{ "a name", "hopseal_listeners = smtp:localhost:25\n", "localhost" },
	{ "a port too large", "hopseal_listeners = smtp:127.0.0.1:65536\n", "65536" },
	{ "*, and a port too large", "hopseal_listeners = smtp:*:65536\n", "65536" },
	{ "a path that is none", "hopseal_listeners = smtp:unix:run\n", "unix:run" },
	{ "settings before any entry", "hopseal_listeners = { mynetworks = } smtp:*:25\n",
	  "{ mynetworks = }" },
	{ "no setting", "hopseal_listeners = smtp:*:25 { mynetworks }\n", "name = value" },
	{ "no end", "hopseal_listeners = smtp:*:25 { mynetworks = x\n", "name = value" },
	{ "a setting that is not a listener's", "hopseal_listeners = smtp:*:25 { relayhost = x }\n",
	  "relayhost" },
	{ "a bad value", "hopseal_listeners = smtp:*:25 { smtpd_timeout = x }\n", "smtpd_timeout" },
	{ "TLS without certificate", "smtpd_tls_security_level = may\n", "smtpd_tls_cert_file" },
	{ "smtps without certificate", "hopseal_listeners = smtps:*:465\n", "smtpd_tls_cert_file" },
	{ "no TLS version",
	  CERT "smtpd_tls_security_level = encrypt\nsmtpd_tls_mandatory_protocols = SSLv3\n",
	  "smtpd_tls_mandatory_protocols" },
	{ "AUTH without passwords", "smtpd_sasl_auth_enable = yes\n",
	  "hopseal_sasl_password_maps" },
	{ "no mechanism",
	  "smtpd_sasl_auth_enable = yes\nhopseal_sasl_password_maps = static:x\n"
	  "hopseal_sasl_mechanisms = NTLM\n",
	  "NTLM" },
	{ "no mechanism is left",
	  "smtpd_sasl_auth_enable = yes\nhopseal_sasl_password_maps = static:x\n"
	  "smtpd_sasl_tls_security_options = forward_secrecy\n",
	  "smtpd_sasl_tls_security_options" },
	{ "no security option",
	  "smtpd_sasl_auth_enable = yes\nhopseal_sasl_password_maps = static:x\n"
	  "smtpd_sasl_security_options = noplain\n",
	  "noplain" },
	{ "exclusions that are none", "smtpd_forbid_bare_newline_exclusions = 10.0.0.1/8\n",
	  "smtpd_forbid_bare_newline_exclusions" },
	{ "networks that are none", "mynetworks = 10.0.0.1/8\n", "mynetworks" },
	{ "exceptions that are none", "smtpd_client_event_limit_exceptions = x/24\n",
	  "smtpd_client_event_limit_exceptions" },
};

TEST(what_is_refused)
{
	FOR_EACH(c, cases) {
		struct error e = { 0 };
		struct listen_setup *s = setup_of(c->conf, &e);
		size_t at;

		if ((s == NULL) != (c->problem != NULL))
			fail_msg("%s: %s", c->rule, e.text);
		if (c->problem && !str_search(error_text(&e), str_of(c->problem), &at))
			fail_msg("%s: \"%s\" names no \"%s\"", c->rule, e.text, c->problem);
		listen_setup_unref(s);
	}
}

TEST(each_has_its_own)
{
	struct error e = { 0 };
	struct listen_setup *s =
		setup_of(CERT
			 "smtpd_recipient_limit = 5\n"
			 "hopseal_listeners = smtp:127.0.0.1:25 { smtpd_tls_security_level = may } "
			 "{ smtpd_recipient_limit = 7 } lmtp:unix:/run/lmtp smtps:[::1]:465\n",
			 &e);
	const struct listen_setting *v = s->v;

	ok(listen_setup_count(s) == 3, "three");
	ok_str(listen_setup_text(s, 1), STR("lmtp:unix:/run/lmtp"), "as written");
	ok(v[0].tls == LISTEN_TLS_MAY && v[1].tls == LISTEN_TLS_NONE &&
		   v[2].tls == LISTEN_TLS_ENCRYPT && v[2].is_wrapper,
	   "levels");
	ok(v[0].engine.recipients_max == 7 && v[1].engine.recipients_max == 5, "limits");
	ok(v[0].engine.extensions & SMTP_EXT_STARTTLS, "STARTTLS");
	ok(!(v[2].engine.extensions & SMTP_EXT_STARTTLS) && !v[2].engine.needs_tls, "no STARTTLS");
	ok(v[1].engine.dialect == SMTP_DIALECT_LMTP && v[0].engine.dialect == SMTP_DIALECT_SMTP,
	   "dialects");
	listen_setup_unref(s);
}

TEST(star_is_what_inet_protocols_has)
{
	struct error e = { 0 };
	struct listen_setup *s = setup_of("hopseal_listeners = smtp:*:25\n", &e);

	ok(s->v[0].n_at == 2, "both");
	listen_setup_unref(s);
	s = setup_of("hopseal_listeners = smtp:*:25\ninet_protocols = ipv4\n", &e);
	ok(s->v[0].n_at == 1 && s->v[0].at[0].address.family == ADDRESS_V4, "one");
	listen_setup_unref(s);
}

static bool is_known(const char *conf, const char *client)
{
	struct error e = { 0 };
	struct listen_setup *s = setup_of(conf, &e);
	struct address a;

	ok(s != NULL && address_parse(str_of(client), &a), client);
	bool is = listen_networks_match(&s->v[0].mynetworks, &a);
	listen_setup_unref(s);
	return is;
}

TEST(mynetworks_by_default)
{
	ok(is_known("", "127.0.0.1"), "this machine");
	ok(!is_known("compatibility_level = 3.6\n", "127.0.0.2"), "and nobody else by then");
	ok(is_known("", "127.0.0.2"), "its networks, before compatibility level 2");
	ok(!is_known("", "203.0.113.77"), "nobody else");
	ok(!is_known("mynetworks =\n", "127.0.0.1"), "empty is nobody");
	ok(is_known("inet_interfaces = loopback-only\n", "127.0.0.1"), "loopback");
	ok(!is_known("inet_interfaces = 192.0.2.99\n", "127.0.0.1"), "not in use");
}

TEST(exceptions_are_mynetworks_by_default)
{
	struct error e = { 0 };
	struct listen_setup *s = setup_of("", &e);
	struct address here = { ADDRESS_V4, { 127, 0, 0, 1 } };

	ok(listen_networks_match(&s->v[0].exceptions, &here), "not counted");
	listen_setup_unref(s);
	s = setup_of("smtpd_client_event_limit_exceptions =\n", &e);
	ok(!listen_networks_match(&s->v[0].exceptions, &here), "counted");
	listen_setup_unref(s);
	s = setup_of("mynetworks = 192.0.2.0/24\n", &e);
	ok(!listen_networks_match(&s->v[0].exceptions, &here), "as they are set");
	listen_setup_unref(s);
}

TEST_MAIN(RUN(what_is_refused), RUN(each_has_its_own), RUN(star_is_what_inet_protocols_has),
	  RUN(mynetworks_by_default), RUN(exceptions_are_mynetworks_by_default))
