/* What `explain` found, between the walk that finds it and the report that prints it. */

#ifndef HOPSEAL_CMD_EXPLAIN_H
#define HOPSEAL_CMD_EXPLAIN_H

#include "cmd/cmd.h"
#include "cmd/terminal.h"
#include "cmd/site.h"

struct explain_options {
	struct cmd_sources sources;
	const char *host, *facts, *record;
	enum cmd_color color;
	const char *diff; /* another configuration folder */
	struct str subject;
	char **subjects; /* with --diff, any number */
	int n_subjects;
	bool is_json, is_verbose, is_lmtp, has_tls_required_no, has_requiretls;
};

/* The login that would be used at a host: where it stands, and never what it is. */
struct explain_login {
	struct str key; /* "": there is none */
	struct str source, file;
	unsigned line;
	struct str error; /* the lookup failed */
};

/* One host of a destination. */
struct explain_host {
	struct policy_subject subject;
	struct policy_decision decision;
	bool is_decided; /* false: `error` says what could not be asked */
	struct str error;
	struct explain_login login;
};

struct explain_destination {
	struct str nexthop;
	bool is_looked_up; /* false: --host was given */
	struct route_hosts hosts;
	struct str error; /* what could not be asked */
	struct explain_host *host;
	size_t n_hosts;
};

struct explain {
	const struct explain_options *options;
	struct arena *arena;
	struct cmd_site site;
	struct fact_list *recorded; /* --facts */
	struct fact_list *facts;
	struct error error;
	bool has_failed; /* the present run */

	bool is_address;
	struct route_step recipient;
	struct route_hosts_step hosts;
	struct policy_step policy;
	struct policy_subject subject;
	enum route_protocol protocol;
	bool asks_logins; /* smtp_sasl_auth_enable, and tables can be asked */
	struct str nexthop;

	struct explain_destination *destinations;
	size_t n_destinations;
};

void explain_json(struct json *j, const struct explain *x, int status);
MUST_USE bool explain_text(struct page *page, const struct explain *x);

/* Looks for a login at a host of this next-hop. What the tables say goes into no facts. */
struct explain_login explain_login(struct explain *x, struct str nexthop, struct str host);

#endif
