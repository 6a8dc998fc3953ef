/* The parameters of tables that ask something else (sqlite, pgsql, memcache): lines "name = value"
 * in a file of their own, in main.cf's syntax, for a name that begins with "/" or "."; else the
 * parameters NAME_query and so on in main.cf itself. There "$name" is expanded, in a file it is
 * not. */

#ifndef HOPSEAL_TABLE_SOURCE_FILE_H
#define HOPSEAL_TABLE_SOURCE_FILE_H

#include "table/type.h"

/* A parameter that the type of table knows. */
struct source_name {
	struct str name;
	bool is_secret; /* its file should not be readable for all */
};

struct source_value {
	struct str name, value;
	unsigned line; /* 0: in main.cf */
};

struct source_file {
	const struct table_context *context;
	const struct source_name *names; /* borrowed */
	size_t n_names;
	struct arena *arena; /* the caller's: where all of it lives */
	struct str file;     /* ends in NUL; "": in main.cf */
	struct source_value *values;
	size_t n_values;
};

/* Reads them. Lines that have no effect, unknown names and such are told as findings; false: the
 * file cannot be read, *e. */
MUST_USE bool source_file_open(struct source_file *s, struct arena *a,
			       const struct table_context *c, const struct source_name *names,
			       size_t n_names, struct error *e);

/* The same of a text. Nothing is opened; findings are told. */
void source_file_read(struct source_file *s, struct str text);

/* STR_NONE: not set, or unknown to this type. A value that is set may be "". */
struct str source_file_get(const struct source_file *s, struct str name);
struct str source_file_get_or(const struct source_file *s, struct str name, struct str preset);
/* At least `least`. False: it is no such number, *e. */
MUST_USE bool source_file_get_int(const struct source_file *s, struct str name, uint64_t preset,
				  uint64_t least, uint64_t *out, struct error *e);

/* A value holds a password, beside those whose names say so: told when everybody can read it. */
void source_file_is_secret(const struct source_file *s);

/* Tells a finding, with file and line of that parameter. */
void source_file_say(const struct source_file *s, struct str name, struct table_finding f);

#endif
