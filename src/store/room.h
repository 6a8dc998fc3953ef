/* What the files of this room share. Nobody else includes it. */

#ifndef HOPSEAL_STORE_ROOM_H
#define HOPSEAL_STORE_ROOM_H

#include <pthread.h>
#include <stdio.h>

#include "base/buf.h"
#include "sql/sql.h"
#include "store/store.h"

#define STORE_PATH_MAX 4096
#define STORE_DATABASE "queue.db" /* in the queue directory, as are those below */
#define STORE_CONTENT "content"
#define STORE_LOCK "lock"
#define STORE_RESERVE "reserve"

enum {
	STORE_CONTENT_FOLDERS = 256,
	STORE_DIRECTORY_MAX = STORE_PATH_MAX - 64, /* what is put behind it fits */
	STORE_GROUP_MAX = 256,                     /* notes of one transaction */
	STORE_SYNC_MAX = 64,                       /* files made durable together */
	STORE_PIECE_MAX = 500,                     /* rows that a note in pieces changes at once */
	STORE_LOG_PAGES = 4000, /* of the log, before it is copied into the database */
};

/* ---- schema ---- */

struct store_schema {
	const char *const *steps; /* each brings the database to the next version */
	size_t n;
};

extern const struct store_schema store_schema;

MUST_USE bool store_schema_migrate(struct sql *db, const struct store_schema *s, struct error *e);
/* Writes once more whose database it is. */
MUST_USE bool store_schema_mark(struct sql *db, struct error *e);
/* For readers: it is exactly this version. */
MUST_USE bool store_schema_check(struct sql *db, const struct store_schema *s, struct error *e);

/* ---- memory ---- */

/* The budget of content in memory, shared by count: content may outlive its store. Any thread. */
struct store_memory;

MUST_USE struct store_memory *store_memory_new(uint64_t limit); /* 0: none */
struct store_memory *store_memory_ref(struct store_memory *m);
void store_memory_unref(struct store_memory *m); /* NULL is fine */
uint64_t store_memory_used(const struct store_memory *m);
bool store_memory_has_room(const struct store_memory *m, uint64_t octets);
bool store_memory_is_half_full(const struct store_memory *m);
/* Never beyond the limit: false then. What is taken is given back once. */
MUST_USE bool store_memory_take(struct store_memory *m, uint64_t octets);
void store_memory_give(struct store_memory *m, uint64_t octets);

/* ---- content ---- */

struct store_content {
	unsigned refs;
	uint64_t id, size;
	struct buf memory;
	struct store_memory *budget; /* NULL: not counted, it was read from the store */
	size_t charged;              /* to the budget */
	char *path;                  /* NULL: in memory */
	int fd;                      /* of a file that is not durable yet */
	bool is_durable;
	bool is_kept;             /* committed: the file stays */
	unsigned folder_failures; /* of the store, when the file was made */
};

void store_content_path(const char *directory, uint64_t id, char out[STORE_PATH_MAX]);
MUST_USE struct store_content *store_content_of_file(const char *path, uint64_t size);
MUST_USE struct store_content *store_content_of_octets(struct str octets);
/* The file's octets; its folder is another matter. Once, and never again after it failed: what the
 * kernel dropped then it does not tell twice. */
void store_content_folder(const struct store_content *c, char out[STORE_PATH_MAX]);
MUST_USE bool store_content_sync(struct store_content *c, struct error *e);
MUST_USE bool store_sync_folder(const char *folder, struct error *e);
MUST_USE struct store_spool *store_spool_of(const struct store *store, uint64_t id);

/* ---- notes ---- */

struct store_ground {
	unsigned refs;
	struct str text;
	/* The writer's. */
	int64_t row, used_ms;
	uint64_t generation; /* of the writer that `row` holds for */
};

enum note_kind {
	NOTE_ACCEPT,
	NOTE_RECORD,
	NOTE_NOTICE,
	NOTE_MOVE,
	NOTE_CHANGE,
	NOTE_EXPIRE,
	NOTE_PROBE,
};

struct note_accept {
	struct store_message message;
	enum store_accept_how how;
};

struct note_record {
	struct store_record record;
};

struct note_notice {
	struct store_notice notice;
};

struct note_move {
	uint64_t message;
	const struct store_move *v;
	size_t n;
	int64_t due_ms;
};

struct note_change {
	enum store_change change;
	struct store_selection which;
	int64_t now_ms;
	int64_t destination; /* ALL: those up to this one are done */
	int64_t reached;     /* and up to this one, when the piece is committed */
	int64_t due_from;    /* RETRY: those of the next destination due before are done */
	int64_t due_reached; /* and before this, when the piece is committed */
	int64_t due_of;      /* ALL: that destination */
};

/* Attempts, then grounds, then destinations: up to which one all are done. */
struct note_place {
	int64_t message, n;
	int64_t destination;
};

struct note_expire {
	int64_t before_ms;
	struct note_place looked_at;
	struct note_place reached; /* when the piece is committed */
};

/* Belongs to whoever has it: the client that makes it, the writer, the client again. */
struct note {
	struct net_note link;
	enum note_kind kind;
	struct store_client *client;
	store_done *done;
	void *arg;
	struct arena *arena;
	struct store_content *content; /* of ACCEPT and NOTICE; may be NULL in the latter */
	union {
		struct note_accept accept;
		struct note_record record;
		struct note_notice notice;
		struct note_move move;
		struct note_change change;
		struct note_expire expire;
	} u;

	/* The writer's. */
	bool is_unfinished; /* done in pieces, and this was not the last */
	uint64_t piece;     /* rows that this piece changed */
	uint64_t removed;   /* messages that went with it */
	struct store_result result;
};

static inline struct note *note_of(struct net_note *link)
{
	return (struct note *)link;
}

/* A queue between threads. */
struct note_queue {
	pthread_mutex_t mutex;
	pthread_cond_t filled;
	struct net_note *first, **last;
	size_t n;
	bool is_closing, is_awaited;
};

void note_queue_init(struct note_queue *q);
void note_queue_fini(struct note_queue *q);
void note_queue_put(struct note_queue *q, struct note *n);
/* Waits for notes and takes `max` at most, chained. NULL: closed, and all are taken. */
struct note *note_queue_take(struct note_queue *q, size_t max);
void note_queue_close(struct note_queue *q);
size_t note_queue_length(struct note_queue *q);

struct note *note_next(const struct note *n);

/* Back to its client. */
void note_return(struct note *n);
void note_fail(struct note *n, enum store_fault fault, struct str text);

/* ---- the writer ---- */

enum writer_statement {
	W_DESTINATION_FIND,
	W_DESTINATION_ADD,
	W_DESTINATION_AFTER,
	W_DESTINATION_SWEEP,
	W_DESTINATION_PIECE,
	W_MESSAGE_ADD,
	W_MESSAGE_REMOVE,
	W_CONTENT_ADD,
	W_CONTENT_REMOVE,
	W_RECIPIENT_ADD,
	W_RECIPIENT_REMOVE,
	W_RECIPIENT_REMOVE_FINISHED,
	W_RECIPIENT_DEFER,
	W_RECIPIENT_FINISH,
	W_RECIPIENT_WARN,
	W_RECIPIENT_MOVE,
	W_RECIPIENT_CHANGE,
	W_GROUND_FIND,
	W_GROUND_ADD,
	W_GROUND_USE,
	W_GROUND_EXPIRE,
	W_ATTEMPT_ADD,
	W_ATTEMPT_AFTER,
	W_ATTEMPT_REMOVE,
	W_FIND_OF_DESTINATION,
	W_FIND_UNASKED,
	W_FIND_OF_MESSAGE,
	W_STATEMENTS,
};

enum { WRITER_NAMES = 4096 };

/* Names of destinations asked for lately, each in the one place that its hash gives it. */
struct writer_name {
	char *text;
	size_t n;
	int64_t row;
};

/* What the transaction did besides the rows: counts only when it is committed. */
struct writer_tally {
	int64_t messages, recipients;
	uint64_t *files; /* ids whose content file is to go */
	size_t n_files, size_files;
};

struct writer {
	char path[STORE_PATH_MAX]; /* of the database */
	const char *directory;
	int64_t pages_max;
	bool is_checked; /* the pages, when it is opened for the first time */
	struct sql *db;  /* NULL: it was closed after trouble, and has to be opened */
	struct sql_statement *st[W_STATEMENTS];
	struct writer_name names[WRITER_NAMES];
	uint64_t generation; /* grows when what was interned may be gone */
	struct writer_tally tally;
	uint64_t n_attempts; /* added so far */
	bool is_in_doubt;    /* a commit was asked for, and failed: it may come back */
	int64_t checkpoint_at, log_pages;
	void (*lost)(void *arg, const char *why);
	void *lost_arg;
};

MUST_USE bool writer_open(struct writer *w, struct error *e);
void writer_close(struct writer *w);
/* The database or its log is not under its name: what is written would go nowhere. */
MUST_USE bool writer_has_moved(const struct writer *w);
/* Forgets which row is which name or ground, after a rollback. */
void writer_forget(struct writer *w);

/* One note, inside a transaction. False: nothing of the transaction may stay. */
MUST_USE bool writer_apply(struct writer *w, struct note *n, struct error *e);
MUST_USE bool writer_accept(struct writer *w, struct note *n, struct error *e);
MUST_USE bool writer_record(struct writer *w, struct note *n, struct error *e);
MUST_USE bool writer_notice(struct writer *w, struct note *n, struct error *e);
MUST_USE bool writer_move(struct writer *w, struct note *n, struct error *e);
MUST_USE bool writer_change(struct writer *w, struct note *n, struct error *e);
MUST_USE bool writer_expire(struct writer *w, struct note *n, struct error *e);

MUST_USE bool writer_destination(struct writer *w, struct str name, int64_t *row, struct error *e);
MUST_USE bool
writer_ground(struct writer *w, struct store_ground *g, int64_t now_ms, struct error *e);
/* Removes one recipient, and its message if that was the last one. */
MUST_USE bool writer_remove(struct writer *w, enum writer_statement how, uint64_t message,
			    uint32_t index, struct error *e);

/* ---- rows ---- */

uint64_t store_id_from_ms(int64_t ms); /* the least one made then or later */
int64_t store_status_pack(struct status s);
struct status store_status_unpack(int64_t v);

/* ---- reading ---- */

enum reader_statement {
	R_DESTINATIONS,
	R_DESTINATIONS_END,
	R_BACKLOGS,
	R_OLDEST,
	R_DESTINATION,
	R_DUE,
	R_FINISHED,
	R_MESSAGE,
	R_RECIPIENTS,
	R_RECIPIENTS_FINISHED,
	R_CONTENT,
	R_EVIDENCE,
	R_LIST,
	R_LIST_DESTINATION,
	R_STATEMENTS,
};

struct store_reader {
	char directory[STORE_DIRECTORY_MAX];
	struct sql *db;
	struct sql_statement *st[R_STATEMENTS];
};

/* Bits of recipient.is_warned, which had the first alone when it got its name. */
#define STORE_MARK_WARNED 1
#define STORE_MARK_ASKED_FOR 2

/* The columns of a recipient, from the first; its destination's name is the first of them. */
#define READER_RCPT                                                                                \
	"d.name, r.n, r.state, r.due, r.attempts, r.is_warned, r.address, r.orcpt, r.notify, "     \
	"r.kind, r.status, r.reason, r.host, r.reply_code, r.reply_status, r.reply"
#define READER_RCPT_COLUMNS 16
#define READER_MESSAGE "m.id, m.arrived, m.size, m.flags, m.sender, m.ret, m.envid, m.client"
#define READER_MESSAGE_COLUMNS 8

/* From the columns that begin at `at`; texts are copied, or borrowed until the next step when `a`
 * is NULL. */
struct store_rcpt reader_rcpt(const struct sql_statement *st, int at, struct arena *a);
struct store_message reader_message(const struct sql_statement *st, int at, struct arena *a);

/* ---- the store ---- */

/* Rows that nothing else knows of: nobody would ever look at them. */
struct store_losses {
	int64_t recipients, messages;
};

/* How it went when mail, or a probe, was last written. */
struct store_proof {
	bool is_known;
	uint64_t since; /* its beginning */
	enum store_fault fault;
	struct error e; /* unless it is STORE_DONE */
};

struct store {
	char directory[STORE_DIRECTORY_MAX];
	size_t inline_limit;
	struct store_memory *memory;
	int lock_fd;
	uint64_t reserve_octets;
	bool has_reserve;              /* the writer's, as are the next three */
	struct store_content **doubts; /* files of commits that failed */
	size_t n_doubts, size_doubts;
	struct store_losses losses;
	struct writer writer;
	struct log_counters counters; /* the writer's, as are the next two */
	struct store_proof proof;
	uint64_t probe_age_ms;
	struct note_queue to_write;
	struct note_queue to_sync; /* content files first */
	pthread_t writing, syncing;
	int64_t messages, recipients; /* atomic, as is the next */
	int64_t free_pages;           /* of the database */
	uint64_t last_id_us;          /* in the database when it was opened */
	unsigned folder_failures;     /* atomic: folders that could not be synchronised */
	unsigned n_clients;           /* atomic, as is the next */
	unsigned n_makers;
};

/* The directory with its folders, and the lock. -1: *e. */
MUST_USE int store_directory_take(const char *directory, unsigned wait_ms, struct error *e);
/* Removes files that no message has. */
MUST_USE bool store_directory_sweep(const char *directory, struct sql *db, struct error *e);

/* False: the database is missing where there is mail (ERROR_DATA). */
MUST_USE bool store_sound_files(const char *directory, struct error *e);
/* False: its pages are damaged (ERROR_DATA) or cannot be read (ERROR_IO). Here and below nothing
 * is looked at in a large one. Any version. */
MUST_USE bool store_sound_pages(struct sql *db, struct error *e);
MUST_USE bool store_sound_rows(struct sql *db, struct store_losses *out, struct error *e);

/* True when the reserve is there, or none is wanted. */
MUST_USE bool store_reserve_keep(struct store *s);
void store_reserve_release(struct store *s);

/* Content of notes whose commit failed, until a later one has written. */
void store_doubt_add(struct store *s, const struct note *first);
void store_doubt_clear(struct store *s);
void store_doubt_fini(struct store *s); /* the files are left to the next start */

/* One of them writes, whatever is there already. */
bool store_has_proof(const struct note *first);
/* After a transaction with these notes that began at `since`. */
void store_probe_learn(struct store *s, const struct note *first, enum store_fault fault,
		       const struct error *e, uint64_t since);
/* Answers probes with what is known; gives the other notes, or all when nothing is. */
struct note *store_probe_answer(struct store *s, struct note *first);

/* On threads of their own, until the queue is closed. */
void *store_write(void *store);
void *store_sync(void *store);

#endif
