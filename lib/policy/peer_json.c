/* What a handshake showed, as JSON: docs/reference/decision.md. */

#include "policy/policy.h"

static const struct str faults[] = {
	[CHAIN_OK] = STR_INIT("ok"),
	[CHAIN_NO_CERTIFICATE] = STR_INIT("no-certificate"),
	[CHAIN_SELF_SIGNED] = STR_INIT("self-signed"),
	[CHAIN_UNKNOWN_CA] = STR_INIT("unknown-ca"),
	[CHAIN_EXPIRED] = STR_INIT("expired"),
	[CHAIN_NOT_YET_VALID] = STR_INIT("not-yet-valid"),
	[CHAIN_TOO_LONG] = STR_INIT("too-long"),
	[CHAIN_INVALID] = STR_INIT("invalid"),
};

static void put_or_null(struct json *j, const char *key, struct str s)
{
	json_key(j, key);
	json_str_or_null(j, s.n ? s : STR_NONE);
}

static void put_certificate(struct json *j, const struct peer_certificate *c)
{
	json_object(j);
	json_put_str(j, "subject", c->subject);
	json_put_str(j, "issuer", c->issuer);
	json_put_int(j, "not_before", c->not_before);
	json_put_int(j, "not_after", c->not_after);
	json_put_str(j, "sha256", c->sha256);
	json_put_str(j, "spki_sha256", c->spki_sha256);
	json_object_end(j);
}

static void
put_names(struct json *j, const char *key, const struct tls_peer *p, enum peer_name_kind kind)
{
	json_key(j, key);
	json_array(j);
	for (size_t i = 0; i < p->n_names; i++)
		if (p->names[i].kind == kind)
			json_str(j, p->names[i].text);
	json_array_end(j);
}

static void put_fingerprint(struct json *j, const struct peer_fingerprint *f)
{
	json_key(j, "fingerprint");
	if (!f->digest.n) {
		json_null(j);
		return;
	}
	json_object(j);
	json_put_str(j, "digest", f->digest);
	json_put_str(j, "certificate", f->certificate);
	json_put_str(j, "public_key", f->public_key);
	json_object_end(j);
}

static void put_session(struct json *j, const struct tls_peer *p)
{
	put_or_null(j, "protocol", p->protocol);
	put_or_null(j, "cipher", p->cipher);
	json_put_int(j, "cipher_bits", p->cipher_bits);
	put_or_null(j, "sni", p->sni_sent);
	json_put_bool(j, "resumed", p->is_resumed);
}

void tls_peer_json(struct json *j, const struct tls_peer *p)
{
	json_object(j);
	json_put_bool(j, "offered", p->is_offered);
	json_put_bool(j, "garbled", p->is_garbled);
	json_put_bool(j, "tls", p->is_tls);
	json_put_bool(j, "requiretls_offered", p->is_requiretls_offered);
	put_or_null(j, "starttls_refusal", p->starttls_refusal);
	put_or_null(j, "handshake_error", p->handshake_error);
	put_session(j, p);
	json_key(j, "fault");
	json_str_or_null(j, p->is_tls ? faults[p->fault] : STR_NONE);
	put_or_null(j, "fault_text", p->fault_text);
	put_names(j, "dns_names", p, PEER_NAME_DNS);
	put_names(j, "ip_addresses", p, PEER_NAME_IP);
	put_names(j, "common_names", p, PEER_NAME_CN);
	put_fingerprint(j, &p->fingerprint);
	json_key(j, "chain");
	json_array(j);
	for (size_t i = 0; i < p->n_chain; i++)
		put_certificate(j, &p->chain[i]);
	json_array_end(j);
	json_object_end(j);
}
