/* A store in a directory of its own, with one client, for the tests of this room. */

#ifndef HOPSEAL_STORE_STORE_TEST_H
#define HOPSEAL_STORE_STORE_TEST_H

#define _GNU_SOURCE /* nftw */
#include <ftw.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/test.h"
#include "store/room.h"

#define RIG_DIRECTORY "/tmp/hopseal-store-test-XXXXXX"

struct rig {
	char directory[sizeof(RIG_DIRECTORY)];
	struct store_options options;
	struct store *store;
	struct net_loop *loop;
	struct store_client *client;
	struct arena *arena;
	/* what came back last */
	size_t n_done;
	enum store_fault fault;
	uint64_t changed;
	char text[1024];
};

static inline int rig_remove_one(const char *path, const struct stat *st, int flag, struct FTW *f)
{
	(void)st, (void)flag, (void)f;
	return remove(path);
}

static inline void rig_remove(struct rig *r)
{
	(void)nftw(r->directory, rig_remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static inline void rig_open_store(struct rig *r)
{
	struct error e = { 0 };

	r->store = store_open(&r->options, &e);
	ok(r->store != NULL, e.text);
	r->client = store_client_new(r->store, r->loop, &e);
	ok(r->client != NULL, e.text);
}

static inline void rig_close_store(struct rig *r)
{
	store_client_free(r->client);
	store_close(r->store);
	r->client = NULL;
	r->store = NULL;
}

static inline void rig_reopen(struct rig *r)
{
	rig_close_store(r);
	rig_open_store(r);
}

static inline struct rig *rig_new(size_t inline_limit)
{
	struct rig *r = base_alloc(sizeof(*r));

	memcpy(r->directory, RIG_DIRECTORY, sizeof(r->directory));
	ok(mkdtemp(r->directory) != NULL, "a directory");
	r->options = (struct store_options){ .directory = r->directory,
					     .inline_limit = inline_limit,
					     .is_checked = true };
	r->loop = net_loop_new();
	r->arena = arena_new();
	rig_open_store(r);
	return r;
}

static inline void rig_free(struct rig *r)
{
	if (r->store)
		rig_close_store(r);
	net_loop_free(r->loop);
	arena_free(r->arena);
	rig_remove(r);
	free(r);
}

static inline void rig_done(void *arg, const struct store_result *result)
{
	struct rig *r = arg;

	r->n_done++;
	r->fault = result->fault;
	r->changed = result->changed;
	(void)snprintf(r->text, sizeof(r->text), STR_FMT, STR_ARG(result->text));
}

/* Until all that was asked for is answered. */
static inline enum store_fault rig_wait(struct rig *r)
{
	net_loop_run(r->loop);
	ok(store_client_waiting(r->client) == 0, "all notes came back");
	return r->fault;
}

static inline struct store_reader *rig_reader(struct rig *r)
{
	return store_client_reader(r->client);
}

static inline struct store_content *rig_content(struct rig *r, uint64_t id, struct str text)
{
	struct store_spool *s = store_spool_new(r->client, id);
	struct store_content *c;
	struct error e = { 0 };

	ok(store_spool_add(s, text, &e), e.text);
	ok(store_spool_size(s) == text.n, "the spool counts");
	c = store_spool_finish(s, &e);
	ok(c != NULL, e.text);
	return c;
}

/* Recipients "r0@example", "r1@example" ... , one for each destination. */
static inline struct store_message rig_message(struct rig *r, uint64_t id, int64_t arrived_ms,
					       const struct str *destinations, size_t n)
{
	struct store_rcpt *v = ARENA_ARRAY(r->arena, n, struct store_rcpt);

	for (size_t i = 0; i < n; i++) {
		v[i].destination = destinations[i];
		v[i].address = arena_fmt(r->arena, "r%zu@example", i);
	}
	return (struct store_message){ .id = id,
				       .arrived_ms = arrived_ms,
				       .sender = STR("s@example"),
				       .client = STR("{}"),
				       .rcpts = v,
				       .n_rcpts = n };
}

static inline uint64_t rig_accept_at(struct rig *r, int64_t arrived_ms, const struct str *to,
				     size_t n, struct str text, enum store_accept_how how)
{
	uint64_t id = store_client_id(r->client);
	struct store_message m = rig_message(r, id, arrived_ms, to, n);
	struct store_content *c = rig_content(r, id, text);

	store_accept(r->client, &m, c, how, rig_done, r);
	store_content_unref(c);
	return id;
}

/* One recipient, accepted. */
static inline uint64_t rig_accept(struct rig *r, struct str to, struct str text)
{
	uint64_t id = rig_accept_at(r, 1000, &to, 1, text, STORE_ACCEPT_QUEUED);

	ok(rig_wait(r) == STORE_DONE, r->text);
	return id;
}

static inline struct store_message *rig_read(struct rig *r, uint64_t id)
{
	struct store_message *m;
	struct error e = { 0 };

	ok(store_message(rig_reader(r), r->arena, id, &m, &e), e.text);
	return m;
}

/* The content as the store has it, in the arena; STR_NONE: there is none. */
static inline struct str rig_text(struct rig *r, uint64_t id)
{
	struct store_content *c;
	struct error e = { 0 };
	struct str text;

	ok(store_content_open(rig_reader(r), id, &c, &e), e.text);
	if (!c)
		return STR_NONE;
	if (store_content_is_file(c)) {
		char *mem = arena_alloc(r->arena, store_content_size(c) + 1);
		int fd = store_content_descriptor(c, &e);
		ok(fd >= 0, e.text);
		ssize_t n = read(fd, mem, store_content_size(c) + 1);
		ok(n >= 0 && (uint64_t)n == store_content_size(c), "the file has its size");
		(void)close(fd);
		text = str_span(mem, (size_t)n);
	} else {
		text = arena_str(r->arena, store_content_memory(c));
	}
	store_content_unref(c);
	return text;
}

static inline void rig_path(struct rig *r, uint64_t id, char out[STORE_PATH_MAX])
{
	store_content_path(r->directory, id, out);
}

static inline bool rig_has_file(struct rig *r, uint64_t id)
{
	char path[STORE_PATH_MAX];

	rig_path(r, id, path);
	return access(path, F_OK) == 0;
}

#endif
