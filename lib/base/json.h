/* Writes JSON (RFC 8259) into a buffer: one value after the other, commas and indentation are
 * kept by the writer. Equal calls give equal octets. Octets that are not UTF-8 are written as
 * U+FFFD, so that peer text can never break the document. */

#ifndef HOPSEAL_BASE_JSON_H
#define HOPSEAL_BASE_JSON_H

#include "base/buf.h"

#define JSON_DEPTH_MAX 16

struct json {
	struct buf *out;
	bool is_pretty; /* two blanks a level, one member a line */
	bool is_full;   /* the buffer's limit was reached: the document is not whole */
	unsigned depth;
	bool has_member[JSON_DEPTH_MAX];
	bool is_after_key;
};

void json_init(struct json *j, struct buf *out, bool is_pretty);

void json_object(struct json *j);
void json_object_end(struct json *j);
void json_array(struct json *j);
void json_array_end(struct json *j);
void json_key(struct json *j, const char *key); /* ASCII, needs no escape */

void json_str(struct json *j, struct str s);
void json_int(struct json *j, int64_t v);
void json_bool(struct json *j, bool v);
void json_null(struct json *j);
void json_str_or_null(struct json *j, struct str s); /* null when s.p is NULL */

/* Key and value at once. */
void json_put_str(struct json *j, const char *key, struct str s);
void json_put_int(struct json *j, const char *key, int64_t v);
void json_put_bool(struct json *j, const char *key, bool v);

/* Ends the document with a line end. False when the limit was reached on the way. */
MUST_USE bool json_end(struct json *j);

#endif
