#include "ask/ask.h"

enum { RESOLVERS_MAX = 16 };

static size_t split(struct str list, struct str out[RESOLVERS_MAX])
{
	size_t n = 0;

	while (n < RESOLVERS_MAX && str_token(&list, STR(", \t\r\n"), &out[n]))
		n++;
	return n;
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
		.n_servers = split(conf_str(conf, CONF_hopseal_dns_servers), servers),
		.root_servers = root_servers,
		.n_root_servers =
			split(conf_str(conf, CONF_hopseal_dns_stub_servers), root_servers),
		.trust_anchor_file = conf_str(conf, CONF_hopseal_dns_trust_anchor_file),
		.timeout_ms = conf_time_s(conf, CONF_hopseal_dns_timeout) * 1000,
		.has_ipv4 = has_family(protocols, STR("ipv4")),
		.has_ipv6 = has_family(protocols, STR("ipv6")),
	};

	return dns_new(l, &o, e);
}
