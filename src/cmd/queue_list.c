/* hopseal queue list: read in pieces and printed in pieces, so that a long queue costs no memory.
 * With --by-destination memory goes by destinations. */

#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "base/json.h"
#include "cmd/queue.h"
#include "log/log.h"
#include "os/os.h"

enum { OUT_MAX = 1024 * 1024, OUT_FULL = 64 * 1024 };

struct listing {
	struct queue_command *q;
	struct arena *arena; /* of one row */
	struct buf out;
	uint64_t last_id;
	uint64_t n_messages, n_rcpts;
	bool is_broken; /* nobody reads the output */
};

struct str cmd_queue_time(struct arena *a, int64_t ms)
{
	char text[LOG_TIME_MAX];

	return arena_str(a, log_time(ms, text));
}

static bool flush(struct listing *l)
{
	bool is_good = cmd_print(buf_str(&l->out));

	buf_reset(&l->out);
	l->is_broken |= !is_good;
	return is_good;
}

static struct str id_of(struct arena *a, uint64_t id)
{
	char text[STORE_ID_TEXT_MAX];

	return arena_str(a, store_id_text(id, text));
}

/* ---- a row ---- */

static struct str reason_of(const struct store_rcpt *r)
{
	return r->last.reason;
}

void cmd_queue_recipient_json(struct json *j, struct arena *a, const struct store_rcpt *r)
{
	json_put_str(j, "recipient", r->address);
	json_put_str(j, "destination", r->destination);
	json_put_str(j, "state", cmd_queue_state(r->state));
	json_put_str(j, "due", cmd_queue_time(a, r->due_ms));
	json_put_int(j, "attempts", r->attempts);
	json_put_str(j, "status", r->last.status.class ? status_text(a, r->last.status) : STR(""));
	json_put_str(j, "reason", r->last.reason);
	json_put_str(j, "remote_host", r->last.remote_host);
}

static bool row_json(struct listing *l, const struct store_message *m)
{
	struct json j;

	json_init(&j, &l->out, false);
	json_object(&j);
	json_put_str(&j, "queue_id", id_of(l->arena, m->id));
	json_put_str(&j, "arrived", cmd_queue_time(l->arena, m->arrived_ms));
	json_put_int(&j, "size", (int64_t)m->size);
	json_put_str(&j, "sender", m->sender);
	cmd_queue_recipient_json(&j, l->arena, m->rcpts);
	json_object_end(&j);
	return json_end(&j);
}

static bool head_text(struct listing *l, const struct store_message *m)
{
	return buf_fmt(&l->out, "%s" STR_FMT " %9llu " STR_FMT "  %s" STR_FMT "\n",
		       l->n_messages > 1 ? "\n" : "", STR_ARG(id_of(l->arena, m->id)),
		       (unsigned long long)m->size,
		       STR_ARG(cmd_queue_time(l->arena, m->arrived_ms)),
		       m->sender.n > 0 ? "" : "<>", STR_ARG(m->sender));
}

static bool row_text(struct listing *l, const struct store_message *m)
{
	const struct store_rcpt *r = m->rcpts;
	struct str to = r->destination.n > 0 ? r->destination : STR("not routed yet");
	struct str reason = reason_of(r);

	return buf_fmt(&l->out, "  %-8s " STR_FMT " (" STR_FMT ")", cmd_queue_state(r->state).p,
		       STR_ARG(r->address), STR_ARG(to)) &&
	       (r->state != STORE_QUEUED ||
		buf_fmt(&l->out, ", due " STR_FMT, STR_ARG(cmd_queue_time(l->arena, r->due_ms)))) &&
	       (reason.n == 0 || buf_fmt(&l->out, "\n           " STR_FMT, STR_ARG(reason))) &&
	       buf_add_char(&l->out, '\n');
}

static enum store_go_on list_row(void *arg, const struct store_message *m)
{
	struct listing *l = arg;
	bool is_new = m->id != l->last_id;

	arena_reset(l->arena);
	l->last_id = m->id;
	l->n_messages += is_new;
	l->n_rcpts++;
	bool fits = l->q->is_json ? row_json(l, m) : (!is_new || head_text(l, m)) && row_text(l, m);
	CHECK(fits); /* rows are bounded by what an envelope may hold */
	return buf_len(&l->out) < OUT_FULL || flush(l) ? STORE_GO_ON : STORE_STOP;
}

static bool list_end(struct listing *l)
{
	if (l->q->is_json)
		return flush(l);
	bool fits = l->n_rcpts == 0 ? buf_add(&l->out, STR("nothing in the queue\n"))
				    : buf_fmt(&l->out, "\n%llu recipients in %llu messages\n",
					      (unsigned long long)l->n_rcpts,
					      (unsigned long long)l->n_messages);
	CHECK(fits);
	return flush(l);
}

/* With --destination rows come in the order of their times, and a message may come in parts. */
static int list_all(struct listing *l, struct store_reader *r, struct store_filter *f)
{
	struct error e;

	if (!store_list(r, f, list_row, l, &e))
		return cmd_fail(&e);
	return l->is_broken ? EX_IOERR : EX_OK;
}

static int list_ids(struct listing *l, struct store_reader *r)
{
	struct queue_command *q = l->q;
	int status = EX_OK;

	for (size_t i = 0; status == EX_OK && i < q->n_ids; i++) {
		struct store_filter f = q->filter;
		if (!store_id_parse(str_of(q->ids[i]), &f.message)) {
			cmd_say("\"%s\" is no queue id", q->ids[i]);
			return EX_DATAERR;
		}
		status = list_all(l, r, &f);
	}
	return status;
}

int cmd_queue_list(struct queue_command *q)
{
	struct error e;
	struct store_reader *r = store_reader_open(q->directory, &e);
	struct listing l = { .q = q, .arena = arena_new() };
	int status;

	buf_init(&l.out, OUT_MAX);
	if (!r)
		status = cmd_fail(&e);
	else if (q->n_ids > 0)
		status = list_ids(&l, r);
	else
		status = list_all(&l, r, &q->filter);
	if (status == EX_OK && !list_end(&l))
		status = EX_IOERR;
	store_reader_close(r);
	buf_fini(&l.out);
	arena_free(l.arena);
	return status;
}

/* ---- by destination ---- */

struct summary {
	struct str name;
	uint64_t n_queued, n_held, n_finished;
	int64_t due_ms, oldest_ms;
	bool is_live, is_dead;
	int64_t window, attempts, blocked_s;
};

struct summaries {
	struct arena *arena;
	struct summary *v;
	size_t n, size;
};

static void add_summary(void *arg, const struct store_destination *d)
{
	struct summaries *s = arg;

	if (s->n == s->size) {
		s->size = s->size ? 2 * s->size : 64;
		s->v = base_realloc(s->v, s->size * sizeof(*s->v));
	}
	s->v[s->n++] = (struct summary){
		.name = arena_str(s->arena, d->name),
		.n_queued = d->n_queued,
		.n_held = d->n_held,
		.n_finished = d->n_finished,
		.due_ms = d->due_ms,
	};
}

static int by_name(const void *a, const void *b)
{
	const struct summary *x = a, *y = b;

	return str_cmp(x->name, y->name);
}

static struct summary *find_summary(const struct summaries *s, struct str name)
{
	const struct summary key = { .name = name };

	return s->n > 0 ? bsearch(&key, s->v, s->n, sizeof(key), by_name) : NULL;
}

/* Messages come in the order of their ids, the oldest first. */
static enum store_go_on take_oldest(void *arg, const struct store_message *m)
{
	struct summary *found = find_summary(arg, m->rcpts->destination);

	if (found && found->oldest_ms == 0)
		found->oldest_ms = m->arrived_ms;
	return STORE_GO_ON;
}

static void take_live(void *arg, struct str text, const struct json_node *n)
{
	struct summary *found;
	struct str name;

	(void)text;
	if (!json_get_str(n, "destination", &name) || !(found = find_summary(arg, name)))
		return;
	found->is_live = json_get_bool(n, "is_dead", &found->is_dead) &&
			 json_get_int(n, "window", &found->window) &&
			 json_get_int(n, "attempts", &found->attempts) &&
			 json_get_int(n, "blocked_s", &found->blocked_s);
}

static bool read_summaries(struct queue_command *q, struct summaries *s, struct error *e)
{
	struct store_filter all = { 0 };
	struct store_reader *r = store_reader_open(q->directory, e);
	bool is_read = r && store_destinations(r, add_summary, s, e);

	if (s->n > 0)
		qsort(s->v, s->n, sizeof(*s->v), by_name);
	is_read = is_read && store_list(r, &all, take_oldest, s, e);
	store_reader_close(r);
	return is_read;
}

static bool summary_json(struct buf *out, struct arena *a, const struct summary *s)
{
	struct json j;

	json_init(&j, out, false);
	json_object(&j);
	json_put_str(&j, "destination", s->name);
	json_put_int(&j, "queued", (int64_t)s->n_queued);
	json_put_int(&j, "held", (int64_t)s->n_held);
	json_put_int(&j, "finished", (int64_t)s->n_finished);
	json_key(&j, "oldest");
	json_str_or_null(&j, s->oldest_ms ? cmd_queue_time(a, s->oldest_ms) : STR_NONE);
	json_key(&j, "due");
	json_str_or_null(&j, s->n_queued ? cmd_queue_time(a, s->due_ms) : STR_NONE);
	if (s->is_live) {
		json_put_int(&j, "window", s->window);
		json_put_int(&j, "attempts", s->attempts);
		json_put_bool(&j, "is_dead", s->is_dead);
		json_put_int(&j, "blocked_s", s->blocked_s);
	}
	json_object_end(&j);
	return json_end(&j);
}

static bool summary_live(struct buf *out, const struct summary *s)
{
	if (!s->is_live)
		return true;
	if (s->blocked_s > 0)
		return buf_fmt(out, ", %s for %lld s", s->is_dead ? "dead" : "suspended",
			       (long long)s->blocked_s);
	return buf_fmt(out, ", %lld under way, window %lld", (long long)s->attempts,
		       (long long)s->window);
}

static bool summary_text(struct buf *out, struct arena *a, const struct summary *s)
{
	struct str name = s->name.n > 0 ? s->name : STR("not routed yet");

	return buf_fmt(out, STR_FMT "\n  %llu queued, %llu held, %llu finished", STR_ARG(name),
		       (unsigned long long)s->n_queued, (unsigned long long)s->n_held,
		       (unsigned long long)s->n_finished) &&
	       (!s->oldest_ms ||
		buf_fmt(out, ", oldest " STR_FMT, STR_ARG(cmd_queue_time(a, s->oldest_ms)))) &&
	       (!s->n_queued ||
		buf_fmt(out, ", due " STR_FMT, STR_ARG(cmd_queue_time(a, s->due_ms)))) &&
	       summary_live(out, s) && buf_add_char(out, '\n');
}

static bool print_summaries(struct queue_command *q, const struct summaries *s)
{
	struct arena *a = arena_new();
	bool is_good = true;
	struct buf out;

	buf_init(&out, OUT_MAX);
	for (size_t i = 0; is_good && i < s->n; i++) {
		if (q->has_destination && !str_eq(q->destination, s->v[i].name))
			continue;
		CHECK(q->is_json ? summary_json(&out, a, &s->v[i])
				 : summary_text(&out, a, &s->v[i]));
		arena_reset(a);
		if (buf_len(&out) >= OUT_FULL) {
			is_good = cmd_print(buf_str(&out));
			buf_reset(&out);
		}
	}
	is_good = is_good && cmd_print(buf_str(&out));
	buf_fini(&out);
	arena_free(a);
	return is_good;
}

int cmd_queue_by_destination(struct queue_command *q)
{
	struct control_request request = { .kind = CONTROL_DESTINATIONS };
	struct summaries s = { .arena = q->arena };
	struct error e = { 0 };
	int status;

	if (!read_summaries(q, &s, &e))
		status = cmd_fail(&e);
	else if (cmd_control_ask(q->conf, &request, take_live, &s, &e) == CMD_CONTROL_FAILED)
		status = cmd_fail(&e);
	else
		status = print_summaries(q, &s) ? EX_OK : EX_IOERR;
	free(s.v);
	return status;
}
