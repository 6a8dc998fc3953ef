#include "mail/message_head.h"

#include <string.h>

#include "mail/message_scan.h"

enum {
	SEEN_DATE = 1,
	SEEN_MESSAGE_ID = 2,
	SEEN_FROM = 4,
	SEEN_ANY_RESENT = 8,
	RESENT_SHIFT = 4, /* the first three again, of the Resent- fields */
};

static const struct {
	struct str name;
	unsigned bit;
} fields[] = {
	{ STR_INIT("Date"), SEEN_DATE },
	{ STR_INIT("Message-ID"), SEEN_MESSAGE_ID },
	{ STR_INIT("From"), SEEN_FROM },
	{ STR_INIT("Resent-Date"), SEEN_DATE << RESENT_SHIFT },
	{ STR_INIT("Resent-Message-ID"), SEEN_MESSAGE_ID << RESENT_SHIFT },
	{ STR_INIT("Resent-From"), SEEN_FROM << RESENT_SHIFT },
};

void message_head_init(struct message_head *h, const struct message_head_options *o)
{
	*h = (struct message_head){ .o = o, .is_first = true };
}

static void put(struct buf *out, struct str s)
{
	CHECK(buf_add(out, s));
}

static void put_held(struct message_head *h, struct buf *out)
{
	put(out, str_span(h->hold, h->hold_n));
	h->hold_n = 0;
}

/* The value of Message-ID, for the log: without line ends and blanks at its ends. */
static void note_id(struct message_head *h, struct str part)
{
	for (size_t i = 0; i < part.n && h->id_n < MESSAGE_HEAD_ID_MAX; i++) {
		bool is_blank = part.p[i] == ' ' || part.p[i] == '\t';
		if (part.p[i] != '\r' && part.p[i] != '\n' && (!is_blank || h->id_n > 0))
			h->id[h->id_n++] = part.p[i];
	}
}

static void put_missing(const struct message_head *h, unsigned bit, const char *name,
			struct str value, struct buf *out)
{
	bool is_resent = h->seen & SEEN_ANY_RESENT;
	unsigned wanted = is_resent ? bit << RESENT_SHIFT : bit;

	if (!(h->seen & wanted))
		CHECK(buf_fmt(out, "%s%s: " STR_FMT "\r\n", is_resent ? "Resent-" : "", name,
			      STR_ARG(str_first(value, 1024))));
}

static void end_section(struct message_head *h, struct buf *out)
{
	h->is_in_body = true;
	while (h->id_n > 0 && (h->id[h->id_n - 1] == ' ' || h->id[h->id_n - 1] == '\t'))
		h->id_n--;
	if (!h->o->adds_missing)
		return;
	if (!(h->seen & (SEEN_MESSAGE_ID | SEEN_ANY_RESENT)))
		note_id(h, h->o->message_id);
	put_missing(h, SEEN_MESSAGE_ID, "Message-ID", h->o->message_id, out);
	put_missing(h, SEEN_DATE, "Date", h->o->date, out);
	put_missing(h, SEEN_FROM, "From", h->o->from, out);
}

/* A line that is no field: the section ends before it, as if there were an empty one. */
static void end_section_by_text(struct message_head *h, struct buf *out)
{
	end_section(h, out);
	put(out, STR("\r\n"));
	put_held(h, out);
}

static bool is_dropped(const struct message_head *h, struct str name)
{
	struct str rest = h->o->dropped, word;

	while (str_token(&rest, STR(", \t\r\n"), &word))
		if (str_ieq_ascii(word, name))
			return true;
	return false;
}

static void begin_field(struct message_head *h, struct str name)
{
	h->is_in_line = true;
	h->is_dropping = is_dropped(h, name);
	h->is_in_id = !h->is_dropping && h->id_n == 0 && str_ieq_ascii(name, STR("Message-ID"));
	if (h->is_dropping)
		return;
	if (str_ieq_ascii(name, STR("Received")))
		h->n_received++;
	if (str_ihas_prefix_ascii(name, STR("Resent-")))
		h->seen |= SEEN_ANY_RESENT;
	for (size_t i = 0; i < ARRAY_LEN(fields); i++)
		if (str_ieq_ascii(name, fields[i].name))
			h->seen |= fields[i].bit;
}

/* The held octets are a line's beginning: is it decided what that line is? */
static void look_at_held(struct message_head *h, struct buf *out)
{
	struct str held = str_span(h->hold, h->hold_n), name, value;
	char last = h->hold[h->hold_n - 1], first = h->hold[0];

	if (h->hold_n == 1 && (first == ' ' || first == '\t') && !h->is_first) {
		h->is_in_line = true; /* goes on with the field before */
	} else if (last == ':' && message_field_cut(held, &name, &value)) {
		begin_field(h, name);
	} else if (str_eq(held, STR("\r\n"))) {
		end_section(h, out);
	} else if (last == '\n' || last == ':' || h->hold_n == MESSAGE_HEAD_NAME_MAX) {
		end_section_by_text(h, out);
	} else {
		return;
	}
	h->is_first = false;
	if (!h->is_dropping || h->is_in_body)
		put_held(h, out);
	h->hold_n = 0;
}

/* Within a field: up to the end of the line. */
static struct str take_line(struct message_head *h, struct str in, struct buf *out)
{
	size_t n = in.n, at;

	if (str_find(in, '\n', &at)) {
		n = at + 1;
		h->is_in_line = false;
	}
	if (!h->is_dropping)
		put(out, str_first(in, n));
	if (h->is_in_id)
		note_id(h, str_first(in, n));
	return str_from(in, n);
}

void message_head_feed(struct message_head *h, struct str in, struct buf *out)
{
	while (in.n > 0 && !h->is_in_body) {
		if (h->is_in_line) {
			in = take_line(h, in, out);
			continue;
		}
		h->hold[h->hold_n++] = in.p[0];
		in = str_from(in, 1);
		look_at_held(h, out);
	}
	put(out, in);
}

void message_head_end(struct message_head *h, struct buf *out)
{
	if (h->is_in_body)
		return;
	if (h->hold_n > 0)
		end_section_by_text(h, out);
	else
		end_section(h, out);
}
