/* One version of a text file that is a table, read whole: what it holds and what there is to say
 * about it. */

#ifndef HOPSEAL_TABLE_TEXTLOAD_H
#define HOPSEAL_TABLE_TEXTLOAD_H

#include "os/os.h"
#include "table/table.h"

struct textload;

/* What a text becomes. */
struct textload_kind {
	/* Fills l->content from the text, which is gone after the call. Any thread. */
	void (*fill)(struct textload *l, struct str text);
	size_t (*count)(const void *content); /* entries */
	void (*free)(void *content);
};

struct textload {
	struct arena *arena;
	const struct textload_kind *kind;
	struct str file;      /* for the findings */
	bool is_utf8;         /* smtputf8_enable */
	struct os_file_id id; /* all zero when it could not be read */
	void *content;        /* NULL: this version cannot be used */
	struct error why_not;
	bool is_ragged; /* empty, or without a line end at its end: perhaps half written */
	size_t n_findings;
	struct textload_finding {
		struct table_finding f;
		struct textload_finding *next;
	} * first, **last;
};

/* For a kind's `fill`: adds a finding, whose texts are constants or live in l->arena. */
void textload_say(struct textload *l, struct table_finding f);
/* The same, and this version cannot be used; the first of these says why. */
void textload_fail(struct textload *l, struct table_finding f);

/* os_file_stat, for regular files only: a device or pipe may never end, and has no versions. */
MUST_USE bool textload_stat(const char *path, struct os_file_id *id, struct error *e);

/* Blocks while it reads. Any thread. */
MUST_USE struct textload *
textload_file(const struct textload_kind *kind, const char *path, bool is_utf8);
/* The same from memory; `file` is for the findings. */
MUST_USE struct textload *
textload_text(const struct textload_kind *kind, struct str text, struct str file, bool is_utf8);
void textload_free(struct textload *l); /* with its content, unless taken out; NULL is fine */

/* The same on a thread of its own; `path` must outlive it. NULL: the system has no thread now. */
struct textload_job;
MUST_USE struct textload_job *
textload_job_new(const struct textload_kind *kind, const char *path, bool is_utf8);
bool textload_job_is_done(const struct textload_job *j);
/* Waits for the end; *j is gone. */
MUST_USE struct textload *textload_job_end(struct textload_job *j);

#endif
