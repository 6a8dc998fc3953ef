#include "ask/ask.h"

enum { RESOLVERS_MAX = 16 };

static bool split(const struct conf *conf, enum conf_id id, struct str out[RESOLVERS_MAX],
		  size_t *n, struct error *e)
{
	struct str list = conf_str(conf, id), word;

	for (*n = 0; str_token(&list, STR(", \t\r\n"), &word); out[(*n)++] = word)
		if (*n == RESOLVERS_MAX)
			return error_set(e, ERROR_CONFIG, STR_FMT ": more than %d servers",
					 STR_ARG(conf_name(id)), RESOLVERS_MAX);
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

struct dns *ask_dns_new(struct net_loop *l, const struct conf *conf, struct error *e)
{
	struct str servers[RESOLVERS_MAX], root_servers[RESOLVERS_MAX];
	struct str protocols = conf_str(conf, CONF_inet_protocols);
	struct dns_options o = {
		.servers = servers,
		.root_servers = root_servers,
		.trust_anchor_file = conf_str(conf, CONF_hopseal_dns_trust_anchor_file),
		.timeout_ms = conf_time_s(conf, CONF_hopseal_dns_timeout) * 1000,
		.has_ipv4 = has_family(protocols, STR("ipv4")),
		.has_ipv6 = has_family(protocols, STR("ipv6")),
	};

	if (!split(conf, CONF_hopseal_dns_servers, servers, &o.n_servers, e) ||
	    !split(conf, CONF_hopseal_dns_stub_servers, root_servers, &o.n_root_servers, e))
		return NULL;
	return dns_new(l, &o, e);
}
