/* The TLS policy of a destination: a pure function from the configuration and recorded facts to one
 * question or the decision with its trace. Nothing here looks anything up. */

#ifndef HOPSEAL_POLICY_POLICY_H
#define HOPSEAL_POLICY_POLICY_H

#include "base/arena.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/page.h"
#include "conf/conf.h"
#include "fact/fact.h"
#include "fact/trace.h"
#include "mail/outcome.h"
#include "policy/peer.h"

enum tls_level {
	TLS_LEVEL_INVALID, /* no usable policy: this server must not be used; see decision.error */
	TLS_LEVEL_NONE,
	TLS_LEVEL_MAY,
	TLS_LEVEL_ENCRYPT,
	TLS_LEVEL_FINGERPRINT,
	TLS_LEVEL_DANE,
	TLS_LEVEL_DANE_ONLY,
	TLS_LEVEL_VERIFY,
	TLS_LEVEL_SECURE,
};

struct str tls_level_name(enum tls_level level); /* "none" ... "secure", "invalid" */

enum tls_grade { TLS_GRADE_BAD, TLS_GRADE_NULL, TLS_GRADE_MEDIUM, TLS_GRADE_HIGH };

/* The parts of the configuration that decide, checked once. Immutable; lives in the arena given. */
struct policy_config;

/* NULL with *e filled when the values cannot be used (a fatal start-up error of Postfix's:
 * unknown level, empty must-not-be-empty value). Borrows from `conf`, which must outlive
 * it. */
MUST_USE const struct policy_config *
policy_config_new(struct arena *a, const struct conf *conf, struct error *e);

/* The parameter whose tables are asked, smtp_tls_policy_maps or smtp_tls_per_site; "" when none
 * are. */
struct str policy_config_tables(const struct policy_config *cfg);

/* Of destinations that no table names. */
enum tls_level policy_config_level(const struct policy_config *cfg);

struct policy_subject {
	struct str nexthop; /* verbatim */
	struct str host;    /* server name about to be connected to, or the bare address */
	uint16_t port;
	bool has_tls_required_no; /* the message carries TLS-Required: no (RFC 8689 section 5) */
	bool has_requiretls;      /* MAIL FROM had REQUIRETLS (RFC 8689 section 2) */
	bool has_null_sender;     /* a bounce: nobody to return it to */
	bool is_lmtp;             /* lmtp_requiretls_policy counts */
};

/* What is done for a message whose sender asked for REQUIRETLS, in the order of strength. */
enum policy_requiretls {
	REQUIRETLS_NOT_ASKED,
	REQUIRETLS_DISABLE,       /* asked for, and no notice is taken */
	REQUIRETLS_OPPORTUNISTIC, /* passed on to a server that announces it inside TLS */
	REQUIRETLS_STARTTLS,      /* the same, and TLS is required */
	REQUIRETLS_ENFORCE,       /* the server must be verified and must announce it */
};

struct str
policy_requiretls_name(enum policy_requiretls action); /* "enforce" ...; "" when not asked */

/* Tables that stand as elements in smtp_requiretls_policy or lmtp_requiretls_policy: their
 * questions have the text of the table in place of a parameter. */
size_t policy_requiretls_tables(struct arena *a, const struct conf *conf, enum conf_id id,
				const struct str **out);
/* The first word of such a list that is neither a table nor an action; n == 0: there is none. */
struct str policy_requiretls_unknown(const struct conf *conf, enum conf_id id);

/* What "*" as the whole first label of a certificate's name stands for:
 * tls_wildcard_matches_multiple_labels. */
enum policy_wildcard { POLICY_WILDCARD_ONE_LABEL, POLICY_WILDCARD_MANY_LABELS };

struct policy_error {
	/* 4.7.5, 4.3.0; 5.7.10 when REQUIRETLS cannot be kept; class 0: no error */
	struct status status;
	struct str reason;
};

/* What a plug-in tells of an MTA-STS policy, in the entry of a policy table. RFC 8461. */
struct policy_sts {
	struct str type;            /* "sts", "no-policy-found" in any case; "": none */
	struct str domain, failure; /* "" when not told */
	int64_t ttl_s;              /* -1 when not told */
	/* lines of the policy; the hosts that it allows */
	const struct str *strings, *mx_patterns;
	size_t n_strings, n_mx_patterns;
};

struct policy_decision {
	enum tls_level level;
	/* class 0: a level was found. Otherwise the level is invalid, but for REQUIRETLS, which
	 * refuses a level that it leaves standing. */
	struct policy_error error;
	enum policy_requiretls requiretls;
	/* class 0: this host may be used. Otherwise it must not be, though `level` stands as
	 * decided (smtp_tls_wrappermode with a level below encrypt; is_mx_forbidden). */
	struct policy_error refusal;

	struct str host, domain; /* the subject's host, and the host part of its next-hop */
	uint16_t port;

	/* level may and above; texts as configured, unexpanded */
	struct str protocols, ciphers, exclude, servername;
	/* verify and secure: strategies or patterns; fingerprint: the list of the table's entry,
	 * NULL when main.cf's counts; NULL otherwise */
	const struct str *match;
	size_t n_match;
	bool is_connection_reuse; /* smtp_tls_connection_reuse, enable_rpk: set at every level */
	bool is_reuse_chosen;     /* it was said, and is not Postfix's default */
	bool is_raw_key_enabled;
	bool is_wrappermode; /* TLS from the first octet: smtp_tls_wrappermode */
	struct policy_sts sts;
	bool is_mx_forbidden; /* the MTA-STS policy names other hosts */

	/* verify and secure: files whose certificates and public keys alone are trusted; NULL: the
	 * CAs are */
	const struct str *trust_files;
	size_t n_trust_files;
	size_t n_trust_anchors; /* in all of the files, repeats counted */

	/* fingerprint: acceptable digests, lower-case hex without colons */
	const struct str *fingerprints;
	size_t n_fingerprints;
	struct str fingerprint_digest; /* "sha256" */

	/* what the TLS engine needs, worked out */
	bool has_versions; /* false: a word of the protocol list is unknown */
	tls_versions versions;
	enum tls_grade grade;
	struct str cipher_list;  /* OpenSSL list for TLS 1.2 and below; src/tls checks it */
	struct str exclusions;   /* tokens joined by ":"; part of cipher_list already */
	struct str sni;          /* "" : none */
	const struct str *names; /* reference names, A-labels; ".x" accepts any name below x */
	size_t n_names;
	bool never_matches; /* verify or secure with no reference name left */
	enum policy_wildcard wildcard;
	bool is_usable; /* false: TLS cannot start with these; `problem` says why */
	struct str problem;

	const struct trace_step *trace;
	size_t n_trace;
	size_t deciding; /* index into trace of the step with the line that decided */
};

/* What is decided as Postfix would, and changes nothing yet. */
#define POLICY_RPK_TEXT                                                                            \
	"enable_rpk has no effect here: OpenSSL 3.0 has no raw public keys (RFC 7250)"

/* True when neither an error nor a refusal forbids the host. TLS may still be unable to start
 * (is_usable false): that defers above may. */
bool policy_decision_allows_host(const struct policy_decision *d);

struct policy_step {
	enum { POLICY_ASK, POLICY_DECIDED } kind;
	union {
		struct question ask;
		struct policy_decision decided;
	} u;
};

/* Equal arguments give equal steps. Never asks what `facts` answers; asks at most
 * POLICY_ASKS_MAX times. What is handed out lives in `a`; spans may borrow from the
 * arguments. */
struct policy_step policy_step(struct arena *a, const struct policy_config *cfg,
			       const struct policy_subject *s, struct fact_set facts);

/* RFC 8460 section 4.3 result types; NONE: nothing failed. */
enum tls_result {
	TLS_RESULT_NONE,
	TLS_RESULT_STARTTLS_NOT_SUPPORTED,
	TLS_RESULT_CERTIFICATE_HOST_MISMATCH,
	TLS_RESULT_CERTIFICATE_NOT_TRUSTED,
	TLS_RESULT_CERTIFICATE_EXPIRED,
	TLS_RESULT_VALIDATION_FAILURE,
};

struct str tls_result_name(enum tls_result r); /* "starttls-not-supported" ...; "none" */

/* Words fixed: what was reached, whatever was asked for. */
enum tls_security { TLS_CLEARTEXT, TLS_ENCRYPTED, TLS_TRUSTED, TLS_VERIFIED };

struct str tls_security_name(enum tls_security s); /* "cleartext", "encrypted" ... */

struct policy_judgement {
	bool is_acceptable;        /* mail may be sent over this session as it is */
	enum tls_security reached; /* TRUSTED: chain to a known CA; VERIFIED: and a name */
	enum tls_result result;    /* why not; set at `may` too, for reports */
	/* 4.7.4, 4.7.5: of the deferral; 5.7.10, 5.7.30: REQUIRETLS cannot be kept here, and mail
	 * that no other host takes is returned; class 0 when acceptable */
	struct status status;
	struct str reason;       /* one line for people; "" when acceptable */
	struct str matched_name; /* the certificate's name that matched, "" if none */
	struct str matched_by;   /* the reference name it matched */
	bool is_requiretls_sent; /* by policy_judge_ready: MAIL FROM gets REQUIRETLS */
};

/* What the session showed against what the decision demanded. `seen` with is_tls false: no
 * STARTTLS was offered, or it was refused, or the level is none. */
struct policy_judgement
policy_judge(struct arena *a, const struct policy_decision *d, const struct tls_peer *seen);

/* The same after the last EHLO, when it is known whether the server announces REQUIRETLS
 * (`seen->is_requiretls_offered`). RFC 8689 section 4.2.1. */
struct policy_judgement
policy_judge_ready(struct arena *a, const struct policy_decision *d, const struct tls_peer *seen);

/* A presented DNS name against one reference name as Postfix matches: equal ignoring case,
 * or "*." as the whole first label standing for as many labels as `wildcard` says; a reference
 * ".x" accepts any name below x, at any depth. */
bool policy_name_matches(struct str presented, struct str reference, enum policy_wildcard wildcard);

/* One object each; the decision's includes its trace. */
void policy_decision_json(struct json *j, const struct policy_decision *d);
void policy_judgement_json(struct json *j, const struct policy_judgement *g);
void tls_peer_json(struct json *j, const struct tls_peer *p);

/* For people: the decision, why, and with which settings. False when the buffer's limit was
 * reached. */
MUST_USE bool policy_decision_text(struct page *page, const struct policy_decision *d,
				   const struct policy_subject *s);

#endif
