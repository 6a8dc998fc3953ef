/* What the texts of a TLS policy mean to a TLS engine: protocol versions, cipher grade and
 * exclusions. Worked out once for main.cf's own texts. Inside lib/policy only. */

#ifndef HOPSEAL_POLICY_SETTINGS_H
#define HOPSEAL_POLICY_SETTINGS_H

#include "policy/policy.h"

/* OpenSSL lists behind the grades: tls_high_cipherlist and so on. */
struct policy_cipher_lists {
	struct str high, medium, null;
};

struct policy_settings {
	struct str protocols, ciphers, exclude; /* the texts, borrowed */

	bool has_versions; /* false: a word of `protocols` is unknown */
	tls_versions versions;
	enum tls_grade grade;
	struct str cipher_list, exclusions; /* see struct policy_decision */

	bool is_usable;
	struct str problem_code, problem; /* why not */
	struct str limit_warning; /* "" or: a version bound was dropped (tls-version-limit) */
};

/* Fills in the rest of *s from its three texts. Everything new lives in `a`. */
void policy_settings_work_out(struct arena *a, const struct policy_cipher_lists *lists,
			      struct policy_settings *s);

/* A bound or a name of a protocol list: "TLSv1.2", "0303", "". False: unknown. 0: no bound. */
MUST_USE bool policy_version_parse(struct str text, uint32_t *out);

#endif
