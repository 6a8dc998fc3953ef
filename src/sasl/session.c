/* An exchange. GNU SASL asks for a user's secrets from inside its step and cannot wait for them:
 * the step that needs them is taken back, and when they are there the exchange is played again
 * from its first octet. Nothing was sent in between, so the client notices nothing. */

#include "sasl/room.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base64.h"
#include "base/buf.h"

#define ITERATIONS 4096 /* for entries that hold the password itself: RFC 7677 section 4 */
#define INPUTS_MAX 4    /* steps of the longest mechanism */

struct sasl {
	Gsasl *ctx;
};

struct sasl_session {
	struct sasl *owner;
	Gsasl_session *gsasl;
	char mechanism[32];
	bool has_initial_challenge; /* the server speaks first, whatever comes with AUTH */
	char *service, *hostname, *binding;
	struct arena *arena;

	struct str inputs[INPUTS_MAX]; /* so far */
	size_t n_inputs, n_octets;
	bool wants_entry, has_entry, is_accepted_after_output;
	struct sasl_entry entry;
	char user[SASL_USER_MAX + 1];
	char *output;
	size_t output_n;
};

static const struct {
	struct str name;
	bool shows_password;
} mechanisms[] = {
	{ STR_INIT("PLAIN"), true },
	{ STR_INIT("LOGIN"), true },
	{ STR_INIT("SCRAM-SHA-1"), false },
	{ STR_INIT("SCRAM-SHA-256"), false },
	{ STR_INIT("SCRAM-SHA-1-PLUS"), false },
	{ STR_INIT("SCRAM-SHA-256-PLUS"), false },
};

bool sasl_is_mechanism(struct str name)
{
	for (size_t i = 0; i < ARRAY_LEN(mechanisms); i++)
		if (str_ieq_ascii(name, mechanisms[i].name))
			return true;
	return false;
}

bool sasl_shows_password(struct str mechanism)
{
	for (size_t i = 0; i < ARRAY_LEN(mechanisms); i++)
		if (str_ieq_ascii(mechanism, mechanisms[i].name))
			return mechanisms[i].shows_password;
	return true;
}

/* A salt that stays the same for a user as long as the process lives, also for one that does not
 * exist: otherwise the salt would tell who does. */

static pthread_once_t secret_once = PTHREAD_ONCE_INIT;
static char secret[16];

static void make_secret(void)
{
	CHECK(gsasl_nonce(secret, sizeof(secret)) == GSASL_OK);
}

struct str sasl_secret_hash(struct arena *a, const char *text)
{
	char salted[GSASL_HASH_MAX_SIZE], client[GSASL_HASH_MAX_SIZE];
	char server[GSASL_HASH_MAX_SIZE], stored[GSASL_HASH_MAX_SIZE];

	pthread_once(&secret_once, make_secret);
	memset(stored, 0, sizeof(stored));
	if (gsasl_scram_secrets_from_password(GSASL_HASH_SHA256, text, 1, secret, sizeof(secret),
					      salted, client, server, stored) != GSASL_OK)
		memcpy(stored, secret, sizeof(secret));
	return base64_encode(a, str_span(stored, 16));
}

/* What GNU SASL asks for. */

static bool note_user(struct sasl_session *s)
{
	const char *user = gsasl_property_fast(s->gsasl, GSASL_AUTHID);

	if (!user || strlen(user) > SASL_USER_MAX)
		return false;
	snprintf(s->user, sizeof(s->user), "%s", user);
	return true;
}

/* Nobody may act for somebody else. */
static bool is_own_identity(struct sasl_session *s)
{
	const char *other = gsasl_property_fast(s->gsasl, GSASL_AUTHZID);

	return !other || !*other || strcmp(other, s->user) == 0;
}

static int give_simple(struct sasl_session *s)
{
	const char *password = gsasl_property_fast(s->gsasl, GSASL_PASSWORD);

	if (!password || !is_own_identity(s) || !sasl_entry_matches(&s->entry, str_of(password)))
		return GSASL_AUTHENTICATION_ERROR;
	return GSASL_OK;
}

static Gsasl_hash hash_of(const struct sasl_session *s)
{
	return str_has_prefix(str_of(s->mechanism), STR("SCRAM-SHA-256")) ? GSASL_HASH_SHA256
									  : GSASL_HASH_SHA1;
}

static int set(struct sasl_session *s, Gsasl_property p, struct str value)
{
	return gsasl_property_set_raw(s->gsasl, p, value.p, value.n);
}

static int give_scram(struct sasl_session *s, Gsasl_property p)
{
	bool is_stored = s->entry.kind == SASL_ENTRY_SCRAM;
	char nobody[24];

	if (!is_own_identity(s))
		return GSASL_AUTHENTICATION_ERROR;
	switch ((int)p) {
	case GSASL_SCRAM_ITER:
		return set(s, p,
			   arena_fmt(s->arena, "%u", is_stored ? s->entry.iterations : ITERATIONS));
	case GSASL_SCRAM_SALT:
		return set(s, p,
			   is_stored ? s->entry.salt_text : sasl_secret_hash(s->arena, s->user));
	case GSASL_SCRAM_STOREDKEY:
		return is_stored ? set(s, p, s->entry.stored_text) : GSASL_NO_CALLBACK;
	case GSASL_SCRAM_SERVERKEY:
		return is_stored ? set(s, p, s->entry.server_text) : GSASL_NO_CALLBACK;
	case GSASL_PASSWORD:
		if (is_stored)
			return GSASL_NO_CALLBACK;
		if (s->entry.kind == SASL_ENTRY_PLAIN)
			return set(s, p, s->entry.password);
		CHECK(gsasl_nonce(nobody, sizeof(nobody)) == GSASL_OK);
		return set(s, p, base64_encode(s->arena, str_span(nobody, sizeof(nobody))));
	default:
		return GSASL_NO_CALLBACK;
	}
}

static int on_property(Gsasl *ctx, Gsasl_session *gsasl, Gsasl_property p)
{
	struct sasl_session *s = gsasl_session_hook_get(gsasl);
	bool is_ours = p == GSASL_VALIDATE_SIMPLE || p == GSASL_SCRAM_ITER ||
		       p == GSASL_SCRAM_SALT || p == GSASL_SCRAM_STOREDKEY ||
		       p == GSASL_SCRAM_SERVERKEY || p == GSASL_PASSWORD;

	(void)ctx;
	if (!is_ours || !s || !note_user(s))
		return is_ours ? GSASL_AUTHENTICATION_ERROR : GSASL_NO_CALLBACK;
	if (!s->has_entry) {
		s->wants_entry = true;
		return GSASL_AUTHENTICATION_ERROR;
	}
	return p == GSASL_VALIDATE_SIMPLE ? give_simple(s) : give_scram(s, p);
}

struct sasl *sasl_new(void)
{
	struct sasl *g = base_alloc(sizeof(*g));

	CHECK(gsasl_init(&g->ctx) == GSASL_OK);
	gsasl_callback_set(g->ctx, on_property);
	return g;
}

Gsasl *sasl_context(struct sasl *g)
{
	return g->ctx;
}

void sasl_free(struct sasl *g)
{
	if (!g)
		return;
	gsasl_done(g->ctx);
	free(g);
}

/* Sessions. */

static char *copy(struct str s)
{
	char *p = base_alloc(s.n + 1);

	if (s.n)
		memcpy(p, s.p, s.n);
	return p;
}

static void begin(struct sasl_session *s)
{
	CHECK(gsasl_server_start(s->owner->ctx, s->mechanism, &s->gsasl) == GSASL_OK);
	gsasl_session_hook_set(s->gsasl, s);
	CHECK(gsasl_property_set(s->gsasl, GSASL_SERVICE, s->service) == GSASL_OK);
	CHECK(gsasl_property_set(s->gsasl, GSASL_HOSTNAME, s->hostname) == GSASL_OK);
	if (s->binding)
		CHECK(gsasl_property_set(s->gsasl, GSASL_CB_TLS_EXPORTER, s->binding) == GSASL_OK);
}

static void end(struct sasl_session *s)
{
	if (s->gsasl)
		gsasl_finish(s->gsasl);
	s->gsasl = NULL;
	gsasl_free(s->output);
	s->output = NULL;
	s->output_n = 0;
}

struct sasl_session *sasl_session_new(struct sasl *g, const struct sasl_options *o)
{
	struct sasl_session *s = base_alloc(sizeof(*s));

	CHECK(sasl_is_mechanism(o->mechanism));
	s->owner = g;
	s->arena = arena_new();
	for (size_t i = 0; i < o->mechanism.n; i++) {
		char c = o->mechanism.p[i];
		s->mechanism[i] = c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
	}
	s->has_initial_challenge = str_eq(str_of(s->mechanism), STR("LOGIN"));
	s->service = copy(o->service);
	s->hostname = copy(o->hostname);
	if (o->binding.n)
		s->binding = copy(base64_encode(s->arena, o->binding));
	begin(s);
	return s;
}

void sasl_session_free(struct sasl_session *s)
{
	if (!s)
		return;
	end(s);
	for (size_t i = 0; i < s->n_inputs; i++)
		explicit_bzero((char *)(uintptr_t)s->inputs[i].p, s->inputs[i].n);
	if (s->entry.password.n)
		explicit_bzero((char *)(uintptr_t)s->entry.password.p, s->entry.password.n);
	arena_free(s->arena);
	free(s->service);
	free(s->hostname);
	free(s->binding);
	free(s);
}

static enum sasl_state state_of(struct sasl_session *s, int r)
{
	if (s->wants_entry)
		return SASL_WANTS_ENTRY;
	if (r == GSASL_NEEDS_MORE)
		return SASL_CHALLENGE;
	if (r != GSASL_OK || !note_user(s) || s->user[0] == '\0')
		return SASL_REFUSED;
	/* SMTP cannot carry more with its 235: it goes ahead, and is answered by an empty line. */
	s->is_accepted_after_output = s->output_n > 0;
	return s->output_n > 0 ? SASL_CHALLENGE : SASL_ACCEPTED;
}

static enum sasl_state feed(struct sasl_session *s, struct str input)
{
	gsasl_free(s->output);
	s->output = NULL;
	s->output_n = 0;
	return state_of(s, gsasl_step(s->gsasl, input.n ? input.p : NULL, input.n, &s->output,
				      &s->output_n));
}

static bool keep(struct sasl_session *s, struct str input)
{
	if (s->n_inputs == INPUTS_MAX || input.n > SASL_OCTETS_MAX - s->n_octets)
		return false;
	s->n_octets += input.n;
	s->inputs[s->n_inputs++] = arena_str(s->arena, input);
	return true;
}

static enum sasl_state take(struct sasl_session *s, struct str input)
{
	return keep(s, input) ? feed(s, s->inputs[s->n_inputs - 1]) : SASL_REFUSED;
}

enum sasl_state sasl_session_step(struct sasl_session *s, struct str response)
{
	bool is_first = s->n_inputs == 0;

	CHECK(!s->wants_entry);
	if (s->is_accepted_after_output)
		return response.n == 0 ? SASL_ACCEPTED : SASL_REFUSED;
	if (is_first && s->has_initial_challenge) {
		enum sasl_state state = take(s, STR(""));
		return state == SASL_CHALLENGE && response.p ? take(s, response) : state;
	}
	/* An empty line where the mechanism wants its first message ("AUTH PLAIN ="). */
	if (is_first && response.p && response.n == 0)
		return SASL_REFUSED;
	return take(s, response);
}

static bool is_of_use(const struct sasl_session *s)
{
	return s->entry.kind != SASL_ENTRY_SCRAM || sasl_shows_password(str_of(s->mechanism)) ||
	       s->entry.hash == hash_of(s);
}

enum sasl_state sasl_session_entry(struct sasl_session *s, struct str entry)
{
	enum sasl_state state = SASL_REFUSED;

	CHECK(s->wants_entry);
	s->wants_entry = false;
	s->has_entry = true;
	if (entry.p && (!sasl_entry_parse(s->arena, entry, &s->entry) || !is_of_use(s)))
		return SASL_BROKEN;
	end(s);
	begin(s);
	for (size_t i = 0; i < s->n_inputs; i++)
		state = feed(s, s->inputs[i]);
	return state;
}

struct str sasl_session_output(const struct sasl_session *s)
{
	return str_span(s->output, s->output_n);
}

struct str sasl_session_user(const struct sasl_session *s)
{
	return str_of(s->user);
}
