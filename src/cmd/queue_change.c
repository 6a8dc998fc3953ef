/* hopseal queue hold, release ...: by the daemon when it runs, else in the store itself. */

#include <sysexits.h>

#include "cmd/queue.h"
#include "console/console.h"
#include "os/os.h"
#include "store/store.h"

struct changing {
	struct queue_command *q;
	struct net_loop *loop;
	struct store *store;
	struct store_client *client;
	bool is_direct;
	uint64_t changed;
	struct error e;
};

static bool take_changed(void *arg, struct str text, const struct json_node *n)
{
	struct changing *c = arg;
	int64_t changed;

	(void)text;
	if (json_get_int(n, "changed", &changed))
		c->changed += (uint64_t)changed;
	return true;
}

/* ---- without a daemon ---- */

static bool open_store(struct changing *c)
{
	struct store_options o = { .directory = c->q->directory };
	struct store_reader *r;

	if (c->client)
		return true;
	r = store_reader_open(o.directory, &c->e); /* nothing is made where there is no queue */
	if (!r)
		return false;
	store_reader_close(r);
	if (!cmd_become_queue_owner(c->q->conf, o.directory, &c->e))
		return false;
	c->loop = net_loop_new();
	c->store = store_open(&o, &c->e);
	if (c->store)
		c->client = store_client_new(c->store, c->loop, &c->e);
	return c->client != NULL;
}

static void changed_directly(void *arg, const struct console_change_result *r)
{
	struct changing *c = arg;

	c->changed += r->changed;
	c->e = r->e;
	net_loop_stop(c->loop);
}

static bool change_directly(struct changing *c, const struct control_request *r)
{
	struct console_change_options o = {
		.request = r,
		.now_ms = os_utc_ns() / 1000000,
		.done = changed_directly,
		.arg = c,
	};

	if (!open_store(c))
		return false;
	o.client = c->client;
	c->e = (struct error){ 0 };
	console_change(&o);
	net_loop_run(c->loop);
	return c->e.kind == ERROR_NONE;
}

static bool change(struct changing *c, const struct control_request *r)
{
	if (!c->is_direct) {
		switch (cmd_control_ask(c->q->conf, r, take_changed, c, &c->e)) {
		case CMD_CONTROL_DONE:
			return true;
		case CMD_CONTROL_FAILED:
			return false;
		case CMD_CONTROL_DOWN:
			if (c->q->is_rescued)
				return cmd_no_daemon(&c->e);
			c->is_direct = true;
			break;
		}
	}
	return change_directly(c, r);
}

/* ---- which ---- */

static struct control_request request_of_id(enum control_kind kind, const char *text)
{
	struct control_request r = { .kind = kind, .reach = CONTROL_OF_MESSAGE };

	r.message = str_of(text);
	if (str_cut(str_of(text), '/', &r.message, &r.recipient))
		r.reach = CONTROL_OF_RECIPIENT;
	return r;
}

/* All of them are looked at before anything is done: behind a blank that should have been a slash
 * stands a recipient, and in front of it a whole message. */
static bool ids_are_good(const struct queue_command *q, enum control_kind kind, struct error *e)
{
	for (size_t i = 0; i < q->n_ids; i++) {
		struct control_request r = request_of_id(kind, q->ids[i]);
		uint64_t id;

		if (!store_id_parse(r.message, &id))
			return error_set(e, ERROR_DATA, "\"" STR_FMT "\" is no queue id",
					 STR_ARG(str_first(r.message, 60)));
		if (r.reach == CONTROL_OF_RECIPIENT && r.recipient.n == 0)
			return error_set(e, ERROR_DATA, "\"%.60s\": a recipient is missing",
					 q->ids[i]);
	}
	return true;
}

static bool change_all(struct changing *c, enum control_kind kind)
{
	const struct queue_command *q = c->q;
	struct control_request r = { .kind = kind, .reach = CONTROL_ALL };

	if (q->filter.has_destination) {
		r.reach = CONTROL_OF_DESTINATION;
		r.destination = q->filter.destination;
	}
	if (q->n_ids == 0)
		return change(c, &r);
	if (!ids_are_good(q, kind, &c->e))
		return false;
	for (size_t i = 0; i < q->n_ids; i++) {
		r = request_of_id(kind, q->ids[i]);
		if (!change(c, &r))
			return false;
	}
	return true;
}

static struct str changed_text(const struct changing *c, enum control_kind kind)
{
	if (c->q->is_json)
		return arena_fmt(c->q->arena, "{\"changed\":%llu}\n",
				 (unsigned long long)c->changed);
	return arena_fmt(c->q->arena, STR_FMT ": %llu recipients\n",
			 STR_ARG(control_kind_name(kind)), (unsigned long long)c->changed);
}

int cmd_queue_change(struct queue_command *q, enum control_kind kind)
{
	struct changing c = { .q = q };
	bool is_good = change_all(&c, kind);
	int status = is_good ? EX_OK : cmd_fail(&c.e);

	store_client_free(c.client);
	store_close(c.store);
	if (c.loop)
		net_loop_free(c.loop);
	if (!is_good && c.changed == 0)
		return status;
	return cmd_print(changed_text(&c, kind)) ? status : EX_IOERR;
}
