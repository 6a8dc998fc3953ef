/* Reads JSON (RFC 8259): documents and JSON Lines, for facts, vectors and policy tests. Whoever
 * includes this needs nothing of jansson. Not for what strangers send: depth and size are bounded
 * by the caller's limit on the text alone. */

#ifndef HOPSEAL_JSON_READ_H
#define HOPSEAL_JSON_READ_H

#include "base/error.h"

struct json_doc;  /* owns its values */
struct json_node; /* a value; lives as long as its document */

enum json_kind {
	JSON_KIND_NULL,
	JSON_KIND_BOOL,
	JSON_KIND_INT,
	JSON_KIND_REAL,
	JSON_KIND_STR,
	JSON_KIND_ARRAY,
	JSON_KIND_OBJECT,
};

/* One document and nothing after it; a member given twice is an error. NULL: *e is ERROR_DATA and
 * names line and column. */
MUST_USE struct json_doc *json_doc_new(struct str text, struct error *e);
void json_doc_free(struct json_doc *d); /* NULL is fine */
const struct json_node *json_doc_root(const struct json_doc *d);

/* Takes the next non-empty line off *rest. NULL: at the end (*e is ERROR_NONE), or the line is not
 * JSON. *line counts from 1 and must be 0 before the first call. */
MUST_USE struct json_doc *json_line_next(struct str *rest, unsigned *line, struct error *e);

enum json_kind json_kind_of(const struct json_node *n);
const char *json_kind_name(enum json_kind k); /* "a string", "an array" ... */

/* The value below `n` at a path of members and indexes, "expect.error.dsn" or "mx[0].host"; NULL
 * when there is none. An empty path is `n` itself; `n` may be NULL. A member whose name holds a dot
 * or bracket is reached by json_member alone. */
const struct json_node *json_at(const struct json_node *n, const char *path);
const struct json_node *json_member(const struct json_node *object, struct str name);

/* The value at a path when it has that type; false, *out untouched, otherwise. A span is borrowed
 * from the document. */
MUST_USE bool json_get_str(const struct json_node *n, const char *path, struct str *out);
MUST_USE bool json_get_int(const struct json_node *n, const char *path, int64_t *out);
MUST_USE bool json_get_bool(const struct json_node *n, const char *path, bool *out);
bool json_is_none(const struct json_node *n, const char *path); /* null, or there is none */

/* Items of an array, members of an object; 0 for other types. */
size_t json_count(const struct json_node *n);
const struct json_node *json_item(const struct json_node *array, size_t i); /* i < json_count */

/* Members in the order of the text: start with *at NULL. False after the last one. */
MUST_USE bool json_member_next(const struct json_node *object, void **at, struct str *name,
			       const struct json_node **value);

#endif
