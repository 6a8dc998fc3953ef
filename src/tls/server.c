/* The server's side, for receivers. */

#include "tls/room.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>

struct tls_server {
	SSL_CTX *ctx;
	struct tls_identities identities;
};

static bool
server_identify(struct tls_server *s, const struct tls_server_options *o, struct error *e)
{
	struct tls_identities *ids = &s->identities;

	if (o->chain_files.n > 0) {
		if (!tls_identities_load_chains(ids, o->chain_files, e))
			return false;
	} else {
		if (o->cert_file.n > 0 &&
		    !tls_identities_load_pair(ids, o->cert_file, o->key_file, e))
			return false;
		if (o->eccert_file.n > 0 &&
		    !tls_identities_load_pair(ids, o->eccert_file, o->eckey_file, e))
			return false;
	}
	return ids->n == 0 || tls_identities_install(ids, s->ctx, e);
}

static bool server_set_up(struct tls_server *s, const struct tls_server_options *o, struct error *e)
{
	char ciphers[1024];

	if (!server_identify(s, o, e))
		return error_prefix(e, "server certificate");
	if (o->prefers_own_ciphers)
		SSL_CTX_set_options(s->ctx, SSL_OP_CIPHER_SERVER_PREFERENCE);
	if (o->cipher_list.n == 0)
		return true;
	if (o->cipher_list.n >= sizeof(ciphers))
		return error_set(e, ERROR_CONFIG, "cipher list too long");
	memcpy(ciphers, o->cipher_list.p, o->cipher_list.n);
	ciphers[o->cipher_list.n] = '\0';
	return SSL_CTX_set_cipher_list(s->ctx, ciphers) == 1 ||
	       tls_error_set(e, ERROR_CONFIG, "cipher list \"%.300s\"", ciphers);
}

static void server_set_tickets(SSL_CTX *ctx, bool gives_tickets)
{
	static const unsigned char id[] = "hopseal"; /* asked for where clients have certificates */

	if (!gives_tickets) {
		SSL_CTX_set_num_tickets(ctx, 0);
		return;
	}
	SSL_CTX_clear_options(ctx, SSL_OP_NO_TICKET);
	CHECK(SSL_CTX_set_session_id_context(ctx, id, sizeof(id) - 1) == 1);
}

struct tls_server *tls_server_new(const struct tls_server_options *o, struct error *e)
{
	struct tls_server *s;

	ERR_clear_error();
	if (!(o->versions & TLS_VERSIONS_ALL)) {
		error_set(e, ERROR_CONFIG, "no TLS protocol is left to use");
		return NULL;
	}
	s = base_alloc(sizeof(*s));
	s->ctx = tls_context_new(TLS_server_method(), o->versions);
	server_set_tickets(s->ctx, o->gives_tickets);
	SSL_CTX_set_dh_auto(s->ctx, 1);
	if (o->asks_certificate)
		SSL_CTX_set_verify(s->ctx, SSL_VERIFY_PEER, tls_verify_collect);
	if (server_set_up(s, o, e))
		return s;
	tls_server_free(s);
	return NULL;
}

void tls_server_free(struct tls_server *s)
{
	if (!s)
		return;
	SSL_CTX_free(s->ctx);
	tls_identities_free(&s->identities);
	free(s);
}

struct tls_session *tls_server_session(struct tls_server *s)
{
	ERR_clear_error();
	return tls_session_new(s->ctx, true);
}
