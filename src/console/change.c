/* What operators do to mail: a request becomes notes to the store, and the runner is told. */

#include <stdlib.h>

#include "console/room.h"

struct change {
	struct console_change_options options;
	struct arena *arena;
	struct control_request request;
	enum store_change what;
	struct store_selection *v; /* a note for each */
	size_t n, n_out;
	const struct store_message *message; /* of a request about one */
	struct console_change_result result;
};

static enum store_change change_of(enum control_kind k)
{
	switch (k) {
	case CONTROL_HOLD:
		return STORE_HOLD;
	case CONTROL_RELEASE:
		return STORE_RELEASE;
	case CONTROL_RETRY:
	case CONTROL_FLUSH:
		return STORE_RETRY;
	case CONTROL_DELETE:
		return STORE_DELETE;
	case CONTROL_REQUEUE:
		return STORE_REQUEUE;
	case CONTROL_STATUS:
	case CONTROL_SUMMARY:
	case CONTROL_LIST:
	case CONTROL_SHOW:
	case CONTROL_CAT:
	case CONTROL_DESTINATIONS:
	case CONTROL_RELOAD:
	case CONTROL_STOP:
		break;
	}
	CHECK(!"no change");
}

/* ---- telling ---- */

static bool is_repeated(const struct store_message *m, size_t i)
{
	for (size_t k = 0; k < i; k++)
		if (str_eq(m->rcpts[k].destination, m->rcpts[i].destination))
			return true;
	return false;
}

/* The destinations of a message are tried at once, whatever was to be waited for. */
static void tell_destinations(const struct change *x)
{
	const struct store_message *m = x->message;

	for (size_t i = 0; i < m->n_rcpts; i++) {
		struct store_selection which = { .reach = STORE_OF_DESTINATION,
						 .destination = m->rcpts[i].destination };
		if (!is_repeated(m, i))
			x->options.changed(x->options.arg, &which);
	}
}

/* One that failed may be done in part. */
static void change_end(struct change *x)
{
	bool is_told = x->options.changed && x->n > 0;

	for (size_t i = 0; is_told && i < x->n; i++)
		x->options.changed(x->options.arg, &x->v[i]);
	if (is_told && x->message && x->request.kind == CONTROL_FLUSH)
		tell_destinations(x);
	x->options.done(x->options.arg, &x->result);
	arena_free(x->arena);
	free(x);
}

static void stored(void *arg, const struct store_result *r)
{
	struct change *x = arg;

	if (r->fault == STORE_DONE)
		x->result.changed += r->changed;
	else
		(void)error_set(&x->result.e, ERROR_TEMP,
				"the queue could not be changed: " STR_FMT ": " STR_FMT,
				STR_ARG(store_fault_name(r->fault)), STR_ARG(r->text));
	if (--x->n_out == 0)
		change_end(x);
}

/* ---- what is meant ---- */

static bool find_message(struct change *x, uint64_t *id, struct error *e)
{
	struct store_message *m;

	if (!store_id_parse(x->request.message, id))
		return error_set(e, ERROR_DATA, "\"" STR_FMT "\" is no queue id",
				 STR_ARG(str_first(x->request.message, 100)));
	if (!store_message(store_client_reader(x->options.client), x->arena, *id, &m, e))
		return false;
	if (!m)
		return error_set(e, ERROR_NO_INPUT, "there is no message " STR_FMT,
				 STR_ARG(x->request.message));
	x->message = m;
	return true;
}

static void add(struct change *x, struct store_selection s)
{
	x->v[x->n++] = s;
}

static bool find_recipient(struct change *x, uint64_t id, struct error *e)
{
	const struct store_message *m = x->message;

	x->v = ARENA_ARRAY(x->arena, m->n_rcpts, struct store_selection);
	for (size_t i = 0; i < m->n_rcpts; i++)
		if (str_ieq_ascii(m->rcpts[i].address, x->request.recipient))
			add(x, (struct store_selection){ .reach = STORE_OF_RECIPIENT,
							 .message = id,
							 .index = m->rcpts[i].index });
	return x->n > 0 || error_set(e, ERROR_NO_INPUT, STR_FMT " is no recipient of " STR_FMT,
				     STR_ARG(str_first(x->request.recipient, 320)),
				     STR_ARG(x->request.message));
}

static bool find_meant(struct change *x, struct error *e)
{
	uint64_t id;

	x->v = ARENA_NEW(x->arena, struct store_selection);
	switch (x->request.reach) {
	case CONTROL_ALL:
		add(x, (struct store_selection){ .reach = STORE_ALL });
		return true;
	case CONTROL_OF_DESTINATION:
		add(x, (struct store_selection){ .reach = STORE_OF_DESTINATION,
						 .destination = x->request.destination });
		return true;
	case CONTROL_OF_MESSAGE:
		if (!find_message(x, &id, e))
			return false;
		add(x, (struct store_selection){ .reach = STORE_OF_MESSAGE, .message = id });
		return true;
	case CONTROL_OF_RECIPIENT:
		return find_message(x, &id, e) && find_recipient(x, id, e);
	case CONTROL_NOTHING:
		break;
	}
	CHECK(!"a change of nothing");
}

/* A note that changes nothing carries the failure to the loop. */
static void failed(void *arg, const struct store_result *r)
{
	(void)r;
	change_end(arg);
}

static void change_fail(struct change *x)
{
	struct store_selection nothing = { .reach = STORE_OF_MESSAGE };

	store_change(x->options.client, STORE_RETRY, &nothing, 0, failed, x);
}

void console_change(const struct console_change_options *o)
{
	struct change *x = base_alloc(sizeof(*x));

	x->options = *o;
	x->arena = arena_new();
	x->request = *o->request;
	x->request.destination = arena_str(x->arena, o->request->destination);
	x->request.message = arena_str(x->arena, o->request->message);
	x->request.recipient = arena_str(x->arena, o->request->recipient);
	x->what = change_of(o->request->kind);
	if (!find_meant(x, &x->result.e)) {
		change_fail(x);
		return;
	}
	x->n_out = x->n;
	for (size_t i = 0, n = x->n; i < n; i++)
		store_change(o->client, x->what, &x->v[i], o->now_ms, stored, x);
}
