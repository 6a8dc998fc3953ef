/* The trace field, whatever the client said of itself: one field, of lines that are short enough.
 * The first octet is the protocol; the texts are split at NUL. The recipient is a mailbox, which is
 * what a RCPT command can name. */

#include "fuzz.h"

#include "mail/mailbox.h"
#include "mail/message_received.h"

static struct str next_text(struct str *rest)
{
	struct str text = *rest, after = STR("");

	if (str_cut(*rest, '\0', &text, &after))
		*rest = after;
	else
		*rest = STR("");
	return text;
}

static void check_field(struct str text)
{
	bool is_first = true;
	struct str line;

	CHECK(text.n <= MESSAGE_RECEIVED_MAX && str_has_prefix(text, STR("Received: ")));
	while (text.n > 0) {
		CHECK(str_cut(text, '\n', &line, &text));
		CHECK(line.n > 1 && line.p[line.n - 1] == '\r' && line.n < 998);
		CHECK(is_first || line.p[0] == '\t' || line.p[0] == ' ');
		for (size_t i = 0; i + 1 < line.n; i++)
			CHECK((unsigned char)line.p[i] >= ' ' || line.p[i] == '\t');
		is_first = false;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct address v6 = { .family = ADDRESS_V6, .octets = { 0x20, 1, [15] = 1 } };
	struct str rest = str_from(str_span((const char *)data, size), 1);
	uint8_t bits = size > 0 ? data[0] : 0;
	struct message_received r = {
		.helo = next_text(&rest),
		.user = next_text(&rest),
		.tls_protocol = bits & 64 ? STR("TLSv1.3") : STR(""),
		.tls_cipher = STR("TLS_AES_256_GCM_SHA384"),
		.hostname = STR("mx.example"),
		.product = STR("Hopseal"),
		.id = STR("3zY0"),
		.client = bits & 1 ? &v6 : NULL,
		.protocol = { bits & 2, bits & 4, bits & 8, bits & 16, bits & 32 },
		.tls_bits = bits,
		.at_utc_s = 1780000000,
	};
	struct mailbox m;
	struct buf out;

	if (mailbox_parse(rest, &m))
		r.rcpt = rest;
	buf_init(&out, MESSAGE_RECEIVED_MAX);
	message_received_text(&out, &r);
	check_field(buf_str(&out));
	buf_reset(&out);
	message_received_local_text(&out, &r, 1000);
	check_field(buf_str(&out));
	buf_fini(&out);
	return 0;
}
