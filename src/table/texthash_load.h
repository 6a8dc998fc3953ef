/* One version of a texthash file, read whole: what it holds and what there is to say about it. */

#ifndef HOPSEAL_TABLE_TEXTHASH_LOAD_H
#define HOPSEAL_TABLE_TEXTHASH_LOAD_H

#include "os/os.h"
#include "table/map.h"
#include "table/table.h"

struct texthash_load {
	struct arena *arena;
	struct os_file_id id;  /* all zero when it could not be read */
	struct table_map *map; /* NULL: this version cannot be used */
	struct error why_not;
	bool is_ragged; /* empty, or without a line end at its end: perhaps half written */
	size_t n_findings;
	struct texthash_finding {
		struct table_finding f;
		struct texthash_finding *next;
	} * first, **last;
};

/* os_file_stat, for regular files only: a device or pipe may never end, and has no versions. */
MUST_USE bool texthash_stat(const char *path, struct os_file_id *id, struct error *e);

/* Blocks while it reads. Any thread. */
MUST_USE struct texthash_load *texthash_load_file(const char *path, bool is_utf8);
/* The same from memory; `file` is for the findings. */
MUST_USE struct texthash_load *texthash_load_text(struct str text, struct str file, bool is_utf8);
void texthash_load_free(struct texthash_load *l); /* with its map, unless taken out; NULL is fine */

/* The same on a thread of its own; `path` must outlive it. NULL: the system has no thread now. */
struct texthash_job;
MUST_USE struct texthash_job *texthash_job_new(const char *path, bool is_utf8);
bool texthash_job_is_done(const struct texthash_job *j);
/* Waits for the end; *j is gone. */
MUST_USE struct texthash_load *texthash_job_end(struct texthash_job *j);

#endif
