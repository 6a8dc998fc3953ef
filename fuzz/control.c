/* Requests to the daemon: lines are taken the same in two splits, and a request that is read comes
 * back when it is written. */

#include "fuzz.h"

#include "proto/control.h"

struct result {
	size_t n, n_requests;
	bool is_bad;
};

static void same_filter(const struct control_filter *x, const struct control_filter *y)
{
	CHECK(x->has_destination == y->has_destination && x->has_sender == y->has_sender);
	CHECK(str_eq(x->destination, y->destination) && str_eq(x->sender, y->sender));
	CHECK(str_eq(x->message, y->message) && str_eq(x->reason, y->reason));
	CHECK(x->states == y->states && x->arrived_before_ms == y->arrived_before_ms);
}

static bool there_and_back(struct str line)
{
	struct arena *a = arena_new();
	struct control_request r, again;
	struct str taken;
	struct buf b;
	size_t used;
	bool is_request = control_request_parse(a, line, &r, NULL);

	/* an escape may be shorter than what the writer makes of its octet */
	buf_init(&b, CONTROL_LINE_MAX);
	if (is_request && control_request_add(&b, &r)) {
		CHECK(control_take(buf_str(&b), &taken, &used) == CONTROL_TAKE_OK);
		CHECK(used == buf_len(&b) && control_request_parse(a, taken, &again, NULL));
		CHECK(r.kind == again.kind && r.reach == again.reach);
		CHECK(str_eq(r.destination, again.destination) && str_eq(r.message, again.message));
		CHECK(str_eq(r.recipient, again.recipient));
		same_filter(&r.filter, &again.filter);
	}
	buf_fini(&b);
	arena_free(a);
	return is_request;
}

static struct result run(struct str in, size_t step)
{
	struct result r = { 0 };
	size_t seen = 0;

	while (!r.is_bad && seen < in.n) {
		seen = seen + step < in.n ? seen + step : in.n;
		enum control_take got;
		struct str line;
		size_t used;
		while ((got = control_take(str_first(in, seen), &line, &used)) == CONTROL_TAKE_OK) {
			r.n++;
			r.n_requests += there_and_back(line);
			in = str_from(in, used);
			seen -= used;
		}
		r.is_bad = got == CONTROL_TAKE_BAD;
	}
	return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str in = str_span((const char *)data, size);
	struct result whole = run(in, size ? size : 1), sevens = run(in, 7);

	CHECK(whole.n == sevens.n && whole.n_requests == sevens.n_requests &&
	      whole.is_bad == sevens.is_bad);
	return 0;
}
