/* What is found out of a message: in two splits the same, and its size is that of its lines with
 * CRLF. The first octet says where to cut. */

#include "fuzz.h"

#include <string.h>

#include "mail/message_scan.h"

static struct message_scan scan(struct str in, size_t at)
{
	struct message_scan m;

	message_scan_init(&m);
	message_scan_feed(&m, str_first(in, at));
	message_scan_feed(&m, str_from(in, at));
	message_scan_end(&m);
	return m;
}

static uint64_t size_of(struct str in)
{
	uint64_t n = in.n;

	for (size_t i = 0; i < in.n; i++)
		n += in.p[i] == '\n' && (i == 0 || in.p[i - 1] != '\r');
	return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 1)
		return 0;
	struct str in = str_span((const char *)data + 1, size - 1), name, value;
	struct message_scan whole = scan(in, 0), cut = scan(in, data[0]);

	CHECK(whole.size_octets == cut.size_octets && whole.is_8bit == cut.is_8bit);
	CHECK(whole.has_8bit_header == cut.has_8bit_header && whole.has_nul == cut.has_nul);
	CHECK(whole.is_header_utf8 == cut.is_header_utf8);
	CHECK(whole.has_tls_required_no == cut.has_tls_required_no);
	CHECK(whole.size_octets >= size_of(in) && whole.size_octets <= size_of(in) + 2);
	CHECK(whole.has_nul == (in.n > 0 && memchr(in.p, '\0', in.n) != NULL));
	CHECK(!whole.has_8bit_header || whole.is_8bit);
	if (message_field_cut(in, &name, &value))
		CHECK(name.n > 0 && name.n + value.n < in.n && !str_contains(name, ':'));
	return 0;
}
