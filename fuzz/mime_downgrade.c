/* The conversion to 7 bit: in two splits the same; no octet above 127 comes out; and what came out
 * needs no conversion any more. */

#include "fuzz.h"

#include <string.h>

#include "proto/content_out.h"
#include "proto/mime_downgrade.h"

static enum mime_downgrade_fault convert(struct str in, size_t step, struct buf *out)
{
	struct mime_downgrade *d = mime_downgrade_new();

	buf_init(out, MIME_DOWNGRADE_MAX(in.n));
	while (in.n > 0) {
		struct str piece = str_first(in, step);
		in = str_from(in, piece.n);
		if (mime_downgrade_feed(d, piece, out) != MIME_DOWNGRADE_FINE)
			break;
	}
	enum mime_downgrade_fault f = mime_downgrade_end(d, out);
	mime_downgrade_free(d);
	CHECK(f != MIME_DOWNGRADE_FULL);
	return f;
}

static void check_7bit(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		CHECK((unsigned char)s.p[i] <= 127);
}

/* As it goes to the wire: no CR or LF that stands alone, one end of data. */
static void check_wire(struct str s)
{
	struct content_out c;
	struct buf out;
	size_t at;

	buf_init(&out, CONTENT_OUT_MAX(s.n) + 2);
	content_out_init(&c, 998);
	CHECK(buf_add(&out, STR("\r\n")));
	CHECK(content_out_feed(&c, s, &out) && content_out_end(&c, &out));
	struct str got = buf_str(&out);
	CHECK(str_search(got, STR("\r\n.\r\n"), &at) && at + 5 == got.n);
	for (at = 0; at < got.n; at++) {
		CHECK(got.p[at] != '\n' || got.p[at - 1] == '\r');
		CHECK(got.p[at] != '\r' || got.p[at + 1] == '\n');
	}
	buf_fini(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str in = str_span((const char *)data, size);
	struct buf whole, split, again;
	enum mime_downgrade_fault f = convert(in, size ? size : 1, &whole);

	CHECK(convert(in, 3, &split) == f);
	if (f == MIME_DOWNGRADE_FINE) {
		CHECK(str_eq(buf_str(&whole), buf_str(&split)));
		check_7bit(buf_str(&whole));
		CHECK(convert(buf_str(&whole), 1000, &again) == MIME_DOWNGRADE_FINE);
		CHECK(str_eq(buf_str(&whole), buf_str(&again)));
		buf_fini(&again);
	}
	check_wire(buf_str(&whole));
	check_wire(in);
	buf_fini(&whole);
	buf_fini(&split);
	return 0;
}
