/* What is wrong with the entries of the policy tables, though they may parse: keys that cannot
 * match, keys that match another thing than they look like, entries that ask for less than those
 * around them. Pure; the time comes in. */

#ifndef HOPSEAL_POLICY_LINT_H
#define HOPSEAL_POLICY_LINT_H

#include "policy/policy.h"

/* Told of one kind of finding about one table; the rest is counted. */
#define POLICY_LINT_FINDINGS_MAX 100

struct policy_lint_entry {
	struct str key, value; /* the key as stored */
	struct str source;     /* "texthash:/etc/hopseal/tls_policy" */
	struct str file;
	unsigned line;
};

/* ---- where mail goes ---- */

/* What the routing of a configuration makes next-hops of. Texts are copied. */
struct policy_lint_routes;

MUST_USE struct policy_lint_routes *policy_lint_routes_new(void);
void policy_lint_routes_free(struct policy_lint_routes *r); /* NULL is fine */

/* Some mail goes to this next-hop, verbatim. */
void policy_lint_route_nexthop(struct policy_lint_routes *r, struct str nexthop);
/* That of a recipient's domain goes to the next-hop; "": to the domain itself. ".example.com"
 * stands for the domains below, "*" for all that nothing else is said of. What is said first
 * counts. */
void policy_lint_route_domain(struct policy_lint_routes *r, struct str domain, struct str nexthop);
/* And there are next-hops that nobody can list. */
void policy_lint_route_unlisted(struct policy_lint_routes *r);

/* True: mail for the domain (or below ".example.com") goes to it under its own name, or may. False:
 * *nexthop is where it goes. */
bool policy_lint_is_own(const struct policy_lint_routes *r, struct str domain, struct str *nexthop);

/* ---- entries ---- */

/* The rest of the configuration. */
struct policy_lint_site {
	const struct policy_lint_routes *routes;
	enum tls_level global;
	struct str dnssec_lack; /* why DNSSEC cannot be had, a phrase; "" when it can */
	size_t fingerprint_n;   /* octets of smtp_tls_fingerprint_digest; 0: it is unknown */
	struct str fingerprint_digest;
	bool is_utf8;      /* smtputf8_enable */
	bool enforces_sts; /* smtp_tls_enforce_sts_mx_patterns */
};

struct policy_lint_finding {
	struct conf_finding f;
	size_t entry; /* the one it is about */
};

struct policy_lint_findings {
	const struct policy_lint_finding *v;
	size_t n;
};

/* Findings in the order of the entries, which are in that of their tables; in the arena. At most
 * UINT32_MAX entries. */
struct policy_lint_findings policy_lint_per_site(struct arena *a,
						 const struct policy_lint_entry *entries, size_t n,
						 const struct policy_lint_site *site);
struct policy_lint_findings policy_lint_maps(struct arena *a,
					     const struct policy_lint_entry *entries, size_t n,
					     const struct policy_lint_site *site);

/* Entries that ask for less than their parent entry at the same level: versions, ciphers, names. */
struct policy_lint_findings
policy_lint_settings(struct arena *a, const struct policy_lint_entry *entries, size_t n,
		     const struct policy_lint_site *site, const struct conf *conf,
		     const struct policy_config *cfg);

/* Of smtp_tls_fingerprint_cert_match. */
struct conf_findings policy_lint_fingerprints(struct arena *a, const struct conf *conf,
					      const struct policy_lint_site *site);

/* Why a configuration cannot have DNSSEC; see struct policy_lint_site. */
struct str policy_lint_dnssec_lack(const struct conf *conf);

/* ---- certificates ---- */

/* Of a file, so far as time is concerned; in UTC seconds. */
struct policy_lint_cert {
	struct str subject;
	int64_t begins_at, ends_at;
};

enum policy_lint_file { POLICY_LINT_CA, POLICY_LINT_ANCHORS, POLICY_LINT_CLIENT };

struct policy_lint_certs {
	enum policy_lint_file kind;
	struct str path;
	const struct policy_lint_cert *v;
	size_t n;
	size_t n_keys; /* bare keys, that never expire: POLICY_LINT_ANCHORS */
};

/* Certificates that have expired, will within `within_s`, or are not valid yet. The findings have
 * no place. */
struct conf_findings policy_lint_certs(struct arena *a, const struct policy_lint_certs *certs,
				       int64_t now_at, int64_t within_s);

/* ---- what DNS says of a key ---- */

/* The question to ask for, "" when there is none: whether a key that looks fine is the name of a
 * server, which no next-hop is. `of_parent` is NULL as long as it is not known. */
struct str policy_lint_mx_question(const struct policy_lint_entry *e,
				   const struct policy_lint_site *site, const struct answer *own);
/* False: there is nothing to say. */
bool policy_lint_mx(struct arena *a, const struct policy_lint_entry *e, const struct answer *own,
		    const struct answer *of_parent, struct conf_finding *f);

/* By the names that operators give to mail servers; a hint, no more. */
bool policy_lint_looks_like_server(struct str name);

#endif
