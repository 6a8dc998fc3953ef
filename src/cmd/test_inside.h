/* `hopseal test`: a case as it was read, the configuration that it runs under, what was decided,
 * and how that differs from what the case expects. */

#ifndef HOPSEAL_CMD_TEST_INSIDE_H
#define HOPSEAL_CMD_TEST_INSIDE_H

#include "cmd/cmd.h"
#include "cmd/site.h"
#include "json/read.h"

/* One line, checked; borrowed from its document. */
struct test_case {
	const char *file;
	unsigned line;
	struct str id;
	const struct json_node *config; /* NULL: the live configuration */
	const struct json_node *tables, *facts, *expect;
	struct str address; /* n == 0: `nexthop` counts, which may be "" */
	struct str nexthop;
	struct str host; /* n == 0: to be looked up in `facts` */
	uint16_t port;   /* 0: as the next-hop says */
	bool has_tls_required_no, has_requiretls;
};

/* False with *e (ERROR_DATA), without file and line, when the line is no case. */
MUST_USE bool test_case_read(const struct json_node *root, struct test_case *c, struct error *e);

/* A configuration that is ready to decide. */
struct test_setup {
	struct arena *arena;
	struct str key; /* the texts that it was made of */
	uint64_t key_hash, used;
	struct str folder;  /* of its tables; "" for the live one */
	struct str refusal; /* n > 0: why nothing may be decided under it */
	struct conf *conf;
	const struct policy_config *policy, *lmtp_policy;
	const struct route_config *route; /* NULL until test_setup_route */
	struct tables *tables;
};

/* Tables as files, for one case after the other. All zero: there is nothing yet. */
struct test_folder {
	struct arena *arena;
	struct str path, *files;
	size_t n_files;
};

/* `tables` and no others are there now. `path` is made by the first call, and the same in all.
 * False with errno set. */
MUST_USE bool
test_folder_fill(struct test_folder *f, struct str path, const struct json_node *tables);
void test_folder_remove(struct test_folder *f);

/* The live configuration and the last few that cases brought along. */
struct test_setups;
MUST_USE struct test_setups *test_setups_new(const struct cmd_sources *live);
void test_setups_free(struct test_setups *s);
/* NULL, and said, with *status set: no case can be run. Borrowed until the next call. */
MUST_USE struct test_setup *
test_setups_get(struct test_setups *s, const struct test_case *c, int *status);
/* False with *e: routing cannot be done under this configuration. */
MUST_USE bool test_setup_route(struct test_setup *s, struct error *e);
/* The text with "@NAME@" for the path of a table that came with the case. */
struct str test_setup_shown(struct arena *a, const struct test_setup *s, struct str text);

/* What a configuration makes of a case, once for each host. */
struct test_result {
	struct str fatal;                       /* "startup", "nexthop"; "" otherwise */
	struct status status;                   /* the route's refusal; class 0: none */
	const struct policy_decision *decision; /* NULL: there is none */
	struct str nexthop;
	uint16_t port;
	struct str because, file; /* the line that decided */
	unsigned line;
};

struct test_results {
	struct test_result *v;
	size_t n;
	struct str error; /* n > 0: it cannot be told, and why */
};

/* Everything lives in `a` or is borrowed from the case and the configuration. */
struct test_results test_decide(struct arena *a, struct test_setup *s, const struct test_case *c);

struct test_difference {
	struct str field, host;             /* host "": there is only one */
	const struct json_node *want, *got; /* got NULL: null */
};

/* One case, done. It has passed when it has neither an error nor a difference. */
struct test_verdict {
	struct str error; /* "" or why the case cannot be judged */
	struct test_difference *v;
	size_t n, room;
	const struct test_result *because; /* of the first difference; NULL when there is none */
	struct json_doc **got;             /* what the differences borrow from */
	size_t n_got;
};

void test_verdict_fini(struct test_verdict *v);
/* Compares what `expect` names with each result. */
void test_compare(struct arena *a, struct test_verdict *v, const struct test_case *c,
		  const struct test_results *r);

/* Prints failures as they come, or gathers them for one document. */
struct test_report {
	bool is_json;
	struct buf out;
	struct json json;
	size_t passed, failed;
};

void test_report_init(struct test_report *r, bool is_json);
void test_report_fini(struct test_report *r);
/* False, and said, when it cannot be written. */
MUST_USE bool test_report_add(struct test_report *r, struct arena *a, const struct test_setup *s,
			      const struct test_case *c, const struct test_verdict *v);
MUST_USE bool test_report_end(struct test_report *r, int status);

#endif
