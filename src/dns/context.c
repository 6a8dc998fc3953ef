/* How libunbound is set up. What stands here is policy: unbound.conf(5) explains the options. */

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>

#include "dns/room.h"

#define DNS_THREAD_START_MS 10000

/* libunbound counts on one thread for making and deleting contexts: with each it sets up, or tears
 * down, locks and settings that all share. Its lookups do not come near those. */
static pthread_mutex_t dns_contexts = PTHREAD_MUTEX_INITIALIZER;

static const struct {
	const char *name, *value;
} dns_settings[] = {
	{ "serve-expired:", "no" }, /* what has expired says nothing about today */
	{ "prefetch:", "no" },
	{ "aggressive-nsec:", "no" }, /* each denial is the zone's own, for the record */
	{ "qname-minimisation:", "yes" },
	{ "edns-buffer-size:", "1232" }, /* RFC 9715 section 3.1 */
	{ "val-permissive-mode:", "no" },
	{ "harden-dnssec-stripped:", "yes" },
	{ "harden-glue:", "yes" },
	{ "ede:", "yes" },
	{ "use-syslog:", "no" },
};

/* What libunbound answers by itself, and servers that the site names may know better. */
static const char *const dns_own_zones[] = { "test.", "invalid.", "home.arpa." };

static bool dns_option(struct ub_ctx *u, const char *name, const char *value, struct error *e)
{
	int code = ub_ctx_set_option(u, name, value);

	return code == UB_NOERROR ||
	       error_set(e, ERROR_SYSTEM, "libunbound: %s %s: %s", name, value, ub_strerror(code));
}

/* "address" or "address@port". */
static bool dns_server_read(struct str text, struct address *out)
{
	struct str host = text, port;
	uint64_t number;

	if (str_cut(text, '@', &host, &port) &&
	    (!str_to_u64(port, &number) || number < 1 || number > 65535))
		return false;
	return address_parse(host, out);
}

static bool dns_is_loopback(const struct address *addr)
{
	static const uint8_t v6[16] = { [15] = 1 };

	return addr->family == ADDRESS_V4 ? addr->octets[0] == 127
					  : memcmp(addr->octets, v6, sizeof(v6)) == 0;
}

static int dns_server_add(struct ub_ctx *u, const char *text, bool is_root)
{
	return is_root ? ub_ctx_set_stub(u, ".", text, 0) : ub_ctx_set_fwd(u, text);
}

static bool
dns_servers(struct ub_ctx *u, const struct str *v, size_t n, bool is_root, struct error *e)
{
	const char *kind = is_root ? "root name server" : "resolver";
	struct address addr;
	char text[256];

	for (size_t i = 0; i < n; i++) {
		if (v[i].n >= sizeof(text) || !dns_server_read(v[i], &addr))
			return error_set(e, ERROR_CONFIG,
					 "%s \"" STR_FMT "\": want ADDRESS or ADDRESS@PORT", kind,
					 STR_ARG(v[i]));
		if (dns_is_loopback(&addr) && !dns_option(u, "do-not-query-localhost:", "no", e))
			return false;
		memcpy(text, v[i].p, v[i].n);
		text[v[i].n] = '\0';
		int code = dns_server_add(u, text, is_root);
		if (code != UB_NOERROR)
			return error_set(e, ERROR_CONFIG, "%s %s: %s", kind, text,
					 ub_strerror(code));
	}
	return true;
}

static bool dns_anchors(struct ub_ctx *u, struct str path, struct error *e)
{
	char name[4096];

	if (path.n == 0)
		return dns_option(u, "module-config:", "iterator", e);
	if (!dns_anchor_check(path, e))
		return false;
	memcpy(name, path.p, path.n);
	name[path.n] = '\0';
	int code = ub_ctx_add_ta_file(u, name);
	return code == UB_NOERROR ||
	       error_set(e, ERROR_CONFIG, "trust anchor file %s: %s", name, ub_strerror(code));
}

/* libunbound reads the anchors when its options are final, which this makes them: now, and not with
 * the first question, is the time to say what is wrong. A local-zone option with "nodefault" does
 * not do it: libunbound 1.17 keeps the zone. */
static bool dns_finish(struct ub_ctx *u, const struct dns_options *o, struct error *e)
{
	bool is_private = o->n_servers + o->n_root_servers > 0;
	int code = ub_ctx_data_remove(u, "nothing.invalid.");

	for (size_t i = 0; is_private && code == UB_NOERROR && i < ARRAY_LEN(dns_own_zones); i++)
		code = ub_ctx_zone_remove(u, dns_own_zones[i]);
	return code == UB_NOERROR ||
	       error_set(e, code == UB_NOMEM ? ERROR_SYSTEM : ERROR_CONFIG,
			 "libunbound does not start with trust anchor file \"" STR_FMT "\": %s",
			 STR_ARG(o->trust_anchor_file), ub_strerror(code));
}

/* Addresses of private networks have names for those resolvers only that were named to us; what
 * they say is not in the tree that is signed. */
static bool dns_private_networks(struct ub_ctx *u, const struct dns_options *o, struct error *e)
{
	return o->n_servers + o->n_root_servers == 0 ||
	       (dns_option(u, "unblock-lan-zones:", "yes", e) &&
		dns_option(u, "insecure-lan-zones:", "yes", e));
}

static bool dns_configure(struct ub_ctx *u, const struct dns_options *o, struct error *e)
{
	ub_ctx_debugout(u, NULL); /* it would write to our standard error */
	if (ub_ctx_async(u, 1) != UB_NOERROR)
		return error_set(e, ERROR_SYSTEM, "libunbound: no thread");
	for (size_t i = 0; i < ARRAY_LEN(dns_settings); i++)
		if (!dns_option(u, dns_settings[i].name, dns_settings[i].value, e))
			return false;
	return dns_private_networks(u, o, e) &&
	       dns_servers(u, o->servers, o->n_servers, false, e) &&
	       dns_servers(u, o->root_servers, o->n_root_servers, true, e) &&
	       dns_anchors(u, o->trust_anchor_file, e) && dns_finish(u, o, e);
}

static struct ub_ctx *dns_context_make(const struct dns_options *o, struct error *e)
{
	struct ub_ctx *u = ub_ctx_create();

	if (!u) {
		error_set(e, ERROR_SYSTEM, "libunbound: no context");
		return NULL;
	}
	if (dns_configure(u, o, e))
		return u;
	ub_ctx_delete(u);
	return NULL;
}

static void dns_thread_answered(void *arg, int code, struct ub_result *r)
{
	bool *is_alive = arg;

	*is_alive = code == UB_NOERROR;
	ub_resolve_free(r);
}

/* libunbound starts its thread with the first question, and says nothing if the system refuses it
 * or if it ends for want of memory: no question would ever be answered. This one needs no
 * server. */
static bool dns_has_thread(struct ub_ctx *u)
{
	struct pollfd p = { .fd = ub_fd(u), .events = POLLIN };
	bool is_alive = false;
	int n;

	if (ub_resolve_async(u, "localhost", DNS_TYPE_A, DNS_CLASS_IN, &is_alive,
			     dns_thread_answered, NULL) != UB_NOERROR)
		return false;
	do
		n = poll(&p, 1, DNS_THREAD_START_MS);
	while (n < 0 && errno == EINTR);
	return n == 1 && ub_process(u) == UB_NOERROR && is_alive;
}

struct ub_ctx *dns_context_new(const struct dns_options *o, struct error *e)
{
	CHECK(pthread_mutex_lock(&dns_contexts) == 0);
	struct ub_ctx *u = dns_context_make(o, e);
	if (u && !dns_has_thread(u)) {
		error_set(e, ERROR_SYSTEM, "libunbound: no thread");
		u = NULL; /* to delete it would be to wait for its thread */
	}
	CHECK(pthread_mutex_unlock(&dns_contexts) == 0);
	return u;
}

void dns_context_free(struct ub_ctx *u)
{
	CHECK(pthread_mutex_lock(&dns_contexts) == 0);
	ub_ctx_delete(u);
	CHECK(pthread_mutex_unlock(&dns_contexts) == 0);
}
