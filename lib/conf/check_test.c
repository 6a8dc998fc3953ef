#include "conf/check.h"

#include "conf/test_load.h"

static const struct {
	const char *rule;
	struct str text, want; /* the summary of the findings */
} cases[] = {
	{ "a file for Debian's Postfix",
	  STR_INIT("smtpd_banner = $myhostname ESMTP $mail_name (Debian)\nbiff = no\n"
		   "append_dot_mydomain = no\ncompatibility_level = 3.6\n"
		   "smtp_tls_security_level = may\nsmtp_tls_CApath = /etc/ssl/certs\n"
		   "smtp_tls_session_cache_database = btree:${data_directory}/smtp_scache\n"
		   "mydestination = $myhostname, localhost\nrelayhost =\ninet_protocols = all\n"),
	  STR_INIT("note not-honoured 2 biff\n"
		   "note not-honoured 7 smtp_tls_session_cache_database\n") },
	{ "a name nobody knows", STR_INIT("no_such_thing_at_all = 1\n"),
	  STR_INIT("warning unknown-parameter 1 no_such_thing_at_all\n") },
	{ "a name of the file's own", STR_INIT("mine = x\nrelayhost = [$mine]\n"), STR_INIT("") },
	{ "a name in the branch that is not taken",
	  STR_INIT("mine = x\nrelayhost = ${yours?{$mine}}\n"),
	  STR_INIT("warning undefined-name 2 relayhost\n") },
	{ "a name that a known parameter refers to",
	  STR_INIT("mine = x\nsmtpd_reject_footer = ${mine} $x\n"),
	  STR_INIT("note not-honoured 2 smtpd_reject_footer\n") },
	{ "restriction classes are names",
	  STR_INIT("smtpd_restriction_classes = one, two\n"
		   "one = reject\ntwo = permit\nthree = defer\n"),
	  STR_INIT("note not-honoured 1 smtpd_restriction_classes\n"
		   "warning unknown-parameter 4 three\n") },
	{ "the parameters of a table",
	  STR_INIT("transport_maps = ldap:dir, mysql:/etc/my.cf\n"
		   "dir_server_host = x\ndirt_y = z\n"),
	  STR_INIT("warning unknown-parameter 3 dirt_y\n") },
	{ "a service's parameter", STR_INIT("slow_destination_concurrency_limit = 2\n"),
	  STR_INIT("note not-honoured 1 slow_destination_concurrency_limit\n") },
	{ "not honoured, and it would change routing", STR_INIT("virtual_alias_maps = hash:/x\n"),
	  STR_INIT("warning not-honoured 1 virtual_alias_maps\n") },
	{ "not honoured, with the default",
	  STR_INIT("smtp_send_xforward_command = no\n"
		   "smtp_fallback_relay = $fallback_relay\n"),
	  STR_INIT("note not-honoured 1 smtp_send_xforward_command\n"
		   "note not-honoured 2 smtp_fallback_relay\n") },
	{ "not honoured, with another value",
	  STR_INIT("smtp_generic_maps = x\nfallback_relay = [x]\n"),
	  STR_INIT("warning not-honoured 1 smtp_generic_maps\n"
		   "warning not-honoured 2 fallback_relay\n") },
	{ "a policy table", STR_INIT("smtp_tls_policy_maps = hash:/x\n"), STR_INIT("") },
	{ "LMTP has a level of its own",
	  STR_INIT("lmtp_tls_security_level = Encrypt\nlmtp_use_tls = yes\nsmtp_use_tls = no\n"),
	  STR_INIT("warning ignored 2 lmtp_use_tls\nwarning deprecated 3 smtp_use_tls\n") },
	{ "LMTP's own tables",
	  STR_INIT("lmtp_tls_policy_maps = hash:/x\nlmtp_tls_per_site = hash:/y\n"),
	  STR_INIT("warning deprecated 2 lmtp_tls_per_site\n"
		   "warning ignored 2 lmtp_tls_per_site\n") },
	{ "DANE for LMTP", STR_INIT("lmtp_tls_security_level = dane\n"),
	  STR_INIT("warning dane-without-dnssec 1 lmtp_tls_security_level\n") },
	{ "no table, no policy", STR_INIT("smtp_tls_policy_maps =\n"), STR_INIT("") },
	{ "two tables", STR_INIT("smtp_tls_policy_maps = hash:/x\nsmtp_tls_per_site = hash:/y\n"),
	  STR_INIT("warning deprecated 2 smtp_tls_per_site\nwarning ignored 2 "
		   "smtp_tls_per_site\n") },
	{ "deprecated",
	  STR_INIT("smtp_use_tls = yes\nsmtp_enforce_tls = no\n"
		   "smtp_tls_enforce_peername = yes\ndisable_dns_lookups = no\n"),
	  STR_INIT("warning deprecated 1 smtp_use_tls\nwarning deprecated 2 smtp_enforce_tls\n"
		   "warning deprecated 3 smtp_tls_enforce_peername\n"
		   "warning deprecated 4 disable_dns_lookups\n") },
	{ "deprecated, but nothing", STR_INIT("smtp_tls_per_site =\n"), STR_INIT("") },
	{ "replaced by the level",
	  STR_INIT("smtp_tls_security_level = may\nsmtp_use_tls = yes\nsmtp_enforce_tls = no\n"
		   "smtp_tls_enforce_peername = yes\n"),
	  STR_INIT("warning ignored 2 smtp_use_tls\nwarning ignored 3 smtp_enforce_tls\n"
		   "warning ignored 4 smtp_tls_enforce_peername\n") },
	{ "replaced by the level of newer defaults",
	  STR_INIT("compatibility_level = 3.11\nsmtp_enforce_tls = yes\n"),
	  STR_INIT("warning ignored 2 smtp_enforce_tls\n") },
	{ "DANE without DNSSEC", STR_INIT("smtp_tls_security_level = dane\n"),
	  STR_INIT("warning dane-without-dnssec 1 smtp_tls_security_level\n") },
	{ "DANE with DNSSEC",
	  STR_INIT("smtp_tls_security_level = Dane-Only\nsmtp_dns_support_level = dnssec\n"),
	  STR_INIT("error not-supported 1 smtp_tls_security_level\n") },
	{ "set twice", STR_INIT("relayhost = a\n\nrelayhost = b\n"),
	  STR_INIT("warning overridden 1 relayhost\n") },

	{ "no =", STR_INIT("relayhost\nmyorigin = x\n= y\n"),
	  STR_INIT("error syntax 1 \nerror syntax 3 \n") },
	{ "an indented line", STR_INIT("  x = y\nrelayhost = z\n"),
	  STR_INIT("warning indented 1 \n") },
	{ "a NUL octet", STR_INIT("relayhost = x\nmy\0origin = y\n"),
	  STR_INIT("error unreadable 2 \n") },
	{ "neither yes nor no", STR_INIT("smtp_use_tls = maybe\n"),
	  STR_INIT("error bad-value 1 smtp_use_tls\nwarning deprecated 1 smtp_use_tls\n") },
	{ "no number", STR_INIT("smtp_mx_address_limit = many\n"),
	  STR_INIT("error bad-value 1 smtp_mx_address_limit\n") },
	{ "a number below the bound", STR_INIT("smtp_mx_address_limit = -1\n"),
	  STR_INIT("error bad-value 1 smtp_mx_address_limit\n") },
	{ "a time below the bound", STR_INIT("smtp_helo_timeout = 0\n"),
	  STR_INIT("error bad-value 1 smtp_helo_timeout\n") },
	{ "a time above the bound", STR_INIT("hopseal_dns_timeout = 2h\n"),
	  STR_INIT("error bad-value 1 hopseal_dns_timeout\n") },
	{ "empty where it must not be", STR_INIT("smtp_tls_ciphers =\n"),
	  STR_INIT("error bad-value 1 smtp_tls_ciphers\n") },
	{ "no host name", STR_INIT("myhostname = a..b\nmydomain = c\n"),
	  STR_INIT("error bad-value 1 myhostname\n") },
	{ "nor its domain", STR_INIT("myhostname = a.-b\n"),
	  STR_INIT("error bad-value 1 myhostname\nerror bad-value 0 mydomain\n") },
	{ "U-labels without SMTPUTF8", STR_INIT("myhostname = b\xc3\xbc.example\n"),
	  STR_INIT("error bad-value 1 myhostname\n") },
	{ "U-labels with SMTPUTF8",
	  STR_INIT("compatibility_level = 1\nmyhostname = b\xc3\xbc.example\n"), STR_INIT("") },
	{ "an empty name, and what comes of it", STR_INIT("myhostname =\n"),
	  STR_INIT("error bad-value 1 myhostname\nerror bad-value 0 myorigin\n"
		   "error bad-value 0 smtp_helo_name\nerror bad-value 0 lmtp_lhlo_name\n") },
	{ "a word from a set", STR_INIT("smtp_tls_security_level = halfdane\n"),
	  STR_INIT("error bad-value 1 smtp_tls_security_level\n") },
	{ "one word, not two", STR_INIT("smtp_tls_security_level = may encrypt\n"),
	  STR_INIT("error bad-value 1 smtp_tls_security_level\n") },
	{ "words in any case",
	  STR_INIT("smtp_tls_security_level = MAY\ninet_protocols = IPv4,ipv6\n"), STR_INIT("") },
	{ "a list of words", STR_INIT("inet_protocols = ipv4, ipx\nsmtp_host_lookup = ,\n"),
	  STR_INIT("error bad-value 1 inet_protocols\nerror bad-value 2 smtp_host_lookup\n") },
	{ "a level that is none", STR_INIT("compatibility_level = 3.x\n"),
	  STR_INIT("error bad-value 1 compatibility_level\n") },
	{ "a level that cannot be expanded", STR_INIT("compatibility_level = $\n"),
	  STR_INIT("error bad-value 1 compatibility_level\n") },
	{ "a loop", STR_INIT("a = $b\nb = $a\nrelayhost = $a\n"),
	  STR_INIT("error bad-expansion 2 b\n") },
	{ "a loop with itself", STR_INIT("relayhost = $relayhost\n"),
	  STR_INIT("error bad-expansion 1 relayhost\n") },
	{ "myhostname of mydomain of myhostname", STR_INIT("myhostname = a.$mydomain\n"),
	  STR_INIT("error bad-expansion 0 mydomain\n") },
	{ "a broken value that a parameter needs", STR_INIT("a = ${\nrelayhost = $a\n"),
	  STR_INIT("error bad-expansion 1 a\n") },
	{ "all errors at once", STR_INIT("smtp_use_tls = x\nbad line\nsmtp_mx_session_limit = y\n"),
	  STR_INIT("error bad-value 1 smtp_use_tls\nwarning deprecated 1 smtp_use_tls\n"
		   "error syntax 2 \nerror bad-value 3 smtp_mx_session_limit\n") },
};

TEST(findings)
{
	FOR_EACH(c, cases) {
		struct test_load t = test_load(c->text);
		bool has_error = str_has_prefix(c->want, STR("error")) ||
				 strstr(c->want.p, "\nerror") != NULL;
		ok_str(test_summary(&t), c->want, c->rule);
		ok((t.conf == NULL) == has_error, c->rule);
		for (size_t i = 0; i < t.found.n; i++) {
			ok(t.found.v[i].text.n > 0, c->rule);
			ok_str(t.found.v[i].file, t.found.v[i].line ? STR("main.cf") : STR(""),
			       c->rule);
		}
		test_unload(&t);
	}
}

static const struct {
	const char *rule;
	struct str name, want;
} near_cases[] = {
	{ "a letter too few", STR_INIT("smtp_tls_persite"), STR_INIT("smtp_tls_per_site") },
	{ "a letter too many", STR_INIT("relayhosts"), STR_INIT("relayhost") },
	{ "two letters swapped", STR_INIT("smtp_tls_policy_mpas"),
	  STR_INIT("smtp_tls_policy_maps") },
	{ "a name of known.def", STR_INIT("virtual_alias_map"), STR_INIT("virtual_alias_maps") },
	{ "an own name", STR_INIT("hopseal_dns_server"), STR_INIT("hopseal_dns_servers") },
	{ "nothing is near", STR_INIT("quite_another_thing"), STR_INIT("") },
	{ "a short name is near to nothing", STR_INIT("xy"), STR_INIT("") },
};

TEST(nearest_name)
{
	struct arena *a = arena_new();
	struct conf_names names;

	conf_names_init(&names, a, 0);
	FOR_EACH(c, near_cases)
		ok_str(conf_nearest(&names, c->name), c->want, c->rule);
	arena_free(a);
}

TEST(the_remedy_names_the_nearest)
{
	struct test_load t = test_load(STR("smtp_tls_persite = hash:/x\n"));

	ok(t.found.n == 1, "one finding");
	ok_str(t.found.v[0].remedy, STR("did you mean smtp_tls_per_site?"), "remedy");
	test_unload(&t);
}

TEST_MAIN(RUN(findings), RUN(nearest_name), RUN(the_remedy_names_the_nearest))
