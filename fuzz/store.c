/* Damaged queues: octets of a whole database are changed, everything in it is read, and a daemon
 * works on it. Whatever comes of it, it ends, and says what is wrong or gives rows that make sense.
 * The input is a list of changes of four octets: a place, high octet first, and what is written
 * there and behind it. Queue ids are parsed from the same octets. */

#include "fuzz.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "store/store.h"

enum { IMAGE_MAX = 256 * 1024, FOLDERS = 256 };

static char directory[] = "/tmp/hopseal-fuzz-store-XXXXXX";
static char path[64];
static char image[IMAGE_MAX];
static size_t image_n;
static uint64_t ids[6];

/* ---- a queue with something of everything ---- */

static void done(void *arg, const struct store_result *r)
{
	(void)arg;
	CHECK(r->fault == STORE_DONE);
}

static void add(struct store_client *c, size_t i)
{
	struct store_rcpt rcpts[3] = { 0 };
	struct error e;
	struct store_spool *s = store_spool_new(c, ids[i] = store_client_id(c));
	char text[5000];

	for (size_t k = 0; k < 3; k++)
		rcpts[k] = (struct store_rcpt){
			.destination = k % 2 ? STR("smtp:one.example") : STR("lmtp:two.example"),
			.address = STR("somebody@one.example"),
			.notify = STR("FAILURE"),
		};
	const struct store_message m = { .id = ids[i],
					 .arrived_ms = 1780000000000,
					 .sender = STR("s@example"),
					 .client = STR("{}"),
					 .rcpts = rcpts,
					 .n_rcpts = 3 };
	memset(text, 'a' + (int)i, sizeof(text));
	CHECK(store_spool_add(s, str_span(text, i * 1000), &e));
	struct store_content *content = store_spool_finish(s, &e);
	CHECK(content);
	store_accept(c, &m, content, i == 1 ? STORE_ACCEPT_HELD : STORE_ACCEPT_QUEUED, done, NULL);
	store_content_unref(content);
}

static void try_it(struct store_client *c, size_t i, struct store_ground *g)
{
	const struct store_rcpt_record rcpt = {
		.index = (uint32_t)i % 3,
		.verdict = i % 2 ? STORE_RETRY_AT : STORE_TO_BE_TOLD,
		.due_ms = 1780000300000,
		.outcome = { .kind = OUTCOME_DEFERRED,
			     .status = STATUS(4, 4, 1),
			     .reason = STR("no connection"),
			     .reply = { .code = 451, .text = STR("later") } },
	};

	store_record(c,
		     &(struct store_record){ .message = ids[i],
					     .at_ms = 1780000000000,
					     .rcpts = &rcpt,
					     .n_rcpts = 1,
					     .ground = g,
					     .evidence = STR("{\"rcpts\":[]}") },
		     done, NULL);
}

static void fill(void)
{
	const struct store_options o = { .directory = directory,
					 .inline_limit = 4000,
					 .is_checked = true };
	struct store_ground *g = store_ground_new(STR("{\"level\":\"may\"}"));
	struct net_loop *l = net_loop_new();
	struct error e;
	struct store *s = store_open(&o, &e);

	CHECK(s);
	struct store_client *c = store_client_new(s, l, &e);
	CHECK(c);
	for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++)
		add(c, i);
	net_loop_run(l);
	for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++)
		try_it(c, i, g);
	net_loop_run(l);
	store_client_free(c);
	store_close(s);
	store_ground_unref(g);
	net_loop_free(l);
}

static void leave(void)
{
	char name[128];

	for (unsigned i = 0; i < FOLDERS; i++) {
		for (size_t k = 0; k < sizeof(ids) / sizeof(ids[0]); k++) {
			char text[STORE_ID_TEXT_MAX];
			(void)snprintf(name, sizeof(name), "%s/content/%02x/%s", directory, i,
				       store_id_text(ids[k], text).p);
			(void)unlink(name);
		}
		(void)snprintf(name, sizeof(name), "%s/content/%02x", directory, i);
		(void)rmdir(name);
	}
	static const char *const others[] = { "content", "lock", "queue.db", "queue.db-wal",
					      "queue.db-shm" };
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		(void)snprintf(name, sizeof(name), "%s/%s", directory, others[i]);
		(void)remove(name);
	}
	(void)rmdir(directory);
}

static void make_image(void)
{
	CHECK(mkdtemp(directory));
	(void)snprintf(path, sizeof(path), "%s/queue.db", directory);
	CHECK(atexit(leave) == 0);
	fill();
	FILE *f = fopen(path, "rb");
	CHECK(f);
	image_n = fread(image, 1, sizeof(image), f);
	CHECK(fclose(f) == 0 && image_n > 4096 && image_n < sizeof(image));
}

/* ---- reading it ---- */

static void see_destination(void *arg, const struct store_destination *d)
{
	struct arena *a = arena_new();
	struct store_due due;
	struct error e;

	if (store_due(arg, a, d->name, INT64_MAX, &(struct store_due_place){ 0 }, 50, &due, &e))
		for (size_t i = 0; i < due.n; i++)
			CHECK(due.messages[i].n_rcpts > 0);
	arena_free(a);
}

static enum store_go_on see_message(void *arg, const struct store_message *m)
{
	size_t *n = arg;

	CHECK(m->n_rcpts == 1 && m->rcpts->state <= STORE_FINISHED);
	return ++*n < 1000 ? STORE_GO_ON : STORE_STOP;
}

static enum store_go_on see_attempt(void *arg, const struct store_attempt *t)
{
	size_t *n = arg;

	(void)t;
	return ++*n < 1000 ? STORE_GO_ON : STORE_STOP;
}

static void read_message(struct store_reader *r, struct arena *a, uint64_t id)
{
	struct store_message *m;
	struct store_content *c;
	struct error e;
	size_t n = 0;

	(void)!store_message(r, a, id, &m, &e);
	if (store_content_open(r, id, &c, &e)) {
		if (c && !store_content_is_file(c))
			(void)str_hash(store_content_memory(c));
		store_content_unref(c);
	}
	(void)!store_evidence(r, id, 0, see_attempt, &n, &e);
}

static void read_all(void)
{
	struct error e = { 0 };
	struct store_reader *r = store_reader_open(directory, &e);
	struct arena *a = arena_new();
	struct store_message *v;
	size_t n = 0, n_listed = 0;

	if (r) {
		(void)!store_destinations(r, see_destination, r, &e);
		(void)!store_finished(r, a, 0, 10, &v, &n, &e);
		(void)!store_list(r, &(struct store_filter){ 0 }, see_message, &n_listed, &e);
		for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++)
			read_message(r, a, ids[i]);
	} else {
		CHECK(e.kind != ERROR_NONE && e.text[0]);
	}
	arena_free(a);
	store_reader_close(r);
}

/* ---- writing to it ---- */

static void ended(void *arg, const struct store_result *r)
{
	unsigned *n_done = arg;

	CHECK(r->fault == STORE_DONE || r->text.n > 0);
	++*n_done;
}

static void change_all(struct store_client *c, unsigned *n_done)
{
	static const enum store_change changes[] = { STORE_HOLD, STORE_RELEASE, STORE_REQUEUE };
	const struct store_selection all = { .reach = STORE_ALL };
	const struct store_rcpt_record rcpt = { .index = 0, .verdict = STORE_GONE };

	for (size_t i = 0; i < ARRAY_LEN(changes); i++)
		store_change(c, changes[i], &all, 1780000600000, ended, n_done);
	for (size_t i = 0; i < ARRAY_LEN(ids); i++)
		store_record(c,
			     &(struct store_record){ .message = ids[i],
						     .at_ms = 1780000600000,
						     .rcpts = &rcpt,
						     .n_rcpts = 1,
						     .evidence = STR("{}") },
			     ended, n_done);
	store_expire(c, 1780000900000, ended, n_done);
}

/* A daemon on it: it does not start, or all that it is told has an answer. */
static void write_all(void)
{
	const struct store_options o = { .directory = directory,
					 .inline_limit = 4000,
					 .is_checked = true };
	struct error e = { 0 };
	struct store *s = store_open(&o, &e);
	unsigned n_done = 0;

	if (!s) {
		CHECK(e.kind != ERROR_NONE && e.text[0]);
		return;
	}
	struct net_loop *l = net_loop_new();
	struct store_client *c = store_client_new(s, l, &e);
	if (c) {
		change_all(c, &n_done);
		net_loop_run(l);
		CHECK(n_done == 4 + ARRAY_LEN(ids));
	}
	store_client_free(c);
	store_close(s);
	net_loop_free(l);
}

/* What a daemon leaves behind goes: the next one meets the image alone. */
static void forget_log(void)
{
	char name[80];

	(void)snprintf(name, sizeof(name), "%s-wal", path);
	(void)unlink(name);
	(void)snprintf(name, sizeof(name), "%s-shm", path);
	(void)unlink(name);
}

static void write_damaged(const uint8_t *data, size_t size)
{
	static char damaged[IMAGE_MAX];
	int fd = open(path, O_WRONLY | O_TRUNC);

	memcpy(damaged, image, image_n);
	for (; size >= 4; data += 4, size -= 4) {
		size_t at = ((size_t)data[0] << 8 | data[1]) % (image_n - 1);
		damaged[at] = (char)data[2];
		damaged[at + 1] = (char)data[3];
	}
	CHECK(fd >= 0 && write(fd, damaged, image_n) == (ssize_t)image_n);
	CHECK(close(fd) == 0);
}

static void parse_id(struct str text)
{
	char out[STORE_ID_TEXT_MAX];
	uint64_t id;

	if (store_id_parse(text, &id))
		CHECK(str_eq(store_id_text(id, out), text));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (image_n == 0)
		make_image();
	parse_id(str_span((const char *)data, size));
	forget_log();
	write_damaged(data, size);
	read_all();
	write_all();
	return 0;
}
