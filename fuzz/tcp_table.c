/* The codec of tcp tables: lines are taken the same in two splits, and what is decoded comes back
 * when it is encoded. */

#include "fuzz.h"

#include "proto/tcp_table.h"

struct result {
	size_t n;
	uint64_t hash;
	bool is_bad;
};

/* Encodes what `text` stands for, and decodes it again. */
static void there_and_back(struct str text)
{
	struct buf octets, line, again;
	struct str taken, key;
	size_t used;

	buf_init(&octets, TCP_TABLE_LINE_MAX);
	buf_init(&line, TCP_TABLE_LINE_MAX);
	buf_init(&again, TCP_TABLE_LINE_MAX);
	if (tcp_table_decode(&octets, text) && tcp_table_request_add(&line, buf_str(&octets))) {
		CHECK(tcp_table_take(buf_str(&line), &taken, &used) == TCP_TABLE_PARSE_OK);
		CHECK(used == buf_len(&line) && tcp_table_request_parse(taken, &key));
		CHECK(tcp_table_decode(&again, key));
		CHECK(str_eq(buf_str(&again), buf_str(&octets)));
	}
	buf_fini(&octets);
	buf_fini(&line);
	buf_fini(&again);
}

static void note(struct result *r, struct str line)
{
	struct tcp_table_reply reply;
	struct str key;

	CHECK(line.n < TCP_TABLE_LINE_MAX && !str_contains(line, '\n'));
	r->n++;
	r->hash = r->hash * 31 + str_hash(line);
	if (tcp_table_request_parse(line, &key))
		there_and_back(key);
	else if (tcp_table_reply_parse(line, &reply))
		there_and_back(reply.text);
}

static struct result run(struct str in, size_t step)
{
	struct result r = { 0 };
	size_t seen = 0;

	while (!r.is_bad && seen < in.n) {
		seen = seen + step < in.n ? seen + step : in.n;
		enum tcp_table_parse got;
		struct str line;
		size_t used;
		while ((got = tcp_table_take(str_first(in, seen), &line, &used)) ==
		       TCP_TABLE_PARSE_OK) {
			note(&r, line);
			in = str_from(in, used);
			seen -= used;
		}
		r.is_bad = got == TCP_TABLE_PARSE_BAD;
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
