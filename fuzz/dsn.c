/* What peers and senders put into a notification: no line of it is theirs. The input's lines, split
 * at NUL, are the texts. */

#include "fuzz.h"

#include "report/dsn.h"

static struct str next_text(struct str *rest)
{
	struct str text = *rest, after = STR("");

	if (str_cut(*rest, '\0', &text, &after))
		*rest = after;
	else
		*rest = STR("");
	return text;
}

static void check_lines(struct str text)
{
	struct str line;

	while (text.n > 0) {
		CHECK(str_cut(text, '\n', &line, &text));
		CHECK(line.n > 0 && line.p[line.n - 1] == '\r');
		CHECK(line.n <= 998);
		line.n--;
		CHECK(!str_contains(line, '\r'));
		CHECK(!str_ihas_prefix_ascii(line, STR("bcc:")));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str rest = str_from(str_span((const char *)data, size), 1);
	uint8_t flags = size > 0 ? data[0] : 0;
	struct dsn_rcpt r = {
		.address = STR("user@example.com"),
		.outcome = { .status = STATUS(5, 0, 0) },
	};
	struct dsn d = {
		.kind = (enum dsn_kind)(flags % 3),
		.reporting_mta = STR("relay.example.net"),
		.from = STR("MAILER-DAEMON@relay.example.net"),
		.to = STR("sender@example.net"),
		.queue_id = STR("4XyZ"),
		.message_id = STR("<4XyZ@relay.example.net>"),
		.boundary = STR("boundary"),
		.is_smtputf8 = flags & 4,
		.is_header_only = flags & 8,
		.rcpts = &r,
		.n_rcpts = 1,
	};
	struct buf b;

	r.outcome.reason = next_text(&rest);
	r.outcome.reply.text = next_text(&rest);
	r.outcome.reply.code = flags & 16 ? 550 : 0;
	r.outcome.remote_host = next_text(&rest);
	r.advice = next_text(&rest);
	buf_init(&b, 1 << 24);
	if (dsn_write_front(&b, &d) && dsn_write_end(&b, &d))
		check_lines(buf_str(&b));
	buf_fini(&b);
	return 0;
}
