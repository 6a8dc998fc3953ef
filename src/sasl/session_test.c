/* The server's side against GNU SASL's own client. */

#include "sasl/room.h"

#include "base/test.h"

static int on_client(Gsasl *ctx, Gsasl_session *s, Gsasl_property p)
{
	const char *const *who = gsasl_session_hook_get(s);

	(void)ctx;
	if (p == GSASL_AUTHID)
		return gsasl_property_set(s, p, who[0]);
	if (p == GSASL_PASSWORD)
		return gsasl_property_set(s, p, who[1]);
	if (p == GSASL_AUTHZID && who[2])
		return gsasl_property_set(s, p, who[2]);
	if (p == GSASL_CB_TLS_EXPORTER && who[3])
		return gsasl_property_set(s, p, who[3]);
	return GSASL_NO_CALLBACK;
}

struct exchange {
	const char *mechanism;
	const char *who[4]; /* user, password, authzid, binding in base 64 */
	struct str entry;   /* of that user; STR_NONE: there is none */
	struct str binding;
	bool is_initial; /* the client's first message comes with AUTH */
};

static enum sasl_state
server_takes(struct sasl_session *s, const struct exchange *x, struct str said, unsigned *n_asked)
{
	enum sasl_state state = sasl_session_step(s, said);

	while (state == SASL_WANTS_ENTRY) {
		(*n_asked)++;
		ok_str(sasl_session_user(s), str_of(x->who[0]), x->mechanism);
		state = sasl_session_entry(s, x->entry);
	}
	return state;
}

static enum sasl_state run(const struct exchange *x, bool *is_server_proven)
{
	struct sasl *g = sasl_new();
	struct sasl_options o = { .mechanism = str_of(x->mechanism),
				  .service = STR("smtp"),
				  .hostname = STR("mx.example"),
				  .binding = x->binding };
	struct sasl_session *s = sasl_session_new(g, &o);
	enum sasl_state state = SASL_CHALLENGE;
	unsigned n_asked = 0;
	Gsasl *ctx;
	Gsasl_session *client;
	struct str to_client = STR_NONE;
	int r = GSASL_NEEDS_MORE;

	ok(gsasl_init(&ctx) == GSASL_OK, "client");
	gsasl_callback_set(ctx, on_client);
	ok(gsasl_client_start(ctx, x->mechanism, &client) == GSASL_OK, x->mechanism);
	gsasl_session_hook_set(client, (void *)(uintptr_t)x->who);
	if (!x->is_initial) {
		state = server_takes(s, x, STR_NONE, &n_asked);
		to_client = sasl_session_output(s);
	}
	for (int i = 0; i < 6 && state == SASL_CHALLENGE; i++) {
		char *out = NULL;
		size_t n = 0;

		if (r == GSASL_NEEDS_MORE)
			r = gsasl_step(client, to_client.p, to_client.n, &out, &n);
		if (r != GSASL_OK && r != GSASL_NEEDS_MORE)
			break;
		struct str said = out ? str_span(out, n) : STR("");
		struct str exact = test_exact(said);
		state = server_takes(s, x, exact, &n_asked);
		free((void *)(uintptr_t)exact.p);
		gsasl_free(out);
		to_client = sasl_session_output(s);
	}
	*is_server_proven = r == GSASL_OK;
	ok(n_asked <= 1, "one lookup");
	gsasl_finish(client);
	gsasl_done(ctx);
	sasl_session_free(s);
	sasl_free(g);
	return state;
}

#define BINDING "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=" /* of 32 octets */
#define OCTETS "01234567890123456789012345678901"

static const struct {
	const char *rule;
	struct exchange x;
	enum sasl_state want;
} cases[] = {
	{ "PLAIN",
	  { "PLAIN", { "me", "secret" }, STR_INIT("secret"), .is_initial = true },
	  SASL_ACCEPTED },
	{ "PLAIN without initial response",
	  { "PLAIN", { "me", "secret" }, STR_INIT("secret") },
	  SASL_ACCEPTED },
	{ "PLAIN, {PLAIN}",
	  { "PLAIN", { "me", "{x}" }, STR_INIT("{PLAIN}{x}"), .is_initial = true },
	  SASL_ACCEPTED },
	{ "PLAIN, wrong",
	  { "PLAIN", { "me", "Secret" }, STR_INIT("secret"), .is_initial = true },
	  SASL_REFUSED },
	{ "PLAIN, a prefix",
	  { "PLAIN", { "me", "sec" }, STR_INIT("secret"), .is_initial = true },
	  SASL_REFUSED },
	{ "PLAIN, unknown user",
	  { "PLAIN", { "me", "x" }, { NULL, 0 }, .is_initial = true },
	  SASL_REFUSED },
	{ "PLAIN, an entry nobody can read",
	  { "PLAIN", { "me", "x" }, STR_INIT("{CRYPT}x"), .is_initial = true },
	  SASL_BROKEN },
	{ "PLAIN, empty entry",
	  { "PLAIN", { "me", "x" }, STR_INIT(""), .is_initial = true },
	  SASL_BROKEN },
	{ "PLAIN for oneself",
	  { "PLAIN", { "me", "secret", "me" }, STR_INIT("secret"), .is_initial = true },
	  SASL_ACCEPTED },
	{ "PLAIN for somebody else",
	  { "PLAIN", { "me", "secret", "you" }, STR_INIT("secret"), .is_initial = true },
	  SASL_REFUSED },
	{ "LOGIN", { "LOGIN", { "me", "secret" }, STR_INIT("secret") }, SASL_ACCEPTED },
	{ "LOGIN, wrong", { "LOGIN", { "me", "x" }, STR_INIT("secret") }, SASL_REFUSED },
	{ "SCRAM-SHA-1",
	  { "SCRAM-SHA-1", { "me", "secret" }, STR_INIT("secret"), .is_initial = true },
	  SASL_ACCEPTED },
	{ "SCRAM-SHA-256",
	  { "SCRAM-SHA-256", { "me", "secret" }, STR_INIT("secret"), .is_initial = true },
	  SASL_ACCEPTED },
	{ "SCRAM-SHA-256 without initial response",
	  { "SCRAM-SHA-256", { "me", "secret" }, STR_INIT("secret") },
	  SASL_ACCEPTED },
	{ "SCRAM-SHA-256, wrong",
	  { "SCRAM-SHA-256", { "me", "x" }, STR_INIT("secret"), .is_initial = true },
	  SASL_REFUSED },
	{ "SCRAM-SHA-256, unknown user",
	  { "SCRAM-SHA-256", { "me", "x" }, { NULL, 0 }, .is_initial = true },
	  SASL_REFUSED },
	{ "SCRAM-SHA-256 for somebody else",
	  { "SCRAM-SHA-256", { "me", "secret", "you" }, STR_INIT("secret"), .is_initial = true },
	  SASL_REFUSED },
	{ "SCRAM-SHA-256 with an entry for SHA-1",
	  { "SCRAM-SHA-256",
	    { "me", "secret" },
	    STR_INIT("{SCRAM-SHA-1}1,AA==,x,x"),
	    .is_initial = true },
	  SASL_BROKEN },
	{ "SCRAM-SHA-256-PLUS",
	  { "SCRAM-SHA-256-PLUS",
	    { "me", "secret", NULL, BINDING },
	    STR_INIT("secret"),
	    STR_INIT(OCTETS),
	    true },
	  SASL_ACCEPTED },
	{ "SCRAM-SHA-256-PLUS on another connection",
	  { "SCRAM-SHA-256-PLUS",
	    { "me", "secret", NULL, BINDING },
	    STR_INIT("secret"),
	    STR_INIT("x1234567890123456789012345678901"),
	    true },
	  SASL_REFUSED },
};

TEST(exchanges)
{
	bool is_proven;

	FOR_EACH(c, cases)
		ok(run(&c->x, &is_proven) == c->want, c->rule);
}

TEST(stored_keys)
{
	static const char *const names[] = { "SCRAM-SHA-1", "SCRAM-SHA-256" };

	FOR_EACH(name, names) {
		struct arena *a = arena_new();
		struct exchange x = { .mechanism = *name,
				      .who = { "me", "secret" },
				      .is_initial = true };
		bool is_proven = false;

		ok(sasl_scram_entry(a, str_of(*name), STR("secret"), 100, STR("0123"), &x.entry),
		   *name);
		ok(run(&x, &is_proven) == SASL_ACCEPTED && is_proven, *name);
		x.who[1] = "other";
		ok(run(&x, &is_proven) == SASL_REFUSED, *name);
		x.mechanism = "PLAIN";
		ok(run(&x, &is_proven) == SASL_REFUSED, *name);
		x.who[1] = "secret";
		ok(run(&x, &is_proven) == SASL_ACCEPTED, *name);
		arena_free(a);
	}
}

TEST(login_with_the_user_at_once)
{
	struct sasl *g = sasl_new();
	struct sasl_options o = { .mechanism = STR("login"),
				  .service = STR("smtp"),
				  .hostname = STR("x") };
	struct sasl_session *s = sasl_session_new(g, &o);

	ok(sasl_session_step(s, STR("me")) == SASL_CHALLENGE, "asks for the password");
	ok_str(sasl_session_output(s), STR("Password"), "in these words");
	ok(sasl_session_step(s, STR("secret")) == SASL_WANTS_ENTRY, "then knows whom to look up");
	ok(sasl_session_entry(s, STR("secret")) == SASL_ACCEPTED, "and is content");
	sasl_session_free(s);

	s = sasl_session_new(g, &o);
	ok(sasl_session_step(s, STR("")) == SASL_REFUSED, "nobody has no name");
	sasl_session_free(s);
	sasl_free(g);
}

/* Whatever is said first, nothing breaks, and nobody gets in without an entry. */
TEST(nonsense)
{
	static const struct str said[] = {
		STR_INIT(""),           STR_INIT("\0"),
		STR_INIT("\0\0"),       STR_INIT("\0\0\0"),
		STR_INIT("a\0b\0c"),    STR_INIT("n,,"),
		STR_INIT("n,,n=,r="),   STR_INIT("n,,n=a,r=b"),
		STR_INIT("y,,n=a,r=b"), STR_INIT("p=x,,n=a,r=b"),
		STR_INIT("\xff\xff"),   STR_INIT("\0a\0"),
	};
	static const struct str names[] = { STR_INIT("PLAIN"), STR_INIT("LOGIN"),
					    STR_INIT("SCRAM-SHA-256"),
					    STR_INIT("SCRAM-SHA-1-PLUS") };
	struct sasl *g = sasl_new();

	FOR_EACH(name, names)
		FOR_EACH(first, said)
			FOR_EACH(second, said) {
				struct sasl_options o = { .mechanism = *name,
							  .service = STR("smtp"),
							  .hostname = STR("x"),
							  .binding = STR(OCTETS) };
				struct sasl_session *s = sasl_session_new(g, &o);
				enum sasl_state got = sasl_session_step(s, *first);

				if (got == SASL_WANTS_ENTRY)
					got = sasl_session_entry(s, STR_NONE);
				if (got == SASL_CHALLENGE)
					got = sasl_session_step(s, *second);
				if (got == SASL_WANTS_ENTRY)
					got = sasl_session_entry(s, STR_NONE);
				ok(got != SASL_ACCEPTED, "nobody gets in");
				sasl_session_free(s);
			}
	sasl_free(g);
}

TEST_MAIN(RUN(exchanges), RUN(stored_keys), RUN(login_with_the_user_at_once), RUN(nonsense))
