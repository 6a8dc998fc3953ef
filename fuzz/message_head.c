/* The header section of any message, in two splits at once: what comes out is the same, and with
 * nothing to take out or put in it is what went in, but for the empty line that text without one
 * gets. The first octet chooses options, the second where to cut. */

#include "fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "mail/message_head.h"

static void run(const struct message_head_options *o, struct str in, size_t at, struct buf *out)
{
	struct message_head h;

	buf_init(out, MESSAGE_HEAD_MAX(in.n));
	message_head_init(&h, o);
	message_head_feed(&h, str_first(in, at), out);
	message_head_feed(&h, str_from(in, at), out);
	message_head_end(&h, out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 2)
		return 0;
	struct message_head_options o = {
		.dropped = data[0] & 1 ? STR("bcc, return-path") : STR(""),
		.adds_missing = data[0] & 2,
		.date = STR("D"),
		.message_id = STR("I"),
		.from = STR("F"),
	};
	struct str in = str_span((const char *)data + 2, size - 2);
	struct buf whole, cut;

	run(&o, in, 0, &whole);
	run(&o, in, data[1], &cut);
	CHECK(str_eq(buf_str(&whole), buf_str(&cut)));
	if (!(data[0] & 3))
		CHECK(buf_len(&whole) == in.n || buf_len(&whole) == in.n + 2);
	buf_fini(&whole);
	buf_fini(&cut);
	return 0;
}
