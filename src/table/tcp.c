/* tcp:host:port: a table of a server, as tcp_table(5). The engine gets whole requests. */

#include <stdlib.h>

#include "proto/tcp_table.h"
#include "table/remote_stream.h"

/* ---- on the threads ---- */

static void *tcp_connect(const void *config, const struct remote_call *call, struct error *why)
{
	return remote_stream_open(config, call, why);
}

static void tcp_disconnect(void *connection)
{
	remote_stream_close(connection);
}

static enum remote_take tcp_find(const void *arg, struct str in, struct str *reply, size_t *used)
{
	(void)arg;
	switch (tcp_table_take(in, reply, used)) {
	case TCP_TABLE_PARSE_OK:
		return REMOTE_TAKE_OK;
	case TCP_TABLE_PARSE_MORE:
		return REMOTE_TAKE_MORE;
	case TCP_TABLE_PARSE_BAD:
		break;
	}
	return REMOTE_TAKE_BAD;
}

/* False: the text is not encoded as it should be. */
static bool tcp_judge(const struct tcp_table_reply *reply, struct buf *text,
		      enum remote_status *status, struct error *why)
{
	char quote[REMOTE_QUOTE_MAX];

	if (!tcp_table_decode(text, reply->text))
		return false;
	switch (reply->status) {
	case TCP_TABLE_FOUND:
		*status = REMOTE_FOUND;
		break;
	case TCP_TABLE_NOT_FOUND:
		*status = REMOTE_NONE;
		break;
	case TCP_TABLE_TRY_LATER:
		error_set(why, ERROR_TEMP, "the server says 400: %s",
			  remote_quote(buf_str(text), quote));
		*status = REMOTE_FAILED;
		break;
	}
	return true;
}

static enum remote_status tcp_ask(void *connection, const struct remote_call *call,
				  struct str request, struct buf *value, struct error *why)
{
	struct remote_exchange x = {
		.request = request,
		.take = tcp_find,
		.max = TCP_TABLE_LINE_MAX + 1,
	};
	enum remote_status status = remote_stream_ask(connection, call, &x, why);
	struct tcp_table_reply reply;
	char quote[REMOTE_QUOTE_MAX];

	if (status != REMOTE_FOUND)
		return status;
	if (tcp_table_reply_parse(x.reply, &reply) && tcp_judge(&reply, value, &status, why))
		return status;
	error_set(why, ERROR_DATA, "this is no answer: \"%s\"", remote_quote(x.reply, quote));
	return REMOTE_BROKEN;
}

static const struct remote_engine tcp_engine = {
	.open = tcp_connect,
	.lookup = tcp_ask,
	.close = tcp_disconnect,
};

/* ---- the table ---- */

static void *tcp_open(const struct table_context *c, uint64_t now_ms, struct error *e)
{
	struct remote_options o = { .engine = &tcp_engine, .config_free = free };
	struct remote_server server;

	(void)now_ms;
	if (!remote_server_parse_inet(c->body, &server, e))
		return NULL;
	struct remote_server *kept = base_alloc(sizeof(*kept));
	*kept = server;
	o.config = kept;
	return remote_new(c, &o);
}

static bool tcp_lookup(void *table, struct table_lookup *l)
{
	struct buf b;

	if (l->query.is_partial)
		return true;
	buf_init(&b, TCP_TABLE_LINE_MAX);
	if (!tcp_table_request_add(&b, l->key)) {
		remote_fail(table, l, STR("the key is too long"));
		buf_fini(&b);
		return true;
	}
	bool is_over = remote_lookup(table, l, buf_str(&b));
	buf_fini(&b);
	return is_over;
}

static void tcp_cancel(void *table, struct table_lookup *l)
{
	remote_cancel(table, l);
}

static void tcp_close(void *table)
{
	remote_free(table);
}

const struct table_type table_type_tcp = {
	.name = STR_INIT("tcp"),
	.open = tcp_open,
	.lookup = tcp_lookup,
	.close = tcp_close,
	.cancel = tcp_cancel,
	.has_patterns = remote_wants_whole_keys,
};
