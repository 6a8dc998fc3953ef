/* The routing parameters, taken apart once. Inside lib/route only. */

#ifndef HOPSEAL_ROUTE_CONFIG_H
#define HOPSEAL_ROUTE_CONFIG_H

#include "route/route.h"

/* One element of a list of domains: "[!]name", "[!].name" or "[!]type:table". */
struct route_pattern {
	struct str text; /* without "!"; a name is folded */
	bool is_negated;
	bool is_table;
};

struct route_list {
	enum conf_id id;
	const struct route_pattern *v;
	size_t n;
	bool is_domain_list; /* names stand for more than themselves; false: equality only */
	bool has_parents;    /* "example.com" covers its subdomains; false: ".example.com" does */
};

enum route_preference { ROUTE_PREFER_ANY, ROUTE_PREFER_V4, ROUTE_PREFER_V6 };

struct route_config {
	const struct conf *conf;
	struct route_machine machine;

	/* recipients */
	struct route_list local_domains; /* mydestination */
	struct route_list relay_domains;
	struct str origin;
	bool has_transport_maps;
	bool is_transport_parent; /* keys "example.com" in place of ".example.com" for subdomains */
	bool is_utf8;             /* smtputf8_enable */

	/* hosts */
	bool has_family[2]; /* indexed by enum address_family */
	bool is_dns;        /* MX and ADDRESS questions may be asked at all */
	bool is_dns_hosts;  /* host names are looked up in DNS */
	bool is_native_hosts;
	uint16_t smtp_port, lmtp_port;
	enum route_preference preference;
	const struct address *own; /* in service: inet_interfaces and proxy_interfaces */
	size_t n_own;
};

/* Puts file and line of the parameter before the error; false. */
bool route_blame(const struct conf *conf, enum conf_id id, struct error *e);

/* Name lists: parses the value of `id`. */
MUST_USE bool route_list_parse(struct arena *a, const struct conf *conf, enum conf_id id,
			       bool is_domain_list, struct route_list *out, struct error *e);

/* The port of a service name by known_tcp_ports; false when it has none. */
MUST_USE bool route_service_port(const struct conf *conf, struct str name, uint16_t *port);

/* True if parent_domain_matches_subdomains lists `name`. */
bool route_is_parent_style(const struct conf *conf, struct str name);

#endif
