#include "table/memcache_engine.h"

#include <poll.h>
#include <stdlib.h>

#include "os/os.h"

struct memcache_connection {
	const struct memcache_config *config;
	struct remote_stream *stream; /* NULL after a try that went wrong */
	bool is_kept;                 /* it has served before */
};

/* A try has a time of its own. */
static struct remote_call
memcache_try(const struct memcache_config *c, const struct remote_call *call)
{
	struct remote_call one = *call;
	uint64_t until = os_now_ms() + c->timeout_ms;

	if (until < one.deadline_ms)
		one.deadline_ms = until;
	return one;
}

static void memcache_hang_up(struct memcache_connection *c)
{
	if (c->stream != NULL)
		remote_stream_close(c->stream);
	c->stream = NULL;
}

static bool
memcache_dial(struct memcache_connection *c, const struct remote_call *call, struct error *why)
{
	struct remote_call one = memcache_try(c->config, call);

	c->stream = remote_stream_open(&c->config->server, &one, why);
	c->is_kept = false;
	return c->stream != NULL;
}

static void memcache_disconnect(void *connection)
{
	memcache_hang_up(connection);
	free(connection);
}

static void *memcache_connect(const void *config, const struct remote_call *call, struct error *why)
{
	struct memcache_connection *c = base_alloc(sizeof(*c));

	c->config = config;
	if (memcache_dial(c, call, why))
		return c;
	memcache_disconnect(c);
	return NULL;
}

/* What `take` needs, and what it found. */
struct memcache_ask {
	const struct memcache_config *config;
	struct str key;
};

static enum memcache_parse memcache_parse(const struct memcache_ask *ask, struct str in,
					  struct memcache_reply *reply, size_t *used)
{
	return memcache_take(in, ask->key, &ask->config->limits, reply, used);
}

static enum remote_take
memcache_find(const void *arg, struct str in, struct str *reply, size_t *used)
{
	struct memcache_reply parsed;

	switch (memcache_parse(arg, in, &parsed, used)) {
	case MEMCACHE_PARSE_MORE:
		return REMOTE_TAKE_MORE;
	case MEMCACHE_PARSE_BAD:
		return REMOTE_TAKE_BAD;
	case MEMCACHE_PARSE_TOO_LONG:
		*used = in.n; /* told by memcache_judge, which hangs up */
		break;
	case MEMCACHE_PARSE_FOUND:
	case MEMCACHE_PARSE_NONE:
	case MEMCACHE_PARSE_ERROR:
		break;
	}
	*reply = in;
	return REMOTE_TAKE_OK;
}

static enum remote_status memcache_judge(const struct memcache_ask *ask, struct str octets,
					 struct buf *value, struct error *why)
{
	char quote[REMOTE_QUOTE_MAX];
	struct memcache_reply reply;
	size_t used;

	switch (memcache_parse(ask, octets, &reply, &used)) {
	case MEMCACHE_PARSE_FOUND:
		if (buf_add(value, reply.value))
			return REMOTE_FOUND;
		break;
	case MEMCACHE_PARSE_NONE:
		return REMOTE_NONE;
	case MEMCACHE_PARSE_ERROR:
		error_set(why, ERROR_TEMP, "the server says %s", remote_quote(reply.text, quote));
		return REMOTE_BROKEN;
	case MEMCACHE_PARSE_TOO_LONG:
	case MEMCACHE_PARSE_MORE: /* not of a whole reply */
	case MEMCACHE_PARSE_BAD:
		break;
	}
	error_set(why, ERROR_LIMIT, "the value is longer than data_size_limit");
	return REMOTE_BROKEN;
}

static enum remote_status memcache_ask_once(struct memcache_connection *c,
					    const struct remote_call *call, struct str key,
					    struct buf *value, struct error *why)
{
	const struct memcache_ask ask = { c->config, key };
	const struct memcache_limits *limits = &c->config->limits;
	struct remote_call one = memcache_try(c->config, call);
	struct remote_exchange x = {
		.take = memcache_find,
		.arg = &ask,
		.max = 2 * limits->line_max + limits->value_max + 2,
	};
	enum remote_status status;
	struct buf request;

	buf_init(&request, MEMCACHE_KEY_MAX + 16);
	bool fits = memcache_get_add(&request, key);
	CHECK(fits);
	x.request = buf_str(&request);
	status = remote_stream_ask(c->stream, &one, &x, why);
	buf_fini(&request);
	return status == REMOTE_FOUND ? memcache_judge(&ask, x.reply, value, why) : status;
}

/* False: there is no time for another try, or the table is being closed. */
static bool memcache_pause(const struct memcache_config *c, const struct remote_call *call)
{
	struct pollfd stop = { .fd = call->stop_fd, .events = POLLIN };

	return remote_left_ms(call) > c->pause_ms && poll(&stop, 1, (int)c->pause_ms) == 0;
}

/* A connection that the server closed while it was idle is no failed try. */
static enum remote_status memcache_lookup_key(void *connection, const struct remote_call *call,
					      struct str key, struct buf *value, struct error *why)
{
	struct memcache_connection *c = connection;

	for (uint64_t i = 1;; i++) {
		enum remote_status status = memcache_ask_once(c, call, key, value, why);
		bool was_kept = c->is_kept;
		c->is_kept = true;
		if (status != REMOTE_BROKEN && status != REMOTE_LOST)
			return status;
		if ((status == REMOTE_LOST && was_kept) || i >= c->config->tries)
			return status;
		memcache_hang_up(c);
		if (!memcache_pause(c->config, call) || !memcache_dial(c, call, why))
			return REMOTE_BROKEN;
	}
}

const struct remote_engine memcache_engine = {
	.open = memcache_connect,
	.lookup = memcache_lookup_key,
	.close = memcache_disconnect,
};
