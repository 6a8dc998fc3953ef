#include "policy/peer.h"

static const struct peer_certificate *
copy_chain(struct arena *a, const struct peer_certificate *v, size_t n)
{
	struct peer_certificate *copy = ARENA_ARRAY(a, n, struct peer_certificate);

	for (size_t i = 0; i < n; i++) {
		copy[i] = v[i];
		copy[i].subject = arena_str(a, v[i].subject);
		copy[i].issuer = arena_str(a, v[i].issuer);
		copy[i].sha256 = arena_str(a, v[i].sha256);
		copy[i].spki_sha256 = arena_str(a, v[i].spki_sha256);
	}
	return copy;
}

static const struct peer_name *copy_names(struct arena *a, const struct peer_name *v, size_t n)
{
	struct peer_name *copy = ARENA_ARRAY(a, n, struct peer_name);

	for (size_t i = 0; i < n; i++)
		copy[i] = (struct peer_name){ v[i].kind, arena_str(a, v[i].text) };
	return copy;
}

struct tls_peer tls_peer_copy(struct arena *a, const struct tls_peer *p)
{
	struct tls_peer copy = *p;

	copy.starttls_refusal = arena_str(a, p->starttls_refusal);
	copy.handshake_error = arena_str(a, p->handshake_error);
	copy.protocol = arena_str(a, p->protocol);
	copy.cipher = arena_str(a, p->cipher);
	copy.sni_sent = arena_str(a, p->sni_sent);
	copy.fault_text = arena_str(a, p->fault_text);
	copy.chain = copy_chain(a, p->chain, p->n_chain);
	copy.names = copy_names(a, p->names, p->n_names);
	copy.fingerprint.digest = arena_str(a, p->fingerprint.digest);
	copy.fingerprint.certificate = arena_str(a, p->fingerprint.certificate);
	copy.fingerprint.public_key = arena_str(a, p->fingerprint.public_key);
	return copy;
}
