/* A table that is a text file: which version of it answers, and when it is read again. */

#ifndef HOPSEAL_TABLE_TEXTFILE_H
#define HOPSEAL_TABLE_TEXTFILE_H

#include "table/textload.h"
#include "table/type.h"

struct textfile {
	const struct table_context *context;
	const struct textload_kind *kind;
	struct arena *arena; /* path */
	struct str path;     /* ends in NUL; "" for a text that is no file */

	void *content;        /* the version that answers; NULL: none was good yet */
	struct error why_not; /* while there is none */
	uint64_t n_versions;  /* that have answered so far */

	struct os_file_id seen;  /* the last version that was read, good or not */
	struct os_file_id fresh; /* a newer one that was still too young ... */
	uint64_t fresh_since_ms; /* ... when it was first looked at */
	uint64_t next_check_ms;
	bool is_gone;             /* it could be read once and cannot now; told once */
	struct textload_job *job; /* a version that is being read */
};

/* The file is the table's body. Findings are told. */
MUST_USE struct textfile *
textfile_open(const struct textload_kind *kind, const struct table_context *c, uint64_t now_ms);
/* The same of a text that never changes. */
MUST_USE struct textfile *textfile_open_text(const struct textload_kind *kind,
					     const struct table_context *c, struct str text);
void textfile_close(struct textfile *t);

void textfile_refresh(struct textfile *t, uint64_t now_ms);
/* `version` of a type whose tables are text files. */
bool textfile_version(void *table, uint64_t now_ms, uint64_t *version);

/* What answers this lookup; until the next call. NULL: none, and l->answer says so. */
MUST_USE const void *textfile_content(struct textfile *t, struct table_lookup *l);

#endif
