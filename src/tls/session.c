/* A session: OpenSSL between four buffers. It reads and writes through a BIO of ours that stands
 * on the two network buffers, so that their limits hold for OpenSSL too. */

#include "tls/room.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/err.h>

#define RECORD_MAX (16 * 1024)     /* plain octets of one record; RFC 8446 section 5.1 */
#define RECORD_OVERHEAD (2 * 1024) /* bounds header, padding and tag; RFC 5246 section 6.2.3 */

static int bio_read(BIO *bio, char *out, int size)
{
	struct tls_session *s = BIO_get_data(bio);
	struct str in = str_first(buf_str(&s->network_in), (size_t)size);

	BIO_clear_retry_flags(bio);
	if (in.n == 0 && !s->has_network_ended)
		BIO_set_retry_read(bio);
	if (in.n == 0)
		return s->has_network_ended ? 0 : -1;
	memcpy(out, in.p, in.n);
	buf_consume(&s->network_in, in.n);
	return (int)in.n;
}

static int bio_write(BIO *bio, const char *in, int n)
{
	struct tls_session *s = BIO_get_data(bio);

	BIO_clear_retry_flags(bio);
	if (buf_add(&s->network_out, str_span(in, (size_t)n)))
		return n;
	BIO_set_retry_write(bio);
	return -1;
}

static long bio_ctrl(BIO *bio, int cmd, long num, void *ptr)
{
	struct tls_session *s = BIO_get_data(bio);

	(void)num, (void)ptr;
	switch (cmd) {
	case BIO_CTRL_FLUSH:
		return 1;
	case BIO_CTRL_EOF:
		return s->has_network_ended && buf_len(&s->network_in) == 0;
	default:
		return 0;
	}
}

static CRYPTO_ONCE once = CRYPTO_ONCE_STATIC_INIT;
static BIO_METHOD *bio_method;
static int session_index;

static void set_up(void)
{
	bio_method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "hopseal");
	CHECK(bio_method && BIO_meth_set_read(bio_method, bio_read) &&
	      BIO_meth_set_write(bio_method, bio_write) && BIO_meth_set_ctrl(bio_method, bio_ctrl));
	session_index = SSL_get_ex_new_index(0, NULL, NULL, NULL, NULL);
	CHECK(session_index >= 0);
}

struct tls_session *tls_session_of(const SSL *ssl)
{
	return SSL_get_ex_data(ssl, session_index);
}

struct tls_session *tls_session_new(SSL_CTX *ctx, bool is_server)
{
	struct tls_session *s = base_alloc(sizeof(*s));
	BIO *bio;

	CHECK(CRYPTO_THREAD_run_once(&once, set_up));
	buf_init(&s->network_in, TLS_RECORD_BUFFER_MAX);
	buf_init(&s->network_out, TLS_RECORD_BUFFER_MAX);
	buf_init(&s->application_out, TLS_RECORD_BUFFER_MAX);
	s->is_server = is_server;
	s->alert_sent = -1;
	s->fault.depth = -1;
	s->ssl = SSL_new(ctx);
	bio = BIO_new(bio_method);
	CHECK(s->ssl && bio && SSL_set_ex_data(s->ssl, session_index, s));
	BIO_set_data(bio, s);
	BIO_set_init(bio, 1);
	SSL_set_bio(s->ssl, bio, bio);
	if (is_server)
		SSL_set_accept_state(s->ssl);
	else
		SSL_set_connect_state(s->ssl);
	return s;
}

void tls_session_free(struct tls_session *s)
{
	if (!s)
		return;
	SSL_free(s->ssl);
	tls_resume_end(s);
	tls_anchors_free(&s->anchors);
	EVP_MD_free(s->digest);
	ERR_clear_error();
	buf_fini(&s->network_in);
	buf_fini(&s->network_out);
	buf_fini(&s->application_out);
	free(s);
}

enum tls_state tls_session_state(const struct tls_session *s)
{
	return s->state;
}

bool tls_session_was_up(const struct tls_session *s)
{
	return s->was_up;
}

struct str tls_session_state_name(enum tls_state state)
{
	switch (state) {
	case TLS_STATE_HANDSHAKING:
		return STR("handshaking");
	case TLS_STATE_UP:
		return STR("up");
	case TLS_STATE_CLOSED:
		return STR("closed");
	case TLS_STATE_TRUNCATED:
		return STR("truncated");
	case TLS_STATE_FAILED:
		return STR("failed");
	}
	return STR("");
}

struct str tls_session_error(const struct tls_session *s)
{
	return str_of(s->error);
}

static bool is_unexpected_end(const struct tls_session *s)
{
	unsigned long code = ERR_peek_error();

	return s->has_network_ended &&
	       (code == 0 || ERR_GET_REASON(code) == SSL_R_UNEXPECTED_EOF_WHILE_READING);
}

static void session_end(struct tls_session *s, enum tls_state state, const char *text)
{
	s->state = state;
	snprintf(s->error, sizeof(s->error), "%s", text);
	ERR_clear_error();
}

static void session_fail(struct tls_session *s)
{
	char text[256];
	bool is_tls;

	if (is_unexpected_end(s)) {
		session_end(s, s->was_up ? TLS_STATE_TRUNCATED : TLS_STATE_FAILED,
			    s->was_up ? "the peer closed the connection without close_notify"
				      : "the peer closed the connection during the handshake");
		return;
	}
	is_tls = s->was_up || ERR_GET_REASON(ERR_peek_error()) != SSL_R_WRONG_VERSION_NUMBER;
	tls_queue_text(text, sizeof(text));
	session_end(s, TLS_STATE_FAILED, text);
	if (!is_tls)
		snprintf(s->error, sizeof(s->error), "what the peer sent is not TLS: %s", text);
	if (s->alert_sent >= 0)
		snprintf(s->error, sizeof(s->error), "%s (we sent alert \"%s\")", text,
			 SSL_alert_desc_string_long(s->alert_sent));
}

/* After an OpenSSL call that did not succeed: true when it only waits for a port. */
static bool session_may_wait(struct tls_session *s, int result)
{
	switch (SSL_get_error(s->ssl, result)) {
	case SSL_ERROR_WANT_READ:
	case SSL_ERROR_WANT_WRITE:
		return true;
	case SSL_ERROR_ZERO_RETURN:
		if (s->was_up)
			s->state = TLS_STATE_CLOSED;
		else
			session_end(s, TLS_STATE_FAILED,
				    "the peer said goodbye during the handshake");
		return false;
	default:
		session_fail(s);
		return false;
	}
}

static void session_note_sni(struct tls_session *s)
{
	const char *name = SSL_get_servername(s->ssl, TLSEXT_NAMETYPE_host_name);

	if (s->is_server && name)
		snprintf(s->sni, sizeof(s->sni), "%s", name);
}

static void session_handshake(struct tls_session *s)
{
	int r = SSL_do_handshake(s->ssl);

	session_note_sni(s);
	if (r == 1) {
		s->was_up = true;
		s->state = TLS_STATE_UP;
		tls_resume_proved(s);
	} else if (!session_may_wait(s, r)) {
		tls_resume_failed(s);
	}
}

static void session_decrypt(struct tls_session *s)
{
	while (s->state == TLS_STATE_UP && buf_room(&s->application_out) >= RECORD_MAX) {
		char *to = buf_reserve(&s->application_out, RECORD_MAX);
		int r = SSL_read(s->ssl, to, RECORD_MAX);

		if (r <= 0) {
			session_may_wait(s, r);
			return;
		}
		buf_filled(&s->application_out, (size_t)r);
	}
}

static void session_send_close(struct tls_session *s)
{
	bool is_alive = s->state == TLS_STATE_UP || s->state == TLS_STATE_CLOSED;

	if (!s->is_close_wanted || s->is_close_sent || !is_alive ||
	    buf_room(&s->network_out) < RECORD_OVERHEAD)
		return;
	s->is_close_sent = true;
	SSL_shutdown(s->ssl);
	ERR_clear_error();
}

/* An idle session keeps no memory at its ports. */
static void port_rest(struct buf *port)
{
	if (buf_len(port) == 0)
		buf_fini(port);
}

enum tls_state tls_session_step(struct tls_session *s)
{
	ERR_clear_error();
	if (s->state == TLS_STATE_HANDSHAKING)
		session_handshake(s);
	if (s->state == TLS_STATE_UP)
		session_decrypt(s);
	session_send_close(s);
	port_rest(&s->network_in);
	port_rest(&s->application_out);
	return s->state;
}

void tls_session_network_in(struct tls_session *s, struct str in)
{
	bool is_open = s->state == TLS_STATE_HANDSHAKING || s->state == TLS_STATE_UP;

	CHECK(in.n <= TLS_READ_MAX);
	if (is_open && !buf_add(&s->network_in, in))
		session_end(s, TLS_STATE_FAILED, "more octets than the session can take");
}

bool tls_session_is_full(const struct tls_session *s)
{
	return buf_room(&s->network_in) < TLS_READ_MAX;
}

void tls_session_network_end(struct tls_session *s)
{
	s->has_network_ended = true;
}

struct str tls_session_network_out(const struct tls_session *s)
{
	return buf_str(&s->network_out);
}

void tls_session_network_sent(struct tls_session *s, size_t n)
{
	buf_consume(&s->network_out, n);
	port_rest(&s->network_out);
}

size_t tls_session_application_in(struct tls_session *s, struct str in)
{
	size_t taken = 0;

	ERR_clear_error();
	while (s->state == TLS_STATE_UP && !s->is_close_wanted && taken < in.n &&
	       buf_room(&s->network_out) >= RECORD_MAX + RECORD_OVERHEAD) {
		struct str piece = str_first(str_from(in, taken), RECORD_MAX);
		int r = SSL_write(s->ssl, piece.p, (int)piece.n);

		if (r <= 0) {
			session_may_wait(s, r);
			break;
		}
		taken += (size_t)r;
	}
	return taken;
}

void tls_session_close(struct tls_session *s)
{
	s->is_close_wanted = true;
}

struct str tls_session_application_out(const struct tls_session *s)
{
	return buf_str(&s->application_out);
}

void tls_session_application_used(struct tls_session *s, size_t n)
{
	buf_consume(&s->application_out, n);
	port_rest(&s->application_out);
}

bool tls_session_exporter(const struct tls_session *s, char out[TLS_EXPORTER_SIZE])
{
	static const char label[] = "EXPORTER-Channel-Binding";
	bool is_there = s->was_up &&
			SSL_export_keying_material(s->ssl, (unsigned char *)out, TLS_EXPORTER_SIZE,
						   label, sizeof(label) - 1, NULL, 0, 0) == 1;

	ERR_clear_error();
	return is_there;
}

struct str tls_session_sni(const struct tls_session *s)
{
	return str_of(s->sni);
}
