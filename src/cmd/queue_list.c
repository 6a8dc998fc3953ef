/* hopseal queue list: read in pieces and printed in pieces, so that a long queue costs no memory.
 * With --by-destination memory goes by destinations. */

#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "cmd/queue.h"
#include "store/store.h"

enum { OUT_FULL = 64 * 1024 };

struct listing {
	struct queue_command *q;
	struct buf out;
	char last_id[STORE_ID_TEXT_MAX];
	uint64_t n_messages, n_rcpts;
	bool is_broken; /* nobody reads the output */
};

static bool flush(struct listing *l)
{
	bool is_good = cmd_print(buf_str(&l->out));

	buf_reset(&l->out);
	l->is_broken |= !is_good;
	return is_good;
}

struct str cmd_queue_text(const struct json_node *n, const char *path)
{
	struct str text = STR("");

	(void)!json_get_str(n, path, &text);
	return text;
}

int64_t cmd_queue_number(const struct json_node *n, const char *path)
{
	int64_t number = 0;

	(void)!json_get_int(n, path, &number);
	return number;
}

/* ---- a row ---- */

static bool is_new(struct listing *l, struct str id)
{
	if (str_eq(id, str_of(l->last_id)) || id.n >= sizeof(l->last_id))
		return false;
	memcpy(l->last_id, id.p, id.n);
	l->last_id[id.n] = '\0';
	return true;
}

static bool head_text(struct listing *l, const struct json_node *n)
{
	struct str sender = cmd_queue_text(n, "sender");

	return buf_fmt(&l->out, "%s" STR_FMT " %9lld " STR_FMT "  %s" STR_FMT "\n",
		       l->n_messages > 1 ? "\n" : "", STR_ARG(cmd_queue_text(n, "queue_id")),
		       (long long)cmd_queue_number(n, "size"),
		       STR_ARG(cmd_queue_text(n, "arrived")), sender.n > 0 ? "" : "<>",
		       STR_ARG(sender));
}

static bool row_text(struct listing *l, const struct json_node *n)
{
	struct str to = cmd_queue_text(n, "destination"), reason = cmd_queue_text(n, "reason");
	struct str state = cmd_queue_text(n, "state");

	return buf_fmt(&l->out, "  %-8.*s " STR_FMT " (" STR_FMT ")", STR_ARG(state),
		       STR_ARG(cmd_queue_text(n, "recipient")),
		       STR_ARG(to.n > 0 ? to : STR("not routed yet"))) &&
	       (!str_eq(state, STR("queued")) ||
		buf_fmt(&l->out, ", due " STR_FMT, STR_ARG(cmd_queue_text(n, "due")))) &&
	       (reason.n == 0 || buf_fmt(&l->out, "\n           " STR_FMT, STR_ARG(reason))) &&
	       buf_add_char(&l->out, '\n');
}

static bool list_row(void *arg, struct str text, const struct json_node *n)
{
	struct listing *l = arg;
	bool is_head = is_new(l, cmd_queue_text(n, "queue_id"));
	bool fits;

	l->n_messages += is_head;
	l->n_rcpts++;
	if (l->q->is_json)
		fits = buf_add(&l->out, text) && buf_add_char(&l->out, '\n');
	else
		fits = (!is_head || head_text(l, n)) && row_text(l, n);
	CHECK(fits); /* a row is no longer than a line of the reply */
	return buf_len(&l->out) < OUT_FULL || flush(l);
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
static int list_one(struct listing *l, struct str message)
{
	struct control_request r = { .kind = CONTROL_LIST, .filter = l->q->filter };
	struct error e;

	r.filter.message = message;
	if (!cmd_queue_read(l->q, &r, list_row, l, &e))
		return cmd_fail(&e);
	return l->is_broken ? EX_IOERR : EX_OK;
}

int cmd_queue_list(struct queue_command *q)
{
	struct listing l = { .q = q };
	int status = EX_OK;

	buf_init(&l.out, OUT_FULL + 2 * CONTROL_REPLY_MAX);
	if (q->n_ids == 0)
		status = list_one(&l, STR(""));
	for (size_t i = 0; status == EX_OK && i < q->n_ids; i++)
		status = list_one(&l, str_of(q->ids[i]));
	if (status == EX_OK && !list_end(&l))
		status = EX_IOERR;
	buf_fini(&l.out);
	return status;
}

/* ---- by destination ---- */

struct summary {
	struct str name, oldest, due; /* due "": none is queued */
	int64_t n_queued, n_held, n_finished;
	bool is_live, is_dead;
	int64_t window, attempts, blocked_s;
};

struct summaries {
	struct arena *arena;
	struct summary *v;
	size_t n, size;
};

static bool take_summary(void *arg, struct str text, const struct json_node *n)
{
	struct summaries *s = arg;

	(void)text;
	if (s->n == s->size) {
		s->size = s->size ? 2 * s->size : 64;
		s->v = base_realloc(s->v, s->size * sizeof(*s->v));
	}
	s->v[s->n++] = (struct summary){
		.name = arena_str(s->arena, cmd_queue_text(n, "destination")),
		.n_queued = cmd_queue_number(n, "queued"),
		.n_held = cmd_queue_number(n, "held"),
		.n_finished = cmd_queue_number(n, "finished"),
		.oldest = arena_str(s->arena, cmd_queue_text(n, "oldest")),
		.due = arena_str(s->arena, cmd_queue_text(n, "due")),
	};
	return true;
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

static bool take_live(void *arg, struct str text, const struct json_node *n)
{
	struct summary *found;
	struct str name;

	(void)text;
	if (json_get_str(n, "destination", &name) && (found = find_summary(arg, name)))
		found->is_live = json_get_bool(n, "is_dead", &found->is_dead) &&
				 json_get_int(n, "window", &found->window) &&
				 json_get_int(n, "attempts", &found->attempts) &&
				 json_get_int(n, "blocked_s", &found->blocked_s);
	return true;
}

static bool summary_json(struct buf *out, const struct summary *s)
{
	struct json j;

	json_init(&j, out, false);
	json_object(&j);
	json_put_str(&j, "destination", s->name);
	json_put_int(&j, "queued", s->n_queued);
	json_put_int(&j, "held", s->n_held);
	json_put_int(&j, "finished", s->n_finished);
	json_put_str(&j, "oldest", s->oldest);
	json_key(&j, "due");
	json_str_or_null(&j, s->due.n > 0 ? s->due : STR_NONE);
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

static bool summary_text(struct buf *out, const struct summary *s)
{
	struct str name = s->name.n > 0 ? s->name : STR("not routed yet");

	return buf_fmt(out, STR_FMT "\n  %lld queued, %lld held, %lld finished, oldest " STR_FMT,
		       STR_ARG(name), (long long)s->n_queued, (long long)s->n_held,
		       (long long)s->n_finished, STR_ARG(s->oldest)) &&
	       (s->due.n == 0 || buf_fmt(out, ", due " STR_FMT, STR_ARG(s->due))) &&
	       summary_live(out, s) && buf_add_char(out, '\n');
}

static bool print_summaries(struct queue_command *q, const struct summaries *s)
{
	bool is_good = true;
	struct buf out;

	buf_init(&out, OUT_FULL + 2 * CONTROL_REPLY_MAX);
	for (size_t i = 0; is_good && i < s->n; i++) {
		if (q->filter.has_destination && !str_eq(q->filter.destination, s->v[i].name))
			continue;
		CHECK(q->is_json ? summary_json(&out, &s->v[i]) : summary_text(&out, &s->v[i]));
		if (buf_len(&out) >= OUT_FULL) {
			is_good = cmd_print(buf_str(&out));
			buf_reset(&out);
		}
	}
	is_good = is_good && cmd_print(buf_str(&out));
	buf_fini(&out);
	return is_good;
}

static bool read_summaries(struct queue_command *q, struct summaries *s, struct error *e)
{
	const struct control_request on_disk = { .kind = CONTROL_SUMMARY };
	const struct control_request in_memory = { .kind = CONTROL_DESTINATIONS };

	if (!cmd_queue_read(q, &on_disk, take_summary, s, e))
		return false;
	if (s->n > 0)
		qsort(s->v, s->n, sizeof(*s->v), by_name);
	return cmd_control_ask(q->conf, &in_memory, take_live, s, e) != CMD_CONTROL_FAILED ||
	       e->kind == ERROR_TEMP; /* said before */
}

int cmd_queue_by_destination(struct queue_command *q)
{
	struct summaries s = { .arena = q->arena };
	struct error e = { 0 };
	int status;

	if (read_summaries(q, &s, &e))
		status = print_summaries(q, &s) ? EX_OK : EX_IOERR;
	else
		status = cmd_fail(&e);
	free(s.v);
	return status;
}
