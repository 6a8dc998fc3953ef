/* The socketmap codec: any octets, in two splits, give the same messages, and what can be read as a
 * request or reply is written as the same. */

#include "fuzz.h"

#include "proto/socketmap.h"

enum { PAYLOAD_MAX = 200 };

struct result {
	size_t n;
	uint64_t hash;
	bool is_bad;
};

static void note(struct result *r, struct str payload)
{
	struct socketmap_request request, asked;
	struct socketmap_reply reply, told;
	struct str again;
	struct buf b;
	size_t used;

	CHECK(payload.n <= PAYLOAD_MAX);
	r->n++;
	r->hash = r->hash * 31 + str_hash(payload);
	buf_init(&b, PAYLOAD_MAX + 16);
	if (socketmap_request_parse(payload, &request)) {
		CHECK(socketmap_request_add(&b, &request));
		CHECK(socketmap_take(buf_str(&b), PAYLOAD_MAX, &again, &used) ==
		      SOCKETMAP_PARSE_OK);
		CHECK(used == buf_len(&b) && str_eq(again, payload));
		CHECK(socketmap_request_parse(again, &asked) && str_eq(asked.key, request.key));
	}
	buf_reset(&b);
	if (socketmap_reply_parse(payload, &reply)) {
		CHECK(socketmap_reply_add(&b, &reply));
		CHECK(socketmap_take(buf_str(&b), PAYLOAD_MAX, &again, &used) ==
		      SOCKETMAP_PARSE_OK);
		CHECK(socketmap_reply_parse(again, &told) && told.status == reply.status);
		CHECK(str_eq(told.text, reply.text));
	}
	buf_fini(&b);
}

static struct result run(struct str in, size_t step)
{
	struct result r = { 0 };
	size_t seen = 0;

	while (!r.is_bad && seen < in.n) {
		seen = seen + step < in.n ? seen + step : in.n;
		enum socketmap_parse got = SOCKETMAP_PARSE_OK;
		while (got == SOCKETMAP_PARSE_OK) {
			struct str payload;
			size_t used;
			got = socketmap_take(str_first(in, seen), PAYLOAD_MAX, &payload, &used);
			if (got != SOCKETMAP_PARSE_OK)
				break;
			note(&r, payload);
			in = str_from(in, used);
			seen -= used;
		}
		r.is_bad = got == SOCKETMAP_PARSE_BAD;
	}
	return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str in = str_span((const char *)data, size);
	struct result whole = run(in, size ? size : 1), octets = run(in, 1), sevens = run(in, 7);

	CHECK(whole.n == octets.n && whole.hash == octets.hash && whole.is_bad == octets.is_bad);
	CHECK(whole.n == sevens.n && whole.hash == sevens.hash && whole.is_bad == sevens.is_bad);
	return 0;
}
