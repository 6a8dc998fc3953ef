/* What became of an attempt, as JSON: docs/reference/send.md names the members. */

#ifndef HOPSEAL_DELIVER_JSON_H
#define HOPSEAL_DELIVER_JSON_H

#include "base/json.h"
#include "deliver/deliver.h"

/* Members of the object that is open. */
void deliver_outcome_json(struct json *j, const struct outcome *o);
/* One object: hosts, tries, facts. */
void deliver_result_json(struct json *j, const struct deliver_result *d);

#endif
