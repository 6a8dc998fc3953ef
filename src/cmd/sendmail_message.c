/* The message of hopseal sendmail, from standard input to a file: line ends, the end, and the
 * header section as a message should have it. */

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "cmd/sendmail.h"
#include "mail/message_head.h"
#include "mail/message_received.h"

enum { SHORT_LINE = 8 }; /* a line's beginning that tells what it is */

struct reader {
	const struct sendmail_reading *what;
	struct message_head_options head_options;
	struct message_head head;
	struct message_scan *scan;
	struct buf *section; /* the header section as it came */
	struct buf out;      /* waits to be written */
	int to;
	bool is_within;   /* a line */
	bool is_begun;    /* there was a line */
	bool is_skipping; /* this one */
	bool is_at_end;
};

static bool flush(struct reader *r, struct error *e)
{
	uint64_t limit = r->what->limit_octets;
	struct str out = buf_str(&r->out);

	message_scan_feed(r->scan, out);
	if (limit > 0 && r->scan->size_octets > limit)
		return error_set(e, ERROR_DATA,
				 "the message is larger than message_size_limit (%llu octets)",
				 (unsigned long long)limit);
	if (!cmd_spool_write(r->to, out, e))
		return false;
	buf_reset(&r->out);
	return true;
}

static bool put(struct reader *r, struct str octets, struct error *e)
{
	if (!r->head.is_in_body && !buf_add(r->section, octets))
		return error_set(e, ERROR_DATA, "the header section is larger than %zu octets",
				 r->section->limit);
	message_head_feed(&r->head, octets, &r->out);
	return buf_len(&r->out) < CONTENT_PIECE || flush(r, e);
}

/* What a mailbox file has before each message is not of the message. */
static bool is_separator(const struct reader *r, struct str line)
{
	return !r->is_begun && str_has_prefix(line, STR("From "));
}

/* A line, or a piece of one that is longer than what can be read at once. */
static bool take(struct reader *r, struct str text, bool is_whole, struct error *e)
{
	if (!r->is_within) {
		if (is_whole && !r->what->ignores_dots && str_eq(text, STR("."))) {
			r->is_at_end = true;
			return true;
		}
		r->is_skipping = is_separator(r, text);
		r->is_begun = true;
	}
	r->is_within = !is_whole;
	if (r->is_skipping)
		return true;
	return put(r, text, e) && (!is_whole || put(r, STR("\r\n"), e));
}

/* How much at the front can be told to be a line or a piece of one; 0: it takes more octets. */
static size_t line_len(const struct reader *r, struct str in, bool is_last)
{
	size_t at;

	if (str_find(in, '\n', &at))
		return at + 1;
	if (is_last)
		return in.n;
	if (!r->is_within && in.n < SHORT_LINE)
		return 0;
	return in.p[in.n - 1] == '\r' ? in.n - 1 : in.n;
}

static bool take_all(struct reader *r, struct str *in, bool is_last, struct error *e)
{
	size_t n;

	while (in->n > 0 && !r->is_at_end && (n = line_len(r, *in, is_last)) > 0) {
		struct str line = str_first(*in, n);
		bool has_end = line.p[n - 1] == '\n';

		if (has_end)
			line.n--;
		if (has_end && line.n > 0 && line.p[line.n - 1] == '\r')
			line.n--;
		if (!take(r, line, has_end || is_last, e))
			return false;
		*in = str_from(*in, n);
	}
	return true;
}

static bool read_all(struct reader *r, struct error *e)
{
	static char piece[CONTENT_PIECE];
	size_t held = 0;

	while (!r->is_at_end) {
		ssize_t n = read(r->what->fd, piece + held, sizeof(piece) - held);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_set(e, ERROR_IO, "reading the message: %s", strerror(errno));
		struct str in = str_span(piece, held + (size_t)n);
		if (!take_all(r, &in, n == 0, e))
			return false;
		if (n == 0)
			break;
		memmove(piece, in.p, in.n);
		held = in.n;
	}
	message_head_end(&r->head, &r->out);
	return flush(r, e);
}

bool sendmail_read(const struct sendmail_reading *what, struct buf *section,
		   struct cmd_message *out, struct error *e)
{
	struct reader r = {
		.what = what,
		.section = section,
		.scan = &out->scan,
		.to = cmd_spool_open(e),
		.head_options = {
			.dropped = what->head.dropped,
			.adds_missing = true,
			.date = what->head.date,
			.message_id = what->head.message_id,
			.from = what->head.from,
		},
	};

	if (r.to < 0)
		return false;
	buf_init(&r.out, 2 * CONTENT_PIECE + MESSAGE_HEAD_MAX(0) + MESSAGE_RECEIVED_MAX);
	message_scan_init(r.scan);
	message_head_init(&r.head, &r.head_options);
	CHECK(buf_add(&r.out, what->head.trace));
	bool is_good = read_all(&r, e);
	buf_fini(&r.out);
	if (is_good) {
		message_scan_end(r.scan);
		out->content = content_of_fd(r.to);
	} else {
		(void)close(r.to);
	}
	return is_good;
}
