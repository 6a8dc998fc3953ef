/* Reads recorded facts: the canonical JSON of fact/fact.h, docs/reference/facts.md. */

#ifndef HOPSEAL_JSON_FACTS_H
#define HOPSEAL_JSON_FACTS_H

#include "base/error.h"
#include "fact/fact.h"

/* Adds the facts of a JSON array to `facts`; everything is copied. Strict: a member that is
 * unknown, missing, twice there, of the wrong type or of no meaning with its question fails, and
 * *e (ERROR_DATA) names line and column, or the member as in "[2].answer.mx[0].preference". On
 * failure `facts` may hold those before it. `text` of FACTS_FILE_MAX octets at most. */
MUST_USE bool facts_read(struct str text, struct fact_list *facts, struct error *e);

/* The same of an array that stands inside another document. */
struct json_node;
MUST_USE bool
facts_read_array(const struct json_node *array, struct fact_list *facts, struct error *e);

#endif
