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

static enum remote_take tcp_framing(struct str in, struct str *reply, size_t *used)
{
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
	char quote[REMOTE_QUOTE_MAX];
	struct tcp_table_reply reply;
	struct str line;
	enum remote_status status =
		remote_stream_ask(connection, call, request, tcp_framing, &line, why);

	if (status != REMOTE_FOUND)
		return status;
	if (tcp_table_reply_parse(line, &reply) && tcp_judge(&reply, value, &status, why))
		return status;
	error_set(why, ERROR_DATA, "this is no answer: \"%s\"", remote_quote(line, quote));
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
		l->answer.status = ANSWER_FAILED;
		l->answer.failure = STR("the key is too long");
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
