#include "deliver/reuse.h"

/* Texts with their lengths in front: no two rows of them look alike. */
struct key_text {
	struct buf b;
};

enum { KEY_MAX = 1024 * 1024 };

static void key_str(struct key_text *k, struct str s)
{
	CHECK(buf_fmt(&k->b, "%zu:", s.n) && buf_add(&k->b, s));
}

static void key_number(struct key_text *k, uint64_t n)
{
	CHECK(buf_fmt(&k->b, "%llu,", (unsigned long long)n));
}

static void key_list(struct key_text *k, const struct str *v, size_t n)
{
	key_number(k, n);
	for (size_t i = 0; i < n; i++)
		key_str(k, v[i]);
}

static void key_endpoint(struct key_text *k, const struct net_endpoint *e)
{
	char text[NET_ENDPOINT_TEXT_MAX];

	key_str(k, e ? net_endpoint_text(e, text) : STR(""));
}

/* How we speak: what another configuration would say otherwise. */
static void key_options(struct key_text *k, const struct session_options *o)
{
	const struct smtp_client_options *s = &o->smtp;

	key_endpoint(k, o->source);
	key_str(k, s->helo_name);
	key_number(k, s->starttls);
	key_number(k, (unsigned)s->is_tls_already | (unsigned)s->helo_only << 1 |
			      (unsigned)s->ehlo_only_if_esmtp << 2 |
			      (unsigned)s->no_downgrade << 3);
	key_number(k, s->discarded);
	key_number(k, s->line_length_limit);
}

/* What the peer was to prove. */
static void key_decision(struct key_text *k, const struct policy_decision *d)
{
	key_number(k, d->level);
	key_number(k, d->requiretls);
	key_number(k, (unsigned)d->never_matches | (unsigned)d->is_usable << 1 |
			      (unsigned)d->is_wrappermode << 2 |
			      (unsigned)d->is_raw_key_enabled << 3);
	key_number(k, d->wildcard);
	key_list(k, d->match, d->n_match);
	key_list(k, d->names, d->n_names);
	key_list(k, d->fingerprints, d->n_fingerprints);
	key_str(k, d->fingerprint_digest);
	key_list(k, d->trust_files, d->n_trust_files);
	key_number(k, d->n_trust_anchors);
	key_str(k, d->sts.domain);
	key_list(k, d->sts.mx_patterns, d->sts.n_mx_patterns);
}

static struct str key_end(struct key_text *k, struct arena *a)
{
	struct str copy = arena_str(a, buf_str(&k->b));

	buf_fini(&k->b);
	return copy;
}

struct str
deliver_reuse_place(struct arena *a, enum route_protocol protocol, const struct route_host *h)
{
	struct net_endpoint to = { h->address, h->port };
	struct key_text k;

	buf_init(&k.b, KEY_MAX);
	key_number(&k, protocol);
	key_str(&k, h->host);
	key_str(&k, h->socket);
	key_endpoint(&k, h->socket.n > 0 ? NULL : &to);
	return key_end(&k, a);
}

struct deliver_pool_key deliver_reuse_key(struct arena *a, const struct deliver_client *client,
					  const struct session_options *o,
					  enum route_protocol protocol, const struct route_host *h,
					  const struct policy_decision *d, struct str login)
{
	struct deliver_pool_key key = { .place = deliver_reuse_place(a, protocol, h) };
	struct key_text k;

	buf_init(&k.b, KEY_MAX);
	key_str(&k, key.place);
	key_options(&k, o);
	key_decision(&k, d);
	key_str(&k, login);
	if (d->level > TLS_LEVEL_NONE)
		key_str(&k, tls_client_terms(client->tls, a, &o->demand));
	key.whole = key_end(&k, a);
	return key;
}

/* smtp_connection_cache_destinations: next-hops by name, without brackets and port. */
static bool is_listed(const struct conf *conf, struct str domain)
{
	struct str list = conf_str(conf, CONF_smtp_connection_cache_destinations), word;

	while (str_token(&list, STR(", \t\r\n"), &word))
		if (str_ieq_ascii(word, domain))
			return true;
	return false;
}

bool deliver_reuse_is_wanted(const struct conf *conf, const struct policy_decision *d, bool is_tls)
{
	if (!conf_bool(conf, CONF_hopseal_connection_reuse))
		return false;
	if (is_tls && d->is_reuse_chosen && !d->is_connection_reuse)
		return false;
	return conf_bool(conf, CONF_smtp_connection_cache_on_demand) || is_listed(conf, d->domain);
}

bool deliver_reuse_is_within_limits(const struct conf *conf, const struct session *s)
{
	uint64_t count = (uint64_t)conf_int(conf, CONF_smtp_connection_reuse_count_limit);
	uint64_t ms = conf_time_s(conf, CONF_smtp_connection_reuse_time_limit) * 1000;

	return (count == 0 || session_n_mails(s) < count) && session_age_ms(s) < ms;
}

uint64_t deliver_reuse_idle_ms(const struct conf *conf)
{
	return conf_time_s(conf, CONF_smtp_connection_cache_time_limit) * 1000;
}
