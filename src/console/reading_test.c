/* What is on disk, in pieces. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/test.h"
#include "console/room.h"

enum {
	RCPTS = 4000,
	ADDRESS = 250,
	PIECE_MAX = 512 * 1024, /* much less than all of them together */
};

struct rig {
	char directory[32];
	struct store *store;
	struct net_loop *loop;
	struct store_client *client;
	struct arena *arena;
};

static void rig_begin(struct rig *r)
{
	struct error e = { 0 };

	strcpy(r->directory, "/tmp/hopseal-console-XXXXXX");
	ok(mkdtemp(r->directory) != NULL, "a folder");
	struct store_options o = { .directory = r->directory, .inline_limit = 100 };
	r->store = store_open(&o, &e);
	ok(r->store != NULL, e.text);
	r->loop = net_loop_new();
	r->client = store_client_new(r->store, r->loop, &e);
	ok(r->client != NULL, e.text);
	r->arena = arena_new();
}

static void rig_end(struct rig *r)
{
	char command[64];

	store_client_free(r->client);
	store_close(r->store);
	net_loop_free(r->loop);
	arena_free(r->arena);
	(void)snprintf(command, sizeof(command), "rm -rf %s", r->directory);
	ok(system(command) == 0, "removed");
}

static void accepted(void *arg, const struct store_result *result)
{
	(void)arg;
	ok(result->fault == STORE_DONE, "accepted");
}

static struct store_rcpt *long_rcpts(struct rig *r)
{
	struct store_rcpt *v = ARENA_ARRAY(r->arena, RCPTS, struct store_rcpt);

	for (int i = 0; i < RCPTS; i++)
		v[i].address = arena_fmt(r->arena, "%0*d@example.org", ADDRESS, i);
	return v;
}

static uint64_t put_message(struct rig *r)
{
	uint64_t id = store_client_id(r->client);
	struct store_spool *s = store_spool_new(r->client, id);
	struct error e = { 0 };
	struct store_message m = { .id = id,
				   .arrived_ms = 1000,
				   .sender = STR("s@example.org"),
				   .client = STR("{\"helo\":\"x\"}"),
				   .rcpts = long_rcpts(r),
				   .n_rcpts = RCPTS };

	ok(store_spool_add(s, STR("x\r\n"), &e), e.text);
	struct store_content *c = store_spool_finish(s, &e);
	ok(c != NULL, e.text);
	store_accept(r->client, &m, c, STORE_ACCEPT_HELD, accepted, NULL);
	store_content_unref(c);
	net_loop_run(r->loop);
	return id;
}

static void check_line(struct str line, unsigned at)
{
	char want[ADDRESS + 32];

	(void)snprintf(want, sizeof(want), "{\"recipient\":\"%0*u@example.org\",", ADDRESS, at - 1);
	if (at == 0)
		ok(str_search(line, STR("\"client\":{\"helo\":\"x\"}"), &(size_t){ 0 }), "first");
	else
		ok(str_has_prefix(line, str_of(want)), "each once, in their order");
}

TEST(a_message_with_more_recipients_than_a_piece_holds)
{
	struct rig r;
	struct error e = { 0 };
	struct buf out;
	char id[STORE_ID_TEXT_MAX];
	unsigned n = 0;
	enum console_piece got = CONSOLE_MORE;

	rig_begin(&r);
	struct control_request show = { CONTROL_SHOW, CONTROL_OF_MESSAGE };
	show.message = store_id_text(put_message(&r), id);
	struct console_reading *rd = console_reading_new(&show);
	buf_init(&out, PIECE_MAX);
	while (got == CONSOLE_MORE) {
		got = console_reading_piece(rd, store_client_reader(r.client), &out, &e);
		struct str rest = buf_str(&out), line;
		while (str_cut(rest, '\n', &line, &rest))
			check_line(line, n++);
		buf_reset(&out);
	}
	ok(got == CONSOLE_DONE, e.text);
	ok(n == 1 + RCPTS, "all of them");
	console_reading_free(rd);
	buf_fini(&out);
	rig_end(&r);
}

TEST_MAIN(RUN(a_message_with_more_recipients_than_a_piece_holds))
