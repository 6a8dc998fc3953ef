/* The choice of a mechanism, and the client's side of it. */

#include "sasl/client.h"

#include <stdlib.h>
#include <string.h>

#include "base/base64.h"
#include "base/limits.h"
#include "sasl/room.h"

#define SCRAM_TRAITS (SASL_NO_PLAINTEXT | SASL_NO_ACTIVE | SASL_NO_ANONYMOUS | SASL_MUTUAL)

/* In the order of preference. Traits are those that Cyrus SASL gives them. */
static const struct mechanism {
	struct str name;
	unsigned traits;
	bool is_first;    /* the client speaks first */
	bool is_bound;    /* to the TLS session */
	bool is_on_call;  /* only when the filter names it */
	unsigned n_steps; /* complete after as many; 0: when GNU SASL says so */
} mechanisms[] = {
	{ STR_INIT("SCRAM-SHA-256-PLUS"), SCRAM_TRAITS, true, true, false, 0 },
	{ STR_INIT("SCRAM-SHA-1-PLUS"), SCRAM_TRAITS, true, true, false, 0 },
	{ STR_INIT("SCRAM-SHA-256"), SCRAM_TRAITS, true, false, false, 0 },
	{ STR_INIT("SCRAM-SHA-1"), SCRAM_TRAITS, true, false, false, 0 },
	{ STR_INIT("CRAM-MD5"), SASL_NO_PLAINTEXT | SASL_NO_ANONYMOUS, false, false, true, 1 },
	{ STR_INIT("PLAIN"), SASL_NO_ANONYMOUS, true, false, false, 1 },
	{ STR_INIT("LOGIN"), SASL_NO_ANONYMOUS, false, false, false, 2 },
};

static const struct {
	struct str word;
	enum sasl_trait trait;
} traits[] = {
	{ STR_INIT("noplaintext"), SASL_NO_PLAINTEXT },
	{ STR_INIT("noactive"), SASL_NO_ACTIVE },
	{ STR_INIT("nodictionary"), SASL_NO_DICTIONARY },
	{ STR_INIT("noanonymous"), SASL_NO_ANONYMOUS },
	{ STR_INIT("mutual_auth"), SASL_MUTUAL },
	{ STR_INIT("forward_secrecy"), SASL_FORWARD_SECRECY },
};

static unsigned trait_of(struct str word)
{
	for (size_t i = 0; i < ARRAY_LEN(traits); i++)
		if (str_ieq_ascii(word, traits[i].word))
			return traits[i].trait;
	return 0;
}

bool sasl_traits_parse(struct str list, unsigned *out, struct str *bad)
{
	struct str word;

	*out = 0;
	while (str_token(&list, STR(", \t\r\n"), &word)) {
		unsigned trait = trait_of(word);
		if (!trait) {
			*bad = word;
			return false;
		}
		*out |= trait;
	}
	return true;
}

unsigned sasl_traits_of(struct str mechanism)
{
	for (size_t i = 0; i < ARRAY_LEN(mechanisms); i++)
		if (str_ieq_ascii(mechanism, mechanisms[i].name))
			return mechanisms[i].traits;
	return 0;
}

/* ---- the choice ---- */

static bool is_listed(struct str list, struct str name)
{
	struct str word;

	while (str_token(&list, STR(" "), &word))
		if (str_ieq_ascii(word, name))
			return true;
	return false;
}

/* The first element that says something about the mechanism decides: a name, "!name", or
 * "static:x" for all of them. No element: it is left out. */
static bool passes_filter(struct str filter, struct str name, bool *is_named)
{
	struct str word;
	bool is_empty = true;

	*is_named = false;
	while (str_token(&filter, STR(", \t\r\n"), &word)) {
		bool is_not = false;
		is_empty = false;
		for (; str_has_prefix(word, STR("!")); word = str_from(word, 1))
			is_not = !is_not;
		*is_named = str_ieq_ascii(word, name);
		if (*is_named || str_has_prefix(word, STR("static:")))
			return !is_not;
	}
	return is_empty;
}

bool sasl_filter_check(struct str filter, struct str *bad)
{
	struct str word;

	while (str_token(&filter, STR(", \t\r\n"), &word)) {
		struct str name = word;
		while (str_has_prefix(name, STR("!")))
			name = str_from(name, 1);
		bool is_table = str_contains(name, ':') || str_has_prefix(name, STR("/"));
		if (is_table && !str_has_prefix(name, STR("static:"))) {
			*bad = word;
			return false;
		}
	}
	return true;
}

static bool suits(const struct sasl_wish *w, const struct mechanism *m)
{
	bool is_named;

	return is_listed(w->offered, m->name) && (m->traits & w->traits) == w->traits &&
	       (!m->is_bound || w->has_binding) && passes_filter(w->filter, m->name, &is_named) &&
	       (!m->is_on_call || is_named);
}

struct str sasl_choose(const struct sasl_wish *w)
{
	for (size_t i = 0; i < ARRAY_LEN(mechanisms); i++)
		if (suits(w, &mechanisms[i]))
			return mechanisms[i].name;
	return STR("");
}

static const struct mechanism *find(struct str name)
{
	for (size_t i = 0; i < ARRAY_LEN(mechanisms); i++)
		if (str_eq(name, mechanisms[i].name))
			return &mechanisms[i];
	return NULL;
}

/* ---- the exchange ---- */

struct sasl_client {
	const struct mechanism *mechanism;
	Gsasl_session *gsasl;
	char *output;
	size_t output_n;
	unsigned n_steps;
	bool is_done; /* says GNU SASL */
};

static void set(struct sasl_client *c, Gsasl_property p, struct str value)
{
	CHECK(gsasl_property_set_raw(c->gsasl, p, value.p, value.n) == GSASL_OK);
}

struct sasl_client *sasl_client_new(struct sasl *g, const struct sasl_login *o)
{
	struct sasl_client *c = base_alloc(sizeof(*c));
	struct arena *a = arena_new();

	c->mechanism = find(o->mechanism);
	CHECK(c->mechanism);
	CHECK(gsasl_client_start(sasl_context(g), c->mechanism->name.p, &c->gsasl) == GSASL_OK);
	set(c, GSASL_SERVICE, STR("smtp"));
	set(c, GSASL_HOSTNAME, o->hostname);
	set(c, GSASL_AUTHID, o->user);
	set(c, GSASL_PASSWORD, o->password);
	/* With a value for it GNU SASL 2.2 cannot say that the server seems not to offer binding
	 * ("y" in RFC 5802 section 6), and fails. */
	if (c->mechanism->is_bound)
		set(c, GSASL_CB_TLS_EXPORTER, base64_encode(a, o->binding));
	arena_free(a);
	return c;
}

static void forget_output(struct sasl_client *c)
{
	if (c->output)
		explicit_bzero(c->output, c->output_n);
	gsasl_free(c->output);
	c->output = NULL;
	c->output_n = 0;
}

void sasl_client_free(struct sasl_client *c)
{
	if (!c)
		return;
	forget_output(c);
	gsasl_finish(c->gsasl);
	free(c);
}

bool sasl_client_is_first(const struct sasl_client *c)
{
	return c->mechanism->is_first;
}

/* How often the password is to be hashed (RFC 5802 section 5.1, attribute i): so often that the
 * loop would stand still, or so seldom that whoever has our proof tries passwords at leisure. A
 * server that was not verified might ask for either. */
static bool has_bad_iterations(const struct sasl_client *c, struct str challenge)
{
	bool is_scram = (c->mechanism->traits & SASL_MUTUAL) != 0;
	struct str part;
	uint64_t n;

	while (is_scram && str_token(&challenge, STR(","), &part))
		if (str_has_prefix(part, STR("i=")) &&
		    (!str_to_u64(str_from(part, 2), &n) || n < SASL_ITERATIONS_MIN ||
		     n > SASL_ITERATIONS_MAX))
			return true;
	return false;
}

bool sasl_client_step(struct sasl_client *c, struct str challenge)
{
	int r;

	/* the last word was the server's: more than its proof was not to come */
	if ((c->is_done && c->n_steps > 0) || has_bad_iterations(c, challenge))
		return false;
	forget_output(c);
	r = gsasl_step(c->gsasl, challenge.n ? challenge.p : NULL, challenge.n, &c->output,
		       &c->output_n);
	c->n_steps++;
	c->is_done =
		r == GSASL_OK || (c->mechanism->n_steps && c->n_steps == c->mechanism->n_steps);
	return r == GSASL_OK || r == GSASL_NEEDS_MORE;
}

struct str sasl_client_output(const struct sasl_client *c)
{
	return c->output_n ? str_span(c->output, c->output_n) : STR("");
}

bool sasl_client_is_complete(const struct sasl_client *c)
{
	return c->is_done;
}

struct str sasl_login_label(struct arena *a, struct str user, struct str password)
{
	struct str both =
		arena_fmt(a, "%zu:" STR_FMT STR_FMT, user.n, STR_ARG(user), STR_ARG(password));
	/* in base 64: what is no UTF-8 has a label, too */
	struct str text = base64_encode(a, both);
	struct str label = sasl_secret_hash(a, text.p);

	explicit_bzero((char *)(uintptr_t)both.p, both.n);
	explicit_bzero((char *)(uintptr_t)text.p, text.n);
	return label;
}
