/* Sessions that a client may resume. What the full handshake proved is kept beside each, for a
 * resumed one proves nothing anew; and it is over when that proof would be. RFC 8446 section 4.6.1
 * bounds a ticket's life, section C.4 asks that none be used twice. */

#include "tls/room.h"

#include <stdlib.h>
#include <time.h>

#include <openssl/err.h>

#include "base/list.h"

enum { CACHE_BUCKETS = 256 };

struct kept {
	struct list by_age, in_bucket;
	struct tls_cache *cache;
	struct arena *arena;
	struct str key;
	struct tls_resumable r;
	int64_t ends_at;
};

struct tls_cache {
	unsigned refs;
	size_t n;
	int64_t lifetime_s;
	struct list by_age;
	struct list bucket[CACHE_BUCKETS];
};

struct tls_cache *tls_cache_new(unsigned lifetime_s)
{
	struct tls_cache *c = base_alloc(sizeof(*c));

	c->refs = 1;
	c->lifetime_s = lifetime_s;
	list_init(&c->by_age);
	for (size_t i = 0; i < CACHE_BUCKETS; i++)
		list_init(&c->bucket[i]);
	return c;
}

struct tls_cache *tls_cache_ref(struct tls_cache *c)
{
	if (c)
		c->refs++;
	return c;
}

static void kept_free(struct kept *k)
{
	list_remove(&k->by_age);
	list_remove(&k->in_bucket);
	k->cache->n--;
	SSL_SESSION_free(k->r.session);
	arena_free(k->arena);
	free(k);
}

void tls_cache_unref(struct tls_cache *c)
{
	if (!c || --c->refs > 0)
		return;
	while (!list_is_empty(&c->by_age))
		kept_free(LIST_OF(c->by_age.next, struct kept, by_age));
	free(c);
}

static struct list *cache_bucket(struct tls_cache *c, struct str key)
{
	return &c->bucket[str_hash(key) % CACHE_BUCKETS];
}

/* Makes room for one more of the key: the oldest goes. */
static void cache_make_room(struct tls_cache *c, struct str key)
{
	struct list *bucket = cache_bucket(c, key);
	struct kept *oldest = NULL;
	size_t n = 0;

	for (struct list *l = bucket->next; l != bucket; l = l->next) {
		struct kept *k = LIST_OF(l, struct kept, in_bucket);
		if (!str_eq(k->key, key))
			continue;
		oldest = oldest ? oldest : k;
		n++;
	}
	if (n >= TLS_SESSIONS_KEY_MAX)
		kept_free(oldest);
	else if (c->n >= TLS_SESSIONS_MAX)
		kept_free(LIST_OF(c->by_age.next, struct kept, by_age));
}

static int64_t earlier(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static int64_t end_of(const struct tls_cache *c, const struct tls_resumable *r, int64_t now)
{
	int64_t hint = (int64_t)SSL_SESSION_get_ticket_lifetime_hint(r->session);
	bool is_single = SSL_SESSION_get_protocol_version(r->session) == TLS1_3_VERSION;
	int64_t end = earlier(r->proved_at + c->lifetime_s, r->not_after);

	return hint > 0 || is_single ? earlier(end, now + hint) : end;
}

void tls_cache_keep(struct tls_cache *c, struct str key, const struct tls_resumable *r)
{
	int64_t now = (int64_t)time(NULL), end = end_of(c, r, now);
	struct kept *k;

	if (end <= now || !SSL_SESSION_is_resumable(r->session))
		return;
	cache_make_room(c, key);
	k = base_alloc(sizeof(*k));
	k->cache = c;
	k->arena = arena_new();
	k->key = arena_str(k->arena, key);
	k->r = *r;
	k->ends_at = end;
	CHECK(SSL_SESSION_up_ref(r->session) == 1);
	list_add(&c->by_age, &k->by_age);
	list_add(cache_bucket(c, key), &k->in_bucket);
	c->n++;
}

bool tls_cache_take(struct tls_cache *c, struct str key, struct tls_resumable *out)
{
	struct list *bucket = cache_bucket(c, key);
	int64_t now = (int64_t)time(NULL);

	for (struct list *l = bucket->prev, *next; l != bucket; l = next) {
		struct kept *k = LIST_OF(l, struct kept, in_bucket);
		next = l->prev;
		if (!str_eq(k->key, key))
			continue;
		if (k->ends_at <= now || !SSL_SESSION_is_resumable(k->r.session)) {
			kept_free(k);
			continue;
		}
		*out = k->r;
		CHECK(SSL_SESSION_up_ref(out->session) == 1);
		if (SSL_SESSION_get_protocol_version(out->session) == TLS1_3_VERSION)
			kept_free(k);
		return true;
	}
	return false;
}

void tls_cache_forget(struct tls_cache *c, struct str key)
{
	struct list *bucket = cache_bucket(c, key);

	for (struct list *l = bucket->next, *next; l != bucket; l = next) {
		struct kept *k = LIST_OF(l, struct kept, in_bucket);
		next = l->next;
		if (str_eq(k->key, key))
			kept_free(k);
	}
}

/* ---- a session's side ---- */

static void session_put(struct tls_session *s, SSL_SESSION *session)
{
	struct tls_resumable r = s->proof;

	r.session = session;
	tls_cache_keep(s->cache, s->cache_key, &r);
}

/* Before the peer was found good they wait; more than a few are not worth it. */
static int on_new_session(SSL *ssl, SSL_SESSION *session)
{
	struct tls_session *s = tls_session_of(ssl);

	if (!s->cache)
		return 0;
	if (s->is_kept) {
		session_put(s, session);
		return 0;
	}
	if (s->n_waiting == ARRAY_LEN(s->waiting))
		return 0;
	s->waiting[s->n_waiting++] = session;
	return 1; /* the reference is ours */
}

void tls_resume_set_up(SSL_CTX *ctx)
{
	SSL_CTX_clear_options(ctx, SSL_OP_NO_TICKET);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(ctx, on_new_session);
}

void tls_resume_begin(struct tls_session *s, struct tls_cache *c, struct str key)
{
	struct tls_resumable *r = &s->offered;

	if (!c || key.n == 0) {
		SSL_set_options(s->ssl, SSL_OP_NO_TICKET);
		return;
	}
	s->cache = tls_cache_ref(c);
	s->cache_arena = arena_new();
	s->cache_key = arena_str(s->cache_arena, key);
	if (tls_cache_take(c, key, r) && SSL_set_session(s->ssl, r->session) != 1) {
		SSL_SESSION_free(r->session);
		r->session = NULL;
	}
	ERR_clear_error();
}

static int64_t chain_end(STACK_OF(X509) * chain, int64_t end)
{
	for (int i = 0; chain && i < sk_X509_num(chain); i++)
		end = earlier(end, tls_utc_of(X509_get0_notAfter(sk_X509_value(chain, i))));
	return end;
}

/* The handshake is complete: what it proved, or what the one proved that it resumes. */
void tls_resume_proved(struct tls_session *s)
{
	if (s->is_server)
		return;
	if (SSL_session_reused(s->ssl) && s->offered.session) {
		s->proof = s->offered;
		s->fault = s->proof.fault;
		return;
	}
	s->proof.fault = s->fault;
	s->proof.proved_at = (int64_t)time(NULL);
	s->proof.not_after = chain_end(SSL_get0_verified_chain(s->ssl), INT64_MAX);
	s->proof.not_after = chain_end(SSL_get_peer_cert_chain(s->ssl), s->proof.not_after);
}

void tls_resume_failed(struct tls_session *s)
{
	if (s->offered.session)
		tls_cache_forget(s->cache, s->cache_key);
}

void tls_resume_end(struct tls_session *s)
{
	for (size_t i = 0; i < s->n_waiting; i++)
		SSL_SESSION_free(s->waiting[i]);
	SSL_SESSION_free(s->offered.session);
	tls_cache_unref(s->cache);
	arena_free(s->cache_arena);
}

void tls_session_keep(struct tls_session *s)
{
	if (!s->cache || s->is_kept || !s->was_up)
		return;
	s->is_kept = true;
	for (size_t i = 0; i < s->n_waiting; i++)
		session_put(s, s->waiting[i]);
}

bool tls_session_was_offered(const struct tls_session *s)
{
	return s->offered.session != NULL;
}
