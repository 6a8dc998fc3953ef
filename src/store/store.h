/* The durable queue: messages, their recipients, their content, and the evidence of what was tried.
 * docs/design/store.md has the schema and why a crash loses nothing.
 *
 * One thread writes. The loops talk to it by notes, each through its own client: a call copies
 * what it is given, returns at once, and `done` comes later on the client's loop, exactly once,
 * never from inside the call. All notes that wait go into one transaction. When `done` says
 * STORE_DONE the change is on the disk; anything else means that it was not promised and that
 * nothing of it is there, unless a crash right then brings it back (a client that was answered
 * 451 sends again, so at worst a message comes twice).
 *
 * Notes of one client are done in the order given, but for an accept or notice with content in a
 * file: that one waits for its file first. store_change and store_expire are done in pieces, and
 * others' notes come between.
 *
 * Reading goes by a reader: a connection of its own, in any thread, in any process, beside a
 * running store or without one. It never holds up the writer. Its calls wait for the disk.
 *
 * Times are ms since 1970, UTC. Texts are octets, whatever a peer sent. */

#ifndef HOPSEAL_STORE_STORE_H
#define HOPSEAL_STORE_STORE_H

#include "base/arena.h"
#include "base/error.h"
#include "base/limits.h"
#include "log/counters.h"
#include "mail/outcome.h"
#include "net/net.h"

struct store;
struct store_client;
struct store_reader;

/* ---- queue ids ---- */

/* Microseconds since 1970 times 256, plus the number of who made it: unique, rising for each maker,
 * and known before anything is written. Never 0. */
#define STORE_ID_TEXT_MAX 12 /* with the NUL */

struct store_ids {
	uint64_t last_us;
	uint8_t maker;
};

/* The next id; rises even when the clock `now_us` does not. */
uint64_t store_ids_next(struct store_ids *ids, uint64_t now_us);
int64_t store_id_ms(uint64_t id); /* when it was made */

/* Eleven digits of base 52 (0-9, letters without vowels), in the order of the numbers. Lives in
 * `out`, NUL-terminated. */
struct str store_id_text(uint64_t id, char out[STORE_ID_TEXT_MAX]);
/* Takes that text only. */
MUST_USE bool store_id_parse(struct str text, uint64_t *id);

/* ---- a message ---- */

enum store_message_flag {
	STORE_8BIT = 1,            /* the content has octets above 127 */
	STORE_8BIT_HEADER = 2,     /* its header section has */
	STORE_SMTPUTF8 = 4,        /* RFC 6531 */
	STORE_REQUIRETLS = 8,      /* RFC 8689 */
	STORE_TLS_REQUIRED_NO = 16 /* RFC 8689 section 5 */
};

enum store_state {
	STORE_QUEUED,
	STORE_HELD,     /* until released */
	STORE_FINISHED, /* nothing is left to try: waits for the notice that names it */
};

/* A destination is "transport:nexthop"; the store compares octets and nothing else. "" is one,
 * too: recipients that are still to be routed. */
struct store_rcpt {
	struct str destination;
	struct str address;
	struct str orcpt, notify; /* DSN, "" for none */

	/* What the store adds; store_accept does not look at it. */
	uint32_t index; /* names the recipient within its message, for ever */
	enum store_state state;
	int64_t due_ms;      /* of a queued one: not to be tried before */
	uint32_t attempts;   /* store_record so far */
	bool is_warned;      /* a delay notice was sent */
	bool is_asked_for;   /* STORE_RETRY since the last attempt: an operator wants one */
	struct outcome last; /* of the last attempt; reason "" before there was one */
};

struct store_message {
	uint64_t id;
	int64_t arrived_ms;
	unsigned flags;        /* store_message_flag */
	uint64_t size;         /* octets of content; store_accept takes it from the content */
	struct str sender;     /* "" is the null reverse-path */
	struct str ret, envid; /* DSN, "" for none */
	struct str client;     /* facts about who brought it, as JSON; "" for none */
	struct store_rcpt *rcpts;
	size_t n_rcpts;
};

/* ---- content ---- */

/* The octets of a message, immutable, shared by count: in memory up to the inline limit, in a file
 * beyond it. The last unref of one that was never committed removes its file. Any thread. */
struct store_content;

struct store_content *store_content_ref(struct store_content *c);
void store_content_unref(struct store_content *c); /* NULL is fine */
uint64_t store_content_size(const struct store_content *c);
bool store_content_is_file(const struct store_content *c);
struct str store_content_memory(const struct store_content *c); /* not a file; with the content */
/* It is in memory, and more than half of what all content may take there is in use: better read
 * again when it is needed. */
bool store_content_is_crowding(const struct store_content *c);
/* A descriptor of the file, opened for reading; the caller closes it. -1: *e. */
MUST_USE int store_content_descriptor(const struct store_content *c, struct error *e);

/* Content on its way in, on the client's thread. */
struct store_spool;

MUST_USE struct store_spool *store_spool_new(struct store_client *c, uint64_t id);
void store_spool_free(struct store_spool *s); /* with all that was added; NULL is fine */
uint64_t store_spool_size(const struct store_spool *s);
/* Goes into a file earlier when the memory for content is in use. False: the file cannot be made or
 * written; the spool takes no more and is to be freed. */
MUST_USE bool store_spool_add(struct store_spool *s, struct str octets, struct error *e);
/* Frees the spool. What comes back is not durable before `done` of the note that carries it. NULL:
 * as for store_spool_add. */
MUST_USE struct store_content *store_spool_finish(struct store_spool *s, struct error *e);

/* ---- the store ---- */

/* A full disk: mail must still be able to leave it, which takes room. Some is kept back for that,
 * and until there is as much again beside it, new mail is STORE_FULL. Enough for the log and for
 * what it is copied to: */
#define STORE_RESERVE_OCTETS (40ull * 1024 * 1024)

struct store_options {
	const char *directory;         /* made when missing, mode 0700 */
	size_t inline_limit;           /* octets of content kept in the database */
	uint64_t content_memory_limit; /* octets of all content in memory on its way in; 0: any */
	unsigned lock_wait_ms;         /* how long to wait while another process has the store */
	uint64_t reserve_octets;       /* kept back for a full disk; 0: none */
	/* By who stays: looks whether all is whole, before anything is changed, and removes content
	 * files that no message has. Takes long in a large queue. */
	bool is_checked;
	/* The disk lost what it had taken, and only a new process can write it again: the last
	 * thing before this one ends with EX_IOERR, on the writer's thread. NULL: it is said on
	 * the standard error. */
	void (*lost)(void *arg, const char *why);
	void *lost_arg;
	/* For tests; 0: as it is. */
	int64_t pages_max;     /* of the database: beyond it the disk is full */
	uint64_t probe_age_ms; /* what was written before that says nothing to probes */
};

/* Makes or migrates the database, checks it when asked to, starts the threads.
 * NULL: the directory cannot be used (ERROR_NO_INPUT, ERROR_IO), another process has the store
 * (ERROR_TEMP), it is of a newer release or not a store (ERROR_CONFIG), or damaged
 * (ERROR_DATA). Signals stay with the threads that are there already. */
MUST_USE struct store *store_open(const struct store_options *o, struct error *e);
/* What is in the queue and was found damaged when it was opened, for people; "": nothing. Mail that
 * can be read goes its way; nothing was removed. */
struct str store_trouble(const struct store *s, struct arena *a);
/* After all clients are freed. */
void store_close(struct store *s);

/* Belongs to the loop's thread. It keeps the loop running while notes are out. NULL: the reader
 * could not be opened. */
MUST_USE struct store_client *
store_client_new(struct store *s, struct net_loop *l, struct error *e);
void store_client_free(struct store_client *c); /* when nothing is out: a CHECK; NULL is fine */
size_t store_client_waiting(const struct store_client *c);        /* notes out */
struct store_reader *store_client_reader(struct store_client *c); /* for this thread only */
/* Of this client, and later than any in the store. */
uint64_t store_client_id(struct store_client *c);

/* ---- notes ---- */

enum store_fault {
	STORE_DONE,
	STORE_FULL,    /* the disk; goes on when there is room again */
	STORE_IO,      /* reading, writing or synchronising failed */
	STORE_BUSY,    /* somebody else holds the database's lock */
	STORE_DAMAGED, /* the database is not what it was */
	STORE_REFUSED, /* this note cannot be: an id that is there already */
};

struct str store_fault_name(enum store_fault f); /* "done", "full", "io" ... */

struct store_result {
	enum store_fault fault;
	struct str text;  /* why, for people; "" when done */
	uint64_t changed; /* recipients: of store_change; attempts: of store_expire */
	uint64_t removed; /* messages whose last recipient went: of record, bounce and change */
};

typedef void store_done(void *arg, const struct store_result *r);

enum store_accept_how { STORE_ACCEPT_QUEUED, STORE_ACCEPT_HELD };

/* A new message, due at once (rcpts[i].due_ms is not looked at: it is arrived_ms). */
void store_accept(struct store_client *c, const struct store_message *m,
		  struct store_content *content, enum store_accept_how how, store_done *done,
		  void *arg);

/* What many attempts share: decision, facts, peer, judgement, as JSON. Stored once; make one for a
 * connection and hand it to each record. Shared by count, any thread. */
struct store_ground;
MUST_USE struct store_ground *store_ground_new(struct str text);
struct store_ground *store_ground_ref(struct store_ground *g);
void store_ground_unref(struct store_ground *g);            /* NULL is fine */
struct str store_ground_text(const struct store_ground *g); /* with the ground */

enum store_verdict {
	STORE_GONE,       /* finished, and nobody is to be told: the recipient is removed */
	STORE_RETRY_AT,   /* to be tried again, at due_ms */
	STORE_TO_BE_TOLD, /* finished, delivered or bounced: kept for the notice that names it */
};

struct store_rcpt_record {
	uint32_t index;
	enum store_verdict verdict;
	int64_t due_ms;         /* RETRY_AT */
	struct outcome outcome; /* kept with the recipient while it is there */
	bool was_asked_for;     /* of the attempt: is_asked_for, which it has used up */
};

/* One attempt. With its last recipient the message goes. Recipients that are no more (deleted
 * meanwhile) are passed over; a held one stays held. */
struct store_record {
	uint64_t message;
	int64_t at_ms;
	const struct store_rcpt_record *rcpts;
	size_t n_rcpts;
	/* Evidence; ground NULL: none is kept (nothing was tried). */
	struct store_ground *ground;
	struct str evidence;  /* this attempt's own: recipients, outcomes, replies, as JSON */
	bool is_fate_unknown; /* the final dot was sent, and no reply came */
};

void store_record(struct store_client *c, const struct store_record *r, store_done *done,
		  void *arg);

enum store_notice_kind {
	STORE_NOTICE_FINAL, /* the recipients that it names are removed */
	STORE_NOTICE_DELAY, /* they are marked as warned */
};

/* Inserts `message` (as store_accept does) and settles the recipients that it is about, in one
 * transaction. `message` NULL: nobody is to be told, the recipients are settled all the same.
 * When none of them is there any more, nothing is inserted: the notice was sent already, or the
 * message deleted. */
struct store_notice {
	enum store_notice_kind kind;
	uint64_t about;
	const uint32_t *indexes;
	size_t n_indexes;
	const struct store_message *message;
	struct store_content *content;
};

void store_bounce(struct store_client *c, const struct store_notice *n, store_done *done,
		  void *arg);

/* Other destinations, for recipients that routing has sent elsewhere; `due_ms` for all. */
struct store_move {
	uint32_t index;
	struct str destination;
};

void store_move(struct store_client *c, uint64_t message, const struct store_move *v, size_t n,
		int64_t due_ms, store_done *done, void *arg);

/* What operators do. */
enum store_change {
	STORE_HOLD,    /* queued ones are held */
	STORE_RELEASE, /* held ones are queued and due */
	STORE_RETRY,   /* queued ones are due */
	STORE_DELETE,  /* removed, and nobody is told */
	STORE_REQUEUE, /* queued and held ones are due, and to be routed anew: destination "" */
};

enum store_reach { STORE_ALL, STORE_OF_DESTINATION, STORE_OF_MESSAGE, STORE_OF_RECIPIENT };

struct store_selection {
	enum store_reach reach;
	struct str destination; /* OF_DESTINATION */
	uint64_t message;       /* OF_MESSAGE, OF_RECIPIENT */
	uint32_t index;         /* OF_RECIPIENT */
};

void store_change(struct store_client *c, enum store_change change,
		  const struct store_selection *which, int64_t now_ms, store_done *done, void *arg);

/* Removes the evidence of attempts before `before_ms`, and the names of destinations that nobody
 * has. */
void store_expire(struct store_client *c, int64_t before_ms, store_done *done, void *arg);

/* `done` says whether new mail could be written: it is, when some was written in the last second,
 * and else a page is, in which nothing changes. A failure is told again for that long, too. */
void store_probe(struct store_client *c, store_done *done, void *arg);

/* What the writer counts; store_commits, store_changes and store_commit alone. Any thread. */
const struct log_counters *store_counters(const struct store *s);

/* ---- space ---- */

struct store_space {
	uint64_t free_octets;     /* of the file system, for us */
	uint64_t database_octets; /* files of the database, log included */
	uint64_t reusable_octets; /* of them: free pages, taken before the files grow */
	uint64_t messages, recipients;
	uint64_t notes;                 /* waiting for the writer */
	uint64_t content_memory_octets; /* taken by content that came in */
};

/* Any thread; cheap. */
MUST_USE bool store_space(struct store *s, struct store_space *out, struct error *e);
/* Whether content of so many octets (0: not said) would find no memory now. The same, cheaper. */
bool store_memory_is_short(const struct store *s, uint64_t size_octets);

/* ---- reading ---- */

/* NULL: there is no store (ERROR_NO_INPUT), it has another version (ERROR_CONFIG) ... */
MUST_USE struct store_reader *store_reader_open(const char *directory, struct error *e);
void store_reader_close(struct store_reader *r); /* NULL is fine */

struct store_destination {
	struct str name;
	uint64_t n_queued, n_held, n_finished;
	int64_t due_ms;    /* the earliest of the queued ones */
	int64_t oldest_ms; /* when the oldest message came */
};

/* Each destination that has recipients, in no order; spans are borrowed for the call. */
MUST_USE bool store_destinations(struct store_reader *r,
				 void (*each)(void *arg, const struct store_destination *d),
				 void *arg, struct error *e);

/* The same by pieces, between which any time may pass: *place is 0 at first, and at the end. */
MUST_USE bool store_destinations_piece(struct store_reader *r, int64_t *place,
				       void (*each)(void *arg, const struct store_destination *d),
				       void *arg, struct error *e);

/* When the oldest message came; 0: there is none. Reads one row. */
MUST_USE bool store_oldest(struct store_reader *r, int64_t *arrived_ms, struct error *e);

/* Each destination that has queued recipients, with the time when the first of them is due; counts
 * nothing, so that it takes a look at each destination and not at each recipient. */
MUST_USE bool store_backlogs(struct store_reader *r,
			     void (*each)(void *arg, struct str name, int64_t due_ms), void *arg,
			     struct error *e);

/* A place among what is due. All zero: the start. */
struct store_due_place {
	int64_t due_ms;
	uint64_t message;
	uint64_t after_index; /* index + 1 */
};

struct store_due {
	struct store_message *messages; /* with the recipients that are due there */
	size_t n;
	size_t n_rcpts;              /* of all messages */
	struct store_due_place next; /* where to go on */
};

/* Queued recipients of one destination that are due at `now_ms`, after a place, `limit` at most,
 * the longest due first, grouped by message. What was returned once and not recorded since is there
 * again when read from the start: who is at work on it is the caller's to know. In the arena. */
MUST_USE bool store_due(struct store_reader *r, struct arena *a, struct str destination,
			int64_t now_ms, const struct store_due_place *after, size_t limit,
			struct store_due *out, struct error *e);

/* Messages with finished recipients and nobody told: what a crash between record and notice left.
 * At most `limit` of them with ids above `after`, with those recipients only. */
MUST_USE bool store_finished(struct store_reader *r, struct arena *a, uint64_t after, size_t limit,
			     struct store_message **out, size_t *n, struct error *e);

/* All of one message; *out NULL: there is none. */
MUST_USE bool store_message(struct store_reader *r, struct arena *a, uint64_t id,
			    struct store_message **out, struct error *e);

/* Its content; *out NULL: there is none. store_content_unref. */
MUST_USE bool store_content_open(struct store_reader *r, uint64_t id, struct store_content **out,
				 struct error *e);

struct store_filter {
	const struct str *destination; /* NULL, here and below: any */
	const struct str *sender;
	struct str reason;                          /* part of the last reason or reply; "": any */
	uint64_t message;                           /* 0: any */
	int64_t arrived_from_ms, arrived_before_ms; /* 0: open */
	unsigned states;                            /* 1 << store_state, or'ed; 0: any */
};

enum store_go_on { STORE_GO_ON, STORE_STOP };

/* Recipients, each with its message (whose rcpts is the one), by message and index; those of one
 * destination by state and due time. Read in pieces, so that a long list holds nothing up; what
 * changes meanwhile may be in it or not. Spans are borrowed for the call. */
MUST_USE bool store_list(struct store_reader *r, const struct store_filter *f,
			 enum store_go_on (*each)(void *arg, const struct store_message *m),
			 void *arg, struct error *e);

/* The same by pieces, between which any time may pass. */
struct store_list_place {
	uint64_t message; /* behind this row */
	int64_t index, state, due_ms;
	bool is_end; /* there was no more */
};

struct store_list_place store_list_start(void);
/* Some hundred rows, of which those that are wanted are told; moves the place. When `each` stops,
 * it is behind the row that was told last. */
MUST_USE bool store_list_piece(struct store_reader *r, const struct store_filter *f,
			       struct store_list_place *at,
			       enum store_go_on (*each)(void *arg, const struct store_message *m),
			       void *arg, struct error *e);

struct store_attempt {
	uint64_t id; /* rises with time */
	uint64_t message;
	int64_t at_ms;
	bool is_fate_unknown;
	struct str ground, evidence; /* as given; ground "" when it has expired */
};

/* The attempts of one message behind the one whose id is `after` (0: all), the oldest first. Spans
 * are borrowed for the call. */
MUST_USE bool store_evidence(struct store_reader *r, uint64_t message, uint64_t after,
			     enum store_go_on (*each)(void *arg, const struct store_attempt *t),
			     void *arg, struct error *e);

#endif
