/* A recorded case and what we made of it, compared field by field. */

#ifndef HOPSEAL_TESTS_POLICY_EXPECT_H
#define HOPSEAL_TESTS_POLICY_EXPECT_H

#include "base/buf.h"
#include "json/read.h"
#include "mail/nexthop.h"
#include "policy/policy.h"

/* One case on its way. */
struct run {
	const struct json_node *c; /* the line */
	struct arena *a;
	char dir[64]; /* the tables of the case are files here */
	struct buf differences;
	struct conf *conf; /* NULL: refused at start-up */
	const struct policy_config *policy;
	struct policy_subject subject;
	struct nexthop nexthop;
	bool is_nexthop_ok;
	struct policy_decision d;
};

/* Notes a difference: a TAP comment line. */
void run_differ(struct run *r, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* "" when there is no string. */
struct str run_str(const struct json_node *n, const char *path);

/* The decision against "expect". */
void run_compare(struct run *r);
/* The decision against what a case of this quirk allows. */
void run_compare_quirk(struct run *r, struct str quirk);

#endif
