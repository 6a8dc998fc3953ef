/* What became of an attempt, as JSON: docs/reference/send.md names the members. */

#ifndef HOPSEAL_DELIVER_JSON_H
#define HOPSEAL_DELIVER_JSON_H

#include "base/json.h"
#include "deliver/deliver.h"

/* Members of the object that is open. */
void deliver_outcome_json(struct json *j, const struct outcome *o);
/* One object: hosts, tries, facts. */
void deliver_result_json(struct json *j, const struct deliver_result *d);

/* The same in two. First what attempts share that were decided alike and met the same peers, over
 * one connection or several. Their texts are equal: hosts come in one order whatever order they
 * were tried in, and facts without the rest of their time to live. */
void deliver_ground_json(struct json *j, const struct deliver_result *d);
/* And what each has of its own: members of the object that is open, the tries in that order. */
void deliver_own_json(struct json *j, const struct deliver_result *d);

#endif
