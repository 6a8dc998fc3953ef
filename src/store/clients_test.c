/* Several loops, each with its client, at one store. */

#include "store/store_test.h"

#include <pthread.h>

enum { THREADS = 3, MESSAGES = 300 };

static const struct str one = STR_INIT("smtp:one.example");

struct worker {
	struct rig rig; /* with a loop and a client of its own; the store is shared */
	struct store_ground *ground;
	pthread_t thread, seen;
	uint64_t ids[MESSAGES];
	size_t n_accepted, n_recorded;
	bool is_on_its_thread;
};

struct step {
	struct worker *w;
	size_t i;
};

static void recorded(void *arg, const struct store_result *result)
{
	struct step *s = arg;

	s->w->n_recorded += result->fault == STORE_DONE;
	s->w->is_on_its_thread &= pthread_equal(s->w->seen, pthread_self()) != 0;
}

/* Every third message stays. */
static void accepted(void *arg, const struct store_result *result)
{
	struct step *s = arg;
	const struct store_rcpt_record rcpt = { .verdict = STORE_GONE };

	s->w->n_accepted += result->fault == STORE_DONE;
	if (s->i % 3 == 0)
		return;
	store_record(s->w->rig.client,
		     &(struct store_record){ .message = s->w->ids[s->i],
					     .at_ms = 1000,
					     .rcpts = &rcpt,
					     .n_rcpts = 1,
					     .ground = s->w->ground },
		     recorded, s);
}

static void *work(void *arg)
{
	struct worker *w = arg;
	struct rig *r = &w->rig;
	struct step steps[MESSAGES];

	w->seen = pthread_self();
	for (size_t i = 0; i < MESSAGES; i++) {
		steps[i] = (struct step){ w, i };
		w->ids[i] = store_client_id(r->client);
		struct store_message m = rig_message(r, w->ids[i], 1000, &one, 1);
		/* some of them larger than what is kept inline */
		struct store_content *c =
			rig_content(r, w->ids[i], str_first(STR("0123456789"), i % 11));
		store_accept(r->client, &m, c, STORE_ACCEPT_QUEUED, accepted, &steps[i]);
		store_content_unref(c);
	}
	net_loop_run(r->loop);
	return NULL;
}

static void worker_start(struct worker *w, const struct rig *shared, struct store_ground *g)
{
	struct error e = { 0 };

	w->rig = *shared;
	w->rig.loop = net_loop_new();
	w->rig.arena = arena_new();
	w->rig.client = store_client_new(shared->store, w->rig.loop, &e);
	ok(w->rig.client != NULL, e.text);
	w->ground = g;
	w->is_on_its_thread = true;
	ok(pthread_create(&w->thread, NULL, work, w) == 0, "thread");
}

static void worker_finish(struct worker *w)
{
	ok(pthread_join(w->thread, NULL) == 0, "join");
	ok(w->n_accepted == MESSAGES && w->n_recorded == MESSAGES / 3 * 2, "all were answered");
	ok(w->is_on_its_thread, "each on the thread that asked");
	store_client_free(w->rig.client);
	net_loop_free(w->rig.loop);
	arena_free(w->rig.arena);
}

static void answered(void *arg, const struct store_result *result)
{
	*(bool *)arg = result->fault == STORE_DONE;
}

/* Files go after their notes were answered: when the next note is, they are gone. */
static void wait_for_files(struct rig *r)
{
	bool is_done = false;

	store_expire(r->client, 0, answered, &is_done);
	net_loop_run(r->loop);
	ok(is_done, "one more note");
}

TEST(clients_of_several_threads)
{
	struct rig *r = rig_new(6);
	struct worker *v = base_alloc(THREADS * sizeof(*v));
	struct store_ground *g = store_ground_new(STR("shared by all of them"));
	struct store_space s;
	struct error e = { 0 };

	for (size_t i = 0; i < THREADS; i++)
		worker_start(&v[i], r, g);
	for (size_t i = 0; i < THREADS; i++)
		worker_finish(&v[i]);
	wait_for_files(r);
	for (size_t i = 0; i < THREADS; i++)
		for (size_t k = 0; k < MESSAGES; k++) {
			ok((rig_read(r, v[i].ids[k]) != NULL) == (k % 3 == 0), "what stays");
			ok(rig_has_file(r, v[i].ids[k]) == (k % 3 == 0 && k % 11 > 6), "files");
		}
	ok(store_space(r->store, &s, &e), e.text);
	ok(s.messages == THREADS * MESSAGES / 3 && s.notes == 0, "and no id was made twice");
	ok(s.content_memory_octets == 0, "all memory of content was given back");
	store_ground_unref(g);
	free(v);
	rig_free(r);
}

TEST_MAIN(RUN(clients_of_several_threads))
