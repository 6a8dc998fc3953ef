#include "json/read.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A node is a json_t under a name that does not bring jansson along. */

static const json_t *json_of(const struct json_node *n)
{
	return (const json_t *)n;
}

static const struct json_node *json_node_of(const json_t *j)
{
	return (const struct json_node *)j;
}

struct json_doc *json_doc_new(struct str text, struct error *e)
{
	json_error_t why;
	json_t *j = json_loadb(text.n ? text.p : "", text.n,
			       JSON_REJECT_DUPLICATES | JSON_DECODE_ANY | JSON_ALLOW_NUL, &why);

	if (j == NULL)
		error_set(e, ERROR_DATA, "line %d, column %d: %s", why.line, why.column, why.text);
	return (struct json_doc *)j;
}

void json_doc_free(struct json_doc *d)
{
	json_decref((json_t *)d);
}

const struct json_node *json_doc_root(const struct json_doc *d)
{
	return (const struct json_node *)d;
}

static struct str json_take_line(struct str *rest, unsigned *line)
{
	struct str taken;

	if (!str_cut(*rest, '\n', &taken, rest)) {
		taken = *rest;
		*rest = STR("");
	}
	++*line;
	return str_trim(taken);
}

struct json_doc *json_line_next(struct str *rest, unsigned *line, struct error *e)
{
	struct str text = STR("");

	e->kind = ERROR_NONE;
	e->text[0] = '\0';
	while (rest->n > 0 && text.n == 0)
		text = json_take_line(rest, line);
	if (text.n == 0)
		return NULL;

	json_error_t why;
	json_t *j = json_loadb(text.p, text.n,
			       JSON_REJECT_DUPLICATES | JSON_DECODE_ANY | JSON_ALLOW_NUL, &why);
	if (j == NULL)
		error_set(e, ERROR_DATA, "line %u, column %d: %s", *line, why.column, why.text);
	return (struct json_doc *)j;
}

enum json_kind json_kind_of(const struct json_node *n)
{
	switch (json_typeof(json_of(n))) {
	case JSON_OBJECT:
		return JSON_KIND_OBJECT;
	case JSON_ARRAY:
		return JSON_KIND_ARRAY;
	case JSON_STRING:
		return JSON_KIND_STR;
	case JSON_INTEGER:
		return JSON_KIND_INT;
	case JSON_REAL:
		return JSON_KIND_REAL;
	case JSON_TRUE:
	case JSON_FALSE:
		return JSON_KIND_BOOL;
	case JSON_NULL:
		return JSON_KIND_NULL;
	}
	CHECK(!"JSON type");
	return JSON_KIND_NULL;
}

const char *json_kind_name(enum json_kind k)
{
	switch (k) {
	case JSON_KIND_NULL:
		return "null";
	case JSON_KIND_BOOL:
		return "true or false";
	case JSON_KIND_INT:
		return "an integer";
	case JSON_KIND_REAL:
		return "a number with a fraction";
	case JSON_KIND_STR:
		return "a string";
	case JSON_KIND_ARRAY:
		return "an array";
	case JSON_KIND_OBJECT:
		return "an object";
	}
	CHECK(!"JSON kind");
	return "";
}

const struct json_node *json_member(const struct json_node *object, struct str name)
{
	if (object == NULL)
		return NULL;
	return json_node_of(json_object_getn(json_of(object), name.n ? name.p : "", name.n));
}

size_t json_count(const struct json_node *n)
{
	if (json_is_array(json_of(n)))
		return json_array_size(json_of(n));
	return json_object_size(json_of(n));
}

const struct json_node *json_item(const struct json_node *array, size_t i)
{
	return json_node_of(json_array_get(json_of(array), i));
}

bool json_member_next(const struct json_node *object, void **at, struct str *name,
		      const struct json_node **value)
{
	json_t *j = (json_t *)object; /* jansson's iterators forget the const; nothing is changed */

	*at = *at ? json_object_iter_next(j, *at) : json_object_iter(j);
	if (*at == NULL)
		return false;
	*name = str_span(json_object_iter_key(*at), json_object_iter_key_len(*at));
	*value = json_node_of(json_object_iter_value(*at));
	return true;
}

/* "[7]" at the front of the path. */
static const struct json_node *json_step_item(const struct json_node *n, struct str *path)
{
	struct str digits;
	uint64_t i;

	if (!str_cut(str_from(*path, 1), ']', &digits, path) || !str_to_u64(digits, &i))
		return NULL;
	return json_item(n, i);
}

static const struct json_node *json_step_member(const struct json_node *n, struct str *path)
{
	size_t end = 0;

	if (path->p[0] == '.')
		*path = str_from(*path, 1);
	while (end < path->n && path->p[end] != '.' && path->p[end] != '[')
		end++;
	n = json_member(n, str_first(*path, end));
	*path = str_from(*path, end);
	return n;
}

const struct json_node *json_at(const struct json_node *n, const char *path)
{
	struct str rest = str_of(path);

	while (n != NULL && rest.n > 0)
		n = rest.p[0] == '[' ? json_step_item(n, &rest) : json_step_member(n, &rest);
	return n;
}

bool json_get_str(const struct json_node *n, const char *path, struct str *out)
{
	const json_t *j = json_of(json_at(n, path));

	if (!json_is_string(j))
		return false;
	*out = str_span(json_string_value(j), json_string_length(j));
	return true;
}

bool json_get_int(const struct json_node *n, const char *path, int64_t *out)
{
	const json_t *j = json_of(json_at(n, path));

	if (!json_is_integer(j))
		return false;
	*out = json_integer_value(j);
	return true;
}

bool json_get_bool(const struct json_node *n, const char *path, bool *out)
{
	const json_t *j = json_of(json_at(n, path));

	if (!json_is_boolean(j))
		return false;
	*out = json_is_true(j);
	return true;
}

bool json_is_none(const struct json_node *n, const char *path)
{
	const json_t *j = json_of(json_at(n, path));

	return j == NULL || json_is_null(j);
}
