#include "ask/ask.h"

enum { RESOLVERS_MAX = 16 };

static bool split(const struct conf *conf, enum conf_id id, struct str out[RESOLVERS_MAX],
		  size_t *n, struct error *e)
{
	struct str list = conf_str(conf, id), word;

	for (*n = 0; str_token(&list, STR(", \t\r\n"), &word); out[(*n)++] = word)
		if (*n == RESOLVERS_MAX)
			return error_set(e, ERROR_CONFIG, "more than %d servers", RESOLVERS_MAX);
	return true;
}

static bool has_family(struct str protocols, struct str name)
{
	struct str word;

	while (str_token(&protocols, STR(", \t\r\n"), &word))
		if (str_ieq_ascii(word, STR("all")) || str_ieq_ascii(word, name))
			return true;
	return false;
}

/* All of the configuration, or of its parts that can be wrong only `part`. */
static struct dns *
dns_of(struct net_loop *l, const struct conf *conf, const enum conf_id *part, struct error *e)
{
	struct str servers[RESOLVERS_MAX], root_servers[RESOLVERS_MAX];
	struct str protocols = conf_str(conf, CONF_inet_protocols);
	struct dns_options o = {
		.servers = servers,
		.root_servers = root_servers,
		.timeout_ms = conf_time_s(conf, CONF_hopseal_dns_timeout) * 1000,
		.has_ipv4 = has_family(protocols, STR("ipv4")),
		.has_ipv6 = has_family(protocols, STR("ipv6")),
	};

	if ((!part || *part == CONF_hopseal_dns_servers) &&
	    !split(conf, CONF_hopseal_dns_servers, servers, &o.n_servers, e))
		return NULL;
	if ((!part || *part == CONF_hopseal_dns_stub_servers) &&
	    !split(conf, CONF_hopseal_dns_stub_servers, root_servers, &o.n_root_servers, e))
		return NULL;
	if (!part || *part == CONF_hopseal_dns_trust_anchor_file)
		o.trust_anchor_file = conf_str(conf, CONF_hopseal_dns_trust_anchor_file);
	return dns_new(l, &o, e);
}

bool ask_dns_check(struct net_loop *l, const struct conf *conf, enum conf_id *blamed,
		   struct error *e)
{
	static const enum conf_id parts[] = { CONF_hopseal_dns_servers,
					      CONF_hopseal_dns_stub_servers,
					      CONF_hopseal_dns_trust_anchor_file };

	for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
		struct dns *d = dns_of(l, conf, &parts[i], e);
		dns_free(d);
		*blamed = parts[i];
		if (!d)
			return false;
	}
	return true;
}

/* Says which line is at fault. */
static void blame(struct net_loop *l, const struct conf *conf, struct error *e)
{
	struct error part = { 0 };
	enum conf_id id;

	if (ask_dns_check(l, conf, &id, &part))
		return;
	struct str file = conf_file(conf, id);
	*e = part;
	if (file.n)
		(void)error_prefix(e, STR_FMT ":%u: " STR_FMT, STR_ARG(file), conf_line(conf, id),
				   STR_ARG(conf_name(id)));
	else
		(void)error_prefix(e, STR_FMT, STR_ARG(conf_name(id)));
}

struct dns *ask_dns_new(struct net_loop *l, const struct conf *conf, struct error *e)
{
	struct dns *d = dns_of(l, conf, NULL, e);

	if (!d)
		blame(l, conf, e);
	return d;
}
