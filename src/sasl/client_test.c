#include "sasl/client.h"

#include "base/test.h"

#define OCTETS "01234567890123456789012345678901"

static const struct {
	const char *rule;
	struct sasl_wish wish;
	const char *want;
} choices[] = {
	{ "nothing offered", { { NULL, 0 }, { NULL, 0 }, 0, false }, "" },
	{ "nothing we know", { STR_INIT("GSSAPI XOAUTH2"), { NULL, 0 }, 0, false }, "" },
	{ "the best of all",
	  { STR_INIT("PLAIN LOGIN SCRAM-SHA-1 SCRAM-SHA-256"), { NULL, 0 }, 0, false },
	  "SCRAM-SHA-256" },
	{ "in any case", { STR_INIT("login plain"), { NULL, 0 }, 0, false }, "PLAIN" },
	{ "with channel binding where there is one",
	  { STR_INIT("SCRAM-SHA-256 SCRAM-SHA-256-PLUS"), { NULL, 0 }, 0, true },
	  "SCRAM-SHA-256-PLUS" },
	{ "and without where there is none",
	  { STR_INIT("SCRAM-SHA-256 SCRAM-SHA-256-PLUS"), { NULL, 0 }, 0, false },
	  "SCRAM-SHA-256" },
	{ "noplaintext", { STR_INIT("PLAIN LOGIN"), { NULL, 0 }, SASL_NO_PLAINTEXT, false }, "" },
	{ "noplaintext, and there is better",
	  { STR_INIT("PLAIN SCRAM-SHA-1"), { NULL, 0 }, SASL_NO_PLAINTEXT, false },
	  "SCRAM-SHA-1" },
	{ "noanonymous: none of ours is",
	  { STR_INIT("ANONYMOUS LOGIN"), { NULL, 0 }, SASL_NO_ANONYMOUS, false },
	  "LOGIN" },
	{ "mutual_auth", { STR_INIT("CRAM-MD5 PLAIN"), { NULL, 0 }, SASL_MUTUAL, false }, "" },
	{ "nodictionary: none of ours",
	  { STR_INIT("SCRAM-SHA-256"), { NULL, 0 }, SASL_NO_DICTIONARY, false },
	  "" },
	{ "forward_secrecy: none of ours",
	  { STR_INIT("SCRAM-SHA-256"), { NULL, 0 }, SASL_FORWARD_SECRECY, false },
	  "" },
	{ "CRAM-MD5 is not used by itself",
	  { STR_INIT("CRAM-MD5 PLAIN"), { NULL, 0 }, 0, false },
	  "PLAIN" },
	{ "CRAM-MD5 that was asked for",
	  { STR_INIT("CRAM-MD5 PLAIN"), STR_INIT("plain, cram-md5"), 0, false },
	  "CRAM-MD5" },
	{ "a filter leaves out what it does not name",
	  { STR_INIT("SCRAM-SHA-256 PLAIN LOGIN"), STR_INIT("login"), 0, false },
	  "LOGIN" },
	{ "a filter with !, and static: for the rest",
	  { STR_INIT("SCRAM-SHA-256 PLAIN"), STR_INIT("!SCRAM-SHA-256, static:rest"), 0, false },
	  "PLAIN" },
	{ "! alone names nothing that may be used",
	  { STR_INIT("SCRAM-SHA-256 PLAIN"), STR_INIT("!scram-sha-256"), 0, false },
	  "" },
	{ "static:rest is no name of CRAM-MD5",
	  { STR_INIT("CRAM-MD5"), STR_INIT("static:rest"), 0, false },
	  "" },
};

TEST(choice)
{
	FOR_EACH(c, choices)
		ok_str(sasl_choose(&c->wish), str_of(c->want), c->rule);
}

TEST(words)
{
	unsigned traits;
	struct str bad;

	ok(sasl_traits_parse(STR("noplaintext, NoAnonymous\tmutual_auth"), &traits, &bad), "words");
	ok(traits == (SASL_NO_PLAINTEXT | SASL_NO_ANONYMOUS | SASL_MUTUAL), "and their bits");
	ok(sasl_traits_parse(STR(""), &traits, &bad) && traits == 0, "none");
	ok(!sasl_traits_parse(STR("noanonymous nopaintext"), &traits, &bad), "a slip");
	ok_str(bad, STR("nopaintext"), "which");
	ok(sasl_filter_check(STR("!plain, login static:rest"), &bad), "a filter");
	ok(!sasl_filter_check(STR("plain, !/etc/mechanisms"), &bad), "a file");
	ok_str(bad, STR("!/etc/mechanisms"), "which");
	ok(!sasl_filter_check(STR("hash:/etc/x"), &bad), "a table");
}

/* Our client against our server. */

struct exchange {
	const char *mechanism;
	struct str password, entry, client_binding, server_binding;
};

static bool log_in(const struct exchange *x)
{
	struct sasl *g = sasl_new();
	struct sasl_options so = { .mechanism = str_of(x->mechanism),
				   .service = STR("smtp"),
				   .hostname = STR("mx.example"),
				   .binding = x->server_binding };
	struct sasl_login co = { .mechanism = str_of(x->mechanism),
				 .hostname = STR("mx.example"),
				 .user = STR("me"),
				 .password = x->password,
				 .binding = x->client_binding };
	struct sasl_session *server = sasl_session_new(g, &so);
	struct sasl_client *client = sasl_client_new(g, &co);
	enum sasl_state state = SASL_CHALLENGE;
	struct str said = STR_NONE;
	bool goes_on = true;

	if (sasl_client_is_first(client)) {
		goes_on = sasl_client_step(client, STR_NONE);
		said = sasl_client_output(client);
	}
	for (int i = 0; goes_on && state == SASL_CHALLENGE && i < 6; i++) {
		state = sasl_session_step(server, said);
		if (state == SASL_WANTS_ENTRY)
			state = sasl_session_entry(server, x->entry);
		if (state != SASL_CHALLENGE)
			break;
		struct str exact = test_exact(sasl_session_output(server));
		goes_on = sasl_client_step(client, exact);
		free((void *)(uintptr_t)exact.p);
		said = sasl_client_output(client);
	}
	bool is_in = state == SASL_ACCEPTED && sasl_client_is_complete(client);
	sasl_client_free(client);
	sasl_session_free(server);
	sasl_free(g);
	return is_in;
}

#define SECRET STR_INIT("sec:ret \xc3\xa4")

static const struct {
	const char *rule;
	struct exchange x;
	bool want;
} exchanges[] = {
	{ "PLAIN", { "PLAIN", SECRET, SECRET, { NULL, 0 }, { NULL, 0 } }, true },
	{ "PLAIN, wrong", { "PLAIN", SECRET, STR_INIT("x"), { NULL, 0 }, { NULL, 0 } }, false },
	{ "LOGIN", { "LOGIN", SECRET, SECRET, { NULL, 0 }, { NULL, 0 } }, true },
	{ "LOGIN, wrong", { "LOGIN", SECRET, STR_INIT("x"), { NULL, 0 }, { NULL, 0 } }, false },
	{ "SCRAM-SHA-1", { "SCRAM-SHA-1", SECRET, SECRET, { NULL, 0 }, { NULL, 0 } }, true },
	{ "SCRAM-SHA-256", { "SCRAM-SHA-256", SECRET, SECRET, { NULL, 0 }, { NULL, 0 } }, true },
	{ "SCRAM-SHA-256 where there is a binding, too",
	  { "SCRAM-SHA-256", SECRET, SECRET, STR_INIT(OCTETS), STR_INIT(OCTETS) },
	  true },
	{ "SCRAM-SHA-256, wrong",
	  { "SCRAM-SHA-256", SECRET, STR_INIT("x"), { NULL, 0 }, { NULL, 0 } },
	  false },
	{ "SCRAM-SHA-256-PLUS",
	  { "SCRAM-SHA-256-PLUS", SECRET, SECRET, STR_INIT(OCTETS), STR_INIT(OCTETS) },
	  true },
	{ "SCRAM-SHA-256-PLUS through somebody else's TLS",
	  { "SCRAM-SHA-256-PLUS", SECRET, SECRET, STR_INIT(OCTETS),
	    STR_INIT("x1234567890123456789012345678901") },
	  false },
};

TEST(logging_in)
{
	FOR_EACH(c, exchanges)
		ok(log_in(&c->x) == c->want, c->rule);
}

static struct sasl_client *begun(struct sasl *g, struct str mechanism)
{
	struct sasl_login o = { mechanism, STR("mx.example"), STR("me"), STR("secret"), STR_NONE };
	struct sasl_client *c = sasl_client_new(g, &o);

	if (sasl_client_is_first(c))
		ok(sasl_client_step(c, STR_NONE), "the first word");
	return c;
}

TEST(cram_md5)
{
	struct sasl *g = sasl_new();
	struct sasl_login o = { STR("CRAM-MD5"), STR("mx"), STR("tim"), STR("tanstaaftanstaaf"),
				STR_NONE };
	struct sasl_client *c = sasl_client_new(g, &o);

	ok(!sasl_client_is_first(c), "the server is first");
	ok(sasl_client_step(c, STR("<1896.697170952@postoffice.reston.mci.net>")), "challenged");
	ok_str(sasl_client_output(c), STR("tim b913a602c7eda7a495b4e6e7334d3890"),
	       "RFC 2195 section 2");
	ok(sasl_client_is_complete(c), "complete");
	sasl_client_free(c);
	sasl_free(g);
}

/* A server that says "fine" without having proved anything is not one that SCRAM takes. */
TEST(impostors)
{
	static const struct str said[] = {
		STR_INIT(""),  STR_INIT("v=AAAA"),        STR_INIT("r=x,s=AAAA,i=4096"),
		STR_INIT("="), STR_INIT("e=other-error"),
	};
	/* work that would stop us; and so little that our proof would give the password away */
	static const char *const iterations[] = { "100001", "1000000", "4095",  "1",    "0",
						  "",       "-4096",   "4096x", " 4096" };
	struct sasl *g = sasl_new();

	FOR_EACH(first, said)
		FOR_EACH(second, said) {
			struct sasl_client *c = begun(g, STR("SCRAM-SHA-256"));
			bool is_taken = sasl_client_step(c, *first);
			is_taken = is_taken && sasl_client_step(c, *second);
			ok(!is_taken, "not taken");
			ok(!sasl_client_is_complete(c), "never complete");
			sasl_client_free(c);
		}
	struct sasl_client *c = begun(g, STR("SCRAM-SHA-256"));
	struct str nonce = sasl_client_output(c);
	size_t at;
	ok(str_search(nonce, STR("r="), &at), "a nonce");
	struct arena *a = arena_new();
	struct str salted = arena_fmt(a, STR_FMT "x,s=c2FsdA==,i=", STR_ARG(str_from(nonce, at)));
	FOR_EACH(i, iterations)
		ok(!sasl_client_step(c, arena_fmt(a, STR_FMT "%s", STR_ARG(salted), *i)), *i);
	ok(sasl_client_step(c, arena_fmt(a, STR_FMT "4096", STR_ARG(salted))), "enough");
	arena_free(a);
	sasl_client_free(c);
	c = begun(g, STR("PLAIN"));
	ok(sasl_client_is_complete(c), "PLAIN has no more to say");
	ok(!sasl_client_step(c, STR("more")), "whatever is asked");
	sasl_client_free(c);
	sasl_free(g);
}

TEST(labels)
{
	struct arena *a = arena_new();
	struct str label = sasl_login_label(a, STR("me"), STR("secret"));
	size_t at;

	ok_str(sasl_login_label(a, STR("me"), STR("secret")), label, "equal for the same");
	ok(!str_eq(sasl_login_label(a, STR("mes"), STR("ecret")), label), "another cut");
	ok(!str_eq(sasl_login_label(a, STR("me"), STR("Secret")), label), "another password");
	ok(!str_eq(sasl_login_label(a, STR("me"), STR("\xff\x01")),
		   sasl_login_label(a, STR("me"), STR("\xff\x02"))),
	   "what is no text");
	ok(!str_search(label, STR("secret"), &at), "gives nothing away");
	arena_free(a);
}

TEST_MAIN(RUN(choice), RUN(words), RUN(logging_in), RUN(cram_md5), RUN(impostors), RUN(labels))
