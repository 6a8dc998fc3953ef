/* An operator's connection to the control socket: one request after the other. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "console/room.h"
#include "os/log.h"
#include "os/os.h"
#include "os/privileges.h"

enum { INPUT_MAX = CONTROL_LINE_MAX + 64 * 1024, LINGER_MS = 2000 };

struct session {
	struct list link;
	struct console *console;
	struct net_stream *stream;
	struct buf in;
	struct arena *arena; /* of the request under way */
	struct control_request request;
	struct gather *gather;
	struct session_read *reading;
	bool is_busy, has_ended;
	bool is_gone; /* a change of it is still under way */
	unsigned uid;
	char user[32];
};

bool console_may(unsigned uid, unsigned gid, bool has_group, unsigned group)
{
	return uid == 0 || uid == geteuid() ||
	       (has_group && (gid == group || os_user_is_member(uid, group)));
}

bool console_may_cat(unsigned uid)
{
	return uid == 0 || uid == geteuid();
}

static void session_free(struct session *s)
{
	buf_fini(&s->in);
	arena_free(s->arena);
	free(s);
}

static void read_forget(struct session_read *r);

static void session_close(struct session *s)
{
	gather_forget(s->gather);
	read_forget(s->reading);
	list_remove(&s->link);
	s->console->n_sessions--;
	s->stream = NULL;
	s->is_gone = true;
	if (!s->is_busy || s->gather || s->reading)
		session_free(s);
}

static void session_finish(struct session *s)
{
	net_stream_finish(s->stream, LINGER_MS);
	session_close(s);
}

/* ---- replies ---- */

static void reply(struct session *s, const struct buf *b)
{
	net_stream_write(s->stream, buf_str(b));
}

static void reply_error(struct session *s, const struct error *e)
{
	static const int codes[] = {
		[ERROR_USAGE] = EX_USAGE,      [ERROR_DATA] = EX_DATAERR,
		[ERROR_NO_INPUT] = EX_NOINPUT, [ERROR_NOT_HERE] = EX_UNAVAILABLE,
		[ERROR_SYSTEM] = EX_OSERR,     [ERROR_IO] = EX_IOERR,
		[ERROR_TEMP] = EX_TEMPFAIL,    [ERROR_CONFIG] = EX_CONFIG,
		[ERROR_LIMIT] = EX_DATAERR,
	};
	struct buf b;
	struct json j;

	buf_init(&b, CONTROL_LINE_MAX);
	json_init(&j, &b, false);
	json_object(&j);
	json_put_str(&j, "error", error_text(e));
	json_put_int(&j, "code", codes[e->kind]);
	json_put_bool(&j, "done", true);
	json_object_end(&j);
	CHECK(json_end(&j));
	reply(s, &b);
	buf_fini(&b);
}

static void reply_done(struct session *s, const char *key, int64_t n)
{
	struct buf b;
	struct json j;

	buf_init(&b, CONTROL_LINE_MAX);
	json_init(&j, &b, false);
	json_object(&j);
	if (key)
		json_put_int(&j, key, n);
	json_put_bool(&j, "done", true);
	json_object_end(&j);
	CHECK(json_end(&j));
	reply(s, &b);
	buf_fini(&b);
}

static void session_next(struct session *s);

static void session_idle(struct session *s)
{
	s->is_busy = false;
	arena_reset(s->arena);
	session_next(s);
}

/* ---- requests ---- */

static void status_gathered(void *arg, const struct console_figures *f)
{
	struct session *s = arg;
	struct buf b;
	struct json j;

	s->gather = NULL;
	buf_init(&b, CONTROL_REPLY_MAX);
	json_init(&j, &b, false);
	json_object(&j);
	console_status_json(&j, s->console, f);
	json_put_bool(&j, "done", true);
	json_object_end(&j);
	CHECK(json_end(&j)); /* its lists are bounded */
	reply(s, &b);
	buf_fini(&b);
	session_idle(s);
}

static void destinations_gathered(void *arg, const struct console_figures *f)
{
	struct session *s = arg;
	struct buf b, line;
	bool fits = true;

	s->gather = NULL;
	buf_init(&b, CONTROL_REPLY_MAX);
	buf_init(&line, CONTROL_REPLY_MAX);
	for (size_t i = 0; fits && i < f->view->n; i++) {
		struct json j;
		buf_reset(&line);
		json_init(&j, &line, false);
		console_destination_json(&j, &f->view->v[i]);
		fits = json_end(&j) && buf_add(&b, buf_str(&line)); /* whole lines */
	}
	reply(s, &b);
	buf_fini(&line);
	buf_fini(&b);
	reply_done(s, fits && !f->view->is_cut ? NULL : "cut", 1);
	session_idle(s);
}

static void session_log(const struct session *s, uint64_t n)
{
	const struct control_request *r = &s->request;
	bool is_one = r->reach == CONTROL_OF_MESSAGE || r->reach == CONTROL_OF_RECIPIENT;
	struct log_value v[] = {
		{ .field = FIELD_change, .text = control_kind_name(r->kind) },
		{ .field = FIELD_username, .text = str_of(s->user) },
		{ .field = FIELD_nrcpt, .number = (int64_t)n },
		{ .field = is_one ? FIELD_queue_id : FIELD_destination,
		  .text = is_one                               ? r->message
			  : r->reach == CONTROL_OF_DESTINATION ? r->destination
							       : STR("all") },
	};
	struct log_event e = { .id = is_one ? EVENT_changed : EVENT_changed_many,
			       .values = v,
			       .n_values = ARRAY_LEN(v) };

	os_log_event(s->console->options.daemon.log, &e);
}

static void change_told(void *arg, const struct store_selection *which)
{
	const struct session *s = arg;
	const struct console_daemon *d = &s->console->options.daemon;

	d->changed(d->arg, which);
}

static void change_done(void *arg, const struct console_change_result *r)
{
	struct session *s = arg;
	struct console *c = s->console;

	c->options.daemon.changing(c->options.daemon.arg, false);
	if (r->e.kind == ERROR_NONE)
		session_log(s, r->changed);
	if (s->is_gone) {
		session_free(s);
	} else {
		if (r->e.kind == ERROR_NONE)
			reply_done(s, "changed", (int64_t)r->changed);
		else
			reply_error(s, &r->e);
		session_idle(s);
	}
	console_back(c);
}

static void session_change(struct session *s)
{
	struct console_change_options o = {
		.client = s->console->client,
		.request = &s->request,
		.now_ms = os_utc_ns() / 1000000,
		.changed = change_told,
		.done = change_done,
		.arg = s,
	};

	const struct console_daemon *d = &s->console->options.daemon;

	s->is_busy = true;
	s->console->n_out++;
	d->changing(d->arg, true);
	console_change(&o);
}

/* ---- what is on disk ---- */

/* Outlives its session while a piece is being read. */
struct session_read {
	struct reader_job job;
	struct console *console;
	struct session *session; /* NULL: gone */
	struct console_reading *reading;
	struct buf out;
	enum console_piece got;
	bool is_out; /* at the reader's */
};

static void read_free(struct session_read *r)
{
	console_reading_free(r->reading);
	buf_fini(&r->out);
	free(r);
}

static void read_forget(struct session_read *r)
{
	if (!r)
		return;
	r->session = NULL;
	if (!r->is_out)
		read_free(r);
}

static bool read_work(struct reader_job *j, struct store_reader *store)
{
	struct session_read *r = (struct session_read *)(void *)j;

	r->got = console_reading_piece(r->reading, store, &r->out, &j->e);
	return r->got != CONSOLE_FAILED;
}

static void read_ask(struct session_read *r)
{
	r->is_out = true;
	r->console->n_out++;
	console_reader_ask(r->console->reader, &r->job);
}

static void read_end(struct session_read *r)
{
	struct session *s = r->session;

	s->reading = NULL;
	if (r->job.is_good)
		reply_done(s, NULL, 0);
	else
		reply_error(s, &r->job.e);
	read_free(r);
	session_idle(s);
}

/* What was read goes out before more is read. */
static void session_drained(void *arg)
{
	struct session *s = arg;
	struct session_read *r = s->reading;

	if (r && !r->is_out)
		read_ask(r);
}

static void read_done(struct reader_job *j)
{
	struct session_read *r = (struct session_read *)(void *)j;
	struct session *s = r->session;
	struct console *c = r->console;

	r->is_out = false;
	if (!s) {
		read_free(r);
		console_back(c);
		return;
	}
	reply(s, &r->out);
	buf_reset(&r->out);
	if (!j->is_good || r->got == CONSOLE_DONE)
		read_end(r);
	else if (net_stream_queued(s->stream) == 0)
		read_ask(r);
	console_back(c);
}

static void session_reading(struct session *s)
{
	struct session_read *r;
	struct error e;

	if (s->request.kind == CONTROL_CAT && !console_may_cat(s->uid)) {
		(void)error_set(&e, ERROR_NOT_HERE,
				"only root and the user of the daemon may read messages");
		reply_error(s, &e);
		return;
	}
	s->is_busy = true;
	s->reading = r = base_alloc(sizeof(*r));
	r->job = (struct reader_job){ .work = read_work, .done = read_done };
	r->console = s->console;
	r->session = s;
	r->reading = console_reading_new(&s->request);
	buf_init(&r->out, CONTROL_REPLY_MAX);
	read_ask(r);
}

static void session_gather(struct session *s, unsigned parts, enum console_look_how how,
			   void (*done)(void *arg, const struct console_figures *f))
{
	s->is_busy = true;
	s->gather = gather_new(s->console, parts, how, done, s);
}

static void session_reload(struct session *s)
{
	const struct console_daemon *d = &s->console->options.daemon;
	struct error e = { 0 };

	if (d->reload(d->arg, &e))
		reply_done(s, NULL, 0);
	else
		reply_error(s, &e);
}

static void session_do(struct session *s)
{
	const struct console_daemon *d = &s->console->options.daemon;

	switch (s->request.kind) {
	case CONTROL_STATUS:
		session_gather(s, GATHER_TOTALS | GATHER_LOOK, CONSOLE_LOOK_BLOCKED,
			       status_gathered);
		break;
	case CONTROL_DESTINATIONS:
		session_gather(s, GATHER_LOOK, CONSOLE_LOOK_ALL, destinations_gathered);
		break;
	case CONTROL_SUMMARY:
	case CONTROL_LIST:
	case CONTROL_SHOW:
	case CONTROL_CAT:
		session_reading(s);
		break;
	case CONTROL_RELOAD:
		session_reload(s);
		break;
	case CONTROL_STOP:
		reply_done(s, NULL, 0);
		d->stop(d->arg);
		break;
	case CONTROL_HOLD:
	case CONTROL_RELEASE:
	case CONTROL_RETRY:
	case CONTROL_DELETE:
	case CONTROL_REQUEUE:
	case CONTROL_FLUSH:
		session_change(s);
		break;
	}
}

/* All whole lines, one after the other; a request that waits for something stops it. */
static void session_next(struct session *s)
{
	enum control_take got = CONTROL_TAKE_MORE;
	struct error e;
	struct str line;
	size_t used;

	while (!s->is_busy &&
	       (got = control_take(buf_str(&s->in), &line, &used)) == CONTROL_TAKE_OK) {
		bool is_request = control_request_parse(s->arena, line, &s->request, &e);
		buf_consume(&s->in, used);
		if (is_request)
			session_do(s);
		else
			reply_error(s, &e);
		if (!s->is_busy)
			arena_reset(s->arena);
	}
	if (got == CONTROL_TAKE_BAD || (!s->is_busy && s->has_ended))
		session_finish(s);
	else if (s->is_busy)
		net_stream_pause(s->stream);
	else
		net_stream_resume(s->stream);
}

/* ---- the stream ---- */

static void session_read(void *arg, struct str octets)
{
	struct session *s = arg;

	if (!buf_add(&s->in, octets))
		session_finish(s);
	else if (!s->is_busy)
		session_next(s);
}

static void session_ended(void *arg)
{
	struct session *s = arg;

	s->has_ended = true;
	if (!s->is_busy)
		session_finish(s);
}

static void session_failed(void *arg, const struct net_failure *why)
{
	struct session *s = arg;

	(void)why;
	net_stream_free(s->stream);
	session_close(s);
}

static const struct net_stream_calls calls = {
	.read = session_read,
	.ended = session_ended,
	.drained = session_drained,
	.failed = session_failed,
};

static void refuse(struct net_stream *stream, enum error_kind kind, const char *why)
{
	struct session s = { .stream = stream };
	struct error e;

	(void)error_set(&e, kind, "%s", why);
	reply_error(&s, &e);
	net_stream_finish(stream, LINGER_MS);
}

void console_accepted(void *arg, struct net_stream *stream)
{
	struct console *c = arg;
	struct net_user user;

	if (!net_stream_user(stream, &user) ||
	    !console_may(user.uid, user.gid, c->options.has_group, c->options.group)) {
		refuse(stream, ERROR_NOT_HERE, "you may not use the control socket");
		return;
	}
	if (c->n_sessions >= CONTROL_SESSIONS_MAX) {
		refuse(stream, ERROR_TEMP, "too many connections to the control socket");
		return;
	}
	struct session *s = base_alloc(sizeof(*s));

	s->console = c;
	s->stream = stream;
	s->arena = arena_new();
	buf_init(&s->in, INPUT_MAX);
	s->uid = user.uid;
	os_user_name(user.uid, s->user, sizeof(s->user));
	list_add(&c->sessions, &s->link);
	c->n_sessions++;
	net_stream_set_calls(stream, &calls, s);
}

void console_drop_all(struct console *c)
{
	for (struct list *l = c->sessions.next, *next; l != &c->sessions; l = next) {
		struct session *s = LIST_OF(l, struct session, link);
		next = l->next;
		session_finish(s);
	}
}
