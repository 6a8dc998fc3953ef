/* Entries of the password table. */

#include "sasl/room.h"

#include <string.h>

#include "base/base64.h"

#define ITERATIONS_MAX 1000000

static bool is_same(struct str a, struct str b)
{
	unsigned char differs = a.n != b.n;

	for (size_t i = 0; i < a.n; i++)
		differs |= (unsigned char)(a.p[i] ^ (b.n ? b.p[i % b.n] : 0));
	return differs == 0;
}

static const struct {
	struct str name;
	Gsasl_hash hash;
} hashes[] = {
	{ STR_INIT("SCRAM-SHA-1"), GSASL_HASH_SHA1 },
	{ STR_INIT("SCRAM-SHA-256"), GSASL_HASH_SHA256 },
};

static bool hash_of(struct str mechanism, Gsasl_hash *out)
{
	for (size_t i = 0; i < ARRAY_LEN(hashes); i++)
		if (str_ieq_ascii(mechanism, hashes[i].name)) {
			*out = hashes[i].hash;
			return true;
		}
	return false;
}

static bool parse_scram(struct arena *a, struct str text, struct sasl_entry *out)
{
	struct str iterations, server;
	uint64_t n = 0;

	if (!str_cut(text, ',', &iterations, &text) || !str_to_u64(iterations, &n) || n == 0 ||
	    n > ITERATIONS_MAX || !str_cut(text, ',', &out->salt_text, &text) ||
	    !str_cut(text, ',', &out->stored_text, &out->server_text))
		return false;
	out->kind = SASL_ENTRY_SCRAM;
	out->iterations = (unsigned)n;
	out->salt_text = arena_str(a, out->salt_text);
	out->stored_text = arena_str(a, out->stored_text);
	out->server_text = arena_str(a, out->server_text);
	return base64_decode(a, out->salt_text, &out->salt) && out->salt.n > 0 &&
	       base64_decode(a, out->stored_text, &out->stored) &&
	       base64_decode(a, out->server_text, &server) &&
	       out->stored.n == gsasl_hash_length(out->hash) &&
	       server.n == gsasl_hash_length(out->hash);
}

bool sasl_entry_parse(struct arena *a, struct str text, struct sasl_entry *out)
{
	struct str scheme = STR("PLAIN"), rest = text;

	*out = (struct sasl_entry){ .kind = SASL_ENTRY_PLAIN };
	if (text.n > 0 && text.p[0] == '{' && !str_cut(str_from(text, 1), '}', &scheme, &rest))
		return false;
	out->password = arena_str(a, rest);
	if (str_ieq_ascii(scheme, STR("PLAIN")))
		return rest.n > 0 && !str_contains(rest, '\0');
	return hash_of(scheme, &out->hash) && parse_scram(a, rest, out);
}

bool sasl_is_entry(struct str text)
{
	struct arena *a = arena_new();
	struct sasl_entry entry;
	bool is_entry = sasl_entry_parse(a, text, &entry);

	arena_free(a);
	return is_entry;
}

bool sasl_entry_matches(const struct sasl_entry *e, struct str password)
{
	char salted[GSASL_HASH_MAX_SIZE], client[GSASL_HASH_MAX_SIZE];
	char server[GSASL_HASH_MAX_SIZE], stored[GSASL_HASH_MAX_SIZE];

	if (e->kind == SASL_ENTRY_PLAIN)
		return is_same(e->password, password);
	if (e->kind == SASL_ENTRY_NONE)
		return false;
	if (gsasl_scram_secrets_from_password(e->hash, password.p, e->iterations, e->salt.p,
					      e->salt.n, salted, client, server,
					      stored) != GSASL_OK)
		return false;
	bool is_right = is_same(e->stored, str_span(stored, gsasl_hash_length(e->hash)));
	explicit_bzero(salted, sizeof(salted));
	explicit_bzero(client, sizeof(client));
	return is_right;
}

bool sasl_scram_entry(struct arena *a, struct str mechanism, struct str password,
		      unsigned iterations, struct str salt, struct str *out)
{
	char salted[GSASL_HASH_MAX_SIZE], client[GSASL_HASH_MAX_SIZE];
	char server[GSASL_HASH_MAX_SIZE], stored[GSASL_HASH_MAX_SIZE];
	Gsasl_hash hash;

	if (!hash_of(mechanism, &hash) ||
	    gsasl_scram_secrets_from_password(hash, arena_str(a, password).p, iterations, salt.p,
					      salt.n, salted, client, server, stored) != GSASL_OK)
		return false;
	size_t n = gsasl_hash_length(hash);
	*out = arena_fmt(a, "{" STR_FMT "}%u," STR_FMT "," STR_FMT "," STR_FMT, STR_ARG(mechanism),
			 iterations, STR_ARG(base64_encode(a, salt)),
			 STR_ARG(base64_encode(a, str_span(stored, n))),
			 STR_ARG(base64_encode(a, str_span(server, n))));
	return true;
}
