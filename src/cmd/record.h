/* The record of a send: everything that was asked, decided, seen and said, as JSON, and the short
 * form for people. docs/reference/send.md names the members. */

#ifndef HOPSEAL_CMD_RECORD_H
#define HOPSEAL_CMD_RECORD_H

#include "deliver/deliver.h"

/* One recipient of the command line, in its order. */
struct record_rcpt {
	struct route route;
	const struct deliver_result *delivery; /* NULL: routing said the last word */
	size_t index;                          /* in delivery->rcpts */
	struct outcome outcome;
	struct fact_set facts; /* that the route was made from */
};

struct record {
	struct str sender;
	struct str conf_fingerprint;
	const struct record_rcpt *rcpts;
	size_t n_rcpts;
	const struct deliver_result *const *deliveries;
	size_t n_deliveries;
	int exit_code;
};

void record_json(struct json *j, const struct record *r);
MUST_USE bool record_text(struct buf *out, const struct record *r);

#endif
