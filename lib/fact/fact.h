/* What the outside world was asked and what it said. Facts are recorded by drivers
 * (src/ask) or read from a file, and are all that the route and policy steppers know. Pure
 * data: every span lives in the arena of the fact set. A failed lookup is an answer of its
 * own and never an absent record. */

#ifndef HOPSEAL_FACT_FACT_H
#define HOPSEAL_FACT_FACT_H

#include "base/arena.h"
#include "base/json.h"
#include "mail/address.h"

enum question_kind {
	QUESTION_TABLE,   /* table: parameter that names the tables; name: the key, verbatim */
	QUESTION_MX,      /* name: a domain, A-labels, no trailing dot */
	QUESTION_ADDRESS, /* name: a host; A and AAAA as inet_protocols allows, aliases followed */
	QUESTION_NATIVE,  /* name: a host, as the system's name service knows it (/etc/hosts ...) */
	/* name: a PEM file. FOUND, with the number of its certificates and public keys as `value`,
	 * in decimal, or FAILED: a file that cannot be used is never an empty one */
	QUESTION_TRUST_ANCHORS,
	/* name: an IP address. FOUND with the first host name that it has as `value`. Asked about
	 * clients only, so that it is in no recorded set. */
	QUESTION_POINTER,
};

struct question {
	enum question_kind kind;
	/* QUESTION_TABLE only, such as "smtp_tls_per_site"; a text with ":" is a table by
	 * itself, "texthash:/etc/x", that stands inside a list of names */
	struct str table;
	struct str name;
	bool is_partial; /* QUESTION_TABLE: a key cut from a longer one; pattern tables say NONE */
};

enum answer_status {
	ANSWER_FOUND,
	ANSWER_NONE,   /* the source says that there is no such thing: NXDOMAIN, NODATA, no entry */
	ANSWER_FAILED, /* the source could not say: SERVFAIL, bogus, time-out, unreadable table */
};

/* RFC 4035 section 4.3. UNCHECKED: not from DNS, or validation is off. */
enum dnssec_status { DNSSEC_UNCHECKED, DNSSEC_INSECURE, DNSSEC_SECURE, DNSSEC_BOGUS };

struct mx_record {
	uint16_t preference;
	struct str host; /* lower case, no trailing dot; "" is the null MX of RFC 7505 */
};

/* What one address family said: the two may differ (one signed, one failing). */
struct address_answer {
	enum answer_status status;
	enum dnssec_status dnssec;
	uint32_t ttl;
	struct str failure; /* resolver text when FAILED */
	bool is_asked;      /* false: inet_protocols leaves this family out */
};

struct answer {
	enum answer_status status; /* ADDRESS: FOUND if either family has one; FAILED before NONE */
	enum dnssec_status dnssec; /* of alias chain and data; ADDRESS: of the weaker family */
	bool is_nxdomain;          /* NONE from DNS: the name itself does not exist */
	uint32_t ttl;              /* seconds; 0 when unknown */
	struct str failure;        /* FAILED: one line for people, with the extended error */

	/* QUESTION_TABLE; of QUESTION_TRUST_ANCHORS only `value` */
	struct str value;
	struct str source; /* the table of the list that answered: "texthash:/etc/x" */
	struct str file;   /* "" when the table is no file */
	unsigned line;     /* of the entry, 0 when unknown */

	/* QUESTION_MX: in the order of the answer */
	const struct mx_record *mx;
	size_t n_mx;

	/* QUESTION_ADDRESS and QUESTION_NATIVE: V4 and V6 as they came */
	const struct address *addresses;
	size_t n_addresses;
	struct address_answer family[2]; /* indexed by enum address_family */
	struct str
		canonical; /* the last name of the alias chain, or the name; of an MX answer too */
};

struct fact {
	struct question question;
	struct answer answer;
};

struct fact_set {
	const struct fact *v;
	size_t n;
};

bool question_eq(const struct question *a, const struct question *b);
/* The recorded answer, or NULL. Lives as long as the set. */
const struct answer *fact_find(struct fact_set set, const struct question *q);

/* A deep copy: all spans and records live in the arena. */
MUST_USE struct answer answer_copy(struct arena *a, const struct answer *from);

/* A growing set: one per message attempt or explanation. Everything is copied into its
 * arena. Of two answers to one question the first one counts. */
struct fact_list;
MUST_USE struct fact_list *fact_list_new(struct arena *a);
void fact_list_add(struct fact_list *l, const struct question *q, const struct answer *answer);
struct fact_set fact_list_set(const struct fact_list *l); /* borrowed until the next add */

struct str answer_status_name(enum answer_status s); /* "found", "none", "failed" */
struct str dnssec_status_name(enum dnssec_status s); /* "unchecked", "insecure" ... */
struct str question_kind_name(enum question_kind k); /* "table", "mx", "address", "native" ... */
/* The same names back; false on any other text. */
MUST_USE bool answer_status_from(struct str name, enum answer_status *out);
MUST_USE bool dnssec_status_from(struct str name, enum dnssec_status *out);
MUST_USE bool question_kind_from(struct str name, enum question_kind *out);

/* Canonical JSON of one fact and of a set (an array): members in fixed order, those that say
 * nothing left out; octets that are not UTF-8 come back as U+FFFD. src/json reads the same form
 * back (explain --facts FILE). Documented in docs/reference/facts.md. */
void fact_json(struct json *j, const struct fact *f);
void fact_set_json(struct json *j, struct fact_set set);

#endif
