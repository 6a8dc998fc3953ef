/* hopseal queue show, cat: one message. */

#include <sysexits.h>
#include <unistd.h>

#include "base/base64.h"
#include "cmd/queue.h"

/* The reply tells the message, then its recipients, then its attempts; each is printed at once. */
enum shown { SHOWN_NOTHING, SHOWN_MESSAGE, SHOWN_ATTEMPTS };

struct showing {
	struct queue_command *q;
	struct arena *arena; /* of one line */
	struct buf out;
	enum shown shown;
	bool is_broken; /* nobody reads the output */
	bool has_member;
};

static bool flush(struct showing *s)
{
	bool is_good = cmd_print(buf_str(&s->out));

	buf_reset(&s->out);
	arena_reset(s->arena);
	s->is_broken |= !is_good;
	return is_good;
}

/* What is printed of a line is bounded by what a line may hold. */
static void add(struct showing *s, struct str text)
{
	CHECK(buf_add(&s->out, text));
}

/* ---- JSON: the lines are members of one object ---- */

static bool head_json(struct showing *s, struct str line)
{
	add(s, str_first(line, line.n - 1)); /* without its brace */
	add(s, STR(",\"recipients\":["));
	s->shown = SHOWN_MESSAGE;
	return flush(s);
}

static void begin_attempts(struct showing *s)
{
	add(s, STR("],\"attempts\":["));
	s->shown = SHOWN_ATTEMPTS;
	s->has_member = false;
}

static bool line_json(void *arg, struct str line, const struct json_node *n)
{
	struct showing *s = arg;

	if (s->shown == SHOWN_NOTHING)
		return head_json(s, line);
	if (s->shown == SHOWN_MESSAGE && json_at(n, "at"))
		begin_attempts(s);
	if (s->has_member)
		add(s, STR(","));
	s->has_member = true;
	add(s, line);
	return flush(s);
}

static bool end_json(struct showing *s)
{
	if (s->shown == SHOWN_MESSAGE)
		begin_attempts(s);
	add(s, STR("]}\n"));
	return flush(s);
}

/* ---- text ---- */

static void put(struct showing *s, const char *label, struct str text)
{
	if (text.n > 0)
		CHECK(buf_fmt(&s->out, "%-12s " STR_FMT "\n", label, STR_ARG(text)));
}

static void put_message(struct showing *s, const struct json_node *n)
{
	struct str sender = cmd_queue_text(n, "sender");

	put(s, "queue id", cmd_queue_text(n, "queue_id"));
	put(s, "arrived", cmd_queue_text(n, "arrived"));
	put(s, "size", arena_fmt(s->arena, "%lld octets", (long long)cmd_queue_number(n, "size")));
	put(s, "sender", sender.n > 0 ? sender : STR("<>"));
	put(s, "client", cmd_queue_text(n, "client.client"));
	put(s, "helo", cmd_queue_text(n, "client.helo"));
	put(s, "username", cmd_queue_text(n, "client.username"));
	put(s, "client TLS", cmd_queue_text(n, "client.tls_protocol"));
}

static void put_recipient(struct showing *s, const struct json_node *n)
{
	struct str to = cmd_queue_text(n, "destination"), state = cmd_queue_text(n, "state");

	CHECK(buf_fmt(&s->out, "\n" STR_FMT "\n", STR_ARG(cmd_queue_text(n, "recipient"))));
	put(s, "  state", state);
	put(s, "  by", to.n > 0 ? to : STR("not routed yet"));
	if (str_eq(state, STR("queued")))
		put(s, "  due", cmd_queue_text(n, "due"));
	put(s, "  attempts",
	    arena_fmt(s->arena, "%lld", (long long)cmd_queue_number(n, "attempts")));
	put(s, "  reason", cmd_queue_text(n, "reason"));
}

/* One host that was tried: what was demanded of it, and what came of it. */
static void put_try(struct showing *s, const struct json_node *t, const struct json_node *own)
{
	struct str reached = cmd_queue_text(t, "judgement.reached");

	put(s, "  host",
	    arena_fmt(s->arena, STR_FMT " " STR_FMT, STR_ARG(cmd_queue_text(t, "host")),
		      STR_ARG(cmd_queue_text(t, "endpoint"))));
	put(s, "    demands", cmd_queue_text(t, "decision.level"));
	if (reached.n > 0)
		put(s, "    reached",
		    arena_fmt(s->arena, STR_FMT " (" STR_FMT ")", STR_ARG(reached),
			      STR_ARG(cmd_queue_text(t, "judgement.result"))));
	put(s, "    trouble", cmd_queue_text(own, "trouble.reason"));
}

static void put_outcome(struct showing *s, const struct json_node *r)
{
	put(s, "  outcome",
	    arena_fmt(s->arena, STR_FMT " " STR_FMT ": " STR_FMT,
		      STR_ARG(cmd_queue_text(r, "recipient")),
		      STR_ARG(cmd_queue_text(r, "outcome")), STR_ARG(cmd_queue_text(r, "reason"))));
}

/* What a try shares with others stands in the evidence, the rest in the outcome, in one order. */
static void put_attempt(struct showing *s, const struct json_node *n)
{
	const struct json_node *tries = json_at(n, "evidence.tries");
	const struct json_node *own = json_at(n, "outcome.tries");
	const struct json_node *outcomes = json_at(n, "outcome.recipients");
	bool is_unknown = false;

	CHECK(buf_fmt(&s->out, "\nattempt at " STR_FMT "\n", STR_ARG(cmd_queue_text(n, "at"))));
	for (size_t i = 0; i < json_count(tries); i++)
		put_try(s, json_item(tries, i), i < json_count(own) ? json_item(own, i) : NULL);
	for (size_t i = 0; i < json_count(outcomes); i++)
		put_outcome(s, json_item(outcomes, i));
	if (json_get_bool(n, "fate_unknown", &is_unknown) && is_unknown)
		put(s, "  note", STR("the final reply never came: it may arrive twice"));
}

static bool line_text(void *arg, struct str line, const struct json_node *n)
{
	struct showing *s = arg;

	(void)line;
	if (s->shown == SHOWN_NOTHING)
		put_message(s, n);
	else if (json_at(n, "at"))
		put_attempt(s, n);
	else
		put_recipient(s, n);
	s->shown = SHOWN_MESSAGE;
	return flush(s);
}

int cmd_queue_show(struct queue_command *q)
{
	const struct control_request r = {
		.kind = CONTROL_SHOW,
		.reach = CONTROL_OF_MESSAGE,
		.message = str_of(q->ids[0]),
	};
	struct showing s = { .q = q, .arena = arena_new() };
	int status = EX_OK;
	struct error e;

	/* labels and blanks make a line longer; none of them by more than this */
	buf_init(&s.out, 4 * (size_t)CONTROL_REPLY_MAX);
	if (!cmd_queue_read(q, &r, q->is_json ? line_json : line_text, &s, &e))
		status = cmd_fail(&e);
	else if (s.is_broken || (q->is_json && !end_json(&s)))
		status = EX_IOERR;
	buf_fini(&s.out);
	arena_free(s.arena);
	return status;
}

/* ---- cat ---- */

struct catting {
	struct arena *arena;
	struct error e;
};

/* As it is: it is meant for a file or a program. */
static bool write_all(struct str s, struct error *e)
{
	while (s.n > 0) {
		ssize_t n = write(STDOUT_FILENO, s.p, s.n);
		if (n < 0)
			return error_set(e, ERROR_IO, "writing to standard output failed");
		s = str_from(s, (size_t)n);
	}
	return true;
}

static bool line_octets(void *arg, struct str line, const struct json_node *n)
{
	struct catting *c = arg;
	struct str octets;

	(void)line;
	arena_reset(c->arena);
	if (!base64_decode(c->arena, cmd_queue_text(n, "octets"), &octets))
		return error_set(&c->e, ERROR_DATA, "the daemon's reply is not understood");
	return write_all(octets, &c->e);
}

int cmd_queue_cat(struct queue_command *q)
{
	const struct control_request r = {
		.kind = CONTROL_CAT,
		.reach = CONTROL_OF_MESSAGE,
		.message = str_of(q->ids[0]),
	};
	struct catting c = { .arena = arena_new() };
	struct error e;

	if (cmd_queue_read(q, &r, line_octets, &c, &e))
		e = c.e;
	arena_free(c.arena);
	return e.kind == ERROR_NONE ? EX_OK : cmd_fail(&e);
}
