#include "cmd/control_client.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "cmd/cmd.h"
#include "net/net.h"

enum { ANSWER_MS = 120 * 1000 }; /* without a word */

struct asking {
	struct net_loop *loop;
	struct net_stream *stream;
	struct net_timer *timer;
	struct buf in;
	const struct control_request *request;
	cmd_control_line *line;
	void *arg;
	struct error *e;
	enum cmd_control result;
	bool has_result;
};

static void asking_end(struct asking *a, enum cmd_control result)
{
	a->result = result;
	a->has_result = true;
	net_loop_stop(a->loop);
}

/* The daemon may hang up with its last line, and both be heard at once. */
static void asking_fail(struct asking *a, const char *why)
{
	if (a->has_result)
		return;
	(void)error_set(a->e, ERROR_TEMP, "the control socket: %s", why);
	asking_end(a, CMD_CONTROL_FAILED);
}

static enum error_kind kind_of(int64_t code)
{
	for (int k = ERROR_USAGE; k < ERROR_LIMIT; k++)
		if (cmd_exit_code((enum error_kind)k) == code)
			return (enum error_kind)k;
	return ERROR_TEMP;
}

/* True at the last line. */
static bool asking_line(struct asking *a, const struct json_node *n, struct str text)
{
	struct str why;
	int64_t code = 0;
	bool is_done = false;

	if (json_get_str(n, "error", &why)) {
		(void)!json_get_int(n, "code", &code);
		(void)error_set(a->e, kind_of(code), STR_FMT, STR_ARG(why));
		asking_end(a, CMD_CONTROL_FAILED);
		return true;
	}
	bool goes_on = a->line(a->arg, text, n);
	(void)!json_get_bool(n, "done", &is_done);
	is_done |= !goes_on;
	if (is_done)
		asking_end(a, CMD_CONTROL_DONE);
	return is_done;
}

static void asking_read(void *arg, struct str octets)
{
	struct asking *a = arg;
	struct str in, line;
	bool is_end = false;

	if (!buf_add(&a->in, octets)) {
		asking_fail(a, "a line of the reply is too long");
		return;
	}
	net_timer_set(a->timer, net_loop_now(a->loop) + ANSWER_MS);
	in = buf_str(&a->in);
	while (!is_end && str_cut(in, '\n', &line, &in)) {
		struct json_doc *d = json_doc_new(line, a->e);
		if (!d) {
			asking_end(a, CMD_CONTROL_FAILED);
			return;
		}
		is_end = asking_line(a, json_doc_root(d), line);
		json_doc_free(d);
	}
	buf_consume(&a->in, buf_len(&a->in) - in.n);
}

static void asking_ended(void *arg)
{
	asking_fail(arg, "the daemon hung up");
}

static void asking_failed(void *arg, const struct net_failure *why)
{
	struct asking *a = arg;

	if (a->has_result)
		return;
	if (why->fault == NET_FAULT_REFUSED)
		asking_end(a, CMD_CONTROL_DOWN);
	else {
		(void)error_set(a->e, ERROR_NOT_HERE, "the control socket: %s", why->text);
		asking_end(a, CMD_CONTROL_FAILED);
	}
}

static void asking_connected(void *arg)
{
	struct asking *a = arg;
	struct buf b;

	buf_init(&b, CONTROL_LINE_MAX);
	if (control_request_add(&b, a->request))
		net_stream_write(a->stream, buf_str(&b));
	else
		asking_fail(a, "the request is too long");
	buf_fini(&b);
}

static void asking_late(void *arg)
{
	asking_fail(arg, "no answer in time");
}

static const struct net_stream_calls calls = {
	.connected = asking_connected,
	.read = asking_read,
	.ended = asking_ended,
	.failed = asking_failed,
};

/* DONE: there is a socket. Where one may not look, nobody says that no daemon runs. */
static enum cmd_control look(struct str path, struct error *e)
{
	struct arena *a = arena_new();
	struct stat st;
	bool is_found = path.n > 0 && stat(arena_str(a, path).p, &st) == 0;
	bool is_hidden = path.n > 0 && !is_found && errno == EACCES;

	arena_free(a);
	if (is_hidden)
		(void)error_set(e, ERROR_NOT_HERE, STR_FMT ": %s", STR_ARG(str_first(path, 200)),
				strerror(EACCES));
	return is_found ? CMD_CONTROL_DONE : is_hidden ? CMD_CONTROL_FAILED : CMD_CONTROL_DOWN;
}

enum cmd_control cmd_control_ask(const struct conf *conf, const struct control_request *r,
				 cmd_control_line *line, void *arg, struct error *e)
{
	struct str path = conf_str(conf, CONF_hopseal_control_socket);
	struct asking a = { .request = r, .line = line, .arg = arg, .e = e };

	a.result = look(path, e);
	if (a.result != CMD_CONTROL_DONE)
		return a.result;
	a.loop = net_loop_new();
	buf_init(&a.in, CONTROL_REPLY_MAX);
	a.timer = net_timer_new(a.loop, asking_late, &a);
	net_timer_set(a.timer, net_loop_now(a.loop) + ANSWER_MS);
	a.stream = net_stream_connect_unix(a.loop, path, &calls, &a);
	net_loop_run(a.loop);
	net_stream_free(a.stream);
	net_timer_free(a.timer);
	net_loop_free(a.loop);
	buf_fini(&a.in);
	return a.result;
}
