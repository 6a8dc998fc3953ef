/* What the contexts of both sides have in common. */

#include <stdlib.h>

#include "tls/room.h"

/* As OpenSSL's own: none for nothing. */
static void *memory_new(size_t n, const char *file, int line)
{
	(void)file, (void)line;
	return n > 0 ? base_realloc(NULL, n) : NULL;
}

static void memory_free(void *p, const char *file, int line)
{
	(void)file, (void)line;
	free(p);
}

static void *memory_resize(void *p, size_t n, const char *file, int line)
{
	if (n > 0)
		return base_realloc(p, n);
	memory_free(p, file, line);
	return NULL;
}

void tls_take_memory(void)
{
	CHECK(CRYPTO_set_mem_functions(memory_new, memory_resize, memory_free) == 1);
}

static const int versions[] = { TLS1_VERSION, TLS1_1_VERSION, TLS1_2_VERSION, TLS1_3_VERSION };
static const uint64_t version_off[] = { SSL_OP_NO_TLSv1, SSL_OP_NO_TLSv1_1, SSL_OP_NO_TLSv1_2,
					SSL_OP_NO_TLSv1_3 };

static void context_set_versions(SSL_CTX *ctx, tls_versions mask)
{
	int low = 0, high = 0;

	for (size_t i = 0; i < ARRAY_LEN(versions); i++) {
		if (!(mask & 1u << i)) {
			SSL_CTX_set_options(ctx, version_off[i]);
			continue;
		}
		low = low ? low : versions[i];
		high = versions[i];
	}
	/* Also when the range is whole: openssl.cnf may have set another. */
	CHECK(SSL_CTX_set_min_proto_version(ctx, low) && SSL_CTX_set_max_proto_version(ctx, high));
}

static void on_info(const SSL *ssl, int where, int ret)
{
	int alert = ret & 0xff;

	if ((where & SSL_CB_WRITE_ALERT) == SSL_CB_WRITE_ALERT && alert != SSL_AD_CLOSE_NOTIFY)
		tls_session_of(ssl)->alert_sent = alert;
}

SSL_CTX *tls_context_new(const SSL_METHOD *method, tls_versions mask)
{
	SSL_CTX *ctx = SSL_CTX_new(method);

	CHECK(ctx);
	/* Opportunistic TLS takes what the protocol and cipher settings allow; the library's own
	 * idea of strength would turn encryption into cleartext. */
	SSL_CTX_set_security_level(ctx, 0);
	context_set_versions(ctx, mask);
	SSL_CTX_set_options(ctx,
			    SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_NO_TICKET);
	/* An end without close_notify is told (TLS_STATE_TRUNCATED) and never made up. */
	SSL_CTX_clear_options(ctx, SSL_OP_IGNORE_UNEXPECTED_EOF);
	SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
				      SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_info_callback(ctx, on_info);
	return ctx;
}
