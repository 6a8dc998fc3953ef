/* The reply parser: any octets, in two splits, give the same replies and the same fault. */

#include "fuzz.h"

#include <stdlib.h>

#include "proto/smtp_reply.h"

struct result {
	size_t n_replies;
	uint64_t hash;
	enum smtp_reply_fault fault;
};

static void note(struct result *r, struct arena *a, const struct smtp_reply_reader *reader)
{
	struct smtp_reply reply = smtp_reply_make(a, reader->code, buf_str(&reader->text));
	struct str line = smtp_reply_one_line(a, reply);

	CHECK(reply.code >= 200 && reply.code <= 599);
	CHECK(line.n >= 3 && !str_contains(line, '\n') && !str_contains(line, '\0'));
	r->n_replies++;
	r->hash = r->hash * 31 + str_hash(line) + str_hash(reply.text);
}

static struct result run(struct str in, size_t step)
{
	struct result r = { 0 };
	struct smtp_reply_reader reader;
	struct arena *a = arena_new();

	smtp_reply_reader_init(&reader);
	while (in.n > 0 && r.fault == SMTP_REPLY_FINE) {
		struct str piece = str_first(in, step);
		in = str_from(in, piece.n);
		enum smtp_parse got = SMTP_PARSE_OK;
		while (piece.n > 0 && got == SMTP_PARSE_OK) {
			got = smtp_reply_read(&reader, &piece);
			if (got == SMTP_PARSE_OK)
				note(&r, a, &reader);
		}
		r.fault = reader.fault;
	}
	smtp_reply_reader_fini(&reader);
	arena_free(a);
	return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str in = str_span((const char *)data, size);
	struct result whole = run(in, size ? size : 1), octets = run(in, 1), sevens = run(in, 7);

	CHECK(whole.n_replies == octets.n_replies && whole.hash == octets.hash);
	CHECK(whole.n_replies == sevens.n_replies && whole.hash == sevens.hash);
	CHECK(whole.fault == octets.fault && whole.fault == sevens.fault);
	return 0;
}
