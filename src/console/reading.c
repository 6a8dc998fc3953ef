/* What is on disk, as lines of JSON: made in pieces, so that neither a long queue nor a slow client
 * costs memory, and no piece keeps the database's log for long. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/base64.h"
#include "console/room.h"
#include "log/log.h"

enum {
	PIECE_OCTETS = 256 * 1024, /* about as much is read at once */
	CAT_OCTETS = 48 * 1024,    /* of content, in one line; a multiple of three */
};

struct console_reading {
	struct arena *arena; /* of the request */
	struct control_request request;
	struct store_filter filter;
	struct store_list_place place; /* LIST, SHOW: of recipients */
	bool has_begun;
	uint64_t id, attempt;
	struct store_content *content; /* CAT */
	int fd;                        /* of a file */
	size_t offset;                 /* in memory */
	/* of the piece under way */
	struct buf *out;
	struct arena *row;
	bool fits;
	int64_t destination; /* its place among them */
};

struct str console_state_name(enum store_state s)
{
	static const struct str names[] = {
		[STORE_QUEUED] = STR_INIT("queued"),
		[STORE_HELD] = STR_INIT("held"),
		[STORE_FINISHED] = STR_INIT("finished"),
	};

	return names[s];
}

static struct str time_of(struct arena *a, int64_t ms)
{
	char text[LOG_TIME_MAX];

	return arena_str(a, log_time(ms, text));
}

static void put_id(struct json *j, uint64_t id)
{
	char text[STORE_ID_TEXT_MAX];

	json_put_str(j, "queue_id", store_id_text(id, text));
}

static bool is_enough(const struct console_reading *rd)
{
	return !rd->fits || buf_len(rd->out) >= PIECE_OCTETS;
}

/* ---- recipients ---- */

static void put_rcpt(struct json *j, struct arena *a, const struct store_rcpt *r)
{
	json_put_str(j, "recipient", r->address);
	json_put_str(j, "destination", r->destination);
	json_put_str(j, "state", console_state_name(r->state));
	json_put_str(j, "due", time_of(a, r->due_ms));
	json_put_int(j, "attempts", r->attempts);
	json_put_str(j, "status", r->last.status.class ? status_text(a, r->last.status) : STR(""));
	json_put_str(j, "reason", r->last.reason);
	json_put_str(j, "remote_host", r->last.remote_host);
}

static void put_message(struct json *j, struct arena *a, const struct store_message *m)
{
	put_id(j, m->id);
	json_put_str(j, "arrived", time_of(a, m->arrived_ms));
	json_put_int(j, "size", (int64_t)m->size);
	json_put_str(j, "sender", m->sender);
}

static enum store_go_on list_row(void *arg, const struct store_message *m)
{
	struct console_reading *rd = arg;
	struct json j;

	arena_reset(rd->row);
	json_init(&j, rd->out, false);
	json_object(&j);
	put_message(&j, rd->row, m);
	put_rcpt(&j, rd->row, m->rcpts);
	json_object_end(&j);
	rd->fits = json_end(&j);
	return is_enough(rd) ? STORE_STOP : STORE_GO_ON;
}

static bool set_filter(struct console_reading *rd, struct error *e)
{
	const struct control_filter *from = &rd->request.filter;
	struct store_filter *f = &rd->filter;

	f->destination = from->has_destination ? &from->destination : NULL;
	f->sender = from->has_sender ? &from->sender : NULL;
	f->reason = from->reason;
	f->arrived_before_ms = (int64_t)from->arrived_before_ms;
	_Static_assert(CONTROL_QUEUED == 1 << STORE_QUEUED && CONTROL_HELD == 1 << STORE_HELD &&
			       CONTROL_FINISHED == 1 << STORE_FINISHED,
		       "states are the store's");
	f->states = from->states;
	return from->message.n == 0 || store_id_parse(from->message, &f->message) ||
	       error_set(e, ERROR_DATA, "\"" STR_FMT "\" is no queue id",
			 STR_ARG(str_first(from->message, 60)));
}

static enum console_piece
list_piece(struct console_reading *rd, struct store_reader *r, struct error *e)
{
	if (!rd->has_begun && !set_filter(rd, e))
		return CONSOLE_FAILED;
	rd->has_begun = true;
	if (!store_list_piece(r, &rd->filter, &rd->place, list_row, rd, e))
		return CONSOLE_FAILED;
	return rd->place.is_end ? CONSOLE_DONE : CONSOLE_MORE;
}

/* ---- destinations ---- */

static void summary_row(void *arg, const struct store_destination *d)
{
	struct console_reading *rd = arg;
	struct json j;

	if (!rd->fits)
		return;
	arena_reset(rd->row);
	json_init(&j, rd->out, false);
	json_object(&j);
	json_put_str(&j, "destination", d->name);
	json_put_int(&j, "queued", (int64_t)d->n_queued);
	json_put_int(&j, "held", (int64_t)d->n_held);
	json_put_int(&j, "finished", (int64_t)d->n_finished);
	json_put_str(&j, "oldest", time_of(rd->row, d->oldest_ms));
	json_key(&j, "due");
	json_str_or_null(&j, d->n_queued ? time_of(rd->row, d->due_ms) : STR_NONE);
	json_object_end(&j);
	rd->fits = json_end(&j);
}

static enum console_piece
summary_piece(struct console_reading *rd, struct store_reader *r, struct error *e)
{
	if (!store_destinations_piece(r, &rd->destination, summary_row, rd, e))
		return CONSOLE_FAILED;
	return rd->destination == 0 ? CONSOLE_DONE : CONSOLE_MORE;
}

/* ---- one message ---- */

/* A document that stands inside another one, on its line. */
static void put_raw(struct console_reading *rd, struct json *j, const char *key, struct str text)
{
	struct str line;

	json_key(j, key);
	text = str_trim(text);
	if (text.n == 0) {
		json_null(j);
		return;
	}
	j->is_after_key = false;
	while (rd->fits && text.n > 0) {
		size_t n = 0;
		line = str_find(text, '\n', &n) ? str_first(text, n) : text;
		rd->fits = buf_add(rd->out, line);
		text = str_from(text, line.n < text.n ? line.n + 1 : text.n);
	}
}

static bool head_line(struct console_reading *rd, const struct store_message *m)
{
	struct json j;

	json_init(&j, rd->out, false);
	json_object(&j);
	put_message(&j, rd->row, m);
	json_put_str(&j, "envid", m->envid);
	json_put_str(&j, "ret", m->ret);
	json_put_bool(&j, "smtputf8", m->flags & STORE_SMTPUTF8);
	json_put_bool(&j, "requiretls", m->flags & STORE_REQUIRETLS);
	put_raw(rd, &j, "client", m->client);
	json_object_end(&j);
	return json_end(&j) && rd->fits;
}

static bool rcpt_line(struct console_reading *rd, const struct store_rcpt *r)
{
	struct json j;

	json_init(&j, rd->out, false);
	json_object(&j);
	put_rcpt(&j, rd->row, r);
	json_object_end(&j);
	return json_end(&j);
}

static enum store_go_on show_row(void *arg, const struct store_message *m)
{
	struct console_reading *rd = arg;

	arena_reset(rd->row);
	rd->fits = (rd->has_begun || head_line(rd, m)) && rcpt_line(rd, m->rcpts);
	rd->has_begun = true;
	return is_enough(rd) ? STORE_STOP : STORE_GO_ON;
}

static enum store_go_on attempt_line(void *arg, const struct store_attempt *t)
{
	struct console_reading *rd = arg;
	struct json j;

	arena_reset(rd->row);
	rd->attempt = t->id;
	json_init(&j, rd->out, false);
	json_object(&j);
	json_put_str(&j, "at", time_of(rd->row, t->at_ms));
	json_put_bool(&j, "fate_unknown", t->is_fate_unknown);
	put_raw(rd, &j, "outcome", t->evidence);
	put_raw(rd, &j, "evidence", t->ground);
	json_object_end(&j);
	rd->fits = json_end(&j) && rd->fits;
	return is_enough(rd) ? STORE_STOP : STORE_GO_ON;
}

static bool no_message(const struct console_reading *rd, struct error *e)
{
	return error_set(e, ERROR_NO_INPUT, "there is no message " STR_FMT,
			 STR_ARG(str_first(rd->request.message, 60)));
}

static bool find_id(struct console_reading *rd, struct error *e)
{
	return store_id_parse(rd->request.message, &rd->id) ||
	       error_set(e, ERROR_DATA, "\"" STR_FMT "\" is no queue id",
			 STR_ARG(str_first(rd->request.message, 60)));
}

/* The message is told with the first of its recipients: there is none without one. */
static bool show_rcpts(struct console_reading *rd, struct store_reader *r, struct error *e)
{
	struct store_filter f = { 0 };

	if (!rd->has_begun && !find_id(rd, e))
		return false;
	f.message = rd->id;
	if (!store_list_piece(r, &f, &rd->place, show_row, rd, e))
		return false;
	return rd->has_begun || no_message(rd, e);
}

static enum console_piece
show_piece(struct console_reading *rd, struct store_reader *r, struct error *e)
{
	uint64_t before = rd->attempt;

	if (!rd->place.is_end)
		return show_rcpts(rd, r, e) ? CONSOLE_MORE : CONSOLE_FAILED;
	if (!store_evidence(r, rd->id, rd->attempt, attempt_line, rd, e))
		return CONSOLE_FAILED;
	return rd->attempt == before ? CONSOLE_DONE : CONSOLE_MORE;
}

/* ---- its content ---- */

static bool open_content(struct console_reading *rd, struct store_reader *r, struct error *e)
{
	if (!find_id(rd, e) || !store_content_open(r, rd->id, &rd->content, e))
		return false;
	if (!rd->content)
		return no_message(rd, e);
	if (store_content_is_file(rd->content))
		rd->fd = store_content_descriptor(rd->content, e);
	return !store_content_is_file(rd->content) || rd->fd >= 0;
}

static bool next_octets(struct console_reading *rd, struct str *out, struct error *e)
{
	char *room;
	ssize_t n;

	if (rd->fd < 0) {
		*out = str_first(str_from(store_content_memory(rd->content), rd->offset),
				 CAT_OCTETS);
		rd->offset += out->n;
		return true;
	}
	room = arena_alloc(rd->row, CAT_OCTETS);
	n = read(rd->fd, room, CAT_OCTETS);
	*out = str_span(room, n > 0 ? (size_t)n : 0);
	return n >= 0 || error_set(e, ERROR_IO, "reading the message: %s", strerror(errno));
}

static bool octets_line(struct console_reading *rd, struct str octets)
{
	struct json j;

	json_init(&j, rd->out, false);
	json_object(&j);
	json_put_str(&j, "octets", base64_encode(rd->row, octets));
	json_object_end(&j);
	return json_end(&j);
}

static enum console_piece
cat_piece(struct console_reading *rd, struct store_reader *r, struct error *e)
{
	struct str octets;

	if (!rd->has_begun && !open_content(rd, r, e))
		return CONSOLE_FAILED;
	rd->has_begun = true;
	while (!is_enough(rd)) {
		arena_reset(rd->row);
		if (!next_octets(rd, &octets, e))
			return CONSOLE_FAILED;
		if (octets.n == 0)
			return CONSOLE_DONE;
		rd->fits = octets_line(rd, octets);
	}
	return CONSOLE_MORE;
}

/* ---- a request ---- */

static struct control_request copy_request(struct arena *a, const struct control_request *r)
{
	struct control_request c = *r;

	c.destination = arena_str(a, r->destination);
	c.message = arena_str(a, r->message);
	c.recipient = arena_str(a, r->recipient);
	c.filter.destination = arena_str(a, r->filter.destination);
	c.filter.sender = arena_str(a, r->filter.sender);
	c.filter.message = arena_str(a, r->filter.message);
	c.filter.reason = arena_str(a, r->filter.reason);
	return c;
}

struct console_reading *console_reading_new(const struct control_request *r)
{
	struct console_reading *rd = base_alloc(sizeof(*rd));

	CHECK(control_is_reading(r->kind));
	rd->arena = arena_new();
	rd->row = arena_new();
	rd->request = copy_request(rd->arena, r);
	rd->place = store_list_start();
	rd->fd = -1;
	return rd;
}

void console_reading_free(struct console_reading *rd)
{
	if (!rd)
		return;
	if (rd->fd >= 0)
		(void)close(rd->fd);
	store_content_unref(rd->content);
	arena_free(rd->row);
	arena_free(rd->arena);
	free(rd);
}

enum console_piece console_reading_piece(struct console_reading *rd, struct store_reader *r,
					 struct buf *out, struct error *e)
{
	static enum console_piece (*const pieces[])(struct console_reading *, struct store_reader *,
						    struct error *) = {
		[CONTROL_SUMMARY] = summary_piece,
		[CONTROL_LIST] = list_piece,
		[CONTROL_SHOW] = show_piece,
		[CONTROL_CAT] = cat_piece,
	};
	enum console_piece got;

	rd->out = out;
	rd->fits = true;
	arena_reset(rd->row);
	got = pieces[rd->request.kind](rd, r, e);
	if (rd->fits || got == CONSOLE_FAILED)
		return got;
	(void)error_set(e, ERROR_LIMIT, "it is too long to show");
	return CONSOLE_FAILED;
}
