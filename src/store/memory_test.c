#include "store/store_test.h"

#include <stdlib.h>

static struct rig *rig_with(size_t inline_limit, uint64_t memory_limit)
{
	struct rig *r = rig_new(inline_limit);

	r->options.content_memory_limit = memory_limit;
	rig_reopen(r);
	return r;
}

static uint64_t used(struct rig *r)
{
	struct store_space s;
	struct error e = { 0 };

	ok(store_space(r->store, &s, &e), e.text);
	return s.content_memory_octets;
}

static void add(struct store_spool *s, size_t n)
{
	struct error e = { 0 };
	char *mem = base_alloc(n);

	memset(mem, 'x', n);
	ok(store_spool_add(s, str_span(mem, n), &e), e.text);
	free(mem);
}

TEST(what_is_taken_is_given_back)
{
	struct store_memory *m = store_memory_new(100);

	ok(store_memory_take(m, 60) && store_memory_is_half_full(m), "more than half");
	ok(!store_memory_take(m, 41) && store_memory_used(m) == 60, "nothing is taken then");
	ok(store_memory_has_room(m, 40) && !store_memory_has_room(m, 41), "for so many");
	ok(store_memory_take(m, 40) && !store_memory_has_room(m, 0), "all of it");
	store_memory_give(m, 60);
	ok(store_memory_used(m) == 40 && !store_memory_is_half_full(m), "less than half");
	store_memory_give(m, 40);
	store_memory_unref(m);
	m = store_memory_new(0);
	ok(store_memory_take(m, (uint64_t)1 << 60) && store_memory_has_room(m, 1), "no limit");
	store_memory_unref(m);
}

TEST(a_spool_is_counted_once)
{
	struct rig *r = rig_with(65536, 1 << 20);
	uint64_t id = store_client_id(r->client);
	struct store_spool *s = store_spool_new(r->client, id);
	struct store_content *c, *again;
	struct error e = { 0 };

	add(s, 700);
	add(s, 5);
	ok(used(r) >= 705 && used(r) <= 1024, "what it takes");
	c = store_spool_finish(s, &e);
	again = store_content_ref(c);
	ok(used(r) >= 705 && used(r) <= 1024, "it moved with the content");
	store_content_unref(c);
	ok(used(r) >= 705, "somebody has it");
	store_content_unref(again);
	ok(used(r) == 0, "nobody has");

	s = store_spool_new(r->client, id);
	add(s, 300000);
	ok(used(r) <= 65536, "a file's");
	store_spool_free(s);
	ok(used(r) == 0, "dropped");
	s = store_spool_new(r->client, id);
	add(s, 300000);
	c = store_spool_finish(s, &e);
	ok(store_content_is_file(c) && used(r) == 0, "a file takes nothing");
	store_content_unref(c);
	rig_free(r);
}

TEST(many_spools_stay_within_it)
{
	enum { MANY = 40, LIMIT = 20000 };
	struct rig *r = rig_with(65536, LIMIT);
	struct store_spool *s[MANY];
	uint64_t ids[MANY];
	size_t n_files = 0;
	struct error e = { 0 };

	for (size_t i = 0; i < MANY; i++) {
		ids[i] = store_client_id(r->client);
		s[i] = store_spool_new(r->client, ids[i]);
	}
	for (size_t i = 0; i < 3; i++)
		add(s[i], 3000);
	for (size_t turn = 0; turn < 10; turn++)
		for (size_t i = 3; i < MANY; i++) {
			add(s[i], 300);
			ok(used(r) <= LIMIT, "never more");
		}
	for (size_t i = 0; i < MANY; i++) {
		struct str to = STR("smtp:x");
		struct store_message m = rig_message(r, ids[i], 1000, &to, 1);
		struct store_content *c = store_spool_finish(s[i], &e);
		ok(c != NULL, e.text);
		n_files += store_content_is_file(c);
		store_accept(r->client, &m, c, STORE_ACCEPT_QUEUED, rig_done, r);
		store_content_unref(c);
	}
	ok(n_files > 0 && n_files <= MANY - 3, "some went into files early");
	ok(rig_wait(r) == STORE_DONE, r->text);
	ok(used(r) == 0, "all is given back");
	for (size_t i = 0; i < MANY; i++)
		ok(rig_text(r, ids[i]).n == 3000, "nothing is lost");
	ok(used(r) == 0, "what is read is not counted");
	rig_free(r);
}

TEST(short_before_it_is_late)
{
	struct rig *r = rig_with(1000, 4096);
	uint64_t id = store_client_id(r->client);
	struct store_spool *s = store_spool_new(r->client, id);
	struct store_content *c;
	struct error e = { 0 };

	ok(!store_memory_is_short(r->store, UINT64_MAX), "of a file little is in memory");
	add(s, 900);
	c = store_spool_finish(s, &e);
	ok(!store_content_is_crowding(c), "a quarter");
	s = store_spool_new(r->client, store_client_id(r->client));
	add(s, 2000);
	ok(used(r) == 3072 && store_content_is_crowding(c), "three quarters");
	ok(!store_memory_is_short(r->store, 1000) && !store_memory_is_short(r->store, 0), "room");
	store_spool_free(s);
	s = store_spool_new(r->client, store_client_id(r->client));
	add(s, 500);
	add(s, 1100);
	add(s, 300);
	struct store_spool *last = store_spool_new(r->client, store_client_id(r->client));
	add(last, 400);
	ok(store_memory_is_short(r->store, 1000) && !store_memory_is_short(r->store, 100), "SIZE=");
	add(last, 400);
	ok(used(r) == 4096 && store_memory_is_short(r->store, 0), "no more");
	store_spool_free(last);
	store_spool_free(s);
	store_content_unref(c);
	rig_free(r);
}

TEST(a_budget_that_is_smaller_than_a_message)
{
	struct rig *r = rig_with(65536, 100);
	uint64_t id = store_client_id(r->client);

	ok(!store_memory_is_short(r->store, 65536), "it goes into a file");
	struct store_content *c = rig_content(r, id, STR("more than nothing"));
	ok(store_content_is_file(c) && used(r) == 0, "at once");
	store_content_unref(c);
	rig_free(r);
}

TEST(content_outlives_its_store)
{
	struct rig *r = rig_with(65536, 1 << 20);
	struct store_content *c = rig_content(r, store_client_id(r->client), STR("late"));

	rig_close_store(r);
	ok(str_eq(store_content_memory(c), STR("late")), "still there");
	store_content_unref(c);
	rig_free(r);
}

TEST_MAIN(RUN(what_is_taken_is_given_back), RUN(a_spool_is_counted_once),
	  RUN(many_spools_stay_within_it), RUN(short_before_it_is_late),
	  RUN(a_budget_that_is_smaller_than_a_message), RUN(content_outlives_its_store))
