/* What is on disk: asked of the daemon when it runs, else read from the store, by the same code. */

#include <sysexits.h>

#include "cmd/queue.h"
#include "console/console.h"

struct asking {
	cmd_control_line *line;
	void *arg;
	unsigned n_lines;
};

static bool asking_line(void *arg, struct str text, const struct json_node *n)
{
	struct asking *a = arg;
	bool is_done;

	if (json_get_bool(n, "done", &is_done))
		return true;
	a->n_lines++;
	return a->line(a->arg, text, n);
}

/* ---- without a daemon ---- */

/* False: enough, or no JSON (*e). */
static bool tell_lines(struct asking *a, struct str text, struct error *e)
{
	struct str line;

	while (str_cut(text, '\n', &line, &text)) {
		struct json_doc *d = json_doc_new(line, e);
		bool goes_on = d && asking_line(a, line, json_doc_root(d));
		json_doc_free(d);
		if (!goes_on)
			return false;
	}
	return true;
}

static bool
read_all(struct asking *a, struct store_reader *store, struct console_reading *rd, struct error *e)
{
	enum console_piece got = CONSOLE_MORE;
	struct buf out;

	buf_init(&out, CONTROL_REPLY_MAX);
	while (got == CONSOLE_MORE) {
		got = console_reading_piece(rd, store, &out, e);
		if (!tell_lines(a, buf_str(&out), e))
			break;
		buf_reset(&out);
	}
	buf_fini(&out);
	return got != CONSOLE_FAILED && e->kind == ERROR_NONE;
}

static bool read_directly(struct queue_command *q, const struct control_request *r,
			  struct asking *a, struct error *e)
{
	struct store_reader *store = store_reader_open(q->directory, e);
	struct console_reading *rd;
	bool is_read;

	if (!store)
		return false;
	*e = (struct error){ 0 };
	rd = console_reading_new(r);
	is_read = read_all(a, store, rd, e);
	if (!is_read && e->kind == ERROR_DATA)
		(void)error_prefix(e, "%s", q->directory);
	console_reading_free(rd);
	store_reader_close(store);
	return is_read;
}

/* ---- either way ---- */

bool cmd_queue_read(struct queue_command *q, const struct control_request *r,
		    cmd_control_line *line, void *arg, struct error *e)
{
	struct asking a = { .line = line, .arg = arg };

	*e = (struct error){ 0 };
	switch (cmd_control_ask(q->conf, r, asking_line, &a, e)) {
	case CMD_CONTROL_DONE:
		return true;
	case CMD_CONTROL_FAILED:
		if (e->kind != ERROR_TEMP || a.n_lines > 0 || q->is_rescued)
			return false;
		cmd_say("%s; the queue is read without the daemon", e->text);
		break;
	case CMD_CONTROL_DOWN:
		if (q->is_rescued)
			return cmd_no_daemon(e);
		break;
	}
	return read_directly(q, r, &a, e);
}
