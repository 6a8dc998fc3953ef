/* socketmap:inet:host:port:name and socketmap:unix:/path:name: a table of a server, as
 * socketmap_table(5). The engine gets whole requests. */

#include "proto/socketmap.h"

#include <stdlib.h>

#include "table/remote_stream.h"

/* ---- on the threads ---- */

static void *
socketmap_connect(const void *config, const struct remote_call *call, struct error *why)
{
	return remote_stream_open(config, call, why);
}

static void socketmap_disconnect(void *connection)
{
	remote_stream_close(connection);
}

static enum remote_take
socketmap_find(const void *arg, struct str in, struct str *reply, size_t *used)
{
	(void)arg;
	switch (socketmap_take(in, SOCKETMAP_REPLY_MAX, reply, used)) {
	case SOCKETMAP_PARSE_OK:
		return REMOTE_TAKE_OK;
	case SOCKETMAP_PARSE_MORE:
		return REMOTE_TAKE_MORE;
	case SOCKETMAP_PARSE_BAD:
		break;
	}
	return REMOTE_TAKE_BAD;
}

static enum remote_status socketmap_refused(const char *status, struct str said, struct error *why)
{
	char quote[REMOTE_QUOTE_MAX];

	error_set(why, ERROR_TEMP, "the server says %s%s%s", status, said.n > 0 ? ": " : "",
		  remote_quote(said, quote));
	return REMOTE_FAILED;
}

static enum remote_status
socketmap_judge(const struct socketmap_reply *reply, struct buf *value, struct error *why)
{
	switch (reply->status) {
	case SOCKETMAP_FOUND:
		if (buf_add(value, reply->text))
			return REMOTE_FOUND;
		error_set(why, ERROR_LIMIT, "the value is too long");
		return REMOTE_FAILED;
	case SOCKETMAP_NOT_FOUND:
		return REMOTE_NONE;
	case SOCKETMAP_TEMP:
		return socketmap_refused("TEMP", reply->text, why);
	case SOCKETMAP_TIMEOUT:
		return socketmap_refused("TIMEOUT", reply->text, why);
	case SOCKETMAP_PERM:
		break;
	}
	return socketmap_refused("PERM", reply->text, why);
}

static enum remote_status socketmap_ask(void *connection, const struct remote_call *call,
					struct str request, struct buf *value, struct error *why)
{
	struct remote_exchange x = {
		.request = request,
		.take = socketmap_find,
		.max = SOCKETMAP_REPLY_MAX + 16, /* with its frame */
	};
	enum remote_status status = remote_stream_ask(connection, call, &x, why);
	struct socketmap_reply reply;
	char quote[REMOTE_QUOTE_MAX];

	if (status != REMOTE_FOUND)
		return status;
	if (socketmap_reply_parse(x.reply, &reply))
		return socketmap_judge(&reply, value, why);
	error_set(why, ERROR_DATA, "this is no answer: \"%s\"", remote_quote(x.reply, quote));
	return REMOTE_BROKEN;
}

static const struct remote_engine socketmap_engine = {
	.open = socketmap_connect,
	.lookup = socketmap_ask,
	.close = socketmap_disconnect,
};

/* ---- the table ---- */

struct socketmap {
	struct str name;
	struct remote *remote;
};

static void *socketmap_open(const struct table_context *c, uint64_t now_ms, struct error *e)
{
	struct remote_options o = { .engine = &socketmap_engine, .config_free = free };
	struct remote_server server;
	struct str place, name;

	(void)now_ms;
	if (!str_rcut(c->body, ':', &place, &name) || name.n == 0) {
		error_set(e, ERROR_CONFIG,
			  "it is not of the form inet:host:port:name or unix:/path:name");
		return NULL;
	}
	if (!remote_server_parse(place, &server, e))
		return NULL;
	struct remote_server *kept = base_alloc(sizeof(*kept));
	*kept = server;
	o.config = kept;
	struct socketmap *m = base_alloc(sizeof(*m));
	*m = (struct socketmap){ name, remote_new(c, &o) };
	return m;
}

static bool socketmap_lookup(void *table, struct table_lookup *l)
{
	const struct socketmap *m = table;
	const struct socketmap_request request = { .map = m->name, .key = l->key };
	struct buf b;

	if (l->query.is_partial)
		return true;
	buf_init(&b, SOCKETMAP_REQUEST_MAX);
	if (!socketmap_request_add(&b, &request)) {
		remote_fail(m->remote, l, STR("the key is too long"));
		buf_fini(&b);
		return true;
	}
	bool is_over = remote_lookup(m->remote, l, buf_str(&b));
	buf_fini(&b);
	return is_over;
}

static void socketmap_cancel(void *table, struct table_lookup *l)
{
	remote_cancel(((struct socketmap *)table)->remote, l);
}

static void socketmap_close(void *table)
{
	struct socketmap *m = table;

	remote_free(m->remote);
	free(m);
}

const struct table_type table_type_socketmap = {
	.name = STR_INIT("socketmap"),
	.open = socketmap_open,
	.lookup = socketmap_lookup,
	.close = socketmap_close,
	.cancel = socketmap_cancel,
	.has_patterns = remote_wants_whole_keys,
};
